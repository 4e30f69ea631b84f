"""Reads one table of a document: `tool.app` of a `pyproject.toml`, a section of an INI file.

Guaranteed: positions are those of the file, and the rest of the document counts for nothing but that it can be parsed.
What is no table, there or on the way to it, is refused, and never taken for a table that is missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, TypeVar

from confcast.config.schema.key_path import KeyPath, dotted, shown
from confcast.config.sources.formats.common import Note, Spot, Unparsable
from confcast.texts import close_matches

T = TypeVar("T")


class NoTable(Unparsable):
    """The document does not have the table."""


class Reader(Protocol):
    """What a module of a format has."""

    def parse(self, text: str, *more: Any) -> Any:
        """Parse a document; None if the text has none. Raises Unparsable."""

    def locate(self, text: str) -> Mapping[KeyPath, Spot]:
        """The place of each key and each value of the document."""


class TableReader:
    """Reads a table of a document as if it were the document.

    Args:
        whole: Reads the document.
        path: The keys that lead to the table.
    """

    def __init__(self, whole: Reader, path: tuple[str, ...]) -> None:
        self._whole, self._path = whole, path

    def parse(self, text: str, *more: Any) -> dict[str, Any] | None:
        """The table; None if the text has no document. Raises Unparsable, and NoTable."""
        try:
            found = self._whole.parse(text, *more)
        except Unparsable as error:
            raise Unparsable(error.message, error.line, error.column, self._inside(error.path)) from None
        if found is None:
            return None
        for length, part in enumerate(self._path):
            if part not in self._table(found, length, text):
                raise self._missing(found, length)
            found = found[part]
        return self._table(found, len(self._path), text)

    def locate(self, text: str) -> Mapping[KeyPath, Spot]:
        """The place of each key and each value of the table, in the file."""
        return _Below(self._whole.locate(text), self._path)

    def notes(self, text: str) -> Mapping[KeyPath, Note]:
        """Advice about values of the table."""
        notes = getattr(self._whole, "notes", None)
        return _Below(notes(text), self._path) if notes is not None else {}

    def _table(self, found: Any, length: int, text: str) -> dict[str, Any]:
        """What is found at so many of the keys. Raises Unparsable if that is no table."""
        if not isinstance(found, dict):
            kind = "a list" if isinstance(found, list) else "a single value"
            path = self._path[:length]
            spot = self._whole.locate(text).get(path)
            what = f"{dotted(path)} has to be a table" if path else "has to be a table of keys"
            raise Unparsable(f"{what}, and is {kind}", *(spot.value if spot else ()))
        return found

    def _inside(self, path: KeyPath) -> KeyPath:
        return path[len(self._path) :] if path[: len(self._path)] == self._path else ()

    def _missing(self, table: dict[str, Any], length: int) -> NoTable:
        """The error for a document whose table at so many of the keys has no next one."""
        around, wanted = self._path[:length], self._path[length]
        names = [key for key, value in table.items() if isinstance(value, dict)]
        close = close_matches(wanted, [name for name in names if isinstance(name, str)])
        near: tuple[str, ...] = (*around, close[0]) if close else ()
        known = f"; {dotted(around)} is there, and has no {shown(wanted)}" if around else ""
        return NoTable(f"has no table {dotted(self._path)}" + (f"; did you mean {dotted(near)}?" if near else known))


class _Below(Mapping[KeyPath, T]):
    """What is known of the values of a document, by their paths in one of its tables.

    Args:
        every: By their paths in the document.
        table: The path of the table.
    """

    def __init__(self, every: Mapping[KeyPath, T], table: KeyPath) -> None:
        self._every, self._table = every, table

    def __getitem__(self, path: KeyPath) -> T:
        if not path:
            raise KeyError(path)
        return self._every[*self._table, *path]

    def __iter__(self) -> Iterator[KeyPath]:
        size = len(self._table)
        return (path[size:] for path in self._every if path[:size] == self._table and len(path) > size)

    def __len__(self) -> int:
        return sum(1 for _ in self)
