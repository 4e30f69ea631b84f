"""Probations one by one, and what goes wrong without a rule for them: each trace is the shortest that is known."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import msgspec
import pytest

from confcast.errors import Problem
from confcast.owner.core import effects as fx
from confcast.owner.core.machine import Hold, OperatorState, ProposalState
from confcast.owner.core.probations import _MOST_SUPERSEDED
from confcast.owner.core.proposal import NO_END
from confcast.owner.core.version_numbers import Committed, Proven
from confcast.owner.loop.probing import provisional_version
from confcast.owner.store.kept_versions import judgement_of
from confcast.wire.messages import (
    Applied,
    Change,
    Check,
    Commit,
    Confirm,
    Counts,
    Declined,
    Goodbye,
    Install,
    Prepare,
    Provisional,
    Reload,
    ReloadResult,
    Resume,
    Rollback,
    Set,
    Unhealthy,
    Unset,
    Vote,
)
from tests.core.test_windows import OPERATOR, ends, opens, reborn, serving, window
from tests.core.world import WHY, A, B, C, Owner, Peer, all_apply, all_vote, commits

IDLE, LOADING, STAGING, RECORDING, COMMITTING = ProposalState
PROBATION = 20.0
KILLED = "was killed by signal 9"


def running(content: bytes = B, **other: object) -> tuple[Owner, Peer, Peer]:
    """Version 2 is on probation, and the sources gave it."""
    owner, w1, w2 = serving(**{"probation": PROBATION, **other})
    owner.is_triggered("watch")
    owner.loads_of(content, content)
    commits(owner, w1, w2)
    owner.forget()
    return owner, w1, w2


def complains(owner: Owner, peer: Peer, version: int = 2) -> None:
    owner.receives(peer, Unhealthy(version, "the pool is empty"))


def is_undone(owner: Owner, *peers: Peer) -> None:
    """What was ordered is written and applied."""
    owner.records()
    all_apply(owner, *peers)


def passes(owner: Owner, seconds: float = PROBATION) -> None:
    """So much time, and its deadline."""
    owner.now += seconds
    owner.feed(fx.Wake(fx.Timer.PROVEN, -1))


TEXT = "worker 1 says that version 2 is unhealthy: the pool is empty"


def has_expired(still_set: Callable[[Proven], Proven] | None = None) -> tuple[Owner, Peer, Peer]:
    """Version 2 is on probation: an override has ended, which version 1 had."""
    override = OperatorState(4, layer=b"x", expires=130.0)
    fallback = Proven(Committed(1, A, A, False, b"below"), b"x", 130.0)
    owner = Owner(operator=override, fallback=fallback, values=b"below", probation=PROBATION, still_set=still_set)
    w1, w2 = owner.has(1), owner.has(2)
    owner.waits_out(fx.Timer.EXPIRY)
    owner.loads_of(B, b"below")
    commits(owner, w1, w2)
    assert (owner.version, window(owner).expires) == (2, 130.0)
    owner.forget()
    return owner, w1, w2


def test_a_way_back_has_what_has_ended_since_as_a_value_of_the_version_that_is_put_back():
    """Without: it ends again at once, and the person has what they had gone back from."""

    def still_set(proven: Proven) -> Proven:
        assert (proven.committed.version, proven.layer, proven.expires) == (1, b"x", 130.0)
        return Proven(dataclasses.replace(proven.committed, values=b"below, and x"), b"", 0.0)

    owner, w1, w2 = has_expired(still_set)
    owner.is_asked_for(Rollback)
    (order,) = owner.did(fx.Record)
    assert (order.payload, order.values, order.operator.layer, order.operator.expires) == (A, b"below, and x", b"", 0.0)
    is_undone(owner, w1, w2)
    assert (owner.state, owner.core.committed.values) == (IDLE, b"below, and x")


def test_what_takes_itself_back_has_it_set_until_the_next_load():
    """Without: it ends again at once, is on probation, and is undone, without an end."""
    owner, w1, w2 = has_expired()
    complains(owner, w1)
    is_undone(owner, w1, w2)
    assert (owner.state, owner.version, owner.core.operator.layer) == (IDLE, 3, b"x")
    owner.feed(fx.Wake(fx.Timer.EXPIRY, -1))
    assert owner.state is IDLE
    owner.is_triggered("watch")
    owner.loads_of(B, b"below")
    assert owner.events()[-1].result is ReloadResult.REJECTED
    assert owner.state is IDLE


@pytest.mark.parametrize("later", ["watch", "call"])
def test_an_end_brings_nothing_back_that_was_undone_a_moment_before(later: str):
    """Without: what was unset is undone, so the override is back; its end commits the undone content once more."""
    override = OperatorState(4, layer=b"x", expires=130.0)
    fallback = Proven(Committed(1, A, A, False, b"below"), b"x", 130.0)
    owner = Owner(operator=override, fallback=fallback, values=b"below", probation=PROBATION)
    w1, w2 = owner.has(1), owner.has(2)
    owner.is_asked_for(Unset, keys=("k",))
    owner.loads_of(B, b"below")
    commits(owner, w1, w2)
    complains(owner, w1)
    is_undone(owner, w1, w2)
    assert (owner.version, owner.core.operator.layer) == (3, b"x")
    owner.waits_out(fx.Timer.EXPIRY)
    owner.loads_of(B, b"below")
    event = owner.events()[-1]
    assert (event.origin, event.result, event.problems) == ("expiry", ReloadResult.REJECTED, [Problem("", NO_END)])
    assert (owner.state, owner.version, owner.core.operator.layer) == (IDLE, 3, b"x")
    call = owner.is_asked() if later == "call" else owner.is_triggered("watch")
    owner.loads_of(B, b"below")
    if call is None:
        assert owner.events()[-1].result is ReloadResult.REJECTED
    else:
        commits(owner, w1, w2)
        assert (owner.version, owner.core.operator.layer) == (4, b"")


def test_an_end_in_an_earlier_window_says_nothing_of_what_this_one_puts_back():
    """Without: once any time has ended in a probation, what a later undo leaves set outlives its time."""
    owner, w1, w2 = has_expired()
    passes(owner)
    assert owner.core.operator.window is None
    owner.is_asked_for(Set, OPERATOR, values={"y": 1}, ttl=100.0)
    owner.loads_with(C, b"y", owner.now + 100.0)
    commits(owner, w1, w2)
    passes(owner)
    assert (owner.core.operator.window, owner.version) == (None, 3)
    ends_at = owner.core.operator.expires
    owner.is_asked_for(Set, OPERATOR, values={"z": 1}, ttl=10.0)
    owner.loads_with(A, b"yz", owner.now + 10.0)
    commits(owner, w1, w2)
    complains(owner, w1, 4)
    is_undone(owner, w1, w2)
    assert (owner.state, owner.core.operator.layer, owner.core.operator.expires) == (IDLE, b"y", ends_at)
    owner.now = ends_at
    owner.feed(fx.Wake(fx.Timer.EXPIRY, -1))
    assert owner.state is LOADING


def test_an_end_in_an_earlier_window_says_nothing_of_what_was_replaced_in_this_one():
    """Without: a probation ends without a commit, and the ends in all of them count as those of the newest."""
    owner, w1, w2 = has_expired()
    passes(owner)
    owner.is_asked_for(Set, OPERATOR, values={"y": 1}, ttl=30.0)
    ends_at = owner.now + 30.0
    owner.loads_with(C, b"y", ends_at)
    commits(owner, w1, w2)
    passes(owner)
    owner.is_asked_for(Set, OPERATOR, values={"z": 1}, ttl=15.0)
    owner.loads_with(A, b"z", owner.now + 15.0)
    commits(owner, w1, w2)
    owner.waits_out(fx.Timer.EXPIRY)
    owner.loads_with(B, b"")
    commits(owner, w1, w2)
    complains(owner, w1, 5)
    is_undone(owner, w1, w2)
    assert (owner.core.operator.layer, owner.core.operator.expires) == (b"y", ends_at)
    assert owner.state is LOADING


# ---- it begins


def test_it_is_in_the_row_of_the_version():
    owner, w1, w2 = serving(probation=PROBATION)
    call = owner.is_asked_for(Reload, OPERATOR, reason="another database", expect=1)
    owner.loads_of(B, B)
    owner.now += 1.5
    commits(owner, w1, w2)
    (record,) = owner.did(fx.Record)
    kept = record.operator.window
    assert (kept.fallback, kept.deadline, kept.proves) == (1, 0.0, 121.5)
    assert (kept.who, kept.reason, kept.opened) == (OPERATOR, "another database", 101.5)
    assert (owner.answer(call).result, owner.answer(call).confirm_by) == (ReloadResult.SUCCESS, None)
    assert [each.when for each in owner.did(fx.WakeAt) if each.timer is fx.Timer.PROVEN] == [121.5]


def test_no_frame_of_an_earlier_version_is_kept():
    """Each may have a content of many megabytes."""
    owner, *peers = running()
    for pid, content in enumerate((C, A), 3):
        peers.append(owner.meets(pid))
        (install,) = owner.sent(peers[-1])
        assert install.provisional == PROBATION
        owner.receives(peers[-1], Applied(owner.version))
        owner.is_triggered("watch")
        owner.loads_of(content, content)
        commits(owner, *peers)
        kept = [frame for frames in owner.core._outbox._timed.values() for frame in frames]
        assert {frame.version for frame in kept} <= {owner.version}


def test_a_probe_goes_on_while_the_sources_are_found_unchanged():
    """Or HUP in a loop, and one worker that is slow to start, would end each run of a probe before it has answered."""
    owner, w1, w2 = running()
    assert provisional_version(owner.core) == 2
    w3 = owner.meets(3)
    owner.is_triggered("signal")
    owner.loads(B)
    assert (owner.state, provisional_version(owner.core)) == (COMMITTING, 2)
    owner.receives(w3, Applied(2))
    owner.is_triggered("watch")
    owner.loads_of(C, C)
    all_vote(owner, w1, w2, w3)
    owner.records()
    assert (owner.state, provisional_version(owner.core)) == (COMMITTING, 0), "not all have it yet"
    all_apply(owner, w1, w2, w3)
    assert (owner.state, provisional_version(owner.core)) == (IDLE, 3)


def begins(owner: Owner, how: str) -> None:
    if how == "nothing proven before":
        owner.is_triggered("start")
        owner.loads(B)
    elif how == "good before":
        owner.is_triggered()
        owner.feed(fx.Loaded(owner.last_load, C, C, differs=True, good=True))
    elif how == "good, way back":
        owner.is_asked_for(Rollback, version=1)
        order = owner.did(fx.Restore)[-1]
        owner.feed(fx.Loaded(order.number, C, C, differs=True, restores=1, good=True))
    elif how == "unchanged":
        owner.is_triggered()
        owner.loads(A)


@pytest.mark.parametrize("how", ["nothing proven before", "good before", "good, way back", "unchanged", "switched off"])
def test_what_is_not_on_probation(how: str):
    options = {"probation": 0.0 if how == "switched off" else PROBATION}
    if how == "nothing proven before":
        owner = Owner(None, **options)
        peers = owner.meets(1), owner.meets(2)
    else:
        owner, *peers = serving(**options)
    begins(owner, how)
    if how == "switched off":
        owner.is_triggered()
        owner.loads(B)
    if owner.state is STAGING:
        commits(owner, *peers)
    assert owner.state is IDLE
    assert owner.core.operator.window is None
    complains(owner, peers[0], owner.version)
    assert owner.state is IDLE


def test_an_undo_has_none():
    """U5: an undo of an undo could only renumber."""
    owner, w1, w2 = running()
    complains(owner, w1)
    is_undone(owner, w1, w2)
    assert owner.core.operator.window is None
    complains(owner, w1, 3)
    assert (owner.state, owner.version) == (IDLE, 3)


def test_a_window_and_a_probation_are_one_and_its_time_is_that_of_the_window():
    owner, w1, w2 = serving(probation=PROBATION)
    opens(owner, w1, w2, within=600.0)
    assert (window(owner).deadline, window(owner).proves) == (700.0, 700.0)
    owner.now += 300.0
    complains(owner, w1)
    assert owner.did(fx.Record)[-1].undo


def test_a_short_window_ends_before_the_probation():
    owner, w1, w2 = serving(probation=PROBATION)
    opens(owner, w1, w2, within=5.0)
    assert (window(owner).deadline, window(owner).proves) == (105.0, 120.0)
    ends(owner, w1, w2)
    assert owner.events()[-1].evidence == ["nobody confirmed version 2 within 5 s"]


def test_a_window_that_is_opened_on_it_goes_on_from_its_fallback():
    owner, w1, w2 = running()
    owner.is_asked_for(Reload, confirm_within=600.0)
    owner.loads(B)
    owner.records()
    assert (window(owner).fallback, window(owner).deadline, window(owner).proves) == (1, 700.0, 700.0)
    ends(owner, w1, w2)
    assert owner.core.committed.payload == A


# ---- a no


def test_a_no_puts_the_fallback_back_without_a_load_and_without_a_vote():
    owner, w1, w2 = running()
    complains(owner, w1)
    (record,) = owner.did(fx.Record)
    assert (record.version, record.payload, record.undo, record.origin) == (3, A, True, "undo")
    assert (record.undoes, record.takes_back, record.refused, record.operator.window) == (2, 1, B, None)
    is_undone(owner, w1, w2)
    (event,) = owner.events()
    assert (event.result, event.origin, event.version, bool(event)) == (ReloadResult.UNDONE, "undo", 3, False)
    assert (event.evidence, event.confirm_by) == ([TEXT], None)
    assert owner.did(fx.Load) == []
    assert [type(frame) for frame in owner.sent(w1)[:1]] == [Install]
    assert owner.sent(w1)[0].undo
    assert not [frame for frame in owner.sent(w2) if isinstance(frame, Prepare)]


def dies(owner: Owner, peer: Peer, why: str = KILLED) -> None:
    owner.loses_pipe(peer)  # which comes first
    owner.feed(fx.ProcessGone(peer.pid, why))


def test_deaths_are_a_no_and_its_words_say_when():
    owner, w1, w2 = running()
    owner.now += 3.0
    dies(owner, w1)
    assert owner.state is IDLE
    dies(owner, w2)
    assert owner.did(fx.Record)[-1].undo
    owner.records()
    assert owner.events()[-1].evidence == [
        f"worker 1 {KILLED}, 3 s after it had version 2",
        f"worker 2 {KILLED}, 3 s after it had version 2",
    ]


def test_a_worker_that_its_server_ended_is_no_evidence():
    owner, w1, w2 = running()
    dies(owner, w1, "")
    owner.receives(w2, Goodbye())
    owner.feed(fx.ProcessGone(2, ""))
    assert (owner.state, owner.did(fx.Spoken)) == (IDLE, [])


def test_a_worker_that_says_goodbye_and_then_fails_died_of_it():
    owner, w1, w2 = running(max_deaths=1)
    owner.now += 3.0
    owner.receives(w1, Goodbye())
    assert (owner.state, owner.did(fx.Spoken)) == (IDLE, [])
    owner.feed(fx.ProcessGone(1, "left with status 1"))
    owner.feed(fx.ProcessGone(1, "left with status 1"))  # nobody counts it twice
    is_undone(owner, w2)
    assert owner.events()[-1].evidence == ["worker 1 left with status 1, 3 s after it had version 2"]


def test_how_a_worker_died_may_be_known_later_than_its_death():
    owner, w1, w2 = running(max_deaths=1)
    dies(owner, w1, "")
    owner.feed(fx.ProcessGone(1, KILLED))
    is_undone(owner, w2)
    assert owner.events()[-1].evidence == [f"worker 1 {KILLED}, 0 s after it had version 2"]


def test_a_process_that_came_again_has_not_failed_at_its_goodbye():
    owner, w1, _ = running(max_deaths=1)
    owner.receives(w1, Goodbye())
    again = owner.meets(1, 2, B)
    owner.receives(again, Applied(2))
    dies(owner, again, "")
    assert owner.did(fx.Spoken) == []


def test_of_the_processes_that_have_left_no_more_are_remembered_than_a_few():
    owner, _, _ = running(max_deaths=1)
    for pid in range(100, 165):
        owner.receives(owner.meets(pid, 2, B), Goodbye())
    owner.feed(fx.ProcessGone(100, KILLED))
    assert (owner.state, owner.did(fx.Spoken)) == (IDLE, [])
    owner.feed(fx.ProcessGone(101, KILLED))
    assert owner.did(fx.Spoken)


def test_workers_that_die_of_it_before_they_answer_and_are_started_anew():
    """Each has another pid, and none ever says Applied."""
    owner, w1, w2 = running()
    for pid in (3, 4):
        dies(owner, owner.meets(pid))
    assert owner.did(fx.Record)[-1].undo
    is_undone(owner, w1, w2)
    assert owner.events()[-1].evidence[0] == f"worker 3 {KILLED} with version 2"


def test_a_worker_that_has_declined_it_died_of_another_one():
    owner, w1, w2 = serving(probation=PROBATION)
    owner.is_triggered()
    owner.loads_of(B, B)
    all_vote(owner, w1, w2)
    owner.records()
    owner.receives(w1, Applied(2))
    owner.receives(w2, Declined(2, (WHY,)))
    dies(owner, w2)
    assert [each.version for each in owner.did(fx.Spoken)] == [1]


def test_errors_are_a_no_if_they_are_more_than_before():
    owner, w1, w2 = running(max_error_rate=0.01)
    owner.receives(w1, Counts(1, 900, 1))
    owner.receives(w2, Counts(2, 200, 6))
    assert owner.state is RECORDING
    is_undone(owner, w1, w2)
    text = "6 of 200 requests (3 %) failed with version 2, 1 of 900 requests (0.111 %) with version 1"
    assert owner.events()[-1].evidence == [text]


def test_a_probes_no_is_one():
    owner, w1, w2 = running()
    owner.feed(fx.Probed(2, "GET /health gave 503"))
    is_undone(owner, w1, w2)
    assert owner.events()[-1].evidence == ["a probe says no to version 2: GET /health gave 503"]


def test_what_is_said_of_the_version_before_undoes_nothing():
    owner, w1, _ = running()
    complains(owner, w1, 1)
    owner.feed(fx.Probed(1, "GET /health gave 503"))
    assert (owner.state, owner.version) == (IDLE, 2)
    assert [each.version for each in owner.did(fx.Spoken)] == [1, 1]


def test_what_is_said_is_told_once_and_counted():
    owner, w1, w2 = serving(probation=PROBATION)
    for peer in (w1, w1, w2):
        complains(owner, peer, 1)
    assert len(owner.did(fx.Spoken)) == 2
    assert owner.core.evidence.total["unhealthy"] == 3


@pytest.mark.parametrize("state", [LOADING, STAGING])
def test_a_proposal_that_is_under_way_begins_anew_after_the_undo(state: ProposalState):
    """U3; its caller is not told of a load that was given up."""
    owner, w1, w2 = running()
    call = owner.is_asked()
    if state is STAGING:
        owner.loads_of(C, C)
        owner.receives(w1, Vote(owner.core.round, True))
    complains(owner, w1)
    assert owner.state is RECORDING
    is_undone(owner, w1, w2)
    assert owner.state is LOADING
    assert owner.answers(call) == []
    owner.loads_of(C, C)
    commits(owner, w1, w2)
    assert (owner.answer(call).result, owner.version) == (ReloadResult.SUCCESS, 4)


def test_a_dry_run_gives_way_to_it():
    owner, w1, _ = running()
    call = owner.is_asked_for(Check)
    owner.loads(C)
    complains(owner, w1)
    assert owner.answer(call).result is ReloadResult.OWNER_UNAVAILABLE
    assert owner.did(fx.Record)[-1].undo


def test_a_no_to_what_is_superseded_by_the_write_that_is_under_way_is_dropped():
    """U3: the version that was written is not what was spoken against."""
    owner, w1, w2 = running()
    owner.is_asked()
    owner.loads_of(C, C)
    all_vote(owner, w1, w2)
    complains(owner, w1)
    is_undone(owner, w1, w2)
    assert (owner.state, owner.version, owner.core.committed.payload) == (IDLE, 3, C)


def test_a_no_during_a_write_that_fails_is_tested_after_it():
    owner, w1, w2 = running()
    owner.is_asked()
    owner.loads_of(C, C)
    all_vote(owner, w1, w2)
    complains(owner, w1)
    owner.fails_to_record(fx.RowState.ABSENT)
    assert owner.did(fx.Record)[-1].undo
    is_undone(owner, w1, w2)
    assert owner.core.committed.payload == A


def test_a_no_in_its_own_barrier_is_told_to_its_callers():
    owner, w1, w2 = serving(probation=PROBATION)
    call = owner.is_asked()
    owner.loads_of(B, B)
    all_vote(owner, w1, w2)
    owner.records()
    owner.receives(w1, Applied(2))
    complains(owner, w1)
    assert owner.state is RECORDING
    assert owner.answers(call) == []
    is_undone(owner, w1, w2)
    event = owner.answer(call)
    assert (event.result, event.version, event.evidence) == (ReloadResult.UNDONE, 3, [TEXT])


@pytest.mark.parametrize("later", [0.0, PROBATION])
def test_a_no_between_accept_and_its_answer_waits_for_that(later: float):
    """Even if the probation's time passes meanwhile."""
    owner, w1, w2 = serving(probation=PROBATION)
    owner.is_asked()
    owner.loads_of(B, B)
    all_vote(owner, w1, w2)
    owner.records()
    owner.accepts = False
    all_apply(owner, w1, w2)
    complains(owner, w1)
    assert owner.state is COMMITTING
    passes(owner, later)
    owner.accepts = True
    owner.feed(fx.Accepted())
    assert owner.state is RECORDING
    assert owner.did(fx.Record)[-1].payload == A


