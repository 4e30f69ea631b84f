"""Probations in real processes: workers die of a version, and what was good is back, also after the owner's death."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from confcast import ReloadResult
from tests.integration.test_operations import loads, reads
from tests.support.fixtures import Manager, StartManager, StartWorker
from tests.support.owners import await_the_next, kill_the_owner
from tests.support.waiting import LONG, eventually, undos
from tests.support.workers import Worker


@pytest.fixture
def manager(start_manager: StartManager) -> Manager:
    """With a long probation."""
    return start_manager(probation=LONG, max_deaths=2)


@pytest.fixture
def workers(manager: Manager, start_worker: StartWorker) -> list[Worker]:
    """Three."""
    return [start_worker(manager) for _ in range(3)]


def test_a_version_of_which_workers_die_is_undone_in_the_others(
    manager: Manager, workers: list[Worker], config: Path
) -> None:
    loads(manager, config, 2)
    assert manager.set({"name": "x"})
    assert manager.status().provisional == "probation"
    first, second, third = workers
    first.tell("leave", 1)
    second.signal(signal.SIGKILL)
    event = undos(manager)[0]
    assert (event.origin, event.version, len(event.evidence)) == ("undo", 4, 2), event
    assert [(change.key, change.new) for change in event.changes] == [("number", 1), ("twin", 1), ("name", "one")]
    assert all(str(each.pid) in " ".join(event.evidence) for each in (first, second))
    assert third.ask("await_number", 1) == 4
    assert [each.good for each in manager.versions()] == [True, False, False, True]
    status = manager.status()
    assert (status.disk, status.differs, status.overrides) == ("refused", [], [])
    assert status.problems[0].startswith("worker "), status.problems
    assert manager.wait(2).result is ReloadResult.UNDONE
    assert manager.reload().result is ReloadResult.REJECTED, "that content is refused"
    assert manager.get_stats()["spoken_against"] == {"death": 2}


def test_one_death_is_told_and_a_confirmation_makes_the_version_good(
    manager: Manager, workers: list[Worker], config: Path
) -> None:
    loads(manager, config, 2)
    workers[0].tell("leave", 1)
    (told,) = eventually(lambda: manager.status().evidence, "the death is told")
    assert str(workers[0].pid) in told
    assert manager.confirm(2).version == 2
    status = manager.status()
    assert (status.provisional, status.evidence) == ("", [])
    assert [each.good for each in manager.versions()] == [True, True]
    assert reads(workers[1:]) == {(2, 2)}


def test_a_probation_goes_on_after_the_owners_death(manager: Manager, workers: list[Worker], config: Path) -> None:
    loads(manager, config, 2)
    deadline = manager.status().deadline
    await_the_next(manager, kill_the_owner(manager))
    eventually(lambda: len(reads(workers)) == 1 and all(w.ask("connected") for w in workers), "all are connected")
    status = manager.status()
    assert (status.provisional, status.version) == ("probation", 2)
    assert status.deadline == pytest.approx(deadline, abs=5)
    for worker in workers[:2]:
        worker.tell("leave", 1)
    assert undos(manager)[0].version == 3
    assert workers[2].ask("await_number", 1) == 3
