"""`Server` is granian's server with a config owner: its master looks after the owner, and its workers attach to it.

granian has no hook in its main loop, which waits for an event: `_Wakeup` replaces that event, and looks after the owner
while the loop waits. A full reload (SIGRTMIN) is granian's own reload, which calls a hook before it replaces its
workers: the hook starts the next owner, and if the owner can't start, nothing is replaced.

granian's workers serve TLS in Rust, which reads the files when a worker starts. With 2.8.9 a worker served the old
certificate to its end, whatever its files held: so HUP only logs that a renewed certificate needs a SIGRTMIN.

Rejected: a thread that looks after the owner (granian forks), and `Event` itself with a timeout (granian sets it in
signal handlers: one that interrupts the thread which holds the event's lock would wait for that lock for ever).
"""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import queue
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from granian import cli
from granian.constants import TaskImpl
from granian.log import logger
from granian.server.mp import MPServer, WorkerProcess

from confcast import ConfcastError
from confcast.servers.common import launching, signals
from confcast.servers.common.certificates import Certificate
from confcast.servers.common.launching import Embedded
from confcast.servers.common.owners import CalledOff
from confcast.servers.common.reloading import Reloading
from confcast.servers.granian.worker import Boot

_AGAIN = 1.0  # seconds until a worker that must end is woken, and between later wake-ups
_TURN = 0.25


class Server(MPServer):
    """granian's server of worker processes, whose HUP reloads the configuration.

    Args:
        target: The application, as granian takes it.
        embedded: The configuration, whose owner is not started yet.
        **options: As `granian.Granian` takes them.

    Raises:
        ConfcastError: An option can't be used here.
    """

    def __init__(self, target: str, embedded: Embedded, **options: Any) -> None:
        super().__init__(target, **options)
        if self.task_impl == TaskImpl.rust:
            raise ConfcastError("granian's task implementation 'rust' can't pin requests: use 'asyncio'")
        self.no_fork_while_logging = threading.Lock()
        self._embedded = embedded
        self._worker = embedded.worker
        forks = multiprocessing.get_start_method() == "fork"  # granian makes the same call
        certificate = _certificate(self.ssl_ctx)
        self._reloading = Reloading("granian", embedded, logger, certificate, in_place=False, forks=forks)
        self.main_loop_interrupt = _Wakeup(self._tick)
        self.on_startup(self._start_owner)
        self.on_reload(self._begin)

    def serve(self, *arguments: Any, **options: Any) -> None:
        """Serve as granian does; then close the owner, and set the program's own signal handlers again."""
        with signals.restored(), contextlib.closing(self._reloading.owners):
            super().serve(*arguments, **options)

    def shutdown(self, exit_code: int = 0) -> None:
        """Shut down as granian does, except that workers ended first by a signal for the whole group are no failure."""
        if self.interrupt_signal:
            self.interrupt_children = deque(maxlen=0)  # type: ignore[assignment]  # it stays empty from now on
        super().shutdown(exit_code)  # type: ignore[no-untyped-call]

    def signal_handler_reload(self, *_: Any, **__: Any) -> None:
        """Handle SIGHUP. Does nothing in a forked worker that has no handlers of its own yet."""
        self._reloading.hup()

    def _start_owner(self) -> None:
        if signals.FULL_RELOAD is not None:
            signal.signal(signals.FULL_RELOAD, self._ask_for_full_reload)
        try:
            with signals.blocked(signals.RELOADS):  # a signal that comes now is delivered when there is an owner
                launching.start("granian", self._embedded.manager)
        except SystemExit:
            self._unlink_pidfile()  # type: ignore[no-untyped-call]
            raise
        self._reloading.log_signals()

    # ---- a full reload

    def _ask_for_full_reload(self, *_: Any) -> None:
        """Handle SIGRTMIN as granian handles HUP."""
        self._reloading.rtmin()
        self.reload_signal = True
        self.main_loop_interrupt.set()

    def _reload(self, spawn_target: Any, target_loader: Any) -> Any:
        """Reload as granian does. Its log calls that a HUP, and it calls `_begin` when its env files are read."""
        before, worker = self._pids(), self._worker
        try:
            result = super()._reload(spawn_target, target_loader)  # type: ignore[no-untyped-call]
        except CalledOff:
            return None
        if not self._reloading.end(before, self._pids()):
            self._worker = worker
        return result

    def _begin(self) -> None:
        """Start the next owner. granian calls this before it replaces workers; with `--reload` for each edit, too."""
        if self._reloading.wants_full_reload():
            self._worker = self._reloading.begin() or self._worker

    # ---- granian's loop, and its workers

    def _tick(self) -> None:
        # A worker that must end gets no HUP any more: of two signals at once, a thread other than the main one, which
        # waits in Python, would get the second, and the worker would not end.
        if not self.interrupt_signal:
            self._reloading.tick(self._pids)

    def _pids(self) -> set[int]:
        return {worker.inner.pid for worker in self.wrks if _is_alive(worker)}

    def _spawn_worker(  # type: ignore[override]  # as granian's own does
        self, idx: int, target: Any, callback_loader: Callable[[], Any]
    ) -> WorkerProcess:
        boot = Boot(self._worker, os.getpid(), str(self.interface), callback_loader)
        worker = super()._spawn_worker(idx, target, boot)
        worker.__class__ = _Worker
        assert isinstance(worker, _Worker)
        worker.server = self
        return worker


