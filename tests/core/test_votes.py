"""Votes that silence, work or death decides: who must say yes, what is owed, and what is taken back.

Each test that names a trace follows one that goes wrong without the rule.
"""

from __future__ import annotations

import pytest

from confcast.errors import Problem
from confcast.owner.core import effects as fx
from confcast.owner.core.machine import ProposalState
from confcast.owner.core.proposal import OWED, STILL_REFUSED
from confcast.wire.messages import Applied, Declined, Goodbye, Prepare, ReloadResult, Rollback, Settled, Vote, Working
from tests.core.world import A, B, C, D, Owner, Scene, installed, scene

IDLE, LOADING, STAGING, RECORDING, COMMITTING = ProposalState
REJECTED, PARTIAL, SUCCESS = ReloadResult.REJECTED, ReloadResult.PARTIAL, ReloadResult.SUCCESS
UNCHANGED = ReloadResult.UNCHANGED
NO = Problem("", "no")


def texts(event) -> list[str]:
    return [problem.message for problem in event.problems]


class TestOneYes:
    @pytest.mark.parametrize("silent", ["proceed", "refuse"])
    def test_nothing_is_committed_when_everybody_is_silent(self, silent):
        it = scene(STAGING, silent=silent)
        it.owner.waits_out(fx.Timer.STAGE)
        event = it.owner.answer(it.call)
        assert (event.result, it.owner.names(), it.owner.did(fx.Record)) == (REJECTED, [1, 2], [])
        assert texts(event)[-1] == OWED
        assert "did not answer within 2 s (vote_timeout)" in texts(event)[0]

    def test_one_yes_is_enough(self):
        it = scene(STAGING)
        it.owner.receives(it.w1, Vote(1, True))
        it.owner.waits_out(fx.Timer.STAGE)
        assert it.owner.orders() == [fx.Record(2, B, B)]

    def test_nobody_needs_to_say_yes_where_nobody_is(self):
        it = scene(LOADING, workers=0)
        it.owner.loads(B)
        assert it.owner.state is RECORDING

    def test_who_was_late_before_counts_as_somebody(self):
        """Without: w2 is named by the deadline, no voter is left, and what nobody has seen is committed."""
        it = scene(STAGING)
        it.owner.waits_out(fx.Timer.STAGE)
        call = it.owner.is_asked()
        it.owner.loads(B)
        assert (it.owner.answer(call).result, it.owner.did(fx.Record)) == (REJECTED, [])

    def test_the_yes_of_the_dead_does_not_count(self):
        it = scene(STAGING)
        it.owner.receives(it.w1, Vote(1, True))
        it.owner.loses(it.w1)
        it.owner.waits_out(fx.Timer.STAGE)
        assert (it.owner.answer(it.call).result, it.owner.names()) == (REJECTED, [2])

    @pytest.mark.parametrize("goes", [Owner.loses_pipe, lambda owner, peer: owner.receives(peer, Goodbye())])
    def test_nor_does_that_of_who_lost_its_pipe_or_left(self, goes):
        it = scene(STAGING)
        it.owner.receives(it.w1, Vote(1, True))
        goes(it.owner, it.w1)
        it.owner.waits_out(fx.Timer.STAGE)
        assert it.owner.answer(it.call).result is REJECTED


def refused_by_silence(**rules) -> Scene:
    it = scene(STAGING, **rules)
    it.owner.waits_out(fx.Timer.STAGE)
    it.owner.forget()
    return it


