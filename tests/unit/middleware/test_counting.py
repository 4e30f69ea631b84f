"""The middlewares count each request for its version, and know which have failed."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import aiohttp as client
import pytest
from aiohttp import web

from confcast import Replica
from confcast.middleware import aiohttp, asgi, wsgi
from tests.support.number import Settings
from tests.unit.middleware.test_aiohttp import application, served, text


def counted(replica: Replica[Settings]) -> tuple[int, int]:
    """Answered, and failed."""
    tally = replica._snapshot._tally
    return tally.answered, tally.failed


class ClientDisconnect(Exception):
    """As starlette's."""


ANSWERS = [("200 OK", 0), ("404 Not Found", 0), ("500 Internal Server Error", 1), ("503 Service Unavailable", 1)]


# ---- WSGI


def serve(app: Callable[..., Iterable[bytes]]) -> None:
    """One request, as PEP 3333 demands; what the application raises, the server only logs."""
    try:
        body = app({}, lambda status, headers, *error: None)
        try:
            for _ in body:
                pass
        finally:
            close = getattr(body, "close", None)
            if close is not None:
                close()
    except (ValueError, ClientDisconnect):
        pass


@pytest.mark.parametrize(("status", "failed"), ANSWERS)
@pytest.mark.parametrize("kind", ["list", "generator", "lazy"])
def test_a_wsgi_answer_is_counted_by_its_status(
    settings: Replica[Settings], fake: Any, status: str, failed: int, kind: str
):
    def app(environ: Any, start: Any) -> Iterable[bytes]:
        if kind == "lazy":  # a generator function starts the response with its first chunk
            return lazy(start)
        start(status, [])
        return [b""] if kind == "list" else (each for each in [b"a", b"b"])

    def lazy(start: Any) -> Iterator[bytes]:
        start(status, [])
        yield b""

    serve(wsgi.Pin(app, settings))
    assert counted(settings) == (1, failed)


def test_an_error_page_in_place_of_a_begun_answer_counts_as_failed(settings: Replica[Settings], fake: Any):
    def app(environ: Any, start: Any) -> list[bytes]:
        start("200 OK", [])
        start("500 Internal Server Error", [], (ValueError, ValueError(), None))
        return []

    serve(wsgi.Pin(app, settings))
    assert counted(settings) == (1, 1)


@pytest.mark.parametrize("where", ["call", "body", "close"])
@pytest.mark.parametrize(("error", "failed"), [(ValueError, 1), (ClientDisconnect, 0)])
def test_what_a_wsgi_application_lets_through_has_failed(
    settings: Replica[Settings], fake: Any, where: str, error: type[Exception], failed: int
):
    class Body:
        def __iter__(self) -> Iterator[bytes]:
            yield b"begun"
            if where == "body":
                raise error

        def close(self) -> None:
            if where == "close":
                raise error

    def app(environ: Any, start: Any) -> Body:
        start("200 OK", [])
        if where == "call":
            raise error
        return Body()

    serve(wsgi.Pin(app, settings))
    assert counted(settings) == (1, failed)


def test_a_wsgi_body_that_the_server_gives_up_has_not_failed(settings: Replica[Settings], fake: Any):
    """The client has gone."""

    def app(environ: Any, start: Any) -> Iterator[bytes]:
        start("200 OK", [])
        yield b"one"
        yield b"two"

    body: Any = wsgi.Pin(app, settings)({}, lambda status, headers: None)
    assert next(iter(body)) == b"one"
    assert counted(settings) == (0, 0)
    body.close()
    assert counted(settings) == (1, 0)


def test_each_of_several_replicas_counts(settings: Replica[Settings], fake: Any):
    other = Replica(Settings, name="other")

    def app(environ: Any, start: Any) -> list[bytes]:
        start("500 Internal Server Error", [])
        return []

    with other.override(Settings(5)):
        serve(wsgi.Pin(app, settings, other))
        assert (counted(settings), counted(other)) == ((1, 1), (1, 1))


