"""Operations one by one, and what goes wrong without a rule for them: each trace is the shortest that is known."""

from __future__ import annotations

from typing import Any

import pytest

from confcast import Canary
from confcast.errors import Problem
from confcast.owner.core import effects as fx
from confcast.owner.core.machine import Hold, OperatorState, ProposalState
from confcast.owner.core.proposal import CROWDED, CUT_SHORT, NOT_OWED
from confcast.owner.core.requests import MOST_WAITING
from confcast.wire.messages import (
    Abort,
    Applied,
    Check,
    Declined,
    Prepare,
    Reload,
    ReloadEvent,
    ReloadResult,
    Resume,
    Rollback,
    Set,
    Unset,
    Vote,
    Who,
    Working,
)
from tests.core.world import WHY, A, B, C, Owner, Peer, all_apply, all_vote, commits

IDLE, LOADING, STAGING, RECORDING, COMMITTING = ProposalState
OPERATOR = Who(1000, 51, "confcast rollback")
HELD = OperatorState(7, Hold(1, 50.0, OPERATOR, "a bad night"), tried=B)
SHORT, LONG = 2.0, 30.0
"""The options `vote_timeout` and `precommit_timeout`, in seconds."""


def serving(committed: tuple[int, bytes] = (3, A), **other: Any) -> tuple[Owner, Peer, Peer]:
    """An owner and two workers that run what is committed."""
    owner = Owner(committed, **other)
    peers = owner.has(1), owner.has(2)
    owner.forget()
    return owner, *peers


def goes_back(owner: Owner, *peers: Peer, content: bytes = A, version: int = 1, **asked: Any) -> fx.Call:
    call = owner.is_asked_for(Rollback, OPERATOR, **asked)
    owner.restores(content, version)
    commits(owner, *peers)
    return call


def told(owner: Owner) -> list[ReloadResult]:
    return [event.result for event in owner.events()]


def reborn(owner: Owner) -> Owner:
    """The next owner, from what the last write has left."""
    (*_, record) = [each for each in owner.all if isinstance(each, fx.Record | fx.RecordState | fx.NoteState)]
    committed = owner.core.committed
    return Owner((committed.version, committed.payload), operator=record.operator)


# ---- the way back


def test_a_way_back_has_the_content_of_the_version_under_the_next_number_and_is_held():
    owner, w1, w2 = serving((3, B))
    call = goes_back(owner, w1, w2, reason="a bad night")
    (record,) = owner.did(fx.Record)
    assert (record.version, record.payload, record.origin, record.restores) == (4, A, "rollback", 1)
    assert (record.who, record.reason) == (OPERATOR, "a bad night")
    assert record.operator.hold == Hold(1, 100.0, OPERATOR, "a bad night")
    assert owner.answer(call).result is ReloadResult.SUCCESS
    assert owner.core.operator == record.operator


def test_no_source_is_read_for_it():
    owner, w1, w2 = serving((3, B))
    goes_back(owner, w1, w2)
    assert owner.did(fx.Load) == []


def test_a_no_refuses_it_and_nothing_is_held():
    """Else it is held on content that never ran."""
    owner, w1, _ = serving((3, B))
    call = owner.is_asked_for(Rollback)
    owner.restores(A, 1)
    all_vote(owner, w1, ok=False)
    assert owner.answer(call).result is ReloadResult.REJECTED
    assert owner.answer(call).problems[0].message == "no"
    assert owner.core.operator == OperatorState()
    assert owner.did(fx.Record) == []


@pytest.mark.parametrize("silent", ["proceed", "refuse"])
def test_silence_does_not_refuse_it(silent: str):
    owner, _, _ = serving((3, B), silent=silent)
    call = owner.is_asked_for(Rollback)
    owner.restores(A, 1)
    owner.waits_out(fx.Timer.STAGE)
    owner.records()
    owner.waits_out(fx.Timer.BARRIER)
    assert owner.answer(call).result is ReloadResult.PARTIAL
    assert owner.names() == [1, 2]
    assert owner.core.operator.hold is not None


def test_it_goes_on_past_workers_that_were_silent_before():
    owner, w1, _ = serving((3, B), silent="refuse")
    owner.is_triggered()
    owner.loads(C)
    owner.receives(w1, Vote(owner.core.round, True))
    owner.waits_out(fx.Timer.STAGE)
    owner.forget()
    call = owner.is_asked_for(Rollback)
    owner.restores(A, 1)
    owner.receives(w1, Vote(owner.core.round, True))
    owner.records()
    assert owner.core.operator.hold is not None
    assert owner.answers(call) == []


def test_what_runs_already_is_held_without_a_new_number():
    owner, _, _ = serving((3, A))
    call = owner.is_asked_for(Rollback, version=3)
    owner.restores(A, 3)
    assert owner.state is RECORDING
    assert owner.did(fx.Record) == []
    assert owner.did(fx.RecordState)[0].operator.hold == Hold(3, 100.0)
    owner.records()
    assert owner.answer(call).result is ReloadResult.UNCHANGED
    assert owner.version == 3
    assert owner.core.operator.hold == Hold(3, 100.0)


