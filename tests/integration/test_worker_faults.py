"""Workers that fail at the worst moment: stopped or killed around their vote, hanging in it, refusing after it."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from confcast import ReloadResult
from tests.support.fixtures import Manager, StartWorker
from tests.support.gate import Gate
from tests.support.passing import Passing
from tests.support.settings import write
from tests.support.waiting import eventually
from tests.support.workers import Worker

PLACES = ["before", "after"]
"""The vote; after it means before the commit is read."""


def await_state(manager: Manager, worker: Worker, state: str) -> None:
    """Return when the owner has received so much from it: a worker serves a version a moment before it reports it."""

    def received() -> bool:
        return (worker.pid, state) in [(status.pid, status.state) for status in manager.workers()]

    eventually(received, f"the worker {worker.pid} {state}")


@pytest.mark.parametrize("place", PLACES)
def test_a_worker_stopped_around_its_vote_is_named_and_put_right_when_it_wakes(
    place: str, passing: Passing, manager: Manager, start_worker: StartWorker, config: Path
) -> None:
    running, stopped = start_worker(manager), start_worker(manager)
    stopped.ask("strike", place, signal.SIGSTOP)

    write(config, 2)
    event = passing.over_silence(manager, manager.reload, stopped.pid)

    assert (event.result, event.version, event.applied) == (ReloadResult.PARTIAL, 2, [running.pid])
    assert [(status.pid, status.version, status.state) for status in event.lagging] == [(stopped.pid, 1, "late")]
    assert running.ask("read") == (2, 2)
    stopped.signal(signal.SIGCONT)
    assert stopped.ask("await_number", 2) == 2
    await_state(manager, stopped, "current")
    write(config, 3)
    event = manager.reload()
    assert (event.result, event.lagging) == (ReloadResult.SUCCESS, [])
    assert [worker.ask("read") for worker in (running, stopped)] == [(3, 3)] * 2


@pytest.mark.parametrize("place", PLACES)
def test_a_worker_killed_around_its_vote_is_neither_waited_for_nor_named(
    place: str, manager: Manager, start_worker: StartWorker, config: Path
) -> None:
    running, killed = start_worker(manager), start_worker(manager)
    killed.ask("strike", place, signal.SIGKILL)

    write(config, 2)
    event = manager.reload()

    assert (event.result, event.version, event.lagging) == (ReloadResult.SUCCESS, 2, [])
    assert event.applied == [running.pid]
    assert running.ask("read") == (2, 2)
    assert [status.pid for status in manager.workers()] == [running.pid]


def test_a_precommit_function_that_hangs_is_passed_over_and_at_its_end_the_newest_is_applied(
    passing: Passing, manager: Manager, start_worker: StartWorker, config: Path, gate: Gate
) -> None:
    running, hanging = start_worker(manager), start_worker(manager)
    gate.hold_votes(hanging)

    write(config, 2)
    first = passing.over_functions(manager, manager.reload, hanging.pid)
    gate.await_load()  # it stands in its function
    assert (first.result, [status.pid for status in first.lagging]) == (ReloadResult.PARTIAL, [hanging.pid])
    assert (running.ask("read"), hanging.ask("read")) == ((2, 2), (1, 1))
    write(config, 3)
    second = manager.reload()
    assert (second.result, [status.pid for status in second.lagging]) == (ReloadResult.PARTIAL, [hanging.pid])

    gate.open()
    gate.let_go()

    assert hanging.ask("await_number", 3) == 3
    await_state(manager, hanging, "current")
    write(config, 4)
    assert manager.reload().lagging == []


def test_a_no_that_comes_too_late_keeps_the_old_version_visibly_and_the_next_reload_heals_it(
    passing: Passing, manager: Manager, start_worker: StartWorker, config: Path, gate: Gate
) -> None:
    running, late = start_worker(manager), start_worker(manager)
    gate.hold_votes(late)
    late.ask("object_to", "no room for 2")
    write(config, 2)
    assert passing.over_functions(manager, manager.reload, late.pid).result is ReloadResult.PARTIAL
    gate.await_load()
    gate.open()
    gate.let_go()

    await_state(manager, late, "declined")

    assert (running.ask("read"), late.ask("read")) == ((2, 2), (1, 1))
    late.ask("object_to", "")
    event = manager.reload()
    assert (event.result, event.version, event.lagging) == (ReloadResult.UNCHANGED, 2, [])
    assert late.ask("read") == (2, 2)


def test_a_worker_that_refuses_what_it_is_given_without_a_vote_is_named_until_it_takes_it(
    manager: Manager, start_worker: StartWorker, config: Path
) -> None:
    refusing, other = start_worker(manager), start_worker(manager)
    refusing.ask("close")
    write(config, 2)
    assert manager.reload().result is ReloadResult.SUCCESS
    refusing.ask("object_to_key", "number", "no room for 2")

    assert refusing.ask("attach", manager.address, 1.0) == 1

    await_state(manager, refusing, "declined")
    (event,) = (event for event in manager.get_event_history() if event.origin == "late")
    (problem,) = event.problems
    assert (problem.key, problem.location) == ("number", f"{config}:1:10")
    assert problem.message.endswith(f"no room for 2 (worker {refusing.pid})")
    again = manager.reload()
    assert (again.result, again.version) == (ReloadResult.UNCHANGED, 2)
    assert [(status.pid, status.state) for status in again.lagging] == [(refusing.pid, "declined")]
    assert (refusing.ask("read"), other.ask("read")) == ((1, 1), (2, 2))
    refusing.ask("object_to", "")
    assert manager.reload().lagging == []
    assert refusing.ask("read") == (2, 2)


def test_a_worker_that_reads_nothing_until_its_pipe_is_full_holds_nobody_up_and_ends_at_the_newest(
    passing: Passing, manager: Manager, start_worker: StartWorker, config: Path
) -> None:
    running, deaf = start_worker(manager), start_worker(manager)
    deaf.ask("observe")
    deaf.signal(signal.SIGSTOP)

    for number in range(2, 6):
        write(config, number, name="x" * 1_000_000)  # more than a socket takes in
        event = passing.over_silence(manager, manager.reload, deaf.pid) if number == 2 else manager.reload()
        assert (event.result, event.applied) == (ReloadResult.PARTIAL, [running.pid])
        assert running.ask("read") == (number, number)

    deaf.signal(signal.SIGCONT)
    assert deaf.ask("await_number", 5) == 5
    await_state(manager, deaf, "current")
    numbers = [1, *(new for _, new in deaf.ask("observed", 1))]
    assert numbers == sorted(set(numbers)), "a step back, or one version twice"
    assert numbers[-1] == 5
