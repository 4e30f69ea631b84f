"""Trials one by one, and what goes wrong without a rule for them: each trace is the shortest that is known."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from confcast.errors import Problem
from confcast.owner.core import effects as fx
from confcast.owner.core.machine import Committed, Hold, OperatorState, ProposalState, Proven
from confcast.owner.core.windows import digest_of
from confcast.wire.canary import Canary
from confcast.wire.messages import (
    Abort,
    Applied,
    Change,
    Check,
    Commit,
    Confirm,
    Counts,
    Declined,
    Goodbye,
    Install,
    OnTrial,
    Prepare,
    Reload,
    ReloadResult,
    Resume,
    Rollback,
    Set,
    Settled,
    Tried,
    Try,
    Unhealthy,
    Vote,
    Who,
)
from tests.core.world import WHY, A, B, C, D, Owner, Peer, all_apply, all_vote, commits

IDLE, LOADING, STAGING, RECORDING, COMMITTING = ProposalState
OPERATOR = Who(1000, 51, "confcast reload --canary 1")
ONE = Canary(1, seconds=60.0, min_requests=50)
BY_ENTITY = Canary("5%", seconds=60.0, by="entity", min_requests=50)


def knows(owner: Owner, pid: int, **other: int) -> Peer:
    """A worker that knows trials, and holds and has applied what is committed."""
    peer = owner.meets(pid, owner.version, owner.core.committed.digest, **{"trial": 0} | other)
    owner.receives(peer, Applied(owner.version))
    return peer


def serving(workers: int = 2, **other: object) -> tuple[Owner, list[Peer]]:
    """An owner and workers that know trials; the sources gave just what is committed."""
    mine = Committed(1, A, A, False, A)
    owner = Owner((1, A), **{"fallback": Proven(mine), "canary": ONE} | other)
    owner.core._numbers.committed = mine
    peers = [knows(owner, pid) for pid in range(1, workers + 1)]
    owner.forget()
    return owner, peers


def tries(owner: Owner, peers: list[Peer], content: bytes = B, canary: Canary | None = None) -> fx.Call:
    """A reload of this content, which goes on trial; nothing is answered by its canaries yet."""
    call = owner.is_asked_for(Reload, OPERATOR, canary=canary, reason="a new pool")
    owner.loads_of(content, content)
    all_vote(owner, *peers)
    owner.records()
    assert owner.answer(call).result is ReloadResult.ON_TRIAL, owner.answer(call)
    return call


def begun(workers: int = 2, content: bytes = B, **other: object) -> tuple[Owner, list[Peer]]:
    """Its canaries have it, too: the first worker, or all."""
    owner, peers = serving(workers, **other)
    tries(owner, peers, content)
    for peer in peers if owner.core.operator.trial.canary.by == "entity" else peers[:1]:
        owner.receives(peer, Tried(2))
    owner.forget()
    return owner, peers


def undone(owner: Owner, peers: list[Peer], version: int = 3) -> None:
    """The undo is written and applied; what is committed goes on under this number."""
    (record,) = owner.did(fx.Record)[-1:]
    assert (record.version, record.payload, record.operator.trial) == (version, owner.core.committed.payload, None)
    owner.records()
    all_apply(owner, *peers)
    assert (owner.state, owner.version, owner.core.operator.trial) == (IDLE, version, None)


def ends(owner: Owner) -> None:
    owner.waits_out(fx.Timer.TRIAL)


def counts(owner: Owner, peer: Peer, answered: int, failed: int = 0, version: int = 2, entities: int = 0) -> None:
    owner.receives(peer, Counts(version, answered, failed, entities))


# ---- it begins


def test_everyone_votes_then_one_write_and_only_the_canary_tries_it():
    """E1, E2."""
    owner, (w1, w2, w3) = serving(3)
    call = owner.is_asked_for(Reload, OPERATOR, reason="a new pool")
    owner.loads_of(B, B)
    all_vote(owner, w1, w2, w3)
    (write,) = owner.did(fx.RecordState)
    trial = write.operator.trial
    assert (trial.version, trial.digest, trial.sources) == (2, B, digest_of(B))
    assert (trial.opened, trial.deadline, trial.who, trial.reason) == (100.0, 160.0, OPERATOR, "a new pool")
    assert owner.did(fx.Record) == owner.answers(call) == []
    owner.forget().records()
    event = owner.answer(call)
    assert (event.result, event.version, event.previous_version) == (ReloadResult.ON_TRIAL, 2, 1)
    assert not event
    assert [owner.sent(peer) for peer in (w1, w2, w3)] == [[Try(1, 2)], [Abort(1)], [Abort(1)]]
    assert (owner.state, owner.version, owner.did(fx.WriteSnapshot)) == (IDLE, 1, [])


def test_status_shows_the_canary_once_it_has_the_version():
    owner, peers = serving()
    tries(owner, peers)
    assert [each.state for each in owner.core.statuses()] == ["current", "current"]
    owner.receives(peers[0], Tried(2))
    assert [(each.state, each.version) for each in owner.core.statuses()] == [("trial", 2), ("current", 1)]


@pytest.mark.parametrize(
    ("size", "workers", "canaries"), [(1, 4, 1), (3, 4, 3), (9, 4, 3), ("25%", 5, 2), ("1%", 2, 1)]
)
def test_as_many_as_are_asked_for_and_at_most_all_but_one(size: int | str, workers: int, canaries: int):
    owner, peers = serving(workers, canary=Canary(size))
    tries(owner, peers)
    assert sum(Try(1, 2) in owner.sent(peer) for peer in peers) == canaries


@pytest.mark.parametrize("others", [0, 2])
def test_with_fewer_than_two_that_know_trials_it_is_committed_and_that_is_said(others: int):
    owner, peers = serving(1)
    peers += [owner.has(pid) for pid in range(50, 50 + others)]
    call = owner.is_asked()
    owner.loads(B)
    commits(owner, *peers)
    assert (owner.answer(call).result, owner.version) == (ReloadResult.SUCCESS, 2)
    assert "none can be left with what runs" in owner.answer(call).notes[0]


def test_a_worker_of_an_older_build_is_no_canary():
    owner, _ = serving(0)
    old, first, second = owner.has(1), knows(owner, 2), knows(owner, 3)
    tries(owner, [old, first, second])
    assert [Try(1, 2) in owner.sent(peer) for peer in (old, first, second)] == [False, True, False]


@pytest.mark.parametrize("how", ["force", "good", "rollback", "first"])
def test_what_is_not_tried(how: str):
    owner, peers = serving()
    if how == "first":
        owner = Owner(None, canary=ONE)
        peers = [owner.meets(1, trial=0), owner.meets(2, trial=0)]
    if how == "rollback":
        owner.is_asked_for(Rollback, version=1)
        owner.restores(B, 1)
    else:
        owner.is_asked_for(Reload, force=how == "force")
        owner.feed(fx.Loaded(owner.last_load, B, B, differs=True, good=how == "good"))
    all_vote(owner, *peers)
    assert [record.payload for record in owner.did(fx.Record)] == [B]


def test_a_dry_run_of_what_would_be_tried_writes_nothing():
    owner, peers = serving()
    call = owner.is_asked_for(Check)
    owner.loads(B)
    all_vote(owner, *peers)
    assert owner.answer(call).result is ReloadResult.SUCCESS
    assert owner.did(fx.RecordState) == []


@pytest.mark.parametrize("problems", [(), (WHY,)], ids=["exact", "not exact"])
def test_what_is_heard_late_of_a_dry_run_is_nothing_to_the_promotion_that_it_gave_way_to(problems: tuple[Problem, ...]):
    """Without: the promotion fails for what was wrong with it, or is written with values that nothing but it has."""
    owner, peers = begun()
    dry = owner.is_asked_for(Check)
    owner.proposes(C)
    call = owner.is_asked_for(Confirm)
    assert owner.answer(dry).result is ReloadResult.OWNER_UNAVAILABLE
    changes = (Change("k", "1", "2"),)
    owner.feed(fx.Checked(owner.last_load, changes, problems=problems, values=b"of the dry run"))
    commits(owner, *peers)
    event = owner.answer(call)
    assert (event.result, event.changes) == (ReloadResult.SUCCESS, [])
    assert [(record.payload, record.values) for record in owner.did(fx.Record)] == [(B, B)]


def test_a_call_may_ask_for_a_trial_where_the_rules_have_none():
    owner, peers = serving(canary=None)
    tries(owner, peers, canary=Canary(1, seconds=5.0))
    assert owner.core.operator.trial.deadline == 105.0


def test_a_value_that_is_set_is_tried_too():
    owner, peers = serving()
    call = owner.is_asked_for(Set, values={"k": "x"})
    owner.loads_of(B, A, layer=b"k")
    all_vote(owner, *peers)
    owner.records()
    assert owner.answer(call).result is ReloadResult.ON_TRIAL
    assert (owner.core.operator.layer, owner.core.operator.trial.version) == (b"", 2)
    owner.is_asked_for(Confirm)
    commits(owner, *peers)
    assert (owner.version, owner.core.operator.layer) == (2, b"k")


def test_a_refused_vote_begins_none():
    owner, peers = serving()
    call = owner.is_asked()
    owner.loads(B)
    all_vote(owner, peers[1], ok=False)
    assert owner.answer(call).result is ReloadResult.REJECTED
    assert owner.core.operator.trial is None


@pytest.mark.parametrize("row", [fx.RowState.ABSENT, fx.RowState.PRESENT])
def test_a_write_that_fails(row: fx.RowState):
    owner, peers = serving()
    call = owner.is_asked()
    owner.loads(B)
    all_vote(owner, *peers)
    owner.fails_to_record(row)
    there = row is fx.RowState.PRESENT
    assert owner.answer(call).result is (ReloadResult.ON_TRIAL if there else ReloadResult.IO_ERROR)
    assert (owner.core.operator.trial is not None) is there
    assert owner.did(fx.Retire) == ([] if there else [fx.Retire(2)])


def test_a_canary_that_has_not_voted_is_asked_for_its_vote_first():
    """E2: its Try would be of a round that it has not staged, and close its pipe."""
    owner, (w1, w2) = serving()
    owner.is_asked()
    owner.loads(B)
    all_vote(owner, w1, w2)
    owner.receives(w1, Goodbye())
    owner.forget().records()
    assert owner.sent(w2) == [Abort(1)], "it is the only one, and keeps what runs"
    owner.receives(w2, Goodbye())
    peers = knows(owner, 3), knows(owner, 4)
    (canary,) = [peer for peer in peers if Prepare(1, B, B) in owner.sent(peer)]
    owner.forget().receives(canary, Vote(1, True))
    assert owner.sent(canary) == [Try(1, 2)]


def test_a_no_that_came_during_the_write_is_asked_for_again():
    """Else it is lost, and that canary neither tries nor refuses it."""
    owner, (w1, w2) = serving(canary=BY_ENTITY)
    owner.is_asked()
    owner.loads(B)
    all_vote(owner, w2)
    owner.waits_out(fx.Timer.STAGE)
    all_vote(owner, w1, ok=False)
    owner.forget().records()
    assert owner.sent(w1) == [Prepare(1, B, B)]
    all_vote(owner, w1, ok=False)
    undone(owner, [w1, w2])
    assert owner.events()[-1].evidence == ["worker 1 refuses version 2: no"]


# ---- it is promoted


def test_its_time_is_over_and_requests_have_ended_on_it():
    """E3, E5: under its own number, and put to everyone."""
    owner, (w1, w2) = begun()
    counts(owner, w1, 50)
    ends(owner)
    assert (owner.state, owner.sent(w1), owner.sent(w2)) == (STAGING, [Prepare(2, B, B)], [Prepare(2, B, B)])
    all_vote(owner, w1, w2)
    (record,) = owner.did(fx.Record)
    assert (record.version, record.payload, record.undo, record.operator.trial) == (2, B, False, None)
    assert (record.origin, record.who, record.reason) == ("call", OPERATOR, "a new pool")
    owner.forget().records()
    assert owner.sent(w1) == owner.sent(w2) == [Commit(2, 2)]
    all_apply(owner, w1, w2)
    (event,) = owner.events()
    assert (event.result, event.version, event.previous_version) == (ReloadResult.SUCCESS, 2, 1)
    assert event.notes == ["50 of 50 requests have ended on version 2; nothing was said against it"]
    assert [each.state for each in owner.core.statuses()] == ["current", "current"]


def test_not_before_its_time():
    owner, (w1, _) = begun()
    counts(owner, w1, 5000)
    owner.now += 59.0
    owner.feed(fx.Wake(fx.Timer.TRIAL, -1))
    assert owner.state is IDLE


@pytest.mark.parametrize("twice", ["undo", "promote"])
def test_without_enough_requests_it_goes_on_once_and_then_that_decides(twice: str):
    owner, (w1, w2) = begun(canary=Canary(1, seconds=60.0, inconclusive=twice))
    counts(owner, w1, 17)
    ends(owner)
    (write,) = owner.did(fx.RecordState)
    assert (write.operator.trial.extended, write.operator.trial.deadline) == (True, 220.0)
    owner.records()
    (event,) = owner.events()
    assert (event.result, event.notes[0]) == (
        ReloadResult.ON_TRIAL,
        "17 of 50 requests have ended on version 2: it is on trial for another 60 s",
    )
    owner.forget()
    ends(owner)
    if twice == "promote":
        commits(owner, w1, w2)
        assert (owner.version, owner.core.committed.payload) == (2, B)
    else:
        undone(owner, [w1, w2])
        assert owner.events()[-1].result is ReloadResult.UNDONE
        assert owner.events()[-1].evidence == ["17 of 50 requests have ended on version 2"]


def test_an_extension_that_can_not_be_written_holds_up_nothing_and_is_tried_each_second():
    owner, peers = begun()
    ends(owner)
    assert owner.state is RECORDING
    owner.forget().fails_to_record(fx.RowState.ABSENT)
    assert (owner.state, owner.events()) == (IDLE, [])
    call = owner.is_asked()
    owner.loads_of(B, B)
    assert owner.answer(call).result is ReloadResult.ON_TRIAL
    ends(owner)
    assert owner.now == 161.0
    (write,) = owner.did(fx.RecordState)
    assert (write.operator.trial.extended, write.operator.trial.deadline) == (True, 221.0)
    owner.fails_to_record(fx.RowState.ABSENT)
    counts(owner, peers[0], 50)
    ends(owner)
    assert owner.state is STAGING, "by now there are enough requests"
    commits(owner, *peers)
    assert (owner.version, owner.core.operator.trial) == (2, None)


@pytest.mark.parametrize("inconclusive", ["undo", "promote"])
def test_nobody_has_taken_it_up(inconclusive: str):
    """E3: the only canary is stopped before Try: promoted, though nobody ran it."""
    owner, peers = serving(canary=Canary(1, min_requests=0, inconclusive=inconclusive))
    tries(owner, peers)
    ends(owner)
    owner.records()
    ends(owner)
    undone(owner, peers)
    assert owner.events()[-1].evidence == ["no worker has had version 2 on trial"]


def test_a_canary_counts_on_its_present_pipe_only():
    owner, (w1, _w2) = begun(canary=Canary(1, min_requests=0))
    owner.loses_pipe(w1)
    ends(owner)
    assert owner.did(fx.RecordState)[-1].operator.trial.extended


def test_a_canary_that_comes_back_is_sent_the_trial_again():
    owner, (w1, _w2) = begun()
    owner.loses_pipe(w1)
    again = owner.meets(1, 1, A, trial=2)
    assert [type(frame) for frame in owner.sent(again)] == [Install, Prepare]
    owner.receives(again, Vote(1, True))
    assert owner.sent(again)[-1] == Try(1, 2)


@pytest.mark.parametrize("version", [0, 2])
def test_a_person_confirms_it(version: int):
    owner, (w1, w2) = begun()
    call = owner.is_asked_for(Confirm, OPERATOR, version=version)
    commits(owner, w1, w2)
    event = owner.answer(call)
    assert (event.result, event.version, event.origin) == (ReloadResult.SUCCESS, 2, "confirm")
    assert owner.core.committed.payload == B


def test_another_version_is_not_confirmed():
    owner, _ = begun()
    call = owner.is_asked_for(Confirm, version=1)
    assert owner.answer(call).result is ReloadResult.CONFLICT
    assert "version 2 is on trial" in str(owner.answer(call).error_message)
    assert owner.core.operator.trial is not None


def test_a_no_at_the_promotion_undoes_it():
    """E5; its caller is told once the undo's barrier is closed."""
    owner, (w1, w2) = begun()
    call = owner.is_asked_for(Confirm)
    all_vote(owner, w2, ok=False)
    assert owner.answers(call) == []
    undone(owner, [w1, w2])
    event = owner.answer(call)
    assert (event.result, event.origin, event.version) == (ReloadResult.UNDONE, "undo", 3)
    assert event.evidence == ["version 2 was to be committed: worker 2: no"]
    assert owner.core.refused == B


