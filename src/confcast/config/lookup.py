"""Finds the value that a person means by a key that stands in a message, a diff or an event.

Messages write keys in several ways: `log_levels."app.payments"` for what is wrong with the data, `servers[0]` and
`log_levels.app.payments` for what changed or can't be serialised, by the names of attributes or by those used in files,
and YAML's keys that are no text as YAML or Python writes them. Each way is accepted: the data says which keys there
are. A field that its library finds further inside (`AliasPath`) is found where the library finds it.

The owner's event loop searches for keys that come from workers, so a search does a bounded amount of work. It looks up
the first part of a key in the table as it is written; only if that leads nowhere, it writes all keys of the table in
every way, once for each table. It continues only once from each offset of the key with the same data and types, and not
beyond 200 parts.

Rejected: one grammar for keys, parsed without the data. `a.b` is a key of some tables and two of others.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from confcast.config.schema.annotations import Keys, Sought, hashable, keys_of, members, written_children
from confcast.config.schema.key_path import KeyPath, has, shown, value_at
from confcast.config.sources.formats.common import MAX_DEPTH
from confcast.texts import close_matches, printable, str_of

_MOST_PARTS = 2 * MAX_DEPTH
_ABSENT = object()
_NO_TABLE: dict[Any, Any] = {}
_INDEX = re.compile(r"\[([0-9]{1,9})\]|([0-9]{1,9})(?=[.\[]|\Z)")
_PART = re.compile(r"\[[^.]*|[^.\[]*")
_END = re.compile(r"(?=[.\[]|\Z)")
_DECODER = json.JSONDecoder(strict=False)


class _Found(NamedTuple):
    """A value that the beginning of a key leads to.

    Attributes:
        path: The path in the data.
        end: The offset in the key at which the rest begins.
        types: The types that this value may have, as they are written.
        data: The value.
    """

    path: KeyPath
    end: int
    types: tuple[Any, ...]
    data: Any


class _Forms(NamedTuple):
    """Every way to write the keys of one table.

    Attributes:
        parts: For each text, the keys that it may mean.
        longest: The length of the longest text, in characters.
    """

    parts: dict[str, list[Any]]
    longest: int


class Lookup:
    """Finds values of one configuration by their keys.

    Args:
        schema: The class.
        data: The merged data. No caller may change it.
    """

    def __init__(self, schema: Any, data: Any) -> None:
        self._schema, self._data = schema, data
        self._forms: dict[Any, _Forms] = {}
        self._sought: dict[Any, dict[str, list[Sought]]] = {}
        self._texts_only: dict[int, bool] = {}

    def find(self, key: str) -> KeyPath:
        """The path that a key means.

        Raises:
            KeyError: Neither the schema nor the data has such a key.
        """
        found = self._furthest(key)
        if found.end == len(key) and found.path:
            return found.path
        name = _name_at(key[found.end :])
        known = [each for keys in _tables(found.types) for each in (*keys.names, *keys.sought)]
        close = close_matches(name, known)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise KeyError(f"{self._schema.__qualname__} has no key {key!r}: nothing is called {name!r} there{hint}")

    def nearest(self, key: str) -> KeyPath:
        """The path of the value that a key means, or else of the innermost existing value around it."""
        return self._furthest(key).path

    def _furthest(self, key: str) -> _Found:
        """The value that the longest beginning of a key leads to; searched depth first."""
        best = _Found((), 0, (self._schema,), self._data)
        waiting, seen = [iter([best])], set[Any]()
        while waiting and best.end < len(key):
            found = next(waiting[-1], None)
            if found is None:
                waiting.pop()
            elif (state := (found.end, id(found.data), hashable(found.types))) not in seen:
                seen.add(state)
                best = max(best, found, key=lambda each: each.end)
                if len(found.path) < _MOST_PARTS:
                    waiting.append(self._next(found, key))
        return best

    def _next(self, before: _Found, key: str) -> Iterator[_Found]:
        """Every value that one more part of the key may lead to."""
        start = before.end + (bool(before.path) and key.startswith(".", before.end))
        sought = list(_sought(before, self._fields_sought(before.types), key, start))
        yield from (each for each in sought if each.data is not _ABSENT)  # the library takes it first
        for part, end in self._parts(before, key, start):
            if key[end : end + 1] in ("", ".", "["):
                types, data = _below(before.types, part), value_at(before.data, (part,), _ABSENT)
                yield _Found((*before.path, part), end, types, data)
        yield from sought

    def _parts(self, inside: _Found, key: str, start: int) -> Iterator[tuple[Any, int]]:
        """The keys and indexes that are written at an offset of a key, each with the offset of its end."""
        if isinstance(inside.data, list):
            index = _INDEX.match(key, start)
            if index is not None and int(index[1] or index[2]) < len(inside.data):
                yield int(index[1] or index[2]), index.end()
            return
        table = inside.data if isinstance(inside.data, dict) else _NO_TABLE
        yield from _in_quotes(table, key, start)
        if self._has_texts_only(table):
            yield from _as_they_are(table, key, start)
        yield from self._in_other_forms(table, inside.types, key, start)

    def _fields_sought(self, types: tuple[Any, ...]) -> dict[str, list[Sought]]:
        cached = hashable(types)
        if cached not in self._sought:
            self._sought[cached] = _fields_sought(types)
        return self._sought[cached]

    def _in_other_forms(
        self, table: dict[Any, Any], types: tuple[Any, ...], key: str, start: int
    ) -> Iterator[tuple[Any, int]]:
        forms = self._forms_of(table, types)
        found = []
        for end in _ends(key, start):
            if end - start > forms.longest:
                break
            found += [(part, end) for part in forms.parts.get(key[start:end], ())]
        yield from sorted(found, key=lambda each: (shown(each[0]) != key[start : each[1]], each[1]))

    def _has_texts_only(self, table: dict[Any, Any]) -> bool:
        """Whether all keys of a table are text; if not, a message may show another key like a text."""
        if id(table) not in self._texts_only:
            self._texts_only[id(table)] = all(type(key) is str for key in table)
        return self._texts_only[id(table)]

    def _forms_of(self, table: dict[Any, Any], types: tuple[Any, ...]) -> _Forms:
        cached = (id(table), hashable(types))
        if cached not in self._forms:
            parts: dict[str, list[Any]] = {}
            for form, part in _written(table, types):
                parts.setdefault(form, []).append(part)
            self._forms[cached] = _Forms(parts, max(map(len, parts), default=0))
        return self._forms[cached]


def _sought(before: _Found, fields: dict[str, list[Sought]], key: str, start: int) -> Iterator[_Found]:
    """Yield each field that begins at an offset of a key, and that its library finds by other paths or shared keys."""
    if not fields:
        return
    longest = max(map(len, fields), default=-1)
    ends = itertools.takewhile(lambda end: end - start <= longest, _ends(key, start))
    for name, end in [*_quoted(key, start), *((key[start:end], end) for end in ends)]:
        for written, paths in fields.get(name, ()):
            path = next((each for each in paths if has(before.data, each)), paths[-1])
            yield _Found((*before.path, *path), end, (written,), value_at(before.data, path, _ABSENT))


def _fields_sought(types: tuple[Any, ...]) -> dict[str, list[Sought]]:
    """The fields that a library finds by other paths, by their names, and by keys that no other field has."""
    found: dict[str, list[Sought]] = {}
    for keys in _tables(types):
        names = {name: name for name in keys.sought} | keys.names
        for name, field in names.items():
            if field in keys.sought and name not in keys.indirect:
                found.setdefault(name, []).append(keys.sought[field])
    return found


def _below(types: tuple[Any, ...], part: Any) -> tuple[Any, ...]:
    """The types, as they are written, of the value under a key, for each of several types around it."""
    return tuple(found for each in types for found in written_children(each, part))


def _in_quotes(table: dict[Any, Any], key: str, start: int) -> Iterator[tuple[Any, int]]:
    """The key of a table that is quoted at an offset, if there is one."""
    yield from (each for each in _quoted(key, start) if each[0] in table)


def _as_they_are(table: dict[Any, Any], key: str, start: int) -> Iterator[tuple[Any, int]]:
    """The keys of a table that are written at an offset without quotes, and have no dot in them."""
    for end in _ends(key, start):
        if key[start:end] in table:
            yield key[start:end], end
        if key.startswith(".", end):
            return


def _ends(key: str, start: int) -> Iterator[int]:
    """The offsets at which a part of a key that begins at an offset may end."""
    return (found.start() for found in _END.finditer(key, start))


def _written(table: dict[Any, Any], types: tuple[Any, ...]) -> Iterator[tuple[str, Any]]:
    """Every form in which messages may write a key of a table, or a field that is not set in it, with the key."""
    names = list(dict.fromkeys(pair for keys in _tables(types) for pair in _direct(keys)))
    fields, called = dict(names), dict[str, list[str]]()
    for key, field in names:
        called.setdefault(field, [field]).append(key)
    for key in table:
        yield from ((form, key) for form in _forms(key, called.get(fields.get(key, ""), ())))
    set_here = {fields.get(key) for key in table}
    for key, field in names:
        if field not in set_here:
            yield from ((form, key) for form in {shown(key), key, field})


def _direct(keys: Keys) -> Iterator[tuple[str, str]]:
    """Each key, and the field that it sets; a key of several fields sets none of them."""
    return ((key, key if key in keys.indirect else field) for key, field in keys.names.items())


def _tables(types: tuple[Any, ...]) -> list[Keys]:
    kinds = [kind for each in types for kind in members(each, written=True)]
    return [keys for kind in kinds if (keys := keys_of(kind)) is not None]


def _quoted(key: str, start: int = 0) -> list[tuple[str, int]]:
    """The text in quotes at an offset, if there is one, and where it ends."""
    try:
        return [_DECODER.raw_decode(key, start)] if key.startswith('"', start) else []
    except ValueError:
        return []


def _forms(key: Any, called: Iterable[str]) -> set[str]:
    """Every form in which messages may write a key of the data; `called` are the names of its field."""
    forms = {shown(key), str_of(key), *called}
    return forms | {printable(form) for form in forms}


def _name_at(rest: str) -> str:
    rest = rest.removeprefix(".")
    part = _PART.match(rest)
    assert part is not None
    return next((text for text, _ in _quoted(rest)), part[0])
