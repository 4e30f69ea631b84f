"""Whether a process does nothing: one that spins runs whenever it may, and never rests."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path

from tests.support.waiting import eventually

_LOOKS = 20
_STEP = 0.005


def assert_rests(pid: int) -> None:
    """Return once none of its threads has run for a while; fail if that never comes."""
    eventually(lambda: all(_has_rested(pid) for _ in range(_LOOKS)), f"a rest of the process {pid}, which spins")


def _has_rested(pid: int) -> bool:
    before = _ran(pid)
    threading.Event().wait(_STEP)
    return _ran(pid) == before


def _ran(pid: int) -> list[str]:
    """For how long, and how often, each thread has run: the kernel's own count."""
    counts = []
    for task in sorted(Path(f"/proc/{pid}/task").iterdir()):
        with contextlib.suppress(FileNotFoundError):  # a thread that has ended meanwhile
            counts.append((task / "schedstat").read_text())
    return counts
