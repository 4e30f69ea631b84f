"""What is declared in a process: known at each request without a look at weak references, and kept by nobody."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from confcast import Replica, declared
from confcast.worker import registry


class Settings(msgspec.Struct):
    number: int = 0


@pytest.fixture
def empty(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Other tests' replicas may live as long as this process."""
    monkeypatch.setattr(registry, "_declared", [])
    monkeypatch.setattr(registry, "_attached", {})
    registry._changed()
    yield
    registry._changed()


@pytest.fixture
def one(empty: None) -> Replica[Settings]:
    return Replica(Settings, name="one")


def test_what_is_attached_is_at_hand(one: Replica[Settings]) -> None:
    registry.take_name(one)

    assert declared() == (one,)
    assert declared() is declared()


def test_what_is_declared_later_is_seen_at_once(one: Replica[Settings]) -> None:
    registry.take_name(one)
    assert declared() == (one,)

    two = Replica(Settings, name="two")

    assert declared() == (one, two)
    registry.take_name(two)
    assert declared() == (one, two)
    registry.withdraw(one)
    assert declared() == (two,)


@pytest.mark.parametrize("attached_before", [True, False])
def test_what_is_dropped_by_its_application_is_gone(one: Replica[Settings], attached_before: bool) -> None:
    two = Replica(Settings, name="two")
    registry.take_name(one)
    if attached_before:
        registry.take_name(two)
    assert declared() == (one, two)
    if attached_before:
        registry.release_name(two)
    alive = weakref.ref(two)

    del two
    gc.collect()

    assert alive() is None
    assert declared() == (one,)


def test_one_that_is_closed_while_it_is_looked_up_is_not_kept(one: Replica[Settings]) -> None:
    """The collector may run at any moment, and a finalizer close a replica."""
    registry.take_name(one)

    class Attached(dict[str, Replica[Settings]]):
        interrupted = False

        def get(self, name: str, default: Any = None) -> Any:
            if not self.interrupted:
                self.interrupted = True
                registry.release_name(one)
                return one
            return super().get(name, default)

    registry._attached = Attached(registry._attached)
    assert declared() == (one,)
    assert not registry._attached
    assert registry._all_attached == ()
