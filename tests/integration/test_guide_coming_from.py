"""The guide's page on coming from other libraries: its files run, and each line of its tables is tried."""

from __future__ import annotations

import ast
import datetime as dt
import enum
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import pytest
from pydantic import AnyUrl, BaseModel, Field, SecretStr

from confcast import ConfigError, ConfigLoader, Dotenv, Environment, File, Files, Replica, SecretsDir
from tests.support.snippets import GUIDE, ROOT, commands, snippets, write_files

PAGE = GUIDE / "coming_from.md"
_DEADLINE = 60
_IN_THE_CLASS = "tests/unit/config/base_settings/"


class Level(enum.Enum):
    LOW = "low"


class Database(BaseModel):
    host: str = "localhost"
    port: int = 5432


class Settings(BaseModel):
    """What the lines load."""

    name: str = "default"
    url: str = ""
    port: int = Field(80, ge=1)
    ttl: dt.timedelta = dt.timedelta(0)
    hosts: list[str] = []
    limits: dict[str, int] = {}
    db: Database = Database()
    password: SecretStr = SecretStr("")
    level: Level = Level.LOW
    word: Literal["low", "high"] = "low"
    maybe: int | None = 1
    path: Path = Path()
    site: AnyUrl | None = None
    id: UUID | None = None
    day: dt.date | None = None
    at: dt.datetime | None = None


def load(*sources: Any, **options: Any) -> Settings:
    return ConfigLoader(Settings, *sources, **options).load().config


def put(name: str, text: str) -> str:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(text)
    return name


def with_variables(**variables: str) -> Environment:
    os.environ.update(variables)
    return Environment("APP_")


def nested() -> None:
    assert load(with_variables(APP_DB__HOST="h")).db == Database(host="h")


def other_name() -> None:
    os.environ["DATABASE_URL"] = "u"
    assert load(Environment(names={"DATABASE_URL": "url"})).url == "u"


def dotenv() -> None:
    put(".env", "APP_NAME=e\n")
    assert load(Dotenv(".env", "APP_")).name == "e"
    assert load(Dotenv("no.env", "APP_", optional=True)).name == "default"
    assert "APP_NAME" not in os.environ


def two_dotenvs() -> None:
    put(".env", "APP_NAME=e\nAPP_PORT=1\n")
    put(".env.local", "APP_NAME=l\n")
    found = load(Dotenv(".env", "APP_"), Dotenv(".env.local", "APP_"))
    assert (found.name, found.port) == ("l", 1)


def secrets_dir() -> None:
    put("secrets/password", "hush\n")
    assert load(SecretsDir("secrets")).password.get_secret_value() == "hush"


def three_formats() -> None:
    put("app.toml", "name = 't'")
    put("app.yaml", "port: 2")
    put("app.json", '{"db": {"port": 3}}')
    found = load("app.toml", "app.yaml", "app.json")
    assert (found.name, found.port, found.db.port) == ("t", 2, 3)


def pyproject() -> None:
    put("pyproject.toml", "[tool.app]\nname = 'p'\n[tool.other]\nx = 1\n")
    assert load(File("pyproject.toml", table="tool.app")).name == "p"


def order() -> None:
    put("low.toml", "name = 'low'\nport = 1\n[db]\nhost = 'low'\n")
    put("high.toml", "name = 'high'\n[db]\nport = 2\n")
    found = load("low.toml", "high.toml")
    assert (found.name, found.port, found.db) == ("high", 1, Database(host="low", port=2))


def merged() -> None:
    put("low.toml", "hosts = ['a', 'b']\n[db]\nhost = 'low'\n[limits]\na = 1\n")
    put("high.toml", "hosts = ['c']\n[db]\nport = 2\n[limits]\nb = 2\n")
    found = load("low.toml", "high.toml")
    assert (found.hosts, found.db, found.limits) == (["c"], Database(host="low", port=2), {"a": 1, "b": 2})


