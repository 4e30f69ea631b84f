"""Layers on top of each other: tables merge key by key, everything else replaces; and where each value came from.

The layers are kept, and origins are looked up in them when somebody asks. Rejected: a table of origins that is filled
while merging, which every reload would pay for and hardly one would read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from confcast.config.sources.formats.common import KeyPath
from confcast.config.sources.layer import Layer, value_at


class Covered(NamedTuple):
    """A value that is no table, under a table of a higher layer.

    Attributes:
        path: Where both stand.
        low: The layer of the value.
        high: The layer of the table.
    """

    path: KeyPath
    low: Layer
    high: Layer


class Merged:
    """The data of several layers, low to high.

    Attributes:
        layers: What was merged, low to high.
        data: The result; shares the tables and lists of the layers, so nobody may change it.
        covered: The values that are no tables and that a table replaced: whether that is right, the schema knows.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.layers = tuple(layers)
        self.data: dict[str, Any] = {}
        self.covered: list[Covered] = []
        for index, layer in enumerate(self.layers):
            paths: list[KeyPath] = []
            self.data = _over(self.data, layer.data, (), paths) if self.data else layer.data
            for path in paths:
                low = next(below for below in reversed(self.layers[:index]) if below.has(path))
                self.covered.append(Covered(path, low, layer))

    def origin(self, path: KeyPath) -> Layer | None:
        """The highest layer that has a value there and whose value was not replaced from above; None if no layer."""
        for layer in reversed(self.layers):
            if layer.has(path):
                return layer
            if _replaces(layer, path):
                return None
        return None

    def where(self, path: KeyPath, *, key: bool = False) -> str:
        """The position of a value; of a table, or of a value that no layer has, that of the table."""
        layer = self.origin(path)
        if layer is None or isinstance(value_at(self.data, path), dict):
            return self.where_table(path)
        return layer.where(path, key=key)

    def note(self, path: KeyPath) -> str:
        """What the layer that a value comes from says of how it was read, for who meant a text; mostly nothing."""
        layer = self.origin(path)
        return layer.note(path) if layer is not None else ""

    def where_table(self, path: KeyPath) -> str:
        """The position of a table's name, in the highest layer that has lines; of the root, the names of all."""
        while path:
            table = isinstance(value_at(self.data, path), dict)
            having = [
                layer
                for layer in self.layers
                if layer.has(path) and isinstance(value_at(layer.data, path), dict) is table
            ]
            if having:
                best = [layer for layer in having if layer.has_lines] or having
                return best[-1].where(path, key=True)
            path = path[:-1]
        return ", ".join(layer.name for layer in self.layers if layer.data) or ", ".join(
            layer.name for layer in self.layers
        )


def _over(low: dict[str, Any], high: dict[str, Any], path: KeyPath, covered: list[KeyPath]) -> dict[str, Any]:
    """One table over another; `covered` gets the paths where a table replaced something else."""
    merged = dict(low)
    for key, value in high.items():
        if isinstance(value, dict) and key in low:
            if isinstance(low[key], dict):
                merged[key] = _over(low[key], value, (*path, key), covered)
                continue
            covered.append((*path, key))
        merged[key] = value
    return merged


def _replaces(layer: Layer, path: KeyPath) -> bool:
    """Whether the layer has something other than a table on the way to the path."""
    return any(
        layer.has(path[:length]) and not isinstance(value_at(layer.data, path[:length]), dict)
        for length in range(1, len(path))
    )
