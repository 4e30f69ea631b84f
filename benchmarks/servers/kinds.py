"""The servers, and how each is started: alone, as it is today, and with confcast; nothing else differs between the two.

Access logs are off where they would be on, and four workers are asked for. Left out: what serves no HTTP (celery, pools
of processes), and gunicorn's `--preload`, which never loads an application again.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Literal, NamedTuple

Side = Literal["today", "confcast"]
SIDES: tuple[Side, Side] = ("today", "confcast")
WORKERS = 4
_APP = "benchmarks.servers.app"
_LOADER = "benchmarks.servers.sources:loader"


class Kind(NamedTuple):
    """A server as it is measured.

    Attributes:
        name: By which `--servers` chooses it.
        packages: What its figures depend on, as distributions are named.
        today: The arguments of Python that start it alone on a port.
        confcast: And with confcast.
        is_variant: One of several of the same server: its HUP is measured, and the rest only if it is chosen by name.
    """

    name: str
    packages: tuple[str, ...]
    today: Callable[[int], list[str]]
    confcast: Callable[[int], list[str]]
    is_variant: bool = False

    def command(self, side: Side, port: int) -> list[str]:
        """What starts it."""
        arguments = self.today(port) if side == "today" else self.confcast(port)
        return [sys.executable, "-m", *arguments]


def _gunicorn(name: str, worker: str, *packages: str, is_variant: bool = False) -> Kind:
    interface = "wsgi" if worker in ("sync", "gthread") else "asgi"

    def today(port: int) -> list[str]:
        bind = ["-b", f"127.0.0.1:{port}", "-w", str(WORKERS), "-k", worker]
        return ["gunicorn", "--no-control-socket", "--log-level", "warning", *bind, f"{_APP}:{interface}"]

    def confcast(port: int) -> list[str]:
        return [*today(port), "-c", "python:benchmarks.servers.gunicorn_conf"]

    return Kind(name, ("gunicorn", *packages), today, confcast, is_variant)


def _launched(name: str, *arguments: str) -> Kind:
    """A server whose confcast side is a launcher that takes the server's own arguments."""

    def filled(port: int) -> list[str]:
        return [argument.format(port=port, workers=WORKERS) for argument in (*arguments, f"{_APP}:asgi")]

    def today(port: int) -> list[str]:
        return [name, *filled(port)]

    def confcast(port: int) -> list[str]:
        return [f"confcast.servers.{name}", "--loader", _LOADER, "--no-watch", *filled(port)]

    return Kind(name, (name,), today, confcast)


_ADDRESS = ("--host", "127.0.0.1", "--port", "{port}", "--workers", "{workers}")
KINDS = (
    _gunicorn("gunicorn", "sync"),
    _gunicorn("gunicorn-gthread", "gthread", is_variant=True),
    _gunicorn("gunicorn-asgi", "asgi"),
    _gunicorn("gunicorn-uvicorn", "uvicorn_worker.UvicornWorker", "uvicorn", "uvicorn-worker", is_variant=True),
    _launched("uvicorn", *_ADDRESS, "--no-access-log", "--log-level", "warning"),
    _launched("granian", *_ADDRESS, "--interface", "asgi", "--log-level", "warning"),
    _launched("hypercorn", "-b", "127.0.0.1:{port}", "-w", "{workers}", "--log-level", "WARNING"),
)