def test_a_tenth_of_failing_requests_is_counted_as_a_tenth(settings: Replica[Settings], fake: Any):
    numbers = iter(range(240))

    def app(environ: Any, start: Any) -> list[bytes]:
        with settings.pin():  # a pin of the application's inside the request's counts no second request
            start("500 Internal Server Error" if next(numbers) % 10 == 0 else "200 OK", [])
        return []

    former = settings._snapshot
    for _ in range(40):
        serve(wsgi.Pin(app, settings))
    fake.push(Settings(2))
    for _ in range(200):
        serve(wsgi.Pin(app, settings))
    assert (former._tally.answered, former._tally.failed) == (40, 4)
    assert counted(settings) == (200, 20)


# ---- ASGI


def ask(app: Any, kind: str = "http", error: type[BaseException] | None = None) -> None:
    """One request; the server only logs what the application raises."""

    async def receive() -> Any:
        return {"type": f"{kind}.connect"}

    async def send(message: Any) -> None:
        """Nobody listens."""

    async def run() -> None:
        with pytest.raises(error) if error else contextlib.nullcontext():
            await app({"type": kind}, receive, send)

    asyncio.run(run())


@pytest.mark.parametrize(("status", "failed"), ANSWERS)
def test_an_asgi_answer_is_counted_by_its_status(settings: Replica[Settings], fake: Any, status: str, failed: int):
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": int(status[:3])})
        assert counted(settings) == (0, 0)  # the answer goes on
        await send({"type": "http.response.body"})

    ask(asgi.Pin(app, settings))
    assert counted(settings) == (1, failed)


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize(
    ("error", "failed"),
    [
        (ValueError(), 1),
        (ClientDisconnect(), 0),
        (asyncio.CancelledError(), 0),
        (SystemExit(), 0),
        (ExceptionGroup("of a task group", [ClientDisconnect()]), 0),
        (ExceptionGroup("of a task group", [ClientDisconnect(), ValueError()]), 1),
    ],
)
def test_what_an_asgi_application_lets_through_has_failed(
    settings: Replica[Settings], fake: Any, kind: str, error: BaseException, failed: int
):
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        raise error

    ask(asgi.Pin(app, settings), kind, type(error))
    assert counted(settings) == (1, failed)


def test_asgi_gives_a_coroutine_function_to_send_by(settings: Replica[Settings], fake: Any):
    """asgiref warns of any other, as in Django."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert inspect.iscoroutinefunction(send)

    ask(asgi.Pin(app, settings))


def test_a_lifespan_is_no_request_and_its_end_ends_the_judging(settings: Replica[Settings], fake: Any):
    messages = iter(["lifespan.startup", "lifespan.shutdown"])
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for _ in range(2):
            await receive()
            seen.append(settings._health._leaves)

    async def receive() -> Any:
        return {"type": next(messages)}

    asyncio.run(asgi.Pin(app, settings)({"type": "lifespan"}, receive, None))  # type: ignore[arg-type]
    assert seen == [False, True]
    assert counted(settings) == (0, 0)


# ---- aiohttp


class ClientConnectionResetError(ConnectionResetError):
    """As aiohttp's."""


def answer(status: int) -> Any:
    return web.Response(status=status)


def raised(error: Exception) -> Any:
    raise error


@pytest.mark.parametrize(
    ("make", "failed"),
    [
        (lambda: answer(200), 0),
        (lambda: answer(503), 1),
        (lambda: raised(web.HTTPConflict()), 0),
        (lambda: raised(web.HTTPBadGateway()), 1),
        (lambda: raised(ValueError("no")), 1),
        (lambda: raised(ClientConnectionResetError()), 0),
    ],
)
def test_an_aiohttp_answer_is_counted(
    settings: Replica[Settings], fake: Any, make: Callable[[], Any], failed: int, caplog: pytest.LogCaptureFixture
):
    async def handler(request: web.Request) -> web.Response:
        return make()

    async def talk(session: client.ClientSession, address: str) -> None:
        await text(session, address)

    served(aiohttp.pin(application(handler), settings), talk)
    assert counted(settings) == (1, failed)
    assert settings._health._leaves  # the server has ended
