"""The two sides of a take-over, each with another side that the test plays, and with an owner that fails just then."""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from confcast.errors import OwnerUnavailable
from confcast.serve import former as former_module
from confcast.serve import serving, successor
from confcast.serve.address_link import AddressRefused
from confcast.serve.former import Former
from confcast.serve.serving import Serving
from confcast.serve.succession import PROTOCOL, Moved, Noted, Paused, Pipe, Refused, Serves, TakeOver, connected
from confcast.wire import processes
from confcast.wire.files.owner_dirs import HANDOVER, TAKE_OVER, OwnerDir, parse
from tests.support.waiting import DEADLINE, eventually


@pytest.fixture
def folder() -> Iterator[Path]:
    """A runtime directory of this process. Not in tmp_path: a socket's path has room for 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="cc-") as base:
        made = Path(base) / f"confcast-app-{os.getpid()}-{processes.started(os.getpid())}.played"
        made.mkdir()
        yield made


def owner_dir(folder: Path) -> OwnerDir:
    found = parse(folder)
    assert found is not None
    return found


# ---- the one that replaces, and a former that is played


@contextlib.contextmanager
def played(folder: Path, play: Callable[[Pipe], object]) -> Iterator[socket.socket]:
    """A former in this folder that hears one successor; then it closes the pipe, and its socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(folder / TAKE_OVER))
        listener.listen()
        listener.settimeout(DEADLINE)

        def hear() -> None:
            connection, _ = listener.accept()
            with connection:
                pipe = Pipe(connection)
                assert isinstance(pipe.receive(DEADLINE), TakeOver)
                play(pipe)

        thread = threading.Thread(target=hear)
        thread.start()
        try:
            yield listener
        finally:
            thread.join()


def gives_way(folder: Path, *workers: int, follow: bool = True) -> Callable[[Pipe], object]:
    def play(pipe: Pipe) -> None:
        pipe.send(Paused(str(folder), ""))
        assert isinstance(pipe.receive(DEADLINE), Serves)
        pipe.send(Moved([*workers], follow))
        assert isinstance(pipe.receive(DEADLINE), Noted)

    return play


def test_an_owner_that_does_not_answer_once_the_place_is_taken_is_no_reason_to_give_it_up(folder: Path) -> None:
    """The former ends by itself then: if the successor ended, too, nothing would serve."""

    def silent() -> list[int]:
        raise OwnerUnavailable("the config owner did not answer within 5 s")

    with (
        played(folder, gives_way(folder, os.getpid())),
        successor.place_of(owner_dir(folder), DEADLINE) as place,
    ):
        place.hand_over(folder.with_name("next"), silent)
    assert place.is_taken


@pytest.mark.parametrize("follow", [True, False])
def test_the_owner_is_told_who_is_to_come_and_of_nobody_who_stays(folder: Path, follow: bool) -> None:
    me, told = os.getpid(), list[list[int]]()
    with played(folder, gives_way(folder, me, follow=follow)), successor.place_of(owner_dir(folder), DEADLINE) as place:
        place.hand_over(folder.with_name("next"), lambda: [me], told.append)
    assert told == ([[me]] if follow else [])


