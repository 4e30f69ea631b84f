"""After a HUP of the master, gunicorn's workers serve new connections with the renewed TLS certificate.

sync and gthread make a context for each connection, from the files of that moment: they need no HUP. gevent, asgi and
tornado make one context at their start, by the setting `ssl_context`; UvicornWorker makes one of uvicorn's. In these
workers a HUP makes a second context as the first one was made. The first context's `sni_callback`, which OpenSSL calls
in every handshake, with or without a server name, gives each new connection the second context. So certificate, key,
client authorities, and what a user's `ssl_context` does, are taken over together or, when the files don't fit together,
not at all; open connections stay. A `sni_callback` of the user's belongs to the second context, and is called.

The master passes the HUP on to its workers, whose handler only enqueues: a thread makes the context. A worker of
another class keeps its first certificate; the log says that a renewed certificate takes a full reload.

Rejected: `load_cert_chain` into the context that serves (a pair that does not fit leaves it without a key), exchanging
the context in the server's objects (private in gevent and asyncio), and reading the files when nothing about them has
changed (each HUP would cost each worker some milliseconds).
"""

from __future__ import annotations

import inspect
import os
import queue
import signal
import ssl
import threading
import weakref
from collections.abc import Callable
from typing import Any

from confcast.servers.gunicorn.worker import is_derived, is_of, speaks_asgi, speaks_wsgi

Context = ssl.SSLContext
_BY_CONNECTION = ("gunicorn.workers.sync", "gunicorn.workers.gthread")


def renew_at_hup(worker: Any, full_reload: str) -> None:
    """In a worker's main thread, before it serves: have a HUP renew the certificate.

    Args:
        worker: gunicorn's worker object.
        full_reload: What an operator has to do where a certificate can't be renewed here, in words.
    """
    if worker.cfg.is_ssl and not any(is_derived(module, type(worker)) for module in _BY_CONNECTION):
        uvicorns = is_of("uvicorn", worker)
        made = _UvicornContexts(worker.config) if uvicorns else _GunicornContexts(worker.cfg)
        _Renewal(worker, made, full_reload).begin()


class _GunicornContexts:
    """The contexts that a worker makes by gunicorn's `ssl_context`."""

    def __init__(self, cfg: Any) -> None:
        self._cfg = cfg
        self._serving: weakref.WeakSet[Context] = weakref.WeakSet()
        make: Callable[[Any, Callable[[], Context]], Context] = cfg.ssl_context

        def remember(conf: Any, default: Callable[[], Context]) -> Context:
            context = make(conf, default)
            self._serving.add(context)
            return context

        cfg.set("ssl_context", remember)

    def serving(self) -> list[Context]:
        return list(self._serving)

    def make(self) -> Context:
        from gunicorn.sock import ssl_context  # type: ignore[import-untyped]

        fresh: Context = ssl_context(self._cfg)
        self._serving.discard(fresh)
        return fresh


class _UvicornContexts:
    """The context that uvicorn has made in a gunicorn worker."""

    def __init__(self, config: Any) -> None:
        self._config = config

    def serving(self) -> list[Context]:
        context = getattr(self._config, "ssl", None)  # uvicorn sets it when it starts
        return [context] if context is not None else []

    def make(self) -> Context:
        config = self._config
        if config.ssl_context_factory is None:
            return self._default()
        made: Context = config.ssl_context_factory(config, self._default)
        return made

    def _default(self) -> Context:
        from uvicorn.config import create_ssl_context

        config = self._config
        spoken: dict[str, Any] = {}  # a uvicorn that can announce protocols, such as HTTP/2
        if "alpn_protocols" in inspect.signature(create_ssl_context).parameters:
            spoken["alpn_protocols"] = getattr(config.http_protocol_class, "alpn_protocols", None)
        return create_ssl_context(
            certfile=config.ssl_certfile,
            keyfile=config.ssl_keyfile,
            password=config.ssl_keyfile_password,
            ssl_version=config.ssl_version,
            cert_reqs=config.ssl_cert_reqs,
            ca_certs=config.ssl_ca_certs,
            ciphers=config.ssl_ciphers,
            **spoken,
        )


class _Renewal:
    """The renewals of one worker: the signal handler enqueues, and a thread makes the context."""

    def __init__(self, worker: Any, made: _GunicornContexts | _UvicornContexts, full_reload: str) -> None:
        self._log, self._cfg = worker.log, worker.cfg
        self._made = made
        self._is_known = speaks_asgi(worker) or speaks_wsgi(worker)
        self._full_reload = full_reload
        self._asked: queue.SimpleQueue[None] = queue.SimpleQueue()  # its put may interrupt a put, in a handler
        self._files = self._look()

    def begin(self) -> None:
        signal.signal(signal.SIGHUP, lambda number, frame: self._asked.put(None))
        threading.Thread(target=self._run, name="confcast-certificates", daemon=True).start()

    def _look(self) -> list[tuple[int, ...]]:
        """The identity, time and size of each file, which differ when a file was changed or replaced."""
        paths = [path for path in (self._cfg.certfile, self._cfg.keyfile, self._cfg.ca_certs) if path]
        found = [os.stat(path) for path in paths if os.path.exists(path)]  # noqa: PTH110, PTH116 - as they are given
        return [(each.st_dev, each.st_ino, each.st_mtime_ns, each.st_size) for each in found]

    def _run(self) -> None:
        while True:
            self._asked.get()
            try:
                self._renew()
            except Exception as error:  # a user's ssl_context may raise anything
                words = "confcast: the TLS certificate is not renewed, the old one stays: %s: %s"
                self._log.error(words, type(error).__name__, error)

    def _renew(self) -> None:
        files = self._look()
        if files == self._files:
            return
        serving = self._made.serving()
        if not serving and self._is_known:  # its context, made in a moment, has these files
            return
        if not serving:
            self._files = files
            self._log.warning(
                "confcast: this kind of worker keeps its TLS certificate: a renewed one %s", self._full_reload
            )
            return
        fresh = self._made.make()
        for context in serving:
            context.sni_callback = _handing_over_to(fresh)
        self._files = files
        self._log.info("confcast: new connections get the renewed TLS certificate, %s", self._cfg.certfile)


def _handing_over_to(fresh: Context) -> Callable[[Any, Any, Context], int | None]:
    theirs = fresh.sni_callback

    def answer(connection: Any, name: Any, context: Context) -> int | None:  # the name may be None
        connection.context = fresh
        return theirs(connection, name, fresh) if theirs is not None else None

    return answer
