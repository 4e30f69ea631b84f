"""Serialises pydantic models with everything that they hold, without running a validator.

A model has four slots: `__dict__` (fields, and what validators put there), `__pydantic_fields_set__`,
`__pydantic_extra__` and `__pydantic_private__`. The row of a model is its index, a header and the fields. The header is
-1 (every field set, nothing else held), a bit mask of the fields set, or a list: mask, other names in the set, extra,
private attributes, other entries of `__dict__`. Computed fields are functions, and are not serialised; values of
`cached_property` are computed again, and the bytes are the same whether a validator has read one or not.

Nothing here imports pydantic: a schema that is a model has imported it.
"""

from __future__ import annotations

import operator
import sys
import types
from collections.abc import Callable
from typing import Any, NoReturn

from confcast.config.codec.classes import Kind, Shape, getter_of, not_serialisable_of, unless
from confcast.config.codec.leaves import Unsupported
from confcast.config.schema.pydantic_members import hidden_members

MAX_MASKS = 256
"""How many combinations of set fields are kept per class; before more are added, all are dropped."""

_DICT_OR_NONE = (dict, types.NoneType)


def _set_fields_of(names: tuple[str, ...]) -> Callable[[int], set[str]]:
    """A function that returns the names of a bit mask, as a new set at each call."""
    everything = frozenset(names)
    known: dict[int, frozenset[str]] = {-1: everything}

    def set_fields(mask: int) -> set[str]:
        if mask not in known:
            if len(known) > MAX_MASKS:
                known.clear()
            known[mask] = frozenset(name for n, name in enumerate(names) if mask >> n & 1) if mask >= 0 else everything
        return set(known[mask])

    return set_fields


def _shape(cls: Any, index: int) -> Shape:
    """The shape of a model. Raises Unsupported when the class adds slots of its own."""
    _refuse_slots(cls)
    names = tuple(cls.__pydantic_fields__)
    take = _taker(cls, index, names)

    def parts(model: Any) -> dict[str, Any]:
        row = take(model)
        _, _, extra, private, rest = row[1] if type(row[1]) is list else (0, (), None, None, {})
        fields: dict[str, Any] = dict(zip(names, row[2:], strict=True))
        return {**fields, **(extra or {}), **rest, **(private or {})}

    def values(model: Any) -> list[Any]:
        return list(get(model.__dict__))

    get = getter_of(names, operator.itemgetter)
    return Shape(cls, index, take, _maker(cls, names), parts, _forgetter(cls), values, header=2)


def _taker(cls: Any, index: int, names: tuple[str, ...]) -> Callable[[Any], list[Any]]:
    fields, count, no_extra = frozenset(names), len(names), _no_extra(cls)
    get = getter_of(names, operator.itemgetter)
    bit = {name: 1 << n for n, name in enumerate(names)}.__getitem__
    full_header = _full_header(cls, names)

    def take(model: Any) -> list[Any]:
        try:
            state, fields_set = model.__dict__, model.__pydantic_fields_set__
            extra = model.__pydantic_extra__
            if (  # `_has_only_fields`, without its call: most models take this way
                len(state) == count
                and type(fields_set) is set
                and (extra is no_extra or (type(extra) is type(no_extra) and extra == no_extra))
                and model.__pydantic_private__ is None
            ):
                if fields_set == fields:
                    return [index, -1, *get(state)]
                if fields_set <= fields:
                    return [index, sum(map(bit, fields_set)), *get(state)]
            return [index, full_header(model), *get(state)]
        except (KeyError, AttributeError) as error:
            raise Unsupported(f"this {cls.__qualname__} was built without {error}; build it by validation") from None

    return take


def _has_only_fields(model: Any, no_extra: Any) -> bool:
    extra, fields_set = model.__pydantic_extra__, model.__pydantic_fields_set__
    return (
        model.__pydantic_private__ is None
        and type(fields_set) is set
        and type(extra) is type(no_extra)
        and extra == no_extra
    )


