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
from confcast.owner import generations
from confcast.owner.house import Holder, House
from confcast.owner.journal import Journal, JournalError, VersionRow
from confcast.wire import processes
from confcast.wire.boot import HANDOVER
from confcast.wire.messages import ReloadEvent, ReloadResult

Enter = Callable[..., House]


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
        generations.leave(journal, 5, former)
        record(journal, 6)  # what comes later is not in it

    generations.take_over(former, folder / "journal")

    for private in (former / HANDOVER, folder / "journal"):
        assert stat.S_IMODE(private.stat().st_mode) == 0o600
    with closing(Journal(folder / "journal")) as journal:
        row = journal.latest()
        assert row is not None
        assert row.payload == b"payload 2"
        assert journal.floor == 5
        assert [event.version for event in journal.events()] == [2, 1]
        assert journal.totals()["successful_reloads"] == 2


def test_a_journal_that_is_there_stays(tmp_path: Path) -> None:
    with closing(Journal(tmp_path / "journal")) as journal:
        record(journal, 1)
        generations.leave(journal, 1, tmp_path)
        record(journal, 2)

    generations.take_over(tmp_path, tmp_path / "journal")

    with closing(Journal(tmp_path / "journal")) as journal:
        assert journal.floor == 2


def test_where_nothing_was_left_nothing_begins(tmp_path: Path) -> None:
    with closing(Journal(tmp_path / "journal")) as journal:
        generations.leave(journal, 0, tmp_path)
    generations.take_back(tmp_path)
    generations.take_back(tmp_path)

    generations.take_over(tmp_path, tmp_path / "other")

    assert not (tmp_path / "other").exists()


def test_the_newest_number_that_was_given_out_is_taken_back(tmp_path: Path) -> None:
    for number in (9, 10, 11):
        generations.note(tmp_path, number)

    assert generations.take_back(tmp_path) == 11
    assert generations.take_back(tmp_path) == 0


def test_a_number_that_can_t_be_noted_leaves_the_one_before(tmp_path: Path) -> None:
    """Else the former owner, when the next one is called off, would give that number out once more."""
    generations.note(tmp_path, 10)
    script = "import resource, sys; from pathlib import Path; from confcast.owner import generations\n"
    script += "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)); generations.note(Path(sys.argv[1]), 11)"

    done = subprocess.run([sys.executable, "-c", script, tmp_path], capture_output=True, check=False)

    assert b"OSError" in done.stderr, done.stderr
    assert generations.take_back(tmp_path) == 10


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
        generations.move_in(journal, there)

    with closing(Journal(there)) as journal:
        row = journal.latest()
        assert row is not None
        assert row.version == 3
        assert journal.floor == (3 if torn else 9)
    generations.forget(tmp_path / "journal")
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_a_copy_that_can_t_be_written_is_said(tmp_path: Path) -> None:
    with closing(Journal(tmp_path / "journal")) as journal:
        record(journal, 1)
        with pytest.raises(JournalError, match="can't be copied to"):
            generations.leave(journal, 1, tmp_path / "nowhere")


# ---- the house


@pytest.fixture
def enter(tmp_path: Path) -> Iterator[Enter]:
    """Moves into a run-time folder of that name, with one state folder for all."""
    houses: list[House] = []

    def move_in(name: str, **options: bool) -> House:
        pid = os.getpid()
        since = processes.started(pid)
        house = House(tmp_path / name, tmp_path / "state", Holder(pid, since, pid, since, "app"), **options)
        houses.append(house)
        house.enter().close()
        return house

    yield move_in
    for house in houses:
        house.unlock()


def test_the_next_owner_lives_in_its_own_folder_until_the_state_folder_is_free(enter: Enter, tmp_path: Path) -> None:
    former, house = enter("former"), enter("next", follows=True)
    assert house.state_folder == tmp_path / "next"
    with house.moving() as free:
        assert not free
    assert house.state_folder == tmp_path / "next"

    former.unlock()
    with house.moving() as free:
        assert free
        assert house.journal == tmp_path / "state" / "journal"

    assert house.awaited is None
    assert not (tmp_path / "next" / "lock").exists()
    third = enter("third", follows=True)
    assert third.awaited == tmp_path / "state"  # it is taken again


def test_a_move_that_fails_leaves_all_as_it_was(enter: Enter, tmp_path: Path) -> None:
    former, house = enter("former"), enter("next", follows=True)
    former.unlock()

    with pytest.raises(ConfcastError, match="no room"), house.moving():
        raise ConfcastError("no room")

    assert (house.state_folder, house.awaited) == (tmp_path / "next", tmp_path / "state")
    assert enter("third", follows=True).state_folder == tmp_path / "state"


def test_a_paused_owner_s_successor_leaves_the_state_folder_alone(enter: Enter, tmp_path: Path) -> None:
    house = enter("former", apart=True)

    assert (house.state_folder, house.awaited) == (tmp_path / "former", tmp_path / "state")
    assert enter("next", follows=True).state_folder == tmp_path / "state"
