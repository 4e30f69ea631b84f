"""Traces that `scripts/mutate` has asked for, of loads, outcomes, numbers and probations: as `test_by_mutants.py`."""

from __future__ import annotations

import pytest

from confcast.errors import Problem
from confcast.owner.core import effects as fx
from confcast.owner.core.machine import Committed, ImpossibleMessage, OperatorState, ProposalState
from confcast.owner.core.operator_state import Unconfirmed
from confcast.owner.core.proposal import STILL_REFUSED, STILL_UNCONFIRMED, TO_DO
from confcast.owner.core.version_numbers import Numbers
from confcast.owner.core.windows import digest_of
from confcast.wire.messages import (
    Check,
    Counts,
    Declined,
    Reload,
    ReloadResult,
    Rollback,
    Set,
    Unhealthy,
    Vote,
)
from tests.core.test_probations import complains, passes, running, supersedes
from tests.core.test_trials import ONE
from tests.core.test_trials import serving as trying
from tests.core.test_windows import OPERATOR, opens, serving
from tests.core.world import WHY, A, B, C, D, Owner, all_apply, all_vote, commits

IDLE, LOADING, STAGING, RECORDING, COMMITTING = ProposalState


def restored(owner: Owner, *peers: object) -> None:
    """A person goes back to version 1, within a window: version 3, with a hold."""
    owner.is_asked_for(Rollback, OPERATOR, version=1)
    owner.restores(C, 1)
    commits(owner, *peers)
    assert (owner.version, owner.core.operator.hold.version) == (3, 1)


def taken_back(owner: Owner, *peers: object) -> None:
    owner.forget().waits_out(fx.Timer.CONFIRM)
    owner.records()
    all_apply(owner, *peers)
    assert owner.core.operator.hold is None


# ---- what a hold has stopped


def test_what_a_hold_has_stopped_is_loaded_after_it_whatever_was_set_meanwhile():
    owner, *peers = serving()
    opens(owner, *peers)
    restored(owner, *peers)
    owner.is_triggered("watch")
    owner.loads_of(D, D)
    assert owner.events()[-1].result is ReloadResult.HELD
    owner.is_asked_for(Set, OPERATOR, values={"k": "x"})
    owner.loads_of(B, C, layer=b"k")
    commits(owner, *peers)
    taken_back(owner, *peers)
    assert (owner.state, len(owner.did(fx.Load))) == (LOADING, 1)
    owner.loads_of(D, D)
    all_vote(owner, *peers, ok=False)
    assert owner.events()[-1].origin == "watch"


def test_what_was_refused_before_a_hold_is_not_loaded_after_it():
    owner, *peers = serving()
    opens(owner, *peers)
    owner.is_triggered("watch")
    owner.loads_of(D, D)
    all_vote(owner, *peers, ok=False)
    restored(owner, *peers)
    taken_back(owner, *peers)
    assert (owner.state, owner.did(fx.Load)) == (IDLE, [])


# ---- loads, and what they find


@pytest.mark.parametrize(("why", "told"), [("errors", "errors"), ("", "nobody confirmed it")])
def test_what_was_undone_is_refused_with_why(why: str, told: str):
    owner, *_ = serving(operator=OperatorState(unconfirmed=Unconfirmed(9, digest_of(B), why, B)))
    owner.is_triggered("watch")
    owner.loads_of(B, B)
    assert owner.events()[-1].problems == [Problem("", STILL_UNCONFIRMED.format(9, told))]


def test_what_no_worker_ran_is_refused_in_words():
    owner, *_ = serving(refused=B)
    owner.is_triggered("watch")
    owner.loads(B)
    assert owner.events()[-1].problems == [Problem("", STILL_REFUSED)]


def test_what_is_refused_no_more_is_nothing():
    owner, *_ = serving(refused=B)
    owner.is_triggered("watch")
    owner.loads(A)
    assert (owner.did(fx.ClearRefused), owner.core.refused) == ([fx.ClearRefused()], b"")


