"""The HTTP server: aiohttp with the bounds that it leaves to its users.

Guarantees. A connection beyond the bound is answered 503 and closed, before anything is read of it. One that is no
request's for some seconds is closed: it says nothing, or sends its headers letter by letter. Headers, paths and bodies
are bounded by aiohttp. Whatever a request raises is answered with a number and a line of text, and ends it alone.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import Counter
from collections.abc import Awaitable, Callable

from aiohttp import web

from confcast.fleet.engines import gateway_lines
from confcast.fleet.gateway.disk_thread import DiskThread
from confcast.fleet.gateway.doors import Address, Tls, Tokens
from confcast.fleet.gateway.errors import DoorError
from confcast.fleet.gateway.limits import Limits
from confcast.fleet.gateway.streams import Service
from confcast.fleet.gateway.topic import Topic
from confcast.log_fields import about
from confcast.texts import printable

_LOOKS = 1.0  # seconds between two looks at the connections
_BACKLOG = 4096  # a fleet that comes at once; the kernel has a bound of its own, see somaxconn
_OPEN = "/healthz"
_GREEDY = "this host has too many requests at once\n"
_UNKNOWN = "a token of the gateway's --token-file is expected, as Authorization: Bearer TOKEN\n"

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_log = logging.getLogger("confcast.fleet")


class GatewayServer:
    """Listens, and serves hosts. For one loop.

    Args:
        topics: The keys.
        limits: The bounds.
        tokens: Those that are let in; None: no token is asked for.
        tls: The certificate; None for plain HTTP.

    Attributes:
        service: What is served.
        refused: How many connections were one too many.
    """

    def __init__(
        self, topics: dict[str, Topic], limits: Limits, tokens: Tokens | None = None, tls: Tls | None = None
    ) -> None:
        self._topics, self._limits, self._tokens, self._tls = topics, limits, tokens, tls
        self.service = Service(topics, limits, self._is_allowed)
        self.refused = 0
        self._runner = web.AppRunner(
            self._application(),
            access_log=None,
            logger=_HttpLog("confcast.fleet.http"),
            handle_signals=False,
            handler_cancellation=True,  # a stream has to end when its host goes, not at its next line
            keepalive_timeout=limits.idle,
            lingering_time=1.0,
            auto_decompress=False,
            shutdown_timeout=limits.closing,
        )
        self._listening: asyncio.Server | None = None
        self._requests: set[object] = set()
        self._of_host: Counter[str] = Counter()
        self._files = DiskThread()
        self._idle: dict[web.RequestHandler, float] = {}
        self._beside: list[asyncio.Task[None]] = []

    async def listen(self, where: Address) -> Address:
        """Begin to listen. Returns the address; its port is a free one where 0 was asked for. Raises DoorError."""
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        tls, patience = (self._tls.context, self._limits.request) if self._tls is not None else (None, None)
        try:
            self._listening = await loop.create_server(
                self._connection, where.host, where.port, backlog=_BACKLOG, ssl=tls, ssl_handshake_timeout=patience
            )
        except OSError as error:
            await self._runner.cleanup()
            known = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or error
            raise DoorError(f"--listen {where}: {known}") from error
        self._beside = [asyncio.create_task(each) for each in (self._sweep(), self._look_at_files())]
        return Address(where.host, self._listening.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stop listening, end the streams in order, and close all connections."""
        if self._listening is not None:
            self._listening.close()
        for topic in self._topics.values():
            topic.close()
        for task in self._beside:
            task.cancel()
        if self._beside:
            await asyncio.wait(self._beside)
        self._files.close(self._limits.closing)
        await self._runner.cleanup()

    @property
    def is_secure(self) -> bool:
        """Whether it speaks TLS."""
        return self._tls is not None

    @property
    def connections(self) -> int:
        """How many there are."""
        server = self._runner.server
        return len(server.connections) if server is not None else 0

    def _connection(self) -> asyncio.Protocol:
        server = self._runner.server
        assert server is not None, "there is one from setup to cleanup"
        if len(server.connections) >= self._limits.connections:
            self.refused += 1
            return _Full()
        return server()

    # ---- requests

    def _application(self) -> web.Application:
        application = web.Application(middlewares=[self._guard], client_max_size=self._limits.report)
        application.router.add_get("/v1/{key}/stream", self.service.stream, allow_head=False)
        application.router.add_get("/v1/{key}/head", self.service.head, allow_head=False)
        application.router.add_get("/v1/{key}/payload/{digest}", self.service.payload, allow_head=False)
        application.router.add_post("/v1/{key}/report", self.service.report)
        application.router.add_get(_OPEN, self.service.health)
        application.on_response_prepare.append(_without_name)
        return application

    @web.middleware
    async def _guard(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Let in who may come in; note the connection as busy; answer what fails."""
        host = request.headers.get(gateway_lines.HOST, "")[: gateway_lines.LONGEST_ID]
        self._requests.add(request.protocol)
        self._of_host[host] += 1
        try:
            if request.path != _OPEN and not self._is_allowed(request):
                return _answer(web.HTTPUnauthorized(text=_UNKNOWN, headers={"WWW-Authenticate": "Bearer"}))
            if host and self._of_host[host] > self._limits.requests_of_host:
                return _answer(web.HTTPTooManyRequests(text=_GREEDY, headers={"Retry-After": "1"}))
            return await handler(request)
        except web.HTTPException as error:
            return _answer(error)
        except ConnectionError:
            return web.Response(status=503)  # nobody reads it: the connection is gone
        except Exception:
            _log.exception(
                "a request failed: %s %s",
                request.method,
                printable(request.path[:200]),
                extra=about("request_failed", method=request.method),
            )
            return web.Response(status=500, text="the gateway failed; its log says how\n")
        finally:
            self._requests.discard(request.protocol)
            self._of_host[host] -= 1
            if not self._of_host[host]:
                del self._of_host[host]

    def _is_allowed(self, request: web.Request) -> bool:
        """Whether the host has a token, or needs none."""
        return self._tokens is None or self._tokens.allow(request.headers.get("Authorization", ""))

    # ---- what runs beside them

    async def _sweep(self) -> None:
        """Close connections that are no request's for too long."""
        while True:
            await asyncio.sleep(_LOOKS)
            self._close_idle()

    async def _look_at_files(self) -> None:
        """See whether tokens and certificates have changed."""
        refreshes = [each.refresh for each in (self._tokens, self._tls) if each is not None]
        while refreshes:
            await asyncio.sleep(_LOOKS)
            for refresh in refreshes:
                await self._files.do(refresh)

    def _close_idle(self) -> None:
        server = self._runner.server
        now = asyncio.get_running_loop().time()
        connections = server.connections if server is not None else []
        free = [each for each in connections if each not in self._requests]
        self._idle = {each: self._idle.get(each, now) for each in free}
        for each, since in self._idle.items():
            if now - since > self._limits.idle:
                each.force_close()


class _HttpLog(logging.Logger):
    """aiohttp's log: one line for whoever debugs.

    It has a traceback for each connection that sends no HTTP, and in it what was sent: that may be half of a token.
    """

    def handle(self, record: logging.LogRecord) -> None:
        kind = record.exc_info[0] if record.exc_info else None
        _log.debug(
            "aiohttp: %s",
            kind.__name__ if kind is not None else record.levelname,
            extra=about("aiohttp_error", error=kind.__name__ if kind is not None else record.levelname),
        )


class _Full(asyncio.Protocol):
    """Answers a connection that is one too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        body = b"too many connections: start another gateway\n"
        transport.write(
            b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nConnection: close\r\nRetry-After: 1\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
        )
        transport.close()


def _answer(error: web.HTTPException) -> web.Response:
    headers = {
        name: error.headers[name] for name in ("Retry-After", "WWW-Authenticate", "Allow") if name in error.headers
    }
    return web.Response(status=error.status, text=error.text, headers=headers)


async def _without_name(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.pop("Server", None)
