"""A step of celery's worker (`celery.bootsteps`) that acts when the pool runs and no task is consumed yet.

It uses celery's timer: the event loop's if there is one, otherwise that of a thread which celery starts itself.
Rejected: a thread of confcast (the master forks).
"""

from __future__ import annotations

from typing import Any

from celery import bootsteps
from celery.concurrency.prefork import TaskPool

from confcast.servers.celery import embedding

_WATCH_INTERVAL = 1.0
"""Seconds between two checks of the owner."""


class ConfigOwner(bootsteps.StartStopStep):  # type: ignore[misc]
    """Takes over SIGHUP, attaches if tasks run in the worker's own process, and has dead owners restarted."""

    requires = ("celery.worker.components:Timer", "celery.worker.components:Pool")

    def start(self, worker: Any) -> None:
        """Act once, after the pool's start. Raises SystemExit if this process has to attach and can't."""
        if embedding.pool_has_started(forks=isinstance(worker.pool, TaskPool)):
            worker.timer.call_repeatedly(_WATCH_INTERVAL, embedding.ensure_owners)

    def stop(self, worker: Any) -> None:
        """Do nothing: the pool's tasks end after this, and need the owner."""
