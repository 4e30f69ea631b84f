"""The same text means the same by every door: a variable, a line of a `.env`, a secret's file, `set`, a call.

For each type that a schema may have, in each kind of schema: the configuration is equal type for type, as its bytes
are, or it is refused for the same reason.
"""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import ipaddress
import logging
import os
import pathlib
import re
import uuid
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
import pydantic
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, SecretBytes, SecretStr
from typing_extensions import TypedDict

from confcast import ConfigError, ConfigLoader, Dotenv, Environment, NotCarried, Secret, SecretsDir
from confcast.cli.arguments import assignment
from confcast.config.overrides import Call, Overrides
from confcast.wire.plain_values import plain_values
from tests.support.slow import slow


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1


class Row(NamedTuple):
    x: int
    y: str = ""


class Entry(TypedDict):
    x: int


class Part(BaseModel):
    x: int = 0
    y: str | None = None
    z: dict[str, list[int]] = {}


@dataclasses.dataclass
class Data:
    x: int = 0
    y: list[str] = dataclasses.field(default_factory=list)


class Struct(msgspec.Struct):
    x: int = 0
    y: dict[str, float] = {}


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    size: int = 1


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    size: str = ""


def _split(value: Any) -> Any:
    return value.split(",") if isinstance(value, str) else value


COMMON: list[Any] = [
    *(str, int, float, bool, bytes, Any, Color, Level, Row, Entry, Data),
    *(int | None, float | None, bool | None, str | None, int | str, bool | int, int | float, list[int] | str),
    *(Literal[1, "two", True], Literal["red"] | None, list[int], list[str] | None, tuple[int, str], tuple[int, ...]),
    *(set[int], frozenset[str], dict[str, int], dict[str, Any], dict[str, dict[str, int]], dict[str, Data]),
    *(dt.datetime, dt.date, dt.time, dt.timedelta, decimal.Decimal, uuid.UUID),
    *(Annotated[str, Secret], Annotated[int, Secret], Annotated[list[str], Secret], dict[str, Annotated[str, Secret]]),
]
OF_PYDANTIC: list[Any] = [
    *(SecretStr, SecretBytes, pydantic.Secret[int], dict[SecretStr, int], list[SecretStr], Part, Part | None),
    *(pathlib.Path, pathlib.PurePosixPath, re.Pattern, complex, fractions.Fraction, pydantic.ByteSize),
    *(ipaddress.IPv4Address, ipaddress.IPv6Network, pydantic.HttpUrl, pydantic.AmqpDsn, pydantic.Json[list[int]]),
    *(collections.deque[int], collections.OrderedDict[str, int], collections.Counter[str], pydantic.EmailStr),
    *(
        Annotated[list[str], pydantic.BeforeValidator(_split)],
        Annotated[Cat | Dog, pydantic.Field(discriminator="kind")],
    ),
    *(Cat | Dog, Annotated[int, pydantic.Field(ge=3)], list[Part], dict[str, Part], pydantic.RootModel[list[int]]),
]
OF_STRUCTS: list[Any] = [Struct, Struct | None, list[Struct], dict[str, Struct], Annotated[int, msgspec.Meta(ge=3)]]

SCHEMAS: list[Any] = [
    *(pydantic.create_model(f"Model{index}", value=(kind, ...)) for index, kind in enumerate([*COMMON, *OF_PYDANTIC])),
    *(msgspec.defstruct(f"Struct{index}", [("value", kind)]) for index, kind in enumerate([*COMMON, *OF_STRUCTS])),
    *(dataclasses.make_dataclass(f"Data{index}", [("value", kind)]) for index, kind in enumerate(COMMON)),
]

TEXTS = [
    *(
        "",
        " ",
        "0",
        "1",
        "-7",
        "+7",
        "1_000",
        "007",
        "1e3",
        "1.5",
        " 5 ",
        "nan",
        "inf",
        "1e999",
        "9" * 30,
        "0x1F",
        "1.0",
    ),
    *(
        "true",
        "True",
        "yes",
        "on",
        "off",
        "no",
        "f",
        "null",
        "None",
        "red",
        "ONE",
        "two",
        "(1, 2)",
        "x=y",
        "@x",
        "@@",
        "a,b",
    ),
    *(
        "[]",
        "[1, 2]",
        '["a"]',
        "[1",
        "{}",
        '{"x": 1}',
        '{"x": "1", "y": "b"}',
        '{"a": {"x": 1}}',
        '{"a": {}}',
        '{"": 1}',
    ),
    *('{"x": 1, "x": 2}', '{"kind": "dog", "size": 5}', '{"kind": "cat", "size": "5"}', '{"a.b": 1}', '[{"x": 1}]'),
    *('{"x": 123456789012345678901234567890}', '{"z": {"a": [1]}}', '{"x": 1, "none": 2}', '[[1, "b"]]', '[1, "b"]'),
    *(
        "2026-01-02",
        "2026-01-02T03:04:05Z",
        "03:04:05",
        "PT1H",
        "00000000-0000-0000-0000-000000000001",
        "127.0.0.1",
        "::/64",
    ),
    *(
        "http://a.example/",
        "amqp://a/",
        "/srv/app",
        "a+b",
        "1+2j",
        "3/4",
        "10 MB",
        "a@example.org",
        "line\nbreak",
        "\x1b[1m",
    ),
    *('"quoted"', "\ufeff1", "é", "\U0001f600", "hunter2", "~/x", "${HOME}", "'", "\\", "[1,2,", "[" * 150 + "]" * 150),
]
texts = st.sampled_from(TEXTS) | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


