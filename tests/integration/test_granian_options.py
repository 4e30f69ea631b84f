"""granian's own options under confcast's launcher, and what is special in it."""

from __future__ import annotations

import importlib.metadata
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.gate import Gate
from tests.support.granian import Server
from tests.support.server import servers_of
from tests.support.waiting import DEADLINE, eventually

Make = Callable[..., Server]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    folder = tmp_path / "site"
    folder.mkdir()
    with servers_of(Server, folder) as make:
        yield make


def test_a_worker_that_dies_stops_the_server_unless_granian_is_told_otherwise(make: Make):
    server = make(arguments=()).start()
    victim, _ = server.pids()
    os.kill(victim, signal.SIGKILL)

    assert server.ended() == 1
    server.assert_nothing_left()


def test_workers_of_other_code_are_tried_again_while_the_others_serve(make: Make):
    server = make(arguments=("--respawn-failed-workers", "--respawn-interval", "0")).start()
    victim, other = server.pids()
    server.add_a_field()
    os.kill(victim, signal.SIGKILL)

    server.await_log("this worker can't attach and exits", 2)

    assert "color: str here, absent there" in server.log()
    assert server.ask("workers") == [other]


def test_with_granians_reload_a_hup_replaces_no_worker_and_the_owner_is_watched(make: Make):
    server = make(arguments=("--reload", "--reload-paths", "watched", "--respawn-failed-workers"))
    (server.folder / "watched").mkdir()
    server.start()
    before, number = server.pids(), server.change()

    assert server.hup()[0] == "success"
    os.kill(server.owner(), signal.SIGKILL)
    server.await_log(": restart: ")
    eventually(lambda: len(server.ask("workers")) == 2, "both workers attached")
    assert server.pids() == before

    (server.folder / "watched" / "module.py").write_text("")
    server.await_log("Spawning worker-", 4)
    answers = server.await_workers().everyone()
    assert not before & set(answers)
    assert {answer["number"] for answer in answers.values()} == {number}


def test_a_worker_that_is_spawned_attaches_and_boots_through_a_hup_for_the_group(make: Make):
    """As granian's are on Python 3.14; by the function for programs."""
    server = make(program=SPAWNING)
    gate = Gate(server.folder / "booting")
    gate.shut()
    try:
        server.launch()
        gate.await_load()
        newest = server.change()
        os.killpg(server.pid, signal.SIGHUP)
        server.await_log(" app: signal: ")
    finally:
        gate.open()
        gate.let_go()

    answers = server.await_workers().everyone()
    assert len(re.findall("Spawning worker-", server.log())) == len(answers) == 2
    assert {answer["number"] for answer in answers.values()} == {newest}


def test_a_refused_configuration_leaves_no_pid_file(make: Make):
    server = make(arguments=("--pid-file", "pid"))
    server.change("number = 'x'\n")
    server.launch()

    assert server.ended() == 78
    assert not (server.folder / "pid").exists()


def test_requests_that_could_not_be_pinned_are_refused_in_words(make: Make):
    server = make(arguments=("--task-impl", "rust"))
    server.launch()

    assert server.ended() == 3
    assert "task implementation 'rust' can't pin requests" in server.log()
    assert server.crashes() == []


def test_a_missing_granian_is_said_in_words():
    program = "import sys; sys.modules['granian'] = None; from confcast.servers import granian; granian.main([])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=DEADLINE)

    assert (done.returncode, done.stdout) == (3, "")
    assert "granian is not installed: pip install 'confcast[granian]'" in done.stderr


def test_the_help_has_the_options_of_both():
    command = [sys.executable, "-m", "confcast.servers.granian", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=True)

    assert "--loader MODULE:NAME" in done.stdout
    assert "--respawn-failed-workers" in done.stdout


def test_its_version_takes_no_loader():
    command = [sys.executable, "-m", "confcast.servers.granian", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=True)

    assert importlib.metadata.version("granian") in done.stdout


SPAWNING = """\
import multiprocessing
import sys
from confcast.servers import granian
from sources import loader

if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    options = {"watch": False, "vote_timeout": 10.0}
    granian.run("asgi_app:app", loader, manager=options, interface="asgi", port=int(sys.argv[1]), workers=2)
"""
