"""A `precommit` function that works longer than a silent worker may be silent: its answer counts, and it is shown."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from confcast import ReloadEvent, ReloadResult
from tests.support.fixtures import Manager, StartManager, StartWorker
from tests.support.gate import Gate
from tests.support.passing import Passing
from tests.support.settings import write
from tests.support.waiting import LONG, eventually, in_thread
from tests.support.workers import Worker

FUNCTION = "tests.support.workers:Serving._judge"


def let_go(gate: Gate) -> None:
    """The vote that waits goes on, and later ones do not wait."""
    gate.await_load()
    gate.open()
    gate.let_go()


def what_nobody_runs(
    passing: Passing, manager: Manager, start_worker: StartWorker, config: Path
) -> tuple[Worker, ReloadEvent]:
    """One says yes, and is stopped; the other one was stopped at the vote, and refuses; the first one dies.

    The one that refuses, and the event of the undo.
    """
    agrees, refuses = start_worker(manager), start_worker(manager)
    refuses.ask("object_to", "not this one")
    agrees.ask("strike", "after", signal.SIGSTOP)
    refuses.signal(signal.SIGSTOP)
    write(config, 2)

    def reload() -> ReloadEvent:
        return passing.over_silence(manager, manager.reload, refuses.pid)

    event = passing.over_silence(manager, reload, agrees.pid)  # the commit waits once more, for it
    assert (event.result, event.version) == (ReloadResult.PARTIAL, 2)
    agrees.kill()
    refuses.signal(signal.SIGCONT)
    return refuses, eventually(lambda: [e for e in manager.get_event_history() if e.origin == "undo"], "the undo")[0]


def test_a_refusal_that_takes_longer_than_vote_timeout_is_a_refusal_and_is_shown_while_it_lasts(
    passing: Passing, start_manager: StartManager, start_worker: StartWorker, config: Path, tmp_path: Path
) -> None:
    manager = start_manager(vote_timeout=LONG, precommit_timeout=3 * LONG)
    workers = [start_worker(manager), start_worker(manager)]
    gates = [Gate(tmp_path / f"gate-{worker.pid}") for worker in workers]
    for worker, gate in zip(workers, gates, strict=True):
        worker.ask("object_to", "not this one")
        gate.hold_votes(worker)
    write(config, 2)
    outcome = in_thread(manager.reload)

    def both_are_at_work() -> bool:
        stats = manager.get_stats()
        both = {wait["pid"]: wait["function"] for wait in stats["waits_for"]} == dict.fromkeys(pids, FUNCTION)
        return stats["phase"] == "staging" and both

    pids = [worker.pid for worker in workers]
    eventually(both_are_at_work, "that both are at work")
    passing.by(LONG, manager)
    assert manager.get_stats()["phase_seconds"] >= LONG
    assert both_are_at_work()
    for gate in gates:
        let_go(gate)
    event = outcome()
    assert (event.result, event.version) == (ReloadResult.REJECTED, 1)
    assert "not this one" in str(event.error_message)
    late = start_worker(manager)
    assert [worker.ask("read") for worker in (*workers, late)] == [(1, 1)] * 3


def test_past_precommit_timeout_the_function_is_named_and_the_load_is_tried_again_when_it_ends(
    passing: Passing, start_manager: StartManager, start_worker: StartWorker, config: Path, gate: Gate
) -> None:
    manager = start_manager(precommit_timeout=LONG)
    worker = start_worker(manager)
    gate.hold_votes(worker)
    write(config, 2)
    event = passing.over_functions(manager, manager.reload, worker.pid)
    assert (event.result, event.version) == (ReloadResult.REJECTED, 1)
    assert f"{FUNCTION} has run for" in str(event.error_message)
    assert "(precommit_timeout=600)" in str(event.error_message)
    assert "it is tried again when a worker answers" in str(event.error_message)
    let_go(gate)
    assert worker.ask("await_number", 2) == 2


def test_what_nobody_runs_is_undone_and_refused_until_a_person_asks(
    passing: Passing, manager: Manager, start_worker: StartWorker, config: Path
) -> None:
    refuses, undone = what_nobody_runs(passing, manager, start_worker, config)
    assert (undone.result, undone.version) == (ReloadResult.REJECTED, 3)
    assert "nobody runs version 2, so it was undone" in str(undone.error_message)
    assert refuses.ask("read") == (3, 1)
    assert start_worker(manager).ask("read") == (3, 1)

    os.kill(manager.owner_pid, signal.SIGHUP)
    still = eventually(lambda: [e for e in manager.get_event_history() if e.origin == "signal"], "an answer to HUP")[0]
    assert "put to the vote again when it changes" in str(still.error_message)
    assert "not this one" in str(manager.reload().error_message)  # a person asked: it was put to the vote
    assert manager.version == 3


def test_an_owner_that_follows_goes_on_refusing_what_was_undone(
    passing: Passing, manager: Manager, start_worker: StartWorker, config: Path
) -> None:
    refuses, _ = what_nobody_runs(passing, manager, start_worker, config)
    refuses.ask("object_to", "")

    os.kill(manager.owner_pid, signal.SIGKILL)
    start = eventually(lambda: [e for e in manager.get_event_history() if e.origin == "restart"], "the next one's load")
    assert "put to the vote again when it changes" in str(start[0].error_message)
    write(config, 4)
    assert manager.reload()
    write(config, 2)
    assert manager.reload().result is ReloadResult.SUCCESS  # it had changed
