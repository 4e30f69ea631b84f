"""What changed, by key: complete, ordered, plain, and without secrets."""

from __future__ import annotations

import collections
import dataclasses
import decimal
import enum
import functools
import math
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, NamedTuple, NewType, TypeVar

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, RootModel, SecretBytes, SecretStr, create_model
from typing_extensions import TypeAliasType

from confcast.config import diff
from confcast.config.codec import Codec
from confcast.config.diff import MASK, comparable_part, differences, shown_value, shown_values
from confcast.config.schema.kinds import Secret
from confcast.wire.messages import Change
from tests.unit.config.codec.test_properties import ANYTHING, Anything, anything

K = TypeVar("K")


class Mode(enum.Enum):
    FAST = "fast"
    ODD = (1, 2)


class Login(NamedTuple):
    user: str
    password: Annotated[str, Secret]


class Server(msgspec.Struct):
    host: str
    token: Annotated[str, Secret] = "hush"
    port: int = 80


@dataclasses.dataclass
class Memory:
    total: int = 1
    ratio: float = 0.5


class Config(BaseModel):
    model_config = ConfigDict(extra="allow", arbitrary_types_allowed=True)  # pydantic knows no Struct

    debug: bool = False
    memory: Memory | None = Field(default_factory=Memory)
    named: str = Field("n", alias="theName")
    servers: dict[str, Server] = {}
    listed: list[Server] = []
    limits: dict[Any, Any] = {}
    mode: Mode = Mode.FAST
    anything: Any = None
    password: SecretStr = SecretStr("p")
    key: SecretBytes | None = None
    marked: Annotated[str, Secret] = "m"
    keyring: dict[str, Annotated[str, Secret]] = {}
    hidden_keys: dict[Annotated[str, Secret], int] = {}
    login: Login | None = None
    _state: int = PrivateAttr(1)
    _token: Annotated[str, Secret] = PrivateAttr("t")


CODEC = Codec(Config)


def changed(**fields: Any) -> list[Change]:
    changes = differences(CODEC, Config(), Config(**fields))
    msgspec.msgpack.encode(changes)
    return changes


@pytest.mark.parametrize("wrapped", [lambda table: table, lambda table: table | None, lambda table: list[table]])
@pytest.mark.parametrize(
    "table",
    [
        dict[Annotated[str, Secret], int],
        TypeAliasType("Plain", dict[Annotated[str, Secret], int]),
        TypeAliasType("Table", dict[K, int], type_params=(K,))[Annotated[str, Secret]],
        NewType("New", dict[Annotated[str, Secret], int]),
    ],
    ids=str,
)
def test_a_table_with_secret_keys_shows_none_whatever_name_its_type_has(table, wrapped):
    Keyed = create_model("Keyed", table=(wrapped(table), ...))

    def config(key):
        entries = {key: 1}
        return Keyed(table=[entries] if wrapped(table) == list[table] else entries)

    changes = differences(Codec(Keyed), config("hunter2"), config("hunter3"))
    assert [change.key for change in changes] == ["table"]
    assert "hunter" not in str(changes)


def test_nothing_changed_when_only_fields_set_and_order_differ():
    old = Config(limits={"a": 1, "b": 2}, anything={1: {"x": Memory()}, 2: {3, 4}})
    new = Config(debug=False, mode=Mode.FAST, limits={"b": 2, "a": 1}, anything={2: {4, 3}, 1: {"x": Memory()}})
    assert old.model_fields_set != new.model_fields_set
    assert differences(CODEC, old, new) == []


def test_fields_set_of_models_inside_lists_do_not_count():
    class Outer(BaseModel):
        inner: list[Config] = []

    assert differences(Codec(Outer), Outer(inner=[Config()]), Outer(inner=[Config(debug=False)])) == []


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(anything, anything)
def test_the_diff_is_empty_if_and_only_if_the_encodings_are_equal(left, right):
    old, new = Anything(value=left), Anything(value=right)
    assert differences(ANYTHING, old, ANYTHING.decode(ANYTHING.encode(old))) == []
    changes = differences(ANYTHING, old, new)
    assert bool(changes) == (ANYTHING.comparable(old) != ANYTHING.comparable(new))
    msgspec.msgpack.encode(changes)


@pytest.mark.parametrize(
    ("old", "new"),
    [(1, True), (1, 1.0), (0.0, -0.0), ((1,), [1]), ({1}, frozenset({1})), ("1", 1), ({1: 0}, {True: 0})],
)
def test_equal_values_of_different_types_are_a_change(old, new):
    assert differences(ANYTHING, Anything(value=old), Anything(value=new))


def test_a_nan_is_no_change():
    assert differences(ANYTHING, Anything(value=[float("nan")]), Anything(value=[float("nan")])) == []
    nans = [{float("nan"): 1, "x": decimal.Decimal("nan")} for _ in range(2)]
    assert differences(ANYTHING, Anything(value=nans[0]), Anything(value=nans[1])) == []


