"""What goes wrong with an engine's server, and what its connections and those who follow make of it: each engine alike.

As in `test_every_engine.py`, the tests know the protocol alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from confcast import fleet
from confcast.errors import ConfigError
from confcast.fleet.engines import connect
from confcast.fleet.engines.access import Access
from confcast.fleet.engines.engine import EngineError, Fault, Feed, Store, Unreachable
from confcast.fleet.follower import Follower
from confcast.fleet.head import Head, digest_of, encode
from tests.support.certificates import Authority
from tests.support.engines.connections import ONE, THREE, TWO, connected, two, until_head
from tests.support.engines.patience import impatient, paused
from tests.support.engines.server import Server, free_port
from tests.support.waiting import beside

AT_ONCE = 4.0
"""Seconds in which a busy machine comes to it, and less than a connection waits for an answer: that is not needed."""


# ---- the server is gone, or does nothing


async def test_a_killed_server_is_known_at_once(expendable: Server, key: str):
    async with connected(expendable, key) as store:
        await store.subscribe()
        assert await store.head() is None
        waiting = asyncio.create_task(store.hint())
        await asyncio.sleep(0)
        expendable.kill()
        async with asyncio.timeout(AT_ONCE):
            with pytest.raises(Unreachable):
                await waiting
        with pytest.raises(Unreachable):
            await store.head()
        with pytest.raises(Unreachable):
            await store.hint()


async def test_a_server_that_was_stopped_is_known_at_the_check(server: Server, key: str):
    async with connected(server, key) as store:
        await store.subscribe()
        assert await store.head() is None
        with paused(server) as patience:
            began = time.monotonic()
            with pytest.raises(Unreachable):
                await store.verify()
            assert time.monotonic() - began < patience + 3.0


async def test_a_connection_to_a_stopped_server_is_given_up(server: Server, key: str):
    with paused(server) as patience:
        began = time.monotonic()
        with pytest.raises(Unreachable, match=str(server.port)):
            await connect(server.access(), key)
        assert time.monotonic() - began < patience + 3.0


async def test_a_head_that_was_not_answered_for_is_written_with_its_entry_or_not_at_all(server: Server, key: str):
    async with connected(server, key) as store:
        assert await store.swap(None, ONE, b"1")
        with paused(server), pytest.raises(Unreachable):
            await store.swap(ONE, TWO, b"2")
    async with connected(server, key) as store:
        head, entries = await store.head(), await store.entries(10)
        assert (head, entries) in [(ONE, [b"1"]), (TWO, [b"2", b"1"])]


async def test_what_was_written_is_there_after_a_kill(expendable: Server, key: str):
    async with connected(expendable, key) as store:
        await store.put_payload(digest_of(b"content"), b"content")
        assert await store.swap(None, ONE, b"1")
    expendable.restart()
    async with connected(expendable, key) as store:
        assert await store.head() == ONE
        assert await store.payload(digest_of(b"content")) == b"content"
        assert await store.entries(10) == [b"1"]


async def test_a_server_that_comes_back_empty_has_no_head_and_takes_a_first_one(expendable: Server, key: str):
    async with connected(expendable, key) as store:
        assert await store.swap(None, ONE, b"1")
    expendable.restart(empty=True)
    async with two(expendable, key) as (store, other):
        await store.subscribe()
        assert await store.head() is None
        assert await other.swap(None, TWO, b"2")
        await store.hint()
        await until_head(store, TWO)
        assert await store.entries(10) == [b"2"]


async def test_an_old_copy_has_the_old_head_and_goes_on_from_there(expendable: Server, key: str):
    async with connected(expendable, key) as store:
        assert await store.swap(None, ONE, b"1")
        copy = expendable.copy()
        assert await store.swap(ONE, TWO, b"2")
    expendable.restore(copy)
    async with two(expendable, key) as (store, other):
        await store.subscribe()
        assert await store.head() == ONE
        assert not await other.swap(TWO, THREE, b"3")
        assert await other.swap(ONE, THREE, b"3")
        await store.hint()
        await until_head(store, THREE)
        assert await store.entries(10) == [b"3", b"1"]


# ---- somebody works on the engine with its own tools


async def test_a_deleted_head_is_found_by_the_check(server: Server, key: str):
    async with two(server, key) as (store, other):
        assert await other.swap(None, ONE, b"1")
        await store.subscribe()
        assert await store.head() == ONE
        server.delete_head(key)
        assert await store.verify() is None
        assert not await other.swap(ONE, TWO, b"2")
        assert await other.swap(None, TWO, b"2")
        await store.hint()
        await until_head(store, TWO)


async def test_what_was_made_anew_is_followed_on_or_known_as_lost(server: Server, key: str):
    """A connection that goes on after that has to be told of the next write, too: some servers are silent then."""
    async with connected(server, key) as store:
        assert await store.swap(None, ONE, b"1")
        await store.subscribe()
        assert await store.head() == ONE
        server.remake(key)
        async with connected(server, key) as other:
            assert await other.head() is None
            assert await other.swap(None, TWO, b"2")
            try:
                assert await store.verify() == TWO
            except EngineError:
                return
            assert await other.swap(TWO, THREE, b"3")
            with contextlib.suppress(EngineError):
                await until_head(store, THREE)


@pytest.mark.parametrize("content", [b"", b"no head", b"x" * 5000], ids=["empty", "text", "long"])
async def test_what_is_no_head_is_given_as_it_is_or_refused(server: Server, key: str, content: bytes):
    async with connected(server, key) as store:
        assert await store.swap(None, ONE, b"1")
        server.overwrite_head(key, content)
        with contextlib.suppress(Fault):
            assert await store.head() == content
    async with connected(server, key) as store:
        with contextlib.suppress(Fault):
            assert await store.swap(content, TWO, b"2")
            assert await store.head() == TWO


# ---- who may connect


async def _connect_and_read(access: Access, key: str) -> None:
    store = await connect(access, key)
    try:
        await store.head()
    finally:
        await store.close()


async def _refused(server: Server, key: str, **access: Any) -> str:
    """The words in which a connection is refused: with the address, and without a password."""
    with pytest.raises(EngineError) as caught:
        await _connect_and_read(server.access(**access), key)
    text = str(caught.value)
    for secret in (server.password, "wrong-1", "wrong-2"):
        assert not secret or secret not in text
        assert not secret or secret not in repr(caught.value.__cause__)
    assert isinstance(caught.value, Fault), text
    return text


def _file(folder: Path, password: str) -> str:
    path = folder / "password"
    path.write_text(f"{password}\n")
    return str(path)


async def test_a_right_password_is_taken_from_its_file(secured: Server, key: str, tmp_path: Path):
    async with connected(secured, key, password_file=_file(tmp_path, secured.password)) as store:
        await store.subscribe()
        assert await store.swap(None, ONE, b"1")
        await store.hint()
        assert await store.head() == ONE


async def test_a_right_password_may_be_given(secured: Server, key: str):
    async with connected(secured, key, secret=secured.password) as store:
        assert await store.head() is None


async def test_a_wrong_password_is_refused_in_words_without_it(secured: Server, key: str, tmp_path: Path):
    text = await _refused(secured, key, password_file=_file(tmp_path, "wrong-1"))
    assert "password" in text
    await _refused(secured, key, secret="wrong-2")


async def test_no_password_is_refused_in_words(secured: Server, key: str):
    assert "password" in await _refused(secured, key)


async def test_a_password_that_was_rotated_is_used_by_the_next_connection(secured: Server, key: str, tmp_path: Path):
    path = _file(tmp_path, secured.password)
    async with connected(secured, key, password_file=path) as before:
        before_head = await before.head()
        secured.rotate(f"right-{os.urandom(4).hex()}")
        assert "password" in await _refused(secured, key, password_file=path)
        _file(tmp_path, secured.password)
        async with connected(secured, key, password_file=path) as after:
            assert await after.head() == before_head
        with contextlib.suppress(EngineError):
            assert await before.head() == before_head


async def test_a_missing_password_file_is_named(secured: Server, key: str, tmp_path: Path):
    assert str(tmp_path / "none") in await _refused(secured, key, password_file=str(tmp_path / "none"))


def _needs_tls(server: Server) -> None:
    if server.certificates is None:
        pytest.skip(f"{server.program.path} was built without TLS")


async def test_a_certificate_of_another_authority_is_refused(secured: Server, key: str, tmp_path: Path):
    _needs_tls(secured)
    other = Authority(tmp_path)
    text = await _refused(secured, key, ca_file=str(other.certfile), secret=secured.password)
    assert "certificate" in text


async def test_a_certificate_for_another_name_is_refused(secured: Server, key: str):
    _needs_tls(secured)
    url = secured.url.replace("127.0.0.1", "localhost")
    assert "certificate" in await _refused(secured, key, url=url, secret=secured.password)


async def test_a_file_that_has_no_certificates_is_named(secured: Server, key: str, tmp_path: Path):
    _needs_tls(secured)
    (tmp_path / "ca.pem").write_text("no certificate")
    text = await _refused(secured, key, ca_file=str(tmp_path / "ca.pem"), secret=secured.password)
    assert str(tmp_path / "ca.pem") in text


# ---- the end of a connection


async def test_a_connection_is_closed_twice_and_used_no_more(server: Server, key: str):
    store = await connect(server.access(), key)
    await store.subscribe()
    await store.close()
    await store.close()
    for use in (store.head, store.verify, store.hint, store.subscribe):
        with pytest.raises(EngineError):
            async with asyncio.timeout(AT_ONCE):
                await use()


async def test_a_close_that_is_cancelled_leaves_nothing(server: Server, key: str):
    """Whoever ends a follower cancels it again while it does not end."""
    for turns in range(1, 6):
        store = await connect(server.access(), key)
        await store.subscribe()
        closing = asyncio.create_task(store.close())
        for _ in range(turns):
            await asyncio.sleep(0)
        closing.cancel()
        await asyncio.wait({closing})
        assert closing.cancelled() or closing.exception() is None


async def test_a_connection_is_closed_while_a_hint_is_waited_for(server: Server, key: str):
    store = await connect(server.access(), key)
    await store.subscribe()
    waiting = asyncio.create_task(store.hint())
    await asyncio.sleep(0)
    await store.close()
    async with asyncio.timeout(AT_ONCE):
        with pytest.raises((EngineError, asyncio.CancelledError)):
            await waiting


async def test_a_connection_is_closed_at_once_while_the_server_does_nothing(secured: Server, key: str):
    """Nor does its TLS wait for the other side's end."""
    store = await connect(secured.access(secret=secured.password), key)
    await store.subscribe()
    secured.pause()
    try:
        asked = asyncio.create_task(store.head())
        await asyncio.sleep(0.01)
        async with asyncio.timeout(AT_ONCE):
            await store.close()
        asked.cancel()
        with contextlib.suppress(EngineError, asyncio.CancelledError):
            await asked
    finally:
        secured.resume()


