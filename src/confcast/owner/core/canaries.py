"""The canaries: which workers run the version on trial, which of them have it, and the frame that one lacks.

By worker, the owner appoints as many as were asked for among the workers that know trials, and leaves at least one
without; a canary that leaves the roster is replaced, by the next worker that connects if there is no other. By entity,
all that know trials are canaries, and the version is used once all of them have it, or a deadline has passed for the
others: a trial's Settled says so.

A canary that has not agreed, on its present pipe, to the round in which all have voted is sent Prepare of that round
again, and Try follows its yes. One that had the version before answers at once, from its slot.

Rejected: a canary that is replaced as soon as its pipe ends (it lives, and its pins still get the version), and
dropping the version where a worker takes part that need not (numbers would go down there).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from confcast.owner.core.members import Member, Roster
from confcast.owner.core.operator_state import Trial
from confcast.owner.core.proposal import Proposal
from confcast.wire.messages import OnTrial, Prepare, Settled, ToWorker, Try

_MOST_WITH_AN_INSTALL = 16 * 2**20
"""Bytes of a content that may be in one frame with the committed one; a greater one follows by Prepare and Try."""


@dataclass(slots=True, eq=False)
class Canaries:
    """The workers that run one version on trial.

    Attributes:
        trial: The trial, as it is in the journal.
        content: The proposal that was put to the vote in `round`, and is what a promotion commits.
        prepare, patch: The frames of that vote; `patch` is `prepare` where the payload travels whole.
        wanted: By worker, how many canaries there are to be.
        pids: The canaries.
        begins_by: By entity, when its use begins at the latest; 0.0: it has begun.
        refused: Why canaries refuse it, or it can't be committed, in words; the first ones first.
        over: Whether its undo is ordered, or tried again: then nobody is given it any more.
        named: By entity, the workers that did not have it when its use began.
    """

    trial: Trial
    content: Proposal
    round: int
    prepare: Prepare
    patch: Prepare
    wanted: int
    begins_by: float
    pids: set[int] = field(default_factory=set)
    refused: list[str] = field(default_factory=list)
    named: tuple[int, ...] = ()
    over: bool = False

    @property
    def by_entity(self) -> bool:
        """Whether each worker runs both versions."""
        return self.trial.canary.by == "entity"

    # ---- who they are

    def appoint(self, roster: Roster) -> list[Member]:
        """Add the workers that must run the version, too. Returns those that were added."""
        able = [member for member in roster if member.knows_trials]
        new = [member for member in able if member.pid not in self.pids and self._must(member)]
        self.pids |= {member.pid for member in new}
        if not self.by_entity:
            wanted = min(self.wanted, self.trial.canary.workers_of(len(able)))
            more = max(0, wanted - len(self.pids))
            fit = [member for member in able if member.pid not in self.pids and _is_awake(member)]
            fit.sort(key=lambda member: not member.vote)  # who has just agreed has it soonest
            new += fit[:more]
            self.pids |= {member.pid for member in fit[:more]}
        return new

    def _must(self, member: Member) -> bool:
        """Whether this worker is one whoever else is: by entity, or since it has the version already (a fork)."""
        return self.by_entity or member.shows == self.trial.version

    # ---- who has it

    def are_in(self, roster: Roster) -> bool:
        """Whether each canary that is waited for, and runs what is committed, has the version."""
        missing = (member for member in roster if member.pid in self.pids and member.tried != self.trial.version)
        return all(member.pid in roster.excused or not _can(member) for member in missing)

    def taken_up(self, roster: Roster) -> bool:
        """Whether a living canary has the version, by what it has said on its present pipe."""
        return any(member.pid in self.pids and member.tried == self.trial.version for member in roster)

    def without(self, roster: Roster) -> tuple[int, ...]:
        """The workers that do not have it, by pid."""
        return tuple(sorted(member.pid for member in roster if member.tried != self.trial.version))

    # ---- what they are sent

    def awaits(self, member: Member) -> bool:
        """Whether this member's vote in the trial's round is still awaited, so that it is not called off."""
        return member.pid in self.pids and member.prepared == self.round and member.trying != self.trial.version

    def frame(self, member: Member) -> ToWorker | None:
        """What this canary lacks, now that it was sent the committed version; None: nothing, or its vote."""
        trial = self.trial
        if self.over or member.pid not in self.pids or member.trying == trial.version or not _can(member):
            return None
        unheard = member.agreed == -self.round and not self.refused
        if member.prepared != self.round or unheard:
            member.prepared, member.agreed = self.round, 0  # a no that came during the write is asked for once more
            return self.patch if member.takes_patch_of(self.patch.base) else self.prepare
        if member.agreed != self.round:
            return None
        member.prepared, member.trying = 0, trial.version
        return Try(self.round, trial.version, trial.canary.share if self.by_entity else 0.0, trial.salt)

    def with_an_install(self, member: Member) -> OnTrial | None:
        """The version on trial for a worker that is sent the committed one: by entity, if both go into one frame."""
        trial, payload = self.trial, self.prepare.payload
        takes = self.by_entity and not self.over and member.pid in self.pids and _can(member)
        if not takes or len(payload) > _MOST_WITH_AN_INSTALL:
            return None
        member.trying, member.begun = trial.version, 0 if self.begins_by else trial.version
        begun = not self.begins_by
        return OnTrial(trial.version, trial.digest, payload, trial.canary.share, trial.salt, begun)

    def begin_frame(self, member: Member) -> Settled | None:
        """What tells a worker that has the version that its use begins, by entity; None: nothing to tell."""
        version = self.trial.version
        begins = self.by_entity and not self.begins_by and not self.over
        if not begins or member.tried != version or member.begun == version:
            return None
        member.begun = version
        return Settled(version, self.named)


def _can(member: Member) -> bool:
    return member.knows_trials and member.refuses() is None


def _is_awake(member: Member) -> bool:
    return member.pipe is not None and not member.timed_out and _can(member)
