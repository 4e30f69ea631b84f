"""The rows by which schedules are counted are those of the tables, and what is said to be out of reach is refused."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from confcast.owner.core import effects as fx
from confcast.owner.core.machine import ProposalState
from confcast.wire.messages import Answer, Outcome
from confcast.worker.connection.machine import ReplicaState
from tests.core import rows
from tests.core.test_every_cell import COMES, FRAMES, OWNER, PIPED, WORKER, scene_on_trial
from tests.core.test_worker_table import HATED, worker_in
from tests.core.unreached import OWNER_ROWS, WORKER_ROWS, why_not
from tests.core.world import Scene, scene

BESIDE_THE_CORE = {kind.__name__ for kind in get_args(Answer)} - {Outcome.__name__}
"""Answers to a client's questions: the loop gives them, and they are one row of the worker's, whatever they hold."""
WITHOUT_A_WAIT = ("Wake, undo", "Wake, deferred")
"""In the scenes of the table nothing waits for these: the deadline that comes is one that never was."""
NOT_IN_THE_SCENE = {(name, ProposalState.IDLE) for name in ("Checked", "Checked, and not exact")}
"""Where nothing was loaded before, the check is of another load."""
WITHOUT_A_ROUND = {(name, ReplicaState.READY) for name in ("Commit, this round, no higher number", "Abort, this round")}
"""In that scene nothing was staged before; else a snapshot file's version was taken meanwhile."""
WAITED_FOR = "Observed, which a caller waits for"


def test_the_rows_are_those_of_the_tables():
    assert set(OWNER_ROWS) == set(OWNER)
    assert set(WORKER_ROWS) == set(WORKER) - BESIDE_THE_CORE


@pytest.mark.parametrize("name", OWNER_ROWS)
def test_an_input_is_counted_in_its_row(name: str):
    for state in ProposalState:
        if (
            (name, state) not in NOT_IN_THE_SCENE
            and name not in WITHOUT_A_WAIT
            and why_not((name, state.name, "settled"), of_owner=True) is None
        ):
            assert row_counted(scene(state, waiting=name == WAITED_FOR), name) == name, state.name


@pytest.mark.parametrize("name", ["Tried", "Unhealthy", "Counts", "Reload, and another version runs"])
def test_while_a_version_is_on_trial_its_number_counts(name: str):
    it = scene_on_trial()
    assert rows.standing(it.owner.core) == "trial"
    assert row_counted(it, name) == name


def row_counted(it: Scene, name: str) -> str:
    """By which row the first input is counted that this row of the table hands over."""
    handle, counted = it.owner.core.handle, []

    def count_first(given: fx.Input, now: float) -> Any:
        counted.append(rows.row_of(it.owner.core, given))
        return handle(given, now)

    it.owner.core.handle = count_first
    COMES[name][1](it)
    return counted[0]


@pytest.mark.parametrize("name", OWNER_ROWS)
def test_what_is_out_of_reach_is_dropped_or_refused(name: str):
    for state in ProposalState:
        if why_not((name, state.name, "settled"), of_owner=True) is not None:
            assert OWNER[name][state] in ("-", "impossible", "Gathered"), state.name  # the last: a note, and no more


@pytest.mark.parametrize("name", WORKER_ROWS)
@pytest.mark.parametrize("state", PIPED, ids=lambda state: state.name)
def test_a_frame_is_counted_in_its_row(name: str, state: ReplicaState):
    machine = worker_in(state)
    was = rows.before(machine)
    effects = machine.gets(FRAMES[name])
    if (name, state) not in WITHOUT_A_ROUND and why_not((name, state.name, ""), of_owner=False) is None:
        assert rows.row_of_frame(was, FRAMES[name], effects, {HATED[:1]}) == name
