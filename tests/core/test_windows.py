"""Windows one by one, and what goes wrong without a rule for them: each trace is the shortest that is known."""

from __future__ import annotations

import msgspec
import pytest

from confcast.owner.core import effects as fx
from confcast.owner.core.machine import Committed, Hold, OperatorState, ProposalState, Proven, Window
from confcast.owner.core.windows import digest_of
from confcast.wire.messages import (
    Applied,
    Check,
    Confirm,
    Declined,
    Install,
    Reload,
    ReloadResult,
    Resume,
    Rollback,
    Set,
    Vote,
    Who,
)
from tests.core.world import WHY, A, B, C, D, Owner, Peer, all_apply, all_vote, commits

IDLE, LOADING, STAGING, RECORDING, COMMITTING = ProposalState
OPERATOR = Who(1000, 51, "confcast reload --confirm-within 10m")
SECONDS = 600.0


def serving(committed: tuple[int, bytes] = (1, A), **other: object) -> tuple[Owner, Peer, Peer]:
    """An owner and two workers that run what is committed; the sources gave just that."""
    mine = Committed(*committed, committed[1], False, committed[1])
    owner = Owner(committed, **{"fallback": Proven(mine), **other})
    peers = owner.has(1), owner.has(2)
    owner.forget()
    return owner, *peers


def opens(owner: Owner, *peers: Peer, content: bytes = B, within: float = SECONDS) -> fx.Call:
    """A reload of this content, which opens a window."""
    call = owner.is_asked_for(Reload, OPERATOR, confirm_within=within, reason="another database")
    owner.loads_of(content, content)
    commits(owner, *peers)
    return call


def ends(owner: Owner, *peers: Peer) -> None:
    """The deadline comes, and what it undoes is written and applied."""
    owner.waits_out(fx.Timer.CONFIRM)
    owner.records()
    all_apply(owner, *peers)


def reborn(owner: Owner, *, later: float = 0.0, starts_anew: bool = False) -> Owner:
    """The next owner, from what the last write has left, `later` by that many seconds."""
    (*_, record) = [each for each in owner.all if isinstance(each, fx.Record | fx.RecordState | fx.NoteState)]
    operator, committed = record.operator, owner.core.committed
    if operator.window is not None:
        deadline = operator.window.deadline - later
        operator = msgspec.structs.replace(operator, window=msgspec.structs.replace(operator.window, deadline=deadline))
    return Owner(
        (committed.version, committed.payload),
        operator=operator,
        refused=record.refused,
        fallback=owner.core.fallback,
        starts_anew=starts_anew,
    )


def window(owner: Owner) -> Window:
    assert owner.core.operator.window is not None
    return owner.core.operator.window


# ---- it is opened


def test_a_window_is_in_the_row_of_the_version_that_opens_it():
    """F1: with its deadline in memory, the owner is killed, and nobody ever undoes."""
    owner, w1, w2 = serving()
    call = opens(owner, w1, w2)
    (record,) = owner.did(fx.Record)
    kept = record.operator.window
    assert (kept.fallback, kept.deadline, kept.within) == (1, 100.0 + SECONDS, SECONDS)
    assert (kept.who, kept.reason, kept.opened) == (OPERATOR, "another database", 100.0)
    assert (owner.answer(call).result, owner.answer(call).confirm_by) == (ReloadResult.SUCCESS, 700.0)


def test_the_time_counts_from_the_commit():
    owner, w1, w2 = serving()
    owner.is_asked_for(Reload, confirm_within=SECONDS)
    owner.loads(B)
    owner.now += 1.5
    commits(owner, w1, w2)
    assert window(owner).deadline == 101.5 + SECONDS


@pytest.mark.parametrize("within", [0.0, -1.0, float("nan")])
def test_what_is_no_time_opens_no_window(within: float):
    owner, w1, w2 = serving()
    opens(owner, w1, w2, within=within)
    assert owner.core.operator.window is None


def test_a_refused_load_opens_none():
    owner, w1, _ = serving()
    call = owner.is_asked_for(Reload, confirm_within=SECONDS)
    owner.loads(B)
    all_vote(owner, w1, ok=False)
    assert owner.answer(call).confirm_by is None
    assert owner.core.operator.window is None
    assert not [each for each in owner.did(fx.WakeAt) if each.timer is fx.Timer.CONFIRM]


