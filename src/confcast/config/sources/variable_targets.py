"""Finds the path and the type that a name means in a schema: that of a variable, or a dotted key that a person gave.

A part of a variable's name matches a key in any case, the name that a shell would give the key, or the attribute that
the key sets. A part of a dotted key matches a key as it is, or the attribute that it sets. If a table may become one of
several classes, a name may mean another key, or another type, in each class: then all targets are returned, and the
table's tags in the sources decide.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple, get_args, get_origin

from confcast.config.schema.annotations import (
    Keys,
    Sought,
    is_collection,
    is_opaque,
    keys_of,
    members,
    strip,
    written_children,
)
from confcast.config.schema.key_path import KeyPath, value_at
from confcast.config.schema.spelling import Spelling, is_ruled_out

LONGEST_KEY, MOST_PARTS = 1000, 100
"""Characters and parts of a key: finding out what it means takes more than linear time, in the owner's one thread."""

_MOST = 64  # targets at most: nested unions of classes have exponentially many
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")  # the boundary in maxConns, and in HTTPPort
_NOT_IN_A_NAME = re.compile(r"\W")
_INDEX = re.compile(r"(?=\[[0-9]+\](?:\[|\Z))")
_DECODER = json.JSONDecoder(strict=False)


class Whole(str):
    """A part of a key that stood in quotes, or that is known to be one key: it is never joined to its neighbours."""

    __slots__ = ()


class Target(NamedTuple):
    """A path that a variable, or a dotted key, may set.

    Attributes:
        path: The keys.
        annotation: The type of the value, as it is written.
        opaque: Whether the user's code sees the value, or a table around it, before the library does.
        without: The class that has no field of that name, so that only the user's code may use the value; or None.
        classes: Paths of tables, each with the member of a union that the table has to become.
        rough: How many keys of the path differ from the name in more than case.
    """

    path: KeyPath
    annotation: Any
    opaque: bool = False
    without: str | None = None
    classes: tuple[tuple[tuple[str, ...], Any], ...] = ()
    rough: int = 0


@functools.lru_cache(1024)  # each reload makes the same calls
def targets(schema: Any, name: str) -> tuple[Target, ...]:
    """The targets of a name in lower case without the prefix, the likeliest first; mostly one. None of one too long."""
    if len(name) > LONGEST_KEY or name.count("__") >= MOST_PARTS:
        return ()
    return _distinct(_targets(Target((), schema), name.split("__"), _VARIABLE))


def targets_of_key(schema: Any, parts: Sequence[str]) -> tuple[Target, ...]:
    """The targets of a dotted key's parts; a key with dots in it may stand without quotes, as in a diff."""
    return _distinct(_targets(Target((), schema), list(parts), _DOTTED))


@functools.lru_cache(4096)  # each reload makes the same calls
def targets_in_any_case(schema: Any, path: tuple[str, ...]) -> tuple[Target, ...]:
    """The targets of a path in a file whose keys may be written in any case, and with a dash for an underscore."""
    return _distinct(_targets(Target((), schema), [*map(Whole, path)], _ANY_CASE))


def targets_below(schema: Any, tables: tuple[Target, ...], path: tuple[str, ...]) -> tuple[Target, ...]:
    """What `targets_in_any_case` gives for a path, from the targets of the path without its last part; for less work.

    A table of which nothing says to which of several classes it belongs is looked for from the root on.
    """
    if len(tables) == 1 and not tables[0].classes:
        found = _distinct(_targets(tables[0], [Whole(path[-1])], _ANY_CASE))
        if found:
            return found
    return targets_in_any_case(schema, path)


def parts_of(key: str) -> list[str]:
    """The parts of a dotted key, as messages write it: a part in quotes is one key, whatever is in it.

    Raises:
        ValueError: A quotation has no end, or something stands between it and the next dot.
    """
    parts: list[str] = []
    start, end = 0, -1
    while end < len(key):
        if key.startswith('"', start):
            text, end = _DECODER.raw_decode(key, start)
            if key[end : end + 1] not in ("", "."):
                raise ValueError(f"after a quotation only a dot can stand, at character {end + 1}")
            parts.append(Whole(text))
        else:
            end = dot if (dot := key.find(".", start)) >= 0 else len(key)
            parts.append(key[start:end])
        start = end + 1
    return parts