def test_a_version_that_is_not_kept_refuses_it():
    owner, _, _ = serving()
    call = owner.is_asked_for(Rollback, version=99)
    owner.feed(fx.LoadFailed(owner.did(fx.Restore)[0].number, ReloadResult.VALIDATION_FAILED, (WHY,)))
    assert owner.answer(call).result is ReloadResult.VALIDATION_FAILED
    assert owner.state is IDLE


def test_it_brings_the_overrides_of_its_version_back():
    owner, w1, w2 = serving((3, B), operator=OperatorState(1, layer=b"new"))
    owner.is_asked_for(Rollback)
    owner.restores(A, 1, layer=b"old", values=b"of the sources")
    commits(owner, w1, w2)
    assert owner.core.operator.layer == b"old"
    assert owner.core.committed.values == b"of the sources"


def test_one_that_nobody_runs_is_undone_with_its_hold():
    owner, w1, w2 = serving((3, B))
    call = owner.is_asked_for(Rollback)
    owner.restores(A, 1, layer=b"old")
    all_vote(owner, w1, w2)
    owner.records()
    for peer in (w1, w2):
        owner.receives(peer, Declined(4, (WHY,)))
    assert owner.answers(call) == []
    owner.records()
    undo = owner.did(fx.Record)[-1]
    assert (undo.version, undo.payload, undo.undoes, undo.restores) == (5, B, 4, 0)
    assert (undo.operator.hold, undo.operator.layer) == (None, b"")
    for peer in (w1, w2):
        owner.receives(peer, Applied(5))
    assert owner.answer(call).result is ReloadResult.REJECTED


# ---- the hold


def test_a_hold_stops_a_call_and_says_what_waits():
    owner, w1, w2 = serving(operator=HELD)
    call = owner.is_asked()
    assert owner.did(fx.Load)[0].compare
    owner.loads(C)
    assert owner.answer(call).result is ReloadResult.HELD
    assert [owner.sent(peer) for peer in (w1, w2)] == [[], []]
    assert owner.version == 3


@pytest.mark.parametrize("origin", ["watch", "signal", "restart"])
def test_a_change_of_the_sources_is_told_once_while_held(origin: str):
    owner, _, _ = serving(operator=HELD)
    for content in (C, C, A, A):
        owner.is_triggered(origin)
        owner.loads(content)
    assert told(owner) == [ReloadResult.HELD, ReloadResult.HELD]
    assert [each.operator.tried for each in owner.did(fx.NoteState)] == [C, A]


def test_what_was_tried_before_the_way_back_is_not_told_again():
    """The file has the content that was gone back from: nobody has changed it since."""
    owner, w1, w2 = serving((3, A))
    owner.is_triggered("watch")
    owner.loads(B)
    commits(owner, w1, w2)
    goes_back(owner, w1, w2)
    owner.forget().is_triggered("watch")
    owner.loads(B)
    assert told(owner) == []
    assert owner.state is IDLE


def test_an_edit_that_comes_before_the_way_back_is_committed_is_not_swallowed():
    owner, w1, w2 = serving((3, B), operator=OperatorState(tried=B))
    owner.is_asked_for(Rollback)
    owner.is_triggered("watch")
    owner.restores(A, 1)
    commits(owner, w1, w2)
    owner.loads(C)
    assert told(owner) == [ReloadResult.SUCCESS, ReloadResult.HELD]


def test_content_that_was_refused_is_not_told_again_but_content_that_silence_refused_is():
    for refused, results in ((True, []), (False, [ReloadResult.HELD])):
        owner, w1, _w2 = serving((3, B))
        owner.is_triggered("watch")
        owner.loads(C)
        if refused:
            all_vote(owner, w1, ok=False)
        else:
            owner.waits_out(fx.Timer.STAGE)
        call = owner.is_asked_for(Rollback)
        owner.restores(A, 1)
        owner.waits_out(fx.Timer.STAGE)
        owner.records()
        owner.waits_out(fx.Timer.BARRIER)
        assert owner.answer(call).result is ReloadResult.PARTIAL
        owner.forget().is_triggered("watch")
        owner.loads(C)
        assert told(owner) == results


def test_the_next_owner_stands_on_the_hold():
    """Else the start's load commits the content that a person went back from."""
    owner, w1, w2 = serving((3, B), operator=OperatorState(tried=B))
    goes_back(owner, w1, w2)
    heir = reborn(owner)
    heir.is_triggered("restart")
    heir.loads(B)
    assert heir.did(fx.Record) == []
    assert heir.core.operator == owner.core.operator
    assert heir.events() == []


def test_a_failed_load_says_so_while_held():
    owner, _, _ = serving(operator=HELD)
    call = owner.is_asked()
    owner.fails_to_load()
    assert owner.answer(call).result is ReloadResult.VALIDATION_FAILED
    assert owner.core.operator == HELD


# ---- the end of a hold


