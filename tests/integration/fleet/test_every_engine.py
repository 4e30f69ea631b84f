"""What each engine has to be able to do, on a real server of each, through every fault that can be had of one.

The tests know the protocol alone (`fleet/engines/engine.py`): a fifth engine is a file with its server in
`tests/support/engines`, a line there, and passes these.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time

import pytest

from confcast.fleet import publishing
from confcast.fleet.engines import connect, engine
from confcast.fleet.engines.engine import MOST_PAYLOAD, OldPayload, Store, TooLarge
from confcast.fleet.engines.link import Link
from confcast.fleet.head import Head, decode, digest_of, encode
from tests.support.engines.connections import ONE, THREE, TWO, connected, two, until_head
from tests.support.engines.server import Server

# ---- what an engine keeps


async def test_of_a_key_that_nobody_has_written_there_is_nothing(server: Server, key: str):
    async with connected(server, key) as store:
        assert await store.head() is None
        assert await store.payload(digest_of(b"none")) is None
        assert await store.entries(10) == []
        assert await store.reports() == []
        await store.subscribe()
        assert await store.verify() is None


async def test_a_head_is_written_in_the_place_of_exactly_the_expected_one(server: Server, key: str):
    async with two(server, key) as (store, other):
        assert not await store.swap(TWO, ONE, b"expected another")
        assert await store.swap(None, ONE, b"first")
        assert not await other.swap(None, TWO, b"expected none")
        assert not await other.swap(TWO, THREE, b"expected another")
        assert await other.head() == ONE
        assert await other.swap(ONE, TWO, b"second")
        assert await store.head() == TWO
        assert await store.entries(10) == [b"second", b"first"]


async def test_a_head_that_is_written_again_unchanged_is_audited_again(server: Server, key: str):
    async with connected(server, key) as store:
        assert await store.swap(None, ONE, b"first")
        assert await store.swap(ONE, ONE, b"again")
        assert await store.head() == ONE
        assert await store.entries(10) == [b"again", b"first"]


async def test_a_head_that_came_back_is_the_expected_one(server: Server, key: str):
    """The head counts, not how often it was written: `--expect` names it by its content."""
    async with connected(server, key) as store:
        assert await store.swap(None, ONE, b"1")
        assert await store.swap(ONE, TWO, b"2")
        assert await store.swap(TWO, ONE, b"3")
        assert await store.swap(ONE, THREE, b"4")


async def test_of_two_publishers_at_once_exactly_one_wins_and_is_audited(server: Server, key: str):
    async with two(server, key) as (one, other):
        head, winners = None, []
        for number in range(50):
            heads = [encode(Head(stable=digest_of(name), rev=number)) for name in (b"one", b"other")]
            entries = [b"%d by one" % number, b"%d by other" % number]
            won = await asyncio.gather(one.swap(head, heads[0], entries[0]), other.swap(head, heads[1], entries[1]))
            assert sorted(won) == [False, True]
            head = heads[won.index(True)]
            winners.append(entries[won.index(True)])
            assert await one.head() == await other.head() == head
        assert (await one.entries(100))[::-1] == winners


async def test_the_newest_entries_come_first_and_no_more_than_asked_for(server: Server, key: str):
    async with connected(server, key) as store:
        head = None
        for number in range(12):
            new = encode(Head(stable=digest_of(b"x"), rev=number))
            assert await store.swap(head, new, b"%d" % number)
            head = new
        assert await store.entries(3) == [b"11", b"10", b"9"]
        assert await store.entries(1) == [b"11"]
        assert [int(each) for each in await store.entries(50)] == list(range(11, -1, -1))
        assert await store.entries(0) == []


async def test_keys_have_nothing_in_common(server: Server, key: str):
    """Neither where one begins with the other, nor where only letters' case tells them apart."""
    others = (f"{key}.x", f"{key}-head", f"{key[:-1]}", key.upper(), "a" * 200)
    digest = digest_of(b"content")
    async with connected(server, key) as store, contextlib.AsyncExitStack() as stack:
        rest = [await stack.enter_async_context(connected(server, other)) for other in others]
        assert await store.swap(None, ONE, b"first")
        await store.put_payload(digest, b"content")
        await store.report("host", b"record")
        for other in rest:
            assert await other.head() is None
            assert await other.payload(digest) is None
            assert await other.entries(10) == []
            assert await other.reports() == []


