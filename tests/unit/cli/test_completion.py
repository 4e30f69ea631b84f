"""What is completed, as a shell asks for it; the shells themselves: `tests/integration/test_cli_shells.py`."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from confcast.cli import main
from confcast.cli.commands import COMMANDS
from confcast.cli.fleet import VERBS
from confcast.cli.program import COMPLETE
from confcast.wire.files import owner_dirs
from confcast.wire.files.owner_dirs import OwnerDir
from confcast.worker.client.connection_per_call import AddressClient

Complete = Callable[[str], list[str]]


@pytest.fixture
def complete(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Complete:
    """What is offered in zsh for the last word of a line, which may be empty. No owner may be asked for it."""
    found = [OwnerDir(Path(f"/run/confcast-{name}-{pid}-x"), name, pid, 0) for name, pid in (("app", 7), ("web", 70))]
    monkeypatch.setattr(owner_dirs, "living", lambda: found)
    monkeypatch.setattr(owner_dirs, "of_other_users", list)
    monkeypatch.setattr(OwnerDir, "user", lambda self: os.geteuid())
    monkeypatch.setattr(OwnerDir, "command", lambda self: "serve\x1b[2J")
    monkeypatch.setattr(AddressClient, "ask", None)

    def offered(line: str) -> list[str]:
        monkeypatch.setenv(COMPLETE, "zsh_complete")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(line.split(" ")) - 1))
        capfd.readouterr()
        assert main([]) == 0
        out = capfd.readouterr().out
        assert "\x1b" not in out
        return out.splitlines()[1::3]

    return offered


def test_commands_are_offered_in_the_order_of_the_table(complete):
    assert complete("confcast ") == list(COMMANDS)
    assert complete("confcast st") == ["status"]
    assert complete("confcast xyz") == []


def test_each_command_s_options_are_offered(complete):
    assert complete("confcast --") == ["--help", "--version", "--json"]
    assert complete("confcast reload --t") == ["--timeout"]
    assert complete("confcast check --l") == ["--loader"]
    assert complete("confcast con") == ["confirm"]
    assert complete("confcast fleet ") == list(VERBS.files)
    assert complete("confcast fleet p") == ["publish"]
    assert complete("confcast fleet publish --st") == ["--stages"]
    assert complete("confcast fleet diff --format y") == ["yaml"]
    assert complete("confcast set --con") == complete("confcast reload --con") == ["--confirm-within"]


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("confcast status --name ", ["app", "web"]),
        ("confcast status --name w", ["web"]),
        ("confcast status --json --name=w", ["web"]),
        ("confcast status --pid ", ["7", "70"]),
        ("confcast status --address /run/confcast-w", ["/run/confcast-web-70-x/control.sock"]),
        ("confcast reload --timeout ", []),
    ],
)
def test_what_names_an_owner_is_offered_without_asking_one(line, offered, complete):
    assert complete(line) == offered


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_there_is_a_script_for_each_shell(shell, monkeypatch, capfd):
    monkeypatch.setenv(COMPLETE, f"{shell}_source")
    assert main([]) == 0
    assert f"{COMPLETE}={shell}_complete" in capfd.readouterr().out


@pytest.mark.parametrize("instruction", ["ksh_source", "bash", "nonsense"])
def test_what_no_shell_asks_for_is_refused(instruction, monkeypatch, capfd):
    monkeypatch.setenv(COMPLETE, instruction)
    assert main([]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err == f"confcast: {COMPLETE} has to be bash_source, zsh_source or fish_source\n"