@pytest.mark.parametrize("asked", [(Resume, {}), (Reload, {"force": True})])
def test_a_hold_ends_in_the_row_that_commits_the_sources(asked: tuple[type, dict[str, Any]]):
    owner, w1, w2 = serving(operator=HELD, refused=B)
    call = owner.is_asked_for(asked[0], **asked[1])
    assert not owner.did(fx.Load)[0].compare
    owner.loads(B)
    commits(owner, w1, w2)
    assert owner.did(fx.Record)[0].operator.hold is None
    assert owner.did(fx.Record)[0].operator.serial == 8
    assert owner.answer(call).result is ReloadResult.SUCCESS
    assert owner.core.operator.hold is None


def test_a_resumption_ends_the_hold_though_nothing_differs():
    """Else it is answered well, and the configuration is still held."""
    owner, _, _ = serving(operator=HELD, refused=B)
    call = owner.is_asked_for(Resume)
    owner.loads(A)
    assert owner.did(fx.RecordState) == [fx.RecordState(False, b"", OperatorState(8, None, tried=A))]
    owner.records()
    assert owner.answer(call).result is ReloadResult.UNCHANGED
    assert (owner.core.operator.hold, owner.core.refused) == (None, b"")


@pytest.mark.parametrize("how", ["bad", "refused", "silent", "not written"])
def test_a_resumption_that_fails_leaves_the_hold(how: str):
    owner, w1, w2 = serving(operator=HELD)
    call = owner.is_asked_for(Resume)
    if how == "bad":
        owner.fails_to_load()
    else:
        owner.loads(B)
    if how == "refused":
        all_vote(owner, w1, ok=False)
    elif how == "silent":
        owner.waits_out(fx.Timer.STAGE)
        assert owner.answer(call).problems[-1].message == NOT_OWED
    elif how == "not written":
        all_vote(owner, w1, w2)
        owner.fails_to_record(fx.RowState.ABSENT)
    assert not owner.answer(call)
    assert owner.core.operator.hold == HELD.hold
    owner.receives(w1, Applied(3))
    assert owner.state is IDLE, "what a person asks for is not tried again by itself"


@pytest.mark.parametrize("row", fx.RowState)
def test_a_write_of_what_people_have_set_that_fails_is_read_back(row: fx.RowState):
    owner, _, _ = serving(operator=HELD)
    call = owner.is_asked_for(Resume)
    owner.loads(A)
    owner.fails_to_record(row)
    if row is fx.RowState.UNREADABLE:
        assert owner.did(fx.Exit)
        assert owner.answers(call) == []
    elif row is fx.RowState.ABSENT:
        assert owner.answer(call).result is ReloadResult.IO_ERROR
        assert owner.core.operator == HELD
        assert owner.did(fx.Retire) == [], "no number was given out"
    else:
        assert owner.answer(call).result is ReloadResult.UNCHANGED
        assert owner.core.operator.hold is None


def test_who_attaches_while_that_is_written_is_waited_for_and_not_named():
    owner, _, _ = serving(operator=HELD)
    call = owner.is_asked_for(Resume)
    owner.loads(A)
    w3 = owner.meets(3)
    owner.records()
    assert owner.state is COMMITTING
    owner.receives(w3, Applied(3))
    assert owner.answer(call).lagging == []


# ---- expect, and the order


def test_expect_is_compared_when_the_operation_begins():
    """Else both of two operations that were asked together find their version, and both succeed."""
    owner, w1, w2 = serving((1, A))
    first = owner.is_asked_for(Set, values={"k": "x"}, expect=1)
    second = owner.is_asked_for(Set, values={"k": "y"}, expect=1)
    owner.loads_with(B, b"x")
    commits(owner, w1, w2)
    assert owner.answer(first).result is ReloadResult.SUCCESS
    assert owner.answer(second).result is ReloadResult.CONFLICT
    assert owner.answer(second).version == 2
    assert len(owner.did(fx.Load)) == 1


@pytest.mark.parametrize(
    "asked",
    [(Reload, {}), (Rollback, {}), (Set, {"values": {}}), (Unset, {"keys": ()}), (Resume, {})],
    ids=lambda asked: asked[0].__name__,
)
def test_each_operation_may_expect_a_version(asked: tuple[type, dict[str, Any]]):
    owner, _, _ = serving((3, A))
    call = owner.is_asked_for(asked[0], expect=2, **asked[1])
    assert owner.answer(call).result is ReloadResult.CONFLICT
    assert owner.state is IDLE
    owner.is_asked_for(asked[0], expect=3, **asked[1])
    assert owner.state is LOADING


def test_thousands_of_conflicts_are_answered():
    """One after the other: not each within the other."""
    owner, _, _ = serving((1, A))
    owner.is_asked()
    calls = [owner.is_asked_for(Resume, expect=2) for _ in range(3000)]
    owner.loads(A)
    assert {owner.answer(call).result for call in calls[::500]} == {ReloadResult.CONFLICT}
    assert owner.state is IDLE


def test_plain_reloads_share_a_load_and_operations_run_alone_in_their_order():
    owner, w1, w2 = serving((1, A))
    first = owner.is_asked()
    calls = [owner.is_asked(), owner.is_asked_for(Set, values={"k": "x"}), owner.is_asked(), owner.is_asked_for(Resume)]
    owner.loads(A)
    assert owner.answer(first)
    owner.loads(A)
    assert [bool(owner.answers(call)) for call in calls] == [True, False, True, False]
    owner.loads_with(B, b"x")
    commits(owner, w1, w2)
    assert [bool(owner.answers(call)) for call in calls] == [True, True, True, False]
    owner.loads(B)
    assert owner.answer(calls[-1]).result is ReloadResult.UNCHANGED


