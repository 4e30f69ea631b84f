"""A server whose every byte is the test's, for clients of HTTP/1.1."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable
from typing import Self

Handler = Callable[["Connection"], Awaitable[None]]


class Connection:
    """One connection, as the server sees it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self._writer = reader, writer

    async def request(self) -> bytes:
        """The next request, whole; empty if the client has closed."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        return head + await self.reader.readexactly(int(lengths[0].partition(b":")[2]) if lengths else 0)

    def send(self, *content: bytes) -> None:
        """Send bytes."""
        self._writer.write(b"".join(content))

    def answer(self, body: bytes = b"", status: int = 200, *headers: bytes) -> None:
        """Send an answer."""
        lines = [b"HTTP/1.1 %d X" % status, b"Content-Length: %d" % len(body), *headers]
        self.send(b"\r\n".join(lines), b"\r\n\r\n", body)

    def begin_stream(self) -> None:
        """Send the head of an answer in chunks."""
        self.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")

    def chunk(self, content: bytes) -> None:
        """Send a chunk; an empty one ends the answer."""
        self.send(b"%x\r\n%s\r\n" % (len(content), content))

    async def until_closed(self) -> None:
        """Wait until the client has closed."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(65536):
                pass


class Peer:
    """Answers on a free port of the loopback, each connection by `handler`; it is closed when that returns.

    Attributes:
        requests: All that were read by `Connection.request` in the default handler.
        connections: How many there were.
        open: How many there are.
    """

    def __init__(self, handler: Handler, tls: ssl.SSLContext | None = None) -> None:
        self._handler, self._tls = handler, tls
        self.connections = self.open = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()

    async def all_closed(self) -> None:
        """Wait until no connection is open."""
        while self.open:
            self._changed.clear()
            await self._changed.wait()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *about: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._handler(Connection(reader, writer))
        except asyncio.CancelledError:
            pass
        finally:
            self._tasks.discard(task)
            writer.transport.abort() if task.cancelling() else writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            self.open -= 1
            self._changed.set()
