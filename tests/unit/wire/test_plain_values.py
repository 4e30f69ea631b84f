"""Values of a program as plain data for a message."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from pydantic import SecretBytes, SecretStr

from confcast.wire.plain_values import plain_values


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        ("1", "1"),
        (2**64 - 1, 2**64 - 1),
        (MappingProxyType({"a": (1, None, 1.5, True)}), {"a": [1, None, 1.5, True]}),
        (SecretStr("hunter2"), "hunter2"),
        ([SecretBytes(b"hunter2")], [b"hunter2"]),
        ({SecretStr("a"): 1}, {"a": 1}),
        (dt.date(2026, 1, 2), "2026-01-02"),
        (dt.time(3, 4), "03:04:00"),
        (Path("/srv"), "/srv"),
    ],
)
def test_a_value_becomes_plain_data(value: Any, plain: Any) -> None:
    assert plain_values({"key": value}) == {"key": plain}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"a": [object()]}, "key.a\\[0\\] can't be set to a object: give plain data"),
        (2**64, "key can't be set to a int: give plain data"),
        ({1: 2}, "a key in key is a int: keys are text"),
    ],
)
def test_other_values_are_refused_by_key_and_type(value: Any, message: str) -> None:
    with pytest.raises(TypeError, match=f"^{message}"):
        plain_values({"key": value})
