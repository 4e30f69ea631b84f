"""Reads a file with what it refers to: included files as layers below it, references, and YAML's tags of confcast.

`File(…, includes="include")`: the key of that name at the top of the file holds a path, or a list of paths, and is
taken out. An included file lies below the one that includes it, and of a list, the last is the highest: so a file
overrides what it includes, as it would override a file that the loader names before it. Each included file is read with
the same options. A relative path begins at the folder of the file that names it. `!include path` puts a file's data in
the place of one value instead, in the layer of the file that names it.

Guaranteed: what is missing or can't be read is reported at the path that names it, everything at once; a circle is
refused with the whole chain; depth, number and size are bounded.

Rejected: wildcards in such a path (a new file would be no change of a file that is known; `Files` watches a folder),
and included files above the including one (a file could then not override what it includes).
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from confcast.config.schema.key_path import KeyPath
from confcast.config.sources import disk
from confcast.config.sources.file_reads import FileReads
from confcast.config.sources.formats.common import MAX_BYTES, Tagged
from confcast.config.sources.formats.ini_interpolation import Text
from confcast.config.sources.layer import Layer, Layers, PartsRefused, Place, combined, fingerprint_of
from confcast.config.sources.references import Resolved, Resolver, Room, Unresolved, fingerprint_with_variables
from confcast.config.sources.resolved_layer import ResolvedLayer
from confcast.config.sources.text_layer import items_of
from confcast.config.sources.variable_values import NotConvertible
from confcast.errors import ConfigError, Problem


class Referring(Protocol):
    """A `File`, as far as this module knows it."""

    @property
    def path(self) -> str:
        """Its absolute path."""

    @property
    def shown(self) -> str:
        """How messages name it."""

    @property
    def format(self) -> str | None:
        """How it is read."""

    @property
    def includes(self) -> str | None:
        """The key that holds the paths of files to include; None if there is none."""

    @property
    def references(self) -> str | None:
        """Whether references in values are resolved."""

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags of YAML that are read."""

    def _beside(self, name: str) -> Referring:
        """The file of this name in the file's folder, with the file's options. Raises ValueError."""

    def _text(self, content: bytes) -> str:
        """The text of a content. Raises ConfigError."""

    def _parsed(self, text: str) -> dict[str, Any]:
        """The data of a text; new at each call. Raises ConfigError."""

    def _places(self, text: str) -> Mapping[KeyPath, Place]:
        """The positions of all values of a text that was parsed."""

    def _layer_with(
        self,
        data: dict[str, Any],
        places: Callable[[], Mapping[KeyPath, Place | str]],
        text: str,
        fingerprint: bytes,
        *,
        secrets: Iterable[KeyPath] = (),
        warnings: Iterable[str] = (),
    ) -> Layer:
        """The layer of data that were made of a text."""


MOST_DEEP = 20
"""How many files may include each other in a row."""

MOST_FILES = 1000
"""How many files one file may include, with all that those include."""

MOST_BYTES = 4 * MAX_BYTES
"""Bytes of all included files together."""


def layer_of(file: Referring, content: bytes, reads: FileReads) -> Layer:
    """What a file gives with this content, and with all that it refers to. Raises ConfigError with every problem."""
    reading = _Reading(reads)
    layers = reading.layers(file, content, ())
    if len(reading.errors) == 1:
        raise reading.errors[0]
    if reading.errors:
        raise PartsRefused(reading.errors, _reason(reading.errors))
    return Layers(file.shown, layers, fingerprint_with_variables(content))


class _Document:
    """The data of one file, with the positions of its values.

    Args:
        file: The file.
        content: Its content.

    Attributes:
        file: As given.
        text: The content as text.
        data: The data, which are changed in place.
        resolved: What the references gave, by path.
        unresolved: What could not be resolved, by path.
        included: The documents in the place of values, by path.
        warnings: Sentences about the files of references.

    Raises:
        ConfigError: The content is no document.
    """

    def __init__(self, file: Referring, content: bytes) -> None:
        self.file, self.text = file, file._text(content)
        self.data = file._parsed(self.text)
        self.resolved: dict[KeyPath, Resolved] = {}
        self.unresolved: dict[KeyPath, Unresolved] = {}
        self.included: dict[KeyPath, _Document] = {}
        self.warnings: list[str] = []

    @functools.cached_property
    def where(self) -> Mapping[KeyPath, Place | str]:
        """The positions of the file's text."""
        return self.file._places(self.text)

    def places(self) -> Mapping[KeyPath, Place | str]:
        """The positions of all values, with what references put into them."""
        return _Places(self)

    def place(self, path: KeyPath) -> str:
        """The position of one value in the file's own text."""
        known = (self.where.get(path[:length]) for length in range(len(path), 0, -1))
        found = next((each for each in known if each is not None), self.file.shown)
        return found.value if isinstance(found, Place) else found


