"""All keys of what runs: with their origins, masked, bounded, and whatever the sources say."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from pydantic import BaseModel, Field, SecretStr

from confcast import ConfigError, ConfigLoader, NeedsRestart, Secret
from confcast.config.candidate import Candidate
from confcast.errors import Problem
from confcast.owner.core.operator_state import Hold
from confcast.owner.loop import running_configuration
from confcast.owner.loop.questions import OpenQuestion, answer_to
from confcast.wire.messages import ConfigRequest, Configuration, ValueInfo, Who


class Inner(BaseModel):
    """A table."""

    host: str = Field("nowhere", description="where it is")
    port: int = 80


class Main(BaseModel):
    """A table with what is bound once."""

    host: str = Field("nowhere", description="where it is")
    port: Annotated[int, NeedsRestart("it is bound once")] = 80


class Shop(BaseModel):
    """A configuration."""

    name: str
    password: SecretStr = SecretStr("")
    tokens: dict[str, Annotated[str, Secret]] = {}
    hosts: dict[str, Inner] = {}
    main: Main = Main()


TEXT = """\
name = "a"
password = "hunter2-hunter2"
[tokens]
one = "hunter2-hunter2"
[hosts.x]
host = "h"
"""


class Owner:
    """What an owner has for an answer."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "shop.toml"
        self.file.write_text(TEXT)
        self.loader: ConfigLoader[Shop] = ConfigLoader(Shop, self.file)
        self.running = self.loader.load()
        self.contents: dict[int | str, bytes] = {5: self.running.payload}
        self.hold: Hold | None = None
        self.values = self.loader._given(self.loader._read(), self.running)

    def ask(self, key: str = "", text: str = "") -> Configuration:
        how: dict[str, Any] = {"contents": self.contents, "running": self.running.payload, "hold": self.hold}
        ask = OpenQuestion(1, ConfigRequest(6, key, text), version=5, **how)
        answer = answer_to(ask, self.loader, self.load, self.values)
        assert isinstance(answer, Configuration)
        return answer

    def load(self) -> Candidate[Shop]:
        return self.loader.load()

    def known(self, key: str = "", text: str = "") -> dict[str, ValueInfo]:
        return {each.key: each for each in self.ask(key, text).values}


@pytest.fixture
def owner(tmp_path: Path) -> Owner:
    return Owner(tmp_path)


def test_each_key_has_its_value_its_origin_and_what_the_schema_says(owner: Owner) -> None:
    known = owner.known()
    assert list(known) == [
        *("name", "password", "tokens.one", "hosts.x.host", "hosts.x.port", "main.host", "main.port"),
    ]
    assert known["hosts.x.host"] == ValueInfo(
        key="hosts.x.host",
        value="h",
        origin=f"{owner.file}:6:8",
        type="str",
        description="where it is",
        default="nowhere",
        changed_in=5,
    )
    assert (known["main.port"].value, known["main.port"].origin, known["main.port"].default) == (80, "default", 80)
    assert owner.ask().version == 5


def test_secrets_are_masked_and_marked(owner: Owner) -> None:
    answer = owner.ask()
    assert b"hunter2" not in msgspec.msgpack.encode(answer)
    assert {each.key for each in answer.values if each.secret} == {"password", "tokens.one"}


@pytest.mark.parametrize(
    ("key", "text", "found"),
    [
        ("hosts", "", ["hosts.x.host", "hosts.x.port"]),
        ("hosts.x.host", "", ["hosts.x.host"]),
        ("", "WHERE it", ["hosts.x.host", "main.host"]),
        ("hosts", "where", ["hosts.x.host"]),
        ("", "shop.toml:1:", ["name"]),
        ("", "hunter2", []),
        ("", "no such text", []),
    ],
)
def test_a_table_and_a_text_choose_keys(owner: Owner, key: str, text: str, found: list[str]) -> None:
    assert list(owner.known(key, text)) == found


def test_a_key_that_does_not_exist_is_refused_with_the_most_similar_one(owner: Owner) -> None:
    with pytest.raises(ConfigError, match="nothing runs under this key; did you mean name"):
        owner.ask("nmae")


def test_no_more_than_so_many_are_told_and_the_others_counted(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running_configuration, "MOST", 3)
    answer = owner.ask()
    assert (len(answer.values), answer.left_out) == (3, 4)


def test_a_value_that_the_sources_do_not_have_any_more_is_that_of_the_version(owner: Owner) -> None:
    owner.file.write_text(TEXT.replace('"a"', '"b"'))
    known = owner.known()
    assert (known["name"].value, known["name"].origin) == ("a", "version 5: the sources say otherwise by now")
    assert known["hosts.x.host"].origin == f"{owner.file}:6:8"


def test_refused_sources_keep_nobody_from_an_answer(owner: Owner) -> None:
    owner.file.write_text("name = 1\n")
    answer = owner.ask()
    assert [each.key for each in answer.problems] == ["name"]
    assert [each.value for each in answer.values][:2] == ["a", "**********"]
    assert {each.origin for each in answer.values} <= {"version 5", "default"}


def test_what_is_held_is_told_by_who_has_put_it_back(owner: Owner) -> None:
    owner.file.write_text(TEXT.replace('"a"', '"b"'))
    owner.hold = Hold(3, 0.0, Who(1000, 7, "confcast rollback"))
    known = owner.known()
    assert known["name"].value == "a"
    assert known["name"].origin.startswith("version 3, put back by uid 1000 (confcast rollback)")


def test_what_waits_for_a_restart_is_told_beside_what_runs(owner: Owner) -> None:
    owner.file.write_text(TEXT + "[main]\nport = 90\n")
    port = owner.known()["main.port"]
    assert (port.value, port.pending, port.origin) == (80, 90, f"{owner.file}:8:8")


def test_since_when_a_value_runs_is_the_oldest_version_that_has_it_without_a_break(owner: Owner) -> None:
    def payload(text: str) -> bytes:
        owner.file.write_text(text)
        return owner.loader.load().payload

    other = payload(TEXT.replace('"h"', '"i"'))
    owner.contents = {5: owner.running.payload, 4: owner.running.payload, 3: other, 2: owner.running.payload}
    owner.file.write_text(TEXT)
    known = owner.known()
    assert known["hosts.x.host"].changed_in == 4
    assert known["name"].changed_in == 2


def test_a_refusal_has_no_keys(owner: Owner) -> None:
    from confcast.owner.loop.questions import refusal

    assert refusal(ConfigRequest(7), "no") == Configuration(7, problems=(Problem("", "no"),))
