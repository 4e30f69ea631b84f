"""Traces that `scripts/mutate` has asked for, of what begins and of who is asked: as `test_by_mutants.py`."""

from __future__ import annotations

import pytest

from confcast.errors import Problem
from confcast.owner.core import effects as fx
from confcast.owner.core.machine import Committed, Core, Hold, OperatorState, ProposalState, Proven, Rules
from confcast.owner.core.operator_state import Unconfirmed
from confcast.owner.core.proposal import NOT_PROMOTED, OWED, UNDONE
from confcast.owner.core.retried_writes import EXPIRY_RETRY
from confcast.owner.core.windows import digest_of
from confcast.wire.canary import Canary
from confcast.wire.messages import (
    Applied,
    Change,
    Confirm,
    Counts,
    Declined,
    Goodbye,
    Prepare,
    Reload,
    ReloadResult,
    Set,
    Settled,
    Tried,
    Try,
)
from tests.core.test_by_mutants_of_windows import expiring
from tests.core.test_probations import complains, passes, running
from tests.core.test_trials import BY_ENTITY, ONE, OPERATOR, knows, tries
from tests.core.test_trials import serving as trying
from tests.core.test_windows import SECONDS, opens, reborn, serving, window
from tests.core.world import SCHEMA, WHY, A, B, C, Owner, all_apply, all_decline, all_vote, commits

IDLE, LOADING, STAGING, RECORDING, COMMITTING = ProposalState


# ---- a first start that may fall back


def first_start(**other: object) -> Owner:
    owner = Owner((3, A), last_good=True, **other)
    owner.forget()
    return owner


def test_a_value_whose_end_fails_first_is_no_first_load():
    owner = first_start(operator=OperatorState(layer=b"k", expires=101.0))
    owner.now = 102.0
    owner.feed(fx.Wake(fx.Timer.EXPIRY, -1))
    owner.fails_to_load()
    assert owner.did(fx.Restore) == []
    owner.is_triggered("start")
    owner.fails_to_load()
    assert len(owner.did(fx.Restore)) == 1


def test_a_reissue_is_no_first_load():
    owner = first_start()
    owner.meets(1, 5, A)
    owner.records()
    owner.is_triggered("start")
    owner.receives(owner.meets(1, 5, A), Applied(5))
    assert owner.state is LOADING
    owner.fails_to_load()
    assert len(owner.did(fx.Restore)) == 1


@pytest.mark.parametrize("what", ["a hold", "what was undone"])
def test_where_something_stands_a_first_load_that_fails_puts_nothing_back(what: str):
    hold = Hold(3, 50.0) if what == "a hold" else None
    refused = Unconfirmed(9, digest_of(B), "errors", B) if what != "a hold" else None
    owner = first_start(operator=OperatorState(hold=hold, unconfirmed=refused))
    owner.is_triggered("start")
    owner.fails_to_load()
    assert (owner.state, owner.did(fx.Restore)) == (IDLE, [])


# ---- an owner begins


def test_an_owner_of_which_nothing_is_said_begins_with_nothing():
    core = Core(Rules(schema=SCHEMA))
    assert core.begin() == []
    assert (core.committed.version, core.high_water, core.refused, core.fallback.committed.version) == (0, 0, b"", 0)
    core.handle(fx.Trigger("start"), 0.0)
    core.handle(fx.LoadFailed(1, ReloadResult.VALIDATION_FAILED, (WHY,)), 1.0)
    assert core.state is IDLE
    core.handle(fx.Trigger("start"), 2.0)
    core.handle(fx.Loaded(2, A, A, differs=True), 3.0)
    assert core.state is RECORDING


def test_since_when_an_owner_is_idle_is_since_it_began():
    assert Core(Rules(schema=SCHEMA)).phase().since == 0.0


def test_what_would_be_put_back_has_the_overrides_that_it_has():
    operator = OperatorState(layer=b"k", expires=150.0)
    assert Owner((1, A), operator=operator).core.fallback == Proven(Committed(1, A, A), b"k", 150.0)


