"""Windows: a person says `confirm_within`, and what was committed since is undone unless `confirm` comes in time.

What is said here of a window holds for a probation, too, which is one without a deadline (`probations.py`).

A window begins at a commit: it is written in the row of that version, with its deadline and with its *fallback*, the
newest version that is proven: settled, declined by no worker, and not provisional itself. From then on:

    any commit               carries the window on: one fallback, one deadline. With a `confirm_within` of its own it
                             sets the deadline anew; so does a load that finds nothing changed (a write of the state).
    Confirm                  closes the window, by a write of the state alone; what runs is proven then.
    Rollback, no number      takes back all that is provisional: an undo, and held. A worker's no does not count, since
                             no worker is asked.
    Rollback to a number     is voted as ever, and carries the window on. It is new content like any other, and whoever
                             asked for the window wanted all that comes in it to end with it, unless it is confirmed.
    its end                  an undo: the fallback's content, and the layer as it was when the window was opened,
                             and the result UNDONE. An undo that can't be written is tried each second, and shown
                             meanwhile (`retried_writes.py`).

The end comes before everything that waits, and waits for nothing but a write that is under way: a load is given up, a
round is called off, and their requests wait again, at the front; in a barrier the callers are answered UNDONE once the
fallback's barrier is closed. A window with a deadline ends early where its processes do: at a first start, and before a
next generation takes over. Where the fallback's content runs already, its end only closes it.

What was undone is refused as long as the sources have it: by the digest of the whole content, and by that of what the
sources gave, since overrides of the window are gone with it. So is what was undone before it, as on trial: the sources
may have that, or go back to it, until they have something else that is applied. Meanwhile `set` and `unset` build on
what runs. Resume, `force` and a further `confirm_within` pass.

An override of the fallback may have ended since. A person's way back has it as a value of the version that is put
back, as a way back to a number has it; what takes itself back leaves it set, and it ends afterwards: at once, or, where
its end is among what was undone, with the next load, as an end that was refused.

Rejected: a deadline that is written before the vote (nothing runs yet that could need an undo), the version before as
the fallback (that may be provisional itself), the sources' digest alone (`set` in a window brings content of its own),
a window that a way back to a number closes (the next change of the sources, which nobody has confirmed either, would
stay for good), and a load in place of `still_set`, which makes values of what has ended (a person's way back would wait
for it, the window could end meanwhile, and it could fail; an answer that comes with Recorded would have the core commit
something else than it has ordered).
"""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Sequence

import msgspec

from confcast.errors import Problem
from confcast.owner.core import effects as fx
from confcast.owner.core.changes import backwards
from confcast.owner.core.operator_state import Hold, OperatorState, Unconfirmed, Window
from confcast.owner.core.probations import Probations
from confcast.owner.core.proposal import (
    NOT_THIS_ONE,
    NOTHING_TO_CONFIRM,
    TAKEN_BACK,
    TOO_LATE,
    UNCONFIRMED,
    UNCONFIRMED_AT_HANDOVER,
    UNCONFIRMED_AT_START,
    Proposal,
    ProposalState,
)
from confcast.owner.core.version_numbers import Proven
from confcast.wire.messages import Confirm, ReloadResult


def digest_of(values: bytes) -> bytes:
    """The digest of what the sources gave."""
    return hashlib.blake2b(values, digest_size=16).digest()


def in_short(whys: Sequence[str]) -> str:
    """The first of these texts, and how many more there are."""
    return whys[0] if len(whys) == 1 else f"{whys[0]} (and {len(whys) - 1} more)"


