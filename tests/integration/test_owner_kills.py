"""G6, state by state: an owner killed at each step of a reload; workers answer, and the next one continues.

Each kill is a real -9 at a named line. The truth that is asked for after it is always the same: what was committed is
still there, no number stands for two contents, everyone has the newest, and nobody is named.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from confcast import ReloadResult
from tests.support.fixtures import Manager, StartManager, StartWorker
from tests.support.gate import Gate
from tests.support.killing import COMMITTED, PLACES, Killing
from tests.support.leaks import is_running
from tests.support.resting import assert_rests
from tests.support.settings import write
from tests.support.slow import slow
from tests.support.stopping import stop
from tests.support.waiting import eventually, in_thread, made_by
from tests.support.workers import Worker


@pytest.fixture
def killing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Killing:
    """What kills the next owner at a place."""
    killing = Killing(tmp_path)
    killing.prepare(monkeypatch)
    return killing


@pytest.fixture
def manager(killing: Killing, start_manager: StartManager) -> Manager:
    """Its next owner starts when the test says so: what happens without one can be looked at."""
    return start_manager(supervise="caller")


@pytest.fixture
def workers(manager: Manager, start_worker: StartWorker) -> list[Worker]:
    """Two."""
    return [start_worker(manager) for _ in range(2)]


def ask_until_the_owner_is_dead(manager: Manager, worker: Worker, killing: Killing) -> None:
    """One reload, and the death that comes of it."""
    owner = manager.owner_pid
    assert worker.ask("reload").result in (ReloadResult.OWNER_UNAVAILABLE, ReloadResult.SUCCESS)
    eventually(lambda: killing.struck and not is_running(owner), "the owner's death at its place")


def contents(workers: list[Worker]) -> set[tuple[int, int]]:
    """Which number stands for which content, in all of them."""
    return {worker.ask("read") for worker in workers}


@pytest.mark.parametrize("place", [*PLACES[:2], *map(slow, PLACES[2:])])
def test_whoever_is_killed_there_loses_nothing_that_was_committed(
    place: str, manager: Manager, workers: list[Worker], start_worker: StartWorker, config: Path, killing: Killing
) -> None:
    """The file has changed again before the next owner comes: nobody could load the second content any more."""
    write(config, 2)
    killing.order_at(place)
    ask_until_the_owner_is_dead(manager, workers[0], killing)

    assert contents(workers) <= {(1, 1), (2, 2)}
    assert_rests(workers[0].pid)  # it connects where nobody is
    write(config, 3)
    event = manager.reload()

    committed = 2 if place in COMMITTED else 1
    assert event.version == committed + 1, event
    made = made_by(manager, event.version)
    assert (made.result, made.previous_version, made.lagging) == (ReloadResult.SUCCESS, committed, []), made
    assert contents([*workers, start_worker(manager)]) == {(committed + 1, 3)}
    assert event.lagging == []
    for pid in (manager.owner_pid, workers[0].pid):
        assert_rests(pid)


@pytest.mark.parametrize("place", [COMMITTED[0], *map(slow, COMMITTED[1:3]), COMMITTED[3]])
def test_what_was_committed_there_reaches_everyone_even_if_its_file_is_gone(
    place: str, manager: Manager, workers: list[Worker], start_worker: StartWorker, config: Path, killing: Killing
) -> None:
    write(config, 2)
    killing.order_at(place)
    ask_until_the_owner_is_dead(manager, workers[0], killing)
    config.unlink()

    manager.ensure_owner()
    eventually(lambda: manager.ensure_owner() or contents(workers) == {(2, 2)}, "the second version in every worker")

    assert start_worker(manager).ask("read") == (2, 2)


def test_killed_between_two_commits_one_worker_has_it_and_the_other_gets_it(
    manager: Manager, workers: list[Worker], config: Path, killing: Killing
) -> None:
    write(config, 2)
    killing.order_at("after the first commit")
    ask_until_the_owner_is_dead(manager, workers[0], killing)

    eventually(lambda: contents(workers) == {(1, 1), (2, 2)}, "the commit in one worker")

    event = manager.reload()
    assert (event.result, event.version) == (ReloadResult.UNCHANGED, 2)
    assert contents(workers) == {(2, 2)}


def test_killed_while_it_waits_for_votes_the_version_never_was_and_is_made_by_the_next(
    manager: Manager, workers: list[Worker], config: Path, gate: Gate
) -> None:
    gate.hold_votes(workers[0])
    write(config, 2)
    outcome = in_thread(lambda: workers[1].ask("reload"))
    gate.await_load()
    os.kill(manager.owner_pid, signal.SIGKILL)
    assert outcome().result is ReloadResult.OWNER_UNAVAILABLE
    assert contents(workers) == {(1, 1)}
    gate.open()
    gate.let_go()

    write(config, 3)
    event = manager.reload()

    assert (bool(event), event.version, event.lagging) == (True, 2, [])
    assert contents(workers) == {(2, 3)}


def test_killed_again_before_it_has_begun_the_one_after_continues(
    manager: Manager, workers: list[Worker], config: Path, killing: Killing
) -> None:
    write(config, 2)
    assert manager.reload().version == 2
    first = manager.owner_pid
    killing.order_at("at the start")
    os.kill(first, signal.SIGKILL)

    eventually(lambda: manager.ensure_owner() or killing.struck, "the death of the second owner")

    assert contents(workers) == {(2, 2)}
    write(config, 3)
    event = manager.reload()
    assert (bool(event), event.version, event.lagging) == (True, 3, [])
    assert contents(workers) == {(3, 3)}
    assert manager.get_stats()["owner_restarts"] == 1  # counted by the owners that came to serve


def test_stopped_it_holds_up_nobody_and_resumed_it_goes_on_where_it_was(
    manager: Manager, workers: list[Worker], start_worker: StartWorker, config: Path
) -> None:
    owner = manager.owner_pid
    stop(owner)
    try:
        write(config, 2)
        assert workers[0].ask("reload", 0.1).result is ReloadResult.OWNER_UNAVAILABLE
        late = start_worker(manager)  # on the snapshot file
        assert contents([*workers, late]) == {(1, 1)}
    finally:
        os.kill(owner, signal.SIGCONT)

    event = manager.reload()

    assert (event.version, event.lagging, manager.owner_pid) == (2, [], owner)
    assert contents([*workers, late]) == {(2, 2)}


def test_stopped_while_it_waits_for_votes_it_takes_them_when_it_is_resumed(
    manager: Manager, workers: list[Worker], config: Path, gate: Gate
) -> None:
    gate.hold_votes(workers[0])
    write(config, 2)
    outcome = in_thread(manager.reload)
    gate.await_load()
    stop(manager.owner_pid)
    try:
        gate.open()
        gate.let_go()
        assert contents(workers) == {(1, 1)}
    finally:
        os.kill(manager.owner_pid, signal.SIGCONT)

    event = outcome()
    assert (event.result, event.lagging) == (ReloadResult.SUCCESS, [])
    assert contents(workers) == {(2, 2)}


def test_stopped_and_killed_it_is_replaced_and_never_resumes(
    manager: Manager, workers: list[Worker], config: Path
) -> None:
    owner = manager.owner_pid
    stop(owner)
    os.kill(owner, signal.SIGKILL)
    write(config, 2)

    event = manager.reload()

    assert (bool(event), event.version, event.lagging) == (True, 2, [])
    assert contents(workers) == {(2, 2)}
