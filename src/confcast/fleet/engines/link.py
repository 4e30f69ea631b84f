"""A connection to an engine for whoever publishes: made at first use, closed when it fails, and then made anew."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import TypeVar

from confcast.fleet.engines.engine import PATIENCE, Store, Unreachable

T = TypeVar("T")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0
_LONGEST_CONNECT = 3 * PATIENCE  # each of its steps has a deadline of its own


class Link:
    """One connection at a time. For one task; as an asynchronous context manager it closes what it has made.

    Args:
        connect: Makes a connection. Raises EngineError.
    """

    def __init__(self, connect: Callable[[], Awaitable[Store]]) -> None:
        self._connect = connect
        self._store: Store | None = None
        self._pause = _FIRST_PAUSE

    async def __aenter__(self) -> Link:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.drop()

    async def store(self) -> Store:
        """The connection; a new one after `drop`.

        Raises:
            EngineError: It can't be made.
        """
        if self._store is None:
            try:
                async with asyncio.timeout(_LONGEST_CONNECT):
                    self._store = await self._connect()
            except TimeoutError as error:
                raise Unreachable(f"no connection within {_LONGEST_CONNECT:g} s") from error
        return self._store

    async def drop(self) -> None:
        """Close the connection, if there is one."""
        store, self._store = self._store, None
        if store is not None:
            await store.close()

    async def pause(self) -> None:
        """Drop the connection, and wait before the next try: longer each time until `answered`."""
        await self.drop()
        await asyncio.sleep(self._pause * random.uniform(0.5, 1.0))  # noqa: S311 - it spreads tries
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)

    def answered(self) -> None:
        """The engine has answered: the next pause is the first one again."""
        self._pause = _FIRST_PAUSE


async def patiently(link: Link, seconds: float, question: Callable[[Store], Awaitable[T]]) -> T:
    """What the engine answers; asked again after an outage, until these seconds are over.

    Raises:
        EngineError: It says no, or can't be reached for so long.
    """
    ends = asyncio.get_running_loop().time() + seconds
    while True:
        try:
            found = await question(await link.store())
            link.answered()
            return found
        except Unreachable:
            if asyncio.get_running_loop().time() >= ends:
                raise
            await link.pause()
