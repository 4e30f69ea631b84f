"""Writes a path in the data as one dotted text, as TOML writes keys.

A part that is empty or has dots, blanks or quotes in it is quoted. `lookup.py` finds a path by such a text.
"""

from __future__ import annotations

import json
import re
from typing import Any, TypeAlias

KeyPath: TypeAlias = tuple[Any, ...]
"""Keys of tables and indexes of lists, from the root. Mostly str and int; YAML has other keys."""

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
    text = repr(value) if isinstance(value, str | bytes) else str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def hashable(types: Any) -> Any:
    """A type, or several, as a key of a dict; as text if metadata of an `Annotated` can't be hashed."""
    try:
        hash(types)
    except TypeError:
        return repr(types)
    return types


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
