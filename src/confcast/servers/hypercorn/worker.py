"""`Serve` starts a hypercorn worker: it sets signals, watches the master, attaches, and pins requests.

hypercorn calls it in place of its own worker function, which `Serve` then calls. hypercorn's function takes an
application by its import path only: so the pinned application is this module's `application`.
"""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

from hypercorn.app_wrappers import WSGIWrapper
from hypercorn.utils import load_application

from confcast import ConfcastError, Replica
from confcast.log_fields import about
from confcast.middleware import asgi, wsgi
from confcast.servers.common import launching, orphans, signals
from confcast.servers.common.certificates import Renewal
from confcast.servers.common.worker_refresh import Refresh

_log = logging.getLogger("confcast.servers")

application: Any = None
"""The application that this worker serves."""


@dataclass(frozen=True)
class Serve:
    """A worker's function: serves until the worker is stopped. multiprocessing pickles it to the worker.

    Attributes:
        worker: Attaches the replicas.
        master: The pid of hypercorn's master.
        serve: hypercorn's own function for this class of worker.
    """

    worker: launching.Worker
    master: int
    serve: Callable[..., None]

    def __call__(self, config: Any, sockets: Any, shutdown_event: Any) -> None:
        """Serve. Raises SystemExit when this worker can't attach, and what the application raises at its import."""
        log = _error_log(config)
        renewal = Renewal(log, (config.certfile, config.keyfile, config.ca_certs))
        refresh = Refresh(log, renewal.renew)
        refresh.start()
        signals.unblock(reloads=refresh.on_signal)
        orphans.watch_master(self.master)
        with _served():
            self.worker.attach_first()
        wrapper: Any = load_application(config.application_path, config.wsgi_max_body_size)
        with _served():
            attached = self.worker.attach_declared()
        self.worker.warn_of_no_replica()
        config.create_ssl_context = renewal.noting(config.create_ssl_context)
        config.application_path = _pinned(
            wrapper.app, attached, self.worker.version_header, is_wsgi=isinstance(wrapper, WSGIWrapper)
        )
        stop = _Stop(shutdown_event)
        signal.signal(signal.SIGTERM, stop.on_term)
        self.serve(config=config, sockets=sockets, shutdown_event=stop)


def _error_log(config: Any) -> logging.Logger:
    """Hypercorn's error log, which hypercorn itself sets up once the application is imported."""
    return config.errorlog if isinstance(config.errorlog, logging.Logger) else logging.getLogger("hypercorn.error")


class _Stop:
    """The event that hypercorn polls to stop this worker: set by hypercorn's event for all workers, or by a TERM.

    The default action of TERM would break requests off, and hypercorn sends TERM to all when the first has ended.
    """

    def __init__(self, event: Any) -> None:
        self._event = event
        self._has_term = False

    def on_term(self, number: int, frame: FrameType | None) -> None:
        self._has_term = True

    def is_set(self) -> bool:
        return self._has_term or bool(self._event.is_set())


def _pinned(app: Any, replicas: list[Replica[Any]], header: str | None, *, is_wsgi: bool) -> str:
    """Pin the application's requests. Returns the import path by which hypercorn finds the application."""
    global application
    pin: Any = wsgi.Pin if is_wsgi else asgi.Pin
    application = pin(app, *replicas, version_header=header) if replicas else app
    return f"{'wsgi' if is_wsgi else 'asgi'}:{__name__}:application"


@contextmanager
def _served() -> Iterator[None]:
    try:
        yield
    except ConfcastError as error:
        _log.error("this worker can't attach and exits: %s", error, extra=about("worker_not_attached", reason=error))
        sys.exit(1)
