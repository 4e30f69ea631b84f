"""Rules about what is provisional or held: deadlines, undone content, trials by entity and over deaths, holds."""

from __future__ import annotations

import math
from collections.abc import Iterator

from tests.torture.history import Call, Outcome, Record, Request, State
from tests.torture.rules_view import COMMITTED, GRACE, LOSSES, Trial, View

Found = Iterator[tuple[str, list[Record]]]


def in_time(view: View) -> Found:
    """DESIGN 4b: a trial or a window outlives its deadline by no more than one load, by what the owner itself says.

    The time in which no owner could act, or the journal could not be written, does not count.
    Cannot see: what the owner has forgotten, which `window_closes` and `trial_ends` judge by requests.
    """
    for state in view.states:
        kind = "trial" if state.trial else "window" if state.window else ""
        late = state.began - state.deadline
        if kind and state.deadline and late > view.one_load + view.down(state.deadline, state.began):
            number = state.trial or state.window
            yield f"the {kind} of version {number} was to end {late:.1f} s before, and has not", [state]


def window_closes(view: View) -> Found:
    """DESIGN 4a "Good", F1: a version that nobody has confirmed in its time is served by nobody one load later.

    Excused: a window that was given more time, or another one's version; what was proven before; stopped workers.
    Cannot see: unconfirmed content under a later number.
    """
    for call in view.calls:
        within = call.arguments.get("confirm_within")
        opens = isinstance(within, int | float) and call.result in COMMITTED and call.verb in ("reload", "set")
        if opens and isinstance(within, int | float) and not _ran_before(view, call.version):
            yield from _runs_on(view, call, call.at + within)


def _ran_before(view: View, version: int) -> bool:
    content = view.contents.get(version)
    return content is None or any(each < version and known == content for each, known in view.contents.items())


def _runs_on(view: View, call: Call, deadline: float) -> Found:
    for request in view.looks:
        if request.seen[0].version != call.version or request.began < deadline + view.one_load:
            continue
        late = request.began - deadline - view.down(deadline, request.began)
        kept = any(view.calls_between(call.began, request.began, "confirm")) or any(
            each.arguments.get("confirm_within") and each is not call
            for each in view.calls_between(call.began, request.began, "reload", "set")
        )
        if late > view.one_load and not kept and not view.slept(request.worker, deadline - view.one_load, request.at):
            yield (
                f"version {call.version} was to be confirmed, was not, and was served {late:.1f} s later",
                [
                    call,
                    request,
                ],
            )
            return


def trial_ends(view: View) -> Found:
    """DESIGN 4b "Trial": after its time, and as much once more, what was on trial is everybody's or nobody's.

    So no worker serves an older number from then on, but for those that were stopped, or refuse the content.
    Cannot see: a trial that neither a caller nor an owner has told of.
    """
    for number, trial in view.trials.items():
        ends = trial.at + 2 * trial.seconds + view.one_load
        for request in view.looks_from(ends):
            if request.seen[0].version >= number:
                continue
            late = request.began - ends - view.down(trial.at, request.began)
            if late > 0 and not _has_an_excuse(view, request, number, trial):
                what = f"worker {request.worker} serves version {request.seen[0].version}, long after trial {number}"
                yield what, [trial.shown, request]
                break


def _has_an_excuse(view: View, request: Request, number: int, trial: Trial) -> bool:
    """Whether this worker may have been passed over, or have refused what was on trial, or begun without an owner."""
    slept = view.slept(request.worker, trial.at - view.one_load, request.at)
    refused = any(each.by == request.worker and each.serial == view.serial_of(number) for each in view.vetoes)
    since, born = trial.began, view.lives[request.worker].began
    alone = born > since and (bool(view.down(since, born)) or view.lost(since, born))
    return slept or refused or alone


