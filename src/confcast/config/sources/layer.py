"""Defines what a source is, and the layer that it reads: plain data with the position of each value.

The optional methods of a source are not in the protocol's body: a type checker would demand them of every source. The
loader looks each one up, and works without it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from confcast.config.schema.key_path import KeyPath, has
from confcast.config.sources.formats.common import Note
from confcast.errors import ConfigError, Problem
from confcast.texts import repr_of


def fingerprint_of(content: bytes) -> bytes:
    """The hash, 16 bytes, that stands for a content."""
    return hashlib.blake2b(content, digest_size=16).digest()


def combined(fingerprints: list[bytes]) -> bytes:
    """Combine the fingerprints of several sources into one of 16 bytes."""
    return fingerprint_of(b"".join(fingerprints))


class ValueRefused(ConfigError):
    """A source refuses one value that it has read, before a schema is applied to the value.

    Args:
        problem: The message and the position, without a key.
        path: The keys of the value. Only the schema says which of them are secrets.
    """

    def __init__(self, problem: Problem, path: KeyPath) -> None:
        super().__init__([problem])
        self.path = path


class PartsRefused(ConfigError):
    """Several parts of a source are refused: files of a folder, and those that a file includes.

    Args:
        errors: Why each is; a problem that two have is said once.
        reason: The reason of all together.
    """

    def __init__(self, errors: Sequence[ConfigError], reason: str = "validation_failed") -> None:
        super().__init__(list(dict.fromkeys(problem for error in errors for problem in error.problems)), reason)
        self.errors = tuple(errors)


class Place(NamedTuple):
    """The positions of a key and of its value, as text for a person: `app.toml:4:20`."""

    key: str
    value: str


class Fitted(NamedTuple):
    """A layer after a schema was applied to it.

    Attributes:
        layer: The layer, without the values that were refused.
        problems: Why these values were refused.
        warnings: Sentences to be logged once.
        refused: The paths of these values: a key that is missing there is no further error.
    """

    layer: Layer
    problems: list[Problem]
    warnings: list[str]
    refused: Sequence[KeyPath] = ()


class Layer:
    """The result of reading a source: plain data, and the position of each value.

        Layer("app.ini", {"memory": {"total": "512"}}, places=lambda: {("memory", "total"): "app.ini:3"})

    A layer never changes after it was made. An application only makes layers; only the loader calls the methods.

    Args:
        name: How messages name the source if a value has no position of its own: `app.ini`.
        data: Tables as dicts, lists as lists; values as text, numbers, booleans, None, dates and times. If the schema
            wants another type, the validator may convert the value: pydantic makes a number from a text, msgspec does
            not.
        fingerprint: 16 bytes; equal contents have the same. Made from the data if not given.
        places: Returns the position of values by their path, a tuple of keys and indexes. A position is a text for a
            person, or a `Place` if key and value have one each. Called only when a message needs a position.
        notes: Returns advice by path about values that the source's format may have read as something else than was
            meant: a `Note`, or a text for where the schema wants a text. Called only for a value that is refused.
        has_lines: Whether positions have lines: then messages about a whole table point to this source.
        warnings: Sentences about what was read, without values; the loader logs each once.
        secrets: The paths of values that are secret whatever type the schema gives them.
    """

    def __init__(
        self,
        name: str,
        data: dict[str, Any],
        fingerprint: bytes | None = None,
        places: Callable[[], Mapping[KeyPath, Place | str]] | None = None,
        notes: Callable[[], Mapping[KeyPath, Note | str]] | None = None,
        *,
        has_lines: bool = False,
        warnings: Iterable[str] = (),
        secrets: Iterable[KeyPath] = (),
    ) -> None:
        self.name, self.data = name, data
        self.warnings, self.secrets = tuple(warnings), frozenset(secrets)
        self.fingerprint = fingerprint or fingerprint_of(repr_of(data).encode(errors="surrogatepass"))
        self.has_lines = has_lines
        self._places, self._notes = places, notes
        self._filled_by: str | None = ""  # the option that fills placeholders in; None: they were filled in
        self._known: Mapping[KeyPath, Place | str] | None = None
        self._noted: Mapping[KeyPath, Note | str] | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"  # without the data, which may have secrets

    @property
    def parts(self) -> tuple[Layer, ...]:
        """The layers that are merged: this one."""
        return (self,)

    def where(self, path: KeyPath, *, key: bool = False) -> str:
        """The position of a value (or of its key), or that of the innermost table around it that has a position."""
        if self._known is None:
            self._known = self._places() if self._places is not None else {}
        for length in range(len(path), 0, -1):
            place = self._known.get(path[:length])
            if isinstance(place, Place):
                return place.key if key and length == len(path) else place.value
            if place is not None:
                return place
        return self.name

    def note(self, path: KeyPath) -> Note:
        """Advice about a value whose author may have meant another type than was read."""
        if self._noted is None:  # kept: making it parses the whole text, and each of its lines may have a problem
            self._noted = self._notes() if self._notes is not None else {}
        note = self._noted.get(path, "")
        return note if isinstance(note, Note) else Note(text=note)

    def has(self, path: KeyPath) -> bool:
        """Whether the layer has a value there."""
        return has(self.data, path)

    def fit(self, schema: Any, below: Callable[[], dict[str, Any]] = dict) -> Fitted:
        """Apply a schema to the layer; only a layer of environment variables differs by schema.

        Args:
            schema: The class.
            below: Called for the merged data of the lower layers, if they are needed.
        """
        return Fitted(self, [], list(self.warnings))


class Layers(Layer):
    """Several layers that one source gives, low to high: the files of a folder, a file and what it includes.

        Layers("conf.d/*.toml", [Layer("conf.d/10-a.toml", {"a": 1}), Layer("conf.d/20-b.toml", {"b": 2})])

    Args:
        name: How messages name the source if there are no layers.
        layers: The layers; each keeps its own name, positions and warnings.
        fingerprint: 16 bytes; made from those of the layers if not given.
    """

    def __init__(self, name: str, layers: Iterable[Layer], fingerprint: bytes | None = None) -> None:
        found = tuple(part for layer in layers for part in layer.parts)
        super().__init__(name, {}, fingerprint or combined([each.fingerprint for each in found]))
        self._parts = found or (Layer(name, {}, self.fingerprint),)

    @property
    def parts(self) -> tuple[Layer, ...]:
        """The layers that are merged, low to high; an empty one if there is none."""
        return self._parts


class Source(Protocol):
    """A place that values come from: a `msgspec.Struct` with a `read()`, at the top of a module.

        class Flags(msgspec.Struct, frozen=True):
            url: str

            def read(self) -> Layer:
                return Layer(self.url, {"flags": fetched(self.url)})

    The config owner receives the fields of the Struct with its import path, and calls the methods in two of its
    threads, perhaps at the same time: no method may change the source. A master and a worker never call them;
    `python -m confcast check` and `ConfigLoader.load()` do. `confcast.examples.recipes.own_source` is a source to copy.

    A source may have these methods, too:

    - `content_fingerprint() -> bytes`: the fingerprint of what `read()` would return, for less work. Without it the
      owner calls `read()` to find out whether the content has changed. An exception counts as a content of its own.
    - `watched() -> tuple[Path, ...]`: the files whose change is a change of the source, whether they exist or not. The
      owner looks as soon as one changes; without this method only every 30 seconds. A directory stands for all files in
      it, now and later: a source that reads a directory should name it, not its files.
    - `read_noting(note) -> Layer`: called in the place of `read()`, for a source that finds files only while it reads.
      It calls `note(path, fingerprint)` for each such file before it raises anything about it. The fingerprint is 16
      bytes that stand for the content, or for the reason why there is none. The owner watches these files, and counts
      their content beside `content_fingerprint()`.
    - `poll() -> float`: for what can't be watched: looks whether the content has changed, and returns the seconds until
      the next look. The owner calls it in a thread of its own, while it follows its sources, and compares fingerprints
      afterwards. With it belongs a `content_fingerprint()` that says what the last look, or `read()`, has found, and
      asks nobody; without that the owner calls `read()` after each poll.
    - `async follow(host) -> None`: for a server that tells of changes by itself: goes on until it is cancelled, and
      calls `host.changed()` when `read()` would give something else than before; a load begins at once. The owner runs
      it from before its first load on, also with `watch=False` (then a change loads nothing), in one asyncio loop for
      all sources: it must not block. If it raises or returns, it is begun anew after a growing pause; while another
      generation's owner takes over, it is cancelled. With it belongs a `content_fingerprint()` as with `poll()`. `host`
      has an `id` that outlives the owner, `name`, `labels`, `state_dir`, and `outcomes`, an `asyncio.Queue` of what
      came of contents: each has the layer's `fingerprint`, a `state` (`applied`, `good`, `partial`, `refused`, `held`
      or `undone`), the `version`, a `reason`, and `good_in`, the seconds until what is applied can be good.
    - `still_being_written() -> bool`: whether a process is writing to the files, so that the owner should wait. A
      source that watches a directory returns a tuple of those files instead.
    """

    def read(self) -> Layer:
        """Everything that the source has now; called at each load.

        Raises:
            ConfigError: One `Problem` for each mistake, and `file_not_found` or `io_error` as the reason if that is the
                cause. Any other exception becomes one problem, with its type and text.
        """
        ...
