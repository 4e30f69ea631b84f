"""A uvicorn worker attaches to the config owner, loads the application, and pins its requests.

uvicorn pickles its `Config` to a spawned worker, which loads the application by it: `EmbeddedConfig` replaces `Config`.
With one worker the only process does the same.

ASGI 2 and 3: the pin is around everything else, in the task of the request. WSGI: uvicorn calls the application in a
thread, which does not have that task's context, so the pin is around the application itself. This file also ends the
pin: uvicorn's WSGI code closes no body, and the thread's next request would see the version of this one.

A worker that can't attach exits with status 1, after a pause: uvicorn respawns it twice a second; at status 3 it would
take the application for broken, and stop the whole server.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NoReturn

from uvicorn import Config

from confcast import ConfcastError, Replica, SchemaMismatch
from confcast.log_fields import about
from confcast.middleware import asgi, wsgi
from confcast.servers.common import certificates, launching, orphans, signals
from confcast.servers.common.certificates import Certificate, Renewal
from confcast.servers.common.lifespan import Lifespan
from confcast.servers.common.worker_refresh import Refresh

_log = logging.getLogger("uvicorn.error")

_RESPAWN_PAUSE = 1.0


class EmbeddedConfig(Config):
    """uvicorn's configuration, for a server with a config owner.

    Attributes:
        worker: Attaches the replicas. Set before the server starts.
    """

    worker: launching.Worker
    _wsgi: _Wsgi | None = None

    def __init__(self, app: Any, **options: Any) -> None:
        for option in ("ssl_certfile", "ssl_keyfile", "ssl_ca_certs"):
            if options.get(option):  # an application may change the working directory
                options[option] = certificates.absolute(options[option])
        super().__init__(app, **options)

    @functools.cached_property
    def refresh(self) -> Refresh:
        """Opens log files anew and renews the certificate of this process at a HUP."""
        return Refresh(_log, self._renewal.renew)

    @functools.cached_property
    def _renewal(self) -> Renewal:
        files = self.certificate()
        return Renewal(_log) if files is None else Renewal(_log, files.paths, files.check)

    def load_app(self) -> Any:
        """Attach, and import the application. Raises SystemExit if the worker can't attach."""
        if self.workers > 1:
            self._begin_as_a_worker()
        with self._served():
            self.worker.attach_first()
        app = super().load_app()
        if self.interface == "wsgi":
            app = self._wsgi = _Wsgi(app)
        return app

    def load(self) -> None:
        """Load all that serves, and pin every request. Raises SystemExit when the worker can't attach."""
        if self.is_ssl:
            theirs = self.ssl_context_factory or (lambda config, default: default())
            self.ssl_context_factory = self._renewal.noting(theirs)
        super().load()
        with self._served():
            attached = self.worker.attach_declared()
        self.worker.warn_of_no_replica()
        if attached and self._wsgi is not None:
            self._wsgi.pin(attached, self.worker.version_header)
        elif attached:
            served = Lifespan(self.loaded_app, self._leave)
            self.loaded_app = asgi.Pin(served, *attached, version_header=self.worker.version_header)

    def certificate(self) -> Certificate | None:
        """The files of the certificate; None if no option names them."""
        if not self.ssl_certfile:
            return None
        return Certificate(self.ssl_certfile, self.ssl_keyfile, self.ssl_keyfile_password, self.ssl_ca_certs)

    def _begin_as_a_worker(self) -> None:
        self.refresh.start()
        signals.unblock(reloads=self.refresh.on_signal)
        if multiprocessing.parent_process() is not None:
            orphans.watch_master(_master())

    @contextlib.contextmanager
    def _served(self) -> Iterator[None]:
        try:
            yield
        except SchemaMismatch as error:  # its text asks for a full reload; the command is added here
            self._leave(f"{error}: {signals.full_reload_of(_master()) if self.workers > 1 else 'restart uvicorn'}")
        except ConfcastError as error:
            self._leave(str(error))
        except Exception as error:  # the schema's module may raise anything
            self._leave(f"the schema can't be imported: {type(error).__name__}: {error}")

    def _leave(self, why: str) -> NoReturn:
        _log.error(
            "confcast: this worker can't attach and exits: %s", why, extra=about("worker_not_attached", reason=why)
        )
        if self.workers > 1:
            time.sleep(_RESPAWN_PAUSE)
            # The master pings the worker twice a second, and waits five seconds for an answer, which a worker in a long
            # interpreter shutdown would not give.
            sys.stdout.flush()
            os._exit(1)
        sys.exit(1)


def _master() -> int:
    """The pid of the process that has spawned this worker, even if it is dead by now."""
    parent = multiprocessing.parent_process()
    return os.getppid() if parent is None or parent.pid is None else parent.pid


class _Wsgi:
    """A WSGI application, or a function that makes one: uvicorn finds out which by calling it."""

    def __init__(self, app: Callable[..., Any]) -> None:
        self._app = app

    def pin(self, replicas: Iterable[Replica[Any]], header: str | None) -> None:
        """Have each request see one version from now on."""
        self._app = wsgi.Pin(self._app, *replicas, version_header=header)

    def __call__(self, *arguments: Any) -> Any:
        """Serve a request. Without arguments, call the factory, or raise TypeError, as an application does, if none."""
        if not arguments:
            self._app = self._app()
            return self
        body = self._app(*arguments)
        return body if isinstance(body, wsgi.WHOLE) else _closed_after(body)


def _closed_after(body: Iterable[bytes]) -> Iterator[bytes]:
    try:
        yield from body
    finally:
        close = getattr(body, "close", None)
        if close is not None:
            close()
