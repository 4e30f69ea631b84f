"""The owner's files under fire: deleted while in use, torn, locked, on a full disk; workers serve through all of it."""

from __future__ import annotations

import resource
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from confcast import ReloadResult
from tests.support.fixtures import Manager, StartManager, StartWorker
from tests.support.gate import Gate
from tests.support.owners import (
    await_fold,
    await_one_that_can_t_start,
    await_the_next,
    home_of,
    kill_it_while_it_loads,
    kill_the_owner,
)
from tests.support.passing import Passing
from tests.support.settings import write
from tests.support.waiting import eventually, history_of
from tests.support.workers import Worker

A_MARK = 64
"""Bytes that are enough for the mark of what is being loaded, and not for a version."""


@contextmanager
def limited(pid: int, limit: int, most: int) -> Iterator[None]:
    """This process has no more than that of a resource."""
    before = resource.prlimit(pid, limit)
    resource.prlimit(pid, limit, (most, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, limit, before)


def test_a_journal_deleted_under_a_living_owner_is_made_anew_and_outlives_it(
    manager: Manager, start_worker: StartWorker, config: Path
) -> None:
    worker = start_worker(manager)
    for path in home_of(manager).glob("journal*"):
        path.unlink()
    write(config, 2)

    assert manager.reload().version == 2

    kill_the_owner(manager)
    event = manager.reload()
    assert (event.result, event.version) == (ReloadResult.UNCHANGED, 2)
    assert worker.ask("read") == (2, 2)


def test_what_was_answered_outlives_an_owner_that_is_killed_before_sqlite_has_it(
    start_manager: StartManager, start_worker: StartWorker, config: Path, tmp_path: Path
) -> None:
    manager = start_manager(state_dir=tmp_path / "state")
    worker = start_worker(manager)
    for number in (2, 3, 4):
        write(config, number)
        event = manager.reload()
        kill_the_owner(manager)
        (kept,) = [each for each in history_of(manager) if each.version == event.version and each.changes]
        assert kept.result is event.result is ReloadResult.SUCCESS
        eventually(lambda number=number: worker.ask("read")[1] == number, "the worker has it")
        assert manager.get_stats()["successful_reloads"] == number - 1


def test_a_disk_that_is_too_full_for_sqlite_holds_up_no_reload(
    manager: Manager, start_worker: StartWorker, config: Path
) -> None:
    worker, owner = start_worker(manager), manager.owner_pid
    await_fold(manager)
    with limited(owner, resource.RLIMIT_FSIZE, 4096):  # the next page of SQLite's log lies beyond
        for number in (2, 3):
            write(config, number)
            assert manager.reload().version == number
        eventually(lambda: manager.get_stats()["failures"].get("fold"), "a fold that fails")
        assert [event.version for event in manager.get_event_history()] == [3, 2, 1]
    assert worker.ask("read") == (3, 3)
    kill_the_owner(manager)
    event = manager.reload()
    assert (event.result, event.version) == (ReloadResult.UNCHANGED, 3)
    assert manager.get_stats()["successful_reloads"] == 2


def test_a_folder_deleted_under_a_living_owner_is_made_anew(
    manager: Manager, start_worker: StartWorker, config: Path, gate: Gate
) -> None:
    worker = start_worker(manager)
    shutil.rmtree(home_of(manager))
    write(config, 2)

    assert worker.ask("reload").version == 2  # over the pipe that it has: nobody can connect

    assert stat.S_IMODE(home_of(manager).stat().st_mode) == 0o700
    assert {"control.sock", "journal", "lock", "snapshot"} <= {path.name for path in home_of(manager).iterdir()}
    assert start_worker(manager).ask("read") == (2, 2)
    assert_content_that_kills_is_skipped(manager, worker.pid, config, gate)


def assert_content_that_kills_is_skipped(manager: Manager, worker: int, config: Path, gate: Gate) -> None:
    """The mark of what is being loaded is made anew with the rest."""
    refused = kill_it_while_it_loads(manager, config, gate, 3)
    assert "an owner died while it loaded exactly this content" in str(refused.error_message)
    assert {status.pid for status in manager.workers()} >= {worker}


def test_a_folder_that_can_t_be_made_anew_is_an_io_error_until_it_can(
    start_manager: StartManager, start_worker: StartWorker, config: Path
) -> None:
    manager = start_manager()
    owner, worker, home = manager.owner_pid, start_worker(manager), home_of(manager)
    shutil.rmtree(home)
    home.touch()
    write(config, 2)
    refused = [worker.ask("reload") for _ in range(2)]
    assert [event.result for event in refused] == [ReloadResult.IO_ERROR] * 2
    assert worker.ask("read") == (1, 1)

    home.unlink()
    event = worker.ask("reload")

    assert (event.result, manager.owner_pid) == (ReloadResult.SUCCESS, owner)
    assert worker.ask("read") == (event.version, 2)


def test_on_a_full_disk_nothing_changes_and_the_next_reload_works_when_there_is_room(
    manager: Manager, start_worker: StartWorker, config: Path
) -> None:
    worker, owner = start_worker(manager), manager.owner_pid
    with limited(owner, resource.RLIMIT_FSIZE, A_MARK):
        write(config, 2)
        event = manager.reload()
        assert event.result is ReloadResult.IO_ERROR, event
        assert "journal" in str(event.error_message)
        late = start_worker(manager)
        assert [one.ask("read") for one in (worker, late)] == [(1, 1)] * 2

    event = manager.reload()

    assert (event.result, manager.owner_pid) == (ReloadResult.SUCCESS, owner)
    assert [one.ask("read") for one in (worker, late)] == [(event.version, 2)] * 2
    kill_the_owner(manager)
    assert manager.reload().version == event.version


def test_an_owner_that_is_restarted_on_a_full_disk_serves_what_is_committed(
    start_manager: StartManager, start_worker: StartWorker, config: Path
) -> None:
    manager = start_manager(supervise="caller")
    worker = start_worker(manager)
    write(config, 2, name="long" * 1000)
    assert manager.reload().version == 2
    dead = kill_the_owner(manager)
    owner = await_the_next(manager, dead)
    with limited(owner, resource.RLIMIT_FSIZE, A_MARK):  # it has yet to import what it needs
        worker.ask("await_connected", True)
        assert start_worker(manager).ask("read") == (2, 2)
        write(config, 3)
        assert worker.ask("reload").result is ReloadResult.IO_ERROR

    # UNCHANGED where the restarted owner's own first load, which is tried again, has come before.
    assert worker.ask("reload").result in (ReloadResult.SUCCESS, ReloadResult.UNCHANGED)
    assert (manager.owner_pid, worker.ask("read")[1]) == (owner, 3)


def test_a_journal_that_is_only_locked_for_now_is_not_taken_for_a_torn_one(
    start_manager: StartManager, start_worker: StartWorker, config: Path
) -> None:
    manager = start_manager(supervise="caller")
    worker = start_worker(manager)
    write(config, 2)
    assert manager.reload().version == 2
    dead = kill_the_owner(manager)
    connection = sqlite3.connect(home_of(manager) / "journal", isolation_level=None)
    connection.execute("PRAGMA locking_mode=EXCLUSIVE")
    connection.execute("BEGIN EXCLUSIVE")
    await_one_that_can_t_start(manager, dead)
    assert worker.ask("read") == (2, 2)
    connection.close()

    event = manager.reload()

    assert (event.result, event.version) == (ReloadResult.UNCHANGED, 2)
    assert list(home_of(manager).glob("journal.torn-*")) == []


def test_an_owner_that_gives_up_leaves_its_files_to_the_next(
    passing: Passing, manager: Manager, start_worker: StartWorker, config: Path, gate: Gate
) -> None:
    worker = start_worker(manager)
    write(config, 2)
    assert manager.reload().version == 2
    gate.shut()
    write(config, 3, gate=str(gate.path))
    assert passing.over_load(manager, lambda: worker.ask("reload")).result is ReloadResult.IO_ERROR
    owner = manager.owner_pid

    assert passing.over_load(manager, lambda: worker.ask("reload")).result is ReloadResult.IO_ERROR
    eventually(lambda: manager.owner_pid not in (0, owner), "the next owner")

    gate.open()
    eventually(lambda: "restart" in [event.origin for event in history_of(manager)], "the restart's load")
    newest, *_ = manager.get_event_history()
    assert newest.result is ReloadResult.VALIDATION_FAILED, newest
    assert manager.get_stats()["failed_reloads"] == 3
    assert start_worker(manager).ask("read") == (2, 2)
    event = manager.reload()
    assert (event.result, event.version) == (ReloadResult.SUCCESS, 3)


def test_an_owner_without_descriptors_left_serves_on_without_spinning(
    manager: Manager, start_worker: StartWorker, config: Path
) -> None:
    worker, owner = start_worker(manager), manager.owner_pid
    taken = {int(path.name) for path in Path(f"/proc/{owner}/fd").iterdir()}
    with limited(owner, resource.RLIMIT_NOFILE, min(set(range(len(taken) + 1)) - taken)):
        late = start_worker()
        late.tell("attach", manager.address)
        eventually(lambda: _failed_accepts(worker), "a connection that could not be accepted")
        for _ in range(100):  # a turn of the loop each
            _failed_accepts(worker)
        assert _failed_accepts(worker) < 50

    assert late.answer() is not None
    assert late.ask("read") == (1, 1)
    write(config, 2)
    assert manager.reload().lagging == []
    assert (manager.owner_pid, late.ask("read")) == (owner, (2, 2))


def _failed_accepts(worker: Worker) -> int:
    return int(worker.ask("verb", "get_stats")["refused"].get("accept", 0))
