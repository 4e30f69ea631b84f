"""Waiting for observers in the core: who is asked, who is waited for, what is answered; nobody holds anybody."""

from __future__ import annotations

import math

import pytest

from confcast.owner.core import effects as fx
from confcast.owner.core.machine import ProposalState
from confcast.wire.messages import (
    Applied,
    Declined,
    Goodbye,
    Observe,
    Observed,
    ObserverError,
    ReloadResult,
    Settled,
    Vote,
)
from tests.core.world import WHY, A, B, C, Owner, Peer

FAILED = ObserverError(0, "rebuild", "ValueError: no", 1)


def two_workers() -> tuple[Owner, Peer, Peer]:
    owner = Owner()
    w1, w2 = owner.has(1), owner.has(2)
    return owner, w1, w2


def applies(owner: Owner, content: bytes, *peers: Peer) -> None:
    """A load that was asked for goes its whole way."""
    owner.loads(content)
    for peer in peers:
        owner.receives(peer, Vote(owner.core.round, True))
    owner.records()
    for peer in peers:
        owner.receives(peer, Applied(owner.version))


def ran(owner: Owner, peer: Peer, *errors: ObserverError, waits_for: tuple[str, ...] = ()) -> None:
    owner.receives(peer, Observed(owner.observes(peer), len(errors), "", errors, waits_for))


def test_nobody_is_asked_where_nobody_waits():
    owner, w1, w2 = two_workers()
    call = owner.is_asked()
    applies(owner, B, w1, w2)
    assert owner.answer(call).result is ReloadResult.SUCCESS
    frames = [effect.message for effect in owner.all if isinstance(effect, fx.Send)]
    assert not [frame for frame in frames if isinstance(frame, Observe)]


def test_the_answer_waits_for_the_observers_of_all_workers_and_nobody_else_does():
    owner, w1, w2 = two_workers()
    waits, other = owner.is_asked(wait_observers=5.0), None
    owner.loads(A)  # as it was: UNCHANGED waits, too
    ran(owner, w1)
    assert owner.answers(waits) == []
    ran(owner, w2)
    assert (owner.answer(waits).result, owner.answer(waits).observer_errors) == (ReloadResult.UNCHANGED, [])
    waits, other = owner.is_asked(wait_observers=5.0), owner.is_asked()
    applies(owner, B, w1, w2)
    assert owner.answers(waits) == []
    ran(owner, w1)
    owner.loads(B)  # the other's own load, meanwhile
    assert owner.answer(other).result is ReloadResult.UNCHANGED
    ran(owner, w2, FAILED)
    assert owner.answer(waits).observer_errors == [ObserverError(2, "rebuild", "ValueError: no", 1)]
    assert owner.answer(waits).result is ReloadResult.SUCCESS


def test_what_failed_before_the_question_and_on_the_way_is_reported_once():
    owner, w1, w2 = two_workers()
    call = owner.is_asked(wait_observers=5.0)
    applies(owner, B, w1, w2)
    ran(owner, w1, FAILED, waits_for=("other",))
    ran(owner, w1, FAILED, ObserverError(0, "other", "KeyError", 2))
    ran(owner, w2)
    assert owner.answer(call).observer_errors == [
        ObserverError(1, "other", "KeyError", 2),
        ObserverError(1, "rebuild", "ValueError: no", 1),
    ]


def test_past_the_seconds_those_are_named_that_have_not_finished():
    owner, w1, w2 = two_workers()
    call = owner.is_asked(wait_observers=5.0)
    applies(owner, B, w1, w2)
    ran(owner, w1, waits_for=("slow", "after_it"))
    began = owner.now
    owner.waits_out(fx.Timer.OBSERVERS)
    assert owner.now == began + 5.0
    why = "has not finished within 5 s (wait_observers)"
    assert owner.answer(call).observer_errors == [
        ObserverError(1, "after_it", why, 0),
        ObserverError(1, "slow", why, 0),
        ObserverError(2, "", why, 0),
    ]
    assert owner.answer(call).result is ReloadResult.SUCCESS
    ran(owner, w1)
    assert len(owner.answers(call)) == 1


