"""Reads from a type which keys a table may have, and which type the value at a path has.

The answers are for messages, and for the check that refuses what validators let pass (strictness.py). They never refuse
too much: where a validator may accept more than the annotations show (a `before` validator, `extra="allow"`, a schema
of the type's own), every key is allowed, and the validator decides.

For two questions, how a text is converted and which keys set one field, the answers show the type as it is written
(`written=True`), even where the user's code sees the value first: a `before` validator for a list expects the list that
a file would give it.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import functools
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, NamedTuple, Union

from confcast.config.schema.generics import given, hints_of, is_alias, range_of, substituted, value_of
from confcast.config.schema.key_path import KeyPath
from confcast.config.schema.kinds import TRANSPARENT, alias_of, fields_of, is_record, kind_of

_EARLY = {"BeforeValidator", "WrapValidator", "PlainValidator", "Json"}
_JSON = {"Json"}  # not a user's validator: the value is a text, which pydantic parses as the type inside
_LATE = ("AfterValidator", "Discriminator", "Tag")  # pydantic's metadata that changes no input


class Sought(NamedTuple):
    """A field whose value pydantic takes from the first of several paths that exists.

    Attributes:
        written: The type of the field's value, as it is written.
        paths: The paths in the order in which the library tries them.
    """

    written: Any
    paths: tuple[KeyPath, ...]


_NONE: Mapping[str, Sought] = types.MappingProxyType({})


class Keys(NamedTuple):
    """The keys of a table from which one class is made.

    Attributes:
        types: For each accepted key, in all its spellings, the type that its value may have; Any where the user's code
            sees the value first.
        written: The same without that exception: each value's type as the class declares it.
        names: For each key, the attribute that it sets.
        closed: Whether every other key is a mistake.
        allows: Whether other keys are kept (`extra="allow"`). If neither is true, the user's code may use them.
        plain: Whether the class is a stdlib dataclass, whose values pydantic converts more freely than declared.
        indirect: Keys in whose values fields are found (`AliasPath`), and keys of several fields.
        sought: By name, the fields that are found by an indirect key.
    """

    types: dict[str, Any]
    written: dict[str, Any]
    names: dict[str, str]
    closed: bool
    allows: bool = False
    plain: bool = False
    indirect: frozenset[str] = frozenset()
    sought: Mapping[str, Sought] = _NONE

    @property
    def choices(self) -> tuple[tuple[KeyPath, ...], ...]:
        """For each field that may be found further inside, the paths at which it may be."""
        return tuple(each.paths for each in self.sought.values() if any(len(path) > 1 for path in each.paths))


class Early:
    """Metadata that marks the type of a field whose validator sees the value before pydantic does."""


def strip(annotation: Any, *, written: bool = False) -> Any:
    """The type without the `Annotated`, `Final`, `Required`, aliases, `NewType` and root models around it.

    Returns Any if a user's validator sees the value first, unless `written`; for a type variable, its default, bound or
    constraints.
    """
    while (inner := _unwrapped(annotation, written=written)) is not annotation:
        annotation = inner
    return annotation


def members(annotation: Any, *, written: bool = False) -> tuple[Any, ...]:
    """The types that a value may have: the members of a union, or the type itself."""
    plain = strip(annotation, written=written)
    if typing.get_origin(plain) in (Union, types.UnionType):
        return tuple(member for part in typing.get_args(plain) for member in members(part, written=written))
    return (plain,)


def is_opaque(annotation: Any) -> bool:
    """Whether the user's code sees a value of the type, or of a member of it, before the library does.

    That code may accept values that the type does not show.
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


def is_ordered(kind: Any) -> bool:
    """Whether each item of a list of this type has a type of its own."""
    origin, arguments = typing.get_origin(kind) or kind, typing.get_args(kind)
    return isinstance(origin, type) and issubclass(origin, tuple) and arguments[-1:] != (Ellipsis,)


def child(annotation: Any, part: Any) -> Any:
    """The type of the value under a key or at an index; Any if the type does not say."""
    candidates = [found for member in members(annotation) if (found := _child(member, part)) is not None]
    return candidates[0] if len(candidates) == 1 else Any


def written_children(annotation: Any, part: Any) -> tuple[Any, ...]:
    """The types, as they are written, of the value under a key or at an index, one for each member of a union."""
    found = (_child(member, part, written=True) for member in members(annotation, written=True))
    return tuple(each for each in found if each is not None)


