"""Managers that could be taken for another: one that a fork has inherited, and two of one name in one process."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from confcast import (
    ConfcastError,
    ConfigError,
    ConfigLoader,
    ConfigReloadManager,
    NotAttached,
    Replica,
    initialize_reload_manager,
)
from confcast.master.embedded import EmbeddedManager
from confcast.master.start.launch import Launcher
from tests.support.fixtures import Manager, StartManager
from tests.support.forking import said_in_child
from tests.support.leaks import is_running
from tests.support.settings import SCHEMA, Settings, write
from tests.support.waiting import DEADLINE, in_thread


@pytest.mark.parametrize("name", ["reload", "get_stats", "workers", "clear_history", "get_event_history"])
def test_a_manager_that_a_fork_has_inherited_answers_no_verb(name: str, shared_manager: Manager) -> None:
    said = said_in_child(getattr(shared_manager, name))

    assert said.startswith(f"NotAttached: this manager belongs to the process {os.getpid()}")


def test_a_manager_that_a_fork_has_inherited_is_inert(shared_manager: Manager) -> None:
    manager, owner = shared_manager, shared_manager.owner_pid
    reloads = manager.get_stats()["total_reloads"]

    assert said_in_child(lambda: manager.version).startswith("NotAttached")
    assert said_in_child(lambda: (manager.request_reload(), manager.ensure_owner(), manager.close())) == str(
        (None,) * 3
    )

    assert manager.owner_pid == owner
    assert is_running(owner)
    assert os.environ["CONFCAST_ADDRESS_APP"] == manager.address
    assert manager.get_stats()["total_reloads"] == reloads


@pytest.mark.parametrize("name", ["app", "App"])
def test_a_second_manager_of_a_name_is_refused_in_words_and_the_first_goes_on(
    name: str, shared_manager: Manager, config: Path
) -> None:
    """Names that differ, but not in their address variable, are no two names."""
    second = ConfigReloadManager(ConfigLoader(SCHEMA, config), name=name)

    with pytest.raises(ConfcastError, match="has started a manager 'app' already, and CONFCAST_ADDRESS_APP has its"):
        second.start()

    with pytest.raises(NotAttached, match="is not started"):
        second.reload()
    assert os.environ["CONFCAST_ADDRESS_APP"] == shared_manager.address
    assert shared_manager.reload()


def test_a_manager_that_was_refused_or_closed_leaves_its_name_to_the_next(
    start_manager: StartManager, config: Path
) -> None:
    write(config, -1)
    with pytest.raises(ConfigError):
        start_manager(name="other")
    write(config, 1)
    start_manager(name="other").close()
    assert start_manager(name="other").version == 1


def test_a_fork_may_start_a_manager_of_the_name_that_its_parent_has(shared_manager: Manager, config: Path) -> None:
    def number() -> int:
        with ConfigReloadManager(ConfigLoader(SCHEMA, config), watch=False, enable_signal_handler=False) as manager:
            return manager.current.number

    write(config, 7)
    assert said_in_child(number) == "7"


def test_a_fork_may_start_its_own_while_a_thread_of_its_parent_starts_one(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent, start = os.getpid(), Launcher.start
    starting, forked = threading.Event(), threading.Event()

    def start_slowly(launcher: Launcher) -> None:
        if os.getpid() == parent:
            starting.set()
            assert forked.wait(DEADLINE)
        start(launcher)

    def number() -> int:
        loader: ConfigLoader[Settings] = ConfigLoader(SCHEMA, config)
        with initialize_reload_manager(loader, name="own", watch=False, enable_signal_handler=False) as manager:
            return manager.current.number

    monkeypatch.setattr(Launcher, "start", start_slowly)
    initializing = in_thread(number)
    assert starting.wait(DEADLINE)
    try:
        assert said_in_child(lambda: in_thread(number)()) == "1"
    finally:
        forked.set()
    assert initializing() == 1


def test_a_successor_and_its_predecessor_each_speak_to_their_own_owner(shared_manager: Manager, config: Path) -> None:
    """The next generation of a server, while the one before still serves its workers."""
    write(config, 7)
    next_one: Manager = EmbeddedManager(ConfigLoader(SCHEMA, config), watch=False).succeed(shared_manager)
    with next_one as second:
        write(config, 8)

        event = second.reload()

        assert [(change.old, change.new) for change in event.changes] == [(7, 8), (7, 8)]
        assert second.get_stats()["owner_pid"] == second.owner_pid != shared_manager.owner_pid
        replica = Replica(Settings, name="app").attach(shared_manager.address)
        with pytest.raises(ConfcastError, match="another replica named 'app' is attached"):
            _ = second.current
        assert (replica.latest.number, second.reload().changes) == (1, [])
        replica.close()
        third: Manager = EmbeddedManager(ConfigLoader(SCHEMA, config))
        with pytest.raises(ConfcastError, match="has started a manager 'app' already"):
            third.start()

    with pytest.raises(ConfcastError, match="has started a manager 'app' already"):
        third.start()  # the predecessor has not ended