def test_a_load_that_finds_nothing_changed_opens_one_without_a_number():
    owner, w1, w2 = serving()
    call = owner.is_asked_for(Reload, confirm_within=SECONDS)
    owner.loads(A)
    assert owner.state is RECORDING
    owner.records()
    assert (owner.answer(call).result, owner.version) == (ReloadResult.UNCHANGED, 1)
    owner.is_triggered("watch")
    owner.loads(B)
    commits(owner, w1, w2)
    ends(owner, w1, w2)
    assert (owner.version, owner.core.committed.payload) == (3, A)


# ---- it is carried on


@pytest.mark.parametrize("how", ["watch", "set", "rollback", "resume"])
def test_any_commit_carries_it_on(how: str):
    """F2: else a watched edit inside the window is confirmed by nobody."""
    owner, w1, w2 = serving((1, A))
    opens(owner, w1, w2)
    before = window(owner)
    if how == "watch":
        owner.is_triggered("watch")
        owner.loads(C)
    elif how == "rollback":
        owner.is_asked_for(Rollback, version=1)
        owner.restores(C, 1)
    else:
        owner.is_asked_for(Set, values={"k": "x"}) if how == "set" else owner.is_asked_for(Resume)
        owner.loads(C)
    commits(owner, w1, w2)
    after = window(owner)
    assert (after.fallback, after.deadline) == (before.fallback, before.deadline)
    ends(owner, w1, w2)
    assert (owner.version, owner.core.committed.payload, owner.core.operator.window) == (4, A, None)
    assert owner.events()[-1].result is ReloadResult.UNDONE


@pytest.mark.parametrize("content", [B, C])
def test_another_confirm_within_sets_the_deadline_and_keeps_the_fallback(content: bytes):
    """U4: else v3 falls back to v2, which nobody has confirmed."""
    owner, w1, w2 = serving()
    opens(owner, w1, w2)
    owner.now += 500.0
    owner.is_asked_for(Reload, confirm_within=SECONDS)
    owner.loads(content)
    if content != B:
        all_vote(owner, w1, w2)
    owner.records()
    all_apply(owner, w1, w2)
    assert (window(owner).fallback, window(owner).deadline) == (1, 1200.0)
    owner.feed(fx.Wake(fx.Timer.CONFIRM, -1))
    assert owner.state is IDLE, "the deadline of before"
    ends(owner, w1, w2)
    assert owner.core.committed.payload == A


@pytest.mark.parametrize("late", [False, True], ids=["in time", "too late for its outcome"])
def test_what_a_worker_has_declined_is_no_fallback(late: bool):
    owner, w1, w2 = serving()
    owner.is_asked()
    owner.loads(B)
    all_vote(owner, w1, w2)
    owner.records()
    owner.receives(w1, Applied(2))
    if late:
        owner.waits_out(fx.Timer.BARRIER)
    owner.receives(w2, Declined(2, (WHY,)))
    opens(owner, w1, w2, content=C)
    assert window(owner).fallback == 1


def test_a_journal_that_is_made_anew_has_what_a_late_refusal_falls_back_to():
    owner, w1, w2 = serving()
    owner.is_asked()
    owner.loads(B)
    all_vote(owner, w1, w2)
    owner.records()
    owner.receives(w1, Applied(2))
    owner.waits_out(fx.Timer.BARRIER)
    kept = [each.committed.version for each in owner.core.fallbacks]
    owner.receives(w2, Declined(2, (WHY,)))
    opens(owner, w1, w2, content=C)
    assert window(owner).fallback in kept == [1]


# ---- it is confirmed


def test_a_confirmation_closes_it_and_writes_the_state_alone():
    owner, w1, w2 = serving()
    opens(owner, w1, w2)
    call = owner.is_asked_for(Confirm, OPERATOR, version=2, reason="looked at it")
    (write,) = owner.did(fx.RecordState)
    assert write.operator.window is None
    assert owner.core.operator.window is not None, "not before it is written"
    owner.records()
    event = owner.answer(call)
    assert (event.result, event.version, event.origin, event.reason) == (
        ReloadResult.SUCCESS,
        2,
        "confirm",
        "looked at it",
    )
    assert event.confirm_by is None
    owner.waits_out(fx.Timer.CONFIRM)
    assert (owner.state, owner.version) == (IDLE, 2)


