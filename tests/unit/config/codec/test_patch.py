"""Patches: what has not changed is the same object, what has changed is exactly what the whole payload gives.

`test_properties.py` has generated schemas and edits; here are the forms of a patch, and when there is none.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import enum
import functools
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AnyUrl, BaseModel, PrivateAttr, SecretStr, model_validator

from confcast import ProtocolError, register_type
from confcast.config.codec import Codec
from confcast.config.diff import differences
from tests.unit.config.codec.exactness import assert_exact


class Color(enum.Enum):
    RED = 1
    BLUE = 2


class Span(NamedTuple):
    start: int
    tags: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Limits:
    most: int = 1
    span: Span = Span(0)  # noqa: RUF009 - a tuple


@dataclasses.dataclass(frozen=True, slots=True)
class Slots:
    one: int = 1
    limits: Limits = Limits()


class Route(msgspec.Struct, frozen=True):
    path: str = "/"
    limits: Limits = Limits()


class Guarded(msgspec.Struct, frozen=True):
    limits: Limits = Limits()
    other: int = 0

    def __post_init__(self) -> None:
        assert self.other >= 0


class Backend(BaseModel, frozen=True, extra="allow"):
    host: str = "h"
    port: int = 80
    limits: Limits = Limits()

    @functools.cached_property
    def address(self) -> list[str]:
        return [f"{self.host}:{self.port}"]


class Settings(BaseModel, frozen=True, arbitrary_types_allowed=True):
    name: str = "app"
    backends: dict[str, Backend] = {}
    listed: list[Backend] = []
    fixed: tuple[Backend, ...] = ()
    by_number: dict[int, Backend] = {}
    slots: Slots = Slots()
    route: Route = Route()
    guarded: Guarded = Guarded()
    color: Color = Color.RED
    secret: SecretStr = SecretStr("hush")
    url: AnyUrl = AnyUrl("http://a")
    words: frozenset[str] = frozenset()
    anything: Any = None


CODEC = Codec(Settings)
MANY = {f"b{n}": {"host": f"10.0.0.{n}"} for n in range(60)}


def settings(**values: Any) -> Settings:
    return CODEC.decode(CODEC.encode(Settings.model_validate({"backends": MANY, **values})))


def patch(old: Any, new: Any, codec: Codec[Any] = CODEC) -> bytes:
    found = codec.patch(old, codec.encode(old), codec.encode(new))
    assert found is not None
    assert codec.encode(found.config) == codec.encode(new)
    assert differences(codec, old, found.config, patched=True) == differences(codec, old, new)
    return found.patch


def patched(old: Any, new: Any, codec: Codec[Any] = CODEC) -> Any:
    before = codec.encode(old)
    made = codec.patched(old, patch(old, new, codec))
    assert_exact(made, new)
    assert codec.encode(made) == codec.encode(new)
    assert codec.encode(old) == before
    return made


def with_port(port: int) -> dict[str, Any]:
    return {**MANY, "b7": {"host": "10.0.0.7", "port": port}}


def test_what_has_not_changed_is_the_same_object():
    old = settings(backends=with_port(1), route=Route("/x"))
    new = patched(old, settings(backends=with_port(2), route=Route("/x")))
    assert new.backends["b7"].port == 2
    assert new.backends["b7"].limits is old.backends["b7"].limits
    assert new.backends is not old.backends
    assert all(new.backends[name] is old.backends[name] for name in MANY if name != "b7")
    for name in ("listed", "fixed", "by_number", "slots", "route", "guarded", "color", "secret", "url", "words"):
        assert getattr(new, name) is getattr(old, name)


def test_the_patch_is_as_large_as_the_change():
    assert len(patch(settings(backends=with_port(1)), settings(backends=with_port(2)))) < 40


LIMITS = {"most": 2}
FROM_TO: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"name": "a"}, {"name": "b"}),
    ({}, {"name": "app"}),  # only which fields were set
    ({"color": 1}, {"color": 2}),
    ({"secret": "a"}, {"secret": "b"}),
    ({"url": "http://a"}, {"url": "http://b"}),
    ({"words": ["a"]}, {"words": ["b", "a"]}),
    ({"slots": {"one": 1}}, {"slots": {"one": 2}}),
    ({"slots": {}}, {"slots": {"limits": LIMITS}}),
    ({"route": Route()}, {"route": Route(limits=Limits(2))}),
    ({"guarded": Guarded()}, {"guarded": Guarded(Limits(span=Span(1)))}),
    ({"listed": [{}, {}]}, {"listed": [{}, {"port": 1}]}),
    ({"listed": [{}, {}]}, {"listed": [{}]}),
    ({"listed": []}, {"listed": [{}]}),
    ({"fixed": [{}, {}]}, {"fixed": [{"limits": LIMITS}, {}]}),
    ({"fixed": [{"port": n} for n in range(9)]}, {"fixed": [{"port": n} for n in (8, 0, 1, 2, 99, 4, 5, 5)]}),
    ({"by_number": {1: {}, 2: {}}}, {"by_number": {1: {}, 2: {"port": 1}}}),
    ({"by_number": {1: {}, 2: {}}}, {"by_number": {2: {}, 1: {}, 3: {}}}),
    ({"by_number": {1: {}}}, {"by_number": {}}),
    ({"anything": {True: 1, 2: 3}}, {"anything": {1: 1, 2: 3}}),
    ({"anything": {"a": 1}}, {"anything": {1: 1, "a": 1}}),
    ({"anything": {"a": 1, "b": 2}}, {"anything": {"b": 2, "a": 1}}),
    ({"anything": {float("nan"): [1]}}, {"anything": {float("nan"): [2]}}),
    ({"anything": [1, "\ud800"]}, {"anything": [2**70, "\ud800"]}),
    ({"anything": [0.0, True]}, {"anything": [-0.0, 1]}),
    ({"anything": [1]}, {"anything": (1,)}),
    ({"anything": Backend()}, {"anything": Route()}),
    ({"anything": Backend()}, {"anything": Backend(more=1)}),
    ({"anything": Span(1)}, {"anything": Span(1, ("a",))}),
    ({"anything": collections.deque([1])}, {"anything": collections.deque([2])}),
]


@pytest.mark.parametrize(("old", "new"), FROM_TO)
def test_a_patched_one_is_exactly_what_the_whole_payload_gives(old: dict[str, Any], new: dict[str, Any]):
    for one, other in ((settings(**old), settings(**new)), (settings(**new), settings(**old))):
        made = patched(one, other)
        assert made.backends is one.backends


def test_entries_of_a_dict_stay_the_same_objects_when_others_come_and_go():
    old = settings()
    rest = {name: value for name, value in MANY.items() if name != "b7"}
    new = patched(old, settings(backends={"first": {}, **rest, "b8": {"port": 9}, "last": {}}))
    assert all(new.backends[name] is old.backends[name] for name in rest if name != "b8")


def test_items_of_a_list_stay_the_same_objects_when_others_come_and_go():
    old = settings(listed=list(MANY.values()))
    new = patched(old, settings(listed=[{"host": "new"}, *list(MANY.values())[2:], *list(MANY.values())[:1]]))
    assert [id(each) for each in new.listed[1:]] == [id(each) for each in (*old.listed[2:], old.listed[0])]


# ---- what an object on the way holds beside its fields


def test_a_cached_value_stays_with_what_has_not_changed_and_is_worked_out_anew_where_something_has():
    old = settings(backends=with_port(1))
    kept = old.backends["b8"].address
    assert old.backends["b7"].address == ["10.0.0.7:1"]
    new = patched(old, settings(backends=with_port(2)))
    assert new.backends["b8"].address is kept
    assert new.backends["b7"].address == ["10.0.0.7:2"]


def test_what_an_application_has_put_on_an_object_does_not_get_into_its_successor():
    old = settings(backends=with_port(1), slots={"limits": {"most": 5}})
    base = CODEC.encode(old)
    change = patch(old, settings(backends=with_port(2), slots={"limits": {"most": 6}}))
    old.backends["b7"].__dict__["memo"] = "of port 1"
    object.__setattr__(old.slots.limits, "memo", "of 5")
    new = CODEC.patched(old, change)
    assert "memo" not in vars(new.backends["b7"])
    assert "memo" not in vars(new.slots.limits)
    assert base != CODEC.encode(old)


def test_extra_values_are_those_of_the_new_one():
    old = settings(backends={**MANY, "b7": {"more": [1], "even": 2}})
    new = patched(old, settings(backends={**MANY, "b7": {"more": [1], "even": 3}}))
    assert new.backends["b7"].model_extra == {"more": [1], "even": 3}
    assert old.backends["b7"].model_extra == {"more": [1], "even": 2}


class Noted(BaseModel, frozen=True):
    a: int = 1
    text: str = ""

    @model_validator(mode="after")
    def _note(self) -> Any:
        self.__dict__["note"] = (self.a,)
        return self


def test_what_a_validator_has_put_there_is_that_of_the_new_one():
    codec = Codec(Noted)
    old, new = (codec.decode(codec.encode(Noted(a=a, text="x" * 3000))) for a in (1, 2))
    made = patched(old, new, codec)
    assert made.__dict__["note"] == (2,)
    assert made.text is old.text


# ---- a configuration that was changed in place


@pytest.mark.parametrize(
    "change",
    [
        lambda held: held.backends.pop("b3"),
        lambda held: held.backends.clear(),
        lambda held: held.__dict__.update(backends=None),
        lambda held: held.__dict__.update(backends="x" * len(MANY)),
        lambda held: held.__dict__.update(backends=set(MANY)),
        lambda held: held.__dict__.pop("backends"),
    ],
)
def test_a_patch_does_not_fit_what_has_lost_a_part_on_the_way(change: Callable[[Settings], object]):
    held = settings(backends=with_port(1))
    found = patch(held, settings(backends=with_port(2)))
    change(held)
    with pytest.raises(ProtocolError, match=r"^a patch does not fit what is held here: \w+$"):
        CODEC.patched(held, found)


def test_the_owner_finds_out_that_its_own_copy_was_changed():
    old, new = settings(name="a"), settings(name="b")
    before = CODEC.encode(old)
    assert CODEC.patch(old, before, CODEC.encode(new)) is not None
    old.backends.pop("b3")
    assert CODEC.patch(old, before, CODEC.encode(new)) is None
    old.backends["b3"] = object()  # type: ignore[assignment]
    assert CODEC.patch(old, before, CODEC.encode(new)) is None


@given(st.binary(max_size=30))
def test_foreign_bytes_end_in_a_protocol_error_or_in_a_value(garbage: bytes):
    held = settings()
    before = CODEC.encode(held)
    with contextlib.suppress(ProtocolError):
        assert type(CODEC.patched(held, garbage)) is Settings
    assert CODEC.encode(held) == before


# ---- when there is none


@dataclasses.dataclass
class Open:
    a: int = 1


class OpenModel(BaseModel):
    a: int = 1


class OpenStruct(msgspec.Struct):
    a: int = 1


class Private(BaseModel, frozen=True):
    _cache: dict[str, int] = PrivateAttr(default_factory=dict)


class Tally:
    """An application's type that has no value to be hashed by."""


