"""Reads plain YAML in a fraction of libyaml's time, and leaves every other document to libyaml (plain.py says how).

Plain is what most large configurations are: tables and lists by indentation, and on each line one key with at most one
value: a text in quotes without a backslash, a decimal number, a word or words, or a list or a table of those in
brackets. Not plain are keys that are no text or stand there twice, anchors, tags, merge keys, texts of several lines,
escapes, numbers in another notation, dates, brackets in brackets, tabs, and an indentation that means nothing.

A program that changes the tables of PyYAML's classes changes how yaml.py reads a word, and nothing here.
"""

from __future__ import annotations

import operator
import re
from typing import Any

from confcast.config.sources.formats.plain import NOT_PLAIN, NUMBER, QUOTES, NotPlain, Values, unquoted

MOST_LEVELS = 50
"""Levels of tables and lists; a deeper document is left to yaml.py, which knows how deep one may be."""

_WORDS: dict[str, bool | None] = {
    **{form: True for word in ("yes", "true", "on") for form in (word, word.title(), word.upper())},
    **{form: False for word in ("no", "false", "off") for form in (word, word.title(), word.upper())},
    **dict.fromkeys(("null", "Null", "NULL", "~")),
}
"""What YAML 1.1 takes for a boolean or null, in the forms that it takes; a word in any other form is a text."""

# No control character, no line break of YAML's, no byte order mark, no surrogate.
_FOREIGN = "\xa1-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff"
_FIRST = f"A-Za-z_/{_FOREIGN}"
_SIMPLE = rf"{_FIRST}0-9.\-"  # means the same everywhere behind the first character
_ANY = rf"{_SIMPLE}@+=,;()%?&~*!$^|<>"  # means the same behind the first character, but not in brackets
_QUOTED = rf'"[\x20!#-\[\]-~{_FOREIGN}]*+"|' + rf"'(?:[\x20-&(-~{_FOREIGN}]++|'')*+'"
_KEY = rf"[{_FIRST}][{_SIMPLE}]*+|{_QUOTED}"
_TEXT = rf"[{_FIRST}](?:[{_ANY}]++|[:\x20](?=[{_ANY}]))*+"
_DOTTED = r"[0-9]{1,3}+(?:\.[0-9]{1,3}+){2,3}"  # an address, a version
_AMOUNT = r"[1-9][0-9]*+[A-Za-z]++"  # 30s, 512MB: no notation of a number begins like this and ends in letters
_ITEM = rf"(?:{_QUOTED}|[{_FIRST}][{_SIMPLE}]*+|{_DOTTED}|{_AMOUNT}|{NUMBER}|~)(?=\x20*+[,\]}}])"
_LIST = rf"\[\x20*+(?:{_ITEM}(?:\x20*+,\x20*+{_ITEM})*+)?\x20*+\]"
_PAIR = rf"(?:[{_FIRST}][{_SIMPLE}]*+|{_QUOTED}):\x20++{_ITEM}"
_TABLE = rf"\{{\x20*+(?:{_PAIR}(?:\x20*+,\x20*+{_PAIR})*+)?\x20*+\}}"
_COMMENT = rf"\#[\t\x20-~\xa0{_FOREIGN}]*+"

_START = re.compile(rf"(?:(?:{_COMMENT})?\n)*---\n")
_LINE = re.compile(
    rf"^(?:(\x20*+(?:-\x20++)?)"  # indentation, and the dash of an item
    rf"(?:({_KEY}):(?:\x20++|$))?"
    rf"(?:({_QUOTED}|{_TEXT}|{NUMBER}|{_DOTTED}(?:[:/][0-9]{{1,5}}+)?|{_AMOUNT}|~)|({_LIST}|{_TABLE}))?"
    rf"\x20*+(?:(?<![^\x20\n]){_COMMENT})?$"
    rf"|(.++))",  # any other line
    re.MULTILINE,
)
_OTHER = operator.itemgetter(4)
_ITEMS = re.compile(_ITEM)
_PAIRS = re.compile(rf"({_KEY}):\x20++({_ITEM})")
_BY_WORD = {**_WORDS, "": None}  # what is not there is null
_LONGEST_KEY = 1000  # YAML refuses a longer one, and lets it pass where it may be a text