def test_what_was_confirmed_is_what_the_next_window_falls_back_to():
    owner, w1, w2 = serving()
    opens(owner, w1, w2)
    owner.is_asked_for(Confirm)
    owner.records()
    opens(owner, w1, w2, content=C)
    assert window(owner).fallback == 2


@pytest.mark.parametrize("version", [1, 3])
def test_another_version_than_the_one_that_runs_is_not_confirmed(version: int):
    owner, w1, w2 = serving()
    opens(owner, w1, w2)
    call = owner.is_asked_for(Confirm, version=version)
    assert owner.answer(call).result is ReloadResult.CONFLICT
    assert owner.core.operator.window is not None


def test_nothing_waits_to_be_confirmed():
    owner, _, _ = serving()
    call = owner.is_asked_for(Confirm)
    assert owner.answer(call).result is ReloadResult.CONFLICT
    assert "nothing waits" in str(owner.answer(call).error_message)


def test_at_the_deadline_it_is_too_late():
    """F3; and D7: the window goes before the call that has come."""
    owner, w1, w2 = serving()
    opens(owner, w1, w2)
    owner.now = window(owner).deadline
    call = owner.is_asked_for(Confirm)
    assert owner.did(fx.Record)[-1].undo
    owner.records()
    all_apply(owner, w1, w2)
    assert owner.answer(call).result is ReloadResult.CONFLICT
    assert "version 2 was undone" in str(owner.answer(call).error_message)


def test_a_confirmation_that_can_not_be_written_leaves_it_open():
    owner, w1, w2 = serving()
    opens(owner, w1, w2)
    call = owner.is_asked_for(Confirm)
    owner.fails_to_record(fx.RowState.ABSENT)
    assert owner.answer(call).result is ReloadResult.IO_ERROR
    assert owner.core.operator.window is not None


def test_a_confirmation_that_is_being_written_at_the_deadline_holds():
    owner, w1, w2 = serving()
    opens(owner, w1, w2)
    call = owner.is_asked_for(Confirm)
    owner.waits_out(fx.Timer.CONFIRM)
    owner.records()
    assert owner.answer(call).result is ReloadResult.SUCCESS
    assert owner.version == 2


# ---- it ends


def test_its_end_puts_the_fallback_back_without_a_vote():
    owner, w1, w2 = serving()
    opens(owner, w1, w2)
    owner.forget().waits_out(fx.Timer.CONFIRM)
    (record,) = owner.did(fx.Record)
    assert (record.version, record.payload, record.undo, record.origin) == (3, A, True, "undo")
    assert (record.undoes, record.refused, record.operator.window) == (2, B, None)
    owner.records()
    assert [type(frame) for frame in owner.sent(w1)] == [Install]
    assert owner.sent(w1)[0].undo
    all_apply(owner, w1, w2)
    (event,) = owner.events()
    assert (event.result, event.origin, event.version, bool(event)) == (ReloadResult.UNDONE, "undo", 3, False)
    assert event.evidence == ["nobody confirmed version 2 within 600 s"]
    assert event.confirm_by is None


def test_the_overrides_come_back_that_were_there_when_it_was_opened_and_a_hold_that_has_ended_does_not():
    """What takes itself back never holds."""
    hold = Hold(1, 50.0, OPERATOR, "a bad night")
    owner, w1, w2 = serving(operator=OperatorState(7, hold, layer=b"old"))
    owner.is_asked_for(Set, values={"k": "x"}, confirm_within=SECONDS)
    owner.loads_with(B, b"new")
    commits(owner, w1, w2)
    owner.is_asked_for(Resume)
    owner.loads_with(C, b"new")
    commits(owner, w1, w2)
    assert owner.core.operator.hold is None
    ends(owner, w1, w2)
    assert (owner.core.operator.hold, owner.core.operator.layer) == (None, b"old")


def test_a_hold_that_was_there_all_the_time_stays():
    hold = Hold(1, 50.0, OPERATOR, "a bad night")
    owner, w1, w2 = serving(operator=OperatorState(7, hold, layer=b"old"))
    owner.is_asked_for(Set, values={"k": "x"}, confirm_within=SECONDS)
    owner.loads_with(B, b"new")
    commits(owner, w1, w2)
    ends(owner, w1, w2)
    assert (owner.core.operator.hold, owner.core.operator.layer) == (hold, b"old")