@pytest.mark.parametrize("how", [{"canary": Canary(1)}, {"allow": ("shrinks:upstreams",)}])
def test_a_reload_that_is_tried_or_passes_a_guard_shares_its_load_with_nobody(how: dict[str, Any]):
    owner, _, _ = serving((1, A))
    owner.is_asked()
    calls = [owner.is_asked(), owner.is_asked_for(Reload, **how), owner.is_asked()]
    owner.loads(A)
    owner.loads(A)
    assert [bool(owner.answers(call)) for call in calls] == [True, False, True]
    owner.loads(A)
    assert owner.answer(calls[1]).result is ReloadResult.UNCHANGED


def test_a_trigger_is_served_after_the_calls():
    owner, _, _ = serving((1, A))
    owner.is_asked_for(Resume)
    owner.is_triggered("watch")
    owner.is_asked_for(Resume)
    for _ in range(3):
        owner.loads(A)
    assert [event.origin for event in owner.events()] == ["resume", "resume", "watch"]


def test_a_call_that_waits_is_answered_when_the_owner_leaves():
    owner, _, _ = serving((1, A))
    calls = [owner.is_asked_for(Rollback), owner.is_asked_for(Check), owner.is_asked()]
    owner.feed(fx.MasterGone())
    assert [owner.answer(call).result for call in calls] == [ReloadResult.OWNER_UNAVAILABLE] * 3


# ---- overrides


def test_overrides_are_written_with_the_version_that_has_them():
    owner, w1, w2 = serving((1, A), operator=OperatorState(4, layer=b"old"))
    owner.is_asked_for(Set, values={"k": "x"})
    load = owner.did(fx.Load)[0]
    assert (load.layer, load.edit.values, load.rebuild) == (b"old", {"k": "x"}, False)
    owner.loads_with(B, b"new")
    assert owner.core.operator.layer == b"old"
    commits(owner, w1, w2)
    assert owner.did(fx.Record)[0].operator == OperatorState(5, layer=b"new")
    assert owner.core.operator.layer == b"new"


def test_overrides_that_a_worker_refuses_are_nowhere():
    owner, w1, _ = serving((1, A))
    call = owner.is_asked_for(Set, values={"k": "x"})
    owner.loads_with(B, b"new")
    all_vote(owner, w1, ok=False)
    assert owner.answer(call).result is ReloadResult.REJECTED
    assert owner.core.operator.layer == b""
    owner.is_asked()
    assert owner.did(fx.Load)[-1].layer == b""


def test_the_present_value_is_set_without_a_new_number():
    owner, _, _ = serving((1, A))
    call = owner.is_asked_for(Set, values={"k": "a"})
    owner.loads_with(A, b"new")
    owner.records()
    assert owner.answer(call).result is ReloadResult.UNCHANGED
    assert owner.core.operator == OperatorState(1, layer=b"new")
    assert owner.version == 1


def test_the_present_value_is_set_though_every_worker_declines_what_runs():
    """It is written, so the answer is no refusal; the workers are named."""
    owner = Owner((1, A))
    workers = [owner.meets(1), owner.meets(2)]
    for peer in workers:
        owner.receives(peer, Declined(1, (WHY,)))
    call = owner.is_asked_for(Set, values={"k": "a"})
    owner.loads_with(A, b"new")
    owner.records()
    for peer in workers:
        owner.receives(peer, Declined(1, (WHY,)))
    event = owner.answer(call)
    assert (event.result, [each.state for each in event.lagging]) == (ReloadResult.PARTIAL, ["declined", "declined"])
    assert owner.core.operator.layer == b"new"


def test_what_is_set_on_a_held_version_builds_on_it_and_leaves_it_held():
    owner, w1, w2 = serving(operator=HELD)
    owner.is_asked_for(Set, values={"k": "x"})
    assert owner.did(fx.Load)[0].rebuild
    owner.loads_with(B, b"new")
    commits(owner, w1, w2)
    assert owner.did(fx.Record)[0].operator == OperatorState(8, HELD.hold, HELD.tried, b"new")


def test_an_override_that_nobody_runs_is_undone_before_its_caller_is_answered():
    owner, w1, w2 = serving((1, A))
    call = owner.is_asked_for(Set, values={"k": "x"})
    owner.loads_with(B, b"new")
    all_vote(owner, w1, w2)
    owner.records()
    for peer in (w1, w2):
        owner.receives(peer, Declined(2, (WHY,)))
    assert owner.answers(call) == []
    assert owner.did(fx.Record)[-1].operator.layer == b""
    owner.records()
    assert owner.core.operator.layer == b""


def test_the_end_of_an_override_reads_no_source():
    owner, w1, w2 = serving((1, B), operator=OperatorState(4, layer=b"x", expires=130.0))
    owner.waits_out(fx.Timer.EXPIRY)
    load = owner.did(fx.Load)[0]
    assert (load.rebuild, load.layer) == (True, b"x")
    owner.loads_with(A, b"")
    commits(owner, w1, w2)
    assert [event.origin for event in owner.events()] == ["expiry"]
    assert owner.core.operator == OperatorState(5)


