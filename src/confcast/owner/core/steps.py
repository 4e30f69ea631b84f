"""The steps of a proposal, from the request for a load to its outcome; `machine.py` says which input causes which step.

A step takes no input and asks for no clock: it changes what the owner knows and adds effects. In their order: `_next`
chooses what begins (an undo, a reissue, an operation, a load, or nothing), `_stage` puts a candidate to the vote,
`_order_write` orders the journal write, `_commit` makes the written version true, `_begin_barrier` and `_end_barrier`
wait for the workers' answers, and `_close` answers the callers.

Rejected: one object for each kind of proposal (load, reissue, undo): they differ in two lines, and share each deadline.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import msgspec

from confcast.errors import Problem
from confcast.owner.core import effects as fx
from confcast.owner.core.changes import merged
from confcast.owner.core.evidence import Evidence
from confcast.owner.core.first_vote import FirstVote
from confcast.owner.core.former_workers import FormerWorkers
from confcast.owner.core.hooks import Hooks
from confcast.owner.core.members import Roster
from confcast.owner.core.observing import Observing
from confcast.owner.core.operator_state import EndedOverrides, OperatorState
from confcast.owner.core.outbox import Outbox
from confcast.owner.core.proposal import NOT_OWED, OWED, UNDONE, Proposal, ProposalState, refusals
from confcast.owner.core.requests import Edit, Loads, Requests
from confcast.owner.core.retried_writes import EXPIRY_RETRY, UNDO_RETRY, RetriedWrites
from confcast.owner.core.rules import Rules
from confcast.owner.core.timers import NO_TOKEN, window_timers
from confcast.owner.core.version_numbers import Committed, Numbers, Proven
from confcast.owner.core.waits import Waits
from confcast.owner.core.what_ran import WhatRan
from confcast.wire.messages import Change, ReloadEvent, ReloadResult


class Steps(Hooks):
    """What one owner knows, and the steps that change it. Not thread-safe: one loop feeds it.

    Args:
        rules: What does not change while this owner runs.
        committed: The version that the journal holds; None in an owner that never committed.
        high_water: The highest version number ever given out.
        roster: The pids of the living processes that a former owner had on its roster.
        refused: The digest of a content that was undone, and has not changed since; empty for none.
        operator: What people have set, as the journal holds it; its times are of the clock of `Core.handle`.
        fallback: What the end of the open window puts back; without one, the newest version that is proven. None: what
            is committed.
        starts_anew: Whether this is a server's first owner: it does not go on with a window of a former one.
        gathering: Whether this owner was restarted and found no journal: it commits nothing until each living worker
            has had the time to connect.
        former_workers: Those of a server whose place this one takes, at its first start.
        now: The time, as in `Core.handle`.
        last_good: Whether this is the owner of a first start that starts on the newest good version if its sources are
            refused (`last_good.py`).
        still_set: Given a version and its overrides, returns it with those that have not ended; the others are values
            of it then. None: it is as it was.
        report: Called with one line of text for each transition (see `transitions.py`); None: no line is formatted.
    """

    _taken_back = 0  # the version that the end of a window has undone last
    _ended = EndedOverrides()

    def __init__(
        self,
        rules: Rules,
        *,
        committed: Committed | None = None,
        high_water: int = 0,
        roster: tuple[int, ...] = (),
        refused: bytes = b"",
        operator: OperatorState = OperatorState(),  # noqa: B008 - immutable
        fallback: Proven | None = None,
        starts_anew: bool = False,
        gathering: bool = False,
        former_workers: FormerWorkers | None = None,
        now: float = 0.0,
        last_good: bool = False,
        still_set: Callable[[Proven], Proven] | None = None,
        report: Callable[[str], None] | None = None,
    ) -> None:
        self.rules = rules
        self.state = ProposalState.IDLE
        self.roster = Roster(roster)
        self.refused = refused
        self.operator = operator
        self.dropped: Counter[str] = Counter()
        self.evidence = Evidence(rules)
        self._report = report
        self._numbers = Numbers(committed, high_water)
        self._observing = Observing(self.roster)
        self._first_vote = first = FirstVote(rules, self.roster)
        self._outbox = Outbox(self.roster, self._numbers.committed, rules, self._observing, first)
        self._requests, self._loads, self._retried = Requests(), Loads(), RetriedWrites()
        self._proposal = self._owed_proposal = Proposal("start", now, 0)
        self._waits = Waits(rules, self.roster, first)
        self._former_workers = former_workers or FormerWorkers()
        self._gathering = gathering
        self._gathered_at = now + rules.gather_timeout if gathering else 0.0
        self._ran = WhatRan(self.roster)
        self._fallback = fallback or Proven(self._numbers.committed, operator.layer, operator.expires)
        self._fallback_before: Proven | None = None  # while a worker may still decline the fallback
        self._starts_anew = starts_anew and operator.window is not None and operator.window.deadline > 0.0
        self._superseded: dict[int, float] = {}  # versions that were so on probation, and until when they would be
        self._against: tuple[str, ...] = ()  # what speaks against what runs, while it is on probation
        if operator.trial is not None:
            self._numbers.retire(operator.trial.version)
        self._changed: dict[str, Change] = {}  # since the content that an undo would put back, as far as it is known
        self._serial = operator.serial
        self._still_set = still_set or (lambda proven: proven)
        self._expiry_waits = ""  # for what: a load, after a refusal, a worker, after silence, or room, on a full disk
        self._writing = False
        self._accepting = self._hands_over = False
        self._reissue_failed = False
        self._may_fall_back, self._falls_back = last_good, False
        self._exits = False  # whether the owner exits after the journal write that is under way
        self._token = 0
        self._now = self._since = now
        self._effects: list[fx.Effect] = []
        self._last_effects: list[fx.Effect] = []  # after the frames that leave with them
        self.evidence.begins(self.committed.version, now)

    @property
    def committed(self) -> Committed:
        """The newest version in the journal; its number is 0 before the first."""
        return self._numbers.committed

    @property
    def round(self) -> int:
        """The latest round; 0 before the first."""
        return self._outbox.round

    # ---- from one proposal to the next

    def _next(self) -> None:
        self._enter(ProposalState.IDLE)
        self._probation_ends()  # its time may have come in a write, which has failed
        if self._exits or self._ends_trial() or self._begins_what_is_due() or self._begins_operation():
            return
        if self._requests:
            self._load()
        elif (until := self._outbox.deferred_until) is not None:
            self._wake_at(fx.Timer.DEFERRED, until)

    def _begins_what_is_due(self) -> bool:
        """Begin what nobody asks for, and what goes before everything that is asked for. Returns whether it has."""
        if self._must_undo():  # the refusal came after the barrier
            self._proposal = Proposal("undo", self._now, self.committed.version, loaded=self._now)
            self._undo()
        elif self._why_over():
            self._end_window()
        elif self._must_reissue():
            self._reissue()
        elif self._trial_is_over():
            self._decide_trial()
        elif self._falls_back:
            self._fall_back()
        elif self._must_expire():
            self._expire()
        else:
            return False
        return True

    def _next_if_idle(self) -> None:
        """Begin what an input has made due, if nothing is under way but a dry run, which gives way."""
        if self.state is not ProposalState.IDLE:  # first: it is asked with each answer of a worker
            if self.state is ProposalState.STAGING and self._proposal.dry:
                self._give_way()
        elif self._requests or self._must_undo() or self._must_expire() or self._why_over() or self._trial_is_due():
            self._next()

    # ---- what begins

    def _begins_operation(self) -> bool:
        """Begin the operation whose turn it is, and return whether one has begun; a plain load may come first."""
        while (request := self._requests.begin_operation()) is not None:
            if self._operate(request):
                return True
        return False

    def _load(self) -> None:
        cause, insist = self._requests.begin()
        self._excuse_timed_out()
        self._proposal = Proposal(cause.origin, self._now, self.committed.version, who=cause.who, reason=cause.reason)
        self._begin_load(insist=insist, compare=self.operator.is_held)

    def _begin_load(self, *, insist: bool, compare: bool = False, edit: Edit | None = None) -> None:
        self._enter(ProposalState.LOADING)
        mine, layer = self._proposal, self._layer_to_load()
        mine.load, values = self._loads.begin(), bool(layer) or self.operator.unconfirmed is not None
        load = fx.Load(mine.load, insist, layer, edit, mine.rebuilds, compare, mine.dry, mine.who, values)
        guarding = fx.Guarding.WARN if self._requests.starts else mine.guarding
        self._effects.append(msgspec.structs.replace(load, guarding=guarding, allow=mine.allow))
        self._wake_at(fx.Timer.LOAD, self._now + self.rules.load_timeout)

    def _must_expire(self) -> bool:
        """Whether the time of an override is over. After a refusal it ends with the next load, whatever requests it.

        It waits for the end of a trial, and for the first load of a server whose workers can't be asked before it.
        """
        waits = self.operator.trial is not None or self._former_workers.are_to_come
        expires = 0.0 if waits else self.operator.expires
        return expires != 0.0 and expires <= self._now and not self._expiry_waits

    def _expiry_is_due(self) -> None:
        """The time of an override is over, or that of a pause after its end could not be written."""
        self._expiry_waits = "" if self._expiry_waits == "room" else self._expiry_waits
        self._next_if_idle()

    def _expire(self) -> None:
        """End overrides on what the committed version was made from: a file that is broken by now does not matter."""
        self._excuse_timed_out()
        self._proposal = Proposal("expiry", self._now, self.committed.version, rebuilds=True)
        self._expiry_waits = "a load"
        self._begin_load(insist=False)

    def _must_reissue(self) -> bool:
        """Whether a worker holds a newer number, or other content under ours. A failed one awaits a Hello or a call."""
        if self._reissue_failed:
            return False
        version, contradicted = self.committed.version, self._numbers.contradicted_by
        if any(member.held[0] >= version and contradicted(*member.held) for member in self.roster):
            return True
        on_trial = {trial.version: trial.digest} if (trial := self.operator.trial) else {}
        return version > 0 and self.roster.shows_another({version: self.committed.digest, **on_trial})

    def _reissue(self) -> None:
        """Write the committed content under the number that a worker holds, or above it if its content differs."""
        mine = self.committed
        self._excuse_timed_out()
        self._proposal = Proposal("reissue", self._now, mine.version, mine.digest, mine.payload, loaded=self._now)
        self._proposal.undo, self._proposal.refused, self._proposal.values = mine.undo, self.refused, mine.values
        self._proposal.puts_back = mine.version
        self._order_write(self._numbers.for_the_same_content())

    # ---- staging: every worker builds the candidate, and votes

    def _stage(self) -> None:
        self._outbox.open_round(self._proposal)
        for member in self.roster:
            member.vote = False
        self._first_vote.choose(self._waits.vote_seconds, self._now)
        self._enter(ProposalState.STAGING)
        self._wake_by(fx.Timer.STAGE)
        self._test_done()

    def _follow_first_vote(self) -> None:
        """Called after each input while one worker alone is asked: ask all once it has agreed, or none can be first."""
        first = self._first_vote
        if self.state is not ProposalState.STAGING:
            first.member = None
        elif self._proposal.vetoed:  # and waits for its check
            return
        elif first.follow():
            self._ask_all()
        elif first.member is not None:
            self._outbox.touch(first.member)

    def _ask_all(self) -> None:
        """End the first worker's turn; whoever is asked now has the time that every worker has for its vote."""
        self._first_vote.member = None
        self._outbox.touch_all()
        self._wake_by(fx.Timer.STAGE)

    def _end_staging(self) -> None:
        """No vote is awaited any more. The yes of a worker that has died, or lost its pipe, does not count."""
        excused = self.rules.silent == "refuse" and self.roster.excused
        if self._proposal.dry:
            self._end_dry_run()
        elif (self.roster.agrees() and not excused) or not self._needs_yes():
            self._order_commit()
        else:
            self._refuse_timed_out()

    def _needs_yes(self) -> bool:
        """Whether a worker must vote yes. Silence refuses no start of a server whose workers were another's."""
        return self._proposal.needs_yes and not (self._former_workers.may_live and self._requests.starts)

    def _refuse(self, problems: tuple[Problem, ...]) -> None:
        """A worker voted no. The outcome has what changed: it waits for a check that has not ended."""
        proposal = self._proposal
        if proposal.promotes is not None:
            self._trial_refused(problems)
            return
        if proposal.follows_sources:
            self.operator = msgspec.structs.replace(self.operator, tried=proposal.digest)
        if proposal.checked:
            self._fail(ReloadResult.REJECTED, problems)
        else:
            proposal.vetoed = proposal.vetoed or problems

    def _refuse_timed_out(self) -> None:
        """Refuse the candidate; a plain load is owed, since no worker voted no: it is tried when a worker answers."""
        proposal = self._proposal
        excused = sorted(self.roster.excused.items())
        if proposal.promotes is not None:
            self._trial_refused(tuple(Problem("", why, f"worker {pid}") for pid, why in excused))
            return
        owed = proposal.asked is None
        if proposal.rebuilds:
            self._expiry_waits = "a worker" if owed else self._expiry_waits
        elif owed:
            self._requests.owe(proposal.cause, self.round)
            self._owed_proposal = proposal
        self._waits.staging_ended(timed_out=owed)
        missing = [Problem("", why, f"worker {pid}") for pid, why in excused]
        self._fail(ReloadResult.REJECTED, (*missing, Problem("", OWED if owed else NOT_OWED)))

    # ---- the journal write: the commit point

    def _order_write(self, version: int) -> None:
        proposal = self._proposal
        proposal.version, proposal.ordered = version, self._now
        operator = self._with_window(proposal.operator or self.operator)
        proposal.operator = self._numbered(msgspec.structs.replace(operator, trial=None))
        self._waits.staging_ended(timed_out=False)
        self._writing = True
        self._enter(ProposalState.RECORDING)
        self._effects.append(proposal.record())

    def _numbered(self, operator: OperatorState) -> OperatorState:
        """This state with the serial number of the write that is ordered now."""
        self._serial += 1
        return msgspec.structs.replace(operator, serial=self._serial)

    def _set_operator(self, operator: OperatorState | None) -> None:
        """Make this what people have set, once it is in the journal."""
        assert operator is not None
        if operator.expires != self.operator.expires:  # what was undone may be its very end
            self._expiry_waits = "a load" if self._proposal.undoes and operator.expires in self._ended else ""
            if operator.expires:
                self._effects.append(fx.WakeAt(fx.Timer.EXPIRY, NO_TOKEN, operator.expires))
        before, window = self.operator.window, operator.window
        self._effects += window_timers(window, before)
        self._starts_anew = self._starts_anew and window is not None
        self._against = self._against if window is not None else ()
        former, self.operator = self.operator.trial, operator
        if former is not None and operator.trial is None:
            self._trial_has_ended()

    def _commit(self) -> None:
        """Make the proposal's version the committed one, once it is in the journal."""
        proposal, before, former = self._proposal, self.committed, self.operator
        committed = Committed(proposal.version, proposal.digest, proposal.payload, proposal.undo, proposal.values)
        self.refused = proposal.refused
        self._set_operator(proposal.operator)
        self._ended = self._ended.after(former, self.operator, proposal.loaded if proposal.origin == "expiry" else 0.0)
        if proposal.reissue:
            self.roster.renumber(before.version, committed.version)
        elif proposal.undo or not before.version:
            self._ran.clear()
        else:
            self._ran.superseded(before, former)
        self._numbers.commit(committed)
        self._note_commit(before, former)
        self._outbox.commit(committed, voted=not (proposal.reissue or proposal.undo))
        for member in self.roster:
            member.declined = member.asked_again = None
        self._write_snapshot(committed)
        self._begin_barrier()
        self._exit_if_due()

    def _note_commit(self, before: Committed, former: OperatorState) -> None:
        """Begin the evidence of the committed version, or go on with it, where its content had another number.

        And note what has changed since the content to which an undo leads. `former`: what people had set before.
        """
        proposal, version = self._proposal, self.committed.version
        if not proposal.reissue:
            known = {} if proposal.undo or former.window is None else self._changed
            self._changed = {} if proposal.undo else merged(known, proposal.changes)
        self._note_superseded(before, former.window)
        self._against = self._against if proposal.reissue else ()
        if proposal.puts_back:
            self.evidence.renumbered(proposal.puts_back, version)
        else:
            self.evidence.begins(version, self._now)
        self.evidence.retain(version, self._fallback.committed.version)
        self._weigh()

    def _write_snapshot(self, committed: Committed) -> None:
        """After the Commits, since workers swap meanwhile; but before any outcome, so first where nobody is waited for.

        A worker that starts on the older file has left its Hello in the backlog, which Accept takes after this.
        """
        waits = not self._exits and not self.roster.all_answered(committed.version)
        effects = self._last_effects if waits else self._effects
        effects.append(fx.WriteSnapshot(committed.version, committed.digest, committed.payload))

    def _write_failed(self, problem: Problem) -> None:
        """Fail a proposal whose version is not in the journal: its number is not used again. An undo is tried again."""
        version, undoes = self._proposal.version, self._proposal.undoes
        self._numbers.retire(version)
        self._effects.append(fx.Retire(version))
        if self._proposal.undone:  # of a worker's refusal, of a window, or of a trial
            self._writing = False  # so a worker that connects now gets the committed version
            self._outbox.touch_all()
            self._effects.append(self._retried.failed("undo", undoes, problem, self._now))
            self._wake_at(fx.Timer.UNDO, self._now + UNDO_RETRY)
        else:
            self._reissue_failed = self._proposal.origin == "reissue"
            self._not_written(problem)
        self._exit_if_due()

    def _not_written(self, problem: Problem) -> None:
        """Fail a proposal of which nothing is in the journal. The end of an override is tried again."""
        if self._proposal.origin == "expiry":
            self._expiry_waits = "room"
            self._effects.append(fx.WakeAt(fx.Timer.EXPIRY, NO_TOKEN, self._now + EXPIRY_RETRY))
        self._fail(ReloadResult.IO_ERROR, (problem,))

    # ---- the barrier: every worker that is not excused has applied or declined the version

    def _begin_barrier(self) -> None:
        self._proposal.recorded = self._now
        self._first_load_ends(failed=False)
        if self._requests.called:
            self._await_former_workers()
        self._enter(ProposalState.COMMITTING)
        self._wake_by(fx.Timer.BARRIER)
        self._test_done()

    def _test_done(self) -> None:
        """End the present wait if no worker is waited for. Called when a worker answered or left, or a wait began."""
        if self._gathering:
            return
        if self.state is ProposalState.STAGING and self._proposal.checked and self.roster.all_voted():
            self._end_staging()
        elif self.state is ProposalState.COMMITTING and self.roster.all_answered(self.committed.version):
            if not self._accepting:
                self._effects.append(fx.Accept())
            self._accepting = True

    def _end_barrier(self) -> None:
        if self._must_undo():
            self._undo()
            return
        if self._must_take_back():
            self._take_back_in_barrier()
            return
        version = self.committed.version
        if self.roster.anybody_runs(version):
            self._ran.clear()
        if not self.roster.nobody_runs(version):
            self._outbox.settle(self._now)
        event = self._proposal.applied(self.roster, version, self._now)
        self._note_proven(event)
        self.roster.refusals_reported()
        self._close(event)

    def _note_proven(self, event: ReloadEvent) -> None:
        """What is settled, declined by no worker and in no window is what the next window would fall back to."""
        fallback = self._fallback
        if self._prove() and fallback.committed is not self.committed:
            self._fallback_before = fallback if event.lagging else None

    def _prove(self) -> bool:
        """Have the next window fall back to what runs, and return True; unless that is provisional, or was declined."""
        if self.operator.window is not None or self.roster.is_declined(self.committed.version):
            return False
        self._fallback = Proven(self.committed, self.operator.layer, self.operator.expires)
        return True

    def _forget_proven(self) -> None:
        """A worker has declined, too late for the outcome, the version that counted as proven."""
        before = self._fallback_before if self.state is not ProposalState.RECORDING else None
        if before is not None and self._fallback.committed is self.committed and self.operator.window is None:
            self._fallback, self._fallback_before = before, None

    def _must_undo(self) -> bool:
        """Whether a worker declined the committed version, and no worker runs it. The first version is not undone."""
        return bool(self._ran) and self.roster.nobody_runs(self.committed.version)

    def _undo(self) -> None:
        """Write the previous content under the next number, without a vote. Callers are answered after its barrier."""
        undone, proposal, (previous, operator) = self.committed, self._proposal, self._ran.last()
        self._excuse_timed_out()  # a worker that was excused because it had no vote needs no vote now
        declined = refusals(self.roster)
        proposal.undone = (*declined, Problem("", UNDONE.format(undone.version, previous.version)))
        proposal.undo, proposal.refused, proposal.undoes = True, undone.digest, undone.version
        proposal.digest, proposal.payload, proposal.values = previous.digest, previous.payload, previous.values
        proposal.puts_back = previous.version
        proposal.operator = self._operator_before(previous, operator)
        proposal.state_only = proposal.same = False
        self._order_write(self._numbers.for_new_content())

    def _operator_before(self, previous: Committed, before: OperatorState) -> OperatorState:
        """What people had set beside what is put back; a window is over if that is what the window would put back."""
        fallback = self._fallback.committed
        window = before.window if previous.digest != fallback.digest else None
        if window is not None and window.fallback != fallback.version:  # another was proven since
            _, layer, expires = self._fallback
            window = msgspec.structs.replace(window, fallback=fallback.version, layer=layer, expires=expires)
        unconfirmed = self.operator.unconfirmed or before.unconfirmed  # of a trial that has ended since, too
        return msgspec.structs.replace(before, tried=self.operator.tried, window=window, unconfirmed=unconfirmed)

    # ---- the outcome

    def _fail(self, result: ReloadResult, problems: tuple[Problem, ...]) -> None:
        self._first_load_ends(failed=True)
        if not self._proposal.dry:
            self.roster.reinstall_timed_out(self.committed.version, self.committed.digest)
        self._close(self._failure(result, problems))

    def _failure(self, result: ReloadResult, problems: tuple[Problem, ...]) -> ReloadEvent:
        return self._proposal.failed(result, problems, self.roster, self.committed.version, self._now)

    def _close(self, event: ReloadEvent) -> None:
        was_start = self._requests.starts or self._proposal.boot
        if self._requests.called and self.operator.trial is None:  # which the reissue would end
            self._reissue_failed = False
        self._publish(event)
        if was_start and not self._falls_back:
            self._await_former_workers()
        self._next()

    def _publish(self, event: ReloadEvent) -> None:
        """Record the event, then answer callers: the history must have what callers know, even if the owner dies."""
        event = self._with_deadline(event)
        if not event.dry_run:
            self._effects.append(fx.RecordEvent(event, self._proposal.subject))
        self._effects += self._observing.answer(self._requests.served(), event, self._now)

    def _with_deadline(self, event: ReloadEvent) -> ReloadEvent:
        """The event, with the deadline of the window that is open after it."""
        window = self.operator.window
        by = 0.0 if window is None else window.deadline
        return msgspec.structs.replace(event, confirm_by=by) if by else event

    def _exit(self) -> None:
        why = Problem("", "the owner is leaving: its master is gone, or closed it")
        event = self._failure(ReloadResult.OWNER_UNAVAILABLE, (why,))
        self._pump()
        self._effects += [*self._observing.close(), *(fx.Answer(call, event) for call in self._requests.all_calls())]
        self._effects.append(fx.Exit(""))

    def _exit_if_due(self) -> None:
        if self._exits:
            self._exit()

    # ---- workers that a proposal waits for, or does not

    def _await_former_workers(self) -> None:
        """The first load is over, or somebody is to be answered before: wait for the workers that outlive a server."""
        gathers = self._former_workers.gathers
        if self._former_workers.join(self.roster):
            self._gathering, self._gathered_at = gathers, self._now + self.rules.gather_timeout
            self._effects += self._gather()

    def _gather(self) -> list[fx.Effect]:
        return [fx.WakeAt(fx.Timer.GATHER, 0, self._gathered_at)] if self._gathering else []

    def _excuse(self, began: float, timer: fx.Timer) -> None:
        """Excuse workers at the deadline of a wait, which never comes before the gathering ends.

        Both may come at the same time, in either order: the gathering ends here, or a worker that connects between them
        would be waited for without a deadline.
        """
        self._gathering = False
        dry = self._proposal.dry
        later = self._waits.excuse(self.state, self.committed.version, began, self._now, dry=dry)
        if later is not None:
            self._wake_at(timer, later)

    def _excuse_timed_out(self) -> None:
        self.roster.excuse_timed_out(self.committed.version, lambda member: self._waits.why(member, self._now))

    def _retry_owed(self) -> None:
        """Try an owed load again, since a worker answered; not while workers that timed out would still veto it."""
        vetoes = self.rules.silent == "refuse" and self.committed.version > 0 and self.roster.any_timed_out()
        if not vetoes:
            self._requests.retry_owed()
            self._expiry_waits = "" if self._expiry_waits == "a worker" else self._expiry_waits

    # ---- what every step uses

    def _enter(self, state: ProposalState) -> None:
        self.state, self._since = state, self._now
        self._token += 1
        if state not in (ProposalState.LOADING, ProposalState.RECORDING):  # in which no member gets its next frame
            self._outbox.touch_all()

    def _wake_by(self, timer: fx.Timer) -> None:
        """Set the deadline of the staging or of the barrier: not before each living worker had the time to connect."""
        self._wake_at(timer, self._waits.begin(timer, self._now, self._gathered_at))

    def _wake_at(self, timer: fx.Timer, when: float) -> None:
        self._token += 1
        self._effects.append(fx.WakeAt(timer, self._token, when))

    def _pump(self) -> None:
        between_tries = self.state is ProposalState.RECORDING and not self._writing
        self._outbox.provisional_until = self._provisional_until()
        self._effects += self._outbox.pump(ProposalState.IDLE if between_tries else self.state, self._now)

    def _drop(self, what: str) -> None:
        self.dropped[what] += 1
