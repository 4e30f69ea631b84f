"""Which events say what became of the sources' content."""

from __future__ import annotations

import pytest

from confcast.wire.load_events import last_load
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
