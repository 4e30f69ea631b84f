"""The Redis connection with a scripted server: what a real one can't be made to say."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from confcast.fleet.engines import connect, engine
from confcast.fleet.engines.access import Access
from confcast.fleet.engines.engine import MOST_PAYLOAD, EngineError, Fault, Unreachable
from confcast.fleet.engines.redis_connection import Connection, refusal
from confcast.fleet.engines.resp import ErrorReply, Replies
from confcast.fleet.head import digest_of
from tests.support.waiting import on_a_loop

SECRET = "planted-secret"
HELLO = b"%4\r\n+server\r\n+redis\r\n+proto\r\n:3\r\n+mode\r\n+standalone\r\n+role\r\n+master\r\n"
CONNECTED = b"*5\r\n+slave\r\n+10.0.0.1\r\n:6379\r\n+connected\r\n:17\r\n"
CUT_OFF = CONNECTED.replace(b"+connected", b"+connecting")

Answer = Callable[[list[bytes]], bytes]


class Peer:
    """A server that answers each command with what a test has said of its first words.

    Attributes:
        answers: By the beginning of a command, the longest that fits; `+OK` for others.
        asked: The commands, in order.
    """

    def __init__(self, answers: dict[str, bytes]) -> None:
        self.answers = {"HELLO": HELLO, **answers}
        self.asked: list[str] = []
        self.writers: list[asyncio.StreamWriter] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.writers.append(writer)
        commands = Replies(1 << 22)
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            while data := await reader.read(65536):
                for parts in commands.feed(data):
                    self.asked.append(b" ".join(parts[:3]).decode())
                    writer.write(self._answer(b" ".join(parts).decode(errors="replace")))
        writer.transport.abort()

    def _answer(self, text: str) -> bytes:
        fitting = [begin for begin in self.answers if text.startswith(begin)]
        return self.answers[max(fitting, key=len)] if fitting else b"+OK\r\n"

    def push(self, data: bytes) -> None:
        """Send to all without having been asked."""
        for writer in self.writers:
            writer.write(data)

    async def end(self) -> None:
        """End all connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def peer(**answers: bytes) -> AsyncIterator[tuple[Peer, Access]]:
    """A server with these answers, and how to reach it."""
    found = Peer({name.replace("_", " "): answer for name, answer in answers.items()})
    listening = await asyncio.start_server(found, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    try:
        yield found, Access(url=f"redis://shop:{SECRET}@127.0.0.1:{port}/0")
    finally:
        listening.close()
        await found.end()


async def refused(access: Access) -> EngineError:
    """Why a connection, or its first read, is refused; no text has the password."""
    with pytest.raises(EngineError) as caught:
        await _used(access)
    assert SECRET not in f"{caught.value} {caught.value.__cause__!r} {caught.value.__context__!r}"
    return caught.value


async def _used(access: Access) -> None:
    store = await connect(access, "shop")
    try:
        await store.subscribe()
        await store.head()
        await store.verify()
    finally:
        await store.close()


GREETINGS = [
    (
        f"-ERR unknown command `HELLO`, with args beginning with: `3`, `AUTH`, `shop`, `{SECRET}`",
        Fault,
        "older than 6",
    ),
    ("-NOPROTO unsupported protocol version", Fault, "older than 6"),
    ("-WRONGPASS invalid username-password pair or user is disabled.", Fault, "password"),
    ("-NOAUTH Authentication required.", Fault, "password"),
    ("-DENIED Redis is running in protected mode", Fault, "protected mode"),
    ("-LOADING Redis is loading the dataset in memory", Unreachable, "loading"),
    ("-ERR max number of clients reached", Unreachable, "maxclients"),
    ("-BUSY Redis is busy running a script", Unreachable, "script"),
    ("+OK", Fault, "HELLO"),
    ("%1\r\n+proto\r\n:2", Fault, "HELLO"),
    ("%2\r\n+proto\r\n:3\r\n+mode\r\n+cluster", Fault, "Cluster"),
    ("%2\r\n+proto\r\n:3\r\n+mode\r\n+sentinel", Fault, "Sentinel"),
    ("HTTP/1.1 400 Bad Request", Fault, "speaks HTTP"),
    ("SSH-2.0-OpenSSH_9.2", Fault, "speaks SSH"),
    ("\x15\x03\x01\0\x02\x02\x28", Fault, "rediss://"),
    ('INFO {"server_id":"N"}', Fault, "NATS"),
]


@pytest.mark.parametrize(("answer", "kind", "words"), GREETINGS, ids=[row[0].split("\r")[0][:24] for row in GREETINGS])
def test_a_greeting_that_is_none_is_refused_in_words(answer: str, kind: type[EngineError], words: str):
    async def main() -> None:
        async with peer(HELLO=answer.encode("latin-1") + b"\r\n") as (_, access):
            error = await refused(access)
            assert type(error) is kind
            assert words in str(error)
            assert access.shown in str(error)

    on_a_loop(main)


LATER = [
    ("GET", "-MOVED 1234 10.0.0.2:6379", Fault, "Cluster"),
    ("GET", "-NOPERM this user has no permissions to run the 'get' command", Fault, "GET"),
    ("GET", "-MASTERDOWN Link with MASTER is down", Unreachable, "master"),
    ("GET", "-WRONGTYPE Operation against a key", Fault, "another kind"),
    ("GET", ":17", Fault, "GET"),
    ("GET", "$9999999\r\n", Fault, "9999999"),
    ("GET", "*2000000\r\n", Fault, "2000000"),
    ("CLIENT TRACKING", "-ERR unknown subcommand", Fault, "CLIENT TRACKING"),
    ("CLIENT TRACKING", "-NOPERM no permissions to run 'client|tracking'", Fault, "CLIENT"),
    ("CLIENT TRACKINGINFO", "%1\r\n+flags\r\n~1\r\n+off", Unreachable, "tell"),
    ("CLIENT TRACKINGINFO", "%1\r\n+flags\r\n~1\r\n+on", Unreachable, "tell"),
    ("CLIENT TRACKINGINFO", "+OK", Unreachable, "tell"),
    ("ROLE", "+OK", Unreachable, "replica"),
    ("ROLE", CUT_OFF.decode().removesuffix("\r\n"), Unreachable, "lost its master"),
]


@pytest.mark.parametrize(
    ("name", "answer", "kind", "words"), LATER, ids=[f"{row[0]}-{row[2].__name__}" for row in LATER]
)
def test_an_answer_that_is_none_ends_the_connection_in_words(
    name: str, answer: str, kind: type[EngineError], words: str
):
    async def main() -> None:
        answers = {"GET": b"_\r\n", "ROLE": b"*1\r\n+master\r\n", "CLIENT TRACKINGINFO": _tracked()}
        async with peer(**{**answers, name: answer.encode() + b"\r\n"}) as (_, access):
            error = await refused(access)
            assert type(error) is kind
            assert words in str(error)

    on_a_loop(main)


def _tracked() -> bytes:
    return b"%1\r\n+flags\r\n~2\r\n+on\r\n+bcast\r\n"


def test_the_order_is_greeting_subscription_head():
    async def main() -> None:
        async with peer(GET=b"_\r\n", ROLE=b"*1\r\n+master\r\n", CLIENT_TRACKINGINFO=_tracked()) as (server, access):
            await _used(access)
            assert server.asked == [
                "HELLO 3 AUTH",
                "CLIENT TRACKING ON",
                "GET confcast:{shop}:head",
                *("GET confcast:{shop}:head", "ROLE", "CLIENT TRACKINGINFO"),
            ]

    on_a_loop(main)


def test_a_replica_is_read_while_it_has_its_master():
    async def main() -> None:
        replica = HELLO.replace(b"+master", b"+replica")
        async with peer(HELLO=replica, GET=b"$3\r\none\r\n", ROLE=CONNECTED) as (server, access):
            store = await connect(access, "shop")
            try:
                assert await store.head() == b"one"
                server.answers["ROLE"] = CUT_OFF
                with pytest.raises(Unreachable, match="lost its master"):
                    await store.head()
                with pytest.raises(Unreachable, match="lost its master"):
                    await store.hint()
            finally:
                await store.close()

    on_a_loop(main)


def test_a_push_before_the_reply_is_a_hint_and_leaves_the_reply_to_its_command():
    async def main() -> None:
        push = b">2\r\n+invalidate\r\n*1\r\n+confcast:{shop}:head\r\n"
        async with peer(GET=push + b"$3\r\none\r\n") as (server, access):
            store = await connect(access, "shop")
            try:
                await store.subscribe()
                assert await store.head() == b"one"
                await store.hint()
                server.push(b">2\r\n+invalidate\r\n_\r\n")
                await store.hint()
                server.push(b">2\r\n+message\r\n+other\r\n" + push)
                await store.hint()
            finally:
                await store.close()

    on_a_loop(main)


def test_an_answer_that_nobody_has_asked_for_ends_the_connection():
    async def main() -> None:
        async with peer() as (server, access):
            store = await connect(access, "shop")
            server.push(b"+OK\r\n")
            with pytest.raises(Fault, match="without having been asked"):
                await store.hint()
            with pytest.raises(Fault):
                await store.head()
            await store.close()

    on_a_loop(main)


def test_bytes_amid_the_answers_are_not_quoted():
    """Should a proxy have lost some, what comes where a reply is expected may be part of a payload."""

    async def main() -> None:
        async with peer(GET=f"{SECRET}\r\n".encode()) as (_, access):
            assert "no reply of Redis" in str(await refused(access))

    on_a_loop(main)


def test_an_answer_that_does_not_come_ends_the_connection(monkeypatch: pytest.MonkeyPatch):
    async def main() -> None:
        async with peer(GET=b"$3\r\non") as (_, access):
            store = await connect(access, "shop")
            monkeypatch.setattr(engine, "PATIENCE", 0.05)
            with pytest.raises(Unreachable, match=r"0\.05 s"):
                await store.head()
            with pytest.raises(Unreachable, match=r"0\.05 s"):
                await store.hint()
            await store.close()

    on_a_loop(main)


def test_a_payload_over_the_limit_is_not_taken():
    async def main() -> None:
        async with peer(GET=b"$%d\r\n" % (MOST_PAYLOAD + 1)) as (_, access):
            store = await connect(access, "shop")
            with pytest.raises(Fault, match=str(MOST_PAYLOAD)):
                await store.payload(digest_of(b"x"))
            await store.close()

    on_a_loop(main)


def test_a_refused_write_is_not_quoted():
    """A server quotes the beginning of a command that it does not know: here, of the configuration."""

    async def main() -> None:
        quoting = f"-ERR unknown command 'EVAL', with args beginning with: '{SECRET}'\r\n"
        async with peer(EVAL=quoting.encode()) as (
            _,
            access,
        ):
            store = await connect(access, "shop")
            with pytest.raises(Fault, match="refuses EVAL") as caught:
                await store.put_payload(digest_of(b"x"), SECRET.encode())
            assert SECRET not in str(caught.value)
            await store.close()

    on_a_loop(main)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("OOM command not allowed when used memory > 'maxmemory'.", "maxmemory"),
        ("ERR Error running script (call to f_1): @user_script:4: -OOM command not allowed", "maxmemory"),
        ("ERR Error running script (call to f_1): @user_script: 4: WRONGTYPE Operation against", "another kind"),
        ("READONLY You can't write against a read only replica.", "master's address"),
        ("MISCONF Redis is configured to save RDB snapshots", "disk"),
        ("NOREPLICAS Not enough good replicas to write.", "min-replicas"),
        ("ERR The user executing the script can't run this command or subcommand script", "give the user the right"),
        ("ERR ACL failure in script: User d has no permissions to run the 'del' command", "give the user the right"),
        ("ERR something else", "refuses EVAL (ERR)"),
        ("", "refuses EVAL"),
    ],
)
def test_what_refuses_a_script_is_said_in_words(text: str, words: str):
    error = refusal("redis://x", "EVAL", ErrorReply(text.partition(" ")[0], text))
    assert type(error) is Fault
    assert words in str(error)


