"""The application, for servers that speak WSGI."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import looks
from settings import record_ready, settings

record_ready()


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    if environ["PATH_INFO"] == "/workers":
        return whole(start_response, "200 OK", workers())
    asked, first = looks.asked(environ["QUERY_STRING"]), looks.look()
    status = "500 harm" if looks.fails() else "200 OK"
    if asked.stream:
        start_response(status, [("Content-Type", looks.JSON)])
        return pieces(asked, first)
    return whole(start_response, status, b"".join(pieces(asked, first)))


def whole(start_response: Callable[..., Any], status: str, body: bytes) -> Iterable[bytes]:
    start_response(status, [("Content-Type", looks.JSON), ("Content-Length", str(len(body)))])
    return [body]


def pieces(asked: looks.Asked, first: list[int]) -> Iterator[bytes]:
    yield looks.head(first).encode()
    for _ in range(asked.waits):
        time.sleep(asked.pause)
        yield f", {looks.look()}".encode()
    yield looks.TAIL.encode()


def workers() -> bytes:
    """For the support's server, which waits until all are attached."""
    return json.dumps([worker.pid for worker in settings.workers() if worker.version]).encode()