def test_a_worker_with_a_higher_number_at_once_is_not_waited_for():
    owner = Owner((1, A))
    owner.meets(1, 5, A)
    assert [record.version for record in owner.did(fx.Record)] == [5]


def test_where_nothing_is_committed_a_worker_with_a_trial_begins_nothing():
    owner = Owner(None)
    owner.meets(1, trial=5)
    assert owner.did(fx.Record) == []


def test_a_worker_that_has_on_trial_what_is_committed_is_given_it():
    """It has missed the promotion."""
    owner = Owner((2, B))
    peer = owner.meets(1, 1, A, trial=2)
    assert owner.did(fx.Record) == []
    assert [frame.version for frame in owner.sent(peer)] == [2]


# ---- what begins


def test_an_undo_has_loaded_nothing():
    owner, first, second = serving()
    owner.is_triggered()
    owner.loads(B)
    all_vote(owner, first, second)
    owner.records()
    owner.waits_out(fx.Timer.BARRIER)
    assert owner.state is IDLE
    owner.receives(first, Declined(2, (WHY,)))
    owner.receives(second, Declined(2, (WHY,)))
    owner.now += 1.0
    owner.forget().records()
    all_apply(owner, first, second)
    event = owner.events()[-1]
    assert (event.version, event.load_ms, event.stage_ms) == (3, 0.0, 0.0)


def test_a_load_says_for_whom_it_is_and_that_it_is_more_than_a_comparison():
    owner, *_ = serving()
    owner.is_asked_for(Reload, OPERATOR)
    (load,) = owner.did(fx.Load)
    assert (load.who, load.compare, load.insist) == (OPERATOR, False, True)


def test_the_end_of_a_value_is_insisted_on_by_nobody_and_once_refused_not_tried_again_by_itself():
    owner, _ = expiring()
    (load,) = owner.did(fx.Load)
    assert (load.insist, load.compare, load.who) == (False, False, None)
    owner.fails_to_load()
    owner.forget().feed(fx.Wake(fx.Timer.EXPIRY, -1))
    assert (owner.state, owner.did(fx.Load)) == (IDLE, [])


def test_a_windows_end_that_an_answer_finds_is_the_end():
    """The answer is there before the timer."""
    owner, first, second = serving()
    owner.is_asked_for(Reload, OPERATOR, confirm_within=60.0)
    owner.loads_of(B, B)
    commits(owner, first, second)
    owner.now += 100.0
    owner.forget().receives(first, Applied(2))
    assert [record.payload for record in owner.did(fx.Record)] == [A]


# ---- the canaries


def test_who_sleeps_is_no_canary():
    owner, (w1, w2, w3, w4) = trying(4, canary=None)
    owner.is_asked_for(Reload, OPERATOR, canary=Canary(3))
    owner.loads_of(B, B)
    all_vote(owner, w1, w2)
    owner.waits_out(fx.Timer.STAGE)
    owner.loses_pipe(w4)
    owner.records()
    assert owner.core._canaries.pids == {w1.pid, w2.pid}
    assert w3.pid in owner.names()


def test_who_has_agreed_is_a_canary_before_who_has_just_come():
    owner, (w1, w2) = trying()
    owner.is_asked_for(Reload, OPERATOR)
    owner.loads_of(B, B)
    all_vote(owner, w1, w2)
    owner.loses_pipe(w1)
    knows(owner, w1.pid)
    owner.forget().records()
    assert owner.sent(w2) == [Try(1, 2)]


def test_by_entity_the_use_begins_without_who_is_silent():
    owner, (w1, w2) = trying(canary=BY_ENTITY)
    owner.is_asked_for(Reload, OPERATOR)
    owner.loads_of(B, B)
    all_vote(owner, w1)
    owner.waits_out(fx.Timer.STAGE)
    owner.records()
    owner.receives(w1, Tried(2))
    assert Settled(2, (w2.pid,)) in owner.sent(w1)


