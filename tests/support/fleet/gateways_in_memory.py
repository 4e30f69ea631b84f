"""A gateway in a test's own loop, in front of an engine in memory, and hosts that speak its protocol."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from confcast.fleet import reports
from confcast.fleet.engines.access import Access
from confcast.fleet.engines.engine import Store
from confcast.fleet.engines.gateway import GatewayFeed, Gateways
from confcast.fleet.engines.http_stream import Answer, HttpClient
from confcast.fleet.gateway import running
from confcast.fleet.gateway.disk import Copy
from confcast.fleet.gateway.doors import Address, Tls, Tokens
from confcast.fleet.gateway.limits import Limits
from confcast.fleet.gateway.server import GatewayServer
from confcast.fleet.gateway.topic import Topic
from confcast.fleet.head import Head, digest_of, encode
from confcast.fleet.reports import decode_reports
from tests.support.engines.memory import MemoryEngine
from tests.support.waiting import DEADLINE

KEY = "shop"
ONE, TWO = b"number = 1\n", b"number = 2\n"
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
        topic.listens()
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


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(main())


def in_summary(engine: MemoryEngine) -> dict[str, reports.Seen]:
    record, _ = engine.reports.get("gateway-of-a-test", (b'{"of":"gateway","gateway":"","hosts":[]}', 0.0))
    return {seen.report.host: seen for seen in decode_reports(record, 0.0)}


async def ask(gw: Running, method: str, target: str, body: bytes = b"", **headers: str) -> Answer:
    client = HttpClient("127.0.0.1", gw.port, shown="gateway")
    try:
        return await client.request(method, target, headers=headers, body=body, most=2_000_000)
    finally:
        await client.close()


@contextlib.asynccontextmanager
async def raw(gw: Running, request: bytes, *, small: bool = False) -> AsyncIterator[tuple[Any, Any]]:
    """A connection without a client that knows what it does; `small`: with as small a buffer as there is."""
    end = socket.socket()
    if small:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    end.setblocking(False)
    await asyncio.get_running_loop().sock_connect(end, ("127.0.0.1", gw.port))
    reader, writer = await asyncio.open_connection(sock=end, limit=2048)
    writer.write(request)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def request(path: str, *more: str, method: str = "GET", host: str = "a") -> bytes:
    lines = [f"{method} /v1/{KEY}/{path} HTTP/1.1", "Host: gateway", f"Confcast-Host: {host}", *more, "", ""]
    return "\r\n".join(lines).encode()