def list_around(schema: Any, parts: Sequence[str], find: Callable[[Any, Sequence[str]], tuple[Target, ...]]) -> KeyPath:
    """The path of the list that has the item which these parts would set; empty if they set no item."""
    for length in range(min(len(parts), MOST_PARTS) - 1, 0, -1):
        for target in find(schema, parts[:length]):
            if any(map(is_list, members(target.annotation, written=True))):
                return target.path
    return ()


def with_indexes(parts: Sequence[str]) -> list[str]:
    """The parts with each index as a part of its own: `servers[0]` becomes `servers`, `[0]`."""
    return [piece for part in parts for piece in ([part] if isinstance(part, Whole) else _INDEX.split(part)) if piece]


def _distinct(every: Iterator[Target]) -> tuple[Target, ...]:
    found: list[Target] = []
    for target in sorted(islice(every, _MOST), key=lambda each: each.rough):
        if not any((target.path, target.annotation) == (each.path, each.annotation) for each in found):
            found.append(target)
    return tuple(found)


def chosen(found: tuple[Target, ...], spelling: Spelling, *layers: Any) -> Target:
    """The first target whose classes the tags in the data allow; the first target if none is allowed."""
    return next((each for each in found if not _is_ruled_out(each, spelling, layers)), found[0])


def _is_ruled_out(target: Target, spelling: Spelling, layers: tuple[Any, ...]) -> bool:
    for path, kind in target.classes:
        tables = (value_at(data, spelling.as_in(data, path, *layers)) for data in layers)
        if is_ruled_out(kind, tuple(table for table in tables if isinstance(table, dict))):
            return True
    return False


class _Naming(NamedTuple):
    """How the parts of a name mean keys.

    Attributes:
        joint: What stands between two parts.
        names: The keys that each text may mean, in a table of these keys.
        fields: Whether a text may be a field's own name, where its library finds the field by a path.
    """

    joint: str
    names: Callable[[Keys], Mapping[str, tuple[str, ...]]]
    fields: bool = False


def _targets(above: Target, parts: list[str], naming: _Naming) -> Iterator[Target]:
    above = above._replace(opaque=above.opaque or is_opaque(above.annotation))
    if not parts:
        yield above
        return
    kinds = members(above.annotation, written=True)
    several = sum(keys_of(kind) is not None for kind in kinds) > 1
    for kind in kinds:
        of_kind = above._replace(classes=(*above.classes, (above.path, kind))) if several else above
        for length, below in _candidates(of_kind, kind, parts, naming):
            found = False
            for target in _targets(below, parts[length:], naming):
                found = True
                yield target
            if found:
                break


def _candidates(above: Target, kind: Any, parts: list[str], naming: _Naming) -> Iterator[tuple[int, Target]]:
    """For each number of first parts of a name that may be a key in a table of this type: the number, the target."""
    keys = keys_of(kind)
    names = naming.names(keys) if keys is not None else {}
    types = keys.written if keys is not None else {}
    known = False
    for length, name in _beginnings(parts, naming.joint):  # a field may have "__" or "." in its own name
        for key in names.get(name, ()):
            known = True
            rough = above.rough + (key.lower() != name.lower())
            yield length, above._replace(path=(*above.path, key), annotation=types[key], rough=rough)
        if keys is not None and naming.fields and name not in names and name in keys.sought:
            known = True
            yield from ((length, found) for found in _found_inside(above, keys.sought[name]))
    value = None if known else _free_value(kind)
    if value is not None:
        doubtful = keys is not None and not keys.allows
        without = (get_origin(kind) or kind).__qualname__ if doubtful else above.without
        for length, name in reversed(_beginnings(parts, naming.joint)):
            yield length, above._replace(path=(*above.path, name), annotation=value, without=without)


def _found_inside(above: Target, sought: Sought) -> Iterator[Target]:
    """The first path of a field that its library finds further inside, unless an item of a list is in it."""
    paths = (path for path in sought.paths if all(isinstance(part, str) for part in path))
    yield from (above._replace(path=(*above.path, *path), annotation=sought.written) for path in islice(paths, 1))


def _beginnings(parts: list[str], joint: str) -> list[tuple[int, str]]:
    """Each number of first parts that may be one key, the largest first, and the key."""
    longest = next((index for index, part in enumerate(parts) if isinstance(part, Whole)), len(parts))
    lengths = range(longest or 1, 0, -1)
    return [(length, joint.join(parts[:length]) if length > 1 else str(parts[0])) for length in lengths]


