"""From publishing a head until every worker of a host has applied its payload, beside the engine's own notification.

The peers are measured in the same rounds: a program that does nothing but wait for the engine's notification of a write
of the same size under another key, over the same client; and a reload of a file with the same content, by a manager
with as many workers and a state folder on the same disk. The bar is three times the first and once the second: the path
has a notification, a read of the head and one of the payload (the engine's round trips), and then is a reload.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import confcast.fleet
from benchmarks.fleet import Extent
from benchmarks.fleet.running import KEY, Documents, Site, engines_here, site, used_ms
from benchmarks.others.edited import document_in
from benchmarks.programs import Program, program
from benchmarks.rows import Row, against_limit, against_peer
from benchmarks.timing import alternate
from tests.support.engines.server import Server
from tests.support.fleet.publisher import Publisher

WORKERS = 4
_CHANGES = 9
"""In each round, by each way."""
_BARE = "bare"
_REST = 0.1
"""Seconds after a change, for what follows it: reports, the journal."""


def measure(extent: Extent, engines: list[str]) -> list[Row]:
    """Two rows for each engine."""
    rows: list[Row] = []
    for name, server in engines_here(engines):
        rows += _of_engine(name, server, extent.rounds)
    return rows


def _of_engine(name: str, server: Server, rounds: int) -> Iterator[Row]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="confcast-bench-")))
        documents = Documents(stack.enter_context(Publisher(server.access(), KEY)))
        documents.publish()
        source = getattr(confcast.fleet, name)(server.url, KEY, format="yaml")
        fleet = stack.enter_context(site(folder, "bench-fleet", source, WORKERS))
        bare = Documents(stack.enter_context(Publisher(server.access(), _BARE)))
        bare.publish()
        waiting = stack.enter_context(program("fleet.waiting", json.dumps([server.url, _BARE])))
        waiting.ask(0)
        document = document_in(folder, "bench-local")
        here = stack.enter_context(site(folder, "bench-local", document.path, WORKERS, watch=False))
        cpu: dict[Site, list[float]] = {fleet: [], here: []}

        def through_engine() -> float:
            before = used_ms(fleet.pids)
            took = median(_change(documents, fleet) for _ in range(_CHANGES))
            cpu[fleet].append((used_ms(fleet.pids) - before) / _CHANGES)
            return took

        def reloads() -> float:
            before = used_ms(here.pids)
            took = median(_rested(reload()) for _ in range(_CHANGES))
            cpu[here].append((used_ms(here.pids) - before) / _CHANGES)
            return took

        def reload() -> float:
            document.turn()
            began = time.monotonic_ns()
            here.manager.reload()
            return (here.last_applied() - began) / 1e6

        samples = [
            through_engine,
            lambda: median(_notified(bare, waiting) for _ in range(_CHANGES)),
            reloads,
        ]
        for sample in samples:  # the first of everything is slower, and no change of a running server
            sample()
        for each in cpu.values():
            each.clear()
        applied, notified, reloaded = alternate(rounds, samples)
    yield against_limit(
        f"{name}: publish to applied by {WORKERS} workers (ms); 3 x notified {notified:.2f} + reload {reloaded:.2f}",
        applied,
        3 * notified + reloaded,
    )
    peer = median(cpu[here])
    yield against_peer(f"{name}: the same, CPU of owner and workers (ms); peer: the reload", median(cpu[fleet]), peer)


def _change(documents: Documents, host: Site) -> float:
    published = documents.publish()
    return _rested((host.last_applied() - published.before) / 1e6)


def _notified(documents: Documents, waiting: Program) -> float:
    published = documents.publish()
    return _rested((waiting.ask(published.before) - published.before) / 1e6)


def _rested(took: float) -> float:
    time.sleep(_REST)
    return took
