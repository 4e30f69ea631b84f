"""Traces that `scripts/mutate` has asked for, of workers and of what they are sent: as `test_by_mutants.py`."""

from __future__ import annotations

import pytest

from confcast.owner.core import effects as fx
from confcast.owner.core.first_vote import SLOW, FirstVote
from confcast.owner.core.machine import Committed, Hold, OperatorState, ProposalState, Rules
from confcast.owner.core.members import Member, Roster
from confcast.owner.core.rules import _LONGEST_DIGEST, _MOST_AHEAD, _OF_THE_CLOCK, refusal
from confcast.owner.core.what_ran import _MOST, WhatRan
from confcast.wire.messages import (
    Applied,
    Check,
    Commit,
    Confirm,
    Declined,
    Goodbye,
    Install,
    Prepare,
    ReloadResult,
    Rollback,
    Tried,
    Vote,
    Working,
)
from tests.core.test_first_vote import BUILD, after_a_slow_vote, asked, loads_another
from tests.core.test_trials import BY_ENTITY, knows, tries
from tests.core.test_trials import serving as trying
from tests.core.test_windows import serving
from tests.core.world import (
    SCHEMA,
    WHY,
    A,
    B,
    C,
    Owner,
    Peer,
    all_apply,
    all_decline,
    all_vote,
    commits,
    hello,
    installed,
    scene,
    stuff,
)

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


@pytest.mark.parametrize(
    ("began", "seconds", "ok", "slowest"),
    [(0.0, SLOW, True, SLOW), (0.0, SLOW, False, 0.0), (64.0, 0.0625, False, 0.0), (64.0, 0.5, False, 0.5)],
)
def test_a_no_that_took_no_longer_than_is_usual_says_nothing_of_votes(
    began: float, seconds: float, ok: bool, slowest: float
):
    vote, member = FirstVote(Rules(schema=SCHEMA), Roster(())), Member(1)
    vote.begins_function(member, began)
    member.working = (BUILD, began)
    vote.votes(member, ok=ok, now=began + seconds)
    assert vote._slowest == slowest


@pytest.mark.parametrize(("last", "first"), [(SLOW, False), (0.11, True)])
def test_only_what_took_longer_than_is_usual_has_one_vote_first(last: float, first: bool):
    owner = Owner((1, A))
    for pid in (1, 2, 3):
        owner.has(pid)
    vote = FirstVote(Rules(schema=SCHEMA), owner.core.roster)
    vote._slowest = last
    vote.choose(1.0, 100.0)
    assert (vote.member is not None) is first


@pytest.mark.parametrize(("last", "seconds", "fits"), [(10.0, 20.0, True), (10.1, 20.0, False), (10.0, 20.1, False)])
def test_a_first_vote_fits_if_the_others_still_have_their_time(last: float, seconds: float, fits: bool):
    owner = Owner((1, A))
    for pid in (1, 2, 3):
        owner.has(pid)
    vote = FirstVote(Rules(schema=SCHEMA, precommit_timeout=30.0), owner.core.roster)
    vote._slowest = last
    vote.choose(seconds, 100.0)
    assert (vote.member is not None) is fits


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


def test_how_long_one_worked_that_has_come_anew_says_nothing_of_votes():
    owner = Owner((1, A))
    peers = [owner.has(pid) for pid in (1, 2, 3)]
    owner.is_asked()
    owner.loads(B)
    owner.receives(peers[0], Working(owner.core.round, BUILD))
    owner.loses_pipe(peers[0])
    peers[0] = owner.has(1)
    owner.now += 1.0
    all_vote(owner, peers[1], ok=False)
    owner.is_asked()
    owner.forget().loads(C)
    assert asked(owner, *peers) == [1, 2, 3]


def test_where_all_have_refused_the_first_on_the_roster_is_the_first():
    owner, peers = after_a_slow_vote()
    for peer in peers:
        owner.core.roster.of(peer.pid).willing = False
    loads_another(owner)
    assert asked(owner, *peers) == [1]


# ---- members, and what is known of them


def test_since_when_a_worker_has_a_version_is_since_it_first_had_it():
    member = Member(1)
    member.is_sent(2, B)
    assert (member.given, member.had) == (2, None)
    member.has_applied(2, 100.0)
    member.is_sent(2, B)
    member.has_applied(2, 105.0)
    assert member.had == 100.0
    member.is_sent(3, C)
    assert (member.given, member.had) == (3, None)
    member.has_applied(3, 107.0)
    assert member.had == 107.0
    member.has_applied(4, 109.0)
    assert (member.given, member.had) == (4, 109.0)


def test_on_a_new_pipe_a_member_is_as_new():
    roster, fresh = Roster((1,)), Member(1)
    member = roster.of(1)
    member.pipe_was_full, member.provisional_until, member.agreed, member.vote = True, 120.0, 7, True
    member.trying = member.tried = member.begun = member.sent = member.acked = 9
    roster.connect(1, 5, 0, b"")
    for name in ("pipe_was_full", "provisional_until", "agreed", "vote", "trying", "tried", "begun", "sent", "acked"):
        assert getattr(member, name) == getattr(fresh, name), name


