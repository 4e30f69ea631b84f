"""Health checks and counts in real workers: a check's no, a check that hangs, errors of a version."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.test_operations import loads
from tests.support.fixtures import Manager, StartManager, StartWorker
from tests.support.settings import write
from tests.support.waiting import LONG, undos
from tests.support.workers import Worker


@pytest.fixture
def manager(start_manager: StartManager) -> Manager:
    """With a long probation."""
    return start_manager(probation=LONG, max_error_rate=0.05)


@pytest.fixture
def workers(manager: Manager, start_worker: StartWorker) -> list[Worker]:
    """Two."""
    return [start_worker(manager) for _ in range(2)]


def test_a_check_s_no_takes_the_version_back_with_its_words(
    manager: Manager, workers: list[Worker], config: Path
) -> None:
    for worker in workers:
        worker.ask("check_health", 2, False)
    write(config, 2)
    manager.reload()  # the no may come before all have applied the version, and be the answer
    event = undos(manager)[0]
    assert "number 2 does not work here" in " ".join(event.evidence)
    assert any(str(worker.pid) in " ".join(event.evidence) for worker in workers)
    assert [worker.ask("await_number", 1) for worker in workers] == [3, 3]
    loads(manager, config, 4)
    assert manager.status().evidence == []


def test_a_check_that_hangs_takes_the_version_back_and_its_worker_answers_meanwhile(
    manager: Manager, workers: list[Worker], config: Path
) -> None:
    workers[0].ask("check_health", 2, True)
    write(config, 2)
    manager.reload()  # likewise
    event = undos(manager)[0]
    assert "has not answered within" in " ".join(event.evidence)
    assert [worker.ask("await_number", 1) for worker in workers] == [3, 3]


def test_what_unhealthy_says_takes_the_version_back(manager: Manager, workers: list[Worker], config: Path) -> None:
    workers[0].ask("say_unhealthy", "before the version")
    loads(manager, config, 2)
    workers[0].ask("say_unhealthy", "no connection in 5 s")
    assert "no connection in 5 s" in " ".join(undos(manager)[0].evidence)
    assert [worker.ask("await_number", 1) for worker in workers] == [3, 3]


def test_a_version_that_answers_a_tenth_of_the_requests_with_errors_is_taken_back(
    manager: Manager, workers: list[Worker], config: Path
) -> None:
    for worker in workers:
        worker.ask("serve_failing_requests", 300, 0)
    loads(manager, config, 2)
    for worker in workers:
        worker.ask("serve_failing_requests", 300, 10)
    event = undos(manager)[0]
    assert "requests" in " ".join(event.evidence)
    assert [worker.ask("await_number", 1) for worker in workers] == [3, 3]
