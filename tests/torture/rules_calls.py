"""Rules about callers: each is answered once, in time, by a load that began after its call, with what was there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tests.torture.history import Call, Record
from tests.torture.rules_view import CHANGES, COMMITTED, GRACE, View

Found = Iterator[tuple[str, list[Record]]]
_CLOCKS = 0.05
"""Seconds by which the owner's clock and a caller's may seem to differ: one is told in seconds since 1970."""
_UNDECLARED = "undeclared: "


def answered_once(view: View) -> Found:
    """G5, DESIGN 4a `timeout`: every caller gets one answer, by its deadline; no verb raises what it does not declare.

    Excused: a call by a process that was itself killed or stopped meanwhile; and as much time as the caller was ready
    to run, and the machine ran others, by the kernel's count. A signal has no answer.
    Cannot see: an answer to somebody else.
    """
    for number, count in Counter(each.id for each in view.calls).items():
        if count > 1:
            records = [each for each in view.calls if each.id == number]
            yield f"call {number} was answered {count} times", [*records]
    for call in view.calls:
        if call.door == "signal" or _door_was_broken(view, call):
            continue
        if not call.answered:
            yield f"{call.verb} by {call.door} was not answered: {call.error}", [call]
        elif call.error.startswith(_UNDECLARED):
            yield f"{call.verb} by {call.door} failed in an undeclared way: {call.error}", [call]
        elif call.deadline and (took := call.at - call.began - call.waited) > call.deadline + GRACE:
            yield f"{call.verb} by {call.door} took {took:.1f} s, and was promised {call.deadline:.1f} s", [call]


def _door_was_broken(view: View, call: Call) -> bool:
    """Whether the admin process may have had no chance to answer."""
    acts = [each for each in view.acts if each.role == call.door]
    recent = any(each.began <= call.at and each.at >= call.began - 2 * view.one_load for each in acts)
    return call.door == "admin" and recent


def names_everyone(view: View) -> Found:
    """G3: each worker that lives has the version when a true answer is given, or is named in it.

    Judged for workers that were there before the call and are after it, and were told to end by nobody. Excused: whom
    the owner cannot know, since the roster was torn, or could not be written, or it began without one, and has not
    knocked yet.
    Cannot see: a worker that no request has reached afterwards.
    """
    for call in view.calls:
        if call.verb in CHANGES and call.result in COMMITTED and call.version and (call.applied or call.lagging):
            known = {*call.applied, *call.lagging}
            forgotten = {pid for pid in view.lives if pid not in known and _must_be_named(view, pid, call)}
            if forgotten:
                what = (
                    f"{call.verb} was answered {call.result}; who has version {call.version}, and who lags, leaves out"
                )
                yield f"{what} {sorted(forgotten)}", [call]


def _must_be_named(view: View, pid: int, call: Call) -> bool:
    life = view.lives[pid]
    lived = life.began < call.began - GRACE and life.ended > call.at + GRACE
    ends = any(each.pid == pid and each.name == "kill" for each in view.acts)
    unwritten = any(each.began <= call.at and each.ended >= life.began for each in view.full_disks)
    unheard = view.is_off_the_roster(pid, call.at) or view.is_yet_to_knock(pid, call.at)
    return lived and not ends and not unwritten and not unheard


def not_forgotten(view: View) -> Found:
    """G5: who is told that no owner answered has asked while none could, or has given itself less time.

    A dry run gives way, so it may be told so at any time. Calls that wait for others are served in their turn, which
    may be after their own time; so no more than three at once are judged, and none beside a stopped process.
    Cannot see: a call that the owner has answered, and whose answer was lost on the way.
    """
    for call in view.calls:
        if call.result != "owner_unavailable" or call.verb not in CHANGES or call.arguments.get("timeout"):
            continue
        since = call.began - view.one_load
        others = sum(1 for _ in view.calls_between(call.began, call.at, *CHANGES, "check"))
        stopped = any(each.began <= call.at and each.ended >= since for spans in view.sleeps.values() for each in spans)
        if others <= 3 and not view.down(since, call.at) and not stopped and not _door_was_broken(view, call):
            yield f"{call.verb} was told that no owner answers, and one was there all the time", [call]


def began_after(view: View) -> Found:
    """G5: every caller gets the outcome of a load that began after its call.

    `wait` answers with an event that was there before. An owner that ends tells all who wait that it does, by the load
    that is under way: that is no outcome, and says that nothing is known.
    Cannot see: a load that says that it began later than it did, which `what_was_there` may.
    """
    for call in view.calls:
        told = bool(call.loaded) and call.result != "owner_unavailable"
        if told and call.verb in (*CHANGES, "check") and call.loaded < call.began - _CLOCKS:
            early = call.began - call.loaded
            yield f"{call.verb} got the outcome of a load that began {early:.3f} s before the call", [call]


def what_was_there(view: View) -> Found:
    """G5 and G3: a reload that succeeds gives what the file had at some time between the call and its answer.

    Not judged: while people's values may stand above the file.
    Cannot see: a version that no request has seen.
    """
    for call in view.calls:
        serial = view.serial_of(call.version)
        loads = call.verb in ("reload", "reload_config", "resume") and call.result in COMMITTED
        if not loads or not serial or view.is_overlaid(call.began, call.at):
            continue
        there = view.file_between(call.began, call.at)
        if there and 0 not in there and serial not in there:
            what = f"{call.verb} was answered {call.result} with version {call.version}, content {serial}"
            yield f"{what}; the file had {sorted(there)} meanwhile", [call]


def one_change_one_version(view: View) -> Found:
    """G5: what is loaded from the sources and differs in nothing from what runs makes no version.

    Judged by the owners' histories. Cannot see: versions that no request has seen, and keys that no look reads.
    """
    for each in view.outcomes:
        follows = each.origin in ("watch", "signal", "call", "command") and each.result in ("success", "partial")
        contents = view.contents.get(each.version), view.contents.get(each.previous)
        same = None not in contents and contents[0] == contents[1] and each.version != each.previous
        if follows and same and not each.dry_run and not view.is_overlaid(each.began - GRACE, each.at):
            yield f"version {each.version} is version {each.previous} once more, by {each.origin}", [each]
