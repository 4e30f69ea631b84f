"""Windows in real processes: what nobody confirms is undone, whatever befalls the owner, the date and the disk."""

from __future__ import annotations

import os
import resource
import signal
from pathlib import Path

import pytest

from confcast import Client, ConfigLoader, ReloadEvent, ReloadResult
from confcast.master.embedded import EmbeddedManager
from tests.integration.test_generations import successor
from tests.integration.test_operations import held, loads, reads
from tests.integration.test_owner_journal import A_MARK, limited
from tests.support.fixtures import Manager, StartManager, StartWorker
from tests.support.gunicorn import Make
from tests.support.jumping import Jumping
from tests.support.killing import PLACES, STATE_PLACES, Killing
from tests.support.leaks import is_running
from tests.support.owners import await_fold, await_the_next, kill_the_owner
from tests.support.passing import Passing
from tests.support.resting import assert_rests
from tests.support.settings import Limits, write
from tests.support.slow import slow
from tests.support.waiting import eventually, history_of, in_thread
from tests.support.workers import Worker

SUCCESS, UNCHANGED, REJECTED = ReloadResult.SUCCESS, ReloadResult.UNCHANGED, ReloadResult.REJECTED
SOON, LATER = 60.0, 600.0
"""Seconds of a window that ends in the test, by the time that passes there, and of one that does not."""
SEVEN = {"number": 7, "twin": 7}


@pytest.fixture
def workers(manager: Manager, start_worker: StartWorker) -> list[Worker]:
    """Two."""
    return [start_worker(manager) for _ in range(2)]


def opens(manager: Manager, config: Path, number: int = 2, within: float = LATER) -> ReloadEvent:
    """The sources change, and that is to be confirmed."""
    write(config, number)
    event = manager.reload(confirm_within=within, reason="another database")
    assert event, event
    return event


def undone(manager: Manager) -> ReloadEvent:
    """The event of the undo, once it has come."""
    found = eventually(
        lambda: [event for event in history_of(manager) if event.result is ReloadResult.UNDONE], "an undo by itself"
    )
    return found[0]


def is_open(manager: Manager) -> bool:
    return manager.status().provisional == "confirm"


# ---- it ends, or is confirmed


def test_what_nobody_confirms_is_undone_in_all_workers(
    passing: Passing, manager: Manager, workers: list[Worker], config: Path
) -> None:
    opens(manager, config)
    assert reads(workers) == {(2, 2)}
    event = manager.reload(confirm_within=SOON)
    assert event.confirm_by == pytest.approx(event.timestamp + SOON, abs=SOON)
    passing.by(SOON, manager)
    assert [worker.ask("await_number", 1) for worker in workers] == [3, 3]
    event = undone(manager)
    assert (event.origin, event.version, event.evidence) == ("undo", 3, ["nobody confirmed version 2 within 60 s"])
    assert [(each.version, each.good) for each in manager.versions()] == [(3, True), (2, False), (1, True)]
    assert not is_open(manager)
    os.kill(manager.owner_pid, signal.SIGHUP)
    assert manager.reload().result is REJECTED
    assert reads(workers) == {(3, 1)}, "the sources still have what was undone"
    assert manager.set({"name": "x"}).result is SUCCESS
    assert reads(workers) == {(4, 1)}, "and what is set builds on what runs"
    loads(manager, config, 5)
    assert reads(workers) == {(5, 5)}
    assert_rests(manager.owner_pid)


def test_what_is_confirmed_stays(passing: Passing, manager: Manager, workers: list[Worker], config: Path) -> None:
    opens(manager, config, within=SOON)
    assert manager.confirm(1).result is ReloadResult.CONFLICT
    assert [each.good for each in manager.versions()] == [False, True]
    event = manager.confirm(2, reason="looked at it")
    assert (event.result, event.version, event.origin, event.confirm_by) == (SUCCESS, 2, "confirm", None)
    assert [each.good for each in manager.versions()] == [True, True]
    assert manager.confirm().result is ReloadResult.CONFLICT
    passing.by(SOON, manager)  # to the deadline that has no meaning any more
    assert (reads(workers), is_open(manager)) == ({(2, 2)}, False)
    assert manager.get_event_history()[0].origin == "confirm"


def test_all_that_came_in_the_window_goes_with_it(
    passing: Passing, start_manager: StartManager, start_worker: StartWorker, config: Path
) -> None:
    """A value that was set, and an edit that the watcher has seen; only the fallback is kept beside the newest."""
    manager = start_manager(watch=True, keep_versions=1)
    worker = start_worker(manager)
    assert manager.set({"name": "x"}, confirm_within=LATER)
    assert manager.set({"name": "y"})
    write(config, 3)
    worker.ask("await_number", 3)
    assert manager.reload(confirm_within=SOON).result is UNCHANGED
    await_fold(manager)
    kill_the_owner(manager)
    passing.by(SOON, manager)
    assert worker.ask("await_number", 1)
    assert undone(manager).version == manager.version
    eventually(lambda: manager.current.name == "one", "the name that was there before")
    assert manager.status().overrides == []
    write(config, 4)
    worker.ask("await_number", 4)


