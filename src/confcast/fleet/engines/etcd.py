"""etcd as an engine: heads are watched through its JSON gateway, and swapped in one transaction with their entries.

    confcast/KEY/head              watched; read again at each hint
    confcast/KEY/payload/DIGEST
    confcast/KEY/fresh/DIGEST      for as long as the payload may not be dropped: under a lease, which is etcd's clock
    confcast/KEY/audit/REVISION    the revision of the store that the publisher has read: no two entries can have one
    confcast/KEY/reports/HOST      under a lease of the host's

Guarantees. The watch begins right behind the revision of a read, so no write lies between them. It ends where the
member loses its leader, and counts as lost at a compaction, at any error, at any end, and at a line of more than
64 KB (a host that stood still is told everything at once: it starts over instead). The check every 30 seconds reads
linearizably, and sees whether the watch has told what it reads.

What a host's user has to be allowed: to read `head` and `payload/`, to write `reports/`. A publisher reads and writes
all of confcast/KEY/. etcd keeps each write until it is compacted (`--auto-compaction-retention`): a report, a head and
an entry are one each.

A report's age is known by its host's lease: it is renewed just before the report is written, and etcd says what is
left of it. After a change of the leader all leases begin anew, so an old report may look up to KEPT seconds younger.
Of what has come since a look a moment ago that is not asked: a controller looks four times a second.

Rejected: a comparison of revisions alone, or of a `version` (it is what a comparison without `target` means), and
`progress_notify` as a sign of life (the first one comes after ten minutes).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import random
import time
from collections.abc import Container, Sequence
from typing import Any, ClassVar
from urllib.parse import quote

from confcast.fleet.engines import engine
from confcast.fleet.engines.access import Access
from confcast.fleet.engines.engine import (
    MOST_DROPPED,
    MOST_ENTRIES,
    MOST_PAYLOAD,
    PATIENCE,
    EngineError,
    Fault,
    Hints,
    OldPayload,
    Stored,
    TooLarge,
    Unreachable,
)
from confcast.fleet.engines.etcd_api import PORT, EtcdApi, KeyValue, Reply
from confcast.fleet.engines.http_answer import LineTooLong, StreamEnded, Unanswered
from confcast.fleet.engines.http_stream import Stream
from confcast.fleet.engines.url_paths import etcd_nothing
from confcast.log_fields import about

_log = logging.getLogger("confcast.fleet")

KEPT = 600
"""Seconds for which etcd keeps a report."""

_SLACK = 100  # entries beyond, so that they are not counted off one by one
_JUST_NOW = 2.0  # seconds between two looks at the reports, after which what is new is known to be new
_SILENT = 1.0  # seconds after which a watch is lost that has not told of a write
_TO_CLOSE = 1.0  # seconds
_MOST_PAYLOAD_ANSWER = MOST_PAYLOAD * 4 // 3 + 4096
_MOST_ENTRY_ANSWER = 8192
_MOST_KEYS = 10_000
_MOST_KEY = 1024  # bytes of an answer for each
_MOST_REPORTS_ANSWER = 64 * 1024 * 1024
_MOST_REPORTS = 10_000
_MUST_HAVE_LEADER = {"Grpc-Metadata-hasleader": "true"}


async def connect(access: Access, key: str) -> EtcdStore:
    """A connection to one of the members of the URL: `etcd://one:2379,two:2379`, or `etcds://` for TLS.

    The first that answers a linearizable read in time; they are tried in an order by chance, so that hosts spread, and
    that the next try is likely to begin with another one.

    Raises:
        EngineError: None of them does; a Fault if one of them gave that.
    """
    etcd_nothing(access)
    members = access.hosts
    random.shuffle(members)
    errors: list[EngineError] = []
    for host, port in members:
        store = EtcdStore(EtcdApi(access, host, port or PORT), key)
        try:
            await _opened(store, 0.9 * PATIENCE / len(members))
        except EngineError as error:
            errors.append(error)
        else:
            return store
    faults = [error for error in errors if isinstance(error, Fault)]
    raise faults[0] if faults else Unreachable("; ".join(map(str, errors)))


async def _opened(store: EtcdStore, patience: float) -> None:
    deadline = asyncio.timeout(patience)
    try:
        async with deadline:
            await store.open()
    except TimeoutError:
        await store.close()
        if not deadline.expired():
            raise
        raise Unreachable(f"{store.shown}: no answer within {patience:.1f} s") from None
    except Unanswered as error:
        await store.close()
        hint = "; does it expect TLS (etcds://)?" if store.shown.startswith("etcd:") else ""
        raise Unreachable(f"{error}{hint}") from error
    except BaseException:
        await store.close()
        raise


class EtcdStore:
    """A connection to one member of etcd. As `engine.Store`."""

    NAME: ClassVar[str] = "etcd"

    def __init__(self, api: EtcdApi, key: str) -> None:
        self._api = api
        self.shown = api.shown
        self._prefix = f"confcast/{quote(key, safe='')}/"
        self._head = self._named("head")
        self._last: KeyValue | None = None  # the head as it was read last
        self._revision = 0  # of the store, at that read
        self._hints = Hints()
        self._watch: _Watch | None = None
        self._leases: dict[str, str] = {}  # by host
        self._written: dict[bytes, tuple[int, float]] = {}  # by key of a report: its revision, and when on our clock
        self._looked_to, self._looked_at = 0, -math.inf  # the revision of the last look at the reports, and when

    async def open(self) -> None:
        """Say who this side is, and see that the member can read the head. Raises EngineError."""
        await self._api.authenticate()
        await self._read_head()

    # ---- as Feed

    async def subscribe(self) -> None:
        """Watch the head from right behind a read on; returns when etcd has confirmed that."""
        last = await self._read_head()
        request = {"create_request": {"key": self._head, "start_revision": str(self._revision + 1)}}
        stream = await self._api.stream("watch", request, _MUST_HAVE_LEADER)
        self._watch = _Watch(self._api, stream, self._hints, last.mod_revision if last else 0)
        await self._watch.begin()

    async def hint(self) -> None:
        """Wait until the watch tells a write."""
        await self._hints.wait()

    async def head(self) -> bytes | None:
        """The head now, by a linearizable read."""
        last = await self._read_head()
        return last.value if last else None

    async def verify(self) -> bytes | None:
        """The head, after a look whether the watch has told of it."""
        if self._hints.error is not None:
            raise self._hints.error
        last = await self._read_head()
        if self._watch is not None:
            await self._watch.has_told(last.mod_revision if last else 0, self._revision)
        return last.value if last else None

    async def payload(self, digest: str) -> bytes | None:
        """The payload under this digest."""
        key = self._named(f"payload/{digest}")
        reply = await self._api.ask_store("kv/range", {"key": key}, most=_MOST_PAYLOAD_ANSWER)
        return reply.kvs[0].value if reply.kvs else None

    async def report(self, host: str, record: bytes) -> None:
        """Put a report under the host's lease, which begins anew."""
        lease = self._leases.get(host)
        if lease is None or not await self._is_renewed(lease):
            lease = self._leases[host] = (await self._api.ask("lease/grant", {"TTL": str(KEPT)})).id
        key = self._named(f"reports/{quote(host, safe='')}")
        await self._api.ask_store("kv/put", {"key": key, "value": record, "lease": lease})

    async def close(self) -> None:
        """Close the connections, both also if it is cancelled."""
        self._hints.lose(Unreachable(f"{self.shown}: the connection is closed"))
        try:
            if self._watch is not None:
                await self._watch.close()
        finally:
            await self._api.close()

    # ---- as Store

    async def put_payload(self, digest: str, content: bytes) -> None:
        """Write a payload, unless it is there, and say that it is fresh."""
        if len(content) > MOST_PAYLOAD:
            raise TooLarge(f"{self.shown}: the payload has {len(content)} bytes, and {MOST_PAYLOAD} at most are taken")
        key = self._named(f"payload/{digest}")
        lease = (await self._api.ask("lease/grant", {"TTL": str(max(1, round(engine.UNTOUCHED)))})).id
        is_fresh = _put(self._named(f"fresh/{digest}"), b"", lease)
        write = [_put(key, content), is_fresh]
        await self._api.ask_store("kv/txn", {"compare": [_is_missing(key)], "success": write, "failure": [is_fresh]})

    async def swap(self, old: bytes | None, new: bytes, entry: bytes) -> bool:
        """Put a head in the place of exactly `old`, and the entry, in one transaction."""
        last = self._last
        if self._revision == 0 or (last.value if last else None) != old:
            last = await self._read_head()
            if (last.value if last else None) != old:
                return False
        unchanged = [_is_missing(self._head)]
        if last is not None:
            unchanged = [
                {"key": self._head, "target": "MOD", "mod_revision": str(last.mod_revision)},
                {"key": self._head, "target": "VALUE", "value": last.value},
            ]
        audit, self._revision = self._named(f"audit/{self._revision:020}"), 0  # which is good for one entry
        request = {"compare": [*unchanged, _is_missing(audit)], "success": [_put(self._head, new), _put(audit, entry)]}
        if not (await self._api.ask_store("kv/txn", request, twice=False)).succeeded:
            return False
        with contextlib.suppress(EngineError):  # the head is there, whatever comes of the old entries
            await self._prune()
        return True

    async def entries(self, limit: int) -> list[bytes]:
        """The newest entries, newest first."""
        if limit < 1:
            return []  # etcd takes 0 for no limit
        newest = {"limit": str(limit), "sort_order": "DESCEND", "sort_target": "CREATE"}
        most = _MOST_ENTRY_ANSWER * (limit + 1)
        reply = await self._api.ask_store("kv/range", {**self._all("audit/"), **newest}, most=most)
        return [found.value for found in reply.kvs]

    async def old_payloads(self, named: Container[str]) -> list[OldPayload]:
        """As of `Store`; the order is that of their making."""
        found, fresh = [await self._oldest(folder) for folder in ("payload/", "fresh/")]
        known = set(fresh)
        return [OldPayload(each, None) for each in found if each not in known and each not in named][:MOST_DROPPED]

    async def drop_payloads(self, head: bytes, payloads: Sequence[OldPayload]) -> None:
        """As of `Store`: all of them, or none. The swap keeps the entries few."""
        if not payloads:
            return
        fresh = [_is_missing(self._named(f"fresh/{each.digest}")) for each in payloads]
        unchanged = {"key": self._head, "target": "VALUE", "value": head}
        keys = [self._named(f"payload/{each.digest}") for each in payloads]
        delete = [{"request_delete_range": {"key": key}} for key in keys]
        await self._api.ask_store("kv/txn", {"compare": [unchanged, *fresh], "success": delete})

    async def reports(self) -> list[Stored]:
        """The reports of the last KEPT seconds."""
        request = {**self._all("reports/"), "limit": str(_MOST_REPORTS)}
        asked = time.monotonic()
        reply = await self._api.ask_store("kv/range", request, most=_MOST_REPORTS_ANSWER)
        for found in reply.kvs if asked - self._looked_at <= _JUST_NOW else ():
            if found.mod_revision > self._looked_to and found.lease:
                self._written[found.key] = found.mod_revision, self._looked_at
        self._looked_to, self._looked_at = reply.header.revision, asked
        seen = [(found.value, await self._written_at(found)) for found in reply.kvs]
        keys = {found.key for found in reply.kvs}
        self._written = {key: known for key, known in self._written.items() if key in keys}
        now = time.monotonic()
        return [Stored(record, max(0.0, now - at)) for record, at in seen if at is not None]

    # ---- in common

    def _named(self, name: str) -> bytes:
        return (self._prefix + name).encode()

    def _all(self, folder: str) -> dict[str, Any]:
        """The range of the keys in a folder; "0" is the sign that follows "/"."""
        return {"key": self._named(folder), "range_end": self._named(f"{folder[:-1]}0")}

    async def _read_head(self) -> KeyValue | None:
        reply = await self._api.ask_store("kv/range", {"key": self._head})
        self._last, self._revision = reply.kvs[0] if reply.kvs else None, reply.header.revision
        return self._last

    async def _oldest(self, folder: str) -> list[str]:
        """The last parts of the keys in a folder, the oldest first: of as many as entries can name, and some more."""
        which = {"keys_only": True, "sort_order": "ASCEND", "sort_target": "CREATE", "limit": str(_MOST_KEYS)}
        reply = await self._api.ask_store("kv/range", {**self._all(folder), **which}, most=_MOST_KEYS * _MOST_KEY)
        return [found.key.rpartition(b"/")[2].decode("ascii", "replace") for found in reply.kvs]

    async def _is_renewed(self, lease: str) -> bool:
        """Renew a lease; False if there is none any more. The answer is a stream of one line."""
        fields = {"ID": lease}
        return (await self._api.ask_line("lease/keepalive", fields)).ttl > 0

    async def _written_at(self, found: KeyValue) -> float | None:
        """When a report was written, on our monotonic clock; None for one that is going, or was not put by a host."""
        known = self._written.get(found.key)
        if known is not None and known[0] == found.mod_revision:
            return known[1]
        if not found.lease:
            return None
        lease = await self._api.ask("lease/timetolive", {"ID": found.lease})
        if lease.ttl < 0:
            return None
        at = time.monotonic() - max(0, lease.granted_ttl - lease.ttl - 1)  # what is left was rounded down
        self._written[found.key] = found.mod_revision, at
        return at

    async def _prune(self) -> None:
        """Delete the oldest entries, if there are many beyond those that are kept."""
        everything = self._all("audit/")
        counted = await self._api.ask_store("kv/range", {**everything, "count_only": True})
        if counted.count <= MOST_ENTRIES + _SLACK:
            return
        newest = {"limit": str(MOST_ENTRIES), "keys_only": True, "sort_order": "DESCEND", "sort_target": "KEY"}
        kept = await self._api.ask_store("kv/range", {**everything, **newest}, most=_MOST_ENTRY_ANSWER * MOST_ENTRIES)
        if kept.kvs:
            await self._api.ask_store("kv/deleterange", {**everything, "range_end": kept.kvs[-1].key})


