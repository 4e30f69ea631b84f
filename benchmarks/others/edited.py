"""A file that is edited, the workers that have what stands in it, and what an edit costs them.

An edit's time begins before the file is written, and ends when the last worker has the new value. Its CPU is that of
all processes of a side, from then until the config owner has folded its journal, and as long for whom it has no owner.
A look at SQLite's log that the owner has two seconds later, a twentieth of what it does for an edit, is not in it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from benchmarks.document import Document
from benchmarks.others.crew import Crew

EDITS = 2
CHANGES = 25
"""In each round, by each way."""
UNTIL_FOLDED = 0.4
"""Seconds after the last worker has a change."""


def changes_ms(change: Callable[[], int], crew: Crew, times: int = CHANGES) -> float:
    """The median from before a change until the last worker has the value that the change returns, in milliseconds."""

    def once() -> int:
        began = time.monotonic_ns()
        return crew.last(change()) - began

    return median(once() for _ in range(times)) / 1e6


class Edited:
    """A file, and the workers that have it.

    Args:
        document: The file.
        crew: Its workers, which say by themselves when they have another value.
        helpers: Other processes whose CPU counts.

    Attributes:
        cpu_ms: What each edit took of the processors.
    """

    def __init__(self, document: Document, crew: Crew, helpers: Sequence[int] = ()) -> None:
        self.document = document
        self.crew = crew
        self.cpu_ms: list[float] = []
        self._pids = [*crew.pids, *helpers]

    def edit(self) -> float:
        """The median of some edits, in milliseconds."""
        return median(self._edit() for _ in range(EDITS))

    def _edit(self) -> float:
        before = self.used_ms()
        took = changes_ms(self.document.turn, self.crew, 1)
        time.sleep(UNTIL_FOLDED)
        self.cpu_ms.append(self.used_ms() - before)
        return took

    def used_ms(self) -> float:
        """CPU that its processes have used so far, in milliseconds."""
        return sum(time.clock_gettime_ns(_cpu_clock(pid)) for pid in self._pids) / 1e6


def _cpu_clock(pid: int) -> int:
    """What clock_getcpuclockid(3) answers on Linux, which Python has for threads only."""
    return ~pid << 3 | 2


def document_in(folder: Path, name: str) -> Document:
    """A file where nothing else changes, neither in its directory nor in the one above: the owner watches both."""
    alone = folder / name / "etc"
    alone.mkdir(parents=True)
    return Document(alone / "config.yaml")