def hashable(annotations: Any) -> Any:
    """A type, or several, as a key of a dict; as text if metadata of an `Annotated` can't be hashed."""
    try:
        hash(annotations)
    except TypeError:
        return repr(annotations)
    return annotations


def type_at(annotation: Any, path: KeyPath) -> Any:
    """The type of the value at a path, or of the innermost value around it whose type is known."""
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
    given_types, written = (
        {key: substituted(hint, arguments) for key, hint in hints.items()} for hints in (keys.types, keys.written)
    )
    sought = {name: each._replace(written=substituted(each.written, arguments)) for name, each in keys.sought.items()}
    return keys._replace(types=given_types, written=written, sought=sought)


def _unwrapped(annotation: Any, *, written: bool = False) -> Any:
    """The type inside the outermost wrapping; the type itself if nothing is around it."""
    if isinstance(annotation, type):  # most are: nothing but a root model is a class, and wraps another one
        root = getattr(annotation, "__pydantic_root_model__", False)
        return annotation.__pydantic_fields__["root"].annotation if root else annotation  # type: ignore[attr-defined]
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated and _has_mark(annotation.__metadata__, _JSON if written else _EARLY):
        return Any
    if origin is typing.Annotated or getattr(origin, "_name", None) in TRANSPARENT:
        return typing.get_args(annotation)[0]
    if isinstance(annotation, typing.NewType):
        return annotation.__supertype__
    if is_alias(annotation):
        return value_of(annotation)
    if isinstance(annotation, typing.TypeVar):
        return range_of(annotation)
    return annotation


def _child(member: Any, part: Any, *, written: bool = False) -> Any:
    keys = keys_of(member)
    if keys is not None:
        hints = keys.written if written else keys.types
        return hints.get(part) if isinstance(part, str) else _item(member, hints, part)
    origin, arguments = typing.get_origin(member), typing.get_args(member)
    if not isinstance(origin, type) or not arguments or not issubclass(origin, collections.abc.Iterable):
        return None
    if issubclass(origin, collections.abc.Mapping):
        return arguments[1] if len(arguments) == 2 else None
    if origin is tuple and arguments[-1] is not Ellipsis:
        return arguments[part] if isinstance(part, int) and part < len(arguments) else None
    return arguments[0] if isinstance(part, int) else None


def _item(member: Any, hints: dict[str, Any], part: Any) -> Any:
    """The type at an index of a NamedTuple, for which a list may be given."""
    cls = typing.get_origin(member) or member
    listed = issubclass(cls, tuple) and isinstance(part, int) and part < len(hints)
    return list(hints.values())[part] if listed else None


@functools.cache
def _keys_of(cls: type) -> Keys | None:
    if is_record(cls):
        return _record_keys(cls, hints_of(cls))
    fields = fields_of(cls)
    if fields is None or getattr(cls, "__pydantic_root_model__", False):
        return None
    kind = kind_of(cls)
    if kind == "struct":
        return _struct_keys(cls)
    if kind == "dataclass":
        inputs = {field.name for field in dataclasses.fields(cls) if field.init}
        found = {field.name: field.annotation for field in fields if field.name in inputs}
        # An InitVar is a key, since __init__ takes it, but no field.
        only = {name: Any for name in getattr(cls, "__dataclass_fields__", {}) if name not in {f.name for f in fields}}
        return _record_keys(cls, found | only)._replace(plain=True)
    return _pydantic_keys(cls)


def _record_keys(cls: Any, hints: dict[str, Any]) -> Keys:
    """The keys of a TypedDict, NamedTuple or dataclass, whose annotations are all that pydantic reads."""
    config = _config(cls)
    found = _Collected()
    for name, hint in hints.items():
        found.add(name, _spellings(name, alias_of(cls, name, hint, config), config), hint, hint)
    allows = config.get("extra") == "allow"
    return found.keys(closed=not allows, allows=allows)


def _config(cls: Any) -> Any:
    for name in ("model_config", "__pydantic_config__"):
        config = getattr(cls, name, None)
        if isinstance(config, dict):
            return config
    return {}


def _struct_keys(cls: Any) -> Keys:
    fields = fields_of(cls) or ()
    types_ = {field.key: field.annotation for field in fields}
    names = {field.key: field.name for field in fields}
    tag = cls.__struct_config__.tag_field
    if tag is not None and tag not in types_:
        types_[tag], names[tag] = Literal[cls.__struct_config__.tag], tag
    return Keys(types_, types_, names, closed=True)