class TestWhatIsOwed:
    """Without: everybody was busy once past the deadline, wakes, and nobody ever loads the edit."""

    def test_the_next_who_answers_starts_another_load(self):
        it = refused_by_silence()
        assert it.owner.state is IDLE
        it.owner.receives(it.w1, Applied(1))
        assert it.owner.state is LOADING
        it.owner.loads(B)
        it.owner.receives(it.w1, Vote(2, True))
        it.owner.waits_out(fx.Timer.STAGE)
        assert it.owner.orders() == [fx.Record(2, B, B)]

    def test_so_does_a_newcomer(self):
        it = refused_by_silence()
        it.owner.meets(3)
        assert it.owner.state is LOADING

    def test_and_who_declines_what_is_committed(self):
        it = refused_by_silence()
        it.owner.receives(it.w1, Declined(1))
        assert it.owner.state is LOADING

    def test_it_keeps_what_had_asked_for_it(self):
        it = scene(LOADING)
        it.owner.fails_to_load()
        it.owner.is_triggered("watch")
        it.owner.loads(B)
        it.owner.waits_out(fx.Timer.STAGE)
        it.owner.forget().receives(it.w1, Applied(1))
        it.owner.loads(C)
        it.owner.receives(it.w1, Vote(2, True))
        it.owner.waits_out(fx.Timer.STAGE)
        it.owner.records()
        it.owner.receives(it.w1, Applied(2))
        assert it.owner.events()[-1].origin == "watch"

    def test_once(self):
        it = refused_by_silence()
        it.owner.receives(it.w1, Applied(1))
        it.owner.fails_to_load()
        it.owner.receives(it.w2, Applied(1))
        assert it.owner.state is IDLE

    def test_any_load_serves_it(self):
        it = refused_by_silence()
        it.owner.is_asked()
        it.owner.fails_to_load()
        it.owner.receives(it.w1, Applied(1))
        assert it.owner.state is IDLE

    def test_a_no_is_final(self):
        it = scene(STAGING)
        it.owner.receives(it.w1, Vote(1, False, (NO,)))
        assert OWED not in texts(it.owner.answer(it.call))
        it.owner.receives(it.w2, Applied(1))
        assert it.owner.state is IDLE

    def test_who_is_late_still_vetoes_where_silence_does(self):
        it = scene(STAGING, silent="refuse")
        it.owner.receives(it.w1, Vote(1, True))
        it.owner.waits_out(fx.Timer.STAGE)
        it.owner.meets(3)
        assert it.owner.state is IDLE, "it would be refused at once"
        it.owner.loses(it.w2)
        assert it.owner.state is LOADING

    def test_before_the_first_version_a_vote_that_is_late_is_the_answer(self):
        owner = Owner(None)
        w1 = owner.meets(1)
        owner.is_triggered("start")
        owner.loads(A)
        owner.waits_out(fx.Timer.STAGE)
        owner.receives(w1, Vote(1, True))
        assert owner.state is LOADING

    def test_a_no_that_comes_late_is_final_too_and_is_reported(self):
        """Without: a function that works longer than it may, and then refuses, is asked for ever."""
        it = refused_by_silence()
        it.owner.receives(it.w1, Vote(1, False, (NO,)))
        it.owner.receives(it.w1, Applied(1))
        (event,) = it.owner.events()
        assert (event.result, texts(event), it.owner.state) == (REJECTED, ["no"], IDLE)

    def test_of_another_round_it_says_nothing(self):
        it = refused_by_silence()
        it.owner.receives(it.w1, Vote(55, False, (NO,)))
        assert it.owner.events() == []
        it.owner.receives(it.w1, Applied(1))
        assert it.owner.state is LOADING

    def test_each_try_gives_twice_the_time_up_to_precommit_timeout(self):
        """Without: votes that all take a little longer than vote_timeout are never enough, and are asked for again."""
        it = scene(STAGING)
        waited = []
        for _ in range(6):
            began = it.owner.now
            it.owner.waits_out(fx.Timer.STAGE)
            waited.append(it.owner.now - began)
            it.both_send(Applied(1))
            it.owner.loads(B)
            if it.owner.state is LOADING:  # it was asked for by both
                it.owner.loads(B)
        assert waited == [2, 4, 8, 16, 30, 30]
        it.both_send(Vote(it.owner.core.round, True))
        it.owner.records()
        it.both_send(Applied(2))
        it.owner.is_triggered()
        it.owner.loads(C)
        began = it.owner.now
        it.owner.waits_out(fx.Timer.STAGE)
        assert it.owner.now - began == 2

    def test_what_is_owed_to_a_call_is_still_a_call(self):
        """Without: a person calls for what was undone, gets the answer that it will be tried again, and it never is."""
        it = undone()
        it.owner.is_asked()
        it.owner.loads(B)
        it.owner.waits_out(fx.Timer.STAGE)
        it.owner.forget().receives(it.w2, Applied(3))
        it.owner.loads(B)
        assert it.owner.sent(it.w2) == [Prepare(3, B, B)]

    def test_before_the_first_version_a_stopped_worker_costs_one_load(self):
        """Without: the Abort fits into its pipe, and that passes for an answer, again and again."""
        owner = Owner(None)
        owner.meets(1)
        owner.is_triggered("start")
        owner.loads(A)
        owner.waits_out(fx.Timer.STAGE)
        assert len(owner.did(fx.Load)) == 1

    def test_or_that_a_pipe_is_read_again_which_was_full(self):
        owner = Owner(None, silent="refuse")
        w1, w2 = owner.meets(1), owner.meets(2)
        owner.stuffed.add(w1.pipe)
        owner.is_triggered("start")
        owner.loads(A)
        owner.receives(w2, Vote(1, True))
        owner.waits_out(fx.Timer.STAGE)
        assert owner.state is IDLE, "that the others read on is no answer"
        owner.unblocks(w1)
        assert owner.state is LOADING


