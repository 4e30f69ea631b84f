"""What the journal counts of events, in SQLite: one row, written in the transaction that takes the events in.

Guarantees. Each event is counted once, whenever an owner dies, since an event is taken in once. Clearing the history,
and its limit, change no count. Counts begin with the journal; where that is lost, they begin anew.

An earlier confcast knows no such table: it goes on with the journal, and what it loads is not counted. A row that is
damaged, or has other bounds, counts as none: a count that begins anew is one that its readers expect.
"""

from __future__ import annotations

import functools
from bisect import bisect_left
from collections.abc import Iterable

import msgspec

from confcast.owner.store.sqlite_file import Ask
from confcast.wire.load_events import is_load
from confcast.wire.measured import BOUNDS, PHASES, EventCounts, Histogram
from confcast.wire.messages import UNDECODABLE, ReloadEvent, ReloadResult

# Made when first used: a journal of an earlier confcast has no such table, and is opened as it is.
_TABLE = "CREATE TABLE IF NOT EXISTS event_counts(one INTEGER PRIMARY KEY CHECK (one = 1), body BLOB NOT NULL)"

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(EventCounts).decode


def counted(events: Iterable[ReloadEvent], counts: EventCounts) -> EventCounts:
    """The counts with these events, the oldest first."""
    return functools.reduce(_after, events, counts)


def _after(counts: EventCounts, event: ReloadEvent) -> EventCounts:
    of_origin = counts.results.get(event.origin, {})
    result = event.result.value
    results = {**counts.results, event.origin: {**of_origin, result: of_origin.get(result, 0) + 1}}
    judged = _judged(counts, event)
    return msgspec.structs.replace(judged, results=results, durations=_durations(counts.durations, event))


def _judged(counts: EventCounts, event: ReloadEvent) -> EventCounts:
    """The counts with what this event says of the newest load, which what a person sets or goes back to says not."""
    load, is_new = is_load(event), event.version != event.previous_version
    if load and event.result is ReloadResult.ON_TRIAL:
        return msgspec.structs.replace(counts, loaded=event.version)
    undone = event.result is ReloadResult.UNDONE and event.previous_version == counts.loaded
    confirmed = event.origin == "confirm" and bool(event) and is_new and event.version == counts.loaded
    if not (load or undone or confirmed) or event.result is ReloadResult.HELD:
        return counts
    good = bool(event)
    last_good = event.timestamp if good else counts.last_good
    loaded = event.version if good and is_new else counts.loaded
    return msgspec.structs.replace(counts, last=event.timestamp, last_good=last_good, good=good, loaded=loaded)


def _durations(known: dict[str, Histogram], event: ReloadEvent) -> dict[str, Histogram]:
    """The histograms with this event; a phase that took no time did not take place."""
    taken = {phase: getattr(event, f"{phase}_ms" if phase != "total" else "duration_ms") / 1000 for phase in PHASES}
    return {**known, **{phase: _with(known.get(phase), each) for phase, each in taken.items() if each > 0.0}}


def _with(known: Histogram | None, seconds: float) -> Histogram:
    before = Histogram() if known is None else known
    bucket = bisect_left(BOUNDS, seconds)
    counts = (*before.counts[:bucket], before.counts[bucket] + 1, *before.counts[bucket + 1 :])
    return Histogram(counts, before.seconds + seconds)


# Each of these raises what SQLite raises.


def put(ask: Ask, counts: EventCounts) -> None:
    """Replace the row."""
    ask(_TABLE)
    ask("INSERT OR REPLACE INTO event_counts VALUES (1, ?)", (_encode(counts),))


def read(ask: Ask) -> EventCounts:
    """The row, without what waits to be taken in."""
    if not ask("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'event_counts'").fetchone():
        return EventCounts()
    found = ask("SELECT body FROM event_counts").fetchone()
    try:
        counts = _decode(found[0]) if found else EventCounts()
    except (*UNDECODABLE, TypeError):
        return EventCounts()
    wide = all(len(each.counts) == len(BOUNDS) + 1 for each in counts.durations.values())
    return counts if wide and counts.bounds == BOUNDS else msgspec.structs.replace(counts, bounds=BOUNDS, durations={})
