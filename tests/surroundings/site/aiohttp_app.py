"""An application of aiohttp's."""

from __future__ import annotations

import os

from aiohttp import web
from settings import settings


async def read(_: web.Request) -> web.Response:
    return web.json_response({"pid": os.getpid(), "number": settings.current.number})


app = web.Application()
app.router.add_get("/{path}", read)
