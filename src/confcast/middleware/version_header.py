"""A response header with the version that answered: "which version was that?" has an answer in each client's log.

`Pin(app, settings, version_header="X-Config-Version")`, or the option of that name of `install()` and the launchers.
The value is the number that the request is pinned to, `12`; with several replicas `app=12, flags=3`. A version on trial
has a number, too. An answer that the application has not made (a server's own 400 or 500) has no header.

It is added where the answer begins, inside of the pin, and only if the application has set no such header itself. A
server whose middleware has none of this runs no line of it: the application is wrapped once more, or it is not.

Rejected: replacing the application's header (it may pass on another service's version on purpose), and a header on the
handshake of a WebSocket (its messages may have newer versions).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, AnyStr

from confcast import Replica, declared

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OF_THE_SERVER = frozenset(
    {
        *("connection", "content-encoding", "content-length", "content-range", "content-type", "date", "keep-alive"),
        *("location", "proxy-authenticate", "set-cookie", "server", "te", "trailer", "transfer-encoding", "upgrade"),
        "www-authenticate",
    }
)
"""Headers that change what an answer is."""

Replicas = tuple[Replica[Any], ...]


def checked(name: object) -> str | None:
    """The name of a header; None for none.

    Raises:
        ValueError: No header can have this name, or HTTP has given it another meaning.
    """
    if name is None:
        return None
    if not isinstance(name, str) or not _TOKEN.fullmatch(name):
        raise ValueError(
            f"version_header={name!r}: a header's name is expected, such as 'X-Config-Version': letters, digits and "
            "hyphens, without blanks or a colon"
        )
    if name.lower() in _OF_THE_SERVER:
        raise ValueError(f"version_header={name!r}: HTTP has given this header a meaning; 'X-Config-Version' has none")
    return name


def value_of(replicas: Replicas) -> str:
    """The header's value: what is pinned here. Empty if no replica is declared."""
    replicas = replicas or declared()
    if len(replicas) == 1:
        return str(replicas[0].version)
    return ", ".join(f"{replica.name}={replica.version}" for replica in replicas)


def has(name: AnyStr, headers: Iterable[tuple[AnyStr, Any]]) -> bool:
    """Whether there is a header of this name, in lower case, among pairs of texts, or of bytes."""
    size = len(name)  # written out, since each request pays: most names are of another length
    for key, _ in headers:  # noqa: SIM110
        if len(key) == size and key.lower() == name:
            return True
    return False


def for_wsgi(app: Callable[..., Any], name: str | None, replicas: Replicas) -> Callable[..., Any]:
    """This WSGI application, whose answers have the header; called within the pin."""
    if name is None:
        return app
    lower = name.lower()

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            if not has(lower, headers) and (value := value_of(replicas)):
                headers = [*headers, (name, value)]
            return start_response(status, headers, *more)

        return app(environ, start)

    return answer


def for_asgi(app: Callable[..., Awaitable[None]], name: str | None, replicas: Replicas) -> Callable[..., Any]:
    """This ASGI application, whose answers to HTTP requests have the header; called within the pin."""
    if name is None:
        return app
    raw = name.lower().encode("ascii")

    async def answer(scope: Any, receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
        async def send_with_version(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))  # a copy: an application may send one object many times
                if not has(raw, headers) and (value := value_of(replicas)):
                    message = {**message, "headers": [*headers, (raw, value.encode("latin-1", "replace"))]}
            await send(message)

        await app(scope, receive, send if scope["type"] != "http" else send_with_version)

    return answer
