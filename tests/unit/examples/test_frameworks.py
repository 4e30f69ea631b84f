"""The examples for web frameworks, as their docstrings test them: the framework's own client, and no owner.

And what they call wrong is seen to be wrong: pins in the places where a framework offers to put them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import django.test
import pytest
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient
from flask import Flask
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

import confcast.examples.frameworks.django_app  # noqa: F401 - it configures Django
from confcast import ConfigLoader
from confcast.examples.frameworks import fastapi_app, flask_app, starlette_app
from confcast.examples.frameworks.settings import Settings, settings
from confcast.middleware import asgi, wsgi
from confcast.worker.override import Fake

Changing = Fake[Settings]


@pytest.fixture
def fake() -> Iterator[Changing]:
    with settings.override(Settings(greeting="hi")) as fake:
        yield fake


# ---- what an application's own test looks like


def flask(path: str) -> str:
    return flask_app.app.test_client().get(path).text


def django_wsgi(path: str) -> str:
    response = django.test.Client().get(path)
    return b"".join(response).decode()


def django_asgi(path: str) -> str:
    async def ask() -> bytes:
        response = await django.test.AsyncClient().get(path)
        return b"".join([part async for part in response]) if response.streaming else response.content

    return asyncio.run(ask()).decode()


def fastapi(path: str) -> str:
    return TestClient(fastapi_app.app).get(path).text


def starlette(path: str) -> str:
    return TestClient(starlette_app.app).get(path).text


@pytest.mark.parametrize("ask", [flask, django_wsgi, django_asgi, fastapi, starlette])
def test_the_greeting_follows_the_configuration(ask: Any, fake: Changing):
    assert '"hi"' in ask("/")
    fake.push(Settings(greeting="moin"))
    assert '"moin"' in ask("/")
    assert ask("/lines") == "moin\n" * 3


@pytest.mark.parametrize(("ask", "path"), [(django_wsgi, "/async"), (django_asgi, "/async"), (fastapi, "/sync")])
def test_so_it_does_in_a_view_of_the_other_kind(ask: Any, path: str, fake: Changing):
    assert '"hi"' in ask(path)


def test_a_probe_is_answered_by_a_worker_without_an_owner(fake: Changing):
    client = flask_app.app.test_client()
    assert client.get("/health").json == {"version": 1, "connected": False}
    assert client.get("/readyz").json == {"ready": True, "version": 1, "reason": ""}


def test_a_websockets_message_sees_the_newest(fake: Changing):
    with TestClient(asgi.Pin(starlette_app.app, settings)).websocket_connect("/talk") as socket:
        for greeting in ("moin", "servus"):
            fake.push(Settings(greeting=greeting))
            socket.send_text("?")
            assert socket.receive_text() == greeting


def test_a_dependency_can_be_overridden_too(fake: Changing, monkeypatch: pytest.MonkeyPatch):
    override = {fastapi_app.current_settings: lambda: Settings(greeting="injected")}
    monkeypatch.setattr(fastapi_app.app, "dependency_overrides", override)
    assert '"injected"' in fastapi("/")


def test_the_file_beside_them_is_a_configuration():
    file = Path(flask_app.__file__).with_name("app.toml")
    assert ConfigLoader(Settings, file).load().config == Settings(greeting="good morning")


# ---- what looks right and is not


at_the_end: list[str] = []


def pinned() -> Iterator[Settings]:
    with settings.pin() as config:
        yield config
        at_the_end.append(settings.current.greeting)


async def pinned_async() -> AsyncIterator[Settings]:
    with settings.pin() as config:
        yield config


def app_with(dependency: Any, fake: Changing) -> FastAPI:
    """While a request runs, the configuration changes: it answers with what was injected, and with what it reads."""
    app = FastAPI()

    def endpoint(config: Settings = Depends(dependency)) -> list[str]:  # noqa: B008 - as FastAPI has it
        fake.push(Settings(greeting="new"))
        return [config.greeting, settings.current.greeting]

    async def asynchronous(config: Settings = Depends(dependency)) -> list[str]:  # noqa: B008 - as FastAPI has it
        return endpoint(config)

    app.get("/sync")(endpoint)
    app.get("/async")(asynchronous)
    return app


@pytest.mark.parametrize("path", ["/sync", "/async"])
def test_a_generator_dependency_that_pins_gives_a_request_of_two_versions(path: str, fake: Changing):
    at_the_end.clear()
    assert TestClient(app_with(pinned, fake)).get(path).json() == ["hi", "new"]
    assert at_the_end == ["new"]  # it is closed in another context again: inside its own `with`, nothing is pinned


@pytest.mark.parametrize("path", ["/sync", "/async"])
def test_the_dependency_of_the_example_gives_a_request_of_one(path: str, fake: Changing):
    app = asgi.Pin(app_with(fastapi_app.current_settings, fake), settings)
    assert TestClient(app).get(path).json() == ["hi", "hi"]


@pytest.mark.parametrize("path", ["/sync", "/async"])
def test_an_asynchronous_generator_pins_the_endpoint_but_not_what_ran_before(path: str, fake: Changing):
    app = app_with(pinned_async, fake)
    seen = []

    @app.middleware("http")
    async def before(request: Any, call_next: Any) -> Any:
        seen.append(settings.current.greeting)
        fake.push(Settings(greeting="between"))
        return await call_next(request)

    assert TestClient(app).get(path).json() == ["between", "between"]
    assert seen == ["hi"]


def streaming_flask(fake: Changing) -> Flask:
    """A body that reads after the configuration has changed, and the pin that the example warns of."""
    app = Flask("streaming")
    pins: list[Any] = []

    @app.before_request
    def pin() -> None:
        pins.append(settings.pin())
        pins[-1].__enter__()

    @app.teardown_request
    def unpin(error: BaseException | None) -> None:
        pins.pop().__exit__(None, None, None)

    @app.get("/")
    def stream() -> Iterator[str]:
        yield settings.current.greeting
        fake.push(Settings(greeting="new"))
        yield settings.current.greeting

    return app


def test_a_pin_that_ends_in_flasks_teardown_is_over_before_the_body_is_streamed(fake: Changing):
    body = streaming_flask(fake).test_client().get("/", buffered=False)
    assert body.text == "hinew"


def test_the_pin_around_flask_lasts_to_the_end_of_the_body(fake: Changing):
    app = streaming_flask(fake)
    app.before_request_funcs.clear()
    app.teardown_request_funcs.clear()
    app.wsgi_app = wsgi.Pin(app.wsgi_app, settings)  # type: ignore[method-assign]
    assert app.test_client().get("/").text == "hihi"


def test_a_pin_in_a_middleware_of_starlettes_is_over_before_the_body_is_streamed(fake: Changing):
    async def body() -> AsyncIterator[str]:
        yield settings.current.greeting
        fake.push(Settings(greeting="new"))
        yield settings.current.greeting

    async def stream(request: Request) -> StreamingResponse:
        return StreamingResponse(body())

    async def pin(request: Request, call_next: Any) -> Any:
        with settings.pin():
            return await call_next(request)

    bare = Starlette(routes=[Route("/", stream)])
    wrong = Starlette(routes=bare.routes, middleware=[Middleware(BaseHTTPMiddleware, dispatch=pin)])
    assert TestClient(wrong).get("/").text == "hinew"
    fake.push(Settings(greeting="hi"))
    assert TestClient(asgi.Pin(bare, settings)).get("/").text == "hihi"
