"""Finds the field that a path of the data leads to, and the names by which the configuration has its value.

The two differ where the schema says so: a field may have an alias, or be found further inside (`AliasPath`).
"""

from __future__ import annotations

from typing import Any

from confcast.config.field_facts import UNKNOWN, SchemaField, annotation_of
from confcast.config.schema.annotations import keys_of, members, written_children
from confcast.config.schema.key_path import KeyPath, value_at
from confcast.config.schema.spelling import is_ruled_out
from confcast.config.sources.merge import Merged


def walk(schema: Any, data: Any, path: KeyPath) -> tuple[SchemaField, list[Any]]:
    """The field at a path of the data; and the names by which the configuration has its value."""
    field, names, done = SchemaField(schema), [], 0
    while done < len(path):
        found = _step(field.annotation, path[done:], value_at(data, path[:done]))
        field, length = found or (_below(field.annotation, path[done]), 1)
        names.append(field.name or path[done])
        done += length
    return field, names


def _step(annotation: Any, rest: KeyPath, table: Any) -> tuple[SchemaField, int] | None:
    """The field of a class that the rest of a path begins with, and how many parts of the path lead to it."""
    classes = [kind for kind in members(annotation, written=True) if keys_of(kind) is not None]
    for cls in sorted(classes, key=lambda each: _fit(each, table), reverse=True):
        keys = keys_of(cls)
        assert keys is not None
        for name, sought in keys.sought.items():
            length = next((len(path) for path in sought.paths if rest[: len(path)] == path), 0)
            if length > 1 or (length and rest[0] in keys.indirect):
                return SchemaField(sought.written, cls, name), length
        if isinstance(rest[0], str) and rest[0] in keys.names and rest[0] not in keys.indirect:
            name = keys.names[rest[0]]
            return SchemaField(annotation_of(cls, name, keys.written[rest[0]]), cls, name), 1
    return None


def _fit(cls: Any, table: Any) -> int:
    """How many keys of the data a class knows, -1 if a tag excludes it: of a union, the one that fits is explained."""
    keys = keys_of(cls)
    if keys is None or not isinstance(table, dict):
        return 0
    return -1 if is_ruled_out(cls, (table,)) else sum(key in keys.names for key in table)


def _below(annotation: Any, part: Any) -> SchemaField:
    kinds = written_children(annotation, part) if annotation is not UNKNOWN else ()
    return SchemaField(kinds[0] if kinds else UNKNOWN)


def masked_in_configuration(schema: Any, merged: Merged) -> frozenset[KeyPath]:
    """The paths of the secrets that sources have named, as the data and as the configuration have them."""
    return merged.secrets | {tuple(walk(schema, merged.data, path)[1]) for path in merged.secrets}
