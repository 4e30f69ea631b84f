"""`max_requests`: a worker that has served its number leaves only while all others are attached, and one at a time.

In gunicorn each worker counts its requests, leaves at its number, and the master starts another. After a deploy in
place the new worker has the new code, and the owner the old one: the new worker can't attach and exits, again and
again; when all had served their number, no worker would be left. So each worker counts as before, but the number with
which it compares asks the master, which sends the worker TERM when every place has an attached worker.

So when a worker can't attach, its place stays empty, the others go on serving past their number, and the log says why.
If only one worker is wanted, a second one is started and attached first, and gunicorn calls a user's `nworkers_changed`
for it. A worker that hangs counts as attached until gunicorn has ended it.

The number works in every worker class that compares by `>=` or `>` (gunicorn's own, uvicorn's, aiohttp's, tornado's);
any other class behaves as without confcast. Rejected: counting requests around the application (each request would take
longer), letting workers leave until one could not attach (all may have left by then), and comparing the files of the
schema with what was imported (that can't tell a comment from a field).
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from confcast.log_fields import about
from confcast.servers.gunicorn.worker import is_of

_NOTES = 65536


class Recycling:
    """The notes that workers write, and the master's decisions by them. Made in the master, before the first fork.

    Args:
        server: gunicorn's arbiter.

    Attributes:
        extra: How many workers there are for a while besides those that are wanted: 1 or 0.
    """

    def __init__(self, server: Any) -> None:
        self._server = server
        self._notes_r, self._notes_w = os.pipe()
        os.set_blocking(self._notes_r, False)
        os.set_blocking(self._notes_w, False)
        self._attached: set[int] = set()
        self._served: list[int] = []  # the pids of workers that have served their number, in this order
        self._surplus: set[int] = set()  # pids of workers to which gunicorn has sent TERM, because there are too many
        self._leaving = 0
        self._warned = self._asked = False
        self.extra = 0
        self._handle_ttou = server.handle_ttou
        server.handle_ttou = self._on_ttou

    # ---- in the master

    def tick(self) -> None:
        """Decide whether a worker may leave; called in each turn, before gunicorn ends the oldest of too many."""
        server, workers = self._server, sorted(self._server.WORKERS, key=lambda pid: self._server.WORKERS[pid].age)
        could_not_attach = self._read_notes()
        self._surplus.update(workers[: max(0, len(workers) - server.num_workers)])
        self._surplus.intersection_update(workers)
        self._attached.intersection_update(set(workers) - self._surplus)
        self._served = [pid for pid in self._served if pid in workers and pid not in self._surplus]
        if could_not_attach and self._served and not self._warned:
            self._warned = True
            server.log.warning(
                "confcast: worker %d has served its max_requests and stays: a new worker could not attach",
                self._served[0],
                extra=about("worker_stays", pid=self._served[0]),
            )
        if not server.num_workers:  # WINCH: all must leave
            self.extra = 0
        elif self._leaving not in workers and (len(workers) <= server.num_workers or not self._served):
            self._leaving = 0
            self._next()

    def _next(self) -> None:
        server = self._server
        if self.extra and not self._served:
            self.extra = 0
            server.num_workers = max(1, server.num_workers - 1)  # a TTOU may have lowered the number before
        elif self._served and server.num_workers == 1:
            self.extra = 1
            server.num_workers = 2
        elif self._served and len(self._attached) >= server.num_workers:
            self._warned = False
            self._leaving = self._served[0]
            server.WORKERS[self._leaving].age = 0  # gunicorn ends the worker of the lowest age
            server.kill_worker(self._leaving, signal.SIGTERM)

    def _on_ttou(self) -> None:
        """Let gunicorn lower the number of workers, but not below one: the extra worker may never come to serve."""
        if self._server.num_workers - self.extra > 1:
            self._handle_ttou()

    def forget(self) -> None:
        """Begin anew in a full reload, which has set the number of workers, and replaces all present workers."""
        self.extra = self._leaving = 0

    def _read_notes(self) -> bool:
        """Read all notes. Returns whether a worker could not attach."""
        try:
            notes = os.read(self._notes_r, _NOTES).decode().split()
        except BlockingIOError:
            return False
        self._attached.update(int(note[1:]) for note in notes if note[0] == "a")
        self._served += [int(note[1:]) for note in notes if note[0] == "s"]
        return any(note[0] == "f" for note in notes)

    # ---- in a worker

    def after_fork(self) -> None:
        """Close the end of the pipe that the master reads."""
        os.close(self._notes_r)

    def attached(self, worker: Any) -> None:
        """Note that this worker has attached and loaded the application: from now on it asks instead of leaving."""
        if worker.max_requests != sys.maxsize:
            worker.max_requests = _Number(worker.max_requests, lambda: self._ask(worker))
            if is_of("uvicorn", worker):  # uvicorn's server compares its own count
                worker.config.limit_max_requests = worker.max_requests
        self._note(worker, "a")

    def could_not_attach(self, worker: Any) -> None:
        """Note that this worker could not attach, and is about to exit."""
        self._note(worker, "f")

    def _ask(self, worker: Any) -> None:
        if not self._asked:
            self._asked = True
            text = "confcast: %d requests are served: leaving when all other workers are attached"
            worker.log.info(text, worker.max_requests, extra=about("worker_leaves", requests=worker.max_requests))
            self._note(worker, "s")

    def _note(self, worker: Any, kind: str) -> None:
        try:
            os.write(self._notes_w, b"%s%d " % (kind.encode(), os.getpid()))
        except OSError as error:  # the master is gone, or has read nothing for so long that the pipe is full
            worker.log.warning(
                "confcast: the master can't be told how this worker is: %s",
                error,
                extra=about("master_deaf", error=error),
            )


class _Number(int):
    """A number that no count reaches: Python evaluates `count >= number` by the subclass, as `number <= count`.

    Args:
        value: The number.
        ask: Called at each comparison with a count that has reached the value, in any thread.
    """

    def __new__(cls, value: int, ask: Callable[[], None]) -> _Number:
        made = super().__new__(cls, value)
        made._ask = ask
        return made

    _ask: Callable[[], None]

    def __le__(self, count: int) -> bool:
        return self._reached(super().__le__(count))

    def __lt__(self, count: int) -> bool:
        return self._reached(super().__lt__(count))

    def __add__(self, jitter: int) -> _Number:  # uvicorn adds a jitter
        return _Number(super().__add__(jitter), self._ask)

    def _reached(self, is_reached: bool) -> bool:
        if is_reached:
            self._ask()
        return False
