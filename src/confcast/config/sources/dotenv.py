"""Reads a `.env` file as a source, by python-dotenv's parser.

Guarantees: each value is what `dotenv_values` gives; the process's environment is never written, and only read where
interpolation is asked for; a value that a secret was put into is then a secret, too. A line that the parser can't read
is an error with its place, never skipped, as the parser itself would. A file that is missing, unreadable, not UTF-8,
without any name, or still open for writing is an error; `optional=True` allows it to be missing and `allow_empty=True`
to set nothing. No message quotes a line of the file.

The parser is called as its own library calls it, for the values and the text of each line; columns are found in that
text. Rejected: `load_dotenv` (it writes the environment, which every child of the process inherits, and a line that is
taken away stays set), and refusing a name that is set twice (a `.env` may well end with what overrides the rest; the
last line counts, as the parser has it, and that is said).
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from confcast.config.sources import disk
from confcast.config.sources.decoding import NotDecodable, decoded
from confcast.config.sources.dotenv_limits import check_blanks, check_braces, check_references
from confcast.config.sources.file_reads import UNNAMED, FileReads, Named, ignore, is_called
from confcast.config.sources.layer import Layer, Place, fingerprint_of
from confcast.config.sources.named_texts import Lists, NamedTexts, Naming, Text, Unknown, check_naming, names_as_dict
from confcast.errors import ConfigError, Problem

_BEGIN = re.compile(r"\s*(?:export[^\S\n]+)?")
_NAME = re.compile(r"(?:'[^']+'|[^=#\s]+)[^\S\n]*(?:=[^\S\n]*)?")
_END = "\n"
_MOST_LISTED = 10
_MADE_OF_TOO_MANY = "refers to too many names, by those that it refers to"
_MOST_MADE_OF = 1_000_000  # names that all values together may be made of: each keeps its own


class _Options(msgspec.Struct, frozen=True, kw_only=True):
    names: dict[str, str] = {}
    interpolate: bool = False
    lists: Lists = "json"
    unknown: Unknown | None = None
    optional: bool = False
    allow_empty: bool = False
    shown: str = ""


class Dotenv(_Options, frozen=True):
    """A `.env` file: lines as `APP_MEMORY__TOTAL=2`. Needs python-dotenv, which the extra `dotenv` installs.

        Dotenv(".env", "APP_", names={"DATABASE_URL": "database.url"})

    A name means the same key, and a text the same value, as in `Environment`. The file is watched; the environment of
    the process is not changed by it.

    Args:
        path: The path. Made absolute at once, so that a later `chdir` changes nothing.
        prefix: With what the names of the application begin, in any case. If it is empty, every name is read.
        names: For other names, such as `DATABASE_URL`, the key that each sets, as messages write keys. They are found
            as they are written here, in this case only.
        interpolate: Whether `${NAME}` and `${NAME:-default}` in a value are replaced, by python-dotenv's rules: by what
            stands further up in the file, or else by the environment, or else by nothing (which is logged).
        lists: How a list is written: as JSON, or with commas, too (`Environment` says how).
        unknown: A name that the schema has no key for refuses the configuration (`refuse`), or is logged and ignored
            (`warn`). If not given: `refuse` with a prefix, which says whose the names are, and `warn` without one.
        optional: Whether the file may be missing; a missing file sets no key.
        allow_empty: Whether the file may set nothing.

    Attributes:
        shown: The path as it was given, which is how messages name the file.

    Raises:
        ValueError: The path is empty, `lists` or `unknown` is another word, or a key of `names` can't be one.
        TypeError: The path, the prefix, a name or its key is no text.
    """

    path: str = ".env"
    prefix: str = ""

    if TYPE_CHECKING:
        # A Struct that is sent to another process has its path as a str; callers may give a Path.
        def __init__(
            self,
            path: str | os.PathLike[str] = ".env",
            prefix: str = "",
            *,
            names: Mapping[str, str] = {},
            interpolate: bool = False,
            lists: Lists = "json",
            unknown: Unknown | None = None,
            optional: bool = False,
            allow_empty: bool = False,
            shown: str = "",
        ) -> None: ...

    def __post_init__(self) -> None:
        given = disk.checked_path(self.path)
        msgspec.structs.force_setattr(self, "shown", self.shown or given)
        msgspec.structs.force_setattr(self, "path", str(Path(given).absolute()))
        msgspec.structs.force_setattr(self, "names", names_as_dict(self.names))
        check_naming(self.prefix, self.names, self.lists, self.unknown)

    def read(self) -> Layer:
        """Read and parse the whole file; the schema is applied later. May wait a quarter of a second for a writer.

        Raises:
            ConfigError: The file can't be read, or a line of it is none.
        """
        return self._read_by(FileReads(ignore))

    def _read_by(self, reads: FileReads) -> Layer:
        """What the file gives, read in this way. Raises ConfigError as `read` does."""
        try:
            content = reads.own(self.path)
        except FileNotFoundError:
            if self.optional:
                return Layer(self.shown, {}, disk.MISSING)
            there = "" if self.shown == self.path else f": {self.path}"
            raise self._error(f"there is no such file{there}", reason="file_not_found") from None
        except OSError as error:
            raise self._error(f"can't be read: {error.strerror}", reason="io_error") from None
        except disk.NotReadable as error:
            raise self._error(str(error)) from None
        return self._layer_of(content, reads.within)

    def content_fingerprint(self) -> bytes:
        """The fingerprint that `read()` would return, without parsing. Never raises; any thread may call it."""
        return disk.fingerprint_now(self.path)

    def watched(self) -> tuple[Path, ...]:
        """The path of the file itself."""
        return (disk.as_path(self.path),)

    def still_being_written(self) -> bool:
        """Whether a process has the file open for writing, as far as a lease on it shows. Never raises."""
        return disk.is_being_written(self.path)

    def _paths_called(self, name: str) -> tuple[str, ...]:
        """The file's path, if a person means it by this name: the path, as given or absolute, or the end of it."""
        return (self.path,) if name == self.shown or is_called(self.path, name) else ()

    def _paths_to_come(self, name: str) -> tuple[str, ...]:
        """No path: a file of another name is never read."""
        return ()

    def _named(self, given: Mapping[str, bytes] | None = None, within: Named | None = None) -> Named:
        """The variables that the file names now. It names no other file."""
        names: set[str] = set()
        if self.interpolate:
            with contextlib.suppress(ConfigError, OSError, disk.NotReadable, NotDecodable):  # raised by a load
                lines = self._lines(decoded(FileReads(ignore, given).own(self.path)))
                check_braces(lines)
                names.update(name for line in lines for name in _variables_in(line))
        return Named(variables=names)

    def _text_called(self, shown: str, given: Mapping[str, bytes] | None = None, within: Named | None = None) -> None:
        """No text: messages show no line of a file whose values are secrets as often as not."""

    def _layer_of(self, content: bytes, within: Named | None = None) -> Layer:
        try:
            text = decoded(content)
        except NotDecodable as error:
            raise self._error(error.message, error.line, error.column) from None
        lines = self._lines(text)
        if self.interpolate and within is not None:
            _check_within(lines, within)
        found, warnings = self._texts(lines)
        if not lines and not self.allow_empty:
            raise self._error("is empty: nothing is set in it (allow_empty=True accepts that)")
        naming = Naming(self.prefix, self.names, self.lists, self._unknown, given="Dotenv(names")
        layer = NamedTexts(self.shown, found, naming, fingerprint_of(content), warnings=warnings, has_lines=True)
        layer._filled_by = "" if self.interpolate else "Dotenv(…, interpolate=True)"
        return layer

    @property
    def _unknown(self) -> Unknown:
        return self.unknown or ("refuse" if self.prefix else "warn")

    def _lines(self, text: str) -> list[Line]:
        """The names of the file with their values. Raises ConfigError with each line that is none."""
        try:
            found = [*lines_in(text, self.shown)]
        except ImportError:
            raise self._error('needs python-dotenv: pip install "confcast[dotenv]"') from None
        wrong = [line for line in found if line.is_wrong]
        if wrong:
            raise ConfigError([Problem("", NO_LINE, line.place.key) for line in wrong])
        return found

    def _texts(self, lines: Sequence[Line]) -> tuple[list[Text], list[str]]:
        """The texts that may be the application's, and sentences about what was read."""
        values, made_of, warnings = _interpolated(lines) if self.interpolate else _as_written(lines)
        last: dict[str, Text] = {}
        again, bare = [], []
        prefix = self.prefix.upper()
        for line, value, names in zip(lines, values, made_of, strict=True):
            if prefix and not line.name.upper().startswith(prefix) and line.name not in self.names:
                continue
            if value is None:
                bare.append(line.place.key)
                last.pop(line.name, None)
                continue
            again += [line.place.key] if line.name in last else []
            last[line.name] = Text(line.name, value, functools.partial(_place, line), made_of=names)
        warnings += [f"{_listed(again)}: the name is set before, and this last line counts"] if again else []
        warnings += [f"{_listed(bare)}: there is no = behind the name, so it is not set"] if bare else []
        return list(last.values()), warnings

    def _error(self, message: str, line: int = 0, column: int = 0, reason: str = "validation_failed") -> ConfigError:
        return ConfigError([Problem("", message, f"{self.shown}:{line}:{column}" if line else self.shown)], reason)


