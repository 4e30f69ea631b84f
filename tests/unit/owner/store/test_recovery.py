"""What a new owner stands on: who serves, also those whom no owner has answered, and the newest version known."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from pydantic import SecretStr

from confcast import ReloadEvent, ReloadResult, Webhook
from confcast.config.codec import digest
from confcast.owner.store import handover, incomplete_roster, recovery
from confcast.owner.store.allowed_uids import AllowedUids
from confcast.owner.store.deliveries import Deliveries
from confcast.owner.store.journal import Journal, JournalError, StateRow, VersionRow
from confcast.owner.store.recovery import Recovered, recover
from confcast.owner.store.runtime_dir import RuntimeDir
from confcast.owner.store.runtime_lock import LockHolder, RuntimeLock
from confcast.wire import processes
from confcast.wire.files import goodbye_files, snapshot_file
from confcast.wire.master_channel import StartupConfig
from confcast.wire.options import Options
from tests.support.receiver import SECRET

SCHEMA = b"s" * 16
ME = (os.getpid(), processes.started(os.getpid()))


STARTUP = StartupConfig(
    options=Options(),
    loader=b"",
    folder="",
    state_folder="",
    durable=False,
    master_pid=ME[0],
    master_started=ME[1],
    sys_path=[],
    working_directory="/",
)


def row(version: int, payload: bytes) -> VersionRow:
    return VersionRow(version, digest(payload), SCHEMA, payload, 1.0)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def runtime_dir(home: Path) -> Iterator[RuntimeDir]:
    lock = RuntimeLock(LockHolder(*ME, *ME, "app"))
    runtime_dir = RuntimeDir(home, home, lock)
    home.mkdir()
    with closing(runtime_dir.listen()):
        yield runtime_dir
    lock.release()


@pytest.fixture
def follow(runtime_dir: RuntimeDir, home: Path) -> Callable[..., Recovered]:
    def follow(restarts: int = 1, address: str = "", *, left: bool = False) -> Recovered:
        startup = msgspec.structs.replace(
            STARTUP, folder=str(home), restarts=restarts, address=address, address_left=left
        )
        return recover(runtime_dir, startup, lambda path=runtime_dir.journal: Journal(path), SCHEMA, {})

    return follow


def journal(runtime_dir: RuntimeDir, *rows: VersionRow, state: StateRow = StateRow()) -> None:  # noqa: B008
    with closing(Journal(runtime_dir.journal)) as journal:
        for each in rows:
            journal.record(each, state)


def roster(runtime_dir: RuntimeDir) -> list[tuple[int, int]]:
    with closing(Journal(runtime_dir.journal)) as journal:
        return journal.roster()


def note(home: Path, kind: str, pid: int, since: int) -> Path:
    path = home / goodbye_files.FOLDER / f"{kind}-{pid}-{since}"
    path.touch()
    return path


class TestWhoServesWithoutAnOwner:
    """Without: the next owner commits, says SUCCESS, and this one serves the old version."""

    @pytest.mark.parametrize("restarts", [0, 1])
    def test_is_on_the_roster_of_the_next_one_and_in_its_journal(self, runtime_dir, home, follow, restarts):
        journal(runtime_dir, row(1, b"A"))
        mine = note(home, "here", *ME)
        assert follow(restarts).roster == (ME[0],)
        assert roster(runtime_dir) == [ME]
        assert not mine.exists()

    @pytest.mark.parametrize("restarts", [0, 1])
    def test_so_is_whom_a_full_disk_has_kept_from_the_journal(self, runtime_dir, home, follow, restarts):
        journal(runtime_dir, row(1, b"A"))
        goodbye_files.write_of(home, ME)
        assert follow(restarts).roster == (ME[0],)
        assert (roster(runtime_dir), goodbye_files.read(home, "member")) == ([ME], set())

    def test_its_note_stays_until_it_is_in_the_journal(self, runtime_dir, home, follow, monkeypatch):
        journal(runtime_dir, row(1, b"A"))
        mine = note(home, "here", *ME)

        def full(self, pid: int, since: int) -> None:
            raise JournalError("the disk is full")

        monkeypatch.setattr(Journal, "add_member", full)
        assert follow().roster == (ME[0],)
        assert mine.exists()

    def test_a_note_of_the_dead_is_taken_away(self, runtime_dir, home, follow):
        journal(runtime_dir, row(1, b"A"))
        mine = note(home, "here", ME[0], ME[1] + 1)  # another process of this pid
        assert follow().roster == ()
        assert not mine.exists()

    def test_nor_is_one_that_has_left_since(self, runtime_dir, home, follow):
        journal(runtime_dir, row(1, b"A"))
        note(home, "here", *ME)
        note(home, "left", *ME)
        assert (follow().roster, list((home / goodbye_files.FOLDER).iterdir())) == ((), [])

    def test_nor_a_process_of_a_user_who_is_not_served(self, runtime_dir, home, follow, monkeypatch):
        journal(runtime_dir, row(1, b"A"))
        note(home, "here", *ME)
        monkeypatch.setattr(AllowedUids, "uids", lambda self: frozenset({os.geteuid() + 1}))
        assert follow().roster == ()

    def test_notes_that_can_not_be_read_are_said_and_keep_nobody_from_starting(self, runtime_dir, home, follow, caplog):
        journal(runtime_dir, row(1, b"A"))
        (home / goodbye_files.FOLDER).rmdir()
        (home / goodbye_files.FOLDER).symlink_to(home)
        assert follow().roster == ()
        assert "the notes of workers can't be read" in caplog.text


class TestARosterThatMayLackSomebody:
    """A worker that lives and is not on it would be left out of a success, and serve what was there before."""

    def test_has_its_owner_gather_and_the_next_one_if_that_dies_before_it_has(self, runtime_dir, home, follow):
        snapshot_file.save(home, SCHEMA, 2, digest(b"B"), b"B")
        assert [follow(restarts).gathers for restarts in (1, 2)] == [True, True]
        with closing(Journal(runtime_dir.journal)) as journal:
            incomplete_roster.mark(journal, whole=True)
        assert not follow(3).gathers

    @pytest.mark.parametrize("restarts", [0, 1])
    def test_that_comes_again_gives_out_no_number_again_though_hundreds_were_made_each_second(
        self, runtime_dir, follow, monkeypatch, restarts
    ):
        """Counted in seconds they were ahead of the clock: a server that was begun anew gave them out again."""
        high_water = []
        for seconds in (1_800_000_000, 1_800_000_010):
            for path in runtime_dir.journal.parent.glob("journal*"):
                path.unlink()
            runtime_dir.in_progress_file.touch()
            runtime_dir.journal.write_bytes(b"torn" * 2000)
            monkeypatch.setattr(recovery.time, "time", lambda now=seconds: float(now))
            high_water.append(follow(restarts).high_water)
        assert high_water[1] - high_water[0] >= 10 * 500

    def test_is_none_of_a_first_start(self, runtime_dir, home, follow):
        journal(runtime_dir, row(1, b"A"))
        with closing(Journal(runtime_dir.journal)) as found:
            incomplete_roster.mark(found, whole=False)
        assert [follow(restarts).gathers for restarts in (0, 1)] == [False, False]

    @pytest.mark.parametrize("name", ["record", "retire"])
    def test_is_told_by_whoever_dies_as_it_makes_a_journal_anew(self, home, follow, monkeypatch, name):
        before = int(time.time() * 1000)
        snapshot_file.save(home, SCHEMA, 1, digest(b"A"), b"A")
        with monkeypatch.context() as patched:
            patched.setattr(Journal, name, interrupted)
            with pytest.raises(KeyboardInterrupt):
                follow()
        left = follow(2)
        assert left.gathers
        assert left.high_water >= before, "numbers above that of the snapshot file were given out, too"

    @pytest.mark.parametrize("seconds", [10, -10], ids=["ahead of the clock", "behind it"])
    def test_gives_out_no_number_again_of_an_owner_that_died_as_it_gathered(self, runtime_dir, home, follow, seconds):
        """Its numbers counted from the clock already, and the one after its version was on trial in a lost journal."""
        version = int((time.time() + seconds) * 1000)
        journal(runtime_dir, row(version, b"A"))
        with closing(Journal(runtime_dir.journal)) as found:
            incomplete_roster.mark(found, whole=False)
        snapshot_file.save(home, SCHEMA, version, digest(b"A"), b"A")
        assert follow().high_water > version + 1

    def test_keeps_whom_it_has(self, runtime_dir, home, follow):
        with closing(Journal(runtime_dir.journal)) as journal:
            incomplete_roster.mark(journal, whole=False)
            journal.record(row(1, b"A"))
            journal.add_member(*ME)
        left = follow()
        assert (left.roster, left.gathers) == ((ME[0],), True)


class TestNotesThatWereDeleted:
    """With the run-time folder, by a cleaner. The journal has its own, and is whole."""

    @pytest.fixture
    def apart(self, home: Path, tmp_path: Path) -> Iterator[RuntimeDir]:
        """The runtime directory of an owner that has yet to listen; its state folder is another one."""
        (tmp_path / "state").mkdir()
        lock = RuntimeLock(LockHolder(*ME, *ME, "app"))
        yield RuntimeDir(home, tmp_path / "state", lock)
        lock.release()

    @pytest.mark.parametrize("when", ["before it listens", "after that", "never"])
    def test_may_have_named_workers_that_no_roster_has(self, apart, home, when):
        """They began on a full disk, or without an owner. Without: a success while they serve the version before."""
        home.mkdir()
        journal(apart, row(1, b"A"))
        if when == "before it listens":
            home.rmdir()
        with closing(apart.listen()):
            if when == "after that":
                shutil.rmtree(home)
            assert [self.recovered(apart, restarts).gathers for restarts in (1, 2)] == [when != "never"] * 2
        with closing(Journal(apart.journal)) as found:
            assert incomplete_roster.is_whole(found) == (when == "never"), "the next owner has to gather, too"

    def recovered(self, runtime_dir: RuntimeDir, restarts: int) -> Recovered:
        startup = msgspec.structs.replace(STARTUP, folder=str(runtime_dir.folder), restarts=restarts)
        return recover(runtime_dir, startup, lambda path=runtime_dir.journal: Journal(path), SCHEMA, {})


class TestWorkersOfAServerThatHasEnded:
    """Those of `confcast serve` live on, and look for the next one at its address."""

    @pytest.fixture
    def begun(self, runtime_dir: RuntimeDir) -> None:
        """What the server before has left in its state folder: this process was its worker, and so was another one."""
        journal(runtime_dir, row(1, b"A"))
        with closing(Journal(runtime_dir.journal)) as left:
            left.add_member(*ME)
            left.add_member(1, processes.started(1) + 1)  # that one is dead, and its pid another process's

    @pytest.mark.usefixtures("begun")
    def test_are_known_to_the_next_one_which_need_not_gather_after_a_clean_stop(self, runtime_dir, follow):
        left = follow(0, "/run/app.sock")
        assert (left.roster, left.gathers, left.outlived) == ((ME[0],), False, True)
        assert roster(runtime_dir) == [ME]

    @pytest.mark.usefixtures("begun")
    def test_of_one_that_was_killed_others_may_live_too_until_an_owner_has_gathered_them(self, runtime_dir, follow):
        left = follow(0, "/run/app.sock", left=True)
        assert (left.roster, left.gathers, left.outlived, left.lost) == ((ME[0],), True, True, False)
        assert [follow(restarts, "/run/app.sock").gathers for restarts in (1, 0)] == [True, True]
        with closing(Journal(runtime_dir.journal)) as found:
            incomplete_roster.mark(found, whole=True)
        assert [follow(restarts, "/run/app.sock").gathers for restarts in (1, 0)] == [False, False]

    def test_are_gathered_where_its_journal_is_gone_and_no_number_comes_again(self, follow):
        before = int(time.time() * 1000)
        left = follow(0, "/run/app.sock", left=True)
        assert (left.row, left.roster, left.gathers, left.outlived) == (None, (), True, True)
        assert left.high_water >= before

    @pytest.mark.usefixtures("begun")
    def test_can_t_find_a_server_without_an_address(self, runtime_dir, follow):
        left = follow(0)
        assert (left.roster, left.gathers, left.outlived) == ((), False, False)
        assert roster(runtime_dir) == []

    def test_of_another_schema_are_refused_and_not_awaited(self, runtime_dir, follow):
        journal(runtime_dir, VersionRow(1, digest(b"A"), b"o" * 16, b"A", 1.0))
        with closing(Journal(runtime_dir.journal)) as left:
            left.add_member(*ME)
        assert follow(0, "/run/app.sock").roster == ()

    def test_are_none_where_no_server_was(self, follow):
        left = follow(0, "/run/app.sock")
        assert (left.row, left.high_water, left.roster, left.gathers, left.outlived) == (None, 0, (), False, False)


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


class TestAJournalThatIsOlderThanItShould:
    def test_takes_what_is_missing_from_the_snapshot_file_and_says_so(self, runtime_dir, home, follow, caplog):
        journal(runtime_dir, row(1, b"A"))
        snapshot_file.save(home, SCHEMA, 2, digest(b"B"), b"B")
        before = int(time.time() * 1000)
        left = follow()
        assert left.row is not None
        assert (left.row.version, left.row.payload, left.lost, left.gathers) == (2, b"B", False, True)
        assert left.high_water >= before, "a version 3 may have been on trial: its number was lost with the log"
        assert "the journal in" in caplog.text
        assert "ends at version 1, though version 2 was committed" in caplog.text

    @pytest.mark.parametrize("lost", [False, True])
    def test_gives_out_no_number_again_where_numbers_are_ahead_of_the_clock(self, runtime_dir, home, follow, lost):
        """They are where the date was put back: a trial of the one after the file's may live."""
        ahead = int(time.time() * 1000) + 100_000
        if not lost:
            journal(runtime_dir, row(ahead - 5, b"A"))
        snapshot_file.save(home, SCHEMA, ahead, digest(b"B"), b"B")
        left = follow()
        assert left.row is not None
        assert (left.row.version, left.lost) == (ahead, lost)
        assert left.high_water > ahead + 1

    @pytest.mark.parametrize(("log", "folds", "at"), [("journal-wal", True, -8192), ("journal-ahead", False, -100)])
    def test_also_when_it_is_its_log_that_was_damaged(self, runtime_dir, home, follow, caplog, log, folds, at):
        """Such a log is read up to the damage; of its own, SQLite says nothing."""
        program = (
            "import os, sys\n"
            "from pathlib import Path\n"
            "from confcast.owner.store.journal import Journal, VersionRow\n"
            "journal = Journal(Path(sys.argv[1]))\n"
            "for version in (1, 2):\n"
            "    journal.record(VersionRow(version, b'd' * 16, b's' * 16, bytes([64 + version]) * 5000, 1.0))\n"
            f"    {folds} and journal.fold()\n"
            "os._exit(0)\n"  # as a kill: the log is not folded in
        )
        subprocess.run([sys.executable, "-c", program, str(runtime_dir.journal)], check=True)
        damaged = runtime_dir.journal.with_name(log)
        body = bytearray(damaged.read_bytes())
        body[at] ^= 0xFF
        damaged.write_bytes(bytes(body))
        snapshot_file.save(home, SCHEMA, 2, digest(b"B" * 5000), b"B" * 5000)
        left = follow()
        assert left.row is not None
        assert (left.row.version, left.row.payload) == (2, b"B" * 5000)
        assert "its log was damaged" in caplog.text

    @pytest.mark.parametrize("saved", [(1, b"A", b"A"), (2, b"B", b"torn")])
    def test_no_older_and_no_torn_file_is_taken(self, runtime_dir, home, follow, saved):
        version, payload, hashed = saved
        journal(runtime_dir, row(1, b"A"))
        snapshot_file.save(home, SCHEMA, version, digest(hashed), payload)
        left = follow()
        assert left.row is not None
        assert left.row.version == 1

    def test_nor_that_of_another_master_at_a_first_start(self, runtime_dir, home, follow):
        journal(runtime_dir, row(1, b"A"))
        snapshot_file.save(home, SCHEMA, 2, digest(b"B"), b"B")
        left = follow(0)
        assert left.row is not None
        assert left.row.version == 1


