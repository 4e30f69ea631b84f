"""`confcast status --follow` in a pseudo-terminal, `--all` with several owners, and `reload --wait`."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.support.commands import Run, runner
from tests.support.fixtures import Manager, StartManager, StartWorker
from tests.support.leaks import is_running
from tests.support.settings import write
from tests.support.terminal import terminal
from tests.support.waiting import eventually, in_thread

COMMAND = [sys.executable, "-c", "from confcast.cli import main; raise SystemExit(main())", "status"]

pytestmark = pytest.mark.usefixtures("no_other_owners")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(capsys)


# ---- followed


def test_each_change_is_shown_as_it_comes_also_through_a_restart_of_the_owner(
    manager: Manager, start_worker: StartWorker, config: Path
) -> None:
    with terminal([*COMMAND, "--follow", "--address", manager.address], 2000) as opened:
        opened.wait_for(r"version  1 of 'app'")
        opened.wait_for("no workers")
        worker = start_worker(manager)
        opened.wait_for(rf"{worker.pid} +1  current")
        write(config, 2)
        assert manager.reload(reason="more room")
        opened.wait_for(r"version  2 of 'app'")
        opened.wait_for(r"since    .*, call by .*: more room")
        dead = manager.owner_pid
        os.kill(dead, signal.SIGKILL)
        eventually(lambda: not is_running(dead), "the owner's end")
        opened.wait_for(r"owner    process \d+; restarts: 1")
        opened.type("\x03")
        code, rest = opened.ends()
    assert code == 130
    assert "Traceback" not in rest


def test_where_nothing_changes_nothing_more_is_shown_and_its_end_is_the_owner_s(start_manager: StartManager) -> None:
    manager = start_manager()
    with terminal([*COMMAND, "-f", "--address", manager.address], 2000) as opened:
        opened.wait_for("no workers")
        assert manager.status().phase == "idle"
        manager.close()
        code, rest = opened.ends()
    assert code == 3
    assert "version  1" not in rest
    assert "confcast status: " in rest


def test_a_program_that_follows_gets_a_document_on_each_line(manager: Manager, config: Path) -> None:
    with terminal([*COMMAND, "--follow", "--json", "--address", manager.address], 9000) as opened:
        first = json.loads(opened.wait_for(r"(\{.*\})\r\n")[1])
        write(config, 2)
        assert manager.reload()
        second = json.loads(opened.wait_for(r"(\{.*\"version\":2.*\})\r\n")[1])
        opened.type("\x03")
        opened.ends()
    assert [(each["version"], each["disk"], each["last"]["origin"]) for each in (first, second)] == [
        (1, "in step", "start"),
        (2, "in step", "call"),
    ]


# ---- all


def test_all_owners_are_shown_and_one_that_does_not_answer_is_named(start_manager: StartManager, run: Run) -> None:
    app, other = start_manager(), start_manager(name="other")
    code, out, _ = run("status", "--all")
    assert code == 0
    assert f"version  1 of 'app', at {app.address}" in out
    assert f"version  1 of 'other', at {other.address}" in out
    told = json.loads(run("status", "--all", "--json")[1])["owners"]
    assert [(each["name"], each["version"], each["owner_pid"]) for each in told] == [
        ("app", 1, app.owner_pid),
        ("other", 1, other.owner_pid),
    ]
    other.close()
    app.close()
    assert run("status", "--all")[:2] == (0, "no config owner runs here\n")


@pytest.mark.parametrize("options", [("--name", "app"), ("--pid", "1"), ("--address", "/x"), ("--follow",)])
def test_all_is_all(options: tuple[str, ...], run: Run) -> None:
    with pytest.raises(SystemExit) as raised:
        run("status", "--all", *options)
    assert raised.value.code == 2


# ---- a reload that is waited for


def test_a_reload_that_waits_says_that_it_was_undone(manager: Manager, config: Path, run: Run) -> None:
    write(config, 2)
    code, out, _ = run("reload", "--confirm-within", "0.5s", "--wait")
    assert code == 1
    assert out.startswith("undone: version 2 -> 3, what was good before has been put back")


def test_a_reload_that_waits_says_that_it_was_confirmed(manager: Manager, config: Path) -> None:
    write(config, 2)
    waits = [
        sys.executable,
        "-m",
        "confcast",
        "reload",
        "--confirm-within",
        "10m",
        "--wait",
        "--address",
        manager.address,
    ]
    with terminal(waits, 2000) as opened:
        eventually(lambda: manager.status().provisional == "confirm", "an open window")
        assert manager.confirm(2)
        code, shown = opened.ends()
    assert code == 0
    assert "version 2 is confirmed, and stays" in shown


def test_a_reload_without_a_window_has_nothing_more_to_wait_for(manager: Manager, config: Path, run: Run) -> None:
    write(config, 2)
    waits = in_thread(lambda: run("reload", "--wait"))
    code, out, _ = waits()
    assert code == 0
    assert "version 1 -> 2" in out
