"""A WSGI application that says which version answered."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from typing import Any

from confcast.examples.fleet.settings import settings


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer with the greeting, the version and the process."""
    with settings.pin() as config:
        answer = {"greeting": config.greeting, "version": settings.version, "pid": os.getpid()}
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(answer).encode()]
