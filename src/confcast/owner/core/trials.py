"""Trials: new content is run by canaries, and committed once requests have ended on it and nothing speaks against it.

A trial is IDLE with `operator.trial` set. It begins where a candidate would have been committed: all have voted, one
write notes it beside the committed version, under the next number, and its callers are answered ON_TRIAL (the event has
that number; its `previous_version` runs). Then the others are sent Abort, and the canaries Try (`canaries.py`). What is
committed, the snapshot file and what newcomers are given stay what they were. Content that was good, a way back, what
is forced or dry, and the first version are not tried.

Its end is one of three writes, and no number goes down by any of them:

    promotion   `confirm`, or its time is over, a canary has it, `min_requests` have ended on it and nothing speaks
                against it: its content is put to everyone in a new round, and committed under its own number.
    undo        The committed content again, under the next number. Because: a canary died of it, spoke against it,
                failed or refused it; not all would commit it; its time was over twice without those requests; other
                content came; the owner that began it has died, or a next generation takes over. What was undone is
                refused as `windows.py` says, so that the next owner does not commit it to everyone.
    rollback    The same write, with a person's hold in it: what is held need not be refused.

A load of the same content leaves a trial alone, and so does one that fails; a value whose time is over waits for its
end. Whatever would change what is committed has it undone first, and then begins anew. `expect` is compared before
that, and not again.

By entity, its time and its use begin once all canaries have it, or `vote_timeout` is over. If its time ends while
something is loaded, it is decided at that load's end; what speaks against it interrupts the load.

Rejected: the content in the journal (a next owner would go on with a trial of whose evidence it knows nothing, or would
have to tell an own candidate from the sources'), and a trial that any trigger ends (the edit's own trigger would, and
HUP in a loop).
"""

from __future__ import annotations

import dataclasses
from abc import abstractmethod

import msgspec

from confcast.errors import Problem
from confcast.owner.core import effects as fx
from confcast.owner.core.canaries import Canaries
from confcast.owner.core.evidence import cut
from confcast.owner.core.members import Member
from confcast.owner.core.operator_state import Hold, OperatorState, Trial, Unconfirmed
from confcast.owner.core.proposal import (
    ENDED_BY,
    FEW_REQUESTS,
    GOES_ON,
    NO_CANARY,
    NO_ENTITY,
    NOBODY_AGREED,
    NOT_ON_TRIAL,
    NOT_PROMOTED,
    NOT_TAKEN,
    PROMOTED,
    TOO_FEW_CANARIES,
    TRIAL_AT_HANDOVER,
    TRIAL_OF_DEAD_OWNER,
    TRIAL_REFUSED,
    TRIAL_UNDONE,
    Proposal,
    ProposalState,
    reasons,
)
from confcast.owner.core.retried_writes import UNDO_RETRY
from confcast.owner.core.timers import NO_TOKEN
from confcast.owner.core.windows import Windows, digest_of, in_short
from confcast.wire.canary import Canary
from confcast.wire.messages import Confirm, Reload, Set, Unset, Vote

_MOST_REFUSALS = 20


