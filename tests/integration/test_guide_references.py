"""The guide's page on references: its files, as written, under a real owner; and a gateway's settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from confcast import ConfigLoader, File
from confcast.master.embedded import EmbeddedManager
from tests.support.snippets import GUIDE, files, snippets
from tests.support.waiting import eventually, history_of

PAGE = files(GUIDE / "references.md")
SENTINEL = "hunter2"


class Settings(BaseModel, frozen=True):
    greeting: str = "x"
    workers: int = 1
    password: SecretStr = SecretStr("")
    price: str = ""
    limits: dict[str, int] = {}


class Model(BaseModel, frozen=True):
    name: str
    api_key: SecretStr
    rpm: int = 1


class Gateway(BaseModel, frozen=True):
    master_key: SecretStr
    models: list[Model] = []


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nothing_is_left: None) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secrets").mkdir()
    for name, text in PAGE.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_the_page_s_files_are_resolved_and_a_rotated_secret_is_a_version(folder, monkeypatch):
    monkeypatch.setenv("WORKERS", "8")
    monkeypatch.delenv("SITE", raising=False)
    (folder / "secrets/db").write_text("one\n")
    namespace: dict[str, Any] = {}
    exec(PAGE["sources.py"], namespace)
    found = namespace["loader"].sources
    assert found == (File("app.toml", references="env"),)
    with EmbeddedManager(ConfigLoader(Settings, *found), probation=0) as manager:
        first = manager.current
        assert (first.greeting, first.workers, first.price) == ("hello from nowhere", 8, "5 $")
        assert manager.explain("workers").origin == "app.toml:2:11, from environment variable WORKERS"
        (folder / "secrets/db").write_text("two\n")
        eventually(lambda: manager.current.password.get_secret_value() == "two", "the rotated secret")


def test_the_page_s_tags_give_the_same(folder, monkeypatch):
    monkeypatch.setenv("WORKERS", "8")
    (folder / "secrets/db").write_text("one\n")
    (folder / "limits.json").write_text('{"a": 1}')
    (text,) = (each.text for each in snippets(GUIDE / "references.md") if "!env" in each.text)
    (folder / "app.yaml").write_text(text)
    config = ConfigLoader(Settings, File("app.yaml", tags=("env", "file", "include"))).load().config
    assert (config.workers, config.password.get_secret_value(), config.limits) == (8, "one", {"a": 1})


GATEWAY = """\
master_key: ${MASTER_KEY}
models:
- {name: gpt, api_key: '${file:secrets/openai}', rpm: 5}
- {name: other, api_key: '${OTHER_KEY}', rpm: '${RPM:-7}'}
"""


def test_a_gateway_s_keys_from_variables_and_files_are_followed_and_never_shown(folder, monkeypatch, caplog):
    monkeypatch.setenv("MASTER_KEY", "sk-env")
    monkeypatch.setenv("OTHER_KEY", f"{SENTINEL}-env")
    (folder / "app.yaml").write_text(GATEWAY)
    (folder / "secrets/openai").write_text("k1\n")
    with EmbeddedManager(ConfigLoader(Gateway, File("app.yaml", references="env")), probation=0) as manager:
        first = manager.current
        assert first.master_key.get_secret_value() == "sk-env"
        assert [(each.api_key.get_secret_value(), each.rpm) for each in first.models] == [
            ("k1", 5),
            (f"{SENTINEL}-env", 7),
        ]
        (folder / "secrets/openai").write_text(f"{SENTINEL}-2\n")
        eventually(lambda: manager.current.models[0].api_key.get_secret_value() == f"{SENTINEL}-2", "the new key")

        (folder / "secrets/openai").rename(folder / "secrets/away")
        eventually(lambda: history_of(manager)[0].problems, "a missing file is refused")
        assert history_of(manager)[0].problems[0].location == "app.yaml:3:24"
        (folder / "secrets/away").rename(folder / "secrets/openai")

        eventually(lambda: not history_of(manager)[0].problems, "it is back")
        assert SENTINEL not in repr([manager.explain(f"models.{n}.api_key") for n in (0, 1)])
        (folder / "app.yaml").write_text(GATEWAY.replace("rpm: 5", "rpm: '${OTHER_KEY}'"))
        eventually(lambda: any(each.key.endswith("rpm") for each in history_of(manager)[0].problems), "no number")
        assert SENTINEL not in repr(history_of(manager)) + caplog.text