class Line(NamedTuple):
    """A name with its value, as the parser has found it.

    Attributes:
        name: The name; empty if the line is none.
        value: The value; None if there is no `=`.
        text: The text of the line, or lines, from the end of the line before.
        line: The number of the first of these lines.
        shown: The file, as messages name it.
        is_wrong: Whether the parser can't read the line.
    """

    name: str
    value: str | None
    text: str
    line: int
    shown: str
    is_wrong: bool

    def __repr__(self) -> str:
        return f"<line {self.line} of {self.shown}>"  # without the value, as everywhere

    @property
    def place(self) -> Place:
        """The positions of the name and of the value."""
        begin = _BEGIN.match(self.text)
        assert begin is not None, "the pattern matches the empty text"
        name = _NAME.match(self.text, begin.end())
        return Place(self._at(begin.end()), self._at(name.end() if name is not None else begin.end()))

    def _at(self, offset: int) -> str:
        before = self.text[:offset]
        return f"{self.shown}:{self.line + before.count(_END)}:{offset - before.rfind(_END)}"


NO_LINE = "is no line of a .env file: that is NAME=value, and a quotation in it has to end"


def lines_in(text: str, shown: str) -> Iterator[Line]:
    """Each name of the text, and each line that is none.

    Raises:
        ImportError: python-dotenv is not installed.
        ConfigError: The parser would take too long.
    """
    from dotenv.parser import parse_stream

    check_blanks(text, shown)
    lines = io.StringIO(text, newline=None)  # as the parser's library opens a file: each end of a line is \n
    for key, value, original, is_wrong in parse_stream(lines):
        if key is None and not is_wrong:
            continue  # a comment, or blank lines
        yield Line(key or "", value, original.string, original.line, shown, is_wrong)


