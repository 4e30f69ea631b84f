"""What is set at run time: a layer that merges, ends, travels as bytes, says who set what, and shows no secret."""

from __future__ import annotations

import datetime as dt
import enum
from typing import Annotated, Any, Literal

import msgspec
import pytest
from pydantic import AliasPath, BaseModel, Field, SecretStr

from confcast import ConfigError, ConfigLoader, ProtocolError, Secret, Who
from confcast.config.overrides import MOST, NONE, Call, Overrides, without_values
from confcast.errors import Problem

SENTINEL = "hunter2"
WHO = Who(1000, 4711, "/srv/venv/bin/python /srv/venv/bin/confcast set memory.total=9")
CALL = Call(1_800_000_000.0, WHO, "a test")


class Color(enum.Enum):
    RED = "red"


class Memory(BaseModel):
    total: int = 1
    tags: list[str] = []


class Disk(BaseModel):
    kind: Literal["disk"] = "disk"
    size: int = 0


class Net(BaseModel):
    kind: Literal["net"] = "net"
    size: str = ""


class Settings(BaseModel):
    memory: Memory = Memory()
    levels: dict[str, str] = {}
    inside: dict[str, Memory] = {}
    password: SecretStr = SecretStr("")
    marked: Annotated[list[int], Secret] = []
    tokens: dict[SecretStr, int] = {}
    color: Color | None = None
    aliased: int = Field(0, alias="max-size", validation_alias="max-size")
    found: int = Field(0, validation_alias=AliasPath("deep", "inside"))
    store: Disk | Net = Disk()


def loaded(overrides: Overrides, **below: Any) -> Any:
    loader = ConfigLoader(Settings, overrides=below)
    return loader._build(loader._read(overrides))


def problems(overrides: Overrides, values: dict[str, Any]) -> list[tuple[str, str]]:
    with pytest.raises(ConfigError) as caught:
        loaded(overrides.set(values, Settings, CALL))
    return [(problem.key, problem.message) for problem in caught.value.problems]


def set_(values: dict[str, Any], before: Overrides = NONE, call: Call = CALL) -> Overrides:
    return before.set(values, Settings, call)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"memory.total": "5"}, {"memory": {"total": 5, "tags": []}}),
        ({"memory": {"total": 5}, "memory.tags": '["a"]'}, {"memory": {"total": 5, "tags": ["a"]}}),
        ({"memory": '{"total": 5}'}, {"memory": {"total": 5, "tags": ["below"]}}),
        ({"levels.app.payments": "x"}, {"levels": {"app.payments": "x"}}),
        ({'levels."app.payments"': "x"}, {"levels": {"app.payments": "x"}}),
        ({"levels.App": "x"}, {"levels": {"App": "x"}}),
        ({"inside.a.b.total": "7"}, {"inside": {"a.b": {"total": 7, "tags": []}}}),
        ({"color": "red"}, {"color": Color.RED}),
        ({"aliased": "3"}, {"aliased": 3}),
        ({"max-size": 3}, {"aliased": 3}),
        ({"found": "4"}, {"found": 4}),
        ({"deep.inside": "4"}, {"found": 4}),
        ({"store.kind": "net", "store.size": "10"}, {"store": Net(size="10").model_dump()}),
        ({"store.size": "10"}, {"store": Disk(size=10).model_dump()}),
        ({"levels": {}}, {"levels": {}}),
    ],
)
def test_what_a_key_and_its_value_mean(values: dict[str, Any], expected: dict[str, Any]) -> None:
    below = {"memory": {"tags": ["below"]}} if values.get("memory") == '{"total": 5}' else {}
    dumped = loaded(set_(values), **below).config.model_dump()
    assert {name: dumped[name] for name in expected} == expected


def test_the_layer_is_above_the_sources_and_names_who_set_a_value() -> None:
    candidate = loaded(set_({"memory.total": "5"}), memory={"total": 2, "tags": ["a"]})
    assert (candidate.config.memory.total, candidate.config.memory.tags) == (5, ["a"])
    assert candidate.origin_of("memory.total").startswith("set by uid 1000 (confcast set), 20")
    assert candidate.origin_of("memory.tags") == "override"


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("/usr/bin/python3 -m confcast set x=hunter2", " (confcast set)"),
        ("/usr/bin/python3 /opt/hunter.py hunter2", " (python3)"),
        ("", ""),
    ],
)
def test_an_origin_shows_no_argument_of_the_caller(command: str, shown: str) -> None:
    layer = set_({"memory.total": 5}, call=Call(0.0, Who(7, 1, command)))
    assert layer.values[0].origin.rpartition(",")[0] == f"set by uid 7{shown}"
    unknown = set_({"memory.total": 5}, call=Call(0.0))
    assert unknown.values[0].origin.startswith("set at run time, ")


