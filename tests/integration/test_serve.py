"""`confcast serve`: an owner without a server, at an address that stays the same."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from multiprocessing.context import BaseContext
from pathlib import Path

import pytest

from confcast import Client
from tests.support.beside import Beside, start
from tests.support.leaks import is_running
from tests.support.served import Serves, serves
from tests.support.settings import write
from tests.support.workers import Worker


@pytest.fixture
def serve(forkserver: BaseContext, tmp_path: Path, runtime_folder: Path, nothing_is_left: None) -> Iterator[Serves]:
    """Starts `confcast serve` processes of a file with the number 1, at `c.sock`."""
    write(tmp_path / "app.toml", 1)
    with serves(forkserver, tmp_path, runtime_folder / "c.sock") as made:
        yield made


@pytest.fixture
def beside(forkserver: BaseContext, runtime_folder: Path) -> Iterator[Callable[[], Worker]]:
    """Starts processes that attach where they are told."""
    started: list[Worker] = []

    def start_one() -> Worker:
        started.append(start(forkserver, Beside))
        return started[-1]

    yield start_one
    for each in started:
        each.end()


def test_processes_attach_at_the_address_and_it_is_removed_at_the_end(
    serve: Serves, beside: Callable[[], Worker]
) -> None:
    first = serve()
    worker = beside()
    assert worker.ask("attach", str(serve.address)) == 1
    client = Client(address=str(serve.address))
    assert [each.pid for each in client.workers()] == [worker.pid]

    write(serve.folder / "app.toml", 2)
    os.kill(first.pid, signal.SIGHUP)
    assert worker.ask("await_number", 2) == 2
    owner = client.get_stats()["owner_pid"]

    assert first.end() == 0
    assert not is_running(owner)
    assert not serve.address.is_symlink()
    assert worker.ask("read") == (2, 2, False)