def test_nobodys_yes_at_the_promotion_undoes_it():
    """A1."""
    owner, _peers = begun()
    owner.is_asked_for(Confirm)
    owner.waits_out(fx.Timer.STAGE)
    owner.records()
    assert owner.version == 3
    assert owner.core.committed.payload == A


def test_a_promotion_that_can_not_be_written_is_undone():
    owner, (w1, w2) = begun()
    call = owner.is_asked_for(Confirm)
    all_vote(owner, w1, w2)
    owner.fails_to_record(fx.RowState.ABSENT)
    assert owner.answer(call).result is ReloadResult.IO_ERROR
    undone(owner, [w1, w2])
    assert owner.events()[-1].result is ReloadResult.UNDONE


def test_a_window_that_was_asked_for_begins_at_the_promotion():
    owner, (w1, w2) = serving()
    owner.is_asked_for(Reload, canary=ONE, confirm_within=600.0)
    owner.loads_of(B, B)
    all_vote(owner, w1, w2)
    owner.records()
    owner.receives(w1, Tried(2))
    assert owner.core.operator.window is None or not owner.core.operator.window.deadline
    owner.is_asked_for(Confirm)
    owner.now += 7.0
    commits(owner, w1, w2)
    window = owner.core.operator.window
    assert (window.deadline, window.fallback, window.sources) == (707.0, 1, digest_of(B))