@pytest.mark.parametrize(
    ("values", "key", "message"),
    [
        ({"memory.totl": 1}, "memory.totl", "the schema has no such key; did you mean memory.total?"),
        ({"levls": "x"}, "levls", "the schema has no such key; did you mean levels?"),
        ({"memory": {"totl": 1}}, "memory.totl", "unknown key"),
        (
            {"memory.tags[0]": "a"},
            "memory.tags[0]",
            "items of a list can't be set one by one: set memory.tags to the whole list, as JSON",
        ),
        ({"memory": 5, "memory.total": 5}, "memory.total", "is a key of a table, but memory is set to something else"),
        ({"aliased": 5, "max-size": 5}, "max-size", "is set twice in one call, by two of its names: leave one out"),
        ({'"a': 5}, '"a', "is no key: a quotation in it has no end, or something stands behind it"),
        ({"memory.tags": "a"}, "memory.tags", "a list or a table has to be written as JSON here"),
        ({"memory.total": object()}, "memory.total", "a object is no plain data"),
    ],
)
def test_what_is_refused(values: dict[str, Any], key: str, message: str) -> None:
    [(at, text)] = problems(NONE, values)
    assert at == key
    assert text.startswith(message)


@pytest.mark.parametrize("key", [b"k", (1, 2), dt.datetime(2026, 11, 29)])
@pytest.mark.parametrize("inside", [False, True])
def test_a_key_that_would_not_come_back_from_the_journal_is_refused(key: Any, inside: bool) -> None:
    """A program that speaks the protocol by itself may send one: no owner could read what is set after that."""
    table = {"x": {key: "1"}} if inside else {key: "1"}
    with pytest.raises(ConfigError, match=f"has a {type(key).__name__} as a key: keys are text, numbers"):
        set_({"levels": table})
    for fine in ("a", 1, 2**63, 1.5, True, None):
        layer = set_({"levels": {fine: "1"}})
        assert Overrides.decode(layer.encode()) == layer


def test_a_call_with_several_mistakes_names_them_all_and_sets_nothing() -> None:
    assert [key for key, _ in problems(NONE, {"memory.totl": 1, "memory.total": 2, "x": 1})] == ["memory.totl", "x"]


@pytest.mark.parametrize("number", [1, MOST])
def test_no_more_values_are_set_than_a_load_can_apply(number: int) -> None:
    full = set_({f"levels.key{index}": "x" for index in range(MOST)})
    assert len(set_({"levels.key7": "y"}, full).values) == MOST
    for values in ({f"inside.key{index}": "{}" for index in range(number)}, {"levels": dict.fromkeys("ab", "x")}):
        with pytest.raises(ConfigError, match=f"at most {MOST} can be: put them into a file"):
            set_(values, full)
    with pytest.raises(ConfigError, match=f"at most {MOST}"):
        set_({f"no such key {index}": "x" for index in range(MOST + 1)})  # not one of them is looked for


@pytest.mark.parametrize("key", ["x" * 1001, "levels." + "x." * 100 + "x", "memory" + "[0]" * 100, '"' * 1001])
def test_a_key_that_is_too_long_is_not_looked_for(key: str) -> None:
    """To find out what a key of a megabyte means took an owner longer than a load may take, and then the owner."""
    for ask in (lambda: set_({key: "x"}), lambda: NONE.unset([key], Settings)):
        with pytest.raises(
            ConfigError, match="is too long for a key: at most 1000 characters, and 100 parts"
        ) as caught:
            ask()
        assert len(caught.value.problems[0].key) <= 1000


def test_a_later_value_replaces_what_it_stands_for() -> None:
    first = set_({"memory": {"total": 5, "tags": ["a"]}, "max-size": "1"})
    assert [each.path for each in first.values] == [("memory", "total"), ("memory", "tags"), ("max-size",)]
    again = set_({"memory.total": "6", "aliased": "2"}, first)
    assert loaded(again).config.memory == Memory(total=6, tags=["a"])
    assert loaded(again).config.aliased == 2
    whole = set_({"memory": 5}, again)
    assert [each.path for each in whole.values] == [("max-size",), ("memory",)]
    assert [each.path for each in set_({"memory.total": 1}, whole).values] == [("max-size",), ("memory", "total")]
    assert set_({"memory": {}}, again) == again