def test_an_undo_that_can_not_be_written_is_tried_each_second():
    """U6; also once the probation's time is over."""
    owner, w1, w2 = running()
    owner.now += PROBATION - 1.5
    complains(owner, w1)
    for _ in range(4):
        owner.fails_to_record(fx.RowState.ABSENT)
        owner.is_triggered("watch")
        assert owner.state is RECORDING
        owner.waits_out(fx.Timer.UNDO)
    is_undone(owner, w1, w2)
    assert owner.core.committed.payload == A


def test_all_workers_hang_on_it_and_the_undo_still_comes():
    """In bounded time: the barrier's deadline."""
    owner, w1, _ = running()
    complains(owner, w1)
    owner.records()
    owner.waits_out(fx.Timer.BARRIER)
    assert (owner.state, owner.version) == (IDLE, 3)
    assert owner.events()[-1].result is ReloadResult.UNDONE
    assert owner.names() == [1, 2]


# ---- what was undone is refused


def undone() -> tuple[Owner, Peer, Peer]:
    """Version 2 was undone; the sources still have it."""
    owner, w1, w2 = running()
    complains(owner, w1)
    is_undone(owner, w1, w2)
    owner.forget()
    return owner, w1, w2


@pytest.mark.parametrize("how", ["watch", "signal", "restart", "call"])
def test_what_was_undone_is_not_committed_again(how: str):
    """U1: else a HUP, or the next owner's load, commits it."""
    owner, _, _ = undone()
    owner = reborn(owner) if how == "restart" else owner
    call = owner.is_asked() if how == "call" else owner.is_triggered(how)
    owner.loads_of(B, B)
    event = owner.events()[-1]
    assert event.result is ReloadResult.REJECTED
    assert f"what was undone with version 2, since {TEXT}" in str(event.error_message)
    assert call is None or owner.answer(call).result is ReloadResult.REJECTED
    assert owner.core.committed.payload == A