# ---- something speaks against it


def speaks(owner: Owner, canary: Peer, how: str) -> str:
    """Returns what is said."""
    if how == "death":
        owner.now += 3.0
        owner.feed(fx.ProcessGone(canary.pid, "was killed by signal 9"))
        return "worker 1 was killed by signal 9, 3 s after it had version 2"
    if how == "unhealthy":
        owner.receives(canary, Unhealthy(2, "the pool is empty"))
        return "worker 1 says that version 2 is unhealthy: the pool is empty"
    if how == "probe":
        owner.feed(fx.Probed(2, "GET /health gave 503"))
        return "a probe says no to version 2: GET /health gave 503"
    counts(owner, canary, 900, 1, version=1)
    counts(owner, canary, 240, 12)
    return "12 of 240 requests (5 %) failed with version 2, 1 of 900 requests (0.111 %) with version 1"


@pytest.mark.parametrize("how", ["death", "unhealthy", "probe", "errors"])
def test_a_no_of_any_kind_undoes_it_at_once(how: str):
    owner, (w1, w2) = begun(max_error_rate=0.01)
    why = speaks(owner, w1, how)
    undone(owner, [w2] if how == "death" else [w1, w2])
    (event,) = owner.events()
    assert (event.result, event.origin, event.version, event.evidence) == (ReloadResult.UNDONE, "undo", 3, [why])
    assert owner.did(fx.Record)[0].undoes == 2


