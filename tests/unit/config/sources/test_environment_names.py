"""Variables that are named one by one, lists with commas, and files that variables name."""

from __future__ import annotations

import dataclasses
import os
import time
import typing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pydantic import BaseModel, Field, SecretStr, field_validator

from confcast import ConfigError, ConfigLoader, Environment
from confcast.errors import Problem
from tests.support.secret_file_faults import FAULTS

pytestmark = pytest.mark.usefixtures("here")


class Database(BaseModel):
    url: str = "sqlite://"
    password: SecretStr = SecretStr("none")


class Settings(BaseModel):
    database: Database = Database()
    name: str = ""
    hosts: list[str] = []
    cert: str = "none"
    cert_file: str = ""
    passwords: dict[str, SecretStr] = {}


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    for name in list(os.environ):
        if name.upper().startswith("APP_"):
            monkeypatch.delenv(name)


def load(monkeypatch, source: Environment, schema: Any = Settings, /, **variables: str) -> Any:
    for name, text in variables.items():
        monkeypatch.setenv(name, text)
    return ConfigLoader(schema, source).load()


def refused(monkeypatch, source: Environment, schema: Any = Settings, /, **variables: str) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        load(monkeypatch, source, schema, **variables)
    return list(caught.value.problems)


# ---- names


NAMED = {"DATABASE_URL": "database.url", "Sentry-Name": "name"}


@pytest.mark.parametrize("prefix", ["", "APP_"])
def test_a_named_variable_sets_its_key_and_is_its_origin(monkeypatch, prefix):
    candidate = load(monkeypatch, Environment(prefix, names=NAMED), DATABASE_URL="x://", **{"Sentry-Name": "a"})
    assert (candidate.config.database.url, candidate.config.name) == ("x://", "a")
    assert candidate.origin_of("database.url") == "environment variable DATABASE_URL"


def test_without_a_prefix_nothing_but_the_names_is_read(monkeypatch):
    candidate = load(monkeypatch, Environment(names=NAMED), NAME="the host's own", HOSTS="[]", database_url="y://")
    assert candidate.config == Settings()


def test_a_name_and_a_prefixed_one_for_one_key_are_set_twice(monkeypatch):
    (problem,) = refused(monkeypatch, Environment("APP_", names=NAMED), DATABASE_URL="x", APP_DATABASE__URL="y")
    told = "is set twice: environment variable APP_DATABASE__URL sets the same"
    assert problem == Problem("database.url", told, "environment variable DATABASE_URL")


def test_a_name_with_the_prefix_stands_for_itself(monkeypatch):
    source = Environment("APP_", names={"APP_NAME": "database.url"})
    assert load(monkeypatch, source, APP_NAME="x").config == Settings(database=Database(url="x"))


def test_a_name_whose_key_the_schema_lacks_is_refused_whether_it_is_set_or_not(monkeypatch):
    (problem,) = refused(monkeypatch, Environment(names={"DATABASE_URL": "databse.url"}))
    told = "Environment(names={'DATABASE_URL': 'databse.url'}): the schema has no such key; did you mean database.url?"
    assert (problem.message, problem.location) == (told, "environment")


@pytest.mark.parametrize(
    "key",
    ["", "a..b", '"a', "a."],
)
def test_a_key_that_is_none_is_refused_at_once(key):
    with pytest.raises(ValueError, match="it has to be a name and a key such as"):
        Environment(names={"A": key})


def test_neither_a_prefix_nor_names_is_refused_and_so_is_what_is_no_text():
    with pytest.raises(ValueError, match="an empty prefix would take every variable"):
        Environment()
    with pytest.raises(TypeError, match="both have to be a str"):
        Environment(names={"A": typing.cast("str", 1)})
    with pytest.raises(TypeError, match="a prefix has to be a str"):
        Environment(typing.cast("str", 1))
    with pytest.raises(ValueError, match="lists='commas'"):
        Environment("APP_", lists=typing.cast("Any", "commas"))


def test_a_key_of_an_alias_and_of_a_table_is_found(monkeypatch):
    class Odd(BaseModel):
        max_size: int = Field(0, alias="max-size")
        table: dict[str, int] = {}

    source = Environment(names={"SIZE": "max-size", "A_B": 'table."a.b"'})
    config = load(monkeypatch, source, Odd, SIZE="3", A_B="4").config
    assert (config.max_size, config.table) == (3, {"a.b": 4})