@pytest.mark.parametrize("patches", [False, True])
def test_a_canary_that_comes_later_is_given_a_patch_if_it_takes_one(patches: bool):
    owner, (w1, w2) = trying()
    owner.is_asked()
    owner.loads(B, base=A)
    all_vote(owner, w1, w2)
    owner.receives(w1, Goodbye())
    owner.receives(w2, Goodbye())
    owner.forget().records()
    peers = [knows(owner, pid, patches=patches) for pid in (3, 4)]
    (frame,) = [frame for peer in peers for frame in owner.sent(peer) if isinstance(frame, Prepare)]
    assert (frame.payload, frame.base) == ((b"A>B", A) if patches else (B, b""))


# ---- what is refused, and told


def test_a_reissue_has_loaded_nothing_and_is_about_what_runs():
    owner = Owner((1, A))
    owner.now += 1.0
    peer = owner.meets(1, 5, A)
    owner.now += 1.0
    owner.records()
    owner.receives(peer, Applied(5))
    event = owner.events()[-1]
    assert (event.origin, event.load_ms, event.stage_ms, event.journal_ms) == ("reissue", 0.0, 0.0, 1000.0)
    assert owner.did(fx.RecordEvent)[-1].subject == fx.Subject(0, 0, 1)


def test_silence_refuses_in_words():
    owner, first, _ = serving(silent="refuse")
    owner.is_triggered()
    owner.loads(B)
    all_vote(owner, first)
    owner.waits_out(fx.Timer.STAGE)
    silent = Problem("", "did not answer within 2 s (vote_timeout)", "worker 2")
    assert owner.events()[-1].problems == [silent, Problem("", OWED)]


def test_silence_refuses_a_promotion_in_words():
    owner, (w1, w2) = trying(silent="refuse")
    tries(owner, [w1, w2])
    owner.receives(w1, Tried(2))
    owner.is_asked_for(Confirm, OPERATOR)
    all_vote(owner, w1)
    owner.waits_out(fx.Timer.STAGE)
    silent = Problem("", "did not answer within 2 s (vote_timeout)", "worker 2")
    assert owner.core._proposal.evidence == (NOT_PROMOTED.format(2, silent),)


def test_the_silence_of_one_that_came_in_a_trial_refuses_the_promotion():
    """It has not answered what runs, which somebody has confirmed meanwhile."""
    owner, peers = trying(silent="refuse", canary=None)
    opens(owner, *peers)
    tries(owner, peers, C, ONE)
    owner.meets(3, trial=0)
    owner.is_asked_for(Confirm, OPERATOR, version=2)
    owner.records()
    owner.waits_out(fx.Timer.BARRIER)
    owner.forget().is_asked_for(Confirm, OPERATOR)
    all_vote(owner, *peers)
    (record,) = owner.did(fx.Record)
    assert (record.payload, record.undoes) == (B, 3)
    owner.records()
    all_apply(owner, *peers)
    why = "worker 3: did not answer within 2 s (vote_timeout)"
    assert owner.events()[-1].evidence == [NOT_PROMOTED.format(3, why)]


def test_a_value_that_silence_has_refused_holds_up_no_other_values_end():
    operator = OperatorState(hold=Hold(1, 50.0), layer=b"k", expires=200.0)
    owner, first, _ = serving(silent="refuse", operator=operator)
    owner.is_asked_for(Set, OPERATOR, values={"k": "x"})
    owner.loads(B)
    all_vote(owner, first)
    owner.waits_out(fx.Timer.STAGE)
    assert owner.state is IDLE
    owner.now = 200.0
    owner.forget().feed(fx.Wake(fx.Timer.EXPIRY, -1))
    assert [load.rebuild for load in owner.did(fx.Load)] == [True]


def test_a_values_end_that_can_not_be_written_is_tried_again_later():
    owner, peers = expiring()
    owner.loads_of(C, B)
    all_vote(owner, *peers)
    owner.forget().fails_to_record(fx.RowState.ABSENT)
    assert [each.when for each in owner.did(fx.WakeAt) if each.timer is fx.Timer.EXPIRY] == [owner.now + EXPIRY_RETRY]


