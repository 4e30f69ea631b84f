"""How long each part takes, in a full run and in a quick one, which shows that all works and measures nothing well."""

from __future__ import annotations

from typing import NamedTuple


class Plan(NamedTuple):
    """Seconds, and how often.

    Attributes:
        before: Load before the first change; its p99 and CPU are what the change is compared with.
        least: Load after a change, at the least.
        rest: A change is over when for so long every answer was new.
        changes: How often the confcast side is changed. Today's is changed once: it takes its time.
        rounds: Pairs of rounds, bare and pinned.
        round: The length of one.
        storms: Pairs of rounds, calm and storm.
        storm: The length of one.
    """

    before: float
    least: float
    rest: float
    changes: int
    rounds: int
    round: float
    storms: int
    storm: float


FULL = Plan(before=3, least=4, rest=2, changes=3, rounds=11, round=0.6, storms=3, storm=10)
QUICK = Plan(before=2, least=2, rest=1.5, changes=2, rounds=2, round=0.5, storms=1, storm=2)