def parse(text: str) -> dict[str, Any] | object:
    """Parse a document; `NOT_PLAIN` if there is anything in it that is not plain, or nothing at all. Never raises."""
    try:
        return _document(text.replace("\r\n", "\n")) or NOT_PLAIN
    except NotPlain:
        return NOT_PLAIN


def _document(text: str) -> dict[str, Any]:
    start = _START.match(text)
    names, values = _Names(), Values(_BY_WORD, _ITEMS)
    table: Any = {}
    levels = _Levels(table)
    here: str | None = ""  # how the next line of the table begins; None in a list
    opened: str | None = None  # the key of the line before, if its value is yet to come
    lines = _LINE.findall(text, start.end() if start else 0)
    if any(map(_OTHER, lines)):  # asked first, so that a document that is not plain costs little more than without this
        raise NotPlain
    for lead, key, scalar, brackets, _ in lines:
        if lead != here or not key:
            if not (key or scalar or brackets or "-" in lead):
                continue  # a blank line, or a comment
            table = levels.holder(lead, key or scalar or brackets, bool(key), opened)
            here = " " * len(lead) if key else None
        value = values[scalar] if not brackets else _in_brackets(brackets, names, values)
        if not key:
            table.append(value)
            opened = None
            continue
        name = names[key]
        if name in table:
            raise NotPlain
        table[name] = value
        opened = None if scalar or brackets else name
    return levels.root


def _in_brackets(written: str, names: _Names, values: Values) -> list[Any] | dict[str, Any]:
    if written[0] == "[":
        return values.in_brackets(written)
    pairs = _PAIRS.findall(written)
    table = {names[key]: values[item] for key, item in pairs}
    if len(table) != len(pairs):
        raise NotPlain
    return table


class _Levels:
    """The tables and lists around a line, outermost first, each with the column of its keys or its dashes."""

    def __init__(self, root: dict[str, Any]) -> None:
        self.root = root
        self._all: list[tuple[int, Any]] = [(0, root)]

    def holder(self, lead: str, content: str, is_pair: bool, opened: str | None) -> Any:
        """The table or the list that a line adds to; a new one, if it is the line's first.

        Args:
            lead: How the line begins: blanks, and a dash.
            content: What is behind, up to a comment.
            is_pair: Whether that is a key and its value.
            opened: The key of the line before, if its value is yet to come.
        """
        column = lead.find("-")
        if not content or (column < 0 and not is_pair):
            raise NotPlain
        if column < 0:
            return self._table(len(lead), opened)
        items = self._list(column, opened)
        if not is_pair:
            return items
        made: dict[str, Any] = {}
        items.append(made)
        return self._entered(len(lead), made)

    def _table(self, column: int, opened: str | None) -> Any:
        at, found = self._all[-1]
        if opened is not None and column > at:
            found[opened] = {}
            return self._entered(column, found[opened])
        while column < at or (column == at and type(found) is list):  # a list may stand as far left as its key
            self._all.pop()
            at, found = self._all[-1]
        if column != at:
            raise NotPlain
        return found

    def _list(self, column: int, opened: str | None) -> Any:
        at, found = self._all[-1]
        if opened is not None and column >= at:
            found[opened] = []
            return self._entered(column, found[opened])
        while column < at:
            self._all.pop()
            at, found = self._all[-1]
        if column != at or type(found) is not list:
            raise NotPlain
        return found

    def _entered(self, column: int, made: Any) -> Any:
        if len(self._all) >= MOST_LEVELS:
            raise NotPlain
        self._all.append((column, made))
        return made


class _Names(dict[str, str]):
    """The keys, by the way they are written."""

    def __missing__(self, written: str) -> str:
        if written in _WORDS or len(written) > _LONGEST_KEY:
            raise NotPlain
        name = self[written] = unquoted(written) if written[0] in QUOTES else written
        return name
