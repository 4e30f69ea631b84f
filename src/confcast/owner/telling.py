"""What the owner's log says of an event, and when.

Whoever runs the server reads this on standard error: a refusal with every problem, a worker that lags by its pid. A
call that found nothing to change is said at debug: programs call in loops.
"""

from __future__ import annotations

import logging
import time

import msgspec

from confcast.wire.messages import MAX_FRAME, Outcome, ReloadEvent, WorkerStatus, encode

_log = logging.getLogger("confcast.owner")

_MOST_KEYS = 5
_MANY = 100
"""Changes that always fit into an answer."""


def dated(event: ReloadEvent) -> ReloadEvent:
    """The core knows a clock that only goes forward; a person wants a date."""
    return msgspec.structs.replace(event, timestamp=time.time() - (time.monotonic() - event.timestamp))


def outcome(number: int, event: ReloadEvent) -> Outcome:
    """The answer to a caller: without the changes, where these are more than a frame has room for."""
    answer = Outcome(number, dated(event))
    if len(event.changes) > _MANY and len(encode(answer)) > MAX_FRAME:
        _log.error("%d changes are left out of an answer: they are too long for it", len(event.changes))
        return Outcome(number, msgspec.structs.replace(answer.event, changes=[]))
    return answer


def tell_the_log(event: ReloadEvent) -> None:
    """One line, and one for each problem: whoever collects logs takes them line by line."""
    origin, result, version = event.origin, event.result, event.version
    if not event:
        _log.error("%s: refused (%s), version %d stays", origin, result, version)
        for problem in event.problems:
            _log.error("%s: %s", origin, problem)
    elif event.lagging:
        names = "; ".join(f"{status.pid}: {_why(status, event)}" for status in event.lagging)
        _log.warning("%s: %s, version %d, but for %s", origin, result, version, names)
        for problem in event.problems:
            _log.warning("%s: %s", origin, problem)
    else:
        level = logging.INFO if event.changes or origin != "call" else logging.DEBUG
        _log.log(level, "%s: %s, version %d in %.1f ms%s", origin, result, version, event.duration_ms, _keys(event))
    for note in event.notes if event else ():
        _log.log(logging.WARNING if event.changes or origin != "call" else logging.DEBUG, "%s: %s", origin, note)


def _why(status: WorkerStatus, event: ReloadEvent) -> str:
    """The reasons of those who declined are the event's problems: all may have the same."""
    return status.state if status.state == "declined" and event.problems else status.reason or status.state


def _keys(event: ReloadEvent) -> str:
    keys = [change.key for change in event.changes]
    more = f" and {len(keys) - _MOST_KEYS} more" if len(keys) > _MOST_KEYS else ""
    return f": {', '.join(keys[:_MOST_KEYS])}{more}" if keys else ""
