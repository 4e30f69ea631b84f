"""ASGI: each request uses one version from its start to its end, and so do the tasks that it starts meanwhile.

`app = confcast.middleware.asgi.Pin(app, settings)`. The lifespan is not pinned: it is no request, and does not end.

A WebSocket may last as long as the process. Its message corresponds to a request, so by default each message that the
application receives renews the pin: the application sees the newest version until it receives the next message, and so
do the tasks of the connection, unless they pin for themselves. With `websocket="connection"` the version of the
handshake holds to the end, for a protocol whose rules must not change during a connection. An application that only
sends receives no message: it reads `settings.latest`, which no pin affects.

A status of 500 or more, and an exception of the application, make it a failed request of its version; a client that
goes away does not. From `lifespan.shutdown` on, health checks of this process say nothing against its version: the
application closes what they look at.

Rejected: `connection` as the default (a client that stays for days would keep a limit that was lifted on the first
day), and renewing at each `send`, too (an answer in several messages would be made from two versions).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Literal

from confcast import Replica, declared
from confcast.middleware import version_header as header
from confcast.middleware.headers import OfScope
from confcast.middleware.replicas import RequestPin, check, is_failure, pin_all, renewing

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class Pin:
    """An ASGI application that pins its replicas around another one.

    Args:
        app: The application.
        replicas: The replicas to pin; if none is given, all that are declared when a request comes.
        websocket: How long a WebSocket uses one version: for each received `message`, or for the whole `connection`. If
            two `Pin` wrap one application, the inner one decides.
        version_header: The name of a header of each answer that says the version, such as `X-Config-Version`.

    Raises:
        TypeError: One of `replicas` is no Replica.
        ValueError: `websocket` has another value, or `version_header` can't be a header's name.
    """

    def __init__(
        self,
        app: App,
        *replicas: Replica[Any],
        websocket: Literal["message", "connection"] = "message",
        version_header: str | None = None,
    ) -> None:
        check(replicas, websocket)
        self.app = app
        self._serve: App = header.for_asgi(app, header.checked(version_header), replicas)
        self._replicas = replicas
        self._by_message = websocket == "message"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request or connection. Raises NotAttached if one of `replicas` is not attached."""
        kind = scope["type"]
        if kind == "lifespan":
            await self.app(scope, self._noting_the_end(receive), send)
            return
        pin = pin_all(self._replicas or declared(), scope, OfScope)
        if kind == "http":
            send = _noting_the_status(pin, send)
        elif kind == "websocket" and self._by_message:
            receive = renewing((pin,), receive)
        pin.__enter__()
        try:
            await self._serve(scope, receive, send)
        except BaseException as error:
            pin.failed = is_failure(error)
            raise
        finally:
            pin.__exit__(None, None, None)

    def _noting_the_end(self, receive: Receive) -> Receive:
        async def receive_and_note() -> Any:
            message = await receive()
            for replica in self._replicas or declared():
                replica._serves(leaves=message["type"] == "lifespan.shutdown")
            return message

        return receive_and_note


def _noting_the_status(pin: RequestPin, send: Send) -> Send:
    async def send_and_note(message: Any) -> None:  # a coroutine function: asgiref warns of any other
        if "status" in message:
            pin.failed = message["status"] >= 500
        await send(message)

    return send_and_note
