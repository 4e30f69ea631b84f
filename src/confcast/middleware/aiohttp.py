"""aiohttp: each request uses one version from its start to the last byte of its body.

Call `confcast.middleware.aiohttp.pin(app, settings)` before the application runs. It adds the outermost middleware;
those of sub-applications run within it. This middleware itself sends a body that is made while it is sent (an
asynchronous generator, a file), since aiohttp would send it after every middleware has returned.

A WebSocket sees one version for each message, or for the connection, as with ASGI (asgi.py says why).

A status of 500 or more, and an exception of the application, make it a failed request of its version; a client that
goes away does not.

Rejected: treating aiohttp's server as ASGI (it is not), a middleware alone (a WebSocket's messages are received in the
handler, so its `receive` is wrapped when the handshake is answered), and importing aiohttp (it is not needed).
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from types import NoneType
from typing import Any, Literal

from confcast import Replica, declared
from confcast.middleware.headers import OfMultidict
from confcast.middleware.replicas import RequestPin, check, is_failure, pin_all, renewing

Handler = Callable[[Any], Awaitable[Any]]

_MADE = (bytes, bytearray, NoneType)

_pins: ContextVar[tuple[RequestPin, ...]] = ContextVar("confcast.middleware.aiohttp.pins", default=())
"""The pins of the request that this task serves, which the handler of its handshake uses."""


def pin(app: Any, *replicas: Replica[Any], websocket: Literal["message", "connection"] = "message") -> Any:
    """Have each request of an application pin its replicas.

    Args:
        app: The `aiohttp.web.Application`, which does not run yet.
        replicas: The replicas to pin; if none is given, all that are declared when a request comes.
        websocket: How long a WebSocket uses one version: for each received `message`, or for the whole `connection`.

    Returns:
        The application.

    Raises:
        TypeError: One of `replicas` is no Replica.
        ValueError: `websocket` has another value.
        RuntimeError: The application runs already.
    """
    check(replicas, websocket)
    app.middlewares.insert(0, _Middleware(replicas))

    async def note_the_end(app: Any) -> None:
        """From here on the application closes what its health checks look at."""
        for replica in replicas or declared():
            replica._serves(leaves=True)

    app.on_shutdown.append(note_the_end)
    if websocket == "message":
        app.on_response_prepare.append(_renew_by_message)
    return app


class _Middleware:
    """A middleware of aiohttp's new style, as the attribute declares."""

    __middleware_version__ = 1

    def __init__(self, replicas: tuple[Replica[Any], ...]) -> None:
        self._replicas = replicas

    async def __call__(self, request: Any, handler: Handler) -> Any:
        pin = pin_all(self._replicas or declared(), request, _headers_of)
        pin.__enter__()
        try:
            return await self._answer(pin, request, handler)
        except BaseException as error:
            # An answer that is raised has a status (aiohttp.web.HTTPException).
            status = getattr(error, "status", None) if hasattr(error, "prepared") else None
            pin.failed = is_failure(error) if status is None else status >= 500
            raise
        finally:
            pin.__exit__(None, None, None)

    async def _answer(self, pin: RequestPin, request: Any, handler: Handler) -> Any:
        token = _pins.set((*_pins.get(), pin))
        try:
            response = await handler(request)
            if not isinstance(getattr(response, "body", None), _MADE) and not response.prepared:
                await _send(request, response)
            pin.failed = getattr(response, "status", 0) >= 500
            return response
        finally:
            _pins.reset(token)


def _headers_of(request: Any) -> OfMultidict:
    return OfMultidict(request.headers, lambda name: request.headers.getall(name, []))


async def _send(request: Any, response: Any) -> None:
    with contextlib.suppress(ConnectionError):  # aiohttp gets the same error, and closes
        await response.prepare(request)
        await response.write_eof()


async def _renew_by_message(request: Any, response: Any) -> None:
    """When a response begins: if it is a WebSocket, have each received message renew the pins."""
    receive = getattr(response, "receive", None)
    if receive is not None and not hasattr(response, "confcast_renews"):
        response.confcast_renews = True
        response.receive = renewing(_pins.get(), receive)
