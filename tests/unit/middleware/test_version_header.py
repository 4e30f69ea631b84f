"""The header that says which version answered: that of the request's pin, where the application has set none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any
from wsgiref.validate import validator

import aiohttp as client
import pytest
from aiohttp import web

from confcast import Replica
from confcast.middleware import aiohttp, asgi, wsgi
from confcast.middleware.version_header import checked
from tests.support.number import Settings
from tests.unit.middleware.test_aiohttp import application, served

NAME = "X-Config-Version"
HTTP = {"type": "http", "method": "GET", "path": "/", "headers": []}


def of_wsgi(app: Callable[..., Iterable[bytes]], *replicas: Replica[Any], name: str | None = NAME) -> list[Any]:
    """The headers of the answer."""
    begun: list[Any] = []
    body = wsgi.Pin(app, *replicas, version_header=name)({}, lambda status, headers, *more: begun.append(headers))
    list(body)
    getattr(body, "close", lambda: None)()
    return begun[-1]


def of_asgi(app: Any, *replicas: Replica[Any], scope: Any = HTTP, **options: Any) -> list[Any]:
    """What the application's server is sent."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(asgi.Pin(app, *replicas, **{"version_header": NAME, **options})(scope, receive, send))
    return sent


async def answering(scope: Any, receive: Any, send: Any, headers: Any = ()) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def test_wsgi_says_the_pinned_version_also_of_a_body_that_begins_later(settings: Replica[Settings], fake: Any):
    def app(environ: Any, start: Any) -> Iterator[bytes]:
        fake.push(Settings(2))
        start("200 OK", [("A", "b")])
        yield b""

    assert of_wsgi(app, settings) == [("A", "b"), (NAME, "1")]
    assert of_wsgi(app, settings) == [("A", "b"), (NAME, "2")]
    assert of_wsgi(app, settings, name=None) == [("A", "b")]


def test_it_replaces_no_header_of_the_application_s_and_changes_no_list_of_its(settings: Replica[Settings], fake: Any):
    theirs, kept = [("x-config-VERSION", "theirs")], [("A", "b")]
    assert of_wsgi(lambda environ, start: start("200 OK", theirs) or [b""], settings) == theirs
    assert of_wsgi(lambda environ, start: start("200 OK", kept) or [b""], settings) != kept == [("A", "b")]

    raw, message = [(b"x-config-version", b"theirs")], {"type": "http.response.start", "status": 200, "headers": []}

    async def again(scope: Any, receive: Any, send: Any) -> None:
        await send(message)

    assert of_asgi(lambda *call: answering(*call, headers=raw), settings)[0]["headers"] == raw
    assert of_asgi(again, settings)[0]["headers"] == [(b"x-config-version", b"1")]
    assert message["headers"] == []


def test_exc_info_is_passed_on(settings: Replica[Settings], fake: Any):
    given: list[Any] = []

    def app(environ: Any, start: Any) -> list[bytes]:
        start("500 Oh", [], ("kind", "error", "trace"))
        return []

    wsgi.Pin(app, settings, version_header=NAME)({}, lambda *arguments: given.append(arguments))
    assert given == [("500 Oh", [(NAME, "1")], ("kind", "error", "trace"))]


def test_it_is_what_pep_3333_demands(settings: Replica[Settings], fake: Any):
    from wsgiref.util import setup_testing_defaults

    def app(environ: Any, start: Any) -> list[bytes]:
        start("200 OK", [("Content-Type", "text/plain")])
        return [b"ok"]

    environ: dict[str, Any] = {"QUERY_STRING": ""}
    setup_testing_defaults(environ)
    body = validator(wsgi.Pin(app, settings, version_header=NAME))(environ, lambda *_: lambda data: None)
    assert list(body) == [b"ok"]
    body.close()  # type: ignore[attr-defined]


def test_asgi_says_it_of_answers_to_requests_alone(settings: Replica[Settings], fake: Any):
    async def accepting(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept", "headers": []})

    async def streaming(scope: Any, receive: Any, send: Any) -> None:
        fake.push(Settings(2))
        await answering(scope, receive, send)

    assert of_asgi(streaming, settings)[0]["headers"] == [(b"x-config-version", b"1")]
    assert of_asgi(accepting, settings, scope={"type": "websocket", "headers": []})[0]["headers"] == []
    assert of_asgi(answering, settings, version_header=None)[0]["headers"] == ()


def test_several_replicas_are_named_and_none_has_no_header(settings: Replica[Settings], fake: Any):
    other = Replica(Settings, name="flags")
    with other.override(Settings(1)) as flags:
        flags.push(Settings(2))
        assert of_asgi(answering, settings, other)[0]["headers"] == [(b"x-config-version", b"unit=1, flags=2")]


def test_no_replica_has_no_header(monkeypatch: pytest.MonkeyPatch):
    from confcast.middleware import version_header

    for module in (asgi, version_header):
        monkeypatch.setattr(module, "declared", tuple)
    assert of_asgi(answering)[0]["headers"] == ()


async def header(session: client.ClientSession, address: str) -> Any:
    async with session.get(address) as response:
        await response.read()
        return response.headers.getall(NAME, None)


@pytest.mark.parametrize("kind", ["answer", "stream", "raised", "generator", "theirs"])
def test_aiohttp_s_answers_have_it_of_whatever_kind(settings: Replica[Settings], fake: Any, kind: str):
    async def body() -> AsyncIterator[bytes]:
        yield b"x"

    async def handler(request: web.Request) -> web.StreamResponse:
        fake.push(Settings(2))
        if kind == "raised":
            raise web.HTTPConflict
        if kind == "stream":
            stream = web.StreamResponse()
            await stream.prepare(request)
            await stream.write_eof()
            return stream
        return web.Response(
            body=body() if kind == "generator" else b"", headers={NAME: "x"} if kind == "theirs" else {}
        )

    app = aiohttp.pin(application(handler), settings, version_header=NAME)
    assert served(app, header) == ["x" if kind == "theirs" else "1"]


def test_aiohttp_without_it_has_none(settings: Replica[Settings], fake: Any):
    async def handler(request: web.Request) -> web.Response:
        return web.Response()

    assert served(aiohttp.pin(application(handler), settings), header) is None


@pytest.mark.parametrize("wrong", ["", "X Config", "X-Config:", "Version\r\nX: y", "Zähler", 5])
def test_a_name_that_no_header_can_have_is_refused_early(wrong: Any, settings: Replica[Settings]):
    for make in (lambda: wsgi.Pin(print, settings, version_header=wrong), lambda: checked(wrong)):
        with pytest.raises(ValueError, match="a header's name is expected, such as 'X-Config-Version'"):
            make()


def test_a_name_with_another_meaning_is_refused(settings: Replica[Settings]):
    with pytest.raises(ValueError, match="HTTP has given this header a meaning"):
        asgi.Pin(answering, settings, version_header="Content-Length")
    with pytest.raises(ValueError, match="HTTP has given this header a meaning"):
        aiohttp.pin(web.Application(), settings, version_header="set-cookie")
