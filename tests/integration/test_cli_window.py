"""A change that undoes itself, by the real command and a real owner: kept, undone, and what every listing says."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from confcast import ReloadResult
from confcast.wire.files import owner_dirs
from tests.support.commands import Run, runner
from tests.support.fixtures import Manager, StartWorker
from tests.support.passing import Passing
from tests.support.settings import write
from tests.support.terminal import terminal
from tests.support.waiting import eventually

COMMAND = [sys.executable, "-c", "from confcast.cli import main; raise SystemExit(main())"]


@pytest.fixture(autouse=True)
def no_other_owners(runtime_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Owners of other programs on this machine are not looked for."""
    monkeypatch.setattr(owner_dirs, "candidates", lambda: iter([runtime_folder]))
    monkeypatch.setattr(owner_dirs, "of_other_users", lambda name=None, master=None: [])


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(capsys)


def test_a_change_that_is_confirmed_stays(manager: Manager, start_worker: StartWorker, config: Path, run: Run) -> None:
    worker = start_worker(manager)
    write(config, 2)
    code, out, _ = run("reload", "--confirm-within", "10m", "--reason", "another port")
    assert code == 0
    assert "unless it is confirmed: `confcast confirm 2`" in out.splitlines()[1]
    status = run("status")[1]
    assert "confirm  version 2 is to be confirmed: else the content of version 1 is put back at " in status
    assert ": another port" in status
    assert run("versions")[1].splitlines()[1].split()[-3:] == ["yet", "another", "port"]
    assert "(to be confirmed by " in run("history")[1].splitlines()[1]
    assert "unless you type `confcast confirm --name app`" in run()[1]
    told = json.loads(run("status", "--json")[1])
    assert (told["provisional"], told["window"]["fallback"]) == ("confirm", 1)
    code, out, _ = run("confirm", "2", "--reason", "it works")
    assert code == 0
    assert "version 2 is confirmed, and stays" in out.splitlines()[0]
    assert worker.ask("read")[1] == 2
    told = json.loads(run("status", "--json")[1])
    assert (told["provisional"], told["deadline"], told["window"]) == ("", None, None)
    assert [each.good for each in manager.versions()] == [True, True]
    (newest, *_) = json.loads(run("history", "--json")[1])["history"]
    assert (newest["origin"], newest["reason"], newest["committed"]) == ("confirm", "it works", False)
    assert run("wait", "2")[0] == 0


def test_a_change_that_nobody_confirms_is_undone_and_that_is_followed_in_a_terminal(
    passing: Passing, manager: Manager, start_worker: StartWorker, config: Path, run: Run
) -> None:
    worker = start_worker(manager)
    with terminal([*COMMAND, "history", "--follow", "--address", manager.address], 2000) as opened:
        opened.wait_for(r" 1  \S+ \S+  success \(start\)")
        write(config, 2)
        assert run("reload", "--confirm-within", "1m", "--json")[0] == 0
        opened.wait_for(r" 2  \S+ \S+  success \(command by .*\(to be confirmed by ")
        passing.by(60.0, manager)
        opened.wait_for(r" 3  \S+ \S+  undone \(undo\)  nobody confirmed version 2 within 60 s")
        opened.type("\x03")
        assert opened.ends()[0] == 130
    assert worker.ask("read")[1] == 1
    status = run("status")[1]
    assert "undone   nobody confirmed version 2 within 60 s; what was good before was put back at " in status
    assert "; `confcast resume` loads what the sources say" in status
    assert "sources  refused: version 3 stays in use, because of this:" in status
    code, out, _ = run("wait", "2")
    assert code == 1
    assert out.startswith("undone: version 2 -> 3, what was good before has been put back")
    assert [each.good for each in manager.versions()] == [True, False, True]
    assert run("confirm")[0] == 5


def test_an_edit_that_was_loaded_before_is_said_to_stay_and_the_next_one_is_undone(
    passing: Passing, manager: Manager, config: Path, run: Run
) -> None:
    write(config, 2)
    assert manager.reload(), "as the watcher does when the file is saved"
    code, out, _ = run("reload", "--confirm-within", "10m")
    assert code == 0
    assert out.splitlines()[1] == "  version 2 counts as good, and stays: its content was loaded before this command"
    write(config, 3)
    assert manager.reload()
    assert run("reload", "--confirm-within", "1m")[1].splitlines()[1].endswith("confirmed: `confcast confirm 3`")
    passing.by(60.0, manager)
    assert manager.wait(3).result is ReloadResult.UNDONE
    assert manager.current.number == 2


def test_wait_returns_when_nothing_is_to_be_confirmed_any_more(passing: Passing, manager: Manager) -> None:
    assert manager.set({"number": 7, "twin": 7}, confirm_within=600)
    late = manager.wait(timeout=0.1)
    assert (late.result, late.error_message) == (
        ReloadResult.OWNER_UNAVAILABLE,
        "after 0.1 s version 2 is still to be confirmed: confirm() keeps it",
    )
    assert manager.set({"number": 8, "twin": 8}, confirm_within=60)
    passing.by(60.0, manager)
    assert manager.wait(2).result is manager.wait(3).result is manager.wait().result is ReloadResult.UNDONE
    assert manager.current.number == 1


def test_what_is_confirmed_is_what_the_caller_has_seen(manager: Manager, run: Run) -> None:
    assert run("confirm")[0] == 5
    assert run("set", "number=7", "twin=7", "--confirm-within", "1h")[0] == 0
    code, out, _ = run("confirm", "1")
    assert code == 5
    assert "version 2 runs" in out
    assert manager.get_stats()["provisional"] == "confirm"
    assert run("confirm", "--json")[0] == 0
    assert manager.confirm().result is ReloadResult.CONFLICT


def test_what_is_no_time_is_refused_before_anything_is_done(manager: Manager, run: Run) -> None:
    for given in ("0", "soon", "-1", "99999999h"):
        with pytest.raises(SystemExit) as ended:
            run("set", "number=7", "twin=7", "--confirm-within", given)
        assert ended.value.code == 2
    assert eventually(lambda: manager.version == 1, "the version")