def _full_header(cls: Any, names: tuple[str, ...]) -> Callable[[Any], Any]:
    """A function that makes the header of a model which has more than fields, or the value of a cached property.

    A cached value changes no byte, so that a validator which reads a property does not change the digest.
    """
    fields, left_out, no_extra = frozenset(names), not_serialisable_of(cls), _no_extra(cls)

    def full_header(model: Any) -> Any:
        _refuse_other_types(model)
        fields_set, private = model.__pydantic_fields_set__, model.__pydantic_private__
        mask = -1 if fields_set >= fields else sum(1 << n for n, name in enumerate(names) if name in fields_set)
        rest = {name: item for name, item in vars(model).items() if name not in fields and name not in left_out}
        if private is not None:
            undefined = sys.modules["pydantic_core"].PydanticUndefined
            private = {name: item for name, item in private.items() if item is not undefined}
        if not rest and fields_set <= fields and _has_only_fields(model, no_extra):
            return mask
        return [mask, sorted(fields_set - fields), model.__pydantic_extra__, private, rest]

    return full_header


def _refuse_other_types(model: Any) -> None:
    """Refuse a model in which a validator has replaced pydantic's set or dicts by objects of another type.

    An object of another type may equal the set or dict, so comparing does not find it.
    """
    fields_set = model.__pydantic_fields_set__
    if type(fields_set) is not set or not {str}.issuperset(map(type, fields_set)):
        _refuse(model, "model_fields_set", fields_set, "a set of str")
    for name in ("__pydantic_extra__", "__pydantic_private__"):
        if type(getattr(model, name)) not in _DICT_OR_NONE:
            _refuse(model, name, getattr(model, name), "a dict")


def _refuse(model: Any, name: str, found: Any, expected: str) -> NoReturn:
    raise Unsupported(
        f"this {type(model).__qualname__} has a {type(found).__qualname__} for its {name}, which can't be carried to"
        f" the workers; leave it {expected}"
    )


def _forgetter(cls: Any) -> Callable[[list[Any]], None]:
    no_extra = _no_extra(cls)

    def forget_fields_set(row: list[Any]) -> None:
        if type(row[1]) is int or row[1][2:] == [no_extra, None, {}]:
            row[1] = -1
        else:
            row[1][:2] = [-1, []]

    return forget_fields_set


def _maker(cls: Any, names: tuple[str, ...]) -> Callable[[list[Any]], Any]:
    base = vars(sys.modules["pydantic.main"].BaseModel)
    set_dict, set_fields_set = base["__dict__"].__set__, base["__pydantic_fields_set__"].__set__
    set_extra, set_private = base["__pydantic_extra__"].__set__, base["__pydantic_private__"].__set__
    set_fields, everything, no_extra = _set_fields_of(names), set(names), _no_extra(cls)
    new: Callable[[Any], Any] = object.__new__

    def make(row: list[Any]) -> Any:
        header = row[1]
        del row[:2]
        state = dict(zip(names, row, strict=True))
        model = new(cls)
        if type(header) is int:
            set_fields_set(model, everything.copy() if header == -1 else set_fields(header))
            set_extra(model, None if no_extra is None else {})
            set_private(model, None)
        else:
            mask, others, extra, private, rest = header
            if type(extra) not in _DICT_OR_NONE or type(private) not in _DICT_OR_NONE:
                raise TypeError
            state.update(rest)
            set_fields_set(model, set_fields(mask).union(others))
            set_extra(model, extra)
            set_private(model, private)
        set_dict(model, state)
        return model

    return make


def _no_extra(cls: Any) -> dict[str, Any] | None:
    """Returns None: the value of `__pydantic_extra__` when there are no extra values."""
    return {} if cls.model_config.get("extra") == "allow" else None


def _refuse_slots(cls: Any) -> None:
    for base in cls.__mro__:
        if base.__module__ != "pydantic.main" and vars(base).get("__slots__"):
            raise Unsupported(f"{cls.__qualname__} adds __slots__ to a pydantic model; make them private attributes")


def _changeable(cls: Any) -> str:
    if cls.__private_attributes__:  # those of a frozen model can be set, too
        return f"{cls.__qualname__} has private attributes"
    return unless(bool(cls.model_config.get("frozen")), cls)


MODEL = Kind("model", _shape, hidden_members, _changeable)
