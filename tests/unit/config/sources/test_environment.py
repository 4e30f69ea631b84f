"""The environment as a source, fitted to a schema."""

from __future__ import annotations

import dataclasses
import enum
import os
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pydantic
import pytest
from pydantic import BaseModel, Field, SecretStr

from confcast import ConfigError, ConfigLoader
from confcast.config import loader as loading
from confcast.config.schema.kinds import Secret
from confcast.config.sources.environment import Environment
from confcast.config.sources.layer import Fitted, Layer
from confcast.errors import Problem


class Level(enum.Enum):
    LOW = 1
    HIGH = 2


class Memory(BaseModel):
    total: int = 1
    ratio: float = 0.5
    limit: int | None = 3
    tags: list[str] = []


class Settings(BaseModel):
    memory: Memory = Memory()
    maybe: Memory | None = None
    name: str = ""
    debug: bool = False
    flag_or_number: bool | int = 0
    hosts: list[str] = []
    names: list[str] | str = []
    labels: dict[str, int] = {}
    choice: Literal[1, 2, "high"] = 1
    level: Level = Level.LOW
    token: SecretStr = SecretStr("")
    path: Path = Path()
    when: datetime | None = None
    anything: Any = None
    port: int = 1
    camel: int = pydantic.Field(1, alias="camelCase")
    a__b: int = 1
    inside: dict[str, Memory] = {}


@dataclasses.dataclass
class Data:
    count: int = 1
    inner: Memory = dataclasses.field(default_factory=Memory)


class Record(msgspec.Struct, rename="kebab"):
    some_count: int = 1
    token: Annotated[str, Secret] = ""


def fit(monkeypatch, schema: Any = Settings, source: Environment | None = None, /, **variables: str) -> Fitted:
    for name in list(os.environ):
        if name.upper().startswith("APP_"):
            monkeypatch.delenv(name)
    for name, text in variables.items():
        monkeypatch.setenv(name, text)
    return (source or Environment("APP_")).read().fit(schema)


@pytest.mark.parametrize(
    ("name", "text", "data"),
    [
        ("APP_NAME", "007", {"name": "007"}),
        ("app_name", "x", {"name": "x"}),
        ("APP_MEMORY__TOTAL", " 12 ", {"memory": {"total": 12}}),
        ("APP_MEMORY__TOTAL", "1_000", {"memory": {"total": 1000}}),
        ("APP_MEMORY__TOTAL", "many", {"memory": {"total": "many"}}),
        ("APP_MEMORY__RATIO", "1e3", {"memory": {"ratio": 1000.0}}),
        ("APP_MEMORY__LIMIT", "null", {"memory": {"limit": None}}),
        ("APP_MAYBE__TOTAL", "2", {"maybe": {"total": 2}}),
        ("APP_MEMORY", '{"total": 2}', {"memory": {"total": 2}}),
        ("APP_DEBUG", "Yes", {"debug": True}),
        ("APP_DEBUG", "off", {"debug": False}),
        ("APP_DEBUG", "1", {"debug": True}),
        ("APP_FLAG_OR_NUMBER", "1", {"flag_or_number": 1}),
        ("APP_FLAG_OR_NUMBER", "on", {"flag_or_number": True}),
        ("APP_HOSTS", '["a", "b"]', {"hosts": ["a", "b"]}),
        ("APP_NAMES", '["a"]', {"names": ["a"]}),
        ("APP_NAMES", "a,b", {"names": "a,b"}),
        ("APP_LABELS__BLUE", "3", {"labels": {"blue": 3}}),
        ("APP_INSIDE__ONE__TOTAL", "3", {"inside": {"one": {"total": 3}}}),
        ("APP_CHOICE", "2", {"choice": 2}),
        ("APP_CHOICE", "high", {"choice": "high"}),
        ("APP_LEVEL", "2", {"level": 2}),
        ("APP_TOKEN", "123", {"token": "123"}),
        ("APP_PATH", "/x", {"path": "/x"}),
        ("APP_WHEN", "2024-01-02T03:04:05", {"when": "2024-01-02T03:04:05"}),
        ("APP_ANYTHING", "[1]", {"anything": "[1]"}),
        ("APP_CAMELCASE", "3", {"camelCase": 3}),
        ("APP_A__B", "3", {"a__b": 3}),
    ],
)
def test_a_text_becomes_what_the_field_wants(monkeypatch, name, text, data):
    layer, problems, warnings, _ = fit(monkeypatch, **{name: text})
    assert (layer.data, problems, warnings) == (data, [], [])
    (key,) = data
    assert layer.where((key, "whatever")).removeprefix("environment ").endswith((name, "APP_*"))


