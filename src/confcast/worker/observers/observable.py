"""`subscribe`, `unsubscribe` and `changes`, the same on a replica and on a manager; and two of LeIndex's names.

Safe from any thread, and from an observer. Rejected: returning a handle to unsubscribe with (LeIndex's users pass the
observer).
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, get_args, overload

from confcast.worker.async_library import is_async, is_on_trio
from confcast.worker.observers.delivery import Pair
from confcast.worker.observers.dispatcher import Observers
from confcast.worker.observers.subscription import Moment, Subscription, Where, is_loop

if TYPE_CHECKING:  # importing it takes 6 MiB, which a worker without a loop need not pay
    import asyncio

T = TypeVar("T")
P = TypeVar("P")


class Observable(ABC, Generic[T]):
    """An object whose configuration changes: a replica, or a manager."""

    __slots__ = ()

    @property
    @abstractmethod
    def current(self) -> T:
        """The pinned configuration inside a pin, the newest one outside."""

    @abstractmethod
    def _get_observers(self) -> Observers:
        """The observers that `subscribe` adds to; may attach this process first."""

    @abstractmethod
    def _known_observers(self) -> Observers | None:
        """The same observers, or None where this process would have to attach first."""

    @overload
    def subscribe(
        self,
        observer: Callable[[T, T], Any],
        select: None = None,
        *,
        initial: bool = False,
        on: Moment = "commit",
        executor: Where = None,
        loop: asyncio.AbstractEventLoop | None = None,
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
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None: ...

    def subscribe(
        self,
        observer: Callable[[Any, Any], Any],
        select: Callable[[T], Any] | None = None,
        *,
        initial: bool = False,
        on: Moment = "commit",
        executor: Where = None,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Have `observer(old, new)` called after each change, in the order of versions.

        The observer runs in a thread of its own, after this worker's answer was sent: it may be slow, raise (logged and
        counted), or call `reload()`. The first value in a process is no change.

        An application subscribes a library that takes only its own section of the configuration; the library needs to
        know neither the whole schema nor this package, and declares no replica:
        `settings.subscribe(pool.configure, select=lambda config: config.pool, initial=True)` calls it with its section
        now, as (None, section), and again whenever that section has changed.

        On a loop the observer is called in the loop's own thread, and an awaitable that it returns is awaited
        (elsewhere a returned coroutine is a failure, which is logged). Its calls come in the order of versions and one
        at a time: the next begins when the one before is over, and none is left out. Observers do not wait for each
        other. `unsubscribe` on the loop ends the subscription at once, and drops calls that wait for their turn. A loop
        that is found closed is logged once and counted, and ends the subscription; calls that wait are dropped. A
        forked child drops an observer whose loop runs in the parent.

        Args:
            observer: Called with the old and the new configuration, or with the selected parts of them.
            select: Picks the part that matters; the observer is called only when that part changed. `select` runs in
                the observers' thread, even for an observer on a loop.
            initial: Call the observer at once with `(None, value)`, in this thread (or on its loop, or in its
                executor); where there is no value yet, with the first one. No change after it is missed.
            on: `commit`: after the swap here; `settled`: when all workers not excused have applied the version.
            executor: An `Executor`, or an event loop, to call the observer in instead of the observers' thread.
            loop: The event loop on which to call the observer. May be left out for a coroutine function that is
                subscribed in code that runs on a loop, which is then used.

        Raises:
            TypeError: `observer` or `select` can't be called, `executor` or `loop` is something else, both are given,
                or a coroutine function has no loop to be awaited on.
            ValueError: `on` names no moment.
        """
        where = _place(observer, executor, loop)
        _check(observer, select, on, where)
        self._get_observers().add(partial(Subscription, observer, select, initial, on, where))

    def unsubscribe(self, observer: Callable[[Any, Any], Any]) -> bool:
        """End the oldest subscription of this observer. Returns whether there was one."""
        return self._get_observers().remove(observer)

    def get_current_config(self) -> T:
        """`current`, under the name that LeIndex gave it.

        Unlike LeIndex's, the returned object is never changed in place: it keeps its values when a reload comes. Raises
        NotAttached before `attach()` or `start()`.
        """
        return self.current

    def get_observer_count(self) -> int:
        """How many subscriptions there are in this process, under the name that LeIndex gave it.

        An observer that was subscribed twice counts twice. Observers of other processes are not counted; nor is an
        iteration of `changes()`. A manager counts those of the replica that is attached in its process; it
        attaches none for that, and counts 0 without one. Raises NotAttached before a manager's `start()`.
        """
        known = self._known_observers()
        return known.count() if known is not None else 0

    @overload
    def changes(
        self, select: None = None, *, on: Moment = "commit", initial: Literal[False] = False
    ) -> AsyncGenerator[tuple[T, T], None]: ...

    @overload
    def changes(
        self, select: Callable[[T], P], *, on: Moment = "commit", initial: Literal[False] = False
    ) -> AsyncGenerator[tuple[P, P], None]: ...

    @overload
    def changes(
        self, select: None = None, *, on: Moment = "commit", initial: Literal[True]
    ) -> AsyncGenerator[tuple[T | None, T], None]: ...

    @overload
    def changes(
        self, select: Callable[[T], P], *, on: Moment = "commit", initial: Literal[True]
    ) -> AsyncGenerator[tuple[P | None, P], None]: ...

    def changes(
        self, select: Callable[[T], Any] | None = None, *, on: Moment = "commit", initial: bool = False
    ) -> AsyncGenerator[tuple[Any, Any], None]:
        """Yield the changes from this call on to an asyncio or trio task: `async for old, new in settings.changes():`.

        A manager whose process has no attached replica attaches one at the first step, and yields the changes after it.

        A slow task gets what it saw last and the newest: versions between are left out; a value put back is no change.
        So each `old` is the `new` of the pair before, and nothing is queued. An observer (`subscribe`) is called for
        every version instead.

        The iteration ends when this replica or manager is closed, after the last change; when its task is cancelled;
        and with its loop. After a `break` the loop ends it soon; `async with contextlib.aclosing(…) as changes` ends it
        at once. Any number of them may run; each is for one task.

        Args:
            select: Picks the part that matters; only its changes are yielded. `select` runs on the loop.
            on: `commit`: after the swap here; `settled`: when all workers not excused have applied it.
            initial: Begin with `(None, value)`, at once or when there is a first value.

        Raises:
            TypeError: `select` can't be called.
            ValueError: `on` names no moment.
            RuntimeError: At the first step: neither asyncio nor trio runs the task.
        """
        from confcast.worker.observers.changes import read

        _check(read, select, on, None)
        known = self._known_observers()
        seen, closes = Pair(None, None), 0
        if known is not None:
            seen, closes = Pair(None, known.value(on)), known.closes
        return read(known, self._get_observers, select, on, initial, seen, closes)


