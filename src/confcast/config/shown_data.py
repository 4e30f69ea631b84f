"""Shows plain data of a source as a change shows values: secrets masked by the schema's types, long values cut.

Guaranteed: the result is data that msgpack can write, and if the types don't decide whether a value is a secret, it is
masked. `diff.py` does the same for validated values, whose own types decide.
"""

from __future__ import annotations

from typing import Any

from confcast.config.diff import LONGEST, cut, plain
from confcast.config.schema.key_path import KeyPath, quoted
from confcast.config.schema.secret_paths import below, shown_part, shown_scalar, type_of_value


def shown_data(schema: Any, path: KeyPath, value: Any) -> Any:
    """The value that a source has at a path, for a person."""
    return cut(_shown(type_of_value(schema, path), value))


def _shown(annotation: Any, value: Any) -> Any:
    if isinstance(value, dict):
        return _shown_table(annotation, value)
    if isinstance(value, list | tuple):
        items, length = [], 0
        for index, item in enumerate(value):
            items.append(_shown(below(annotation, index), item))
            length += len(repr(items[-1]))
            if length > LONGEST:
                break
        return items
    if value is None:
        return None
    return plain(shown_scalar(annotation, value))


def _shown_table(annotation: Any, table: dict[Any, Any]) -> dict[str, Any]:
    shown = dict[str, Any]()
    for key, item in table.items():
        part = shown_part(annotation, key)
        text = plain(part) if isinstance(part, str) else quoted(part)
        shown[text] = _shown(below(annotation, key), item)
        if len(repr(shown)) > LONGEST:
            break
    return shown
