"""The master's side of uvicorn with a config owner: start the owner, hear signals, serve, and close.

With several workers HUP and SIGRTMIN stay blocked in the main thread, so that whatever is spawned from it begins with
both blocked, and one for the whole group kills no worker that still boots. A thread waits for them instead, whatever
the main thread is at; one that comes before the owner is there waits, too. A server of one worker runs the application
in this process, which may start programs of its own: there both have a handler.

A full reload (SIGRTMIN) is uvicorn's `restart_all`, which replaces one worker after another and stops at the first new
one that does not serve; reloading.py starts the next owner first.

Rejected: a handler with several workers, too (it runs when the main thread comes to it: a worker that hangs is given
seconds), and blocking HUP around each spawn only (uvicorn spawns workers and waits for others in one function).
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

from confcast.servers.common import launching, signals
from confcast.servers.common.launching import Embedded
from confcast.servers.common.owners import CalledOff
from confcast.servers.common.reloading import Reloading
from confcast.servers.uvicorn.worker import EmbeddedConfig

_log = logging.getLogger("uvicorn.error")


def serve(app: Any, embedded: Embedded, options: dict[str, Any]) -> None:
    """`uvicorn.run` with a config owner, in the same order. In the main thread.

    Args:
        app: The application, as uvicorn takes it.
        embedded: The configuration, not started yet.
        options: As `uvicorn.run` takes them.

    Raises:
        SystemExit: As `launching.start` and uvicorn say.
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
    reloading = Reloading("uvicorn", embedded, _log, config.certificate(), keeps=_keeps(config))
    with (
        signals.restored({*SIGNALS, *signals.RELOADS}),
        signals.held(signals.RELOADS),
        contextlib.closing(reloading.owners),
    ):
        launching.start("uvicorn", embedded.manager)
        with Reloads(reloading), _socket_removed(config.uds):
            supervisor = Supervisor(config, [config.bind_socket()], reloading)
            reloading.say_what_signals_do()
            supervisor.run()
    if supervisor.failed:
        sys.exit(launching.COULD_NOT_START)


def _keeps(config: EmbeddedConfig) -> str:
    """What of the certificate can't be renewed in a worker, in words: only the worker knows what a factory makes."""
    return "" if config.ssl_context_factory is None else "in a context that ssl_context_factory makes by itself"


def _serve_alone(config: EmbeddedConfig, embedded: Embedded) -> None:
    with _handlers(config, embedded):
        with signals.held(signals.RELOADS):  # until there is an owner to tell
            launching.start("uvicorn", embedded.manager)
        keeps = _keeps(config)
        renewed = " and the TLS certificate is renewed" + (f", but not {keeps}" if keeps else "")
        _log.info(
            "confcast: configuration %r is reloaded by kill -HUP %d (log files are opened anew%s); new code takes a "
            "restart: this server is one process, with no worker to replace",
            embedded.name,
            os.getpid(),
            renewed if config.ssl_certfile else "",
        )
        config.load_app()  # before there is a loop, as uvicorn does: some applications run one at import
        server = _Alone(config)
        with _socket_removed(config.uds):
            server.run()
    if not server.started:
        sys.exit(launching.COULD_NOT_START)


class _Alone(Server):
    """uvicorn's server, which ten times a second does what signals have asked for.

    Rejected: the thread that does it in workers. The handler would wake it, and wait for it when it gives up Python's
    lock; another HUP at that moment would not be seen until the main thread's system call ends, be it the import's.
    """

    config: EmbeddedConfig

    async def on_tick(self, counter: int) -> bool:
        """Called by uvicorn's main loop."""
        self.config.refresh.tick()
        return await super().on_tick(counter)


class Supervisor(Multiprocess):
    """uvicorn's supervisor, whose HUP replaces no worker, and whose SIGRTMIN replaces all.

    Attributes:
        failed: Whether it has ended because the application does not start, and not because it was told to.
    """

    config: EmbeddedConfig

    def __init__(self, config: EmbeddedConfig, sockets: list[socket.socket], reloading: Reloading) -> None:
        super().__init__(config, sockets)
        self._reloading = reloading
        self.failed = False
        for number in signals.RELOADS:
            # For one that a thread of the program's own has taken, which does not block it: Reloads did not see that.
            signal.signal(number, lambda number, frame: install_handlers(reloading, number))

    def handle_signals(self) -> None:
        """What has come since the last turn."""
        super().handle_signals()
        self._reloading.tick(self._pids)
        if self._reloading.wants_full_reload():
            self._reload_fully()

    def keep_subprocess_alive(self) -> None:
        """Replace the workers that have died; one whose application does not start stops all."""
        told = self.should_exit.is_set()
        super().keep_subprocess_alive()
        self.failed = self.should_exit.is_set() and not told

    def _reload_fully(self) -> None:
        before, worker = self._pids(), self.config.worker
        with contextlib.suppress(CalledOff):
            self.config.worker = self._reloading.begin() or worker
            self.restart_all()
            if not self._reloading.end(before, self._pids()):
                self.config.worker = worker

    def _pids(self) -> set[int]:
        return {process.pid for process in self.processes if process.pid is not None and process.exitcode is None}


def install_handlers(reloading: Reloading, number: int) -> None:
    """What a signal of these means. In a handler and in any thread."""
    reloading.hup() if number == signal.SIGHUP else reloading.rtmin()


class Reloads:
    """A thread that waits for HUP and SIGRTMIN, which the thread that makes it has blocked, and heeds each."""

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
                _log.info("Received SIGHUP, reloading the configuration.")
            install_handlers(self._reloading, number)
        self._woken.wait()  # a HUP that came at the end has brought it here, and a thread that is gone can't be woken


@contextlib.contextmanager
def _socket_removed(uds: str | None) -> Iterator[None]:
    """Once it is served. One that doesn't come that far leaves the file: another server may be listening there."""
    try:
        yield
    finally:
        if uds:
            Path(uds).unlink(missing_ok=True)


@contextlib.contextmanager
def _handlers(config: EmbeddedConfig, embedded: Embedded) -> Iterator[None]:
    """HUP reloads, SIGRTMIN is answered in words; a TERM closes the manager first, and is then what it was before.

    uvicorn ends by raising the signal again that has stopped it, whose default action would end this process there.
    """
    stopped: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        stopped.append(number)
        sys.exit(128 + number)

    def reload(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            embedded.manager.request_reload()
            config.refresh.install_handlers(number)
        else:
            config.refresh.later(_say_that_it_takes_a_restart)

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


def _say_that_it_takes_a_restart() -> None:
    _log.warning(
        "confcast: SIGRTMIN does nothing here: this server is one process, and new code takes a restart of it; with "
        "--workers 2 its workers can be replaced"
    )
