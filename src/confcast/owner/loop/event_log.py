"""The owner logs each event: a refusal with every problem, a worker that lags by its pid.

People who run the server read this on standard error. A call that found nothing to change is logged at debug, since
programs may call `reload` in a loop.
"""

from __future__ import annotations

import logging
from datetime import datetime

from confcast.errors import counted, more
from confcast.wire.messages import ReloadEvent, ReloadResult, WorkerStatus

_log = logging.getLogger("confcast.owner")

_MOST_KEYS = 5
_NO_FAULT = (ReloadResult.CONFLICT, ReloadResult.HELD)


def log_event(event: ReloadEvent) -> None:
    """Log one line, and one for each problem and note: log collectors take single lines."""
    origin, result, version = event.origin, event.result, event.version
    in_vain = not event.changes and origin == "call"
    if event.result is ReloadResult.ON_TRIAL:
        _log_trial(event, in_vain=in_vain or event.version == event.previous_version)
    elif not event:
        _log_refusal(event)
    elif event.lagging:
        names = "; ".join(f"{status.pid}: {_why(status, event)}" for status in event.lagging)
        _log.warning("%s: %s, version %d, but for %s", origin, result, version, names)
        for problem in event.problems:
            _log.warning("%s: %s", origin, problem)
    else:
        level = logging.DEBUG if in_vain else logging.INFO
        _log.log(level, "%s: %s, version %d in %.1f ms%s", origin, result, version, event.duration_ms, _keys(event))
        for problem in event.problems:  # of a worker that has declined the version, and died since
            _log.warning("%s: %s", origin, problem)
    if event and event.confirm_by is not None:
        _log.log(logging.DEBUG if in_vain else logging.INFO, "%s: %s", origin, _to_be_confirmed(event.confirm_by))
    for change in event.pending if event else ():
        _log.log(logging.DEBUG if in_vain else logging.WARNING, "%s: waits for a full reload: %s", origin, change.key)
    for note in event.notes if event or event.result is ReloadResult.ON_TRIAL else ():
        _log.log(logging.DEBUG if in_vain else logging.WARNING, "%s: %s", origin, note)


def _log_trial(event: ReloadEvent, *, in_vain: bool) -> None:
    """Log that a version is on trial, or, `in_vain`, that it still is."""
    text = "%s: version %d is on trial, version %d runs on%s"
    _log.log(
        logging.DEBUG if in_vain else logging.INFO,
        text,
        event.origin,
        event.version,
        event.previous_version,
        _keys(event),
    )
    for problem in event.problems:
        _log.warning("%s: %s", event.origin, problem)


def _log_refusal(event: ReloadEvent) -> None:
    """Log why nothing was changed; or, of an undo, why what was changed has been taken back."""
    origin, result, version = event.origin, event.result, event.version
    if result is ReloadResult.UNDONE:
        _log.warning("%s: version %d has what was good before%s", origin, version, _keys(event))
        for problem in event.problems:
            _log.warning("%s: %s", origin, problem)
        return
    level = logging.WARNING if result in _NO_FAULT else logging.ERROR
    _log.log(level, "%s: refused (%s), version %d stays%s", origin, result, version, _keys(event))
    for problem in event.problems:
        _log.log(level, "%s: %s", origin, problem)


def _to_be_confirmed(until: float) -> str:
    date = datetime.fromtimestamp(until).astimezone().isoformat(sep=" ", timespec="seconds")
    return f"what was good before is put back at {date}, unless it is confirmed"


def log_last_good(version: int, good: int) -> None:
    """Log, after the event of the load that was refused, on what the server has started instead, and what to do."""
    which = f"version {version}" if good == version else f"version {version}, which has the content of version {good}"
    _log.error(
        "start: the server starts on %s, the newest good one, since its sources were refused (on_start_error="
        "'last_good'): mend them; the next load of them that is applied ends this",
        which,
    )


def _why(status: WorkerStatus, event: ReloadEvent) -> str:
    """Why a worker lags; "" for one that declined, since its reasons are logged as the event's problems."""
    return status.state if status.state == "declined" and event.problems else status.reason or status.state


def _keys(event: ReloadEvent) -> str:
    keys = [f"{change.key}: {change.note}" if change.note else change.key for change in event.changes]
    if len(keys) <= _MOST_KEYS:
        return f": {', '.join(keys)}" if keys else ""
    last = event.changes[-1]
    others = keys[-1:] if last.old is None and last.new is None else []  # a change without values counts the others
    count = len(keys) - len(others) + counted(others)
    return f": {', '.join(keys[:_MOST_KEYS])} {more(count - _MOST_KEYS)}"