@pytest.mark.parametrize(
    ("schema", "name", "data"),
    [
        (Data, "APP_COUNT", {"count": 7}),
        (Data, "APP_INNER__TOTAL", {"inner": {"total": 7}}),
        (Record, "APP_SOME-COUNT", {"some-count": 7}),
    ],
)
def test_dataclasses_and_structs_are_fitted_too(monkeypatch, schema, name, data):
    layer, problems, _, _ = fit(monkeypatch, schema, **{name: "7"})
    assert (layer.data, problems) == (data, [])
    assert layer.where(tuple(data)) in (f"environment variable {name}", "environment APP_*")


def test_what_is_set_inside_a_table_goes_over_the_table(monkeypatch):
    layer, problems, _, _ = fit(monkeypatch, APP_MEMORY__TOTAL="2", APP_MEMORY='{"total": 1, "ratio": 1}')
    assert (layer.data, problems) == ({"memory": {"total": 2, "ratio": 1}}, [])
    assert layer.where(("memory", "total")) == "environment variable APP_MEMORY__TOTAL"
    assert layer.where(("memory", "ratio")) == "environment variable APP_MEMORY"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("hunter2", "is no valid JSON: Expecting value (line 1, column 1)"),
        ('{"total": hunter2}', "is no valid JSON: Expecting value (line 1, column 11)"),
        ("", "is empty or null"),
        ("null", "is empty or null"),
    ],
)
def test_json_that_is_none_is_refused_without_quoting_it(monkeypatch, text, told):
    _, problems, _, _ = fit(monkeypatch, APP_MEMORY=text)
    message = f"a list or a table has to be written as JSON here; the text {told}"
    assert problems == [Problem("memory", message, "environment variable APP_MEMORY")]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("APP_MEMORY__TOTL", "; did you mean APP_MEMORY__TOTAL?"),
        ("APP_MEMORY_TOTAL", "; did you mean APP_MEMORY__TOTAL?"),
        ("APP_QQQQQQQ", ""),
        ("APP_ENV", ""),  # the prefix, which every name has, is no likeness
    ],
)
def test_an_unknown_name_is_refused_or_warned_of(monkeypatch, name, hint):
    text = f"the schema has no such key{hint}"
    assert fit(monkeypatch, **{name: "s3cret"}).problems == [Problem("", text, f"environment variable {name}")]
    fitted = fit(monkeypatch, Settings, Environment("APP_", unknown="warn"), **{name: "s3cret"})
    assert fitted.problems == []
    assert fitted.warnings == [f"environment variable {name} is ignored: {text}"]


@pytest.mark.parametrize(
    ("name", "key", "variable"),
    [
        ("APP_HOSTS__0", "hosts", "APP_HOSTS"),
        ("APP_HOSTS__0__NAME", "hosts", "APP_HOSTS"),
        ("app_memory__tags__0", "memory.tags", "APP_MEMORY__TAGS"),
    ],
)
def test_an_item_of_a_list_can_not_be_set_singly_and_it_is_said_how_it_can(monkeypatch, name, key, variable):
    told = f"items of a list can't be set one by one: set {variable} to the whole list, as JSON"
    assert fit(monkeypatch, **{name: "x"}).problems == [Problem(key, told, f"environment variable {name}")]
    fitted = fit(monkeypatch, Settings, Environment("APP_", unknown="warn"), **{name: "x"})
    assert fitted.problems == []
    assert fitted.warnings == [f"environment variable {name} is ignored: {told}"]


