"""The master's side of uvicorn with a config owner: start the owner, hear HUP, serve, and close.

With several workers HUP stays blocked in the main thread, so that whatever is spawned from it begins with HUP blocked,
and a HUP for the whole group kills no worker that still boots. A thread waits for it instead, whatever the main thread
is at; one that comes before the owner is there waits, too. A server of one worker runs the application in this
process, which may start programs of its own: there HUP has a handler.

Rejected: a handler with several workers, too (it runs when the main thread comes to it: a worker that hangs is given
seconds), and blocking HUP around each spawn only (uvicorn spawns workers and waits for others in one function).
"""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from uvicorn import Server
from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.multiprocess import SIGNALS

from confcast import ConfigReloadManager
from confcast.servers import launching, signals
from confcast.servers.uvicorn_worker import EmbeddedConfig

_log = logging.getLogger("uvicorn.error")


def serve(app: Any, manager: ConfigReloadManager[Any], worker: launching.Worker, config: dict[str, Any]) -> None:
    """`uvicorn.run` with a config owner, in the same order. In the main thread.

    Args:
        app: The application, as uvicorn takes it.
        manager: Not started yet; without a signal handler of its own.
        worker: What attaches in a worker.
        config: As `uvicorn.run` takes them.

    Raises:
        SystemExit: As `launching.start` and uvicorn say.
    """
    app_dir = config.pop("app_dir", None)
    if app_dir is not None:
        sys.path.insert(0, app_dir)
    embedded = EmbeddedConfig(app, **config)  # configures uvicorn's log, and reads its env file
    several = embedded.workers > 1
    if several and not isinstance(app, str):
        text = "confcast: several workers need the application as an import string, such as 'app:app'"
        launching.refuse(text, launching.COULD_NOT_START)
    embedded.worker = worker
    with contextlib.suppress(KeyboardInterrupt):
        _serve_by_several(embedded, manager) if several else _serve_alone(embedded, manager)


def _serve_by_several(config: EmbeddedConfig, manager: ConfigReloadManager[Any]) -> None:
    with signals.given_back(SIGNALS), signals.held({signal.SIGHUP}), contextlib.closing(manager):
        launching.start("uvicorn", manager)
        with Hups(manager.request_reload), _socket_removed(config.uds):
            supervisor = Supervisor(config, [config.bind_socket()], manager.request_reload)
            supervisor.run()
    if supervisor.failed:
        sys.exit(launching.COULD_NOT_START)


def _serve_alone(config: EmbeddedConfig, manager: ConfigReloadManager[Any]) -> None:
    with _handlers(manager):
        with signals.held({signal.SIGHUP}):  # until there is an owner to tell
            launching.start("uvicorn", manager)
        config.load_app()  # before there is a loop, as uvicorn does: some applications run one at import
        server = Server(config)
        with _socket_removed(config.uds):
            server.run()
    if not server.started:
        sys.exit(launching.COULD_NOT_START)


class Supervisor(Multiprocess):
    """uvicorn's supervisor, whose HUP replaces no worker.

    Attributes:
        failed: Whether it has ended because the application does not start, and not because it was told to.
    """

    def __init__(self, config: EmbeddedConfig, sockets: list[socket.socket], reload: Callable[[], None]) -> None:
        super().__init__(config, sockets)
        self._reload = reload
        self.failed = False

    def keep_subprocess_alive(self) -> None:
        """Replace the workers that have died; one whose application does not start stops all."""
        told = self.should_exit.is_set()
        super().keep_subprocess_alive()
        self.failed = self.should_exit.is_set() and not told

    def handle_hup(self) -> None:
        """For one that a thread of the program's own has taken, which does not block it: Hups did not see that."""
        self._reload()


class Hups:
    """A thread that waits for SIGHUP, which the thread that makes it has blocked, and calls `reload` for each."""

    def __init__(self, reload: Callable[[], None]) -> None:
        self._reload = reload
        self._over = False
        self._woken = threading.Event()
        self._thread = threading.Thread(target=self._run, name="confcast-hups", daemon=True)

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
        while signal.sigwait({signal.SIGHUP}) and not self._over:
            _log.info("Received SIGHUP, reloading the configuration.")
            self._reload()
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
def _handlers(manager: ConfigReloadManager[Any]) -> Iterator[None]:
    """HUP reloads; a TERM closes the manager first, and is then what it was before.

    uvicorn ends by raising the signal again that has stopped it, whose default action would end this process there.
    """
    stopped: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        stopped.append(number)
        sys.exit(128 + number)

    hup = signal.signal(signal.SIGHUP, lambda number, frame: manager.request_reload())
    term = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        manager.close()
        signal.signal(signal.SIGHUP, hup)
        signal.signal(signal.SIGTERM, term)
        if stopped:
            signal.raise_signal(signal.SIGTERM)
