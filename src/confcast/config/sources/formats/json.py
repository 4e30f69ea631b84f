"""Parses JSON with the standard library's C scanner, and refuses more than that scanner does, with the place.

It refuses duplicate keys, NaN and the infinities, numbers that are infinite as a float, and escapes of half a character
(TOML and YAML refuse such escapes, too). The patterns are possessive (`*+`): with backtracking, a string of 16 MiB
would take seconds and gigabytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NoReturn

from confcast.config.schema.key_path import KeyPath
from confcast.config.sources.formats.common import (
    MAX_DEPTH,
    TWICE,
    Lines,
    Scanner,
    Spot,
    TooLarge,
    Unparsable,
    finite,
    too_deep,
    why_no_number,
)

_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_NO_BRACKETS = re.compile(r"[^\[\]{}]++")
_BRACKETS = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|([\[{])|([\]}])', re.DOTALL)
_SPACE = re.compile(r"[ \t\n\r]*+")
_SCALAR = re.compile(r"[^\s,\]}]++")
_AFTER_COMMA = re.compile(r"[\]}][ \t\n\r]*+,")  # an end, and a comma before it, read backwards
_NO_NUMBER = re.compile("NaN|-?Infinity")
_HALF = re.compile(r"\\u[dD][89a-fA-F]")  # perhaps half of a surrogate pair, as it is written
_SURROGATE = re.compile("[\ud800-\udfff]")


def parse(text: str) -> Any:
    """Parse a document; None if the text has none. Raises Unparsable."""
    if not text.strip():
        return None
    if text.count("[") + text.count("{") > MAX_DEPTH and _may_be_too_deep(text):
        _check_depth(text)
    try:
        document = json.loads(text, object_pairs_hook=_table, parse_constant=_constant, parse_float=finite)
    except json.JSONDecodeError as error:
        raise Unparsable(f"is no valid JSON: {_reason(text, error)}", error.lineno, error.colno) from None
    except (_Refused, TooLarge, ValueError):  # the last: the interpreter's limit on the digits of an int
        _Scanner(text, strict=True).run()
        raise AssertionError("the scanner did not find what the parser refused") from None
    if _HALF.search(text):
        _Scanner(text, strict=True).run()
    return document


def locate(text: str) -> dict[KeyPath, Spot]:
    """The place of each key and each value of the document."""
    return _Scanner(text).run()


class _Refused(Exception):
    """The standard library accepts the text, confcast does not; the place is computed afterwards."""


def _reason(text: str, error: json.JSONDecodeError) -> str:
    if text.startswith(("//", "/*"), error.pos):
        return 'JSON has no comments: format="jsonc" reads them'
    if _AFTER_COMMA.match(text[: error.pos + 1][::-1]) or "trailing comma" in error.msg:
        return 'JSON has no comma behind the last item: take it away, or give format="jsonc"'
    return error.msg.split(": ")[0].removesuffix(" at")


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise _Refused
    return table


def _constant(_: str) -> NoReturn:
    raise _Refused


def _may_be_too_deep(text: str) -> bool:
    """Whether a text may nest too deep, in a tenth of the time that looking at each of its strings takes."""
    if '\\"' in text:
        return True  # where a string ends is not so plain
    depth = 0
    for bracket in _NO_BRACKETS.sub("", "".join(text.split('"')[::2])):  # every second piece is outside of strings
        depth += 1 if bracket in "[{" else -1
        if depth > MAX_DEPTH:
            return True
    return False


def _check_depth(text: str) -> None:
    depth = 0
    for found in _BRACKETS.finditer(text):
        depth += (found[1] is not None) - (found[2] is not None)
        if depth > MAX_DEPTH:
            raise too_deep(*Lines(text).at(found.start()))


class _Scanner(Scanner):
    """A scanner of JSON.

    With `strict` it refuses a duplicate key, a constant that is no JSON, a number that Python can't read, and half a
    character; behind the first of these the text may be anything.
    """

    def run(self) -> dict[KeyPath, Spot]:
        """The places of all keys and values except the root."""
        self._value(self._skip(0), ())
        return self._spots

    def _skip(self, at: int) -> int:
        return self._end(_SPACE, at)

    def _value(self, at: int, path: KeyPath) -> int:
        opening = self._text[at]
        if opening == "{":
            return self._members(at, "}", lambda at, _: self._member(at, path))
        if opening == "[":
            return self._members(at, "]", lambda at, index: self._item(at, (*path, index)))
        if opening == '"':
            end = self._end(_STRING, at)
            if self._strict:
                self._text_of(at, end)
            return end
        if self._strict and (found := _NO_NUMBER.match(self._text, at)):
            raise Unparsable(f"is no valid JSON: JSON has no {found[0]}", *self._lines.at(at))
        end = self._end(_SCALAR, at)
        if self._strict and (why := why_no_number("JSON", self._text, at)) is not None:
            raise Unparsable(why, *self._lines.at(at), path)
        return end

    def _members(self, at: int, closing: str, member: Callable[[int, int], int]) -> int:
        at, index = self._skip(at + 1), 0
        while self._text[at] != closing:
            at = self._skip(member(at, index))
            if self._text[at] == ",":
                at = self._skip(at + 1)
            index += 1
        return at + 1

    def _member(self, at: int, path: KeyPath) -> int:
        end = self._end(_STRING, at)
        key = self._text_of(at, end)
        value = self._skip(self._skip(end) + 1)
        child = (*path, key)
        if self._strict and child in self._spots:
            raise Unparsable(TWICE, *self._lines.at(at), child)
        self._spots[child] = Spot(self._lines.at(at), self._lines.at(value))
        return self._value(value, child)

    def _text_of(self, at: int, end: int) -> str:
        text: str = json.loads(self._text[at:end])
        if self._strict and _SURROGATE.search(text):
            raise Unparsable(r"is no valid JSON: a \u escape gives half a character only", *self._lines.at(at))
        return text
