"""The guide's page on webhooks: its server posts to its receiver, which verifies, as they are written there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from confcast import ReloadEvent
from tests.support.receiver import receiving
from tests.support.snippets import GUIDE, commands, files, snippets

PAGE = GUIDE / "webhooks.md"
_DEADLINE = 60

SETTINGS = """\
from pydantic import BaseModel
class Settings(BaseModel):
    greeting: str = "hello"
"""
SOURCES = 'from confcast import ConfigLoader\nloader = ConfigLoader("settings:Settings", "app.toml")\n'


@contextmanager
def running(folder: Path, program: str) -> Iterator[subprocess.Popen[str]]:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen([sys.executable, program], cwd=folder, **pipes) as process:  # type: ignore[call-overload]
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with receiving() as free:  # its port is free a moment later
        port = str(free.server_port)
    for name, text in {**files(PAGE), "settings.py": SETTINGS, "sources.py": SOURCES}.items():
        (tmp_path / name).write_text(text.replace("8099", port), encoding="utf-8")
    (tmp_path / "app.toml").write_text('greeting = "hello"')
    return tmp_path


def test_its_server_posts_and_its_receiver_verifies(folder: Path) -> None:
    make = commands(PAGE)[0]
    made = subprocess.run(
        make.replace("python", sys.executable, 1), shell=True, cwd=folder, check=True, timeout=_DEADLINE
    )
    assert made.returncode == 0
    with ExitStack() as both:
        receiver = both.enter_context(running(folder, "receiver.py"))
        server = both.enter_context(running(folder, "server.py"))
        assert receiver.stdout is not None
        assert receiver.stdout.readline() == "confcast.settled 1\n"
        assert server.stdin is not None
        server.stdin.write("\n")
        server.stdin.close()
        assert server.wait(_DEADLINE) == 0


def test_its_example_has_fields_that_there_are_and_its_table_all_types() -> None:
    (shown,) = (each.text for each in snippets(PAGE) if not each.language)
    data = json.loads(shown)["data"]
    assert set(data) - {"name", "host", "cut"} <= set(ReloadEvent.__struct_fields__)
    types = re.findall(r"^\| `confcast\.(\w+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert types == ["settled", "refused", "undone", "held"]
