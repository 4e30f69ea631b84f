"""The journal on real files: what is committed stays, what is broken is said in words, what is counted adds up."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
import textwrap
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from confcast.owner.core.operator_state import Hold, OperatorState
from confcast.owner.store.ahead_file import AheadFile
from confcast.owner.store.journal import Journal, JournalError, StateRow, VersionRow
from confcast.owner.store.sqlite_file import Database
from confcast.wire.messages import Change, History, ReloadEvent, ReloadResult, Who, encode


def row(version: int, payload: bytes = b"payload") -> VersionRow:
    return VersionRow(version, b"d%015d" % version, b"s" * 16, payload, 1700000000.0 + version)


def event(version: int, result: ReloadResult = ReloadResult.SUCCESS, origin: str = "signal", ms: float = 1.0):
    return ReloadEvent(timestamp=1700000000.0 + version, result=result, origin=origin, version=version, duration_ms=ms)


def run(script: str, *arguments: str | Path, **options) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", textwrap.dedent(PRELUDE) + textwrap.dedent(script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, **options)


def descriptors() -> int:
    return len(list(Path("/dev/fd").iterdir()))


PRELUDE = """
    import os, sys
    from pathlib import Path
    from confcast.owner.store.journal import Journal, JournalError, VersionRow
    def row(version, payload=b"payload"):
        return VersionRow(version, b"d%015d" % version, b"s" * 16, payload, 1700000000.0 + version)
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.sqlite3"


@pytest.fixture(params=[False, True], ids=["processes", "machine"])
def durable(request):
    return request.param


# ---- versions


def test_a_new_journal_holds_nothing(path):
    with closing(Journal(path)) as journal:
        assert journal.latest() is None
        assert journal.high_water == 0
        assert not journal.holds(1, b"")
        assert journal.roster() == []
        assert journal.events() == []


def test_the_newest_version_is_read_back_by_the_next_owner(path, durable):
    with closing(Journal(path, durable=durable)) as journal:
        for version in (1, 2, 5):
            journal.record(row(version, b"x" * version))
    with closing(Journal(path, durable=durable)) as journal:
        assert journal.latest() == row(5, b"x" * 5)
        assert journal.high_water == 5


def test_an_earlier_confcast_finds_the_newest_payload_alone(path):
    with closing(Journal(path)) as journal:
        journal.record(row(1, b"old"))
        journal.record(row(2, b"new"))
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("SELECT payload FROM newest").fetchall() == [(b"new",)]


def test_a_number_that_is_not_above_the_committed_one_is_refused(path):
    with closing(Journal(path)) as journal:
        journal.record(row(2))
        for version in (1, 2):
            with pytest.raises(JournalError, match=f"version {version} can't follow version 2"):
                journal.record(row(version, b"other"))
        assert journal.latest() == row(2)


def test_a_retired_number_raises_the_high_water_for_good_and_never_lowers_it(path):
    with closing(Journal(path)) as journal:
        journal.record(row(3))
        journal.retire(7)
        journal.retire(5)
        assert journal.high_water == 7
    with closing(Journal(path)) as journal:
        assert journal.high_water == 7
        journal.record(row(8))
        assert journal.high_water == 8


def test_a_version_is_held_by_number_and_digest(path, durable):
    with closing(Journal(path, durable=durable)) as journal:
        journal.record(row(4))
        assert journal.holds(4, row(4).digest)
        assert not journal.holds(4, b"another digest..")
        assert not journal.holds(3, row(3).digest)
        journal.record(row(5))
        assert journal.latest() == row(5)


def test_a_large_payload_leaves_no_large_log(path):
    with closing(Journal(path)) as journal:
        journal.record(row(1, os.urandom(8 * 1024 * 1024)))
        for version in range(2, 5):
            journal.record(row(version))
            journal.fold()
        assert Path(f"{path}-wal").stat().st_size < 2 * 1024 * 1024


# ---- the death of processes


