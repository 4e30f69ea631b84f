"""ASGI: each request sees one version from its start to its end, and so do the tasks that it starts meanwhile.

`app = confcast.middleware.asgi.Pin(app, settings)`. The lifespan is not pinned: it is no request, and it lasts.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import ExitStack
from typing import Any

from confcast import Replica, declared

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class Pin:
    """An ASGI application that pins its replicas around another one.

    Args:
        app: The application.
        replicas: Which to pin; left out: all that are declared when a request comes.
    """

    def __init__(self, app: App, *replicas: Replica[Any]) -> None:
        self.app = app
        self._replicas = replicas

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request or connection. Raises NotAttached when a replica that was given has no configuration."""
        with ExitStack() as pins:
            if scope["type"] != "lifespan":
                for replica in self._replicas or declared():
                    pins.enter_context(replica.pin())
            await self.app(scope, receive, send)
