"""The owner's state machine: what is committed, what is proposed, who must still answer.

Pure: `handle(input, now)` returns effects, and nothing in here knows a clock, a file or a socket. It is a table,
states by inputs, giving a handler, with one lookup and one error. The rules it keeps:

- A proposal has a round, a commit has a version. The version is given out when the journal write is ordered;
  the journal write is the commit point. While it runs nothing is sent to anyone new and no vote counts.
- What a pipe gets next is a function of what it was sent and what is true (`outbox.py`), never a queue.
- Every wait has one deadline, fixed when the wait begins: an early one for a worker that is silent, a later one for a
  worker that has said which function it runs. Past it a worker is named, and not waited for again until it has
  answered what is committed.
- Nothing new is committed without a yes where anybody has a vote. What silence refused is owed: it is loaded again when
  a worker answers. What was committed and then declined by somebody and applied by nobody is undone: what ran before is
  written under the next number, and its frames ask no `precommit` function.
- One proposal at a time; whoever asks meanwhile is served by the next load, which begins after the asking.

Rejected, each for the trace that broke it in a searched model: versions given out at Prepare (a late yes counts for
another candidate), an outbox where the latest frame wins (a commit is lost), the end of a pipe taken for a death
(SUCCESS while a worker serves the old version), a barrier without a deadline (one stopped worker, a caller for ever),
silence taken for consent (a function that was still at work refused what had been committed meanwhile, everywhere).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from confcast.errors import ImpossibleMessage, Problem
from confcast.owner.core import effects as fx
from confcast.owner.core.members import Member, Roster
from confcast.owner.core.observing import Observing
from confcast.owner.core.outbox import Outbox
from confcast.owner.core.proposal import (
    OWED,
    STILL_REFUSED,
    UNDONE,
    Phase,
    Proposal,
    ProposalState,
    late_refusal,
    reasons,
    said_by,
    told_once,
)
from confcast.owner.core.requests import Asked, Loads, Requests
from confcast.owner.core.rules import Rules, refusal
from confcast.owner.core.version_numbers import Committed, Numbers
from confcast.owner.core.waits import UNDO_AGAIN, Waits
from confcast.wire.messages import (
    Applied,
    Declined,
    Goodbye,
    Hello,
    Observed,
    Reload,
    ReloadEvent,
    ReloadResult,
    Vote,
    WorkerStatus,
    Working,
)

__all__ = ["Committed", "Core", "ProposalState", "Rules"]


class Core:
    """One owner's truth. Not thread-safe: one loop feeds it.

    Args:
        rules: What does not change.
        committed: What the journal holds; None in an owner that never committed.
        high_water: The highest number ever given out.
        roster: The living processes that a former owner knew.
        refused: The digest of a content that was undone, and has not changed since.
        gathering: This owner was restarted and found no journal: it commits nothing until everyone who lives has
            had the time to knock.
        now: The clock, as in `handle`.
    """

    def __init__(
        self,
        rules: Rules,
        *,
        committed: Committed | None = None,
        high_water: int = 0,
        roster: tuple[int, ...] = (),
        refused: bytes = b"",
        gathering: bool = False,
        now: float = 0.0,
    ) -> None:
        self.rules = rules
        self.state = ProposalState.IDLE
        self.roster = Roster(roster)
        self.dropped: Counter[str] = Counter()
        self._numbers = Numbers(committed, high_water)
        self._observing = Observing(self.roster)
        self._outbox = Outbox(self.roster, self._numbers.committed, rules.answers_within, self._observing)
        self._requests = Requests()
        self._loads = Loads()
        self._proposal = Proposal("start", now, 0)
        self._gathering = gathering
        self._gathered_at = now + rules.gather_timeout
        self.refused = refused
        self._before: Committed | None = None  # what ran before a version that nobody has applied yet
        self._since = now
        self._waits = Waits(rules, self.roster)
        self._writing = False
        self._accepting = False
        self._reissue_failed = False
        self._leaving = False
        self._token = 0
        self._now = now
        self._effects: list[fx.Effect] = []

    @property
    def committed(self) -> Committed:
        """What is true; version 0 is nothing yet."""
        return self._numbers.committed

    @property
    def high_water(self) -> int:
        """The highest number that was ever given out or heard of: a journal that is made anew must know it."""
        return self._numbers.high_water

    def retire(self, version: int) -> None:
        """Another owner has given this number out: it must not be used again."""
        self._numbers.retire(version)

    @property
    def round(self) -> int:
        """The latest round; 0 before the first."""
        return self._outbox.round

    def begin(self) -> list[fx.Effect]:
        """What must be done before the first input."""
        return [fx.WakeAt(fx.Timer.GATHER, 0, self._gathered_at)] if self._gathering else []

    def handle(self, given: fx.Input, now: float) -> list[fx.Effect]:
        """One input in, the effects out, in the order in which they must be carried out.

        Raises:
            ImpossibleMessage: The table has no entry for this input in this state.
        """
        self._now = now
        self._effects = []  # what an input that raised had begun belongs to no other
        self._dispatch(given)
        self._effects += self._observing.look(now) if self._observing.waits else ()
        self._pump()
        return self._effects

    def statuses(self) -> list[WorkerStatus]:
        """Everyone on the roster, by pid."""
        return self.roster.statuses(self.committed.version)

    def phase(self) -> Phase:
        """Where the present proposal is, since when, and whom it waits for."""
        return self._waits.phase(self.state, self.committed.version, self._since)

    def _dispatch(self, given: fx.Input) -> None:
        row = _TABLE.get(type(given.message) if isinstance(given, fx.Received) else type(given))
        handler = row[self.state] if row else None
        if handler is None:
            raise ImpossibleMessage(self.state.name, given)
        handler(self, given)

    # ---- asking for a load

    def _ask(self, given: fx.Received) -> None:
        assert isinstance(given.message, Reload)
        self._requests.ask(Asked((given.pipe, given.message.id), given.message.wait_observers), given.message.origin)

    def _ask_idle(self, given: fx.Received) -> None:
        self._ask(given)
        self._next()

    def _trigger(self, given: fx.Trigger) -> None:
        self._requests.trigger(given.origin)

    def _trigger_idle(self, given: fx.Trigger) -> None:
        self._trigger(given)
        self._next()

    # ---- what a load gave

    def _loaded(self, given: fx.Loaded) -> None:
        if not self._is_present_load(given):
            return
        proposal = self._proposal
        proposal.loaded, proposal.notes = self._now, given.notes
        if not given.differs:
            self._pass_unchanged(given)
        elif given.digest == self.refused and not self._requests.called:
            self._fail(ReloadResult.REJECTED, (Problem("", STILL_REFUSED),))
        elif self.rules.silent == "refuse" and self.roster.excused:
            self._refuse_silence()
        else:
            proposal.digest, proposal.payload, proposal.changes = given.digest, given.payload, given.changes
            self._stage()

    def _load_failed(self, given: fx.LoadFailed) -> None:
        if self._is_present_load(given):
            self._fail(given.result, given.problems)

    def _late_load(self, given: fx.Loaded | fx.LoadFailed) -> None:
        if self._is_present_load(given):
            raise ImpossibleMessage(self.state.name, given)

    def _is_present_load(self, given: fx.Loaded | fx.LoadFailed) -> bool:
        present = self._loads.ended(given.number)
        if not present:
            self._drop("late load")
        return present

    def _load_deadline(self, given: fx.Wake) -> None:
        """Gives the load up. The second in a row ends the owner: its one loading thread is lost to the first."""
        limit = f"load took longer than {self.rules.load_timeout:g} s (load_timeout)"
        hangs = Problem("", f"{limit}: {given.hangs or 'a source or a validator'} hangs; nothing was changed")
        if self._loads.give_up():
            self._tell(self._failure(ReloadResult.IO_ERROR, (hangs,)))
            self._effects.append(fx.Exit("a load that was given up still runs, and holds up every further one"))
        else:
            self._fail(ReloadResult.IO_ERROR, (hangs,))

    # ---- staging: everyone builds the candidate, and votes

    def _stage(self) -> None:
        self._outbox.open_round(self._proposal.digest, self._proposal.payload)
        for member in self.roster:
            member.vote = False
        self._enter(ProposalState.STAGING)
        self._wake_by(fx.Timer.STAGE)
        self._test_done()

    def _vote(self, given: fx.Received) -> None:
        vote, member = given.message, self._sender(given)
        assert isinstance(vote, Vote)
        if member is None:
            return
        member.working = None
        excused = member.pid in self.roster.excused  # a no is in time for as long as somebody else is waited for
        if vote.round != self.round or (excused and (vote.ok or member.prepared != self.round)):
            self._drop_vote()
        elif vote.ok:
            member.vote = True
            self._test_done()
        else:
            self._waits.staged(refused_by_silence=False)
            self._fail(ReloadResult.REJECTED, said_by(member, vote))

    def _late_vote(self, given: fx.Received) -> None:
        vote, member = given.message, self._sender(given)
        assert isinstance(vote, Vote)
        if member is None:
            return
        member.working = None
        if self._requests.owes and not vote.ok and vote.round == self.round and self.committed.version:
            self._requests.forgive()  # of the load that silence refused: a no is final, also a late one
            self._effects.append(fx.RecordEvent(self._failure(ReloadResult.REJECTED, said_by(member, vote))))
        self._drop_vote()

    def _drop_vote(self) -> None:
        """Before the first version nothing is installed again at who was silent, so its late vote is its answer."""
        self._drop("late vote")
        if not self.committed.version:
            self._pay()
            self._go_on()

    def _working(self, given: fx.Received) -> None:
        working, member = given.message, self._sender(given)
        assert isinstance(working, Working)
        if member is not None:
            member.works(working.function, self._now)

    def _stage_deadline(self, given: fx.Wake) -> None:
        self._excuse(self._proposal.loaded, fx.Timer.STAGE)
        if self.rules.silent == "refuse" and self.roster.excused:
            self._refuse_silence()
        else:
            self._test_done()

    def _end_staging(self) -> None:
        """Nobody is waited for any more: a yes whose voter has died, or lost its pipe, is none."""
        if self.roster.agrees():
            self._order_write(self._numbers.for_new_content())
        else:
            self._refuse_silence()

    def _refuse_silence(self) -> None:
        """Nobody has said no, so the load is owed: it is tried again when somebody answers."""
        excused = sorted(self.roster.excused.items())
        self._requests.owe(self._proposal.origin)
        self._waits.staged(refused_by_silence=True)
        told = [Problem("", why, f"worker {pid}") for pid, why in excused]
        self._fail(ReloadResult.REJECTED, (*told, Problem("", OWED)))

    # ---- who lets the proposal wait

    def _excuse(self, began: float, timer: fx.Timer) -> None:
        later = self._waits.excuse(self.state, self.committed.version, began, self._now)
        if later is not None:
            self._wake_at(timer, later)

    def _pay(self) -> None:
        """Somebody has answered: the load that silence refused may be tried again. Not while others can still veto."""
        vetoes = self.rules.silent == "refuse" and self.committed.version > 0 and self.roster.any_timed_out()
        if not vetoes:
            self._requests.pay()

    def _go_on(self) -> None:
        if self.state is ProposalState.IDLE and (self._requests or self._must_undo()):
            self._next()

    # ---- the journal write: the commit point

    def _order_write(self, version: int) -> None:
        proposal = self._proposal
        proposal.version, proposal.ordered = version, self._now
        self._waits.staged(refused_by_silence=False)
        self._writing = True
        self._enter(ProposalState.RECORDING)
        self._effects.append(fx.Record(version, proposal.digest, proposal.payload, proposal.undo, proposal.refused))

    def _recorded(self, given: fx.Recorded | fx.RecordFailed) -> None:
        proposal, before = self._proposal, self.committed
        committed = Committed(proposal.version, proposal.digest, proposal.payload, proposal.undo)
        self.refused = proposal.refused
        if proposal.reissue:
            self.roster.renumber(before.version, committed.version)
        elif proposal.undo or not before.version:
            self._before = None
        elif self._before is None or self.roster.anybody_runs(before.version):  # else the older one still is what ran
            self._before = before
        self._numbers.commit(committed)
        self._outbox.commit(committed, voted=not (proposal.reissue or proposal.undo))
        for member in self.roster:
            member.declined = member.asked_again = None
        self._effects.append(fx.WriteSnapshot(committed.version, committed.digest, committed.payload))
        self._begin_barrier()
        self._leave_if_asked()

    def _record_failed(self, given: fx.RecordFailed) -> None:
        version = self._proposal.version
        if given.row is fx.RowState.PRESENT:
            self._recorded(given)
        elif given.row is fx.RowState.UNREADABLE:
            self._effects.append(fx.Exit(f"the journal can be neither written nor read: {given.problem}"))
        else:
            self._numbers.retire(version)
            self._effects.append(fx.Retire(version))
            if self._proposal.undone:
                self._writing = False  # nothing is on its way: who starts now may have what is committed
                self._outbox.touch_all()
                self._wake_at(fx.Timer.UNDO, self._now + UNDO_AGAIN)
                self._leave_if_asked()
                return
            self._reissue_failed = self._proposal.reissue
            self._fail(ReloadResult.IO_ERROR, (given.problem,))
            self._leave_if_asked()

    # ---- the barrier: everyone who is not named has answered

    def _pass_unchanged(self, given: fx.Loaded) -> None:
        """UNCHANGED passes the barrier too, and gives those who declined what runs another chance."""
        if not self.committed.version:
            raise ImpossibleMessage("LOADING, nothing committed", given)
        self._proposal.unchanged = True
        if self.refused:
            self.refused = b""
            self._effects.append(fx.Forgive())
        for member in self.roster:
            if member.declined is not None:
                member.sent, member.declined, member.asked_again = 0, None, member.declined
        self._begin_barrier()

    def _begin_barrier(self) -> None:
        self._proposal.recorded = self._now
        self._enter(ProposalState.COMMITTING)
        self._wake_by(fx.Timer.BARRIER)
        self._test_done()

    def _barrier_deadline(self, given: fx.Wake) -> None:
        self._excuse(self._proposal.recorded, fx.Timer.BARRIER)
        self._test_done()

    def _test_done(self) -> None:
        """Whether nobody is waited for any more. Asked whenever somebody answered or left, or a wait began."""
        if self._gathering:
            return
        if self.state is ProposalState.STAGING and self.roster.all_voted():
            self._end_staging()
        elif self.state is ProposalState.COMMITTING and self.roster.all_answered(self.committed.version):
            if not self._accepting:
                self._effects.append(fx.Accept())
            self._accepting = True

    def _accepted(self, given: fx.Accepted) -> None:
        """Whoever started on the snapshot file, the old one until then, has knocked before; its Hello is heard now."""
        self._accepting = False
        if self._waits.is_over(self._now):
            self._excuse(self._proposal.recorded, fx.Timer.BARRIER)
        if self.roster.all_answered(self.committed.version):
            self._end_barrier()

    def _end_barrier(self) -> None:
        if self._must_undo():
            self._undo()
            return
        version = self.committed.version
        if self.roster.anybody_runs(version):
            self._before = None
        if not self.roster.nobody_runs(version):
            self._outbox.settle(self._now)
        self._close(self._proposal.applied(self.roster, version, self._now))

    def _must_undo(self) -> bool:
        """Whether somebody declined what is committed, and nobody runs it; the first version stays all the same."""
        return self._before is not None and self.roster.nobody_runs(self.committed.version)

    def _undo(self) -> None:
        """What ran before is written once more, unasked. Callers are answered when the undo's own barrier is closed."""
        undone, proposal, before = self.committed, self._proposal, self._before
        assert before is not None
        self._excuse_timed_out()  # who was named for having no vote is asked for none now
        declined = told_once((member.pid, why) for member in self.roster for why in member.refuses() or ())
        proposal.undone = (*declined, Problem("", UNDONE.format(undone.version, before.version)))
        proposal.undo, proposal.refused = True, undone.digest
        proposal.digest, proposal.payload = before.digest, before.payload
        self._order_write(self._numbers.for_new_content())

    # ---- what a process says

    def _hello(self, given: fx.Received) -> None:
        hello = given.message
        assert isinstance(hello, Hello)
        if self.roster.on(given.pipe) is not None:
            self._drop("second Hello")
            self._effects.append(fx.ClosePipe(given.pipe))
            self._dispatch(fx.PipeEnded(given.pipe))
            return
        if (refused := refusal(self.rules, hello, given.pid, self.high_water)) is not None:
            self._drop("refused Hello")
            self._effects += [fx.Send(given.pipe, refused), fx.ClosePipe(given.pipe)]
        elif hello.role == "replica":
            self._welcome(given, hello)

    def _hello_idle(self, given: fx.Received) -> None:
        self._hello(given)
        self._next()

    def _hello_recording(self, given: fx.Received) -> None:
        self._hello(given)
        if self.roster.on(given.pipe) is not None:
            self.roster.excused.setdefault(given.pid, "attached while the journal was written: it had no vote")

    def _welcome(self, given: fx.Received, hello: Hello) -> None:
        known = self.roster.of(given.pid)
        if known is not None and known.pipe is not None:
            self._effects.append(fx.ClosePipe(known.pipe))
        self._effects.append(fx.AddMember(given.pid))
        member = self.roster.greet(given.pid, given.pipe, hello.version, hello.digest)
        if (hello.version, hello.digest) == (self.committed.version, self.committed.digest):
            member.runs = hello.version
        self._outbox.touch(member)
        if hello.version > self.high_water:
            self._effects.append(fx.Retire(hello.version))  # this process may be stopped when the next owner asks
        if hello.version:
            self._numbers.seen(hello.version, hello.digest)
        self._reissue_failed = False
        self._pay()

    def _applied(self, given: fx.Received) -> None:
        applied, member = given.message, self._sender(given)
        assert isinstance(applied, Applied)
        if member is None:
            return
        if applied.version > self.committed.version:
            self._drop("applied what was not committed")
            return
        member.acked, member.follows = max(member.acked, applied.version), applied.follows
        member.runs = max(member.runs, applied.version)
        member.working = None
        if applied.version == self.committed.version:
            member.declined = member.asked_again = None
            self.roster.answered_at_last(member)
            self._pay()
        self._test_done()
        self._go_on()

    def _declined(self, given: fx.Received) -> Member | None:
        declined, member = given.message, self._sender(given)
        assert isinstance(declined, Declined)
        if member is None:
            return None
        member.working = None
        if declined.version != self.committed.version:
            self._drop("declined another version")
            return None
        member.declined = reasons(declined.problems)
        self.roster.answered_at_last(member)
        self._pay()
        return member if self.roster.is_news(member.pid, declined.version) else None

    def _declined_late(self, given: fx.Received) -> None:
        """No outcome will tell of it, so the history must."""
        if (member := self._declined(given)) is not None:
            event = late_refusal(self.roster, member, self.committed.version, self._now)
            self._effects.append(fx.RecordEvent(event))
        self._go_on()

    def _declined_in_time(self, given: fx.Received) -> None:
        self._declined(given)
        self._test_done()

    def _observed(self, given: fx.Received) -> None:
        if (member := self._sender(given)) is not None:
            self._observing.said(member, given.message)

    def _sender(self, given: fx.Received) -> Member | None:
        member = self.roster.on(given.pipe)
        if member is None:
            self._drop("message without Hello")
            self._effects.append(fx.ClosePipe(given.pipe))
        else:
            self._outbox.touch(member)
        return member

    # ---- pipes and processes that end

    def _drained(self, given: fx.Drained) -> None:
        for pipe in given.pipes:
            member = self.roster.on(pipe)
            if member is not None:
                member.busy = False
                self._outbox.touch(member)
                if member.choked and not self.committed.version:  # it reads again, and has nothing to answer
                    self._pay()
                member.choked = False
        self._go_on()

    def _pipe_ended(self, given: fx.PipeEnded) -> None:
        member = self.roster.on(given.pipe)
        if member is not None:
            self.roster.lose_pipe(member)

    def _pipe_ended_recording(self, given: fx.PipeEnded) -> None:
        member = self.roster.on(given.pipe)
        if member is not None:
            self.roster.lose_pipe(member)
            self.roster.excused.setdefault(member.pid, "lost its pipe while the journal was written")

    def _gone(self, given: fx.ProcessGone) -> None:
        member = self.roster.of(given.pid)
        if member is not None:
            self.roster.remove(member)
            self._effects.append(fx.RemoveMember(member.pid))
            if not self.roster.any_timed_out():
                self._pay()
            self._test_done()
            self._go_on()

    def _goodbye(self, given: fx.Received) -> None:
        """A Goodbye on an older pipe of a process ends that pipe, and not the membership."""
        self._effects.append(fx.ClosePipe(given.pipe))
        if self.roster.on(given.pipe) is not None:
            self._dispatch(fx.ProcessGone(given.pid))

    def _leave(self, given: fx.MasterGone) -> None:
        why = Problem("", "the owner is leaving: its master is gone, or closed it")
        event = self._failure(ReloadResult.OWNER_UNAVAILABLE, (why,))
        self._pump()
        self._effects += [*self._observing.leave(), *(fx.Answer(call, event) for call in self._requests.everyone())]
        self._effects.append(fx.Exit(""))

    def _leave_after_write(self, given: fx.MasterGone) -> None:
        self._leaving = True

    def _leave_if_asked(self) -> None:
        if self._leaving:
            self._leave(fx.MasterGone())

    # ---- deadlines

    def _wake(self, given: fx.Wake) -> None:
        if given.timer is fx.Timer.GATHER:
            self._gathering = False
            self._test_done()
        elif given.token == self._token:
            _DEADLINES[given.timer](self, given)
        elif given.timer is not fx.Timer.OBSERVERS:
            self._drop("deadline of a wait that is over")

    def _wake_by(self, timer: fx.Timer) -> None:
        """The deadline of the staging or of the barrier: neither can end before everyone was gathered."""
        self._wake_at(timer, self._waits.begin(timer, self._now, self._gathered_at if self._gathering else 0.0))

    def _wake_at(self, timer: fx.Timer, when: float) -> None:
        self._token += 1
        self._effects.append(fx.WakeAt(timer, self._token, when))

    # ---- from one proposal to the next

    def _fail(self, result: ReloadResult, problems: tuple[Problem, ...]) -> None:
        self.roster.ask_timed_out_again(self.committed.version, self.committed.digest)
        self._close(self._failure(result, problems))

    def _failure(self, result: ReloadResult, problems: tuple[Problem, ...]) -> ReloadEvent:
        return self._proposal.failed(result, problems, self.roster, self.committed.version, self._now)

    def _close(self, event: ReloadEvent) -> None:
        self._tell(event)
        self._next()

    def _tell(self, event: ReloadEvent) -> None:
        """What a caller was told must be in the history, whoever dies right afterwards: recorded first."""
        self._effects.append(fx.RecordEvent(event))
        self._effects += self._observing.answer(self._requests.served(), event, self._now)

    def _next(self) -> None:
        self._enter(ProposalState.IDLE)
        if self._leaving:
            return
        if self._must_undo():  # the refusal came after the barrier
            self._proposal = Proposal("undo", self._now, self.committed.version, loaded=self._now)
            self._undo()
        elif self._must_reissue():
            self._reissue()
        elif self._requests:
            self._load()
        elif (until := self._outbox.reserved_until) is not None:
            self._wake_at(fx.Timer.REST, until)

    def _must_reissue(self) -> bool:
        """Whether somebody holds a newer number, or other content under ours. A failed one waits for a Hello."""
        return not self._reissue_failed and any(self._numbers.contradicted_by(*member.held) for member in self.roster)

    def _reissue(self) -> None:
        """Our content goes out again under the number that was seen, or above it where that has other content."""
        mine = self.committed
        self._excuse_timed_out()
        self._proposal = Proposal("reissue", self._now, mine.version, mine.digest, mine.payload, loaded=self._now)
        self._proposal.undo, self._proposal.refused = mine.undo, self.refused
        self._order_write(self._numbers.for_the_same_content())

    def _load(self) -> None:
        origin, insist = self._requests.begin()
        self._excuse_timed_out()
        self._proposal = Proposal(origin, self._now, self.committed.version)
        self._enter(ProposalState.LOADING)
        self._effects.append(fx.Load(self._loads.begin(), insist))
        self._wake_at(fx.Timer.LOAD, self._now + self.rules.load_timeout)

    def _excuse_timed_out(self) -> None:
        self.roster.excuse_timed_out(self.committed.version, lambda member: self._waits.why(member, self._now))

    def _enter(self, state: ProposalState) -> None:
        self.state, self._since = state, self._now
        self._token += 1
        self._outbox.touch_all()

    def _pump(self) -> None:
        between_tries = self.state is ProposalState.RECORDING and not self._writing
        self._effects += self._outbox.pump(ProposalState.IDLE if between_tries else self.state)

    def _drop(self, what: str) -> None:
        self.dropped[what] += 1


