"""What may still be undone by itself, as it is told: a version on trial, an open window, a probation, and the evidence.

Totals and status have it from here, so they never contradict each other. Times of the core become dates.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import msgspec

from confcast.owner.core.machine import Core
from confcast.owner.core.operator_state import Trial, Window
from confcast.owner.loop.core_clock import date_of
from confcast.wire.messages import Who

Kind = Literal["", "trial", "probation", "confirm"]


class Provisional(NamedTuple):
    """What may still be undone by itself.

    Attributes:
        kind: As `Status.provisional`: a trial comes before a window, and a window before a probation.
        deadline: When that ends, in seconds since 1970; None for never.
        evidence: What was seen against the version, on trial or committed; empty where nothing is provisional.
        parts: For the totals: `trial`, `window` and `probation`, each a dict, or None where there is none.
    """

    kind: Kind
    deadline: float | None
    evidence: list[str]
    parts: dict[str, dict[str, Any] | None]


def provisional_of(core: Core, now: float) -> Provisional:
    """What is provisional. `now`: a time of the core's clock, at which a probation may be over already."""
    trial, window = core.operator.trial, core.operator.window
    parts = {
        "trial": None if trial is None else _trial(core, trial),
        "window": _window(window) if window is not None and window.deadline else None,
        "probation": _probation(window) if window is not None and window.proves > now else None,
    }
    kinds: tuple[tuple[Kind, str], ...] = (("trial", "trial"), ("confirm", "window"), ("probation", "probation"))
    kind, part = next(((kind, parts[name]) for kind, name in kinds if parts[name] is not None), ("", None))
    if part is None:
        return Provisional("", None, [], parts)
    version = core.committed.version if trial is None else trial.version
    return Provisional(kind, part["until"], list(core.evidence.found(version)), parts)


def _trial(core: Core, trial: Trial) -> dict[str, Any]:
    """Which version is tried, how, where and since when; by whom and why; and how many requests have ended on it."""
    requests = core.evidence.requests(trial.version)
    return {
        "version": trial.version,
        "by": trial.canary.by,
        "size": trial.canary.size,
        "since": date_of(trial.opened),
        "until": date_of(trial.deadline),
        "extended": trial.extended,
        "workers": [each.pid for each in core.statuses() if each.state == "trial"],
        "requests": requests.entities if trial.canary.by == "entity" else requests.answered,
        "failed": requests.failed,
        "min_requests": trial.canary.min_requests,
        **_cause(trial.who, trial.reason),
    }


def _window(window: Window) -> dict[str, Any]:
    """To which version's content the window's end leads, and when; since when it is open, by whom, and why."""
    since, until = date_of(window.opened), date_of(window.deadline)
    return {"fallback": window.fallback, "since": since, "until": until, **_cause(window.who, window.reason)}


def _probation(window: Window) -> dict[str, Any]:
    return {"fallback": window.fallback, "until": date_of(window.proves)}


def _cause(who: Who | None, reason: str) -> dict[str, Any]:
    return {"who": None if who is None else msgspec.to_builtins(who), "reason": reason}
