"""The proxy in one process: what passes, what is refused, and what becomes of an upstream's failures."""

from __future__ import annotations

import asyncio
import logging

import pytest

from confcast.examples.tenant_proxy.forwarding import BrokenOff
from tests.support.tenant_proxy_asked import KEY, Asked, ask, proxy_to, upstream
from tests.support.waiting import on_a_loop

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-type: text/plain\r\nset-cookie: a=1\r\n\r\nok"


def test_a_request_goes_on_as_it_came_but_for_its_key() -> None:
    async def main() -> None:
        async with upstream(OK) as text, proxy_to(f"{text.url}/v1", token="upstream-token"):
            answer = await ask("/text/a%2Fb%7E//c?x=%20+&y=%41", headers={"accept-encoding": "br", "te": "trailers"})
            assert (answer.status, answer.body) == (200, b"ok")
            assert answer.headers[b"content-type"] == b"text/plain"
            (head,) = text.heads
            first, *rest = head.lower().split("\r\n")
            assert first == "get /v1/a%2fb%7e//c?x=%20+&y=%41 http/1.1"
            assert "accept-encoding: br" in rest
            assert "authorization: bearer upstream-token" in rest
            assert not [line for line in rest if KEY in line or line.startswith(("te:", "user-agent:", "accept:"))]

    on_a_loop(main)


def test_no_cookie_of_one_request_is_in_the_next() -> None:
    async def main() -> None:
        # A name: of an address, a client that keeps cookies keeps none.
        async with upstream(OK) as text, proxy_to(text.url.replace("127.0.0.1", "localhost")):
            assert [(await ask("/text/")).headers[b"set-cookie"] for _ in range(2)] == [b"a=1"] * 2
            assert not any("cookie" in head.lower() for head in text.heads)
            assert text.open == 1

    on_a_loop(main)


def test_a_redirect_is_the_client_s_to_follow_and_a_compressed_body_stays_so() -> None:
    moved = b"HTTP/1.1 302 Found\r\nlocation: http://10.1.1.1/\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\n"
    moved += b"\x1f\x8b!"

    async def main() -> None:
        async with upstream(moved) as text, proxy_to(text.url):
            answer = await ask("/text/")
            assert (answer.status, answer.headers[b"location"]) == (302, b"http://10.1.1.1/")
            assert (answer.body, answer.headers[b"content-encoding"]) == (b"\x1f\x8b!", b"gzip")

    on_a_loop(main)


@pytest.mark.parametrize(
    ("path", "method", "headers", "status"),
    [
        ("/text/", "GET", {"authorization": ""}, 401),
        ("/text/", "GET", {"authorization": f"Bearer {KEY}x"}, 401),
        ("/other/", "GET", {}, 404),
        ("/private/", "GET", {}, 404),
        ("/", "GET", {}, 404),
        ("/text/../other", "GET", {}, 400),
        ("/text/a/%2E%2e", "GET", {}, 400),
        ("/text/a%2f..%5Cb", "GET", {}, 400),
        ("/text/./a", "GET", {}, 400),
        ("/text/\xff", "GET", {}, 400),
        ("/text/", "TRACE", {}, 405),
    ],
)
def test_what_is_refused_reaches_no_upstream(path: str, method: str, headers: dict[str, str], status: int) -> None:
    async def main() -> None:
        async with upstream(OK) as text, proxy_to(text.url):
            answer = await ask(path, method, headers)
            assert answer.status == status
            assert answer.error
            assert KEY not in answer.error
            assert text.heads == []

    on_a_loop(main)


def test_names_with_dots_in_them_lead_nowhere_else() -> None:
    async def main() -> None:
        async with upstream(OK) as text, proxy_to(text.url):
            for path in ("/text/..a", "/text/a..", "/text/...", "/text/.well-known/x", "/text/a/.b"):
                assert (await ask(path)).status == 200, path

    on_a_loop(main)


