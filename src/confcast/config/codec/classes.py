"""Takes instances of dataclasses, Structs and NamedTuples apart into rows, and makes instances of rows.

Guaranteed: making an instance runs none of the user's code: no `__init__`, `__post_init__`, `model_post_init`,
validator or default factory. Objects are made by `object.__new__` and their state is set. The C code of a Struct
prevents that: a Struct is made by its constructor if it has no `__post_init__`, otherwise by copying a blank instance.

Rejected: `model_construct` (it runs `model_post_init` and default factories), `copy`/`pickle` protocols (users
define them), and msgspec's own decoding of Structs (it runs `__post_init__` and enforces `Meta`).
"""

from __future__ import annotations

import dataclasses
import operator
import types
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, NamedTuple

import msgspec

from confcast.config.codec.leaves import Unsupported
from confcast.config.schema.generics import hints_of


def nothing_to_forget(row: list[Any]) -> None:
    """Leave a row unchanged: only pydantic models know which fields were set."""


def no_members(cls: Any) -> dict[str, Any]:
    """No parts: for kinds whose members are all fields."""
    return {}


def never_changes(cls: Any) -> str:
    """Not changeable: for kinds whose instances have no state that could be set."""
    return ""


def unless(is_frozen: bool, cls: Any) -> str:
    """Changeable, unless the class is frozen."""
    return "" if is_frozen else f"{cls.__qualname__} is not frozen"


@dataclasses.dataclass(frozen=True, slots=True)
class Shape:
    """The functions that serialise instances of one class, as a row that starts with the index of the class.

    Attributes:
        cls: The class.
        index: Its index in the table of classes.
        take: Makes a row from an instance. Raises Unsupported if the instance lacks a part.
        make: Makes an instance from a row and consumes the row. Any error means that the row is not of this class.
        parts: Returns the parts of an instance by name, in order: fields, then whatever else it holds.
        forget_fields_set: Changes a row to that of an equal instance with every field set; see `writers`.
        values: Returns the values of an instance as they stand at the end of its row, without a look at anything else
            that it holds. None: an instance is one value, and is never taken apart by a patch.
        header: How many items of a row stand before the values.
    """

    cls: type
    index: int
    take: Callable[[Any], list[Any]]
    make: Callable[[list[Any]], Any]
    parts: Callable[[Any], dict[str, Any]]
    forget_fields_set: Callable[[list[Any]], None] = nothing_to_forget
    values: Callable[[Any], list[Any]] | None = None
    header: int = 0


class Kind(NamedTuple):
    """A kind of class that the codec has a way to serialise.

    Attributes:
        name: The name of the kind in fingerprints.
        shape: Makes the shape of a class and its index. Raises Unsupported when its instances can't be rebuilt.
        members: Gives the annotations of those parts of a class that `schema.fields_of` does not name.
        changeable: Why instances of a class can't be one object in two versions, as a part of a sentence; "" if they
            can. `patch.py` has the rule.
    """

    name: str
    shape: Callable[[Any, int], Shape]
    members: Callable[[Any], dict[str, Any]] = no_members
    changeable: Callable[[Any], str] = never_changes


def getter_of(names: tuple[str, ...], getter: Callable[..., Any]) -> Callable[[Any], tuple[Any, ...]]:
    """An `itemgetter` or `attrgetter` of any number of names that always returns a tuple."""
    if not names:
        return lambda value: ()
    if len(names) == 1:
        get = getter(*names)
        return lambda value: (get(value),)
    found: Callable[[Any], tuple[Any, ...]] = getter(*names)
    return found


def not_serialisable_of(cls: type) -> frozenset[str]:
    """Names in `__dict__` that are not serialised: caches, which workers compute again, and typing's `__orig_class__`.

    A name that is a cache in a base and something else in the class is serialised. `Box[int](1)` leaves
    `__orig_class__` in the dict of a dataclass; an instance that comes from a file does not have it.
    """
    members = {name: value for base in reversed(cls.__mro__) for name, value in vars(base).items()}
    caches = (name for name, value in members.items() if isinstance(value, cached_property))
    return frozenset({"__orig_class__", *caches})


