"""Slow builds: where a vote took long, one worker votes first at the next, and the others after its yes."""

from __future__ import annotations

import pytest

from confcast.owner.core import effects as fx
from confcast.owner.core.machine import ProposalState
from confcast.wire.messages import Abort, Check, Goodbye, Prepare, ReloadResult, Vote, Working
from tests.core.world import B, C, Owner, Peer, all_apply, all_vote, commits

IDLE, LOADING, STAGING, RECORDING, COMMITTING = ProposalState
REJECTED = ReloadResult.REJECTED
BUILD = "app:pool"


def builds(owner: Owner, *peers: Peer, seconds: float = 0.5, ok: bool = True) -> None:
    """Each of them runs its functions for so long, all at the same time, and votes."""
    for peer in peers:
        owner.receives(peer, Working(owner.core.round, BUILD))
    owner.now += seconds
    all_vote(owner, *peers, ok=ok)


def after_a_slow_vote(seconds: float = 0.5, **rules) -> tuple[Owner, list[Peer]]:
    """An owner of three workers, for whose last vote functions ran for so long."""
    owner = Owner(**rules)
    peers = [owner.has(pid) for pid in (1, 2, 3)]
    owner.is_asked()
    owner.loads(B)
    assert asked(owner, *peers) == [1, 2, 3], "nobody knows yet how long it takes"
    builds(owner, *peers, seconds=seconds)
    owner.records()
    all_apply(owner, *peers)
    assert owner.state is IDLE
    owner.forget()
    return owner, peers


def asked(owner: Owner, *peers: Peer) -> list[int]:
    """Who was sent the present round's Prepare, since the last `forget()`."""
    return [peer.pid for peer in peers if any(isinstance(frame, Prepare) for frame in owner.sent(peer))]


def loads_another(owner: Owner) -> fx.Call:
    call = owner.is_asked()
    owner.loads(C)
    return call


def test_the_others_are_asked_after_its_yes():
    owner, peers = after_a_slow_vote()
    call = loads_another(owner)
    assert asked(owner, *peers) == [1]
    builds(owner, peers[0])
    assert asked(owner, *peers) == [1, 2, 3]
    builds(owner, *peers[1:])
    owner.records()
    all_apply(owner, *peers)
    assert owner.answer(call).result is ReloadResult.SUCCESS


def test_its_no_refuses_and_costs_nobody_else_a_build_and_the_next_time_another_one_is_first():
    owner, peers = after_a_slow_vote()
    call = loads_another(owner)
    builds(owner, peers[0], ok=False)
    assert (owner.answer(call).result, asked(owner, *peers)) == (REJECTED, [1])
    assert owner.sent(peers[0])[-1] == Abort(2)
    owner.forget()
    loads_another(owner)
    assert asked(owner, *peers) == [2]


def test_a_no_at_once_does_not_say_how_long_a_yes_takes():
    owner, peers = after_a_slow_vote()
    loads_another(owner)
    builds(owner, peers[0], seconds=0.0, ok=False)
    loads_another(owner.forget())
    assert asked(owner, *peers) == [2]


def test_its_no_to_a_dry_run_ends_that():
    owner, peers = after_a_slow_vote()
    call = owner.is_asked_for(Check)
    owner.loads(C)
    builds(owner, peers[0], ok=False)
    event = owner.answer(call)
    assert (event.result, event.lagging, asked(owner, *peers)) == (REJECTED, [], [1])
    assert owner.state is IDLE


def test_its_yes_to_a_dry_run_asks_the_others():
    owner, peers = after_a_slow_vote()
    call = owner.is_asked_for(Check)
    owner.loads(C)
    builds(owner, peers[0])
    builds(owner, peers[1], ok=False)
    builds(owner, peers[2])
    assert (owner.answer(call).result, asked(owner, *peers)) == (REJECTED, [1, 2, 3])


@pytest.mark.parametrize(
    ("seconds", "rules"),
    [
        (0.1, {}),  # quick enough
        (10.1, {"precommit_timeout": 30.0, "vote_timeout": 2.0}),  # two turns might not fit in the time
        (0.5, {"precommit_timeout": 3.0, "vote_timeout": 2.5}),  # nor two deadlines
    ],
)
def test_else_all_are_asked_at_once(seconds, rules):
    owner, peers = after_a_slow_vote(seconds, **rules)
    loads_another(owner)
    assert asked(owner, *peers) == [1, 2, 3]


def test_what_took_long_at_an_install_or_runs_no_function_says_nothing_of_votes():
    owner, peers = after_a_slow_vote(0.0)
    loads_another(owner)
    owner.receives(peers[0], Working(0, BUILD))
    owner.now += 1.0
    commits(owner, *peers)
    owner.forget().is_asked()
    owner.loads(B)
    assert asked(owner, *peers) == [1, 2, 3]


def test_a_vote_without_a_function_leaves_what_was_known():
    owner, peers = after_a_slow_vote()
    loads_another(owner)
    all_vote(owner, peers[0])
    commits(owner, *peers[1:])
    all_apply(owner, peers[0])
    owner.forget().is_asked()
    owner.loads(B)
    assert asked(owner, *peers) == [1]


