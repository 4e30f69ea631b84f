"""granian's server with a config owner: what is done in the master, and what is sent to workers.

granian has no hook in its main loop, which sleeps on an event: ours takes its place, and looks after the owner while
it waits. Rejected: a thread that does (granian forks), and `Event` itself with a timeout (granian sets it in signal
handlers, which may come while the same thread holds its lock, and would wait for it for ever).
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from granian import cli
from granian.constants import TaskImpl
from granian.server.mp import MPServer, WorkerProcess

from confcast import ConfcastError, ConfigReloadManager
from confcast.servers import launching, signals
from confcast.servers.granian_worker import Boot

_TURN = 0.25


class Server(MPServer):
    """granian's server of worker processes, whose HUP reloads the configuration.

    Args:
        target: The application, as granian takes it.
        manager: Not started yet; without a signal handler and a thread of its own.
        worker: What attaches in a worker.
        **options: As `granian.Granian` takes them.

    Raises:
        ConfcastError: An option can't be used here.
    """

    def __init__(
        self, target: str, manager: ConfigReloadManager[Any], worker: launching.Worker, **options: Any
    ) -> None:
        super().__init__(target, **options)
        if self.task_impl == TaskImpl.rust:
            raise ConfcastError("granian's task implementation 'rust' can't pin requests: use 'asyncio'")
        self._manager = manager
        self._worker = worker
        self.main_loop_interrupt = _Bell(manager.ensure_owner)
        self.on_startup(self._start_owner)

    def serve(self, *arguments: Any, **options: Any) -> None:
        """As granian's; the owner leaves after the last worker, and the program has its own signal handlers again."""
        with signals.given_back(), contextlib.closing(self._manager):
            super().serve(*arguments, **options)

    def shutdown(self, exit_code: int = 0) -> None:
        """As granian's; but where a signal was for the whole group, workers that ended first are no failure."""
        if self.interrupt_signal:
            self.interrupt_children = deque(maxlen=0)  # type: ignore[assignment]  # it stays empty from now on
        super().shutdown(exit_code)  # type: ignore[no-untyped-call]

    def signal_handler_reload(self, *_: Any, **__: Any) -> None:
        """On SIGHUP. In a forked worker that has no handlers of its own yet it does nothing."""
        self._manager.request_reload()

    def _start_owner(self) -> None:
        try:
            with signals.held({signal.SIGHUP}):  # one that comes now finds an owner afterwards
                launching.start("granian", self._manager)
        except SystemExit:
            self._unlink_pidfile()  # type: ignore[no-untyped-call]
            raise

    def _spawn_worker(  # type: ignore[override]  # as granian's own does
        self, idx: int, target: Any, callback_loader: Callable[[], Any]
    ) -> WorkerProcess:
        boot = Boot(self._worker, os.getpid(), str(self.interface), callback_loader)
        worker = super()._spawn_worker(idx, target, boot)
        worker.start = signals.held()(worker.start)  # type: ignore[method-assign]
        return worker


class _Bell(threading.Event):
    """What granian's main loop waits for; it attends to something else meanwhile.

    `set` takes no lock, so that it may be called in signal handlers.
    """

    def __init__(self, attend: Callable[[], None]) -> None:
        super().__init__()
        self._attend = attend
        self._is_set = False
        self._rung: queue.SimpleQueue[None] = queue.SimpleQueue()

    def set(self) -> None:
        self._is_set = True
        self._rung.put(None)

    def clear(self) -> None:
        self._is_set = False

    def is_set(self) -> bool:
        """With `--reload` the main loop is watchfiles's, which asks this in each of its turns."""
        self._attend()
        return self._is_set

    def wait(self, timeout: float | None = None) -> bool:
        """Until it is set; granian gives no timeout."""
        while not self._is_set:
            with contextlib.suppress(queue.Empty):
                self._rung.get(timeout=_TURN)
            self._attend()
        return True


def command_line(arguments: Sequence[str], make: Callable[..., Server] = Server) -> NoReturn:
    """Granian's own command line, which makes its server by `make(target, **options)`. Raises SystemExit."""
    names = vars(cli)
    theirs = names["Server"]
    names["Server"] = make
    try:
        cli.cli.main(list(arguments), prog_name="python -m confcast.servers.granian", auto_envvar_prefix="GRANIAN")
    finally:
        names["Server"] = theirs