class Amount:
    def __init__(self, number: int) -> None:
        self.number = number

    def __eq__(self, other: object) -> bool:
        return type(other) is Amount and other.number == self.number

    def __hash__(self) -> int:
        return hash(self.number)


class Pile:
    def __eq__(self, other: object) -> bool:
        return type(other) is Pile

    __hash__ = None  # type: ignore[assignment]


register_type(Tally, encode=lambda tally: 1, decode=lambda parts: Tally())
register_type(Amount, encode=lambda amount: amount.number, decode=Amount)
register_type(Pile, encode=lambda pile: 1, decode=lambda parts: Pile())


def schema_of(*members: Any) -> Any:
    fields = [(f"f{n}", member | None, None) for n, member in enumerate(members)]
    return dataclasses.make_dataclass("Schema", [*fields, ("text", str, "")], frozen=True)


@pytest.mark.parametrize(
    ("member", "why"),
    [
        (Open, "Open is not frozen"),
        (OpenModel, "OpenModel is not frozen"),
        (OpenStruct, "OpenStruct is not frozen"),
        (Private, "Private has private attributes"),
        (Tally, "Tally is not hashable by value"),
        (Pile, "Pile is not hashable by value"),
    ],
)
def test_a_schema_that_may_be_written_to_travels_whole(member: Any, why: str):
    schema = schema_of(member, Limits)
    codec = Codec(schema)
    assert codec.changeable == [why]
    old, new = (schema(None, Limits(n), "x" * 5000) for n in (1, 2))
    assert codec.patch(old, codec.encode(old), codec.encode(new)) is None


