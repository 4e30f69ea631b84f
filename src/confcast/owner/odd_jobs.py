"""What the owner's loop does when nothing is under way: a move, a copy of the journal for the next generation.

Rejected: doing it at once (between the ordering of a write and its outcome the journal must not be exchanged), and
timers of the core's (it knows of no files).
"""

from __future__ import annotations

from collections.abc import Callable

Job = Callable[[], float]
"""Gives the seconds until it wants to be called again; 0 for never."""


class OddJobs:
    """Jobs, and when they are due, in seconds of a clock that only goes forward. For one thread."""

    def __init__(self) -> None:
        self._jobs: list[tuple[float, Job]] = []

    def add(self, job: Job) -> None:
        """Due from now on."""
        self._jobs.append((0.0, job))

    def next(self) -> list[float]:
        """When they are due."""
        return [when for when, _ in self._jobs]

    def do(self, now: float) -> None:
        """What is due. A job may add another one."""
        jobs, self._jobs = self._jobs, []
        for when, job in jobs:
            again = job() if when <= now else when - now
            if again:
                self._jobs.append((now + again, job))
