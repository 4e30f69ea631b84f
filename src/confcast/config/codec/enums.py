"""Serialises members of enums by name, and members of flags, which combine, by value.

Guaranteed: decoding returns the same declared member or composite flag that the class gives by itself. An Enum may have
other objects: its `_missing_` may make one with any name and value, even with those of a declared member, which the
workers would then get instead. Such an object is refused, as is a composite flag to which the class has added an
attribute.

Rejected: serialising all members by value (values may be unhashable, and True equals 1), and calling the class with the
value (`_missing_` is the user's code).
"""

from __future__ import annotations

import enum
from typing import Any

from confcast.config.codec.classes import Kind, Shape
from confcast.config.codec.leaves import Unsupported

_COMPOSITE = frozenset({"_value_", "_name_", "_inverted_"})
"""The attributes of a composite that the standard library made."""


def _shape(cls: Any, index: int) -> Shape:
    is_flag = issubclass(cls, enum.Flag)
    combine = vars(enum.Flag)["_missing_"].__func__  # the standard library's: a class may define its own

    def take(value: Any) -> list[Any]:
        if not (_is_declared(value) or (is_flag and _is_composite(value))):
            raise Unsupported(
                f"this {cls.__qualname__} is none of its declared members (its _missing_ may have made it), and"
                " can't be carried to the workers; have _missing_ return a declared one"
            )
        return [index, value._value_ if is_flag else value._name_]

    def make(row: list[Any]) -> Any:
        _, key = row
        if not is_flag:
            return cls._member_map_[key]
        if type(key) is not int:
            raise TypeError
        return cls._value2member_map_[key] if key in cls._value2member_map_ else combine(cls, key)

    def parts(value: Any) -> dict[str, Any]:
        take(value)
        return {}

    return Shape(cls, index, take, make, parts)


def _is_declared(value: Any) -> bool:
    try:
        return type(value)._member_map_.get(value._name_) is value
    except (AttributeError, TypeError):  # `_missing_` made the object without these attributes
        return False


def _is_composite(value: Any) -> bool:
    """Whether a flag is the composite object that the standard library makes for the flag's number."""
    cls, name = type(value), getattr(value, "_name_", None)
    number = getattr(value, "_value_", None)
    return (
        type(number) is int
        and cls._value2member_map_.get(number) is value
        and vars(value).keys() <= _COMPOSITE
        and (name is None or _number_of(cls, name) == number)
    )


def _number_of(cls: Any, name: str) -> int | None:
    """The number that the name of a composite stands for, such as `READ|WRITE|64`; None if it stands for none."""
    number = 0
    try:
        for part in name.split("|"):
            member = cls._member_map_.get(part)
            number |= int(part, 0) if member is None else member._value_
    except (ValueError, TypeError, AttributeError):
        return None
    return number


ENUM = Kind("enum", _shape)
