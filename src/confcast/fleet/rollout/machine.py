"""Decides about one rollout: wait, widen, promote, stop, or stand down. A state machine without a clock or a socket.

Theory of operation. A controller reads the head and the reports, calls `step` with them and the time, and carries the
decision out by compare-and-swap on the head that it has read. What the machine keeps is how this controller has seen
the present stage: since when, with which hosts, and since when it is proven. Nothing of it is needed to go on: a new
controller's machine begins the stage's clocks anew.

A stage is passed when, without a break for the whole bake time,
  * as many hosts are good as it needs (`Tally.lacking`), those that are new in it and those that it has in all,
  * each host that `next` is meant for has answered, for all its workers, and each that the stage had can be heard.
So silence passes no stage: not that of an empty stage, nor that of hosts that are cut off, since a host that the stage
had when it began is needed until it is lost.

A rollout is stopped when
  * more hosts than `max_refused` are against it: they refuse it, have taken it back, can't use it, or were lost. A host
    that is lost on a new payload is the same evidence as one that refuses it;
  * a host of the fleet has been heard for `max_lag` without an answer (in all, if it comes and goes; anew, if it had
    answered and was restarted); has had it in a part of its workers for longer than `max_lag`; or has applied it and is
    not good by the time that it said, and `max_lag`.
    One is enough: `max_refused` is no allowance for silence.
A host is lost when the stage had it and nothing was heard of it for LOST_AFTER: its stream was closed, or it is no
longer in the reports or of the fleet. A gateway that is restarted loses all its hosts' streams for a second or two.

All these times are of a clock that goes on by MOST_WATCHED between two steps at the most: where the engine is slow, or
hung, hosts may not have heard of the head either. After more than GAP all of them begin anew, too: a bake that nobody
has watched proves nothing.

The machine stands down when the head is no longer that of its rollout. Another stage of the same rollout (another
controller, or `confcast fleet confirm`) begins the clocks anew.

Rejected: to count a host that goes away as one less that is needed (half of a fleet could be cut off, and the other
half would pass the stage for it), and the hosts' clocks (one that is off by a day would be late, or early).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeAlias

import msgspec

from confcast.fleet.head import Head, Rollout
from confcast.fleet.reports import Report, Seen
from confcast.fleet.rollout.hosts import called
from confcast.fleet.rollout.stages import at_stage, first_of, is_last, name_of, number_of
from confcast.fleet.rollout.tally import Progress, Tally, names, progress, tally
from confcast.texts import printable

LOST_AFTER = 30.0
"""Seconds without a sign of life after which a host that a stage had is lost: as long as a host waits for a gateway."""

MOST_WATCHED = 1.0
"""Seconds that count of those between two steps, at the most. A controller reads four times a second."""

GAP = 10.0
"""Seconds between two steps after which the clocks begin anew. Rejected: fewer (an engine that takes three seconds for
the reports of a fleet would have them begin anew at each step, so that nothing would ever be passed, or late)."""


STEADY = 5.0
"""Seconds without a new host after which a stage that was empty gets its hosts. The first of a fleet that comes, taken
for all of it, would stand for any share: "1 host" at the position 70 is seven hundred of a thousand that come later."""


class Wait(NamedTuple):
    """Nothing is to be done."""

    progress: Progress


class Widen(NamedTuple):
    """Put this head in the place of the present one: the next stage begins, or an empty one gets its hosts."""

    head: Head
    detail: str


class Promote(NamedTuple):
    """Put this head in the place of the present one: `next` becomes stable for all."""

    head: Head
    detail: str


class Stop(NamedTuple):
    """Put this head in the place of the present one: all hosts go back to what is stable."""

    head: Head
    detail: str


End = Literal["promoted", "ended", "replaced", "gone"]


class StandDown(NamedTuple):
    """The rollout is over. `end`: what is there instead."""

    end: End
    detail: str


Decision: TypeAlias = Wait | Widen | Promote | Stop | StandDown

_STANDS_DOWN: dict[End, str] = {
    "promoted": "it is stable for all hosts: another controller, or a person, has passed the last stage",
    "ended": "somebody else has ended it: all hosts have what was stable before",
    "replaced": "somebody has published something else, which counts",
    "gone": "the engine has no head any more: it was emptied, or restored from a copy; publish again",
}


class Machine:
    """One rollout, as one controller sees it.

    Args:
        head: The rollout's head, whichever stage it is in. Raises ValueError for a head without a rollout.
    """

    def __init__(self, head: Head) -> None:
        if head.next is None or head.rollout is None:
            raise ValueError("a head without a rollout has none that could go on")
        self._first = head
        self._against = dict[str, str]()  # why, by host; over the whole rollout
        self._last: float | None = None
        self._watched = 0.0  # the clock of all times below
        self._stage: tuple[int, float] | None = None  # its index, and its `percent`
        self._hosts = set[str]()  # those that the stage had
        self._came = set[str](), 0.0  # the hosts of the fleet while the stage has none, and when the last of them came
        self._silent = dict[str, float]()  # for how long those of them that have no answer were heard, in all
        self._fresh = set[str]()  # those of them that are new in it
        self._streams = set[str]()  # those of them that had an open stream
        self._unheard = dict[str, float]()  # those of them that can't be heard now, and since when
        # What a host has said, and until when it has to be good.
        self._good_by = dict[str, tuple[tuple[str, float], float]]()
        self._proven: float | None = None  # since when the bake time runs

    def step(self, now: float, head: Head | None, hosts: Mapping[str, Seen]) -> Decision:
        """Decide.

        Args:
            now: Seconds, by a clock that is never set.
            head: The head as it was read now; None if there is none.
            hosts: What was read of the hosts after that, by their ids (`hosts.newest`).
        """
        if (end := self._over(head)) is not None:
            return StandDown(end, _STANDS_DOWN[end])
        assert head is not None
        assert head.rollout is not None
        passed = self._keep_time(now, head)
        found = tally(head, hosts)
        self._note(found, hosts)
        self._note_answers(found, passed)
        if why := self._speaks_against(head.rollout, found):
            return Stop(_ended(head, why), why)
        if (filled := self._filled(head, found)) is not None:
            return filled
        lacking = found.lacking(head.rollout, self._excused(found), self._hosts, self._fresh)
        unheard = self._unheard.keys() - self._against.keys()
        if lacking or unheard or found.having("silent") or found.having("partial"):
            self._proven = None
        elif self._proven is None:
            self._proven = self._watched
        left = None if self._proven is None else max(0.0, head.rollout.bake - (self._watched - self._proven))
        seen = progress(head, found, lacking=lacking, bakes=left, against=len(self._against), unheard=unheard)
        return Wait(seen) if left is None or left > 0.0 else _passed(head, seen, found)

    def _over(self, head: Head | None) -> End | None:
        first = self._first
        if head is None:
            return "gone"
        if head.salt != first.salt:
            return "replaced"
        if head.next is None or head.rollout is None:
            return "promoted" if head.stable == first.next else "ended" if head.stable == first.stable else "replaced"
        return None if (head.next, head.stable) == (first.next, first.stable) else "replaced"

    # ---- clocks

    def _keep_time(self, now: float, head: Head) -> float:
        """Go on to this time. Returns how many of the seconds since the last step count for hosts without an answer."""
        assert head.rollout is not None
        stage, passed = (head.rollout.stage, head.percent), 0.0 if self._last is None else now - self._last
        counts = min(passed, MOST_WATCHED)
        self._last, self._watched = now, self._watched + counts
        if stage != self._stage:
            self._stage, self._proven = stage, None
            self._hosts.clear()
            self._silent.clear()
            self._came = set(), self._watched
            self._fresh.clear()
            self._streams.clear()
            self._unheard.clear()
            self._good_by.clear()
        elif passed > GAP:
            self._proven = None
            self._silent.clear()
            self._unheard = dict.fromkeys(self._unheard, self._watched)
            self._good_by.clear()
        return counts

    def _note(self, found: Tally, hosts: Mapping[str, Seen]) -> None:
        """Note which hosts the stage has, and which of them can't be heard."""
        now = self._watched
        self._fresh |= found.fresh
        for host in found.meant:
            self._hosts.add(host)
            if found.there[host].connected:
                self._streams.add(host)
        for host in self._hosts:
            seen = found.there.get(host)
            if seen is not None and (seen.connected or host not in self._streams):
                self._unheard.pop(host, None)
            elif now - self._unheard.setdefault(host, now) > LOST_AFTER:
                name = called(hosts[host].report) if host in hosts else host[:12]
                self._against.setdefault(host, f"{name} was lost: nothing was heard of it for {LOST_AFTER:g} s")
        for host, report in found.against.items():
            self._against[host] = _why(report)

    def _note_answers(self, found: Tally, passed: float) -> None:
        """Note for how long each host without an answer was heard; one that is good has all its time once more."""
        silent = found.having("silent")
        self._silent = {host: each for host, each in self._silent.items() if host in silent or host in self._unheard}
        for host in silent - self._unheard.keys():
            self._silent[host] = self._silent[host] + passed if host in self._silent else 0.0
        for host in found.having("good"):
            self._good_by.pop(host, None)

    def _excused(self, found: Tally) -> frozenset[str]:
        """The hosts that are not needed: they are against it, or lost, which is allowed to so many.

        One that is heard again, or has changed its mind, is needed again, though it counts among those for good.
        """
        return frozenset(
            host for host in self._against if host in self._unheard or found.answers.get(host) in (None, "against")
        )

    # ---- what stops it

    def _speaks_against(self, rollout: Rollout, found: Tally) -> str:
        """Why the rollout has to be stopped; empty if it has not."""
        if (number := len(self._against)) > rollout.max_refused:
            reason, allowed = next(reversed(self._against.values())), rollout.max_refused
            counted = f"{number} hosts are against it, and {allowed} may be; the last: " if number > 1 else ""
            return f"{counted}{reason}"
        excused = self._excused(found)
        if any(hosts and hosts <= excused for hosts in (self._hosts, self._fresh)):  # there is none to prove the stage
            return f"no host is left that could pass the stage; the last: {next(reversed(self._against.values()))}"
        if late := self._late(rollout, found):
            return f"{names(found, late)} did not answer within {rollout.max_lag:g} s"
        if late := self._not_good(rollout, found.having("partial"), found):
            why = printable(found.there[late[0]].report.reason)
            return f"{names(found, late)} has it in a part of its workers only: {why}"
        if late := self._not_good(rollout, found.having("applied"), found):
            return f"{names(found, late)} applied it, and was not good within the time that it needs for that"
        return ""

    def _late(self, rollout: Rollout, found: Tally) -> list[str]:
        silent = found.having("silent") - self._unheard.keys()
        return [host for host in silent if self._silent[host] > rollout.max_lag]

    def _not_good(self, rollout: Rollout, hosts: frozenset[str], found: Tally) -> list[str]:
        """Those of these hosts that are not good, or not better, by the time that they have said.

        The time counts from when this controller has read it. A host that has applied it, and does not know the time,
        is waited for.
        """
        late, now = [], self._watched
        for host in sorted(hosts):
            report = found.there[host].report
            if report.state == "good" or (report.state == "applied" and report.good_in <= 0.0):
                continue
            said, until = self._good_by.get(host, (None, 0.0))
            if said != (report.state, report.good_in):
                until = now + (report.good_in if report.state == "applied" else 0.0) + rollout.max_lag
                self._good_by[host] = (report.state, report.good_in), until
            if now > until:
                late.append(host)
        return late

    # ---- an empty stage

    def _filled(self, head: Head, found: Tally) -> Widen | None:
        """The same stage with hosts, if there was none when it began, and a fleet has come; else None."""
        assert head.rollout is not None
        index = head.rollout.stage
        if index < 0 or found.answers or self._hosts or not found.there:
            return None
        known, since = self._came
        if found.there.keys() - known:
            self._came = known | found.there.keys(), self._watched
            return None
        if self._watched - since < STEADY:
            return None
        filled = at_stage(head, index, found.there.values())
        if filled.percent == head.percent:
            return None
        return Widen(msgspec.structs.replace(filled, rev=head.rev + 1), f"hosts have come: {_begins(filled)}")


