"""Merges layers, tables field by field and everything else whole, and finds the layer that a value came from.

A key of the result is spelled as the highest layer spells it that has the field. Positions are looked up in each layer
by its own spelling, and a message spells a key as it is written at the position that the message names.

The layers are kept, and an origin is looked up in them when it is needed. Rejected: filling a table of origins while
merging (every reload would take longer, and hardly one would read the table).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

from confcast.config.schema.key_path import KeyPath, has, value_at
from confcast.config.schema.spelling import PLAIN, Spelling, inside
from confcast.config.sources.formats.common import Note
from confcast.config.sources.layer import Layer


class ReplacedValue(NamedTuple):
    """A value that is no table, and that a table of a higher layer replaced.

    Attributes:
        path: The path of both, as the result spells it.
        low: The layer that has the value.
        high: The layer that has the table.
    """

    path: KeyPath
    low: Layer
    high: Layer


class Preferred(NamedTuple):
    """A value of a lower layer that a library would prefer to that of a higher one, and that merging can't remove.

    Attributes:
        path: The path of the lower value.
        low: The layer of the lower value.
        beaten: The path of the higher value.
        high: The layer of the higher value.
    """

    path: KeyPath
    low: Layer
    beaten: KeyPath
    high: Layer


class Merged:
    """The merged data of several layers.

    Args:
        layers: The layers to merge, low to high.
        spelling: Which keys set one field.

    Attributes:
        layers: As given.
        spelling: As given.
        data: The result; shares the tables and lists of the layers, so no caller may change it.
        shadowed: The values that are no tables and that a table replaced; the schema says whether that is an error.
        preferred: The values of lower layers that a library would use although a higher layer sets the field.
    """

    def __init__(self, layers: Sequence[Layer], spelling: Spelling = PLAIN) -> None:
        self.layers, self.spelling = tuple(layers), spelling
        self.data: dict[str, Any] = {}
        self.shadowed: list[ReplacedValue] = []
        self.preferred: list[Preferred] = []
        found = [_Found([], []) for _ in self.layers]
        for index, layer in enumerate(self.layers):
            above = tuple(each.data for each in self.layers[index + 1 :])
            self.data = _over(self.data, layer.data, (), found[index], spelling, above) if self.data else layer.data
        for index, layer in enumerate(self.layers):  # only the tags of all layers together decide a layer's spelling
            below = functools.partial(self._below, index)
            self.shadowed += (ReplacedValue(path, low, layer) for path in found[index].shadowed for low in below(path))
            preferred = found[index].preferred
            self.preferred += (Preferred(path, low, own, layer) for path, own in preferred for low in below(path))

    @functools.cached_property
    def secrets(self) -> frozenset[KeyPath]:
        """Where a layer says that a value is a secret whatever its type, in the spelling of each layer.

        A higher layer's value counts as one, too: most often it is the same secret from another place.
        """
        found = frozenset(path for layer in self.layers for path in layer.secrets)
        spelled_in = (self.data, *(layer.data for layer in self.layers)) if found else ()
        return found | {self.spelling.as_in(data, path, self.data) for data in spelled_in for path in found}

    def in_layer(self, layer: Layer, path: KeyPath) -> KeyPath:
        """A path as a layer spells it. The tags of all layers together say of which class a table is."""
        return self.spelling.as_in(layer.data, path, self.data)

    def as_written(self, path: KeyPath) -> KeyPath:
        """A path as it is spelled at the position that `where` gives."""
        layer, at = self.origin(path), path
        if layer is None or self._is_table(path):
            layer, at = self._table_holder(path)
        return path if layer is None else (*self.in_layer(layer, at), *path[len(at) :])

    def _below(self, index: int, path: KeyPath) -> list[Layer]:
        """The highest layer below `index` that has the path, in a list; an empty list if none has.

        None has it if a higher layer has replaced the table around, with the tags that decide the path's spelling.
        """
        having = [below for below in self.layers[:index] if below.has(self.in_layer(below, path))]
        return having[-1:]

    def origin(self, path: KeyPath) -> Layer | None:
        """The highest layer that has the path, unless a higher one replaced a table around it; None if no layer has."""
        for layer in reversed(self.layers):
            there = self.in_layer(layer, path)
            if layer.has(there):
                return layer
            if _replaces(layer, there):
                return None
        return None

    def where(self, path: KeyPath, *, key: bool = False) -> str:
        """The position of a value; for a value that no layer has, the position of the table around it."""
        layer = self.origin(path)
        if layer is None or self._is_table(path):
            return self.where_table(path)
        return layer.where(self.in_layer(layer, path), key=key)

    def note(self, path: KeyPath) -> Note:
        """The advice of a value's layer for a person who meant another value; empty for most values."""
        layer = self.origin(path)
        return layer.note(self.in_layer(layer, path)) if layer is not None else Note()

    def where_table(self, path: KeyPath) -> str:
        """The position of a table's name in the highest layer that has lines; for the root, the names of all layers."""
        layer, at = self._table_holder(path)
        return self._names() if layer is None else layer.where(self.in_layer(layer, at), key=True)

    def _table_holder(self, path: KeyPath) -> tuple[Layer | None, KeyPath]:
        while path:
            table = self._is_table(path)
            having = [
                layer
                for layer in self.layers
                if layer.has(there := self.in_layer(layer, path))
                and isinstance(value_at(layer.data, there), dict) is table
            ]
            if having:
                best = [layer for layer in having if layer.has_lines] or having
                return best[-1], path
            path = path[:-1]
        return None, ()

    def _is_table(self, path: KeyPath) -> bool:
        return isinstance(value_at(self.data, self.spelling.as_in(self.data, path)), dict)

    def _names(self) -> str:
        return ", ".join(layer.name for layer in self.layers if layer.data) or ", ".join(
            layer.name for layer in self.layers
        )


