"""The same application for granian's own interface, as an object with what RSGI calls at a worker's start."""

from __future__ import annotations

import asyncio
from typing import Any

import app as wsgi
from settings import settings

JSON = [("content-type", "application/json")]


class App:
    """Answers 503 unless it was started."""

    def __init__(self) -> None:
        self.status = 503

    def __rsgi_init__(self, loop: Any) -> None:
        self.status = 200

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        path, query = scope.path.strip("/"), scope.query_string
        if path == "hold":
            await hold(query, protocol)
        elif path == "read":
            protocol.response_bytes(self.status, JSON, b"".join(wsgi.read(query)))
        else:
            body = await asyncio.to_thread(getattr(wsgi, path), query)
            protocol.response_bytes(self.status, JSON, b"".join(body))


async def hold(folder: str, protocol: Any) -> None:
    """As the ASGI application's."""
    first = settings.current.number
    await asyncio.to_thread(wsgi.wait_at, folder, "call")
    second = await asyncio.create_task(number())
    stream = protocol.response_stream(200, JSON)
    await stream.send_bytes(b"[%d, %d, " % (first, second))
    await asyncio.to_thread(wsgi.wait_at, folder, "body")
    await stream.send_bytes(b"%d]" % settings.current.number)


async def number() -> int:
    return settings.current.number


app = App()
