"""A small HTTP server for metrics: one thread, an asyncio loop, and bounds that no client can pass.

Guarantees. A client has some seconds to send its request, and as many to read the answer, however slowly it does
either. Where there are as many connections as there may be, a new one ends the oldest, of those first that have sent no
request: a scraper, which sends it at once, is served while thousands of others say nothing. A request has one line and
headers of 8 KiB at the most; a body is never read. Scrapes at the same time that ask for the same form get one answer,
which is made once. While nobody connects, nothing wakes.

What an answer is, prometheus_client's own application says: its form by `Accept`, compressed by `Accept-Encoding`, and
only the metrics that `name[]` names. It is 200 also while the config owner is silent: then `confcast_up` is 0. A 503
would be the scraper's `up`, and would take the last numbers away.

Rejected: prometheus_client's `start_http_server` (a thread for each connection, which a client keeps for as long as it
likes), and a connection that is kept for the next scrape (it saves a handshake in fifteen seconds, and takes a place
for all of them).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from confcast.errors import ConfcastError
from confcast.log_fields import about
from confcast.metrics.address import Address

if TYPE_CHECKING:
    from confcast.metrics.collector import Collector

PATH = "/metrics"

MOST_CONNECTIONS = 200
_BACKLOG = 512
"""Connections that may come at once: for one more, a client would wait a second before it tries again."""
_LONGEST_HEAD = 8192
_PATIENCE = 5.0
"""Seconds for a request, and for its answer."""
_THREADS = 2
"""One for each form of the answer that scrapers ask for; they wait for the owner together."""
_CLOSES_WITHIN = 5.0

_log = logging.getLogger("confcast.metrics")


class _Request(NamedTuple):
    """What is read of a request."""

    method: str
    path: str
    query: str
    accept: str
    accept_encoding: str


class _Answer(NamedTuple):
    status: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


class _Refused(Exception):
    """The request is answered with this, and no metrics."""

    def __init__(self, status: str, text: str, *headers: tuple[str, str]) -> None:
        super().__init__(text)
        self.answer = _Answer(status, (("Content-Type", "text/plain; charset=utf-8"), *headers), text.encode())


class MetricsServer:
    """Serves the metrics of a collector over HTTP, from a thread of its own. Call its methods from one thread.

    Args:
        sockets: Listening sockets, which it closes.
        collector: What is served.
    """

    def __init__(self, sockets: Iterable[socket.socket], collector: Collector) -> None:
        from prometheus_client import CollectorRegistry, make_wsgi_app

        registry = CollectorRegistry()
        registry.register(collector)
        self._application: Callable[..., Iterable[bytes]] = make_wsgi_app(registry)
        self._sockets = list(sockets)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="confcast-metrics", daemon=True)
        self._ends: asyncio.Event | None = None
        self._waiting: dict[asyncio.Task[None], None] = {}  # without a request yet; the oldest comes first
        self._answered: dict[asyncio.Task[None], None] = {}
        self._made: dict[_Request, asyncio.Future[_Answer]] = {}
        self._threads = ThreadPoolExecutor(_THREADS, "confcast-metrics-ask")
        self._has_begun = threading.Event()

    @property
    def urls(self) -> list[str]:
        """Where the metrics are."""
        return [f"http://{Address(*each.getsockname()[:2])}{PATH}" for each in self._sockets]

    def start(self) -> None:
        """Begin to serve. Raises ConfcastError where no thread can be started."""
        try:
            self._thread.start()
        except RuntimeError as error:
            raise ConfcastError(f"the thread that serves metrics can't start: {error}") from None
        self._has_begun.wait(_CLOSES_WITHIN)
        urls = self.urls
        _log.info("metrics at %s", ", ".join(urls), extra=about("metrics_served", urls=urls))

    def close(self) -> None:
        """End all connections, and stop listening. Harmless when called again, or without `start`."""
        if self._thread.is_alive() and self._ends is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended by itself
                self._loop.call_soon_threadsafe(self._ends.set)
            self._thread.join(_CLOSES_WITHIN)
        elif not self._loop.is_running() and not self._loop.is_closed():
            self._loop.close()
        for each in self._sockets:
            each.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    # ---- in the thread

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        self._ends = asyncio.Event()
        servers = [
            await asyncio.start_server(self._accepted, sock=each, limit=_LONGEST_HEAD, backlog=_BACKLOG)
            for each in self._sockets
        ]
        self._has_begun.set()
        await self._ends.wait()
        for each in self._sockets:  # a server that closes while it accepts loses that socket (Python 3.11)
            self._loop.remove_reader(each)
        half_accepted = asyncio.all_tasks() - {*self._waiting, *self._answered, asyncio.current_task()}
        await asyncio.gather(*half_accepted, return_exceptions=True)
        for server in servers:
            server.close()
        mine = {*self._waiting, *self._answered}
        for task in mine:
            task.cancel()
        await asyncio.gather(*mine, return_exceptions=True)
        await asyncio.sleep(0)  # the transports are told in the loop's next turn

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve this connection. It is aborted at the task's end, also if that has never begun."""
        if len(self._waiting) + len(self._answered) >= MOST_CONNECTIONS:
            those = self._waiting or self._answered
            oldest = next(iter(those))
            del those[oldest]
            oldest.cancel()
        task = self._loop.create_task(self._connection(reader, writer))
        self._waiting[task] = None
        task.add_done_callback(lambda done: self._ended(done, writer))

    def _ended(self, task: asyncio.Task[None], writer: asyncio.StreamWriter) -> None:
        self._waiting.pop(task, None)
        self._answered.pop(task, None)
        writer.transport.abort()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        me = asyncio.current_task()
        assert me is not None
        with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
            request = await self._request_of(reader)
            self._waiting.pop(me, None)
            self._answered[me] = None
            await self._send(writer, await self._answer_to(request))

    async def _request_of(self, reader: asyncio.StreamReader) -> _Request | _Answer:
        """The request, or the answer that says why it is none. Raises OSError, TimeoutError, IncompleteReadError."""
        try:
            async with asyncio.timeout(_PATIENCE):
                return _parsed(await reader.readuntil(b"\r\n\r\n"))
        except asyncio.LimitOverrunError:
            return _Refused("431 Request Header Fields Too Large", "the request is too long\n").answer
        except _Refused as refused:
            return refused.answer

    async def _answer_to(self, request: _Request | _Answer) -> bytes:
        if isinstance(request, _Answer):
            return _written(request)
        answer = await self._made_once(request._replace(method="GET"))
        return _written(answer, without_body=request.method == "HEAD")

    async def _made_once(self, request: _Request) -> _Answer:
        """The answer that is being made for the same request, or one that is made now."""
        made = self._made.get(request)
        if made is None:
            made = self._made[request] = self._loop.run_in_executor(self._threads, self._make, request)
            made.add_done_callback(lambda done: self._made.pop(request, None))
        return await asyncio.shield(made)

    def _make(self, request: _Request) -> _Answer:
        """The answer of prometheus_client's application; in a thread, since it waits for the config owner."""
        began: list[Any] = []
        environ = {
            "REQUEST_METHOD": request.method,
            "PATH_INFO": request.path,
            "QUERY_STRING": request.query,
            "HTTP_ACCEPT": request.accept,
            "HTTP_ACCEPT_ENCODING": request.accept_encoding,
        }
        try:
            body = b"".join(self._application(environ, lambda *given: began.extend(given)))
        except Exception:
            _log.exception("metrics could not be made", extra=about("metrics_not_made"))
            return _Refused("500 Internal Server Error", "metrics could not be made: see the log\n").answer
        status, headers = began
        return _Answer(status, tuple(headers), body)

    async def _send(self, writer: asyncio.StreamWriter, answer: bytes) -> None:
        async with asyncio.timeout(_PATIENCE):
            writer.write(answer)
            writer.close()
            await writer.wait_closed()


