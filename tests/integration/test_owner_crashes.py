"""An owner that the file itself ends, or holds up: it happens once, and everything else goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from confcast import ConfcastError, ConfigLoader, ConfigReloadManager, ReloadResult
from tests.support.fixtures import Manager, StartManager, StartWorker
from tests.support.gate import Gate
from tests.support.passing import Passing
from tests.support.settings import SCHEMA, Settings, write
from tests.support.slow import slow
from tests.support.stuck import Stuck
from tests.support.waiting import LONG, eventually, history_of, in_thread

DEADLY = ("leave at once", "segfault", "be killed by the kernel")


def skipped(manager: Manager) -> bool:
    """Whether the newest owner has found content that one before it died of, and left it alone."""
    found = [event for event in history_of(manager) if event.origin == "restart"]
    return bool(found) and "an owner died while it loaded exactly this content" in str(found[0].error_message)


# ---- the file ends it


@pytest.mark.parametrize("deed", [DEADLY[0], slow(DEADLY[1]), DEADLY[2]])
def test_content_that_kills_is_loaded_once_and_workers_go_on(
    deed: str, start_manager: StartManager, start_worker: StartWorker, config: Path
) -> None:
    """Watching goes on too: the next good content is taken up, by the same second owner."""
    manager = start_manager(watch=True)
    worker = start_worker(manager)
    first = manager.owner_pid
    write(config, 2, deed=deed)
    eventually(lambda: manager.owner_pid not in (0, first) and skipped(manager), "an owner that leaves it alone")
    second = manager.owner_pid
    assert [one.ask("read") for one in (worker, start_worker(manager))] == [(1, 1)] * 2

    write(config, 3)

    assert worker.ask("await_number", 3) == 2
    assert manager.owner_pid == second
    assert manager.get_stats()["owner_restarts"] == 1


def test_a_call_that_kills_is_asked_of_one_more_owner_and_no_further(
    start_manager: StartManager, start_worker: StartWorker, config: Path
) -> None:
    manager = start_manager()
    worker = start_worker(manager)
    write(config, 2, deed="segfault")

    assert manager.reload().result is ReloadResult.OWNER_UNAVAILABLE

    eventually(lambda: skipped(manager), "an owner that leaves it alone")
    assert manager.get_stats()["owner_restarts"] == 2
    assert worker.ask("read") == (1, 1)
    write(config, 3)
    assert manager.reload().version == 2


@pytest.mark.parametrize(("deed", "raised"), [("leave", "SystemExit"), ("take all memory", "MemoryError")])
def test_content_that_ends_only_the_load_is_refused_by_an_owner_that_stays(
    deed: str, raised: str, manager: Manager, start_worker: StartWorker, config: Path
) -> None:
    worker, owner = start_worker(manager), manager.owner_pid
    write(config, 2, deed=deed)

    event = manager.reload()

    assert (event.result, event.version) == (ReloadResult.VALIDATION_FAILED, 1)
    assert raised in str(event.error_message)
    write(config, 3)
    assert manager.reload().version == 2
    assert (worker.ask("read"), manager.owner_pid) == ((2, 3), owner)


def test_a_first_content_that_kills_is_said_where_the_manager_starts(start_manager: StartManager, config: Path) -> None:
    write(config, 1, deed="segfault")

    with pytest.raises(ConfcastError, match="the config owner died while it started"):
        start_manager()


# ---- the file holds it up


@pytest.fixture
def stuck(passing: Passing, gate: Gate, config: Path) -> ConfigReloadManager[Settings]:
    """Its source hangs while the gate is shut."""
    loader: ConfigLoader[Settings] = ConfigLoader(SCHEMA, config, Stuck(str(gate.path)))
    return ConfigReloadManager(loader, watch=False, load_timeout=3.0, vote_timeout=10.0)


def test_while_a_source_hangs_the_owner_answers_everyone_else(
    passing: Passing, stuck: ConfigReloadManager[Settings], start_worker: StartWorker, config: Path, gate: Gate
) -> None:
    with stuck as manager:
        worker, owner = start_worker(manager), manager.owner_pid
        write(config, 2)
        gate.shut()
        outcome = in_thread(manager.reload)
        gate.await_load()

        assert manager.get_stats()["version"] == 1
        assert manager.get_event_history()[-1].origin == "start"
        late = start_worker(manager)
        assert {status.pid for status in manager.workers()} == {worker.pid, late.pid}
        assert late.ask("connected") is True

        passing.by(LONG, manager)
        assert "load took longer than 3 s" in str(outcome().error_message)
        gate.open()
        gate.let_go()
        assert eventually(manager.reload, "a reload that goes through").version == 2
        assert (late.ask("read"), manager.owner_pid) == ((2, 2), owner)


def test_a_source_that_hangs_a_second_time_gets_a_new_owner_and_nobody_waits_for_it(
    passing: Passing, stuck: ConfigReloadManager[Settings], start_worker: StartWorker, config: Path, gate: Gate
) -> None:
    with stuck as manager:
        worker, owner = start_worker(manager), manager.owner_pid
        gate.shut()
        for _ in range(2):
            event = passing.over_load(manager, lambda: worker.ask("reload"))
            assert event.result in (ReloadResult.IO_ERROR, ReloadResult.OWNER_UNAVAILABLE)
        eventually(lambda: manager.owner_pid not in (0, owner), "the next owner")
        assert start_worker(manager).ask("read") == (1, 1)
        write(config, 2)

        gate.open()

        assert eventually(manager.reload, "a reload that goes through").version == 2
        assert worker.ask("read") == (2, 2)


def test_a_source_that_hangs_holds_up_no_close(
    stuck: ConfigReloadManager[Settings], gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    with stuck as manager:
        gate.shut()
        manager.request_reload()
        gate.await_load()

    assert "killed" not in caplog.text
