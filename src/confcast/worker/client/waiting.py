"""How `wait()` finds out that a version is good or gone, or that nothing is provisional, and what became of it.

The owner is asked for its totals, which name the version, what it is doing, and what is provisional: a version on
trial, and the window and the probation in which what runs may be undone. While one of these is open, no version is over
that its end would undo. Rejected: a request that the owner answers later (it would count as a client that is served,
and each owner has room for few; a wait is for scripts, which have half a second).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from confcast.errors import OwnerUnavailable, Problem
from confcast.wire.messages import (
    History,
    HistoryRequest,
    ReloadEvent,
    ReloadResult,
    Stats,
    StatsRequest,
    VersionInfo,
    Versions,
    VersionsRequest,
)
from confcast.worker.client.unanswered import unanswered

_FIRST, _LONGEST = 0.05, 0.5
"""Seconds between two questions."""
_ANSWER, _GRACE, _LEAST = 5.0, 1.0, 0.05
"""Seconds for one answer: at the most, beyond the whole wait's end, and where that has passed already."""


class Asks(Protocol):
    """The verbs by which a wait asks."""

    def get_stats(self) -> dict[str, Any]:
        """The totals."""

    def get_event_history(self, limit: int | None = None) -> list[ReloadEvent]:
        """The events, newest first."""

    def versions(self, limit: int | None = None) -> list[VersionInfo]:
        """The kept versions, newest first."""


class Within:
    """Asks by `answer`, as the verbs do, but no question goes on for longer than the whole wait may.

    Without it a wait of three seconds that met an owner's death took as long as the question that was under way, five
    seconds more.

    Args:
        answer: Asks one question, and waits so many seconds for its answer. Raises OwnerUnavailable.
        timeout: Seconds that the wait may take, from the first question on; the last answers have `_GRACE` more.
    """

    def __init__(self, answer: Callable[[type[Any], Callable[[int], Any], float], Any], timeout: float) -> None:
        self._answer, self._timeout = answer, timeout
        self._end: float | None = None

    def get_stats(self) -> dict[str, Any]:
        """As `Asks`."""
        stats: dict[str, Any] = self._ask(Stats, StatsRequest).stats
        return stats

    def get_event_history(self, limit: int | None = None) -> list[ReloadEvent]:
        """As `Asks`."""
        events: list[ReloadEvent] = self._ask(History, lambda number: HistoryRequest(number, limit)).events
        return events

    def versions(self, limit: int | None = None) -> list[VersionInfo]:
        """As `Asks`."""
        versions: list[VersionInfo] = self._ask(Versions, lambda number: VersionsRequest(number, limit)).versions
        return versions

    def _ask(self, kind: type[Any], make: Callable[[int], Any]) -> Any:
        if self._end is None:
            self._end = time.monotonic() + self._timeout + _GRACE
        return self._answer(kind, make, min(_ANSWER, max(_LEAST, self._end - time.monotonic())))


def wait_for(verbs: Asks, version: int | None, timeout: float) -> ReloadEvent:
    """As `Verbs.wait`."""
    _check(version, timeout)
    began, pause = time.time(), _FIRST
    end = time.monotonic() + timeout
    try:
        while not is_over(stats := verbs.get_stats(), version):
            if time.monotonic() >= end:
                return unanswered(began, _not_in_time(stats, version, timeout))
            time.sleep(max(0.0, min(pause, end - time.monotonic())))
            pause = min(1.5 * pause, _LONGEST)
        events = verbs.get_event_history()
        return event_of(version, verbs.versions(), events) if version is not None else newest(events, stats)
    except OwnerUnavailable as error:
        return unanswered(began, str(error))


def is_over(stats: dict[str, Any], version: int | None) -> bool:
    """Whether these totals show that the version is good or gone.

    Without a version: that nothing is under way, and nothing is provisional. The version after a given one may be its
    undo, which is in the history only once its barrier is closed.
    """
    if version is None:
        return bool(stats["phase"] == "idle") and stats.get("trial") is None and not _may_be_undone(stats)
    runs: int = stats["version"]
    settled = runs > version + 1 or (runs >= version and stats["phase"] != "committing")
    return settled and not _may_be_undone(stats, version)


def _may_be_undone(stats: dict[str, Any], version: int | None = None) -> bool:
    """Whether a window or a probation is open, in which this version would be undone."""
    open_ = stats.get("window") or stats.get("probation")
    return open_ is not None and (version is None or version > open_["fallback"])