def test_no_recorded_version_is_lost_when_the_owner_is_killed(path):
    script = """
    journal = Journal(Path(sys.argv[1]))
    for version in range(1, 1_000_000):
        journal.record(row(version, os.urandom(300)))
        os.write(1, b"%d\\n" % version)
    """
    command = [sys.executable, "-c", textwrap.dedent(PRELUDE) + textwrap.dedent(script), str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as owner:
        lines = [owner.stdout.readline() for _ in range(700)]  # so that the log has been folded into the file
        owner.kill()
        told = int((lines + owner.stdout.readlines())[-1])
    with closing(Journal(path)) as journal:
        latest = journal.latest()
        assert latest.version in (told, told + 1)
        assert journal.holds(latest.version, latest.digest)
        assert journal.high_water == latest.version


@pytest.mark.parametrize("written", ["-ahead", "-wal"])
def test_what_reading_back_says_is_what_the_next_owner_finds(tmp_path, monkeypatch, written):
    """A flush that failed: the file on disk has a version of which the connection, or the memory, knows nothing."""
    if written == "-wal":
        monkeypatch.setattr(AheadFile, "has_room_for", lambda ahead, body: False)
    with closing(Journal(tmp_path / "first")) as journal:
        journal.record(row(1))
        shutil.copytree(tmp_path, tmp_path / "before")
        journal.record(row(2))
        with_two = (tmp_path / f"first{written}").read_bytes()
    folder = tmp_path / "before"
    with closing(Journal(folder / "first")) as journal:
        with (folder / f"first{written}").open("r+b") as log:
            log.write(with_two)
        there = journal.holds(2, row(2).digest)
        assert there or written == "-wal"
        killed = shutil.copytree(folder, tmp_path / "killed")
        assert journal.latest().version == (2 if there else 1)
    with closing(Journal(killed / "first")) as journal:
        assert journal.latest().version == (2 if there else 1)


@pytest.mark.parametrize(("number", "flushes"), [(1, 1), (2, 0)], ids=["there", "not there"])
def test_a_version_that_reading_back_finds_is_flushed_if_it_must_survive_the_machine(
    path, monkeypatch, durable, number, flushes
):
    flushed = []
    monkeypatch.setattr(Database, "flush", lambda database: flushed.append(database.path))
    with closing(Journal(path, durable=durable)) as journal:
        journal.record(row(1))
        journal.holds(number, row(number).digest)
    assert len(flushed) == (flushes if durable else 0)


def test_a_second_owner_is_refused_while_the_first_lives(path):
    with closing(Journal(path)):
        outcome = run(
            """
            try:
                Journal(Path(sys.argv[1]))
            except JournalError as error:
                print(error)
            """,
            path,
        )
    assert "Another process has it open" in outcome.stdout, outcome.stderr


def test_a_making_that_was_cut_short_is_taken_up_again(path):
    path.with_name(path.name + ".new").write_bytes(b"half a header")
    with closing(Journal(path)) as journal:
        journal.record(row(1))
    assert sorted(entry.name for entry in path.parent.iterdir()) == [path.name]


# ---- what is broken is said in words


@pytest.fixture
def written(path):
    """A journal of many pages, closed."""
    with closing(Journal(path)) as journal:
        journal.record(row(1, os.urandom(50_000)))
        for number in range(100):
            journal.add_event(event(number))
    return path


def test_an_empty_file_is_torn_and_its_log_is_kept(written):
    log = Path(f"{written}-wal")
    log.write_bytes(b"what was committed last")
    os.truncate(written, 0)
    with pytest.raises(JournalError, match="is torn: it is empty"):
        Journal(written)
    assert log.read_bytes() == b"what was committed last"


@pytest.mark.parametrize("size", [1, 50, 4096, 10_000, 20_480])
def test_a_file_that_was_cut_short_is_refused(written, size):
    os.truncate(written, size)
    with pytest.raises(JournalError, match=r"journal\.sqlite3"):
        Journal(written)


def test_a_file_of_garbage_is_refused_and_left_alone(path):
    path.write_bytes(b"garbage " * 1000)
    with pytest.raises(JournalError, match="not a database"):
        Journal(path)
    assert path.read_bytes() == b"garbage " * 1000


def test_another_programs_database_is_refused_and_left_alone(path):
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("CREATE TABLE theirs(x)")
        raw.commit()
    path.chmod(0o644)
    before = path.read_bytes()
    with pytest.raises(JournalError, match="no journal of confcast"):
        Journal(path)
    assert path.read_bytes() == before
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_a_journal_of_another_layout_is_refused(written):
    with closing(sqlite3.connect(written)) as raw:
        raw.execute("PRAGMA user_version=2")
    with pytest.raises(JournalError, match="has layout 2, and this version of confcast reads 1"):
        Journal(written)


def test_a_directory_is_refused_and_left_alone(path):
    path.mkdir(mode=0o755)
    with pytest.raises(JournalError, match="no regular file"):
        Journal(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o755


def test_a_payload_with_a_flipped_bit_is_not_served(written):
    with closing(sqlite3.connect(written)) as raw:
        raw.execute("UPDATE newest SET payload = zeroblob(50000)")
        raw.commit()
    with closing(Journal(written)) as journal, pytest.raises(JournalError, match="payload of version 1 is not what"):
        journal.latest()


def test_an_event_that_can_not_be_read_is_said(written):
    with closing(sqlite3.connect(written)) as raw:
        raw.execute("UPDATE event SET body = x'c1' WHERE id = 50")
        raw.commit()
    with closing(Journal(written)) as journal, pytest.raises(JournalError, match="an event can't be read"):
        journal.events()


def test_an_index_that_does_not_fit_its_table_is_torn(path):
    """What is read shows nothing; once the content is to be deleted, nothing can be written any more, for good."""
    with closing(Journal(path)) as journal:
        journal.record(row(1))
    content, digest = path.read_bytes(), row(1).digest
    at = content.rindex(digest)
    assert content.count(digest) == 5, "its versions, the entry beside them, the contents and their index"
    path.write_bytes(content[:at] + bytes(len(digest)) + content[at + len(digest) :])
    with pytest.raises(JournalError, match="is torn: row 1 missing from index"):
        Journal(path)


@pytest.mark.parametrize("seed", range(40))
def test_a_damaged_file_raises_nothing_but_a_journal_error(written, seed):
    """Python's module has errors of its own for what SQLite reads: a name that is no UTF-8, a row of another type."""
    chance = random.Random(seed)
    content = bytearray(written.read_bytes())
    begin = content.find(b"CREATE TABLE") if seed % 2 else 0
    for _ in range(3):
        content[chance.randrange(begin, begin + 8192)] = chance.randrange(256)
    written.write_bytes(content)
    with contextlib.suppress(JournalError), closing(Journal(written)) as journal:
        for use in every_use(journal):
            with contextlib.suppress(JournalError):
                use()


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE newest SET version = 'x'",
        "UPDATE newest SET payload = 'text'",
        "UPDATE newest SET digest = 7",
        "UPDATE newest SET timestamp = 'x'",
        "DELETE FROM floor",
        "UPDATE floor SET version = 1.5",
        "UPDATE event SET body = 'text'",
        "UPDATE event SET body = 7",
        "DELETE FROM totals",
        "UPDATE totals SET sum_ms = x'00'",
        "INSERT INTO roster VALUES (7, 'x')",
        "UPDATE newest SET digest = CAST(x'ff' AS TEXT)",
    ],
)
def test_a_row_of_another_type_is_a_torn_journal(written, damage):
    with closing(sqlite3.connect(written)) as raw:
        raw.execute(damage)
        raw.commit()
    errors = []
    try:
        with closing(Journal(written)) as journal:
            for use in every_use(journal):
                try:
                    use()
                except JournalError as error:
                    errors.append(error)
    except JournalError as error:
        errors.append(error)
    assert any("journal.sqlite3" in str(error) for error in errors)
    assert [str(error) for error in errors if "folder" in str(error)] == [], "nothing is wrong with it"


