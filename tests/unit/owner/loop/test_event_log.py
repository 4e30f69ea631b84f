"""What an owner reports of an event to its callers and its log: as much as has room, and how much more there is."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from confcast.cli.check import refused
from confcast.cli.report import when
from confcast.config.loader import ConfigLoader
from confcast.errors import ConfigError, NotCarried, Problem, counted, first_of, more
from confcast.owner.core import effects as fx
from confcast.owner.core.machine import ProposalState
from confcast.owner.loop.bounded_answers import TOO_LONG, frame_of
from confcast.owner.loop.event_log import log_event
from confcast.owner.loop.shown_changes import shown_changes as first_changes
from confcast.wire.framing import Deframer
from confcast.wire.messages import (
    Change,
    Declined,
    Done,
    History,
    Message,
    Outcome,
    Refused,
    ReloadEvent,
    ReloadResult,
    Stats,
    VersionInfo,
    Versions,
    Vote,
    Workers,
    WorkerStatus,
    decode_to_worker,
)
from tests.core.world import scene
from tests.support.shell import Shell

LONG = "/" + "p" * 250


def many(count: int = 64_000) -> list[Problem]:
    return [Problem(f"d.{at:0230d}", "Input should be a valid integer", f"{LONG}:1:{at}") for at in range(count)]


PIDS = list(range(1, 40))


def event(**fields) -> ReloadEvent:
    return ReloadEvent(**{"timestamp": 1.0, "result": ReloadResult.SUCCESS, "version": 2, **fields})


# ---- problems and changes


def test_few_problems_are_reported_as_they_are():
    few = [Problem("a", "b", "c")] * 100
    assert first_of(few) == few
    assert first_of([]) == []


@pytest.mark.parametrize(
    "text", ["and , more", "and 0 more", "and 1,2 more", "and 01 more", f"and {'9' * 5000} more", "and \u0661 more"]
)
def test_what_another_process_sends_as_a_rest_is_a_text_unless_it_is_written_as_ours(text: str):
    """A worker's no is read in the owner, where an exception would end it."""
    assert [problem.message for problem in first_of([Problem("", text)])] == [first_of([Problem("k", text)])[0].message]
    assert counted([text]) == 1


def test_a_problem_of_a_key_stands_for_itself():
    told = [Problem("a", "and 5 more"), Problem("", "and 5 more", "app.toml:1:1")]
    assert first_of(told) == told