def test_the_end_of_a_former_that_is_ending_by_itself_is_awaited(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It closes the pipe first, and then gives back the address, which the successor takes."""
    ending = threading.Event()

    def ends(pipe: Pipe) -> None:
        pipe.send(Paused(str(folder), ""))
        assert isinstance(pipe.receive(DEADLINE), Serves)
        ending.set()

    looked: list[bool] = []

    def is_there(former: OwnerDir) -> bool:
        looked.append(ending.is_set())
        return len(looked) < 3

    monkeypatch.setattr(successor, "_is_there", is_there)
    with played(folder, ends), successor.place_of(owner_dir(folder), DEADLINE) as place:
        place.hand_over(folder.with_name("next"), list)
        assert (place.is_free, place.is_taken, looked) == (True, False, [True, True, True])


def test_a_former_that_listens_no_more_is_ending_and_its_place_is_free_then(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(folder / TAKE_OVER))
    left = iter([True, True, False, False])
    monkeypatch.setattr(successor, "_is_there", lambda former: next(left))
    with successor.place_of(owner_dir(folder), DEADLINE) as place:
        assert place.is_free

    monkeypatch.setattr(successor, "_is_there", lambda former: True)
    monkeypatch.setattr(successor, "_ENDS_WITHIN", 0.05)
    refused = pytest.raises(AddressRefused, match="can't be taken over")
    with refused, successor.place_of(owner_dir(folder), DEADLINE):
        raise AssertionError("it is still there")


def test_a_former_that_closes_the_pipe_and_lives_on_keeps_its_place(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an address, nothing else would keep two owners from loading."""
    monkeypatch.setattr(successor, "_ENDS_WITHIN", 0.05)
    refused = pytest.raises(AddressRefused, match=f"process {os.getpid()} has heard nothing, and goes on")
    with played(folder, lambda pipe: None), refused, successor.place_of(owner_dir(folder), DEADLINE):
        raise AssertionError("it lives")

    (folder / TAKE_OVER).unlink()

    def pauses_only(pipe: Pipe) -> None:
        pipe.send(Paused(str(folder), ""))
        assert isinstance(pipe.receive(DEADLINE), Serves)

    with (
        played(folder, pauses_only),
        successor.place_of(owner_dir(folder), DEADLINE) as place,
        pytest.raises(AddressRefused, match="does not answer, and goes on"),
    ):
        place.hand_over(folder.with_name("next"), list)


def test_a_former_that_takes_long_to_answer_is_named_in_the_log(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(successor, "_SAID_AFTER", 0.01)

    def takes_long(pipe: Pipe) -> None:
        eventually(lambda: "does not answer yet" in caplog.text, "a line in the log")
        pipe.send(Refused("not now"))

    refused = pytest.raises(AddressRefused, match="not now")
    with played(folder, takes_long), refused, successor.place_of(owner_dir(folder), DEADLINE):
        raise AssertionError("it has refused")
    assert f"process {os.getpid()} does not answer yet" in caplog.text


def test_nothing_is_taken_over_from_another_user(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root would begin with the journal that any user has put there."""
    monkeypatch.setattr(OwnerDir, "user", lambda self: os.geteuid() + 1)
    refused = pytest.raises(AddressRefused, match="as another user")
    with refused, successor.place_of(owner_dir(folder), DEADLINE):
        raise AssertionError("nothing may be heard of it")


# ---- the one that is replaced, and a successor that is played


class Manager:
    """In the place of a manager, whose owner leaves a copy of its journal when it is paused, or does not."""

    def __init__(self, folder: Path) -> None:
        self.address = str(folder / "control.sock")
        self.owner_pid = 1
        self.copies_from = 0  # the pause in which it leaves one
        self.dies_in = -1  # the pause in which the owner is replaced
        self.lives = True
        self.pauses = self.unpauses = 0

    def pause(self) -> None:
        if self.pauses == self.dies_in:
            self.owner_pid += 1
        if self.pauses >= self.copies_from:
            (Path(self.address).parent / HANDOVER).touch()
        self.pauses += 1

    def unpause(self) -> None:
        self.unpauses += 1

    def owner_lives(self) -> bool:
        return self.lives

    def workers(self) -> list[Any]:
        return []


@pytest.fixture
def listening(folder: Path) -> Iterator[tuple[Former, Manager]]:
    manager: Any = Manager(folder)
    listens = Former(manager, None, lambda pid, follow, ended: ended())
    listens.start()
    listens.open()
    yield listens, manager
    listens.close()


def ask(listens: Former) -> object:
    """What a successor is answered first, which gives up then; once the former has gone on."""
    answer = None
    with (
        connected(f"{listens._folder}/{TAKE_OVER}", DEADLINE) as pipe,
        contextlib.suppress(OSError),  # it was closed before it was read
    ):
        pipe.send(TakeOver(PROTOCOL, DEADLINE))
        answer = pipe.receive(DEADLINE)
    eventually(lambda: not listens._turn.locked(), "the end of its turn")
    return answer


class EndingTurn:
    """A turn whose end comes just after another process has asked for its own."""

    def __init__(self) -> None:
        self._turn, self.asked = threading.Lock(), threading.Event()
        self._turn.acquire()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        self.asked.set()
        return self._turn.acquire(blocking, timeout)

    def release(self) -> None:
        self._turn.release()

    def locked(self) -> bool:
        return self._turn.locked()


def test_who_asks_while_the_turn_of_another_ends_is_not_refused(
    listening: tuple[Former, Manager], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other has been answered before, and it may be the same process that asks again."""
    listens, _ = listening
    ending = EndingTurn()
    monkeypatch.setattr(listens, "_turn", ending)
    monkeypatch.setattr(former_module, "_TURN_ENDS_WITHIN", DEADLINE)
    with connected(f"{listens._folder}/{TAKE_OVER}", DEADLINE) as pipe:
        pipe.send(TakeOver(PROTOCOL + 1, DEADLINE))
        assert ending.asked.wait(DEADLINE)
        ending.release()
        answer = pipe.receive(DEADLINE)
    eventually(lambda: not ending.locked(), "the end of its turn")
    assert isinstance(answer, Refused)
    assert "another version of confcast" in answer.reason


def test_an_owner_that_can_t_leave_a_copy_of_its_journal_gives_no_place_away(
    listening: tuple[Former, Manager],
) -> None:
    """A successor without it would follow the sources again, whatever is held or set by hand."""
    listens, manager = listening
    manager.copies_from = 9
    answer = ask(listens)
    assert isinstance(answer, Refused)
    assert "could not write a copy of its journal" in answer.reason
    assert manager.unpauses == 1, "the former goes on"


def test_an_owner_that_dies_in_its_pause_is_replaced_by_one_that_is_asked_again(
    listening: tuple[Former, Manager], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(former_module, "_AGAIN", 0.001)
    listens, manager = listening
    manager.copies_from, manager.dies_in = 1, 0
    assert ask(listens) == Paused(str(folder), "")
    assert manager.pauses == 2

    assert manager.unpauses == 1, "the former goes on"
    (folder / HANDOVER).unlink()
    manager.copies_from, manager.lives = 9999, False
    monkeypatch.setattr(former_module, "_COPIED_WITHIN", 0.01)
    assert ask(listens) == Refused("its owner is down: end that process, and start this one anew")


def test_a_successor_that_takes_too_long_is_told_so(listening: tuple[Former, Manager], folder: Path) -> None:
    with connected(f"{folder}/{TAKE_OVER}", DEADLINE) as pipe:
        pipe.send(TakeOver(PROTOCOL, 0.05))
        assert isinstance(pipe.receive(DEADLINE), Paused)
        assert pipe.receive(DEADLINE) == Refused("it has waited for 0.05 s")


def test_who_attaches_until_the_address_has_moved_is_named_to_the_successor(
    listening: tuple[Former, Manager], folder: Path
) -> None:
    """It awaits them before it says that it serves. Without: one that came just before serves an older version then."""
    listens, manager = listening
    found: list[Any] = []

    class Link:
        path = folder / "app.sock"

        def take(self, address: str, instead_of: Path) -> None:
            found.append(SimpleNamespace(pid=51))

    manager.workers, listens._link = lambda: found, Link()  # type: ignore[method-assign, assignment]
    with connected(f"{folder}/{TAKE_OVER}", DEADLINE) as pipe:
        pipe.send(TakeOver(PROTOCOL, DEADLINE))
        assert isinstance(pipe.receive(DEADLINE), Paused)
        pipe.send(Serves(str(folder)))
        assert pipe.receive(DEADLINE) == Moved([51], follow=False)
        pipe.send(Noted())
        assert pipe.receive(DEADLINE) is None


def test_it_goes_on_listening_where_no_descriptor_or_thread_was_left(
    listening: tuple[Former, Manager], monkeypatch: pytest.MonkeyPatch
) -> None:
    listens, _ = listening
    monkeypatch.setattr(former_module, "_AGAIN", 0.001)
    begins, faults = listens._begin, [RuntimeError("can't start new thread")]

    def begin(run: Callable[..., None], *arguments: object) -> None:
        if faults:
            raise faults.pop()
        begins(run, *arguments)

    monkeypatch.setattr(listens, "_begin", begin)
    assert ask(listens) is None
    assert isinstance(ask(listens), Paused)

    class Listener:
        """Accepts nothing once."""

        def __init__(self, real: socket.socket) -> None:
            self.real, self.failed = real, threading.Event()

        def accept(self) -> tuple[socket.socket, object]:
            if not self.failed.is_set():
                self.failed.set()
                raise OSError(24, "Too many open files")
            return self.real.accept()

        def __getattr__(self, name: str) -> object:
            return getattr(self.real, name)

    monkeypatch.setattr(listens, "_listener", fails := Listener(listens._listener))
    assert isinstance(ask(listens), Paused)  # the accept that was under way
    assert fails.failed.wait(DEADLINE)
    assert isinstance(ask(listens), Paused)


# ---- the process that serves, where its owner or its folder is missing


def test_it_serves_though_its_owner_does_not_answer_at_once(caplog: pytest.LogCaptureFixture) -> None:
    class Silent:
        address = "/run/app/control.sock"

        def get_stats(self) -> dict[str, object]:
            raise OwnerUnavailable("the config owner did not answer within 5 s")

    silent: Any = Silent()
    begun = Serving("sources:loader", {})
    begun.manager = silent
    with caplog.at_level("INFO", serving._log.name):
        begun._log_that_it_serves(silent)
    assert "serving 'app' at /run/app/control.sock; now the config owner did not answer within 5 s" in caplog.text


def test_a_working_directory_that_was_deleted_is_said_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert Serving("sources:loader", {}).run() == serving.NO_OWNER
    assert "the working directory was deleted: start in one that is there" in caplog.text
