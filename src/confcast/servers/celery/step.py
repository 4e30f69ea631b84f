"""A step of celery's worker, as its `bootsteps` have them: the moment when the pool runs and nothing is consumed yet.

Its timer is celery's: the event loop's where there is one, else the thread's that celery starts itself. Rejected: a
thread of ours (the master forks).
"""

from __future__ import annotations

from typing import Any

from celery import bootsteps
from celery.concurrency.prefork import TaskPool

from confcast.servers.celery import embedding

_WATCH = 1.0
"""Seconds between two looks at the owner."""


class ConfigOwner(bootsteps.StartStopStep):  # type: ignore[misc]
    """Takes SIGHUP over, attaches where tasks run in the worker's own process, and has the owner watched."""

    requires = ("celery.worker.components:Timer", "celery.worker.components:Pool")

    def start(self, worker: Any) -> None:
        """Called once, after the pool's start. Raises SystemExit when this process should be attached and can't."""
        if embedding.pool_has_started(forks=isinstance(worker.pool, TaskPool)):
            worker.timer.call_repeatedly(_WATCH, embedding.ensure_owners)

    def stop(self, worker: Any) -> None:
        """The owner is still needed: the pool's tasks end after this."""
