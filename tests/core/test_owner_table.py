"""The owner's table, row by row: every input in every state."""

from __future__ import annotations

import pytest

from confcast.errors import ImpossibleMessage, Problem
from confcast.owner.core import effects as fx
from confcast.owner.core.machine import ProposalState
from confcast.wire.messages import (
    Abort,
    Applied,
    Change,
    Commit,
    Declined,
    Goodbye,
    Prepare,
    Refused,
    Reload,
    ReloadResult,
    Settled,
    Vote,
    Working,
)
from tests.core.world import WHY, A, B, C, Owner, Peer, hello, installed, scene

IDLE, LOADING, STAGING, RECORDING, COMMITTING = ProposalState
EVERY = pytest.mark.parametrize("state", ProposalState, ids=lambda state: state.name)


def every_state_but(*those: ProposalState):
    rest = [state for state in ProposalState if state not in those]
    return pytest.mark.parametrize("state", rest, ids=lambda state: state.name)


def nothing_new(it, state) -> None:
    """The input was dropped: no effect, no other state."""
    assert it.owner.state is state
    assert it.owner.log == []


def settle_all(it) -> None:
    """Bring whatever is open to its end, as B."""
    owner = it.owner
    if owner.state is LOADING:
        owner.loads(B)
    if owner.state is STAGING:
        it.both_send(Vote(owner.core.round, True))
    if owner.state is RECORDING:
        owner.records()
    it.both_send(Applied(owner.version))


class TestReload:
    def test_when_idle_it_begins_a_load_with_a_deadline(self):
        it = scene(IDLE)
        it.owner.is_asked()
        assert it.owner.state is LOADING
        assert it.owner.did(fx.Load) == [fx.Load(1, insist=True)]
        (wake,) = it.owner.did(fx.WakeAt)
        assert (wake.timer, wake.when) == (fx.Timer.LOAD, 110.0)

    @every_state_but(IDLE)
    def test_in_any_other_state_it_waits_for_the_next_load(self, state):
        it = scene(state)
        later = [it.owner.is_asked(), it.owner.is_asked()]
        assert it.owner.state is state
        assert it.owner.did(fx.Load) == []
        settle_all(it)
        assert it.owner.answer(it.call).result is ReloadResult.SUCCESS
        assert it.owner.did(fx.Load) == [fx.Load(2, insist=True)], "one load serves both"
        it.owner.loads(B)
        assert [it.owner.answer(call).result for call in later] == [ReloadResult.UNCHANGED] * 2

    def test_each_caller_gets_its_own_id_back_once(self):
        it = scene(IDLE)
        call = it.owner.is_asked()
        settle_all(it)
        assert len(it.owner.answers(call)) == 1


class TestTrigger:
    def test_when_idle_it_begins_a_load(self):
        it = scene(IDLE)
        it.owner.is_triggered()
        assert it.owner.state is LOADING

    @every_state_but(IDLE)
    def test_in_any_other_state_it_causes_exactly_one_more_load(self, state):
        it = scene(state)
        it.owner.is_triggered()
        it.owner.is_triggered("watch")
        assert it.owner.state is state
        settle_all(it)
        assert len(it.owner.did(fx.Load)) == 1
        it.owner.loads(B)
        assert it.owner.state is IDLE

    @pytest.mark.parametrize(
        ("origin", "insist"), [("start", False), ("restart", False), ("watch", False), ("signal", True)]
    )
    def test_only_a_person_insists_on_content_that_an_owner_died_of(self, origin, insist):
        it = scene(IDLE)
        it.owner.is_triggered(origin)
        (load,) = it.owner.did(fx.Load)
        assert (load.number, load.insist) == (1, insist)

    def test_one_who_insists_is_enough(self):
        it = scene(LOADING)
        it.owner.is_triggered("watch")
        it.owner.is_triggered("signal")
        it.owner.loads(A)
        assert it.owner.did(fx.Load) == [fx.Load(2, insist=True)]


class TestLoads:
    @EVERY
    @pytest.mark.parametrize("failed", [False, True])
    def test_the_result_of_another_load_is_dropped(self, state, failed):
        it = scene(state)
        it.owner.feed(fx.LoadFailed(77, ReloadResult.IO_ERROR, (WHY,)) if failed else fx.Loaded(77, C, C, differs=True))
        nothing_new(it, state)
        assert it.owner.core.dropped["late load"] == 1

    @every_state_but(IDLE, LOADING)
    @pytest.mark.parametrize("failed", [False, True])
    def test_the_present_load_cannot_end_twice(self, state, failed):
        it = scene(state)
        ends = it.owner.fails_to_load if failed else lambda: it.owner.loads(C)
        with pytest.raises(ImpossibleMessage, match=state.name):
            ends()

    def test_what_differs_goes_to_the_vote_with_a_deadline(self):
        it = scene(LOADING)
        it.owner.loads(B)
        assert it.owner.state is STAGING
        assert it.owner.sent(it.w1) == it.owner.sent(it.w2) == [Prepare(1, B, B)]
        (wake,) = it.owner.did(fx.WakeAt)
        assert (wake.timer, wake.when) == (fx.Timer.STAGE, 102.0)

    def test_with_an_empty_roster_the_vote_is_over_at_once(self):
        it = scene(LOADING, workers=0)
        it.owner.loads(B)
        assert it.owner.orders() == [fx.Record(2, B, B)]
        it.owner.records()
        assert it.owner.answer(it.call).result is ReloadResult.SUCCESS

    def test_what_does_not_differ_makes_no_version_and_passes_the_barrier(self):
        it = scene(LOADING)
        it.owner.loads(A)
        event = it.owner.answer(it.call)
        assert (event.result, event.version, event.applied) == (ReloadResult.UNCHANGED, 1, [1, 2])
        assert it.owner.did(fx.Record) == []
        assert it.owner.sent(it.w1) == [Settled(1)]

    @pytest.mark.parametrize("differs", [False, True])
    def test_what_a_load_notes_for_a_person_is_in_the_outcome(self, differs):
        it = scene(LOADING)
        it.owner.feed(fx.Loaded(it.owner.last_load, C, C, differs=differs, notes=("hidden",)))
        if differs:
            it.both_send(Vote(it.owner.core.round, True))
            it.owner.records()
            it.both_send(Applied(2))
        assert it.owner.answer(it.call).notes == ["hidden"]

    def test_unchanged_waits_for_who_has_not_answered(self):
        it = scene(COMMITTING, unchanged=True)
        assert it.owner.answers(it.call) == []
        it.owner.receives(it.w2, Applied(1))
        assert it.owner.answer(it.call).result is ReloadResult.UNCHANGED

    def test_unchanged_names_who_does_not_answer(self):
        it = scene(COMMITTING, unchanged=True)
        it.owner.waits_out(fx.Timer.BARRIER)
        event = it.owner.answer(it.call)
        assert event.result is ReloadResult.UNCHANGED
        assert [status.pid for status in event.lagging] == [2]

    def test_unchanged_installs_once_more_at_who_declined(self):
        it = scene(COMMITTING)
        it.owner.receives(it.w1, Applied(2))
        it.owner.receives(it.w2, Declined(2, (WHY,)))
        call = it.owner.is_asked()
        it.owner.forget().loads(B)
        assert it.owner.sent(it.w2) == [installed(2, B, B)]
        assert installed(2, B, B) not in it.owner.sent(it.w1)
        it.owner.receives(it.w2, Applied(2))
        assert it.owner.answer(call).lagging == []

    def test_nothing_can_be_unchanged_before_the_first_version(self):
        owner = Owner(None)
        owner.is_triggered("start")
        with pytest.raises(ImpossibleMessage):
            owner.feed(fx.Loaded(1, A, A, differs=False))

    @pytest.mark.parametrize(
        "result", [ReloadResult.VALIDATION_FAILED, ReloadResult.FILE_NOT_FOUND, ReloadResult.IO_ERROR]
    )
    def test_a_failed_load_is_answered_and_changes_nothing(self, result):
        it = scene(LOADING)
        it.owner.fails_to_load(result)
        event = it.owner.answer(it.call)
        assert (event.result, event.problems, event.version) == (result, [WHY], 1)
        assert (it.owner.state, it.owner.version) == (IDLE, 1)
        assert it.owner.sent(it.w1) == []

    def test_silence_refuses_when_somebody_is_late_already(self):
        it = scene(STAGING, silent="refuse")
        it.owner.receives(it.w1, Vote(1, True))
        it.owner.waits_out(fx.Timer.STAGE)
        call = it.owner.is_asked()
        it.owner.forget().loads(B)
        event = it.owner.answer(call)
        assert (event.result, [p.location for p in event.problems]) == (ReloadResult.REJECTED, ["worker 2", ""])
        assert Prepare(2, B, B) not in it.owner.sent(it.w1)


