"""Finds the path and the type that the name of a variable means in a schema.

A part of a name matches a key in any case, the name that a shell would give the key, or the attribute that the key
sets. If a table may become one of several classes, a name may mean another key, or another type, in each class: then
all targets are returned, and the table's tags in the sources decide.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple, get_args, get_origin

from confcast.config.schema.annotations import is_collection, is_opaque, keys_of, members, strip
from confcast.config.schema.key_path import value_at
from confcast.config.schema.spelling import Spelling, is_ruled_out

_MOST = 64  # targets at most: nested unions of classes have exponentially many
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")  # the boundary in maxConns, and in HTTPPort
_NOT_IN_A_NAME = re.compile(r"\W")


class Target(NamedTuple):
    """A path that a variable may set.

    Attributes:
        path: The keys.
        annotation: The type of the value, as it is written.
        opaque: Whether the user's code sees the value, or a table around it, before the library does.
        without: The class that has no field of that name, so that only the user's code may use the value; or None.
        classes: Paths of tables, each with the member of a union that the table has to become.
        rough: How many keys of the path differ from the name in more than case.
    """

    path: tuple[str, ...]
    annotation: Any
    opaque: bool = False
    without: str | None = None
    classes: tuple[tuple[tuple[str, ...], Any], ...] = ()
    rough: int = 0


@functools.lru_cache(1024)  # each reload makes the same calls
def targets(schema: Any, name: str) -> tuple[Target, ...]:
    """The targets of a name in lower case without the prefix, the likeliest first; mostly one."""
    found: list[Target] = []
    every = islice(_targets(Target((), schema), name.split("__")), _MOST)
    for target in sorted(every, key=lambda each: each.rough):
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


def _targets(above: Target, parts: list[str]) -> Iterator[Target]:
    above = above._replace(opaque=above.opaque or is_opaque(above.annotation))
    if not parts:
        yield above
        return
    kinds = members(above.annotation, written=True)
    several = sum(keys_of(kind) is not None for kind in kinds) > 1
    for kind in kinds:
        of_kind = above._replace(classes=(*above.classes, (above.path, kind))) if several else above
        for length, below in _candidates(of_kind, kind, parts):
            found = False
            for target in _targets(below, parts[length:]):
                found = True
                yield target
            if found:
                break


def _candidates(above: Target, kind: Any, parts: list[str]) -> Iterator[tuple[int, Target]]:
    """For each number of first parts of a name that may be a key in a table of this type: the number, the target."""
    keys = keys_of(kind)
    names = _names(tuple(keys.names.items()), keys.indirect) if keys is not None else {}
    types = keys.written if keys is not None else {}
    known = False
    for length in range(len(parts), 0, -1):  # a field may have "__" in its own name
        name = "__".join(parts[:length])
        for key in names.get(name, ()):
            known = True
            rough = above.rough + (key.lower() != name)
            yield length, above._replace(path=(*above.path, key), annotation=types[key], rough=rough)
    value = None if known else _free_value(kind)
    if value is not None:
        doubtful = keys is not None and not keys.allows
        without = (get_origin(kind) or kind).__qualname__ if doubtful else above.without
        for length in range(1, len(parts) + 1):
            path = (*above.path, "__".join(parts[:length]))
            yield length, above._replace(path=path, annotation=value, without=without)


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


def is_list(member: Any) -> bool:
    """Whether values of the type are lists in a file."""
    kind = get_origin(member) or member
    return is_collection(member) and keys_of(member) is None and not issubclass(kind, Mapping)
