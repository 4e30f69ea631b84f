"""What is wrong with a configuration: all of it, with positions, for each kind of schema, and without secrets."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypeVar

import msgspec
import pydantic
import pytest
from pydantic import AliasChoices, AliasPath, BaseModel, ConfigDict, Field, RootModel, SecretStr
from typing_extensions import TypedDict

from confcast.config.loader import ConfigLoader
from confcast.config.schema.kinds import Secret
from confcast.config.sources.environment import Environment
from confcast.config.sources.layer import Layer
from confcast.config.validation.field_errors import Invalid
from confcast.config.validation.validate import validate
from confcast.errors import ConfigError

pytestmark = pytest.mark.usefixtures("here")

T = TypeVar("T")


class Level(enum.Enum):
    LOW = "low"
    HIGH = "high"


class Memory(BaseModel):
    total: pydantic.StrictInt = Field(3072, ge=512)
    index: pydantic.StrictInt = 512
    required: int

    @pydantic.model_validator(mode="after")
    def _fits(self) -> Memory:
        if self.index > self.total:
            raise ValueError("index must fit into total")
        return self


class Model(BaseModel):
    version: Literal["1.0", "2.0"] = "2.0"
    memory: Memory
    servers: list[Memory] = []
    named: dict[str, Memory] = {}
    level: Level = Level.LOW
    when: dt.date | None = None


@dataclasses.dataclass
class DataMemory:
    required: int
    total: Annotated[int, Field(ge=512)] = 3072
    index: int = 512

    def __post_init__(self) -> None:
        if self.index > self.total:
            raise ValueError("index must fit into total")


@dataclasses.dataclass
class Data:
    memory: DataMemory
    version: Literal["1.0", "2.0"] = "2.0"
    servers: list[DataMemory] = dataclasses.field(default_factory=list)
    named: dict[str, DataMemory] = dataclasses.field(default_factory=dict)
    level: Level = Level.LOW
    when: dt.date | None = None


@pydantic.dataclasses.dataclass
class PydanticMemory:
    required: pydantic.StrictInt
    total: Annotated[pydantic.StrictInt, Field(ge=512)] = 3072
    index: pydantic.StrictInt = 512

    def __post_init__(self) -> None:
        if self.index > self.total:
            raise ValueError("index must fit into total")


@pydantic.dataclasses.dataclass
class PydanticData:
    memory: PydanticMemory
    version: Literal["1.0", "2.0"] = "2.0"
    servers: list[PydanticMemory] = dataclasses.field(default_factory=list)
    named: dict[str, PydanticMemory] = dataclasses.field(default_factory=dict)
    level: Level = Level.LOW
    when: dt.date | None = None


class StructMemory(msgspec.Struct):
    required: int
    total: Annotated[int, msgspec.Meta(ge=512)] = 3072
    index: int = 512

    def __post_init__(self) -> None:
        if self.index > self.total:
            raise ValueError("index must fit into total")


class Record(msgspec.Struct):
    memory: StructMemory
    version: Literal["1.0", "2.0"] = "2.0"
    servers: list[StructMemory] = []
    named: dict[str, StructMemory] = {}
    level: Level = Level.LOW
    when: dt.date | None = None


NO_INT = "Input should be a valid integer, unable to parse string as an integer"
KINDS = [Model, Data, PydanticData, Record]

BAD = """\
version = "3.0"
level = "middle"
colour = "red"
when = "yesterday"

[memory]
total = 12
indx = 3
index = true

[[servers]]
required = 1
[[servers]]
required = "x"
total = 600
index = 700

