"""Equality type for type, written without the codec: `==` takes 1 for True, and a model for its generic twin."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import functools
import struct
from collections import OrderedDict, deque
from decimal import Decimal
from typing import Any

import msgspec
from pydantic import BaseModel, Secret, SecretBytes, SecretStr


def assert_exact(left: Any, right: Any, path: str = "config") -> None:
    """Fail unless both are the same, down to the types, nan, -0, fold, zones and what a model carries."""
    assert type(left) is type(right), f"{path}: {type(left)} is not {type(right)}"
    if isinstance(left, enum.Enum):
        assert left is right, path
    elif isinstance(left, float):
        assert struct.pack("d", left) == struct.pack("d", right), path
    elif isinstance(left, (complex, Decimal)):
        assert repr(left) == repr(right), path
    elif isinstance(left, (SecretStr, SecretBytes, Secret)):
        assert_exact(left.get_secret_value(), right.get_secret_value(), f"{path}.secret")
    elif isinstance(left, (dt.datetime, dt.time)):
        assert left.replace(tzinfo=None) == right.replace(tzinfo=None), path
        assert left.fold == right.fold, f"{path}.fold"
        assert_exact(left.tzinfo, right.tzinfo, f"{path}.tzinfo")
    elif isinstance(left, dt.timezone):
        assert left.__getinitargs__() == right.__getinitargs__(), path  # type: ignore[attr-defined]
    elif isinstance(left, (list, tuple, deque)):
        _assert_items(left, right, path)
    elif isinstance(left, (set, frozenset)):
        _assert_members(left, right, path)
    elif isinstance(left, (dict, OrderedDict)):
        _assert_items(list(left.items()), list(right.items()), path)
    else:
        _assert_object(left, right, path)


def _assert_items(left: Any, right: Any, path: str) -> None:
    assert len(left) == len(right), path
    for n, (one, other) in enumerate(zip(left, right, strict=True)):
        assert_exact(one, other, f"{path}[{n}]")


def _assert_members(left: Any, right: Any, path: str) -> None:
    rest = list(right)
    for one in left:
        found = next((n for n, other in enumerate(rest) if _is_exact(one, other)), None)
        assert found is not None, f"{path}: {one!r} is missing"
        del rest[found]
    assert not rest, path


def _is_exact(left: Any, right: Any) -> bool:
    try:
        assert_exact(left, right)
    except AssertionError:
        return False
    return True


def _assert_object(left: Any, right: Any, path: str) -> None:
    if isinstance(left, BaseModel):
        assert left.__pydantic_fields_set__ == right.__pydantic_fields_set__, f"{path}.fields_set"
        assert_exact(left.__pydantic_extra__, right.__pydantic_extra__, f"{path}.extra")
        assert_exact(left.__pydantic_private__, right.__pydantic_private__, f"{path}.private")
    if isinstance(left, msgspec.Struct) or dataclasses.is_dataclass(left):
        names = (
            left.__struct_fields__ if isinstance(left, msgspec.Struct) else [f.name for f in dataclasses.fields(left)]
        )
        for name in names:
            missing = object()
            one, other = getattr(left, name, missing), getattr(right, name, missing)
            assert (one is missing) == (other is missing) or one is not missing, f"{path}.{name}"
            assert_exact(one, other, f"{path}.{name}")
    elif not isinstance(left, BaseModel):
        assert left == right, path
    if hasattr(left, "__dict__") and (isinstance(left, BaseModel) or dataclasses.is_dataclass(left)):
        one, other = _state(left), _state(right)
        assert one.keys() == other.keys(), path
        for name in one:
            assert_exact(one[name], other[name], f"{path}.{name}")


def _state(value: Any) -> dict[str, Any]:
    cls = type(value)
    return {
        name: part
        for name, part in vars(value).items()
        if not isinstance(getattr(cls, name, None), functools.cached_property)
    }
