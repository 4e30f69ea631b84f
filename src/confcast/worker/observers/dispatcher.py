"""A replica's observers are called after each swap and each settling, in the order of versions and of subscription.

Observers run in a thread of their own (or on the loop or executor that was given), after the worker's answer to the
owner was sent: an observer may be slow, raise, or call `reload()`, and holds up no vote. An error that one raises is
logged with its name and counted, and the others are called all the same. The thread starts with the first call.

Rejected: calling observers in the reading thread (a slow one would make its worker late in every vote), and calling
them in a signal handler (they would deadlock with any lock that the main thread holds).
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from confcast.log_fields import about
from confcast.wire.signal_mask import application_signals, block_signals
from confcast.worker.observers.delivery import Delivery, Masked, Pair
from confcast.worker.observers.record import ObserverRecord, Run
from confcast.worker.observers.subscription import Joined, Moment, Subscription

T = TypeVar("T")
S = TypeVar("S", bound=Subscription)

_log = logging.getLogger("confcast.observers")

ConfigObserver = Callable[[T, T], Any]
"""What `subscribe` takes: called with the old and the new configuration."""


class Observers:
    """The subscriptions of one replica. Every method may be called from any thread, and from an observer.

    Args:
        newest: Returns the newest configuration, or None while there is none.
        same: Returns whether a selected part is the same in two configurations.
        masked: Masks the secrets of configurations in an error's text.

    Attributes:
        record: The outcomes of the calls.
        closes: How often the replica was closed.
    """

    def __init__(self, newest: Callable[[], Any], same: Callable[[Any, Any], bool], masked: Masked) -> None:
        self.closes = 0
        self._newest = newest
        self.same = same
        self._masked = masked
        self._subscriptions: list[Subscription] = []
        self._number = 0
        self._settled: Any = None
        self.after_fork()

    def after_fork(self) -> None:
        """Drop the queue in a forked child, which has no observers' thread: the parent makes the queued calls."""
        # Reentrant: the garbage collector may run while the lock is held, and a finalizer may unsubscribe.
        self._lock = threading.RLock()
        self.record = ObserverRecord(self._lock)
        # Made with the first call: by then a worker whose threads are green has patched the standard library, and a
        # real queue would hold up all of its greenlets.
        self._calls: queue.SimpleQueue[Run | None] | None = None
        self._thread: threading.Thread | None = None
        self._former: threading.Thread | None = None
        self._subscriptions = [each for each in self._subscriptions if each.after_fork()]

    def add(self, make: Callable[[Joined], S]) -> S:
        """Subscribe what `make` builds. With `initial` and a value, its observer is called now, before any change."""
        with contextlib.ExitStack() as until_called:
            with self._lock:
                subscription = make(Joined(self._number, self.closes, self.value, self.same, self._masked, self.end))
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
        """End the oldest subscription of this observer. Returns whether there was one."""
        with self._lock:
            for subscription in self._subscriptions:
                if subscription.observer == observer:
                    self.end(subscription)
                    return True
        return False

    def count(self) -> int:
        """How many observers are subscribed. An iteration of `changes()` is not counted."""
        with self._lock:
            return sum(subscription.is_observer for subscription in self._subscriptions)

    def end(self, subscription: Subscription) -> None:
        """End this subscription: its observer is not called again, not even by a call that a loop has queued."""
        with self._lock:
            subscription.stop()
            if subscription in self._subscriptions:
                self._subscriptions.remove(subscription)
        self.record.drop(subscription)

    def swapped(self, swap: Callable[[], None], old: Any, new: Any) -> None:
        """Do the swap, and queue its calls: a subscription gets the swap either as its first value or as a change."""
        with self._lock:
            swap()
            if old is None:
                self._settled = new
            self._enqueue("commit", old, new)

    def follow_settlings(self) -> bool:
        """Whether there is a subscription to settlings."""
        return bool(self._subscriptions) and any(each.on == "settled" for each in self._subscriptions)

    def settled(self, config: Any) -> None:
        """Queue the calls for a settling: all workers that were not excused have applied this configuration."""
        with self._lock:
            self._settled = config
            self._enqueue("settled", None, config)

    def assume(self, config: Any) -> None:
        """Count this value as settled, and call no observer (an override's value, or the one after its block)."""
        with self._lock:
            self._settled = config

    def value(self, on: Moment) -> Any:
        """The newest configuration, or the newest settled one; None while there is none."""
        with self._lock:
            return self._newest() if on == "commit" or self._settled is None else self._settled

    def call_here(self, old: Any, new: Any) -> None:
        """Call all observers in this thread, of commits and of settlings, and raise what one raises (for tests)."""
        self.assume(new)
        pair = Pair(old, new)
        for subscription in list(self._subscriptions):
            subscription.call_now(self._delivery(subscription, pair, None), new)

    def close(self) -> None:
        """Have the thread end when it has made the queued calls."""
        with self._lock:
            if self._thread is not None and self._calls is not None:
                self._calls.put(None)
                self._calls, self._former, self._thread = None, self._thread, None

    def replica_closed(self) -> None:
        """End every iteration of `changes()`, since the replica was closed."""
        with self._lock:  # an iteration that begins now either reads the count, or is called
            self.closes += 1
            subscriptions = list(self._subscriptions)
        for subscription in subscriptions:
            subscription.replica_closed()

    def _enqueue(self, on: Moment, old: Any, new: Any) -> None:
        self._number += 1
        if on == "commit":
            self.record.next_version()
        if not self._subscriptions:
            return
        run = Run(self._number, on, Pair(old, new))
        self.record.begin(run, self._subscriptions)
        if self._calls is None:
            self._calls = queue.SimpleQueue()
        self._calls.put(run)
        if self._thread is None:
            self._start_thread(self._calls)

    def _start_thread(self, calls: queue.SimpleQueue[Run | None]) -> None:
        to_run = (calls, self._former, threading.get_native_id())
        thread = threading.Thread(target=self._run, args=to_run, name="confcast-observers", daemon=True)
        try:
            with application_signals():  # the new thread inherits the mask of the thread that swaps
                thread.start()
        except RuntimeError as error:  # no thread can be started: the swap still counts, and the next call tries again
            _log.error("observers are called later: %s", error, extra=about("no_thread", what="observers", error=error))
            return
        self._thread, self._former = thread, None

    def _run(self, calls: queue.SimpleQueue[Run | None], former: threading.Thread | None, starter: int) -> None:
        block_signals(starter)
        if former is not None:  # it makes the calls queued before a `close()` first, so that versions stay in order
            former.join()
        while (run := calls.get()) is not None:
            for subscription in list(self._subscriptions):
                # The subscription's first value covers older runs; and a former observer may have ended it.
                if subscription.since < run.number and subscription in self._subscriptions:
                    self._call(subscription, run)
            self.record.look_again(run)  # a subscription that ended meanwhile is not waited for

    def _call(self, subscription: Subscription, run: Run) -> None:
        with subscription.turn:
            pair = subscription.due(run.on, run.pair, run.is_first)
            if pair is None:
                return
            delivery = self._delivery(subscription, pair, run)
            try:
                with application_signals():
                    subscription.call(delivery)
            except BaseException as error:  # sys.exit() or a cancellation in an observer must not end the thread
                subscription.log_failure(error, delivery)
                delivery.over()

    def _delivery(self, subscription: Subscription, pair: Pair, run: Run | None) -> Delivery:
        record = self.record
        return Delivery(
            pair, lambda text: record.failed(subscription, text, run), lambda: record.is_over(subscription, run)
        )
