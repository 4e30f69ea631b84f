"""`subscribe` and `unsubscribe`, the same on a replica and on a manager.

Safe from any thread, and from an observer. Rejected: returning a handle to unsubscribe with (LeIndex's users pass the
observer).
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Generic, TypeVar, get_args, overload

from confcast.worker.observers import Moment, Observers, Subscription, Where, is_loop

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

        A library that takes only its own section of the configuration is subscribed by the application, and needs to
        know neither the whole schema nor this package; it declares no replica:
        `settings.subscribe(pool.configure, select=lambda config: config.pool, initial=True)` calls it with its section
        now, as (None, section), and again when that section, and nothing else, has changed.

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
        _check(observer, select, on, executor)
        self.subscriptions().add(Subscription(observer, select, initial, on, executor))

    def unsubscribe(self, observer: Callable[[Any, Any], Any]) -> bool:
        """End the oldest subscription of this observer; whether there was one."""
        return self.subscriptions().remove(observer)


def _check(observer: object, select: object, on: str, where: Where) -> None:
    """What would only be noticed at the first change, or never."""
    for function in (observer, *(() if select is None else (select,))):
        if not callable(function):
            raise TypeError(f"an observer is called with (old, new); a {type(function).__name__} can't be called")
    if on not in get_args(Moment):
        raise ValueError(f"on={on!r}: an observer is told on 'commit' or 'settled'")
    if where is not None and not is_loop(where) and not hasattr(where, "submit"):
        raise TypeError(f"executor is an Executor or an event loop, not a {type(where).__name__}")
    if inspect.iscoroutinefunction(observer) and not is_loop(where):
        raise TypeError("a coroutine function needs executor=loop: nobody else would await it")
