"""The frame that a pipe gets next: a function of what was sent on it and of the owner's state.

Nothing is ever queued, so no frame overtakes another or is overwritten; a worker that reads slowly skips old frames
and costs its owner no memory. A member that holds the base of a patch, and whose answer is not awaited, gets the
patch; every other one gets the payload.

Rejected: a queue per pipe (a stopped worker's grows for ever), and an outbox where the latest frame wins (a Commit that
waits is replaced by the next Prepare, and that worker never gets it).
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec

from confcast.owner.core import effects as fx
from confcast.owner.core.canaries import Canaries
from confcast.owner.core.first_vote import FirstVote
from confcast.owner.core.members import Member, Roster
from confcast.owner.core.observing import Observing
from confcast.owner.core.proposal import Proposal, ProposalState
from confcast.owner.core.rules import Rules
from confcast.owner.core.version_numbers import Committed
from confcast.wire.messages import Abort, Commit, Install, Observe, Prepare, Provisional, Settled, ToWorker

_OPEN = (ProposalState.STAGING, ProposalState.RECORDING)
_TRIES = (ProposalState.IDLE, ProposalState.LOADING, ProposalState.COMMITTING)
_DEFER_SETTLED = 0.05
"""Seconds for which Settled is held back from workers that don't wait for it."""

_MOST_TIMED = 4
_ROUNDED_DOWN = 1e-6