class TestWhatWasUndone:
    def test_stays_refused_by_an_owner_that_is_restarted(self, runtime_dir, follow):
        journal(runtime_dir, row(3, b"A"), state=StateRow(3, b"refused"))
        follow()
        with closing(Journal(runtime_dir.journal)) as found:
            assert found.state == StateRow(3, b"refused")

    def test_and_not_by_one_that_a_person_starts(self, runtime_dir, follow):
        """No worker lives that could keep an older version, and the server must start with what its sources say."""
        journal(runtime_dir, row(3, b"A"), state=StateRow(3, b"refused"))
        follow(0)
        with closing(Journal(runtime_dir.journal)) as found:
            assert found.state == StateRow(3)


class TestASnapshotFileThatCanNotBeWritten:
    def test_leaves_none_behind_rather_than_an_old_one(self, runtime_dir, home, monkeypatch):
        runtime_dir.save(SCHEMA, 1, digest(b"A"), b"A")

        def full(*given: object) -> int:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "write", full)
        with pytest.raises(OSError):
            runtime_dir.save(SCHEMA, 2, digest(b"B"), b"B")
        monkeypatch.undo()
        assert snapshot_file.load(home) is None

    def test_where_it_can_not_be_removed_either_it_says_nothing_any_more(self, runtime_dir, home, monkeypatch):
        runtime_dir.save(SCHEMA, 1, digest(b"A"), b"A")

        def no(*given: object, **options: object) -> None:
            raise OSError(30, "Read-only file system")

        monkeypatch.setattr(os, "rename", no)
        monkeypatch.setattr(Path, "unlink", no)
        with pytest.raises(OSError):
            runtime_dir.save(SCHEMA, 2, digest(b"B"), b"B")
        monkeypatch.undo()
        assert snapshot_file.load(home) is None


