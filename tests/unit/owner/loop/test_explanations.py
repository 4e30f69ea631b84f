"""What is explained while a version is held, where the journal has not what that version was made of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from confcast import ConfigError, ConfigLoader, Shadowed, Who
from confcast.config.plain_bytes import encode_data
from confcast.owner.core.operator_state import Hold
from confcast.owner.loop.explanations import explanation
from confcast.owner.loop.open_question import OpenQuestion
from confcast.wire.messages import ExplainRequest

HOLD = Hold(3, 1_800_000_000.0, Who(1000, 7, "confcast rollback"), "OOM")


class Settings(BaseModel):
    size: int = 5
    token: SecretStr = SecretStr("")
    levels: dict[str, int] = {}


@pytest.fixture
def loader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ConfigLoader[Settings]:
    monkeypatch.chdir(tmp_path)
    Path("app.toml").write_text("size = 9\n[levels]\nnew = 1\n")
    return ConfigLoader(Settings, "app.toml")


def asked(loader: ConfigLoader[Any], key: str, running: Settings) -> OpenQuestion:
    content = loader._codec.encode(running)
    return OpenQuestion(1, ExplainRequest(1, key), {4: content}, b"", content, HOLD)


@pytest.mark.parametrize("values", [b"", encode_data({"size": "many"})], ids=["not known", "refused by now"])
def test_the_value_that_runs_is_told_all_the_same(loader: ConfigLoader[Settings], values: bytes) -> None:
    ask = asked(loader, "size", Settings(size=4))
    found = explanation("size", ask, loader, loader.load, values)
    assert (found.value, found.since_version, found.waiting) == (4, 4, Shadowed("app.toml:1:8", 9))
    assert found.origin.startswith("version 3, put back by uid 1000 (confcast rollback), ")
    found = explanation("levels.new", asked(loader, "levels.new", Settings()), loader, loader.load, values)
    assert (found.value, found.waiting) == (None, Shadowed("app.toml:3:7", 1))


def test_a_secret_of_what_runs_is_masked(loader: ConfigLoader[Settings]) -> None:
    ask = asked(loader, "token", Settings(token=SecretStr("hunter2")))
    assert explanation("token", ask, loader, loader.load, b"").value == "**********"


def test_where_nothing_at_all_is_known_the_sources_refusal_is_the_answer(loader: ConfigLoader[Settings]) -> None:
    Path("app.toml").write_text('size = "many"')
    with pytest.raises(ConfigError, match="size"):
        explanation("size", asked(loader, "size", Settings()), loader, loader.load, b"")
