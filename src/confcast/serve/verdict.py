"""What runs and what became of the last change, in one line for `systemctl status`: pure.

The line begins with the version that runs, since that is true whatever was refused. Secrets are masked in all that an
owner tells. Rejected: the first line of `confcast reload` (it says what one call did, and not what holds since).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from confcast.wire.messages import ReloadEvent, ReloadResult, Status

DOWN = "the config owner is down and is started again; processes keep the version that they have"
SILENT = "the config owner does not answer; processes keep the version that they have"
UNKNOWN = "the config owner has not answered in time: what became of the reload is unknown"

_AS_IT_IS = frozenset({ReloadResult.SUCCESS, ReloadResult.UNCHANGED, ReloadResult.HELD})
"""The results whose name says all."""


def of_event(event: ReloadEvent) -> str:
    """What runs after this event, and what became of what was asked for."""
    if event.result is ReloadResult.OWNER_UNAVAILABLE:
        return UNKNOWN
    on_trial = event.result is ReloadResult.ON_TRIAL
    parts = [f"serving version {event.previous_version if on_trial else event.version}"]
    if event.confirm_by is not None and not on_trial:
        parts.append(_window(event.confirm_by))
    return "; ".join([*parts, _last(event)])


def of_status(status: Status, newest: ReloadEvent | None) -> str:
    """What runs and holds now, and what became of the last change; `newest`: the history's, None if it is empty."""
    parts = [f"serving version {status.version}"]
    held = status.held
    if held is not None and held.boot:
        parts[0] += ", the last good one"
    elif held is not None:
        parts.append(f"held since {_when(held.since)}: the sources are not followed until `confcast resume`")
    if status.provisional == "confirm" and status.deadline is not None:
        parts.append(_window(status.deadline))
    if status.provisional == "trial" and (newest is None or newest.result is not ReloadResult.ON_TRIAL):
        parts.append("a version is on trial")
    if status.pending:
        parts.append(f"{_number(len(status.pending), 'change')} for a full reload")
    if status.disk == "refused" and (newest is None or newest):
        parts.append(f"what the sources say is refused: {_first(status.problems)}")
    return "; ".join([*parts, *([_last(newest)] if newest is not None else [])])


def _last(event: ReloadEvent) -> str:
    """What caused a load, when, and what became of it."""
    return f"{event.origin} at {_when(event.timestamp)}: {_outcome(event)}"


def _outcome(event: ReloadEvent) -> str:
    result = event.result
    if result in _AS_IT_IS:
        return result.value
    if result is ReloadResult.PARTIAL:
        return "applied, not in every worker"
    if result is ReloadResult.ON_TRIAL:
        return f"version {event.version} is on trial"
    if result is ReloadResult.UNDONE:
        return f"version {event.previous_version} was undone: {_first(event.evidence)}"
    problems = [str(each) for each in event.problems] or list(filter(None, [event.error_message]))
    return f"refused ({result.value}): {_first(problems)}"


def _window(deadline: float) -> str:
    return f"undone at {_when(deadline)} unless it is confirmed"


def _first(texts: Sequence[str]) -> str:
    more = f" (and {len(texts) - 1} more)" if len(texts) > 1 else ""
    return (texts[0] if texts else "no reason is known") + more


def _number(count: int, what: str) -> str:
    return f"1 {what} waits" if count == 1 else f"{count} {what}s wait"


def _when(timestamp: float) -> str:
    """Seconds since 1970 as local date and time."""
    return f"{datetime.fromtimestamp(timestamp):%Y-%m-%d %H:%M:%S}"
