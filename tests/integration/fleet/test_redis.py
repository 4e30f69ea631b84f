"""What only Redis and Valkey do: replicas, databases, rights, memory, and what is kept of reports and entries."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from confcast.fleet import publishing
from confcast.fleet.engines import connect, engine, redis
from confcast.fleet.engines.engine import EngineError, Fault, Unreachable
from confcast.fleet.engines.link import Link
from confcast.fleet.head import digest_of
from tests.integration.fleet.conftest import Servers
from tests.support.certificates import Authority
from tests.support.engines import each_program
from tests.support.engines.connections import ONE, THREE, TWO, connected, two, until_head
from tests.support.engines.redis import Redis
from tests.support.waiting import eventually

_RIGHTS = re.search(r"`(resetkeys [^`]+)`", redis.__doc__ or "")


@pytest.fixture(params=[each for each in each_program() if "Redis" in str(getattr(each, "id", ""))])
def chosen(request: pytest.FixtureRequest) -> Any:
    """Redis alone."""
    return request.param


@pytest.fixture
def server(server: Any) -> Redis:
    """As a Redis, which has more to it than other servers."""
    assert isinstance(server, Redis)
    return server


@pytest.fixture
def pair(chosen: Any) -> Iterator[tuple[Redis, Redis]]:
    """A master, and a replica that has its data."""
    kind, program = chosen
    with kind(program) as master, kind(program, replica_of=master) as replica:
        _until_linked(replica)
        yield master, replica


def _until_linked(replica: Redis) -> None:
    with contextlib.closing(replica.client()) as client:
        eventually(lambda: client.info("replication")["master_link_status"] == "up", "a replica that has its master")


# ---- replicas


async def test_on_a_replica_the_masters_writes_are_told(pair: tuple[Redis, Redis], key: str):
    master, replica = pair
    async with connected(master, key) as publisher, connected(replica, key) as store:
        await store.subscribe()
        assert await store.head() is None
        assert await publisher.swap(None, ONE, b"1")
        await store.hint()
        await until_head(store, ONE)
        assert await store.verify() == ONE
        with pytest.raises(Fault, match="master's address"):
            await store.swap(ONE, TWO, b"2")


async def test_a_replica_whose_master_died_is_not_believed(pair: tuple[Redis, Redis], key: str):
    """It tells nothing, and gives what it has for as long as it lives."""
    master, replica = pair
    async with connected(master, key) as publisher:
        assert await publisher.swap(None, ONE, b"1")
    async with connected(replica, key) as store:
        await store.subscribe()
        await until_head(store, ONE)
        master.kill()
        with contextlib.closing(replica.client()) as client:
            eventually(lambda: client.info("replication")["master_link_status"] == "down", "a link that is down")
        with pytest.raises(Unreachable, match="lost its master"):
            await store.verify()
    async with connected(replica, key) as store:
        with pytest.raises(Unreachable, match="lost its master"):
            await store.head()


async def test_after_a_failover_the_older_head_is_the_head(pair: tuple[Redis, Redis], key: str):
    """The replica missed the last write, and becomes the master: what was answered for is gone."""
    master, replica = pair
    url = f"redis://127.0.0.1:{master.port},127.0.0.1:{replica.port}/0"
    async with connected(master, key) as publisher:
        assert await publisher.swap(None, ONE, b"1")
        with contextlib.closing(replica.client()) as client:
            eventually(lambda: client.get(f"confcast:{{{key}}}:head") == ONE, "the head on the replica")
        replica.pause()
        with contextlib.closing(master.client()) as client:  # else the write would wait for it in the socket
            client.client_kill_filter(_type="replica")
        assert await publisher.swap(ONE, TWO, b"2")
    master.kill()
    replica.resume()
    with contextlib.closing(replica.client()) as client:
        client.replicaof("NO", "ONE")
    async with connected(replica, key, url=url) as store, connected(replica, key) as publisher:
        await store.subscribe()
        assert await store.head() == ONE
        assert await publisher.swap(ONE, THREE, b"3")
        await store.hint()
        await until_head(store, THREE)
        assert await store.verify() == THREE
        assert await store.entries(10) == [b"3", b"1"]


async def test_a_connection_outlives_the_promotion_of_its_replica(pair: tuple[Redis, Redis], key: str):
    """It is told nothing of the promotion; the check reads what was written there meanwhile, and hints go on."""
    _, replica = pair
    async with connected(replica, key) as store:
        await store.subscribe()
        assert await store.head() is None
        with contextlib.closing(replica.client()) as client:
            client.replicaof("NO", "ONE")
        async with connected(replica, key) as publisher:
            assert await publisher.swap(None, ONE, b"1")
            assert await store.verify() == ONE
            assert await publisher.swap(ONE, TWO, b"2")
            await until_head(store, TWO)


async def test_a_master_that_becomes_a_replica_without_a_master_is_not_believed(chosen: Any, key: str):
    kind, program = chosen
    with kind(program) as server:
        async with connected(server, key) as store:
            await store.subscribe()
            assert await store.head() is None
            with contextlib.closing(server.client()) as client:
                client.replicaof("127.0.0.1", "1")
            with pytest.raises(Unreachable, match="lost its master"):
                await store.verify()


# ---- databases


async def test_databases_have_nothing_in_common(server: Redis, key: str):
    other_url = server.url.removesuffix("/0") + "/3"
    async with connected(server, key) as store, connected(server, key, url=other_url) as other:
        assert await store.swap(None, ONE, b"1")
        assert await other.head() is None
        assert await other.swap(None, TWO, b"2")
        assert await store.head() == ONE


async def test_a_number_that_no_database_has_is_refused(server: Redis, key: str):
    with pytest.raises(Fault, match="no database"):
        await connect(server.access(url=server.url.removesuffix("/0") + "/99"), key)


async def test_databases_that_were_swapped_are_found_by_the_check(server: Redis, key: str):
    """Nothing is told of that."""
    async with two(server, key) as (store, other):
        assert await other.swap(None, ONE, b"1")
        await store.subscribe()
        assert await store.head() == ONE
        with contextlib.closing(server.client()) as client:
            client.swapdb(0, 5)
            try:
                assert await store.verify() is None
            finally:
                client.swapdb(0, 5)


async def test_a_flush_of_another_database_is_a_hint_and_changes_nothing(server: Redis, key: str):
    async with two(server, key) as (store, other):
        assert await other.swap(None, ONE, b"1")
        await store.subscribe()
        assert await store.head() == ONE
        with contextlib.closing(server.client(database=7)) as client:
            client.set("x", "1")
            client.flushdb()
        await store.hint()
        assert await store.head() == ONE


# ---- rights and limits


async def test_a_host_needs_these_rights_and_can_publish_nothing(server: Redis, key: str):
    """Those that the engine's file names."""
    assert _RIGHTS
    rules = _RIGHTS[1].replace("KEY", key).split()
    async with connected(server, key) as publisher:
        digest = digest_of(b"content")
        await publisher.put_payload(digest, b"content")
        assert await publisher.swap(None, ONE, b"1")
        with contextlib.closing(server.client()) as client:
            client.execute_command("ACL", "SETUSER", f"host-{key}", "on", ">word", *rules)
        url = server.url.replace("redis://", f"redis://host-{key}@")
        async with connected(server, key, url=url, secret="word") as host:
            await host.subscribe()
            assert await host.head() == await host.verify() == ONE
            assert await host.payload(digest) == b"content"
            await host.report("a", b"record")
            (seen,) = await publisher.reports()
            assert seen.record == b"record"
            assert await publisher.swap(ONE, TWO, b"2")
            await host.hint()
            assert await host.head() == TWO
            with pytest.raises(Fault, match="EVAL"):
                await host.swap(TWO, THREE, b"3")
            with pytest.raises(Fault, match="EVAL"):
                await host.put_payload(digest_of(b"other"), b"other")
        async with connected(server, f"{key}-other", url=url, secret="word") as host:
            with pytest.raises(Fault, match="keys of this configuration"):
                await host.head()
        assert await publisher.head() == TWO
        assert await publisher.entries(10) == [b"2", b"1"]


