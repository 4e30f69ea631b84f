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

    It is a load of the sources, or an undo that has taken back what a load brought: on trial, as the version that was
    undone, or while the window was open.
    """
    for index, event in enumerate(events):
        if is_load(event) or (event.result is ReloadResult.UNDONE and _undid_a_load(event, events[index + 1 :])):
            return event
    return None


def _undid_a_load(undo: ReloadEvent, earlier: Sequence[ReloadEvent]) -> bool:
    load = next((each for each in earlier if is_load(each) and (each or each.result is ReloadResult.ON_TRIAL)), None)
    if load is None:
        return False
    is_new = load.result is ReloadResult.ON_TRIAL or load.version != load.previous_version
    return (is_new and load.version == undo.previous_version) or _tried(undo, earlier) or _loaded_in_window(earlier)


def _tried(undo: ReloadEvent, earlier: Sequence[ReloadEvent]) -> bool:
    """Whether what the undo has ended is the trial of what a load brought: no version has come between."""
    between = takewhile(lambda each: not each or each.version == each.previous_version, earlier)
    return any(each.result is ReloadResult.ON_TRIAL and is_load(each) for each in between)


def _loaded_in_window(earlier: Sequence[ReloadEvent]) -> bool:
    """Whether a load committed something in the window whose end comes after these events."""
    inside = takewhile(lambda each: each.confirm_by is not None or not each, earlier)
    return any(is_load(each) and each and each.version != each.previous_version for each in inside)


def is_load(event: ReloadEvent) -> bool:
    """Whether this event says what became of the sources' content."""
    return event.origin not in _NO_LOADS and event.result is not ReloadResult.CONFLICT