# ---- lists with commas


@dataclasses.dataclass
class Data:
    ports: list[int] = dataclasses.field(default_factory=list)
    tags: set[str] = dataclasses.field(default_factory=set)
    pair: tuple[int, str] = (0, "")
    maybe: list[float] | None = None
    nested: list[list[int]] = dataclasses.field(default_factory=list)
    table: dict[str, int] = dataclasses.field(default_factory=dict)
    text: list[str] | str = ""


class Record(msgspec.Struct):
    ports: list[int] = []
    tags: set[str] = set()
    pair: tuple[int, str] = (0, "")
    maybe: list[float] | None = None
    nested: list[list[int]] = []
    table: dict[str, int] = {}
    text: list[str] | str = ""


class Model(BaseModel):
    ports: list[int] = []
    tags: set[str] = set()
    pair: tuple[int, str] = (0, "")
    maybe: list[float] | None = None
    nested: list[list[int]] = []
    table: dict[str, int] = {}
    text: list[str] | str = ""


KINDS = pytest.mark.parametrize("schema", [Data, Record, Model])


@KINDS
@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("ports", "1, 2 ,3", [1, 2, 3]),
        ("ports", "7", [7]),
        ("ports", "", []),
        ("ports", "  ", []),
        ("ports", " [1, 2]", [1, 2]),
        ("tags", "a,\n b", {"a", "b"}),
        ("tags", "{a}, b c", {"{a}", "b c"}),
        ("pair", "1, 2", (1, "2")),
        ("maybe", "1e3, inf", [1000.0, float("inf")]),
        ("maybe", "null", None),
        ("maybe", "", []),
        ("nested", "[[1], [2, 3]]", [[1], [2, 3]]),
        ("table", '{"a": 1}', {"a": 1}),
        ("text", "a, b", "a, b"),
        ("text", '["a"]', ["a"]),
    ],
)
def test_a_list_with_commas(monkeypatch, schema, field, text, value):
    found = load(monkeypatch, Environment("APP_", lists="comma"), schema, **{f"APP_{field.upper()}": text})
    assert getattr(found.config, field) == value
    assert found.origin_of(field) == f"environment variable APP_{field.upper()}"


@KINDS
@pytest.mark.parametrize(
    ("field", "text", "told"),
    [
        ("ports", "1,,2", "item 2 of 3 between the commas is empty: remove a comma, or write JSON"),
        ("tags", "s3cret,", "item 2 of 2 between the commas is empty: remove a comma, or write JSON"),
        (
            "tags",
            "[s3cret",
            "a list that begins with [ has to be JSON; the text is no valid JSON: Expecting value (line 1, column 2)",
        ),
        (
            "nested",
            "1, 2",
            "a list or a table has to be written as JSON here; the text is no valid JSON: Extra data",
        ),
    ],
)
def test_a_list_that_is_refused(monkeypatch, schema, field, text, told):
    variable = f"APP_{field.upper()}"
    problems = refused(monkeypatch, Environment("APP_", lists="comma"), schema, **{variable: text})
    (problem,) = problems
    assert (problem.key, problem.location) == (field, f"environment variable {variable}")
    assert problem.message.startswith(told)


@KINDS
def test_an_item_that_is_wrong_has_its_index(monkeypatch, schema):
    (problem,) = refused(monkeypatch, Environment("APP_", lists="comma"), schema, APP_PORTS="1,x")
    assert (problem.key, problem.location) == ("ports.1", "environment variable APP_PORTS")


def test_without_the_option_a_list_is_json(monkeypatch):
    (problem,) = refused(monkeypatch, Environment("APP_"), APP_HOSTS="a,b")
    assert problem.message.startswith("a list or a table has to be written as JSON here")
    assert problem.message.endswith('; lists="comma" takes a list with commas')
    of = {each.key: each.message for each in refused(monkeypatch, Environment("APP_"), APP_PASSWORDS="a,b")}
    assert "comma" in of["hosts"]
    assert "comma" not in of["passwords"]


def test_a_validator_of_the_user_s_gets_the_list(monkeypatch):
    class Own(BaseModel):
        hosts: list[str] = []

        @field_validator("hosts", mode="before")
        @classmethod
        def lower(cls, value: list[str]) -> list[str]:
            return [each.lower() for each in value]

    assert load(monkeypatch, Environment("APP_", lists="comma"), Own, APP_HOSTS="A,B").config.hosts == ["a", "b"]


