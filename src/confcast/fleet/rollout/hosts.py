"""Which hosts there are, by the reports that an engine has kept.

A host that has moved from one gateway to another is in the summaries of both. The one that it has a stream to counts,
and of several the one that has heard of it last: the ages of a stream that was closed, and of the next one that was
opened at once, may be equal.

A gateway names a host from the beginning of its stream on, before the host has reported anything there. Until it has,
what it said last elsewhere counts: else a host that only moves would seem to have no answer any more.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from confcast.fleet.reports import BEAT, SEEN_WITHIN, BadReport, Report, Seen, decode_reports
from confcast.texts import printable

ALIVE_WITHIN = 1.5 * BEAT
"""Seconds after its last sign of life from which on a host has missed a report, so that it is no evidence any more."""


def hosts_of(records: Iterable[tuple[bytes, float]]) -> dict[str, Seen]:
    """Each host that the records of an engine have (`Store.reports`), by its id, as it was seen last.

    A record that can't be read is left out.
    """
    return newest(each for content, age in records for each in _reports(content, age))


def newest(seen: Iterable[Seen]) -> dict[str, Seen]:
    """Each host by its id, as it was seen last."""
    found, said = dict[str, Seen](), dict[str, Seen]()
    for each in seen:
        _keep_newer(found, each)
        if _has_reported(each) and is_there(each):
            _keep_newer(said, each)
    return {host: each if _has_reported(each) else _with(each, said.get(host)) for host, each in found.items()}


def _has_reported(each: Seen) -> bool:
    return bool(each.report.digest) or each.report.state != "loading"


def _keep_newer(found: dict[str, Seen], each: Seen) -> None:
    before = found.get(each.report.host)
    if before is None or (not each.connected, each.age) < (not before.connected, before.age):
        found[each.report.host] = each


def _with(each: Seen, said: Seen | None) -> Seen:
    """A host that has reported nothing where it was seen last, with what it said elsewhere."""
    if said is None:
        return each
    report = msgspec.structs.replace(said.report, name=each.report.name, labels=each.report.labels)
    return Seen(report, each.age, each.connected)


def _reports(content: bytes, age: float) -> tuple[Seen, ...]:
    try:
        return decode_reports(content, age)
    except BadReport:  # of a newer build, or somebody else's
        return ()


def is_there(seen: Seen) -> bool:
    """Whether a host counts as one of the fleet; else it is away."""
    return seen.connected or seen.age <= SEEN_WITHIN


def is_alive(seen: Seen) -> bool:
    """Whether a host has an open stream, or has missed no report, so that what it said last still holds."""
    return seen.connected or seen.age <= ALIVE_WITHIN


def called(report: Report) -> str:
    """A host, as messages name it: whatever it says, one line that a terminal shows as it is."""
    return printable(report.name or report.host[:12])