def test_one_key_under_two_names_is_refused(monkeypatch):
    _, problems, _, _ = fit(monkeypatch, APP_NAME="a", app_name="b")
    text = "is set twice: environment variable APP_NAME has the same name"
    assert problems == [Problem("name", text, "environment variable app_name")]


class Odd(BaseModel):
    many: list[int] = Field(alias="my.list")
    table: dict[str, dict[str, int]] = Field({}, alias="a table")


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        ("APP_MY_LIST", "app_my_list", "has the same name"),
        ("APP_MANY", "APP_MY_LIST", "sets the same"),
        ("APP_MY.LIST", "APP_MY_LIST", "sets the same"),
    ],
)
def test_what_two_variables_for_one_key_have_in_common_is_reported(monkeypatch, first, second, told):
    (problem,) = fit(monkeypatch, Odd, None, **{first: "[1]", second: "[2]"}).problems
    assert problem.message == f"is set twice: environment variable {first} {told}"


@pytest.mark.parametrize(
    ("variables", "key", "told"),
    [
        ({"APP_MY_LIST": "no json"}, '"my.list"', "a list or a table has to be written as JSON"),
        ({"APP_MY_LIST__0": "1"}, '"my.list"', "items of a list can't be set one by one"),
        ({"APP_MANY": "[1]", "APP_MY_LIST": "[1]"}, '"my.list"', "is set twice"),
        (
            {"APP_MANY": "[1]", "APP_A_TABLE": '{"x.y": 1}', "APP_A_TABLE__X.Y__Z": "1"},
            '"a table"."x.y".z',
            'environment variable APP_A_TABLE sets "a table"."x.y" to something else',
        ),
    ],
)
def test_keys_are_written_as_everywhere_and_what_is_refused_is_not_called_missing(monkeypatch, variables, key, told):
    for name, text in variables.items():
        monkeypatch.setenv(name, text)
    with pytest.raises(ConfigError) as caught:
        ConfigLoader(Odd, Environment("APP_")).load()
    problem = next(each for each in caught.value.problems if told in each.message)
    assert problem.key == key
    assert "Field required" not in str(caught.value)


KUBERNETES = {
    "APP_SERVICE_HOST": "10.0.0.1",
    "APP_SERVICE_PORT": "80",
    "APP_SERVICE_PORT_HTTP": "80",
    "APP_PORT": "tcp://10.0.0.1:80",
    "APP_PORT_80_TCP": "tcp://10.0.0.1:80",
    "APP_PORT_80_TCP_ADDR": "10.0.0.1",
    "APP_PORT_80_TCP_PORT": "80",
    "APP_PORT_80_TCP_PROTO": "tcp",
    "APP_WEB_SERVICE_HOST": "10.0.0.2",
    "APP_WEB_PORT": "udp://10.0.0.2:53",
}


def test_names_that_kubernetes_injects_are_skipped_with_one_warning(monkeypatch):
    layer, problems, warnings, _ = fit(monkeypatch, APP_NAME="x", **KUBERNETES)
    assert (layer.data, problems) == ({"name": "x"}, [])
    (warning,) = warnings
    assert all(name in warning for name in KUBERNETES)
    assert "10.0.0.1" not in warning


def test_a_name_like_those_of_kubernetes_counts_if_the_schema_has_it(monkeypatch):
    class Service(BaseModel):
        service_host: str = ""
        port: int = 1

    layer, problems, warnings, _ = fit(monkeypatch, Service, APP_SERVICE_HOST="h", APP_PORT="80")
    assert (layer.data, problems, warnings) == ({"service_host": "h", "port": 80}, [], [])


def test_an_address_for_a_port_is_kubernetes_only_beside_the_rest_of_a_service(monkeypatch):
    layer, _, warnings, _ = fit(monkeypatch, APP_PORT="tcp://10.0.0.1:80")
    assert (layer.data, warnings) == ({"port": "tcp://10.0.0.1:80"}, [])


