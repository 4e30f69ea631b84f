"""Schemas as people write them from Python 3.12 and 3.13 on: `type X = …`, `class Box[T]`, defaults of parameters.

They are texts, since Python 3.11 has to read this file; with and without `from __future__ import annotations`, which
makes texts of their annotations, too.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from confcast import ConfigError, ConfigLoader, Environment, NotCarried
from confcast.config.codec import Codec
from confcast.config.diff import differences
from tests.unit.config.codec.exactness import assert_exact

pytestmark = pytest.mark.skipif(sys.version_info < (3, 12), reason="the syntax of Python 3.12")
on_3_13 = pytest.mark.skipif(sys.version_info < (3, 13), reason="the syntax of Python 3.13")

COMMON = """
import dataclasses
from typing import Annotated, NamedTuple, NotRequired, Required, TypedDict
import msgspec
from pydantic import BaseModel, Field, SecretStr
from confcast import Secret

type Port = int
type Small = Annotated[int, Field(ge=1, le=9)]
type Many[V] = list[V]
type Table[K, V] = dict[V, K]
type Same[V] = V
type Maybe[V] = V | None
type Hidden[V] = Annotated[V, Secret]
type Password = SecretStr
type Tree = int | list[Tree]

class Inner(BaseModel):
    n: int = 1
"""

MODEL = """
class Box[T](BaseModel):
    item: T

class Numbers[T: (int, float)](BaseModel):
    item: T

class Bounded[T: Inner](BaseModel):
    item: T

class Named[T](NamedTuple):
    item: T
    more: int = 2

class Typed[T](TypedDict):
    item: NotRequired[T]
    boxed: NotRequired[Box[T]]

type Boxes[V] = list[Box[V]]

class Settings(BaseModel):
    port: Port = 1
    small: Small = 2
    many: Many[int] = [1]
    table: Table[int, str] = {"a": 1}
    same: Same[int] = 3
    maybe: Maybe[Inner] = None
    hidden: Hidden[str] = "xyzzy-1"
    password: Password = SecretStr("xyzzy-1")
    tree: Tree = 1
    box: Box[int] = Box[int](item=1)
    boxes: Boxes[str] = []
    numbers: Numbers[int] = Numbers[int](item=1)
    bounded: Bounded = Bounded(item=Inner())
    named: Named[int] = Named(1)
    typed: Typed[int] = {}
"""

DATACLASS = """
@dataclasses.dataclass
class Box[T]:
    item: T

type Boxes[V] = list[Box[V]]

@dataclasses.dataclass
class Settings:
    port: Port = 1
    small: Small = 2
    many: Many[int] = dataclasses.field(default_factory=list)
    table: Table[int, str] = dataclasses.field(default_factory=dict)
    same: Same[int] = 3
    maybe: Maybe[Inner] = None
    hidden: Hidden[str] = "xyzzy-1"
    password: Password = SecretStr("xyzzy-1")
    tree: Tree = 1
    box: Box[int] = dataclasses.field(default_factory=lambda: Box(1))
    boxes: Boxes[Inner] = dataclasses.field(default_factory=list)
"""

STRUCT = """
class Box[T](msgspec.Struct):
    item: T

type Ports = list[Port]
type Key = Annotated[str, Secret]

class Settings(msgspec.Struct):
    port: Port = 1
    many: Ports = []
    again: Ports | None = None
    hidden: Key = "xyzzy-1"
    box: Box[Port] = msgspec.field(default_factory=lambda: Box(1))
    boxes: list[Box[int]] = []
"""

Write = Callable[[str], ModuleType]
KINDS = {"model": MODEL, "dataclass": DATACLASS, "struct": STRUCT}


@pytest.fixture(params=["", "from __future__ import annotations"], ids=["types", "texts"])
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Write]:
    """Write a module, import it, and forget it after the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    names: list[str] = []

    def module(text: str) -> ModuleType:
        names.append(f"new_syntax_{len(names)}")
        (tmp_path / f"{names[-1]}.py").write_text(f"{request.param}\n{COMMON}\n{text}")
        return importlib.import_module(names[-1])

    yield module
    for name in names:
        sys.modules.pop(name, None)


def load(schema: Any, text: str = "") -> Any:
    Path("app.toml").write_text(text or "port = 1\n")
    return ConfigLoader(schema, "app.toml", Environment("APP_")).load().config


def refused(schema: Any, text: str = "") -> list[tuple[str, str]]:
    with pytest.raises((ConfigError, NotCarried)) as caught:
        load(schema, text)
    return [(problem.key, problem.message) for problem in caught.value.problems]


