"""What waits for a restart: told by the event, noted beside the version, and gone when the sources say what runs."""

from __future__ import annotations

from typing import Any

from confcast.owner.core import effects as fx
from confcast.owner.core.machine import Hold, OperatorState, ProposalState
from confcast.wire.messages import Applied, Change, Check, ReloadResult, Rollback, Vote
from tests.core.world import A, B, C, Owner, Peer

IDLE = ProposalState.IDLE
WAITS = (Change("workers", 4, 8, "needs a restart"),)


def serving(**other: Any) -> tuple[Owner, Peer]:
    owner = Owner((3, A), **other)
    peer = owner.has(1)
    owner.forget()
    return owner, peer


def loads(owner: Owner, content: bytes, pending: tuple[Change, ...] = WAITS) -> None:
    differs = content != owner.core.committed.payload
    owner.feed(fx.Loaded(owner.last_load, content, content, differs, pending=pending))


def commits(owner: Owner, peer: Peer) -> None:
    owner.receives(peer, Vote(owner.core.round, True))
    owner.records()
    owner.receives(peer, Applied(owner.version))


def test_it_is_written_with_the_version_and_told():
    owner, peer = serving()
    call = owner.is_asked()
    loads(owner, B)
    commits(owner, peer)
    assert owner.did(fx.Record)[0].operator.pending == WAITS
    event = owner.answer(call)
    assert (event.result, event.pending) == (ReloadResult.SUCCESS, [*WAITS])
    assert owner.core.operator.pending == WAITS


def test_it_is_noted_without_a_version_where_nothing_else_differs():
    owner, _ = serving()
    call = owner.is_asked()
    loads(owner, A)
    assert owner.did(fx.Record) == []
    assert [note.operator.pending for note in owner.did(fx.NoteState)] == [WAITS]
    assert (owner.answer(call).result, owner.answer(call).pending) == (ReloadResult.UNCHANGED, [*WAITS])
    owner.forget()
    owner.is_asked()
    loads(owner, A)
    assert owner.did(fx.NoteState) == [], "what is known is not written again"


def test_it_ends_when_the_sources_say_again_what_runs():
    owner, _ = serving(operator=OperatorState(1, pending=WAITS))
    call = owner.is_asked()
    loads(owner, A, ())
    assert [note.operator.pending for note in owner.did(fx.NoteState)] == [()]
    assert owner.answer(call).pending == []
    assert owner.core.operator.pending == ()


def test_a_refused_load_leaves_what_waited():
    owner, peer = serving(operator=OperatorState(1, pending=WAITS))
    owner.is_asked()
    loads(owner, B, ())
    owner.receives(peer, Vote(owner.core.round, False))
    assert owner.core.operator.pending == WAITS
    owner.is_asked()
    owner.fails_to_load()
    assert owner.core.operator.pending == WAITS


def test_a_dry_run_tells_what_would_wait_and_leaves_nothing():
    owner, peer = serving()
    call = owner.is_asked_for(Check)
    loads(owner, B)
    owner.receives(peer, Vote(owner.core.round, True))
    assert owner.answer(call).pending == [*WAITS]
    assert owner.core.operator == OperatorState()
    assert owner.did(fx.NoteState) == []


def test_what_is_held_tells_a_caller_what_would_wait_and_keeps_nothing_of_it():
    owner, _ = serving(operator=OperatorState(1, Hold(1, 50.0)))
    call = owner.is_asked()
    loads(owner, C)
    assert (owner.answer(call).result, owner.answer(call).pending) == (ReloadResult.HELD, [*WAITS])
    assert owner.core.operator.pending == ()


def test_a_way_back_leaves_nothing_that_waits():
    """What is held runs after a full reload, too."""
    owner, peer = serving(operator=OperatorState(1, pending=WAITS))
    call = owner.is_asked_for(Rollback)
    owner.restores(B, 1)
    commits(owner, peer)
    assert owner.answer(call).pending == []
    assert owner.core.operator.pending == ()


def test_the_end_of_an_override_leaves_what_waits_since_no_source_was_read():
    owner, peer = serving(operator=OperatorState(1, layer=b"x", expires=101.0, pending=WAITS))
    owner.waits_out(fx.Timer.EXPIRY)
    owner.feed(fx.Loaded(owner.last_load, B, B, True, layer=b""))
    commits(owner, peer)
    assert owner.core.operator.pending == WAITS
    assert owner.events()[-1].pending == [*WAITS]
