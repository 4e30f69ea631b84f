"""What validators leave on an object, and objects that only look like what they are: carried exactly, or refused."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import enum
import functools
import io
import json
import struct
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import pydantic
import pytest
from pydantic import BaseModel, ConfigDict, PrivateAttr, model_validator

from confcast import ConfigError, ConfigLoader
from confcast.config.codec import Codec
from confcast.errors import NotCarried
from tests.unit.config.codec.exactness import assert_exact

# ---- values of cached_property


class Doubling:
    n: int

    @functools.cached_property
    def double(self) -> int:
        return self.n * 2

    @functools.cached_property
    def unlike(self) -> object:
        return iter([self.n])


class Model(BaseModel, Doubling):
    n: int

    @functools.cached_property
    def double(self) -> int:
        return self.n * 2

    @model_validator(mode="after")
    def _look(self) -> Any:
        if self.double > 100:
            raise ValueError("too much")
        return self


class Extra(BaseModel, Doubling, extra="allow"):
    n: int
    other: int = 1

    def model_post_init(self, context: Any) -> None:
        assert self.double, self.unlike


class Private(BaseModel, Doubling, frozen=True):
    n: int
    _seen: tuple[int, ...] = PrivateAttr(())
    _left: int = PrivateAttr()

    @model_validator(mode="after")
    def _look(self) -> Any:
        self._seen = (self.double, self.n)
        return self


class Untidy(BaseModel, Doubling):
    n: int

    @model_validator(mode="after")
    def _look(self) -> Any:
        self.__dict__["note"] = (self.double,)
        self.model_fields_set.add("note")
        return self


@pydantic.dataclasses.dataclass
class Checked(Doubling):
    n: int

    @model_validator(mode="after")
    def _look(self) -> Any:
        assert self.double, self.unlike
        return self


@pydantic.dataclasses.dataclass(frozen=True, config=ConfigDict(extra="allow"))
class Frozen(Doubling):
    n: int

    def __post_init__(self) -> None:
        assert self.double


@dataclasses.dataclass
class Plain(Doubling):
    n: int

    def __post_init__(self) -> None:
        assert self.double, self.unlike


@dataclasses.dataclass(slots=True)
class Slots:
    n: int

    def __post_init__(self) -> None:
        if isinstance(self, Doubling):
            assert self.double


class SlotsAndDict(Slots, Doubling):
    """Its fields are in slots, its cache in a `__dict__`."""


@pytest.mark.parametrize("schema", [Model, Extra, Private, Untidy, Checked, Frozen, Plain, SlotsAndDict])
def test_a_cached_value_that_a_validator_has_read_is_no_part_of_what_travels(schema, tmp_path):
    path = tmp_path / "app.json"
    path.write_text(json.dumps({"n": 3}))
    config = ConfigLoader(schema, path).load().config
    assert config.double == 6
    codec = Codec(schema)
    payload = codec.encode(config)
    assert config.unlike
    assert codec.encode(config) == payload  # not either when it is read later
    back = codec.decode(payload)
    assert "double" not in vars(back)
    assert back.double == 6
    assert_exact(config, back)
    assert codec.comparable(back) == codec.comparable(config)


def test_only_the_fields_that_were_set_are_so_where_a_cached_value_was_read():
    config = Extra(n=1)
    assert Codec(Extra).decode(Codec(Extra).encode(config)).model_fields_set == {"n"}
    config = Extra.model_validate({"n": 1, "more": 2})
    assert_exact(config, Codec(Extra).decode(Codec(Extra).encode(config)))


class NoCache(Doubling):
    double: Any = None  # type: ignore[assignment]


class Overridden(BaseModel, NoCache):
    n: int = 1


@dataclasses.dataclass
class Field(Slots, Doubling):
    double: int = 1  # type: ignore[assignment]


def test_a_name_that_is_no_cache_any_more_is_carried():
    model = Overridden()
    model.__dict__["double"] = 5
    assert Codec(Overridden).decode(Codec(Overridden).encode(model)).double == 5
    assert Codec(Field).decode(Codec(Field).encode(Field(1, 7))).double == 7


# ---- what equals a set or a dict, and is none


class Open(BaseModel, extra="allow"):
    value: Any = None


def _set(name: str, value: Any) -> Callable[[Any], None]:
    return lambda model: object.__setattr__(model, name, value)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_set("__pydantic_fields_set__", frozenset({"value"})), "has a frozenset for its model_fields_set"),
        (_set("__pydantic_fields_set__", frozenset()), "has a frozenset for its model_fields_set"),
        (_set("__pydantic_fields_set__", {"value": 1}.keys()), "has a dict_keys for its model_fields_set"),
        (_set("__pydantic_fields_set__", {"value", 1, None}), "has a set for its model_fields_set"),
        (_set("__pydantic_extra__", collections.OrderedDict()), "has a OrderedDict for its __pydantic_extra__"),
        (_set("__pydantic_extra__", collections.OrderedDict(a=1)), "has a OrderedDict for its __pydantic_extra__"),
        (_set("__pydantic_private__", collections.OrderedDict(_a=1)), "has a OrderedDict for its __pydantic_private__"),
    ],
)
def test_a_part_of_a_model_that_is_of_another_type_is_refused_by_path(change, told):
    inner = Open(value=1)
    change(inner)
    with pytest.raises(NotCarried) as caught:
        Codec(Open).encode(Open(value=[inner]))
    (problem,) = caught.value.problems
    assert problem.key == "value[0]"
    assert problem.message.startswith(f"this Open {told}, which can't be carried to the workers; leave it a ")


# ---- members of enums that are none


class Color(enum.Enum):
    RED = 1
    BLUE = 2

    @classmethod
    def _missing_(cls, value: object) -> Any:
        if value == "red":
            return cls.RED
        member = object.__new__(cls)
        if value != "bare":
            member._value_, member._name_ = (1 if value == "same" else value), "RED"
        return member


class Level(int, enum.Enum):
    LOW = 1

    @classmethod
    def _missing_(cls, value: Any) -> Any:
        member = int.__new__(cls, value)
        member._value_, member._name_ = value, "OTHER"
        return member


class Right(enum.Flag):
    READ = 1
    WRITE = 2
    BOTH = 3
    FAR = 16 | 32
    UNREAD = 64

    @classmethod
    def _missing_(cls, value: Any) -> Any:
        if value == "own":
            member = object.__new__(cls)
            member._value_, member._name_ = 1, "READ"
            return member
        member = super()._missing_(value)
        if value == 65:
            member.note = "added"
        elif value == 66:
            member._name_ = "WRITE"
        return member


class Bits(enum.IntFlag, boundary=enum.KEEP):
    ONE = 1
    FOUR = 4

    @classmethod
    def _missing_(cls, value: Any) -> Any:
        return super()._missing_(value)


class Settings(BaseModel):
    value: Any = None
    color: Color = Color.RED
    level: Level = Level.LOW
    right: Right = Right.READ
    bits: Bits = Bits.ONE


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("color", lambda: Color("violet")),
        ("color", lambda: Color("same")),
        ("color", lambda: Color("bare")),
        ("level", lambda: Level(7)),
        ("right", lambda: Right("own")),
        ("right", lambda: Right(65)),
        ("right", lambda: Right(66)),
        ("value", lambda: Color(99)),
    ],
)
def test_what_missing_made_of_an_enum_is_refused_by_path_whatever_name_it_bears(key, value):
    with pytest.raises(NotCarried) as caught:
        Codec(Settings).encode(Settings.model_construct(**{key: value()}))
    (problem,) = caught.value.problems
    assert problem.key == key
    assert "is none of its declared members (its _missing_ may have made it), and can't be carried" in problem.message


def test_a_member_that_missing_looked_up_is_the_declared_one():
    config = Settings(color="red")  # type: ignore[arg-type]
    assert Codec(Settings).decode(Codec(Settings).encode(config)).color is Color.RED


@pytest.mark.parametrize("right", [Right(0), Right.BOTH, Right.READ | Right.FAR, Right(115), Right.BOTH | Right.UNREAD])
def test_flags_that_the_standard_library_combined_come_back_as_they_were(right):
    assert Codec(Settings).decode(Codec(Settings).encode(Settings(right=right))).right is right


@pytest.mark.parametrize("bits", [Bits(0), Bits(8), Bits(13), Bits(5), ~Bits.ONE, Bits(-3)])
def test_so_do_bits_that_the_class_does_not_name(bits):
    assert Codec(Settings).decode(Codec(Settings).encode(Settings(bits=bits))).bits is bits


# ---- zones


UTC_FILE = b"TZif" + bytes(16) + struct.pack(">6l", 0, 0, 0, 0, 1, 4) + bytes(6) + b"UTC\0"


@pytest.mark.parametrize(
    ("key", "told"),
    [
        (None, "a ZoneInfo without a key can't be carried to the workers; make it by ZoneInfo(key)"),
        ("Europe/Berlin", "a ZoneInfo that was read from a file can't be carried; make it by ZoneInfo(key)"),
    ],
)
@pytest.mark.parametrize("of", [lambda zone: zone, lambda zone: dt.datetime(2024, 1, 1, tzinfo=zone)])
def test_a_zone_that_was_read_from_a_file_is_refused_whatever_key_it_was_given(key, told, of):
    zone = ZoneInfo.from_file(io.BytesIO(UTC_FILE), key=key)
    with pytest.raises(NotCarried) as caught:
        Codec(Settings).encode(Settings(value={"zone": of(zone)}))
    assert [str(problem) for problem in caught.value.problems] == [f"value.zone: {told}"]


def test_a_zone_without_the_cache_is_one_of_the_same_key():
    zone = Codec(Settings).decode(Codec(Settings).encode(Settings(value=ZoneInfo.no_cache("UTC")))).value
    assert zone is ZoneInfo("UTC")


def test_a_made_up_member_is_refused_at_the_load_with_its_place(tmp_path):
    path = tmp_path / "app.json"
    path.write_text('{"color": "violet"}')
    with pytest.raises(ConfigError) as caught:
        ConfigLoader(Settings, path).load()
    (problem,) = caught.value.problems
    assert problem.location == f"{path}:1:11"
    assert problem.key == "color"
