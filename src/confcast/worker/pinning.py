"""How a replica is read and pinned: `Pinning` at most times, `WatchedPins` while a version is on trial.

The replica's class is changed, as it is at its first value: so a pin pays for trials only while there is something to
choose. Rejected: a test in each pin.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Generic, TypeVar

from confcast.worker.async_library import is_async
from confcast.worker.pins import Pin, TrialPin
from confcast.worker.snapshot import Snapshot
from confcast.worker.trials import Entity, Identify, Identity, Trial

T = TypeVar("T")
R = TypeVar("R")


class Pinning(Generic[T]):
    """The reading part of a `Replica`."""

    __slots__ = ()

    _pinned: ContextVar[Pin[T] | None]
    _snapshot: Snapshot[T]
    _trial: Trial[T] | None
    _identity: Identity

    @property
    def snapshot(self) -> Snapshot[T]:
        """The pinned snapshot in a pin, the newest outside: configuration, version, digest. Raises NotAttached."""
        pin = self._pinned.get()
        if pin is None or (pinned := pin.snapshot) is None:
            return self._snapshot
        return pinned

    @property
    def current(self) -> T:
        """The pinned configuration inside a pin, the newest outside. Raises NotAttached."""
        pin = self._pinned.get()  # `snapshot`, written out: a property in a property takes half as long again
        if pin is None or (pinned := pin.snapshot) is None:
            return self._snapshot.config
        return pinned.config

    @property
    def version(self) -> int:
        """The version of `current`. Raises NotAttached."""
        return self.snapshot.version

    def pin(self, *, entity: str | int | None = None) -> Pin[T]:
        """Give one request, task or queue item one version: `with replica.pin() as config:`. Raises NotAttached.

        While a version is on trial by entity (`Canary(by="entity")`), a share of the entities get it in every worker,
        chosen by their hash: `with replica.pin(entity=user_id) as config:`. 42 and "42" are the same entity; None and
        "" name none, and get what is committed. Inside another pin the block sees the entity's version, if one is on
        trial. While a version is on trial by worker, pins get it in some of the workers, whatever they name. Outside of
        pins, and for observers, a version on trial does not exist.

        Another pin inside gives the same version. Tasks started inside inherit it until the pin ends. Plain threads,
        `run_in_executor` and gevent's greenlets begin with an empty context, and read the newest, unless each is given
        a copy of the caller's context: `gevent.spawn(contextvars.copy_context().run, function, argument)`, and
        likewise `loop.run_in_executor(None, copy_context().run, function)`.
        """
        outer = self._pinned.get()  # written out, too
        if outer is None or (pinned := outer.snapshot) is None:
            pinned = self._snapshot
            return Pin(self, pinned, pinned._tally)
        return Pin(self, pinned)

    def identify(self, function: Identify) -> Identify:
        """Declare whom a request is for: `function(headers)` gives the entity as a text, or None. Also a decorator.

            @settings.identify
            def user(headers: Mapping[str, str]) -> str | None:
                return headers.get("x-user-id")

        The middlewares and servers call it at a request's begin, in its thread or task, only while a version is on
        trial by entity, and pin the request as `pin(entity=…)` does. The names in `headers` are in lower case. If it
        raises, the request names no entity; that is logged once, and counted. The last function that was declared
        counts.

        Raises:
            TypeError: The function can't be called, or is async.
        """
        if not callable(function) or is_async(function):
            raise TypeError(f"identify() takes a function (headers) -> str | None that is not async, not {function!r}")
        self._identity.function = function
        return function

    # ---- for the other files of the package

    def _pin_for(self, request: R, headers_of: Callable[[R], Mapping[str, str]]) -> Pin[T]:
        """Pin a request for the entity that it names; for middlewares and servers.

        `headers_of(request)` gives its headers, names in lower case. It and the application's `identify` are called
        only while a trial by entity is open, and not inside another pin: otherwise this is `pin()`.
        """
        outer = self._pinned.get()  # written out, as in `pin`
        if outer is None or (pinned := outer.snapshot) is None:
            pinned = self._snapshot
            return Pin(self, pinned, pinned._tally)
        return Pin(self, pinned)

    def _given(self, entity: str | int | None) -> Snapshot[T]:
        """What a new pin for this entity gets, outside of other pins."""
        return self._snapshot


class WatchedPins(Pinning[T]):
    """How a replica pins while a version is on trial. See `Replica` for what the methods do."""

    __slots__ = ()

    def pin(self, *, entity: Entity | None = None) -> Pin[T]:
        """As `Replica.pin`."""
        outer = self._pinned.get()
        if outer is not None and (pinned := outer.snapshot) is not None:
            return Pin(self, pinned) if entity is None or entity == "" else self._pin_inside(outer, pinned, entity)
        trial = self._trial
        if trial is None:
            return TrialPin(self, self._snapshot, None if entity == "" else entity)
        chosen = trial.chosen.get(entity)  # `given`, written out
        if chosen is None:
            entity = None if entity == "" else entity
            chosen = trial.choose(entity)
        return TrialPin(self, trial.snapshot if chosen else self._snapshot, entity)

    def _pin_inside(self, outer: Pin[T], pinned: Snapshot[T], entity: Entity) -> Pin[T]:
        """Pin for an entity inside another pin: what is not on trial stays what it was."""
        trial, snapshot = self._trial, pinned
        if trial is not None and trial.is_by_entity:
            snapshot = trial.given(entity, self._snapshot if pinned is trial.snapshot else pinned)
        if snapshot is pinned:
            if isinstance(outer, TrialPin):
                outer.named = True
            return Pin(self, pinned)
        return TrialPin(self, snapshot, entity, outer)

    def _pin_for(self, request: R, headers_of: Callable[[R], Mapping[str, str]]) -> Pin[T]:
        """As `Replica._pin_for`."""
        trial = self._trial
        if trial is None or not trial.is_by_entity or self._identity.function is None:
            return self.pin()
        outer = self._pinned.get()
        if outer is not None and outer.snapshot is not None:  # it was identified there
            return self.pin()
        return self.pin(entity=self._identity.of(headers_of(request)))

    def _given(self, entity: Entity | None) -> Snapshot[T]:
        trial = self._trial
        return self._snapshot if trial is None else trial.given(entity, self._snapshot)
