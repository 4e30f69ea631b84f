"""A worker in a process of its own, and the pipe to it.

Guarantees: the process ends with its context. Rejected: fork (the worker would have the benchmark's memory, which
counts in what it is measured by, and its threads' locks).
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

from benchmarks.server import PATIENCE


@contextmanager
def spawned_worker(work: Callable[..., None], *arguments: object) -> Iterator[Connection]:
    """A process that runs `work(pipe, *arguments)`, and ends at the pipe's end: gives this side of the pipe."""
    context = multiprocessing.get_context("spawn")
    ours, its = context.Pipe()
    process = context.Process(target=work, args=(its, *arguments), daemon=True)
    process.start()
    its.close()
    try:
        yield ours
    finally:
        ours.close()
        process.join(PATIENCE)
        process.kill()
        process.join()
