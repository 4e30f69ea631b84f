"""gunicorn's workers come and go, by its own rules: a reload reaches those that are there, and waits for no other."""

from __future__ import annotations

import http.client
import signal
import socket
from pathlib import Path

import pytest

from tests.support.gate import Gate
from tests.support.gunicorn import Make
from tests.support.leaks import is_running
from tests.support.server import reload_all
from tests.support.waiting import eventually, in_thread

# gunicorn's own time-out takes a second at the least, and may hit a worker that still boots on a busy machine: so the
# master finds a worker too late when the test says so.
TIMEOUT = """
import os
def when_ready(server):
    murder = server.murder_workers
    def murder_workers():
        server.timeout = 0.001 if os.path.exists("hangs") else 60
        murder()
    server.murder_workers = murder_workers
def child_exit(server, worker):
    os.path.exists("hangs") and os.unlink("hangs")
"""


def test_a_worker_that_gunicorn_kills_for_a_time_out_is_not_waited_for(make: Make, tmp_path: Path):
    (tmp_path / "call").mkdir()
    gate = Gate(tmp_path / "call" / "gate")
    gate.shut()
    server = make(below=TIMEOUT).start()
    (victim,) = server.pids()
    hanging = in_thread(lambda: server.ask(f"hold?{tmp_path}"))
    gate.await_load()
    (server.folder / "hangs").touch()

    server.await_log(f"WORKER TIMEOUT (pid:{victim})")
    eventually(lambda: not is_running(victim), "its end")
    gate.let_go()
    with pytest.raises((AssertionError, OSError, http.client.HTTPException)):
        hanging()
    server.await_workers()

    assert victim not in reload_all(server)


def test_more_and_fewer_workers(make: Make):
    server = make(above="workers = 1").start()
    (first,) = server.pids()
    server.change()
    server.hup()

    server.signal(signal.SIGTTIN)
    eventually(lambda: len(server.ask("workers")) == 2, "a second worker")
    server.conf(above="workers = 2")
    assert first in reload_all(server)

    server.signal(signal.SIGTTOU)
    eventually(lambda: len(server.ask("workers")) == 1, "the end of one")
    server.conf(above="workers = 1")
    assert len(reload_all(server)) == 1


def test_workers_that_each_listen_by_themselves_are_all_reloaded(make: Make):
    with socket.socket() as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        server = make(above=f"workers = 2\nreuse_port = True\nbind = '127.0.0.1:{port}'")
        server.launch()
        server.await_log("Listening at")
        server.port = port
        server.await_log("Booting worker", 2)

        def all_attached() -> bool:
            try:
                return len(server.ask("workers")) == 2
            except ConnectionError:
                return False

        eventually(all_attached, "all workers attached")
        assert server.hup()[0] == "unchanged"
        reload_all(server)


def test_a_replica_can_not_be_read_at_import_in_the_master(make: Make):
    """With preload_app the application is imported before there are an owner and workers."""
    server = make(above="preload_app = True")
    server.launch()

    assert server.ended() == 1
    assert "replica 'app' of Settings has no configuration yet" in server.log()
    assert "confcast app:" not in server.log()
