"""Which events say what became of the sources' content: the owner's status and the command line agree on it here."""

from __future__ import annotations

from collections.abc import Iterable

from confcast.wire.messages import ReloadEvent, ReloadResult

LOOK_BACK = 20
"""How many events are searched for the last load."""

_NO_LOADS = frozenset({"reissue", "late", "rollback", "expiry", "set", "unset"})
"""The origins of events that say nothing of the sources' content, or not of it alone."""


def last_load(events: Iterable[ReloadEvent]) -> ReloadEvent | None:
    """The newest event of a load of the sources; `events`: the newest first."""
    return next(filter(is_load, events), None)


def is_load(event: ReloadEvent) -> bool:
    """Whether this event says what became of the sources' content."""
    return event.origin not in _NO_LOADS and event.result is not ReloadResult.CONFLICT
