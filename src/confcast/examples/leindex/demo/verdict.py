"""The judgement of a whole run: pure functions of the answers, of what was known when, and of which workers died.

The rules:

- **Stale**: an answer to a request that was *sent after* the outcome of a reload was known must be of that version or a
  newer one. A request that was sent before may be answered by either version.
- **Lost with a killed worker**: a request that was under way while the demonstration killed a worker with -9, and whose
  connection broke at that moment. No configuration library can answer such a request. It is counted apart.
- **Closed**: a kept connection that was found closed between two requests and was made anew, as HTTP allows.
- **Failed**: every other attempt without an answer of 200.
- Every worker that ever answered is one of the first ones, or replaces one that was killed.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import NamedTuple

from confcast.examples.leindex.demo.load import BROKEN, Answer

_BREAKING_SECONDS = 1.0


class Barrier(NamedTuple):
    """From this moment of time.monotonic() on, requests must be answered with this version or a newer one."""

    known_at: float
    version: int


class Killed(NamedTuple):
    """A worker that was killed: the moments before the signal was sent, and after its process was gone."""

    pid: int
    killed_at: float
    gone_at: float


class Verdict(NamedTuple):
    """The counts of a whole run; true if all rules held."""

    sent: int
    failed: list[Answer]
    stale: list[Answer]
    lost: list[Answer]
    closed: list[Answer]
    replaced: set[int]
    newcomers: set[int]
    killed: set[int]

    def __bool__(self) -> bool:
        workers_held = self.replaced <= self.killed and len(self.newcomers) <= len(self.killed)
        return self.sent > 0 and workers_held and not self.failed and not self.stale

    def __str__(self) -> str:
        counts = {
            "requests sent": self.sent,
            "failed": len(self.failed),
            "older than the barrier allows": len(self.stale),
            "lost with the worker that was killed": len(self.lost),
            "kept connections made anew": len(self.closed),
            "workers killed by the demonstration": " ".join(map(str, sorted(self.killed))) or "none",
            "workers replaced": " ".join(map(str, sorted(self.replaced))) or "none",
        }
        bad = [f"  failed or stale: {answer}" for answer in self.failed[:10] + self.stale[:10]]
        return "\n".join([*(f"{name:46} {count}" for name, count in counts.items()), *bad])


def judge(
    answers: Sequence[Answer], barriers: Iterable[Barrier], killed: Sequence[Killed], first: set[int], living: set[int]
) -> Verdict:
    """Judge a run; `first` are the workers before the first act, `living` those of them that live after the last."""
    failures = [answer for answer in answers if answer.error and answer.error != "closed"]
    lost = [answer for answer in failures if any(_lost(answer, death) for death in killed)]
    return Verdict(
        sent=len(answers),
        failed=[answer for answer in failures if answer not in lost],
        stale=stale(answers, barriers),
        lost=lost,
        closed=[answer for answer in answers if answer.error == "closed"],
        replaced=first - living,
        newcomers={answer.pid for answer in answers if not answer.error} - first,
        killed={death.pid for death in killed},
    )


def stale(answers: Iterable[Answer], barriers: Iterable[Barrier]) -> list[Answer]:
    """The answers of a version older than the one that was known when their requests were sent."""
    ordered = sorted(barriers)
    known = [barrier.known_at for barrier in ordered]
    least = [0, *accumulate((barrier.version for barrier in ordered), max)]
    return [each for each in answers if not each.error and each.version < least[bisect_left(known, each.sent)]]


def _lost(answer: Answer, death: Killed) -> bool:
    """Whether the request was sent before the worker was gone, and broken (not refused, not unanswered) by its end."""
    return (
        answer.error == BROKEN
        and answer.sent <= death.gone_at
        and death.killed_at <= answer.ended <= death.gone_at + _BREAKING_SECONDS
        and answer.pid in (0, death.pid)
    )