class TestWorking:
    """Without: the vote's deadline names who is at work, and the refusal comes after the commit."""

    def test_who_works_is_waited_for(self):
        it = scene(STAGING)
        it.owner.receives(it.w1, Working(1, "app:check"))
        it.owner.receives(it.w2, Vote(1, True))
        it.owner.waits_out(fx.Timer.STAGE)
        assert it.owner.state is STAGING
        it.owner.receives(it.w1, Vote(1, False, (NO,)))
        assert (it.owner.answer(it.call).result, it.owner.did(fx.Record)) == (REJECTED, [])

    def test_until_precommit_timeout_from_the_beginning(self):
        it = scene(STAGING)
        began = it.owner.now
        it.owner.now += 1.5
        it.owner.receives(it.w1, Working(1, "app:check"))
        it.owner.receives(it.w2, Vote(1, True))
        it.owner.waits_out(fx.Timer.STAGE)
        it.owner.receives(it.w1, Working(1, "app:other"))  # another function extends nothing
        it.owner.waits_out(fx.Timer.STAGE)
        assert it.owner.now == began + 30
        assert it.owner.state is RECORDING
        assert it.owner.core.roster.excused == {1: "app:other has run for 28 s (precommit_timeout=30)"}

    def test_who_is_silent_beside_it_is_named_at_the_first_deadline(self):
        it = scene(STAGING)
        it.owner.receives(it.w1, Working(1, "app:check"))
        it.owner.waits_out(fx.Timer.STAGE)
        assert list(it.owner.core.roster.excused) == [2]
        it.owner.receives(it.w1, Vote(1, True))
        assert it.owner.state is RECORDING

    def test_a_no_of_who_was_named_counts_while_another_one_works(self):
        it = scene(STAGING)
        it.owner.receives(it.w1, Working(1, "app:check"))
        it.owner.waits_out(fx.Timer.STAGE)
        it.owner.receives(it.w2, Vote(1, False, (NO,)))
        assert (it.owner.answer(it.call).result, it.owner.did(fx.Record)) == (REJECTED, [])

    def test_its_yes_does_not_take_its_name_away(self):
        it = scene(STAGING)
        it.owner.receives(it.w1, Working(1, "app:check"))
        it.owner.waits_out(fx.Timer.STAGE)
        it.owner.receives(it.w2, Vote(1, True))
        it.owner.receives(it.w1, Vote(1, True))
        assert list(it.owner.core.roster.excused) == [2]

    def test_a_longer_vote_timeout_is_the_only_one(self):
        it = scene(STAGING, vote_timeout=60.0)
        it.owner.receives(it.w1, Working(1, "app:check"))
        it.owner.receives(it.w2, Vote(1, True))
        it.owner.waits_out(fx.Timer.STAGE)
        assert it.owner.state is RECORDING

    def test_whatever_round_it_named(self):
        """Without: w1 works for round 1, which ends; its Prepare of round 2 lies behind, and its deadline names it."""
        it = scene(STAGING)
        it.owner.receives(it.w1, Working(1, "app:check"))
        it.owner.receives(it.w2, Vote(1, False, (NO,)))
        it.owner.is_asked()
        it.owner.loads(C)
        it.owner.receives(it.w2, Vote(2, True))
        it.owner.waits_out(fx.Timer.STAGE)
        assert it.owner.state is STAGING

    @pytest.mark.parametrize(
        "answer", [Vote(1, True), Applied(1), Declined(1)], ids=lambda answer: type(answer).__name__
    )
    def test_until_it_answers(self, answer):
        it = scene(STAGING)
        it.owner.receives(it.w1, Working(1, "app:check"))
        it.owner.receives(it.w1, answer)
        assert it.owner.core.roster.of(1).working is None

    def test_or_its_pipe_ends(self):
        it = scene(STAGING)
        it.owner.receives(it.w1, Working(1, "app:check"))
        it.owner.loses_pipe(it.w1)
        it.owner.receives(it.w2, Vote(1, True))
        it.owner.waits_out(fx.Timer.STAGE)
        assert it.owner.state is RECORDING

    def test_the_barrier_waits_for_it_too(self):
        it = scene(COMMITTING)
        w3 = it.owner.meets(3, 1, A)
        it.owner.receives(w3, Working(0, "app:check"))
        it.both_send(Applied(2))
        it.owner.waits_out(fx.Timer.BARRIER)
        assert it.owner.answers(it.call) == []
        it.owner.receives(w3, Applied(2))
        assert it.owner.answer(it.call).result is SUCCESS

    def test_and_no_longer_than_precommit_timeout(self):
        it = scene(COMMITTING)
        w3 = it.owner.meets(3, 1, A)
        it.owner.receives(w3, Working(0, "app:check"))
        it.both_send(Applied(2))
        it.owner.waits_out(fx.Timer.BARRIER)
        it.owner.waits_out(fx.Timer.BARRIER)
        event = it.owner.answer(it.call)
        assert (event.result, [s.reason for s in event.lagging]) == (
            PARTIAL,
            ["app:check has run for 30 s (precommit_timeout=30)"],
        )

    def test_it_is_shown_while_it_lasts(self):
        it = scene(STAGING)
        it.owner.receives(it.w1, Working(1, "app:check"))
        phase = it.owner.core.phase()
        assert (phase.state, phase.waits_for) == (STAGING, ((1, ("app:check", it.owner.now)), (2, None)))

    def test_in_a_barrier_the_workers_that_have_not_answered_are_shown_and_since_when(self):
        it = scene(COMMITTING)
        it.owner.receives(it.w1, Applied(2))
        assert it.owner.core.phase() == (COMMITTING, it.owner.now, ((2, None),), "")

    def test_while_nothing_is_awaited_a_worker_that_is_still_at_work_is_shown(self):
        it = scene(IDLE)
        it.owner.receives(it.w2, Working(0, "app:check"))
        phase = it.owner.core.phase()
        assert (phase.state, phase.waits_for) == (IDLE, ((2, ("app:check", it.owner.now)),))

    def test_a_name_without_end_is_cut(self):
        it = scene(STAGING)
        it.owner.receives(it.w1, Working(1, "f" * 5000))
        assert it.owner.core.roster.of(1).working[0] == "f" * 200