# ---- dataclasses, of the standard library and of pydantic


def _slots_of(cls: type) -> dict[str, types.MemberDescriptorType]:
    return {
        name: value
        for base in reversed(cls.__mro__)
        for name, value in vars(base).items()
        if isinstance(value, types.MemberDescriptorType)
    }


def _dataclass_shape(cls: Any, index: int) -> Shape:
    _refuse_unless_blank_can_be_made(cls)
    fields = tuple(field.name for field in dataclasses.fields(cls))
    slots = _slots_of(cls)
    if slots or not cls.__dictoffset__:
        return _slotted_shape(cls, index, fields, slots)
    return _open_shape(cls, index, fields)


def _refuse_unless_blank_can_be_made(cls: Any) -> None:
    if getattr(cls, "__abstractmethods__", None):
        return  # no instance of exactly this class exists
    try:
        object.__new__(cls)
    except TypeError as error:
        raise Unsupported(f"{cls.__qualname__} can't be rebuilt without running its code ({error})") from None


def _open_shape(cls: Any, index: int, names: tuple[str, ...]) -> Shape:
    """The shape of a dataclass with a `__dict__`. A row's header is -1, or a mask of its fields and other entries."""
    count, left_out = len(names), not_serialisable_of(cls)
    get = getter_of(names, operator.itemgetter)
    new: Callable[[Any], Any] = object.__new__

    def take(value: Any) -> list[Any]:
        state = value.__dict__
        if len(state) == count and state.keys() >= known:
            return [index, -1, *get(state)]
        there = sum(1 << n for n, name in enumerate(names) if name in state)
        rest = {name: item for name, item in state.items() if name not in known and name not in left_out}
        header: Any = [there, rest] if rest or there != everything else -1
        return [index, header, *(state.get(name) for name in names)]

    def make(row: list[Any]) -> Any:
        header = row[1]
        state = dict(zip(names, row[2:], strict=True))
        if header != -1:
            there, rest = header
            state = {name: item for n, (name, item) in enumerate(state.items()) if there >> n & 1} | rest
        value = new(cls)
        value.__dict__.update(state)
        return value

    def parts(value: Any) -> dict[str, Any]:
        state = value.__dict__
        ordered = {name: state[name] for name in names if name in state}
        return ordered | {name: item for name, item in state.items() if name not in left_out}

    def values(value: Any) -> list[Any]:
        state = value.__dict__
        return [state.get(name) for name in names]

    known, everything = frozenset(names), (1 << count) - 1
    return Shape(cls, index, take, make, parts, values=values, header=2)


def _slotted_shape(cls: Any, index: int, fields: tuple[str, ...], slots: dict[str, Any]) -> Shape:
    """The shape of a dataclass with slots. A row's header is -1, or the entries of a `__dict__` that it has, too."""
    slots = {name: slot for name, slot in slots.items() if name not in ("__dict__", "__weakref__")}
    names = tuple(dict.fromkeys([*(name for name in fields if name in slots), *slots]))
    left_out, has_dict = not_serialisable_of(cls) - frozenset(fields), cls.__dictoffset__ != 0
    new: Callable[[Any], Any] = object.__new__

    def in_slots(value: Any) -> Iterator[Any]:
        for name in names:
            try:
                yield slots[name].__get__(value)
            except AttributeError:
                raise Unsupported(f"this {cls.__qualname__} has no value for {name}; give every slot one") from None

    def in_dict(value: Any) -> dict[str, Any]:
        return {name: item for name, item in value.__dict__.items() if name not in left_out} if has_dict else {}

    def take(value: Any) -> list[Any]:
        rest = in_dict(value)
        return [index, [-1, rest] if rest else -1, *in_slots(value)]

    def make(row: list[Any]) -> Any:
        _, rest = row[1] if type(row[1]) is list else (-1, {})
        value = new(cls)
        for name, item in zip(names, row[2:], strict=True):
            slots[name].__set__(value, item)
        if rest:
            value.__dict__.update(rest)
        return value

    def parts(value: Any) -> dict[str, Any]:
        found = dict(zip(names, in_slots(value), strict=True)) | in_dict(value)
        return {name: found[name] for name in dict.fromkeys([*fields, *found]) if name in found}

    return Shape(cls, index, take, make, parts, values=lambda value: list(in_slots(value)), header=2)


