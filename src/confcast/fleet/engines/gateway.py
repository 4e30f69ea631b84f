"""The host's side of a gateway: a connection on which a head is followed (`engine.Feed`), to one of several gateways.

Guarantees. Each host has an order of its own of the gateways, by a hash of its id and their URLs, so that a fleet
spreads over them, and keeps its place while others come and go. A gateway that does not answer is passed over for a
time, and one that has lost its own engine comes after those that have not; if its head is another one than this host
knows, it is as if it was not there: it may be an old one. A stream without a line in 30 seconds is lost. Where streams
break before their first line three times in a row, as behind a proxy that collects answers, the head is asked for by
long poll for a time, and the log says so.

Rejected: to go back to the first gateway once it answers again (a fleet would move twice for each restart; hosts spread
again as they come).
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence

from confcast.fleet.engines import gateway_lines
from confcast.fleet.engines.access import Access
from confcast.fleet.engines.engine import MOST_PAYLOAD, EngineError, Fault, Hints, Unreachable
from confcast.fleet.engines.gateway_lines import BadLine, Line
from confcast.fleet.engines.http_stream import Answer, HttpClient, Stream
from confcast.log_fields import about
from confcast.texts import printable

SCHEMES = {"http": 80, "https": 443}

_PASSED_OVER = 30.0
"""Seconds for which a gateway that failed comes after the others."""

_FIRST_LINE = 2.0
"""Seconds for a gateway to send its first line, while there is another one to try."""

_BROKEN = 3
_POLLED = 600.0  # seconds until a stream is tried again

_MOVES_AFTER = 20.0
"""Seconds for which a gateway may not hear from its engine before its hosts look for another one."""

_MOVES_EVERY = 300.0
"""Seconds between two such looks: while the engine is away from all gateways, there is nothing to find."""

_SLACK = 5.0  # seconds that the answer of a long poll may come later than the gateway waits

_log = logging.getLogger("confcast.fleet")


class Gateways:
    """The gateways of one host. For one loop.

    Args:
        gateways: Where they are, in any order.
        key: The key to follow.
        host: This host's id; empty: to ask as no host, which gets what is stable, and is not counted.
        name: Its name.
        labels: Its labels.
        poll: Whether to ask by long poll from the start.
        clock: Seconds.

    Attributes:
        known: The digest of the head that a gateway gave last while it heard from its engine; empty before the first.

    Raises:
        Fault: A URL is none of a gateway.
    """

    def __init__(
        self,
        gateways: Sequence[Access],
        key: str,
        host: str,
        name: str,
        labels: Mapping[str, str],
        *,
        poll: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        for access in gateways:
            _check(access)
        if not gateways:
            raise Fault("no gateway is given")
        self._gateways = sorted(gateways, key=lambda access: _place(host, access.url), reverse=True)
        self._key, self._clock = key, clock
        self._headers = gateway_lines.headers(host, name, labels) if host else {}
        self._failed: dict[str, float] = {}
        self._broken = 0
        self._always_polls = poll or not host
        self._polls_until = self._moves_at = 0.0
        self.known = ""

    async def connect(self) -> GatewayFeed:
        """A connection to the first gateway that serves this host. Raises EngineError, that of the last one tried."""
        order = self._order()
        spare: GatewayFeed | None = None  # one that has lost its engine
        try:
            for access in order:
                try:
                    feed = await self._one(access, None if access is order[-1] else _FIRST_LINE)
                except EngineError as error:
                    self.failed(access)
                    failure = error
                    continue
                if not feed.away:
                    return feed
                self.failed(access)
                if spare is None:
                    spare = feed
                else:
                    await feed.close()
            if spare is None:
                raise failure
            found, spare = spare, None
            return found
        finally:
            if spare is not None:
                await spare.close()

    @property
    def polls(self) -> bool:
        """Whether the head is asked for by long poll now."""
        return self._always_polls or self._clock() < self._polls_until

    def may_move(self) -> bool:
        """Whether a host whose gateway has lost its engine is to look for another one now."""
        if len(self._gateways) == 1 or self._clock() < self._moves_at:
            return False
        self._moves_at = self._clock() + _MOVES_EVERY
        return True

    def failed(self, access: Access) -> None:
        """Pass this gateway over for a time."""
        self._failed[access.url] = self._clock()

    def _order(self) -> list[Access]:
        """In this host's order; those that failed lately come last, that of the oldest failure first."""
        now = self._clock()
        failed = {url: at for url, at in self._failed.items() if now - at < _PASSED_OVER}
        self._failed = failed
        return sorted(self._gateways, key=lambda access: failed.get(access.url, 0.0))

    async def _one(self, access: Access, patience: float | None) -> GatewayFeed:
        feed = GatewayFeed(self, access, self._key, self._headers)
        try:
            async with asyncio.timeout(patience):
                first = await feed.open()
        except TimeoutError:
            await feed.close()
            raise Unreachable(f"{access.shown}: no first line in time") from None
        except BaseException:
            await feed.close()
            raise
        if first.away and self.known and first.digest != self.known:
            await feed.close()
            raise Unreachable(f"{access.shown}: {_lost_engine(first.away)}, and has another head than this host")
        return feed

    def heard(self, line: Line) -> None:
        """A line has come: streams work, and this is the head, if the gateway hears from its engine."""
        self._broken = 0
        if not line.away:
            self.known = line.digest

    def broke(self) -> None:
        """A stream has ended before its first line."""
        self._broken += 1
        if self._broken >= _BROKEN:
            self._polls_until = self._clock() + _POLLED
            text = "streams of the gateways break before their first line, as behind a proxy that collects answers"
            _log.warning(
                "%s: the head is asked for by long poll for the next %g minutes",
                text,
                _POLLED / 60,
                extra=about("engine_polled", reason=text, seconds=_POLLED),
            )