def applied_and_declined() -> Scene:
    """w1 runs version 2, and w2 says no to it."""
    it = scene(COMMITTING)
    it.owner.receives(it.w1, Applied(2))
    it.owner.receives(it.w2, Declined(2, (NO,)))
    return it


def committed_and_declined_by_the_rest() -> Scene:
    """Trace: w1 yes, w2 silent: committed; w2 gets it, and declines; w1 dies before it applies."""
    it = scene(STAGING)
    it.owner.receives(it.w1, Vote(1, True))
    it.owner.waits_out(fx.Timer.STAGE)
    it.owner.records()
    it.owner.receives(it.w2, Vote(1, False, (NO,)))
    it.owner.receives(it.w2, Declined(2, (NO,)))
    it.owner.forget().loses(it.w1)
    return it


class TestWhatNobodyRuns:
    def test_is_undone(self):
        it = committed_and_declined_by_the_rest()
        assert it.owner.orders() == [fx.Record(3, A, A, undo=True, refused=B)]
        assert it.owner.answers(it.call) == [], "it is answered when the undo's barrier is closed"
        it.owner.records()
        assert it.owner.sent(it.w2) == [installed(3, A, A, undo=True)]
        it.owner.receives(it.w2, Applied(3))
        event = it.owner.answer(it.call)
        assert (event.result, event.version, event.previous_version, it.owner.version) == (REJECTED, 3, 1, 3)
        assert event.problems[0] == Problem("", "no", "worker 2")
        assert "nobody runs version 2, so it was undone" in texts(event)[-1]

    def test_not_while_somebody_runs_it(self):
        it = applied_and_declined()
        assert it.owner.answer(it.call).result is PARTIAL

    def test_nor_when_the_pipe_on_which_it_said_so_has_ended(self):
        it = scene(COMMITTING)
        it.owner.receives(it.w1, Applied(2))
        it.owner.loses_pipe(it.w1)
        it.owner.receives(it.w2, Declined(2, (NO,)))
        it.owner.waits_out(fx.Timer.BARRIER)
        assert (it.owner.did(fx.Record), it.owner.answer(it.call).result) == ([], PARTIAL)

    def test_nor_when_it_comes_back_with_it(self):
        it = scene(COMMITTING)
        it.owner.waits_out(fx.Timer.BARRIER)
        it.owner.receives(it.w1, Applied(2))
        it.owner.receives(it.w2, Declined(2, (NO,)))
        it.owner.meets(1, 2, B)
        assert it.owner.did(fx.Record) == []

    def test_nor_when_it_is_asked_again_since_it_was_silent(self):
        it = scene(COMMITTING)
        it.owner.receives(it.w1, Applied(2))
        it.owner.waits_out(fx.Timer.BARRIER)
        it.owner.receives(it.w2, Declined(2, (NO,)))
        it.owner.is_triggered()
        it.owner.loads(C)
        it.owner.forget().waits_out(fx.Timer.STAGE)
        assert it.owner.did(fx.Record) == []

    def test_what_is_put_back_is_what_ran_last_and_not_what_nobody_ran(self):
        it = scene(COMMITTING)
        it.owner.waits_out(fx.Timer.BARRIER)
        it.owner.is_triggered()
        it.both_send(Declined(2, (NO,)))  # while it loads: it is tested when that is over
        it.owner.loads(C)
        it.both_send(Vote(2, True))
        it.owner.records()
        it.owner.receives(it.w2, Declined(3, (NO,)))
        it.owner.forget().loses(it.w1)
        assert it.owner.orders() == [fx.Record(4, A, A, undo=True, refused=C)]

    @pytest.mark.parametrize("runs", [2, 3])
    def test_what_is_put_back_was_applied_though_only_after_it_was_superseded(self, runs: int):
        """Each of the ways back is committed while both workers are silent."""
        owner = Owner()
        it = Scene(owner, owner.has(1), owner.has(2))
        for number, content in ((2, B), (3, C), (4, D)):
            owner.is_asked_for(Rollback, version=number)
            owner.restores(content, number)
            owner.waits_out(fx.Timer.STAGE)
            owner.records()
            owner.waits_out(fx.Timer.BARRIER)
        owner.forget()
        for number in range(2, runs + 1):
            it.both_send(Applied(number))
        it.both_send(Declined(4, (NO,)))
        content = {2: B, 3: C}[runs]
        assert owner.orders() == [fx.Record(5, content, content, undo=True, refused=D)]

    def test_while_it_can_not_be_written_a_new_worker_can_start(self):
        it = committed_and_declined_by_the_rest()
        it.owner.fails_to_record(fx.RowState.ABSENT)
        w3 = it.owner.meets(3)
        assert it.owner.sent(w3) == [installed(2, B, B, declined=1)]
        it.owner.waits_out(fx.Timer.UNDO)
        assert it.owner.sent(it.owner.meets(4)) == []

    def test_its_barrier_waits_for_those_who_had_no_vote_on_what_it_undoes(self):
        it = scene(STAGING)
        it.owner.receives(it.w1, Vote(1, True))
        it.owner.waits_out(fx.Timer.STAGE)
        w3 = it.owner.meets(3, 1, A)
        it.owner.records()
        for w in (it.w2, w3):
            it.owner.receives(w, Declined(2, (NO,)))
        it.owner.loses(it.w1)
        it.owner.records()
        it.owner.receives(it.w2, Applied(3))
        assert it.owner.answers(it.call) == []
        it.owner.receives(w3, Applied(3))
        assert it.owner.answer(it.call).lagging == []

    def test_not_where_all_said_yes_and_are_merely_late(self):
        it = scene(COMMITTING)
        it.owner.waits_out(fx.Timer.BARRIER)
        assert (it.owner.answer(it.call).result, it.owner.version) == (PARTIAL, 2)

    def test_also_when_the_refusal_comes_after_the_barrier(self):
        it = scene(STAGING)
        it.owner.receives(it.w1, Vote(1, True))
        it.owner.waits_out(fx.Timer.STAGE)
        it.owner.records()
        it.owner.loses(it.w1)
        assert it.owner.answer(it.call).result is PARTIAL
        it.owner.forget().receives(it.w2, Declined(2, (NO,)))
        assert it.owner.orders() == [fx.Record(3, A, A, undo=True, refused=B)]
        it.owner.records()
        it.owner.receives(it.w2, Applied(3))
        assert [(e.origin, e.result) for e in it.owner.events()] == [("late", PARTIAL), ("undo", REJECTED)]

    def test_the_first_version_is_not(self):
        owner = Owner(None)
        w1 = owner.meets(1, 7, C)
        owner.is_triggered("start")
        owner.loads(A)
        owner.receives(w1, Vote(1, True))
        owner.records()
        owner.receives(w1, Declined(8, (NO,)))
        assert owner.events()[-1].result is PARTIAL

    def test_an_undo_that_nobody_can_build_is_not_undone_again(self):
        it = committed_and_declined_by_the_rest()
        it.owner.records()
        it.owner.receives(it.w2, Declined(3, (NO,)))
        event = it.owner.answer(it.call)
        assert (event.result, it.owner.names(), it.owner.state) == (REJECTED, [2], IDLE)

    def test_an_undo_that_can_not_be_written_is_tried_each_second_before_anything_else(self):
        it = committed_and_declined_by_the_rest()
        began = it.owner.now
        it.owner.fails_to_record(fx.RowState.ABSENT)
        it.owner.is_triggered()
        assert (it.owner.state, it.owner.did(fx.Load), it.owner.did(fx.Retire)) == (RECORDING, [], [fx.Retire(3)])
        it.owner.waits_out(fx.Timer.UNDO)
        assert it.owner.now == began + 1
        assert it.owner.orders()[-1] == fx.Record(4, A, A, undo=True, refused=B)
        it.owner.records()
        it.owner.receives(it.w2, Applied(4))
        assert (it.owner.answer(it.call).version, it.owner.state) == (4, LOADING)

    def test_a_master_that_goes_meanwhile_does_not_wait_for_it(self):
        it = committed_and_declined_by_the_rest()
        it.owner.feed(fx.MasterGone())
        it.owner.fails_to_record(fx.RowState.ABSENT)
        assert it.owner.did(fx.Exit) == [fx.Exit("")]

    def test_an_owner_that_finds_an_undo_goes_on_with_its_frames(self):
        """Without: w2, to which the undo had not gone out, asks its functions, and keeps what was undone."""
        owner = Owner((3, A), undo=True)
        w2 = owner.meets(2, 2, B)
        assert owner.sent(w2) == [installed(3, A, A, undo=True)]

    def test_a_re_issue_of_it_is_one_too(self):
        owner = Owner((3, A), undo=True, refused=B)
        owner.meets(2, 3, C)
        assert owner.orders() == [fx.Record(4, A, A, undo=True, refused=B)]


