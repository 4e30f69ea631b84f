"""What is told of a trial, a window and a probation, from what the core holds: no owner process here."""

from __future__ import annotations

import time

import pytest

from confcast import Canary
from confcast.owner.core.machine import Committed, Core, OperatorState, Rules, Window
from confcast.owner.core.operator_state import Trial
from confcast.owner.loop.core_clock import date_of
from confcast.owner.loop.provisional import provisional_of
from confcast.wire.messages import Counts, Who

NOW = time.monotonic()
WHO = Who(0, 7, "confcast")
TRIAL = Trial(4, b"four", canary=Canary("25%", min_requests=9), opened=NOW - 5, deadline=NOW + 55, who=WHO, reason="x")
WINDOW = Window(1, deadline=NOW + 60, opened=NOW - 1, who=WHO, reason="a port")
PROBATION = Window(1, proves=NOW + 20, opened=NOW)


def core(window: Window | None = None, trial: Trial | None = None) -> Core:
    operator = OperatorState(window=window, trial=trial)
    return Core(Rules(schema=b"schema"), committed=Committed(3, b"three", b"three"), operator=operator)


def near(date: float | None, when: float) -> bool:
    return date is not None and date == pytest.approx(date_of(when), abs=1.0)


def test_nothing_is_provisional_and_a_probation_that_is_over_is_none():
    for found in (provisional_of(core(), NOW), provisional_of(core(PROBATION), NOW + 21)):
        assert (found.kind, found.deadline, found.evidence) == ("", None, [])
        assert set(found.parts.values()) == {None}


def test_a_window_comes_before_the_probation_in_it():
    both = Window(1, deadline=NOW + 60, proves=NOW + 60, opened=NOW)
    found = provisional_of(core(both), NOW)
    assert found.kind == "confirm"
    assert near(found.deadline, NOW + 60)
    assert found.parts["window"]["fallback"] == found.parts["probation"]["fallback"] == 1
    assert provisional_of(core(WINDOW), NOW).parts["probation"] is None


def test_a_probation_is_told_with_what_speaks_against_the_version():
    it = core(PROBATION)
    it.evidence.spoke(3, 77, "no pool", NOW)
    found = provisional_of(it, NOW)
    assert (found.kind, found.evidence) == ("probation", ["worker 77 says that version 3 is unhealthy: no pool"])
    assert near(found.parts["probation"]["until"], NOW + 20)


def test_a_trial_comes_first_with_where_it_runs_and_its_requests():
    it = core(WINDOW, TRIAL)
    it.evidence.counted(4, 77, Counts(4, 17, 2))
    found = provisional_of(it, NOW)
    trial = found.parts["trial"]
    assert found.kind == "trial"
    assert near(found.deadline, NOW + 55)
    assert near(trial["since"], NOW - 5)
    assert {name: trial[name] for name in ("version", "by", "size", "extended", "workers")} == {
        "version": 4,
        "by": "worker",
        "size": "25%",
        "extended": False,
        "workers": [],
    }
    assert (trial["requests"], trial["failed"], trial["min_requests"], trial["reason"]) == (17, 2, 9, "x")
    assert trial["who"]["pid"] == 7
    assert found.parts["window"] is not None
