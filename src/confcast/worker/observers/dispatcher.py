"""Who is told what, and in which order.

Observers run after the swap, in the order of their subscription, in a thread of their own (or on the loop or executor
that was handed over), while the worker's answer to the owner has left already: an observer may be slow, raise, or call
`reload()`, and holds up no vote. One that raises is logged with its name and counted, and stops nobody. The thread
begins with the first call there is to make.

Rejected: calling observers in the reading thread (a slow one would make its worker late in every vote), and in a
signal handler (it deadlocks with any lock that it shares with the main thread).
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from confcast.wire.signal_mask import application_signals, block_signals
from confcast.worker.observers.delivery import Delivery, Masked, Pair
from confcast.worker.observers.record import ObserverRecord, Run
from confcast.worker.observers.subscription import Joined, Moment, Subscription, as_it_is, equal

T = TypeVar("T")
S = TypeVar("S", bound=Subscription)

_log = logging.getLogger("confcast.observers")

ConfigObserver = Callable[[T, T], Any]
"""What `subscribe` takes: called with the old and the new configuration."""


class Observers:
    """The subscriptions of one replica. Every method may be called from any thread, and from an observer.

    Args:
        newest: Gives the newest configuration, or None while there is none.
        same: Whether a selected part is the same in two configurations.
        masked: Takes the secrets of configurations out of what an observer raised.

    Attributes:
        same: As given.
        record: What became of the calls.
        closes: How often the replica was closed.
    """

    def __init__(
        self, newest: Callable[[], Any], same: Callable[[Any, Any], bool] = equal, masked: Masked = as_it_is
    ) -> None:
        self.closes = 0
        self._newest = newest
        self.same = same
        self._masked = masked
        self._subscriptions: list[Subscription] = []
        self._number = 0
        self._settled: Any = None
        self.after_fork()

    def after_fork(self) -> None:
        """The child has no such thread, and what was queued is the parent's to tell."""
        # Reentrant: the collector may run while it is held, and a finalizer may unsubscribe.
        self._lock = threading.RLock()
        self.record = ObserverRecord(self._lock)
        # Made with the first call: by then a worker whose threads are green has patched the standard library, and a
        # real queue would hold up all of its greenlets.
        self._calls: queue.SimpleQueue[Run | None] | None = None
        self._thread: threading.Thread | None = None
        self._former: threading.Thread | None = None
        self._subscriptions = [each for each in self._subscriptions if each.after_fork()]

    def add(self, make: Callable[[Joined], S]) -> S:
        """Subscribe what `make` builds. With `initial`, and a value, it is called here and now, before any change."""
        with contextlib.ExitStack() as until_called:
            with self._lock:
                joined = Joined(self._number, self.closes, self.value, self.same, self._masked, self.end)
                subscription = make(joined)
                until_called.enter_context(subscription.turn)
                self._subscriptions.append(subscription)
            if subscription.initial and subscription.last is not None:
                delivery = self._delivery(subscription, Pair(None, subscription.last), None)
                try:
                    subscription.call(delivery)
                except Exception as error:
                    subscription.log_failure(error, delivery)
        return subscription

    def remove(self, observer: Callable[[Any, Any], Any]) -> bool:
        """End the oldest subscription of this observer; whether there was one."""
        with self._lock:
            for subscription in self._subscriptions:
                if subscription.observer == observer:
                    self.end(subscription)
                    return True
        return False

    def count(self) -> int:
        """How many observers are subscribed. Who iterates `changes()` has none."""
        with self._lock:
            return sum(subscription.is_observer for subscription in self._subscriptions)

    def end(self, subscription: Subscription) -> None:
        """Call this one no more, not even with what is on its way to a loop. May be called again."""
        with self._lock:
            subscription.stop()
            if subscription in self._subscriptions:
                self._subscriptions.remove(subscription)
        self.record.drop(subscription)

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

    @property
    def failures(self) -> int:
        """How often an observer raised in this process, wherever it was called, or could not be called."""
        return self.record.failures

    def value(self, on: Moment) -> Any:
        """The newest configuration, or the newest that is settled; None while there is none."""
        with self._lock:
            return self._newest() if on == "commit" or self._settled is None else self._settled

    def tell_here(self, old: Any, new: Any) -> None:
        """Tell everyone in this thread, commit and settling, and let what an observer raises through (for tests)."""
        self.assume(new)
        told = Pair(old, new)
        for subscription in list(self._subscriptions):
            subscription.call_now(self._delivery(subscription, told, None), new)

    def close(self) -> None:
        """The thread ends when it has told what is queued."""
        with self._lock:
            if self._thread is not None and self._calls is not None:
                self._calls.put(None)
                self._calls, self._former, self._thread = None, self._thread, None

    def replica_closed(self) -> None:
        """End every iteration of `changes()`: the replica was closed."""
        with self._lock:  # an iteration that begins now is either counted for, or called
            self.closes += 1
            subscriptions = list(self._subscriptions)
        for subscription in subscriptions:
            subscription.replica_closed()

    def _enqueue(self, on: Moment, old: Any, new: Any) -> None:
        self._number += 1
        run = Run(self._number, on, Pair(old, new))
        self.record.begin(run, self._subscriptions)
        if not self._subscriptions:
            return
        if self._calls is None:
            self._calls = queue.SimpleQueue()
        self._calls.put(run)
        if self._thread is None:
            self._start_thread(self._calls)

    def _start_thread(self, calls: queue.SimpleQueue[Run | None]) -> None:
        to_run = (calls, self._former, threading.get_native_id())
        thread = threading.Thread(target=self._run, args=to_run, name="confcast-observers", daemon=True)
        try:
            with application_signals():  # it inherits the mask of the thread that is told of the swap
                thread.start()
        except RuntimeError as error:  # no more threads: the swap counts all the same, and the next call tries again
            _log.error("observers are told later: %s", error)
            return
        self._thread, self._former = thread, None

    def _run(self, calls: queue.SimpleQueue[Run | None], former: threading.Thread | None, starter: int) -> None:
        block_signals(starter)
        if former is not None:  # from before a `close()`, telling what was queued then: the order of versions holds
            former.join()
        while (run := calls.get()) is not None:
            for subscription in list(self._subscriptions):
                # Older runs it has heard of by its first value; and one that was told before may have ended it.
                if subscription.since < run.number and subscription in self._subscriptions:
                    self._tell(subscription, run)
            self.record.look_again(run)  # who unsubscribed meanwhile is waited for no more

    def _tell(self, subscription: Subscription, run: Run) -> None:
        with subscription.turn:
            pair = subscription.due(run.on, run.pair, run.is_first)
            if pair is None:
                return
            delivery = self._delivery(subscription, pair, run)
            try:
                with application_signals():
                    subscription.call(delivery)
            except BaseException as error:  # sys.exit() or a cancellation in an observer must not end everyone's thread
                subscription.log_failure(error, delivery)
                delivery.over()

    def _delivery(self, subscription: Subscription, pair: Pair, run: Run | None) -> Delivery:
        record = self.record
        return Delivery(
            pair, lambda text: record.failed(subscription, text, run), lambda: record.is_over(subscription, run)
        )