def test_its_end_does_not_wait_for_the_calls_that_come_without_end():
    """D7: somebody reloads in a loop, and the end of the window is never looked at."""
    owner, w1, w2 = serving()
    opens(owner, w1, w2)
    owner.is_asked()
    owner.is_asked()
    owner.loads(B)
    owner.now = window(owner).deadline
    owner.loads(B)
    assert owner.state is RECORDING
    assert owner.did(fx.Record)[-1].undo


@pytest.mark.parametrize("state", [LOADING, STAGING])
def test_a_proposal_that_is_under_way_begins_anew_after_the_undo(state: ProposalState):
    """U3; its caller is not told of a load that was given up."""
    owner, w1, w2 = serving()
    opens(owner, w1, w2)
    call = owner.is_asked()
    if state is STAGING:
        owner.loads(C)
        owner.receives(w1, Vote(owner.core.round, True))
    owner.waits_out(fx.Timer.CONFIRM)
    assert owner.state is RECORDING
    owner.records()
    all_apply(owner, w1, w2)
    assert owner.state is LOADING
    assert owner.answers(call) == []
    owner.loads(C)
    commits(owner, w1, w2)
    assert (owner.answer(call).result, owner.version) == (ReloadResult.SUCCESS, 4)


def test_the_result_of_the_load_that_was_given_up_is_dropped():
    owner, w1, w2 = serving()
    opens(owner, w1, w2)
    owner.is_asked()
    given_up = owner.last_load
    owner.waits_out(fx.Timer.CONFIRM)
    owner.feed(fx.Loaded(given_up, C, C, differs=True, checked=False))
    owner.records()
    owner.feed(fx.Checked(given_up))
    all_apply(owner, w1, w2)
    assert owner.core.committed.payload == A


def test_an_unheard_dry_run_gives_way_to_it():
    owner, w1, w2 = serving()
    opens(owner, w1, w2)
    call = owner.is_asked_for(Check)
    owner.loads(C)
    owner.waits_out(fx.Timer.CONFIRM)
    assert owner.answer(call).result is ReloadResult.OWNER_UNAVAILABLE
    assert owner.state is RECORDING


@pytest.mark.parametrize("state", [RECORDING, COMMITTING])
def test_what_is_committed_in_its_last_moment_is_undone_and_its_callers_are_told(state: ProposalState):
    owner, w1, w2 = serving()
    opens(owner, w1, w2)
    call = owner.is_asked()
    owner.loads(C)
    all_vote(owner, w1, w2)
    if state is RECORDING:
        owner.waits_out(fx.Timer.CONFIRM)
        owner.records()
    else:
        owner.records()
        owner.receives(w1, Applied(3))
        owner.waits_out(fx.Timer.CONFIRM)
    assert owner.state is RECORDING
    assert owner.answers(call) == []
    owner.records()
    all_apply(owner, w1, w2)
    event = owner.answer(call)
    assert (event.result, event.version) == (ReloadResult.UNDONE, 4)
    assert "version 3" in event.evidence[0]
    assert owner.core.committed.payload == A


def test_an_end_between_accept_and_its_answer_waits_for_that():
    owner, w1, w2 = serving()
    opens(owner, w1, w2)
    call = owner.is_asked()
    owner.loads(C)
    all_vote(owner, w1, w2)
    owner.records()
    owner.accepts = False
    all_apply(owner, w1, w2)
    owner.waits_out(fx.Timer.CONFIRM)
    assert owner.state is COMMITTING
    owner.accepts = True
    owner.feed(fx.Accepted())
    assert owner.state is RECORDING
    owner.records()
    all_apply(owner, w1, w2)
    assert owner.answer(call).result is ReloadResult.UNDONE


def test_an_undo_that_can_not_be_written_is_tried_each_second():
    """U6."""
    owner, w1, w2 = serving()
    opens(owner, w1, w2)
    owner.waits_out(fx.Timer.CONFIRM)
    for version in (3, 4, 5):
        assert owner.did(fx.Record)[-1].version == version
        owner.fails_to_record(fx.RowState.ABSENT)
        owner.is_triggered("watch")
        owner.waits_out(fx.Timer.UNDO)
    assert owner.now == 100.0 + SECONDS + 3.0
    owner.records()
    all_apply(owner, w1, w2)
    assert (owner.version, owner.core.committed.payload) == (6, A)