@pytest.mark.parametrize("asked", [Resume, Reload])
def test_somebody_who_asks_for_just_that_gets_it_on_probation(asked: type):
    owner, w1, w2 = undone()
    call = owner.is_asked_for(asked, **({"force": True} if asked is Reload else {}))
    owner.loads_of(B, B)
    commits(owner, w1, w2)
    assert owner.answer(call).result is ReloadResult.SUCCESS
    assert owner.core.operator.unconfirmed is None
    complains(owner, w1, 4)
    assert owner.did(fx.Record)[-1].undo


def test_what_is_refused_is_what_ran_and_not_what_was_tried_last():
    """U1, the row's sources: else edit 3 is refused by a no, and the file that goes back to 2 is committed again."""
    owner, w1, w2 = running()
    owner.is_triggered("watch")
    owner.loads_of(C, C)
    all_vote(owner, w1, ok=False)
    complains(owner, w1)
    is_undone(owner, w1, w2)
    for content in (B, C):
        owner.is_triggered("watch")
        owner.loads_of(content, content)
        if content == C:
            commits(owner, w1, w2)
        assert owner.core.committed.payload == (C if content == C else A)


def test_other_content_goes_its_way():
    owner, w1, w2 = undone()
    owner.is_triggered("watch")
    owner.loads_of(C, C)
    commits(owner, w1, w2)
    assert owner.core.committed.payload == C


