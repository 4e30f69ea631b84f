"""`confcast` without a command, from what the owners have answered: one screen."""

from __future__ import annotations

import os

import pytest

from confcast.cli import commands, listing, overview, terminal
from confcast.cli.report import ExitCode
from confcast.wire.messages import WorkerStatus

COMMANDS = {command: each.night for command, each in commands.COMMANDS.items()}
WORKERS = [WorkerStatus(11, 7, "current"), WorkerStatus(12, 6, "late"), WorkerStatus(13, 7, "current")]
APP = {
    "name": "app",
    "choose": "--name app",
    "address": "/run/a/control.sock",
    "master": 10,
    "uid": os.geteuid(),
    "version": 7,
    "last": "validation_failed",
    "working_directory": "/srv/app",
    "command": "gunicorn app:app\x1b[2J",
    "workers": WORKERS,
}
SILENT = {**APP, "name": "other", "master": 20, "choose": "--pid 20", "address": "/run/b/control.sock"}
SILENT |= {"version": None, "last": None, "workers": None, "working_directory": "", "command": ""}


def test_it_shows_what_runs_and_the_commands_of_a_bad_night():
    told = overview.report([APP], APP["address"], COMMANDS)
    lines = told.text.splitlines()
    assert lines[0] == "1 config owner runs"
    assert " ".join(lines[2].split()) == "NAME PID VERSION LAST WORKERS STARTED IN COMMAND TYPE"
    row = "app 10 7 validation_failed 3, 1 late /srv/app gunicorn app:app\\x1b[2J --name app"
    assert " ".join(lines[3].split()) == row
    assert lines[5] == "On a bad night:"
    assert [line.split()[1] for line in lines[6:-1]] == [command for command, text in COMMANDS.items() if text]
    assert (told.exit, told.data["owners"], told.data["asked"]) == (ExitCode.DONE, [APP], APP["address"])


def test_an_owner_that_does_not_answer_is_shown_as_one():
    told = overview.report([APP, SILENT], "", COMMANDS)
    assert " ".join(told.text.splitlines()[4].split()) == "other 20 ? no answer ? ? ? --pid 20"
    assert told.exit is ExitCode.DONE
    assert overview.report([SILENT], "", COMMANDS).exit is ExitCode.NO_OWNER
    assert "On a bad night, with one of the options above behind the command:" in told.text.splitlines()


def test_of_several_it_says_which_one_is_asked():
    text = overview.report([APP, SILENT], APP["address"], COMMANDS).text
    assert "On a bad night, for app (process 10); for another one, with its option:" in text.splitlines()


@pytest.mark.parametrize("number", [1, 3, 9, 12])
def test_many_owners_leave_room_for_the_commands(number):
    told = overview.report([APP] * 30, "", {f"command{each}": "helps" for each in range(number)})
    lines = told.text.splitlines()
    shown = sum(line.startswith("app ") for line in lines)
    assert len(lines) == 23
    assert f"and {30 - shown} more: `confcast --json` lists all" in lines
    assert len(told.data["owners"]) == 30


def test_without_an_owner_the_commands_are_shown_and_nothing_has_failed():
    told = overview.report([], "", COMMANDS)
    assert told.text.startswith("no config owner runs for ")
    assert "confcast status " in told.text
    assert told.exit is ExitCode.DONE


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (200, "gunicorn app:app\\x1b[2J  --name app"),
        (90, "gunicorn app:a…  --name app"),
        (80, "/srv/app    --name app"),
    ],
)
def test_a_command_line_has_the_room_that_is_left_and_everything_else_stays(width, shown, monkeypatch):
    monkeypatch.setattr(terminal, "columns", lambda stream: width)
    lines = listing.as_table([APP, SILENT])
    assert len(lines) == 3
    assert lines[1].endswith(shown)
    assert max(map(len, lines)) <= width


def test_without_any_room_each_owner_is_a_block_with_all_of_it(monkeypatch):
    monkeypatch.setattr(terminal, "columns", lambda stream: 40)
    lines = listing.as_table([APP, SILENT])
    assert lines[0] == "NAME        app"
    assert "COMMAND     gunicorn app:app\\x1b[2J" in lines
    assert lines[-1] == "TYPE        --pid 20"
