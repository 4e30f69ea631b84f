"""The one way into the owner's loop from its other threads and from signal handlers.

`post` may be called from any thread and from a handler: it appends (atomic) and pokes a socket that the loop's
selector watches. A poke that finds the socket full is not needed: what filled it has yet to be read. Rejected:
`queue.SimpleQueue` (a selector can't wait for it), and a lock (a handler that interrupts its holder hangs).

What the owner's loop does when nothing is under way: a move, a copy of the journal for the next generation.

Rejected: doing it at once (between the ordering of a write and its outcome the journal must not be exchanged), and
timers of the core's (it knows of no files).
"""

from __future__ import annotations

import contextlib
import socket
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Mailbox(Generic[Item]):
    """A queue with a descriptor that is readable while something may be in it."""

    def __init__(self) -> None:
        self._items: deque[Item] = deque()
        self._wakeup_r, self._wakeup_w = socket.socketpair()
        for end in (self._wakeup_r, self._wakeup_w):
            end.setblocking(False)

    def fileno(self) -> int:
        """For a selector."""
        return self._wakeup_r.fileno()

    @property
    def wakeup_fd(self) -> int:
        """For `signal.set_wakeup_fd`: a signal ends the selector's wait."""
        return self._wakeup_w.fileno()

    def post(self, item: Item) -> None:
        """From any thread, and from a signal handler."""
        self._items.append(item)
        with contextlib.suppress(BlockingIOError):
            self._wakeup_w.send(b"\0")

    def take(self) -> list[Item]:
        """Everything that was posted, in its order; for the loop. Pokes are read first, so that none is missed."""
        with contextlib.suppress(BlockingIOError):
            while len(self._wakeup_r.recv(4096)) == 4096:
                pass
        taken = []
        while self._items:
            taken.append(self._items.popleft())
        return taken

    def close(self) -> None:
        """Close the sockets; nothing may be posted afterwards."""
        self._wakeup_r.close()
        self._wakeup_w.close()


Job = Callable[[], float]
"""Gives the seconds until it wants to be called again; 0 for never."""


class IdleTasks:
    """Jobs, and when they are due, in seconds of a clock that only goes forward. For one thread."""

    def __init__(self) -> None:
        self._jobs: list[tuple[float, Job]] = []

    def add(self, job: Job) -> None:
        """Due from now on."""
        self._jobs.append((0.0, job))

    def next(self) -> list[float]:
        """When they are due."""
        return [when for when, _ in self._jobs]

    def do(self, now: float) -> None:
        """What is due. A job may add another one."""
        jobs, self._jobs = self._jobs, []
        for when, job in jobs:
            again = job() if when <= now else when - now
            if again:
                self._jobs.append((now + again, job))


class LogRotated:
    """In the mailbox: a signal says that the log file is another one now."""
