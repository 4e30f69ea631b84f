"""`override()`: an application's unit tests need no owner, no process and no waiting."""

from __future__ import annotations

import os
import threading

import pytest

from confcast import ConfigError, NotAttached, Replica
from confcast.worker import registry
from tests.support.fixtures import Manager
from tests.support.forking import holds_in_child
from tests.support.leaks import belongings
from tests.support.settings import Settings


def numbered(number: int) -> Settings:
    return Settings(number=number, twin=number)


@pytest.fixture
def replica() -> Replica[Settings]:
    return Replica(Settings, name="app")


def test_it_gives_the_value_and_afterwards_nothing_as_before(replica: Replica[Settings]) -> None:
    config = numbered(5)
    with replica.override(config):
        assert replica.latest is replica.current is replica.snapshot.config is config
        with replica.pin() as pinned:
            assert pinned is config

    with pytest.raises(NotAttached):
        _ = replica.latest


def test_it_starts_nothing_and_attaching_inside_does_nothing(replica: Replica[Settings]) -> None:
    before = belongings()
    with replica.override(numbered(5)):
        assert replica.attach() is replica
        assert replica.latest.number == 5
        assert replica.connected is False
        assert belongings() == before


def test_a_push_runs_precommit_then_swaps_then_tells_observers_in_this_thread(replica: Replica[Settings]) -> None:
    calls: list[tuple[str, int, int, int, threading.Thread]] = []

    def note(what: str, old: Settings, new: Settings) -> None:
        calls.append((what, old.number, new.number, replica.latest.number, threading.current_thread()))

    replica.precommit(lambda old, new: note("precommit", old, new))
    replica.subscribe(lambda old, new: note("observer", old, new))
    with replica.override(numbered(5)) as fake:
        fake.push(numbered(6))

    here = threading.current_thread()
    assert calls == [("precommit", 5, 6, 5, here), ("observer", 5, 6, 6, here)]


def test_a_push_that_precommit_refuses_changes_nothing_and_calls_nobody(replica: Replica[Settings]) -> None:
    calls: list[int] = []
    replica.subscribe(lambda old, new: calls.append(new.number))

    @replica.precommit
    def fits(old: Settings, new: Settings) -> None:
        if new.number > 100:
            raise ValueError(f"{new.number} does not fit")

    with replica.override(numbered(5)) as fake:
        with pytest.raises(ConfigError, match="fits: 101 does not fit"):
            fake.push(numbered(101))
        assert replica.latest.number == 5
        fake.push(numbered(100))

    assert calls == [100]


def test_a_push_tells_each_version_apart_and_leaves_pins_alone(replica: Replica[Settings]) -> None:
    with replica.override(numbered(5)) as fake, replica.pin() as pinned:
        before = replica.version
        fake.push(numbered(6))
        assert (replica.current, replica.version) == (pinned, before)
        assert replica.latest.number == 6


def test_select_and_settled_observers_are_told_too(replica: Replica[Settings]) -> None:
    selected: list[tuple[str, str]] = []
    settled: list[int] = []
    replica.subscribe(lambda old, new: selected.append((old, new)), select=lambda config: config.name)
    replica.subscribe(lambda old, new: settled.append(new.number), on="settled")
    with replica.override(numbered(5)) as fake:
        fake.push(numbered(6))
        fake.push(Settings(number=7, twin=7, name="two"))

    assert selected == [("one", "two")]
    assert settled == [6, 7]


def test_what_an_observer_raises_fails_the_test_that_pushed(replica: Replica[Settings]) -> None:
    replica.subscribe(lambda old, new: 1 // 0)
    with replica.override(numbered(5)) as fake, pytest.raises(ZeroDivisionError):
        fake.push(numbered(6))


def test_there_is_no_owner_to_ask(replica: Replica[Settings]) -> None:
    with replica.override(numbered(5)), pytest.raises(NotAttached, match="overridden for a test"):
        replica.get_stats()


def test_overrides_nest(replica: Replica[Settings]) -> None:
    with replica.override(numbered(5)):
        with replica.override(numbered(6)):
            assert replica.latest.number == 6
        assert replica.latest.number == 5


def test_an_attached_replica_is_itself_again_afterwards(manager: Manager, settings: Replica[Settings]) -> None:
    with settings.override(numbered(5)) as fake:
        fake.push(numbered(6))
        assert settings.latest.number == 6

    assert (settings.latest.number, settings.version, settings.connected) == (1, 1, True)
    assert settings.reload()


def test_code_that_closes_its_replica_inside_leaves_it_attached_and_known(
    manager: Manager, settings: Replica[Settings]
) -> None:
    with settings.override(numbered(5)):
        settings.close()

    assert settings.connected
    assert registry.attached("app") is settings


def test_a_child_that_was_forked_inside_attaches_for_itself_afterwards(
    manager: Manager, settings: Replica[Settings]
) -> None:
    def is_on_the_roster_afterwards() -> bool:
        override.__exit__(None, None, None)
        settings.attach(manager.address)
        return settings.connected and os.getpid() in [worker.pid for worker in settings.workers()]

    override = settings.override(numbered(5))
    with override:
        holds = holds_in_child(is_on_the_roster_afterwards)

    assert holds
    assert settings.connected
