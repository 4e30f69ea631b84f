"""What is around a config owner: metrics, the admin API and its page, and an owner that has none of it.

Real processes on loopback: a manager with workers, `confcast admin`, a browser. Guarantees: CPU and wakeups are the
kernel's account of a process; what is compared is measured in turns. Rejected: a page's time by a clock outside of the
browser (it would have the driver's pipe in it), and the owner's memory beside a figure of another day (libraries and
allocators change: both builds start in turns).
"""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple

from benchmarks.rows import Row

PARTS = ("scrape", "idle", "page", "wire", "off")


class Extent(NamedTuple):
    """How much is measured.

    Attributes:
        rounds: How often each comparison is repeated.
        workers: Of the owner that is scraped.
        seconds: For which idle processes are looked at.
    """

    rounds: int
    workers: int
    seconds: float


FULL = Extent(15, 64, 30.0)
QUICK = Extent(5, 8, 10.0)


def measure(extent: Extent, parts: list[str]) -> list[Row]:
    """The rows of these parts."""
    rows: list[Row] = []
    for part in parts:
        rows += import_module(f"benchmarks.around.{part}").measure(extent)
    return rows