def few_try(view: View) -> Found:
    """DESIGN 4b "Trial", E1: by worker, no more workers run what is on trial than were asked for, and never all.

    Counted among those that lived through all of the trial's time: a canary that leaves is replaced.
    Cannot see: a trial that neither a caller nor an owner has told of, and a worker that has it and no request.
    """
    for number, trial in view.trials.items():
        ends = trial.began + trial.seconds
        if trial.by == "entity" or any(view.calls_between(trial.began, ends, "confirm")):
            continue
        through = {pid for pid, life in view.lives.items() if life.began < trial.began and life.ended > ends}
        shown = [each for each in view.looks if each.seen[0].version == number and each.at < ends]
        canaries = {each.worker: each for each in shown if each.worker in through}
        if len(canaries) > trial.most:
            yield f"{len(canaries)} workers ran version {number} on trial", [trial.shown, *canaries.values()]


def one_entity(view: View) -> Found:
    """DESIGN 4b, E9: in a trial by entity, who has seen its version sees it, or a newer one, in every worker.

    For a second after its first sight two workers may differ ("some milliseconds, as at any commit").
    Cannot see: a trial that neither a caller nor an owner has told of, and an entity that one worker alone was asked
    for.
    """
    for number, trial in view.trials.items():
        if trial.by != "entity":
            continue
        first: dict[str, Request] = {}
        ends = trial.at + 2 * trial.seconds + view.one_load
        for request in sorted(view.looks, key=lambda each: each.at):
            if request.entity and request.seen[0].version == number:
                first.setdefault(request.entity, request)
        for request in view.looks_from(trial.began):
            before = first.get(request.entity)
            if before is None or request.seen[0].version >= number or request.began > ends:
                continue
            if request.began > before.at + GRACE and not _has_an_excuse(view, request, number, trial):
                what = f"{request.entity} saw version {number} on trial, then {request.seen[0].version}"
                yield what, [trial.shown, before, request]


def trial_dies_with_its_owner(view: View) -> Found:
    """DESIGN 4a, "owner dies", U7: the next owner undoes a trial before it loads anything, and does not commit it.

    Judged where the owner was killed before the trial's time was over, and nobody had asked to confirm, nor was anybody
    told of a later version before.
    Cannot see: a trial that neither a caller nor an owner has told of.
    """
    for number, trial in view.trials.items():
        deaths = [each.began for each in view.killed("owner") if trial.at < each.began]
        if not deaths or deaths[0] > trial.began + trial.seconds:
            continue
        death = deaths[0]
        ended = any(each.previous < number < each.version and each.began < death for each in view.outcomes)
        ended = ended or any(
            each.previous > number and each.at < death for each in view.calls
        )  # that runs: it had ended
        if not ended and not any(view.calls_between(trial.began, death + GRACE, "confirm")):
            yield from _outlives(view, number, trial.shown, death)
            yield from _comes_back(view, view.serial_of(number), number, death, trial.shown)


def _outlives(view: View, number: int, shown: Record, death: float) -> Found:
    later = (each for each in view.states if each.began > death and each.owner != _owner_at(view, death))
    for state in later:
        if state.version == number or (state.trial == number and _late(view, death, state) > 0):
            what = f"version {number} was on trial when its owner was killed; the next one has kept it"
            yield what, [shown, state]
            return


def _owner_at(view: View, time: float) -> int:
    return next((each.owner for each in reversed(view.states) if each.at <= time), 0)


def _late(view: View, since: float, state: State) -> float:
    return state.began - since - view.one_load - view.down(since, state.began)


def stays_undone(view: View) -> Found:
    """DESIGN 4a "Held", U1: what was undone is put to no worker until it changes, or a person asks for it.

    Cannot see: an undone content that nobody had seen, and one that came back within another content's number.
    """
    for undo in view.outcomes:
        for number in sorted(_undone_by(view, undo)) if undo.result == "undone" else ():
            if view.serial_of(undo.version) != view.serial_of(number):
                yield from _comes_back(view, view.serial_of(number), undo.version, undo.began, undo)


def _undone_by(view: View, undo: Outcome) -> set[int]:
    """The version on probation or in a window; or the one on trial, which lies between the two numbers."""
    between = {version for version in view.first_sight if undo.previous < version < undo.version}
    return between or {undo.previous} & view.first_sight.keys()


