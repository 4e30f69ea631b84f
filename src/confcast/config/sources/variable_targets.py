"""What the name of a variable means in a schema: the keys, and the type of the value there.

A part of a name is a key whatever its case, or what the key would be called in a shell, or the attribute that the key
sets. Where a table may become one of several classes, a name may mean another key, or another type, in each: then all
are given, and what the sources say in the table's tags decides.
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

_MOST = 64  # of classes in unions in unions there are exponentially many
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")  # of maxConns, and of HTTPPort
_NOT_IN_A_NAME = re.compile(r"\W")


class Target(NamedTuple):
    """What a variable sets.

    Attributes:
        path: The keys.
        annotation: The type there, as it is written.
        opaque: Whether code of the user's sees the value, or a table around it, before its library does.
        without: The class that has no field of that name; only code of the user's may have a use for it.
        classes: Of which class, of those in a union, the table at a path has to be.
        rough: How many keys are called otherwise than the name says.
    """

    path: tuple[str, ...]
    annotation: Any
    opaque: bool = False
    without: str | None = None
    classes: tuple[tuple[tuple[str, ...], Any], ...] = ()
    rough: int = 0


@functools.lru_cache(1024)  # each reload asks for the same
def targets(schema: Any, name: str) -> tuple[Target, ...]:
    """What a name in lower case, without the prefix, may set; the likeliest first, and mostly only that."""
    found: list[Target] = []
    every = islice(_targets(Target((), schema), name.split("__")), _MOST)
    for target in sorted(every, key=lambda each: each.rough):
        if not any((target.path, target.annotation) == (each.path, each.annotation) for each in found):
            found.append(target)
    return tuple(found)


def chosen(found: tuple[Target, ...], spelling: Spelling, *layers: Any) -> Target:
    """The first target whose classes the tags in the data allow; the first if there is none."""
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
    """What the first parts of a name may mean in a table of this type: how many, and what they set."""
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
    """The keys that a part of a variable's name may mean, in lower case.

    A key as it is comes first, then as it is called in a shell, then the name of the attribute that it sets; what would
    mean two fields means none.

    Args:
        fields: The keys of a class, with the attribute that each sets.
        indirect: Those that do not set it as a whole.
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
    """What a key is called where names have only letters, digits and underscores, in lower case."""
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
    """Every key that a variable can set, for suggestions; of classes that refer to each other, without an end."""
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
