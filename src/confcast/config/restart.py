"""Keeps the running value of the fields that need a restart in a new configuration, and says what waits for one.

Guaranteed: what is given to the workers has, at each field that is marked `NeedsRestart`, exactly the value that runs;
it was validated as a whole, as the configuration that the sources give was before. If it is refused, so is the load.

The running value is put into the data of the sources as it stood in the sources of the version that runs, so that each
validator runs once on it. Where that is not known, or gives another value by now (what had set it is gone), the value
itself is validated. If neither gives the running value, the load is refused, in words.

Rejected: setting the attribute of a validated object (a validator that compares two fields would not see the pair that
runs), and comparing plain data (`8` and `"8"` are one value of an int, and a default stands in no source).
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from msgspec.structs import replace

from confcast.config.codec import Codec
from confcast.config.diff import differences
from confcast.config.schema.key_path import KeyPath, dotted, has, value_at
from confcast.config.schema.kinds import fields_of
from confcast.config.schema.mark_check import GROWING
from confcast.config.schema.marks import NeedsRestart, is_restart_mark, mentions, restart_of
from confcast.config.sources.merge import Merged
from confcast.errors import Problem
from confcast.wire.messages import Change

T = TypeVar("T")

ABSENT: Any = object()
"""Stands for a value that plain data do not have."""


class Spot(NamedTuple):
    """A value that needs a restart, in one configuration.

    Attributes:
        names: The attributes that lead to it.
        key: Its path in the data.
        value: The value.
        mark: What the schema says of it.
    """

    names: tuple[str, ...]
    key: KeyPath
    value: Any
    mark: NeedsRestart


class Kept(NamedTuple):
    """A value that stays as it runs.

    Attributes:
        running: What runs.
        new: What the sources give.
    """

    running: Spot
    new: Spot


def has_restarts(schema: Any) -> bool:
    """Whether a class has a field that needs a restart, or a class in it has."""
    return _has_restarts(schema)


@functools.cache
def _has_restarts(schema: Any) -> bool:
    return mentions(schema, is_restart_mark, fields_of)


def kept(codec: Codec[T], running: T, new: T) -> list[Kept]:
    """The values of the running configuration that a new one would change, and may not without a restart."""
    if not has_restarts(codec.schema):
        return []
    there = {spot.names: spot for spot in _spots(running, (), ())}
    pairs = ((there[spot.names], spot) for spot in _spots(new, (), ()) if spot.names in there)
    return [Kept(old, spot) for old, spot in pairs if _differs(codec, old.value, spot.value) and not _grows(old, spot)]


def is_at(kept_value: Kept, names: Sequence[Any]) -> bool:
    """Whether a value is at these names, or around them."""
    return tuple(names[: len(kept_value.running.names)]) == kept_value.running.names


def data_with(kept_values: Sequence[Kept], merged: Merged, running: dict[str, Any] | None) -> list[Merged]:
    """The data of the sources with the running values in it: in the ways in which they can be put there, best first.

    Args:
        kept_values: Which.
        merged: What the sources give; it is not changed.
        running: What the sources gave to the version that runs; None if that is not known.
    """
    spots = [each.running for each in kept_values]
    ways = [[(spot, spot.value) for spot in spots]]
    if running is not None:
        ways.insert(0, [(spot, _raw(merged, spot, running)) for spot in spots])
    return [functools.reduce(_with, way, merged) for way in ways]


def runs_on(codec: Codec[T], kept_values: Sequence[Kept], config: T) -> bool:
    """Whether a configuration has exactly the running values."""
    found = {spot.names: spot.value for spot in _spots(config, (), ())}
    return all(
        each.running.names in found and not _differs(codec, each.running.value, found[each.running.names])
        for each in kept_values
    )


def pending(codec: Codec[T], kept_values: Sequence[Kept], effective: T, new: T) -> list[Change]:
    """What waits for a restart: how the configuration that the sources give differs from the one that will run.

    If that is the one that runs now, what would be changed at once is there, too, without a note.
    """
    return [_with_note(change, kept_values) for change in differences(codec, effective, new)]


def refusals(kept_values: Sequence[Kept], merged: Merged, text: str) -> list[Problem]:
    """A problem for each value that would change, with the position of the new one."""
    return [
        Problem(dotted(each.new.key), f"{needs(each.new.mark)}, {text}", merged.where(each.new.key))
        for each in kept_values
    ]


def _spots(value: Any, names: tuple[str, ...], key: KeyPath) -> Iterator[Spot]:
    for field in fields_of(type(value)) or ():
        inside = getattr(value, field.name, None)
        there, path = (*names, field.name), (*key, field.key)
        if (mark := restart_of(field.annotation)) is not None:
            yield Spot(there, path, inside, mark)
        elif fields_of(type(inside)) is not None and has_restarts(type(inside)):
            yield from _spots(inside, there, path)


def _differs(codec: Codec[Any], old: Any, new: Any) -> bool:
    return type(old) is not type(new) or codec.comparable(old) != codec.comparable(new)


def _grows(old: Spot, new: Spot) -> bool:
    if not (new.mark.grow and isinstance(old.value, GROWING) and isinstance(new.value, GROWING)):
        return False
    try:
        return bool(new.value > old.value)  # type: ignore[operator]
    except TypeError:  # of a union: a number and a timedelta
        return False


def _raw(merged: Merged, spot: Spot, running: dict[str, Any]) -> Any:
    """The running value as the sources had it; `ABSENT` where it was the default."""
    return value_at(running, merged.spelling.as_in(running, spot.key), ABSENT)


def _with(merged: Merged, given: tuple[Spot, Any]) -> Merged:
    """The same layers, with another value in the data: positions stay those of the sources."""
    spot, value = given
    path = merged.spelling.as_in(merged.data, spot.key)
    other = copy.copy(merged)
    other.data = put(merged.data, path, value)
    return other


def put(data: dict[str, Any], path: KeyPath, value: Any) -> dict[str, Any]:
    """Plain data with another value at a path, without one if the value is absent; the data itself stays as it is."""
    if value is ABSENT and not has(data, path):
        return data
    first, *rest = path
    copied = dict(data)
    if rest:
        below = data.get(first)
        copied[first] = put(below if isinstance(below, dict) else {}, tuple(rest), value)
    elif value is ABSENT:
        del copied[first]
    else:
        copied[first] = value
    return copied


def _with_note(change: Change, kept_values: Sequence[Kept]) -> Change:
    for each in kept_values:
        key = ".".join(map(str, each.running.key))
        if change.key == key or change.key.startswith(f"{key}."):
            return replace(change, note="; ".join(filter(None, (change.note, needs(each.running.mark)))))
    return change


def needs(mark: NeedsRestart) -> str:
    """What a mark says, in words."""
    return f"needs a restart: {mark.why}" if mark.why else "needs a restart"