class GatewayFeed:
    """A connection to one gateway; see `engine.Feed`.

    Attributes:
        away: Seconds for which the gateway has not heard from its engine.
        retry: Seconds between two tries to connect at the most, as the gateway says.
        trouble: Why the gateway's head may not be the engine's; empty if it is.
        troubled_since: Since when, in seconds since 1970.
    """

    def __init__(self, gateways: Gateways, access: Access, key: str, headers: Mapping[str, str]) -> None:
        self._gateways, self._access, self._key, self._headers = gateways, access, key, headers
        ((host, port),) = access.hosts
        scheme = access.parts.scheme
        tls = access.tls() if scheme == "https" else None
        self._client = HttpClient(host, port or SCHEMES[scheme], tls, shown=access.shown)
        self._poller = HttpClient(host, port or SCHEMES[scheme], tls, shown=access.shown)
        self._base = access.parts.path.rstrip("/")
        self._stream: Stream | None = None
        self._reader: asyncio.Task[None] | None = None
        self._hints = Hints()
        self._head = b""
        self._digest = ""
        self._is_new = False  # a line has brought another head since `head` was called last
        self.away = self.retry = 0.0
        self.trouble, self.troubled_since = "", 0.0

    async def open(self) -> Line:
        """Wait for the first line. Raises EngineError."""
        line = await (self._poll(0.0) if self._gateways.polls else self._first_line())
        if not line.head:
            raise Fault(f"{self._access.shown}: the gateway's first line has no head")
        self._take(line)
        return line

    async def _first_line(self) -> Line:
        longest = gateway_lines.LONGEST_LINE
        answer = await self._client.stream("GET", self._path("stream"), headers=self._all_headers(), longest=longest)
        if isinstance(answer, Answer):
            raise self._refused(answer)
        self._stream = answer
        try:
            return self._decode(await answer.line())
        except (Unreachable, asyncio.CancelledError):
            self._gateways.broke()
            raise

    async def subscribe(self) -> None:
        """See `Feed`: the first line is here already."""
        if self._reader is None:
            self._reader = asyncio.create_task(self._read_on())

    async def hint(self) -> None:
        """See `Feed`."""
        await self._hints.wait()

    async def head(self) -> bytes | None:
        """See `Feed`: that of a line that has come since the last call, or else the gateway is asked."""
        if not self._is_new:
            before = self._digest
            line = await self._poll(0.0)
            if self._digest == before:  # else the stream has brought a newer one than this answer may have
                self._take(line)
        self._is_new = False
        return self._newest()

    def _newest(self) -> bytes:
        if self._hints.error is not None:
            raise self._hints.error
        return self._head

    async def verify(self) -> bytes | None:
        """See `Feed`. A host whose gateway has lost its engine goes to another one, if there is one."""
        if self.away > _MOVES_AFTER and self._gateways.may_move():
            self._gateways.failed(self._access)
            raise Unreachable(f"{self._access.shown}: {_lost_engine(self.away)}")
        return self._newest()

    async def payload(self, digest: str) -> bytes | None:
        """See `Feed`."""
        target, headers = self._path("payload", digest), self._all_headers()
        answer = await self._client.request("GET", target, headers=headers, most=MOST_PAYLOAD)
        if answer.status == 200:
            return answer.body
        if answer.status == 404:
            return None
        if answer.status == 410:  # it is no fault of the head: two others have come since
            raise Unreachable(f"{self._access.shown}: the head is out of date by now")
        raise self._refused(answer)

    async def report(self, host: str, record: bytes) -> None:
        """See `Feed`."""
        answer = await self._client.request("POST", self._path("report"), headers=self._all_headers(), body=record)
        if answer.status != 204:
            raise self._refused(answer)

    async def close(self) -> None:
        """See `Feed`."""
        reader, self._reader = self._reader, None
        while reader is not None and not reader.done():
            reader.cancel()
            await asyncio.wait([reader], timeout=0.1)
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.close()
        await self._client.close()
        await self._poller.close()

    async def _read_on(self) -> None:
        """Read lines until the stream is lost."""
        try:
            while True:
                if self._stream is None:
                    line = await self._poll(gateway_lines.LONGEST_WAIT)
                else:
                    async with asyncio.timeout(gateway_lines.LOST_AFTER):
                        line = self._decode(await self._stream.line())
                if self._take(line):
                    self._hints.tell()
        except TimeoutError:
            self._lose(Unreachable(f"{self._access.shown}: no line within {gateway_lines.LOST_AFTER:g} s"))
        except EngineError as error:
            self._lose(error)
        except Exception as error:  # a fault of this build: without a loss, no line would come, and no check find that
            _log.error(
                "a gateway's lines can't be read", exc_info=error, extra=about("engine_unreadable", engine="gateway")
            )
            self._lose(Fault(f"{self._access.shown}: its lines can't be read: {type(error).__name__}"))

    def _lose(self, error: EngineError) -> None:
        self._gateways.failed(self._access)
        self._hints.lose(error)

    async def _poll(self, wait: float) -> Line:
        target = f"{self._path('head')}?after={self._digest}&wait={wait:g}"
        answer = await self._poller.request("GET", target, headers=self._all_headers(), patience=wait + _SLACK)
        if answer.status != 200:
            raise self._refused(answer)
        return self._decode(answer.body)

    def _take(self, line: Line) -> bool:
        """Note a line. Returns whether it has another head. Raises Unreachable if one was missed."""
        self._gateways.heard(line)
        if line.away > _MOVES_AFTER >= self.away:
            _log.warning(
                "%s: %s; its head is used on",
                self._access.shown,
                _lost_engine(line.away),
                extra=about("engine_lost", source=self._access.shown),
            )
        self._note_trouble(line)
        self.away, self.retry = line.away, line.retry or self.retry
        if line.head:
            is_new = line.digest != self._digest
            self._head, self._digest = line.head.encode(), line.digest
            self._is_new = self._is_new or is_new
            return is_new
        if line.digest != self._digest:
            raise Unreachable(f"{self._access.shown}: the gateway has another head than the one that it sent last")
        return False

    def _note_trouble(self, line: Line) -> None:
        """An outage of the gateway's engine is logged by its length; what else is wrong with its head, at once."""
        if line.trouble and not self.trouble:
            self.troubled_since = time.time() - line.away
        if line.trouble and not line.away and line.trouble != self.trouble:
            _log.warning(
                "%s: the gateway says: %s; its head is used on",
                self._access.shown,
                printable(line.trouble),
                extra=about("gateway_warning", source=self._access.shown, warning=line.trouble),
            )
        self.trouble = printable(line.trouble)[: gateway_lines.LONGEST_TROUBLE]

    def _decode(self, content: bytes) -> Line:
        try:
            return gateway_lines.decode(content)
        except BadLine as error:
            raise Fault(f"{self._access.shown}: {error}") from error

    def _path(self, *more: str) -> str:
        return self._base + gateway_lines.path(self._key, *more)

    def _all_headers(self) -> dict[str, str]:
        """The token's file may have been rotated, so it is read for each request."""
        token = self._access.password()
        return {**self._headers, "Authorization": f"Bearer {token}"} if token else dict(self._headers)

    def _refused(self, answer: Answer) -> EngineError:
        said = printable(answer.body[:200].decode("utf-8", "replace").strip())
        text = f"{self._access.shown}: the gateway answers {answer.status}: {said}"
        return Unreachable(text) if answer.status in (408, 429) or answer.status >= 500 else Fault(text)


def _check(access: Access) -> None:
    if access.parts.scheme not in SCHEMES or len(access.hosts) != 1 or not access.parts.hostname:
        raise Fault(f"{access.shown}: no gateway has this URL: http://HOST:PORT or https://HOST:PORT is expected")


def _lost_engine(seconds: float) -> str:
    return f"the gateway has not heard from its engine for {seconds:.0f} s"


def _place(host: str, url: str) -> bytes:
    """A host's order of gateways (rendezvous hashing)."""
    return hashlib.sha256(f"{host} {url}".encode()).digest()
