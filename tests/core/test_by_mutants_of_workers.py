"""What `scripts/mutate` has asked for, of the worker's machine: as `test_by_mutants.py`."""

from __future__ import annotations

import pytest

from confcast.errors import ImpossibleMessage, Problem
from confcast.wire.messages import Commit, Declined, Install, OnTrial, Provisional, Try, Unhealthy
from confcast.worker.connection.machine import (
    CannotBuild,
    Disconnect,
    DoesNotFit,
    Held,
    Keep,
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
    with pytest.raises(ImpossibleMessage, match=r"^'a new pipe' .*READY"):
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


class Asked(Machine):
    """A machine of ten seconds past a hundred that notes in which round which change was asked for."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__(lambda payload: payload, self._note, lambda: True, clock=lambda: 110.0)
        self.asked: list[tuple[int, bytes, bytes]] = []
        self.problems = problems
        self.connected()
        self.handle(Install(3, A, A))

    def _note(self, number: int, old: bytes, new: bytes) -> tuple[Problem, ...]:
        self.asked.append((number, old, new))
        return self.problems


def test_what_was_held_before_something_provisional_is_asked_for_as_any_other_content_is():
    """It was agreed to as a change of something else."""
    machine = Asked()
    machine.handle(Install(4, B, B, provisional=20.0))
    machine.handle(Install(5, A, A))
    assert machine.asked == [(0, A, B), (0, B, A)]
    machine = Asked()
    machine.handle(Install(4, B, B, provisional=20.0, trial=OnTrial(5, A, A, 0.5, "salt")))
    assert machine.asked == [(0, A, B), (0, B, A)]


def test_why_a_trial_is_refused_is_said_in_one_line():
    machine = Asked(Problem("", "no pool"), Problem("", "no disk"))
    effects = machine.handle(Install(3, A, A, trial=OnTrial(5, B, B, 0.5, "salt")))
    assert effects[-1] == Reply(Unhealthy(5, "no pool; no disk"))


def test_what_is_provisional_for_a_second_may_be_undone():
    effects = Asked().handle(Install(4, B, B, provisional=1.0))
    assert [effect for effect in effects if isinstance(effect, Keep)] == [Keep(4, 1.0, Held(3, A, A))]


def test_that_nothing_is_provisional_is_noted_once():
    machine = Asked()
    machine.handle(Install(4, B, B, provisional=20.0))
    assert machine.handle(Provisional(4, 0.0)) == [Keep(4, 0.0, None)]
    assert machine.handle(Provisional(4, 0.0)) == []


def test_who_has_what_is_committed_has_declined_nothing():
    machine = Asked()
    assert machine.declined == 0
    machine.handle(Install(3, A, A))
    assert machine.declined == 0
    machine.handle(Install(2, B, B))
    machine.handle(Install(4, B, B))
    assert machine.declined == 0
