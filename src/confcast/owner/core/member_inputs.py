"""What the owner does when a worker sends a message, and when a pipe or a process ends.

Each method is a handler: one input, in the states in which the table of `machine.py` names it. A worker is known by the
pipe that its newest Hello came on; what comes on another pipe is dropped, and that pipe is closed.
"""

from __future__ import annotations

import msgspec

from confcast.owner.core import effects as fx
from confcast.owner.core.members import Member
from confcast.owner.core.proposal import ProposalState, late_refusal, reasons, veto
from confcast.owner.core.rules import refusal
from confcast.owner.core.trials import Trials
from confcast.wire.messages import Applied, Declined, Hello, ReloadResult, Tried, Vote, Working


class MemberInputs(Trials):
    """The handlers of the inputs that members of the roster cause."""

    # ---- a worker connects

    def _hello(self, given: fx.Received) -> None:
        hello = given.message
        assert isinstance(hello, Hello)
        if self.roster.on(given.pipe) is not None:
            self._drop("second Hello")
            self._effects.append(fx.ClosePipe(given.pipe))
            self._pipe_ended(fx.PipeEnded(given.pipe))
            return
        if (refused := refusal(self.rules, hello, given.pid, self._numbers.high_water)) is not None:
            self._drop("refused Hello")
            self._effects += [fx.Send(given.pipe, refused), fx.ClosePipe(given.pipe)]
        elif hello.role == "replica":
            self._add_member(given, hello)

    def _hello_idle(self, given: fx.Received) -> None:
        self._hello(given)
        self._next()

    def _hello_recording(self, given: fx.Received) -> None:
        self._hello(given)
        if self.roster.on(given.pipe) is not None and not self._proposal.state_only:
            self.roster.excused.setdefault(given.pid, "attached while the journal was written: it had no vote")

    def _add_member(self, given: fx.Received, hello: Hello) -> None:
        known = self.roster.of(given.pid)
        if known is not None and known.pipe is not None:
            self._effects.append(fx.ClosePipe(known.pipe))
        self._effects.append(fx.AddMember(given.pid))
        self._former_workers.has_come_or_gone(given.pid)
        member = self.roster.connect(given.pid, given.pipe, hello.version, hello.digest)
        member.patches, member.trial = hello.patches, hello.trial
        member.shows, member.shown = hello.trial or 0, hello.trial_digest
        if (hello.version, hello.digest) == (self.committed.version, self.committed.digest):
            member.has_applied(hello.version, self._now)
        self._outbox.touch(member)
        if max(hello.version, member.shows) > self._numbers.high_water:  # the next owner may start while it is stopped
            self._effects.append(fx.Retire(max(hello.version, member.shows)))
        if hello.version:
            self._numbers.seen(hello.version, hello.digest)
        if member.shown:
            self._numbers.seen(member.shows, member.shown)
        else:
            self._numbers.retire(member.shows)
        self._appoint()
        self._reissue_failed = False
        self._retry_owed()

    # ---- a worker votes

    def _vote(self, given: fx.Received) -> None:
        vote, member = given.message, self._sender(given)
        assert isinstance(vote, Vote)
        if member is None:
            return
        self._first_vote.votes(member, ok=vote.ok, now=self._now)
        member.working = None
        self._note_agreement(member, vote)
        if self._trial_vote(member, vote):
            return
        excused = member.pid in self.roster.excused  # its no counts while another worker is waited for
        if vote.round != self.round or (excused and (vote.ok or member.prepared != self.round)):
            self._drop_vote()
        elif vote.ok:
            member.vote = True
            self._test_done()
        elif self._proposal.dry:  # which collects all votes
            self._proposal.refusals[member.pid] = reasons(vote.problems)
            self.roster.excused[member.pid] = "voted no"
            if self._first_vote.member is member:  # no other one has been asked
                self._end_dry_run()
            else:
                self._test_done()
        else:
            self._waits.staging_ended(timed_out=False)
            self._refuse(veto(member, vote))

    def _stale_vote(self, given: fx.Received) -> None:
        vote, member = given.message, self._sender(given)
        assert isinstance(vote, Vote)
        if member is None:
            return
        self._first_vote.votes(member, ok=vote.ok, now=self._now)
        member.working = None
        self._note_agreement(member, vote)
        if self._trial_vote(member, vote):
            return
        if self._requests.owes(vote.round) and not vote.ok and self.committed.version:
            self._requests.cancel_owed()  # a no to the owed load is final, even if it comes late
            owed, version = self._owed_proposal, self.committed.version
            event = owed.failed(ReloadResult.REJECTED, veto(member, vote), self.roster, version, self._now)
            event = msgspec.structs.replace(event, previous_version=version)  # an undo may have come since it began
            self._effects.append(fx.RecordEvent(self._with_deadline(event), owed.subject))
        self._drop_vote()

    def _note_agreement(self, member: Member, vote: Vote) -> None:
        """For a trial, for which a later vote counts, too. A round below 0: it has refused that one."""
        if vote.round == member.prepared:
            member.agreed = vote.round if vote.ok else -vote.round

    def _drop_vote(self) -> None:
        """Before the first version nothing can be installed again, so a late vote counts as the awaited answer."""
        self._drop("late vote")
        if not self.committed.version:
            self._retry_owed()
            self._next_if_idle()

    def _working(self, given: fx.Received) -> None:
        working, member = given.message, self._sender(given)
        assert isinstance(working, Working)
        if member is not None:
            if working.round:
                self._first_vote.begins_function(member, self._now)
            member.begin_function(working.function, self._now)

    # ---- a worker answers Commit or Install

    def _applied(self, given: fx.Received) -> None:
        applied, member = given.message, self._sender(given)
        assert isinstance(applied, Applied)
        if member is None:
            return
        if applied.version > self.committed.version:
            self._drop("applied what was not committed")
            return
        member.acked, member.follows = max(member.acked, applied.version), applied.follows
        member.has_applied(applied.version, self._now)
        member.working = None
        member.holds = self.committed.digest if applied.version == self.committed.version else b""
        if applied.version == self.committed.version:
            member.declined = member.asked_again = None
            self.roster.wait_for_again(member)
            self._retry_owed()
        self._test_done()
        self._next_if_idle()

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
        member.given, member.had = member.runs, None
        self.roster.wait_for_again(member)
        self._retry_owed()
        return member if self.roster.declines_first(member, declined.version) else None

    def _declined_late(self, given: fx.Received) -> None:
        """Add the refusal to the history, since it came too late for an outcome."""
        if (member := self._declined(given)) is not None:
            self._forget_proven()
            event = late_refusal(self.roster, member, self.committed.version, self._now)
            self.roster.refusals_reported()
            self._effects.append(fx.RecordEvent(self._with_deadline(event)))
        self._next_if_idle()

    def _declined_in_time(self, given: fx.Received) -> None:
        self._declined(given)
        self._test_done()

    def _observed(self, given: fx.Received) -> None:
        if (member := self._sender(given)) is not None:
            self._observing.observed(member, given.message)

    # ---- trials

    def _has_tried(self, given: fx.Received) -> None:
        tried, member = given.message, self._sender(given)
        assert isinstance(tried, Tried)
        if member is not None:
            self._trial_taken(member, tried.version)
            self._next_if_idle()

    def _sender(self, given: fx.Received) -> Member | None:
        member = self.roster.on(given.pipe)
        if member is None:
            self._drop("message without Hello")
            self._effects.append(fx.ClosePipe(given.pipe))
        else:
            self._outbox.touch(member)
        return member

    # ---- pipes drain and end, processes end

    def _drained(self, given: fx.Drained) -> None:
        for pipe in given.pipes:
            member = self.roster.on(pipe)
            if member is not None:
                member.busy = False
                self._outbox.touch(member)
                if member.pipe_was_full and not self.committed.version:  # it reads again, and has nothing to answer
                    self._retry_owed()
                member.pipe_was_full = False
        self._next_if_idle()

    def _pipe_ended(self, given: fx.PipeEnded) -> None:
        member = self.roster.on(given.pipe)
        if member is not None:
            self.roster.lose_pipe(member)
            if self.state is ProposalState.RECORDING and not self._proposal.state_only:
                self.roster.excused.setdefault(member.pid, "lost its pipe while the journal was written")

    def _gone(self, given: fx.ProcessGone) -> None:
        self._former_workers.has_come_or_gone(given.pid)
        member = self.roster.of(given.pid)
        if member is None:
            self._has_failed_after(given)
        else:
            if not given.failed:
                self.roster.remember(member)
            self.roster.remove(member)
            self._effects.append(fx.RemoveMember(member.pid))
            self._has_died(member, given.failed)
            self._appoint()
            if not self.roster.any_timed_out():
                self._retry_owed()
            self._test_done()
            self._next_if_idle()

    def _has_failed_after(self, given: fx.ProcessGone) -> None:
        """A process that is on the roster no more has failed: it had said Goodbye, or how it ended is known by now."""
        left = self.roster.left(given.pid)
        if left is not None and given.failed:
            self._has_died(left, given.failed)
            self._next_if_idle()

    def _goodbye(self, given: fx.Received) -> None:
        """A Goodbye on an older pipe of a process ends that pipe, and not the membership."""
        self._effects.append(fx.ClosePipe(given.pipe))
        if self.roster.on(given.pipe) is not None:
            self._gone(fx.ProcessGone(given.pid))
