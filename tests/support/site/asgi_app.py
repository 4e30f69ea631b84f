"""The same application for ASGI servers: the same paths, and a WebSocket whose messages are such paths."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from typing import Any

import app as wsgi
from settings import settings

from confcast.middleware.asgi import Pin

Send = Callable[[dict[str, Any]], Awaitable[None]]


async def app(scope: dict[str, Any], receive: Any, send: Send) -> None:
    if scope["type"] == "http":
        await http(scope, receive, send)
    elif scope["type"] == "websocket":
        talk = Pin(websocket, settings, websocket="connection") if scope["path"] == "/connection" else websocket
        await talk(scope, receive, send)


async def http(scope: dict[str, Any], receive: Any, send: Send) -> None:
    path, query = scope["path"].strip("/"), scope["query_string"].decode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    if path == "hold":
        await hold(query, send)
        return
    if path == "read":
        body = wsgi.read(query)
    else:
        body = await asyncio.to_thread(getattr(wsgi, path), query)
    await send({"type": "http.response.body", "body": b"".join(body)})


async def hold(folder: str, send: Send) -> None:
    """Reads; waits at a gate, and has a task read; sends; waits at another gate, reads, and sends the rest."""
    first = settings.current.number
    await asyncio.to_thread(wsgi.wait_at, folder, "call")
    second = await asyncio.create_task(number())
    await send({"type": "http.response.body", "body": b"[%d, %d, " % (first, second), "more_body": True})
    await asyncio.to_thread(wsgi.wait_at, folder, "body")
    await send({"type": "http.response.body", "body": b"%d]" % settings.current.number})


async def number() -> int:
    return settings.current.number


async def websocket(scope: dict[str, Any], receive: Any, send: Send) -> None:
    """Answers "read", and with a gate's folder reads before and after it; both times in a task that lasts, too."""
    questions: asyncio.Queue[None] = asyncio.Queue()
    answers: asyncio.Queue[int] = asyncio.Queue()

    async def lasting() -> None:
        while True:
            await questions.get()
            await answers.put(settings.current.number)

    async def seen() -> list[int]:
        await questions.put(None)
        return [settings.current.number, await answers.get()]

    await receive()
    await send({"type": "websocket.accept"})
    task = asyncio.create_task(lasting())
    while (message := await receive())["type"] == "websocket.receive":
        numbers = await seen()
        if message["text"] != "read":
            await asyncio.to_thread(wsgi.wait_at, message["text"], "call")
            numbers += await seen()
        await send({"type": "websocket.send", "text": json.dumps({"pid": os.getpid(), "numbers": numbers})})
    task.cancel()