@pytest.mark.parametrize("leaves", [Owner.loses, Owner.loses_pipe, lambda owner, peer: owner.receives(peer, Goodbye())])
def test_another_one_is_first_where_it_dies_leaves_or_loses_its_pipe(leaves):
    owner, peers = after_a_slow_vote()
    loads_another(owner)
    deadline = owner.did(fx.WakeAt)[-1]
    leaves(owner, peers[0])
    assert asked(owner, *peers) == [1, 2]
    assert owner.did(fx.WakeAt)[-1] is deadline, "its turn does not begin anew"
    leaves(owner, peers[1])
    assert asked(owner, *peers) == [1, 2, 3]


def test_who_comes_back_on_another_pipe_is_asked_on_that():
    owner, peers = after_a_slow_vote()
    loads_another(owner)
    again = owner.meets(1, 2, B)
    assert asked(owner, again, *peers[1:]) == [1]


def test_whoever_comes_meanwhile_waits_as_the_others_do():
    owner, peers = after_a_slow_vote()
    loads_another(owner)
    fourth = owner.meets(4, 2, B)
    assert asked(owner, fourth) == []
    builds(owner, peers[0])
    assert asked(owner, fourth) == [4]


def test_its_silence_asks_all_and_they_have_the_time_that_every_worker_has():
    owner, peers = after_a_slow_vote()
    loads_another(owner)
    began = owner.now
    owner.waits_out(fx.Timer.STAGE)
    assert (owner.now, asked(owner, *peers)) == (began + 2.0, [1, 2, 3])
    owner.now += 1.9
    all_vote(owner, *peers[1:])
    assert owner.core.roster.excused == {}
    owner.waits_out(fx.Timer.STAGE)
    assert (owner.now, owner.state) == (began + 4.0, RECORDING)
    assert owner.core.roster.excused == {1: "did not answer within 2 s (vote_timeout)"}


def test_where_it_works_for_long_the_others_are_asked_and_the_vote_ends_no_later():
    owner, peers = after_a_slow_vote(precommit_timeout=4.5)
    loads_another(owner)
    began = owner.now
    owner.receives(peers[0], Working(2, BUILD))
    owner.waits_out(fx.Timer.STAGE)
    assert (owner.now, asked(owner, *peers)) == (began + 1.5, [1, 2, 3])
    for peer in peers[1:]:
        owner.receives(peer, Working(2, BUILD))
    owner.waits_out(fx.Timer.STAGE)
    assert (owner.now, owner.state) == (began + 3.5, STAGING)
    owner.waits_out(fx.Timer.STAGE)
    assert (owner.now, owner.state) == (began + 4.5, IDLE)


def test_after_silence_had_refused_it_all_have_twice_the_time_and_are_asked_at_once_when_two_turns_do_not_fit():
    owner, peers = after_a_slow_vote(precommit_timeout=5.0)
    loads_another(owner)
    owner.waits_out(fx.Timer.STAGE)
    owner.waits_out(fx.Timer.STAGE)
    assert owner.events()[-1].result is REJECTED
    owner.forget()
    for peer in peers:
        owner.receives(peer, Vote(2, True))
    all_apply(owner, *peers)
    owner.loads(C)
    assert asked(owner, *peers) == [1, 2, 3]


def test_whoever_still_works_for_an_earlier_vote_is_not_the_first():
    owner, peers = after_a_slow_vote(0.0)
    loads_another(owner)
    owner.receives(peers[0], Working(2, BUILD))
    owner.now += 0.5
    all_vote(owner, peers[1], ok=False)
    owner.forget()
    loads_another(owner)
    assert asked(owner, *peers) == [3]


def test_a_no_waits_for_the_check_and_asks_nobody_else():
    owner, peers = after_a_slow_vote()
    owner.is_asked()
    owner.proposes(C)
    builds(owner, peers[0], ok=False)
    owner.waits_out(fx.Timer.STAGE)
    owner.loses(peers[0])
    assert asked(owner, *peers) == [1]
    owner.checks()
    assert (owner.events()[-1].result, owner.state) == (REJECTED, IDLE)


def test_a_check_that_lasts_longer_than_its_turn_holds_up_no_other():
    owner, peers = after_a_slow_vote()
    owner.is_asked()
    owner.proposes(C)
    owner.waits_out(fx.Timer.STAGE)
    assert asked(owner, *peers) == [1, 2, 3]


def test_it_alone_is_waited_for():
    owner, peers = after_a_slow_vote()
    loads_another(owner)
    owner.receives(peers[0], Working(2, BUILD))
    assert owner.core.phase().waits_for == ((1, (BUILD, owner.now)),)


def test_of_two_the_one_that_can_be_asked_is_no_first():
    owner, peers = after_a_slow_vote()
    for peer in peers[1:]:
        owner.loses_pipe(peer)
    loads_another(owner)
    again = owner.meets(2, 2, B)
    assert asked(owner, peers[0], again) == [1, 2]