class _Found(NamedTuple):
    """The conflicts of one layer with those below it.

    Attributes:
        shadowed: The paths where a table replaced a value that is no table.
        preferred: The paths of lower values that the library prefers, each with the path of the layer's own value.
    """

    shadowed: list[KeyPath]
    preferred: list[tuple[KeyPath, KeyPath]]


def _over(
    low: dict[str, Any],
    high: dict[str, Any],
    path: KeyPath,
    found: _Found,
    spelling: Spelling,
    above: tuple[Any, ...],
) -> dict[str, Any]:
    """Merge one table over another. Of `above`, the data of higher layers, only the tags are used."""
    merged = dict(low)
    others = spelling.others(low, high, *above) if spelling is not PLAIN else {}
    for key, value in high.items():
        twin = key  # the key as the lower table spells it
        for other in others.get(key, ()):
            if other in low and other not in high:
                twin = other if key not in low else key
                merged.pop(other, None)  # one of several keys of the higher table that set one field
        if isinstance(value, dict) and twin in low:
            if isinstance(low[twin], dict):
                below = spelling.below(key) if spelling is not PLAIN else PLAIN
                tags = inside(key, others, above) if below is not PLAIN else ()
                value = _over(low[twin], value, (*path, key), found, below, tags)
            else:
                found.shadowed.append((*path, key))
        merged[key] = value
    if spelling is not PLAIN:
        _choose(merged, high, path, found, spelling.choices(low, high, *above))
    return merged


def _choose(
    merged: dict[str, Any], high: dict[str, Any], path: KeyPath, found: _Found, choices: Sequence[tuple[KeyPath, ...]]
) -> None:
    """Remove each value that a library would prefer to that of the higher table, or record that it can't be removed."""
    for paths in choices:
        own = next((index for index, each in enumerate(paths) if has(high, each)), 0)
        for other in (each for each in paths[:own] if has(merged, each)):
            if len(other) == 1:
                del merged[other[0]]
            else:  # an item of a list, or a value in a table: other fields may read it, too
                found.preferred.append(((*path, *other), (*path, *paths[own])))


def _replaces(layer: Layer, path: KeyPath) -> bool:
    """Whether the layer has a value that is no table at a part of the path before its end."""
    return any(
        layer.has(path[:length]) and not isinstance(value_at(layer.data, path[:length]), dict)
        for length in range(1, len(path))
    )
