"""The text by which contents are compared: equal for equal values in every process, and no secret hides in it."""

from __future__ import annotations

import dataclasses
import enum
from typing import Any

import pydantic
import pytest
from pydantic import SecretStr

from confcast.config.base_settings.places import revealed


class Login(pydantic.BaseModel):
    user: str = ""
    token: SecretStr = SecretStr("")


@dataclasses.dataclass(slots=True, frozen=True)
class Key:
    token: SecretStr


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Odd:
    pass


@pytest.mark.parametrize(
    "make",
    [
        lambda text: {"a": [text, 1]},
        lambda text: {text: 1},
        SecretStr,
        lambda text: Login(token=SecretStr(text)),
        lambda text: {"a": (Key(SecretStr(text)),)},
        lambda text: {SecretStr(text), SecretStr("other")},
        lambda text: Colour(text),
    ],
)
def test_other_values_have_another_text_and_equal_ones_the_same(make: Any) -> None:
    assert revealed(make("red")) == revealed(make("red"))
    assert revealed(make("red")) != revealed(make("blue"))


def test_neither_an_address_nor_the_order_of_a_set_is_in_it() -> None:
    assert revealed(Odd()) == revealed(Odd())
    assert revealed({"b", "a", "c"}) == "{'a', 'b', 'c'}"
