"""hypercorn's workers as processes of its master: how it makes them, waits for them, and replaces them.

hypercorn's own handler of HUP waits for the old workers without a deadline, and afterwards takes one that has failed
in its last seconds for a worker that died: it ends them all. (With TLS an old worker of 0.18.0 fails so when a client
sends a request while the worker closes the connection.) So a worker that is being replaced, also by `--reload`, has a
deadline, at which it is killed, and its exit code counts as 0; the log says what it was.

multiprocessing pickles a `WorkerProcess` to the worker, which imports this module: it must stay small.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from multiprocessing.context import SpawnContext, SpawnProcess
from signal import SIGTERM
from typing import Any

from confcast.log_fields import about
from confcast.servers.common import launching
from confcast.servers.hypercorn.worker import Serve

_log = logging.getLogger("confcast.servers")


class WorkerProcess(SpawnProcess):
    """A worker."""

    _timeout = 0.0
    _deadline: float | None = None
    _ended = False

    def replace(self, timeout: float) -> None:
        """Note that a full reload stops this worker, which may take `timeout` seconds from now."""
        self._timeout = timeout
        self._deadline = time.monotonic() + timeout

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end, as of multiprocessing; if it is being replaced, kill it at the deadline."""
        if self._deadline is None or timeout is not None:
            super().join(timeout)
        else:
            self.join_or_kill(self._deadline, self._timeout)

    def join_or_kill(self, deadline: float, timeout: float) -> None:
        """Wait for its end until `deadline` (of `time.monotonic`), then kill it; the log has `timeout`, in seconds."""
        super().join(max(0.0, deadline - time.monotonic()))
        if super().exitcode is None:
            _log.error(
                "worker %d did not end within %g s: killed",
                self.pid,
                timeout,
                extra=about("worker_killed", pid=self.pid, seconds=timeout),
            )
            self.kill()
            super().join()

    @property
    def exitcode(self) -> int | None:
        """As of multiprocessing; 0 for whatever became of a worker that was replaced."""
        status = super().exitcode
        if status is None or self._deadline is None:
            return status
        if not self._ended and status not in (0, -SIGTERM):
            _log.warning(
                "worker %d, which was replaced, has ended with status %d",
                self.pid,
                status,
                extra=about("worker_ended", pid=self.pid, status=status),
            )
        self._ended = True
        return 0


class Context(SpawnContext):
    """The multiprocessing context with which hypercorn makes its workers.

    Attributes:
        worker: What workers that are made from now on run first.
    """

    def __init__(self, worker: launching.Worker) -> None:
        super().__init__()
        self.worker = worker
        self._started: list[WorkerProcess] = []

    def Process(  # type: ignore[override]  # noqa: N802 - multiprocessing's name
        self, *, target: Callable[..., None], kwargs: Mapping[str, Any]
    ) -> WorkerProcess:
        """Make a worker, as hypercorn asks for it: `target` is hypercorn's function for this class of worker."""
        process = WorkerProcess(target=Serve(self.worker, os.getpid(), target), kwargs=kwargs)
        self._started = [*(other for other in self._started if other.exitcode != 0), process]
        return process

    def pids(self) -> set[int]:
        """The pids of the present workers."""
        return {each.pid for each in self._started if each.pid is not None and each.exitcode is None}

    def replace(self, timeout: float) -> None:
        """Note that a full reload stops all present workers, which may take `timeout` seconds from now."""
        for process in self._started:
            if process.exitcode is None:
                process.replace(timeout)

    def join(self, timeout: float) -> int:
        """Wait for the end of every worker, and kill those that time out. Returns 1 if a worker has failed, else 0."""
        deadline = time.monotonic() + timeout
        for process in self._started:
            process.join_or_kill(deadline, timeout)
        return int(any(process.exitcode not in (0, -SIGTERM) for process in self._started))