def commas() -> None:
    os.environ["APP_HOSTS"] = "a, b"
    assert load(Environment("APP_", lists="comma")).hosts == ["a", "b"]


def null() -> None:
    assert load(with_variables(APP_MAYBE="null")).maybe is None


def empty() -> None:
    assert load(with_variables(APP_NAME="")).name == ""


def other_programs() -> None:
    os.environ |= {"OTHER": "1", "APP_OTHER": "2"}
    assert load(Environment("APP_", unknown="warn")).name == "default"
    with pytest.raises(ConfigError, match="no such key"):
        load(Environment("APP_"))


def partial_defaults() -> None:
    class Partial(BaseModel):
        db: Database = Database(host="field", port=1)

    put("app.toml", "[db]\nport = 2\n")
    assert ConfigLoader(Partial, "app.toml").load().config.db == Database(host="localhost", port=2)


def overrides() -> None:
    assert load(overrides={"port": 1}).port == 1


def overridden() -> None:
    settings = Replica(Settings, name="coming_from")
    with settings.override(Settings(port=1)):
        assert settings.current.port == 1


def optional_file() -> None:
    put("settings.toml", "name = 's'")
    assert load("settings.toml", File(".secrets.toml", optional=True)).name == "s"
    put(".secrets.toml", "password = 'hush'")
    assert load("settings.toml", File(".secrets.toml", optional=True)).password.get_secret_value() == "hush"


def attributes() -> None:
    assert load().db.host == "localhost"
    put("app.toml", "nmae = 1")
    with pytest.raises(ConfigError, match="did you mean 'name'"):
        load("app.toml")


def dynaconf_prefix() -> None:
    os.environ["DYNACONF_DB__HOST"] = "h"
    assert load(Environment("DYNACONF_")).db.host == "h"


def types() -> None:
    found = load(with_variables(APP_PORT="8", APP_LIMITS='{"a": 1}', APP_MAYBE="2"))
    assert (found.port, found.limits, found.maybe) == (8, {"a": 1}, 2)


def references() -> None:
    put("settings.toml", "name = '${COMING_FROM_HOST}'")
    os.environ["COMING_FROM_HOST"] = "h"
    assert load(File("settings.toml", references="env")).name == "h"


def environments() -> None:
    put("settings.toml", "[default]\nname = 'd'\nport = 1\n[production]\nport = 2\n")
    found = load(File("settings.toml", table="default"), File("settings.toml", table="production"))
    assert (found.name, found.port) == ("d", 2)


def folder() -> None:
    put("conf.d/a.toml", "name = 'a'")
    put("conf.d/b.toml", "name = 'b'")
    assert load(Files("conf.d/*.toml")).name == "b"


def includes() -> None:
    put("settings.toml", "dynaconf_include = ['other.toml']\nname = 'own'\n")
    put("other.toml", "port = 7")
    found = load(File("settings.toml", includes="dynaconf_include"))
    assert (found.name, found.port) == ("own", 7)


def bounds() -> None:
    put("app.toml", "port = 0\nlevel = 'no'\n")
    with pytest.raises(ConfigError) as caught:
        load("app.toml")
    assert [problem.key for problem in caught.value.problems] == ["port", "level"]


def masked() -> None:
    put(".secrets.toml", "password = 'hush'")
    assert "hush" not in repr(load(".secrets.toml"))


def texts() -> None:
    text = "00000000-0000-0000-0000-000000000001"
    found = load(
        with_variables(
            APP_SITE="https://a.example", APP_PATH="/x", APP_ID=text, APP_DAY="2026-01-02", APP_AT="2026-01-02T03:04:05"
        )
    )
    assert (str(found.site), found.path, str(found.id)) == ("https://a.example/", Path("/x"), text)
    assert (found.day, found.at) == (dt.date(2026, 1, 2), dt.datetime(2026, 1, 2, 3, 4, 5))


def durations() -> None:
    for text in ("PT60S", "00:01:00"):
        assert load(with_variables(APP_TTL=text)).ttl == dt.timedelta(seconds=60)


