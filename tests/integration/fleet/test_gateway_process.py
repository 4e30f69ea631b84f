"""The gateway as a process before a real Redis: killed, stopped, started while the engine is away, ended in order."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import re
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from confcast.fleet import engines, reports
from confcast.fleet.engines import gateway as hosts_side
from confcast.fleet.engines.gateway import Gateways
from confcast.fleet.follower import Follower
from confcast.fleet.head import Head, digest_of, encode
from confcast.fleet.reports import Entry, Report, Seen, decode_reports
from tests.integration.fleet.conftest import Servers
from tests.support.commands import runner
from tests.support.engines.redis import Redis
from tests.support.engines.server import Server
from tests.support.fleet import gateways_in_memory
from tests.support.fleet.gateways import Gateway as GatewayProcess
from tests.support.fleet.gateways_in_memory import connected, limited, until
from tests.support.waiting import DEADLINE, beside, eventually

ONE, TWO, THREE = b"number = 1\n", b"number = 2\n", b"number = 3\n"


@pytest.fixture
def redis(servers: Servers) -> Server:
    """One that may be paused, and resumed."""
    return servers.shared(Redis, _program())


@pytest.fixture
def mortal(servers: Servers) -> Server:
    """One that may be killed."""
    return servers.expendable(Redis, _program())


def _program() -> Any:
    if not (programs := Redis.programs()):
        pytest.skip("there is no server of Redis")
    return programs[0]


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch, key: str) -> str:
    """The key, which hosts have, too."""
    monkeypatch.setattr(gateways_in_memory, "KEY", key)
    return key


async def publish(server: Server, key: str, payload: bytes, rev: int, **access: str) -> bytes:
    """As another process would. Returns the head."""
    store = await engines.connect(server.access(**access), key)
    try:
        await store.put_payload(digest_of(payload), payload)
        head = Head(stable=digest_of(payload), rev=rev)
        assert await store.swap(await store.head(), encode(head), reports.encode(Entry("force", head)))
        return encode(head)
    finally:
        await store.close()


async def seen(server: Server, key: str) -> dict[str, Seen]:
    """What the engine knows of hosts."""
    store = await engines.connect(server.access(), key)
    try:
        found = [each for record in await store.reports() for each in decode_reports(*record)]
        return {each.report.host: each for each in found}
    finally:
        await store.close()


async def summaries(server: Server, key: str) -> list[bytes]:
    """What gateways have written."""
    store = await engines.connect(server.access(), key)
    try:
        return [each.record for each in await store.reports() if b'"gateway"' in each.record]
    finally:
        await store.close()


@contextlib.asynccontextmanager
async def following(host: Gateways) -> AsyncIterator[list[bytes | None]]:
    """The heads that a host is handed, as they come."""
    heads: list[bytes | None] = []

    async def take(_: Any, head: bytes | None) -> bool:
        heads.append(head)
        return True

    async with beside(Follower(host.connect, take, lambda error: None).run()):
        yield heads


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def test_hosts_are_served_through_one_connection_to_the_engine(redis: Server, shop: str):
    first = await publish(redis, shop, ONE, 1)
    client = redis.client()
    others = client.info("clients")["connected_clients"]
    with GatewayProcess(redis.url, shop) as gw:
        feeds = [await gateways_in_memory.host([gw.url], f"{number}").connect() for number in range(30)]
        assert {await feed.head() for feed in feeds} == {first}
        assert {await feed.payload(digest_of(ONE)) for feed in feeds} == {ONE}
        assert client.info("clients")["connected_clients"] == others + 1
        await asyncio.gather(*(feed.subscribe() for feed in feeds))
        second = await publish(redis, shop, TWO, 2)
        async with asyncio.timeout(DEADLINE):
            await asyncio.gather(*(feed.hint() for feed in feeds))
        assert {await feed.head() for feed in feeds} == {second}
        await feeds[0].report("0", reports.encode(Report("0", digest_of(TWO), state="good")))
        await asyncio.gather(*(feed.close() for feed in feeds))
        assert gw.stop() == 0
        assert gw.report() == "ended; 0 slow hosts were cut off, 0 connections were one too many\n"
    known = await seen(redis, shop)
    assert len(known) == 30
    assert not any(each.connected for each in known.values())
    assert known["0"].report.state == "good"
    client.close()


async def test_hosts_of_a_gateway_that_was_killed_get_what_was_published_meanwhile(redis: Server, shop: str):
    first = await publish(redis, shop, ONE, 1)
    with GatewayProcess(redis.url, shop) as gw:
        async with following(gateways_in_memory.host([gw.url])) as heads:
            await until(lambda: heads == [first])
            gw.kill()
            second = await publish(redis, shop, TWO, 2)
            gw.start()
            await until(lambda: heads == [first, second])


async def test_started_while_the_engine_is_away_it_listens_only_with_a_copy(mortal: Server, shop: str, tmp_path: Path):
    head = await publish(mortal, shop, ONE, 1)
    with GatewayProcess(mortal.url, shop, "--state-dir", str(tmp_path / "gateway")) as gw:
        async with connected(gateways_in_memory.host([gw.url])) as feed:
            assert await feed.payload(digest_of(ONE)) == ONE
        await until(lambda: list(tmp_path.rglob("head")))
        gw.kill()
        mortal.kill()
        gw.start()
        async with connected(gateways_in_memory.host([gw.url])) as feed:
            assert (await feed.head(), await feed.payload(digest_of(ONE))) == (head, ONE)
    other = GatewayProcess(mortal.url, shop)
    with contextlib.closing(contextlib.ExitStack()) as stack:
        stack.push(other)
        other.start(says="no connection")
        assert "nothing is served yet" in other.log()
        assert not listens(other.port)
        mortal.start()
        second = await publish(mortal, shop, TWO, 2)
        other.await_said()
        async with following(gateways_in_memory.host([other.url])) as heads:
            await until(lambda: heads[-1:] == [second])


async def test_a_gateway_goes_on_once_its_engine_is_back_even_if_that_is_empty(mortal: Server, shop: str):
    first = await publish(mortal, shop, ONE, 1)
    with GatewayProcess(mortal.url, shop) as gw:
        async with following(gateways_in_memory.host([gw.url])) as heads:
            await until(lambda: heads == [first])
            mortal.kill()
            await asyncio.to_thread(gw.await_said, "hosts are served head")
            mortal.restart(empty=True)
            await asyncio.to_thread(gw.await_said, "the engine has no head")
            again = await publish(mortal, shop, THREE, 1)
            await until(lambda: heads == [first, again])


async def test_a_host_goes_past_a_gateway_that_is_stopped(redis: Server, shop: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(hosts_side, "_FIRST_LINE", 0.3)
    monkeypatch.setattr(hosts_side.gateway_lines, "LOST_AFTER", 0.7)
    first = await publish(redis, shop, ONE, 1)
    connect = lambda: engines.connect(redis.access(), shop)  # noqa: E731
    with GatewayProcess(redis.url, shop) as stopped:
        async with gateways_in_memory.gateway(connect, limits=limited(heartbeat=0.1)) as other:
            both = gateways_in_memory.host([stopped.url, other.url])
            both._gateways.sort(key=lambda access: access.url != stopped.url)
            async with following(both) as heads:
                await until(lambda: heads == [first])
                stopped.pause()
                await until(lambda: other.topic.hosts.connected == 1)
                assert stopped.url in both._failed
                second = await publish(redis, shop, TWO, 2)
                await until(lambda: heads == [first, second])
            monkeypatch.setattr(hosts_side.gateway_lines, "LOST_AFTER", DEADLINE)
            fresh = gateways_in_memory.host([stopped.url, other.url])
            fresh._gateways.sort(key=lambda access: access.url != stopped.url)
            async with connected(fresh) as feed:
                assert await feed.head() == second
        stopped.resume()


async def test_it_ends_in_time_while_its_engine_is_stopped(redis: Server, shop: str):
    await publish(redis, shop, ONE, 1)
    with GatewayProcess(redis.url, shop) as gw:
        async with connected(gateways_in_memory.host([gw.url])) as feed:
            redis.pause()
            try:
                loop = asyncio.get_running_loop()
                began = loop.time()
                ending = asyncio.create_task(asyncio.to_thread(gw.stop))
                with pytest.raises(engines.engine.Unreachable):
                    await feed.hint()
                assert await ending == 0
                assert loop.time() - began < 15
            finally:
                redis.resume()


async def test_the_engines_password_and_the_hosts_tokens_are_in_no_output(servers: Servers, shop: str, tmp_path: Path):
    redis = servers.secured(Redis, _program())
    secrets = {"password": redis.password, "tokens": "0123456789abcdef0123456789abcdef"}
    for name, content in secrets.items():
        (tmp_path / name).write_text(content)
    head = await publish(redis, shop, ONE, 1, password_file=str(tmp_path / "password"))
    options = ["--password-file", str(tmp_path / "password"), "--token-file", str(tmp_path / "tokens")]
    if redis.certificates is not None:
        options += ["--ca-file", str(redis.certificates.certfile)]
    with GatewayProcess(redis.url, shop, *options) as gw:
        async with connected(gateways_in_memory.host([gw.url], password_file=str(tmp_path / "tokens"))) as feed:
            assert await feed.head() == head
        with pytest.raises(engines.engine.Fault, match="401"):
            await gateways_in_memory.host([gw.url], secret="wrong-0123456789").connect()
        redis.rotate("right-2")
        (tmp_path / "password").write_text("wrong-9876543210")
        redis.restart()
        await asyncio.to_thread(gw.await_said, "hosts are served head")
        (tmp_path / "password").write_text("right-2")
        await asyncio.to_thread(gw.await_said, "the engine is heard")
        assert gw.stop() == 0
        said = gw.log() + gw.report()
    assert not [each for each in (*secrets.values(), "right-2", "wrong-") if each in said]


# ---- the command line


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("CONFCAST_FLEET_URL", "CONFCAST_FLEET_KEY"):
        monkeypatch.delenv(name, raising=False)
    command = runner(capsys)

    def refused(*arguments: str) -> str:
        with pytest.raises(SystemExit) as end:
            command("fleet", "gateway", *arguments)
        assert end.value.code == 2
        return " ".join(capsys.readouterr().err.split())

    return refused


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("", "give --to URL, or set CONFCAST_FLEET_URL"),
        ("--from redis://127.0.0.1:1", "give --key KEY, or set CONFCAST_FLEET_KEY"),
        ("--from redis://127.0.0.1:1 --key a/b", "a letter or digit"),
        ("--from mysql://u:secret@h/ --key a", "mysql://***@h/: a URL of an engine is expected"),
        ("--from redis://127.0.0.1:1 --key a --listen 0.0.0.0:9180", "would read the configuration"),
        ("--from redis://127.0.0.1:1 --key a --listen 9180", "HOST:PORT is expected"),
        ("--from redis://127.0.0.1:1 --key a --client-ca ca.pem", "--client-ca needs --tls-cert"),
        ("--from redis://127.0.0.1:1 --key a --token-file none", "none: it can't be read: No such file"),
        ("--from redis://127.0.0.1:1 --key a --tls-cert none", "none: it can't be read: No such file"),
        ("--from redis://127.0.0.1:1 --key a --state-dir none/none", "can't be kept there: No such file"),
    ],
)
def test_what_it_can_not_be_started_with_is_refused_in_words(run: Any, arguments: str, words: str):
    said = run(*arguments.split())
    assert words in said
    assert "secret" not in said


async def test_a_port_that_another_program_has_is_named_in_words(redis: Server, key: str):
    await publish(redis, key, ONE, 1)
    with GatewayProcess(redis.url, key) as gw:
        command = [sys.executable, "-m", "confcast", "fleet", "gateway", "--from", redis.url, "--key", key]
        done = await asyncio.to_thread(
            subprocess.run, [*command, "--listen", f"127.0.0.1:{gw.port}"], capture_output=True, text=True, check=False
        )
    assert len(await summaries(redis, key)) <= 1, "the one that never listened is no gateway in the status"
    assert done.returncode == 2
    assert f"--listen 127.0.0.1:{gw.port}: Address already in use" in done.stderr


def in_trouble(port: int) -> dict[str, Any]:
    """What a gateway says of its keys, once there is trouble with one."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)) as connection:
        connection.request("GET", "/healthz")
        keys: dict[str, Any] = json.loads(connection.getresponse().read())["keys"]
    return keys if any(each["trouble"] for each in keys.values()) else {}


async def test_two_keys_are_served_by_one_gateway_and_one_without_a_head_is_said_to_be_missing(
    redis: Server, key: str, monkeypatch: pytest.MonkeyPatch
):
    first, second, empty = (f"{key}-{letter}" for letter in "abc")
    heads = {first: await publish(redis, first, ONE, 1), second: await publish(redis, second, TWO, 1)}
    with GatewayProcess(redis.url, first, "--key", second, "--key", empty) as gw:
        assert re.search(rf"no head is known yet of .*{empty!r}; the other keys are served", gw.log())
        for name, head in heads.items():
            monkeypatch.setattr(gateways_in_memory, "KEY", name)
            async with connected(gateways_in_memory.host([gw.url])) as feed:
                assert await feed.head() == head
        health = await asyncio.to_thread(eventually, lambda: in_trouble(gw.port), "the key without a head")
    assert {name: each["engine"] for name, each in health.items()} == dict.fromkeys((first, second, empty), "heard")
    assert {name for name, each in health.items() if "no head: publish one" in each["trouble"]} == {empty}
