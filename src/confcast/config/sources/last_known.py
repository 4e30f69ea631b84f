"""The last content of each server that is a source, on disk: for a start while the server does not answer.

A file in the folder that the config owner names, of mode 0600, replaced atomically, with a digest of itself: half a
file, or a damaged one, counts as none. What is kept was parsed, and has been read later than what was kept before. A
password in the URL is not in it. Where no folder is named (a program that checks, a worker) nothing is kept.

Rejected: the journal (it keeps what was committed, merged of all sources, and not what one of them gave).
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import TypeVar

import msgspec

from confcast.config.sources.layer import fingerprint_of
from confcast.log_fields import about
from confcast.wire.decoders import decode
from confcast.wire.files import whole_files
from confcast.wire.messages import UNDECODABLE, WithSecrets

K = TypeVar("K", bound=msgspec.Struct)

PREFIX = "last_known-"
"""What the names of the files begin with."""

_MOST = 64  # files; of sources that are no longer used, the oldest are deleted
_DIGEST = 16
_log = logging.getLogger("confcast.loader")
_lock = threading.Lock()
_folder: Path | None = None
_outlives = True
_complaints = set[tuple[object, ...]]()


class Kept(WithSecrets, frozen=True):
    """A content that a server has given.

    Attributes:
        name: The URL, without a user and a password; its query may be secret. Then a digest of who asks, if it says so.
        form: The format that it was parsed in.
        body: The content.
        tag: Its ETag; empty for none.
        modified: Its Last-Modified; empty for none.
        at: When it was read, in seconds since 1970.
    """

    SHOWN = ("form", "at")

    name: str
    form: str
    body: bytes
    tag: str
    modified: str
    at: float


def keep_in(folder: Path | None, *, outlives: bool = True) -> None:
    """Keep contents in this folder from now on; None: nowhere. `outlives`: whether it is there after a stop."""
    global _folder, _outlives
    _folder, _outlives = folder, outlives
    _complaints.clear()


def outlives_a_stop() -> bool:
    """Whether contents are kept for a start after a stop."""
    return _folder is not None and _outlives


def save(kept: Kept, shown: str) -> None:
    """Keep a content in the place of an earlier one of the same name. A failure is logged once, and says `shown`."""
    folder = _folder
    if folder is None:
        return
    content = encoded(kept)
    with _lock:
        try:
            whole_files.put(folder, _file(kept.name), content)
            _prune(folder)
        except OSError as error:
            text = "what %s gave can't be kept in %s, so no server starts on it while that is not reached: %s"
            _warn_once(text, shown, folder, error.strerror)


def find(name: str, shown: str) -> Kept | None:
    """The content that was kept under this name; None for none, or a damaged one, which is logged once.

    Messages say `shown`.
    """
    folder = _folder
    if folder is None:
        return None
    path = folder / _file(name)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        _warn_once("%s can't be read, so what %s gave last is not known: %s", path, shown, error.strerror)
        return None
    kept = decoded(content, Kept)
    if kept is None or kept.name != name:
        _warn_once("%s is damaged, so what %s gave last is not known", path, shown)
        return None
    return kept


def _warn_once(text: str, *values: object) -> None:
    """Log it, unless it was logged: while a server does not answer, each poll finds the same again."""
    if (text, *values) not in _complaints:
        _complaints.add((text, *values))
        _log.warning(text, *values, extra=about("last_known_unreadable", path=values[0]))


def encoded(kept: msgspec.Struct) -> bytes:
    """What a file has of this: a digest, and behind it the Struct."""
    body = msgspec.msgpack.encode(kept)
    return fingerprint_of(body) + body


def decoded(content: bytes, kind: type[K]) -> K | None:
    """The Struct of this kind that a file has; None if it is half a file, a damaged one, or another kind's."""
    digest, body = content[:_DIGEST], content[_DIGEST:]
    if fingerprint_of(body) != digest:
        return None
    try:
        return decode(body, kind)
    except UNDECODABLE:
        return None


def _file(name: str) -> str:
    return PREFIX + fingerprint_of(name.encode(errors="surrogatepass")).hex()


def _prune(folder: Path) -> None:
    """Delete the oldest files, if there are too many. Raises OSError."""
    files = list(folder.glob(f"{PREFIX}*"))
    if len(files) > _MOST:
        for file in sorted(files, key=lambda each: each.stat().st_mtime)[:-_MOST]:
            file.unlink(missing_ok=True)
