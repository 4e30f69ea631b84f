"""Whoever behaves badly, or may not come in, is refused by a gateway in words, and disturbs no host."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from confcast.fleet.engines.engine import EngineError, Fault, Unreachable
from confcast.fleet.gateway.doors import Tls, Tokens
from confcast.fleet.head import digest_of
from tests.support.certificates import Authority
from tests.support.engines.memory import MemoryEngine
from tests.support.fleet.gateways_in_memory import (
    KEY,
    ONE,
    ask,
    connected,
    gateway,
    host,
    limited,
    publish,
    raw,
    request,
    run,
    until,
)
from tests.support.waiting import DEADLINE

TOKEN = "0123456789abcdef0123456789abcdef"


# ---- those who behave badly


def test_a_host_that_takes_nothing_is_cut_off_and_the_others_get_each_head():
    async def main() -> None:
        engine = MemoryEngine()
        publish(engine, ONE)
        limits = limited(taken=0.5)
        async with (
            gateway(engine.connect, limits=limits) as gw,
            raw(gw, request("stream", host="slow"), small=True) as (reader, _),
            connected(gw.host("quick")) as quick,
        ):
            assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
            await until(lambda: gw.topic.hosts.connected == 2)
            for rev in range(2, 5000):
                head = publish(engine, ONE, rev=rev, why="w" * 160, by="b" * 64, salt="s" * 300)
                await quick.hint()
                assert await quick.head() == head
                if gw.server.service.cut_off:
                    break
            assert gw.server.service.cut_off == 1
            await until(lambda: gw.topic.hosts.connected == 1)

    run(main)


def test_a_host_that_does_not_take_its_payload_is_cut_off():
    async def main() -> None:
        engine = MemoryEngine()
        content = b"# " + b"x" * 1_000_000
        publish(engine, content)
        limits = limited(taken=2.5)  # in which the quick one is to have it
        async with gateway(engine.connect, limits=limits) as gw:
            slow = request(f"payload/{digest_of(content)}", host="slow")
            async with raw(gw, slow, small=True), connected(gw.host("quick")) as quick:
                assert await quick.payload(digest_of(content)) == content
                await until(lambda: gw.server.service.cut_off)
                assert (gw.server.service.cut_off, gw.topic.hosts.connected) == (1, 1)

    run(main)


@pytest.mark.parametrize(
    "sent", [b"", b"GET /v1/shop/stream HTTP/1.1\r\nHost: x\r\nA", request("report", "Content-Le")[:-4]]
)
def test_a_connection_that_says_nothing_whole_is_closed(sent: bytes):
    async def main() -> None:
        engine = MemoryEngine()
        head = publish(engine, ONE)
        async with (
            gateway(engine.connect, limits=limited(idle=0.2)) as gw,
            connected(gw.host("a")) as feed,
            raw(gw, sent) as (reader, _),
        ):
            async with asyncio.timeout(DEADLINE):
                assert await reader.read() == b""
            assert await feed.head() == head

    run(main)


def test_a_body_that_does_not_come_is_not_waited_for():
    async def main() -> None:
        engine = MemoryEngine()
        publish(engine, ONE)
        async with (
            gateway(engine.connect, limits=limited(request=0.1)) as gw,
            raw(gw, request("report", "Content-Length: 100", method="POST")) as (reader, _),
        ):
            assert (await reader.readline()).startswith(b"HTTP/1.1 408")

    run(main)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /v1/shop/stream HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 20_000 + b"\r\n\r\n", b"400"),
        (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n", b"400"),
        (b"\x16\x03\x01 this is TLS\r\n\r\n", b"400"),
        (request("stream", method="DELETE"), b"405"),
        (request("report"), b"405"),
        (request("nothing"), b"404"),
        (request("stream").replace(b"/shop/", b"/other/"), b"404"),
        (request("stream", host=""), b"400"),
        (request("stream", host="a b"), b"400"),
        (request("stream", "Confcast-Labels: [1]"), b"400"),
        (request("head?wait=-1"), b"400"),
        (request("head?wait=nan"), b"400"),
        (request("head", "Authorization Bearer secret"), b"400"),
        (request("report", "Content-Length: 999999999", method="POST"), b"413"),
        (request("report", "Transfer-Encoding: chunked", method="POST") + b"ffff\r\n" + b"x" * 65535, b"413"),
    ],
)
def test_what_is_no_request_is_refused_and_the_gateway_serves_on(
    sent: bytes, status: bytes, caplog: pytest.LogCaptureFixture
):
    async def main() -> None:
        engine = MemoryEngine()
        head = publish(engine, ONE)
        async with gateway(engine.connect) as gw:
            async with raw(gw, sent) as (reader, _):
                async with asyncio.timeout(DEADLINE):
                    assert (await reader.readline()).split()[1] == status
            async with connected(gw.host()) as feed:
                assert await feed.head() == head

    run(main)
    assert not [each.getMessage() for each in caplog.records if each.levelname == "ERROR"]
    assert "secret" not in caplog.text


def test_one_connection_too_many_is_answered_and_closed():
    async def main() -> None:
        engine = MemoryEngine()
        head = publish(engine, ONE)
        async with gateway(engine.connect, limits=limited(connections=2)) as gw:
            async with raw(gw, b""), raw(gw, b""):
                await until(lambda: gw.server.connections == 2)
                with pytest.raises(Unreachable, match="503: too many connections"):
                    await gw.host().connect()
            await until(lambda: gw.server.connections == 0)
            async with connected(gw.host()) as feed:
                assert await feed.head() == head
            assert gw.server.refused == 1

    run(main)


def test_one_host_too_many_is_told_so():
    async def main() -> None:
        engine = MemoryEngine()
        publish(engine, ONE)
        async with gateway(engine.connect, limits=limited(hosts=1)) as gw, connected(gw.host("a")):
            with pytest.raises(Unreachable, match="1 hosts have a stream already"):
                await gw.host("b").connect()

    run(main)


# ---- who may come in


def test_only_a_host_with_a_token_is_served_and_one_whose_token_goes_loses_its_stream(tmp_path: Path):
    tokens, mine = tmp_path / "tokens", tmp_path / "mine"
    tokens.write_text(TOKEN)
    mine.write_text(TOKEN)

    async def main() -> None:
        engine = MemoryEngine()
        publish(engine, ONE)
        limits = limited(heartbeat=0.05)
        async with gateway(engine.connect, tokens=Tokens(str(tokens)), limits=limits) as gw:
            with pytest.raises(Fault, match="401: a token"):
                await gw.host().connect()
            for path in ("head", f"payload/{digest_of(ONE)}", "nothing"):
                assert (await ask(gw, "GET", f"/v1/{KEY}/{path}")).status == 401
            assert (await ask(gw, "GET", "/healthz")).body == b'{"serving": true}'
            assert KEY.encode() in (await ask(gw, "GET", "/healthz", Authorization=f"Bearer {TOKEN}")).body
            async with connected(gw.host(password_file=str(mine))) as feed:
                assert await feed.payload(digest_of(ONE)) == ONE
                tokens.write_text(TOKEN[::-1])
                with pytest.raises(EngineError):
                    await feed.hint()
            mine.write_text(TOKEN[::-1])
            async with connected(gw.host(password_file=str(mine))) as feed:
                assert await feed.payload(digest_of(ONE)) == ONE

    run(main)


def test_mutual_tls_lets_in_who_has_a_certificate_of_the_authority_and_no_other(tmp_path: Path):
    folders = {name: tmp_path / name for name in ("server", "host", "stranger")}
    for folder in folders.values():
        folder.mkdir()
    server, mine, stranger = (Authority(folder) for folder in folders.values())
    certificate, key = server.pair("gateway", address="127.0.0.1")
    server.put(server.keyfile, key)
    server.put(server.certfile, certificate)

    refused = r"the server refuses TLS with this side: |may refuse this side's certificate, or want one"

    def files(authority: Authority) -> dict[str, str]:
        return {"cert_file": str(authority.certfile), "key_file": str(authority.keyfile)}

    async def main() -> None:
        engine = MemoryEngine()
        head = publish(engine, ONE)
        tls = Tls(str(server.certfile), str(server.keyfile), str(mine.certfile))
        async with gateway(engine.connect, tls=tls) as gw:
            trusted = {"ca_file": str(server.certfile)}
            async with connected(gw.host(**trusted, **files(mine))) as feed:
                assert await feed.head() == head
                assert await feed.payload(digest_of(ONE)) == ONE
            for wrong in ({}, files(stranger)):
                with pytest.raises(EngineError, match=refused):
                    await gw.host(**trusted, **wrong).connect()
            with pytest.raises(Fault, match="certificate is not the server's"):
                await gw.host(ca_file=str(stranger.certfile), **files(mine)).connect()
            named = host([gw.url.replace("127.0.0.1", "localhost")], **trusted, **files(mine))
            with pytest.raises(Fault, match="certificate is not the server's"):
                await named.connect()
            async with connected(gw.host(**trusted, **files(mine))) as feed:
                assert await feed.head() == head

    run(main)
