"""`GET /v1/events`: who may listen, and how what waits for a listener is sent.

Guarantees. The number of streams is bounded, in all and of one token. A client that does not take what it was sent
within `taken` seconds is cut off, and its connection dropped with all that waited in it. A token that was taken away
loses its streams when something is to be sent next, a heartbeat at the latest.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import Counter

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from confcast.admin.calls import Calls
from confcast.admin.connections import TRANSPORT
from confcast.admin.following import Following
from confcast.admin.limits import Limits
from confcast.admin.owners import Owners
from confcast.admin.problems import ProblemError
from confcast.admin.streams import Stream
from confcast.admin.tokens import Token, Tokens

_BUFFERED = 32 * 1024
"""Bytes of a stream that wait for its client to take them."""


class EventStreams:
    """All event streams. For one loop."""

    def __init__(self, owners: Owners, calls: Calls, tokens: Tokens, limits: Limits) -> None:
        self._owners, self._calls, self._tokens, self._limits = owners, calls, tokens, limits
        self._following: dict[str, Following] = {}
        self._open: Counter[str] = Counter()

    async def open(self, request: Request, token: Token) -> Response:
        """A stream for one client; for HEAD, what it begins with. Raises ProblemError."""
        if self._open.total() >= self._limits.streams or self._open[token.name] >= self._limits.streams_of_token:
            raise ProblemError(503, "too_many_streams", "too many event streams are open", {"Retry-After": "10"})
        owner = await self._owners.find(request.query_params.get("owner"))
        if request.method == "HEAD":
            return Response(media_type="text/event-stream")
        if owner.id not in self._following:
            self._following[owner.id] = Following(owner.id, self._owners, self._calls, self._limits)
        last = request.headers.get("last-event-id", "")
        return _Events(self, self._following[owner.id], token, last, request)

    def close(self) -> None:
        """End all streams, for the end of the process."""
        for each in self._following.values():
            each.close()

    async def serve(self, following: Following, token: Token, last: str, scope: Scope, send: Send, auth: bytes) -> None:
        """Send what waits, until the client has gone, or has to go."""
        self._open[token.name] += 1
        try:
            stream = await following.join(last)
            try:
                await self._send_all(stream, scope, send, auth)
            finally:
                following.leave(stream)
        finally:
            self._open[token.name] -= 1

    async def _send_all(self, stream: Stream, scope: Scope, send: Send, auth: bytes) -> None:
        while what := await stream.next(self._limits.heartbeat):
            self._tokens.refresh()
            if self._tokens.whose(auth) is None:
                break
            try:
                async with asyncio.timeout(self._limits.taken):
                    await send({"type": "http.response.body", "body": what, "more_body": True})
            except TimeoutError:
                scope[TRANSPORT].abort()
                return
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class _Events(Response):
    """The answer, which goes on until one side ends it."""

    def __init__(self, streams: EventStreams, following: Following, token: Token, last: str, request: Request) -> None:
        super().__init__(media_type="text/event-stream", headers={"X-Accel-Buffering": "no", "Connection": "close"})
        self._streams, self._following, self._token, self._last = streams, following, token, last
        self._auth = request.headers["authorization"].encode("latin-1")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(name, value) for name, value in self.raw_headers if name != b"content-length"]
        _bound(scope[TRANSPORT])
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b": here\n\n", "more_body": True})
        sending = asyncio.create_task(
            self._streams.serve(self._following, self._token, self._last, scope, send, self._auth)
        )
        gone = asyncio.create_task(_gone(receive))
        try:
            await asyncio.wait([sending, gone], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, gone):
                task.cancel()
            await asyncio.wait([sending, gone])
        if sending.done() and not sending.cancelled() and (error := sending.exception()) is not None:
            raise error


def _bound(transport: asyncio.Transport) -> None:
    """Keep little for a client that does not read, here and in the kernel."""
    transport.set_write_buffer_limits(high=_BUFFERED)
    with contextlib.suppress(OSError):  # it has gone already
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFERED)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
