"""Payloads: what a codec decodes that it has not written, and patches of what is held.

An input is `p` or `s` and a payload (of a model, of a Struct), or `c` and a patch; the fingerprint that a payload
begins with is put before it. Declared: ProtocolError (`config/codec/codec.py`), whose text has nothing of the content.
What is decoded is encoded to bytes that are decoded alike; no code of the user's runs.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import ipaddress
import re
import uuid
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from pydantic import BaseModel, HttpUrl, SecretStr

from confcast.config.codec import Codec
from confcast.errors import NotCarried, ProtocolError
from tests.fuzz.bounds import Finding
from tests.unit.config.codec.exactness import assert_exact

SENTINEL = "Hunter2"
TOKENS = [bytes([0xC7, 3, code]) for code in range(8)] + [b"\xd4", b"\xd5", b"\xd6", b"\xc1", SENTINEL.encode()]


class Color(enum.Enum):
    RED = "red"
    BLUE = 2


class Point(NamedTuple):
    x: int
    y: int = 0


_ORIGIN = Point(0)


class Record(msgspec.Struct, frozen=True):
    """A schema of its own: pydantic takes no Struct."""

    name: str = ""
    at: Point = Point(0)
    inner: list[int | None] = []

    def __post_init__(self) -> None:
        _ran()


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    name: str = ""
    at: Point = _ORIGIN

    def __post_init__(self) -> None:
        _ran()


@dataclasses.dataclass(frozen=True)
class Slot:
    low: int = 0
    high: float = 1.5

    def __post_init__(self) -> None:
        _ran()


class Whole(BaseModel, frozen=True):
    number: int = 3
    ratio: float = 0.5
    text: str = "x" * 40
    raw: bytes = b"\x00"
    when: dt.datetime | None = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
    day: dt.date = dt.date(2026, 1, 2)
    span: dt.timedelta = dt.timedelta(seconds=1.5)
    price: decimal.Decimal = decimal.Decimal("1.50")
    key: uuid.UUID = uuid.UUID(int=1)
    path: Path = Path("a/b")
    color: Color = Color.RED
    secret: SecretStr = SecretStr("s")
    net: ipaddress.IPv4Network = ipaddress.ip_network("10.0.0.0/8")
    pattern: re.Pattern[str] = re.compile("a+")
    url: HttpUrl = HttpUrl("http://a.example/b")
    parts: tuple[Part, ...] = ()
    slots: dict[str, Slot] = {}
    tags: frozenset[str] = frozenset()
    tree: Any = None

    def model_post_init(self, _: Any) -> None:
        _ran()


_armed = False


def _ran() -> None:
    if _armed:
        raise Finding("code of the schema's ran")


_CODEC, _STRUCTS = Codec(Whole), Codec(Record)
_HELD = Whole(
    parts=(Part("a", Point(1, 2)), Part("b")),
    slots={"one": Slot(), "two": Slot(2)},
    tags=frozenset({"x", "y"}),
    tree=[1, {"a": (None, True, {1, 2})}, "t" * 2000],
)
_CHANGED = _HELD.model_copy(
    update={"number": 4, "parts": (Part("a", Point(1, 2)), Part("c")), "slots": {"one": Slot(1)}}
)
_PREFIX = {codec: codec.fingerprint[:8] for codec in (_CODEC, _STRUCTS)}


def seeds():
    bare = Whole()
    for each in (
        bare,
        _HELD,
        _CHANGED,
        *(Whole(tree=value) for value in (1 << 70, -0.0, [Slot(), Part()], {(1,): "x"})),
    ):
        yield b"p" + _CODEC.encode(each)[8:]
    old, new = _CODEC.encode(_HELD), _CODEC.encode(_CHANGED)
    found = _CODEC.patch(_HELD, old, new)
    assert found is not None
    yield b"c" + found.patch
    yield b"s" + _STRUCTS.encode(Record("a", Point(1, 2), [1, None]))[8:]


def one(data: bytes) -> None:
    global _armed
    _armed = True
    try:
        _try(data[:1], data[1:])
    finally:
        _armed = False


def _try(kind: bytes, content: bytes) -> None:
    codec: Codec[Any] = _STRUCTS if kind == b"s" else _CODEC
    try:
        config = codec.patched(_HELD, content) if kind == b"c" else codec.decode(_PREFIX[codec] + content)
    except ProtocolError as error:
        if SENTINEL in str(error):
            raise Finding(f"the error quotes the payload: {error}") from error
        return
    try:
        again = codec.encode(config)
    except NotCarried:  # what no codec has written may be what none can write
        return
    assert_exact(codec.decode(again), config)
    assert codec.encode(codec.decode(again)) == again
