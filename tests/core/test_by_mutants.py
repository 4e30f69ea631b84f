"""Traces that `scripts/mutate` has asked for: each notices a change of the core that no other test noticed."""

from __future__ import annotations

import msgspec
import pytest

from confcast.owner.core import effects as fx
from confcast.owner.core.machine import Committed, Hold, OperatorState, ProposalState, Proven
from confcast.owner.core.operator_state import Unconfirmed, Window
from confcast.owner.core.proposal import NO_CANARY, TOO_FEW_CANARIES
from confcast.owner.core.requests import Caller, Cause, Requests
from confcast.owner.core.windows import digest_of
from confcast.wire.messages import (
    Check,
    Confirm,
    Goodbye,
    Prepare,
    Reload,
    ReloadResult,
    Rollback,
    Set,
    Tried,
    Try,
    Unhealthy,
    Vote,
)
from tests.core.test_trials import BY_ENTITY, ONE, OPERATOR, begun, counts, knows, serving, tries, undone
from tests.core.world import A, B, C, Owner, Peer, all_apply, all_vote, commits, installed

IDLE, LOADING, STAGING, RECORDING, COMMITTING = ProposalState


# ---- what a trial writes, and says


@pytest.mark.parametrize(("able", "note"), [(0, NO_CANARY), (1, TOO_FEW_CANARIES.format(1))])
def test_why_nothing_was_tried_is_said_with_how_many_could_be_canaries(able: int, note: str):
    owner, peers = serving(able)
    peers.append(owner.has(50))
    call = owner.is_asked()
    owner.loads(B)
    commits(owner, *peers)
    assert owner.answer(call).notes == [note]


def test_a_trial_notes_what_was_tried_and_what_is_refused_no_more():
    """The next owner would find the content held back, or undone, again."""
    refused = Unconfirmed(9, digest_of(C), "errors", C)
    owner, peers = serving(operator=OperatorState(unconfirmed=refused, tried=C))
    owner.is_asked_for(Reload, OPERATOR)
    owner.loads_of(B, B)
    all_vote(owner, *peers)
    (write,) = owner.did(fx.RecordState)
    assert (write.operator.tried, write.operator.unconfirmed) == (B, None)


def test_what_is_set_on_top_of_a_hold_is_tried_without_the_sources():
    """They gave the held version's content, which is not refused with the value."""
    owner, peers = serving(operator=OperatorState(hold=Hold(1, 50.0)))
    owner.is_asked_for(Set, OPERATOR, values={"k": "x"})
    owner.loads_of(B, A, layer=b"k")
    all_vote(owner, *peers)
    (write,) = owner.did(fx.RecordState)
    assert write.operator.trial.sources == b""


def test_by_entity_the_canaries_have_the_time_of_a_vote_beside_the_trials_own():
    owner, peers = serving(canary=BY_ENTITY)
    owner.is_asked_for(Reload, OPERATOR)
    owner.loads_of(B, B)
    all_vote(owner, *peers)
    (write,) = owner.did(fx.RecordState)
    assert write.operator.trial.deadline == 100.0 + 60.0 + owner.core.rules.vote_timeout


def test_what_was_counted_before_a_trial_is_compared_with_it():
    """Whatever is forgotten for a new version, it is not what runs, nor what is on trial."""
    owner, peers = serving()
    evidence = owner.core.evidence
    counts(owner, peers[0], 1000, version=1)
    tries(owner, peers)
    owner.receives(peers[0], Tried(2))
    counts(owner, peers[0], 7)
    for version in range(10, 30):
        evidence.begins(version, 0.0)
    assert (evidence.requests(1).answered, evidence.requests(2).answered) == (1000, 7)


def test_how_long_a_canary_had_it_is_since_it_first_had_it():
    owner, (w1, _) = begun()
    owner.now += 7.0
    owner.receives(w1, Tried(2))
    owner.now += 3.0
    owner.feed(fx.ProcessGone(w1.pid, "was killed by signal 11"))
    assert "10 s after it had version 2" in owner.core.evidence.found(2)[0]


def test_a_canarys_yes_after_the_round_is_its_own_and_not_dropped():
    owner, (w1, w2) = serving()
    owner.is_asked()
    owner.loads(B)
    all_vote(owner, w1, w2)
    owner.receives(w1, Goodbye())
    owner.receives(w2, Goodbye())
    owner.records()
    peers = knows(owner, 3), knows(owner, 4)
    (canary,) = [peer for peer in peers if Prepare(1, B, B) in owner.sent(peer)]
    owner.receives(canary, Vote(1, True))
    assert owner.sent(canary)[-1] == Try(1, 2)
    assert not owner.core.dropped