class TestWhoDeclinedAndDoesNotAnyMore:
    """Outcomes name workers that are there; a version that was declined is not good, whatever became of the worker."""

    @staticmethod
    def declined_by_w2() -> Scene:
        it = scene(COMMITTING)
        it.owner.receives(it.w2, Declined(2, (NO,)))
        return it

    def test_a_worker_that_declines_and_dies_before_the_barrier_ends_is_told(self):
        it = self.declined_by_w2()
        it.owner.loses(it.w2)
        it.owner.receives(it.w1, Applied(2))
        event = it.owner.answer(it.call)
        assert (event.result, event.lagging) == (SUCCESS, [])
        assert event.problems == [Problem("", "no", "worker 2, earlier")]

    def test_so_is_one_that_lost_its_pipe_and_one_that_has_applied_it_since(self):
        it = self.declined_by_w2()
        w2 = it.owner.meets(2, 1, A)
        it.owner.receives(it.w1, Applied(2))
        it.owner.receives(w2, Applied(2))
        event = it.owner.answer(it.call)
        assert (event.result, event.lagging) == (SUCCESS, [])
        assert event.problems == [Problem("", "no", "worker 2, earlier")]
        it = self.declined_by_w2()
        it.owner.loses_pipe(it.w2)
        it.owner.receives(it.w1, Applied(2))
        it.owner.waits_out(fx.Timer.BARRIER)
        event = it.owner.answer(it.call)
        assert event.result is PARTIAL
        assert event.problems == [Problem("", "no", "worker 2, earlier")]

    def test_it_is_told_once_and_one_that_still_declines_is_told_as_ever(self):
        it = self.declined_by_w2()
        it.owner.loses(it.w2)
        it.owner.receives(it.w1, Declined(2, (NO,)))
        it.owner.records()  # nobody runs it: the undo
        it.owner.receives(it.w1, Applied(3))
        event = it.owner.answer(it.call)
        assert [each.location for each in event.problems[:2]] == ["worker 1", "worker 2, earlier"]
        it.owner.forget().is_triggered("call")
        it.owner.loads(A)
        assert it.owner.events()[-1].problems == []

    def test_a_refusal_that_had_its_own_event_is_in_no_other(self):
        it = scene(COMMITTING)
        it.owner.receives(it.w1, Applied(2))
        it.owner.waits_out(fx.Timer.BARRIER)
        it.owner.receives(it.w2, Declined(2, (NO,)))
        it.owner.loses(it.w2)
        it.owner.forget().is_triggered()
        it.owner.loads(B)
        assert [(each.result, each.problems) for each in it.owner.events()] == [(UNCHANGED, [])]


