"""An answer for readiness probes: 503 before a first version and while this worker lacks the committed one, else 200.

    app = readyz.Wsgi(app, settings)                 # or readyz.Asgi: answers /readyz, and passes on all else
    Route("/readyz", readyz.Asgi(None, settings))    # mounted by a framework: answers every path
    status, body = readyz.answer(settings)           # in a view of any other

    {"ready": false, "reason": "version 13 is committed, and was declined here; `confcast status` …", "version": 12}

A refused file takes no readiness, since nobody has that version; nor does the death of the config owner, and the reason
says so then. A probe counts as no request of a version: a 503 here is no evidence against it. What is asked is one
process: behind a server with several workers each probe reaches one of them.

Rejected: 503 for a refused file (the last good version serves, and all pods would leave the load balancer at once), and
the application's own text of why it has declined (a probe's address may be open to more people than its log).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, NamedTuple

import msgspec

from confcast import Replica, declared
from confcast.middleware.replicas import check

_STATUS = {200: "200 OK", 503: "503 Service Unavailable"}


class Answer(NamedTuple):
    """What to send: `application/json`, not to be cached.

    Attributes:
        status: 200 or 503.
        body: The JSON document.
    """

    status: int
    body: bytes


def answer(*replicas: Replica[Any]) -> Answer:
    """Whether this process serves the committed version of these replicas, as an answer to a probe.

    If this process has been at a vote for longer than a second, its owner is asked, which takes another second at the
    most. Any thread.

    Args:
        replicas: The replicas; if none is given, all that are declared.
    """
    every = _uncounted(replicas)
    return _told([(replica.name, replica._readiness()) for replica in every])


async def aanswer(*replicas: Replica[Any]) -> Answer:
    """`answer(*replicas)`, awaited: where the owner is asked, the loop goes on meanwhile."""
    every = _uncounted(replicas)
    return _told([(replica.name, await replica._areadiness()) for replica in every])


def _told(found: list[tuple[str, Any]]) -> Answer:
    is_ready = bool(found) and all(each.ready for _, each in found)
    reasons = [f"{name}: {each.reason}" if len(found) > 1 else each.reason for name, each in found if each.reason]
    told: dict[str, Any] = {
        "ready": is_ready,
        "reason": "; ".join(reasons if found else ["no replica is declared in this process"]),
    }
    if len(found) == 1:
        told["version"] = found[0][1].version
    else:
        told["versions"] = {name: each.version for name, each in found}
    return Answer(200 if is_ready else 503, msgspec.json.encode(told))


class Wsgi:
    """A WSGI application that answers probes, and passes all other requests on.

    Args:
        app: The application. None: every request is a probe.
        replicas: The replicas; if none is given, all that are declared when a probe comes.
        path: The probes' path.

    Raises:
        TypeError: One of `replicas` is no Replica.
        ValueError: `path` does not begin with a slash.
    """

    def __init__(
        self, app: Callable[..., Iterable[bytes]] | None, *replicas: Replica[Any], path: str = "/readyz"
    ) -> None:
        _check(replicas, path)
        self.app = app
        self._replicas = replicas
        self._path = path

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Serve a request."""
        if self.app is not None and environ.get("PATH_INFO") != self._path:
            return self.app(environ, start_response)
        found = answer(*self._replicas)
        start_response(_STATUS[found.status], _headers(found))
        return [b"" if environ.get("REQUEST_METHOD") == "HEAD" else found.body]


class Asgi:
    """An ASGI application that answers probes, and passes all other requests on.

    Args:
        app: The application. None: every request is a probe.
        replicas: The replicas; if none is given, all that are declared when a probe comes.
        path: The probes' path.

    Raises:
        TypeError: One of `replicas` is no Replica.
        ValueError: `path` does not begin with a slash.
    """

    def __init__(
        self, app: Callable[..., Awaitable[None]] | None, *replicas: Replica[Any], path: str = "/readyz"
    ) -> None:
        _check(replicas, path)
        self.app = app
        self._replicas = replicas
        self._path = path

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve a request."""
        if self.app is not None and (scope["type"] != "http" or not self._is_asked(scope)):
            await self.app(scope, receive, send)
        elif scope["type"] == "http":
            found = await aanswer(*self._replicas)
            headers = [(name.lower().encode(), value.encode()) for name, value in _headers(found)]
            await send({"type": "http.response.start", "status": found.status, "headers": headers})
            await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else found.body})
        elif scope["type"] == "lifespan":
            for part in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{part}.complete"})
        else:
            await send({"type": "websocket.close"})

    def _is_asked(self, scope: Any) -> bool:
        return scope["path"] in (self._path, scope.get("root_path", "") + self._path)


def _check(replicas: tuple[Any, ...], path: str) -> None:
    check(replicas)
    if not path.startswith("/"):
        raise ValueError(f"path={path!r}: a path is expected, such as '/readyz'")


def _headers(found: Answer) -> list[tuple[str, str]]:
    size = str(len(found.body))
    return [("Content-Type", "application/json"), ("Content-Length", size), ("Cache-Control", "no-store")]


def _uncounted(replicas: tuple[Replica[Any], ...]) -> tuple[Replica[Any], ...]:
    """These replicas, or all; within a server's pin this request counts for no version."""
    every = replicas or declared()
    for replica in every:
        if (pin := replica._pinned.get()) is not None:
            pin.uncount()
    return every
