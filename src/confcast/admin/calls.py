"""Asks owners in threads: the clients of owners block, and an owner that is stopped lets its callers wait.

Guarantees. The loop never waits for an owner. One owner has a bounded number of threads, so that one which hangs holds
up no other. Whoever comes past the bound waits for its turn, in the order of coming, for a bounded time: after a change
many pages ask at once, and each is answered. A thread that waits does not keep the process from ending.

Rejected: a pool (idle threads for questions that come a few times a minute; to start one takes some 60 µs),
`asyncio.to_thread` (one pool for all owners, whose threads are joined at the end), and a second client without threads
(all rules of waiting for an owner that is restarted would be written twice).
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter, deque
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from confcast.admin.problems import unavailable

T = TypeVar("T")


class Calls:
    """Runs blocking functions, at most so many for one owner at once. For one loop.

    Args:
        most: How many for one owner.
        turn_within: Seconds that a further one waits for its turn.
    """

    def __init__(self, most: int, turn_within: float) -> None:
        self._most, self._turn_within = most, turn_within
        self._running: Counter[str] = Counter()
        self._queues: dict[str, deque[asyncio.Future[None]]] = {}
        self._waiting: set[asyncio.Future[Any]] = set()

    async def do(self, whom: str, function: Callable[[], T]) -> T:
        """What the function returns or raises. A caller that is cancelled does not stop it.

        Args:
            whom: The owner that it asks.
            function: It may block, for a bounded time.

        Raises:
            ProblemError: Too many wait for this owner already, or the kernel gives no further thread.
        """
        await self._turn(whom)
        loop = asyncio.get_running_loop()
        done = self._future(loop)

        def run() -> None:
            try:
                result = function()
            except BaseException as error:
                _tell(loop, partial(self._over, whom, done, error=error))
            else:
                _tell(loop, partial(self._over, whom, done, result=result))

        try:
            threading.Thread(target=run, name="confcast-admin-call", daemon=True).start()
        except RuntimeError as error:
            self._free(whom)
            done.cancel()
            raise unavailable(f"this process can't ask: {error}") from None
        result: T = await done
        return result

    def _future(self, loop: asyncio.AbstractEventLoop) -> asyncio.Future[Any]:
        """What somebody waits for, until the process ends."""
        found: asyncio.Future[Any] = loop.create_future()
        self._waiting.add(found)
        found.add_done_callback(self._waiting.discard)
        return found

    async def _turn(self, whom: str) -> None:
        """Return with a place among those that run. Raises ProblemError."""
        if self._running[whom] < self._most:
            self._running[whom] += 1
            return
        turn = self._future(asyncio.get_running_loop())
        self._queues.setdefault(whom, deque()).append(turn)
        try:
            async with asyncio.timeout(self._turn_within):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._free(whom)  # the place was given just when nobody waited any more
            if not isinstance(error, TimeoutError):
                raise
            text = f"{self._most} other requests wait for this config owner: it hangs, or try again"
            raise unavailable(text) from None

    def _free(self, whom: str) -> None:
        """Give a place to who waits longest; those who have gone are passed over."""
        queue = self._queues.get(whom, ())
        while queue:
            turn = queue.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._queues.pop(whom, None)
        self._running[whom] -= 1
        if not self._running[whom]:
            del self._running[whom]

    def close(self) -> None:
        """Tell all who wait that the process ends."""
        for done in list(self._waiting):
            if not done.done():
                done.set_exception(unavailable("the admin server ends: what was asked for may still happen"))

    def _over(
        self, whom: str, done: asyncio.Future[T], *, result: T | None = None, error: BaseException | None = None
    ) -> None:
        self._free(whom)
        if done.done():  # the caller has gone
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]  # of this type if there was no error


def _tell(loop: asyncio.AbstractEventLoop, what: Callable[[], None]) -> None:
    try:
        loop.call_soon_threadsafe(what)
    except RuntimeError:  # the loop has been closed: nobody waits
        return
