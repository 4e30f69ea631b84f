"""`max_requests`: a worker that has served its number leaves when the one in its place is attached, and not before.

gunicorn lets it go first. After a deploy in place the one in its place has the new code, and the owner the old one: it
can't attach and leaves, again and again, and once all have served their number nobody is left. So here a worker only
says that it has served enough; the master starts one more, and tells the first to leave when the new one has loaded
the application. While none can attach, all go on serving, past their number, and the log says why. One is relieved at
a time: there is at most one worker more than usual, of which a `nworkers_changed` of the user's is told, too.

For every worker class that calls an ASGI or WSGI application; any other keeps its own way. Rejected: comparing the
files of the schema with what was imported (it can't tell a comment from a field), and asking for the number no more
once somebody could not attach (by then all may have left).
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from confcast.servers.gunicorn.worker import speaks_asgi, speaks_wsgi

_NOTES = 65536


class Relief:
    """The notes that workers write, and what the master makes of them. Made in the master, before the first fork.

    Args:
        server: gunicorn's arbiter.
    """

    def __init__(self, server: Any) -> None:
        self._server = server
        self._wakeup_r, self._wakeup_w = os.pipe()
        os.set_blocking(self._wakeup_r, False)
        os.set_blocking(self._wakeup_w, False)
        self._served: list[int] = []  # in their order
        self._ready: set[int] = set()
        self._leaving = 0
        self._told = self._warned = False
        self._before: frozenset[int] = frozenset()
        self._replaced: frozenset[int] = frozenset()

    # ---- in the master

    @property
    def extra(self) -> int:
        """How many workers there are for a while beside those that are wanted."""
        return 1 if self._leaving else 0

    def tick(self) -> None:
        """In each turn of the loop, before gunicorn counts its workers."""
        self._read_notes()
        self._ready.intersection_update(self._server.WORKERS)
        self._replaced = self._replaced.intersection(self._server.WORKERS)
        self._served = [pid for pid in self._served if pid in self._server.WORKERS and pid not in self._replaced]
        if not self._server.num_workers:  # WINCH: all are to leave
            self._leaving = 0
        elif self._leaving:
            self._go_on()
        elif self._served:
            self._begin(self._served[0])

    def forget(self) -> None:
        """In a full reload, which has set the number of workers, and is about to replace everyone who is there."""
        self._leaving = 0
        self._replaced = frozenset(self._server.WORKERS)  # their notes may still be on the way

    def _begin(self, pid: int) -> None:
        self._leaving, self._before = pid, frozenset(self._server.WORKERS)
        self._told = self._warned = False
        self._server.num_workers += 1

    def _go_on(self) -> None:
        if self._leaving not in self._server.WORKERS:
            self._leaving = 0
            self._server.num_workers = max(1, self._server.num_workers - 1)  # TTOU may have taken that one, too
        elif self._ready - self._before and not self._told:
            self._told = True
            self._server.kill_worker(self._leaving, signal.SIGTERM)

    def _read_notes(self) -> None:
        try:
            notes = os.read(self._wakeup_r, _NOTES).decode().split()
        except BlockingIOError:
            return
        for note in notes:
            kind, pid = note[0], int(note[1:])
            if kind == "r":
                self._ready.add(pid)
            elif kind == "s":
                self._served.append(pid)
            elif not self._warned and self._leaving:
                self._warned = True
                self._server.log.warning(
                    "confcast: worker %d has served its max_requests and stays: the one in its place could not attach",
                    self._leaving,
                )

    # ---- in a worker

    def after_fork(self) -> None:
        """The notes are for the master."""
        os.close(self._wakeup_r)

    def ready(self, worker: Any) -> None:
        """It has loaded the application."""
        self._note(worker, "r")

    def could_not_attach(self, worker: Any) -> None:
        """It is about to leave."""
        self._note(worker, "f")

    def count_requests(self, worker: Any) -> None:
        """Have it ask to be relieved, instead of leaving; once the application is loaded."""
        limit = worker.max_requests
        if limit == sys.maxsize or not (speaks_asgi(worker) or speaks_wsgi(worker)):
            return
        attribute = "asgi" if hasattr(worker, "asgi") else "wsgi"
        counted = _CountedAsgi if speaks_asgi(worker) else _CountedWsgi
        app = getattr(worker, attribute)
        worker.max_requests = sys.maxsize
        if hasattr(worker, "config"):  # uvicorn counts for itself
            worker.config.limit_max_requests = None
        setattr(worker, attribute, counted(app, limit, lambda: self._ask(worker, limit)))

    def _ask(self, worker: Any, limit: int) -> None:
        worker.log.info("confcast: %d requests are served: leaving when the worker in this one's place is there", limit)
        self._note(worker, "s")

    def _note(self, worker: Any, kind: str) -> None:
        try:
            os.write(self._wakeup_w, b"%s%d " % (kind.encode(), os.getpid()))
        except OSError as error:  # it is gone, or takes none for so long that the pipe is full
            worker.log.warning("confcast: the master can't be told how this worker is: %s", error)


class _Counted:
    """An application whose requests are counted. From any thread."""

    def __init__(self, app: Any, limit: int, ask: Callable[[], None]) -> None:
        self._app = app
        self._limit = limit
        self._ask = ask
        self._numbers = itertools.count(1)

    def _count(self) -> None:
        if next(self._numbers) == self._limit:
            self._ask()


class _CountedWsgi(_Counted):
    def __call__(self, environ: Any, start_response: Any) -> Any:
        self._count()
        return self._app(environ, start_response)


class _CountedAsgi(_Counted):
    """uvicorn wants to see a coroutine function."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            self._count()
        await self._app(scope, receive, send)
