"""How a celery worker with a config owner starts, and how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.celery import Server, environment_of, servers
from tests.support.gate import Gate
from tests.support.redis import needs_redis, redis_server
from tests.support.waiting import DEADLINE, eventually

pytestmark = needs_redis()

Make = Callable[..., Server]

OTHER = """

from confcast import Replica
from settings import Settings

other = Replica(Settings, name="other")
confcast_celery.install(app, ConfigLoader("settings:Settings", "other.toml"), name="other", watch=False)

@app.task
def both():
    return [os.getpid(), settings.current.number, other.current.number]
"""

IMPORTS = """
import os, signal, threading
import tasks
tasks.ask.delay("read", "")
assert threading.active_count() == 1, threading.enumerate()
assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL
assert not [name for name in os.environ if name.startswith("CONFCAST_ADDRESS")]
with open("/proc/self/task/%d/children" % os.getpid()) as children:
    assert children.read() == ""
"""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Where the redis of all these workers is."""
    with redis_server() as port:
        yield port


@pytest.fixture
def make(tmp_path: Path, port: int) -> Iterator[Make]:
    with servers(tmp_path / "site", port) as make:
        yield make


def test_a_program_that_imports_the_tasks_starts_nothing(make: Make):
    server = make()
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS],
        cwd=server.folder,
        env=environment_of(server),
        capture_output=True,
        text=True,
        timeout=2 * DEADLINE,  # celery's imports alone may take half of it on a busy machine
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert list(server.runtime.iterdir()) == []


def test_a_configuration_that_is_refused_ends_the_worker_with_every_problem(make: Make):
    server = make()
    server.change("number = 'many'\ncolour = 'red'\n")
    server.launch("--logfile=celery.log")
    assert server.ended() == 78
    log = (server.folder / "celery.log").read_text()
    for said in (log, server.log()):  # a detached worker has the first only
        assert "the configuration is refused, celery does not start" in said
        assert "app.toml:1:10: number" in said
        assert "app.toml:2:1: colour" in said
    assert "Traceback" not in server.log() + log


@pytest.mark.slow
def test_a_hup_while_it_starts_kills_nothing_and_restarts_nothing(make: Make):
    server = make()
    server.launch()
    eventually(server.owners, "the start of its owner")
    ready = threading.Event()

    def hup() -> None:
        while not ready.wait(0.005):
            os.killpg(server.pid, signal.SIGHUP)

    hups = threading.Thread(target=hup)
    hups.start()
    try:
        server.await_workers()
    finally:
        ready.set()
        hups.join()
    pids, number = server.pids(), server.change()
    server.signal(signal.SIGHUP)
    eventually(lambda: {answer["number"] for answer in server.everyone().values()} == {number}, "the new number")
    assert server.pids() == pids
    assert "Restarting celery worker" not in server.log()
    assert "exited with" not in server.log()


def test_a_stop_waits_for_a_task_that_ends_on_its_own_version_while_a_reload_is_in_flight(make: Make, tmp_path: Path):
    server = make().start()
    (tmp_path / "call").mkdir()
    task_gate, vote_gate = Gate(tmp_path / "call" / "gate"), Gate(tmp_path / "vote")
    for gate in (task_gate, vote_gate):
        gate.shut()
    task = server.send("twice", str(tmp_path))
    task_gate.await_load()
    server.change(f"number = 7\nname = '{vote_gate.path}'\n")
    server.signal(signal.SIGHUP)
    vote_gate.await_load()
    server.signal(signal.SIGTERM)
    server.await_log("Warm shutdown")
    for gate in (vote_gate, task_gate):
        gate.open()
        gate.let_go()
    assert server.result(task) == [1, 1, 1]
    assert server.ended() == 0
    server.assert_nothing_left()


@pytest.mark.slow
def test_replaced_processes_attach_to_every_configuration(make: Make):
    server = make(more=OTHER)
    other = server.folder / "other.toml"
    other.write_text("number = 1\n")
    server.launch("--max-tasks-per-child=1")
    server.await_log(" ready.")
    tasks = [server.send("both") for _ in range(2)]
    before = [server.result(task) for task in tasks]
    other.write_text("number = 9\n")
    server.change()
    server.signal(signal.SIGHUP)
    server.await_log("signal: success", 2)
    tasks = [server.send("both") for _ in range(2)]
    after = [server.result(task) for task in tasks]
    assert [numbers for _, *numbers in before + after] == [[1, 1]] * 2 + [[2, 9]] * 2
    assert len({pid for pid, *_ in before + after}) == 4
