"""A server that pushes a document to whoever is connected, and a source that follows it and says what came of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socketserver
import threading
from collections.abc import Iterator
from typing import Any

import msgspec

from confcast import Layer
from confcast.config.sources.following import Host, Outcome
from confcast.config.sources.layer import fingerprint_of
from tests.support.waiting import DEADLINE, eventually

_lines: dict[Pushed, bytes] = {}
_known = threading.Condition()


class Pushed(msgspec.Struct, frozen=True):
    """Follows the server of this port. It says who it is when it connects, and then each outcome."""

    port: int

    def read(self) -> Layer:
        with _known:
            _known.wait_for(lambda: self in _lines, DEADLINE)
            line = _lines[self]
        return Layer("pushed", json.loads(line), fingerprint_of(line))

    def content_fingerprint(self) -> bytes:
        return fingerprint_of(_lines.get(self, b""))

    async def follow(self, host: Host) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._report(host, writer))
            while line := await reader.readline():
                with _known:
                    _lines[self] = line
                    _known.notify_all()
                host.changed()
            raise ConnectionError("the server has closed the connection")

    async def _report(self, host: Host, writer: asyncio.StreamWriter) -> None:
        who = {"id": host.id, "name": host.name, "labels": dict(host.labels), "state_dir": str(host.state_dir)}
        with contextlib.closing(writer):
            writer.write(json.dumps(who).encode() + b"\n")
            while True:
                writer.write(msgspec.json.encode(await host.outcomes.get()) + b"\n")


class Line(socketserver.StreamRequestHandler):
    """One connection."""

    server: Any

    def handle(self) -> None:
        with self.server.lock:
            self.server.connected.append(self)
            self.wfile.write(self.server.line)
        with contextlib.suppress(OSError):
            if who := self.rfile.readline():
                self.server.hosts.append(json.loads(who))
            for line in self.rfile:
                self.server.outcomes.append(msgspec.json.decode(line, type=Outcome))
        with self.server.lock:
            self.server.connected.remove(self)


class Server(socketserver.ThreadingTCPServer):
    """A server with one document.

    Attributes:
        hosts: Who has connected, oldest first.
        outcomes: What hosts have said, oldest first.
    """

    allow_reuse_address = True

    def __init__(self, number: int) -> None:
        super().__init__(("127.0.0.1", 0), Line)
        self.port = self.server_address[1]
        self.lock = threading.Lock()
        self.connected: list[Line] = []
        self.hosts: list[dict[str, Any]] = []
        self.outcomes: list[Outcome] = []
        self.line = self._line(number)

    @property
    def source(self) -> Pushed:
        return Pushed(self.port)

    @staticmethod
    def _line(number: int) -> bytes:
        return json.dumps({"number": number, "twin": number}).encode() + b"\n"

    @property
    def content(self) -> bytes:
        """The fingerprint of the document."""
        return fingerprint_of(self.line)

    def push(self, number: int) -> bytes:
        """Have everybody know a document with this number from now on; the fingerprint that it has."""
        return self.push_line(self._line(number))

    def push_line(self, line: bytes) -> bytes:
        """The same of any line."""
        with self.lock:
            self.line = line
            for each in self.connected:
                with contextlib.suppress(OSError):
                    each.wfile.write(self.line)
            return fingerprint_of(self.line)

    def hang_up(self) -> None:
        """Close each connection."""
        with self.lock:
            for each in self.connected:
                with contextlib.suppress(OSError):
                    each.connection.shutdown(2)

    def told(self, state: str, after: int = 0) -> Outcome:
        """Wait for this outcome of the document, after that many others; it."""

        def found() -> Outcome | None:
            told = [each for each in self.outcomes[after:] if each.fingerprint == self.content]
            return next((each for each in told if each.state == state), None)

        return eventually(found, f"{state} is told") or self.outcomes[-1]


@contextlib.contextmanager
def pushing(number: int) -> Iterator[Server]:
    """A server whose document has this number."""
    with Server(number) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.hang_up()
            server.shutdown()
            thread.join()