class TestChecks:
    """A candidate is proposed before it is checked, and committed after."""

    CHANGE = Change("limit", 1, 2)

    def proposed(self, **rules):
        it = scene(LOADING, **rules)
        it.owner.proposes(B)
        assert it.owner.state is STAGING
        assert it.owner.sent(it.w1) == [Prepare(1, B, B)], "the workers build it meanwhile"
        return it

    def test_nothing_is_written_before_the_check_has_ended(self):
        it = self.proposed()
        for w in (it.w1, it.w2):
            it.owner.receives(w, Vote(1, True))
        assert it.owner.did(fx.Record) == []
        it.owner.checks(changes=(self.CHANGE,))
        assert it.owner.orders() == [fx.Record(2, B, B)]
        it.owner.records()
        for w in (it.w1, it.w2):
            it.owner.receives(w, Applied(2))
        assert it.owner.answer(it.call).changes == [self.CHANGE]

    def test_nor_before_the_votes(self):
        it = self.proposed()
        it.owner.checks()
        assert it.owner.did(fx.Record) == []
        for w in (it.w1, it.w2):
            it.owner.receives(w, Vote(1, True))
        assert it.owner.orders() == [fx.Record(2, B, B)]

    @pytest.mark.parametrize("votes", [0, 2])
    def test_what_is_not_exact_is_refused_with_the_reason_and_aborted(self, votes):
        it = self.proposed()
        for w in (it.w1, it.w2)[:votes]:
            it.owner.receives(w, Vote(1, True))
        it.owner.checks(WHY)
        event = it.owner.answer(it.call)
        assert (event.result, event.version, event.problems) == (ReloadResult.VALIDATION_FAILED, 1, [WHY])
        assert it.owner.sent(it.w1)[-1] == Abort(1)

    def test_an_outcome_that_a_no_decides_has_what_changed_too(self):
        it = self.proposed()
        it.owner.receives(it.w1, Vote(1, False, (WHY,)))
        it.owner.receives(it.w2, Vote(1, False, (Problem("", "later"),)))
        assert it.owner.answers(it.call) == []
        it.owner.checks(changes=(self.CHANGE,))
        event = it.owner.answer(it.call)
        assert (event.result, event.changes) == (ReloadResult.REJECTED, [self.CHANGE])
        assert [problem.message for problem in event.problems] == ["no"]

    def test_a_check_that_lasts_has_the_time_of_its_load(self):
        it = self.proposed(load_timeout=30.0)
        for w in (it.w1, it.w2):
            it.owner.receives(w, Vote(1, True))
        it.owner.waits_out(fx.Timer.STAGE)
        assert it.owner.answers(it.call) == []
        it.owner.waits_out(fx.Timer.STAGE)
        assert it.owner.now == 130.0
        event = it.owner.answer(it.call)
        assert event.result is ReloadResult.IO_ERROR
        assert "load took longer than 30 s (load_timeout)" in str(event.problems[0])
        it.owner.feed(fx.Checked(1))
        assert it.owner.core.dropped["late check"] == 1

    def test_a_no_is_named_though_the_check_hangs(self):
        it = self.proposed()
        it.owner.receives(it.w1, Vote(1, False, (WHY,)))
        it.owner.waits_out(fx.Timer.STAGE)
        it.owner.waits_out(fx.Timer.STAGE)
        event = it.owner.answer(it.call)
        assert event.result is ReloadResult.REJECTED
        veto, hangs = event.problems
        assert veto.message == "no"
        assert "hangs" in hangs.message

    def test_two_that_hang_in_a_row_end_the_owner(self):
        it = self.proposed()
        it.owner.waits_out(fx.Timer.STAGE)
        it.owner.waits_out(fx.Timer.STAGE)
        it.owner.is_asked()
        it.owner.waits_out(fx.Timer.LOAD)
        assert it.owner.did(fx.Exit) != []

    def test_workers_that_time_out_meanwhile_refuse_it_once_it_is_checked(self):
        it = self.proposed(silent="refuse")
        it.owner.receives(it.w1, Vote(1, True))
        it.owner.waits_out(fx.Timer.STAGE)
        assert it.owner.answers(it.call) == []
        it.owner.checks()
        event = it.owner.answer(it.call)
        assert (event.result, [status.pid for status in event.lagging]) == (ReloadResult.REJECTED, [2])

    @pytest.mark.parametrize("silent", ["proceed", "refuse"])
    def test_votes_that_come_meanwhile_count_though_their_deadline_has_passed(self, silent):
        """Excused, they would have nothing left to answer if it is the first version: its load would stay owed."""
        it = self.proposed(silent=silent)
        it.owner.waits_out(fx.Timer.STAGE)
        for w in (it.w1, it.w2):
            it.owner.receives(w, Vote(1, True))
        assert it.owner.did(fx.Record) == []
        it.owner.checks()
        assert it.owner.orders() == [fx.Record(2, B, B)]

    def test_a_worker_that_still_works_then_has_its_own_deadline(self):
        it = self.proposed()
        it.owner.receives(it.w1, Vote(1, True))
        it.owner.receives(it.w2, Working(1, "app:check"))
        it.owner.waits_out(fx.Timer.STAGE)
        it.owner.checks()
        assert it.owner.did(fx.Record) == []
        it.owner.receives(it.w2, Vote(1, True))
        assert it.owner.orders() == [fx.Record(2, B, B)]

    def test_the_check_of_a_former_proposal_is_dropped(self):
        it = self.proposed()
        it.owner.feed(fx.Checked(77))
        assert it.owner.core.dropped["late load"] == 1
        it.owner.checks(WHY)
        it.owner.feed(fx.Checked(1))
        assert it.owner.core.dropped["late check"] == 1


