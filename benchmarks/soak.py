"""What thousands of reloads leave behind, in the owner, in the master and in the workers: it should be nothing.

Descriptors and threads have to be as many at the end as after the warm-up. Of memory the private pages are counted
(what is shared is the libraries' code), and what malloc keeps for later is in them: so the bars are sizes, not zero.
What is bounded reaches its bound in the first 3,000 reloads: the history, the journal's log, the caches, malloc's own
arenas. So the next 2,000 have a bar of their own.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from benchmarks.reload import one_call
from benchmarks.rows import Row, against_limit, exactly
from benchmarks.server import manager, workers

WORKERS = 4
WARM_UP = 300
STAGES = ((0, 3000, 1024), (3000, 5000, 64))
"""From which reload to which, and how many KiB a process may grow meanwhile."""

_REST = 0.2


class Size(NamedTuple):
    """What a process has: open descriptors, threads, and KiB of memory that no other process shares."""

    descriptors: int
    threads: int
    private_kib: int


def measure(rounds: int) -> list[Row]:
    """One run; how often it is repeated says nothing about what stays."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="confcast-bench-")))
        server, document = stack.enter_context(manager(folder))
        crew = stack.enter_context(workers(WORKERS))
        processes = {"owner": [server.owner_pid], "master": [os.getpid()], "workers": [worker.pid for worker in crew]}
        for _ in range(WARM_UP):
            one_call(server, document, WORKERS)
        sizes = [_sizes(processes)]
        for begin, end, _ in STAGES:
            for _ in range(begin, end):
                one_call(server, document, WORKERS)
            sizes.append(_sizes(processes))
    rows = []
    for stage, before, after in zip(STAGES, sizes, sizes[1:], strict=False):
        for who in processes:
            rows += _rows(stage, who, list(zip(before[who], after[who], strict=True)))
    return rows


def _sizes(processes: dict[str, list[int]]) -> dict[str, list[Size]]:
    """After a rest: the owner hears of the end of the last call's connection a moment after its answer."""
    time.sleep(_REST)
    return {who: list(map(size, pids)) for who, pids in processes.items()}


def size(pid: int) -> Size:
    """What a process has now."""
    process = Path("/proc") / str(pid)
    lines = (process / "smaps_rollup").read_text(encoding="ascii").splitlines()
    private = sum(int(line.split()[1]) for line in lines if line.startswith(("Private_Clean:", "Private_Dirty:")))
    return Size(_count(process / "fd"), _count(process / "task"), private)


def _count(folder: Path) -> int:
    return sum(1 for _ in folder.iterdir())


def _rows(stage: tuple[int, int, int], who: str, pairs: list[tuple[Size, Size]]) -> Iterable[Row]:
    """Of several processes the one that has grown most."""
    begin, end, most = stage
    what = f"reload {begin:,} to {end:,}, {who}: more"
    grown = {field: max(getattr(b, field) - getattr(a, field) for a, b in pairs) for field in Size._fields}
    yield exactly(f"{what} descriptors", grown["descriptors"], 0)
    yield exactly(f"{what} threads", grown["threads"], 0)
    yield against_limit(f"{what} private memory (KiB)", grown["private_kib"], most)
