"""One celery worker whose owner watches the file: what is killed is replaced, and no task sees an old version then."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.celery import Server, changes_under_load, servers
from tests.support.gate import shut_gate
from tests.support.load import Load
from tests.support.redis import needs_redis, redis_server
from tests.support.server import kill_worker
from tests.support.waiting import eventually

pytestmark = needs_redis()

FORKS = """

def forked():
    if Path("forked").exists():
        Path("forked").read_bytes()

os.register_at_fork(after_in_child=forked)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with redis_server() as port, servers(tmp_path_factory.mktemp("celery"), port) as make:
        yield make(watch=True, more=FORKS).start()


def all_have(server: Server, number: int) -> bool:
    answers = server.everyone().values()
    return all(answer["connected"] and answer["number"] == number for answer in answers)


@contextmanager
def held(server: Server, place: str) -> Iterator[int]:
    """Kill a process; the one in its place is held there until the end. Gives the other one's pid."""
    with shut_gate(server.folder / place) as gate:
        victim, other = server.pids()
        os.kill(victim, signal.SIGKILL)
        gate.await_load()
        yield other


def test_a_changed_file_under_load_changes_every_process_and_replaces_none(server: Server):
    changes_under_load(server, lambda: server.after(server.change, "watch"))


def test_an_invalid_file_changes_nothing(server: Server):
    pids, before = server.pids(), server.number
    assert server.after(lambda: server.change("number = \n"), "watch")[0] == "validation_failed"
    assert all_have(server, before)
    server.after(server.change, "watch")
    assert all_have(server, before + 1)
    assert server.pids() == pids


def test_a_killed_process_is_replaced_by_one_with_the_newest_version(server: Server):
    victim, other = server.pids()
    pid = kill_worker(server, victim)
    assert server.pids() == {pid, other}
    assert all_have(server, server.number)


def test_a_process_that_starts_slowly_is_given_no_task_before_it_has_the_newest(server: Server):
    with held(server, "booting") as other:
        for _ in range(2):
            assert server.after(server.change, "watch")[0] == "success"
            answers = [server.ask("read") for _ in range(8)]
            assert {(answer["pid"], answer["number"]) for answer in answers} == {(other, server.number)}
    eventually(lambda: len(server.ask("workers")) == 2, "the new process attached")
    answers = server.everyone()
    assert set(answers) == server.children()
    assert {answer["number"] for answer in answers.values()} == {server.number}


def test_a_killed_owner_is_replaced_while_tasks_run(server: Server):
    pids, dead, before = server.pids(), server.owner(), server.number
    with Load(lambda: server.ask("read")["number"]) as load:
        os.kill(dead, signal.SIGKILL)
        eventually(lambda: server.owners() not in ([], [dead]), "another owner")
        load.go_on(20)
    assert set(load.answers) == {before}
    eventually(lambda: all_have(server, before), "every process connected to the new owner")
    eventually(lambda: server.events("restart"), "its own first load")
    server.after(server.change, "watch")
    assert all_have(server, before + 1)
    assert server.pids() == pids


def test_a_hup_for_the_whole_group_leaves_a_process_that_is_starting(server: Server):
    with held(server, "booting") as other:
        (fresh,) = server.children() - {other}
        server.after(lambda: os.killpg(server.pid, signal.SIGHUP), "signal")
    eventually(lambda: set(server.ask("workers")) == {other, fresh}, "the new process attached")
    os.killpg(server.pid, signal.SIGHUP)
    assert server.pids() == {other, fresh}


def test_nothing_outlives_a_killed_master_be_it_forked_a_moment_ago(server: Server):
    with held(server, "forked"):
        server.signal(signal.SIGKILL)
        server.ended()
    server.assert_nothing_left()
