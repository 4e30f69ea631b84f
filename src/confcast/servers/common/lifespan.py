"""A worker whose application can't build what is derived, in its lifespan, leaves as one that can't attach does.

An application awaits `aattach()` in its lifespan, which raises BuildError where an async thing can't be built. A worker
whose lifespan fails ends with status 3, which uvicorn and gunicorn take for a broken application: they would stop all
workers. Here the worker leaves by itself before that: with status 1, after a pause, and the others serve.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

from confcast import BuildError


class Lifespan:
    """An ASGI application whose worker leaves if its lifespan raises BuildError; for `asgi.Pin`, as its application.

    Args:
        app: The application.
        leave: Ends this process; called with the reason.

    Attributes:
        app: The application.
    """

    def __init__(self, app: Callable[..., Awaitable[None]], leave: Callable[[str], NoReturn]) -> None:
        self.app = app
        self._leave = leave

    def __call__(self, scope: Any, receive: Any, send: Any) -> Awaitable[None]:
        """Serve a request; a request passes through without a coroutine of its own."""
        if scope["type"] != "lifespan":
            return self.app(scope, receive, send)
        return self._run(scope, receive, send)

    async def _run(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await self.app(scope, receive, send)
        except BuildError as error:
            try:
                self._leave(str(error))
            finally:  # not by a SystemExit: in a task of uvicorn's it is one more lifespan that has failed
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(1)
