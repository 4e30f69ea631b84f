"""What commands say of what is provisional, and of what was undone: no owner here."""

from __future__ import annotations

import json
from typing import Any

import pytest

from confcast.cli import commands, history, overview, provisional, reload, status, versions
from confcast.cli.report import as_json, when
from confcast.errors import OwnerUnavailable, Problem
from confcast.wire.messages import Change, ReloadResult, VersionInfo, Who, WorkerStatus
from confcast.worker.client.status_data import without_clocks
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
    told = reload.report(
        event(ReloadResult.UNCHANGED, previous_version=7, confirm_by=DEADLINE), [], stats={"window": {"fallback": 7}}
    )
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
    assert "undone   in words" in status.report(OWNER, STATS, event(), [], undone="in words").text.splitlines()


def test_an_undo_that_took_back_what_the_sources_say_is_shown_as_their_refusal():
    told = status.report(OWNER, STATS, UNDONE, [])
    assert told.data["sources"] == "refused"
    assert f"         {UNDONE.problems[0]}" in told.text.splitlines()


# ---- a trial and a probation

SINCE = DEADLINE - 60
TRIAL = {
    "version": 8,
    "by": "worker",
    "size": "25%",
    "since": SINCE,
    "until": DEADLINE,
    "extended": False,
    "workers": [77, 78],
    "requests": 17,
    "min_requests": 50,
    "who": None,
    "reason": "",
}
TRIED = {**STATS, "provisional": "trial", "deadline": DEADLINE, "trial": TRIAL, "evidence": []}
ON_TRIAL = event(ReloadResult.ON_TRIAL, version=8, previous_version=7, changes=CHANGES)
ABOUT_TRIAL = (
    f"version 8 is on trial in workers 77, 78 since {when(SINCE)}, until {when(DEADLINE)}; 17 of 50 requests; "
    "`confcast confirm` commits it, `confcast rollback` takes it back"
)
DIED = "worker 77 was killed by signal 9, 3 s after it had version 7"
PROBATION = {**STATS, "provisional": "probation", "deadline": DEADLINE, "evidence": [DIED]}
PROBATION["probation"] = {"fallback": 6, "until": DEADLINE}


def test_a_reload_whose_version_is_on_trial_says_where_it_runs_and_what_to_type():
    told = reload.report(ON_TRIAL, [WorkerStatus(77, 8, "trial")], stats=TRIED)
    assert told.text.splitlines()[:4] == [
        "on_trial: version 8 is on trial, version 7 runs on (0.0 ms)",
        f"  {ABOUT_TRIAL}",
        "  `confcast wait 8` waits until it is good or gone",
        "  on trial: a: 2 -> 1",
    ]
    assert told.exit == 6
    unknown = reload.report(ON_TRIAL, [], stats={}).text.splitlines()
    assert unknown[1] == "  `confcast confirm 8` commits it, `confcast rollback` takes it back"


class Waits:
    """An owner that is asked how a version ended: not in time at first, while something new is provisional."""

    def __init__(self, *deadlines: float | None) -> None:
        self.deadlines, self.waited = list(deadlines), list[float]()

    def within(self, timeout, ask):
        return ask(timeout)

    def wait(self, version, *, timeout):
        self.waited.append(timeout)
        return event(ReloadResult.OWNER_UNAVAILABLE) if self.deadlines else event(version=version)

    def get_stats(self):
        if (deadline := self.deadlines.pop(0)) is None:
            raise OwnerUnavailable("it has ended")
        return {"deadline": deadline}


def test_what_is_waited_for_goes_on_from_the_trial_to_the_probation_after_it():
    owner = Waits(DEADLINE, DEADLINE + 20)
    assert reload.waited_for(owner, ON_TRIAL).version == 8
    first, second, third = owner.waited
    assert first == reload._UNDO_TAKES < second
    assert third == pytest.approx(second + 20, abs=5)


@pytest.mark.parametrize("deadline", [None, 0.0, -1.0])
def test_what_is_not_over_in_time_and_provisional_no_more_is_unknown(deadline):
    owner = Waits(deadline)
    assert reload.waited_for(owner, ON_TRIAL).result is ReloadResult.OWNER_UNAVAILABLE
    assert len(owner.waited) == 1


class Canaries:
    """An owner whose canaries have taken the version when it is asked for the second time."""

    def __init__(self, *workers: list[int]) -> None:
        self.taken = list(workers)

    def get_stats(self):
        return {**TRIED, "trial": {**TRIAL, "workers": self.taken.pop(0)}}

    def workers(self):
        return [WorkerStatus(77, 8, "trial")]


def test_canaries_have_a_moment_to_take_the_version_so_that_they_are_named(monkeypatch: pytest.MonkeyPatch):
    told = reload.outcome(Canaries([], [77]), ON_TRIAL)
    assert "version 8 is on trial in worker 77 since" in told.text
    monkeypatch.setattr(reload, "_MOMENT", -1.0)
    assert "version 8 is on trial in no worker yet since" in reload.outcome(Canaries([], [77]), ON_TRIAL).text