def test_of_several_callers_each_has_its_own_seconds():
    owner, w1, w2 = two_workers()
    soon, timed_out = owner.is_asked(wait_observers=1.0), owner.is_asked(wait_observers=9.0)
    owner.loads(A)
    owner.loads(A)
    owner.waits_out(fx.Timer.OBSERVERS)
    assert (len(owner.answers(soon)), len(owner.answers(timed_out))) == (1, 0)
    owner.waits_out(fx.Timer.OBSERVERS)
    assert len(owner.answers(timed_out)) == 1
    assert owner.observes(w1) == owner.observes(w2) == 2


@pytest.mark.parametrize("how", ["dies", "leaves"])
def test_who_is_no_more_is_not_waited_for(how: str):
    owner, w1, w2 = two_workers()
    call = owner.is_asked(wait_observers=5.0)
    applies(owner, B, w1, w2)
    ran(owner, w1)
    owner.loses(w2) if how == "dies" else owner.receives(w2, Goodbye())
    assert owner.answer(call).observer_errors == []


def test_who_declines_the_version_has_nothing_to_run():
    owner, w1, w2 = two_workers()
    call = owner.is_asked(wait_observers=5.0)
    owner.loads(B)
    owner.receives(w1, Vote(1, True))
    owner.loses_pipe(w2)
    owner.waits_out(fx.Timer.STAGE)
    owner.records()
    owner.receives(w1, Applied(2))
    ran(owner, w1)
    assert owner.answers(call) == [], "w2 lives, and may still apply it"
    w2 = owner.meets(2, 1, A)
    owner.receives(w2, Declined(2, (WHY,)))
    assert owner.answer(call).observer_errors == []
    assert owner.answer(call).result is ReloadResult.PARTIAL


def test_who_applies_it_late_is_asked_then():
    owner, w1, w2 = two_workers()
    call = owner.is_asked(wait_observers=60.0)
    owner.loads(B)
    owner.receives(w1, Vote(1, True))
    owner.receives(w2, Vote(1, True))
    owner.records()
    owner.receives(w1, Applied(2))
    owner.waits_out(fx.Timer.BARRIER)
    ran(owner, w1)
    assert not [frame for frame in owner.sent(w2) if isinstance(frame, Observe)]
    owner.receives(w2, Applied(2))
    ran(owner, w2, FAILED)
    assert [error.pid for error in owner.answer(call).observer_errors] == [2]


def test_whose_pipe_is_lost_is_asked_again_on_the_next_one():
    owner, w1, w2 = two_workers()
    call = owner.is_asked(wait_observers=5.0)
    applies(owner, B, w1, w2)
    ran(owner, w1)
    number = owner.observes(w2)
    owner.loses_pipe(w2)
    again = owner.meets(2, 2, B)
    owner.receives(again, Observed(number))  # of the former pipe: it was not asked here yet
    assert owner.answers(call) == []
    owner.receives(again, Applied(2))
    ran(owner, again)
    assert owner.answer(call).observer_errors == []


def test_an_answer_to_a_newer_question_is_one_to_the_older_too():
    """If the worker does not say that it still answers that one."""
    owner, w1, w2 = two_workers()
    first = owner.is_asked(wait_observers=5.0)
    applies(owner, B, w1, w2)
    second = owner.is_asked(wait_observers=5.0)
    applies(owner, C, w1, w2)
    assert owner.answers(first) == owner.answers(second) == []
    ran(owner, w1)
    ran(owner, w2)
    assert (owner.answer(first).version, owner.answer(second).version) == (2, 3)


def test_an_answer_to_a_newer_question_is_none_to_one_that_is_still_answered_otherwise():
    """An observer of the first version still runs in an executor, and fails then."""
    owner, w1, w2 = two_workers()
    first = owner.is_asked(wait_observers=5.0)
    applies(owner, B, w1, w2)
    ran(owner, w2)
    number = owner.observes(w1)
    second = owner.is_asked(wait_observers=5.0)
    applies(owner, C, w1, w2)
    ran(owner, w2)
    owner.receives(w1, Observed(owner.observes(w1), since=number))
    assert owner.answer(second).observer_errors == []
    assert owner.answers(first) == []
    owner.receives(w1, Observed(number, 1, "", (FAILED,)))
    assert owner.answer(first).observer_errors == [ObserverError(1, "rebuild", "ValueError: no", 1)]


