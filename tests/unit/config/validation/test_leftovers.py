"""A placeholder that is left in a value is warned of, once for each place and content, and shows no secret."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from pydantic import BaseModel, SecretStr

from confcast import Command, ConfigError, ConfigLoader, Dotenv, Environment, Secret
from confcast.config.validation.leftovers import MOST_WARNINGS

pytestmark = pytest.mark.usefixtures("here")

WHY = "in it, which nothing fills in: a value is taken as it is written"
FILLED = f'{WHY} (File(…, references="env") fills such references in)'


class Database(BaseModel):
    url: str = ""
    password: SecretStr = SecretStr("")
    port: int = 1


class Settings(BaseModel):
    database: Database = Database()
    names: list[str] = []
    labels: dict[str, str] = {}
    secrets: dict[SecretStr, str] = {}
    token: Annotated[str, Secret] = ""
    anything: Any = None


class Record(msgspec.Struct):
    token: Annotated[str, Secret] = ""
    names: list[str] = []


@pytest.fixture
def told(caplog):
    caplog.set_level(logging.WARNING, "confcast.loader")

    def said() -> list[str]:
        messages = [record.getMessage() for record in caplog.records]
        caplog.clear()
        return messages

    return said


@pytest.mark.parametrize("placeholder", ["${DB_URL}", "${DB_URL:-none}", "{{ db_url }}", "{{db.url|lower}}"])
@pytest.mark.parametrize(
    ("name", "text", "at"),
    [
        ("a.toml", "[database]\nurl = 'a%s/x'\n", "2:7"),
        ("a.json", '{"database": {\n"url": "%s"}}', "2:8"),
        ("a.yaml", "database:\n  url: 'x%s'\n", "2:8"),
    ],
)
def test_a_placeholder_in_a_value_is_warned_of_with_its_place_and_key(placeholder, name, text, at, told):
    Path(name).write_text(text % placeholder)
    candidate = ConfigLoader(Settings, name).load()
    assert placeholder in candidate.config.database.url
    why = FILLED if placeholder[0] == "$" else WHY
    assert told() == [f"{name}:{at}: database.url: has {placeholder} {why}"]


def test_it_is_found_in_lists_tables_variables_and_overrides(monkeypatch, told):
    Path("a.json").write_text('{"names": ["a",\n"${B}"], "labels": {"x.y":\n"{{ c }}"}, "anything": [{"z": "${D}"}]}')
    monkeypatch.setenv("T_DATABASE__URL", "${E}")
    ConfigLoader(Settings, "a.json", Environment("T_"), overrides={"labels": {"o": "${F}"}}).load()
    assert sorted(told()) == [
        f"a.json:2:1: names.1: has ${{B}} {FILLED}",
        f'a.json:3:1: labels."x.y": has {{{{ c }}}} {WHY}',
        f"a.json:3:32: anything.0.z: has ${{D}} {FILLED}",
        f"environment variable T_DATABASE__URL: database.url: has ${{E}} {WHY}",
        f"override: labels.o: has ${{F}} {WHY}",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "$",
        "$HOME",
        "{x}",
        "{}",
        "{{}}",
        "$${ESCAPED}",
        "${",
        "}}{{",
        "a{{b",
        "${}",
        "${1}",
        "{'a': {'b': 1}}",
        "%(x)s",
        "{{\n}}",
    ],
)
def test_what_is_no_placeholder_is_not_warned_of(text, told):
    Path("a.json").write_text(json.dumps({"names": [text], "labels": {"${KEY}": text}}))
    ConfigLoader(Settings, "a.json").load()
    assert told() == []


def test_it_is_said_once_as_long_as_it_stays_and_again_when_it_changes_or_comes_back(told):
    loader = ConfigLoader(Settings, "a.toml")

    def load(text: str) -> list[str]:
        Path("a.toml").write_text(text)
        loader.load()
        return told()

    assert len(load("names = ['${A}', 'b']")) == 1
    assert load("names = ['${A}', 'b']") == []
    assert load("# moved\ntoken = 'x'\nnames = ['${A}', 'c']") == []  # another line
    assert load("names = ['${A}', '${B}']") == [f"a.toml:1:18: names.1: has ${{B}} {FILLED}"]
    assert load("names = ['${C}', '${B}']") == [f"a.toml:1:10: names.0: has ${{C}} {FILLED}"]
    assert load("names = ['c', '${B}']") == []
    assert len(load("names = ['${C}', '${B}']")) == 1


def test_it_is_said_of_a_load_that_is_refused_and_not_again_by_the_next(told):
    Path("a.toml").write_text("database.port = '${PORT}'")
    loader = ConfigLoader(Settings, "a.toml")
    for expected in (1, 0):
        with pytest.raises(ConfigError):
            loader.load()
        assert len(told()) == expected


def test_what_a_higher_layer_hides_is_not_warned_of(told):
    Path("low.toml").write_text("token = 'x'\nnames = ['${A}']\ndatabase.url = '${URL}'")
    Path("high.toml").write_text("names = ['a']\ndatabase.url = 'there'")
    ConfigLoader(Settings, "low.toml", "high.toml").load()
    assert told() == []


@pytest.mark.parametrize(
    ("schema", "data", "key"),
    [
        (Settings, {"database": {"password": "hunter2${x}hunter2"}}, "database.password"),
        (Settings, {"token": "hunter2${hunter2}"}, "token"),
        (Record, {"token": "${hunter2}"}, "token"),
    ],
)
def test_where_a_secret_stands_the_placeholder_is_not_shown(schema, data, key, told):
    Path("a.json").write_text(json.dumps(data))
    ConfigLoader(schema, "a.json").load()
    (said,) = told()
    assert "hunter2" not in said
    assert f": {key}: has ${{…}} {WHY}" in said


def test_a_placeholder_that_would_disturb_a_log_is_not_shown(told):
    for text in ("${A\x1b[31m}", "{{\u202e}}", "{{\x85}}"):
        Path("a.json").write_text(json.dumps({"names": [text]}))
        ConfigLoader(Settings, "a.json").load()
        (said,) = told()
        assert said.isprintable()
        assert "…" in said


def test_a_key_that_is_a_secret_is_not_shown(told):
    Path("a.json").write_text('{"secrets": {"hunter2": "${x}"}}')
    ConfigLoader(Settings, "a.json").load()
    (said,) = told()
    assert "hunter2" not in said
    assert "secrets.**********" in said


def test_of_a_whole_file_that_is_a_template_the_first_are_reported_and_the_number_of_the_others(told):
    Path("a.json").write_text(json.dumps({"names": [f"${{V{n}}}" for n in range(10_000)]}))
    ConfigLoader(Settings, "a.json").load()
    said = told()
    assert len(said) == MOST_WARNINGS + 1
    assert said[-1] == f"{10_000 - MOST_WARNINGS} more values have a placeholder in them that nothing fills in"


def test_the_option_that_is_named_is_one_of_the_source(told):
    Path("a.env").write_text("DATABASE__URL=${A}\n")
    Path("a.ini").write_text("[database]\nurl = ${A}\n")
    printed = Command(["echo", '{"database": {"url": "${A}"}}'], format="json")
    for source, place, option in (
        (Dotenv("a.env"), "a.env:1:15", " (Dotenv(…, interpolate=True) fills such references in)"),
        ("a.ini", "a.ini:2:7", ' (File(…, references="env") fills such references in)'),
        (printed, f"{printed.shown}:1:22", ""),
    ):
        ConfigLoader(Settings, source).load()
        assert told() == [f"{place}: database.url: has ${{A}} {WHY}{option}"]
