"""PostgreSQL: a head is a row, LISTEN tells of its changes, and a publisher swaps it in one statement.

Guarantees. LISTEN is committed before the head is read, each read is a transaction of its own, and any notification is
a reason to read again: so no write between these steps is lost. `verify` asks the very connection that listens whether
it still does. A standby is refused: it has no LISTEN, and may have an old head. A pooler that hands one client's
statements to several sessions (PgBouncer in transaction or statement mode) is refused: LISTEN succeeds there, and
nothing is told.

How such a pooler is found. A pooler gives its clients another process number than that of the server's process. Then,
and only then, `subscribe` makes a second connection, which notifies the first one: a pooler that keeps a session for
each client delivers that. Settings of the session are left alone behind any pooler, as they may be another client's
next.

A host needs the rights of `Tables.grants`; a publisher owns the tables, or has all rights on them, and makes them where
they are missing.

Concurrency: as of `engine`. A connection is not used any more once a call was cancelled or had no answer.

Rejected: the head as the notification's payload (see `postgres_tables`), asyncpg's pool (it drops LISTEN, and connects
by itself), and asyncpg's own choice among several hosts (one that says nothing would take the time of all).
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import math
import os
import ssl
import struct
import uuid
from collections.abc import AsyncIterator, Container, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, ClassVar, NamedTuple

import asyncpg

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
from confcast.fleet.engines.postgres_tables import CHANNEL, COUNT, KEPT, LOCK, NAMES, Tables
from confcast.fleet.engines.postgres_url import Target, parsed

_PROOF = 2.0  # seconds for a notification to arrive once it is committed
_CLOSING = 0.5  # seconds that an orderly end may take
_ATTEMPTS = 3  # of a write: the tables may be missing, and the queue may be full

_ASKS_FOR_TLS = struct.pack("!ii", 8, 80877103)

_STATE = """
select pg_is_in_recovery() as standby, pg_backend_pid() as pid,
    $1 = any(array(select pg_listening_channels())) as listens
"""
# No transaction of ours is left open by mistake, and a server finds within minutes that a host is gone.
_SETTINGS = """
set idle_in_transaction_session_timeout = '30s';
set tcp_keepalives_idle = 60; set tcp_keepalives_interval = 15; set tcp_keepalives_count = 4
"""

_MISSING = (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError)
_SAID = (asyncpg.PostgresError, asyncpg.PostgresWarning)  # the latter, where a server's error has a warning's SQLSTATE
_ERRORS = (*_SAID, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, UnicodeError)
_OUTAGES = ("08", "40", "53", "55", "57", "58")  # classes of SQLSTATE that pass by themselves
_REFUSED = ("08P01", "08004", "57P04")  # but not these: a pooler's refusals, a dropped database
# What PgBouncer says while the server behind it is away.
_POOLERS_OUTAGES = ("server login has been failing", "server conn crashed", "query_wait_timeout", "connect timeout",
                    "client_login_timeout (server down)", "server_connect_timeout")  # fmt: skip

# What a column has to be, and what SQL calls that: the tables may be anybody's, and so may the server.
_COLUMNS: dict[str, tuple[type, str]] = {
    "content": (bytes, "bytea"),
    "digest": (str, "text"),
    "at": (datetime, "timestamptz"),
    "age": (float, "double precision"),
    "standby": (bool, "boolean"),
    "pid": (int, "integer"),
    "listens": (bool, "boolean"),
}

_STANDBY = (
    "this server is a standby: it has no LISTEN, and its copy may be old. Give the primary's address, or all of them:"
    " postgresql://one,two/…"
)
_POOLER = (
    "the pooler in between (PgBouncer in transaction or statement mode?) hands this connection's statements to several"
    " sessions: LISTEN succeeds there, and no change would ever be told. Give the server's own address, or that of a"
    " pool with pool_mode=session"
)


async def connect(access: Access, key: str) -> Postgres:
    """A connection to the primary among the URL's addresses. Raises EngineError."""
    if not key or not key.isprintable():
        raise Fault(f"{key!r} is no key: printable characters are expected")
    target = parsed(access)
    errors: list[EngineError] = []
    for host, port in target.addresses:
        try:
            return await _connected(_Place(host, port, access, target), key)
        except EngineError as error:
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    is_outage = any(isinstance(error, Unreachable) for error in errors)
    raise (Unreachable if is_outage else Fault)("; ".join(map(str, errors))) from errors[0]


