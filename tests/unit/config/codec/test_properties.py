"""The codec over generated schemas: exact, canonical, running no code of the user's, closed to foreign bytes.

Each example carries several values of different types through one codec: what a codec remembers per class would
hide its mistakes otherwise. Every generated class has hooks (validators, `__init__`, `__post_init__`,
`model_post_init`, default factories) that are silent while values are made and report when armed.
"""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import ipaddress
import pathlib
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
import pydantic
import pydantic_core
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, HttpUrl, PrivateAttr, SecretBytes, SecretStr

from confcast import register_type
from confcast.config.codec import Codec
from confcast.errors import ProtocolError
from tests.unit.config.codec.exactness import assert_exact

_ran: list[str] = []
_armed = False


def hook(name: str) -> None:
    if _armed:
        _ran.append(name)
        raise RuntimeError(f"{name} ran")


@contextmanager
def armed() -> Iterator[None]:
    """While it lasts, every hook of the generated classes is reported, and raises."""
    global _armed
    _ran.clear()
    _armed = True
    try:
        yield
    finally:
        _armed = False
    assert not _ran


class Color(enum.Enum):
    RED = "red"
    BLUE = [1]  # noqa: RUF012


class Level(enum.IntFlag):
    LOW = 1
    HIGH = 2


class Point(NamedTuple):
    x: Any
    y: Any = None


class Money:
    """What an application registered."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __eq__(self, other: object) -> bool:
        return type(other) is Money and other.number == self.number

    def __hash__(self) -> int:
        return hash(self.number)


register_type(Money, encode=lambda money: (money.number,), decode=lambda parts: Money(*parts))


# ---- values


def texts() -> st.SearchStrategy[str]:
    return st.text(st.characters(exclude_categories=()), max_size=8)


URLS = ["http://a.b", "https://u:p@äö.de:8443/ä?q=ü#f", "http://[::1]/x/../y"]
zones = st.sampled_from(
    [None, dt.UTC, dt.timezone(dt.timedelta(hours=1), "x"), ZoneInfo("Europe/Berlin"), pydantic_core.TzInfo(3600)]
)
stamps = st.builds(
    lambda moment, fold, zone: moment.replace(fold=fold, tzinfo=zone), st.datetimes(), st.integers(0, 1), zones
)
TYPED: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (None, st.none()),
    (bool, st.booleans()),
    (int, st.integers() | st.integers(2**63 - 2, 2**64 + 2)),
    (float, st.floats()),
    (str, texts()),
    (bytes, st.binary(max_size=8)),
    (dt.datetime, stamps),
    (dt.time, st.times()),
    (dt.date, st.dates()),
    (dt.timedelta, st.timedeltas()),
    (decimal.Decimal, st.decimals()),
    (uuid.UUID, st.uuids()),
    (pathlib.Path, texts().filter(lambda text: "\0" not in text).map(pathlib.Path)),
    (Color, st.sampled_from(Color)),
    (Level, st.sampled_from([Level.LOW, Level.LOW | Level.HIGH, Level(0)])),
    (SecretStr, st.builds(SecretStr, texts())),
    (SecretBytes, st.builds(SecretBytes, st.binary(max_size=4))),
    (Literal[1, "x", Color.RED], st.sampled_from([1, "x", Color.RED])),
    (ipaddress.IPv4Network, st.ip_addresses(v=4).map(ipaddress.ip_network)),
    (ipaddress.IPv6Interface, st.ip_addresses(v=6).map(ipaddress.ip_interface)),
    (re.Pattern, st.builds(re.compile, texts().map(re.escape), st.sampled_from([0, re.IGNORECASE, re.DOTALL]))),
    (fractions.Fraction, st.fractions()),
    (complex, st.complex_numbers()),
    (pydantic_core.Url, st.sampled_from(URLS).map(pydantic_core.Url)),
    (HttpUrl, st.sampled_from(URLS).map(HttpUrl)),
    (Point, st.builds(Point, texts(), st.integers())),
    (Money, st.builds(Money, st.integers())),
]
leaves = st.one_of([values for _, values in TYPED])
quiet_leaves = leaves.filter(lambda v: not (isinstance(v, decimal.Decimal) and v.is_snan()))  # sNaN has no hash
hashables = st.recursive(
    quiet_leaves, lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3), max_leaves=4
)


def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(texts(), inner, max_size=3),
        st.dictionaries(hashables, inner, max_size=3),
        st.sets(hashables, max_size=4),
        st.lists(inner, max_size=3).map(collections.deque),
        st.dictionaries(hashables, inner, max_size=3).map(collections.OrderedDict),
        st.dictionaries(hashables, st.integers(), max_size=3).map(collections.Counter),
        st.builds(Point, inner, inner),
        st.builds(pydantic.Secret, inner),
    )


anything = st.recursive(leaves, containers, max_leaves=6)
extras = st.just({}) | st.dictionaries(texts(), anything, max_size=2)


@st.composite
def typed(draw: st.DrawFn, classes: tuple[Made, ...]) -> tuple[Any, st.SearchStrategy[Any]]:
    """An annotation and values that fit it, or don't: annotations must not matter."""
    known = [*TYPED, *((made.cls, made.instances()) for made in classes)]
    annotation, values = draw(st.sampled_from(known))
    shape = draw(st.sampled_from(["plain", "list", "tuple", "dict", "optional", "any"]))
    if shape == "list":
        return list[annotation], st.lists(values, max_size=3)
    if shape == "tuple":
        return tuple[annotation, ...], st.lists(values, max_size=3).map(tuple)
    if shape == "dict":
        return dict[str, annotation], st.dictionaries(texts(), values, max_size=2)
    if shape == "optional":
        return annotation | None if annotation is not None else None, st.none() | values
    return (annotation, values) if shape == "plain" else (Any | annotation, anything | values)


