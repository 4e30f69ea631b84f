"""What the children of a pool do: each task says what it read, and in which process.

Imported by the master and, by name, in children that are spawned: the replica here is the one that travels.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from confcast import Replica
from tests.support.settings import Settings
from tests.support.waiting import eventually

settings = Replica(Settings, name="app")


def meet(folder: str, count: int) -> tuple[int, int]:
    """With as many other processes, so that each does one; the pid, and the number that is read then."""
    with settings.pin() as config:
        place = Path(folder)
        (place / str(os.getpid())).touch()
        eventually(lambda: len(list(place.iterdir())) >= count, "as many processes as were asked for")
        assert settings.current is config
        return os.getpid(), settings.latest.number


def stay(begun: str, gate: str) -> tuple[int, int, int]:
    """The number at the task's begin and, when the gate is open, at its end and outside of its pin."""
    with settings.pin() as config:
        first = config.number
        Path(begun).touch()
        Path(gate).read_bytes()
        return first, settings.current.number, settings.latest.number


def is_the_one_here(replica: Replica[Settings]) -> bool:
    """Whether what arrives as an argument is this process's own, which is attached."""
    return replica is settings and replica.connected


def die(*_: Any) -> None:
    """In the middle of a task: the locks of the queues are free then."""
    os.kill(os.getpid(), signal.SIGKILL)
