"""Connections on which no whole request has come: bounded in number and in time.

uvicorn has a bound for an idle connection, but none for a request whose headers never end: once a byte has come, it is
kept for ever. Guarantees. A connection is closed when it has been without a whole request for `head_within` seconds.
There are at most `waiting` such connections: past it the oldest is closed, so that a thousand half-sent requests shut
nobody out. Nothing wakes up while no connection waits. What is no HTTP is answered once, as a problem, if an answer can
still be sent, and logged by nobody: whoever reaches the port could fill the log.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

import h11
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from confcast.admin.limits import Limits
from confcast.admin.problems import ProblemError

TRANSPORT = "confcast.transport"
"""Where the scope has the connection, for who has to cut it off."""

CROWDED = "confcast.crowded"
"""Whether the scope's connection is one too many."""

_NO_HTTP = ProblemError(400, "request", "this is no HTTP/1.1 request that can be understood")


class Waiting:
    """The connections that wait for a whole request, the oldest first. For one loop."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._since: OrderedDict[asyncio.Transport, float] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, transport: asyncio.Transport) -> None:
        """It waits from now on; the oldest is closed if there are too many."""
        self._since[transport] = asyncio.get_running_loop().time()
        if len(self._since) > self._limits.waiting:
            oldest, _ = self._since.popitem(last=False)
            oldest.abort()
        self._set_timer()

    def remove(self, transport: asyncio.Transport) -> None:
        """A whole request has come, or its end."""
        self._since.pop(transport, None)

    def _set_timer(self) -> None:
        if self._timer is None and self._since:
            when = next(iter(self._since.values())) + self._limits.head_within
            self._timer = asyncio.get_running_loop().call_at(when, self._close_late)

    def _close_late(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        while self._since and next(iter(self._since.values())) + self._limits.head_within <= now:
            transport, _ = self._since.popitem(last=False)
            transport.abort()
        self._set_timer()


def protocol(waiting: Waiting, most: int, always: Iterable[tuple[bytes, bytes]]) -> type[H11Protocol]:
    """The class of connections, for uvicorn.

    Args:
        waiting: Those without a whole request.
        most: How many there may be; a request on a further one is served as crowded.
        always: The headers of every answer.
    """
    refusal = _NO_HTTP.response()
    headers = [*refusal.raw_headers, *always, (b"cache-control", b"no-store"), (b"connection", b"close")]

    class Connection(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            app = self.app

            async def with_transport(scope: Scope, receive: Receive, send: Send) -> None:
                waiting.remove(transport)
                scope[TRANSPORT] = transport
                scope[CROWDED] = len(self.connections) > most
                await app(scope, receive, send)

            self.app: Any = with_transport
            waiting.add(transport)

        def connection_lost(self, exc: Exception | None) -> None:
            waiting.remove(self.transport)
            super().connection_lost(exc)

        def send_400_response(self, msg: str) -> None:
            if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
                for event in (
                    h11.Response(status_code=400, headers=headers, reason=b"Bad Request"),
                    h11.Data(data=bytes(refusal.body)),
                    h11.EndOfMessage(),
                ):
                    self.transport.write(self.conn.send(event) or b"")
            self.transport.close()

        def on_response_complete(self) -> None:
            if not self.transport.is_closing():
                waiting.add(self.transport)
            super().on_response_complete()

    return Connection
