"""What gunicorn's hooks do inside a worker: heed signals, attach, pin each request.

How a worker calls its application is told by its class. sync, gthread: a request is pinned from its call to the last
byte of its body; votes and swaps go on in a thread beside it. asgi, UvicornWorker: so is each ASGI request, and each
message of a WebSocket (middleware/asgi.py). gevent: each greenlet has its own pin; the reading thread is a greenlet,
so code that never yields holds up its worker's vote, as it holds up every other request; and since nothing of ours may
exist before the standard library is patched, a user's `post_fork` has no configuration yet there. aiohttp's: its
application gets a middleware (middleware/aiohttp.py), and so does the one that a function of the user's makes when the
worker runs. tornado: its own applications are not pinned. A class that is none of these may want its application to be
of a kind that we do not know: it is left as it is, and that is said.

A worker that can't be served leaves with status 1, after a pause: statuses 3 and 4 would stop the whole server, and
without the pause the respawning would spin. The others go on serving.
"""

from __future__ import annotations

import inspect
import signal
import sys
import time
from collections.abc import Callable, Collection, Container
from types import FrameType
from typing import Any, NoReturn

from confcast import ConfcastError, ConfigLoader, Replica, SchemaMismatch, declared
from confcast.middleware import aiohttp, asgi, wsgi
from confcast.servers.gunicorn import log

_RESPAWN_PAUSE = 1.0
_RESET = frozenset({signal.SIGHUP, signal.SIGUSR1})


def take_signals(worker: Any, held: Collection[signal.Signals]) -> None:
    """Have signals do what they should while the worker boots, which may take seconds.

    Args:
        worker: gunicorn's, in `post_fork`.
        held: What the master has held back since before the fork; let through now.
    """
    for number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT):
        # Until gunicorn sets a worker's handlers the master's are inherited: they would queue a TERM that nobody in
        # here ever reads, and the server's stop would wait its whole graceful timeout for this worker.
        signal.signal(number, signal.SIG_DFL)
    log.keep_what_can_t_be_reopened(worker.log)
    reset = worker.init_signals

    def init_signals() -> None:
        # gunicorn gives these their default actions here: a HUP for the whole process group, or a USR1, would kill it.
        signal.pthread_sigmask(signal.SIG_BLOCK, _RESET)
        try:
            reset()
            signal.signal(signal.SIGHUP, _nothing)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _RESET)

    worker.init_signals = init_signals
    signal.signal(signal.SIGUSR1, worker.handle_usr1)
    signal.signal(signal.SIGHUP, _nothing)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, held)


def _nothing(number: int, frame: FrameType | None) -> None:
    """A HUP is the master's business. SIG_IGN would be inherited by every program that the worker starts."""


def before_the_application(worker: Any, act: Callable[[], None]) -> None:
    """Act now, in `post_fork`; in a worker that patches the standard library (gevent, eventlet), when it has done so.

    What is made before, a thread and its locks, would be of the other kind than what waits for it later: every
    greenlet would stand still while one waits. gunicorn patches right after `post_fork`, and sets signals after that.
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
    """Import the schema's module, which usually declares the replica, too."""
    try:
        schema = loader.schema
    except Exception as error:  # whatever the user's module raises
        _leave(worker, f"the schema can't be imported: {type(error).__name__}: {error}")
    worker.log.debug("confcast: the schema is %s.%s", schema.__module__, schema.__qualname__)


def attach(worker: Any, name: str, master: int) -> list[Replica[Any]]:
    """Attach what is declared under this name by now, and give it; `master` is who a full reload is asked of."""
    mine = [replica for replica in declared() if replica.name == name]
    try:
        for replica in mine:
            replica.attach()
    except SchemaMismatch as error:  # it says what to do; how, is known here
        _leave(worker, f"{error}: kill -RTMIN {master}" if hasattr(signal, "SIGRTMIN") else str(error))
    except ConfcastError as error:
        _leave(worker, str(error))
    return mine


def warn_of_no_replica(worker: Any, name: str, installed: Container[str]) -> None:
    """Nobody declared this name; somebody who declared another one has probably forgotten `name=`."""
    others = list(dict.fromkeys(repr(replica.name) for replica in declared() if replica.name not in installed))
    how = f"name={others[0]}" if len(others) == 1 else "one of these as name="
    hint = f"; declared here: {', '.join(others)}: pass {how} to install()" if others else ""
    worker.log.warning("confcast: no Replica named %r is declared in this worker%s", name, hint)


def pin(worker: Any, replicas: list[Replica[Any]]) -> None:
    """Have each request see one version; to be called when the application is loaded."""
    attribute = "asgi" if hasattr(worker, "asgi") else "wsgi"
    app = getattr(worker, attribute)
    if speaks_asgi(worker):
        setattr(worker, attribute, asgi.Pin(app, *replicas))
    elif speaks_wsgi(worker):
        setattr(worker, attribute, wsgi.Pin(app, *replicas))
    elif is_of("aiohttp", worker):
        setattr(worker, attribute, _pin_aiohttp(app, replicas))
    else:
        what = "a tornado application" if is_of("tornado", app) else f"the worker class {type(worker).__qualname__}"
        words = "confcast: the requests of %s are not pinned: each should be served within pin() of its Replica"
        worker.log.warning(words, what)


def _pin_aiohttp(app: Any, replicas: list[Replica[Any]]) -> Any:
    """It is an application, or an asynchronous function that makes one, or a runner that has one."""
    if not inspect.iscoroutinefunction(app):
        return aiohttp.pin(app, *replicas)

    async def make() -> Any:
        made = await app()
        aiohttp.pin(made.app if is_of("aiohttp.web_runner", made) else made, *replicas)
        return made

    return make


def speaks_asgi(worker: Any) -> bool:
    """Whether it calls its application as ASGI does; uvicorn's keeps such a one as `wsgi`."""
    return hasattr(worker, "asgi") or (is_of("uvicorn", worker) and worker.config.interface != "wsgi")


def speaks_wsgi(worker: Any) -> bool:
    """Whether it calls its application as WSGI does: gunicorn's own, what is derived from them, and uvicorn's if told.

    Not what is derived from gunicorn's base alone, which calls nothing.
    """
    if is_of("uvicorn", worker):
        return not speaks_asgi(worker)
    modules = {base.__module__ for base in type(worker).__mro__} - {"gunicorn.workers.base"}
    known = any(module.startswith("gunicorn.workers.") for module in modules)
    return known and not hasattr(worker, "asgi") and not is_of("tornado", worker.wsgi)


def is_of(package: str, thing: Any) -> bool:
    """Whether its class, or one that this is derived from, is of that package."""
    return is_derived(package, type(thing))


def is_derived(package: str, cls: type) -> bool:
    """Whether this class, or one that it is derived from, is of that package."""
    return any(base.__module__.startswith(package) for base in cls.__mro__)


def _leave(worker: Any, why: str) -> NoReturn:
    worker.log.error("confcast: this worker can't attach and exits: %s", why)
    time.sleep(_RESPAWN_PAUSE)
    sys.exit(1)
