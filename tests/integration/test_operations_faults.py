"""Operations where something fails: a full disk at each write, a death, a damaged row, silence, a missing source."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from confcast import Client, ReloadEvent, ReloadResult
from confcast.cli import main
from tests.integration.test_operations import loads
from tests.integration.test_owner_journal import A_MARK, limited
from tests.support.fixtures import Manager, StartManager, StartWorker
from tests.support.gate import Gate
from tests.support.gunicorn import Make
from tests.support.jumping import Jumping
from tests.support.killing import PLACES, Killing
from tests.support.leaks import is_running
from tests.support.owners import await_fold, await_the_next, home_of, kill_the_owner
from tests.support.passing import Passing
from tests.support.settings import write
from tests.support.slow import slow
from tests.support.waiting import LONG, eventually, history_of, in_thread

SUCCESS, HELD, IO_ERROR = ReloadResult.SUCCESS, ReloadResult.HELD, ReloadResult.IO_ERROR
SEVEN = {"number": 7, "twin": 7}


def what_people_set(manager: Manager) -> tuple[Any, ...]:
    """The hold's version, and the overridden keys."""
    status = manager.status()
    return status.held and status.held.version, [each.key for each in status.overrides]


# ---- a full disk


@pytest.mark.parametrize(
    ("before", "verb"),
    [
        ("nothing", lambda manager: manager.rollback()),
        slow("nothing", lambda manager: manager.set(SEVEN)),
        slow("nothing", lambda manager: manager.reload(force=True, reason="a bad night")),
        slow("set", lambda manager: manager.unset(SEVEN)),
        ("rolled back", lambda manager: manager.resume()),
        slow("rolled back", lambda manager: manager.set(SEVEN)),
        slow("rolled back", lambda manager: manager.rollback(version=3)),
        slow("rolled back", lambda manager: manager.reload(force=True, reason="a bad night")),
        slow("back in step", lambda manager: manager.resume()),
        ("held by its number", lambda manager: manager.rollback(version=manager.version)),
    ],
    ids=[
        *(
            "rollback",
            "set",
            "force",
            "unset",
            "resume",
            "set on what is held",
            "another rollback",
            "force past a hold",
        ),
        *("a hold alone, ended", "a hold alone"),
    ],
)
def test_on_a_full_disk_nothing_changes_and_the_same_works_when_there_is_room(
    manager: Manager, start_worker: StartWorker, config: Path, before: str, verb: Callable[[Manager], ReloadEvent]
) -> None:
    worker = start_worker(manager)
    loads(manager, config, 2, 3)
    if before == "set":
        assert manager.set(SEVEN)
    elif before in ("rolled back", "back in step"):
        assert manager.rollback()
    write(config, 2 if before == "back in step" else 4 if "force" not in before else 3)
    ran, people, versions = worker.ask("read"), what_people_set(manager), manager.versions()
    await_fold(manager)
    with limited(manager.owner_pid, resource.RLIMIT_FSIZE, A_MARK):
        event = verb(manager)
        assert (event.result, event.version) == (IO_ERROR, ran[0]), event
        assert "the journal could not be written" in str(event.error_message)
        assert (worker.ask("read"), what_people_set(manager)) == (ran, people)
    assert manager.versions() == versions
    event = verb(manager)
    assert event, event
    assert (worker.ask("read"), what_people_set(manager)) != (ran, people)
    after = worker.ask("read"), what_people_set(manager)
    kill_the_owner(manager)
    eventually(lambda: manager.get_stats()["phase"] == "idle", "the next owner")
    assert (worker.ask("read"), what_people_set(manager)) == after


@pytest.mark.slow
def test_a_time_that_ends_on_a_full_disk_has_ended_with_the_next_load(
    manager: Manager, start_worker: StartWorker
) -> None:
    worker = start_worker(manager)
    assert manager.set(SEVEN, ttl=1.0)
    with limited(manager.owner_pid, resource.RLIMIT_FSIZE, A_MARK):
        eventually(lambda: manager.get_stats()["failures"].get("history"), "an expiry that could not be written")
        assert worker.ask("read") == (2, 7)
        assert what_people_set(manager) == (None, ["number", "twin"])
    assert manager.reload().result is SUCCESS
    assert (worker.ask("read")[1], what_people_set(manager)) == (1, (None, []))