# ---- what it falls back to


def supersedes(owner: Owner, *peers: Peer, content: bytes = C) -> None:
    owner.is_triggered("watch")
    owner.loads_of(content, content)
    commits(owner, *peers)


def test_what_supersedes_it_falls_back_to_what_was_proven():
    """U4: v2 on probation, v3 on probation: unhealthy: undone to v2, which never stood its own."""
    owner, w1, w2 = running()
    owner.now += 5.0
    supersedes(owner, w1, w2)
    assert (window(owner).fallback, window(owner).proves) == (1, 125.0)
    owner.now = 121.0
    owner.feed(fx.Wake(fx.Timer.PROVEN, -1))
    assert owner.core.operator.window is not None, "its own time is not over"
    complains(owner, w1, 3)
    assert owner.did(fx.Record)[-1].payload == A
    assert owner.did(fx.Record)[-1].takes_back == 1


def test_what_was_superseded_and_is_spoken_against_in_its_time_never_becomes_good():
    """And only in its time."""
    owner, w1, w2 = running()
    owner.now += 5.0
    supersedes(owner, w1, w2)
    owner.forget()
    complains(owner, w1, 2)
    complains(owner, w2, 2)
    (event,) = owner.events()
    assert (event.origin, event.version, event.previous_version, event.evidence) == ("late", 2, 2, [TEXT])
    judgement = judgement_of(event)
    assert judgement is not None
    assert (judgement.version, judgement.good) == (2, False)
    assert (owner.state, owner.version) == (IDLE, 3)


