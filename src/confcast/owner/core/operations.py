"""The operations: what a caller asks for beside a plain reload, and what a hold does to the loads that it stops.

Each is a proposal like a load's, with the same states, deadlines and answers. They differ in where the content comes
from, in whether the workers' yes is needed, and in what they leave beside the version:

    Check                   The sources' content is put to the vote, and dropped; nothing is written, nobody counts as
                            timed out. It gives way to any other request, to an undo, and to the end of a value.
                            A no does not end it: it collects all votes.
    Rollback                The content of a kept version, from the journal. A no refuses it; silence does not. It
                            leaves a hold: no load that nobody forces is put to the workers until a person resumes.
    Resume, Reload(force)   The sources' content, past a hold and past content that was undone; ends the hold in the
                            row that commits it. A load that is refused leaves the hold.
    Set, Unset              The sources' content, or if held what the held version was made from, with other overrides.
    Reload(expect, canary, allow)   A plain load that runs alone, and shares its outcome with nobody.
    confirm_within, Confirm and the rollback of what is provisional are in windows.py.

`expect` is compared when an operation begins. One that finds the content unchanged, and changes what people have set,
writes that alone: RECORDING without a new number, then the barrier of UNCHANGED.
"""

from __future__ import annotations

import msgspec

from confcast.errors import Problem
from confcast.owner.core import effects as fx
from confcast.owner.core.operator_state import Hold, OperatorState
from confcast.owner.core.proposal import CONFLICT, CROWDED, CUT_SHORT, HELD, Proposal, ProposalState, grouped
from confcast.owner.core.requests import MOST_WAITING, Asked, Caller, Cause, Request
from confcast.owner.core.retried_writes import UNDO_RETRY
from confcast.owner.core.trials import Trials
from confcast.wire.messages import Check, Confirm, Reload, ReloadResult, Resume, Rollback, Set, Unset

LONGEST_REASON = 500
"""How many characters are kept of the reason that a caller gives."""

_ORIGINS = {Check: "call", Rollback: "rollback", Set: "set", Unset: "unset", Resume: "resume", Confirm: "confirm"}


