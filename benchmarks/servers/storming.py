"""Twenty reloads a second for ten seconds, against the same ten seconds without, on each server.

As `benchmarks/storm.py` does it on gunicorn, with connections that are kept where the server keeps them. The load is
closed, so everything that a reload costs is missing from the answers; a request works for a third of a millisecond.
Each HUP finds another number, so each is a version that every worker builds, votes on and swaps. Rounds with and
without take turns, and each is compared with its neighbour.
"""

from __future__ import annotations

from statistics import median
from typing import NamedTuple

from benchmarks.servers.closed_load import closed_load
from benchmarks.servers.figures import count, latencies, p99
from benchmarks.servers.kinds import Kind
from benchmarks.servers.open_load import await_workers
from benchmarks.servers.plan import Plan
from benchmarks.servers.running import Failed, Note, Server, started

A_SECOND = 20
_WARM_UP = 1.0


class Storm(NamedTuple):
    """Medians over the rounds; ratios are medians of each pair's.

    Attributes:
        calm: Answers a second without reloads.
        throughput: With reloads, through without.
        calm_p99: Seconds, without reloads.
        p99: With reloads, through without.
        versions: How many different configurations answered, a second.
        failed: Requests that did not get an answer, in all rounds.
    """

    calm: float
    throughput: float
    calm_p99: float
    p99: float
    versions: float
    failed: int


class _Round(NamedTuple):
    rate: float
    p99: float
    versions: float
    failed: int


def measure(kind: Kind, plan: Plan, notes: list[Note]) -> Storm:
    """Pairs of rounds, the order reversed in every other pair. Raises Failed."""
    calm: list[_Round] = []
    storm: list[_Round] = []
    with started(kind, "confcast", notes) as server:
        await_workers(server)
        _round(server, _WARM_UP, reloads=False)
        for number in range(plan.storms):
            for reloads in (number % 2 == 1, number % 2 == 0):
                (storm if reloads else calm).append(_round(server, plan.storm, reloads=reloads))
    pairs = list(zip(calm, storm, strict=True))
    return Storm(
        calm=median(each.rate for each in calm),
        throughput=median(b.rate / a.rate for a, b in pairs),
        calm_p99=median(each.p99 for each in calm),
        p99=median(b.p99 / a.p99 for a, b in pairs),
        versions=median(each.versions for each in storm),
        failed=sum(each.failed for each in (*calm, *storm)),
    )


def _round(server: Server, seconds: float, *, reloads: bool) -> _Round:
    def reload() -> None:
        server.turn()
        server.hup()

    with closed_load(server.port, "/work") as load:
        took = load.run(seconds, A_SECOND, reload) if reloads else load.run(seconds)
        answers = count(load.asked, "answered")
        if not answers:
            raise Failed(f"nobody answered; {server.last_words()}")
        versions = {each.number for each in load.asked if each.outcome == "answered"}
        rate = answers / took
        return _Round(rate, p99(latencies(load.asked)), len(versions) / seconds, len(load.asked) - answers)
