"""Events of directories: a wait ends when something has happened in one of them, and wakes up for nothing else.

On Linux the events come from inotify itself. On other systems they come from watchfiles, whose `watch` has no blocking
form: it looks into a queue 50 times a second, which wakes up an owner at rest 2,900 times a minute. Rejected: longer
steps between these looks (a change would be noticed as much later), waiting for watchfiles' own inotify descriptor (its
thread may empty the descriptor first), `F_NOTIFY` (it sends signals), and another package for a hundred lines.

What an event says is not relied on: each means "look again" (watcher.py). Only an event of a watched directory itself
is told apart, by its path: the watch may have ended with it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import struct
import sys
from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

from confcast.log_fields import about

_log = logging.getLogger("confcast.watch")

_ANYTHING = 0xFCE
"""Bits of inotify(7): modified, attributes, written, moved from and to, created, deleted; the directory, too."""
_ONLY_DIRECTORIES = 0x1000000
_EVENT = struct.Struct("iIII")
"""The number of a watch, what happened, a cookie, and the length of the name that follows."""
_MOST_READ = 65536


class Wakeup:
    """A `threading.Event` with a descriptor, which a poll can wait for together with others."""

    def __init__(self) -> None:
        self._readable, self._writable = os.pipe()
        os.set_blocking(self._readable, False)
        os.set_blocking(self._writable, False)

    def __del__(self) -> None:
        os.close(self._readable)
        os.close(self._writable)

    def fileno(self) -> int:
        """The descriptor; readable while this is set."""
        return self._readable

    def set(self) -> None:
        """End each wait for it, now and until `clear`. From any thread."""
        with contextlib.suppress(BlockingIOError):  # the pipe is full, so it is set
            os.write(self._writable, b"\0")

    def clear(self) -> None:
        """Make the next wait last until `set` is called again."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self._readable, _MOST_READ):
                pass

    def is_set(self) -> bool:
        """Return whether it is set."""
        return self.wait(0.0)

    def wait(self, seconds: float) -> bool:
        """Wait up to so many seconds. Returns whether it is set."""
        return bool(_readable(seconds, self.fileno()))


class DirEvents(Protocol):
    """The events of some directories since this object was made. For one thread."""

    def wait(self, seconds: float, step: float) -> set[str]:
        """Wait for events. Returns their paths; none if `seconds` have passed, or the wakeup was set.

        It returns once no event came for `step` seconds, or after two such steps: one change makes several events.
        Raises the system's error, or watchfiles'.
        """

    def close(self) -> None:
        """End the watches. A second call does nothing."""


def events_in(dirs: list[str], wakeup: Wakeup) -> DirEvents:
    """Watch these directories, by the best means of this system. Arguments and errors as of `Polled`."""
    if sys.platform == "linux":
        try:
            libc = _libc()
        except Exception as error:  # whatever it is: without watches nothing would ever be noticed
            _log.debug(
                "inotify can't be called, so watchfiles is asked: %s: %s",
                type(error).__name__,
                error,
                extra=about("inotify_unusable", error=error),
            )
        else:
            return Inotify(dirs, wakeup, libc)
    return Polled(dirs, wakeup)


class _Libc(NamedTuple):
    """The C library's functions; each returns -1 for an error, of which `get_errno` then tells the number."""

    init: Callable[[int], int]
    add_watch: Callable[[int, bytes, int], int]
    get_errno: Callable[[], int]


def _libc() -> _Libc:
    """Find inotify in the C library.

    Raises ImportError (a Python that was built without libffi), OSError (a program that was linked statically),
    AttributeError (a C library without inotify), MemoryError (libffi may make no code, as some systems are hardened).
    """
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    return _Libc(libc.inotify_init1, libc.inotify_add_watch, ctypes.get_errno)


class Inotify:
    """The events of some directories, by inotify.

    Args:
        dirs: Paths without links.
        wakeup: Ends a wait.
        libc: What `_libc` has found.

    Raises:
        FileNotFoundError: One of the directories is gone.
        OSError: The system gives no more watches, or descriptors.
    """

    def __init__(self, dirs: Iterable[str], wakeup: Wakeup, libc: _Libc | None = None) -> None:
        libc = libc or _libc()

        def number(result: int) -> int:
            if result < 0:
                raise OSError(libc.get_errno(), os.strerror(libc.get_errno()))
            return result

        self._wakeup = wakeup
        self._dirs: dict[int, str] = {}
        self._fd = number(libc.init(os.O_NONBLOCK | os.O_CLOEXEC))
        try:
            for path in dirs:
                watch = libc.add_watch(self._fd, os.fsencode(path), _ANYTHING | _ONLY_DIRECTORIES)
                self._dirs[number(watch)] = path
        except NotADirectoryError as error:  # the directory is gone, and a file is in its place
            self.close()
            raise FileNotFoundError(error.errno, error.strerror) from None
        except BaseException:
            self.close()
            raise

    def wait(self, seconds: float, step: float) -> set[str]:
        """See `DirEvents`."""
        if self._fd not in _readable(seconds, self._fd, self._wakeup.fileno()):
            return set()
        found = self._read()
        for _ in range(2):
            if self._wakeup.wait(step) or not (more := self._read()):
                break
            found |= more
        return found

    def close(self) -> None:
        """See `DirEvents`."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _read(self) -> set[str]:
        try:
            data = os.read(self._fd, _MOST_READ)
        except BlockingIOError:
            return set()
        found: set[str] = set()
        place = 0
        while place < len(data):
            watch, _, _, length = _EVENT.unpack_from(data, place)
            place += _EVENT.size + length
            name = os.fsdecode(data[place - length : place].rstrip(b"\0"))
            if watch in self._dirs:
                found.add(os.path.join(self._dirs[watch], name) if name else self._dirs[watch])  # noqa: PTH118
            else:  # the kernel's queue was full, and dropped events of any of them
                found.update(self._dirs.values())
        return found


class Polled:
    """The events of some directories, by watchfiles. Arguments and errors as of `Inotify`, or watchfiles' own."""

    def __init__(self, dirs: Iterable[str], wakeup: Wakeup) -> None:
        from watchfiles._rust_notify import (
            RustNotify,
        )  # not on Linux: 4 % of an owner's start

        self._wakeup = wakeup
        self._notify = RustNotify(list(dirs), False, False, 0, False, False)

    def wait(self, seconds: float, step: float) -> set[str]:
        """See `DirEvents`."""
        timeout, step = max(1, int(seconds * 1000)), max(1, int(step * 1000))
        events = self._notify.watch(1, step, timeout, self._wakeup)
        return {path for _, path in events} if isinstance(events, set) else set()

    def close(self) -> None:
        """See `DirEvents`."""
        self._notify.close()


def _readable(seconds: float, *fds: int) -> list[int]:
    poller = select.poll()
    for fd in fds:
        poller.register(fd, select.POLLIN)
    return [fd for fd, _ in poller.poll(max(0.0, seconds * 1000))]