@pytest.mark.parametrize("number", [2**63, 2**64, -(2**63) - 1])
def test_a_number_that_the_file_has_no_room_for_is_a_journal_error(path, number):
    with closing(Journal(path, history_limit=2**70)) as journal:
        for use in (
            lambda: journal.retire(abs(number)),
            lambda: journal.add_member(number, 1),
            lambda: journal.holds(number, b""),
            lambda: journal.record(row(abs(number))),
        ):
            with pytest.raises(JournalError, match="used up: move it away"):
                use()
        journal.record(row(1))
        journal.add_event(event(1))
        assert journal.high_water == 1
        assert [each.version for each in journal.events(number)] == ([1] if number > 0 else [])


def every_use(journal: Journal):
    return (
        journal.latest,
        journal.events,
        journal.totals,
        journal.roster,
        lambda: journal.described(b"s" * 16),
        lambda: journal.holds(1, b""),
        lambda: journal.add_event(event(7)),
        lambda: journal.retire(journal.high_water + 1),
    )


def test_a_folder_that_does_not_exist_is_said(tmp_path):
    with pytest.raises(JournalError, match="must exist, and be writable"):
        Journal(tmp_path / "missing" / "journal")


def test_a_folder_that_can_only_be_read_is_said(tmp_path, written):
    """As another user where this one is root, for whom every folder is writable."""
    script = """
    if os.getuid() == 0:
        os.setgroups([]); os.setgid(65534); os.setuid(65534)
    for name in ("journal.sqlite3", "another"):
        try:
            Journal(Path(name))
        except JournalError as error:
            print(error)
    """
    written.chmod(0o444)
    tmp_path.chmod(0o555)
    try:
        outcome = run(script, cwd=tmp_path)
    finally:
        tmp_path.chmod(0o755)
    assert outcome.stdout.count("writable for this user") == 2, outcome.stderr


