"""Health checks and counts in real workers: a check's no, a check that hangs, errors of a version."""

from __future__ import annotations

from pathlib import Path

import pytest

from confcast import ReloadEvent, ReloadResult
from tests.integration.test_operations import loads
from tests.support.fixtures import Manager, StartManager, StartWorker
from tests.support.settings import write
from tests.support.waiting import eventually, history_of
from tests.support.workers import Worker

LATER = 600.0
"""Seconds of a probation that does not end by itself in the test."""


@pytest.fixture
def manager(start_manager: StartManager) -> Manager:
    """With a long probation."""
    return start_manager(probation=LATER, max_error_rate=0.05)


@pytest.fixture
def workers(manager: Manager, start_worker: StartWorker) -> list[Worker]:
    """Two."""
    return [start_worker(manager) for _ in range(2)]


def undone(manager: Manager) -> ReloadEvent:
    found = eventually(
        lambda: [each for each in history_of(manager) if each.result is ReloadResult.UNDONE], "an undo by itself"
    )
    return found[0]


def test_a_check_s_no_takes_the_version_back_with_its_words(
    manager: Manager, workers: list[Worker], config: Path
) -> None:
    for worker in workers:
        worker.ask("check_health", 2, False)
    write(config, 2)
    manager.reload()  # the no may come before all have applied the version, and be the answer
    event = undone(manager)
    assert "number 2 does not work here" in " ".join(event.evidence)
    assert any(str(worker.pid) in " ".join(event.evidence) for worker in workers)
    assert [worker.ask("await_number", 1) for worker in workers] == [3, 3]
    loads(manager, config, 4)
    assert manager.status().evidence == []


def test_a_check_that_hangs_takes_the_version_back_and_its_worker_answers_meanwhile(
    manager: Manager, workers: list[Worker], config: Path
) -> None:
    workers[0].ask("check_health", 2, True)
    loads(manager, config, 2)
    event = undone(manager)
    assert "has not answered within" in " ".join(event.evidence)
    assert [worker.ask("await_number", 1) for worker in workers] == [3, 3]


def test_what_unhealthy_says_takes_the_version_back(manager: Manager, workers: list[Worker], config: Path) -> None:
    workers[0].ask("say_unhealthy", "before the version")
    loads(manager, config, 2)
    workers[0].ask("say_unhealthy", "no connection in 5 s")
    assert "no connection in 5 s" in " ".join(undone(manager).evidence)
    assert [worker.ask("await_number", 1) for worker in workers] == [3, 3]


def test_a_version_that_answers_a_tenth_of_the_requests_with_errors_is_taken_back(
    manager: Manager, workers: list[Worker], config: Path
) -> None:
    for worker in workers:
        worker.ask("serve_failing_requests", 300, 0)
    loads(manager, config, 2)
    for worker in workers:
        worker.ask("serve_failing_requests", 300, 10)
    event = undone(manager)
    assert "requests" in " ".join(event.evidence)
    assert [worker.ask("await_number", 1) for worker in workers] == [3, 3]
