"""Which worker alone is asked first, where functions took long at the last vote; the others are asked after its yes.

A version that can't be built, or that a long `precommit` function refuses, then costs one build, and not all cores.
Guaranteed:

- It is so where a worker's functions took more than 0.1 s at the last vote at which any ran: from its first `Working`
  to its vote. Decoding and waiting for a processor do not count. A quick no does not say how long a yes takes.
- A no of the first worker refuses as any no; of a dry run, too, whose other votes are not collected then.
- The others are asked when the first one has voted yes, at the latest after a third of `precommit_timeout` or at the
  end of `vote_timeout`. Where it has left, lost its pipe or was excused, another one is asked in its place.
- Neither part of the vote lasts longer for it. Whoever is asked later has all of `vote_timeout`, and those who work
  have two thirds of `precommit_timeout`; where that does not suffice, by the last vote, all are asked at once.

Rejected: the first one chosen by chance (no transcript of a fault could be played again), and one that votes first at
each reload (where nothing takes long, the others would only wait for it).
"""

from __future__ import annotations

from confcast.owner.core.members import Member, Roster
from confcast.owner.core.rules import Rules

SLOW = 0.1
"""Seconds of a worker's functions at one vote above which one worker votes first at the next."""


class FirstVote:
    """How long votes took, and the one worker that is asked.

    Args:
        rules: For how long a vote may take.
        roster: The workers that may be asked.

    Attributes:
        member: The worker that alone is asked in the present round; None: all are asked.
    """

    def __init__(self, rules: Rules, roster: Roster) -> None:
        self.member: Member | None = None
        self._roster = roster
        self._part = rules.precommit_timeout / 3
        self._began: dict[Member, float] = {}
        self._slowest = 0.0  # of the present round
        self._last = 0.0  # of the last round in which any function ran

    def asks(self, member: Member) -> bool:
        """Whether this worker is asked for its vote now."""
        return self.member is None or self.member is member

    def begins_function(self, member: Member, now: float) -> None:
        """Note that a worker will run a function for a vote, perhaps not its first one."""
        if member.working is None:
            self._began[member] = now

    def votes(self, member: Member, *, ok: bool, now: float) -> None:
        """Note a vote, of the present round or an earlier one."""
        member.willing = ok
        began = self._began.pop(member, None)
        if began is None or member.working is None:  # it was on another pipe
            return
        if ok or now - began > SLOW:
            self._slowest = max(self._slowest, now - began)

    def limit(self, seconds: float) -> float:
        """For how long the first worker is asked alone, where a worker has so many seconds for its vote."""
        return min(seconds, self._part)

    def choose(self, seconds: float, now: float) -> None:
        """A round begins, in which a worker has so many seconds for its vote: choose who is asked first, if anyone."""
        self._began = {member: began for member, began in self._began.items() if self._works(member)}
        slowest = max([self._slowest, *(now - began for began in self._began.values())])
        self._last, self._slowest = slowest or self._last, 0.0
        fits = self._last <= self._part and seconds <= 2 * self._part
        self.member = self._pick() if self._last > SLOW and fits else None

    def follow(self) -> bool:
        """Choose another worker if the first one can't answer any more. Returns whether all are to be asked."""
        first = self.member
        if first is None or first.vote:
            return True
        if not (self._roster.of(first.pid) is first and self._can_be_asked(first)):
            self.member = self._pick()
        return self.member is None

    def _pick(self) -> Member | None:
        """The first on the roster whose last vote was yes, if any's was; None where at most one could answer now."""
        able = [each for each in self._roster.waited_for() if self._can_be_asked(each) and each.working is None]
        return next((member for member in able if member.willing), able[0]) if len(able) > 1 else None

    def _can_be_asked(self, member: Member) -> bool:
        return member.pipe is not None and not member.timed_out and member.pid not in self._roster.excused

    def _works(self, member: Member) -> bool:
        return member.working is not None and self._roster.of(member.pid) is member