class _Places(Mapping[KeyPath, Place | str]):
    """The positions of a document's values, found when they are asked for."""

    def __init__(self, document: _Document) -> None:
        self._document = document

    def __getitem__(self, path: KeyPath) -> Place | str:
        for length in range(1, len(path)):
            if (included := self._document.included.get(path[:length])) is not None:
                return included.places()[path[length:]]
        found, resolved = self._document.where[path], self._document.resolved.get(path)
        return _with_origins(found, resolved.origins) if resolved is not None and resolved.origins else found

    def __iter__(self) -> Iterator[KeyPath]:
        yield from self._document.where
        for path, document in self._document.included.items():
            yield from ((*path, *below) for below in document.places())

    def __len__(self) -> int:
        return sum(1 for _ in self)


class _Reading:
    """One read of a file with all that it includes; collects what is wrong.

    Args:
        reads: Reads the other files.

    Attributes:
        errors: What is wrong with files.
    """

    def __init__(self, reads: FileReads) -> None:
        self.errors: list[ConfigError] = []
        self._reads, self._room = reads, Room()
        self._count = self._bytes = 0

    def layers(self, file: Referring, content: bytes, chain: tuple[Referring, ...]) -> list[Layer]:
        """The layers of a file, low to high: those of the files that it includes, and its own."""
        here = (*chain, file)
        try:
            document = self._document(file, content, here)
        except ConfigError as error:
            self.errors.append(error)
            return []
        below = [layer for path, name in self._named(document) for layer in self._below(document, path, name, here)]
        return [*below, _as_layer(document, content)]

    def _document(self, file: Referring, content: bytes, chain: tuple[Referring, ...]) -> _Document:
        document = _Document(file, content)
        found = list(_referring(document.data, (), references=file.references is not None))
        if found:
            resolver = Resolver(Path(file.path).parent, self._reads, self._room)
            for table, part, path in found:
                self._resolve(document, table, part, path, resolver, chain)
            document.warnings.extend(resolver.warnings())
        return document

    def _resolve(
        self,
        document: _Document,
        table: Any,
        part: Any,
        path: KeyPath,
        resolver: Resolver,
        chain: tuple[Referring, ...],
    ) -> None:
        """Replace the text at a key or index of a table or list, which is at this path."""
        text = table[part]
        try:
            is_tagged = isinstance(text, Tagged)
            found = self._tagged(document, text, path, resolver, chain) if is_tagged else resolver.resolve(text)
        except Unresolved as error:
            document.unresolved[path] = error
            if document.file.format == "ini":  # whose own layer refuses the value
                table[part] = _instead_of(text, "", "; ".join(error.messages))
            return
        if found is not None:
            document.resolved[path] = found
            table[part] = _instead_of(text, found.text)
        elif path in document.included:
            table[part] = document.included[path].data

    def _tagged(
        self, document: _Document, text: Tagged, path: KeyPath, resolver: Resolver, chain: tuple[Referring, ...]
    ) -> Resolved | None:
        """What a tagged text gives; None for what is included, or can't be. Raises Unresolved."""
        if text.tag != "include":
            return resolver.tagged(text.tag, text)
        if self._count > MOST_FILES:
            return None
        named = Resolved(text, (), False, False)
        if document.file.references is not None:
            named = resolver.resolve(text)
        try:
            other, content = self._included(document, path, named, chain)
            document.included[path] = self._document(other, content, (*chain, other))
        except ConfigError as error:
            self.errors.append(error)
        return None

    def _named(self, document: _Document) -> Iterator[tuple[KeyPath, str]]:
        """The paths of included files under the key that the user chose, which is taken out of the data."""
        key = document.file.includes
        if key is None or key not in document.data:
            return
        value = document.data.pop(key)
        if document.file.format == "ini" and isinstance(value, str) and (key,) not in document.unresolved:
            try:
                value = items_of(value)
            except NotConvertible as error:
                self.errors.append(_error(str(error), document, (key,)))
                return
        listed = [((key, n), each) for n, each in enumerate(value)] if isinstance(value, list) else [((key,), value)]
        for path, each in listed:
            if path in document.unresolved:
                messages = document.unresolved.pop(path).messages
                self.errors += (_error(f"names a file to include, and {text}", document, path) for text in messages)
            elif isinstance(each, str):
                yield path, each
            else:
                self.errors.append(
                    _error("has to be the path of a file to include, or a list of paths", document, path)
                )

    def _below(self, document: _Document, path: KeyPath, name: str, chain: tuple[Referring, ...]) -> list[Layer]:
        if self._count > MOST_FILES:  # said already
            return []
        known = document.resolved.pop(path, None) or document.resolved.get(path[:1])
        named = Resolved(name, (), False, known is not None and known.is_secret)
        try:
            other, content = self._included(document, path, named, chain)
        except ConfigError as error:
            self.errors.append(error)
            return []
        return self.layers(other, content, chain)

    def _included(
        self, document: _Document, path: KeyPath, named: Resolved, chain: tuple[Referring, ...]
    ) -> tuple[Referring, bytes]:
        """The file that a value names, and its content. Raises ConfigError at the position of the value."""

        def error(message: str, reason: str = "validation_failed") -> ConfigError:
            return _error(message, document, path, reason)

        if named.is_secret:
            raise error("includes a file whose path comes from a secret, so that a message would show the secret")
        if not named.text.strip() or "\0" in named.text:
            raise error("includes a file, and its path is empty or no path")
        try:
            other = document.file._beside(named.text)
        except ValueError as wrong:
            raise error(f"includes {wrong}") from None
        self._check_chain(other, chain, error)
        try:
            content = self._reads.other(other.path)
        except FileNotFoundError:
            wild = "; a path has no wildcards here: Files(…) reads a folder" if set(named.text) & set("*?[") else ""
            raise error(f"includes a file that does not exist: {other.path}{wild}", "file_not_found") from None
        except OSError as wrong:
            raise error(f"includes {other.shown}, which can't be read: {wrong.strerror}", "io_error") from None
        except disk.NotReadable as wrong:
            raise error(f"includes {other.shown}, which {wrong}") from None
        self._bytes += len(content)
        if self._bytes > MOST_BYTES:
            raise error(f"includes more than {MOST_BYTES // 1024**2} MiB with the files before")
        return other, content

    def _check_chain(self, other: Referring, chain: tuple[Referring, ...], error: Callable[[str], ConfigError]) -> None:
        self._count += 1
        if self._count > MOST_FILES:
            raise error(f"includes a file after {MOST_FILES} others: no more are allowed")
        real = os.path.realpath(other.path)
        start = next((index for index, link in enumerate(chain) if os.path.realpath(link.path) == real), None)
        if start is not None:
            names = " → ".join([*(link.shown for link in chain[start:]), other.shown])
            raise error(f"closes a circle of files that include each other: {names}")
        if len(chain) > MOST_DEEP:
            raise error(f"is the end of a chain of {MOST_DEEP} files that include each other: no more are allowed")


