"""What a program is told of an owner's status."""

from __future__ import annotations

from typing import Any

import pytest

from confcast.texts import when
from confcast.wire.messages import ReloadEvent, ReloadResult
from confcast.worker.client import status_data


def event(result: ReloadResult = ReloadResult.SUCCESS, **fields: Any) -> ReloadEvent:
    return ReloadEvent(
        **{"timestamp": 1.0, "origin": "watch", "version": 7, "previous_version": 6, **fields}, result=result
    )


UNDONE = event(ReloadResult.UNDONE, origin="undo", evidence=["a worker died"])


@pytest.mark.parametrize(
    ("last", "state"),
    [
        (event(), "held"),
        (event(ReloadResult.HELD), "held"),
        (event(ReloadResult.VALIDATION_FAILED), "refused"),
        (event(ReloadResult.FILE_NOT_FOUND), "unreadable"),
        (None, "held"),
    ],
)
def test_sources_that_are_not_followed_are_not_said_to_be_applied(last: ReloadEvent | None, state: str) -> None:
    assert status_data.sources_state(last, {"held": {"version": 1}}) == state


def test_what_was_undone_is_told_while_what_was_put_back_for_it_runs() -> None:
    told = status_data.undone([UNDONE], 7, None)
    assert told == f"a worker died; what was good before was put back at {when(1.0)}"
    assert status_data.undone([UNDONE, event(version=6)], 7, UNDONE) == (
        f"{told}; `confcast resume` loads what the sources say"
    )
    assert status_data.undone([event(version=8), UNDONE], 8, UNDONE) == ""
    assert status_data.undone([event()], 7, None) == ""


def test_what_goes_on_by_itself_is_no_change() -> None:
    data = {"version": 7, "phase_seconds": 1.0, "trial": {"version": 8, "requests": 3}, "dropped": {"a vote": 1}}
    later = {**data, "phase_seconds": 2.0, "trial": {"version": 8, "requests": 9}, "dropped": {"a vote": 2}}
    assert status_data.without_clocks(data) == status_data.without_clocks(later)
    assert status_data.without_clocks(data) != status_data.without_clocks({**later, "version": 8})