def test_a_canary_that_says_goodbye_and_then_fails_died_of_what_was_on_trial():
    owner, (w1, w2) = begun()
    owner.now += 3.0
    owner.receives(w1, Goodbye())
    assert owner.core.operator.trial.version == 2
    owner.feed(fx.ProcessGone(1, "left with status 1"))
    undone(owner, [w2])
    assert owner.events()[-1].evidence == ["worker 1 left with status 1, 3 s after it had version 2"]


def test_what_is_said_of_another_version_undoes_nothing():
    owner, (w1, w2) = begun()
    owner.receives(w1, Unhealthy(1, "slow"))
    owner.feed(fx.ProcessGone(w2.pid, "was killed by signal 9"))
    assert (owner.state, owner.core.operator.trial.version) == (IDLE, 2)


def test_a_no_of_a_late_canary_is_evidence():
    owner, (w1, w2) = begun()
    owner.receives(w1, Goodbye())
    w3 = owner.meets(3, 1, A, trial=0)
    owner.receives(w3, Applied(1))
    asked = next(peer for peer in (w2, w3) if Prepare(1, B, B) in owner.sent(peer))
    owner.receives(asked, Vote(1, False, (WHY,)))
    undone(owner, [w2, w3])
    assert owner.events()[-1].evidence == [f"worker {asked.pid} refuses version 2: no"]


@pytest.mark.parametrize("by", ["canary", "promotion"])
def test_a_no_for_many_long_reasons_is_told_in_short(by: str):
    owner, peers = begun()
    problems = tuple(Problem(f"a.b{number}", "x" * 2000) for number in range(10))
    if by == "canary":
        owner.loses_pipe(peers[0])
        peers[0] = knows(owner, 1)
        owner.receives(peers[0], Vote(1, False, problems))
    else:
        owner.is_asked_for(Confirm)
        owner.receives(peers[1], Vote(2, False, problems))
    (write,) = owner.did(fx.Record)
    unconfirmed = write.operator.unconfirmed
    assert unconfirmed is not None
    assert "a.b0" in unconfirmed.why
    assert len(unconfirmed.why) < 800
    assert "(and 9 more)" in unconfirmed.why
    undone(owner, peers)
    assert len(owner.events()[-1].error_message) < 1200


def test_canaries_only_renumber_by_the_undo():
    """E7: what is committed is installed under the next number, so no number goes down."""
    owner, (w1, w2) = begun()
    owner.receives(w1, Unhealthy(2, "no"))
    owner.forget().records()
    for peer in (w1, w2):
        (install,) = owner.sent(peer)
        assert (install.version, install.digest, install.undo, install.trial) == (3, A, False, None)


def test_a_no_interrupts_a_load_which_begins_anew():
    owner, (w1, w2) = begun()
    call = owner.is_asked()
    assert owner.state is LOADING
    owner.receives(w1, Unhealthy(2, "no"))
    assert owner.state is RECORDING
    owner.records()
    all_apply(owner, w1, w2)
    assert (owner.state, owner.answers(call)) == (LOADING, [])


def test_a_no_calls_off_the_promotion():
    owner, (w1, w2) = begun()
    call = owner.is_asked_for(Confirm)
    owner.receives(w1, Unhealthy(2, "no"))
    undone(owner, [w1, w2])
    assert owner.answer(call).result is ReloadResult.CONFLICT
    assert "version 2 was undone" in str(owner.answer(call).error_message)


def test_a_no_cuts_a_dry_run_short():
    owner, (w1, _) = begun()
    call = owner.is_asked_for(Check)
    owner.loads(C)
    owner.receives(w1, Unhealthy(2, "no"))
    assert owner.state is RECORDING
    assert owner.answer(call).dry_run


def test_an_undo_that_can_not_be_written_is_tried_each_second():
    """U6."""
    owner, (w1, w2) = begun()
    owner.receives(w1, Unhealthy(2, "no"))
    owner.fails_to_record(fx.RowState.ABSENT)
    owner.is_asked_for(Confirm)
    assert owner.state is RECORDING
    owner.waits_out(fx.Timer.UNDO)
    undone(owner, [w1, w2], 4)


# ---- its canaries leave


def test_a_canary_that_leaves_is_replaced():
    """E4: max_requests does not end a trial."""
    owner, (w1, w2, w3) = begun(3)
    owner.receives(w1, Goodbye())
    assert Prepare(1, B, B) in [*owner.sent(w2), *owner.sent(w3)]
    assert owner.core.operator.trial is not None


def test_a_canary_that_leaves_alone_is_replaced_by_the_next_that_connects():
    owner, (w1, w2) = begun()
    owner.receives(w2, Goodbye())
    owner.receives(w1, Goodbye())
    assert owner.core.operator.trial is not None
    peers = knows(owner, 3), knows(owner, 4)
    assert sum(Prepare(1, B, B) in owner.sent(peer) for peer in peers) == 1


def test_the_only_canary_has_left_and_its_time_is_over():
    """E3: what it had counted is no evidence any more that anybody runs it."""
    owner, (w1, w2) = begun()
    counts(owner, w1, 50)
    owner.receives(w1, Goodbye())
    ends(owner)
    owner.records()
    ends(owner)
    undone(owner, [w2])
    assert owner.events()[-1].evidence == ["no worker has had version 2 on trial"]


def test_a_fork_of_a_canary_is_a_canary():
    """It has the version: without Tried, nobody would wait for it, or hear its no."""
    owner, (_w1, _w2) = begun()
    child = owner.meets(9, 1, A, trial=2)
    assert Prepare(1, B, B) in owner.sent(child)


def test_what_a_dead_canary_had_counted_still_counts():
    owner, (w1, w2, w3) = begun(3)
    counts(owner, w1, 50)
    owner.receives(w1, Goodbye())
    for peer in (w2, w3):
        owner.receives(peer, Vote(1, True))
        owner.receives(peer, Tried(2))
    ends(owner)
    assert owner.state is STAGING


# ---- other content, the same content


