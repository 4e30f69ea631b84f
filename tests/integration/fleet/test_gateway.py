"""A gateway in front of an engine: what hosts get, when, and that no host disturbs another."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from confcast.fleet import reports
from confcast.fleet.engines import gateway as hosts_side
from confcast.fleet.engines.engine import EngineError, Fault, Unreachable
from confcast.fleet.engines.http_stream import Answer, HttpClient
from confcast.fleet.follower import Follower
from confcast.fleet.gateway.disk import Copy, StateFolder
from confcast.fleet.gateway.doors import Tls, Tokens
from confcast.fleet.gateway.limits import Limits
from confcast.fleet.head import digest_of
from confcast.fleet.reports import Report, decode_reports
from tests.support.certificates import Authority
from tests.support.engines.memory import MemoryEngine
from tests.support.gateways import KEY, Running, connected, gateway, host, limited, publish, until
from tests.support.waiting import DEADLINE

TOKEN = "0123456789abcdef0123456789abcdef"
ONE, TWO = b"number = 1\n", b"number = 2\n"


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(main())


def in_summary(engine: MemoryEngine) -> dict[str, reports.Seen]:
    record, _ = engine.reports.get("gateway-of-a-test", (b'{"of":"gateway","gateway":"","hosts":[]}', 0.0))
    return {seen.report.host: seen for seen in decode_reports(record, 0.0)}


async def ask(gw: Running, method: str, target: str, body: bytes = b"", **headers: str) -> Answer:
    client = HttpClient("127.0.0.1", gw.port, shown="gateway")
    try:
        return await client.request(method, target, headers=headers, body=body, most=2_000_000)
    finally:
        await client.close()


@contextlib.asynccontextmanager
async def raw(gw: Running, request: bytes, *, small: bool = False) -> AsyncIterator[tuple[Any, Any]]:
    """A connection without a client that knows what it does; `small`: with as small a buffer as there is."""
    end = socket.socket()
    if small:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    end.setblocking(False)
    await asyncio.get_running_loop().sock_connect(end, ("127.0.0.1", gw.port))
    reader, writer = await asyncio.open_connection(sock=end, limit=2048)
    writer.write(request)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


# ---- heads


@pytest.mark.parametrize("poll", [False, True])
def test_a_host_gets_the_head_and_each_that_comes_after_it(poll: bool):
    async def main() -> None:
        engine = MemoryEngine()
        first = publish(engine, ONE)
        async with gateway(engine.connect) as gw, connected(gw.host(poll=poll)) as feed:
            assert await feed.head() == await feed.verify() == first
            for rev in range(2, 5):
                head = publish(engine, b"number = %d\n" % rev, rev=rev)
                async with asyncio.timeout(DEADLINE):
                    await feed.hint()
                assert await feed.head() == head
            assert engine.steps.count("connect") == engine.steps.count("subscribe") == 1

    run(main)


def test_a_head_keeps_its_bytes_exactly():
    async def main() -> None:
        engine = MemoryEngine()
        publish(engine, ONE)
        spaced = b'{ "stable" : "%s",\n\t"why": "\\u00fc \xc3\xbc \\\\ \\"", "of a newer build": [1, 2.50]}\r\n'
        engine.head = spaced % digest_of(ONE).encode()
        async with gateway(engine.connect) as gw, connected(gw.host()) as feed:
            assert await feed.head() == engine.head

    run(main)


def test_a_follower_of_a_gateway_is_one_of_an_engine():
    """Connections that are lost are made anew, and what was published meanwhile is not."""

    async def main() -> None:
        engine = MemoryEngine()
        publish(engine, ONE)
        heads: list[bytes | None] = []

        async def take(feed: Any, head: bytes | None) -> bool:
            heads.append(head)
            return True

        async with contextlib.AsyncExitStack() as stack:
            first = await stack.enter_async_context(gateway(engine.connect))
            following = asyncio.create_task(Follower(first.host().connect, take, lambda error: None).run())
            await until(lambda: heads)
            await first.server.close()
            head = publish(engine, TWO, rev=2)
            async with gateway(engine.connect, port=first.port):
                await until(lambda: heads[-1] == head)
            following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await following
        assert heads == [heads[0], head]

    run(main)


def test_a_head_that_is_none_replaces_nothing_and_is_said():
    async def main() -> None:
        engine = MemoryEngine()
        head = publish(engine, ONE)
        async with gateway(engine.connect) as gw, connected(gw.host()) as feed:
            for wrong, words in ((b"no head", "no head of confcast"), (None, "publish one")):
                engine.put(wrong)
                await until(lambda words=words: words in gw.topic.trouble)
                health = json.loads((await ask(gw, "GET", "/healthz")).body)
                assert words in health["keys"][KEY]["trouble"]
            async with connected(gw.host("late")) as late:
                assert await late.head() == await feed.head() == head
            later = publish(engine, TWO, rev=2)
            await until(lambda: gw.topic.head == later)
            assert gw.topic.trouble == ""

    run(main)


def test_while_the_engine_is_away_the_last_head_and_its_payload_are_served_and_it_is_said():
    async def main() -> None:
        engine = MemoryEngine()
        head = publish(engine, ONE)
        async with gateway(engine.connect) as gw:
            await until(lambda: len(gw.topic.payloads))
            engine.down = Unreachable("the engine is away")
            engine.lose(engine.down)
            await until(lambda: gw.topic.away)
            async with connected(gw.host()) as feed:
                assert await feed.head() == head
                assert await feed.payload(digest_of(ONE)) == ONE
            await until(lambda: gw.topic.hosts.connected == 0)
            answer = await ask(gw, "GET", "/healthz")
            health = json.loads(answer.body)["keys"][KEY]
            assert (answer.status, health["engine"], health["hosts"]) == (200, "away", 0)
            assert "away" in health["trouble"]
            engine.down = None
            later = publish(engine, TWO, rev=2)
            async with connected(gw.host()) as feed:
                async with asyncio.timeout(DEADLINE):
                    while await feed.head() != later:
                        await feed.hint()
            assert gw.topic.away == 0.0

    run(main)


# ---- payloads


def test_a_storm_of_hosts_has_a_payload_fetched_once():
    async def main() -> None:
        engine = MemoryEngine()
        content = b"x = '" + b"y" * 200_000 + b"'\n"
        publish(engine, content)
        open_now = asyncio.Event()
        step = engine.step

        async def slow(name: str) -> None:
            await step(name)
            if name == "payload":
                await open_now.wait()

        engine.step = slow  # type: ignore[method-assign]
        async with gateway(engine.connect) as gw:
            feeds = [await gw.host(f"{number}").connect() for number in range(50)]
            asking = [asyncio.create_task(feed.payload(digest_of(content))) for feed in feeds]
            await until(lambda: gw.server.connections == 100)
            open_now.set()
            assert await asyncio.gather(*asking) == [content] * 50
            assert engine.steps.count("payload") == gw.topic.payloads.fetches == 1
            await asyncio.gather(*(feed.close() for feed in feeds))

    run(main)


def test_digests_that_no_head_names_are_not_asked_for():
    async def main() -> None:
        engine = MemoryEngine()
        publish(engine, ONE)
        engine.payloads[digest_of(TWO)] = TWO
        async with gateway(engine.connect) as gw, connected(gw.host()) as feed:
            assert await feed.payload(digest_of(ONE)) == ONE
            with pytest.raises(Unreachable, match="out of date"):
                await feed.payload(digest_of(TWO))
            for odd in ("..%2f..%2fetc", "%00", "x" * 3000):
                assert (await ask(gw, "GET", f"/v1/{KEY}/payload/{odd}")).status in (404, 410)
            assert engine.steps.count("payload") == 1

    run(main)


def test_a_payload_that_the_engine_does_not_have_is_missing():
    async def main() -> None:
        engine = MemoryEngine()
        publish(engine, ONE)
        engine.payloads.clear()
        async with gateway(engine.connect) as gw, connected(gw.host()) as feed:
            assert await feed.payload(digest_of(ONE)) is None

    run(main)


def test_a_payload_that_does_not_come_is_no_payload_that_is_missing():
    async def main() -> None:
        engine = MemoryEngine()
        publish(engine, ONE)
        engine.on = lambda step: setattr(engine, "silent", step == "payload")
        async with gateway(engine.connect, limits=limited(fetch=0.05)) as gw, connected(gw.host()) as feed:
            with pytest.raises(Unreachable, match="503: the payload has not come"):
                await feed.payload(digest_of(ONE))

    run(main)


# ---- hosts and reports


def test_what_hosts_report_is_summed_up_with_their_names_and_labels():
    async def main() -> None:
        engine = MemoryEngine()
        publish(engine, ONE)
        async with gateway(engine.connect) as gw:
            async with connected(gw.host("a", labels={"ring": "canary"})) as feed:
                await until(lambda: "a" in in_summary(engine))
                assert in_summary(engine)["a"].report == Report("a", name="host a", labels={"ring": "canary"})
                good = Report("a", digest_of(ONE), state="good", name="Zoë ☂", labels={"ring": "canary"}, version=3)
                await feed.report("a", reports.encode(good))
                await until(lambda: in_summary(engine)["a"].report == good)
                assert in_summary(engine)["a"].connected
            await until(lambda: not in_summary(engine)["a"].connected)
            assert in_summary(engine)["a"].report == good

    run(main)


def test_a_summary_is_written_when_there_is_news_and_not_more_often_than_the_pause():
    async def main() -> None:
        engine = MemoryEngine()
        publish(engine, ONE)
        async with gateway(engine.connect, limits=limited(pause=0.1)) as gw, connected(gw.host("a")) as feed:
            await until(lambda: "a" in in_summary(engine))
            before, began = engine.steps.count("report"), asyncio.get_running_loop().time()
            for version in range(50):
                await feed.report("a", reports.encode(Report("a", version=version)))
            await until(lambda: in_summary(engine)["a"].report.version == 49)
            took = asyncio.get_running_loop().time() - began
            assert engine.steps.count("report") - before <= took / 0.1 + 1
            written = engine.steps.count("report")
            await feed.report("a", reports.encode(Report("a", version=49)))
            await asyncio.sleep(0.15)
            assert engine.steps.count("report") == written

    run(main)


def test_the_last_summary_says_that_the_streams_have_ended():
    async def main() -> None:
        engine = MemoryEngine()
        publish(engine, ONE)
        async with gateway(engine.connect) as gw, connected(gw.host("a")):
            await until(lambda: in_summary(engine).get("a") and in_summary(engine)["a"].connected)
            await gw.server.close()
            await gw.topic.last_summary()
            assert not in_summary(engine)["a"].connected

    run(main)


def test_a_gateway_that_was_restarted_knows_the_hosts_of_the_run_before():
    async def main() -> None:
        engine = MemoryEngine()
        publish(engine, ONE)
        good = Report("a", digest_of(ONE), state="good", name="host a")
        async with gateway(engine.connect) as gw, connected(gw.host("a")) as feed:
            await feed.report("a", reports.encode(good))
            await until(lambda: in_summary(engine).get("a") and in_summary(engine)["a"].report == good)
        engine.reports["another"] = b"no record", 0.0
        written = engine.steps.count("report")
        async with gateway(engine.connect):
            await until(lambda: engine.steps.count("report") > written)
            assert (in_summary(engine)["a"].report, in_summary(engine)["a"].connected) == (good, False)

    run(main)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"no report", "this is no report"),
        (b'{"of":"gateway","gateway":"x","hosts":[]}', "this is no report"),
        (b'{"of":"host","host":"another"}', "another host's"),
        (b'{"of":"host","host":"a","state":"happy"}', "this is no report"),
    ],
)
def test_a_report_that_is_none_is_refused_in_words(body: bytes, words: str):
    async def main() -> None:
        engine = MemoryEngine()
        publish(engine, ONE)
        async with gateway(engine.connect) as gw, connected(gw.host("a")) as feed:
            with pytest.raises(Fault, match=words):
                await feed.report("a", body)

    run(main)


def test_a_report_is_cut_to_what_hosts_keep_to():
    async def main() -> None:
        engine = MemoryEngine()
        publish(engine, ONE)
        long = Report("a", "d" * 200, name="n" * 900, reason="r" * 5000, labels={f"{i}": "l" * 99 for i in range(40)})
        async with gateway(engine.connect) as gw, connected(gw.host("a")) as feed:
            await feed.report("a", reports.encode(long))
            await until(lambda: in_summary(engine).get("a") and in_summary(engine)["a"].report.reason)
            found = in_summary(engine)["a"].report
        assert (len(found.digest), len(found.name), len(found.reason), len(found.labels)) == (64, 128, 300, 16)

    run(main)


def test_of_too_many_streams_of_one_host_the_oldest_is_ended(caplog):
    """It has lost that one, or it is two machines with copies of one state folder: these don't end each other's."""

    async def main() -> None:
        engine = MemoryEngine()
        publish(engine, ONE)
        limits = limited(streams_of_host=2)
        async with gateway(engine.connect, limits=limits) as gw, contextlib.AsyncExitStack() as stack:
            first, second = [await stack.enter_async_context(connected(gw.host("a"))) for _ in range(2)]
            head = publish(engine, TWO, rev=2)
            for feed in (first, second):
                await feed.hint()
                assert await feed.head() == head
            third = await stack.enter_async_context(connected(gw.host("a")))
            with pytest.raises(EngineError):
                await first.hint()
            head = publish(engine, ONE, rev=3)
            for feed in (second, third):
                await feed.hint()
                assert await feed.head() == head
            assert gw.topic.hosts.connected == len(gw.topic.hosts) == 1

    run(main)
    assert "copies of one state folder" in caplog.text


def test_who_only_checks_is_no_host():
    async def main() -> None:
        engine = MemoryEngine()
        head = publish(engine, ONE)
        async with gateway(engine.connect) as gw:
            async with connected(hosts_side.Gateways(gw.host()._gateways, KEY, "", "", {})) as feed:
                assert await feed.head() == head
                assert await feed.payload(digest_of(ONE)) == ONE
            assert len(gw.topic.hosts) == 0

    run(main)


# ---- those who behave badly


def request(path: str, *more: str, method: str = "GET", host: str = "a") -> bytes:
    lines = [f"{method} /v1/{KEY}/{path} HTTP/1.1", "Host: gateway", f"Confcast-Host: {host}", *more, "", ""]
    return "\r\n".join(lines).encode()


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
        limits = limited(taken=0.5)
        async with gateway(engine.connect, limits=limits) as gw:
            slow = request(f"payload/{digest_of(content)}", host="slow")
            async with raw(gw, slow, small=True), connected(gw.host("quick")) as quick:
                assert await quick.payload(digest_of(content)) == content
                await until(lambda: gw.server.service.cut_off)

    run(main)


@pytest.mark.parametrize(
    "sent", [b"", b"GET /v1/shop/stream HTTP/1.1\r\nHost: x\r\nA", request("report", "Content-Le")[:-4]]
)
def test_a_connection_that_says_nothing_whole_is_closed(sent: bytes):
    async def main() -> None:
        engine = MemoryEngine()
        publish(engine, ONE)
        async with (
            gateway(engine.connect, limits=limited(idle=0.2)) as gw,
            connected(gw.host("a")) as feed,
            raw(gw, sent) as (reader, _),
        ):
            async with asyncio.timeout(DEADLINE):
                assert await reader.read() == b""
            await feed.head()

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
        publish(engine, ONE)
        async with gateway(engine.connect, limits=limited(connections=2)) as gw:
            async with raw(gw, b""), raw(gw, b""):
                await until(lambda: gw.server.connections == 2)
                with pytest.raises(Unreachable, match="503: too many connections"):
                    await gw.host().connect()
            await until(lambda: gw.server.connections == 0)
            async with connected(gw.host()) as feed:
                await feed.head()
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
                with pytest.raises(EngineError):
                    await gw.host(**trusted, **wrong).connect()
            with pytest.raises(Fault, match="certificate is not the server's"):
                await gw.host(ca_file=str(stranger.certfile), **files(mine)).connect()
            named = host([gw.url.replace("127.0.0.1", "localhost")], **trusted, **files(mine))
            with pytest.raises(Fault, match="certificate is not the server's"):
                await named.connect()
            async with connected(gw.host(**trusted, **files(mine))) as feed:
                assert await feed.head() == head

    run(main)


# ---- the copy on disk


def test_a_gateway_that_starts_while_the_engine_is_away_serves_its_copy(tmp_path: Path):
    folder = StateFolder(str(tmp_path / "gateway"))

    async def main() -> None:
        engine = MemoryEngine()
        publish(engine, ONE)
        head = publish(engine, TWO, rev=2)
        async with gateway(engine.connect, copy=folder.copy_of(KEY)):
            await until(lambda: folder.copy_of(KEY).head() == head)
        engine.down = Unreachable("away")
        async with gateway(engine.connect, copy=folder.copy_of(KEY)) as gw, connected(gw.host()) as feed:
            assert await feed.head() == head
            assert await feed.payload(digest_of(TWO)) == TWO
            engine.steps.clear()
            engine.down = None
            later = publish(engine, ONE, rev=3)
            await feed.hint()
            assert await feed.head() == later
        assert engine.steps.count("payload") == 1

    run(main)
    folder.close()


def test_a_copy_that_is_spoiled_is_not_served(tmp_path: Path):
    folder = StateFolder(str(tmp_path / "gateway"))
    copy = folder.copy_of(KEY)

    async def main() -> None:
        engine = MemoryEngine()
        head = publish(engine, ONE)
        async with gateway(engine.connect, copy=copy):
            await until(lambda: copy.head() == head)
        for path in tmp_path.rglob(digest_of(ONE)):
            path.write_bytes(b"something else")
        head = publish(engine, TWO, rev=2)
        async with gateway(engine.connect, copy=copy) as gw:
            assert (gw.topic.head, gw.topic.heads) == (head, 1)

    run(main)
    folder.close()


def test_a_disk_that_hangs_delays_no_host(tmp_path: Path):
    folder = StateFolder(str(tmp_path / "gateway"))
    hanging, goes_on = threading.Event(), threading.Event()

    class Hanging(Copy):
        def keep_payload(self, digest: str, content: bytes) -> None:
            hanging.set()
            assert goes_on.wait(DEADLINE)
            super().keep_payload(digest, content)

    async def main() -> None:
        engine = MemoryEngine()
        publish(engine, ONE)
        copy = Hanging(folder.copy_of(KEY)._folder)
        async with gateway(engine.connect, copy=copy) as gw:
            await until(hanging.is_set)
            async with connected(gw.host()) as feed:
                for rev in range(2, 5):
                    content = b"%d" % rev
                    head = publish(engine, content, rev=rev)
                    await feed.hint()
                    assert await feed.head() == head
                    assert await feed.payload(digest_of(content)) == content
                    await feed.report("one", reports.encode(Report("one", version=rev)))
                await until(lambda: in_summary(engine).get("one") and in_summary(engine)["one"].report.version == 4)
            assert copy.head() is None
            goes_on.set()
            await until(lambda: copy.head() == head)

    run(main)
    folder.close()


def test_a_disk_that_is_full_is_said_and_delays_no_host(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    folder = StateFolder(str(tmp_path / "gateway"))
    (folder.copy_of(KEY)._folder).touch()  # a file where the folder would be

    async def main() -> None:
        engine = MemoryEngine()
        publish(engine, ONE)
        async with gateway(engine.connect, copy=folder.copy_of(KEY)) as gw, connected(gw.host()) as feed:
            await until(lambda: gw.topic.disk_trouble)
            head = publish(engine, TWO, rev=2)
            await feed.hint()
            assert await feed.head() == head
            assert "can't be written" in json.loads((await ask(gw, "GET", "/healthz")).body)["keys"][KEY]["disk"]

    run(main)
    folder.close()
    assert "hosts are served all the same" in caplog.text


# ---- several gateways


def test_hosts_spread_over_gateways_and_keep_their_order():
    urls = [f"http://127.0.0.1:{port}" for port in (1, 2, 3)]
    first = [host(urls, f"host-{number}")._order()[0].url for number in range(300)]
    assert all(70 < first.count(url) < 130 for url in urls)
    again = [host(urls[::-1], f"host-{number}")._order()[0].url for number in range(300)]
    assert again == first
    fewer = [host(urls[:2], f"host-{number}")._order()[0].url for number in range(300)]
    assert all(now == before for now, before in zip(fewer, first, strict=True) if before != urls[2])


def test_a_host_goes_on_to_the_next_gateway_and_comes_back_when_that_is_lost():
    async def main() -> None:
        engine = MemoryEngine()
        publish(engine, ONE)
        async with gateway(engine.connect) as one, gateway(engine.connect) as two:
            both = host([one.url, two.url])
            async with connected(both) as feed:
                first, second = (one, two) if one.topic.hosts.connected else (two, one)
                await first.server.close()
                with pytest.raises(Unreachable):
                    await feed.hint()
            async with connected(both) as feed:
                head = publish(engine, TWO, rev=2)
                await feed.hint()
                assert await feed.head() == head
                assert second.topic.hosts.connected == 1

    run(main)


def test_a_gateway_that_has_lost_its_engine_and_has_an_older_head_is_passed_over():
    async def main() -> None:
        engine, lost = MemoryEngine(), MemoryEngine()
        publish(lost, ONE)
        head = publish(engine, TWO, rev=2)
        async with gateway(engine.connect) as new, gateway(lost.connect) as old:
            lost.down = Unreachable("away")
            lost.lose()
            await until(lambda: old.topic.away)
            both = host([new.url, old.url])
            for _ in range(3):
                async with connected(both) as feed:
                    assert await feed.head() == head
            async with connected(old.host()) as feed:
                assert await feed.head() == lost.head  # all that there is, to a host that knows nothing
            only = old.host()
            only.known = both.known
            with pytest.raises(Unreachable, match="has another head than this host"):
                await only.connect()

    run(main)


def test_a_host_leaves_a_gateway_that_has_lost_its_engine_but_not_again_and_again(caplog):
    async def main() -> None:
        lost, engine = MemoryEngine(), MemoryEngine()
        head = publish(engine, ONE)
        publish(lost, ONE)
        async with gateway(lost.connect, limits=limited(heartbeat=0.01)) as old, gateway(engine.connect) as other:
            both = host([old.url, other.url])
            both._gateways.sort(key=lambda access: access.url != old.url)
            async with connected(both) as feed:
                lost.down = Unreachable("away")
                lost.lose()
                await until(lambda: old.topic.away)
                old.topic._away_since = asyncio.get_running_loop().time() - 3600
                await until(lambda: feed.away > 3000)
                assert await feed.head() == head
                with pytest.raises(Unreachable, match="not heard from its engine for 36"):
                    await feed.verify()
                assert await feed.verify() == head  # nothing better may be there
            async with connected(both) as feed:
                assert (await feed.head(), feed.away, other.topic.hosts.connected) == (head, 0.0, 1)

    run(main)
    assert "its head is used on" in caplog.text


def test_one_host_with_too_many_requests_is_told_so_and_disturbs_no_other():
    async def main() -> None:
        engine = MemoryEngine()
        head = publish(engine, ONE)
        async with (
            gateway(engine.connect, limits=limited(requests_of_host=3)) as gw,
            contextlib.AsyncExitStack() as stack,
        ):
            digest = hosts_side.gateway_lines.digest_of(head)
            for _ in range(3):
                await stack.enter_async_context(raw(gw, request(f"head?after={digest}&wait=20")))
            await until(lambda: gw.server._of_host["a"] == 3)
            assert (await ask(gw, "GET", f"/v1/{KEY}/head", **{"Confcast-Host": "a"})).status == 429
            assert (await ask(gw, "GET", f"/v1/{KEY}/head", **{"Confcast-Host": "b"})).status == 200
            await stack.aclose()
            await until(lambda: not gw.server._of_host)

    run(main)


def test_streams_that_break_before_their_first_line_have_the_head_asked_for_by_long_poll(caplog):
    """As behind a proxy that hands an answer on once it is whole."""

    async def main() -> None:
        engine = MemoryEngine()
        publish(engine, ONE)
        async with gateway(engine.connect) as gw:

            async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                head = await reader.readuntil(b"\r\n\r\n")
                if b"/stream" not in head:
                    _, upward = await asyncio.open_connection("127.0.0.1", gw.port)
                    upward.write(head.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
                    writer.write(await _.read())
                    upward.close()
                else:
                    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                await writer.drain()
                writer.close()

            async with await asyncio.start_server(proxy, "127.0.0.1", 0) as between:
                port = between.sockets[0].getsockname()[1]
                behind = host([f"http://127.0.0.1:{port}"])
                for _ in range(3):
                    with pytest.raises(Unreachable):
                        await behind.connect()
                async with connected(behind) as feed:
                    head = publish(engine, TWO, rev=2)
                    await feed.hint()
                    assert await feed.head() == head

    run(main)
    assert "by long poll for the next 10 minutes" in caplog.text


def test_a_stream_without_a_line_is_lost(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(hosts_side.gateway_lines, "LOST_AFTER", 0.1)

    async def main() -> None:
        engine = MemoryEngine()
        publish(engine, ONE)
        async with gateway(engine.connect) as gw, connected(gw.host()) as feed:
            with pytest.raises(Unreachable, match=r"no line within 0\.1 s"):
                await feed.hint()
            with pytest.raises(Unreachable):
                await feed.head()

    run(main)


def test_heartbeats_come_and_are_no_hints(monkeypatch: pytest.MonkeyPatch):
    lines = []
    monkeypatch.setattr(hosts_side.Gateways, "heard", lambda _, line: lines.append(line))

    async def main() -> None:
        engine = MemoryEngine()
        head = publish(engine, ONE)
        async with gateway(engine.connect, limits=limited(heartbeat=0.01)) as gw, connected(gw.host()) as feed:
            await until(lambda: len(lines) > 5)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0):
                    await feed.hint()
            assert await feed.head() == head
        assert [bool(line.head) for line in lines[:6]] == [True, *[False] * 5]
        assert {line.digest for line in lines} == {hosts_side.gateway_lines.digest_of(head)}

    run(main)


# ---- many


def test_two_hundred_hosts_get_each_head_and_the_engine_has_one_connection():
    async def main() -> None:
        engine = MemoryEngine()
        publish(engine, ONE)
        async with gateway(engine.connect, limits=Limits(pause=0.05)) as gw:
            feeds = await asyncio.gather(*(gw.host(f"{number}").connect() for number in range(200)))
            await asyncio.gather(*(feed.subscribe() for feed in feeds))
            await until(lambda: gw.topic.hosts.connected == 200)
            for rev in range(2, 5):
                head = publish(engine, TWO, rev=rev)
                async with asyncio.timeout(DEADLINE):
                    await asyncio.gather(*(feed.hint() for feed in feeds))
                assert {await feed.head() for feed in feeds} == {head}
            await until(lambda: sum(seen.connected for seen in in_summary(engine).values()) == 200)
            assert engine.connections == 1
            await asyncio.gather(*(feed.close() for feed in feeds))
            await until(lambda: gw.topic.hosts.connected == 0)

    run(main)
