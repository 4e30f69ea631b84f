"""Small files in a runtime directory, replaced atomically.

A file of mode 0600 is written under a temporary name and renamed: a reader gets the old content or the new, never a
part. Rejected: `tempfile` (a killed writer's file would stay; under a fixed name the next writer overwrites it).
"""

from __future__ import annotations

import os
from pathlib import Path


def put(folder: Path, name: str, body: bytes, *, uid: int = -1, gid: int = -1, durable: bool = False) -> None:
    """Write this content into the folder under this name, for this uid (-1: for this process's). Raises OSError.

    `gid`: a group that may read it, too; -1: none, and the mode is 0600. Only one process at a time may write a name.
    `durable`: it is on disk when this returns, also if the machine stops.
    """
    fresh, place = f"{folder}/.{name}", f"{folder}/{name}"  # at each commit: a Path takes as long as a system call
    try:
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.fchown(fd, uid, gid)
            if gid >= 0:
                os.fchmod(fd, 0o640)
            while body:
                body = body[os.write(fd, body) :]
            if durable:
                os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(fresh, place)  # noqa: PTH104
        if durable:
            _sync(folder)
    except OSError as error:
        Path(fresh).unlink(missing_ok=True)  # half a file would keep a full disk full
        raise named(error, place) from None


def named(error: OSError, path: str) -> OSError:
    """The error, which says which file it is about: of a call that takes a descriptor it does not by itself."""
    if error.filename is None:
        error.filename = path
    return error


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
