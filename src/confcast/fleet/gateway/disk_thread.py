"""One thread for all that may block on a disk.

A thread that waits for a disk can't be ended, so it is a daemon: the process may end without it. Rejected:
`asyncio.to_thread`, whose threads are joined at the end of the loop and of the process.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from functools import partial
from typing import TypeVar

_T = TypeVar("_T")
_Job = Callable[[], None]


class DiskThread:
    """Runs functions, one after the other, in a thread that begins with the first."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    async def do(self, function: Callable[[], _T]) -> _T:
        """What the function returns or raises. A cancelled caller does not stop it."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[_T] = loop.create_future()

        def job() -> None:
            try:
                result = function()
            except Exception as error:
                _tell(loop, done, partial(done.set_exception, error))
            else:
                _tell(loop, done, partial(done.set_result, result))

        self._jobs.put(job)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="confcast-gateway-disk", daemon=True)
            self._thread.start()
        return await done

    def close(self, seconds: float) -> None:
        """End the thread once it has done what it was given. Waits this long for that."""
        if self._thread is not None:
            self._jobs.put(None)
            self._thread.join(seconds)

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()


def _tell(loop: asyncio.AbstractEventLoop, done: asyncio.Future[_T], how: Callable[[], None]) -> None:
    def tell() -> None:
        if not done.done():
            how()

    try:
        loop.call_soon_threadsafe(tell)
    except RuntimeError:  # the loop has been closed: nobody waits
        return
