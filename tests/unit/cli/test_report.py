"""What the command line says, from the answers that it received: no owner and no process here."""

from __future__ import annotations

import argparse
import json

import pytest

from confcast.cli import owners, reload, status, versions
from confcast.cli.owners import OwnerClient
from confcast.cli.report import ExitCode, as_json, caller_name, line, spoken, table, when
from confcast.errors import Problem
from confcast.wire.messages import Change, ReloadEvent, ReloadResult, Status, VersionInfo, Who, WorkerStatus

OWNER = OwnerClient("/run/confcast/control.sock", "app")
STATS = {
    "version": 7,
    "owner_pid": 40,
    "owner_restarts": 2,
    "total_reloads": 9,
    "successful_reloads": 6,
    "suppressed": 1,
    "failed_reloads": 2,
    "last_reload_time": None,
    "last_reload_result": None,
    "dropped": {"deadline of a wait that is over": 2},
}


def event(result: ReloadResult = ReloadResult.SUCCESS, **fields) -> ReloadEvent:
    return ReloadEvent(**{"timestamp": 1.0, "result": result, "version": 7, "previous_version": 6, **fields})


# ---- the table and its cells


def test_what_can_not_be_printed_shows_as_an_escape_on_one_line():
    assert line("a\nb\x1b[31mé\udcff") == "a\\nb\\x1b[31mé\\udcff"


def test_numbers_stand_to_the_right_and_no_line_ends_in_blanks():
    assert table(("PID", "WHY"), [(7, "x"), (4711, "")]) == [" PID  WHY", "   7  x", "4711"]


def test_a_table_without_rows_is_its_header():
    assert table(("PID", "WHY"), []) == ["PID  WHY"]


def test_json_has_every_field_and_takes_names_that_are_no_text():
    told = json.loads(as_json({"last": event(), "path": "a\udcffb"}))
    assert told["last"]["changes"] == []
    assert told["path"] == "a\\udcffb"


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("/srv/.venv/bin/python /srv/.venv/bin/confcast set …", "confcast set …"),
        ("/usr/bin/python3.11 -m confcast reload", "confcast reload"),
        ("/usr/bin/gunicorn app:application", "gunicorn app:application"),
        ("python -c import confcast", "python -c import confcast"),
        ("/usr/bin/python3", "python3"),
        ("pythonic.sh x", "pythonic.sh x"),
        ("", ""),
    ],
)
def test_a_command_is_shown_as_a_person_types_it(command, shown):
    assert spoken(command) == shown


def test_a_caller_is_the_user_and_for_whom_its_process_says_that_it_called():
    assert caller_name(0) == "root"
    assert caller_name(0, "admin token\x1b ops") == "root, for admin token\\x1b ops"


# ---- reload


@pytest.mark.parametrize(
    ("result", "code"),
    [
        (ReloadResult.SUCCESS, ExitCode.DONE),
        (ReloadResult.UNCHANGED, ExitCode.DONE),
        (ReloadResult.PARTIAL, ExitCode.NOT_BY_ALL),
        (ReloadResult.VALIDATION_FAILED, ExitCode.REFUSED),
        (ReloadResult.FILE_NOT_FOUND, ExitCode.REFUSED),
        (ReloadResult.IO_ERROR, ExitCode.REFUSED),
        (ReloadResult.REJECTED, ExitCode.REFUSED),
        (ReloadResult.HELD, ExitCode.REFUSED),
        (ReloadResult.UNDONE, ExitCode.REFUSED),
        (ReloadResult.CONFLICT, ExitCode.CONFLICT),
        (ReloadResult.OWNER_UNAVAILABLE, ExitCode.NO_OWNER),
    ],
)
def test_every_result_has_its_exit_code(result, code):
    assert reload.report(event(result), []).exit is code


@pytest.mark.parametrize(
    ("result", "code"),
    [
        (ReloadResult.SUCCESS, ExitCode.NOT_BY_ALL),
        (ReloadResult.UNCHANGED, ExitCode.NOT_BY_ALL),
        (ReloadResult.PARTIAL, ExitCode.NOT_BY_ALL),
        (ReloadResult.REJECTED, ExitCode.REFUSED),
    ],
)
def test_what_runs_but_not_in_every_worker_is_not_done(result, code):
    assert reload.report(event(result, lagging=[WorkerStatus(12, 6, "late")]), []).exit is code


def test_unchanged_says_that_a_worker_does_not_have_it():
    told = event(ReloadResult.UNCHANGED, previous_version=7, lagging=[WorkerStatus(12, 6, "late")])
    assert reload.report(told, []).text.splitlines()[0] == "unchanged: version 7, not in every worker (0.0 ms)"


