"""What a hypercorn worker does first: heed signals, follow its master, attach, load the application, pin its requests.

It takes the place of hypercorn's own function of a worker, which it then calls. The application that is loaded and
pinned is handed to that by a path, as any other is: this module's `application`.
"""

from __future__ import annotations

import logging
import os
import signal
import ssl
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

from hypercorn.app_wrappers import WSGIWrapper
from hypercorn.utils import load_application

from confcast import ConfcastError, Replica
from confcast.middleware import asgi, wsgi
from confcast.servers.common import launching, orphans, signals
from confcast.servers.common.worker_refresh import Refresh

_log = logging.getLogger("confcast.servers")

application: Any = None
"""In a worker: what it serves."""


@dataclass(frozen=True)
class Serve:
    """Called in a worker, serves until it is told to stop. Sent there as multiprocessing does.

    Attributes:
        worker: What attaches.
        master: The pid of hypercorn's master.
        serve: hypercorn's own function of a worker of this class.
    """

    worker: launching.Worker
    master: int
    serve: Callable[..., None]

    def __call__(self, config: Any, sockets: Any, shutdown_event: Any) -> None:
        """Raises SystemExit when this process can't be served, and what the application raises at its import."""
        refresh = Refresh(_error_log(config))
        refresh.start()
        signals.unblock(reloads=refresh.install_handlers)
        orphans.follow(self.master, lambda: os.kill(os.getpid(), signal.SIGTERM))
        with _served():
            self.worker.attach_first()
        wrapper: Any = load_application(config.application_path, config.wsgi_max_body_size)
        with _served():
            attached = self.worker.attach_declared()
        self.worker.warn_of_no_replica()
        _renew_at_hup(config, refresh)
        config.application_path = _pinned(wrapper.app, attached, is_wsgi=isinstance(wrapper, WSGIWrapper))
        stop = _Stop(shutdown_event)
        signal.signal(signal.SIGTERM, stop.tell)
        self.serve(config=config, sockets=sockets, shutdown_event=stop)


def _error_log(config: Any) -> logging.Logger:
    """Hypercorn's; it sets that up itself, once the application is imported."""
    return config.errorlog if isinstance(config.errorlog, logging.Logger) else logging.getLogger("hypercorn.error")


def _renew_at_hup(config: Any, refresh: Refresh) -> None:
    """A HUP renews the context that hypercorn makes in its loop to serve TLS with."""
    make = config.create_ssl_context

    def create_ssl_context() -> ssl.SSLContext | None:
        context: ssl.SSLContext | None = make()
        if context is not None:
            refresh.certificate(context, config.certfile, config.keyfile, config.keyfile_password)
        return context

    config.create_ssl_context = create_ssl_context


class _Stop:
    """What hypercorn looks at to see whether this worker is to stop: its event for all workers, or a TERM for this one.

    By default a TERM would cut off what is at work; and hypercorn sends it to the others when the first has stopped.
    """

    def __init__(self, event: Any) -> None:
        self._event = event
        self._told = False

    def tell(self, number: int, frame: FrameType | None) -> None:
        self._told = True

    def is_set(self) -> bool:
        return self._told or bool(self._event.is_set())


def _pinned(app: Any, replicas: list[Replica[Any]], *, is_wsgi: bool) -> str:
    """The path by which hypercorn finds the application whose requests are pinned."""
    global application
    pin: Any = wsgi.Pin if is_wsgi else asgi.Pin
    application = pin(app, *replicas) if replicas else app
    return f"{'wsgi' if is_wsgi else 'asgi'}:{__name__}:application"


@contextmanager
def _served() -> Iterator[None]:
    try:
        yield
    except ConfcastError as error:
        _log.error("this worker can't attach and exits: %s", error)
        sys.exit(1)
