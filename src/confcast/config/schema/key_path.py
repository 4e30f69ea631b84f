"""Paths in plain data: the value at one, every text with its path, and a path as one dotted text, as TOML writes keys.

A part that is empty or has dots, blanks or quotes in it is quoted. `lookup.py` finds the path again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from confcast.texts import shortened, str_of

KeyPath: TypeAlias = tuple[Any, ...]
"""Keys of tables and indexes of lists, from the root. Most are str or int; YAML has other keys."""

_ABSENT = object()
_LONGEST = 60
_TO_QUOTE = re.compile(r'[\s."\x00-\x1f\x7f]')  # characters that would end or split an unquoted key


def dotted(path: KeyPath) -> str:
    """A path as dotted text; a key that is empty or has dots or blanks in it is quoted, as in TOML."""
    return ".".join(map(shown, path))


def shown(part: Any) -> str:
    """One part of a path, as `dotted` writes it."""
    if not isinstance(part, str):
        return quoted(part)
    return json.dumps(part, ensure_ascii=False) if _TO_QUOTE.search(part) or not part else part


def quoted(value: Any) -> str:
    """A scalar as configuration files write it, shortened."""
    if value is None or isinstance(value, bool):
        return str(value).lower().replace("none", "null")
    return shortened(repr(value) if isinstance(value, str | bytes) else str_of(value), _LONGEST)


def value_at(data: Any, path: KeyPath, default: Any = None) -> Any:
    """The value at a path in plain data; `default` if there is none."""
    for part in path:
        try:
            data = data[part] if isinstance(data, dict | list) else default
        except (KeyError, IndexError, TypeError):
            return default
        if data is default:
            return default
    return data


def has(data: Any, path: KeyPath) -> bool:
    """Whether plain data have a value at a path."""
    return value_at(data, path, _ABSENT) is not _ABSENT


def texts(data: Any, wanted: Callable[[str], bool], path: KeyPath = ()) -> Iterator[tuple[KeyPath, str]]:
    """Every wanted text in plain data, with its path. Each load calls `wanted` with each text: it has to be quick."""
    for part, value in data.items() if type(data) is dict else enumerate(data):
        kind = type(value)
        if kind is str:
            if wanted(value):
                yield (*path, part), value
        elif kind is dict or kind is list:
            yield from texts(value, wanted, (*path, part))