class Trials(Windows):
    """The steps of a trial, from the vote to its promotion or its undo."""

    _tried: Proposal  # what the write that was ordered last puts on trial
    _wanted = 0  # how many canaries it is to have

    @abstractmethod
    def _is_held_back(self) -> bool:
        """Whether a hold stops the present load."""

    # ---- it begins

    def _order_commit(self) -> None:
        """Order the write of the candidate for which all have voted: of a version, or of a trial."""
        proposal, canary = self._proposal, self._canary()
        able = sum(member.knows_trials for member in self.roster)
        if proposal.promotes is not None:
            assert self.operator.trial is not None
            self._order_write(self.operator.trial.version)
        elif canary is not None and (canary.workers_of(able) if canary.by == "worker" else able):
            self._order_trial(canary)
        else:
            few = TOO_FEW_CANARIES.format(able) if able else NO_CANARY
            proposal.notes = proposal.notes if canary is None else (*proposal.notes, few)
            self._order_write(self._numbers.for_new_content())

    def _canary(self) -> Canary | None:
        """How the present candidate is tried; None: it is committed at once."""
        proposal, asked = self._proposal, self._proposal.asked
        forced = isinstance(asked, Reload) and asked.force
        is_new = proposal.follows_sources or isinstance(asked, Set | Unset)
        if not self.committed.version or proposal.good or proposal.dry or forced or not is_new:
            return None
        mine = asked.canary if isinstance(asked, Reload) else None
        return mine if mine is not None else self.rules.canary

    def _order_trial(self, canary: Canary) -> None:
        proposal = self._proposal
        version, after = self._numbers.for_new_content(), proposal.operator or self.operator
        content = dataclasses.replace(proposal)
        trial = Trial(
            version,
            proposal.digest,
            sources=digest_of(proposal.values) if proposal.reads_sources else b"",
            canary=canary,
            opened=self._now,
            deadline=self._now + canary.time + (self.rules.vote_timeout if canary.by == "entity" else 0.0),
            salt=f"{self.rules.name}/{version}" if canary.by == "entity" else "",
            who=proposal.who,
            reason=proposal.reason,
        )
        proposal.version, proposal.tries, self._tried = version, True, content
        self._wanted = canary.workers_of(sum(member.knows_trials for member in self.roster))
        proposal.operator = msgspec.structs.replace(
            self.operator, trial=trial, tried=after.tried, unconfirmed=after.unconfirmed
        )
        self._waits.staging_ended(timed_out=False)
        self._order_state_write()

    def _trial_recorded(self) -> None:
        """It is in the journal, for the first time or with another deadline."""
        proposal, began = self._proposal, self.operator.trial is None
        self.refused, proposal.recorded = proposal.refused, self._now
        self._set_operator(proposal.operator)
        trial = self.operator.trial
        assert trial is not None
        if began:
            self._begin_trial(trial)
        canaries = self._canaries
        assert canaries is not None  # the trial of an owner that has died is undone, and never extended
        canaries.trial = trial
        self._effects.append(fx.WakeAt(fx.Timer.TRIAL, NO_TOKEN, canaries.begins_by or trial.deadline))
        self._first_load_ends(failed=False)
        self._close(proposal.on_trial(trial.version, self.roster, self.committed.version, self._now))
        self._exit_if_due()

    def _begin_trial(self, trial: Trial) -> None:
        self._numbers.seen(trial.version, trial.digest)
        self.evidence.retain(self.committed.version, self._fallback.committed.version, trial.version)
        begins_by = self._now + self.rules.vote_timeout if trial.canary.by == "entity" else 0.0
        canaries = Canaries(trial, self._tried, self.round, *self._outbox.proposed, self._wanted, begins_by)
        self._outbox.begin_trial(canaries)
        canaries.appoint(self.roster)

    @property
    def _canaries(self) -> Canaries | None:
        return self._outbox.canaries

    def _trial_has_ended(self) -> None:
        self._outbox.begin_trial(None)
        for member in self.roster:
            member.shows, member.tried_since = 0, None

    # ---- its canaries

    def _has_died(self, member: Member, why: str) -> None:
        canaries = self._canaries
        if canaries is None or not (member.pid in canaries.pids or member.shows == canaries.trial.version):
            super()._has_died(member, why)
            return
        canaries.pids.discard(member.pid)
        member.shows = canaries.trial.version  # for what is found of its end later
        self.evidence.left(member.pid)
        if why:
            version = canaries.trial.version
            self._heard(version, self.evidence.died(version, member.pid, why, self._now, member.tried_since))

    def _appoint(self) -> None:
        if self._canaries is not None:
            for member in self._canaries.appoint(self.roster):
                self._outbox.touch(member)
            self._test_use()

    def _trial_taken(self, member: Member, version: int) -> None:
        """A worker says that it has the version of this number on trial."""
        canaries = self._canaries
        if canaries is None or version != canaries.trial.version or member.pid not in canaries.pids:
            self._drop("tried what is not on trial")
            return
        member.tried, member.working = version, None
        member.tried_since = self._now if member.tried_since is None else member.tried_since
        self._test_use()

    def _test_use(self) -> None:
        """By entity, begin the use once all canaries have the version."""
        if self._canaries is not None and self._canaries.begins_by and self._canaries.are_in(self.roster):
            self._begin_use(self._canaries)

    def _begin_use(self, canaries: Canaries) -> None:
        canaries.begins_by, canaries.named = 0.0, canaries.without(self.roster)
        self._ends_at(canaries, self._now + canaries.trial.canary.time)
        self._outbox.touch_all()

    def _ends_at(self, canaries: Canaries, deadline: float) -> None:
        """Set the trial's deadline, in memory alone: no next owner goes on with it."""
        canaries.trial = msgspec.structs.replace(canaries.trial, deadline=deadline)
        self.operator = msgspec.structs.replace(self.operator, trial=canaries.trial)
        self._effects.append(fx.WakeAt(fx.Timer.TRIAL, NO_TOKEN, deadline))

    def _trial_vote(self, member: Member, vote: Vote) -> bool:
        """Take a canary's vote in the trial's round. Returns False if it is another vote."""
        canaries = self._canaries
        if canaries is None or vote.round != canaries.round or not canaries.awaits(member):
            return False
        if not vote.ok and len(canaries.refused) < _MOST_REFUSALS:
            why = in_short([cut(str(each)) for each in reasons(vote.problems)])
            canaries.refused.append(TRIAL_REFUSED.format(member.pid, canaries.trial.version, why))
            self._test_trial()
        return True

    # ---- what speaks against it

    def _against_trial(self) -> tuple[str, ...]:
        """Why it must be undone, in words; none if no trial is under way, or nothing speaks against it."""
        trial, canaries = self.operator.trial, self._canaries
        if trial is None:
            return ()
        if canaries is None:
            return (TRIAL_OF_DEAD_OWNER.format(trial.version),)
        if self._hands_over:
            return (TRIAL_AT_HANDOVER.format(trial.version),)
        return (*canaries.refused, *self.evidence.against_trial(trial.version, other=self.committed.version))

    def _goes_first(self) -> tuple[str, ...]:
        """What must be written before anything else, and so ends the trial."""
        if self.operator.trial is None:
            return ()
        version = self.operator.trial.version
        if self._must_undo():
            return (ENDED_BY.format("the undo of what no worker runs", version),)
        if why := self._why_over():
            return (ENDED_BY.format(f"the end of what was provisional ({why[0]})", version),)
        higher = "a worker with a higher number (or with this one, and other content)"
        return (ENDED_BY.format(higher, version),) if self._must_reissue() else ()

    def _ends_trial(self) -> bool:
        why = self._against_trial() or self._goes_first()
        if why:
            self._undo_trial(why)
        return bool(why)

    def _may_be_judged(self, version: int) -> bool:
        on_trial = self._canaries is not None and version == self._canaries.trial.version
        return on_trial or super()._may_be_judged(version)

    def _heard(self, version: int, text: str) -> None:
        super()._heard(version, text)
        self._test_trial()

    def _test_trial(self) -> None:
        """Undo the trial now, if anything speaks against it; a write or a barrier that is under way ends before."""
        if self._against_trial():
            self._interrupt()

    def _hand_over(self, given: fx.HandsOver) -> None:
        super()._hand_over(given)
        self._test_trial()

    # ---- its time is over

    def _trial_is_due(self) -> bool:
        return self.operator.trial is not None and (bool(self._against_trial()) or self._trial_is_over())

    def _trial_is_over(self) -> bool:
        canaries = self._canaries
        return canaries is not None and not canaries.begins_by and canaries.trial.deadline <= self._now

    def _trial_deadline(self) -> None:
        canaries = self._canaries
        if canaries is not None and canaries.begins_by and canaries.begins_by <= self._now:
            self._begin_use(canaries)
        elif self._trial_is_over() and self.state is ProposalState.IDLE:
            self._next()
        elif self._trial_is_over() and self.state is ProposalState.STAGING and self._proposal.dry:
            self._interrupt_staging()

    def _decide_trial(self) -> None:
        canaries = self._canaries
        assert canaries is not None
        canary, (found, enough) = canaries.trial.canary, self._found(canaries)
        taken_up = canaries.taken_up(self.roster)
        if taken_up and (enough or (canaries.trial.extended and canary.inconclusive == "promote")):
            self._promote(self._of_trial(canaries.content), PROMOTED.format(found))
        elif canaries.trial.extended:
            self._undo_trial((found,))
        else:
            self._extend_trial(canaries, found)

    def _found(self, canaries: Canaries) -> tuple[str, bool]:
        """How much was seen of the version, in words, and whether it is enough to commit it."""
        trial, fewest = canaries.trial, canaries.trial.canary.min_requests
        requests = self.evidence.requests(trial.version)
        ended = requests.entities if canaries.by_entity else requests.answered
        if not canaries.taken_up(self.roster):
            return NOT_TAKEN.format(trial.version), False
        if canaries.by_entity and fewest and not ended:
            return NO_ENTITY, False
        return FEW_REQUESTS.format(ended, fewest, trial.version), ended >= fewest

    def _extend_trial(self, canaries: Canaries, found: str) -> None:
        """Go on once more for as long."""
        seconds = canaries.trial.canary.time
        trial = msgspec.structs.replace(canaries.trial, extended=True, deadline=self._now + seconds)
        proposal = self._of_trial(canaries.content)
        proposal.tries, proposal.rebuilds, proposal.notes = True, True, (GOES_ON.format(found, seconds),)
        proposal.evidence, proposal.operator = (found,), msgspec.structs.replace(self.operator, trial=trial)
        self._order_state_write()

    def _extend_later(self, problem: Problem) -> None:
        """Its extension can't be written: decide again in a second. Nothing waits for that, other than for an undo."""
        assert self._canaries is not None
        version = self._canaries.trial.version
        self._effects.append(self._retried.failed("extension of the trial", version, problem, self._now))
        self._ends_at(self._canaries, self._now + UNDO_RETRY)
        self._next()

    def _of_trial(self, content: Proposal) -> Proposal:
        """Make this the present proposal: one that nobody calls for, and that has the origin of what is on trial."""
        self._excuse_timed_out()
        mine = Proposal(content.origin, self._now, self.committed.version, loaded=self._now)
        mine.who, mine.reason, mine.pending = content.who, content.reason, self.operator.pending
        self._proposal = mine
        return mine

    # ---- promotion

    def _promote(self, proposal: Proposal, note: str = "") -> None:
        """Put the content that is on trial to everyone, by the present proposal."""
        assert self._canaries is not None
        content = self._canaries.content
        proposal.promotes, proposal.loaded = content, self._now
        proposal.digest, proposal.payload, proposal.values = content.digest, content.payload, content.values
        proposal.base, proposal.patch = content.base, content.patch
        proposal.changes, proposal.pending = content.changes, content.pending
        proposal.notes = (*content.notes, *([note] if note else []))
        operator = content.operator or self.operator
        proposal.operator = msgspec.structs.replace(operator, window=self.operator.window)
        proposal.refused = self.refused if operator.unconfirmed is not None else b""
        self._stage()

    def _trial_refused(self, problems: tuple[Problem, ...]) -> None:
        """Not all would commit what was on trial; its callers are answered once it is undone."""
        assert self.operator.trial is not None
        proposal, version = self._proposal, self.operator.trial.version
        proposal.promotes = None
        self._excuse_timed_out()
        why = tuple(NOT_PROMOTED.format(version, cut(str(problem))) for problem in problems or (NOBODY_AGREED,))
        self._order_undo(proposal, why)

    def _not_written(self, problem: Problem) -> None:
        canaries = self._canaries
        if canaries is not None and self._proposal.promotes is not None:
            canaries.refused.append(NOT_PROMOTED.format(self._proposal.version, problem))
        elif canaries is not None:
            canaries.over = False  # a person's way back has failed, and the trial goes on
        super()._not_written(problem)

    def _confirm(self, asked: Confirm) -> bool:
        """Promote what is on trial; without one, as for a window."""
        trial = self.operator.trial
        if trial is None or (self.operator.window is not None and asked.version == self.committed.version):
            return super()._confirm(asked)
        if asked.version not in (0, trial.version):
            return self._conflicts(NOT_ON_TRIAL.format(trial.version, asked.version))
        self._promote(self._proposal)
        return True

    # ---- undo

    def _undo_trial(self, why: tuple[str, ...]) -> None:
        """Undo it, since this speaks against it, or must go first."""
        self._excuse_timed_out()
        self._proposal = Proposal("undo", self._now, self.committed.version, loaded=self._now)
        self._order_undo(self._proposal, why)

    def _order_undo(self, proposal: Proposal, why: tuple[str, ...]) -> None:
        trial, version = self.operator.trial, self.committed.version
        assert trial is not None
        proposal.origin, proposal.rebuilds, proposal.evidence = "undo", True, why
        proposal.undone = (Problem("", TRIAL_UNDONE.format(in_short(why), trial.version, version)),)
        proposal.undoes = self._taken_back = trial.version
        proposal.pending, proposal.changes, proposal.notes = self.operator.pending, (), ()
        proposal.refused = trial.digest
        refused = self._refused_too(self._refused_trial(trial, in_short(why)))
        self._renew(proposal, msgspec.structs.replace(self.operator, unconfirmed=refused))

    def _refused_trial(self, trial: Trial, why: str) -> Unconfirmed | None:
        """What the sources gave to it, if that is not what they gave to the committed version."""
        given = self.committed.values
        if not trial.sources or (given and trial.sources == digest_of(given)):
            return None
        return Unconfirmed(trial.version, trial.sources, why, trial.digest)

    def _renew(self, proposal: Proposal, operator: OperatorState) -> None:
        """Write the committed content under the next number, without a vote; this also ends the trial."""
        mine = self.committed
        if self._canaries is not None:
            self._canaries.over = True
        proposal.digest, proposal.payload, proposal.values = mine.digest, mine.payload, mine.values
        proposal.base, proposal.patch, proposal.puts_back = b"", b"", mine.version
        proposal.same, proposal.undo, proposal.operator = True, mine.undo, operator
        self._order_write(self._numbers.for_new_content())

    def _roll_back_trial(self) -> None:
        """Take back, for a person, all that is provisional, and hold what is put back."""
        proposal, trial = self._proposal, self.operator.trial
        assert trial is not None
        if self._runs_provisional():
            self._roll_back_window()
            return
        proposal.refused, proposal.pending, proposal.restores = self.refused, self.operator.pending, proposal.previous
        self._taken_back = trial.version
        hold = Hold(self.committed.version, self._now, proposal.who, proposal.reason)
        self._renew(proposal, msgspec.structs.replace(self.operator, window=None, hold=hold))

    # ---- what else is asked for meanwhile

    def _layer_to_load(self) -> bytes:
        """While an override is on trial, a load that nobody has asked to end it is made with it: it changes nothing."""
        canaries = self._canaries
        if canaries is None or canaries.content.operator is None or self._proposal.dry:
            return self.operator.layer
        return canaries.content.operator.layer

    def _newest_number(self) -> int:
        """The newest number that was given out, on trial included."""
        return self.committed.version if self.operator.trial is None else self.operator.trial.version

    def _makes_room(self) -> None:
        """Undo it for what is asked for, which then begins anew; what it expected was compared."""
        assert self.operator.trial is not None
        by = f"{self._proposal.origin}" + (f" ({self._proposal.reason})" if self._proposal.reason else "")
        self._requests.put_back(begun=True)
        self._undo_trial((ENDED_BY.format(by, self.operator.trial.version),))

    def _found_in_trial(self, given: fx.Loaded) -> bool:
        """What a load has found while a trial is under way. Returns False if it is answered as without one."""
        trial, proposal = self.operator.trial, self._proposal
        if trial is None or proposal.dry:
            return False
        if given.digest == trial.digest:
            self._close(proposal.on_trial(trial.version, self.roster, self.committed.version, self._now))
            return True
        if self._is_held_back() or self._unconfirmed_in(given) is not None:
            return False
        self._makes_room()
        return True
