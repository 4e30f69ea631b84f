"""What signals and other threads ask of the main thread, and its wait for them.

Guaranteed: whoever posts ends the wait, and so does a signal, at whatever moment it comes and whichever thread the
kernel gives it to: the interpreter writes its number into a socket at once (`signal.set_wakeup_fd`), and its handler
runs before the next wait.

Rejected: a wait for `queue.SimpleQueue.get()`. A signal that comes between the interpreter's last look and that wait,
or that another thread takes, ends it not: the handler would run with the next event, and a HUP got no answer meanwhile.
"""

from __future__ import annotations

import contextlib
import select
import signal
import socket
from collections import deque
from collections.abc import Callable, Iterator

Event = Callable[[], object]
"""What the main thread calls."""


class Events:
    """A queue that the main thread takes from, and anybody posts to."""

    def __init__(self) -> None:
        self._waiting: deque[Event] = deque()  # its append may interrupt an append
        self._wakeup_w: socket.socket | None = None
        self._wakeup_r: socket.socket | None = None

    @contextlib.contextmanager
    def awaited(self) -> Iterator[None]:
        """For the block, have signals, and whoever posts, end the wait. For the main thread."""
        with contextlib.ExitStack() as held:
            self._wakeup_r, self._wakeup_w = map(held.enter_context, socket.socketpair())
            for end in (self._wakeup_r, self._wakeup_w):
                end.setblocking(False)
            held.callback(
                signal.set_wakeup_fd, signal.set_wakeup_fd(self._wakeup_w.fileno(), warn_on_full_buffer=False)
            )
            yield

    def post(self, event: Event) -> None:
        """Add one. For any thread, and for signal handlers; once nothing is awaited any more, nothing comes of it."""
        self._waiting.append(event)
        if self._wakeup_w is not None:
            with contextlib.suppress(OSError):  # it is full, so that the wait ends anyway; or closed
                self._wakeup_w.send(b"\0")

    def next(self, timeout: float | None) -> Event | None:
        """The oldest; None if there is none within these seconds. For the main thread, while they are awaited."""
        assert self._wakeup_r is not None
        poller = select.poll()
        poller.register(self._wakeup_r, select.POLLIN)
        while not self._waiting:
            if not poller.poll(None if timeout is None else int(timeout * 1000) + 1):
                return None
            with contextlib.suppress(BlockingIOError):
                self._wakeup_r.recv(4096)
        return self._waiting.popleft()
