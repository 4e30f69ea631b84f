"""Redis (6.0 or newer) and Valkey: the head is one key, and the server pushes an invalidation at each write to it.

Keys, of which the braces keep all of one configuration together:

    confcast:{KEY}:head             the head
    confcast:{KEY}:payload:DIGEST   a payload
    confcast:{KEY}:put              a sorted set: when each payload was put last, by the server's clock
    confcast:{KEY}:audit            a list of entries, the oldest first; the newest 1000 are kept
    confcast:{KEY}:reports          a hash: a host's newest report
    confcast:{KEY}:seen             a sorted set: when it came, by the server's clock; a day, and 20,000 hosts, are kept

Guarantees. The connection that reads the head is the one that is told of writes (`CLIENT TRACKING ON BCAST`, RESP3), so
that losing it loses both. The prefix that is told holds the head alone: a host that reads nothing costs the server a
few bytes for each head. The head and its entry are written by one script, which checks first and writes last. A
replica is read only while its link to the master is up.

A host needs these rights, with KEY put in: `resetkeys resetchannels -@all %R~confcast:{KEY}:head
%R~confcast:{KEY}:payload:* %RW~confcast:{KEY}:reports %RW~confcast:{KEY}:seen +hello +get +role +client|tracking
+client|trackinginfo +eval +time +hset +hdel +zadd +zcard +zrange +zrangebyscore +zrem` (from 7.0 on; 6 knows no `%R`).

What Redis does not promise: a head that was answered for may be lost when a master dies before its replica has it
(`WAIT` tells, and undoes nothing), or with `appendfsync everysec` in a crash. The followers then read the older head
as any other one. Sentinels and Redis Cluster are refused in words.

Rejected: redis-py (its asyncio client has no tracking, and reconnects by itself), publish/subscribe (a second channel
that can fail alone), keyspace notifications (off by default), and RESP2 with redirection (nobody is told of its loss).
"""

from __future__ import annotations

import asyncio
import ipaddress
import math
import os
import socket
from collections.abc import Container, Sequence
from typing import Any, ClassVar, NamedTuple

from confcast.fleet.engines import engine
from confcast.fleet.engines.access import Access
from confcast.fleet.engines.engine import (
    MOST_DROPPED,
    MOST_ENTRIES,
    MOST_PAYLOAD,
    EngineError,
    Fault,
    OldPayload,
    Stored,
    TooLarge,
    Unreachable,
    in_time,
)
from confcast.fleet.engines.redis_connection import CLUSTER, SENTINEL, Command, Connection
from confcast.fleet.engines.url_paths import redis_database
from confcast.wire.ssl_at_use import ssl

_PORT = 6379
_MOST_LISTED = 64 * 1024 * 1024  # bytes of all entries or reports
_MOST_LOOKED_AT = 2 * MOST_ENTRIES + MOST_DROPPED  # an entry names two payloads at the most
_MOST_HOSTS = 20_000
_KEPT = 86_400  # seconds for which a host's report stays
_SECURE = ("rediss", "valkeys")

# The new head, its entry, how many entries are kept, the old head: that last one is left out for none.
# Should SET fail, which writes last, no other command of a script is undone: so its entry is taken off again.
_SWAP = """
local found = redis.call('GET', KEYS[1])
if found ~= (ARGV[4] or false) then return 0 end
redis.call('RPUSH', KEYS[2], ARGV[2])
local written = redis.pcall('SET', KEYS[1], ARGV[1])
if written.err then redis.call('RPOP', KEYS[2]) return written end
redis.call('LTRIM', KEYS[2], -tonumber(ARGV[3]), -1)
return 1
"""

# The payload, its digest.
_PUT = """
local time = redis.call('TIME')
redis.call('SET', KEYS[1], ARGV[1], 'NX')
redis.call('ZADD', KEYS[2], time[1] + time[2] / 1000000, ARGV[2])
return 1
"""

# For each payload its digest, and when it was put when it was listed.
_DROP = """
for at = 1, #ARGV, 2 do
  local put = redis.call('ZSCORE', KEYS[1], ARGV[at])
  if put and tonumber(put) == tonumber(ARGV[at + 1]) then
    redis.call('DEL', KEYS[(at + 3) / 2])
    redis.call('ZREM', KEYS[1], ARGV[at])
  end
end
return 1
"""

