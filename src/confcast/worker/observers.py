"""Who is told what, where, and what happens when it raises.

Observers run after the swap, in the order of their subscription, in a thread of their own (or on the loop or executor
that was handed over), while the worker's answer to the owner has left already: an observer may be slow, raise, or call
`reload()`, and holds up no vote. One that raises is logged with its name and counted, and stops nobody. The thread
begins with the first call there is to make.

Rejected: calling observers in the reading thread (a slow one would make its worker late in every vote), and in a
signal handler (it deadlocks with any lock that it shares with the main thread).
"""

from __future__ import annotations

import inspect
import logging
import queue
import sys
import threading
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, TypeVar, cast

from confcast.worker.precommit import name_of

if TYPE_CHECKING:  # 6 MiB, which a worker without a loop need not pay
    import asyncio
    from concurrent.futures import Executor

T = TypeVar("T")

_log = logging.getLogger("confcast.observers")

Moment = Literal["commit", "settled"]
Where: TypeAlias = "Executor | asyncio.AbstractEventLoop | None"
Configs: TypeAlias = tuple[Any, Any]
Masked: TypeAlias = Callable[..., str]
"""Called with a text, what to say instead, and configurations whose secrets it must not show."""


ConfigObserver = Callable[[T, T], Any]
"""What `subscribe` takes: called with the old and the new configuration."""


class Subscription:
    """One observer, what it wants to hear of, and where it is called."""

    def __init__(
        self,
        observer: Callable[[Any, Any], Any],
        select: Callable[[Any], Any] | None,
        initial: bool,
        on: Moment,
        where: Where,
    ) -> None:
        self.observer = observer
        self.select = select
        self.initial = initial
        self.on = on
        self.where = where
        self.since = 0
        self.last: Any = None
        # Held while the initial call runs in the subscriber's thread: the first change waits for it.
        self.turn = threading.RLock()
        self.failed: Callable[[], None] = _uncounted
        self.same: Callable[[Any, Any], bool] = _equal
        self.masked: Masked = _as_it_is

    @property
    def name(self) -> str:
        """For a log line."""
        return name_of(self.observer)

    def call(self, old: Any, new: Any) -> None:
        """Tell the observer, unless the part that it selected is the same. Raises what the observer raises."""
        configs = (old, new)
        if self.select is not None:
            first = old is None
            old, new = (None if first else self.select(old)), self.select(new)
            if not first and self.same(old, new):
                return
        if self.where is None:
            self.observer(old, new)
        elif is_loop(self.where):
            loop = cast("asyncio.AbstractEventLoop", self.where)
            loop.call_soon_threadsafe(self._call_on_loop, loop, configs, old, new)
        else:
            cast("Executor", self.where).submit(self._call_logged, configs, old, new)

    def _call_on_loop(self, loop: asyncio.AbstractEventLoop, configs: Configs, old: Any, new: Any) -> None:
        if inspect.iscoroutinefunction(self.observer):
            task = loop.create_task(self._await_logged(configs, old, new))
            _tasks.add(task)  # a loop keeps only weak references to its tasks
            task.add_done_callback(_tasks.discard)
        else:
            self._call_logged(configs, old, new)

    async def _await_logged(self, configs: Configs, old: Any, new: Any) -> None:
        try:
            await self.observer(old, new)
        except Exception:
            self.log_failure(*configs)

    def _call_logged(self, configs: Configs, old: Any, new: Any) -> None:
        try:
            self.observer(old, new)
        except BaseException as error:
            self.log_failure(*configs)
            if not isinstance(error, Exception):  # a loop's own business; an executor's future would have kept it
                raise

    def log_failure(self, *configs: Any) -> None:
        """In the handler of what it raised, with the whole configurations that it was told of."""
        self.failed()
        told = "observer %s raised; the configuration is applied all the same"
        raised = traceback.format_exc()
        shown = self.masked(raised, type(sys.exception()).__name__, *configs)
        if shown == raised:
            _log.exception(told, self.name)
        else:  # and without the exception: handlers would write out what is masked
            _log.error(f"{told}\n%s", self.name, shown.rstrip())


def is_loop(where: Where) -> bool:
    """Whether it is an event loop; told by its method, so that a worker without one need not import asyncio."""
    return hasattr(where, "call_soon_threadsafe")


def _uncounted() -> None:
    """A subscription that was never added counts nowhere."""


def _as_it_is(text: str, instead: str, *configs: Any) -> str:
    return text


def _equal(old: Any, new: Any) -> bool:
    return type(old) is type(new) and bool(old == new)


_tasks: set[asyncio.Task[None]] = set()


class _Call(NamedTuple):
    number: int
    on: Moment
    old: Any
    new: Any


