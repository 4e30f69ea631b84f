"""Layers on top of each other: tables merge key by key, everything else replaces; and where each value came from.

The layers are kept, and origins are looked up in them when somebody asks. Rejected: a table of origins that is filled
while merging, which every reload would pay for and hardly one would read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from confcast.config.sources.formats.common import KeyPath
from confcast.config.sources.layer import Layer, value_at


class Merged:
    """The data of several layers, low to high.

    Attributes:
        layers: What was merged, low to high.
        data: The result; shares the tables and lists of the layers, so nobody may change it.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.layers = tuple(layers)
        self.data: dict[str, Any] = {}
        for layer in layers:
            self.data = _over(self.data, layer.data) if self.data else layer.data

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

    def where_table(self, path: KeyPath) -> str:
        """The position of a table's name, in the highest layer that has lines; of the root, the names of all."""
        while path:
            having = [layer for layer in self.layers if layer.has(path)]
            if having:
                best = [layer for layer in having if layer.has_lines] or having
                return best[-1].where(path, key=True)
            path = path[:-1]
        return ", ".join(layer.name for layer in self.layers if layer.data) or ", ".join(
            layer.name for layer in self.layers
        )


def _over(low: dict[str, Any], high: dict[str, Any]) -> dict[str, Any]:
    merged = dict(low)
    for key, value in high.items():
        below = merged.get(key)
        merged[key] = _over(below, value) if isinstance(value, dict) and isinstance(below, dict) else value
    return merged


def _replaces(layer: Layer, path: KeyPath) -> bool:
    """Whether the layer has something other than a table on the way to the path."""
    return any(
        layer.has(path[:length]) and not isinstance(value_at(layer.data, path[:length]), dict)
        for length in range(1, len(path))
    )
