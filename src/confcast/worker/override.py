"""A replica with a given value, for an application's unit tests: without an owner, a process, a thread or a file.

Whatever the code under test does with its replica works: reads, pins, observers, `precommit`, `attach()` (which returns
at once) and `close()` (which ends nothing). `push` runs everything in the caller's thread, so a test needs no waiting.
A version that a real owner commits meanwhile to an attached replica is kept until the block ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from confcast.errors import ConfigError, NotAttached, Problem
from confcast.wire.messages import Answer, Request
from confcast.worker.precommit import refusals
from confcast.worker.snapshot import Snapshot

if TYPE_CHECKING:
    from confcast.worker.replica import Replica, Saved
    from confcast.worker.trials import Trial

T = TypeVar("T")


class Fake(Generic[T]):
    """The result of `Replica.override()`: `push` changes the value again. Otherwise it is the replica's `Provider`.

    Attributes:
        before: The snapshot, provider and trial that the replica gets back when the block ends.
    """

    address = ""
    connected = False
    builds_lazily = True
    answers_within = 0.0
    lacks = ""
    busy = 0.0

    def __init__(self, replica: Replica[T]) -> None:
        self.before: Saved[T] = replica._save()
        replica._set_trial(None)
        self._replica = replica
        self._version = 0
        self._said: list[Problem] = []

    def push(self, config: T) -> None:
        """Run the `precommit` functions, the swap and the observers for this configuration, in the caller's thread.

        Raises:
            TypeError: The configuration is not of the replica's schema; nothing changed.
            ConfigError: A `precommit` function refused it, or what is derived, and was read before, can't be built of
                it; nothing changed.
            Exception: Whatever an observer raises.
        """
        replica = self._replica
        refuse_another_schema(replica, config)
        old = replica.latest
        for check in replica._checks:
            try:
                check(old, config)
            except Exception as error:
                raise ConfigError(refusals(check, error), "rejected") from error
        self._build_what_was_read(config)
        self.place(config)
        replica._observers.call_here(old, config)

    def place(self, config: T) -> None:
        """Swap in this configuration, and call no observer."""
        self._version += 1
        resources = self._replica._resources
        things = resources.take_staged(config, self._version, lingers=False)
        self._replica._take(Snapshot(config, self._version, b"", things))
        resources.close_here()

    def _build_what_was_read(self, config: T) -> None:
        resources, former = self._replica._resources, self._replica._snapshot._things
        read = former.contents.things if former is not None else {}
        if problems := resources.stage(config, str, 0.0, only=read, lingers=False):
            resources.close_here()
            raise ConfigError(problems, "rejected")

    def healthcheck(self) -> list[Problem]:
        """Call each health check once, pinned to the newest version.

        An async check is awaited on an event loop of its own, in another thread if one runs in the caller's.

        Returns:
            What was said against the version: by these checks, which are named, and by `unhealthy` since the last call.
        """
        self._said += [Problem("", said) for said in self._replica._health.check_here()]
        said, self._said = self._said, []
        return said

    def heard(self, version: int, reason: str) -> bool:
        """Keep what `unhealthy` says for `healthcheck`, and tell no owner."""
        self._said.append(Problem("", reason))
        return True

    def is_at(self, address: str) -> bool:
        """Returns False: an override has no owner."""
        return False

    def ask(self, make: Callable[[int], Request], timeout: float) -> Answer | None:
        """Raises NotAttached: an override has no owner."""
        raise NotAttached(f"replica {self._replica.name!r} is overridden for a test: there is no config owner to ask")

    def close(self) -> None:
        """Does nothing: an override ends with its block, not when the code under test closes its replica."""
        self._replica._provider = self

    def after_fork(self) -> None:
        """Keep the override in a forked child, and drop the attachment below it, which belongs to the parent."""
        snapshot, provider, _ = self.before
        if provider is not None:
            provider.after_fork()
        if snapshot is not None:
            snapshot = Snapshot(snapshot.config, snapshot.version, snapshot.digest)
        self.before = (snapshot, None, None)
        self._replica._provider = self

    def set_aside(self, snapshot: Snapshot[Any]) -> bool:
        """Keep this snapshot until the block ends; of nested overrides the outermost keeps it."""
        former, provider, trial = self.before
        if provider is None or not provider.set_aside(snapshot):
            self.before = (snapshot, provider, trial)
            if former is not None:
                self._replica._resources.replaced(former._things, snapshot._things)
        return True

    def build_coming(self) -> None:
        """Does nothing: in a test nothing comes from an owner."""

    def set_trial_aside(self, trial: Trial[Any] | None) -> bool:
        """Keep a version on trial until the block ends, likewise: in a test nothing is on trial."""
        snapshot, provider, _ = self.before
        if provider is None or not provider.set_trial_aside(trial):
            self.before = (snapshot, provider, trial)
        return True


def refuse_another_schema(replica: Replica[Any], config: object) -> None:
    """Raise TypeError if the configuration is not of the replica's schema: no owner would ever give it."""
    if not isinstance(config, replica.schema):
        raise TypeError(
            f"replica {replica.name!r} gives a {replica.schema.__qualname__}, and override() takes one, "
            f"not a {type(config).__qualname__}"
        )


@contextmanager
def overridden(replica: Replica[T], config: T) -> Iterator[Fake[T]]:
    """Have the replica return this configuration in the block, and its former one afterwards. Raises TypeError."""
    refuse_another_schema(replica, config)
    fake = Fake(replica)
    was_closed = replica._resources.begin()
    replica._provider = fake
    fake.place(config)
    replica._observers.assume(config)
    try:
        yield fake
    finally:
        replica._restore(fake.before)
        replica._resources.end(was_closed)
