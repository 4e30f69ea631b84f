"""The outcomes of observers' calls in this process: how many failed, and which still run, by the owner's request.

This process reports to the config owner when a call has failed, and, once the owner has asked (`Observe`), whenever one
has run, until all have: so a reload whose caller does not wait for observers costs no message. A request is about the
version that is the newest when it comes, and has reports of its own: calls for an earlier version are reported under
the request about that version. A report holds totals, not what has happened since the last report, so that a lost or
doubled report does no harm. Failures are reported again to each new owner.

Rejected: a marker in the queue of calls (what an observer does on a loop, or in an executor, ends after it), a report
of each call (a message from each worker at each reload), and one report for all requests (an observer that never ends
would keep each later caller waiting).
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from confcast.wire.messages import Observed, ObserverError
from confcast.worker.observers.delivery import Pair
from confcast.worker.observers.subscription import Moment, Subscription

_MOST_NAMED = 20
"""How many observers one report names."""
_MOST_RUNS = 8
"""How many runs of one version are kept, and how many requests about versions whose observers still run."""
_LONGEST_NAME = 200


class Run:
    """The calls of the observers for one moment of one version.

    Attributes:
        number: Its number, counted up in a process.
        on: The moment: `commit` or `settled`.
        pair: The former configuration, and the one that the moment is about.
        owed: The subscriptions whose observers have not run yet.
        errors: How often an observer failed, by its name and by the text of its error.
    """

    __slots__ = ("errors", "number", "on", "owed", "pair")

    def __init__(self, number: int, on: Moment, pair: Pair) -> None:
        self.number = number
        self.on = on
        self.pair = pair
        self.owed: dict[Subscription, None] = {}
        self.errors: dict[tuple[str, str], int] = {}

    @property
    def is_first(self) -> bool:
        """Whether the version is the first value in this process, which is no change."""
        return self.on == "commit" and self.pair.old is None

    def is_for(self, subscription: Subscription) -> bool:
        """Whether this subscription's observer must be called."""
        return subscription.is_observer and (subscription.initial if self.is_first else subscription.on == self.on)


class ObserverRecord:
    """The record of one replica's observers. Any thread may call it: so do executors and loops.

    Args:
        lock: The lock of `Observers`. With a second lock two threads could each hold one and wait for the other: the
            garbage collector may run while this one is held, and a finalizer may take the observers' to unsubscribe.

    Attributes:
        failures: How often an observer raised, or could not be called.
        last_error: The observer that failed last, and why, with secrets masked; "" for none.
    """

    def __init__(self, lock: threading.RLock) -> None:
        self.failures = 0
        self.last_error = ""
        self._newest: list[Run] = []  # the newest version's runs: its commit and its settling
        self._asked: dict[int, list[Run]] = {}  # by the number of the owner's request: runs that are not over
        self._report: Callable[[Observed], None] = _send_nowhere
        self._lock = lock

    def report_to(self, report: Callable[[Observed], None]) -> None:
        """Send reports with this function from now on; earlier failures are reported at once."""
        with self._lock:
            self._report = report
            observed = self._totals() if self.failures else None
        if observed is not None:
            report(observed)

    def next_version(self) -> None:
        """Note that a version has come. Requests about the version before keep its runs."""
        with self._lock:
            self._newest = []

    def begin(self, run: Run, subscriptions: Iterable[Subscription]) -> None:
        """Note that the observers of these subscriptions are about to be called, for the newest version."""
        with self._lock:
            run.owed = {each: None for each in subscriptions if run.is_for(each)}
            self._newest.append(run)
            del self._newest[:-_MOST_RUNS]

    def is_over(self, subscription: Subscription, run: Run | None) -> None:
        """Note that an observer has run. `run` None: for the first value of `initial`, for which no caller waits."""
        if run is not None:
            with self._lock:
                run.owed.pop(subscription, None)
            self.look_again(run)

    def failed(self, subscription: Subscription, text: str, run: Run | None) -> None:
        """Note that this observer raised, or could not be called."""
        name = subscription.name[:_LONGEST_NAME]
        with self._lock:
            self.failures += 1
            self.last_error = f"{name}: {text}"
            if run is not None:
                run.errors[name, text] = run.errors.get((name, text), 0) + 1
            report, observed = self._report, [self._totals(number) for number in self._about(run)] or [self._totals()]
        for each in observed:
            report(each)

    def ask(self, number: int) -> None:
        """Report under the owner's number, now and whenever an observer of the newest version has run, until all have.

        The number 0 means that the owner is new, and has not asked.
        """
        with self._lock:
            others = [each for each in self._asked.items() if each[1] is not self._newest]
            self._asked = dict([*others, (number, self._newest)][-_MOST_RUNS:]) if number else {}
        self._report_each([number])

    def drop(self, subscription: Subscription) -> None:
        """Forget a subscription that has ended. Sends no message, since the garbage collector may call this."""
        with self._lock:
            for runs in (self._newest, *self._asked.values()):
                for run in runs:
                    run.owed.pop(subscription, None)

    def look_again(self, run: Run) -> None:
        """Report to the requests about this run that an observer has run, or was unsubscribed."""
        with self._lock:
            numbers = self._about(run)
        self._report_each(numbers)

    def _about(self, run: Run | None) -> list[int]:
        return [number for number, runs in self._asked.items() if run in runs]

    def _report_each(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            with self._lock:
                if number not in self._asked:
                    continue
                report, observed = self._report, self._totals(number)
                if not observed.waits_for:
                    del self._asked[number]
            report(observed)

    def _totals(self, number: int = 0) -> Observed:
        runs = self._asked.get(number, self._newest)
        errors: Counter[tuple[str, str]] = Counter()
        for run in runs:
            errors.update(run.errors)
        waits_for = {each.name[:_LONGEST_NAME]: None for run in runs for each in run.owed if not each.ended}
        return Observed(
            number,
            self.failures,
            self.last_error,
            tuple(ObserverError(0, name, text, count) for (name, text), count in errors.most_common(_MOST_NAMED)),
            tuple(waits_for)[:_MOST_NAMED],
            max((each for each in self._asked if each < number), default=0),
        )


def _send_nowhere(report: Observed) -> None:
    """Drop a report, since this process has had no owner yet."""
