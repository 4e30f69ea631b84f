"""Data for a program outside: JSON in which a Struct has all of its fields.

Messages leave out what has its default; whoever reads a report expects to find it. Guaranteed: a text that is no valid
Unicode, as a name of a file may be, becomes one that can be written.
"""

from __future__ import annotations

from typing import Any

import msgspec

from confcast.texts import printable


def whole(data: Any) -> Any:
    """The same data, with every Struct as an object that has all of its fields."""
    if isinstance(data, msgspec.Struct):
        return {name: whole(getattr(data, name)) for name in data.__struct_fields__}
    if isinstance(data, dict):
        return {printable(str(key)): whole(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [whole(item) for item in data]
    return printable(data) if isinstance(data, str) and not data.isascii() and _has_surrogates(data) else data


def _has_surrogates(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)
