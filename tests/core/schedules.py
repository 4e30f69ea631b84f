"""Schedules by chance, as many as are asked for, in processes: `scripts/simulate --schedules N --from SEED`.

After every tenth comes one that aims, by the same seed, at what chance seldom brings together (`aimed.py`). What all of
them have reached is told by row of both tables; the exit status is 1 if a schedule has failed, or if anything that can
be reached was not. `run_by_chance(seed)` of `chance.py`, or `run_aimed(seed)`, runs one again.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import islice
from pathlib import Path

from confcast.wire.messages import ReloadResult
from tests.core import rows
from tests.core.aimed import run_aimed
from tests.core.chance import run_by_chance
from tests.core.rows import Cell, Rows
from tests.core.unreached import OWNER_ROWS, WORKER_ROWS, found, why_not
from tests.support.arguments import above_zero

CHUNK = 250
"""Schedules that a process runs before it tells what they have reached."""

AIMED = 10
"""After so many schedules comes one that aims."""

Failure = tuple[str, str]
"""The call that runs a schedule again, and what went wrong in it."""
Found = tuple[Rows, list[Failure], int]


def some(seeds: range) -> Found:
    """What these schedules have reached, which have failed, and how many there were."""
    reached, failures = Rows(), []
    for seed in seeds:
        for run in (run_by_chance, run_aimed) if seed % AIMED == 0 else (run_by_chance,):
            try:
                reached.add(run(seed).rows)
            except Exception as error:
                place = traceback.extract_tb(error.__traceback__)[-1]
                what = f"{type(error).__name__}: {error} ({Path(place.filename).name}:{place.lineno})"
                failures.append((f"{run.__name__}({seed})", what))
    return reached, failures, len(seeds)


class Run:
    """The same of many schedules, in processes. It begins no more of them after some seconds; each minute it tells."""

    def __init__(self, seeds: range, processes: int, seconds: float) -> None:
        self.reached, self.failures, self.done = Rows(), list[Failure](), 0
        self._seeds, self._processes, self._until = seeds, processes, time.monotonic() + seconds
        self._chunks = (seeds[at : at + CHUNK] for at in range(0, len(seeds), CHUNK))
        self._told = time.monotonic()

    def __call__(self) -> None:
        """Run them."""
        pending: set[Future[Found]] = set()
        with ProcessPoolExecutor(self._processes, initializer=gc.freeze) as pool:
            while True:
                pending |= {pool.submit(some, chunk) for chunk in self._next(2 * self._processes - len(pending))}
                if not pending:
                    return
                ended, pending = wait(pending, return_when=FIRST_COMPLETED)
                for future in ended:
                    self._add(*future.result())

    def _next(self, most: int) -> Iterator[range]:
        return islice(self._chunks, most if time.monotonic() < self._until else 0)

    def _add(self, reached: Rows, failures: list[Failure], done: int) -> None:
        self.reached.add(reached)
        self.failures += failures
        self.done += done
        for call, what in failures:
            print(f"{call}: {what}", flush=True)
        if time.monotonic() - self._told > 60.0:
            self._told = time.monotonic()
            text = f"{self.done} of {len(self._seeds)}, {len(self.failures)} failed, {len(zeros(self.reached))} at zero"
            print(text, file=sys.stderr, flush=True)


# ---- what was reached


def _sides(of_owner: bool) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    if of_owner:
        return OWNER_ROWS, rows.PHASES, rows.STANDINGS
    return WORKER_ROWS, rows.HEARS, ("",)


def cells(of_owner: bool) -> Iterator[Cell]:
    """Every cell of a table that can be reached."""
    names, states, standings = _sides(of_owner)
    every = ((row, state, standing) for row in names for state in states for standing in standings)
    return (cell for cell in every if why_not(cell, of_owner=of_owner) is None)


def zeros(reached: Rows) -> list[str]:
    """What can be reached, and was not."""
    owner = [f"owner: {', '.join(cell)}" for cell in cells(of_owner=True) if not reached.owner[cell]]
    worker = [f"worker: {', '.join(cell[:2])}" for cell in cells(of_owner=False) if not reached.worker[cell]]
    return [*owner, *worker, *rarely_reached(reached)]


def rarely_reached(reached: Rows) -> list[str]:
    """What a thousand schedules reach already, and these did not: of the owner's rows, whatever the state."""
    known = {cell[0] for cell in reached.owner}
    wanted = dict.fromkeys(cell[0] for cell in cells(of_owner=True))
    names = [f"row: {row}" for row in wanted if row not in known]
    pairs = [f"{state}, {holding}" for state in rows.HEARS for holding in rows.HOLDINGS]
    holdings = [f"a worker: {each}" for each in pairs if each not in (*rows.NEVER, *reached.holdings)]
    options = [f"option: {each}" for each in rows.options() if not reached.options[each]]
    effects = [f"effect: {each.__name__}" for each in rows.EFFECTS if not reached.effects[each]]
    answers = [f"answer: {each.name}" for each in ReloadResult if not reached.answers[each.name]]
    mixtures = [f"at once: {each}" for each in rows.MIXTURES if not reached.mixtures[each]]
    return [*names, *holdings, *options, *effects, *answers, *mixtures]


