"""The manager's verbs, its statistics and history, and the process's one manager."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from confcast import (
    ConfcastError,
    ConfigLoader,
    ConfigReloadManager,
    NotAttached,
    ReloadResult,
    Replica,
    get_reload_manager,
    initialize_reload_manager,
    reload_config,
)
from tests.support.fixtures import Manager, StartManager, StartWorker
from tests.support.gate import Gate
from tests.support.settings import SCHEMA, Settings, write
from tests.support.waiting import eventually


@pytest.mark.parametrize(
    "name",
    [
        *("address", "owner_pid", "current", "version", "snapshot", "reload", "reload_config", "get_stats", "workers"),
        *("get_current_config", "get_observer_count", "is_reload_in_progress"),
    ],
)
def test_before_the_start_everything_raises_not_attached(name: str, config: Path) -> None:
    manager = ConfigReloadManager(ConfigLoader(SCHEMA, config))

    with pytest.raises(NotAttached, match=r"'app' is not started: call start\(\) first"):
        getattr(manager, name)()


def test_before_the_start_observers_are_refused_and_triggers_do_nothing(config: Path) -> None:
    manager: Manager = ConfigReloadManager(ConfigLoader(SCHEMA, config))

    with pytest.raises(NotAttached):
        manager.subscribe(print)
    manager.request_reload()
    manager.ensure_owner()
    manager.close()


def test_a_second_start_is_refused(manager: Manager) -> None:
    with pytest.raises(ConfcastError, match="started already"):
        manager.start()


def test_a_manager_serves_the_process_that_started_it(manager: Manager, config: Path) -> None:
    assert (manager.current.number, manager.version, manager.snapshot.version) == (1, 1, 1)
    write(config, 2)

    assert manager.reload_config() is ReloadResult.SUCCESS

    assert (manager.current.number, manager.version) == (2, 2)


def test_the_manager_shares_the_pipe_of_the_replica_that_is_declared(
    manager: Manager, settings: Replica[Settings]
) -> None:
    assert manager.current is settings.latest
    assert len(manager.workers()) == 1


def test_the_totals_add_up_and_the_first_load_is_in_the_history_only(manager: Manager, config: Path) -> None:
    assert manager.get_stats()["total_reloads"] == 0
    for number in (2, 2, -1, 3, -1, 3):
        write(config, number)
        manager.reload()

    stats = manager.get_stats()
    assert stats["total_reloads"] == 6
    assert (stats["successful_reloads"], stats["suppressed"], stats["failed_reloads"]) == (2, 2, 2)
    assert (stats["version"], stats["owner_restarts"], stats["owner_pid"]) == (3, 0, manager.owner_pid)
    assert stats["last_reload_result"] == "unchanged"
    assert 0 < stats["mean_duration_ms"] <= stats["max_duration_ms"]
    events = manager.get_event_history()
    assert [event.result.value for event in events] == [
        *("unchanged", "validation_failed", "success", "validation_failed", "unchanged", "success", "success")
    ]
    assert events[-1].origin == "start"
    assert stats["last_reload_time"] == pytest.approx(events[0].timestamp, abs=60)


def test_the_history_is_limited_as_asked_and_newest_first(manager: Manager, config: Path) -> None:
    for number in (2, 3, 4):
        write(config, number)
        manager.reload()

    assert [event.version for event in manager.get_event_history(limit=2)] == [4, 3]
    assert manager.get_event_history(limit=0) == []
    assert [event.version for event in manager.get_event_history()] == [4, 3, 2, 1]


def test_no_more_events_are_kept_than_the_manager_s_option_says(start_manager: StartManager, config: Path) -> None:
    manager = start_manager(history_limit=2)
    for number in (2, 3, 4):
        write(config, number)
        manager.reload()

    assert [event.version for event in manager.get_event_history()] == [4, 3]
    assert manager.get_stats()["total_reloads"] == 3


def test_clearing_the_history_keeps_the_totals(manager: Manager, config: Path) -> None:
    write(config, 2)
    manager.reload()

    manager.clear_history()

    assert manager.get_event_history() == []
    assert manager.get_stats()["successful_reloads"] == 1


def test_every_worker_is_listed_with_its_version(manager: Manager, start_worker: StartWorker, config: Path) -> None:
    pids = sorted(start_worker(manager).pid for _ in range(3))
    write(config, 2)
    manager.reload()

    assert [(status.pid, status.version, status.state) for status in manager.workers()] == [
        (pid, 2, "current") for pid in pids
    ]


def test_what_is_current_and_how_many_observe_it_go_by_leindex_s_names_too(manager: Manager, config: Path) -> None:
    assert manager.get_observer_count() == 0
    first = manager.get_current_config()
    assert first is manager.current
    for _ in range(2):
        manager.subscribe(print)
    write(config, 2)
    manager.reload()

    assert (first.number, manager.get_current_config().number) == (1, 2)
    assert manager.get_observer_count() == 2
    assert manager.unsubscribe(print)
    assert manager.get_observer_count() == 1


def test_a_reload_is_in_progress_from_its_beginning_to_its_outcome(manager: Manager, gate: Gate, config: Path) -> None:
    assert manager.is_reload_in_progress() is False
    gate.hold_load(config, 2, manager.request_reload)

    assert manager.is_reload_in_progress() is True

    gate.open()
    gate.let_go()
    eventually(lambda: manager.version == 2 and not manager.is_reload_in_progress(), "the end of it")


# ---- the process's one manager


@pytest.fixture
def initialized(config: Path, nothing_is_left: None) -> Iterator[Manager]:
    manager: Manager = initialize_reload_manager(ConfigLoader(SCHEMA, config), watch=False)
    yield manager
    manager.close()


@pytest.mark.parametrize("function", [get_reload_manager, reload_config])
def test_without_a_manager_of_the_process_a_runtime_error_says_what_to_call(function) -> None:
    with pytest.raises(RuntimeError, match=r"call initialize_reload_manager\(loader\) first"):
        function()


def test_the_process_s_manager_is_found_from_anywhere(initialized: Manager, config: Path) -> None:
    write(config, 2)

    assert get_reload_manager() is initialized
    assert reload_config() is ReloadResult.SUCCESS
    assert initialized.current.number == 2


def test_without_its_signal_handler_it_leaves_sighup_alone(config: Path) -> None:
    before = signal.getsignal(signal.SIGHUP)
    with initialize_reload_manager(ConfigLoader(SCHEMA, config), False, watch=False):
        assert signal.getsignal(signal.SIGHUP) is before
    with initialize_reload_manager(ConfigLoader(SCHEMA, config), True, watch=False):
        assert signal.getsignal(signal.SIGHUP) is not before
    assert signal.getsignal(signal.SIGHUP) is before


def test_initializing_twice_warns_and_gives_the_first(initialized: Manager, config: Path) -> None:
    with pytest.warns(RuntimeWarning, match="initialized already"):
        again = initialize_reload_manager(ConfigLoader(SCHEMA, config))

    assert again is initialized


def test_after_closing_it_can_be_initialized_again(initialized: Manager, config: Path) -> None:
    initialized.close()
    with pytest.raises(RuntimeError):
        get_reload_manager()

    with initialize_reload_manager(ConfigLoader(SCHEMA, config), watch=False) as second:
        assert second is not initialized
        assert get_reload_manager() is second


def test_under_an_owner_of_the_same_name_it_is_a_client_only(
    manager: Manager, start_worker: StartWorker, config: Path
) -> None:
    worker = start_worker(manager)
    client: Manager = initialize_reload_manager(ConfigLoader(SCHEMA, config))
    try:
        assert client is not manager
        assert client.owner_pid == manager.owner_pid
        assert client.address == manager.address
        write(config, 2)
        client.request_reload()
        assert worker.ask("await_number", 2) == 2
        write(config, 3)
        assert client.reload().result is ReloadResult.SUCCESS
        assert worker.ask("read") == (3, 3)
    finally:
        client.close()

    assert eventually(lambda: [status.pid for status in manager.workers()] == [worker.pid], "the client's Goodbye")
    assert manager.reload().result is ReloadResult.UNCHANGED


def test_after_the_program_has_closed_the_replica_that_they_share_the_manager_still_gives_the_newest(
    manager: Manager, config: Path
) -> None:
    with_manager = Replica(Settings, name="app").attach(ignore_sighup=False)
    assert manager.current is with_manager.latest
    with_manager.close()
    write(config, 2)
    assert manager.reload().result is ReloadResult.SUCCESS

    assert manager.current.number == 2

    assert with_manager.connected  # it is the one that is used again
    with_manager.close()


def test_of_two_replicas_that_are_declared_the_attached_one_is_the_manager_s(manager: Manager) -> None:
    idle, used = Replica(Settings, name="app"), Replica(Settings, name="app").attach(ignore_sighup=False)
    assert manager.current is used.latest
    assert not idle.connected
    used.close()
