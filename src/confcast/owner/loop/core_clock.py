"""The core's clock goes forward and means nothing to people: its times become dates, and dates become its times.

The journal keeps dates, seconds since 1970, since the core's clock begins anew with the machine. An owner that runs
goes by its own clock, whatever happens to the date meanwhile; the next owner goes by the date. When an override ends is
therefore a date of the owner's own: the date at which the owner began, and what its clock has counted since.
"""

from __future__ import annotations

import time

import msgspec

from confcast.owner.core.machine import OperatorState
from confcast.wire.messages import ReloadEvent

_BEGAN = time.time() - time.monotonic()
"""What the owner's clock is behind its own date."""


def own_date() -> float:
    """The date by the owner's own clock, which no change of the machine's date moves."""
    return _BEGAN + time.monotonic()


def own_time_of(date: float) -> float:
    """The time of the core's clock at this date of the owner's own, as `time_of`."""
    return (date - _BEGAN or -1.0) if date else 0.0


def date_of(when: float) -> float:
    """The date of a time of the core's clock; 0.0, which is no time, stays."""
    return when + _difference() if when else 0.0


def time_of(date: float) -> float:
    """The time of the core's clock at this date; 0.0, which is no date, stays. Never 0.0 for a date."""
    return (date - _difference() or -1.0) if date else 0.0


def dated(event: ReloadEvent) -> ReloadEvent:
    """The event with a date as its timestamp."""
    return msgspec.structs.replace(event, timestamp=date_of(event.timestamp))


def with_dates(state: OperatorState) -> OperatorState:
    """What people have set, with dates."""
    hold = state.hold and msgspec.structs.replace(state.hold, since=date_of(state.hold.since))
    return msgspec.structs.replace(state, hold=hold, expires=state.expires + _BEGAN if state.expires else 0.0)


def with_times(state: OperatorState) -> OperatorState:
    """What people have set, with times of the core's clock."""
    hold = state.hold and msgspec.structs.replace(state.hold, since=time_of(state.hold.since))
    return msgspec.structs.replace(state, hold=hold, expires=own_time_of(state.expires))


def _difference() -> float:
    return time.time() - time.monotonic()
