"""The versions that an owner keeps, as workers, masters and the command line are told of them."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from confcast import ConfigLoader, ReloadResult, VersionInfo, Who
from confcast.master.embedded import EmbeddedManager
from confcast.wire import processes
from confcast.wire.files import owner_dirs
from confcast.wire.messages import Outcome, Reload
from confcast.worker.client.connection_per_call import AddressClient
from tests.integration.test_generations import successor
from tests.support.commands import runner
from tests.support.fixtures import Manager, StartManager, StartWorker
from tests.support.late import one_is_late
from tests.support.owners import await_fold, kill_the_owner
from tests.support.passing import Passing
from tests.support.settings import Limits, write
from tests.support.slow import slow
from tests.support.waiting import DEADLINE, eventually


def told(manager: Manager) -> list[tuple[int, str, bool]]:
    return [(each.version, each.origin, each.good) for each in manager.versions()]


def test_each_version_is_kept_with_who_called_and_nobody_is_named_for_a_start(
    manager: Manager, start_worker: StartWorker, config: Path
) -> None:
    worker = start_worker(manager)
    write(config, 2)
    event = manager.reload()
    write(config, 3)
    worker.ask("reload")
    newest, second, first = manager.versions()
    assert told(manager) == [(3, "call", True), (2, "call", True), (1, "start", True)]
    command = processes.command(os.getpid())
    assert second.who is not None
    assert second.who == event.who == Who(os.geteuid(), os.getpid(), second.who.command)
    assert command.startswith(second.who.command.rstrip("…"))
    assert newest.who is not None
    assert newest.who.pid == worker.pid
    assert first.who is None
    assert [each.restorable for each in (newest, second, first)] == [True] * 3
    assert manager.versions(limit=1) == [newest]
    assert manager.snapshot.digest.hex() == newest.digest
    assert manager.get_event_history()[0].who == newest.who


def test_no_more_are_kept_than_the_option_says(start_manager: StartManager, config: Path) -> None:
    manager = start_manager(keep_versions=2)
    for number in (2, 3, 4):
        write(config, number)
        assert manager.reload()
    assert told(manager) == [(4, "call", True), (3, "call", True)]


def test_a_changed_file_and_a_signal_have_no_caller(start_manager: StartManager, config: Path) -> None:
    manager = start_manager(watch=True)
    write(config, 2)
    eventually(lambda: told(manager)[0] == (2, "watch", True), "that it is noticed, and its outcome")
    assert manager.versions()[0].who is None
    manager.request_reload()
    eventually(lambda: manager.get_event_history()[0].origin == "signal", "the signal's load")
    assert manager.get_event_history()[0].who is None


def test_a_version_that_a_worker_is_late_for_is_good_until_that_worker_declines_it(
    passing: Passing, manager: Manager, start_worker: StartWorker, config: Path
) -> None:
    answering, stopped = one_is_late(passing, manager, start_worker, config, "the index does not fit into 2")
    assert told(manager)[0] == (2, "call", True)
    stopped.signal(signal.SIGCONT)
    eventually(lambda: told(manager)[0] == (2, "call", False), "its refusal")
    assert answering.ask("read") == (2, 2)
    assert manager.reload().result is ReloadResult.UNCHANGED
    assert told(manager)[0] == (2, "call", False)


def test_a_reason_is_kept_with_the_version_and_told_with_its_event(manager: Manager, config: Path) -> None:
    write(config, 2)
    client = AddressClient(manager.address, "app")
    answer = client.ask(lambda number: Reload(number, "command", None, "a new limit"), DEADLINE)
    assert isinstance(answer, Outcome)
    assert (answer.event.version, answer.event.reason) == (2, "a new limit")
    assert manager.get_event_history()[0].reason == manager.versions()[0].reason == "a new limit"


@pytest.mark.parametrize("folded", [True, slow(False)])
def test_they_outlive_an_owner_that_is_killed(manager: Manager, config: Path, folded: bool) -> None:
    write(config, 2)
    assert manager.reload()
    before = manager.versions()
    if folded:
        await_fold(manager)
    kill_the_owner(manager)
    assert manager.reload().result is ReloadResult.UNCHANGED
    assert manager.versions() == before


def test_they_outlive_a_stop_and_a_full_reload(start_manager: StartManager, config: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    first = start_manager(state_dir=state)
    write(config, 2)
    assert first.reload()
    first.close()
    second = start_manager(state_dir=state)
    write(config, 3)
    assert second.reload()
    kept = second.versions()
    assert [each.version for each in kept] == [3, 2, 1]
    second.pause()
    with successor(second, config, state_dir=state).start() as following:
        assert following.versions() == kept
        second.close()
        write(config, 4)
        assert following.reload()
        assert following.versions()[1:] == kept


def test_of_another_schema_they_are_listed_and_can_not_be_restored(
    start_manager: StartManager, config: Path, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    start_manager(state_dir=state).close()
    (other := tmp_path / "limits.toml").write_text("low = 7\n")
    with EmbeddedManager(ConfigLoader(Limits, other), watch=False, state_dir=state) as manager:
        assert [(each.version, each.restorable) for each in manager.versions()] == [(2, True), (1, False)]


# ---- the command line


def test_the_command_lists_them_and_marks_the_one_that_runs(
    manager: Manager,
    config: Path,
    runtime_folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(owner_dirs, "candidates", lambda: iter([runtime_folder]))
    monkeypatch.setattr(owner_dirs, "of_other_users", lambda name=None, master=None: [])
    run = runner(capsys)
    write(config, 2, name="hunter2")
    assert run("reload")[0] == 0
    code, out, _ = run("versions")
    head, newest, first = out.splitlines()
    assert code == 0
    assert head.split() == ["VERSION", "WHEN", "ORIGIN", "WHO", "GOOD", "REASON"]
    assert newest.split()[:2] == ["*", "2"]
    assert f"process {os.getpid()}: " in newest
    assert first.split()[0] == "1"
    assert first.split()[3:] == ["start", "-", "yes"]
    assert len(run("versions", "-n", "1")[1].splitlines()) == 2
    code, out, _ = run("versions", "--json")
    listed = json.loads(out)
    assert (code, listed["version"], [each["version"] for each in listed["versions"]]) == (0, 2, [2, 1])
    assert set(listed["versions"][0]) == set(VersionInfo.__struct_fields__)
    assert "hunter2" not in out


@pytest.mark.parametrize("count", ["0", "-1", "many"])
def test_no_number_of_versions_is_usage(capsys: pytest.CaptureFixture[str], count: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        runner(capsys)("versions", "-n", count)
