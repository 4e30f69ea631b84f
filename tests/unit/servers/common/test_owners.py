"""The owners of one configuration in one server, while a next generation begins; with managers that only record."""

from __future__ import annotations

from typing import Any

import pytest

from confcast import ConfcastError
from confcast.servers.common.owners import CalledOff, Owners
from tests.support.recording import Manager


@pytest.fixture
def calls() -> list[str]:
    return []


@pytest.fixture
def owners(calls: list[str]) -> Owners:
    return Owners(Manager(calls, "old"))  # type: ignore[arg-type]


def test_a_trigger_while_workers_are_replaced_goes_to_the_owner_that_loads(owners: Owners, calls: list[str]):
    """The former owner is paused, and would drop the trigger."""
    new: Any = Manager(calls, "new")
    owners.request_reload()
    successor = owners.succeed(lambda: new)
    owners.request_reload()
    owners.replace(successor, frozenset({11}))
    owners.request_reload()

    reloads = [call for call in calls if call.endswith("request_reload")]
    assert reloads == ["old request_reload", "new request_reload", "new request_reload"]


def test_a_trigger_after_it_was_called_off_goes_to_the_owner_that_went_on(owners: Owners, calls: list[str]):
    new: Any = Manager(calls, "new")
    owners.call_off(owners.succeed(lambda: new))
    calls.clear()

    owners.request_reload()

    assert calls == ["old request_reload"]


def test_both_are_looked_after_and_closed_while_workers_are_replaced(owners: Owners, calls: list[str]):
    new: Any = Manager(calls, "new")
    owners.succeed(lambda: new)
    calls.clear()

    owners.ensure(lambda: {11})
    owners.close()

    assert calls == ["new ensure_owner", "old ensure_owner", "old close", "new close"]


def test_a_master_that_ends_while_the_next_owner_starts_leaves_the_present_one_as_it_was(calls: list[str]):
    owners = Owners(Manager(calls, "old"))  # type: ignore[arg-type]
    new: Any = Manager(calls, "new", start=KeyboardInterrupt())  # type: ignore[arg-type]

    with pytest.raises(KeyboardInterrupt):
        owners.succeed(lambda: new)

    assert calls == ["old pause", "new succeed", "new start", "old unpause"]


def test_a_loader_that_is_not_found_under_the_new_code_calls_it_off(owners: Owners, calls: list[str]):
    def make() -> Any:
        raise ConfcastError("no such module")

    with pytest.raises(CalledOff, match="no such module"):
        owners.succeed(make)

    assert calls == ["old pause", "old unpause"]


def test_a_trigger_while_the_next_owner_starts_is_received_by_it(owners: Owners, calls: list[str]):
    """The next owner may have read its sources by then, and the paused one refuses."""
    new: Any = Manager(calls, "new")

    def make() -> Any:
        owners.request_reload()
        return new

    owners.succeed(make)

    assert calls == ["old pause", "old request_reload", "new succeed", "new start", "new request_reload"]


def test_a_trigger_while_workers_are_replaced_is_not_lost_when_that_is_called_off(owners: Owners, calls: list[str]):
    new: Any = Manager(calls, "new")
    successor = owners.succeed(lambda: new)
    owners.request_reload()

    owners.call_off(successor)

    assert calls[-3:] == ["new close", "old unpause", "old request_reload"]


@pytest.mark.parametrize("failing", ["pause", "start"])
def test_a_trigger_is_not_lost_when_no_next_generation_begins(failing: str):
    calls: list[str] = []
    error = ConfcastError("no")
    old: Any = Manager(calls, "old", **({"pause": error} if failing == "pause" else {}))
    new: Any = Manager(calls, "new", **({"start": error} if failing == "start" else {}))
    owners = Owners(old)
    act = old.pause if failing == "pause" else new.start

    def asked_meanwhile() -> Any:
        owners.request_reload()
        return act()

    setattr(old if failing == "pause" else new, failing, asked_meanwhile)

    with pytest.raises(CalledOff):
        owners.succeed(lambda: new)

    assert calls[-1] == "old request_reload"
    assert calls.count("old request_reload") == 2


def test_a_trigger_is_asked_for_once_more_only_after_it_came(owners: Owners, calls: list[str]):
    new: Any = Manager(calls, "new")
    owners.request_reload()
    calls.clear()

    owners.call_off(owners.succeed(lambda: new))

    assert not [call for call in calls if call.endswith("request_reload")]