# The host, its record, for how many seconds records stay, how many hosts have one.
_REPORT = """
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZADD', KEYS[2], now, ARGV[1])
local old = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now - ARGV[3], 'LIMIT', 0, 100)
local most = math.min(100, math.max(#old, redis.call('ZCARD', KEYS[2]) - ARGV[4]))
if most == 0 then return 1 end
for _, host in ipairs(redis.call('ZRANGE', KEYS[2], 0, most - 1)) do
  redis.call('HDEL', KEYS[1], host)
  redis.call('ZREM', KEYS[2], host)
end
return 1
"""


class _Place(NamedTuple):
    """An address of a server; `shown` names it in messages, `host` in certificates."""

    shown: str
    host: str
    address: str
    port: int


async def connect(access: Access, key: str) -> Redis:
    """A connection to the first of the URL's addresses that takes one. See `engines.connect`."""
    database = redis_database(access)
    failures: list[EngineError] = []
    places = await _places(access, failures)
    for place in places:
        connection = Connection(place.shown)
        try:
            async with in_time(f"{place.shown}: no answer", engine.PATIENCE / len(places)):
                await _open(connection, access, place)
                return Redis(connection, key, is_replica=await _greet(connection, access, database))
        except EngineError as error:
            silent = isinstance(error.__cause__, TimeoutError) and not connection.is_made
            await connection.close()
            if silent and access.parts.scheme in _SECURE:
                error = Unreachable(f"{error}: it may speak no TLS")
            failures.append(error)
        except BaseException:
            await connection.close()
            raise
    raise next((error for error in failures if isinstance(error, Fault)), failures[-1])


async def _places(access: Access, failures: list[EngineError]) -> list[_Place]:
    """All addresses that the URL's hosts have; `failures` gets the hosts without one.

    They are tried in turn: what asyncio tries in parallel (`happy_eyeballs_delay`) it leaves open when it is cancelled.
    """
    found: dict[_Place, None] = {}
    hosts = access.hosts
    for host, given in hosts:
        port = given or _PORT
        shown = access.shown if len(hosts) == 1 else f"{access.shown} ({host}:{port})"
        try:
            async with in_time(f"{shown}: no answer", engine.PATIENCE / len(hosts)):
                known = [host] if _is_address(host) else await _addresses_of(host)
            found.update((_Place(shown, host, address, port), None) for address in known)
        except UnicodeError:
            failures.append(Fault(f"{shown}: this is no name of a host"))
        except OSError as error:
            failures.append(Unreachable(f"{shown}: the name gives no address: {error.strerror or error}"))
        except Unreachable as error:
            failures.append(error)
    return list(found)