class TestDeadlines:
    @EVERY
    @pytest.mark.parametrize("timer", [fx.Timer.LOAD, fx.Timer.STAGE, fx.Timer.BARRIER])
    def test_the_deadline_of_a_wait_that_is_over_is_dropped(self, state, timer):
        it = scene(state)
        it.owner.feed(fx.Wake(timer, 0))
        nothing_new(it, state)

    def test_a_load_that_passes_its_deadline_is_given_up(self):
        it = scene(LOADING)
        it.owner.waits_out(fx.Timer.LOAD)
        event = it.owner.answer(it.call)
        assert event.result is ReloadResult.IO_ERROR
        assert "took longer than 10 s" in event.error_message
        assert it.owner.state is IDLE
        it.owner.feed(fx.Loaded(1, B, B, differs=True))
        assert it.owner.state is IDLE
        assert it.owner.core.dropped["late load"] == 1

    def test_the_second_deadline_in_a_row_ends_the_owner(self):
        it = scene(LOADING)
        it.owner.waits_out(fx.Timer.LOAD)
        it.owner.is_triggered()
        it.owner.waits_out(fx.Timer.LOAD)
        assert len(it.owner.did(fx.Exit)) == 1

    def test_a_load_that_ended_after_all_does_not_count_towards_that(self):
        it = scene(LOADING)
        it.owner.waits_out(fx.Timer.LOAD)
        it.owner.feed(fx.Loaded(1, B, B, differs=True))
        it.owner.is_triggered()
        it.owner.waits_out(fx.Timer.LOAD)
        assert it.owner.did(fx.Exit) == []

    def test_who_has_not_voted_in_time_is_passed_over_and_named(self):
        it = scene(STAGING)
        it.owner.receives(it.w1, Vote(1, True))
        it.owner.waits_out(fx.Timer.STAGE)
        assert it.owner.orders() == [fx.Record(2, B, B)]
        it.owner.records()
        it.owner.receives(it.w1, Applied(2))
        event = it.owner.answer(it.call)
        assert event.result is ReloadResult.PARTIAL
        assert [(status.pid, status.state) for status in event.lagging] == [(2, "late")]

    def test_who_has_not_voted_in_time_vetoes_when_silence_refuses(self):
        it = scene(STAGING, silent="refuse")
        it.owner.receives(it.w1, Vote(1, True))
        it.owner.waits_out(fx.Timer.STAGE)
        assert it.owner.answer(it.call).result is ReloadResult.REJECTED
        assert it.owner.did(fx.Record) == []
        assert it.owner.sent(it.w1) == [Abort(1)]

    def test_who_was_late_with_a_vote_for_nothing_is_asked_again_and_joins_when_it_answers(self):
        it = scene(STAGING, silent="refuse")
        it.owner.receives(it.w1, Vote(1, True))
        it.owner.waits_out(fx.Timer.STAGE)
        assert it.owner.sent(it.w2) == [installed(1, A, A)], "it had nothing left to answer"
        it.owner.receives(it.w2, Vote(1, True))
        it.owner.receives(it.w2, Applied(1))
        assert it.owner.state is LOADING, "the load that silence refused is owed"
        it.owner.loads(A)
        call = it.owner.is_asked()
        it.owner.loads(B)
        it.both_send(Vote(2, True))
        it.owner.records()
        it.both_send(Applied(2))
        assert it.owner.answer(call).result is ReloadResult.SUCCESS

    def test_before_the_first_version_nobody_stays_late(self):
        owner = Owner(None, silent="refuse")
        w1 = owner.meets(1)
        owner.is_triggered("start")
        owner.loads(A)
        owner.waits_out(fx.Timer.STAGE)
        assert owner.events()[-1].result is ReloadResult.REJECTED
        owner.is_triggered()
        owner.loads(A)
        assert owner.sent(w1)[-1] == Prepare(2, A, A)

    def test_who_has_not_applied_in_time_is_named(self):
        it = scene(COMMITTING)
        it.owner.receives(it.w1, Applied(2))
        it.owner.waits_out(fx.Timer.BARRIER)
        assert it.owner.answer(it.call).result is ReloadResult.PARTIAL
        assert it.owner.names() == [2]

    @pytest.mark.parametrize("state", [LOADING, STAGING, COMMITTING], ids=lambda state: state.name)
    def test_no_message_extends_a_deadline(self, state):
        it = scene(state)
        it.owner.is_asked()
        it.owner.is_triggered()
        it.owner.meets(3)
        it.owner.loses_pipe(it.w1)
        assert it.owner.did(fx.WakeAt) == []


class TestVotes:
    def test_the_last_yes_orders_the_write(self):
        it = scene(STAGING)
        it.owner.receives(it.w1, Vote(1, True))
        assert it.owner.state is STAGING
        it.owner.receives(it.w2, Vote(1, True))
        assert it.owner.state is RECORDING
        assert it.owner.orders() == [fx.Record(2, B, B)]

    def test_one_no_refuses_for_all(self):
        it = scene(STAGING)
        it.owner.receives(it.w1, Vote(1, True))
        it.owner.receives(it.w2, Vote(1, False, (WHY,)))
        event = it.owner.answer(it.call)
        assert (event.result, event.version) == (ReloadResult.REJECTED, 1)
        assert [(p.message, p.location) for p in event.problems] == [("no", "worker 2")]
        assert it.owner.sent(it.w1) == it.owner.sent(it.w2) == [Abort(1)]
        assert it.owner.did(fx.Record) == []

    def test_a_no_to_a_key_has_its_place_and_the_worker_behind_it(self):
        it = scene(STAGING)
        it.owner.receives(it.w2, Vote(1, False, (Problem("key", "no", "app.toml:1:7"),)))
        assert list(map(str, it.owner.answer(it.call).problems)) == ["app.toml:1:7: key: no (worker 2)"]

    def test_a_no_without_words_is_still_a_refusal(self):
        it = scene(STAGING)
        it.owner.receives(it.w2, Vote(1, False))
        assert it.owner.answer(it.call).problems[0].location == "worker 2"

    @EVERY
    @pytest.mark.parametrize("ok", [True, False])
    def test_a_vote_of_another_round_is_dropped(self, state, ok):
        it = scene(state)
        it.owner.receives(it.w1, Vote(55, ok))
        nothing_new(it, state)
        assert it.owner.core.dropped["late vote"] == 1

    @every_state_but(STAGING)
    @pytest.mark.parametrize("ok", [True, False])
    def test_a_vote_outside_staging_is_dropped(self, state, ok):
        it = scene(state)
        it.owner.receives(it.w1, Vote(it.owner.core.round, ok))
        nothing_new(it, state)

    @pytest.mark.parametrize("ok", [True, False])
    def test_the_vote_of_one_who_is_named_is_dropped(self, ok):
        it = scene(STAGING)
        it.owner.receives(it.w1, Vote(1, True))
        it.owner.waits_out(fx.Timer.STAGE)  # w2 is late from now on
        it.owner.fails_to_record(fx.RowState.ABSENT)
        it.owner.is_triggered()
        it.owner.loads(C)
        it.owner.receives(it.w2, Vote(2, ok))
        assert it.owner.state is STAGING
        it.owner.receives(it.w1, Vote(2, True))
        assert it.owner.state is RECORDING