def test_the_time_of_a_value_is_set_once():
    owner, *peers = serving()
    owner.is_asked_for(Set, OPERATOR, values={"k": "x"})
    owner.loads_with(B, b"k", 150.0)
    commits(owner, *peers)
    assert [each.when for each in owner.did(fx.WakeAt) if each.timer is fx.Timer.EXPIRY] == [150.0]
    assert owner.core.fallback == Proven(owner.core.committed, b"k", 150.0)
    owner.is_triggered()
    owner.forget().loads_with(B, b"k", 150.0)
    all_apply(owner, *peers)
    assert [each for each in owner.did(fx.WakeAt) if each.timer is fx.Timer.EXPIRY] == []


def test_the_deadline_of_a_window_is_set_once():
    owner, *peers = serving()
    opens(owner, *peers)
    owner.is_triggered()
    owner.forget().loads(C)
    commits(owner, *peers)
    assert [each for each in owner.did(fx.WakeAt) if each.timer is fx.Timer.CONFIRM] == []


def test_of_windows_only_the_one_that_a_start_has_found_ends_with_it():
    owner, *peers = serving()
    opens(owner, *peers)
    owner = reborn(owner, starts_anew=True)
    peers = [owner.meets(pid) for pid in (1, 2)]
    owner.is_triggered("start")
    owner.records()
    all_apply(owner, *peers)
    owner.loads_of(A, A)
    all_apply(owner, *peers)
    assert (owner.state, owner.core.operator.window) == (IDLE, None)
    opens(owner, *peers, content=C)
    assert (owner.state, owner.core.operator.window is not None) == (IDLE, True)


def test_an_undo_tells_what_has_changed_since_what_it_puts_back_and_no_more():
    owner, *peers = serving()
    for key in ("k", "j"):
        owner.is_asked_for(Reload, OPERATOR, confirm_within=SECONDS)
        change = Change(key, 1, 2)
        content = key.encode()
        owner.feed(fx.Loaded(owner.last_load, content, content, differs=True, changes=(change,), values=content))
        commits(owner, *peers)
        owner.waits_out(fx.Timer.CONFIRM)
        owner.forget().records()
        all_apply(owner, *peers)
        assert [each.key for each in owner.events()[-1].changes] == [key]


def test_what_was_seen_of_what_runs_and_of_what_would_be_put_back_is_kept():
    owner, *peers = serving()
    owner.receives(peers[0], Counts(1, 1000, 0, 0))
    opens(owner, *peers)
    owner.receives(peers[0], Counts(2, 500, 0, 0))
    for version in range(10, 30):
        owner.core.evidence.begins(version, 0.0)
    assert [owner.core.evidence.requests(version).answered for version in (1, 2)] == [1000, 500]


def test_what_all_have_is_what_would_be_put_back_though_one_declines_it_later():
    owner, *peers = serving()
    owner.is_triggered()
    owner.loads(B)
    commits(owner, *peers)
    owner.receives(peers[0], Declined(2, (WHY,)))
    assert owner.core.fallback.committed.version == 2


def test_what_one_has_not_answered_is_not_what_would_be_put_back_once_it_declines_it():
    owner, first, second = serving()
    owner.is_triggered()
    owner.loads(B)
    all_vote(owner, first, second)
    owner.records()
    owner.receives(first, Applied(2))
    owner.waits_out(fx.Timer.BARRIER)
    owner.is_triggered()
    owner.loads(B)
    assert (owner.state, owner.core.fallback.committed.version) == (IDLE, 2)
    owner.receives(second, Declined(2, (WHY,)))
    assert owner.core.fallback.committed.version == 1


def test_a_refusal_amid_a_write_that_falls_back_to_what_is_refused_comes_too_late():
    """F2: the row that is being written says what its window falls back to."""
    owner, first, second = running()
    w3 = owner.meets(3)
    owner.is_triggered()
    owner.loads_of(B, B)
    owner.waits_out(fx.Timer.BARRIER)
    passes(owner)
    assert (owner.core.fallback.committed.version, owner.state) == (2, IDLE)
    owner.is_triggered()
    owner.loads_of(C, C)
    all_vote(owner, first, second)
    assert owner.state is RECORDING
    owner.receives(w3, Declined(2, (WHY,)))
    owner.records()
    assert (window(owner).fallback, owner.core.fallback.committed.version) == (2, 2)


