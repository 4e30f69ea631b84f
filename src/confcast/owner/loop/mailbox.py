"""Inputs for the owner's loop: what other threads post, which signals came, and tasks for while the loop is idle.

`post` may be called from any thread: it appends (atomic), and writes to a wakeup socket that the loop's selector
watches, unless the loop has yet to read such a write. A signal is read out of that socket, too: the interpreter writes
its number there at once (`signal.set_wakeup_fd`), while its handler would wait for the main thread. So nothing but
signals can fill the socket, and of hundreds that the loop has not read yet one is enough.
Rejected: `queue.SimpleQueue` (a selector can't wait for it), and a lock (a handler that interrupts the thread that
holds it hangs).

Idle tasks fold the journal, move it, or copy it for the next generation. Rejected: running them at once (between the
order of a write and its outcome the journal must not be exchanged), and timers of the core (which knows of no files).
"""

from __future__ import annotations

import contextlib
import socket
from collections import deque
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Mailbox(Generic[Item]):
    """A queue with a descriptor that is readable while something may be in it.

    Args:
        of_signal: The item that a signal stands for, by its number; other signals stand for none.
    """

    def __init__(self, of_signal: Mapping[int, Item] | None = None) -> None:
        self._of_signal = of_signal or {}
        self._is_woken = False  # by `post`, and `take` has not come to it yet
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
        self.wake()

    def wake(self) -> None:
        """Wake the loop, for which nothing need be in the mailbox. May be called as `post` may."""
        if not self._is_woken:
            self._is_woken = True
            with contextlib.suppress(BlockingIOError):
                self._wakeup_w.send(b"\0")

    def take(self) -> list[Item]:
        """Everything that was posted, in its order; for the loop. Wakeups are read first, so that none is missed."""
        woken = b""
        with contextlib.suppress(BlockingIOError):
            while len(woken) % 4096 == 0 and (more := self._wakeup_r.recv(4096)):
                woken += more
        self._is_woken = False  # before the items are taken: who posts from now on wakes the loop once more
        taken = [self._of_signal[number] for number in dict.fromkeys(woken) if number in self._of_signal]
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
        self._jobs: dict[Job, float] = {}

    def add(self, job: Job, when: float = 0.0) -> None:
        """Add a job that is due then, or now. One that is there already is due at the earlier of the two times."""
        self._jobs[job] = min(when, self._jobs.get(job, when))

    def next(self) -> list[float]:
        """The times at which jobs are due, one for each job."""
        return list(self._jobs.values())

    def do(self, now: float) -> None:
        """Run the jobs that are due. A job may add another one."""
        for job in [job for job, when in self._jobs.items() if when <= now]:
            del self._jobs[job]
            if again := job():
                self.add(job, now + again)


class LogRotated:
    """Posted when a signal says that the log file was rotated."""
