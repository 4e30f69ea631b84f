"""Inputs for the owner's loop: what other threads and signal handlers post, and tasks for while the loop is idle.

`post` may be called from any thread and from a handler: it appends (atomic), and writes to a wakeup socket that the
loop's selector watches. A full socket needs no write: the loop will read it anyway. Rejected: `queue.SimpleQueue` (a
selector can't wait for it), and a lock (a handler that interrupts the thread that holds it hangs).

Idle tasks move the journal, or copy it for the next generation. Rejected: running them at once (between the order to
write and its outcome the journal must not be replaced), and timers of the core (which knows no files).
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
        """The descriptor for a selector: readable while something may be in the mailbox."""
        return self._wakeup_r.fileno()

    @property
    def wakeup_fd(self) -> int:
        """The descriptor for `signal.set_wakeup_fd`, so that a signal ends the selector's wait."""
        return self._wakeup_w.fileno()

    def post(self, item: Item) -> None:
        """Add an item, and wake the loop. May be called from any thread, and from a signal handler."""
        self._items.append(item)
        with contextlib.suppress(BlockingIOError):
            self._wakeup_w.send(b"\0")

    def take(self) -> list[Item]:
        """Everything that was posted, in its order; for the loop. It reads wakeups first, so that none is missed."""
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
"""An idle task. It returns the seconds until its next call; 0 for none."""


class IdleTasks:
    """Jobs, and when they are due on the monotonic clock, in seconds. For one thread."""

    def __init__(self) -> None:
        self._jobs: list[tuple[float, Job]] = []

    def add(self, job: Job) -> None:
        """Add a job that is due now."""
        self._jobs.append((0.0, job))

    def next(self) -> list[float]:
        """The times at which jobs are due, one for each job."""
        return [when for when, _ in self._jobs]

    def do(self, now: float) -> None:
        """Run the jobs that are due. A job may add another one."""
        jobs, self._jobs = self._jobs, []
        for when, job in jobs:
            again = job() if when <= now else when - now
            if again:
                self._jobs.append((now + again, job))


class LogRotated:
    """Posted when a signal says that the log file was rotated."""
