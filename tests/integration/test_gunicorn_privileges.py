"""gunicorn with `user` and `group`: workers of another user are reloaded, and the sources stay root's."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gunicorn import Server, all_have_open, kill_worker, open_logs, rotate, start
from tests.support.leaks import is_running
from tests.support.server import servers_of
from tests.support.waiting import eventually

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")

# What the application imports of the standard library: the tests' own Python may lie where nobody can read it.
ABOVE = "import json, os, pathlib, sys, typing\nworkers = 2\nuser = 'nobody'\ngroup = 'nogroup'"

NOBODY = 65534


@pytest.fixture
def unstarted() -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="cc-") as folder, servers_of(Server, Path(folder)) as make:
        Path(folder).chmod(0o755)
        server = make(above=ABOVE)
        server.runtime.chmod(0o711)
        yield server


@pytest.fixture
def server(unstarted: Server) -> Server:
    return unstarted.start()


def change(server: Server) -> int:
    """The next number, in a file for root only."""
    number = server.change()
    (server.folder / "app.toml").chmod(0o600)
    return number


def uid_of(pid: int) -> int:
    return Path(f"/proc/{pid}").stat().st_uid


def test_workers_of_another_user_are_reloaded_and_replaced(server: Server):
    before = server.pids()
    assert {uid_of(pid) for pid in before} == {NOBODY}
    assert uid_of(server.owner()) == 0
    number = change(server)

    assert server.hup()[0] == "success"
    assert {answer["number"] for answer in server.everyone().values()} == {number}

    new = kill_worker(server, before.pop())
    assert server.everyone()[new]["number"] == number
    assert uid_of(new) == NOBODY  # once it serves: it has attached as root


@pytest.mark.slow
def test_versions_go_on_after_an_upgrade(server: Server):
    change(server)
    assert server.hup() == ("success", 2)
    number = change(server)

    server.upgrade()
    server.signal(signal.SIGTERM)
    server.ended()

    answers = server.everyone()
    assert {(answer["version"], answer["number"]) for answer in answers.values()} == {(3, number)}
    assert {uid_of(pid) for pid in answers} == {NOBODY}


@pytest.mark.slow
def test_they_connect_to_a_new_owner_of_a_new_generation_too(server: Server):
    old = {*server.pids(), server.owner()}
    server.signal(signal.SIGRTMIN)
    eventually(lambda: not any(map(is_running, old)), "the end of the old workers and of their owner")
    server.await_workers()
    os.kill(server.owner(), signal.SIGKILL)
    server.await_log("confcast app: restart: unchanged")
    number = change(server)

    event = server.ask("reload")

    answers = server.everyone()
    assert (event["result"], set(event["applied"])) == ("success", set(answers))
    assert {answer["number"] for answer in answers.values()} == {number}
    assert {uid_of(pid) for pid in answers} == {NOBODY}


@pytest.mark.parametrize("number", [signal.SIGHUP, pytest.param(signal.SIGUSR1, marks=pytest.mark.slow)])
def test_workers_of_another_user_go_on_in_the_next_log(unstarted: Server, number: int):
    """It is root who makes it; a worker that can't open it would die."""
    unstarted.conf(above=f"{ABOVE}\naccesslog, errorlog = 'access', 'errors'\nimport os; os.umask(0o77)")
    server = start(unstarted)
    before = server.pids()
    rotate(server, "access", "errors")

    server.signal(number)

    eventually(lambda: all_have_open(server, "access", "errors"), f"the new logs, not {open_logs(server)}")
    assert server.pids() == before
