"""Starting a manager: a process, its imports, the first load, the first commit."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from benchmarks.rows import Row, against_limit, against_peer
from benchmarks.server import PATIENCE, manager
from benchmarks.timing import alternate

_LIMIT_S = 0.5
_FLOOR = "import pydantic, msgspec, sqlite3, watchfiles"


def measure(rounds: int) -> list[Row]:
    """`start()` against its bar, and against a process that only imports what an owner cannot do without."""
    ours, floor = alternate(rounds, [_start, _imports])
    return [
        against_limit("manager.start() (s)", ours, _LIMIT_S),
        against_peer("manager.start() (s); peer: a process that only imports", ours, floor),
    ]


def _start() -> float:
    with tempfile.TemporaryDirectory(prefix="confcast-bench-") as folder:
        began = perf_counter()
        with manager(Path(folder)):
            return perf_counter() - began


def _imports() -> float:
    began = perf_counter()
    subprocess.run([sys.executable, "-c", _FLOOR], check=True, timeout=PATIENCE)
    return perf_counter() - began
