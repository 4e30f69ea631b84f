"""The guide's page on the admin API: its commands are typed, its program runs, its tables have all that there is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from confcast import ConfigLoader
from confcast.admin.changes import _STATUSES
from confcast.admin.openapi import document
from confcast.master.embedded import EmbeddedManager
from tests.support.admin import AdminServer
from tests.support.snippets import GUIDE, commands, write_files

PAGE = GUIDE / "admin.md"
SETTINGS = "from pydantic import BaseModel\n\nclass Settings(BaseModel):\n    greeting: str\n"
TEXT = PAGE.read_text(encoding="utf-8")


@pytest.fixture
def server(
    tmp_path: Path, runtime_folder: Path, nothing_is_left: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[AdminServer]:
    """What the page's first command starts, in the folder of an owner."""
    write_files(PAGE, tmp_path)
    (tmp_path / "settings.py").write_text(SETTINGS)
    (tmp_path / "app.toml").write_text('greeting = "good morning"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "settings", raising=False)
    loader: ConfigLoader[Any] = ConfigLoader("settings:Settings", "app.toml")
    started = AdminServer(tmp_path)
    with EmbeddedManager(loader, watch=False, probation=0):
        yield started.start()
        started.close()
    sys.modules.pop("settings", None)


@pytest.fixture
def type_(tmp_path: Path, server: AdminServer) -> Callable[[str], str]:
    """Types one of the page's commands."""

    def typed(line: str) -> str:
        folder = Path(sys.executable).parent
        run = {"cwd": tmp_path, "env": {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}, "timeout": 60}
        done = subprocess.run(
            ["bash", "-c", line.replace("127.0.0.1:9151", f"127.0.0.1:{server.port}")],
            capture_output=True,
            text=True,
            **run,  # type: ignore[call-overload]
        )
        assert done.returncode == 0, done
        return str(done.stdout)

    return typed


def test_its_commands_do_what_it_says(type_: Callable[[str], str], tmp_path: Path, server: AdminServer) -> None:
    start, asks, changes, history = commands(PAGE)
    assert start == "confcast admin --bind 127.0.0.1:9151 --token-file tokens &"
    assert '"version":1,' in type_(asks)
    program = tmp_path / "change.py"
    program.write_text(program.read_text().replace(":9151", f":{server.port}"))
    tried, result, conflict, meanwhile = type_(changes).splitlines()
    assert tried == "[{'key': 'greeting', 'old': 'good morning', 'new': 'hi', 'note': ''}]"
    assert result == "success"
    assert conflict.startswith("412 version 2 runs, and version 1 was expected")
    assert meanwhile == "meanwhile: ['a demonstration']"
    assert ", for admin token admin" in type_(history)


def test_its_table_has_every_route() -> None:
    rows = re.findall(r"^\| `(?:GET|POST) .*?\|", TEXT, re.MULTILINE)
    listed = {path for row in rows for path in re.findall(r"/v1/\w+", row)}
    assert listed | {"/v1/openapi"} == {each.partition(".")[0] for each in document()["paths"]}


def test_its_table_has_every_status_of_a_change() -> None:
    cells = re.findall(r"^\| ([0-9, ]+) \|", TEXT, re.MULTILINE)
    listed = {int(each) for cell in cells for each in cell.split(", ")}
    operations = [each for found in document()["paths"].values() for each in found.values()]
    described = {int(status) for each in operations for status in each["responses"] if status != "default"}
    assert {*_STATUSES.values()} <= described
    assert listed == described


def test_its_pictures_are_there() -> None:
    shown = re.findall(r"^!\[.+\]\((admin/\w+\.png)\)$", TEXT, re.MULTILINE)
    assert len(shown) >= 4
    assert all((GUIDE / each).read_bytes().startswith(b"\x89PNG") for each in shown)
