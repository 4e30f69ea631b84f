"""One field under several keys, in several sources: the sources override each other as if it had one."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
import pydantic
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import AliasChoices, AliasGenerator, AliasPath, BaseModel, ConfigDict, Field, RootModel, SecretStr
from pydantic.alias_generators import to_camel
from typing_extensions import TypedDict

from confcast import Candidate, ConfigError, ConfigLoader, Environment
from confcast.config.diff import differences
from confcast.config.schema import spelling
from confcast.config.schema.spelling import PLAIN, spelling_of
from confcast.config.sources.layer import Layer
from confcast.config.sources.merge import Merged


def kebab(name: str) -> str:
    return name.replace("_", "-")


@pytest.fixture(autouse=True)
def _room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.upper().startswith("APP_")]:
        monkeypatch.delenv(name)


class Pool(BaseModel, populate_by_name=True, alias_generator=kebab):
    max_size: int = 0
    idle_time: int = 0
    pass_word: SecretStr = SecretStr("")


class Kebab(BaseModel, populate_by_name=True, alias_generator=kebab):
    max_size: int = 0
    main_pool: Pool = Pool()
    maybe: Pool | None = None
    marked: Annotated[Pool, pydantic.BeforeValidator(lambda value: value)] = Pool()
    pools: dict[str, Pool] = {}
    listed: list[Pool] = []
    root: RootModel[Pool] = RootModel(Pool())
    roots: RootModel[dict[str, Pool]] = RootModel({})


class ByAlias(BaseModel, alias_generator=kebab):
    max_size: int = 0


class Camel(BaseModel, validate_by_name=True, alias_generator=AliasGenerator(validation_alias=to_camel)):
    max_size: int = 0


class CamelOnly(BaseModel, alias_generator=to_camel):
    max_size_2: int = 0


class Choices(BaseModel):
    max_size: int = Field(0, validation_alias=AliasChoices("max_size", "limit", "max.size"))


class Open(BaseModel, populate_by_name=True, alias_generator=kebab, extra="allow"):
    max_size: int = 0


class Early(BaseModel, populate_by_name=True, alias_generator=kebab):
    max_size: int = 0

    @pydantic.model_validator(mode="before")
    @classmethod
    def _as_it_is(cls, table: Any) -> Any:
        return table


@pydantic.dataclasses.dataclass(config=ConfigDict(populate_by_name=True))
class Checked:
    max_size: int = Field(0, alias="max-size")


@dataclasses.dataclass
class Plain:
    __pydantic_config__ = ConfigDict(populate_by_name=True, alias_generator=kebab)
    max_size: int = 0


class Struct(msgspec.Struct, rename="kebab"):
    max_size: int = 0


class CamelStruct(msgspec.Struct, rename="camel"):
    max_size: int = 0


class Typed(TypedDict, total=False):
    __pydantic_config__ = ConfigDict(populate_by_name=True)  # type: ignore[misc]
    max_size: Annotated[int, Field(alias="max-size")]


def load(schema: Any, *tables: dict[str, Any], overrides: dict[str, Any] | None = None, env: bool = True) -> Candidate:
    for number, table in enumerate(tables):
        Path(f"{number}.json").write_text(json.dumps(table))
    sources = [f"{number}.json" for number in range(len(tables))] + ([Environment("APP_")] if env else [])
    return ConfigLoader(schema, *sources, overrides=overrides).load()


def problems(schema: Any, *tables: dict[str, Any], overrides: dict[str, Any] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(schema, *tables, overrides=overrides)
    return list(map(str, caught.value.problems))


SCHEMAS = [
    (Kebab, ["max-size", "max_size"]),
    (ByAlias, ["max-size"]),
    (Camel, ["maxSize", "max_size"]),
    (Choices, ["limit", "max_size", "max.size"]),
    (Open, ["max-size", "max_size"]),
    (Early, ["max-size", "max_size"]),
    (Checked, ["max-size", "max_size"]),
    (Plain, ["max-size", "max_size"]),
    (Struct, ["max-size"]),
    (CamelStruct, ["maxSize"]),
]


@pytest.mark.parametrize(
    ("schema", "low", "high"), [(schema, low, high) for schema, keys in SCHEMAS for low in keys for high in keys]
)
def test_of_two_sources_the_higher_counts_however_it_spells_the_key(schema, low, high, monkeypatch):
    candidate = load(schema, {low: 1}, {high: 2})
    assert candidate.config.max_size == 2
    keys = [key for key in (low, high, "max_size") if "." not in key]
    assert {candidate.origin_of(key) for key in keys} == {f"1.json:1:{len(high) + 6}"}
    assert load(schema, {low: 1}, overrides={high: 3}).config.max_size == 3
    monkeypatch.setenv("APP_MAX_SIZE", "4")
    candidate = load(schema, {low: 1}, {high: 2})
    assert candidate.config.max_size == 4
    assert {candidate.origin_of(key) for key in keys} == {"environment variable APP_MAX_SIZE"}
    assert load(schema, {low: 1}, overrides={high: 5}).config.max_size == 5


@pytest.mark.parametrize(
    ("path", "levels"),
    [
        ("main-pool", {"main_pool": {"max_size": 2}}),
        ("maybe", {"maybe": {"max_size": 2}}),
        ("marked", {"marked": {"max_size": 2}}),
        ("root", {"root": {"max_size": 2}}),
    ],
)
def test_so_it_is_in_sections(path, levels, monkeypatch):
    def pool(candidate: Candidate[Any]) -> Any:
        found = getattr(candidate.config, path.replace("-", "_"))
        found = getattr(found, "root", found)
        return found.max_size, found.idle_time

    low = {path: {"max-size": 1, "idle-time": 7}}
    assert pool(load(Kebab, low, levels)) == (2, 7)
    assert pool(load(Kebab, levels, low)) == (1, 7)
    monkeypatch.setenv(f"APP_{path.replace('-', '_').upper()}__MAX_SIZE", "3")
    candidate = load(Kebab, low)
    assert pool(candidate) == (3, 7)
    assert candidate.origin_of(f"{path}.idle_time").startswith("0.json:1:")


def test_keys_of_free_tables_stay_what_they_are_and_their_values_are_merged():
    low = {"pools": {"a-b": {"max-size": 1}}, "roots": {"x": {"max-size": 1}}, "listed": [{"max-size": 1}]}
    high = {"pools": {"a_b": {"max_size": 2}, "a-b": {"max_size": 3}}, "roots": {"x": {"max_size": 2}}}
    config = load(Kebab, low, high).config
    assert {key: pool.max_size for key, pool in config.pools.items()} == {"a-b": 3, "a_b": 2}
    assert config.roots.root["x"].max_size == 2
    assert [pool.max_size for pool in config.listed] == [1]


@pytest.mark.parametrize(
    ("schema", "name", "value"),
    [
        (ByAlias, "APP_MAX_SIZE", {"max_size": 3}),
        (ByAlias, "APP_MAX-SIZE", {"max_size": 3}),
        (Camel, "APP_MAXSIZE", {"max_size": 3}),
        (Camel, "APP_MAX_SIZE", {"max_size": 3}),
        (CamelOnly, "APP_MAX_SIZE2", {"max_size_2": 3}),
        (CamelOnly, "APP_MAX_SIZE_2", {"max_size_2": 3}),
        (Choices, "app_limit", {"max_size": 3}),
        (Struct, "APP_MAX_SIZE", {"max_size": 3}),
        (CamelStruct, "APP_MAX_SIZE", {"max_size": 3}),
    ],
)
def test_a_name_that_a_shell_can_set_finds_every_key(schema, name, value, monkeypatch):
    monkeypatch.setenv(name, "3")
    config = load(schema).config
    assert {key: getattr(config, key) for key in value} == value


def test_acronyms_dots_and_names_that_mean_two_keys(monkeypatch):
    class Odd(BaseModel):
        port: int = Field(0, alias="HTTPPort")
        dotted: int = Field(0, alias="app.name")
        one: int = Field(0, alias="conn-limit")
        two: int = Field(0, alias="connLimit")

    monkeypatch.setenv("APP_HTTP_PORT", "1")
    monkeypatch.setenv("APP_APP_NAME", "2")
    monkeypatch.setenv("APP_CONNLIMIT", "3")
    monkeypatch.setenv("APP_ONE", "4")
    config = load(Odd).config
    assert (config.port, config.dotted, config.two, config.one) == (1, 2, 3, 4)
    monkeypatch.setenv("APP_CONN_LIMIT", "5")
    (told,) = problems(Odd)
    assert told.startswith("environment variable APP_CONN_LIMIT: the schema has no such key")


def test_a_suggestion_is_a_name_that_a_shell_can_set(monkeypatch):
    monkeypatch.setenv("APP_MAX_SIZ", "1")
    for schema in (ByAlias, Camel, Struct):
        assert problems(schema) == [
            "environment variable APP_MAX_SIZ: the schema has no such key; did you mean APP_MAX_SIZE?"
        ]


# ---- twice in one source


@pytest.mark.parametrize(
    ("table", "told"),
    [
        (
            {"max-size": 1, "max_size": 2},
            "0.json:1:17: max_size: sets the same as 'max-size' (0.json:1:2): remove one of them",
        ),
        (
            {"main-pool": {"max_size": 1, "max-size": 2}},
            "0.json:1:31: main-pool.max-size: sets the same as 'max_size' (0.json:1:16): remove one of them",
        ),
        (
            {"main_pool": {}, "main-pool": {}},
            "0.json:1:19: main-pool: sets the same as 'main_pool' (0.json:1:2): remove one of them",
        ),
        (
            {"pools": {"a": {"max_size": 1, "max-size": 2}}},
            "0.json:1:33: pools.a.max-size: sets the same as 'max_size' (0.json:1:18): remove one of them",
        ),
        (
            {"listed": [{"max_size": 1, "max-size": 2}]},
            "0.json:1:29: listed.0.max-size: sets the same as 'max_size' (0.json:1:14): remove one of them",
        ),
        (
            {"marked": {"max_size": 1, "max-size": 2}},
            "0.json:1:28: marked.max-size: sets the same as 'max_size' (0.json:1:13): remove one of them",
        ),
    ],
)
def test_one_field_twice_in_one_source_is_refused_with_both_places_also_under_a_higher_source(table, told):
    assert problems(Kebab, table) == [told]
    high = {"max_size": 3, "main-pool": {"max_size": 5}, "pools": {"a": {"max-size": 1}}, "marked": {"max-size": 1}}
    assert problems(Kebab, table, high) == [told]


def test_one_field_twice_over_a_third_spelling_is_refused(monkeypatch):
    class Sized(BaseModel):
        pools: dict[str, Choices] = {}

    twice = {"limit": 2, "max.size": 3}
    told = "sets the same as 'limit'"
    assert told in problems(Choices, {"max_size": 1}, twice)[0]
    assert told in problems(Choices, {"max_size": 1}, overrides=twice)[0]
    monkeypatch.setenv("APP_POOLS", json.dumps({"a": twice}))
    assert told in problems(Sized, {"pools": {"a": {"max_size": 1}}})[0]


def test_two_variables_for_one_field_are_refused(monkeypatch):
    monkeypatch.setenv("APP_MAX_SIZE", "1")
    monkeypatch.setenv("APP_MAXSIZE", "2")
    assert problems(Camel) == [
        (
            "environment variable APP_MAX_SIZE: max_size:"
            " is set twice: environment variable APP_MAXSIZE sets the same, as maxSize"
        )
    ]


def test_a_variable_for_a_key_goes_over_one_for_its_table_and_what_one_has_twice_is_refused(monkeypatch):
    monkeypatch.setenv("APP_MAIN_POOL", '{"max-size": 1, "idle-time": 2}')
    monkeypatch.setenv("APP_MAIN_POOL__MAX_SIZE", "3")
    candidate = load(Kebab, {"main-pool": {"idle_time": 9}})
    assert (candidate.config.main_pool.max_size, candidate.config.main_pool.idle_time) == (3, 2)
    assert candidate.origin_of("main-pool.max_size") == "environment variable APP_MAIN_POOL__MAX_SIZE"
    monkeypatch.setenv("APP_POOLS", '{"a": {"max_size": 1}}')
    monkeypatch.setenv("APP_POOLS__A", '{"max_size": 1, "max-size": 2}')
    (told,) = problems(Kebab)
    assert "sets the same as 'max_size' (environment variable APP_POOLS__A): remove one of them" in told


# ---- what messages call a key


def test_a_message_names_a_key_as_it_is_written_where_it_points_to(monkeypatch):
    low = {"main-pool": {"idle-time": "x"}, "max-size": "y"}
    assert problems(Kebab, low, {"main_pool": {"max_size": 1}}) == [
        (
            "0.json:1:29: main-pool.idle-time: Input should be a valid integer,"
            " unable to parse string as an integer (got 'x')"
        ),
        "0.json:1:47: max-size: Input should be a valid integer, unable to parse string as an integer (got 'y')",
    ]
    monkeypatch.setenv("APP_MAIN_POOL__IDLE_TIME", "z")
    told = problems(Kebab, low)
    assert told[1].startswith("environment variable APP_MAIN_POOL__IDLE_TIME: main_pool.idle_time: ")


def test_an_unknown_key_in_a_section_that_a_higher_source_spells_otherwise_is_named_where_it_is():
    assert problems(Kebab, {"main-pool": {"idle-tim": 1}}, {"main_pool": {"max_size": 1}}) == [
        "0.json:1:16: main-pool.idle-tim: unknown key; did you mean 'idle-time'?"
    ]


def test_a_covered_value_under_another_spelling_is_reported_where_it_is():
    class Needs(BaseModel, populate_by_name=True, alias_generator=kebab):
        the_user: str
        max_size: int = 0

    class Root(BaseModel, populate_by_name=True, alias_generator=kebab):
        main_db: Needs

    # That `the_user` is missing follows from it.
    assert problems(Root, {"main-db": "x"}, {"main_db": {"max_size": 1}}) == [
        (
            "0.json:1:13: main-db: Input should be a table (section);"
            " a higher source sets keys below it (1.json:1:14) (got 'x')"
        )
    ]
    assert problems(Root, {"main-db": {"max-size": 1}}, {"main_db": {"max_size": 1}}) == [
        "1.json:1:2: main_db.the-user: Field required"
    ]


def test_a_section_that_is_no_json_is_not_called_missing_under_its_other_name(monkeypatch):
    class Root(BaseModel, populate_by_name=True, alias_generator=kebab):
        main_pool: Pool

    monkeypatch.setenv("APP_MAIN_POOL", "hunter2")
    (told,) = problems(Root)
    assert told.startswith("environment variable APP_MAIN_POOL: main_pool: a list or a table has to be written as JSON")


def test_secrets_stay_masked_under_every_spelling():
    for low, high in (("pass-word", "pass_word"), ("pass_word", "pass-word")):
        told = problems(Kebab, {"main-pool": {low: "hunter1"}}, {"main_pool": {high: ["hunter2"]}})
        assert len(told) == 1
        assert "hunter" not in told[0]
        told = problems(Kebab, {"main-pool": {low: "hunter1", high: "hunter2"}})
        assert "hunter" not in "".join(told)


# ---- several fields and classes


class Cat(BaseModel, populate_by_name=True):
    kind: Literal["cat"]
    name_of: int = Field(0, alias="name-of")


class Dog(BaseModel):
    kind: Literal["dog"]
    own: int = Field(0, alias="name-of")
    name_of: int = 0


class Pets(BaseModel):
    tagged: Annotated[Cat | Dog, Field(discriminator="kind")] | None = None
    either: Pool | ByAlias | bool = False
    same: Cat | Pool | None = None


def test_in_a_union_two_keys_are_one_field_where_the_class_that_is_meant_says_so():
    cat = load(Pets, {"tagged": {"kind": "cat", "name-of": 1}}, {"tagged": {"name_of": 2}}).config.tagged
    assert (type(cat), cat.name_of) == (Cat, 2)
    dog = load(Pets, {"tagged": {"kind": "dog", "name-of": 1}}, {"tagged": {"name_of": 2}}).config.tagged
    assert (type(dog), dog.own, dog.name_of) == (Dog, 1, 2)
    again = load(Pets, {"tagged": {"kind": "dog", "name-of": 1}}, {"tagged": {"kind": "cat", "name_of": 2}})
    assert again.config.tagged == Cat(kind="cat", name_of=2)


class Wide(BaseModel, populate_by_name=True):
    kind: Literal["wide"] = "wide"
    size: dict[str, int] = Field({}, alias="max-size")


class Narrow(BaseModel, populate_by_name=True):
    kind: Literal["narrow"]
    size: Any = 0
    other: Any = Field(0, alias="max-size")


class Items(BaseModel):
    item: Annotated[Wide | Narrow, Field(discriminator="kind")] | str


WIDE, NARROW = {"kind": "wide"}, {"kind": "narrow"}


@pytest.mark.parametrize(
    ("items", "told"),
    [
        ([{"max-size": 5}, WIDE | {"size": {"x": 1}}], "0.json:1:23: item.max-size: Input should be a table (section)"),
        ([{"max-size": 5}, {"size": {"x": 1}}, WIDE], "0.json:1:23: item.max-size: Input should be a table (section)"),
        ([WIDE, {"max-size": 5}, {"size": {"x": 1}}], "1.json:1:23: item.max-size: Input should be a table (section)"),
        ([NARROW | {"max-size": 5}, WIDE | {"size": {}}], "0.json:1:41: item.max-size: Input should be a table"),
        ([{"max-size": {"x": "q"}}, WIDE | {"size": {"y": 2}}], "0.json:1:29: item.max-size.x: Input should be"),
        ([WIDE, {"max-size": {}, "size": {}}], "1.json:1:27: item.size: sets the same as 'max-size' (1.json:1:11)"),
        ([{"max-size": {}, "size": {}}, WIDE], "0.json:1:27: item.size: sets the same as 'max-size' (0.json:1:11)"),
        ([NARROW | {"max-size": {}, "size": {}}, WIDE], "0.json:1:45: item.size: sets the same as 'max-size'"),
    ],
)
def test_what_is_wrong_with_keys_that_the_tag_of_another_layer_makes_one_field_is_reported_where_it_is(items, told):
    assert problems(Items, *({"item": item} for item in items))[0].startswith(told)


def test_where_keys_come_from_that_the_tag_of_another_layer_makes_one_field_or_two():
    wide = load(Items, {"item": {"max-size": {"x": 1}}}, {"item": WIDE | {"size": {"y": 2}}})
    assert (wide.config.item.size, wide.origin_of("item.size.x")) == ({"x": 1, "y": 2}, "0.json:1:29")
    two = load(Items, {"item": {"max-size": 1}}, {"item": WIDE | {"size": {"x": 1}}}, {"item": NARROW})
    assert two.config.item == Narrow(kind="narrow", size={"x": 1}, other=1)
    assert (two.origin_of("item.max-size"), two.origin_of("item.size")) == ("0.json:1:23", "1.json:1:27")


def test_a_value_under_a_key_whose_tag_was_replaced_is_no_obstacle():
    items = [{"max-size": 5}, {"size": {"x": 1}}, WIDE, "replaced", NARROW]
    assert load(Items, *({"item": item} for item in items)).config.item == Narrow(kind="narrow")


def test_in_a_union_of_classes_without_tags_they_are_if_none_says_otherwise():
    assert load(Pets, {"either": {"max-size": 1}}, {"either": {"max_size": 2}}).config.either.max_size == 2
    assert load(Pets, {"same": {"max-size": 1}}, {"same": {"max_size": 2}}).config.same.max_size == 2


class Kept(BaseModel, alias_generator=kebab):
    kind: Literal["kept"]
    max_size: int = 0
    value: list[str] = []


class Made(BaseModel):
    kind: Literal["made"]
    max_size: int = 0
    value: str = ""


class StructKept(msgspec.Struct, tag_field="kind", tag="kept", rename="kebab"):
    max_size: int = 0
    value: list[str] = []


class StructMade(msgspec.Struct, tag_field="kind", tag="made"):
    max_size: int = 0
    value: str = ""


class Tagged(BaseModel):
    one: Annotated[Kept | Made, Field(discriminator="kind")]
    many: dict[str, Kept | Made] = {}


class StructTagged(msgspec.Struct):
    one: StructKept | StructMade
    many: dict[str, StructKept | StructMade] = {}


@pytest.mark.parametrize("schema", [Tagged, StructTagged])
@pytest.mark.parametrize(("kind", "key", "value"), [("kept", "max-size", ["a"]), ("made", "max_size", '["a"]')])
def test_what_a_variable_means_in_a_union_the_tag_decides(schema, kind, key, value, monkeypatch):
    monkeypatch.setenv("APP_ONE__MAX_SIZE", "3")
    monkeypatch.setenv("APP_ONE__VALUE", '["a"]')
    monkeypatch.setenv("APP_MANY__X__MAX_SIZE", "4")
    config = load(schema, {"one": {"kind": kind, key: 1}, "many": {"x": {"kind": kind, key: 1}}}).config
    assert (config.one.max_size, config.one.value, config.many["x"].max_size) == (3, value, 4)
    monkeypatch.setenv("APP_ONE__KIND", kind)  # over what the file says
    monkeypatch.setenv("APP_MANY", json.dumps({"x": {"kind": kind}}))
    config = load(schema, {"one": {"kind": "kept" if kind == "made" else "made"}}).config
    assert (config.one.max_size, config.one.value, config.many["x"].max_size) == (3, value, 4)


def test_a_key_of_two_fields_is_no_spelling_of_either():
    class Shared(BaseModel, populate_by_name=True):
        a: int = Field(0, alias="b")
        b: int = Field(0, alias="c")

    config = load(Shared, {"b": 1}, {"c": 2}).config
    assert (config.a, config.b) == (1, 2)
    config = load(Shared, {"a": 1}, {"c": 2}).config
    assert (config.a, config.b) == (1, 2)


def test_aliases_that_are_the_names_of_each_other_are_kept_apart(monkeypatch):
    class Swapped(BaseModel):
        a: int = Field(0, alias="b")
        b: int = Field(0, alias="a")

    monkeypatch.setenv("APP_A", "3")
    candidate = load(Swapped, {"a": 1, "b": 2})
    assert (candidate.config.a, candidate.config.b) == (2, 3)
    assert candidate.origin_of("a") == "environment variable APP_A"


def test_the_name_of_a_field_is_no_other_key_beside_its_alias():
    class Keeping(BaseModel, extra="allow"):
        max_size: int = Field(0, alias="max-size")

    class Renaming(Keeping):
        @pydantic.model_validator(mode="before")
        @classmethod
        def _names(cls, table: Any) -> Any:
            return {key.replace("_", "-"): value for key, value in table.items()}

    (told,) = problems(Keeping, {"max_size": 1, "more": 2})
    assert told == (
        "0.json:1:2: max_size: is the name of a field that is set by 'max-size',"
        " and would be kept beside it as another key: write 'max-size'"
    )
    assert load(Renaming, {"max_size": 1, "more": 2}).config.max_size == 1


def test_what_other_keys_a_class_keeps_is_not_merged():
    config = load(Open, {"other-key": 1, "max-size": 1}, {"other_key": 2, "max_size": 3}).config
    assert (config.max_size, config.model_extra) == (3, {"other-key": 1, "other_key": 2})


class Paths(BaseModel):
    last: int = Field(0, validation_alias=AliasChoices("size", AliasPath("sizes", 1), AliasPath("table", "size")))
    first: int = Field(0, validation_alias=AliasChoices(AliasPath("rows", 0), AliasPath("more", "one"), "one"))


@pytest.mark.parametrize(
    ("low", "high", "value"),
    [
        ({"size": 1}, {"sizes": [2, 3]}, (3, 0)),
        ({"size": 1}, {"sizes": [2]}, (1, 0)),
        ({"sizes": [2, 3]}, {"size": 1}, (1, 0)),
        ({"size": 1}, {"table": {"size": 4}}, (4, 0)),
        ({"table": {"size": 4}}, {"size": 1}, (1, 0)),
        ({"one": 1}, {"rows": [2]}, (0, 2)),
        ({"rows": [1]}, {"rows": [2]}, (0, 2)),
        ({"rows": [1]}, {"rows": [], "one": 3}, (0, 3)),
    ],
)
def test_a_field_that_is_found_further_inside_is_overridden_too(low, high, value):
    config = load(Paths, low, high).config
    assert (config.last, config.first) == value


def test_where_pydantic_would_take_the_lower_source_all_the_same_it_is_refused_with_both_places():
    assert problems(Paths, {"rows": [1]}, {"one": 2}) == [
        "1.json:1:2: one: sets the same as 'rows.0' (0.json:1:11), which comes first: remove one of them"
    ]
    assert problems(Paths, {"more": {"one": 1}}, {"one": 2}) == [
        "1.json:1:2: one: sets the same as 'more.one' (0.json:1:18), which comes first: remove one of them"
    ]


# ---- aliases where pydantic did not make the class


@dataclasses.dataclass
class Marked:
    size: Annotated[int, Field(alias="the-size")] = 0
    other: int = Field(0, validation_alias="the-other")


class Pair(NamedTuple):
    left: Annotated[int, Field(alias="the-left")] = 0
    right: int = 0


class Holder(BaseModel):
    marked: Marked = Field(default_factory=Marked)
    typed: Typed = {}
    pair: Pair = Pair()


def test_aliases_in_dataclasses_and_records_are_their_keys(monkeypatch):
    monkeypatch.setenv("APP_MARKED__THE_OTHER", "4")
    monkeypatch.setenv("APP_TYPED__MAX_SIZE", "5")
    config = load(Holder, {"marked": {"the-size": 3}, "typed": {"max-size": 1}, "pair": {"the-left": 2}}).config
    assert (config.marked.size, config.marked.other, config.typed, config.pair) == (3, 4, {"max_size": 5}, Pair(2))
    codec = ConfigLoader(Holder)._codec
    assert [change.key for change in differences(codec, Holder(), config)] == [
        "marked.the-size",
        "marked.the-other",
        "typed.max_size",
        "pair",
    ]


def test_a_name_that_pydantic_ignores_there_is_no_key():
    told = problems(Holder, {"marked": {"size": 3, "other": 3}, "pair": {"left": 2}})
    assert [each.split(": ")[1:3] for each in told][:2] == [
        ["marked.size", "unknown key; did you mean 'the-size'?"],
        ["marked.other", "unknown key; did you mean 'the-other'?"],
    ]
    assert any(each.startswith("0.json:1:46: pair.left: ") for each in told)


# ---- any layers, any spellings


class Deep(BaseModel, populate_by_name=True, alias_generator=kebab):
    a_b: int | None = None
    c_d: Annotated[int, Field(validation_alias=AliasChoices("c_d", "cee", "c-d"))] = 0
    deep_er: Deep | None = None
    any_of: dict[str, Deep] = {}


KEYS = {"a_b": ["a_b", "a-b"], "c_d": ["c_d", "cee", "c-d"], "deep_er": ["deep_er", "deep-er"], "any_of": ["any-of"]}


@st.composite
def named(draw: st.DrawFn, depth: int = 3) -> dict[str, Any]:
    """A table by the names of fields."""
    names = draw(st.sets(st.sampled_from(["a_b", "c_d", *(["deep_er", "any_of"] if depth else [])])))
    table: dict[str, Any] = {name: draw(st.integers(0, 99)) for name in names & {"a_b", "c_d"}}
    if "deep_er" in names:
        table["deep_er"] = draw(named(depth - 1))
    if "any_of" in names:
        table["any_of"] = draw(st.dictionaries(st.sampled_from(["a_b", "a-b", "x"]), named(depth - 1)))
    return table


def spelled(draw: st.DrawFn, table: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in table.items():
        key = draw(st.sampled_from(KEYS[name]))
        if name == "any_of":
            found[key] = {each: spelled(draw, inside) for each, inside in value.items()}
        else:
            found[key] = spelled(draw, value) if isinstance(value, dict) else value
    return found


def over(low: dict[str, Any], high: dict[str, Any]) -> dict[str, Any]:
    merged = dict(low)
    for key, value in high.items():
        both = isinstance(value, dict) and isinstance(low.get(key), dict)
        merged[key] = over(low[key], value) if both else value
    return merged


@settings(deadline=None, max_examples=50, suppress_health_check=list(HealthCheck))  # no figure of time decides
@given(st.data(), st.lists(named(), min_size=1, max_size=4))
def test_layers_spelled_anyhow_give_what_they_give_by_the_names_of_fields(data, tables):
    layers = [Layer(f"{number}", spelled(data.draw, table)) for number, table in enumerate(tables)]
    merged = Merged(layers, spelling_of(Deep))
    assert Deep.model_validate(merged.data) == Deep.model_validate(functools.reduce(over, tables))
    plain = Merged([Layer(f"{number}", table) for number, table in enumerate(tables)])
    for path in paths_in(plain.data):
        origins = [each and each.name for each in (merged.origin(path), plain.origin(path))]
        assert origins[0] == origins[1]
        there = merged.as_written(path)
        assert any(layer.has(there) for layer in layers)


def paths_in(table: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in table.items():
        yield (*path, key)
        if isinstance(value, dict):
            yield from paths_in(value, (*path, key))


# ---- what it costs


class Tree(BaseModel):
    value: int = 0
    below: dict[str, Tree] = {}


class Aliased(BaseModel):
    tree: Tree = Tree()
    next: Aliased | None = None
    pools: dict[str, Pool] = {}


def test_a_schema_without_second_spellings_is_plain_and_nothing_is_worked_out_twice(monkeypatch):
    assert spelling_of(Tree) is PLAIN
    assert spelling_of(ByAlias) is spelling_of(Struct) is PLAIN
    assert spelling_of(Aliased) is spelling_of(Aliased)
    assert spelling_of(Aliased).below("tree") is PLAIN
    tables = {"pools": {"a": {"max-size": 1}}, "next": {"pools": {"b": {"max-size": 1}}}}
    load(Aliased, tables, tables)

    def fail(*_: Any) -> Any:
        raise AssertionError("worked out at a load")

    for name in ("keys_of", "written_children", "_has_others", "_others"):
        monkeypatch.setattr(spelling, name, fail)
    load(Aliased, tables, tables)


def test_annotations_that_are_no_keys_of_dicts_are_no_obstacle():
    class Odd(BaseModel, populate_by_name=True, alias_generator=kebab):
        max_size: Annotated[int, Field(json_schema_extra={"a": []})] = 0
        more: dict[str, Annotated[Pool, Field(json_schema_extra={"a": []})]] = {}

    config = load(Odd, {"more": {"a": {"max-size": 1}}}, {"more": {"a": {"max_size": 2}}}).config
    assert config.more["a"].max_size == 2
