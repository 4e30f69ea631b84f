"""A file to begin with is read by the product's own readers, and gives the schema's defaults."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import json
import math
import re
import uuid
from decimal import Decimal
from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypeVar

import msgspec
import pytest
from pydantic import AliasPath, BaseModel, Field, SecretStr
from pydantic.dataclasses import dataclass as pydantic_dataclass
from typing_extensions import TypedDict

from confcast import ConfigError, ConfigLoader, File, NeedsRestart, Secret
from confcast.cli.example_file import example_file
from confcast.config.codec import codec_of
from confcast.config.described import described
from confcast.config.diff import differences
from confcast.wire.messages import SchemaKey

SENTINEL = "hunter2"
FILL = {"needed": "7", "host": '"h"', "must": "[1]"}
"""What is filled in for the keys that are required."""


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    size: int = 1


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    length: int = 2


class Memory(BaseModel):
    total: int = Field(512, ge=1, le=4096, description="Megabytes for all of it.\nOr less.")
    name: Annotated[str, Field(pattern="^[a-z]+$")] = "small"


class Db(BaseModel):
    host: str
    port: int = 5432
    memory: Memory = Memory(total=64)


class Point(NamedTuple):
    x: int = 0
    y: int = 0


class Extra(TypedDict, total=False):
    a: int


class Model(BaseModel):
    needed: int
    db: Db
    memory: Memory = Memory(total=7, name="other")
    maybe: Memory | None = None
    servers: list[Db] = []
    full: list[Memory] = [Memory(), Memory(total=1)]
    limits: dict[str, int] = {}
    levels: dict[str, Literal["info", "debug"]] = {"a.b": "info", "": "debug", "yes": "info"}
    tables: dict[str, Memory] = {"one": Memory(total=3)}
    color: Color = Color.BLUE
    pet: Cat | Dog = Dog()
    some: int | str | None = None
    either: int | str = "1"
    password: SecretStr = SecretStr(SENTINEL)
    token: Annotated[str, Secret] = SENTINEL
    path: Path = Path("/srv/app")
    at: dt.datetime = dt.datetime(2026, 1, 2, 3, 4, 5, 6)
    day: dt.date = dt.date(2026, 1, 2)
    wait: dt.timedelta = dt.timedelta(days=1, seconds=90, microseconds=5)
    price: Decimal = Decimal("1.50")
    ip: IPv4Address = IPv4Address("127.0.0.1")
    number: uuid.UUID = uuid.UUID(int=5)
    pattern: re.Pattern[str] = re.compile("^a+\\d$")
    small: float = 1e-05
    large: float = 1e300
    endless: float = math.inf
    text: str = 'a "quoted"\ttext\nof two lines \\ \x7f \u2028 ä # x'
    sets: set[int] = {3, 1, 2}
    pair: tuple[int, str] = (1, "b")
    point: Point = Point(1, 2)
    extra: Extra = {"a": 1}
    raw: bytes = b"\xff"
    alias: int = Field(3, alias="max-size")
    inside: int = Field(0, validation_alias=AliasPath("deep", "inside"))
    numbers: dict[int, str] = {1: "a"}
    fork: Annotated[int, NeedsRestart("it forks")] = 4


@dataclasses.dataclass
class Section:
    total: Annotated[int, Field(ge=1)] = 5
    names: list[str] = dataclasses.field(default_factory=lambda: ["a", "b"])


@dataclasses.dataclass
class Data:
    needed: int
    section: Section = dataclasses.field(default_factory=lambda: Section(total=6))
    maybe: Section | None = None
    color: Color = Color.RED
    wait: dt.timedelta = dt.timedelta(seconds=1)
    path: Path = Path("x")
    secret: Annotated[str, Secret] = SENTINEL


class Tcp(msgspec.Struct, tag=True):
    port: int = 80


class Unix(msgspec.Struct, tag=True):
    path: str = "/run/x"


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    host: str
    total: Annotated[int, msgspec.Meta(ge=3, description="How many.")] = 3


T = TypeVar("T")


class Box(BaseModel, Generic[T]):
    content: T
    others: list[T] = []


@pydantic_dataclass
class Strict:
    needed: int
    box: Box[int] = Field(default_factory=lambda: Box[int](content=3, others=[1]))
    section: Section = dataclasses.field(default_factory=Section)
    login: Cat | None = None


class Optional(msgspec.Struct):
    total: int = 3


class Struct(msgspec.Struct, kw_only=True, rename="kebab"):
    needed: int
    inner: Inner
    must: list[int]
    listen: Tcp | Unix = msgspec.field(default_factory=Unix)
    many: list[Inner] = msgspec.field(default_factory=lambda: [Inner("a"), Inner("b", 9)])
    two_words: str = "x"
    maybe: Optional | None = None
    limits: dict[str, float] = {}
    color: Color = Color.RED
    path: Path = Path("/p")
    wait: dt.timedelta = dt.timedelta(minutes=5)
    at: dt.datetime = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
    day: dt.date = dt.date(2026, 1, 2)
    price: Decimal = Decimal("2.5")
    small: float = 1e-7
    secret: Annotated[str, Secret] = SENTINEL
    sets: set[str] = msgspec.field(default_factory=lambda: {"b", "a"})


def example(schema: Any, language: str, key: str = "") -> str:
    return example_file(described(codec_of(schema), key), language)


MARKS = {"toml": " = ", "yaml": ": ", "ini": " = "}


def filled(text: str, language: str) -> str:
    """The file with the placeholders of what is required filled in."""
    if language == "jsonc":
        for key, value in FILL.items():
            text = re.sub(rf'(?m)^( *)// "{key}": <.*>,$', rf'\1"{key}": {value},', text)
        return text
    mark = MARKS[language]
    for key, value in FILL.items():
        if language == "ini":
            value = value.strip('"')
        text = re.sub(rf"(?m)^( *)# {key}{mark}<.*>$", rf"\1{key}{mark}{value}", text)
    return re.sub(r"(?m)^( *)# (db|inner):$", r"\1\2:", text)


def source(path: Path, text: str) -> File:
    """The file, with the options that its first line says if it is INI."""
    path.write_text(text)
    said = re.match(r'# Read by File\("app\.ini"(?:, table="(?P<table>.+?)")?(?P<nested>, nested=True)?\)\n', text)
    assert (said is not None) is (path.suffix == ".ini")
    return File(path, table=said["table"], nested=said["nested"] is not None) if said else File(path)


@pytest.mark.parametrize("language", ["toml", "yaml", "jsonc", "ini"])
@pytest.mark.parametrize(
    ("schema", "defaults"),
    [
        (Model, Model(needed=7, db=Db(host="h"))),
        (Data, Data(7)),
        (Strict, Strict(7)),
        (Struct, Struct(needed=7, inner=Inner("h"), must=[1])),
    ],
    ids=["pydantic", "dataclass", "pydantic_dataclass", "msgspec"],
)
def test_an_example_gives_the_defaults(schema: Any, defaults: Any, language: str, tmp_path: Path) -> None:
    text = example(schema, language)
    assert SENTINEL not in text
    path = tmp_path / f"app.{language}"
    with pytest.raises(ConfigError) as refused:
        ConfigLoader(schema, source(path, text)).load()
    assert {problem.key.split(".")[0] for problem in refused.value.problems} <= {"needed", "db", "must", "inner"}
    loaded = ConfigLoader(schema, source(path, filled(text, language))).load().config
    codec = codec_of(schema)
    assert differences(codec, defaults, loaded) == [], text
    assert codec.comparable(loaded) == codec.comparable(defaults), text


@pytest.mark.parametrize(("schema", "absent"), [(Model, {"needed", "some"}), (Struct, {"needed", "must", "maybe"})])
def test_json_has_the_defaults_alone(schema: Any, absent: set[str]) -> None:
    found = json.loads(example(schema, "json"))
    assert not absent & found.keys()
    assert SENTINEL not in str(found)
    section = found["db" if schema is Model else "inner"]
    assert section == ({"port": 5432, "memory": {"total": 64, "name": "small"}} if schema is Model else {"total": 3})


def test_comments_say_what_the_schema_says() -> None:
    text = example(Model, "toml", "memory")
    assert text.splitlines() == [
        "# Memory",
        "[memory]",
        "",
        "# Megabytes for all of it.",
        "# Or less.",
        "# int, >= 1, <= 4096",
        "total = 7",
        "",
        "# str, matches ^[a-z]+$",
        'name = "other"',
    ]
    assert example(Model, "yaml", "needed") == "# int, required\n# needed: <int>"
    assert "# SecretStr, secret\n# password = <SecretStr>" in example(Model, "toml")
    assert "# int, needs a restart: it forks\nfork = 4" in example(Model, "toml")
    assert "#   servers[].host: str, required" in example(Model, "toml")
    assert "#   limits.<key>: int" in example(Model, "toml")
    assert "# [maybe]\n\n# Megabytes for all of it." in example(Model, "toml")


def test_an_ini_file_has_sections_for_tables_and_one_around_all_if_a_key_has_none() -> None:
    class Deep(BaseModel):
        memory: Memory = Memory()

    class Deeper(BaseModel):
        deep: Deep = Deep()

    assert example(Deep, "ini").splitlines()[:4] == ['# Read by File("app.ini")', "", "# Memory", "[memory]"]
    assert example(Deeper, "ini").startswith('# Read by File("app.ini", nested=True)\n')
    assert "\n[deep.memory]\n" in example(Deeper, "ini")
    assert example(Memory, "ini").startswith('# Read by File("app.ini", table="app")\n\n[app]\n')
    assert example(Section, "ini").endswith('names = ["a", "b"]')


def test_what_a_text_in_an_ini_file_does_not_stand_for_is_a_comment() -> None:
    class Odd(BaseModel):
        either: int | str = 5
        anything: Any = 1.5
        lines: str = "a\nb"
        blank: str = " x"
        empty: str = ""
        far: list[float] = [math.inf]
        odd: int = Field(1, alias="a = b")
        table: Memory = Field(Memory(), alias="a.b")

    found = example(Odd, "ini").splitlines()
    assert [line for line in found if line.startswith(("#", "[")) and ("=" in line or "[" in line)][1:] == [
        *("[app]", "# either = 5", "# anything = 1.5", r"# lines = a\nb", "# blank =  x", "# list[float]"),
        *(
            "# far = [Infinity]",
            "# a = b = 1",
            "# [app.a.b]",
            "# int, >= 1, <= 4096",
            "# total = 512",
            "# str, matches ^[a-z]+$",
        ),
        "# name = small",
    ]
    assert "empty = " in found


def test_no_text_of_a_schema_begins_a_line_of_its_own() -> None:
    said = "ok\nrm = 1\x1b[2J\u2028rm = 2\x0brm = 3"
    fields = [
        SchemaKey(
            key="a", type="int", description=said, constraints=[said], path=("a\nb = 1",), form="value", value=said
        )
    ]
    for language in ("toml", "yaml", "json", "jsonc", "ini"):
        text = example_file(fields, language)
        known = ("#", '"a', "{", "}", '  "a', "  //", "[app]")
        assert not [line for line in text.splitlines() if line and not line.startswith(known)], text
        assert text.replace("\n", "").isprintable()