[named.one]
required = 1
total = 513
index = 514
"""


def problems(schema: Any, text: str, name: str = "app.toml") -> list[str]:
    Path(name).write_text(text)
    with pytest.raises(ConfigError) as caught:
        ConfigLoader(schema, name).load()
    assert caught.value.reason == "validation_failed"
    return list(map(str, caught.value.problems))


def load(schema: Any, text: str, name: str = "app.toml") -> Any:
    Path(name).write_text(text)
    return ConfigLoader(schema, name).load().config


@pytest.mark.parametrize("schema", KINDS)
def test_every_problem_is_reported_at_once_with_its_position(schema):
    found = {problem.split(": ")[0]: problem.split(": ", 2)[1:] for problem in problems(schema, BAD)}
    keys = {place: text[0] for place, text in found.items()}
    assert keys == {
        "app.toml:1:11": "version",
        "app.toml:2:9": "level",
        "app.toml:3:1": "colour",
        "app.toml:4:8": "when",
        "app.toml:6:2": "memory.required",
        "app.toml:7:9": "memory.total",
        "app.toml:8:1": "memory.indx",
        "app.toml:9:9": "memory.index",
        "app.toml:14:12": "servers.1.required",
        "app.toml:18:8": "named.one",
    }
    assert found["app.toml:3:1"][1] == "unknown key"
    assert found["app.toml:8:1"][1] == "unknown key; did you mean 'index'?"
    assert found["app.toml:6:2"][1] == "Field required"
    assert found["app.toml:7:9"][1].endswith("512 (got 12)")
    assert found["app.toml:9:9"][1].endswith(("(got true)", "not true"))
    assert found["app.toml:1:11"][1] == "Input should be '1.0' or '2.0' (got '3.0')"
    assert found["app.toml:2:9"][1] == "Input should be 'low' or 'high' (got 'middle')"
    assert found["app.toml:18:8"][1] == "index must fit into total"
    assert list(found) == sorted(found, key=lambda place: tuple(map(int, place.split(":")[1:])))


@pytest.mark.parametrize("schema", KINDS)
def test_a_good_file_goes_through(schema):
    config = load(schema, "when = 2024-01-02\nlevel = 'high'\n[memory]\nrequired = 1\n[[servers]]\nrequired = 2\n")
    assert type(config) is schema
    assert (config.memory.required, config.memory.total, config.servers[0].required) == (1, 3072, 2)
    assert (config.when, config.level) == (dt.date(2024, 1, 2), Level.HIGH)


@pytest.mark.parametrize("schema", KINDS)
def test_a_missing_table_is_placed_at_the_file(schema):
    assert problems(schema, "version = '2.0'") == ["app.toml: memory: Field required"]


@pytest.mark.parametrize("schema", KINDS)
def test_values_from_the_environment_are_converted_and_complained_of(schema, monkeypatch):
    monkeypatch.setenv("APP_MEMORY__REQUIRED", "7")
    monkeypatch.setenv("APP_LEVEL", "high")
    config = ConfigLoader(schema, Environment("APP_")).load().config
    assert (config.memory.required, config.level) == (7, Level.HIGH)
    monkeypatch.setenv("APP_MEMORY__REQUIRED", "seven")
    monkeypatch.setenv("APP_SERVERS", "one")
    monkeypatch.setenv("APP_ZZZZZ", "x")
    with pytest.raises(ConfigError) as caught:
        ConfigLoader(schema, Environment("APP_")).load()
    first, third, second = sorted(map(str, caught.value.problems))
    assert first.startswith("environment variable APP_MEMORY__REQUIRED: memory.required: ")
    assert first.endswith("(got 'seven')")
    assert second == "environment variable APP_ZZZZZ: the schema has no such key"
    assert third.startswith("environment variable APP_SERVERS: servers: a list or a table has to be written as JSON")


def test_a_table_that_could_not_be_read_is_not_also_called_missing(monkeypatch):
    monkeypatch.setenv("APP_MEMORY", "no json")
    with pytest.raises(ConfigError) as caught:
        ConfigLoader(Model, Environment("APP_")).load()
    assert [problem.location for problem in caught.value.problems] == ["environment variable APP_MEMORY"]


# ---- secrets


class Credentials(BaseModel):
    password: SecretStr = Field(SecretStr(""), max_length=3)
    token: Annotated[str, Secret, Field(max_length=3)] = ""
    many: dict[str, list[SecretStr]] = {}
    kind: int = 1

    @pydantic.field_validator("token")
    @classmethod
    def _told(cls, value: str) -> str:
        raise ValueError(f"{value!r} is a bad token")

    @pydantic.model_validator(mode="after")
    def _all(self) -> Credentials:
        raise ValueError(f"cannot use {self.password.get_secret_value()}")


class WithSecrets(BaseModel):
    credentials: Credentials = Credentials.model_construct()


@dataclasses.dataclass
class DataSecrets:
    password: SecretStr | None = None
    token: Annotated[str, Secret] = ""
    number: Annotated[int, Secret] = 1


class StructSecrets(msgspec.Struct):
    password: SecretStr = SecretStr("")
    token: Annotated[str, Secret, msgspec.Meta(max_length=3)] = ""
    number: Annotated[int, Secret] = 1
    kind: Annotated[Literal["a", "b"], Secret] = "a"


class Raising(BaseModel):
    password: SecretStr = SecretStr("")

    @pydantic.field_validator("password")
    @classmethod
    def _fail(cls, value: SecretStr) -> SecretStr:
        raise LookupError(f"nobody has {value.get_secret_value()}")


class Early(BaseModel):
    password: SecretStr = SecretStr("")

    @pydantic.field_validator("password", mode="before")
    @classmethod
    def _fail(cls, value: Any) -> Any:
        raise ValueError(f"{value} is too well known")


class EarlyModel(BaseModel):
    password: SecretStr = SecretStr("")

    @pydantic.model_validator(mode="before")
    @classmethod
    def _fail(cls, data: Any) -> Any:
        raise ValueError(f"what shall this be: {data}")


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        (Early, "password = 'hunter2'"),
        (EarlyModel, "pasword = ['hunter2']"),
        (WithSecrets, "[credentials]\npassword = 'hunter2'\ntoken = 'xx'\nmany.a = ['hunter2', 5, ['hunter2']]"),
        (WithSecrets, "[credentials]\npassword = 'hunter2'"),
        (WithSecrets, "[credentials]\ntoken = 'hunter2'\nhunter = 'hunter2'"),
        (WithSecrets, "[credentials]\nkind = 'x'\npassword = {a = 'hunter2'}"),
        (WithSecrets, "credentials = 'hunter2'"),
        (DataSecrets, "password = ['hunter2']\ntoken = ['hunter2']\nnumber = 'hunter2'"),
        (StructSecrets, "password = ['hunter2']\ntoken = 'hunter2'\nnumber = 'hunter2'\nkind = 'hunter2'"),
        (Raising, "password = 'hunter2'"),
    ],
)
def test_no_secret_is_ever_reported(schema, text):
    found = problems(schema, text)
    assert found
    assert "hunter2" not in "\n".join(found)


def test_a_secret_in_a_validators_own_message_is_masked():
    assert problems(Raising, "password = 'hunter2'")[0].startswith(
        "app.toml:1:12: password: a validator raised LookupError: nobody has *"
    )


def test_long_values_are_shortened():
    (problem,) = problems(Model, f"version = '{'x' * 1000}'\n[memory]\nrequired = 1")
    assert len(problem) < 200
    assert problem.endswith("x…)")


# ---- unknown keys, as far as they are known


class Allowing(BaseModel):
    model_config = ConfigDict(extra="allow")
    x: int = 1


class Forbidding(BaseModel):
    model_config = ConfigDict(extra="forbid")
    x: int = 1


class Renaming(BaseModel):
    x: int = 1
    inner: Forbidding = Forbidding()

    @pydantic.model_validator(mode="before")
    @classmethod
    def _old_names(cls, data: Any) -> Any:
        return {"x" if key == "old" else key: value for key, value in data.items()}


class Aliases(BaseModel):
    one: int = Field(1, alias="uno")
    two: int = Field(2, validation_alias=AliasChoices("dos", AliasPath("numbers", 1)))
    three: int = Field(3, alias="tres")
    model_config = ConfigDict(populate_by_name=True)


class Parsed(BaseModel):
    inner: Forbidding = Forbidding()

    @pydantic.field_validator("inner", mode="before")
    @classmethod
    def _flat(cls, value: Any) -> Any:
        return {"x": value.get("y", 1)}


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    tricks: int = 0


class Table(TypedDict, total=False):
    x: int


class Pair(NamedTuple):
    x: int
    y: int = 2


class Box(BaseModel, Generic[T]):
    inside: T


class Names(RootModel[dict[str, Forbidding]]):
    pass


class Many(BaseModel):
    pet: Annotated[Cat | Dog, Field(discriminator="kind")] | None = None
    either: Cat | Dog | None = None
    maybe: Forbidding | None = None
    table: Table = {}
    pair: Pair = Pair(1)
    box: Box[Forbidding] | None = None
    names: Names = Names({})
    mapping: Mapping[str, Forbidding] = {}
    number: int | list[int] = 1
    free: dict[str, Any] = {}
    numbers: dict[int, str] = {}


class TaggedA(msgspec.Struct, tag="a"):
    x: int = 1


class Camel(msgspec.Struct, rename="camel", tag="camel", forbid_unknown_fields=True):
    some_key: int = 1


class Structs(msgspec.Struct):
    camel: Camel | None = None
    either: TaggedA | Camel | None = None
    model: Cat | None = None
    data: DataMemory | None = None
    items: Annotated[list[int], msgspec.Meta(max_length=2)] = []
    path: Path = Path()


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        (Allowing, "y = 2"),
        (Renaming, "old = 2"),
        (Aliases, "uno = 1\ndos = 2\nthree = 3"),
        (Aliases, "one = 1\ndos = 2\nnumbers = [1, 2]"),
        (Parsed, "inner = {y = 3}"),
        (Many, "pet = {kind = 'cat', lives = 9}\neither = {kind = 'dog', tricks = 2}"),
        (Many, "table = {x = 1}\npair = {x = 1}\nfree = {a = {b = 1}}\nbox = {inside = {x = 1}}"),
        (Many, "names = {a = {x = 1}}\nmapping = {a = {x = 1}}\npair = [1, 2]\nnumber = [1]"),
        (Structs, "camel = {someKey = 1, type = 'camel'}\neither = {type = 'a', x = 2}\npath = '/x'"),
    ],
)
def test_what_the_schema_accepts_is_accepted(schema, text):
    assert load(schema, text)


@pytest.mark.parametrize(
    ("schema", "text", "expected"),
    [
        (Forbidding, "y = 2", ["app.toml:1:1: y: unknown key"]),
        (Renaming, "inner = {y = 3}", ["app.toml:1:10: inner.y: unknown key"]),
        (Aliases, "unoo = 1", ["app.toml:1:1: unoo: unknown key; did you mean 'uno'?"]),
        (Aliases, "uno = 1\none = 2", ["app.toml:2:1: one: sets the same as 'uno' (app.toml:1:1): remove one of them"]),
        (Many, "maybe = {y = 2}", ["app.toml:1:10: maybe.y: unknown key"]),
        (Many, "table = {y = 2}", ["app.toml:1:10: table.y: unknown key"]),
        (Many, "box = {inside = {y = 2}}", ["app.toml:1:18: box.inside.y: unknown key"]),
        (Many, "names = {a = {y = 1}}", ["app.toml:1:15: names.a.y: unknown key"]),
        (Many, "mapping = {a = {y = 1}}", ["app.toml:1:17: mapping.a.y: unknown key"]),
        (Many, "pet = {kind = 'cat'}", ["app.toml:1:1: pet.lives: Field required"]),
        (
            Many,
            "pet = {kind = 'cat', lives = 'x'}",
            [f"app.toml:1:30: pet.lives: {NO_INT} (got 'x')"],
        ),
        (
            Many,
            "number = 'x'",
            [f"app.toml:1:10: number: {NO_INT}; or: Input should be a valid list (got 'x')"],
        ),
        (Structs, "camel = {some_key = 1}", ["app.toml:1:10: camel.some_key: unknown key; did you mean 'someKey'?"]),
        (Structs, "camel = {someKey = 'x'}", ["app.toml:1:20: camel.someKey: Expected `int`, got `str` (got 'x')"]),
        (
            Structs,
            "model = {kind = 'cat', lives = 'x'}",
            [f"app.toml:1:32: model.lives: {NO_INT} (got 'x')"],
        ),
        (Structs, "items = [1, 2, 3]", ["app.toml:1:9: items: Expected `array` of length <= 2"]),
        (Structs, "items = [1, 'x']", ["app.toml:1:13: items.1: Expected `int`, got `str` (got 'x')"]),
        (Structs, "data = {required = 1, total = 1, index = 2}", ["app.toml:1:1: data: index must fit into total"]),
        (Structs, "path = 3", [f"app.toml:1:8: path: Input is not a valid path for {Path} (got 3)"]),
    ],
)
def test_what_the_schema_does_not_accept_is_refused(schema, text, expected):
    assert problems(schema, text) == expected


def test_keys_that_are_no_text_are_refused_where_text_belongs_and_kept_where_not():
    (problem,) = problems(Many, "on: 1\n", "app.yaml")
    assert problem == (
        "app.yaml:1:1: true: the key is no text but true (YAML reads yes, no, on and off as booleans): put it in quotes"
    )
    assert load(Many, "numbers: {1: x}\n", "app.yaml").numbers == {1: "x"}


def test_true_is_no_number_in_a_dataclass_wherever_it_stands():
    @dataclasses.dataclass
    class Numbers:
        one: int = 1
        many: list[int] = dataclasses.field(default_factory=list)
        named: dict[str, float] = dataclasses.field(default_factory=dict)
        either: bool | int = 1
        flag: bool = False
        anything: Any = None

    found = problems(
        Numbers, "one = true\nmany = [1, false]\nnamed = {a = true}\neither = true\nflag = true\nanything = true"
    )
    assert found == [
        "app.toml:1:7: one: Input should be a number, not true",
        "app.toml:2:12: many.1: Input should be a number, not false",
        "app.toml:3:14: named.a: Input should be a number, not true",
    ]


def test_twenty_problems_come_at_once():
    fields = {f"n{number}": (int, 0) for number in range(20)}
    schema = pydantic.create_model("Twenty", **fields)  # type: ignore[call-overload]
    found = problems(schema, "".join(f"n{number} = 'x'\n" for number in range(20)))
    assert [problem.split(":")[1] for problem in found] == [str(line) for line in range(1, 21)]


def test_problems_of_two_files_are_reported_in_the_order_of_the_files():
    Path("a.toml").write_text("colour = 1\n[memory]\nrequired = 1")
    Path("b.yaml").write_text("memory:\n  total: 5\nversion: 1\n")
    with pytest.raises(ConfigError) as caught:
        ConfigLoader(Model, "a.toml", "b.yaml", overrides={"level": "x"}).load()
    assert [problem.location for problem in caught.value.problems] == [
        "a.toml:1:1",
        "b.yaml:2:10",
        "b.yaml:3:10",
        "override",
    ]
    text = str(caught.value)
    assert "b.yaml:2:10: memory.total: Input should be greater than or equal to 512 (got 5)" in text


class Service(msgspec.Struct):
    """A source whose name ends as a position does."""

    name: str
    data: dict[str, Any]

    def read(self) -> Layer:
        return Layer(self.name, self.data)


def test_a_source_s_name_is_not_taken_for_a_position():
    sources = [Service("consul:8500", {"colour": 1}), Service("second.ini", {"version": 1})]
    with pytest.raises(ConfigError) as caught:
        ConfigLoader(Model, *sources).load()
    assert [problem.location for problem in caught.value.problems][:2] == ["consul:8500", "second.ini"]


def test_a_problem_of_a_whole_table_is_placed_in_the_file_that_has_it(monkeypatch):
    monkeypatch.setenv("APP_MEMORY__INDEX", "9999")
    Path("a.yaml").write_text("version: '2.0'\nmemory:\n  required: 1\n")
    with pytest.raises(ConfigError) as caught:
        ConfigLoader(Model, "a.yaml", Environment("APP_")).load()
    assert str(caught.value) == "a.yaml:2:1: memory: index must fit into total"


# ---- a value that a table of a higher source covers


class Db(BaseModel):
    host: str = "localhost"
    user: str
    port: int = 5432


class SecretDb(BaseModel):
    host: str = "localhost"
    password: SecretStr = SecretStr("")


class StructDb(msgspec.Struct):
    host: str = "localhost"


class FromUrl(BaseModel):
    host: str = "localhost"

    @pydantic.model_validator(mode="before")
    @classmethod
    def _url(cls, data: Any) -> Any:
        return {"host": data.partition("@")[2]} if isinstance(data, str) else data


@dataclasses.dataclass
class DataFromUrl:
    host: str = "localhost"

    @pydantic.model_validator(mode="before")
    @classmethod
    def _url(cls, data: Any) -> Any:
        return data


class RootFromText(RootModel[dict[str, str]]):
    @pydantic.model_validator(mode="before")
    @classmethod
    def _text(cls, data: Any) -> Any:
        return {"a": data} if isinstance(data, str) else data


class RootFromField(RootModel[dict[str, str]]):
    @pydantic.field_validator("root", mode="before")
    @classmethod
    def _text(cls, data: Any) -> Any:
        return {"a": data} if isinstance(data, str) else data


@dataclasses.dataclass
class OwnSchema:
    host: str = "localhost"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: pydantic.GetCoreSchemaHandler) -> Any:
        return handler(source)


class StructRow(msgspec.Struct, array_like=True):
    host: str = "localhost"


class Shop(BaseModel):
    name: str = ""
    db: Db | None = None
    secret: SecretDb = SecretDb()
    named: dict[str, SecretDb] = {}
    labels: dict[str, str] = {}
    flag: bool | SecretDb = False
    many: list[int] | SecretDb = []
    url: FromUrl = FromUrl()
    data_url: DataFromUrl = DataFromUrl()
    marked: Annotated[SecretDb, pydantic.BeforeValidator(lambda value: value)] | None = None
    root: RootModel[dict[str, str]] = RootModel({})
    text_root: RootFromText = RootFromText({})
    field_root: RootFromField = RootFromField({})
    own: OwnSchema = OwnSchema()
    pair: Pair = Pair(1)
    anything: Any = None


class StructShop(msgspec.Struct):
    db: StructDb = msgspec.field(default_factory=StructDb)
    flag: bool | StructDb = False
    row: StructRow | dict[str, str] | None = None


@dataclasses.dataclass
class DataShop:
    db: DataMemory | None = None
    flag: bool | DataMemory = False


def shadowed(schema: Any, *tables: dict[str, Any]) -> list[str]:
    """The problems of one file for each table."""
    for number, table in enumerate(tables):
        Path(f"{number}.json").write_bytes(msgspec.json.encode(table))
    try:
        ConfigLoader(schema, *(f"{number}.json" for number in range(len(tables)))).load()
    except ConfigError as error:
        return list(map(str, error.problems))
    return []


def test_a_text_where_a_section_belongs_is_refused_though_a_variable_sets_a_key_of_the_section(monkeypatch):
    monkeypatch.setenv("SHOP_SECRET__HOST", "envhost")
    Path("flat.toml").write_text('name = "a"\nsecret = "postgres://u:hunter2"\n')
    with pytest.raises(ConfigError) as caught:
        ConfigLoader(Shop, "flat.toml", Environment("SHOP_")).load()
    assert str(caught.value) == (
        "flat.toml:2:10: secret: Input should be a table (section);"
        " a higher source sets keys below it (environment variable SHOP_SECRET__HOST)"
    )


def test_a_covered_value_comes_with_all_other_problems_and_its_consequences_are_left_out(monkeypatch):
    monkeypatch.setenv("SHOP_DB__PORT", "many")
    Path("flat.toml").write_text('colour = 1\ndb = "x"\nlabels = 5\n')
    Path("high.toml").write_text("name = 3\n[labels]\nblue = 'sky'\n")
    with pytest.raises(ConfigError) as caught:
        ConfigLoader(Shop, "flat.toml", "high.toml", Environment("SHOP_")).load()
    found = [(problem.location, problem.key) for problem in caught.value.problems]
    assert found == [
        ("flat.toml:1:1", "colour"),
        ("flat.toml:2:6", "db"),
        ("flat.toml:3:10", "labels"),
        ("high.toml:1:8", "name"),
        ("environment variable SHOP_DB__PORT", "db.port"),
    ]
    assert caught.value.problems[2].message == (
        "Input should be a table (section); a higher source sets keys below it (high.toml:3:1) (got 5)"
    )


@pytest.mark.parametrize(
    ("schema", "low", "high"),
    [
        (Shop, {"db": "x"}, {"db": {"user": "u"}}),
        (Shop, {"db": [1]}, {"db": {"user": "u"}}),
        (Shop, {"secret": None}, {"secret": {"host": "x"}}),
        (Shop, {"secret": "x"}, {"secret": {}}),
        (Shop, {"named": {"a": "x"}}, {"named": {"a": {"host": "x"}}}),
        (Shop, {"named": ["x"]}, {"named": {"a": {"host": "x"}}}),
        (Shop, {"flag": [1]}, {"flag": {"host": "x"}}),
        (Shop, {"many": 1}, {"many": {"host": "x"}}),
        (Shop, {"root": 1}, {"root": {"a": "x"}}),
        (Shop, {"pair": 1}, {"pair": {"x": 1}}),
        (StructShop, {"db": "x"}, {"db": {"host": "y"}}),
        (StructShop, {"flag": [1]}, {"flag": {"host": "y"}}),
        (DataShop, {"db": "x"}, {"db": {"required": 1}}),
        (DataShop, {"flag": [1]}, {"flag": {"required": 1}}),
    ],
)
def test_what_a_table_covers_is_refused_if_its_type_does_not_take_it(schema, low, high):
    (problem,) = shadowed(schema, low, high)
    assert problem.startswith("0.json:1:")
    assert "Input should be a table (section)" in problem
    assert "a higher source sets keys below it (1.json:1:" in problem


@pytest.mark.parametrize(
    ("schema", "low", "high"),
    [
        (Shop, {"db": None}, {"db": {"user": "u"}}),
        (Shop, {"flag": True}, {"flag": {"host": "x"}}),
        (Shop, {"many": [1]}, {"many": {"host": "x"}}),
        (Shop, {"url": "u@h"}, {"url": {"host": "x"}}),
        (Shop, {"data_url": "u@h"}, {"data_url": {"host": "x"}}),
        (Shop, {"marked": "u@h"}, {"marked": {"host": "x"}}),
        (Shop, {"text_root": "x"}, {"text_root": {"a": "x"}}),
        (Shop, {"field_root": "x"}, {"field_root": {"a": "x"}}),
        (Shop, {"own": "x"}, {"own": {"host": "x"}}),
        (Shop, {"pair": [1]}, {"pair": {"x": 1}}),
        (Shop, {"anything": 1}, {"anything": {"x": 1}}),
        (Shop, {"secret": {"host": "x"}}, {"secret": {"password": "x"}}),
        (Renaming, {"inner": "x"}, {"inner": {"x": 1}}),
        (Parsed, {"inner": "x"}, {"inner": {"y": 1}}),
        (Many, {"free": {"a": 1}}, {"free": {"a": {"b": 1}}}),
        (StructShop, {"flag": True}, {"flag": {"host": "y"}}),
        (StructShop, {"row": ["x"]}, {"row": {"host": "y"}}),
        (DataShop, {"flag": True}, {"flag": {"required": 1}}),
    ],
)
def test_what_a_table_covers_is_left_alone_where_its_type_may_take_it(schema, low, high):
    assert shadowed(schema, low, high) == []


def test_every_covered_value_is_reported_and_one_that_is_replaced_by_its_like_is_not():
    section = {"secret": {"host": "x"}}
    found = shadowed(Shop, {"secret": "hunter2"}, {"secret": 3}, section, {"secret": "hunter2"}, section)
    assert [problem.split(": ")[0] for problem in found] == ["1.json:1:11", "3.json:1:11"]
    assert "hunter2" not in "".join(found)


def test_a_text_over_a_section_is_refused_where_it_stands(monkeypatch):
    Path("low.toml").write_text("[secret]\nhost = 'x'\n")
    monkeypatch.setenv("SHOP_SECRET", "hunter2")
    for loader, place in [
        (ConfigLoader(Shop, "low.toml", overrides={"secret": "hunter2"}), "override"),
        (ConfigLoader(Shop, "low.toml", Environment("SHOP_")), "environment variable SHOP_SECRET"),
    ]:
        with pytest.raises(ConfigError) as caught:
            loader.load()
        assert [(problem.location, problem.key) for problem in caught.value.problems] == [(place, "secret")]
        assert "hunter2" not in str(caught.value)


class CountedTable(dict[Any, Any]):
    """A table that counts how often all its keys are looked at."""

    looks = 0

    def __iter__(self) -> Iterator[Any]:
        self.looks += 1
        return super().__iter__()


@pytest.mark.parametrize("table", [dict.fromkeys(range(50), "x"), dict.fromkeys([True, None, 1.5, "a"], "x")])
def test_all_keys_of_a_table_are_looked_at_once_however_many_values_are_wrong(table: dict[Any, str]) -> None:
    counted = CountedTable(table)
    with pytest.raises(Invalid) as caught:
        validate(pydantic.create_model("Schema", numbers=(dict[Any, int], {})), {"numbers": counted})
    found = [field_error.path[1] for field_error in caught.value.field_errors]
    assert [(type(key), key) for key in found] == [(type(key), key) for key in table]
    assert counted.looks <= 1