def test_an_item_of_a_list_is_set_by_commas_it_is_said(monkeypatch):
    (problem,) = refused(monkeypatch, Environment("APP_", lists="comma"), APP_HOSTS__0="a")
    assert problem.message.endswith("set APP_HOSTS to the whole list, with commas")


# ---- files


FILES = Environment("APP_", files=True, names={"DATABASE_URL": "database.url"})


def secret(name: str, text: str, mode: int = 0o400) -> str:
    path = Path(name).absolute()
    path.write_bytes(text.encode())
    path.chmod(mode)
    return str(path)


def test_a_variable_names_the_file_of_a_value(monkeypatch, caplog):
    path = secret("db", "hunter2\n")
    candidate = load(monkeypatch, FILES, APP_DATABASE__PASSWORD_FILE=path)
    assert candidate.config.database.password.get_secret_value() == "hunter2"
    where = f"environment variable APP_DATABASE__PASSWORD_FILE ({path})"
    assert candidate.origin_of("database.password") == where
    assert caplog.messages == [f"one newline at the end was taken off {path}"]


@pytest.mark.parametrize("name", ["DATABASE_URL_FILE", "APP_DATABASE__URL_FILE", "app_database__url_file"])
def test_a_name_in_any_form_names_a_file(monkeypatch, name):
    assert load(monkeypatch, FILES, **{name: secret("db", "x://")}).config.database.url == "x://"


def test_an_entry_of_a_table_names_a_file(monkeypatch):
    config = load(monkeypatch, FILES, APP_PASSWORDS__DB_FILE=secret("db", "x")).config
    assert {key: each.get_secret_value() for key, each in config.passwords.items()} == {"db": "x"}


def test_a_key_that_ends_so_is_the_schema_s_and_its_file_is_not_read(monkeypatch):
    loader = ConfigLoader(Settings, FILES)
    monkeypatch.setenv("APP_CERT_FILE", "/nonexistent")
    config = loader.load().config
    assert (config.cert, config.cert_file) == ("none", "/nonexistent")
    assert loader._watched() == ()


def test_without_the_option_a_secret_s_file_is_read_and_of_another_value_it_is_said_what_is_missing(monkeypatch):
    path = secret("db", "hunter2")
    candidate = load(monkeypatch, Environment("APP_"), APP_DATABASE__PASSWORD_FILE=path)
    assert candidate.config.database.password.get_secret_value() == "hunter2"
    monkeypatch.delenv("APP_DATABASE__PASSWORD_FILE")
    loader = ConfigLoader(Settings, Environment("APP_"))
    monkeypatch.setenv("APP_DATABASE__URL_FILE", path)
    with pytest.raises(ConfigError) as caught:
        loader.load()
    told = "the schema has no such key; with files=True the file that APP_DATABASE__URL_FILE names would set it"
    assert caught.value.problems == [Problem("", told, "environment variable APP_DATABASE__URL_FILE")]
    assert loader._watched() == ()
    monkeypatch.delenv("APP_DATABASE__URL_FILE")
    (problem,) = refused(monkeypatch, FILES, APP_DATABASE_PASSWORD_FILE="")
    assert "; did you mean APP_DATABASE__" in problem.message


@pytest.mark.parametrize("prefix", ["", "APP_"])
def test_so_it_is_of_a_variable_that_is_named_and_what_names_no_secret_is_the_host_s(monkeypatch, prefix):
    source = Environment(prefix, names={"DB_PASSWORD": "database.password", "DB_URL": "database.url"})
    loader = ConfigLoader(Settings, source)
    monkeypatch.setenv("DB_PASSWORD_FILE", secret("db", "hunter2"))
    monkeypatch.setenv("DB_URL_FILE", "/nonexistent")
    candidate = loader.load()
    assert candidate.config.database.password.get_secret_value() == "hunter2"
    assert candidate.config.database.url == "sqlite://"
    assert loader._watched() == (Path("db").absolute(),)
    assert candidate.fingerprint == loader._fingerprint()


def test_what_a_source_has_called_a_secret_once_names_no_file_by_itself(monkeypatch):
    """The schema decides, and not what this process has read before."""
    loader = ConfigLoader(Settings, FILES)
    monkeypatch.setenv("APP_NAME_FILE", secret("name", "x"))
    assert loader.load().config.name == "x"
    (problem,) = refused(monkeypatch, Environment("APP_"))
    assert "with files=True" in problem.message


