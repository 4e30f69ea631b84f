"""The servers that a run may have, each with the rig's application, all options, and workers of its own kind."""

from __future__ import annotations

import json
import os
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support import granian, gunicorn, hypercorn, uvicorn
from tests.support.celery import Server as Celery
from tests.support.server import Server
from tests.torture import content
from tests.torture.jobs import Jobs, Served
from tests.torture.options import PROBE, Options

APPLICATION = Path(__file__).with_name("application")
ROOT = Path(__file__).parents[2]

Make = Callable[[Path, Options, dict[str, str]], Server]

_CONF = """\
from confcast import Canary, probes
from confcast.servers import gunicorn as confcast_gunicorn
from sources import loader

bind = "127.0.0.1:0"
wsgi_app = {application!r}
workers = {workers}
graceful_timeout = 10
control_socket_disable = True
{more}
probe = probes.Command({probe!r}, every=1.0)
confcast_gunicorn.install(globals(), loader, canary={canary}, probes=[probe], **{options!r})
"""


def python_path() -> str:
    """What this process has, too: a copy of the package may stand before the package."""
    return os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), str(ROOT))))


def make(server: str, folder: Path, options: Options, environment: dict[str, str]) -> Server:
    """That server, not started. Raises KeyError."""
    made = SERVERS[server](folder, options, {"PYTHONPATH": python_path(), **environment})
    shutil.copytree(APPLICATION, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "app.toml").write_text(content.text(1))
    return made


def _gunicorn(more: str = "", application: str = "app:app") -> Make:
    def make(folder: Path, options: Options, environment: dict[str, str]) -> Server:
        server = gunicorn.Server(folder, environment=environment)
        canary = ", ".join(f"{name}={value!r}" for name, value in options.trials().items())
        conf = _CONF.format(
            application=application,
            workers=options.workers,
            more=more,
            canary=f"Canary({canary})" if canary else None,
            options=options.manager(),
            probe=PROBE,
        )
        (folder / "conf.py").write_text(conf)
        return server

    return make


def _launched(kind: Callable[..., Server]) -> Make:
    def make(folder: Path, options: Options, environment: dict[str, str]) -> Server:
        arguments = (*getattr(kind, "ARGUMENTS", ()), *flags(options))
        return kind(folder, workers=options.workers, watch=True, arguments=arguments, environment=environment)

    return make


def flags(options: Options) -> list[str]:
    """The manager's options on a command line."""
    given: dict[str, Any] = {**options.manager(), "probe": shlex.join(PROBE)}
    trials = options.trials()
    if trials:
        given["canary"] = trials.pop("size")
        given |= {f"canary_{'for' if name == 'seconds' else name}": value for name, value in trials.items()}
    return [part for name, value in given.items() for part in ("--" + name.replace("_", "-"), str(value))]


def _as_data(options: Options) -> dict[str, Any]:
    return {**options.manager(), "canary": options.trials() or None, "probes": PROBE}


def _celery(folder: Path, options: Options, environment: dict[str, str]) -> Server:
    port = int(environment.pop("BROKER_PORT"))
    environment["OPTIONS"] = json.dumps(_as_data(options))
    return Celery(folder, port, concurrency=options.workers, watch=True, environment=environment)


def _jobs(folder: Path, options: Options, environment: dict[str, str]) -> Server:
    return Jobs(folder, workers=options.workers, options=_as_data(options), environment=environment)


def _served(folder: Path, options: Options, environment: dict[str, str]) -> Server:
    return Served(folder, workers=options.workers, options=flags(options), environment=environment)


SERVERS: dict[str, Make] = {
    "gunicorn": _gunicorn(),
    "gunicorn-threads": _gunicorn("worker_class = 'gthread'\nthreads = 4"),
    "gunicorn-gevent": _gunicorn("worker_class = 'gevent'"),
    "gunicorn-asgi": _gunicorn("worker_class = 'asgi'", "asgi_app:app"),
    "uvicorn": _launched(uvicorn.Server),
    "granian": _launched(granian.Server),
    "granian-wsgi": _launched(granian.WsgiServer),
    "hypercorn": _launched(hypercorn.Server),
    "celery": _celery,
    "multiprocessing": _jobs,
    "serve": _served,
}
"""By the name that `--server` has."""