class Operations(Trials):
    """The handlers of the requests that run alone, and the steps that only they need."""

    # ---- requests

    def _request(self, given: fx.Received) -> None:
        asked = given.message
        assert isinstance(asked, Reload | Check | Rollback | Set | Unset | Resume | Confirm)
        if isinstance(asked, Reload):
            cause = Cause(asked.origin, given.who, asked.reason[:LONGEST_REASON])
            caller = Caller((given.pipe, asked.id), asked.wait_observers)
            tries = asked.canary is not None or bool(asked.allow)
            alone = tries or asked.force or asked.expect is not None or asked.confirm_within > 0.0
            self._call(caller, cause, asked if alone else None)
        else:
            reason = "" if isinstance(asked, Check) else asked.reason[:LONGEST_REASON]
            self._call(Caller((given.pipe, asked.id)), Cause(_ORIGINS[type(asked)], given.who, reason), asked)

    def _call(self, caller: Caller, cause: Cause, asked: Asked | None) -> None:
        """Have a call wait for its turn, or answer it at once if too many wait already that may be as long."""
        if asked is not None and not isinstance(asked, Check) and len(asked.reason) > LONGEST_REASON:
            asked = msgspec.structs.replace(asked, reason=cause.reason)
        if not (isinstance(asked, Set | Unset | Check) and self._requests.crowded):
            self._requests.call(caller, cause, asked)
            return
        version = self.committed.version
        refused = Proposal(cause.origin, self._now, version, who=cause.who, reason=cause.reason, asked=asked)
        why = (Problem("", CROWDED.format(MOST_WAITING)),)
        event = refused.failed(ReloadResult.OWNER_UNAVAILABLE, why, self.roster, version, self._now)
        self._effects.append(fx.Answer(caller.call, event))

    def _request_idle(self, given: fx.Received) -> None:
        self._request(given)
        self._next()

    def _request_staging(self, given: fx.Received) -> None:
        self._request(given)
        self._give_way()

    def _trigger(self, given: fx.Trigger) -> None:
        self._requests.trigger(Cause(given.origin))

    def _trigger_idle(self, given: fx.Trigger) -> None:
        self._trigger(given)
        self._next()

    def _trigger_staging(self, given: fx.Trigger) -> None:
        self._trigger(given)
        self._give_way()

    # ---- how an operation begins

    def _operate(self, request: Request) -> bool:
        asked, cause = request.asked, request.cause
        assert asked is not None
        self._excuse_timed_out()
        committed, newest = self.committed.version, self._newest_number()
        self._proposal = Proposal(cause.origin, self._now, committed, who=cause.who, reason=cause.reason, asked=asked)
        if isinstance(asked, Confirm):
            return self._confirm(asked)
        expect = getattr(asked, "expect", None)
        if expect is not None and expect != newest:
            self._publish(self._failure(ReloadResult.CONFLICT, (Problem("", CONFLICT.format(newest, expect)),)))
            return False
        trial, back = self.operator.trial is not None, isinstance(asked, Rollback) and asked.version is None
        if trial and back:
            self._roll_back_trial()
        elif trial and not isinstance(asked, Check) and (not isinstance(asked, Reload) or asked.force):
            self._makes_room()
        elif back and self.operator.window is not None:
            self._roll_back_window()
        elif isinstance(asked, Rollback):
            self._enter(ProposalState.LOADING)
            self._effects.append(fx.Restore(self._loads.begin(), asked.version))
        else:
            edit = asked if isinstance(asked, Set | Unset) or (isinstance(asked, Check) and _edits(asked)) else None
            of_files = isinstance(asked, Check) and asked.files
            builds_on_committed = self.operator.hold is not None or self.operator.unconfirmed is not None
            self._proposal.rebuilds = edit is not None and builds_on_committed and not of_files
            self._begin_load(insist=True, compare=self._is_held_back(), edit=edit)
        return True

    # ---- what a load found

    def _operator_after(self, given: fx.Loaded) -> OperatorState:
        """What people will have set once this content is committed, or found to run already."""
        proposal, operator = self._proposal, msgspec.structs.replace(self.operator, pending=self._proposal.pending)
        if given.layer is not None:
            operator = msgspec.structs.replace(operator, layer=given.layer, expires=given.expires)
        if isinstance(proposal.asked, Rollback):
            operator = msgspec.structs.replace(
                operator, hold=Hold(given.restores, self._now, proposal.who, proposal.reason)
            )
        elif proposal.boot:
            operator = msgspec.structs.replace(operator, hold=Hold(given.restores, self._now, boot=True))
        elif operator.hold is not None and (proposal.resumes or (proposal.follows_sources and not operator.is_held)):
            operator = msgspec.structs.replace(operator, hold=None)
        if not proposal.follows_sources:
            return operator
        return msgspec.structs.replace(operator, tried=given.digest, unconfirmed=self._unconfirmed_in(given))

    def _is_held_back(self) -> bool:
        """Whether a hold stops the present load."""
        return self.operator.is_held and self._proposal.follows_sources and not self._proposal.resumes

    def _set_operator(self, operator: OperatorState | None) -> None:
        """Load what a hold that ends has stopped: nobody else looks at the sources again.

        A resumption's load comes after all that was stopped. But its trial lasts, and an edit meanwhile is stopped;
        and the end of a window takes back a hold that began in it. Likewise for what an override has hidden: its end
        builds on what was committed, and reads no source.
        """
        before, proposal = self.operator, self._proposal
        if proposal.reads_sources and not proposal.unchanged:  # a commit
            self._requests.hide(b"")
        super()._set_operator(operator)
        after = self.operator
        if proposal.undo and not proposal.takes_back and proposal.values != self.committed.values:
            self._requests.hide(after.layer)  # nobody ran the edit, perhaps for what was set with it
        if before.is_held and not after.is_held:
            self._requests.retry_stopped(proposal.digest)
        if after.trial is None and not after.is_held:
            self._requests.retry_hidden(after.layer)

    def _found_held(self, given: fx.Loaded) -> None:
        """Tell what the sources would bring: each caller, and without one the history, once per change."""
        hold, known = self.operator.hold, given.digest == self.operator.tried
        assert hold is not None
        self._proposal.changes = given.changes
        if not known:
            self.operator = self._numbered(msgspec.structs.replace(self.operator, tried=given.digest))
            self._effects.append(fx.NoteState(self.committed.undo, self.refused, self.operator))
        if known and not self._requests.called:
            self.roster.reinstall_timed_out(self.committed.version, self.committed.digest)
            self._end_without_outcome()
        else:
            self._fail(ReloadResult.HELD, (Problem("", HELD.format(hold.version)),))

    def _end_without_outcome(self) -> None:
        """End a load for which nobody has called, and of which nothing is to be told; it may be a start's."""
        was_start = self._requests.starts
        self._first_load_ends(failed=False)
        self._requests.served()
        if was_start:
            self._await_former_workers()
        self._next()

    def _note_pending(self) -> None:
        """Note what waits for a restart, and what is not refused any more, if that has changed: for the next owner."""
        operator = self._proposal.operator
        if operator is not None and operator.notes(self.operator):
            self._proposal.operator = self._numbered(operator)
            self._effects.append(fx.NoteState(self.committed.undo, self.refused, self._proposal.operator))

    def _order_state_write(self) -> None:
        """Write what people have set, and no version: the content runs already."""
        proposal = self._proposal
        proposal.state_only, proposal.ordered = True, self._now
        proposal.operator = self._numbered(self._with_window(proposal.operator or self.operator))
        proposal.refused = b"" if proposal.follows_sources else self.refused
        self._writing = True
        self._enter(ProposalState.RECORDING)
        self._effects.append(fx.RecordState(self.committed.undo, proposal.refused, proposal.operator))

    def _state_write_failed(self, problem: Problem) -> None:
        """Fail what is not in the journal, but for the end of a window or an extension, which are tried again."""
        if self._proposal.tries and self.operator.trial is None:
            self._numbers.retire(self._proposal.version)
            self._effects.append(fx.Retire(self._proposal.version))
        if self._proposal.tries and self.operator.trial is not None:
            self._extend_later(problem)
        elif self._proposal.evidence:
            self._writing = False
            self._effects.append(self._retried.failed("end of the window", self.committed.version, problem, self._now))
            self._wake_at(fx.Timer.UNDO, self._now + UNDO_RETRY)
        else:
            self._not_written(problem)
        self._exit_if_due()

    def _commit_state(self) -> None:
        """Make true what was written without a version."""
        proposal = self._proposal
        assert proposal.operator is not None
        self.refused = proposal.refused
        trial = self.operator.trial  # whose use, and so its time, may have begun meanwhile
        self._set_operator(msgspec.structs.replace(proposal.operator, trial=trial))
        self._ran.sets(self.operator)
        self._ask_decliners_again()
        self._begin_barrier()
        self._exit_if_due()

    def _ask_decliners_again(self) -> None:
        """Send the committed version once more to the workers that declined it."""
        for member in self.roster:
            if member.declined is not None:
                member.sent, member.declined, member.asked_again = 0, None, member.declined

    # ---- dry runs

    def _end_dry_run(self) -> None:
        """Answer what the candidate's result would have been: all votes are in, or the deadline has come."""
        refused = self._votes_against()
        excused = sorted(self.roster.excused.items())
        if not refused and (not self.roster.agrees() or (self.rules.silent == "refuse" and excused)):
            refused = tuple(Problem("", why, f"worker {pid}") for pid, why in excused)
        if refused:
            self._end_dry(ReloadResult.REJECTED, refused)
        else:
            self._end_dry(ReloadResult.PARTIAL if excused else ReloadResult.SUCCESS)

    def _give_way(self) -> None:
        """End a dry run, since something else was requested, or is due; another dry run waits for its end."""
        due = self._requests.urgent or self._must_undo() or self._must_expire()
        if self._proposal.dry and due and self.state is ProposalState.STAGING:
            self._cut_short()

    def _cut_short(self) -> None:
        refused = self._votes_against()
        result = ReloadResult.REJECTED if refused else ReloadResult.OWNER_UNAVAILABLE
        self._end_dry(result, (*refused, Problem("", CUT_SHORT)))

    def _votes_against(self) -> tuple[Problem, ...]:
        """The votes against a dry run's candidate. Who has voted is not excused any more."""
        refusals = self._proposal.refusals
        for pid in refusals:
            self.roster.excused.pop(pid, None)
        return grouped((pid, problem) for pid, problems in refusals.items() for problem in problems)

    def _end_dry(self, result: ReloadResult, problems: tuple[Problem, ...] = ()) -> None:
        event = self._proposal.tried(result, problems, self.roster, self.committed.version, self._now)
        self._excuse_timed_out()  # the others were excused this time only
        self._close(event)


def _edits(asked: Check) -> bool:
    """Whether a dry run tries anything but what the sources say now."""
    return bool(asked.values or asked.files)