def _parsed(head: bytes) -> _Request:
    """The request. Raises _Refused."""
    line, *headers = head.decode("latin-1").split("\r\n")
    words = line.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise _Refused("400 Bad Request", "this is no request of HTTP/1.1\n")
    method, target, _ = words
    if method not in ("GET", "HEAD"):
        raise _Refused("405 Method Not Allowed", "metrics can be read, with GET or HEAD\n", ("Allow", "GET, HEAD"))
    try:
        parts = urlsplit(target)
    except ValueError:
        raise _Refused("400 Bad Request", "this is no path\n") from None
    if parts.path != PATH:
        raise _Refused("404 Not Found", f"metrics are at {PATH}\n")
    found = {name.strip().lower(): value.strip() for name, _, value in (each.partition(":") for each in headers)}
    return _Request(method, parts.path, parts.query, found.get("accept", ""), found.get("accept-encoding", ""))


def _written(answer: _Answer, *, without_body: bool = False) -> bytes:
    headers = (*answer.headers, ("Content-Length", str(len(answer.body))), ("Connection", "close"))
    lines = [f"HTTP/1.1 {answer.status}", *(f"{name}: {value}" for name, value in headers), "", ""]
    return "\r\n".join(lines).encode("latin-1") + (b"" if without_body else answer.body)
