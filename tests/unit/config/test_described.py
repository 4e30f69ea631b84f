"""The keys of a schema: each once, with what the schema says of it; bounded; and no secret."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from pydantic import BaseModel, Field, SecretStr
from typing_extensions import TypeAliasType

from confcast import ConfigError, NeedsRestart, Secret, Watched
from confcast.cli.schema import report
from confcast.config.codec import codec_of
from confcast.config.described import MOST, described
from confcast.wire.messages import SchemaKey

SENTINEL = "hunter2"
MASK = "**********"
COUNT = itertools.count()


class Login(BaseModel):
    user: str = "u"
    password: SecretStr = SecretStr("")


class Server(BaseModel):
    host: str = Field(description="Where it listens.")
    port: int = Field(80, ge=1)


class Tree(BaseModel):
    name: str = "root"
    children: list[Tree] = []


class Settings(BaseModel):
    number: int = Field(5, ge=1, description="How many.")
    needed: int
    servers: list[Server] = []
    limits: dict[str, Annotated[int, Field(le=9)]] = {}
    pools: dict[str, Server] = {}
    tree: Tree = Tree()
    login: Login = Login(password=SecretStr(SENTINEL))
    logins: list[Login] = [Login(password=SecretStr(SENTINEL))]
    whole: Annotated[Login, Secret] = Login(user=SENTINEL)
    token: Annotated[str, Secret] = SENTINEL
    keys: dict[SecretStr, int] = {SecretStr(SENTINEL): 1}
    forks: Annotated[int, NeedsRestart("it forks", grow=True)] = 2
    certificate: Annotated[Path | None, Watched] = None
    broken: int = Field(default_factory=lambda: [][0])


def rows(key: str = "", schema: Any = Settings) -> dict[str, SchemaKey]:
    found = described(codec_of(schema), key)
    assert len({row.key for row in found}) == len(found), "each key once"
    return {row.key: row for row in found}


def test_every_key_with_what_the_schema_says() -> None:
    found = rows()
    assert found["number"] == SchemaKey(
        key="number", type="int", default=5, constraints=[">= 1"], description="How many.",
        path=("number",), form="value", value=5,
    )  # fmt: skip
    assert (found["needed"].required, found["needed"].form) == (True, "absent")
    assert found["servers[].host"] == SchemaKey(
        key="servers[].host", type="str", required=True, description="Where it listens."
    )
    assert found["limits.<key>"] == SchemaKey(key="limits.<key>", type="int", constraints=["<= 9"])
    assert found["pools.<key>.port"].default == 80
    assert found["forks"].marks == ["needs a restart, may grow: it forks"]
    assert found["certificate"].marks == ["the file's content is watched"]
    assert found["broken"].default == "(can't be made: IndexError)"
    assert found["broken"].form == "absent"


def test_a_class_that_has_itself_inside_is_listed_once() -> None:
    assert list(rows("tree")) == ["tree", "tree.name", "tree.children"]


Json = TypeAliasType("Json", dict[str, "Json"] | list["Json"] | int)  # type: ignore[misc]


class Aliased(BaseModel):
    data: Json = {}  # type: ignore[valid-type]


def test_an_alias_that_has_itself_inside_is_followed_once() -> None:
    assert list(rows(schema=Aliased)) == ["data", "data.<key>"]


def test_no_secret_is_in_it() -> None:
    found = rows()
    assert SENTINEL not in str([*found.values()])
    assert SENTINEL.encode() not in msgspec.msgpack.encode([*found.values()])
    assert found["token"].default == found["whole"].default == MASK
    assert {key for key in found if "secret" in found[key].marks} == {
        "login.password", "logins[].password", "whole", "token", "keys",
    }  # fmt: skip
    assert {found[key].form for key in ("login", "logins", "whole", "token", "keys")} == {"absent"}


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("servers", ["servers", "servers[].host", "servers[].port"]),
        ("servers[].host", ["servers[].host"]),
        ("servers[3].host", ["servers[].host"]),
        ("limits.api", ["limits.<key>"]),
        ("pools.<key>", ["pools.<key>", "pools.<key>.host", "pools.<key>.port"]),
        ("pools.a", ["pools.<key>", "pools.<key>.host", "pools.<key>.port"]),
    ],
)
def test_a_key_and_those_below(key: str, expected: list[str]) -> None:
    assert list(rows(key)) == expected


@pytest.mark.parametrize(("key", "near"), [("numbr", "number"), ("servers[].hots", r"servers\[\].host")])
def test_an_unknown_key_is_refused_with_the_nearest(key: str, near: str) -> None:
    with pytest.raises(ConfigError, match=f"the schema has no such key; did you mean {near}"):
        described(codec_of(Settings), key)


def test_a_key_that_is_too_long_is_not_looked_for() -> None:
    with pytest.raises(ConfigError, match="at most 1000 characters"):
        described(codec_of(Settings), "x" * 5000)


def test_a_large_schema_is_bounded_and_the_rest_is_counted() -> None:
    large = dataclasses.make_dataclass("Large", [(f"f{number}", int, 0) for number in range(MOST + 5)])
    found = described(codec_of(large))
    assert len(found) == MOST + 1
    assert found[-1] == SchemaKey(key="and 5 more")


def test_a_default_that_differs_at_each_load_is_in_no_file() -> None:
    class Local(BaseModel):
        number: int = Field(default_factory=lambda: next(COUNT))

    assert rows(schema=Local)["number"].form == "absent"


def test_a_schema_without_keys_is_said_to_have_none() -> None:
    class Nothing(BaseModel):
        pass

    assert report(described(codec_of(Nothing))).text == "the schema has no keys"