def undone() -> Scene:
    it = committed_and_declined_by_the_rest()
    it.owner.records()
    it.owner.receives(it.w2, Applied(3))
    it.owner.forget()
    return it


class TestWhatWasUndone:
    @pytest.mark.parametrize("origin", ["signal", "watch", "restart"])
    def test_is_not_put_to_the_vote_by_a_trigger(self, origin):
        it = undone()
        it.owner.is_triggered(origin)
        it.owner.loads(B)
        event = it.owner.events()[-1]
        assert (event.result, texts(event), it.owner.state) == (REJECTED, [STILL_REFUSED], IDLE)

    def test_but_by_a_call(self):
        it = undone()
        it.owner.is_asked()
        it.owner.loads(B)
        assert it.owner.sent(it.w2) == [Prepare(2, B, B)]

    def test_nor_by_the_next_owner(self):
        owner = Owner((3, A), refused=B)
        owner.is_triggered("restart")
        owner.loads(B)
        assert texts(owner.events()[-1]) == [STILL_REFUSED]

    def test_until_another_content_is_committed(self):
        it = undone()
        it.owner.is_triggered()
        it.owner.loads(C)
        it.owner.receives(it.w2, Vote(2, True))
        assert it.owner.orders() == [fx.Record(4, C, C)]
        it.owner.records()
        it.owner.receives(it.w2, Applied(4))
        it.owner.is_triggered()
        it.owner.loads(B)
        assert it.owner.state is STAGING

    def test_or_the_sources_are_back_at_what_runs(self):
        it = undone()
        it.owner.is_triggered()
        it.owner.loads(A)
        assert it.owner.did(fx.ClearRefused) == [fx.ClearRefused()]
        it.owner.is_triggered()
        it.owner.loads(B)
        assert it.owner.state is STAGING


