"""What the reports say of the present stage of a rollout.

Only what a host says of `next` under the head's own salt counts. A host that is held is counted as held: it is no
evidence. A host that has missed a report is none either, whatever it said before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from typing import Literal, NamedTuple

import msgspec

from confcast.fleet.head import Head, Rollout, is_meant
from confcast.fleet.reports import Report, Seen
from confcast.fleet.rollout.hosts import called, is_alive, is_there
from confcast.fleet.rollout.stages import before_stage, first_of, name_of, number_of
from confcast.texts import printable

AGAINST = frozenset({"refused", "undone", "fault"})
"""The states that speak against a payload."""

Answer = Literal["silent", "partial", "applied", "good", "held", "against"]

_NAMED = 3


class Tally(NamedTuple):
    """The hosts of a fleet, by what they say of `next`. All sets have ids.

    Attributes:
        there: Each host of the fleet.
        meant: Of these, the hosts that `next` is meant for.
        fresh: Of these, those that the stage before did not have; empty if it adds none.
        answers: What each host that `next` is meant for says, also one that is away.
        against: What speaks against it, also of hosts that are away, or that it is not meant for any more.
    """

    there: Mapping[str, Seen]
    meant: frozenset[str]
    fresh: frozenset[str]
    answers: Mapping[str, Answer]
    against: Mapping[str, Report]

    def having(self, answer: Answer) -> frozenset[str]:
        """The hosts of the fleet, meant for, that say this."""
        return frozenset(host for host in self.meant if self.answers[host] == answer)

    def lacking(self, rollout: Rollout, excused: Set[str] = frozenset(), *also: Set[str]) -> int:
        """How many more hosts have to be good before the stage has been proven, over its bake time.

        At least `min_acks`, or all that are meant, and at least one; the same of the hosts that are new in the stage.

        Args:
            rollout: How it is rolled out.
            excused: Hosts that speak against it, or are lost, as far as that is allowed.
            also: Hosts that the stage had earlier, in all and as new ones: they are needed though they have gone away.
        """
        had, had_fresh = also or (frozenset[str](), frozenset[str]())
        good, groups = self.having("good"), [self.meant | had, self.fresh | had_fresh]
        return max(_lacking(good, group, excused, rollout.min_acks) for group in groups[: 2 if groups[1] else 1])


def _lacking(good: Set[str], group: Set[str], excused: Set[str], min_acks: int) -> int:
    return max(0, max(1, min(min_acks, len(group - excused))) - len(good & group))


def tally(head: Head, hosts: Mapping[str, Seen]) -> Tally:
    """Count what these hosts, by their ids, say of the head's `next`."""
    there = {host: each for host, each in hosts.items() if is_there(each)}
    had = before_stage(head, there.values()) if head.rollout is not None else head
    meant = {host for host, each in hosts.items() if is_meant(head, host, each.report.labels)}
    fresh = {host for host in meant & there.keys() if not is_meant(had, host, hosts[host].report.labels)}
    answers = {host: _answer(head, hosts[host]) for host in meant}
    against = {host: each.report for host, each in hosts.items() if _is_about(head, each.report) in AGAINST}
    return Tally(there, frozenset(meant & there.keys()), frozenset(fresh), answers, against)


def _is_about(head: Head, report: Report) -> str:
    """A report's state, if it is about the head's `next`, and was said under its salt; else empty."""
    return report.state if (report.digest, report.salt) == (head.next, head.salt) else ""


def _answer(head: Head, seen: Seen) -> Answer:
    state = _is_about(head, seen.report)
    if state in AGAINST:
        return "against"
    if state == "good" and is_alive(seen):
        return "good"
    if state in ("held", "partial"):
        return "held" if state == "held" else "partial"
    return "applied" if state in ("applied", "good") else "silent"


