"""A pin gives one request one version: it stands in a context variable, and is emptied when the request ends.

Each thread, task and request has its own value of a context variable, and tasks that a request starts inherit it. The
emptied pin shows them the end: a task that outlives its request finds it empty and reads the newest. A pin may be
closed in another context (frameworks run a request's teardown in a copied one), and more than once. Plain threads,
`run_in_executor` and gevent's greenlets start with an empty context, and read the newest: `contextvars.copy_context()`
passes the pin on to them (as `asyncio.to_thread` and `trio.to_thread` do by themselves), and its end, too.

Every request pays for a pin, so it is one object and four calls (0.4 µs). Rejected: `threading.local` (asyncio), a
context variable that holds the snapshot itself (a background task would keep its request's version for ever, and a
`reset` in another context raises), and a cell beside the pin that tasks inherit (a second object for each request).

While a version is on trial, or something counts pins, a replica gives pins that report their end (`pinning.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Generic, Protocol, TypeAlias, TypeVar

from confcast.worker.snapshot import Snapshot
from confcast.worker.trials import Entity, Trial

T = TypeVar("T")

PinEnded: TypeAlias = Callable[[int, bool], object]
"""Called in a request's thread with the version of a pin that has ended, and whether it named an entity."""


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
    """

    __slots__ = ("_replica", "_token", "snapshot")

    def __init__(self, replica: Pinnable[T], snapshot: Snapshot[T]) -> None:
        self._replica = replica
        self._token: Token[Pin[T] | None] | None = None
        self.snapshot: Snapshot[T] | None = snapshot

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
            try:  # noqa: SIM105 - `suppress` takes as long as the rest of this method
                self._replica._pinned.reset(token)
            except ValueError:  # closed in another context: that this pin is empty is enough there
                pass

    def renew(self) -> None:
        """Move the pin to the newest version, in every task that has inherited it. Does nothing once the pin is closed.

        For a connection that lasts longer than one request, between two of its messages.
        """
        if self.snapshot is not None:
            self.snapshot = self._replica._given(None)


class Counting(Pinnable[T], Protocol[T]):
    """A replica whose pins may be counted."""

    _pin_ended: PinEnded | None


class CountedPin(Pin[T]):
    """A pin that reports its end, for the evidence of a trial or a probation.

    Attributes:
        entity: Whom it is for; None: it names nobody.
        named: Whether a pin of the same version inside names an entity.
    """

    __slots__ = ("entity", "named")

    _replica: Counting[T]

    def __init__(self, replica: Counting[T], snapshot: Snapshot[T], entity: Entity | None) -> None:
        self._replica = replica
        self._token = None
        self.snapshot = snapshot
        self.entity = entity
        self.named = False

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        snapshot = self.snapshot
        self.snapshot = None  # from here on as in `Pin`, written out: a trial is to cost a request little
        token, self._token = self._token, None
        if token is not None:
            try:  # noqa: SIM105
                self._replica._pinned.reset(token)
            except ValueError:
                pass
        if snapshot is not None and (ended := self._replica._pin_ended) is not None:
            ended(snapshot.version, self.named or self.entity is not None)

    def renew(self) -> None:
        """As `Pin.renew`, for the same entity. What has ended, such as a message of a connection, is counted."""
        snapshot = self.snapshot
        if snapshot is None:
            return
        self.snapshot = self._replica._given(self.entity)
        if (ended := self._replica._pin_ended) is not None:
            ended(snapshot.version, self.named or self.entity is not None)
