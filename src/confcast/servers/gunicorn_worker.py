"""What gunicorn's hooks do inside a worker: heed signals, attach, pin each request.

A worker that can't be served leaves with status 1, after a pause: statuses 3 and 4 would stop the whole server, and
without the pause the respawning would spin. The others go on serving.
"""

from __future__ import annotations

import signal
import sys
import time
from typing import Any, NoReturn

from confcast import ConfcastError, ConfigLoader, Replica, declared
from confcast.middleware import asgi, wsgi

_RESPAWN_PAUSE = 1.0


def take_signals(worker: Any) -> None:
    """Have signals do what they should while the worker boots, which may take seconds."""
    for number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT):
        # Until gunicorn sets a worker's handlers the master's are inherited: they would queue a TERM that nobody in
        # here ever reads, and the server's stop would wait its whole graceful timeout for this worker.
        signal.signal(number, signal.SIG_DFL)
    reset = worker.init_signals

    def init_signals() -> None:
        # gunicorn gives SIGHUP its default action here, and a HUP for the whole process group would kill the worker.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
        try:
            reset()
            signal.signal(signal.SIGHUP, lambda number, frame: None)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})

    worker.init_signals = init_signals


def import_schema(worker: Any, loader: ConfigLoader[Any]) -> None:
    """Import the schema's module, which usually declares the replica, too."""
    try:
        schema = loader.schema
    except Exception as error:  # whatever the user's module raises
        _leave(worker, f"the schema can't be imported: {type(error).__name__}: {error}")
    worker.log.debug("confcast: the schema is %s.%s", schema.__module__, schema.__qualname__)


def attach(worker: Any, name: str) -> list[Replica[Any]]:
    """Attach what is declared under this name by now, and give it."""
    mine = [replica for replica in declared() if replica.name == name]
    try:
        for replica in mine:
            replica.attach()
    except ConfcastError as error:
        _leave(worker, str(error))
    return mine


def pin(worker: Any, replicas: list[Replica[Any]]) -> None:
    """Have each request see one version; to be called when the application is loaded."""
    if hasattr(worker, "asgi"):
        worker.asgi = asgi.Pin(worker.asgi, *replicas)
    elif _is_uvicorns(worker):  # it keeps an ASGI application under that name
        worker.wsgi = asgi.Pin(worker.wsgi, *replicas)
    else:
        worker.wsgi = wsgi.Pin(worker.wsgi, *replicas)


def _is_uvicorns(worker: Any) -> bool:
    """Whether it is uvicorn's worker, or a class derived from it."""
    return any(base.__module__.startswith("uvicorn") for base in type(worker).__mro__)


def _leave(worker: Any, why: str) -> NoReturn:
    worker.log.error("confcast: this worker can't attach and exits: %s", why)
    time.sleep(_RESPAWN_PAUSE)
    sys.exit(1)