class Progress(msgspec.Struct, frozen=True):
    """How far a stage has come, for people and programs.

    Attributes:
        stage: Its number, counted from 1, rings included.
        stages: How many there are.
        name: "ring=canary", "1 host", "10%".
        there: Hosts of the fleet.
        meant: Hosts that `next` is meant for.
        applied: Of these, those that have applied it, the good ones included.
        good: Of these, those that are good.
        lacking: How many more have to be good.
        silent: Hosts that have not answered.
        partial: Hosts that have it in a part of their workers.
        held: Hosts that are held.
        against: Hosts that speak against it, or were lost.
        bakes: Seconds of its bake time that are left; None before it begins, or if nobody measures it.
        waits_for: What it waits for, in words.
    """

    stage: int
    stages: int
    name: str
    there: int
    meant: int
    applied: int
    good: int
    lacking: int
    silent: int
    partial: int
    held: int
    against: int
    bakes: float | None
    waits_for: str

    @property
    def text(self) -> str:
        """One line, which does not change with the time alone."""
        counts = [f"{self.good} of {self.meant} good"]
        counts += [f"{self.applied - self.good} more applied"] if self.applied > self.good else []
        counts += [f"{self.held} held"] if self.held else []
        counts += [f"{self.against} against"] if self.against else []
        text = f"stage {self.stage} of {self.stages} ({self.name}): {', '.join(counts)}; waits for {self.waits_for}"
        return printable(text)  # a ring's name is a text of the head


def progress(
    head: Head,
    found: Tally,
    *,
    lacking: int,
    bakes: float | None = None,
    against: int | None = None,
    unheard: Iterable[str] = (),
) -> Progress:
    """How far the present stage has come.

    Args:
        head: The head of a rollout.
        found: What its hosts say.
        lacking: How many more have to be good.
        bakes: Seconds of its bake time that are left.
        against: How many hosts were against it, if more is known than what the reports have now.
        unheard: Hosts that the stage had, and that can't be heard now.
    """
    rollout = head.rollout
    assert rollout is not None
    number, stages = number_of(rollout, rollout.stage)
    good, applied = len(found.having("good")), len(found.having("applied"))
    return Progress(
        stage=number,
        stages=stages,
        name=name_of(rollout, rollout.stage),
        there=len(found.there),
        meant=len(found.meant),
        applied=good + applied,
        good=good,
        lacking=lacking,
        silent=len(found.having("silent")),
        partial=len(found.having("partial")),
        held=len(found.having("held")),
        against=len(found.against) if against is None else against,
        bakes=bakes,
        waits_for=_waits_for(rollout, found, lacking, frozenset(unheard)),
    )


def _waits_for(rollout: Rollout, found: Tally, lacking: int, unheard: frozenset[str]) -> str:
    if unheard:
        return f"a sign of life of {names(found, unheard)}"
    if not found.meant:
        return _no_host(rollout, found)
    if silent := found.having("silent"):
        return f"the answer of {names(found, silent)}"
    if partial := found.having("partial"):
        return f"the other workers of {names(found, partial)}"
    if lacking:
        text = f"{lacking} more good {'host' if lacking == 1 else 'hosts'}"
        held = found.having("held")
        return f"{text} ({names(found, held)} held; `confcast fleet confirm` passes the stage)" if held else text
    return f"the end of its {rollout.bake:g} s"


def _no_host(rollout: Rollout, found: Tally) -> str:
    away = [host for host in found.answers if host not in found.there]
    if away:
        return f"a host: all that it is meant for ({len(away)}) are away"
    if rollout.stage < 0:
        rings = rollout.rings[: rollout.stage - first_of(rollout) + 1]
        return f"a host with the label {' or '.join(rings)}: none is there"
    if not found.there:
        return "a host: none is there"
    there = "is 1 host" if len(found.there) == 1 else f"are {len(found.there)} hosts"
    return f"the end of a fleet's coming: there {there} now"


def names(found: Tally, hosts: Iterable[str]) -> str:
    """These hosts by their names, the first few of them."""
    shown = sorted(called(found.there[host].report) if host in found.there else printable(host[:12]) for host in hosts)
    more = len(shown) - _NAMED
    return ", ".join(shown) if more <= 0 else f"{', '.join(shown[:_NAMED])} and {more} more"
