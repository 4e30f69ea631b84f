"""WSGI: each request uses one version from its start to the last byte of its body.

`app = confcast.middleware.wsgi.Pin(app, settings)`. The pin ends when the server closes the body (by PEP 3333 it always
calls `close()`). It ends at once if the body is a list, or a file for the server's own sendfile, since none of the
application's code runs after that. A status that begins with 5, and an exception of the application or of its body,
make it a failed request of its version; a client that goes away does not.

Rejected: ending it when `__call__` returns (a generator reads its configuration later), and wrapping lists (servers
look at their length).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from confcast import Replica, declared
from confcast.middleware import version_header as header
from confcast.middleware.headers import OfEnviron
from confcast.middleware.replicas import RequestPin, check, is_failure, pin_all

Environ = dict[str, Any]
App = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

WHOLE = (list, tuple)
"""The classes of bodies for which no code of the application's runs after its call."""


class Pin:
    """A WSGI application that pins its replicas around another one.

    Args:
        app: The application.
        replicas: The replicas to pin; if none is given, all that are declared when a request comes.
        version_header: The name of a header of each answer that says the version, such as `X-Config-Version`.

    Raises:
        TypeError: One of `replicas` is no Replica.
        ValueError: `version_header` can't be a header's name.
    """

    def __init__(self, app: App, *replicas: Replica[Any], version_header: str | None = None) -> None:
        check(replicas)
        self.app = app
        self._serve: App = header.for_wsgi(app, header.checked(version_header), replicas)
        self._replicas = replicas

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serve a request. Raises NotAttached if one of `replicas` is not attached."""
        pin = pin_all(self._replicas or declared(), environ, OfEnviron)
        pin.__enter__()

        def start(status: str, *arguments: Any) -> Any:
            pin.failed = status[:1] == "5"
            return start_response(status, *arguments)

        try:
            body = self._serve(environ, start)
            if not isinstance(body, WHOLE) and not _is_file(body, environ):
                return _Body(body, pin)
        except BaseException as error:
            pin.failed = is_failure(error)
            pin.__exit__(None, None, None)
            raise
        pin.__exit__(None, None, None)
        return body


class _Body:
    """The application's body, which keeps the pin until it is closed."""

    __slots__ = ("_body", "_pin")

    def __init__(self, body: Iterable[bytes], pin: RequestPin) -> None:
        self._body = body
        self._pin = pin

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._body
        except Exception as error:
            self._pin.failed = is_failure(error)
            raise

    def close(self) -> None:
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        except Exception as error:
            self._pin.failed = is_failure(error)
            raise
        finally:
            self._pin.__exit__(None, None, None)


def _is_file(body: object, environ: Environ) -> bool:
    wrapper = environ.get("wsgi.file_wrapper")
    return isinstance(wrapper, type) and isinstance(body, wrapper)