def test_the_value_and_its_file_are_set_twice(monkeypatch):
    path = secret("db", "x")
    (problem,) = refused(monkeypatch, FILES, APP_NAME="y", APP_NAME_FILE=path)
    told = "is set twice: environment variable APP_NAME sets the same"
    assert problem == Problem("name", told, "environment variable APP_NAME_FILE")


def test_the_file_is_watched_and_its_content_counts(monkeypatch):
    path = secret("db", "one", 0o600)
    monkeypatch.setenv("APP_NAME_FILE", path)
    loader = ConfigLoader(Settings, FILES)
    assert loader.load().config.name == "one"
    assert loader._watched() == (Path(path),)
    before = loader._fingerprint()
    assert loader._read().fingerprint == before
    Path(path).write_text("two")
    assert loader._fingerprint() != before
    assert loader.load().config.name == "two"


def missing(path: Path) -> str:
    return "does not exist"


@pytest.mark.parametrize("fault", [missing, *FAULTS])
def test_a_file_that_can_not_be_read_refuses_the_key_and_its_return_is_a_change(monkeypatch, fault):
    path = Path("db").absolute()
    told = f"the file {fault(path)}"
    (problem,) = refused(monkeypatch, FILES, APP_NAME_FILE=str(path))
    assert problem == Problem("name", told, f"environment variable APP_NAME_FILE ({path})")
    loader = ConfigLoader(Settings, FILES)
    with pytest.raises(ConfigError):
        loader.load()
    assert loader._watched() == (path,)
    before = loader._fingerprint()
    path.rmdir() if path.is_dir() else path.unlink(missing_ok=True)
    path.write_text("back")
    assert loader._fingerprint() != before
    assert loader.load().config.name == "back"


@pytest.mark.parametrize(
    ("content", "value"),
    [("\n", ""), ("a\n\n", "a\n"), ("a\r\n", "a"), ("a", "a"), (" a ", " a "), ("\ufeffa", "a"), ("é\n", "é")],
)
def test_one_newline_is_taken_off_and_nothing_else(monkeypatch, content, value):
    assert load(monkeypatch, FILES, APP_NAME_FILE=secret("db", content)).config.name == value


@pytest.mark.parametrize(("mode", "shown"), [(0o444, "0444"), (0o640, "0640")])
def test_rights_of_others_are_warned_of_once(monkeypatch, caplog, mode, shown):
    path = secret("db", "x", mode)
    Path.cwd().chmod(0o755)
    monkeypatch.setenv("APP_NAME_FILE", path)
    loader = ConfigLoader(Settings, FILES)
    loader.load()
    loader.load()
    assert caplog.messages == [
        f"others than the owner may read {path} (mode {shown}): 0400 keeps a secret to its owner"
    ]


def test_a_variable_that_names_no_file_is_refused(monkeypatch):
    (problem,) = refused(monkeypatch, FILES, APP_NAME_FILE="")
    assert problem.message == "the file has no name: the variable is empty"


def test_its_values_are_secrets_whatever_their_types(monkeypatch):
    monkeypatch.setenv("APP_NAME_FILE", secret("db", "x"))
    monkeypatch.setenv("APP_DATABASE__URL", "y")
    reading = ConfigLoader(Settings, FILES)._read()
    (layer,) = reading.layers
    assert layer.fit(Settings).layer.secrets == {("name",)}


def test_a_schema_that_can_not_be_imported_is_reported_as_ever(monkeypatch):
    monkeypatch.setenv("APP_NAME_FILE", "/nonexistent")
    with pytest.raises(ImportError):
        ConfigLoader("no_such_module:Settings", FILES).load()


@pytest.mark.parametrize("name", ["A__" * 4000 + "B", "A" * 100_000, "D__" + "X" * 1000])
def test_a_name_that_is_too_long_for_a_key_is_none_at_once(name, monkeypatch):
    class Named(BaseModel):
        a: dict[str, Any] = {}
        d: dict[str, str] = {}

    monkeypatch.setenv(f"LONG_{name}", "1")
    began = time.process_time()
    with pytest.raises(ConfigError, match="the schema has no such key"):
        ConfigLoader(Named, Environment("LONG_")).load()
    assert time.process_time() - began < 1.0
