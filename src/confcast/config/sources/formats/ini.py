"""Parses INI with the standard library's configparser, which alone decides what a line means.

Guaranteed: sections, keys and texts are those of `RawConfigParser().read_string(text)`, or with `interpolate` those of
`ConfigParser()`. Keys are in lower case and sections as written; a value may go on in indented lines; a comment has a
line of its own; quotes are part of a value. Each section has the values of `[DEFAULT]`, too, marked as `Text`. With
`nested`, `[a.b]` and `[a:b]` are a table `b` in `a`.

configparser gives no positions. `locate` reads the text once more, with a parser that is told of each header and each
key: by `SECTCRE` and by `optionxform`, which its documentation lets applications replace. Rejected: a grammar of our
own (it would disagree with the next version's), and to note positions at every load (it takes nearly twice as long).
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

from confcast.config.schema.key_path import KeyPath
from confcast.config.sources.formats.common import MAX_BYTES, MAX_DEPTH, TWICE, Lines, Note, Spot, Unparsable, too_deep
from confcast.config.sources.formats.ini_interpolation import Interpolation, Text, Unresolvable, Work

DEFAULT = configparser.DEFAULTSECT
"""The section whose values all others have, too."""

MOST_INHERITED = 100_000
"""How many values all sections together may have by `[DEFAULT]`, however large the file is: some seconds' work."""

_INHERITED_AT_LEAST, _CHARACTERS_PER_INHERITED = 10_000, 4
_INSTEAD = ": write them into the sections that use them, or into a file of their own"

SEPARATORS = re.compile("[.:]")
"""What stands between the parts of a section's name, where it is a path."""

_HEADER = configparser.RawConfigParser.SECTCRE
_TO_VALUE = re.compile(r"\s*[=:]\s*")
_COMMENT = ("#", ";")
_BEHIND = re.compile(r"\s[#;]")
_MOST_BLANKS = 250  # configparser takes time by the square of their number
_BLANKS = re.compile(rf"(?<![^\S\n])[^\S\n]{{{_MOST_BLANKS},}}+\S")
_MOST_WRONG = 100  # lines: more are not looked for
_PERHAPS_WRONG = re.compile(r"(?m)^[^\S\n]*+(?:\[\]?[^\]\n]*$|[^\s#;\[=:][^=:\n]*$)")
_TABLE_AND_KEY = "is a table here and a key elsewhere in this file: with nested=True the name of a section is a path"

_BEHIND_BRACKET = re.compile(r"\][^\S\n]*[^\s#;\]]")  # found sooner than the next, which has no literal to look for
_BEHIND_HEADER = re.compile(r"(?m)^[^\S\n]*\[[^\n]+\][^\S\n]*[^\s#;\]]")
_IGNORED = "stands behind a section's name, where configparser ignores it: give it a line of its own"

_LINES_BELOW = "the lines below are indented, which makes them part of this value: indent no key"
_COMMENT_BEHIND = "a comment behind a value is part of it in an INI file: give the comment a line of its own"
_QUOTES = "quotes are part of a value in an INI file: leave them out"


class Document(NamedTuple):
    """The content of a file.

    Attributes:
        sections: The values of each section as they are written, without those of `[DEFAULT]`.
        defaults: Those of `[DEFAULT]`.
        parser: The parser that has read them.
    """

    sections: dict[str, dict[str, str]]
    defaults: dict[str, str]
    parser: configparser.RawConfigParser


