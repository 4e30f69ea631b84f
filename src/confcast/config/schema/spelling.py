"""Says which keys of a table set one field: `max-size` in one source and `max_size` in another override each other.

A field may have several keys: its name and its alias, the choices of an `AliasChoices`. A library that is given two of
them takes the one that it prefers, whichever source has it; so layers are merged field by field. Where a table may
become one of several classes, two keys set one field if a class says so and none says otherwise; classes that the
table's tags (keys with few values) rule out do not count. The tags of all layers together decide which class the merged
table becomes; if several layers have a tag, the highest layer's value counts.

The keys are computed once for each type of a schema, and a schema without a second spelling anywhere is `PLAIN`, which
costs nothing. Rejected: renaming every key to the attribute's name before merging (each reload would make copies, and
messages would name keys that nobody wrote).
"""

from __future__ import annotations

import functools
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from confcast.config.schema.annotations import Keys, hashable, is_ordered, keys_of, members, strip, written_children
from confcast.config.schema.key_path import KeyPath, value_at


class _Fields(NamedTuple):
    """The results of `others` and `choices` for the tables of some classes."""

    others: Mapping[Any, tuple[Any, ...]]
    choices: Sequence[tuple[KeyPath, ...]]


class Spelling:
    """Which keys set one field, in the tables that a value may become and in all tables inside.

    Args:
        kinds: The types that the value may have; empty if no field has a second key.
    """

    def __init__(self, kinds: tuple[Any, ...]) -> None:
        self._kinds = kinds
        self._tables = tuple(keys for kind in kinds if (keys := keys_of(kind)) is not None)
        self._tags = tuple(map(_tags, self._tables))
        self._all = tuple(range(len(self._tables)))
        self._named = frozenset(key for keys in self._tables for key in keys.names)
        self._ordered = any(map(is_ordered, kinds))
        self._fields: dict[tuple[int, ...], _Fields] = {}
        self._below: dict[Any, Spelling] = {}

    def others(self, *tables: Any) -> Mapping[Any, tuple[Any, ...]]:
        """The other keys of a field, for each key of a field that has several.

        Args:
            tables: Tables whose tags say which class is meant; a later one overrides. Other data are skipped.
        """
        return self._of_tables(tables).others

    def choices(self, *tables: Any) -> Sequence[tuple[KeyPath, ...]]:
        """For each field that may be found further inside, its paths in the order in which its library tries them."""
        return self._of_tables(tables).choices

    def _of_tables(self, tables: tuple[Any, ...]) -> _Fields:
        chosen = self._all
        if len(chosen) > 1:
            tables = tuple(table for table in tables if isinstance(table, dict))
            chosen = tuple(index for index in chosen if not _is_ruled_out(self._tags[index], tables)) or chosen
        if chosen not in self._fields:
            meant = [self._tables[index] for index in chosen]
            self._fields[chosen] = _Fields(_others(meant), [paths for keys in meant for paths in keys.choices])
        return self._fields[chosen]

    def below(self, part: Any) -> Spelling:
        """The spelling of the value under a key or at an index."""
        slot = part if part in self._named or (self._ordered and isinstance(part, int)) else type(part)
        found = self._below.get(slot)
        if found is None:
            found = _spelling(tuple(hint for kind in self._kinds for hint in written_children(kind, part)))
            if found is not PLAIN or not self._ordered:  # a list may be long: keep only the items that have a type
                self._below[slot] = found
        return found

    def as_in(self, data: Any, path: KeyPath, *tags: Any) -> KeyPath:
        """The path as these data spell it; from the first part that they lack on, as it was given.

        Args:
            data: Tables and lists.
            path: The path in any spelling.
            tags: Other data, for tags that these data lack; later ones override.
        """
        spelling, found, every = self, path, (data, *tags)
        for index, part in enumerate(path):
            if spelling is PLAIN:
                break
            others = spelling.others(*every)
            found = (*found[:index], _spelled(part, every[0], others), *found[index + 1 :])
            spelling, every = spelling.below(part), inside(part, others, every)
        return found

    def canonical(self, path: KeyPath) -> KeyPath:
        """One path that stands for all its spellings."""
        spelling: Spelling = self
        for index, part in enumerate(path):
            if spelling is PLAIN:
                return path
            path = (*path[:index], min((part, *spelling.others().get(part, ())), key=str), *path[index + 1 :])
            spelling = spelling.below(part)
        return path

    def doubled(
        self, data: dict[Any, Any] | list[Any], *tags: Any, path: KeyPath = ()
    ) -> Iterator[tuple[KeyPath, KeyPath]]:
        """Yield every two keys in a table that set one field; the one that comes later in the table is the second.

        Args:
            data: Tables and lists.
            tags: Other data, for tags that these data lack; later ones override.
            path: The path of the data.
        """
        if self is PLAIN:
            return
        others = self.others(data, *tags)
        if isinstance(data, dict):
            seen = set[Any]()
            for key in data if others else ():
                first = [other for other in others.get(key, ()) if other in seen]
                if first:
                    yield (*path, first[0]), (*path, key)
                seen.add(key)
        for part, item in data.items() if isinstance(data, dict) else enumerate(data):
            if isinstance(item, dict | list) and (below := self.below(part)) is not PLAIN:
                yield from below.doubled(*inside(part, others, (data, *tags)), path=(*path, part))


