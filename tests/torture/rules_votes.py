"""Rules about votes: nothing runs without a yes, nobody runs what it has refused, and no no is overridden."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from tests.torture.history import Agreed, Record, Request, Veto
from tests.torture.rules_view import GRACE, View

Found = Iterator[tuple[str, list[Record]]]
_ROUND = 10.0
"""Seconds before a content is first seen in which its votes, and what disturbs them, are looked for."""


def agreed(view: View) -> Found:
    """G1: what a request sees had a yes of some worker before, where anybody had a vote.

    Excused: what the run has begun with; what came while perhaps no worker was there, or once the roster was lost; and
    the first load of a server that takes the place of another, whose workers find it only afterwards. Not that of an
    owner which follows one below the same master.
    Cannot see: that more than one was asked.
    """
    yes = _first(view.agreed)
    seen = _first_looks(view)
    start = min(seen.values(), key=lambda each: each.at).seen[0].serial if seen else 0
    for serial, request in seen.items():
        if serial == start or (serial in yes and yes[serial].at <= request.at):
            continue
        origin = view.valid.get(serial)
        since = origin.began if origin is not None else request.began
        excused = view.was_unmanned(since, request.at) or _began_anew(view, since, request.at)
        if not excused and not view.lost(since - _ROUND, request.at):
            shown = [request] if origin is None else [origin, request]
            yield f"content {serial} was served, and no worker had agreed to it", shown


def _began_anew(view: View, since: float, until: float) -> bool:
    """Whether a server may have begun with this content, seen once a worker has found it."""
    return any(each.began <= until and each.at >= since and until < each.at + view.one_load for each in view.begun_anew)


def _first(votes: list[Agreed] | list[Veto]) -> dict[int, Agreed | Veto]:
    found: dict[int, Agreed | Veto] = {}
    for each in votes:
        found.setdefault(each.serial, each)
    return found


def _first_looks(view: View) -> dict[int, Request]:
    found: dict[int, Request] = {}
    for request in sorted(view.looks, key=lambda each: each.at):
        found.setdefault(request.seen[0].serial, request)
    return found


def own_veto(view: View) -> Found:
    """PROTOCOL 1: a worker that refuses a version keeps what it has, at the vote and at an Install.

    By what it has said, and by what its function would say of this content, had it been asked: it has shown another
    content before, so this is no first value. Excused: what an undo or a way back has put there, which asks no worker
    (DESIGN 4a, "The undo is privileged"), or may have, if its owner was killed soon and nobody's history has it; what
    the worker had before it refused the same content with another value beside it.
    Cannot see: a worker that had shown nothing yet; a refusal of what it had taken up.
    """
    had = _first_had(view)
    unasked = {each.version for each in view.outcomes if each.origin in ("undo", "expiry") or each.result == "undone"}
    unasked |= {each.version for each in view.calls if each.verb == "rollback" and each.version}
    unasked |= {version for version in view.first_sight if _may_be_an_undo(view, version)}
    votes: dict[tuple[int, int], list[Agreed | Veto]] = defaultdict(list)
    for vote in sorted([*view.agreed, *view.vetoes], key=lambda each: each.at):
        votes[vote.by, vote.serial].append(vote)
    lowest: dict[int, Request] = {}
    for request in view.looks:
        look, first = request.seen[0], lowest.setdefault(request.worker, request)
        latest = [each for each in votes.get((request.worker, look.serial), ()) if each.at < request.began][-1:]
        refused = bool(latest) and isinstance(latest[0], Veto)
        if look.version in unasked or (refused and had[request.worker, look.version] < latest[0].at):
            continue
        if refused:
            yield f"worker {request.worker} has refused content {look.serial}, and served it", [latest[0], request]
        elif not latest and first.seen[0].serial != look.serial and _refuses(view, request.worker, look.serial):
            yield (
                f"worker {request.worker} refuses content {look.serial}, was not asked, and served it",
                [
                    first,
                    request,
                ],
            )
        if look.version < first.seen[0].version:
            lowest[request.worker] = request


def _first_had(view: View) -> dict[tuple[int, int], float]:
    """By worker and version, when it is known to have had it first."""
    found = dict[tuple[int, int], float]()
    times = [((each.by, each.version), each.at) for each in view.applied]
    times += [((each.worker, each.seen[0].version), each.at) for each in view.looks]
    for had, time in times:
        found[had] = min(time, found.get(had, time))
    return found


def _may_be_an_undo(view: View, version: int) -> bool:
    """Whether what has committed it is told by nobody: its owner was killed before its barrier was closed."""
    told = any(each.version == version for each in (*view.outcomes, *view.calls))
    sight = view.first_sight[version].at
    return not told and any(sight < each.at < sight + view.one_load for each in view.killed("owner"))


def _refuses(view: View, worker: int, serial: int) -> bool:
    veto = view.valid[serial].veto if serial in view.valid else ""
    return veto == "all" or (veto == "some" and worker % 2 == 1)


def no_is_final(view: View) -> Found:
    """G1: one no in time leaves everything as it was: what a worker has refused is committed by nobody in that round.

    A round is told by its votes: they and the first sight of the content lie within half of `vote_timeout`, so that no
    deadline can have passed. Who was stopped, or had no owner, may have been passed over, and is left out.
    Cannot see: a no that is overridden after a longer round.
    """
    within = view.option("vote_timeout", 2.0) / 2
    looks = _first_looks(view)
    for veto in view.vetoes:
        seen = looks.get(veto.serial)
        sight = min([seen.at] if seen else [], default=0.0)
        sight = min([sight, *(each.at for each in view.applied if each.serial == veto.serial)]) if seen else 0.0
        if not seen or not veto.at < sight or _votes_again(view, veto, sight) or _may_be_passed_over(view, veto, sight):
            continue
        round_began = min(
            each.at for each in (*view.agreed, *view.vetoes) if each.serial == veto.serial and each.at > sight - _ROUND
        )
        if sight - round_began < within:
            yield f"worker {veto.by} refused content {veto.serial}, and it was committed all the same", [veto, seen]


def _votes_again(view: View, veto: Veto, until: float) -> bool:
    return any(each.by == veto.by and each.serial == veto.serial and veto.at < each.at <= until for each in view.agreed)


def _may_be_passed_over(view: View, veto: Veto, sight: float) -> bool:
    since = sight - _ROUND
    lived_on = view.lives[veto.by].ended > sight + GRACE
    down = any(each.began <= sight and each.ended >= since for each in view.downs)
    return not lived_on or down or veto.at < since or view.slept(veto.by, since, sight) or view.lost(since, sight)
