"""A gateway in front of an engine: what hosts get, when, and what the engine is told of them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import Any

import msgspec
import pytest

from confcast.fleet import reports
from confcast.fleet.engines import gateway as hosts_side
from confcast.fleet.engines.engine import EngineError, Fault, Unreachable
from confcast.fleet.follower import Follower
from confcast.fleet.gateway.limits import Limits
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
    in_summary,
    limited,
    publish,
    run,
    until,
)
from tests.support.waiting import DEADLINE

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


@pytest.mark.parametrize("poll", [False, True])
def test_the_gateway_is_asked_for_a_head_that_no_line_has_brought(poll: bool):
    """A reload that a person asks for answers for what was there when it was called."""

    async def main() -> None:
        engine = MemoryEngine()
        first = publish(engine, ONE)
        async with gateway(engine.connect) as gw, connected(gw.host(poll=poll)) as feed:
            assert await feed.head() == await feed.head() == first
            assert feed._reader is not None
            feed._reader.cancel()
            second = publish(engine, TWO, rev=2)
            await until(lambda: gw.topic.head == second)
            assert await feed.head() == await feed.verify() == second
            gw.server.service._topics.clear()
            with pytest.raises(EngineError):
                await feed.head()

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


@pytest.mark.parametrize("loss", ["away", "no head"])
def test_hosts_are_told_why_a_head_may_not_be_the_engines_and_at_once_that_it_is_again(loss: str):
    async def main() -> None:
        engine = MemoryEngine()
        head = publish(engine, ONE)
        async with gateway(engine.connect, limits=limited(heartbeat=0.05)) as gw, connected(gw.host()) as feed:
            assert feed.trouble == ""
            if loss == "away":
                engine.down = Unreachable("the engine is away")
                engine.lose(engine.down)
            else:
                engine.put(None)
            await until(lambda: loss in feed.trouble)
            assert 0.0 <= time.time() - feed.troubled_since < DEADLINE
            assert await feed.head() == head
            heartbeat, gw.topic._limits = gw.topic.next_line, limited(heartbeat=3600.0)
            await heartbeat.wait()  # the last one
            engine.down = None
            engine.put(head)
            await until(lambda: not feed.trouble)

    run(main)


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
            assert not gw.topic.hosts.news.is_set(), "what is known already is no reason to write"
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
            await feed.report("a", reports.encode(before := Report("a", state="good", version=3)))
            with pytest.raises(Fault, match=words):
                await feed.report("a", body)
            await until(lambda: in_summary(engine).get("a") and in_summary(engine)["a"].report == before)
            assert (list(in_summary(engine)), gw.topic.hosts.news.is_set()) == (["a"], False)

    run(main)


def test_a_report_is_cut_to_what_hosts_keep_to():
    async def main() -> None:
        engine = MemoryEngine()
        publish(engine, ONE)
        long = Report("a", "d" * 200, name="n" * 900, reason="r" * 5000, labels={f"{i}": "l" * 99 for i in range(40)})
        long = msgspec.structs.replace(long, version=10**4000)
        many = {f"{i}": "l" * 99 for i in range(30)}
        async with gateway(engine.connect) as gw, connected(gw.host("a", labels=many)) as feed:
            await until(lambda: "a" in in_summary(engine))
            assert in_summary(engine)["a"].report.labels == {name: many[name][:64] for name in list(many)[:16]}
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
