"""gunicorn's hooks set a worker's signals, attach it, have a HUP renew its certificate, and pin each of its requests.

The class of a worker determines how it calls its application. sync, gthread: a request is pinned from its call to the
last byte of its body, while a thread votes and swaps. asgi, UvicornWorker: each ASGI request is pinned, and each
message of a WebSocket (middleware/asgi.py). gevent: each greenlet has its own pin; the connection's thread is a
greenlet, so code that never yields delays its worker's vote, as it delays every other request; and since no lock may
exist before the standard library is patched, a user's `post_fork` has no configuration with gevent. aiohttp: its
application gets a middleware (middleware/aiohttp.py), and so does the one that a user's function makes when the worker
runs. tornado: its own applications are not pinned. A worker of another class may call its application in an unknown
way: so its application is left unchanged, and a warning is logged.

A worker that can't attach exits with status 1, after a pause: statuses 3 and 4 would stop the whole server, and
without the pause gunicorn would respawn without end. The other workers go on serving.
"""

from __future__ import annotations

import inspect
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

from confcast import ConfcastError, ConfigLoader, Replica, SchemaMismatch, declared
from confcast.log_fields import about
from confcast.middleware import aiohttp, asgi, wsgi
from confcast.servers.common import signals
from confcast.servers.common.certificates import Renewal
from confcast.servers.common.lifespan import Lifespan
from confcast.servers.common.worker_refresh import Refresh
from confcast.servers.gunicorn import log

_RESPAWN_PAUSE = 1.0
BLOCKED = frozenset({signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1})
"""The signals that a booting worker must not lose: the master blocks them from before the fork to `take_signals`."""

RESET = frozenset({signal.SIGHUP, signal.SIGUSR1})
"""The signals that gunicorn gives their default action, which ends the process, before it sets its own handlers."""

_CONTEXT_BY_CONNECTION = ("gunicorn.workers.sync", "gunicorn.workers.gthread")


def take_signals(worker: Any) -> None:
    """In `post_fork`: set the handlers for the worker's boot, which may take seconds, and unblock the signals."""
    for number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT):
        # Until gunicorn sets a worker's handlers, the worker has the master's: they would queue a TERM that nothing in
        # this process reads, and the server's stop would wait its whole graceful timeout for this worker.
        signal.signal(number, signal.SIG_DFL)
    log.keep_files_that_can_t_be_reopened(worker.log)
    reset = worker.init_signals

    def init_signals() -> None:
        with signals.blocked(RESET):
            reset()
            signal.signal(signal.SIGHUP, signals.nothing)

    worker.init_signals = init_signals
    # By its own handler gevent would begin a greenlet in the midst of its patching; what that raises stops gunicorn.
    signal.signal(signal.SIGUSR1, lambda *_: worker.log.reopen_files())
    signal.signal(signal.SIGHUP, signals.nothing)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, BLOCKED)


def before_the_application(worker: Any, act: Callable[[], None]) -> None:
    """Call `act` now, in `post_fork`; in a worker that patches the standard library (gevent), once it is patched.

    A thread and its locks that were made before the patch would not be greenlets': all greenlets would stop while one
    waits for such a lock. gunicorn patches right after `post_fork`, and then sets signals.
    """
    if not hasattr(worker, "patch"):
        act()
        return
    reset = worker.init_signals

    def init_signals() -> None:
        reset()
        act()

    worker.init_signals = init_signals


def import_schema(worker: Any, loader: ConfigLoader[Any]) -> None:
    """Import the schema's module, which usually declares the replica, too. Raises SystemExit if that fails."""
    try:
        schema = loader.schema
    except Exception as error:  # the user's module may raise anything
        _leave(worker, f"the schema can't be imported: {type(error).__name__}: {error}")
    worker.log.debug(
        "confcast: the schema is %s.%s", schema.__module__, schema.__qualname__, extra=about("schema_imported")
    )


def attach(worker: Any, name: str, master: int) -> list[Replica[Any]]:
    """Attach the declared replicas of this name, and return them. Raises SystemExit; the log names `master`."""
    mine = [replica for replica in declared() if replica.name == name]
    try:
        for replica in mine:
            replica.attach()
    except SchemaMismatch as error:  # it asks for a full reload; the command is added here
        _leave(worker, f"{error}: {signals.full_reload_of(master)}")
    except ConfcastError as error:
        _leave(worker, str(error))
    return mine


