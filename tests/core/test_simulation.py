"""Any order, any death: what holds in every run of owners, workers and callers that can be thought of.

Two drivers of one world: Hypothesis's state machine, which shrinks what it finds, and weighted chance, which gets
further into long runs where little is disturbed. Either ends in rest, where everything must have come right. The suite
runs the same examples each time, and must reach every situation of the census with them; the tests marked slow look
for new ones.
"""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from random import Random, SystemRandom

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from confcast.wire.canary import Canary
from tests.core.census import SITUATIONS
from tests.core.disturbances import (
    DISTURBANCES,
    WITHOUT_TRIALS,
    deadline_comes,
    living,
    owner_is_started,
    sources_change_and_hup,
    sources_change_and_somebody_calls,
)
from tests.core.simulation import World
from tests.core.trial_disturbances import CANARIES, TRIALS

SILENT = ["proceed", "proceed", "refuse"]
PROBATION = [0.0, 5.0, 20.0]
CONTENTS = [b"A", b"B", b"C"]
TRIED = [None, None, *CANARIES.values()]
RUNS = 1000


def begin(silent: str, workers: int, canary: Canary | None, probation: float) -> World:
    world = World(silent, canary, probation)
    world.start_owner()
    for _ in range(workers):
        world.start_worker()
    return world


def move(world: World, pick: int) -> None:
    moves = world.moves()
    if moves:
        moves[pick % len(moves)]()
    world.oracle.check()


class Chaos(RuleBasedStateMachine):
    @initialize(
        silent=st.sampled_from(SILENT),
        workers=st.integers(0, 4),
        canary=st.sampled_from(TRIED),
        probation=st.sampled_from(PROBATION),
    )
    def begin(self, silent, workers, canary, probation):
        self.world = begin(silent, workers, canary, probation)
        self.whole = True

    @contextmanager
    def step(self):
        """What raised in the middle is no world that could come to rest."""
        self.whole = False
        yield
        self.whole = True

    @rule(picks=st.lists(st.integers(0, 15), min_size=1, max_size=20))
    def things_happen(self, picks):
        with self.step():
            for pick in picks:
                move(self.world, pick)

    @rule(steps=st.integers(1, 30))
    def things_happen_in_their_order(self, steps):
        with self.step():
            for _ in range(steps):
                move(self.world, 0)

    @rule(disturb=st.sampled_from(DISTURBANCES), place=st.integers(0, 3), content=st.sampled_from(CONTENTS))
    def something_is_disturbed(self, disturb, place, content):
        processes = living(self.world)
        with self.step():
            disturb(self.world, processes[place % len(processes)] if processes else None, content)
            self.world.oracle.check()

    def teardown(self):
        if getattr(self, "whole", False):
            self.world.come_to_rest()


def run_by_chance(seed: int) -> Counter[str]:
    """What happened in it. What goes wrong is reported with the seed, by which it can be run again."""
    random = Random(seed)
    tries, canary, probation = random.random() < 0.5, random.choice(TRIED), random.choice(PROBATION)
    world = begin(random.choice(SILENT), random.randint(0, 4), canary if tries else None, probation)
    often = random.choice([0.03, 0.08, 0.15, 0.3])
    some = random.sample(WITHOUT_TRIALS, random.randint(4, 14 if tries else 24))
    some += random.sample(TRIALS, random.randint(3, 12)) if tries else []
    some += [deadline_comes, owner_is_started, sources_change_and_hup, sources_change_and_somebody_calls]
    try:
        for _ in range(random.randint(50, 400)):
            if random.random() < often:
                processes = living(world)
                random.choice(some)(world, random.choice(processes) if processes else None, random.choice(CONTENTS))
                world.oracle.check()
            else:
                move(world, random.randrange(1000))
        world.come_to_rest()
    except BaseException as error:
        error.add_note(f"in run_by_chance({seed})")
        raise
    return world.census.counts


known = settings(deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
new = settings(known, derandomize=False, print_blob=True)
computes_only = pytest.mark.timeout(600)  # a few seconds on a core of its own; nothing in here waits


@computes_only
def test_chaos():
    run_state_machine_as_test(Chaos, settings=settings(known, max_examples=100, stateful_step_count=40))


@computes_only
def test_runs_by_chance_get_everywhere_and_hold():
    reached: Counter[str] = Counter()
    for seed in range(RUNS):
        reached += run_by_chance(seed)
    assert [situation for situation in SITUATIONS if not reached[situation]] == []


@pytest.mark.slow
@computes_only
def test_new_chaos():
    run_state_machine_as_test(Chaos, settings=settings(new, max_examples=5000, stateful_step_count=60))


@pytest.mark.slow
@computes_only
def test_new_runs_by_chance():
    random = SystemRandom()
    for _ in range(40_000):
        run_by_chance(random.randrange(2**48))
