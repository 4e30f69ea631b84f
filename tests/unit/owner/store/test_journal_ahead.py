"""What is ahead of SQLite is read as if SQLite had it, is taken in exactly once, and outlives every death before."""

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import textwrap
import zlib
from contextlib import closing
from pathlib import Path

import pytest

from confcast.owner.store import ahead_file, handover
from confcast.owner.store.journal import Journal, JournalError, StateRow, VersionRow
from confcast.owner.store.sqlite_file import Database
from confcast.wire.messages import ReloadEvent, ReloadResult

ROOT = Path(__file__).parents[4]
"""Where these tests can be imported from."""


def row(version: int, payload: bytes = b"payload") -> VersionRow:
    return VersionRow(version, b"d%015d" % version, b"s" * 16, payload, 1700000000.0 + version)


def event(version: int, result: ReloadResult = ReloadResult.SUCCESS, origin: str = "signal", ms: float = 1.0):
    return ReloadEvent(timestamp=1700000000.0 + version, result=result, origin=origin, version=version, duration_ms=ms)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home" / "journal"


def ahead(path: Path) -> Path:
    return Path(f"{path}-ahead")


def reload(journal: Journal, version: int) -> None:
    journal.record(row(version))
    journal.add_event(event(version))


def seen(journal: Journal) -> tuple[object, ...]:
    """All that can be read of it."""
    return journal.latest(), journal.state, journal.high_water, journal.events(), journal.totals(), journal.roster()


def in_sqlite(path: Path) -> tuple[list[tuple[int]], int]:
    """The committed version and the number of events, as a confcast reads them that knows no ahead file."""
    with closing(sqlite3.connect(path)) as raw:
        newest = raw.execute("SELECT version FROM newest").fetchall()
        return newest, raw.execute("SELECT count(*) FROM event").fetchone()[0]


def killed(path: Path, to: str = "killed") -> Path:
    """What the next owner finds if this one dies now."""
    return shutil.copytree(path.parent, path.parent.with_name(to)) / path.name


# ---- taken in exactly once


def test_what_waits_is_ahead_of_sqlite_until_it_is_folded(path: Path) -> None:
    with closing(Journal(path)) as journal:
        reload(journal, 1)
        before = seen(journal)
        assert in_sqlite(killed(path, "before")) == ([], 0)
        assert ahead(path).stat().st_size > 0
        journal.fold()
        assert ahead(path).stat().st_size == 0
        assert in_sqlite(killed(path, "after")) == ([(1,)], 1)
        assert seen(journal) == before
        journal.fold()


@pytest.mark.parametrize("seed", range(20))
def test_what_waits_reads_as_what_was_taken_in(tmp_path: Path, seed: int) -> None:
    """The same calls on two journals, one of which folds all the time, and the other only at some of them."""
    chance = random.Random(seed)
    limit = chance.choice([0, 1, 3, 100])
    paths = [tmp_path / "folds", tmp_path / "waits"]
    folds, waits = (Journal(path, history_limit=limit) for path in paths)
    for _ in range(60):
        call = chance.randrange(9)
        version = folds.high_water + (call < 3)
        state = chance.choice([StateRow(), StateRow(version, b"refused"), StateRow(version)])
        happened = event(version, chance.choice([*ReloadResult]), chance.choice(["call", "start"]), chance.random())
        for journal in (folds, waits):
            if call < 3:
                journal.record(row(version), state)
            elif call < 6:
                journal.add_event(happened)
            elif call == 6:
                journal.forgive()
            elif call == 7:
                journal.retire(version + 3)
            else:
                journal.describe(b"s" * 16, {"field": "int"})
        if chance.random() < 0.03:
            waits.clear_events()
            folds.clear_events()
        if chance.random() < 0.1:
            waits.close()
            waits = Journal(paths[1], history_limit=limit)
        folds.fold()
        assert seen(waits) == seen(folds)
        assert waits.events(2) == folds.events(2)
    for journal in (folds, waits):
        journal.close()
    assert in_sqlite(paths[0]) == in_sqlite(paths[1])


