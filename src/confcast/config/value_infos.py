"""Every key of what runs at once: its value, where that comes from, and what the schema says of it.

`explain.py` says it of one key, and more of it. Guaranteed: each key is one that a change may have; secrets are masked
by the same rules. A table that many keys share is looked at once for all of them where that can be: to explain 5,000
keys one by one takes some twenty times as long.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from confcast.config import restart
from confcast.config.candidate import Candidate
from confcast.config.codec import Codec
from confcast.config.diff import differences, shown_values
from confcast.config.explain import default_shown
from confcast.config.field_facts import SchemaField, description_of, type_of
from confcast.config.field_walk import walk
from confcast.config.overrides import NONE, Overrides
from confcast.config.schema.masking import MASK
from confcast.wire.messages import ValueInfo

OTHERWISE = "version {}: the sources say otherwise by now"
"""The origin of a value that runs, and that the sources do not have: it is told by the version."""


class Facts(NamedTuple):
    """What the schema says of a field."""

    type: str
    description: str
    default: Any


def value_infos(
    codec: Codec[Any],
    running: Any,
    version: int,
    candidate: Candidate[Any] | None,
    overrides: Overrides = NONE,
) -> Iterator[ValueInfo]:
    """Every key of a configuration, in the order of the schema; without `changed_in`.

    Args:
        codec: The codec of its schema.
        running: The configuration.
        version: Its number.
        candidate: What the sources give, whose positions the values have; None if that is not known.
        overrides: What is set at run time.
    """
    leaves = shown_values(codec, running)
    if candidate is None:
        for key, value in leaves:
            yield _with_mark(ValueInfo(key=key, value=value(False), origin=f"version {version}"))
        return
    other = {each.key for each in differences(codec, running, candidate.config)}
    waits = _pending(codec, running, candidate)
    facts = _AllFacts(candidate)
    for key, value in leaves:
        info = ValueInfo(key=key, value=value(False), pending=waits.get(key))
        try:
            path = candidate._lookup.find(key)
        except KeyError:
            yield _with_mark(msgspec.structs.replace(info, origin=f"version {version}"))
            continue
        found = facts.of(path)
        differs = key in other and key not in waits
        yield _with_mark(
            msgspec.structs.replace(
                info,
                origin=OTHERWISE.format(version) if differs else candidate._origin(path),
                type=found.type,
                description=found.description,
                default=found.default,
                expires=overrides.expiry_of(path, codec.schema) if overrides.values else None,
            )
        )


def with_changed_in(
    codec: Codec[Any], infos: Sequence[ValueInfo], running: Any, versions: Iterable[tuple[int, Any]]
) -> list[ValueInfo]:
    """These keys, each with the oldest version from which on its value has been what runs.

    Args:
        codec: The codec of the configurations' schema.
        infos: The keys.
        running: The configuration that runs.
        versions: The numbers and configurations of kept versions, the newest first.
    """
    since = dict.fromkeys((each.key for each in infos), 0)
    open_, newer = set(since), running
    newest = 0
    for number, config in versions:
        changed = {each.key for each in differences(codec, config, newer)} if newest else set()
        for key in open_ & changed:
            open_.discard(key)
        for key in open_:
            since[key] = number
        newest, newer = number, config
        if not open_:
            break
    return [msgspec.structs.replace(each, changed_in=since[each.key]) for each in infos]


def _pending(codec: Codec[Any], running: Any, candidate: Candidate[Any]) -> dict[str, Any]:
    """The values that the sources give, and that wait for a restart, by key."""
    if not restart.has_restarts(codec.schema):
        return {}
    kept = restart.kept(codec, running, candidate.config)
    return {each.key: each.new for each in restart.pending(codec, kept, running, candidate.config) if each.note}


def _with_mark(info: ValueInfo) -> ValueInfo:
    return msgspec.structs.replace(info, secret=True) if MASK in str(info.value) else info


class _AllFacts:
    """What the schema says of the fields of a candidate; each field is looked at once."""

    def __init__(self, candidate: Candidate[Any]) -> None:
        self._candidate = candidate
        self._known: dict[SchemaField, Facts] = {}

    def of(self, path: tuple[Any, ...]) -> Facts:
        field, _ = walk(self._candidate._schema, self._candidate._merged.data, path)
        try:
            return self._known[field]
        except KeyError:
            default, _ = default_shown(self._candidate, field)
            found = self._known[field] = Facts(type_of(field), description_of(field), default)
            return found
        except TypeError:  # an annotation that can't be hashed
            default, _ = default_shown(self._candidate, field)
            return Facts(type_of(field), description_of(field), default)
