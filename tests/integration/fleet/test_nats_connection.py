"""Losses, rights and credentials of connections to a real NATS server."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import json
import logging
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from confcast.fleet import publishing
from confcast.fleet.engines import connect, nats_connection
from confcast.fleet.engines import engine as protocol
from confcast.fleet.engines.access import Access
from confcast.fleet.engines.engine import EngineError, Fault, Unreachable
from confcast.fleet.engines.link import Link
from confcast.fleet.engines.nats import Nats
from tests.support.certificates import Authority
from tests.support.engines import nats as support
from tests.support.engines import nkeys
from tests.support.engines.nats_stores import EACH, connected, run, until
from tests.support.engines.server import Program, free_port

_numbers = itertools.count()
PAYLOAD = b"number = 1\n"
DIGEST = hashlib.sha256(PAYLOAD).hexdigest()


@pytest.fixture(scope="module", params=EACH)
def program(request: pytest.FixtureRequest) -> Program:
    found: Program = request.param
    return found


@pytest.fixture(scope="module")
def server(program: Program) -> Iterator[support.Nats]:
    """One that no test of this file ends."""
    with support.Nats(program) as running:
        yield running


@pytest.fixture
def key() -> str:
    return f"key{next(_numbers)}"


# ---- losses


def test_a_loss_ends_hints_and_questions_at_once_and_nothing_is_logged(
    program: Program,
    key: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    caplog.set_level(logging.DEBUG, logger="nats")
    reconnections: list[object] = []

    async def reconnect(client: object) -> None:
        reconnections.append(client)
        await asyncio.Event().wait()

    async def main(server: support.Nats) -> None:
        async with connected(server, key) as store:
            await store.subscribe()
            monkeypatch.setattr(nats_connection._Client, "_select_next_server", reconnect)
            hinting = asyncio.ensure_future(store.hint())
            server.pause()
            asking = asyncio.ensure_future(store.head())
            await asyncio.sleep(0)
            server.kill()
            for waiting in (hinting, asking):
                with pytest.raises(Unreachable, match=r"127.0.0.1"):
                    await waiting
            with pytest.raises(Unreachable):
                await store.verify()
            server.restart()
            with pytest.raises(Unreachable):
                await store.head()
            assert not reconnections

    with support.Nats(program) as server:
        run(lambda: main(server))
    assert not [each for each in caplog.records if each.name.startswith("nats")]
    assert capfd.readouterr() == ("", "")


def test_a_server_that_stands_still_is_given_up_and_closed_within_a_second(
    program: Program, key: str, monkeypatch: pytest.MonkeyPatch
):
    async def main(server: support.Nats) -> None:
        async with connected(server, key) as store:
            await store.put_payload(DIGEST, PAYLOAD)
            server.pause()
            monkeypatch.setattr(protocol, "PATIENCE", 0.05)
            for call in (store.verify, lambda: store.put_payload("0" * 64, b"x" * 1000000), store.head):
                with pytest.raises(Unreachable, match=r"no answer within 0.05 s"):
                    await call()
            async with asyncio.timeout(4.0):  # it has a second, and so many more on a busy machine
                await store.close()

    with support.Nats(program) as server:
        run(lambda: main(server))


def test_a_cancelled_call_ends_whatever_it_waits_for(server: support.Nats, key: str):
    async def main() -> None:
        async def everything() -> None:
            async with connected(server, key) as store:
                await store.subscribe()
                await store.head()
                await store.report("host", b"{}")

        for turns in range(80):
            task = asyncio.ensure_future(everything())
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait({task})
            assert task.cancelled() or task.exception() is None

    run(main)


def test_a_close_that_is_cancelled_leaves_nothing(server: support.Nats, key: str):
    async def main() -> None:
        for turns in range(1, 6):
            store = await connect(server.access(), key)
            await store.subscribe()
            closing = asyncio.ensure_future(store.close())
            for _ in range(turns):
                await asyncio.sleep(0)
            closing.cancel()
            await asyncio.wait({closing})
            assert closing.cancelled() or closing.exception() is None

    run(main)


def test_a_hint_that_was_cancelled_is_told_to_the_next_who_waits(server: support.Nats, key: str):
    async def main() -> None:
        async with connected(server, key) as store:
            await store.subscribe()
            waiting = asyncio.ensure_future(store.hint())
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait({waiting})
            await store.swap(None, b"one", b"entry")
            await store.hint()

    run(main)


def test_the_next_address_is_tried_when_one_is_dead(server: support.Nats, key: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(nats_connection.random, "sample", lambda found, count: list(found))  # the dead one comes first

    async def main() -> None:
        url = f"nats://127.0.0.1:1,127.0.0.1:{server.port},[::1]:1"
        async with connected(server, key, url=url) as store:
            assert await store.head() is None

    run(main)


# ---- who may


RIGHTS = """
publish: ["$JS.API.STREAM.MSG.GET.KV_confcast" {report}],
subscribe: ["_INBOX.>", "$KV.confcast.{key}.head" {advisories}]
"""
REPORT = ', "$KV.confcast_reports.shop.report.*"'
ADVISORIES = ', "$JS.EVENT.ADVISORY.STREAM.*.KV_confcast"'


def users(**rights: str) -> str:
    """A configuration with a host's user of these rights, and one who may do everything."""
    host = RIGHTS.format(**{"key": "shop", "report": REPORT, "advisories": ADVISORIES, **rights})
    return f"""authorization {{
        users: [
            {{ user: host, password: host, permissions: {{ {host} }} }},
            {{ user: keeper, password: keeper, permissions: {{ publish: {{ deny: ["$JS.API.STREAM.PURGE.>"] }} }} }},
            {{ user: all, password: all }}
        ]
    }}"""


