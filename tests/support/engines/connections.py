"""Connections to a server of an engine, for tests that know the protocol alone."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from confcast.fleet.engines import connect
from confcast.fleet.engines.engine import Store
from confcast.fleet.head import Head, digest_of, encode
from tests.support.engines.server import Server

ONE, TWO, THREE = (encode(Head(stable=digest_of(b"%d" % number), rev=number)) for number in (1, 2, 3))


@contextlib.asynccontextmanager
async def connected(server: Server, key: str, **access: Any) -> AsyncIterator[Store]:
    """A connection, closed at the end."""
    store = await connect(server.access(**access), key)
    try:
        yield store
    finally:
        await store.close()


@contextlib.asynccontextmanager
async def two(server: Server, key: str) -> AsyncIterator[tuple[Store, Store]]:
    """Two connections: of one that follows, and of one that publishes."""
    async with connected(server, key) as first, connected(server, key) as second:
        yield first, second


async def until_head(store: Store, wanted: bytes | None) -> None:
    """Follow the hints until the head is this one."""
    while await store.head() != wanted:
        await store.hint()
