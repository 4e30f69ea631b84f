"""Lists the leaf types, one row each: types that msgpack does not have, and that hold no fields of the user's classes.

Guaranteed: a row rebuilds values of exactly its type, and a code is never given to another type (journals outlive
releases). A type is found by its import path and only in modules that are imported already: a process that has such a
value has imported its module, and a worker whose configuration has no Decimal does not pay for `decimal`.

Codes: 0 to 15 belong to the codec's own shapes, 16 to 127 to the rows below; types that an application adds have none
(registered.py). Rejected: msgspec's `enc_hook` (msgspec never calls it for datetime, Decimal, UUID: they would arrive
as str), and accepting subclasses (the workers would get the base).
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

OBJECT, TUPLE, SET, FROZENSET, DICT, BIG_INT, TEXT = range(7)
"""The extension codes of the codec's own shapes. TEXT is a str with lone surrogates, which UTF-8 does not have."""


class Unsupported(Exception):
    """A value can't be serialised; the text says why. Becomes a `NotCarried` with the path before users see it."""


class Leaf(NamedTuple):
    """How values of one type are serialised.

    Attributes:
        code: Its msgpack extension code.
        path: Where the type is imported from, `module:name`.
        parts: The type that `take` returns; any other in a payload is refused.
        take: Takes a value apart into parts that the codec serialises.
        make: Makes the value from the type and the parts. Runs none of the user's code.
        deep: Whether the parts may hold other leaves and objects, not only msgpack's own types.
    """

    code: int
    path: str
    parts: type
    take: Callable[[Any], Any]
    make: Callable[[Any, Any], Any]
    deep: bool = False

    @property
    def type(self) -> Any:
        """The type itself; imports its module."""
        module, name = self.path.split(":")
        return getattr(importlib.import_module(module), name)


def _call(cls: Any, parts: Any) -> Any:
    return cls(parts)


def _spread(cls: Any, parts: Any) -> Any:
    return cls(*parts)


def _datetime_parts(value: Any) -> list[Any]:
    date = [value.year, value.month, value.day]
    return [*date, value.hour, value.minute, value.second, value.microsecond, value.fold, value.tzinfo]


def _datetime(cls: Any, parts: Any) -> Any:
    *fields, fold, zone = parts
    return cls(*fields, zone, fold=fold)


def _time_parts(value: Any) -> list[Any]:
    return [value.hour, value.minute, value.second, value.microsecond, value.fold, value.tzinfo]


def _zone_key(zone: Any) -> str:
    if type(zone.key) is not str:
        raise Unsupported("a ZoneInfo without a key can't be carried to the workers; make it by ZoneInfo(key)")
    try:
        zone.__reduce__()  # raises if the zone's rules came from a file, even if the zone has a key
    except Exception:
        raise Unsupported("a ZoneInfo that was read from a file can't be carried; make it by ZoneInfo(key)") from None
    return zone.key


def _fixed_offset_seconds(zone: Any) -> int:
    return int(zone.utcoffset(None).total_seconds())


def _uuid(cls: Any, parts: Any) -> Any:
    import uuid

    number, is_safe = parts
    return cls(bytes=number, is_safe=uuid.SafeUUID(is_safe))


def _pattern_parts(value: Any) -> list[Any]:
    import re

    return [value.pattern, value.flags & ~int(re.DEBUG)]  # compiling with DEBUG prints


def _pattern(cls: Any, parts: Any) -> Any:
    import re

    text, flags = parts
    return re.compile(text, flags)


def _name_email(cls: Any, parts: Any) -> Any:
    name, email = parts
    if type(name) is not str or type(email) is not str:  # its class takes whatever it is given
        raise TypeError
    return cls(name, email)


def _unset(cls: Any, parts: Any) -> Any:
    import msgspec

    return msgspec.UNSET


def _url(cls: Any, parts: Any) -> Any:
    try:
        return cls(parts, preserve_empty_path=True)
    except TypeError:  # raised by pydantic 2.11, which gives every URL a path
        return cls(parts)


def _big(cls: Any, parts: Any) -> int:
    return int.from_bytes(parts, "big", signed=True)


def _watched_parts(value: Any) -> Any:
    from confcast.config.schema.watched_path import taken_apart

    return taken_apart(value)


def _watched(cls: Any, parts: Any) -> Any:
    from confcast.config.schema.watched_path import made_anew

    return made_anew(cls, parts)