def _why(report: Report) -> str:
    words = {
        "refused": "refused it",
        "undone": "has taken it back",
        "fault": "can't use it",
    }
    return f"{called(report)} {words[report.state]}{f': {printable(report.reason)}' if report.reason else ''}"


def _passed(head: Head, seen: Progress, found: Tally) -> Widen | Promote:
    """What follows when the present stage is passed."""
    assert head.rollout is not None
    detail = f"{seen.good} of {seen.meant} hosts are good"
    if is_last(head.rollout, head.rollout.stage):
        return Promote(promoted(head), detail)
    wider = next_stage(head, found)
    return Widen(wider, f"{detail}; {_begins(wider)}")


def _begins(head: Head) -> str:
    assert head.rollout is not None
    number, stages = number_of(head.rollout, head.rollout.stage)
    return f"stage {number} of {stages} begins: {name_of(head.rollout, head.rollout.stage)}"


def next_stage(head: Head, found: Tally) -> Head:
    """The head in which the stage after the present one has begun; it must not be the last."""
    assert head.rollout is not None
    wider = at_stage(head, head.rollout.stage + 1, found.there.values())
    return msgspec.structs.replace(wider, rev=head.rev + 1)


def promoted(head: Head) -> Head:
    """The head in which `next` has become stable."""
    assert head.next is not None
    return Head(head.next, salt=head.salt, rev=head.rev + 1, why=head.why, retry=head.retry)


def _ended(head: Head, why: str) -> Head:
    """The head in which all hosts go back to what is stable."""
    return Head(head.stable, salt=head.salt, rev=head.rev + 1, why=why, retry=head.retry)


def begun(stable: str, next_: str, rollout: Rollout, salt: str, rev: int, hosts: Mapping[str, Seen]) -> Head:
    """The head with which a rollout begins: its first stage, with the hosts that are there now."""
    first = msgspec.structs.replace(rollout, stage=first_of(rollout))
    bare = Head(stable, next=next_, salt=salt, rev=rev, rollout=first)
    found = tally(bare, hosts)
    return at_stage(bare, first.stage, found.there.values())
