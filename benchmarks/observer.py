"""From the commit, which is the journal write, to the observers of the workers, on an idle machine.

The owner's clock says when the row was written: a reload's event has its beginning and its parts. The workers' say
when their observers were called, all by CLOCK_MONOTONIC, which is one for the machine. Between two reloads there is a
rest, so that no reload waits for what the one before it left to do.
"""

from __future__ import annotations

import time
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any

from benchmarks.document import Document
from benchmarks.rows import Row, against_limit
from benchmarks.server import Worker, served

if TYPE_CHECKING:
    from confcast import ConfigReloadManager

WORKERS = 4
RELOADS = 100
"""In each round."""
_REST = 0.005
_LIMIT_MS = 1.0


def measure(rounds: int) -> list[Row]:
    """Every observer of every reload is one sample."""
    with served(WORKERS) as (server, document, crew):
        for worker in crew:
            worker.report(True)
        _one(server, document, crew)
        found = [each for _ in range(rounds * RELOADS) for each in _one(server, document, crew)]
    name = f"commit to observer called, {WORKERS} workers"
    return [
        against_limit(f"{name}, p50 (ms)", median(found), _LIMIT_MS),
        against_limit(f"{name}, p99 (ms)", quantiles(found, n=100)[98], _LIMIT_MS),
    ]


def _one(server: ConfigReloadManager[Any], document: Document, crew: list[Worker]) -> list[float]:
    """How long after the commit each worker's observer was called, in milliseconds."""
    document.turn()
    time.sleep(_REST)
    event = server.reload()
    began = time.monotonic() - (time.time() - event.timestamp)
    committed = began * 1000 + event.load_ms + event.stage_ms + event.journal_ms
    return [worker.hear() / 1e6 - committed for worker in crew]