def test_the_layers_before_stay_as_they_were() -> None:
    first = set_({"memory.total": 5})
    set_({"memory.total": 6}, first)
    first.unset(["memory"], Settings)
    assert loaded(first).config.memory.total == 5


@pytest.mark.parametrize(
    ("keys", "left"),
    [
        (["memory"], [("max-size",), ("levels", "a.b")]),
        (["memory.total", "aliased"], [("memory", "tags"), ("levels", "a.b")]),
        (["levels.a.b"], [("memory", "total"), ("memory", "tags"), ("max-size",)]),
        (['levels."a.b"', "memory", "max-size"], []),
    ],
)
def test_unset_removes_a_key_and_what_is_in_it(keys: list[str], left: list[Any]) -> None:
    layer = set_({"memory": {"total": 5, "tags": []}, "levels.a.b": "x", "aliased": "1"})
    assert [each.path for each in layer.unset(keys, Settings).values] == left


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("memory.tags", "is not overridden; did you mean memory.total?"),
        ("color", "is not overridden"),
        ("memory.totl", "the schema has no such key; did you mean memory.total?"),
        ('"', "is no key: a quotation in it has no end, or something stands behind it"),
    ],
)
def test_unset_of_what_is_not_set_is_an_error(key: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        set_({"memory.total": 5}).unset([key, "memory"], Settings)
    assert caught.value.problems == [Problem(key, message)]


def test_it_travels_as_bytes_whatever_a_table_holds() -> None:
    layer = set_({"memory.total": "9" * 30, "levels": '{"a": "b"}', "marked": [10**30, None, 1.5, True, b"x"]})
    assert Overrides.decode(layer.encode()) == layer
    assert Overrides.decode(layer.encode()).encode() == layer.encode()
    assert NONE.encode() == b""
    assert Overrides.decode(b"") is NONE


def test_a_field_that_a_later_build_adds_is_skipped() -> None:
    raw = msgspec.msgpack.decode(set_({"memory.total": 5}).encode())
    raw["values"][0]["added"] = 1
    assert Overrides.decode(msgspec.msgpack.encode(raw)) == set_({"memory.total": 5})


def test_damaged_bytes_are_refused_without_their_content() -> None:
    whole = set_({"password": SENTINEL}).encode()
    damaged = [whole[:cut] for cut in range(1, len(whole))] + [whole.replace(b"values", b"hunter")]
    damaged += [whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :] for at in range(len(whole))]
    errors = []
    for each in damaged:
        try:
            Overrides.decode(each)
        except ProtocolError as error:
            errors.append(f"{error} {error.__cause__}")
    assert len(errors) > len(whole)
    assert set(errors) == {"what was set can't be read: it is damaged, or a newer confcast wrote it None"}


def test_what_has_ended_is_left_out_and_what_ends_next_is_known() -> None:
    layer = set_({"color": "red"}, set_({"memory": {"total": 5, "tags": []}}, call=Call(0.0, expires=20.0)))
    layer = set_({"max-size": 1}, layer, Call(0.0, expires=10.0))
    assert layer.next_expiry == 10.0
    assert layer.next_to_expire(Settings) == ("max-size",)
    assert layer.without_expired(9.9) is layer
    later = layer.without_expired(10.0)
    assert later.next_to_expire(Settings) == ("memory.total", "memory.tags")
    assert [each.path for each in later.without_expired(20.0).values] == [("color",)]
    assert later.without_expired(20.0).next_expiry is None


def test_setting_a_key_again_changes_its_end() -> None:
    layer = set_({"color": "red"}, call=Call(0.0, expires=10.0))
    assert set_({"color": "red"}, layer).next_expiry is None


class Fewer(BaseModel):
    memory: Memory = Memory()


class Smaller(BaseModel):
    class Memory(BaseModel):
        tags: list[str] = []

    memory: Memory = Memory()
    levels: dict[str, str] = {}


