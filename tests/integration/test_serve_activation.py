"""A socket that a service manager passes: connections wait in it while no owner runs, and none is refused."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from multiprocessing.context import BaseContext
from pathlib import Path

import pytest

from confcast import Client
from confcast.serve import passed_socket
from confcast.serve.address_link import AddressRefused
from confcast.wire.files import lasting_address
from tests.support.beside import Beside, start
from tests.support.served import Serves, serves
from tests.support.settings import write
from tests.support.waiting import eventually


@pytest.fixture
def listening(runtime_folder: Path, nothing_is_left: None) -> Iterator[socket.socket]:
    """The service manager's socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as made:
        made.bind(str(runtime_folder / "a.sock"))
        made.listen(64)
        yield made
    (runtime_folder / "a.sock").unlink()


@pytest.fixture
def serve(forkserver: BaseContext, tmp_path: Path, listening: socket.socket) -> Iterator[Serves]:
    write(tmp_path / "app.toml", 1)
    with serves(forkserver, tmp_path, Path(listening.getsockname())) as made:
        yield made


def test_who_connects_while_nothing_serves_waits_and_workers_come_back_after_a_restart(
    forkserver: BaseContext, serve: Serves, listening: socket.socket
) -> None:
    address = str(serve.address)
    worker = start(forkserver, Beside)
    try:
        worker.tell("attach", address)  # in the backlog, while nothing serves
        first = serve(address=None, passed=listening)
        assert worker.answer() == 1
        assert worker.ask("await_log", "", 0) == [], "that none serves yet is no trouble"
        folder = lasting_address.runtime_dir_of(address)
        assert folder is not None
        assert folder.is_dir()
        client = Client(address=address)
        assert [each.pid for each in client.workers()] == [worker.pid]

        os.kill(client.get_stats()["owner_pid"], signal.SIGKILL)  # the next owner accepts on the same socket
        assert client.get_stats()["owner_restarts"] == 1
        write(serve.folder / "app.toml", 2)
        assert client.reload()
        assert worker.ask("await_number", 2) == 2

        assert first.end() == 0
        assert serve.address.is_socket()
        assert lasting_address.runtime_dir_of(address) is None
        write(serve.folder / "app.toml", 3)
        second = serve(passed=listening)
        assert worker.ask("await_number", 3) == 3
        eventually(lambda: [each.pid for each in client.workers()] == [worker.pid], "the worker on the new roster")

        refused = serve.start("--take-over", address=None, passed=listening)
        assert refused.status() == 1
        assert "nothing takes over there" in refused.said()
        assert second.end() == 0
    finally:
        worker.end()


def variables(count: str = "1", names: str = "", pid: int | None = None) -> dict[str, str]:
    return {"LISTEN_PID": str(pid or os.getpid()), "LISTEN_FDS": count, "LISTEN_FDNAMES": names, "OTHER": "stays"}


@pytest.fixture
def first_at(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Passes these sockets: descriptors from 3 on may be the test run's own."""

    def put(*sockets: socket.socket) -> None:
        base = 200
        for index, each in enumerate(sockets):
            os.dup2(each.fileno(), base + index)
        monkeypatch.setattr(passed_socket, "_FIRST", base)

    return put


@pytest.fixture(autouse=True)
def closed_again() -> Iterator[None]:
    yield
    os.closerange(200, 210)


def test_the_variables_are_unset_whomever_they_mean(caplog: pytest.LogCaptureFixture) -> None:
    environment = variables(pid=1)
    assert passed_socket.passed("app", environment) is None
    assert environment == {"OTHER": "stays"}
    assert "is for the process 1, and not for this one" in caplog.text
    assert passed_socket.passed("app", environment) is None


def test_of_several_sockets_the_one_with_the_name_is_taken(
    tmp_path: Path, first_at: Callable[..., None], listening: socket.socket
) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        first_at(other, listening)
        found = passed_socket.passed("app", variables("2", "web:app"))
        assert found is not None
        assert (found.descriptor, str(found.path)) == (201, listening.getsockname())
        assert not os.get_inheritable(201)
        with pytest.raises(AddressRefused, match=r"2 sockets were passed \(web:other|FileDescriptorName=app"):
            passed_socket.passed("app", variables("2", "web:other"))


@pytest.mark.skipif(sys.platform != "linux", reason="abstract sockets are Linux's")
def test_what_no_owner_can_accept_on_is_refused_in_words(
    first_at: Callable[..., None], tmp_path: Path, runtime_folder: Path
) -> None:
    def refusal() -> str:
        with pytest.raises(AddressRefused) as raised:
            passed_socket.passed("app", variables())
        return str(raised.value)

    with socket.socket(socket.AF_INET) as inet:
        first_at(inet)
        assert "no Unix stream socket" in refusal()
    with socket.socket(socket.AF_UNIX) as silent:
        first_at(silent)
        assert "does not listen" in refusal()
    with socket.socket(socket.AF_UNIX) as abstract:
        abstract.bind("\0confcast-test-of-an-abstract-socket")
        abstract.listen()
        first_at(abstract)
        assert "has no path" in refusal()
    with socket.socket(socket.AF_UNIX) as removed:
        removed.bind(str(runtime_folder / "b.sock"))
        removed.listen()
        (runtime_folder / "b.sock").unlink()
        first_at(removed)
        assert "has lost its path" in refusal()
    with (tmp_path / "file").open("w") as file:
        os.dup2(file.fileno(), 200)
        assert "is no socket" in refusal()
    os.close(200)
    assert "is not open" in refusal()
    with pytest.raises(AddressRefused, match="a number of descriptors"):
        passed_socket.passed("app", variables("many"))