@pytest.mark.parametrize("trigger", ["watch", "signal"])
def test_the_same_content_leaves_it_alone(trigger: str):
    """E6: the edit's own watch trigger comes after the call that has begun the trial."""
    owner, _ = begun()
    before = owner.core.operator
    owner.is_triggered(trigger)
    owner.loads_of(B, B)
    assert (owner.state, owner.core.operator) == (IDLE, before)
    (event,) = owner.events()
    assert (event.result, event.version, event.previous_version) == (ReloadResult.ON_TRIAL, 2, 1)


@pytest.mark.parametrize("asked", [{}, {"expect": 2}, {"canary": Canary(1, seconds=5.0)}, {"confirm_within": 9.0}])
def test_a_call_for_the_same_content_changes_nothing(asked: dict[str, object]):
    owner, _ = begun()
    call = owner.is_asked_for(Reload, **asked)
    owner.loads_of(B, B)
    assert owner.answer(call).result is ReloadResult.ON_TRIAL
    assert owner.core.operator.trial.deadline == 160.0


def test_a_load_that_fails_leaves_it_alone():
    owner, _ = begun()
    owner.is_triggered("watch")
    owner.fails_to_load()
    assert (owner.state, owner.core.operator.trial.version) == (IDLE, 2)


def test_a_reload_of_a_value_on_trial_is_made_with_it():
    """HUP in a loop does not end the trial of what was set."""
    owner, peers = serving()
    owner.is_asked_for(Set, values={"k": "x"})
    owner.loads_of(B, A, layer=b"k")
    all_vote(owner, *peers)
    owner.records()
    owner.forget().is_triggered()
    assert owner.did(fx.Load)[0].layer == b"k"
    owner.loads_of(B, A, layer=b"k")
    assert owner.core.operator.trial is not None


@pytest.mark.parametrize("content", [A, C])
def test_other_content_undoes_it_first_and_then_begins_anew(content: bytes):
    owner, (w1, w2) = begun()
    call = owner.is_asked()
    owner.loads_of(content, content)
    (record,) = owner.did(fx.Record)
    assert (record.version, record.payload, record.refused) == (3, A, B)
    owner.records()
    all_apply(owner, w1, w2)
    assert (owner.state, owner.answers(call)) == (LOADING, [])
    owner.loads_of(content, content)
    if content == A:
        assert owner.answer(call).result is ReloadResult.UNCHANGED
    else:
        all_vote(owner, w1, w2)
        owner.records()
        assert (owner.answer(call).result, owner.answer(call).version) == (ReloadResult.ON_TRIAL, 4)
    assert owner.events()[0].result is ReloadResult.UNDONE


def test_the_undo_for_a_newer_call_refuses_the_content_too():
    """U1: the owner is killed with the call: the start's load commits the trial's content to everyone."""
    owner, _ = begun()
    owner.is_asked_for(Set, values={"k": "x"})
    (record,) = owner.did(fx.Record)
    assert (record.refused, record.operator.unconfirmed.sources) == (B, digest_of(B))


@pytest.mark.parametrize(("kind", "asked"), [(Resume, {}), (Reload, {"force": True})])
def test_resume_and_force_undo_it_and_force_tries_nothing(kind: type, asked: dict[str, object]):
    owner, (w1, w2) = begun()
    call = owner.is_asked_for(kind, **asked)
    assert owner.did(fx.Record)[0].version == 3
    owner.records()
    all_apply(owner, w1, w2)
    owner.loads_of(B, B)
    commits(owner, w1, w2)
    event = owner.answer(call)
    assert (event.result, event.version) == (ReloadResult.SUCCESS if kind is Reload else ReloadResult.ON_TRIAL, 4)


def test_a_set_builds_on_what_is_committed():
    owner, (w1, w2) = begun()
    owner.is_asked_for(Set, values={"k": "x"})
    owner.records()
    all_apply(owner, w1, w2)
    assert owner.did(fx.Load)[-1].rebuild


@pytest.mark.parametrize(("expect", "passes"), [(2, True), (1, False), (3, False)])
def test_expect_is_compared_with_the_number_on_trial(expect: int, passes: bool):
    """D6; and not a second time, after the undo that it causes."""
    owner, (w1, w2) = begun()
    call = owner.is_asked_for(Set, values={"k": "x"}, expect=expect)
    if not passes:
        assert owner.answer(call).result is ReloadResult.CONFLICT
        assert owner.core.operator.trial is not None
        return
    owner.records()
    all_apply(owner, w1, w2)
    assert (owner.state, owner.answers(call)) == (LOADING, [])


def test_a_rollback_to_a_number_undoes_it_first():
    owner, (w1, w2) = begun()
    owner.is_asked_for(Rollback, version=1)
    owner.records()
    all_apply(owner, w1, w2)
    assert owner.did(fx.Restore)[-1].version == 1


def test_a_rollback_undoes_and_holds():
    owner, (w1, w2) = begun()
    call = owner.is_asked_for(Rollback, OPERATOR, reason="errors")
    undone(owner, [w1, w2])
    event = owner.answer(call)
    assert (event.result, event.version, event.origin) == (ReloadResult.SUCCESS, 3, "rollback")
    hold = owner.core.operator.hold
    assert (hold.version, hold.who, hold.reason) == (1, OPERATOR, "errors")
    assert (owner.core.refused, owner.core.operator.unconfirmed) == (b"", None)


def test_a_dry_run_leaves_it_alone():
    owner, (w1, w2) = begun()
    call = owner.is_asked_for(Check)
    owner.loads(C)
    all_vote(owner, w1, w2)
    assert owner.answer(call).result is ReloadResult.SUCCESS
    assert (owner.state, owner.core.operator.trial.version) == (IDLE, 2)


# ---- what it stops meanwhile is loaded once it is committed


def resumed(owner: Owner, *peers: Peer) -> None:
    """A person's resumption goes on trial with B, and the first worker has it."""
    owner.is_asked_for(Resume, OPERATOR)
    owner.loads_of(B, B)
    all_vote(owner, *peers)
    owner.records()
    owner.receives(peers[0], Tried(2))
    owner.forget()


def promoted(owner: Owner, *peers: Peer) -> None:
    owner.is_asked_for(Confirm)
    commits(owner, *peers)
    assert owner.version == 2