def inside(part: Any, others: Mapping[Any, tuple[Any, ...]], every: tuple[Any, ...]) -> tuple[Any, ...]:
    """The value under a key in each of several data, as each spells the key.

    A list replaces another as a whole, so the items of a list have nothing to do with the other data.
    """
    if every and isinstance(every[0], list):
        every = every[:1]
    return tuple(value_at(each, (_spelled(part, each, others),)) for each in every)


def _spelled(part: Any, table: Any, others: Mapping[Any, tuple[Any, ...]]) -> Any:
    """A key in the spelling of a table; as it was given if the data are no table or lack the key."""
    if not isinstance(table, dict) or part in table:
        return part
    return next((other for other in others.get(part, ()) if other in table), part)


@functools.cache
def spelling_of(schema: Any) -> Spelling:
    """The spelling of a schema; `PLAIN` if the schema can't be used, which the codec reports."""
    try:
        return _spelling((schema,))
    except (NameError, TypeError):  # annotations that can't be resolved: the codec refuses them, by field
        return PLAIN


def _spelling(hints: tuple[Any, ...]) -> Spelling:
    kinds = tuple(kind for hint in hints for kind in members(hint, written=True))
    try:
        return _of_kinds(kinds)
    except TypeError:  # something in an `Annotated` can't be hashed
        return _of_kinds.__wrapped__(kinds)


@functools.cache
def _of_kinds(kinds: tuple[Any, ...]) -> Spelling:
    return Spelling(kinds) if _has_others(kinds) else PLAIN


def _has_others(kinds: tuple[Any, ...]) -> bool:
    """Whether a field has a second key in one of the types, or in a type inside one."""
    waiting, seen = list(kinds), set[Any]()
    while waiting:
        kind = waiting.pop()
        identity = hashable(kind)
        if identity in seen:
            continue
        seen.add(identity)
        keys = keys_of(kind)
        if keys is not None and (keys.choices or _others([keys])):
            return True
        inside = keys.written.values() if keys is not None else _arguments(kind)
        waiting += (member for hint in inside for member in members(hint, written=True))
    return False


def _arguments(kind: Any) -> tuple[Any, ...]:
    return () if typing.get_origin(kind) is Literal else typing.get_args(kind)


def _others(tables: Sequence[Keys]) -> Mapping[Any, tuple[Any, ...]]:
    found: dict[str, dict[str, None]] = {}
    for keys in tables:
        by_name: dict[str, list[str]] = {}
        for key, name in keys.names.items():
            if key not in keys.indirect:
                by_name.setdefault(name, []).append(key)
        for key, other in ((key, other) for each in by_name.values() for key in each for other in each if key != other):
            if all(_agrees(each, key, other) for each in tables):
                found.setdefault(key, {})[other] = None
    return {key: tuple(others) for key, others in found.items()}


def _agrees(keys: Keys, key: str, other: str) -> bool:
    """Whether a class does not contradict that two keys set one field."""
    return key not in keys.names or other not in keys.names or keys.names[key] == keys.names[other]


def _tags(keys: Keys) -> Mapping[str, tuple[Any, ...]]:
    """The values of each tag: a key whose type is a `Literal`."""
    plain = {key: strip(hint, written=True) for key, hint in keys.written.items()}
    return {key: typing.get_args(hint) for key, hint in plain.items() if typing.get_origin(hint) is Literal}


def is_ruled_out(kind: Any, tables: tuple[Any, ...]) -> bool:
    """Return whether a tag in these tables excludes this class; a later table overrides an earlier one."""
    keys = keys_of(kind)
    return keys is not None and _is_ruled_out(_tags(keys), tables)


def _is_ruled_out(tags: Mapping[str, tuple[Any, ...]], tables: tuple[Any, ...]) -> bool:
    for key, values in tags.items():
        tag = next((table[key] for table in reversed(tables) if key in table), values[0])
        if tag not in values:
            return True
    return False


PLAIN = Spelling(())
"""The spelling of a schema in which every field has one key."""