def test_a_new_number_is_of_who_has_that_content():
    roster = Roster((1, 2))
    one, other = roster
    one.runs = one.given = 2
    other.runs, other.given = 1, 1
    roster.renumber(2, 5)
    assert [(member.runs, member.given) for member in roster] == [(5, 5), (1, 1)]


def test_what_one_has_declined_and_applied_since_is_not_proven_but_what_comes_after_it_is():
    owner, first, second = serving()
    for content, version in ((B, 2), (C, 3)):
        owner.is_triggered()
        owner.loads(content)
        all_vote(owner, first, second)
        owner.records()
        if content == B:
            owner.receives(second, Declined(2, (WHY,)))
            owner.receives(second, Applied(2))
        all_apply(owner, first, second)
        assert (owner.state, owner.version) == (IDLE, version)
        assert owner.core.fallback.committed.version == (1 if content == B else 3)


# ---- whom an owner does not serve


def refused(pid: int = 1, **said: object) -> str:
    answer = refusal(Rules(schema=SCHEMA), hello(1, **said), pid, 5)
    return "" if answer is None else answer.reason


def test_whom_an_owner_does_not_serve_is_told_why():
    text = "it has a PID namespace that the config owner does not see, so its end could not be noticed: share "
    assert refused(pid=0).startswith(text)
    text = "its schema is not the one that this owner has loaded; it says itself which fields differ"
    assert refused(schema=b"other") == text


def test_how_far_ahead_and_how_long_what_a_worker_says_may_be():
    most = _OF_THE_CLOCK + _MOST_AHEAD
    assert refused(version=most, content=b"x" * _LONGEST_DIGEST) == ""
    assert refused(trial=most) == ""
    assert "no owner has given that out" in refused(version=most + 1)
    assert "no owner has given that out" in refused(trial=most + 1)
    assert "no owner has given that out" in refused(content=b"x" * (_LONGEST_DIGEST + 1))


def test_what_is_dropped_is_counted_by_its_kind():
    owner, first, second = serving()
    owner.receives(first, hello(1))
    first = owner.has(1)
    owner.meets(9, schema=b"other")
    owner.receives(second, Vote(99, True))
    owner.receives(first, Applied(7))
    owner.receives(first, Declined(7))
    owner.receives(first, Tried(7))
    owner.receives(Peer(77, 777), Applied(1))
    owner.is_triggered()
    number = owner.last_load
    owner.waits_out(fx.Timer.LOAD)
    owner.feed(fx.Checked(number))
    owner.is_triggered()
    owner.feed(fx.Loaded(number, B, B, differs=True))
    assert owner.core.dropped == {
        "second Hello": 1,
        "refused Hello": 1,
        "late vote": 1,
        "applied what was not committed": 1,
        "declined another version": 1,
        "tried what is not on trial": 1,
        "message without Hello": 1,
        "late check": 1,
        "late load": 1,
    }


def test_who_has_voted_no_in_a_dry_run_is_named_so():
    owner, first, second = serving()
    call = owner.is_asked_for(Check)
    owner.loads(B)
    all_vote(owner, first, ok=False)
    assert [(each.pid, each.reason) for each in owner.core.statuses()] == [(1, "voted no"), (2, "")]
    all_vote(owner, second)
    assert owner.answer(call).result is ReloadResult.REJECTED


# ---- what they are sent


def test_who_comes_after_an_undo_is_sent_no_patch_of_what_was_undone():
    """It holds what the patch is of, and would have the undone content under the number of the undo."""
    owner = Owner((1, A))
    peers = [owner.meets(pid, 1, A, patches=True) for pid in (1, 2)]
    all_apply(owner, *peers)
    owner.is_triggered()
    owner.loads(B, base=A)
    all_vote(owner, *peers)
    owner.records()
    all_decline(owner, *peers)
    owner.records()
    assert (owner.version, owner.core.committed.payload) == (3, A)
    newcomer = owner.meets(3, 1, A, patches=True)
    assert owner.sent(newcomer) == [installed(3, A, A, undo=True)]


def test_a_canary_that_is_asked_for_its_vote_is_not_told_to_commit_the_undo():
    """It would have what was on trial under the number of the undo."""
    owner, (w1, w2) = trying()
    owner.is_asked()
    owner.loads(B)
    all_vote(owner, w1, w2)
    owner.receives(w1, Goodbye())
    owner.receives(w2, Goodbye())
    owner.records()
    peers = knows(owner, 3), knows(owner, 4)
    (canary,) = [peer for peer in peers if Prepare(1, B, B) in owner.sent(peer)]
    owner.is_asked_for(Rollback)
    owner.forget().records()
    assert installed(3, A, A) in owner.sent(canary)
    assert not [frame for frame in owner.sent(canary) if isinstance(frame, Commit)]


