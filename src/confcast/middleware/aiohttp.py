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
from confcast.middleware import version_header as header
from confcast.middleware.headers import OfMultidict
from confcast.middleware.replicas import RequestPin, check, is_failure, pin_all, renewing

Handler = Callable[[Any], Awaitable[Any]]

_MADE = (bytes, bytearray, NoneType)

_pins: ContextVar[tuple[RequestPin, ...]] = ContextVar("confcast.middleware.aiohttp.pins", default=())
"""The pins of the request that this task serves, which the handler of its handshake uses."""


def pin(
    app: Any,
    *replicas: Replica[Any],
    websocket: Literal["message", "connection"] = "message",
    version_header: str | None = None,
) -> Any:
    """Have each request of an application pin its replicas.

    Args:
        app: The `aiohttp.web.Application`, which does not run yet.
        replicas: The replicas to pin; if none is given, all that are declared when a request comes.
        websocket: How long a WebSocket uses one version: for each received `message`, or for the whole `connection`.
        version_header: The name of a header of each answer that says the version, such as `X-Config-Version`.

    Returns:
        The application.

    Raises:
        TypeError: One of `replicas` is no Replica.
        ValueError: `websocket` has another value, or `version_header` can't be a header's name.
        RuntimeError: The application runs already.
    """
    check(replicas, websocket)
    name = header.checked(version_header)
    app.middlewares.insert(0, _Middleware(replicas, name))

    async def note_the_end(app: Any) -> None:
        """From here on the application closes what its health checks look at."""
        for replica in replicas or declared():
            replica._serves(leaves=True)

    app.on_shutdown.append(note_the_end)
    if name is not None:
        app.on_response_prepare.append(_naming_at_its_begin(name, replicas))
    if websocket == "message":
        app.on_response_prepare.append(_renew_by_message)
    return app


class _Middleware:
    """A middleware of aiohttp's new style, as the attribute declares."""

    __middleware_version__ = 1

    def __init__(self, replicas: tuple[Replica[Any], ...], header_name: str | None = None) -> None:
        self._replicas = replicas
        self._header = header_name

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
            response = await (handler(request) if self._header is None else self._named(request, handler))
            if not isinstance(getattr(response, "body", None), _MADE) and not response.prepared:
                await _send(request, response)
            pin.failed = getattr(response, "status", 0) >= 500
            return response
        finally:
            _pins.reset(token)

    async def _named(self, request: Any, handler: Handler) -> Any:
        """The handler's answer, with the header: aiohttp itself begins to send most answers when the pin has ended."""
        try:
            response = await handler(request)
        except Exception as error:
            if hasattr(error, "prepared"):  # an answer that is raised
                self._name_version(error)
            raise
        self._name_version(response)
        return response

    def _name_version(self, response: Any) -> None:
        if not getattr(response, "prepared", True):
            _name_version(self._header or "", self._replicas, response)


def _headers_of(request: Any) -> OfMultidict:
    return OfMultidict(request.headers, lambda name: request.headers.getall(name, []))


async def _send(request: Any, response: Any) -> None:
    with contextlib.suppress(ConnectionError):  # aiohttp gets the same error, and closes
        await response.prepare(request)
        await response.write_eof()


def _naming_at_its_begin(name: str, replicas: header.Replicas) -> Callable[[Any, Any], Awaitable[None]]:
    """What gives an answer that begins within the handler the header, as a stream does."""

    async def name_version(request: Any, response: Any) -> None:
        if _pins.get() and getattr(response, "receive", None) is None:  # else a WebSocket
            _name_version(name, replicas, response)

    return name_version


def _name_version(name: str, replicas: header.Replicas, response: Any) -> None:
    if name not in response.headers and (value := header.value_of(replicas)):
        response.headers[name] = value


async def _renew_by_message(request: Any, response: Any) -> None:
    """When a response begins: if it is a WebSocket, have each received message renew the pins."""
    receive = getattr(response, "receive", None)
    if receive is not None and not hasattr(response, "confcast_renews"):
        response.confcast_renews = True
        response.receive = renewing(_pins.get(), receive)