class TestImpossible:
    def test_what_an_impossible_input_had_begun_is_no_part_of_the_next(self):
        owner = Owner(None)
        owner.is_triggered("start")
        owner.forget()
        owner.core._effects.append(fx.Exit("begun"))
        with pytest.raises(ImpossibleMessage):
            owner.feed(fx.Loaded(1, A, A, differs=False))
        owner.fails_to_load()
        assert owner.did(fx.Exit) == []


class TestTheJournalWrite:
    @every_state_but(RECORDING)
    def test_no_write_can_end_that_was_not_ordered(self, state):
        it = scene(state)
        with pytest.raises(ImpossibleMessage, match=state.name):
            it.owner.records()
        for row in fx.RowState:
            with pytest.raises(ImpossibleMessage, match=state.name):
                it.owner.fails_to_record(row)

    @pytest.mark.parametrize("reported", [True, False])
    def test_a_written_row_is_committed_whatever_the_write_reported(self, reported):
        it = scene(RECORDING)
        if reported:
            it.owner.records()
        else:
            it.owner.fails_to_record(fx.RowState.PRESENT)
        assert (it.owner.state, it.owner.version) == (COMMITTING, 2)
        assert it.owner.log[-1] == fx.WriteSnapshot(2, B, B), "while the workers swap, and before any outcome"
        assert it.owner.sent(it.w1) == it.owner.sent(it.w2) == [Commit(1, 2)]
        (wake,) = it.owner.did(fx.WakeAt)
        assert (wake.timer, wake.when) == (fx.Timer.BARRIER, 102.0)

    def test_a_row_that_is_not_there_never_was_and_burns_its_number(self):
        it = scene(RECORDING)
        it.owner.fails_to_record(fx.RowState.ABSENT)
        assert it.owner.answer(it.call).result is ReloadResult.IO_ERROR
        assert it.owner.version == 1
        assert it.owner.did(fx.Retire) == [fx.Retire(2)]
        assert it.owner.sent(it.w1) == [Abort(1)]
        it.owner.is_triggered()
        it.owner.forget().loads(C)
        it.both_send(Vote(2, True))
        assert it.owner.orders() == [fx.Record(3, C, C)]

    def test_a_row_that_can_not_be_read_back_ends_the_owner_and_answers_nobody(self):
        it = scene(RECORDING)
        it.owner.fails_to_record(fx.RowState.UNREADABLE)
        assert len(it.owner.did(fx.Exit)) == 1
        assert it.owner.answers(it.call) == []
        assert it.owner.did(fx.Send) == []


class TestHello:
    @EVERY
    def test_a_newcomer_is_put_on_the_journals_roster_before_its_first_frame(self, state):
        it = scene(state)
        it.owner.meets(3)
        assert it.owner.log[0] == fx.AddMember(3)
        assert [status.pid for status in it.owner.core.statuses()] == [1, 2, 3]

    @pytest.mark.parametrize("state", [IDLE, LOADING], ids=lambda state: state.name)
    def test_between_votes_it_gets_what_is_committed(self, state):
        it = scene(state)
        assert it.owner.sent(it.owner.meets(3)) == [installed(1, A, A)]

    def test_while_staging_it_joins_the_vote_within_the_same_deadline(self):
        it = scene(STAGING)
        w3 = it.owner.meets(3)
        assert it.owner.sent(w3) == [installed(1, A, A), Prepare(1, B, B)]
        it.both_send(Vote(1, True))
        assert it.owner.state is STAGING
        assert it.owner.did(fx.WakeAt) == []
        it.owner.receives(w3, Vote(1, True))
        assert it.owner.state is RECORDING

    def test_while_the_journal_writes_it_gets_nothing_and_is_named(self):
        it = scene(RECORDING)
        w3 = it.owner.meets(3)
        assert it.owner.sent(w3) == []
        it.owner.records()
        assert it.owner.sent(w3) == [installed(2, B, B)]
        it.both_send(Applied(2))
        assert it.owner.answer(it.call).result is ReloadResult.PARTIAL
        assert it.owner.names() == [3]

    def test_at_the_barrier_it_gets_the_new_version_and_is_waited_for(self):
        it = scene(COMMITTING)
        w3 = it.owner.meets(3)
        assert it.owner.sent(w3) == [installed(2, B, B)]
        it.both_send(Applied(2))
        assert it.owner.state is COMMITTING
        it.owner.receives(w3, Applied(2))
        assert it.owner.answer(it.call).result is ReloadResult.SUCCESS

    @EVERY
    def test_the_newest_hello_of_a_process_wins(self, state):
        it = scene(state)
        again = it.owner.meets(1, 1, A)
        assert fx.ClosePipe(it.w1.pipe) in it.owner.log
        it.owner.forget().loses_pipe(it.w1)
        it.owner.receives(again, Applied(1))
        assert it.owner.did(fx.ClosePipe) == []

    @EVERY
    def test_a_second_hello_on_a_pipe_ends_that_pipe(self, state):
        it = scene(state)
        it.owner.receives(it.w1, hello(1, 1, A))
        assert it.owner.did(fx.ClosePipe) == [fx.ClosePipe(it.w1.pipe)]
        assert it.owner.core.roster.of(1).pipe is None

    def test_a_new_pipe_takes_a_vote_back(self):
        it = scene(STAGING)
        it.owner.receives(it.w1, Vote(1, True))
        again = it.owner.meets(1, 1, A)
        it.owner.receives(it.w2, Vote(1, True))
        assert it.owner.state is STAGING
        it.owner.receives(again, Vote(1, True))
        assert it.owner.state is RECORDING

    @EVERY
    @pytest.mark.parametrize(
        "other",
        [
            {"schema": b"?"},
            {"protocol": 99},
            {"name": "web"},
            {"version": -1},
            {"version": 2**42 + 2**32 + 1},
            {"version": 2**64 - 1},
        ],
        ids=str,
    )
    def test_who_does_not_fit_is_refused_for_good_and_is_on_no_roster(self, state, other):
        it = scene(state)
        stranger = it.owner.meets(3, **other)
        (refused,) = it.owner.sent(stranger)
        assert isinstance(refused, Refused)
        assert refused.final
        assert it.owner.log[-1] == fx.ClosePipe(stranger.pipe)
        assert it.owner.did(fx.AddMember) == []
        assert (refused.fields == {"a": "int"}) == ("schema" in other)
        assert it.owner.core.high_water <= 2, "its number is nobody's"

    @EVERY
    def test_who_is_in_a_pid_namespace_of_its_own_is_refused_for_good_and_is_on_no_roster(self, state):
        it = scene(state)
        stranger = it.owner.meets(0)  # what the kernel says of a process that has no number here
        (refused,) = it.owner.sent(stranger)
        assert isinstance(refused, Refused)
        assert refused.final
        assert "so its end could not be noticed" in refused.reason
        assert it.owner.did(fx.AddMember) == []

    @EVERY
    def test_a_client_is_on_no_roster_and_gets_no_version(self, state):
        it = scene(state)
        client = it.owner.meets(3, role="client", schema=b"")
        assert it.owner.log == []
        assert it.owner.core.roster.of(3) is None
        it.owner.receives(client, Reload(1))
        assert it.owner.core.dropped == {}

    def test_before_the_first_version_it_gets_nothing_then_the_vote(self):
        owner = Owner(None)
        w1 = owner.meets(1)
        owner.is_triggered("start")
        w2 = owner.meets(2)
        assert owner.sent(w1) == owner.sent(w2) == []
        owner.loads(A)
        w3 = owner.meets(3)
        for w in (w1, w2, w3):
            assert owner.sent(w) == [Prepare(1, A, A)]
            owner.receives(w, Vote(1, True))
        w4 = owner.meets(4)
        assert owner.sent(w4) == []
        owner.records()
        assert owner.sent(w4) == [installed(1, A, A)]
        assert owner.sent(w3) == [Prepare(1, A, A), Commit(1, 1)]


