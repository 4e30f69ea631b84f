"""A first start whose sources are refused: the server starts on the newest good version (`on_start_error="last_good"`).

Guaranteed: it is done at most once, by the owner of a first start, and only where the first load of the sources failed:
they could not be read, were not valid, hung, or a worker voted no. What is put back is a kept version of today's schema
that was settled and declined by nobody (the journal knows which), under the next number, without a worker's yes. The
row that commits it holds it, and says that this is a boot's hold: unlike a person's, it stops no load. So the sources
are followed by whatever requests a load, and the row of the first load that is applied ends the hold. If there is no
such version, the start is refused.

Where a version is held, or a window was undone, what runs is served already, whatever the sources say. A reissue, the
end of an override, and an operation that is refused may come before the first load, and are none. A journal that can't
be written fails the start: this version could not be written either.

Rejected: starting on the version that was committed last (a worker may have declined it, or its server died before it
was settled), a person's hold (a server that has come up by itself must not wait for a person), and doing it at a full
reload (the generation before serves on: refusing the new one changes nothing).
"""

from __future__ import annotations

from confcast.owner.core import effects as fx
from confcast.owner.core.proposal import Proposal, ProposalState
from confcast.owner.core.steps import Steps
from confcast.wire.messages import ReloadEvent

ORIGIN = "last_good"


class LastGood(Steps):
    """The steps that put back the newest good version at a first start."""

    def falls_back(self, event: ReloadEvent) -> bool:
        """Whether the newest good version is put back next, since the load of this event, the latest, has failed."""
        return self._proposal.boot and event.origin != ORIGIN

    def _first_load_ends(self, *, failed: bool) -> None:
        proposal = self._proposal
        loads = proposal.follows_sources and not (proposal.reissue or proposal.undo)
        if self._may_fall_back and loads and not (failed and proposal.asked is not None):
            judged = self.state in (ProposalState.LOADING, ProposalState.STAGING)
            stands = self.operator.is_held or self.operator.unconfirmed is not None
            self._may_fall_back, self._falls_back = False, failed and judged and not stands

    def _fall_back(self) -> None:
        self._falls_back = False
        self._excuse_timed_out()
        self._proposal = Proposal(ORIGIN, self._now, self.committed.version, boot=True)
        self._enter(ProposalState.LOADING)
        self._effects.append(fx.Restore(self._loads.begin(), None, boot=True))
