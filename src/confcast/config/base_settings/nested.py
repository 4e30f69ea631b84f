"""Finds the BaseSettings classes in a schema: the schema itself, and those of its fields.

pydantic makes a nested one by its constructor, which reads its own variables and files, beneath what the table of the
field says. So its files are watched too, and its values are a layer of their own wherever it is known to be made.
"""

from __future__ import annotations

import typing
from collections.abc import Iterator
from typing import Any, NamedTuple

from confcast.config.schema.annotations import hashable, members
from confcast.config.schema.kinds import Field, fields_of, loaded, reads_by_itself


class Nested(NamedTuple):
    """A BaseSettings class that is the type of a field, or of a part of it.

    Attributes:
        cls: The class.
        owner: The class that has the field.
        field: The field.
        factory: What makes the field's default at each load; None if nothing does.
        is_whole: Whether a value of the field may be an instance of the class, and not only have one in it.
    """

    cls: Any
    owner: Any
    field: Field
    factory: Any
    is_whole: bool


class _Found(NamedTuple):
    """A field of a class in a schema, and what pydantic knows of it; None for a class that is no model."""

    owner: Any
    field: Field
    info: Any


def has_own_sources(schema: Any) -> bool:
    """Whether making an instance of a schema reads the environment or files. Cheap where no class of a schema does."""
    if not loaded("pydantic_settings.main", "BaseSettings"):
        return False
    return reads_by_itself(schema) or bool(nested_in(schema))


def nested_in(schema: Any) -> list[Nested]:
    """The BaseSettings classes that fields of a schema have, at any depth; each field once."""
    return [
        Nested(part, each.owner, each.field, getattr(each.info, "default_factory", None), whole)
        for each in _fields_in(schema)
        for part, whole in _parts_of(each.field.annotation)
        if reads_by_itself(part)
    ]


def frozen_defaults(schema: Any) -> list[str]:
    """A sentence for each default that was made at the import with a BaseSettings in it, which is never read again."""
    return [
        f"{each.owner.__qualname__}.{each.field.name} has a default that was made when its module was imported, so no"
        f" reload reads it again: write Field(default_factory={type(each.info.default).__qualname__})"
        for each in _fields_in(schema)
        if _holds_settings(getattr(each.info, "default", None))
    ]


def _fields_in(schema: Any) -> list[_Found]:
    """The fields of a schema and of the classes inside; none where an annotation can't be resolved: the codec says so.

    It says so by raising, before anything that is found here is used.
    """
    found: list[_Found] = []
    waiting, seen = [schema], {schema}
    try:
        while waiting:
            cls = waiting.pop()
            infos = getattr(cls, "__pydantic_fields__", {})
            for field in fields_of(cls) or ():
                found.append(_Found(cls, field, infos.get(field.name)))
                inside = [
                    part for part, _ in _parts_of(field.annotation) if isinstance(part, type) and part not in seen
                ]
                seen.update(inside)
                waiting += inside
    except (NameError, TypeError):
        return []
    return found


def _parts_of(annotation: Any) -> Iterator[tuple[Any, bool]]:
    """The types in an annotation, each with whether a value may be of that type as a whole."""
    waiting, seen = [(annotation, True)], {hashable(annotation)}  # an alias may contain itself
    while waiting:
        part, whole = waiting.pop()
        for member in members(part, written=True):
            yield member, whole
            inside = [each for each in typing.get_args(member) if hashable(each) not in seen]
            seen.update(map(hashable, inside))
            waiting += [(each, False) for each in inside]


def _holds_settings(value: Any) -> bool:
    if reads_by_itself(type(value)):
        return True
    is_model = isinstance(value, loaded("pydantic.main", "BaseModel"))
    return is_model and any(map(_holds_settings, vars(value).values()))
