"""`confcast admin` with nothing to do, beside a bare uvicorn: with no page open, and with one that follows the events.

The bare server ticks by itself, whatever it serves. The owner is looked at as well: a page that is open must not have
it wake.
"""

from __future__ import annotations

import http.client
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.around import Extent
from benchmarks.around.running import Admin, admin, wakeups
from benchmarks.rows import Row, against_limit, against_peer
from benchmarks.server import PATIENCE, served

_BEYOND = 1.0
_UNTIL_REST = 3.0
_BARE = """
import uvicorn

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while (await receive())["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})

uvicorn.run(app, port=0, log_level="critical")
"""


def measure(extent: Extent) -> list[Row]:
    """Wakeups a second."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="confcast-bench-")))
        server, _, _ = stack.enter_context(served(4))
        bare = stack.enter_context(_bare())
        ours = stack.enter_context(admin(server.address, folder))
        pids = [ours.pid, bare, server.owner_pid]
        time.sleep(_UNTIL_REST)
        alone, peer, owner = wakeups(pids, extent.seconds)
        with _page(ours):
            time.sleep(_UNTIL_REST)
            followed, peer_then, owner_then = wakeups(pids, extent.seconds)
    return [
        against_peer("confcast admin, idle, wakeups a second; peer: a bare uvicorn", alone, peer),
        against_limit("confcast admin, idle, wakeups a second beyond a bare uvicorn", alone - peer, _BEYOND),
        against_limit("the same with a page that is live", followed - peer_then, _BEYOND),
        against_peer("its owner then, wakeups a second; peer: without a page", owner_then, owner),
    ]


@contextmanager
def _bare() -> Iterator[int]:
    with subprocess.Popen([sys.executable, "-c", _BARE]) as process:
        try:
            yield process.pid
        finally:
            process.kill()


@contextmanager
def _page(ours: Admin) -> Iterator[None]:
    """What a page holds open: the stream of events."""
    connection = http.client.HTTPConnection(str(urlsplit(ours.url).netloc), timeout=PATIENCE)
    try:
        connection.request("GET", "/v1/events", headers={"Authorization": f"Bearer {ours.token}"})
        answer = connection.getresponse()
        if answer.status != http.client.OK:
            raise RuntimeError(f"no stream of events: {answer.status} {answer.read(500)!r}")
        answer.readline()
        yield
    finally:
        connection.close()