class Reader:
    """Reads texts in one way, as the modules of the other formats do.

    Args:
        nested: Whether a dot or a colon in a section's name leads to a table in a table.
        interpolate: Whether `%(name)s` stands for another value of the section.
        table: The keys of the only table that is read of what is parsed; empty for all of it. Other sections inherit
            nothing and are not resolved, and `[DEFAULT]` is a table only if it is that.
    """

    def __init__(self, *, nested: bool = False, interpolate: bool = False, table: tuple[str, ...] = ()) -> None:
        self._nested, self._interpolate, self._table = nested, interpolate, table

    def parse(self, text: str) -> dict[str, Any] | None:
        """Parse a document; None if the text has none. Every value is a text. Raises Unparsable."""
        document = _read(text)
        found = document.sections
        if document.defaults or (self._interpolate and "%" in text):
            read = [name for name in found if self._path(name)[: len(self._table)] == self._table]
            inherited, most = len(document.defaults) * len(read), most_inherited(text)
            if inherited > most:
                raise Unparsable(f"has {inherited} values by [{DEFAULT}] in all sections: more than {most}{_INSTEAD}")
            characters = sum(map(len, document.defaults.values())) * len(read)
            if characters > MAX_BYTES:
                told = f"has values by [{DEFAULT}] of {characters} characters in all sections: more than {MAX_BYTES}"
                raise Unparsable(f"{told}{_INSTEAD}")
            given = {
                key: Text(value, inherited=True, for_all=not self._table) for key, value in document.defaults.items()
            }
            work = Work()
            read += [DEFAULT] * (self._table == (DEFAULT,))
            found = found | {name: self._values(text, name, document, given, work) for name in read}
        return (self._as_tables(text, found) if self._nested else found) or None

    def locate(self, text: str) -> dict[KeyPath, Spot]:
        """The place of each key and each value; what a section inherits has its place in `[DEFAULT]`."""
        found: dict[KeyPath, Spot] = {}
        spots = _Places(text).found
        for written, spot in spots.items():
            path = self._path(written[0])
            for length in range(1, min(len(path), MAX_DEPTH)):  # a deeper document is refused, and has no values
                found.setdefault(path[:length], spot)
            found[(*path, *written[1:])] = spot
        inherited = [(path[1], spot) for path, spot in spots.items() if path[0] == DEFAULT and len(path) == 2]
        for name in [path[0] for path in spots if len(path) == 1 and path[0] != DEFAULT]:
            for key, spot in inherited:
                found.setdefault((*self._path(name), key), spot)
        return found

    def notes(self, text: str) -> dict[KeyPath, Note]:
        """Advice about each value that may have more in it than its author meant. It quotes no value."""
        document = _read(text)
        every = [*document.sections.items(), (DEFAULT, document.defaults)]
        own = {(*self._path(name), key): _note(value) for name, table in every for key, value in table.items()}
        return {path: note for path, note in own.items() if note is not None}

    def warnings(self, text: str) -> list[tuple[int, int, str]]:
        """What configparser passes over in silence: the line, the column, and a predicate of what stands there."""
        if _BEHIND_BRACKET.search(text) is None or _BEHIND_HEADER.search(text) is None:
            return []
        lines = _with_newlines(text).split("\n")
        heads = [spot.key for path, spot in _Places(text).found.items() if len(path) == 1]
        found = ((line, _ignored_in(lines[line - 1])) for line, _ in heads)
        return [(line, offset + 1, _IGNORED) for line, offset in found if offset is not None]

    def _values(
        self, text: str, section: str, document: Document, given: Mapping[str, Text], work: Work
    ) -> dict[str, str]:
        """The values of a section with those that it inherits: the same objects in each. Raises Unparsable."""
        own = document.sections[section] if section != DEFAULT else document.defaults
        written = {**document.defaults, **own}
        resolving = Interpolation(document.parser, section, written, work) if self._interpolate else None
        found: dict[str, str] = {}
        for key, value in written.items():
            made_of, fault = tuple[str, ...](), ""
            if resolving is not None and "%" in value:
                try:
                    value, made_of = resolving.resolved(key)
                except Unresolvable as error:
                    if key in own:
                        path = (*self._path(section), key)
                        raise Unparsable(str(error), *self.locate(text)[path].value, path) from None
                    fault = str(error)
            inherited = key not in own
            if made_of or fault or (inherited and value is not document.defaults[key]):
                for_all = inherited and not self._table
                value = Text(value, inherited=inherited, for_all=for_all, made_of=made_of, fault=fault)
            found[key] = given[key] if inherited and not isinstance(value, Text) else value
        return found

    def _path(self, section: str) -> tuple[str, ...]:
        return tuple(SEPARATORS.split(section)) if self._nested and section != DEFAULT else (section,)

    def _as_tables(self, text: str, sections: Mapping[str, dict[str, str]]) -> dict[str, Any]:
        """The sections as tables in tables. Raises Unparsable."""
        root: dict[str, Any] = {}
        for name, values in sections.items():
            path, table = self._path(name), root
            if len(path) > MAX_DEPTH:
                raise too_deep(*_Places(text).found[(name,)].key)
            for part in path:
                if is_inherited(table.get(part)):
                    del table[part]
                table = table.setdefault(part, {})
                if not isinstance(table, dict):
                    raise Unparsable(_TABLE_AND_KEY, *_Places(text).found[(name,)].key, path)
            for key, value in values.items():
                if key not in table or is_inherited(table[key]):
                    table[key] = value
                elif not is_inherited(value):
                    message = _TABLE_AND_KEY if isinstance(table[key], dict) else TWICE
                    raise Unparsable(message, *_Places(text).found[(name, key)].key, (*path, key))
        return root


