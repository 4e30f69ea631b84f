"""What an owner tells its callers of an event."""

from __future__ import annotations

import pytest

from confcast.owner.telling import outcome
from confcast.wire.messages import Change, ReloadEvent, ReloadResult


@pytest.mark.parametrize("room", [5_000, 50_000])
def test_changes_that_no_frame_has_room_for_are_left_out_of_the_answer(
    room: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is no reason to end: what was asked for is done."""
    monkeypatch.setattr("confcast.owner.telling.MAX_FRAME", room)
    changes = [Change(f"key{number}", 1, 2) for number in range(1000)]
    event = ReloadEvent(timestamp=1.0, result=ReloadResult.SUCCESS, version=2, changes=changes)

    answer = outcome(7, event)

    assert (answer.id, answer.event.result, answer.event.version) == (7, ReloadResult.SUCCESS, 2)
    assert answer.event.changes == ([] if room == 5_000 else changes)
    assert ("1000 changes are left out" in caplog.text) == (room == 5_000)
