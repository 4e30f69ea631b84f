"""Puts a bug into a copy of the package, for tests that show that it is found.

`text` occurs once in its file, so that a bug whose place was rewritten is noticed at once.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Protocol

PACKAGE = Path(__file__).parents[2] / "src" / "confcast"


class Replacement(Protocol):
    """One, in one file of the package."""

    @property
    def file(self) -> str:
        """Under the package's folder."""

    @property
    def text(self) -> str:
        """What is replaced."""

    @property
    def instead(self) -> str:
        """What stands there then."""


def with_the_bug(bug: Replacement) -> str:
    """The file's text with the bug in it."""
    text = (PACKAGE / bug.file).read_text(encoding="utf-8")
    assert text.count(bug.text) == 1, f"{bug.file} was rewritten where this bug went: find it a new place"
    return text.replace(bug.text, bug.instead)


def copied(home: Path) -> Path:
    """`home`, which has a copy of the package from now on, to be changed and imported from."""
    shutil.copytree(PACKAGE, home / "confcast", ignore=shutil.ignore_patterns("__pycache__"))
    return home