def test_what_is_being_promoted_is_on_trial_for_nobody_any_more():
    """Not for one whose pipe was full since before the trial, either: it is sent that version with its Commit."""
    owner, peers = trying(canary=None)
    owner.stuffed.add(3)
    late = owner.meets(3, trial=0)
    assert late.pipe == 3
    owner.is_triggered()
    owner.loads(B)
    all_vote(owner, *peers)
    owner.waits_out(fx.Timer.STAGE)
    owner.records()
    all_apply(owner, *peers)
    owner.waits_out(fx.Timer.BARRIER)
    tries(owner, peers, C, BY_ENTITY)
    owner.is_asked_for(Confirm)
    all_vote(owner, *peers)
    assert owner.state is RECORDING
    owner.forget().unblocks(late)
    assert owner.sent(late) == [installed(2, B, B)]


def test_who_does_not_wait_for_it_is_told_a_little_later_that_a_version_is_settled():
    owner, first, second = serving()
    owner.is_triggered()
    owner.loads(B)
    all_vote(owner, first, second)
    owner.records()
    owner.receives(first, Applied(2, False))
    owner.receives(second, Applied(2, False))
    assert [each.when for each in owner.did(fx.WakeAt) if each.timer is fx.Timer.DEFERRED] == [owner.now + 0.05]


def test_for_how_long_a_version_may_be_undone_is_said_from_when_it_is_sent():
    owner, *peers = serving(probation=20.0)
    owner.is_triggered()
    owner.loads_of(B, B)
    commits(owner, *peers)
    seconds = []
    for pid in (3, 4):
        newcomer = owner.meets(pid, trial=0)
        seconds += [frame.provisional for frame in owner.sent(newcomer) if isinstance(frame, Install)]
        owner.now += 5.0
    assert seconds == [20.0, 15.0]


def test_who_says_late_that_it_has_an_older_version_is_sent_no_patch_of_the_newest():
    owner = Owner((1, A))
    peers = [owner.meets(pid, 1, A, patches=True) for pid in (1, 2)]
    all_apply(owner, *peers)
    owner.is_triggered()
    owner.loads(B, base=A)
    all_vote(owner, *peers)
    owner.records()
    all_apply(owner, *peers)
    owner.receives(peers[0], Applied(1))
    owner.is_triggered()
    owner.forget().loads(C, base=B)
    assert [owner.sent(peer)[-1] for peer in peers] == [Prepare(2, C, C), Prepare(2, C, b"B>C", B)]


def test_a_no_to_what_was_owed_is_about_the_content_that_was():
    owner, first, second = serving(silent="refuse")
    owner.is_triggered()
    owner.loads(B)
    all_vote(owner, first)
    owner.waits_out(fx.Timer.STAGE)
    owner.forget().receives(second, Vote(1, False, (WHY,)))
    (event,) = owner.did(fx.RecordEvent)
    assert (event.event.result, event.subject) == (ReloadResult.REJECTED, fx.Subject(1, 0, 0))


# ---- what ran before


def ran(*versions: int, runs: int) -> WhatRan:
    """These were committed, one after another, and one worker has applied that one."""
    roster = Roster((1,))
    known = WhatRan(roster)
    for version in versions:
        known.superseded(Committed(version, A, A), OperatorState(layer=b"%d" % version, expires=float(version)))
    for member in roster:
        member.runs = runs
    return known


def test_the_newest_that_ran_is_put_back_or_else_the_oldest_that_is_known():
    assert ran(1, 2, 3, runs=2).last()[0].version == 2
    assert ran(1, 2, 3, runs=0).last()[0].version == 1


def test_the_first_and_the_newest_ones_are_known():
    kept = ran(*range(1, 20), runs=0)
    assert [version.version for version, _ in kept._known] == [1, *range(21 - _MOST, 20)]


def test_what_people_set_stays_but_for_the_overrides():
    known = ran(1, 2, runs=0)
    hold = Hold(2, 50.0)
    known.sets(OperatorState(hold=hold, layer=b"new", expires=900.0))
    assert [(each.hold, each.layer, each.expires) for _, each in known._known] == [(hold, b"1", 1.0), (hold, b"2", 2.0)]


@pytest.mark.parametrize("silent", [True, False])
def test_who_has_declined_what_runs_is_sent_it_again_if_it_was_silent_since(silent: bool):
    """Else it had nothing left to answer."""
    owner = Owner(None, silent="refuse")
    first, second = owner.meets(1), owner.meets(2)
    owner.is_triggered()
    owner.loads(A)
    all_vote(owner, first, second)
    owner.records()
    owner.receives(first, Applied(1))
    owner.receives(second, Declined(1, (WHY,)))
    owner.is_triggered()
    owner.loads(B)
    all_vote(owner, first, ok=silent)
    if silent:
        owner.forget().waits_out(fx.Timer.STAGE)
    assert owner.state is IDLE
    assert isinstance(owner.sent(second)[-1], Install) is silent


def test_who_was_late_once_is_late_until_it_answers():
    roster = Roster((1,))
    roster.of(1).timed_out = True
    assert [(each.state, each.reason) for each in roster.statuses(0)] == [("late", "did not answer in time")]
