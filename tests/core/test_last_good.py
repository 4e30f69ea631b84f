"""A first start whose sources are refused goes on with the newest good version, and ends that hold by itself."""

from __future__ import annotations

import pytest

from confcast.owner.core import effects as fx
from confcast.owner.core.machine import Hold, OperatorState, ProposalState
from confcast.wire.messages import Applied, Declined, Reload, ReloadResult, Resume, Rollback, Set, Vote
from tests.core.world import WHY, A, B, C, Owner, Peer

BOOT = Hold(3, 50.0, boot=True)
UNREADABLE = ReloadResult.FILE_NOT_FOUND


def starts(committed: tuple[int, bytes] | None = (3, A), **other) -> Owner:
    owner = Owner(committed, last_good=True, **other)
    owner.is_triggered("start")
    return owner


def boots(owner: Owner, content: bytes, version: int) -> None:
    """The journal gives the content of this good version, after the sources were refused."""
    owner.fails_to_load()
    owner.restores(content, version)
    owner.records()


def held(content: bytes = A) -> tuple[Owner, Peer]:
    """An owner whose server has started on a good version, and one worker."""
    owner = starts((4, content))
    boots(owner, content, 4)
    peer = owner.has(1)
    owner.forget()
    return owner, peer


def agrees(owner: Owner, peer: Peer) -> None:
    owner.receives(peer, Vote(owner.core.round, True))
    owner.records()
    owner.receives(peer, Applied(owner.version))


def ended(owner: Owner) -> bool:
    """Whether no hold is left, in the core and in what was written last."""
    written = [effect.operator.hold for effect in owner.all if isinstance(effect, fx.Record | fx.RecordState)]
    return owner.core.operator.hold is None and written[-1] is None


@pytest.mark.parametrize("result", [ReloadResult.VALIDATION_FAILED, ReloadResult.IO_ERROR, UNREADABLE])
def test_the_newest_good_version_is_put_back_under_the_next_number_and_held(result):
    owner = starts()
    owner.fails_to_load(result)
    (order,) = owner.did(fx.Restore)
    assert (order.version, order.boot) == (None, True)
    owner.restores(B, 2)
    (record,) = owner.did(fx.Record)
    assert (record.version, record.payload, record.restores, record.origin) == (4, B, 2, "last_good")
    assert record.operator.hold == Hold(2, owner.now, boot=True)
    owner.records()
    assert [(each.origin, each.result, each.version) for each in owner.events()] == [
        ("start", result, 3),
        ("last_good", ReloadResult.SUCCESS, 4),
    ]


def test_its_outcome_says_what_it_took_and_what_ran_before():
    owner = starts()
    owner.fails_to_load()
    owner.now += 1.5
    owner.restores(B, 2)
    owner.now += 0.5
    owner.records()
    event = owner.events()[-1]
    assert (event.version, event.previous_version, event.load_ms, event.duration_ms) == (4, 3, 1500.0, 2000.0)


def test_while_the_newest_good_version_is_tried_the_outcome_of_the_first_load_is_not_all():
    owner = starts()
    owner.fails_to_load()
    assert owner.core.falls_back(owner.events()[-1])
    owner.feed(fx.LoadFailed(owner.did(fx.Restore)[0].number, ReloadResult.VALIDATION_FAILED, ()))
    assert not owner.core.falls_back(owner.events()[-1]), "neither could be had"


def test_where_no_good_version_is_tried_the_outcome_of_the_first_load_is_all():
    owner = Owner((3, A))
    owner.is_triggered("start")
    owner.fails_to_load()
    assert not owner.core.falls_back(owner.events()[-1])


def test_where_it_is_what_was_committed_last_the_hold_alone_is_written():
    owner = starts()
    owner.fails_to_load()
    owner.restores(A, 3)
    assert owner.did(fx.Record) == []
    assert [each.operator.hold for each in owner.did(fx.RecordState)] == [Hold(3, owner.now, boot=True)]
    owner.records()
    assert (owner.events()[-1].result, owner.version) == (ReloadResult.UNCHANGED, 3)


def test_nothing_may_be_committed_under_todays_schema():
    owner = starts(None, high_water=7)
    boots(owner, B, 2)
    assert (owner.version, owner.core.committed.payload) == (8, B)


def test_a_load_that_hangs_is_a_failure_too():
    owner = starts()
    owner.waits_out(fx.Timer.LOAD)
    owner.restores(B, 2)
    owner.records()
    assert owner.core.committed.payload == B


def test_a_candidate_that_is_not_exact_is_a_failure_too():
    owner = starts()
    owner.proposes(C)
    owner.checks(WHY)
    assert len(owner.did(fx.Restore)) == 1


def test_there_is_none_so_both_are_told_and_nothing_else_is_tried():
    owner = starts(None)
    owner.fails_to_load()
    owner.feed(fx.LoadFailed(owner.did(fx.Restore)[0].number, ReloadResult.VALIDATION_FAILED, ()))
    assert [(each.origin, bool(each)) for each in owner.events()] == [("start", False), ("last_good", False)]
    assert (owner.state, owner.version, len(owner.did(fx.Restore))) == (ProposalState.IDLE, 0, 1)


