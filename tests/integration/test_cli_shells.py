"""Completion in the shells themselves: a word is begun, TAB is typed, and the command that is then there is run."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import confcast
from tests.support.fixtures import Manager, StartManager
from tests.support.slow import slow
from tests.support.terminal import Terminal, terminal

SHELLS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], 'eval "$(_CONFCAST_COMPLETE=bash_source confcast)"'),
    "zsh": (
        ["zsh", "-f", "-i"],
        'autoload -Uz compinit; compinit -u -D; eval "$(_CONFCAST_COMPLETE=zsh_source confcast)"',
    ),
    "fish": (["fish", "--no-config", "-i"], "_CONFCAST_COMPLETE=fish_source confcast | source"),
}


@pytest.fixture(params=["bash", *map(slow, ("zsh", "fish"))])
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Terminal]:
    """An interactive shell in which completion was set up as the guide says."""
    arguments, setup = SHELLS[request.param]
    if shutil.which(arguments[0]) is None:
        pytest.skip(f"there is no {arguments[0]}")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    own = {
        "PATH": path,
        "HOME": str(tmp_path),
        "TERM": "xterm",
        "CONFCAST_RUNTIME_DIR": os.environ["CONFCAST_RUNTIME_DIR"],
    }
    with terminal(arguments, 200, own) as opened:
        opened.type(f"{setup}; echo set''up\r")
        opened.wait_for("\nsetup|\rsetup")
        yield opened


def test_commands_options_and_names_are_completed(shell: Terminal, start_manager: StartManager) -> None:
    start_manager(), start_manager(name="orders")
    for variable in ("CONFCAST_ADDRESS_APP", "CONFCAST_ADDRESS_ORDERS"):
        os.environ.pop(variable, None)
    shell.type("confcast --vers\t\r")
    shell.wait_for(f"confcast {confcast.__version__}")
    shell.type("confcast vers\t--json\r")
    shell.wait_for("2 config owners run")
    shell.type("confcast status --na\tord\t\r")
    shell.wait_for("version  1 of 'orders'")


def test_an_address_is_completed(shell: Terminal, manager: Manager) -> None:
    """Other owners may run on this machine: what is typed is the beginning of this one's alone."""
    shell.type(f"confcast status --addr\t{manager.address[:-5]}\t\r")
    shell.wait_for(f"version  1 of 'app', at {manager.address}")
