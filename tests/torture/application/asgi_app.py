"""The application, for servers that speak ASGI."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import app as wsgi
import looks

Send = Callable[[dict[str, Any]], Awaitable[None]]


async def app(scope: dict[str, Any], receive: Any, send: Send) -> None:
    if scope["type"] != "http":
        return
    if scope["path"] == "/workers":
        await answer(send, 200, await asyncio.to_thread(wsgi.workers))
        return
    asked, first = looks.asked(scope["query_string"].decode()), looks.look()
    status = 500 if looks.fails() else 200
    if not asked.stream:
        await answer(send, status, b"".join([each async for each in pieces(asked, first)]))
        return
    await begin(send, status, [])
    async for each in pieces(asked, first):
        await send({"type": "http.response.body", "body": each, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def answer(send: Send, status: int, body: bytes) -> None:
    await begin(send, status, [(b"content-length", str(len(body)).encode())])
    await send({"type": "http.response.body", "body": body})


async def begin(send: Send, status: int, headers: list[tuple[bytes, bytes]]) -> None:
    headers = [(b"content-type", looks.JSON.encode()), *headers]
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def pieces(asked: looks.Asked, first: list[int]) -> AsyncIterator[bytes]:
    yield looks.head(first).encode()
    for _ in range(asked.waits):
        await asyncio.sleep(asked.pause)
        yield f", {looks.look()}".encode()
    yield looks.TAIL.encode()