def test_changes_come_by_dotted_key_in_the_order_of_the_fields():
    changes = changed(
        mode=Mode.ODD, debug=True, memory=Memory(total=2, ratio=1.5), theName="other", limits={"b": 1, "a": {"c": [1]}}
    )
    assert changes == [
        Change("debug", False, True),
        Change("memory.total", 1, 2),
        Change("memory.ratio", 0.5, 1.5),
        Change("theName", "n", "other"),
        Change("limits.b", None, 1),
        Change("limits.a", None, {"c": [1]}),
        Change("mode", "fast", "ODD"),
    ]


def test_extra_and_private_values_are_compared():
    old, new = Config(more=1, gone={"x": 1}), Config(more=2)
    new._state = 5
    assert differences(CODEC, old, new) == [
        Change("more", 1, 2),
        Change("gone", {"x": 1}, None),
        Change("_state", 1, 5),
    ]


class Roots(BaseModel):
    levels: RootModel[dict[str, int]] = RootModel({})
    names: RootModel[list[str]] = RootModel([])
    tokens: RootModel[dict[str, SecretStr]] = RootModel({})
    deep: RootModel[RootModel[int]] = RootModel(RootModel(1))


def test_a_root_model_is_what_it_stands_for():
    """Its key is that of files, messages and `set`, which know no `root`."""
    codec = Codec(Roots)
    old = Roots.model_validate({"levels": {"a": 1}, "tokens": {"x": "hunter2"}})
    new = Roots.model_validate({"levels": {"a": 2, "b": 1}, "names": ["x"], "tokens": {"x": "hunter3"}, "deep": 2})
    assert differences(codec, old, new) == [
        Change("levels.a", 1, 2),
        Change("levels.b", None, 1),
        Change("names", [], ["x"]),
        Change("tokens.x", MASK, MASK),
        Change("deep", 1, 2),
    ]
    assert [(key, value(True)) for key, value in shown_values(codec, new)] == [
        ("levels.a", 2),
        ("levels.b", 1),
        ("names", ["x"]),
        ("tokens.x", MASK),
        ("deep", 2),
    ]
    assert shown_value(codec, new, ["levels"]) == {"a": 2, "b": 1}
    assert shown_value(codec, new, ["levels", "b"]) == 1
    assert [comparable_part(codec, each, ["levels", "b"]) for each in (old, new)] == [b"", codec.comparable(1)]


def test_a_schema_that_is_a_root_model_has_the_keys_of_its_table():
    codec = Codec(RootModel[dict[str, int]])
    assert differences(codec, RootModel[dict[str, int]]({}), RootModel[dict[str, int]]({"a": 1})) == [
        Change("a", None, 1)
    ]


def test_a_part_that_comes_or_goes_is_one_change():
    assert changed(memory=None) == [Change("memory", {"total": 1, "ratio": 0.5}, None)]
    assert changed(servers={"web": Server("h")}) == [
        Change("servers.web", None, {"host": "h", "token": MASK, "port": 80})
    ]


def test_a_list_is_one_value():
    assert changed(anything=[1, {2}, (b"x", decimal.Decimal("1.0"))]) == [
        Change("anything", None, [1, [2], ["b'x'", "1.0"]])
    ]


def test_keys_that_are_no_str_are_distinguished_by_type():
    old, new = Config(limits={1: "a", "1": "b"}), Config(limits={1: "a", "1": "c"})
    assert differences(CODEC, old, new) == [Change("limits.1", "b", "c")]


def test_secrets_are_masked_wherever_they_stand():
    old = Config(servers={"web": Server("h", "planted")})
    new = Config(
        servers={"web": Server("h", "planted too")},
        listed=[Server("h", "planted")],
        password=SecretStr("planted"),
        key=SecretBytes(b"planted"),
        marked="planted",
        keyring={"name": "planted"},
        hidden_keys={"planted": 1},
        login=Login("user", "planted"),
        anything=[
            SecretStr("planted"),
            {"x": SecretBytes(b"planted"), SecretStr("planted"): 1},
            Server("h", "planted"),
            Login("user", "planted"),
        ],
    )
    new._token = "planted"
    changes = differences(CODEC, old, new)
    assert "planted" not in repr(changes)
    shown = {change.key: (change.old, change.new) for change in changes}
    assert shown["servers.web.token"] == shown["password"] == shown["marked"] == shown["_token"] == (MASK, MASK)
    assert shown["key"] == (None, MASK)
    assert shown["keyring.name"] == (None, MASK)
    assert shown["hidden_keys"] == (MASK, MASK)
    assert shown["login"] == (None, [MASK, MASK])
    assert shown["listed"][1] == [{"host": "h", "token": MASK, "port": 80}]
    assert shown["anything"][1][:2] == [MASK, {"x": MASK, MASK: 1}]


@pytest.mark.parametrize("wrapped", [collections.deque, lambda items: collections.OrderedDict(enumerate(items))])
def test_a_secret_is_masked_in_what_is_neither_a_list_nor_a_dict(wrapped):
    """The annotation of the collection says nothing of it; the class of the item does."""
    (change,) = changed(anything=wrapped([Server("h", "planted")]))
    item = {"host": "h", "token": MASK, "port": 80}
    assert change == Change("anything", None, [item] if wrapped is collections.deque else {"0": item})


