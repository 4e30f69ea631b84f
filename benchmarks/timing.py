"""Timing side by side.

Guarantee: the figures of one call of `alternate` were taken in turns, the order reversed in every other round, so that
a machine that slows down for a second slows all of them. Rejected: the best of many (it hides what a scheduler does
to a protocol of several processes), and means (one pause of the machine decides).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median
from timeit import Timer

Sample = Callable[[], float]
_STATEMENTS = 50


def alternate(rounds: int, samples: Sequence[Sample]) -> list[float]:
    """The median over the rounds of each sample, in the order given."""
    found: list[list[float]] = [[] for _ in samples]
    for number in range(rounds):
        order = range(len(samples)) if number % 2 == 0 else reversed(range(len(samples)))
        for index in order:
            found[index].append(samples[index]())
    return [median(each) for each in found]


def statement(text: str, **names: object) -> Sample:
    """A sample that times an expression in nanoseconds; the names are locals of the function that runs it.

    The expression is written out many times, so that the loop around it weighs little.
    """
    setup = "\n".join(f"{name} = given[{name!r}]" for name in names)
    timer = Timer("\n".join([text] * _STATEMENTS), setup, globals={"given": names})
    loops, _ = timer.autorange()
    loops = max(1, loops // 4)  # autorange aims at 0.2 s; a twentieth of a second is enough for one of many rounds
    return lambda: timer.timeit(loops) / loops / _STATEMENTS * 1e9