def test_a_next_generation_ends_it_and_that_is_said():
    owner, peers = begun()
    owner.feed(fx.HandsOver(True))
    undone(owner, peers)
    assert owner.events()[-1].evidence == ["version 2 was still on trial when the server was fully reloaded"]


def test_after_a_trial_by_a_call_no_later_failure_is_the_first_loads():
    mine = Committed(1, A, A, False, A)
    owner = Owner((1, A), fallback=Proven(mine), canary=ONE, last_good=True, starts_anew=True)
    owner.core._numbers.committed = mine
    peers = [knows(owner, pid) for pid in (1, 2)]
    owner.is_asked_for(Reload, OPERATOR, canary=ONE)
    owner.loads_of(B, B)
    all_vote(owner, *peers)
    owner.records()
    assert owner.events()[-1].result is ReloadResult.ON_TRIAL
    owner.is_triggered()
    owner.fails_to_load()
    assert owner.did(fx.Restore) == []


def test_an_operation_that_has_ended_a_trial_is_done_after_it():
    owner, peers = begun()
    owner.is_asked_for(Set, OPERATOR, values={"k": "x"}, expect=2)
    owner.records()
    all_apply(owner, *peers)
    edit = owner.did(fx.Load)[-1].edit
    assert (edit.values, edit.expect) == ({"k": "x"}, None)


PROVEN = Committed(1, A, A, False, A)


def provisional(content: bytes = B, **other: object) -> tuple[Owner, list[Peer]]:
    """Two workers with version 2, which a window puts back to version 1 unless it is confirmed."""
    window = Window(1, deadline=500.0, within=400.0, sources=digest_of(content))
    owner = Owner((2, content), fallback=Proven(PROVEN), operator=OperatorState(window=window), canary=ONE, **other)
    peers = [knows(owner, pid) for pid in (1, 2)]
    owner.forget()
    return owner, peers


def dry_run(owner: Owner, content: bytes = C) -> fx.Call:
    call = owner.is_asked_for(Check)
    owner.loads(content)
    assert owner.state is STAGING
    return call


def test_the_undo_of_a_trial_to_its_last_field():
    owner, peers = begun()
    owner.now += 5.0
    owner.receives(peers[0], Unhealthy(2, "slow"))
    why = "worker 1 says that version 2 is unhealthy: slow"
    (record,) = owner.did(fx.Record)
    refused = Unconfirmed(2, digest_of(B), why, B)
    state = msgspec.structs.replace(owner.core.operator, serial=2, trial=None, unconfirmed=refused, tried=B)
    assert record == fx.Record(3, A, A, refused=B, origin="undo", values=A, operator=state, undoes=2)
    owner.now += 1.0
    owner.forget().records()
    assert [owner.sent(peer) for peer in peers] == [[installed(3, A, A)]] * 2
    assert [status.state for status in owner.core.statuses()] == ["behind", "behind"]
    owner.now += 2.0
    all_apply(owner, *peers)
    (event,) = owner.events()
    (problem,) = event.problems
    text = f"{why}, so version 2 has been undone: version 1 goes on under the next number."
    assert (problem.key, problem.message[: len(text)]) == ("", text)
    assert (event.origin, event.version, event.previous_version, event.evidence) == ("undo", 3, 1, [why])
    assert (event.load_ms, event.stage_ms, event.journal_ms, event.commit_ms) == (0.0, 0.0, 1000.0, 2000.0)


@pytest.mark.parametrize(("reason", "by"), [("more", "set (more)"), ("", "set")])
def test_what_has_ended_a_trial_is_told(reason: str, by: str):
    owner, peers = begun()
    owner.is_asked_for(Set, OPERATOR, values={"k": "x"}, reason=reason)
    owner.records()
    all_apply(owner, *peers)
    assert owner.events()[0].evidence == [f"{by} ended the trial of version 2"]


def test_a_value_on_trial_whose_sources_run_refuses_no_sources():
    owner, peers = serving()
    owner.is_asked_for(Set, OPERATOR, values={"k": "x"})
    owner.loads_of(B, A, layer=b"k")
    all_vote(owner, *peers)
    owner.records()
    owner.receives(peers[0], Unhealthy(2, "slow"))
    assert owner.did(fx.Record)[0].operator.unconfirmed is None


def test_a_dry_run_goes_on_while_a_trials_time_is_not_over():
    owner, _ = begun()
    call = dry_run(owner)
    owner.feed(fx.Wake(fx.Timer.TRIAL, -1))
    assert (owner.state, owner.answers(call)) == (STAGING, [])


