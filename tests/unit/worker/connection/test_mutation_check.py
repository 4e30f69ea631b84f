"""`CONFCAST_DEBUG`: who changed the configuration in place is said once a swap, by key, and nothing is put right."""

from __future__ import annotations

import dataclasses
import logging
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, SecretStr

from confcast import Secret
from confcast.config.codec import Codec, digest
from confcast.worker.connection.mutation_check import Guard, guard


@dataclasses.dataclass
class Login:
    user: str = "u"
    token: Annotated[str, Secret] = "first-token"


class Settings(BaseModel):
    number: int = 1
    password: SecretStr = SecretStr("first-password")
    login: Login = Login()
    table: dict[str, list[int]] = {}
    anything: Any = None


CODEC = Codec(Settings)


@pytest.fixture
def watching() -> Guard:
    return Guard("app", CODEC)


def comes(watching: Guard, config: Settings) -> Settings:
    """As a swap has it come: decoded from what the owner sent."""
    payload = CODEC.encode(config)
    held = CODEC.decode(payload)
    watching.begin(held, digest(payload))
    return held


@pytest.mark.parametrize(("value", "wanted"), [(None, False), ("", False), ("0", False), ("1", True), ("yes", True)])
def test_the_environment_decides(monkeypatch: pytest.MonkeyPatch, value: str | None, wanted: bool) -> None:
    monkeypatch.delenv("CONFCAST_DEBUG", raising=False)
    if value is not None:
        monkeypatch.setenv("CONFCAST_DEBUG", value)
    assert (guard("app", CODEC) is not None) is wanted


def test_what_was_changed_in_place_is_named_with_its_secrets_masked(
    watching: Guard, caplog: pytest.LogCaptureFixture
) -> None:
    held = comes(watching, Settings(table={"a": [1]}))
    held.number = 2
    held.login.token = "second-token"
    held.password = SecretStr("second-password")
    held.table["a"].append(5)
    watching.end()
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("confcast.worker.debug", logging.WARNING)
    assert record.getMessage().startswith(
        "configuration 'app' was changed in place in this process: number (1 became 2), "
        "password ('**********' became '**********'), login.token ('**********' became '**********'), "
        "table.a ([1] became [1, 5]). Nobody validated that"
    )
    assert (held.number, held.login.token) == (2, "second-token")


def test_each_configuration_is_judged_by_what_it_was_when_it_came(
    watching: Guard, caplog: pytest.LogCaptureFixture
) -> None:
    held = comes(watching, Settings())
    held.number = 2
    watching.end()
    comes(watching, Settings(number=2))
    watching.end()
    assert len(caplog.records) == 1


def test_nothing_is_said_of_what_is_as_it_came_or_equals_it(watching: Guard, caplog: pytest.LogCaptureFixture) -> None:
    watching.end()  # none has come yet
    held = comes(watching, Settings())
    held.number = 1  # changes model_fields_set, and no value
    watching.end()
    assert caplog.records == []


def test_what_can_t_be_carried_is_named_by_its_path(watching: Guard, caplog: pytest.LogCaptureFixture) -> None:
    held = comes(watching, Settings())
    held.anything = [1, lambda: 1]
    watching.end()
    assert "in this process: anything[1] (function can't be carried" in caplog.text


def test_a_change_before_it_was_in_use_is_reported_as_such(watching: Guard, caplog: pytest.LogCaptureFixture) -> None:
    payload = CODEC.encode(Settings())
    held = CODEC.decode(payload)
    held.number = 2  # in a precommit function, say
    watching.begin(held, digest(payload))
    assert "in this process: before it was in use: by a precommit function, in the parent" in caplog.text
    watching.end()
    assert len(caplog.records) == 1


class Frozen(BaseModel, frozen=True):
    """A schema of which unchanged parts are shared by two versions."""

    words: list[str] = []
    text: str = ""


def test_a_change_in_what_the_next_version_shares_is_named_and_told_of_that_version_too(
    caplog: pytest.LogCaptureFixture,
) -> None:
    codec = Codec(Frozen)
    watching = Guard("app", codec)
    one, two = (codec.encode(Frozen(words=["x" * 3000], text=text)) for text in ("a", "b"))
    held = codec.decode(one)
    watching.begin(held, digest(one))
    found = codec.patch(codec.decode(one), one, two)
    assert found is not None
    held.words[0] = "y"
    watching.end()
    watching.begin(codec.patched(held, found.patch), digest(two))
    first, second = (record.getMessage() for record in caplog.records)
    assert "in this process: words " in first
    assert "before it was in use: " in second
    assert "or in the version before, whose unchanged parts it shares" in second


def test_a_configuration_that_can_t_be_looked_through_costs_the_swap_nothing(
    watching: Guard, caplog: pytest.LogCaptureFixture
) -> None:
    held = comes(watching, Settings())
    del held.__dict__["login"]
    watching.end()
    watching.begin(held, b"")
    watching.end()
    assert [record.getMessage().partition(". Nobody")[0].partition("process: ")[2] for record in caplog.records] == [
        " (this Settings was built without 'login'; build it by validation)",
        "before it was in use (NotCarried)",
    ]