def test_a_way_back_takes_back_what_is_provisional_though_workers_object(
    manager: Manager, workers: list[Worker], config: Path
) -> None:
    opens(manager, config)
    loads(manager, config, 3)
    for worker in workers:
        worker.ask("object_to", "no way back")
    event = manager.rollback(reason="a bad night")
    assert (event.result, event.version, event.origin) == (SUCCESS, 4, "rollback")
    assert reads(workers) == {(4, 1)}
    assert held(manager)["version"] == 1
    assert not is_open(manager)
    assert manager.reload().result is ReloadResult.HELD


def test_a_hold_is_there_again_after_the_window(
    passing: Passing, manager: Manager, workers: list[Worker], config: Path
) -> None:
    loads(manager, config, 2)
    assert manager.rollback()
    assert manager.set(SEVEN, confirm_within=LATER)
    assert reads(workers) == {(4, 7)}
    assert manager.set({"name": "x"}, confirm_within=SOON)
    passing.by(SOON, manager)
    undone(manager)
    assert reads(workers) == {(6, 1)}
    assert held(manager)["version"] == 1
    assert manager.reload().result is ReloadResult.HELD


# ---- deaths


@pytest.fixture
def killing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Killing:
    """What kills the next owner at a place."""
    killing = Killing(tmp_path)
    killing.prepare(monkeypatch)
    return killing


@pytest.mark.parametrize("place", [slow(PLACES[0]), PLACES[1], slow(PLACES[3])])
def test_an_owner_that_is_killed_while_a_window_opens(
    killing: Killing,
    passing: Passing,
    start_manager: StartManager,
    start_worker: StartWorker,
    config: Path,
    place: str,
) -> None:
    manager = start_manager()
    worker = start_worker(manager)
    dead = manager.owner_pid
    killing.order_at(place)
    manager.set(SEVEN, confirm_within=SOON)
    eventually(lambda: killing.struck and not is_running(dead), "the owner's death at its place")
    eventually(lambda: manager.owner_pid not in (0, dead), "the next owner")
    if place == PLACES[0]:
        assert manager.reload().result is UNCHANGED
        assert not is_open(manager)
    else:
        passing.by(SOON, manager)
        assert undone(manager).evidence == ["nobody confirmed version 2 within 60 s"]
    assert worker.ask("await_number", 1)


@pytest.mark.parametrize("place", [slow(STATE_PLACES[0]), STATE_PLACES[1]])
def test_an_owner_that_is_killed_while_it_writes_a_confirmation(
    killing: Killing, start_manager: StartManager, start_worker: StartWorker, config: Path, place: str
) -> None:
    manager = start_manager()
    worker = start_worker(manager)
    opens(manager, config)
    dead = manager.owner_pid
    killing.order_at(place)
    assert manager.confirm().result is ReloadResult.OWNER_UNAVAILABLE
    eventually(lambda: killing.struck and not is_running(dead), "the owner's death at its place")
    eventually(lambda: manager.owner_pid not in (0, dead), "the next owner")
    confirmed = place == STATE_PLACES[1]
    assert is_open(manager) != confirmed
    assert manager.confirm().result is (ReloadResult.CONFLICT if confirmed else SUCCESS)
    assert worker.ask("read") == (2, 2)
    assert [each.good for each in manager.versions()] == [True, True]


@pytest.mark.parametrize("place", [slow(PLACES[0]), PLACES[1], slow(PLACES[2])])
def test_an_owner_that_is_killed_while_it_undoes(
    killing: Killing,
    passing: Passing,
    start_manager: StartManager,
    start_worker: StartWorker,
    config: Path,
    place: str,
) -> None:
    manager = start_manager()
    worker = start_worker(manager)
    opens(manager, config, within=SOON)
    dead = manager.owner_pid
    killing.order_at(place)
    passing.by(SOON, manager)
    eventually(lambda: killing.struck and not is_running(dead), "the owner's death at its place")
    eventually(lambda: manager.owner_pid not in (0, dead), "the next owner")
    assert worker.ask("await_number", 1) == 3
    assert manager.reload().result is REJECTED
    assert worker.ask("read") == (3, 1)
    assert [(each.version, each.good) for each in manager.versions()][1:] == [(2, False), (1, True)]


def test_a_deadline_that_passes_while_no_owner_lives(
    passing: Passing, start_manager: StartManager, start_worker: StartWorker, config: Path
) -> None:
    manager = start_manager(supervise="caller")
    worker = start_worker(manager)
    opens(manager, config, within=SOON)
    dead = kill_the_owner(manager)
    passing.meanwhile(SOON)
    config.write_text("number: [\n")
    await_the_next(manager, dead)
    assert worker.ask("await_number", 1) == 3


# ---- the server's life


