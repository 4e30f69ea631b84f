"""Stopping a process, and knowing that it has stopped.

SIGSTOP is given to one thread, which stops the others when it gets to run: on a busy machine another thread of the
process may well go on for some milliseconds, and answer a vote in them.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.support.waiting import eventually


def stop(pid: int) -> None:
    """SIGSTOP; returns when every thread of the process stands still."""
    os.kill(pid, signal.SIGSTOP)
    await_stopped(pid)


def await_stopped(pid: int) -> None:
    """Return when every thread of the process stands still; a SIGCONT before would be of no use to it."""
    eventually(lambda: all(_stands_still(task) for task in Path(f"/proc/{pid}/task").iterdir()), f"{pid} stands still")


def _stands_still(task: Path) -> bool:
    """Whether a thread does, by proc(5); one that has ended meanwhile is not there when all are looked at again."""
    try:
        stat = (task / "stat").read_bytes()
    except OSError:
        return False
    return stat.rpartition(b")")[2].split()[0] == b"T"
