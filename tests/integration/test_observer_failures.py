"""An observer that fails is seen: in `workers()`, in the outcome of a reload that waits for it, by each owner."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

from confcast import ReloadResult, Replica
from tests.support.fixtures import Manager, StartWorker
from tests.support.owners import kill_the_owner
from tests.support.settings import Settings, write
from tests.support.waiting import DEADLINE, eventually


def boom(old: Settings, new: Settings) -> None:
    raise RuntimeError(f"no pool of {new.number}")


def of_this_process(manager: Manager) -> tuple[int, str]:
    (status,) = [each for each in manager.workers() if each.pid == os.getpid()]
    return status.observer_failures, status.last_observer_error


def test_a_failing_observer_is_named_and_counted_and_the_version_runs(
    manager: Manager, settings: Replica[Settings], config: Path, start_worker: StartWorker
) -> None:
    worker = start_worker(manager)
    received: list[int] = []
    settings.subscribe(boom)
    settings.subscribe(lambda old, new: received.append(new.number), on="settled")
    write(config, 2)
    event = manager.reload(wait_observers=DEADLINE)
    assert event.result is ReloadResult.SUCCESS
    assert received == [2], "who waits for the settling has run, too"
    assert [(error.pid, error.observer, error.error, error.count) for error in event.observer_errors] == [
        (os.getpid(), "boom", "RuntimeError: no pool of 2", 1)
    ]
    assert of_this_process(manager) == (1, "boom: RuntimeError: no pool of 2")
    assert [each.observer_failures for each in manager.workers() if each.pid == worker.pid] == [0]
    again = asyncio.run(manager.areload(wait_observers=DEADLINE))
    assert (again.result, again.observer_errors) == (ReloadResult.UNCHANGED, event.observer_errors)


def test_an_observer_that_does_not_end_holds_the_caller_for_its_seconds_only(
    manager: Manager, settings: Replica[Settings], config: Path
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def hangs(old: Settings, new: Settings) -> None:
        begun.set()
        assert go_on.wait(DEADLINE)

    settings.subscribe(hangs)
    write(config, 2)
    try:
        event = manager.reload(wait_observers=2.0)
        assert begun.wait(DEADLINE)
        assert event.result is ReloadResult.SUCCESS
        assert [(error.observer, error.error, error.count) for error in event.observer_errors] == [
            (hangs.__qualname__, "has not finished within 2 s (wait_observers)", 0)
        ]
        write(config, 3)
        assert manager.reload().version == event.version + 1, "nobody else waits for it"
    finally:
        go_on.set()


def test_what_has_failed_is_reported_to_the_next_owner(
    manager: Manager, settings: Replica[Settings], config: Path
) -> None:
    settings.subscribe(boom)
    write(config, 2)
    assert manager.reload(wait_observers=DEADLINE).observer_errors
    kill_the_owner(manager)
    assert manager.reload()
    eventually(lambda: of_this_process(manager) == (1, "boom: RuntimeError: no pool of 2"), "the count")
