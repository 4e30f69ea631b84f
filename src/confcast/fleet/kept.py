"""The newest good payload of each key that this host follows, on disk: for a start while the engine is away.

One file per source in the state folder, of mode 0600, written in full, synced, and renamed; a damaged one counts as
none. It is written only once the workers have run the payload and it was good (its trial and probation were over), so a
host never starts by itself on what was refused. Rejected: to keep what was read last (a file that every worker refuses
would be what the next start finds), and the journal (it has what all sources gave together).
"""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

from confcast.config.sources import last_known
from confcast.fleet.head import digest_of
from confcast.log_fields import about
from confcast.wire.files import whole_files
from confcast.wire.messages import WithSecrets

PREFIX = "fleet_good-"
"""What the names of the files begin with."""

_log = logging.getLogger("confcast.fleet")


class Good(WithSecrets, frozen=True):
    """A payload that was good on this host.

    Attributes:
        head: The head that chose it, as bytes.
        digest: The payload's.
        payload: The payload.
        at: When it was good, in seconds since 1970.
    """

    SHOWN = ("digest", "at")

    head: bytes
    digest: str
    payload: bytes
    at: float


def save(folder: Path, name: str, good: Good) -> None:
    """Keep this in the place of what was kept before under this name. Raises OSError."""
    whole_files.put(folder, _file(name), last_known.encoded(good), durable=True)


def find(folder: Path, name: str) -> Good | None:
    """What is kept under this name; None for nothing, or what is damaged, which is logged."""
    path = folder / _file(name)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        _log.warning(
            "%s can't be read, so what was good last is not known: %s",
            path,
            error.strerror,
            extra=about("good_unknown", path=path, error=error.strerror),
        )
        return None
    good = last_known.decoded(content, Good)
    if good is None or digest_of(good.payload) != good.digest:
        _log.warning("%s is damaged, so what was good last is not known", path, extra=about("good_unknown", path=path))
        return None
    return good


def _file(name: str) -> str:
    return PREFIX + hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:32]