def test_an_owner_that_dies_between_sqlite_and_the_emptying_of_the_file_takes_nothing_in_twice(path: Path) -> None:
    with closing(Journal(path)) as journal:
        reload(journal, 1)
        waiting = ahead(path).read_bytes()
        journal.fold()
        following = killed(path)
    for _ in range(2):
        ahead(following).write_bytes(waiting)
        with closing(Journal(following)) as journal:
            assert (journal.latest(), journal.events()) == (row(1), [event(1)])
            assert journal.totals()["total_reloads"] == 1


def test_a_file_that_could_not_be_emptied_loses_nothing_that_is_written_behind(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(fd: int, size: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with closing(Journal(path)) as journal:
        reload(journal, 1)
        monkeypatch.setattr(os, "ftruncate", fail)
        with pytest.raises(JournalError):
            journal.fold()
        monkeypatch.undo()
        reload(journal, 2)
        with closing(Journal(killed(path))) as following:
            assert seen(following) == seen(journal)
        assert [each.version for each in journal.events()] == [2, 1]


# ---- the death of the owner


@pytest.mark.parametrize("durable", [False, True])
def test_an_owner_that_is_killed_before_it_folds_has_lost_nothing(path: Path, durable: bool) -> None:
    script = """
        import os, signal, sys
        from pathlib import Path
        from tests.unit.owner.store.test_journal_ahead import Journal, StateRow, event, reload, row
        journal = Journal(Path(sys.argv[1]), durable=sys.argv[2] == "True")
        reload(journal, 1)
        journal.fold()
        reload(journal, 2)
        journal.record(row(3), StateRow(3, b"refused"))
        os.kill(os.getpid(), signal.SIGKILL)
    """
    command = [sys.executable, "-c", textwrap.dedent(script), path, str(durable)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=30, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert in_sqlite(shutil.copytree(path.parent, path.parent.with_name("copy")) / path.name) == ([(1,)], 1)
    for _ in range(2):
        with closing(Journal(path)) as journal:
            assert (journal.latest(), journal.state) == (row(3), StateRow(3, b"refused"))
            assert journal.events() == [event(2), event(1)]
            assert journal.totals()["total_reloads"] == 2
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_of_a_last_write_that_was_cut_at_any_byte_the_version_before_it_is_left(path: Path) -> None:
    with closing(Journal(path)) as journal:
        reload(journal, 1)
        whole = ahead(path).stat().st_size
        journal.record(row(2), StateRow(2, b"refused"))
        content = ahead(path).read_bytes()
        following = killed(path)
    for size in range(whole, len(content) + 1):
        ahead(following).write_bytes(content[:size])
        with closing(Journal(following)) as journal:
            version = 2 if size == len(content) else 1
            assert journal.latest() == row(version), size
            assert journal.state == (StateRow(2, b"refused") if version == 2 else StateRow())
            assert journal.holds(2, row(2).digest) is (version == 2)


def test_a_second_owner_is_refused_and_leaves_what_waits_alone(path: Path) -> None:
    with closing(Journal(path)) as journal:
        reload(journal, 1)
        waiting = ahead(path).read_bytes()
        with pytest.raises(JournalError, match="Another process has it open"):
            Journal(path)
        assert ahead(path).read_bytes() == waiting
        reload(journal, 2)
        assert len(journal.events()) == 2


# ---- a full disk


def test_a_version_that_the_disk_has_no_room_for_at_any_byte_is_not_there(path: Path) -> None:
    script = """
        import os, resource, signal, sys
        from pathlib import Path
        from tests.unit.owner.store.test_journal_ahead import Journal, JournalError, ahead, event, reload, row
        path = Path(sys.argv[1])
        journal = Journal(path, durable=sys.argv[2] == "True")
        reload(journal, 1)
        journal.fold()
        reload(journal, 2)
        size = ahead(path).stat().st_size
        most = resource.RLIM_INFINITY
        refused = 0
        while True:
            resource.setrlimit(resource.RLIMIT_FSIZE, (size + refused, most))
            try:
                journal.record(row(3))
                break
            except JournalError:
                refused += 1
            assert ahead(path).stat().st_size == size, refused
            if refused % 8 == 0:  # which opens SQLite anew
                resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
                assert not journal.holds(3, row(3).digest)
            assert (journal.latest(), journal.high_water) == (row(2), 2)
            try:
                journal.add_event(event(9))
            except JournalError:
                pass
            else:  # an event may be shorter
                assert journal.events()[0] == event(9)
                size = ahead(path).stat().st_size
        print("refused", refused, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    for durable in (False, True):
        command = [sys.executable, "-c", textwrap.dedent(script), path, str(durable)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr
        with closing(Journal(path)) as journal:
            assert journal.latest() == row(3)
            assert journal.events()[-2:] == [event(2), event(1)]
        shutil.rmtree(path.parent)
        path.parent.mkdir()


def test_where_sqlite_has_no_room_what_waits_stays_and_is_read(path: Path) -> None:
    script = """
        import os, resource, signal, sys
        from pathlib import Path
        from tests.unit.owner.store.test_journal_ahead import Journal, JournalError, event, reload, row, seen
        path = Path(sys.argv[1])
        journal = Journal(path)
        reload(journal, 1)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
        for _ in range(2):
            try:
                journal.fold()
            except JournalError as error:
                print("refused", error, flush=True)
        assert (journal.latest(), journal.events()) == (row(1), [event(1)])
        assert journal.holds(1, row(1).digest)
        reload(journal, 2)
        assert [each.version for each in journal.events()] == [2, 1]
        journal.close()
        again = Journal(path)
        assert (again.latest(), again.totals()["total_reloads"]) == (row(2), 2)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        again.fold()
        reload(again, 3)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    command = [sys.executable, "-c", textwrap.dedent(script), path]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert done.stdout.count("refused the journal") == 2
    with closing(Journal(path)) as journal:
        assert journal.latest() == row(3)
        assert [each.version for each in journal.events()] == [3, 2, 1]
        assert journal.totals()["total_reloads"] == 3


def test_a_version_whose_flush_failed_and_that_can_not_be_cut_off_is_there_and_is_flushed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with closing(Journal(path, durable=True)) as journal:
        reload(journal, 1)
        monkeypatch.setattr(ahead_file, "_flush", fail)
        monkeypatch.setattr(os, "ftruncate", fail)
        with pytest.raises(JournalError):
            journal.record(row(2))
        monkeypatch.undo()
        flushed = []
        monkeypatch.setattr(Database, "flush", lambda database: flushed.append(database.path))
        assert journal.holds(2, row(2).digest)
        assert flushed == [path]
        assert in_sqlite(killed(path)) == ([(2,)], 1)


@pytest.mark.parametrize("call", ["record", "event"])
def test_a_version_whose_flush_failed_is_cut_off(path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    def fail(fd: int) -> None:
        monkeypatch.undo()
        raise OSError(errno.EIO, "Input/output error")

    with closing(Journal(path, durable=True)) as journal:
        reload(journal, 1)
        monkeypatch.setattr(ahead_file, "_flush", fail)
        with pytest.raises(JournalError):
            journal.record(row(2)) if call == "record" else journal.add_event(event(2))
        assert not journal.holds(2, row(2).digest)
        assert (journal.latest(), journal.events()) == (row(1), [event(1)])
        reload(journal, 2)
        with closing(Journal(killed(path))) as following:
            assert seen(following) == seen(journal)


# ---- flushes


def test_a_durable_reload_flushes_once_whatever_becomes_of_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushes = []
    with closing(Journal(path, durable=True)) as journal:
        reload(journal, 1)
        monkeypatch.setattr(ahead_file, "_flush", flushes.append)
        for version, expected in ((2, 1), (0, 2), (0, 3), (3, 4)):
            if version:
                journal.record(row(version))
            journal.add_event(event(version))
            assert len(flushes) == expected
    with closing(Journal(path.with_name("processes"))) as journal:
        reload(journal, 1)
        assert len(flushes) == 4


# ---- how much may wait


def test_what_the_file_has_no_room_for_goes_into_sqlite_with_all_that_waits(path: Path) -> None:
    with closing(Journal(path)) as journal:
        reload(journal, 1)
        journal.record(row(2, os.urandom(2 << 20)), StateRow(2, b"refused"))
        assert ahead(path).stat().st_size == 0
        assert in_sqlite(killed(path)) == ([(2,)], 1)
        reload(journal, 3)
        with closing(Journal(killed(path, "again"))) as following:
            assert seen(following) == seen(journal)


def test_no_more_than_so_many_entries_wait(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead_file, "_MOST_ENTRIES", 4)
    with closing(Journal(path, history_limit=3)) as journal:
        for version in range(1, 20):
            reload(journal, version)
            assert len(journal._waiting.events) <= 4
            assert [each.version for each in journal.events()] == [*range(version, max(0, version - 3), -1)]
            assert journal.totals()["total_reloads"] == version


def test_where_there_is_no_room_anywhere_a_version_is_refused_and_not_there(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ahead_file, "_MOST_ENTRIES", 2)
    with closing(Journal(path)) as journal:
        reload(journal, 1)
        full = "CREATE TRIGGER full BEFORE INSERT ON newest BEGIN SELECT RAISE(FAIL, 'the disk is full'); END"
        journal._database.ask(full)
        with pytest.raises(JournalError, match="Free some space"):
            journal.record(row(2))
        assert not journal.holds(2, row(2).digest)
        assert seen(journal)[0] == row(1)
        with pytest.raises(JournalError):
            journal.add_event(event(2))
        assert journal.events() == [event(1)]
        journal._database.ask("DROP TRIGGER full")
        reload(journal, 2)
        assert [each.version for each in journal.events()] == [2, 1]


# ---- other versions of confcast


def test_a_journal_of_a_confcast_that_knows_no_ahead_file_is_opened_and_goes_on(path: Path) -> None:
    with closing(Journal(path)) as journal:
        reload(journal, 1)
    with closing(sqlite3.connect(path)) as raw:
        for table in ("folded", "state"):
            raw.execute(f"DROP TABLE {table}")
        raw.commit()
    with closing(Journal(path)) as journal:
        assert journal.latest() == row(1)
        reload(journal, 2)
    assert in_sqlite(path) == ([(2,)], 2)


def test_an_older_confcast_sees_all_after_a_clean_close(path: Path) -> None:
    with closing(Journal(path)) as journal:
        reload(journal, 1)
        reload(journal, 2)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    assert in_sqlite(path) == ([(2,)], 2)


def test_a_version_that_an_older_confcast_has_passed_over_does_not_come_back(path: Path) -> None:
    """It read no ahead file after a kill, and committed other content under the same number."""
    with closing(Journal(path)) as journal:
        reload(journal, 1)
        journal.fold()
        reload(journal, 2)
        following = killed(path)
    with closing(sqlite3.connect(following)) as raw:
        raw.execute("UPDATE newest SET version = 2, digest = x'00'")
        raw.commit()
    with closing(Journal(following)) as journal:
        latest = journal.latest()
        assert latest is not None
        assert (latest.version, latest.digest, journal.high_water) == (2, b"\0", 2)
        assert [each.version for each in journal.events()] == [2, 1]


@pytest.mark.parametrize(("kind", "body"), [(9, b""), (1, b"\xc1"), (2, b"\x80")])
def test_an_entry_of_a_newer_confcast_is_refused_in_words_and_left_alone(path: Path, kind: int, body: bytes) -> None:
    with closing(Journal(path)):
        pass
    rest = struct.pack("<IQB", len(body), 1, kind) + body
    ahead(path).write_bytes(struct.pack("<I", zlib.crc32(rest)) + rest)
    content = ahead(path).read_bytes()
    with pytest.raises(JournalError, match=r"an entry that this version of confcast can't read .* Run the version"):
        Journal(path)
    assert ahead(path).read_bytes() == content


# ---- deleted while in use


def test_an_ahead_file_that_was_deleted_is_made_anew_and_nothing_is_lost(path: Path) -> None:
    with closing(Journal(path)) as journal:
        reload(journal, 1)
        ahead(path).unlink()
        journal.renew_ahead()
        with closing(Journal(killed(path, "first"))) as following:
            assert seen(following) == seen(journal)
        reload(journal, 2)
        with closing(Journal(killed(path, "second"))) as following:
            assert seen(following) == seen(journal)


def test_the_journal_that_takes_its_place_keeps_its_own(path: Path) -> None:
    former = Journal(path)
    reload(former, 1)
    path.unlink()
    with closing(Journal(path)) as journal:
        assert journal.latest() is None
        reload(journal, 2)
        former.close()
        assert journal.can_append()
        with closing(Journal(killed(path))) as following:
            assert seen(following) == seen(journal)


# ---- copies


def test_a_copy_has_what_waits_and_nothing_of_a_former_one_at_its_path(path: Path, tmp_path: Path) -> None:
    there = tmp_path / "there"
    with closing(Journal(there)) as former:
        reload(former, 9)
        shutil.copyfile(ahead(there), tmp_path / "stale")
    shutil.copyfile(tmp_path / "stale", ahead(there))
    with closing(Journal(path)) as journal:
        reload(journal, 1)
        journal.copy_to(there)
        assert in_sqlite(there) == ([(1,)], 1)
        with closing(Journal(there)) as copy:
            assert seen(copy) == seen(journal)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["home", "stale", "there"]


def test_a_copy_that_fails_leaves_nothing(path: Path, tmp_path: Path) -> None:
    """On a full disk, half a file would keep it full."""
    with closing(Journal(path)) as journal:
        reload(journal, 1)

        def full(ask: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        with pytest.raises(OSError, match="No space left"):
            journal._database.copy_to(tmp_path / "there", full)
    assert [entry.name for entry in tmp_path.iterdir()] == ["home"]


def test_a_journal_is_handed_over_with_what_waits_and_nothing_that_an_older_one_left_is_added(
    path: Path, tmp_path: Path
) -> None:
    """Nothing is folded for it: the state folder may be on a full disk, and the runtime directory in memory."""
    with closing(Journal(path)) as journal:
        reload(journal, 1)
        handover.write_copy(journal, 1, tmp_path)
        assert in_sqlite(killed(path)) == ([], 0)
        before = seen(journal)
    following = tmp_path / "next"
    with closing(Journal(tmp_path / "older")) as journal:
        for version in range(1, 10):
            reload(journal, version)
        shutil.copyfile(ahead(tmp_path / "older"), ahead(following))
    handover.take_over(tmp_path, following)
    with closing(Journal(following)) as journal:
        assert seen(journal) == before


def test_a_journal_moves_with_what_waits(path: Path, tmp_path: Path) -> None:
    there = tmp_path / "there"
    with closing(Journal(there)) as journal:
        reload(journal, 9)
    with closing(Journal(path)) as journal:
        reload(journal, 1)
        handover.move_journal(journal, there)
    handover.delete_journal(path)
    assert list(path.parent.iterdir()) == []
    with closing(Journal(there)) as journal:
        assert (journal.latest(), journal.high_water) == (row(1), 9)