def test_of_what_was_superseded_in_one_long_window_only_the_newest_are_remembered():
    owner, w1, w2 = running()
    for number in range(200):
        owner.is_triggered("watch")
        content = str(number).encode()
        owner.loads_of(content, content)
        commits(owner, w1, w2)
    assert len(owner.core._superseded) == _MOST_SUPERSEDED
    owner.forget()
    complains(owner, w1, 2)
    complains(owner, w2, owner.version - 1)
    assert [event.version for event in owner.events()] == [owner.version - 1]


def test_what_is_said_after_its_time_is_only_told():
    owner, w1, w2 = running()
    owner.now += 5.0
    supersedes(owner, w1, w2)
    owner.forget()
    owner.now += 15.0
    complains(owner, w1, 2)
    assert owner.events() == []
    assert len(owner.did(fx.Spoken)) == 1


def test_what_is_proven_is_what_the_next_one_falls_back_to():
    owner, w1, w2 = running()
    passes(owner)
    assert owner.core.operator.window is None
    assert owner.did(fx.RecordState) == owner.did(fx.NoteState) == []
    supersedes(owner, w1, w2)
    assert window(owner).fallback == 2


def test_content_that_was_good_ends_it():
    owner, w1, w2 = running()
    supersedes(owner, w1, w2, content=A)
    assert owner.core.operator.window is None
    complains(owner, w1, 3)
    assert (owner.state, owner.version) == (IDLE, 3)
    supersedes(owner, w1, w2)
    assert window(owner).fallback == 3


def test_a_version_that_nobody_runs_leaves_the_one_before_on_probation():
    owner, w1, w2 = running()
    owner.is_triggered()
    owner.loads_of(C, C)
    all_vote(owner, w1, w2)
    owner.records()
    for peer in (w1, w2):
        owner.receives(peer, Declined(3, (WHY,)))
    is_undone(owner, w1, w2)
    assert (owner.core.committed.payload, window(owner).fallback, window(owner).proves) == (B, 1, 120.0)
    complains(owner, w1, 4)
    assert owner.did(fx.Record)[-1].payload == A


