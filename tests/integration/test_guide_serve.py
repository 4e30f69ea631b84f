"""The guide's page "An owner of its own": its commands are typed into one shell, one after the other."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.snippets import GUIDE, commands, write_files
from tests.support.typed import Shell

PAGE = GUIDE / "serve.md"

# What is seen after each command, in the order of the page, by its beginning.
SEEN = {
    "confcast serve --loader": "serving version 1",
    "confcast status --address app.sock": "version  1 of 'app', at app.sock",
    "confcast serve --take-over": "serving version 1",
    "confcast status": "version  1 of 'app', at app.sock",
    "confcast exec": "greeting='good morning'",
}


@pytest.fixture
def shell(tmp_path: Path, runtime_folder: Path, nothing_is_left: None) -> Iterator[Shell]:
    write_files(PAGE, tmp_path)
    opened = Shell(tmp_path, {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"})
    yield opened
    opened.end()


def test_each_command_shows_what_the_page_says(shell: Shell) -> None:
    typed = commands(PAGE)
    assert [line for line, begins in zip(typed, SEEN, strict=True) if not line.startswith(begins)] == []
    for line, seen in zip(typed, SEEN.values(), strict=True):
        shell.type(line, seen)
    assert "superseded: the workers follow, and this process ends" in shell.said
