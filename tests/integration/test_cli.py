"""`confcast reload` and `confcast status` with a real owner and real workers: exit codes, texts and JSON."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from confcast import Environment, ReloadResult
from confcast.cli import owners
from confcast.cli.report import spoken
from confcast.wire import processes
from confcast.wire.files import owner_dirs
from confcast.wire.listener import SOCKET
from confcast.wire.messages import Answer, Request
from confcast.worker.client import known_owners, owner_client, verbs
from tests.support.commands import Run, runner
from tests.support.fixtures import Manager, StartManager, StartWorker
from tests.support.late import one_is_stopped
from tests.support.leaks import nobody_listens
from tests.support.passing import Passing
from tests.support.settings import write
from tests.support.slow import slow
from tests.support.stopping import stop
from tests.support.waiting import DEADLINE, eventually, in_thread

pytestmark = pytest.mark.usefixtures("no_other_owners")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(capsys)


# ---- reload


def test_reload_applies_in_every_worker(manager: Manager, start_worker: StartWorker, config: Path, run: Run) -> None:
    pids = sorted(start_worker(manager).pid for _ in range(2))
    write(config, 2)
    code, out, _ = run("reload")
    first, *changes = out.splitlines()[:3]
    assert code == 0
    assert first.startswith("success: version 1 -> 2 (")
    assert changes == ["  number: 1 -> 2", "  twin: 1 -> 2"]
    assert [row.split() for row in out.splitlines()[4:]] == [[str(pid), "2", "current"] for pid in pids]


def test_a_reload_by_command_is_known_as_one(manager: Manager, run: Run) -> None:
    code, out, _ = run("reload", "--json")
    told = json.loads(out)
    assert (code, told["result"], told["origin"], told["version"]) == (0, "unchanged", "command", 1)
    assert manager.get_event_history(1)[0].origin == "command"


def test_an_edit_that_the_environment_hides_is_reported_by_place_and_name(
    start_manager: StartManager, config: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APP_NAME", "of the environment")
    manager = start_manager(config, Environment("APP_"), watch=True)
    write(config, 1, name="of the file")
    note = f"unchanged: your edit of `name` ({config}:3:8) is hidden by environment variable APP_NAME"

    seen = eventually(lambda: [event for event in manager.get_event_history() if event.origin == "watch"], "the watch")
    assert [(event.result, event.problems, event.notes) for event in seen] == [(ReloadResult.UNCHANGED, [], [note])]
    code, out, _ = run("reload")
    assert (code, out.splitlines()[1]) == (0, f"  {note}")


def test_a_refused_reload_exits_with_1_and_shows_the_place(manager: Manager, config: Path, run: Run) -> None:
    config.write_text("number = -1\ntwin = -1\n", encoding="utf-8")
    code, out, _ = run("reload")
    assert code == 1
    assert out.startswith("validation_failed: nothing was changed, version 1 runs on")
    assert "app.toml:1:10: number: Input should be greater than or equal to 0 (got -1)" in out


def test_a_veto_exits_with_1_and_names_the_worker(
    manager: Manager, start_worker: StartWorker, config: Path, run: Run
) -> None:
    worker = start_worker(manager)
    worker.ask("object_to", "not today")
    write(config, 2)
    code, out, _ = run("reload")
    assert code == 1
    assert "  not applied: number: 1 -> 2" in out.splitlines()
    assert f"worker {worker.pid}: " in out
    assert "not today" in out


def test_a_worker_that_does_not_answer_makes_it_4_and_is_named(
    passing: Passing, manager: Manager, start_worker: StartWorker, config: Path, run: Run
) -> None:
    answering, stopped = one_is_stopped(manager, start_worker)
    write(config, 2)
    code, out, _ = passing.over_silence(manager, lambda: run("reload", "--json"), stopped.pid)
    told = json.loads(out)
    states = {worker["pid"]: (worker["version"], worker["state"]) for worker in told["workers"]}
    assert (code, told["result"]) == (4, "partial")
    assert states == {answering.pid: (2, "current"), stopped.pid: (1, "late")}


def test_a_worker_that_was_late_before_makes_unchanged_4_too(
    passing: Passing, manager: Manager, start_worker: StartWorker, config: Path, run: Run
) -> None:
    _, stopped = one_is_stopped(manager, start_worker)
    write(config, 2)
    seen = passing.over_silence(manager, manager.reload, stopped.pid)  # by the watch, when a deploy has edited the file
    assert seen.lagging
    code, out, _ = run("reload")
    assert code == 4
    assert out.startswith("unchanged: version 2, not in every worker (")
    assert [str(stopped.pid), "1", "late"] in [line.split()[:3] for line in out.splitlines()]


def test_the_timeout_bounds_the_whole_command(runtime_folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """An owner that is stopped takes connections, and answers nothing: what is asked next has the time that is left."""
    granted: list[float] = []
    ask = owners.OwnerClient.ask

    def noted(owner: owners.OwnerClient, make: Callable[[int], Request], timeout: float) -> Answer | None:
        granted.append(timeout)
        return ask(owner, make, timeout)

    monkeypatch.setattr(owners.OwnerClient, "ask", noted)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(runtime_folder / SOCKET))
        silent.listen()
        code, out, _ = run("reload", "--address", str(runtime_folder / SOCKET), "--timeout", "0.3")
    (runtime_folder / SOCKET).unlink()
    assert code == 3
    assert "owner_unavailable" in out
    assert 0 < granted[0] <= 0.3
    assert all(timeout <= owner_client._RETRY for timeout in granted[1:])


@pytest.mark.parametrize(("command", "code"), [slow("status", 141), ("reload", 1), slow("reload --help", 141)])
def test_a_reader_that_has_enough_ends_the_command_quietly(
    command: str, code: int, manager: Manager, config: Path
) -> None:
    """As `confcast status | head -1` does. The status is that of other tools, unless the verdict says more.

    Where Python does not buffer, argparse meets the error of a help text itself, and ignores it: the status is 0 then.
    """
    config.write_text("number = -1\ntwin = -1\n", encoding="utf-8")
    reading, writing = os.pipe()
    os.close(reading)
    arguments = [sys.executable, "-m", "confcast", *command.split(), "--address", manager.address]
    buffering = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        arguments, stdout=writing, stderr=subprocess.PIPE, text=True, check=False, timeout=DEADLINE, env=buffering
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (code, "")


@pytest.mark.parametrize(
    ("where", "code", "said"),
    [
        (">/dev/full", 141, "confcast: the report can't be written: No space left on device\n"),
        slow(">&-", 0, ""),
        slow("2>&-", 0, ""),
    ],
)
def test_a_report_that_can_not_be_written_changes_nothing_about_what_was_done(
    manager: Manager, where: str, code: int, said: str
) -> None:
    command = f"'{sys.executable}' -m confcast reload --address '{manager.address}' {where}"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False, timeout=DEADLINE)
    assert (done.returncode, done.stderr) == (code, said)
    assert manager.get_event_history(1)[0].origin == "command"


# ---- status


def test_status_lists_every_worker_with_its_version(manager: Manager, start_worker: StartWorker, run: Run) -> None:
    worker = start_worker(manager)
    eventually(lambda: [worker.state for worker in manager.workers()] == ["current"], "the worker's answer")
    code, out, _ = run("status", "--json")
    told = json.loads(out)
    assert code == 0
    assert (told["version"], told["owner_pid"], told["sources"]) == (1, manager.owner_pid, "applied")
    assert told["last"]["origin"] == "start"
    known = {"pid": worker.pid, "version": 1, "state": "current", "reason": ""}
    assert told["workers"] == [{**known, "observer_failures": 0, "last_observer_error": ""}]


def test_status_shows_that_the_sources_are_refused_and_why(manager: Manager, config: Path, run: Run) -> None:
    config.write_text("number = -1\ntwin = -1\n", encoding="utf-8")
    assert not manager.reload()
    code, out, _ = run("status")
    assert code == 0
    assert "sources  refused: version 1 stays in use" in out
    assert "app.toml:1:10: number" in out


def test_status_waits_for_the_next_owner(manager: Manager, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owner_client, "_RESTART", DEADLINE)  # a loaded machine takes longer to start one
    dead = manager.owner_pid
    os.kill(dead, signal.SIGKILL)
    code, out, _ = run("status", "--json")
    told = json.loads(out)
    assert (code, told["owner_restarts"]) == (0, 1)
    assert told["owner_pid"] != dead


# ---- an owner that is down


@pytest.mark.parametrize(
    ("command", "socket_is_left"), [("reload", True), ("status", False), slow("reload", False), slow("status", True)]
)
def test_between_two_owners_it_is_said_who_brings_the_next(
    command: str, socket_is_left: bool, start_manager: StartManager, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner_client, "_RESTART", 0.1)
    manager = start_manager(supervise="caller")  # no next one before it says so
    os.kill(manager.owner_pid, signal.SIGKILL)
    eventually(lambda: nobody_listens(manager.address), "the owner's end")
    if not socket_is_left:
        Path(manager.address).unlink()
    code, out, err = run(command)
    assert (code, out) == (3, "")
    assert err == (
        f"confcast {command}: the config owner of 'app' is down; its master (process {os.getpid()}) restarts it, "
        "after a pause of at most 30 s, and says why in its log; workers keep serving with the version they have\n"
    )


def test_an_owner_that_dies_over_the_question_leaves_the_outcome_unknown(
    runtime_folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner_client, "_RESTART", 0.1)
    folder = runtime_folder / f"confcast-app-{os.getpid()}-x"
    folder.mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / SOCKET))
        listening.listen()
        command = in_thread(lambda: run("reload", "--address", str(folder / SOCKET)))
        with listening.accept()[0] as connection:
            connection.recv(65536)
            listening.close()
    code, _, err = command()
    shutil.rmtree(folder)
    assert code == 3
    assert "is down; " in err
    assert err.endswith("; it ended over what it was asked: whether that was done is unknown\n")


# ---- which owner


def test_without_an_address_the_only_owner_is_found(manager: Manager, run: Run) -> None:
    os.environ.pop("CONFCAST_ADDRESS_APP", None)
    code, out, _ = run("status")
    assert code == 0
    assert manager.address in out


def test_several_owners_are_listed_and_none_is_chosen(start_manager: StartManager, run: Run) -> None:
    app, other = start_manager(), start_manager(name="other/one")
    os.environ.pop("CONFCAST_ADDRESS_APP", None)
    os.environ.pop("CONFCAST_ADDRESS_OTHER_ONE", None)
    code, out, err = run("reload")
    assert (code, out) == (3, "")
    assert "2 config owners run for this user; choose one by --name, --pid or --address:" in err
    assert err.splitlines()[1].split("  ")[0] == "NAME"
    mine = [str(os.getpid()), "1", str(Path.cwd()), spoken(processes.command(os.getpid()))[:20]]
    for row, name in zip(err.splitlines()[2:], ("app", "other_one"), strict=True):
        *found, command = re.split(r" {2,}", row)[:5]
        assert [*found, command[:20]] == [name, *mine]
        assert row.endswith(f"  --name {name}")
    told = json.loads(run("reload", "--json")[1])["owners"]
    assert [each["address"] for each in told] == [app.address, other.address]
    assert [each["choose"] for each in told] == ["--name app", "--name other_one"]
    assert [owner.get_event_history(1)[0].origin for owner in (app, other)] == ["start", "start"]


@pytest.mark.parametrize("variable", [slow("CONFCAST_RUNTIME_DIR"), "RUNTIME_DIRECTORY"])
def test_the_owner_in_the_folder_that_is_named_comes_before_one_elsewhere(
    variable: str, start_manager: StartManager, runtime_folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`ExecReload=confcast reload` means its own service, whatever else runs for this user."""
    with tempfile.TemporaryDirectory(prefix="cc-") as folder:
        named = Path(folder)
        monkeypatch.setattr(owner_dirs, "candidates", lambda: iter([named, runtime_folder]))
        service = start_manager()
        monkeypatch.setattr(owner_dirs, "candidates", lambda: iter([runtime_folder, named]))
        elsewhere = start_manager(name="elsewhere")
        for each in ("CONFCAST_ADDRESS_APP", "CONFCAST_ADDRESS_ELSEWHERE"):
            del os.environ[each]  # for good: monkeypatch would put it back when its manager has gone
        monkeypatch.delenv("CONFCAST_RUNTIME_DIR")
        assert run("reload")[0] == 3

        monkeypatch.setenv(variable, folder)
        assert run("reload")[0] == 0
        assert [owner.get_stats()["total_reloads"] for owner in (service, elsewhere)] == [1, 0]
        assert elsewhere.address in run("status", "--name", "elsewhere")[1]
        monkeypatch.setenv(variable, str(named / "empty"))
        assert run("reload")[0] == 3
        service.close()


