"""Which events say what became of the sources' content."""

from __future__ import annotations

import pytest

from confcast.wire.load_events import last_load, last_word
from confcast.wire.messages import ReloadEvent, ReloadResult


def event(origin: str, result: ReloadResult = ReloadResult.SUCCESS) -> ReloadEvent:
    return ReloadEvent(timestamp=1.0, result=result, origin=origin)


@pytest.mark.parametrize("origin", ["start", "watch", "signal", "call", "command", "resume"])
def test_a_load_of_the_sources_is_one(origin: str):
    assert last_load([event("rollback"), event(origin), event("start", ReloadResult.REJECTED)]) == event(origin)


@pytest.mark.parametrize("origin", ["reissue", "late", "rollback", "expiry", "set", "unset"])
def test_what_is_no_load_of_the_sources_is_not_taken_for_one(origin: str):
    assert last_load([event(origin), event("watch", ReloadResult.HELD)]) == event("watch", ReloadResult.HELD)


def test_a_call_that_came_too_late_loaded_nothing():
    assert last_load([event("call", ReloadResult.CONFLICT)]) is None


DEADLINE = 2e9
UNDONE = ReloadEvent(timestamp=1.0, result=ReloadResult.UNDONE, origin="undo", version=7, previous_version=6)
CALLED_OFF = ReloadEvent(timestamp=1.0, result=ReloadResult.REJECTED, version=6, previous_version=6)


def inside(version: int, origin: str = "call", result: ReloadResult = ReloadResult.SUCCESS) -> ReloadEvent:
    before = version - 1 if result is ReloadResult.SUCCESS else version
    return ReloadEvent(
        timestamp=1.0, result=result, origin=origin, version=version, previous_version=before, confirm_by=DEADLINE
    )


@pytest.mark.parametrize(
    ("earlier", "taken_back"),
    [
        ([inside(6)], True),
        ([inside(6, "set")], False),
        ([inside(6, "watch"), inside(5, "set")], True),
        ([CALLED_OFF, inside(6)], True),
        ([inside(6, "set"), event("watch")], False),
    ],
    ids=["a load", "a value", "a load after a value", "a refusal after a load", "a load before the window"],
)
def test_an_undo_that_took_back_what_the_sources_say_is_the_last_that_is_known_of_them(
    earlier: list[ReloadEvent], taken_back: bool
):
    assert (last_load([UNDONE, *earlier]) is UNDONE) is taken_back


def test_a_load_that_found_nothing_changed_is_what_is_known_after_the_undo_of_a_value():
    unchanged = inside(6, "watch", ReloadResult.UNCHANGED)
    assert last_load([UNDONE, unchanged, inside(6, "set")]) is unchanged


ON_TRIAL = ReloadEvent(timestamp=1.0, result=ReloadResult.ON_TRIAL, origin="watch", version=6, previous_version=5)


def test_a_load_whose_version_is_on_trial_is_the_last_until_that_is_undone():
    load = event("start")
    assert last_load([ON_TRIAL, load]) is ON_TRIAL
    assert last_load([UNDONE, ON_TRIAL, load]) is UNDONE
    assert last_load([UNDONE, event("set", ReloadResult.ON_TRIAL), load]) is load


def test_an_undo_of_a_value_leaves_what_a_trial_before_it_has_committed():
    committed = ReloadEvent(timestamp=1.0, result=ReloadResult.SUCCESS, origin="watch", version=6, previous_version=5)
    value = ReloadEvent(timestamp=1.0, result=ReloadResult.SUCCESS, origin="set", version=7, previous_version=6)
    undone = ReloadEvent(timestamp=1.0, result=ReloadResult.UNDONE, origin="undo", version=8, previous_version=7)
    assert last_load([undone, value, committed, ON_TRIAL]) is committed


def test_an_undo_of_the_version_of_a_load_on_probation_is_the_last():
    committed = ReloadEvent(timestamp=1.0, result=ReloadResult.SUCCESS, origin="watch", version=6, previous_version=5)
    assert last_load([UNDONE, committed, event("start")]) is UNDONE


def test_a_confirmation_that_commits_what_a_load_brought_is_the_last():
    committed = ReloadEvent(timestamp=1.0, result=ReloadResult.SUCCESS, origin="confirm", version=6, previous_version=5)
    assert last_load([event("set"), committed, ON_TRIAL, event("start")]) is committed
    of_a_value = ReloadEvent(timestamp=1.0, result=ReloadResult.ON_TRIAL, origin="set", version=6, previous_version=5)
    assert last_load([committed, of_a_value, event("start")]) == event("start")


def test_an_undo_is_the_last_word_if_the_owner_says_that_the_sources_are_refused():
    load = event("watch")
    assert last_word([event("set"), UNDONE, event("set"), load], refused=True) is UNDONE
    assert last_word([event("set"), UNDONE, event("set"), load], refused=False) is load
    still = event("call", ReloadResult.REJECTED)
    assert last_word([still, UNDONE, load], refused=True) is still
    assert last_word([load], refused=True) is load
