"""What a source is, and what it gives: a layer, with the position of each value.

A user's own source is a `msgspec.Struct` with a `read()`: the config owner gets it as data, by import path. What else
it may have is named in `Source`; the loader asks for each and does without.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from confcast.config.schema.key_path import KeyPath, value_at
from confcast.config.sources.formats.common import Note
from confcast.errors import ConfigError, Problem


def fingerprint_of(content: bytes) -> bytes:
    """16 bytes that stand for a content."""
    return hashlib.blake2b(content, digest_size=16).digest()


_ABSENT = object()


def texts(data: Any, wanted: Callable[[str], bool], path: KeyPath = ()) -> Iterator[tuple[KeyPath, str]]:
    """Every text in plain data that is wanted, with its path. Each load asks of each value: it has to be quick."""
    for part, value in data.items() if type(data) is dict else enumerate(data):
        kind = type(value)
        if kind is str:
            if wanted(value):
                yield (*path, part), value
        elif kind is dict or kind is list:
            yield from texts(value, wanted, (*path, part))


class ValueRefused(ConfigError):
    """A source refuses one value that it has read, before a schema is applied to it.

    Args:
        problem: What is wrong, and where; without a key.
        path: The keys of the value. Only the schema says which of them are secrets.
    """

    def __init__(self, problem: Problem, path: KeyPath) -> None:
        super().__init__([problem])
        self.path = path


class Place(NamedTuple):
    """Where a key and its value stand, as text for a person: `app.toml:4:20`."""

    key: str
    value: str


class Fitted(NamedTuple):
    """A layer as a schema reads it.

    Attributes:
        layer: What can be used of it.
        problems: What is wrong with it.
        warnings: What a person should be told once.
        refused: The paths whose values are refused: what is missing there follows from that.
    """

    layer: Layer
    problems: list[Problem]
    warnings: list[str]
    refused: Sequence[KeyPath] = ()


class Layer:
    """What one source gave in one read. Not to be changed after it was made.

    Args:
        name: What a person calls it: the file's name, for example.
        data: Tables as dicts; values as plain data.
        fingerprint: 16 bytes that are equal if the content is; made from the data if not given.
        places: Gives the position of keys and values, when somebody asks.
        notes: Gives what its format made of values that may have been meant as something else, when somebody asks: a
            `Note`, or a text where text may have been meant.
        has_lines: Whether positions have lines: then a whole table is best found there.
    """

    def __init__(
        self,
        name: str,
        data: dict[str, Any],
        fingerprint: bytes | None = None,
        places: Callable[[], Mapping[KeyPath, Place]] | None = None,
        notes: Callable[[], Mapping[KeyPath, Note | str]] | None = None,
        *,
        has_lines: bool = False,
    ) -> None:
        self.name, self.data = name, data
        self.fingerprint = fingerprint or fingerprint_of(repr(data).encode(errors="surrogatepass"))
        self.has_lines = has_lines
        self._places, self._notes = places, notes
        self._known: Mapping[KeyPath, Place] | None = None
        self._noted: Mapping[KeyPath, Note | str] | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"  # never the data: it may have secrets

    def where(self, path: KeyPath, *, key: bool = False) -> str:
        """The position of a value (or of its key); that of the nearest table around it if it has none."""
        if self._known is None:
            self._known = self._places() if self._places is not None else {}
        for length in range(len(path), 0, -1):
            place = self._known.get(path[:length])
            if place is not None:
                return place.key if key and length == len(path) else place.value
        return self.name

    def note(self, path: KeyPath) -> Note:
        """Advice about a value that was meant as one thing and read as another."""
        if self._noted is None:  # the whole text is parsed for it, and there may be a problem in each of its lines
            self._noted = self._notes() if self._notes is not None else {}
        note = self._noted.get(path, "")
        return note if isinstance(note, Note) else Note(text=note)

    def has(self, path: KeyPath) -> bool:
        """Whether the layer has a value there."""
        return value_at(self.data, path, _ABSENT) is not _ABSENT

    def fit(self, schema: Any, below: Callable[[], dict[str, Any]] = dict) -> Fitted:
        """The layer as this schema reads it. Most layers are the same for all.

        Args:
            schema: The class.
            below: Gives what the lower layers have together, when somebody asks.
        """
        return Fitted(self, [], [])


class Source(Protocol):
    """A place values come from: a `msgspec.Struct` with a `read()`.

    It may also have `content_fingerprint() -> bytes` (cheap; equal to the fingerprint of what `read()` would give;
    without it the loader calls `read()`), `watched() -> tuple[Path, ...]` (files whose change is a change of the
    source, or directories, which stand for everything in them, now and later; neither need be there yet) and
    `still_being_written() -> bool`. A source that reads a directory should name the directory: its files, when there
    are none, can't be watched, and it is only asked for them again every second.
    """

    def read(self) -> Layer:
        """Everything that the source has now. Raises ConfigError with all that is wrong."""
        ...
