"""Plain data of sources as bytes, exactly: what msgpack has not, whole numbers of any size, dates and times, included.

The owner keeps such bytes: what was set at run time, and what the sources of a version gave. Rejected: the codec (it
carries validated values, with the classes of one schema), and pickle (its bytes can name any code).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from types import NoneType
from typing import Any

import msgspec

_BIG_INT, _DATETIME, _DATE, _TIME, _TEXT, _PAIRS = range(1, 7)
_NEAR = 2**63
_AS_THEY_ARE = frozenset({bool, float, bytes, NoneType})
_OF: dict[int, Callable[[str], Any]] = {
    _BIG_INT: lambda text: int(text, 16),
    _DATETIME: dt.datetime.fromisoformat,
    _DATE: dt.date.fromisoformat,
    _TIME: dt.time.fromisoformat,
    _TEXT: str,
}


def packed(value: Any) -> Any:
    """The data as msgpack can write it; `unpacked` is the hook for reading it.

    Raises:
        TypeError: It is no plain data. The message has its type only.
    """
    if isinstance(value, dict):
        return _packed_table(value)
    if isinstance(value, list | tuple):
        return list(map(packed, value))
    kind = type(value)
    if kind is int:
        return value if -(2**63) <= value < 2**64 else _ext(_BIG_INT, hex(value))
    if kind is str:
        return value if value.isascii() or not _has_surrogates(value) else _ext(_TEXT, value)
    if kind in _AS_THEY_ARE:
        return value
    if isinstance(value, dt.date | dt.time):
        code = _DATETIME if isinstance(value, dt.datetime) else _DATE if isinstance(value, dt.date) else _TIME
        return _ext(code, value.isoformat())
    raise TypeError(f"a {kind.__name__} is no plain data: text, numbers, booleans, dates, times, lists and tables are")


def unpacked(code: int, content: memoryview) -> Any:
    """The value of one extension, for a decoder's `ext_hook`. Raises ValueError if there is no such extension."""
    if code == _PAIRS:
        return dict(_PAIRS_DECODER.decode(content))
    if code not in _OF:
        raise ValueError("no such extension")
    return _OF[code](bytes(content).decode(errors="surrogatepass"))


def encode_data(data: dict[str, Any]) -> bytes:
    """Tables, lists and values as bytes. Raises TypeError as `packed` does."""
    return msgspec.msgpack.encode(packed(data))


def decode_data(content: bytes) -> dict[str, Any]:
    """What `encode_data` was given, type for type; a tuple comes back as a list. Raises ValueError."""
    return _DECODER.decode(content)


def _packed_table(table: dict[Any, Any]) -> Any:
    found = {}
    for (
        key,
        item,
    ) in table.items():  # most keys and values stay as they are, and each call would cost more than its item
        if type(key) is not str or not key.isascii():
            return _packed_pairs(table)
        kind = type(item)
        stays = kind in _AS_THEY_ARE or (item.isascii() if kind is str else kind is int and -_NEAR <= item < _NEAR)
        found[key] = item if stays else packed(item)
    return found


def _packed_pairs(table: dict[Any, Any]) -> Any:
    pairs = [(packed(key), packed(item)) for key, item in table.items()]
    if any(isinstance(key, msgspec.msgpack.Ext) for key, _ in pairs):  # which can be no key in Python
        return msgspec.msgpack.Ext(_PAIRS, msgspec.msgpack.encode(pairs))
    return dict(pairs)


def _ext(code: int, text: str) -> msgspec.msgpack.Ext:
    return msgspec.msgpack.Ext(code, text.encode(errors="surrogatepass"))


def _has_surrogates(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


_PAIRS_DECODER = msgspec.msgpack.Decoder(list[tuple[Any, Any]], ext_hook=unpacked)
_DECODER = msgspec.msgpack.Decoder(dict[str, Any], ext_hook=unpacked)
