"""What NATS alone has, on a real server: buckets, and messages that are told before they are kept."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from confcast.fleet.engines import connect
from confcast.fleet.engines import nats as engine
from confcast.fleet.engines.engine import Fault, TooLarge
from confcast.fleet.engines.nats import KEPT_HEADS
from tests.support.engines import nats as support
from tests.support.engines.nats_stores import EACH, connected, run, until
from tests.support.engines.server import Program
from tests.support.waiting import DEADLINE

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


@pytest.fixture
def buckets(key: str) -> str:
    """The path of a bucket that does not exist yet."""
    return f"/bucket_{key}"


# ---- buckets


def test_a_publisher_makes_the_buckets_and_a_host_finds_nothing_before(server: support.Nats, key: str, buckets: str):
    async def main() -> None:
        async with connected(server, key, buckets) as host, connected(server, key, buckets) as publisher:
            await host.subscribe()
            assert await host.head() is None
            assert await host.payload(DIGEST) is None
            assert await publisher.entries(10) == []
            assert await publisher.reports() == []
            with pytest.raises(Fault, match="_reports' is missing: `confcast fleet publish` makes it"):
                await host.report("host", b"{}")
            await publisher.put_payload(DIGEST, PAYLOAD)
            assert await publisher.swap(None, b"one", b"entry")
            await until(host, b"one")
            assert await host.payload(DIGEST) == PAYLOAD
            await host.report("host", b"{}")
            assert [each.record for each in await publisher.reports()] == [b"{}"]

    run(main)


def test_a_bucket_that_is_deleted_and_made_anew_is_seen_at_once(server: support.Nats, key: str, buckets: str):
    name = buckets.removeprefix("/")

    async def main() -> None:
        async with connected(server, key, buckets) as host, connected(server, key, buckets) as publisher:
            await publisher.swap(None, b"one", b"entry")
            await publisher.swap(b"one", b"two", b"entry")
            await host.subscribe()
            await asyncio.to_thread(server.run, lambda stream: stream.delete_key_value(name))
            await host.hint()
            assert await host.head() is None
            assert await publisher.swap(None, b"three", b"entry")  # with a lower revision than the one before
            await until(host, b"three")
            assert await publisher.entries(10) == [b"entry"]

    run(main)


def test_reports_of_a_bucket_that_was_made_anew_are_those_alone(server: support.Nats, key: str, buckets: str):
    async def main() -> None:
        async with connected(server, key, buckets) as publisher:
            await publisher.swap(None, b"one", b"entry")
            for host in ("a", "b", "c"):
                await publisher.report(host, b"old")
            assert len(await publisher.reports()) == 3
            for name in (buckets[1:], f"{buckets[1:]}_reports"):
                await asyncio.to_thread(server.run, lambda stream, name=name: stream.delete_key_value(name))
            await publisher.swap(None, b"two", b"entry")
            await publisher.report("b", b"new")
            assert [each.record for each in await publisher.reports()] == [b"new"]

    run(main)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"history": 5}, "keeps 5 heads, and 64 are needed"),
        ({"history": 64, "ttl": 60}, "forgets its heads after 60 s"),
    ],
)
def test_a_bucket_that_would_lose_heads_is_refused_in_words(
    server: support.Nats, key: str, buckets: str, options: dict[str, int], words: str
):
    server.run(lambda stream: stream.create_key_value(bucket=buckets[1:], **options))

    async def main() -> None:
        async with connected(server, key, buckets) as publisher:
            with pytest.raises(Fault, match=f"{words}.*nats stream edit KV_"):
                await publisher.swap(None, b"one", b"entry")

    run(main)


def test_more_replicas_than_servers_are_refused_in_words(server: support.Nats, key: str, buckets: str):
    async def main() -> None:
        async with connected(server, key, f"{buckets}?replicas=3") as publisher:
            with pytest.raises(Fault, match="JetStream says: replicas > 1 not supported in non-clustered mode"):
                await publisher.put_payload(DIGEST, PAYLOAD)

    run(main)


@pytest.mark.parametrize("path", ["/a.b", "/a b", "/ü", "?replicas=2", "?history=3"])
def test_a_url_that_names_no_bucket_is_refused_in_words(server: support.Nats, key: str, path: str):
    async def main() -> None:
        with pytest.raises(Fault, match=r"letters, digits|replicas=1, 3 or 5"):
            await connect(server.access(url=server.url + path), key)

    run(main)


def test_a_server_without_jetstream_is_refused_in_words(program: Program, key: str):
    async def main(server: support.Nats) -> None:
        async with connected(server, key) as store:
            with pytest.raises(Fault, match=r"JetStream is not enabled on this server.*nats-server -js"):
                await store.subscribe()

    with support.Nats(program, jetstream=False) as server:
        run(lambda: main(server))


def test_nothing_that_is_done_leaves_a_consumer_behind(server: support.Nats, key: str, buckets: str):
    async def main() -> None:
        async with connected(server, key, buckets) as store:
            await store.subscribe()
            await store.swap(None, b"one", b"entry")
            await store.report("host", b"{}")
            await store.entries(10)
            await store.reports()
            for name in (buckets[1:], f"{buckets[1:]}_reports"):
                info = await asyncio.to_thread(server.run, lambda stream, name=name: stream.stream_info(f"KV_{name}"))
                assert info.state.consumer_count == 0

    run(main)


# ---- the head


def test_the_trail_has_the_newest_heads_that_a_bucket_keeps(server: support.Nats, key: str):
    async def main() -> None:
        async with connected(server, key) as store:
            old = None
            for number in range(KEPT_HEADS + 3):
                new = b"head %d" % number
                assert await store.swap(old, new, b"entry %d" % number)
                old = new
            newest = [b"entry %d" % number for number in range(KEPT_HEADS + 2, 2, -1)]
            assert await store.entries(1000) == newest
            assert await store.entries(2) == newest[:2]
            assert await store.entries(1) == newest[:1]

    run(main)


def test_an_entry_is_kept_byte_by_byte(server: support.Nats, key: str):
    entry = bytes(range(256)) + ' {"a": "ü\r\n"} '.encode()

    async def main() -> None:
        async with connected(server, key) as store:
            assert await store.swap(None, b"one", entry)
            assert await store.entries(1) == [entry]

    run(main)


def test_a_head_of_a_person_has_no_entry_and_is_seen(server: support.Nats, key: str):
    async def main() -> None:
        async with connected(server, key) as store:
            await store.subscribe()
            await store.swap(None, b"one", b"entry")
            server.overwrite_head(key, b"by hand")
            await until(store, b"by hand")
            assert await store.entries(1) == [b"entry"]
            assert await store.swap(b"by hand", b"two", b"another")
            assert await store.entries(10) == [b"another", b"entry"]

    run(main)


def test_a_swap_that_another_one_has_won_gives_a_hint_and_no_change(
    server: support.Nats, key: str, monkeypatch: pytest.MonkeyPatch
):
    async def main() -> None:
        async with connected(server, key) as host, connected(server, key) as late:
            await late.swap(None, b"one", b"entry")
            await host.subscribe()
            read = late._newest_head

            async def reads_before_another_one_writes() -> Any:
                found = await read()
                assert await host.swap(b"one", b"two", b"entry")
                return found

            monkeypatch.setattr(late, "_newest_head", reads_before_another_one_writes)
            assert not await late.swap(b"one", b"lost", b"lost")
            await host.hint()
            assert await host.head() == b"two"
            assert b"lost" not in await host.entries(10)

    run(main)


def test_a_message_is_three_hints_as_it_is_told_before_it_is_kept(
    server: support.Nats, key: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(engine, "HINT_AGAIN", (0.001, 0.002))

    async def main() -> None:
        async with connected(server, key) as store:
            await store.subscribe()
            told = asyncio.Semaphore(0)
            monkeypatch.setattr(store._hints, "tell", told.release)  # those that nobody has waited for are one
            await store.swap(None, b"one", b"entry")
            for _ in range(1 + len(engine.HINT_AGAIN)):
                await told.acquire()

    run(main)


@pytest.mark.parametrize("how", ["delete", "purge"])
def test_a_deleted_head_is_none_and_a_new_one_may_follow(server: support.Nats, key: str, how: str):
    async def act(stream: Any) -> None:
        await getattr(await stream.key_value(support.BUCKET), how)(f"{key}.head")

    async def main() -> None:
        async with connected(server, key) as store:
            await store.subscribe()
            await store.swap(None, b"one", b"entry")
            await asyncio.to_thread(server.run, act)
            await until(store, None)
            assert await store.entries(10) == ([b"entry"] if how == "delete" else [])
            assert not await store.swap(b"one", b"lost", b"lost")
            assert await store.swap(None, b"two", b"another")
            await until(store, b"two")

    run(main)


def test_an_empty_head_is_not_none(server: support.Nats, key: str):
    async def main() -> None:
        async with connected(server, key) as store:
            server.overwrite_head(key, b"")
            assert await store.head() == b""
            assert not await store.swap(None, b"lost", b"lost")
            assert await store.swap(b"", b"one", b"entry")

    run(main)


def test_a_deleted_payload_may_be_written_again(server: support.Nats, key: str):
    async def act(stream: Any) -> None:
        await (await stream.key_value(support.BUCKET)).delete(f"{key}.payload.{DIGEST}")

    async def main() -> None:
        async with connected(server, key) as store:
            await store.put_payload(DIGEST, PAYLOAD)
            await asyncio.to_thread(server.run, act)
            assert await store.payload(DIGEST) is None
            await store.put_payload(DIGEST, PAYLOAD)
            assert await store.payload(DIGEST) == PAYLOAD

    run(main)


def test_a_payload_beyond_the_servers_limit_is_refused_in_words(program: Program, key: str):
    async def main(server: support.Nats) -> None:
        async with connected(server, key) as store:
            with pytest.raises(TooLarge, match=r"has 65337 bytes, and 65336 at most.*max_payload is 65536"):
                await store.put_payload(DIGEST, b"x" * 65337)
            with pytest.raises(Fault, match="the report has 65337 bytes, and 65336 at most"):
                await store.report("host", b"x" * 65337)
            await store.put_payload(DIGEST, b"x" * 65336)
            assert len(await store.payload(DIGEST) or b"") == 65336

    with support.Nats(program, "max_payload: 65536") as server:
        run(lambda: main(server))


@pytest.mark.parametrize("keys", [("a", "a.b"), ("a b", "a=20b"), ("ü/*>", "ü/*"), ("$x", "x")])
def test_keys_that_look_alike_are_not_the_same(server: support.Nats, keys: tuple[str, str]):
    async def main() -> None:
        async with connected(server, keys[0]) as one, connected(server, keys[1]) as other:
            await other.subscribe()
            assert await one.swap(None, b"one", b"entry")
            await one.report("host.a", b"{}")
            assert await one.head() == b"one"
            assert (await other.head(), await other.entries(9), await other.reports()) == (None, [], [])

    run(main)


@pytest.mark.parametrize("key", ["", "x" * 401, "." * 134])
def test_a_key_that_is_none_is_refused_in_words(server: support.Nats, key: str):
    async def main() -> None:
        with pytest.raises(Fault, match=r"the key is (empty|too long)"):
            await connect(server.access(), key)

    run(main)


# ---- reports


def test_reports_do_not_make_the_bucket_grow(server: support.Nats, key: str, buckets: str):
    async def main() -> None:
        async with connected(server, key, buckets) as store:
            await store.swap(None, b"one", b"entry")
            for number in range(20):
                for host in ("a.example-1", "b"):
                    await store.report(host, b"%d" % number)
                await store.reports()
            name = f"KV_{buckets[1:]}_reports"
            info = await asyncio.to_thread(server.run, lambda stream: stream.stream_info(name))
            assert info.state.messages <= 3  # one of each host, and one that tells the server's time
            assert info.config.max_age == engine._REPORTS_KEPT
            assert sorted(each.record for each in await store.reports()) == [b"19", b"19"]

    run(main)


def test_ages_come_from_the_servers_clock_with_and_without_its_time_in_answers(
    server: support.Nats, key: str, monkeypatch: pytest.MonkeyPatch
):
    hour = timedelta(hours=1)

    async def main() -> None:
        async with connected(server, key) as store:
            await store.report("host", b"{}")
            (seen,) = await store.reports()
            assert 0.0 <= seen.age < DEADLINE
            info, read = store._info, store._message

            async def ahead(bucket: Any) -> Any:
                answer = await info(bucket)
                return msgspec.structs.replace(answer, ts=answer.ts + hour)

            async def without(bucket: Any) -> Any:
                return msgspec.structs.replace(await info(bucket), ts=None)  # as before NATS 2.10

            async def read_ahead(bucket: Any, **which: Any) -> Any:
                found = await read(bucket, **which)
                is_clock = found is not None and found.subject.endswith(".clock")
                return found._replace(time=found.time + hour) if is_clock else found

            monkeypatch.setattr(store, "_message", read_ahead)
            for how in (ahead, without):
                monkeypatch.setattr(store, "_info", how)
                (seen,) = await store.reports()
                assert 0.0 <= seen.age - hour.total_seconds() < DEADLINE

    run(main)


# ---- many


@pytest.mark.slow
def test_a_thousand_hosts_are_told(program: Program, key: str):
    async def main(server: support.Nats) -> None:
        async with connected(server, key) as publisher, contextlib.AsyncExitStack() as stack:
            hosts = [await stack.enter_async_context(connected(server, key)) for _ in range(1050)]
            for host in hosts:
                await host.subscribe()
            await publisher.swap(None, b"one", b"entry")
            await asyncio.gather(*(until(host, b"one") for host in hosts))
            await asyncio.gather(*(host.report(f"host-{number}", b"{}") for number, host in enumerate(hosts)))
            assert len(await publisher.reports()) == len(hosts)

    with support.Nats(program) as server:
        run(lambda: main(server))
