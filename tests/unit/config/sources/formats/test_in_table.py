"""One table of a file: its values and their places in the file, and words for a table that is not there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from confcast import ConfigError, ConfigLoader, File

pytestmark = pytest.mark.usefixtures("here")


class App(BaseModel):
    port: int = 0
    names: list[str] = []


def load(name: str, text: str, table: str, **options: bool) -> ConfigLoader[App]:
    Path(name).write_text(text)
    return ConfigLoader(App, File(name, table=table, **options))  # type: ignore[arg-type]  # the options are booleans


def refusal(loader: ConfigLoader[App]) -> str:
    with pytest.raises(ConfigError) as caught:
        loader.load()
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "table", "place"),
    [
        ("a.toml", "port = 1\n[tool.other]\n[tool.app]\nport = 80\n", "tool.app", "4:8"),
        ("a.toml", '[tool."a.b"]\nport = 80\n', 'tool."a.b"', "2:8"),
        ("a.json", '{"x": [1],\n "app": {"port": 80}}', "app", "2:18"),
        ("a.jsonc", '{"app": /* c */ {"port": 80}}', "app", "1:26"),
        ("a.yaml", "tool:\n  app:\n    port: 80\n", "tool.app", "3:11"),
        ("a.ini", "[a.b]\nport = 1\n[a]\nport = 80\n", "a", "4:8"),
        ("a.ini", "[tool:app.x]\nport = 80\n", "tool:app.x", "2:8"),
        ("a.ini", "[DEFAULT]\nport = 80\n", "DEFAULT", "2:8"),
    ],
)
def test_it_is_read_as_if_it_were_the_file(name, text, table, place):
    candidate = load(name, text, table).load()
    assert candidate.config.port == 80
    assert candidate.origin_of("port") == f"{name}:{place}"


def test_sections_of_an_ini_file_may_be_tables_in_it():
    loader = load("a.ini", "[app]\nx = 1\n[app.web]\nport = 80\n", "app.web", nested=True)
    assert loader.load().config.port == 80
    assert load("a.ini", "[app:web]\nport = 80\n", "app:web", nested=True).load().origin_of("port") == "a.ini:2:8"


def test_problems_name_the_key_inside_and_the_place_in_the_file():
    text = refusal(load("a.toml", "[tool.app]\nport = 'x'\nnmaes = []\n", "tool.app"))
    assert text.startswith("a.toml:2:8: port: ")
    assert "\na.toml:3:1: nmaes: unknown key; did you mean 'names'?" in text
    text = refusal(load("a.yaml", "app:\n  port: 1\n  port: 2\n", "app"))
    assert text == "a.yaml:3:3: port: has this key twice in one table"
    text = refusal(load("a.yaml", "app: {}\nother:\n  port: 1\n  port: 2\n", "app"))
    assert text == "a.yaml:4:3: has this key twice in one table"


def test_advice_of_the_format_is_given_for_what_is_inside():
    text = refusal(load("a.yaml", "app:\n  names: [no]\n", "app"))
    assert "YAML reads yes, no, on, off, true and false as booleans" in text


@pytest.mark.parametrize(
    ("text", "table", "says"),
    [
        ("[tool.ap]\nport = 1\n", "tool.app", "has no table tool.app; did you mean tool.ap?"),
        ("[tols.app]\nport = 1\n", "tool.app", "has no table tool.app; did you mean tols?"),
        ("[tool.zebra]\nport = 1\n", "tool.app", "has no table tool.app; tool is there, and has no app"),
        ("[tool]\nap = 1\n", "tool.app", "has no table tool.app; tool is there, and has no app"),
        ("x = 1\n", "app", "has no table app"),
    ],
)
def test_a_table_that_is_not_there_is_refused_with_the_nearest_name(text, table, says):
    loader = load("a.toml", text, table)
    assert refusal(loader) == f"a.toml: {says}"
    assert load("a.toml", text, table, optional=True).load().config == App()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[tool]\napp = 1\n", "a.toml:2:7: tool.app has to be a table, and is a single value"),
        ("[[tool.app]]\n", "a.toml:1:1: tool.app has to be a table, and is a list"),
        ("x = 1\ntool = 'x'\n", "a.toml:2:8: tool has to be a table, and is a single value"),
        ("[[tool]]\nname = 'x'\n", "a.toml:1:1: tool has to be a table, and is a list"),
        ("[tool.app]\n", "a.toml: the table tool.app is empty: nothing is set in it (allow_empty=True accepts that)"),
        ("", "a.toml: is empty: nothing is set in it (allow_empty=True accepts that)"),
        ("[tool.app]\nport = 1\n[broken\n", "a.toml:3:8: is no valid TOML: "),
    ],
)
def test_what_is_no_table_or_has_nothing_in_it_is_refused(text, says):
    assert refusal(load("a.toml", text, "tool.app", optional=True)).startswith(says)


def test_a_document_without_keys_has_no_missing_table():
    refused = refusal(load("a.json", "[1]", "tool.app", optional=True))
    assert refused == "a.json: has to be a table of keys, and is a list"


@pytest.mark.parametrize("text", ["[tool.app]\n", ""])
def test_nothing_may_be_in_it_where_that_is_allowed(text):
    assert load("a.toml", text, "tool.app", allow_empty=True).load().config == App()


def test_a_change_elsewhere_in_the_file_is_no_change_of_the_configuration():
    before = load("a.toml", "[tool.app]\nport = 80\n", "tool.app").load()
    after = load("a.toml", "[tool.other]\nport = 1\n\n[tool.app]\nport = 80\n", "tool.app").load()
    assert (after.digest, after.origin_of("port")) == (before.digest, "a.toml:5:8")


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("a.toml", {"table": ""}, "table='': it has to be a dotted key"),
        ("a.toml", {"table": 5}, "table=5: it has to be a dotted key"),
        ("a.toml", {"table": "a..b"}, "table='a..b': a part of the dotted key is empty"),
        ("a.toml", {"table": '"a'}, "table='\"a': a quotation has no end"),
        ("a.toml", {"table": '"a"b'}, "after a quotation only a dot can stand"),
        ("a.toml", {"nested": True}, "nested=True is for INI files, and the format is toml"),
        ("a.jsonc", {"interpolate": True}, "interpolate=True is for INI files, and the format is jsonc"),
    ],
)
def test_options_that_mean_nothing_are_refused_at_once(name, options, says):
    with pytest.raises(ValueError, match=re.escape(says)):
        File(name, **options)
