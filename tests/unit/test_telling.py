"""What an owner tells its callers of an event."""

from __future__ import annotations

import logging

import pytest

from confcast.errors import Problem
from confcast.owner.telling import outcome, tell_the_log
from confcast.wire.messages import Change, ReloadEvent, ReloadResult, WorkerStatus


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


NOTE = "unchanged: your edit of `db.pool` (app.toml:3:8) is hidden by environment variable APP_DB__POOL"


@pytest.mark.parametrize(
    ("origin", "result", "changes", "level"),
    [
        ("watch", ReloadResult.UNCHANGED, [], logging.WARNING),
        ("command", ReloadResult.UNCHANGED, [], logging.WARNING),
        ("call", ReloadResult.UNCHANGED, [], logging.DEBUG),  # programs call in loops
        ("call", ReloadResult.SUCCESS, [Change("key", 1, 2)], logging.WARNING),
    ],
)
def test_a_note_is_a_line_of_its_own(
    origin: str, result: ReloadResult, changes: list[Change], level: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "confcast.owner")
    tell_the_log(ReloadEvent(timestamp=1.0, result=result, origin=origin, changes=changes, notes=[NOTE]))
    assert [(record.levelno, record.message) for record in caplog.records[1:]] == [(level, f"{origin}: {NOTE}")]


def test_why_workers_declined_is_told_once_beside_their_pids(caplog: pytest.LogCaptureFixture) -> None:
    reason = "app.toml:1:7: key: no"
    lagging = [WorkerStatus(pid, 1, "declined", reason) for pid in (17, 18)]
    problem = Problem("key", "no (worker 17 and 1 more)", "app.toml:1:7")
    event = ReloadEvent(
        timestamp=1.0,
        result=ReloadResult.PARTIAL,
        origin="late",
        version=2,
        problems=[problem],
        lagging=[*lagging, WorkerStatus(19, 1, "late", "did not answer within 2 s")],
    )
    tell_the_log(event)
    assert [record.message for record in caplog.records] == [
        "late: partial, version 2, but for 17: declined; 18: declined; 19: did not answer within 2 s",
        "late: app.toml:1:7: key: no (worker 17 and 1 more)",
    ]