def test_what_webhooks_are_owed_for_is_not_lost_where_the_journal_moves_at_a_start(tmp_path: Path) -> None:
    """Its owner was killed before SQLite had the event: the next one takes it in while it moves the journal."""
    home, state = tmp_path / "home", tmp_path / "state"
    lock = RuntimeLock(LockHolder(*ME, *ME, "app"))
    runtime_dir = RuntimeDir(home, state, lock)
    hook = Webhook("https://ops.example/", SecretStr(SECRET))
    deliveries = Deliveries((hook,), "app", "web-3")
    with closing(runtime_dir.listen()):
        small = home / runtime_dir.journal.name
        left = Journal(small, deliveries=deliveries)
        left.add_event(ReloadEvent(timestamp=1.0, result=ReloadResult.SUCCESS, version=1))
        killed = {path: path.read_bytes() for path in home.glob(f"{small.name}*")}
        left.close()
        for path, content in killed.items():
            path.write_bytes(content)
        startup = StartupConfig(
            options=Options(webhooks=(hook,)),
            loader=b"",
            folder=str(home),
            state_folder=str(state),
            durable=False,
            master_pid=ME[0],
            master_started=ME[1],
            sys_path=[],
            working_directory=str(home),
            restarts=1,
        )
        recover(runtime_dir, startup, lambda path=runtime_dir.journal: Journal(path, deliveries=deliveries), SCHEMA, {})
        with closing(Journal(runtime_dir.journal, deliveries=deliveries)):
            assert deliveries.owed(hook.key) == 1
    lock.release()