def test_long_values_are_cut_and_odd_ones_made_text():
    by_key = {
        change.key: change.new
        for change in changed(
            theName="x" * 1000,
            anything=list(range(1000)),
            limits={"big": 10**5000, "odd": "\ud800", "\ud801": float("inf"), "bytes": b"\xff", "two": 2**64},
        )
    }
    assert by_key["theName"] == "x" * 199 + "…"
    assert by_key["anything"].startswith("[0, 1, 2")
    assert len(by_key["anything"]) == 200
    assert len(by_key["limits.big"]) == 200
    assert by_key["limits.odd"] == "\\ud800"
    assert by_key["limits.\\ud801"] == float("inf")
    assert by_key["limits.bytes"] == "b'\\xff'"
    assert by_key["limits.two"] == hex(2**64)


def test_a_key_that_is_no_text_makes_no_change_of_the_others():
    old, new = Config(limits={"a": 1, "b": 2}), Config(limits={"a": 1, "b": 3, 7: 1})
    assert [(change.key, change.old, change.new) for change in differences(CODEC, old, new)] == [
        ("limits.b", 2, 3),
        ("limits.7", None, 1),
    ]


# ---- what has the same bytes is skipped


def test_a_change_is_found_below_values_that_have_the_same_bytes():
    old = Config(servers={"a": Server("x"), "b": Server("y")}, listed=[Server("z")], limits={"n": 1, "t": True})
    new = Config(
        servers={"a": Server("x"), "b": Server("y", port=81)}, listed=[Server("z")], limits={"n": True, "t": 1}
    )
    assert [change.key for change in differences(CODEC, old, new)] == ["servers.b.port", "limits.n", "limits.t"]
    assert differences(CODEC, new, new) == differences(CODEC, old, Config(**dict(old))) == []


@pytest.mark.parametrize("huge", [2**64, "\ud800", {"deep": [2**70]}, [{"deep": "\udfff"}]])
def test_what_has_no_quick_bytes_is_compared_all_the_same(huge):
    assert changed(anything=huge) == changed(anything=huge) != []
    old, new = Config(anything=huge, limits={"a": huge}), Config(anything=huge, limits={"a": huge, "b": 1})
    assert [change.key for change in differences(CODEC, old, new)] == ["limits.b"]


def test_a_second_diff_sees_what_was_changed_in_place_since_the_first():
    old, new = Config(limits={"a": {"b": [1]}}), Config(limits={"a": {"b": [1]}})
    assert differences(CODEC, old, new) == []
    new.limits["a"]["b"].append(2)
    assert [change.key for change in differences(CODEC, old, new)] == ["limits.a.b"]
    new.limits["a"]["b"].pop()
    assert differences(CODEC, old, new) == []


def test_lists_of_other_lengths_types_and_order_differ():
    class Lists(BaseModel):
        values: Any = None

    codec = Codec(Lists)
    values = [
        [],
        [1],
        [True],
        [1.0],
        [[1]],
        [(1,)],
        (1,),
        [1, 2],
        [2, 1],
        [{"a": 1}],
        [{"a": 1}, 2],
        [float("nan")],
        [None],
    ]
    for left in values:
        for right in values:
            changes = differences(codec, Lists(values=left), Lists(values=right))
            assert bool(changes) is (left is not right), (left, right)


@pytest.mark.parametrize(
    "value",
    [
        *([], [1] * 10, ["x" * 30] * 7, ["x" * 190], [*range(60)], [*range(400)], [["x" * 50] * 9] * 9),
        *({"k": ["y"] * 300},),
        *({str(n): n for n in range(30)}, {str(n): n for n in range(3000)}, {n: {"a": [n] * n} for n in range(50)}),
        *([Server("h", port=n) for n in range(90)], {"s": [Server("h" * 99)] * 3}, {*range(500)}, ("t",) * 67),
        *(("t",) * 40,),
    ],
)
def test_of_a_long_value_the_same_text_is_shown_as_if_all_of_it_were(value, monkeypatch):
    shown = [(change.old, change.new) for change in changed(anything=value)]
    unlimited = functools.partialmethod(diff._Comparison.__init__, longest=math.inf)
    monkeypatch.setattr(diff._Comparison, "__init__", unlimited)
    monkeypatch.setattr("confcast.config.diff.cut", lambda value: value)
    whole = [(change.old, change.new) for change in differences(CODEC, Config(), Config(anything=value))]
    for short, long in zip(
        (each for pair in shown for each in pair), (each for pair in whole for each in pair), strict=True
    ):
        text = repr(long)
        assert short == (long if len(text) <= 200 else f"{text[:199]}…")


def test_two_threads_may_compare_with_one_codec():
    old = Config(servers={str(n): Server("x", port=n) for n in range(200)})
    new = Config(servers={str(n): Server("x", port=n + (n == 150)) for n in range(200)})
    with ThreadPoolExecutor(4) as pool:
        found = [*pool.map(lambda _: differences(CODEC, old, new), range(40))]
    assert {tuple(change.key for change in each) for each in found} == {("servers.150.port",)}
