"""The application under the storm: a request reads its configuration, works for a moment, and says the version."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Any

from benchmarks.server import NAME
from confcast import Replica
from confcast.examples.leindex.schema import MCPConfig

settings = Replica(MCPConfig, name=NAME)
_WORK = bytes(200_000)  # hashed: about a third of a millisecond


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer with the version, and with the budget that stands in it."""
    snapshot = settings.snapshot
    hashlib.sha256(_WORK).digest()
    body = f"{snapshot.version} {snapshot.config.memory.total_budget_mb}".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
