"""A change on many hosts through an engine that people run: what each part of it costs beside the engine alone.

Real servers of the engines on loopback: Debian's, or those of wheels. Hosts of a crowd are those of `tests.support`:
each has a connection of its own, and follows by the code that a config owner follows by; what it would do with a
payload is a pause. Rows that need a config owner have one, with workers.

Guarantees: times are CLOCK_MONOTONIC of one machine, from before the call that publishes a head (its payload is there
already) on. CPU is the kernel's account of the processes. Rejected: hosts as threads (one lock for all), and a
simulated network (its delay would hide what is measured).
"""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple

from benchmarks.rows import Row

PARTS = ("latency", "gateway", "outage", "stopping", "idle")
ENGINES = ("Redis", "Etcd", "Postgres", "Nats")


class Extent(NamedTuple):
    """How much is measured.

    Attributes:
        rounds: How often each comparison is repeated.
        hosts: In a crowd.
        seconds: For which an idle owner is looked at.
    """

    rounds: int
    hosts: int
    seconds: float


FULL = Extent(7, 1000, 60.0)
QUICK = Extent(2, 200, 20.0)


def measure(extent: Extent, engines: list[str], parts: list[str]) -> list[Row]:
    """The rows of these parts for these engines."""
    rows: list[Row] = []
    for part in parts:
        rows += import_module(f"benchmarks.fleet.{part}").measure(extent, engines)
    return rows
