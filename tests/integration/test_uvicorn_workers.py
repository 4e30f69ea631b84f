"""uvicorn's workers come and go by its own rules: each attaches before it serves, or says why it can't."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
from pathlib import Path

import pytest

from tests.support.embedding import Make
from tests.support.gate import Gate
from tests.support.leaks import children_of
from tests.support.server import reload_all, servers_of
from tests.support.slow import slow
from tests.support.uvicorn import Alone, Server
from tests.support.waiting import DEADLINE, eventually

kind = Server

# Imported by each Python at its start, before anything else: what is spawned waits here, if there is a gate.
AT_THE_START_OF_PYTHON = """\
import os, sys
if "--multiprocessing-fork" in sys.orig_argv and os.path.exists("spawned"):
    open("spawned").read()
"""


def await_workers(server: Server, count: int) -> None:
    server.workers = count
    server.await_workers()


@pytest.mark.slow
def test_more_and_fewer_workers(make: Make):
    server = make().start()
    before = server.pids()

    server.signal(signal.SIGTTIN)
    await_workers(server, 3)
    assert before < reload_all(server)

    server.signal(signal.SIGTTOU)
    await_workers(server, 2)
    assert reload_all(server) == before


@pytest.mark.slow
def test_a_worker_that_has_served_its_requests_is_replaced_by_one_with_the_current_version(make: Make):
    server = make()
    server.launch("--limit-max-requests", "40")
    server.await_log("Application startup complete.", 2)
    server.await_port()
    server.change()
    server.signal(signal.SIGHUP)
    server.await_log(" app: signal: success, version 2")

    pids = served_by_one_worker(server, 40)
    # uvicorn's master may ask the old one in its last moments, and waits for its answer then
    eventually(lambda: server.log().count("Application startup complete.") == 3, "another worker", 3 * DEADLINE)

    answers = server.everyone()
    assert pids.isdisjoint(answers)
    assert {(answer["version"], answer["number"]) for answer in answers.values()} == {(2, server.number)}


def served_by_one_worker(server: Server, requests: int) -> set[int]:
    """Ask that often over one connection; who answered."""
    pids = set()
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=DEADLINE)) as connection:
        for _ in range(requests):
            connection.request("GET", "/read")
            pids.add(json.loads(connection.getresponse().read())["pid"])
    return pids


@pytest.mark.slow
def test_code_that_was_deployed_in_place_ends_new_workers_in_words_while_the_others_serve(make: Make):
    server = make().start()
    schema = (server.folder / "settings.py").read_text()
    victim, other = sorted(server.pids())

    server.add_a_field()
    os.kill(victim, signal.SIGKILL)
    log = server.await_log("this worker can't attach and exits: ")
    number = server.change()
    assert server.hup()[0] == "success"
    assert {server.ask("read")["number"] for _ in range(5)} == {number}
    (server.folder / "settings.py").write_text("import nothing_of_this_name\n")
    server.await_log("this worker can't attach and exits: the schema can't be imported: ModuleNotFoundError")
    (server.folder / "settings.py").write_text(schema)
    server.await_workers()  # it is tried again and again

    assert "(color: " in log
    assert f"reload the server fully: kill -RTMIN {server.pid}" in log
    assert server.crashes() == []
    assert other in reload_all(server)


def test_a_hup_for_the_whole_group_spares_a_worker_that_has_only_just_been_spawned(make: Make, tmp_path: Path):
    path = os.pathsep.join([str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")])
    server = make(environment={"PYTHONPATH": path})
    (server.folder / "sitecustomize.py").write_text(AT_THE_START_OF_PYTHON)
    gate = Gate(server.folder / "spawned")
    gate.shut()
    server.launch()
    gate.await_load()
    all_of_them = server.workers + 2  # the owner, and multiprocessing's resource tracker
    spawned = eventually(lambda: len(found := children_of(server.pid)) == all_of_them and found, "all workers")

    os.killpg(server.pid, signal.SIGHUP)
    server.await_log(" app: signal: unchanged")
    gate.open()
    gate.let_go()
    server.await_workers()

    assert spawned >= server.pids()
    assert "died" not in server.log()
    assert server.crashes() == []


@pytest.mark.parametrize("kind", [slow(Server), Alone])
def test_a_hup_while_the_owner_starts_waits_for_it(kind: type[Server], tmp_path: Path):
    with servers_of(kind, tmp_path) as make:
        server = make()
        gate = Gate(server.folder / "gate")
        gate.shut()
        schema = (server.folder / "settings.py").read_text()
        (server.folder / "settings.py").write_text(f"{schema}\nopen('gate').read()\n")
        server.launch()
        gate.await_load()  # the owner has come to it: it is importing the schema

        server.signal(signal.SIGHUP)
        gate.open()
        gate.let_go()

        log = server.await_log(" app: signal: unchanged")
        assert log.index(" app: start: success") < log.index(" app: signal: unchanged")
        server.await_workers()


def test_an_owner_is_not_left_when_the_port_is_taken(make: Make):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = make()
        server.launch("--port", str(taken.getsockname()[1]))

        assert server.ended() == 3
        assert " app: start: success" in server.log()
        assert "ddress already in use" in server.log()
        server.assert_nothing_left()


def test_an_application_that_does_not_start_ends_the_server_with_status_3(make: Make):
    server = make(application="nothing_of_this_name:app", arguments=("--timeout-worker-healthcheck", "1"))
    server.launch()

    assert server.ended() == 3
    assert "failed to start, stopping the parent process" in server.log()
    server.assert_nothing_left()


@pytest.mark.slow
def test_a_second_interrupt_of_the_whole_group_does_no_harm(make: Make):
    server = make().start()
    for _ in range(2):
        os.killpg(server.pid, signal.SIGINT)

    assert server.ended() == 0
    server.assert_nothing_left()


def test_a_worker_that_declares_no_replica_of_the_name_says_so(make: Make):
    server = make(application="bare:app")
    (server.folder / "settings.py").write_text("import msgspec\nclass Settings(msgspec.Struct):\n    number: int\n")
    (server.folder / "bare.py").write_text(
        "import confcast, msgspec\nother = confcast.Replica(msgspec.Struct, name='other')\n"
        "async def app(scope, receive, send): assert scope['type'] == 'lifespan'\n"
    )
    server.launch()

    server.await_log("no Replica named 'app' is declared in this worker; declared here: 'other': --name", 2)