def finds(owner: Owner, values: bytes, layer: bytes = b"x") -> None:
    """What runs: an override hides what the sources give."""
    owner.feed(fx.Loaded(owner.last_load, B, B, False, layer=layer, expires=130.0, values=values))


@pytest.mark.parametrize(
    ("values", "then"),
    [([b"edited"], LOADING), ([b"edited", b"once"], IDLE), ([b"once"], IDLE), ([b""], IDLE)],
    ids=["edited", "edited back", "not edited", "not known"],
)
def test_an_edit_that_an_override_has_hidden_is_loaded_at_its_end(values: list[bytes], then: ProposalState):
    """The end builds on what was committed before that edit, and nobody else would look at the sources again."""
    owner, w1, w2 = serving((1, B), operator=OperatorState(4, layer=b"x", expires=130.0), values=b"once")
    for each in values:
        owner.is_triggered("watch")
        assert owner.did(fx.Load)[-1].values, "else it is not known whether there was an edit"
        finds(owner, each)
        for peer in (w1, w2):
            owner.receives(peer, Applied(1))
        assert owner.state is IDLE
    owner.waits_out(fx.Timer.EXPIRY)
    assert owner.did(fx.Load)[-1].rebuild
    owner.loads_with(A, b"")
    commits(owner, w1, w2)
    assert owner.state is then
    assert [load.rebuild for load in owner.did(fx.Load)[-2:]][-1] is (then is IDLE)
    if then is LOADING:
        owner.loads(C)
        all_vote(owner, w1, w2)
        assert owner.did(fx.Record)[-1].origin == "watch"


def test_one_that_is_committed_before_the_end_is_hidden_no_more():
    owner, w1, w2 = serving((1, B), operator=OperatorState(4, layer=b"x", expires=130.0), values=b"once")
    owner.is_triggered("watch")
    finds(owner, b"edited")
    for peer in (w1, w2):
        owner.receives(peer, Applied(1))
    owner.is_asked_for(Set, values={"k": "y"})
    owner.loads_with(A, b"xy", expires=130.0)
    commits(owner, w1, w2)
    owner.waits_out(fx.Timer.EXPIRY)
    owner.loads_with(B, b"y")
    commits(owner, w1, w2)
    assert owner.state is IDLE


def test_one_that_can_not_be_loaded_once_nothing_hides_it_is_not_tried_at_each_end():
    owner, w1, w2 = serving((1, B), operator=OperatorState(4, layer=b"x", expires=130.0), values=b"once")
    owner.is_triggered("watch")
    finds(owner, b"edited")
    all_apply(owner, w1, w2)
    owner.waits_out(fx.Timer.EXPIRY)
    owner.loads_with(A, b"y", expires=140.0)
    commits(owner, w1, w2)
    owner.fails_to_load()
    owner.waits_out(fx.Timer.EXPIRY)
    owner.loads_with(C, b"")
    commits(owner, w1, w2)
    assert owner.state is IDLE


@pytest.mark.parametrize(("read", "then"), [(b"edited", LOADING), (b"once", IDLE)], ids=["edited", "not edited"])
def test_one_that_is_undone_with_what_was_set_on_it_is_loaded_once_nothing_hides_it(read: bytes, then: ProposalState):
    """Perhaps nobody ran it for what was set with it; and what comes back hides it once more."""
    owner, w1, w2 = serving((1, B), operator=OperatorState(4, layer=b"x", expires=130.0), values=b"once")
    owner.is_asked_for(Set, values={"k": "y"})
    owner.loads_of(C, read, layer=b"y")
    all_vote(owner, w1, w2)
    owner.records()
    for peer in (w1, w2):
        owner.receives(peer, Declined(2, (WHY,)))
    owner.records()
    all_apply(owner, w1, w2)
    assert (owner.state, owner.core.committed.payload, owner.core.operator.layer) == (IDLE, B, b"x")
    owner.waits_out(fx.Timer.EXPIRY)
    owner.loads_with(A, b"")
    commits(owner, w1, w2)
    assert owner.state is then


def test_an_end_that_is_refused_is_tried_with_the_next_load_alone():
    owner, w1, w2 = serving((1, B), operator=OperatorState(4, layer=b"x", expires=130.0))
    owner.waits_out(fx.Timer.EXPIRY)
    owner.loads_with(A, b"")
    all_vote(owner, w1, ok=False)
    assert owner.state is IDLE
    assert owner.core.operator.layer == b"x"
    for peer in (w1, w2):
        owner.receives(peer, Applied(1))
    assert owner.state is IDLE
    owner.is_triggered("watch")
    assert not owner.did(fx.Load)[-1].rebuild
    owner.loads_with(A, b"")
    commits(owner, w1, w2)
    assert owner.core.operator.expires == 0.0


