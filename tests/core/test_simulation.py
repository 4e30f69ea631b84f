"""Any order, any death: what holds in every run of owners, workers and callers that can be thought of.

Two drivers of one world: Hypothesis's state machine, which shrinks what it finds, and weighted chance, which gets
further into long runs where little is disturbed. Either ends in rest, where everything must have come right.
"""

from __future__ import annotations

from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.core.disturbances import (
    DISTURBANCES,
    deadline_comes,
    living,
    owner_is_started,
    sources_change_and_hup,
    sources_change_and_somebody_calls,
)
from tests.core.simulation import World

SILENT = ["proceed", "proceed", "refuse"]
CONTENTS = [b"A", b"B", b"C"]


def begin(silent: str, workers: int) -> World:
    world = World(silent)
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
    @initialize(silent=st.sampled_from(SILENT), workers=st.integers(0, 4))
    def begin(self, silent, workers):
        self.world = begin(silent, workers)

    @rule(picks=st.lists(st.integers(0, 15), min_size=1, max_size=20))
    def things_happen(self, picks):
        for pick in picks:
            move(self.world, pick)

    @rule(steps=st.integers(5, 80))
    def things_happen_in_order(self, steps):
        for _ in range(steps):
            move(self.world, 0)

    @rule(disturb=st.sampled_from(DISTURBANCES), place=st.integers(0, 3), content=st.sampled_from(CONTENTS))
    def something_is_disturbed(self, disturb, place, content):
        processes = living(self.world)
        disturb(self.world, processes[place % len(processes)] if processes else None, content)
        self.world.oracle.check()

    def teardown(self):
        if hasattr(self, "world"):
            self.world.come_to_rest()


def run_by_chance(seed: int) -> None:
    random = Random(seed)
    world = begin(random.choice(SILENT), random.randint(0, 4))
    often = random.choice([0.03, 0.08, 0.15, 0.3])
    some = random.sample(DISTURBANCES, random.randint(2, 14))
    some += [deadline_comes, owner_is_started, sources_change_and_hup, sources_change_and_somebody_calls]
    for _ in range(random.randint(50, 400)):
        if random.random() < often:
            processes = living(world)
            random.choice(some)(world, random.choice(processes) if processes else None, random.choice(CONTENTS))
            world.oracle.check()
        else:
            move(world, random.randrange(1000))
    world.come_to_rest()


quick = settings(deadline=None, suppress_health_check=list(HealthCheck))

TestChaos = Chaos.TestCase
TestChaos.settings = settings(quick, max_examples=100, stateful_step_count=40)


@settings(quick, max_examples=800)
@given(st.integers(0, 2**48))
def test_a_run_by_chance(seed):
    run_by_chance(seed)