def test_there_is_an_exit_code_for_every_result():
    for result in ReloadResult:
        assert reload.report(event(result), []).exit in ExitCode


def test_a_reload_shows_versions_changes_and_a_verdict_for_each_worker():
    told = event(changes=[Change("memory.total", 512, 4096)], duration_ms=3.25)
    workers = [WorkerStatus(11, 7, "current"), WorkerStatus(12, 6, "late", "stopped?")]
    assert reload.report(told, workers).text.splitlines() == [
        "success: version 6 -> 7 (3.2 ms)",
        "  memory.total: 512 -> 4096",
        "PID  VERSION  STATE    REASON",
        " 11        7  current",
        " 12        6  late     stopped?",
    ]


def test_a_reload_shows_what_the_values_do_not_and_what_waits_for_a_restart():
    told = event(
        changes=[Change("tls.key", "k.pem", "k.pem", "content changed"), Change("tls.ca", "a", "b")],
        pending=[Change("workers", 4, 8, "needs a restart: forked"), Change("token", "*", "*", "needs a restart")],
    )
    assert reload.report(told, []).text.splitlines()[1:5] == [
        "  tls.key: content changed",
        "  tls.ca: 'a' -> 'b'",
        "  waits for a full reload: workers: 4 -> 8 (needs a restart: forked)",
        "  waits for a full reload: token: needs a restart",
    ]
    shown = json.loads(as_json(reload.report(told, []).data))
    assert shown["changes"][0]["note"] == "content changed"
    assert shown["pending"][0] == {"key": "workers", "old": 4, "new": 8, "note": "needs a restart: forked"}


def test_status_shows_what_waits_for_a_restart():
    waits = [{"key": "workers", "old": 4, "new": 8, "note": "needs a restart"}, {"key": "x", "old": 1, "new": 2}]
    lines = status.report(OWNER, {**STATS, "pending": waits}, event(), []).text.splitlines()
    assert "pending  workers: 4 -> 8 (needs a restart), at the next full reload of the server" in lines
    assert "pending  x: 1 -> 2, at the next full reload of the server" in lines
    assert not [line for line in status.report(OWNER, STATS, event(), []).text.splitlines() if "pending" in line]


def test_status_shows_who_changed_it_last_and_what_the_sources_would_bring():
    many = [Change(f"k{number}", 1, 2) for number in range(12)]
    now = Status(version=7, since=1e9, origin="set", who=Who(0, 7, "x"), reason="load", disk="differs", differs=many)
    told = status.report(OWNER, STATS, event(ReloadResult.HELD), [], now)
    lines = told.text.splitlines()
    assert f"since    {when(1e9)}, set by root: load" in lines
    assert lines.count("         would change: k9: 1 -> 2") == 1
    assert "         and 2 more" in lines
    shown = json.loads(as_json(told.data))
    assert (shown["disk"], shown["since"], shown["who"]["uid"], len(shown["differs"])) == ("differs", 1e9, 0, 12)
    of_an_earlier_build = status.report(OWNER, STATS, event(ReloadResult.HELD), [])
    assert not [line for line in of_an_earlier_build.text.splitlines() if line.startswith(("since", "         would"))]


def test_a_reload_shows_which_edits_are_hidden():
    note = "unchanged: your edit of `db.pool` (app.toml:3:8) is hidden by override"
    told = event(ReloadResult.UNCHANGED, previous_version=7, notes=[note])
    assert reload.report(told, []).text.splitlines()[:2] == ["unchanged: version 7 (0.0 ms)", f"  {note}"]
    assert reload.report(told, []).data["notes"] == [note]
    assert f"         {note}" in status.report(OWNER, STATS, told, []).text.splitlines()


def test_a_refused_reload_shows_its_problems_and_says_that_nothing_changed():
    told = event(
        ReloadResult.REJECTED,
        version=6,
        changes=[Change("name", "a", "b")],
        problems=[Problem("name", "no", "app.toml:4:20")],
    )
    assert reload.report(told, []).text.splitlines() == [
        "rejected: nothing was changed, version 6 runs on (0.0 ms)",
        "  not applied: name: 'a' -> 'b'",
        "  app.toml:4:20: name: no",
        "no workers",
    ]


def test_an_unknown_outcome_claims_nothing():
    told = reload.report(event(ReloadResult.OWNER_UNAVAILABLE, version=0), [])
    assert told.text == "owner_unavailable: what became of it is unknown"


def test_the_outcome_names_a_worker_that_has_caught_up_since():
    late = WorkerStatus(12, 6, "late")
    told = reload.verdicts(event(lagging=[late]), [WorkerStatus(12, 7, "current"), WorkerStatus(11, 7, "current")])
    assert told == [WorkerStatus(11, 7, "current"), late]


