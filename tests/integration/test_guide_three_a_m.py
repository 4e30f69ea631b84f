"""The guide's page "3 a.m.": its commands are typed against a gunicorn with four workers; and p08 of the contract."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.test_readme import gunicorn, without_probation
from tests.support.snippets import GUIDE, README, commands, files, write_files
from tests.support.waiting import eventually

PAGE = GUIDE / "three_a_m.md"
_DEADLINE = 30

SETTINGS = """\
from confcast import Replica
from pydantic import BaseModel, Field


class Database(BaseModel, frozen=True):
    size: int = Field(40, ge=1)


class Settings(BaseModel, frozen=True):
    greeting: str = Field("hello", min_length=1)
    database: Database = Database()


settings = Replica(Settings, name="app")
"""


class Night:
    """A server, its file, and a shell beside it."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "app.toml"
        self._folder = folder

    def edit(self, size: object) -> None:
        """Have this size in the file, and wait until the owner has tried it: the file is watched."""
        tried = self.tried()
        fresh = self._folder / "fresh.toml"
        fresh.write_text(files(PAGE)["app.toml"].replace("size = 40", f"size = {size}"))
        fresh.replace(self._file)
        eventually(lambda: self.tried() != tried, "the watcher's load")

    def tried(self) -> object:
        """The events so far."""
        return json.loads(self.type("confcast history --json").stdout)["history"]

    def type(self, line: str) -> subprocess.CompletedProcess[str]:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        return subprocess.run(
            line,
            shell=True,
            cwd=self._folder,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            timeout=_DEADLINE,
            check=False,
        )


Deed = Callable[[Night], object]


def nothing(night: Night) -> None:
    pass


# Each command of the page: what has happened before it, its exit code, and what it shows.
TYPED: list[tuple[str, Deed, int, str]] = [
    ("confcast", nothing, 0, "confcast rollback"),
    ("confcast status", nothing, 0, "version  1 of 'app'"),
    ("confcast history -n 5", nothing, 0, "success"),
    ("confcast status", lambda night: night.edit('"many"'), 0, "app.toml:4:8: database.size: "),
    ("confcast check", nothing, 1, "app.toml:4:8: database.size: "),
    ('confcast reload --reason "mended"', lambda night: night.edit(41), 0, "version 2"),
    ("confcast rollback --reason OOM", lambda night: night.edit(500), 0, "version 3 -> 4"),
    ("confcast history -n 3", nothing, 0, "OOM: database.size: 500 -> 41"),
    ("confcast rollback 1", nothing, 0, "version 4 -> 5"),
    ('confcast rollback 5 --reason "no changes during the night"', nothing, 0, "unchanged"),
    ("confcast status", nothing, 0, "no changes during the night; `confcast resume` follows the sources again"),
    ("confcast reload", nothing, 1, "database.size: 40 -> 500"),
    ("confcast set database.size=60 --ttl 10m --reason load", nothing, 0, "database.size: 40 -> 60"),
    ("confcast show database.size", nothing, 0, "60\n"),
    ("confcast unset database.size", nothing, 0, "database.size: 60 -> 40"),
    ("confcast diff", nothing, 0, "database.size: 40 -> 500"),
    ("confcast diff 1 running", nothing, 0, "nothing differs"),
    ("confcast explain database.size", nothing, 0, "app.toml:4:8"),
    ("confcast check", lambda night: night.edit(45), 0, "would apply: database.size: 40 -> 45"),
    ('confcast resume --reason "the file is mended"', nothing, 0, "database.size: 40 -> 45"),
    ("confcast wait --timeout 60s", nothing, 0, "success"),
    ("confcast status", nothing, 0, "applied: version 8"),
    (
        'confcast set database.size=70 --confirm-within 10m --reason "another pool"',
        nothing,
        0,
        "unless it is confirmed: `confcast confirm 9`",
    ),
    ("confcast status", nothing, 0, "version 9 is to be confirmed: else the content of version 8 is put back at "),
    ('confcast confirm --reason "it works"', nothing, 0, "version 9 is confirmed, and stays"),
]


@pytest.fixture
def night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Night]:
    write_files(README, tmp_path)
    write_files(PAGE, tmp_path)
    without_probation(tmp_path)
    (tmp_path / "settings.py").write_text(SETTINGS)
    with tempfile.TemporaryDirectory(prefix="run-") as run_time:  # a socket's path in tmp_path would be too long
        monkeypatch.setenv("CONFCAST_RUNTIME_DIR", run_time)
        with gunicorn(tmp_path):
            yield Night(tmp_path)


def test_each_command_of_the_page_is_typed_here() -> None:
    assert [line for line, *_ in TYPED] == commands(PAGE)


@pytest.mark.timeout(180)
def test_each_command_does_what_the_page_says(night: Night) -> None:
    for line, deed, code, shown in TYPED:
        deed(night)
        done = night.type(line)
        assert done.returncode == code, (line, done.stdout, done.stderr)
        assert shown in done.stdout, (line, done.stdout, done.stderr)
        assert done.stderr == "", line


P08 = Path(__file__).parents[1] / "typing" / "contract" / "p08_3am.sh"


@pytest.mark.timeout(120)
def test_p08_of_the_contract(night: Night) -> None:
    night.edit(500)
    lines = P08.read_text(encoding="utf-8").splitlines()
    screen, history, rollback, explain, resume = [line.partition("  #")[0].strip() for line in lines]
    shown = night.type(screen)
    assert shown.returncode == 0
    assert len(shown.stdout.splitlines()) < 24
    assert "confcast rollback" in shown.stdout
    newest = night.type(history).stdout.splitlines()[1]
    assert newest.split()[:2] == ["*", "2"]
    assert "  watch  " in newest
    assert newest.endswith("database.size: 40 -> 500")
    assert night.type(rollback).returncode == 0
    assert json.loads(night.type("confcast status --json").stdout)["held"]["version"] == 1
    told = night.type(explain).stdout
    assert told.startswith("database.size = 40\n  from     version 1, put back by uid ")
    assert "  sources  500, app.toml:4:8: waits for `confcast resume`\n" in told
    night.edit(45)
    assert night.type(resume).returncode == 0
    assert night.type("confcast show database.size").stdout == "45\n"
