"""Real servers count their requests by version: one that answers with errors is undone, and no code of the user's."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import granian, gunicorn, hypercorn, uvicorn
from tests.support.server import Server, servers_of
from tests.support.slow import slow
from tests.support.waiting import eventually

APPLICATION = """\
import asgi_app, rsgi_app
from app import app as working, settings

def fails(path):
    return path.strip("/") == "fails" and settings.current.number == 2

def wsgi(environ, start_response):
    if fails(environ["PATH_INFO"]):
        start_response("503 Service Unavailable", [])
        return [b"[]"]
    return working(environ, start_response)

async def asgi(scope, receive, send):
    if scope["type"] == "http" and fails(scope["path"]):
        raise ValueError("fails")
    await asgi_app.app(scope, receive, send)

class Rsgi(rsgi_app.App):
    async def __rsgi__(self, scope, protocol):
        if fails(scope.path):
            protocol.response_empty(500, [])
        else:
            await super().__rsgi__(scope, protocol)

rsgi = Rsgi()
"""

RATE = ("--max-error-rate", "0.05", "--probation", "600")
CLASS = "wsgi_app = 'failing_app:{}'\nworker_class = '{}'\nworkers = 1"
OPTIONS = "watch=False, max_error_rate=0.05, probation=600.0"


def launched(application: str) -> dict[str, Any]:
    return {"application": f"failing_app:{application}", "arguments": RATE, "workers": 1}


def conf(application: str, worker: str) -> dict[str, Any]:
    return {"below": CLASS.format(application, worker), "options": OPTIONS}


KINDS: dict[str, tuple[Any, dict[str, Any]]] = {
    "gunicorn, sync": (gunicorn.Server, conf("wsgi", "sync")),
    "gunicorn, gthread": (gunicorn.Server, conf("wsgi", "gthread")),
    "gunicorn, gevent": (gunicorn.Server, conf("wsgi", "gevent")),
    "gunicorn, asgi": (gunicorn.Server, conf("asgi", "asgi")),
    "uvicorn": (uvicorn.Server, launched("asgi")),
    "granian, asgi": (granian.Server, launched("asgi")),
    "granian, wsgi": (granian.WsgiServer, launched("wsgi")),
    "granian, rsgi": (granian.RsgiServer, launched("rsgi")),
    "hypercorn": (hypercorn.Server, launched("asgi")),
    "hypercorn, wsgi": (hypercorn.WsgiServer, launched("wsgi")),
}
QUICK = ("gunicorn, sync", "uvicorn")


@pytest.fixture(params=[*QUICK, *(slow(each) for each in KINDS if each not in QUICK)])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """A server of one worker, whose second version fails."""
    kind, options = KINDS[request.param]
    folder = tmp_path / "site"
    folder.mkdir()
    make: Callable[..., Any]
    with servers_of(kind, folder) as make:
        made = make(**options)
        (made.folder / "failing_app.py").write_text(APPLICATION)
        yield made.start()


def status_of(server: Server) -> int:
    connection = server.connection()
    try:
        connection.request("GET", "/fails")
        return connection.getresponse().status
    finally:
        connection.close()


def test_a_version_that_answers_with_errors_is_undone(server: Server) -> None:
    for _ in range(20):
        server.ask("read")
    server.change()
    server.signal(signal.SIGHUP)
    eventually(lambda: server.ask("read")["number"] == 2, "the second version")

    assert [status_of(server) >= 500 for _ in range(25)] == [True] * 25
    eventually(lambda: server.ask("read")["number"] == 1, "the first one again")
    assert server.ask("read")["version"] == 3
