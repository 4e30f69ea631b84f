"""Rules about contents that do harm where they run: what speaks against a provisional version takes it back.

Each judges the first version of a content, since what was good once is good at once, and only where the owner could
hear of the harm in the time of its probation, and no person has said that the version is good, or has passed over all
that protects from it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from tests.torture.history import Died, Record, Request
from tests.torture.rules_view import GRACE, View

Found = Iterator[tuple[str, list[Record]]]
_SHORTEST = 2.0
"""Seconds of a probation in which it is sure to be heard of harm that is done at once."""
_ENOUGH = 40
"""Failed requests in a second: some workers together have more than those twenty that a rate needs."""
_WITHOUT_STATUS = ("celery", "multiprocessing", "serve")
"""Servers for which a failed answer is one like another: nobody sees its status but the client."""


def sick_is_undone(view: View) -> Found:
    """DESIGN 4b "Probation": a version whose health check says no is served by nobody soon after its commit.

    Cannot see: a no that one worker alone has said, and was killed.
    """
    for version in _first_versions(view, "sick"):
        served = (each for each in view.looks if each.seen[0].version == version)
        yield from _is_undone(view, f"version {version} is sick", view.first_seen[version], served)


def failing_is_undone(view: View) -> Found:
    """DESIGN 4b "Probation", `max_error_rate`: a version with which requests fail is served by nobody soon afterwards.

    Judged where many have failed in its first second, and those of the version before have not.
    Cannot see: a share of failures that is just above the one that is allowed.
    """
    if view.run is None or view.run.server in _WITHOUT_STATUS:
        return
    for version in _first_versions(view, "fails"):
        began = view.first_seen[version]
        served = [each for each in view.looks if each.seen[0].version == version]
        failed = [each for each in served if each.status >= 500 and each.at < began.at + GRACE]
        before = max((each for each in view.contents if each < version), default=0)
        is_worse = bool(before) and not view.harm_of(view.contents[before].serial)
        if len(failed) >= _ENOUGH and is_worse:
            yield from _is_undone(view, f"requests fail with version {version}", began, served)


def deadly_is_undone(view: View) -> Found:
    """DESIGN 4b "Probation", `max_deaths`: a version that kills workers kills none soon afterwards.

    Judged where more than so many have died of it in its first second, and more than in some seconds before.
    Cannot see: deaths that are no more than those of other causes.
    """
    deaths: dict[int, list[Died]] = {}
    for each in view.died:
        deaths.setdefault(each.serial, []).append(each)
    for all_of in deaths.values():
        first = all_of[0]
        of_it = [each for each in all_of if each.version == first.version]
        soon = [each for each in of_it if each.at < first.at + GRACE]
        since = first.at - view.option("probation", 20.0) - 2 * GRACE
        before = [each for each in view.processes if each.what == "ended" and since < each.at < first.at]
        if len(soon) > max(view.option("max_deaths", 2.0), len(before)):
            yield from _is_undone(view, f"version {first.version} kills workers", first, of_it)


def probe_is_heard(view: View) -> Found:
    """DESIGN 4b "Probes": a new version that a probe says no to, for all of its probation, is soon served by nobody.

    Judged where the probe had said no before the version's load began.
    Cannot see: a probe that gives no answer in time, again and again, which is no evidence.
    """
    known = set[int]()
    for version, shown in sorted(view.first_seen.items()):
        serial = view.contents[version].serial
        loads = [each.began for each in view.outcomes if each.version == version and each.result == "success"]
        until = _says_no_until(view, loads[0]) if loads and serial not in known else 0.0
        known.add(serial)
        if until > shown.at + view.option("probation", 20.0) + 2 * GRACE and not view.down(shown.at, until):
            served = (each for each in view.looks if each.seen[0].version == version)
            yield from _is_undone(view, f"the probe says no to version {version}", shown, served)


def _says_no_until(view: View, time: float) -> float:
    """When the probe says yes again, if it says no at this time; else 0.0."""
    acts = [each for each in view.acts if each.name in ("probe_says_no", "probe_says_yes") and each.ok]
    before = [each for each in acts if each.at < time]
    if not before or before[-1].name == "probe_says_yes":
        return 0.0
    return next((each.began for each in acts if each.began >= time), math.inf)


def _first_versions(view: View, harm: str) -> Iterator[int]:
    """Of each content that does this harm, the first version that a request has seen."""
    first: dict[int, int] = {}
    for version in sorted(view.contents):
        first.setdefault(view.contents[version].serial, version)
    return (version for serial, version in first.items() if view.harm_of(serial) == harm)


def _is_undone(view: View, what: str, first: Request | Died, served: Iterable[Request | Died]) -> Found:
    """Whether it was served for no longer than it takes to take it back: an undo waits for nothing but a write.

    As long as votes take, which is more than the second in which each worker is asked for its health.
    """
    within = max(view.option("vote_timeout", 2.0), view.option("precommit_timeout", 30.0)) + 2 * GRACE
    probation = view.option("probation", 20.0)
    unheard = view.down(first.at - 2 * GRACE, first.at + probation + GRACE)
    unseen = view.was_unmanned(first.at - probation, first.at)  # its probation began before anybody could speak
    if probation < _SHORTEST or unheard or unseen or _was_wanted(view, first.at):
        return
    last = max(served, key=_began)
    worker = last.worker if isinstance(last, Request) else last.by
    took = _began(last) - first.at
    if took - view.down(first.at, _began(last)) > within and not view.slept(worker, first.at, last.at):
        yield f"{what}, and was served for {took:.1f} s", [first, last]


def _began(record: Request | Died) -> float:
    return record.began if isinstance(record, Request) else record.at


def _was_wanted(view: View, began: float) -> bool:
    """Whether a person may have said that it is good, or have passed over all that protects from it."""
    forced = (each for each in view.calls if each.verb == "confirm" or each.arguments.get("force"))
    return any(each.at > began - view.one_load for each in forced)
