"""A pin gives one request one version: it stands in a context variable, and is emptied when the request ends.

Each thread, task and request has its own value of a context variable, and tasks that a request starts inherit it. The
emptied pin shows them the end: a task that outlives its request finds it empty and reads the newest. A pin may be
closed in another context (frameworks run a request's teardown in a copied one), and more than once. Plain threads,
`run_in_executor` and gevent's greenlets start with an empty context, and read the newest: `contextvars.copy_context()`
passes the pin on to them (as `asyncio.to_thread` and `trio.to_thread` do by themselves), and its end, too.

A pin that is not inside another one stands for a request, a task or a message: its end counts it for the version that
it has then, as failed if an exception passes through it or a middleware has set `failed`. A pin inside another counts
nothing.

Every request pays for a pin, so it is one object and four calls (0.5 µs). Rejected: `threading.local` (asyncio), a
context variable that holds the snapshot itself (a background task would keep its request's version for ever, and a
`reset` in another context raises), and a cell beside the pin that tasks inherit (a second object for each request).

While a version is on trial, a replica gives pins that know their entity (`pinning.py`). One of those inside another pin
is a request of its own if it has another version.
"""

from __future__ import annotations

from contextvars import ContextVar, Token
from types import TracebackType
from typing import Generic, Protocol, TypeVar

from confcast.worker.health.tally import IS_FREE_THREADED, Tally
from confcast.worker.snapshot import Snapshot
from confcast.worker.trials import Entity, Trial

T = TypeVar("T")


class Pinnable(Protocol[T]):
    """A replica, as its pins know it."""

    _pinned: ContextVar[Pin[T] | None]
    _snapshot: Snapshot[T]
    _trial: Trial[T] | None

    def _given(self, entity: Entity | None) -> Snapshot[T]:
        """What a new pin for this entity gets."""


class Pin(Generic[T]):
    """The context manager that `Replica.pin()` gives: entering it gives the configuration. For one use.

    Attributes:
        snapshot: What is pinned; None once the pin is closed.
        failed: Whether the request has failed though no exception says so: its answer has a status of 500 or more.
    """

    __slots__ = ("_replica", "_tally", "_token", "failed", "snapshot")

    def __init__(self, replica: Pinnable[T], snapshot: Snapshot[T], tally: Tally | None = None) -> None:
        self._replica = replica
        self._token: Token[Pin[T] | None] | None = None
        self._tally = tally  # where its end is counted; None: nowhere
        self.snapshot: Snapshot[T] | None = snapshot
        self.failed = False

    def __enter__(self) -> T:
        snapshot = self.snapshot
        if snapshot is None or self._token is not None:
            raise RuntimeError("a pin is for one use: call pin() again")
        self._token = self._replica._pinned.set(self)
        return snapshot.config

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.snapshot = None
        # The token holds the request's context, which a task that inherits this pin must not keep.
        token, self._token = self._token, None
        if token is not None:
            tally = self._tally
            if tally is not None:
                failed = self.failed or (kind is not None and issubclass(kind, Exception))
                if IS_FREE_THREADED:
                    tally.add(failed)
                else:  # written out: a call takes as long as the rest of it (tally.py)
                    tally.answered += 1
                    if failed:
                        tally.failed += 1
            try:  # noqa: SIM105 - `suppress` takes as long as the rest of this method
                self._replica._pinned.reset(token)
            except ValueError:  # closed in another context: that this pin is empty is enough there
                pass

    def uncount(self) -> None:
        """Count the end of this pin for no version."""
        self._tally = None

    def renew(self) -> None:
        """Move the pin to the newest version, in every task that has inherited it. Does nothing once the pin is closed.

        For a connection that lasts longer than one request, between two of its messages: what has ended is counted.
        """
        self._renew(None, False)

    def _renew(self, entity: Entity | None, names_entity: bool) -> None:
        if self.snapshot is None:
            return
        tally, snapshot = self._tally, self._replica._given(entity)
        if tally is not None:
            tally.add(False, names_entity)
            self._tally = snapshot._tally
        self.snapshot = snapshot


class TrialPin(Pin[T]):
    """A pin while a version is on trial.

    Attributes:
        entity: Whom it is for; None: it names nobody.
        named: Whether a pin of the same version inside names an entity.
    """

    __slots__ = ("_outer", "entity", "named")

    def __init__(
        self, replica: Pinnable[T], snapshot: Snapshot[T], entity: Entity | None, outer: Pin[T] | None = None
    ) -> None:
        self._replica = replica
        self._token = None
        self._tally = snapshot._tally
        self._outer = outer
        self.snapshot = snapshot
        self.failed = False
        self.entity = entity
        self.named = False

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.snapshot = None  # as in `Pin`, written out: a trial is to cost a request little
        token, self._token = self._token, None
        if token is not None:
            tally = self._tally
            if tally is not None:
                failed = self.failed or (kind is not None and issubclass(kind, Exception))
                if IS_FREE_THREADED:
                    tally.add(failed, self.named or self.entity is not None)
                else:
                    tally.answered += 1
                    if self.named or self.entity is not None:
                        tally.entities += 1
                    if failed:
                        tally.failed += 1
                if failed and self._outer is not None:
                    self._outer.uncount()  # its request fails by another version than its own
            try:  # noqa: SIM105
                self._replica._pinned.reset(token)
            except ValueError:
                pass

    def renew(self) -> None:
        """As `Pin.renew`, for the same entity."""
        self._renew(self.entity, self.named or self.entity is not None)
