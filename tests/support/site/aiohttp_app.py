"""The same application for aiohttp: the same paths; `make` gives it as a coroutine function does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import app as wsgi
from aiohttp import web
from settings import settings


async def answer(request: web.Request) -> web.Response:
    path, query = request.match_info["path"], request.query_string
    if path == "hold":
        return web.Response(body=hold(query))
    if path == "read":
        return web.Response(body=b"".join(wsgi.read(query)))
    return web.Response(body=b"".join(await asyncio.to_thread(getattr(wsgi, path), query)))


async def hold(folder: str) -> AsyncIterator[bytes]:
    """As the ASGI application's, made while it is sent."""
    first = settings.current.number
    await asyncio.to_thread(wsgi.wait_at, folder, "call")
    yield b"[%d, %d, " % (first, settings.current.number)
    await asyncio.to_thread(wsgi.wait_at, folder, "body")
    yield b"%d]" % settings.current.number


def application() -> web.Application:
    made = web.Application()
    made.router.add_get("/{path}", answer)
    return made


async def make() -> web.AppRunner:
    return web.AppRunner(application())


app = application()
