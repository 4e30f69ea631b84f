"""`status()`: what runs, who changed it and why, what the sources would bring, and what the owner waits for."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from confcast import Change, Status, Waiting
from tests.integration.test_slow_votes import FUNCTION, let_go
from tests.support.commands import runner
from tests.support.fixtures import Manager, StartWorker
from tests.support.gate import Gate
from tests.support.passing import Passing
from tests.support.settings import write
from tests.support.waiting import eventually, in_thread

TO_THREE = [Change("number", 2, 3), Change("twin", 2, 3)]


def awaited(manager: Manager, phase: str) -> tuple[Status, Waiting]:
    """The status in this phase, in which the owner waits for one process."""
    status = eventually(
        lambda: next((s for s in (manager.status(),) if s.phase == phase and s.waiting_for), None), phase
    )
    (waiting,) = status.waiting_for
    return status, waiting


def waits_in(phase: str, status: Status) -> Status | None:
    return status if status.phase == phase and status.waiting_for else None


def is_idle(status: Status) -> Status | None:
    return status if status.phase == "idle" else None


def test_it_says_what_runs_since_when_by_whom_and_why(
    manager: Manager, start_worker: StartWorker, config: Path
) -> None:
    worker = start_worker(manager)
    started = manager.status()
    assert (started.version, started.origin, started.who, started.disk) == (1, "start", None, "in step")
    write(config, 2)
    assert manager.reload(reason="more room")
    status, newest = manager.status(), manager.versions()[0]
    assert (status.version, status.digest, status.since) == (2, newest.digest, newest.timestamp)
    assert (status.origin, status.reason, status.who and status.who.pid) == ("call", "more room", os.getpid())
    assert (status.phase, status.waiting_for, status.provisional, status.held) == ("idle", [], "", None)
    assert [each.pid for each in status.workers] == [worker.pid]
    assert worker.ask("verb", "status").version == 2


def test_what_was_set_is_the_newest_change(manager: Manager) -> None:
    assert manager.set({"number": 2, "twin": 2}, reason="load")
    status = manager.status()
    assert (status.origin, status.reason, status.disk) == ("set", "load", "in step")
    assert [(each.key, each.value, each.reason) for each in status.overrides] == [
        ("number", 2, "load"),
        ("twin", 2, "load"),
    ]


def test_a_refused_file_is_shown_until_it_is_mended(manager: Manager, config: Path) -> None:
    config.write_text("number = -1\ntwin = -1\n", encoding="utf-8")
    assert not manager.reload()
    status = manager.status()
    assert (status.version, status.disk, status.differs) == (1, "refused", [])
    assert "app.toml:1:10: number" in status.problems[0]
    write(config, 1)
    assert manager.reload()
    status = manager.status()
    assert (status.disk, status.problems) == ("in step", [])


def test_what_a_worker_refused_is_shown_with_what_would_change(
    manager: Manager, start_worker: StartWorker, config: Path
) -> None:
    write(config, 2)
    assert manager.reload()
    start_worker(manager).ask("object_to", "not this one")
    write(config, 3)
    assert not manager.reload()
    status = manager.status()
    assert (status.disk, status.differs) == ("refused", TO_THREE)
    assert "not this one" in status.problems[0]


def test_while_a_version_is_held_the_sources_differ_and_what_they_would_bring_is_shown(
    manager: Manager, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(config, 3)
    assert manager.reload()
    write(config, 2)
    assert manager.reload()
    assert manager.rollback(version=1, reason="the disk is full")
    status = manager.status()
    assert (status.disk, status.held and status.held.version, status.reason) == ("differs", 1, "the disk is full")
    assert status.held is not None
    assert (status.held.reason, status.held.who and status.held.who.pid) == ("the disk is full", os.getpid())
    assert not manager.reload()
    assert manager.status().differs == [Change("number", 1, 2), Change("twin", 1, 2)]
    _, told, _ = runner(capsys)("status", "--address", manager.address)
    assert "         would change: number: 1 -> 2" in told
    assert ", rollback by " in told
    assert ": the disk is full" in told
    write(config, 1)
    assert not manager.reload()
    status = manager.status()
    assert (status.disk, status.differs, status.held is None) == ("in step", [], False)
    assert manager.resume()
    assert manager.status().held is None


def test_during_a_load_it_names_the_source_or_validator_that_lasts(manager: Manager, config: Path, gate: Gate) -> None:
    outcome = gate.hold_load(config, 2, lambda: in_thread(manager.reload))
    status, waiting = awaited(manager, "loading")
    assert (waiting.pid, waiting.function) == (manager.owner_pid, "")
    assert "gate" in waiting.source or "settings" in waiting.source
    assert waiting.since == pytest.approx(status.phase_since, abs=0.01)
    assert status.since < waiting.since
    gate.open()
    gate.let_go()
    assert outcome()
    assert manager.status().phase == "idle"


def test_during_a_vote_it_names_the_worker_and_its_function(
    passing: Passing, manager: Manager, start_worker: StartWorker, config: Path, gate: Gate
) -> None:
    worker = start_worker(manager)
    gate.hold_votes(worker)
    write(config, 2)
    outcome = in_thread(manager.reload)
    eventually(lambda: awaited(manager, "staging")[1].function, "the worker's report of what it runs")
    passing.by(10.0, manager)  # which is its vote_timeout
    _, waiting = awaited(manager, "staging")
    assert (waiting.pid, waiting.function, waiting.source) == (worker.pid, FUNCTION, "")
    let_go(gate)
    assert outcome()


def test_a_successor_knows_who_changed_it_last(manager: Manager, start_worker: StartWorker, config: Path) -> None:
    write(config, 2)
    assert manager.reload(reason="more room")
    before = manager.status()
    os.kill(manager.owner_pid, signal.SIGKILL)
    eventually(lambda: manager.owner_pid and manager.get_stats()["owner_restarts"], "the next owner")
    status = eventually(lambda: is_idle(manager.status()), "the end of its first load")
    assert (status.version, status.since, status.who, status.reason) == (2, before.since, before.who, "more room")