def test_the_values_that_a_check_gives_are_those_of_the_version():
    owner, *peers = serving()
    owner.is_triggered()
    owner.proposes(B)
    owner.feed(fx.Checked(owner.last_load, (), values=b"values"))
    all_vote(owner, *peers)
    assert owner.did(fx.Record)[0].values == b"values"


def test_a_first_load_that_finds_nothing_changed_is_impossible():
    owner = Owner(None)
    owner.is_triggered()
    with pytest.raises(ImpossibleMessage, match=r"Loaded.*LOADING, nothing committed$"):
        owner.feed(fx.Loaded(owner.last_load, A, A, differs=False))


def test_an_impossible_load_is_named():
    owner, *_ = serving()
    owner.is_triggered()
    number = owner.last_load
    owner.loads(B)
    with pytest.raises(ImpossibleMessage, match=r"Loaded.*STAGING$"):
        owner.feed(fx.Loaded(number, B, B, differs=True))


@pytest.mark.parametrize(("hangs", "who"), [("", "a source or a validator"), ("the command", "the command")])
def test_a_load_that_takes_too_long_says_what_hangs_and_the_second_one_ends_the_owner(hangs: str, who: str):
    owner, *_ = serving()
    text = f"load took longer than 10 s (load_timeout): {who} hangs; nothing was changed"
    for _ in range(2):
        owner.is_triggered()
        (wake,) = [each for each in owner.did(fx.WakeAt) if each.timer is fx.Timer.LOAD]
        owner.now = wake.when
        owner.forget().feed(fx.Wake(fx.Timer.LOAD, wake.token, hangs))
        assert owner.events()[-1].problems == [Problem("", text)]
        ends = owner.did(fx.Exit)
        owner.forget()
    assert ends == [fx.Exit("a load that was given up still runs, and holds up every further one")]


def test_a_window_that_has_ended_in_a_write_takes_back_what_was_written_at_once():
    owner, *peers = serving()
    opens(owner, *peers)
    owner.is_triggered()
    owner.loads(C)
    all_vote(owner, *peers)
    owner.waits_out(fx.Timer.CONFIRM)
    assert owner.state is RECORDING
    owner.forget().records()
    assert [record.payload for record in owner.did(fx.Record)] == [A]


def test_a_deadline_of_a_wait_that_is_over_is_dropped_but_for_one_that_nobody_waits_for():
    owner, *_ = serving()
    owner.feed(fx.Wake(fx.Timer.OBSERVERS, 999))
    assert not owner.core.dropped
    owner.feed(fx.Wake(fx.Timer.STAGE, 999))
    assert owner.core.dropped == {"deadline of a wait that is over": 1}


# ---- outcomes


def test_how_long_each_part_took():
    owner, *peers = serving()
    owner.now += 1.0
    call = owner.is_asked()
    owner.now += 1.0012345
    owner.loads(B)
    owner.now += 2.0
    all_vote(owner, *peers)
    owner.now += 3.0
    owner.records()
    owner.now += 4.0
    all_apply(owner, *peers)
    event = owner.answer(call)
    took = (event.load_ms, event.stage_ms, event.journal_ms, event.commit_ms, event.duration_ms)
    assert took == (pytest.approx(1001.234, abs=0.0011), 2000.0, 3000.0, 4000.0, pytest.approx(10001.234, abs=0.0011))
    assert event.load_ms == round(event.load_ms, 3) != round(event.load_ms)


def test_how_long_each_part_took_that_was_begun():
    owner, *peers = serving()
    owner.is_triggered()
    owner.now += 1.0
    owner.loads(B)
    owner.now += 2.0
    all_vote(owner, *peers, ok=False)
    event = owner.events()[-1]
    assert (event.load_ms, event.stage_ms, event.journal_ms, event.commit_ms) == (1000.0, 2000.0, 0.0, 0.0)
    owner.is_triggered()
    owner.now += 1.0
    owner.fails_to_load()
    event = owner.events()[-1]
    assert (event.load_ms, event.stage_ms, event.journal_ms, event.commit_ms) == (1000.0, 0.0, 0.0, 0.0)


