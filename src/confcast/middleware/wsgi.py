"""WSGI: each request uses one version from its start to the last byte of its body.

`app = confcast.middleware.wsgi.Pin(app, settings)`. The pin ends when the server closes the body (by PEP 3333 it always
calls `close()`). It ends at once if the body is a list, or a file for the server's own sendfile, since none of the
application's code runs after that. Rejected: ending it when `__call__` returns (a generator reads its configuration
later), and wrapping lists (servers look at their length).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import Any

from confcast import Replica, declared
from confcast.middleware.replicas import check

Environ = dict[str, Any]
App = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]


class Pin:
    """A WSGI application that pins its replicas around another one.

    Args:
        app: The application.
        replicas: The replicas to pin; if none is given, all that are declared when a request comes.

    Raises:
        TypeError: One of `replicas` is no Replica.
    """

    def __init__(self, app: App, *replicas: Replica[Any]) -> None:
        check(replicas)
        self.app = app
        self._replicas = replicas

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serve a request. Raises NotAttached if one of `replicas` is not attached."""
        with ExitStack() as pins:
            for replica in self._replicas or declared():
                pins.enter_context(replica.pin())
            body = self.app(environ, start_response)
            if isinstance(body, list | tuple) or _is_file(body, environ):
                return body
            return _Body(body, pins.pop_all())


class _Body:
    """The application's body, which keeps the pins until it is closed."""

    def __init__(self, body: Iterable[bytes], pins: ExitStack) -> None:
        self._body = body
        self._pins = pins

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._body)

    def close(self) -> None:
        with self._pins:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()


def _is_file(body: object, environ: Environ) -> bool:
    wrapper = environ.get("wsgi.file_wrapper")
    return isinstance(wrapper, type) and isinstance(body, wrapper)
