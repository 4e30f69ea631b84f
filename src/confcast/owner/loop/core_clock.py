"""The core's clock goes forward and means nothing to people: its times become dates, and dates become its times.

The journal keeps dates, seconds since 1970, since the core's clock begins anew with the machine. An owner that runs
goes by its own clock, whatever happens to the date meanwhile; the next owner goes by the date. When an override ends is
therefore a date of the owner's own: the date at which the owner began, and what its clock has counted since.

Only the ends of a window and of a probation are kept by the clock that counts from the machine's boot: a date that
jumps neither ends nor lengthens them, for the next owner either, and after a boot none is open. Stated limit: while the
machine sleeps, the clock of an owner that runs stands still, so that it ends them that much later. Until when a version
that was superseded proves itself is a date, in its own row: of that one nothing is undone.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from confcast.owner.core import effects as fx
from confcast.owner.core.machine import Hold, OperatorState, Window
from confcast.owner.store.journal import StateRow, VersionRow
from confcast.wire.messages import ReloadEvent

_SINCE_BOOT = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # macOS has none, and its monotonic clock goes on
_LONG_AGO = -1.0
"""A time of the core's clock that has passed."""

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
    """The event with dates for its times."""
    by = None if event.confirm_by is None else date_of(event.confirm_by)
    return msgspec.structs.replace(event, timestamp=date_of(event.timestamp), confirm_by=by)


def with_dates(state: OperatorState) -> OperatorState:
    """What people have set, as the journal has it: with dates; ends of windows and trials in seconds since the boot."""
    state = _converted(state, date_of, lambda expires: expires + _BEGAN if expires else 0.0)
    if (trial := state.trial) is not None:
        until = {"deadline": trial.deadline + _since_boot() - time.monotonic(), "by": date_of(trial.deadline)}
        state = msgspec.structs.replace(state, trial=msgspec.structs.replace(trial, **until, boot=_boot()))
    if (window := state.window) is None:
        return state
    ends = _ends(window, lambda when: when + _since_boot() - time.monotonic())
    by = date_of(window.deadline or window.proves)
    window = msgspec.structs.replace(window, **ends, by=by, boot=_boot())
    is_old = window.deadline != 0.0  # what builds from before probations know
    return msgspec.structs.replace(state, window=window if is_old else None, probation=None if is_old else window)


def with_times(state: OperatorState) -> OperatorState:
    """What people have set, with times of the core's clock.

    A window that was opened before the last boot is over. A probation that is over is none: what it was of is proven.
    """
    state = msgspec.structs.replace(state, window=state.window or state.probation, probation=None)
    state = _converted(state, time_of, own_time_of)
    if (trial := state.trial) is not None:
        deadline = trial.deadline - _since_boot() + time.monotonic() if trial.boot == _boot() else _LONG_AGO
        trial = msgspec.structs.replace(trial, deadline=deadline, by=0.0, boot="")
        state = msgspec.structs.replace(state, trial=trial)
    if (window := state.window) is None:
        return state
    now, same = time.monotonic(), window.boot == _boot()
    ends = _ends(window, lambda when: (when - _since_boot() + now or _LONG_AGO) if same else _LONG_AGO)
    window = msgspec.structs.replace(window, **ends, by=0.0, boot="")
    goes_on = window.deadline != 0.0 or window.proves > now
    return msgspec.structs.replace(state, window=window if goes_on else None)


def _ends(window: Window, convert: _Convert) -> dict[str, float]:
    """Its deadline and the end of its probation, converted; 0.0, which is no end, stays."""
    ends = {"deadline": window.deadline, "proves": window.proves}
    return {name: convert(when) if when else 0.0 for name, when in ends.items()}


_Convert = Callable[[float], float]


def _converted(state: OperatorState, convert: _Convert, convert_end: _Convert) -> OperatorState:
    """This state with its times converted, but for ends of windows and trials; `convert_end`: when an override ends."""
    window = state.window and msgspec.structs.replace(
        state.window,
        opened=convert(state.window.opened),
        hold=_hold(state.window.hold, convert),
        expires=convert_end(state.window.expires),
    )
    hold = _hold(state.hold, convert)
    trial = state.trial and msgspec.structs.replace(state.trial, opened=convert(state.trial.opened))
    return msgspec.structs.replace(state, hold=hold, expires=convert_end(state.expires), window=window, trial=trial)


def _hold(hold: Hold | None, convert: _Convert) -> Hold | None:
    return hold and msgspec.structs.replace(hold, since=convert(hold.since))


def _since_boot() -> float:
    """Seconds since the machine's boot, with the time in which it slept; nobody sets this clock."""
    return time.clock_gettime(_SINCE_BOOT)


@functools.cache
def _boot() -> str:
    """What identifies this boot of the machine; empty where the system has no such thing."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def rows_of(given: fx.Record, schema: bytes) -> tuple[VersionRow, StateRow]:
    """The rows of a version, and of what people have set with it; `schema`: the fingerprint of the schema."""
    window = given.operator.window
    row = VersionRow(
        given.version,
        given.digest,
        schema,
        given.payload,
        time.time(),
        given.origin,
        given.who,
        given.reason,
        given.undoes,
        given.restores,
        given.values,
        given.operator.layer,
        window is not None and window.deadline != 0.0,
        0.0 if window is None else date_of(window.proves),
        given.takes_back,
    )
    return row, state_row_of(given, given.version)


def state_row_of(given: fx.Record | fx.RecordState | fx.NoteState, version: int) -> StateRow:
    """The row of what people have set, beside this version."""
    return StateRow(version if given.undo else 0, given.refused, with_dates(given.operator))


def _difference() -> float:
    return time.time() - time.monotonic()
