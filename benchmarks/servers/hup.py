"""A HUP to the master: today's server against the same one with confcast, under the same load.

Both sides start the same application, which takes 1.5 CPU-seconds to import, and are told to change by a new file and a
HUP. Extra CPU is what master, owner and workers used from the change until all was quiet again, less what the load
alone had cost them a second before. A change with confcast is over soon, so there are several, of which the median
counts, and of silence and failures the worst.
"""

from __future__ import annotations

from collections import Counter
from statistics import median
from time import monotonic
from typing import NamedTuple

from benchmarks.servers.connection import Asked
from benchmarks.servers.figures import Change, change, count, is_settled, pids
from benchmarks.servers.kinds import Kind, Side
from benchmarks.servers.open_load import OpenLoad, await_workers
from benchmarks.servers.plan import Plan
from benchmarks.servers.running import Failed, Note, Server, started

IMPORT_SECONDS = 1.5
_LIMIT = 60.0


class Case(NamedTuple):
    """One side of a server. Seconds; of several changes the median, but for what says otherwise.

    Attributes:
        first_new: From the change to the first new answer.
        last_old: To the last old one.
        until_all_new: Until every answer was new: the later of the two.
        slowest: The same, of the change that took longest.
        silence: The longest time with no answer, of all changes.
        failed: Requests that failed from the first change on.
        lost: Requests lost with a kept connection; not in `failed`.
        reasons: Why requests failed or were lost, and how many for each.
        p99_before: Of answers before a change.
        p99: Of answers during the first seconds after a change.
        extra_cpu: CPU-seconds of a change.
        changes: How many there were.
        requests: How many requests there were from the first change on.
        pids_kept: Whether the workers that answered before lived to the end, and nobody else answered after it.
    """

    first_new: float
    last_old: float
    until_all_new: float
    slowest: float
    silence: float
    failed: int
    lost: int
    reasons: dict[str, int]
    p99_before: float
    p99: float
    extra_cpu: float
    changes: int
    requests: int
    pids_kept: bool = False


def measure(kind: Kind, side: Side, plan: Plan, notes: list[Note]) -> Case:
    """Start one side of a server, load it, change it. Raises Failed."""
    with started(kind, side, notes, IMPORT_SECONDS) as server:
        workers = await_workers(server)
        load = OpenLoad(server.port)
        try:
            load.run(plan.rest)  # what a first request costs is paid
            case = _changes(server, load, plan, plan.changes if side == "confcast" else 1)
            return case._replace(pids_kept=_after(load, plan) <= workers <= server.tree().pids)
        finally:
            load.close()


def _changes(server: Server, load: OpenLoad, plan: Plan, changes: int) -> Case:
    load.asked.clear()
    used, began = server.tree().cpu, monotonic()
    load.run(plan.before)
    rate = (server.tree().cpu - used) / (monotonic() - began)
    seen, cpu, first = [], [], monotonic()
    for _ in range(changes):
        used = server.tree().cpu
        server.turn()
        at = monotonic()
        server.hup()
        end = _await_settled(server, load, plan, at)
        cpu.append(server.tree().cpu - used - rate * (end - at))
        seen.append((server.number, at, end))
    load.finish()
    found = [change(_from(load, at - plan.before), number, at, end) for number, at, end in seen]
    return _case(found, cpu, load, first)


def _await_settled(server: Server, load: OpenLoad, plan: Plan, at: float) -> float:
    """The moment when every answer has been new for a while. Raises Failed."""

    def is_over(now: float) -> bool:
        server.check()
        return now >= at + plan.least and is_settled(load.asked, server.number, now - plan.rest)

    if not load.run(_LIMIT, is_over):
        raise Failed(f"answers were not all new {_LIMIT:g} s after the HUP; {server.last_words()}")
    return monotonic()


def _after(load: OpenLoad, plan: Plan) -> frozenset[int]:
    """Who answered when the last change was over."""
    return pids(_from(load, max(each.due for each in load.asked) - plan.rest))


def _from(load: OpenLoad, moment: float) -> list[Asked]:
    return [each for each in load.asked if each.due >= moment]


def _case(found: list[Change], cpu: list[float], load: OpenLoad, first: float) -> Case:
    asked = [each for each in load.asked if each.done >= first]
    return Case(
        first_new=median(each.first_new for each in found),
        last_old=median(each.last_old for each in found),
        until_all_new=median(each.until_all_new for each in found),
        slowest=max(each.until_all_new for each in found),
        silence=max(each.silence for each in found),
        failed=count(asked, "failed"),
        lost=count(asked, "lost"),
        reasons=dict(Counter(each.why for each in asked if each.outcome != "answered")),
        p99_before=median(each.p99_before for each in found),
        p99=median(each.p99 for each in found),
        extra_cpu=median(cpu),
        changes=len(found),
        requests=len(asked),
    )
