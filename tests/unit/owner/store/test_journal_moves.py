"""A journal moves into the state folder and out of it: one whole journal is there, whatever fails on the way."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from confcast.errors import ConfcastError
from confcast.owner.store import journal_moves
from confcast.owner.store.journal import Journal, JournalError, VersionRow
from confcast.owner.store.runtime_dir import RuntimeDir
from confcast.owner.store.runtime_lock import LockHolder, RuntimeLock
from confcast.wire import processes

Owner = tuple[RuntimeDir, RuntimeLock]


def record(journal: Journal, version: int) -> None:
    journal.record(VersionRow(version, b"digest %d" % version, b"schema", b"payload %d" % version, time.time()))


def versions(path: Path) -> list[int]:
    with closing(Journal(path)) as journal:
        return [each.version for each in journal.versions()]


@pytest.fixture
def locks() -> Iterator[list[RuntimeLock]]:
    made: list[RuntimeLock] = []
    yield made
    for lock in made:
        lock.release()


def owner(name: str, tmp_path: Path, locks: list[RuntimeLock], *, follows: bool = False) -> RuntimeDir:
    me = os.getpid()
    since = processes.started(me)
    locks.append(RuntimeLock(LockHolder(me, since, me, since, "app"), follows=follows))
    made = RuntimeDir(tmp_path / name, tmp_path / "state", locks[-1])
    made.listen().close()
    return made


def test_the_former_goes_on_with_a_copy_and_the_next_one_takes_the_state_folder(
    tmp_path: Path, locks: list[RuntimeLock]
) -> None:
    former, following = owner("former", tmp_path, locks), owner("next", tmp_path, locks, follows=True)
    journal = Journal(former.journal)
    record(journal, 1)
    next_journal = Journal(following.journal)
    record(next_journal, 2)
    assert journal_moves.into_state_folder(following, next_journal, lambda: Journal(following.journal)) is None

    small = journal_moves.out_of_state_folder(former, journal, lambda: Journal(former.journal))
    record(small, 7)  # such as a member's number: it reaches no other's journal
    moved = journal_moves.into_state_folder(following, next_journal, lambda: Journal(following.journal))
    assert moved is not None
    moved.close()
    small.close()

    assert former.journal == tmp_path / "former" / "journal"
    assert versions(former.journal) == [7, 1]
    assert versions(tmp_path / "state" / "journal") == [2]
    assert not (tmp_path / "next" / "journal").exists()
    assert locks[0].holds(tmp_path / "former" / "lock")
    assert locks[1].holds(tmp_path / "state" / "lock")


def test_the_former_is_told_before_its_journal_is_replaced_or_it_is_not(
    tmp_path: Path, locks: list[RuntimeLock]
) -> None:
    """It may go on after all: if it does not know, on a journal that has none of its workers."""
    former, following = owner("former", tmp_path, locks), owner("next", tmp_path, locks, follows=True)
    with closing(Journal(former.journal)) as journal:
        record(journal, 1)

    def full(path: Path) -> None:
        assert path == tmp_path / "state" / "journal"
        assert versions(former.journal) == [1]
        raise OSError("no room")

    with closing(Journal(following.journal)) as journal:
        record(journal, 2)
        into = functools.partial(
            journal_moves.into_state_folder, following, journal, lambda: Journal(following.journal)
        )
        assert into(lambda path: pytest.fail("told before the folder is free")) is None
        locks[0].release()
        with pytest.raises(OSError, match="no room"):
            into(full)
        assert versions(former.journal) == [1]
        told: list[bool] = []
        moved = into(lambda path: told.append(True))
    assert moved is not None
    moved.close()
    assert (told, versions(former.journal)) == ([True], [2])


def test_without_a_state_folder_of_its_own_nothing_moves(tmp_path: Path, locks: list[RuntimeLock]) -> None:
    following = owner("former", tmp_path, locks) and owner("next", tmp_path, locks, follows=True)
    with closing(Journal(following.journal)) as journal:
        assert journal_moves.out_of_state_folder(following, journal, lambda: pytest.fail("opened anew")) is journal
        assert following.awaited is None, "it waits for the state folder no more"
        assert journal_moves.into_state_folder(following, journal, lambda: pytest.fail("opened anew")) is journal


def test_what_fails_on_the_way_out_leaves_the_journal_where_it_was(
    tmp_path: Path, locks: list[RuntimeLock], monkeypatch: pytest.MonkeyPatch
) -> None:
    former = owner("former", tmp_path, locks)

    def full(journal: Journal, path: Path) -> None:
        raise JournalError("no room")

    with closing(Journal(former.journal)) as journal:
        record(journal, 1)
        monkeypatch.setattr(Journal, "copy_to", full)
        with pytest.raises(ConfcastError, match="no room"):
            journal_moves.out_of_state_folder(former, journal, lambda: Journal(former.journal))
        record(journal, 2)
    assert former.journal == tmp_path / "state" / "journal"
    assert versions(former.journal) == [2, 1]
    assert locks[0].holds(tmp_path / "state" / "lock")
