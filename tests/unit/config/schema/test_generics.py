"""Aliases and type variables of `typing_extensions`, which Python 3.11 has too: what they stand for is what counts."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Any, Generic, NewType, TypedDict

import msgspec
import pytest
from pydantic import BaseModel, BeforeValidator, create_model
from typing_extensions import TypeAliasType, TypeVar

from confcast import ConfigError, ConfigLoader, NotCarried, Secret
from confcast.config.codec import Codec
from confcast.config.diff import differences
from tests.unit.config.codec.exactness import assert_exact

pytestmark = pytest.mark.usefixtures("here")

K, V = TypeVar("K"), TypeVar("V")


class Inner(BaseModel):
    n: int = 1


T = TypeVar("T", default=Inner)


class Box(BaseModel, Generic[V]):
    item: V


class Bare(BaseModel, Generic[T]):
    item: T


@dataclasses.dataclass
class Holder(Generic[V]):
    item: V


Boxes = TypeAliasType("Boxes", list[Box[V]], type_params=(V,))
Table = TypeAliasType("Table", dict[V, K], type_params=(K, V))
Held = TypeAliasType("Held", Holder[V], type_params=(V,))
Port = TypeAliasType("Port", int)


class Settings(BaseModel):
    boxes: Boxes[Inner] = []
    table: Table[Inner, str] = {}
    bare: Bare = Bare(item=Inner())


@dataclasses.dataclass
class Held_:
    held: Held[Annotated[str, Secret]] = dataclasses.field(default_factory=lambda: Holder("xyzzy-1"))


def load(schema: Any, text: str) -> Any:
    Path("app.toml").write_text(text)
    return ConfigLoader(schema, "app.toml").load().config


def test_what_aliases_and_defaults_stand_for_is_carried() -> None:
    config: Any = load(Settings, "boxes = [{item = {n = 2}}]\ntable = {a = {n = 3}}\nbare = {item = {n = 4}}")
    codec: Codec[Any] = Codec(Settings)
    assert (config.boxes[0].item.n, config.table["a"].n, config.bare.item.n) == (2, 3, 4)
    assert_exact(config, codec.decode(codec.encode(config)))


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("boxes = [{item = {m = 2}}]", "boxes.0.item.m"),
        ("table = {a = {m = 3}}", "table.a.m"),
        ("bare = {item = {m = 4}}", "bare.item.m"),
    ],
)
def test_an_unknown_key_is_found_behind_them(text: str, key: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(Settings, text)
    assert [(problem.key, problem.message) for problem in caught.value.problems] == [(key, "unknown key")]


def rename(value: Any) -> Any:
    return {"n": value["m"]} if isinstance(value, dict) and "m" in value else value


Renamed = Annotated[Inner, BeforeValidator(rename)]
Alias = TypeAliasType("Alias", Renamed)


@pytest.mark.parametrize("annotation", [Renamed, Alias, Alias | None, Renamed | Box[int]])
def test_a_key_that_a_validator_renames_is_not_unknown_wherever_the_validator_stands(annotation: Any) -> None:
    model = create_model("model", field=(annotation, ...), fields=(list[annotation], ...))
    config = load(model, "field = {m = 2}\nfields = [{m = 3}]")
    assert (config.field.n, config.fields[0].n) == (2, 3)


def test_a_secret_that_is_an_argument_of_an_alias_is_masked() -> None:
    codec: Codec[Any] = Codec(Held_)
    changes = differences(codec, Held_(), Held_(Holder("xyzzy-2")))
    assert [change.key for change in changes] == ["held"]
    assert "xyzzy" not in repr(changes)


def test_a_generic_dataclass_is_the_same_whether_its_type_was_given_when_it_was_made_or_not() -> None:
    @dataclasses.dataclass
    class Holding:
        holder: Holder[int] = dataclasses.field(default_factory=lambda: Holder[int](1))

    codec: Codec[Any] = Codec(Holding)
    assert codec.decode(codec.encode(Holding())) == Holding(Holder(1))
    assert differences(codec, Holding(), Holding(Holder(1))) == []


def test_another_type_behind_a_name_is_another_schema() -> None:
    def of(kind: Any) -> Any:
        return dataclasses.make_dataclass("Made", [("field", kind)], namespace={"__module__": __name__})

    said = {"Port": TypeAliasType("Port", str), "User": NewType("User", str)}
    assert Codec(of(Port)).fields == Codec(of(NewType("User", int))).fields == {"field": "int"}
    for kind in said.values():
        assert Codec(of(kind)).fields == {"field": "str"}
        assert Codec(of(kind)).fingerprint != Codec(of(Port)).fingerprint


class Record(TypedDict):
    held: Held[int]


class Unread(msgspec.Struct):
    port: Port = 1
    table: Table[int, str] = {}
    bare: list[Boxes] = []
    record: Record | None = None
    settings: Settings | None = None


def test_a_struct_with_an_alias_that_msgspec_can_t_read_is_refused_by_field() -> None:
    parametrised = "msgspec can't read the alias {0}, which has type parameters; write out what {0} stands for"
    with pytest.raises(NotCarried) as caught:
        load(Unread, "port = 2")
    port, *others = [(problem.key, problem.message) for problem in caught.value.problems]
    if type(Port).__module__ != "typing":
        told = "msgspec does not know aliases of typing_extensions such as Port; write out what Port stands for"
        assert port == ("port", told)
    assert others == [
        ("table", parametrised.format("Table")),
        ("bare", parametrised.format("Boxes")),
        ("record", parametrised.format("Held")),
    ]


class Read(msgspec.Struct):
    """A model's fields are pydantic's to make: its aliases may be any."""

    settings: Settings = msgspec.field(default_factory=Settings)


def test_a_model_in_a_struct_may_have_such_aliases() -> None:
    config = load(Read, "[settings.table.a]\nn = 3")
    assert config.settings.table["a"].n == 3
