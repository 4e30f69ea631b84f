"""Probations: for some seconds from its commit on, a version is undone by itself if anything speaks against it.

Each commit of new content opens a window (`windows.py`) that has no deadline, and says until when the version proves
itself; or it carries the open window on, with one fallback, and this clock set anew. From then on:

    a no             An undo, as at a window's end: no load, no vote, nothing is built. It waits for nothing but a write
                     that is under way. The result is UNDONE, with what was seen as its evidence.
    its time passes  The version is proven: the next window falls back to it. Nothing is written: whoever reads the row
                     later sees that the time has passed. Where a person must confirm as well, the window goes on, and
                     what speaks against the version counts until its end.
    Confirm          The window is closed, by a write of the state: proven at once.
    an owner's death Nothing is changed: the clock is in the row. What the dead owner saw is lost (`evidence.py`).

Not on probation is content that was good once; an undo, a reissue; and what is committed while nothing proven is there
that could be put back, as the first version. What is said against a version is told and counted at any time; it undoes
that version alone: neither the one that has superseded it, nor one that is proven. One that was superseded on
probation, and is spoken against in its time, never becomes good; the history says so.

A probation goes on across a full reload, unlike a window with a deadline: the next generation's workers run the same
content, so their deaths say as much, and its owner has the row. Rejected: ending it as proven there (a full reload in
its first second would be a way past it), and an undo (a deploy would then take back each change of a moment ago).
"""

from __future__ import annotations

from abc import abstractmethod

import msgspec

from confcast.owner.core import effects as fx
from confcast.owner.core.members import Member
from confcast.owner.core.operator_state import Window
from confcast.owner.core.proposal import ProposalState, late_no
from confcast.owner.core.steps import Steps
from confcast.owner.core.version_numbers import Committed
from confcast.wire.messages import Counts, Unhealthy

_MOST_SUPERSEDED = 64
"""Of how many versions that were superseded on probation a no is still taken: a window may last for a day."""


class Probations(Steps):
    """The handlers of what speaks against versions, and the steps of a probation."""

    @abstractmethod
    def _sender(self, given: fx.Received) -> Member | None:
        """The member that has sent this; None, and its pipe is closed, if there is none."""

    @abstractmethod
    def _begun(self, window: Window | None) -> Window:
        """The window that is open; one that begins now, with what it falls back to, if none is."""

    @abstractmethod
    def _runs_provisional(self) -> bool:
        """Whether a window is open, and its end would undo what runs."""

    @abstractmethod
    def _window_deadline(self) -> None:
        """Undo what is provisional, if the window is over, at once or after the write that is under way."""

    # ---- what speaks against a version

    def _unhealthy(self, given: fx.Received) -> None:
        said, member = given.message, self._sender(given)
        assert isinstance(said, Unhealthy)
        version = self._spoken_of(member, said.version)
        if member is not None and self._may_be_judged(version):
            self._heard(version, self.evidence.spoke(version, member.pid, said.reason, self._now))

    def _counts(self, given: fx.Received) -> None:
        counts, member = given.message, self._sender(given)
        assert isinstance(counts, Counts)
        version = self._spoken_of(member, counts.version)
        if member is not None and self._may_be_judged(version):
            self.evidence.counted(version, member.pid, counts)
            self._heard(version, "")

    def _probed(self, given: fx.Probed) -> None:
        if self._may_be_judged(given.version):
            self._heard(given.version, self.evidence.probed(given.version, given.why, self._now))

    def _has_died(self, member: Member, why: str) -> None:
        self.evidence.left(member.pid)
        if why and member.given:
            version = member.given
            self._heard(version, self.evidence.died(version, member.pid, why, self._now, member.had))

    def _spoken_of(self, member: Member | None, version: int) -> int:
        """The version that this is said of: under a higher number, of a lost journal, a worker holds what is committed.

        A reissue brings that number here, too; what is said while that is still to come, or is written, is not lost.
        """
        mine = self.committed
        is_mine = member is not None and version > mine.version and member.held == (version, mine.digest)
        return mine.version if is_mine else version

    def _may_be_judged(self, version: int) -> bool:
        known = 0 < version <= self.committed.version
        if not known:
            self._drop("judged a version that is not committed")
        return known

    def _heard(self, version: int, text: str) -> None:
        """Have what was said told, if it is new, and undo what runs if that is too much."""
        if text:
            self._effects.append(fx.Spoken(version, text))
        self._test_superseded(version)
        self._weigh()
        self._window_deadline()

    def _note_superseded(self, before: Committed, window: Window | None) -> None:
        self._superseded = {each: until for each, until in self._superseded.items() if until > self._now}
        if self._proposal.takes_back:
            self._superseded.clear()
        elif window is not None and window.proves > self._now and before.digest != self.committed.digest:
            self._superseded[before.version] = window.proves
            if len(self._superseded) > _MOST_SUPERSEDED:
                del self._superseded[min(self._superseded)]

    def _test_superseded(self, version: int) -> None:
        """If too much is said against what was superseded on probation, have the history say so: it is never good."""
        if self._superseded.get(version, 0.0) <= self._now:
            return
        why = self.evidence.against(version, now=self._now, other=self._fallback.committed.version)
        if why:
            del self._superseded[version]
            self._effects.append(fx.RecordEvent(late_no(version, why, self._now)))

    def _weigh(self) -> None:
        window = self.operator.window
        if self._against or window is None or window.proves <= self._now or not self._runs_provisional():
            return
        other = self._fallback.committed.version
        self._against = self.evidence.against(self.committed.version, now=self._now, other=other)

    # ---- its time

    def _with_probation(self, window: Window | None) -> Window | None:
        """The window as the write that is ordered now leaves it, with the time in which its version proves itself."""
        proposal, fallback = self._proposal, self._fallback.committed
        if proposal.state_only or proposal.undo or proposal.reissue:
            return self._until_deadline(window) if window is not None and window.proves else window
        if proposal.good or proposal.digest == fallback.digest:
            return None if window is None or not window.deadline else msgspec.structs.replace(window, proves=0.0)
        if not (self.rules.probation > 0.0 and fallback.version):
            return window
        window = msgspec.structs.replace(self._begun(window), proves=self._now + self.rules.probation)
        if not window.deadline:
            cause = {"opened": self._now, "who": proposal.who, "reason": proposal.reason}
            window = msgspec.structs.replace(window, **cause)
        return self._until_deadline(window)

    def _until_deadline(self, window: Window) -> Window:
        return msgspec.structs.replace(window, proves=max(window.proves, window.deadline))

    def _is_past(self, window: Window) -> bool:
        """Whether this is a probation alone, and its time is over."""
        return not window.deadline and window.proves <= self._now

    def _probation_ends(self) -> None:
        """What runs is proven, if its time is over and nothing was said against it. Nothing is written."""
        window = self.operator.window
        if window is None or not self._is_past(window) or self._against or self.state is ProposalState.RECORDING:
            return
        self.operator = msgspec.structs.replace(self.operator, window=None)
        version, fallback = self.committed.version, self._fallback
        if self._outbox.settled == version and self.state is not ProposalState.COMMITTING and self._prove():
            self._fallback_before = fallback if self.roster.lagging(version) else None

    def _provisional_until(self) -> float:
        window = self.operator.window
        return max(window.deadline, window.proves) if window is not None and self._runs_provisional() else 0.0
