"""G6: the owner may be killed at any point; workers keep serving, and what was committed never un-happens."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path

import pytest

from confcast import ConfcastError, ConfigLoader, ConfigReloadManager, ReloadResult
from confcast.config.codec import Codec
from confcast.config.codec.codec import digest
from confcast.master.start import launch
from confcast.wire.files import snapshot_file
from tests.support.fixtures import Manager, StartManager, StartWorker
from tests.support.gate import Gate
from tests.support.owners import await_one_that_can_t_start, await_the_next, kill_it_while_it_loads, kill_the_owner
from tests.support.programs import Program
from tests.support.settings import Settings, numbered, write
from tests.support.waiting import eventually, history_of, in_thread


@pytest.fixture
def young(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long a loaded machine takes between an owner's start and its death, it has died young."""
    monkeypatch.setattr(launch, "_FOR_A_WHILE", 1000.0)


def test_workers_keep_serving_and_the_version_history_and_totals_continue(
    manager: Manager, start_worker: StartWorker, config: Path
) -> None:
    workers = [start_worker(manager) for _ in range(2)]
    write(config, 2)
    assert manager.reload()
    write(config, -1)
    assert not manager.reload()
    assert manager.get_stats()["failed_reloads"] == 1  # an event is written just after its outcome was answered
    write(config, 2)

    dead = kill_the_owner(manager)
    assert [worker.ask("read") for worker in workers] == [(2, 2)] * 2
    await_the_next(manager, dead)
    for worker in workers:
        worker.ask("await_connected", True)
    for _ in range(2):  # the next owner's own first load may come after the first of these, and not after the second
        assert manager.reload().result is ReloadResult.UNCHANGED
    write(config, 3)
    event = manager.reload()

    assert (event.result, event.previous_version, event.version) == (ReloadResult.SUCCESS, 2, 3)
    assert [worker.ask("read") for worker in workers] == [(3, 3)] * 2
    stats = manager.get_stats()
    assert (stats["owner_restarts"], stats["successful_reloads"], stats["failed_reloads"]) == (1, 2, 1)
    results = [event.result.value for event in manager.get_event_history() if event.origin == "call"]
    assert results == ["success", "unchanged", "unchanged", "validation_failed", "success"]


def test_a_reload_right_after_the_kill_succeeds_and_reaches_everyone(
    manager: Manager, start_worker: StartWorker, config: Path
) -> None:
    workers = [start_worker(manager) for _ in range(2)]
    write(config, 2)
    os.kill(manager.owner_pid, signal.SIGKILL)

    event = manager.reload()

    assert event, event
    assert event.version == 2
    assert [worker.ask("read") for worker in workers] == [(2, 2)] * 2


@pytest.mark.slow
def test_several_kills_in_a_row_are_counted_and_lose_nothing(manager: Manager, config: Path) -> None:
    for number in (2, 3):
        dead = kill_the_owner(manager)
        write(config, number)
        event = manager.reload()
        assert event, event
        assert event.version == number
        assert manager.owner_pid != dead

    assert manager.get_stats()["owner_restarts"] == 2


def test_a_change_made_while_there_was_no_owner_is_taken_up_by_the_next(
    start_manager: StartManager, start_worker: StartWorker, config: Path
) -> None:
    manager = start_manager(supervise="caller")
    worker = start_worker(manager)
    dead = kill_the_owner(manager)
    write(config, 2)

    await_the_next(manager, dead)

    assert worker.ask("await_number", 2) == 2


def test_a_bad_file_at_a_restart_leaves_the_committed_version(
    manager: Manager, start_worker: StartWorker, config: Path
) -> None:
    write(config, 2)
    assert manager.reload()
    config.unlink()
    kill_the_owner(manager)

    event = manager.reload()

    assert (event.result, event.version) == (ReloadResult.FILE_NOT_FOUND, 2)
    assert start_worker(manager).ask("read") == (2, 2)


def test_supervised_by_the_caller_nothing_starts_until_it_says_so(
    start_manager: StartManager, start_worker: StartWorker, config: Path
) -> None:
    manager = start_manager(supervise="caller")
    worker = start_worker(manager)
    kill_the_owner(manager)
    worker.ask("await_connected", False)
    assert worker.ask("reload", 0.1).result is ReloadResult.OWNER_UNAVAILABLE
    assert worker.ask("read") == (1, 1)

    write(config, 2)
    event = manager.reload()  # the caller is there, and restarts it

    assert event, event
    assert worker.ask("read") == (2, 2)


def test_a_worker_that_starts_without_an_owner_starts_on_the_last_committed_version(
    start_manager: StartManager, start_worker: StartWorker, config: Path
) -> None:
    manager = start_manager(supervise="caller")
    write(config, 2)
    assert manager.reload()
    dead = kill_the_owner(manager)

    worker = start_worker(manager)

    assert worker.ask("read") == (2, 2)
    assert worker.ask("connected") is False
    await_the_next(manager, dead)
    worker.ask("await_connected", True)
    eventually(lambda: [event.origin for event in history_of(manager)[:1]] == ["restart"], "its own first load")
    write(config, 3)
    assert manager.reload().result is ReloadResult.SUCCESS
    assert worker.ask("read") == (3, 3)


