"""One `confcast serve` takes the place of another, whatever becomes of either."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from multiprocessing.context import BaseContext
from pathlib import Path

import pytest

from confcast import Client, ReloadResult
from confcast.serve.succession import PROTOCOL, Moved, Noted, Paused, Pipe, Refused, TakeOver, connected
from confcast.serve.succession import Serves as ServesIn
from confcast.wire.files import lasting_address
from confcast.wire.files.owner_dirs import TAKE_OVER
from tests.support.beside import Beside, start
from tests.support.gate import Gate
from tests.support.served import Serves
from tests.support.settings import write
from tests.support.slow import slow
from tests.support.stopping import stop
from tests.support.waiting import DEADLINE, eventually
from tests.support.workers import Worker

NEWER = """
from pydantic import BaseModel
class Settings(BaseModel):
    number: int
    twin: int
    gate: str = ""
    color: str = "red"
"""


def versions(address: Path) -> list[int]:
    return [each.version for each in Client(address=address).versions()]


def master(address: Path) -> int:
    """The process that serves there."""
    found = lasting_address.owner_at(str(address))
    assert found is not None
    return found.master


def test_the_workers_of_its_schema_come_along_and_versions_and_what_people_have_set_go_on(
    serve: Serves, attached: Callable[[], Worker]
) -> None:
    first, worker = serve(), attached()
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


@pytest.mark.slow  # seconds of waiting: for the one that does not come along
def test_who_can_t_come_along_is_named_by_the_one_that_takes_over(
    serve: Serves, attached: Callable[[], Worker]
) -> None:
    """Without: a success, with nobody named, while it serves the version before."""
    options = ["--vote-timeout", "0.5"]
    serve(*options)
    worker, other = attached(), attached()
    stop(worker.pid)

    serve("--take-over", *options)

    write(serve.folder / "app.toml", 2)
    event = Client(address=serve.address).reload()
    os.kill(worker.pid, signal.SIGCONT)
    assert (event.result, event.applied) == (ReloadResult.PARTIAL, [other.pid])
    assert [each.pid for each in event.lagging] == [worker.pid]
    assert worker.ask("await_number", 2) == 2


@pytest.mark.slow  # the same
def test_so_is_who_has_attached_while_the_next_one_has_loaded(
    serve: Serves, attached: Callable[[], Worker], gate: Gate
) -> None:
    """The copy of the journal, with which that one begins, does not know it."""
    options, config = ["--vote-timeout", "0.5"], serve.folder / "app.toml"
    serve(*options)
    worker = attached()
    second = gate.hold_load(config, 2, lambda: serve.start("--take-over", *options))
    late = attached()
    stop(late.pid)
    gate.open()
    gate.let_go()
    second.await_serving()

    write(config, 3)
    event = Client(address=serve.address).reload()
    os.kill(late.pid, signal.SIGCONT)
    assert (event.result, event.applied) == (ReloadResult.PARTIAL, [worker.pid])
    assert [each.pid for each in event.lagging] == [late.pid]
    assert late.ask("await_number", 3) == 3


@pytest.mark.slow
def test_who_has_left_while_the_next_one_has_loaded_is_not_awaited(
    serve: Serves, attached: Callable[[], Worker], gate: Gate
) -> None:
    """The copy of the journal has it yet. Without: each reload waits for it, and names it, while its process lives."""
    serve()
    worker, leaves = attached(), attached()
    second = gate.hold_load(serve.folder / "app.toml", 2, lambda: serve.start("--take-over"))
    leaves.ask("close")
    gate.open()
    gate.let_go()
    second.await_serving()
    write(serve.folder / "app.toml", 3)
    event = Client(address=serve.address).reload()
    assert (event.result, event.applied, event.lagging) == (ReloadResult.SUCCESS, [worker.pid], [])


def test_workers_of_another_schema_are_served_by_the_old_one_until_they_leave(
    serve: Serves, attached: Callable[[], Worker], forkserver: BaseContext, tmp_path: Path
) -> None:
    (tmp_path / "newer.py").write_text(NEWER)
    state = tmp_path / "state"
    first, worker = serve("--state-dir", str(state)), attached()
    serve.write_loader("newer:Settings")
    second = serve("--take-over", "--state-dir", str(state))

    newer = start(forkserver, Beside)
    with contextlib.closing(_Ends(newer)):
        newer.ask("go_to", str(tmp_path))
        assert newer.ask("attach", str(serve.address), 20.0, "newer:Settings") == 2
        assert [each.pid for each in Client(address=serve.address).workers()] == [newer.pid]
        assert worker.ask("read") == (1, 1, True)
        late = attached()
        assert late.ask("read") == (1, 1, True), "old code that starts now is served by the old one"

        old = Client(pid=first.pid)
        os.kill(old.get_stats()["owner_pid"], signal.SIGKILL)  # also by that one's next owner
        eventually(lambda: len(old.workers()) == 2, "the workers with the old one's next owner")
        worker.ask("await_connected", True)

        write(serve.folder / "app.toml", 5)
        assert newer.ask("reload") == "success"
        second.await_said("the journal has moved into")
        assert "another config owner loads" in str(old.reload().problems)

        os.kill(second.pid, signal.SIGKILL)  # what was committed since outlives both
        second.status()
        assert newer.ask("read")[:2] == (3, 5)
        third = serve("--state-dir", str(state))
        assert versions(serve.address) == [3, 2, 1]
        eventually(lambda: [each.pid for each in Client(address=serve.address).workers()] == [newer.pid], "the newer")

        late.end()
        worker.end()
        assert first.status() == 0
        newer.ask("await_connected", True)  # the third has known it from the journal
        assert newer.ask("read") == (3, 5, True)
        assert third.end() == 0


def test_a_take_over_that_is_refused_changes_nothing(serve: Serves, attached: Callable[[], Worker]) -> None:
    first, worker = serve(), attached()
    (serve.folder / "app.toml").write_text("number = 'one'\n")

    second = serve.start("--take-over")
    assert second.status() == 1
    assert "app.toml:1:10: number" in second.said()

    first.await_said("goes on as before")
    write(serve.folder / "app.toml", 2)
    assert worker.ask("reload") == "success"
    assert worker.ask("read") == (2, 2, True)


def test_of_two_at_once_one_wins_and_a_killed_one_changes_nothing(
    serve: Serves, attached: Callable[[], Worker], gate: Gate
) -> None:
    first, worker = serve(), attached()
    config = serve.folder / "app.toml"
    second = gate.hold_load(config, 2, lambda: serve.start("--take-over"))
    third = serve.start("--take-over")
    assert third.status() == 1
    assert f"process {first.pid} can't be taken over: it is being taken over by another process" in third.said()

    second.end(signal.SIGKILL)
    first.await_said(f"process {second.pid} has not taken over: this one goes on as before")
    assert master(serve.address) == first.pid
    gate.open()
    gate.let_go()
    assert worker.ask("reload") == "success"
    assert worker.ask("read") == (2, 2, True)


@pytest.mark.parametrize("state", [True, slow(False)])
def test_the_old_one_is_killed_while_the_next_one_loads(
    serve: Serves, attached: Callable[[], Worker], gate: Gate, tmp_path: Path, state: bool
) -> None:
    options = ["--state-dir", str(tmp_path / "state")] if state else []
    first, worker = serve(*options), attached()
    write(serve.folder / "app.toml", 2)
    assert worker.ask("reload") == "success"
    second = gate.hold_load(serve.folder / "app.toml", 3, lambda: serve.start("--take-over", *options))
    first.end(signal.SIGKILL)
    gate.open()
    gate.let_go()
    second.await_serving()
    assert worker.ask("await_number", 3) == 3
    assert master(serve.address) == second.pid
    assert versions(serve.address) == [3, 2, 1]
    assert second.end() == 0


# ---- a successor that the test plays, so that it ends exactly there


@contextlib.contextmanager
def asking(serve: Serves, within: float = DEADLINE, protocol: int = PROTOCOL) -> Iterator[Pipe]:
    folder = lasting_address.folder_of(str(serve.address))
    with connected(f"{folder}/{TAKE_OVER}", DEADLINE) as pipe:
        pipe.send(TakeOver(protocol, within))
        yield pipe


@pytest.fixture
def fake(runtime_folder: Path) -> Iterator[Path]:
    """The runtime directory of a successor that this test run plays."""
    folder = runtime_folder / f"confcast-app-{os.getpid()}-0.played"
    folder.mkdir()
    yield folder
    folder.rmdir()


def test_a_successor_that_dies_or_takes_too_long_gives_the_address_back_and_one_that_noted_it_has_it(
    serve: Serves, attached: Callable[[], Worker], fake: Path
) -> None:
    first, worker = serve(), attached()
    with asking(serve, protocol=PROTOCOL + 1) as pipe:
        answer = pipe.receive(DEADLINE)
        assert isinstance(answer, Refused)
        assert "another version of confcast" in answer.reason

    with asking(serve, within=0.05) as pipe:
        assert isinstance(pipe.receive(DEADLINE), Paused)
        assert pipe.receive(DEADLINE) == Refused("it has waited for 0.05 s")
    first.await_said("goes on as before")

    with asking(serve) as pipe:
        assert isinstance(pipe.receive(DEADLINE), Paused)
        pipe.send(ServesIn(str(fake)))
        assert pipe.receive(DEADLINE) == Moved([worker.pid], follow=False)
        assert lasting_address.folder_of(str(serve.address)) == fake
    eventually(lambda: first.said().count("goes on as before") == 2, "the former goes on")
    assert master(serve.address) == first.pid
    write(serve.folder / "app.toml", 2)
    assert worker.ask("reload") == "success"
    worker.end()

    with asking(serve) as pipe:
        assert isinstance(pipe.receive(DEADLINE), Paused)
        pipe.send(ServesIn(str(fake)))
        assert pipe.receive(DEADLINE) == Moved([], follow=False)
        pipe.send(Noted())
        assert pipe.receive(DEADLINE) is None
    assert first.status() == 0, "no worker needs it"
    assert lasting_address.folder_of(str(serve.address)) == fake, "it removes no address of another's"
    serve.address.unlink()


@pytest.mark.slow
def test_a_former_that_is_ended_in_the_midst_ends(serve: Serves) -> None:
    first = serve()
    with asking(serve) as pipe:
        assert isinstance(pipe.receive(DEADLINE), Paused)
        os.kill(first.pid, signal.SIGTERM)
        assert pipe.receive(DEADLINE) is None
    assert first.status() == 0


def test_what_is_no_serve_can_t_be_taken_over(serve: Serves, fake: Path) -> None:
    serve.address.symlink_to(fake / "control.sock")
    refused = serve.start("--take-over")
    assert refused.status() == 1
    assert f"process {os.getpid()} " in refused.said()
    assert "it is no `confcast serve`" in refused.said()
    serve.address.unlink()


def test_by_name_it_takes_over_too_and_an_absent_one_is_no_obstacle(
    serve: Serves, attached: Callable[[], Worker]
) -> None:
    first = serve("--take-over")
    assert "nothing is served there that could be taken over" in first.said()
    worker = attached()
    second = serve("--take-over", address=None)
    assert first.status() == 0
    assert master(serve.address) == second.pid
    assert worker.ask("read") == (1, 1, True)
    assert second.end() == 0
    assert not serve.address.is_symlink()


class _Ends:
    """Ends a worker when it is closed."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def close(self) -> None:
        self._worker.end()
