"""aiohttp's middleware in a real aiohttp server: a request sees one version, a WebSocket one for each message."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp as client
import pytest
from aiohttp import web

from confcast import Replica
from confcast.middleware import aiohttp
from tests.support.number import Settings


def served(app: web.Application, talk: Callable[[client.ClientSession, str], Awaitable[Any]]) -> Any:
    """The answers that a client got from this application."""

    async def run() -> Any:
        runner = web.AppRunner(app)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            async with client.ClientSession() as session:
                return await talk(session, f"http://127.0.0.1:{runner.addresses[0][1]}")
        finally:
            await runner.cleanup()

    return asyncio.run(run())


async def text(session: client.ClientSession, address: str) -> str:
    async with session.get(address) as response:
        return await response.text()


def application(handler: Any, path: str = "/") -> web.Application:
    app = web.Application()
    app.router.add_get(path, handler)
    return app


@pytest.mark.parametrize("nested", [False, True])
def test_a_request_is_pinned_in_a_sub_application_too(settings: Replica[Settings], fake: Any, nested: bool):
    async def handler(request: web.Request) -> web.Response:
        fake.push(Settings(2))
        return web.Response(text=f"{settings.current.number} {settings.latest.number}")

    app = application(handler)
    if nested:
        app, inner = web.Application(), app
        app.add_subapp("/inner", inner)

    seen = served(aiohttp.pin(app, settings), lambda session, address: text(session, address + "/inner/" * nested))

    assert seen == "1 2"
    assert settings.current.number == 2


def test_a_body_that_is_made_while_it_is_sent_is_pinned_to_its_end(settings: Replica[Settings], fake: Any):
    async def body() -> AsyncIterator[bytes]:
        yield b"%d " % settings.current.number
        fake.push(Settings(2))
        yield b"%d" % settings.current.number

    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=body())

    assert served(aiohttp.pin(application(handler), settings), text) == "1 1"


def test_all_that_is_declared_is_pinned_and_an_error_is_an_answer(
    settings: Replica[Settings], fake: Any, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(
        aiohttp, "declared", lambda: (settings,)
    )  # aiohttp keeps handlers, and so other tests' replicas

    async def handler(request: web.Request) -> web.Response:
        fake.push(Settings(2))
        raise web.HTTPConflict(text=str(settings.current.number))

    assert served(aiohttp.pin(application(handler)), text) == "1"


@pytest.mark.parametrize(("websocket", "seen"), [("message", ["1", "2", "3"]), ("connection", ["1", "1", "1"])])
def test_a_websocket_sees_one_version_a_message_or_a_connection(
    settings: Replica[Settings], fake: Any, websocket: Any, seen: list[str]
):
    async def handler(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for _ in socket:
            before = settings.current.number
            fake.push(Settings(settings.latest.number + 1))
            assert settings.current.number == before
            await socket.send_str(str(before))
        return socket

    async def talk(session: client.ClientSession, address: str) -> list[str]:
        async with session.ws_connect(address) as socket:
            answers = []
            for _ in range(3):
                await socket.send_str("read")
                answers.append(await socket.receive_str())
            return answers

    twice = aiohttp.pin(aiohttp.pin(application(handler), settings, websocket=websocket), settings, websocket=websocket)

    assert served(twice, talk) == seen


def test_what_can_t_be_pinned_is_refused(settings: Replica[Settings]):
    app: Any = web.Application()
    with pytest.raises(TypeError, match="a Replica is expected"):
        aiohttp.pin(app, Settings)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'message' or 'connection' is expected"):
        aiohttp.pin(app, settings, websocket="each")  # type: ignore[arg-type]
    app.freeze()
    with pytest.raises(RuntimeError, match="frozen"):
        aiohttp.pin(app, settings)