class TestALateRefusal:
    def test_stands_also_while_it_is_asked_again(self):
        """Without: a worker that starts while the reason is being asked for anew does not hear of it."""
        it = applied_and_declined()
        it.owner.is_triggered()
        it.owner.loads(B)
        assert [(s.state, s.reason) for s in it.owner.core.statuses()] == [("current", ""), ("declined", "no")]
        assert it.owner.sent(it.owner.meets(3)) == [installed(2, B, B, declined=1)]

    def test_is_no_success_where_nobody_else_is_left(self):
        """What ran is not known any more, since somebody ran it; but what the sources say runs nowhere."""
        it = applied_and_declined()
        it.owner.loses(it.w1)
        it.owner.is_triggered()
        it.owner.loads(B)
        it.owner.receives(it.w2, Declined(2, (NO,)))
        assert it.owner.events()[-1].result is REJECTED

    def test_of_a_worker_that_falls_silent_when_it_is_asked_again_is_told_with_its_reason(self):
        it = applied_and_declined()
        it.owner.loses(it.w1)
        it.owner.is_triggered()
        it.owner.loads(B)
        it.owner.forget().waits_out(fx.Timer.BARRIER)
        (event,) = it.owner.events()
        assert (event.result, texts(event)) == (REJECTED, ["no"])
        assert [(s.state, s.reason) for s in event.lagging] == [
            ("late", "did not answer within 2 s (vote_timeout); before, it declined: no")
        ]
        assert Settled(2, (2,)) not in it.owner.sent(it.w2)

    def test_is_told_to_who_starts_on_what_was_refused(self):
        it = applied_and_declined()
        assert it.owner.sent(it.owner.meets(3)) == [installed(2, B, B, declined=1)]
        it.owner.loses(it.w2)
        assert it.owner.sent(it.owner.meets(4)) == [installed(2, B, B)]

    def test_stands_in_the_status_until_it_is_cured(self):
        it = scene(COMMITTING)
        it.owner.receives(it.w1, Applied(2))
        it.owner.waits_out(fx.Timer.BARRIER)
        it.owner.receives(it.w2, Declined(2, (NO,)))
        assert [(s.state, s.reason) for s in it.owner.core.statuses()] == [("current", ""), ("declined", "no")]
        it.owner.is_triggered()
        it.owner.loads(C)
        it.both_send(Vote(2, True))
        it.owner.records()
        it.both_send(Applied(3))
        assert [status.state for status in it.owner.core.statuses()] == ["current", "current"]


