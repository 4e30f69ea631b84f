"""The application that every server serves, as WSGI and as ASGI: it answers with its number, and with its pid.

BENCH_IMPORT is how many CPU-seconds its import takes, as that of a large application does. BENCH_SIDE is how it comes
by the number: `today` reads the file when it is imported, so that only a new process has a new one; `confcast` asks
its replica at each request. Nothing else differs. `/work` works for a moment before it answers.
"""

from __future__ import annotations

import hashlib
import os
import time
import tomllib
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

_WORK = bytes(200_000)  # hashed: about a third of a millisecond
_PID = os.getpid()


def _be_busy(seconds: float) -> None:
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


_be_busy(float(os.environ["BENCH_IMPORT"]))

if os.environ["BENCH_SIDE"] == "today":
    _NUMBER: int = tomllib.loads(Path(os.environ["BENCH_FILE"]).read_text(encoding="utf-8"))["number"]

    def number() -> int:
        """The number that an answer shows."""
        return _NUMBER

else:
    from benchmarks.servers.settings import settings

    def number() -> int:
        """The number that an answer shows."""
        return settings.current.number


def _body(path: str) -> bytes:
    shown = number()
    if path == "/work":
        hashlib.sha256(_WORK).digest()
    return b"%d %d" % (shown, _PID)


def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """For servers that speak WSGI."""
    body = _body(environ["PATH_INFO"])
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


async def asgi(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """For servers that speak ASGI."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
        return
    body = _body(scope["path"])
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _lifespan(
    receive: Callable[[], Awaitable[dict[str, Any]]], send: Callable[[dict[str, Any]], Awaitable[None]]
) -> None:
    while True:
        what = (await receive())["type"]
        await send({"type": f"{what}.complete"})
        if what == "lifespan.shutdown":
            return
