"""Reads plain TOML in a fraction of tomllib's time, and leaves every other document to tomllib (plain.py says how).

Plain is a file of headers (`[a.b]`, `[[a.b]]`) and of keys with one value on the same line: a text in quotes without
escapes, a decimal number, true or false, or a list of those. Not plain are dates, inline tables, texts and lists of
several lines, dotted keys, exponents, underscores, a key or a header that is there already, and controls.

The rules for headers are harder than they look (what may be extended, and until when), so only two are used: a header
makes a table that is not there, and `[[a]]` adds to a list that such headers made. All else is left to tomllib.
"""

from __future__ import annotations

import operator
import re
from typing import Any

from confcast.config.sources.formats.plain import NOT_PLAIN, NUMBER, QUOTES, NotPlain, Values, unquoted

MOST_PARTS = 20
"""Parts of a header; one with more is left to toml.py, which knows how deep a document may be."""

_CHARACTER = r"[^\x00-\x08\x0a-\x1f\x7f]"
_QUOTED = r'"[^"\\\x00-\x08\x0a-\x1f\x7f]*+"|' + r"'[^'\x00-\x08\x0a-\x1f\x7f]*+'"
_KEY = rf"(?:[A-Za-z0-9_-]++|{_QUOTED})"
_PATH = rf"{_KEY}(?:\.{_KEY})*+"
_ITEM = rf"(?:{_QUOTED}|true|false|{NUMBER})(?=[\x20\t]*+[,\]])"
_LIST = rf"\[[\x20\t]*+(?:{_ITEM}(?:[\x20\t]*+,[\x20\t]*+{_ITEM})*+)?[\x20\t]*+\]"
_LINE = re.compile(
    rf"^(?:[\x20\t]*+(?:"
    rf"({_KEY})[\x20\t]*+=[\x20\t]*+(?:({_QUOTED}|true|false|{NUMBER})|({_LIST}))"
    rf"|\[({_PATH})\]|\[\[({_PATH})\]\]"
    rf")?[\x20\t]*+(?:\#{_CHARACTER}*+)?$"
    rf"|(.++))",  # any other line
    re.MULTILINE,
)
_OTHER = operator.itemgetter(5)
_PARTS = re.compile(_KEY)
_ITEMS = re.compile(_ITEM)
_WORDS = {"true": True, "false": False}


def parse(text: str) -> dict[str, Any] | object:
    """Parse a document; `NOT_PLAIN` if there is anything in it that is not plain, or nothing at all. Never raises."""
    try:
        return _document(text.replace("\r\n", "\n")) or NOT_PLAIN
    except NotPlain:
        return NOT_PLAIN


def _document(text: str) -> dict[str, Any]:
    root: dict[str, Any] = {}
    table, headers, values = root, _Headers(root), Values(_WORDS, _ITEMS)
    lines = _LINE.findall(text)
    if any(map(_OTHER, lines)):
        raise NotPlain
    for key, scalar, brackets, header, item, _ in lines:
        if key:
            name = _named(key)
            if name in table:
                raise NotPlain
            table[name] = values[scalar] if scalar else values.in_brackets(brackets)
        elif header:
            table = headers.new_table(header)
        elif item:
            table = headers.new_item(item)
    return root


def _named(key: str) -> str:
    return unquoted(key) if key[0] in QUOTES else key


class _Headers:
    """The tables that headers make in a document."""

    def __init__(self, root: dict[str, Any]) -> None:
        self._root = root
        self._lists: set[int] = set()  # the ids of the lists that headers made; the document holds them

    def new_table(self, path: str) -> dict[str, Any]:
        """The table of `[a.b]`."""
        around, name = self._around(path)
        if name in around:
            raise NotPlain
        made: dict[str, Any] = {}
        around[name] = made
        return made

    def new_item(self, path: str) -> dict[str, Any]:
        """The table of `[[a.b]]`."""
        around, name = self._around(path)
        if name not in around:
            around[name] = []
            self._lists.add(id(around[name]))
        elif id(around[name]) not in self._lists:
            raise NotPlain
        made: dict[str, Any] = {}
        around[name].append(made)
        return made

    def _around(self, path: str) -> tuple[dict[str, Any], str]:
        """The table that a header's table is in, and its name there."""
        *parts, name = map(_named, _PARTS.findall(path))
        if len(parts) >= MOST_PARTS:
            raise NotPlain
        table = self._root
        for part in parts:
            found = table.setdefault(part, {})
            if id(found) in self._lists:
                found = found[-1]
            if type(found) is not dict:
                raise NotPlain
            table = found
        return table, name
