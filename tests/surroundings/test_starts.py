"""Owners of programs that are no plain Python: frozen into one file, compiled, within a server that embeds Python.

Slow: each installs its tool. What else packs and runs programs stands beside this file.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.programs import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

SETTINGS = """
from pydantic import BaseModel

class Settings(BaseModel, frozen=True):
    greeting: str = "hi"
"""

PROGRAM = """
import os, sys
import confcast

if "WITHOUT_ENTRY" not in os.environ:
    confcast.owner_main()

from confcast import ConfigLoader, ConfigReloadManager
from settings import Settings

class Here(Settings):
    pass

def main():
    depth = int(os.environ.get("DEPTH", "0"))
    if depth > 2:
        sys.exit("started itself too often")
    os.environ["DEPTH"] = str(depth + 1)
    loader = ConfigLoader(Here if "HERE" in os.environ else Settings, "app.toml")
    with ConfigReloadManager(loader, watch=False) as manager:
        print(manager.current.greeting)
        with open("app.toml", "w") as file:
            file.write('greeting = "two"')
        print(manager.reload().result.value, manager.current.greeting)
        os.kill(manager.owner_pid, 9)
        print(manager.reload().result.value, manager.version, manager.get_stats()["owner_restarts"])
    print("closed")

if __name__ == "__main__":
    main()
"""
SAID = "one\nsuccess two\nunchanged 2 1\nclosed\n"

WITHIN = """
import os, sys
from confcast import ConfcastError, ConfigLoader, ConfigReloadManager

def start(**options):
    try:
        with ConfigReloadManager(ConfigLoader("settings:Settings", "app.toml"), watch=False, **options) as manager:
            return manager.current.greeting
    except ConfcastError as error:
        return str(error)

with open("said", "w") as file:
    file.write(start() + "\\n" + start(executable=os.environ["PYTHON_BESIDE"]) + "\\n")
os._exit(0)
"""


@pytest.fixture
def room(tmp_path: Path) -> Path:
    """A program in a folder."""
    for name, text in (("settings.py", SETTINGS), ("program.py", PROGRAM), ("within.py", WITHIN)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "app.toml").write_text('greeting = "one"', encoding="utf-8")
    return tmp_path


@pytest.fixture
def tools() -> Iterator[Callable[..., Path]]:
    """Gives the folder of programs of an environment with confcast and these packages."""
    with tempfile.TemporaryDirectory(prefix="confcast-starts-") as folder:

        def install(*packages: str) -> Path:
            subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=300)
            programs = Path(folder, "bin")
            command = [programs / "python", "-m", "pip", "install", "-q", "--disable-pip-version-check", str(ROOT)]
            subprocess.run([*command, *packages], check=True, timeout=1200)
            return programs

        yield install


def run(room: Path, *command: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "CONFCAST_RUNTIME_DIR": str(room), **variables}
    return subprocess.run(
        list(map(str, command)), cwd=room, env=environment, capture_output=True, text=True, timeout=1200, check=False
    )


def test_a_program_that_pyinstaller_froze_into_one_file(room: Path, tools: Callable[..., Path]) -> None:
    """With no option of PyInstaller's: all that confcast needs is found by its import statements."""
    python = tools("pyinstaller==6.22.3") / "python"
    made = run(room, python, "-m", "PyInstaller", "--onefile", "--log-level", "ERROR", "program.py")
    assert made.returncode == 0, made.stderr

    done = run(room, "dist/program")
    assert (done.returncode, done.stdout) == (0, SAID), done.stderr

    refused = run(room, "dist/program", WITHOUT_ENTRY="yes")
    assert "is a frozen program: in the place of a config owner it would run from its beginning again" in refused.stderr
    assert "Let confcast.owner_main() be the first that it calls" in refused.stderr
    assert "too often" not in refused.stderr

    refused = run(room, "dist/program", HERE="yes")
    assert "Here is defined in the main program of " in refused.stderr
    assert (
        "which is frozen, and can't be imported by another process: put it into a module of its own" in refused.stderr
    )


@pytest.mark.skipif(shutil.which("gcc") is None, reason="nuitka needs a compiler")
def test_a_program_that_nuitka_compiled_for_the_interpreter_here(room: Path, tools: Callable[..., Path]) -> None:
    python = tools("nuitka==4.3.3") / "python"
    made = run(room, python, "-m", "nuitka", "--mode=accelerated", "program.py")
    assert made.returncode == 0, made.stderr

    done = run(room, "./program.bin", WITHOUT_ENTRY="yes")
    assert (done.returncode, done.stdout) == (0, SAID), done.stderr


def test_a_manager_within_uwsgi(room: Path, tools: Callable[..., Path]) -> None:
    programs = tools("uWSGI==2.0.31")
    options = [
        "--http-socket",
        "127.0.0.1:0",
        "--master",
        "--need-app",
        "-H",
        programs.parent,
        "--wsgi-file",
        "within.py",
    ]
    run(room, programs / "uwsgi", *options, PYTHON_BESIDE=str(programs / "python"))

    refused, started = (room / "said").read_text().splitlines()
    assert "sys.executable is " in refused
    assert "bin/uwsgi, by its name no Python interpreter. Name an interpreter: executable='" in refused
    assert started == "one"
