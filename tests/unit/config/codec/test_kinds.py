"""Every kind of schema through the loader and the codec, from a file to what a worker holds; and the codec's traps.

`test_codec.py` has the values; here is what annotations make of them.
"""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import enum
import ipaddress
import json
import re
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, NamedTuple, Optional, TypeVar
from zoneinfo import ZoneInfo

import msgspec
import pydantic
import pydantic_core
import pytest
from pydantic import BaseModel, ConfigDict, Discriminator, Field, JsonValue, RootModel, Tag
from pydantic.networks import AnyUrl, HttpUrl, MongoDsn, NameEmail, PostgresDsn, RedisDsn, UrlConstraints
from typing_extensions import TypedDict

from confcast import ConfigLoader
from confcast.config.codec import Codec
from confcast.config.diff import differences
from tests.unit.config.codec.exactness import assert_exact

T = TypeVar("T")


class Right(enum.Flag):
    READ = 1
    WRITE = 2


class Bits(enum.IntFlag, boundary=enum.KEEP):
    ONE = 1


class Point(NamedTuple):
    x: int
    y: float = 0.5


class Pair(BaseModel, Generic[T]):
    left: T
    right: T


class Words(RootModel[list[str]]):
    pass


class Table(RootModel[dict[str, Point]]):
    pass


class Colors(TypedDict, total=False):
    main: str
    inner: Colors


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"]
    name: str = "rex"


class Tree(BaseModel):
    name: str
    children: list[Tree] = []
    parent: Optional[Tree] = None  # noqa: UP045


class Add(msgspec.Struct, tag="add"):
    number: int


class Remove(msgspec.Struct, tag="remove"):
    name: str
    then: Add | Remove | None = None


class MyDsn(PostgresDsn):
    _constraints = UrlConstraints(allowed_schemes=["mine"], host_required=True)


def _which(value: Any) -> str:
    return value["kind"] if isinstance(value, dict) else value.kind


class Models(BaseModel):
    pair: Pair[int]
    nested: Pair[Pair[str]]
    words: Words
    table: Table
    colors: Colors
    point: Point
    rights: Right
    bits: Bits
    pattern: re.Pattern[str]
    address: ipaddress.IPv4Address | ipaddress.IPv6Address
    network: pydantic.IPvAnyNetwork
    interface: ipaddress.IPv6Interface
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]
    pets: list[Annotated[Annotated[Cat, Tag("cat")] | Annotated[Dog, Tag("dog")], Discriminator(_which)]]
    tree: Tree
    anything: Any
    plain: JsonValue
    zone: ZoneInfo
    when: dt.datetime
    counted: collections.Counter[str]
    queue: collections.deque[int]
    ordered: collections.OrderedDict[str, int]
    mail: pydantic.EmailStr
    named: NameEmail
    secret: pydantic.Secret[int]
    size: pydantic.ByteSize
    one_of: int | list[Point] | dict[str, Right]


TEXT = {
    "pair": {"left": 1, "right": 2},
    "nested": {"left": {"left": "a", "right": "b"}, "right": {"left": "c", "right": "d"}},
    "words": ["a", "b"],
    "table": {"p": [1, 2.5]},
    "colors": {"main": "red", "inner": {"main": "blue"}},
    "point": {"x": 1, "y": 2.0},
    "rights": 3,
    "bits": 9,
    "pattern": "a.*b",
    "address": "fe80::1",
    "network": "10.0.0.0/8",
    "interface": "fe80::1/64",
    "pet": {"kind": "dog", "name": "ace"},
    "pets": [{"kind": "cat", "lives": 3}, {"kind": "dog"}],
    "tree": {"name": "a", "children": [{"name": "b", "parent": {"name": "c"}}]},
    "anything": {"list": [1, None, {"deep": [True]}]},
    "plain": {"list": [1, None, {"deep": [1.5]}]},
    "zone": "Europe/Berlin",
    "when": "2024-10-27T02:30:00+02:00",
    "counted": {"a": 2, "b": -1},
    "queue": [1, 2, 3],
    "ordered": {"z": 1, "a": 2},
    "mail": "a@example.com",
    "named": "Ann <ann@example.com>",
    "secret": 5,
    "size": "3MiB",
    "one_of": {"x": 1},
}


class StartupConfig(msgspec.Struct):
    first: Add | Remove
    many: list[Add | Remove] = []
    flag: Right = Right.READ
    point: Point | None = None
    table: Colors | None = None
    url: HttpUrl | None = None
    model: Tree | None = None
    anything: Any = None


@dataclasses.dataclass(frozen=True)
class Data:
    order: Point
    tree: Tree | None = None
    colors: Colors = dataclasses.field(default_factory=lambda: Colors())
    pet: Annotated[Cat | Dog, Field(discriminator="kind")] | None = None
    when: dt.time | None = None
    mine: MyDsn | None = None