def test_reading_back_says_so_when_nobody_can_know(written):
    with closing(Journal(written)) as journal:
        written.write_bytes(b"")
        with pytest.raises(JournalError, match="is torn"):
            journal.holds(1, row(1).digest)


# ---- a full disk

FULL = """
    journal = Journal(path, durable=durable)
    journal.record(row(1))
    fill()
    version = 2
    try:
        while version < 10_000:
            journal.record(row(version, os.urandom(20_000)))
            version += 1
    except JournalError as error:
        print("refused:", error)
    print("there:", journal.holds(version, row(version).digest), journal.latest().version == version - 1)
    try:
        journal.retire(version)
    except JournalError:
        print("no room for the floor either")
    free()
    journal.retire(version)
    journal.record(row(version + 1))
    journal.close()
    again = Journal(path)
    print("after:", again.latest() == row(version + 1), again.high_water == version + 1)
    again.close()
"""


def assert_survived(outcome):
    assert "refused: the journal" in outcome.stdout, outcome.stderr
    assert "there: False True" in outcome.stdout, outcome.stderr
    assert "after: True True" in outcome.stdout, outcome.stderr


def test_a_limit_on_the_size_of_files_loses_nothing(path, durable):
    head = """
    import resource
    path, durable = Path(sys.argv[1]), sys.argv[2] == "True"
    def fill():
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.RLIM_INFINITY))
    def free():
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    """
    assert_survived(run(textwrap.dedent(head) + textwrap.dedent(FULL), path, str(durable)))


def test_a_full_disk_loses_nothing(tmp_path):
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", tmp_path], capture_output=True, check=False
    )
    if not mounted or mounted.returncode:
        pytest.skip("mounting a small tmpfs needs root")
    head = """
    path, durable = Path(sys.argv[1]) / "journal", False
    ballast = Path(sys.argv[1]) / "ballast"
    def fill():
        ballast.write_bytes(bytes(100_000))
    def free():
        ballast.unlink()
    """
    try:
        outcome = run(textwrap.dedent(head) + textwrap.dedent(FULL), tmp_path)
    finally:
        subprocess.run(["umount", tmp_path], check=True)
    assert_survived(outcome)
    assert "Free some space" in outcome.stdout


def test_a_disk_that_is_full_before_a_new_journal_is_whole_leaves_none(path):
    """SQLite's close says nothing of a log that it could not write into the file: renamed, that has no tables."""
    script = """
    import resource, sqlite3
    path, unlimited = Path(sys.argv[1]), resource.RLIM_INFINITY
    class Filling(sqlite3.Connection):
        def executescript(self, script):
            super().executescript(script)
            resource.setrlimit(resource.RLIMIT_FSIZE, (64, unlimited))
    connect = sqlite3.connect
    sqlite3.connect = lambda *given, **options: connect(*given, factory=Filling, **options)
    try:
        Journal(path)
    except JournalError as error:
        print("refused:", error)
    sqlite3.connect = connect
    resource.setrlimit(resource.RLIMIT_FSIZE, (unlimited, unlimited))
    print("left:", os.listdir(path.parent))
    Journal(path).close()
    """
    outcome = run(script, path)
    assert outcome.returncode == 0, outcome.stderr
    assert f"refused: the journal {path} can't be opened" in outcome.stdout
    assert "left: []" in outcome.stdout


# ---- the file


def test_the_files_are_for_their_owner_alone_whatever_the_umask(path):
    script = """
    os.umask(0)
    journal = Journal(Path(sys.argv[1]))
    journal.record(row(1))
    print({oct(entry.stat().st_mode & 0o777) for entry in Path(sys.argv[1]).parent.iterdir()})
    print(len(list(Path(sys.argv[1]).parent.iterdir())))
    """
    assert run(script, path).stdout == "{'0o600'}\n3\n"


def test_a_journal_that_others_may_read_is_made_private(written):
    written.chmod(0o644)
    with closing(Journal(written)):
        assert stat.S_IMODE(written.stat().st_mode) == 0o600


