"""The codec, case by case: what is carried comes back exactly, what can't be is refused by path."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import functools
import io
import ipaddress
import pathlib
import re
import struct
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import Annotated, Any, Generic, Literal, NamedTuple, Optional, TypeVar
from zoneinfo import ZoneInfo

import msgspec
import pydantic
import pydantic_core
import pytest
from pydantic import BaseModel, ConfigDict, Field, NameEmail, PrivateAttr, RootModel, SecretBytes, SecretStr
from typing_extensions import TypedDict

from confcast.config.codec import Codec, digest
from confcast.config.codec.supported import read
from confcast.config.codec.table import verdict
from confcast.config.schema.kinds import Secret
from confcast.errors import NotCarried, ProtocolError
from tests.unit.config.codec.exactness import assert_exact

T = TypeVar("T")


class Color(enum.Enum):
    RED = 1
    TRUE = True
    LIST = [1]  # noqa: RUF012


Large = enum.Enum("Large", [f"m{number}" for number in range(60)])


@dataclasses.dataclass
class Painted:
    colors: list[Color]
    large: Large


class Level(enum.IntEnum):
    LOW = 1


class Mode(enum.StrEnum):
    FAST = "fast"


class Right(enum.Flag):
    READ = 1
    WRITE = 2


class Point(NamedTuple):
    x: int
    y: float = 0.5


class Memory(BaseModel):
    total: int = 1
    kept: set[str] = set()


class Holder(BaseModel):
    value: Any = None
    named: Color | Level | Mode | Right | Point | Memory | None = None


CODEC = Codec(Holder)


def carried(value: Any, codec: Codec[Any] = CODEC) -> Any:
    config = Holder(value=value) if codec is CODEC else value
    payload = codec.encode(config)
    back = codec.decode(payload)
    assert_exact(back, config)
    assert codec.encode(back) == payload
    assert codec.comparable(back) == codec.comparable(config)
    return back


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        -(2**63),
        2**64 - 1,
        2**64,
        -(2**63) - 1,
        10**5000,
        0.0,
        -0.0,
        float("nan"),
        float("inf"),
        "text",
        "\ud800 alone",
        "\ud800\udc00",
        b"\x00",
        bytearray(b"x"),
        [],
        [[1], [[]]],
        (),
        (1, [2], (3,)),
        {"a": [1], "b": {"c": (1,)}},
        {1: "int", "1": "str", None: 0, (1, 2): 3, 1.5: 0, b"b": 0},
        {"\udc80": 1},
        {float("nan")},
        {1, "1", b"1", (1,), None, frozenset({1})},
        frozenset(),
        {2**70, "\ud800"},
        dt.datetime(2024, 1, 1),
        dt.datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin")),
        dt.datetime(2024, 1, 1, tzinfo=dt.UTC),
        dt.datetime(2024, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=1, microseconds=1), "odd")),
        dt.datetime(2024, 1, 1, tzinfo=pydantic_core.TzInfo(-3600)),
        dt.date.min,
        dt.time(1, 2, 3, 4, fold=1),
        dt.time(tzinfo=dt.UTC),
        dt.timedelta(days=-1, microseconds=1),
        dt.timezone(dt.timedelta(0), "UTC"),
        ZoneInfo("UTC"),
        decimal.Decimal("-0"),
        decimal.Decimal("1.10"),
        decimal.Decimal("NaN12"),
        decimal.Decimal("sNaN"),
        uuid.UUID(int=5),
        uuid.UUID(int=5, is_safe=uuid.SafeUUID.safe),
        pathlib.Path("/etc/x"),
        pathlib.PurePosixPath("a/\udcff"),
        pathlib.PureWindowsPath("C:\\x"),
        SecretStr("s"),
        SecretBytes(b"s"),
        pydantic.Secret((1, SecretStr("x"))),
        pydantic.ByteSize(2**70),
        Color.RED,
        Color.TRUE,
        Color.LIST,
        Level.LOW,
        Mode.FAST,
        Right.READ | Right.WRITE,
        Right(0),
        Point(1, 2.0),
        Memory(total=5, kept={"b", "a"}),
        re.compile("a.b", re.IGNORECASE),
        re.compile(b"x"),
        ipaddress.ip_address("10.0.0.1"),
        ipaddress.ip_address("fe80::1%eth0"),
        ipaddress.ip_network("10.0.0.0/8"),
        ipaddress.ip_interface("10.0.0.1/8"),
        1 + 2j,
        fractions.Fraction(1, 3),
        collections.deque([1, (2,)], maxlen=3),
        collections.OrderedDict([(2, "b"), ("a", 1)]),
        msgspec.UNSET,
        pydantic_core.Url("http://a.b/c?d"),
        pydantic_core.MultiHostUrl("postgres://a:1,b:2/c"),
        pydantic.NameEmail("Ann", "a@b.c"),
        collections.Counter({"a": 2, (1,): -1}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_comes_back_type_for_type(value):
    carried(value)
    carried([value, {"inside": (value,)}])
    carried([value, 2**64])  # which has everything written carefully


def test_utc_stays_the_one_utc():
    assert carried(dt.datetime(2024, 1, 1, tzinfo=dt.UTC)).value.tzinfo is dt.UTC


def test_one_codec_carries_values_of_changing_types():
    for value in (1, "x", (1,), [SecretStr("x")], 2**70, None, Memory(), Color.RED, {1: 2}, {1.0}, "\ud800", 1):
        carried(value)


def test_sets_have_one_encoding_whatever_their_order():
    words = [f"word{n}" for n in range(200)]
    one, other = Holder(value=set(words)), Holder(value=set())
    for word in reversed(words):
        other.value.add(word)
    assert CODEC.encode(one) == CODEC.encode(other)
    assert digest(CODEC.encode(one)) == digest(CODEC.encode(other))
    assert len(digest(b"")) == 16


def test_a_big_int_and_a_lone_surrogate_do_not_change_how_the_rest_is_written():
    rest = ["text", 2**64 - 1, -(2**63), {"key": (1,)}, {1: "x"}, Memory(), SecretStr("s")]
    both = CODEC.encode(Holder(value=[2**64, "\ud800", rest]))
    assert CODEC.encode(Holder(value=rest))[20:] in both


# ---- pydantic models


class Explosive(BaseModel):
    model_config = ConfigDict(extra="allow", populate_by_name=True)
    __pydantic_extra__: dict[str, int | Memory]

    aliased: int = Field(1, alias="theAlias")
    hidden: str = Field("x", exclude=True)
    memory: Memory = Memory()
    listed: list[Memory] = Field(default_factory=list)
    _private: tuple[int, ...] = PrivateAttr((1, 2))
    _unset: int = PrivateAttr()

    @pydantic.computed_field  # type: ignore[prop-decorator]
    @property
    def computed(self) -> int:
        return self.aliased + 1

    @functools.cached_property
    def cached(self) -> int:
        return self.aliased * 2


def test_a_model_comes_back_with_all_that_it_carries():
    config = Explosive.model_validate({"theAlias": 3, "memory": {"total": 2}, "more": 5, "nested": {"total": 9}})
    config.__dict__["put_there"] = (1, 2)
    config._private = (2**80,)
    assert config.cached == 6
    back = carried(config, Codec(Explosive))
    assert back.model_extra == {"more": 5, "nested": Memory(total=9)}
    assert back._private == (2**80,)
    assert back.model_fields_set == {"aliased", "memory", "more", "nested"}
    assert back.memory.model_fields_set == {"total"}
    assert "cached" not in back.__dict__
    assert back.cached == 6
    assert back.model_dump() == config.model_dump()


def test_each_decoded_model_has_a_fields_set_of_its_own():
    codec = Codec(Memory)
    for config in (Memory(), Memory(total=1), Memory(total=1, kept=set())):
        one, other = codec.decode(codec.encode(config)), codec.decode(codec.encode(config))
        one.model_fields_set.add("other")
        assert other.model_fields_set == config.model_fields_set


def test_a_private_attribute_without_a_value_stays_without_one():
    config = Explosive()
    assert config.__pydantic_private__ is not None
    config.__pydantic_private__["_unset"] = pydantic_core.PydanticUndefined
    back = Codec(Explosive).decode(Codec(Explosive).encode(config))
    assert back.__pydantic_private__ == {"_private": (1, 2)}


def test_a_model_with_more_than_64_fields_keeps_which_were_set():
    wide: Any = pydantic.create_model("Wide", **{f"f{n}": (int, n) for n in range(100)})
    carried(wide(f99=1, f3=2), Codec(wide))


def test_fields_set_may_name_what_is_no_field():
    carried(Memory.model_construct(_fields_set={"bogus"}, total="not an int"), Codec(Memory))


class Box(BaseModel, Generic[T]):
    item: T


class Boxes(BaseModel):
    numbers: Box[int] = Box(item=1)  # an unvalidated default of the bare class
    words: Box[str] = Box[str](item="x")


def test_generic_models_keep_their_parameters():
    back = carried(Boxes(numbers=Box[int](item=2)), Codec(Boxes))
    assert type(back.numbers) is Box[int]
    assert type(carried(Boxes(), Codec(Boxes)).numbers) is Box


class Tree(BaseModel):
    children: list[Tree] = []
    parent: Optional[Tree] = None  # noqa: UP045


class Names(RootModel[list[str]]):
    pass


def test_recursive_and_root_models_are_carried():
    carried(Tree(children=[Tree(), Tree(parent=Tree())]), Codec(Tree))
    carried(Names(["a"]), Codec(Names))


# ---- dataclasses and Structs


@dataclasses.dataclass
class Plain:
    a: int
    b: list[str] = dataclasses.field(default_factory=list)
    unset: int = dataclasses.field(init=False, default=3)
    never: int = dataclasses.field(init=False)

    @functools.cached_property
    def cached(self) -> int:
        return self.a


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Slotted:
    a: int
    b: int = 0


class HalfSlotted(Slotted):
    pass


@pydantic.dataclasses.dataclass(frozen=True)
class Checked:
    a: int = Field(1, ge=0)
    inner: Slotted | HalfSlotted | None = None


def test_dataclasses_come_back_with_what_is_there_and_what_is_not():
    config = Plain(1, ["x"])
    config.extra = (1,)  # type: ignore[attr-defined]
    assert config.cached == 1
    back = carried(config, Codec(Plain))
    assert vars(back) == {"a": 1, "b": ["x"], "extra": (1,)}
    carried(Slotted(a=1), Codec(Slotted))
    half = HalfSlotted(a=2)
    object.__setattr__(half, "more", {1})
    assert carried(Checked(2, half), Codec(Checked)).inner.more == {1}
    frozen = carried(Checked(2), Codec(Checked))
    with pytest.raises(dataclasses.FrozenInstanceError):
        frozen.a = 1


class Server(msgspec.Struct, tag="server", kw_only=True):
    host: str
    port: Annotated[int, msgspec.Meta(ge=1)] = 80
    tags: frozenset[str] = frozenset()


class Guarded(msgspec.Struct, frozen=True, array_like=True):
    server: Server | None = None
    count: int = 0

    def __post_init__(self) -> None:
        if self.count < 0:
            raise ValueError


def test_structs_are_rebuilt_without_checks_and_stay_frozen():
    config = Guarded(Server(host="h"), 1)
    msgspec.structs.force_setattr(config, "count", -5)
    msgspec.structs.force_setattr(config.server, "port", "no int")
    back = carried(config, Codec(Guarded))
    with pytest.raises(AttributeError):
        back.count = 1
    assert carried(Server(host="x"), Codec(Server)) == Server(host="x")


class Extras(TypedDict, total=False):
    color: Color
    deeper: Extras


class Odd(BaseModel):
    extras: Extras = {}
    literal: Literal[Level.LOW, "x", None] = None
    path: pathlib.Path = pathlib.Path("/")
    seq: Sequence[Point] = ()
    table: Mapping[str, pydantic.JsonValue] = {}
    marked: Annotated[str, Secret] = "s"
    mail: pydantic.AwareDatetime | None = None


def test_classes_inside_typed_dicts_literals_and_abstract_containers_are_in_the_table():
    carried(Odd(extras={"color": Color.RED, "deeper": {}}, literal=Level.LOW, seq=[Point(1)]), Codec(Odd))


def test_names_in_an_alias_are_looked_up_where_the_alias_is_and_nowhere_else():
    assert read(pydantic.JsonValue, verdict).problems == ()
    assert read(tuple[pydantic.JsonValue, "SecretStr"], verdict).problems == (  # pydantic.types has that name
        "the name SecretStr can't be resolved; import it at run time too",
    )


# ---- refusals at start


class Opaque:
    pass


class Callbacks(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    hook: Callable[[int], str] | None = None
    kind: type[int] = int
    opaque: list[Opaque] = []
    fine: int = 1
    _lock: threading.Lock = PrivateAttr(default_factory=threading.Lock)


class Root(BaseModel):
    memory: Callbacks = Callbacks()
    again: dict[str, Callbacks] = {}


@dataclasses.dataclass
class Streams:
    rows: Iterator[int]
    made: Generator[int, None, None]
    table: collections.defaultdict[str, int]


def test_every_field_that_cannot_be_carried_is_named_at_once():
    with pytest.raises(NotCarried) as caught:
        Codec(Root)
    keys = [problem.key for problem in caught.value.problems]
    assert keys == [f"{at}.{name}" for at in ("memory", "again") for name in ("hook", "kind", "opaque", "_lock")]
    assert str(caught.value).startswith(
        "memory.hook: Callable can't be carried to the workers; use a str or an Enum and look it up where it is used"
    )
    with pytest.raises(NotCarried, match=r"(?s)rows: Iterator.*made: Generator.*table: defaultdict .* use dict"):
        Codec(Streams)


@pytest.mark.parametrize("schema", [Opaque, int])
def test_what_is_no_class_of_fields_is_refused_as_a_schema(schema):
    with pytest.raises(NotCarried, match=f"{schema.__name__} can't be carried"):
        Codec(schema)


def test_base_settings_are_carried_without_their_constructor(monkeypatch):
    from pydantic_settings import BaseSettings

    class Settings(BaseSettings):
        a: int = 1

    outer: Any = pydantic.create_model("Outer", inner=(Settings, ...))
    payloads = [Codec(Settings).encode(Settings(a=2)), Codec(outer).encode(outer(inner=Settings(a=3)))]
    monkeypatch.setenv("A", "9")
    assert Codec(Settings).decode(payloads[0]).a == 2
    assert Codec(outer).decode(payloads[1]).inner.a == 3
    bare: Any = pydantic.create_model("Bare", inner=(BaseSettings, ...))
    with pytest.raises(NotCarried, match="it is only a base"):
        Codec(bare)


# ---- refusals at load


class Stranger(Memory):
    pass


def test_a_value_that_cannot_be_carried_is_refused_by_path_without_its_content():
    config = Holder(value={"a": [1, Opaque()], "b": (Stranger(total=77), lambda: 1), "c": {2: {Opaque}}})
    with pytest.raises(NotCarried) as caught:
        CODEC.encode(config)
    assert [problem.key for problem in caught.value.problems] == [
        "value.a[1]",
        "value.b[0]",
        "value.b[1]",
        "value.c.2[0]",
    ]
    assert "no annotation of Holder names it" in str(caught.value)
    assert "77" not in str(caught.value)


def test_a_value_beside_a_big_int_is_refused_by_path_too():
    with pytest.raises(NotCarried, match=r"value\[1\]: Opaque"):
        CODEC.encode(Holder(value=[2**64, Opaque()]))


def test_a_zone_without_a_key_is_refused():
    utc = b"TZif" + bytes(16) + struct.pack(">6l", 0, 0, 0, 0, 1, 4) + bytes(6) + b"UTC\0"
    zone = ZoneInfo.from_file(io.BytesIO(utc))
    with pytest.raises(NotCarried, match="value: a ZoneInfo without a key"):
        CODEC.encode(Holder(value=zone))


def test_cycles_are_refused_by_path():
    loop: list[Any] = []
    loop.append({"again": loop})
    config = Holder(value=loop)
    with pytest.raises(NotCarried, match=r"value\[0\].again: this value contains itself"):
        CODEC.encode(config)
    memory = Memory()
    memory.__dict__["me"] = memory
    with pytest.raises(NotCarried, match="me: this value contains itself"):
        Codec(Memory).encode(memory)


@pytest.mark.parametrize(
    "wrap", [lambda v: [v], lambda v: (v,), lambda v: {"k": v}, lambda v: {1: v}, lambda v: Holder(value=v)]
)
def test_deep_nesting_is_carried_up_to_the_limit_and_refused_beyond(wrap):
    value: Any = "x"
    for _ in range(190):
        value = wrap(value)
    carried(value)
    for _ in range(2000):
        value = wrap(value)
    with pytest.raises(NotCarried, match="nested more than 200 levels"):
        CODEC.encode(Holder.model_construct(value=value))


def test_an_incomplete_object_is_refused():
    with pytest.raises(NotCarried, match="built without 'total'"):
        Codec(Memory).encode(_without_total())
    server = Server(host="x")
    del server.port
    with pytest.raises(NotCarried, match="port"):
        Codec(Server).encode(server)


def _without_total() -> Memory:
    memory = Memory()
    del memory.__dict__["total"]
    return memory


def test_another_class_than_the_schema_is_refused_both_ways():
    with pytest.raises(NotCarried, match="expected a Memory, got a Server"):
        Codec(Memory).encode(Server(host="x"))  # type: ignore[arg-type]
    for config in (Holder(), Memory()):
        with pytest.raises(ProtocolError, match="not written with this version of Server"):
            Codec(Server).decode(Codec(type(config)).encode(config))


# ---- the table


def test_fields_lists_every_path_with_its_type():
    assert Codec(Tree).fields == {"children": "list[Tree]", "parent": "Tree | None"}
    assert Codec(Guarded).fields == {
        "server": "Server | None",
        "server.host": "str",
        "server.port": "int",
        "server.tags": "frozenset[str]",
        "count": "int",
    }
    assert Codec(Odd).fields["marked"] == "Annotated[str, Secret]"


def test_fields_distinguish_enums_by_their_members():
    fields = Codec(Painted).fields
    assert fields["colors"] == f"list[Color] (Color of {', '.join(Color.__members__)})"
    assert fields["large"].endswith("m49, …)")


def _made(name: str, module: str, **fields: Any) -> type:
    made = dataclasses.make_dataclass(name, fields.items())
    made.__module__ = module
    return made


def test_the_fingerprint_stands_for_the_fields_and_is_the_same_for_main_and_its_other_name():
    first = Codec(_made("S", "__main__", a=int, b=list[str])).fingerprint
    assert len(first) == 16
    assert first == Codec(_made("S", "__mp_main__", a=int, b=list[str])).fingerprint
    others = [
        _made("S", "__main__", a=int),
        _made("S", "__main__", a=str, b=list[str]),
        _made("S", "__main__", b=list[str], a=int),
        _made("T", "__main__", a=int, b=list[str]),
        _made("S", "elsewhere", a=int, b=list[str]),
    ]
    assert len({first, *(Codec(other).fingerprint for other in others)}) == 6


_ELSEWHERE = """
import sys
from tests.unit.config.codec.test_codec import *
sys.stdout.write(" ".join(Codec(s).fingerprint.hex() for s in (Holder, Explosive, Odd, Boxes)))
"""


def test_another_process_makes_the_same_fingerprint():
    run = subprocess.run([sys.executable, "-c", _ELSEWHERE], capture_output=True, text=True, check=True, timeout=60)
    assert run.stdout.split() == [Codec(s).fingerprint.hex() for s in (Holder, Explosive, Odd, Boxes)]


_WITHOUT_PYDANTIC = """
import sys, msgspec
from confcast.config.codec import Codec
class S(msgspec.Struct):
    a: int = 1