def test_where_the_fallback_runs_already_its_end_only_closes_it():
    owner, w1, w2 = serving()
    opens(owner, w1, w2)
    owner.is_triggered("watch")
    owner.loads_of(A, A)
    commits(owner, w1, w2)
    owner.forget().waits_out(fx.Timer.CONFIRM)
    assert owner.did(fx.Record) == []
    owner.fails_to_record(fx.RowState.ABSENT)
    owner.waits_out(fx.Timer.UNDO)
    owner.records()
    (event,) = owner.events()
    assert (event.result, event.version, event.origin) == (ReloadResult.UNCHANGED, 3, "undo")
    assert owner.core.operator.window is None


def test_an_override_whose_time_has_ended_meanwhile_ends_after_the_undo():
    owner, w1, w2 = serving(operator=OperatorState(7, layer=b"old", expires=200.0))
    owner.is_asked_for(Reload, confirm_within=SECONDS)
    owner.loads_with(B, b"", 0.0)
    commits(owner, w1, w2)
    ends(owner, w1, w2)
    assert owner.state is LOADING
    assert owner.did(fx.Load)[-1].rebuild


def test_one_whose_end_was_not_undone_ends_after_the_undo_though_another_has_ended_in_the_window():
    """Without: it waits for a load, and as the sources still have what was undone, none may come for days."""
    owner, w1, w2 = serving(operator=OperatorState(7, layer=b"old", expires=200.0))
    owner.is_asked_for(Reload, confirm_within=SECONDS)
    owner.loads_with(B, b"new", 150.0)
    commits(owner, w1, w2)
    owner.waits_out(fx.Timer.EXPIRY)
    owner.loads_with(C, b"", 0.0)
    commits(owner, w1, w2)
    assert owner.events()[-1].origin == "expiry"
    ends(owner, w1, w2)
    assert (owner.core.operator.layer, owner.core.operator.expires) == (b"old", 200.0)
    assert owner.state is LOADING
    assert owner.did(fx.Load)[-1].rebuild


def test_one_that_was_replaced_between_the_ends_of_two_others_ends_after_the_undo():
    """Without: its time lies between theirs, so that its end counts as undone, and it waits for a load."""
    owner, w1, w2 = serving(operator=OperatorState(7, layer=b"old", expires=200.0))
    for content, layer, expires in ((B, b"first", 150.0), (C, b"second", 250.0)):
        owner.is_asked_for(Reload, confirm_within=SECONDS)
        owner.loads_with(content, layer, expires)
        commits(owner, w1, w2)
        owner.waits_out(fx.Timer.EXPIRY)
        owner.loads_with(content * 2, b"", 0.0)
        commits(owner, w1, w2)
    ends(owner, w1, w2)
    assert (owner.core.operator.layer, owner.core.operator.expires) == (b"old", 200.0)
    assert owner.state is LOADING


def test_an_owed_load_that_is_over_is_not_owed_again_where_the_windows_end_interrupts_what_comes_later():
    """Without: what nobody has asked for is loaded once more, and for somebody who was answered long ago."""
    owner, w1, w2 = serving(operator=OperatorState(7, layer=b"old", expires=200.0))
    owner.is_asked_for(Reload, confirm_within=SECONDS)
    owner.loads_with(B, b"old", 200.0)
    commits(owner, w1, w2)
    owner.is_asked()
    owner.loads(C)
    owner.waits_out(fx.Timer.STAGE)
    assert owner.state is IDLE, "nobody has voted: it is owed"
    owner.receives(w1, Applied(2))
    owner.loads(C)
    commits(owner, w1, w2)
    owner.now = 200.0
    owner.feed(fx.Wake(fx.Timer.EXPIRY, -1))
    assert owner.state is LOADING
    ends(owner, w1, w2)
    assert owner.state is LOADING, "the override ends now"
    owner.forget()
    owner.loads_with(A, b"", 0.0)
    owner.records()
    all_apply(owner, w1, w2)
    assert (owner.state, owner.did(fx.Load)) == (IDLE, [])


# ---- what was undone is refused


def undone(**other: object) -> tuple[Owner, Peer, Peer]:
    """Version 2 was undone; the sources still have it."""
    owner, w1, w2 = serving(**other)
    opens(owner, w1, w2)
    ends(owner, w1, w2)
    owner.forget()
    return owner, w1, w2


