"""Rules about what requests see: one version each, whole contents, numbers that go up, a barrier that holds."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator

from tests.torture.history import Applied, Outcome, Record, Request, State
from tests.torture.rules_view import COMMITTED, GRACE, Barrier, Content, View, content_of

Found = Iterator[tuple[str, list[Record]]]


def one_version(view: View) -> Found:
    """G2: all looks of a request are at one version, at one whole content of it, and at what was built of that.

    Cannot see: what no look reads, and a change back before the next look.
    """
    for request in view.looks:
        if any(look != request.seen[0] for look in request.seen):
            yield f"one request has seen {[*dict.fromkeys(request.seen)]}", [request]
        elif any({look.left, look.right} != {look.serial} for look in request.seen):
            yield f"half of one content and half of another: {request.seen[0]}", [request]
        elif any(look.derived not in (0, look.serial) for look in request.seen):
            yield f"one content, and what was built of another: {request.seen[0]}", [request]


def never_down(view: View) -> Found:
    """PROTOCOL 2 "Install" and E7: no worker shows a lower number than before, to one entity, nor to its observers.

    A request counts from its beginning, against those of the same worker that were over by then. Entities are apart,
    since a trial by entity gives two of them two versions; a pinned canary and its observers are, too.
    Cannot see: one entity's worker beside another's, which `barrier` and `one_entity` judge.
    """
    floors: dict[tuple[int, str], Request] = {}
    ended, next_end = sorted(view.looks, key=lambda each: each.at), 0
    for request in view.looks:
        while next_end < len(ended) and ended[next_end].at <= request.began:
            _raise_floor(floors, ended[next_end])
            next_end += 1
        floor = floors.get((request.worker, request.entity))
        if floor is not None and request.seen[0].version < floor.seen[0].version:
            what = f"worker {request.worker} showed version {floor.seen[0].version}, then {request.seen[0].version}"
            yield what, [floor, request]
    yield from _observed_down(view)


def _raise_floor(floors: dict[tuple[int, str], Request], request: Request) -> None:
    key = (request.worker, request.entity)
    if key not in floors or request.seen[0].version > floors[key].seen[0].version:
        floors[key] = request


def _observed_down(view: View) -> Found:
    """Without the first second of a worker: what it says of its beginning is said by another thread."""
    ready = {each.pid: each.at for each in view.processes if each.what == "ready"}
    before: dict[int, Applied] = {}
    for each in view.applied:
        if not each.version or each.at < ready.get(each.by, 0.0) + GRACE:
            continue
        if each.by in before and each.version < before[each.by].version:
            what = f"observers of worker {each.by} were told of version {before[each.by].version}, then {each.version}"
            yield what, [before[each.by], each]
        before[each.by] = each


def one_content(view: View) -> Found:
    """PROTOCOL 1 "the floor": a number never stands for two contents, in whatever workers, under whatever owners.

    A number that was given out for a trial alone may come again once the journal was torn: no snapshot file has it. As
    soon as a worker tells of it there is another one, so nobody has the former content under it a load later.
    Cannot see: what differs in keys that no look reads.
    """
    first: dict[int, tuple[Content, Request]] = {}
    again: dict[int, Request] = {}
    for request in sorted(view.looks, key=lambda each: each.at):
        for look in request.seen:
            content, shown = first.setdefault(look.version, (content_of(look), request))
            if content == content_of(look):
                if look.version in again and _has_heard_of(view, again[look.version], request):
                    what = f"version {look.version} is {content_of(again[look.version].seen[0])}, and long after that"
                    yield f"{what} still {content}", [shown, again[look.version], request]
                    del again[look.version]
            elif _is_forgotten_trial(view, look.version, shown.at, request.began):
                again.setdefault(look.version, request)
            else:
                yield f"version {look.version} was {content}, then {content_of(look)}", [shown, request]
    for each in view.applied:
        known = first.get(each.version)
        differs = known is not None and known[0].serial != each.serial
        if known is not None and differs and not _is_forgotten_trial(view, each.version, known[1].at, each.at):
            yield f"version {each.version} has serial {known[0].serial} for requests, {each.serial} here", [each]


def _is_forgotten_trial(view: View, version: int, since: float, until: float) -> bool:
    on_trial = any(each.result == "on_trial" and each.version == version for each in (*view.calls, *view.outcomes))
    return view.lost(since, until) and (on_trial or any(each.trial == version for each in view.states))


def _has_heard_of(view: View, since: Request, request: Request) -> bool:
    """Whether this worker has had time to tell an owner of its number, and to be given another one."""
    late = request.began - since.at - view.down(since.at, request.began)
    return late > view.one_load and not view.slept(request.worker, since.at, request.at)


def only_valid(view: View) -> Found:
    """G7: what a request sees was put there by somebody, whole and valid, before the request was over.

    The content that the run has begun with may be unknown. Cannot see: a value of the right number from a bad text.
    """
    began = {number: each.began for number, each in view.valid.items()}
    first = view.looks[0].seen[0].serial if view.looks else 0
    bad = {each.serial: each for each in view.written if each.kind != "valid" and each.serial}
    for request in view.looks:
        serial = request.seen[0].serial
        if serial in bad and serial not in began:
            yield f"a request has seen content {serial}, which is none ({bad[serial].kind})", [bad[serial], request]
        elif began.get(serial, 0.0 if serial == first else request.at + 1) > request.at:
            yield f"a request has seen content {serial}, which nobody had written yet", [request]


def barrier(view: View) -> Found:
    """G3: a request that began after a true answer sees that version or a newer one, in each worker that is not named.

    Workers that were started since are bound, too: a late joiner begins with what is committed. Excused are those that
    began while files were lost or the disk was full, since the snapshot file may be older then; where the journal was
    torn or lost, whom the next owner does not know yet: the roster is in there; and whom it has not heard of yet, since
    it began while there was none, and the note that it left was removed: it knocks within two seconds.
    Cannot see: a worker that no request reached in between.
    """
    barriers, highest, passed = view.barriers, 0, 0
    for request in view.looks:
        while passed < len(barriers) and barriers[passed].at < request.began:
            highest = max(highest, barriers[passed].version)
            passed += 1
        version = request.seen[0].version
        if version < highest:
            binding = (each for each in barriers[:passed] if each.version > version and _binds(view, each, request))
            for each in binding:
                what = f"a request of worker {request.worker} saw version {version} after {each.call.verb} was answered"
                yield f"{what} {each.call.result}, with version {each.version}", [each.call, request]
                break


def _binds(view: View, barrier: Barrier, request: Request) -> bool:
    worker, born = request.worker, view.lives[request.worker].began
    told = worker in barrier.call.applied
    if not told and (view.is_off_the_roster(worker, barrier.at) or view.is_yet_to_knock(worker, barrier.at)):
        return False
    if born > barrier.call.began and (view.lost(barrier.at, born) or _disk_was_full(view, barrier.call.began, born)):
        return False
    return barrier.binds(worker)


def _disk_was_full(view: View, began: float, ended: float) -> bool:
    return any(each.began <= ended and each.ended >= began for each in view.full_disks)


def true_status(view: View) -> Found:
    """DESIGN 4a `status`, and G3 `applied`: a worker that is said to have what is committed serves nothing older.

    Cannot see: a worker that is said to be behind, and is not.
    """
    said: dict[int, State] = {}
    states, passed = view.states, 0
    for request in view.looks:
        while passed < len(states) and states[passed].at < request.began:
            _note(said, states[passed])
            passed += 1
        state = said.get(request.worker)
        if state is not None and request.seen[0].version < state.version:
            what = f"worker {request.worker} was said to have version {state.workers[str(request.worker)]}"
            yield f"{what}, and served {request.seen[0].version}", [state, request]


def _note(said: dict[int, State], state: State) -> None:
    for pid, version in state.workers.items():
        if version >= state.version and (int(pid) not in said or said[int(pid)].version < state.version):
            said[int(pid)] = state


def catches_up(view: View) -> Found:
    """G3: whoever was passed over has the newest version first thing when it wakes, so nobody serves an older one long.

    Longer than votes take, after an owner has said that a newer one is committed, whatever it was committed for: an
    edit has no caller who is promised a barrier. Excused: a worker that was stopped, refuses the newer one, or has
    begun since; the time in which no owner could act. Cannot see: a worker that no request reaches after that time.
    """
    within = max(view.option("vote_timeout", 2.0), view.option("precommit_timeout", 30.0)) + 2 * GRACE
    told, highest = list[State](), 0
    for state in view.states:
        if state.version > highest:
            told.append(state)
            highest = state.version
    versions = [each.version for each in told]
    for request in view.looks:
        newer = bisect_right(versions, request.seen[0].version)
        if newer < len(told) and request.began > told[newer].at + within:
            since = told[newer]
            late = request.began - since.at - view.down(since.at, request.began)
            if late > within and not _may_lag(view, request, since):
                what = f"worker {request.worker} served version {request.seen[0].version}"
                yield f"{what} {late:.1f} s after version {since.version} was said to be committed", [since, request]


def _may_lag(view: View, request: Request, since: State) -> bool:
    worker, newer = request.worker, range(request.seen[0].version + 1, since.version + 1)
    refused = {each.serial for each in view.vetoes if each.by == worker}
    refuses = any(view.serial_of(version) in refused for version in newer if view.serial_of(version))
    begun_since = view.lives[worker].began > since.began
    slept = view.slept(worker, since.at - view.one_load, request.at)
    return refuses or begun_since or slept or view.may_forget(since.began, request.at)


def committed_stays(view: View) -> Found:
    """G6: a committed version never un-happens: what is committed later has a higher number, over owners' deaths, too.

    A torn journal does not excuse: the snapshot file has what was committed last. Excused is the loss of both.
    Cannot see: a content that is lost under a number that goes up, which `reissued` judges.
    """
    told = sorted([*view.states, *(each.call for each in view.barriers)], key=lambda each: each.at)
    highest: Record | None = None
    number, passed = 0, 0
    for state in sorted(view.states, key=lambda each: each.began):
        while passed < len(told) and told[passed].at < state.began:
            if told[passed].version > number:
                highest, number = told[passed], told[passed].version
            passed += 1
        forgotten = highest is None or view.may_forget(highest.at, state.at)
        if highest is not None and state.version < number and not forgotten:
            yield f"version {number} was committed, then {state.version} was", [highest, state]
    yield from _same_number_twice(view)
    yield from _began_on_an_older_one(view)


def _same_number_twice(view: View) -> Found:
    """Of the owners' own history: two loads that are said to have committed one number."""
    commits = [each for each in view.outcomes if each.result in ("success", "partial") and not each.dry_run]
    by_number: dict[int, list[Record]] = defaultdict(list)
    for each in commits:
        if each.version != each.previous:
            by_number[each.version].append(each)
    for number, records in by_number.items():
        times = [each.at for each in records]
        if len(records) > 1 and not view.lost(min(times) - view.one_load, max(times)):
            yield f"version {number} was committed {len(records)} times", records


