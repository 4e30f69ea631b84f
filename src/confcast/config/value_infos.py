"""Every key of what runs at once: its value, where that comes from, and what the schema says of it.

`explain.py` says it of one key, and more of it. Guaranteed: each key is one that a change may have; secrets are masked
by the same rules. A table that many keys share is looked at once for all of them where that can be: to explain 5,000
keys one by one takes some twenty times as long.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from confcast.config import restart
from confcast.config.candidate import Candidate
from confcast.config.codec import Codec
from confcast.config.diff import differences, shown_values
from confcast.config.explain import default_shown
from confcast.config.field_facts import UNKNOWN, SchemaField, annotation_of, description_of, type_of
from confcast.config.field_walk import walk
from confcast.config.overrides import NONE, Overrides
from confcast.config.schema.annotations import keys_of, members, written_children
from confcast.config.schema.key_path import KeyPath, value_at
from confcast.config.schema.masking import MASK
from confcast.wire.messages import ValueInfo

OTHERWISE = "version {}: the sources say otherwise by now"
"""The origin of a value that runs, and that the sources do not have: it is told by the version."""


_DOT = re.compile(r"\.")


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
    tables, facts = _Tables(candidate), _AllFacts(candidate)
    for key, value in leaves:
        info = ValueInfo(key=key, value=value(False), pending=waits.get(key))
        try:
            path, field = tables.find(key)
        except KeyError:
            yield _with_mark(msgspec.structs.replace(info, origin=f"version {version}"))
            continue
        found = facts.of(field)
        differs = key not in waits and _is_touched(key, other)
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
        if newest and (changed := {each.key for each in differences(codec, config, newer)}):
            open_ = {key for key in open_ if not _is_touched(key, changed)}
        for key in open_:
            since[key] = number
        newest, newer = number, config
        if not open_:
            break
    return [msgspec.structs.replace(each, changed_in=since[each.key]) for each in infos]


def _is_touched(key: str, changed: Collection[str]) -> bool:
    """Whether a key is one of these, or in a table that is: one that is gone, or is new, is one change."""
    return key in changed or any(key[: dot.start()] in changed for dot in _DOT.finditer(key))


def _pending(codec: Codec[Any], running: Any, candidate: Candidate[Any]) -> dict[str, Any]:
    """The values that the sources give, and that wait for a restart, by key."""
    if not restart.has_restarts(codec.schema):
        return {}
    kept = restart.kept(codec, running, candidate.config)
    return {each.key: each.new for each in restart.pending(codec, kept, running, candidate.config) if each.note}


def _with_mark(info: ValueInfo) -> ValueInfo:
    return msgspec.structs.replace(info, secret=True) if MASK in str(info.value) else info


class _Table(NamedTuple):
    """A table whose keys are found by their names, and what the schema says of it."""

    path: KeyPath
    data: dict[Any, Any]
    annotation: Any


class _Tables:
    """Finds keys as `Lookup` does, and their fields as `walk` does; keys of one table share what was found of it.

    That a key's last part is a key of the same table is certain only where no name has a dot in it, and no field is
    found further inside (`AliasPath`): elsewhere each key is looked up by itself.
    """

    def __init__(self, candidate: Candidate[Any]) -> None:
        self._candidate = candidate
        self._schema, self._data = candidate._schema, candidate._merged.data
        self._known: dict[str, _Table | None] = {}
        self._fields: dict[tuple[int, str], SchemaField | None] = {}
        self._annotations: list[Any] = []  # whose ids are keys above
        self._is_plain = _is_plain(self._data)

    def find(self, key: str) -> tuple[KeyPath, SchemaField]:
        """The path of a key, and its field. Raises KeyError."""
        around, _, last = key.rpartition(".")
        if self._is_plain and (table := self._table(around)) is not None:
            field = self._field(table.annotation, last)
            if field is not None and (field.cls is not None or last in table.data):
                return (*table.path, last), field
        path = self._candidate._lookup.find(key)
        return path, walk(self._schema, self._data, path)[0]

    def _table(self, key: str) -> _Table | None:
        """The table of this key; None if it is none whose keys are found by their names."""
        if not key:
            return _Table((), self._data, self._schema)
        if key not in self._known:
            self._known[key] = self._look(key)
        return self._known[key]

    def _look(self, key: str) -> _Table | None:
        try:
            path, field = self.find(key)
        except KeyError:
            return None
        data = value_at(self._data, path, {})
        return _Table(path, data, field.annotation) if isinstance(data, dict) else None

    def _field(self, annotation: Any, name: str) -> SchemaField | None:
        """The field of this name in a table of this type; None if that does not follow from the type alone."""
        known = (id(annotation), name)
        if known not in self._fields:
            self._annotations.append(annotation)
            self._fields[known] = _field_of(annotation, name)
        return self._fields[known]


def _is_plain(data: Any) -> bool:
    """Whether all keys in these data are texts without dots, quotes and brackets."""
    if isinstance(data, dict):
        return all(type(key) is str and not _ODD.search(key) and _is_plain(item) for key, item in data.items())
    return True


_ODD = re.compile(r"[.\[\]\"'\s]")


def _field_of(annotation: Any, name: str) -> SchemaField | None:
    kinds = [] if annotation is UNKNOWN else members(annotation, written=True)
    classes = [(kind, keys) for kind in kinds if (keys := keys_of(kind)) is not None]
    if len(kinds) != 1:
        return None
    if not classes:
        inside = written_children(annotation, name)
        return SchemaField(inside[0]) if len(inside) == 1 else None
    cls, keys = classes[0]
    if keys.sought or keys.indirect or name not in keys.names:
        return None
    return SchemaField(annotation_of(cls, keys.names[name], keys.written[name]), cls, keys.names[name])


class _AllFacts:
    """What the schema says of the fields of a candidate; each field is looked at once."""

    def __init__(self, candidate: Candidate[Any]) -> None:
        self._candidate = candidate
        self._known: dict[SchemaField, Facts] = {}

    def of(self, field: SchemaField) -> Facts:
        """What it says of this field."""
        try:
            if field not in self._known:
                self._known[field] = self._look(field)
            return self._known[field]
        except TypeError:  # an annotation that can't be hashed
            return self._look(field)

    def _look(self, field: SchemaField) -> Facts:
        default, _ = default_shown(self._candidate, field)
        return Facts(type_of(field), description_of(field), default)