def _place(line: Line) -> Place:
    return line.place


class _Values(NamedTuple):
    """The values of lines.

    Attributes:
        values: One for each line.
        made_of: The names whose values are in it, for each line.
        warnings: Sentences about what is not set.
    """

    values: list[str | None]
    made_of: list[frozenset[str]]
    warnings: list[str]


def _as_written(lines: Sequence[Line]) -> _Values:
    return _Values([line.value for line in lines], [frozenset()] * len(lines), [])


def _interpolated(lines: Sequence[Line]) -> _Values:
    """The values with what they refer to in its place, as python-dotenv puts it there. Raises ConfigError."""
    from dotenv.variables import Variable, parse_variables

    check_references(lines)
    known: dict[str, str | None] = dict(os.environ)
    room = _MOST_MADE_OF
    leads_to: dict[str, frozenset[str]] = {}
    found, made_of = list[str | None](), list[frozenset[str]]()
    unset: list[str] = []
    for line in lines:
        value, names = line.value, frozenset[str]()
        if value is not None:
            atoms = list(parse_variables(value))
            missing = (each for each in atoms if isinstance(each, Variable) and each.default is None)
            unset += [line.place.value] if any(each.name not in known for each in missing) else []
            value = "".join(atom.resolve(known) for atom in atoms)
            direct = frozenset(each.name for each in atoms if isinstance(each, Variable))
            room -= len(direct) + sum(len(leads_to.get(name, ())) for name in direct)
            if room < 0:
                raise ConfigError([Problem("", _MADE_OF_TOO_MANY, line.place.value)])
            names = direct.union(*(leads_to.get(name, ()) for name in direct))
        known[line.name], leads_to[line.name] = value, names
        found.append(value)
        made_of.append(names)
    told = f"{_listed(unset)}: a variable that is named there is not set, and nothing stands in its place"
    return _Values(found, made_of, [told] if unset else [])


def _variables_in(line: Line) -> list[str]:
    """The names of the variables that a line refers to; after `check_braces`, since it may look for them for hours."""
    from dotenv.variables import Variable, parse_variables

    names = (each.name for each in parse_variables(line.value or "") if isinstance(each, Variable))
    return list(dict.fromkeys(names))


def _check_within(lines: Sequence[Line], within: Named) -> None:
    """Raise ConfigError for each line that refers to a variable that is not within, and that no line above it sets.

    What a line stands for is counted only later: that shows how long each variable is that it refers to.
    """
    check_braces(lines)
    known, problems = set(within.variables), list[Problem]()
    for line in lines:
        wrong = (name for name in _variables_in(line) if name not in known)
        problems += (Problem("", f"environment variable {name} {UNNAMED}", line.place.value) for name in wrong)
        known.add(line.name)
    if problems:
        raise ConfigError(problems)


def _listed(positions: Sequence[str]) -> str:
    more = f" and {len(positions) - _MOST_LISTED} more" if len(positions) > _MOST_LISTED else ""
    return ", ".join(positions[:_MOST_LISTED]) + more