def test_an_end_that_silence_refused_is_tried_when_a_worker_answers():
    owner, w1, _ = serving((1, B), operator=OperatorState(4, layer=b"x", expires=130.0))
    owner.waits_out(fx.Timer.EXPIRY)
    owner.loads_with(A, b"")
    owner.waits_out(fx.Timer.STAGE)
    assert owner.state is IDLE
    owner.receives(w1, Applied(1))
    assert owner.state is LOADING
    assert owner.did(fx.Load)[-1].rebuild


@pytest.mark.parametrize("content", [A, B], ids=["another content", "the same content"])
def test_an_end_that_could_not_be_written_is_tried_again_after_a_while(content: bytes):
    owner, w1, w2 = serving((1, B), operator=OperatorState(4, layer=b"x", expires=130.0))
    owner.waits_out(fx.Timer.EXPIRY)
    for _ in range(2):
        owner.loads_with(content, b"")
        if content != B:
            all_vote(owner, w1, w2)
        owner.fails_to_record(fx.RowState.ABSENT)
        assert (owner.state, owner.core.operator.layer) == (IDLE, b"x")
        assert owner.events()[-1].result is ReloadResult.IO_ERROR
        owner.waits_out(fx.Timer.EXPIRY)
        assert (owner.state, owner.did(fx.Load)[-1].rebuild) == (LOADING, True)
    owner.loads_with(content, b"")
    if content == B:
        owner.records()
    else:
        commits(owner, w1, w2)
    assert owner.core.operator.expires == 0.0


def test_an_end_that_came_while_no_owner_lived_comes_first():
    owner, _, _ = serving((1, B), operator=OperatorState(4, layer=b"x", expires=20.0))
    owner.is_triggered("restart")
    assert [load.rebuild for load in owner.all if isinstance(load, fx.Load)] == [True]


def test_an_end_waits_for_the_reload_that_is_under_way():
    owner, w1, w2 = serving((1, B), operator=OperatorState(4, layer=b"x", expires=101.0))
    owner.is_asked()
    owner.waits_out(fx.Timer.EXPIRY)
    assert len(owner.did(fx.Load)) == 1
    owner.loads_with(C, b"x", 101.0)
    commits(owner, w1, w2)
    assert owner.did(fx.Load)[-1].rebuild


# ---- many at once


def test_not_too_many_changes_wait():
    """Each may have a megabyte of values, and each pipe a thousand of them."""
    owner, w1, w2 = serving((1, A))
    owner.is_asked()
    waiting = [owner.is_asked_for(Set, OPERATOR, values={}) for _ in range(MOST_WAITING)]
    turned_away = owner.is_asked_for(Set, OPERATOR, values={}, reason="a bad night")
    event = owner.answer(turned_away)
    assert (event.result, event.version, event.reason, event.who) == (
        ReloadResult.OWNER_UNAVAILABLE,
        1,
        "a bad night",
        OPERATOR,
    )
    assert event.problems == [Problem("", CROWDED.format(MOST_WAITING))]
    assert owner.events() == [], "nothing was tried"
    way_back = owner.is_asked_for(Rollback, reason="r" * 1_000_000)
    owner.loads(B)
    commits(owner, w1, w2)
    again = owner.is_asked_for(Set, values={})  # the first one has begun
    assert not any(map(owner.answers, [way_back, again, *waiting])), "they have a turn"


# ---- dry runs


def tries(owner: Owner, content: bytes = B) -> fx.Call:
    call = owner.is_asked_for(Check)
    owner.loads(content)
    return call


def test_a_dry_run_leaves_nothing():
    owner, w1, w2 = serving((1, A))
    call = tries(owner)
    assert owner.did(fx.Load)[0].dry
    all_vote(owner, w1, w2)
    event = owner.answer(call)
    assert (event.result, event.dry_run, event.version) == (ReloadResult.SUCCESS, True, 1)
    assert {type(effect) for effect in owner.log} == {fx.Load, fx.WakeAt, fx.Send, fx.Answer}
    assert [type(frame) for frame in owner.sent(w1)] == [Prepare, Abort]
    assert owner.core.operator == OperatorState()


def test_a_dry_run_collects_each_no():
    owner, w1, w2 = serving((1, A))
    call = tries(owner)
    all_vote(owner, w1, ok=False)
    assert owner.answers(call) == []
    all_vote(owner, w2, ok=False)
    event = owner.answer(call)
    assert event.result is ReloadResult.REJECTED
    assert [problem.location for problem in event.problems] == ["worker 1 and 1 more"]
    assert event.lagging == []


def test_a_dry_run_that_finds_nothing_new_is_answered_at_once():
    owner, w1, _ = serving((1, A))
    owner.receives(w1, Declined(1, (WHY,)))
    owner.forget()
    call = tries(owner, A)
    assert owner.answer(call).result is ReloadResult.UNCHANGED
    assert owner.sent(w1) == [], "who has declined is not asked again"


def test_a_dry_run_whose_load_fails_says_why_and_is_in_no_history():
    owner, _, _ = serving((1, A))
    call = owner.is_asked_for(Check)
    owner.fails_to_load()
    assert (owner.answer(call).result, owner.answer(call).dry_run) == (ReloadResult.VALIDATION_FAILED, True)
    assert owner.events() == []


