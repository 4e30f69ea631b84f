"""One key: what the engine says of it, and whoever waits for its next head.

Guarantees. A head that can't be read, and no head where there was one, replace nothing: the last head is served on, and
`trouble` says why. Hosts are told of a head at once, and its payloads fetched meanwhile. The copy on disk is written
once a head's payloads are there; a disk that fails or hangs delays nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial

import msgspec

from confcast.fleet import head as heads
from confcast.fleet.engines import gateway_lines
from confcast.fleet.engines.engine import PATIENCE, EngineError, Feed, Store
from confcast.fleet.engines.gateway_lines import Line
from confcast.fleet.follower import LONGEST_PAUSE, Follower
from confcast.fleet.gateway.disk import Copy
from confcast.fleet.gateway.disk_thread import DiskThread
from confcast.fleet.gateway.errors import StateFolderError
from confcast.fleet.gateway.hosts import Hosts
from confcast.fleet.gateway.limits import Limits
from confcast.fleet.gateway.payloads import Payloads
from confcast.fleet.reports import Summary
from confcast.log_fields import about
from confcast.texts import shortened

_HOSTS_A_SECOND = 500
"""How many hosts a gateway takes back in a second without being slow: `Line.retry` spreads more of them."""

_SUMMARY_AT_LEAST = 20.0

_log = logging.getLogger("confcast.fleet")


class Topic:
    """One key of a gateway. For one loop.

    Args:
        key: The key.
        connect: Makes a connection to the engine. Raises EngineError.
        gateway: The gateway's id.
        limits: The bounds.
        copy: The copy on disk; None for none.
        disk: Where it is read and written.

    Attributes:
        hosts: The hosts of this key.
        payloads: Its payloads.
        head: The head that is served; None before the first.
        digest: Its digest, as `Line` has it.
        disk_trouble: Why the copy on disk is not the newest.
        closing: Set when streams have to end.
        heads: How many heads have been served.
    """

    def __init__(
        self,
        key: str,
        connect: Callable[[], Awaitable[Store]],
        gateway: str,
        limits: Limits,
        copy: Copy | None = None,
        disk: DiskThread | None = None,
    ) -> None:
        self.key, self._limits, self._gateway = key, limits, gateway
        self._engine, self._copy, self._disk = connect, copy, disk or DiskThread()
        self._follower = Follower(self._connect, self._take, self._lost)
        self.hosts = Hosts(limits.hosts, limits.summary)
        self.payloads = Payloads()
        self.head: bytes | None = None
        self.digest = self.disk_trouble = ""
        self._outage = self._fault = ""
        self._told_trouble = False  # hosts are told at once when it is over
        self.closing = False
        self.heads = 0
        self._known = heads.Head(stable="")
        self._away_since: float | None = time.monotonic()
        self._line: tuple[tuple[str, bool, float, float, str] | None, bytes] = None, b""  # the last one, and of what
        self._next = asyncio.Event()
        self._to_keep = asyncio.Event()
        self._restored = asyncio.Event()
        self._listens = asyncio.Event()
        self._store: Store | None = None

    # ---- for those who serve hosts

    @property
    def away(self) -> float:
        """Seconds for which the engine has not been heard; 0.0 while it is."""
        return 0.0 if self._away_since is None else max(0.1, round(time.monotonic() - self._away_since, 1))

    @property
    def trouble(self) -> str:
        """Why the engine is not heard, or its head not served; empty while all is well."""
        return self._outage or self._fault

    @property
    def head_id(self) -> str:
        """The head's name for people; empty before the first."""
        return "" if self.head is None else heads.id_of(self.head)

    def line(self, known: str) -> bytes:
        """The next line for a host that has the head of this digest; empty: for one that has none."""
        retry = self._known.retry or max(LONGEST_PAUSE, len(self.hosts) / _HOSTS_A_SECOND)
        trouble = shortened(self.trouble, gateway_lines.LONGEST_TROUBLE)
        self._told_trouble |= bool(trouble)
        says = self.digest, self.digest == known, retry, self.away, trouble
        if says != self._line[0]:  # a fleet is told the same, and an encoding for each host would cost as much again
            head = "" if self.head is None or self.digest == known else self.head.decode()
            self._line = says, gateway_lines.encode(Line(self.digest, head, retry, self.away, trouble))
        return self._line[1]

    @property
    def next_line(self) -> asyncio.Event:
        """Set once streams are due a line: another head, a heartbeat, or the end.

        One for all streams: a timeout for each would cost as much as the line.
        """
        return self._next

    async def served(self) -> None:
        """Wait until there is a head."""
        while self.head is None:
            await self._next.wait()

    async def news(self, known: str, seconds: float) -> None:
        """Wait until the head has another digest than this, or for so many seconds, or until the gateway closes."""
        try:
            async with asyncio.timeout(seconds):
                while self.digest == known and not self.closing:
                    await self._next.wait()
        except TimeoutError:
            return

    def close(self) -> None:
        """Have all streams end."""
        self.closing = True
        self._tell()

    # ---- the tasks

    async def read_copy(self) -> None:
        """Serve what is on disk, if it is whole."""
        if self._copy is None or (content := await self._disk.do(self._copy.head)) is None:
            return
        try:
            head = heads.decode(content)
        except heads.BadHead as error:
            _log.warning(
                "the copy on disk of key %r is not used: %s",
                self.key,
                error,
                extra=about("copy_not_used", key=self.key, error=error),
            )
            return
        found = {}
        for digest in _digests(head):
            payload = await self._disk.do(partial(self._copy.payload, digest))
            if payload is None:
                _log.warning(
                    "the copy on disk of key %r is not used: the payload %s is not whole",
                    self.key,
                    digest,
                    extra=about("copy_not_used", key=self.key, digest=digest),
                )
                return
            found[digest] = payload
        if self.head is None:
            self._serve(content, head)
            for digest, payload in found.items():
                self.payloads.put(digest, payload)

    async def run(self) -> None:
        """Follow the engine, write summaries, and keep the copy, until it is cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follower.run())
            tasks.create_task(self._summaries())
            tasks.create_task(self._heartbeats())
            if self._copy is not None:
                tasks.create_task(self._keep(self._copy))

    async def last_summary(self) -> None:
        """Have the engine keep what is known now; for the end. Raises EngineError."""
        self._follower.report(self._gateway, self.hosts.summary(self._gateway))
        await self._follower.refresh()
        await self._follower.refresh()  # one read, then the report, then another read: the report has been answered

    def listens(self) -> None:
        """Write summaries from now on: a gateway that has found its port taken is none, and has no hosts."""
        self._listens.set()

    async def _summaries(self) -> None:
        await self._restored.wait()
        await self._listens.wait()
        while True:
            self._follower.report(self._gateway, self.hosts.summary(self._gateway))
            await asyncio.sleep(self._limits.pause)
            try:
                async with asyncio.timeout(_SUMMARY_AT_LEAST):
                    await self.hosts.news.wait()
            except TimeoutError:
                continue

    async def _heartbeats(self) -> None:
        while True:
            await asyncio.sleep(self._limits.heartbeat)
            self._tell()

    async def _keep(self, copy: Copy) -> None:
        """Write each head whose payloads are there, or the newest of several."""
        while True:
            await self._to_keep.wait()
            self._to_keep.clear()
            head, payloads = self.head, self.payloads.present()
            if head is None or payloads is None:
                continue
            try:
                await self._disk.do(partial(_write, copy, head, payloads))
                self.disk_trouble = ""
            except StateFolderError as error:
                if not self.disk_trouble:
                    _log.error("%s; hosts are served all the same", error, extra=about("copy_not_written", error=error))
                self.disk_trouble = str(error)

    # ---- what the follower calls

    async def _connect(self) -> Feed:
        self._store = await self._engine()
        return _Heard(self._store, self._heard)

    async def _take(self, feed: Feed, content: bytes | None) -> bool:
        whole = await self._take_head(feed, content)
        if not self._restored.is_set():
            try:
                await self._restore()
            finally:
                self._restored.set()  # one try: what can't be read now must not keep the summary back
        return whole

    async def _restore(self) -> None:
        """Know the hosts that the last summary of the run before named, until they come back or are forgotten.

        Else the first summary of this run would say that they are lost.
        """
        assert self._store is not None
        async with asyncio.timeout(PATIENCE):
            for record, age in await self._store.reports():
                with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
                    summary = msgspec.json.decode(record, type=Summary)
                    if summary.gateway == self._gateway:
                        self.hosts.restore(summary.hosts, age)

    async def _take_head(self, feed: Feed, content: bytes | None) -> bool:
        try:
            if content is None:
                raise heads.BadHead("the engine has no head: publish one")
            head = heads.decode(content)
        except heads.BadHead as error:
            self._fault = self._complain(self._fault, error)
            return True
        self._fault = ""
        self._over()
        self._follower.pause_up_to(head.retry)
        if content != self.head:
            self._serve(content, head)
        async with asyncio.timeout(4 * PATIENCE):  # two payloads; each call of an engine has a shorter one
            whole = await self.payloads.fetch(feed)
        self._to_keep.set()
        return whole

    def _lost(self, error: EngineError) -> None:
        if self._away_since is None:
            self._away_since = time.monotonic()
        self._outage = self._complain(self._outage, error)

    def _heard(self) -> None:
        if self._away_since is not None:
            self._away_since = None
            _log.info("key %r: the engine is heard", self.key, extra=about("engine_found", key=self.key))
        self._outage = ""
        self._over()

    def _over(self) -> None:
        """Tell hosts that there is no trouble any more, if some know of it."""
        if self._told_trouble and not self.trouble:
            self._told_trouble = False
            self._tell()

    def _complain(self, before: str, error: Exception) -> str:
        """Log what is wrong, unless it was said before. Returns what is."""
        if str(error) != before:
            served = f"hosts are served head {self.head_id} on" if self.head is not None else "nothing is served yet"
            _log.warning(
                "key %r: %s; %s", self.key, error, served, extra=about("engine_lost", key=self.key, error=error)
            )
        return str(error)

    def _serve(self, content: bytes, head: heads.Head) -> None:
        self.head, self._known, self.digest = content, head, gateway_lines.digest_of(content)
        self.heads += 1
        self.payloads.name(_digests(head))
        self._tell()

    def _tell(self) -> None:
        """Wake all who wait; whoever begins to wait from now on waits for the next head."""
        self._next.set()
        self._next = asyncio.Event()


class _Heard:
    """A connection to the engine that tells each head that it could read."""

    def __init__(self, feed: Feed, heard: Callable[[], None]) -> None:
        self._feed, self._told = feed, heard
        self.subscribe, self.hint = feed.subscribe, feed.hint
        self.payload, self.report, self.close = feed.payload, feed.report, feed.close

    async def head(self) -> bytes | None:
        found = await self._feed.head()
        self._told()
        return found

    async def verify(self) -> bytes | None:
        found = await self._feed.verify()
        self._told()
        return found


def _digests(head: heads.Head) -> list[str]:
    return [head.stable, *([head.next] if head.next is not None else [])]


def _write(copy: Copy, head: bytes, payloads: dict[str, bytes]) -> None:
    for digest, content in payloads.items():
        if copy.payload(digest) is None:
            copy.keep_payload(digest, content)
    copy.keep_head(head, payloads)