@pytest.mark.parametrize("missing", ["", "-ahead"])
def test_a_deleted_file_is_noticed(path, missing):
    with closing(Journal(path)) as journal:
        assert journal.in_place()
        assert journal.can_append()
        journal.record(row(1))
        assert journal.in_place()
        assert journal.can_append()
        Path(f"{path}{missing}").unlink()
        assert (journal.in_place(), journal.can_append()) == (bool(missing), not missing)


def test_before_the_first_entry_it_is_the_journal_that_must_be_there(path):
    with closing(Journal(path)) as journal:
        path.unlink()
        assert not journal.can_append()


def test_a_log_that_was_deleted_is_left_at_the_next_fold_and_nothing_is_lost(path, tmp_path, caplog):
    with closing(Journal(path)) as journal:
        journal.record(row(1))
        journal.fold()
        journal.add_member(100, 7)
        Path(f"{path}-wal").unlink()
        journal.add_member(200, 8)
        journal.record(row(2))
        journal.fold()
        assert "-wal was deleted while in use" in caplog.text
        killed = shutil.copytree(tmp_path, tmp_path / "killed")
        journal.record(row(3))
        journal.fold()
        assert caplog.text.count("-wal was deleted") == 1
    with closing(Journal(killed / path.name)) as journal:
        assert (journal.latest(), journal.roster()) == (row(2), [(100, 7), (200, 8)])


def test_a_deleted_or_replaced_folder_is_noticed(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    with closing(Journal(folder / "journal")) as journal:
        journal.record(row(1))
        shutil.rmtree(folder)
        assert not journal.in_place()
        folder.mkdir()
        with closing(Journal(folder / "journal")) as successor:
            assert not journal.in_place()
            assert successor.in_place()
            assert successor.latest() is None


def test_a_log_without_its_file_is_not_replayed_into_a_new_one(path, tmp_path):
    with closing(Journal(path)) as journal:
        journal.record(row(1))
        stale = {log: log.read_bytes() for log in (Path(f"{path}-wal"), Path(f"{path}-ahead"))}
    path.unlink()
    for log, content in stale.items():
        log.write_bytes(content)
    with closing(Journal(path)) as journal:
        assert journal.latest() is None


def test_closing_twice_is_harmless_and_leaves_one_file_and_no_descriptor(path):
    before = descriptors()
    journal = Journal(path)
    journal.record(row(1))
    journal.close()
    journal.close()
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    assert descriptors() == before


# ---- the roster


def test_the_roster_survives_and_a_recycled_pid_takes_the_place_of_the_older(path):
    with closing(Journal(path)) as journal:
        journal.add_member(300, 11)
        journal.add_member(100, 12)
        journal.add_member(200, 13)
        journal.add_member(100, 99)
        journal.remove_member(200)
        journal.remove_member(4711)
    with closing(Journal(path)) as journal:
        assert journal.roster() == [(100, 99), (300, 11)]


# ---- history and totals


def test_the_history_is_newest_first_and_keeps_to_its_limit(path):
    with closing(Journal(path, history_limit=3)) as journal:
        for number in range(1, 6):
            journal.add_event(event(number))
        assert [kept.version for kept in journal.events()] == [5, 4, 3]
        assert [kept.version for kept in journal.events(2)] == [5, 4]
        assert journal.events(0) == []
        assert len(journal.events(50)) == 3
        assert journal.totals()["total_reloads"] == 5


def test_no_more_of_the_history_is_given_than_an_answer_has_room_for(path, monkeypatch):
    def event(version):
        changes = [Change(f"features.{number:04}", True, False) for number in range(1000)]
        return ReloadEvent(timestamp=1.0, result=ReloadResult.SUCCESS, version=version, changes=changes)

    monkeypatch.setattr("confcast.owner.store.entries.MAX_FRAME", 70_000)
    with closing(Journal(path)) as journal:
        for version in range(1, 11):
            journal.add_event(event(version))
        given = journal.events()
        assert given == [event(10), event(9)]
        assert len(encode(History(1, given))) <= 70_000


def test_a_smaller_limit_holds_from_the_next_owner_on(path):
    with closing(Journal(path)) as journal:
        for number in range(1, 6):
            journal.add_event(event(number))
    with closing(Journal(path, history_limit=2)) as journal:
        assert [kept.version for kept in journal.events()] == [5, 4]
        journal.add_event(event(6))
    with closing(Journal(path)) as journal:
        assert [kept.version for kept in journal.events()] == [6, 5]


def test_a_limit_of_nothing_keeps_nothing_and_still_counts(path):
    with closing(Journal(path, history_limit=0)) as journal:
        journal.add_event(event(1))
        assert journal.events() == []
        assert journal.totals()["total_reloads"] == 1
    with pytest.raises(ValueError, match="history_limit must be 0 or more"):
        Journal(path, history_limit=-1)


def test_an_event_comes_back_as_it_was(path):
    whole = ReloadEvent(
        timestamp=1.5,
        result=ReloadResult.PARTIAL,
        origin="watch",
        version=3,
        previous_version=2,
        changes=[Change("a.b", 1, [None, 2.5, {"x": "y"}])],
        error_message="worker 5 did not answer",
        duration_ms=2.0,
        applied=[1, 2],
        notes=["unchanged: your edit is hidden"],
    )
    with closing(Journal(path)) as journal:
        journal.add_event(whole)
        assert journal.events() == [whole]


def test_an_event_without_notes_is_written_as_it_was_before_there_were_any(path):
    """Journals outlive the version of this package that wrote them."""
    former = {"timestamp": 1.5, "result": "unchanged", "version": 3}
    with closing(Journal(path)) as journal:
        journal._database.ask("INSERT INTO event(body) VALUES (?)", (msgspec.msgpack.encode(former),))
        (found,) = journal.events()
    assert (found.version, found.notes) == (3, [])
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(found)) == former


