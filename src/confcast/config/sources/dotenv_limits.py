"""Refuses `.env` files that python-dotenv would take minutes or gigabytes for, before it reads them.

Guaranteed: a file of 16 MiB ends in bounded time and memory. References to references stand for as much as they like,
and lines that no person wrote can take the square of their length. So the work is counted before, with numbers alone:
no text is made.

A bound is far above what anybody writes: a `.env` file within them gives what python-dotenv gives.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

from confcast.config.sources.formats.common import MAX_BYTES, Lines
from confcast.config.sources.layer import Place
from confcast.errors import ConfigError, Problem

if TYPE_CHECKING:
    from dotenv.variables import Atom

MOST_STEPS = 100_000_000
"""Characters that python-dotenv may look at for the blanks, or for the references, of one file: a second's work."""

_MOST_FOR_BRACES = MOST_STEPS // 50
"""Characters that may be looked at for a closing brace: python-dotenv goes back over each, which takes 20 ns, twice."""

_BLANKS = re.compile(r"[^\S\r\n]{16,}+")  # shorter ones take no time, however many there are
_TOO_MUCH = "stands for too much text, by the names that it refers to"


class Assignment(Protocol):
    """A name with its value, where it stands in the file."""

    @property
    def name(self) -> str:
        """The name."""

    @property
    def value(self) -> str | None:
        """The value, with references as they are written."""

    @property
    def place(self) -> Place:
        """The positions of the name and of the value."""


def check_blanks(text: str, shown: str) -> None:
    """Refuse long runs of blanks, before the file is parsed. Raises ConfigError.

    Args:
        text: The file's.
        shown: The file, as messages name it.
    """
    steps = 0
    for found in _BLANKS.finditer(text):
        steps += (found.end() - found.start()) ** 2
        if steps > MOST_STEPS:
            line, column = Lines(text).at(found.start())
            raise _refused("has too many blanks in a row", f"{shown}:{line}:{column}")


def check_braces(lines: Iterable[Assignment]) -> None:
    """Refuse values with too many references that have no end, before anybody looks for one. Raises ConfigError."""
    steps = 0
    for line in lines:
        steps += sum(part.count("${") * len(part) for part in (line.value or "").split("}"))
        if steps > _MOST_FOR_BRACES:
            raise _refused("has too many references without a closing brace", line.place.value)


def check_references(lines: Sequence[Assignment]) -> None:
    """Refuse values that stand for too much, after those that `check_braces` refuses. Raises ConfigError."""
    from dotenv.variables import parse_variables

    check_braces(lines)
    known: dict[str, int] = {}
    characters = 0
    for line in lines:
        value = line.value or ""
        length = sum(_length(each, known) for each in parse_variables(value)) if "${" in value else len(value)
        characters += length
        if characters > MAX_BYTES:
            raise _refused(_TOO_MUCH, line.place.value)
        known[line.name] = length


def _length(atom: Atom, known: dict[str, int]) -> int:
    """Characters that a part of a value may stand for: the file or the environment gives them, or else it does."""
    name = getattr(atom, "name", "")  # only a reference has one
    return max(len(atom.resolve({})), known.get(name, 0), len(os.environ.get(name, "")))


def _refused(message: str, where: str) -> ConfigError:
    return ConfigError([Problem("", message, where)])
