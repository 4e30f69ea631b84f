"""Flags of the interpreter mean in the owner what they mean in the master."""

from __future__ import annotations

from tests.support.surroundings import Room, tool

TOO_LARGE_FOR_AN_ASSERT = 1000


@tool()
def test_python_optimized(room: Room):
    said = room.run("python", "-O", "prefork.py", str(TOO_LARGE_FOR_AN_ASSERT))

    assert {"worker": [2, TOO_LARGE_FOR_AN_ASSERT]} in said
    assert room.owner_was()["optimize"] == 1


@tool()
def test_python_isolated(room: Room):
    customized = room.folder / "customized"
    customized.mkdir()
    (customized / "sitecustomize.py").write_text("import os\nopen(f'ran in {os.getpid()}', 'w').close()\n")
    room.variables(PYTHONPATH=str(customized))

    assert {"worker": [2, 2]} in room.run("python", "-I", "isolated.py")
    assert list(room.folder.glob("ran in *")) == []
