"""The table of commands, and what is said of words and options that do not exist."""

from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path

import pytest

import confcast.cli
from confcast.cli import commands, main

NO_COMMANDS = {
    "__init__",
    "arguments",
    "commands",
    "completion",
    "example_file",
    "following",
    "listing",
    "metrics_flags",
    "overview",
    "owners",
    "program",
    "provisional",
    "report",
    "terminal",
}


def test_each_command_has_a_file_and_a_line_in_the_table():
    folder = Path(confcast.cli.__file__).parent
    files = {path.stem for path in folder.glob("*.py")} - NO_COMMANDS
    files |= {path.parent.name for path in folder.glob("*/__init__.py")}
    assert files == set(map(commands._file, commands.COMMANDS))


@pytest.mark.parametrize("command", commands.COMMANDS)
def test_each_command_is_helped_and_prints_json(command, capsys):
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    told = capsys.readouterr().out
    assert caught.value.code == 0
    assert told.startswith(f"usage: confcast {command} ")
    assert "--json" in told


@pytest.mark.parametrize("command", commands.COMMANDS)
def test_an_error_is_seen_below_the_usage(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as caught:
        main([command, "--no-such-option"])
    *usage, error = capsys.readouterr().err.splitlines()
    assert caught.value.code == 2
    assert error.startswith(f"confcast {command}: error: ")
    assert len(usage) <= 10, "all options of a command that has so many are in its help"


def test_the_help_lists_each_command(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line.startswith("    ")]
    assert caught.value.code == 0
    assert [word for word in listed if word in commands.COMMANDS] == list(commands.COMMANDS)


def loaded_by(program: str) -> set[str]:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)
    return set(done.stdout.split())


@pytest.mark.parametrize("command", commands.COMMANDS)
def test_a_command_imports_no_other_one_but_what_it_uses_and_nothing_that_is_optional(command):
    own = f"confcast.cli.{commands._file(command)}"
    found = loaded_by(f"""if True:
        import sys
        from confcast.cli import main
        try:
            main(["{command}", "--json", "--nonsense"])
        except SystemExit:
            print(*sys.modules)
    """)
    others = {f"confcast.cli.{file}" for file in map(commands._file, commands.COMMANDS)} - {own}
    assert own in found
    assert found & others <= loaded_by(f"import sys, {own}; print(*sys.modules)")
    assert not found & {"click", "rich", "confcast.cli.overview", "confcast.cli.listing"}


def test_a_status_imports_little():
    """What it costs is in `benchmarks/command.py`."""
    found = loaded_by("""if True:
        import sys
        from confcast.cli import main
        assert main(["status", "--address", "/nowhere/control.sock"]) == 3
        print(*sys.modules)
    """)
    assert not found & {"pydantic", "shutil", "tempfile", "confcast.wire.options", "confcast.config", "asyncio"}


def test_a_program_that_runs_a_command_collects_its_garbage_as_before(capsys):
    """The process of a command does not: it ends."""
    frozen = gc.get_freeze_count()
    assert main(["status", "--address", "/nowhere/control.sock"]) == 3
    assert gc.isenabled()
    assert gc.get_freeze_count() <= frozen, "what is frozen may end, and nothing more is"
    gc.disable()
    try:
        assert main(["status", "--address", "/nowhere/control.sock"]) == 3
        assert not gc.isenabled()
    finally:
        gc.enable()


WORDS = ["undo", "revert", "promote", "abort", "release", "dry-run", "get", "list", "validate"]
"""The first that people type."""


@pytest.mark.parametrize("word", WORDS)
def test_a_word_that_people_type_first_is_known_and_leads_to_commands_that_are_planned(word):
    planned = {"rollback", "confirm", "resume", "check", "show", "explain", "history", *commands.COMMANDS}
    assert set(commands._MEANT[word]) <= planned


def every_command(monkeypatch):
    more = ("rollback", "confirm", "resume", "show", "explain", "history", "set")
    monkeypatch.setattr(commands, "COMMANDS", {**commands.COMMANDS, **dict.fromkeys(more, commands.Command())})


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("undo", ["rollback"]),
        ("revert", ["rollback"]),
        ("abort", ["rollback"]),
        ("promote", ["confirm"]),
        ("release", ["resume"]),
        ("dry-run", ["check"]),
        ("dry_run", ["check"]),
        ("validate", ["check"]),
        ("get", ["show", "explain"]),
        ("list", ["versions", "status"]),
        ("Validat", ["check"]),
        ("satus", ["status"]),
        ("relaod", ["reload"]),
        ("rolback", ["rollback"]),
        ("xyzzy", []),
    ],
)
def test_a_word_is_answered_with_the_command_that_is_meant(word, meant, monkeypatch):
    every_command(monkeypatch)
    assert commands._meant(word) == meant


def test_only_commands_that_exist_are_named(monkeypatch):
    monkeypatch.setattr(commands, "COMMANDS", dict.fromkeys(("status", "check"), commands.Command()))
    assert commands.no_such("undo") == "there is no command 'undo'; there are status, check"
    assert commands.no_such("dry-run") == "there is no command 'dry-run'; did you mean `confcast check`?"
    assert commands.no_such("x\x1b[2J") == "there is no command 'x\\\\x1b[2J'; there are status, check"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["statsu"], "there is no command 'statsu'; did you mean `confcast status`?"),
        (["validate", "--json"], "there is no command 'validate'; did you mean `confcast check`?"),
        (["status", "--jsn"], "unrecognized arguments: --jsn; did you mean --json?"),
        (["status", "--nam=x"], "unrecognized arguments: --nam=x; did you mean --name?"),
        (["status", "more"], "unrecognized arguments: more"),
        (["--pid", "7", "status"], "--pid: options follow the command, as in `confcast status --json`"),
        (["--jsn"], "unrecognized arguments: --jsn; did you mean --json?"),
    ],
)
def test_what_can_not_be_understood_says_what_was_meant(arguments, said, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    out, err = capsys.readouterr()
    assert (caught.value.code, out) == (2, "")
    assert err.splitlines()[-1].endswith(f"error: {said}")


def test_json_may_be_asked_for_before_the_command():
    assert commands.parse(["--json", "status"]).json
    assert commands.parse(["status", "--json"]).json
    assert not commands.parse(["status"]).json
    assert commands.parse(["--json"]).command == ""
