"""gunicorn with each kind of worker: HUP, an edit, a call reload in place, and a request sees one version."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.support.embedding import Deaths, InPlace, SideBySide
from tests.support.gunicorn import Make, Server
from tests.support.server import servers_of
from tests.support.slow import slow
from tests.support.waiting import eventually
from tests.support.websockets import WebSockets

ASGI = "workers = 2\nwsgi_app = 'asgi_app:app'"
KINDS = {
    "sync": "workers = 3",
    "gthread": "workers = 2\nworker_class = 'gthread'\nthreads = 8",
    "gevent": "workers = 2\nworker_class = 'gevent'",
    "asgi": f"{ASGI}\nworker_class = 'asgi'",
    "uvicorn": f"{ASGI}\nworker_class = 'uvicorn_worker.UvicornWorker'",
}


@pytest.fixture(scope="module", params=[slow(kind) if kind in ("uvicorn", "gevent") else kind for kind in KINDS])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp(request.param)
    with servers_of(Server, folder) as make:
        yield make(control=str(folder / "control"), above=KINDS[request.param]).start()


class TestGunicornReloads(InPlace):
    """With each kind of worker."""


@pytest.mark.parametrize("server", ["gthread"], indirect=True)
class TestGunicornDies(Deaths):
    """Whatever the kind of worker: it is gunicorn's master that replaces it."""


def test_gunicorns_control_client_reloads_in_place(server: Server):
    before = server.pids()
    number = server.change()
    command = [sys.executable, "-m", "gunicorn.ctl.cli", "-s", str(server.folder / "control"), "-c", "reload"]

    server.after(lambda: subprocess.run(command, check=True, capture_output=True, timeout=20), "signal")

    answers = server.everyone()
    assert set(answers) == before
    assert {answer["number"] for answer in answers.values()} == {number}


@pytest.mark.parametrize("server", ["gthread", slow("gevent"), "asgi", slow("uvicorn")], indirect=True)
class TestGunicornServesMany(SideBySide):
    """With each kind of worker that serves more than one request at a time."""


@pytest.mark.parametrize("server", ["asgi", slow("uvicorn")], indirect=True)
class TestGunicorn(WebSockets):
    """With each kind of worker that speaks ASGI."""


def test_an_edited_file_is_noticed(make: Make):
    server = make(above="workers = 2", options="").start()
    number = server.change()

    eventually(lambda: server.events("watch"), "a load because the file has changed")

    assert server.events("watch") == [("success", 2)]
    assert {answer["number"] for answer in server.everyone().values()} == {number}
