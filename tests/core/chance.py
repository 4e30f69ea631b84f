"""A schedule by chance: the world, what is disturbed in it and in which order follow from its seed alone."""

from __future__ import annotations

from random import Random

from confcast.wire.canary import Canary
from tests.core.disturbances import (
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


def run_by_chance(seed: int) -> World:
    """The world after it. What goes wrong is reported with the seed, by which it can be run again."""
    random = Random(seed)
    tries, canary, probation = random.random() < 0.5, random.choice(TRIED), random.choice(PROBATION)
    world = begin(random.choice(SILENT), random.randint(0, 4), canary if tries else None, probation)
    often = random.choice([0.03, 0.08, 0.15, 0.3])
    some = random.sample(WITHOUT_TRIALS, random.randint(5, 15 if tries else 27))
    some += random.sample(TRIALS, random.randint(4, 15)) if tries else []
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
    return world
