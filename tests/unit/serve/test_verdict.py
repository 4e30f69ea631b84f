"""What `systemctl status` shows in one line: what runs first, then what holds, then what became of the last change."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

import pytest

from confcast.errors import Problem
from confcast.serve import verdict
from confcast.wire.messages import Change, Held, ReloadEvent, ReloadResult, Status

NOON = datetime(2026, 11, 29, 12, 0, 0).timestamp()
THEN = "2026-11-29 12:00:00"
PROBLEMS = [Problem("greeting", "too long", "app.toml:1:12"), Problem("number", "too high")]


def event(result: ReloadResult, **others: Any) -> ReloadEvent:
    return ReloadEvent(timestamp=NOON, result=result, origin="signal", version=4, previous_version=3, **others)


EVENTS = [
    (event(ReloadResult.SUCCESS), f"serving version 4; signal at {THEN}: success"),
    (event(ReloadResult.UNCHANGED), f"serving version 4; signal at {THEN}: unchanged"),
    (event(ReloadResult.PARTIAL), f"serving version 4; signal at {THEN}: applied, not in every worker"),
    (event(ReloadResult.HELD), f"serving version 4; signal at {THEN}: held"),
    (event(ReloadResult.ON_TRIAL), f"serving version 3; signal at {THEN}: version 4 is on trial"),
    (event(ReloadResult.OWNER_UNAVAILABLE), verdict.UNKNOWN),
    (
        event(ReloadResult.VALIDATION_FAILED, problems=PROBLEMS),
        f"serving version 4; signal at {THEN}: refused (validation_failed): {PROBLEMS[0]} (and 1 more)",
    ),
    (
        event(ReloadResult.REJECTED, error_message="worker 7 says no"),
        f"serving version 4; signal at {THEN}: refused (rejected): worker 7 says no",
    ),
    (event(ReloadResult.IO_ERROR), f"serving version 4; signal at {THEN}: refused (io_error): no reason is known"),
    (
        event(ReloadResult.UNDONE, evidence=["2 workers died"]),
        f"serving version 4; signal at {THEN}: version 3 was undone: 2 workers died",
    ),
    (
        event(ReloadResult.SUCCESS, confirm_by=NOON),
        f"serving version 4; undone at {THEN} unless it is confirmed; signal at {THEN}: success",
    ),
]


@pytest.mark.parametrize(
    ("happened", "line"), EVENTS, ids=lambda each: getattr(getattr(each, "result", None), "name", "")
)
def test_each_event_has_its_line(happened: ReloadEvent, line: str) -> None:
    assert verdict.of_event(happened) == line


def test_every_result_has_a_line() -> None:
    assert {each.result for each, _ in EVENTS} >= set(ReloadResult) - {
        ReloadResult.CONFLICT,
        ReloadResult.GUARDED,
        ReloadResult.FILE_NOT_FOUND,
    }
    for result in ReloadResult:
        assert verdict.of_event(event(result))


NEWEST = event(ReloadResult.SUCCESS)
REFUSED = event(ReloadResult.VALIDATION_FAILED, problems=PROBLEMS[:1])
LAST = f"signal at {THEN}: success"


@pytest.mark.parametrize(
    ("status", "newest", "line"),
    [
        (Status(version=4), None, "serving version 4"),
        (Status(version=4), NEWEST, f"serving version 4; {LAST}"),
        (
            Status(version=4, held=Held(2, NOON)),
            NEWEST,
            f"serving version 4; held since {THEN}: the sources are not followed until `confcast resume`; {LAST}",
        ),
        (
            Status(version=4, held=Held(2, NOON, boot=True), disk="refused", problems=["no such file"]),
            NEWEST,
            f"serving version 4, the last good one; what the sources say is refused: no such file; {LAST}",
        ),
        (
            Status(version=4, disk="refused", problems=["app.toml:1:12: greeting: too long"]),
            REFUSED,
            f"serving version 4; signal at {THEN}: refused (validation_failed): app.toml:1:12: greeting: too long",
        ),
        (Status(version=4, provisional="trial"), NEWEST, f"serving version 4; a version is on trial; {LAST}"),
        (
            Status(version=4, provisional="confirm", deadline=NOON),
            NEWEST,
            f"serving version 4; undone at {THEN} unless it is confirmed; {LAST}",
        ),
        (
            Status(version=4, pending=[Change("port", 1, 2)]),
            NEWEST,
            f"serving version 4; 1 change waits for a full reload; {LAST}",
        ),
    ],
)
def test_each_state_has_its_line(status: Status, newest: ReloadEvent | None, line: str) -> None:
    assert verdict.of_status(status, newest) == line


def test_it_is_the_same_line_by_an_event_and_by_the_state_after_it() -> None:
    """So that a reload's verdict is not told twice."""
    for happened, line in EVENTS[:3]:
        assert verdict.of_status(Status(version=happened.version), happened) == line
    assert time.localtime(NOON).tm_hour == 12