def _pydantic_keys(cls: Any) -> Keys:
    config = _config(cls)
    annotations = {field.name: field.annotation for field in fields_of(cls) or ()}
    opaque, found = _opaque_fields(cls), _Collected()
    for name, field in cls.__pydantic_fields__.items():
        alias = field.validation_alias if field.validation_alias is not None else field.alias
        hint = written = Any if _has_mark(field.metadata, _JSON) else annotations[name]
        if name in opaque:
            hint, written = Any, Annotated[written, Early]
        found.add(name, _spellings(name, alias, config), hint, written)
    allows = config.get("extra") == "allow"
    return found.keys(closed=not allows and not _takes_anything(cls), allows=allows)


class _Collected:
    """Collects the keys of one class."""

    def __init__(self) -> None:
        self._types: dict[str, Any] = {}
        self._written: dict[str, Any] = {}
        self._names: dict[str, str] = {}
        self._indirect: set[str] = set()
        self._fields: dict[str, Sought] = {}

    def add(self, name: str, paths: list[KeyPath], hint: Any, written: Any) -> None:
        for path in paths:
            key, whole = path[0], len(path) == 1
            if not whole or self._names.get(key, name) != name:
                self._indirect.add(key)  # a key of two fields has no single type
                whole = False
            self._types[key], self._written[key] = (hint, written) if whole else (Any, Any)
            self._names[key] = name
        self._fields[name] = Sought(written, tuple(paths))

    def keys(self, *, closed: bool, allows: bool) -> Keys:
        indirect = frozenset(self._indirect)
        sought = {name: each for name, each in self._fields.items() if any(path[0] in indirect for path in each.paths)}
        return Keys(self._types, self._written, self._names, closed, allows, indirect=indirect, sought=sought)


def _spellings(name: str, alias: Any, config: Any) -> list[KeyPath]:
    """The paths at which pydantic finds a field; the first that exists counts."""
    by_alias = config.get("validate_by_alias", True)  # pydantic never does without both
    by_name = alias is None or not by_alias or config.get("populate_by_name") or config.get("validate_by_name")
    found: list[KeyPath] = []
    if by_alias:
        choices = getattr(alias, "choices", None) or ([] if alias is None else [alias])
        found = [tuple(getattr(choice, "path", [choice])) for choice in choices]
    return found + ([(name,)] if by_name else [])


def _opaque_fields(cls: Any) -> set[str]:
    """The fields with a user's validator that sees the value before pydantic does, and may turn it into another."""
    early = {"before", "wrap", "plain"}
    decorators = cls.__pydantic_decorators__.field_validators.values()
    found = {name for each in decorators if each.info.mode in early for name in each.info.fields}
    found |= {name for name, field in cls.__pydantic_fields__.items() if _has_mark(field.metadata, _EARLY)}
    return set(cls.__pydantic_fields__) if "*" in found else found


def _has_mark(metadata: Iterable[Any], names: set[str]) -> bool:
    return any((mark if isinstance(mark, type) else type(mark)).__name__ in names for mark in metadata)


def _takes_anything(cls: Any) -> bool:
    """Whether the user's code sees the table before pydantic does, and so may rename its keys."""
    modes = {each.info.mode for each in cls.__pydantic_decorators__.model_validators.values()}
    own = (base for base in cls.__mro__ if not base.__module__.startswith("pydantic."))
    own_schema = any("__get_pydantic_core_schema__" in vars(base) for base in own)
    return bool(modes & {"before", "wrap"}) or own_schema


def _is_early(mark: Any) -> bool:
    """Whether metadata in `Annotated` may change which values are accepted. pydantic's own brings a schema with it."""
    return mark is Early or (hasattr(mark, "__get_pydantic_core_schema__") and type(mark).__name__ not in _LATE)


@functools.cache
def _class_is_opaque(cls: Any) -> bool:
    if hasattr(cls, "__pydantic_decorators__"):
        root = getattr(cls, "__pydantic_root_model__", False)
        return _takes_anything(cls) or (root and bool(_opaque_fields(cls)))
    # pydantic also finds validators of other classes, as long as they are the decorators' own objects.
    written = (getattr(each, "decorator_info", None) for base in cls.__mro__ for each in vars(base).values())
    early = any(getattr(info, "mode", None) in ("before", "wrap", "plain") for info in written)
    return early or hasattr(cls, "__get_pydantic_core_schema__")