def test_a_dry_run_gives_way_at_a_trials_end():
    owner, peers = begun()
    counts(owner, peers[0], 50)
    owner.now = 159.0
    call = dry_run(owner)
    owner.waits_out(fx.Timer.TRIAL)
    assert owner.answer(call).result is ReloadResult.OWNER_UNAVAILABLE
    assert owner.core._proposal.promotes is not None


def test_an_extension_to_its_last_field():
    """What was refused before a value was tried still is."""
    owner, peers = serving(refused=C)
    owner.now += 1.0
    owner.is_asked_for(Set, OPERATOR, values={"k": "x"})
    owner.loads_of(B, A, layer=b"k")
    all_vote(owner, *peers)
    owner.records()
    owner.receives(peers[0], Tried(2))
    owner.forget().waits_out(fx.Timer.TRIAL)
    (write,) = owner.did(fx.RecordState)
    assert write.refused == C
    owner.now += 2.0
    owner.records()
    (event,) = owner.events()
    assert (event.duration_ms, event.load_ms, event.stage_ms) == (2000.0, 0.0, 0.0)
    assert owner.core.refused == C


def test_a_promotion_by_a_person_has_no_note():
    owner, peers = begun()
    owner.is_asked_for(Confirm, OPERATOR)
    commits(owner, *peers)
    assert owner.events()[-1].notes == []


@pytest.mark.parametrize("confirmed", [False, True])
def test_a_promotion_carries_on_the_window_that_is_open_by_then(confirmed: bool):
    owner, peers = provisional()
    tries_by_call(owner, peers)
    if confirmed:
        owner.is_asked_for(Confirm, OPERATOR, version=2)
        owner.records()
    owner.is_asked_for(Confirm, OPERATOR, version=3)
    all_vote(owner, *peers)
    window = owner.did(fx.Record)[-1].operator.window
    assert (window is None) is confirmed


def tries_by_call(owner: Owner, peers: list[Peer], content: bytes = C) -> None:
    owner.is_asked_for(Reload, OPERATOR)
    owner.loads_of(content, content)
    all_vote(owner, *peers)
    owner.records()
    owner.receives(peers[0], Tried(owner.core.operator.trial.version))
    assert owner.state is IDLE


@pytest.mark.parametrize("undone_before", [True, False])
def test_what_is_refused_beside_a_value_on_trial_stays_refused(undone_before: bool):
    """Only with the sources that gave it: else the sources have moved on, and nothing is refused."""
    unconfirmed = Unconfirmed(9, digest_of(A), "errors", C) if undone_before else None
    owner, peers = serving(refused=C, operator=OperatorState(unconfirmed=unconfirmed))
    owner.is_asked_for(Set, OPERATOR, values={"k": "x"})
    owner.loads_of(B, A, layer=b"k")
    all_vote(owner, *peers)
    assert owner.did(fx.RecordState)[0].operator.unconfirmed == unconfirmed
    owner.records()
    owner.is_asked_for(Confirm, OPERATOR)
    all_vote(owner, *peers)
    assert owner.did(fx.Record)[-1].refused == (C if undone_before else b"")


def test_a_promotion_that_can_not_be_written_is_undone_and_says_why():
    owner, peers = begun()
    owner.is_asked_for(Confirm, OPERATOR)
    all_vote(owner, *peers)
    owner.fails_to_record(fx.RowState.ABSENT)
    assert owner.core._proposal.evidence == ("version 2 was to be committed: no",)


def test_after_a_way_back_that_can_not_be_written_the_trial_has_its_canary():
    owner, (w1, w2) = begun()
    owner.is_asked_for(Rollback, OPERATOR)
    owner.fails_to_record(fx.RowState.ABSENT)
    assert owner.core.operator.trial is not None
    owner.receives(w1, Goodbye())
    owner.forget()
    w3 = knows(owner, 3)
    assert Prepare(1, B, B) in [*owner.sent(w2), *owner.sent(w3)]


def test_a_confirmation_of_another_version_names_both():
    owner, _ = begun()
    call = owner.is_asked_for(Confirm, OPERATOR, version=7)
    (problem,) = owner.answer(call).problems
    assert "version 2" in problem.message
    assert "7" in problem.message


def test_a_way_back_from_a_trial_in_a_window_of_what_runs_already_ends_the_trial():
    owner, peers = provisional(A)
    tries_by_call(owner, peers)
    owner.forget().is_asked_for(Rollback, OPERATOR, reason="errors")
    (record,) = owner.did(fx.Record)
    assert (record.version, record.payload, record.operator.window, record.operator.trial) == (4, A, None, None)
    assert record.operator.hold == Hold(2, 100.0, OPERATOR, "errors")


