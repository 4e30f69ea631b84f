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

    It is a load of the sources; the confirmation that has committed what a load brought on trial; or an undo that has
    taken back what a load brought: on trial, as the version that was undone, or while the window was open.
    """
    for index, event in enumerate(events):
        earlier = events[index + 1 :]
        if is_load(event) or (event.result is ReloadResult.UNDONE and _undid_a_load(event, earlier)):
            return event
        if event.origin == "confirm" and event.version != event.previous_version and _tried(earlier):
            return event
    return None


def last_word(events: Sequence[ReloadEvent], *, refused: bool) -> ReloadEvent | None:
    """The last load; or the newest undo, if the owner says that the sources are refused, and that load does not say so.

    What has been undone meanwhile, events alone do not always tell.
    """
    last = last_load(events)
    if not refused or (last is not None and not last and last.result is not ReloadResult.ON_TRIAL):
        return last
    return next((event for event in events if event.result is ReloadResult.UNDONE), last)


def _undid_a_load(undo: ReloadEvent, earlier: Sequence[ReloadEvent]) -> bool:
    load = next((each for each in earlier if is_load(each) and (each or each.result is ReloadResult.ON_TRIAL)), None)
    if load is None:
        return False
    is_new = load.result is ReloadResult.ON_TRIAL or load.version != load.previous_version
    return (is_new and load.version == undo.previous_version) or _tried(earlier) or _loaded_in_window(earlier)


def _tried(earlier: Sequence[ReloadEvent]) -> bool:
    """Whether what has ended now is the trial of what a load brought: no version has come between."""
    between = takewhile(lambda each: not each or each.version == each.previous_version, earlier)
    return any(each.result is ReloadResult.ON_TRIAL and is_load(each) for each in between)


def _loaded_in_window(earlier: Sequence[ReloadEvent]) -> bool:
    """Whether a load committed something in the window whose end comes after these events."""
    inside = takewhile(lambda each: each.confirm_by is not None or not each, earlier)
    return any(is_load(each) and each and each.version != each.previous_version for each in inside)


def is_load(event: ReloadEvent) -> bool:
    """Whether this event says what became of the sources' content."""
    return event.origin not in _NO_LOADS and event.result is not ReloadResult.CONFLICT
