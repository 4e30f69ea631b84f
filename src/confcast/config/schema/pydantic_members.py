"""Finds the private attributes and extra values of a pydantic model. Nothing here imports pydantic."""

from __future__ import annotations

import sys
import types
import typing
from typing import Any

from confcast.config.schema.generics import annotations_of
from confcast.config.schema.kinds import loaded


def hidden_members(cls: Any) -> dict[str, Any]:
    """The annotations of private attributes and extra values; none for a class that is no model.

    One that can't be resolved is left out: what it annotates is judged by its value.
    """
    if not issubclass(cls, loaded("pydantic.main", "BaseModel")):
        return {}
    found: dict[str, Any] = {}
    for base in cls.__mro__[:-1]:
        own = {} if base.__module__ == "pydantic.main" else annotations_of(base)
        scope = vars(sys.modules[base.__module__]) if base.__module__ in sys.modules else {}
        for name in own:
            if name in found or not (name in cls.__private_attributes__ or name == "__pydantic_extra__"):
                continue
            shim: Any = types.SimpleNamespace(__annotations__={name: own[name]})
            try:
                found |= typing.get_type_hints(shim, globalns=scope, include_extras=True)
            except NameError:  # the name is imported for type checkers only
                continue
    return dict(sorted(found.items()))
