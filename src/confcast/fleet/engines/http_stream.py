"""A small HTTP/1.1 client on asyncio streams: short requests on a connection that is kept, and streams of lines.

    client = HttpClient("config.example", 2379, access.tls(), shown=access.shown)
    answer = await client.request("POST", "/v3/kv/range", body=…)
    stream = await client.stream("POST", "/v3/watch", body=…)
    while True:
        line = await stream.line()

Guarantees. Each request has a deadline. A request that was cancelled, or went wrong, takes its connection with it, so
that no answer is ever taken for another request's. A request is sent a second time only if it went out on a kept
connection that the server has closed without a byte of an answer, and the caller allows it. A stream has a connection
of its own. No redirect is followed; cookies and proxies are not known. A name is resolved in the loop's pool of
threads, where a deadline leaves it behind; an address takes none.

What answers are like, and why no library reads them: `http_answer.py`. For one loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import random
import re
import socket
from collections.abc import AsyncIterator, Mapping
from typing import NamedTuple

from confcast.fleet.engines import engine
from confcast.fleet.engines.engine import EngineError, Fault, Unreachable
from confcast.fleet.engines.http_answer import AnswerHead, Body, Incoming, Lines, Unanswered, read_head, tls_refused
from confcast.wire.ssl_at_use import ssl

MOST_ANSWER = 64 * 1024
"""Bytes of the largest body, unless another bound is given."""

LONGEST_LINE = 64 * 1024
"""Bytes of a stream's longest line, unless another bound is given."""

_LIMIT = 64 * 1024  # bytes that a connection reads ahead
_TO_CLOSE = 1.0  # seconds
_SAFE = re.compile(r"[\x21-\x7e]+")
_SAFE_VALUE = re.compile(r"[\x20-\x7e]*")

_CLOSED = (ConnectionResetError, ConnectionAbortedError, BrokenPipeError)
_KEEPALIVE = (("TCP_KEEPIDLE", 20), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3))  # seconds, seconds, tries


class Answer(NamedTuple):
    """An answer.

    Attributes:
        status: 200 to 599.
        headers: By name in lower case.
        body: All of it.
    """

    status: int
    headers: dict[str, str]
    body: bytes


class Stream:
    """An answer 200 whose body goes on, line by line.

    Attributes:
        headers: By name in lower case.
    """

    def __init__(self, connection: _Connection, head: AnswerHead, longest: int) -> None:
        self._connection = connection
        self.headers = head.headers
        self._lines = Lines(Body(connection.incoming, head), longest, connection.incoming.shown)

    async def line(self) -> bytes:
        """Wait for the next line; without its newline. May be cancelled, and called again. As `http_answer.Lines`."""
        return await self._lines.line()

    async def close(self) -> None:
        """Close the connection, within a second. May be called again, and never raises."""
        await self._connection.close()


