"""What `scripts/mutate` has asked for, of the worker's machine: as `test_by_mutants.py`."""

from __future__ import annotations

import pytest

from confcast.errors import ImpossibleMessage, Problem
from confcast.wire.messages import Commit, Declined, Install, OnTrial, Try
from confcast.worker.connection.machine import (
    CannotBuild,
    Disconnect,
    DoesNotFit,
    Held,
    Machine,
    ReplicaState,
    Reply,
    Warn,
    drop_nothing,
    no_clock,
    no_patch,
)
from tests.core.test_worker_table import DETACHED, READY, STAGED, A, B, C, worker_in


def test_what_is_held_shows_no_configuration():
    held = Held(3, A, {"password": "x"})
    assert repr(held) == "Held(version=3)"
    assert held.__rich_repr__() == [("version", 3)]


def test_what_can_not_be_built_says_why():
    problem = Problem("k", "is no number")
    error = CannotBuild(problem)
    assert (error.problem, str(error)) == (problem, str(problem))


def test_a_machine_of_which_little_is_said_takes_no_patches_and_keeps_no_time():
    machine = Machine(lambda payload: payload, lambda *_: (), lambda: True)
    assert (machine.patches, machine.state, machine.held, machine.trial) == (False, DETACHED, None, 0)
    assert (machine.answers_within, machine.precommit_timeout, machine.declined) == (0.0, 0.0, 0)
    assert (no_clock(), drop_nothing()) == (0.0, None)
    with pytest.raises(DoesNotFit):
        no_patch({}, b"")


def test_a_pipe_that_can_not_come_is_named():
    with pytest.raises(ImpossibleMessage, match=r"a new pipe.*READY"):
        worker_in(READY).connected()
    with pytest.raises(ImpossibleMessage, match=r"Commit.*DETACHED"):
        worker_in(DETACHED).gets(Commit(1, 2))


def test_what_is_below_what_is_held_is_declined_in_words():
    text = "holds version 3 already, and a version never goes down or changes its content"
    worker = worker_in(READY)
    assert worker.gets(Install(2, B, B)) == [Reply(Declined(2, (Problem("", text),)))]
    assert worker.declined == 2


@pytest.mark.parametrize(("declined", "many"), [(1, "a worker refuses"), (2, "2 workers refuse")])
def test_who_starts_on_what_others_refuse_says_so(declined: int, many: str):
    worker = worker_in(ReplicaState.GREETED, version=0)
    effects = worker.gets(Install(4, B, B, declined=declined))
    text = f"starting on version 4, which {many}: `confcast status` says which, and why"
    assert [effect for effect in effects if isinstance(effect, Warn)] == [Warn(text)]


def test_who_holds_something_starts_on_nothing():
    effects = worker_in(READY).gets(Install(4, B, B, declined=1))
    assert [effect for effect in effects if isinstance(effect, Warn)] == []


def test_why_a_pipe_is_left_is_said():
    worker = worker_in(STAGED)
    assert worker.gets(Commit(9, 5)) == [Disconnect("commit of round 9, which was neither staged nor refused here")]
    worker = worker_in(STAGED)
    assert worker.gets(Try(9, 5)) == [Disconnect("trial of round 9, which was not staged here")]
    worker = worker_in(READY)
    effects = worker.gets(Install(3, A, A, trial=OnTrial(2, C, C, 0.5, "salt", True)))
    assert effects[-1] == Disconnect("trial 2, below a version that was shown here")
    worker = worker_in(READY)
    text = "a patch does not fit what is held here; the whole payload is asked for"
    assert worker.gets(Install(5, B, b"A>B", base=C)) == [Disconnect(text)]
    assert not worker.patches


def test_how_long_answers_may_take_is_of_the_last_install_that_has_said_so():
    worker = worker_in(READY)
    worker.gets(Install(4, B, B, answers_within=70.0, precommit_timeout=30.0))
    worker.gets(Install(5, C, C))
    assert (worker.answers_within, worker.precommit_timeout) == (70.0, 30.0)