class Outbox:
    """The frames that the owner's state calls for, and the members for which the next frame must be computed.

    Attributes:
        round: The latest round; 0 before the first.
        settled: The version whose barrier was closed last.
        canaries: The workers that run a version on trial; None while none is.
        deferred_until: When Settled is sent to workers that don't wait for it, if the owner is idle then; None: not
            held back. Waking such a worker costs about as much as its vote, and the next load may begin at once.
        provisional_until: Until when what is committed may still be undone; 0.0: it is not provisional.
    """

    def __init__(
        self, roster: Roster, committed: Committed, rules: Rules, observing: Observing, first_vote: FirstVote
    ) -> None:
        self.round = 0
        self.settled = 0
        self.canaries: Canaries | None = None
        self.deferred_until: float | None = None
        self.provisional_until = 0.0
        self._now = 0.0
        self._timed: dict[int, tuple[Commit | Install, Commit | Install]]  # by the id of the frame without seconds
        self._roster = roster
        self._rules = rules
        self._observing = observing
        self._first_vote = first_vote
        self._prepare = Prepare(0, b"", b"")
        self._prepare_patch = Prepare(0, b"", b"")
        self._start_from(committed)
        self._commit = Commit(0, 0)
        self._settlement = Settled(0)
        self._touched: dict[Member, None] | None = {}

    # ---- what is true

    def open_round(self, proposal: Proposal) -> None:
        """Put this proposal to the vote, in a new round."""
        self.round += 1
        self._prepare = self._prepare_patch = Prepare(self.round, proposal.digest, proposal.payload)
        if proposal.patch:
            self._prepare_patch = Prepare(self.round, proposal.digest, proposal.patch, proposal.base)

    def begin_trial(self, canaries: Canaries | None) -> None:
        """Have these workers try the version that was put to the vote last; None: no trial is under way any more."""
        self.canaries = canaries
        for member in self._roster if canaries is None else ():
            member.forget_trial()
        self.touch_all()

    @property
    def proposed(self) -> tuple[Prepare, Prepare]:
        """What was put to the vote last: whole, and as a patch where there is one."""
        return self._prepare, self._prepare_patch

    def commit(self, committed: Committed, *, voted: bool) -> None:
        """Take this version as committed. `voted`: it has the content of the latest round's proposal."""
        self._start_from(committed, self._prepare_patch if voted else None)
        self._commit = Commit(self.round if voted else 0, committed.version)

    def settle(self, now: float) -> None:
        """Note that the barrier of the committed version is closed, so that Settled is sent."""
        self.settled = self._version
        self._settlement = Settled(self._version, tuple(status.pid for status in self._roster.lagging(self._version)))
        self.deferred_until = None if all(member.follows for member in self._roster) else now + _DEFER_SETTLED

    def send_deferred(self) -> None:
        """Send the Settled that was held back, since the owner has nothing else to do."""
        self.deferred_until = None
        self.touch_all()

    # ---- the members that may need a frame

    def touch(self, member: Member) -> None:
        """Have this member's next frame computed, since something about the member changed."""
        if self._touched is not None:
            self._touched[member] = None

    def touch_all(self) -> None:
        """Have each member's next frame computed, since something changed for all of them."""
        self._touched = None

    def pump(self, state: ProposalState, now: float) -> list[fx.Effect]:
        """Send its next frame to each member that was touched and whose last frame the kernel has taken."""
        self._now = now
        members: Iterable[Member] = self._roster if self._touched is None else self._touched
        sends: list[fx.Effect] = []
        for member in members:
            if member.pipe is not None and not member.busy:
                frame = self._next(member, state)
                if frame is not None:
                    member.busy = True
                    sends.append(fx.Send(member.pipe, frame))
        self._touched = {}
        return sends

    def _next(self, member: Member, state: ProposalState) -> ToWorker | None:
        prepared = member.prepared
        if state is ProposalState.RECORDING and not member.sent and not prepared:
            return None  # a new worker has no vote, and what it got now would soon be replaced
        if member.sent < self._version:
            member.sent, member.prepared = self._version, 0
            voted = prepared and prepared == self._commit.round
            frame = self._commit if voted else self._install_for(member, state)
            member.is_sent(self._version, self._install.digest)
            return self._with_seconds(member, frame)
        votes = state is ProposalState.STAGING and prepared != self.round and self._first_vote.asks(member)
        if votes and member.pid not in self._roster.excused:
            member.prepared = self.round
            return self._prepare_patch if member.takes_patch_of(self._prepare_patch.base) else self._prepare
        canaries = self.canaries
        if canaries is not None and state in _TRIES and (lacks := canaries.frame(member)) is not None:
            return lacks
        is_open = (state in _OPEN and prepared == self.round) or (canaries is not None and canaries.awaits(member))
        if prepared and not is_open:
            member.prepared = 0
            return Abort(prepared)
        if canaries is not None and (begins := canaries.begin_frame(member)) is not None:
            return begins
        observe = self._observing.wanted(member) if self._observing.waits else 0
        asks = observe > member.observes
        if member.settled < self.settled == member.acked and (member.follows or asks or self.deferred_until is None):
            member.settled = self.settled
            return self._settlement
        if self._differs_for(member):
            member.provisional_until = self.provisional_until
            return Provisional(self._version, self._seconds_left())
        if asks:  # after Settled: functions that wait for Settled are observers, too
            member.observes = observe
            return Observe(observe)
        return None

    # ---- for how long it is provisional

    def _with_seconds(self, member: Member, frame: Commit | Install) -> Commit | Install:
        """This frame for this member, with the seconds for which the version is provisional.

        Members that get the same get one object, since the loop encodes each once.
        """
        member.provisional_until = self.provisional_until
        if not (seconds := self._seconds_left()):
            return frame
        known, timed = self._timed.get(id(frame), (None, frame))
        if known is not frame or timed.provisional != seconds:
            self._timed = {} if len(self._timed) > _MOST_TIMED else self._timed
            timed = msgspec.structs.replace(frame, provisional=seconds)
            self._timed[id(frame)] = frame, timed
        return timed

    def _differs_for(self, member: Member) -> bool:
        """Whether the member runs the version, and was told another end of its provisional time; none has passed."""
        told, until = member.provisional_until, self.provisional_until
        if told == until or member.trial is None or member.acked != self._version:
            return False
        return max(told, self._now) != max(until, self._now)

    def _seconds_left(self) -> float:
        """Rounded up, so that workers that attach one after the other get one frame."""
        return float(max(0, math.ceil(self.provisional_until - self._now - _ROUNDED_DOWN)))

    def _start_from(self, committed: Committed, voted: Prepare | None = None) -> None:
        self._version = committed.version
        self._timed = {}  # its frames have the contents of former versions
        self._install = Install(
            committed.version,
            committed.digest,
            committed.payload,
            undo=committed.undo,
            answers_within=self._rules.answers_within,
            precommit_timeout=self._rules.precommit_timeout,
        )
        self._install_patch = self._install
        if voted is not None and voted.base:
            self._install_patch = msgspec.structs.replace(self._install, payload=voted.payload, base=voted.base)

    def _install_for(self, member: Member, state: ProposalState) -> Install:
        """The Install for a worker that holds nothing: the committed version, and how many workers declined it."""
        install = self._committed_for(member)
        canaries = self.canaries if state is not ProposalState.RECORDING else None
        trial = canaries.with_an_install(member) if canaries is not None else None
        return install if trial is None else msgspec.structs.replace(install, trial=trial)

    def _committed_for(self, member: Member) -> Install:
        if member.held[0]:
            return self._install_patch if member.takes_patch_of(self._install_patch.base) else self._install
        declined = sum(other.refuses() is not None for other in self._roster)
        if declined != self._install.declined:
            self._install = msgspec.structs.replace(self._install, declined=declined)
        return self._install
