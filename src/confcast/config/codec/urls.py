"""Serialises pydantic's URL classes, `AnyUrl`, `HttpUrl`, `PostgresDsn`, …, and classes that are derived from them.

Each instance holds one URL of pydantic_core, which is a leaf, in its `__dict__`. The classes are in the table of
classes and no leaves, because applications derive their own. Rejected: calling their constructors (they validate, by
constraints that an application may write).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from confcast.config.codec.classes import Kind, Shape, no_members
from confcast.config.codec.leaves import Unsupported
from confcast.config.schema.kinds import loaded

_HELD = "_url"
"""Where an instance has its URL: without it, it could not even be compared."""


def is_url(cls: type) -> bool:
    """Whether the class is one of pydantic's for URLs, of one host or of several. Imports nothing."""
    # Their bases have no public names; with a release that renames them, URL fields are refused at start.
    return issubclass(cls, tuple(loaded("pydantic.networks", name) for name in ("_BaseUrl", "_BaseMultiHostUrl")))


def _shape(cls: Any, index: int) -> Shape:
    if any(vars(base).get("__slots__") for base in cls.__mro__):
        raise Unsupported(f"{cls.__qualname__} adds __slots__ to a URL of pydantic's; leave them out")
    new: Callable[[Any], Any] = object.__new__
    kinds = tuple(loaded("pydantic_core", name) for name in ("Url", "MultiHostUrl"))

    def make(row: list[Any]) -> Any:
        _, state = row
        if type(state) is not dict or type(state.get(_HELD)) not in kinds:
            raise TypeError
        value = new(cls)
        value.__dict__.update(state)
        return value

    return Shape(cls, index, lambda value: [index, dict(vars(value))], make, no_members)


URL = Kind("url", _shape)
