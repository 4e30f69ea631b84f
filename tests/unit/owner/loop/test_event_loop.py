"""The loop around the core: what happens between two inputs, with the journal and the world acting in the middle."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from confcast.owner.core import effects as fx
from confcast.owner.core.machine import ProposalState
from confcast.owner.loop import event_loop
from confcast.owner.store import handover, incomplete_roster
from confcast.owner.store.journal import Journal, JournalError, VersionRow
from confcast.wire import processes
from confcast.wire.files import goodbye_files
from confcast.wire.framing import frame
from confcast.wire.messages import PROTOCOL, Hello, ReloadResult, encode
from tests.support.shell import SCHEMA, Shell, load


def test_a_worker_that_connects_while_an_owner_without_workers_writes_is_lagging(shell: Shell):
    """It may have started on the snapshot file since, and serve what that said."""
    shell.before_it_writes(lambda row: shell.connects() and None)
    shell.turns(*load(b"A"))
    assert shell.events == [], "it is waited for like anybody else"
    shell.turns_until(lambda: bool(shell.events))
    (event,) = shell.events
    assert event.result is ReloadResult.PARTIAL
    assert [status.pid for status in event.lagging] == [os.getpid()]


@pytest.mark.parametrize("seconds", [30 * 86400.0, 1e12])
def test_a_deadline_in_a_month_is_waited_for_day_by_day(shell: Shell, seconds: float):
    """The selector takes no longer time than 25 days: an owner that gave it one would die, and so would the next."""
    shell.owner._perform([fx.WakeAt(fx.Timer.EXPIRY, 0, time.monotonic() + seconds)])
    assert shell.owner._until_next() == 86400.0
    shell.turns(*load(b"A"))
    (event,) = shell.events
    assert event.result is ReloadResult.SUCCESS


@pytest.mark.parametrize("written", [True, False])
def test_a_write_that_failed_is_read_back(shell: Shell, written: bool):
    def fail(row: VersionRow) -> None:
        raise JournalError("the disk says no")

    shell.before_it_writes(fail, after=written)
    shell.turns(*load(b"A"))
    (event,) = shell.events
    assert event.result is (ReloadResult.SUCCESS if written else ReloadResult.IO_ERROR)
    assert shell.owner.core.committed.version == (1 if written else 0)
    assert shell.loading.forgotten == (0 if written else 1)  # what came to nothing is loaded again when there is room


def test_while_no_journal_can_be_made_anew_the_former_one_answers(shell: Shell):
    """And it was lost once, however often that is tried."""
    shell.turns(*load(b"A"))
    shell.runtime_dir.journal.unlink()
    shell.runtime_dir.journal.mkdir()
    shell.turns(*load(b"B", 2))
    assert shell.events[-1].result is ReloadResult.IO_ERROR
    assert [event.result.value for event in shell.owner._journal.events()] == ["io_error", "success"]
    assert shell.owner._failures["journal lost"] == 1

    shell.runtime_dir.journal.rmdir()
    shell.turns(*load(b"C", 3))
    assert shell.events[-1].result is ReloadResult.SUCCESS
    assert [event.version for event in shell.owner._journal.events()] == [3]  # the one that failed is retired


# ---- the journal's files


@pytest.fixture
def not_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite is given nothing, however slow this machine is."""
    monkeypatch.setattr(event_loop, "_FOLD_AFTER", 1000.0)


def ahead(shell: Shell) -> Path:
    return Path(f"{shell.runtime_dir.journal}-ahead")


