"""What is told to systemd, step by step: an owner and a main thread that do as the test says, and a real socket."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from confcast.errors import ConfcastError, NotAttached
from confcast.serve import systemd as module
from confcast.serve.notify import Notifier
from confcast.serve.serving import PlugIn
from confcast.serve.systemd import Systemd, plug_in
from confcast.wire import processes
from confcast.wire.messages import ReloadEvent, ReloadResult
from tests.support.systemd import NotifySocket
from tests.support.waiting import DEADLINE, eventually


class Manager:
    """In the place of a manager: its owner answers as the test says, and its reloads end when the test lets them."""

    name = "app"
    address = "/no/such/control.sock"
    answers_within = 10.0
    owner_pid = 1

    def __init__(self) -> None:
        self.reloads = 0
        self.begun = threading.Semaphore(0)
        self.may_end = threading.Semaphore(0)
        self.outcome: Callable[[], ReloadEvent] = lambda: event(ReloadResult.SUCCESS, self.reloads)
        self.answers = self.lives = True

    def ring(self, bell: int) -> None:
        self.bell = bell

    def reload_by_signal(self) -> ReloadEvent:
        self.reloads += 1
        self.begun.release()
        assert self.may_end.acquire(timeout=DEADLINE)
        return self.outcome()

    def owner_answers(self, within: float) -> bool:
        return self.answers

    def owner_lives(self) -> bool:
        return self.lives


class Serving:
    """In the place of the process: what is posted runs at once, while it is not stuck."""

    def __init__(self) -> None:
        self.manager = Manager()
        self.refusal: dict[str, object] = {}
        self.is_stuck = False
        self.successor = 0

    def post(self, happening: Callable[[], object]) -> None:
        if not self.is_stuck:
            happening()


def event(result: ReloadResult, version: int) -> ReloadEvent:
    return ReloadEvent(timestamp=0.0, result=result, origin="signal", version=version)


class Service:
    """A plug-in, what it serves, and the socket that it tells."""

    def __init__(self, systemd: NotifySocket, watchdog: float = 0.0) -> None:
        self.systemd = systemd.of(os.getpid())
        self.plug_in = Systemd(Notifier(str(systemd.path)), watchdog)
        self.serving: Any = Serving()
        self.manager: Manager = self.serving.manager
        self.plug_in.starts(self.serving)
        self.plug_in.prepares(self.serving)

    def serves(self) -> None:
        self.plug_in.serves(self.serving)
        self.systemd.await_state("running")

    def hup(self) -> bool:
        return self.plug_in.reload(self.serving)

    def kinds(self) -> list[str]:
        self.systemd.drain()
        return [each.kind() for each in self.systemd.said if each.kind() != "STATUS"]

    def close(self) -> None:
        self.plug_in.ends(self.serving)
        self.manager.may_end.release(100)
        eventually(lambda: not _of_ours(), "the end of its threads")
        self.plug_in.close()


def _of_ours() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name in ("confcast-systemd", "confcast-reload")]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    made: list[Service] = []

    def service(**options: float) -> Service:
        made.append(Service(NotifySocket(tmp_path / "notify"), **options))
        return made[-1]

    yield service
    for each in made:
        each.close()
        each.systemd.close()


@pytest.fixture
def service(make: Callable[..., Service]) -> Service:
    made = make()
    made.serves()
    return made


def test_without_a_socket_there_is_no_plug_in_and_no_variable_stays() -> None:
    environment = {"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": str(os.getpid())}
    assert plug_in(environment) is None
    assert environment == {}


def test_ready_comes_after_the_load_of_the_last_hup_and_once(service: Service) -> None:
    service.systemd.unit.reload(lambda pid, number: service.hup())
    assert service.manager.begun.acquire(timeout=DEADLINE)
    assert [service.hup(), service.hup()] == [True, True]
    service.manager.may_end.release()
    assert service.manager.begun.acquire(timeout=DEADLINE), "one load for both"
    service.systemd.await_state("reload-notify")
    assert service.kinds() == ["READY", "RELOADING", "RELOADING", "RELOADING"]
    service.manager.may_end.release()
    assert service.systemd.await_state("running").startswith("serving version 2; ")
    assert service.manager.reloads == 2
    assert service.kinds()[-2:] == ["RELOADING", "READY"]


@pytest.mark.parametrize("error", [ConfcastError("the manager is closed"), ValueError("of ours")])
def test_ready_comes_although_the_reload_raises(error: Exception, service: Service) -> None:
    def fails() -> ReloadEvent:
        raise error

    service.manager.outcome = fails
    service.manager.may_end.release()
    service.systemd.unit.reload(lambda pid, number: service.hup())
    status = service.systemd.await_state("running")
    assert "what became of the reload is unknown" in status
    assert "of ours" not in status, "a text that nobody has masked"


def test_ready_comes_although_no_thread_can_be_started(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        asked: list[bool] = []
        service.systemd.unit.reload(lambda pid, number: asked.append(service.hup()))
    assert "can't start new thread" in service.systemd.await_state("running")
    assert asked == [False], "the owner gets its HUP"


def test_hups_without_an_end_hold_ready_back_no_longer_than_two_reloads(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.manager.answers_within = 0.0
    monkeypatch.setattr(module, "_SLACK", -1.0)
    service.systemd.unit.reload(lambda pid, number: service.hup())
    assert service.manager.begun.acquire(timeout=DEADLINE)
    assert service.hup()
    service.manager.may_end.release()
    assert service.systemd.await_state("running").startswith("serving version 1; ")


def test_nothing_is_told_after_the_end(service: Service) -> None:
    service.systemd.unit.reload(lambda pid, number: service.hup())
    assert service.manager.begun.acquire(timeout=DEADLINE)
    service.plug_in.ends(service.serving)
    service.manager.may_end.release()
    eventually(lambda: not _of_ours(), "the end of its threads")
    os.write(service.manager.bell, b"\0")  # an owner that is being closed
    assert service.kinds() == ["READY", "RELOADING", "STOPPING"]


def test_where_a_process_of_another_service_takes_over_this_one_goes_on_until_it_ends(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "control_groups", str)
    service.serving.successor = os.getppid()
    service.plug_in.superseded(service.serving)
    text = f"process {os.getppid()} has taken over"
    assert service.systemd.await_status(text) == f"{text}; this one ends when no worker needs it"
    os.write(service.manager.bell, b"\0")  # an event of its last workers
    service.systemd.unit.reload(lambda pid, number: service.hup())
    assert service.systemd.await_state("running").startswith(text), "systemd may have sent the HUP, and waits"
    assert service.manager.reloads == 0
    service.plug_in._beat(0.01)
    assert service.kinds() == ["READY", "RELOADING", "READY", "WATCHDOG"], "the last workers are served on"
    service.plug_in.ends(service.serving)
    assert service.systemd.await_state("stop") == text


def test_a_start_and_a_reload_that_take_long_ask_for_more_time(
    make: Callable[..., Service], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_EXTEND_EVERY", 0.01)
    service = make()
    extended = [service.systemd.await_kind("EXTEND_TIMEOUT_USEC").fields for _ in range(2)]
    assert extended == 2 * [{"EXTEND_TIMEOUT_USEC": "20000000"}]
    service.serves()
    service.kinds()
    service.hup()
    service.systemd.await_kind("RELOADING")
    service.systemd.await_kind("EXTEND_TIMEOUT_USEC")
    service.manager.may_end.release()
    service.systemd.await_kind("READY")
    service.plug_in.ends(service.serving)
    assert service.kinds()[-2:] == ["READY", "STOPPING"], "and no more once it serves"


@pytest.mark.parametrize(
    ("answers", "lives", "has_answered", "is_stuck", "well"),
    [
        (True, True, True, False, True),
        (False, False, True, False, True),  # it is being replaced
        (False, True, False, False, True),  # it imports the schema's module
        (False, True, True, False, False),  # it hangs, or was stopped
        (True, True, True, True, False),  # the main thread takes no signal
    ],
)
def test_the_watchdog_is_told_of_a_service_that_works(
    answers: bool, lives: bool, has_answered: bool, is_stuck: bool, well: bool, make: Callable[..., Service]
) -> None:
    service = make()
    service.serves()
    if has_answered:
        service.plug_in._beat(0.01)
    before = len(service.kinds())
    service.manager.answers, service.manager.lives, service.serving.is_stuck = answers, lives, is_stuck
    service.plug_in._beat(0.01)
    assert service.kinds()[before:] == ["WATCHDOG"] * well


def test_a_socket_that_is_gone_ends_nothing(service: Service) -> None:
    service.systemd.path.unlink()
    assert service.hup()
    service.manager.may_end.release()
    eventually(lambda: service.plug_in._since is None, "the end of the reload")
    with contextlib.suppress(FileNotFoundError):
        service.systemd.path.unlink()


def test_a_plug_in_says_nothing_by_itself() -> None:
    """The base class: what is not overridden does nothing."""
    base: Any = PlugIn()
    for each in (base.starts, base.prepares, base.serves, base.ends):
        each(None)
    assert base.reload(None) is False


def test_the_end_waits_for_no_owner_that_hangs(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """A question to it takes as long as half of the watchdog's time."""
    monkeypatch.setattr(module, "_ENDS_WITHIN", 0.01)
    asked, may_answer = threading.Event(), threading.Event()

    def hangs(within: float) -> bool:
        asked.set()
        assert may_answer.wait(DEADLINE)
        raise NotAttached("the manager is closed by now")

    monkeypatch.setattr(service.manager, "owner_answers", hangs)
    service.plug_in._beat_every = 0.001
    os.write(service.manager.bell, b"\0")
    assert asked.wait(DEADLINE)
    service.plug_in.ends(service.serving)
    assert not may_answer.is_set()
    may_answer.set()
    eventually(lambda: not _of_ours(), "the end of its threads")
    assert service.kinds() == ["READY", "STOPPING"]