def test_without_a_list_of_workers_the_outcome_is_what_is_known():
    told = reload.verdicts(event(applied=[12, 11]), None)
    assert told == [WorkerStatus(11, 7, "current"), WorkerStatus(12, 7, "current")]


# ---- status


def test_status_shows_version_owner_reloads_and_workers():
    told = status.report(OWNER, STATS, event(origin="watch", duration_ms=2.0), [WorkerStatus(11, 7, "current")])
    lines = told.text.splitlines()
    assert lines[:3] == [
        "version  7 of 'app', at /run/confcast/control.sock",
        "owner    process 40; restarts: 2",
        "reloads  9: 6 applied, 1 without a change, 2 refused",
    ]
    assert lines[3].startswith("last     success by watch, 19")
    assert lines[4:] == [
        "sources  applied: version 7 is what they said when they were last loaded",
        "PID  VERSION  STATE    REASON",
        " 11        7  current",
    ]
    assert told.exit is ExitCode.DONE


def test_status_shows_what_the_owner_waits_for_while_it_lasts():
    waits = [{"pid": 17, "function": "pkg.db:check", "seconds": 12.34}, {"pid": 18, "function": "", "seconds": 12.5}]
    stats = {**STATS, "phase": "staging", "phase_seconds": 12.5, "waits_for": waits}
    assert status.report(OWNER, stats, event(), []).text.splitlines()[5:8] == [
        "now      staging for 12.5 s",
        "         waits for process 17: pkg.db:check, for 12.3 s",
        "         waits for process 18, for 12.5 s",
    ]


def test_status_shows_who_refuses_what_is_committed():
    workers = [WorkerStatus(11, 7, "current"), WorkerStatus(12, 6, "declined", "no"), WorkerStatus(13, 6, "declined")]
    lines = status.report(OWNER, STATS, event(), workers).text.splitlines()
    assert lines[5] == "declined 2 workers keep an older version, for the reason below: 12, 13"
    lines = status.report(OWNER, STATS, event(), workers[:2]).text.splitlines()
    assert lines[5] == "declined 1 worker keeps an older version, for the reason below: 12"


def test_status_and_reload_show_whose_observers_have_failed():
    workers = [
        WorkerStatus(11, 7, "current", "", 1, "rebuild: ValueError: no\x1b[2J"),
        WorkerStatus(12, 7, "current", "", 3, "rebuild: KeyError"),
        WorkerStatus(13, 7, "current"),
    ]
    told = [
        "observers of 11 failed 1 time: rebuild: ValueError: no\\x1b[2J",
        "observers of 12 failed 3 times, the last time: rebuild: KeyError",
    ]
    for report in (status.report(OWNER, STATS, event(), workers), reload.report(event(), workers)):
        assert report.text.splitlines()[-2:] == told
        assert report.data["workers"] == workers


def test_status_shows_what_the_owner_has_lost_and_could_not_write():
    stats = {**STATS, "failures": {"snapshot file": 2, "journal lost": 1}}
    lines = status.report(OWNER, stats, event(), []).text.splitlines()
    assert lines[5] == "trouble  journal lost (1), snapshot file (2); the owner's log says more"


def test_status_shows_in_words_who_was_refused():
    stats = {**STATS, "refused": {"hello": 4, "a kind of tomorrow": 1}}
    lines = status.report(OWNER, stats, event(), []).text.splitlines()
    assert lines[5:7] == [
        "refused  4 times: a process with another schema, another name or another version of confcast",
        "refused  1 time: a kind of tomorrow",
    ]


@pytest.mark.parametrize(
    ("last", "state"),
    [
        (None, "unknown"),
        (event(), "applied"),
        (event(ReloadResult.UNCHANGED), "applied"),
        (event(ReloadResult.VALIDATION_FAILED), "refused"),
        (event(ReloadResult.REJECTED), "refused"),
        (event(ReloadResult.FILE_NOT_FOUND), "unreadable"),
    ],
)
def test_the_state_of_the_sources_is_what_the_last_load_found(last, state):
    assert status.report(OWNER, STATS, last, []).data["sources"] == state


@pytest.mark.parametrize(
    ("last", "words"),
    [
        (None, "unknown: the history has no load of them; `confcast reload` loads them now"),
        (event(), "applied: version 7 is what they said when they were last loaded"),
        (event(ReloadResult.REJECTED), "refused: version 7 stays in use, because of this:"),
        (event(ReloadResult.IO_ERROR), "unreadable: version 7 stays in use, because of this:"),
    ],
)
def test_status_says_what_the_state_of_the_sources_means(last, words):
    assert f"sources  {words}" in status.report(OWNER, STATS, last, []).text.splitlines()


