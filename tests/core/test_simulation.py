"""Any order, any death: what holds in every run of owners, workers and callers that can be thought of.

Two drivers of one world: Hypothesis's state machine, which shrinks what it finds, and weighted chance, which gets
further into long runs where little is disturbed. Either ends in rest, where everything must have come right. The suite
runs the same examples each time, and must reach every situation of the census with them; the tests marked slow look
for new ones.
"""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from random import SystemRandom

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from tests.core import chance
from tests.core.aimed import run_aimed
from tests.core.census import SITUATIONS
from tests.core.chance import CONTENTS, PROBATION, SILENT, TRIED, move, run_by_chance
from tests.core.disturbances import DISTURBANCES, living
from tests.core.rows import Rows
from tests.core.schedules import against_reason, rarely_reached

RUNS = 1000
AIMED = 100


class Chaos(RuleBasedStateMachine):
    @initialize(
        silent=st.sampled_from(SILENT),
        workers=st.integers(0, 4),
        canary=st.sampled_from(TRIED),
        probation=st.sampled_from(PROBATION),
    )
    def begin(self, silent, workers, canary, probation):
        self.world = chance.begin(silent, workers, canary, probation)
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


known = settings(deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
new = settings(known, derandomize=False, print_blob=True)
computes_only = pytest.mark.timeout(600)  # a few seconds on a core of its own; nothing in here waits


@computes_only
def test_chaos():
    run_state_machine_as_test(Chaos, settings=settings(known, max_examples=100, stateful_step_count=40))


@computes_only
def test_runs_by_chance_get_everywhere_and_hold():
    reached: Counter[str] = Counter()
    rows = Rows()
    for seed in range(RUNS):
        world = run_by_chance(seed)
        reached += world.census.counts
        rows.add(world.rows)
    assert [situation for situation in SITUATIONS if not reached[situation]] == []
    assert rarely_reached(rows) == []
    assert against_reason(rows) == []


@computes_only
def test_aimed_runs_hold():
    rows = Rows()
    for seed in range(AIMED):
        rows.add(run_aimed(seed).rows)
    assert against_reason(rows) == []


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


@pytest.mark.slow
@computes_only
def test_new_aimed_runs():
    random = SystemRandom()
    for _ in range(20_000):
        run_aimed(random.randrange(2**48))
