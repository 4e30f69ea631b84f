"""aiohttp: each request sees one version from its start to the last byte of its body.

`confcast.middleware.aiohttp.pin(app, settings)`, before the application runs. Its middleware is the outermost one; that
of a sub-application runs within it. A body that is made while it is sent (an asynchronous generator, a file) is sent by
this middleware, since aiohttp would send it when every middleware has returned.

A WebSocket sees one version a message, or a connection, as with ASGI (asgi.py says why).

Rejected: aiohttp's server as an ASGI one (it is none), a middleware alone (a WebSocket's messages are received in the
handler, so its `receive` is wrapped when the handshake is answered), and importing aiohttp (nothing of it is needed).
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from contextvars import ContextVar
from typing import Any, Literal

from confcast import Replica, declared
from confcast.middleware.replicas import check

Handler = Callable[[Any], Awaitable[Any]]

_pins: ContextVar[tuple[Any, ...]] = ContextVar("confcast.middleware.aiohttp.pins", default=())
"""Of the request that this task serves, as a handshake finds them."""


def pin(app: Any, *replicas: Replica[Any], websocket: Literal["message", "connection"] = "message") -> Any:
    """Have each request of an application pin its replicas.

    Args:
        app: The `aiohttp.web.Application`, which does not run yet.
        replicas: Which to pin; left out: all that are declared when a request comes.
        websocket: What sees one version in a WebSocket: each `message` that is received, or the whole `connection`.

    Returns:
        The application.

    Raises:
        TypeError: One of the replicas is none.
        ValueError: `websocket` is neither.
        RuntimeError: The application runs already.
    """
    if websocket not in ("message", "connection"):
        raise ValueError(f"websocket={websocket!r}: 'message' or 'connection' is expected")
    check(replicas)
    app.middlewares.insert(0, _Middleware(replicas))
    if websocket == "message":
        app.on_response_prepare.append(_renew_by_message)
    return app


class _Middleware:
    """One of aiohttp's present kind, by this attribute."""

    __middleware_version__ = 1

    def __init__(self, replicas: tuple[Replica[Any], ...]) -> None:
        self._replicas = replicas

    async def __call__(self, request: Any, handler: Handler) -> Any:
        pins = [replica.pin() for replica in self._replicas or declared()]
        with ExitStack() as stack:
            stack.callback(_pins.reset, _pins.set((*_pins.get(), *pins)))
            for each in pins:
                stack.enter_context(each)
            response = await handler(request)
            if not isinstance(getattr(response, "body", None), bytes | bytearray | None) and not response.prepared:
                with contextlib.suppress(ConnectionError):  # aiohttp meets it again, and closes
                    await response.prepare(request)
                    await response.write_eof()
            return response


async def _renew_by_message(request: Any, response: Any) -> None:
    """When an answer begins; that of a handshake is the WebSocket."""
    receive, pins = getattr(response, "receive", None), _pins.get()
    if receive is None or hasattr(response, "confcast_renews"):
        return

    async def receive_and_renew(*arguments: Any, **options: Any) -> Any:
        message = await receive(*arguments, **options)
        for each in pins:
            each.renew()
        return message

    response.confcast_renews = True
    response.receive = receive_and_renew
