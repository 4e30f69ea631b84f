"""Whole numbers that Python refuses to write in decimal are exact, and shown in hex.

A file may have them in hex, octal or binary (`sources/formats/test_numbers.py`), and code may make them.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Annotated, Any, Literal

import msgspec
import pytest
from pydantic import BaseModel, BeforeValidator, Field

from confcast import ConfigError, ConfigLoader, Layer, Secret
from confcast.config import diff
from confcast.config.codec import codec_of
from confcast.config.described import described
from confcast.config.loader_spec import check_plain
from confcast.config.overrides import Call, Overrides

LARGE = 16**4000
SHOWN = hex(LARGE)[:59] + "…"


class Model(BaseModel):
    number: int = 0
    text: str = ""
    choice: Literal["a", "b"] = "a"
    table: dict[str, Any] = {}
    numbers: dict[int, Any] = {}
    secret: Annotated[int, Secret] = 0


@dataclasses.dataclass
class Data:
    number: int = 0
    text: str = ""
    choice: Literal["a", "b"] = "a"
    table: dict[str, Any] = dataclasses.field(default_factory=dict)
    numbers: dict[int, Any] = dataclasses.field(default_factory=dict)
    secret: Annotated[int, Secret] = 0


class Record(msgspec.Struct):
    number: int = 0
    text: str = ""
    choice: Literal["a", "b"] = "a"
    table: dict[str, Any] = {}
    numbers: dict[int, Any] = {}
    secret: Annotated[int, Secret] = 0


class Own(msgspec.Struct, frozen=True):
    """A source of an application."""

    data: Any

    def read(self) -> Layer:
        if isinstance(self.data, BaseException):
            raise self.data
        return Layer("own", self.data)


SCHEMAS = pytest.mark.parametrize("schema", [Model, Data, Record])


def changes(loader: ConfigLoader[Any]) -> dict[str, Any]:
    """What a load changes of the defaults, as it is sent to a person, each value up to 60 characters."""
    candidate, before = loader.load(), ConfigLoader(loader.schema).load()
    found = diff.differences(loader._codec, before.config, candidate.config)
    msgspec.json.encode(found)
    assert all(candidate.origin_of(each.key) in ("own", "override") for each in found)
    loader._given(loader._read(), candidate)
    return {each.key: str(each.new)[:59] + "…" for each in found}


def problems(load: Callable[[], object]) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load()
    return [f"{each.key}: {each.message}" for each in caught.value.problems]


def loaders(schema: Any, data: dict[Any, Any]) -> Iterable[ConfigLoader[Any]]:
    return ConfigLoader(schema, Own(data)), ConfigLoader(schema, overrides=data)


@SCHEMAS
def test_one_that_code_gives_is_loaded_and_a_change_shows_its_hex(schema):
    for loader in loaders(schema, {"number": LARGE, "table": {"k": -LARGE}, "numbers": {LARGE: 1}, "secret": LARGE}):
        assert loader.load().config.numbers == {LARGE: 1}
        (number, key, entry, secret) = changes(loader).items()
        assert number == ("number", SHOWN)
        assert key == ("table.k", "-" + SHOWN[:-2] + "…")
        assert entry[0] == f"numbers.{hex(LARGE)}"
        assert secret == ("secret", "**********…")


@SCHEMAS
def test_so_does_a_problem_with_it(schema):
    for loader in loaders(schema, {"text": LARGE, "choice": LARGE, "numbers": LARGE, LARGE: 1}):
        found = problems(loader.load)
        assert len(found) == 4
        for key in ("text", "choice", "numbers"):
            (told,) = (each for each in found if each.startswith(f"{key}: "))
            assert told.endswith(f"(got {SHOWN})")
        assert any(each.startswith(f"{SHOWN}: ") for each in found)


@SCHEMAS
def test_and_a_secret_one_is_masked_in_its_hex(schema):
    for loader in loaders(schema, {"secret": LARGE, "number": []}):
        assert not any(SHOWN[:-1] in each for each in problems(loader.load))


@SCHEMAS
def test_two_contents_of_a_source_that_differ_in_one_have_two_fingerprints(schema):
    found = {ConfigLoader(schema, Own({"table": {"k": [n]}}))._fingerprint() for n in (LARGE, LARGE, LARGE + 1)}
    assert len(found) == 2


@SCHEMAS
def test_one_can_be_set_while_the_owner_runs(schema):
    loader = ConfigLoader(schema)
    reading = loader._read()
    values = loader._set(reading, {"number": LARGE, "table": {"k": LARGE}}, Call(time.time()))
    kept = Overrides.decode(values.encode())
    assert loader._build(reading.with_overrides(kept)).config.table == {"k": LARGE}
    assert {str(each.value)[:59] + "…" for each in kept.listed(schema, {})} == {SHOWN}
    (told,) = problems(lambda: loader._set(reading, {"numbers": {LARGE: 1}}, Call(time.time())))
    assert told.endswith(": has a whole number of more than 64 bits as a key")


def test_one_in_an_override_of_the_loader_says_what_can_be_sent():
    with pytest.raises(TypeError, match="the override a is a whole number of more than 64 bits, which the config"):
        check_plain({"a": LARGE}, ())


def raising(kind: type[Exception]) -> Any:
    def refuse(value: Any) -> Any:
        raise kind(LARGE)

    return BeforeValidator(refuse)


class Refusing(BaseModel):
    number: Annotated[int, raising(ValueError)] = 0
    other: Annotated[int, raising(KeyError)] = 0


class RefusingRecord(msgspec.Struct):
    number: int = 0

    def __post_init__(self) -> None:
        if self.number:
            raise KeyError(LARGE)


@pytest.mark.parametrize("data", [{"number": 1}, {"other": 1}])
def test_an_error_whose_text_has_one_is_named(data):
    assert "a validator raised" in problems(ConfigLoader(Refusing, overrides=data).load)[0]
    assert "a validator raised KeyError" in problems(ConfigLoader(RefusingRecord, overrides={"number": 1}).load)[0]


@pytest.mark.parametrize("kind", [ValueError, KeyError])
def test_so_is_one_of_a_source(kind):
    (told,) = problems(ConfigLoader(Model, Own(kind(LARGE))).load)
    assert told.startswith(f": Own.read() raised {kind.__name__}: ")


class Made(BaseModel):
    number: Annotated[int, Field(ge=LARGE)] = LARGE
    share: Annotated[Any, BeforeValidator(lambda value: Fraction(LARGE))] = Fraction(1)


def test_a_default_a_bound_and_what_a_validator_makes_are_shown():
    rows = {row.key: row for row in described(codec_of(Made))}
    msgspec.json.encode(list(rows.values()))
    assert str(rows["number"].default).startswith(SHOWN[:-1])
    assert rows["number"].constraints[0].startswith(f">= {SHOWN[:-1]}")
    assert "share" in changes(ConfigLoader(Made, overrides={"share": 1}))
    (told,) = problems(ConfigLoader(Made, overrides={"number": 1}).load)
    assert told.startswith("number: Input should be greater than or equal to ")


class Unfit(BaseModel):
    table: Annotated[Any, BeforeValidator(lambda value: {LARGE: object()})] = None


def test_what_can_not_be_serialised_below_one_is_named():
    (told,) = problems(ConfigLoader(Unfit, overrides={"table": 1}).load)
    assert told.startswith(f"table.{SHOWN[:-1]}")
