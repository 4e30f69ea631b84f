"""`scripts/bench --servers`: every server's HUP of today against confcast, what pinning costs, and a storm of reloads.

A server that can't be measured is a row that says so, and no end of the run. Progress goes to standard error.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from benchmarks.servers import hup, pinning, storming
from benchmarks.servers.hup import Case
from benchmarks.servers.kinds import KINDS, SIDES, Kind, Side
from benchmarks.servers.machine import describe
from benchmarks.servers.plan import FULL, QUICK
from benchmarks.servers.report import Results
from benchmarks.servers.running import Failed, Note

NAMES = tuple(kind.name for kind in KINDS)
T = TypeVar("T")


def measure(names: Sequence[str], *, quick: bool = False) -> Results:
    """Measure these servers; with no name every one, the variants of gunicorn by their HUP only."""
    plan = QUICK if quick else FULL
    kinds = [kind for kind in KINDS if not names or kind.name in names]
    whole = [kind for kind in kinds if names or not kind.is_variant]
    notes: list[Note] = []

    def changed(kind: Kind, side: Side) -> Case | str:
        return _try(f"{kind.name}: HUP, {side}", hup.measure, kind, side, plan, notes)

    return Results(
        machine=describe(["confcast", *(package for kind in kinds for package in kind.packages)]),
        hup={kind.name: {side: changed(kind, side) for side in SIDES} for kind in kinds},
        pinning={kind.name: _try(f"{kind.name}: pinning", pinning.measure, kind, plan, notes) for kind in whole},
        storm={kind.name: _try(f"{kind.name}: storm", storming.measure, kind, plan, notes) for kind in whole},
        notes=notes,
    )


def _try(what: str, run: Callable[..., T], *arguments: object) -> T | str:
    """What it measured, or why not."""
    began = time.monotonic()
    print(f"{what} …", end=" ", file=sys.stderr, flush=True)
    try:
        found = run(*arguments)
    except (Failed, OSError) as error:
        print(f"failed: {error}", file=sys.stderr, flush=True)
        return str(error)
    print(f"{time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return found
