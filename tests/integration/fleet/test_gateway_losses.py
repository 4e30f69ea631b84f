"""A gateway that is lost, or has lost its engine or its disk: what hosts have then."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from pathlib import Path

import pytest

from confcast.fleet import reports
from confcast.fleet.engines import gateway as hosts_side
from confcast.fleet.engines.engine import Fault, Unreachable
from confcast.fleet.gateway.disk import Copy, StateFolder
from confcast.fleet.head import digest_of
from confcast.fleet.reports import Report
from tests.support.engines.memory import MemoryEngine
from tests.support.fleet.gateways_in_memory import (
    KEY,
    ONE,
    TWO,
    ask,
    connected,
    gateway,
    host,
    in_summary,
    limited,
    publish,
    raw,
    request,
    run,
    until,
)
from tests.support.waiting import DEADLINE

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


def test_whatever_ends_the_reading_of_lines_is_a_loss(monkeypatch: pytest.MonkeyPatch):
    async def main() -> None:
        engine = MemoryEngine()
        publish(engine, ONE)
        async with gateway(engine.connect) as gw, connected(gw.host()) as feed:
            monkeypatch.setattr(hosts_side.gateway_lines, "decode", lambda content: 1 // 0)
            publish(engine, TWO)
            with pytest.raises(Fault, match="ZeroDivisionError"):
                async with asyncio.timeout(DEADLINE):
                    await feed.hint()
            with pytest.raises(Fault):
                await feed.verify()

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