@functools.lru_cache
def _names(fields: tuple[tuple[str, str], ...], indirect: frozenset[str]) -> Mapping[str, tuple[str, ...]]:
    """The keys that each part of a variable's name, in lower case, may mean.

    The key's own text is matched first, then its name in a shell, then the attribute that it sets; a name of two fields
    means neither.

    Args:
        fields: The keys of a class, each with the attribute that it sets.
        indirect: The keys that do not set an attribute as a whole.
    """
    names = dict(fields)
    direct = [key for key in names if key not in indirect]
    found: dict[str, tuple[str, ...]] = {}
    for keys, called in ((names, str.lower), (names, in_shell), (direct, lambda key: names[key].lower())):
        level: dict[str, list[str]] = {}
        for key in keys:
            level.setdefault(called(key), []).append(key)
        for name, meant in level.items():
            if called is str.lower or len({names[key] for key in meant}) == 1:
                found.setdefault(name, tuple(meant))
    return found


@functools.lru_cache
def _written(fields: tuple[tuple[str, str], ...], indirect: frozenset[str]) -> Mapping[str, tuple[str, ...]]:
    """The keys that each part of a dotted key may mean: the key of that text, or else those that set that attribute."""
    found: dict[str, tuple[str, ...]] = {key: (key,) for key, _ in fields}
    by_field: dict[str, list[str]] = {}
    for key, field in fields:
        if key not in indirect:
            by_field.setdefault(field, []).append(key)
    return {field: tuple(keys) for field, keys in by_field.items()} | found


class _AnyCase(Mapping[str, tuple[str, ...]]):
    """The keys that a text in any case may mean: a key of just that text, or else what a variable of that name sets."""

    def __init__(self, keys: Keys) -> None:
        self._exact = keys.names
        self._names = _names(tuple(keys.names.items()), keys.indirect)

    def __getitem__(self, text: str) -> tuple[str, ...]:
        if text in self._exact:
            return (text,)
        return self._names[text.lower()] if text.lower() in self._names else self._names[in_shell(text)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


_VARIABLE = _Naming("__", lambda keys: _names(tuple(keys.names.items()), keys.indirect))
_DOTTED = _Naming(".", lambda keys: _written(tuple(keys.names.items()), keys.indirect), fields=True)


_ANY_CASE = _Naming("", _AnyCase)


def in_shell(key: str) -> str:
    """A key as a variable's name in lower case, which has only letters, digits and underscores."""
    return _NOT_IN_A_NAME.sub("_", _HUMP.sub("_", key)).lower()


def _free_value(member: Any) -> Any:
    """The type of a value in a table that may have any key; None if the type is no such table."""
    keys = keys_of(member)
    if keys is not None:
        return None if keys.closed else Any
    if member is Any:
        return Any
    origin, arguments = get_origin(member) or member, get_args(member)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return arguments[1] if len(arguments) == 2 and strip(arguments[0]) in (str, Any) else Any
    return None


def paths(annotation: Any, path: tuple[str, ...], seen: tuple[Any, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of every key that a variable can set, for suggestions; never ends if classes refer to each other."""
    for member in members(annotation, written=True):
        keys = keys_of(member)
        if keys is None or member in seen:
            continue
        for key, hint in keys.written.items():
            yield (*path, key)
            yield from paths(hint, (*path, key), (*seen, member))


def is_field(schema: Any, path: KeyPath, *, entries: bool = False) -> bool:
    """Whether a class has a field at a path; with `entries`, also whether the path is an entry of a `dict`."""
    kinds = members(schema, written=True)
    for part in path[:-1]:
        kinds = tuple(
            kind for each in kinds for hint in written_children(each, part) for kind in members(hint, written=True)
        )
    tables = [keys_of(kind) for kind in kinds]
    if any(keys is not None and path[-1] in keys.types for keys in tables):
        return True
    return entries and any(
        keys is None and _free_value(kind) is not None for kind, keys in zip(kinds, tables, strict=True)
    )


def is_list(member: Any) -> bool:
    """Whether values of the type are lists in a file."""
    kind = get_origin(member) or member
    return is_collection(member) and keys_of(member) is None and not issubclass(kind, Mapping)
