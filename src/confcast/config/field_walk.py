"""Finds the field that a path of the data leads to, and the names by which the configuration has its value.

The two differ where the schema says so: a field may have an alias, or be found further inside (`AliasPath`).
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from confcast.config.field_facts import UNKNOWN, SchemaField, annotation_of
from confcast.config.schema.annotations import keys_of, members, written_children
from confcast.config.schema.key_path import KeyPath, value_at
from confcast.config.schema.spelling import is_ruled_out
from confcast.config.sources.merge import Merged
from confcast.texts import str_of

if TYPE_CHECKING:
    from confcast.config.codec import Codec


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
    if len(classes) > 1:
        classes.sort(key=lambda each: _fit(each, table), reverse=True)
    for cls in classes:
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


def masked_in_configuration(codec: Codec[Any], config: Any, merged: Merged) -> frozenset[KeyPath]:
    """The paths of the secrets that sources have named, as the data and as the configuration have them.

    Where a type or a validator has made another key of one, or another value of the table, the whole of it is masked.
    """
    named = (walk(codec.schema, merged.data, path)[1] for path in merged.secrets)
    return merged.secrets | {_as_far_as_there(codec, config, names) for names in named}


def _as_far_as_there(codec: Codec[Any], config: Any, names: list[Any]) -> KeyPath:
    value = config
    for index, name in enumerate(names):
        parts = codec.parts(value)
        if parts is not None and parts.keys() == {"root"} and name != "root":  # no key leads to what a RootModel holds
            value, parts = parts["root"], codec.parts(parts["root"])
        if parts is not None and name not in parts:
            return tuple(names)  # not kept, or under a name that the schema does not tell
        inside = parts if parts is not None else value
        if isinstance(inside, list | tuple | deque) and isinstance(name, int) and name < len(inside):
            value = inside[name]
        elif isinstance(inside, dict) and (keys := [name] if name in inside else _same_text(inside, name)):
            value = inside[keys[0]]
        else:
            return tuple(names[:index])
    return tuple(names)


def _same_text(table: dict[Any, Any], name: Any) -> list[Any]:
    """The keys of a table that a path finds by this name (`masked_keys.py` compares their texts)."""
    return [key for key in table if str_of(key) == str_of(name)]