async def _connected(place: _Place, key: str) -> Postgres:
    made = Postgres(await place.link(), place, key)
    try:
        await made.begin()
    except BaseException:
        await made.close()
        raise
    return made


class _Place(NamedTuple):
    """One address of a target."""

    host: str
    port: int
    access: Access
    target: Target

    @property
    def shown(self) -> str:
        several = len(self.target.addresses) > 1 or self.host not in self.access.shown
        place = self.host if self.host.startswith("/") else f"{self.host}:{self.port}"
        return f"{self.access.shown} ({place})" if several else self.access.shown

    async def link(self) -> asyncpg.Connection[Any]:
        """A connection on which nothing was asked. libpq's variables say what the URL does not, but not about TLS."""
        patience = PATIENCE / len(self.target.addresses)
        async with in_words(self.shown, patience):
            await self._refuse_other_kinds()
            return await self._link()

    async def _link(self) -> asyncpg.Connection[Any]:
        whatever_it_is: Any = "any"  # a standby is refused in words
        link: asyncpg.Connection[Any] = await asyncpg.connect(
            host=[self.host],
            port=[self.port],
            user=self.target.user,
            password=self.access.password() or None,
            database=self.target.database,
            ssl=self.target.tls or False,
            direct_tls=False,
            timeout=2 * PATIENCE,  # the deadline is the caller's
            statement_cache_size=0,  # a pooler would not know the statements
            server_settings={"application_name": "confcast"},  # a pooler refuses others here
            target_session_attrs=whatever_it_is,
        )
        return link

    async def _refuse_other_kinds(self) -> None:
        """Raise Fault if what listens there is no PostgreSQL, which says by one letter whether it has TLS.

        asyncpg waits for the rest of what another kind of server answers; bytes such as zeros end the whole process.
        """
        if self.host.startswith("/"):
            reader, writer = await asyncio.open_unix_connection(f"{self.host}/.s.PGSQL.{self.port}")
        else:
            reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            writer.write(_ASKS_FOR_TLS)
            answer = await reader.read(64)
        finally:
            writer.transport.abort()
        if not answer:
            raise Unreachable(f"{self.shown}: the server closed the connection")
        if answer.startswith(b"E"):
            raise Unreachable(f"{self.shown}: the server takes no connection now")
        if answer not in (b"S", b"N"):
            raise Fault(f"{self.shown}: what answers there is no PostgreSQL")
        if self.target.tls is not None and answer != b"S" and not self.host.startswith("/"):
            raise Fault(f"{self.shown}: TLS is wanted, and the server has none")