def against_reason(reached: Rows) -> list[str]:
    """What was reached, and is listed as what can't be."""
    every = [(cell, True) for cell in reached.owner] + [(cell, False) for cell in reached.worker]
    beyond = [(cell, found(cell, of_owner=of_owner)) for cell, of_owner in every]
    return [", ".join(cell) for cell, each in beyond if each is not None and not each.seldom]


def table(reached: Rows, *, of_owner: bool) -> list[str]:
    """One line a row: how often in each state; of its cells, how many were reached; which of those the least often."""
    counts = reached.owner if of_owner else reached.worker
    names, states, standings = _sides(of_owner)
    can_be = set(cells(of_owner))
    lines = [f"{'':43}" + "".join(f"{state:>12}" for state in states) + "   cells  least often"]
    for row in names:
        by_state = [sum(counts[row, state, standing] for standing in standings) for state in states]
        mine = sorted((counts[cell], cell) for cell in can_be if cell[0] == row)
        shown = [f"{count:>12}" if count else f"{'-':>12}" for count in by_state]
        full = sum(count > 0 for count, _ in mine)
        least = f"{mine[0][0]} ({', '.join(filter(None, mine[0][1][1:]))})" if mine else ""
        lines.append(f"{row:43}{''.join(shown)}  {full:>2}/{len(mine):<2}  {least}")
    return lines


def main() -> int:
    """Run, tell, and return the exit status."""
    parser = argparse.ArgumentParser(prog="scripts/simulate", description=__doc__)
    parser.add_argument("--schedules", type=above_zero(int), default=10_000, help="how many (10000)")
    parser.add_argument("--from", dest="first", type=int, default=0, metavar="SEED", help="the first seed (0)")
    parser.add_argument("--processes", type=above_zero(int), default=2, help="in how many processes (2)")
    parser.add_argument("--seconds", type=float, default=86400.0, help="begin none after so long, and tell (a day)")
    parser.add_argument("--cells", type=Path, metavar="FILE", help="write the count of each cell there, as JSON")
    asked = parser.parse_args()
    began = time.monotonic()
    run = Run(range(asked.first, asked.first + asked.schedules), asked.processes, asked.seconds)
    run()
    reached, failures = run.reached, run.failures
    for title, of_owner in (("The owner's table", True), ("The worker's table", False)):
        print(
            f"\n{title}: how often each row was reached in each state\n", *table(reached, of_owner=of_owner), sep="\n"
        )
    missing, wrong = zeros(reached), against_reason(reached)
    for title, texts in (("Reached by none", missing), ("Reached, and listed as what can't be", wrong)):
        if texts:
            print(f"\n{title}:", *texts, sep="\n  ")
    if asked.cells:
        both = {"owner": reached.owner, "worker": reached.worker}
        counted = {name: {", ".join(cell): count for cell, count in counts.items()} for name, counts in both.items()}
        asked.cells.write_text(json.dumps(counted, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    inputs, frames = sum(reached.owner.values()), sum(reached.worker.values())
    print(
        f"\n{run.done} schedules from {asked.first}, and one that aims after every {AIMED} of them,"
        f" in {time.monotonic() - began:.0f} s:"
        f" {inputs} inputs, {frames} frames, {len(failures)} failed, {len(missing)} at zero"
    )
    return 1 if failures or missing or wrong else 0


if __name__ == "__main__":
    sys.exit(main())