@pytest.mark.parametrize(
    "url", ["redis://127.0.0.1/shop", "redis://127.0.0.1/-1", "redis://127.0.0.1/0?ssl=true", "redis://127.0.0.1/²"]
)
def test_what_means_nothing_in_a_url_is_refused(url: str):
    async def main() -> None:
        with pytest.raises(Fault, match="number of a database"):
            await connect(Access(url=url), "shop")

    on_a_loop(main)


def test_the_first_address_that_takes_a_connection_is_used():
    async def main() -> None:
        async with peer() as (server, access):
            port = access.hosts[0][1]
            dead = await _dead_port()
            for addresses in (f"127.0.0.1:{dead},127.0.0.1:{port}", f"127.0.0.1:{port},127.0.0.1:{dead}"):
                store = await connect(Access(url=f"redis://{addresses}/0"), "shop")
                await store.close()
            assert len(server.writers) == 2
            with pytest.raises(Unreachable, match=f"127.0.0.1:{dead}"):
                await connect(Access(url=f"redis://127.0.0.1:{dead},127.0.0.1:{dead}"), "shop")

    on_a_loop(main)


async def _dead_port() -> int:
    listening = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = int(listening.sockets[0].getsockname()[1])
    listening.close()
    await listening.wait_closed()
    return port