@pytest.mark.parametrize(
    ("schema", "values"),
    [
        (Models, TEXT),
        (
            StartupConfig,
            {
                "first": {"type": "remove", "name": "x", "then": {"type": "add", "number": 1}},
                "many": [{"type": "add", "number": 2}, {"type": "remove", "name": "y"}],
                "flag": 2,
                "point": [1, 2.0],
                "table": {"main": "red"},
                "url": "https://example.com",
                "model": {"name": "a"},
                "anything": [{"a": [1]}],
            },
        ),
        (
            Data,
            {
                "order": [3, 4.0],
                "tree": {"name": "a", "children": [{"name": "b"}]},
                "colors": {"inner": {"main": "x"}},
                "pet": {"kind": "cat"},
                "when": "01:02:03",
                "mine": "mine://u:p@one:1,two:2/db",
            },
        ),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_what_a_file_gives_is_carried_exactly(tmp_path: Path, schema: type, values: dict[str, Any]) -> None:
    (tmp_path / "app.json").write_text(json.dumps(values))
    loader: ConfigLoader[Any] = ConfigLoader(schema, tmp_path / "app.json")
    candidate = loader.load()
    back = loader._codec.decode(candidate.payload)
    assert_exact(back, candidate.config)
    assert differences(loader._codec, candidate.config, back) == []
    for name in values:
        assert type(getattr(back, name)) is type(getattr(candidate.config, name))


def test_members_of_unions_and_tags_stay_of_their_class(tmp_path: Path) -> None:
    (tmp_path / "app.json").write_text(json.dumps(TEXT))
    loader = ConfigLoader(Models, tmp_path / "app.json")
    back = loader._codec.decode(loader.load().payload)
    assert [type(pet) for pet in (back.pet, *back.pets)] == [Dog, Cat, Dog]
    assert type(back.pair) is Pair[int]
    assert type(back.nested) is Pair[Pair[str]]
    assert back.rights is Right.READ | Right.WRITE
    assert back.bits == 9
    assert back.pattern.search("xxaxb") is not None
    assert back.tree.children[0].parent == Tree(name="c")


# ---- URLs and other types of pydantic's


class Urls(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)

    one: AnyUrl | None = None
    http: HttpUrl | None = None
    postgres: PostgresDsn | None = None
    mongo: MongoDsn | None = None
    redis: RedisDsn | None = None
    mine: MyDsn | None = None
    core: pydantic_core.Url | pydantic_core.MultiHostUrl | None = None
    constrained: Annotated[AnyUrl, UrlConstraints(max_length=30)] | None = None


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize(
    "text",
    [
        "http://a.b",
        "https://äö.de:8443/ä?q=ü#f",
        "foo://",
        "file:///x/../y",
        "mailto:x@y.z",
        "data:a b",
        "http://[::1]",
    ],
)
def test_a_url_comes_back_with_every_part_of_it(text: str, keep: bool) -> None:
    url = pydantic_core.Url(text, preserve_empty_path=keep)
    config = Urls(core=url)
    back = Codec(Urls).decode(Codec(Urls).encode(config)).core
    assert type(back) is pydantic_core.Url
    assert (back, str(back), back.unicode_string(), back.path) == (url, str(url), url.unicode_string(), url.path)
    assert (back.port, back.query, back.fragment, back.host) == (url.port, url.query, url.fragment, url.host)


def test_urls_of_several_hosts_and_of_applications_keep_their_class() -> None:
    config = Urls.model_validate(
        {
            "one": "foo://x",
            "http": "http://a",
            "postgres": "postgres://u:p%40@h1:1,h2/db?x=1",
            "mongo": "mongodb://m1,m2",
            "redis": "redis://",
            "mine": "mine://h/x",
            "core": pydantic_core.MultiHostUrl("x://a,b"),
            "constrained": "foo://y",
        }
    )
    back = Codec(Urls).decode(Codec(Urls).encode(config))
    assert back == config
    for name in Urls.model_fields:
        assert type(getattr(back, name)) is type(getattr(config, name))
    assert back.postgres is not None
    assert back.postgres.hosts() == config.postgres.hosts()  # type: ignore[union-attr]
    (change,) = differences(Codec(Urls), config, config.model_copy(update={"mine": MyDsn("mine://h/y")}))
    assert (change.key, change.old, change.new) == ("mine", "mine://h/x", "mine://h/y")


def test_a_counter_is_equal_whatever_the_order_of_its_keys_and_keeps_it() -> None:
    class Counts(BaseModel):
        counts: collections.Counter[str] = collections.Counter()

    one = Counts(counts=collections.Counter({"a": 1, "b": -2}))
    other = Counts(counts=collections.Counter({"b": -2, "a": 1}))
    codec = Codec(Counts)
    assert differences(codec, one, other) == []
    assert list(codec.decode(codec.encode(other)).counts.items()) == [("b", -2), ("a", 1)]


# ---- traps


class Spy(Point):
    """A NamedTuple whose class has code."""

    __slots__ = ()

    def __new__(cls, *values: Any) -> Spy:
        raise AssertionError("ran in a worker")


class Anything(BaseModel):
    value: Any = None
    named: Spy | Pair[int] | Tree | None = None


ANYTHING = Codec(Anything)


def through(value: Any) -> Any:
    config = Anything.model_construct(value=value)
    back = ANYTHING.decode(ANYTHING.encode(config))
    assert_exact(back.value, value)
    return back.value


def test_a_named_tuple_is_rebuilt_without_its_own_code() -> None:
    assert through(tuple.__new__(Spy, (1, 2))) == (1, 2)


def test_true_and_one_as_keys_and_members_are_two_things_on_the_wire() -> None:
    for one, other in (({True: 1}, {1: 1}), ({1.0}, {1}), ([True], [1]), ({0.0: 0}, {-0.0: 0})):
        for value in (one, other, one):  # whatever a codec remembers of the first must not change the second
            through(value)
        assert ANYTHING.encode(Anything(value=one)) != ANYTHING.encode(Anything(value=other))
        assert ANYTHING.comparable(one) != ANYTHING.comparable(other)


def test_equality_that_is_no_exactness_does_not_merge_generics() -> None:
    bare, exact = Pair(left=1, right=2), Pair[int](left=1, right=2)
    assert bare == exact
    assert ANYTHING.encode(Anything(value=bare)) != ANYTHING.encode(Anything(value=exact))
    assert type(through(bare)) is Pair
    assert type(through(exact)) is Pair[int]


def test_fields_set_is_carried_and_is_no_difference() -> None:
    one, other = Tree(name="a"), Tree(name="a", children=[])
    assert one == other
    assert through(one).model_fields_set == {"name"}
    assert through(other).model_fields_set == {"name", "children"}
    assert differences(Codec(Tree), one, other) == []


def test_a_nan_is_no_difference_and_a_negative_zero_is_one() -> None:
    assert differences(ANYTHING, Anything(value=[float("nan")]), Anything(value=[float("nan")])) == []
    assert [c.key for c in differences(ANYTHING, Anything(value=0.0), Anything(value=-0.0))] == ["value"]


def test_shared_references_come_back_as_separate_equal_objects() -> None:
    shared = Tree(name="x")
    one, other = through([shared, shared])
    assert one == other == shared
    assert one is not other


def test_a_value_that_does_not_match_its_annotation_is_carried_as_it_is() -> None:
    class Loose(BaseModel):
        number: int = "not validated"  # type: ignore[assignment]
        base: Tree | None = None

        @pydantic.field_validator("base", mode="plain")
        @classmethod
        def _anything(cls, value: Any) -> Any:
            return (value, [value])

    codec = Codec(Loose)
    config = Loose.model_validate({"base": 5})
    assert_exact(codec.decode(codec.encode(config)), config)
    assert codec.decode(codec.encode(config)).base == (5, [5])


def test_an_annotated_subclass_is_carried_where_its_base_is_annotated() -> None:
    class Leaf(Tree):
        fruit: str = "apple"

    class Both(BaseModel):
        trees: list[pydantic.SerializeAsAny[Tree] | Leaf] = []

    codec = Codec(Both)
    config = Both.model_construct(trees=[Leaf(name="a"), Tree(name="b", children=[Leaf(name="c")])])
    back = codec.decode(codec.encode(config))
    assert_exact(back, config)
    assert [type(tree) for tree in back.trees] == [Leaf, Tree]


def test_a_struct_keeps_what_its_meta_would_refuse() -> None:
    class Small(msgspec.Struct):
        number: Annotated[int, msgspec.Meta(le=3)] = 0

    config = Small(number=99)  # constructors don't look at Meta, decoding does
    assert Codec(Small).decode(Codec(Small).encode(config)) == config


def test_the_same_flags_with_other_values_are_another_table() -> None:
    def made(**values: int) -> Codec[Any]:
        flags = enum.Flag("Flags", values, module=__name__)
        return Codec(dataclasses.make_dataclass("Flagged", [("flags", flags)]))

    assert made(A=1, B=2).fingerprint == made(A=1, B=2).fingerprint
    assert made(A=1, B=2).fingerprint != made(A=2, B=1).fingerprint  # they travel by value: A would become B
