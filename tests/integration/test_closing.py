"""A manager that is closed in one thread while another one reads through it: nobody still connects to its owner."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from confcast import NotAttached, Replica
from confcast.master.start.launch import Launcher
from confcast.master.supervisor import Supervisor
from confcast.worker import registry
from tests.support.fixtures import Manager
from tests.support.settings import Settings
from tests.support.waiting import DEADLINE, in_thread


class Point:
    """A point in a thread's way, at which it stays until it is let go."""

    def __init__(self) -> None:
        self._come = threading.Event()
        self._let_go = threading.Event()

    def pass_through(self) -> None:
        """What comes there calls this."""
        self._come.set()
        assert self._let_go.wait(DEADLINE)

    def await_thread(self) -> None:
        assert self._come.wait(DEADLINE), "nobody has come"

    def let_go(self) -> None:
        self._let_go.set()


@pytest.fixture
def attached(monkeypatch: pytest.MonkeyPatch) -> Point:
    """Where a replica has been attached, and who has done it does not know yet."""
    point, attach = Point(), Replica.attach

    def attach_and_stay(replica: Replica[Any], *arguments: Any, **options: Any) -> Replica[Any]:
        attach(replica, *arguments, **options)
        point.pass_through()
        return replica

    monkeypatch.setattr(Replica, "attach", attach_and_stay)
    return point


@pytest.fixture
def leaving(monkeypatch: pytest.MonkeyPatch) -> Point:
    """Where a close is about to have the owner leave, which still answers."""
    point, close = Point(), Launcher.close

    def stay_and_close(launcher: Launcher) -> None:
        point.pass_through()
        close(launcher)

    monkeypatch.setattr(Launcher, "close", stay_and_close)
    return point


@pytest.mark.parametrize("declare", [lambda: None, lambda: Replica(Settings, name="app")], ids=["made", "declared"])
def test_a_replica_that_is_attached_while_its_manager_is_closed_is_ended(
    declare: Callable[[], object], manager: Manager, attached: Point
) -> None:
    shared = declare()
    reading = in_thread(lambda: manager.current)
    attached.await_thread()
    replica = registry.attached("app")
    assert replica is not None
    assert shared in (None, replica)

    manager.close()
    attached.let_go()

    with pytest.raises(NotAttached, match="the manager 'app' is closed"):
        reading()
    assert (replica._provider, registry.attached("app")) == (None, None)


def test_nobody_attaches_to_an_owner_that_is_about_to_leave(manager: Manager, leaving: Point) -> None:
    closing = in_thread(manager.close)
    leaving.await_thread()
    try:
        with pytest.raises(NotAttached):
            _ = manager.current
        assert registry.attached("app") is None
    finally:
        leaving.let_go()
        closing()


def test_a_manager_that_is_started_again_is_read_anew(manager: Manager) -> None:
    assert manager.version == 1
    manager.close()

    with manager.start():
        assert manager.version == 1
        assert registry.attached("app") is not None
    assert registry.attached("app") is None


def test_of_two_threads_that_close_a_manager_one_does(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    """The descriptors that are closed twice may be somebody else's by then."""
    point, close = Point(), Supervisor.close
    closed: list[Supervisor] = []

    def stay_and_close(supervisor: Supervisor) -> None:
        closed.append(supervisor)
        if len(closed) == 1:
            point.pass_through()
        close(supervisor)

    monkeypatch.setattr(Supervisor, "close", stay_and_close)
    closing = in_thread(manager.close)
    point.await_thread()
    try:
        manager.close()
    finally:
        point.let_go()
        closing()

    assert len(closed) == 1