@pytest.mark.parametrize("variable", ["CONFCAST_RUNTIME_DIR", slow("RUNTIME_DIRECTORY")])
def test_the_only_owner_elsewhere_is_not_taken_for_the_one_of_the_folder_that_is_named(
    variable: str, manager: Manager, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service that is stopped has none, and its `ExecReload` reloads no other server."""
    os.environ.pop("CONFCAST_ADDRESS_APP", None)
    monkeypatch.delenv("CONFCAST_RUNTIME_DIR")
    monkeypatch.setenv(variable, str(tmp_path))

    code, out, err = run("reload")

    assert (code, out, manager.get_stats()["total_reloads"]) == (3, "", 0)
    assert f"no config owner runs in {tmp_path}, which {variable} names; 1 config owner runs elsewhere" in err
    assert err.splitlines()[-1].split()[:3] == ["app", str(os.getpid()), "1"]
    assert run("status", "--name", "app")[0] == run("status", "--pid", str(os.getpid()))[0] == 0


def test_a_variable_that_names_another_owner_than_the_one_that_is_asked_for_is_refused(
    start_manager: StartManager, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = start_manager(name="other")
    with monkeypatch.context() as patch:
        patch.setenv("CONFCAST_ADDRESS_APP", "other")
        code, _, err = run("reload", "--name", "app")
    assert (code, other.get_stats()["total_reloads"]) == (3, 0)
    assert "CONFCAST_ADDRESS_APP names the config owner of 'other', and not of 'app'" in err


@pytest.mark.slow
def test_what_is_listed_as_a_name_is_taken_as_one(start_manager: StartManager, run: Run) -> None:
    start_manager()
    other = start_manager(name="other/one")
    for variable in ("CONFCAST_ADDRESS_APP", "CONFCAST_ADDRESS_OTHER_ONE"):
        os.environ.pop(variable, None)
    code, out, _ = run("status", "--name", "other_one")
    assert code == 0
    assert other.address in out


def test_an_owner_is_chosen_by_name_or_address(start_manager: StartManager, run: Run) -> None:
    app, other = start_manager(), start_manager(name="other/one")
    os.environ.pop("CONFCAST_ADDRESS_APP", None)
    assert run("reload", "--name", "other/one")[0] == 0
    os.environ.pop("CONFCAST_ADDRESS_OTHER_ONE", None)
    assert run("reload", "--name", "other/one")[0] == 0
    assert run("reload", "--address", app.address)[0] == 0
    assert [owner.get_stats()["total_reloads"] for owner in (app, other)] == [1, 2]


def test_the_owner_at_an_address_is_recognised_by_its_name_and_not_taken_for_another(
    start_manager: StartManager, run: Run
) -> None:
    other = start_manager(name="other/one")
    assert f"version  1 of 'other_one', at {other.address}" in run("status", "--address", other.address)[1]
    assert run("reload", "--address", other.address, "--name", "other/one")[0] == 0
    code, out, err = run("reload", "--address", other.address, "--name", "app")
    assert (code, out) == (3, "")
    assert f"the config owner at {other.address} is that of 'other_one', and not of 'app'" in err
    assert other.get_stats()["total_reloads"] == 1


def test_the_one_whose_master_was_started_here_is_taken_and_that_is_said(
    start_manager: StartManager,
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    elsewhere, here = tmp_path / "elsewhere", tmp_path / "here"
    for folder in (elsewhere, here):
        folder.mkdir()
    monkeypatch.chdir(elsewhere)
    other = start_manager(name="other")
    monkeypatch.chdir(here)
    app = start_manager()
    for variable in ("CONFCAST_ADDRESS_APP", "CONFCAST_ADDRESS_OTHER"):
        del os.environ[variable]

    code, out, _ = run("status")

    assert (code, caplog.messages) == (
        0,
        [f"of 2 config owners, 'app' at {app.address} is asked: its master (process {os.getpid()}) was started here"],
    )
    assert f"master   process {os.getpid()}, started in {here}: " in out
    assert json.loads(run("status", "--json", "--name", "other")[1])["master"] == {
        "pid": os.getpid(),
        "uid": os.geteuid(),
        "working_directory": str(elsewhere),
        "command": processes.command(os.getpid()),
    }
    monkeypatch.chdir(tmp_path)
    assert run("reload")[0] == 3
    assert [owner.get_stats()["total_reloads"] for owner in (app, other)] == [0, 0]


@pytest.mark.slow
def test_the_only_one_in_the_folder_that_is_named_is_not_taken_for_the_working_directory_s(
    start_manager: StartManager,
    runtime_folder: Path,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Both masters were started here, but the folder has chosen: nothing is said."""
    with tempfile.TemporaryDirectory(prefix="cc-") as folder:
        monkeypatch.setattr(owner_dirs, "candidates", lambda: iter([Path(folder), runtime_folder]))
        service = start_manager()
        monkeypatch.setattr(owner_dirs, "candidates", lambda: iter([runtime_folder, Path(folder)]))
        start_manager(name="elsewhere")
        for each in ("CONFCAST_ADDRESS_APP", "CONFCAST_ADDRESS_ELSEWHERE"):
            del os.environ[each]
        monkeypatch.setenv("CONFCAST_RUNTIME_DIR", folder)
        assert f"at {service.address}" in run("status")[1]
        assert caplog.messages == []
        service.close()


def test_an_owner_is_found_by_any_process_of_its_server(
    manager: Manager, start_worker: StartWorker, run: Run, forkserver: object
) -> None:
    """But for the worker, each is known without asking; a fork that has not attached is its master's."""
    os.environ.pop("CONFCAST_ADDRESS_APP", None)
    attached, child = start_worker(manager), start_worker()
    eventually(lambda: manager.workers(), "the worker")
    for pid in (os.getpid(), manager.owner_pid, attached.pid, child.pid):
        assert f"at {manager.address}" in run("status", "--pid", str(pid))[1]


def test_an_owner_is_found_by_a_child_of_a_worker(
    manager: Manager, start_worker: StartWorker, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a worker that the master did not start: only the worker is among the parents, or their parents."""
    os.environ.pop("CONFCAST_ADDRESS_APP", None)
    worker = start_worker(manager)
    eventually(lambda: manager.workers(), "the worker")
    parents = processes.parents

    def up_to_the_worker(pid: int) -> Iterator[int]:
        for parent in parents(pid):
            yield parent
            if parent == worker.pid:
                return

    monkeypatch.setattr(processes, "parents", up_to_the_worker)
    below = worker.ask("begin_shell")
    try:
        for pid in below:
            assert f"at {manager.address}" in run("status", "--pid", str(pid))[1]
    finally:
        worker.ask("end_shell")


def test_a_worker_of_another_user_s_owner_says_nothing_about_a_process_below_it(
    manager: Manager, start_worker: StartWorker, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever runs an owner may put any process on its roster."""
    worker = start_worker(manager)
    eventually(lambda: manager.workers(), "the worker")
    monkeypatch.setattr(processes, "parents", lambda pid: iter([worker.pid]))
    monkeypatch.setattr(owner_dirs.OwnerDir, "user", lambda self: os.geteuid() + 1)
    code, _, err = run("status", "--pid", "1")
    assert code == 3
    assert "the process 1 belongs to no server" in err


@pytest.mark.slow
def test_the_variable_of_another_name_is_taken_if_it_is_the_only_one(start_manager: StartManager, run: Run) -> None:
    """A process of the server `other` that runs a command means its own server."""
    app, other = start_manager(), start_manager(name="other")
    os.environ.pop("CONFCAST_ADDRESS_APP")
    assert os.environ["CONFCAST_ADDRESS_OTHER"] == other.address
    assert f"of 'other', at {other.address}" in run("status")[1]
    assert f"of 'app', at {app.address}" in run("status", "--name", "app")[1]


def test_of_several_variables_none_is_taken_and_all_are_listed(
    start_manager: StartManager, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = start_manager(name="one"), start_manager(name="two")
    code, out, err = run("reload")
    assert (code, out) == (3, "")
    said = "CONFCAST_ADDRESS_ONE, CONFCAST_ADDRESS_TWO name config owners; choose one by --name, --pid or --address:"
    assert said in err
    assert [line.split()[0] for line in err.splitlines()[2:]] == ["one", "two"]
    assert [owner.get_stats()["total_reloads"] for owner in (one, two)] == [0, 0]
    assert f"of 'two', at {two.address}" in run("status", "--name", "two")[1]
    with monkeypatch.context() as patch:
        patch.setenv("CONFCAST_ADDRESS_APP", one.address)
        assert f"of 'one', at {one.address}" in run("status")[1]  # the default name's comes first


def test_of_variables_that_lead_nowhere_the_names_are_said(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("CONFCAST_ADDRESS_ONE", "/nowhere/control.sock")
        patch.setenv("CONFCAST_ADDRESS_TWO", "nobody")
        code, _, err = run("status")
    assert code == 3
    assert "CONFCAST_ADDRESS_ONE, CONFCAST_ADDRESS_TWO name config owners; choose one by --name" in err


def test_a_path_without_a_slash_in_the_variable_is_said_to_be_taken_as_a_name(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setenv("CONFCAST_ADDRESS_APP", "app.sock")
        code, _, err = run("status")
    assert code == 3
    said = "no config owner named 'app.sock' (by CONFCAST_ADDRESS_APP; a path would have a slash, as ./app.sock) runs "
    assert said in err


@pytest.mark.slow
def test_what_is_listed_to_type_chooses_that_owner(start_manager: StartManager, run: Run) -> None:
    started = [start_manager(), start_manager(name="other/one")]
    for variable in ("CONFCAST_ADDRESS_APP", "CONFCAST_ADDRESS_OTHER_ONE"):
        os.environ.pop(variable, None)
    listed = json.loads(run("status", "--json")[1])["owners"]
    for owner, told in zip(started, listed, strict=True):
        assert owner.address in run("status", *told["choose"].split())[1]


def test_an_owner_that_hangs_is_listed_without_its_version(
    start_manager: StartManager, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, other = start_manager(), start_manager(name="other")
    answer = known_owners._answer

    def in_time(each: owner_dirs.OwnerDir, *asked: Any) -> Any:
        monkeypatch.setattr(known_owners, "_EACH", 0.1 if each.address == other.address else DEADLINE)
        return answer(each, *asked)

    monkeypatch.setattr(known_owners, "_answer", in_time)
    for variable in ("CONFCAST_ADDRESS_APP", "CONFCAST_ADDRESS_OTHER"):
        os.environ.pop(variable, None)
    stop(hangs := other.owner_pid)
    try:
        listed = json.loads(run("status", "--json")[1])["owners"]
        code, out, _ = run()
    finally:
        os.kill(hangs, signal.SIGCONT)
    assert [(each["address"], each["version"]) for each in listed] == [(app.address, 1), (other.address, None)]
    assert code == 0  # the other one has answered
    assert [row.split()[2:5] for row in out.splitlines()[3:5]] == [["1", "none", "yet"], ["?", "no", "answer"]]


@pytest.mark.parametrize(
    ("pid", "said"),
    [
        ("1", "the process 1 belongs to no server that has a config owner here"),
        ("4194304000", "there is no process 4194304000"),
    ],
)
def test_of_a_process_of_no_server_it_is_said(pid: str, said: str, manager: Manager, run: Run) -> None:
    code, _, err = run("reload", "--pid", pid)
    assert code == 3
    assert said in err


def test_of_a_server_with_several_configurations_one_is_chosen_by_name_too(
    start_manager: StartManager, run: Run
) -> None:
    start_manager()
    other = start_manager(name="other")
    code, _, err = run("status", "--pid", str(os.getpid()))
    assert code == 3
    assert f"2 config owners of the process {os.getpid()} run for this user; choose one by --name" in err
    assert other.address in run("status", "--pid", str(os.getpid()), "--name", "other")[1]


def test_no_owner_is_said_in_a_sentence(run: Run) -> None:
    os.environ.pop("CONFCAST_ADDRESS_APP", None)
    code, out, err = run("status")
    assert (code, out) == (3, "")
    assert "no config owner runs for " in err


def test_no_owner_is_said_in_json_too(runtime_folder: Path, run: Run) -> None:
    code, out, _ = run("status", "--address", str(runtime_folder / "nothing"), "--json")
    assert code == 3
    assert "there is no such socket" in json.loads(out)["error"]


@pytest.mark.parametrize("command", ["reload", "status"])
def test_a_dead_socket_is_no_owner(
    command: str, runtime_folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner_client, "_RESTART", 0.1)
    path = runtime_folder / SOCKET
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))
    code, out, err = run(command, "--address", str(path))
    path.unlink()
    assert code == 3
    assert "unknown" in out if command == "reload" else "did not answer" in err


@pytest.mark.parametrize("command", ["reload", "status"])
def test_an_owner_that_hangs_is_named_by_its_process(
    command: str, manager: Manager, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verbs, "_ANSWER_TIMEOUT", 0.1)
    owner = manager.owner_pid
    stop(owner)
    try:
        code, out, err = run(*((command, "--timeout", "0.1") if command == "reload" else (command,)))
    finally:
        os.kill(owner, signal.SIGCONT)

    assert code == 3
    assert f"the config owner (process {owner})" in out + err
