"""What a pipe gets next: a function of what it was sent and of what is true now.

Nothing is ever queued, so nothing can overtake or be overwritten; a worker that reads slowly skips what has become
history, and costs its owner no memory. Rejected: a queue per pipe (a stopped worker's grows for ever), and an outbox
where the latest frame wins (a Commit that waits is replaced by the next Prepare, and that worker never gets it).
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from confcast.owner.core import effects as fx
from confcast.owner.core.members import Member, Roster
from confcast.owner.core.observing import Observing
from confcast.owner.core.proposal import ProposalState
from confcast.owner.core.version_numbers import Committed
from confcast.wire.messages import Abort, Commit, Install, Observe, Prepare, Settled, ToWorker

_OPEN = (ProposalState.STAGING, ProposalState.RECORDING)
_REST = 0.05
"""Seconds after a settling until those are told of it who don't wait for it."""


class Outbox:
    """The frames that are true now, and who may want one of them.

    Attributes:
        round: The latest round; 0 before the first.
        settled: The version whose barrier was closed last.
        reserved_until: When those are told of it who don't wait for it, if there is nothing else to do then. None: it
            is not held back. To wake each of them costs about as much as its vote, and the next load may begin at once.
    """

    def __init__(self, roster: Roster, committed: Committed, answers_within: float, observing: Observing) -> None:
        self.round = 0
        self.settled = 0
        self.reserved_until: float | None = None
        self._roster = roster
        self._answers_within = answers_within
        self._observing = observing
        self._stand_on(committed)
        self._prepare = Prepare(0, b"", b"")
        self._commit = Commit(0, 0)
        self._settlement = Settled(0)
        self._touched: dict[Member, None] | None = {}

    # ---- what is true

    def open_round(self, digest: bytes, payload: bytes) -> None:
        """A proposal is put to the vote."""
        self.round += 1
        self._prepare = Prepare(self.round, digest, payload)

    def commit(self, committed: Committed, *, voted: bool) -> None:
        """This is in the journal. `voted`: as the proposal of the latest round."""
        self._stand_on(committed)
        self._commit = Commit(self.round if voted else 0, committed.version)

    def settle(self, now: float) -> None:
        """The barrier of the committed version is closed."""
        self.settled = self._version
        self._settlement = Settled(self._version, tuple(status.pid for status in self._roster.lagging(self._version)))
        self.reserved_until = None if all(member.follows for member in self._roster) else now + _REST

    def tell_everyone(self) -> None:
        """There is nothing else to do: those who don't wait for the settling may hear of it, too."""
        self.reserved_until = None
        self.touch_all()

    # ---- who may want a frame

    def touch(self, member: Member) -> None:
        """Something about this member changed."""
        if self._touched is not None:
            self._touched[member] = None

    def touch_all(self) -> None:
        """Something changed for everyone."""
        self._touched = None

    def pump(self, state: ProposalState) -> list[fx.Effect]:
        """Give each of them its next frame, but for those who have one on its way."""
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
            return None  # a newcomer: what it got now would be old in a moment, and it had no vote
        if member.sent < self._version:
            member.sent, member.prepared = self._version, 0
            return self._commit if prepared and prepared == self._commit.round else self._install_for(member)
        if state is ProposalState.STAGING and prepared != self.round and member.pid not in self._roster.excused:
            member.prepared = self.round
            return self._prepare
        if prepared and not (state in _OPEN and prepared == self.round):
            member.prepared = 0
            return Abort(prepared)
        observe = self._observing.wanted(member) if self._observing.waits else 0
        asks = observe > member.observes
        if member.told < self.settled == member.acked and (member.follows or asks or self.reserved_until is None):
            member.told = self.settled
            return self._settlement
        if asks:  # after the settling: those who wait for that are observers, too
            member.observes = observe
            return Observe(observe)
        return None

    def _stand_on(self, committed: Committed) -> None:
        self._version = committed.version
        self._install = Install(
            committed.version,
            committed.digest,
            committed.payload,
            undo=committed.undo,
            answers_within=self._answers_within,
        )

    def _install_for(self, member: Member) -> Install:
        """A worker that holds nothing starts on the committed version whoever refused it, and is to know of them."""
        if member.held[0]:
            return self._install
        declined = sum(other.refuses() is not None for other in self._roster)
        if declined != self._install.declined:
            self._install = msgspec.structs.replace(self._install, declined=declined)
        return self._install
