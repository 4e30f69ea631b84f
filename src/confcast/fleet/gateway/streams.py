"""What a host is served: the stream of lines, the long poll, payloads, and the taking of its reports.

Guarantees. A host that is behind is sent nothing more until it has taken what was sent; then it gets the newest head,
whatever came between. One that has not taken it in time is cut off. So a stream has at most one line in the process's
memory, however many heads are published.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
from collections.abc import Callable

import msgspec
from aiohttp import web

from confcast.fleet import reports
from confcast.fleet.engines import gateway_lines
from confcast.fleet.engines.gateway_lines import BadLine, Caller
from confcast.fleet.gateway import payloads
from confcast.fleet.gateway.limits import Limits
from confcast.fleet.gateway.topic import Topic
from confcast.log_fields import about
from confcast.texts import printable
from confcast.wire.messages import UNDECODABLE

_STREAM_BUFFER = 32 * 1024  # of the kernel: more would only hide that a host takes nothing
_PAYLOAD_BUFFER = 128 * 1024
_PIECE = 64 * 1024
_LOOKS = 0.05  # seconds between two looks at what a slow host has taken

_log = logging.getLogger("confcast.fleet")


class SlowHost(ConnectionError):
    """A host has not taken in time what it was sent."""


class Service:
    """Serves the hosts of these keys. For one loop.

    Args:
        topics: The keys.
        limits: The bounds.
        is_allowed: Whether a host that was let in may still be served.

    Attributes:
        cut_off: How many hosts were cut off, since they were too slow.
    """

    def __init__(self, topics: dict[str, Topic], limits: Limits, is_allowed: Callable[[web.Request], bool]) -> None:
        self._topics, self._limits, self._is_allowed = topics, limits, is_allowed
        self._streams: dict[tuple[str, str], list[asyncio.Transport]] = {}
        self._transfers = asyncio.Semaphore(limits.transfers)
        self.cut_off = 0

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Answer `GET /v1/KEY/stream`."""
        topic, caller = self._topic(request), _caller(request)
        transport = _transport(request)
        if not topic.hosts.opened(caller):
            raise _busy(f"{self._limits.hosts} hosts have a stream already: start another gateway")
        streams = self._streams.setdefault((topic.key, caller.host), [])
        streams.append(transport)
        self._end_oldest(streams, caller)
        try:
            return await self._stream(request, topic, transport)
        finally:
            topic.hosts.closed(caller)
            streams.remove(transport)
            if not streams:
                self._streams.pop((topic.key, caller.host), None)

    def _end_oldest(self, streams: list[asyncio.Transport], caller: Caller) -> None:
        """End the oldest stream of a host that has too many: it has lost it, unless there are two such hosts."""
        if len(streams) > self._limits.streams_of_host:
            text = "host %s has more than %d streams: machines with copies of one state folder have one id"
            _log.warning(
                text,
                caller.host,
                self._limits.streams_of_host,
                extra=about("streams_of_host_full", host=caller.host, limit=self._limits.streams_of_host),
            )
            streams[0].abort()

    async def _stream(self, request: web.Request, topic: Topic, transport: asyncio.Transport) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson", "Cache-Control": "no-store"})
        response.headers["X-Accel-Buffering"] = "no"  # nginx would wait for more lines
        response.force_close()
        self._bound_kernel(transport, _STREAM_BUFFER)
        await response.prepare(request)
        known = ""
        while not topic.closing:
            due, line, known = topic.next_line, topic.line(known), topic.digest
            await response.write(line)
            if transport.get_write_buffer_size():
                await self._taken(request, transport)
            await due.wait()
            if not self._is_allowed(request):
                break
        return response

    async def _taken(self, request: web.Request, transport: asyncio.Transport) -> None:
        """Wait until the host has taken what it was sent; cut it off if it does not."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._limits.taken
        while transport.get_write_buffer_size():
            if loop.time() > until:
                raise self._cut(request, transport)
            await asyncio.sleep(_LOOKS)

    def _cut(self, request: web.Request, transport: asyncio.Transport) -> SlowHost:
        """Abort the connection of a host that is too slow. Returns what to raise."""
        self.cut_off += 1
        host = printable(request.headers.get(gateway_lines.HOST, "?")[: gateway_lines.LONGEST_ID])
        _log.warning(
            "host %s has not taken what it was sent in %g s, and is cut off",
            host,
            self._limits.taken,
            extra=about("host_cut_off", host=host, seconds=self._limits.taken),
        )
        transport.abort()
        return SlowHost(host)

    def _bound_kernel(self, transport: asyncio.Transport, size: int) -> None:
        """Have the kernel hold about so many bytes that a host has not taken, and give a machine up that is gone.

        Without that, a machine without power would count as connected for the quarter of an hour of TCP's retries.
        """
        connection = transport.get_extra_info("socket")
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)
            if hasattr(socket, "TCP_USER_TIMEOUT"):
                milliseconds = int(1000 * self._limits.lost)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)

    async def head(self, request: web.Request) -> web.StreamResponse:
        """Answer `GET /v1/KEY/head?after=DIGEST&wait=SECONDS`."""
        topic = self._topic(request)
        known, wait = request.query.get("after", ""), _seconds(request.query.get("wait", "0"))
        is_host = gateway_lines.HOST in request.headers  # a check asks as nobody
        if is_host and not topic.hosts.seen(_caller(request)):
            raise _busy(f"{self._limits.hosts} hosts are known already: start another gateway")
        await topic.news(known, min(wait, self._limits.wait))
        if topic.closing:
            raise _busy("the gateway ends")
        headers = {"Cache-Control": "no-store"}
        return web.Response(body=topic.line(known), headers=headers, content_type="application/json")

    async def payload(self, request: web.Request) -> web.StreamResponse:
        """Answer `GET /v1/KEY/payload/DIGEST`."""
        topic, digest = self._topic(request), request.match_info["digest"]
        try:
            content = await topic.payloads.get(digest, self._limits.fetch)
        except payloads.NotNamed:
            raise web.HTTPGone(text=f"no head names the payload {printable(digest[:64])} any more\n") from None
        except payloads.NotThere:
            raise web.HTTPNotFound(text=f"the engine does not have the payload {digest}\n") from None
        except TimeoutError:
            raise _busy("the payload has not come from the engine yet") from None
        try:
            async with asyncio.timeout(self._limits.fetch):
                await self._transfers.acquire()
        except TimeoutError:
            raise _busy(f"{self._limits.transfers} hosts are being sent a payload: try again") from None
        try:
            async with asyncio.timeout(self._limits.transfer):
                return await self._send(request, digest, content)
        except TimeoutError:
            raise self._cut(request, _transport(request)) from None
        finally:
            self._transfers.release()

    async def _send(self, request: web.Request, digest: str, content: bytes) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
        response.headers["ETag"] = f'"{digest}"'
        response.headers["Cache-Control"] = "private, max-age=31536000, immutable"
        response.content_length = len(content)
        self._bound_kernel(_transport(request), _PAYLOAD_BUFFER)
        await response.prepare(request)
        whole = memoryview(content)
        for start in range(0, len(whole), _PIECE):
            async with asyncio.timeout(self._limits.taken):
                await response.write(whole[start : start + _PIECE])
        return response

    async def report(self, request: web.Request) -> web.StreamResponse:
        """Answer `POST /v1/KEY/report`."""
        topic, caller = self._topic(request), _caller(request)
        if (request.content_length or 0) > self._limits.report:
            raise web.HTTPRequestEntityTooLarge(self._limits.report, request.content_length or 0)
        try:
            async with asyncio.timeout(self._limits.request):
                content = await request.read()  # aiohttp refuses one above `client_max_size`
        except TimeoutError:
            raise web.HTTPRequestTimeout(text="the report has not come whole\n") from None
        try:
            report = msgspec.json.decode(content, type=reports.Report)
        except UNDECODABLE as error:
            raise web.HTTPBadRequest(text=f"this is no report: {error}\n") from None
        if report.host != caller.host:
            raise web.HTTPBadRequest(text=f"the report is another host's than {gateway_lines.HOST} says\n")
        if not topic.hosts.reported(caller, bounded(report)):
            raise _busy(f"{self._limits.hosts} hosts are known already: start another gateway")
        return web.Response(status=204)

    async def health(self, request: web.Request) -> web.StreamResponse:
        """Answer `GET /healthz`: 200 while hosts are served, also with an engine that is away.

        Keys and addresses are for those alone who may come in.
        """
        keys = {
            topic.key: {
                "head": topic.head_id,
                "hosts": topic.hosts.connected,
                "engine": "away" if topic.away else "heard",
                "away": topic.away,
                "trouble": topic.trouble,
                "disk": topic.disk_trouble,
            }
            for topic in self._topics.values()
        }
        serving = all(topic.head is not None for topic in self._topics.values())
        found = {"serving": serving, "keys": keys} if self._is_allowed(request) else {"serving": serving}
        return web.json_response(found, status=200 if serving else 503)

    def _topic(self, request: web.Request) -> Topic:
        topic = self._topics.get(request.match_info["key"])
        if topic is None:
            raise web.HTTPNotFound(text="this gateway does not follow such a key: it would be given by --key\n")
        if topic.head is None:
            raise _busy("no head is known yet")
        return topic


def bounded(report: reports.Report) -> reports.Report:
    """A report whose texts are of the lengths that hosts keep to."""
    return msgspec.structs.replace(
        report,
        digest=report.digest[:64],
        salt=report.salt[:64],
        name=report.name[: gateway_lines.LONGEST_ID],
        reason=report.reason[: reports.LONGEST_REASON],
        labels=_bounded_labels(report.labels),
        version=min(max(report.version, 0), sys.maxsize),  # JSON has numbers of thousands of digits
    )


def _bounded_labels(labels: dict[str, str]) -> dict[str, str]:
    return {key[:64]: value[:64] for key, value in list(labels.items())[:16]}


def _caller(request: web.Request) -> Caller:
    try:
        caller = gateway_lines.caller(request.headers)
        return msgspec.structs.replace(caller, labels=_bounded_labels(caller.labels))
    except BadLine as error:
        raise web.HTTPBadRequest(text=f"{error}\n") from None


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0.0 <= seconds < float("inf"):
        raise web.HTTPBadRequest(text="wait: seconds are expected, such as 25\n")
    return seconds


def _busy(why: str) -> web.HTTPServiceUnavailable:
    return web.HTTPServiceUnavailable(text=f"{why}\n", headers={"Retry-After": "1"})


def _transport(request: web.Request) -> asyncio.Transport:
    transport = request.transport
    if transport is None:
        raise ConnectionResetError("the host has gone")
    return transport
