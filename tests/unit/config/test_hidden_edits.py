"""Edits that a higher source hides: each is named with its place and with what hides it, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from confcast import Candidate, ConfigLoader, Environment, Secret
from confcast.config import hidden_edits
from confcast.config.overrides import Call, Overrides
from confcast.config.plain_bytes import encode_data
from confcast.config.sources.layer import Layer

SECRET = "hunter2hunter2"


class Database(BaseModel):
    """A table."""

    pool: int = 5
    host: str = "localhost"
    hosts: list[str] = []
    ratio: float = 1.0


class Spelt(BaseModel):
    """Fields of two names."""

    model_config = ConfigDict(populate_by_name=True)

    max_size: int = Field(1, alias="max-size")
    inner: dict[str, Spelt] = Field({}, alias="in-ner")


class Settings(BaseModel):
    """What is loaded."""

    model_config = ConfigDict(extra="forbid")

    db: Database | None = Database()
    greeting: str = "hello"
    token: SecretStr = SecretStr("")
    limits: dict[str, int] = {}
    keys: dict[SecretStr, int] = {}
    marked: Annotated[dict[str, int], Secret] = {}
    mode: str = Field("one", alias="Mode")
    spelt: Spelt = Spelt()


Edit = Callable[..., list[str]]


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Edit:
    """What is reported of the edit from one text of the file to another."""
    monkeypatch.chdir(tmp_path)

    def edit(before: str, after: str, *above: Any, overrides: dict[str, Any] | None = None) -> list[str]:
        path = Path("app.toml")
        loader = ConfigLoader(Settings, path, *above, overrides=overrides)
        path.write_text(before)
        first = loader.load()
        path.write_text(after)
        return loader.load().hidden_edits_since(first)

    return edit


def test_an_edit_that_a_variable_hides_is_named_with_both_places(told: Edit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_DB__POOL", "7")
    assert told("[db]\npool = 5\n", "# more\n[db]\npool = 9\n", Environment("APP_")) == [
        "unchanged: your edit of `db.pool` (app.toml:3:8) is hidden by environment variable APP_DB__POOL"
    ]


def test_a_later_file_hides_and_so_do_overrides(told: Edit) -> None:
    Path("local.yaml").write_text("greeting: local\n")
    text = "greeting = '{0}'\n[db]\npool = {1}\n"
    assert told(text.format("a", 1), text.format("b", 2), "local.yaml", overrides={"db": {"pool": 3}}) == [
        "unchanged: your edit of `greeting` (app.toml:1:12) is hidden by local.yaml:1:11",
        "unchanged: your edit of `db.pool` (app.toml:3:8) is hidden by override",
    ]


def test_of_several_that_hide_it_the_highest_is_named(told: Edit, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("local.toml").write_text("greeting = 'local'\n")
    monkeypatch.setenv("APP_GREETING", "env")
    assert told("greeting = 'a'", "greeting = 'b'", "local.toml", Environment("APP_")) == [
        "unchanged: your edit of `greeting` (app.toml:1:12) is hidden by environment variable APP_GREETING"
    ]


def test_a_key_that_is_added_and_one_that_is_removed_are_edits_too(told: Edit) -> None:
    above = {"greeting": "o", "db": {"pool": 1, "host": "o"}}
    assert told("greeting = 'a'\n[db]\nhost = 'a'\n", "[db]\npool = 2\n", overrides=above) == [
        "unchanged: your removal of `greeting` (app.toml) is hidden by override",
        "unchanged: your removal of `db.host` (app.toml:1:1) is hidden by override",
        "unchanged: your edit of `db.pool` (app.toml:2:8) is hidden by override",
    ]


def test_a_whole_table_that_is_added_is_reported_by_its_keys(told: Edit) -> None:
    assert told("greeting = 'a'", "greeting = 'a'\n[db]\npool = 2\nhost = 'b'\n", overrides={"db": {"pool": 1}}) == [
        "unchanged: your edit of `db.pool` (app.toml:3:8) is hidden by override"
    ]


def test_what_replaces_the_table_around_a_key_hides_it(told: Edit) -> None:
    assert told("[db]\npool = 1\nhost = 'a'\n", "[db]\npool = 2\n", overrides={"db": None}) == [
        "unchanged: your edit of `db.pool` (app.toml:2:8) is hidden by override",
        "unchanged: your removal of `db.host` (app.toml:1:1) is hidden by override",
    ]


def test_a_list_is_one_value_and_a_table_is_merged(told: Edit) -> None:
    above = {"db": {"hosts": ["o"]}, "limits": {"a": 1}}
    before = "limits = {b = 1}\n[db]\nhosts = ['a', 'b']\n"
    after = "limits = {b = 2}\n[db]\nhosts = ['a', 'c']\n"
    assert told(before, after, overrides=above) == [
        "unchanged: your edit of `db.hosts` (app.toml:3:9) is hidden by override"
    ]


def test_a_key_that_is_called_otherwise_in_files_goes_by_the_name_there(
    told: Edit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APP_MODE", "x")
    (found,) = told("Mode = 'a'", "Mode = 'b'", Environment("APP_"))
    assert found.lower() == ("unchanged: your edit of `mode` (app.toml:1:8) is hidden by environment variable app_mode")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("[db]\npool = 1\n", "# a comment\n\n[db]\npool = 1 # another\n"),
        ("[db]\npool = 1\nhost = 'a'\n", "[db]\nhost = 'a'\npool = 1\n"),
        ("[db]\npool = 1\nratio = nan\n", "[db]\npool = 1\nratio = nan \n"),
        ("[db]\npool = 1\n", "[db]\npool = 7\n"),
        ("[db]\npool = 1\nhost = 'a'\n", "[db]\npool = 1\nhost = 'b'\n"),
        ("[db]\npool = 1\n", "[db]\npool = 1\n[limits]\n"),
    ],
    ids=["a comment", "the order", "nan", "what the higher one says too", "not hidden", "an empty table"],
)
def test_other_edits_are_not_reported(told: Edit, monkeypatch: pytest.MonkeyPatch, before: str, after: str) -> None:
    monkeypatch.setenv("APP_DB__POOL", "7")
    monkeypatch.setenv("APP_DB__RATIO", "2")
    monkeypatch.setenv("APP_LIMITS", '{"x": 1}')
    assert told(before, after, Environment("APP_")) == []


SPELT = "[spelt]\nmax-size = 1\n[spelt.in-ner.x]\nmax-size = 2\n"
INNER = SPELT.replace("in-ner", "inner")


@pytest.mark.parametrize(
    ("after", "edits"),
    [
        (SPELT.replace("max-size", "max_size"), []),
        (INNER, []),
        (SPELT.replace("-size = 1", "_size = 9"), ["edit of `spelt.max_size` (app.toml:2:12)"]),
        (INNER.replace("-size = 2", "_size = 9"), ["edit of `spelt.inner.x.max_size` (app.toml:4:12)"]),
        (INNER.replace("max-size = 2", ""), ["removal of `spelt.inner.x.max-size` (app.toml:3:1)"]),
    ],
)  # fmt: skip
def test_another_spelling_is_no_edit_and_no_removal(told: Edit, after: str, edits: list[str]) -> None:
    above = {"spelt": {"max-size": 5, "inner": {"x": {"max_size": 5}}}}
    expected = [f"unchanged: your {edit} is hidden by override" for edit in edits]
    assert told(SPELT, after, overrides=above) == expected


def test_what_was_hidden_before_and_was_not_edited_is_not_reported(told: Edit) -> None:
    text = "greeting = 'a'\n[db]\npool = {}\n"
    assert told(text.format(1), text.format(2), overrides={"greeting": "o"}) == []


def test_no_value_and_no_secret_key_is_reported(told: Edit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_TOKEN", "other")
    monkeypatch.setenv(f"APP_KEYS__{SECRET.upper()}", "1")
    monkeypatch.setenv("APP_MARKED", '{"a": 1}')
    text = "token = '{0}'\nkeys.{1} = {2}\nmarked.a = {2}\n"
    found = told(text.format("a", SECRET, 3), text.format(SECRET, SECRET, 4), Environment("APP_"))
    assert found == [
        "unchanged: your edit of `token` (app.toml:1:9) is hidden by environment variable APP_TOKEN",
        "unchanged: your edit of `keys.**********` (app.toml:2:23) is hidden by environment APP_*",
        "unchanged: your edit of `marked.**********` (app.toml:3:12) is hidden by environment APP_*",
    ]
    assert SECRET not in " ".join(found).lower()


def test_many_are_counted(told: Edit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hidden_edits, "MOST", 2)
    names = [f"k{number}" for number in range(5)]

    def text(value: int) -> str:
        return "".join(f"limits.{name} = {value}\n" for name in names)

    found = told(text(1), text(2), overrides={"limits": dict.fromkeys(names, 0)})
    assert [line.split("`")[1] for line in found[:-1]] == ["limits.k0", "limits.k1"]
    assert found[-1] == "unchanged: 3 more edits are hidden by other sources"


def test_a_long_key_is_cut(told: Edit) -> None:
    key = "k" * 1000
    (found,) = told(f"limits.{key} = 1", f"limits.{key} = 2", overrides={"limits": {key: 0}})
    assert len(found) < 300


class Counted(msgspec.Struct):
    """A source whose positions are not to be asked for."""

    number: int = 0

    def read(self) -> Layer:
        """What it says differs each time."""
        self.number += 1

        def places() -> Any:
            raise AssertionError("positions are asked for")

        return Layer("counted", {"db": {"pool": self.number}}, places=places)


def test_positions_are_worked_out_for_what_is_reported_only() -> None:
    loader: ConfigLoader[Settings] = ConfigLoader(Settings, Counted(), overrides={"greeting": "o"})
    first: Candidate[Settings] = loader.load()
    assert loader.load().hidden_edits_since(first) == []


def test_what_a_held_version_was_made_of_is_no_earlier_content_of_the_sources(tmp_path: Path) -> None:
    """It stands in one layer in the place of all sources; seen in an owner: `your removal of` a key of the file."""
    path = tmp_path / "app.toml"
    path.write_text('greeting = "file"\n')
    loader = ConfigLoader(Settings, path, Environment("APP_"))
    set_ = Overrides().set({"greeting": "set", "db.pool": 3}, Settings, Call(1.0))
    held = loader._propose(loader._reading_of(encode_data({"greeting": "old", "token": SECRET}), "version 3", set_))
    sources = loader._propose(loader._read(set_))
    assert sources.hidden_edits_since(held) == held.hidden_edits_since(sources) == []