def test_what_can_not_be_taken_in_leaves_nothing_half_done_and_is_read_all_the_same(path):
    """A transaction that stayed open would take every later version with it when the owner dies."""
    with closing(Journal(path)) as journal:
        journal.record(row(1))
        journal._database.ask("CREATE TRIGGER full BEFORE UPDATE ON totals BEGIN SELECT RAISE(FAIL, 'no room'); END")
        journal.add_event(event(1))
        with pytest.raises(JournalError, match="no room"):
            journal.fold()
        journal.add_member(100, 7)
        journal.record(row(2))
        assert [each.version for each in journal.events()] == [1]
        assert journal.totals()["total_reloads"] == 1
    with closing(Journal(path)) as journal:
        assert (journal.latest(), journal.roster()) == (row(2), [(100, 7)])
        journal._database.ask("DROP TRIGGER full")
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("SELECT version FROM newest").fetchall() == [(2,)]
        assert raw.execute("SELECT count(*), (SELECT successful FROM totals) FROM event").fetchall() == [(1, 1)]


def test_the_totals_of_a_new_journal_are_nothing(path):
    with closing(Journal(path)) as journal:
        assert journal.totals() == {
            "total_reloads": 0,
            "successful_reloads": 0,
            "failed_reloads": 0,
            "suppressed": 0,
            "webhooks": [],
            "held_reloads": 0,
            "conflicts": 0,
            "last_reload_time": None,
            "last_reload_result": None,
            "mean_duration_ms": 0.0,
            "max_duration_ms": 0.0,
            "owner_restarts": 0,
        }


def test_the_totals_add_up_and_survive_clearing_and_the_owner(path):
    with closing(Journal(path)) as journal:
        journal.add_event(event(1, origin="start", ms=500.0))
        journal.add_event(event(2, ReloadResult.SUCCESS, ms=1.0))
        journal.add_event(event(2, ReloadResult.UNCHANGED, ms=2.0))
        journal.add_event(event(3, ReloadResult.PARTIAL, ms=9.0))
        journal.add_event(event(3, ReloadResult.REJECTED, ms=4.0))
        journal.add_event(event(5, ReloadResult.VALIDATION_FAILED, ms=4.0))
        journal.add_event(event(9, origin="reissue", ms=500.0))
        confirmed = event(9, origin="confirm", ms=500.0)
        journal.add_event(msgspec.structs.replace(confirmed, previous_version=9))  # nothing was loaded
        assert len(journal.events()) == 8
        journal.clear_events()
        journal.count_restart()
        assert journal.events() == []
    with closing(Journal(path)) as journal:
        assert journal.totals() == {
            "total_reloads": 5,
            "successful_reloads": 2,
            "failed_reloads": 2,
            "suppressed": 1,
            "webhooks": [],
            "held_reloads": 0,
            "conflicts": 0,
            "last_reload_time": 1700000005.0,
            "last_reload_result": "validation_failed",
            "mean_duration_ms": 4.0,
            "max_duration_ms": 9.0,
            "owner_restarts": 1,
        }


