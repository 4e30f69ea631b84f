"""An observer's calls on an event loop: in the order of versions, and one at a time.

A call that awaits ends before the next one begins, as in a thread: an observer that applies settings need not handle
two versions at once. Calls that wait for their turn are kept, so a slow observer misses nothing; an application that
wants only the newest reads `changes()`. Observers on one loop do not wait for each other.

Calls run in an empty context: a pin of the subscriber does not apply to later calls. Calls that wait when the loop ends
are dropped.

Rejected: a task for each call (two versions would be applied at once, and end in any order), and cancelling a call when
a newer version comes (an observer would be stopped while it applies settings).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from confcast.worker.async_library import call_on
from confcast.worker.observers.delivery import Delivery

if TYPE_CHECKING:  # importing it takes 6 MiB, which a worker without a loop need not pay
    import asyncio


class OnLoop:
    """The calls of one observer; `call` makes one, awaited on the loop, and raises only what the loop is to handle."""

    def __init__(self, loop: asyncio.AbstractEventLoop, call: Callable[[Delivery], Coroutine[Any, Any, None]]) -> None:
        self._loop = loop
        self._call = call
        self._waiting: deque[Delivery] = deque()  # used on the loop only
        self._task: asyncio.Task[None] | None = None

    def put(self, delivery: Delivery) -> bool:
        """Queue a call after those that were queued before; from any thread. Returns False if the loop is closed."""
        # A lambda without arguments, since asyncio logs the arguments of a callback that is slow or raises.
        return call_on(self._loop, lambda: self._arrived(delivery))

    def _arrived(self, delivery: Delivery) -> None:
        self._waiting.append(delivery)
        if self._task is None or self._task.done():
            self._task = self._loop.create_task(self._call_all())  # kept here, since a loop has weak references only

    async def _call_all(self) -> None:
        while self._waiting:
            await self._call(self._waiting.popleft())
