"""Asks owners in threads: the clients of owners block, and an owner that is stopped lets its callers wait.

Guarantees. The loop never waits for an owner. One owner has a bounded number of threads, so that one which hangs holds
up no other; whoever comes past the bound is told at once. A thread that waits does not keep the process from ending.

Rejected: a pool (idle threads for questions that come a few times a minute; to start one takes some 60 µs),
`asyncio.to_thread` (one pool for all owners, whose threads are joined at the end), and a second client without threads
(all rules of waiting for an owner that is restarted would be written twice).
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from confcast.admin.problems import unavailable

T = TypeVar("T")


class Calls:
    """Runs blocking functions, at most so many for one owner at once. For one loop.

    Args:
        most: How many for one owner.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._running: Counter[str] = Counter()
        self._waiting: set[asyncio.Future[Any]] = set()

    async def do(self, whom: str, function: Callable[[], T]) -> T:
        """What the function returns or raises. A caller that is cancelled does not stop it.

        Args:
            whom: The owner that it asks.
            function: It may block, for a bounded time.

        Raises:
            ProblemError: Too many wait for this owner already.
        """
        if self._running[whom] >= self._most:
            raise unavailable(f"{self._most} other requests wait for this config owner: it hangs, or try again")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()
        self._running[whom] += 1
        self._waiting.add(done)
        done.add_done_callback(self._waiting.discard)

        def run() -> None:
            try:
                result = function()
            except BaseException as error:
                _tell(loop, partial(self._over, whom, done, error=error))
            else:
                _tell(loop, partial(self._over, whom, done, result=result))

        threading.Thread(target=run, name="confcast-admin-call", daemon=True).start()
        return await done

    def close(self) -> None:
        """Tell all who wait that the process ends."""
        for done in list(self._waiting):
            if not done.done():
                done.set_exception(unavailable("the admin server ends: what was asked for may still happen"))

    def _over(
        self, whom: str, done: asyncio.Future[T], *, result: T | None = None, error: BaseException | None = None
    ) -> None:
        self._running[whom] -= 1
        if not self._running[whom]:
            del self._running[whom]
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
