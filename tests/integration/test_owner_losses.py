"""A journal that is gone, torn, read-only or not its own: what is lost is said and counted, and the rest stays."""

from __future__ import annotations

import contextlib
import re
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from confcast import ConfcastError, ConfigLoader, ConfigReloadManager, ReloadResult
from tests.support.fixtures import StartManager, StartWorker
from tests.support.owners import await_fold, await_one_that_can_t_start, await_the_next, home_of, kill_the_owner
from tests.support.settings import Limits, write
from tests.support.slow import slow
from tests.support.stopping import await_stopped
from tests.support.waiting import eventually, in_thread, made_by

CLOCK = 1_700_000_000
"""Numbers that were counted on from the clock are above this; those of a test's own versions are not."""


def tear(journal: Path) -> None:
    for path in journal.parent.glob("journal*"):
        path.write_bytes(b"torn" * 2000)


def delete(journal: Path) -> None:
    for path in journal.parent.glob("journal*"):
        path.unlink()


def test_torn_between_two_owners_the_committed_version_stays_and_the_loss_is_said_once_and_counted(
    start_manager: StartManager, start_worker: StartWorker, config: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its file is gone, too: only the snapshot file has it."""
    manager = start_manager(supervise="caller")
    worker = start_worker(manager)
    write(config, 2)
    assert manager.reload().version == 2
    kill_the_owner(manager)
    tear(home_of(manager) / "journal")
    config.unlink()

    for _ in range(2):  # the next owner's own first load may come after the first of these, and not after the second
        event = manager.reload()
        assert (event.result, event.version) == (ReloadResult.FILE_NOT_FOUND, 2)

    assert [one.ask("read") for one in (worker, start_worker(manager))] == [(2, 2)] * 2
    assert manager.get_stats()["failures"] == {"journal lost": 1}
    said = capfd.readouterr().err
    assert said.count("history and totals are lost") == 1
    assert re.search(
        r"the journal \S+ can't be opened: .*; it is kept as journal\.torn-\d+, and a new one is begun", said
    )
    assert "Move it away" not in said  # that is done
    write(config, 3)
    event = manager.reload()
    assert event.result is ReloadResult.SUCCESS
    assert event.version > CLOCK
    assert worker.ask("read") == (event.version, 3)


def delete_with_the_snapshot_file(journal: Path) -> None:
    delete(journal)
    journal.with_name("snapshot").unlink()


def test_killed_while_it_gathers_the_next_one_gathers_as_well(
    start_manager: StartManager, start_worker: StartWorker, config: Path
) -> None:
    """The journal that it began is whole, and lacks the worker, which sleeps. Without: SUCCESS, applied by nobody."""
    manager = start_manager(supervise="caller")
    worker = start_worker(manager)
    worker.signal(signal.SIGSTOP)
    await_stopped(worker.pid)
    kill_the_owner(manager)
    delete(home_of(manager) / "journal")
    write(config, 2)
    former = in_thread(manager.reload)
    eventually(lambda: manager.status().phase == "staging", "it gathers")
    await_the_next(manager, kill_the_owner(manager))

    outcome = in_thread(manager.reload)
    eventually(lambda: manager.status().phase == "staging", "the next one gathers")
    worker.signal(signal.SIGCONT)

    event = outcome()
    assert (bool(event), event.applied, event.lagging) == (True, [worker.pid], [])
    assert worker.ask("read") == (event.version, 2)
    with contextlib.suppress(ConfcastError):  # it was under way when that owner was killed
        former()


def alter_the_payload(journal: Path) -> None:
    with sqlite3.connect(journal) as connection:
        connection.execute("UPDATE newest SET checksum = checksum + 1")
    connection.close()


@pytest.mark.parametrize(
    ("lose", "set_aside"),
    [(tear, 1), slow(delete_with_the_snapshot_file, 0), slow(alter_the_payload, 1)],
    ids=["torn", "deleted", "not what was written"],
)
def test_what_can_t_be_read_is_set_aside_and_numbers_go_on_above_all_that_were_given_out(
    lose: Callable[[Path], None], set_aside: int, start_manager: StartManager, start_worker: StartWorker, config: Path
) -> None:
    manager = start_manager(supervise="caller")
    worker = start_worker(manager)
    await_fold(manager)
    kill_the_owner(manager)
    lose(home_of(manager) / "journal")
    write(config, 2)

    event = manager.reload()

    assert event, event
    assert event.version > CLOCK
    assert worker.ask("await_number", 2) == event.version
    assert len(list(home_of(manager).glob("journal.torn-*"))) == set_aside


@pytest.mark.parametrize("lose", [tear, slow(delete)])
def test_lost_between_two_masters_no_number_comes_again(
    lose: Callable[[Path], None],
    start_manager: StartManager,
    config: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    state = tmp_path / "state"
    start_manager(state_dir=state).close()
    lose(state / "journal")
    write(config, 2)

    manager = start_manager(state_dir=state)

    assert manager.version > CLOCK
    assert "history and totals are lost" in capfd.readouterr().err
    assert manager.get_stats()["failures"] == {"journal lost": 1}


def test_a_state_folder_that_was_never_used_begins_at_one_and_nothing_is_said(
    start_manager: StartManager, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    manager = start_manager(state_dir=tmp_path / "state")

    assert manager.version == 1
    assert "lost" not in capfd.readouterr().err
    assert manager.get_stats()["failures"] == {}


def test_what_was_deleted_under_a_living_owner_is_said_once_and_counted(
    capfd: pytest.CaptureFixture[str], start_manager: StartManager, start_worker: StartWorker, config: Path
) -> None:
    manager = start_manager()
    worker = start_worker(manager)
    shutil.rmtree(home_of(manager))
    for number in (2, 3):
        write(config, number)
        assert worker.ask("reload").version == number

    assert worker.ask("verb", "get_stats")["failures"] == {"folder lost": 1, "journal lost": 1}
    said = capfd.readouterr().err
    assert said.count("was deleted while in use: it is made anew\n") == 1
    assert said.count("with the newest version, without history and totals") == 1


def test_a_state_folder_that_was_deleted_under_a_living_owner_is_made_anew(
    start_manager: StartManager, start_worker: StartWorker, config: Path, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    manager = start_manager(state_dir=state)
    worker = start_worker(manager)
    shutil.rmtree(state)
    write(config, 2)

    event = manager.reload()

    assert (event.result, event.version) == (ReloadResult.SUCCESS, 2), event
    assert worker.ask("read") == (2, 2)
    assert {"journal", "lock"} <= {path.name for path in state.iterdir()}
    assert manager.get_stats()["failures"] == {"folder lost": 1, "journal lost": 1}
    kill_the_owner(manager)
    assert manager.reload().version == 2


def test_a_journal_of_another_layout_is_refused_and_left_alone_while_workers_serve(
    start_manager: StartManager, start_worker: StartWorker, config: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    manager = start_manager(supervise="caller")
    worker = start_worker(manager)
    dead = kill_the_owner(manager)
    lay_out(home_of(manager) / "journal", 2)

    await_one_that_can_t_start(manager, dead)

    assert "has layout 2, and this version of confcast reads 1. Move it away" in capfd.readouterr().err
    assert [one.ask("read") for one in (worker, start_worker(manager))] == [(1, 1)] * 2
    lay_out(home_of(manager) / "journal", 1)
    write(config, 2)
    event = manager.reload()
    assert (bool(event), event.version, made_by(manager, 2).previous_version) == (True, 2, 1)


def lay_out(journal: Path, layout: int) -> None:
    connection = sqlite3.connect(journal, isolation_level=None)
    connection.execute(f"PRAGMA user_version={layout}")
    connection.close()


def test_a_journal_of_another_layout_is_refused_where_the_manager_starts(
    start_manager: StartManager, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    start_manager(state_dir=state).close()
    lay_out(state / "journal", 2)

    with pytest.raises(ConfcastError, match=f"the journal {state}/journal has layout 2"):
        start_manager(state_dir=state)


def test_another_schema_s_journal_gives_its_numbers_and_not_its_configuration(
    start_manager: StartManager, config: Path, tmp_path: Path
) -> None:
    state, other = tmp_path / "state", tmp_path / "limits.toml"
    first = start_manager(state_dir=state)
    write(config, 2)
    assert first.reload().version == 2
    first.close()
    other.write_text("low = 7\n")
    loader: ConfigLoader[Limits] = ConfigLoader(Limits, other)

    with ConfigReloadManager(loader, watch=False, state_dir=state) as manager:
        assert (manager.version, manager.current) == (3, Limits(low=7))


@pytest.fixture
def read_only() -> Iterator[Callable[[Path], None]]:
    """Makes a folder read-only for everyone who opens something in it from now on; root heeds no permissions."""
    mounted: list[Path] = []

    def mount(folder: Path) -> None:
        for command in (["--bind", folder, folder], ["-o", "remount,ro,bind", folder]):
            done = subprocess.run(["mount", *command], capture_output=True, check=False)
            if done.returncode:
                pytest.skip("mounting needs root")
            if folder not in mounted:
                mounted.append(folder)

    yield mount
    for folder in mounted:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.skipif(shutil.which("mount") is None, reason="there is no mount")
def test_in_a_read_only_folder_no_owner_starts_and_workers_serve(
    start_manager: StartManager,
    start_worker: StartWorker,
    tmp_path: Path,
    read_only: Callable[[Path], None],
    capfd: pytest.CaptureFixture[str],
) -> None:
    state = tmp_path / "state"
    manager = start_manager(state_dir=state, supervise="caller")
    worker = start_worker(manager)
    dead = kill_the_owner(manager)
    read_only(state)

    await_one_that_can_t_start(manager, dead)

    assert f"Read-only file system: '{state}/lock'" in capfd.readouterr().err
    assert [one.ask("read") for one in (worker, start_worker(manager))] == [(1, 1)] * 2