class TestAnswers:
    @EVERY
    def test_a_late_worker_that_answers_joins_again(self, state):
        it = late_worker(state)
        it.owner.receives(it.w2, Applied(it.owner.version))
        assert {s.pid: s.state for s in it.owner.core.statuses()}[2] == "current"
        if state is STAGING:
            assert Prepare(it.owner.core.round, C, C) in it.owner.sent(it.w2), "it is a voter again"
        if state is not IDLE:
            assert 2 not in it.owner.core.roster.excused

    @EVERY
    def test_a_late_worker_that_declines_joins_again(self, state):
        it = late_worker(state)
        it.owner.receives(it.w2, Declined(it.owner.version, (WHY,)))
        assert {s.pid: s.state for s in it.owner.core.statuses()}[2] == "declined"
        if state is STAGING:
            it.owner.receives(it.w1, Vote(2, True))
            assert it.owner.state is STAGING

    @every_state_but(COMMITTING)
    def test_a_late_refusal_is_recorded_as_an_event(self, state):
        it = late_worker(state)
        it.owner.receives(it.w2, Declined(it.owner.version, (WHY,)))
        (event,) = it.owner.events()
        assert (event.result, event.origin, [s.pid for s in event.lagging]) == (ReloadResult.PARTIAL, "late", [2])

    def test_a_refusal_at_the_barrier_is_reported_by_the_outcome(self):
        it = scene(COMMITTING)
        it.owner.receives(it.w1, Declined(2, (WHY,)))
        assert it.owner.events() == []
        it.owner.receives(it.w2, Applied(2))
        event = it.owner.answer(it.call)
        assert (event.result, event.applied) == (ReloadResult.PARTIAL, [2])
        assert [(s.pid, s.state, s.reason) for s in event.lagging] == [(1, "declined", "no")]

    def test_what_all_decline_for_the_same_reason_is_reported_once(self):
        it = scene(COMMITTING)
        reason = Problem("key", "no", "app.toml:1:7")
        w3 = it.owner.meets(3)
        it.owner.receives(it.w1, Declined(2, (reason, WHY)))
        it.owner.receives(it.w2, Declined(2, (reason,)))
        it.owner.receives(w3, Applied(2))  # or it would run nowhere
        event = it.owner.answer(it.call)
        assert list(map(str, event.problems)) == ["app.toml:1:7: key: no (worker 1 and 1 more)", "worker 1: no"]
        assert [(s.pid, s.reason) for s in event.lagging] == [
            (1, "app.toml:1:7: key: no; no"),
            (2, "app.toml:1:7: key: no"),
        ]

    def test_a_late_refusal_is_reported_with_those_who_said_the_same_before(self):
        it = scene(COMMITTING)
        it.owner.receives(it.w1, Declined(2, (WHY, Problem("", "another"))))
        it.owner.waits_out(fx.Timer.BARRIER)
        it.owner.forget()
        it.owner.receives(it.w2, Declined(2, (WHY,)))
        (event,) = it.owner.events()
        assert list(map(str, event.problems)) == ["worker 2 and 1 more: no"]
        assert [s.pid for s in event.lagging] == [2]

    def test_a_refusal_is_one_event_however_often_and_on_however_many_pipes_it_is_said(self):
        it = scene(IDLE)
        for _ in range(3):
            it.owner.receives(it.w1, Declined(it.owner.version, (WHY,)))
        again = it.owner.meets(1)
        it.owner.receives(again, Declined(it.owner.version, (WHY,)))
        it.owner.receives(again, Goodbye())
        it.owner.receives(it.owner.meets(1), Declined(it.owner.version, (WHY,)))
        assert [event.origin for event in it.owner.events()] == ["late"]
        it.owner.receives(it.w2, Declined(it.owner.version, (WHY,)))
        assert len(it.owner.events()) == 2, "another worker's refusal is another event"

    def test_a_refusal_that_the_outcome_reported_is_no_event_afterwards(self):
        it = scene(COMMITTING)
        it.owner.receives(it.w1, Declined(2, (WHY,)))
        it.owner.receives(it.w2, Applied(2))
        told = len(it.owner.events())
        it.owner.receives(it.w1, Declined(2, (WHY,)))
        assert len(it.owner.events()) == told

    @EVERY
    @pytest.mark.parametrize("version", [44, 2**64 - 1])
    def test_applying_what_was_not_committed_is_dropped(self, state, version):
        it = scene(state)
        it.owner.receives(it.w1, Applied(version))
        nothing_new(it, state)
        assert it.owner.core.dropped["applied what was not committed"] == 1
        assert {status.version for status in it.owner.core.statuses()} <= {0, 1, 2}

    @EVERY
    def test_declining_another_version_is_dropped(self, state):
        it = scene(state)
        it.owner.receives(it.w1, Declined(44, (WHY,)))
        nothing_new(it, state)
        assert it.owner.core.dropped["declined another version"] == 1

    @every_state_but(IDLE)
    def test_an_older_answer_does_not_pass_for_the_committed_one(self, state):
        it = scene(state)
        it.both_send(Applied(1))
        nothing_new(it, state)

    @pytest.mark.parametrize("reissued", [False, True])
    def test_who_declined_a_version_is_waited_for_and_judged_anew_at_the_next(self, reissued):
        it = scene(COMMITTING)
        it.owner.receives(it.w1, Applied(2))
        it.owner.receives(it.w2, Declined(2, (WHY,)))
        if reissued:
            it.owner.loses(it.owner.meets(3, 7, C))  # B goes out again, under another number
        else:
            it.call = it.owner.is_asked()
            it.owner.loads(C)
            it.both_send(Vote(2, True))
        it.owner.records()
        it.owner.receives(it.w1, Applied(it.owner.version))
        assert it.owner.state is COMMITTING, "its refusal was of another version"
        if reissued:
            return
        it.owner.receives(it.w2, Applied(3))
        assert it.owner.answer(it.call).result is ReloadResult.SUCCESS

    def test_applying_takes_a_refusal_back(self):
        it = scene(COMMITTING)
        it.owner.receives(it.w1, Declined(2, (WHY,)))
        it.both_send(Applied(2))
        assert it.owner.answer(it.call).result is ReloadResult.SUCCESS

    @EVERY
    def test_who_never_said_hello_is_hung_up_on(self, state):
        it = scene(state)
        stranger = Peer(77, 77)
        for message in (Applied(1), Declined(1), Vote(1, False)):
            it.owner.forget().receives(stranger, message)
            assert it.owner.log == [fx.ClosePipe(77)]
        assert it.owner.state is state


