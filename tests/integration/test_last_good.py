"""A server whose sources are refused at a boot starts on the newest good version, in real processes."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from confcast import ConfcastError, ConfigError, ConfigLoader, ReloadResult
from confcast.master.embedded import EmbeddedManager
from tests.integration.test_generations import successor
from tests.support.certified import SCHEMA as CERTIFIED
from tests.support.commands import runner
from tests.support.fixtures import Manager, StartManager, StartWorker
from tests.support.gate import Gate
from tests.support.late import one_is_late
from tests.support.owners import kill_the_owner
from tests.support.passing import Passing
from tests.support.settings import write
from tests.support.slow import slow
from tests.support.waiting import eventually, history_of

Boot = Callable[..., Manager]
BROKEN = "number = 'many'\ntwin = 3\n"


@pytest.fixture
def boot(start_manager: StartManager, config: Path, tmp_path: Path) -> Boot:
    """Starts a server on the state folder, as after a boot of the machine."""
    return lambda **options: start_manager(state_dir=tmp_path / "state", on_start_error="last_good", **options)


@pytest.fixture
def served(boot: Boot, config: Path) -> None:
    """A server has run: versions 1 and 2 are kept and good. Then the file was broken."""
    manager = boot()
    write(config, 2)
    assert manager.reload()
    manager.close()
    config.write_text(BROKEN)


def held(manager: Manager) -> dict[str, Any] | None:
    return manager.get_stats()["held"]


def told(manager: Manager) -> list[tuple[str, str, int]]:
    return [(event.origin, event.result.value, event.version) for event in history_of(manager)]


@pytest.mark.usefixtures("served")
def test_it_serves_the_newest_good_version_and_says_so_loudly(
    boot: Boot, start_worker: StartWorker, capfd: pytest.CaptureFixture[str]
) -> None:
    manager = boot()
    assert (manager.current.number, manager.version) == (2, 2)
    assert start_worker(manager).ask("read") == (2, 2)
    assert manager.get_stats()["total_reloads"] == 1, "neither the start's load nor what followed is a reload"
    assert told(manager)[:2] == [("last_good", "unchanged", 2), ("start", "validation_failed", 2)]
    found = held(manager)
    assert found is not None
    assert (found["version"], found["boot"]) == (2, True)
    said = [line for line in capfd.readouterr().err.splitlines() if "ERROR" in line]
    assert "start: refused (validation_failed)" in said[0]
    assert "number: Input should be a valid integer" in said[1]
    assert "the server starts on version 2, the newest good one, since its sources were refused" in said[-1]
    assert "mend them" in said[-1]


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize("how", ["watch", slow("signal"), slow("call")])
def test_it_ends_by_itself_as_soon_as_the_sources_are_applied(
    boot: Boot, start_worker: StartWorker, config: Path, how: str
) -> None:
    manager = boot(watch=how == "watch")
    worker = start_worker(manager)
    assert manager.reload().result is ReloadResult.VALIDATION_FAILED
    assert held(manager)
    write(config, 3)
    if how == "call":
        assert manager.reload().result is ReloadResult.SUCCESS
    elif how == "signal":
        manager.request_reload()
    assert worker.ask("await_number", 3) == 3
    eventually(lambda: held(manager) is None, "that nothing is held")
    kill_the_owner(manager)
    assert manager.reload().result is ReloadResult.UNCHANGED
    assert held(manager) is None


@pytest.mark.usefixtures("served")
def test_sources_that_say_what_runs_end_it_too_and_a_missing_file_is_a_refusal(boot: Boot, config: Path) -> None:
    config.unlink()
    manager = boot()
    assert told(manager)[1] == ("start", "file_not_found", 2)
    write(config, 2)
    assert manager.reload().result is ReloadResult.UNCHANGED
    assert (held(manager), manager.version) == (None, 2)


@pytest.mark.usefixtures("served")
def test_a_load_that_hangs_is_a_refusal_too_and_goes_on_behind_what_is_served(
    boot: Boot, start_worker: StartWorker, config: Path, gate: Gate
) -> None:
    gate.shut()
    write(config, 3, gate=str(gate.path))
    manager = boot(load_timeout=0.5)
    worker = start_worker(manager)
    assert worker.ask("read") == (2, 2)
    hung = history_of(manager)[1]
    assert hung.result is ReloadResult.IO_ERROR
    assert "load took longer than 0.5 s" in str(hung.error_message)
    gate.await_load()
    gate.open()
    gate.let_go()
    eventually(lambda: manager.reload().result is ReloadResult.SUCCESS, "a load that passes the gate")
    assert (worker.ask("read"), held(manager)) == ((3, 3), None)


@pytest.mark.usefixtures("served")
def test_a_content_that_an_owner_has_died_of_is_a_refusal_at_the_start_after_that(boot: Boot, config: Path) -> None:
    write(config, 3, deed="segfault")
    with pytest.raises(ConfcastError):
        boot()
    manager = boot()
    assert manager.current.number == 2
    assert "an owner died while it loaded exactly this content" in str(history_of(manager)[1].error_message)
    write(config, 3)
    assert manager.reload().result is ReloadResult.SUCCESS


@pytest.mark.usefixtures("served")
def test_the_next_owner_goes_on_with_it(boot: Boot, start_worker: StartWorker, config: Path) -> None:
    manager = boot(watch=True)
    worker = start_worker(manager)
    before = held(manager)
    dead = kill_the_owner(manager)
    eventually(lambda: manager.owner_pid not in (0, dead), "the next owner")
    eventually(lambda: told(manager)[:1] == [("restart", "validation_failed", 2)], "that it has looked at the sources")
    after = held(manager)
    assert before is not None
    assert after is not None
    assert (after["version"], after["boot"]) == (before["version"], True)
    write(config, 3)
    eventually(lambda: worker.ask("read") == (3, 3), "the sources' version")
    eventually(lambda: held(manager) is None, "that nothing is held")


@pytest.mark.slow
@pytest.mark.usefixtures("served")
def test_a_worker_that_refuses_what_was_mended_leaves_it(boot: Boot, start_worker: StartWorker, config: Path) -> None:
    manager = boot()
    worker = start_worker(manager)
    worker.ask("object_to", "not three")
    write(config, 3)
    assert manager.reload().result is ReloadResult.REJECTED
    assert held(manager)
    assert worker.ask("read") == (2, 2)


def test_a_version_that_was_declined_is_passed_over(
    passing: Passing, boot: Boot, start_worker: StartWorker, config: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    manager = boot()
    answering, stopped = one_is_late(passing, manager, start_worker, config, "not two")
    stopped.signal(signal.SIGCONT)
    eventually(lambda: not manager.versions()[0].good, "its refusal")
    manager.close()
    answering.kill()
    stopped.kill()
    config.write_text(BROKEN)

    manager = boot()

    assert (manager.current.number, manager.version) == (1, 3)
    newest = manager.versions()[0]
    assert (newest.version, newest.origin, newest.good, newest.who) == (3, "last_good", True, None)
    found = held(manager)
    assert found is not None
    assert found["version"] == 1
    assert "starts on version 3, which has the content of version 1" in capfd.readouterr().err


@pytest.mark.slow
@pytest.mark.usefixtures("served")
def test_a_version_of_another_schema_is_passed_over_and_named(
    start_manager: StartManager, boot: Boot, config: Path, tmp_path: Path
) -> None:
    config.write_text(f"number = 1\n[tls]\ncertificate = '{config}'\n")
    deployed: EmbeddedManager[Any] = EmbeddedManager(ConfigLoader(CERTIFIED, config), state_dir=tmp_path / "state")
    with deployed:
        assert deployed.version == 3
    config.write_text(BROKEN)

    manager = boot()

    assert (manager.current.number, manager.version) == (2, 4)
    (note,) = history_of(manager)[0].notes
    assert "version 3 was committed under another schema" in note
    assert "tls" in note


def test_without_a_good_version_the_start_fails_and_says_that_there_is_none(
    boot: Boot, config: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config.write_text(BROKEN)
    with pytest.raises(ConfigError) as caught:
        boot()
    assert "last_good: refused" not in capfd.readouterr().err, "the master reports it"
    first, last = caught.value.problems
    assert first.key == "number"
    assert "no version is kept that was good" in last.message
    assert caught.value.reason == "validation_failed"
    write(config, 1)
    assert boot().version == 1


@pytest.mark.slow
@pytest.mark.usefixtures("served")
def test_without_the_option_the_start_fails(start_manager: StartManager, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        start_manager(state_dir=tmp_path / "state")
    assert [problem.key for problem in caught.value.problems] == ["number"]


def test_the_end_of_a_value_while_no_server_ran_is_no_start(
    start_manager: StartManager, config: Path, tmp_path: Path
) -> None:
    first = start_manager(state_dir=tmp_path / "state")
    assert first.set({"name": "two"}, ttl=1.0)
    end = time.time() + 1.0
    first.close()
    config.write_text(BROKEN)
    eventually(lambda: time.time() > end, "the end of the value")
    with pytest.raises(ConfigError) as caught:
        start_manager(state_dir=tmp_path / "state")
    assert [problem.key for problem in caught.value.problems] == ["number"]


@pytest.mark.usefixtures("served")
def test_the_next_boot_tries_the_sources_first(boot: Boot, config: Path) -> None:
    boot().close()
    manager = boot()
    assert (manager.version, bool(held(manager))) == (2, True)
    manager.close()
    write(config, 3)
    manager = boot()
    assert (manager.version, held(manager)) == (3, None)
    assert told(manager)[0] == ("start", "success", 3)


@pytest.mark.slow
def test_a_full_reload_is_refused_as_ever_since_the_server_serves(boot: Boot, config: Path, tmp_path: Path) -> None:
    manager = boot()
    manager.pause()
    config.write_text(BROKEN)
    following = successor(manager, config, state_dir=tmp_path / "state", on_start_error="last_good")
    with pytest.raises(ConfigError):
        following.start()
    manager.unpause()
    assert manager.get_stats()["version"] == 1


@pytest.mark.slow
def test_what_needs_a_restart_runs_as_the_good_version_had_it(start_manager: StartManager, tmp_path: Path) -> None:
    file = tmp_path / "certified.toml"

    def text(workers: Any) -> str:
        return f"workers = {workers}\n[tls]\ncertificate = '{tmp_path}/app.pem'\n"

    def begin() -> EmbeddedManager[Any]:
        loader: ConfigLoader[Any] = ConfigLoader(CERTIFIED, file)
        state = tmp_path / "certified-state"
        return EmbeddedManager(loader, watch=False, state_dir=state, on_start_error="last_good").start()

    (tmp_path / "app.pem").write_text("certificate")
    file.write_text(text(4))
    begin().close()
    file.write_text(text("'many'"))
    with begin() as manager:
        file.write_text(text(8))
        event = manager.reload()
        assert [(change.key, change.old, change.new) for change in event.pending] == [("workers", 4, 8)]
        assert manager.current.workers == 4
        assert manager.get_stats()["held"] is None


@pytest.mark.usefixtures("served")
def test_the_command_line_shows_it_and_needs_no_resume(
    boot: Boot, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manager = boot()
    run = runner(capsys)
    status, text, _ = run("status", "--address", manager.address)
    assert status == 0
    assert "held     the content of version 2, since " in text
    assert "the sources were refused when the server started" in text
    assert "sources  refused: version 2 stays in use" in text
    assert "number: Input should be a valid integer" in text
    assert "confcast resume" not in text
    found = json.loads(run("status", "--address", manager.address, "--json")[1])
    assert (found["held"]["boot"], found["sources"]) == (True, "refused")
    write(config, 3)
    assert run("reload", "--address", manager.address)[0] == 0
    assert "held" not in run("status", "--address", manager.address)[1]
