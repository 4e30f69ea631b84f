"""What workers refuse, as the outcome reports it: the key at its place in the sources, each problem once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, SecretStr

from confcast import Candidate, ConfigLoader, Environment, Problem
from confcast.config.sources.layer import Layer
from confcast.owner.core.proposal import grouped
from confcast.owner.loop import source_positions
from confcast.owner.loop.source_positions import placed


class Server(BaseModel):
    """An item of a list."""

    host: str


class Limits(BaseModel):
    """A table."""

    high: int = 10


class Settings(BaseModel):
    """What is loaded."""

    greeting: str = "hello"
    unset: str = "default"
    servers: list[Server] = []
    limits: Limits = Limits()
    port: int = 1
    over: int = 1
    tokens: dict[SecretStr, int] = {}


TEXT = """\
greeting = "hi"
servers = [{host = "a"}, {host = "b"}]
tokens = {hunter2 = 1}
[limits]
high = 20
"""


@pytest.fixture
def candidate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Candidate[Settings]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("APP_PORT", "7")
    Path("app.toml").write_text(TEXT)
    loader: ConfigLoader[Settings] = ConfigLoader(Settings, "app.toml", Environment("APP_"), overrides={"over": 2})
    return loader.load()


@pytest.mark.parametrize(
    ("key", "place"),
    [
        ("greeting", "app.toml:1:12"),
        ("limits.high", "app.toml:5:8"),
        ("limits", "app.toml:4:2"),
        ("servers.1.host", "app.toml:2:34"),
        ("port", "environment variable APP_PORT"),
        ("over", "override"),
        ("unset", "default"),
        ("limits.low", "app.toml:4:2"),
        ("limits.low.lower", "app.toml:4:2"),
        ("tokens.**********", "app.toml:3:1"),
        ("nothing of it", ""),
        ("", ""),
    ],
)
def test_a_key_has_its_place_in_the_sources_or_that_of_the_nearest_table(
    candidate: Candidate[Settings], key: str, place: str
) -> None:
    assert placed(candidate, (Problem(key, "no"),)) == (Problem(key, "no", place),)


def test_a_place_that_was_given_stays(candidate: Candidate[Settings]) -> None:
    problem = Problem("greeting", "no", "elsewhere.toml:1:1")
    assert placed(candidate, (problem,)) == (problem,)


def test_of_a_large_configuration_the_loop_waits_for_no_positions(
    candidate: Candidate[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_positions, "_LARGE", 10)
    assert placed(candidate, (Problem("greeting", "no"),)) == (Problem("greeting", "no"),)


def test_a_source_that_can_t_give_places_costs_the_places_only(caplog: pytest.LogCaptureFixture) -> None:
    class Lost:
        def read(self) -> Layer:
            def places() -> Any:
                raise RuntimeError("hunter2")

            return Layer("lost", {"greeting": "hi"}, places=places)

    candidate: Candidate[Settings] = ConfigLoader(Settings, Lost()).load()
    assert placed(candidate, (Problem("greeting", "no"),)) == (Problem("greeting", "no"),)
    assert [record.message for record in caplog.records] == [
        "where the refused keys stand can't be told: RuntimeError",
    ]


# ---- each once


IMPOLITE = Problem("greeting", "judge: impolite", "app.toml:1:12")
FULL = Problem("", "judge: no room")


def test_what_several_workers_say_is_reported_once_with_the_first_of_them() -> None:
    said = [(17, IMPOLITE), (17, FULL), (18, IMPOLITE), (19, IMPOLITE), (19, IMPOLITE), (20, IMPOLITE)]
    assert grouped(said) == (
        Problem("greeting", "judge: impolite (worker 17 and 3 more)", "app.toml:1:12"),
        Problem("", "judge: no room", "worker 17"),
    )


def test_what_has_no_place_has_the_workers_in_its_stead() -> None:
    assert grouped([(17, FULL), (18, FULL)]) == (Problem("", "judge: no room", "worker 17 and 1 more"),)
    assert grouped([(17, FULL), (18, Problem("", "judge: other"))]) == (
        Problem("", "judge: no room", "worker 17"),
        Problem("", "judge: other", "worker 18"),
    )