def test_an_edit_that_the_hold_stopped_during_the_trial_that_ends_it_is_loaded():
    """The edit is told as held, the hold ends with the commit, and nobody looks at the sources again."""
    owner, (w1, w2) = serving(operator=OperatorState(7, Hold(1, 50.0, OPERATOR)))
    resumed(owner, w1, w2)
    owner.is_triggered("watch")
    owner.loads_of(C, C)
    assert owner.events()[-1].result is ReloadResult.HELD
    promoted(owner.forget(), w1, w2)
    assert owner.core.operator.hold is None
    assert (owner.state, len(owner.did(fx.Load))) == (LOADING, 1)
    owner.loads_of(C, C)
    all_vote(owner, w1, w2)
    assert owner.did(fx.RecordState)[-1].operator.trial.digest == C


@pytest.mark.parametrize("last", ["nothing", "what is on trial", "the undo"])
def test_without_such_an_edit_nothing_is_loaded(last: str):
    owner, (w1, w2) = serving(operator=OperatorState(7, Hold(1, 50.0, OPERATOR)))
    resumed(owner, w1, w2)
    if last != "nothing":
        owner.is_triggered("watch")
        owner.loads_of(C, C)
    if last == "what is on trial":  # the sources have gone back to it
        owner.is_triggered("watch")
        owner.loads_of(B, B)
    owner.forget()
    if last == "the undo":  # and the hold stays
        owner.receives(w1, Unhealthy(2, "no"))
        undone(owner, [w1, w2])
    else:
        promoted(owner, w1, w2)
    assert (owner.state, owner.did(fx.Load)) == (IDLE, [])


def test_an_edit_that_an_override_on_trial_hides_is_loaded_once_the_trial_is_over():
    """And not before: what is on trial hides it still."""
    owner, peers = serving()
    owner.is_asked_for(Set, OPERATOR, values={"k": "x"})
    owner.loads_of(B, A, layer=b"k")
    all_vote(owner, *peers)
    owner.records()
    owner.is_triggered("watch")
    owner.loads_of(B, D, layer=b"k")
    ends(owner)
    owner.records()
    assert (owner.state, owner.core.operator.trial.extended) == (IDLE, True)
    owner.forget()
    ends(owner)
    owner.records()
    all_apply(owner, *peers)
    assert (owner.state, owner.core.operator.trial, len(owner.did(fx.Load))) == (LOADING, None, 1)


# ---- what was undone is refused


@pytest.mark.parametrize(
    ("how", "passes"), [("watch", False), ("call", False), ("canary", True), ("resume", True), ("change", True)]
)
def test_what_was_undone_is_refused_until_it_changes_or_is_asked_for(how: str, passes: bool):
    owner, (w1, w2) = begun()
    owner.receives(w1, Unhealthy(2, "no"))
    undone(owner, [w1, w2])
    if how == "resume":
        owner.is_asked_for(Resume)
    elif how in ("watch", "change"):
        owner.is_triggered("watch")
    else:
        owner.is_asked_for(Reload, canary=ONE if how == "canary" else None)
    content = C if how == "change" else B
    owner.loads_of(content, content)
    assert (owner.state is STAGING) is passes
    if not passes:
        assert owner.events()[-1].result is ReloadResult.REJECTED
        assert "was undone with version 2" in str(owner.events()[-1].error_message)


# ---- the owner dies, or hands over


def reborn(owner: Owner, **other: object) -> Owner:
    """The next owner, from what the last write has left."""
    (*_, record) = [each for each in owner.all if isinstance(each, fx.Record | fx.RecordState | fx.NoteState)]
    mine = owner.core.committed
    heir = Owner((mine.version, mine.payload), operator=record.operator, refused=record.refused, canary=ONE, **other)
    heir.core._numbers.committed = mine
    return heir


@pytest.mark.parametrize("starts_anew", [False, True])
def test_the_next_owner_undoes_it_before_its_first_load(starts_anew: bool):
    """U7, E2: else it loads the file, and commits the trial's content to everyone, untried."""
    owner, _ = begun()
    heir = reborn(owner, starts_anew=starts_anew)
    heir.is_triggered("start" if starts_anew else "restart")
    (record,) = heir.did(fx.Record)
    assert (record.version, record.payload, record.refused) == (3, A, B)
    assert (record.operator.trial, record.operator.unconfirmed.version) == (None, 2)
    heir.records()
    (event,) = heir.events()
    assert (event.result, event.evidence) == (ReloadResult.UNDONE, ["the owner that had version 2 on trial has ended"])
    heir.loads_of(B, B)
    assert heir.events()[-1].result is ReloadResult.REJECTED


def test_a_canary_that_finds_the_next_owner_first():
    owner, _ = begun()
    heir = reborn(owner)
    canary = heir.meets(1, 1, A, trial=2)
    heir.records()
    assert heir.sent(canary)[-1].version == 3


def test_a_lost_journal_does_not_bring_a_number_down():
    """A canary says what it shows: what is committed gets a higher number."""
    owner, _peers = serving(1)
    owner.meets(7, 1, A, trial=9)
    assert owner.did(fx.Retire) == [fx.Retire(9)]
    assert [record.version for record in owner.did(fx.Record)] == [10]
    owner.records()
    assert owner.version == 10


@pytest.mark.parametrize(
    ("shown", "version"), [(C, 4), (B, 3), (b"", 3)], ids=["another content", "promoted meanwhile", "an older build"]
)
def test_a_number_that_was_lost_with_its_trial_and_is_given_out_again_is_given_up(shown: bytes, version: int):
    """The journal was torn: of the trial nothing is left, and an undo was due before any worker could tell of it."""
    owner, (w1,) = serving(1)
    owner.core._numbers.commit(Committed(3, B, B))
    peer = owner.meets(7, 1, A, trial=3, trial_digest=shown)
    assert [record.version for record in owner.did(fx.Record)] == [4] * (version > 3)
    if version > 3:
        owner.records()
    all_apply(owner, w1, peer)
    assert (owner.state, owner.version, owner.core.committed.payload) == (IDLE, version, B)


def test_a_number_on_trial_that_a_lost_one_had_ends_its_trial():
    owner, (w1, w2) = begun()
    stays = owner.meets(7, 1, A, trial=2, trial_digest=B)
    assert owner.did(fx.Record) == []
    owner.meets(8, 1, A, trial=2, trial_digest=C)
    owner.feed(fx.ProcessGone(8))
    undone(owner, [w1, w2, stays])
    assert "(or with this one, and other content) ended the trial" in owner.events()[-1].evidence[0]


def test_before_a_next_generation_starts_it_is_undone():
    """E10."""
    owner, (w1, w2) = begun()
    owner.feed(fx.HandsOver(True))
    undone(owner, [w1, w2])
    assert "fully reloaded" in owner.events()[-1].evidence[0]


