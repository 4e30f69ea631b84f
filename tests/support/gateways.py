"""A gateway in a test's own loop, in front of an engine in memory, and hosts that speak its protocol."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from confcast.fleet.engines.access import Access
from confcast.fleet.engines.engine import Store
from confcast.fleet.engines.gateway import GatewayFeed, Gateways
from confcast.fleet.gateway import running
from confcast.fleet.gateway.disk import Copy
from confcast.fleet.gateway.doors import Address, Tls, Tokens
from confcast.fleet.gateway.limits import Limits
from confcast.fleet.gateway.server import GatewayServer
from confcast.fleet.gateway.topic import Topic
from confcast.fleet.head import Head, digest_of, encode
from tests.support.engines.memory import MemoryEngine
from tests.support.waiting import DEADLINE

KEY = "shop"
LIMITS = Limits(pause=0.01, heartbeat=5.0, closing=1.0)


def limited(**changes: Any) -> Limits:
    """The tests' limits, but for these."""
    return msgspec.structs.replace(LIMITS, **changes)


def publish(engine: MemoryEngine, payload: bytes, *, rev: int = 1, **more: Any) -> bytes:
    """Put a payload, and a head that names it. Returns the head."""
    engine.payloads[digest_of(payload)] = payload
    head = encode(Head(stable=digest_of(payload), rev=rev, **more))
    engine.put(head)
    return head


@dataclass
class Running:
    """A gateway that listens."""

    url: str
    port: int
    topic: Topic
    server: GatewayServer

    def host(self, name: str = "one", **options: Any) -> Gateways:
        """A host that knows this gateway alone."""
        return host([self.url], name, **options)


def host(
    urls: list[str], name: str = "one", *, labels: Mapping[str, str] | None = None, poll: bool = False, **access: Any
) -> Gateways:
    """A host of some gateways."""
    accesses = [Access(url=url, **access) for url in urls]
    return Gateways(accesses, KEY, name, f"host {name}", labels or {}, poll=poll)


@contextlib.asynccontextmanager
async def gateway(
    connect: Callable[[], Awaitable[Store]],
    *,
    limits: Limits = LIMITS,
    tokens: Tokens | None = None,
    tls: Tls | None = None,
    copy: Copy | None = None,
    port: int = 0,
) -> AsyncIterator[Running]:
    """One that has its first head, and listens; it is ended afterwards."""
    topic = Topic(KEY, connect, "gateway-of-a-test", limits, copy)
    await topic.read_copy()
    following = asyncio.create_task(topic.run())
    server = GatewayServer({KEY: topic}, limits, tokens, tls)
    try:
        await until(lambda: topic.head is not None)
        found = await server.listen(Address("127.0.0.1", port))
        scheme = "https" if tls is not None else "http"
        yield Running(f"{scheme}://{found}", found.port, topic, server)
    finally:
        await server.close()
        await running._cancelled([following])
        topic._disk.close(DEADLINE)


@contextlib.asynccontextmanager
async def connected(gateways: Gateways) -> AsyncIterator[GatewayFeed]:
    """A host's connection, subscribed."""
    feed = await gateways.connect()
    try:
        await feed.subscribe()
        yield feed
    finally:
        await feed.close()


async def until(holds: Callable[[], object], what: str = "what the test waits for") -> None:
    """Wait, in a loop that goes on meanwhile."""
    loop = asyncio.get_running_loop()
    end = loop.time() + DEADLINE
    while not holds():
        assert loop.time() < end, f"not within {DEADLINE:g} s: {what}"
        await asyncio.sleep(0.002)