def test_a_dry_run_has_the_notes_of_its_load():
    owner, *peers = serving()
    call = owner.is_asked_for(Check)
    owner.feed(fx.Loaded(owner.last_load, B, B, differs=True, notes=("a guard would trip",)))
    all_vote(owner, *peers)
    assert owner.answer(call).notes == ["a guard would trip"]


def test_what_is_on_trial_says_what_to_do_and_who_is_late():
    owner, (w1, w2, w3) = trying(3)
    call = owner.is_asked_for(Reload, OPERATOR, canary=ONE)
    owner.loads_of(B, B)
    all_vote(owner, w1, w2)
    owner.waits_out(fx.Timer.STAGE)
    owner.records()
    event = owner.answer(call)
    assert (event.error_message, event.previous_version) == (TO_DO.format(2), 1)
    assert [status.pid for status in event.lagging] == [w3.pid]


def test_a_refusal_that_comes_late_is_told_in_words():
    owner, *peers = serving()
    owner.is_triggered()
    owner.loads(B)
    commits(owner, *peers)
    owner.forget().receives(peers[0], Declined(2, (WHY, Problem("k", "bad"))))
    (event,) = owner.events()
    assert (event.origin, event.version, event.previous_version) == ("late", 2, 2)
    assert event.error_message == "\n".join(map(str, event.problems))
    assert "no" in event.error_message
    assert event.error_message.count("\n") == 1


def test_what_is_said_against_a_superseded_version_is_told_in_words():
    owner, w1, w2 = running()
    supersedes(owner, w1, w2)
    owner.forget()
    complains(owner, w1, 2)
    (event,) = owner.events()
    why = "worker 1 says that version 2 is unhealthy: the pool is empty"
    assert (event.problems, event.error_message, event.evidence) == ([Problem("", why)], why, [why])


def test_a_refusal_without_a_reason_is_one():
    owner, *peers = serving()
    owner.is_triggered()
    owner.loads(B)
    owner.receives(peers[0], Vote(owner.core.round, False))
    assert owner.events()[-1].problems == [Problem("", "refused without a reason", "worker 1")]


# ---- numbers


def test_a_lower_number_says_nothing_of_the_highest():
    numbers = Numbers(Committed(5, A, A), 0)
    numbers.seen(4, B)
    numbers.retire(5)
    assert numbers.for_the_same_content() == 5
    numbers.seen(5, B)
    assert numbers.for_the_same_content() == 6


# ---- probations


def test_version_0_is_not_judged():
    owner, w1, _ = running()
    owner.receives(w1, Unhealthy(0, "slow"))
    owner.receives(w1, Counts(0, 100, 100, 0))
    owner.receives(w1, Unhealthy(7, "slow"))
    assert owner.did(fx.Spoken) == []
    assert owner.core.dropped == {"judged a version that is not committed": 3}
    complains(owner, w1)
    assert owner.core.dropped.total() == 3


def test_words_do_not_end_a_window_without_a_probation():
    owner, *peers = serving()
    opens(owner, *peers)
    owner.forget()
    complains(owner, peers[0])
    assert (owner.state, owner.did(fx.Record)) == (IDLE, [])


def test_a_probation_may_be_shorter_than_a_second():
    owner, *peers = serving(probation=0.5)
    owner.is_triggered()
    owner.loads_of(B, B)
    all_vote(owner, *peers)
    assert owner.did(fx.Record)[0].operator.window.proves == owner.now + 0.5


def test_what_has_proved_itself_with_all_is_what_would_be_put_back_though_one_declines_it_later():
    owner, w1, _ = running()
    passes(owner)
    assert owner.core.fallback.committed.version == 2
    owner.receives(w1, Declined(2, (WHY,)))
    assert owner.core.fallback.committed.version == 2


def test_what_is_proven_is_provisional_no_longer():
    owner, *_ = running()
    assert owner.core.provisional_until == owner.now + 20.0
    passes(owner)
    assert owner.core.provisional_until == 0.0
