"""The fleet's state, for whoever asks: the engine is asked once for all who ask within a moment.

What asks the engine is given by the command, which has it for `confcast fleet status`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from confcast.admin.problems import unavailable
from confcast.errors import ConfcastError

Ask = Callable[[], Awaitable[dict[str, Any]]]
"""What `confcast fleet status --json` gives. Raises ConfcastError."""

_FOR = 1.0
"""Seconds for which an answer is given again."""


class FleetState:
    """What is known of the fleet. For one loop.

    Args:
        ask: Asks the engine; None where there is no fleet.
    """

    def __init__(self, ask: Ask | None) -> None:
        self._ask = ask
        self._found: dict[str, Any] = {}
        self._until = 0.0
        self._one = asyncio.Lock()

    async def state(self) -> dict[str, Any] | None:
        """The state; None where there is no fleet. Raises ProblemError."""
        if self._ask is None:
            return None
        async with self._one:
            if time.monotonic() >= self._until:
                try:
                    self._found = await self._ask()
                except ConfcastError as error:
                    raise unavailable(str(error), 5) from None
                self._until = time.monotonic() + _FOR
        return self._found