class _Watch:
    """The watch of a head, and the task that reads it.

    Args:
        api: The member.
        stream: What it answers.
        hints: Where writes, and the loss of the watch, are told.
        known: The revision of the head that was read before; 0 for none.
    """

    def __init__(self, api: EtcdApi, stream: Stream, hints: Hints, known: int) -> None:
        self._api, self._stream, self._hints = api, stream, hints
        self._told = self._newest = known  # the revision of the last write, and of the head: 0 after a deletion
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Wait until etcd has confirmed the watch, and read on from there. Raises EngineError."""
        deadline = asyncio.timeout(PATIENCE)
        try:
            async with deadline:
                first = self._checked(self._api.line_of(await self._line()))
        except TimeoutError:
            if not deadline.expired():
                raise
            raise Unreachable(f"{self._api.shown}: etcd does not confirm the watch within {PATIENCE:g} s") from None
        if not first.created:
            raise Fault(f"{self._api.shown}: etcd's watch does not begin as one")
        self._task = asyncio.create_task(self._read())

    async def has_told(self, revision: int, read_at: int) -> None:
        """Wait a moment until this revision of the head was told; 0: that it is deleted, at this one of the store.

        Raises:
            Unreachable: It was not: no hint would come.
        """
        deadline = asyncio.timeout(_SILENT)
        try:
            async with deadline:
                while not (self._told >= revision if revision else self._newest == 0 or self._told > read_at):
                    self._news.clear()
                    await self._news.wait()
                    if self._hints.error is not None:
                        raise self._hints.error
        except TimeoutError:
            if not deadline.expired():
                raise
            raise Unreachable(f"{self._api.shown}: etcd's watch has not told of a write") from None

    async def close(self) -> None:
        """End the task and the connection."""
        try:
            if self._task is not None:
                self._task.cancel()
                await asyncio.wait([self._task], timeout=_TO_CLOSE)
        finally:
            await self._stream.close()

    async def _read(self) -> None:
        try:
            while True:
                self._take(self._checked(self._api.line_of(await self._line())))
        except EngineError as error:
            self._hints.lose(error)
        except Exception as error:  # a fault of this build; a watch that ends without a word would be silent for ever
            _log.error("a watch of etcd can't be read", exc_info=error, extra=about("engine_unreadable", engine="etcd"))
            self._hints.lose(Fault(f"{self._api.shown}: etcd's watch can't be read: {type(error).__name__}"))
        finally:
            self._news.set()

    async def _line(self) -> bytes:
        try:
            return await self._stream.line()
        except StreamEnded as ended:
            if ended.rest:  # etcd says in it why
                self._api.line_of(ended.rest)
            raise
        except LineTooLong as error:
            raise Unreachable(f"{error}: it has told too much at once") from error

    def _checked(self, reply: Reply) -> Reply:
        if reply.canceled and reply.cancel_reason:
            raise Fault(f"{self._api.shown}: etcd refuses to watch: {reply.cancel_reason}")
        if reply.canceled:
            raise Unreachable(f"{self._api.shown}: etcd has ended the watch: what it began with is compacted")
        return reply

    def _take(self, reply: Reply) -> None:
        for event in reply.events:
            self._told = event.kv.mod_revision
            self._newest = 0 if event.type == "DELETE" else self._told
        if reply.events:
            self._news.set()
            self._hints.tell()


def _is_missing(key: bytes) -> dict[str, Any]:
    return {"key": key, "target": "CREATE", "create_revision": "0"}


def _put(key: bytes, value: bytes, lease: str = "0") -> dict[str, Any]:
    return {"request_put": {"key": key, "value": value, "lease": lease}}