@pytest.mark.parametrize(("schema", "gone"), [(Fewer, "levels"), (Smaller, "memory.total")])
def test_a_key_that_a_deploy_has_removed_stops_no_load_and_is_said(
    schema: Any, gone: str, caplog: pytest.LogCaptureFixture
) -> None:
    layer = set_({"memory.total": 5, "levels": {SENTINEL: "x"}})
    loader = ConfigLoader(schema)
    loader._build(loader._read(layer))
    loader._build(loader._read(layer))
    [line] = caplog.messages
    assert line.startswith(f"the override of {gone}, set by uid 1000 (confcast set), ")
    assert line.endswith("is left out: the schema has no such key; `confcast unset` with this key removes it")
    assert len(layer.unknown(schema)) == 1
    assert layer.unknown(Settings) == ()
    assert len(layer.unset([gone], schema).values) == 1
    left_out = next(each for each in layer.listed(schema, {}) if not each.applied)
    assert (left_out.key, left_out.value, left_out.needed) == (gone, None, False)


def test_the_listing_says_who_until_when_and_whether_it_is_needed() -> None:
    layer = set_({"memory": {"total": 5}, "color": "red"}, call=CALL._replace(expires=5.0))
    total, color = layer.listed(Settings, {"memory": {"total": 5}, "color": "blue"})
    assert (total.key, total.value, total.who, total.since, total.expires) == ("memory.total", 5, WHO, CALL.since, 5.0)
    assert (total.reason, total.needed, total.applied) == ("a test", False, True)
    assert (color.value, color.needed) == ("red", True)


@pytest.mark.parametrize(
    ("text", "below", "needed"),
    [
        ("5", 5, False),
        ("5", 5.0, False),
        ("5", "5", True),
        ("1", True, True),
        ("5", 6, True),
    ],
)
def test_an_override_is_needed_unless_a_file_gives_the_same(text: str, below: Any, needed: bool) -> None:
    [each] = set_({"memory.total": text}).listed(Settings, {"memory": {"total": below}})
    assert each.needed is needed


def test_a_list_and_another_spelling_are_compared_too() -> None:
    layer = set_({"memory.tags": '["a"]', "aliased": "1"})
    assert not any(each.needed for each in layer.listed(Settings, {"memory": {"tags": ["a"]}, "max-size": 1}))
    assert all(each.needed for each in layer.listed(Settings, {"memory": {"tags": ["b"]}}))


def test_no_secret_is_shown() -> None:
    values = {"password": SENTINEL, "marked": [424242], "tokens": {SENTINEL: 1}, f'tokens."x{SENTINEL}"': "2"}
    layer = set_(values)
    shown = [repr(layer), *map(repr, layer.values), repr(layer.as_layer())]
    shown += [repr(each) for each in layer.listed(Settings, {})] + [each.origin for each in layer.values]
    shown += [*layer.next_to_expire(Settings), repr(loaded(layer)), repr(ConfigLoader(Settings)._read(layer))]
    shown += [str(each) for each in layer.as_layer().fit(Settings).warnings]
    assert "hunter" not in str(shown)
    assert "424242" not in str(shown)
    wrong = {"password": 5, "marked": "hunter2", f'tokens."{SENTINEL}"': "hunter2x", "tokens.a": "[hunter2"}
    assert "hunter" not in str(problems(NONE, wrong))


def test_a_list_of_secrets_is_masked_item_by_item_and_long_values_are_cut() -> None:
    marked, levels = set_({"marked": [1, 2], "levels.a": "x" * 5000}).listed(Settings, {})
    assert marked.value == ["**********", "**********"]
    assert len(levels.value) < 300


@pytest.mark.parametrize(
    ("command", "kept"),
    [
        ("confcast set a=hunter2 b=1 --ttl 5", "confcast set …"),
        ("python -m confcast --name app set --reason x a=hunter2", "python -m confcast --name app set --reason x …"),
        ("confcast check --set a=hunter2", "confcast check --set …"),
        ("confcast check --set=a=hunter2", "confcast check …"),
        ("/bin/python3.11 -c from x import c; c.set({'a': 'hunter2'})", "/bin/python3.11 -c …"),
        ("python -X dev -c hunter2", "python -X dev -c …"),
        ("python3 -c", "python3 -c"),
        ("gunicorn -c conf.py app:app", "gunicorn -c conf.py app:app"),
        ("env X=1 gunicorn app:app", "env X=1 gunicorn app:app"),
    ],
)
def test_a_caller_is_kept_without_the_values_on_its_command_line(command: str, kept: str) -> None:
    assert without_values(Who(1, 2, command)) == Who(1, 2, kept)
