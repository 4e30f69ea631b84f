"""Rules about what a way back leads to: a person's, to a number or to what was before, and one that comes by itself.

What is good is drawn from what was seen and done. A version is *sound* where it surely was good before any later one
came: its load succeeded, nothing speaks against its content, and it stood alone for longer than a probation. One may be
good where none of that can be ruled out. A way back ends at the newest that is good; so at the newest sound one, or at
one above that which may be good.

Overrides go back with a version, and those whose time is over stay away: nothing is judged of what may have had any.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.torture.history import Call, Outcome, Record
from tests.torture.rules_view import COMMITTED, GRACE, Content, View

Found = Iterator[tuple[str, list[Record]]]


def named_version(view: View) -> Found:
    """DESIGN 4a `rollback(version)`: what is committed then has the content, and the overrides, of that version.

    Cannot see: a version that no request has seen, and what was made with overrides.
    """
    for call in view.calls:
        number = call.arguments.get("version")
        if call.verb == "rollback" and call.result in COMMITTED and isinstance(number, int):
            wanted, found = _content(view, number, call.at), _content(view, call.version, None)
            if wanted is not None and found is not None and wanted != found:
                shown: list[Record] = [view.first_seen[number], call, view.first_seen[call.version]]
                yield f"version {number} was asked for, {wanted}; version {call.version} is {found}", shown


def what_was_good(view: View) -> Found:
    """DESIGN 4a "Good", PROTOCOL 2 "U4": an undo by itself, and a person's without a number, lead to a good version.

    That is never an older one than the newest that is sound, and never what was undone, or ran.
    Cannot see: what came of a way back that no owner's history, or no caller, tells; nor a choice among several
    versions that may be good.
    """
    for undo in view.outcomes:
        if undo.result == "undone" and not _trial_of(view, undo):
            yield from _leads_to(view, undo, _taken_back(undo), undo.version, undo.began)
    for call in view.calls:
        back = call.verb == "rollback" and "version" not in call.arguments and call.result in ("success", "partial")
        if back and call.previous and not _may_be_on_trial(view, call) and not _went_back(view, call):
            yield from _leads_to(view, call, call.previous, call.version, call.began)


def trial_leaves(view: View) -> Found:
    """DESIGN 4b "Trial", E7: what takes the place of a version on trial is what was committed, under the next number.

    Judged by the owner's history: of trials that callers have begun, and of those that edits have.
    Cannot see: a trial that ended with a content that no request has seen.
    """
    for undo in view.outcomes:
        number = _trial_of(view, undo)
        if undo.result != "undone" or not number or number + 1 not in view.first_seen:
            continue
        before, after = _content(view, undo.previous, undo.began), _content(view, number + 1, None)
        if None not in (before, after) and before != after:
            shown: list[Record] = [view.first_seen[undo.previous], undo, view.first_seen[number + 1]]
            yield f"version {undo.previous} was {before}; after trial {number}, version {number + 1} is {after}", shown


def _content(view: View, version: int, until: float | None) -> Content | None:
    """What requests saw of it; None if nobody did, it may have had overrides, or its number was lost."""
    if version not in view.first_seen:  # a request may have met it in a later look only, which `one_version` judges
        return None
    seen = view.first_seen[version].at
    if until is not None and view.lost(seen - view.one_load, until):
        return None
    return None if view.had_overrides(version) else view.contents[version]


# ---- what was good


def _leads_to(view: View, shown: Record, ran: int, version: int, time: float) -> Found:
    """Whether what took the place of the version that ran may have been good, and is not older than it must be."""
    undone, found = view.contents.get(ran), _content(view, version, None)
    before = [each for each in view.first_seen if each < version and view.contents[each] != undone]
    floor = max((each for each in before if each < ran and _is_sound(view, each, time)), default=0)
    if None in (undone, found) or not floor or view.lost(view.first_seen[floor].at - view.one_load, time):
        return
    among = [floor, *(each for each in before if each > floor and _may_be_good(view, each, time))]
    ended = any(view.had_overrides(each) for each in among)
    if found not in {view.contents[each] for each in among} and not ended:
        what = f"version {ran} was taken back, and version {floor} was good; version {version} is {found}"
        yield what, [view.first_seen[floor], shown, view.first_seen[version]]


def _is_sound(view: View, version: int, time: float) -> bool:
    """Whether it surely was good before anything came after it."""
    loads = [each for each in view.outcomes if each.version == version and not each.dry_run]
    success = [each for each in loads if each.result == "success" and each.previous < version]
    content = view.valid.get(view.contents[version].serial)
    if not success or content is None or content.harm or content.veto:
        return False
    if any(each.origin == "late" for each in loads) or success[0].confirm_by is not None:
        return False
    began, stood = success[0].began, view.first_seen[version].at + view.option("probation", 20.0) + GRACE
    commits = ("success", "partial", "on_trial", "undone")
    loaded = any(began < each.began < stood for each in view.outcomes if not each.dry_run and each.result in commits)
    if stood > time or loaded or any(each > version and view.first_sight[each].at < stood for each in view.first_sight):
        return False
    others = (each for each in view.calls_between(began - view.one_load, stood, "reload", "set", "confirm", "rollback"))
    done = (each for each in others if each.result in (*COMMITTED, "on_trial", ""))
    quiet = not any(each.arguments.get("confirm_within") or each.verb in ("confirm", "rollback") for each in done)
    provisional = any(each.window or each.trial for each in view.states_between(began, stood + view.one_load))
    written = any(each.began < stood and each.ended > began for each in view.full_disks)
    return quiet and not provisional and not written and not view.down(began, stood)


def _may_be_good(view: View, version: int, time: float) -> bool:
    """Whether it can't be ruled out: an undone version's own number, and what came too shortly before."""
    undos = (each for each in view.outcomes if each.result == "undone" and each.began <= time)
    if any(_taken_back(each) == version for each in undos):
        return False
    began = min((each.began for each in view.outcomes if each.version == version), default=0.0)
    known = any(view.contents[each] == view.contents[version] for each in view.contents if each < version)
    return known or began + view.option("probation", 20.0) < time + GRACE or _was_confirmed(view, began)


def _was_confirmed(view: View, since: float) -> bool:
    return any(each.verb == "confirm" and each.result in COMMITTED and each.at > since for each in view.calls)


# ---- what was taken back


def _taken_back(undo: Outcome) -> int:
    """The version that ran; or that of the load's own, where it was taken back before the load was answered."""
    return undo.previous if undo.origin == "undo" else undo.version - 1