# ---- msgspec Structs


def _struct_shape(cls: Any, index: int) -> Shape:
    names: tuple[str, ...] = cls.__struct_fields__
    get = getter_of(names, operator.attrgetter)
    build = _struct_builder(cls, names)

    def take(value: Any) -> list[Any]:
        try:
            return [index, *get(value)]
        except AttributeError as error:
            raise Unsupported(f"this {cls.__qualname__} is not complete: {error}; give every field a value") from None

    def make(row: list[Any]) -> Any:
        return build(dict(zip(names, row[1:], strict=True)))

    def parts(value: Any) -> dict[str, Any]:
        return dict(zip(names, take(value)[1:], strict=True))

    return Shape(cls, index, take, make, parts, values=lambda value: list(get(value)), header=1)


def _struct_builder(cls: Any, names: tuple[str, ...]) -> Callable[[dict[str, Any]], Any]:
    if cls.__dictoffset__:
        raise Unsupported(
            f"{cls.__qualname__} is a Struct with dict=True, whose dict would be lost; declare every field"
        )
    if not hasattr(cls, "__post_init__"):
        return lambda values: cls(**values)
    if cls.__struct_config__.cache_hash:
        raise Unsupported(f"{cls.__qualname__} is a Struct with cache_hash=True and __post_init__; drop one of them")
    blank = _blank_struct(cls, names)
    base: Any = msgspec.Struct
    copy, fill = base.__copy__, msgspec.structs.force_setattr  # not the class's own __copy__

    def build(values: dict[str, Any]) -> Any:
        value = copy(blank)
        for name, item in values.items():
            fill(value, name, item)
        return value

    return build


def _blank_struct(cls: Any, names: tuple[str, ...]) -> Any:
    """A Struct's instance, made without `__post_init__`: of a subclass that has none, whose `__class__` is then set."""
    try:
        quiet = type(cls)(cls.__name__, (cls,), {"__post_init__": lambda self: None})
        blank = quiet(**dict.fromkeys(names))
        vars(object)["__class__"].__set__(blank, cls)  # plain assignment fails for a frozen Struct
    except TypeError as error:
        raise Unsupported(f"{cls.__qualname__} can't be rebuilt without running its __post_init__ ({error})") from None
    return blank


# ---- named tuples


def _named_tuple_shape(cls: Any, index: int) -> Shape:
    if cls.__dictoffset__:
        raise Unsupported(
            f"{cls.__qualname__} is a NamedTuple with a __dict__, which would be lost; give it __slots__ = ()"
        )
    names: tuple[str, ...] = cls._fields
    new: Callable[[Any, Any], Any] = tuple.__new__

    def make(row: list[Any]) -> Any:
        if len(row) != len(names) + 1:
            raise ValueError
        return new(cls, row[1:])

    def parts(value: Any) -> dict[str, Any]:
        return dict(zip(names, value, strict=True))

    return Shape(cls, index, lambda value: [index, *value], make, parts, values=list, header=1)


DATACLASS = Kind("dataclass", _dataclass_shape, changeable=lambda cls: unless(cls.__dataclass_params__.frozen, cls))
STRUCT = Kind("struct", _struct_shape, changeable=lambda cls: unless(cls.__struct_config__.frozen, cls))
NAMED_TUPLE = Kind("namedtuple", _named_tuple_shape, hints_of)
