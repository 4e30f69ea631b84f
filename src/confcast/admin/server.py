"""The process: what it listens on, its start, and its end.

Guarantees. It listens on loopback unless TLS, or a proxy that does it, is said to be there. It ends within some seconds
of TERM, also with streams open and owners that hang. While nobody asks, nothing in it wakes up: uvicorn's own loop,
which looks ten times a second whether it has to end, is replaced by a wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import msgspec
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from confcast.admin.app import Admin
from confcast.admin.calls import Calls
from confcast.admin.connections import Waiting, protocol
from confcast.admin.fleet_state import Ask
from confcast.admin.guard import ALWAYS
from confcast.admin.limits import Limits
from confcast.admin.owners import Owners, Which
from confcast.admin.tokens import Tokens
from confcast.errors import ConfcastError
from confcast.fleet.gateway.doors import Tls, address
from confcast.fleet.gateway.errors import DoorError
from confcast.wire.open_files import room_for

_BACKLOG = 1024
_SPARE = 100
"""Descriptors for what is no connection of a client."""


class CanNotStart(ConfcastError):
    """It can't be started like this; the text says why."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What it is started with.

    Attributes:
        bind: HOST:PORT.
        which: The owner that is meant; by default, all of this user.
        token_file: The file of tokens.
        hosts: Further names of this server, as its clients have them in `Host`.
        tls_cert: The certificate; empty for plain HTTP.
        tls_key: Its key; empty if it is in `tls_cert`.
        behind_proxy: Whether a proxy does TLS, so that plain HTTP may be listened for on a network.
        limits: The bounds.
    """

    bind: str
    which: Which = Which()
    token_file: Path
    hosts: tuple[str, ...] = ()
    tls_cert: str = ""
    tls_key: str = ""
    behind_proxy: bool = False
    limits: Limits = Limits()


class _Server(uvicorn.Server):
    """A server that waits for its end, and does not look for it."""

    def __init__(self, config: uvicorn.Config, admin: Admin, limits: Limits) -> None:
        super().__init__(config)
        self._admin, self._within = admin, limits.head_within
        self._ended = asyncio.Event()

    def end(self) -> None:
        """End in order."""
        self.should_exit = True
        self._admin.close()
        self._ended.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's; but a client that does not end its handshake is not waited for for a minute."""
        connection: Any = self.config.http_protocol_class
        make = partial(
            connection,
            config=self.config,
            server_state=self.server_state,
            app_state=self.lifespan.state,
        )
        how: dict[str, Any] = {"ssl": self.config.ssl, "backlog": _BACKLOG}
        if self.config.ssl is not None:
            how["ssl_handshake_timeout"] = self._within
        loop = asyncio.get_running_loop()
        self.servers = [await loop.create_server(make, sock=each, **how) for each in sockets or ()]
        self.started = True

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self._ended.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.end)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)


async def serve(options: Options, listening: Callable[[str, bool], None], fleet: Ask | None = None) -> None:
    """Serve until TERM or INT.

    Args:
        options: What it is started with.
        listening: Called with the URL once clients can connect, and with whether the file of tokens was made.
        fleet: Asks for the fleet's state; None where there is no fleet.

    Raises:
        CanNotStart, BadTokens: It can't be started like this.
    """
    limits, tls = options.limits, _tls(options)
    with _listener(options) as listener:
        tokens, calls = Tokens(options.token_file), Calls(limits.calls, patience=limits.turn_within)
        host, port = listener.getsockname()[:2]
        scheme = "http" if tls is None else "https"
        admin = Admin(Owners(options.which, calls), calls, tokens, limits, fleet)
        app = admin.application(_origins(scheme, host, port, options.hosts))
        config = _config(app if tls is None else _renewing(app, tls), limits)
        config.load()
        config.ssl = None if tls is None else tls.context
        server = _Server(config, admin, limits)
        listening(f"{scheme}://{_in_url(host)}:{port}", tokens.made)
        await server.serve(sockets=[listener])


def _config(app: ASGIApp, limits: Limits) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=protocol(Waiting(limits), max(1, room_for(limits.connections + _SPARE) - _SPARE), ALWAYS),
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",  # a warning for each request that is none would let strangers fill the log
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        h11_max_incomplete_event_size=limits.head,
        timeout_keep_alive=max(1, int(limits.head_within)),
        timeout_graceful_shutdown=max(1, int(limits.closing)),
    )


def _tls(options: Options) -> Tls | None:
    """The certificate; None for plain HTTP. Raises CanNotStart."""
    if not options.tls_cert:
        return None
    try:
        return Tls(options.tls_cert, options.tls_key, "")
    except DoorError as error:
        raise CanNotStart(f"--tls-cert {error}") from error


def _renewing(app: ASGIApp, tls: Tls) -> ASGIApp:
    """The application; a renewed certificate is shown to the connections after the next request."""

    async def renewing(scope: Scope, receive: Receive, send: Send) -> None:
        tls.refresh()
        await app(scope, receive, send)

    return renewing


def _listener(options: Options) -> socket.socket:
    """The socket, bound. Raises CanNotStart."""
    try:
        where = address(options.bind, "--bind")
    except DoorError as error:
        raise CanNotStart(str(error)) from error
    if not where.is_loopback and not options.tls_cert and not options.behind_proxy:
        raise CanNotStart(
            f"--bind {where}: tokens would travel in clear text: give --tls-cert, or --behind-proxy if a proxy does "
            "TLS, or bind to 127.0.0.1"
        )
    try:
        found = socket.getaddrinfo(where.host, where.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.socket(found[0], socket.SOCK_STREAM)
    except OSError as error:
        raise CanNotStart(f"--bind {where}: {error.strerror or error}") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(found[4])
        listener.listen(_BACKLOG)
        if ip_address(listener.getsockname()[0].partition("%")[0]).is_unspecified and not options.hosts:
            raise CanNotStart(f"--bind {where}: say by --allow-host which names its clients call it by")
    except OSError as error:
        listener.close()
        raise CanNotStart(f"--bind {where}: {error.strerror}") from error
    except CanNotStart:
        listener.close()
        raise
    return listener


def _is_loopback(host: str) -> bool:
    return ip_address(host.partition("%")[0]).is_loopback


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _origins(scheme: str, host: str, port: int, further: tuple[str, ...]) -> list[str]:
    """The origins that are this server."""
    names = [_in_url(host), *(["localhost", "127.0.0.1", "[::1]"] if _is_loopback(host) else [])]
    usual = {"http": 80, "https": 443}[scheme]
    own = [f"{scheme}://{name}{'' if port == usual else f':{port}'}" for name in names]
    return [*own, *(f"{each}://{name}" for name in further for each in ("http", "https"))]