_OPTION = '; lists="comma" takes a list with commas'
"""What only some doors have an option for, and so say."""


def outcome(loader: ConfigLoader[Any], overrides: Overrides | None = None) -> Any:
    """The bytes of the configuration, or the reasons why there is none; in what order depends on their positions."""
    try:
        reading = loader._read() if overrides is None else loader._read(overrides)
        return loader._codec.encode(loader._build(reading).config)  # without the paths that a source calls secret
    except (ConfigError, NotCarried) as error:
        problems = getattr(error, "problems", [error])
        return sorted((problem.key, problem.message.removesuffix(_OPTION)) for problem in problems)


def by_variable(schema: Any, text: str) -> Any:
    os.environ["DOOR_VALUE"] = text  # `mock.patch.dict` would write all other variables anew, each time
    try:
        return outcome(ConfigLoader(schema, Environment("DOOR_")))
    finally:
        del os.environ["DOOR_VALUE"]


def by_dotenv(schema: Any, text: str) -> Any:
    quoted = text.replace("\\", "\\\\").replace("'", "\\'")
    pathlib.Path(".env").write_bytes(f"VALUE='{quoted}'".encode())
    return outcome(ConfigLoader(schema, Dotenv()))


def by_file(schema: Any, text: str) -> Any:
    pathlib.Path("secrets").mkdir(exist_ok=True)
    pathlib.Path("secrets/value").write_bytes(f"{text}\n".encode())
    return outcome(ConfigLoader(schema, SecretsDir("secrets")))


def by_call(schema: Any, value: Any) -> Any:
    sent = msgspec.msgpack.decode(msgspec.msgpack.encode(plain_values({"value": value})))
    try:
        overrides = Overrides().set(sent, schema, Call(0.0))
    except ConfigError as error:
        return sorted((problem.key, problem.message) for problem in error.problems)
    return outcome(ConfigLoader(schema), Overrides.decode(overrides.encode()))


def by_command(schema: Any, text: str) -> Any:
    escaped = f"@{text}" if text.startswith("@") else text
    return by_call(schema, assignment(f"value={escaped}")[1])


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """The loader warns of each text with a placeholder."""
    caplog.set_level(logging.ERROR, "confcast.loader")


QUICK = SCHEMAS[: len(COMMON) + len(OF_PYDANTIC)] + SCHEMAS[-len(COMMON) - len(OF_STRUCTS) : -len(COMMON)]
"""Every type in a pydantic model, and in a Struct what only that may have."""


@pytest.mark.parametrize(
    "schema", [each if each in QUICK else slow(each) for each in SCHEMAS], ids=lambda schema: schema.__name__
)
def test_each_known_text_means_the_same_by_each_door(schema: Any) -> None:
    outcomes = []
    for index, text in enumerate(TEXTS):
        outcomes.append(by_variable(schema, text))
        value = SecretStr(text) if index % 2 else text
        assert by_call(schema, value) == outcomes[-1], text
    assert any(isinstance(each, bytes) for each in outcomes), "only refusals were compared"


@settings(deadline=None, derandomize=True, database=None, max_examples=300, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(SCHEMAS), texts)
@example(SCHEMAS[0], "\r\n")
@example(SCHEMAS[0], "@@x")
@pytest.mark.usefixtures("here")
def test_any_text_means_the_same_by_each_door(schema: Any, text: str) -> None:
    expected = by_variable(schema, text)
    assert by_call(schema, text) == expected
    assert by_command(schema, text) == expected
    if "\r" not in text:  # in a .env it is the end of a line
        assert by_dotenv(schema, text) == expected
    if not text.startswith("\ufeff") and not text.endswith("\r"):  # of a file, that is no part of the value
        found = by_file(schema, text)
        assert found == expected if isinstance(expected, bytes) else isinstance(found, list), "refused, and masked"
