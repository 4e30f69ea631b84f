"""A scheduler beside gunicorn follows it over a full reload and an upgrade, and holds no old owner alive."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from multiprocessing.context import BaseContext

import pytest

from confcast.wire.listener import SOCKET
from tests.support.beside import Beside, start
from tests.support.gunicorn import Make, Server
from tests.support.leaks import is_running
from tests.support.waiting import eventually
from tests.support.workers import Worker


@pytest.fixture
def server(make: Make) -> Server:
    return make(options="watch=True").start()


@pytest.fixture
def beside(server: Server, forkserver: BaseContext) -> Iterator[Worker]:
    """Attached by the address of the first owner."""
    (address,) = server.runtime.glob(f"*/{SOCKET}")
    process = start(forkserver, Beside, runtime=str(server.runtime))
    process.ask("go_to", str(server.folder))
    assert process.ask("attach", str(address), 20.0, "settings:Settings") == 1
    yield process
    process.end()


def test_a_process_beside_it_follows_over_a_full_reload_and_an_upgrade(server: Server, beside: Worker) -> None:
    old = server.owner()
    server.signal(signal.SIGRTMIN)
    eventually(lambda: not is_running(old), "the end of the old owner, whose workers are gone")
    beside.ask("await_log", "found again")
    server.change()
    beside.ask("await_number", server.number)

    old = server.owner()
    server.upgrade()
    os.kill(server.pid, signal.SIGQUIT)
    eventually(lambda: not is_running(old), "the end of the old master's owner")
    server.change()

    beside.ask("await_number", server.number)
    assert beside.ask("read")[1:] == (server.number, True)
    assert ["gone" in line for line in beside.ask("await_log", "found again", 2)] == [True, False, True, False]
