"""G5: no trigger is lost, none is doubled; every caller gets the outcome of a load that began after its call."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from confcast import ReloadResult, Replica
from tests.support.fixtures import Manager, StartWorker
from tests.support.gate import Gate
from tests.support.passing import Passing
from tests.support.settings import Settings, write
from tests.support.waiting import eventually, in_thread


def test_a_burst_of_hups_during_a_load_causes_exactly_one_more(manager: Manager, config: Path, gate: Gate) -> None:
    gate.hold_load(config, 2, manager.request_reload)
    for _ in range(40):
        manager.request_reload()
        manager.get_stats()  # answered by the owner's loop: the signal before it has been taken
    gate.open()
    write(config, 3, gate=str(gate.path))

    gate.let_go()

    stats = eventually(lambda: (s := manager.get_stats())["total_reloads"] >= 2 and s, "two loads")
    assert (stats["total_reloads"], stats["version"], manager.current.number) == (2, 3, 3)
    assert manager.reload().result is ReloadResult.UNCHANGED
    assert manager.get_stats()["total_reloads"] == 3


def test_a_change_during_a_load_is_seen_by_whoever_called_after_it(
    manager: Manager, start_worker: StartWorker, config: Path, gate: Gate
) -> None:
    worker = start_worker(manager)
    gate.hold_load(config, 2, manager.request_reload)
    gate.open()
    write(config, 3, gate=str(gate.path))

    worker.tell("reload")
    outcome = in_thread(manager.reload)
    gate.let_go()

    events = [worker.answer(), outcome()]
    assert {event.version for event in events} == {3}
    assert {event.result for event in events} <= {ReloadResult.SUCCESS, ReloadResult.UNCHANGED}
    assert ReloadResult.SUCCESS in [event.result for event in events]
    assert worker.ask("read") == (3, 3)


def test_many_callers_at_once_each_get_an_outcome_and_one_change_makes_one_version(
    manager: Manager, start_worker: StartWorker, config: Path
) -> None:
    workers = [start_worker(manager) for _ in range(3)]
    write(config, 2)
    for worker in workers:
        worker.tell("reload")
    outcomes = [in_thread(manager.reload) for _ in range(3)]

    events = [worker.answer() for worker in workers] + [outcome() for outcome in outcomes]

    assert all(events)
    assert [event.version for event in events] == [2] * 6


def test_unchanged_content_makes_no_version_and_calls_no_observer(
    manager: Manager, settings: Replica[Settings], config: Path
) -> None:
    told: list[tuple[int, int]] = []
    settings.subscribe(lambda old, new: told.append((old.number, new.number)))
    before = settings.latest

    assert manager.reload().result is ReloadResult.UNCHANGED
    config.write_text("# a comment\n" + config.read_text() + "name = 'one'\n")  # a default written out
    event = manager.reload()

    assert (event.result, event.version, event.changes) == (ReloadResult.UNCHANGED, 1, [])
    assert settings.latest is before
    write(config, 2)
    assert manager.reload().version == 2
    eventually(lambda: told, "the observer's call")
    assert told == [(1, 2)]  # observers are called in order: nothing came before


def test_going_back_to_former_content_is_a_change(manager: Manager, config: Path) -> None:
    write(config, 2)
    assert manager.reload()
    write(config, 1)

    event = manager.reload()

    assert (event.result, event.version, manager.current.number) == (ReloadResult.SUCCESS, 3, 1)


def test_going_back_after_a_refusal_is_unchanged(manager: Manager, config: Path) -> None:
    write(config, -1)
    assert not manager.reload()
    write(config, 1)

    assert manager.reload().result is ReloadResult.UNCHANGED


def test_a_caller_whose_patience_ends_gets_an_unknown_outcome(manager: Manager, config: Path, gate: Gate) -> None:
    gate.shut()
    write(config, 2, gate=str(gate.path))

    event = manager.reload(timeout=0.1)

    assert event.result is ReloadResult.OWNER_UNAVAILABLE
    assert "unknown" in str(event.error_message)
    gate.await_load()
    gate.open()
    gate.let_go()
    assert manager.reload().result is ReloadResult.UNCHANGED  # the load that was not waited for went through
    assert manager.version == 2


def test_a_load_past_its_deadline_is_given_up_and_the_next_one_works(
    passing: Passing, manager: Manager, config: Path, gate: Gate
) -> None:
    gate.shut()
    write(config, 2, gate=str(gate.path))

    event = passing.over_load(manager, manager.reload)

    assert event.result is ReloadResult.IO_ERROR
    assert "load took longer than 10 s" in str(event.error_message)
    assert manager.version == 1
    gate.await_load()
    gate.open()
    gate.let_go()
    write(config, 3)
    assert eventually(manager.reload, "a reload that goes through").version == 2
    assert manager.current.number == 3


def test_the_owner_takes_hup_directly(manager: Manager, start_worker: StartWorker, config: Path) -> None:
    worker = start_worker(manager)
    write(config, 2)

    os.kill(manager.owner_pid, signal.SIGHUP)

    assert worker.ask("await_number", 2) == 2


def test_the_owner_ignores_the_signals_that_are_meant_for_its_master(manager: Manager, config: Path) -> None:
    owner = manager.owner_pid
    os.kill(owner, signal.SIGINT)
    os.kill(owner, signal.SIGTERM)
    write(config, 2)

    assert manager.reload().version == 2
    assert manager.owner_pid == owner
