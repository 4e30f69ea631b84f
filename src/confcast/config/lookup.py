"""Which value a key means, as a person gives it who has read it in a message, a diff or an event.

Messages write keys in several ways: `log_levels."app.payments"` for what is wrong with the data, `servers[0]` and
`log_levels.app.payments` for what changed or can't be carried, by the names of attributes or those used in files, and
keys of YAML that are no text as YAML writes them or as Python does. Each is understood: the data says which there are.

Rejected: one grammar for keys, parsed without the data. `a.b` is a key of some tables and two of others.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from confcast.config.keys import shown
from confcast.config.sources.formats.common import KeyPath
from confcast.config.sources.layer import value_at
from confcast.config.validation.annotations import Keys, keys_of, members, written_children
from confcast.texts import printable

_ABSENT = object()
_INDEX = re.compile(r"\[([0-9]+)\]|([0-9]+)(?=[.\[]|$)")
_PART = re.compile(r"\[[^.]*|[^.\[]*")


def find(schema: Any, data: Any, key: str) -> KeyPath:
    """The path that a key means.

    Raises:
        KeyError: Neither the schema nor the data has such a key.
    """
    path, rest = _furthest(schema, data, key)
    if not rest and path:
        return path
    name = _name_at(rest)
    close = get_close_matches(name, [each for keys in _tables(_types_at(schema, path)) for each in keys.names], n=1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    raise KeyError(f"{schema.__qualname__} has no key {key!r}: nothing is called {name!r} there{hint}")


def nearest(schema: Any, data: Any, key: str) -> KeyPath:
    """The path of the value that a key means, or of the innermost one around it that there is."""
    return _furthest(schema, data, key)[0]


def _furthest(schema: Any, data: Any, key: str) -> tuple[KeyPath, str]:
    """The path that takes most of a key, and what is left of it."""
    return min([((), key), *_paths((schema,), data, key)], key=lambda found: len(found[1]))


def _types_at(schema: Any, path: KeyPath) -> tuple[Any, ...]:
    types: tuple[Any, ...] = (schema,)
    for part in path:
        types = _below(types, part)
    return types


def _below(types: tuple[Any, ...], part: Any) -> tuple[Any, ...]:
    """The types of what stands under a key, as they are written: of a union, those under each of its members."""
    return tuple(found for each in types for found in written_children(each, part))


def _paths(types: tuple[Any, ...], data: Any, rest: str) -> Iterator[tuple[KeyPath, str]]:
    """Every path with which a dotted key may begin, and what of the key is left behind it."""
    for part, length in _first_parts(types, data, rest):
        behind = rest[length:]
        if behind[:1] in ("", ".", "["):
            yield (part,), behind
            below, inside = _below(types, part), value_at(data, (part,), _ABSENT)
            for path, left in _paths(below, inside, behind.removeprefix(".")) if behind else ():
                yield (part, *path), left


def _first_parts(types: tuple[Any, ...], data: Any, rest: str) -> Iterator[tuple[Any, int]]:
    """The keys and indexes with which a dotted key may begin, and how many of its characters each is."""
    if isinstance(data, list):
        found = _INDEX.match(rest)
        if found is not None and int(found[1] or found[2]) < len(data):
            yield int(found[1] or found[2]), found.end()
        return
    present = data if isinstance(data, dict) else {}
    if rest[:1] == '"' and (decoded := _decoded(rest)) is not None and decoded[0] in present:
        yield decoded
    names = [(each, field) for keys in _tables(types) for each, field in keys.names.items()]
    fields = dict(names)
    forms = [(form, each) for each in present for form in _forms(each, fields)]
    set_here = {fields.get(each) for each in present}
    unset = [(each, field) for each, field in names if field not in set_here]
    forms += [(form, each) for each, field in unset for form in {shown(each), each, field}]
    for form, each in sorted(forms, key=lambda found: (found[0] != shown(found[1]), len(found[0]))):
        if rest.startswith(form):
            yield each, len(form)


def _tables(types: tuple[Any, ...]) -> list[Keys]:
    kinds = [kind for each in types for kind in members(each, written=True)]
    return [keys for kind in kinds if (keys := keys_of(kind)) is not None]


def _decoded(rest: str) -> tuple[str, int] | None:
    """The text in quotes at the beginning, and how long it is with them."""
    try:
        text, end = json.JSONDecoder(strict=False).raw_decode(rest)
    except ValueError:
        return None
    return (text, end) if isinstance(text, str) else None


def _forms(key: Any, names: dict[str, str]) -> set[str]:
    """How messages may write a key of the data. One that is as `dotted` has it is tried first."""
    forms = {shown(key), str(key)}
    if isinstance(key, str) and (field := names.get(key)) is not None:
        forms |= {field, *(other for other, its in names.items() if its == field)}
    return forms | {printable(form) for form in forms}


def _name_at(rest: str) -> str:
    rest = rest.removeprefix(".")
    if rest[:1] == '"' and (decoded := _decoded(rest)) is not None:
        return decoded[0]
    found = _PART.match(rest)
    assert found is not None
    return found[0]