def _flat(value: Any) -> list[Any]:
    return [part for item in value.items() for part in item]


def _pairs(cls: Any, parts: Any) -> Any:
    return cls(zip(parts[::2], parts[1::2], strict=True))


LEAVES = (
    Leaf(BIG_INT, "builtins:int", bytes, lambda v: v.to_bytes(v.bit_length() // 8 + 1, "big", signed=True), _big),
    Leaf(
        TEXT,
        "builtins:str",
        bytes,
        lambda v: v.encode("utf-8", "surrogatepass"),
        lambda c, p: c(p, "utf-8", "surrogatepass"),
    ),
    Leaf(16, "datetime:datetime", list, _datetime_parts, _datetime, deep=True),
    Leaf(17, "datetime:date", list, lambda v: [v.year, v.month, v.day], _spread),
    Leaf(18, "datetime:time", list, _time_parts, _datetime, deep=True),
    Leaf(19, "datetime:timedelta", list, lambda v: [v.days, v.seconds, v.microseconds], _spread),
    Leaf(20, "datetime:timezone", list, lambda v: list(v.__getinitargs__()), _spread, deep=True),
    Leaf(21, "zoneinfo:ZoneInfo", str, _zone_key, _call),
    Leaf(22, "pydantic_core:TzInfo", int, _fixed_offset_seconds, _call),
    Leaf(23, "decimal:Decimal", str, str, _call),
    Leaf(24, "uuid:UUID", list, lambda v: [v.bytes, v.is_safe.value], _uuid),
    Leaf(25, "pathlib:PurePosixPath", str, str, _call),
    Leaf(26, "pathlib:PosixPath", str, str, _call),
    Leaf(27, "pathlib:PureWindowsPath", str, str, _call),
    Leaf(28, "pathlib:WindowsPath", str, str, _call),
    Leaf(29, "pydantic.types:SecretStr", str, lambda v: v._secret_value, _call),
    Leaf(30, "pydantic.types:SecretBytes", bytes, lambda v: v._secret_value, _call),
    Leaf(31, "pydantic.types:Secret", list, lambda v: [v._secret_value], _spread, deep=True),
    Leaf(32, "pydantic.types:ByteSize", int, int, _call),
    Leaf(33, "re:Pattern", list, _pattern_parts, _pattern),
    Leaf(34, "ipaddress:IPv4Address", bytes, lambda v: v.packed, _call),
    Leaf(35, "ipaddress:IPv6Address", str, str, _call),
    Leaf(36, "ipaddress:IPv4Network", str, str, _call),
    Leaf(37, "ipaddress:IPv6Network", str, str, _call),
    Leaf(38, "ipaddress:IPv4Interface", str, str, _call),
    Leaf(39, "ipaddress:IPv6Interface", str, str, _call),
    Leaf(40, "builtins:bytearray", bytes, bytes, _call),
    Leaf(41, "builtins:complex", list, lambda v: [v.real, v.imag], _spread),
    Leaf(42, "fractions:Fraction", list, lambda v: [v.numerator, v.denominator], _spread),
    Leaf(43, "collections:deque", list, lambda v: [list(v), v.maxlen], _spread, deep=True),
    Leaf(44, "collections:OrderedDict", list, _flat, _pairs, deep=True),
    Leaf(45, "msgspec:UnsetType", type(None), lambda v: None, _unset),
    Leaf(46, "pydantic_core:Url", str, str, _url),
    Leaf(47, "pydantic_core:MultiHostUrl", str, str, _url),
    Leaf(48, "pydantic.networks:NameEmail", list, lambda v: [v.name, v.email], _name_email),
    Leaf(49, "collections:Counter", dict, dict, _call, deep=True),
    Leaf(50, "confcast.config.schema.watched_path:WatchedPath", list, _watched_parts, _watched),
)

BY_CODE = {leaf.code: leaf for leaf in LEAVES}
SECRET_CODES = frozenset({29, 30, 31})
"""The codes of leaves whose values a diff never shows."""


def leaf_of(cls: type) -> Leaf | None:
    """The row of exactly this type, or None. Imports nothing."""
    for leaf in LEAVES:
        module, name = leaf.path.split(":")
        if module in sys.modules and getattr(sys.modules[module], name, None) is cls:
            return leaf
    return None
