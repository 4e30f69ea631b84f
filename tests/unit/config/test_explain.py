"""A key explained: value, origin, what it hides, default, type, constraints, description; and every secret masked."""

from __future__ import annotations

import dataclasses
import enum
import os
from pathlib import Path
from typing import Annotated, Any, Literal
from unittest import mock

import msgspec
import pytest
from pydantic import AliasPath, BaseModel, Field, SecretStr

from confcast import ConfigError, ConfigLoader, Environment, Explanation, Secret, Shadowed, Who
from confcast.config.explain import explain
from confcast.config.overrides import NONE, Call, Overrides

SENTINEL = "hunter2"
MASK = "**********"


class Color(enum.Enum):
    RED = "red"


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    size: int = 1


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    size: str = Field("S", description="of a dog")


class Memory(BaseModel):
    total: int = Field(512, ge=1, le=4096, multiple_of=2, description="Megabytes for all of it.")
    name: Annotated[str, Field(pattern="^[a-z]+$", max_length=9)] = "small"


class Settings(BaseModel):
    memory: Memory = Memory()
    needed: int
    levels: dict[str, Literal["info", "debug"]] = {}
    servers: list[Memory] = Field(default_factory=lambda: [Memory()])
    color: Color | None = None
    aliased: int = Field(3, alias="max-size", validation_alias="max-size")
    found: int = Field(0, validation_alias=AliasPath("deep", "inside"))
    pet: Cat | Dog = Cat()
    password: SecretStr = SecretStr(SENTINEL)
    token: Annotated[str, Secret] = SENTINEL
    keys: dict[SecretStr, list[int]] = {}
    maybe: Memory | None = None
    broken: list[int] = Field(default_factory=lambda: [][0])


class Struct(msgspec.Struct):
    total: Annotated[int, msgspec.Meta(ge=3, description="How many.")]
    names: list[str] = []
    other: Annotated[str, msgspec.Meta(pattern="^a")] = "a"


@dataclasses.dataclass
class Data:
    total: int
    names: list[str] = dataclasses.field(default_factory=lambda: ["a"])
    other: str = "b"


def explained(
    key: str, tmp_path: Path, text: str = "", schema: Any = Settings, overrides: Overrides = NONE, **above: Any
) -> Explanation:
    (tmp_path / "app.toml").write_text(f"needed = 1\n{text}" if schema is Settings else text)
    with mock.patch.dict(os.environ, {"APP_MEMORY__TOTAL": "64"} if schema is Settings else {}):
        loader = ConfigLoader(schema, tmp_path / "app.toml", Environment("APP_"), overrides=above)
        if schema is Settings and above.pop("broken", None) is None:
            loader._overrides.setdefault("broken", [])
        return explain(loader._build(loader._read(overrides)), key, overrides)


def test_everything_about_a_key(tmp_path: Path) -> None:
    who = Who(1000, 1, "confcast set memory.total=8")
    layer = Overrides().set({"memory.total": "8"}, Settings, Call(0.0, who, expires=99.0))
    found = explained("memory.total", tmp_path, "[memory]\ntotal = 32", overrides=layer)
    origin, found = found.origin, msgspec.structs.replace(found, origin="")
    assert origin.startswith("set by uid 1000 (confcast set), ")
    assert found == Explanation(
        key="memory.total",
        value=8,
        origin="",
        shadowed=[
            Shadowed("environment variable APP_MEMORY__TOTAL", 64),
            Shadowed(f"{tmp_path}/app.toml:3:9", 32),
        ],
        default=512,
        required=False,
        type="int",
        constraints=[">= 1", "<= 4096", "a multiple of 2"],
        description="Megabytes for all of it.",
        expires=99.0,
    )