def test_what_is_put_back_and_was_spoken_against_meanwhile_is_undone_in_its_turn():
    owner, w1, w2 = running()
    owner.is_triggered()
    owner.loads_of(C, C)
    all_vote(owner, w1, w2)
    owner.records()
    complains(owner, w1)
    for peer in (w1, w2):
        owner.receives(peer, Declined(3, (WHY,)))
    assert (owner.did(fx.Record)[-1].payload, owner.state) == (B, RECORDING)
    owner.forget().records()
    (record,) = owner.did(fx.Record)
    assert (record.version, record.payload, record.undoes) == (5, A, 4)
    is_undone(owner, w1, w2)
    assert (owner.events()[-1].result, owner.events()[-1].evidence) == (ReloadResult.UNDONE, [TEXT])


def test_a_late_refusal_by_a_worker_is_not_forgotten_when_its_time_is_over():
    owner, w1, w2 = serving(probation=PROBATION)
    owner.is_triggered()
    owner.loads_of(B, B)
    all_vote(owner, w1, w2)
    owner.records()
    owner.receives(w1, Applied(2))
    owner.waits_out(fx.Timer.BARRIER)
    owner.receives(w2, Declined(2, (WHY,)))
    passes(owner)
    supersedes(owner, w1, w2)
    assert window(owner).fallback == 1


def test_a_refusal_after_its_time_takes_the_fallback_back():
    owner, w1, w2 = serving(probation=PROBATION)
    owner.is_triggered()
    owner.loads_of(B, B)
    all_vote(owner, w1, w2)
    owner.records()
    owner.receives(w1, Applied(2))
    owner.waits_out(fx.Timer.BARRIER)
    passes(owner)
    owner.receives(w2, Declined(2, (WHY,)))
    supersedes(owner, w1, w2)
    assert window(owner).fallback == 1


def test_the_hold_and_the_overrides_come_back_that_were_there_before():
    hold = Hold(1, 50.0, OPERATOR, "a bad night")
    owner, w1, w2 = serving(operator=OperatorState(7, hold, layer=b"old"), probation=PROBATION)
    owner.is_asked_for(Set, values={"k": "x"})
    owner.loads_with(B, b"new")
    commits(owner, w1, w2)
    complains(owner, w1)
    is_undone(owner, w1, w2)
    assert (owner.core.operator.hold, owner.core.operator.layer) == (hold, b"old")


# ---- its time


def test_at_its_end_it_is_too_late_for_a_no():
    owner, w1, _ = running()
    owner.now += PROBATION
    complains(owner, w1)
    assert (owner.state, owner.version, owner.core.operator.window) == (IDLE, 2, None)


@pytest.mark.parametrize("state", [LOADING, STAGING, COMMITTING])
def test_it_ends_whatever_is_under_way(state: ProposalState):
    """What was being made begins a probation of its own, with what is proven now to fall back to."""
    owner, w1, w2 = running()
    owner.now += 5.0
    owner.is_triggered()
    if state is LOADING:
        passes(owner, 15.0)
    owner.loads_of(C, C)
    if state is STAGING:
        passes(owner, 15.0)
    all_vote(owner, w1, w2)
    owner.records()
    if state is COMMITTING:
        passes(owner, 15.0)
    all_apply(owner, w1, w2)
    expected = (1, 125.0) if state is COMMITTING else (2, 140.0)
    assert (window(owner).fallback, window(owner).proves) == expected


def test_it_ends_in_a_write():
    owner, w1, w2 = running()
    owner.now += 5.0
    owner.is_triggered()
    owner.loads_of(C, C)
    all_vote(owner, w1, w2)
    passes(owner, 15.0)
    assert owner.state is RECORDING
    is_undone(owner, w1, w2)
    assert (window(owner).fallback, window(owner).proves) == (1, 125.0)
    complains(owner, w1, 3)
    assert owner.did(fx.Record)[-1].payload == A, "what the row says"


@pytest.mark.parametrize("asked", [Rollback, Confirm])
def test_it_ends_in_a_write_that_fails(asked: type):
    """What has waited for that write finds what runs proven: a way back is asked of the workers, as ever."""
    owner, w1, w2 = running()
    owner.is_triggered()
    owner.loads_of(C, C)
    all_vote(owner, w1, w2)
    call = owner.is_asked_for(asked)
    passes(owner)
    owner.forget().fails_to_record(fx.RowState.ABSENT)
    assert (owner.core.operator.window, owner.core.fallback.committed.version) == (None, 2)
    assert owner.did(fx.Record) == owner.did(fx.RecordState) == []
    if asked is Rollback:
        assert [each.version for each in owner.did(fx.Restore)] == [None], "of another good version, and voted for"
    else:
        assert owner.answer(call).result is ReloadResult.CONFLICT


def test_a_no_in_a_write_that_fails_after_its_time_came_in_time():
    owner, w1, w2 = running()
    owner.is_triggered()
    owner.loads_of(C, C)
    all_vote(owner, w1, w2)
    complains(owner, w1)
    passes(owner)
    owner.fails_to_record(fx.RowState.ABSENT)
    assert owner.did(fx.Record)[-1].payload == A
    is_undone(owner, w1, w2)
    assert owner.events()[-1].result is ReloadResult.UNDONE


# ---- a person


def test_a_confirmation_makes_it_good_at_once():
    owner, w1, w2 = running()
    call = owner.is_asked_for(Confirm, OPERATOR)
    (write,) = owner.did(fx.RecordState)
    assert write.operator.window is None
    owner.records()
    assert (owner.answer(call).result, owner.answer(call).origin) == (ReloadResult.SUCCESS, "confirm")
    complains(owner, w1)
    assert (owner.state, owner.version) == (IDLE, 2)
    supersedes(owner, w1, w2)
    assert window(owner).fallback == 2


