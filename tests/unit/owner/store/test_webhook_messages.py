"""What an event of the history is to webhooks: of which type, told once, and how large at the most."""

from __future__ import annotations

import functools
import json
from typing import Any

import pytest

from confcast.errors import Problem
from confcast.owner.store.handover import PAUSED
from confcast.owner.store.webhook_messages import LARGEST, Message, Told, messages
from confcast.wire.messages import Change, ReloadEvent, ReloadResult, Who, WorkerStatus


def event(result: str, version: int, before: int | None = None, origin: str = "call", **more: Any) -> ReloadEvent:
    before = version if before is None else before
    how = {"timestamp": 1700000000.25, "result": ReloadResult(result), "origin": origin}
    return ReloadEvent(**how, version=version, previous_version=before, **more)


def types(told: Told, *events: ReloadEvent) -> list[str]:
    found: list[str] = []
    for each in events:
        new, told = messages(each, told, "app", "web-3")
        found.append("+".join(message.event for message in new))
    return found


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (event("success", 2, 1), "settled"),
        (event("partial", 2, 1), "settled"),
        (event("success", 1, 0, "start"), "settled"),
        (event("success", 2, 1, "confirm"), "settled"),
        (event("success", 2, 1, "reissue"), "settled"),
        (event("success", 1, origin="confirm"), ""),
        (event("unchanged", 1), ""),
        (event("partial", 1, origin="late"), ""),
        *((event(each, 1), "refused") for each in ("validation_failed", "file_not_found", "io_error", "rejected")),
        (event("guarded", 1), "refused"),
        (event("validation_failed", 1, origin="rollback"), "refused"),
        (event("undone", 3, 2, "undo"), "undone"),
        (event("success", 3, 2, "rollback"), "settled+held"),
        (event("unchanged", 2, origin="rollback"), "held"),
        (event("success", 2, 1, "last_good"), "settled+held"),
        (event("held", 2), "held"),
        (event("on_trial", 3, 2), ""),
        (event("conflict", 2), ""),
        (event("owner_unavailable", 2), ""),
    ],
)
def test_an_event_is_of_these_types(given: ReloadEvent, expected: str) -> None:
    assert types(Told(given.previous_version), given) == [expected]


def test_a_version_is_told_once_also_where_its_owner_died_before_its_event() -> None:
    committed, restarted = event("success", 2, 1), event("unchanged", 2, origin="restart")
    assert types(Told(1), committed, restarted, restarted) == ["settled", "", ""]
    assert types(Told(1), restarted, restarted) == ["settled", ""]
    assert types(Told(1), event("validation_failed", 2, origin="restart"), restarted) == ["refused", "settled"]
    assert types(Told(1), event("undone", 3, 2), event("unchanged", 3, origin="restart")) == ["undone", ""]
    assert types(Told(), event("unchanged", 7, origin="start")) == [""], "what ran before there were webhooks"


def test_what_is_held_back_is_told_once_for_each_change() -> None:
    one, other = [Change("a", 1, 2)], [Change("a", 1, 3)]
    gone_back = event("success", 3, 2, "rollback")
    held = [event("held", 3, changes=one), event("held", 3, changes=one), event("held", 3, changes=other)]
    assert types(Told(2), gone_back, *held) == ["settled+held", "held", "", "held"]
    again = event("success", 4, 3, "rollback")
    assert types(Told(3), held[0], again, event("held", 4, changes=one)) == ["held", "settled+held", "held"]


def test_what_a_paused_owner_refuses_is_told_by_the_next_generation() -> None:
    given = event("validation_failed", 1, problems=[Problem("", PAUSED)])
    assert messages(given, Told(1), "app", "web-3", PAUSED) == ([], Told(1))


def only(given: ReloadEvent, host: str = "web-3") -> Message:
    ((message,), _) = messages(given, Told(1), "app", host)
    return message


def test_a_body_has_what_the_history_has() -> None:
    given = event(
        "partial",
        2,
        1,
        changes=[Change("pool.size", 10, 20), Change("names", ["a"], None)],
        lagging=[WorkerStatus(7, 1, "late", "no answer")],
        who=Who(1000, 4711, "confcast admin", "deploy"),
        reason="more room",
        problems=[Problem("a", "b", "app.toml:1:1", "the line of the file")],
    )
    told = json.loads(only(given).body)
    assert (told["type"], told["timestamp"]) == ("confcast.settled", "2023-11-14T22:13:20.250Z")
    data = told["data"]
    assert (data["name"], data["host"], data["version"], data["previous_version"]) == ("app", "web-3", 2, 1)
    assert data["changes"][0] == {"key": "pool.size", "old": 10, "new": 20, "note": ""}
    assert data["changes"][1]["old"] == ["a"]
    assert data["lagging"][0]["pid"] == 7
    assert data["who"] == {"uid": 1000, "pid": 4711, "command": "confcast admin", "actor": "deploy"}
    assert data["problems"] == [{"key": "a", "message": "b", "location": "app.toml:1:1"}]
    assert set(data) == {*ReloadEvent.__struct_fields__, "name", "host", "cut"} - {"dry_run"}


def test_an_id_is_the_same_whenever_it_is_made_and_another_one_for_all_else() -> None:
    given, later = event("success", 2, 1), event("success", 3, 1)
    assert only(given).id == only(given).id
    assert len({only(given).id, only(later).id, only(given, "web-4").id}) == 3
    assert only(given).id.startswith("msg_")
    assert "." not in only(given).id, "a point ends it in what is signed"


LONG = "x" * 100_000
FIELDS = ("changes", "problems", "notes", "evidence", "pending", "applied", "lagging", "reason", "error_message", "who")


@functools.cache  # 10 MB, which only the process that runs the tests below needs
def many() -> dict[str, Any]:
    return {
        "changes": [Change(f"key{number}.{LONG}", LONG, {"a": [LONG]}) for number in range(100)],
        "problems": [Problem(LONG, LONG, LONG) for _ in range(100)],
        "notes": [LONG] * 1000,
        "evidence": [LONG] * 1000,
        "pending": [Change("k", LONG, LONG)] * 1000,
        "applied": list(range(10_000)),
        "lagging": [WorkerStatus(number, 1, "late", LONG, 3, LONG) for number in range(1000)],
        "reason": LONG,
        "error_message": LONG,
        "who": Who(1, 2, LONG),
    }


@pytest.mark.parametrize("field", [*FIELDS, "all"])
def test_a_body_is_small_whatever_the_event_has(field: str) -> None:
    more = many() if field == "all" else {field: many()[field]}
    body = only(event("success", 2, 1, **more)).body
    assert len(body) <= LARGEST
    cut = json.loads(body)["data"]["cut"]
    assert cut == [name for name in ReloadEvent.__struct_fields__ if isinstance(more.get(name), list)]


def test_a_value_that_no_json_has_is_sent_as_its_text() -> None:
    changes = [Change("a", float("nan"), b"\xff"), Change("b", {None: 2}, {1: 2})]
    body = only(event("success", 2, 1, changes=changes)).body
    told = json.loads(body)["data"]["changes"]
    assert (told[0]["old"], told[0]["new"]) == (None, "/w==")
    assert (told[1]["old"], told[1]["new"]) == ("{None: 2}", {"1": 2})