@pytest.mark.slow
def test_an_undo_on_a_full_disk_is_shown_until_there_is_room(
    manager: Manager, start_worker: StartWorker, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without: what nobody has confirmed runs on, nothing says so, and only the log has a line each second."""
    worker = start_worker(manager)
    assert manager.set(SEVEN, confirm_within=2.0)
    await_fold(manager)
    with limited(manager.owner_pid, resource.RLIMIT_FSIZE, A_MARK):
        eventually(lambda: manager.get_stats()["failures"].get("undo", 0) > 1, "an undo that is tried again")
        assert worker.ask("read")[1] == 7
        status = manager.status()
        assert status.phase == "recording"
        (waits,) = [each for each in status.waiting_for if each.pid == manager.owner_pid]
        assert waits.source.startswith("the journal, since the undo of version 2 could not be written")
        capsys.readouterr()
        main(["status", "--address", manager.address])
        shown = capsys.readouterr().out
        assert f"waits for process {manager.owner_pid}: {waits.source}" in shown
        assert "undo (" in shown
    eventually(lambda: worker.ask("read")[1] == 1, "the undo")
    assert manager.status().waiting_for == []


# ---- deaths


@pytest.mark.parametrize("place", [slow(PLACES[0]), PLACES[1], slow(PLACES[2])])
def test_an_owner_that_is_killed_while_the_time_of_a_value_ends(
    place: str, start_manager: StartManager, start_worker: StartWorker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next owner ends it, if it is not in the journal that it has ended."""
    killing = Killing(tmp_path)
    killing.prepare(monkeypatch)
    passing = Passing(tmp_path / "passed", monkeypatch)
    manager = start_manager(supervise="caller")
    workers = [start_worker(manager) for _ in range(2)]
    assert manager.set(SEVEN, ttl=LONG)
    dead = manager.owner_pid
    killing.order_at(place)
    passing.by(LONG, manager)
    eventually(lambda: killing.struck and not is_running(dead), "the owner's death at its place")
    await_the_next(manager, dead)
    assert [worker.ask("await_number", 1) for worker in workers] == [3, 3]
    assert what_people_set(manager) == (None, [])
    assert manager.set(SEVEN).version == 4


# ---- a date that jumps


@pytest.mark.parametrize("hours", [slow(-30), 30])
def test_the_time_of_a_value_is_not_moved_by_a_date_that_jumps(
    hours: int, start_manager: StartManager, start_worker: StartWorker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a day: forwards it would have ended at once, backwards not for a day."""
    jumping = Jumping(tmp_path / "jump", monkeypatch)
    passing = Passing(tmp_path / "passed", monkeypatch)
    manager = start_manager()
    worker = start_worker(manager)
    assert manager.set({"number": 6, "twin": 6}, ttl=3600)
    jumping.to(3600 * hours)
    assert manager.reload().result is ReloadResult.UNCHANGED
    assert (worker.ask("read"), what_people_set(manager)) == ((2, 6), (None, ["number", "twin"]))
    assert manager.set(SEVEN, ttl=LONG)
    passing.by(LONG, manager)
    assert worker.ask("await_number", 1) == 4
    assert what_people_set(manager) == (None, [])


# ---- a damaged row


def test_a_version_whose_row_is_torn_is_not_gone_back_to_and_the_others_are(
    start_manager: StartManager, start_worker: StartWorker, config: Path
) -> None:
    manager = start_manager(supervise="caller")
    worker = start_worker(manager)
    loads(manager, config, 2, 3, 4)
    await_fold(manager)
    dead = kill_the_owner(manager)
    with closing(sqlite3.connect(home_of(manager) / "journal", isolation_level=None)) as database:
        torn = database.execute("UPDATE kept SET checksum = checksum + 1 WHERE version = 3").rowcount
    assert torn == 1
    await_the_next(manager, dead)
    assert [each.version for each in manager.versions()] == [4, 2, 1]
    event = manager.rollback(version=3)
    assert not event
    assert "version 3" in str(event.error_message)
    assert (worker.ask("read"), what_people_set(manager)) == ((4, 4), (None, []))
    event = manager.rollback()
    assert (event.result, worker.ask("read")) == (SUCCESS, (5, 2))


# ---- silence


def test_a_way_back_that_hangs_in_all_workers_is_taken_and_they_are_named(
    passing: Passing, manager: Manager, start_worker: StartWorker, config: Path, gate: Gate
) -> None:
    """Silence refuses no way back: what runs now may be what makes them silent."""
    workers = [start_worker(manager) for _ in range(2)]
    loads(manager, config, 2)
    for worker in workers:
        gate.hold_votes(worker)
    pids = [worker.pid for worker in workers]
    event = passing.over_functions(manager, lambda: manager.rollback(reason="they hang"), *pids)
    assert (event.result, event.version) == (ReloadResult.PARTIAL, 3)
    assert {each.pid for each in event.lagging} == {worker.pid for worker in workers}
    assert what_people_set(manager) == (1, [])
    gate.await_load()
    gate.open()
    gate.let_go()
    assert [worker.ask("await_number", 1) for worker in workers] == [3, 3]


# ---- several at once


def test_a_value_is_set_while_a_dry_run_waits_for_its_votes(
    manager: Manager, start_worker: StartWorker, config: Path, gate: Gate
) -> None:
    """The dry run gives way, and says so; it is the one that leaves nothing."""
    worker = start_worker(manager)
    gate.hold_votes(worker)
    write(config, 2)
    tried = in_thread(manager.check)
    gate.await_load()
    done = in_thread(lambda: manager.set(SEVEN))
    event = tried()
    assert (event.result, event.dry_run) == (ReloadResult.OWNER_UNAVAILABLE, True)
    assert "gave way to another request" in str(event.error_message)
    gate.open()
    gate.let_go()
    assert done().result is SUCCESS
    assert worker.ask("read") == (2, 7)


def test_a_hold_stays_through_a_crowd_of_hups_and_edits(
    start_manager: StartManager, start_worker: StartWorker, config: Path
) -> None:
    manager = start_manager(watch=True)
    worker = start_worker(manager)
    loads(manager, config, 2)
    assert manager.rollback(reason="a bad night")
    for number in range(3, 23):
        write(config, number)
        os.kill(manager.owner_pid, signal.SIGHUP)
    eventually(lambda: told(manager, 22), "the last edit is told")
    assert (worker.ask("read"), what_people_set(manager)) == ((3, 1), (1, []))
    assert all(event.result is HELD for event in history_of(manager) if event.origin in ("signal", "watch"))
    assert manager.resume().version == 4
    assert worker.ask("read") == (4, 22)


def told(manager: Manager, number: int) -> bool:
    changes = [change for event in history_of(manager) if event.result is HELD for change in event.changes]
    return number in [change.new for change in changes]


def test_a_hold_stays_through_a_server_s_upgrade(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """gunicorn's USR2: the new master's owner takes the journal's copy, and with it what people have set."""
    server = make().start()
    monkeypatch.setenv("CONFCAST_RUNTIME_DIR", str(server.runtime))
    server.change()
    server.hup()
    assert Client(pid=server.pid).rollback(reason="a bad night")
    number = server.ask("read")["number"]
    server.change()
    server.upgrade()
    server.signal(signal.SIGTERM)
    server.ended()
    held = Client().status().held
    assert (held and held.reason, server.ask("read")["number"]) == ("a bad night", number)


# ---- break glass


def test_a_forced_reload_says_what_it_can_do_when_its_source_is_gone(
    manager: Manager, start_worker: StartWorker, config: Path
) -> None:
    """It stays held, and the way back needs no source."""
    worker = start_worker(manager)
    loads(manager, config, 2, 3)
    assert manager.rollback()
    config.unlink()
    event = manager.reload(force=True, reason="a bad night")
    assert event.result in (ReloadResult.FILE_NOT_FOUND, ReloadResult.IO_ERROR)
    assert config.name in str(event.error_message)
    assert (worker.ask("read"), what_people_set(manager)) == ((4, 2), (2, []))
    assert manager.rollback(version=3).result is SUCCESS
    assert worker.ask("read") == (5, 3)


def test_a_forced_reload_without_an_owner_waits_for_the_next_one(
    start_manager: StartManager, start_worker: StartWorker, config: Path
) -> None:
    manager = start_manager()
    worker = start_worker(manager)
    loads(manager, config, 2)
    assert manager.rollback()
    kill_the_owner(manager)
    event = eventually(lambda: manager.reload(force=True, reason="a bad night"), "the next owner")
    assert (event.result, worker.ask("read")[1], what_people_set(manager)) == (SUCCESS, 2, (None, []))