async def test_a_connection_that_is_given_up_while_it_is_made_is_closed(server: Server, key: str):
    accepted, ended = asyncio.Event(), asyncio.Event()

    async def says(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        accepted.set()
        with contextlib.suppress(ConnectionError):
            await reader.read(-1)
        ended.set()

    async with _somebody(says) as port:
        access = server.access(url=server.url.replace(str(server.port), str(port)))
        making = asyncio.create_task(_connect_and_read(access, key))
        await accepted.wait()
        making.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await making
        async with asyncio.timeout(AT_ONCE):
            await ended.wait()


async def test_a_question_that_was_cancelled_is_not_answered_to_the_next_one(server: Server, key: str):
    async with two(server, key) as (store, other):
        assert await other.swap(None, ONE, b"1")
        await store.put_payload(digest_of(b"content"), b"content")
        for steps in range(4):
            asked = asyncio.create_task(store.payload(digest_of(b"content")))
            for _ in range(steps):
                await asyncio.sleep(0)
            asked.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                assert await asked == b"content"
            try:
                assert await store.head() == ONE
            except EngineError:
                break  # it may give itself up


# ---- what is no engine

Says = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def _somebody(says: Says) -> AsyncIterator[int]:
    """The port of a server that answers each connection so."""
    tasks: set[asyncio.Task[None]] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await says(reader, writer)
        writer.transport.abort()

    listening = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(-1)


async def _closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Closes at once."""


async def _http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\nNot found")
    await writer.drain()
    await reader.read(-1)


async def _garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(bytes(range(255, -1, -1)) * 40)
    await writer.drain()
    await reader.read(-1)


async def _endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"x" * 65536)
        await writer.drain()


@pytest.mark.parametrize("says", [_silent, _closing, _http, _garbage, _endless], ids=lambda says: says.__name__[1:])
async def test_a_server_of_another_kind_is_refused_in_time_and_words(server: Server, key: str, says: Any):
    async with _somebody(says) as port:
        access = server.access(url=server.url.replace(str(server.port), str(port)))
        began = time.monotonic()
        with impatient() as patience, pytest.raises(EngineError, match=str(port)):
            await _connect_and_read(access, key)
        assert time.monotonic() - began < patience + 3.0


async def test_a_port_where_nobody_listens_is_unreachable(server: Server, key: str):
    port = free_port()
    access = server.access(url=server.url.replace(str(server.port), str(port)))
    with pytest.raises(Unreachable, match=str(port)):
        await connect(access, key)


async def test_a_name_that_nobody_has_is_unreachable(server: Server, key: str):
    access = server.access(url=server.url.replace("127.0.0.1", "nobody.invalid"))
    with pytest.raises(EngineError, match=r"nobody\.invalid"):
        await connect(access, key)


# ---- many


async def test_a_hundred_connections_are_told_of_one_write(server: Server, key: str):
    async with contextlib.AsyncExitStack() as stack, connected(server, key) as publisher:
        stores = [await stack.enter_async_context(connected(server, key)) for _ in range(100)]
        await asyncio.gather(*(store.subscribe() for store in stores))
        assert set(await asyncio.gather(*(store.head() for store in stores))) == {None}
        assert await publisher.swap(None, ONE, b"1")
        await asyncio.gather(*(store.hint() for store in stores))
        await asyncio.gather(*(until_head(store, ONE) for store in stores))


# ---- who follows


class Following:
    """What somebody who follows is handed out."""

    def __init__(self, server: Server, key: str) -> None:
        self.heads: list[bytes | None] = []
        self.away: list[EngineError] = []
        self._changed = asyncio.Event()
        access = server.access()
        self.follower = Follower(lambda: connect(access, key), self._take, self._note, first_pause=0.02)

    async def _take(self, feed: Feed, head: bytes | None) -> bool:
        self.heads.append(head)
        self._changed.set()
        return True

    def _note(self, error: EngineError) -> None:
        self.away.append(error)
        self._changed.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until this holds; it is asked after each change."""
        while not holds():
            self._changed.clear()
            await self._changed.wait()

    async def until_head(self, wanted: bytes | None) -> None:
        """Wait until this head was handed out last."""
        await self.until(lambda: self.heads[-1:] == [wanted])


@contextlib.asynccontextmanager
async def following(server: Server, key: str) -> AsyncIterator[Following]:
    """Follows until the end."""
    found = Following(server, key)
    async with beside(found.follower.run()):
        yield found


async def test_who_follows_is_handed_out_each_head_once(server: Server, key: str):
    async with connected(server, key) as publisher, following(server, key) as host:
        await host.until_head(None)
        assert await publisher.swap(None, ONE, b"1")
        await host.until_head(ONE)
        assert await publisher.swap(ONE, ONE, b"the same again")
        await host.follower.refresh()
        assert await publisher.swap(ONE, TWO, b"2")
        await host.until_head(TWO)
        await host.follower.refresh()
        assert host.heads == [None, ONE, TWO]
        assert host.away == []


async def test_what_was_written_during_an_outage_is_seen_after_it(expendable: Server, key: str):
    async with following(expendable, key) as host:
        async with connected(expendable, key) as publisher:
            assert await publisher.swap(None, ONE, b"1")
        await host.until_head(ONE)
        expendable.kill()
        await host.until(lambda: bool(host.away))
        expendable.start()
        async with connected(expendable, key) as publisher:
            assert await publisher.swap(ONE, TWO, b"2")
        await host.until_head(TWO)
        assert host.heads in ([None, ONE, TWO], [ONE, TWO])
        assert all(isinstance(error, Unreachable) for error in host.away)


async def test_the_head_of_an_older_copy_is_handed_out(expendable: Server, key: str):
    """Its number goes down: whoever waits for a higher one would wait for ever."""
    async with connected(expendable, key) as publisher:
        assert await publisher.swap(None, ONE, b"1")
        copy = expendable.copy()
        assert await publisher.swap(ONE, TWO, b"2")
    async with following(expendable, key) as host:
        await host.until_head(TWO)
        expendable.restore(copy)
        await host.until_head(ONE)
        assert host.heads == [TWO, ONE]


async def test_an_empty_server_is_no_head_and_the_next_one_is_seen(expendable: Server, key: str):
    async with connected(expendable, key) as publisher:
        assert await publisher.swap(None, ONE, b"1")
    async with following(expendable, key) as host:
        await host.until_head(ONE)
        expendable.restart(empty=True)
        await host.until_head(None)
        async with connected(expendable, key) as publisher:
            assert await publisher.swap(None, TWO, b"2")
        await host.until_head(TWO)


async def test_a_stopped_server_is_noticed_and_its_head_read_when_it_goes_on(server: Server, key: str):
    async with connected(server, key) as publisher, following(server, key) as host:
        assert await publisher.swap(None, ONE, b"1")
        await host.until_head(ONE)
        with paused(server):
            with pytest.raises(Unreachable):
                await host.follower.refresh()
            await host.until(lambda: bool(host.away))
        async with connected(server, key) as again:
            assert await again.swap(ONE, TWO, b"2")
        await host.until_head(TWO)


async def test_a_head_that_was_deleted_and_one_made_anew_are_handed_out(server: Server, key: str):
    async with connected(server, key) as publisher, following(server, key) as host:
        assert await publisher.swap(None, ONE, b"1")
        await host.until_head(ONE)
        server.delete_head(key)
        await host.follower.refresh()
        assert host.heads[-1] is None
    async with connected(server, key) as publisher:
        assert await publisher.swap(None, TWO, b"2")
    async with following(server, key) as host:
        await host.until_head(TWO)
        server.remake(key)
        async with connected(server, key) as publisher:
            assert await publisher.swap(None, THREE, b"3")
        with contextlib.suppress(EngineError):
            await host.follower.refresh()
        await host.until_head(THREE)


# ---- sources: what a load is given


def _source(server: Server, key: str) -> Any:
    return getattr(fleet, server.NAME)(server.url, key)


async def _published(store: Store, old: bytes | None, payload: bytes) -> bytes:
    """The head that names this payload; the payload and the head are written."""
    head = encode(Head(stable=digest_of(payload), rev=1))
    await store.put_payload(digest_of(payload), payload)
    assert await store.swap(old, head, b"entry")
    return head


async def test_a_load_is_given_what_the_newest_head_names(server: Server, key: str):
    source = _source(server, key)
    async with connected(server, key) as store:
        head = await _published(store, None, b"number = 1\n")
        assert (await asyncio.to_thread(source.read)).data == {"number": 1}
        await _published(store, head, b"number = 2\n")
        assert (await asyncio.to_thread(source.read)).data == {"number": 2}
        assert source.stale() == ""


async def test_a_load_without_a_head_is_refused_in_words(server: Server, key: str):
    with pytest.raises(ConfigError, match="there is no head"):
        await asyncio.to_thread(_source(server, key).read)


async def test_a_payload_without_a_head_changes_nothing_and_is_taken_by_the_next_publisher(server: Server, key: str):
    """The first one died between the two."""
    source, payload = _source(server, key), b"number = 2\n"
    async with connected(server, key) as store:
        head = await _published(store, None, b"number = 1\n")
        await store.put_payload(digest_of(payload), payload)
        assert (await asyncio.to_thread(source.read)).data == {"number": 1}
        await _published(store, head, payload)
        assert (await asyncio.to_thread(source.read)).data == {"number": 2}


async def test_a_head_without_its_payload_is_a_fault_and_what_is_known_stays(server: Server, key: str):
    source = _source(server, key)
    async with connected(server, key) as store:
        head = await _published(store, None, b"number = 1\n")
        assert (await asyncio.to_thread(source.read)).data == {"number": 1}
        assert await store.swap(head, TWO, b"entry")
        assert (await asyncio.to_thread(source.read)).data == {"number": 1}
        assert "which is not there" in source.stale()
        assert server.url.rpartition("@")[2].split("/")[0] in source.stale()


async def test_a_payload_that_somebody_changed_is_a_fault(server: Server, key: str):
    payload = b"number = 1\n"
    async with connected(server, key) as store:
        await _published(store, None, payload)
        server.overwrite_payload(key, digest_of(payload), b"number = 9\n")
        with pytest.raises(ConfigError, match="is not what its digest says"):
            await asyncio.to_thread(_source(server, key).read)


@pytest.mark.parametrize("content", [b"", b"no head", b"x" * 5000], ids=["empty", "text", "long"])
async def test_a_load_is_not_given_what_is_no_head(server: Server, key: str, content: bytes):
    source = _source(server, key)
    async with connected(server, key) as store:
        await _published(store, None, b"number = 1\n")
        server.overwrite_head(key, content)
        with pytest.raises(ConfigError, match="nothing that was good before"):
            await asyncio.to_thread(source.read)
