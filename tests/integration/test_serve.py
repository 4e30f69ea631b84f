"""`confcast serve`: an owner without a server, at an address that stays the same."""

from __future__ import annotations

import contextlib
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
        with contextlib.suppress(ValueError):  # the test has ended it
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


NEWER = """
from pydantic import BaseModel
class Settings(BaseModel):
    number: int
    twin: int
    color: str = "red"
"""


def versions(address: Path) -> list[int]:
    return [each.version for each in Client(address=address).versions()]


def test_a_take_over_brings_the_workers_of_its_schema_along_and_goes_on_with_the_versions(
    serve: Serves, beside: Callable[[], Worker]
) -> None:
    first, worker = serve(), beside()
    assert worker.ask("attach", str(serve.address)) == 1
    client = Client(address=serve.address)
    assert client.set({"number": 7, "twin": 7}).version == 2

    second = serve("--take-over")

    assert first.status() == 0
    assert worker.ask("read") == (2, 7, True)
    assert [each.pid for each in client.workers()] == [worker.pid]
    assert "1 of 1 workers have come along" in second.said()
    assert [each.key for each in client.status().overrides] == ["number", "twin"]
    assert client.unset(["number", "twin"]).version == 3
    assert worker.ask("await_number", 1) == 3
    assert versions(serve.address) == [3, 2, 1]


def test_workers_of_another_schema_are_served_by_the_old_one_until_they_leave(
    serve: Serves, beside: Callable[[], Worker], tmp_path: Path
) -> None:
    (tmp_path / "newer.py").write_text(NEWER)
    state = tmp_path / "state"
    first, worker = serve("--state-dir", str(state)), beside()
    worker.ask("attach", str(serve.address))
    serve.write_loader("newer:Settings")
    second = serve("--take-over", "--state-dir", str(state))

    newer = beside()
    newer.ask("go_to", str(tmp_path))
    assert newer.ask("attach", str(serve.address), 20.0, "newer:Settings") == 2
    assert [each.pid for each in Client(address=serve.address).workers()] == [newer.pid]
    assert worker.ask("read") == (1, 1, True)
    late = beside()
    assert late.ask("attach", str(serve.address)) == 1, "old code that starts now is served by the old one"

    write(serve.folder / "app.toml", 5)
    assert newer.ask("reload") == "success"
    second.await_said("the journal has moved into")
    late.end()
    assert first.said().count("no worker is left") == 0
    worker.end()
    assert first.status() == 0
    assert newer.ask("read") == (3, 5, True)


def test_a_take_over_that_is_refused_changes_nothing(serve: Serves, beside: Callable[[], Worker]) -> None:
    first, worker = serve(), beside()
    worker.ask("attach", str(serve.address))
    (serve.folder / "app.toml").write_text("number = 'one'\n")

    second = serve.start("--take-over")
    assert second.status() == 1
    assert "app.toml:1:10: number" in second.said()

    first.await_said("goes on as before")
    write(serve.folder / "app.toml", 2)
    assert worker.ask("reload") == "success"
    assert worker.ask("read") == (2, 2, True)
