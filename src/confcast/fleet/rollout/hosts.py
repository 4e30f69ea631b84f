"""Which hosts there are, by the reports that an engine has kept.

A host that has moved from one gateway to another is in the summaries of both; what was heard of it last counts.
"""

from __future__ import annotations

from collections.abc import Iterable

from confcast.fleet.reports import BEAT, SEEN_WITHIN, BadReport, Report, Seen, decode_reports

ALIVE_WITHIN = 1.5 * BEAT
"""Seconds after its last sign of life from which on a host has missed a report, so that it is no evidence any more."""


def hosts_of(records: Iterable[tuple[bytes, float]]) -> dict[str, Seen]:
    """Each host that the records of an engine have (`Store.reports`), by its id, as it was seen last.

    A record that can't be read is left out.
    """
    return newest(each for content, age in records for each in _reports(content, age))


def newest(seen: Iterable[Seen]) -> dict[str, Seen]:
    """Each host by its id, as it was seen last."""
    found = dict[str, Seen]()
    for each in seen:
        before = found.get(each.report.host)
        if before is None or (each.age, not each.connected) < (before.age, not before.connected):
            found[each.report.host] = each
    return found


def _reports(content: bytes, age: float) -> tuple[Seen, ...]:
    try:
        return decode_reports(content, age)
    except BadReport:  # of a newer build, or somebody else's
        return ()


def is_there(seen: Seen) -> bool:
    """Whether a host counts as one of the fleet; else it is away."""
    return seen.connected or seen.age <= SEEN_WITHIN


def is_alive(seen: Seen) -> bool:
    """Whether a host has missed no report, so that what it said last still holds."""
    return seen.age <= ALIVE_WITHIN


def called(report: Report) -> str:
    """A host, as messages name it."""
    return report.name or report.host[:12]
