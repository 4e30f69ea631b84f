"""A program under tools that enter its children in every way that is known: with `instrument_owner`, and without.

The tools are fakes, each a few lines, which leave a mark in what they enter. Real ones are in tests/surroundings.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

import confcast
from tests.support.snippets import GUIDE, imported_from, write_files
from tests.support.waiting import DEADLINE

SETTINGS = """
import json, os, sys
from pathlib import Path
from pydantic import BaseModel


class Settings(BaseModel):
    number: int


def about():
    marks = sorted(name for name in {*sys.modules, *sys._xoptions} if name.startswith("mark_"))
    return {"marks": marks, "environment": dict(os.environ), "path": sys.path, "program": sys.orig_argv[0]}


for name in {"confcast.owner", "confcast.loader"} & {*sys.orig_argv}:
    Path(name + ".json").write_text(json.dumps(about()))
"""

SOURCES = """
import sys
import settings
from confcast import Command, ConfigLoader

COUNT = "import os; print('number =', len(os.environ['PYTHONPATH'] + os.environ['COVERAGE_PROCESS_START']))"
loader = ConfigLoader("settings:Settings", Command([sys.executable, "-c", COUNT]))
"""

TOOLS = """
import os, subprocess, _posixsubprocess


def entering(start):
    return lambda arguments, *others: start([arguments[0], b"-Xmark_debugger", *arguments[1:]], *others)


def wrapped(init):
    return lambda self, words, *others, **more: init(self, [words[0], "-Xmark_profiler", *words[1:]], *others, **more)


def run():
    "What a debugger and a profiler do in the process that they run."
    _posixsubprocess.fork_exec = entering(_posixsubprocess.fork_exec)
    subprocess._fork_exec = entering(subprocess._fork_exec)
    subprocess.Popen.__init__ = wrapped(subprocess.Popen.__init__)
"""

PROGRAM = """
import json, os, sys
sys.path[:0] = {front}
import settings, sources, tools
from confcast import ConfigReloadManager
from confcast.master.embedded import EmbeddedManager

if __name__ == "__main__":
    mine, instrument = settings.about(), "instrument" in sys.argv
    tools.run()
    if instrument:
        EmbeddedManager.find_afresh("sources:loader")
    else:
        EmbeddedManager.find_afresh("sources:loader", instrument_owner=False)
    with ConfigReloadManager(sources.loader, instrument_owner=instrument) as manager:
        print(json.dumps(mine | {{"number": manager.current.number}}))
"""

BY_THE_INTERPRETER = ["mark_pth", "mark_sitecustomize"]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with the program, and what its tools have put beside it."""
    for name, text in (("settings", SETTINGS), ("sources", SOURCES), ("tools", TOOLS)):
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    front = [str(tmp_path), str(Path(confcast.__file__).parents[1]), sysconfig.get_path("purelib")]
    (tmp_path / "program.py").write_text(PROGRAM.format(front=front), encoding="utf-8")
    agent = tmp_path / "agent"
    agent.mkdir()
    (agent / "sitecustomize.py").write_text("import mark_sitecustomize\n", encoding="utf-8")
    for mark in BY_THE_INTERPRETER:
        (agent / f"{mark}.py").touch()
    user_site = tmp_path / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    user_site.mkdir(parents=True)
    (user_site / "mark_pth.py").touch()
    line = "import os; os.environ.get('COVERAGE_PROCESS_START') and __import__('mark_pth')"
    (user_site / "coverage.pth").write_text(f"{line}\n", encoding="utf-8")
    (user_site / "editable.pth").write_text("import mark_editable\n", encoding="utf-8")
    (user_site / "mark_editable.py").touch()
    return tmp_path


def run(site: Path, *arguments: str) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """What the program, its owner, and the process that finds a loader say of themselves."""
    variables = {
        "PYTHONPATH": os.pathsep.join([str(site), str(site / "agent")]),
        "PYTHONUSERBASE": str(site),
        "COVERAGE_PROCESS_START": "/srv/.coveragerc",
    }
    done = subprocess.run(
        [sys._base_executable, "program.py", *arguments],  # type: ignore[attr-defined]  # a venv has no user's site
        cwd=site,
        capture_output=True,
        text=True,
        timeout=2 * DEADLINE,
        env=os.environ | variables,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    program = json.loads(done.stdout)
    assert program["number"] == len(variables["PYTHONPATH"] + variables["COVERAGE_PROCESS_START"])
    return (program, *(json.loads((site / f"confcast.{each}.json").read_text()) for each in ("owner", "loader")))


def test_tools_enter_an_owner_by_every_door(site: Path, runtime_folder: Path) -> None:
    program, *started = run(site, "instrument")

    assert program["marks"] == ["mark_editable", *BY_THE_INTERPRETER]
    for process in started:
        assert process["marks"] == sorted(["mark_debugger", "mark_editable", "mark_profiler", *BY_THE_INTERPRETER])


def test_an_owner_that_is_not_instrumented_is_entered_by_none_and_lacks_nothing(
    site: Path, runtime_folder: Path
) -> None:
    program, *started = run(site)

    assert program["marks"] == ["mark_editable", *BY_THE_INTERPRETER]
    for process in started:
        assert process["marks"] == ["mark_editable"]
        for name in ("environment", "path"):
            assert process[name] == program[name]


def test_the_guide_s_program_starts_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runtime_folder: Path) -> None:
    write_files(GUIDE / "surroundings.md", tmp_path)
    monkeypatch.chdir(tmp_path)
    with imported_from(tmp_path):
        manager = importlib.import_module("alone").manager
        with manager:
            assert manager.version == 1