def pin(worker: Any, replicas: list[Replica[Any]], header: str | None = None) -> None:
    """Have each request see one version, and its answer tell it. Must be called once the application is loaded."""
    attribute = "asgi" if hasattr(worker, "asgi") else "wsgi"
    app = getattr(worker, attribute)
    if speaks_asgi(worker):
        setattr(worker, attribute, asgi.Pin(Lifespan(app, partial(_leave, worker)), *replicas, version_header=header))
    elif speaks_wsgi(worker):
        setattr(worker, attribute, wsgi.Pin(app, *replicas, version_header=header))
    elif is_of("aiohttp", worker):
        setattr(worker, attribute, _pin_aiohttp(app, replicas, header))
    else:
        what = "a tornado application" if is_of("tornado", app) else f"the worker class {type(worker).__qualname__}"
        words = "confcast: the requests of %s are not pinned: each should be served within pin() of its Replica"
        worker.log.warning(words, what, extra=about("requests_not_pinned", what=what))


def _pin_aiohttp(app: Any, replicas: list[Replica[Any]], header: str | None) -> Any:
    """Pin an application, or the one that an asynchronous function makes, by itself or in a runner."""
    if not inspect.iscoroutinefunction(app):
        return aiohttp.pin(app, *replicas, version_header=header)

    async def make() -> Any:
        made = await app()
        aiohttp.pin(made.app if is_of("aiohttp.web_runner", made) else made, *replicas, version_header=header)
        return made

    return make


def renew_at_hup(worker: Any) -> None:
    """In a worker's main thread, before it serves: have a HUP, which the master passes on, renew the TLS certificate.

    sync and gthread make a context for each connection, from the files of that moment: they need no HUP. gevent, asgi
    and tornado make one context, by the setting `ssl_context`, and UvicornWorker makes one of uvicorn's. A worker of
    another class keeps its first certificate.
    """
    cfg = worker.cfg
    if not cfg.is_ssl or any(is_derived(module, type(worker)) for module in _CONTEXT_BY_CONNECTION):
        return
    is_known = speaks_asgi(worker) or speaks_wsgi(worker)
    keeps = f"this kind of worker keeps its TLS certificate: a renewed one takes {signals.full_reload_of(worker.ppid)}"
    files = (cfg.certfile, cfg.keyfile, cfg.ca_certs)
    renewal = Renewal(worker.log, files, without_contexts="" if is_known else keeps)
    if is_of("uvicorn", worker):
        theirs = worker.config.ssl_context_factory or (lambda config, default: default())
        worker.config.ssl_context_factory = renewal.noting(theirs)
    else:
        note = renewal.noting(cfg.ssl_context)
        cfg.set("ssl_context", lambda conf, default: note(conf, default))  # gunicorn counts the parameters
    refresh = Refresh(worker.log)
    refresh.start()
    signal.signal(signal.SIGHUP, lambda number, frame: refresh.later(renewal.renew))


def speaks_asgi(worker: Any) -> bool:
    """Whether the worker calls its application by ASGI; uvicorn's worker keeps an ASGI application as `wsgi`, too."""
    return hasattr(worker, "asgi") or (is_of("uvicorn", worker) and worker.config.interface != "wsgi")


def speaks_wsgi(worker: Any) -> bool:
    """Whether the worker calls its application by WSGI: gunicorn's own classes, their subclasses, uvicorn's if set so.

    For a class that is derived from gunicorn's base class only, this is unknown: the base class calls no application.
    """
    if is_of("uvicorn", worker):
        return not speaks_asgi(worker)
    modules = {base.__module__ for base in type(worker).__mro__} - {"gunicorn.workers.base"}
    known = any(module.startswith("gunicorn.workers.") for module in modules)
    return known and not hasattr(worker, "asgi") and not is_of("tornado", worker.wsgi)


def is_of(package: str, thing: Any) -> bool:
    """Whether an object's class, or one of its base classes, is defined in that package."""
    return is_derived(package, type(thing))


def is_derived(package: str, cls: type) -> bool:
    """Whether this class, or one of its base classes, is defined in that package."""
    return any(base.__module__.startswith(package) for base in cls.__mro__)


def _leave(worker: Any, why: str) -> NoReturn:
    worker.log.error(
        "confcast: this worker can't attach and exits: %s", why, extra=about("worker_not_attached", reason=why)
    )
    time.sleep(_RESPAWN_PAUSE)
    sys.exit(1)
