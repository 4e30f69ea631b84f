"""Edits that change nothing, because a higher layer decides the key.

Who edits a file and sees nothing happen looks for a fault in reloading. So what two loads have read is compared, layer
by layer: of each key that differs in one layer, and that a layer above it sets too, it is said where it stands and
what hides it. Guarantees: no value is in these texts, and no key that is a secret (G9); an edit to what the higher
layer says anyway is no loss, and not told; another spelling of a key is no edit; positions are worked out only for
what is told.

Rejected: comparing the bytes of files (a comment is no edit), and comparing with defaults (a key that is set to what
the schema says anyway is hidden by nothing).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from confcast.config.schema.key_path import KeyPath, value_at
from confcast.config.schema.secret_paths import without_secret_keys
from confcast.config.sources.layer import Layer
from confcast.config.sources.merge import Merged
from confcast.config.validation.field_errors import dotted

MOST = 20
"""Edits that are told one by one."""

_LONGEST = 200  # characters of a key
_ABSENT = object()


class _Hidden(NamedTuple):
    """An edit of one layer at a path, and the layer above that decides it there, or at a table around it."""

    layer: Layer
    path: KeyPath
    high: Layer
    decided: KeyPath


def hidden_edits(schema: Any, before: Merged, after: Merged) -> list[str]:
    """What was edited between two loads of the same sources and makes no difference, a sentence for each edit.

    Args:
        schema: What both were validated by.
        before: What the former load had read.
        after: What the later one had read.
    """
    found = list(_hidden(before, after))
    told = [_told(each, schema) for each in found[:MOST]]
    if len(found) > MOST:
        told.append(f"unchanged: {len(found) - MOST:,} more edits are hidden by other sources")
    return told


def _hidden(before: Merged, after: Merged) -> Iterator[_Hidden]:
    for index, (old, new) in enumerate(zip(before.layers, after.layers, strict=False)):
        above = [layer for layer in after.layers[index + 1 :] if layer.data]
        if not above or old.fingerprint == new.fingerprint:
            continue
        for path in _edited(old.data, new.data, (), functools.partial(after.in_layer, new)):
            decider = _decider(after, above, path)
            if decider is not None and not _says_the_same(*decider, new, path):
                yield _Hidden(new, path, *decider)


def _edited(
    old: dict[Any, Any], new: dict[Any, Any], path: KeyPath, as_in_new: Callable[[KeyPath], KeyPath]
) -> Iterator[KeyPath]:
    """Every path where the two differ and at most one of them has a table.

    What the new data have too is spelled as in them.
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
    """The highest of the layers that says what is at the path, and where, as it spells it; None if none does."""
    for layer in reversed(above):
        there = merged.in_layer(layer, path)
        for length in range(1, len(there) + 1):
            value = value_at(layer.data, there[:length], _ABSENT)
            if value is _ABSENT:
                break
            if length == len(there) or not isinstance(value, dict):
                return layer, there[:length]
    return None


def _says_the_same(high: Layer, decided: KeyPath, low: Layer, path: KeyPath) -> bool:
    whole = len(decided) == len(path)
    return whole and low.has(path) and _same(value_at(high.data, decided, _ABSENT), value_at(low.data, path))


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other or (one != one and other != other))  # nan


def _table(value: Any) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}


def _told(hidden: _Hidden, schema: Any) -> str:
    shown = without_secret_keys(hidden.path, schema)
    # The name of a variable has the keys in it.
    by = hidden.high.where(hidden.decided) if shown == hidden.path else hidden.high.name
    what = "edit" if hidden.layer.has(hidden.path) else "removal"
    key = dotted(shown)
    key = key if len(key) <= _LONGEST else f"{key[: _LONGEST - 1]}…"
    told = f"unchanged: your {what} of `{key}` ({hidden.layer.where(hidden.path)}) is hidden by {by}"
    return told.encode(errors="backslashreplace").decode()  # a file's name may be no UTF-8