class Windows(Probations):
    """The steps of a window, from the commit that opens it to its confirmation or its end."""

    @abstractmethod
    def _order_state_write(self) -> None:
        """Write what people have set, and no version."""

    @abstractmethod
    def _cut_short(self) -> None:
        """End a dry run, with what was heard so far."""

    # ---- it is opened, and carried on

    def _with_window(self, operator: OperatorState) -> OperatorState:
        """What people will have set, with the window as the write that is ordered now leaves it."""
        proposal, window = self._proposal, operator.window
        if window is not None and self._is_past(window) and not self._against:  # else its undo is still to come
            window = None
        if proposal.confirm_within and self.committed.version:
            window = self._opened(window)
        window = self._with_probation(window)
        if window is not None and proposal.reads_sources and not proposal.unchanged:
            window = msgspec.structs.replace(window, sources=digest_of(proposal.values))
        return operator if window is operator.window else msgspec.structs.replace(operator, window=window)

    def _opened(self, window: Window | None) -> Window:
        """The window with a new deadline; a new one, if none is open."""
        proposal, within = self._proposal, self._proposal.confirm_within
        if window is None and not self._fallback.committed.version:
            self._fallback = Proven(self.committed)  # no version was ever proven: what runs is all that there is
        return msgspec.structs.replace(
            self._begun(window),
            deadline=self._now + within,
            within=within,
            opened=self._now,
            who=proposal.who,
            reason=proposal.reason,
        )

    def _begun(self, window: Window | None) -> Window:
        if window is not None:
            return window
        (committed, layer, expires), operator = self._fallback, self.operator
        if committed.version == self.committed.version:
            layer, expires = operator.layer, operator.expires
        runs = self.committed  # its end undoes that, too, where it was never proven
        sources = digest_of(runs.values) if runs.values and runs.digest != committed.digest else b""
        return Window(committed.version, hold=operator.hold, layer=layer, expires=expires, sources=sources)

    # ---- it is confirmed

    def _confirm(self, asked: Confirm) -> bool:
        """Close the window. Returns False if it is answered at once: there is nothing that could be confirmed."""
        proposal, version = self._proposal, self.committed.version
        if self.operator.window is None:
            late = TOO_LATE.format(self._taken_back) if self._taken_back else NOTHING_TO_CONFIRM
            return self._conflicts(late)
        if asked.version not in (0, version):
            return self._conflicts(NOT_THIS_ONE.format(version, asked.version))
        proposal.operator = msgspec.structs.replace(self.operator, window=None)
        proposal.pending = self.operator.pending
        self._order_state_write()
        return True

    def _conflicts(self, why: str) -> bool:
        self._publish(self._failure(ReloadResult.CONFLICT, (Problem("", why),)))
        return False

    # ---- it ends

    def _why_over(self) -> tuple[str, ...]:
        window, version = self.operator.window, self.committed.version
        if window is None or self._against or not window.deadline:
            return self._against  # none without a window
        if self._hands_over:
            return (UNCONFIRMED_AT_HANDOVER.format(version),)
        if self._starts_anew:
            return (UNCONFIRMED_AT_START.format(version),)
        return (UNCONFIRMED.format(version, window.within),) if window.deadline <= self._now else ()

    def _must_take_back(self) -> bool:
        """Whether the window is over, and what it must undo runs."""
        return self._runs_provisional() and bool(self._why_over())

    def _runs_provisional(self) -> bool:
        return self.operator.window is not None and self.committed.digest != self._fallback.committed.digest

    def _end_window(self) -> None:
        """Undo what is provisional, or close the window if nothing is to be undone."""
        proposal = Proposal("undo", self._now, self.committed.version, loaded=self._now, rebuilds=True)
        self._proposal, proposal.pending = proposal, self.operator.pending
        self._excuse_timed_out()
        if self._runs_provisional():
            self._take_back()
            return
        proposal.evidence, proposal.unchanged = self._why_over(), True
        proposal.operator = msgspec.structs.replace(self.operator, window=None)
        self._order_state_write()

    def _take_back_in_barrier(self) -> None:
        """Undo the version whose barrier this is: its callers are answered at the end of the undo's barrier."""
        proposal = self._proposal
        self._excuse_timed_out()
        proposal.unchanged = proposal.state_only = False
        proposal.restores, proposal.changes, proposal.notes, proposal.rebuilds = 0, (), (), True
        self._take_back()

    def _take_back(self) -> None:
        """Order the write that puts the fallback back, by the present proposal, without a vote."""
        proposal, window, undone = self._proposal, self.operator.window, self.committed
        assert window is not None
        proposal.evidence = (*proposal.evidence, *self._why_over())  # an undone trial's, if this is its barrier
        why = in_short(proposal.evidence)
        proposal.undone = (Problem("", TAKEN_BACK.format(why, window.fallback)),)
        proposal.undoes, self._taken_back = undone.version, undone.version
        unconfirmed = self._refused_too(self._unconfirmed_by(window, why))
        proposal.refused = undone.digest
        self._put_fallback_back(self._fallback_of(window), self._hold_through(window), unconfirmed)

    def _hold_through(self, window: Window) -> Hold | None:
        """The hold that was there all the time: what takes itself back holds nothing that a person has let go since."""
        return window.hold if window.hold == self.operator.hold else None

    def _fallback_of(self, window: Window) -> Proven:
        return Proven(self._fallback.committed, window.layer, window.expires)

    def _put_fallback_back(self, proven: Proven, hold: Hold | None, unconfirmed: Unconfirmed | None) -> None:
        proposal, window, fallback = self._proposal, self.operator.window, proven.committed
        assert window is not None
        proposal.undo, proposal.same = True, False
        proposal.puts_back, proposal.takes_back = fallback.version, window.fallback
        proposal.changes = backwards(self._changed)
        proposal.digest, proposal.payload, proposal.values = fallback.digest, fallback.payload, fallback.values
        proposal.operator = msgspec.structs.replace(
            self.operator, window=None, hold=hold, layer=proven.layer, expires=proven.expires, unconfirmed=unconfirmed
        )
        self._order_write(self._numbers.for_new_content())

    def _unconfirmed_by(self, window: Window, why: str) -> Unconfirmed | None:
        """What the sources gave to the window, if that is not what they gave to the fallback."""
        given = self._fallback.committed.values
        if not window.sources or (given and window.sources == digest_of(given)):
            return None
        return Unconfirmed(self.committed.version, window.sources, why, self.committed.digest)

    def _refused_too(self, unconfirmed: Unconfirmed | None) -> Unconfirmed | None:
        """What is refused once this is undone, too."""
        former = self.operator.unconfirmed
        return former if unconfirmed is None else unconfirmed.beside(former)

    def _unconfirmed_in(self, given: fx.Loaded) -> Unconfirmed | None:
        """What a window has undone, if the sources still have that, and nobody has asked for just that.

        Who has asked while an override hid it has put nothing to the vote.
        """
        unconfirmed, proposal = self.operator.unconfirmed, self._proposal
        if unconfirmed is None or not proposal.follows_sources or (proposal.passes_refusal and given.differs):
            return None
        sources = digest_of(given.values) if given.values else b""
        return unconfirmed.found_in(sources, given.digest, self.refused)

    def _ends_on_undone(self, given: fx.Loaded) -> bool:
        """Whether an override would end, and leave what was undone: put back with it was what had hidden just that."""
        proposal, unconfirmed = self._proposal, self.operator.unconfirmed
        if not proposal.rebuilds or proposal.asked is not None:
            return False
        undone = unconfirmed is not None and unconfirmed.found_in(b"", given.digest, self.refused) is not None
        return undone or given.digest == self.refused

    # ---- a person takes back what is provisional

    def _roll_back_window(self) -> None:
        """Put the fallback back, and hold it; no vote. What is provisional is gone, so nothing need be refused."""
        proposal, window = self._proposal, self.operator.window
        assert window is not None
        hold = Hold(window.fallback, self._now, proposal.who, proposal.reason)
        proposal.refused, proposal.pending = self.refused, self.operator.pending
        if self._runs_provisional():
            proposal.restores = window.fallback
            proven = self._fallback_of(window)
            ended = 0.0 < window.expires <= self._now  # it would end at once, and what a person has put back with it
            self._put_fallback_back(self._still_set(proven) if ended else proven, hold, self.operator.unconfirmed)
        else:
            proposal.unchanged = True
            proposal.operator = msgspec.structs.replace(self.operator, window=None, hold=hold)
            self._order_state_write()

    # ---- its end interrupts what is under way

    def _window_deadline(self) -> None:
        if self._why_over():
            self._interrupt()

    def _interrupt(self) -> None:
        """Leave what is under way for an undo that is due; a write ends before it, and so does a trial's barrier."""
        if self.state is ProposalState.IDLE:
            self._next()
        elif self.state is ProposalState.LOADING:
            self._loads.give_up()
            self._begin_again()
        elif self.state is ProposalState.STAGING:
            self._interrupt_staging()
        elif self.state is ProposalState.COMMITTING:
            self._interrupt_barrier()

    def _interrupt_staging(self) -> None:
        if not self._proposal.checked:
            self._loads.give_up()
        if self._proposal.dry:
            self._cut_short()
        else:
            self._waits.staging_ended(timed_out=False)
            self._begin_again()

    def _interrupt_barrier(self) -> None:
        """Between Accept and Accepted the barrier can't be left: its end looks at the window again."""
        if self._must_take_back() and not self._accepting and not self._exits:
            self._take_back_in_barrier()

    def _begin_again(self) -> None:
        """Leave the present proposal, so that what it serves begins anew, after the undo."""
        self._requests.put_back()
        if self._proposal.rebuilds and self._proposal.asked is None:
            self._expiry_waits = ""
        self._next()

    def _hand_over(self, given: fx.HandsOver) -> None:
        """A next generation starts on what is proven: it is told, as Paused, only once this owner is idle again."""
        self._hands_over = given.on
        self._window_deadline()
