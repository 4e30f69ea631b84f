"""A text from the environment as the value that a type wants.

What can't be converted stays text, so that the validator says what is wrong, in its own words and with the position.
Only JSON that is none is refused here: the validator would speak of a text where a list was meant.
"""

from __future__ import annotations

import enum
import re
import typing
from typing import Any, Literal

from confcast.config.sources.formats import json
from confcast.config.sources.formats.common import Unparsable
from confcast.config.validation.annotations import is_collection, members

_TRUE = {"true", "1", "yes", "on", "t", "y"}
_FALSE = {"false", "0", "no", "off", "f", "n"}
_WANTED = "a list or a table has to be written as JSON here"
_INT = re.compile(r"[+-]?\d+(_\d+)*")


class NotConvertible(Exception):
    """The text has to be JSON, and is not. The message never quotes it."""


def from_text(text: str, annotation: Any) -> Any:
    """The value, or the text itself where the type takes text or the text does not fit the type.

    Raises:
        NotConvertible: The type is a list or a table, and the text is no JSON.
    """
    kinds = members(annotation)
    if any(map(is_collection, kinds)) and (text.lstrip()[:1] in ("[", "{") or not _takes_text(kinds)):
        return _from_json(text, optional=type(None) in kinds)
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
            return float(stripped)
        except ValueError:
            return text
    return text


def _from_json(text: str, *, optional: bool) -> Any:
    try:
        value = json.parse(text)
    except Unparsable as error:
        place = f" (line {error.line}, column {error.column})" if error.line else ""
        raise NotConvertible(
            f"a list or a table has to be written as JSON here; the text {error.message}{place}"
        ) from None
    if value is None and not optional:
        raise NotConvertible(f"{_WANTED}; the text is empty or null")
    return value


def _takes_text(kinds: tuple[Any, ...]) -> bool:
    return any(kind is Any or (isinstance(kind, type) and issubclass(kind, str | bytes)) for kind in kinds)


def _same(value: Any, text: str) -> bool:
    """Whether a text means this value; a number is written as Python or JSON write it."""
    return text == value if isinstance(value, str) else text.lower() == str(value).lower()
