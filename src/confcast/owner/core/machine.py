"""The owner's state machine: which version is committed, which candidate is proposed, whose answer is awaited.

Theory of operation
===================

One `Core` is all that one owner knows: the committed version, at most one proposal, and the roster of workers.
`handle(input, now)` returns effects. The core is pure: nothing in this folder knows a clock, a file, a socket or a
thread, so a test can hold each effect back, reorder it and lose it. The owner's event loop (`loop/event_loop.py`) calls
it from one thread, carries the effects out in their order, and hands in what they lead to (a drained pipe, a written
row, a deadline that has come) as a later input. `effects.py` has all inputs and effects.

The state is where the one proposal is:

    IDLE        There is none. A request, an undo or a reissue begins one.
    LOADING     The sources are read and validated, beside the loop.
    STAGING     Every worker builds the candidate, and votes in a round that no other proposal has.
    RECORDING   The journal is written: the commit point. Nothing is sent to new workers, and no vote counts.
    COMMITTING  The barrier: every worker that is not excused applies or declines the version.

    IDLE → LOADING → STAGING → RECORDING → COMMITTING → IDLE     a reload, a way back, a change of overrides
           LOADING ─────────────────────→ COMMITTING             nothing differs (UNCHANGED)
           LOADING ──────────→ RECORDING → COMMITTING             nothing differs but what people have set
           LOADING → STAGING → IDLE                               a dry run
           LOADING → IDLE                                         a load that a hold stops (HELD)
    IDLE ───────────────────→ RECORDING → COMMITTING             a reissue or an undo: no load, no vote
           LOADING, STAGING, COMMITTING → RECORDING              an undo, where a window is over, or a no has come
           LOADING, STAGING, RECORDING → IDLE                    failed, or refused
                                COMMITTING → RECORDING           an undo, where no worker runs the version
           LOADING → STAGING → RECORDING → IDLE                  a version goes on trial
    IDLE ────────────→ STAGING → RECORDING → COMMITTING          a promotion of what was on trial
    IDLE, LOADING, STAGING ────→ RECORDING → COMMITTING          its undo; what had been asked for begins anew

Inputs move it in two ways. `_TABLE`, at the end of this file, gives each input in each state a handler, by one lookup
and with one error: handlers of what workers, pipes and processes do are in `member_inputs.py`, those of requests in
`operations.py`, that of a window's end in `windows.py`, those of what speaks against a version in `probations.py`,
those of a trial in `trials.py`, the others here. What handlers have in common are steps (`steps.py`). Two things are
derived rather than caused by one input: a wait ends as soon as no worker is waited for (`_test_done`), and what a pipe
gets next is a function of what it was sent and of what is true (`outbox.py`), computed after each input.

What it guarantees:

- A proposal has a round, a commit has a version. The version is given out when the journal write is ordered.
- Every wait has one deadline, fixed when the wait begins: an early one for a worker that reports nothing, a later one
  for a worker that has reported which function it runs. Past it the worker is excused and named in the outcome, and not
  waited for again until it has answered what is committed. Votes count until the candidate is checked, too.
- Where functions took long at the last vote, one worker votes first, and the others after its yes (`first_vote.py`).
- Nothing new is committed without a yes where a worker has a vote. A load that was refused because workers timed out is
  owed: it is tried again when a worker answers. A version that a worker declined and no worker applied is undone: the
  content before it is written under the next number, and its frames ask no `precommit` function.
- What is to be tried first is committed to everyone by its own promotion alone, and a trial has an end: a version on
  trial is written before the first canary hears of it, and the next owner undoes what it finds on trial.
- One proposal at a time. A request that comes meanwhile is served by the next load, which begins after the request, or,
  an operation, runs alone in its turn. What people have set is written in the transaction of the version, or alone.

Rejected, each for the trace that broke it in a searched model: versions given out at Prepare (a late yes counts for
another candidate), an outbox where the latest frame wins (a commit is lost), the end of a pipe taken for a death
(SUCCESS while a worker serves the old version), a barrier without a deadline (one stopped worker, a caller for ever),
a vote that does not come taken for a yes (a function that was still at work refused, everywhere, what had been
committed meanwhile).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from confcast.errors import ImpossibleMessage, Problem
from confcast.owner.core import effects as fx
from confcast.owner.core import transitions
from confcast.owner.core.last_good import LastGood
from confcast.owner.core.member_inputs import MemberInputs
from confcast.owner.core.operations import Operations
from confcast.owner.core.operator_state import Hold, OperatorState, Window
from confcast.owner.core.proposal import NO_END, STILL_REFUSED, STILL_UNCONFIRMED, Phase, ProposalState
from confcast.owner.core.rules import Rules
from confcast.owner.core.timers import NO_TOKEN, window_timers
from confcast.owner.core.version_numbers import Committed, Proven
from confcast.wire.messages import (
    Applied,
    Check,
    Confirm,
    Counts,
    Declined,
    Goodbye,
    Hello,
    Observed,
    Reload,
    ReloadResult,
    Resume,
    Rollback,
    Set,
    Tried,
    Unhealthy,
    Unset,
    Vote,
    WorkerStatus,
    Working,
)

__all__ = ["Committed", "Core", "Hold", "OperatorState", "ProposalState", "Proven", "Rules", "Window"]


class Core(MemberInputs, Operations, LastGood):
    """The state machine, with the handlers of the inputs that no worker causes. Its arguments are those of `Steps`."""

    @property
    def high_water(self) -> int:
        """The highest version number ever given out, or held by a worker: a new journal must begin with it."""
        return self._numbers.high_water

    @property
    def gathers(self) -> bool:
        """Whether the roster may lack workers that live: they have not had the time to connect."""
        return self._gathering or self._former_workers.gathers

    @property
    def known(self) -> list[int]:
        """The pids that a new journal's roster must have: also of workers that are to be awaited only later."""
        return sorted({*(each.pid for each in self.roster), *self._former_workers.pids})

    @property
    def fallback(self) -> Proven:
        """What the end of the open window puts back; without one, the newest version that is proven."""
        return self._fallback

    @property
    def fallbacks(self) -> tuple[Proven, ...]:
        """What a journal that is made anew needs below the committed version, by number.

        The fallback, and what that would be again once a worker declines it too late.
        """
        known = {each.committed.version: each for each in (self._fallback_before, self._fallback) if each is not None}
        return tuple(known[number] for number in sorted(known) if 0 < number < self.committed.version)

    @property
    def is_settled(self) -> bool:
        """Whether a barrier of the committed version was closed: all workers have it, but for those that were named."""
        return self._outbox.settled == self.committed.version

    @property
    def provisional_until(self) -> float:
        """Until when what runs may still be undone by itself, of the clock of `handle`; 0.0 where it can't be."""
        return self._provisional_until()

    @property
    def observer_failures(self) -> int:
        """How often observers have failed in the workers that this owner has had."""
        return self._observing.failures

    def retire(self, version: int) -> None:
        """Take a version number, and all lower ones, out of use: another owner has given it out."""
        self._numbers.retire(version)

    def expect(self, pids: Iterable[int]) -> tuple[list[int], list[int]]:
        """Put workers that another server has sent here on the roster: those that were not, which are returned first.

        Then those that have never connected here and are not among them: they have left that server meanwhile.
        """
        pids = tuple(pids)
        new = [pid for pid in pids if self.roster.of(pid) is None]
        self.roster.expect(new)
        return new, sorted(self._former_workers.pids.difference(pids))

    def begin(self) -> list[fx.Effect]:
        """The effects that must be carried out before the first input."""
        expires = self.operator.expires
        expiry = [fx.WakeAt(fx.Timer.EXPIRY, NO_TOKEN, expires)] if expires else []
        return [*self._gather(), *expiry, *window_timers(self.operator.window, None)]

    def handle(self, given: fx.Input, now: float) -> list[fx.Effect]:
        """One input in, the effects out, in the order in which they must be carried out.

        Args:
            given: The input.
            now: Seconds of a clock that only goes forward.

        Raises:
            ImpossibleMessage: The table has no entry for this input in this state.
        """
        before, shown = self.state, ""
        if self._report is not None:
            shown = transitions.input_text(given, self.roster)
        self._now = now
        self._effects, self._last_effects = [], []  # what an input that raised had begun belongs to no other
        kind = type(given.message) if isinstance(given, fx.Received) else type(given)
        if self.operator.window is not None:
            self._probation_ends()  # its time, or the deadline, may have come before this input
            if self.state is not ProposalState.IDLE and kind is not Hello:  # which says which numbers are taken
                self._window_deadline()
        row = _TABLE.get(kind)
        handler = row[self.state] if row else None
        if handler is None:
            raise ImpossibleMessage(self.state.name, given)
        handler(self, given)
        if self._first_vote.member is not None:
            self._follow_first_vote()
        self._effects += self._observing.check(now) if self._observing.waits else ()
        self._pump()
        self._effects += self._last_effects
        if self._report is not None and (self._effects or not isinstance(given, fx.Drained)):
            self._report(transitions.line(before, shown, self.state, self._effects, self.roster, now))
        return self._effects

    def statuses(self) -> list[WorkerStatus]:
        """The status of every worker on the roster, by pid."""
        return self.roster.statuses(self.committed.version)

    def phase(self) -> Phase:
        """Where the present proposal is, since when, and what it waits for: workers, or a write that has failed."""
        phase, retried = self._waits.phase(self.state, self.committed.version, self._since), self._retried
        if not retried.why or self.state is not ProposalState.RECORDING:
            return phase
        return phase._replace(since=retried.since, retried=retried.why)

    # ---- the result of a load

    def _loaded(self, given: fx.Loaded) -> None:
        if not self._is_present_load(given):
            return
        proposal = self._proposal
        proposal.loaded, proposal.notes, proposal.good = self._now, given.notes, given.good
        proposal.pending = given.pending or (self.operator.pending if proposal.rebuilds else ())  # no source was read
        proposal.restores, proposal.values, proposal.operator = (
            given.restores,
            given.values,
            self._operator_after(given),
        )
        if self.operator.unconfirmed is not None and not proposal.follows_sources:
            proposal.refused = self.refused
        if proposal.follows_sources and not proposal.dry:
            self._requests.stop(given.digest if self._is_held_back() else b"")
            is_new = given.values not in (b"", self.committed.values)
            self._requests.hide(self._layer_to_load() if is_new else b"")
        if self._found_in_trial(given):
            return
        if self._is_held_back():
            self._found_held(given)
        elif not given.differs:
            self._unchanged(given)
        elif why := self._why_refused(given):
            self._fail(ReloadResult.REJECTED, (Problem("", why),))
        elif self.rules.silent == "refuse" and self.roster.excused and self._needs_yes() and not proposal.dry:
            self._refuse_timed_out()
        else:
            proposal.digest, proposal.payload, proposal.changes = given.digest, given.payload, given.changes
            proposal.checked = given.checked
            proposal.base, proposal.patch = given.base, given.patch
            self._stage()
            self._give_way()

    def _why_refused(self, given: fx.Loaded) -> str:
        """Why this is put to no vote: it is what was undone. Empty if it may be."""
        if (unconfirmed := self._unconfirmed_in(given)) is not None:
            return STILL_UNCONFIRMED.format(unconfirmed.version, unconfirmed.why or "nobody confirmed it")
        if given.digest == self.refused and self._proposal.follows_sources and not self._requests.called:
            return STILL_REFUSED
        return NO_END if self._ends_on_undone(given) else ""

    def _checked(self, given: fx.Checked) -> None:
        """The workers build the candidate meanwhile: what differs is for the event, and the proof for the commit."""
        if not self._is_present_load(given):
            return
        proposal = self._proposal
        if given.number != proposal.load:  # of a dry run that gave way to a promotion, which loads nothing
            self._drop("late check")
            return
        proposal.checked, proposal.changes, proposal.notes = True, given.changes, given.notes
        proposal.values = given.values or proposal.values
        if given.problems:
            self._fail(ReloadResult.VALIDATION_FAILED, given.problems)
        elif proposal.vetoed:
            self._fail(ReloadResult.REJECTED, proposal.vetoed)
        elif self._waits.is_over(self._now):
            self._votes_are_due()
        else:
            self._test_done()

    def _unchanged(self, given: fx.Loaded) -> None:
        """UNCHANGED passes the barrier, too: workers that declined the committed version are sent it once more."""
        proposal = self._proposal
        if not self.committed.version:
            raise ImpossibleMessage("LOADING, nothing committed", given)
        if proposal.dry:
            self._end_dry(ReloadResult.UNCHANGED)
            return
        proposal.unchanged = True
        assert proposal.operator is not None
        if proposal.operator.follows(self.operator) or proposal.confirm_within:
            self._order_state_write()
            return
        self._note_pending()
        self._set_operator(proposal.operator)
        if self.refused and proposal.follows_sources and self.operator.unconfirmed is None:
            self.refused = b""
            self._effects.append(fx.ClearRefused())
        self._ask_decliners_again()
        self._begin_barrier()

    def _load_failed(self, given: fx.LoadFailed) -> None:
        if self._is_present_load(given):
            self._fail(given.result, given.problems)

    def _stale_load(self, given: fx.Loaded | fx.LoadFailed) -> None:
        if self._is_present_load(given):
            raise ImpossibleMessage(self.state.name, given)

    def _stale_check(self, given: fx.Checked) -> None:
        """Of a proposal that was refused, or left, before its check had ended."""
        self._loads.ended(given.number)
        self._drop("late check")

    def _is_present_load(self, given: fx.Loaded | fx.Checked | fx.LoadFailed) -> bool:
        if not isinstance(given, fx.Loaded) or given.checked:
            self._loads.ended(given.number)
        present = self._loads.is_present(given.number)
        if not present:
            self._drop("late load")
        return present

    # ---- the result of the journal write, and of the Accept before a barrier's end

    def _recorded(self, given: fx.Recorded | fx.RecordFailed) -> None:
        self._effects += self._retried.written()
        if self._proposal.tries:
            self._trial_recorded()
        elif self._proposal.state_only:
            self._commit_state()
        else:
            self._commit()
        if self.state is ProposalState.COMMITTING:
            self._interrupt_barrier()

    def _record_failed(self, given: fx.RecordFailed) -> None:
        if given.row is fx.RowState.PRESENT:
            self._recorded(given)
        elif given.row is fx.RowState.UNREADABLE:
            self._effects.append(fx.Exit(f"the journal can be neither written nor read: {given.problem}"))
        elif self._proposal.state_only:
            self._state_write_failed(given.problem)
        else:
            self._write_failed(given.problem)

    def _accepted(self, given: fx.Accepted) -> None:
        """End the barrier if all have answered, including the workers that started on an older snapshot file."""
        self._accepting = False
        if self._waits.is_over(self._now):
            self._excuse(self._proposal.recorded, fx.Timer.BARRIER)
        if self.roster.all_answered(self.committed.version):
            self._end_barrier()
        else:
            self._interrupt_barrier()

    # ---- deadlines

    def _wake(self, given: fx.Wake) -> None:
        if given.timer is fx.Timer.GATHER:
            self._gathering = False
            self._effects.append(fx.Gathered())
            self._test_done()
        elif given.timer is fx.Timer.EXPIRY:
            self._expiry_is_due()
        elif given.timer in (fx.Timer.CONFIRM, fx.Timer.PROVEN):
            self._window_deadline()
        elif given.timer is fx.Timer.TRIAL:
            self._trial_deadline()
        elif given.token == self._token:
            _DEADLINES[given.timer](self, given)
        elif given.timer is not fx.Timer.OBSERVERS:
            self._drop("deadline of a wait that is over")

    def _load_deadline(self, given: fx.Wake) -> None:
        """Gives the load up. The second such deadline in a row ends the owner: its one loading thread still hangs."""
        limit = f"load took longer than {self.rules.load_timeout:g} s (load_timeout)"
        hangs = Problem("", f"{limit}: {given.hangs or 'a source or a validator'} hangs; nothing was changed")
        vetoed = self._proposal.vetoed
        result = ReloadResult.REJECTED if vetoed else ReloadResult.IO_ERROR
        if self._loads.give_up():
            self._publish(self._failure(result, (*vetoed, hangs)))
            self._effects.append(fx.Exit("a load that was given up still runs, and holds up every further one"))
        else:
            self._fail(result, (*vetoed, hangs))

    def _stage_deadline(self, given: fx.Wake) -> None:
        if self._proposal.checked:
            self._votes_are_due()
        elif self._first_vote.member is not None and not self._proposal.vetoed:
            self._ask_all()
        else:
            self._wait_for_check(given)

    def _votes_are_due(self) -> None:
        """The deadline of a checked candidate's votes: of the first worker's alone, or of all."""
        if self._first_vote.member is not None:
            self._ask_all()
        else:
            self._excuse_silent()

    def _excuse_silent(self) -> None:
        """Excuse the workers without a vote, at the deadline of the votes."""
        proposal = self._proposal
        self._excuse(proposal.loaded, fx.Timer.STAGE)
        if self.rules.silent == "refuse" and self.roster.excused and self._needs_yes() and not proposal.dry:
            self._refuse_timed_out()
        else:
            self._test_done()

    def _wait_for_check(self, given: fx.Wake) -> None:
        """A check that lasts longer than the votes has the time of its load. A decode of the user's may hang.

        A vote that comes meanwhile counts: a worker that was excused before the candidate is decided would have nothing
        left to answer once it is refused, where nothing was committed before, and the owed load would never be tried.
        """
        limit = self._proposal.began + self.rules.load_timeout
        if self._now >= limit:
            self._load_deadline(given)
        else:
            self._wake_at(fx.Timer.STAGE, limit)

    def _barrier_deadline(self, given: fx.Wake) -> None:
        self._excuse(self._proposal.recorded, fx.Timer.BARRIER)
        self._test_done()

    def _undo_deadline(self, given: fx.Wake) -> None:
        if self._proposal.state_only:
            self._order_state_write()
        else:
            self._order_write(self._numbers.for_new_content())

    def _deferred_deadline(self, given: fx.Wake) -> None:
        self._outbox.send_deferred()

    # ---- the end of the master

    def _master_gone(self, given: fx.MasterGone) -> None:
        self._exit()

    def _master_gone_recording(self, given: fx.MasterGone) -> None:
        self._exits = True