# ---- classes


@dataclasses.dataclass
class Made:
    """A generated class and how to make its instances without its own checks."""

    cls: Any
    kind: str
    values: dict[str, st.SearchStrategy[Any]]

    @st.composite
    def instances(draw: st.DrawFn, self: Made) -> Any:
        values = {name: draw(strategy | leaves) for name, strategy in self.values.items()}
        if self.kind == "struct":
            return self.cls(**values)
        if self.kind == "model":
            return draw(models(self.cls, values))
        made = object.__new__(self.cls)
        for name, value in values.items():
            object.__setattr__(made, name, value)
        return made


@st.composite
def models(draw: st.DrawFn, cls: Any, values: dict[str, Any]) -> Any:
    names = [*values, "bogus"]
    fields_set = {name for name in names if draw(st.booleans())} if draw(st.booleans()) else None
    extra = draw(extras)
    made = cls.model_construct(_fields_set=fields_set, **values)
    object.__setattr__(made, "__pydantic_extra__", extra if cls.model_config.get("extra") == "allow" else None)
    if cls.__private_attributes__ and draw(st.booleans()):
        made._private = draw(anything)
    if draw(st.booleans()):
        made.__dict__["put by a validator"] = draw(anything)
    return made


def _model(fields: dict[str, Any], extra: str, with_private: bool) -> Any:
    def init(self: Any, **data: Any) -> None:
        hook("__init__")
        BaseModel.__init__(self, **data)

    def factory() -> int:
        hook("default_factory")
        return 1

    def check(value: Any) -> Any:
        hook("validator")
        return value

    namespace: dict[str, Any] = {
        "__module__": __name__,
        "__annotations__": dict(fields),
        "model_config": ConfigDict(extra=extra, frozen=with_private, arbitrary_types_allowed=True),
        "__init__": init,
        "model_post_init": lambda self, context: hook("model_post_init"),
        "check": pydantic.field_validator("*", mode="plain")(check),
        **{name: pydantic.Field(default_factory=factory) for name in fields},
    }
    if with_private:
        namespace["__annotations__"]["_private"] = Any
        namespace["_private"] = PrivateAttr(default_factory=factory)
    return type(BaseModel)("M", (BaseModel,), namespace)


def _dataclass(fields: dict[str, Any], **options: bool) -> Any:
    namespace = {
        "__module__": __name__,
        "__annotations__": fields,
        "__post_init__": lambda self: hook("__post_init__"),
        "__setattr__": lambda self, name, value: hook("__setattr__"),
    }
    return dataclasses.dataclass(**options)(type("D", (), namespace))


def _struct(fields: dict[str, Any], checked: bool, **options: bool) -> Any:
    namespace = {"__post_init__": lambda self: hook("__post_init__")} if checked else {}
    return msgspec.defstruct("S", fields.items(), namespace=namespace, module=__name__, **options)


