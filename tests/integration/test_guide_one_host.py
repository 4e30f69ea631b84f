"""The guide's page "One host, several programs": its commands are typed into one shell, one after the other."""

from __future__ import annotations

import os
import re
import socket
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.snippets import GUIDE, commands, write_files
from tests.support.typed import Shell
from tests.support.waiting import DEADLINE

PAGE = GUIDE / "one_host.md"
_PORTS = ("8000", "9150", "9151")

# What is seen after each command, in the order of the page, by its beginning.
SEEN = {
    "confcast serve": "version 1",
    "export": "",
    "python web.py": "it serves",
    "python follower.py": "it follows",
    "confcast status": "version 1",
    "sed": "",
    "confcast reload": "version 2",
    "curl -s http://127.0.0.1:8000/": "good night from version 2",
    "confcast set": "version 3",
    "confcast explain": "hides",
    "confcast rollback 2": "version 3 -> 4",
    "confcast exec": "greeting='good night'",
    "curl -s http://127.0.0.1:9150/": "confcast_held",
    "confcast admin": "listening on ",
}


@pytest.fixture
def shell(tmp_path: Path, runtime_folder: Path, nothing_is_left: None) -> Iterator[Shell]:
    write_files(PAGE, tmp_path)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    opened = Shell(tmp_path, {"PATH": path, "XDG_STATE_HOME": str(tmp_path)})
    yield opened
    opened.end()


def free_ports() -> dict[str, str]:
    """For each port of the page, one that was free just now."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in _PORTS]
        return {port: str(probe.getsockname()[1]) for port, probe in zip(_PORTS, probes, strict=True)}


def test_each_command_shows_what_the_page_says(shell: Shell, tmp_path: Path) -> None:
    ports = free_ports()
    web = tmp_path / "web.py"
    web.write_text(web.read_text().replace("8000", ports["8000"]))
    typed = commands(PAGE)
    assert [line for line, begins in zip(typed, SEEN, strict=True) if not line.startswith(begins)] == []
    for line, seen in zip(typed, SEEN.values(), strict=True):
        said = shell.type(re.sub("|".join(_PORTS), lambda found: ports[found[0]], line), seen)
        if line.startswith("confcast status"):
            assert said.count(" current") == 2
    assert "good morning became good night" in shell.said
    with urllib.request.urlopen(f"http://127.0.0.1:{ports['9151']}/", timeout=DEADLINE) as page:
        assert b"confcast" in page.read()
