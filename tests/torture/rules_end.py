"""Rules about the site as a whole: edits are noticed, requests are served, the end is calm and leaves nothing."""

from __future__ import annotations

from collections.abc import Iterator

from tests.torture.history import Record, Request, State, Written
from tests.torture.rules_view import View

Found = Iterator[tuple[str, list[Record]]]
_NOTICED = 4.0
"""Seconds within which an edit has come to a vote, or to a request: far more than a quiet period and a load."""
_BEFORE = 3.0
"""Seconds before an edit in which nothing may have happened that could still be under way."""


def noticed(view: View) -> Found:
    """G5, DESIGN 7 "Watching": an edit is loaded, however it was written, whatever was loaded meanwhile.

    Judged where nothing else could have stopped it: no other edit after it, nothing done to a process, no hold, nothing
    set, and no guard that refuses it. The content is new, so that a worker must vote on it. A vote, or a request that
    sees it, shows that it was.
    Cannot see: what only comes of a disturbance, and what the look each 30 s has made good by then.
    """
    for edit, until in _edits_in_peace(view):
        seen = any(each.seen[0].serial == edit.serial for each in view.looks if edit.began <= each.at <= until)
        votes = (*view.agreed, *view.vetoes, *view.applied)
        voted = any(each.serial == edit.serial and edit.began <= each.at <= until for each in votes)
        if not seen and not voted:
            yield f"content {edit.serial} ({edit.how}) was in the file for {_NOTICED:g} s, and nobody noticed", [edit]


def _edits_in_peace(view: View) -> Iterator[tuple[Written, float]]:
    for edit, after in view.followed:
        until = edit.at + _NOTICED
        over = min(after.began if after is not None else view.looks[-1].at, view.looks[-1].at) if view.looks else 0.0
        is_new = edit.ok and edit.kind == "valid" and view.valid.get(edit.serial) is edit and not edit.empty
        if is_new and until < over and not _is_disturbed(view, edit, until):
            yield edit, until


def _is_disturbed(view: View, edit: Written, until: float) -> bool:
    since = edit.began - _BEFORE
    before = [each for each in view.states if each.at <= edit.began][-1:]
    states = [*before, *view.states_between(edit.began, until)]
    held = not before or any(each.held for each in states)
    back = any(view.calls_between(before[0].began if before else 0.0, until, "rollback"))
    slow = bool(view.down(since, until)) or view.disturbed(since, until)
    return held or back or slow or view.is_overlaid(edit.began, until)


def served(view: View) -> Found:
    """G6: whoever of the others dies, workers serve. No request fails but for its own worker, or for its content.

    Excused: a worker or the master that was killed or stopped shortly before or meanwhile; a content that kills its
    worker, or has its requests fail; nobody is left to answer, and no owner to attach to, which a bad file keeps from
    its start. Cannot see: a failure for another reason at such a time.
    """
    for request in view.requests:
        failed = request.status == 0 or request.status >= 500
        if failed and not _has_a_cause(view, request):
            yield f"a request failed: {request.status or request.error}", [request]


def _has_a_cause(view: View, request: Request) -> bool:
    if request.seen and request.status >= 500:
        return view.harm_of(request.seen[0].serial) == "fails"
    began = request.began - view.one_load
    acts = (each for each in view.acts if each.role in ("worker", "master"))
    acted = any(each.began <= request.at and each.at >= began for each in acts)
    killed = any(began <= each.at <= request.at for each in view.died)  # whatever has put that content there
    if acted or killed or view.was_deserted(request.began, request.at):
        return True
    return any(each.began <= request.at and each.at >= began for each in _killers(view))


def _killers(view: View) -> Iterator[Record]:
    """What may have killed workers: for the file's, until it has another content."""
    for edit, after in view.followed:
        if edit.harm == "kills":
            yield edit
            if after is not None:
                yield after
    yield from (each for each in view.valid.values() if each.harm == "kills" and each.how == "set")


def left_behind(view: View) -> Found:
    """G6 and the traps' "something leaks at every reload": after the end nothing is there that was not before.

    Cannot see: what nobody has looked for.
    """
    for left in view.left:
        yield f"{left.kind}: {left.what}", [left]


def came_to_rest(view: View) -> Found:
    """G3, G6: once all is mended, every worker, the owner and the file say the same, and nothing is provisional.

    Cannot see: what would have moved later.
    """
    if view.run is None:
        return
    if not view.calms:
        yield "it never came to rest", [view.run]
        return
    calm = view.calms[-1]
    states = [each for each in view.states if each.began >= calm.began]
    if not states:
        yield "nobody has asked what runs once it had come to rest", [calm]
        return
    yield from _is_at_rest(view, states[-1])
    for request in view.looks:
        if request.began > max(calm.at, states[-1].began) and request.seen[0].version != states[-1].version:
            yield (
                f"version {states[-1].version} runs, and a request saw {request.seen[0].version}",
                [
                    states[-1],
                    request,
                ],
            )
            return


def _is_at_rest(view: View, state: State) -> Found:
    if state.trial or state.window:
        yield f"version {state.trial or state.window} is still provisional", [state]
    behind = {pid: version for pid, version in state.workers.items() if version != state.version}
    if behind:
        yield f"version {state.version} runs, and in these workers another one: {behind}", [state]
    serial = view.serial_of(state.version)
    there = view.file_between(state.began, state.at)
    if serial and there and 0 not in there and serial not in there and not state.held and not state.overrides:
        yield f"version {state.version} has content {serial}, and the file {sorted(there)}", [state]
