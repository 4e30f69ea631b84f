"""Rules about what a site keeps out: a value that needs a restart, and a change that a guard refuses."""

from __future__ import annotations

import math
from collections.abc import Iterator

from tests.torture.history import Outcome, Record, Seen
from tests.torture.rules_view import LOSSES, View, content_of

Found = Iterator[tuple[str, list[Record]]]


def until_a_restart(view: View) -> Found:
    """DESIGN 4a `NeedsRestart`: such a value stays as the server has begun with it, whatever the sources say.

    Judged until another master comes, or the journal is torn or lost: then the next owner may not know what runs.
    Cannot see: whether the change is named as pending.
    """
    anew = (each for each in view.acts if each.role == "master" and each.name in ("kill", "start_again", "take_over"))
    lost = (each for each in view.acts if each.name in LOSSES)
    until = min((each.began for each in (*anew, *lost)), default=math.inf)
    first = next(iter(view.looks), None)
    for request in view.looks:
        if first is None or request.at > until:
            return
        if request.seen[0].listens != first.seen[0].listens:
            what = f"the server began with {first.seen[0].listens}, and a request saw {request.seen[0].listens}"
            yield f"{what}, of version {request.seen[0].version}", [first, request]


_GUARDED = ("watch", "signal", "call", "command", "set", "unset", "resume")
"""The origins whose loads are guarded: a start warns, and what goes back was there before."""


def guarded(view: View) -> Found:
    """DESIGN 4b "Guards": what empties a guarded table is committed only where somebody has allowed that, or forced it.

    Excused: an owner's start, and a resumption of what ran before.
    Cannot see: a version that no request has seen, and what no owner's history tells.
    """
    shown = _first_looks(view)
    for each in view.outcomes:
        commits = each.result in ("success", "partial", "on_trial") and each.origin in _GUARDED and not each.dry_run
        before, after = shown.get(each.previous), shown.get(each.version)
        if not commits or before is None or after is None or not before.marks or after.marks:
            continue
        if not _was_allowed(view, each, after):
            what = f"version {each.previous} had entries, and version {each.version} has none"
            yield f"{what}: {each.origin}, and nobody has allowed it", [each, view.first_seen[each.version]]


def _first_looks(view: View) -> dict[int, Seen]:
    return {version: request.seen[0] for version, request in view.first_seen.items()}


def _was_allowed(view: View, load: Outcome, after: Seen) -> bool:
    since, until = load.began - view.one_load, view.first_seen[load.version].at
    calls = view.calls_between(since, until, "reload", "resume")
    allowed = any(each.arguments.get("allow") or each.arguments.get("force") for each in calls)
    known = any(content_of(after) == content for version, content in view.contents.items() if version < load.version)
    return allowed or (load.origin == "resume" and known) or view.down(since, until) > 0 or view.lost(since, until)