def test_nothing_waits_to_be_confirmed_once_it_is_over():
    owner, _, _ = running()
    passes(owner)
    call = owner.is_asked_for(Confirm)
    assert owner.answer(call).result is ReloadResult.CONFLICT


def test_a_way_back_without_a_number_takes_it_back_and_holds():
    owner, w1, w2 = running()
    call = owner.is_asked_for(Rollback, OPERATOR, reason="a bad night")
    record = owner.did(fx.Record)[-1]
    assert (record.payload, record.undo, record.origin, record.restores) == (A, True, "rollback", 1)
    assert (record.undoes, record.takes_back) == (0, 1)
    assert record.operator.hold == Hold(1, 100.0, OPERATOR, "a bad night")
    is_undone(owner, w1, w2)
    assert (owner.answer(call).result, owner.version) == (ReloadResult.SUCCESS, 3)
    assert owner.did(fx.Restore) == []


# ---- owners come and go


def reborn_later(owner: Owner, later: float) -> Owner:
    """The next owner, `later` by that many seconds."""
    window = owner.core.operator.window
    assert window is not None
    operator = msgspec.structs.replace(
        owner.core.operator, window=msgspec.structs.replace(window, proves=window.proves - later)
    )
    mine = owner.core.committed
    return Owner((mine.version, mine.payload), operator=operator, fallback=owner.core.fallback, probation=PROBATION)


@pytest.mark.parametrize("starts_anew", [False, True])
def test_the_next_owner_goes_on_with_it(starts_anew: bool):
    owner, _, _ = running()
    heir = reborn(owner, starts_anew=starts_anew) if starts_anew else reborn_later(owner, 12.0)
    assert [each.timer for each in heir.all if isinstance(each, fx.WakeAt)] == [fx.Timer.PROVEN]
    peer = heir.has(3)
    heir.is_triggered("restart")
    heir.loads_of(B, B)
    assert heir.state is IDLE, "the same content: nothing differs, and nothing is to be confirmed"
    complains(heir, peer)
    assert heir.did(fx.Record)[-1].payload == A


def test_the_next_owner_finds_it_proven_after_its_time():
    owner, _, _ = running()
    heir = reborn_later(owner, 12.0)
    peer = heir.has(3)
    passes(heir, 8.0)
    heir.is_triggered("restart")
    heir.loads_of(B, B)
    supersedes(heir, peer)
    assert window(heir).fallback == 2


def test_it_goes_on_in_a_next_generation_and_in_this_one_if_that_is_called_off():
    owner, w1, _ = running()
    for on in (True, False):
        owner.feed(fx.HandsOver(on))
        assert (owner.state, window(owner).fallback) == (IDLE, 1)
    complains(owner, w1)
    assert owner.did(fx.Record)[-1].undo


def test_a_reissue_goes_on_with_it_and_with_what_was_seen():
    owner, w1, w2 = running()
    owner.now += 1.0
    dies(owner, w2)
    owner.meets(5, 9, C)
    owner.records()
    owner.receives(w1, Applied(owner.version))
    assert (owner.version, window(owner).proves) == (10, 120.0)
    dies(owner, w1)
    assert owner.did(fx.Record)[-1].undoes == 10


@pytest.mark.parametrize(
    "said", [Unhealthy(9, "the pool is empty"), Counts(9, 40, 40)], ids=lambda said: type(said).__name__
)
def test_what_is_said_of_a_number_that_is_being_reissued_is_said_of_what_runs(said: Unhealthy | Counts):
    """The journal went back, and a worker holds that content by its former number: it may say it only once."""
    owner, w1, _ = running(max_error_rate=0.2)
    owner.receives(w1, Counts(1, 40, 0))
    peer = owner.meets(5, 9, B)
    assert owner.state is RECORDING
    owner.receives(peer, said)
    owner.records()
    assert (owner.version, owner.state) == (9, RECORDING)
    assert owner.did(fx.Record)[-1].undoes == 9


def test_what_is_said_of_other_content_under_a_higher_number_is_not():
    owner, *_ = running()
    peer = owner.meets(5, 9, C)
    owner.receives(peer, Unhealthy(9, "the pool is empty"))
    owner.records()
    assert (owner.version, owner.state) == (10, COMMITTING)


# ---- what workers are told


def provisional(owner: Owner, peer: Peer) -> list[tuple[type, float]]:
    said = Commit | Install | Provisional
    return [
        (type(frame), frame.seconds if isinstance(frame, Provisional) else frame.provisional)
        for frame in owner.sent(peer)
        if isinstance(frame, said)
    ]


def knows(owner: Owner, pid: int) -> Peer:
    peer = owner.meets(pid, owner.version, owner.core.committed.digest, trial=0)
    owner.receives(peer, Applied(owner.version))
    return peer


def telling() -> tuple[Owner, Peer, Peer]:
    """The first of two workers is of a build that knows probations."""
    owner = Owner(probation=PROBATION)
    peers = knows(owner, 1), owner.has(2)
    owner.forget()
    return owner, *peers


def test_a_commit_says_for_how_long_it_may_be_undone():
    owner, w1, w2 = telling()
    supersedes(owner, w1, w2, content=B)
    assert provisional(owner, w1) == provisional(owner, w2) == [(Commit, PROBATION)]
    owner.now += 5.5
    w3 = owner.meets(3)
    assert provisional(owner, w3) == [(Install, 15.0)]
    complains(owner, w1)
    owner.forget().records()
    assert provisional(owner, w1) == provisional(owner, w2) == [(Install, 0.0)]


def test_workers_that_are_told_the_same_get_one_object():
    """Since the loop encodes each object once, and an Install has the whole payload."""
    owner, w1, w2 = telling()
    supersedes(owner, w1, w2, content=B)
    frames = [owner.sent(owner.meets(pid))[-1] for pid in (3, 4)]
    assert frames[0] is frames[1]


