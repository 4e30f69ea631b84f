"""Reads a file in TOML, JSON, YAML or INI as a source; what it refers to is read by includes.py.

Guarantees: a file that is missing, empty, only comments, still open for writing, not UTF-8, too large, too deep, a
directory or a device is an error that names it, never a configuration of defaults; `optional=True` allows it to be
missing and `allow_empty=True` to be empty. A file that was cut at a line's end and closed can't be recognised. A byte
order mark of UTF-8 is accepted (editors on Windows write one); the error for UTF-16 or UTF-32 names it.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from confcast.config.schema.key_path import KeyPath
from confcast.config.sources import disk
from confcast.config.sources.decoding import NotDecodable, decoded
from confcast.config.sources.file_reads import FileReads, Named, ignore, is_called
from confcast.config.sources.formats.common import Note, Spot, Unparsable
from confcast.config.sources.formats.in_table import NoTable, Reader, TableReader
from confcast.config.sources.layer import Layer, Place, ValueRefused, fingerprint_of
from confcast.config.sources.variable_targets import parts_of
from confcast.errors import ConfigError, Problem

Format = Literal["toml", "json", "jsonc", "yaml", "ini"]
_SUFFIXES: dict[str, Format] = {
    ".toml": "toml",
    ".json": "json",
    ".jsonc": "jsonc",
    ".yaml": "yaml",
    ".yml": "yaml",
    ".ini": "ini",
    ".cfg": "ini",
}
_TAGS = ("env", "file", "include")
FORMATS = "'toml', 'json', 'jsonc', 'yaml' or 'ini'"


@functools.lru_cache(maxsize=64)
def _as_path(path: str) -> tuple[Path, ...]:
    """The path of a file, made once for all loads.

    A Path interns its parts: made at each load, they would be inserted and die in the interpreter's table of strings,
    which grows by half a megabyte on that. A master with more files than are kept here pays only the microseconds.
    """
    return (Path(path),)


def form_of(path: str) -> Format | None:
    """The format that the suffix of a path says; None if it says none."""
    return _SUFFIXES.get(Path(path).suffix.lower())


class _Options(msgspec.Struct, frozen=True, kw_only=True):
    format: Format | None = None
    optional: bool = False
    allow_empty: bool = False
    table: str | None = None
    nested: bool = False
    interpolate: bool = False
    references: Literal["env"] | None = None
    includes: str | None = None
    tags: tuple[str, ...] = ()
    shown: str = ""


class File(_Options, frozen=True):
    """A configuration file.

    Args:
        path: The path. Made absolute at once, so that a later `chdir` changes nothing.
        format: `toml`, `json`, `jsonc` (JSON with comments and trailing commas), `yaml` or `ini`; if not given, the
            suffix says which (`.cfg` is INI, too).
        optional: Whether the file may be missing; a missing file sets no key.
        allow_empty: Whether the file may be empty; an empty file sets no key.
        table: The only table of the file that is read, as a dotted key: `tool.app` in `pyproject.toml`. A part with
            dots in it stands in quotes, as in TOML. In an INI file without `nested` it is the name of a section.
            `optional` allows it to be missing, and `allow_empty` to be empty.
        nested: Whether `[a.b]` and `[a:b]` in an INI file are a table `b` in the table `a`.
        interpolate: Whether `%(name)s` in an INI file stands for another value of the section or of `[DEFAULT]`, and
            `%%` for a percent sign, as configparser's `BasicInterpolation` has it.
        references: `env`: in values, `${VAR}`, `${VAR:-default}` and `${file:/path}` are replaced by what they name,
            and `$$` by a dollar. A value that is one reference is converted by the type of its key.
        includes: A key at the top of what is read; its value is the path of a file to include, or a list of them. What
            is included lies below this file. The path is relative to the file that names it.
        tags: Of YAML, which of `env`, `file` and `include` to read: `!env VAR`, `!file path`, `!include path`.

    Attributes:
        shown: The path as it was given, which is how messages name the file.

    Raises:
        ValueError: The path is empty; neither the suffix nor `format` says how to read the file; or an option has no
            meaning for it.
    """

    path: str

    if TYPE_CHECKING:
        # A Struct that is sent to another process has its path as a str; callers may give a Path.
        def __init__(
            self,
            path: str | os.PathLike[str],
            *,
            format: Format | None = None,  # noqa: A002
            optional: bool = False,
            allow_empty: bool = False,
            table: str | None = None,
            nested: bool = False,
            interpolate: bool = False,
            references: Literal["env"] | None = None,
            includes: str | None = None,
            tags: Sequence[Literal["env", "file", "include"]] = (),
            shown: str = "",
        ) -> None: ...

    def __post_init__(self) -> None:
        given = disk.checked_path(self.path)
        if not self.shown:
            msgspec.structs.force_setattr(self, "shown", given)
        msgspec.structs.force_setattr(self, "path", str(Path(given).absolute()))
        suffix = Path(given).suffix
        form = self.format or form_of(given)
        if form not in _SUFFIXES.values():
            raise ValueError(
                f"{self.shown}: can't tell the format {'from ' + suffix if suffix else 'without a suffix'}:"
                f" give format={FORMATS}"
                if self.format is None
                else f"{self.shown}: unknown format {self.format!r}: it has to be {FORMATS}"
            )
        msgspec.structs.force_setattr(self, "format", form)
        self._check_options()
        if self.table is not None:
            self._table_path()

    def _check_options(self) -> None:
        tags = (self.tags,) if isinstance(self.tags, str) else tuple(self.tags)
        msgspec.structs.force_setattr(self, "tags", tags)
        for name in ("nested", "interpolate"):
            if getattr(self, name) and self.format != "ini":
                raise ValueError(f"{self.shown}: {name}=True is for INI files, and the format is {self.format}")
        if self.references not in (None, "env"):
            raise ValueError(f"{self.shown}: references={self.references!r}: it has to be 'env'")
        if self.includes == "":
            raise ValueError(f"{self.shown}: includes='': it has to be a key, such as 'include'")
        if self.includes is not None and self.format == "ini" and self.table is None:
            raise ValueError(f"{self.shown}: an INI file has its keys in sections: includes= needs table=, the section")
        if unknown := set(tags) - set(_TAGS):
            raise ValueError(f"{self.shown}: tags has {sorted(unknown)}: known are {', '.join(_TAGS)}")
        if tags and self.format != "yaml":
            raise ValueError(f"{self.shown}: tags={tags}: only YAML has tags, and the format is {self.format}")

    def _table_path(self) -> tuple[str, ...]:
        """The keys that lead to the table that is read; empty for the whole file. Raises ValueError."""
        if self.table is None:
            return ()
        if not isinstance(self.table, str) or not self.table:
            raise ValueError(f"{self.shown}: table={self.table!r}: it has to be a dotted key, such as 'tool.app'")
        if self.format == "ini" and not (self.nested and self.table != "DEFAULT"):
            return (self.table,)
        try:
            parts = parts_of(self.table.replace(":", ".") if self.nested else self.table)
        except ValueError as error:
            why = "a quotation has no end" if isinstance(error, json.JSONDecodeError) else error
            raise ValueError(f"{self.shown}: table={self.table!r}: {why}") from None
        if "" in parts:
            raise ValueError(f"{self.shown}: table={self.table!r}: a part of the dotted key is empty")
        return tuple(map(str, parts))

    def read(self) -> Layer:
        """Read and parse the whole content. May wait a quarter of a second for a process that is writing the file.

        Raises:
            ConfigError: The file can't be read, or is no document of its format.
        """
        return self.read_noting(ignore)

    def read_noting(self, note: Callable[[Path, bytes], None]) -> Layer:
        """Read as `read` does, and call `note` with each included file and each file of a reference."""
        return self._read_by(FileReads(note))

    def _read_by(self, reads: FileReads) -> Layer:
        """What the file gives, read in this way. Raises ConfigError as `read` does."""
        if not self._refers:
            return self._read_once(reads)
        try:
            return reads.together(lambda: self._read_once(reads))
        except disk.StillChanging as error:
            raise self._error(f"the file and those that it names {error}") from None

    def _read_once(self, reads: FileReads) -> Layer:
        try:
            content = reads.own(self.path)
        except FileNotFoundError:
            if self.optional:
                return Layer(self.shown, {}, disk.MISSING)
            raise self._error(self._what_is_missing(), reason="file_not_found") from None
        except OSError as error:
            raise self._error(f"can't be read: {error.strerror}", reason="io_error") from None
        except disk.NotReadable as error:
            raise self._error(str(error)) from None
        if self._refers:
            from confcast.config.sources import includes

            return includes.layer_of(self, content, reads)
        return self._layer_of(content)

    def _layer_of(self, content: bytes) -> Layer:
        """What the file would give with this content, if it names no others. Raises ConfigError as `read` does."""
        text = self._text(content)
        return self._layer_with(self._parsed(text), lambda: self._places(text), text, fingerprint_of(content))

    def _beside(self, name: str) -> File:
        """The file of this name in the file's folder, with the file's options. Raises ValueError."""
        form = form_of(name) or self.format
        return msgspec.structs.replace(
            self,
            path=str(Path(self.path).parent / name),
            shown=str(Path(self.shown).parent / name),
            format=form,
            optional=False,
            table=self.table if form == "ini" else None,
            nested=self.nested and form == "ini",
            interpolate=self.interpolate and form == "ini",
            tags=self.tags if form == "yaml" else (),
        )

    def _what_is_missing(self) -> str:
        there = "" if self.shown == self.path else f": {self.path}"
        if Path(self.path).is_symlink():
            return f"is a link to a file that does not exist: {Path(self.path).readlink()}"
        return f"there is no such file{there}"

    @property
    def _refers(self) -> bool:
        """Whether the file may name others, or variables."""
        return self.references is not None or self.includes is not None or bool(self.tags)

    def _paths_called(self, name: str) -> tuple[str, ...]:
        """The file's path, if a person means it by this name: the path, as given or absolute, or the end of it."""
        return (self.path,) if name == self.shown or is_called(self.path, name) else ()

    def _paths_to_come(self, name: str) -> tuple[str, ...]:
        """No path: a file of another name is never read."""
        return ()

    def _named(self, given: Mapping[str, bytes] | None = None, within: Named | None = None) -> Named:
        """The files and variables that this file names now, directly or not; with contents in the place of its own."""
        noted = dict[str, bytes]()
        reads = FileReads(lambda path, fingerprint: noted.update({str(path): fingerprint}), given, within=within)
        with contextlib.suppress(ConfigError):  # it is raised again when the file is loaded
            self._read_by(reads)
        return Named(noted, reads.variables)

    def _text_called(
        self, shown: str, given: Mapping[str, bytes] | None = None, within: Named | None = None
    ) -> bytes | None:
        """The content of the file that messages call so: this one, or one that it names. None if it can't be had.

        Contents that are `given`, by path, stand in the place of those that the files have.
        """
        reads = FileReads(ignore, given, within=within)
        with contextlib.suppress(OSError, disk.NotReadable):
            if shown == self.shown:
                return reads.own(self.path)
            named = self._named(given, within).paths if self._refers else ()
            path = next((each for each in named if is_called(each, shown)), "")
            return reads.other(path) if path else None
        return None

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
        layer = self._kind_of_layer()(
            self.shown,
            data,
            fingerprint,
            places,
            lambda: self._notes(text),
            has_lines=True,
            secrets=secrets,
            warnings=(*warnings, *self._warnings(text)),
        )
        layer._filled_by = 'File(…, references="env")'
        return layer

    def _kind_of_layer(self) -> type[Layer]:
        if self.format != "ini":
            return Layer
        from confcast.config.sources.text_layer import TextLayer

        return TextLayer

    def content_fingerprint(self) -> bytes:
        """The fingerprint that `read()` would return, without parsing the file. Never raises; any thread may call it.

        A file that is missing, or can't be read, has a fingerprint of its own.
        """
        if self._refers:
            from confcast.config.sources import references

            return references.fingerprint_now(self.path)
        return disk.fingerprint_now(self.path)

    def watched(self) -> tuple[Path, ...]:
        """The path of the file itself."""
        return _as_path(self.path)

    def still_being_written(self) -> bool:
        """Whether a process has the file open for writing, as far as a lease on it shows. Never raises."""
        return disk.is_being_written(self.path)

    def _text(self, content: bytes) -> str:
        """The text of a content. Raises ConfigError."""
        try:
            return decoded(content)
        except NotDecodable as error:
            raise self._error(error.message, error.line, error.column) from None

    def _parsed(self, text: str) -> dict[str, Any]:
        """The data of a text; new at each call. Raises ConfigError."""
        try:
            document = self._reader().parse(text, self.tags) if self.tags else self._reader().parse(text)
        except NoTable as error:
            if self.optional:
                return {}
            raise self._error(error.message) from None
        except Unparsable as error:
            raise ValueRefused(self._problem(error.message, error.line, error.column), error.path) from None
        except ImportError:
            raise self._error('is YAML, which needs PyYAML: pip install "confcast[yaml]"') from None
        if not document and isinstance(document, dict | None):
            if self.allow_empty:
                return {}
            empty = "is empty" if self.table is None or document is None else f"the table {self.table} is empty"
            raise self._error(f"{empty}: nothing is set in it (allow_empty=True accepts that)")
        if not isinstance(document, dict):
            kind = "a list" if isinstance(document, list) else "a single value"
            raise self._error(f"has to be a table of keys, and is {kind}")
        return document

    def _reader(self) -> Reader:
        """What parses the file: the module of the format, or for a table of the file one that reads no more of it."""
        return TableReader(self._module(), self._table_path()) if self.table is not None else self._module()

    def _module(self) -> Reader:
        """Import the parser by a statement: a frozen program does not find modules that are imported by their name."""
        if self.format == "toml":
            from confcast.config.sources.formats import toml

            return toml
        if self.format == "json":
            from confcast.config.sources.formats import json as json_format

            return json_format
        if self.format == "jsonc":
            from confcast.config.sources.formats import jsonc

            return jsonc
        if self.format == "ini":
            from confcast.config.sources.formats import ini

            return ini.Reader(nested=self.nested, interpolate=self.interpolate, table=self._table_path())
        from confcast.config.sources.formats import yaml

        return yaml

    def _notes(self, text: str) -> Mapping[KeyPath, Note]:
        notes: Callable[[str], Mapping[KeyPath, Note]] | None = getattr(self._reader(), "notes", None)
        return notes(text) if notes is not None else {}

    def _warnings(self, text: str) -> list[str]:
        """Sentences about what the format's parser passes over in silence."""
        warnings = getattr(self._module(), "warnings", None)
        found = warnings(text) if warnings is not None else ()
        return [f"{self.shown}:{line}:{column}: what {predicate}" for line, column, predicate in found]

    def _places(self, text: str) -> Mapping[KeyPath, Place]:
        """The positions of all values of a text that was parsed."""
        return _Places(self.shown, self._reader().locate(text))

    def _error(self, message: str, line: int = 0, column: int = 0, reason: str = "validation_failed") -> ConfigError:
        return ConfigError([self._problem(message, line, column)], reason)

    def _problem(self, message: str, line: int, column: int) -> Problem:
        return Problem("", message, f"{self.shown}:{line}:{column}" if line else self.shown)


class _Places(Mapping[KeyPath, Place]):
    """The positions of values as texts, which are made when they are asked for: few of many are.

    Args:
        name: How messages name the file.
        spots: The lines and columns.
    """

    def __init__(self, name: str, spots: Mapping[KeyPath, Spot]) -> None:
        self._name, self._spots = name, spots

    def __getitem__(self, path: KeyPath) -> Place:
        (line, column), (its_line, its_column) = self._spots[path]
        return Place(f"{self._name}:{line}:{column}", f"{self._name}:{its_line}:{its_column}")

    def __iter__(self) -> Iterator[KeyPath]:
        return iter(self._spots)

    def __len__(self) -> int:
        return len(self._spots)
