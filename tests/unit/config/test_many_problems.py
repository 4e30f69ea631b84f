"""A document of nothing but wrong values is refused in time that grows with its length, and by few calls a value."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr

from confcast import ConfigError, ConfigLoader
from confcast.config.schema.masking import MASK, masking
from confcast.config.validation.field_errors import MOST
from tests.support.calls import calls

pytestmark = pytest.mark.usefixtures("here")


class Part(BaseModel):
    number: int = 0


class Model(BaseModel):
    parts: list[Part] = []
    table: dict[str, str] = {}
    numbers: list[int] = []
    secrets: list[SecretStr] = []


@dataclasses.dataclass
class DataPart:
    number: int = 0


@dataclasses.dataclass
class Data:
    parts: list[DataPart] = dataclasses.field(default_factory=list)
    table: dict[str, str] = dataclasses.field(default_factory=dict)
    numbers: list[int] = dataclasses.field(default_factory=list)


class RecordPart(msgspec.Struct):
    number: int = 0


class Record(msgspec.Struct):
    parts: list[RecordPart] = []
    table: dict[str, str] = {}
    numbers: list[int] = []


SCHEMAS = pytest.mark.parametrize("schema", [Model, Data, Record])
WRONG = {
    "items": lambda count: {"numbers": ["x"] * count},
    "tables": lambda count: {"parts": [1] * count},
    "entries": lambda count: {"table": {f"k{n}": [] for n in range(count)}},
    "fields": lambda count: {"parts": [{"number": "x"}] * count},
    "unknown": lambda count: {"parts": [{"numbr": 1}] * count},
}
KINDS = pytest.mark.parametrize("kind", WRONG)


def refused(schema: Any, name: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        ConfigLoader(schema, name).load()
    return list(map(str, caught.value.problems))


@SCHEMAS
@KINDS
def test_of_more_wrong_values_than_anybody_reads_the_others_are_counted(schema: Any, kind: str) -> None:
    Path("a.json").write_text(json.dumps(WRONG[kind](MOST)))
    assert len(refused(schema, "a.json")) == MOST
    Path("a.json").write_text(json.dumps(WRONG[kind](MOST + 2345), indent=0))
    first, *problems, last = refused(schema, "a.json")
    assert len(problems) == MOST - 1
    assert first.startswith(("a.json:3:", "a.json:4:"))
    assert last == "and 2,345 more"
    with pytest.raises(ConfigError, match=r"\nand 3,245 more$"):
        ConfigLoader(schema, "a.json").load()


@SCHEMAS
@KINDS
@pytest.mark.parametrize("form", ["json", "yaml"])
def test_each_takes_few_calls(schema: Any, kind: str, form: str) -> None:
    def cost(count: int) -> int:
        Path(f"a.{form}").write_text(json.dumps(WRONG[kind](count)))
        return calls(lambda: refused(schema, f"a.{form}"))

    cost(10)
    assert cost(200) - cost(100) < 600 * 100


def test_what_is_not_told_is_not_compared_with_every_key_of_the_schema() -> None:
    def cost(count: int) -> int:
        Path("a.json").write_text(json.dumps({"parts": [{f"numbr{n}": 1 for n in range(count)}]}))
        return calls(lambda: refused(Model, "a.json"))

    cost(10)
    assert cost(2 * MOST) - cost(MOST) < 80 * MOST


def test_many_secrets_are_masked_in_many_messages() -> None:
    masked = masking([f"secret-{n:06}" for n in range(5_000)])
    masked("")
    assert masked("not secret-001234, but 'secret-000000'") == f"not {MASK}, but '{MASK}'"
    assert calls(lambda: [masked(f"message {n}") for n in range(100)]) < 10_000


@given(st.lists(st.text("ab'\"\\\n", min_size=4, max_size=8)), st.lists(st.text("ab'\"\\\n", max_size=40)))
def test_a_secret_is_found_among_many_as_it_is_alone(secrets: list[str], texts: list[str]) -> None:
    many = masking([*secrets, *(f"other-{n:03}" for n in range(60))])
    few = masking(secrets)
    for text in (*texts, *map(repr, secrets), " ".join(secrets)):
        assert many(text) == few(text)