def choices() -> None:
    found = load(with_variables(APP_LEVEL="low", APP_WORD="high"))
    assert (found.level, found.word) == (Level.LOW, "high")


def file_of_a_secret() -> None:
    os.environ["APP_PASSWORD_FILE"] = put("password", "hush\n")
    assert load(Environment("APP_", files=True)).password.get_secret_value() == "hush"


def interpolated() -> None:
    put(".env", "APP_URL=https://${APP_NAME}\nAPP_NAME=n\n")
    os.environ["APP_NAME"] = "outer"
    assert load(Dotenv(".env", "APP_", interpolate=True)).url == "https://outer"


def list_of_json() -> None:
    assert load(with_variables(APP_LIMITS='{"a": 1}')).limits == {"a": 1}


FOLLOWED = "tests/integration/test_base_settings.py::test_each_of_its_sources_is_followed_and_no_worker_reads_them"
SET = "tests/integration/test_base_settings.py::test_a_value_is_set_and_rolled_back_without_reading"

# By the section and the first cell of a line: what tries it, or the test that does.
TRIED: dict[str, dict[str, Callable[[], None] | str]] = {
    "A `BaseSettings` class": {
        "`cli_parse_args=True`, a `CliSettingsSource`": (
            _IN_THE_CLASS + "test_faults.py::test_a_command_line_is_refused_with_what_to_do"
        ),
        "an `__init__` of its own": _IN_THE_CLASS
        + "test_faults.py::test_a_constructor_of_the_user_s_is_refused_with_what_to_do",
        "an `.env` file that is a pipe, above 16 MiB, or still being written": (
            _IN_THE_CLASS + "test_faults.py::test_what_is_too_large_is_refused"
        ),
        "`db: Db = Db()`, where `Db` is a `BaseSettings`": _IN_THE_CLASS
        + "test_nested.py::test_a_default_that_was_made_at_the_import_is_said_since_no_reload_reads_it",
        "`db: Db = Field(default_factory=Db)`": (
            _IN_THE_CLASS + "test_nested.py::test_its_files_are_read_at_each_load_and_watched"
        ),
        "a field of a nested model under its name in one source, and under its alias in another": _IN_THE_CLASS
        + "test_source.py::test_a_value_that_a_lower_source_would_win_by_its_alias_is_refused_with_both_places",
        "one field under two of its names, in a class that does not ignore others": _IN_THE_CLASS
        + "test_source.py::test_of_two_keys_of_one_field_in_two_sources_that_counts_which_pydantic_prefers",
    },
    "From pydantic-settings, name by name": {
        "`class Settings(BaseSettings)`": "tests/unit/config/schema/test_kinds.py"
        "::test_each_kind_of_schema_is_recognised",
        "`settings = Settings()`": overridden,
        "`settings.__init__()`, `settings_clear_cache()`": FOLLOWED,
        '`env_prefix="APP_"`, `env_nested_delimiter="__"`': nested,
        '`validation_alias="DATABASE_URL"`': other_name,
        '`env_file=".env"`': dotenv,
        '`env_file=(".env", ".env.local")`': two_dotenvs,
        '`secrets_dir="/run/secrets"`': secrets_dir,
        "`TomlConfigSettingsSource`, YAML, JSON": three_formats,
        '`pyproject_toml_table_header=("tool", "app")`': pyproject,
        "`settings_customise_sources`": order,
        "`deep_update` of nested tables": merged,
        "`NoDecode` and a validator for `a,b`": commas,
        '`env_parse_none_str="null"`': null,
        "`env_ignore_empty=True`": empty,
        '`extra="ignore"` for other programs\' variables': other_programs,
        "`nested_model_default_partial_update=True`": partial_defaults,
        "`cli_parse_args=True`": overrides,
        "`Settings(port=1)` in a test": overridden,
    },
    "From dynaconf, name by name": {
        '`Dynaconf(settings_files=["settings.toml", ".secrets.toml"])`': optional_file,
        '`settings.DB.HOST`, `settings["db.host"]`, `settings.get("x", 1)`': attributes,
        '`envvar_prefix="DYNACONF"`, `DYNACONF_DB__HOST`': dynaconf_prefix,
        "`@int`, `@float`, `@bool`, `@json` in a value": types,
        "`@format {env[HOST]}`, `@jinja {{ env.HOST }}`": references,
        "`environments=True`, `[default]`, `[production]`": environments,
        '`includes=["conf.d/*.toml"]`': folder,
        '`dynaconf_include = ["other.toml"]` in a file': includes,
        "`merge_enabled=True`, `dynaconf_merge`": merged,
        "`load_dotenv=True`": dotenv,
        "`.secrets.toml`": masked,
        '`Validator("port", gte=1)`': bounds,
        '`settings.set("x", 1)`': SET,
        "`settings.reload()`, `fresh`": FOLLOWED,
    },
    "From environs, name by name": {
        "`env.read_env()`": dotenv,
        '`with env.prefixed("APP_")`, `env.str("APP_NAME")`': nested,
        '`env.int("PORT", 80)`, `env.bool`, `env.float`, `env.decimal`': types,
        '`env.list("HOSTS")`': commas,
        '`env.json("LIMITS")`, `env.dict`': list_of_json,
        "`env.url`, `env.path`, `env.uuid`, `env.date`, `env.datetime`": texts,
        '`env.timedelta("TTL")`, in seconds': durations,
        '`env.enum("LEVEL", enum=Level)`, `validate=OneOf([…])`': choices,
        "`validate=Range(min=1)`": bounds,
        '`env("DATABASE_URL")`, without the prefix': other_name,
        "`FileAwareEnv`, `PASSWORD_FILE`": file_of_a_secret,
        "`Env(expand_vars=True)`, `${HOST}`": interpolated,
        "`env.seal()`, `eager=False`": bounds,
        '`os.environ["X"] = …` and a second read': FOLLOWED,
    },
}
LINES = [(section, first) for section, lines in TRIED.items() for first in lines]


