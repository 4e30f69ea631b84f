"""`confcast history`, `wait` and `show` with a real owner; `--follow` in a pseudo-terminal."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest

from confcast import Environment
from tests.support.commands import Run, runner
from tests.support.fixtures import Manager, StartManager, StartWorker
from tests.support.gate import Gate
from tests.support.leaks import is_running
from tests.support.settings import text, write
from tests.support.terminal import terminal
from tests.support.waiting import DEADLINE, eventually, in_thread

pytestmark = pytest.mark.usefixtures("no_other_owners")

COMMAND = [sys.executable, "-c", "from confcast.cli import main; raise SystemExit(main())"]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(capsys)


# ---- history


def test_versions_and_refusals_are_one_list(manager: Manager, config: Path, run: Run) -> None:
    write(config, 2)
    assert run("reload", "--reason", "a deploy")[0] == 0
    config.write_text("number = -1\ntwin = -1\n", encoding="utf-8")
    assert run("reload")[0] == 1
    assert run("rollback", "--reason", "a bad night")[0] == 0
    assert run("reload")[0] == 1  # held, and the sources are wrong
    code, out, _ = run("history", "--json")
    found = json.loads(out)
    told = [(each["version"], each["result"], each["origin"], each["reason"]) for each in found["history"]]
    assert (code, found["version"]) == (0, 3)
    assert told == [
        (3, "validation_failed", "command", ""),
        (3, "success", "rollback", "a bad night"),
        (2, "validation_failed", "command", ""),
        (2, "success", "command", "a deploy"),
        (1, "success", "start", ""),
    ]
    changes = [(each["key"], each["old"], each["new"]) for each in found["history"][1]["changes"]]
    assert changes == [("number", 2, 1), ("twin", 2, 1)]
    lines = run("history", "-n", "2")[1].splitlines()
    assert [line.split()[0] for line in lines] == ["VERSION", "-", "*"]
    assert lines[2].endswith("a bad night: number: 2 -> 1; twin: 2 -> 1")


def test_it_outlives_the_server_with_a_state_dir(start_manager: StartManager, config: Path, tmp_path: Path, run: Run):
    first = start_manager(state_dir=tmp_path / "state")
    config.write_text("number = -1\ntwin = -1\n", encoding="utf-8")
    assert run("reload", "--reason", "too early")[0] == 1
    first.close()
    write(config, 2)
    start_manager(state_dir=tmp_path / "state")
    told = json.loads(run("history", "--json")[1])["history"]
    assert [(each["committed"], each["result"], each["reason"]) for each in told][-2:] == [
        (False, "validation_failed", "too early"),
        (True, "success", ""),
    ]
    assert told[0]["version"] == 2


def test_what_comes_is_followed_in_a_terminal_until_ctrl_c(manager: Manager, config: Path) -> None:
    with terminal([*COMMAND, "history", "--follow", "--address", manager.address], 2000) as opened:
        opened.wait_for(r" 1  \S+ \S+  success \(start\)")
        write(config, 2)
        assert manager.reload(reason="first")
        opened.wait_for(r" 2  \S+ \S+  success \(call by .*\)  first: number: 1 -> 2; twin: 1 -> 2")
        assert manager.reload()  # unchanged: not listed
        config.write_text("number = -1\ntwin = -1\n", encoding="utf-8")
        assert not manager.reload()
        write(config, 3)
        assert manager.reload()
        shown = opened.wait_for(r"(?s)(.*) 3  \S+ \S+  success")[1]
        assert "unchanged" not in shown
        assert " -  " in shown
        assert "number: Input should be greater than or equal to 0 (got -1)" in shown
        opened.type("\x03")
        code, rest = opened.ends()
    assert code == 130
    assert "Traceback" not in rest


def test_following_goes_on_with_the_next_owner(manager: Manager, config: Path) -> None:
    with terminal([*COMMAND, "history", "-f", "-n", "1", "--address", manager.address], 2000) as opened:
        opened.wait_for(r"success \(start\)")
        dead = manager.owner_pid
        os.kill(dead, signal.SIGKILL)
        eventually(lambda: not is_running(dead), "the owner's end")
        write(config, 2)
        assert manager.reload()
        opened.wait_for(r"number: 1 -> 2")
        opened.type("\x03")
        assert opened.ends()[0] == 130


def test_following_ends_with_words_when_the_owner_ends(start_manager: StartManager) -> None:
    manager = start_manager()
    with terminal([*COMMAND, "history", "--follow", "--address", manager.address], 2000) as opened:
        opened.wait_for(r"success \(start\)")
        manager.close()
        code, rest = opened.ends()
    assert code == 3
    assert "confcast history: " in rest
    assert "Traceback" not in rest


def test_a_program_that_follows_gets_a_document_on_each_line(manager: Manager, config: Path) -> None:
    with terminal([*COMMAND, "history", "--follow", "--json", "--address", manager.address], 2000) as opened:
        first = json.loads(opened.wait_for(r"(\{.*\})\r\n")[1])
        write(config, 2)
        assert manager.reload()
        second = json.loads(opened.wait_for(r"(\{.*\})\r\n")[1])
        opened.type("\x03")
        opened.ends()
    assert [(each["version"], each["origin"]) for each in (first, second)] == [(1, "start"), (2, "call")]


# ---- wait


def test_a_version_that_is_under_way_is_waited_for(
    manager: Manager, start_worker: StartWorker, config: Path, gate: Gate, run: Run
) -> None:
    start_worker(manager)
    reloaded = gate.hold_load(config, 2, lambda: in_thread(manager.reload))
    assert not manager.wait(2, timeout=0)
    waited = in_thread(lambda: manager.wait(2, timeout=DEADLINE))
    idle = in_thread(lambda: manager.wait(timeout=DEADLINE))
    gate.open()
    gate.let_go()
    assert reloaded().version == waited().version == idle().version == 2
    code, out, _ = run("wait", "2")
    assert code == 0
    assert out.startswith("success: version 1 -> 2")
    assert run("wait")[0] == 0


def test_what_does_not_come_is_unknown_and_what_was_refused_is_refused(
    manager: Manager, start_worker: StartWorker, config: Path, run: Run
) -> None:
    code, out, _ = run("wait", "9", "--timeout", "0.1")
    assert code == 3
    assert out.startswith("not over in time, or no owner answers; what is under way goes on\n")
    assert "after 0.1 s version 9 does not exist; version 1 runs" in out
    worker = start_worker(manager)
    worker.ask("object_to", "not today")
    write(config, 2)
    assert not manager.reload()
    code, out, _ = run("wait", "--json")
    assert (code, json.loads(out)["result"]) == (1, "rejected")


# ---- show


def test_what_runs_is_shown_and_one_value_alone(
    start_manager: StartManager, config: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APP_TAGS", json.dumps(["x" * 150, "y" * 150]))
    manager = start_manager(config, Environment("APP_"))
    write(config, 2)  # lies there, and does not run
    code, out, _ = run("show")
    assert code == 0
    assert {"number = 1", "name = 'one'", "limits.low = 0", "limits.high = 100"} <= set(out.splitlines())
    assert run("show", "number")[1] == "1\n"
    assert run("show", "name")[1] == "one\n"
    assert run("show", "gate")[1] == "\n"
    assert json.loads(run("show", "tags")[1]) == ["x" * 150, "y" * 150], "a value alone is never cut"
    assert run("show", "limits")[1].splitlines() == ["limits.low = 0", "limits.high = 100"]
    assert json.loads(run("show", "--json", "limits")[1]) == {"values": {"limits.low": 0, "limits.high": 100}}
    code, out, _ = run("show", "limits.hihg")
    assert (code, out) == (1, "limits.hihg: nothing runs under this key; did you mean limits.high?\n")
    assert manager.version == 1


def test_show_reads_no_source(manager: Manager, config: Path, run: Run) -> None:
    config.write_text(text(-1), encoding="utf-8")
    assert run("show", "number") == (0, "1\n", "")
