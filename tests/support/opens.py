"""Who opens a file, as inotify reports it: how a test knows that another process has looked, without guessing when."""

from __future__ import annotations

import ctypes
import os
import select
from pathlib import Path

from tests.support.waiting import DEADLINE

_IN_OPEN = 0x20
_HEADER = 16  # struct inotify_event, without a name: the watch is on the file itself


class Opens:
    """The times that a file is opened, by whomever, from now on. A context manager. Linux."""

    def __init__(self, path: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0 or libc.inotify_add_watch(self._fd, os.fsencode(path), _IN_OPEN) < 0:
            raise OSError(ctypes.get_errno(), "no watch")

    def __enter__(self) -> Opens:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def forget(self) -> None:
        """Do not count what has happened by now."""
        while select.select([self._fd], [], [], 0)[0]:
            os.read(self._fd, 4096)

    def wait(self, count: int) -> None:
        """Return when it has been opened so often since it was last asked."""
        while count > 0:
            # Equal events that nobody has read yet are one: at the least so often.
            assert select.select([self._fd], [], [], DEADLINE)[0], (
                f"not opened {count} times more within {DEADLINE:g} s"
            )
            count -= len(os.read(self._fd, 4096)) // _HEADER