codec = Codec(S)
codec.decode(codec.encode(S()))
sys.exit("pydantic" in sys.modules)
"""


def test_a_struct_schema_does_not_import_pydantic():
    assert subprocess.run([sys.executable, "-c", _WITHOUT_PYDANTIC], check=False, timeout=60).returncode == 0


# ---- foreign bytes


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xc0",
        b"\xc1",
        b"\xdd\xff\xff\xff\xff",
        b"\xc9\xff\xff\xff\xff\x00",
        b"\x91" * 100_000,
        msgspec.msgpack.encode(msgspec.msgpack.Ext(0, b"\x91\x63")),
        msgspec.msgpack.encode(msgspec.msgpack.Ext(0, b"\x91\xff")),
        msgspec.msgpack.encode(msgspec.msgpack.Ext(99, b"\xc0")),
        msgspec.msgpack.encode(msgspec.msgpack.Ext(2, b"\x91\x90")),
        msgspec.msgpack.encode(msgspec.msgpack.Ext(1, b"\xa1a")),
        CODEC.encode(Holder())[8:-1],
        CODEC.encode(Holder())[8:] + b"\xc0",
    ],
)
def test_bytes_that_are_not_the_codecs_end_in_a_protocol_error(payload):
    with pytest.raises(ProtocolError, match=r"^(not a configuration|expected a Holder)"):
        CODEC.decode(CODEC.fingerprint[:8] + payload)
    with pytest.raises(ProtocolError, match="not written with this version of Holder"):
        CODEC.decode(payload)


@pytest.mark.parametrize("code", [1, 2, 3, 4, 5, 6, *range(16, 50)])
def test_parts_of_another_type_are_refused_for_every_code(code):
    row = [0, -1, msgspec.msgpack.Ext(code, msgspec.msgpack.encode(1.5)), None]
    payload = msgspec.msgpack.encode(msgspec.msgpack.Ext(0, msgspec.msgpack.encode(row)))
    with pytest.raises(ProtocolError, match="TypeError"):
        CODEC.decode(CODEC.fingerprint[:8] + payload)


def test_the_error_for_foreign_bytes_repeats_none_of_them():
    secret = CODEC.encode(Holder(value=decimal.Decimal("12345"))).replace(b"12345", b"hush!")
    with pytest.raises(ProtocolError) as caught:
        CODEC.decode(secret)
    assert "hush" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_name_with_an_address_has_two_texts() -> None:
    """Its class takes whatever it is given, and could not be encoded again."""

    class Addressed(BaseModel):
        to: Any = None

    codec = Codec(Addressed)
    payload = codec.encode(Addressed(to=NameEmail("a", "b@c.example")))
    assert codec.decode(payload).to == NameEmail("a", "b@c.example")
    with pytest.raises(ProtocolError):
        codec.decode(payload.replace(b"\xa1a", b"\xcc\x02"))