class Observers:
    """The subscriptions of one replica. Every method may be called from any thread, and from an observer.

    Args:
        newest: Gives the newest configuration, or None while there is none.
        same: Whether a selected part is the same in two configurations.
        masked: Takes the secrets of configurations out of what an observer raised.

    Attributes:
        failures: How often an observer raised, wherever it was called.
    """

    def __init__(
        self, newest: Callable[[], Any], same: Callable[[Any, Any], bool] = _equal, masked: Masked = _as_it_is
    ) -> None:
        self.failures = 0
        self._newest = newest
        self._same = same
        self._masked = masked
        self._subscriptions: list[Subscription] = []
        self._number = 0
        self._settled: Any = None
        self.after_fork()

    def after_fork(self) -> None:
        """The child has no such thread, and what was queued is the parent's to tell."""
        # Reentrant: the collector may run while it is held, and a finalizer may unsubscribe.
        self._lock = threading.RLock()
        self._counting = threading.Lock()
        # Made with the first call: by then a worker whose threads are green has patched the standard library, and a
        # real queue would hold up all of its greenlets.
        self._calls: queue.SimpleQueue[_Call | None] | None = None
        self._thread: threading.Thread | None = None
        self._former: threading.Thread | None = None
        for subscription in self._subscriptions:
            subscription.turn = threading.RLock()

    def add(self, subscription: Subscription) -> None:
        """Subscribe. With `initial`, and when there is a value, it is called here and now, before any change."""
        with subscription.turn:
            with self._lock:
                subscription.failed, subscription.same, subscription.masked = self._count, self._same, self._masked
                self._subscriptions.append(subscription)
                subscription.since = self._number
                settled = self._settled if subscription.on == "settled" else None
                value = subscription.last = self._newest() if settled is None else settled
            if subscription.initial and value is not None:
                try:
                    subscription.call(None, value)
                except Exception:
                    subscription.log_failure(value)

    def remove(self, observer: Callable[[Any, Any], Any]) -> bool:
        """End the oldest subscription of this observer; whether there was one."""
        with self._lock:
            for subscription in self._subscriptions:
                if subscription.observer == observer:
                    self._subscriptions.remove(subscription)
                    return True
        return False

    def swapped(self, swap: Callable[[], None], old: Any, new: Any) -> None:
        """Do the swap so that a subscription sees it either as its first value or as a change, and tell of it."""
        with self._lock:
            swap()
            if old is None:
                self._settled = new
            self._enqueue("commit", old, new)

    def follow_settlings(self) -> bool:
        """Whether anybody waits for a settling."""
        return any(subscription.on == "settled" for subscription in self._subscriptions)

    def settled(self, config: Any) -> None:
        """Tell those who wait for the settling."""
        with self._lock:
            self._settled = config
            self._enqueue("settled", None, config)

    def assume(self, config: Any) -> None:
        """This value counts as settled; nobody is told (the value of an override, or the one after it)."""
        with self._lock:
            self._settled = config

    def tell_here(self, old: Any, new: Any) -> None:
        """Tell everyone in this thread, commit and settling, and let what an observer raises through (for tests)."""
        self.assume(new)
        for subscription in list(self._subscriptions):
            subscription.call(old, new)
            subscription.last = new

    def close(self) -> None:
        """The thread ends when it has told what is queued."""
        with self._lock:
            if self._thread is not None and self._calls is not None:
                self._calls.put(None)
                self._calls, self._former, self._thread = None, self._thread, None

    def _enqueue(self, on: Moment, old: Any, new: Any) -> None:
        self._number += 1
        if not self._subscriptions:
            return
        if self._calls is None:
            self._calls = queue.SimpleQueue()
        self._calls.put(_Call(self._number, on, old, new))
        if self._thread is None:
            self._start_thread(self._calls)

    def _start_thread(self, calls: queue.SimpleQueue[_Call | None]) -> None:
        thread = threading.Thread(target=self._run, args=(calls, self._former), name="confcast-observers", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # no more threads: the swap counts all the same, and the next call tries again
            _log.error("observers are told later: %s", error)
            return
        self._thread, self._former = thread, None

    def _run(self, calls: queue.SimpleQueue[_Call | None], former: threading.Thread | None) -> None:
        if former is not None:  # from before a `close()`, telling what was queued then: the order of versions holds
            former.join()
        while (call := calls.get()) is not None:
            for subscription in list(self._subscriptions):
                # Older calls it has heard of by its first value; and one that was told before may have ended it.
                if subscription.since < call.number and subscription in self._subscriptions:
                    self._tell(subscription, call)

    def _tell(self, subscription: Subscription, call: _Call) -> None:
        last = subscription.last
        try:
            with subscription.turn:
                self._tell_in_turn(subscription, call)
        except BaseException:  # sys.exit() or a cancellation in an observer must not end everyone's thread
            subscription.log_failure(last, call.old, call.new)

    def _count(self) -> None:
        with self._counting:
            self.failures += 1

    def _tell_in_turn(self, subscription: Subscription, call: _Call) -> None:
        """The first value in a process is no change: only those who asked for it hear it."""
        if call.on == "commit" and call.old is None:
            subscription.last = call.new
            if subscription.initial:
                subscription.call(None, call.new)
        elif subscription.on == call.on == "commit":
            subscription.call(call.old, call.new)
        elif subscription.on == call.on:
            last, subscription.last = subscription.last, call.new
            subscription.call(last, call.new)