def test_a_reload_looks_at_five_paths_writes_twice_and_asks_sqlite_nothing(
    not_yet: None, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.turns(*load(b"A"))
    calls: list[tuple[str, str]] = []
    by_descriptor = {path.stat().st_ino: path.name for path in shell.runtime_dir.folder.iterdir()}

    def counted(name: str) -> None:
        call = getattr(os, name)

        def recorded(place: Any, *rest: Any, **named: Any) -> Any:
            file = by_descriptor[os.fstat(place).st_ino] if isinstance(place, int) else Path(place).name
            calls.append((name, file))
            return call(place, *rest, **named)

        monkeypatch.setattr(os, name, recorded)

    statements: list[str] = []
    shell.journal._database._connection.set_trace_callback(statements.append)
    for name in ("stat", "pwrite", "ftruncate", "fsync", "fdatasync"):
        counted(name)
    shell.turns(fx.Trigger("signal"))
    assert [file for _, file in calls] == ["control.sock", "lock", "journal", "journal-ahead"]
    assert {name for name, _ in calls} == {"stat"}
    calls.clear()
    shell.turns(fx.Loaded(2, b"B", b"B", differs=True))
    assert shell.events[-1].result is ReloadResult.SUCCESS
    assert calls == [("stat", "journal-ahead"), ("pwrite", "journal-ahead"), ("pwrite", "journal-ahead")]
    assert statements == []


def test_what_was_written_ahead_is_folded_when_nothing_happens(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.turns(*load(b"A"))
    assert ahead(shell).stat().st_size > 0
    (when,) = shell.owner._idle_tasks.next()
    shell.turns_until(lambda: ahead(shell).stat().st_size == 0)
    assert time.monotonic() >= when
    assert shell.owner._idle_tasks.next() == []

    monkeypatch.setattr(event_loop, "_FOLD_AFTER", -1.0)
    shell.turns(fx.Trigger("signal"))
    shell.turns(fx.Loaded(2, b"B", b"B", differs=True))
    assert ahead(shell).stat().st_size == 0
    assert [event.version for event in shell.journal.events()] == [2, 1]


def test_a_fold_that_fails_is_said_counted_and_tried_again(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fold, fails = shell.journal.fold, iter([True, False])

    def full() -> None:
        if next(fails):
            raise JournalError("the disk says no")
        fold()

    monkeypatch.setattr(shell.journal, "fold", full)
    monkeypatch.setattr(event_loop, "_FOLD_AFTER", -1.0)
    monkeypatch.setattr(event_loop, "_JOURNAL_RETRY_AFTER", 0.001)
    shell.turns(*load(b"A"))
    assert shell.owner._failures["fold"] == 1
    assert "what was written last, which waits beside the journal: the disk says no" in caplog.text
    monkeypatch.setattr(event_loop, "_FOLD_AFTER", 100.0)
    shell.turns_until(lambda: ahead(shell).stat().st_size == 0)
    monkeypatch.undo()


@pytest.mark.parametrize("during", [False, True], ids=["before the load", "during the load"])
def test_a_deleted_ahead_file_is_made_anew_and_the_history_stays(
    not_yet: None, shell: Shell, during: bool, caplog: pytest.LogCaptureFixture
) -> None:
    shell.turns(*load(b"A"))
    trigger, loaded = load(b"B", 2)
    if during:
        shell.turns(trigger)
    ahead(shell).unlink()
    shell.turns(*([] if during else [trigger]), loaded)
    assert shell.events[-1].result is ReloadResult.SUCCESS
    assert "journal-ahead was deleted while in use: it is made anew" in caplog.text
    assert "without history" not in caplog.text
    assert [event.version for event in shell.journal.events()] == [2, 1]
    assert ahead(shell).stat().st_size > 0


def test_a_journal_that_was_deleted_is_not_folded_into_where_nobody_finds_it(not_yet: None, shell: Shell) -> None:
    shell.turns(*load(b"A"))
    shell.runtime_dir.journal.unlink()
    shell.owner.fold()
    assert ahead(shell).stat().st_size > 0
    shell.turns(*load(b"B", 2))
    assert shell.events[-1].result is ReloadResult.SUCCESS
    latest = shell.owner._journal.latest()
    assert latest is not None
    assert latest.payload == b"B"


@pytest.mark.parametrize("fails", [False, True], ids=["at once", "at the second try"])
def test_a_journal_that_is_made_anew_has_what_a_window_may_yet_fall_back_to(
    shell: Shell, fails: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Version 2 is proven until the worker that is late declines it; then that is version 1 again."""
    shell.owner.core.rules = msgspec.structs.replace(shell.owner.core.rules, probation=0.0)
    shell.turns(*load(b"A"))
    shell.before_it_writes(lambda row: shell.connects() and None)
    shell.turns(*load(b"B", 2))
    shell.turns_until(lambda: shell.events[-1].result is ReloadResult.PARTIAL)
    for path in shell.runtime_dir.folder.glob("journal*"):
        path.unlink()
    record, full = Journal.record, iter([fails])

    def write(journal: Journal, row: VersionRow, *rest: Any) -> None:
        if row.version == 2 and next(full, False):
            raise JournalError("the disk says no")
        record(journal, row, *rest)

    monkeypatch.setattr(Journal, "record", write)
    shell.turns(fx.Trigger("signal"))
    shell.owner._recreate_what_was_deleted()
    assert [kept.version for kept in shell.owner._journal.versions()] == [2, 1]


def test_an_owner_that_dies_before_its_new_journal_has_its_workers_has_the_next_one_gather(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.turns(*load(b"A"))
    shell.connects()
    shell.turns_until(lambda: shell.owner.core.statuses() != [])
    assert incomplete_roster.is_whole(shell.journal)
    for path in shell.runtime_dir.folder.glob("journal*"):
        path.unlink()
    monkeypatch.setattr(Journal, "add_member", unless_for_nobody(Journal.add_member))
    shell.turns(fx.Trigger("signal"))
    left = shell.owner._journal.latest()
    assert left is not None
    assert left.payload == b"A", "the next owner does not see that it is incomplete"
    assert not incomplete_roster.is_whole(shell.owner._journal)
    monkeypatch.undo()
    shell.turns(fx.Loaded(2, b"A", b"A", differs=False))
    shell.owner._recreate_what_was_deleted()
    assert incomplete_roster.is_whole(shell.owner._journal)


def test_a_new_journal_has_workers_that_outlive_their_server_and_are_awaited_later(shell: Shell) -> None:
    """Without: once this owner dies, the next one neither waits for them nor names them."""
    shell.owner.start_from(None, (os.getpid(),), 0, gathering=False, outlived=True)
    for path in shell.runtime_dir.folder.glob("journal*"):
        path.unlink()
    shell.turns(*load(b"A"))
    shell.owner._recreate_what_was_deleted()
    assert [pid for pid, _ in incomplete_roster.members(shell.owner._journal)] == [os.getpid()]


def unless_for_nobody(add_member: Callable[[Journal, int, int], None]) -> Callable[[Journal, int, int], None]:
    def add(journal: Journal, pid: int, started: int) -> None:
        if pid:
            raise JournalError("the disk says no")
        add_member(journal, pid, started)

    return add


def test_a_worker_that_a_full_disk_keeps_from_the_journal_is_known_to_the_next_owner_until_it_leaves(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without: the owner dies, the disk has room again, and the next one answers a success without that worker."""

    def full(self: Journal, pid: int, started: int) -> None:
        raise JournalError("the disk is full")

    folder, me = shell.runtime_dir.folder, (os.getpid(), processes.started(os.getpid()))
    shell.turns(*load(b"A"))
    monkeypatch.setattr(Journal, "add_member", full)
    with shell.connects():
        shell.turns_until(lambda: shell.owner.core.statuses() != [])
        assert goodbye_files.read(folder, "member") == {me}
        shell.turns(fx.ProcessGone(me[0]))
    assert goodbye_files.read(folder, "member") == set()


def test_once_each_living_worker_has_had_time_to_connect_the_roster_is_whole(shell: Shell) -> None:
    shell.turns(*load(b"A"))
    shell.owner._rules = msgspec.structs.replace(shell.owner._rules, gather_timeout=0.05)
    incomplete_roster.mark(shell.journal, whole=False)
    shell.owner.start_from(shell.journal.latest(), (), 1, gathering=True)
    assert not incomplete_roster.is_whole(shell.journal)
    shell.turns_until(lambda: incomplete_roster.is_whole(shell.journal))


def test_what_a_former_owner_goes_on_from_is_left_to_it_before_its_journal_is_replaced(
    shell: Shell, tmp_path: Path
) -> None:
    """It had no room for a copy, and died. Without: once that is called off, nobody knows its workers."""
    former, state = tmp_path / "former", tmp_path / "state"
    for folder in (former, state):
        folder.mkdir()
    journal = Journal(state / "journal", keep_versions=100)
    for version in range(1, 61):
        journal.record(VersionRow(version, b"%d" % version, SCHEMA, b"%d" % version, 1.0))
    journal.add_member(51, 1)
    journal._ahead.close()  # as of a process that was killed: much is not in SQLite yet
    journal._database.close()
    shell.turns(*load(b"A"))
    shell.owner._former, shell.runtime_dir.awaited = former, state
    assert shell.owner.move_to_state_folder() == 0.0
    with closing(Journal(former / "handover", keep_versions=100)) as copy:
        assert (copy.roster(), len(copy.versions())) == ([(51, 1)], 60)
    assert handover.number(former) == shell.owner.core.high_water == 1
    assert shell.owner._journal.roster() == []


def test_whom_another_server_sends_here_is_in_the_journal_until_it_is_dead(shell: Shell) -> None:
    shell.owner.start_from(None, (os.getpid(),), 0, gathering=False, outlived=True)
    shell.turns(fx.Trigger("start"), fx.Loaded(1, b"A", b"A", differs=True))
    assert [each.pid for each in shell.owner.core.statuses()] == [os.getpid()], "which has left there, and lives"
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as lives, subprocess.Popen(["true"]) as dead:
        dead.wait()
        shell.owner.expect([lives.pid, dead.pid])
        shell.turns_until(lambda: [each.pid for each in shell.owner.core.statuses()] == [lives.pid])
        assert shell.journal.roster() == [(lives.pid, processes.started(lives.pid))]
    shell.turns_until(lambda: shell.owner.core.statuses() == [])


# ---- the rest


def test_the_death_of_a_worker_takes_it_off_the_roster(shell: Shell):
    program = f"""
import socket, sys
mine = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
mine.connect({str(shell.runtime_dir.address)!r})
mine.sendall(bytes.fromhex(sys.argv[1]))
sys.stdin.read()
"""
    said = frame(encode(Hello(PROTOCOL, 0, "replica", "app", SCHEMA)))
    command = [sys.executable, "-c", program, said.hex()]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as worker:
        shell.turns_until(lambda: [status.pid for status in shell.owner.core.statuses()] == [worker.pid])
        worker.kill()
        worker.wait()
        shell.turns_until(lambda: shell.owner.core.statuses() == [])
    assert shell.journal.roster() == []
    assert shell.owner.core.state is ProposalState.IDLE


@pytest.mark.parametrize(("level", "reported"), [("DEBUG", True), ("INFO", False)])
def test_the_transitions_of_the_core_are_logged_where_debug_lines_are(
    level: str, reported: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(level, "confcast.owner")
    shell = Shell(tmp_path)
    shell.turns(fx.Trigger("signal"))
    lines = [record.getMessage() for record in caplog.records if record.levelname == "DEBUG"]
    wanted = "IDLE: Trigger origin=signal => LOADING: Load number=1 insist; WakeAt timer=load in=10s"
    assert (wanted in lines) is reported
    shell.close()