async def test_a_publisher_without_the_right_to_delete_publishes_and_is_told(
    server: Redis, key: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(engine, "UNTOUCHED", -1.0)
    with contextlib.closing(server.client()) as client:
        client.execute_command("ACL", "SETUSER", f"deployer-{key}", "on", ">word", "~*", "+@all", "-del")
        access = server.access(url=server.url.replace("redis://", f"redis://deployer-{key}@"), secret="word")
        async with Link(lambda: connect(access, key)) as link:
            await (await link.store()).put_payload(digest_of(b"old"), b"old")
            done = await publishing.publish(link, b"port = 1\n", publishing.Author("me"), None)
            assert done.outcome == "first"
            assert "payloads that nothing names any more stay in the engine: " in done.warning
            assert "right" in done.warning
            assert await (await link.store()).payload(digest_of(b"old")) == b"old"


async def test_a_user_that_was_deleted_is_disconnected(server: Redis, key: str):
    with contextlib.closing(server.client()) as client:
        client.execute_command("ACL", "SETUSER", f"host-{key}", "on", ">word", "~*", "+@all")
        url = server.url.replace("redis://", f"redis://host-{key}@")
        async with connected(server, key, url=url, secret="word") as host:
            await host.subscribe()
            client.execute_command("ACL", "DELUSER", f"host-{key}")
            with pytest.raises(Unreachable):
                await host.hint()
        with pytest.raises(Fault, match="password"):
            await connect(server.access(url=url, secret="word"), key)


async def test_a_server_without_memory_writes_neither_head_nor_entry(chosen: Any, key: str):
    kind, program = chosen
    with kind(program) as server:
        async with connected(server, key) as store:
            assert await store.swap(None, ONE, b"1")
            with contextlib.closing(server.client()) as client:
                client.config_set("maxmemory", "1")
            with pytest.raises(Fault, match="maxmemory"):
                await store.swap(ONE, TWO, b"2")
            with pytest.raises(Fault, match="maxmemory"):
                await store.put_payload(digest_of(b"x"), b"x")
            assert await store.head() == ONE
            assert await store.entries(10) == [b"1"]


async def test_a_server_that_wants_replicas_says_so(chosen: Any, key: str):
    kind, program = chosen
    with kind(program, min_replicas_to_write="1") as server:
        async with connected(server, key) as store:
            with pytest.raises(Fault, match="min-replicas-to-write"):
                await store.swap(None, ONE, b"1")
            assert await store.entries(10) == []


@pytest.mark.parametrize("part", ["head", "audit"])
async def test_a_key_that_holds_something_else_is_refused_and_nothing_written(server: Redis, key: str, part: str):
    name = f"confcast:{{{key}}}:{part}"
    async with connected(server, key) as store:
        with contextlib.closing(server.client()) as client:
            client.hset(name, "of", "somebody")
            with pytest.raises(Fault, match="another kind"):
                await store.swap(None, ONE, b"1")
            assert client.exists(f"confcast:{{{key}}}:head", f"confcast:{{{key}}}:audit") == 1
            client.delete(name)
        assert await store.swap(None, ONE, b"1")


async def test_a_head_that_may_not_be_written_leaves_no_entry(server: Redis, key: str):
    """A script's first writes stay when a later one is refused: the entry is taken off again."""
    with contextlib.closing(server.client()) as client:
        client.execute_command("ACL", "SETUSER", f"odd-{key}", "on", ">word", "~*", "+@all", "-set")
    url = server.url.replace("redis://", f"redis://odd-{key}@")
    async with connected(server, key, url=url, secret="word") as store:
        with pytest.raises(Fault, match="call what the script of EVAL does: give the user the right"):
            await store.swap(None, ONE, b"1")
        assert await store.head() is None
        assert await store.entries(10) == []


async def test_a_cluster_is_refused_in_words(chosen: Any, key: str):
    kind, program = chosen
    with kind(program, cluster_enabled="yes") as server, pytest.raises(Fault, match="Redis Cluster"):
        await connect(server.access(url=server.url.removesuffix("/0")), key)


async def test_a_killed_connection_is_lost_and_the_server_goes_on(server: Redis, key: str):
    async with connected(server, key) as store:
        await store.subscribe()
        with contextlib.closing(server.client()) as client:
            (mine,) = [each for each in client.client_list() if each["name"] == "confcast" and "t" in each["flags"]]
            client.client_kill_filter(_id=mine["id"])
        with pytest.raises(Unreachable, match="closed"):
            await store.hint()
    async with connected(server, key) as store:
        assert await store.swap(None, ONE, b"1")


async def test_a_server_that_asks_for_certificates_is_given_one(
    chosen: Any, servers: Servers, key: str, tmp_path: Path
):
    kind, program = chosen
    if not program.has_tls:
        pytest.skip(f"{program.path} was built without TLS")
    (tmp_path / "other").mkdir()
    ours = Authority(tmp_path)
    server = kind(program, tls_ca_cert_file=str(ours.certfile))
    with server.with_tls(servers.certificates()):
        with contextlib.closing(server.client()) as client:
            client.config_set("tls-auth-clients", "yes")
        mine = {"cert_file": str(ours.certfile), "key_file": str(ours.keyfile)}
        async with connected(server, key, **mine) as store:
            assert await store.swap(None, ONE, b"1")
        refused = r"ends TLS: .*(CERTIFICATE_REQUIRED|UNKNOWN_CA)|refuse this side's certificate"
        with pytest.raises(EngineError, match=refused):
            await connect(server.access(), key)
        other = Authority(tmp_path / "other")
        with pytest.raises(EngineError, match=refused):
            await connect(server.access(cert_file=str(other.certfile), key_file=str(other.keyfile)), key)


# ---- what is kept


async def test_a_thousand_entries_are_kept(server: Redis, key: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(redis, "MOST_ENTRIES", 3)
    async with connected(server, key) as store:
        assert await store.swap(None, ONE, b"0")
        for number in range(1, 6):
            assert await store.swap(ONE, ONE, b"%d" % number)
        assert await store.entries(100) == [b"5", b"4", b"3"]
        with contextlib.closing(server.client()) as client:
            assert client.llen(f"confcast:{{{key}}}:audit") == 3


async def test_the_newest_reports_are_kept(server: Redis, key: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(redis, "_MOST_HOSTS", 3)
    async with connected(server, key) as store:
        for host in ("a", "b", "c", "a", "d"):
            await store.report(host, host.encode())
        assert sorted(each.record for each in await store.reports()) == [b"a", b"c", b"d"]
        monkeypatch.setattr(redis, "_KEPT", 0)
        await store.report("e", b"e")
        assert [each.record for each in await store.reports()] in ([], [b"e"])
        with contextlib.closing(server.client()) as client:
            assert client.hlen(f"confcast:{{{key}}}:reports") <= 1


async def test_other_keys_of_a_configuration_are_no_hint(server: Redis, key: str):
    """Hosts report all the time: each report would have all hosts read the head."""
    async with two(server, key) as (store, other):
        await store.subscribe()
        assert await store.head() is None
        await other.report("a", b"record")
        await other.put_payload(digest_of(b"x"), b"x")
        waiting = asyncio.create_task(store.hint())
        for _ in range(3):  # a push would have come before these answers
            assert await store.head() is None
        assert not waiting.done()
        assert await other.swap(None, ONE, b"1")
        await waiting
