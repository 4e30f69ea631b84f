"""A validator that raises what its library does not take for a complaint: the problem has the field all the same."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pydantic
import pytest
from pydantic import AfterValidator, BaseModel, BeforeValidator, SecretStr, field_validator, model_validator

from confcast import ConfigError, ConfigLoader, Problem

pytestmark = pytest.mark.usefixtures("here")


class Boom(Exception):
    """No ValueError, no AssertionError."""


def refuse(value: Any) -> Any:
    if value == 13:
        raise Boom("no luck")
    return value


class Fields(BaseModel):
    a: int = 0
    b: int = 0
    c: Annotated[int, AfterValidator(refuse)] = 0
    d: list[Annotated[int, BeforeValidator(refuse)]] = []
    e: int = pydantic.Field(0, alias="the-e")
    secret: SecretStr = SecretStr("")

    @field_validator("a", "b")
    @classmethod
    def _luck(cls, value: int) -> int:
        return int(refuse(value))

    @field_validator("e")
    @classmethod
    def _told(cls, value: int, info: pydantic.ValidationInfo) -> int:
        if value == 13:
            raise KeyError(info.field_name)
        return value

    @field_validator("secret")
    @classmethod
    def _show(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value() == "hunter2":
            raise RuntimeError(f"shown: {value.get_secret_value()}")
        return value


class Every(BaseModel):
    a: int = 0
    b: int = 0
    c: str = ""

    @field_validator("*")
    @classmethod
    def _luck(cls, value: Any, info: pydantic.ValidationInfo) -> Any:
        return refuse(value)


class Whole(BaseModel):
    n: int = 0

    @model_validator(mode="after")
    def _luck(self) -> Any:
        refuse(self.n)
        return self


@dataclasses.dataclass
class Data:
    n: int = 0

    def __post_init__(self) -> None:
        refuse(self.n)


class Record(msgspec.Struct):
    n: int = 0

    def __post_init__(self) -> None:
        refuse(self.n)


class Deep(BaseModel):
    fields: Fields = Fields()
    items: list[Fields] = []
    named: dict[str, Whole] = {}
    every: Every = Every()
    data: Data = pydantic.Field(default_factory=Data)


@dataclasses.dataclass
class DeepData:
    fields: Fields = dataclasses.field(default_factory=Fields)
    items: list[Fields] = dataclasses.field(default_factory=list)
    named: dict[str, Whole] = dataclasses.field(default_factory=dict)
    every: Every = dataclasses.field(default_factory=Every)
    data: Data = dataclasses.field(default_factory=Data)


class Records(msgspec.Struct):
    items: list[Record] = []
    one: Record = msgspec.field(default_factory=Record)


def problems(schema: Any, data: Any) -> list[Problem]:
    Path("a.json").write_text(json.dumps(data))
    with pytest.raises(ConfigError) as caught:
        ConfigLoader(schema, "a.json").load()
    return caught.value.problems


def problem(schema: Any, data: Any) -> Problem:
    (told,) = problems(schema, data)
    return told


@pytest.mark.parametrize("schema", [Deep, DeepData])
@pytest.mark.parametrize(
    ("key", "data"),
    [
        ("fields.a", {"fields": {"b": 1, "a": 13}}),
        ("fields.b", {"fields": {"a": 1, "b": 13}}),
        ("fields.c", {"fields": {"c": 13}}),
        ("fields.d.1", {"fields": {"a": 1, "d": [1, 13]}}),
        ("fields.the-e", {"fields": {"the-e": 13}}),
        ("items.1.b", {"items": [{"a": 1, "b": 2}, {"a": 1, "b": 13}]}),
        ('named."x.y"', {"named": {"w": {"n": 1}, "x.y": {"n": 13}}}),
        ("every.b", {"every": {"a": 1, "b": 13}}),
        ("data", {"data": {"n": 13}}),
    ],
)
def test_the_problem_has_the_field_or_the_section_whose_validator_raised(schema, key, data):
    told = problem(schema, data)
    assert told.key == key
    assert told.location.startswith("a.json:1:")
    assert told.message.startswith("a validator raised ")
    assert ".py:" in told.message


class Builtins(BaseModel):
    n: int = 0
    port: Annotated[int, BeforeValidator(int)] = 0
    name: Annotated[str, BeforeValidator(str.strip)] = pydantic.Field("", alias="the-name")
    late: Annotated[Any, AfterValidator(len)] = ""
    listed: list[Annotated[int, BeforeValidator(int)]] = []
    maybe: Annotated[int, BeforeValidator(int)] | None = None
    both: Annotated[list[Annotated[int, BeforeValidator(int)]], BeforeValidator(list)] = []
    length: int = 0

    _len = field_validator("length", mode="before")(len)


class HasBuiltins(BaseModel):
    inner: Builtins = Builtins()
    many: list[Builtins] = []


@pytest.mark.parametrize(
    ("key", "data"),
    [
        ("port", {"port": [1]}),
        ("the-name", {"n": 1, "the-name": 5}),
        ("late", {"port": 1, "late": 5}),
        ("listed.1", {"listed": [1, [2]]}),
        ("maybe", {"maybe": [1]}),
        ("both", {"both": 1}),
        ("both", {"both": [1, [2]]}),
        ("length", {"length": 5}),
        ("port", {"the-name": 5, "late": 5, "port": [1]}),
    ],
)
def test_a_builtin_that_raises_has_its_field_and_no_line_of_a_library(key, data):
    told = problem(HasBuiltins, {"inner": data})
    assert told.key == f"inner.{key}"
    assert told.message.startswith("a validator raised TypeError: ")
    assert ".py:" not in told.message
    assert problem(HasBuiltins, {"many": [{}, data]}).key == f"many.1.{key}"


def test_the_line_is_that_of_the_user_s_validator_which_called_a_library():
    def through(value: Any) -> Any:
        return pydantic.TypeAdapter(Annotated[int, BeforeValidator(int)]).validate_python(value)

    class Through(BaseModel):
        n: Annotated[int, BeforeValidator(through)] = 0

    told = problem(Through, {"n": [1]})
    assert told.key == "n"
    assert f"(test_raising.py:{through.__code__.co_firstlineno + 1})" in told.message


@pytest.mark.parametrize(("key", "data"), [("one", {"one": {"n": 13}}), ("items.1", {"items": [{"n": 1}, {"n": 13}]})])
def test_so_it_has_in_a_struct(key, data):
    told = problem(Records, data)
    assert (told.key, told.message.partition(" (")[0]) == (key, "a validator raised Boom: no luck")


class Beside(msgspec.Struct, kw_only=True):
    first: Record = msgspec.field(default_factory=Record)
    wrong: int
    one: Record = msgspec.field(default_factory=Record)
    maybe: Record | None = None
    items: list[Record] = []
    named: dict[str, Record] = {}
    model: Whole | None = None

    def __post_init__(self) -> None:
        raise Boom("not before all its fields are right")


@pytest.mark.parametrize(
    ("key", "data"),
    [
        ("first", {"first": {"n": 13}}),
        ("one", {"one": {"n": 13}}),
        ("maybe", {"maybe": {"n": 13}}),
        ("items.1", {"items": [{"n": 1}, {"n": 13}]}),
        ("named.x", {"named": {"x": {"n": 13}}}),
        ("model", {"model": {"n": 13}}),
    ],
)
def test_what_a_struct_s_validator_raises_comes_with_all_other_problems(key, data):
    for each in ({"wrong": "x"} | data, data | {"wrong": "x"}):
        told = {problem.key: problem.message for problem in problems(Beside, each)}
        assert told.keys() == {"wrong", key}
        assert told[key].startswith("a validator raised Boom: no luck (test_raising.py:")


def test_of_a_whole_configuration_there_is_no_field_to_be_named():
    for schema in (Whole, Data, Record):
        told = problem(schema, {"n": 13})
        assert (told.key, told.location) == ("", "a.json")


def test_the_field_of_a_secret_is_named_and_the_secret_is_not():
    told = problem(Deep, {"fields": {"secret": "hunter2"}})
    assert told.key == "fields.secret"
    assert "hunter2" not in str(told)
    assert "shown: **********" in told.message


def test_two_fields_of_one_value_are_not_confused_with_each_other():
    class Two(BaseModel):
        a: int = 0
        b: int = 0

        @field_validator("a", "b")
        @classmethod
        def _luck(cls, value: int, info: pydantic.ValidationInfo) -> int:
            if info.field_name == "b":
                raise Boom("no luck")
            return value

    assert problem(Two, {"a": 13, "b": 13}).key == "b"