def test_a_name_that_is_only_the_prefix_is_refused(monkeypatch):
    assert [problem.location for problem in fit(monkeypatch, APP_="x").problems] == ["environment variable APP_"]


def test_the_fingerprint_is_that_of_the_variables_with_the_prefix(monkeypatch):
    source = Environment("APP_")
    monkeypatch.setenv("APP_NAME", "a")
    before = source.content_fingerprint()
    monkeypatch.setenv("OTHER_NAME", "b")
    assert source.read().fingerprint == source.content_fingerprint() == before
    monkeypatch.setenv("APP_NAME", "b")
    assert source.read().fingerprint == source.content_fingerprint() != before


def test_nonsense_is_refused_when_it_is_said():
    with pytest.raises(ValueError, match="an empty prefix would take every variable"):
        Environment("")
    with pytest.raises(ValueError, match="it has to be 'refuse' or 'warn'"):
        Environment("APP_", unknown="ignore")  # type: ignore[arg-type]


def test_an_environment_travels_as_data():
    source = Environment("APP_", unknown="warn")
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(source), type=Environment) == source


# ---- one variable against another


class Cache(BaseModel):
    size: int = 1
    deep: dict[str, dict[str, int]] = {}


class Shop(BaseModel):
    cache: bool | Cache | None = None
    table: Cache = Cache()
    anything: Any = None


def test_a_key_of_what_another_variable_sets_to_no_table_is_refused_naming_both(monkeypatch):
    fitted = fit(monkeypatch, Shop, Environment("SHOP_"), SHOP_CACHE="true", SHOP_CACHE__SIZE="3")
    message = "is a key of a table, but environment variable SHOP_CACHE sets cache to something else"
    told = Problem("cache.size", f"{message}: remove one of the two", "environment variable SHOP_CACHE__SIZE")
    assert fitted.problems == [told]


@pytest.mark.parametrize(
    ("low", "text", "high", "above"),
    [
        ("SHOP_CACHE", "null", "SHOP_CACHE__SIZE", "cache"),
        ("SHOP_ANYTHING", "x", "SHOP_ANYTHING__A__B", "anything"),
        ("SHOP_ANYTHING__A", "x", "SHOP_ANYTHING__A__B__C", "anything.a"),
        ("SHOP_TABLE", '{"deep": {"a": 3}}', "SHOP_TABLE__DEEP__A__B", "table.deep.a"),
        ("shop_table", '{"deep": [3]}', "SHOP_TABLE__DEEP__A__B", "table.deep"),
    ],
)
def test_so_it_is_however_deep_it_stands(monkeypatch, low, text, high, above):
    (problem,) = fit(monkeypatch, Shop, Environment("SHOP_"), **{low: text, high: "3"}).problems
    assert problem.location == f"environment variable {high}"
    assert f"environment variable {low} sets {above} to something else" in problem.message


def test_tables_of_two_variables_are_merged_key_by_key(monkeypatch):
    outer, inner = '{"size": 2, "deep": {"a": {"x": 1, "y": 1}, "b": {}}}', '{"a": {"y": 2}, "c": {"z": 3}}'
    layer, problems, _, _ = fit(
        monkeypatch, Shop, Environment("SHOP_"), SHOP_TABLE=outer, SHOP_TABLE__DEEP=inner, SHOP_TABLE__DEEP__A__X="9"
    )
    assert problems == []
    assert layer.data == {"table": {"size": 2, "deep": {"a": {"x": 9, "y": 2}, "b": {}, "c": {"z": 3}}}}
    places = {"size": "SHOP_TABLE", "deep.a.x": "SHOP_TABLE__DEEP__A__X", "deep.a.y": "SHOP_TABLE__DEEP"}
    for key, name in places.items():
        assert layer.where(("table", *key.split("."))) == f"environment variable {name}"


