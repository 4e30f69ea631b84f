"""What people would pick instead of confcast: read cost, time until the last of four workers has a value, and CPU.

Each is measured beside ours in the same run, with processes of its own, which rest while the others are measured. The
rows have no bar, since the others do less: none of them asks the workers before a change, and none refuses a change for
all workers when one of them can't take it (`watching.py` and `stores.py` say what each does). A read is that of one
value, in one worker. Our reload is asked for by `reload()`, by HUP and by the watch, which is on all the time, as it is
by default.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from statistics import median

from benchmarks.others.crew import WORKERS
from benchmarks.others.edited import UNTIL_FOLDED, Edited
from benchmarks.others.ours import Ours, ours
from benchmarks.others.stores import Missing, Store, manager_dict, redis_get, stash
from benchmarks.others.watching import watching
from benchmarks.rows import Row, against_peer
from benchmarks.timing import alternate

STORES: tuple[Callable[[Path], AbstractContextManager[Store]], ...] = (manager_dict, redis_get, stash)
_UNTIL_REST = 2.5  # the owner looks at SQLite's log two seconds after a change
_REST = 30.0  # in which it looks at its files once, as it does without an event
_WATCHING = "each process watches and parses"


def measure(rounds: int) -> list[Row]:
    """Ours, processes that watch, and every store that is to be had, side by side."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="confcast-bench-")))
        mine = stack.enter_context(ours(folder))
        theirs = stack.enter_context(watching(folder))
        stores = list(_stores(stack, folder))
        return [
            *_reads(rounds, mine, theirs, stores),
            *_edits(rounds, mine, theirs),
            *_changes(rounds, mine, stores),
        ]


def _stores(stack: ExitStack, folder: Path) -> Iterator[Store]:
    for start in STORES:
        try:
            yield stack.enter_context(start(folder))
        except Missing as error:
            print(error, file=sys.stderr)


def _reads(rounds: int, mine: Ours, theirs: Edited, stores: list[Store]) -> Iterator[Row]:
    crews = {"own copy": theirs.crew} | {store.name: store.crew for store in stores}
    us, *others = alternate(rounds, [mine.crew.read_us, *(crew.read_us for crew in crews.values())])
    for name, other in zip(crews, others, strict=True):
        yield against_peer(f"one value of settings.latest (µs); peer: {name}", us, other)


def _edits(rounds: int, mine: Ours, theirs: Edited) -> Iterator[Row]:
    edit, other = alternate(rounds, [mine.edit, theirs.edit])
    yield against_peer(f"edit to the last of {WORKERS} workers (ms); peer: {_WATCHING}", edit, other)
    cpu, other = median(mine.cpu_ms), median(theirs.cpu_ms)
    window = f"edit and {UNTIL_FOLDED:g} s after it"
    yield against_peer(f"{window}, CPU of all processes (ms); peer: {_WATCHING}", cpu, other)
    cpu, other = _at_rest([mine, theirs])
    yield against_peer(f"at rest, CPU of all processes (ms a second); peer: {_WATCHING}", cpu, other)


def _at_rest(sides: list[Edited]) -> list[float]:
    """Milliseconds a second."""
    time.sleep(_UNTIL_REST)
    before = [side.used_ms() for side in sides]
    time.sleep(_REST)
    return [(side.used_ms() - used) / _REST for side, used in zip(sides, before, strict=True)]


def _changes(rounds: int, mine: Ours, stores: list[Store]) -> Iterator[Row]:
    samples = [mine.call, mine.hup, *(store.change for store in stores)]
    for sample in samples:  # the first of everything is slower, and no change of a running server
        sample()
    call, hup, *others = alternate(rounds, samples)
    for store, other in zip(stores, others, strict=True):
        yield against_peer(f"reload() to the last of {WORKERS} workers (ms); peer: {store.name}", call, other)
    yield against_peer(f"HUP to the last of {WORKERS} workers (ms); peer: reload()", hup, call)
