"""A whole reload: read, validate, vote, journal, commit, applied by four workers.

The peer does a smaller job: LeIndex reloads in its one process, tells nobody, and keeps no journal. HUP has our own
call as its peer: it is the same work, begun by a signal that goes through the master, and its end is the clock of the
slowest worker instead of the answer to the caller.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from time import monotonic_ns, perf_counter_ns
from typing import TYPE_CHECKING, Any

from benchmarks.document import Document
from benchmarks.leindex_peer import LeIndex, NoPeer, leindex
from benchmarks.rows import Row, against_peer
from benchmarks.server import Worker, manager, workers
from benchmarks.timing import Sample, alternate

if TYPE_CHECKING:
    from confcast import ConfigReloadManager

WORKERS = 4
RELOADS = 25
"""In each round, by each way."""


def measure(rounds: int) -> list[Row]:
    """By call, LeIndex and by HUP, in turns."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="confcast-bench-")))
        server, document = stack.enter_context(manager(folder))
        crew = stack.enter_context(workers(WORKERS))
        by_call: Sample = lambda: _by_call(server, document)  # noqa: E731
        by_hup: Sample = lambda: _by_hup(document, crew)  # noqa: E731
        try:
            peer: LeIndex | None = stack.enter_context(leindex(folder))
        except NoPeer as error:
            print(error, file=sys.stderr)
            peer = None
        others = [by_hup] if peer is None else [by_hup, lambda: peer.reload(RELOADS)]
        for sample in (by_call, *others):  # the first of everything is slower, and no reload of a running server
            sample()
        call, hup, *theirs = alternate(rounds, [by_call, *others])
    return [
        against_peer(
            f"reload into {WORKERS} workers (ms); peer: leindex, 1 process", call, theirs[0] if theirs else None, 1.0
        ),
        against_peer("HUP to the last worker applied (ms); peer: the row above", hup, call, 1.5),
    ]


def _by_call(server: ConfigReloadManager[Any], document: Document) -> float:
    """The median of `reload()`, from the call to its return, in milliseconds."""
    return median(one_call(server, document, WORKERS) for _ in range(RELOADS)) / 1e6


def one_call(server: ConfigReloadManager[Any], document: Document, workers: int) -> int:
    """Nanoseconds of one `reload()` into so many workers. Raises RuntimeError when it is none."""
    document.turn()
    began = perf_counter_ns()
    event = server.reload()
    took = perf_counter_ns() - began
    if event.result != "success" or len(event.applied) != workers:
        raise RuntimeError(f"no reload to measure: {event}")
    return took


def _by_hup(document: Document, crew: list[Worker]) -> float:
    """The median from sending HUP to this process, the master, to the newest clock of the workers, in milliseconds."""
    for worker in crew:
        worker.report(True)
    found = median(_one_hup(document, crew) for _ in range(RELOADS)) / 1e6
    for worker in crew:
        worker.report(False)
    return found


def _one_hup(document: Document, crew: list[Worker]) -> int:
    document.turn()
    began = monotonic_ns()
    os.kill(os.getpid(), signal.SIGHUP)
    return max(worker.hear() for worker in crew) - began
