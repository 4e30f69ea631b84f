"""`select`: an observer is called for its part when that changed by type and encoding, as the owner's diff says."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from confcast import Replica
from confcast.worker.observers.subscription import Sameness


class Part(BaseModel):
    number: int = 1
    words: list[str] = []


class Settings(BaseModel):
    value: Any = None
    part: Part = Part()
    secret: SecretStr = SecretStr("")


class Made:
    """What a `select` may make: of no class that the schema names."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Made) and other.number == self.number

    __hash__ = None  # type: ignore[assignment]


@dataclasses.dataclass
class Unfit:
    hook: Any = None
    made: Made | None = None  # no codec can be had


NAN = float("nan")


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        (1, 1, True),
        (1, True, False),
        ([1], [True], False),
        ([1], [1.0], False),
        ({"a": (0.0,)}, {"a": (-0.0,)}, False),
        ([NAN], [float("nan")], True),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ({True: 1}, {1: 1}, False),
        ({1, 2}, {2, 1}, True),
        (Part(), Part(number=1), True),
        (Part(number=1), Part(number=True), True),  # the validator made it 1
        (Part.model_construct(number=1), Part.model_construct(number=True), False),
        (SecretStr("a"), SecretStr("a"), True),
        (SecretStr("a"), SecretStr("b"), False),
        (dt.time(2, fold=0), dt.time(2, fold=1), False),
        (Made(1), Made(1), True),
        (Made(1), Made(2), False),
        ([Part(), Made(1)], [Part(), Made(1)], True),
        (None, None, True),
        (None, 0, False),
    ],
)
def test_parts_are_compared_by_type_and_encoding(old: Any, new: Any, same: bool) -> None:
    assert Sameness(Settings)(old, new) is same


def test_where_the_schema_has_no_codec_parts_are_compared_by_equality() -> None:
    assert Sameness(Unfit)([1], [1])
    assert not Sameness(Unfit)([1], [2])


def test_an_observer_of_a_part_is_called_for_exactly_its_changes() -> None:
    replica = Replica(Settings, name="sameness")
    received: list[tuple[Any, Any]] = []
    with replica.override(Settings(value=[1])) as fake:
        replica.subscribe(lambda old, new: received.append((old, new)), select=lambda config: config.value)
        for value in ([1], [True], [True], [NAN], [NAN * 2], {"a": 1}):
            fake.push(Settings(value=value, part=Part(number=len(received) + 5)))
    assert [repr(new) for _, new in received] == ["[True]", "[nan]", "{'a': 1}"]
