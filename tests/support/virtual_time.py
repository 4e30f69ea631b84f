"""An event loop whose clock jumps: where all wait for a time, it is that time. An hour of timers takes milliseconds.

Only for what has no other thread and no socket: a loop on which nothing can ever happen again fails the test.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any


class _Selector(selectors.SelectSelector):
    """Passes the time that it is to wait for, and never waits."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        found = super().select(0)
        if not found:
            assert timeout is not None, "each task waits for something that nobody will do"
            self.now += max(0.0, timeout)
        return found


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop that begins at time 0.0."""

    def __init__(self) -> None:
        self._clock = _Selector()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run it with virtual time; no task may be left."""

    async def whole() -> None:
        await main
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        assert not rest, rest

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(whole())
