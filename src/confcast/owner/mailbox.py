"""The one way into the owner's loop from its other threads and from signal handlers.

`post` may be called from any thread and from a handler: it appends (atomic) and pokes a socket that the loop's
selector watches. A poke that finds the socket full is not needed: what filled it has yet to be read. Rejected:
`queue.SimpleQueue` (a selector can't wait for it), and a lock (a handler that interrupts its holder hangs).
"""

from __future__ import annotations

import contextlib
import socket
from collections import deque
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Mailbox(Generic[Item]):
    """A queue with a descriptor that is readable while something may be in it."""

    def __init__(self) -> None:
        self._items: deque[Item] = deque()
        self._ear, self._mouth = socket.socketpair()
        for end in (self._ear, self._mouth):
            end.setblocking(False)

    def fileno(self) -> int:
        """For a selector."""
        return self._ear.fileno()

    @property
    def wakeup_fd(self) -> int:
        """For `signal.set_wakeup_fd`: a signal ends the selector's wait."""
        return self._mouth.fileno()

    def post(self, item: Item) -> None:
        """From any thread, and from a signal handler."""
        self._items.append(item)
        with contextlib.suppress(BlockingIOError):
            self._mouth.send(b"\0")

    def take(self) -> list[Item]:
        """Everything that was posted, in its order; for the loop. Pokes are read first, so that none is missed."""
        with contextlib.suppress(BlockingIOError):
            while len(self._ear.recv(4096)) == 4096:
                pass
        taken = []
        while self._items:
            taken.append(self._items.popleft())
        return taken

    def close(self) -> None:
        """Close the sockets; nothing may be posted afterwards."""
        self._ear.close()
        self._mouth.close()
