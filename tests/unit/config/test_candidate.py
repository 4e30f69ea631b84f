"""Every key that a message prints can be given to `origin_of`, which gives the place that the message gave."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pydantic import AliasChoices, AliasPath, BaseModel, ConfigDict, Field

from confcast import ConfigError, ConfigLoader, Problem
from confcast.config import lookup
from confcast.config.diff import differences
from confcast.errors import NotCarried
from confcast.owner.loop.load_thread import placed

pytestmark = pytest.mark.usefixtures("here")

KEYS = [
    "app.payments", "a b", "", " ", "a\"b", "a'b", "a[0]", "a\nb", "a\\b", "ü.x", "\u202e.x", "\x85", "日本", "0",
    "null", "a", "a.b", "a.b.c", "[0]", "b.", ".b", "b", "true", "\x7f", "x" * 100,
]  # fmt: skip


class Item(BaseModel):
    n: int = 0
    other: dict[str, int] = {}


class Settings(BaseModel):
    model_config = ConfigDict(populate_by_name=True)

    levels: dict[str, int] = {}
    items: dict[str, list[Item]] = {}
    nested: dict[str, dict[str, int]] = {}
    numbers: dict[int, int] = {}
    aliased: int = Field(0, alias="the.alias")
    value: Any = None


def written(value: Any, name: str) -> None:
    """A document of one table in each line, so that places differ."""
    text = {
        "levels": dict.fromkeys(KEYS, value),
        "items": {key: [{"n": 1}, {"n": value, "other": {key: value}}] for key in KEYS},
        "nested": {key: dict.fromkeys(KEYS, value) for key in KEYS},
        "the.alias": value,
    }
    Path(name).write_text(json.dumps(text, indent=1))


@pytest.mark.parametrize("name", ["app.json", "app.yaml"])
def test_a_key_that_a_problem_names_is_found_where_the_problem_was(name):
    written("wrong", name)
    with pytest.raises(ConfigError) as caught:
        ConfigLoader(Settings, name).load()
    problems = caught.value.problems
    assert len(problems) == len(KEYS) * (3 + len(KEYS)) + 1
    written(12345, name)
    candidate = ConfigLoader(Settings, name).load()
    for problem in problems:
        assert candidate.origin_of(problem.key) == problem.location, problem.key


def test_a_key_that_a_diff_names_is_found():
    names = [key for key in KEYS if key not in ("a.b", "a.b.c", "b.", ".b", "")]  # what no dot separates from others
    Path("app.json").write_text(json.dumps({"levels": dict.fromkeys(names, 1)}, indent=1))
    loader = ConfigLoader(Settings, "app.json")
    old = loader.load()
    Path("app.json").write_text(json.dumps({"levels": dict.fromkeys(names, 2)}, indent=1))
    new = loader.load()
    changes = differences(loader._codec, old.config, new.config)
    assert [new.origin_of(change.key).split(":")[1] for change in changes] == [str(3 + n) for n in range(len(names))]


def test_a_key_that_stands_in_a_list_or_is_of_an_attribute_is_found():
    Path("app.json").write_text('{"items": {"x y": [{"n": 1},\n{"n": 2}]},\n"the.alias": 3}')
    candidate = ConfigLoader(Settings, "app.json").load()
    for key in ('items."x y".1.n', 'items."x y"[1].n', "items.x y[1].n"):
        assert candidate.origin_of(key) == "app.json:2:7"
    for key in ('"the.alias"', "the.alias", "aliased"):
        assert candidate.origin_of(key) == "app.json:3:14"
    assert ConfigLoader(Settings).load().origin_of('"the.alias"') == "default"


def test_keys_of_yaml_that_are_no_text_are_found_as_yaml_writes_them_and_as_python_does():
    Path("app.yaml").write_text(
        "value:\n 404: 1\n yes: 2\n ~: 3\n 2024-01-02: 4\n 1.5: 5\n '404': 6\n !!binary aGk=: 7\n"
    )
    candidate = ConfigLoader(Settings, "app.yaml").load()
    for key, line in (
        ("404", 2), ("true", 3), ("True", 3), ("null", 4), ("None", 4), ("2024-01-02", 5), ("1.5", 6), ('"404"', 7),
        ("b'hi'", 8),
    ):  # fmt: skip
        assert candidate.origin_of(f"value.{key}").startswith(f"app.yaml:{line}:"), key


def test_what_stands_in_quotes_is_one_key_and_what_does_not_is_several_first():
    Path("app.json").write_text('{"value": {"a.b": 1,\n "a": {"b": 2}}}')
    candidate = ConfigLoader(Settings, "app.json").load()
    assert candidate.origin_of('value."a.b"') == "app.json:1:19"
    assert candidate.origin_of("value.a.b") == "app.json:2:13"


class Opaque:
    """What can't be carried."""


class Record(msgspec.Struct):
    first: Any = None
    value: Any = None

    def __post_init__(self) -> None:
        if isinstance(self.value, dict):
            self.value["x y"][1]["z"] = Opaque()


