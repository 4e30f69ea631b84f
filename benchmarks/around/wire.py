"""What travels: a scrape, answers of the admin API, an event of its stream, and the page, as bytes of bodies.

For information: nothing is compressed, since all of it is for loopback or a proxy beside it.
"""

from __future__ import annotations

import http.client
import re
import tempfile
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.around import Extent
from benchmarks.around.page import with_keys
from benchmarks.around.running import KEYS, Admin, admin, forked
from benchmarks.rows import Row, against_peer
from benchmarks.server import PATIENCE, manager

_LINKED = re.compile(r'(?:from |import\(|href=|src=)"([^"#]+\.(?:js|css|svg))"')


def measure(extent: Extent) -> list[Row]:
    """Kibibytes."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="confcast-bench-")))
        server, document = stack.enter_context(manager(folder, supervise="caller"))
        stack.enter_context(forked(extent.workers))
        ours = stack.enter_context(admin(server.address, folder))
        found = {
            f"a scrape of {extent.workers} workers": len(_scraped(server)),
            f"/v1/status, {extent.workers} workers": len(_got(ours, "/v1/status")),
            "the page with all that it loads": sum(len(_got(ours, path)) for path in _files(ours)),
        }
        with _Stream(ours) as stream:
            found["the stream's events until what runs is known"] = len(stream.until(b"event: hello"))
            document.turn()
            server.reload()
            found["the stream's events of one reload"] = len(stream.until(b"event: reload"))
        server = stack.enter_context(with_keys(folder / "keys"))
        ours = stack.enter_context(admin(server.address, folder / "keys"))
        found[f"/v1/config, {KEYS} keys"] = len(_got(ours, "/v1/config"))
    return [against_peer(f"{name} (KiB)", size / 1024, None) for name, size in found.items()]


def _scraped(server: object) -> bytes:
    from prometheus_client import CollectorRegistry
    from prometheus_client.openmetrics.exposition import generate_latest

    from confcast.metrics import Collector

    registry = CollectorRegistry()
    registry.register(Collector(server))  # type: ignore[arg-type]
    return generate_latest(registry)


def _got(ours: Admin, path: str) -> bytes:
    connection = _asked(ours, path)
    try:
        answer = connection.getresponse()
        if answer.status != http.client.OK:
            raise RuntimeError(f"{path}: {answer.status} {answer.read(500)!r}")
        return answer.read()
    finally:
        connection.close()


def _asked(ours: Admin, path: str) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection(urlsplit(ours.url).netloc, timeout=PATIENCE)
    connection.request("GET", path, headers={"Authorization": f"Bearer {ours.token}"})
    return connection


def _files(ours: Admin) -> set[str]:
    """What a browser loads for the page: all that it names, and that these name."""
    found, new = set[str](), {"/"}
    while new:
        found |= new
        texts = {path: _got(ours, path).decode() for path in new}
        named = {_absolute(path, each) for path, text in texts.items() for each in _LINKED.findall(text)}
        new = named - found
    return found


def _absolute(path: str, named: str) -> str:
    return "/" + "/".join(_walked(Path(path).parent / named)) if not named.startswith("/") else named


def _walked(path: Path) -> list[str]:
    parts: list[str] = []
    for part in path.parts[1:]:
        parts = parts[:-1] if part == ".." else parts if part == "." else [*parts, part]
    return parts


class _Stream:
    """The stream of events, as it comes."""

    def __init__(self, ours: Admin) -> None:
        self._connection = _asked(ours, "/v1/events")

    def __enter__(self) -> _Stream:
        self._answer = self._connection.getresponse()
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def next(self) -> bytes:
        """One event, with the empty line at its end."""
        lines = [self._answer.readline()]
        while lines[-1] not in (b"\n", b"\r\n", b""):
            lines.append(self._answer.readline())
        return b"".join(lines)

    def until(self, word: bytes) -> bytes:
        """All events to the one that has this."""
        events = [self.next()]
        while word not in events[-1]:
            events.append(self.next())
        return b"".join(events)
