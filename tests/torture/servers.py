"""The servers that a run may have, each with the rig's application, all options, and workers of its own kind."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from tests.support import granian, gunicorn, hypercorn, uvicorn
from tests.support.server import Server
from tests.torture import content
from tests.torture.options import Options

APPLICATION = Path(__file__).with_name("application")
ROOT = Path(__file__).parents[2]

Make = Callable[[Path, Options, dict[str, str]], Server]

_CONF = """\
from confcast import Canary
from confcast.servers import gunicorn as confcast_gunicorn
from sources import loader

bind = "127.0.0.1:0"
wsgi_app = {application!r}
workers = {workers}
graceful_timeout = 10
control_socket_disable = True
{more}
confcast_gunicorn.install(globals(), loader, canary={canary}, **{options!r})
"""


def make(server: str, folder: Path, options: Options, history: Path) -> Server:
    """That server, not started. Raises KeyError."""
    environment = {"HISTORY": str(history), "PYTHONPATH": str(ROOT)}
    made = SERVERS[server](folder, options, environment)
    shutil.copytree(APPLICATION, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "app.toml").write_text(content.text(1))
    return made


def _gunicorn(more: str = "", application: str = "app:app") -> Make:
    def make(folder: Path, options: Options, environment: dict[str, str]) -> Server:
        server = gunicorn.Server(folder, environment=environment)
        conf = _CONF.format(
            application=application,
            workers=options.workers,
            more=more,
            canary=_canary(options),
            options=options.manager(),
        )
        (folder / "conf.py").write_text(conf)
        return server

    return make


def _canary(options: Options) -> str:
    if options.canary is None:
        return "None"
    size = "1" if options.canary == "worker" else "'50%'"
    return f"Canary({size}, seconds={options.trial}, by={options.canary!r}, min_requests=5)"


def _launched(kind: Callable[..., Server]) -> Make:
    def make(folder: Path, options: Options, environment: dict[str, str]) -> Server:
        given = [part for name, value in options.manager().items() for part in _flag(name, value)]
        if options.canary is not None:
            size = "1" if options.canary == "worker" else "50%"
            given += ["--canary", size, "--canary-for", f"{options.trial}", "--canary-by", options.canary]
            given += ["--canary-min-requests", "5"]
        arguments = (*getattr(kind, "ARGUMENTS", ()), *given)
        return kind(folder, workers=options.workers, watch=True, arguments=arguments, environment=environment)

    return make


def _flag(name: str, value: object) -> tuple[str, str]:
    return "--" + name.replace("_", "-"), str(value)


SERVERS: dict[str, Make] = {
    "gunicorn": _gunicorn(),
    "gunicorn-threads": _gunicorn("worker_class = 'gthread'\nthreads = 4"),
    "gunicorn-gevent": _gunicorn("worker_class = 'gevent'"),
    "gunicorn-asgi": _gunicorn("worker_class = 'asgi'", "asgi_app:app"),
    "uvicorn": _launched(uvicorn.Server),
    "granian": _launched(granian.Server),
    "granian-wsgi": _launched(granian.WsgiServer),
    "hypercorn": _launched(hypercorn.Server),
}
"""By the name that `--server` has."""
