"""What commands say of a version that is to be confirmed, and of one that nobody confirmed: no owner here."""

from __future__ import annotations

import json
from typing import Any

import pytest

from confcast.cli import commands, history, overview, reload, status, versions, window
from confcast.cli.report import as_json, when
from confcast.errors import Problem
from confcast.wire.messages import Change, ReloadResult, VersionInfo, Who, WorkerStatus
from tests.unit.cli.test_overview import APP, COMMANDS
from tests.unit.cli.test_report import OWNER, STATS, event

DEADLINE = 2e9
OPEN = {
    **STATS,
    "provisional": "confirm",
    "deadline": DEADLINE,
    "window": {"fallback": 5, "since": 1e9, "who": {"uid": 0, "pid": 9, "command": "confcast"}, "reason": "a\x1b port"},
}
SENTENCE = (
    f"version 7 is to be confirmed: else the content of version 5 is put back at {when(DEADLINE)}; "
    "`confcast confirm` keeps it; asked for by root: a\\x1b port"
)
EVIDENCE = "nobody confirmed version 6 within 600 s"
PROBLEMS = [Problem("", f"{EVIDENCE}, so the content of version 5 has been put back")]
CHANGES = [Change("a", 2, 1)]
UNDONE = event(ReloadResult.UNDONE, origin="undo", evidence=[EVIDENCE], problems=PROBLEMS, changes=CHANGES)


def kept(version: int, **others: Any) -> VersionInfo:
    given: dict[str, Any] = {"timestamp": 1.0, "digest": "d", "origin": "call", "who": None, "reason": ""}
    return VersionInfo(version=version, **{**given, "good": True, "restorable": True, **others})


# ---- reload, set, confirm and wait


def test_a_reload_with_a_window_says_until_when_and_how_to_keep_it():
    told = reload.report(event(confirm_by=DEADLINE, changes=[Change("a", 1, 2)]), [WorkerStatus(11, 7, "current")])
    assert told.text.splitlines()[:3] == [
        "success: version 6 -> 7 (0.0 ms)",
        f"  what was good before is put back at {when(DEADLINE)}, unless it is confirmed: `confcast confirm 7`",
        "  a: 1 -> 2",
    ]
    assert (told.exit, told.data["confirm_by"]) == (0, DEADLINE)


def test_a_window_on_what_was_good_before_says_that_nothing_that_runs_is_undone():
    told = reload.report(event(ReloadResult.UNCHANGED, previous_version=7, confirm_by=DEADLINE), [], runs_good=True)
    assert told.text.splitlines()[1:3] == [
        "  version 7 counts as good, and stays: its content was loaded before this command",
        f"  what is changed until {when(DEADLINE)} is undone then, unless you type `confcast confirm`",
    ]


def test_an_undo_says_what_was_put_back_and_why_and_its_changes_were_made():
    told = reload.report(UNDONE, [])
    assert told.text.splitlines()[:3] == [
        "undone: version 6 -> 7, what was good before has been put back (0.0 ms)",
        "  a: 2 -> 1",
        f"  {PROBLEMS[0]}",
    ]
    assert (told.exit, json.loads(as_json(told.data))["evidence"]) == (1, [EVIDENCE])


@pytest.mark.parametrize("result", [ReloadResult.UNCHANGED, ReloadResult.SUCCESS])
def test_a_confirmation_says_what_stays(result):
    told = reload.report(event(result, origin="confirm", previous_version=7), [])
    assert told.text.splitlines()[0] == f"{result}: version 7 is confirmed, and stays (0.0 ms)"
    assert told.exit == 0


def test_a_confirmation_that_is_too_late_is_a_conflict():
    told = reload.report(event(ReloadResult.CONFLICT, origin="confirm", previous_version=7), [])
    assert told.text.startswith("conflict: nothing was changed, version 7 runs on")
    assert told.exit == 5


# ---- status


def test_status_shows_an_open_window_and_programs_get_its_parts():
    told = status.report(OWNER, OPEN, event(confirm_by=DEADLINE), [])
    assert f"confirm  {SENTENCE}" in told.text.splitlines()
    assert (told.data["provisional"], told.data["deadline"]) == ("confirm", DEADLINE)
    assert told.data["window"]["fallback"] == 5
    closed = status.report(OWNER, STATS, event(), [])
    assert "confirm" not in closed.text
    assert (closed.data["provisional"], closed.data["deadline"], closed.data["window"]) == ("", None, None)


