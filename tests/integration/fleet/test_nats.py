"""What NATS alone has, on a real server: buckets, rights, credentials, messages that are told before they are kept."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import json
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from confcast.fleet.engines import connect, nats_connection
from confcast.fleet.engines import engine as protocol
from confcast.fleet.engines import nats as engine
from confcast.fleet.engines.access import Access
from confcast.fleet.engines.engine import EngineError, Fault, TooLarge, Unreachable
from confcast.fleet.engines.nats import KEPT_HEADS, Nats
from tests.support.certificates import Authority
from tests.support.engines import nats as support
from tests.support.engines.server import Program
from tests.support.waiting import DEADLINE

PROGRAMS = support.Nats.programs()
pytestmark = pytest.mark.skipif(not PROGRAMS, reason="there is no nats-server: neither Debian's nor a wheel's")

_numbers = itertools.count()
PAYLOAD = b"number = 1\n"
DIGEST = hashlib.sha256(PAYLOAD).hexdigest()


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(each, id=each.origin, marks=[pytest.mark.slow] if n else []) for n, each in enumerate(PROGRAMS)
    ],
)
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


@contextlib.asynccontextmanager
async def connected(server: support.Nats, key: str, path: str = "", **access: Any) -> AsyncIterator[Nats]:
    store = await connect(server.access(url=access.pop("url", server.url) + path, **access), key)
    assert isinstance(store, Nats)
    try:
        yield store
    finally:
        await store.close()


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run it with a deadline. No task is left by what it used."""

    async def bounded() -> None:
        async with asyncio.timeout(DEADLINE):
            await main()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(bounded())


async def until(store: Nats, head: bytes | None) -> None:
    """Follow hints until the head is this one."""
    while await store.head() != head:
        await store.hint()


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
            await store.swap(None, b"one", b"entry")
            for _ in range(1 + len(engine.HINT_AGAIN)):
                await store.hint()

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
    async def main() -> None:
        async with connected(server, key) as store:
            await store.report("host", b"{}")
            info = store._info

            async def without(bucket: Any) -> Any:
                found = await info(bucket)
                found.pop("ts", None)  # as before NATS 2.10
                return found

            for how in (info, without):
                monkeypatch.setattr(store, "_info", how)
                (seen,) = await store.reports()
                assert 0.0 <= seen.age < DEADLINE

    run(main)


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
            async with asyncio.timeout(1.0):
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

        for turns in range(60):
            task = asyncio.ensure_future(everything())
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait({task})
            assert task.cancelled() or task.exception() is None

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


def test_the_next_address_is_tried_when_one_is_dead(server: support.Nats, key: str):
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


@pytest.mark.parametrize("without", ["report", "advisories", "key"])
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
                if without == "report":
                    with pytest.raises(Fault, match=r"publish to .*shop.report.one.*grant this right"):
                        await host.report("one", b"{}")
                assert await host.head() == b"one"  # the connection is as before
                await publisher.swap(b"one", b"two", b"entry")
                await until(host, b"two")

    with guarded(program, **{without: "other" if without == "key" else ""}) as server:
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


def authority(folder: Path, address: str) -> Authority:
    folder.mkdir()
    made = Authority(folder)
    certificate, private = made.pair("engine", address=address)
    made.put(made.certfile, certificate)
    made.put(made.keyfile, private)
    return made


def test_tls_is_verified(program: Program, key: str, tmp_path: Path):
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

    with support.Nats(program).with_tls(right) as server:
        run(lambda: main(server))


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
