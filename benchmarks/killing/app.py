"""The measured application, whose worker ends without a word at its first request under a configuration that kills."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from benchmarks.servers import app

_KILLS = 13


def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer, or end this worker."""
    if app.number() == _KILLS:
        os._exit(1)
    return app.wsgi(environ, start_response)
