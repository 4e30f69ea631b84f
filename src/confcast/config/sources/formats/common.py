"""What the formats share: how they refuse, how deep they go, how an offset becomes a line and a column.

`parse(text)` gives the document, or None if there is none (no content, or only comments), and raises Unparsable.
`locate(text)` is only called with a text that `parse` accepted. Messages never quote the text: it may be a secret.

Rejected: a parser of our own that keeps positions while it reads. It is ten times slower than the C parsers, and a
position is wanted only when something is wrong.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterable
from typing import Any, NamedTuple, TypeAlias

MAX_DEPTH = 100
"""Levels of tables and lists; deeper documents are refused before they can exhaust a stack."""

KeyPath: TypeAlias = tuple[Any, ...]
"""Keys of tables and indexes of lists, from the root. Mostly str and int; YAML has other keys."""


class Spot(NamedTuple):
    """Where a value stands, as (line, column), both from 1; columns count characters."""

    key: tuple[int, int]
    value: tuple[int, int]


class Unparsable(Exception):
    """The text is no document of its format. `line` and `column` count from 1; 0 where the place is unknown."""

    def __init__(self, message: str, line: int = 0, column: int = 0) -> None:
        super().__init__(message)
        self.message, self.line, self.column = message, line, column


class Lines:
    """The (line, column) of offsets into a text."""

    def __init__(self, text: str) -> None:
        self._starts = [0, *(found.end() for found in re.finditer("\n", text))]

    def at(self, offset: int) -> tuple[int, int]:
        """The line and the column of an offset, both from 1."""
        line = bisect.bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1


def too_deep(line: int = 0, column: int = 0) -> Unparsable:
    """The refusal of a document that nests too deep."""
    return Unparsable(f"is nested more than {MAX_DEPTH} levels deep", line, column)


def is_too_deep(document: Any) -> bool:
    """Whether a document nests too deep. Iterative: what it looks for would exhaust a recursion."""
    level: Iterable[Any] = (document,)
    for _ in range(MAX_DEPTH + 1):
        level = [child for node in level for child in _children(node) if isinstance(child, dict | list)]
        if not level:
            return False
    return True


def _children(node: Any) -> Iterable[Any]:
    return node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
