"""What an owner counts of its loads: by origin and result, with histograms of their durations, for metrics.

It is data alone: the journal keeps it (`owner/store/event_counts.py`), an answer carries it, and `confcast.metrics`
makes families of it. Rejected: the history as what is counted (it has the last hundred events only, and a count that
goes down where the oldest ends is none), and one struct for both a count and its name (names are the collector's).
"""

from __future__ import annotations

import msgspec

BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""The upper bounds of the buckets, in seconds: a load into four workers takes some milliseconds, one that waits for a
worker until its deadlines at most some ten seconds by the default options."""

PHASES = ("load", "stage", "journal", "commit", "total")
"""The parts of a load, as an event's `load_ms` and so on, and all of it."""


class Histogram(msgspec.Struct, frozen=True, array_like=True):
    """How long something took, each time.

    Attributes:
        counts: How often it took so long, by bucket, the last one for whatever is above all bounds; not cumulative.
        seconds: How long it took, all times together.
    """

    counts: tuple[int, ...] = (0,) * (len(BOUNDS) + 1)
    seconds: float = 0.0


class EventCounts(msgspec.Struct, frozen=True, array_like=True):
    """What all events were, since the journal began.

    Attributes:
        bounds: The bounds that `durations` were counted with; of others than today's, none are kept.
        results: How many events there were, by origin, then by result.
        durations: By phase; of events in which that phase took place.
        last: When the newest load of the sources began, in seconds since 1970; 0.0: none did. A load that only found a
            version held, a call that expected another version, and a version that is on trial say neither that it went
            well nor that it did not. What a person has set, or gone back to, is no load.
        last_good: When the newest one began that was applied, or found nothing to change; 0.0: none was.
        good: Whether the newest one was, and has not been undone since.
        loaded: The newest version that a load has made, committed or on trial; an undo of it is of that load.
    """

    bounds: tuple[float, ...] = BOUNDS
    results: dict[str, dict[str, int]] = {}
    durations: dict[str, Histogram] = {}
    last: float = 0.0
    last_good: float = 0.0
    good: bool = False
    loaded: int = 0


class OwnerProcess(msgspec.Struct, frozen=True, array_like=True):
    """The owner's own process; 0 for what the system does not say.

    Attributes:
        started: When it began, in seconds since 1970.
        cpu_seconds: How much of a processor it has used.
        resident_bytes: How much memory it has.
    """

    started: float = 0.0
    cpu_seconds: float = 0.0
    resident_bytes: int = 0


class WebhookCounts(msgspec.Struct, frozen=True, array_like=True):
    """What became of one webhook's messages, as the totals tell it.

    Attributes:
        delivered: How many it has taken.
        failed: How many tries have failed.
        dropped: How many it was never given.
        pending: How many it is owed.
        gone: Whether its receiver has said that it wants no more.
    """

    delivered: int = 0
    failed: int = 0
    dropped: int = 0
    pending: int = 0
    gone: bool = False