def test_a_former_owner_that_exits_without_leaving_a_copy_leaves_its_journal(tmp_path: Path) -> None:
    """Its master was killed in the midst of a take-over, and it has removed its folder."""
    state = tmp_path / "state"
    former_lock = RuntimeLock(LockHolder(*ME, *ME, "app"))
    former = RuntimeDir(tmp_path / "former", state, former_lock)
    lock = RuntimeLock(LockHolder(*ME, *ME, "app"), follows=True)
    following = RuntimeDir(tmp_path / "next", state, lock)
    with closing(former.listen()), closing(following.listen()):
        journal(former, row(7, b"seven"))
        startup = StartupConfig(
            options=Options(),
            loader=b"",
            folder=str(following.folder),
            state_folder=str(state),
            durable=True,
            master_pid=ME[0],
            master_started=ME[1],
            sys_path=[],
            working_directory=str(tmp_path),
            former=str(former.folder),
        )
        assert following.journal == tmp_path / "next" / "journal"
        release = threading.Timer(0.05, former_lock.release)
        release.start()
        found = recover(following, startup, lambda: Journal(following.journal), SCHEMA, {})
        release.join()
        assert following.journal == state / "journal"
        assert found.row is not None
        assert found.row.version == 7
    lock.release()


class TestAHandOverThatIsCalledOff:
    """The former owner dies in its pause, and the next one takes the state folder; then the upgrade is called off."""

    @pytest.fixture
    def enter(self, tmp_path: Path) -> Iterator[Callable[..., RuntimeDir]]:
        locks: list[RuntimeLock] = []

        def enter(name: str, *, follows: bool = False, apart: bool = False) -> RuntimeDir:
            locks.append(RuntimeLock(LockHolder(*ME, *ME, "app"), follows=follows))
            runtime_dir = RuntimeDir(tmp_path / name, tmp_path / "state", locks[-1], apart=apart)
            runtime_dir.listen().close()
            return runtime_dir

        yield enter
        for lock in locks:
            lock.release()

    def start(self, runtime_dir: RuntimeDir, **startup: object) -> Recovered:
        given = StartupConfig(
            options=Options(),
            loader=b"",
            folder=str(runtime_dir.folder),
            state_folder=str(runtime_dir.folder.with_name("state")),
            durable=False,
            master_pid=ME[0],
            master_started=ME[1],
            sys_path=[],
            working_directory=str(runtime_dir.folder),
            **startup,
        )
        return recover(runtime_dir, given, lambda path=None: Journal(path or runtime_dir.journal), SCHEMA, {})

    def pause_and_die(self, former: RuntimeDir, *, copied: bool = True) -> None:
        with closing(Journal(former.journal)) as journal:
            journal.record(row(1, b"one"))
            journal.add_member(*ME)
            if copied:
                handover.write_copy(journal, 1, former.folder)
        former._lock.release()

    @pytest.mark.parametrize("copied", [True, False], ids=["", "died before it could write a copy"])
    @pytest.mark.parametrize("committed", [False, True])
    def test_the_former_s_next_owner_knows_its_workers_and_what_they_run(self, enter, committed, copied):
        """Without: it asks nobody, names nobody, and may have what the other one has committed."""
        former = enter("former")
        self.pause_and_die(former, copied=copied)
        following = enter("next", follows=True)
        assert self.start(following, former=str(former.folder)).roster == ()
        assert following.journal.parent.name == "state"
        if committed:
            with closing(Journal(following.journal)) as journal:
                journal.record(row(2, b"two"))
                handover.write_number(former.folder, 2)
        following._lock.release()

        again = enter("former")
        found = self.start(again, restarts=2)
        assert (found.row.version, found.high_water, found.roster) == (1, 1 + committed, (ME[0],))
        assert found.gathers, "who attached in the pause is on no roster"
        assert (ME in roster(again), again.journal.parent.name) == (True, "state")
        assert sorted(path.name for path in again.folder.iterdir() if "hand" in path.name) == []

        again._lock.release()
        assert self.start(enter("former"), restarts=3).row.version == 1

    def test_one_whose_copy_nobody_could_write_has_its_workers_connect_first(self, enter, monkeypatch):
        """On a full disk: the journal is what the other one has made of it, with nobody on its roster."""

        def full(*arguments: object) -> None:
            raise JournalError("the disk is full")

        former = enter("former")
        self.pause_and_die(former, copied=False)
        following = enter("next", follows=True)
        with monkeypatch.context() as disk:
            disk.setattr(Journal, "copy_to", full)
            self.start(following, former=str(former.folder))
        following._lock.release()
        found = self.start(enter("former"), restarts=1)
        assert (found.row.version, found.roster, found.gathers) == (1, (), True)

    def test_none_for_the_dead(self, enter, tmp_path):
        """A former owner whose master has died, too, is left no copy; nor is its folder made anew."""
        former = enter("confcast-a-1-1.x")
        self.pause_and_die(former, copied=False)
        following = enter("next", follows=True)
        assert self.start(following, former=str(former.folder)).row.version == 1
        following._lock.release()
        assert not (former.folder / "handover").exists()
        gone = tmp_path / "gone"
        assert self.start(enter("third", follows=True), former=str(gone)).row.version == 1
        assert not gone.exists()

    def test_so_does_one_that_was_started_in_the_pause(self, enter):
        former = enter("former")
        self.pause_and_die(former)
        found = self.start(enter("former", apart=True), restarts=1, paused=True)
        assert (found.row.version, found.roster, found.gathers) == (1, (ME[0],), True)

    def test_a_number_that_the_other_one_gave_out_in_its_own_folder_is_not_given_out_again(self, enter):
        former = enter("former")
        self.pause_and_die(former)
        handover.write_number(former.folder, 5)
        assert self.start(enter("former"), restarts=1).high_water == 5
        with closing(Journal(former.journal)) as journal:
            assert journal.high_water == 5

    def test_a_copy_that_nobody_has_taken_up_changes_nothing(self, enter):
        former = enter("former")
        self.pause_and_die(former)
        found = self.start(enter("former"), restarts=1)
        assert (found.row.version, found.roster, found.gathers) == (1, (ME[0],), False)
        assert not (former.folder / "handover").exists(), "by it, clients take the owner for superseded"

    @pytest.mark.parametrize("schema", [SCHEMA, b"o" * 16], ids=["same", "other"])
    def test_workers_that_come_along_to_the_next_server_are_known_there(self, enter, tmp_path, schema):
        """Without: it answers a success, and names nobody, while they serve the version before. Others stay."""
        former = enter("former")
        with closing(Journal(former.journal)) as journal:
            journal.record(VersionRow(1, digest(b"one"), schema, b"one", 1.0))
            journal.add_member(*ME)
            handover.write_copy(journal, 1, former.folder)
        found = self.start(enter("next", follows=True), former=str(former.folder), address=str(tmp_path / "app.sock"))
        follows = schema == SCHEMA
        assert (found.roster, found.outlived, found.gathers) == ((ME[0],) if follows else (), follows, False)