def test_what_a_window_was_opened_on_where_nothing_was_ever_proven_is_put_back_whoever_declines_it():
    owner = Owner(None)
    first, second = owner.meets(1), owner.meets(2)
    owner.is_triggered()
    owner.loads(A)
    all_vote(owner, first, second)
    owner.records()
    owner.receives(first, Applied(1))
    owner.receives(second, Declined(1, (WHY,)))
    assert owner.core.fallback.committed.version == 0
    owner.is_asked_for(Reload, OPERATOR, confirm_within=SECONDS)
    owner.loads_of(A, A)
    owner.records()
    all_apply(owner, first, second)
    owner.is_asked_for(Confirm, OPERATOR)
    owner.records()
    assert (owner.state, owner.core.operator.window) == (IDLE, None)
    owner.receives(owner.meets(3), Declined(1, (WHY,)))
    assert owner.core.fallback.committed.version == 1


def test_an_undo_says_which_version_it_undoes_and_keeps_what_was_tried():
    owner, *peers = serving()
    owner.is_triggered("watch")
    owner.loads(B)
    all_vote(owner, *peers)
    owner.records()
    all_decline(owner, *peers)
    (record,) = owner.did(fx.Record)[1:]
    assert record.operator.tried == B
    owner.records()
    all_apply(owner, *peers)
    assert owner.events()[-1].problems[-1] == Problem("", UNDONE.format(2, 1))
    assert owner.did(fx.RecordEvent)[-1].subject == fx.Subject(1, 2, 1)


def test_an_undo_to_what_a_window_would_put_back_closes_it():
    owner, *peers = serving()
    owner.is_asked_for(Reload, OPERATOR, confirm_within=SECONDS)
    owner.loads_of(A, A)
    owner.records()
    all_apply(owner, *peers)
    owner.is_triggered()
    owner.loads(B)
    all_vote(owner, *peers)
    owner.records()
    all_decline(owner, *peers)
    assert (owner.did(fx.Record)[-1].payload, owner.did(fx.Record)[-1].operator.window) == (A, None)


def test_who_waits_when_the_owner_leaves_is_told_why():
    owner, *_ = serving()
    call = owner.is_asked()
    owner.feed(fx.MasterGone())
    assert owner.answer(call).problems == [Problem("", "the owner is leaving: its master is gone, or closed it")]


def test_what_is_said_against_a_version_while_its_confirmation_is_written_is_over_with_it():
    owner, w1, w2 = running()
    owner.is_asked_for(Confirm, OPERATOR)
    complains(owner, w1)
    owner.forget().records()
    all_apply(owner, w1, w2)
    assert (owner.state, owner.core.operator.window, owner.did(fx.Record), owner.did(fx.RecordState)) == (
        *(IDLE, None),
        *([], []),
    )


def test_only_the_times_that_a_window_has_are_waited_for():
    owner, *_ = running()
    assert [each for each in owner.all if isinstance(each, fx.WakeAt) and each.timer is fx.Timer.CONFIRM] == []
    owner, *peers = serving()
    opens(owner, *peers)
    assert [each for each in owner.did(fx.WakeAt) if each.timer is fx.Timer.PROVEN] == []


def test_the_end_of_a_probation_is_set_once():
    owner, *peers = running()
    owner.is_asked_for(Set, OPERATOR, values={"k": "x"})
    owner.loads_of(B, B, layer=b"k")
    owner.forget().records()
    all_apply(owner, *peers)
    assert (owner.state, owner.core.operator.layer) == (IDLE, b"k")
    assert [each for each in owner.did(fx.WakeAt) if each.timer is fx.Timer.PROVEN] == []


def test_who_has_lost_its_pipe_in_a_write_is_named_so():
    owner, first, second = serving()
    owner.is_triggered()
    owner.loads(B)
    all_vote(owner, first, second)
    owner.loses_pipe(second)
    assert [each.reason for each in owner.core.statuses()] == ["", "lost its pipe while the journal was written"]