def test_a_dry_run_whose_check_fails_says_why():
    owner, w1, w2 = serving((1, A))
    call = owner.is_asked_for(Check)
    owner.proposes(B)
    all_vote(owner, w1, w2)
    assert owner.answers(call) == []
    owner.checks(WHY)
    assert owner.answer(call).result is ReloadResult.VALIDATION_FAILED


def test_who_is_silent_in_a_dry_run_is_named_and_asked_by_the_next_reload():
    """Else the next reload does not ask it, and it would have said no."""
    owner, w1, w2 = serving((1, A))
    call = tries(owner)
    all_vote(owner, w1)
    owner.waits_out(fx.Timer.STAGE)
    event = owner.answer(call)
    assert event.result is ReloadResult.PARTIAL
    assert [status.pid for status in event.lagging] == [2]
    assert [status.state for status in owner.core.statuses()] == ["current", "current"]
    owner.forget().is_asked()
    owner.loads(B)
    assert Prepare in map(type, owner.sent(w2))


def test_a_dry_run_in_which_nobody_answers_would_be_refused():
    owner, w1, w2 = serving((1, A))
    call = tries(owner)
    owner.waits_out(fx.Timer.STAGE)
    assert owner.answer(call).result is ReloadResult.REJECTED
    for peer in (w1, w2):
        owner.receives(peer, Applied(1))
    assert owner.state is IDLE, "it is not owed"


def test_who_is_late_is_not_asked_by_a_dry_run_and_is_named():
    owner, w1, w2 = serving((1, A))
    owner.is_triggered()
    owner.loads(B)
    all_vote(owner, w1)
    owner.waits_out(fx.Timer.STAGE)
    owner.records()
    owner.receives(w1, Applied(2))
    owner.forget()
    call = tries(owner, C)
    all_vote(owner, w1)
    assert [status.pid for status in owner.answer(call).lagging] == [2]
    assert Prepare not in map(type, owner.sent(w2))


@pytest.mark.parametrize("how", ["reload", "rollback", "trigger"])
def test_a_dry_run_gives_way(how: str):
    owner, w1, _ = serving((1, A))
    call = tries(owner)
    all_vote(owner, w1)
    if how == "trigger":
        owner.is_triggered("watch")
    elif how == "rollback":
        owner.is_asked_for(Rollback)
    else:
        owner.is_asked()
    event = owner.answer(call)
    assert (event.result, event.problems[-1].message) == (ReloadResult.OWNER_UNAVAILABLE, CUT_SHORT)
    assert owner.state is LOADING


def test_a_dry_run_gives_way_to_the_end_of_a_value():
    owner, w1, _ = serving((1, A), operator=OperatorState(4, layer=b"x", expires=130.0))
    call = tries(owner)
    all_vote(owner, w1)
    owner.waits_out(fx.Timer.EXPIRY)
    assert owner.answer(call).problems[-1].message == CUT_SHORT
    assert owner.state is LOADING
    assert owner.did(fx.Load)[-1].rebuild


def test_a_dry_run_gives_way_to_the_undo_of_what_nobody_runs():
    """The refusal comes after the barrier, in which nobody answered: until the dry run's end nobody would run it."""
    owner, w1, w2 = serving((1, A))
    owner.is_triggered()
    owner.loads(B)
    all_vote(owner, w1, w2)
    owner.records()
    owner.waits_out(fx.Timer.BARRIER)
    owner.meets(3)
    call = tries(owner, C)
    owner.receives(w1, Declined(2, (WHY,)))
    assert owner.answer(call).problems[-1].message == CUT_SHORT
    assert owner.state is RECORDING
    (undo,) = owner.did(fx.Record)[1:]
    assert (undo.version, undo.payload, undo.undoes) == (3, A, 2)


def test_a_dry_run_gives_way_to_a_load_that_is_owed():
    owner, w1, w2 = serving((1, A), silent="refuse")
    owner.is_triggered("watch")
    owner.loads(B)
    owner.receives(w1, Vote(owner.core.round, True))
    owner.waits_out(fx.Timer.STAGE)
    call = tries(owner, C)
    owner.receives(w2, Applied(1))
    assert owner.answer(call).problems[-1].message == CUT_SHORT
    assert owner.state is LOADING


def test_a_dry_run_that_gives_way_says_who_has_refused():
    owner, w1, _ = serving((1, A))
    call = tries(owner)
    all_vote(owner, w1, ok=False)
    owner.is_asked()
    event = owner.answer(call)
    assert event.result is ReloadResult.REJECTED
    assert [problem.message for problem in event.problems] == ["no", CUT_SHORT]


def test_what_waits_already_is_given_way_to_as_well():
    owner, w1, _ = serving((1, A))
    call = owner.is_asked_for(Check)
    owner.is_asked()
    owner.loads(B)
    assert owner.answer(call).problems[-1].message == CUT_SHORT
    assert owner.state is LOADING
    assert owner.sent(w1) == []


def test_a_dry_run_waits_for_the_end_of_another():
    owner, w1, w2 = serving((1, A))
    first = tries(owner)
    second = owner.is_asked_for(Check)
    all_vote(owner, w1, w2)
    owner.loads(B)
    all_vote(owner, w1, w2)
    assert [owner.answer(call).result for call in (first, second)] == [ReloadResult.SUCCESS] * 2