@pytest.mark.parametrize(
    ("key", "text", "value", "default", "type_", "constraints"),
    [
        ("needed", "", 1, None, "int", []),
        ("memory.name", "", "small", "small", "str", ["length <= 9", "matches ^[a-z]+$"]),
        ("levels.a", "levels.a = 'info'", "info", None, "Literal['info', 'debug']", ["one of 'info', 'debug'"]),
        ('levels."a.b"', "[levels]\n'a.b' = 'info'", "info", None, "Literal['info', 'debug']", ['one of "']),
        ("servers", "", [{"total": 512, "name": "small"}], [{"total": 512, "name": "small"}], "list[Memory]", []),
        ("servers[0].total", "servers = [{total = 4}]", 4, 512, "int", [">= 1", "<= 4096", "a multiple of 2"]),
        ("color", "color = 'red'", "red", None, "Color | None", ["one of 'red'"]),
        ("max-size", "", 3, 3, "int", []),
        ("aliased", "max-size = 5", 5, 3, "int", []),
        ("found", "deep = {inside = 7}", 7, 0, "int", []),
        ("pet.size", "pet = {kind = 'dog', size = 'L'}", "L", "S", "str", []),
        ("pet", "pet = {size = 4}", {"kind": "cat", "size": 4}, {"kind": "cat", "size": 1}, "Cat | Dog", []),
        ("maybe.total", "", None, 512, "int", [">= 1", "<= 4096", "a multiple of 2"]),
        ("broken", "", [], "(can't be made: IndexError)", "list[int]", []),
    ],
)
def test_what_the_schema_says(
    key: str, text: str, value: Any, default: Any, type_: str, constraints: list[str], tmp_path: Path
) -> None:
    found = explained(key, tmp_path, text)
    assert (found.value, found.default, found.type) == (value, default, type_)
    assert found.required is (key == "needed")
    if constraints != ['one of "']:
        assert found.constraints == constraints


@pytest.mark.parametrize(("schema", "names", "other"), [(Struct, [], "a"), (Data, ["a"], "b")])
def test_other_kinds_of_schemas(schema: Any, names: list[str], other: str, tmp_path: Path) -> None:
    total = explained("total", tmp_path, "total = 5", schema)
    assert (total.value, total.required, total.default, total.type) == (5, True, None, "int")
    if schema is Struct:
        assert (total.constraints, total.description) == ([">= 3"], "How many.")
    assert explained("names", tmp_path, "total = 5", schema).default == names
    assert explained("other", tmp_path, "total = 5", schema).default == other


def test_a_table_hides_nothing_but_a_value_that_is_none(tmp_path: Path) -> None:
    found = explained("memory", tmp_path, "memory = {total = 2}")
    assert found.shadowed == []
    assert found.value == {"total": 64, "name": "small"}
    assert explained("color", tmp_path, "color = {a = 1}", color="red").shadowed == [
        Shadowed(f"{tmp_path}/app.toml:2:9", {"a": 1})
    ]


def test_a_default_has_its_origin(tmp_path: Path) -> None:
    found = explained("memory.name", tmp_path)
    assert (found.origin, found.shadowed, found.expires) == ("default", [], None)


def test_a_table_ends_with_its_first_override(tmp_path: Path) -> None:
    layer = Overrides().set({"memory.total": 2}, Settings, Call(0.0, expires=5.0))
    layer = layer.set({"memory.name": "x"}, Settings, Call(0.0, expires=4.0))
    assert explained("memory", tmp_path, overrides=layer).expires == 4.0


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("memory.totl", "; did you mean memory.total?"),
        ("", ""),
        ("servers[3].x", "; did you mean servers?"),
        ("needd", "; did you mean needed?"),
    ],
)
def test_an_unknown_key_is_an_error_with_a_hint(key: str, hint: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        explained(key, tmp_path)
    [problem] = caught.value.problems
    assert (problem.key, problem.message) == (key, f"the schema has no such key{hint}")


def test_a_key_that_is_too_long_is_not_looked_for(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="at most 1000 characters, and 100 parts") as caught:
        explained("x." * 100_000, tmp_path)
    assert len(caught.value.problems[0].key) <= 1000


@pytest.mark.parametrize(
    ("key", "value", "default"),
    [
        ("password", MASK, MASK),
        ("token", MASK, MASK),
        ("keys", MASK, MASK),
        (f"keys.{SENTINEL}", [2], None),
    ],
)
def test_no_secret_is_shown(key: str, value: Any, default: Any, tmp_path: Path) -> None:
    text = f"password = 'x{SENTINEL}'\ntoken = 'x{SENTINEL}'\nkeys.{SENTINEL} = [1]"
    above = {"password": f"y{SENTINEL}", "token": f"y{SENTINEL}", "keys": {SENTINEL: [2]}}
    found = explained(key, tmp_path, text, **above)
    assert "hunter" not in repr(found)
    assert found.value == value
    assert found.default == default
    assert len(found.shadowed) == (key != "keys")
