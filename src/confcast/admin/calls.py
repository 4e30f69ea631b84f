"""Asks owners in threads: the clients of owners block, and an owner that is stopped lets its callers wait.

Guarantees. The loop never waits for an owner. One owner has a bounded number of threads, so that one which hangs holds
up no other; whoever comes beside them waits for a turn, for a bounded time, and past a bound is told at once. A thread
that waits does not keep the process from ending.

Rejected: a pool (idle threads for questions that come a few times a minute; to start one takes some 60 µs),
`asyncio.to_thread` (one pool for all owners, whose threads are joined at the end), and a second client without threads
(all rules of waiting for an owner that is restarted would be written twice).
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from confcast.admin.problems import ProblemError, unavailable

T = TypeVar("T")


class _Lane:
    """The calls of one owner: how many run, and who waits for a turn."""

    def __init__(self) -> None:
        self.running = 0
        self.queue: deque[asyncio.Future[None]] = deque()


class Calls:
    """Runs blocking functions, at most so many for one owner at once. For one loop.

    Args:
        most: How many for one owner.
        waiting: How many more may wait for a turn.
        patience: Seconds that each of these waits.
    """

    def __init__(self, most: int, waiting: int = 64, patience: float = 5.0) -> None:
        self._most, self._waiting, self._patience = most, waiting, patience
        self._lanes: dict[str, _Lane] = {}
        self._pending: set[asyncio.Future[Any]] = set()

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
        done: asyncio.Future[T] = self._promise()

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
            self._leave(whom)
            done.cancel()
            raise unavailable(f"this process can't ask: {error}") from None
        return await done

    def close(self) -> None:
        """Tell all who wait that the process ends."""
        for each in list(self._pending):
            if not each.done():
                each.set_exception(unavailable("the admin server ends: what was asked for may still happen"))

    def _promise(self) -> asyncio.Future[Any]:
        made: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._pending.add(made)
        made.add_done_callback(self._pending.discard)
        return made

    async def _turn(self, whom: str) -> None:
        """Wait for a turn. Raises ProblemError."""
        lane = self._lanes.setdefault(whom, _Lane())
        if lane.running < self._most:
            lane.running += 1
            return
        if len(lane.queue) >= self._waiting:
            raise self._crowded()
        turn = self._promise()
        lane.queue.append(turn)
        try:
            async with asyncio.timeout(self._patience):
                await turn
        except BaseException as error:
            if turn in lane.queue:
                lane.queue.remove(turn)
            elif not turn.cancelled() and turn.exception() is None:  # it came in the moment of the end of the wait
                self._leave(whom)
            if isinstance(error, TimeoutError):
                raise self._crowded() from None
            raise

    def _crowded(self) -> ProblemError:
        return unavailable(f"{self._most} other requests wait for this config owner: it hangs, or try again")

    def _leave(self, whom: str) -> None:
        """Give the turn to whoever waits for it."""
        lane = self._lanes[whom]
        while lane.queue:
            if not (turn := lane.queue.popleft()).done():
                turn.set_result(None)
                return
        lane.running -= 1
        if not lane.running:
            del self._lanes[whom]

    def _over(
        self, whom: str, done: asyncio.Future[T], *, result: T | None = None, error: BaseException | None = None
    ) -> None:
        self._leave(whom)
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
