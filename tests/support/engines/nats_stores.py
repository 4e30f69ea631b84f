"""Connections to a real NATS server, for the tests of what it alone has."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

from confcast.fleet.engines import connect
from confcast.fleet.engines.nats import Nats
from tests.support.engines import nats as support
from tests.support.waiting import DEADLINE

EACH = [
    pytest.param(program, id=program.origin, marks=[pytest.mark.slow] if number else [])
    for number, program in enumerate(support.Nats.programs())
] or [pytest.param(None, marks=pytest.mark.skip(reason="there is no nats-server: neither Debian's nor a wheel's"))]
"""Parameters of a fixture: the default run takes the first program."""


@contextlib.asynccontextmanager
async def connected(server: support.Nats, key: str, path: str = "", **access: Any) -> AsyncIterator[Nats]:
    store = await connect(server.access(url=access.pop("url", server.url) + path, **access), key)
    assert isinstance(store, Nats)
    try:
        yield store
    finally:
        await store.close()


def run(main: Callable[[], Coroutine[Any, Any, None]], seconds: float = DEADLINE) -> None:
    """Run it with a deadline. No task is left by what it used."""

    async def bounded() -> None:
        async with asyncio.timeout(seconds):
            await main()
        if rest := asyncio.all_tasks() - {asyncio.current_task()}:  # what a cancellation has left to end
            _, left = await asyncio.wait(rest, timeout=DEADLINE)
            assert not left

    asyncio.run(bounded())


async def until(store: Nats, head: bytes | None) -> None:
    """Follow hints until the head is this one."""
    while await store.head() != head:
        await store.hint()