@pytest.mark.parametrize("name", ["a", "A.b_c-D", "0", "a.", "a..b", "x" * 200])
async def test_each_name_that_a_key_may_have_can_be_used(server: Server, name: str):
    async with connected(server, name) as store:
        head = await store.head()
        new = TWO if head == ONE else ONE
        await store.subscribe()
        assert await store.swap(head, new, b"entry")
        await store.hint()
        assert await store.head() == new
        await store.put_payload(digest_of(b"1"), b"1")
        assert await store.payload(digest_of(b"1")) == b"1"


# ---- payloads


@pytest.mark.parametrize(
    "content", [b"", b"\0\xff\r\n$3\r\n'\"\\{}" * 9, bytes(range(256)) * 64], ids=["empty", "odd", "all"]
)
async def test_a_payload_is_the_bytes_that_were_written(server: Server, key: str, content: bytes):
    digest = digest_of(content)
    async with connected(server, key) as store:
        await store.put_payload(digest, content)
        assert await store.payload(digest) == content


async def test_a_payload_never_changes(server: Server, key: str):
    digest = digest_of(b"first")
    async with two(server, key) as (store, other):
        await store.put_payload(digest, b"first")
        await other.put_payload(digest, b"first")
        await other.put_payload(digest, b"another")
        assert await store.payload(digest) == b"first"


async def test_the_largest_payload_is_taken_and_a_larger_one_refused(server: Server, key: str):
    content = os.urandom(MOST_PAYLOAD)
    async with connected(server, key) as store:
        await store.put_payload(digest_of(content), content)
        assert await store.payload(digest_of(content)) == content
        with pytest.raises(TooLarge, match=str(MOST_PAYLOAD)):
            await store.put_payload(digest_of(b"larger"), content + b"x")
        assert await store.payload(digest_of(b"larger")) is None
        assert await store.head() is None, "the connection goes on"


# ---- payloads that nothing names: fleet/unnamed.py


@pytest.fixture
def old_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A payload may be dropped two seconds after it was put, which is the shortest time that etcd knows."""
    monkeypatch.setattr(engine, "UNTOUCHED", 2.0)


def old_since(began: float) -> bool:
    """Whether what was put then may be old by now: this machine was busy."""
    return time.monotonic() - began > engine.UNTOUCHED - 1.0  # some engines count whole seconds


async def until_old(store: Store, wanted: int) -> list[OldPayload]:
    """Wait until so many payloads may be dropped: the engine's clock says so, and tells nobody."""
    while len(found := await store.old_payloads(())) < wanted:
        await asyncio.sleep(0.05)
    return found


@pytest.mark.usefixtures("old_soon")
async def test_an_old_payload_is_dropped_unless_it_was_put_again(server: Server, key: str):
    contents = [b"%d" % number for number in range(4)]
    digests = [digest_of(each) for each in contents]
    async with two(server, key) as (store, other):
        assert await store.old_payloads(()) == []
        assert await store.swap(None, ONE, b"entry")
        began = time.monotonic()
        for content in contents:
            await store.put_payload(digest_of(content), content)
        assert await store.old_payloads(()) == [] or old_since(began)
        listed = {each.digest: each for each in await until_old(store, 4)}
        assert set(listed) == set(digests)
        assert {each.digest for each in await store.old_payloads(digests[:2])} == set(digests[2:])
        again = time.monotonic()
        await other.put_payload(digests[0], contents[0])
        await store.drop_payloads(ONE, [listed[digests[0]]])
        await store.drop_payloads(ONE, [listed[digests[1]], listed[digests[2]]])
        await store.drop_payloads(ONE, [])
        there = [await other.payload(each) for each in digests]
        assert there == [contents[0], None, None, contents[3]]
        assert digests[0] not in {each.digest for each in await store.old_payloads(())} or old_since(again)
        await other.put_payload(digests[1], contents[1])
        assert await store.payload(digests[1]) == contents[1]
        assert await store.head() == ONE


