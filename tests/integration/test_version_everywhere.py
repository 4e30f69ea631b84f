"""Which version answered this? The header, the log record, the span and the baggage of each request say the same."""

from __future__ import annotations

import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from confcast import Client
from confcast.wire.listener import SOCKET
from confcast.worker.client.connection_per_call import AddressClient
from tests.support import gunicorn, uvicorn
from tests.support.passing import Passing
from tests.support.server import Server, reload_all, servers_of
from tests.support.waiting import DEADLINE, eventually

HEADER = "X-Config-Version"

# Both applications write a record and a span for each request to files of their process.
TRACED = """\
import json, logging, os
from opentelemetry import baggage
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
import confcast.logging
from confcast.examples.recipes.opentelemetry_version import VERSION, traced, version_on_spans
from settings import settings

class ToFile(SpanExporter):
    def export(self, spans):
        with open(f"spans-{os.getpid()}", "a") as file:
            for span in spans:
                file.write(json.dumps([span.name, span.attributes[VERSION]]) + "\\n")
        return SpanExportResult.SUCCESS

provider = TracerProvider()
provider.add_span_processor(version_on_spans(settings))
provider.add_span_processor(SimpleSpanProcessor(ToFile()))
tracer = provider.get_tracer("site")
confcast.logging.stamp_records(settings)
log = logging.getLogger("requests")
log.propagate = False
handler = logging.FileHandler(f"records-{os.getpid()}")
handler.setFormatter(logging.Formatter('["%(message)s", %(config_version)s]'))
log.addHandler(handler)
log.setLevel("INFO")

def told():
    carried = int(baggage.get_baggage("confcast.app.version"))
    return {"version": settings.version, "latest": settings.snapshot.version, "carried": carried}
"""

ASGI = """\
import asyncio, json
from asgi_app import app as site
from settings import settings
from traced import log, told, traced, tracer

async def app(scope, receive, send):
    if not scope["path"].startswith("/trace/"):
        await site(scope, receive, send)
        return
    name = scope["path"].removeprefix("/trace/")
    before = settings.latest.number
    with tracer.start_as_current_span(name), traced(settings):
        for _ in range(20):  # swaps come between
            await asyncio.sleep(0.001)
        log.info(name)
        body = {**told(), "moved": settings.latest.number != before}
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})
"""

WSGI = """\
import json
import app as site
from confcast.middleware import readyz
from settings import settings
from traced import log, told, traced, tracer

def traced_app(environ, start_response):
    if not environ["PATH_INFO"].startswith("/trace/"):
        return site.app(environ, start_response)
    name = environ["PATH_INFO"].removeprefix("/trace/")
    with tracer.start_as_current_span(name), traced(settings):
        log.info(name)
        start_response("200 OK", [])
        return [json.dumps(told()).encode()]

app = readyz.Wsgi(traced_app, settings)
"""


def ask(server: Server, path: str) -> tuple[int, str, dict[str, Any]]:
    """The status, the header and the document of one request."""
    connection = server.connection()
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.headers[HEADER], json.loads(response.read())
    finally:
        connection.close()


def written(folder: Path, kind: str) -> dict[str, int]:
    """The version of each request, by its name, from the files of all workers."""
    lines = [line for path in folder.glob(f"{kind}-*") for line in path.read_text().splitlines()]
    return dict(map(json.loads, lines))


@pytest.mark.slow
def test_in_a_storm_of_reloads_all_say_the_version_of_the_request(tmp_path: Path):
    with servers_of(uvicorn.Server, tmp_path / "site") as make:
        server = make(application="traced_app:app", arguments=("--version-header", HEADER))
        (server.folder / "traced.py").write_text(TRACED)
        (server.folder / "traced_app.py").write_text(ASGI)
        server.start()
        ended = threading.Event()

        def storm() -> None:
            for _ in range(25):
                reload_all(server) if server.number % 8 == 0 else _reload(server)
            ended.set()

        answers: dict[str, tuple[str, dict[str, Any]]] = {}

        def asking(client: int) -> None:
            for number in range(1_000):
                if ended.is_set():
                    return
                name = f"{client}.{number}"
                status, header, body = ask(server, f"/trace/{name}")
                assert status == 200
                answers[name] = (header, body)

        with ThreadPoolExecutor(5) as threads:
            for each in [threads.submit(storm), *(threads.submit(asking, client) for client in range(4))]:
                each.result(DEADLINE)

        records, spans = written(server.folder, "records"), written(server.folder, "spans")
        assert len(answers) == len(records) == len(spans) > 20
        for name, (header, body) in answers.items():
            said = {int(header), body["version"], body["carried"], records[name], spans[name]}
            assert len(said) == 1, f"{name}: {header}, {body}, {records[name]}, {spans[name]}"
        assert any(body["moved"] for _, body in answers.values()), "a version came during a request"
        assert len({header for header, _ in answers.values()}) > 5


