"""A BaseSettings class as the schema: its own sources, read at each load, with origins, files and warnings."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pydantic
import pydantic_settings
import pytest
from pydantic import AliasChoices, AliasPath, Field, SecretStr
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    JsonConfigSettingsSource,
    PydanticBaseSettingsSource,
    PyprojectTomlConfigSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
    YamlConfigSettingsSource,
)

from confcast import ConfigError, ConfigLoader
from confcast.config.explain import explain

pytestmark = pytest.mark.usefixtures("here")

VERSION = tuple(int(part) for part in pydantic_settings.__version__.split(".")[:2])
NestedSecrets: Any = getattr(pydantic_settings, "NestedSecretsSettingsSource", None)


def since(*version: int) -> pytest.MarkDecorator:
    """Only with a pydantic-settings that has what the test is about."""
    return pytest.mark.skipif(version > VERSION, reason=f"pydantic-settings {version[0]}.{version[1]} has it")


def config(**options: Any) -> SettingsConfigDict:
    return SettingsConfigDict(**options)


class Db(pydantic.BaseModel):
    host: str = "localhost"
    port: int = 5432
    user: str = "app"


def with_sources(cls: type[BaseSettings], *made: Any) -> type[BaseSettings]:
    """The class with these sources between the .env file and the secrets."""

    class Settings(cls):  # type: ignore[valid-type, misc]
        @classmethod
        def settings_customise_sources(
            cls, settings_cls, init_settings, env_settings, dotenv_settings, file_secret_settings
        ):
            between = [make(settings_cls) for make in made]
            return init_settings, env_settings, dotenv_settings, *between, file_secret_settings

    return Settings


def origins(cls: Any, *keys: str) -> list[str]:
    candidate = ConfigLoader(cls).load()
    assert candidate.config == cls()
    return [candidate.origin_of(key) for key in keys]


def warned(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


class App(BaseSettings):
    model_config = config(env_prefix="APP_", env_nested_delimiter="__", env_file=".env", extra="ignore")
    name: str = "app"
    workers: int = 1
    hosts: list[str] = []
    db: Db = Db()
    token: SecretStr = SecretStr("")


# ---- origins


def test_a_variable_is_the_origin_by_its_own_spelling(monkeypatch):
    Path(".env").write_text("x=1")
    monkeypatch.setenv("App_Workers", "3")
    monkeypatch.setenv("APP_DB__HOST", "h")
    monkeypatch.setenv("APP_HOSTS", '["a"]')
    assert origins(App, "workers", "db.host", "hosts.0", "db.port", "name") == [
        "environment variable App_Workers",
        "environment variable APP_DB__HOST",
        "environment variable APP_HOSTS",
        "default",
        "default",
    ]


def test_a_table_in_json_and_a_variable_for_one_of_its_keys_are_told_apart(monkeypatch):
    Path(".env").write_text("x=1")
    monkeypatch.setenv("APP_DB", '{"host": "a", "port": 1}')
    monkeypatch.setenv("APP_DB__PORT", "2")
    assert origins(App, "db.host", "db.port") == ["environment variable APP_DB", "environment variable APP_DB__PORT"]


def test_a_line_of_an_env_file_is_the_origin_the_last_of_two_and_of_two_files():
    Path(".env").write_text("# one\n\nexport APP_NAME=a\nAPP_DB__HOST='h\ni'\nAPP_NAME=b\n")
    assert origins(App, "name", "db.host") == [".env:6:10", ".env:4:14"]

    class Two(App):
        model_config = config(env_file=(".env", "local.env"))

    Path("local.env").write_text("\nAPP_NAME=c\n")
    assert origins(Two, "name", "db.host") == ["local.env:2:10", ".env:4:14"]


@since(2, 16)
def test_an_env_file_is_sought_upwards_as_far_as_the_class_says(tmp_path, monkeypatch):
    class Deep(App):
        model_config = config(env_file_depth=2)

    Path("a/b").mkdir(parents=True)
    Path(".env").write_text("APP_NAME=up")
    monkeypatch.chdir("a/b")
    loader = ConfigLoader(Deep)
    assert (loader.load().config.name, loader.load().origin_of("name")) == ("up", ".env:1:10")
    assert list(loader._watched()) == [tmp_path / "a/b/.env", tmp_path / "a/.env", tmp_path / ".env"]
    Path(".env").write_text("APP_NAME=near")
    assert loader._fingerprint() != loader.load().fingerprint or loader.load().config.name == "near"


@pytest.mark.parametrize(
    ("make", "option", "text", "place"),
    [
        (TomlConfigSettingsSource, "toml_file", "name = 'f'\n[db]\nport = 7\n", ("1:8", "3:8")),
        (YamlConfigSettingsSource, "yaml_file", "name: f\ndb:\n  port: 7\n", ("1:7", "3:9")),
        (JsonConfigSettingsSource, "json_file", '{"name": "f",\n "db": {"port": 7}}', ("1:10", "2:17")),
    ],
)
def test_a_file_s_line_and_column_are_the_origin(make, option, text, place):
    class Base(App):
        model_config = config(env_file=None, **{option: "conf.x"})

    Path("conf.x").write_text(text)
    assert origins(with_sources(Base, make), "name", "db.port", "db.host") == [
        f"conf.x:{place[0]}",
        f"conf.x:{place[1]}",
        "default",
    ]


@since(2, 13)
def test_a_section_of_a_file_has_its_own_positions():
    class Base(App):
        model_config = config(env_file=None, yaml_file="c.yaml", yaml_config_section="my.app.settings")

    Path("c.yaml").write_text("my.app:\n  settings:\n    name: y\n")
    Path("pyproject.toml").write_text("[tool.pydantic-settings]\nworkers = 9\n")
    cls = with_sources(Base, YamlConfigSettingsSource, PyprojectTomlConfigSettingsSource)
    assert origins(cls, "name", "workers")[0] == "c.yaml:3:11"
    assert origins(cls, "workers")[0].endswith("pyproject.toml:2:11")


def test_of_several_files_the_last_that_has_a_key_is_the_origin():
    class Base(App):
        model_config = config(env_file=None, toml_file=["a.toml", "b.toml"])

    Path("a.toml").write_text("name = 'a'\nworkers = 4\n")
    Path("b.toml").write_text("name = 'b'\n")
    assert origins(with_sources(Base, TomlConfigSettingsSource), "name", "workers") == ["b.toml:1:8", "a.toml:2:11"]


def test_a_secret_s_file_is_the_origin_and_its_value_is_marked_as_a_secret():
    class Base(App):
        model_config = config(env_file=None, secrets_dir=("low", "high"))

    for folder, name, text in (("low", "app_name", "l"), ("high", "APP_NAME", "h"), ("low", "app_token", "t")):
        Path(folder).mkdir(exist_ok=True)
        Path(folder, name).write_text(f"{text}\n")
    assert origins(Base, "name", "token") == ["high/APP_NAME", "low/app_token"]
    secrets = [layer.secrets for layer in ConfigLoader(Base)._read().layers if layer.data]
    assert secrets == [{("name",), ("token",)}]


@since(2, 12)
def test_nested_secrets_have_their_files():
    class Base(App):
        model_config = config(env_file=None, secrets_dir="sec", secrets_nested_subdir=True, secrets_prefix="")

    Path("sec/db").mkdir(parents=True)
    Path("sec/db/user").write_text("u\n")
    Path("sec/name").write_text("n\n")
    cls = with_sources(Base, NestedSecrets)
    assert origins(cls, "name", "db.user") == ["sec/name", "sec/db/user"]


def test_aliases_are_found_by_each_of_their_names(monkeypatch):
    class Aliased(BaseSettings):
        model_config = config(env_prefix="APP_", populate_by_name=True)
        url: str = Field("", validation_alias=AliasChoices("DATABASE_URL", "DB_URL"))
        first: int = Field(0, validation_alias=AliasPath("numbers", 0))
        plain: int = Field(0, alias="PLAIN")

    monkeypatch.setenv("DB_URL", "x")
    monkeypatch.setenv("numbers", "[5, 6]")
    monkeypatch.setenv("APP_PLAIN", "7")
    found = ConfigLoader(Aliased).load()
    assert found.config == Aliased()
    assert [found.origin_of(key) for key in ("url", "first", "plain")] == [
        "environment variable DB_URL",
        "environment variable numbers",
        "environment variable APP_PLAIN",
    ]


class Own(PydanticBaseSettingsSource):
    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        raise NotImplementedError

    def __call__(self) -> dict[str, Any]:
        assert "EnvSettingsSource" in self.settings_sources_data
        return json.loads(Path("own.json").read_text()) | {"workers": self.current_state.get("workers", 1)}


def test_a_source_of_the_user_s_is_called_with_what_came_before_and_named(monkeypatch):
    Path("own.json").write_text('{"name": "o"}')
    monkeypatch.setenv("APP_WORKERS", "6")
    cls = with_sources(App, Own)
    assert origins(cls, "name", "workers") == [f"Own of {cls.__qualname__}", "environment variable APP_WORKERS"]


def test_the_files_of_a_source_of_the_user_s_are_watched_if_it_says_which(tmp_path):
    class Watching(Own):
        def watched(self) -> tuple[Path, ...]:
            return (Path("own.json"),)

    Path("own.json").write_text('{"name": "o"}')
    loader = ConfigLoader(with_sources(App, Watching))
    first = loader.load()
    assert list(loader._watched()) == [tmp_path / ".env", tmp_path / "own.json"]
    Path("own.json").write_text('{"name": "p"}')
    assert loader._fingerprint() != first.fingerprint


def test_explain_says_over_what_a_source_has_won(monkeypatch):
    Path(".env").write_text("APP_NAME=file")
    monkeypatch.setenv("APP_NAME", "variable")
    found = explain(ConfigLoader(App).load(), "name")
    assert (found.value, found.origin) == ("variable", "environment variable APP_NAME")
    assert [(each.origin, each.value) for each in found.shadowed] == [(".env:1:10", "file")]


def test_what_is_given_to_the_loader_lies_above_all_that_the_class_reads(monkeypatch):
    monkeypatch.setenv("APP_NAME", "variable")
    monkeypatch.setenv("APP_WORKERS", "2")
    Path("over.toml").write_text("name = 'file'\n")
    found = ConfigLoader(App, "over.toml", overrides={"workers": 8}).load()
    assert (found.config.name, found.config.workers) == ("file", 8)
    assert found.origin_of("name") == "over.toml:1:8"
    assert found.origin_of("workers") == "override"


# ---- what is read at each load


def test_files_and_variables_are_read_anew_at_each_load_and_an_equal_content_is_equal(monkeypatch):
    Path(".env").write_text("APP_NAME=a")
    loader = ConfigLoader(App)
    first = loader.load()
    assert loader._fingerprint() == first.fingerprint
    Path(".env").write_text("APP_NAME=b")
    assert loader._fingerprint() != first.fingerprint
    assert loader.load().config.name == "b"
    monkeypatch.setenv("APP_WORKERS", "5")
    assert loader._fingerprint() != loader.load().fingerprint or loader.load().config.workers == 5
    Path(".env").write_text("APP_NAME=a")
    monkeypatch.delenv("APP_WORKERS")
    assert loader._fingerprint() == loader.load().fingerprint
    assert loader.load().digest == first.digest


@since(2, 12)
def test_another_secret_is_another_content_though_its_repr_is_the_same():
    class Strict(BaseSettings):
        model_config = config(strict=True, env_prefix="APP_", secrets_dir="sec", secrets_nested_delimiter="__")
        token: SecretStr = SecretStr("")

        @classmethod
        def settings_customise_sources(cls, settings_cls: Any, **others: Any) -> Any:
            return (NestedSecrets(settings_cls),)  # gives the object that masks itself

    Path("sec").mkdir()
    Path("sec/app_token").write_text("one")
    loader = ConfigLoader(Strict)
    first = loader.load()
    Path("sec/app_token").write_text("two")
    assert loader._fingerprint() != first.fingerprint
    assert loader.load().config.token.get_secret_value() == "two"


def test_a_schema_by_name_is_imported_by_a_load_for_its_sources(tmp_path, monkeypatch):
    Path("by_name.py").write_text(
        "from pydantic_settings import BaseSettings\nclass Named(BaseSettings):\n    by_name: int = 1\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("BY_NAME", "4")
    assert ConfigLoader("by_name:Named").load().config.by_name == 4


def test_sources_travel_with_the_class_and_are_not_sent(monkeypatch):
    monkeypatch.setenv("APP_NAME", "n")
    loader = ConfigLoader(App)
    assert loader.sources == ()
    assert loader._to_spec().sources == []
    assert ConfigLoader._from_spec(loader._to_spec()).load().config.name == "n"


# ---- what is said


def test_a_file_that_is_missing_empty_or_a_directory_is_said_once(caplog):
    class Base(App):
        model_config = config(env_file=(".env", "empty.env", "folder"), toml_file="no.toml")

    Path("empty.env").touch()
    Path("folder").mkdir()
    loader = ConfigLoader(with_sources(Base, TomlConfigSettingsSource))
    for _ in range(2):
        assert loader.load().config.name == "app"
    name = loader.schema.__qualname__
    assert sorted(warned(caplog)) == [
        f"{name} names the file .env, which does not exist: it sets nothing",
        f"{name} names the file empty.env, which is empty: it sets nothing",
        f"{name} names the file folder, which is a directory: it sets nothing",
        f"{name} names the file no.toml, which does not exist: it sets nothing",
    ]
    Path("no.toml").write_text("name = 'back'")
    assert loader.load().config.name == "back"


def test_a_line_of_an_env_file_that_is_none_is_said(caplog):
    Path(".env").write_text("APP_NAME=a\nAPP_TOKEN='hunter2\n")
    assert ConfigLoader(App).load().config.workers == 1
    (text,) = warned(caplog)
    assert text.startswith(".env:2:1: is no line of a .env file")
    assert text.endswith("a quotation in it has to end: it is ignored")
    assert "hunter2" not in caplog.text


def test_what_pydantic_settings_warns_of_is_logged_and_warns_nobody_else(caplog):
    class Base(App):
        model_config = config(env_file=None, secrets_dir="nowhere")

    assert ConfigLoader(Base).load().config.name == "app"  # a warning would be an error here
    assert warned(caplog) == ['directory "nowhere" does not exist']


def test_a_file_that_no_source_reads_is_said_once(caplog):
    class Base(App):
        model_config = config(env_file=None, toml_file="app.toml", yaml_file="app.yaml")

    Path("app.toml").write_text("name = 'not read'")
    loader = ConfigLoader(with_sources(Base, YamlConfigSettingsSource))
    Path("app.yaml").write_text("name: read")
    for _ in range(2):
        assert loader.load().config.name == "read"
    (said,) = warned(caplog)
    assert said == (
        f"{loader.schema.__qualname__} has toml_file in its model_config, and no TomlConfigSettingsSource in"
        " settings_customise_sources: nothing is read from it"
    )


def test_a_key_of_a_file_that_no_field_has_is_said_and_one_of_an_env_file_is_not(caplog):
    class Base(App):
        model_config = config(toml_file="a.toml")

    Path(".env").write_text("OTHER_PROGRAM=1\nAPP_OTHER=2\n")
    Path("a.toml").write_text("nmae = 'x'\n[db]\nprot = 1\nport = 2\n")
    found = ConfigLoader(with_sources(Base, TomlConfigSettingsSource)).load()
    assert found.config.db.port == 2
    assert sorted(warned(caplog)) == [
        "a.toml:1:1: nmae: no field has this key: it is ignored, as its class says",
        "a.toml:3:1: db.prot: no field has this key: it is ignored, as its class says",
    ]


@since(2, 16)
def test_the_constructor_s_keys_are_kept_where_the_class_allows_them():
    class Open(App):
        model_config = config(extra="allow")

    Path(".env").write_text("APP_OTHER=2\n")
    assert ConfigLoader(Open).load().config.model_extra == Open().model_extra == {"other": "2"}


# ---- where our merge and pydantic-settings' differ, pydantic-settings decides


def test_a_text_under_a_table_of_a_higher_source_is_replaced_as_the_constructor_does(monkeypatch):
    class Base(App):
        model_config = config(env_file=None, toml_file="a.toml")

    Path("a.toml").write_text("db = 'postgres://…'\nname = 'a'\n")
    monkeypatch.setenv("APP_DB__HOST", "h")
    assert origins(with_sources(Base, TomlConfigSettingsSource), "db.host", "name") == [
        "environment variable APP_DB__HOST",
        "a.toml:2:8",
    ]


class TwoKeys(BaseSettings):
    model_config = config(populate_by_name=True)
    url: str = Field("", alias="database_url")
    other: int = 0


class TwoKeysOrMore(TwoKeys):
    model_config = config(extra="ignore")


@pytest.mark.parametrize(("low", "high"), [("database_url", "url"), ("url", "database_url")])
def test_of_two_keys_of_one_field_in_two_sources_that_counts_which_pydantic_prefers(low, high):
    made = (lambda cls: _Plain(cls, {high: "b"}), lambda cls: _Plain(cls, {low: "a"}))
    cls = with_sources(TwoKeysOrMore, *made)
    assert ConfigLoader(cls).load().config == cls()
    strict = with_sources(TwoKeys, *made)
    with pytest.raises(pydantic.ValidationError, match="Extra inputs"):
        strict()
    with pytest.raises(ConfigError, match="sets the same as"):
        ConfigLoader(strict).load()


class _Plain(PydanticBaseSettingsSource):
    def __init__(self, cls: Any, data: dict[str, Any]) -> None:
        super().__init__(cls)
        self._data = data

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        raise NotImplementedError

    def __call__(self) -> dict[str, Any]:
        return self._data


def test_a_table_that_only_repeats_the_default_leaves_the_default_itself():
    class Special(Db):
        extra: str = "kept"

    class Partial(BaseSettings):
        model_config = config(nested_model_default_partial_update=True, env_nested_delimiter="__", env_prefix="P_")
        db: Db | Special = Special(host="d")

    assert type(ConfigLoader(Partial).load().config.db) is type(Partial().db)


def test_such_a_default_may_be_one_that_its_own_dump_would_not_make():
    class Renamed(pydantic.BaseModel):
        host: str = Field("", alias="hostName")

    class Partial(BaseSettings):
        model_config = config(nested_model_default_partial_update=True, env_prefix="P_")
        db: Renamed = Renamed(hostName="d")

    assert ConfigLoader(Partial).load().config.db.host == "d"


def test_values_of_init_sources_may_be_no_plain_data():
    cls = with_sources(App, lambda cls: InitSettingsSource(cls, {"token": SecretStr("t"), "db": Db(host="x")}))
    found = ConfigLoader(cls).load()
    assert found.config == cls()
    assert found.config.token.get_secret_value() == "t"


class Dsn(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(populate_by_name=True)
    url: str = Field("", alias="dsn")


class WithDsn(BaseSettings):
    model_config = config(env_prefix="APP_", env_nested_delimiter="__", toml_file="a.toml")
    db: Dsn = Dsn()


def test_a_value_that_a_lower_source_would_win_by_its_alias_is_refused_with_both_places(monkeypatch):
    Path("a.toml").write_text("[db]\ndsn = 'file'\n")
    monkeypatch.setenv("APP_DB__URL", "variable")
    cls = with_sources(WithDsn, TomlConfigSettingsSource)
    assert cls().db.url == "file", "pydantic-settings takes the lower source's"
    with pytest.raises(ConfigError) as caught:
        ConfigLoader(cls).load()
    assert str(caught.value) == (
        "environment variable APP_DB__URL: db.url: sets the same as 'dsn' (a.toml:2:1): remove one of them"
    )
