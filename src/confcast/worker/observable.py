"""`subscribe` and `unsubscribe`, the same on a replica and on a manager.

Safe from any thread, and from an observer. Rejected: returning a handle to unsubscribe with (LeIndex's users pass the
observer).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

from confcast.worker.observers import Moment, Observers, Subscription, Where

T = TypeVar("T")
P = TypeVar("P")


class Observable(ABC, Generic[T]):
    """Something whose configuration changes."""

    __slots__ = ()

    @abstractmethod
    def subscriptions(self) -> Observers:
        """Not for applications: where `subscribe` puts its observers."""

    @overload
    def subscribe(
        self,
        observer: Callable[[T, T], Any],
        select: None = None,
        *,
        initial: bool = False,
        on: Moment = "commit",
        executor: Where = None,
    ) -> None: ...

    @overload
    def subscribe(
        self,
        observer: Callable[[P, P], Any],
        select: Callable[[T], P],
        *,
        initial: bool = False,
        on: Moment = "commit",
        executor: Where = None,
    ) -> None: ...

    def subscribe(
        self,
        observer: Callable[[Any, Any], Any],
        select: Callable[[T], Any] | None = None,
        *,
        initial: bool = False,
        on: Moment = "commit",
        executor: Where = None,
    ) -> None:
        """Have `observer(old, new)` called after each change, in the order of versions.

        It runs in a thread of its own, after this worker's answer has left: it may be slow, raise (logged and
        counted), or call `reload()`. The first value in a process is no change.

        Args:
            observer: Called with the old and the new configuration, or with the selected parts of them.
            select: Picks the part that matters; the observer is called only when that part changed.
            initial: Call it at once with `(None, value)`, in this thread; or with the first value, where there is
                none yet. No change between is missed.
            on: `commit`: after the swap here; `settled`: when every worker that is not named has applied it.
            executor: Where to call it instead: an `Executor`, or an event loop (coroutine functions are awaited there).

        Raises:
            TypeError: `observer` or `select` can't be called, `executor` is neither of the two, or a coroutine function
                has no loop to be awaited on.
            ValueError: There is no such moment.
        """
        check(observer, select, on, executor)
        self.subscriptions().add(Subscription(observer, select, initial, on, executor))

    def unsubscribe(self, observer: Callable[[Any, Any], Any]) -> bool:
        """End the oldest subscription of this observer; whether there was one."""
        return self.subscriptions().remove(observer)
