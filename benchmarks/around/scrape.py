"""One scrape of an owner with many workers: what it costs the owner, and the process that serves it.

The owner's CPU is the kernel's account over many scrapes, less what it takes while nobody scrapes, for as long.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from benchmarks.around import Extent
from benchmarks.around.running import forked
from benchmarks.fleet.running import used_ms
from benchmarks.rows import Row, against_limit, against_peer
from benchmarks.server import manager

_SCRAPES = 100
_WARM = 20


def measure(extent: Extent) -> list[Row]:
    """The medians over the rounds."""
    from prometheus_client import CollectorRegistry
    from prometheus_client.openmetrics.exposition import generate_latest

    from confcast.metrics import Collector

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="confcast-bench-")))
        server, document = stack.enter_context(manager(folder, supervise="caller"))
        stack.enter_context(forked(extent.workers))
        document.turn()
        if not server.reload():
            raise RuntimeError("a reload failed, so there is nothing to measure")
        registry = CollectorRegistry()
        registry.register(Collector(server))
        for _ in range(_WARM):
            generate_latest(registry)
        owner, whole, passed = zip(
            *(_of_one(server.owner_pid, lambda: generate_latest(registry)) for _ in range(extent.rounds)), strict=True
        )
    who = f"a scrape of {extent.workers} workers"
    return [
        against_limit(f"{who}, CPU of the owner (ms)", median(owner), 1.0),
        against_peer(f"{who}, CPU of the process that is scraped (ms)", median(whole), None),
        against_peer(f"{who}, time (ms)", median(passed), None),
    ]


def _of_one(pid: int, scrape: Callable[[], object]) -> tuple[float, float, float]:
    """Milliseconds of a scrape: the owner's CPU, this process's, and what passes."""
    began, owner, mine = time.perf_counter(), used_ms([pid]), time.process_time()
    for _ in range(_SCRAPES):
        scrape()
    passed, owner_used = time.perf_counter() - began, used_ms([pid]) - owner
    mine_used = (time.process_time() - mine) * 1000
    idle = used_ms([pid])
    time.sleep(passed)
    idle = used_ms([pid]) - idle
    return (owner_used - idle) / _SCRAPES, mine_used / _SCRAPES, passed * 1000 / _SCRAPES