def most_inherited(text: str) -> int:
    """How many values all sections together may have by `[DEFAULT]`, in proportion to the length of the text.

    A thousand sections may inherit ten values each; else a small file would stand for as many as it likes.
    """
    return min(MOST_INHERITED, _INHERITED_AT_LEAST + len(text) // _CHARACTERS_PER_INHERITED)


def is_inherited(value: Any) -> bool:
    """Whether a value of the document stands in `[DEFAULT]`, and not in the section itself."""
    return isinstance(value, Text) and value.inherited


def _read(text: str) -> Document:
    """Parse a text by configparser. Raises Unparsable."""
    text = _with_newlines(text)
    lines = text.split("\n")
    if max(map(len, lines)) > _MOST_BLANKS:
        _check_blanks(text)
    parser = configparser.RawConfigParser()
    parser.optionxform = str.lower  # type: ignore[method-assign,assignment]  # what its own does, called for each key
    given: Iterable[str] = lines
    if sum(1 for _ in islice(_PERHAPS_WRONG.finditer(text), _MOST_WRONG + 1)) > _MOST_WRONG:
        parser = few = _UntilTooMany()
        given = few.some_of(lines)
    try:
        parser.read_file(given)
    except configparser.Error as error:
        raise _unparsable(text, error) from None
    live = parser.defaults()
    assert isinstance(live, dict), "configparser gives its own table of these"
    defaults = dict(live)
    live.clear()  # so that `items` gives a section's own values alone
    sections = {name: dict(parser.items(name, raw=True)) for name in parser.sections()}
    return Document(sections, defaults, parser)


class _UntilTooMany(configparser.RawConfigParser):
    """Reads lines until too many of them are none: configparser adds each to one text, which it copies each time.

    It asks for a header where a line may be one, and for the form of a key where it then is a line with a key.
    """

    def __init__(self) -> None:
        super().__init__()
        self._is_wrong = False
        self.SECTCRE: Any = self  # asked for a header by its `match`

    def some_of(self, lines: Iterable[str]) -> Iterator[str]:
        """The lines, up to where too many were wrong."""
        wrong = 0
        for line in lines:
            wrong += self._is_wrong
            self._is_wrong = False
            if wrong > _MOST_WRONG:
                return
            yield line

    def match(self, line: str) -> re.Match[str] | None:
        """Recognise a header, in the place of the pattern."""
        found = _HEADER.match(line)
        self._is_wrong = found is None
        return found

    def optionxform(self, option: str) -> str:
        """The form of a key, which may be empty: then it is none."""
        self._is_wrong = not option
        return option.lower()


def _with_newlines(text: str) -> str:
    """The text with the line breaks that Python makes of those in a file."""
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _check_blanks(text: str) -> None:
    """Refuse a line that no person wrote, before configparser looks for its delimiter."""
    for found in _BLANKS.finditer(text):
        start = text.rfind("\n", 0, found.start()) + 1
        before = text[start : found.start()].lstrip()
        if before and not before.startswith(_COMMENT) and not ("=" in before or ":" in before):
            raise Unparsable(f"has more than {_MOST_BLANKS} blanks before any = or :", *Lines(text).at(found.start()))


def _unparsable(text: str, error: configparser.Error) -> Unparsable:
    """The error of configparser in words that quote neither a key nor a value."""
    if isinstance(error, configparser.DuplicateOptionError):
        return Unparsable(TWICE.replace("table", "section"), *_start(text, error.lineno), (error.section, error.option))
    if isinstance(error, configparser.DuplicateSectionError):
        return Unparsable("has this section twice", *_start(text, error.lineno))
    if isinstance(error, configparser.MissingSectionHeaderError):
        return Unparsable("has no [section] above this line: each key belongs to one", *_start(text, error.lineno))
    lines = [each[0] for each in getattr(error, "errors", ())]
    message = "is no valid INI: a line has to be [section], key = value, or a comment that begins with # or ;"
    if len(lines) > 1:
        more = ", ".join(map(str, lines[1:4])) + (", …" if len(lines) > 4 else "")
        message += f" (also line {more})"
    return Unparsable(message, *_start(text, lines[0] if lines else None))


def _start(text: str, number: int | None) -> tuple[int, int]:
    """The place of the first character of a line that is no blank; (0, 0) if the number of the line is not known."""
    if not number:
        return 0, 0
    return number, _indent(text.split("\n")[number - 1]) + 1


def _ignored_in(header: str) -> int | None:
    """Where something stands behind the section's name that is no comment; None if nothing does."""
    found = _HEADER.match(header.lstrip())
    end = _indent(header) + (found.end() if found is not None else 0)
    rest = header[end:].lstrip()
    return len(header) - len(rest) if rest and not rest.startswith(_COMMENT) else None


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


class _Places(configparser.RawConfigParser):
    """Reads a text that was parsed before, and notes where its headers, keys and values are.

    Attributes:
        found: The place of each section by (name,), and of each key and its value by (name, key).
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: dict[tuple[str, ...], Spot] = {}
        self._text_lines = _with_newlines(text).split("\n")
        self._number, self._header = 0, ""
        self.SECTCRE: Any = self  # asked for a header by its `match`
        self.read_file(self._numbered())

    def _numbered(self) -> Iterator[str]:
        for number, line in enumerate(self._text_lines, 1):
            self._number = number
            yield line

    def match(self, line: str) -> re.Match[str] | None:
        """Recognise a header, in the place of the pattern."""
        found = _HEADER.match(line)
        if found is not None:
            self._header = found["header"]
            at = self._number, _indent(self._text_lines[self._number - 1]) + 1
            self.found.setdefault((self._header,), Spot(at, at))
        return found

    def optionxform(self, option: str) -> str:
        """Note the key that begins on this line, which configparser asks this for."""
        line = self._text_lines[self._number - 1]
        start = _indent(line)
        delimiter = _TO_VALUE.match(line, start + len(option))
        assert delimiter is not None, f"line {self._number} of a text that was parsed before"
        end = delimiter.end()
        value = (self._number, end + 1) if line[end:].strip() else self._first_below() or (self._number, end + 1)
        self.found[self._header, option.lower()] = Spot((self._number, start + 1), value)
        return option.lower()

    def _first_below(self) -> tuple[int, int] | None:
        """The place of a value of which nothing stands on the line of its key; None if it is empty."""
        indent = _indent(self._text_lines[self._number - 1])
        for index in range(self._number, len(self._text_lines)):
            line = self._text_lines[index]
            written = line.strip()
            if written and not written.startswith(_COMMENT):
                return (index + 1, _indent(line) + 1) if _indent(line) > indent else None
        return None


def _note(value: str) -> Note | None:
    """Advice about one value; None if nothing about it is doubtful."""
    first, _, more = value.partition("\n")
    if first and more.strip():
        return Note(_LINES_BELOW, _LINES_BELOW, _LINES_BELOW, _LINES_BELOW)
    if _BEHIND.search(first):
        return Note(_COMMENT_BEHIND, _COMMENT_BEHIND, _COMMENT_BEHIND, _COMMENT_BEHIND)
    if len(first) > 1 and first[0] == first[-1] and first[0] in "\"'":
        return Note(_QUOTES, "", _QUOTES, _QUOTES)
    return None
