"""Rooms: temporary folders in memory where the targets' files lie, which nobody keeps who has died.

A room is locked by its process as long as that lives: the kernel ends the lock of a process that was killed, or that
libFuzzer has ended, and neither of them removes anything. Whoever makes a room removes those that nobody has locked,
unless they are new: a room is there for a moment before it is locked.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.fuzz import bounds

PREFIX = "confcast-fuzz-"
NEW = 3600.0
"""Seconds in which a room is left alone that nobody has locked."""


@contextlib.contextmanager
def room(folder: str | None = bounds.MEMORY) -> Iterator[Path]:
    """A room for the block, in this folder; None: where temporary files are."""
    remove_the_abandoned(Path(folder or tempfile.gettempdir()))
    with tempfile.TemporaryDirectory(prefix=PREFIX, dir=folder, ignore_cleanup_errors=True) as made:
        lock = os.open(made, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield Path(made)
        finally:
            os.close(lock)


def remove_the_abandoned(folder: Path) -> None:
    """Remove the rooms in this folder whose processes have died."""
    for each in folder.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # another's, locked, or gone meanwhile
            if time.time() - each.stat().st_mtime > NEW:
                _remove_unless_locked(each)


def _remove_unless_locked(room: Path) -> None:
    lock = os.open(room, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(room, ignore_errors=True)
    finally:
        os.close(lock)