def test_a_way_back_from_a_trial_takes_back_what_is_provisional_beside_it():
    owner, peers = provisional()
    tries_by_call(owner, peers)
    owner.forget().is_asked_for(Rollback, OPERATOR)
    (record,) = owner.did(fx.Record)
    assert (record.payload, record.operator.window, record.operator.trial) == (A, None, None)
    assert record.operator.hold.version == 1


def test_a_confirmation_after_a_way_back_says_which_version_was_taken_back():
    owner, peers = begun()
    owner.is_asked_for(Rollback, OPERATOR)
    undone(owner, peers)
    call = owner.is_asked_for(Confirm, OPERATOR)
    assert "version 2" in owner.answer(call).error_message


def test_what_was_seen_of_what_runs_and_of_what_would_be_put_back_is_kept_beside_a_trial():
    owner, peers = provisional()
    counts(owner, peers[0], 1000, version=1)
    counts(owner, peers[0], 500, version=2)
    tries_by_call(owner, peers)
    for version in range(10, 30):
        owner.core.evidence.begins(version, 0.0)
    assert [owner.core.evidence.requests(version).answered for version in (1, 2)] == [1000, 500]


def test_a_hold_that_has_stopped_nothing_ends_without_a_load():
    window = Window(1, deadline=150.0, within=50.0, layer=b"")
    owner = Owner(
        (2, B), fallback=Proven(Committed(1, A, A, False, A)), operator=OperatorState(window=window, hold=Hold(2, 90.0))
    )
    owner.has(1)
    owner.waits_out(fx.Timer.CONFIRM)
    owner.records()
    all_apply(owner, Peer(1, 1))
    assert (owner.state, owner.did(fx.Record)[0].operator.hold) == (IDLE, None)
    assert owner.did(fx.Load) == []


def test_the_trial_of_an_owner_that_has_died_ends_with_the_first_worker_that_comes():
    """Whatever triggers come, or don't."""
    former, _ = begun()
    owner = Owner((1, A), fallback=Proven(PROVEN), operator=former.core.operator, canary=ONE)
    assert owner.did(fx.Record) == []
    knows(owner, 1)
    assert [record.undoes for record in owner.did(fx.Record)] == [2]


def test_an_answer_that_changes_nothing_leaves_a_trials_owner_as_long_idle():
    owner, peers = begun()
    since = owner.core.phase().since
    owner.now += 7.0
    owner.receives(peers[0], Tried(2))
    assert owner.core.phase().since == since


# ---- the requests that wait

CALLER, CAUSE = Caller((1, 1)), Cause("call")
WATCH = Cause("watch")


def test_a_hold_that_ends_causes_no_load_twice():
    requests = Requests()
    requests.retry_stopped(A)
    assert not requests
    requests.stop(B)
    requests.retry_stopped(A)
    assert requests.begin() == (WATCH, False)
    requests.retry_stopped(C)
    assert not requests


def test_an_operation_that_was_answered_serves_nobody():
    requests = Requests()
    requests.call(CALLER, CAUSE, Reload(1, force=True))
    requests.begin_operation()
    assert requests.called
    assert requests.served() == [CALLER]
    assert not requests.called


@pytest.mark.parametrize("begun", [False, True])
def test_what_is_put_back_expects_what_it_did_unless_that_was_compared(begun: bool):
    requests = Requests()
    requests.call(CALLER, CAUSE, Reload(1, expect=7))
    requests.begin_operation()
    requests.put_back(begun=begun)
    assert not requests.called
    assert requests.begin_operation().asked == Reload(1, expect=None if begun else 7)
    assert requests.begin_operation() is None


def test_what_is_put_back_expects_it_by_default():
    requests = Requests()
    requests.call(CALLER, CAUSE, Reload(1, expect=7))
    requests.begin_operation()
    requests.put_back()
    assert requests.begin_operation().asked.expect == 7


def test_triggers_that_came_since_stay_beside_those_that_are_put_back():
    requests = Requests()
    requests.trigger(WATCH)
    requests.begin()
    requests.trigger(WATCH)
    requests.trigger(Cause("signal"))
    requests.put_back()
    assert requests.begin() == (WATCH, True)
    requests.put_back()
    assert requests._triggers == [WATCH, Cause("signal")]


def test_what_was_owed_is_owed_again_once_its_load_is_put_back():
    requests = Requests()
    requests.call(CALLER, CAUSE)
    requests.begin()
    requests.owe(CAUSE, 5)
    requests.served()
    requests.trigger(WATCH)
    requests.begin()
    assert not requests.owes(5)
    assert requests.called
    requests.put_back()
    assert requests.owes(5)
    requests.owe(WATCH, 6)
    requests.put_back()
    assert requests.owes(6)
