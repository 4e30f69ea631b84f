"""Traces that `scripts/mutate` has asked for, of workers and of what they are sent: as `test_by_mutants.py`."""

from __future__ import annotations

from confcast.owner.core import effects as fx
from confcast.owner.core.machine import ProposalState
from confcast.wire.messages import Working
from tests.core.test_first_vote import BUILD, asked
from tests.core.world import A, B, C, Owner, all_vote, scene, stuff

IDLE, LOADING, STAGING, RECORDING, COMMITTING = ProposalState


def test_after_silence_a_barrier_takes_no_longer():
    """Twice the time is for votes."""
    it = scene(STAGING, silent="refuse")
    it.owner.waits_out(fx.Timer.STAGE)
    assert it.owner.state is IDLE
    it.owner.is_triggered()
    stuff(it.owner, it)
    it.owner.forget().loads(A)
    (wake,) = [each for each in it.owner.did(fx.WakeAt) if each.timer is fx.Timer.BARRIER]
    assert wake.when == it.owner.now + it.owner.core.rules.vote_timeout


def test_how_long_one_worked_that_has_died_says_nothing_of_votes():
    owner = Owner((1, A))
    peers = [owner.has(pid) for pid in (1, 2, 3)]
    owner.is_asked()
    owner.loads(B)
    owner.receives(peers[0], Working(owner.core.round, BUILD))
    owner.now += 1.0
    owner.loses(peers[0])
    all_vote(owner, *peers[1:], ok=False)
    owner.is_asked()
    owner.forget().loads(C)
    assert asked(owner, *peers) == [2, 3]