class Postgres:
    """A connection to a primary; made by `connect`."""

    NAME: ClassVar[str] = "PostgreSQL"

    def __init__(self, link: asyncpg.Connection[Any], place: _Place, key: str) -> None:
        self._link = link
        self._place = place
        self._key = key
        self._sql = Tables(place.target.schema)
        self._hints = Hints()
        self._is_pooled = False
        self._pid = 0  # of the server's process
        self._listens = False
        link.add_termination_listener(self._ended)

    async def begin(self) -> None:
        """Refuse a standby, and find out about a pooler. Raises EngineError."""
        async with self._call():
            self._pid = (await self._state())["pid"]
            self._is_pooled = self._pid != self._link.get_server_pid()
            if not self._is_pooled:
                await self._link.execute(_SETTINGS)

    # ---- following

    async def subscribe(self) -> None:
        """As of `Feed`. The command's completion says that it is committed."""
        async with self._call():
            await self._link.add_listener(CHANNEL, self._notified)
            if self._is_pooled:
                await self._prove()
                self._pid = (await self._state())["pid"]
            self._listens = True

    async def hint(self) -> None:
        """As of `Feed`."""
        await self._hints.wait()

    async def head(self) -> bytes | None:
        """As of `Feed`. Tables that are missing are no head."""
        return await self._read(self._sql.head, self._key)

    async def verify(self) -> bytes | None:
        """As of `Feed`."""
        async with self._call():
            state = await self._state()
            if self._listens and not state["listens"]:
                raise Unreachable(f"{self._place.shown}: LISTEN is not in force any more")
            if state["pid"] != self._pid:
                raise Fault(f"{self._place.shown}: {_POOLER}")
        return await self.head()

    async def payload(self, digest: str) -> bytes | None:
        """As of `Feed`."""
        return await self._read(self._sql.payload, self._key, digest, MOST_PAYLOAD + 1)

    async def report(self, host: str, record: bytes) -> None:
        """As of `Feed`. While the tables are missing, which a host never makes, nothing is kept."""
        async with self._call():
            with contextlib.suppress(*_MISSING):
                await self._link.execute(self._sql.report, self._key, host, record)

    async def close(self) -> None:
        """As of `Feed`."""
        self._hints.lose(Unreachable(f"{self._place.shown}: the connection was closed"))
        try:
            async with asyncio.timeout(_CLOSING):
                await self._link.close()
        except (*_ERRORS, TimeoutError):
            pass
        finally:
            self._link.terminate()
        await asyncio.sleep(0)  # the transport closes its socket in the loop's next round

    # ---- publishing

    async def put_payload(self, digest: str, content: bytes) -> None:
        """As of `Store`."""
        if len(content) > MOST_PAYLOAD:
            raise TooLarge(f"the payload has {len(content)} bytes, and {MOST_PAYLOAD} at most are possible")
        await self._write(self._sql.put_payload, self._key, digest, content)

    async def swap(self, old: bytes | None, new: bytes, entry: bytes) -> bool:
        """As of `Store`."""
        if old is None:
            return bool(await self._write(self._sql.first, self._key, new, entry))
        return bool(await self._write(self._sql.swap, self._key, new, entry, old))

    async def entries(self, limit: int) -> list[bytes]:
        """As of `Store`."""
        return [row["content"] for row in await self._rows(("content",), self._sql.entries, self._key, limit)]

    async def old_payloads(self, named: Container[str]) -> list[OldPayload]:
        """As of `Store`; looked for among as many as entries can name, and some more."""
        most = 2 * MOST_ENTRIES + MOST_DROPPED
        rows = await self._rows(("digest", "at"), self._sql.old_payloads, self._key, engine.UNTOUCHED, most)
        return [OldPayload(row["digest"], row["at"]) for row in rows if row["digest"] not in named][:MOST_DROPPED]

    async def drop_payloads(self, head: bytes, payloads: Sequence[OldPayload]) -> None:
        """As of `Store`; so are entries beyond the newest ones, and reports of hosts that are long gone."""
        digests, puts = [each.digest for each in payloads], [each.put for each in payloads]
        await self._write(self._sql.drop_payloads, self._key, digests, puts)
        await self._write(self._sql.trim, self._key, MOST_ENTRIES)
        await self._write(self._sql.prune, self._key, KEPT)

    async def reports(self) -> list[Stored]:
        """As of `Store`: those of the last hour."""
        rows = await self._rows(("content", "age"), self._sql.reports, self._key, KEPT)
        return [Stored(row["content"], row["age"]) for row in rows]

    # ---- asking

    async def _state(self) -> asyncpg.Record:
        """What the server is, and whether this connection listens. Raises Fault for a standby."""
        state = self._checked(("standby", "pid", "listens"), await self._link.fetch(_STATE, CHANNEL))
        if not state:
            raise Fault(f"{self._place.shown}: it does not answer what kind of server it is")
        if state[0]["standby"]:
            raise Fault(f"{self._place.shown}: {_STANDBY}")
        return state[0]

    async def _prove(self) -> None:
        """Have this connection told by another one, through the same pooler. Raises EngineError."""
        arrived = asyncio.Event()
        channel = f"confcast_{uuid.uuid4().hex}"
        await self._link.add_listener(channel, lambda *_: arrived.set())
        other = await self._place.link()
        try:
            await other.execute("select pg_notify($1, '')", channel)
        finally:
            other.terminate()
        try:
            async with asyncio.timeout(_PROOF):
                await arrived.wait()
        except TimeoutError:
            await self._link.execute("unlisten *")  # else the session behind the pooler goes on listening
            raise Fault(f"{self._place.shown}: {_POOLER}") from None
        await self._link.execute(f"unlisten {channel}")

    async def _read(self, statement: str, *values: object) -> bytes | None:
        rows = await self._rows(("content",), statement, *values)
        return rows[0]["content"] if rows else None

    async def _rows(self, columns: Sequence[str], statement: str, *values: object) -> list[asyncpg.Record]:
        """Without tables there are none."""
        async with self._call():
            try:
                return self._checked(columns, await self._link.fetch(statement, *values))
            except _MISSING:
                return []

    def _checked(self, columns: Sequence[str], rows: list[asyncpg.Record]) -> list[asyncpg.Record]:
        """These rows. Raises Fault if one of them has something else in a column than confcast's tables have."""
        for row, column in itertools.product(rows, columns):
            kind, name = _COLUMNS[column]
            found = row.get(column)
            if not isinstance(found, kind) or (isinstance(found, float) and not 0.0 <= found < math.inf):
                raise Fault(
                    f"{self._place.shown}: what it answers has no {name} in {column!r}: are its tables confcast's?"
                )
        return rows

    async def _write(self, statement: str, *values: object) -> list[asyncpg.Record]:
        """In READ COMMITTED, whatever the role's default is: in the other levels a loser gets an error.

        A queue of notifications that was full stays so, also long after its reader is gone, until it is asked about.
        """
        why = "its tables are missing whenever they were made"
        async with self._call():
            for _ in range(_ATTEMPTS):
                try:
                    async with self._link.transaction(isolation="read_committed"):
                        return await self._link.fetch(statement, *values)
                except _MISSING:
                    await self._make_tables()
                except asyncpg.ProgramLimitExceededError as error:
                    why = f"{error.args[0]}: a session that listens was left in a transaction"
                    await self._link.fetchval("select pg_notification_queue_usage()")
            raise Fault(f"{self._place.shown}: {why}")

    async def _make_tables(self) -> None:
        async with self._link.transaction(isolation="read_committed"):
            await self._link.execute(LOCK)
            # What another one made while this one waited is in use by now: its triggers can't be made anew.
            if await self._link.fetchval(COUNT, self._place.target.schema, NAMES) != len(NAMES):
                await self._link.execute(self._sql.ddl)

    def _call(self) -> AbstractAsyncContextManager[None]:
        return in_words(self._place.shown, PATIENCE)

    # ---- told by asyncpg, in the loop

    def _notified(self, *about: object) -> None:
        self._hints.tell()

    def _ended(self, link: object) -> None:
        self._hints.lose(Unreachable(f"{self._place.shown}: the server closed the connection"))


