"""For whom a proposal waits, how long, and what is said of those for whom it waits no longer.

Each wait has an early deadline, for members that are silent, and a late one, for members that have said which function
they run; both are fixed when the wait begins. A staging that silence refused is tried again with twice the time, up to
the late deadline: all workers may need longer than usual for a content, and would be silent each time.

Rejected: one long deadline for everybody (a stopped worker would hold up each reload for as long as a function may
run), and a deadline that each further function extends (nobody could say when a reload is answered).
"""

from __future__ import annotations

from collections.abc import Callable

from confcast.owner.core import effects as fx
from confcast.owner.core.members import NO_PIPE, Member, Roster
from confcast.owner.core.proposal import Phase, ProposalState
from confcast.owner.core.rules import Rules

UNDO_AGAIN = 1.0
"""Seconds until an undo is written again that could not be."""

_MOST_DOUBLED = 10

_ANSWERED: dict[ProposalState, Callable[[Member, int], bool]] = {
    # whether a member has given what the proposal waits for, given the committed version
    ProposalState.STAGING: lambda member, version: member.vote,
    ProposalState.COMMITTING: lambda member, version: member.answered(version),
}


class Waits:
    """The present wait, one after the other.

    Args:
        rules: How long is waited for what.
        roster: For whom; who is not waited for any longer is marked there.
    """

    def __init__(self, rules: Rules, roster: Roster) -> None:
        self._rules = rules
        self._roster = roster
        self._tries = 0
        self._patience = rules.vote_timeout
        self._early = 0.0

    def begin(self, timer: fx.Timer, now: float, earliest: float) -> float:
        """A wait begins: its early deadline, which is not before `earliest`."""
        usual = self._rules.vote_timeout
        doubled = usual * 2**self._tries if timer is fx.Timer.STAGE else usual
        self._patience = min(doubled, max(usual, self._rules.precommit_timeout))
        self._early = max(now + self._patience, earliest)
        return self._early

    def is_over(self, now: float) -> bool:
        """Whether the early deadline has come."""
        return now >= self._early

    def staged(self, *, refused_by_silence: bool) -> None:
        """A staging came to its end."""
        self._tries = min(self._tries + 1, _MOST_DOUBLED) if refused_by_silence else 0

    def excuse(self, state: ProposalState, version: int, began: float, now: float) -> float | None:
        """A deadline has come: who is silent is named. Gives the late deadline, if somebody works until then."""
        timed_out = began + self._rules.precommit_timeout
        missing = [m for m in self._roster.waited_for() if not _ANSWERED[state](m, version)]
        overdue = (m for m in missing if m.working is None or now >= timed_out)
        self._roster.mark_timed_out(overdue, lambda member: self.why(member, now))
        return timed_out if any(member.pid not in self._roster.excused for member in missing) else None

    def why(self, member: Member, now: float) -> str:
        """Why this member is not waited for."""
        if member.pipe is None:
            return NO_PIPE
        if member.working is None:
            return f"did not answer within {self._patience:g} s (vote_timeout)"
        function, since = member.working
        return f"{function} has run for {now - since:.0f} s (precommit_timeout={self._rules.precommit_timeout:g})"

    def phase(self, state: ProposalState, version: int, since: float) -> Phase:
        """What the owner is at, and for whom it waits; who works is shown, whether it is waited for or not."""
        done = _ANSWERED.get(state)
        missing = [member for member in self._roster.waited_for() if done and not done(member, version)]
        busy = [member for member in self._roster if member.working is not None and member not in missing]
        return Phase(state, since, tuple((member.pid, member.working) for member in missing + busy))
