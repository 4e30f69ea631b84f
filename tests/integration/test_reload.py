"""G1, G3 and G8 with real workers: all or nothing, a barrier, and exactly what the owner validated."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from confcast import ReloadResult
from tests.support.fixtures import Manager, StartWorker
from tests.support.settings import write
from tests.support.waiting import eventually
from tests.support.workers import Raised


def test_a_reload_reaches_every_worker_before_it_returns(
    manager: Manager, start_worker: StartWorker, config: Path
) -> None:
    workers = [start_worker(manager) for _ in range(3)]
    write(config, 2)

    event = manager.reload()

    assert event.result is ReloadResult.SUCCESS
    assert (event.previous_version, event.version, event.origin) == (1, 2, "call")
    assert [(change.key, change.old, change.new) for change in event.changes] == [("number", 1, 2), ("twin", 1, 2)]
    assert sorted(event.applied) == sorted(worker.pid for worker in workers)
    assert event.lagging == []
    assert [worker.ask("read") for worker in workers] == [(2, 2)] * 3


def test_one_worker_that_refuses_leaves_everything_as_it_was(
    manager: Manager, start_worker: StartWorker, config: Path
) -> None:
    workers = [start_worker(manager) for _ in range(3)]
    workers[1].ask("object_to", "the index does not fit into 2")
    write(config, 2)

    event = manager.reload()

    assert event.result is ReloadResult.REJECTED
    assert not event
    assert [problem.location for problem in event.problems] == [f"worker {workers[1].pid}"]
    assert "the index does not fit into 2" in event.problems[0].message
    assert (event.version, event.error_message) == (1, str(event.problems[0]))
    assert [worker.ask("read") for worker in workers] == [(1, 1)] * 3
    assert manager.version == 1


def test_a_key_that_all_workers_refuse_is_reported_once_at_its_place(
    manager: Manager, start_worker: StartWorker, config: Path
) -> None:
    workers = [start_worker(manager) for _ in range(3)]
    for worker in workers:
        worker.ask("object_to_key", "name", "impolite")
    write(config, 2, name="you there")

    event = manager.reload()

    assert event.result is ReloadResult.REJECTED
    (problem,) = event.problems
    assert (problem.key, problem.location) == ("name", f"{config}:3:8")
    assert problem.message in [f"Serving._judge: impolite (worker {worker.pid})" for worker in workers]


def test_after_a_refusal_the_next_version_goes_through_and_no_number_is_skipped(
    manager: Manager, start_worker: StartWorker, config: Path
) -> None:
    workers = [start_worker(manager) for _ in range(2)]
    workers[0].ask("object_to", "not this one")
    write(config, 2)
    assert manager.reload().result is ReloadResult.REJECTED
    workers[0].ask("object_to", "")

    write(config, 3)
    event = manager.reload()

    assert (event.result, event.version) == (ReloadResult.SUCCESS, 2)
    assert [worker.ask("read") for worker in workers] == [(2, 3)] * 2


def test_whoever_reads_after_a_reload_returned_sees_its_version_or_a_newer_one_under_load(
    manager: Manager, start_worker: StartWorker, config: Path
) -> None:
    workers = [start_worker(manager) for _ in range(4)]
    for worker in workers:
        worker.ask("begin_reading")
    stale = []
    for number in range(2, 34):
        write(config, number)
        event = manager.reload()
        assert event.result is ReloadResult.SUCCESS, event
        for worker in workers:
            worker.tell("read")
        stale += [(number, answer) for answer in (worker.answer() for worker in workers) if answer[0] < event.version]

    assert stale == []
    assert [worker.ask("end_reading") for worker in workers] == [[]] * 4


def test_a_worker_may_ask_for_the_reload(manager: Manager, start_worker: StartWorker, config: Path) -> None:
    asking, other = start_worker(manager), start_worker(manager)
    write(config, 2)

    event = asking.ask("reload")

    assert (event.result, event.version) == (ReloadResult.SUCCESS, 2)
    assert [worker.ask("read") for worker in (asking, other)] == [(2, 2)] * 2


def test_a_hup_of_the_master_reaches_every_worker(manager: Manager, start_worker: StartWorker, config: Path) -> None:
    workers = [start_worker(manager) for _ in range(2)]
    write(config, 2)

    os.kill(os.getpid(), signal.SIGHUP)

    assert [worker.ask("await_number", 2) for worker in workers] == [2, 2]
    events = eventually(lambda: [event for event in manager.get_event_history() if event.version == 2], "the event")
    assert [event.origin for event in events] == ["signal"]


def test_no_validator_runs_in_a_worker(manager: Manager, start_worker: StartWorker, config: Path) -> None:
    worker = start_worker(manager)
    write(config, 2, gate=os.devnull)

    assert manager.reload()

    assert worker.ask("read") == (2, 2)
    assert worker.ask("validated") == 0


def test_a_worker_that_comes_later_has_the_newest_version_before_it_serves(
    manager: Manager, start_worker: StartWorker, config: Path
) -> None:
    write(config, 2)
    assert manager.reload()

    assert start_worker(manager).ask("read") == (2, 2)


def test_a_worker_that_died_is_neither_waited_for_nor_named(
    manager: Manager, start_worker: StartWorker, config: Path
) -> None:
    living, dead = start_worker(manager), start_worker(manager)
    dead.kill()
    write(config, 2)

    event = manager.reload()

    assert (event.result, event.applied, event.lagging) == (ReloadResult.SUCCESS, [living.pid], [])
    assert [status.pid for status in manager.workers()] == [living.pid]


def test_a_reload_within_a_precommit_function_is_refused_in_words(
    manager: Manager, start_worker: StartWorker, config: Path
) -> None:
    worker = start_worker(manager)
    worker.ask("reload_in_precommit")
    write(config, 2)

    event = manager.reload()

    assert event.result is ReloadResult.REJECTED
    assert "a precommit function runs in the thread that would read the answer" in event.problems[0].message


def test_every_verb_of_an_attached_replica_is_answered(
    manager: Manager, start_worker: StartWorker, config: Path
) -> None:
    worker = start_worker(manager)
    write(config, 2)
    assert worker.ask("verb", "reload_config") is ReloadResult.SUCCESS

    assert worker.ask("verb", "get_stats")["total_reloads"] == 1
    assert [event.version for event in worker.ask("verb", "get_event_history")] == [2, 1]
    assert [status.pid for status in worker.ask("verb", "workers")] == [worker.pid]
    worker.ask("verb", "clear_history")
    assert worker.ask("verb", "get_event_history") == []


def test_a_command_that_is_no_verb_fails_loudly(manager: Manager, start_worker: StartWorker) -> None:
    """The tests above believe what workers answer."""
    assert multiprocessing.parent_process() is None
    with pytest.raises(Raised, match="AttributeError"):
        start_worker(manager).ask("verb", "no_such_verb")