@pytest.mark.parametrize("told", [{"trial": -1}, {"trial": 2**43}, {"trial": 2, "trial_digest": b"d" * 65}])
def test_what_no_owner_gave_out_is_refused(told: dict[str, Any]):
    owner, _ = serving(0)
    peer = owner.meets(7, 1, A, **told)
    assert [type(frame).__name__ for frame in owner.sent(peer)] == ["Refused"]


# ---- time first


def test_its_end_is_looked_at_though_somebody_reloads_in_a_loop():
    """D7."""
    owner, (w1, _) = begun()
    counts(owner, w1, 50)
    owner.is_asked()
    owner.is_asked_for(Reload, canary=ONE)
    owner.now = 161.0
    owner.feed(fx.Wake(fx.Timer.TRIAL, -1))
    assert owner.state is LOADING
    owner.loads_of(B, B)
    assert owner.state is STAGING
    assert owner.core._proposal.promotes is not None


def test_its_end_goes_before_a_call_that_has_just_come():
    owner, (w1, _) = begun()
    counts(owner, w1, 50)
    owner.now = 160.0
    owner.is_asked()
    assert owner.state is STAGING


def test_a_value_that_ends_in_a_trial_waits_for_its_end():
    operator = OperatorState(layer=b"k", expires=130.0)
    owner, (w1, w2) = begun(operator=operator)
    owner.now = 131.0
    owner.feed(fx.Wake(fx.Timer.EXPIRY, -1))
    assert (owner.state, owner.core.operator.trial.version) == (IDLE, 2)
    owner.receives(w1, Unhealthy(2, "no"))
    owner.records()
    all_apply(owner, w1, w2)
    assert owner.did(fx.Load)[-1].rebuild


def test_a_worker_with_a_higher_number_ends_it():
    owner, (_w1, _w2) = begun()
    owner.meets(9, 7, D)
    assert [record.version for record in owner.did(fx.Record)] == [8]
    by = "a worker with a higher number (or with this one, and other content)"
    assert owner.core._proposal.evidence == (f"{by} ended the trial of version 2",)


def test_what_no_worker_runs_is_undone_after_the_trial():
    """A4: the only worker that runs what is committed has left, and another one declines it.

    U1: what was on trial is refused after that undo, too.
    """
    owner, (w1, w2) = serving()
    owner.is_asked_for(Reload, force=True)
    owner.loads_of(B, B)
    all_vote(owner, w1, w2)
    owner.records()
    owner.waits_out(fx.Timer.BARRIER)
    owner.receives(w1, Applied(2))
    owner.is_asked_for(Reload, canary=ONE)
    owner.loads_of(C, C)
    all_vote(owner, w1)
    owner.records()
    assert owner.core.operator.trial.version == 3
    owner.receives(w1, Goodbye())
    owner.receives(w2, Declined(2, (WHY,)))
    assert owner.core._proposal.evidence == ("the undo of what no worker runs ended the trial of version 3",)
    owner.records()
    owner.receives(w2, Declined(4, (WHY,)))
    owner.records()
    assert (owner.version, owner.core.committed.payload, owner.core.operator.trial) == (5, A, None)
    owner.receives(w2, Applied(5))
    owner.is_triggered("watch")
    owner.loads_of(C, C)
    assert (owner.state, owner.events()[-1].result) == (IDLE, ReloadResult.REJECTED)


def test_what_is_put_back_in_the_place_of_a_trial_s_undo_stands_in_the_window_still():
    """Nobody runs what the undo has put back: the version before goes on, which nobody has confirmed yet."""
    owner, (w1, w2) = serving()
    owner.is_asked_for(Reload, force=True, confirm_within=600.0)
    owner.loads_of(B, B)
    all_vote(owner, w1, w2)
    owner.records()
    all_apply(owner, w1, w2)
    owner.is_asked_for(Reload, force=True)
    owner.loads_of(C, C)
    all_vote(owner, w1, w2)
    owner.records()
    owner.waits_out(fx.Timer.BARRIER)
    owner.receives(w1, Applied(3))
    owner.is_asked_for(Reload, canary=ONE)
    owner.loads_of(D, D)
    all_vote(owner, w1)
    owner.records()
    owner.receives(w1, Goodbye())
    owner.receives(w2, Declined(3, (WHY,)))
    owner.records()
    owner.receives(w2, Declined(5, (WHY,)))
    owner.records()
    owner.receives(w2, Applied(6))
    assert (owner.version, owner.core.committed.payload, owner.core.operator.window.fallback) == (6, B, 1)
    assert (owner.events()[-1].result, owner.events()[-1].version) == (ReloadResult.UNDONE, 6)


@pytest.mark.parametrize("content", [B, C], ids=["what ran", "what was on trial"])
@pytest.mark.parametrize("asks", [False, True], ids=["trigger", "call"])
def test_what_was_on_trial_and_what_ran_beside_it_are_both_refused_once_both_are_undone(content: bytes, asks: bool):
    """U1: each of them until the sources change, though the other one was undone later."""
    owner, peers = serving(probation=20.0)
    owner.is_asked_for(Reload, force=True)
    owner.loads_of(B, B)
    commits(owner, *peers)
    tries(owner, peers, C)
    owner.receives(peers[0], Unhealthy(2, "the pool is empty"))
    empty = "worker 1 says that version 2 is unhealthy: the pool is empty"
    why = f"the end of what was provisional ({empty}) ended the trial of version 3"
    assert owner.core._proposal.evidence == (why,)
    for version in (4, 5):
        owner.records()
        assert owner.version == version
        all_apply(owner, *peers)
    assert (owner.state, owner.core.committed.payload) == (IDLE, A)
    owner.is_asked() if asks else owner.is_triggered("watch")
    owner.loads_of(content, content)
    assert (owner.state, owner.events()[-1].result) == (IDLE, ReloadResult.REJECTED)
    version = {B: 4, C: 3}[content]
    assert f"undone with version {version}" in owner.events()[-1].error_message
    for other in (D, content):
        owner.is_triggered("watch")
        owner.loads_of(other, other)
        assert owner.state is STAGING, "the sources have changed"
        all_vote(owner, *peers)
        owner.records()
        owner.is_asked_for(Confirm)
        commits(owner, *peers)


# ---- by entity


