"""A server takes the place of one whose workers live on: its start waits for none of them, all that follows does."""

from __future__ import annotations

import msgspec
import pytest

from confcast.owner.core import effects as fx
from confcast.owner.core.former_workers import FormerWorkers
from confcast.owner.core.machine import ProposalState
from confcast.owner.core.operator_state import Hold, OperatorState
from confcast.wire.messages import Applied, Goodbye, ReloadResult, Set, Vote
from tests.core.world import A, B, C, Owner, all_apply, all_vote

IDLE, LOADING, STAGING, RECORDING, COMMITTING = ProposalState


def begins(*pids: int, gathers: bool = False, committed: tuple[int, bytes] | None = (1, A), **rules) -> Owner:
    """An owner at whose address these processes will look for it; its first load is requested."""
    owner = Owner(committed, former_workers=FormerWorkers(pids, gathers=gathers), **rules)
    owner.is_triggered("start")
    return owner


def started(*pids: int, **other) -> Owner:
    """The same, once it serves B."""
    owner = begins(*pids, **other)
    owner.loads(B)
    owner.records()
    assert owner.state is IDLE
    return owner


def deadline(owner: Owner, timer: fx.Timer) -> float:
    return [wake.when for wake in owner.did(fx.WakeAt) if wake.timer is timer][-1]


@pytest.mark.parametrize("gathers", [False, True])
def test_its_first_load_is_committed_at_once_and_then_they_are_known(gathers):
    owner = started(1, 2, gathers=gathers)
    assert [(each.origin, each.result) for each in owner.events()] == [("start", ReloadResult.SUCCESS)]
    assert [(each.pid, each.state) for each in owner.core.statuses()] == [(1, "disconnected"), (2, "disconnected")]


def test_a_reload_waits_for_them_as_long_as_they_may_need_to_find_it_and_names_who_does_not_come():
    """Without: a success, at once, while both serve A and nobody is named."""
    owner = started(1, 2, vote_timeout=1.0)
    owner.now += 0.5
    call = owner.is_asked()
    owner.loads(C)
    w1 = owner.meets(1, 1, A)
    all_vote(owner, w1)
    assert owner.state is STAGING
    assert deadline(owner, fx.Timer.STAGE) == 102.5
    owner.waits_out(fx.Timer.STAGE)
    owner.records()
    all_apply(owner, w1)
    event = owner.answer(call)
    assert (event.result, event.applied, [each.pid for each in event.lagging]) == (ReloadResult.PARTIAL, [1], [2])


def test_one_that_finds_nothing_to_load_waits_too_and_ends_with_the_last_one_that_comes():
    owner = started(1, 2)
    call = owner.is_asked()
    owner.loads(B)
    assert owner.state is COMMITTING
    for pid in (1, 2):
        assert owner.answers(call) == []
        owner.receives(owner.meets(pid, 1, A), Applied(2))
    event = owner.answer(call)
    assert (event.result, event.applied, event.lagging) == (ReloadResult.UNCHANGED, [1, 2], [])


def test_where_others_may_live_nobody_is_answered_before_they_had_the_time_to_come():
    owner = begins(gathers=True, committed=None)
    assert owner.core.gathers
    owner.now += 5.0  # which no worker could have used: the address does not lead here yet
    owner.loads(B)
    owner.records()
    assert deadline(owner, fx.Timer.GATHER) == 107.5
    call = owner.is_asked()
    owner.loads(B)
    owner.receives(owner.meets(7, 0, b""), Applied(1))
    assert owner.answers(call) == []
    assert owner.core.gathers
    owner.waits_out(fx.Timer.GATHER)
    assert owner.answer(call).applied == [7]
    assert owner.did(fx.Gathered) == [fx.Gathered()]
    assert not owner.core.gathers


def test_who_has_left_or_died_by_then_is_not_awaited():
    owner = begins(1, 2)
    owner.receives(owner.meets(1, 1, A), Goodbye())
    owner.feed(fx.ProcessGone(2))
    owner.loads(B)
    owner.records()
    assert owner.core.statuses() == []


@pytest.mark.parametrize("silent", ["proceed", "refuse"])
def test_one_that_has_found_it_already_has_a_vote_and_its_silence_refuses_no_start(silent):
    owner = begins(1, silent=silent)
    owner.meets(1, 1, A)
    owner.loads(B)
    assert owner.state is STAGING
    owner.waits_out(fx.Timer.STAGE)
    owner.records()
    owner.waits_out(fx.Timer.BARRIER)
    assert (owner.events()[-1].result, owner.names()) == (ReloadResult.PARTIAL, [1])


def test_its_no_does():
    owner = begins(1)
    w1 = owner.meets(1, 1, A)
    owner.loads(B)
    all_vote(owner, w1, ok=False)
    assert owner.events()[-1].result is ReloadResult.REJECTED


def test_the_silence_of_one_that_has_found_any_other_server_does():
    owner = Owner((1, A))
    owner.is_triggered("start")
    owner.meets(1, 1, A)
    owner.loads(B)
    owner.waits_out(fx.Timer.STAGE)
    assert owner.events()[-1].result is ReloadResult.REJECTED


def test_a_start_on_the_last_good_version_waits_for_none_either():
    owner = begins(1, gathers=True, last_good=True)
    owner.fails_to_load()
    owner.restores(A, 1)
    assert owner.state is RECORDING
    owner.records()
    assert owner.state is IDLE
    assert [each.pid for each in owner.core.statuses()] == [1]


