#!/usr/bin/env bash
# pydantic-settings 2.16.3 with pydantic 2.14.4: a file beats a variable of the environment, where the file has the alias.
#
# Sources have an order, and the environment is first here: `APP_DB__PORT=2` is to override `port: 1` of a YAML file, and
# it does. If the field of the nested model has an alias, and may be set by its name too (populate_by_name), both
# spellings are taken by both sources. One would guess that the order of the sources decides all the same. The tables
# are merged by the text of their keys, so that both keys reach pydantic, which prefers the alias: of two sources the
# lower one counts, without a word, whenever it is the one that has the alias. With the spellings exchanged the
# environment counts. Whoever overrides a value on one machine by a variable sees no effect and no error. A class with
# extra="forbid" refuses both keys. One way around: name fields in variables by their aliases only.
#
# Output seen:
#   environment APP_DB__URL, file url: environment
#   environment APP_DB__DSN, file url: environment
#   environment APP_DB__DSN, file dsn: environment
#   environment APP_DB__URL, file dsn: file
set -euo pipefail
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
python3 -m venv "$room/venv"
"$room/venv/bin/pip" install --quiet "pydantic==2.14.4" "pydantic-settings==2.16.3" "PyYAML==6.0.4"
cat > "$room/try.py" <<'PYTHON'
import os
from pathlib import Path

from pydantic import BaseModel, Field
from pydantic_settings import BaseSettings, SettingsConfigDict, YamlConfigSettingsSource


class Database(BaseModel, populate_by_name=True):
    url: str = Field("default", alias="dsn")


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="APP_", env_nested_delimiter="__", yaml_file="app.yaml")
    db: Database = Database()

    @classmethod
    def settings_customise_sources(cls, settings_cls, env_settings, **others):
        return env_settings, YamlConfigSettingsSource(settings_cls)


def winner(variable, key):
    Path("app.yaml").write_text(f"db:\n  {key}: file\n")
    os.environ[variable] = "environment"
    try:
        return Settings().db.url
    finally:
        del os.environ[variable]


found = []
for variable, key in (("APP_DB__URL", "url"), ("APP_DB__DSN", "url"), ("APP_DB__DSN", "dsn"), ("APP_DB__URL", "dsn")):
    found.append(winner(variable, key))
    print(f"environment {variable}, file {key}: {found[-1]}")
assert found == ["environment", "environment", "environment", "file"]
PYTHON
cd "$room"
"$room/venv/bin/python" try.py
