"""Two workers, one of which is stopped once it has answered: what is committed next it is late for."""

from __future__ import annotations

import signal
from pathlib import Path

from confcast import ReloadResult
from tests.support.fixtures import Manager, StartWorker
from tests.support.passing import Passing
from tests.support.settings import write
from tests.support.waiting import eventually
from tests.support.workers import Worker


def one_is_stopped(manager: Manager, start_worker: StartWorker, objection: str = "") -> tuple[Worker, Worker]:
    """The one that answers, and the one that is stopped, and objects to what it gets later."""
    answering, stopped = start_worker(manager), start_worker(manager)
    stopped.ask("object_to", objection)
    eventually(lambda: [worker.state for worker in manager.workers()] == ["current"] * 2, "both workers' answers")
    stopped.signal(signal.SIGSTOP)
    return answering, stopped


def one_is_late(
    passing: Passing, manager: Manager, start_worker: StartWorker, config: Path, objection: str
) -> tuple[Worker, Worker]:
    """The same, and number 2 is committed as version 2, which the stopped one has not seen."""
    answering, stopped = one_is_stopped(manager, start_worker, objection)
    write(config, 2)
    assert passing.over_silence(manager, manager.reload, stopped.pid).result is ReloadResult.PARTIAL
    return answering, stopped