def test_who_starts_on_a_snapshot_file_that_was_forged_is_put_right_by_the_next_owner(
    start_manager: StartManager, start_worker: StartWorker
) -> None:
    """The workers' user may write that file. What it says counts while no owner answers, and no longer."""
    manager = start_manager(supervise="caller")
    dead = kill_the_owner(manager)
    folder, payload = Path(manager.address).parent, Codec(Settings).encode(numbered(666))
    true = snapshot_file.load(folder)
    assert true is not None
    snapshot_file.save(folder, true.schema, 7, digest(payload), payload)

    worker = start_worker(manager)
    assert worker.ask("read") == (7, 666)
    await_the_next(manager, dead)
    assert worker.ask("await_number", 1) > 7  # no number stands for two contents


def test_a_call_during_which_the_owner_dies_is_asked_again_of_the_next(
    manager: Manager, config: Path, gate: Gate
) -> None:
    outcome = gate.hold_load(config, 2, lambda: in_thread(manager.reload))

    os.kill(manager.owner_pid, signal.SIGKILL)
    gate.open()

    event = outcome()
    assert event, event
    assert (event.version, manager.current.number) == (2, 2)


def test_a_worker_s_call_during_which_the_owner_dies_ends_and_reports_that_it_is_unknown(
    manager: Manager, start_worker: StartWorker, config: Path, gate: Gate
) -> None:
    worker = start_worker(manager)
    gate.hold_load(config, 2, lambda: worker.tell("reload"))

    os.kill(manager.owner_pid, signal.SIGKILL)

    assert worker.answer().result is ReloadResult.OWNER_UNAVAILABLE


def test_content_that_an_owner_died_of_is_loaded_again_only_when_asked(
    manager: Manager, start_worker: StartWorker, config: Path, gate: Gate
) -> None:
    worker = start_worker(manager)

    refused = kill_it_while_it_loads(manager, config, gate, 2)

    assert refused.result is ReloadResult.VALIDATION_FAILED
    assert "an owner died while it loaded exactly this content" in str(refused.error_message)
    assert worker.ask("read") == (1, 1)

    event = manager.reload()
    assert event, event
    assert worker.ask("read") == (2, 2)


def test_with_a_state_folder_version_and_history_outlive_the_master(
    start_manager: StartManager, config: Path, tmp_path: Path
) -> None:
    first = start_manager(state_dir=tmp_path / "state")
    write(config, 2)
    assert first.reload().version == 2
    first.close()

    second = start_manager(state_dir=tmp_path / "state")

    assert (second.version, second.current.number) == (2, 2)
    assert second.get_stats()["successful_reloads"] == 1
    write(config, 3)
    assert second.reload().version == 3


def test_two_masters_can_t_share_a_state_folder(start_manager: StartManager, config: Path, tmp_path: Path) -> None:
    program = (
        "import sys, json; from confcast import *; "
        "m = ConfigReloadManager(ConfigLoader('tests.support.settings:Settings', sys.argv[1]), state_dir=sys.argv[2]);"
        "m.start(); print(json.dumps('ready'), flush=True); sys.stdin.read(); m.close()"
    )
    other = Program("-c", program, str(config), str(tmp_path / "state"))
    try:
        with pytest.raises(ConfcastError, match=f"in use by the config owner .* of the master {other.pid}"):
            start_manager(state_dir=tmp_path / "state")
    finally:
        assert other.end() == 0
    assert start_manager(state_dir=tmp_path / "state").version == 1


def test_while_the_schema_can_t_be_imported_workers_serve_and_the_next_owner_that_can_goes_on(
    start_manager: StartManager,
    start_worker: StartWorker,
    config: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    young: None,
) -> None:
    """A deploy is under way, and the owner dies in the middle of it. Who can start again has not to wait for that."""
    module = tmp_path / "deployed_settings.py"
    module.write_text("from tests.support.settings import Settings\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    manager = ConfigReloadManager(
        ConfigLoader("deployed_settings:Settings", config), watch=False, supervise="caller", vote_timeout=10.0
    )
    with manager:
        worker = start_worker(manager)
        module.write_text("raise ImportError('half of a deploy')\n")
        dead = kill_the_owner(manager)
        for _ in range(2):
            dead = await_one_that_can_t_start(manager, dead)
        assert worker.ask("read") == (1, 1)
        assert capfd.readouterr().err.count("could not go on: ImportError: half of a deploy") == 2

        module.write_text("from tests.support.settings import Settings  # whole again\n")
        write(config, 2)
        event = manager.reload()

        assert (bool(event), event.version) == (True, 2), event
        assert worker.ask("read") == (2, 2)
        await_the_next(manager, kill_the_owner(manager))
        starts = [message.rpartition("starts ")[2] for message in caplog.messages if "starts " in message]
        assert starts == ["in 0.1 s", "in 0.1 s", "in 0.2 s", "in 0.2 s"]  # served, never served, never served, served


def test_where_no_process_can_be_made_it_is_tried_ever_more_slowly_and_one_death_counts_once(
    start_manager: StartManager,
    config: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    young: None,
) -> None:
    manager = start_manager(supervise="caller")

    def refused(*_: object) -> int:
        raise OSError(errno.EAGAIN, "no process is left")

    with monkeypatch.context() as patch:
        patch.setattr(launch, "execute", refused)
        kill_the_owner(manager)
        eventually(lambda: manager.ensure_owner() or caplog.text.count("could not be started") == 3, "three tries")
    write(config, 2)

    event = manager.reload()

    assert event, event
    starts = [message.rpartition("starts ")[2] for message in caplog.messages if "starts " in message]
    assert starts == ["in 0.1 s", "in 0.1 s", "in 0.2 s", "in 0.4 s"]
