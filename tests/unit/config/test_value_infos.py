"""All keys at once say what `explain` says of each: however their names are spelled, and wherever their fields are."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from pydantic import AliasChoices, AliasPath, BaseModel, ConfigDict, Field, RootModel, SecretStr

from confcast import ConfigLoader, Secret
from confcast.config.explain import explain
from confcast.config.value_infos import value_infos, with_changed_in


class Host(BaseModel):
    """Plain fields."""

    host: str = Field("nowhere", description="where")
    port: int = Field(80, ge=1)


class Other(BaseModel):
    """Another class of a union."""

    socket: str
    mode: int = 0


class Renamed(BaseModel):
    """Fields under other names, and one that is found further inside."""

    model_config = ConfigDict(populate_by_name=True)

    first: int = Field(1, alias="First")
    second: int = Field(2, validation_alias=AliasChoices("Second", "zweite"))
    inside: int = Field(3, validation_alias=AliasPath("deep", "er"))


class Names(RootModel[dict[str, int]]):
    """A table that is a class."""


@dataclasses.dataclass
class Data:
    """A dataclass."""

    size: int = 3
    token: Annotated[str, Secret] = "hunter2"


class Fast(msgspec.Struct, rename="camel"):
    """A Struct with keys of its own."""

    max_size: int = 7
    by_name: dict[str, Data] = {}


class Everything(BaseModel):
    """All of it."""

    hosts: dict[str, Host] = {}
    either: dict[str, Host | Other] = {}
    maybe: Host | None = None
    renamed: Renamed = Renamed()
    renamed_by_name: dict[str, Renamed] = {}
    names: Names = Names({})
    data: Data = dataclasses.field(default_factory=Data)
    numbers: dict[int, str] = {}
    free: dict[str, Any] = {}
    listed: list[Host] = []
    password: SecretStr = SecretStr("")


HOST = {"host": "h", "port": 1}
CONTENT = {
    "hosts": {"a": HOST, "b": {}, "c": {"port": 3}},
    "either": {"tcp": {"host": "h"}, "unix": {"socket": "/s", "mode": 3}},
    "maybe": {"port": 9},
    "renamed": {"First": 5, "zweite": 6, "deep": {"er": 7}},
    "renamed_by_name": {"x": {"first": 5, "Second": 6}, "y": {"deep": {"er": 1}}},
    "names": {"one": 1},
    "data": {"size": 4, "token": "hunter2"},
    "numbers": {"1": "one"},
    "free": {"anything": {"at": "all"}, "list": [1, 2]},
    "listed": [HOST],
    "password": "hunter2",
}
ODD = {**CONTENT, "hosts": {"a.b": HOST, "c d": HOST, 'e"f': HOST, "g[0]": HOST, "plain": HOST}}
LITTLE = {"password": "hunter2"}
FAST = {"maxSize": 9, "byName": {"a": {"size": 1}, "b": {}}}


@pytest.mark.parametrize(
    ("schema", "content"),
    [
        (Everything, CONTENT),
        (Everything, ODD),
        (Everything, LITTLE),
        (Fast, FAST),
        (Fast, {"maxSize": 1}),
    ],
    ids=["everything", "odd names", "nothing", "struct", "no struct"],
)
def test_each_key_is_explained_as_by_itself(tmp_path: Path, schema: Any, content: dict[str, Any]) -> None:
    (low := tmp_path / "low.json").write_text(json.dumps(content, indent=1))
    (high := tmp_path / "high.toml").write_text('[hosts.c]\nhost = "high"\n' if content is CONTENT else "")
    loader: ConfigLoader[Any] = ConfigLoader(schema, low, *([high] if content is CONTENT else []))
    candidate = loader.load()
    found = list(value_infos(loader._codec, candidate.config, 7, candidate))
    assert len(found) > 0
    for info in found:
        alone = explain(candidate, info.key)
        told = (info.value, info.origin, info.type, info.description, info.default)
        assert told == (alone.value, alone.origin, alone.type, alone.description, alone.default), info.key
    assert "hunter2" not in str(found)


def test_without_a_candidate_the_version_is_all_that_is_known(tmp_path: Path) -> None:
    (file := tmp_path / "app.json").write_text(json.dumps(CONTENT))
    loader: ConfigLoader[Any] = ConfigLoader(Everything, file)
    found = list(value_infos(loader._codec, loader.load().config, 7, None))
    assert {each.origin for each in found} == {"version 7"}
    assert {each.key for each in found if each.secret} == {"password", "data.token"}


def test_since_when_is_asked_of_kept_versions_the_newest_first(tmp_path: Path) -> None:
    file = tmp_path / "app.json"
    loader: ConfigLoader[Any] = ConfigLoader(Fast, file)

    def config(size: int, **others: int) -> Any:
        tables = {name: {"size": each} for name, each in others.items()}
        file.write_text(json.dumps({"maxSize": size, "byName": tables}))
        return loader.load().config

    running = config(3, a=1, b=2)
    infos = list(value_infos(loader._codec, running, 9, None))
    kept = [(9, running), (8, config(3, a=1)), (7, config(2, a=1, b=2)), (6, config(3, a=1))]
    found = {each.key: each.changed_in for each in with_changed_in(loader._codec, infos, running, kept)}
    assert (found["maxSize"], found["byName.a.size"], found["byName.b.size"]) == (8, 6, 9)
    assert {each.changed_in for each in with_changed_in(loader._codec, infos, running, [])} == {0}