class _Worker(WorkerProcess):
    """granian's worker process, as its master sees it.

    A thread of the master waits for each worker's end, and logs it. A worker that is forked in the midst of that
    inherits the lock of the log's stream, which nobody releases there: it waits for it in granian's first lines, where
    TERM is blocked still, and the master waits for the worker. So logging an end and forking exclude each other.

    Rejected: functions of one process as its attributes. They hold it in a circle, and the pipes of each worker that
    has died stay open in the master until the collector comes, which has little to do there.

    Attributes:
        server: Whose worker it is.
    """

    server: Server

    def start(self) -> None:
        with self.server.no_fork_while_logging, signals.blocked():
            super().start()  # type: ignore[no-untyped-call]

    def _watcher(self) -> None:
        """Wait for the worker's end, and log it, in a thread of its own."""
        self.inner.join()
        with self.server.no_fork_while_logging:
            super()._watcher()  # type: ignore[no-untyped-call]  # joins once more, which returns at once

    def join(self, timeout: float | None = None) -> None:
        """Wait as granian does, perhaps for ever; workers that must end, and have not, are woken each second."""
        end = time.monotonic() + (math.inf if timeout is None else timeout)
        while _is_alive(self) and (left := end - time.monotonic()) > 0:
            self.inner.join(min(left, _AGAIN))
            for each in (self, *self.server.wrks):
                if each.interrupt_by_parent and _is_alive(each):
                    _wake(each.inner.pid)


def _certificate(ssl_ctx: Any) -> Certificate | None:
    """The certificate, from granian's tuple of options: whether it serves TLS, chain, key, password, and more."""
    is_served, certfile, keyfile, password, *_ = ssl_ctx
    return Certificate(certfile, keyfile, password) if is_served else None


def _is_alive(worker: WorkerProcess) -> bool:
    return bool(worker.is_alive())  # type: ignore[no-untyped-call]


def _wake(pid: int) -> None:
    """Wake a worker's main thread by a harmless signal, so that it runs the handlers of signals that were noted.

    Of two signals at once another thread may take the second, a TERM: its handler then runs when the main thread, which
    waits, takes any signal that has a handler. TERM is not sent again: granian's handler of a third one would wait for
    ever in a worker that has received the first, and finishes a request.
    """
    with contextlib.suppress(ProcessLookupError):  # granian has reaped it meanwhile
        os.kill(pid, signals.FULL_RELOAD or signal.SIGHUP)


class _Wakeup(threading.Event):
    """The event that granian's main loop waits for; while the loop waits, `wait` calls `tick` four times a second.

    `set` takes no lock, so that signal handlers may call it.
    """

    def __init__(self, tick: Callable[[], None]) -> None:
        super().__init__()
        self._tick = tick
        self._is_set = False
        self._rung: queue.SimpleQueue[None] = queue.SimpleQueue()

    def set(self) -> None:
        self._is_set = True
        self._rung.put(None)

    def clear(self) -> None:
        self._is_set = False

    def is_set(self) -> bool:
        """Whether it is set. Calls `tick`, too: with `--reload` the loop is watchfiles's, which calls only this."""
        self._tick()
        return self._is_set

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the event is set; ignores the timeout, which granian does not use."""
        while not self._is_set:
            with contextlib.suppress(queue.Empty):
                self._rung.get(timeout=_TURN)
            self._tick()
        return True


def command_line(arguments: Sequence[str], make: Callable[..., Server] = Server) -> NoReturn:
    """Run granian's command line, which makes its server by `make(target, **options)`. Raises SystemExit."""
    names = vars(cli)
    theirs = names["Server"]
    names["Server"] = make
    try:
        cli.cli.main(list(arguments), prog_name="python -m confcast.servers.granian", auto_envvar_prefix="GRANIAN")
    finally:
        names["Server"] = theirs
