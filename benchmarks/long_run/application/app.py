"""The application of a long run: a request looks at its configuration, and at what was built from it, several times."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from typing import Any

from settings import connection, router, settings


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    body = _workers() if environ["PATH_INFO"] == "/workers" else _look()
    head = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    start_response("200 OK", head)
    return [body]


def _look() -> bytes:
    """Whether what this request sees is of one version."""
    seen = {settings.current.serial, settings.snapshot.config.serial, router.current.serial}
    one = len(seen) == 1 and router.current.connection is connection.current
    return json.dumps({"pid": os.getpid(), "serial": settings.current.serial, "one": one}).encode()


def _workers() -> bytes:
    """For whoever waits until all are attached."""
    return json.dumps([worker.pid for worker in settings.workers() if worker.version]).encode()
