"""Which key a `select` function picks: `lambda c: c.database.pool` is asked with an object that notes what is read.

A function that computes something (`lambda c: (c.a, c.b)`, `lambda c: None`) tells no key.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from confcast.config.schema.annotations import child, members
from confcast.config.schema.kinds import fields_of
from confcast.config.schema.secret_paths import shown_key


class _Probe:
    """Notes the attributes and items that lead to it."""

    def __init__(self, path: tuple[Any, ...]) -> None:
        self.__dict__["path"] = path

    def __getattr__(self, name: str) -> _Probe:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Probe((*self.__dict__["path"], name))

    def __getitem__(self, part: Any) -> _Probe:
        return _Probe((*self.__dict__["path"], part))

    __iter__ = None


def key_of(select: Callable[[Any], Any], schema: type) -> str:
    """The key as messages print it; "" for the whole configuration, and where the function does not tell."""
    try:
        found = select(_Probe(()))
    except Exception:  # it computes something, which can't be done with a probe
        return ""
    if not isinstance(found, _Probe):
        return ""
    try:
        return shown_key(_written(found.__dict__["path"], schema), schema)
    except Exception:  # no such attribute in the schema: the first build says so
        return ".".join(map(str, found.__dict__["path"]))


def _written(path: tuple[Any, ...], annotation: Any) -> tuple[Any, ...]:
    """The path with the keys that files have for attributes."""
    keys: list[Any] = []
    for part in path:
        fields = [each for member in (annotation, *members(annotation)) for each in fields_of(member) or ()]
        key = next((each.key for each in fields if each.name == part), part)
        keys.append(key)
        annotation = child(annotation, key)
    return tuple(keys)
