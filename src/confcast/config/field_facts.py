"""Reads what the schema says of one field: its type, its default, its constraints and its description, each as text.

Guaranteed: nothing is validated, and a default is made as each load makes it. Nothing is masked here: whoever shows a
default masks it by its type.

Rejected: reading constraints from a JSON schema (msgspec and pydantic name them differently, and each changes them with
its version).
"""

from __future__ import annotations

import dataclasses
import enum
import typing
from collections.abc import Iterable, Iterator
from typing import Any, Literal, NamedTuple

import msgspec

from confcast.config.codec.supported import text_of
from confcast.config.schema.annotations import members
from confcast.config.schema.kinds import fields_of
from confcast.config.schema.secrets import contains_secret
from confcast.texts import repr_of, str_of

_BOUNDS = {
    "gt": "> {}",
    "ge": ">= {}",
    "lt": "< {}",
    "le": "<= {}",
    "multiple_of": "a multiple of {}",
    "min_length": "length >= {}",
    "max_length": "length <= {}",
    "pattern": "matches {}",
    "max_digits": "at most {} digits",
    "decimal_places": "at most {} decimal places",
}
"""The words for each attribute by which pydantic, annotated-types and msgspec call a constraint."""

UNKNOWN: Any = object()
"""Stands for a type, or a default, that there is none of."""


class SchemaField(NamedTuple):
    """What the schema says of a value.

    Attributes:
        annotation: Its type, as it is written.
        cls: The class that has it as a field; None for an item of a list or a table.
        name: The attribute.
    """

    annotation: Any
    cls: Any = None
    name: str = ""


def annotation_of(cls: Any, name: str, written: Any) -> Any:
    """The type as the class declares it, secrets marked."""
    kind = typing.get_origin(cls) or cls
    declared = next((each.annotation for each in fields_of(kind) or () if each.name == name), written)
    return written if isinstance(declared, typing.TypeVar) else declared


def default_of(field: SchemaField) -> Any:
    """The default of a class's field, made as a load makes it; UNKNOWN if there is none. Raises what its maker does."""
    cls = typing.get_origin(field.cls) or field.cls
    if issubclass(cls, msgspec.Struct):
        found = next((each for each in msgspec.structs.fields(cls) if each.name == field.name), None)
        if found is None or found.required:
            return UNKNOWN
        return found.default if found.default is not msgspec.NODEFAULT else found.default_factory()
    if (info := getattr(cls, "__pydantic_fields__", {}).get(field.name)) is not None:
        return UNKNOWN if info.is_required() else info.get_default(call_default_factory=True, validated_data={})
    if dataclasses.is_dataclass(cls):
        return _default_of_dataclass(cls, field.name)
    return getattr(cls, "_field_defaults", {}).get(field.name, UNKNOWN)  # of a NamedTuple


def _default_of_dataclass(cls: Any, name: str) -> Any:
    found: Any = next((each for each in dataclasses.fields(cls) if each.name == name), None)
    if found is None or (found.default is found.default_factory is dataclasses.MISSING):
        return UNKNOWN
    return found.default if found.default is not dataclasses.MISSING else found.default_factory()


def _constraints(field: SchemaField) -> Iterator[str]:
    for mark in _marks(field):
        for name, words in _BOUNDS.items():
            bound = getattr(mark, name, None)
            if bound is not None and not callable(bound):
                yield words.format(str_of(getattr(bound, "pattern", bound)))
    if field.annotation is not UNKNOWN and not contains_secret(field.annotation):
        yield from _choices(members(field.annotation, written=True))


def _choices(kinds: Iterable[Any]) -> Iterator[str]:
    for kind in kinds:
        if isinstance(kind, type) and issubclass(kind, enum.Enum):
            yield f"one of {', '.join(repr_of(member.value) for member in kind)}"
        elif typing.get_origin(kind) is Literal:
            yield f"one of {', '.join(map(repr_of, typing.get_args(kind)))}"


def type_of(field: SchemaField) -> str:
    """The type as the schema declares it; empty if it is not known."""
    return text_of(field.annotation) if field.annotation is not UNKNOWN else ""


def constraints_of(field: SchemaField) -> list[str]:
    """What else the schema demands of a value, one text for each."""
    return list(dict.fromkeys(_constraints(field)))


def description_of(field: SchemaField) -> str:
    """The schema's description of the field; empty for none."""
    for mark in _marks(field):
        for name in ("description", "documentation"):  # the latter of `Doc`
            if isinstance(text := getattr(mark, name, None), str) and text:
                return text
    return ""


def _marks(field: SchemaField) -> Iterator[Any]:
    """The metadata of a field: those of its class, then those of its annotation."""
    info = getattr(typing.get_origin(field.cls) or field.cls, "__pydantic_fields__", {}).get(field.name)
    if info is not None:
        yield from (info, *info.metadata)
    yield from _metadata(field.annotation)


def _metadata(annotation: Any) -> Iterator[Any]:
    for mark in getattr(annotation, "__metadata__", ()):
        yield mark
        yield from getattr(mark, "metadata", None) or ()  # of a FieldInfo
    if hasattr(annotation, "__metadata__"):
        yield from _metadata(annotation.__origin__)