_DEADLINES: dict[fx.Timer, Callable[[Core, fx.Wake], None]] = {
    fx.Timer.LOAD: Core._load_deadline,
    fx.Timer.STAGE: Core._stage_deadline,
    fx.Timer.BARRIER: Core._barrier_deadline,
    fx.Timer.UNDO: lambda core, given: core._order_write(core._numbers.for_new_content()),
    fx.Timer.REST: lambda core, given: core._outbox.tell_everyone(),
}

Handler = Callable[[Core, Any], None]
C = Core  # so that a row is a line
_TABLE: dict[type, tuple[Handler | None, ...]] = {
    # input: IDLE, LOADING, STAGING, RECORDING, COMMITTING; None can't occur
    Reload: (C._ask_idle, C._ask, C._ask, C._ask, C._ask),
    fx.Trigger: (C._trigger_idle, C._trigger, C._trigger, C._trigger, C._trigger),
    fx.Loaded: (C._late_load, C._loaded, C._late_load, C._late_load, C._late_load),
    fx.LoadFailed: (C._late_load, C._load_failed, C._late_load, C._late_load, C._late_load),
    fx.Wake: (C._wake, C._wake, C._wake, C._wake, C._wake),
    Working: (C._working, C._working, C._working, C._working, C._working),
    Vote: (C._late_vote, C._late_vote, C._vote, C._late_vote, C._late_vote),
    fx.Recorded: (None, None, None, C._recorded, None),
    fx.RecordFailed: (None, None, None, C._record_failed, None),
    fx.Accepted: (None, None, None, None, C._accepted),
    Hello: (C._hello_idle, C._hello, C._hello, C._hello_recording, C._hello),
    Applied: (C._applied, C._applied, C._applied, C._applied, C._applied),
    Declined: (C._declined_late, C._declined_late, C._declined_late, C._declined_late, C._declined_in_time),
    Observed: (C._observed, C._observed, C._observed, C._observed, C._observed),
    fx.Drained: (C._drained, C._drained, C._drained, C._drained, C._drained),
    fx.PipeEnded: (C._pipe_ended, C._pipe_ended, C._pipe_ended, C._pipe_ended_recording, C._pipe_ended),
    fx.ProcessGone: (C._gone, C._gone, C._gone, C._gone, C._gone),
    Goodbye: (C._goodbye, C._goodbye, C._goodbye, C._goodbye, C._goodbye),
    fx.MasterGone: (C._leave, C._leave, C._leave, C._leave_after_write, C._leave),
}
