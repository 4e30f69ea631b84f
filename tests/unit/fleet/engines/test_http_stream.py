"""Requests and streams over real connections, against a server whose every byte is the test's."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from confcast.fleet.engines.access import Access
from confcast.fleet.engines.engine import Fault, Unreachable
from confcast.fleet.engines.http_answer import StreamEnded, Unanswered
from confcast.fleet.engines.http_stream import Answer, HttpClient, Stream
from tests.support.certificates import Authority, context_of
from tests.support.http_peer import Connection, Handler, Peer
from tests.support.leaks import descriptors
from tests.support.waiting import DEADLINE


def on_a_loop(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run it, in bounded time; it leaves no descriptor open."""

    async def bounded() -> None:
        async with asyncio.timeout(DEADLINE):
            await main()

    before = descriptors()
    asyncio.run(bounded())
    assert descriptors() == before


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Of a server on 127.0.0.1."""
    found = Authority(tmp_path)
    certificate, key = found.pair("here", address="127.0.0.1")
    found.put(found.certfile, certificate)
    found.put(found.keyfile, key)
    return found


@contextlib.asynccontextmanager
async def client_of(peer: Peer, **more: Any) -> AsyncIterator[HttpClient]:
    client = HttpClient("127.0.0.1", peer.port, shown="there", **more)
    try:
        yield client
    finally:
        await client.close()
    await peer.all_closed()


def echo(seen: list[bytes]) -> Handler:
    """Answers each request with its number, and keeps the connection."""

    async def handler(connection: Connection) -> None:
        while request := await connection.request():
            seen.append(request)
            connection.answer(b"%d" % len(seen))

    return handler


# ---- requests


def test_a_request_is_what_it_says_and_the_connection_is_kept():
    seen: list[bytes] = []

    async def main() -> None:
        async with Peer(echo(seen)) as peer, client_of(peer, headers={"X-All": "1"}) as client:
            first = await client.request("POST", "/v3/a?b=c", headers={"X-One": "2"}, body=b"body")
            second = await client.request("GET", "/")
            assert (first.status, first.body, second.body) == (200, b"1", b"2")
            assert first.headers["content-length"] == "1"
            assert peer.connections == 1
            host = b"127.0.0.1:%d" % peer.port
        assert seen == [
            b"POST /v3/a?b=c HTTP/1.1\r\nHost: " + host + b"\r\nAccept-Encoding: identity\r\nX-All: 1\r\nX-One: 2\r\n"
            b"Content-Length: 4\r\n\r\nbody",
            b"GET / HTTP/1.1\r\nHost: " + host + b"\r\nAccept-Encoding: identity\r\nX-All: 1\r\n\r\n",
        ]

    on_a_loop(main)


def test_a_refusal_is_an_answer():
    async def refuse(connection: Connection) -> None:
        await connection.request()
        connection.answer(b"no", 403)
        await connection.until_closed()

    async def main() -> None:
        async with Peer(refuse) as peer, client_of(peer) as client:
            answer = await client.request("GET", "/")
            assert (answer.status, answer.body) == (403, b"no")

    on_a_loop(main)


def test_a_redirect_is_not_followed():
    async def redirect(connection: Connection) -> None:
        await connection.request()
        connection.answer(b"", 302, b"Location: http://127.0.0.1:1/")
        await connection.until_closed()

    async def main() -> None:
        async with Peer(redirect) as peer, client_of(peer) as client:
            assert (await client.request("GET", "/")).status == 302

    on_a_loop(main)


def test_a_connection_that_the_server_wants_closed_is_not_kept():
    async def handler(connection: Connection) -> None:
        await connection.request()
        connection.answer(b"x", 200, b"Connection: close")
        await connection.until_closed()

    async def main() -> None:
        async with Peer(handler) as peer, client_of(peer) as client:
            for _ in range(2):
                assert (await client.request("GET", "/")).body == b"x"
            assert peer.connections == 2

    on_a_loop(main)


def closing_after(answers: int, received: list[int]) -> Handler:
    """Answers so many requests of each connection, reads one more, and closes without an answer to that."""

    async def handler(connection: Connection) -> None:
        for _ in range(answers):
            if await connection.request():
                received.append(1)
                connection.answer(b"x")
        if await connection.request():
            received.append(1)

    return handler


def test_a_request_that_a_kept_connection_does_not_answer_is_sent_once_more_on_another():
    received: list[int] = []

    async def main() -> None:
        async with Peer(closing_after(1, received)) as peer, client_of(peer) as client:
            for _ in range(3):
                assert (await client.request("GET", "/")).body == b"x"
            assert (len(received), peer.connections) == (5, 3)

    on_a_loop(main)


def test_a_request_that_a_fresh_connection_does_not_answer_is_not_sent_again():
    received: list[int] = []

    async def main() -> None:
        async with Peer(closing_after(0, received)) as peer, client_of(peer) as client:
            with pytest.raises(Unanswered):
                await client.request("GET", "/")
            assert (len(received), peer.connections) == (1, 1)

    on_a_loop(main)


def test_a_request_that_must_not_be_sent_twice_gets_a_connection_of_its_own():
    received: list[int] = []

    async def main() -> None:
        async with Peer(closing_after(1, received)) as peer, client_of(peer) as client:
            for _ in range(3):
                assert (await client.request("GET", "/", twice=False)).body == b"x"
            assert (len(received), peer.connections) == (3, 3)

    on_a_loop(main)


def test_a_kept_connection_that_the_server_has_closed_is_not_used():
    async def handler(connection: Connection) -> None:
        await connection.request()
        connection.answer(b"x")

    async def main() -> None:
        async with Peer(handler) as peer, client_of(peer) as client:
            await client.request("GET", "/")
            await peer.all_closed()
            await client.request("GET", "/")
            assert peer.connections == 2

    on_a_loop(main)


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"])
def test_an_answer_that_does_not_come_is_an_outage_in_time(sent: bytes):
    async def handler(connection: Connection) -> None:
        await connection.request()
        connection.send(sent)
        await connection.until_closed()

    async def main() -> None:
        async with Peer(handler) as peer, client_of(peer) as client:
            with pytest.raises(Unreachable, match=r"there: no answer within 0\.05 s"):
                await client.request("GET", "/", patience=0.05)
            await peer.all_closed()

    on_a_loop(main)


def test_a_cancelled_request_takes_its_connection_along():
    """Else its answer would be taken for that of the next one."""
    arrived = asyncio.Event()

    async def handler(connection: Connection) -> None:
        while request := await connection.request():
            if request.startswith(b"GET /slow"):
                arrived.set()
            else:
                connection.answer(b"fast")

    async def main() -> None:
        async with Peer(handler) as peer, client_of(peer) as client:
            await client.request("GET", "/")
            slow = asyncio.create_task(client.request("GET", "/slow"))
            await arrived.wait()
            slow.cancel()
            with pytest.raises(asyncio.CancelledError):
                await slow
            assert (await client.request("GET", "/")).body == b"fast"
            assert peer.connections == 2

    on_a_loop(main)


def test_a_timeout_of_the_callers_is_the_callers():
    async def handler(connection: Connection) -> None:
        await connection.until_closed()

    async def main() -> None:
        async with Peer(handler) as peer, client_of(peer) as client:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await client.request("GET", "/")

    on_a_loop(main)


def test_two_requests_at_once_have_two_connections():
    both = asyncio.Barrier(2)

    async def handler(connection: Connection) -> None:
        while request := await connection.request():
            async with asyncio.timeout(DEADLINE):
                await both.wait()
            connection.answer(request[4:6])

    async def main() -> None:
        async with Peer(handler) as peer, client_of(peer) as client:
            found = await asyncio.gather(client.request("GET", "/1"), client.request("GET", "/2"))
            assert [answer.body for answer in found] == [b"/1", b"/2"]
            assert peer.connections == 2

    on_a_loop(main)


def test_what_is_not_http_is_a_fault_and_the_connection_is_closed():
    async def handler(connection: Connection) -> None:
        connection.send(b'INFO {"max_payload":1048576}\r\n')
        await connection.until_closed()

    async def main() -> None:
        async with Peer(handler) as peer, client_of(peer) as client:
            with pytest.raises(Fault, match="there: the answer is not HTTP"):
                await client.request("GET", "/")
            await peer.all_closed()

    on_a_loop(main)


def test_a_large_body_is_sent_while_the_server_reads():
    seen: list[bytes] = []

    async def main() -> None:
        async with Peer(echo(seen)) as peer, client_of(peer) as client:
            await client.request("POST", "/", body=b"x" * 3_000_000)
        assert seen[0].endswith(b"\r\n\r\n" + b"x" * 3_000_000)

    on_a_loop(main)


@pytest.mark.parametrize(
    ("method", "target", "headers"),
    [
        ("GET", "/a b", {}),
        ("GET", "/\r\nX: y", {}),
        ("GET", "/ü", {}),
        ("", "/", {}),
        ("GET", "/", {"Authorization": "sesame\r\nX: y"}),
        ("GET", "/", {"Authorization": "sesam\u00e9"}),
        ("GET", "/", {"A\n": "sesame"}),
    ],
)
def test_nothing_slips_into_the_head_of_a_request(method: str, target: str, headers: dict[str, str]):
    async def main() -> None:
        client = HttpClient("127.0.0.1", 1, shown="there")
        with pytest.raises(Fault) as caught:
            await client.request(method, target, headers=headers)
        assert "sesam" not in str(caught.value)

    on_a_loop(main)


def test_a_dead_port_and_an_unknown_name_are_outages_in_words(monkeypatch: pytest.MonkeyPatch):
    async def main() -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            client = HttpClient("127.0.0.1", taken.getsockname()[1], shown="there")
            with pytest.raises(Unreachable, match=r"^there: no connection: Connection refused$"):
                await client.request("GET", "/")
        with pytest.raises(Unreachable, match=r"^there: no connection: .*too long"):
            await HttpClient("a" * 70 + ".invalid", 1, shown="there").request("GET", "/")
        monkeypatch.setattr(socket, "getaddrinfo", unknown)
        with pytest.raises(Unreachable, match=r"^there: no connection: Name or service not known$"):
            await HttpClient("nowhere.invalid", 1, shown="there").request("GET", "/")

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    on_a_loop(main)


def test_each_address_of_a_name_is_tried_and_all_connections_have_the_same(monkeypatch: pytest.MonkeyPatch):
    asked: list[str] = []

    def two(host: str, port: int, *_: object, **__: object) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in ("127.0.0.1", "127.0.0.2")]

    async def close(connection: Connection) -> None:
        await connection.request()
        connection.answer(b"x", 200, b"Connection: close")

    async def main() -> None:
        async with Peer(close) as peer:  # on 127.0.0.1 alone
            monkeypatch.setattr(socket, "getaddrinfo", two)
            for _ in range(5):
                client = HttpClient("both.example", peer.port, shown="there")
                for _ in range(2):
                    assert (await client.request("GET", "/")).body == b"x"
        assert asked == ["both.example"] * 5
        with pytest.raises(Unreachable, match="Connection refused"):
            await HttpClient("both.example", peer.port, shown="there").request("GET", "/")

    on_a_loop(main)


def test_an_address_that_is_silent_takes_its_share_of_the_time_and_no_more(
    monkeypatch: pytest.MonkeyPatch, authority: Authority
):
    certificates = context_of(authority)

    async def main() -> None:
        async with Peer(echo([]), certificates) as peer:
            with socket.socket() as silent:
                silent.bind(("127.0.0.2", peer.port))
                silent.listen()
                addresses = [(2, 1, 6, "", (address, peer.port)) for address in ("127.0.0.2", "127.0.0.1")]
                monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: addresses)
                tls = Access(url="etcds://x", ca_file=str(authority.certfile)).tls()
                tls.check_hostname = False
                client = HttpClient("both.example", peer.port, tls, shown="there")
                assert (await client.request("GET", "/", patience=4.0)).status == 200
                await client.close()

    monkeypatch.setattr("random.shuffle", lambda addresses: addresses.sort(reverse=True))
    on_a_loop(main)


def test_the_kernel_looks_after_a_connection_that_is_quiet(monkeypatch: pytest.MonkeyPatch):
    set_to: dict[int, int] = {}

    async def handler(connection: Connection) -> None:
        await connection.request()
        connection.begin_stream()
        await connection.until_closed()

    async def main() -> None:
        async with Peer(handler) as peer, client_of(peer) as client:
            stream = await client.stream("GET", "/")
            assert isinstance(stream, Stream)
            end = stream._connection._writer.get_extra_info("socket")
            set_to[socket.SO_KEEPALIVE] = end.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            set_to[socket.TCP_KEEPIDLE] = end.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
            await stream.close()

    on_a_loop(main)
    assert set_to[socket.SO_KEEPALIVE] == 1
    assert set_to[socket.TCP_KEEPIDLE] <= 30


# ---- streams


def test_a_stream_gives_lines_until_it_ends():
    async def handler(connection: Connection) -> None:
        await connection.request()
        connection.begin_stream()
        for piece in (b"one\ntw", b"o\n", b"rest", b""):
            connection.chunk(piece)
        await connection.until_closed()

    async def main() -> None:
        async with Peer(handler) as peer, client_of(peer) as client:
            stream = await client.stream("POST", "/", body=b"x")
            assert isinstance(stream, Stream)
            assert [await stream.line(), await stream.line()] == [b"one", b"two"]
            for _ in range(2):
                with pytest.raises(StreamEnded) as caught:
                    await stream.line()
                assert caught.value.rest == b"rest"
            await stream.close()
            await stream.close()

    on_a_loop(main)


def test_a_stream_outlives_the_deadline_of_its_head_and_requests_beside_it():
    lines: asyncio.Queue[bytes] = asyncio.Queue()

    async def handler(connection: Connection) -> None:
        while request := await connection.request():
            if request.startswith(b"POST /"):
                connection.begin_stream()
                while line := await lines.get():
                    connection.chunk(line)
            else:
                connection.answer(b"beside")

    async def main() -> None:
        async with Peer(handler) as peer, client_of(peer) as client:
            stream = await client.stream("POST", "/", patience=2.0)
            assert isinstance(stream, Stream)
            waiting = asyncio.create_task(stream.line())
            assert (await client.request("GET", "/")).body == b"beside"
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(2.1):
                    await asyncio.shield(waiting)
            lines.put_nowait(b"late\n")
            assert await waiting == b"late"
            await stream.close()
            lines.put_nowait(b"")

    on_a_loop(main)


def test_a_stream_that_is_refused_is_an_answer():
    async def handler(connection: Connection) -> None:
        await connection.request()
        connection.answer(b'{"error":"no"}', 401)
        await connection.until_closed()

    async def main() -> None:
        async with Peer(handler) as peer, client_of(peer) as client:
            answer = await client.stream("POST", "/")
            assert isinstance(answer, Answer)
            assert (answer.status, answer.body) == (401, b'{"error":"no"}')
            await peer.all_closed()

    on_a_loop(main)


def test_a_stream_without_a_head_is_an_outage_in_time_and_leaves_nothing():
    async def main() -> None:
        async with Peer(Connection.until_closed) as peer, client_of(peer) as client:
            with pytest.raises(Unreachable, match="no answer within"):
                await client.stream("POST", "/", patience=0.05)
            await peer.all_closed()

    on_a_loop(main)


def test_a_reader_that_waits_is_told_that_its_stream_was_closed():
    async def handler(connection: Connection) -> None:
        await connection.request()
        connection.begin_stream()
        await connection.until_closed()

    async def main() -> None:
        async with Peer(handler) as peer, client_of(peer) as client:
            stream = await client.stream("POST", "/")
            assert isinstance(stream, Stream)
            waiting = asyncio.create_task(stream.line())
            await asyncio.sleep(0)
            await stream.close()
            with pytest.raises(Unreachable):
                await waiting

    on_a_loop(main)


def test_a_closed_client_keeps_no_connection():
    arrived, going_on = asyncio.Event(), asyncio.Event()

    async def handler(connection: Connection) -> None:
        await connection.request()
        arrived.set()
        await going_on.wait()
        connection.answer(b"x")
        await connection.until_closed()

    async def main() -> None:
        async with Peer(handler) as peer, client_of(peer) as client:
            late = asyncio.create_task(client.request("GET", "/"))
            await arrived.wait()
            await client.close()
            going_on.set()
            assert (await late).body == b"x"
            await peer.all_closed()
            with pytest.raises(Unreachable, match="is closed"):
                await client.request("GET", "/")

    on_a_loop(main)


# ---- TLS


async def _asked(peer: Peer, ca_file: Path, host: str = "127.0.0.1") -> Answer:
    tls = Access(url="etcds://x", ca_file=str(ca_file)).tls()
    client = HttpClient(host, peer.port, tls, shown="there")
    try:
        for _ in range(2):
            answer = await client.request("GET", "/")
        return answer
    finally:
        await client.close()


def test_tls_is_verified(authority: Authority, tmp_path: Path):
    seen: list[bytes] = []
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other")

    async def main() -> None:
        async with Peer(echo(seen), context_of(authority)) as peer:
            assert (await _asked(peer, authority.certfile)).body == b"2"
            with pytest.raises(Fault, match="the certificate is not the server's"):
                await _asked(peer, other.certfile)
            with pytest.raises(Fault, match="the certificate is not the server's"):
                await _asked(peer, authority.certfile, "localhost")
            await peer.all_closed()

    on_a_loop(main)
    assert len(seen) == 2, "nothing was sent to a server that is not the right one"


def test_a_server_without_tls_is_a_fault_and_one_that_closes_an_outage(authority: Authority):
    async def close(connection: Connection) -> None:
        await connection.reader.read(1)

    async def answer(connection: Connection) -> None:
        await connection.reader.read(1)
        connection.answer(b"x", 400)
        await connection.until_closed()

    async def main() -> None:
        for handler, error in ((answer, Fault), (close, Unreachable)):
            async with Peer(handler) as peer:
                with pytest.raises(error, match=r"^there: "):
                    await _asked(peer, authority.certfile)

    on_a_loop(main)


def test_a_handshake_that_hangs_is_an_outage_in_time(authority: Authority, monkeypatch: pytest.MonkeyPatch):
    from confcast.fleet.engines import engine

    monkeypatch.setattr(engine, "PATIENCE", 0.05)

    async def main() -> None:
        async with Peer(Connection.until_closed) as peer:
            with pytest.raises(Unreachable, match="no answer within"):
                await _asked(peer, authority.certfile)
            await peer.all_closed()

    on_a_loop(main)