def test_a_value_that_can_t_be_carried_has_the_place_of_the_innermost_one_that_there_is():
    Path("app.json").write_text('{"first": 1,\n"value": {"x y": [1,\n{"u": 1}]}}')
    with pytest.raises(ConfigError) as caught:
        ConfigLoader(Record, "app.json").load()
    (problem,) = caught.value.problems
    assert problem.key == "value.x y[1].z"
    assert problem.location.startswith("app.json:3:")


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ('levels."a.c"', "a.c"),
        ("levels.", ""),
        ("levels..a", ""),
        ('levels."a', '"a'),
        ("levels[0]", "[0]"),
        ("levels.a.x", "x"),
        ("value[0]", "[0]"),
        ('"', '"'),
    ],
)
def test_a_key_that_there_is_not_is_named_by_its_first_part_that_there_is_not(key, name):
    Path("app.json").write_text('{"levels": {"a": 1, "b": 2}, "value": 1}')
    with pytest.raises(KeyError) as caught:
        ConfigLoader(Settings, "app.json").load().origin_of(key)
    assert caught.value.args[0].startswith(f"Settings has no key {key!r}: nothing is called {name!r} there")


def test_the_refusal_of_a_type_names_a_key_of_the_schema():
    class Odd(BaseModel):
        model_config = ConfigDict(arbitrary_types_allowed=True)
        inner: dict[str, Opaque] = {}

    with pytest.raises(NotCarried) as caught:
        ConfigLoader(Odd).load()
    assert [problem.key for problem in caught.value.problems] == ["inner"]


# ---- fields that are sought


class Spread(BaseModel):
    """Fields that pydantic finds in a list, in a table, and by one key of two."""

    model_config = ConfigDict(validate_by_name=True)

    first: int = Field(0, validation_alias=AliasChoices(AliasPath("row", 0), "the.first"))
    second: int = Field(0, validation_alias=AliasPath("row", 1))
    inner: Item = Field(Item(), validation_alias=AliasPath("table", "inner"))
    one: int = Field(0, alias="both")
    other: int = Field(0, alias="both")


@pytest.mark.parametrize(
    ("key", "written", "found"),
    [
        ("first", {"row": [1, 2]}, "row.0"),
        ("first", {"row": [1, 2], "the.first": 3}, "row.0"),
        ("first", {"the.first": 3}, '"the.first"'),
        ("the.first", {"row": [1, 2]}, "row.0"),
        ('"the.first"', {"row": [1, 2]}, "row.0"),
        ("first", {"first": 3}, "first"),
        ("first", {"table": {}}, None),
        ("second", {"row": [1, 2]}, "row.1"),
        ("second", {"row": [1]}, None),
        ("inner", {"table": {"inner": {"n": 1}}}, "table.inner"),
        ("inner.n", {"table": {"inner": {"n": 1}}}, "table.inner.n"),
        ("inner.other", {"table": {}}, None),
        ("one", {"both": 3}, "both"),
        ("other", {"both": 3}, "both"),
    ],
)
def test_a_field_is_found_where_its_library_takes_it_from(key: str, written: dict[str, Any], found: str | None) -> None:
    Path("app.json").write_text(json.dumps(written, indent=1))
    candidate = ConfigLoader(Spread, "app.json").load()
    place = "default" if found is None else candidate.origin_of(found)
    assert (place == "default") is (found is None)
    assert candidate.origin_of(key) == place


# ---- work


class Nested(BaseModel):
    model_config = ConfigDict(populate_by_name=True)

    child: Nested | None = Field(None, alias="kid")
    value: int = 0


def calls(monkeypatch: pytest.MonkeyPatch, name: str, work: Callable[[], object]) -> int:
    """How often a function of lookup.py is called meanwhile."""
    function, count = getattr(lookup, name), 0

    def counted(*arguments: Any) -> Any:
        nonlocal count
        count += 1
        return function(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(lookup, name, counted)
        work()
    return count


@pytest.mark.parametrize("key", ['levels."app.{}"', "levels.plain{}", "levels.nosuch.a.b.{}", 'levels."no.such{}"'])
def test_the_keys_of_a_table_are_written_once_at_most_whatever_is_looked_for(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = {form.format(number): number for number in range(100) for form in ("app.{}", "plain{}")}
    candidate = ConfigLoader(Settings, overrides={"levels": table}).load()
    problems = tuple(Problem(key.format(number), "no") for number in range(50))
    found: list[tuple[Problem, ...]] = []
    written = calls(monkeypatch, "shown", lambda: found.append(placed(candidate, problems)))
    assert {problem.location for problem in found[0]} == {"override"}
    assert written < 2 * len(table)


def test_a_field_of_two_names_does_not_double_the_steps_at_each_part_of_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    def steps(parts: int) -> int:
        key = ".".join(["child"] * parts + ["nosuch"])
        return calls(monkeypatch, "value_at", lambda: placed(candidate, (Problem(key, "no"),)))

    candidate = ConfigLoader(Nested).load()
    assert steps(12) < 3 * steps(6)


@pytest.mark.parametrize("part", ["kid", "child", "[0]", "x"])
def test_a_key_of_very_many_parts_is_none(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    candidate = ConfigLoader(Nested).load()
    with pytest.raises(KeyError, match="has no key"):
        candidate.origin_of(".".join([part] * 3000))
    with pytest.raises(KeyError, match="has no key"):
        candidate.origin_of(f"value[{'9' * 5000}]")
