"""What became of the observers' calls in this process: how many failed, and which still run for what was asked about.

The config owner is told when one has failed, and, once it has asked (`Observe`), at each step until all have run: so a
reload that nobody waits for costs no message. A question is about the version that is the newest when it comes, and is
answered for itself: what an observer does for an earlier version is told to whoever asked about that one. A report says
how things stand, and not what has happened since the one before: one that is lost, or comes twice, does no harm. What
failed is told again to each owner that this process meets.

Any thread may call it: observers run in the observers' thread, in executors and on loops.

Rejected: a marker in the queue of calls (what an observer does on a loop, or in an executor, ends after it), a report
of each call (a message from each worker at each reload), and one answer for all that was asked (an observer that never
ends would keep each later caller waiting).
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from confcast.wire.messages import Observed, ObserverError
from confcast.worker.observers.delivery import Pair
from confcast.worker.observers.subscription import Moment, Subscription

_MOST_TOLD = 20
"""Observers that one report names."""

_MOST_RUNS = 8
"""Of one version, and questions about versions whose observers still run."""

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
        self._newest: list[Run] = []  # the commit of what runs here, and its settling
        self._asked: dict[int, list[Run]] = {}  # what each question is about, if not all have run; in their order
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
            if run.on == "commit":
                self._newest = []  # the runs before are kept by whoever has asked about them
            self._newest.append(run)
            del self._newest[:-_MOST_RUNS]

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
            report, told = self._report, [self._present(number) for number in self._about(run)] or [self._present()]
        for each in told:
            report(each)

    def ask(self, number: int) -> None:
        """The owner wants to know when the newest version's observers have run: told now, and at each step.

        0: an owner was met anew, and has not asked.
        """
        with self._lock:
            others = [each for each in self._asked.items() if each[1] is not self._newest]
            self._asked = dict([*others, (number, self._newest)][-_MOST_RUNS:]) if number else {}
        self._tell([number])

    def drop(self, subscription: Subscription) -> None:
        """The subscription has ended: keep nothing of it. The collector may call this; no message is sent."""
        with self._lock:
            for runs in (self._newest, *self._asked.values()):
                for run in runs:
                    run.owed.pop(subscription, None)

    def look_again(self, run: Run) -> None:
        """An observer has run, or is unsubscribed: tell the owner, if it waits for this run."""
        with self._lock:
            numbers = self._about(run)
        self._tell(numbers)

    def _about(self, run: Run | None) -> list[int]:
        return [number for number, runs in self._asked.items() if run in runs]

    def _tell(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            with self._lock:
                if number not in self._asked:
                    continue
                report, told = self._report, self._present(number)
                if not told.waits_for:
                    del self._asked[number]
            report(told)

    def _present(self, number: int = 0) -> Observed:
        runs = self._asked.get(number, self._newest)
        errors: Counter[tuple[str, str]] = Counter()
        for run in runs:
            errors += run.errors
        waits_for = {each.name[:_LONGEST_NAME]: None for run in runs for each in run.owed if not each.ended}
        return Observed(
            number,
            self.failures,
            self.last_error,
            tuple(ObserverError(0, name, text, count) for (name, text), count in errors.most_common(_MOST_TOLD)),
            tuple(waits_for)[:_MOST_TOLD],
            max((each for each in self._asked if each < number), default=0),
        )


def _to_nobody(report: Observed) -> None:
    """This process has not met an owner yet."""