_DEADLINES: dict[fx.Timer, Callable[[Core, fx.Wake], None]] = {
    fx.Timer.LOAD: Core._load_deadline,
    fx.Timer.STAGE: Core._stage_deadline,
    fx.Timer.BARRIER: Core._barrier_deadline,
    fx.Timer.UNDO: Core._undo_deadline,
    fx.Timer.DEFERRED: Core._deferred_deadline,
}

Handler = Callable[[Core, Any], None]
C = Core  # short, so that a row is one line
_TABLE: dict[type, tuple[Handler | None, ...]] = {
    # input: its handlers in IDLE, LOADING, STAGING, RECORDING, COMMITTING; None where the input can't occur
    **dict.fromkeys(
        (Reload, Check, Rollback, Set, Unset, Resume, Confirm),
        (C._request_idle, C._request, C._request_staging, C._request, C._request),
    ),
    fx.Trigger: (C._trigger_idle, C._trigger, C._trigger_staging, C._trigger, C._trigger),
    fx.Loaded: (C._stale_load, C._loaded, C._stale_load, C._stale_load, C._stale_load),
    fx.Checked: (C._stale_check, C._stale_check, C._checked, C._stale_check, C._stale_check),
    fx.LoadFailed: (C._stale_load, C._load_failed, C._stale_load, C._stale_load, C._stale_load),
    fx.Recorded: (None, None, None, C._recorded, None),
    fx.RecordFailed: (None, None, None, C._record_failed, None),
    fx.Accepted: (None, None, None, None, C._accepted),
    fx.Wake: (C._wake, C._wake, C._wake, C._wake, C._wake),
    fx.HandsOver: (C._hand_over, C._hand_over, C._hand_over, C._hand_over, C._hand_over),
    fx.MasterGone: (C._master_gone, C._master_gone, C._master_gone, C._master_gone_recording, C._master_gone),
    # handlers in member_inputs.py
    Hello: (C._hello_idle, C._hello, C._hello, C._hello_recording, C._hello),
    Working: (C._working, C._working, C._working, C._working, C._working),
    Vote: (C._stale_vote, C._stale_vote, C._vote, C._stale_vote, C._stale_vote),
    Applied: (C._applied, C._applied, C._applied, C._applied, C._applied),
    Declined: (C._declined_late, C._declined_late, C._declined_late, C._declined_late, C._declined_in_time),
    Tried: (C._has_tried, C._has_tried, C._has_tried, C._has_tried, C._has_tried),
    Observed: (C._observed, C._observed, C._observed, C._observed, C._observed),
    Goodbye: (C._goodbye, C._goodbye, C._goodbye, C._goodbye, C._goodbye),
    fx.Drained: (C._drained, C._drained, C._drained, C._drained, C._drained),
    fx.PipeEnded: (C._pipe_ended, C._pipe_ended, C._pipe_ended, C._pipe_ended, C._pipe_ended),
    fx.ProcessGone: (C._gone, C._gone, C._gone, C._gone, C._gone),
    # handlers in probations.py
    Unhealthy: (C._unhealthy, C._unhealthy, C._unhealthy, C._unhealthy, C._unhealthy),
    Counts: (C._counts, C._counts, C._counts, C._counts, C._counts),
    fx.Probed: (C._probed, C._probed, C._probed, C._probed, C._probed),
}
