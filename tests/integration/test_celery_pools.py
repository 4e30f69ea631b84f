"""celery's pools without child processes: the worker attaches itself, and each task is pinned where it runs."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.celery import Server, servers
from tests.support.gate import Gate
from tests.support.redis import needs_redis, redis_server
from tests.support.slow import slow
from tests.support.waiting import eventually

pytestmark = needs_redis()


@pytest.fixture(scope="module", params=["threads", slow("solo"), slow("gevent")])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with redis_server() as port, servers(tmp_path_factory.mktemp("celery"), port) as make:
        yield make(pool=request.param).start()


def test_a_hup_reloads_and_no_task_is_lost(server: Server):
    number = server.change()
    assert server.hup()[0] == "success"
    assert server.ask("read")["number"] == number
    assert server.pids() == {server.pid}


def test_a_task_that_reloads_sees_its_own_version_to_its_end(server: Server, tmp_path: Path):
    before, number = server.number, server.change()
    assert server.result(server.send("reloads")) == [before, number, before]
    assert server.ask("read")["number"] == number


def test_tasks_at_the_same_time_have_a_version_each(server: Server, tmp_path: Path):
    (tmp_path / "call").mkdir()
    gate = Gate(tmp_path / "call" / "gate")
    gate.shut()
    before, tasks = server.number, [server.send("twice", str(tmp_path))]
    gate.await_load()
    server.change()
    server.signal(signal.SIGHUP)
    if server.concurrent:
        eventually(lambda: server.ask("read")["number"] == before + 1, "the new number beside the held task")
    gate.open()
    gate.let_go()
    assert server.result(tasks[0]) == [before] * 3
    eventually(lambda: server.ask("read")["number"] == before + 1, "the new number after the held task")


@pytest.mark.slow
def test_a_killed_owner_is_replaced(server: Server):
    dead, before = server.owner(), server.number
    os.kill(dead, signal.SIGKILL)
    eventually(lambda: server.owners() not in ([], [dead]), "another owner")
    eventually(lambda: server.ask("read")["connected"], "a connection to it")
    eventually(lambda: server.events("restart"), "its own first load")
    number = server.change()
    assert server.hup()[0] == "success"
    assert server.ask("read")["number"] == number == before + 1
