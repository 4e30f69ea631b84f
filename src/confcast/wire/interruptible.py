"""An event loop that is run step by step, and that Ctrl-C interrupts at any moment in the same way.

Guaranteed, in the main thread: a Ctrl-C while a step runs cancels it, and `run` raises KeyboardInterrupt once it has
ended; between two steps it is raised where the caller is. No step goes on beside what the caller runs next.

Rejected: the handler of `asyncio.Runner` (CPython 3.11 to 3.13, `Lib/asyncio/runners.py`). A Ctrl-C between its making
of the task and its taking of the signal leaves that task in the loop, where it goes on beside what is run to close
things; and one before it has set its counter to 0 ends it with CancelledError, which nobody takes for an interruption.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Self, TypeVar

T = TypeVar("T")


class Interruptible:
    """Runs one step after another in a loop of its own. For one thread; SIGINT is its own while the context lasts.

    It leaves SIGINT alone outside the main thread, and where a program handles or ignores it.
    """

    def __init__(self, loop_factory: Callable[[], asyncio.AbstractEventLoop]) -> None:
        self._runner = asyncio.Runner(loop_factory=loop_factory)
        self._stepping = False
        self._asked = False
        self._task: asyncio.Task[Any] | None = None
        self._took = False

    def __enter__(self) -> Self:
        self._loop = self._runner.get_loop()
        is_main = threading.current_thread() is threading.main_thread()
        if is_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._took = True
            signal.signal(signal.SIGINT, self._on_interrupt)
        return self

    def __exit__(self, *error: object) -> None:
        try:
            self._runner.close()
        finally:
            if self._took and signal.getsignal(signal.SIGINT) == self._on_interrupt:
                signal.signal(signal.SIGINT, signal.default_int_handler)

    def run(self, step: Callable[[], Coroutine[Any, Any, T]], *, closes: bool = False) -> T:
        """Run the coroutine that `step` makes to its end, and give its result.

        Args:
            step: Is called in the loop.
            closes: What closes things is not cancelled.

        Raises:
            KeyboardInterrupt: After Ctrl-C, once the coroutine has ended, however it did; at a second one, at once.
        """
        self._asked, self._stepping = False, True  # from here on, a Ctrl-C is noted
        try:
            result = self._runner.run(self._one(step, closes))
        except BaseException as error:
            if self._asked:
                raise KeyboardInterrupt from error
            raise
        finally:
            self._stepping = False
        if self._asked:
            raise KeyboardInterrupt
        return result

    async def _one(self, step: Callable[[], Coroutine[Any, Any, T]], closes: bool) -> T:
        main = step()
        if closes:
            return await main
        self._task = asyncio.current_task()
        try:
            if self._asked:
                self._cancel()
            return await main
        finally:
            self._task = None

    def _on_interrupt(self, number: int, frame: object) -> None:
        if not self._stepping or self._asked:
            raise KeyboardInterrupt
        self._asked = True
        self._loop.call_soon_threadsafe(self._cancel)  # wakes the loop, too

    def _cancel(self) -> None:
        task, self._task = self._task, None  # once: a second time it would cancel what the task does at its end
        if self._asked and task is not None:  # else it has ended, or has not begun and cancels itself
            task.cancel()