def late_worker(state: ProposalState):
    """w2 was silent at the barrier of version 2; its pipe still holds the Commit unanswered. Then C is on its way."""
    it = scene(COMMITTING)
    owner = it.owner
    owner.receives(it.w1, Applied(2))
    owner.waits_out(fx.Timer.BARRIER)
    assert owner.state is IDLE
    if state is not IDLE:
        it.call = owner.is_asked()
    if state.value >= STAGING.value:
        owner.loads(C)
    if state.value >= RECORDING.value:
        owner.receives(it.w1, Vote(2, True))
    if state is COMMITTING:
        owner.records()
    assert owner.state is state
    owner.forget()
    return it


class TestPipesAndProcesses:
    @EVERY
    def test_the_end_of_a_pipe_is_no_death(self, state):
        it = scene(state)
        it.owner.loses_pipe(it.w1)
        assert it.owner.did(fx.RemoveMember) == []
        assert it.owner.core.statuses()[0].state == "disconnected"
        assert it.owner.state is state

    def test_a_vote_dies_with_its_pipe_and_its_voter_is_waited_for(self):
        it = scene(STAGING)
        it.owner.receives(it.w1, Vote(1, True))
        it.owner.loses_pipe(it.w1)
        it.owner.receives(it.w2, Vote(1, True))
        assert it.owner.state is STAGING
        it.owner.waits_out(fx.Timer.STAGE)
        it.owner.records()
        it.owner.receives(it.w2, Applied(2))
        assert it.owner.names() == [1]

    def test_who_loses_its_pipe_while_the_journal_writes_is_named(self):
        it = scene(RECORDING)
        it.owner.loses_pipe(it.w1)
        it.owner.records()
        it.owner.receives(it.w2, Applied(2))
        assert it.owner.names() == [1]

    def test_who_loses_its_pipe_at_the_barrier_is_waited_for_until_the_deadline(self):
        it = scene(COMMITTING)
        it.owner.receives(it.w1, Applied(2))
        it.owner.loses_pipe(it.w1)
        it.owner.receives(it.w2, Applied(2))
        assert it.owner.state is COMMITTING
        it.owner.waits_out(fx.Timer.BARRIER)
        assert it.owner.names() == [1]

    @EVERY
    @pytest.mark.parametrize("goodbye", [True, False])
    def test_who_is_gone_leaves_the_roster_and_is_waited_for_no_more(self, state, goodbye):
        it = scene(state)
        if goodbye:
            it.owner.receives(it.w1, Goodbye())
        else:
            it.owner.loses(it.w1)
        assert it.owner.did(fx.RemoveMember) == [fx.RemoveMember(1)]
        assert [status.pid for status in it.owner.core.statuses()] == [2]
        if state is STAGING:
            it.owner.receives(it.w2, Vote(1, True))
            assert it.owner.state is RECORDING
        if state is COMMITTING:
            it.owner.receives(it.w2, Applied(2))
            assert it.owner.answer(it.call).result is ReloadResult.SUCCESS

    def test_the_death_of_the_last_who_has_not_voted_ends_the_vote(self):
        it = scene(STAGING)
        it.owner.receives(it.w1, Vote(1, True))
        it.owner.loses(it.w2)
        assert it.owner.state is RECORDING

    def test_the_death_of_the_last_who_has_not_applied_closes_the_barrier(self):
        it = scene(COMMITTING)
        it.owner.receives(it.w1, Applied(2))
        it.owner.loses(it.w2)
        assert it.owner.answer(it.call).result is ReloadResult.SUCCESS

    def test_the_dead_are_not_named(self):
        it = scene(RECORDING)
        it.owner.loses_pipe(it.w1)
        it.owner.loses(it.w1)
        it.owner.records()
        it.owner.receives(it.w2, Applied(2))
        assert it.owner.answer(it.call).result is ReloadResult.SUCCESS

    @EVERY
    def test_a_goodbye_on_an_older_pipe_is_not_the_process_leaving(self, state):
        it = scene(state)
        it.owner.meets(1, 1, A)
        it.owner.forget().receives(it.w1, Goodbye())
        assert it.owner.did(fx.RemoveMember) == []

    @EVERY
    def test_the_death_of_a_stranger_is_nothing(self, state):
        it = scene(state)
        it.owner.feed(fx.ProcessGone(4711))
        it.owner.feed(fx.PipeEnded(4711))
        it.owner.feed(fx.Drained((4711,)))
        nothing_new(it, state)


class TestTheBarrier:
    def test_everyone_applied_is_success(self):
        it = scene(COMMITTING)
        it.owner.receives(it.w1, Applied(2))
        assert it.owner.answers(it.call) == []
        it.owner.receives(it.w2, Applied(2))
        event = it.owner.answer(it.call)
        assert (event.result, event.version, event.previous_version) == (ReloadResult.SUCCESS, 2, 1)
        assert (event.applied, event.lagging) == ([1, 2], [])

    def test_settled_is_said_when_the_callers_are_answered_and_names_the_silent(self):
        it = scene(COMMITTING)
        it.owner.receives(it.w1, Applied(2))
        assert it.owner.sent(it.w1) == []
        it.owner.waits_out(fx.Timer.BARRIER)
        assert it.owner.sent(it.w1) == [Settled(2, (2,))]
        answered = it.owner.log.index(it.owner.did(fx.Answer)[0])
        assert answered < it.owner.log.index(it.owner.did(fx.Send)[0])
        assert it.owner.sent(it.w2) == [], "it has not applied it"
        it.owner.receives(it.w2, Applied(2))
        assert it.owner.sent(it.w2) == [Settled(2, (2,))]

    def test_the_next_load_begins_when_the_barrier_is_closed(self):
        it = scene(COMMITTING)
        it.owner.is_triggered()
        it.both_send(Applied(2))
        assert it.owner.state is LOADING


class TestLeaving:
    @every_state_but(RECORDING)
    def test_everyone_who_waits_gets_the_answer_that_nobody_knows(self, state):
        it = scene(state)
        waiting = it.owner.is_asked() if state is not IDLE else None
        it.owner.feed(fx.MasterGone())
        for call in filter(None, (it.call, waiting)):
            assert it.owner.answer(call).result is ReloadResult.OWNER_UNAVAILABLE
        assert it.owner.log[-1] == fx.Exit("")

    @pytest.mark.parametrize("row", [fx.RowState.PRESENT, fx.RowState.ABSENT])
    def test_during_a_write_its_outcome_is_waited_for(self, row):
        it = scene(RECORDING)
        waiting = it.owner.is_asked()
        it.owner.feed(fx.MasterGone())
        assert it.owner.log == []
        it.owner.fails_to_record(row)
        assert it.owner.log[-1] == fx.Exit("")
        assert it.owner.answer(waiting).result is ReloadResult.OWNER_UNAVAILABLE
        if row is fx.RowState.PRESENT:
            assert it.owner.sent(it.w1) == [Commit(1, 2)], "it is true, so it is sent to them"
            assert it.owner.answer(it.call).result is ReloadResult.OWNER_UNAVAILABLE
        else:
            assert it.owner.answer(it.call).result is ReloadResult.IO_ERROR


