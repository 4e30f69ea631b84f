"""uvicorn's master starts the config owner, waits for signals, serves, and closes the owner.

With several workers HUP and SIGRTMIN stay blocked in the main thread, so that every process that the main thread spawns
starts with both blocked, and a signal for the whole group kills no worker that still boots. A thread waits for both
signals, whatever the main thread does; a signal that comes before the owner has started stays pending. A server of one
worker runs the application in this process, and the application may start programs: there both signals have a handler.

A full reload (SIGRTMIN) is uvicorn's `restart_all`, which replaces one worker after another and stops at the first new
one that does not serve; reloading.py starts the next owner first.

Rejected: a handler with several workers, too (it runs in the main thread, which may wait seconds for a worker that
hangs), and blocking HUP around each spawn only (uvicorn spawns workers and waits for others in one function).
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from uvicorn import Server
from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.multiprocess import SIGNALS

from confcast.log_fields import about
from confcast.servers.common import launching, signals
from confcast.servers.common.launching import Embedded
from confcast.servers.common.owners import CalledOff
from confcast.servers.common.reloading import Reloading
from confcast.servers.uvicorn.worker import EmbeddedConfig

_log = logging.getLogger("uvicorn.error")


def serve(app: Any, embedded: Embedded, options: dict[str, Any]) -> None:
    """`uvicorn.run` with a config owner, in the same order. For the main thread.

    Args:
        app: The application, as uvicorn takes it.
        embedded: The configuration, whose owner is not started yet.
        options: Options as `uvicorn.run` takes them.

    Raises:
        SystemExit: As `launching.start` and uvicorn raise it.
    """
    app_dir = options.pop("app_dir", None)
    if app_dir is not None:
        sys.path.insert(0, app_dir)
    config = EmbeddedConfig(app, **options)  # configures uvicorn's log, and reads its env file
    several = config.workers > 1
    if several and not isinstance(app, str):
        text = "confcast: several workers need the application as an import string, such as 'app:app'"
        launching.refuse(text, launching.COULD_NOT_START)
    config.worker = embedded.worker
    with contextlib.suppress(KeyboardInterrupt):
        _serve_by_several(config, embedded) if several else _serve_alone(config, embedded)


def _serve_by_several(config: EmbeddedConfig, embedded: Embedded) -> None:
    reloading = Reloading("uvicorn", embedded, _log, config.certificate())
    with (
        signals.restored({*SIGNALS, *signals.RELOADS}),
        signals.blocked(signals.RELOADS),
        contextlib.closing(reloading.owners),
    ):
        launching.start("uvicorn", embedded.manager)
        with Reloads(reloading), _socket_removed(config.uds):
            supervisor = EmbeddedSupervisor(config, [config.bind_socket()], reloading)
            reloading.log_signals()
            supervisor.run()
    if supervisor.failed:
        sys.exit(launching.COULD_NOT_START)


def _serve_alone(config: EmbeddedConfig, embedded: Embedded) -> None:
    with _handlers(config, embedded):
        with signals.blocked(signals.RELOADS):  # blocked until there is an owner
            launching.start("uvicorn", embedded.manager)
        _log.info(
            "confcast: configuration %r is reloaded by kill -HUP %d (log files are opened anew%s); new code takes a "
            "restart: this server is one process, with no worker to replace",
            embedded.name,
            os.getpid(),
            " and the TLS certificate is renewed" if config.is_ssl else "",
            extra=about("server_ready", name=embedded.name, pid=os.getpid()),
        )
        config.load_app()  # before there is a loop, as uvicorn does: some applications run one at import
        server = _Alone(config)
        with _socket_removed(config.uds):
            server.run()
    if not server.started:
        sys.exit(launching.COULD_NOT_START)


class _Alone(Server):
    """uvicorn's server for one worker, which ten times a second does what signals have requested.

    Rejected: a thread, as in workers. The signal handler would wake the thread, and wait while the thread has Python's
    lock; Python would then handle another HUP only when the main thread's system call ends.
    """

    config: EmbeddedConfig

    async def on_tick(self, counter: int) -> bool:
        """Open anew what signals have requested. uvicorn's main loop calls this."""
        self.config.refresh.tick()
        return await super().on_tick(counter)