GIVEN = """
port = 8080
many = [1, 2]
hidden = "xyzzy-2"
box = {item = 5}
"""
MORE = """
small = 3
table = {a = 7}
same = 4
maybe = {n = 5}
password = "xyzzy-2"
tree = [1, [2]]
"""
FOR_MODEL = """
boxes = [{item = "x"}]
numbers = {item = 2}
bounded = {item = {n = 4}}
named = [3, 4]
typed = {item = 1, boxed = {item = 2}}
"""


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("model", GIVEN + MORE + FOR_MODEL),
        ("dataclass", GIVEN + MORE + "boxes = [{item = {n = 9}}]"),
        ("struct", GIVEN + "again = [3]\nboxes = [{item = 1}]"),
    ],
)
def test_what_a_file_gives_is_carried_exactly_and_its_secrets_are_masked(write: Write, kind: str, text: str) -> None:
    schema = write(KINDS[kind]).Settings
    codec: Codec[Any] = Codec(schema)
    config, before = load(schema, text), schema()
    assert_exact(config, codec.decode(codec.encode(config)))
    assert_exact(before, codec.decode(codec.encode(before)))
    changes = differences(codec, before, config)
    assert "hidden" in {change.key for change in changes}
    assert "xyzzy" not in repr(changes)


@pytest.mark.parametrize(
    ("kind", "text", "told"),
    [
        ("model", "small = 99", ("small", "Input should be less than or equal to 9 (got 99)")),
        ("model", 'table = {a = "x"}', ("table.a", "valid integer")),
        ("model", "maybe = {m = 3}", ("maybe.m", "unknown key")),
        ("model", "box = {item = 1, itm = 3}", ("box.itm", "unknown key; did you mean 'item'?")),
        ("model", "boxes = [{item = 'x', itm = 3}]", ("boxes.0.itm", "unknown key; did you mean 'item'?")),
        ("model", "bounded = {item = {m = 3}}", ("bounded.item.m", "unknown key")),
        ("model", "typed = {item = 1, boxed = {item = 2, m = 3}}", ("typed.boxed.m", "unknown key")),
        ("model", "hidden = 5", ("hidden", "Input should be a valid string")),
        ("dataclass", "maybe = {m = 3}", ("maybe.m", "unknown key")),
        ("dataclass", "boxes = [{item = {m = 3}}]", ("boxes.0.item.m", "unknown key")),
        ("dataclass", "port = true", ("port", "Input should be a number, not true")),
        ("struct", "many = ['x']", ("many.0", "Expected `int`, got `str` (got 'x')")),
        ("struct", "boxes = [{item = 1, itm = 3}]", ("boxes.0.itm", "unknown key; did you mean 'item'?")),
    ],
)
def test_mistakes_are_found_behind_aliases_and_type_parameters(
    write: Write, kind: str, text: str, told: tuple[str, str]
) -> None:
    [(key, message)] = refused(write(KINDS[kind]).Settings, text)
    assert key == told[0]
    assert told[1] in message


@pytest.mark.parametrize(
    ("kind", "variable", "value", "read"),
    [
        ("model", "APP_MANY", "[1, 2]", lambda config: config.many == [1, 2]),
        ("model", "APP_TABLE__A", "7", lambda config: config.table == {"a": 7}),
        ("model", "APP_SAME", "7", lambda config: config.same == 7),
        ("model", "APP_MAYBE__N", "9", lambda config: config.maybe.n == 9),
        ("model", "APP_BOX__ITEM", "9", lambda config: config.box.item == 9),
        ("model", "APP_BOUNDED__ITEM__N", "9", lambda config: config.bounded.item.n == 9),
        ("model", "APP_TYPED__BOXED__ITEM", "9", lambda config: config.typed["boxed"].item == 9),
        ("dataclass", "APP_MAYBE__N", "9", lambda config: config.maybe.n == 9),
        ("dataclass", "APP_BOX__ITEM", "9", lambda config: config.box.item == 9),
        ("struct", "APP_MANY", "[1, 2]", lambda config: config.many == [1, 2]),
        ("struct", "APP_BOX__ITEM", "9", lambda config: config.box.item == 9),
    ],
)
def test_variables_reach_behind_aliases_and_type_parameters(
    write: Write, monkeypatch: pytest.MonkeyPatch, kind: str, variable: str, value: str, read: Callable[[Any], bool]
) -> None:
    schema = write(KINDS[kind]).Settings
    monkeypatch.setenv(variable, value)
    assert read(load(schema))