class TestReconciling:
    def test_a_higher_number_of_our_content_is_taken_over(self):
        it = scene(IDLE)
        w3 = it.owner.meets(3, 7, A)
        assert it.owner.orders() == [fx.Record(7, A, A)]
        it.owner.records()
        assert it.owner.sent(w3) == it.owner.sent(it.w1) == [installed(7, A, A)]

    @pytest.mark.parametrize("version", [1, 7])
    def test_other_content_makes_ours_go_out_again_above_it(self, version):
        it = scene(IDLE)
        it.owner.meets(3, version, C)
        assert it.owner.orders() == [fx.Record(version + 1, A, A)]

    def test_two_contents_under_the_floor_count_as_other_content(self):
        it = scene(LOADING)
        it.owner.meets(3, 7, A)
        it.owner.meets(4, 7, C)
        it.owner.fails_to_load()
        assert it.owner.orders() == [fx.Record(8, A, A)]

    @every_state_but(IDLE)
    def test_it_waits_for_the_present_proposal_and_goes_before_the_next_load(self, state):
        it = scene(state)
        it.owner.meets(3, 70, C)
        it.owner.is_asked()
        assert it.owner.did(fx.Record) == []
        if state is LOADING:
            it.owner.fails_to_load()
        elif state is STAGING:
            it.owner.receives(it.w1, Vote(1, False))
        elif state is RECORDING:
            it.owner.fails_to_record(fx.RowState.ABSENT)
        else:
            it.owner.waits_out(fx.Timer.BARRIER)
        assert [record.version for record in it.owner.did(fx.Record)] == [71]
        assert it.owner.did(fx.Load) == []

    def test_before_the_first_version_there_is_nothing_to_reconcile(self):
        owner = Owner(None)
        w3 = owner.meets(3, 7, C)
        assert owner.state is IDLE
        owner.is_triggered("start")
        owner.loads(A)
        owner.receives(w3, Vote(1, True))
        assert owner.orders() == [fx.Record(8, A, A)]

    def test_a_failed_one_lets_the_others_go_first_and_is_tried_again_at_the_next_hello(self):
        it = scene(IDLE)
        it.owner.meets(3, 7, C)
        it.owner.is_triggered()
        it.owner.fails_to_record(fx.RowState.ABSENT)
        assert it.owner.state is LOADING
        it.owner.fails_to_load()
        assert it.owner.state is IDLE
        it.owner.forget().meets(4)
        assert it.owner.orders() == [fx.Record(9, A, A)], "number 8 was retired"

    def test_a_failed_one_is_tried_again_once_a_call_is_answered(self):
        """The disk may have room again: nobody else would look, and the worker would stay with other content."""
        it = scene(IDLE)
        it.owner.meets(3, 1, C)
        it.owner.fails_to_record(fx.RowState.ABSENT)
        call = it.owner.forget().is_asked()
        it.owner.fails_to_load()
        assert it.owner.answer(call).result is ReloadResult.VALIDATION_FAILED
        assert it.owner.orders() == [fx.Record(3, A, A)], "number 2 was retired"
        it.owner.fails_to_record(fx.RowState.ABSENT)
        assert it.owner.state is IDLE, "no disk is tried in a circle"

    def test_one_that_fails_after_a_load_that_was_owed_to_a_caller_is_not_tried_in_a_circle(self):
        """That load is over: it says nothing of who has called for what comes after it."""
        it = scene(IDLE)
        it.owner.is_asked()
        it.owner.loads(B)
        it.owner.waits_out(fx.Timer.STAGE)
        assert it.owner.state is IDLE, "no worker has voted: it is owed"
        it.owner.receives(it.w1, Applied(1))
        it.owner.loads(B)
        it.both_send(Vote(it.owner.core.round, True))
        it.owner.records()
        it.both_send(Applied(2))
        it.owner.meets(3, 7, C)
        it.owner.forget().fails_to_record(fx.RowState.ABSENT)
        assert (it.owner.state, it.owner.orders()) == (IDLE, [])

    def test_the_dead_need_no_reconciling(self):
        it = scene(LOADING)
        it.owner.loses(it.owner.meets(3, 7, C))
        it.owner.fails_to_load()
        assert it.owner.state is IDLE

    def test_a_retired_number_of_a_former_owner_is_not_taken_over(self):
        owner = Owner((1, A), high_water=7)
        owner.meets(3, 7, A)
        assert owner.orders() == [fx.Record(8, A, A)]


class TestGathering:
    def test_nothing_is_committed_before_everyone_had_the_time_to_connect(self):
        owner = Owner(None, gathering=True, high_water=500)
        assert owner.did(fx.WakeAt) == [fx.WakeAt(fx.Timer.GATHER, 0, 102.5)]
        owner.is_triggered("restart")
        owner.loads(A)
        w1 = owner.meets(1, 3, C)
        owner.receives(w1, Vote(1, True))
        assert owner.state is STAGING
        owner.waits_out(fx.Timer.GATHER)
        assert owner.did(fx.Gathered) == [fx.Gathered()]
        assert owner.orders() == [fx.Record(501, A, A)]

    def test_the_vote_lasts_until_everyone_was_gathered(self):
        owner = Owner(None, gathering=True)
        owner.is_triggered("restart")
        owner.loads(A)
        assert [wake.when for wake in owner.did(fx.WakeAt) if wake.timer is fx.Timer.STAGE] == [102.5]

    def test_it_ends_with_a_deadline_that_comes_at_the_same_time(self):
        """Without: who connects between the two is waited for without a deadline."""
        owner = Owner(None, gathering=True)
        call = owner.is_asked()
        w1 = owner.meets(1)
        owner.loads(A)
        owner.receives(w1, Vote(1, True))
        owner.waits_out(fx.Timer.STAGE)
        assert owner.state is RECORDING
        owner.meets(2)
        owner.waits_out(fx.Timer.GATHER)
        owner.records()
        owner.receives(w1, Applied(1))
        assert owner.answer(call).result is ReloadResult.PARTIAL

    @EVERY
    def test_the_end_of_the_gathering_moves_nothing_else(self, state):
        it = scene(state)
        it.owner.feed(fx.Wake(fx.Timer.GATHER, 0))
        assert (it.owner.state, it.owner.log) == (state, [fx.Gathered()])


