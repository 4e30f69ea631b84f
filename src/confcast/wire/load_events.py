"""Which events say what became of the sources' content: the owner's status and the command line agree on it here."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

from confcast.wire.messages import ReloadEvent, ReloadResult

LOOK_BACK = 20
"""How many events are searched for the last load."""

_NO_LOADS = frozenset({"reissue", "late", "rollback", "last_good", "expiry", "set", "unset", "confirm", "undo"})
"""The origins of events that say nothing of the sources' content, or not of it alone."""


def last_load(events: Sequence[ReloadEvent]) -> ReloadEvent | None:
    """The newest event that says what became of the sources' content; `events`: the newest first.

    It is a load of the sources, or an undo that has taken back what a load committed while the window was open.
    """
    for index, event in enumerate(events):
        if is_load(event) or (event.result is ReloadResult.UNDONE and _loaded_in_window(events[index + 1 :])):
            return event
    return None


def _loaded_in_window(earlier: Sequence[ReloadEvent]) -> bool:
    """Whether a load committed something in the window whose end comes after these events."""
    inside = takewhile(lambda each: each.confirm_by is not None or not each, earlier)
    return any(is_load(each) and each and each.version != each.previous_version for each in inside)


def is_load(event: ReloadEvent) -> bool:
    """Whether this event says what became of the sources' content."""
    return event.origin not in _NO_LOADS and event.result is not ReloadResult.CONFLICT
