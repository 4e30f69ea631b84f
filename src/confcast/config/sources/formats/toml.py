"""Parses TOML with the standard library, and finds the places of values, which the standard library does not give.

A document of headers and single values is read by plain_toml.py instead, which gives the same.

The depth of a document is checked before the standard library reads it: brackets would exhaust its recursion (and the
error would have no place), and a key of 100,000 dotted parts would take it minutes.
"""

from __future__ import annotations

import re
from typing import Any

from confcast.config.schema.key_path import KeyPath
from confcast.config.sources.formats import plain_toml
from confcast.config.sources.formats.common import (
    MAX_DEPTH,
    Lines,
    Scanner,
    Spot,
    TooLarge,
    Unparsable,
    finite,
    is_too_deep,
    too_deep,
    why_no_number,
)
from confcast.config.sources.formats.plain import NOT_PLAIN

_PLACE = re.compile(r"\s*\(at (?:line (\d+), column (\d+)|end of document)\)$")
_KEYS = re.compile(r"(?<=namespace )\(.*\)|(?<=declare )\(.*\)|(?<=table key ).*", re.DOTALL)  # in messages of tomllib


def _strings(*, closed: bool) -> tuple[str, str]:
    """The patterns of long and of short strings; unless `closed`, also of strings without an end."""
    long, short = ("{3,5}", "") if closed else ("{0,5}+", "?+")
    return (
        rf'"{{3}}(?:[^"\\]++|\\.|"(?!""))*+"{long}|' + rf"'{{3}}(?:[^']++|'(?!''))*+'{long}",
        rf'"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+"{short}|' + rf"'[^'\n]*+'{short}",
    )


# The patterns are possessive (`*+`): with backtracking, a text of 16 MiB would take seconds and gigabytes.
_BLANK = re.compile(r"(?:[ \t\r\n]++|#[^\n]*+)*+")
_BARE = re.compile(r"[A-Za-z0-9_-]++")
_STRING = re.compile("|".join(_strings(closed=True)), re.DOTALL)
_SCALAR = re.compile(r"\d{4}-\d\d-\d\d(?:[Tt ]\d\d:[^\s,\]}#]*)?|[^\s,\]}#]++")
_LONG, _SHORT = _strings(closed=False)
_PART = rf"(?:{_BARE.pattern}|{_SHORT})[ \t]*+"
_NESTING = re.compile(
    rf"{_LONG}|\#[^\n]*+|(?P<open>[\[{{])|(?P<close>[\]}}])"
    rf"|(?P<key>{_PART}(?:\.[ \t]*+{_PART}){{{MAX_DEPTH}}})|{_PART}(?:\.[ \t]*+{_PART})*+",
    re.DOTALL,
)


def parse(text: str) -> Any:
    """Parse a document; None if the text has none. Raises Unparsable."""
    document = plain_toml.parse(text)
    return parse_any(text) if document is NOT_PLAIN else document


def parse_any(text: str) -> Any:
    """Parse a document by tomllib, plain or not, as `parse` does."""
    import tomllib  # imported here: plain documents, which most are, don't need it

    if deep := text.count("[") + text.count("{") + text.count(".") > MAX_DEPTH:
        _check_nesting(text)
    try:
        document = tomllib.loads(text, parse_float=finite)
    except tomllib.TOMLDecodeError as error:
        raise _unparsable(text, str(error)) from None
    except (TooLarge, ValueError):  # the second: the interpreter's limit on the digits of an int
        _Scanner(text, strict=True).run()
        raise AssertionError("the scanner did not find what the parser refused") from None
    if deep and is_too_deep(document):
        raise too_deep(*min(spot.key for path, spot in locate(text).items() if len(path) > MAX_DEPTH))
    return document or None


def locate(text: str) -> dict[KeyPath, Spot]:
    """The place of each key and each value of the document."""
    return _Scanner(text).run()


def _unparsable(text: str, message: str) -> Unparsable:
    place = _PLACE.search(message)
    line, column = Lines(text).at(len(text))
    if place and place[1]:
        line, column = int(place[1]), int(place[2])
    # tomllib's messages quote keys, which may be secrets and may be relative, and single characters, but no value.
    message = _KEYS.sub("(this key)", _PLACE.sub("", message))
    return Unparsable(f"is no valid TOML: {message}", line, column)


