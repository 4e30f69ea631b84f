"""The commands in a terminal, as processes: with the extra `cli` and without it, at 40 columns, and in a pipe."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.fixtures import Manager, StartWorker
from tests.support.settings import write
from tests.support.slow import slow
from tests.support.terminal import SGR, in_a_terminal
from tests.support.waiting import DEADLINE, eventually

WITH = "from confcast.cli import main; raise SystemExit(main())"
WITHOUT = f"import sys; sys.modules.update(dict.fromkeys(['click', 'rich'])); {WITH}"
"""A program in which neither can be imported, as where the extra is not installed."""

VERBS = ("status", "versions", "reload", "history", "show", "schema", "wait")
"""The commands that need nothing but an owner."""


@pytest.fixture
def served(manager: Manager, start_worker: StartWorker) -> Manager:
    for _ in range(2):
        start_worker(manager)
    eventually(lambda: [worker.state for worker in manager.workers()] == ["current"] * 2, "both workers")
    return manager


def command(program: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", program, *arguments]


def piped(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(program, *arguments), capture_output=True, text=True, check=False, timeout=DEADLINE)


@pytest.mark.slow
def test_the_extra_changes_colours_and_no_word(served: Manager) -> None:
    for verb in ("status", "versions", "history"):
        arguments = [verb, "--address", served.address]
        (code, colored), (its, plain) = (in_a_terminal(command(each, *arguments), 300) for each in (WITH, WITHOUT))
        assert code == its == 0, verb
        assert SGR.search(colored), verb
        assert not SGR.search(plain), verb
        assert SGR.sub("", colored) == plain == piped(WITH, *arguments).stdout == piped(WITHOUT, *arguments).stdout


@pytest.mark.parametrize("program", [WITH, WITHOUT])
def test_without_a_command_it_shows_what_runs_and_what_to_type(program: str, served: Manager) -> None:
    """Other owners may run on this machine, and are listed, too."""
    code, shown = in_a_terminal(command(program), 400)
    rows = [line for line in SGR.sub("", shown).splitlines() if line.startswith("app ") and f" {os.getpid()} " in line]
    assert code == 0
    assert [" ".join(row.split()).startswith(f"app {os.getpid()} 1 none yet 2 ") for row in rows] == [True]
    assert "\nconfcast status " in SGR.sub("", shown)
    told = json.loads(piped(program, "--json").stdout)
    mine = next(each for each in told["owners"] if each["address"] == served.address)
    assert (mine["version"], len(mine["workers"]), told["asked"]) == (1, 2, served.address)


def test_no_color_and_a_pipe_have_none(served: Manager) -> None:
    arguments = ["status", "--address", served.address]
    assert not SGR.search(in_a_terminal(command(WITH, *arguments), 80, {"NO_COLOR": "1"})[1])
    assert not SGR.search(in_a_terminal(command(WITH, *arguments), 80, {"TERM": "dumb"})[1])
    assert not SGR.search(piped(WITH, *arguments).stdout)


@pytest.mark.parametrize("program", [WITH, slow(WITHOUT)])
def test_at_forty_columns_nothing_is_cut(program: str, served: Manager) -> None:
    """Each word is there, but for the names of columns without a cell, and for how long it took."""
    for verb in VERBS:
        arguments = [verb, "--address", served.address]
        code, shown = in_a_terminal(command(program, *arguments), 40)
        narrow = SGR.sub("", shown)
        assert code == 0, verb
        assert [line for line in narrow.splitlines() if len(line) > 40 and len(line.split()) > 2] == [], verb
        words = [word for word in piped(program, *arguments).stdout.split() if not word.isupper()]
        assert [word for word in words if word not in narrow.split() and not word.startswith("(")] == [], verb


def test_a_refused_reload_is_shown_in_full_at_forty_columns(served: Manager, config: Path) -> None:
    config.write_text("number = -1\ntwin = -1\n", encoding="utf-8")
    code, shown = in_a_terminal(command(WITH, "reload", "--address", served.address), 40)
    words = SGR.sub("", shown).split()
    assert code == 1
    assert words[0] == "validation_failed:"
    assert f"{config}:1:10:" in words
    assert "Input should be greater than or equal to 0 (got -1)" in " ".join(words)


def test_json_is_neither_coloured_nor_folded(served: Manager, config: Path) -> None:
    write(config, 2)
    code, shown = in_a_terminal(command(WITH, "reload", "--json", "--address", served.address), 40)
    told = json.loads(shown)
    assert (code, told["result"], told["version"]) == (0, "success", 2)


def test_an_error_is_folded_and_json_has_it_too(runtime_folder: Path) -> None:
    arguments = ["status", "--address", f"{runtime_folder}/nothing"]
    code, shown = in_a_terminal(command(WITH, *arguments), 40)
    assert code == 3
    assert "there is no such socket" in " ".join(shown.split())
    assert max(map(len, shown.splitlines())) <= max(40, len(f"{runtime_folder}/nothing:") + 4)
    assert "no such socket" in json.loads(piped(WITHOUT, *arguments, "--json").stdout)["error"]


def test_every_command_works_without_the_extra(served: Manager, config: Path) -> None:
    for verb in VERBS:
        assert piped(WITHOUT, verb, "--address", served.address).returncode == 0
    assert piped(WITHOUT, "check", "--loader", "nowhere:loader").returncode == 1
    assert piped(WITHOUT, "--version").returncode == 0
    assert piped(WITHOUT, "validate").returncode == 2


def test_completion_without_the_extra_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_CONFCAST_COMPLETE", "bash_source")
    done = piped(WITHOUT)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "confcast: completion needs click: pip install 'confcast[cli]'\n"
