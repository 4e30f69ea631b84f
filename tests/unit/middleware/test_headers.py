"""An application's `identify` sees the same headers from every server, and is asked only while it matters."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import aiohttp as client
import multidict
import pytest
from aiohttp import web

from confcast import Replica
from confcast.middleware import aiohttp, asgi, wsgi
from confcast.middleware.headers import OfEnviron, OfMultidict, OfScope
from confcast.servers.celery import tasks
from confcast.servers.granian.worker import RsgiPin
from confcast.worker.snapshot import Snapshot
from confcast.worker.trials import Trial
from tests.support.number import Settings
from tests.unit.middleware.test_aiohttp import application, served

PAIRS = [("x-user-id", "12"), ("content-type", "text/plain"), ("x-seen", "a"), ("x-seen", "b")]


class Rsgi:
    """granian's headers: no mapping."""

    def keys(self) -> list[str]:
        return [name for name, _ in PAIRS]

    def get_all(self, name: str) -> list[str]:
        return [value for key, value in PAIRS if key == name]


ENVIRON = {
    "HTTP_X_USER_ID": "12",
    "CONTENT_TYPE": "text/plain",
    "CONTENT_LENGTH": "",
    "HTTP_X_SEEN": "a, b",
    "PATH": "",
}
SCOPE = {"headers": [(name.encode(), value.encode()) for name, value in PAIRS]}
MULTI = multidict.CIMultiDict([("X-User-Id", "12"), *PAIRS[1:]])

ALL = {
    "WSGI": lambda: OfEnviron(dict(ENVIRON)),
    "ASGI": lambda: OfScope(SCOPE),
    "aiohttp": lambda: OfMultidict(MULTI, lambda name: MULTI.getall(name, [])),
    "RSGI": lambda: OfMultidict(Rsgi(), Rsgi().get_all),
}


@pytest.mark.parametrize("server", ALL)
def test_headers_look_the_same_from_every_server(server: str):
    headers: Mapping[str, str] = ALL[server]()
    assert dict(headers) == {"x-user-id": "12", "content-type": "text/plain", "x-seen": "a, b"}
    assert len(headers) == 3
    assert (headers.get("X-User-Id"), headers.get("x-other"), headers.get("x-ü")) == ("12", None, None)
    assert "x-other" not in headers


# ---- who calls identify


@pytest.fixture
def asked(settings: Replica[Settings], fake: Any) -> list[str | None]:
    """Whom the requests were for, as `identify` was asked."""
    asked: list[str | None] = []

    @settings.identify
    def identify(headers: Mapping[str, str]) -> str | None:
        asked.append(headers.get("x-user-id"))
        return headers.get("x-user-id")

    return asked


def begin_a_trial(settings: Replica[Settings]) -> None:
    """All entities have version 2."""
    settings._set_trial(Trial(Snapshot(Settings(2), 2, b""), 1.0, "salt"))


def by_wsgi(settings: Replica[Settings]) -> int:
    seen: list[int] = []

    def app(environ: Any, start: Any) -> list[bytes]:
        seen.append(settings.current.number)
        return []

    wsgi.Pin(app, settings)(dict(ENVIRON), lambda *_: None)
    return seen[0]


def by_asgi(settings: Replica[Settings]) -> int:
    seen: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(settings.current.number)

    asyncio.run(asgi.Pin(app, settings)({"type": "http", **SCOPE}, None, None))  # type: ignore[arg-type]
    return seen[0]


def by_aiohttp(settings: Replica[Settings]) -> int:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=str(settings.current.number))

    async def talk(session: client.ClientSession, address: str) -> int:
        async with session.get(address, headers={"X-User-Id": "12"}) as response:
            return int(await response.text())

    return int(served(aiohttp.pin(application(handler), settings), talk))


def by_rsgi(settings: Replica[Settings]) -> int:
    seen: list[int] = []

    async def app(scope: Any, protocol: Any) -> None:
        seen.append(settings.current.number)

    asyncio.run(RsgiPin(app, settings).__rsgi__(SimpleNamespace(proto="http", headers=Rsgi()), None))
    return seen[0]


def by_celery(settings: Replica[Settings]) -> int:
    task = SimpleNamespace(request=SimpleNamespace(is_eager=False, headers={"X-User-Id": 12}))
    tasks.begin(task=task)
    try:
        return settings.current.number
    finally:
        tasks.end(task=task)


def by_several(settings: Replica[Settings]) -> int:
    other = Replica(Settings, name="other")
    seen: list[int] = []

    def app(environ: Any, start: Any) -> list[bytes]:
        seen.append(settings.current.number)
        return []

    with other.override(Settings(5)):
        wsgi.Pin(app, settings, other)(dict(ENVIRON), lambda *_: None)
    return seen[0]


@pytest.mark.parametrize("serve", [by_wsgi, by_asgi, by_aiohttp, by_rsgi, by_celery, by_several])
def test_a_request_gets_the_version_of_its_entity(settings: Replica[Settings], asked: list[str | None], serve: Any):
    assert (serve(settings), asked) == (1, [])  # nothing is on trial: nobody is asked

    begin_a_trial(settings)
    trial = settings._trial
    assert trial is not None
    assert (serve(settings), asked) == (2, ["12"])
    assert (trial.snapshot._tally.answered, trial.snapshot._tally.entities) == (1, 1)
    settings._set_trial(None)


def test_a_task_without_headers_names_nobody(settings: Replica[Settings], asked: list[str | None]):
    begin_a_trial(settings)
    task = SimpleNamespace(request=SimpleNamespace(is_eager=False, headers=None))
    tasks.begin(task=task)
    assert settings.current.number == 1
    tasks.end(task=task)
    assert asked == [None]
    settings._set_trial(None)