def _place(observer: Any, executor: Where, loop: Any) -> Where:
    """Where the observer is called; None for the observers' thread."""
    if executor is not None and loop is not None:
        raise TypeError("executor and loop are both given: an observer is called in one place")
    if loop is not None and not is_loop(loop):
        raise TypeError(f"loop is an event loop, not a {type(loop).__name__}")
    where: Where = loop if loop is not None else executor
    if where is None and callable(observer) and is_async(observer):
        return _running_loop()
    return where


def _running_loop() -> asyncio.AbstractEventLoop | None:
    """The loop that the caller runs on; None if there is none, or asyncio is not imported."""
    if "asyncio" not in sys.modules:
        return None
    import asyncio

    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _check(observer: object, select: object, on: str, where: Where) -> None:
    """Refuse at the call a mistake that would show only at the first change, or never."""
    for function in (observer, *(() if select is None else (select,))):
        if not callable(function):
            raise TypeError(f"an observer is called with (old, new); a {type(function).__name__} can't be called")
    if on not in get_args(Moment):
        raise ValueError(f"on={on!r}: an observer is called on 'commit' or 'settled'")
    if where is not None and not is_loop(where) and not hasattr(where, "submit"):
        raise TypeError(f"executor is an Executor or an event loop, not a {type(where).__name__}")
    if callable(observer) and is_async(observer) and not is_loop(where):
        raise TypeError(
            "a coroutine function needs loop=…, unless it is subscribed by code that runs on the loop: nobody else "
            "would await it" + ("; on trio, read changes() in a task" if is_on_trio() else "")
        )