@contextlib.contextmanager
def guarded(program: Program, **rights: str) -> Iterator[support.Nats]:
    server = support.Nats(program, users(**rights), is_bare=True)
    with server:
        yield server


def as_user(server: support.Nats, name: str) -> dict[str, str]:
    return {"url": server.url.replace("nats://", f"nats://{name}:{name}@")}


def test_a_host_needs_the_rights_that_are_said_and_no_more(program: Program):
    async def main(server: support.Nats) -> None:
        async with connected(server, "shop", **as_user(server, "all")) as publisher:
            await publisher.put_payload(DIGEST, PAYLOAD)
            await publisher.swap(None, b"one", b"entry")
            async with connected(server, "shop", **as_user(server, "host")) as host:
                await host.subscribe()
                assert await host.head() == b"one"
                assert await host.payload(DIGEST) == PAYLOAD
                await host.report("host.one", b"{}")
                await publisher.swap(b"one", b"two", b"entry")
                await until(host, b"two")
                assert host._hints.error is None
                with pytest.raises(Fault, match="permissions violation for publish"):
                    await host.swap(b"two", b"three", b"entry")

    with guarded(program) as server:
        run(lambda: main(server))


def test_a_publisher_without_the_right_to_purge_publishes_and_is_told(
    program: Program, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(protocol, "UNTOUCHED", -1.0)

    async def main(server: support.Nats) -> None:
        access = Access(**as_user(server, "keeper"))
        async with Link(lambda: connect(access, "shop")) as link:
            await (await link.store()).put_payload(DIGEST, PAYLOAD)
            done = await publishing.publish(link, b"number = 2\n", publishing.Author("me"), None)
            assert done.outcome == "first"
            assert "payloads that nothing names any more stay in the engine: " in done.warning
            assert "grant this right to the user" in done.warning
            assert await (await link.store()).payload(DIGEST) == PAYLOAD

    with guarded(program) as server:
        run(lambda: main(server))


@pytest.mark.parametrize("without", ["report", "key"])
def test_a_right_that_is_missing_is_named_at_once(program: Program, without: str):
    async def main(server: support.Nats) -> None:
        async with connected(server, "shop", **as_user(server, "all")) as publisher:
            await publisher.swap(None, b"one", b"entry")
            async with connected(server, "shop", **as_user(server, "host")) as host:
                if without == "key":
                    with pytest.raises(Fault, match=r"subscription to .*shop.head"):
                        await host.subscribe()
                    return
                await host.subscribe()
                with pytest.raises(Fault, match=r"publish to .*shop.report.one.*grant this right"):
                    await host.report("one", b"{}")
                assert await host.head() == b"one"  # the connection is as before
                await publisher.swap(b"one", b"two", b"entry")
                await until(host, b"two")

    with guarded(program, **{without: "other" if without == "key" else ""}) as server:
        run(lambda: main(server))


def test_a_host_without_the_right_to_be_told_of_buckets_follows_its_head_all_the_same(
    program: Program, monkeypatch: pytest.MonkeyPatch
):
    denied: list[str] = []
    take = nats_connection.Connection._on_denial

    def noted(connection: nats_connection.Connection, text: str) -> None:
        denied.append(text)
        take(connection, text)

    monkeypatch.setattr(nats_connection.Connection, "_on_denial", noted)

    async def main(server: support.Nats) -> None:
        async with connected(server, "shop", **as_user(server, "all")) as publisher:
            await publisher.swap(None, b"one", b"entry")
            async with connected(server, "shop", **as_user(server, "host")) as host:
                await host.subscribe()
                assert await host.head() == b"one"
                assert [".event.advisory.stream." in each.lower() for each in denied] == [True], denied
                await publisher.swap(b"one", b"two", b"entry")
                await until(host, b"two")
                assert host._hints.error is None

    with guarded(program, advisories="") as server:
        run(lambda: main(server))


@pytest.mark.parametrize("where", ["url", "file"])
@pytest.mark.parametrize(
    ("configured", "user", "secret"),
    [
        ('user: shop, password: "s3/cr@t"', "shop", "s3/cr@t"),
        ('token: "t0ken-s3cret"', "", "t0ken-s3cret"),
    ],
)
def test_a_user_and_a_token_come_from_the_url_or_a_file(
    program: Program, key: str, tmp_path: Path, configured: str, user: str, secret: str, where: str
):
    file = tmp_path / "password"

    def access(server: support.Nats, secret: str) -> dict[str, str]:
        file.write_text(secret + "\n")
        if where == "file":
            return {"url": server.url.replace("//", f"//{user}@" if user else "//"), "password_file": str(file)}
        quoted = secret.replace("/", "%2F").replace("@", "%40")
        return {"url": server.url.replace("//", f"//{user}:{quoted}@" if user else f"//{quoted}@")}

    async def main(server: support.Nats) -> None:
        async with connected(server, key, **access(server, secret)) as store:
            assert await store.head() is None
        with pytest.raises(Fault, match="refuses the user, password or token") as caught:
            await connect(server.access(**access(server, "wr0ng-s3cret")), key)
        assert "s3" not in "".join(map(str, (caught.value, caught.value.__cause__, caught.value.__context__)))
        with pytest.raises(Fault, match="refuses the user, password or token"):
            await connect(server.access(), key)

    with support.Nats(program, f"authorization {{ {configured} }}", is_bare=True) as server:
        run(lambda: main(server))


def test_a_changed_password_ends_the_connection_and_the_new_one_is_taken(program: Program, key: str, tmp_path: Path):
    file = tmp_path / "password"
    file.write_text("first")

    async def main(server: support.Nats) -> None:
        async with connected(server, key, password_file=str(file)) as store:
            await store.subscribe()
            server.rotate("second")
            with pytest.raises(EngineError):
                await store.hint()
        with pytest.raises(Fault, match="refuses the user"):
            await connect(server.access(password_file=str(file)), key)
        file.write_text("second")
        async with connected(server, key, password_file=str(file)) as store:
            assert await store.head() is None

    with support.Nats(program).with_password("first") as server:
        run(lambda: main(server))


@pytest.mark.parametrize(
    "content", ["-----BEGIN NATS USER JWT-----\neyJ0\n------END NATS USER JWT------\n", "SU" + "A" * 56]
)
def test_credentials_with_an_nkey_name_the_library_that_they_need(
    server: support.Nats, key: str, tmp_path: Path, content: str, monkeypatch: pytest.MonkeyPatch
):
    file = tmp_path / "shop.creds"
    file.write_text(content)
    monkeypatch.setattr(nats_connection.importlib.util, "find_spec", lambda name: None)

    async def main() -> None:
        with pytest.raises(Fault, match=r"shop.creds: .*pip install 'nats-py\[nkeys\]'") as caught:
            await connect(server.access(password_file=str(file)), key)
        assert "SUAAA" not in str(caught.value)
        assert "eyJ0" not in str(caught.value)

    run(main)


def test_a_file_with_a_seed_proves_who_one_is(
    program: Program, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "nkeys", nkeys.library())
    user, file = nkeys.Nkey(nkeys.USER), tmp_path / "seed"

    async def main(server: support.Nats) -> None:
        file.write_bytes(user.seed + b"\n")
        async with connected(server, key, password_file=str(file)) as store:
            assert await store.head() is None
        file.write_bytes(nkeys.Nkey(nkeys.USER).seed)
        with pytest.raises(Fault, match="refuses the user"):
            await connect(server.access(password_file=str(file)), key)

    with support.Nats(program, f"authorization {{ users: [ {{ nkey: {user.name} }} ] }}", is_bare=True) as server:
        run(lambda: main(server))


def test_a_file_with_credentials_proves_who_one_is(
    program: Program, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "nkeys", nkeys.library())
    operator, file = nkeys.Operator(), tmp_path / "shop.creds"
    whole = operator.credentials

    async def main(server: support.Nats) -> None:
        file.write_text(whole)
        async with connected(server, key, password_file=str(file)) as store:
            await store.subscribe()
        damaged = {
            "have a JWT and no NKEY seed": whole.partition("-----BEGIN USER")[0],
            "credentials can't be used: nkeys: invalid seed": whole.replace("\nSU", "\nSUA"),
            "refuses the user": nkeys.Operator().credentials,
        }
        for words, content in damaged.items():
            file.write_text(content)
            with pytest.raises(Fault, match=words):
                await connect(server.access(password_file=str(file)), key)

    with support.Nats(program, operator.configuration, is_bare=True) as server:
        run(lambda: main(server))


def authority(folder: Path, address: str) -> Authority:
    folder.mkdir()
    made = Authority(folder)
    certificate, private = made.pair("engine", address=address)
    made.put(made.certfile, certificate)
    made.put(made.keyfile, private)
    return made


def test_tls_is_verified_and_its_end_is_not_logged(
    program: Program, key: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    right, wrong = authority(tmp_path / "right", "127.0.0.1"), authority(tmp_path / "wrong", "127.0.0.1")

    async def main(server: support.Nats) -> None:
        for scheme in ("tls", "nats"):  # nats:// with an authority's file: as the server wants it
            url = server.url.replace("tls://", f"{scheme}://")
            async with connected(server, key, url=url) as store:
                await store.subscribe()
                assert await store.head() is None
            with pytest.raises(Fault, match="certificate is refused"):
                await connect(server.access(url=url, ca_file=str(wrong.certfile)), key)
        with pytest.raises(Fault, match="certificate is refused"):
            await connect(server.access(url=server.url.replace("127.0.0.1", "localhost")), key)
        async with connected(server, key) as store:
            await store.subscribe()
            caplog.clear()
            server.kill()
            with pytest.raises(Unreachable):
                await store.hint()

    with support.Nats(program).with_tls(right) as server:
        run(lambda: main(server))
    assert not caplog.records


@pytest.mark.parametrize("where", ["user:s3cret@", "t0ken-s3cret@", ""])
def test_no_password_goes_to_a_server_that_has_no_tls_where_the_url_asks_for_it(key: str, where: str):
    """nats-py goes on in plain text. Whoever stands between could say that there is no TLS."""
    heard = bytearray()

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        info = {"server_id": "x", "version": "2.10.0", "max_payload": 1048576, "auth_required": True, "headers": True}
        writer.write(b"INFO " + json.dumps(info).encode() + b" \r\n")
        heard.extend(await reader.read())
        writer.close()
        await writer.wait_closed()
        ended.set()

    ended = asyncio.Event()

    async def main() -> None:
        peer = await asyncio.start_server(plain, "127.0.0.1", 0)
        port = peer.sockets[0].getsockname()[1]
        with pytest.raises(Fault, match="this server has no TLS, and the URL asks for it"):
            await connect(Access(url=f"tls://{where}127.0.0.1:{port}"), key)
        await ended.wait()
        peer.close()
        await peer.wait_closed()

    run(main)
    assert bytes(heard) == b""


# ---- several servers


@contextlib.contextmanager
def cluster(program: Program) -> Iterator[list[support.Nats]]:
    """Three servers that have JetStream together."""
    ports = [free_port() for _ in range(3)]
    routes = ", ".join(f'"nats://127.0.0.1:{port}"' for port in ports)
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(
                support.Nats(
                    program,
                    f"server_name: n{number}\ncluster {{ name: c, listen: 127.0.0.1:{port}, routes: [{routes}] }}",
                    is_bare=True,
                )
            )
            for number, port in enumerate(ports)
        ]


async def once_it_can(act: Callable[[], Awaitable[Any]]) -> Any:
    """Do it, again while there is no leader."""
    while True:
        try:
            return await act()
        except EngineError as error:
            if not isinstance(error, Unreachable) and "no suitable peers" not in str(error):  # some are not known yet
                raise
            await asyncio.sleep(0.05)


async def asks_on(host: Nats, head: bytes) -> None:
    """A leader that is left alone answers for ten seconds more."""
    while True:
        assert await host.verify() == head
        await asyncio.sleep(0.05)


@pytest.mark.slow
def test_a_leader_may_be_lost_and_without_a_quorum_no_old_head_is_read(
    program: Program, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(protocol, "PATIENCE", 1.0)

    async def main(servers: list[support.Nats]) -> None:
        where = {"path": "/fleet?replicas=3"}
        async with connected(servers[0], "shop", **where) as publisher:
            await once_it_can(lambda: publisher.put_payload(DIGEST, PAYLOAD))
            await once_it_can(lambda: publisher.swap(None, b"one", b"entry"))
        info = await asyncio.to_thread(servers[0].run, lambda stream: stream.stream_info("KV_fleet"))
        leader = servers.pop(int(info.cluster.leader.removeprefix("n")))
        async with connected(servers[0], "shop", **where) as host, connected(servers[1], "shop", **where) as publisher:
            await host.subscribe()
            assert await host.head() == b"one"
            leader.kill()
            await once_it_can(lambda: publisher.swap(b"one", b"two", b"entry"))  # one without an answer may have won
            assert await publisher.head() == b"two"
            await once_it_can(lambda: until(host, b"two"))
            assert host._hints.error is None
            assert await host.payload(DIGEST) == PAYLOAD
            servers[1].kill()
            with pytest.raises(Unreachable):
                await asks_on(host, b"two")

    with cluster(program) as servers:
        run(lambda: main(servers), 50.0)