def test_status_shows_a_trial_in_workers_for_entities_and_the_second_time():
    told = status.report(OWNER, TRIED, ON_TRIAL, [])
    assert f"trial    {ABOUT_TRIAL}" in told.text.splitlines()
    assert (told.data["sources"], told.data["trial"]["requests"], told.data["provisional"]) == ("on trial", 17, "trial")
    of = {
        **TRIAL,
        "by": "entity",
        "extended": True,
        "who": {"uid": 0, "pid": 1, "command": ""},
        "reason": "a\x1b limit",
    }
    (sentence,) = provisional.told({**TRIED, "trial": of})
    assert sentence.startswith(f"version 8 is on trial for 25% of the entities since {when(SINCE)}, until ")
    assert f"{when(DEADLINE)}, the second time; " in sentence
    assert sentence.endswith("; asked for by root: a\\x1b limit")
    (alone,) = provisional.told({**TRIED, "trial": {**TRIAL, "workers": [77]}})
    assert "on trial in worker 77 since" in alone
    (nobody,) = provisional.told({**TRIED, "trial": {**TRIAL, "workers": []}})
    assert "on trial in no worker yet since" in nobody
    (many,) = provisional.told({**TRIED, "trial": {**TRIAL, "workers": list(range(1, 33))}})
    assert "in workers 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 22 more since" in many


def test_followed_requests_are_no_change_and_evidence_is():
    told = status.report(OWNER, TRIED, ON_TRIAL, []).data
    later = status.report(OWNER, {**TRIED, "trial": {**TRIAL, "requests": 18}}, ON_TRIAL, []).data
    worse = status.report(OWNER, {**TRIED, "evidence": [DIED]}, ON_TRIAL, []).data
    assert without_clocks(told) == without_clocks(later) != without_clocks(worse)


def test_status_shows_a_probation_and_what_speaks_against_the_version():
    told = status.report(OWNER, PROBATION, event(), [])
    sentence = (
        f"version 7 is on probation until {when(DEADLINE)}: if workers die of it, or speak against it, the content of "
        "version 6 is put back; `confcast confirm` ends that"
    )
    lines = told.text.splitlines()
    at = lines.index(f"probation {sentence}")
    assert lines[at + 1] == f"         {DIED}"
    assert (told.data["evidence"], told.data["probation"]["fallback"]) == ([DIED], 6)
    assert provisional.told({**PROBATION, "evidence": ["x"] * 12})[-1] == "  and 2 more"
    both = provisional.told({**OPEN, "probation": PROBATION["probation"]})
    assert [each.partition(" is ")[2][:9] for each in both] == ["to be con", "on probat"]


def test_status_counts_what_was_said_against_versions():
    told = status.report(OWNER, {**STATS, "spoken_against": {"unhealthy": 2, "death": 1, "x\x1b": 1}}, event(), [])
    counted = "workers that died (1), workers that said they were unhealthy (2), x\\x1b (1)"
    assert f"against  {counted}, of whatever version; the owner's log says more" in told.text.splitlines()
    assert "against" not in status.report(OWNER, STATS, event(), []).text


def test_versions_on_probation_are_not_good_yet():
    lines = versions.report(PROBATION, [kept(7, good=False), kept(6)]).text.splitlines()
    assert [line.partition("-  ")[2].strip() for line in lines[1:3]] == ["not yet", "yes"]
    assert lines[-1] == f"  {DIED}"


def test_history_lists_a_trial_once_with_its_number():
    goes_on = event(ReloadResult.ON_TRIAL, version=8, previous_version=7, origin="watch")
    longer = event(ReloadResult.ON_TRIAL, version=8, previous_version=7, evidence=["17 of 50 requests have ended"])
    found = history.entries([kept(7)], [longer, goes_on, ON_TRIAL, event()])
    assert "17 of 50 requests have ended" in history._line(found.pop(0))
    assert [(each.version, each.result, each.committed) for each in found] == [
        (8, "on_trial", False),
        (7, "success", True),
    ]
    assert history._line(found[0]).startswith("    8  ")
    assert history.report(TRIED, found).text.splitlines()[-1] == ABOUT_TRIAL


def test_the_screen_says_what_is_on_trial_and_last_what_waits_for_nobody():
    waits = {**APP, "deadline": DEADLINE, "provisional": "confirm", "trial": None}
    probation = {**waits, "name": "b", "provisional": "probation", "deadline": DEADLINE - 9}
    told = overview.report([probation, {**waits, "name": "a", "provisional": "trial", "trial": 8}], "", COMMANDS)
    lines = told.text.splitlines()
    at = lines.index(
        f"a: version 8 is on trial until {when(DEADLINE)}: type `confcast confirm --name app` to commit it"
    )
    assert lines[at + 1] == f"b: version 7 is on probation until {when(DEADLINE - 9)}"


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
    assert provisional.told(unchanged)[0].startswith(f"what is changed until {when(DEADLINE)} is undone then")
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
    assert "and 29 more may be undone: `confcast status` says which" in lines


@pytest.mark.parametrize("word", ["commit", "keep", "accept", "promote", "approve", "confrim"])
def test_what_people_type_for_it_is_answered_with_it(word):
    assert commands.no_such(word).endswith("did you mean `confcast confirm`?")
