"""Turns a value into data that msgspec encodes without further help, by the value's type and never by an annotation.

`Writers` maps a type to the function that writes its values. A table of classes has three `Writers`:

- the fast one assumes that every int has 64 bits and UTF-8 has every str; msgspec raises when that is wrong,
- the careful one checks each int and str, and writes the same bytes where the fast one succeeds,
- the comparing one also leaves out `model_fields_set` and sorts dicts by their keys: equal bytes, equal values.

Guaranteed: sets are written in the order of their members' bytes, so that equal values have equal bytes; nesting
deeper than `MAX_DEPTH`, and so every cycle, ends in `Unsupported`. Rejected: one writer with a mutable "careful" flag
(two threads would share it), and msgspec's `enc_hook` (it is not called for tuple, set, datetime, Enum, …).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import NoneType
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec.msgpack import Ext

from confcast.config.codec.classes import Shape
from confcast.config.codec.leaves import (
    BIG_INT,
    BY_CODE,
    DICT,
    FROZENSET,
    OBJECT,
    SET,
    TEXT,
    TUPLE,
    Leaf,
    Unsupported,
    leaf_of,
)

Writer: TypeAlias = Callable[[Any, int], Any]
Plan: TypeAlias = tuple[tuple[int, Writer], ...]
Mode: TypeAlias = Literal["fast", "careful", "comparing"]

MAX_DEPTH = 200
"""The most levels of nesting; far below Python's recursion limit, which writing and reading each level uses."""

MAX_PLANS = 1024
"""How many combinations of value types are kept per class; before more are added, all are dropped."""

NATIVE = frozenset({NoneType, bool, int, float, str, bytes})
_NATIVE_WHEN_CAREFUL = NATIVE - {int, str}
_STR = frozenset({str})

encode = msgspec.msgpack.Encoder().encode


class Writers(dict[type, Writer]):
    """Type → writer, filled when the first value of a type is written. Threads may share it: entries are only added."""

    def __init__(self, shapes: Mapping[type, Shape], mode: Mode) -> None:
        super().__init__()
        self._shapes = shapes
        self._mode = mode
        self._native = NATIVE if mode == "fast" else _NATIVE_WHEN_CAREFUL
        self.update(dict.fromkeys(NATIVE, _as_it_is))
        if mode != "fast":
            self.update({int: _write_int, str: _write_str})
        self.update({list: self._write_list, dict: self._write_dict, tuple: self._write_tuple})
        self.update({set: self._set_writer(SET), frozenset: self._set_writer(FROZENSET)})

    def __missing__(self, cls: type) -> Writer:
        shape = self._shapes.get(cls)
        if shape is not None:
            writer = self._object_writer(shape)
        elif (leaf := leaf_of(cls)) is not None:
            writer = self._leaf_writer(leaf)
        else:
            raise Unsupported(cls.__qualname__)
        self[cls] = writer
        return writer

    def _write_list(self, value: Iterable[Any], depth: int) -> Any:
        if self._native.issuperset(map(type, value)):
            return value
        if depth > MAX_DEPTH:
            raise Unsupported("too deep")
        depth += 1
        return [self[type(item)](item, depth) for item in value]

    def _write_tuple(self, value: Any, depth: int) -> Any:
        if self._native.issuperset(map(type, value)):
            return Ext(TUPLE, encode(value))
        return Ext(TUPLE, encode(self._write_list(value, depth)))

    def _set_writer(self, code: int) -> Writer:
        def write(value: Iterable[Any], depth: int) -> Any:
            if depth > MAX_DEPTH:
                raise Unsupported("too deep")
            members = sorted(encode(self[type(item)](item, depth + 1)) for item in value)
            return Ext(code, encode([msgspec.Raw(member) for member in members]))

        return write

    def _write_dict(self, value: dict[Any, Any], depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise Unsupported("too deep")
        depth += 1
        if not self._is_table(value):
            return self._write_pairs(value, depth)
        if self._native.issuperset(map(type, value.values())):
            return value
        return {key: self[type(item)](item, depth) for key, item in value.items()}

    def _is_table(self, value: dict[Any, Any]) -> bool:
        """Whether a msgpack map can hold a dict unchanged: every key is a str that UTF-8 can encode."""
        if self._mode == "comparing" or not _STR.issuperset(map(type, value)):
            return False
        return self._mode == "fast" or all(_write_str(key, 0) is key for key in value)

    def _write_pairs(self, value: dict[Any, Any], depth: int) -> Any:
        pairs = [
            (encode(self[type(key)](key, depth)), encode(self[type(item)](item, depth))) for key, item in value.items()
        ]
        if self._mode == "comparing":
            pairs.sort()
        return Ext(DICT, encode([msgspec.Raw(part) for pair in pairs for part in pair]))

    def _leaf_writer(self, leaf: Leaf) -> Writer:
        code, take = leaf.code, leaf.take

        def write(value: Any, depth: int) -> Any:
            return Ext(code, encode(take(value)))

        def write_deep(value: Any, depth: int) -> Any:
            if depth > MAX_DEPTH:
                raise Unsupported("too deep")
            parts = take(value)
            return Ext(code, encode(self[type(parts)](parts, depth + 1)))

        return write_deep if leaf.deep or self._mode != "fast" else write

    def _object_writer(self, shape: Shape) -> Writer:
        take, comparing = shape.take, self._mode == "comparing"
        plans: dict[tuple[type, ...], Plan] = {}

        def write(value: Any, depth: int) -> Any:
            row = take(value)
            if comparing:
                shape.forget_fields_set(row)
            types = tuple(map(type, row))
            plan = plans.get(types)
            if plan is None:
                plan = self._plan(types, plans)
            if plan:
                if depth > MAX_DEPTH:
                    raise Unsupported("too deep")
                for position, writer in plan:
                    row[position] = writer(row[position], depth + 1)
            return Ext(OBJECT, encode(row))

        return write

    def _plan(self, types: tuple[type, ...], plans: dict[tuple[type, ...], Plan]) -> Plan:
        if len(plans) >= MAX_PLANS:
            plans.clear()
        plan = plans[types] = tuple((n, self[cls]) for n, cls in enumerate(types) if cls not in self._native)
        return plan


def _as_it_is(value: Any, depth: int) -> Any:
    return value


def _write_int(value: int, depth: int) -> Any:
    if -(2**63) <= value < 2**64:
        return value
    return Ext(BIG_INT, encode(BY_CODE[BIG_INT].take(value)))


def _write_str(value: str, depth: int) -> Any:
    try:
        value.encode()
    except UnicodeEncodeError:
        return Ext(TEXT, encode(BY_CODE[TEXT].take(value)))
    return value