class EmbeddedSupervisor(Multiprocess):
    """uvicorn's supervisor, whose HUP replaces no worker, and whose SIGRTMIN replaces all.

    Attributes:
        failed: Whether the server ends because the application does not start, and not by a signal.
    """

    config: EmbeddedConfig

    def __init__(self, config: EmbeddedConfig, sockets: list[socket.socket], reloading: Reloading) -> None:
        super().__init__(config, sockets)
        self._reloading = reloading
        self.failed = False
        for number in signals.RELOADS:
            # For a signal that a thread of the program's own receives instead of Reloads: it does not block it.
            signal.signal(number, reloading.on_signal)

    def handle_signals(self) -> None:
        """Handle the signals that came since the last turn."""
        super().handle_signals()
        self._reloading.tick(self._pids)
        if self._reloading.wants_full_reload():
            self._reload_fully()

    def keep_subprocess_alive(self) -> None:
        """Replace dead workers. A worker whose application does not start stops the server."""
        was_ending = self.should_exit.is_set()
        super().keep_subprocess_alive()
        self.failed = self.should_exit.is_set() and not was_ending

    def _reload_fully(self) -> None:
        before, worker = self._pids(), self.config.worker
        with contextlib.suppress(CalledOff):
            self.config.worker = self._reloading.begin() or worker
            self.restart_all()
            if not self._reloading.end(before, self._pids()):
                self.config.worker = worker

    def _pids(self) -> set[int]:
        return {process.pid for process in self.processes if process.pid is not None and process.exitcode is None}


class Reloads:
    """A thread that waits for HUP and SIGRTMIN, which the thread's maker has blocked, and requests their reloads."""

    def __init__(self, reloading: Reloading) -> None:
        self._reloading = reloading
        self._over = False
        self._woken = threading.Event()
        self._thread = threading.Thread(target=self._run, name="confcast-reloads", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over = True
        assert self._thread.ident is not None
        signal.pthread_kill(self._thread.ident, signal.SIGHUP)
        self._woken.set()
        self._thread.join()

    def _run(self) -> None:
        while (number := signal.sigwait(signals.RELOADS)) and not self._over:
            if number == signal.SIGHUP:
                _log.info("Received SIGHUP, reloading the configuration.", extra=about("signal_received", signal="HUP"))
            self._reloading.on_signal(number)
        self._woken.wait()  # a HUP may end the loop before __exit__ sends its own: this thread must still exist then


@contextlib.contextmanager
def _socket_removed(uds: str | None) -> Iterator[None]:
    """Delete the socket's file when serving ends. A server that fails before leaves it: it may be another server's."""
    try:
        yield
    finally:
        if uds:
            Path(uds).unlink(missing_ok=True)


@contextlib.contextmanager
def _handlers(config: EmbeddedConfig, embedded: Embedded) -> Iterator[None]:
    """Have HUP reload, SIGRTMIN log a warning, and a TERM close the manager before its former action.

    uvicorn ends by raising once more the signal that stopped it, whose default action would end this process at once.
    """
    stopped: list[int] = []
    refresh = config.refresh  # made here, and not in a handler

    def stop(number: int, frame: FrameType | None) -> None:
        stopped.append(number)
        sys.exit(128 + number)

    def reload(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            embedded.manager.request_reload()
            refresh.on_signal(number)
        else:
            refresh.later(_log_that_it_takes_a_restart)

    try:
        with signals.restored({*signals.RELOADS, signal.SIGTERM}):
            for reloads in signals.RELOADS:
                signal.signal(reloads, reload)
            signal.signal(signal.SIGTERM, stop)
            try:
                yield
            finally:
                embedded.manager.close()
    finally:
        if stopped:
            signal.raise_signal(signal.SIGTERM)


def _log_that_it_takes_a_restart() -> None:
    _log.warning(
        "confcast: SIGRTMIN does nothing here: this server is one process, and new code takes a restart of it; with "
        "--workers 2 its workers can be replaced",
        extra=about("no_full_reload"),
    )