@contextlib.asynccontextmanager
async def in_words(where: str, patience: float) -> AsyncIterator[None]:
    """Make an EngineError of what asyncpg, TLS or the network raise, and of silence for `patience` seconds."""
    try:
        async with asyncio.timeout(patience):
            yield
    except TimeoutError as error:
        raise Unreachable(f"{where}: no answer within {patience:g} seconds") from error
    except _ERRORS as error:
        raise _translated(where, error) from error


def _translated(where: str, error: Exception) -> EngineError:
    # The details of a server's message may have a row's values: its first line alone is shown.
    said = str(error.args[0] if error.args else error).partition("\n")[0]
    if isinstance(error, asyncpg.InsufficientPrivilegeError):
        return Fault(f"{where}: {said}: the tables' owner has to grant it, see the guide's page about many hosts")
    if isinstance(error, _SAID):
        state = error.sqlstate or ""
        passes = state[:2] in _OUTAGES and (state not in _REFUSED or said.startswith(_POOLERS_OUTAGES))
        return (Unreachable if passes else Fault)(f"{where}: {said}")
    if isinstance(error, ssl.SSLCertVerificationError):
        return Fault(f"{where}: its certificate is not accepted: {error.verify_message}")
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return Fault(f"{where} takes no TLS: {error.reason or said}")
    if isinstance(error, UnicodeError | asyncpg.ClientConfigurationError):
        return Fault(f"{where}: {said}")
    if isinstance(error, OSError):
        # asyncio's own words name the address once more; a name that is not found has a number below zero.
        known = os.strerror(error.errno) if error.errno is not None and error.errno > 0 else error.strerror
        return Unreachable(f"{where}: {known or said}")
    return Unreachable(f"{where}: {said}")
