"""INI files of many sections: their time grows with their number, and what is remembered of them is bounded."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
from pydantic import AliasChoices, BaseModel, Field, SecretStr

from confcast import ConfigError, ConfigLoader, File
from confcast.config.sources import text_layer
from confcast.config.sources.variable_targets import targets_below, targets_in_any_case
from tests.support.calls import calls

pytestmark = pytest.mark.usefixtures("here")


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    max_size: int = 0
    name: str = ""


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    max_size: str = ""
    Name: dict[str, str] = {}
    name: str = ""


@dataclasses.dataclass
class Data:
    table: dict[str, int]
    cat: Cat


class Record(msgspec.Struct):
    cat: Cat
    name: str = ""


class Model(BaseModel, extra="allow"):
    pet: Cat | Dog = Cat()
    maybe: Cat | None = None
    free: dict[str, Any] = {}
    tables: dict[str, Cat] = {}
    data: Data | None = None
    choice: str = Field("", validation_alias=AliasChoices("max-size", "name"))
    password: SecretStr = SecretStr("")


class Settings(BaseModel):
    tables: dict[str, dict[str, str]] = {}
    others: dict[str, Cat] = {}


NAMES = ["pet", "maybe", "free", "tables", "data", "cat", "Max-Size", "max_size", "NAME", "kind", "none"]


@pytest.mark.parametrize("schema", [Model, Data, Record, Cat, Dog, Settings])
def test_what_a_key_means_is_found_from_its_table_as_it_is_from_the_root(schema: Any) -> None:
    for length in (1, 2, 3):
        for path in itertools.product(NAMES, repeat=length):
            tables = targets_in_any_case(schema, path[:-1])
            assert (targets_below(schema, tables, path) if tables else ()) == targets_in_any_case(schema, path), path


def load(text: str, **options: Any) -> Any:
    Path("a.ini").write_text(text)
    try:
        return ConfigLoader(Settings, File("a.ini", nested=True, **options)).load()
    except ConfigError as error:
        return error


def test_what_sections_mean_is_remembered_of_so_many_keys_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    known = list[Any]()
    meaning = text_layer._Meaning
    monkeypatch.setattr(text_layer._Meanings, "_MOST_OF_ALL", 300)
    monkeypatch.setattr(text_layer, "_Meaning", lambda *args: known.append(1) or meaning(*args))
    text_layer._meanings.cache_clear()
    for number in range(10):
        load("".join(f"[tables.t{number}-{n}]\n" + "".join(f"k{k} = v\n" for k in range(10)) for n in range(9)))
        again = len(known)
        load("".join(f"[tables.t{number}-{n}]\n" + "".join(f"k{k} = v\n" for k in range(10)) for n in range(9)))
        assert len(known) - again < 110
    kept = text_layer._meanings.cache_info().currsize
    assert kept < 40, "tables of the files before are forgotten"


@pytest.mark.parametrize(
    "text",
    [
        lambda count: "[DEFAULT]\nx = 1\n" + "".join(f"[tables.t{n}]\nk = %(x)s\n" for n in range(count)),
        lambda count: "[tables.t]\nx = 1\n" + "".join(f"k{n} = %(x)s\n" for n in range(count)),
        lambda count: "[DEFAULT]\nx = 1\ny = %(x)s\n" + "".join(f"[tables.t{n}]\n" for n in range(count)),
        lambda count: "[DEFAULT]\nmax-size = 1\n" + "".join(f"[others.t{n}]\nnone = 1\n" for n in range(count)),
    ],
)
def test_twice_the_sections_take_twice_the_calls(text: Any) -> None:
    def cost(count: int) -> int:
        text_layer._meanings.cache_clear()
        targets_in_any_case.cache_clear()
        return calls(lambda: load(text(count), interpolate=True))

    cost(50)
    assert cost(800) < 2.4 * cost(400)