def test_one_table_under_two_names_is_refused(monkeypatch):
    variables = {"SHOP_TABLE": "{}", "SHOP_TABLE__DEEP": '{"a": {}}', "shop_table__deep": '{"b": {}}'}
    (problem,) = fit(monkeypatch, Shop, Environment("SHOP_"), **variables).problems
    assert problem.message == "is set twice: environment variable SHOP_TABLE__DEEP has the same name"


# ---- JSON in a variable


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("APP_HOSTS", "a,b", "is no valid JSON: Expecting value (line 1, column 1)"),
        ("APP_HOSTS", "['a']", "is no valid JSON: Expecting value (line 1, column 2)"),
        ("APP_HOSTS", '["a",', "is no valid JSON: Expecting value (line 1, column 6)"),
        ("APP_LABELS", '{"a": 1, "a": 2}', "has this key twice in one table (line 1, column 10)"),
        ("APP_LABELS", '{"a": NaN}', "is no valid JSON: JSON has no NaN (line 1, column 7)"),
        ("APP_INSIDE__ONE", '{"a"}', "is no valid JSON: Expecting ':' delimiter (line 1, column 5)"),
    ],
)
def test_what_is_no_json_is_refused_by_variable_with_what_was_expected(monkeypatch, name, text, told):
    (problem,) = fit(monkeypatch, **{name: text}).problems
    commas = "" if text[0] in "[{" else '; lists="comma" takes a list with commas'
    assert problem.location == f"environment variable {name}"
    assert problem.message == f"a list or a table has to be written as JSON here; the text {told}{commas}"


def test_json_of_another_shape_is_refused_by_the_schema_with_the_variable(monkeypatch):
    monkeypatch.setenv("APP_HOSTS", '{"a": 1}')
    monkeypatch.setenv("APP_MEMORY", "[1]")
    monkeypatch.setenv("APP_LABELS", '{"a": [1]}')
    with pytest.raises(ConfigError) as caught:
        ConfigLoader(Settings, Environment("APP_")).load()
    places = {problem.location.removeprefix("environment variable "): problem.key for problem in caught.value.problems}
    assert places == {"APP_HOSTS": "hosts", "APP_MEMORY": "memory", "APP_LABELS": "labels.a"}


def test_an_unknown_name_takes_no_time_without_end_where_classes_refer_to_each_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = [f"Dense{number}" for number in range(14)]
    fields: dict[str, Any] = {name.lower(): (f"{name} | None", None) for name in names}
    classes = {name: pydantic.create_model(name, **fields) for name in names}
    for cls in classes.values():
        cls.model_rebuild(_types_namespace=classes)
    monkeypatch.setenv("DENSE_DENSE1__DENS2", "1")
    with pytest.raises(ConfigError, match="no such key; did you mean DENSE_DENSE1__DENSE2"):
        ConfigLoader(classes["Dense0"], Environment("DENSE_")).load()


class Given(msgspec.Struct):
    """A source of the test's."""

    data: dict[str, Any]

    def read(self) -> Layer:
        return Layer("given", self.data)


class Int(BaseModel):
    kind: Literal["int"]
    x: int = 0


class Text(BaseModel):
    kind: Literal["text"]
    x: str = ""


def test_what_is_below_is_merged_once_however_many_variables_a_tag_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    merges = []

    class Counted(loading.Merged):
        def __init__(self, *arguments: Any) -> None:
            merges.append(arguments)
            super().__init__(*arguments)

    monkeypatch.setattr(loading, "Merged", Counted)
    schema = pydantic.create_model("Schema", items=(dict[str, Int | Text], {}))
    below = {"items": {f"k{number}": {"kind": "text"} for number in range(20)}}
    for number in range(20):
        monkeypatch.setenv(f"APP_ITEMS__K{number}__KIND", "text")
        monkeypatch.setenv(f"APP_ITEMS__K{number}__X", "7")
    config: Any = ConfigLoader(schema, Given(below), Environment("APP_")).load().config
    assert {item.x for item in config.items.values()} == {"7"}
    assert len(merges) == 2
