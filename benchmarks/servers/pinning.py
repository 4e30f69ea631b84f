"""What pinning costs: the bare application on the bare server against the same with confcast, as fast as they answer.

Both servers run at once, and are asked in turns. The application does nothing but answer, so all that confcast does
at a request weighs as much as it can. Throughput includes what the client costs on the same cores; the CPU-time that a
request costs the server's processes does not, and is the sharper figure.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from typing import NamedTuple

from benchmarks.servers.closed_load import ClosedLoad, closed_load
from benchmarks.servers.figures import count
from benchmarks.servers.kinds import SIDES, Kind, Side
from benchmarks.servers.open_load import await_workers
from benchmarks.servers.plan import Plan
from benchmarks.servers.running import Failed, Note, Server, started


class Pinning(NamedTuple):
    """Medians over the rounds; ratios are medians of each pair's.

    Attributes:
        bare: Answers a second of the bare application.
        pinned: And with confcast.
        throughput: The second through the first.
        bare_cpu: Microseconds of CPU that a request costs the bare server.
        pinned_cpu: And with confcast.
        cpu: The second through the first.
        failed: Requests that did not get an answer, of both.
    """

    bare: float
    pinned: float
    throughput: float
    bare_cpu: float
    pinned_cpu: float
    cpu: float
    failed: int


class _Round(NamedTuple):
    rate: float
    cpu: float
    failed: int


def measure(kind: Kind, plan: Plan, notes: list[Note]) -> Pinning:
    """Pairs of rounds, the order reversed in every other pair. Raises Failed."""
    with started(kind, "today", notes) as bare, started(kind, "confcast", notes) as pinned:
        found: dict[Side, list[_Round]] = {side: [] for side in SIDES}
        servers = dict(zip(SIDES, (bare, pinned), strict=True))
        for server in servers.values():
            await_workers(server)
            _round(server, plan.round)
        for number in range(plan.rounds):
            for side in SIDES if number % 2 == 0 else SIDES[::-1]:
                found[side].append(_round(servers[side], plan.round))
    return _reckon(found["today"], found["confcast"])


def _round(server: Server, seconds: float) -> _Round:
    with closed_load(server.port, "/") as load:
        return _asked(server, load, seconds)


def _asked(server: Server, load: ClosedLoad, seconds: float) -> _Round:
    used = server.tree().cpu
    took = load.run(seconds)
    answers = count(load.asked, "answered")
    if not answers:
        raise Failed(f"nobody answered; {server.last_words()}")
    cpu = (server.tree().cpu - used) / answers * 1e6
    return _Round(answers / took, cpu, len(load.asked) - answers)


def _reckon(bare: list[_Round], pinned: list[_Round]) -> Pinning:
    pairs = list(zip(bare, pinned, strict=True))

    def middle(figure: Callable[[_Round, _Round], float]) -> float:
        return median(figure(a, b) for a, b in pairs)

    return Pinning(
        bare=middle(lambda a, b: a.rate),
        pinned=middle(lambda a, b: b.rate),
        throughput=middle(lambda a, b: b.rate / a.rate),
        bare_cpu=middle(lambda a, b: a.cpu),
        pinned_cpu=middle(lambda a, b: b.cpu),
        # Of a server that was given no time at all the system counts nothing.
        cpu=middle(lambda a, b: b.cpu / max(a.cpu, 1e-9)),
        failed=sum(a.failed + b.failed for a, b in pairs),
    )