@pytest.mark.parametrize("how", ["watch", "signal", "restart", "call"])
def test_what_was_undone_is_not_committed_again(how: str):
    """U1: else a HUP, or the next owner's load, commits it."""
    owner, _, _ = undone()
    owner = reborn(owner) if how == "restart" else owner
    call = owner.is_asked() if how == "call" else owner.is_triggered(how)
    assert owner.did(fx.Load)[-1].values
    owner.loads_of(B, B)
    assert owner.events()[-1].result is ReloadResult.REJECTED
    assert "nobody confirmed" in str(owner.events()[-1].error_message)
    assert call is None or owner.answer(call).result is ReloadResult.REJECTED
    assert owner.core.committed.payload == A


@pytest.mark.parametrize(
    "asked",
    [(Resume, {}), (Reload, {"force": True}), (Reload, {"confirm_within": 60.0})],
    ids=lambda each: str(each[1]),
)
def test_somebody_who_asks_for_just_that_gets_it(asked: tuple[type, dict]):
    owner, w1, w2 = undone()
    call = owner.is_asked_for(asked[0], **asked[1])
    owner.loads_of(B, B)
    commits(owner, w1, w2)
    assert owner.answer(call).result is ReloadResult.SUCCESS
    assert owner.core.operator.unconfirmed is None


def test_who_asks_for_it_while_it_is_hidden_has_put_nothing_to_the_vote():
    """Without: it is committed by the next load that finds what had hidden it gone, and nobody has asked for that."""
    owner, w1, w2 = undone()
    owner.is_asked_for(Set, values={"k": "x"})
    owner.loads_of(C, A, b"x")
    commits(owner, w1, w2)
    call = owner.is_asked_for(Resume)
    owner.loads_of(C, B, b"x")
    all_apply(owner, w1, w2)
    assert owner.answer(call).result is ReloadResult.UNCHANGED
    owner.is_triggered("watch")
    owner.loads_of(B, B)
    assert owner.events()[-1].result is ReloadResult.REJECTED


def test_other_content_of_the_sources_goes_its_way_and_ends_the_refusal():
    owner, w1, w2 = undone()
    for content in (C, B):
        owner.is_triggered("watch")
        owner.loads_of(content, content)
        commits(owner, w1, w2)
    assert [event.result for event in owner.events()] == [ReloadResult.SUCCESS] * 2


def test_sources_that_go_back_to_what_runs_end_the_refusal():
    owner, w1, w2 = undone()
    owner.is_triggered("watch")
    owner.loads_of(A, A)
    assert owner.did(fx.NoteState)[-1].operator.unconfirmed is None
    owner.is_triggered("watch")
    owner.loads_of(B, B)
    commits(owner, w1, w2)
    assert owner.core.committed.payload == B


def test_the_refusal_is_of_the_sources_and_not_of_what_was_set_above_them():
    """Else a value that was set in the window is gone with it, and the sources' content has another digest."""
    owner, w1, w2 = serving()
    opens(owner, w1, w2)
    owner.is_asked_for(Set, values={"k": "x"})
    owner.loads_of(C, B, b"x")
    commits(owner, w1, w2)
    ends(owner, w1, w2)
    owner.is_triggered("watch")
    owner.loads_of(B, B)
    assert owner.events()[-1].result is ReloadResult.REJECTED


def test_a_way_back_in_the_window_does_not_hide_what_the_sources_gave():
    owner, w1, w2 = serving()
    opens(owner, w1, w2)
    owner.is_asked_for(Rollback, version=1)
    owner.restores(C, 1)
    commits(owner, w1, w2)
    ends(owner, w1, w2)
    assert owner.core.operator.unconfirmed.sources == digest_of(B)
    owner.is_triggered("watch")
    owner.loads_of(B, B)
    assert owner.events()[-1].result is ReloadResult.REJECTED


def test_an_edit_that_a_hold_stopped_is_loaded_if_the_end_of_the_window_takes_the_hold_back():
    """The sources are followed again, and nobody looks at them."""
    owner, w1, w2 = serving()
    opens(owner, w1, w2)
    owner.is_asked_for(Rollback, version=1)
    owner.restores(C, 1)
    commits(owner, w1, w2)
    owner.is_triggered("watch")
    owner.loads_of(D, D)
    assert owner.events()[-1].result is ReloadResult.HELD
    owner.forget()
    ends(owner, w1, w2)
    assert owner.core.operator.hold is None
    assert (owner.state, len(owner.did(fx.Load))) == (LOADING, 1)
    owner.loads_of(D, D)
    commits(owner, w1, w2)
    assert owner.core.committed.payload == D