def test_a_fault_says_more_than_an_outage_of_the_addresses_after_it():
    async def main() -> None:
        async with peer(HELLO=b"-WRONGPASS no\r\n") as (_, access):
            addresses = f"127.0.0.1:{access.hosts[0][1]},127.0.0.1:{await _dead_port()}"
            with pytest.raises(Fault, match="password"):
                await connect(Access(url=f"redis://{addresses}"), "shop")

    on_a_loop(main)


def test_an_address_that_says_nothing_leaves_time_for_the_next_one(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(engine, "PATIENCE", 4.0)

    async def main() -> None:
        async with peer(HELLO=b"") as (_, silent), peer() as (_, access):
            addresses = f"127.0.0.1:{silent.hosts[0][1]},127.0.0.1:{access.hosts[0][1]}"
            async with asyncio.timeout(engine.PATIENCE):
                store = await connect(Access(url=f"redis://{addresses}"), "shop")
            await store.close()

    on_a_loop(main)


def test_a_socket_is_closed_when_close_returns_and_no_thread_was_needed():
    """A name would be resolved in one."""

    async def main() -> None:
        async with peer() as (_, access):
            before = threading.active_count()
            store: Any = await connect(access, "shop")
            socket = store._connection._transport.get_extra_info("socket")
            assert socket.fileno() != -1
            await store.close()
            assert socket.fileno() == -1
            assert threading.active_count() == before

    on_a_loop(main)


def test_a_server_that_waits_for_more_than_a_greeting_of_tls_may_speak_none(monkeypatch: pytest.MonkeyPatch):
    """So does a Redis: the greeting is the beginning of a line to it."""
    monkeypatch.setattr(engine, "PATIENCE", 0.1)

    async def main() -> None:
        ended = asyncio.Event()

        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(ConnectionError):
                await reader.read()
            writer.transport.abort()
            ended.set()

        listening = await asyncio.start_server(silent, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        with pytest.raises(Unreachable, match=r"no answer within 0\.1 s: it may speak no TLS"):
            await connect(Access(url=f"rediss://127.0.0.1:{port}"), "shop")
        await ended.wait()
        listening.close()

    on_a_loop(main)


def test_a_connection_that_the_other_side_resets_is_said_to_be_without_a_number():
    async def main() -> None:
        lost = Connection("redis://one")
        lost.connection_lost(ConnectionResetError(errno.ECONNRESET, "[Errno 104] Connection reset"))
        assert str(lost.hints.error) == "redis://one: the connection was closed: Connection reset by peer"

    on_a_loop(main)
