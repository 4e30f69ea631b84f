"""To whom the owner sends a patch, and to whom the payload."""

from __future__ import annotations

from confcast.owner.core import effects as fx
from confcast.owner.core.proposal import ProposalState
from confcast.wire.messages import Abort, Applied, Commit, Declined, Install, Prepare, Vote
from tests.core.world import WHY, A, B, C, Owner, Peer, installed, patch


def holding(owner: Owner, pid: int, **other: object) -> Peer:
    """A worker that takes patches, and has applied what is committed."""
    peer = owner.meets(pid, **{"patches": True, **other})
    owner.receives(peer, Applied(owner.version))
    owner.forget()
    return peer


def proposes(owner: Owner, content: bytes = B) -> None:
    owner.is_asked()
    owner.loads(content, base=owner.core.committed.digest)


def commits(owner: Owner, *peers: Peer) -> None:
    for peer in peers:
        owner.receives(peer, Vote(owner.core.round, True))
    owner.records()
    for peer in peers:
        owner.receives(peer, Applied(owner.version))


def test_who_holds_the_base_gets_the_patch_and_who_takes_none_the_payload():
    owner = Owner()
    one, other, earlier = holding(owner, 1), holding(owner, 2), holding(owner, 3, patches=False)
    proposes(owner)
    assert owner.sent(one) == [Prepare(1, B, patch(A, B), base=A)]
    assert owner.sent(other)[0] is owner.sent(one)[0]  # so that it is encoded once
    assert owner.sent(earlier) == [Prepare(1, B, B)]


def test_what_a_worker_has_applied_since_its_hello_is_what_it_holds():
    owner = Owner()
    one, other = holding(owner, 1), holding(owner, 2)
    for before, content in ((A, B), (B, C), (C, B)):
        owner.forget()
        proposes(owner, content)
        assert owner.sent(one)[-1].payload == owner.sent(other)[-1].payload == patch(before, content)
        commits(owner, one, other)


def test_a_newcomer_gets_payloads_until_it_has_applied_one():
    owner = Owner()
    one = holding(owner, 1)
    proposes(owner)
    newcomer = owner.meets(2, patches=True)
    assert owner.sent(newcomer) == [installed(1, A, A), Prepare(1, B, B)]
    owner.receives(newcomer, Applied(1))
    commits(owner, one, newcomer)
    owner.forget()
    proposes(owner, C)
    assert owner.sent(newcomer)[-1] == Prepare(2, C, patch(B, C), base=B)


def test_who_comes_back_with_the_base_gets_the_patch():
    owner = Owner()
    holding(owner, 1)
    proposes(owner)
    back, stale, unwilling = (
        owner.meets(pid, version, content, patches=patches)
        for pid, version, content, patches in ((2, 1, A, True), (3, 1, C, True), (4, 1, A, False))
    )
    assert owner.sent(back)[-1] == Prepare(1, B, patch(A, B), base=A)
    assert owner.sent(stale)[-1] == Prepare(1, B, B)
    assert owner.sent(unwilling)[-1] == Prepare(1, B, B)


def test_a_load_without_a_patch_is_for_everybody_the_payload():
    owner = Owner()
    one = holding(owner, 1)
    owner.is_asked()
    owner.loads(B)
    assert owner.sent(one) == [Prepare(1, B, B)]


def test_who_had_no_vote_and_holds_the_base_is_installed_the_patch():
    owner = Owner()
    one, silent = holding(owner, 1), holding(owner, 2)
    owner.stuffed.add(silent.pipe)
    owner.receives(silent, Applied(1))
    proposes(owner)
    owner.receives(one, Vote(1, True))
    owner.loses_pipe(silent)
    owner.waits_out(fx.Timer.STAGE)
    owner.records()
    owner.forget()
    back = owner.meets(2, 1, A, patches=True)
    assert owner.sent(back) == [installed(2, B, patch(A, B), base=A)]
    newcomer = owner.meets(3, patches=True)
    assert owner.sent(newcomer) == [installed(2, B, B)]
    owner.receives(one, Applied(2))
    again = owner.meets(1, 2, B, patches=True)
    assert owner.sent(again) == [installed(2, B, B)]  # which it holds already


def test_who_has_declined_a_version_gets_its_payload_the_next_time():
    owner = Owner()
    one, other = holding(owner, 1), holding(owner, 2)
    proposes(owner)
    owner.receives(one, Vote(1, True))
    owner.loses_pipe(other)
    owner.waits_out(fx.Timer.STAGE)
    owner.records()
    owner.receives(one, Applied(2))
    other = owner.meets(2, 1, A, patches=True)
    owner.receives(other, Declined(2, (WHY,)))
    owner.forget()
    owner.is_asked()
    owner.loads(B)
    assert owner.sent(other) == [installed(2, B, B)]


def test_a_worker_whose_answer_is_awaited_gets_the_payload():
    """A content that comes back is the base again; what the worker holds by then depends on what it has read."""
    owner = Owner()
    one, slow = holding(owner, 1), holding(owner, 2)
    for before, content in ((A, B), (B, A), (A, C)):
        assert owner.core.committed.digest == before
        proposes(owner, content)
        owner.receives(one, Vote(owner.core.round, True))
        owner.waits_out(fx.Timer.STAGE)
        owner.records()
        owner.receives(one, Applied(owner.version))
        if owner.state is not ProposalState.IDLE:
            owner.waits_out(fx.Timer.BARRIER)
    assert [frame.base for frame in owner.sent(slow) if isinstance(frame, Prepare | Install)] == [A, b"", b""]
    owner.receives(slow, Applied(2))  # late, and of a version that is not committed any more
    owner.forget()
    proposes(owner, B)
    owner.receives(one, Vote(owner.core.round, True))
    owner.records()
    assert [frame.base for frame in owner.sent(slow) if isinstance(frame, Prepare | Install)] == [b""]


def test_an_undo_and_a_reissue_are_payloads():
    owner = Owner()
    one = holding(owner, 1)
    proposes(owner)
    owner.receives(one, Vote(1, True))
    owner.records()
    owner.forget()
    owner.receives(one, Declined(2, (WHY,)))  # nobody runs it
    owner.records()
    assert [frame.base for frame in owner.sent(one) if isinstance(frame, Install)] == [b""]
    owner.receives(one, Applied(3))
    owner.forget()
    owner.meets(2, 7, C, patches=True)
    owner.records()
    assert [frame.base for frame in owner.sent(one) if isinstance(frame, Install)] == [b""]


def test_a_patch_of_an_earlier_round_is_not_installed_for_another():
    owner = Owner()
    one, late = holding(owner, 1), holding(owner, 2)
    proposes(owner, C)
    owner.receives(late, Vote(1, False, (WHY,)))
    assert Abort(1) in owner.sent(one)
    owner.is_asked()
    owner.loads(B)
    owner.receives(one, Vote(2, True))
    owner.loses_pipe(late)
    owner.waits_out(fx.Timer.STAGE)
    owner.records()
    assert Commit(2, 2) in owner.sent(one)
    back = owner.meets(2, 1, A, patches=True)
    assert owner.sent(back) == [installed(2, B, B)]