def _reload(server: Server) -> None:
    server.change()
    server.ask("reload")


DECLINES = """\
import os
from pathlib import Path
from settings import settings

@settings.precommit
def refuse(old, new):
    if new.name == "refused":
        raise ValueError("refused here")
    if new.name == "one declines" and Path("victim").read_text() == str(os.getpid()):
        Path("at-the-vote").touch()
        Path("gate").read_bytes()
        raise ValueError("declined here")
"""


def test_a_worker_is_ready_through_a_refused_file_and_not_while_it_has_declined_what_others_run(
    passing: Passing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with servers_of(gunicorn.Server, tmp_path / "site") as make:
        formatted = f"access_log_format = '%(U)s %({{{HEADER.lower()}}}o)s'"
        server = make(
            above=f"workers = 2\nworker_class = 'gthread'\nthreads = 2\naccesslog = 'access.log'\n{formatted}\n"
            "wsgi_app = 'traced_app:app'",
            options=f"watch=False, version_header='{HEADER}'",
        )
        conf = server.folder / "conf.py"
        conf.write_text(conf.read_text().replace('wsgi_app = "app:app"\n', ""))
        (server.folder / "traced.py").write_text(TRACED)
        (server.folder / "traced_app.py").write_text(WSGI + DECLINES)
        server.start()
        status, header, body = ask(server, "/trace/first")
        assert (status, header, body["version"], body["carried"]) == (200, "1", 1, 1)
        assert (written(server.folder, "records"), written(server.folder, "spans")) == ({"first": 1}, {"first": 1})
        eventually(lambda: "/trace/first 1\n" in (server.folder / "access.log").read_text(), "the line of the request")

        _change(server, "refused")
        assert [ask(server, "/readyz")[0] for _ in range(12)] == [200] * 12

        victim, *_ = server.pids()
        _held(server, victim)
        monkeypatch.setenv("CONFCAST_RUNTIME_DIR", str(server.runtime))
        event = passing.over_functions(Client(pid=server.pid), lambda: _change(server, "one declines"), victim)
        assert event["result"] == "partial"
        unready = eventually(lambda: _unready(server), "a probe that says no while it is at the vote")
        assert unready == "version 2 is committed, and this process is still at a vote"
        with (server.folder / "gate").open("wb"):
            pass
        unready = eventually(lambda: "declined" in (said := _unready(server)) and said, "one that says no after it")
        assert unready == "version 2 is committed, and was declined here; `confcast status` says why"

        assert _change(server, "all is well")["result"] == "success"
        assert [ask(server, "/readyz")[::2] for _ in range(12)] == [
            (200, {"ready": True, "version": 3, "reason": ""})
        ] * 12


PLAIN = """\
import uvicorn
from confcast import ConfigReloadManager
from confcast.middleware import readyz
from settings import settings
from sources import loader

async def app(scope, receive, send):
    await settings.aattach()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})

if __name__ == "__main__":
    with ConfigReloadManager(loader, watch=False):
        uvicorn.run(readyz.Asgi(app, settings), port=0, lifespan="off")
"""


def test_a_server_without_our_module_is_not_ready_before_it_attaches(tmp_path: Path):
    with servers_of(uvicorn.Server, tmp_path / "site") as make:
        server = make(program=PLAIN)
        server.launch()
        server.await_port()
        status, _, body = ask(server, "/readyz")
        assert (status, body) == (503, {"ready": False, "version": 0, "reason": "no version has come yet"})
        assert ask(server, "/attach")[0] == 200
        status, _, body = ask(server, "/readyz")
        assert (status, body) == (200, {"ready": True, "version": 1, "reason": ""})


def _held(server: Server, victim: int) -> None:
    """Have this worker wait in its next vote."""
    os.mkfifo(server.folder / "gate")
    (server.folder / "victim").write_text(str(victim))


def _change(server: Server, name: str) -> Any:
    """What became of a reload with this name in the file; asked from outside, since a worker may be held."""
    server.change(f'number = 1\nname = "{name}"\n')
    (address,) = server.runtime.glob(f"*/{SOCKET}")
    event = AddressClient(str(address), "app").reload(timeout=DEADLINE)
    return {"result": str(event.result), "version": event.version}


def _unready(server: Server) -> str:
    """Why a worker is not ready; empty if the one that was asked is."""
    status, _, body = ask(server, "/readyz")
    return str(body["reason"]) if status == 503 else ""
