"""gunicorn with each kind of worker: HUP, an edit, a call reload in place, and a request sees one version."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.gate import Gate
from tests.support.gunicorn import Server, servers
from tests.support.waiting import eventually, in_thread
from tests.support.websockets import WebSockets

ASGI = "workers = 2\nwsgi_app = 'asgi_app:app'"
KINDS = {
    "sync": "workers = 3",
    "gthread": "workers = 2\nworker_class = 'gthread'\nthreads = 8",
    "gevent": "workers = 2\nworker_class = 'gevent'",
    "asgi": f"{ASGI}\nworker_class = 'asgi'",
    "uvicorn": f"{ASGI}\nworker_class = 'uvicorn_worker.UvicornWorker'",
}


@pytest.fixture(scope="module", params=KINDS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp(request.param)
    with servers(folder) as make:
        yield make(control=str(folder / "control"), above=KINDS[request.param]).start()


def test_a_hup_reaches_every_worker_and_replaces_none(server: Server):
    before = server.pids()
    number = server.change()

    result, version = server.hup()

    answers = server.everyone()
    assert result == "success"
    assert set(answers) == before
    assert {(answer["version"], answer["number"]) for answer in answers.values()} == {(version, number)}


def test_a_call_from_a_worker_reaches_every_worker(server: Server):
    before = server.pids()
    number = server.change()

    event = server.ask("reload")

    assert (event["result"], event["latest"]) == ("success", number)
    assert set(event["applied"]) == before
    assert {answer["number"] for answer in server.everyone().values()} == {number}


def test_a_bad_file_changes_nothing_and_says_where_it_is_bad(server: Server):
    number = server.change()
    server.hup()
    server.change(f"number = {number}\nname = 5\n")

    result, _ = server.hup()

    assert result == "validation_failed"
    assert "app.toml:2:8: name" in server.log()
    assert {answer["number"] for answer in server.everyone().values()} == {number}


def test_a_hup_for_the_whole_process_group_kills_nobody_and_makes_one_version(server: Server):
    before, owner, version = server.pids(), server.owner(), server.ask("read")["version"]
    number = server.change()

    server.after(lambda: os.killpg(server.pid, signal.SIGHUP), "signal")

    server.ask("reload")  # whatever was triggered twice has been served by the end of this
    answers = server.everyone()
    assert set(answers) == before
    assert server.owner() == owner
    assert {(answer["version"], answer["number"]) for answer in answers.values()} == {(version + 1, number)}


def test_gunicorns_control_client_reloads_in_place(server: Server):
    before = server.pids()
    number = server.change()
    command = [sys.executable, "-m", "gunicorn.ctl.cli", "-s", str(server.folder / "control"), "-c", "reload"]

    server.after(lambda: subprocess.run(command, check=True, capture_output=True, timeout=20), "signal")

    answers = server.everyone()
    assert set(answers) == before
    assert {answer["number"] for answer in answers.values()} == {number}


def test_a_request_sees_one_version_to_the_last_byte_of_its_body(server: Server, tmp_path: Path):
    (tmp_path / "call").mkdir()
    (tmp_path / "body").mkdir()
    in_call, in_body = Gate(tmp_path / "call" / "gate"), Gate(tmp_path / "body" / "gate")
    old = server.change()
    server.hup()
    in_call.shut()
    in_body.shut()
    held = in_thread(lambda: server.ask(f"hold?{tmp_path}"))

    in_call.await_load()
    server.change()
    assert server.hup()[0] == "success"
    in_call.let_go()
    in_body.await_load()
    newest = server.change()
    assert server.hup()[0] == "success"
    assert server.ask("read")["number"] == newest
    in_body.let_go()

    assert held() == [old, old, old]
    assert {answer["number"] for answer in server.everyone().values()} == {newest}


def hold(server: Server, folder: Path) -> Callable[[], list[int]]:
    """Begin a request that has read once when this returns; what is returned lets it go on, and gives what it read."""
    for place in ("call", "body"):
        (folder / place).mkdir(parents=True)
    gate, _ = Gate(folder / "call" / "gate"), Gate(folder / "body" / "gate")
    gate.shut()
    answer = in_thread(lambda: server.ask(f"hold?{folder}"))
    gate.await_load()

    def let_go() -> list[int]:
        gate.let_go()
        return answer()

    return let_go


@pytest.mark.parametrize("server", ["gthread", "gevent", "asgi", "uvicorn"], indirect=True)
def test_requests_side_by_side_in_one_worker_each_see_their_own_version(server: Server, tmp_path: Path):
    old = server.change()
    server.hup()
    first = hold(server, tmp_path / "first")
    newest = server.change()
    assert server.hup()[0] == "success"
    later = [hold(server, tmp_path / name) for name in ("second", "third", "fourth")]  # in the same worker, and not

    assert {answer["number"] for answer in server.everyone().values()} == {newest}
    assert first() == [old] * 3
    assert [let_go() for let_go in later] == [[newest] * 3] * 3


@pytest.mark.parametrize("server", ["asgi", "uvicorn"], indirect=True)
class TestGunicorn(WebSockets):
    """With each kind of worker that speaks ASGI."""


def test_an_edited_file_is_noticed(tmp_path: Path):
    with servers(tmp_path) as make:
        server = make(above="workers = 2", options="").start()
        number = server.change()

        eventually(lambda: server.events("watch"), "a load because the file has changed")

        assert server.events("watch") == [("success", 2)]
        assert {answer["number"] for answer in server.everyone().values()} == {number}