def _trial_of(view: View, undo: Outcome) -> int:
    """The number of the trial that it has undone, which lies between the two that it tells; 0 if it is of none.

    More than that may be undone by then: the end of what was provisional comes right after, under a further number.
    """
    began = {each.version for each in view.outcomes if each.result == "on_trial"} | view.trials.keys()
    return max((number for number in began if undo.previous < number < undo.version), default=0)


def _may_be_on_trial(view: View, call: Call) -> bool:
    """Whether the way back may have been one out of a trial: then it leads to what was committed."""
    since = call.began - view.one_load
    began = [*(each.at for each in view.trials.values()), *(e.began for e in view.outcomes if e.result == "on_trial")]
    return any(since - 60.0 < at < call.at for at in began) or any(
        each.trial for each in view.states_between(since, call.at)
    )


def _went_back(view: View, call: Call) -> bool:
    """Whether what ran came of a way back itself: then the next one leads to what was before its target."""
    content = view.contents.get(call.previous)
    backs = [each.version for each in view.calls if each.verb == "rollback" and each.result in COMMITTED]
    backs += [
        each.version for each in view.outcomes if each.origin in ("undo", "rollback", "reissue", "expiry", "last_good")
    ]
    return content is None or any(view.contents.get(each) == content for each in backs if each <= call.previous)
