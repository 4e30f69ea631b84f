"""Finds the BaseSettings classes in a schema: the schema itself, and those of its fields.

pydantic makes a nested one by its constructor, which reads its own variables and files, beneath what the table of the
field says. So its files are watched too, and its values are a layer of their own wherever it is known to be made.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from confcast.config.schema.annotations import members
from confcast.config.schema.kinds import Field, fields_of, loaded, reads_by_itself


class Nested(NamedTuple):
    """A BaseSettings class that is the type of a field.

    Attributes:
        cls: The class.
        owner: The class that has the field.
        field: The field.
        default: Its default; None if it has none.
        factory: What makes its default at each load; None if nothing does.
    """

    cls: Any
    owner: Any
    field: Field
    default: Any
    factory: Any


def has_own_sources(schema: Any) -> bool:
    """Whether making an instance of a schema reads the environment or files. Cheap where no class of a schema does."""
    if not loaded("pydantic_settings.main", "BaseSettings"):
        return False
    return reads_by_itself(schema) or bool(nested_in(schema))


def nested_in(schema: Any) -> list[Nested]:
    """The BaseSettings classes that fields of a schema may become, at any depth; each field once.

    None where an annotation can't be resolved, which the codec says.
    """
    try:
        return list(_nested(schema, set()))
    except (NameError, TypeError):
        return []


def frozen_default(one: Nested) -> str:
    """A sentence if a field's default was made at the import, and so is never read again; empty otherwise."""
    if not reads_by_itself(type(one.default)):
        return ""
    made = type(one.default).__qualname__
    return (
        f"{one.owner.__qualname__}.{one.field.name} has a default that was made when its module was imported, so no"
        f" reload reads it again: write Field(default_factory={made})"
    )


def _nested(cls: Any, seen: set[Any]) -> Iterator[Nested]:
    if cls in seen:
        return
    seen.add(cls)
    infos = getattr(cls, "__pydantic_fields__", {})
    for field in fields_of(cls) or ():
        info = infos.get(field.name)
        for member in members(field.annotation, written=True):
            if reads_by_itself(member):
                yield Nested(member, cls, field, getattr(info, "default", None), getattr(info, "default_factory", None))
            if isinstance(member, type):
                yield from _nested(member, seen)
