"""Small files in a run-time folder that are read whole or not at all.

A file is written under a name of its own and renamed: a reader sees the one content or the other, never half of one. It
is 0600. Rejected: `tempfile` (what a killed writer left would stay; of one name, the next writer overwrites it).
"""

from __future__ import annotations

import os
from pathlib import Path


def put(folder: Path, name: str, body: bytes, *, uid: int = -1) -> None:
    """Put this content into the folder under this name, and give the file to this uid (-1: to nobody). Raises OSError.

    One process at a time writes a name.
    """
    fresh, place = f"{folder}/.{name}", f"{folder}/{name}"  # at each commit: a Path takes as long as a call
    try:
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.fchown(fd, uid, -1)
            while body:
                body = body[os.write(fd, body) :]
        finally:
            os.close(fd)
        os.rename(fresh, place)  # noqa: PTH104
    except OSError:
        Path(fresh).unlink(missing_ok=True)  # half a file would keep a full disk full
        raise
