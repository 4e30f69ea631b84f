"""The versions that the journal keeps: each content once, no more than asked for, and damage costs one version only."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import zlib
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from confcast.errors import Problem
from confcast.owner.store import ahead_file, handover
from confcast.owner.store.entries import VersionRow
from confcast.owner.store.journal import Journal, JournalError, StateRow
from confcast.owner.store.kept_versions import KeptVersion, before
from confcast.wire.messages import ReloadEvent, ReloadResult, Who, WorkerStatus

ROOT = Path(__file__).parents[4]
"""Where these tests can be imported from."""

SUCCESS, PARTIAL, UNCHANGED, REJECTED = (
    ReloadResult.SUCCESS,
    ReloadResult.PARTIAL,
    ReloadResult.UNCHANGED,
    ReloadResult.REJECTED,
)
CALLER = Who(1000, 77, "confcast reload")
LATE, DECLINED = WorkerStatus(7, 1, "late"), WorkerStatus(8, 1, "declined", "no")


def row(version: int, payload: bytes = b"", undoes: int = 0) -> VersionRow:
    payload = payload or b"content %d" % version
    digest = zlib.crc32(payload).to_bytes(16, "big")
    who, reason = (CALLER, f"reason {version}") if version % 2 else (None, "")
    origin = "undo" if undoes else ("call" if who else "watch")
    return VersionRow(version, digest, b"s" * 16, payload, 1700000000.0 + version, origin, who, reason, undoes)


def event(version: int, result: ReloadResult = SUCCESS, previous: int | None = None, **more) -> ReloadEvent:
    before = version - 1 if previous is None else previous
    return ReloadEvent(timestamp=1.0, result=result, version=version, previous_version=before, **more)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home" / "journal"


def ahead(path: Path) -> Path:
    return Path(f"{path}-ahead")


def reload(journal: Journal, version: int, payload: bytes = b"") -> None:
    journal.record(row(version, payload))
    journal.add_event(event(version))


def listed(journal: Journal) -> list[int]:
    return [each.version for each in journal.versions()]


def seen(journal: Journal) -> list[tuple[KeptVersion, VersionRow, bool]]:
    """All that can be read of versions."""
    kept = journal.versions()
    return [(each, journal.version(each.version), journal.has_content(each.digest)) for each in kept]


def killed(path: Path, to: str = "killed") -> Path:
    """What the next owner finds if this one dies now."""
    return shutil.copytree(path.parent, path.parent.with_name(to)) / path.name


def damage(path: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute(statement, values)


def rows_of(path: Path, query: str) -> list[tuple]:
    with closing(sqlite3.connect(path)) as raw:
        return raw.execute(query).fetchall()


# ---- what is kept


def test_a_version_is_listed_with_its_caller_and_given_with_its_content(path: Path) -> None:
    with closing(Journal(path)) as journal:
        assert journal.versions() == []
        reload(journal, 1)
        reload(journal, 2)
        expected = [
            KeptVersion(2, row(2).digest, b"s" * 16, 1700000002.0, "watch", None, "", 0, "success", True),
            KeptVersion(1, row(1).digest, b"s" * 16, 1700000001.0, "call", CALLER, "reason 1", 0, "success", True),
        ]
        for _ in range(2):
            assert journal.versions() == expected
            assert journal.versions(1) == expected[:1]
            assert journal.versions(0) == journal.versions(-1) == []
            assert [journal.version(number) for number in (1, 2)] == [row(1), row(2)]
            assert journal.latest() == row(2)
            journal.fold()
    with closing(Journal(path)) as journal:
        assert (journal.versions(), journal.version(1), journal.latest()) == (expected, row(1), row(2))


@pytest.mark.parametrize("seed", range(20))
def test_what_waits_reads_as_what_was_taken_in(tmp_path: Path, seed: int) -> None:
    """The same calls on two journals, one of which folds all the time, and the other only at some of them."""
    chance = random.Random(seed)
    keep = chance.choice([1, 2, 5, 50])
    paths = [tmp_path / "folds", tmp_path / "waits"]
    folds, waits = (Journal(path, keep_versions=keep) for path in paths)
    version = 0
    for _ in range(60):
        if chance.random() < 0.5:
            version += chance.choice([1, 1, 3])
            added = row(version, b"content %d" % chance.randrange(4), chance.choice([0, 0, 0, max(0, version - 1)]))
            folds.record(added)
            waits.record(added)
        else:
            of = chance.choice([version, version, max(0, version - 1)])
            lagging = chance.choice([[], [], [LATE], [DECLINED]])
            happened = event(of, chance.choice([*ReloadResult]), chance.choice([of, of - 1]), lagging=lagging)
            folds.add_event(happened)
            waits.add_event(happened)
        if chance.random() < 0.1:
            waits.close()
            waits = Journal(paths[1], keep_versions=keep)
        folds.fold()
        assert seen(waits) == seen(folds)
        assert waits.latest() == folds.latest()
        assert waits.versions(2) == folds.versions(2)
    for journal in (folds, waits):
        journal.close()
    for query in ("SELECT * FROM kept ORDER BY version", "SELECT digest FROM content ORDER BY digest"):
        assert rows_of(paths[0], query) == rows_of(paths[1], query)


def test_two_versions_with_one_content_have_it_once(path: Path) -> None:
    with closing(Journal(path)) as journal:
        for version in range(1, 7):
            reload(journal, version, b"A" if version % 2 else b"".join([b"B"]))
        waiting = journal._waiting
        assert len({id(each.payload) for each in waiting.versions}) == len(waiting.payloads) == 2
    assert len(rows_of(path, "SELECT * FROM content")) == 2
    with closing(Journal(path)) as journal:
        assert [journal.version(number).payload for number in range(1, 7)] == [b"A", b"B"] * 3


def test_what_the_ahead_file_gives_back_has_one_content_once(path: Path) -> None:
    with closing(Journal(path)) as journal:
        for version in range(1, 7):
            reload(journal, version, b"A" if version % 2 else b"B")
        following = killed(path)
    with closing(Journal(following)) as journal:
        assert len({id(each.payload) for each in journal._waiting.versions}) == 2


# ---- how many


@pytest.mark.parametrize("keep", [1, 3])
def test_the_last_ones_are_kept_and_the_committed_one_always(path: Path, keep: int) -> None:
    with closing(Journal(path, keep_versions=keep)) as journal:
        for version in range(1, 9):
            reload(journal, version)
            assert listed(journal) == [*range(version, max(0, version - keep), -1)]
            if version % 3 == 0:
                journal.fold()
        with pytest.raises(JournalError, match=rf"version 2 .* is not kept: the last {keep} are \(keep_versions\)"):
            journal.version(2)
        with pytest.raises(JournalError, match=r"version 9 in the journal .* is not kept: the newest is version 8$"):
            journal.version(9)
        assert journal.version(8) == row(8)
    assert [len(rows_of(path, f"SELECT * FROM {table}")) for table in ("kept", "content")] == [keep, keep]


def test_a_smaller_number_holds_at_once_and_nothing_of_the_others_is_left_after_the_next_fold(path: Path) -> None:
    with closing(Journal(path)) as journal:
        for version in range(1, 6):
            reload(journal, version)
    with closing(Journal(path, keep_versions=2)) as journal:
        assert listed(journal) == [5, 4]
        reload(journal, 6)
    assert rows_of(path, "SELECT version FROM kept") == [(5,), (6,)]


def test_what_is_pruned_is_overwritten(path: Path) -> None:
    secrets = [b"secret %d " % number + bytes([65 + number]) * 9000 for number in range(4)]
    with closing(Journal(path, keep_versions=2)) as journal:
        for number, secret in enumerate(secrets):
            reload(journal, number + 1, secret)
            journal.fold()
        journal.copy_to(path.with_name("copy"))
    for file in (path, path.with_name("copy")):
        content = file.read_bytes()
        found = [b"secret %d" % number in content or bytes([65 + number]) * 500 in content for number in range(4)]
        assert found == [False, False, True, True], file.name
    assert sorted(each.name for each in path.parent.iterdir()) == ["copy", "journal"]


def size(path: Path) -> int:
    """The bytes of the journal and of all files beside it."""
    return sum(each.stat().st_size for each in path.parent.iterdir())


@pytest.mark.parametrize("rests", [1, 7, 10_000])
def test_the_files_stop_growing_at_the_contents_and_a_mebibyte(path: Path, rests: int) -> None:
    """Whether the owner is idle after each reload, after some, or after none."""
    sizes = []
    with closing(Journal(path)) as journal:
        for version in range(1, 601):
            reload(journal, version, os.urandom(10_000))
            if version % rests == 0 or version % 200 == 0:
                journal.fold()
            if version % 200 == 0:
                sizes.append(size(path))
    assert max(sizes) < 50 * 10_000 + 1024 * 1024
    assert max(sizes) - min(sizes) < 512 * 1024, "the log"


def test_the_files_shrink_when_the_contents_do(path: Path) -> None:
    with closing(Journal(path, keep_versions=5)) as journal:
        for version in range(1, 11):
            reload(journal, version, os.urandom(1_000_000))
            journal.fold()
        assert 5_000_000 < size(path) < 7_500_000
        for version in range(11, 17):
            reload(journal, version)
            journal.fold()
        assert size(path) < 2_000_000
        journal.copy_to(path.with_name("copy"))
        assert path.with_name("copy").stat().st_size < 1024 * 1024


@pytest.mark.parametrize("keep", [0, -1])
def test_no_version_at_all_can_not_be_kept(path: Path, keep: int) -> None:
    with pytest.raises(ValueError, match="keep_versions must be 1 or more"):
        Journal(path, keep_versions=keep)


# ---- verdicts

VERDICTS = [
    ([event(2)], "success", True),
    ([event(2, PARTIAL, lagging=[LATE])], "partial", True),
    ([event(2, PARTIAL, lagging=[DECLINED], problems=[Problem("", "no")])], "partial", False),
    ([event(2, PARTIAL, lagging=[LATE, DECLINED])], "partial", False),
    # asked again, and late now: the outcome still has its reason
    ([event(2, PARTIAL, lagging=[LATE], problems=[Problem("", "no")])], "partial", False),
    # declined by one that has died, or applied it, before the barrier's end
    ([event(2, problems=[Problem("", "no", "worker 8, earlier")])], "success", False),
    # a refusal after the barrier
    ([event(2), event(2, PARTIAL, 2, origin="late", lagging=[DECLINED])], "success", False),
    ([event(2), event(2, PARTIAL, 2, origin="late", lagging=[DECLINED]), event(2, UNCHANGED, 2)], "success", False),
    ([event(2), event(2, UNCHANGED, 2, lagging=[DECLINED])], "success", False),
    # an owner that died during the barrier: the next one's load closes it
    ([event(2, UNCHANGED, 2)], "success", True),
    ([event(2, UNCHANGED, 2, lagging=[LATE])], "partial", True),
    ([event(2, REJECTED, 2, lagging=[DECLINED])], "partial", False),
    # what was refused says nothing of what runs
    ([event(2, REJECTED, 2), event(2, ReloadResult.VALIDATION_FAILED, 2, problems=[Problem("", "no")])], "", False),
    ([event(2), event(2, REJECTED, 2, lagging=[LATE], problems=[Problem("", "no")])], "success", True),
    ([event(2, ReloadResult.IO_ERROR, 2), event(0, REJECTED, 0)], "", False),
    # what an undo has put back is judged by its own barrier
    ([event(2, REJECTED, 0, problems=[Problem("", "nobody runs version 1")])], "success", True),
    ([event(2, REJECTED, 0, lagging=[DECLINED])], "partial", False),
]


@pytest.mark.parametrize(("events", "verdict", "good"), VERDICTS)
@pytest.mark.parametrize("folds", [False, True])
def test_a_verdict_is_what_the_events_say(
    path: Path, events: list[ReloadEvent], verdict: str, good: bool, folds: bool
) -> None:
    with closing(Journal(path)) as journal:
        journal.record(row(1))
        journal.record(row(2))
        for each in events:
            if folds:
                journal.fold()
            journal.add_event(each)
        newest, before = journal.versions()
        assert (newest.verdict, newest.good) == (verdict, good)
        assert (before.verdict, before.good) == ("", False)
        journal.clear_events()
        assert journal.versions() == [newest, before], "the history may be emptied, and the verdicts stay"


@pytest.mark.parametrize("folds", [False, True])
def test_an_undone_version_is_rejected_in_the_write_that_undoes_it(path: Path, folds: bool) -> None:
    with closing(Journal(path)) as journal:
        reload(journal, 1, b"A")
        reload(journal, 2, b"B")
        if folds:
            journal.fold()
        journal.record(row(3, b"A", undoes=2), StateRow(3, b"refused"))
        following = killed(path)
        journal.add_event(event(3, REJECTED, 1))
        assert [(each.verdict, each.good, each.undoes) for each in journal.versions()] == [
            ("success", True, 2),
            ("rejected", False, 0),
            ("success", True, 0),
        ]
    with closing(Journal(following)) as journal:
        assert [(each.verdict, each.good) for each in journal.versions()[:2]] == [("", False), ("rejected", False)]


# ---- damage


@pytest.fixture
def written(path: Path) -> Path:
    """A journal with three versions, closed; the last one is committed."""
    with closing(Journal(path)) as journal:
        for version in (1, 2, 3):
            reload(journal, version)
    return path


def test_a_row_with_any_bit_flipped_costs_its_own_version(written: Path) -> None:
    ((body,),) = rows_of(written, "SELECT body FROM kept WHERE version = 2")
    with closing(Journal(written)) as journal:
        for bit in range(len(body) * 8):
            torn = bytearray(body)
            torn[bit // 8] ^= 1 << bit % 8
            journal._ask("UPDATE kept SET body = ? WHERE version = 2", (bytes(torn),))
            assert listed(journal) == [3, 1], bit
            with pytest.raises(JournalError, match=f"version 2 in the journal {written} is damaged"):
                journal.version(2)
        journal._ask("UPDATE kept SET body = ? WHERE version = 2", (body,))
        assert seen(journal)[1][1] == row(2)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE kept SET checksum = checksum + 1 WHERE version = 2",
        "UPDATE kept SET checksum = 'x' WHERE version = 2",
        "UPDATE kept SET digest = x'00' WHERE version = 2",
        "UPDATE kept SET schema = x'00' WHERE version = 2",
        "UPDATE kept SET body = 'text' WHERE version = 2",
        "UPDATE kept SET body = CAST(x'ff' AS TEXT) WHERE version = 2",
        "UPDATE kept SET body = 7 WHERE version = 2",
        "UPDATE kept SET body = (SELECT body FROM kept WHERE version = 1) WHERE version = 2",
        "UPDATE kept SET digest = CAST(x'ff' AS TEXT) WHERE version = 2",
    ],
)
def test_a_torn_row_is_said_once_left_out_and_stops_nothing(
    written: Path, statement: str, caplog: pytest.LogCaptureFixture
) -> None:
    damage(written, statement)
    with closing(Journal(written)) as journal, caplog.at_level(logging.WARNING, "confcast.journal"):
        for _ in range(3):
            assert listed(journal) == [3, 1]
        assert len(caplog.messages) == 1
        assert f"in the journal {written}, " in caplog.messages[0]
        with pytest.raises(JournalError, match=r"version 2 .* is damaged"):
            journal.version(2)
        journal.add_event(event(2, PARTIAL, 2, origin="late", lagging=[DECLINED]))
        reload(journal, 4)
        journal.fold()
        assert listed(journal) == [4, 3, 1]
        assert journal.version(1) == row(1)


def test_of_the_committed_version_enough_is_left_when_its_row_is_torn(written: Path) -> None:
    damage(written, "UPDATE kept SET body = x'00' WHERE version = 3")
    with closing(Journal(written)) as journal:
        assert journal.versions()[0] == KeptVersion(3, row(3).digest, b"s" * 16, 1700000003.0)
        assert listed(journal) == [3, 2, 1]
        latest = journal.latest()
        assert latest is not None
        assert (latest.version, latest.payload) == (3, b"content 3")
        assert journal.version(3) == latest


@pytest.mark.parametrize("change", ["digest = 7", "timestamp = 'soon'", "schema = 'text'"])
def test_unless_that_is_damaged_too(written: Path, change: str) -> None:
    damage(written, "DELETE FROM kept WHERE version = 3")
    damage(written, f"UPDATE newest SET {change}")
    with closing(Journal(written)) as journal:
        assert listed(journal) == [2, 1]
        with pytest.raises(JournalError, match=r"version 3 .* is damaged"):
            journal.version(3)


@pytest.mark.parametrize(
    "change", ["payload = zeroblob(9)", "payload = 'content 2'", "checksum = checksum + 1", "payload = 7"]
)
def test_a_torn_content_is_no_version_to_go_back_to(written: Path, change: str) -> None:
    damage(written, f"UPDATE content SET {change} WHERE digest = ?", row(2).digest)
    with closing(Journal(written)) as journal:
        assert listed(journal) == [3, 2, 1]
        assert [journal.has_content(row(number).digest) for number in (1, 2, 3)] == [True, False, True]
        with pytest.raises(JournalError, match=r"version 2 .* is damaged: its content is not what was written"):
            journal.version(2)
        assert journal.version(1) == row(1)


@pytest.mark.parametrize("change", ["payload = zeroblob(9)", "checksum = checksum + 1"])
def test_a_torn_content_is_whole_again_once_a_version_brings_it(written: Path, change: str) -> None:
    damage(written, f"UPDATE content SET {change} WHERE digest = ?", row(2).digest)
    with closing(Journal(written)) as journal:
        reload(journal, 4, b"content 2")
        reload(journal, 5)
        journal.fold()
        assert journal.has_content(row(2).digest)
        assert journal.version(2) == row(2)


def test_a_content_that_is_gone_is_said_and_the_committed_one_has_a_second_copy(written: Path) -> None:
    damage(written, "DELETE FROM content")
    with closing(Journal(written)) as journal:
        assert not journal.has_content(row(2).digest)
        with pytest.raises(JournalError, match=r"version 2 .* its content is gone"):
            journal.version(2)
        assert journal.version(3) == row(3)


def test_a_long_content_is_not_read_for_a_listing_and_its_damage_is_found_when_it_is_asked_for(path: Path) -> None:
    long = bytes(300_000)
    with closing(Journal(path)) as journal:
        reload(journal, 1, long)
        reload(journal, 2)
        journal.fold()
        digest = row(1, long).digest
        journal._ask("UPDATE content SET payload = zeroblob(299999) WHERE digest = ?", (digest,))
        assert journal.has_content(digest)
        with pytest.raises(JournalError, match="is not what was written"):
            journal.version(1)


@pytest.mark.parametrize("seed", range(40))
def test_a_damaged_page_raises_nothing_but_a_journal_error(written: Path, seed: int) -> None:
    chance = random.Random(seed)
    content = bytearray(written.read_bytes())
    begin = content.find(b"reason 1") // 4096 * 4096
    for _ in range(4):
        content[chance.randrange(begin, begin + 4096)] = chance.randrange(256)
    written.write_bytes(content)
    with contextlib.suppress(JournalError), closing(Journal(written)) as journal:
        for each in journal.versions():
            with contextlib.suppress(JournalError):
                found = journal.version(each.version)
                if found.version != 3:  # of the committed one the payload alone is a must
                    assert found == row(each.version)


# ---- deaths and a full disk


def test_of_a_last_write_that_was_cut_at_any_byte_the_versions_before_it_are_left(path: Path) -> None:
    with closing(Journal(path)) as journal:
        reload(journal, 1)
        journal.fold()
        reload(journal, 2)
        whole = ahead(path).stat().st_size
        journal.record(row(3, undoes=2), StateRow(3, b"refused"))
        content = ahead(path).read_bytes()
        following, before = killed(path), killed(path, "before").parent
    for size in range(whole, len(content) + 1):
        ahead(following).write_bytes(content[:size])
        with closing(Journal(following)) as journal:
            there = size == len(content)
            assert listed(journal) == ([3, 2, 1] if there else [2, 1]), size
            assert journal.versions()[1 if there else 0].verdict == ("rejected" if there else "success")
        shutil.rmtree(following.parent)
        shutil.copytree(before, following.parent)


def test_an_owner_that_is_killed_at_any_statement_of_a_fold_loses_nothing(path: Path) -> None:
    script = """
        import os, signal, sys
        from pathlib import Path
        from tests.unit.owner.store.test_kept_versions import Journal, reload, row, event
        path, deadly = Path(sys.argv[1]), int(sys.argv[2])
        journal = Journal(path, keep_versions=2)
        reload(journal, 1)
        reload(journal, 2)
        journal.fold()
        reload(journal, 3)
        journal.record(row(4, undoes=3))
        count = 0
        def count_and_kill(statement):
            global count
            count += 1
            if count == deadly:
                os.kill(os.getpid(), signal.SIGKILL)
        journal._database._connection.set_trace_callback(count_and_kill)
        journal.fold()
        print("whole", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """
    expected = [("", 4), ("rejected", 3)]
    for deadly in (*range(1, 40, 4), 1000):
        command = [sys.executable, "-c", textwrap.dedent(script), path, str(deadly)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr
        for _ in range(2):
            with closing(Journal(path, keep_versions=2)) as journal:
                assert [(each.verdict, each.version) for each in journal.versions()] == expected, deadly
                assert [journal.version(number).payload for number in (4, 3)] == [b"content 4", b"content 3"]
        assert [entry.name for entry in path.parent.iterdir()] == [path.name]
        path.unlink()
    assert done.stdout == "whole\n"


def test_where_sqlite_has_no_room_the_versions_that_wait_are_read_with_the_others(path: Path) -> None:
    script = """
        import os, resource, signal, sys
        from pathlib import Path
        from tests.unit.owner.store.test_kept_versions import Journal, JournalError, listed, reload, row, seen
        path = Path(sys.argv[1])
        journal = Journal(path, keep_versions=3)
        reload(journal, 1)
        journal.fold()
        for version in (2, 3, 4):
            reload(journal, version, os.urandom(60_000))
        before = seen(journal)
        size = path.stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
        for _ in range(2):
            try:
                journal.fold()
                print("folded")
            except JournalError as error:
                print("refused", error, flush=True)
            assert seen(journal) == before
        assert listed(journal) == [4, 3, 2]
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        journal.fold()
        assert seen(journal) == before
        print("whole", flush=True)
    """
    command = [sys.executable, "-c", textwrap.dedent(script), path]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["refused", "refused", "whole"]


def test_what_the_ahead_file_has_no_room_for_goes_into_sqlite_with_all_that_waits(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ahead_file, "_MOST_ENTRIES", 4)
    with closing(Journal(path, keep_versions=3)) as journal:
        for version in range(1, 20):
            reload(journal, version)
            assert [each.good for each in journal.versions()] == [True] * min(3, version)
            assert journal.version(version) == row(version)


# ---- other builds of confcast

BEFORE = f"""
PRAGMA application_id={0x63666A31}; PRAGMA user_version=1; PRAGMA journal_mode=WAL;
CREATE TABLE newest(
    one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL, digest BLOB NOT NULL, schema BLOB NOT NULL,
    checksum INTEGER NOT NULL, timestamp REAL NOT NULL, payload BLOB NOT NULL);
CREATE TABLE floor(one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL);
CREATE TABLE roster(pid INTEGER PRIMARY KEY, started INTEGER NOT NULL);
CREATE TABLE event(id INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE totals(
    one INTEGER PRIMARY KEY CHECK (one = 1), successful INTEGER NOT NULL DEFAULT 0, failed INTEGER NOT NULL DEFAULT 0,
    suppressed INTEGER NOT NULL DEFAULT 0, last_time REAL, last_result TEXT, sum_ms REAL NOT NULL DEFAULT 0,
    max_ms REAL NOT NULL DEFAULT 0, owner_restarts INTEGER NOT NULL DEFAULT 0);
INSERT INTO floor VALUES (1, 0);
INSERT INTO totals(one) VALUES (1);
CREATE TABLE schemas(fingerprint BLOB PRIMARY KEY, fields BLOB NOT NULL);
INSERT INTO schemas VALUES (x'{(b"s" * 16).hex()}', x'80');
"""
"""What a build makes that kept the newest payload alone, in its own words."""


def commits_as_before(path: Path, version: int) -> None:
    """What that build does in `record()` and `add_event()`."""
    mine = row(version)
    damage(
        path,
        "INSERT OR REPLACE INTO newest VALUES (1, ?, ?, ?, ?, ?, ?)",
        *(mine.version, mine.digest, mine.schema, zlib.crc32(mine.payload), mine.timestamp, mine.payload),
    )
    happened = msgspec.msgpack.encode(event(version))
    damage(path, "INSERT INTO event(body) VALUES (?)", happened)


def without_cause(version: int) -> KeptVersion:
    mine = row(version)
    return KeptVersion(mine.version, mine.digest, mine.schema, mine.timestamp)


def test_a_journal_of_the_build_before_opens_goes_on_and_keeps_its_version(path: Path) -> None:
    with closing(sqlite3.connect(path)) as raw:
        raw.executescript(BEFORE)
    with closing(Journal(path)) as journal:
        assert (journal.versions(), journal.latest()) == ([], None)
    commits_as_before(path, 7)
    content = path.read_bytes()
    with closing(Journal(path)) as journal:
        assert journal.versions() == [without_cause(7)]
        assert journal.version(7).payload == b"content 7"
        assert journal.described(b"s" * 16) == {}
    assert path.read_bytes() == content, "reading writes nothing"
    with closing(Journal(path)) as journal:
        journal.add_event(event(7, UNCHANGED, 7))  # its first load
        reload(journal, 8)
        assert listed(journal) == [8, 7], "also before SQLite has taken in the new one"
        assert journal.version(7).payload == b"content 7"
    with closing(Journal(path)) as journal:
        good = msgspec.structs.replace(without_cause(7), verdict="success", good=True)
        assert journal.versions()[1] == good
        assert listed(journal) == [8, 7]
        assert journal.version(7).payload == b"content 7"


def test_the_build_before_goes_on_with_it_and_of_its_versions_the_last_one_is_kept(path: Path) -> None:
    with closing(Journal(path)) as journal:
        reload(journal, 1)
        reload(journal, 2)
    for version in (3, 4, 5):
        commits_as_before(path, version)
    with closing(Journal(path)) as journal:
        assert listed(journal) == [5, 2, 1]
        assert journal.versions()[0] == without_cause(5)
        assert journal.version(5).payload == b"content 5"
        reload(journal, 6)
    with closing(Journal(path)) as journal:
        assert listed(journal) == [6, 5, 2, 1]
        assert journal.version(5).payload == b"content 5"


class RowBefore(msgspec.Struct, frozen=True):
    """A version as the build before reads it in the ahead file."""

    version: int
    digest: bytes
    schema: bytes
    payload: bytes
    timestamp: float


class StateBefore(msgspec.Struct, frozen=True):
    """And its state."""

    undo: int = 0
    refused: bytes = b""


def test_the_build_before_reads_what_waits_and_what_it_has_left_is_read(path: Path) -> None:
    with closing(Journal(path)) as journal:
        journal.record(row(1))
        (entry,) = ahead_file.whole_entries(ahead(path).read_bytes())[0]
        before = msgspec.msgpack.Decoder(tuple[RowBefore, StateBefore]).decode(entry.body)[0]
        following = killed(path)
    assert (before.version, before.payload, before.timestamp) == (1, b"content 1", row(1).timestamp)
    file = ahead_file.AheadFile(following, durable=False)
    file.read()
    file.clear()
    file.append(ahead_file.Entry(1, 1, msgspec.msgpack.encode((before, StateBefore()))), flush=False)
    file.close()
    with closing(Journal(following)) as journal:
        assert journal.versions() == [without_cause(1)]
        assert journal.version(1).payload == b"content 1"


# ---- copies


def test_a_copy_and_a_move_have_all_of_it(path: Path, tmp_path: Path) -> None:
    with closing(Journal(path)) as journal:
        reload(journal, 1)
        journal.fold()
        reload(journal, 2)
        journal.record(row(3, undoes=2))
        before = seen(journal)
        handover.write_copy(journal, 3, tmp_path)
    following = tmp_path / "next"
    handover.take_over(tmp_path, following)
    with closing(Journal(following)) as journal:
        assert seen(journal) == before
        reload(journal, 4)
        before = seen(journal)
        with closing(Journal(tmp_path / "there")) as former:
            reload(former, 1, b"of the former one")
        handover.move_journal(journal, tmp_path / "there")
    with closing(Journal(tmp_path / "there")) as journal:
        assert seen(journal) == before


# ---- secrets


def test_no_repr_shows_a_content_or_its_digest() -> None:
    mine = row(1, b"sentinel")
    shown = repr(mine) + repr(mine.without_payload())
    assert "sentinel" not in shown
    assert repr(mine.digest) not in shown


# ---- the way back


def kept(version: int, content: bytes, *, good: bool = True, origin: str = "call", restores: int = 0) -> KeptVersion:
    return KeptVersion(version, content, b"s", 1.0, origin, verdict="success", good=good, restores=restores)


@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        ([], 0),
        ([kept(1, b"A")], 0),
        ([kept(2, b"B"), kept(1, b"A")], 1),
        ([kept(3, b"C"), kept(2, b"B", good=False), kept(1, b"A")], 1),
        # twice goes back two: 4 has the content of 2
        ([kept(4, b"B", origin="rollback", restores=2), kept(3, b"C"), kept(2, b"B"), kept(1, b"A")], 1),
        ([kept(5, b"B", origin="rollback", restores=4), kept(4, b"B", restores=2), kept(2, b"B"), kept(1, b"A")], 1),
        ([kept(4, b"B", origin="rollback", restores=2), kept(3, b"C"), kept(1, b"A")], 1),  # 2 is not kept any more
        # an edit that brought A back is no way back
        ([kept(3, b"A"), kept(2, b"B"), kept(1, b"A")], 2),
        # what was undone put 1 back, and nobody has gone back to it
        ([kept(3, b"A", origin="undo"), kept(2, b"B", good=False), kept(1, b"A")], 0),
        ([kept(4, b"B", origin="reissue"), kept(2, b"B"), kept(1, b"A")], 1),
        # a value was set for a time, and its time has ended: what runs is 2 again
        ([kept(4, b"B", origin="expiry"), kept(3, b"BC", origin="set"), kept(2, b"B"), kept(1, b"A")], 1),
        ([kept(4, b"D", origin="expiry"), kept(3, b"DC"), kept(2, b"B"), kept(1, b"A")], 3),  # an edit came between
        # the same content is no way back
        ([kept(3, b"B"), kept(2, b"B"), kept(1, b"A")], 1),
    ],
)
def test_the_newest_good_version_before_the_one_whose_content_runs(versions, expected):
    assert before(versions) == expected


def test_of_some_of_them_it_does_not_guess():
    """What was undone has put back a version that is not among these."""
    some = [kept(9, b"A", origin="undo"), kept(8, b"B", good=False), kept(7, b"C")]
    assert before(some, whole=False) == 0
    assert before([*some, kept(6, b"A"), kept(5, b"D")]) == 5
    assert before(some) == 7
