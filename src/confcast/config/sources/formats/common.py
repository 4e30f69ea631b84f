"""The code that the formats share: the error that refuses a text, the limits, and the line and column of an offset.

`parse(text)` returns the document, or None if there is none (no content, or only comments), and raises Unparsable.
`locate(text)` is only called with a text that `parse` accepted. Messages quote neither the text nor a key: either may
be a secret.

Rejected: a parser of our own that keeps positions while it reads. It is ten times slower than the C parsers, and a
position is needed only when something is wrong.
"""

from __future__ import annotations

import bisect
import math
import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, NamedTuple

from confcast.config.schema.key_path import KeyPath

MAX_DEPTH = 100
"""The most levels of tables and lists; deeper documents are refused before they can exhaust a stack."""

MAX_BYTES = 16 * 1024 * 1024
"""Bytes of the largest file that is read: a larger file is no configuration."""

MOST_DIGITS = 4300
"""Digits of a whole number that Python reads, unless it is told otherwise: the time grows with their square."""

_DIGITS = r"[0-9](?:_?[0-9])*+"
_DECIMAL = re.compile(rf"[+-]?{_DIGITS}(?P<more>(?:\.{_DIGITS})?(?:[eE][+-]?{_DIGITS})?)")


class Note(NamedTuple):
    """Advice about one value, by the type that the schema wants for it; empty if there is none.

    Attributes:
        text: If a text is wanted.
        table: If a table or a list is wanted.
        number: If a number is wanted that may have a fraction.
        whole: If a whole number is wanted.
    """

    text: str = ""
    table: str = ""
    number: str = ""
    whole: str = ""


class Spot(NamedTuple):
    """The (line, column) of a key and of its value, both from 1; columns count characters."""

    key: tuple[int, int]
    value: tuple[int, int]


class Tagged(str):
    """A text of a YAML document under a tag of confcast's own: `!env NAME`. Whoever asked for the tag replaces it.

    Attributes:
        tag: Without the exclamation mark: `env`.
    """

    __slots__ = ("tag",)
    tag: str


class Unparsable(Exception):
    """The text is no document of its format.

    `line` and `column` count from 1, and are 0 if the place is unknown. `path` is the path of the refused value; empty
    if there is more than one.
    """

    def __init__(self, message: str, line: int = 0, column: int = 0, path: KeyPath = ()) -> None:
        super().__init__(message)
        self.message, self.line, self.column, self.path = message, line, column, path


class Lines:
    """The (line, column) of offsets into a text."""

    def __init__(self, text: str) -> None:
        self._starts = [0, *(found.end() for found in re.finditer("\n", text))]

    def at(self, offset: int) -> tuple[int, int]:
        """The line and the column of an offset, both from 1."""
        line = bisect.bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1


class Scanner(ABC):
    """Walks over a document that was parsed before, and collects the place of each value by its path.

    With `strict` the document may hold what is refused: the scanner finds it, and raises Unparsable with its place.
    """

    def __init__(self, text: str, *, strict: bool = False) -> None:
        self._text, self._strict = text, strict
        self._lines = Lines(text)
        self._spots: dict[KeyPath, Spot] = {}

    @abstractmethod
    def _value(self, at: int, path: KeyPath) -> int:
        """Collect the places inside a value; returns the offset behind it."""

    def _item(self, at: int, path: KeyPath) -> int:
        spot = self._lines.at(at)
        self._spots[path] = Spot(spot, spot)
        return self._value(at, path)

    def _end(self, pattern: re.Pattern[str], at: int) -> int:
        found = pattern.match(self._text, at)
        assert found is not None, f"offset {at} of a document that was parsed before"
        return found.end()


class TooLarge(Exception):
    """A number written in digits is infinite as a float; its place is computed afterwards."""


TOO_LARGE = "has a number that is too large for a float: it ends at 1.8e308"
TWICE = "has this key twice in one table"


def finite(text: str) -> float:
    """A number as a float; infinite only if it is written as `inf`. Raises TooLarge."""
    number = float(text)
    if math.isinf(number) and "n" not in text.lower():  # the words "inf" and "infinity" do mean infinity
        raise TooLarge
    return number


def why_no_number(form: str, text: str, at: int) -> str | None:
    """Why Python can't read a decimal number that begins at an offset; None if it can, or if there is no number.

    One in hex, octal or binary may be of any length: Python reads it in time that grows with its length alone. It does
    not write it in decimal, so whatever shows one writes the hex (`texts.str_of`).

    Any text may follow the number.
    """
    found = _DECIMAL.match(text, at)
    if found is None:
        return None
    try:
        finite(found[0]) if found["more"] else int(found[0])
    except TooLarge:
        return TOO_LARGE
    except ValueError:  # the interpreter's limit on the digits of an int
        return _too_many_digits(form)
    return None


def _too_many_digits(form: str) -> str:
    """Why a decimal number is refused that has more digits than Python reads."""
    most = f"{sys.get_int_max_str_digits():,}"
    return f"is no valid {form} here: a number has too many digits: at most {most} are read; quote it if it is text"


def too_deep(line: int = 0, column: int = 0) -> Unparsable:
    """The error that refuses a document which nests too deep."""
    return Unparsable(f"is nested more than {MAX_DEPTH} levels deep", line, column)


def is_too_deep(document: Any) -> bool:
    """Whether a document nests too deep. Iterative, since such a document would exhaust a recursion."""
    level: Iterable[Any] = (document,)
    for _ in range(MAX_DEPTH + 1):
        level = [child for node in level for child in _children(node) if isinstance(child, dict | list)]
        if not level:
            return False
    return True


def _children(node: Any) -> Iterable[Any]:
    return node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
