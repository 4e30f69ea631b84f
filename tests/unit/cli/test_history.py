"""Versions and refusals as one list, and what it says, from what an owner has answered: no owner here."""

from __future__ import annotations

import json

from confcast.cli import history
from confcast.cli.history import Entry, entries, report
from confcast.cli.report import as_json
from confcast.errors import Problem
from confcast.wire.messages import Change, ReloadEvent, ReloadResult, VersionInfo, Who


def event(version: int, result: ReloadResult = ReloadResult.SUCCESS, **others) -> ReloadEvent:
    before = version - 1 if result in (ReloadResult.SUCCESS, ReloadResult.PARTIAL) else version
    return ReloadEvent(
        **{"timestamp": 10.0 * version, "result": result, "version": version, "previous_version": before, **others}
    )


def kept(version: int, **others) -> VersionInfo:
    given = {"timestamp": 10.0 * version + 1, "digest": "d", "origin": "watch", "who": None, "reason": ""}
    return VersionInfo(version=version, **{**given, "good": True, "restorable": True, **others})


def told(found: list[Entry]) -> list[tuple[int, str]]:
    return [(each.version, "-" if each.result is None else each.result) for each in found]


def test_a_version_has_the_changes_of_its_event_and_a_refusal_stands_between() -> None:
    refused = event(2, ReloadResult.VALIDATION_FAILED, problems=[Problem("a", "is wrong", "app.toml:1:5")])
    changed = event(3, changes=[Change("a", 1, 2)])
    found = entries([kept(3), kept(2), kept(1)], [changed, refused, event(2), event(1)])
    assert told(found) == [(3, "success"), (2, "validation_failed"), (2, "success"), (1, "success")]
    assert [each.committed for each in found] == [True, False, True, True]
    assert (found[0].timestamp, found[0].changes, found[0].good) == (31.0, [Change("a", 1, 2)], True)
    assert (found[1].good, found[1].timestamp) == (None, 20.0)


def test_a_version_without_its_event_stands_where_its_number_belongs() -> None:
    found = entries([kept(5), kept(4), kept(3), kept(2), kept(1)], [event(4), event(2, ReloadResult.REJECTED)])
    assert told(found) == [(5, "-"), (4, "success"), (3, "-"), (2, "rejected"), (2, "-"), (1, "-")]


def test_the_event_of_a_version_that_is_not_kept_any_more_stays() -> None:
    assert told(entries([kept(9)], [event(9), event(8)])) == [(9, "success"), (8, "success")]


def test_what_changed_nothing_is_left_out_but_for_what_a_person_did() -> None:
    unchanged = [
        event(3, ReloadResult.UNCHANGED, origin=each) for each in ("call", "watch", "rollback", "resume", "start")
    ]
    found = entries([], [*unchanged, event(3, ReloadResult.HELD), event(3, ReloadResult.CONFLICT)])
    assert [(each.origin, each.result) for each in found] == [
        ("rollback", "unchanged"),
        ("resume", "unchanged"),
        ("call", "held"),
        ("call", "conflict"),
    ]


def test_what_waits_for_a_full_reload_is_told_with_what_came_of_it_and_once() -> None:
    four, eight = ([Change("workers", 2, number, "needs a restart: forked")] for number in (4, 8))
    unchanged = [event(2, ReloadResult.UNCHANGED, origin="watch", pending=each) for each in (eight, four, four)]
    found = entries([], [*unchanged, event(2, pending=four, changes=[Change("a", 1, 2)]), event(1)])
    assert [(each.committed, each.pending) for each in found] == [(False, eight), (True, four), (True, [])]
    text = report({"version": 2}, found).text
    assert "waits for a full reload: workers: 2 -> 8 (needs a restart: forked)" in text
    assert "a: 1 -> 2; waits for a full reload: workers: 2 -> 4 (needs a restart: forked)" in text


def test_a_start_on_the_last_good_version_is_listed_also_where_it_is_what_was_committed_last() -> None:
    found = entries([], [event(3, ReloadResult.UNCHANGED, origin="last_good")])
    assert [each.origin for each in found] == ["last_good"]
    assert report({"version": 3}, found).text.endswith("the server started on version 3")


def test_a_worker_that_declines_later_is_listed() -> None:
    late = event(3, ReloadResult.PARTIAL, origin="late", previous_version=3, problems=[Problem("", "no: worker 7")])
    (found,) = entries([], [late])
    assert (found.committed, found.origin) == (False, "late")


def test_the_report_marks_what_runs_and_says_why_what_and_who() -> None:
    changes = [Change(name, 1, 2) for name in "abcde"]
    found = entries(
        [kept(3, who=Who(0, 0, ""), reason="load"), kept(2)],
        [
            event(3, changes=changes, who=Who(0, 0, ""), reason="load"),
            event(2, ReloadResult.REJECTED, problems=[Problem("", "not today\x1b[2J")]),
            event(2),
        ],
    )
    head, first, second, third = report({"version": 3}, found).text.splitlines()
    assert head.split() == ["VERSION", "WHEN", "RESULT", "ORIGIN", "WHO", "WHAT"]
    assert first.startswith("*  3  ")
    assert first.endswith("load: a: 1 -> 2; b: 1 -> 2; c: 1 -> 2; and 2 more")
    assert second.split()[0] == "-"
    assert second.endswith("not today\\x1b[2J")
    assert third.split()[0] == "2"
    data = json.loads(as_json(report({"version": 3}, found).data))
    assert [each["result"] for each in data["history"]] == ["success", "rejected", "success"]
    assert data["history"][0]["who"]["uid"] == 0


def test_an_empty_history_says_so() -> None:
    assert report({"version": 1}, []).text == "the history is empty"


def test_followed_lines_begin_with_the_oldest() -> None:
    found = entries([], [event(3), event(2)])
    lines = [each.text for each in history.followed(found, iter(entries([], [event(4)]))).more or ()]
    assert [line.split()[0] for line in lines] == ["2", "3", "4"]
    assert lines[0].endswith("  success (call)")


def test_of_events_those_are_new_that_stand_before_the_newest_one_that_was_seen() -> None:
    events = [event(4), event(3), event(2)]
    assert history._before([event(3)], events) == [event(4)]
    assert history._before([event(9)], events) == events  # it was dropped, or the history was emptied
    assert history._before([], events) == events
