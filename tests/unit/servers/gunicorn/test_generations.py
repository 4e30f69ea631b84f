"""A next generation under gunicorn is begun, called off, or made the present one; with managers that only record."""

from __future__ import annotations

import logging
import os
from types import SimpleNamespace
from typing import Any

import pytest

from confcast import ConfcastError
from confcast.servers.gunicorn.generations import CalledOff, Generations
from tests.support.recording import Manager


@pytest.fixture
def calls() -> list[str]:
    return []


def generations(calls: list[str], **failures: Exception) -> Generations:
    return Generations(Manager(calls, "old", **failures))  # type: ignore[arg-type]


def arbiter(**others: Any) -> Any:
    defaults = {"reexec_pid": 0, "master_pid": 0, "WORKERS": {}, "log": logging.getLogger("test.gunicorn")}
    return SimpleNamespace(**{**defaults, **others})


def test_it_begins_with_a_pause(calls: list[str]) -> None:
    owners = generations(calls)
    successor = owners.begin(arbiter(), lambda: Manager(calls, "new"))  # type: ignore[arg-type, return-value]
    owners.replace(successor, frozenset({11}))
    owners.tick(arbiter(WORKERS={11: None, 12: None}))
    assert calls == ["old pause", "new succeed", "new start", "new ensure_owner", "old ensure_owner"]

    calls.clear()
    owners.tick(arbiter(WORKERS={12: None}))
    owners.tick(arbiter(WORKERS={12: None}))
    owners.close()

    assert calls == ["new ensure_owner", "old close", "new ensure_owner", "new close"]


@pytest.mark.parametrize("failure", [ConfcastError("refused"), ImportError("no such module"), TypeError("no text")])
def test_a_successor_that_does_not_start_calls_it_off(calls: list[str], failure: Exception) -> None:
    owners = generations(calls)

    with pytest.raises(CalledOff, match=str(failure)):
        owners.begin(arbiter(), lambda: Manager(calls, "new", start=failure))  # type: ignore[arg-type, return-value]

    assert calls == ["old pause", "new succeed", "new start", "old unpause"]


def test_there_is_none_in_the_new_master_of_an_upgrade_that_may_be_backed_out(calls: list[str]) -> None:
    """The old master's owner would not know the version numbers of its successor's successor."""
    owners = generations(calls)

    with pytest.raises(CalledOff, match="an upgrade is under way"):
        owners.begin(arbiter(master_pid=os.getppid()), lambda: Manager(calls, "new"))  # type: ignore[arg-type, return-value]

    assert calls == []
    owners.begin(arbiter(master_pid=os.getpid()), lambda: Manager(calls, "new"))  # type: ignore[arg-type, return-value]
    assert calls == ["old pause", "new succeed", "new start"]


def test_an_owner_that_can_not_be_paused_calls_it_off(calls: list[str]) -> None:
    owners = generations(calls, pause=ConfcastError("no answer"))

    with pytest.raises(CalledOff, match="no answer"):
        owners.begin(arbiter(), lambda: Manager(calls, "new"))  # type: ignore[arg-type, return-value]

    assert calls == ["old pause"]


def test_a_successor_that_is_not_used_is_closed_first(calls: list[str]) -> None:
    owners = generations(calls)
    successor = owners.begin(arbiter(), lambda: Manager(calls, "new"))  # type: ignore[arg-type, return-value]
    calls.clear()

    owners.call_off(successor)

    assert calls == ["new close", "old unpause"]


def test_when_the_new_master_is_gone_the_old_goes_on_once(calls: list[str]) -> None:
    owners, server = generations(calls), arbiter()

    def execute() -> None:
        calls.append("execute")
        server.reexec_pid = 4711

    owners.upgrade(server, execute)
    owners.tick(server)
    with pytest.raises(CalledOff, match="end one of the two masters first"):
        owners.begin(arbiter(), lambda: Manager(calls, "new"))  # type: ignore[arg-type, return-value]
    server.reexec_pid = 0
    owners.tick(server)
    owners.tick(server)

    ensure = "old ensure_owner"
    assert calls == ["old pause", "execute", ensure, ensure, "old unpause", ensure]


def test_a_hup_during_an_upgrade_is_acted_on_when_the_old_master_goes_on(calls: list[str]) -> None:
    """A HUP of the old master starts its workers again; its owner is paused until the new master is gone."""
    owners, server = generations(calls), arbiter()
    owners.upgrade(server, lambda: setattr(server, "reexec_pid", 4711))
    owners.request_reload()
    server.reexec_pid = 0
    calls.clear()

    owners.tick(server)

    assert calls == ["old ensure_owner", "old unpause", "old request_reload"]


@pytest.mark.parametrize("there_is", ["reexec_pid", "master_pid"])
def test_an_upgrade_that_gunicorn_ignores_pauses_nobody(calls: list[str], there_is: str) -> None:
    generations(calls).upgrade(arbiter(**{there_is: 4711}), lambda: calls.append("execute"))

    assert calls == ["execute"]


def test_an_upgrade_is_called_off_when_the_owner_can_not_be_paused(
    calls: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    owners = generations(calls, pause=ConfcastError("no answer"))

    owners.upgrade(arbiter(), lambda: calls.append("execute"))

    assert calls == ["old pause"]
    assert caplog.messages == ["confcast: the upgrade is called off: no answer"]


def test_a_hup_during_a_pause_that_fails_is_acted_on_when_the_upgrade_is_called_off(calls: list[str]) -> None:
    owners = generations(calls)
    present = Manager(calls, "old", pause=ConfcastError("no answer"))
    owners.present = SimpleNamespace(  # type: ignore[assignment]
        pause=lambda: (owners.request_reload(), present.pause()), request_reload=present.request_reload
    )

    owners.upgrade(arbiter(), lambda: calls.append("execute"))

    assert calls == ["old request_reload", "old pause", "old request_reload"]
