"""Texts from the environment for fields whose validators come before pydantic's: the type as written decides."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, TypeVar

import msgspec
import pydantic
import pytest
from pydantic import BaseModel, BeforeValidator, PlainValidator, RootModel, WrapValidator
from typing_extensions import TypeAliasType, TypedDict

from confcast import ConfigError, ConfigLoader, Environment

T = TypeVar("T")


class Strict(BaseModel, strict=True):
    n: int = 0
    on: bool = False
    tags: list[str] = []


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"]
    tricks: list[str] = []


class Box(BaseModel, Generic[T]):
    inside: T


class Table(TypedDict, total=False):
    n: int


class Pair(NamedTuple):
    x: int
    y: int = 2


@dataclasses.dataclass
class Data:
    n: int = 0


class Words(RootModel[list[str]]):
    pass


Numbers = NewType("Numbers", list[int])
Names = TypeAliasType("Names", list[str])
Either = Annotated[Cat | Dog, pydantic.Field(discriminator="kind")]


def seen(value: Any) -> Any:
    return value


def load(monkeypatch: pytest.MonkeyPatch, schema: Any, source: Environment | None = None, /, **variables: str) -> Any:
    for name in [name for name in os.environ if name.upper().startswith("APP_")]:
        monkeypatch.delenv(name)
    for name, text in variables.items():
        monkeypatch.setenv(name, text)
    return ConfigLoader(schema, source or Environment("APP_")).load().config


def problems(monkeypatch: pytest.MonkeyPatch, schema: Any, /, **variables: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(monkeypatch, schema, **variables)
    return list(map(str, caught.value.problems))


def by_mark(annotation: Any, mark: Any) -> Any:
    return pydantic.create_model("Marked", field=(Annotated[annotation, mark], None))


def by_name(annotation: Any, record: Callable[[Any], Any], field: str = "field") -> Any:
    validator = pydantic.field_validator(field, mode="before")(staticmethod(record))
    return pydantic.create_model("Named", __validators__={"record": validator}, field=(annotation, None))


def by_model(annotation: Any, record: Callable[[Any], Any]) -> Any:
    def look(table: Any) -> Any:
        record(table["field"])
        return table

    validator: Any = pydantic.model_validator(mode="before")(staticmethod(look))
    return pydantic.create_model("Whole", __validators__={"look": validator}, field=(annotation, None))


MAKERS = {
    "before": lambda annotation, record: by_mark(annotation, BeforeValidator(record)),
    "wrap": lambda annotation, record: by_mark(annotation, WrapValidator(lambda value, then: then(record(value)))),
    "plain": lambda annotation, record: by_mark(annotation, PlainValidator(record)),
    "named": by_name,
    "star": lambda annotation, record: by_name(annotation, record, "*"),
    "model": by_model,
}


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [
        (list[str], '["A", "B"]', ["A", "B"]),
        (tuple[int, ...], "[1, 2]", [1, 2]),
        (set[str], '["a"]', ["a"]),
        (frozenset[int], "[1]", [1]),
        (Sequence[int], "[1]", [1]),
        (dict[str, int], '{"a": 1}', {"a": 1}),
        (Mapping[str, list[int]], '{"a": [1]}', {"a": [1]}),
        (list[str] | None, "null", None),
        (list[str] | None, '["a"]', ["a"]),
        (int | list[int], "[1]", [1]),
        (int | list[int], "1", 1),
        (str | list[str], '["a"]', ["a"]),
        (str | list[str], "a", "a"),
        (Strict, '{"n": 1}', {"n": 1}),
        (Strict | None, '{"n": 1}', {"n": 1}),
        (Either, '{"kind": "dog", "tricks": ["sit"]}', {"kind": "dog", "tricks": ["sit"]}),
        (Words, '["a"]', ["a"]),
        (Box[int], '{"inside": 1}', {"inside": 1}),
        (Table, '{"n": 1}', {"n": 1}),
        (Pair, "[1, 2]", [1, 2]),
        (Data, '{"n": 1}', {"n": 1}),
        (Numbers, "[1]", [1]),
        (Names, '["a"]', ["a"]),
        (Annotated[list[int], pydantic.Field(max_length=3)], "[1]", [1]),
        (int, "5", 5),
        (bool, "yes", True),
        (float, "2", 2.0),
        (Literal[1, "a"], "1", 1),
        (int | None, "null", None),
        (str, "[1]", "[1]"),
        (Any, "[1]", "[1]"),
        # What only the validator can read stays text.
        (list[str], "a, b", "a, b"),
        (list[int], "5", "5"),
        (list[int], "[1, x]", "[1, x]"),
        (dict[str, int], "a=1", "a=1"),
        (list[str], "", ""),
        (int, "10 MB", "10 MB"),
        (Strict, "n:1", "n:1"),
    ],
)
def test_a_validator_gets_what_a_file_would_give_it(monkeypatch, maker, annotation, text, value):
    got: list[Any] = []

    def record(value: Any) -> Any:
        got.append(value)
        return value

    schema = MAKERS[maker](annotation, record)
    with contextlib.suppress(ConfigError):  # of some of them this validator makes nothing that fits
        load(monkeypatch, schema, APP_FIELD=text)
    assert [(each, type(each)) for each in got] == [(value, type(value))]


def split(value: Any) -> Any:
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


def upper(value: list[str]) -> list[str]:
    return [each.upper() for each in value]


class Inside(BaseModel):
    hosts: list[str] = []
    sub: Strict = Strict()
    deep: dict[str, Strict] = {}

    @pydantic.model_validator(mode="before")
    @classmethod
    def _commas(cls, table: Any) -> Any:
        return table | {"hosts": split(table["hosts"])} if "hosts" in table else table


@pydantic.dataclasses.dataclass
class Checked:
    hosts: list[str] = dataclasses.field(default_factory=list)

    @pydantic.field_validator("hosts", mode="before")
    @classmethod
    def _upper(cls, value: Any) -> Any:
        return upper(value)


@dataclasses.dataclass
class Plain:
    hosts: Annotated[list[str], BeforeValidator(upper)] = dataclasses.field(default_factory=list)


class Typed(TypedDict, total=False):
    hosts: Annotated[list[str], BeforeValidator(upper)]


class Whole(BaseModel):
    inside: Inside = Inside()
    marked: Annotated[Inside, BeforeValidator(seen)] = Inside()
    maybe: Annotated[Inside | None, BeforeValidator(seen)] = None
    inner: Annotated[Inside, BeforeValidator(seen)] | None = None
    pet: Annotated[Either, WrapValidator(lambda value, then: then(value))] | None = None
    many: Annotated[dict[str, Strict], BeforeValidator(seen)] = {}
    box: Annotated[Box[Strict], BeforeValidator(seen)] | None = None
    checked: Checked = Checked()
    plain: Plain = dataclasses.field(default_factory=Plain)
    typed: Typed = {}
    text: pydantic.Json[list[int]] = []
    rows: list[Annotated[str, BeforeValidator(str.strip)]] = []


class Record(msgspec.Struct):
    hosts: Annotated[list[str], BeforeValidator(upper)] = []
    inside: Inside = msgspec.field(default_factory=Inside)


@pytest.mark.parametrize(
    ("schema", "name", "text", "told"),
    [
        (Whole, "APP_INSIDE__HOSTS", "a, b", "inside=Inside(hosts=['a', 'b']"),
        (Whole, "APP_INSIDE__HOSTS", '["a, b"]', "inside=Inside(hosts=['a, b']"),
        (Whole, "APP_MARKED__HOSTS", "a,b", "marked=Inside(hosts=['a', 'b']"),
        (Whole, "APP_INSIDE__SUB__N", "1", "inside=Inside(hosts=[], sub=Strict(n=1"),
        (Whole, "APP_MARKED__SUB__ON", "off", "marked=Inside(hosts=[], sub=Strict(n=0, on=False"),
        (Whole, "APP_MAYBE__SUB__N", "2", "maybe=Inside(hosts=[], sub=Strict(n=2"),
        (Whole, "APP_INNER__SUB__TAGS", '["x"]', "inner=Inside(hosts=[], sub=Strict(n=0, on=False, tags=['x']"),
        (Whole, "APP_INNER__DEEP__ONE__N", "2", "deep={'one': Strict(n=2"),
        (Whole, "APP_PET", '{"kind": "cat", "lives": 3}', "pet=Cat(kind='cat', lives=3)"),
        (Whole, "APP_MANY__ONE__N", "4", "many={'one': Strict(n=4"),
        (Whole, "APP_BOX__INSIDE__N", "4", "box=Box[Strict](inside=Strict(n=4"),
        (Whole, "APP_CHECKED__HOSTS", '["a"]', "checked=Checked(hosts=['A'])"),
        (Whole, "APP_PLAIN__HOSTS", '["a"]', "plain=Plain(hosts=['A'])"),
        (Whole, "APP_TYPED__HOSTS", '["a"]', "typed={'hosts': ['A']}"),
        (Whole, "APP_TEXT", "[1, 2]", "text=[1, 2]"),
        (Whole, "APP_ROWS", '[" a "]', "rows=['a']"),
        (Record, "APP_HOSTS", '["a"]', "Record(hosts=['a']"),  # msgspec runs no validators of pydantic's
        (Record, "APP_INSIDE__SUB__N", "3", "Strict(n=3"),
        (Record, "APP_INSIDE__HOSTS", "a,b", "Inside(hosts=['a', 'b']"),
    ],
)
def test_below_a_validator_texts_are_read_by_the_types_there(monkeypatch, schema, name, text, told):
    assert told in repr(load(monkeypatch, schema, **{name: text}))


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("APP_INSIDE__SUB__NN", "APP_INSIDE__SUB__N"),
        ("APP_MARKED__SUB__NN", "APP_MARKED__SUB__N"),
        ("APP_MAYBE__SUB__TAG", "APP_MAYBE__SUB__TAGS"),
        ("APP_CHECKED__HOST", "APP_CHECKED__HOSTS"),
        ("APP_PLAIN__HOST", "APP_PLAIN__HOSTS"),
    ],
)
def test_a_typo_below_a_validator_is_refused(monkeypatch, name, hint):
    told = problems(monkeypatch, Whole, **{name: "1"})
    assert told == [f"environment variable {name}: the schema has no such key; did you mean {hint}?"]


def test_a_list_that_nobody_else_reads_has_to_be_json_also_below_a_validator_of_another_field(monkeypatch):
    (told,) = problems(monkeypatch, Whole, APP_ROWS="a,b")
    assert "a list or a table has to be written as JSON here" in told


def test_a_name_that_only_a_validator_of_a_class_can_use_reaches_it_and_is_reported(monkeypatch, caplog):
    class Renaming(BaseModel):
        size: int = 0

        @pydantic.model_validator(mode="before")
        @classmethod
        def _old(cls, table: Any) -> Any:
            return {"size" if key == "old_size" else key: value for key, value in table.items()}

    class Root(BaseModel):
        cache: Renaming = Renaming()

    assert load(monkeypatch, Root, APP_CACHE__OLD_SIZE="3").cache.size == 3
    (message,) = caplog.messages
    assert message == (
        "environment variable APP_CACHE__OLD_SIZE sets cache.old_size: "
        f"{Renaming.__qualname__} has no such field, so only a validator of its own can use it;"
        " did you mean APP_CACHE__SIZE?"
    )


def test_what_kubernetes_injects_is_not_for_such_a_validator(monkeypatch):
    got: list[Any] = []

    class Root(BaseModel):
        name: str = ""

        @pydantic.model_validator(mode="before")
        @classmethod
        def _look(cls, table: Any) -> Any:
            got.append(table)
            return table

    load(monkeypatch, Root, APP_SERVICE_HOST="10.0.0.1", APP_NAME="x")
    assert got == [{"name": "x"}]


def test_a_key_below_a_known_one_is_no_other_key_where_others_are_kept(monkeypatch):
    class Open(BaseModel, extra="allow"):
        sub: Strict = Strict()

    (told,) = problems(monkeypatch, Open, APP_SUB__NN="1")
    assert told == "environment variable APP_SUB__NN: the schema has no such key; did you mean APP_SUB__N?"
    assert load(monkeypatch, Open, APP_OTHER="1").model_extra == {"other": "1"}


def test_a_secret_under_a_validator_stays_masked(monkeypatch):
    class Root(BaseModel):
        many: Annotated[dict[str, pydantic.SecretStr], BeforeValidator(seen)] = {}
        one: Annotated[list[pydantic.SecretStr], BeforeValidator(seen)] = []

    told = problems(monkeypatch, Root, APP_MANY=json.dumps({"a": ["hunter2"]}), APP_ONE="hunter2")
    assert len(told) == 2
    assert "hunter2" not in "".join(told)