def test_what_was_held_and_what_expected_another_version_is_no_failure(path):
    for _ in range(2):  # the second time beside what SQLite has
        with closing(Journal(path)) as journal:
            journal.add_event(event(2, ReloadResult.HELD, ms=3.0))
            journal.add_event(event(2, ReloadResult.CONFLICT, origin="set", ms=0.0))
            journal.add_event(event(2, ReloadResult.CONFLICT, origin="rollback", ms=0.0))
            waiting = journal.totals()
            journal.fold()
            assert journal.totals() == waiting
    assert (waiting["total_reloads"], waiting["failed_reloads"], waiting["held_reloads"]) == (2, 0, 2)
    assert (waiting["conflicts"], waiting["mean_duration_ms"], waiting["last_reload_result"]) == (4, 3.0, "held")


def test_a_trial_is_counted_when_it_is_committed_or_undone(path):
    for _ in range(2):
        with closing(Journal(path)) as journal:
            journal.add_event(event(3, ReloadResult.ON_TRIAL, ms=3.0))
            waiting = journal.totals()
            assert (waiting["total_reloads"], waiting["last_reload_result"]) == (0, "on_trial")
            journal.fold()
            assert journal.totals() == waiting
    with closing(Journal(path)) as journal:
        journal.add_event(msgspec.structs.replace(event(3, origin="confirm", ms=1.0), previous_version=2))
        journal.add_event(event(5, ReloadResult.UNDONE, origin="undo"))
        totals = journal.totals()
    assert (totals["successful_reloads"], totals["failed_reloads"], totals["total_reloads"]) == (1, 1, 2)


def test_a_hundred_typical_events_take_no_more_than_50_kib(tmp_path):
    typical = ReloadEvent(
        timestamp=1763890000.123,
        result=ReloadResult.SUCCESS,
        origin="signal",
        version=123,
        previous_version=122,
        changes=[Change("memory.total_budget_mb", 3072, 4096), Change("projects.max_projects", 10, 12)],
        duration_ms=0.41,
        load_ms=0.12,
        stage_ms=0.1,
        journal_ms=0.02,
        commit_ms=0.11,
        applied=[40_001, 40_002, 40_003, 40_004],
    )
    sizes = []
    for count in (1, 101):  # the first one also makes the table of what is counted
        with closing(Journal(tmp_path / str(count), history_limit=count)) as journal:
            for _ in range(count):
                journal.add_event(typical)
        sizes.append((tmp_path / str(count)).stat().st_size)
    assert sizes[1] - sizes[0] <= 50 * 1024


# ---- the state beside the committed version


def test_a_version_and_the_state_beside_it_are_one_write(tmp_path):
    with closing(Journal(tmp_path / "journal")) as journal:
        journal.record(VersionRow(1, b"d", b"s", b"p", 1.0))
        journal.record(VersionRow(2, b"e", b"s", b"q", 1.0), StateRow(2, b"refused"))
        assert journal.state == StateRow(2, b"refused")
        with pytest.raises(JournalError):
            journal.record(VersionRow(2, b"f", b"s", b"r", 1.0), StateRow())
        assert journal.state == StateRow(2, b"refused")
    with closing(Journal(tmp_path / "journal")) as journal:
        assert journal.state == StateRow(2, b"refused")
        journal.forgive()
        assert journal.state == StateRow(2)
        journal.record(VersionRow(3, b"d", b"s", b"p", 1.0))
        assert journal.state == StateRow()
    with closing(Journal(tmp_path / "journal")) as journal:
        assert journal.state == StateRow()


