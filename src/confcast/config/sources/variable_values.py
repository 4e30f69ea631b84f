"""Converts a text that a person gave for a key to the value that the key's type wants.

This is the one function for every door through which a value comes as text: environment variables, and what is set at
run time, on the command line or by a call. The same text means the same value by each of them, or is refused alike. A
text that can't be converted stays text, so that the validator says what is wrong, in its own words and with the
position. This file itself refuses only invalid JSON, and a list in which an item is empty: the validator would complain
of a text where a list was meant.

A source may take lists with commas (`commas=True`). One rule says which texts: where the type is a list of single
values, a text that does not begin with `[` is split at its commas, blanks around each item are dropped, each item is
converted by its own type, and an empty text is the empty list. Everything else stays JSON: a text that begins with `[`,
a list of lists or tables, a table.

The type as it is written decides, even if a user's validator comes before pydantic's: that validator gets the list, the
table or the number that a file would give it, and the text only if the text can't be converted (`a, b` for a list,
`10 MB` for a number). Rejected: leaving every text for such a validator as text (it would take a list for the
characters of its JSON), quotes and backslashes in a list with commas (JSON has them), and dropping empty items (`a,,b`
is a slip, and which one, nobody can tell).
"""

from __future__ import annotations

import contextlib
import enum
import re
import typing
from typing import Any, Literal, Union

from confcast.config.schema.annotations import is_collection, members, written_children
from confcast.config.sources.formats import json
from confcast.config.sources.formats.common import MOST_DIGITS, TOO_LARGE, TooLarge, Unparsable, finite
from confcast.config.sources.variable_targets import is_list
from confcast.texts import str_of

_TRUE = {"true", "1", "yes", "on", "t", "y"}
_FALSE = {"false", "0", "no", "off", "f", "n"}
_WANTED = "a list or a table has to be written as JSON here"
_WANTED_IN_BRACKETS = "a list that begins with [ has to be JSON"
_INT = re.compile(r"[+-]?\d+(_\d+)*")


class NotConvertible(Exception):
    """The text is refused by itself: it has to be JSON and is not, or has an empty item, or is too large for a float.

    The message never quotes the text.
    """


def from_text(text: str, annotation: Any, *, opaque: bool = False, commas: bool = False) -> Any:
    """The value of a text; the text itself if the type takes text, or if the text does not fit the type.

    Args:
        text: What the person gave.
        annotation: The type, as it is written.
        opaque: Whether the user's code sees the value before the library does, and may parse the text.
        commas: Whether a list of single values may be written with commas.

    Raises:
        NotConvertible: The type is a list or a table, the text is no JSON, and none of the user's code may parse it; or
            an item between commas is empty; or the type is a float, and the number is too large.
    """
    if annotation is str:  # as most are
        return text
    kinds = members(annotation, written=True)
    if commas and may_have_commas(text.lstrip(), annotation, kinds):
        return _items(text.strip(), annotation, optional=type(None) in kinds)
    if any(map(is_collection, kinds)) and (text.lstrip()[:1] in ("[", "{") or not _takes_text(kinds)):
        try:
            value = _from_json(text, optional=type(None) in kinds, commas=commas)
            if not opaque or value is None or isinstance(value, dict | list):
                return value  # otherwise a user's validator may make a list of one item from `5`
        except NotConvertible:
            if not opaque:
                raise
    for kind in kinds:
        if typing.get_origin(kind) is Literal:
            return next((choice for choice in typing.get_args(kind) if _same(choice, text)), text)
        if isinstance(kind, type) and issubclass(kind, enum.Enum):
            return next((member.value for member in kind if _same(member.value, text)), text)
    return text if _takes_text(kinds) else scalar_of(text.strip(), kinds, text)


def scalar_of(stripped: str, kinds: tuple[Any, ...], text: str) -> Any:
    """The number, boolean or None of one of these types; the text itself if it is none. Raises NotConvertible."""
    word = stripped.lower()
    if type(None) in kinds and word == "null":
        return None
    if bool in kinds and word in _TRUE | _FALSE and not (int in kinds and word in "01"):
        return word in _TRUE
    if int in kinds and len(stripped) <= MOST_DIGITS and _INT.fullmatch(stripped):
        with contextlib.suppress(ValueError):  # Python may have been told to read fewer digits
            return int(stripped)
    if float in kinds:
        try:
            return finite(stripped)
        except ValueError:
            return text
        except TooLarge:
            raise NotConvertible(TOO_LARGE) from None
    return text


def may_have_commas(text: str, annotation: Any, kinds: tuple[Any, ...]) -> bool:
    """Whether a text for this type is a list that is written with commas."""
    is_listed = [is_list(kind) for kind in kinds]
    if not any(is_listed) or text.startswith("[") or _takes_text(kinds):
        return False
    is_table = any(is_collection(kind) for kind, listed in zip(kinds, is_listed, strict=True) if not listed)
    return not (is_table and text.startswith("{")) and not any(map(is_collection, members(item_type(annotation, 0))))


def item_type(annotation: Any, index: int) -> Any:
    """The type of an item of a list, as it is written."""
    found = written_children(annotation, index)
    return Union[found] if found else Any  # noqa: UP007 - of a tuple


def _items(text: str, annotation: Any, *, optional: bool) -> list[Any] | None:
    if not text or (optional and text.lower() == "null"):
        return [] if not text else None
    return [from_text(item, item_type(annotation, index)) for index, item in enumerate(between_commas(text))]


def between_commas(text: str) -> list[str]:
    """The items of a text with commas. Raises NotConvertible."""
    items = [item.strip() for item in text.split(",")]
    if "" in items:
        at = items.index("") + 1
        raise NotConvertible(f"item {at} of {len(items)} between the commas is empty: remove a comma, or write JSON")
    return items


def _from_json(text: str, *, optional: bool, commas: bool) -> Any:
    try:
        value = json.parse(text)
    except Unparsable as error:
        place = f" (line {error.line}, column {error.column})" if error.line else ""
        wanted = _WANTED_IN_BRACKETS if commas and text.lstrip().startswith("[") else _WANTED
        raise NotConvertible(f"{wanted}; the text {error.message}{place}") from None
    if value is None and not optional:
        raise NotConvertible(f"{_WANTED}; the text is empty or null")
    return value


def _takes_text(kinds: tuple[Any, ...]) -> bool:
    return any(kind is Any or (isinstance(kind, type) and issubclass(kind, str | bytes)) for kind in kinds)


def _same(value: Any, text: str) -> bool:
    """Whether a text is what Python or JSON writes for a value."""
    return text == value if isinstance(value, str) else text.lower() == str_of(value).lower()