@st.composite
def classes(draw: st.DrawFn, inner: tuple[Made, ...]) -> Made:
    drawn = {f"field_{n}": draw(typed(inner)) for n in range(draw(st.integers(0, 4)))}
    if inner:  # not in a leaf class, so that some classes have no field at all
        drawn["enums"] = (Color | Level | Point | Money | HttpUrl | None, st.none())
    fields = {name: annotation for name, (annotation, _) in drawn.items()}
    kind = draw(st.sampled_from(["model", "dataclass", "pydantic dataclass", "struct"]))
    one, other = draw(st.booleans()), draw(st.booleans())
    if kind == "model":
        cls = _model(fields, "allow" if one else "ignore", other)
    elif kind == "dataclass":
        cls = _dataclass(fields, slots=one)
    elif kind == "pydantic dataclass":
        cls = pydantic.dataclasses.dataclass(_dataclass(fields), config=ConfigDict(arbitrary_types_allowed=True))
    else:
        cls = _struct(fields, checked=one, frozen=other, kw_only=other)
    return Made(cls, kind, {name: values for name, (_, values) in drawn.items()})


@st.composite
def schemas(draw: st.DrawFn) -> Made:
    leaf: Made = draw(classes(()))
    middle = draw(classes((leaf,)))
    return draw(classes((leaf, middle)))


# ---- a configuration, edited


@st.composite
def edited(draw: st.DrawFn, codec: Codec[Any], config: Any) -> Any:
    """A copy of the configuration in which few things are others: the pairs that a patch is for."""
    copy = codec.decode(codec.encode(config))
    for _ in range(draw(st.integers(0, 3))):
        copy = draw(edit(copy)) if type(copy) is type(config) else copy
    return copy if type(copy) is type(config) else config


@st.composite
def edit(draw: st.DrawFn, value: Any) -> Any:
    """The value with one change somewhere in it; an object is changed in place."""
    if type(value) in (list, tuple):
        return type(value)(draw(edit_items(list(value), pairs=False)))
    if type(value) is dict:
        return dict(draw(edit_items(list(value.items()), pairs=True)))
    names = parts_of(value)
    if not names:
        return draw(anything)
    name = draw(st.sampled_from(names))
    put(value, name, draw(edit(getattr(value, name, None))))
    if isinstance(value, BaseModel) and draw(st.booleans()):
        value.model_fields_set.symmetric_difference_update({name})
    return value


@st.composite
def edit_items(draw: st.DrawFn, items: list[Any], *, pairs: bool) -> list[Any]:
    """The items, or the pairs of a dict, with one inserted, removed, moved, or edited."""
    at = draw(st.integers(0, max(0, len(items) - 1)))
    how = draw(st.sampled_from(["insert", "remove", "move", "edit", "edit"]))
    if how == "insert" or not items:
        return [*items[:at], (draw(hashables), draw(anything)) if pairs else draw(anything), *items[at:]]
    item = items.pop(at)
    if how == "edit":
        new = (item[0], draw(edit(item[1]))) if pairs else draw(edit(item))
        return [*items[:at], new, *items[at:]]
    return items if how == "remove" else [*items, item]


def parts_of(value: Any) -> list[str]:
    if isinstance(value, msgspec.Struct):
        return list(value.__struct_fields__)
    if dataclasses.is_dataclass(value):
        return [field.name for field in dataclasses.fields(value) if hasattr(value, field.name)]
    return list(type(value).model_fields) if isinstance(value, BaseModel) else []


def put(value: Any, name: str, part: Any) -> None:
    if isinstance(value, msgspec.Struct):
        msgspec.structs.force_setattr(value, name, part)
    elif isinstance(value, BaseModel):
        value.__dict__[name] = part
    else:
        object.__setattr__(value, name, part)


def assert_shared(codec: Codec[Any], old: Any, new: Any) -> None:
    """What has the same bytes at the same place is the same object."""
    if type(old) is not type(new):
        return
    for one, other in corresponding(codec, old, new):
        if type(one) is type(other) and type(one) not in (type(None), bool, int, float, str, bytes):
            if written(codec, one) == written(codec, other):
                assert one is other
            else:
                assert_shared(codec, one, other)


