"""`Boot` starts a granian worker: it sets signals, watches the master, attaches, and pins requests.

granian calls it in the worker, in place of its own loader of the application, before anything is served. A worker that
can't attach logs why, and exits with status 1; granian then stops or respawns. A worker that finds an owner of older
code (after a deploy in place), or that can't build what is derived, waits before that: granian takes a worker that dies
within 5.5 seconds of its respawn for a crash loop, and would stop the others.
"""

from __future__ import annotations

import logging
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

from granian import _signals
from granian.log import logger

from confcast import BuildError, ConfcastError, Replica, SchemaMismatch
from confcast.log_fields import about
from confcast.middleware import asgi, wsgi
from confcast.middleware import version_header as header
from confcast.middleware.headers import OfMultidict
from confcast.middleware.replicas import RequestPin, is_failure, pin_all
from confcast.servers.common import launching, orphans, signals
from confcast.servers.common.lifespan import Lifespan
from confcast.servers.common.worker_refresh import Refresh

_log = logging.getLogger("confcast.servers")

_LONGER_THAN_A_CRASH_LOOP = 6.0
_STOPS = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True)
class Boot:
    """Returns the application when it is called in a worker. multiprocessing pickles it to spawned workers.

    Attributes:
        worker: Attaches the replicas.
        master: The pid of granian's master.
        interface: "asgi", "asginl", "wsgi" or "rsgi".
        load: granian's own loader of the application.
    """

    worker: launching.Worker
    master: int
    interface: str
    load: Callable[[], Any]

    def __call__(self) -> Any:
        """Start the worker. Raises SystemExit if it can't attach, and what the application raises at its import."""
        refresh = Refresh(logger)
        refresh.start()
        signals.unblock(signal.SIGTERM, signal.SIGINT, reloads=refresh.on_signal)
        orphans.watch_master(self.master)
        _stop_once()
        with _served(self.master):
            self.worker.attach_first()
        app = self.load()
        with _served(self.master):
            attached = self.worker.attach_declared()
        self.worker.warn_of_no_replica()
        return _pinned(app, self.interface, attached, self.worker.version_header) if attached else app


def _stop_once() -> None:
    """Have granian's handlers of TERM and INT act at the first signal only.

    Each handler writes to a queue that the server reads once, and that has room for one entry more. At a third signal
    the handler would wait for ever, in the main thread, and a request under way would never be finished.
    """
    of_loop, of_thread = _signals.set_loop_signals, _signals.set_sync_signals

    def set_loop_signals(loop: Any) -> Any:
        with signals.blocked(_STOPS):
            event = of_loop(loop)  # type: ignore[no-untyped-call]
            stop = _once(event.set)
            for number in _STOPS:
                loop.add_signal_handler(number, stop)
        return event

    def set_sync_signals() -> Any:
        with signals.blocked(_STOPS):
            event = of_thread()  # type: ignore[no-untyped-call]
            _signals.set_main_signals(_once(event.set))  # type: ignore[no-untyped-call]
        return event

    _signals.set_loop_signals, _signals.set_sync_signals = set_loop_signals, set_sync_signals


def _once(act: Callable[[], object]) -> Callable[..., None]:
    """A handler that calls `act` once, even if another signal interrupts it."""
    left = [act]

    def handle(*_: object) -> None:
        if left:
            left.pop()()

    return handle


def _pinned(app: Any, interface: str, replicas: list[Replica[Any]], header: str | None) -> Any:
    if interface == "wsgi":
        return wsgi.Pin(app, *replicas, version_header=header)
    if interface == "rsgi":
        return RsgiPin(app, *replicas, version_header=header)
    return asgi.Pin(Lifespan(app, _leave), *replicas, version_header=header)


def _leave(why: str) -> NoReturn:
    _log.error("this worker can't attach and exits: %s", why, extra=about("worker_not_attached", reason=why))
    time.sleep(_LONGER_THAN_A_CRASH_LOOP)
    sys.exit(1)


class RsgiPin:
    """An RSGI application whose HTTP requests see one version each.

    Args:
        app: The application: a coroutine function, or an object with `__rsgi__` (and `__rsgi_init__`, `__rsgi_del__`).
        replicas: The replicas to pin.
        version_header: The name of a header of each answer that says the version.

    Raises:
        ValueError: `version_header` can't be a header's name.
    """

    def __init__(self, app: Any, *replicas: Replica[Any], version_header: str | None = None) -> None:
        self._replicas = replicas
        self._header = header.checked(version_header)
        self._call = getattr(app, "__rsgi__", app)
        if hasattr(app, "__rsgi_init__"):
            self.__rsgi_init__ = app.__rsgi_init__
        self._end = getattr(app, "__rsgi_del__", None)

    def __rsgi_del__(self, loop: Any) -> Any:
        """Called at the worker's end: health checks say nothing any more, as the application closes what it has."""
        for replica in self._replicas:
            replica._serves(leaves=True)
        return self._end(loop) if self._end is not None else None

    async def __rsgi__(self, scope: Any, protocol: Any) -> Any:
        if scope.proto != "http":
            return await self._call(scope, protocol)
        pin = pin_all(self._replicas, scope, _headers_of)
        pin.__enter__()
        try:
            answering = _Answering(protocol, pin) if self._header is None else _Named(protocol, pin, self._named)
            return await self._call(scope, answering)
        except BaseException as error:
            pin.failed = is_failure(error)
            raise
        finally:
            pin.__exit__(None, None, None)

    def _named(self, headers: Any) -> Any:
        name = self._header
        if name is None or header.has(name.lower(), headers):
            return headers
        return [*headers, (name, header.value_of(self._replicas))]


def _headers_of(scope: Any) -> OfMultidict:
    return OfMultidict(scope.headers, scope.headers.get_all)


class _Answering:
    """granian's protocol of one request, which notes the status of the answer."""

    __slots__ = ("_pin", "_protocol")

    def __init__(self, protocol: Any, pin: RequestPin) -> None:
        self._protocol = protocol
        self._pin = pin

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._protocol, name)
        return self._answer(found) if name.startswith("response_") else found

    def _answer(self, respond: Any) -> Any:
        def answer(status: int, *arguments: Any, **options: Any) -> Any:
            self._pin.failed = status >= 500
            return respond(status, *arguments, **options)

        return answer

    def __call__(self) -> Any:
        return self._protocol()

    def __aiter__(self) -> Any:
        return self._protocol.__aiter__()


class _Named(_Answering):
    """The same, which adds a header to the answer."""

    __slots__ = ("_named",)

    def __init__(self, protocol: Any, pin: RequestPin, named: Callable[[Any], Any]) -> None:
        super().__init__(protocol, pin)
        self._named = named

    def _answer(self, respond: Any) -> Any:
        def answer(status: int, headers: Any = (), *arguments: Any, **options: Any) -> Any:
            self._pin.failed = status >= 500
            return respond(status, self._named(headers), *arguments, **options)

        return answer


@contextmanager
def _served(master: int) -> Iterator[None]:
    try:
        yield
    except ConfcastError as error:
        how = f": {signals.full_reload_of(master)}" if isinstance(error, SchemaMismatch) else ""
        _log.error(
            "this worker can't attach and exits: %s%s", error, how, extra=about("worker_not_attached", reason=error)
        )
        if isinstance(error, SchemaMismatch | BuildError):
            time.sleep(_LONGER_THAN_A_CRASH_LOOP)
        sys.exit(1)