class HttpClient:
    """Requests to one server.

    Args:
        host: Its name or address, which its certificate has to be for.
        port: Its port.
        tls: For TLS; None for none.
        shown: How messages name the server; without secrets.
        headers: To be sent with each request.

    Attributes:
        headers: What is sent with each request from now on.
    """

    def __init__(
        self,
        host: str,
        port: int,
        tls: ssl.SSLContext | None = None,
        *,
        shown: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._host, self._port, self._tls = host, port, tls
        self._shown = shown
        name = f"[{host}]" if ":" in host else host
        self.headers = {"Host": f"{name}:{port}", "Accept-Encoding": "identity", **(headers or {})}
        self._addresses: list[str] = []
        self._kept: _Connection | None = None
        self._closed = False

    async def request(
        self,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        most: int = MOST_ANSWER,
        patience: float | None = None,
        twice: bool = True,
    ) -> Answer:
        """Send a request, and read its answer, whatever its status is.

        Args:
            method: GET, POST, …
            target: The path and the query.
            headers: Besides those of the client.
            body: What is sent.
            most: Bytes of the largest body that is read.
            patience: Seconds for all of it; None: engine.PATIENCE.
            twice: Whether it may reach the server twice: False for one that must not, which gets a fresh connection.

        Raises:
            Unreachable: No connection, a lost one, or no answer in time.
            Fault: The answer is not HTTP/1.1 or too large, or the certificate is not the server's.
        """
        message = self._message(method, target, headers, body)
        async with self._deadline(patience):
            kept = self._take_kept() if twice else None
            if kept is not None:
                with contextlib.suppress(Unanswered):
                    return await self._exchange(kept, message, most)
            return await self._exchange(await self._connect(patience), message, most)

    async def stream(
        self,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        longest: int = LONGEST_LINE,
        patience: float | None = None,
    ) -> Stream | Answer:
        """Send a request whose answer goes on: a Stream if its status is 200, else an Answer, and the stream is closed.

        Args:
            method: GET, POST, …
            target: The path and the query.
            headers: Besides those of the client.
            body: What is sent.
            longest: Bytes of the longest line.
            patience: Seconds until the answer's head is there; None: engine.PATIENCE. A line may take for ever.

        Raises:
            EngineError: As of `request`.
        """
        message = self._message(method, target, headers, body)
        async with self._deadline(patience):
            connection = await self._connect(patience)
            try:
                head = await connection.ask(message)
                if head.status == 200:
                    return Stream(connection, head, longest)
                content = await Body(connection.incoming, head).whole(MOST_ANSWER)
            except BaseException:
                connection.abort()
                raise
            await connection.close()
            return Answer(head.status, head.headers, content)

    async def close(self) -> None:
        """Close the kept connection, within a second. May be called again, and never raises."""
        self._closed = True
        kept, self._kept = self._kept, None
        if kept is not None:
            await kept.close()

    def _message(self, method: str, target: str, headers: Mapping[str, str] | None, body: bytes) -> bytes:
        lines = {**self.headers, **(headers or {})}
        if body or method not in ("GET", "HEAD"):
            lines["Content-Length"] = str(len(body))
        if not (_SAFE.fullmatch(method) and _SAFE.fullmatch(target)):
            raise Fault(f"{self._shown}: a path with other characters than a URL's can't be asked for")
        for name, value in lines.items():
            if not (_SAFE.fullmatch(name) and _SAFE_VALUE.fullmatch(value)):
                raise Fault(f"{self._shown}: the header {name} has a character that can't be sent")
        head = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in lines.items()), "", ""]
        return "\r\n".join(head).encode("ascii") + body

    @contextlib.asynccontextmanager
    async def _deadline(self, patience: float | None) -> AsyncIterator[None]:
        patience = engine.PATIENCE if patience is None else patience
        deadline = asyncio.timeout(patience)
        try:
            async with deadline:
                yield
        except TimeoutError as error:
            if not deadline.expired():
                raise
            raise Unreachable(f"{self._shown}: no answer within {patience:g} s") from error

    def _take_kept(self) -> _Connection | None:
        kept, self._kept = self._kept, None
        if kept is not None and kept.is_closed():
            kept.abort()
            return None
        return kept

    async def _exchange(self, connection: _Connection, message: bytes, most: int) -> Answer:
        try:
            head = await connection.ask(message)
            content = await Body(connection.incoming, head).whole(most)
        except BaseException:
            connection.abort()
            raise
        if head.stays and self._kept is None and not self._closed:
            self._kept = connection
        else:
            await connection.close()
        return Answer(head.status, head.headers, content)

    async def _connect(self, patience: float | None) -> _Connection:
        """A connection to an address that the name has, each of which gets its share of the time.

        The address of the first one is that of all: what is asked beside a stream is asked of the same server. Not
        `happy_eyeballs_delay`: a connection that asyncio makes beside another one stays open if that is cancelled.
        """
        if self._closed:
            raise Unreachable(f"{self._shown}: the connection is closed")
        share = (engine.PATIENCE if patience is None else patience) / len(addresses := await self._known_addresses())
        for address in addresses:
            deadline = asyncio.timeout(share if len(addresses) > 1 else None)
            try:
                async with deadline:
                    connection = await self._connect_to(address)
            except TimeoutError:
                failure: EngineError = Unreachable(f"{self._shown}: no connection within {share:g} s to {address}")
            except EngineError as error:
                failure = error
            else:
                self._addresses = [address]
                return connection
        raise failure

    async def _known_addresses(self) -> list[str]:
        """All that the name has, in an order by chance, so that clients spread; or the one that was connected to."""
        if not self._addresses:
            self._addresses = await self._resolved()
        return self._addresses

    async def _resolved(self) -> list[str]:
        with contextlib.suppress(ValueError):
            return [str(ipaddress.ip_address(self._host))]  # which takes no thread
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise self._unconnected(error) from error
        addresses = list({str(each[4][0]) for each in found})
        random.shuffle(addresses)
        return addresses

    async def _connect_to(self, address: str) -> _Connection:
        name = self._host if self._tls else None
        try:
            reader, writer = await asyncio.open_connection(
                address, self._port, ssl=self._tls, server_hostname=name, limit=_LIMIT
            )
        except ssl.SSLCertVerificationError as error:
            raise Fault(f"{self._shown}: the certificate is not the server's: {error.verify_message}") from error
        except (OSError, UnicodeError) as error:
            raise self._unconnected(error) from error
        _notice_silent_loss(writer)
        return _Connection(reader, writer, self._shown)

    def _unconnected(self, error: OSError | UnicodeError) -> EngineError:
        closed = isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError, *_CLOSED))
        if isinstance(error, ssl.SSLError) and not closed:
            return tls_refused(error, self._shown)
        if self._tls is not None and closed:
            return Unreachable(f"{self._shown}: the server closed the connection during the TLS handshake; is it one"
                               " with TLS?")  # fmt: skip
        return Unreachable(f"{self._shown}: no connection: {_reason(error)}")


class _Connection:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, shown: str) -> None:
        self._reader, self._writer = reader, writer
        self.incoming = Incoming(reader, shown, secure=writer.get_extra_info("sslcontext") is not None)

    async def ask(self, message: bytes) -> AnswerHead:
        """Send a request, and read its answer's head. A refusal that comes while the rest is being sent is read."""
        self.incoming.begin()
        self._writer.write(message)
        with contextlib.suppress(OSError):  # what the server had to say may be there: reading tells
            await self._writer.drain()
        return await read_head(self.incoming)

    def is_closed(self) -> bool:
        """Whether the server has closed it, so far as is known."""
        return self._reader.at_eof() or self._writer.is_closing() or self._reader.exception() is not None

    def abort(self) -> None:
        """Close it now; the loop does the rest."""
        self._writer.transport.abort()

    async def close(self) -> None:
        """Close it, within a second."""
        self.abort()
        with contextlib.suppress(EngineError, OSError, TimeoutError):
            async with asyncio.timeout(_TO_CLOSE):
                await self._writer.wait_closed()


def _reason(error: OSError | UnicodeError) -> str:
    """Why there is no connection; asyncio's own text has the address in it, once for each that a name has."""
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _notice_silent_loss(writer: asyncio.StreamWriter) -> None:
    """Have the kernel ask a silent peer: a watch may be quiet for weeks, and a router forgets such a connection."""
    end = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEPALIVE:
            if hasattr(socket, name):
                end.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