def corresponding(codec: Codec[Any], old: Any, new: Any) -> list[tuple[Any, Any]]:
    if type(old) in (list, tuple) or isinstance(old, Point):
        return list(zip(old, new, strict=True)) if len(old) == len(new) else []
    if type(old) is dict:
        same_keys = [written(codec, key) for key in old] == [written(codec, key) for key in new]
        return list(zip(old.values(), new.values(), strict=True)) if same_keys else []
    return [(getattr(old, name), getattr(new, name)) for name in parts_of(old) if hasattr(new, name)]


def written(codec: Codec[Any], value: Any) -> bytes:
    return codec._written_by(codec._careful, value)


# ---- the properties

# No figure of time decides: neither a deadline, nor the check that values are made quickly.
SLOW = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
QUICK = settings(SLOW, max_examples=200)


@SLOW
@given(st.data())
def test_every_value_of_every_schema_comes_back_exactly_and_no_user_code_runs(data):
    made = data.draw(schemas())
    codec = Codec(made.cls)
    held: Any = None
    for config in data.draw(st.lists(made.instances(), min_size=1, max_size=5)):
        for each in (config, data.draw(edited(codec, config)), data.draw(edited(codec, config))):
            held = _comes_back(codec, each, held)


def _comes_back(codec: Codec[Any], config: Any, held: Any) -> Any:
    """The configuration as a worker has it, decoded; and as one has it that held another one, and got a patch."""
    payload = codec.encode(config)
    with armed():
        back = codec.decode(payload)
    assert_is(codec, back, config, payload)
    if held is None:
        return back
    before = codec.encode(held)
    patch = codec._patches.find(before[8:], payload[8:])
    with armed():
        patched = codec.patched(held, patch)
    assert_is(codec, patched, config, payload)
    assert codec.encode(held) == before
    assert_shared(codec, held, patched)
    return patched


def assert_is(codec: Codec[Any], back: Any, config: Any, payload: bytes) -> None:
    assert_exact(back, config)
    assert codec.encode(back) == payload
    assert codec.comparable(back) == codec.comparable(config)


@SLOW
@given(schemas())
def test_the_same_schema_gives_the_same_table(made):
    assert Codec(made.cls).fingerprint == Codec(made.cls).fingerprint
    assert all(Codec(made.cls).fields)


class Anything(BaseModel):
    value: Any = None
    model_config = ConfigDict(arbitrary_types_allowed=True)

    nested: Color | Level | Point | Money | HttpUrl | None = None


ANYTHING = Codec(Anything)


@QUICK
@given(st.lists(anything, min_size=1, max_size=6))
def test_values_of_any_type_follow_each_other_through_one_codec(values):
    held: Any = None
    for value in values:
        held = _comes_back(ANYTHING, Anything(value=value), held)


@QUICK
@given(st.lists(hashables, max_size=8), st.randoms())
def test_the_order_in_which_a_set_was_filled_does_not_show(members, random):
    shuffled = random.sample(members, len(members))
    assert ANYTHING.comparable(set(members)) == ANYTHING.comparable(set(shuffled)) or len(set(members)) < len(members)


@QUICK
@given(st.binary(max_size=40))
def test_random_bytes_end_in_a_value_of_the_schema_or_a_protocol_error(garbage):
    _decoded_or_refused(ANYTHING, garbage)


@SLOW
@given(st.data())
def test_damaged_payloads_end_in_a_value_of_the_schema_or_a_protocol_error(data):
    made = data.draw(schemas())
    codec = Codec(made.cls)
    body = bytearray(codec.encode(data.draw(made.instances()))[8:])
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(body)))
        body[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
        with armed():
            _decoded_or_refused(codec, bytes(body))


def _decoded_or_refused(codec: Codec[Any], body: bytes) -> None:
    try:
        config = codec.decode(codec.fingerprint[:8] + body)
    except ProtocolError:
        return
    assert isinstance(config, codec.schema)


@pytest.mark.parametrize("kind", ["model", "dataclass", "pydantic dataclass", "struct"])
def test_the_hooks_do_report(kind):
    makers = {
        "model": lambda: _model({"a": int}, "allow", True),
        "dataclass": lambda: _dataclass({"a": int}),
        "pydantic dataclass": lambda: pydantic.dataclasses.dataclass(_dataclass({"a": int})),
        "struct": lambda: _struct({"a": int}, checked=True),
    }
    cls = makers[kind]()
    with pytest.raises(AssertionError), armed(), pytest.raises((RuntimeError, pydantic.ValidationError)):
        cls(a=1)