def test_an_edit_that_an_override_hid_is_loaded_if_a_hold_came_with_its_end_and_the_end_of_the_window_takes_that_back():
    owner, w1, w2 = serving()
    owner.is_asked_for(Set, OPERATOR, values={"k": "x"}, confirm_within=SECONDS)
    owner.loads_of(B, A, layer=b"x")
    commits(owner, w1, w2)
    owner.is_triggered("watch")
    owner.loads_of(B, D, layer=b"x")
    all_apply(owner, w1, w2)
    owner.is_asked_for(Rollback, version=7)
    owner.restores(C, 7)
    commits(owner, w1, w2)
    assert (owner.state, owner.core.operator.is_held, owner.core.operator.layer) == (IDLE, True, b"")
    owner.forget()
    ends(owner, w1, w2)
    assert (owner.state, len(owner.did(fx.Load))) == (LOADING, 1)


def test_a_value_is_set_on_what_runs_and_the_refusal_stays():
    """Else the first value that is set brings back what was undone."""
    owner, w1, w2 = undone()
    owner.is_asked_for(Set, values={"k": "x"})
    assert owner.did(fx.Load)[-1].rebuild
    owner.loads_with(C, b"x")
    commits(owner, w1, w2)
    owner.is_triggered("watch")
    owner.loads_of(B, B, b"x")
    assert owner.events()[-1].result is ReloadResult.REJECTED


def test_a_value_that_was_set_in_a_window_of_its_own_leaves_no_refusal():
    owner, w1, w2 = serving()
    owner.is_asked_for(Set, values={"k": "x"}, confirm_within=SECONDS)
    owner.loads_of(B, A, b"x")
    commits(owner, w1, w2)
    ends(owner, w1, w2)
    assert (owner.core.operator.unconfirmed, owner.core.operator.layer) == (None, b"")
    owner.is_asked_for(Set, values={"k": "x"})
    assert not owner.did(fx.Load)[-1].rebuild


# ---- a person takes it back


def test_a_way_back_takes_back_what_is_provisional_and_holds_it():
    owner, w1, w2 = serving()
    opens(owner, w1, w2)
    call = owner.is_asked_for(Rollback, OPERATOR, reason="a bad night")
    record = owner.did(fx.Record)[-1]
    assert (record.payload, record.undo, record.origin, record.restores) == (A, True, "rollback", 1)
    assert record.operator.hold == Hold(1, 100.0, OPERATOR, "a bad night")
    owner.records()
    all_apply(owner, w1, w2)
    assert (owner.answer(call).result, owner.version) == (ReloadResult.SUCCESS, 3)
    assert owner.did(fx.Restore) == []
    assert owner.core.operator.window is None
    owner.is_triggered("watch")
    owner.loads(B)
    assert owner.core.committed.payload == A


def test_a_way_back_where_the_fallback_runs_holds_it():
    owner, _, _ = serving()
    owner.is_asked_for(Reload, confirm_within=SECONDS)
    owner.loads(A)
    owner.records()
    call = owner.is_asked_for(Rollback)
    owner.records()
    assert (owner.answer(call).result, owner.version) == (ReloadResult.UNCHANGED, 1)
    assert owner.core.operator.hold is not None
    assert owner.core.operator.window is None


def test_a_way_back_that_can_not_be_written_is_not_tried_again():
    owner, w1, w2 = serving()
    opens(owner, w1, w2)
    call = owner.is_asked_for(Rollback)
    owner.fails_to_record(fx.RowState.ABSENT)
    assert (owner.answer(call).result, owner.state) == (ReloadResult.IO_ERROR, IDLE)
    assert owner.core.operator.window is not None


# ---- owners come and go


def test_the_next_owner_goes_on_with_the_window():
    owner, w1, w2 = serving()
    opens(owner, w1, w2)
    heir = reborn(owner, later=100.0)
    assert [each.when for each in heir.all if isinstance(each, fx.WakeAt)] == [600.0]
    heir.is_triggered("restart")
    heir.loads(B)
    assert (heir.state, window(heir).fallback) == (IDLE, 1)