@pytest.mark.usefixtures("old_soon")
async def test_publishers_of_old_payloads_that_others_drop_lose_none(server: Server, key: str):
    """All of them are there and old, nothing names them, and each but one is wanted by a publisher at the same time."""
    contents = [b"number = %d\n" % number for number in range(6)]
    wanted_by_nobody = b"number = 6\n"
    missing = list[str]()

    async def publish(content: bytes) -> None:
        async with Link(lambda: connect(server.access(), key)) as link:
            while True:
                try:
                    done = await publishing.publish(link, content, publishing.Author("me"), None)
                except publishing.Conflict:
                    continue
                assert done.warning == ""
                return

    async def look(store: Store) -> None:
        while True:
            raw = await store.head()
            stable = decode(raw or b"").stable
            if await store.payload(stable) is None and await store.head() == raw:
                missing.append(stable)

    async with two(server, key) as (store, reader):
        assert await store.swap(None, ONE, b"entry")
        await store.put_payload(decode(ONE).stable, b"1")
        for content in (*contents, wanted_by_nobody):
            await store.put_payload(digest_of(content), content)
        await until_old(store, len(contents) + 2)
        looking = asyncio.create_task(look(reader))
        await asyncio.gather(*map(publish, contents))
        looking.cancel()
        await asyncio.wait([looking])
        assert looking.cancelled(), "it has looked until the end"
        assert await store.payload(digest_of(wanted_by_nobody)) is None, "publishers drop what is old"
        assert [await store.payload(digest_of(each)) for each in contents] == contents, "the entries name them"
    assert missing == []


# ---- reports


async def test_a_report_takes_the_place_of_the_hosts_last_one(server: Server, key: str):
    async with two(server, key) as (host, controller):
        await host.report("a", b"loading")
        await host.report("b", b"other host")
        await host.report("a", b"applied")
        assert sorted(each.record for each in await controller.reports()) == [b"applied", b"other host"]


async def test_a_report_has_an_age_by_the_engines_clock(server: Server, key: str, monkeypatch: pytest.MonkeyPatch):
    """The host's clock is off by a day, and so is the controller's."""
    async with connected(server, key) as store:
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() - 86_400)
        await store.report("a", b"record")
        monkeypatch.setattr(time, "time", lambda: real() + 86_400)
        (first,) = await store.reports()
        assert 0.0 <= first.age < 20.0
        monkeypatch.setattr(time, "time", real)
        (second,) = await store.reports()
        while second.age == first.age:
            await asyncio.sleep(0.01)  # an engine may count in seconds
            (second,) = await store.reports()
        assert first.age < second.age < 20.0


async def test_a_report_may_be_that_of_many_hosts(server: Server, key: str):
    """A gateway's summary: of a thousand hosts it has some hundred kilobytes."""
    record = os.urandom(256 * 1024)
    async with two(server, key) as (gateway, controller):
        await gateway.report("gateway", record)
        await gateway.report("host", b"small")
        assert sorted(each.record for each in await controller.reports()) == sorted([record, b"small"])


# ---- hints


async def test_a_write_is_told(server: Server, key: str):
    async with two(server, key) as (store, other):
        await store.subscribe()
        assert await store.head() is None
        assert await other.swap(None, ONE, b"1")
        await store.hint()
        await until_head(store, ONE)
        assert await other.swap(ONE, TWO, b"2")
        await store.hint()
        await until_head(store, TWO)


async def test_a_write_between_subscription_and_first_read_is_seen(server: Server, key: str):
    async with two(server, key) as (store, other):
        await store.subscribe()
        assert await other.swap(None, ONE, b"1")
        assert await store.head() == ONE


async def test_a_write_while_the_head_is_being_read_is_seen(server: Server, key: str):
    async with two(server, key) as (store, other):
        await store.subscribe()
        head = None
        for number in range(20):
            new = encode(Head(stable=digest_of(b"x"), rev=number))
            read, won = await asyncio.gather(store.head(), other.swap(head, new, b"entry"))
            assert won
            assert read in (head, new)
            await store.hint()
            await until_head(store, new)
            head = new


async def test_waiting_for_a_hint_may_be_cancelled_and_begun_again(server: Server, key: str):
    async with two(server, key) as (store, other):
        await store.subscribe()
        assert await store.head() is None
        for _ in range(3):
            waiting = asyncio.create_task(store.hint())
            await asyncio.sleep(0)
            waiting.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await waiting
        assert await other.swap(None, ONE, b"1")
        await store.hint()
        await until_head(store, ONE)


async def test_the_head_is_read_while_a_hint_is_waited_for(server: Server, key: str):
    async with two(server, key) as (store, other):
        await store.subscribe()
        waiting = asyncio.create_task(store.hint())
        await asyncio.sleep(0)
        assert await store.head() is None
        assert await store.verify() is None
        assert await other.swap(None, ONE, b"1")
        await waiting
        await until_head(store, ONE)
