"""What befalls a trial in real processes: deaths of canaries and owners, workers that are replaced, other content."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from confcast import Canary, Client, ReloadResult
from tests.integration.test_generations import successor
from tests.integration.test_operations import loads, reads
from tests.integration.test_trials import ONE, canaries, tries, undone
from tests.support.fixtures import Manager, StartManager, StartWorker
from tests.support.gunicorn import Make
from tests.support.killing import PLACES, STATE_PLACES, TRIAL_PLACES, Killing
from tests.support.leaks import is_running
from tests.support.load import Load
from tests.support.passing import Passing
from tests.support.settings import write
from tests.support.slow import slow
from tests.support.waiting import eventually, history_of
from tests.support.workers import Worker

SUCCESS, ON_TRIAL, REJECTED = ReloadResult.SUCCESS, ReloadResult.ON_TRIAL, ReloadResult.REJECTED
TWO = Canary(2, seconds=ONE.time)
SEVEN = {"number": 7, "twin": 7}


@pytest.fixture
def workers(manager: Manager, start_worker: StartWorker) -> list[Worker]:
    """Three."""
    return [start_worker(manager) for _ in range(3)]


# ---- canaries


@pytest.mark.parametrize("checks", [1, slow(5)], ids=["at once", "after some seconds"])
def test_a_canary_that_the_version_kills_undoes_it(
    manager: Manager, workers: list[Worker], config: Path, checks: int
) -> None:
    for worker in workers:
        worker.ask("die_of", 2, checks)
    tries(manager, config)
    event = undone(manager)
    assert event.version == 3
    (dead,) = [worker for worker in workers if not is_running(worker.pid)]
    assert f"worker {dead.pid} left with status 1" in event.evidence[0]
    assert [worker.ask("await_pinned", 1) for worker in workers if worker is not dead] == [3, 3]
    assert manager.reload().result is REJECTED


def test_the_death_of_one_of_two_canaries_undoes_it_in_the_other(
    manager: Manager, workers: list[Worker], config: Path
) -> None:
    tries(manager, config, TWO)
    dead, other = canaries(manager, workers, 2)
    assert other.ask("pinned") == (2, 2)
    dead.signal(signal.SIGKILL)
    (said,) = undone(manager).evidence
    assert str(dead.pid) in said
    assert [worker.ask("await_pinned", 1) for worker in workers if worker is not dead] == [3, 3]


@pytest.mark.parametrize("end", ["confirm", slow("rollback")])
def test_a_stopped_canary_holds_up_no_end_of_the_trial(
    passing: Passing, manager: Manager, start_worker: StartWorker, config: Path, end: str
) -> None:
    workers = [start_worker(manager) for _ in range(3)]
    tries(manager, config)
    (canary,) = canaries(manager, workers)
    canary.signal(signal.SIGSTOP)
    event = passing.over_silence(manager, getattr(manager, end), canary.pid)
    assert (event.result, [each.pid for each in event.lagging]) == (ReloadResult.PARTIAL, [canary.pid])
    ends = (2, 2) if end == "confirm" else (3, 1)
    assert reads([worker for worker in workers if worker is not canary]) == {ends}
    canary.signal(signal.SIGCONT)
    assert canary.ask("await_pinned", ends[1]) == ends[0]


# ---- owners


@pytest.fixture
def killing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Killing:
    """What kills the next owner at a place."""
    killing = Killing(tmp_path)
    killing.prepare(monkeypatch)
    return killing


@pytest.fixture
def few(killing: Killing, start_manager: StartManager, start_worker: StartWorker) -> tuple[Manager, list[Worker]]:
    """A manager whose owner can be killed at a place, and two workers."""
    manager = start_manager()
    return manager, [start_worker(manager) for _ in range(2)]


def await_the_heir(manager: Manager, killing: Killing, dead: int) -> None:
    eventually(lambda: killing.struck and not is_running(dead), "the owner's death at its place")
    eventually(lambda: manager.owner_pid not in (0, dead), "the next owner")


@pytest.mark.parametrize("place", [slow(TRIAL_PLACES[0]), TRIAL_PLACES[1], *map(slow, TRIAL_PLACES[2:])])
def test_an_owner_that_is_killed_while_a_trial_begins(
    killing: Killing, start_manager: StartManager, start_worker: StartWorker, place: str
) -> None:
    manager = start_manager(canary=ONE)
    workers = [start_worker(manager) for _ in range(2)]
    dead = manager.owner_pid
    killing.order_at(place)
    manager.set(SEVEN)
    await_the_heir(manager, killing, dead)
    if place == STATE_PLACES[0]:
        assert manager.reload().result is ReloadResult.UNCHANGED
        assert [worker.ask("pinned") for worker in workers] == [(1, 1)] * 2
    else:
        assert undone(manager).evidence == ["the owner that had version 2 on trial has ended"]
        eventually(lambda: reads(workers) == {(3, 1)}, "what is committed, in all workers")
        assert [worker.ask("pinned") for worker in workers] == [(3, 1)] * 2
    assert manager.status().provisional == ""


@pytest.mark.parametrize("place", [slow(PLACES[0]), PLACES[1], *map(slow, PLACES[2:])])
def test_an_owner_that_is_killed_while_it_promotes(
    few: tuple[Manager, list[Worker]], killing: Killing, config: Path, place: str
) -> None:
    manager, workers = few
    tries(manager, config)
    canaries(manager, workers)
    dead = manager.owner_pid
    killing.order_at(place)
    manager.confirm(2)
    await_the_heir(manager, killing, dead)
    committed = place != PLACES[0]
    ends = (2, 2) if committed else (3, 1)
    eventually(lambda: reads(workers) == {ends}, f"{ends} in all workers")
    assert [worker.ask("pinned") for worker in workers] == [ends] * 2
    assert manager.reload().result is (ReloadResult.UNCHANGED if committed else REJECTED)
    assert manager.status().provisional == ""


@pytest.mark.parametrize("place", [slow(PLACES[0]), PLACES[1], slow(PLACES[2])])
def test_an_owner_that_is_killed_while_it_undoes_a_trial(
    few: tuple[Manager, list[Worker]], killing: Killing, config: Path, place: str
) -> None:
    manager, workers = few
    tries(manager, config)
    canaries(manager, workers)
    dead = manager.owner_pid
    killing.order_at(place)
    manager.rollback()
    await_the_heir(manager, killing, dead)
    eventually(lambda: reads(workers) == {(3, 1)}, "what is committed, in all workers")
    assert [worker.ask("pinned") for worker in workers] == [(3, 1)] * 2
    assert not manager.reload()
    assert manager.status().provisional == ""


# ---- what else is asked for meanwhile


def test_a_hup_leaves_it_alone_and_a_new_file_ends_it(
    start_manager: StartManager, start_worker: StartWorker, config: Path
) -> None:
    manager = start_manager(watch=True)
    workers = [start_worker(manager) for _ in range(2)]
    tries(manager, config)
    (canary,) = canaries(manager, workers)
    os.kill(manager.owner_pid, signal.SIGHUP)
    eventually(lambda: [each for each in history_of(manager) if each.origin == "signal"], "the load of a HUP")
    assert canary.ask("pinned") == (2, 2)
    write(config, 3)
    assert [worker.ask("await_pinned", 3) for worker in workers] == [4, 4]
    assert undone(manager).version == 3
    assert manager.status().provisional == ""


def test_a_full_reload_starts_on_what_is_committed(
    start_manager: StartManager, start_worker: StartWorker, config: Path, tmp_path: Path
) -> None:
    manager = start_manager(state_dir=tmp_path / "state")
    workers = [start_worker(manager) for _ in range(2)]
    tries(manager, config)
    canaries(manager, workers)
    manager.pause()
    assert [worker.ask("pinned") for worker in workers] == [(3, 1)] * 2, "undone before the next generation is told"
    with successor(manager, config, state_dir=tmp_path / "state").start() as following:
        manager.close()
        assert following.current.number == 1
        assert undone(following).evidence == ["version 2 was still on trial when the server was fully reloaded"]
        assert following.reload().result is REJECTED
        loads(following, config, 4)


@pytest.mark.slow
def test_a_trial_goes_on_though_all_its_canaries_are_replaced(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """By gunicorn's `max_requests`, and by its HUP; its upgrade ends the trial."""
    server = make(above="workers = 3\nmax_requests = 20").start()
    monkeypatch.setenv("CONFCAST_RUNTIME_DIR", str(server.runtime))
    client = Client(pid=server.pid)
    server.change()
    assert client.reload(canary=TWO).result is ON_TRIAL

    def others(before: set[int]) -> set[int]:
        pids = {each.pid for each in client.workers() if each.state == "trial"}
        return pids if len(pids) == 2 and not pids & before else set()

    first = eventually(lambda: others(set()), "two canaries")
    with Load(lambda: server.ask("read")["number"]) as load:
        second = eventually(lambda: others(first), "two other canaries")
    assert set(load.answers) == {1, 2}
    server.signal(signal.SIGHUP)
    eventually(lambda: others(second), "and two others")
    assert client.status().provisional == "trial"
    server.upgrade()
    server.signal(signal.SIGTERM)
    server.ended()
    assert {answer["number"] for answer in server.everyone().values()} == {1}
    assert Client().status().provisional == ""
