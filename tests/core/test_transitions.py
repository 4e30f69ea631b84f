"""The core reports its transitions to the function that it is given: each in one line, without any content."""

from __future__ import annotations

import sys
from typing import Any, get_args

import pytest

from confcast.errors import Problem
from confcast.owner.core import effects as fx
from confcast.owner.core import transitions
from confcast.owner.core.machine import ProposalState
from confcast.owner.core.members import Roster
from confcast.wire import messages as ms
from tests.core.world import B, Owner, scene

SECRET = "hunter2"
AT_REST = {
    *(fx.Received, fx.Send, fx.WakeAt),  # shown in words of their own
    *(fx.Recorded, fx.Accepted, fx.MasterGone, fx.Accept, fx.ClearRefused, ms.Goodbye),  # there is no field to show
    *(fx.RecordState, fx.NoteState),  # their fields have secrets
    fx.Exit,  # the log has the reason anyway
}
BY_THE_EVENT_LOOP = {*get_args(ms.Answer), *get_args(ms.Query), *get_args(ms.Question), ms.NewsRequest}


def reload_(owner: Owner) -> None:
    """Of one worker into version 2."""
    w1 = owner.has(1)
    owner.is_asked()
    owner.loads(B)
    owner.receives(w1, ms.Vote(1, True))
    owner.records()
    owner.receives(w1, ms.Applied(2))


def test_a_reload_as_the_log_has_it():
    lines: list[str] = []
    reload_(Owner(report=lines.append))
    commit = "WakeAt timer=barrier in=2s; owner->1 Commit round=1 version=2; WriteSnapshot version=2"
    event = "event=[result=success version=2]"
    close = f"RecordEvent {event}; Answer call=pipe2#1 {event}; owner->1 Settled version=2"
    assert lines == [
        "IDLE: 1->owner Hello role=replica version=1 => IDLE: AddMember pid=1; owner->1 Install version=1",
        "IDLE: 1->owner Applied version=1 => IDLE",
        "IDLE: 9002->owner Reload id=1 origin=call => LOADING: Load number=1 insist; WakeAt timer=load in=10s",
        "LOADING: Loaded number=1 differs=yes => STAGING: WakeAt timer=stage in=2s; owner->1 Prepare round=1",
        "STAGING: 1->owner Vote round=1 ok=yes => RECORDING: Record version=2",
        "RECORDING: Recorded => COMMITTING: " + commit,
        "COMMITTING: 1->owner Applied version=2 => COMMITTING: Accept",
        "COMMITTING: Accepted => IDLE: " + close,
    ]


def test_a_pipe_is_shown_as_its_process_before_it_ends():
    lines: list[str] = []
    owner = Owner(report=lines.append)
    w1 = owner.has(1)
    owner.loses_pipe(w1)
    owner.loses_pipe(w1)
    assert lines[-2:] == ["IDLE: PipeEnded 1 => IDLE", "IDLE: PipeEnded pipe1 => IDLE"]


def test_an_input_that_cant_occur_is_not_reported_but_raised():
    lines: list[str] = []
    owner = Owner(report=lines.append)
    with pytest.raises(Exception, match="Recorded"):
        owner.records()
    assert lines == []


def test_without_a_function_to_report_to_no_text_is_made():
    """Counted in calls of the module that makes texts, during a whole reload."""
    called: list[str] = []

    def count(frame: Any, event: str, argument: object) -> None:
        if event == "call":
            called.append(frame.f_code.co_filename)

    owner = Owner()
    sys.setprofile(count)
    try:
        reload_(owner)
    finally:
        sys.setprofile(None)
    assert any(name.endswith("core/machine.py") for name in called)
    assert [name for name in called if name.endswith("core/transitions.py") and "/src/" in name] == []


def test_every_input_effect_and_message_is_listed():
    kinds = {*get_args(fx.Input), *get_args(fx.Effect), *get_args(ms.ToOwner), *get_args(ms.ToWorker)}
    assert kinds - AT_REST - BY_THE_EVENT_LOOP == set(transitions.FIELDS) - {ms.ReloadEvent, ms.WorkerStatus}


@pytest.mark.parametrize("kind", transitions.FIELDS, ids=lambda kind: kind.__name__)
def test_a_listed_field_is_one_of_its_type(kind: Any):
    assert [f for f in transitions.FIELDS[kind] if f.rstrip("?") not in kind.__struct_fields__] == []


PROBLEMS = (Problem(SECRET, SECRET, SECRET),)
EVENT = ms.ReloadEvent(
    timestamp=0.0,
    result=ms.ReloadResult.PARTIAL,
    changes=[ms.Change(SECRET, SECRET, SECRET)],
    problems=list(PROBLEMS),
    error_message=SECRET,
    lagging=[ms.WorkerStatus(1, 1, "declined", SECRET)],
    notes=[SECRET],
)


@pytest.mark.parametrize(
    "data",
    [
        ms.Vote(1, False, PROBLEMS),
        ms.Declined(1, PROBLEMS),
        ms.Observed(1, 1, SECRET, waits_for=(SECRET,)),
        ms.Install(1, SECRET.encode(), SECRET.encode()),
        ms.Prepare(1, SECRET.encode(), SECRET.encode()),
        ms.Refused(SECRET, True, {SECRET: SECRET}),
        fx.Loaded(1, SECRET.encode(), SECRET.encode(), True, (ms.Change(SECRET, SECRET, SECRET),), (SECRET,)),
        fx.LoadFailed(1, ms.ReloadResult.IO_ERROR, PROBLEMS),
        fx.Wake(fx.Timer.LOAD, 1, SECRET),
        fx.RecordFailed(fx.RowState.ABSENT, PROBLEMS[0]),
        fx.Record(1, SECRET.encode(), SECRET.encode(), True, SECRET.encode()),
        fx.WriteSnapshot(1, SECRET.encode(), SECRET.encode()),
        fx.Answer((1, 1), EVENT),
        fx.RecordEvent(EVENT),
        fx.Exit(SECRET),
    ],
    ids=lambda data: type(data).__name__,
)
def test_no_content_is_shown(data: object):
    shown = transitions.text(data, Roster())
    assert shown.startswith(type(data).__name__)
    assert SECRET not in shown


def test_a_workers_text_stays_on_its_line_and_is_cut():
    """A function's name is what the worker says it is."""
    it = scene(ProposalState.STAGING)
    lines: list[str] = []
    it.owner.core._report = lines.append
    it.owner.receives(it.w1, ms.Working(1, "a\nb" + "x" * 10_000))
    assert lines[0].startswith("STAGING: 1->owner Working round=1 function='a\\nbxxx")
    assert len(lines[0]) < 300


def test_of_several_pipes_each_is_named_and_what_is_empty_is_left_out():
    roster = Roster()
    assert transitions.text(fx.Drained((1, 2)), roster) == "Drained pipe1,pipe2"
    assert transitions.text(ms.Working(3, ""), roster) == "Working round=3"
