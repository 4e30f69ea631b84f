"""Which keys a table may have, as a type says it, and what type stands at a path.

The answers are for messages and for refusing what a validator would let pass, so they lean one way: where a validator
may accept more than the annotations show (a `before` validator, `extra="allow"`, a schema of the type's own), every
key is allowed, and the validator decides.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import functools
import types
import typing
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple, Union

from confcast.config.generics import given, hints_of, is_alias, range_of, substituted, value_of
from confcast.config.schema import fields_of, is_record, kind_of
from confcast.config.sources.formats.common import KeyPath

_TRANSPARENT = ("Required", "NotRequired", "ReadOnly", "Final", "ClassVar")  # some are of typing_extensions on 3.11
_EARLY = {"BeforeValidator", "WrapValidator", "PlainValidator", "Json"}
_LATE = ("AfterValidator", "Discriminator", "Tag")  # what pydantic has in Annotated that changes no input


class Keys(NamedTuple):
    """The keys of a table that becomes one class.

    Attributes:
        types: For each key that is accepted, in all its spellings, the type of its value.
        names: For each key, the attribute that it sets.
        closed: Whether every other key is a mistake.
        plain: Whether it is a stdlib dataclass: pydantic converts its values more freely than it says.
        indirect: Keys in whose values fields are found (`AliasPath`); several fields may share one.
    """

    types: dict[str, Any]
    names: dict[str, str]
    closed: bool
    plain: bool = False
    indirect: frozenset[str] = frozenset()


def strip(annotation: Any) -> Any:
    """The type itself: without `Annotated`, `Final`, `Required`, aliases, `NewType` and root models around it.

    Any where a validator of the user's sees the value first, and for a type variable what may stand for it.
    """
    while (inner := _unwrapped(annotation)) is not annotation:
        annotation = inner
    return annotation


def members(annotation: Any) -> tuple[Any, ...]:
    """The types that a value may have: those of a union, or the one."""
    plain = strip(annotation)
    if typing.get_origin(plain) in (Union, types.UnionType):
        return tuple(member for part in typing.get_args(plain) for member in members(part))
    return (plain,)


def is_opaque(annotation: Any) -> bool:
    """Whether code of the user's sees a value of the type, or of a member of it, before its library does.

    It may then take values that the type does not show.
    """
    if any(_is_early(mark) for mark in getattr(annotation, "__metadata__", ())):
        return True
    cls = typing.get_origin(annotation) or annotation
    if isinstance(cls, type) and _class_is_opaque(cls):
        return True
    inner = _unwrapped(annotation)
    if inner is not annotation:
        return is_opaque(inner)
    return cls in (Union, types.UnionType) and any(map(is_opaque, typing.get_args(annotation)))


def is_collection(annotation: Any) -> bool:
    """Whether values of the type are tables or lists in a file."""
    cls = typing.get_origin(annotation) or annotation
    if not isinstance(cls, type) or issubclass(cls, str | bytes | bytearray):
        return False
    return keys_of(cls) is not None or issubclass(cls, collections.abc.Collection)


def child(annotation: Any, part: Any) -> Any:
    """The type of what stands under a key, or at an index; Any where that can't be told."""
    candidates = [found for member in members(annotation) if (found := _child(member, part)) is not None]
    return candidates[0] if len(candidates) == 1 else Any


def type_at(annotation: Any, path: KeyPath) -> Any:
    """The type of what stands at a path; where it can't be told any more, the last one that could."""
    for part in path:
        found = child(annotation, part)
        if found is Any:
            return annotation
        annotation = found
    return annotation


def keys_of(annotation: Any) -> Keys | None:
    """The keys of a class of fields, a TypedDict or a NamedTuple; None for any other type."""
    cls = typing.get_origin(annotation) or annotation
    keys = _keys_of(cls) if isinstance(cls, type) else None
    if keys is None or cls is annotation:
        return keys
    arguments = given(getattr(cls, "__parameters__", ()), annotation)
    return keys._replace(types={key: substituted(hint, arguments) for key, hint in keys.types.items()})


