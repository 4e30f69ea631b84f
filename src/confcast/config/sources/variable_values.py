"""Converts a text that a person gave for a key to the value that the key's type wants.

This is the one function for every door through which a value comes as text: environment variables, and what is set at
run time, on the command line or by a call. The same text means the same value by each of them, or is refused alike. A
text that can't be converted stays text, so that the validator says what is wrong, in its own words and with the
position. This file itself refuses only invalid JSON: the validator would complain of a text where a list was meant.

The type as it is written decides, even if a user's validator comes before pydantic's: that validator gets the list, the
table or the number that a file would give it, and the text only if the text can't be converted (`a, b` for a list,
`10 MB` for a number). Rejected: leaving every text for such a validator as text (it would take a list for the
characters of its JSON).
"""

from __future__ import annotations

import enum
import re
import typing
from typing import Any, Literal

from confcast.config.schema.annotations import is_collection, members
from confcast.config.sources.formats import json
from confcast.config.sources.formats.common import TOO_LARGE, TooLarge, Unparsable, finite

_TRUE = {"true", "1", "yes", "on", "t", "y"}
_FALSE = {"false", "0", "no", "off", "f", "n"}
_WANTED = "a list or a table has to be written as JSON here"
_INT = re.compile(r"[+-]?\d+(_\d+)*")


class NotConvertible(Exception):
    """The text has to be JSON and is not, or is a number too large for a float. The message never quotes the text."""


def from_text(text: str, annotation: Any, *, opaque: bool = False) -> Any:
    """The value of a text; the text itself if the type takes text, or if the text does not fit the type.

    Args:
        text: What the person gave.
        annotation: The type, as it is written.
        opaque: Whether the user's code sees the value before the library does, and may parse the text.

    Raises:
        NotConvertible: The type is a list or a table, the text is no JSON, and none of the user's code may parse it; or
            the type is a float, and the number is too large.
    """
    kinds = members(annotation, written=True)
    if any(map(is_collection, kinds)) and (text.lstrip()[:1] in ("[", "{") or not _takes_text(kinds)):
        try:
            value = _from_json(text, optional=type(None) in kinds)
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
    return text if _takes_text(kinds) else _scalar(text.strip(), kinds, text)


def _scalar(stripped: str, kinds: tuple[Any, ...], text: str) -> Any:
    word = stripped.lower()
    if type(None) in kinds and word == "null":
        return None
    if bool in kinds and word in _TRUE | _FALSE and not (int in kinds and word in "01"):
        return word in _TRUE
    if int in kinds and len(stripped) <= 4300 and _INT.fullmatch(stripped):
        return int(stripped)
    if float in kinds:
        try:
            return finite(stripped)
        except ValueError:
            return text
        except TooLarge:
            raise NotConvertible(TOO_LARGE) from None
    return text


def _from_json(text: str, *, optional: bool) -> Any:
    try:
        value = json.parse(text)
    except Unparsable as error:
        place = f" (line {error.line}, column {error.column})" if error.line else ""
        raise NotConvertible(f"{_WANTED}; the text {error.message}{place}") from None
    if value is None and not optional:
        raise NotConvertible(f"{_WANTED}; the text is empty or null")
    return value


def _takes_text(kinds: tuple[Any, ...]) -> bool:
    return any(kind is Any or (isinstance(kind, type) and issubclass(kind, str | bytes)) for kind in kinds)


def _same(value: Any, text: str) -> bool:
    """Whether a text is what Python or JSON writes for a value."""
    return text == value if isinstance(value, str) else text.lower() == str(value).lower()