def _check_nesting(text: str) -> None:
    """Refuse more nested brackets, or more parts of one key, than `MAX_DEPTH`."""
    depth = 0
    for found in _NESTING.finditer(text):
        depth += (found["open"] is not None) - (found["close"] is not None)
        if depth > MAX_DEPTH or found["key"] is not None:
            raise too_deep(*Lines(text).at(found.start()))


class _Scanner(Scanner):
    """A scanner of TOML, which checks nothing again but, with `strict`, numbers: it refuses what Python can't read.

    The place of a table is its header or its first dotted key; that of an item of an array of tables is its header.
    """

    def __init__(self, text: str, *, strict: bool = False) -> None:
        super().__init__(text, strict=strict)
        self._counts: dict[KeyPath, int] = {}  # the items so far of each array of tables

    def run(self) -> dict[KeyPath, Spot]:
        """The places of all keys and values except the root."""
        table: KeyPath = ()
        at = self._skip(0)
        while at < len(self._text):
            if self._text[at] == "[":
                at, table = self._header(at)
            else:
                at = self._pair(at, table)
            at = self._skip(at)
        return self._spots

    def _skip(self, at: int) -> int:
        return self._end(_BLANK, at)

    def _header(self, at: int) -> tuple[int, KeyPath]:
        double = self._text.startswith("[[", at)
        start = self._skip(at + 1 + double)
        end, names = self._key(start)
        path: KeyPath = ()
        for index, (name, place) in enumerate(names):
            path = (*path, name)
            spot = Spot(self._lines.at(place), self._lines.at(at))
            if double and index == len(names) - 1:
                self._counts[path] = self._counts.get(path, 0) + 1
            self._spots.setdefault(path, spot)
            if path in self._counts:
                path = (*path, self._counts[path] - 1)
                self._spots.setdefault(path, spot)
        return self._text.index("]", end) + 1 + double, path

    def _key(self, at: int) -> tuple[int, list[tuple[str, int]]]:
        """Read a dotted key. Returns the offset after it, and its parts with their offsets."""
        parts = []
        while True:
            pattern = _STRING if self._text[at] in "\"'" else _BARE
            end = self._end(pattern, at)
            raw = self._text[at:end]
            parts.append((raw if pattern is _BARE else _unquoted(raw), at))
            end = self._skip(end)
            if not self._text.startswith(".", end):
                return end, parts
            at = self._skip(end + 1)

    def _pair(self, at: int, table: KeyPath) -> int:
        """Collect the places of one `a.b = value`. Returns the offset after it."""
        end, parts = self._key(at)
        value = self._skip(end + 1)  # after the "="
        path = table
        for name, place in parts[:-1]:
            path = (*path, name)
            self._spots.setdefault(path, Spot(self._lines.at(place), self._lines.at(place)))
        name, place = parts[-1]
        path = (*path, name)
        self._spots[path] = Spot(self._lines.at(place), self._lines.at(value))
        return self._value(value, path)

    def _value(self, at: int, path: KeyPath) -> int:
        opening = self._text[at]
        if opening in "\"'":
            return self._end(_STRING, at)
        if opening not in "[{":
            return self._scalar(at, path)
        closing, index = "]" if opening == "[" else "}", 0
        at = self._skip(at + 1)
        while self._text[at] != closing:
            at = self._skip(self._pair(at, path) if opening == "{" else self._item(at, (*path, index)))
            if self._text[at] == ",":
                at = self._skip(at + 1)
            index += 1
        return at + 1

    def _scalar(self, at: int, path: KeyPath) -> int:
        end = self._end(_SCALAR, at)
        if self._strict and (why := why_no_number("TOML", self._text, at)) is not None:
            raise Unparsable(why, *self._lines.at(at), path)
        return end


def _unquoted(literal: str) -> str:
    import tomllib

    text = tomllib.loads(f"text = {literal}")["text"]
    assert isinstance(text, str)
    return text
