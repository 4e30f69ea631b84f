"""A worker that attaches while the owner is busy: it has a version at once, and the outcome counts it.

While the owner is idle, or has settled: `test_reload.py`. While the journal writes: `tests/core/test_traces.py`, since
no process can be held there.
"""

from __future__ import annotations

import signal
from pathlib import Path

from confcast import ReloadResult
from tests.support.fixtures import Manager, StartManager, StartWorker
from tests.support.gate import Gate
from tests.support.settings import write
from tests.support.stopping import await_stopped
from tests.support.waiting import eventually, in_thread


def test_while_it_loads(manager: Manager, start_worker: StartWorker, config: Path, gate: Gate) -> None:
    outcome = gate.hold_load(config, 2, lambda: in_thread(manager.reload))

    late = start_worker(manager)

    assert late.ask("read") == (1, 1)
    gate.open()
    gate.let_go()
    event = outcome()
    assert (event.result, event.applied, event.lagging) == (ReloadResult.SUCCESS, [late.pid], [])
    assert late.ask("read") == (2, 2)


def test_while_it_gathers_the_votes(start_manager: StartManager, start_worker: StartWorker, config: Path, gate: Gate):
    manager = start_manager(vote_timeout=20.0)
    voter = start_worker(manager)
    gate.hold_votes(voter)
    write(config, 2)
    outcome = in_thread(manager.reload)
    gate.await_load()  # the voter stands in its precommit function

    late = start_worker(manager)

    assert late.ask("read") == (1, 1)
    gate.open()
    gate.let_go()
    event = outcome()
    assert (event.result, event.lagging) == (ReloadResult.SUCCESS, [])
    assert sorted(event.applied) == sorted([voter.pid, late.pid])
    assert [worker.ask("read") for worker in (voter, late)] == [(2, 2)] * 2


def test_one_that_refuses_while_the_votes_are_gathered_has_its_say(
    start_manager: StartManager, start_worker: StartWorker, config: Path, gate: Gate
) -> None:
    manager = start_manager(vote_timeout=20.0)
    voter, late = start_worker(manager), start_worker()
    late.ask("object_to", "not with me")
    gate.hold_votes(voter)
    write(config, 2)
    outcome = in_thread(manager.reload)
    gate.await_load()

    assert late.ask("attach", manager.address) == 1

    event = outcome()
    assert (event.result, event.version) == (ReloadResult.REJECTED, 1)
    assert [problem.location for problem in event.problems] == [f"worker {late.pid}"]
    gate.open()
    gate.let_go()
    assert [worker.ask("read") for worker in (voter, late)] == [(1, 1)] * 2


def test_while_it_waits_for_the_last_to_apply(start_manager: StartManager, start_worker: StartWorker, config: Path):
    manager = start_manager(vote_timeout=20.0)
    stopped = start_worker(manager)
    stopped.ask("strike", "after", signal.SIGSTOP)
    write(config, 2)
    outcome = in_thread(manager.reload)
    eventually(lambda: manager.get_stats()["version"] == 2, "the commit")
    await_stopped(stopped.pid)

    late = start_worker(manager)

    assert late.ask("read") == (2, 2)
    stopped.signal(signal.SIGCONT)
    event = outcome()
    assert (event.result, event.lagging) == (ReloadResult.SUCCESS, [])
    assert sorted(event.applied) == sorted([stopped.pid, late.pid])
