"""Texts that would be infinite numbers: found among any number of texts that are none, for next to nothing each."""

from __future__ import annotations

import math
from typing import Any

import pytest
from pydantic import BaseModel

from confcast.config.validation import infinite
from tests.support.calls import calls


class Settings(BaseModel):
    numbers: list[float] = []
    texts: dict[str, str] = {}
    anything: Any = None


@pytest.mark.parametrize(
    "text", ["1e309", "-1.5E999", " 1e+400\n", "9" * 309, "1" + "0" * 400 + ".5", "1_0e400", ".1e999"]
)
def test_a_number_that_is_too_large_is_found_where_a_float_belongs(text):
    assert math.isinf(float(text))
    data = {"numbers": ["1.5", text], "texts": {"a": text}, "anything": [text]}
    assert [error.path for error in infinite.check(Settings, data)] == [("numbers", 1)]


@pytest.mark.parametrize(
    "text", ["1.5e308", "9" * 308, "inf", "-Infinity", "nan", "10.0.0.1", "1e400x", "e400", "1.2.3e999", ""]
)
def test_what_is_no_such_number_is_not(text):
    assert list(infinite.check(Settings, {"numbers": [text]})) == []


def test_the_type_of_a_text_that_is_no_such_number_is_not_asked_for():
    """It costs ten times what looking at the text does, and a large configuration may be full of addresses."""
    data = {"texts": {f"b{n}": f"10.0.0.{n}" for n in range(100)} | {"v": "1.2.3e5", "d": "2024-01-02", "n": "1" * 200}}
    assert calls(lambda: list(infinite.check(Settings, data)), of_file="annotations.py") == 0