def test_the_last_load_is_shown_once_and_what_was_dropped_to_programs_only():
    told = status.report(OWNER, STATS, event(origin="start"), [])
    assert "last_reload_time" not in told.data
    assert "last_reload_result" not in told.data
    assert told.data["last"].origin == "start"
    assert told.data["dropped"] == STATS["dropped"]
    assert "deadline" not in told.text


def test_status_shows_why_the_sources_were_refused():
    last = event(ReloadResult.VALIDATION_FAILED, problems=[Problem("name", "no", "app.toml:4:20")])
    assert "         app.toml:4:20: name: no" in status.report(OWNER, STATS, last, []).text.splitlines()


def test_what_was_held_and_conflicts_are_counted_as_what_they_are():
    lines = status.report(OWNER, {**STATS, "held_reloads": 2, "conflicts": 1}, event(), []).text.splitlines()
    assert "reloads  9: 6 applied, 1 without a change, 2 refused, 2 held; 1 conflict" in lines


def test_what_is_set_is_part_of_what_runs():
    set_ = {"key": "name", "value": "x", "since": 1.0, "expires": None, "who": None, "reason": ""}
    stats = {**STATS, "overrides": [{**set_, "applied": True, "needed": True}]}
    lines = status.report(OWNER, stats, event(), []).text.splitlines()
    said = "version 7 is what they said when they were last loaded, with what is set below"
    assert f"sources  applied: {said}" in lines


def test_versions_are_a_table_and_the_one_that_runs_is_marked():
    who = Who(4_000_000_000, 77, "deploy\x1b[2J " + "x" * 100)
    kept = [
        VersionInfo(12, 1.5, "d" * 32, "call", who, "a new limit", False, True),
        VersionInfo(7, 1.5, "e" * 32, "", None, "", True, True),
    ]
    told = versions.report({"version": 7}, kept)
    date = when(1.5)
    shown = "4000000000, process 77: deploy\\x1b[2J " + "x" * 28 + "…"
    assert [text.split("  ", 1)[0] for text in told.text.splitlines()] == ["", "", "*"]
    assert [" ".join(text.split()) for text in told.text.splitlines()] == [
        "VERSION WHEN ORIGIN WHO GOOD REASON",
        f"12 {date} call {shown} no a new limit",
        f"* 7 {date} ? - yes",
    ]
    assert told.exit is ExitCode.DONE
    assert json.loads(as_json(told.data))["versions"][0] == {
        "version": 12,
        "timestamp": 1.5,
        "digest": "d" * 32,
        "origin": "call",
        "who": {"uid": 4_000_000_000, "pid": 77, "command": who.command, "actor": ""},
        "reason": "a new limit",
        "good": False,
        "restorable": True,
    }


def test_versions_that_can_not_be_gone_back_to_are_counted():
    lost = VersionInfo(7, 1.5, "e" * 32, "watch", None, "", True, False)
    assert (
        versions.report({"version": 7}, [lost]).text.splitlines()[-1].startswith("1 version is of another schema, or")
    )
    assert (
        versions.report({"version": 7}, [lost, lost])
        .text.splitlines()[-1]
        .startswith("2 versions are of another schema, or")
    )
    assert versions.report({"version": 7}, []).text == "no version is kept"


def test_a_caller_whose_process_the_owner_does_not_see_is_told_as_that():
    unseen, gone = Who(4_000_000_000, 0), Who(4_000_000_000, 77)
    kept = [VersionInfo(number, 1.5, "d" * 32, "call", who, "", True, True) for number, who in ((2, unseen), (1, gone))]
    lines = versions.report({"version": 2}, kept).text.splitlines()
    assert "4000000000, in another pid namespace  yes" in lines[1]
    assert "4000000000, process 77 " in lines[2]


class _Reloads(OwnerClient):
    """An owner that commits version 3 between the first two answers."""

    asked = 0

    def get_stats(self):
        self.asked += 1
        return {"version": 2 if self.asked == 1 else 3}

    def versions(self, limit=None):
        return [VersionInfo(number, 1.5, "d" * 32, "call", None, "", True, True) for number in (3, 2)]


def test_a_reload_between_the_two_answers_does_not_mark_a_version_that_runs_no_more(monkeypatch: pytest.MonkeyPatch):
    owner = _Reloads("/run/confcast/control.sock", "app")
    monkeypatch.setattr(owners, "find", lambda options: owner)
    told = versions.run(argparse.Namespace(limit=None))
    assert told.data["version"] == 3
    assert told.text.splitlines()[1].split()[:2] == ["*", "3"]