def test_status_shows_what_nobody_confirmed_while_what_was_put_back_runs():
    undone = window.undone([UNDONE], 7)
    assert undone == f"{EVIDENCE}; what was good before was put back at {when(1.0)}"
    loaded = event(version=6, previous_version=5, confirm_by=DEADLINE)
    assert window.undone([UNDONE, loaded], 7) == f"{undone}; `confcast resume` loads what the sources say"
    assert f"undone   {undone}" in status.report(OWNER, STATS, event(), [], undone=undone).text.splitlines()
    assert window.undone([event(version=8), UNDONE], 8) == ""
    assert window.undone([event()], 7) == ""


def test_an_undo_that_took_back_what_the_sources_say_is_shown_as_their_refusal():
    told = status.report(OWNER, STATS, UNDONE, [])
    assert told.data["sources"] == "refused"
    assert f"         {UNDONE.problems[0]}" in told.text.splitlines()


# ---- versions and history


def test_versions_that_wait_are_not_good_yet_and_the_last_line_says_until_when():
    told = versions.report(OPEN, [kept(7, good=False), kept(6, good=False), kept(5), kept(4, good=False)])
    lines = told.text.splitlines()
    assert [line.partition("-  ")[2].strip() for line in lines[1:5]] == ["not yet", "not yet", "yes", "no"]
    assert lines[5] == SENTENCE
    assert told.data["deadline"] == DEADLINE


def test_history_shows_an_undo_as_the_version_that_it_made_and_why():
    opened = event(version=6, previous_version=5, confirm_by=DEADLINE, reason="a port", changes=[Change("a", 1, 2)])
    found = history.entries([kept(7, origin="undo"), kept(6, good=False)], [UNDONE, opened])
    assert [(each.version, each.result, each.committed, each.good) for each in found] == [
        (7, "undone", True, True),
        (6, "success", True, False),
    ]
    _, first, second = history.report(STATS, found).text.splitlines()
    assert first.startswith("*  7  ")
    assert first.endswith(f"{EVIDENCE}: a: 2 -> 1")
    assert second.endswith(f"a port: a: 1 -> 2 (to be confirmed by {when(DEADLINE)})")
    assert f"undone (undo)  {EVIDENCE}: a: 2 -> 1" in history._line(found[0])
    (confirmed,) = history.entries([kept(6)], [opened])
    assert "to be confirmed" not in history._line(confirmed)


def test_a_window_in_which_nothing_has_changed_is_told_as_that():
    unchanged = {**OPEN, "window": {**OPEN["window"], "fallback": 7}}
    assert window.opened(unchanged).startswith(f"what is changed until {when(DEADLINE)} is undone then; `confcast con")
    ended = event(ReloadResult.UNCHANGED, origin="undo", previous_version=7, evidence=[EVIDENCE])
    (found,) = history.entries([], [ended])
    assert history._row(found, 7)[-1] == EVIDENCE


def test_history_lists_a_confirmation_and_says_what_is_open():
    confirmed = event(ReloadResult.UNCHANGED, origin="confirm", previous_version=7, who=Who(0, 9), reason="it works")
    (found,) = history.entries([], [confirmed])
    assert (found.committed, found.origin, found.reason) == (False, "confirm", "it works")
    told = history.report(OPEN, [found])
    assert told.text.splitlines()[-1] == SENTENCE
    assert told.data["provisional"] == "confirm"


# ---- `confcast` alone


def test_the_screen_shows_what_waits_first_with_what_to_type():
    told = overview.report([APP, {**APP, "name": "shop", "choose": "--pid 20", "deadline": DEADLINE}], "", COMMANDS)
    line = f"shop: version 7 is undone at {when(DEADLINE)} unless you type `confcast confirm --pid 20`"
    assert line in told.text.splitlines()
    assert "confcast confirm " in told.text
    many = [{**APP, "deadline": DEADLINE + number} for number in range(30)]
    lines = overview.report(many, "", COMMANDS).text.splitlines()
    assert len(lines) == 23
    assert "and 29 more wait for `confcast confirm`" in lines


@pytest.mark.parametrize("word", ["commit", "keep", "accept", "promote", "approve", "confrim"])
def test_what_people_type_for_it_is_answered_with_it(word):
    assert commands.no_such(word).endswith("did you mean `confcast confirm`?")
