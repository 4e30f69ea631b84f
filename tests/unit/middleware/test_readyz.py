"""The probes' answer as a WSGI and an ASGI application: around another one, or mounted, and counted for no version."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any

import pytest

from confcast import Replica
from confcast.middleware import asgi, readyz, wsgi
from tests.support.number import Settings


def of_wsgi(app: Any, path: str = "/readyz", method: str = "GET") -> tuple[str, dict[str, str], bytes]:
    begun: list[Any] = []
    body = app({"PATH_INFO": path, "REQUEST_METHOD": method}, lambda *arguments: begun.append(arguments))
    status, headers = begun[0]
    return status, dict(headers), b"".join(body)


def of_asgi(app: Any, path: str = "/readyz", **scope: Any) -> list[Any]:
    sent: list[Any] = []
    received = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

    async def receive() -> Any:
        return next(received)

    async def send(message: Any) -> None:
        sent.append(message)

    whole = {"type": "http", "method": "GET", "path": path, "headers": [], **scope}
    asyncio.run(app(whole, receive, send))
    return sent


def app(environ: Any, start: Any) -> Iterable[bytes]:
    start("200 OK", [])
    return [b"the application"]


async def asgi_app(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "passed on", "of": scope["type"]})


def test_wsgi_answers_its_path_and_passes_on_all_else(settings: Replica[Settings]):
    ready = readyz.Wsgi(app, settings)
    assert of_wsgi(ready, "/") == ("200 OK", {}, b"the application")
    status, headers, body = of_wsgi(ready)
    assert status == "503 Service Unavailable"
    assert headers == {
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "Cache-Control": "no-store",
    }
    assert json.loads(body) == {"ready": False, "version": 0, "reason": "no version has come yet"}
    with settings.override(Settings(1)):
        assert of_wsgi(ready)[::2] == ("200 OK", b'{"ready":true,"reason":"","version":1}')
        assert of_wsgi(ready, method="HEAD")[::2] == ("200 OK", b"")
        assert of_wsgi(readyz.Wsgi(None, settings), "/any")[0] == "200 OK"
        assert of_wsgi(readyz.Wsgi(app, settings, path="/healthz"))[2] == b"the application"


def test_asgi_answers_its_path_and_passes_on_all_else(settings: Replica[Settings], fake: Any):
    ready = readyz.Asgi(asgi_app, settings)
    assert of_asgi(ready, "/") == [{"type": "passed on", "of": "http"}]
    assert of_asgi(ready, type="websocket") == [{"type": "passed on", "of": "websocket"}]
    assert of_asgi(ready, type="lifespan") == [{"type": "passed on", "of": "lifespan"}]
    begin, end = of_asgi(ready)
    assert (begin["status"], json.loads(end["body"])) == (200, {"ready": True, "version": 1, "reason": ""})
    assert (b"content-length", b"%d" % len(end["body"])) in begin["headers"]
    assert of_asgi(ready, "/mounted/readyz", root_path="/mounted")[0]["status"] == 200
    assert of_asgi(ready, method="HEAD")[1]["body"] == b""


def test_mounted_it_answers_whatever_comes(settings: Replica[Settings], fake: Any):
    alone = readyz.Asgi(None, settings)
    assert of_asgi(alone, "/any")[0]["status"] == 200
    assert of_asgi(alone, type="websocket") == [{"type": "websocket.close"}]
    assert [each["type"] for each in of_asgi(alone, type="lifespan")] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]


def test_all_replicas_must_be_ready(settings: Replica[Settings], fake: Any, monkeypatch: pytest.MonkeyPatch):
    other = Replica(Settings, name="flags")
    status, body = readyz.answer(settings, other)
    assert status == 503
    assert json.loads(body) == {
        "ready": False,
        "reason": "flags: no version has come yet",
        "versions": {"unit": 1, "flags": 0},
    }
    with other.override(Settings(1)):
        assert readyz.answer(settings, other).status == 200
    monkeypatch.setattr(readyz, "declared", tuple)
    assert json.loads(readyz.answer().body)["reason"] == "no replica is declared in this process"


@pytest.mark.parametrize("kind", ["wsgi", "asgi"])
def test_a_probe_counts_for_no_version(settings: Replica[Settings], fake: Any, kind: str):
    """A 503 would be an error of the version that this worker has."""
    missing = Replica(Settings, name="missing")
    if kind == "wsgi":
        pinned = wsgi.Pin(readyz.Wsgi(app, settings, missing), settings)
        status = of_wsgi(pinned)[0]
        of_wsgi(pinned, "/")
    else:
        other = asgi.Pin(readyz.Asgi(asgi_app, settings, missing), settings)
        status = str(of_asgi(other)[0]["status"])
        of_asgi(other, "/")
    assert status.startswith("503")
    tally = settings._snapshot._tally
    assert (tally.answered, tally.failed) == (1, 0), "the application's request alone"


def test_what_can_t_be_asked_is_refused_early(settings: Replica[Settings]):
    for kind in (readyz.Wsgi, readyz.Asgi):
        with pytest.raises(ValueError, match="a path is expected"):
            kind(None, settings, path="readyz")
        with pytest.raises(TypeError, match="a Replica is expected"):
            kind(None, "app")  # type: ignore[arg-type]
