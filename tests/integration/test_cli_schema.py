"""`confcast schema` with a real owner, in a process of its own, and without an owner."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import Run, runner
from tests.support.fixtures import Manager
from tests.support.settings import text
from tests.support.waiting import DEADLINE

pytestmark = pytest.mark.usefixtures("no_other_owners")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(capsys)


def test_keys_and_an_example_without_reading_a_source(manager: Manager, config: Path, run: Run) -> None:
    config.write_text(text(-1), encoding="utf-8")
    code, out, _ = run("schema", "limits")
    assert code == 0
    assert [line.split()[:3] for line in out.splitlines()[2:]] == [
        ["limits.low", "int", "0"],
        ["limits.high", "int", "100"],
    ]
    found = json.loads(run("schema", "--json", "limits.high")[1])["fields"]
    assert [(each["key"], each["default"], each["constraints"]) for each in found] == [
        ("limits.high", 100, ["<= 1000"])
    ]
    code, out, _ = run("schema", "limits", "--example", "toml")
    assert (code, out) == (0, "# Limits\n[limits]\n\n# int, >= 0\nlow = 0\n\n# int, <= 1000\nhigh = 100\n")
    assert json.loads(run("schema", "limits", "--example", "json")[1]) == {"limits": {"low": 0, "high": 100}}
    document = json.loads(run("schema", "limits.low", "--example", "yaml", "--json")[1])
    assert document == {"format": "yaml", "example": "limits:\n\n  # int, >= 0\n  low: 0"}
    code, out, _ = run("schema", "limits.hihg")
    assert (code, out) == (1, "limits.hihg: the schema has no such key; did you mean limits.high?\n")


def test_as_a_process(manager: Manager) -> None:
    command = [sys.executable, "-m", "confcast", "schema", "--address", manager.address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0].split() == ["KEY", "TYPE", "DEFAULT", "DEMANDS"]
    assert "limits.high" in done.stdout


def test_with_a_loader_no_owner_is_asked(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "described_here.py").write_text(
        "from confcast import ConfigLoader\nfrom tests.support.settings import Limits\n"
        "print('imported')\nloader = ConfigLoader(Limits, 'is-not-there.toml')\n",
        encoding="utf-8",
    )
    code, out, _ = run("schema", "--loader", "described_here:loader", "--example", "yaml")
    assert (code, out) == (0, "# int, >= 0\nlow: 0\n\n# int, <= 1000\nhigh: 100\n")
    code, out, _ = run("schema", "hihg", "--loader", "described_here:loader")
    assert (code, out) == (1, "hihg: the schema has no such key; did you mean high?\n")
    assert run("schema", "--loader", "described_here:nothing")[0] == 1
