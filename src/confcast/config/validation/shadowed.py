"""Refuses two mistakes that merging hides: a value that a higher table shadows, and two keys for one field in a layer.

`db = "postgres://…"` in a file is wrong if `db` is a section. A variable `APP_DB__HOST` puts a table in its place, so
the validator never sees the text: without this check the file's `db` would be dropped without a word. Only the shape
counts (a table, a list, a single value, null), as the annotations show it: if the user's code may take more, the value
is accepted. Rejected: validating every layer by itself (each reload would take longer), and giving the shadowed value
to the user's validators (they expect only values that are used).

If two keys of one table in one source set the same field, nobody can say which was meant. In two sources they are no
mistake: the higher one counts, as always (merge.py). So each layer is checked by itself, also where a higher one
replaces both. In one case the lower source's value would be used, which is refused: an `AliasPath` that comes before
the key that the higher source has, and leads into a list or a table that other fields read, too.
"""

from __future__ import annotations

import collections.abc
import enum
import typing
from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from confcast.config.schema.annotations import child, is_collection, is_opaque, keys_of, members
from confcast.config.schema.key_path import KeyPath, dotted, value_at
from confcast.config.schema.spelling import PLAIN, is_ruled_out
from confcast.config.sources.layer import Layer
from confcast.config.sources.merge import Merged
from confcast.config.validation.field_errors import FieldError

_WORDS = {"table": "a table (section)", "list": "a list", "scalar": "a single value", "null": "null"}
_ALL = frozenset(_WORDS)
_SCALARS = (bool, int, float, str, bytes)
_TABLES = (dict, collections.abc.Mapping, collections.abc.MutableMapping)
_LISTS = (list, tuple, set, frozenset, collections.abc.Sequence, collections.abc.Set)


def check(schema: Any, merged: Merged) -> Iterator[FieldError]:
    """An error for every shadowed value that its type does not take, at the value's own position."""
    for shadowed in merged.shadowed:
        path = merged.in_layer(shadowed.low, shadowed.path)
        value = value_at(shadowed.low.data, path)
        accepted = _shapes_at(schema, path, merged)
        # If the type takes no table, the validator reports the table.
        if "table" in accepted and _shape(value) not in accepted:
            first = _first(shadowed.high, merged.in_layer(shadowed.high, shadowed.path))
            yield FieldError(path, _message(first, accepted), value, location=shadowed.low.where(path))


def _message(first: str, accepted: frozenset[str]) -> str:
    wanted = " or ".join(words for shape, words in _WORDS.items() if shape in accepted)
    return f"Input should be {wanted}; a higher source sets keys below it ({first})"


def _first(layer: Layer, path: KeyPath) -> str:
    """The position of the first key in a table; the table's own position if it is empty."""
    while (table := value_at(layer.data, path)) and isinstance(table, dict):
        path = (*path, next(iter(table)))
    return layer.where(path, key=True)


def _shape(value: Any) -> str:
    return "null" if value is None else "list" if isinstance(value, list) else "scalar"


def _shapes_at(annotation: Any, path: KeyPath, merged: Merged) -> frozenset[str]:
    final = merged.spelling.as_in(merged.data, path)
    for length, part in enumerate(path):
        if is_opaque(annotation):  # a validator there may turn the value into another
            return _ALL
        annotation = child(_meant(annotation, value_at(merged.data, final[:length])), part)
    return _shapes(annotation)


def _meant(annotation: Any, table: Any) -> Any:
    """The one class of a union that the tags of a table allow; the union if the tags allow several."""
    if not isinstance(table, dict):
        return annotation
    left = [kind for kind in members(annotation) if is_collection(kind) and not is_ruled_out(kind, (table,))]
    return left[0] if len(left) == 1 else annotation


def _shapes(annotation: Any) -> frozenset[str]:
    """The shapes that values of a type may have in a file."""
    if is_opaque(annotation):
        return _ALL
    return frozenset(shape for member in members(annotation) for shape in _of_member(member))


def _of_member(member: Any) -> frozenset[str]:
    cls = typing.get_origin(member) or member
    if cls is type(None):
        return frozenset({"null"})
    if cls in _SCALARS or cls is Literal or (isinstance(cls, type) and issubclass(cls, enum.Enum)):
        return frozenset({"scalar", "null"} if cls is Literal else {"scalar"})
    if keys_of(member) is not None:
        listed = issubclass(cls, tuple) or (issubclass(cls, msgspec.Struct) and cls.__struct_config__.array_like)
        return frozenset({"table", "list"} if listed else {"table"})
    if cls in _TABLES:
        return frozenset({"table"})
    return frozenset({"list"}) if cls in _LISTS else _ALL


def doubled(merged: Merged) -> Iterator[FieldError]:
    """An error for every key that sets the field of another key of the same layer, with the positions of both."""
    for layer in merged.layers if merged.spelling is not PLAIN else ():
        for first, second in merged.spelling.doubled(layer.data, merged.data):
            message = f"sets the same as {dotted(first[-1:])!r} ({layer.where(first, key=True)}): remove one of them"
            yield FieldError(second, message, about="key", location=layer.where(second, key=True))
    for path, low, own, high in merged.preferred:
        message = f"sets the same as {dotted(path)!r} ({low.where(merged.in_layer(low, path))}), which comes first"
        own = merged.in_layer(high, own)
        yield FieldError(own, f"{message}: remove one of them", about="key", location=high.where(own, key=True))