class TestTheOutbox:
    """Rules (0) to (5): what a pipe that was stuffed gets when it drains."""

    @staticmethod
    def stuffed(state: ProposalState):
        it = scene(state)
        w3 = Peer(3, 500)
        it.owner.stuffed.add(w3.pipe)
        it.owner.receives(w3, hello(3))
        return it, w3

    def test_0_nothing_for_newcomers_while_the_journal_writes(self):
        it, w3 = self.stuffed(RECORDING)
        it.owner.feed(fx.Drained((w3.pipe,)))
        assert it.owner.sent(w3) == []

    def test_1_one_frame_at_a_time(self):
        it, w3 = self.stuffed(STAGING)
        assert it.owner.sent(w3) == [installed(1, A, A)]
        it.owner.feed(fx.Drained((w3.pipe,)))
        assert it.owner.sent(w3) == [installed(1, A, A), Prepare(1, B, B)]

    def test_1_of_each_of_the_pipes_that_drained_together(self):
        it, w3 = self.stuffed(STAGING)
        w4 = Peer(4, 501)
        it.owner.stuffed.add(w4.pipe)
        it.owner.receives(w4, hello(4))
        it.owner.feed(fx.Drained((w3.pipe, 4711, w4.pipe)))
        assert [it.owner.sent(peer) for peer in (w3, w4)] == [[installed(1, A, A), Prepare(1, B, B)]] * 2

    def test_1_commit_for_who_was_asked_in_that_round_and_install_for_the_others(self):
        it, w3 = self.stuffed(STAGING)
        it.both_send(Vote(1, True))
        it.owner.waits_out(fx.Timer.STAGE)
        it.owner.records()
        it.owner.unblocks(w3)
        assert it.owner.sent(w3) == [installed(1, A, A), installed(2, B, B)]
        assert it.owner.sent(it.w1) == [Commit(1, 2)]

    def test_1_the_commit_is_not_lost_to_the_next_prepare(self):
        it = scene(STAGING)
        it.owner.receives(it.w1, Vote(1, True))
        it.owner.stuffed.add(it.w1.pipe)
        it.owner.core.roster.of(1).busy = True
        it.owner.receives(it.w2, Vote(1, True))
        it.owner.records()
        it.owner.receives(it.w2, Applied(2))
        it.owner.waits_out(fx.Timer.BARRIER)
        it.owner.is_triggered()
        it.owner.loads(C)
        it.owner.unblocks(it.w1)
        assert it.owner.sent(it.w1)[0] == Commit(1, 2)

    def test_2_prepare_only_for_voters(self):
        it = late_worker(LOADING)
        it.owner.loads(C)
        assert it.owner.sent(it.w1) == [Prepare(2, C, C)]
        assert it.owner.sent(it.w2) == []

    def test_2_a_prepare_of_the_open_round_makes_an_abort_needless(self):
        it = scene(STAGING)
        it.owner.core.roster.of(1).busy = True
        it.owner.receives(it.w2, Vote(1, False))
        it.owner.is_triggered()
        it.owner.forget().loads(C)
        it.owner.unblocks(it.w1)
        assert it.owner.sent(it.w1) == [Prepare(2, C, C)]

    def test_3_abort_of_a_round_that_closed(self):
        it = scene(STAGING)
        it.owner.receives(it.w2, Vote(1, False))
        assert it.owner.sent(it.w1) == it.owner.sent(it.w2) == [Abort(1)]

    def test_3_no_abort_while_the_round_is_being_written(self):
        it = scene(RECORDING)
        it.owner.feed(fx.Drained((it.w1.pipe,)))
        assert it.owner.sent(it.w1) == []

    def test_4_settled_only_for_who_applied_it(self):
        it = scene(COMMITTING)
        it.owner.receives(it.w1, Applied(2))
        it.owner.receives(it.w2, Declined(2))
        assert it.owner.sent(it.w1) == [Settled(2, (2,))], "who declined it is named"
        assert it.owner.sent(it.w2) == []

    def test_4_settled_once_on_a_pipe(self):
        it = scene(LOADING)
        it.owner.loads(A)
        it.owner.is_triggered()
        it.owner.loads(A)
        assert it.owner.sent(it.w1) == [Settled(1)]

    def test_4_to_who_does_not_wait_for_it_it_is_sent_when_the_owner_has_rested(self):
        it = scene(COMMITTING)
        it.owner.receives(it.w1, Applied(2, follows=False))
        it.owner.receives(it.w2, Applied(2))
        assert it.owner.sent(it.w1) == []
        assert it.owner.sent(it.w2) == [Settled(2)]
        it.owner.waits_out(fx.Timer.DEFERRED)
        assert it.owner.sent(it.w1) == it.owner.sent(it.w2) == [Settled(2)]

    def test_4_rest_is_not_put_off_by_who_comes_meanwhile(self):
        it = scene(COMMITTING)
        it.owner.receives(it.w1, Applied(2, follows=False))
        it.owner.receives(it.w2, Applied(2))
        before = it.owner.did(fx.WakeAt)[-1]
        it.owner.now += 0.01
        it.owner.meets(3)
        after = it.owner.did(fx.WakeAt)[-1]
        assert (after.timer, after.when) == (fx.Timer.DEFERRED, before.when)
        assert after.token != before.token

    def test_4_settled_need_not_be_sent_of_a_version_that_is_followed_by_another(self):
        it = scene(COMMITTING)
        for each in (it.w1, it.w2):
            it.owner.receives(each, Applied(2, follows=False))
        it.owner.is_triggered()
        rest = [wake for wake in it.owner.did(fx.WakeAt) if wake.timer is fx.Timer.DEFERRED]
        it.owner.feed(fx.Wake(fx.Timer.DEFERRED, rest[-1].token))
        it.owner.loads(C)
        assert not [frame for frame in it.owner.sent(it.w1) if isinstance(frame, Settled)]
        for each in (it.w1, it.w2):
            it.owner.receives(each, Vote(it.owner.core.round, True))
        it.owner.records()
        for each in (it.w1, it.w2):
            it.owner.receives(each, Applied(3, follows=False))
        it.owner.waits_out(fx.Timer.DEFERRED)
        assert [frame for frame in it.owner.sent(it.w1) if isinstance(frame, Settled)] == [Settled(3)]

    def test_4_after_a_load_that_came_to_nothing_settled_is_sent_to_them_at_once(self):
        it = scene(COMMITTING)
        for each in (it.w1, it.w2):
            it.owner.receives(each, Applied(2, follows=False))
        it.owner.is_triggered()
        it.owner.now += 1.0
        it.owner.fails_to_load()
        assert it.owner.did(fx.WakeAt)[-1].when < it.owner.now
        it.owner.waits_out(fx.Timer.DEFERRED)
        assert it.owner.sent(it.w1)[-1] == Settled(2)

    def test_4_one_that_nobody_waits_for_is_sent_at_once_where_nothing_is_held_back(self):
        it = scene(COMMITTING)
        it.owner.receives(it.w1, Applied(2))
        it.owner.waits_out(fx.Timer.BARRIER)
        it.owner.receives(it.w2, Applied(2, follows=False))
        assert it.owner.sent(it.w2)[-1] == Settled(2, (2,))

    def test_5_nothing_when_there_is_nothing_to_say(self):
        it = scene(IDLE)
        it.owner.feed(fx.Drained((it.w1.pipe,)))
        assert it.owner.log == []