def test_a_server_that_is_started_anew_starts_on_the_fallback(
    start_manager: StartManager, config: Path, tmp_path: Path
) -> None:
    manager = start_manager(state_dir=tmp_path / "state")
    opens(manager, config)
    assert manager.current.number == 2
    manager.close()
    later = start_manager(state_dir=tmp_path / "state")
    assert (later.current.number, later.version) == (1, 3)
    assert undone(later).evidence == ["nobody confirmed version 2 before the server was started anew"]
    assert later.reload().result is REJECTED
    later.close()
    again = start_manager(state_dir=tmp_path / "state")
    assert again.current.number == 1, "what was undone is refused by the next start, too"
    assert again.resume(reason="it was good after all").result is SUCCESS
    assert again.current.number == 2


def test_a_full_reload_starts_on_the_fallback(
    start_manager: StartManager, start_worker: StartWorker, config: Path, tmp_path: Path
) -> None:
    manager = start_manager(state_dir=tmp_path / "state")
    worker = start_worker(manager)
    opens(manager, config)
    manager.pause()
    assert worker.ask("read") == (3, 1), "undone before the next generation is told"
    with successor(manager, config, state_dir=tmp_path / "state").start() as following:
        manager.close()
        assert following.current.number == 1
        assert undone(following).evidence == ["nobody confirmed version 2 before the server was fully reloaded"]
        assert following.reload().result is REJECTED
        loads(following, config, 4)


@pytest.mark.slow
def test_an_upgrade_of_a_server_starts_on_the_fallback(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """gunicorn's USR2; a HUP in the window, which replaces all workers, leaves it open."""
    server = make().start()
    monkeypatch.setenv("CONFCAST_RUNTIME_DIR", str(server.runtime))
    number = server.ask("read")["number"]
    server.change()
    assert Client(pid=server.pid).reload(confirm_within=LATER, reason="another database")
    server.hup()
    assert Client(pid=server.pid).status().provisional == "confirm"
    assert server.ask("read")["number"] != number
    server.upgrade()
    server.signal(signal.SIGTERM)
    server.ended()
    assert (server.ask("read")["number"], Client().status().provisional) == (number, "")


@pytest.mark.slow
def test_the_owner_after_one_that_died_amid_a_pause_ends_the_window(
    start_manager: StartManager, start_worker: StartWorker, config: Path
) -> None:
    manager = start_manager()
    worker = start_worker(manager)
    opens(manager, config)
    os.kill(manager.owner_pid, signal.SIGSTOP)
    pausing = in_thread(manager.pause)
    kill_the_owner(manager)
    pausing()
    assert worker.ask("await_number", 1) == 3


def test_a_full_reload_that_is_called_off_leaves_what_runs(manager: Manager, config: Path) -> None:
    opens(manager, config)
    manager.pause()
    manager.unpause()
    assert manager.current.number == 1
    opens(manager, config, 3)
    assert (manager.current.number, is_open(manager)) == (3, True)


def test_a_server_of_another_schema_follows_the_sources_and_says_so(
    start_manager: StartManager, config: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    manager = start_manager(state_dir=tmp_path / "state")
    opens(manager, config)
    manager.close()
    (other := tmp_path / "limits.toml").write_text("low = 7\n")
    with EmbeddedManager(ConfigLoader(Limits, other), watch=False, state_dir=tmp_path / "state") as later:
        assert later.current.low == 7
        assert later.status().provisional == ""
    assert "nobody confirmed what runs, and this server's schema is not that of version 1" in capfd.readouterr().err


# ---- the disk, the date


def test_an_undo_for_which_the_disk_has_no_room_is_done_when_there_is_room(
    passing: Passing, manager: Manager, start_worker: StartWorker, config: Path
) -> None:
    worker = start_worker(manager)
    await_fold(manager)
    opens(manager, config, within=SOON)
    await_fold(manager)
    with limited(manager.owner_pid, resource.RLIMIT_FSIZE, A_MARK):
        passing.by(SOON, manager)
        eventually(lambda: manager.get_stats()["phase"] == "recording", "an undo that can't be written")
        assert worker.ask("read") == (2, 2)
    assert worker.ask("await_number", 1) == undone(manager).version


@pytest.mark.parametrize("days", [-30, slow(30)])
def test_a_date_that_jumps_neither_ends_nor_lengthens_a_window(
    start_manager: StartManager,
    start_worker: StartWorker,
    config: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    days: int,
) -> None:
    """Neither for the owner that has opened it, nor for the next one."""
    date = Jumping(tmp_path / "date", monkeypatch)
    passing = Passing(tmp_path / "passed", monkeypatch)
    manager = start_manager()
    worker = start_worker(manager)
    opens(manager, config)
    date.to(days * 86400.0)
    assert manager.reload().result is UNCHANGED
    kill_the_owner(manager)
    assert manager.reload().result is UNCHANGED
    assert (worker.ask("read"), is_open(manager)) == ((2, 2), True)
    assert manager.reload(confirm_within=SOON).result is UNCHANGED
    date.to(0)
    passing.by(SOON, manager)
    assert worker.ask("await_number", 1)
    assert undone(manager).version == 3