def _as_layer(document: _Document, content: bytes) -> Layer:
    every, file = list(_every(document, ())), document.file
    resolved = {(*above, *path): each for above, one in every for path, each in one.resolved.items()}
    unresolved = {(*above, *path): error for above, one in every for path, error in one.unresolved.items()}
    fingerprint, texts = fingerprint_of(content), [each.text for each in resolved.values()]
    if texts or len(every) > 1:
        below = repr((texts, [one.data for _, one in every[1:]]))
        fingerprint = combined([fingerprint, fingerprint_of(below.encode(errors="surrogatepass"))])
    layer = file._layer_with(
        document.data,
        document.places,
        document.text,
        fingerprint,
        secrets=(path for path, each in resolved.items() if each.is_secret),
        warnings=(each for _, one in every for each in one.warnings),
    )
    if file.references is None and not file.tags:
        return layer
    if file.format == "ini":  # every value of it is converted, and its own layer refuses what could not be resolved
        return ResolvedLayer(layer, {}, {})
    return ResolvedLayer(layer, {path: each.text for path, each in resolved.items() if each.is_whole}, unresolved)


def _instead_of(text: str, found: str, fault: str = "") -> str:
    """A text that stands for another one; of INI, with what is known of that value, and why it can't be used."""
    if isinstance(text, Text):
        return Text(found, inherited=text.inherited, made_of=text.made_of, fault=fault)
    return Text(found, fault=fault) if fault else found


def _every(document: _Document, above: KeyPath) -> Iterator[tuple[KeyPath, _Document]]:
    """A document, and those in the place of its values, each with the path to it."""
    yield above, document
    for path, each in document.included.items():
        yield from _every(each, (*above, *path))


def _referring(value: Any, path: KeyPath, *, references: bool) -> Iterator[tuple[Any, Any, KeyPath]]:
    """Each text that may refer to something: what holds it, its key or index there, and its path."""
    for part, item in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(item, str):
            if (references and "$" in item) or isinstance(item, Tagged):
                yield value, part, (*path, part)
        elif isinstance(item, dict | list):
            yield from _referring(item, (*path, part), references=references)


def _with_origins(place: Place | str, origins: tuple[str, ...]) -> Place | str:
    end = ", from " + " and ".join(origins)
    return Place(place.key, place.value + end) if isinstance(place, Place) else place + end


def _error(message: str, document: _Document, path: KeyPath, reason: str = "validation_failed") -> ConfigError:
    return ConfigError([Problem("", message, document.place(path))], reason)


def _reason(errors: list[ConfigError]) -> str:
    reasons = {error.reason for error in errors}
    return reasons.pop() if len(reasons) == 1 else "validation_failed"
