"""From one owner to the next: the copy of the journal, and the state folder once it is free."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from confcast.errors import ConfcastError
from confcast.owner.store import handover
from confcast.owner.store.journal import Journal, JournalError, VersionRow
from confcast.owner.store.runtime_dir import RuntimeDir
from confcast.owner.store.runtime_lock import LockHolder, RuntimeLock
from confcast.wire import processes
from confcast.wire.files.owner_dirs import HANDOVER
from confcast.wire.messages import ReloadEvent, ReloadResult

Enter = Callable[..., tuple[RuntimeDir, RuntimeLock]]


def record(journal: Journal, version: int) -> None:
    journal.record(VersionRow(version, b"digest %d" % version, b"schema", b"payload %d" % version, time.time()))
    journal.add_event(
        ReloadEvent(timestamp=1.0, result=ReloadResult.SUCCESS, origin="signal", version=version, duration_ms=1.0)
    )


def test_the_next_journal_begins_as_a_copy_of_the_former(tmp_path: Path) -> None:
    former, folder = tmp_path / "former", tmp_path / "next"
    former.mkdir()
    folder.mkdir()
    with closing(Journal(former / "journal")) as journal:
        record(journal, 1)
        record(journal, 2)
        handover.write_copy(journal, 5, former)
        record(journal, 6)  # what comes later is not in it

    handover.take_over(former, folder / "journal")

    for private in (former / HANDOVER, folder / "journal"):
        assert stat.S_IMODE(private.stat().st_mode) == 0o600
    with closing(Journal(folder / "journal")) as journal:
        row = journal.latest()
        assert row is not None
        assert row.payload == b"payload 2"
        assert journal.high_water == 5
        assert [event.version for event in journal.events()] == [2, 1]
        assert journal.totals()["successful_reloads"] == 2


def test_a_journal_that_is_there_stays(tmp_path: Path) -> None:
    with closing(Journal(tmp_path / "journal")) as journal:
        record(journal, 1)
        handover.write_copy(journal, 1, tmp_path)
        record(journal, 2)

    handover.take_over(tmp_path, tmp_path / "journal")

    with closing(Journal(tmp_path / "journal")) as journal:
        assert journal.high_water == 2


def test_where_nothing_was_left_nothing_begins(tmp_path: Path) -> None:
    with closing(Journal(tmp_path / "journal")) as journal:
        handover.write_copy(journal, 0, tmp_path)
    handover.take_back(tmp_path)
    handover.take_back(tmp_path)

    handover.take_over(tmp_path, tmp_path / "other")

    assert not (tmp_path / "other").exists()


def test_the_newest_number_that_was_given_out_is_taken_back(tmp_path: Path) -> None:
    for number in (9, 10, 11):
        handover.write_number(tmp_path, number)

    assert handover.take_back(tmp_path) == 11
    assert handover.take_back(tmp_path) == 0


def test_a_number_that_can_t_be_noted_leaves_the_one_before(tmp_path: Path) -> None:
    """Else the former owner, when the next one is called off, would give that number out once more."""
    handover.write_number(tmp_path, 10)
    script = "import resource, sys; from pathlib import Path; from confcast.owner.store import handover\n"
    script += "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)); handover.write_number(Path(sys.argv[1]), 11)"

    done = subprocess.run([sys.executable, "-c", script, tmp_path], capture_output=True, check=False)

    assert b"OSError" in done.stderr, done.stderr
    assert handover.take_back(tmp_path) == 10


@pytest.mark.parametrize("torn", [False, True])
def test_a_journal_that_moves_takes_the_place_of_the_one_there_and_no_number_again(tmp_path: Path, torn: bool) -> None:
    there = tmp_path / "state" / "journal"
    there.parent.mkdir()
    with closing(Journal(there)) as journal:
        record(journal, 9)
    if torn:
        there.write_bytes(b"torn")
    with closing(Journal(tmp_path / "journal")) as journal:
        record(journal, 3)
        handover.move_journal(journal, there)

    with closing(Journal(there)) as journal:
        row = journal.latest()
        assert row is not None
        assert row.version == 3
        assert journal.high_water == (3 if torn else 9)
    handover.delete_journal(tmp_path / "journal")
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_a_copy_that_can_t_be_written_is_said(tmp_path: Path) -> None:
    with closing(Journal(tmp_path / "journal")) as journal:
        record(journal, 1)
        with pytest.raises(JournalError, match="can't be copied to"):
            handover.write_copy(journal, 1, tmp_path / "nowhere")


# ---- the runtime directory


@pytest.fixture
def enter(tmp_path: Path) -> Iterator[Enter]:
    """Takes a runtime directory of that name, with one state folder for all."""
    locks: list[RuntimeLock] = []

    def take(name: str, *, follows: bool = False, apart: bool = False) -> tuple[RuntimeDir, RuntimeLock]:
        pid = os.getpid()
        since = processes.started(pid)
        locks.append(RuntimeLock(LockHolder(pid, since, pid, since, "app"), follows=follows))
        runtime_dir = RuntimeDir(tmp_path / name, tmp_path / "state", locks[-1], apart=apart)
        runtime_dir.listen().close()
        return runtime_dir, locks[-1]

    yield take
    for lock in locks:
        lock.release()


def test_the_next_owner_lives_in_its_own_folder_until_the_state_folder_is_free(enter: Enter, tmp_path: Path) -> None:
    (_, former), (runtime_dir, _) = enter("former"), enter("next", follows=True)
    assert runtime_dir.state_folder == tmp_path / "next"
    with runtime_dir.moving() as free:
        assert not free
    assert runtime_dir.state_folder == tmp_path / "next"

    former.release()
    with runtime_dir.moving() as free:
        assert free
        assert runtime_dir.journal == tmp_path / "state" / "journal"

    assert runtime_dir.awaited is None
    assert not (tmp_path / "next" / "lock").exists()
    third, _ = enter("third", follows=True)
    assert third.awaited == tmp_path / "state"  # it is taken again


def test_a_move_that_fails_leaves_all_as_it_was(enter: Enter, tmp_path: Path) -> None:
    (_, former), (runtime_dir, _) = enter("former"), enter("next", follows=True)
    former.release()

    with pytest.raises(ConfcastError, match="no room"), runtime_dir.moving():
        raise ConfcastError("no room")

    assert (runtime_dir.state_folder, runtime_dir.awaited) == (tmp_path / "next", tmp_path / "state")
    assert enter("third", follows=True)[0].state_folder == tmp_path / "state"


def test_a_paused_owner_s_successor_leaves_the_state_folder_alone(enter: Enter, tmp_path: Path) -> None:
    runtime_dir, _ = enter("former", apart=True)

    assert (runtime_dir.state_folder, runtime_dir.awaited) == (tmp_path / "former", tmp_path / "state")
    assert enter("next", follows=True)[0].state_folder == tmp_path / "state"