def event_of(version: int, kept: list[VersionInfo], events: list[ReloadEvent]) -> ReloadEvent:
    """What became of a version. `kept` and `events`: the newest first."""
    ours = [each for each in events if each.version == version and each]
    event = next((each for each in ours if each.origin == "confirm" or each.previous_version != version), None)
    info = next((each for each in kept if each.version == version), None)
    if event is None and info is None and (ended := _trial_end(version, events)) is not None:
        return ended
    if event is None and info is None:
        gone = ReloadEvent(timestamp=time.time(), result=ReloadResult.VALIDATION_FAILED)
        return _refused(gone, gone.result, f"version {version} is gone: it is not kept any more")
    if event is None:
        assert info is not None
        event = ReloadEvent(
            timestamp=info.timestamp,
            result=ReloadResult.SUCCESS if info.good else ReloadResult.PARTIAL,
            origin=info.origin,
            version=version,
            reason=info.reason,
            who=info.who,
        )
    if (end := _window_end(version, kept, events)) is not None:
        return end
    after = next((each for each in kept if each.version == version + 1), None)
    if after is not None and after.origin == "undo":
        why = f"version {version} was taken back: version {after.version} put back what ran before"
        return _refused(event, ReloadResult.REJECTED, why)
    if info is not None and not info.good and event.result is ReloadResult.SUCCESS and event.confirm_by is None:
        return msgspec.structs.replace(event, result=ReloadResult.PARTIAL)  # a worker declined it later
    return event


def _trial_end(version: int, events: list[ReloadEvent]) -> ReloadEvent | None:
    """What became of a version that was on trial, and was never committed; None if it was not on trial."""
    tried = next((each for each in events if each.version == version and _is_trial(each)), None)
    if tried is None:
        return None
    later = [each for each in events if each.version > version and not _is_trial(each)]
    if (undone := next((each for each in reversed(later) if each.result is ReloadResult.UNDONE), None)) is not None:
        return undone
    back = f": version {later[-1].version} put back what ran before" if later else ""
    return _refused(tried, ReloadResult.UNDONE, f"version {version} was on trial, and was taken back{back}")


def _is_trial(event: ReloadEvent) -> bool:
    return event.result is ReloadResult.ON_TRIAL


def _window_end(version: int, kept: list[VersionInfo], events: list[ReloadEvent]) -> ReloadEvent | None:
    """The event of the undo of this version: at its window's end, or in its probation; None if there was none.

    An undo takes back all that was committed since a good version. So between the version and its undo none is good.
    """
    good = [each.version for each in kept if each.good and each.version >= version]
    ends = [each for each in events if each.result is ReloadResult.UNDONE and each.version > version]
    end = min(ends, key=lambda each: each.version, default=None)
    return end if end is not None and min(good, default=end.version) >= end.version else None


def newest(events: list[ReloadEvent], stats: dict[str, Any]) -> ReloadEvent:
    """The newest event of what was tried, so no CONFLICT; without one, an event that says which version runs."""
    tried = next((each for each in events if each.result is not ReloadResult.CONFLICT), None)
    if tried is not None:
        return tried
    version = stats["version"]
    return ReloadEvent(timestamp=time.time(), result=ReloadResult.UNCHANGED, version=version, previous_version=version)


def _refused(event: ReloadEvent, result: ReloadResult, why: str) -> ReloadEvent:
    problem = Problem("", why)
    return msgspec.structs.replace(event, result=result, problems=[problem], error_message=str(problem))


def _not_in_time(stats: dict[str, Any], version: int | None, timeout: float) -> str:
    trial = stats.get("trial")
    if trial is not None and version in (None, trial["version"]):
        return f"after {timeout:g} s version {trial['version']} is still on trial: confirm() commits it"
    if _may_be_undone(stats, version) and (version or 0) <= stats["version"]:
        still = "to be confirmed: confirm() keeps it" if stats.get("window") else "on probation"
        return f"after {timeout:g} s version {stats['version']} is still {still}"
    if version is None:
        return f"after {timeout:g} s the owner is still {stats['phase']}"
    what = "is not settled" if stats["version"] == version else f"does not exist; version {stats['version']} runs"
    return f"after {timeout:g} s version {version} {what}"


def _check(version: object, timeout: object) -> None:
    if version is not None and (type(version) is not int or version < 1):
        raise ValueError(f"version={version!r}: the number of a version is expected")
    if type(timeout) not in (int, float) or not 0 <= timeout < math.inf:  # type: ignore[operator]
        raise ValueError(f"timeout={timeout!r}: a number of seconds is expected, 0 or more")