def shown_in(section: str) -> list[str]:
    """The first cell of each line of a section's table."""
    text = PAGE.read_text(encoding="utf-8").partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [re.split(r" \| ", line.removeprefix("| "))[0] for line in lines[2:]]


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A folder of its own, and an environment that is put back; the value is that of a reader's shell."""
    monkeypatch.chdir(tmp_path)
    found = {name: text for name, text in os.environ.items() if not name.upper().startswith("SHOP_")}
    return {**found, "PATH": f"{Path(sys.executable).parent}:{found['PATH']}"}


@pytest.mark.parametrize("section", TRIED)
def test_each_line_of_a_table_is_tried(section: str) -> None:
    assert shown_in(section) == list(TRIED[section])


@pytest.mark.parametrize(("section", "first"), LINES)
def test_a_line_is_so(section: str, first: str, environment: dict[str, str]) -> None:
    tried = TRIED[section][first]
    if isinstance(tried, str):
        file, _, name = tried.partition("::")
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        return
    before = dict(os.environ)
    try:
        tried()
    finally:
        os.environ.clear()
        os.environ.update(before)


def test_the_page_shows_what_is_loaded_and_its_unit_test_passes(tmp_path: Path, environment: dict[str, str]) -> None:
    write_files(PAGE, tmp_path)
    found = snippets(PAGE)
    (tmp_path / ".env").write_text(next(each.text for each in found if each.language == "dotenv"))
    script = "set -e\n" + "\n".join(commands(PAGE))
    ran = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, text=True, capture_output=True, timeout=_DEADLINE
    )
    (shown,) = [each.text for each in found if not each.language]
    assert ran.stdout == shown, ran.stderr
    assert "hunter2" not in ran.stderr
    test = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_shop.py"]
    ran = subprocess.run(test, cwd=tmp_path, env=environment, text=True, capture_output=True, timeout=_DEADLINE)
    assert "1 passed" in ran.stdout, ran.stdout