def test_limits_are_told_with_the_time_to_wait() -> None:
    async def main() -> None:
        async with upstream(OK) as text, proxy_to(text.url, limits={"per_second": 0.1, "burst": 1}):
            from confcast.examples.tenant_proxy.app import counters

            vars(counters)["_used"].clear()
            assert (await ask("/text/")).status == 200
            answer = await ask("/text/")
            assert (answer.status, answer.headers[b"retry-after"]) == (429, b"10")
            vars(counters)["_used"].clear()

    on_a_loop(main)


def test_bodies_pass_in_pieces_both_ways() -> None:
    async def echoing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        while size := int(await reader.readline(), 16):
            piece = await reader.readexactly(size + 2)
            writer.write(b"%x\r\n%s" % (size, piece))
        await reader.readline()
        writer.write(b"0\r\n\r\n")

    async def main() -> None:
        async with upstream(echoing) as text, proxy_to(text.url):
            asked = Asked("/text/", "POST", {"transfer-encoding": "chunked"}).begin()
            for number in range(3):
                asked.sends(b"piece %d," % number, more=True)
                await asked.until(lambda seen=number: asked.messages and asked.body.count(b",") == seen + 1)
            asked.sends(b"")
            await asked.task
            assert asked.body == b"piece 0,piece 1,piece 2,"

    on_a_loop(main)


def test_a_body_of_known_length_keeps_it() -> None:
    async def counting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = await reader.readexactly(5)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n" + body)

    async def main() -> None:
        async with upstream(counting) as text, proxy_to(text.url):
            assert (await ask("/text/", "PUT", {"content-length": "5"}, b"hello")).body == b"hello"
            assert "transfer-encoding" not in text.heads[0].lower()

    on_a_loop(main)


def test_nobody_there_is_a_502_and_silence_a_504(caplog: pytest.LogCaptureFixture) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async def main() -> None:
        async with upstream(OK) as gone:
            pass
        async with proxy_to(gone.url):
            answer = await ask("/text/")
            assert (answer.status, answer.error) == (502, "the upstream text could not be reached")
        async with upstream(silent) as text, proxy_to(text.url, read_timeout=0.05):
            answer = await ask("/text/")
            assert (answer.status, answer.error) == (504, "the upstream text did not answer in time")
        async with upstream(b"what?\r\n\r\n") as text, proxy_to(text.url):
            assert (await ask("/text/")).status == 502

    with caplog.at_level(logging.WARNING, "tenant_proxy"):
        on_a_loop(main)
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "the upstream text has not answered"
    ] * 3


@pytest.mark.parametrize("rest", [b"", b"5\r\nhel"])
def test_an_answer_that_breaks_off_is_no_whole_one(rest: bytes) -> None:
    async def breaking(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n" + rest)
        writer.close()

    async def main() -> None:
        async with upstream(breaking) as text, proxy_to(text.url):
            asked = Asked("/text/").begin()
            asked.sends(b"")
            with pytest.raises(BrokenOff, match="the upstream text broke off its answer: ClientPayloadError"):
                await asked.task
            assert asked.status == 200
            assert all(each.get("more_body") for each in asked.messages[1:])

    on_a_loop(main)


def test_a_client_that_goes_ends_the_request_to_the_upstream() -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n")
        await reader.readexactly(1)

    async def main() -> None:
        async with upstream(endless) as text, proxy_to(text.url):
            asked = Asked("/text/").begin()
            asked.sends(b"")
            await asked.until(lambda: len(asked.messages) == 2)
            asked.leaves()
            await asked.task
            await text.ended.wait()
            assert len(asked.messages) == 2

    on_a_loop(main)


def test_a_client_that_goes_while_it_sends_is_answered_nothing() -> None:
    async def reading(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(1000)

    async def main() -> None:
        async with upstream(reading) as text, proxy_to(text.url):
            asked = Asked("/text/", "POST", {"content-length": "1000"}).begin()
            asked.sends(b"a", more=True)
            asked.leaves()
            await asked.task
            assert asked.messages == []

    on_a_loop(main)


def test_other_protocols_are_refused() -> None:
    async def main() -> None:
        from confcast.examples.tenant_proxy.app import app

        sent = []

        async def send(message: object) -> None:
            sent.append(message)

        await app({"type": "websocket"}, None, send)
        assert sent == [{"type": "websocket.close"}]

    on_a_loop(main)