def _unwrapped(annotation: Any) -> Any:
    """The type under one wrapping; the type itself if nothing is around it."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated and _has_early_mark(annotation.__metadata__):
        return Any
    if origin is typing.Annotated or getattr(origin, "_name", None) in _TRANSPARENT:
        return typing.get_args(annotation)[0]
    if isinstance(annotation, typing.NewType):
        return annotation.__supertype__
    if is_alias(annotation):
        return value_of(annotation)
    if isinstance(annotation, typing.TypeVar):
        return range_of(annotation)
    if getattr(annotation, "__pydantic_root_model__", False):
        return annotation.__pydantic_fields__["root"].annotation
    return annotation


def _child(member: Any, part: Any) -> Any:
    keys = keys_of(member)
    if keys is not None:
        return keys.types.get(part) if isinstance(part, str) else _item(member, keys, part)
    origin, arguments = typing.get_origin(member), typing.get_args(member)
    if not isinstance(origin, type) or not arguments or not issubclass(origin, collections.abc.Iterable):
        return None
    if issubclass(origin, collections.abc.Mapping):
        return arguments[1] if len(arguments) == 2 else None
    if origin is tuple and arguments[-1] is not Ellipsis:
        return arguments[part] if isinstance(part, int) and part < len(arguments) else None
    return arguments[0] if isinstance(part, int) else None


def _item(member: Any, keys: Keys, part: Any) -> Any:
    """What a NamedTuple has at an index: a list may be given for it."""
    cls = typing.get_origin(member) or member
    listed = issubclass(cls, tuple) and isinstance(part, int) and part < len(keys.types)
    return list(keys.types.values())[part] if listed else None


@functools.cache
def _keys_of(cls: type) -> Keys | None:
    if is_record(cls):
        return _keys(hints_of(cls), _extra(cls) != "allow")
    fields = fields_of(cls)
    if fields is None or getattr(cls, "__pydantic_root_model__", False):
        return None
    kind = kind_of(cls)
    if kind == "struct":
        return _struct_keys(cls)
    if kind == "dataclass":
        inputs = {field.name for field in dataclasses.fields(cls) if field.init}
        found = {field.name: field.annotation for field in fields if field.name in inputs}
        # What only __init__ is given (InitVar) is no field.
        only = {name: Any for name in getattr(cls, "__dataclass_fields__", {}) if name not in {f.name for f in fields}}
        return _keys(found | only, _extra(cls) != "allow", plain=True)
    return _pydantic_keys(cls)


def _keys(found: dict[str, Any], closed: bool, *, plain: bool = False) -> Keys:
    return Keys(found, {name: name for name in found}, closed, plain)


def _extra(cls: Any) -> Any:
    for name in ("model_config", "__pydantic_config__"):
        config = getattr(cls, name, None)
        if isinstance(config, dict):
            return config.get("extra")
    return None


def _struct_keys(cls: Any) -> Keys:
    fields = fields_of(cls) or ()
    types_ = {field.key: field.annotation for field in fields}
    names = {field.key: field.name for field in fields}
    tag = cls.__struct_config__.tag_field
    if tag is not None and tag not in types_:
        types_[tag], names[tag] = Literal[cls.__struct_config__.tag], tag
    return Keys(types_, names, closed=True)


def _pydantic_keys(cls: Any) -> Keys:
    config = getattr(cls, "model_config", None) or getattr(cls, "__pydantic_config__", None) or {}
    annotations = {field.name: field.annotation for field in fields_of(cls) or ()}
    opaque = _opaque_fields(cls)
    types_: dict[str, Any] = {}
    names: dict[str, str] = {}
    indirect = set()
    for name, field in cls.__pydantic_fields__.items():
        for key, direct in _spellings(name, field, config):
            types_[key] = annotations[name] if direct and name not in opaque else Any
            names[key] = name
            if not direct:
                indirect.add(key)
    closed = config.get("extra") != "allow" and not _takes_anything(cls)
    return Keys(types_, names, closed, indirect=frozenset(indirect))


def _spellings(name: str, field: Any, config: Any) -> list[tuple[str, bool]]:
    """The keys under which pydantic finds a field, and whether its value stands there or further inside."""
    alias = field.validation_alias if field.validation_alias is not None else field.alias
    by_name = alias is None or config.get("populate_by_name") or config.get("validate_by_name")
    found: list[tuple[str, bool]] = []
    if config.get("validate_by_alias", True):
        for choice in getattr(alias, "choices", None) or ([] if alias is None else [alias]):
            path = getattr(choice, "path", [choice])
            found.append((path[0], len(path) == 1))
    return found + ([(name, True)] if by_name else [])


def _opaque_fields(cls: Any) -> set[str]:
    """Fields with a validator of the user's that sees the value before pydantic does, and may turn it into another."""
    early = {"before", "wrap", "plain"}
    decorators = cls.__pydantic_decorators__.field_validators.values()
    found = {name for each in decorators if each.info.mode in early for name in each.info.fields}
    for name, field in cls.__pydantic_fields__.items():
        if _has_early_mark(field.metadata):
            found.add(name)
    return set(cls.__pydantic_fields__) if "*" in found else found


def _has_early_mark(metadata: Iterable[Any]) -> bool:
    return any(type(mark).__name__ in _EARLY for mark in metadata)


def _takes_anything(cls: Any) -> bool:
    """Whether code of the user's sees the table before pydantic does: it may rename keys."""
    modes = {each.info.mode for each in cls.__pydantic_decorators__.model_validators.values()}
    own = (base for base in cls.__mro__ if not base.__module__.startswith("pydantic."))
    own_schema = any("__get_pydantic_core_schema__" in vars(base) for base in own)
    return bool(modes & {"before", "wrap"}) or own_schema


def _is_early(mark: Any) -> bool:
    """Whether a mark in `Annotated` may change which values are taken: pydantic's do it by a schema of their own."""
    return hasattr(mark, "__get_pydantic_core_schema__") and type(mark).__name__ not in _LATE


@functools.cache
def _class_is_opaque(cls: Any) -> bool:
    if hasattr(cls, "__pydantic_decorators__"):
        root = getattr(cls, "__pydantic_root_model__", False)
        return _takes_anything(cls) or (root and bool(_opaque_fields(cls)))
    # In other classes pydantic finds validators too; they stay as they were written.
    written = (getattr(each, "decorator_info", None) for base in cls.__mro__ for each in vars(base).values())
    early = any(getattr(info, "mode", None) in ("before", "wrap", "plain") for info in written)
    return early or hasattr(cls, "__get_pydantic_core_schema__")