def test_another_value_of_an_alias_is_another_schema(write: Write) -> None:
    texts = [f"type Limit = {kind}\nclass Settings(BaseModel):\n    limit: Limit = 1" for kind in ("int", "str", "int")]
    codecs: list[Codec[Any]] = [Codec(write(text).Settings) for text in texts]
    assert [codec.fields for codec in codecs] == [{"limit": "int"}, {"limit": "str"}, {"limit": "int"}]


def test_an_alias_in_itself_is_written_by_its_name(write: Write) -> None:
    assert Codec(write(MODEL).Settings).fields["tree"] == "int | list[Tree]"


@pytest.mark.parametrize("base", ["BaseModel", "dataclass", "msgspec.Struct"])
def test_an_alias_of_what_is_not_there_is_refused_by_field(write: Write, base: str) -> None:
    head = "@dataclasses.dataclass\nclass Settings:" if base == "dataclass" else f"class Settings({base}):"
    schema = write(f"type Later = list[Nowhere]\n{head}\n    port: int = 1\n    later: Later = 0").Settings
    [(key, message)] = refused(schema)
    if base == "BaseModel":  # which pydantic does not complete, and names no field of
        assert message.startswith("Settings has a forward reference that can't be resolved")
    else:
        told = "in the alias Later, name 'Nowhere' is not defined; define or import it at run time too"
        assert (key, message) == ("later", told)


@pytest.mark.parametrize(
    ("alias", "written", "told"),
    [
        ("", "Table[int, str]", "Table, which has type parameters; write out what Table stands for"),
        ("", "list[Same[int]]", "Same, which has type parameters; write out what Same stands for"),
        ("", "Many", "Many, which has type parameters; write out what Many stands for"),
        ("type Both = list[Many[int]]", "Both", "Many, which has type parameters; write out what Many stands for"),
        ("type Loop = int | list[Loop]", "Loop", "Loop, which holds itself; make it a Struct, or use Any"),
    ],
)
def test_an_alias_that_msgspec_would_read_as_another_type_is_refused_by_field(
    write: Write, alias: str, written: str, told: str
) -> None:
    text = f"{alias}\nclass Part(msgspec.Struct):\n    wrong: {written}\n"
    text += "class Settings(msgspec.Struct):\n    port: int = 1\n    part: Part | None = None"
    [(key, message)] = refused(write(text).Settings)
    assert (key, message) == ("part.wrong", f"msgspec can't read the alias {told}")


@on_3_13
def test_a_default_of_a_type_parameter_is_the_type(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    schema = write("""
class Box[T = Inner](BaseModel):
    item: T

class Secretive[T = Annotated[str, Secret]](BaseModel):
    item: T

class Settings(BaseModel):
    port: int = 1
    box: Box = Box(item=Inner())
    secretive: Secretive = Secretive(item="xyzzy-1")
""").Settings
    codec: Codec[Any] = Codec(schema)
    config = load(schema, 'box = {item = {n = 5}}\nsecretive = {item = "xyzzy-2"}')
    assert_exact(config, codec.decode(codec.encode(config)))
    assert "xyzzy" not in repr(differences(codec, schema(), config))
    assert refused(schema, "box = {item = {m = 3}}") == [("box.item.m", "unknown key")]
    monkeypatch.setenv("APP_BOX__ITEM__N", "9")
    assert load(schema).box.item.n == 9


@on_3_13
def test_a_struct_whose_default_of_a_type_parameter_msgspec_does_not_know_is_refused_by_field(write: Write) -> None:
    schema = write("""
class Box[T = int](msgspec.Struct):
    item: T

class Settings(msgspec.Struct):
    port: int = 1
    right: Box[int] | None = None
    wrong: Box | None = None
""").Settings
    [(key, message)] = refused(schema)
    assert key == "wrong"
    assert message == "msgspec does not know the defaults of type parameters; write Box[…] with what is meant"


@on_3_13
def test_a_read_only_key_has_the_type_that_it_says(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    schema = write("""
from typing import ReadOnly

class Typed(TypedDict):
    inner: ReadOnly[Inner]

@dataclasses.dataclass
class Settings:
    port: int = 1
    typed: Typed | None = None
""").Settings
    with pytest.warns(UserWarning, match="ReadOnly"):  # pydantic says that it protects nothing
        assert refused(schema, "typed = {inner = {m = 3}}") == [("typed.inner.m", "unknown key")]
    monkeypatch.setenv("APP_TYPED__INNER__N", "9")
    config, codec = load(schema), Codec(schema)
    assert config.typed["inner"].n == 9
    assert_exact(config, codec.decode(codec.encode(config)))