def test_a_write_that_fails_in_its_second_half_leaves_neither(tmp_path, monkeypatch):
    with closing(Journal(tmp_path / "journal")) as journal:
        journal.record(VersionRow(1, b"d", b"s", b"p", 1.0))
        write = os.pwrite

        def no_room(*given: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

        def fill_the_disk(fd: int, content: bytes, at: int) -> int:
            monkeypatch.setattr(os, "pwrite", no_room)
            return write(fd, content[: len(content) // 2], at)

        monkeypatch.setattr(os, "pwrite", fill_the_disk)
        with pytest.raises(JournalError, match="Free some space"):
            journal.record(VersionRow(2, b"e", b"s", b"q", 1.0), StateRow(2, b"refused"))
        monkeypatch.undo()
        assert not journal.holds(2, b"e")
        assert (journal.latest().version, journal.state) == (1, StateRow())


# ---- what people have set


HELD = OperatorState(3, Hold(1, 1_700_000_000.0, Who(1000, 7, "confcast rollback"), "a bad night"), b"tried", b"layer")


def test_what_people_have_set_is_there_in_the_next_journal(tmp_path):
    with closing(Journal(tmp_path / "journal")) as journal:
        journal.record(row(1), StateRow(operator=OperatorState(2)))
        journal.record_state(StateRow(0, b"", HELD))
        assert journal.state == StateRow(0, b"", HELD)
    with closing(Journal(tmp_path / "journal")) as journal:
        assert journal.state == StateRow(0, b"", HELD)
        journal.forgive()
        assert journal.state.operator == HELD


@pytest.mark.parametrize("folds", ["before", "between", "never"])
def test_a_killed_owner_leaves_what_people_have_set(tmp_path, folds):
    """What waits in the ahead file may stand beside a version that SQLite has already."""
    journal = Journal(tmp_path / "journal")
    journal.record(row(1), StateRow(operator=OperatorState(2)))
    if folds == "before":
        journal.fold()
    journal.record_state(StateRow(0, b"", HELD))
    if folds == "between":
        journal.fold()
    shutil.copytree(tmp_path, tmp_path / "left")  # the files as a death leaves them
    journal.close()
    with closing(Journal(tmp_path / "left" / "journal")) as heir:
        assert (heir.latest(), heir.state) == (row(1), StateRow(0, b"", HELD))
        heir.fold()
        assert heir.state == StateRow(0, b"", HELD)
        heir.record(row(2), StateRow(operator=OperatorState(4)))
    with closing(Journal(tmp_path / "left" / "journal")) as heir:
        assert heir.state == StateRow(operator=OperatorState(4))


def test_a_write_of_it_that_failed_is_told_by_its_serial_number(tmp_path):
    with closing(Journal(tmp_path / "journal")) as journal:
        journal.record(row(1), StateRow(operator=OperatorState(2)))
        assert not journal.holds_state(3)
        assert journal.holds_state(2)
        journal.record_state(StateRow(0, b"", HELD))
        assert journal.holds_state(3)


def test_what_an_older_confcast_has_committed_since_has_no_hold(tmp_path):
    """It knows neither table, and has gone on without."""
    path = tmp_path / "journal"
    with closing(Journal(path)) as journal:
        journal.record(row(1), StateRow(operator=HELD))
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("UPDATE newest SET version = 2")
    with closing(Journal(path)) as journal:
        assert journal.state == StateRow()


def test_what_people_have_set_is_lost_loudly_where_its_row_is_damaged(tmp_path, caplog):
    path = tmp_path / "journal"
    with closing(Journal(path)) as journal:
        journal.record(row(1), StateRow(operator=HELD))
    with closing(sqlite3.connect(path)) as file, file:
        file.execute("UPDATE operator SET body = zeroblob(40)")
    with closing(Journal(path)) as journal:
        assert (journal.latest(), journal.state) == (row(1), StateRow())
    assert "what people have set beside version 1 is damaged" in caplog.text


def test_a_version_brings_back_what_it_was_made_from(tmp_path):
    made = msgspec.structs.replace(row(1), values=b"of the sources", layer=b"overrides", restores=7)
    with closing(Journal(tmp_path / "journal", keep_versions=2)) as journal:
        journal.record(made)
        assert journal.version(1) == journal.latest() == made
        journal.fold()
        assert journal.version(1) == journal.latest() == made
        journal.record(row(2))
        assert journal.version(1) == made
        journal.record(row(3))
        journal.fold()
    with closing(sqlite3.connect(tmp_path / "journal")) as file:
        assert file.execute("SELECT count(*) FROM made_from").fetchone() == (0,)


@pytest.mark.parametrize(
    ("missing", "why"),
    [
        (1, "is not kept: the last 3 are (keep_versions)"),
        (5, "is not kept: there is no such version"),  # its number was given out, and to nothing that was committed
        (9, "is not kept: the newest is version 6"),
    ],
)
def test_why_a_version_is_not_kept(tmp_path, missing, why):
    with closing(Journal(tmp_path / "journal", keep_versions=3)) as journal:
        for number in (1, 2, 3, 4, 6):
            journal.record(row(number))
        with pytest.raises(JournalError, match=re.escape(why)):
            journal.version(missing)


def test_where_that_is_damaged_the_version_stands_without_it(tmp_path):
    with closing(Journal(tmp_path / "journal")) as journal:
        journal.record(msgspec.structs.replace(row(1), values=b"of the sources"))
    with closing(sqlite3.connect(tmp_path / "journal")) as file, file:
        file.execute("UPDATE made_from SET body = zeroblob(9)")
    with closing(Journal(tmp_path / "journal")) as journal:
        assert journal.version(1) == row(1)
