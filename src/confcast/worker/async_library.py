"""asyncio or trio, whichever runs the caller: a thread for a call that blocks, and waking a task from another thread.

trio is looked for only where the program has imported it, and is never imported here; anyio's tasks are those of the
one or the other. Where neither runs, a RuntimeError says so, and what to do.

Rejected: anyio (a dependency of every worker, for the few that use trio), and asyncio alone (under trio it finds "no
running event loop", which tells nobody what to do).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextvars import Context
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar

if TYPE_CHECKING:  # 6 MiB, which a worker without a loop need not pay
    import asyncio

P = ParamSpec("P")
R = TypeVar("R")


class Waker(Protocol):
    """Wakes the one task that has made it."""

    async def wait(self) -> None:
        """Until it was woken since the last wait."""

    def wake(self, before: Callable[[], None]) -> bool:
        """Call `before` where the task runs, and wake it. From any thread. False: that loop has ended."""


async def in_thread(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call it in a thread of the loop's. Who cancels the await stops waiting; the call goes on.

    Raises:
        RuntimeError: Neither asyncio nor trio runs the caller.
    """
    if (trio := _running_trio()) is not None:
        result: R = await trio.to_thread.run_sync(partial(function, *args, **kwargs), abandon_on_cancel=True)
        return result
    import asyncio

    _running_loop()
    return await asyncio.to_thread(function, *args, **kwargs)


def waker() -> Waker:
    """For the task that asks. Raises RuntimeError: neither asyncio nor trio runs it."""
    trio = _running_trio()
    return _OnAsyncio(_running_loop()) if trio is None else _OnTrio(trio)


def is_on_trio() -> bool:
    """Whether the caller is a task of trio's."""
    return _running_trio() is not None


def call_on(loop: asyncio.AbstractEventLoop, function: Callable[..., object], *arguments: Any) -> bool:
    """Call it on the loop, in an empty context. From any thread. False: the loop is closed."""
    try:
        loop.call_soon_threadsafe(function, *arguments, context=Context())
    except RuntimeError:
        if not loop.is_closed():
            raise
        return False
    return True


def is_ending(error: BaseException) -> bool:
    """In a handler on a loop: whether the task itself is being ended, and not only something that it awaited."""
    import asyncio

    if isinstance(error, GeneratorExit):
        return True
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0


class _OnAsyncio:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        import asyncio

        self._loop = loop
        self._woken = asyncio.Event()

    async def wait(self) -> None:
        await self._woken.wait()
        self._woken.clear()

    def wake(self, before: Callable[[], None]) -> bool:
        return call_on(self._loop, self._wake, before)

    def _wake(self, before: Callable[[], None]) -> None:
        before()
        self._woken.set()


class _OnTrio:
    def __init__(self, trio: Any) -> None:
        self._trio = trio
        self._token = trio.lowlevel.current_trio_token()
        self._woken = trio.Event()

    async def wait(self) -> None:
        await self._woken.wait()
        self._woken = self._trio.Event()  # trio's can't be cleared

    def wake(self, before: Callable[[], None]) -> bool:
        try:
            self._token.run_sync_soon(self._wake, before)
        except self._trio.RunFinishedError:
            return False
        return True

    def _wake(self, before: Callable[[], None]) -> None:
        before()
        self._woken.set()


def _running_trio() -> Any | None:
    """trio, if the caller is a task of it. By sniffio where that is there: trio-asyncio runs both kinds in one task."""
    trio, sniffio = sys.modules.get("trio"), sys.modules.get("sniffio")
    if trio is None:
        return None
    try:
        found = sniffio.current_async_library() if sniffio is not None else trio.lowlevel.current_task() and "trio"
    except RuntimeError:  # no task at all
        return None
    return trio if found == "trio" else None


def _running_loop() -> asyncio.AbstractEventLoop:
    import asyncio

    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError(
            "neither asyncio nor trio runs this coroutine: await it there, or call the verb without the a before its "
            "name, in a thread"
        ) from None
