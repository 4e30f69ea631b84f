"""Types of a Struct's fields that msgspec takes for others: told once, by field, before it converts anything.

They are written with aliases and type parameters, as from Python 3.12 and 3.13 on (or with `typing_extensions`, whose
aliases msgspec does not know at all):
msgspec replaces the parameters of an alias by position, in the order in which they are used and not in which they are
declared (`Table[int, str]` of `type Table[K, V] = dict[V, K]` becomes `dict[int, str]`), does not know their defaults,
and follows an alias that holds itself without an end. Each of these would be a wrong type without a word, or an error
that names no field.

Rejected: handing msgspec other types in their place (a Struct has its own), and asking pydantic to convert Structs.
"""

from __future__ import annotations

import functools
import typing
from collections.abc import Iterator
from typing import Any

from confcast.config.schema.generics import has_default, is_alias, value_of
from confcast.config.schema.key_path import KeyPath
from confcast.config.schema.kinds import fields_of
from confcast.config.validation.field_errors import FieldError


@functools.cache
def misjudged(schema: Any) -> tuple[FieldError, ...]:
    """Every field of a Struct, and of the classes in it, whose type msgspec would not read as it is written."""
    return tuple(_in_class(schema, (), (schema,)))


def _in_class(cls: Any, path: KeyPath, trail: tuple[Any, ...]) -> Iterator[FieldError]:
    for field in fields_of(cls) or ():
        here = (*path, field.key)
        for kind in (parts := _Parts(field.annotation)).classes:
            if kind not in trail:
                yield from _in_class(kind, here, (*trail, kind))
        if parts.why is not None:
            yield FieldError(here, f"msgspec can't read this type: {parts.why}", about="key")


class _Parts:
    """The classes that an annotation names, and what msgspec would make another of."""

    def __init__(self, annotation: Any) -> None:
        self.classes: dict[Any, None] = {}
        self.why: str | None = None
        self._visit(annotation, ())

    def _visit(self, annotation: Any, aliases: tuple[Any, ...]) -> None:
        named = typing.get_origin(annotation) or annotation
        if not typing.get_args(annotation) and any(map(has_default, _parameters(named))):
            self.why = f"it does not know the defaults of type parameters; write {named.__name__}[…] with what is meant"
        elif is_alias(annotation):
            self._visit_alias(annotation, named, aliases)
        elif isinstance(named, type):
            self.classes[named] = None
        for part in typing.get_args(annotation):
            self._visit(part, aliases)

    def _visit_alias(self, annotation: Any, named: Any, aliases: tuple[Any, ...]) -> None:
        name = named.__name__
        if type(named).__module__ != "typing":
            self.why = f"it does not know aliases of typing_extensions such as {name}; write out what {name} stands for"
            return
        if named in aliases:
            self.why = f"the alias {name} holds itself; make it a Struct, or use Any"
            return
        try:
            value = value_of(annotation)
        except NameError as error:
            self.why = f"in the alias {name}, {error}; define or import it at run time too"
            return
        if _parameters(named) != getattr(named.__value__, "__parameters__", ()):
            self.why = f"it fills in the parameters of the alias {name} by position; write out what {name} stands for"
        self._visit(value, (*aliases, named))


def _parameters(named: Any) -> tuple[Any, ...]:
    if is_alias(named):
        return tuple(named.__type_params__)
    return tuple(getattr(named, "__parameters__", ())) if isinstance(named, type) else ()
