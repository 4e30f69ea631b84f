"""A whole reload into many workers, against the same two rounds over bare socketpairs in as many processes.

The peer does no more than switch between the processes: what is above it is the protocol, the load, the journal, and
what each worker does (decode, build, vote, swap) in a processor's caches that 64 others have been through since.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks.document import Document
from benchmarks.programs import Program, program
from benchmarks.reload import one_call
from benchmarks.rows import Row, against_peer
from benchmarks.server import manager, workers
from benchmarks.timing import Sample, alternate

if TYPE_CHECKING:
    from confcast import ConfigReloadManager

WORKERS = 64
RELOADS = 10
"""In each round, by each way."""
_PROPOSAL = 256
"""Bytes of a Prepare with the document's configuration, roughly."""


def measure(rounds: int) -> list[Row]:
    """64 workers, and 64 processes that only answer."""
    ours, bare = times(rounds, WORKERS)
    return [against_peer(f"reload into {WORKERS} workers (ms); peer: two bare rounds", ours, bare, 3.0)]


def times(rounds: int, count: int, *others: Sample) -> list[float]:
    """Milliseconds of a reload into so many workers, of two bare rounds, and of each other sample, in turns."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="confcast-bench-")))
        server, document = stack.enter_context(manager(folder, vote_timeout=20.0))
        stack.enter_context(workers(count))
        floor = stack.enter_context(program("bare_rounds", count, _PROPOSAL))
        samples = (lambda: _reloads(server, document, count)), (lambda: _bare(floor)), *others
        for sample in samples:
            sample()
        return alternate(rounds, samples)


def _reloads(server: ConfigReloadManager[Any], document: Document, count: int) -> float:
    return median(one_call(server, document, count) for _ in range(RELOADS)) / 1e6


def _bare(floor: Program) -> float:
    return median(floor.ask(RELOADS)) / 1e6