class TestTheEndOfABarrier:
    """Without: the Hello of who started on the old snapshot file lies in the backlog while the barrier closes."""

    @pytest.mark.parametrize("unchanged", [False, True])
    def test_who_connected_before_is_received_before(self, unchanged):
        it = scene(COMMITTING, unchanged=unchanged)
        version = it.owner.version
        it.owner.accepts = False
        it.both_send(Applied(version))
        assert it.owner.did(fx.Accept) == [fx.Accept()]
        assert it.owner.answers(it.call) == []
        w3 = it.owner.meets(3, 1, C)
        it.owner.feed(fx.Accepted())
        assert it.owner.answers(it.call) == []
        it.owner.accepts = True
        it.owner.receives(w3, Applied(version))
        assert it.owner.answer(it.call).lagging == []

    def test_past_the_deadline_it_is_named(self):
        it = scene(COMMITTING)
        it.owner.accepts = False
        it.owner.waits_out(fx.Timer.BARRIER)
        it.owner.meets(3, 1, A)
        it.owner.feed(fx.Accepted())
        assert [status.pid for status in it.owner.answer(it.call).lagging] == [1, 2, 3]

    def test_it_is_asked_for_once_at_a_time(self):
        it = scene(COMMITTING)
        it.owner.accepts = False
        it.both_send(Applied(2))
        it.owner.loses(it.w2)
        it.owner.receives(it.w1, Applied(2))
        assert it.owner.did(fx.Accept) == [fx.Accept()]
