"""One celery worker with a pool of processes: it reloads by HUP, tasks run meanwhile, and no process is replaced."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.celery import Server, TaskFailed, changes_under_load, servers
from tests.support.gate import Gate, shut_gate
from tests.support.redis import needs_redis, redis_server
from tests.support.waiting import eventually

pytestmark = needs_redis()


POOL = """
closed = []
pool = settings.derive(lambda number: [number], lambda c: c.number, close=lambda pool: closed.extend(pool), linger=0)

@app.task
def pooled(folder):
    first = pool.current
    wsgi.wait_at(folder, "call")
    return [first, pool.current, pool.latest, closed, [each.pins for each in pool.kept]]
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with redis_server() as port, servers(tmp_path_factory.mktemp("celery"), port) as make:
        yield make(more=POOL).start()


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Gate]:
    """A gate that a task comes to."""
    with shut_gate(tmp_path / "call" / "gate") as gate:
        yield gate


def test_a_hup_under_load_changes_every_process_and_replaces_none(server: Server):
    def change() -> tuple[str, int]:
        server.change()
        return server.hup()

    changes_under_load(server, change)


def test_a_task_that_runs_across_a_reload_ends_on_its_own_version(server: Server, tmp_path: Path, held: Gate):
    before = server.number
    task = server.send("twice", str(tmp_path))
    held.await_load()
    server.change()
    assert server.hup()[0] == "success"
    assert server.ask("read")["number"] == before + 1
    held.let_go()
    assert server.result(task) == [before] * 3
    held.open()
    assert {answer["number"] for answer in server.everyone().values()} == {before + 1}


def test_a_task_s_pool_is_of_its_own_version_and_open_until_it_ends(server: Server, tmp_path: Path, held: Gate):
    before = server.number
    task = server.send("pooled", str(tmp_path))
    held.await_load()
    number = server.change()
    assert server.hup()[0] == "success"
    held.let_go()
    first, current, latest, closed, pins = server.result(task)
    assert (first, current, latest) == ([before], [before], [number])
    assert before not in closed
    assert pins[-1] == 1
    held.open()


def test_a_retry_is_a_run_of_its_own(server: Server, tmp_path: Path, held: Gate):
    before, seen = server.number, tmp_path / "seen"
    server.send("retried", [], str(tmp_path))
    held.await_load()
    server.change()
    server.hup()
    held.open()
    held.let_go()
    eventually(seen.exists, "the second run")
    assert json.loads(seen.read_text()) == [before, before + 1]


def test_a_task_that_fails_leaves_no_version_behind(server: Server, tmp_path: Path, held: Gate):
    for _ in range(4):
        with pytest.raises(TaskFailed, match=str(server.number)):
            server.result(server.send("failing"))
    with pytest.raises(TaskFailed, match="SoftTimeLimitExceeded"):
        server.result(server.send("slow", str(tmp_path)))
    number = server.change()
    server.hup()
    assert {answer["number"] for answer in server.everyone().values()} == {number}


def test_a_hup_for_the_whole_group_leaves_every_process(server: Server):
    pids = server.pids()
    number = server.change()
    server.after(lambda: os.killpg(server.pid, signal.SIGHUP), "signal")
    eventually(lambda: server.ask("read")["number"] == number, "the new number")
    assert server.pids() == pids == server.children()


def test_a_program_that_a_task_starts_can_be_hung_up(server: Server):
    server.everyone()
    assert server.result(server.send("hears_a_hup"))


def test_no_thread_of_a_process_keeps_a_hup_from_the_programs_that_an_observer_starts(server: Server):
    server.everyone()
    server.change()
    server.hup()
    for pid in server.children():
        told = server.folder / f"{pid}.hears"
        assert eventually(lambda told=told: told.exists() and told.read_text(), f"what {told.name} has") == "True"


def test_a_hup_for_one_process_does_nothing_to_it(server: Server):
    pids = server.pids()
    for pid in pids:
        os.kill(pid, signal.SIGHUP)
    assert server.pids() == pids


def test_a_hup_for_the_owner_reloads(server: Server):
    pids, number = server.pids(), server.change()
    assert server.after(lambda: os.kill(server.owner(), signal.SIGHUP), "signal")[0] == "success"
    assert {pid: answer["number"] for pid, answer in server.everyone().items()} == dict.fromkeys(pids, number)


def test_an_invalid_file_and_a_hup_change_nothing(server: Server):
    before, pids = server.number, server.pids()
    server.change("number = 'many'\n")
    assert server.hup()[0] == "validation_failed"
    assert "app.toml:1:10: number" in server.await_log("app.toml:1:10: number")
    assert {pid: answer["number"] for pid, answer in server.everyone().items()} == dict.fromkeys(pids, before)
    number = server.change()
    assert server.hup()[0] == "success"
    assert {answer["number"] for answer in server.everyone().values()} == {number}


def test_nothing_crashed(server: Server):
    crashes = [line for line in server.crashes() if not line.startswith(("ValueError", "billiard.exceptions.Soft"))]
    assert crashes == []
