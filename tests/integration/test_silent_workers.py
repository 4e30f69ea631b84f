"""A worker that is stopped: passed over by its deadline and named, waited for no second time, and put right at last."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from confcast import ReloadResult
from tests.support.fixtures import StartManager, StartWorker
from tests.support.passing import Passing
from tests.support.settings import write
from tests.support.waiting import eventually

VOTE_TIMEOUT = 10.0


def test_a_stopped_worker_is_named_once_its_time_is_over_and_not_waited_for_again(
    passing: Passing, start_manager: StartManager, start_worker: StartWorker, config: Path
) -> None:
    manager = start_manager(vote_timeout=VOTE_TIMEOUT)
    running, stopped = start_worker(manager), start_worker(manager)
    eventually(lambda: {status.version for status in manager.workers()} == {1}, "their answers to the first version")
    stopped.signal(signal.SIGSTOP)

    write(config, 2)
    first = passing.over_silence(manager, manager.reload, stopped.pid)
    assert first.result is ReloadResult.PARTIAL
    assert first
    assert (first.version, first.applied) == (2, [running.pid])
    assert [(status.pid, status.version, status.state) for status in first.lagging] == [(stopped.pid, 1, "late")]
    assert running.ask("read") == (2, 2)

    write(config, 3)
    second = manager.reload()
    assert (second.result, second.version) == (ReloadResult.PARTIAL, 3)
    assert [status.pid for status in second.lagging] == [stopped.pid]
    assert second.duration_ms < VOTE_TIMEOUT * 1000  # the guarantee itself: it is not waited for

    stopped.signal(signal.SIGCONT)
    assert stopped.ask("await_number", 3) == 3
    eventually(lambda: {status.state for status in manager.workers()} == {"current"}, "its answer")
    write(config, 4)
    third = manager.reload()
    assert (third.result, third.lagging) == (ReloadResult.SUCCESS, [])
    assert [worker.ask("read") for worker in (running, stopped)] == [(4, 4)] * 2


def test_where_silence_refuses_a_stopped_worker_vetoes_and_is_named(
    passing: Passing, start_manager: StartManager, start_worker: StartWorker, config: Path
) -> None:
    manager = start_manager(silent="refuse")
    running, stopped = start_worker(manager), start_worker(manager)
    stopped.signal(signal.SIGSTOP)

    write(config, 2)
    event = passing.over_silence(manager, manager.reload, stopped.pid)

    assert event.result is ReloadResult.REJECTED
    assert str(stopped.pid) in str(event.error_message)
    assert str(running.pid) not in str(event.error_message)
    assert running.ask("read") == (1, 1)
    assert manager.version == 1
    stopped.signal(signal.SIGCONT)
    assert stopped.ask("await_number", 2) == 2  # what silence refused is owed


def test_a_worker_that_answers_again_no_longer_vetoes(
    passing: Passing, start_manager: StartManager, start_worker: StartWorker, config: Path
) -> None:
    manager = start_manager(silent="refuse")
    worker = start_worker(manager)
    worker.signal(signal.SIGSTOP)
    write(config, 2)
    assert passing.over_silence(manager, manager.reload, worker.pid).result is ReloadResult.REJECTED
    worker.signal(signal.SIGCONT)
    assert worker.ask("await_number", 2) == 2  # the load was owed
    assert manager.reload().result is ReloadResult.UNCHANGED
    assert worker.ask("read") == (2, 2)


def test_a_worker_stopped_before_it_attached_anew_is_named_by_the_next_owner(
    start_manager: StartManager, start_worker: StartWorker, config: Path
) -> None:
    """It has no pipe to this owner, but it lives, and the journal's roster has it."""
    manager = start_manager(vote_timeout=0.5)
    worker = start_worker(manager)
    worker.signal(signal.SIGSTOP)

    os.kill(manager.owner_pid, signal.SIGKILL)
    write(config, 2)

    event = manager.reload()

    assert (event.result, event.version) == (ReloadResult.REJECTED, 1)  # nobody said yes
    assert [status.pid for status in event.lagging] == [worker.pid]
    worker.signal(signal.SIGCONT)
    assert worker.ask("await_number", 2) == 2


def test_a_stopped_worker_that_is_killed_is_no_longer_named(
    start_manager: StartManager, start_worker: StartWorker, config: Path
) -> None:
    manager = start_manager(vote_timeout=0.5)
    worker = start_worker(manager)
    worker.signal(signal.SIGSTOP)
    write(config, 2)
    assert manager.reload().result is ReloadResult.REJECTED
    worker.kill()

    write(config, 3)
    event = manager.reload()

    assert (bool(event), event.applied, event.lagging) == (True, [], [])  # what was owed may have been loaded before
    assert start_worker(manager).ask("read")[1] == 3
