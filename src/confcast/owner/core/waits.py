"""The workers that a proposal waits for, how long, and the reason given for each one that it excuses.

Each wait has an early deadline, for members that report nothing, and a late one, for members that have reported which
function they run; both are fixed when the wait begins. A load that was refused because workers timed out is tried again
with twice the time, up to the late deadline: a content may take all workers longer than usual, and they would time out
each time.

Rejected: one long deadline for everybody (a stopped worker would hold up each reload for as long as a function may
run), and a deadline that each further function extends (nobody could say when a reload is answered).
"""

from __future__ import annotations

from collections.abc import Callable

from confcast.owner.core import effects as fx
from confcast.owner.core.first_vote import FirstVote
from confcast.owner.core.members import NO_PIPE, Member, Roster
from confcast.owner.core.proposal import Phase, ProposalState
from confcast.owner.core.rules import Rules

_MOST_DOUBLED = 10

_ANSWERED: dict[ProposalState, Callable[[Member, int], bool]] = {
    # whether a member has answered what the proposal waits for, given the number of the committed version
    ProposalState.STAGING: lambda member, version: member.vote,
    ProposalState.COMMITTING: lambda member, version: member.answered(version),
}


class Waits:
    """The deadlines of the present staging or barrier.

    Args:
        rules: The seconds that each wait may last.
        roster: The workers that are waited for; those that are excused are noted there.
        first_vote: The one worker that is asked before the others, if one is.
    """

    def __init__(self, rules: Rules, roster: Roster, first_vote: FirstVote) -> None:
        self._rules = rules
        self._first_vote = first_vote
        self._roster = roster
        self._tries = 0
        self._seconds = rules.vote_timeout
        self._early = 0.0

    @property
    def vote_seconds(self) -> float:
        """Seconds that a worker without a report has for its vote in the next staging."""
        usual = self._rules.vote_timeout
        return min(usual * float(2**self._tries), max(usual, self._rules.precommit_timeout))

    def begin(self, timer: fx.Timer, now: float, earliest: float) -> float:
        """Begin a wait. Returns its early deadline, which is not before `earliest`."""
        self._seconds = self.vote_seconds if timer is fx.Timer.STAGE else self._rules.vote_timeout
        if self._first_vote.member is not None and timer is fx.Timer.STAGE:  # a wait of its own, before that for all
            self._seconds = self._first_vote.limit(self._seconds)
        self._early = max(now + self._seconds, earliest)
        return self._early

    def is_over(self, now: float) -> bool:
        """Whether the early deadline has come."""
        return now >= self._early

    def staging_ended(self, *, timed_out: bool) -> None:
        """Note that a staging ended. `timed_out`: workers' time-outs refused it, so the next one has twice the time."""
        self._tries = min(self._tries + 1, _MOST_DOUBLED) if timed_out else 0

    def excuse(self, state: ProposalState, version: int, began: float, now: float, *, dry: bool) -> float | None:
        """Excuse, at a deadline, the members that report nothing. Returns the late deadline if others need it.

        `dry`: they are excused this time only, and do not count as timed out.
        """
        late = began + self._rules.precommit_timeout
        missing = [m for m in self._roster.waited_for() if not _ANSWERED[state](m, version)]
        overdue = (m for m in missing if m.working is None or now >= late)
        excuse = self._roster.excuse if dry else self._roster.mark_timed_out
        excuse(overdue, lambda member: self.why(member, now))
        return late if any(member.pid not in self._roster.excused for member in missing) else None

    def why(self, member: Member, now: float) -> str:
        """The reason for which this member is excused, in words for the outcome."""
        if member.pipe is None:
            return NO_PIPE
        if member.working is None:
            return f"did not answer within {self._seconds:g} s (vote_timeout)"
        function, since = member.working
        return f"{function} has run for {now - since:.0f} s (precommit_timeout={self._rules.precommit_timeout:g})"

    def phase(self, state: ProposalState, version: int, since: float) -> Phase:
        """The present state, the workers that it waits for, and the excused workers that run a function."""
        done = _ANSWERED.get(state)
        asked = filter(self._first_vote.asks, self._roster.waited_for())
        missing = [member for member in asked if done and not done(member, version)]
        busy = [member for member in self._roster if member.working is not None and member not in missing]
        return Phase(state, since, tuple((member.pid, member.working) for member in missing + busy))
