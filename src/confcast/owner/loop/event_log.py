"""The owner logs each event: a refusal with every problem, a worker that lags by its pid.

People who run the server read this on standard error. A call that found nothing to change is logged at debug, since
programs may call `reload` in a loop. The main line of an event has its fields, as `confcast history --json` names them;
each further line says of which version it is.
"""

from __future__ import annotations

import logging
from datetime import datetime

from confcast.errors import Problem, counted, more
from confcast.log_fields import about
from confcast.wire.messages import ReloadEvent, ReloadResult, WorkerStatus

_log = logging.getLogger("confcast.owner")

_MOST_KEYS = 5
_MOST_TOLD = 100
_NO_FAULT = (ReloadResult.CONFLICT, ReloadResult.HELD)


def log_event(event: ReloadEvent) -> None:
    """Log one line, and one for each problem and note: log collectors take single lines."""
    in_vain = not event.changes and event.origin == "call"
    if event.result is ReloadResult.ON_TRIAL:
        _log_trial(event, in_vain=in_vain or event.version == event.previous_version)
    elif not event:
        _log_refusal(event)
    else:
        _log_applied(event, in_vain=in_vain)
    level = logging.DEBUG if in_vain else logging.WARNING
    if not _log.isEnabledFor(level):  # before fields are made: programs may call `reload` in a loop
        return
    if event and event.confirm_by is not None:
        extra = about("confirm_awaited", version=event.version, confirm_by=event.confirm_by)
        level_of_it = logging.DEBUG if in_vain else logging.INFO
        _log.log(level_of_it, "%s: %s", event.origin, _to_be_confirmed(event.confirm_by), extra=extra)
    for change in event.pending if event else ():
        extra = about("change_pending", version=event.version, key=change.key, note=change.note)
        _log.log(level, "%s: waits for a full reload: %s", event.origin, change.key, extra=extra)
    for note in event.notes if event or event.result is ReloadResult.ON_TRIAL else ():
        _log.log(level, "%s: %s", event.origin, note, extra=about("reload_note", version=event.version, note=note))


def _log_applied(event: ReloadEvent, *, in_vain: bool) -> None:
    """Log that a version runs, and on whom it does not."""
    origin, result, version = event.origin, event.result, event.version
    level = logging.WARNING if event.lagging else logging.DEBUG if in_vain else logging.INFO
    if _log.isEnabledFor(level):
        extra = _fields("reload_applied", event)
        if event.lagging:
            names = "; ".join(f"{status.pid}: {_why(status, event)}" for status in event.lagging)
            _log.warning("%s: %s, version %d, but for %s", origin, result, version, names, extra=extra)
        else:
            text = "%s: %s, version %d in %.1f ms%s"
            _log.log(level, text, origin, result, version, event.duration_ms, _keys(event), extra=extra)
    _log_problems(event, logging.WARNING)  # of a worker that has declined the version; it may have died since


def _log_trial(event: ReloadEvent, *, in_vain: bool) -> None:
    """Log that a version is on trial, or, `in_vain`, that it still is."""
    level = logging.DEBUG if in_vain else logging.INFO
    if _log.isEnabledFor(level):
        text = "%s: version %d is on trial, version %d runs on%s"
        extra = _fields("trial_runs", event)
        _log.log(level, text, event.origin, event.version, event.previous_version, _keys(event), extra=extra)
    _log_problems(event, logging.WARNING)


def _log_refusal(event: ReloadEvent) -> None:
    """Log why nothing was changed; or, of an undo, why what was changed has been taken back."""
    origin, result, version = event.origin, event.result, event.version
    if result is ReloadResult.UNDONE:
        text = "%s: version %d has what was good before%s"
        _log.warning(text, origin, version, _keys(event), extra=_fields("reload_undone", event))
        _log_problems(event, logging.WARNING)
        return
    level = logging.WARNING if result in _NO_FAULT else logging.ERROR
    text = "%s: refused (%s), version %d stays%s"
    _log.log(level, text, origin, result, version, _keys(event), extra=_fields("reload_refused", event))
    _log_problems(event, level)


def _log_problems(event: ReloadEvent, level: int) -> None:
    for problem in event.problems:
        _log.log(level, "%s: %s", event.origin, problem, extra=_fields_of(problem, event))


def _fields(name: str, event: ReloadEvent) -> dict[str, object]:
    """The fields of an event's main line: what the event has, without values, and its problems, which have lines."""
    who = event.who
    lagging = [{"pid": each.pid, "state": each.state, "version": each.version} for each in event.lagging]
    return about(
        name,
        result=event.result,
        origin=event.origin,
        reason=event.reason,
        evidence=event.evidence,
        version=event.version,
        previous_version=event.previous_version,
        who=None if who is None else {"uid": who.uid, "pid": who.pid, "command": who.command},
        keys=[change.key for change in event.changes[:_MOST_TOLD]],
        applied=event.applied,
        lagging=lagging,
        duration_ms=event.duration_ms or None,
        load_ms=event.load_ms or None,
        stage_ms=event.stage_ms or None,
        journal_ms=event.journal_ms or None,
        commit_ms=event.commit_ms or None,
    )


def _fields_of(problem: Problem, event: ReloadEvent) -> dict[str, object]:
    """The fields of a problem's line."""
    return about(
        "reload_problem",
        version=event.version,
        result=event.result,
        key=problem.key,
        location=problem.location,
        message=problem.message,
    )


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
        extra=about("starts_on_last_good", version=version, good_version=good),
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
