"""Trials in real processes: canaries run a version that is not committed; what ends it, and what each worker sees."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from confcast import Canary, ReloadEvent, ReloadResult
from confcast.cli import reload
from tests.integration.test_operations import held, loads, reads
from tests.support.commands import runner
from tests.support.fixtures import Manager, StartWorker
from tests.support.leaks import is_running
from tests.support.owners import await_the_next, kill_the_owner
from tests.support.passing import Passing
from tests.support.settings import write
from tests.support.waiting import DEADLINE, LONG, eventually, history_of
from tests.support.workers import Worker

SUCCESS, ON_TRIAL, UNDONE = ReloadResult.SUCCESS, ReloadResult.ON_TRIAL, ReloadResult.UNDONE
LATER = 600.0
"""Seconds of a trial that does not end by itself in the test."""
ONE = Canary(1, seconds=LATER)
HALF = Canary("50%", seconds=LATER, by="entity")
NAMES = [f"customer {number}" for number in range(40)]


@pytest.fixture
def workers(manager: Manager, start_worker: StartWorker) -> list[Worker]:
    """Three."""
    return [start_worker(manager) for _ in range(3)]


def tries(manager: Manager, config: Path, canary: Canary = ONE, number: int = 2) -> ReloadEvent:
    """The sources change, and that is tried."""
    write(config, number)
    event = manager.reload(canary=canary, reason="another database")
    assert event.result is ON_TRIAL, event
    return event


def canaries(manager: Manager, workers: list[Worker], number: int = 1) -> list[Worker]:
    """Those workers that run the version, once there are so many."""
    pids = eventually(
        lambda: (found := [each.pid for each in manager.workers() if each.state == "trial"])[number - 1 :] and found,
        f"{number} canaries",
    )
    return [worker for worker in workers if worker.pid in pids]


def undone(manager: Manager) -> ReloadEvent:
    return eventually(lambda: [each for each in history_of(manager) if each.result is UNDONE], "an undo by itself")[0]


# ---- by worker


def test_one_worker_runs_it_and_a_confirmation_commits_it_in_all(
    manager: Manager, workers: list[Worker], config: Path
) -> None:
    event = tries(manager, config)
    assert (event.version, event.previous_version, bool(event)) == (2, 1, False)
    assert str(event.error_message).startswith("version 2 is on trial: confirm() commits it, rollback() takes it back")
    (canary,) = canaries(manager, workers)
    others = [worker for worker in workers if worker is not canary]
    assert canary.ask("pinned") == (2, 2)
    assert canary.ask("current_and_latest")[1] == 1
    assert [worker.ask("pinned") for worker in others] == [(1, 1), (1, 1)]
    status = manager.status()
    assert (status.provisional, status.version, status.disk) == ("trial", 1, "differs")
    assert [each.version for each in status.workers if each.state == "trial"] == [2]
    assert manager.get_stats()["trial"]["workers"] == [canary.pid]
    assert manager.reload().result is ON_TRIAL, "the same content is no news"
    confirmed = manager.confirm(2, reason="it works")
    assert (confirmed.result, confirmed.version) == (SUCCESS, 2)
    assert [worker.ask("pinned") for worker in workers] == [(2, 2)] * 3
    assert reads(workers) == {(2, 2)}
    assert manager.wait(2).result is SUCCESS
    status = manager.status()
    assert (status.provisional, status.disk, status.differs) == ("", "in step", [])


def test_a_rollback_takes_it_back_and_holds_what_ran(manager: Manager, workers: list[Worker], config: Path) -> None:
    tries(manager, config)
    (canary,) = canaries(manager, workers)
    event = manager.rollback(reason="too slow")
    assert (event.result, event.version, event.origin) == (SUCCESS, 3, "rollback")
    assert [worker.ask("pinned") for worker in workers] == [(3, 1)] * 3
    assert held(manager)["version"] == 1
    assert manager.wait(2).result is UNDONE
    assert canary.ask("read") == (3, 1)


def test_its_time_commits_it_once_requests_have_ended_on_it(
    passing: Passing, manager: Manager, workers: list[Worker], config: Path
) -> None:
    tries(manager, config, Canary(1, seconds=LONG, min_requests=0))
    canaries(manager, workers)
    passing.by(LONG, manager)
    assert manager.wait(2, timeout=60).result is SUCCESS
    assert [worker.ask("pinned") for worker in workers] == [(2, 2)] * 3
    tries(manager, config, Canary(1, seconds=LONG, min_requests=9), 3)
    canaries(manager, workers)
    passing.by(LONG, manager)
    eventually(lambda: manager.get_stats()["trial"]["extended"], "as much time once more")
    passing.by(LONG, manager)
    ended = manager.wait(3, timeout=60)
    assert (ended.result, ended.version) == (UNDONE, 4)
    assert ended.evidence == ["0 of 9 requests have ended on version 3"]
    assert [worker.ask("pinned") for worker in workers] == [(4, 2)] * 3


def test_a_value_that_is_set_ends_it_and_is_built_on_what_is_committed(
    manager: Manager, workers: list[Worker], config: Path
) -> None:
    tries(manager, config)
    canaries(manager, workers)
    assert manager.set({"name": "x"}, expect=1).result is ReloadResult.CONFLICT
    event = manager.set({"name": "x"}, expect=2)
    assert (event.result, event.version) == (SUCCESS, 4)
    assert [worker.ask("pinned") for worker in workers] == [(4, 1)] * 3
    assert manager.wait(2).result is UNDONE


def test_a_canary_that_dies_of_it_undoes_it_everywhere(manager: Manager, workers: list[Worker], config: Path) -> None:
    tries(manager, config)
    (canary,) = canaries(manager, workers)
    canary.signal(signal.SIGKILL)
    event = undone(manager)
    assert event.version == 3
    assert str(canary.pid) in event.evidence[0]
    others = [worker for worker in workers if worker is not canary]
    assert [worker.ask("await_pinned", 1) for worker in others] == [3, 3]
    assert manager.reload().result is ReloadResult.REJECTED, "that content is refused"
    loads(manager, config, 3)


def test_an_owner_that_dies_is_followed_by_one_that_undoes_it(
    manager: Manager, workers: list[Worker], config: Path
) -> None:
    tries(manager, config)
    (canary,) = canaries(manager, workers)
    dead = kill_the_owner(manager)
    await_the_next(manager, dead)
    assert undone(manager).evidence == ["the owner that had version 2 on trial has ended"]
    assert [worker.ask("await_pinned", 1) for worker in workers] == [3, 3, 3]
    assert is_running(canary.pid)


def test_the_command_line_tries_shows_and_commits(
    manager: Manager,
    workers: list[Worker],
    config: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reload, "_MOMENT", DEADLINE)
    run, here = runner(capsys), ("--address", manager.address)
    write(config, 2)
    code, told, _ = run("reload", "--canary", "1", "--for", "10m", *here)
    assert (code, "version 2 is on trial in " in told) == (6, True), told
    assert "on trial: number: 1 -> 2" in told
    canaries(manager, workers)
    assert "trial    version 2 is on trial in worker " in run("status", *here)[1]
    assert run("confirm", "2", *here)[0] == 0
    assert reads(workers) == {(2, 2)}


# ---- by entity


def test_each_entity_sees_one_version_in_all_workers(manager: Manager, workers: list[Worker], config: Path) -> None:
    tries(manager, config, HALF)
    canaries(manager, workers, 3)
    eventually(lambda: 2 in workers[0].ask("pinned_numbers", NAMES), "the use begins")
    for worker in workers:
        eventually(lambda worker=worker: 2 in worker.ask("pinned_numbers", NAMES), "in each worker")
    seen = [worker.ask("pinned_numbers", NAMES) for worker in workers]
    assert seen[0] == seen[1] == seen[2]
    assert set(seen[0]) == {1, 2}
    assert workers[0].ask("pinned") == (1, 1)
    assert manager.confirm()
    assert reads(workers) == {(2, 2)}


def test_one_worker_alone_tries_nothing_and_that_is_said(
    manager: Manager, start_worker: StartWorker, config: Path
) -> None:
    worker = start_worker(manager)
    write(config, 2)
    event = manager.reload(canary=ONE)
    assert (event.result, event.version) == (SUCCESS, 2)
    assert "it was committed at once" in event.notes[0]
    assert worker.ask("pinned") == (2, 2)