@pytest.mark.parametrize("member", [Limits, Slots, Route, Guarded, Backend, Span, Color, AnyUrl, Amount])
def test_a_schema_of_frozen_classes_does_not(member: Any):
    schema = schema_of(member)
    assert Codec(schema).changeable == []
    old, new = schema(None, "x" * 5000), schema(member("http://a") if member is AnyUrl else None, "x" * 5000)
    assert patched(old, new, Codec(schema)).text is old.text


def test_a_small_payload_travels_whole():
    old, new = Settings(name="a"), Settings(name="b")
    assert CODEC.patch(old, CODEC.encode(old), CODEC.encode(new)) is None


def test_so_does_one_of_which_more_than_half_would_be_in_the_patch():
    old = settings()
    size = len(CODEC.encode(old))
    for name, whole in (("x" * (size - 50), False), ("x" * (size + 50), True)):
        new = settings(name=name)
        assert (CODEC.patch(old, CODEC.encode(old), CODEC.encode(new)) is None) is whole


def test_bytes_of_another_schema_have_no_patch():
    codec = Codec(Noted)
    other = codec.encode(Noted(text="x" * 5000))
    mine = CODEC.encode(settings())
    assert CODEC.patch(settings(), other, mine) is None
    assert CODEC.patch(settings(), mine, other) is None


# ---- what it costs


def calls(function: Callable[[], object]) -> int:
    """How many Python functions are called."""
    found = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal found
        found += event == "call"

    sys.setprofile(count)
    try:
        function()
    finally:
        sys.setprofile(None)
    return found


def test_what_is_equal_costs_no_call_of_python_on_either_side():
    counts = []
    for size in (50, 500):
        many = {f"b{n}": {"host": f"10.0.0.{n}"} for n in range(size)}
        old, new = (settings(backends={**many, "b7": {"port": n}}) for n in (1, 2))
        before, after = CODEC.encode(old), CODEC.encode(new)
        found = CODEC._patches.find(before[8:], after[8:])
        counts.append(
            (calls(lambda: CODEC._patches.find(before[8:], after[8:])), calls(lambda: CODEC.patched(old, found)))  # noqa: B023
        )
    assert counts[0] == counts[1]
    assert max(counts[0]) < 60