def test_who_works_for_a_dry_run_is_not_named_by_the_next_round():
    owner, w1, w2 = serving((1, A))
    tries(owner)
    owner.receives(w1, Working(owner.core.round, "app:check"))
    call = owner.is_asked()
    owner.loads(C)
    all_vote(owner, w2)
    owner.waits_out(fx.Timer.STAGE)
    assert owner.now == 100.0 + SHORT
    assert owner.state is STAGING, "its function of the dry run lies before its vote"
    all_vote(owner, w1)
    owner.records()
    for peer in (w1, w2):
        owner.receives(peer, Applied(2))
    assert owner.answer(call).lagging == []


def test_the_late_no_to_a_dry_run_is_no_no_to_what_is_owed():
    """Else an edit that silence refused is never loaded."""
    owner, w1, w2 = serving((1, A))
    owner.is_triggered("watch")
    owner.loads(B)
    owner.waits_out(fx.Timer.STAGE)
    tries(owner, C)
    owner.waits_out(fx.Timer.STAGE)
    owner.receives(w1, Vote(owner.core.round, False, (WHY,)))
    owner.receives(w2, Applied(1))
    assert owner.state is LOADING


def test_the_late_no_to_what_is_owed_names_its_load_and_not_the_dry_run_since():
    owner, w1, _ = serving((1, A))
    owner.is_triggered("watch")
    owner.loads(B)
    owner.waits_out(fx.Timer.STAGE)
    owed = owner.core.round
    tries(owner, C)
    owner.waits_out(fx.Timer.STAGE)
    owner.forget()
    owner.receives(w1, Vote(owed, False, (WHY,)))
    (event,) = owner.events()
    assert (event.origin, event.dry_run, event.result) == ("watch", False, ReloadResult.REJECTED)


def test_a_dry_run_says_what_a_resumption_would_bring():
    owner, w1, w2 = serving(operator=HELD)
    call = tries(owner, B)
    all_vote(owner, w1, w2)
    assert owner.answer(call).result is ReloadResult.SUCCESS
    assert owner.core.operator == HELD


def test_a_dry_run_without_workers_is_answered_after_its_check():
    owner = Owner((1, A))
    call = owner.is_asked_for(Check)
    owner.proposes(B)
    owner.checks()
    assert owner.answer(call).result is ReloadResult.SUCCESS


def test_each_event_of_an_operation_names_its_caller():
    owner, _, _ = serving((1, A))
    call = owner.is_asked_for(Rollback, OPERATOR, expect=9, reason="x" * 600)
    event: ReloadEvent = owner.answer(call)
    assert (event.origin, event.who, event.reason) == ("rollback", OPERATOR, "x" * 500)


# ---- guards


@pytest.mark.parametrize(
    ("asked", "fields", "guarding"),
    [
        (Reload, {"allow": ("empties:limits",)}, fx.Guarding.REFUSE),
        (Set, {"values": {"a": 1}, "allow": ("empties:limits",)}, fx.Guarding.REFUSE),
        (Unset, {"keys": ("a",)}, fx.Guarding.REFUSE),
        (Check, {}, fx.Guarding.REFUSE),
        (Reload, {"force": True, "reason": "why"}, fx.Guarding.NONE),
        (Resume, {}, fx.Guarding.UNLESS_KNOWN),
    ],
)
def test_what_guards_do_is_said_by_what_is_asked_for(asked: type, fields: dict[str, Any], guarding: fx.Guarding):
    owner, _, _ = serving((1, A))
    owner.is_asked_for(asked, **fields)
    (load,) = owner.did(fx.Load)
    assert (load.guarding, load.allow) == (guarding, fields.get("allow", ()))


def test_what_one_call_allows_no_other_load_is_allowed():
    owner, w1, w2 = serving((1, A))
    first = owner.is_asked_for(Reload, allow=("empties:limits",))
    plain = owner.is_asked()
    owner.loads(B)
    commits(owner, w1, w2)
    assert owner.answer(first).result is ReloadResult.SUCCESS
    owner.fails_to_load(ReloadResult.GUARDED)
    assert owner.answer(plain).result is ReloadResult.GUARDED
    assert [load.allow for load in owner.did(fx.Load)] == [("empties:limits",), ()]
    assert owner.core.committed.payload == B


@pytest.mark.parametrize(("origin", "guarding"), [("start", "warn"), ("restart", "warn"), ("watch", "refuse")])
def test_a_start_only_warns_whoever_asks_beside_it(origin: str, guarding: str):
    owner, _, _ = serving((1, A))
    owner.is_triggered("signal")
    owner.is_triggered(origin)
    owner.is_asked()
    owner.loads(A)
    assert [load.guarding.value for load in owner.did(fx.Load)] == ["refuse", guarding]


def test_the_end_of_a_value_asks_no_guard():
    owner, _, _ = serving((1, A), operator=OperatorState(layer=b"l", expires=110.0))
    owner.waits_out(fx.Timer.EXPIRY)
    (load,) = owner.did(fx.Load)
    assert (load.rebuild, load.guarding) == (True, fx.Guarding.NONE)
