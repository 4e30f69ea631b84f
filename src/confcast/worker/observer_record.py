"""What became of the observers' calls in this process: how many failed, and which of the newest version still run.

The config owner is told when one has failed, and, once it has asked (`Observe`), at each step until all have run: so a
reload that nobody waits for costs no message. A report says how things stand, and not what has happened since the one
before: one that is lost, or comes twice, does no harm. It is told again to each owner that this process meets.

Any thread may call it: observers run in the observers' thread, in executors and on loops.

Rejected: a marker in the queue of calls (what an observer does on a loop, or in an executor, ends after it), and a
report of each call (a message from each worker at each reload).
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable

from confcast.wire.messages import Observed, ObserverError
from confcast.worker.delivery import Pair
from confcast.worker.subscription import Moment, Subscription

_MOST_TOLD = 20
_MOST_RUNS = 8
"""Observers that one report names."""

_LONGEST_NAME = 200


class Run:
    """One moment of one version, on its way to the observers.

    Attributes:
        number: Counts up in a process.
        on: Which moment.
        pair: The configuration before, and the one that the moment is about.
        owed: The subscriptions whose observers have not run yet.
        errors: How often an observer failed, by its name and by the text of its error.
    """

    __slots__ = ("errors", "number", "on", "owed", "pair")

    def __init__(self, number: int, on: Moment, pair: Pair) -> None:
        self.number = number
        self.on = on
        self.pair = pair
        self.owed: dict[Subscription, None] = {}
        self.errors: Counter[tuple[str, str]] = Counter()

    @property
    def is_first(self) -> bool:
        """Whether it is about the first value in this process, which is no change."""
        return self.on == "commit" and self.pair.old is None

    def is_for(self, subscription: Subscription) -> bool:
        """Whether this subscription's observer is to be called."""
        return subscription.is_observer and (subscription.initial if self.is_first else subscription.on == self.on)


class ObserverRecord:
    """Of one replica in one process.

    Args:
        lock: The observers' own. With one of its own, the collector could take theirs while this is held (a finalizer
            unsubscribes), and another thread this one while theirs is.

    Attributes:
        failures: How often an observer raised, or could not be called.
        last_error: Which one it was the last time, and why, with no secret in it; empty for never.
    """

    def __init__(self, lock: threading.RLock) -> None:
        self.failures = 0
        self.last_error = ""
        self._newest: list[Run] = []  # the commit of what runs here, its settling, and those before that still run
        self._asked = 0
        self._report: Callable[[Observed], None] = _to_nobody
        self._lock = lock

    def report_to(self, report: Callable[[Observed], None]) -> None:
        """From now on this is how the owner is told. What failed before is told at once."""
        with self._lock:
            self._report = report
            told = self._present() if self.failures else None
        if told is not None:
            report(told)

    def begin(self, run: Run, subscriptions: Iterable[Subscription]) -> None:
        """The observers of these subscriptions are about to be called."""
        with self._lock:
            run.owed = {each: None for each in subscriptions if run.is_for(each)}
            # Of a version that another one follows what still runs is kept: its caller hears of its failures, too.
            former = [each for each in self._newest if each.owed or run.on == "settled"]
            self._newest = [*former[-_MOST_RUNS:], run]

    def is_over(self, subscription: Subscription, run: Run | None) -> None:
        """Its observer has run. `run` None: for the first value of an `initial` one, which no caller waits for."""
        if run is not None:
            with self._lock:
                run.owed.pop(subscription, None)
            self.look_again(run)

    def failed(self, subscription: Subscription, text: str, run: Run | None) -> None:
        """Its observer raised, or could not be called."""
        name = subscription.name[:_LONGEST_NAME]
        with self._lock:
            self.failures += 1
            self.last_error = f"{name}: {text}"
            if run is not None:
                run.errors[name, text] += 1
            report, told = self._report, self._present()
        report(told)

    def ask(self, number: int) -> None:
        """The owner wants to know when the newest version's observers have run: told now, and at each step.

        0: an owner was met anew, and has not asked.
        """
        with self._lock:
            self._asked = number
        self._tell_if_asked()

    def drop(self, subscription: Subscription) -> None:
        """The subscription has ended: keep nothing of it. The collector may call this; no message is sent."""
        with self._lock:
            for run in self._newest:
                run.owed.pop(subscription, None)

    def look_again(self, run: Run) -> None:
        """An observer has run, or is unsubscribed: tell the owner, if it waits for this run."""
        if run in self._newest:
            self._tell_if_asked()

    def _tell_if_asked(self) -> None:
        with self._lock:
            if not self._asked:
                return
            report, told = self._report, self._present()
            if not told.waits_for:
                self._asked = 0
        report(told)

    def _present(self) -> Observed:
        errors: Counter[tuple[str, str]] = Counter()
        for run in self._newest:
            errors += run.errors
        waits_for = {each.name[:_LONGEST_NAME]: None for run in self._newest for each in run.owed if not each.ended}
        return Observed(
            self._asked,
            self.failures,
            self.last_error,
            tuple(ObserverError(0, name, text, count) for (name, text), count in errors.most_common(_MOST_TOLD)),
            tuple(waits_for)[:_MOST_TOLD],
        )


def _to_nobody(report: Observed) -> None:
    """This process has not met an owner yet."""