def _is_address(host: str) -> bool:
    """Whether no name has to be resolved, which takes a thread."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


async def _addresses_of(host: str) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [str(each[4][0]) for each in found]


async def _open(connection: Connection, access: Access, place: _Place) -> None:
    """Make the connection, and TLS on it. Raises EngineError."""
    tls = access.tls() if access.parts.scheme in _SECURE else None
    loop, shown = asyncio.get_running_loop(), connection.shown
    name = place.host if tls else None
    try:
        await loop.create_connection(lambda: connection, place.address, place.port, ssl=tls, server_hostname=name)
    except ssl.SSLCertVerificationError as error:
        raise Fault(f"{shown}: its certificate is not accepted: {error.verify_message}") from error
    except ssl.SSLEOFError as error:
        raise Unreachable(f"{shown}: the connection was closed before TLS was made") from error
    except ssl.SSLError as error:
        raise Fault(f"{shown} takes no TLS: {error.reason}") from error
    except OSError as error:  # asyncio's own text for it has the address, and not that it was refused
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise Unreachable(f"{shown}: no connection: {reason}") from error


async def _greet(connection: Connection, access: Access, database: int) -> bool:
    """Say who this is, and which database is meant; whether the server is a replica. Raises EngineError."""
    user, password = access.user, access.password()
    login: Command = ("AUTH", user or "default", password) if user or password else ()
    (about,) = await connection.ask(("HELLO", 3, *login, "SETNAME", "confcast"))
    if not isinstance(about, dict) or about.get(b"proto") != 3:
        raise Fault(f"{connection.shown} does not answer HELLO as Redis does")
    if about.get(b"mode") == b"cluster":
        raise Fault(f"{connection.shown} {CLUSTER}")
    if about.get(b"mode") == b"sentinel":
        raise Fault(f"{connection.shown} {SENTINEL}")
    if database:
        await connection.ask(("SELECT", database))
    return about.get(b"role") != b"master"


class Redis:
    """One connection. See `engine.Store`."""

    NAME: ClassVar[str] = "Redis"

    def __init__(self, connection: Connection, key: str, *, is_replica: bool) -> None:
        self._connection = connection
        self._prefix = f"confcast:{{{key}}}:"
        self._head = f"{self._prefix}head"
        self._is_replica = is_replica
        self._subscribed = False

    # ---- Feed

    async def subscribe(self) -> None:
        """Have writes to the head told on this connection."""
        begin: Command = ("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", self._head)
        again: Command = ("CLIENT", "TRACKINGINFO")  # a second prefix is refused where it overlaps with the first
        await self._connection.ask(again if self._subscribed else begin)
        self._subscribed = True

    async def hint(self) -> None:
        """Wait for an invalidation."""
        await self._connection.hints.wait()

    async def head(self) -> bytes | None:
        """The head. One that is invalidated before GET's reply has come is read again for that hint."""
        if self._is_replica:
            found, role = await self._connection.ask(("GET", self._head), ("ROLE",))
            self._check_role(role)
        else:
            (found,) = await self._connection.ask(("GET", self._head))
        return self._bytes(found)

    async def verify(self) -> bytes | None:
        """The head, if the server still tracks for this connection, and has its master."""
        commands: list[Command] = [("GET", self._head), ("ROLE",)]
        if self._subscribed:
            commands.append(("CLIENT", "TRACKINGINFO"))
        found, role, *info = await self._connection.ask(*commands)
        self._check_role(role)
        for each in info:
            flags = each.get(b"flags", ()) if isinstance(each, dict) else ()
            if b"on" not in flags or b"bcast" not in flags:
                raise self._lost(Unreachable(f"{self._connection.shown} does not tell of changes any more"))
        return self._bytes(found)

    async def payload(self, digest: str) -> bytes | None:
        """A payload."""
        (found,) = await self._connection.ask(("GET", f"{self._prefix}payload:{digest}"), most=MOST_PAYLOAD)
        return self._bytes(found)

    async def report(self, host: str, record: bytes) -> None:
        """Put a record in the place of the host's last one, with the server's time, and forget those of a day ago."""
        if len(record) > MOST_PAYLOAD:
            raise TooLarge(f"a report has {len(record)} bytes, and {MOST_PAYLOAD} at most are possible")
        keys = (f"{self._prefix}reports", f"{self._prefix}seen")
        await self._connection.ask(("EVAL", _REPORT, 2, *keys, host, record, _KEPT, _MOST_HOSTS))

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.close()

    # ---- Store

    async def put_payload(self, digest: str, content: bytes) -> None:
        """Write a payload, unless it is there, and note the server's time."""
        if len(content) > MOST_PAYLOAD:
            raise TooLarge(f"the payload has {len(content)} bytes, and {MOST_PAYLOAD} at most are possible")
        keys = (f"{self._prefix}payload:{digest}", f"{self._prefix}put")
        await self._connection.ask(("EVAL", _PUT, 2, *keys, content, digest))

    async def swap(self, old: bytes | None, new: bytes, entry: bytes) -> bool:
        """Put a head in the place of exactly `old`, with its entry."""
        keys = (self._head, f"{self._prefix}audit")
        expected = () if old is None else (old,)
        (done,) = await self._connection.ask(("EVAL", _SWAP, 2, *keys, new, entry, MOST_ENTRIES, *expected))
        return bool(done == 1)

    async def entries(self, limit: int) -> list[bytes]:
        """The newest entries, newest first; no more than 1000 are kept."""
        if limit <= 0:
            return []
        ask = ("LRANGE", f"{self._prefix}audit", -min(limit, MOST_ENTRIES), -1)
        (found,) = await self._connection.ask(ask, most=_MOST_LISTED)
        self._expect("LRANGE", isinstance(found, list) and all(isinstance(each, bytes) for each in found))
        return found[::-1]  # type: ignore[no-any-return]

    async def old_payloads(self, named: Container[str]) -> list[OldPayload]:
        """As of `Store`; looked for among as many as entries can name, and some more."""
        (now,) = await self._connection.ask(("TIME",))
        before = int(self._time(now)) - engine.UNTOUCHED
        ask = ("ZRANGEBYSCORE", f"{self._prefix}put", "-inf", repr(before), "WITHSCORES", "LIMIT", 0, _MOST_LOOKED_AT)
        (found,) = await self._connection.ask(ask, most=_MOST_LISTED)
        scored = self._scored("ZRANGEBYSCORE", found)
        old = (OldPayload(digest.decode("ascii", "replace"), put) for digest, put in scored)
        return [each for each in old if each.digest not in named][:MOST_DROPPED]

    async def drop_payloads(self, head: bytes, payloads: Sequence[OldPayload]) -> None:
        """As of `Store`: the time of the last put tells; the script of the swap keeps the entries few."""
        if not payloads:
            return
        keys = (f"{self._prefix}put", *(f"{self._prefix}payload:{each.digest}" for each in payloads))
        listed = (text for each in payloads for text in (each.digest, repr(each.put)))
        await self._connection.ask(("EVAL", _DROP, len(keys), *keys, *listed))

    async def reports(self) -> list[Stored]:
        """The records of the last day."""
        seen: Command = ("ZRANGE", f"{self._prefix}seen", 0, -1, "WITHSCORES")
        ask = (("TIME",), seen, ("HGETALL", f"{self._prefix}reports"))
        asked, times, records = await self._connection.ask(*ask, most=_MOST_LISTED)
        now, scored = self._time(asked), self._scored("ZRANGE", times)
        self._expect("HGETALL", isinstance(records, dict) and all(isinstance(each, bytes) for each in records.values()))
        return [Stored(records[host], max(0.0, now - at)) for host, at in scored if host in records]

    # ---- what is expected of replies

    def _expect(self, command: str, is_expected: bool) -> None:
        """Raises Fault for an answer of another kind: what is there may be anybody's."""
        if not is_expected:
            raise self._lost(Fault(f"{self._connection.shown} does not answer {command} as Redis does"))

    def _bytes(self, found: Any) -> bytes | None:
        self._expect("GET", found is None or isinstance(found, bytes))
        return found  # type: ignore[no-any-return]

    def _time(self, found: Any) -> float:
        """Seconds since 1970, by the server's clock."""
        self._expect("TIME", isinstance(found, list) and len(found) == 2 and all(map(_is_digits, found)))
        seconds, micros = found
        return int(seconds) + int(micros) / 1e6

    def _scored(self, command: str, found: Any) -> list[tuple[bytes, float]]:
        """Members of a sorted set, each with its score."""
        self._expect(command, isinstance(found, list) and all(map(_is_scored, found)))
        return [(member, score) for member, score in found]

    def _check_role(self, role: Any) -> None:
        """Raises Unreachable at a replica without its master: it would go on giving the head that it had last."""
        self._is_replica = not isinstance(role, list) or role[:1] != [b"master"]
        if self._is_replica and (not isinstance(role, list) or role[3:4] != [b"connected"]):
            raise self._lost(Unreachable(f"{self._connection.shown} is a replica that has lost its master"))

    def _lost(self, error: EngineError) -> EngineError:
        self._connection.lose(error)
        return error


def _is_digits(found: Any) -> bool:
    return isinstance(found, bytes) and found.isdigit() and len(found) <= 19


def _is_scored(found: Any) -> bool:
    return (
        isinstance(found, list)
        and len(found) == 2
        and isinstance(found[0], bytes)
        and isinstance(found[1], float)
        and math.isfinite(found[1])
    )
