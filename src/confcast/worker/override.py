"""Unit tests of applications: a replica with a given value, without owner, process, thread or file.

Whatever the code under test does with its replica works here: reads, pins, observers, `precommit`, and `attach()`
(which returns at once). `push` runs everything in the caller's thread, so a test needs no waiting.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Generic, TypeVar

from confcast.errors import ConfigError, NotAttached, Problem
from confcast.wire.messages import Answer, Request
from confcast.worker.snapshot import Snapshot

if TYPE_CHECKING:
    from confcast.worker.replica import Replica

T = TypeVar("T")


class Fake(Generic[T]):
    """What `Replica.override()` gives: the means to change the value again.

    Args:
        replica: The replica under test.
    """

    address = ""
    connected = False

    def __init__(self, replica: Replica[T]) -> None:
        self._replica = replica
        self._version = 0

    def push(self, config: T) -> None:
        """Give it this configuration: `precommit` functions, swap and observers, here and now.

        Raises:
            ConfigError: A `precommit` function refused; nothing changed.
            Exception: Whatever an observer raises.
        """
        replica = self._replica
        old = replica.latest
        for check in replica.checks:
            try:
                check(old, config)
            except Exception as error:
                name = getattr(check, "__qualname__", repr(check))
                raise ConfigError([Problem("", f"{name}: {error or type(error).__name__}")], "rejected") from error
        self.place(config)
        replica.observers.tell_here(old, config)

    def place(self, config: T) -> None:
        """Swap, and tell nobody."""
        self._version += 1
        self._replica.take(Snapshot(config, self._version, b""))

    def ask(self, make: Callable[[int], Request], timeout: float) -> Answer | None:
        """There is no owner to ask."""
        raise NotAttached(f"replica {self._replica.name!r} is overridden for a test: there is no config owner to ask")

    def close(self) -> None:
        """The override ends with its `with` block."""

    def forget(self) -> None:
        """A forked child keeps the override."""


@contextmanager
def overridden(replica: Replica[T], config: T) -> Iterator[Fake[T]]:
    """The replica gives this configuration until the block ends, then what it gave before."""
    before = replica.save()
    fake = Fake(replica)
    replica.presence = fake
    fake.place(config)
    try:
        yield fake
    finally:
        replica.restore(before)