@pytest.mark.parametrize("ends_by", ["confirm", "time"])
def test_only_an_early_end_is_told_and_only_to_those_who_understand_it(ends_by: str):
    owner, w1, w2 = telling()
    supersedes(owner, w1, w2, content=B)
    owner.forget()
    if ends_by == "confirm":
        owner.is_asked_for(Confirm)
        owner.records()
    else:
        passes(owner)
    owner.is_triggered()
    owner.loads(B)
    assert provisional(owner, w1) == ([(Provisional, 0.0)] if ends_by == "confirm" else [])
    assert provisional(owner, w2) == []


def test_a_window_on_what_is_on_probation_lengthens_it():
    owner, w1, w2 = telling()
    supersedes(owner, w1, w2, content=B)
    owner.forget()
    owner.is_asked_for(Reload, confirm_within=600.0)
    owner.loads(B)
    owner.records()
    assert provisional(owner, w1) == [(Provisional, 600.0)]
    assert provisional(owner, w2) == []


def test_a_window_on_what_is_proven_makes_nothing_provisional():
    owner, w1, _ = telling()
    owner.is_asked_for(Reload, confirm_within=600.0)
    owner.loads(A)
    owner.records()
    assert provisional(owner, w1) == []


# ---- every input that speaks against what is on probation, in every state


def deaths(owner: Owner, peer: Peer) -> None:
    for pid in (7, 8):
        dies(owner, owner.meets(pid, owner.version, B))


def errors(owner: Owner, peer: Peer) -> None:
    owner.receives(peer, Counts(1, 900, 0))
    owner.receives(peer, Counts(owner.version, 100, 50))


SPEAKS: dict[str, Callable[[Owner, Peer], None]] = {
    "a worker's word": lambda owner, peer: complains(owner, peer, owner.version),
    "a probe": lambda owner, peer: owner.feed(fx.Probed(owner.version, "no answer")),
    "deaths": deaths,
    "errors": errors,
}


@pytest.mark.parametrize("what", SPEAKS)
@pytest.mark.parametrize("state", ProposalState, ids=lambda each: each.name)
def test_it_is_undone_in_every_state(state: ProposalState, what: str):
    owner, w1, w2 = running(max_error_rate=0.01)
    if state is not IDLE:
        owner.is_asked()
    if state in (STAGING, RECORDING):
        owner.loads_of(C, C)
    if state is RECORDING:
        all_vote(owner, w1, w2)
    if state is COMMITTING:  # of UNCHANGED: a worker has a new pipe, and has not answered on it
        owner.meets(2, 2, B)
        owner.loads(B)
    assert owner.state is state
    owner.forget()
    SPEAKS[what](owner, w1)
    if state is RECORDING:
        assert owner.did(fx.Record) == []
        owner.fails_to_record(fx.RowState.ABSENT)
    (record,) = owner.did(fx.Record)
    assert (owner.state, record.payload, record.undoes, record.undo) == (RECORDING, A, 2, True)


# ---- what its undo changes


def with_changes(owner: Owner, peers: tuple[Peer, ...], content: bytes, *changes: Change) -> None:
    owner.is_triggered("watch")
    owner.feed(fx.Loaded(owner.last_load, content, content, True, changes, values=content))
    commits(owner, *peers)
    owner.forget()


def test_an_undo_says_what_it_changes_back_over_all_that_came_meanwhile():
    owner, *peers = serving(probation=PROBATION)
    with_changes(owner, tuple(peers), B, Change("a", 1, 2), Change("b", None, 7))
    with_changes(owner, tuple(peers), C, Change("a", 2, 3), Change("c.key", "k", "k", "content changed"))
    complains(owner, peers[0], 3)
    is_undone(owner, *peers)
    (event,) = owner.events()
    assert event.result is ReloadResult.UNDONE
    back = [Change("a", 3, 1), Change("b", 7, None), Change("c.key", "k", "k", "content changed")]
    assert event.changes == back


def test_a_persons_way_back_says_it_too_and_only_of_what_was_provisional():
    owner, *peers = serving(probation=PROBATION)
    with_changes(owner, tuple(peers), B, Change("a", 1, 2))
    passes(owner)
    with_changes(owner, tuple(peers), C, Change("a", 2, 3))
    call = owner.is_asked_for(Rollback)
    is_undone(owner, *peers)
    assert owner.answer(call).changes == [Change("a", 3, 2)]


def test_what_is_put_back_falls_back_to_what_is_proven_now():
    """F2: version 3 was never run, 4 was proven without an answer, and 5 is declined: the worker still runs 2."""
    owner, w1, w2 = running()
    owner.is_asked()
    owner.loads_of(C, C)
    all_vote(owner, w1, w2)
    owner.records()
    owner.waits_out(fx.Timer.BARRIER)
    for content, version, good, layer in ((A, 1, True, (b"k", 900.0)), (C, 3, False, (b"", 0.0))):
        call = owner.is_asked_for(Rollback, version=version)
        number = owner.did(fx.Restore)[-1].number
        given = fx.Loaded(number, content, content, differs=True, restores=version, good=good)
        owner.feed(msgspec.structs.replace(given, layer=layer[0], expires=layer[1]))
        owner.records()
        if owner.state is COMMITTING:
            owner.waits_out(fx.Timer.BARRIER)
        assert owner.answer(call).result is ReloadResult.PARTIAL
    assert (owner.version, window(owner).fallback) == (5, 4)
    owner.receives(w1, Declined(5, (WHY,)))
    (record,) = owner.did(fx.Record)[-1:]
    falls_back = record.operator.window
    assert (record.version, record.payload, falls_back.fallback) == (6, B, 4)
    assert (falls_back.layer, falls_back.expires) == (b"k", 900.0), "what people had set beside version 4"
