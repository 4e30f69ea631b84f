"""Starlette: an endpoint reads `settings.current`; nothing has to be passed to it.

    gunicorn -c python:confcast.examples.frameworks.gunicorn_conf -k asgi confcast.examples.frameworks.starlette_app:app

The pin is around the whole application, so middleware, endpoint, streamed body and background task of a request are of
one version. In a WebSocket each received message begins with the newest version (`confcast.middleware.asgi` says how to
hold one for the connection). Rejected: a pin in a `BaseHTTPMiddleware` (which ends before the body is streamed), and
values copied into `app.state` (which nothing swaps).

    def test_the_greeting_follows_the_configuration():
        with settings.override(Settings(greeting="hi")):
            assert TestClient(app).get("/").json()["greeting"] == "hi"
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from confcast.examples.frameworks.settings import settings


async def greet(request: Request) -> JSONResponse:
    """Both values are of one version, whatever is awaited between them."""
    return JSONResponse({"greeting": settings.current.greeting, "version": settings.version})


async def lines(request: Request) -> StreamingResponse:
    """Stream a body, which is pinned to its end."""

    async def body() -> AsyncIterator[str]:
        for _ in range(3):
            yield f"{settings.current.greeting}\n"

    return StreamingResponse(body(), media_type="text/plain")


async def talk(socket: WebSocket) -> None:
    """Answer each message from the version that is the newest when the message arrives."""
    await socket.accept()
    async for _ in socket.iter_text():
        await socket.send_text(settings.current.greeting)


app = Starlette(routes=[Route("/", greet), Route("/lines", lines), WebSocketRoute("/talk", talk)])
