"""`override()` of a replica that is attached to a real owner: afterwards it is as it was."""

from __future__ import annotations

import os

from confcast import Replica
from confcast.worker import registry
from tests.support.fixtures import Manager
from tests.support.forking import holds_in_child
from tests.support.settings import Settings, numbered


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
