"""Reports edits that change nothing, because a higher layer sets the same key.

A person whose edit of a file has no effect looks for a fault in reloading. So the layers of two loads are compared:
each key that differs in one layer and is also set above it is reported, with its position and with what hides it.
Guarantees: no report has a value, or a key that is a secret; an edit to the value that the higher layer has anyway is
not reported; another spelling of a key is no edit; layers of different names are not compared (what a held version was
made of stands in the place of the sources); positions are computed only for reported edits.

Rejected: comparing the bytes of files (a comment is no edit), and comparing with defaults (no layer hides a key that
is set to its default).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from confcast.config.schema.key_path import KeyPath, dotted, value_at
from confcast.config.schema.secret_paths import without_secret_keys
from confcast.config.sources.layer import Layer
from confcast.config.sources.merge import Merged
from confcast.texts import encodable, shortened

MOST = 20
"""How many edits are reported one by one; of further ones, only the number is reported."""

_LONGEST = 200  # characters of a key that are shown at most
_ABSENT = object()


class _Hidden(NamedTuple):
    """An edit of one layer at a path, and where a higher layer sets the path, or a value around it."""

    layer: Layer
    path: KeyPath
    high: Layer
    decided: KeyPath


def hidden_edits(schema: Any, before: Merged, after: Merged) -> list[str]:
    """A sentence for each edit between two loads of the same sources that a higher source hides.

    Args:
        schema: The class of both configurations.
        before: The layers of the earlier load.
        after: The layers of the later load.
    """
    found = list(_hidden(before, after))
    sentences = [_sentence(each, schema) for each in found[:MOST]]
    if len(found) > MOST:
        sentences.append(f"unchanged: {len(found) - MOST:,} more edits are hidden by other sources")
    return sentences


def _hidden(before: Merged, after: Merged) -> Iterator[_Hidden]:
    for old, (index, new) in _of_the_same_name(before.layers, after.layers):
        above = [layer for layer in after.layers[index + 1 :] if layer.data]
        if not above or old.fingerprint == new.fingerprint:
            continue
        for path in _edited(old.data, new.data, (), functools.partial(after.in_layer, new)):
            decider = _decider(after, above, path)
            if decider is not None and not _has_same_value(*decider, new, path):
                yield _Hidden(new, path, *decider)


def _of_the_same_name(before: Sequence[Layer], after: Sequence[Layer]) -> Iterator[tuple[Layer, tuple[int, Layer]]]:
    """Each later layer, with its index, and the earlier one of its name: files of a folder come and go."""
    earlier: dict[str, list[Layer]] = {}
    for layer in before:
        earlier.setdefault(layer.name, []).append(layer)
    for index, layer in enumerate(after):
        if same := earlier.get(layer.name):
            yield same.pop(0), (index, layer)


def _edited(
    old: dict[Any, Any], new: dict[Any, Any], path: KeyPath, as_in_new: Callable[[KeyPath], KeyPath]
) -> Iterator[KeyPath]:
    """Yield every path where the two differ and at most one of them has a table, spelled as in the new data.

    A path that only the old data have is spelled as in the old data.
    """
    old = {key if key in new else as_in_new((*path, key))[-1]: value for key, value in old.items()}
    for key in {**old, **new}:
        was, now = old.get(key, _ABSENT), new.get(key, _ABSENT)
        tables = [each for each in (was, now) if isinstance(each, dict)]
        if len(tables) == 2 or (tables and _ABSENT in (was, now)):
            yield from _edited(_table(was), _table(now), (*path, key), as_in_new)
        elif not _same(was, now):
            yield (*path, key)


def _decider(merged: Merged, above: list[Layer], path: KeyPath) -> tuple[Layer, KeyPath] | None:
    """The highest layer that sets the path or a value around it, and the path as that layer spells it; or None."""
    for layer in reversed(above):
        there = merged.in_layer(layer, path)
        for length in range(1, len(there) + 1):
            value = value_at(layer.data, there[:length], _ABSENT)
            if value is _ABSENT:
                break
            if length == len(there) or not isinstance(value, dict):
                return layer, there[:length]
    return None


def _has_same_value(high: Layer, decided: KeyPath, low: Layer, path: KeyPath) -> bool:
    whole = len(decided) == len(path)
    return whole and low.has(path) and _same(value_at(high.data, decided, _ABSENT), value_at(low.data, path))


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other or (one != one and other != other))  # two nan are the same


def _table(value: Any) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}


def _sentence(hidden: _Hidden, schema: Any) -> str:
    shown = without_secret_keys(hidden.path, schema)
    # A secret key must not be shown, and the name of an environment variable contains its keys.
    by = hidden.high.where(hidden.decided) if shown == hidden.path else hidden.high.name
    what = "edit" if hidden.layer.has(hidden.path) else "removal"
    key, place = shortened(dotted(shown), _LONGEST), hidden.layer.where(hidden.path)
    return encodable(f"unchanged: your {what} of `{key}` ({place}) is hidden by {by}")
