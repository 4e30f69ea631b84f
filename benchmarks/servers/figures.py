"""From what was asked to figures. Pure: times in, times out, all in seconds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import ceil, inf
from typing import NamedTuple

from benchmarks.servers.connection import Asked, Outcome

DURING = 4.0
"""How long after a change requests count as asked during it."""


class Change(NamedTuple):
    """What a change did to those who asked. Seconds since the change, but for what says otherwise.

    Attributes:
        first_new: When the first answer of the new configuration was there; infinite: never.
        last_old: When the last answer of an old one was there; 0: before the change.
        silence: The longest time without any answer.
        p99: Of the answers to what was due in the first seconds after it.
        p99_before: Of the answers to what was due before it.
    """

    first_new: float
    last_old: float
    silence: float
    p99: float
    p99_before: float

    @property
    def until_all_new(self) -> float:
        """From here on every answer was new."""
        return max(self.first_new, self.last_old)


def change(asked: Sequence[Asked], new: int, at: float, end: float) -> Change:
    """Reckon one change.

    Args:
        asked: From some time before the change to the end.
        new: The number that answers show after it.
        at: When it was asked for.
        end: When watching ended; what was due later counts for nothing.
    """
    asked = [each for each in asked if each.due < end]
    after = [each for each in asked if each.done >= at]
    news = [each.done - at for each in after if each.number == new]
    olds = [each.done - at for each in after if each.outcome == "answered" and each.number != new]
    return Change(
        first_new=min(news, default=inf),
        last_old=max(olds, default=0.0),
        silence=longest_silence((each.done for each in asked if each.outcome == "answered"), at, end),
        p99=p99(latencies(each for each in asked if at <= each.due < at + DURING)),
        p99_before=p99(latencies(each for each in asked if each.due < at)),
    )


def longest_silence(times: Iterable[float], at: float, end: float) -> float:
    """The longest time without an answer that touches what lies between the two; their ends count as answers."""
    times = sorted(times)
    last = max((each for each in times if each <= at), default=at)
    marks = [last, *(each for each in times if at < each < end), end]
    return max(b - a for a, b in pairwise(marks))


def is_settled(asked: Sequence[Asked], new: int, since: float) -> bool:
    """Whether answers were new already then, and all have been since; silence settles nothing."""
    recent = 0
    for each in reversed(asked):  # in the order in which they were over
        if each.outcome != "answered":
            continue
        if each.number != new:
            return False
        if each.done < since:
            return recent > 0
        recent += 1
    return False


def count(asked: Iterable[Asked], outcome: Outcome) -> int:
    """How many requests came to that."""
    return sum(each.outcome == outcome for each in asked)


def latencies(asked: Iterable[Asked]) -> list[float]:
    """Of the answers, from when they were due."""
    return [each.done - each.due for each in asked if each.outcome == "answered"]


def p99(values: Iterable[float]) -> float:
    """The least value that 99 % do not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[ceil(len(ordered) * 0.99) - 1] if ordered else 0.0


def pids(asked: Iterable[Asked]) -> frozenset[int]:
    """Who has answered."""
    return frozenset(each.pid for each in asked if each.outcome == "answered")