@pytest.mark.parametrize("first", [A, B])
def test_it_is_for_the_first_load_alone(first):
    owner = starts()
    owner.loads(first)
    if first == B:
        owner.records()
    owner.is_triggered("watch")
    owner.fails_to_load()
    assert owner.did(fx.Restore) == []


def test_an_operation_that_fails_first_is_no_load():
    owner = Owner((3, A), last_good=True)
    owner.is_asked_for(Set, values={"k": "v"})
    owner.fails_to_load()
    assert owner.did(fx.Restore) == []
    owner.is_triggered("start")
    owner.fails_to_load()
    assert len(owner.did(fx.Restore)) == 1


def test_a_journal_that_cannot_be_written_is_no_refusal_of_the_sources():
    owner = starts()
    owner.loads(B)
    owner.fails_to_record(fx.RowState.ABSENT)
    assert owner.did(fx.Restore) == []


def test_without_the_option_nothing_is_put_back():
    owner = Owner((3, A))
    owner.is_triggered("start")
    owner.fails_to_load()
    assert owner.did(fx.Restore) == []


@pytest.mark.parametrize("origin", ["watch", "signal", "call"])
def test_whatever_requests_a_load_the_hold_ends_in_the_row_that_commits_it(origin):
    owner, peer = held()
    owner.is_asked() if origin == "call" else owner.is_triggered(origin)
    assert not owner.did(fx.Load)[0].compare
    owner.loads(B)
    agrees(owner, peer)
    assert owner.did(fx.Record)[0].operator.hold is None
    assert owner.events()[-1].result is ReloadResult.SUCCESS
    assert ended(owner)


@pytest.mark.parametrize("asked", [Resume, Reload])
def test_a_person_may_ask_for_it_and_need_not(asked):
    owner, peer = held()
    call = owner.is_asked_for(asked)
    owner.loads(B)
    agrees(owner, peer)
    assert owner.answer(call).result is ReloadResult.SUCCESS
    assert ended(owner)


def test_sources_that_say_what_runs_end_it_by_a_row_without_a_version():
    owner, _ = held()
    owner.is_triggered("watch")
    owner.loads(A)
    assert [each.operator.hold for each in owner.did(fx.RecordState)] == [None]
    owner.records()
    assert (owner.version, ended(owner)) == (4, True)


def test_sources_that_are_refused_and_workers_that_refuse_leave_it():
    owner, peer = held()
    hold = owner.core.operator.hold
    owner.is_triggered("watch")
    owner.fails_to_load()
    owner.is_triggered("watch")
    owner.loads(B)
    owner.receives(peer, Vote(owner.core.round, False))
    assert [each.result for each in owner.events()] == [ReloadResult.VALIDATION_FAILED, ReloadResult.REJECTED]
    assert owner.core.operator.hold == hold


def test_what_nobody_runs_is_undone_and_the_hold_is_back():
    owner, peer = held()
    hold = owner.core.operator.hold
    owner.is_triggered("watch")
    owner.loads(B)
    owner.receives(peer, Vote(owner.core.round, True))
    owner.records()
    owner.receives(peer, Declined(owner.version, (WHY,)))
    owner.records()
    owner.receives(peer, Applied(owner.version))
    assert (owner.core.committed.payload, owner.core.operator.hold) == (A, hold)


def test_the_next_owner_follows_the_sources_past_it():
    owner = Owner((4, A), operator=OperatorState(1, BOOT))
    owner.is_triggered("restart")
    owner.fails_to_load()
    assert owner.did(fx.Restore) == []
    assert owner.core.operator.hold == BOOT
    owner.is_triggered("watch")
    owner.loads(B)
    owner.records()
    assert ended(owner)


def test_what_is_set_meanwhile_stands_on_what_is_held():
    owner, peer = held()
    hold = owner.core.operator.hold
    owner.is_asked_for(Set, values={"k": "v"})
    assert owner.did(fx.Load)[0].rebuild
    owner.loads_with(B, b"layer")
    agrees(owner, peer)
    assert (owner.core.operator.hold, owner.core.operator.layer) == (hold, b"layer")
    owner.is_triggered("watch")
    owner.loads_with(C, b"layer")
    agrees(owner, peer)
    assert (owner.core.operator.layer, ended(owner)) == (b"layer", True)


def test_a_person_who_goes_back_holds_it():
    owner, peer = held()
    owner.is_asked_for(Rollback)
    owner.restores(B, 2)
    agrees(owner, peer)
    assert owner.core.operator.hold == Hold(2, owner.now)
    call = owner.is_asked()
    owner.loads(C)
    assert owner.answer(call).result is ReloadResult.HELD


def test_a_second_boot_tries_the_sources_first():
    owner = starts((4, A), operator=OperatorState(1, BOOT))
    owner.loads(B)
    owner.records()
    assert ended(owner)
    again = starts((4, A), operator=OperatorState(1, BOOT))
    boots(again, A, 4)
    assert again.core.operator.hold == Hold(4, again.now, boot=True)
