"""What a program is told of an owner's status: `confcast status --json`, and the admin API, which say the same.

The last load in the history shows the sources' content: the owner reads them at every trigger and at every change that
it notices. Rejected: reading them in this process (it has another environment, another user and perhaps another file at
that path).

`stats` are an owner's totals. One of an earlier build has no trial, probation and evidence in them, and no status.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from confcast.texts import printable, when
from confcast.wire.load_events import LOOK_BACK, last_word
from confcast.wire.messages import ReloadEvent, ReloadResult, Status, WorkerStatus
from confcast.worker.client.owner_client import OwnerClient

_IN_THE_LAST_LOAD = frozenset({"last_reload_time", "last_reload_result"})
"""The totals that are left out, since `last` shows them, also for the first load."""

_CLOCKS = frozenset({"phase_seconds", "phase_since", "waits_for", "waiting_for", "dropped"})
"""What of the data goes on by itself, so that a change of it alone is none."""


class Known(NamedTuple):
    """What an owner has answered, for a report on its status.

    Attributes:
        stats: The totals.
        last: The event that says what became of the sources' content; None if the history has none.
        workers: Every process that holds, or should hold, the configuration.
        status: The status; None from an earlier build.
        undone: What nobody confirmed, in words, while what was put back for it runs; empty for nothing.
    """

    stats: dict[str, Any]
    last: ReloadEvent | None
    workers: list[WorkerStatus]
    status: Status | None
    undone: str


def asked(owner: OwnerClient) -> Known:
    """What this owner says of itself. Raises OwnerUnavailable, or ConfcastError if the owner refuses to answer."""
    (stats, status), events = owner.stats_and_status(), owner.get_event_history(LOOK_BACK)
    last = last_word(events, refused=status is not None and status.disk == "refused")
    return Known(stats, last, owner.workers(), status, undone(events, stats["version"], last))


def of(
    owner: OwnerClient,
    stats: dict[str, Any],
    last: ReloadEvent | None,
    workers: list[WorkerStatus],
    status: Status | None,
    undone: str,
) -> dict[str, Any]:
    """The status for a program; arguments as the fields of `Known`."""
    data: dict[str, Any] = {"address": owner.address, "name": owner.name, "master": owner.master()}
    data |= {name: figure for name, figure in stats.items() if name not in _IN_THE_LAST_LOAD}
    data |= {} if status is None else {name: getattr(status, name) for name in status.__struct_fields__}
    data |= {**provisional_parts(stats), "undone": undone}
    return {**data, "last": last, "sources": sources_state(last, stats), "workers": workers}


def without_clocks(data: dict[str, Any]) -> dict[str, Any]:
    """The data without what goes on by itself: times, and the requests that have ended on a version on trial."""
    trial = data.get("trial")
    still = {} if trial is None else {"trial": {**trial, "requests": None}}
    return {name: _still(value) for name, value in (data | still).items() if name not in _CLOCKS}


def _still(value: Any) -> Any:
    """The same, with dates as of a tenth of a second: each answer computes them anew, of another clock."""
    if isinstance(value, dict):
        return {name: _still(each) for name, each in value.items()}
    return round(value, 1) if isinstance(value, float) else value


def provisional_parts(stats: dict[str, Any]) -> dict[str, Any]:
    """What a program is told of what may still be taken back by itself.

    `provisional` ("trial", "confirm", "probation" or ""), `deadline` (seconds since 1970), `evidence`, and the parts:
    `trial`, `window`, `probation`, each None where there is none.
    """
    return {
        "provisional": stats.get("provisional", ""),
        "deadline": stats.get("deadline"),
        "evidence": stats.get("evidence", []),
        **{part: stats.get(part) for part in ("trial", "window", "probation")},
    }


def undone(events: list[ReloadEvent], running: int, last: ReloadEvent | None) -> str:
    """One sentence about what was undone by itself, if what was put back for it still runs; "" otherwise.

    `events`: the newest first. `last`: which of them says what became of the sources' content.
    """
    event = next((each for each in events if each.result is ReloadResult.UNDONE), None)
    if event is None or event.version != running:
        return ""
    why = "; ".join(map(printable, event.evidence)) or "nobody confirmed it"
    again = "; `confcast resume` loads what the sources say" if last is event else ""
    return f"{why}; what was good before was put back at {when(event.timestamp)}{again}"


def sources_state(last: ReloadEvent | None, stats: dict[str, Any]) -> str:
    """The state of the sources: `held` (not followed), `applied`, `on trial`, `refused`, `unreadable` or `unknown`."""
    hold = stats.get("held")
    tried = last is not None and last.result is ReloadResult.ON_TRIAL
    if hold and not hold.get("boot") and (last is None or last or tried or last.result is ReloadResult.HELD):
        return "held"
    if last is None:
        return "unknown"
    if tried:
        return "on trial"
    if last.result in (ReloadResult.FILE_NOT_FOUND, ReloadResult.IO_ERROR):
        return "unreadable"
    return "applied" if last else "refused"
