"""Threads and wake-ups for the caller's async library, asyncio or trio: a call that blocks, a task that waits.

trio is used only where the program has imported it, and is never imported here; anyio's tasks are tasks of the one or
the other. Where neither runs the caller, a RuntimeError says so, and says what to do.

Rejected: anyio (a dependency of every worker, for the few that use trio), and asyncio alone (under trio it raises "no
running event loop", which does not say what to do).
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from contextvars import Context
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar

if TYPE_CHECKING:  # importing it takes 6 MiB, which a worker without a loop need not pay
    import asyncio

P = ParamSpec("P")
R = TypeVar("R")


class Waker(Protocol):
    """Wakes the task that made this object, and no other task."""

    async def wait(self) -> None:
        """Return once `wake` has been called since the last wait."""

    def wake(self, before: Callable[[], None]) -> bool:
        """Call `before` in the task's thread, and wake the task; from any thread. False: the task's loop has ended."""


async def in_thread(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call a function in a thread of the loop's. A caller that cancels the await stops waiting; the call goes on.

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
    """Make a waker for the calling task. Raises RuntimeError: neither asyncio nor trio runs the caller."""
    trio = _running_trio()
    return _OnAsyncio(_running_loop()) if trio is None else _OnTrio(trio)


def is_on_trio() -> bool:
    """Whether trio runs the caller."""
    return _running_trio() is not None


def call_on(loop: asyncio.AbstractEventLoop, function: Callable[..., object], *arguments: Any) -> bool:
    """Call a function on the loop, in an empty context; from any thread. Returns False if the loop is closed."""
    try:
        loop.call_soon_threadsafe(function, *arguments, context=Context())
    except RuntimeError:
        if not loop.is_closed():
            raise
        return False
    return True


def is_ending(error: BaseException) -> bool:
    """Whether this error, caught on a loop, ends the task itself, and not only something that the task awaited."""
    import asyncio

    if isinstance(error, GeneratorExit):
        return True
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0


def is_async(function: Callable[..., Any]) -> bool:
    """Whether calling this gives a coroutine: it is a coroutine function, or its class's `__call__` is one."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(type(function), "__call__"))  # noqa: B004, B009


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
        self._woken = self._trio.Event()  # an event of trio's can't be cleared, so a new one is made

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
    """trio, if it runs the caller. Asks sniffio, if that is imported: trio-asyncio runs both libraries in one task."""
    trio, sniffio = sys.modules.get("trio"), sys.modules.get("sniffio")
    if trio is None:
        return None
    try:
        found = sniffio.current_async_library() if sniffio is not None else trio.lowlevel.current_task() and "trio"
    except RuntimeError:  # the caller is in no task
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
