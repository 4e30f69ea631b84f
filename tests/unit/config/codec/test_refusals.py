"""What can't be carried is refused: at start by field, or at a load by path, each time with what to do instead."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dataclasses
import enum
import functools
import io
import logging
import pathlib
import socket
import struct
import threading
import types
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Container,
    Generator,
    Iterable,
    Iterator,
    Reversible,
)
from typing import IO, Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
import pydantic
import pytest
from pydantic import BaseModel, ConfigDict, ImportString, PrivateAttr, SerializeAsAny

from confcast import ConfigError, ConfigLoader, NotCarried
from confcast.config.codec import Codec
from confcast.config.schema.kinds import import_path

BY_NAME = "use a str or an Enum and look it up where it is used"
IN_HAND = "use a list or a tuple"
AT_RUN_TIME = "define or import it where the class is, at run time too"
MAKE_IT = (
    "make it a pydantic model, a dataclass or a msgspec Struct, or register it in the schema's module "
    "(confcast.register_type), or keep it out of the configuration and build it where it is used"
)
NAME_THEM = "it is only a base; name the classes that may stand there, such as A | B"


def plain(base: str) -> str:
    return f"use a plain {base}, or register it in the schema's module (confcast.register_type)"


class Opaque:
    pass


class AttrsLike:
    """As attrs makes them."""

    __attrs_attrs__ = ()


class Upper(str):
    __slots__ = ()


class Moment(__import__("datetime").datetime):  # type: ignore[misc]
    pass


class Roll(list):  # type: ignore[type-arg]
    pass


class Color(enum.Enum):
    RED = 1


class Point(NamedTuple):
    x: int


class Heavy(Point):
    """Has a __dict__."""


class WithDict(msgspec.Struct, dict=True):
    a: int


class WithHash(msgspec.Struct, frozen=True, cache_hash=True):
    a: int

    def __post_init__(self) -> None:
        pass


class Slots(BaseModel):
    __slots__ = ("more",)


class SlottedUrl(pydantic.AnyUrl):
    __slots__ = ("more",)


@dataclasses.dataclass
class AnError(Exception):
    a: int


@dataclasses.dataclass
class Unresolved:
    a: Nowhere  # type: ignore[name-defined]  # noqa: F821


@pytest.mark.parametrize(
    ("annotation", "name", "advice"),
    [
        (Iterable[int], "Iterable", IN_HAND),
        (Iterator[int], "Iterator", IN_HAND),
        (Generator[int, None, None], "Generator", IN_HAND),
        (types.GeneratorType, "generator", IN_HAND),
        (Collection[int], "Collection", IN_HAND),
        (Container[int], "Container", IN_HAND),
        (Reversible[int], "Reversible", IN_HAND),
        (AsyncIterator[int], "AsyncIterator", IN_HAND),
        (Awaitable[int], "Awaitable", IN_HAND),
        (Callable[[int], int], "Callable", BY_NAME),
        (Callable, "Callable", BY_NAME),
        (types.FunctionType, "function", BY_NAME),
        (type[int], "type", BY_NAME),
        (type, "type", BY_NAME),
        (enum.EnumMeta, "EnumType", BY_NAME),
        (ImportString, "ImportString", BY_NAME),
        (collections.defaultdict[str, int], "defaultdict", "use dict"),
        (collections.ChainMap, "ChainMap", "use dict"),
        (Opaque, "Opaque", MAKE_IT),
        (AttrsLike, "AttrsLike", MAKE_IT),
        (memoryview, "memoryview", MAKE_IT),
        (range, "range", MAKE_IT),
        (types.MappingProxyType, "mappingproxy", MAKE_IT),
        (types.ModuleType, "module", MAKE_IT),
        (types.SimpleNamespace, "SimpleNamespace", MAKE_IT),
        (collections.UserDict, "UserDict", MAKE_IT),
        (functools.partial, "partial", MAKE_IT),
        (threading.Event, "Event", MAKE_IT),
        (threading.Thread, "Thread", MAKE_IT),
        (socket.socket, "socket", MAKE_IT),
        (logging.Logger, "Logger", MAKE_IT),
        (asyncio.Event, "Event", MAKE_IT),
        (IO[str], "IO", MAKE_IT),
        (contextlib.AbstractContextManager[int], "AbstractContextManager", MAKE_IT),
        (Exception, "Exception", MAKE_IT),
        (Upper, "Upper", plain("str")),
        (Moment, "Moment", plain("datetime")),
        (Roll, "Roll", plain("list")),
        (BaseModel, "BaseModel", NAME_THEM),
        (SerializeAsAny[BaseModel], "BaseModel", NAME_THEM),
        (msgspec.Struct, "Struct", NAME_THEM),
        (enum.Enum, "Enum", NAME_THEM),
        (enum.Flag, "Flag", NAME_THEM),
    ],
    ids=str,
)
def test_an_annotation_that_can_t_be_carried_is_refused_at_start_with_its_field_and_what_to_do(
    annotation: Any, name: str, advice: str
) -> None:
    inner = dataclasses.make_dataclass("Inner", [("bad", annotation), ("good", int)])
    outer = dataclasses.make_dataclass("Outer", [("listed", list[inner | None]), ("tables", dict[str, annotation])])
    with pytest.raises(NotCarried) as caught:
        Codec(outer)
    sentence = f"{name} can't be carried to the workers; {advice}"
    assert [str(problem) for problem in caught.value.problems] == [f"listed.bad: {sentence}", f"tables: {sentence}"]


@pytest.mark.parametrize(
    ("cls", "sentence"),
    [
        (WithDict, "WithDict is a Struct with dict=True, whose dict would be lost; declare every field"),
        (WithHash, "WithHash is a Struct with cache_hash=True and __post_init__; drop one of them"),
        (Heavy, "Heavy is a NamedTuple with a __dict__, which would be lost; give it __slots__ = ()"),
        (Slots, "Slots adds __slots__ to a pydantic model; make them private attributes"),
        (SlottedUrl, "SlottedUrl adds __slots__ to a URL of pydantic's; leave them out"),
        (
            Unresolved,
            "the annotations of Unresolved can't be resolved: name 'Nowhere' is not defined; " + AT_RUN_TIME,
        ),
    ],
)
def test_a_class_that_can_t_be_rebuilt_is_refused_at_start_with_its_field_and_why(cls: type, sentence: str) -> None:
    with pytest.raises(NotCarried) as caught:
        Codec(dataclasses.make_dataclass("Outer", [("good", int), ("inner", list[cls])]))  # type: ignore[valid-type]
    assert str(caught.value) == f"inner: {sentence}"
    with pytest.raises(NotCarried) as caught:
        Codec(cls)
    assert str(caught.value) == sentence


def test_a_class_that_only_its_own_code_can_make_is_refused_at_start() -> None:
    with pytest.raises(NotCarried, match=r"^inner: AnError can't be rebuilt without running its code \("):
        Codec(dataclasses.make_dataclass("Outer", [("inner", AnError)]))
    with pytest.raises(NotCarried, match=r"^AnError can't be rebuilt without running its code \("):
        Codec(AnError)


def test_a_schema_that_no_other_process_can_import_is_refused_in_words() -> None:
    class Local(BaseModel):
        a: int = 1

    loader = ConfigLoader(Local, overrides={})
    with pytest.raises(TypeError, match="is local to a function, so no other process can import it: move it up"):
        loader._to_spec()
    with pytest.raises(TypeError, match="is local to a function"):
        import_path(Local)


def test_the_loader_refuses_at_start_and_not_at_the_first_value(tmp_path: pathlib.Path) -> None:
    class Holder(BaseModel):
        model_config = ConfigDict(arbitrary_types_allowed=True)
        hook: Callable[[int], int] | None = None

    with pytest.raises(NotCarried, match=r"^hook: Callable can't be carried"):
        ConfigLoader(Holder, overrides={}).load()


# ---- at a load, by path


class Base(BaseModel):
    x: int = 1


class Derived(Base):
    y: int = 2


class OtherColor(enum.Enum):
    BLUE = 1


class Lazy(msgspec.Struct):
    a: int = 0


@dataclasses.dataclass(slots=True)
class Slotted:
    a: int = 0
    unset: int = dataclasses.field(init=False)


class Open(BaseModel):
    model_config = ConfigDict(extra="allow", arbitrary_types_allowed=True)

    value: Any = None
    base: Base | None = None
    typed: list[Base] = []
    lazy: Lazy | None = None
    slotted: Slotted | None = None
    color: Color | None = None
    _private: Any = PrivateAttr(None)


def _zone() -> ZoneInfo:
    utc = b"TZif" + bytes(16) + struct.pack(">6l", 0, 0, 0, 0, 1, 4) + bytes(6) + b"UTC\0"
    return ZoneInfo.from_file(io.BytesIO(utc))


def _loop() -> list[Any]:
    loop: list[Any] = []
    loop.append({"again": loop})
    return loop


def _deep() -> Any:
    value: Any = 1
    for _ in range(300):
        value = [value]
    return value


def _unset() -> Lazy:
    lazy = Lazy()
    del lazy.a
    return lazy


UNNAMED = "no annotation of Open names it: add it to the field's annotation, for example … | "
LOADS: list[tuple[dict[str, Any], str]] = [
    ({"value": Opaque()}, f"value: Opaque can't be carried to the workers; {MAKE_IT}"),
    ({"value": [1, {"a": Opaque()}]}, f"value[1].a: Opaque can't be carried to the workers; {MAKE_IT}"),
    ({"extra": (Opaque(),)}, f"extra[0]: Opaque can't be carried to the workers; {MAKE_IT}"),
    ({"value": Lazy}, f"value: StructMeta can't be carried to the workers; {BY_NAME}"),
    ({"value": len}, f"value: builtin_function_or_method can't be carried to the workers; {BY_NAME}"),
    ({"value": (n for n in "ab")}, f"value: generator can't be carried to the workers; {IN_HAND}"),
    ({"value": iter([1])}, f"value: list_iterator can't be carried to the workers; {MAKE_IT}"),
    ({"value": collections.defaultdict(int)}, "value: defaultdict can't be carried to the workers; use dict"),
    ({"value": Upper("A")}, f"value: Upper can't be carried to the workers; {plain('str')}"),
    ({"value": Derived()}, f"value: Derived can't be carried to the workers; {UNNAMED}Derived"),
    ({"base": Derived()}, f"base: Derived can't be carried to the workers; {UNNAMED}Derived"),
    ({"typed": [Base(), Derived()]}, f"typed[1]: Derived can't be carried to the workers; {UNNAMED}Derived"),
    ({"value": OtherColor.BLUE}, f"value: OtherColor can't be carried to the workers; {UNNAMED}OtherColor"),
    ({"value": Point(1)}, f"value: Point can't be carried to the workers; {UNNAMED}Point"),
    ({"value": pydantic.AnyUrl("x://y")}, f"value: AnyUrl can't be carried to the workers; {UNNAMED}AnyUrl"),
    (
        {"value": _zone()},
        "value: a ZoneInfo without a key can't be carried to the workers; make it by ZoneInfo(key)",
    ),
    (
        {"value": _loop()},
        "value[0].again: this value contains itself, which can't be carried to the workers; break the cycle",
    ),
    (
        {"lazy": _unset()},
        "lazy: this Lazy is not complete: 'Lazy' object has no attribute 'a'; give every field a value",
    ),
    ({"slotted": Slotted()}, "slotted: this Slotted has no value for unset; give every slot one"),
]


@pytest.mark.parametrize(("values", "told"), LOADS, ids=lambda each: each if isinstance(each, str) else "")
def test_a_value_that_can_t_be_carried_is_refused_with_its_path_and_what_to_do(
    values: dict[str, Any], told: str
) -> None:
    config = Open.model_construct(**{"value": None, **values})
    with pytest.raises(NotCarried) as caught:
        Codec(Open).encode(config)
    assert str(caught.value).replace(f"{__name__}.", "") == told


def test_a_value_nested_too_deep_is_refused_with_its_path() -> None:
    with pytest.raises(NotCarried, match=r"^value(\[0\])+: nested more than 200 levels deep; flatten it$"):
        Codec(Open).encode(Open.model_construct(value=_deep()))


def test_a_private_value_is_refused_by_its_name() -> None:
    config = Open()
    config._private = {"hook": Opaque()}
    with pytest.raises(NotCarried, match=r"^_private\.hook: Opaque can't be carried"):
        Codec(Open).encode(config)


def test_a_model_without_one_of_its_fields_is_refused() -> None:
    config = Open()
    del config.__dict__["value"]
    with pytest.raises(NotCarried, match="this Open was built without 'value'; build it by validation"):
        Codec(Open).encode(config)


class Loads(BaseModel):
    hidden: Any = None
    found: Any = None

    @pydantic.field_validator("found")
    @classmethod
    def _wrap(cls, value: Any) -> Any:
        return [Opaque(), value]


def test_what_a_validator_puts_in_is_refused_at_the_load_with_the_place_of_its_key(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "app.toml"
    path.write_text("hidden = 1\nfound = 'x'\n")
    with pytest.raises(ConfigError) as caught:
        ConfigLoader(Loads, path).load()
    (problem,) = caught.value.problems
    assert problem.key == "found[0]"
    assert problem.message == f"Opaque can't be carried to the workers; {MAKE_IT}"