def test_a_key_that_reads_like_a_rest_is_one_key(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    changes = [Change(key, 1, 2) for key in ("a", "b", "c", "d", "e", "and 30 more")]
    log_event(ReloadEvent(timestamp=1.0, result=ReloadResult.SUCCESS, version=2, changes=changes))
    assert caplog.messages[0].endswith(": a, b, c, d, e and 1 more")


def test_of_many_the_first_hundred_are_reported_and_how_many_more_there_are():
    told = first_of(many())
    assert told == [*many(100), Problem("", "and 63,900 more")]
    assert first_of(told) == told
    assert first_of([*told, *told])[-1] == Problem("", "and 127,900 more")
    assert counted([problem.message for problem in told]) == 64_000


def test_the_log_says_which_file_has_changed_and_what_waits_for_a_restart(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    changes = [Change("number", 1, 2), Change("tls.key", "k.pem", "k.pem", "content changed")]
    log_event(event(origin="watch", changes=changes, pending=[Change("workers", 4, 8, "needs a restart")]))
    assert caplog.messages[0].endswith(": number, tls.key: content changed")
    assert caplog.messages[1] == "watch: waits for a full reload: workers"
    assert "8" not in caplog.messages[1]


def test_the_log_says_until_when_a_version_waits_and_why_one_was_undone(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    log_event(event(origin="command", changes=[Change("a", 1, 2)], confirm_by=2e9))
    assert caplog.messages[1] == f"command: what was good before is put back at {when(2e9)}, unless it is confirmed"
    caplog.clear()
    why = "nobody confirmed version 2 within 600 s"
    more_ = {"changes": [Change("a", 2, 1)], "evidence": (why,), "problems": [Problem("", f"{why}, so it is gone")]}
    log_event(event(result=ReloadResult.UNDONE, origin="undo", version=3, **more_))
    assert caplog.messages == ["undo: version 3 has what was good before: a", f"undo: {why}, so it is gone"]
    assert {record.levelname for record in caplog.records} == {"WARNING"}


def test_the_log_says_what_is_on_trial_once(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    tried = {"result": ReloadResult.ON_TRIAL, "origin": "call", "version": 3, "previous_version": 2}
    log_event(event(changes=[Change("a", 1, 2)], notes=["a note"], **tried))
    assert caplog.messages == ["call: version 3 is on trial, version 2 runs on: a", "call: a note"]
    caplog.clear()
    log_event(event(**tried))  # a program that reloads in a loop
    assert caplog.messages == []


def test_long_texts_are_cut_and_leave_less_room_for_others():
    told = first_of([Problem("k" * 10**6, "m" * 10**6, "l" * 10**6)] * 50)
    assert sum(len(str(problem)) for problem in told) < 200_000
    assert "1,000,000 characters" in told[0].message
    assert told[-1].message == more(50 - len(told) + 1)


def test_the_text_of_an_error_has_the_first_hundred_and_its_problems_all():
    for error in (ConfigError(many()), NotCarried(many())):
        assert len(error.problems) == 64_000
        assert str(error).splitlines()[-1] == "and 63,900 more"
        assert len(str(error).splitlines()) == 101


def test_of_many_changes_the_first_thousand_are_reported():
    changes = [Change(f"key{number}", 1, 2) for number in range(1001)]
    assert list(first_changes(changes[:1000])) == changes[:1000]
    assert first_changes(changes) == (*changes[:1000], Change("and 1 more", None, None))
    assert first_changes([Change("k" * 10**6, 1, 2)])[0].key == "k" * 1000 + "..."


@pytest.mark.parametrize("state", [ProposalState.STAGING, ProposalState.IDLE])
def test_of_a_worker_that_sends_thousands_of_reasons_the_first_are_reported(state: ProposalState):
    it = scene(state)
    reasons = tuple(many(5000))
    vote, declined = Vote(it.owner.core.round, False, reasons), Declined(it.owner.version, reasons)
    it.owner.receives(it.w1, vote if state is ProposalState.STAGING else declined)
    told = it.owner.events()[-1]
    assert len(told.problems) == 101
    assert told.problems[-1].message == "and 4,900 more"
    assert all(len(status.reason) <= 4000 for status in told.lagging)


def test_a_load_with_thousands_of_problems_leaves_a_short_event(shell: Shell, caplog: pytest.LogCaptureFixture):
    """Whatever it is that hands them to the core."""
    shell.turns(fx.Trigger("signal"), fx.LoadFailed(1, ReloadResult.VALIDATION_FAILED, tuple(many())))
    (told,) = shell.journal.events()
    assert (len(told.problems), told.problems[-1].message) == (101, "and 63,900 more")
    assert len((told.error_message or "").splitlines()) == 101
    assert len([record for record in caplog.records if "valid integer" in record.message]) == 100
    assert caplog.messages[-1] == "signal: and 63,900 more"


def test_a_file_with_thousands_of_problems_gives_a_short_report(tmp_path: Path):
    file = tmp_path / "app.json"
    file.write_text("{" + ", ".join(f'"k{number}": "x"' for number in range(1000)) + "}")
    with pytest.raises(ConfigError) as caught:
        ConfigLoader("tests.support.settings:Settings", file).load()
    assert len(caught.value.problems) >= 1000
    report = refused(caught.value.problems)
    assert len(report.text.splitlines()) == 101
    assert len(report.data["problems"]) == 101


def test_the_log_names_the_first_keys_and_counts_the_others(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    changes = [*(Change(f"k{number}", 1, 2) for number in range(1000)), Change("and 63,000 more", None, None)]
    log_event(event(changes=changes))
    assert caplog.messages[0].endswith(": k0, k1, k2, k3, k4 and 63,995 more")


def test_the_refusal_of_a_worker_that_does_not_lag_any_more_is_logged(caplog: pytest.LogCaptureFixture):
    log_event(event(problems=[Problem("", "no", "worker 7, earlier")]))
    assert [(each.levelname, each.getMessage()) for each in caplog.records][-1] == (
        "WARNING",
        "call: worker 7, earlier: no",
    )


# ---- answers


ANSWERS: list[Message] = [
    Outcome(7, event(changes=[Change(f"key{number}", 1, 2) for number in range(1000)])),
    Outcome(7, event(problems=many(100), error_message="x" * 9000)),
    Outcome(7, event(lagging=[WorkerStatus(pid, 1, "late", "r" * 4000) for pid in PIDS])),
    Outcome(7, event(applied=list(range(100_000, 120_000)))),
    History(7, [event(problems=many(100), applied=PIDS)] * 3),
    History(7, [event(applied=list(range(1_000, 1_100)))] * 100),
    Workers(7, [WorkerStatus(pid, 1, "late", "r" * 4000) for pid in PIDS]),
    Versions(7, [VersionInfo(number, 1.0, "d" * 32, "call", None, "r" * 500, True, True) for number in range(50)]),
    Outcome(7, event(changes=[Change("n", 2**70, object())])),
]


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_that_no_frame_has_room_for_becomes_one_that_has(answer, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("confcast.owner.loop.bounded_answers.MAX_FRAME", 5_000)
    given, whole = frame_of(answer)
    (body,) = Deframer(5_000).feed(given)
    shorter = decode_to_worker(body)
    assert not whole
    assert type(shorter) is type(answer)
    assert shorter.id == answer.id
    match shorter:
        case Outcome(_, told):
            assert (told.result, told.version) == (ReloadResult.SUCCESS, 2)
        case History(_, events):
            assert events
        case Versions(_, versions):
            assert [each.version for each in versions] == [0, 1, 2, 3, 4, 5]
        case Workers(_, workers):
            assert [worker.pid for worker in workers] == PIDS


def test_an_answer_with_room_is_given_whole():
    for answer in (*ANSWERS[:-1], Done(1), Stats(1, {"version": 2})):
        given, whole = frame_of(answer)
        (body,) = Deframer().feed(given)
        assert (decode_to_worker(body), whole) == (answer, True)


def test_an_answer_that_can_not_be_shortened_is_a_refusal_in_words():
    (body,) = Deframer().feed(frame_of(Stats(1, {"version": object()}))[0])
    assert decode_to_worker(body) == Refused(TOO_LONG, final=False)


# ---- the log


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
    log_event(ReloadEvent(timestamp=1.0, result=result, origin=origin, changes=changes, notes=[NOTE]))
    assert [(record.levelno, record.message) for record in caplog.records[1:]] == [(level, f"{origin}: {NOTE}")]


def test_why_workers_declined_is_reported_once_beside_their_pids(caplog: pytest.LogCaptureFixture) -> None:
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
    log_event(event)
    assert [record.message for record in caplog.records] == [
        "late: partial, version 2, but for 17: declined; 18: declined; 19: did not answer within 2 s",
        "late: app.toml:1:7: key: no (worker 17 and 1 more)",
    ]
