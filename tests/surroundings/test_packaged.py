"""Programs that are shipped as one file: the owner finds what the master finds, wherever that lies."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.environments import Environments
from tests.support.surroundings import Room, tool

RELOADED = [{"worker": [1, 1]}, {"worker": [2, 2]}, {"status": 0}, {"closed": True}]


@pytest.fixture
def sources(room: Room) -> str:
    """A folder with the program's own modules, and nothing else."""
    folder = room.folder / "sources"
    folder.mkdir()
    for name in ("prefork.py", "settings.py", "telling.py"):
        shutil.move(room.folder / name, folder / name)
    return str(folder)


@pytest.fixture
def wheel(environments: Environments) -> str:
    """Confcast, for the packers that install what they pack."""
    return str(environments.wheel())


@pytest.fixture
def roots(room: Room) -> Path:
    """Where what was packed is unpacked."""
    folder = room.folder / "roots"
    room.variables(PEX_ROOT=str(folder / "pex"), SHIV_ROOT=str(folder / "shiv"))
    return folder


@tool("pex==2.105.2")
def test_pex(room: Room, sources: str, wheel: str, roots: Path):
    room.do("pex", wheel, "-D", sources, "-m", "prefork", "-o", "app.pex")

    assert room.run("./app.pex") == RELOADED


@tool("pex==2.105.2")
def test_pex_venv(room: Room, sources: str, wheel: str, roots: Path):
    room.do("pex", wheel, "-D", sources, "-m", "prefork", "--venv", "-o", "app.pex")

    assert room.run("./app.pex") == RELOADED


@tool("shiv==1.0.8", "pip==26.3")
def test_shiv(room: Room, sources: str, wheel: str, roots: Path):
    room.do("shiv", "--quiet", "--site-packages", sources, "-e", "prefork:main", "-o", "app.shiv", wheel)

    assert room.run("./app.shiv") == RELOADED


@tool("pyinstaller==6.22.3")
def test_pyinstaller(room: Room):
    ours = ["--collect-submodules", "confcast", "--copy-metadata", "confcast", "--hidden-import", "settings"]
    room.do("pyinstaller", "--log-level", "ERROR", "--onedir", *ours, "frozen.py")

    assert room.run("./dist/frozen/frozen") == RELOADED

    room.variables(WITHOUT_OWNER_MAIN="yes")
    log = room.refused("./dist/frozen/frozen")
    assert "confcast.owner_main()" in log
    assert "started again" not in log