def _comes_back(view: View, serial: int, above: int, since: float, shown: Record) -> Found:
    """Whether a content has a number above this one, though nothing has happened since that lets it come back."""
    for version, sight in sorted(view.first_sight.items()):
        if serial and version > above and view.serial_of(version) == serial:
            if not _may_come_back(view, since, version, sight.at):
                yield f"content {serial} was undone, and came back as version {version}", [shown, sight]
            return


def _may_come_back(view: View, since: float, version: int, until: float) -> bool:
    others = (each for each in view.written if each.serial != view.serial_of(version))
    published = (each for each in view.acts if each.name == "publish")  # another content, with the file's number
    edited = any(each.at > since - 2 * GRACE and each.began < until for each in (*others, *published))
    asked = any(_asks_for_it(each) for each in view.calls if each.at > since and each.began < until)
    put_back = any(each.version == version and each.origin in ("undo", "expiry") for each in view.outcomes)
    return edited or asked or put_back or view.lost(since - view.one_load, until)


def _asks_for_it(call: Call) -> bool:
    by_verb = call.verb in ("resume", "rollback", "set", "unset", "confirm")
    return by_verb or any(call.arguments.get(name) for name in ("force", "canary_size", "confirm_within"))


def holds(view: View) -> Found:
    """DESIGN 4a "Held": from a rollback on, until a person resumes, no load that follows the sources commits anything.

    By what the owners say of their loads, and, where they have forgotten it, by a content of the file that requests
    see. From an undo on nothing is judged: a hold that was made in a window goes with it. Nor once files were lost.
    Cannot see: a hold that is gone while the file has what is held.
    """
    for call in view.calls:
        if call.verb == "rollback" and call.result in COMMITTED:
            until = _held_until(view, call)
            yield from _committed_while_held(view, call, until)
            if call.version in view.first_sight:
                yield from _seen_while_held(view, call, until)


_FOLLOWS = ("watch", "signal", "call", "command", "start", "restart")
_REFUSED = ("conflict", "rejected", "validation_failed", "file_not_found", "io_error", "guarded", "held")


def _held_until(view: View, call: Call) -> float:
    """When somebody may have ended the hold, or it may have been lost."""
    asked = (each for each in view.calls if each is not call and each.at > call.began and each.result not in _REFUSED)
    ends = [each.began for each in asked if each.verb in ("resume", "rollback") or each.arguments.get("force")]
    ends += [each.began for each in view.outcomes if each.result == "undone" and each.at > call.began - view.one_load]
    ends += [each.began for each in view.acts if each.name in LOSSES and each.at > call.began]
    return min(ends, default=math.inf)


def _committed_while_held(view: View, call: Call, until: float) -> Found:
    for each in view.outcomes:
        commits = each.origin in _FOLLOWS and each.result in ("success", "partial", "on_trial") and not each.dry_run
        if commits and call.at < each.began < until:
            yield f"version {call.version} was held, and {each.origin} led to version {each.version}", [call, each]
            return


def _seen_while_held(view: View, call: Call, until: float) -> Found:
    """What people set builds on what is held, and may show a content that the file had before.

    So does the end of what was set for a time, if that is what is held: it follows no source, but what is kept of them.
    """
    held = view.serial_of(call.version)
    changed = any(view.calls_between(call.began, until, "set", "unset")) or _ends_by_itself(view, held)
    for version, request in sorted(view.first_sight.items()):
        serial = view.serial_of(version)
        written = view.valid.get(serial)
        if version <= call.version or request.at >= until or serial == held or written is None:
            continue
        if written.how != "set" and (written.began > call.at or not changed):
            yield f"version {call.version} was held, and version {version} came of the file", [call, request]
            return


def _ends_by_itself(view: View, serial: int) -> bool:
    sets = (each.arguments for each in view.calls if each.verb == "set")
    return any(given.get("serial") == serial and given.get("ttl") for given in sets)