def test_by_entity_all_try_it_and_its_use_begins_when_all_have_it():
    """E9."""
    owner, (w1, w2) = serving(canary=BY_ENTITY)
    tries(owner, [w1, w2])
    assert Try(1, 2, 0.05, "app/2") in owner.sent(w1)
    assert Try(1, 2, 0.05, "app/2") in owner.sent(w2)
    owner.receives(w1, Tried(2))
    assert Settled(2) not in owner.sent(w1)
    owner.now = 103.0
    owner.receives(w2, Tried(2))
    assert (owner.sent(w1)[-1], owner.sent(w2)[-1]) == (Settled(2), Settled(2))
    assert owner.core.operator.trial.deadline == 163.0


def test_by_entity_a_canary_that_is_silent_is_named_at_a_deadline():
    owner, (w1, w2) = serving(canary=BY_ENTITY)
    tries(owner, [w1, w2])
    owner.receives(w1, Tried(2))
    ends(owner)
    assert owner.sent(w1)[-1] == Settled(2, (2,))
    assert (owner.state, owner.core.operator.trial.deadline) == (IDLE, owner.now + 60.0)
    owner.receives(w2, Tried(2))
    assert owner.sent(w2)[-1] == Settled(2, (2,))


def test_by_entity_its_use_does_not_begin_while_it_is_being_undone():
    owner, (w1, w2) = serving(canary=BY_ENTITY)
    tries(owner, [w1, w2])
    owner.receives(w1, Tried(2))
    owner.receives(w1, Unhealthy(2, "no"))
    owner.receives(w2, Tried(2))
    ends(owner)
    assert Settled(2) not in owner.sent(w1) + owner.sent(w2)
    undone(owner, [w1, w2])


def test_by_entity_a_use_that_begins_while_something_else_is_written_keeps_its_time():
    owner, peers = serving(canary=BY_ENTITY)
    owner.is_asked_for(Reload, confirm_within=600.0)
    owner.loads_of(A, A)
    owner.records()
    tries(owner, peers)
    owner.is_asked_for(Confirm, version=1)
    assert owner.state is RECORDING
    owner.now += 1.0
    for peer in peers:
        owner.receives(peer, Tried(2))
    owner.records()
    assert (owner.core.operator.window, owner.core.operator.trial.deadline) == (None, owner.now + 60.0)


def test_by_entity_one_worker_is_enough():
    owner, _ = begun(1, canary=BY_ENTITY)
    assert owner.core.operator.trial.version == 2


def test_by_entity_a_newcomer_is_given_both():
    owner, _ = begun(canary=BY_ENTITY)
    new = owner.meets(3, trial=0)
    (install,) = owner.sent(new)
    assert (install.version, install.trial) == (1, OnTrial(2, B, B, 0.05, "app/2", True))
    owner.receives(new, Applied(1))
    owner.receives(new, Tried(2))
    assert Settled(2) not in owner.sent(new)
    old = owner.meets(4)
    assert owner.sent(old)[0].trial is None


def test_by_entity_a_newcomer_that_was_given_both_begins_with_the_others():
    owner, peers = serving(canary=BY_ENTITY)
    tries(owner, peers, canary=BY_ENTITY)
    w3 = owner.meets(3, trial=0)
    (install,) = [each for each in owner.sent(w3) if isinstance(each, Install)]
    assert (install.trial.version, install.trial.begun) == (2, False)
    owner.receives(w3, Applied(1))
    for peer in (*peers, w3):
        owner.forget().receives(peer, Tried(2))
    assert Settled(2) in owner.sent(w3)
    w4 = owner.forget().meets(4, trial=0)
    (install,) = [each for each in owner.sent(w4) if isinstance(each, Install)]
    owner.receives(w4, Applied(1))
    owner.receives(w4, Tried(2))
    assert install.trial.begun
    assert Settled(2) not in owner.sent(w4), "it began with its Install"


@pytest.mark.parametrize(("entities", "text"), [(0, "no request named an entity"), (17, "17 of 50 requests")])
def test_by_entity_only_requests_that_named_one_count(entities: int, text: str):
    owner, (w1, w2) = begun(canary=BY_ENTITY)
    counts(owner, w1, 5000, entities=entities)
    ends(owner)
    owner.records()
    assert text in owner.events()[-1].notes[0]
    ends(owner)
    undone(owner, [w1, w2])


def test_by_entity_enough_requests_promote_it():
    owner, (w1, w2) = begun(canary=BY_ENTITY)
    counts(owner, w1, 30, entities=30)
    counts(owner, w2, 30, entities=20)
    ends(owner)
    commits(owner, w1, w2)
    assert (owner.version, owner.core.committed.payload) == (2, B)


def test_by_entity_each_workers_death_counts():
    owner, (_w1, w2) = begun(canary=BY_ENTITY)
    owner.feed(fx.ProcessGone(w2.pid, "left with status 1"))
    assert owner.state is RECORDING


def test_a_tried_of_another_number_is_dropped():
    owner, (w1, w2) = begun()
    owner.receives(w1, Tried(7))
    owner.receives(w2, Tried(2))
    assert owner.core.dropped["tried what is not on trial"] == 2


def test_no_repr_shows_a_digest():
    owner, _ = begun()
    trial = msgspec.structs.replace(owner.core.operator.trial, digest=b"secret digest")
    assert "secret" not in repr(trial)


def test_a_no_to_the_committed_version_is_not_forgotten_while_the_trials_undo_can_t_be_written():
    """U3, U6: its probation passes meanwhile, and the no was said in time."""
    owner, peers = serving(2, probation=20.0)
    tries(owner, peers)
    owner.receives(peers[0], Tried(2))
    owner.is_asked_for(Confirm, OPERATOR)
    commits(owner, *peers)
    tries(owner, peers, C)
    owner.forget()
    owner.receives(peers[1], Unhealthy(2, "the pool is empty"))
    assert owner.did(fx.Record)[-1].operator.trial is None
    owner.fails_to_record(fx.RowState.ABSENT)
    owner.now += 30.0
    owner.waits_out(fx.Timer.UNDO)
    owner.records()
    all_apply(owner, *peers)
    undo = owner.did(fx.Record)[-1]
    assert (undo.payload, undo.takes_back, undo.origin) == (A, 1, "undo")


def test_while_something_is_on_trial_no_reissue_that_has_failed_is_tried_again():
    """It would end the trial. Whatever ends it has a number above all that workers have."""
    owner, peers = serving()
    peers.append(owner.meets(3, 1, C, trial=0))
    owner.fails_to_record(fx.RowState.ABSENT)
    tries(owner, peers)
    assert (owner.state, owner.core.operator.trial is None) == (IDLE, False)