def test_what_the_former_owner_owes_comes_before_the_first_load():
    """U7: else the start's load is served first."""
    owner, w1, w2 = serving()
    opens(owner, w1, w2)
    heir = reborn(owner, later=SECONDS)
    heir.is_triggered("restart")
    assert heir.did(fx.Load) == []
    assert heir.did(fx.Record)[0].payload == A


def test_a_first_start_begins_on_the_fallback():
    owner, w1, w2 = serving()
    opens(owner, w1, w2)
    heir = reborn(owner, starts_anew=True)
    heir.is_triggered("start")
    heir.records()
    event = heir.events()[0]
    assert (event.result, event.version) == (ReloadResult.UNDONE, 3)
    assert event.evidence == ["nobody confirmed version 2 before the server was started anew"]
    heir.loads_of(B, B)
    assert heir.core.committed.payload == A
    w3 = heir.has(3)
    opens(heir, w3, content=C)
    assert (heir.state, window(heir).fallback) == (IDLE, 3), "the next window is one as ever"


def test_a_window_ends_before_a_next_generation_takes_over():
    """E10."""
    owner, w1, w2 = serving()
    opens(owner, w1, w2)
    owner.feed(fx.HandsOver(on=True))
    assert owner.state is RECORDING
    owner.records()
    all_apply(owner, w1, w2)
    assert owner.events()[-1].evidence == ["nobody confirmed version 2 before the server was fully reloaded"]
    owner.feed(fx.HandsOver(on=False))
    opens(owner, w1, w2, content=C)
    assert owner.state is IDLE


def test_a_version_that_nobody_runs_ends_the_window_that_it_opened():
    owner, w1, w2 = serving()
    call = owner.is_asked_for(Reload, confirm_within=SECONDS)
    owner.loads(B)
    all_vote(owner, w1, w2)
    owner.records()
    for peer in (w1, w2):
        owner.receives(peer, Declined(2, (WHY,)))
    owner.records()
    all_apply(owner, w1, w2)
    assert owner.answer(call).result is ReloadResult.REJECTED
    assert owner.core.operator.window is None
    owner.waits_out(fx.Timer.CONFIRM)
    assert owner.version == 3


def test_what_nobody_runs_at_its_end_was_refused_by_the_workers_and_may_be_asked_for_again():
    """D7: the undo that is owed goes before the end of the window, which then has nothing to undo."""
    owner, w1, w2 = serving()
    call = owner.is_asked_for(Reload, confirm_within=SECONDS)
    owner.loads_of(B, B)
    all_vote(owner, w1, w2)
    owner.records()
    owner.accepts = False
    for peer in (w1, w2):
        owner.receives(peer, Declined(2, (WHY,)))
    owner.now += SECONDS
    owner.accepts = True
    owner.feed(fx.Accepted())
    owner.records()
    all_apply(owner, w1, w2)
    assert owner.answer(call).result is ReloadResult.REJECTED
    again = owner.is_asked()
    owner.loads_of(B, B)
    commits(owner, w1, w2)
    assert owner.answer(again).result is ReloadResult.SUCCESS


def test_a_no_to_an_owed_load_that_comes_after_an_undo_is_no_outcome_of_the_undo():
    """What it refused was tried on the version before: the event says that nothing has changed since."""
    owner, w1, w2 = serving()
    opens(owner, w1, w2)
    owner.is_triggered("watch")
    owner.loads(C)
    voted = owner.core.round
    owner.waits_out(fx.Timer.STAGE)
    owner.waits_out(fx.Timer.CONFIRM)
    owner.records()
    owner.receives(w1, Vote(voted, False, (WHY,)))
    event = owner.events()[-1]
    assert (event.result, event.previous_version, event.version) == (ReloadResult.REJECTED, 3, 3)


def test_a_window_over_what_was_never_proven_refuses_that_too():
    """U1: an owner that begins with what no barrier has closed falls back past it, and the sources still have it."""
    owner, w1, w2 = serving((2, B), fallback=Proven(Committed(1, A, A, False, A)))
    owner.core._numbers.committed = Committed(2, B, B, False, B)
    owner.is_asked_for(Reload, confirm_within=SECONDS)
    owner.loads_of(B, B)
    owner.records()
    assert (window(owner).fallback, window(owner).sources) == (1, digest_of(B))
    ends(owner, w1, w2)
    owner.is_triggered("watch")
    owner.loads_of(B, B)
    assert owner.events()[-1].result is ReloadResult.REJECTED
