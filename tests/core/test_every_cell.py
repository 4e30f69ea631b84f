"""Both tables of the protocol, whole: what every input does in every state, a word for each cell.

`test_owner_table.py` and `test_worker_table.py` say why; here no cell can be missing. A cell says the state that
follows, if it is another one, and the kinds of effects in their order; `-` is an input that is dropped, or only
noted; `impossible` is an error of the shell's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import pytest

from confcast.errors import ImpossibleMessage
from confcast.owner.core import effects as fx
from confcast.owner.core.machine import ProposalState as OwnerState
from confcast.owner.loop import queries, questions
from confcast.wire.canary import Canary
from confcast.wire.messages import (
    Abort,
    Applied,
    Check,
    Commit,
    Configuration,
    Confirm,
    Counts,
    Declined,
    Described,
    Differences,
    Done,
    Explained,
    Goodbye,
    Hello,
    History,
    Install,
    Measured,
    News,
    NewsRequest,
    Observe,
    Observed,
    OnTrial,
    Outcome,
    Prepare,
    Provisional,
    Refused,
    Reload,
    ReloadEvent,
    ReloadResult,
    Resume,
    Rollback,
    Set,
    Settled,
    Shown,
    Stats,
    ToOwner,
    ToWorker,
    Tried,
    Try,
    Unhealthy,
    Unset,
    Versions,
    Vote,
    Workers,
    Working,
)
from confcast.worker.connection.machine import ReplicaState as WorkerState
from confcast.worker.connection.machine import Reply
from tests.core.test_worker_table import HATED, ROUND, worker_in
from tests.core.world import WHY, A, B, C, Owner, Scene, hello, scene

# ---- the owner's: IDLE, LOADING, STAGING, RECORDING, COMMITTING

WAITS = ("load", "stage", "barrier", "undo", "deferred")
OWNER: dict[str, list[str]] = {
    "Reload": ["→LOADING Load WakeAt", "-", "-", "-", "-"],
    "Reload, and another version runs": ["RecordEvent Answer", "-", "-", "-", "-"],
    "Check": ["→LOADING Load WakeAt", "-", "-", "-", "-"],
    "Rollback": ["→LOADING Restore", "-", "-", "-", "-"],
    "Rollback, and another version runs": ["RecordEvent Answer", "-", "-", "-", "-"],
    "Set": ["→LOADING Load WakeAt", "-", "-", "-", "-"],
    "Set, and another version runs": ["RecordEvent Answer", "-", "-", "-", "-"],
    "Unset": ["→LOADING Load WakeAt", "-", "-", "-", "-"],
    "Unset, and another version runs": ["RecordEvent Answer", "-", "-", "-", "-"],
    "Resume": ["→LOADING Load WakeAt", "-", "-", "-", "-"],
    "Resume, and another version runs": ["RecordEvent Answer", "-", "-", "-", "-"],
    "Confirm": ["RecordEvent Answer", "-", "-", "-", "-"],
    "Trigger": ["→LOADING Load WakeAt", "-", "-", "-", "-"],
    "Loaded, of another load": ["-"] * 5,
    "LoadFailed, of another load": ["-"] * 5,
    "Loaded, nothing differs": [
        "-",
        "→IDLE WakeAt Accept RecordEvent Answer Settled",
        "impossible",
        "impossible",
        "impossible",
    ],
    "Loaded, something differs": ["-", "→STAGING WakeAt Prepare", "impossible", "impossible", "impossible"],
    "Loaded, unchecked": ["-", "→STAGING WakeAt Prepare", "impossible", "impossible", "impossible"],
    "Checked": ["-", "-", "-", "-", "-"],
    "Checked, of another load": ["-"] * 5,
    "Checked, and not exact": ["-", "-", "→IDLE RecordEvent Answer Abort", "-", "-"],
    "LoadFailed": ["-", "→IDLE RecordEvent Answer", "impossible", "impossible", "impossible"],
    "Wake, load": ["-", "→IDLE RecordEvent Answer", "-", "-", "-"],
    "Wake, stage": ["-", "-", "→IDLE RecordEvent Answer Install", "-", "-"],
    "Wake, barrier": ["-", "-", "-", "-", "→IDLE Accept RecordEvent Answer"],
    "Wake, undo": ["-"] * 5,
    **{f"Wake, {timer}, of a wait that is over": ["-"] * 5 for timer in WAITS},
    "Wake, gather": ["Gathered"] * 5,
    "Wake, deferred": ["-"] * 5,
    "Wake, observers": ["-"] * 5,
    "Wake, expiry": ["-"] * 5,
    "Wake, confirm": ["-"] * 5,
    "Wake, proven": ["-"] * 5,
    "Working": ["-"] * 5,
    "Vote, yes": ["-"] * 5,
    "Vote, no": ["-", "-", "→IDLE RecordEvent Answer Abort", "-", "-"],
    "Vote, of another round": ["-"] * 5,
    "Recorded": ["impossible", "impossible", "impossible", "→COMMITTING WakeAt Commit WriteSnapshot", "impossible"],
    "RecordFailed, there": [
        "impossible",
        "impossible",
        "impossible",
        "→COMMITTING WakeAt Commit WriteSnapshot",
        "impossible",
    ],
    "RecordFailed, not there": [
        "impossible",
        "impossible",
        "impossible",
        "→IDLE Retire RecordEvent Answer Abort",
        "impossible",
    ],
    "RecordFailed, unreadable": ["impossible", "impossible", "impossible", "Exit", "impossible"],
    "Accepted": ["impossible", "impossible", "impossible", "impossible", "-"],
    "Hello": ["AddMember Install", "AddMember Install", "AddMember Install Prepare", "AddMember", "AddMember Install"],
    "Hello, of a client": ["-"] * 5,
    "Hello, on a new pipe": [
        "ClosePipe AddMember Install",
        "ClosePipe AddMember Install",
        "ClosePipe AddMember Install Prepare",
        "ClosePipe AddMember",
        "ClosePipe AddMember Install",
    ],
    "Hello, once more": ["ClosePipe"] * 5,
    "Hello, other schema": ["Refused ClosePipe"] * 5,
    "Hello, other protocol": ["Refused ClosePipe"] * 5,
    "Applied": ["-"] * 5,
    "Applied, another version": ["-"] * 5,
    "Declined": ["RecordEvent", "RecordEvent", "RecordEvent", "RecordEvent", "-"],
    "Declined, another version": ["-"] * 5,
    "Observed": ["-"] * 5,
    "Tried": ["-"] * 5,
    "Tried, another version": ["-"] * 5,
    "Wake, trial": ["-"] * 5,
    "Observed, which a caller waits for": ["Answer"] * 5,
    "Drained": ["-"] * 5,
    "PipeEnded": ["-"] * 5,
    "ProcessGone": ["RemoveMember"] * 5,
    "ProcessGone, and it failed": ["RemoveMember Spoken"] * 5,
    "Unhealthy": ["Spoken"] * 5,
    "Unhealthy, another version": ["-"] * 5,
    "Counts": ["-"] * 5,
    "Counts, another version": ["-"] * 5,
    "Probed": ["Spoken"] * 5,
    "Probed, another version": ["-"] * 5,
    "Goodbye": ["ClosePipe RemoveMember"] * 5,
    "HandsOver": ["-"] * 5,
    "MasterGone": ["Exit", "Answer Exit", "Answer Exit", "-", "Answer Exit"],
}


def fed(given: fx.Input) -> Callable[[Scene], None]:
    return lambda it: it.owner.feed(given)


def said(make: Callable[[Scene], Any]) -> Callable[[Scene], None]:
    """By the first of the two workers."""
    return lambda it: it.owner.receives(it.w1, make(it))


def connected(pid: int = 3, *held: Any, **other: Any) -> Callable[[Scene], Any]:
    return lambda it: it.owner.meets(pid, *held, **other)


def woken(timer: fx.Timer) -> Callable[[Scene], None]:
    """By the deadline of the last such wait, or of one that never was."""

    def wake(it: Scene) -> None:
        asked = any(isinstance(effect, fx.WakeAt) and effect.timer is timer for effect in it.owner.all)
        it.owner.waits_out(timer) if asked else it.owner.feed(fx.Wake(timer, 0))

    return wake


def expecting_another(kind: type, **asked: Any) -> Callable[[Scene], Any]:
    return lambda it: it.owner.is_asked_for(kind, expect=44, **asked)


def on_trial_or_committed(it: Scene) -> int:
    trial = it.owner.core.operator.trial
    return it.owner.version if trial is None else trial.version


COMES: dict[str, tuple[type, Callable[[Scene], Any]]] = {
    "Reload": (Reload, lambda it: it.owner.is_asked()),
    **{
        f"{kind.__name__}, and another version runs": (kind, expecting_another(kind, **asked))
        for kind, asked in (
            (Reload, {}),
            (Rollback, {}),
            (Set, {"values": {"k": "x"}}),
            (Unset, {"keys": ()}),
            (Resume, {}),
        )
    },
    "Check": (Check, lambda it: it.owner.is_asked_for(Check)),
    "Rollback": (Rollback, lambda it: it.owner.is_asked_for(Rollback)),
    "Set": (Set, lambda it: it.owner.is_asked_for(Set, values={"k": "x"})),
    "Unset": (Unset, lambda it: it.owner.is_asked_for(Unset, keys=("k",))),
    "Resume": (Resume, lambda it: it.owner.is_asked_for(Resume)),
    "Confirm": (Confirm, lambda it: it.owner.is_asked_for(Confirm)),
    "Trigger": (fx.Trigger, fed(fx.Trigger("signal"))),
    "Loaded, of another load": (fx.Loaded, fed(fx.Loaded(77, C, C, differs=True))),
    "LoadFailed, of another load": (fx.LoadFailed, fed(fx.LoadFailed(77, ReloadResult.IO_ERROR, ()))),
    "Loaded, nothing differs": (fx.Loaded, fed(fx.Loaded(1, A, A, differs=False))),
    "Loaded, something differs": (fx.Loaded, fed(fx.Loaded(1, C, C, differs=True))),
    "Loaded, unchecked": (fx.Loaded, fed(fx.Loaded(1, C, C, differs=True, checked=False))),
    "Checked": (fx.Checked, fed(fx.Checked(1))),
    "Checked, of another load": (fx.Checked, fed(fx.Checked(77))),
    "Checked, and not exact": (fx.Checked, fed(fx.Checked(1, problems=(WHY,)))),
    "LoadFailed": (fx.LoadFailed, fed(fx.LoadFailed(1, ReloadResult.IO_ERROR, (WHY,)))),
    "Wake, load": (fx.Wake, woken(fx.Timer.LOAD)),
    "Wake, stage": (fx.Wake, woken(fx.Timer.STAGE)),
    "Wake, barrier": (fx.Wake, woken(fx.Timer.BARRIER)),
    "Wake, gather": (fx.Wake, fed(fx.Wake(fx.Timer.GATHER, 0))),
    "Wake, deferred": (fx.Wake, woken(fx.Timer.DEFERRED)),
    "Wake, undo": (fx.Wake, woken(fx.Timer.UNDO)),
    **{f"Wake, {timer}, of a wait that is over": (fx.Wake, fed(fx.Wake(fx.Timer(timer), -1))) for timer in WAITS},
    "Wake, observers": (fx.Wake, fed(fx.Wake(fx.Timer.OBSERVERS, -1))),
    "Wake, expiry": (fx.Wake, fed(fx.Wake(fx.Timer.EXPIRY, -1))),
    "Wake, confirm": (fx.Wake, fed(fx.Wake(fx.Timer.CONFIRM, -1))),
    "Wake, proven": (fx.Wake, fed(fx.Wake(fx.Timer.PROVEN, -1))),
    "Working": (Working, said(lambda it: Working(it.owner.core.round, "app:check"))),
    "Vote, yes": (Vote, said(lambda it: Vote(it.owner.core.round, True))),
    "Vote, no": (Vote, said(lambda it: Vote(it.owner.core.round, False))),
    "Vote, of another round": (Vote, said(lambda it: Vote(55, True))),
    "Recorded": (fx.Recorded, fed(fx.Recorded())),
    "RecordFailed, there": (fx.RecordFailed, fed(fx.RecordFailed(fx.RowState.PRESENT, WHY))),
    "RecordFailed, not there": (fx.RecordFailed, fed(fx.RecordFailed(fx.RowState.ABSENT, WHY))),
    "RecordFailed, unreadable": (fx.RecordFailed, fed(fx.RecordFailed(fx.RowState.UNREADABLE, WHY))),
    "Accepted": (fx.Accepted, fed(fx.Accepted())),
    "Hello": (Hello, connected()),
    "Hello, of a client": (Hello, connected(role="client")),
    "Hello, on a new pipe": (Hello, connected(1, 1, A)),
    "Hello, once more": (Hello, said(lambda it: hello(1, 1, A))),
    "Hello, other schema": (Hello, connected(schema=b"?")),
    "Hello, other protocol": (Hello, connected(protocol=99)),
    "Applied": (Applied, said(lambda it: Applied(it.owner.version))),
    "Applied, another version": (Applied, said(lambda it: Applied(44))),
    "Declined": (Declined, said(lambda it: Declined(it.owner.version))),
    "Declined, another version": (Declined, said(lambda it: Declined(44))),
    "Tried": (Tried, said(lambda it: Tried(on_trial_or_committed(it)))),
    "Tried, another version": (Tried, said(lambda it: Tried(44))),
    "Wake, trial": (fx.Wake, fed(fx.Wake(fx.Timer.TRIAL, -1))),
    "Observed": (Observed, said(lambda it: Observed(0, 1, "reload_pool: ValueError"))),
    "Observed, which a caller waits for": (Observed, said(lambda it: Observed(it.owner.observes(it.w1)))),
    "Drained": (fx.Drained, lambda it: it.owner.feed(fx.Drained((it.w1.pipe,)))),
    "PipeEnded": (fx.PipeEnded, lambda it: it.owner.loses_pipe(it.w1)),
    "ProcessGone": (fx.ProcessGone, lambda it: it.owner.loses(it.w1)),
    "ProcessGone, and it failed": (fx.ProcessGone, fed(fx.ProcessGone(1, "was killed by signal 9"))),
    "Unhealthy": (Unhealthy, said(lambda it: Unhealthy(it.owner.version, "the pool is empty"))),
    "Unhealthy, another version": (Unhealthy, said(lambda it: Unhealthy(44, "the pool is empty"))),
    "Counts": (Counts, said(lambda it: Counts(it.owner.version, 100, 100))),
    "Counts, another version": (Counts, said(lambda it: Counts(44, 100, 100))),
    "Probed": (fx.Probed, lambda it: it.owner.feed(fx.Probed(it.owner.version, "GET /health gave 503"))),
    "Probed, another version": (fx.Probed, fed(fx.Probed(44, "GET /health gave 503"))),
    "Goodbye": (Goodbye, said(lambda it: Goodbye())),
    "HandsOver": (fx.HandsOver, fed(fx.HandsOver(on=True))),
    "MasterGone": (fx.MasterGone, fed(fx.MasterGone())),
}


@pytest.mark.parametrize("state", OwnerState, ids=lambda state: state.name)
@pytest.mark.parametrize("name", OWNER)
def test_the_owners_cell(name: str, state: OwnerState):
    it = scene(state, waiting=name == "Observed, which a caller waits for")
    try:
        COMES[name][1](it)
    except ImpossibleMessage:
        found = "impossible"
    else:
        effects = [effect.message if isinstance(effect, fx.Send) else effect for effect in it.owner.log]
        found = cell(state, it.owner.state, effects)
    assert found == OWNER[name][state.value]


ON_TRIAL = {  # where it differs from IDLE
    "Rollback": "→RECORDING Record",
    "Set": "→RECORDING Record",
    "Unset": "→RECORDING Record",
    "Resume": "→RECORDING Record",
    "Confirm": "→STAGING WakeAt Prepare",
    "Loaded, nothing differs": "impossible",
    "Loaded, something differs": "impossible",
    "Loaded, unchecked": "impossible",
    "LoadFailed": "impossible",
    "ProcessGone, and it failed": "→RECORDING RemoveMember Spoken Record",
    "HandsOver": "→RECORDING Record",
}


def scene_on_trial() -> Scene:
    """B is on trial as version 2 beside A; the first worker is its canary, and has it."""
    owner = Owner(canary=Canary(1))
    it = Scene(owner, *(owner.meets(pid, 1, A, trial=0) for pid in (1, 2)))
    it.both_send(Applied(1))
    owner.is_triggered()
    owner.loads(B)
    it.both_send(Vote(1, True))
    owner.records()
    owner.receives(it.w1, Tried(2))
    owner.forget()
    return it


@pytest.mark.parametrize("name", sorted(OWNER.keys() - {"Observed, which a caller waits for"}))
def test_the_owners_cell_while_a_version_is_on_trial(name: str):
    it = scene_on_trial()
    try:
        COMES[name][1](it)
    except ImpossibleMessage:
        found = "impossible"
    else:
        effects = [effect.message if isinstance(effect, fx.Send) else effect for effect in it.owner.log]
        found = cell(OwnerState.IDLE, it.owner.state, effects)
    assert found == ON_TRIAL.get(name, OWNER[name][OwnerState.IDLE.value])


def test_no_input_of_the_owners_is_missing():
    by_the_shell = {
        fx.Received,
        *queries.QUERIES,
        *questions.QUESTIONS,
        NewsRequest,
    }  # a frame's envelope, and what the shell answers by itself
    assert {kind for kind, _ in COMES.values()} == {*get_args(fx.Input), *get_args(ToOwner)} - by_the_shell
    assert set(COMES) == set(OWNER)
    assert {len(row) for row in OWNER.values()} == {len(OwnerState)}


# ---- the worker's: GREETED, READY, STAGED, REFUSED; without a pipe no frame can come

WORKER: dict[str, list[str]] = {
    "Install, what is held": ["→READY Applied", "Applied", "→READY Applied", "→READY Applied"],
    "Install, a higher number": [
        "→READY Renumber Applied",
        "Renumber Applied",
        "→READY Renumber Applied",
        "→READY Renumber Applied",
    ],
    "Install, something newer": ["→READY Swap Applied", "Swap Applied", "→READY Swap Applied", "→READY Swap Applied"],
    "Install, what is staged": ["→READY Swap Applied", "Swap Applied", "→READY Swap Applied", "→READY Swap Applied"],
    "Install, refused here": ["→READY Declined", "Declined", "→READY Declined", "→READY Declined"],
    "Install, older": ["→READY Declined", "Declined", "→READY Declined", "→READY Declined"],
    "Install, other content": ["→READY Declined", "Declined", "→READY Declined", "→READY Declined"],
    "Install, an undo that is refused here": [
        "→READY Swap Applied",
        "Swap Applied",
        "→READY Swap Applied",
        "→READY Swap Applied",
    ],
    "Install, a patch that does not fit": ["→DETACHED Disconnect"] * 4,
    "Prepare, what is held": ["→STAGED Vote", "→STAGED Vote", "Vote", "→STAGED Vote"],
    "Prepare": ["→STAGED Vote", "→STAGED Vote", "Vote", "→STAGED Vote"],
    "Prepare, refused here": ["→REFUSED Vote(no)", "→REFUSED Vote(no)", "→REFUSED Vote(no)", "Vote(no)"],
    "Prepare, a patch that does not fit": ["→DETACHED Disconnect"] * 4,
    "Commit, this round": ["→DETACHED Disconnect", "→DETACHED Disconnect", "→READY Swap Applied", "→READY Declined"],
    "Commit, another round": ["→DETACHED Disconnect"] * 4,
    "Commit, this round, no higher number": [
        "→DETACHED Disconnect",
        "→DETACHED Disconnect",
        "→DETACHED Disconnect",
        "→READY Declined",
    ],
    "Try, this round": ["→DETACHED Disconnect", "→DETACHED Disconnect", "→READY Slot Tried", "→DETACHED Disconnect"],
    "Try, another round": ["→DETACHED Disconnect"] * 4,
    "Try, no higher number": ["→DETACHED Disconnect"] * 4,
    "Provisional, what is held": ["Keep"] * 4,
    "Provisional, something else": ["-"] * 4,
    "Install, with a trial": ["→READY Applied Slot Tried", "Applied Slot Tried"] + ["→READY Applied Slot Tried"] * 2,
    "Install, with a trial that is refused here": ["→READY Applied Unhealthy", "Applied Unhealthy"]
    + ["→READY Applied Unhealthy"] * 2,
    "Abort, this round": ["-", "-", "→READY", "→READY"],
    "Abort, another round": ["-"] * 4,
    "Settled, what is held": ["-"] * 4,
    "Settled, something else": ["-"] * 4,
    "Observe": ["ReportObservers"] * 4,
    "Outcome": ["Deliver"] * 4,
    "Stats": ["Deliver"] * 4,
    "History": ["Deliver"] * 4,
    "Measured": ["Deliver"] * 4,
    "Workers": ["Deliver"] * 4,
    "Versions": ["Deliver"] * 4,
    "Explained": ["Deliver"] * 4,
    "Shown": ["Deliver"] * 4,
    "Described": ["Deliver"] * 4,
    "Configuration": ["Deliver"] * 4,
    "News": ["Deliver"] * 4,
    "Differences": ["Deliver"] * 4,
    "Done": ["Deliver"] * 4,
    "Refused": ["→DETACHED Disconnect"] * 4,
    "Refused, for good": ["→CLOSED Terminate"] * 4,
}
FRAMES: dict[str, Any] = {
    "Install, what is held": Install(3, A, A),
    "Install, a higher number": Install(7, A, A),
    "Install, something newer": Install(7, C, C),
    "Install, what is staged": Install(7, B, B),
    "Install, refused here": Install(7, HATED, HATED),
    "Install, older": Install(2, C, C),
    "Install, other content": Install(3, C, C),
    "Install, an undo that is refused here": Install(7, HATED, HATED, undo=True),
    "Install, a patch that does not fit": Install(7, C, C, base=B),
    "Prepare, what is held": Prepare(9, A, A),
    "Prepare": Prepare(9, C, C),
    "Prepare, refused here": Prepare(9, HATED, HATED),
    "Prepare, a patch that does not fit": Prepare(9, C, C, base=B),
    "Commit, this round": Commit(ROUND, 9),
    "Commit, another round": Commit(77, 9),
    "Commit, this round, no higher number": Commit(ROUND, 3),
    "Try, this round": Try(ROUND, 9),
    "Try, another round": Try(77, 9),
    "Try, no higher number": Try(ROUND, 3),
    "Provisional, what is held": Provisional(3, 20.0),
    "Provisional, something else": Provisional(4, 20.0),
    "Install, with a trial": Install(3, A, A, trial=OnTrial(9, C, C, 0.25, "salt")),
    "Install, with a trial that is refused here": Install(3, A, A, trial=OnTrial(9, HATED, HATED, 0.25, "salt")),
    "Abort, this round": Abort(ROUND),
    "Abort, another round": Abort(77),
    "Settled, what is held": Settled(3),
    "Settled, something else": Settled(4),
    "Observe": Observe(1),
    "Outcome": Outcome(1, ReloadEvent(timestamp=0.0, result=ReloadResult.SUCCESS)),
    "Stats": Stats(1, {}),
    "History": History(1, []),
    "Measured": Measured(1, "app", 3, ""),
    "Workers": Workers(1, []),
    "Versions": Versions(1, []),
    "Explained": Explained(1),
    "Shown": Shown(1),
    "Described": Described(1),
    "Configuration": Configuration(1),
    "News": News(1, "7.1"),
    "Differences": Differences(1),
    "Done": Done(1),
    "Refused": Refused("later", False),
    "Refused, for good": Refused("never", True),
}
PIPED = [WorkerState.GREETED, WorkerState.READY, WorkerState.STAGED, WorkerState.REFUSED]


@pytest.mark.parametrize("state", WorkerState, ids=lambda state: state.name)
@pytest.mark.parametrize("name", WORKER)
def test_the_workers_cell(name: str, state: WorkerState):
    worker = worker_in(state)
    try:
        effects = worker.gets(FRAMES[name])
    except ImpossibleMessage:
        found = "impossible"
    else:
        found = cell(state, worker.state, [each.message if isinstance(each, Reply) else each for each in effects])
    assert found == (WORKER[name][PIPED.index(state)] if state in PIPED else "impossible")


def test_no_frame_to_a_worker_is_missing():
    assert {type(frame) for frame in FRAMES.values()} == set(get_args(ToWorker))
    assert set(FRAMES) == set(WORKER)
    assert {len(row) for row in WORKER.values()} == {len(PIPED)}


def cell(before: Any, after: Any, effects: list[Any]) -> str:
    """As it is written in the tables."""
    moved = [] if after is before else [f"→{after.name}"]
    kinds = [type(each).__name__ + ("(no)" if isinstance(each, Vote) and not each.ok else "") for each in effects]
    return " ".join([*moved, *dict.fromkeys(kinds)]) or "-"