def _began_on_an_older_one(view: View) -> Found:
    """Of the owners' own history, also where nobody has seen it: each load begins on what was committed last.

    What is answered at once, as a conflict is, may have its time just after that of a load that is to be written yet.
    What is told late of a former version is no load.
    """
    highest: Outcome | None = None
    loads = (each for each in view.outcomes if not each.dry_run and each.origin != "late")
    for each in sorted(loads, key=lambda each: each.began):
        older = highest is not None and each.previous < highest.version and each.began > highest.began + GRACE / 10
        if highest is not None and older and not view.may_forget(highest.began, each.began):
            yield (
                f"version {highest.version} was committed, and then {each.previous} ran ({each.origin})",
                [
                    highest,
                    each,
                ],
            )
        commits = each.result in ("success", "partial", "undone") and each.version > each.previous
        if commits and (highest is None or each.version > highest.version):
            highest = each


def reissued(view: View) -> Found:
    """G6, PROTOCOL 1 "reconciled": what a next owner gives a new number is the content that was committed last.

    Cannot see: a reissue that no owner's history tells, or whose contents no request has seen.
    """
    known = {each.version: each for each in view.outcomes if each.result in (*COMMITTED, "undone")}
    for each in view.outcomes:
        before = max((version for version in known if version < each.version), default=0)
        contents = view.contents.get(before), view.contents.get(each.version)
        differs = each.origin == "reissue" and None not in contents and contents[0] != contents[1]
        if differs and not view.may_forget(known[before].began + GRACE, each.at):
            what = f"version {before} was committed, {contents[0]}; reissued as version {each.version}"
            yield f"{what} was {contents[1]}", [known[before], each]
