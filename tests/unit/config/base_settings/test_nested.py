"""BaseSettings inside of a schema: each reads its own variables and files, beneath what its table says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pydantic
import pytest
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from typing_extensions import TypeAliasType

from confcast import ConfigError, ConfigLoader
from confcast.config.base_settings.nested import nested_in

pytestmark = pytest.mark.usefixtures("here")


class Db(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="DB_", env_file="db.env", extra="ignore")
    host: str = "localhost"
    port: int = 5432


class App(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="APP_", env_nested_delimiter="__")
    name: str = "app"
    db: Db = Field(default_factory=Db)


class Plain(pydantic.BaseModel):
    db: Db = Field(default_factory=Db)
    other: Db | None = None


class Deep(pydantic.BaseModel):
    plain: Plain = Field(default_factory=Plain)


class Frozen(BaseSettings):
    db: Db = Db()


def test_its_values_have_their_own_origins_beneath_those_of_the_table(monkeypatch):
    Path("db.env").write_text("DB_HOST=file\nDB_PORT=1\n")
    monkeypatch.setenv("APP_DB__PORT", "2")
    found = ConfigLoader(App).load()
    assert found.config == App()
    assert found.origin_of("db.host") == "db.env:1:9"
    assert found.origin_of("db.port") == "environment variable APP_DB__PORT"


@pytest.mark.parametrize("schema", [App, Plain, Deep])
def test_its_files_are_read_at_each_load_and_watched(schema, tmp_path):
    Path("db.env").write_text("DB_HOST=a")
    loader = ConfigLoader(schema)
    first = loader.load()
    assert first.config == schema()
    assert first.fingerprint == loader._fingerprint()
    assert tmp_path / "db.env" in loader._watched()
    Path("db.env").write_text("DB_HOST=b")
    assert loader._fingerprint() != first.fingerprint
    assert loader.load().config == schema()
    assert loader.load().config != first.config


def test_what_is_given_to_the_loader_lies_above_it(monkeypatch):
    monkeypatch.setenv("DB_HOST", "variable")
    monkeypatch.setenv("DB_PORT", "3")
    Path("a.toml").write_text("[db]\nhost = 'file'\n")
    found = ConfigLoader(Plain, "a.toml").load()
    assert (found.config.db.host, found.config.db.port) == ("file", 3)
    assert found.origin_of("db.host") == "a.toml:2:8"
    assert found.origin_of("db.port") == "environment variable DB_PORT"


def test_a_mistake_in_what_it_reads_has_its_place():
    Path("db.env").write_text("\nDB_PORT=many")
    with pytest.raises(ConfigError, match=r"^db\.env:2:9: db\.port: Input should be a valid integer"):
        ConfigLoader(App).load()


def test_a_file_that_it_can_t_read_is_refused_with_the_place():
    Path("db.env").write_bytes(b"DB_HOST=\xff")
    with pytest.raises(ConfigError, match=r"^db\.env:1:9: is not UTF-8: save it as UTF-8$"):
        ConfigLoader(App).load()


def test_a_file_of_one_that_is_never_made_is_watched_and_no_mistake(tmp_path):
    class Optional(BaseSettings):
        db: Db | None = None

    Path("db.env").write_bytes(b"\xff")
    loader = ConfigLoader(Optional)
    assert loader.load().config.db is None
    assert tmp_path / "db.env" in loader._watched()


def test_a_default_that_was_made_at_the_import_is_said_since_no_reload_reads_it(caplog):
    ConfigLoader(Frozen).load()
    (text,) = caplog.messages
    assert text.startswith("Frozen.db has a default that was made when its module was imported, so no reload reads")
    assert text.endswith("again: write Field(default_factory=Db)")


class Holder(pydantic.BaseModel):
    held: Db = Field(default_factory=Db)


def test_such_a_default_is_found_inside_of_another(caplog):
    class Around(BaseSettings):
        holder: Holder = Holder()

    ConfigLoader(Around).load()
    (text,) = caplog.messages
    assert "Around.holder has a default that was made" in text
    assert text.endswith("write Field(default_factory=Holder)")


def test_the_files_of_those_in_lists_and_tables_are_watched_and_counted(tmp_path):
    class Many(BaseSettings):
        several: list[Db] = []
        by_name: dict[str, Db | None] = {}
        again: list[Many] = []

    Many.model_rebuild(_types_namespace={"Many": Many})
    Path("db.env").write_text("DB_HOST=a")
    Path("a.toml").write_text("[[several]]\nport = 1\n[by_name.x]\nport = 2\n")
    loader = ConfigLoader(Many, "a.toml")
    first = loader.load()
    assert (first.config.several[0].host, first.config.by_name["x"].host) == ("a", "a")
    assert tmp_path / "db.env" in loader._watched()
    Path("db.env").write_text("DB_HOST=b")
    assert loader._fingerprint() != first.fingerprint
    assert loader.load().config.several[0].host == "b"


Tree: Any = TypeAliasType("Tree", list["Tree"] | dict[str, "Tree"] | Db | str)


def test_a_type_that_contains_itself_is_looked_through_once():
    class Recursive(BaseSettings):
        tree: Tree = "leaf"

    assert [each.cls for each in nested_in(Recursive)] == [Db]
    assert ConfigLoader(Recursive).load().config.tree == "leaf"
