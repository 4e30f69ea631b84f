"""An observer's calls on an event loop: in the order of versions, and one at a time.

A call that awaits is over before the next one begins, as in a thread: an observer that applies settings need not be
written for two versions at once. Calls that wait for their turn are kept, so a slow observer misses nothing; an
application that wants only the newest reads `changes()`. Observers on one loop do not wait for each other.

Calls run in an empty context: a pin of the subscriber's does not hold in later calls. Calls that wait when the loop
ends are dropped with it.

Rejected: a task for each call (two versions would be applied at once, and end in any order), and cancelling a call
that is overtaken (an observer would be stopped half way through what it applies).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from confcast.worker.async_library import call_on
from confcast.worker.observers.delivery import Delivery

if TYPE_CHECKING:  # 6 MiB, which a worker without a loop need not pay
    import asyncio


class OnLoop:
    """The calls of one observer; `call` makes one, awaited on the loop, and raises only what the loop is to handle."""

    def __init__(self, loop: asyncio.AbstractEventLoop, call: Callable[[Delivery], Coroutine[Any, Any, None]]) -> None:
        self._loop = loop
        self._call = call
        self._waiting: deque[Delivery] = deque()  # touched on the loop only
        self._task: asyncio.Task[None] | None = None

    def put(self, delivery: Delivery) -> bool:
        """Have the call made after all that were put before. From any thread. False: the loop is closed."""
        # Without an argument: of a callback that is slow or raises, asyncio logs the arguments.
        return call_on(self._loop, lambda: self._arrived(delivery))

    def _arrived(self, delivery: Delivery) -> None:
        self._waiting.append(delivery)
        if self._task is None or self._task.done():
            self._task = self._loop.create_task(self._call_all())  # kept here: a loop has weak references only

    async def _call_all(self) -> None:
        while self._waiting:
            await self._call(self._waiting.popleft())