def test_who_is_answered_before_the_first_load_waits_for_them_and_that_load_is_not_refused_for_it():
    owner = Owner((1, A), former_workers=FormerWorkers((1,)))
    call = owner.is_asked_for(Set, values=b"")
    owner.is_triggered("start")
    owner.loads_with(B, b"layer")
    owner.records()
    assert owner.state is COMMITTING
    owner.waits_out(fx.Timer.BARRIER)
    event = owner.answer(call)
    assert (event.result, [each.pid for each in event.lagging]) == (ReloadResult.PARTIAL, [1])
    owner.loads(C)
    owner.waits_out(fx.Timer.STAGE)
    assert owner.state is RECORDING


def test_a_worker_that_comes_in_time_has_a_vote_in_what_follows():
    owner = started(1)
    call = owner.is_asked()
    w1 = owner.meets(1, 1, A)
    owner.loads(C)
    owner.receives(w1, Vote(owner.core.round, False))
    assert owner.answer(call).result is ReloadResult.REJECTED


def test_the_end_of_an_override_waits_until_they_can_be_asked():
    """Without: what they have refused is committed with nobody to ask, and counts as good though nobody ever ran it."""
    operator = OperatorState(4, layer=b"x", expires=50.0)
    owner = Owner((1, A), operator=operator, former_workers=FormerWorkers((1,)))
    owner.is_triggered("start")
    owner.fails_to_load()
    assert [each.origin for each in owner.events()] == ["start"]
    w1 = owner.meets(1, 1, A)
    owner.loads(B)
    assert owner.state is STAGING
    owner.receives(w1, Vote(owner.core.round, False))
    assert [(each.origin, each.result) for each in owner.events()][1:] == [("expiry", ReloadResult.REJECTED)]
    assert owner.core.committed.version == 1


HELD = OperatorState(4, hold=Hold(1, 90.0), tried=B, layer=b"x", expires=150.0)


def starts_held(**other) -> Owner:
    """Its sources have what was told already, to the owner before: so the start has no outcome."""
    owner = Owner((1, A), operator=HELD, former_workers=FormerWorkers((1,), gathers=True), **other)
    owner.is_triggered("start")
    owner.loads(B)
    assert (owner.state, owner.events()) == (IDLE, [])
    return owner


def test_a_start_on_what_is_held_of_which_nothing_new_is_to_be_told_is_over_too():
    """Without: they are on no roster, and a value that was set for a time never ends."""
    owner = starts_held()
    assert [each.pid for each in owner.core.statuses()] == [1]
    assert deadline(owner, fx.Timer.GATHER) == 102.5
    owner.waits_out(fx.Timer.EXPIRY)
    assert (owner.state, owner.did(fx.Load)[-1].rebuild) == (LOADING, True)
    assert owner.did(fx.Load)[-1].guarding is fx.Guarding.NONE, "it is no start's"


def test_silence_refuses_what_comes_after_it():
    owner = starts_held()
    owner.meets(1, 1, A)
    owner.waits_out(fx.Timer.EXPIRY)
    owner.loads_with(C, b"")
    owner.waits_out(fx.Timer.STAGE)
    assert owner.events()[-1].result is ReloadResult.REJECTED


def test_no_later_load_falls_back():
    """A hold may end by itself: that of a window is taken back with it."""
    owner = starts_held(last_good=True)
    owner.core.operator = msgspec.structs.replace(HELD, hold=None)
    owner.is_triggered("watch")
    owner.fails_to_load()
    assert (owner.state, owner.did(fx.Restore)) == (IDLE, [])


# ---- who attaches to the server before until the address leads here


@pytest.mark.parametrize("over", [True, False], ids=["after the first load", "before it is over"])
def test_who_is_sent_here_is_awaited_and_named_before_it_connects(over):
    """Without: a success, with nobody named, while it serves the version before."""
    owner = started(1, vote_timeout=1.0) if over else begins(1, vote_timeout=1.0)
    w1 = owner.meets(1, 1, A)
    assert owner.core.expect([1, 2]) == ([2], [])
    assert owner.core.expect([2]) == ([], [])
    if not over:
        owner.fails_to_load()
    call = owner.is_asked()
    owner.loads(C)
    all_vote(owner, w1)
    assert owner.state is STAGING
    owner.waits_out(fx.Timer.STAGE)
    owner.records()
    all_apply(owner, w1)
    event = owner.answer(call)
    assert (event.result, event.applied, [each.pid for each in event.lagging]) == (ReloadResult.PARTIAL, [1], [2])


def test_a_barrier_that_is_to_end_waits_for_it():
    owner = started()
    owner.accepts = False
    call = owner.is_asked()
    owner.loads(B)
    assert owner.core.expect([2]) == ([2], [])
    owner.feed(fx.Accepted())
    assert (owner.state, owner.answers(call)) == (COMMITTING, [])
    owner.feed(fx.ProcessGone(2))
    owner.feed(fx.Accepted())
    assert owner.answer(call).result is ReloadResult.UNCHANGED


@pytest.mark.parametrize("over", [True, False], ids=["after the first load", "before it is over"])
def test_who_is_not_sent_here_and_has_not_come_has_left(over):
    """It is in the copy of the journal. Without: each reload waits for it, and names it, while its process lives."""
    owner = started(1, 2, 3) if over else begins(1, 2, 3)
    owner.meets(1, 1, A)
    assert owner.core.expect([2]) == ([] if over else [2], [3]), "the first may have come just now"
    owner.feed(fx.ProcessGone(3))
    assert owner.core.expect([2]) == ([], [])
    if not over:
        owner.fails_to_load()
    assert [each.pid for each in owner.core.statuses()] == [1, 2]
