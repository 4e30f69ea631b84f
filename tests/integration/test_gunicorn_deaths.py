"""gunicorn: a worker or the owner dies, and the others go on."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from tests.support.gunicorn import Server, kill_worker, servers
from tests.support.leaks import is_running
from tests.support.waiting import eventually


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with servers(tmp_path_factory.mktemp("deaths")) as make:
        yield make(above="workers = 2").start()


def test_a_killed_worker_is_replaced_by_one_with_the_current_version(server: Server):
    server.change()
    _, version = server.hup()
    victim, other = sorted(server.pids())

    new = kill_worker(server, victim)

    answers = server.everyone()
    assert set(answers) == {other, new}
    assert {(answer["version"], answer["number"]) for answer in answers.values()} == {(version, server.number)}


def test_a_killed_owner_is_replaced_and_workers_go_on(server: Server):
    before, owner = server.pids(), server.owner()
    version = server.ask("read")["version"]

    os.kill(owner, signal.SIGKILL)
    versions = set()

    def restarted() -> bool:
        versions.add(server.ask("read")["version"])
        return not is_running(owner) and "confcast app: restart: unchanged" in server.log()

    eventually(restarted, "a new owner")
    assert versions == {version}
    number = server.change()

    event = server.ask("reload")
    assert (event["result"], event["version"]) == ("success", version + 1)
    assert set(event["applied"]) == before
    answers = server.everyone()
    assert set(answers) == before
    assert {answer["number"] for answer in answers.values()} == {number}


def test_a_hup_goes_to_the_new_owner(server: Server):
    number = server.change()

    assert server.hup()[0] == "success"
    assert {answer["number"] for answer in server.everyone().values()} == {number}