def test_the_question_comes_after_the_settling_also_to_a_worker_that_did_not_wait_for_that():
    """Who waits for the settling is an observer, too, and may have subscribed since."""
    owner, w1, w2 = two_workers()
    owner.is_asked(wait_observers=5.0)
    owner.loads(B)
    for peer in (w1, w2):
        owner.receives(peer, Vote(1, True))
    owner.records()
    for peer in (w1, w2):
        owner.receives(peer, Applied(2, follows=False))
    for peer in (w1, w2):
        kinds = [type(frame) for frame in owner.sent(peer)]
        assert kinds[-2:] == [Settled, Observe]


def test_without_workers_and_after_a_refusal_there_is_nothing_to_wait_for():
    owner = Owner()
    call = owner.is_asked(wait_observers=5.0)
    applies(owner, B)
    assert owner.answer(call).result is ReloadResult.SUCCESS
    owner.has(1)
    call = owner.is_asked(wait_observers=5.0)
    owner.fails_to_load()
    assert owner.answer(call).result is ReloadResult.VALIDATION_FAILED


@pytest.mark.parametrize("seconds", [-1.0, 0.0, math.nan, math.inf])
def test_no_number_of_seconds_holds_the_owner(seconds: float):
    """Whoever speaks the protocol may name any."""
    owner, _w1, _w2 = two_workers()
    call = owner.is_asked(wait_observers=seconds)
    owner.loads(A)
    deadlines = [effect.when for effect in owner.all if isinstance(effect, fx.WakeAt)]
    assert all(when < owner.now + 10**6 for when in deadlines)
    if seconds is math.inf:
        owner.waits_out(fx.Timer.OBSERVERS)
    assert len(owner.answers(call)) == 1


def test_an_owner_that_leaves_reports_what_was_done():
    owner, w1, w2 = two_workers()
    call = owner.is_asked(wait_observers=5.0)
    applies(owner, B, w1, w2)
    owner.feed(fx.MasterGone())
    assert owner.answer(call).result is ReloadResult.SUCCESS
    assert [error.pid for error in owner.answer(call).observer_errors] == [1, 2]


def test_failures_are_counted_by_worker_and_a_report_that_is_overtaken_changes_nothing():
    owner, w1, _w2 = two_workers()
    owner.receives(w1, Observed(0, 2, "rebuild: KeyError"))
    owner.receives(w1, Observed(0, 1, "rebuild: ValueError"))
    owner.receives(w1, Observed(0))
    owner.loses_pipe(w1)
    one, other = owner.core.statuses()
    assert (one.observer_failures, one.last_observer_error) == (2, "rebuild: KeyError")
    assert (other.observer_failures, other.last_observer_error) == (0, "")
    assert owner.state is ProposalState.IDLE


def test_what_a_worker_reports_is_cut():
    owner, w1, _w2 = two_workers()
    call = owner.is_asked(wait_observers=5.0)
    owner.loads(A)
    many = tuple(ObserverError(0, f"{number}" * 1000, "x" * 10_000, 1) for number in range(100))
    ran(owner, w1, *many, waits_for=("y" * 1000,) * 100)
    owner.receives(w1, Observed(0, 200, "z" * 10_000))
    owner.waits_out(fx.Timer.OBSERVERS)
    errors = owner.answer(call).observer_errors
    assert len(errors) <= 50
    assert all(len(error.observer) <= 200 and len(error.error) <= 2000 for error in errors)
    assert len(owner.core.statuses()[0].last_observer_error) <= 2000


def test_all_failures_are_counted_also_of_workers_that_are_gone():
    owner, w1, w2 = two_workers()
    owner.receives(w1, Observed(0, 2, "rebuild: KeyError"))
    owner.receives(w1, Observed(0, 3, "rebuild: KeyError"))
    owner.receives(w2, Observed(0, 1, "rebuild: KeyError"))
    assert owner.core.observer_failures == 4
    owner.loses(w1)
    owner.receives(owner.has(3), Observed(0, 5, "rebuild: KeyError"))
    assert owner.core.observer_failures == 9
    owner.receives(w2, Observed(0, 2**63, "rebuild: KeyError"))
    assert owner.core.observer_failures == 2**53
