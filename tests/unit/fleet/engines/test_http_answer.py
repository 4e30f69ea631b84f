"""Answers of HTTP/1.1, whole, in pieces and cut: nothing is lost, nothing is hidden, and each length is bounded."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterable
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from confcast.fleet.engines.engine import EngineError, Fault, Unreachable
from confcast.fleet.engines.http_answer import (
    AnswerHead,
    Body,
    Incoming,
    Lines,
    LineTooLong,
    StreamEnded,
    Unanswered,
    read_head,
)

LIMIT = 64 * 1024
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class Read(NamedTuple):
    head: AnswerHead
    body: bytes


async def _read(pieces: Iterable[bytes], most: int, *, ends: bool) -> Read:
    """The answer that comes in these pieces; each is taken in before the next one comes."""
    reader = asyncio.StreamReader(limit=LIMIT)
    incoming = Incoming(reader, "there")

    async def answer() -> Read:
        head = await read_head(incoming)
        return Read(head, await Body(incoming, head).whole(most))

    task = asyncio.create_task(answer())
    for piece in pieces:
        reader.feed_data(piece)
        await asyncio.sleep(0)
    if ends:
        reader.feed_eof()
    return await task


def read(*pieces: bytes, most: int = 1000, ends: bool = True) -> Read:
    return asyncio.run(_read(pieces, most, ends=ends))


def in_chunks(chunks: list[bytes], extension: bytes = b"", trailers: bytes = b"") -> bytes:
    sent = b"".join(b"%x%s\r\n%s\r\n" % (len(chunk), extension, chunk) for chunk in chunks if chunk)
    return CHUNKED + sent + b"0\r\n" + trailers + b"\r\n"


def split(content: bytes, at: list[int]) -> list[bytes]:
    edges = sorted({0, len(content), *(each % (len(content) + 1) for each in at)})
    return [content[begin:end] for begin, end in itertools.pairwise(edges)]


# ---- heads


def test_a_head_is_status_and_headers_by_name():
    answer = b"HTTP/1.1 404 Not Found\r\nX-One: 1\r\nx-two:\t two words \r\nX-One: 2\r\nContent-Length: 3\r\n\r\nabc"
    found = read(answer, ends=False)
    assert found.head == AnswerHead(404, {"x-one": "1, 2", "x-two": "two words", "content-length": "3"}, stays=True)
    assert found.body == b"abc"


@pytest.mark.parametrize("first", [b"HTTP/1.1 200", b"HTTP/1.1 200 ", b"HTTP/1.1 200 \xff sch\xc3\xb6n"])
def test_a_status_may_have_any_text(first: bytes):
    assert read(first + b"\r\nContent-Length: 0\r\n\r\n").head.status == 200


@pytest.mark.parametrize(
    ("version", "connection", "stays"),
    [
        (b"1.1", b"", True),
        (b"1.1", b"Connection: Keep-Alive\r\n", True),
        (b"1.1", b"Connection: x, Close\r\n", False),
        (b"1.0", b"", False),
    ],
)
def test_an_answer_says_whether_the_connection_stays(version: bytes, connection: bytes, stays: bool):
    assert read(b"HTTP/%s 200 OK\r\n%sContent-Length: 0\r\n\r\n" % (version, connection)).head.stays == stays


def test_answers_that_announce_another_one_are_passed_over():
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    assert read(interim * 3 + b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1").body == b"1"
    with pytest.raises(Fault, match="announce"):
        read(interim * 11)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 0200 OK\r\n\r\n",
        b"HTTP/1.1  200 OK\r\n\r\n",
        b"HTTP/1.1 200 O\x00K\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"-ERR unknown command\r\n",
        b'INFO {"server_id":"X"}\r\n',
        b"\x15\x03\x01\x00\x02\x02\x0a",
        b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n folded\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: \x07\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\rc\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nnothing\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_what_is_not_http_is_a_fault(answer: bytes):
    with pytest.raises(Fault, match=r"there: the answer is not HTTP/1\.1"):
        read(answer)


def test_blanks_in_a_header_take_no_long_time():
    began = time.process_time()
    found = read(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: \t a" + b" " * 30_000 + b"b \r\n\r\n")
    assert time.process_time() - began < 0.5
    assert found.head.headers["x"] == "a" + " " * 30_000 + "b"


@pytest.mark.parametrize(
    "head",
    [
        b"A: %s\r\n" % (b"x" * 40_000),
        b"A: %s\r\n" % (b"x" * 100_000),
        b"A: %s\r\n" % (b"x" * 1000) * 40,
        b"A: 1\r\n" * 101,
    ],
    ids=["long line", "line beyond the buffer", "long head", "many lines"],
)
def test_a_head_is_bounded(head: bytes):
    with pytest.raises(Fault):
        read(b"HTTP/1.1 200 OK\r\n" + head + b"Content-Length: 0\r\n\r\n", ends=False)


# ---- bodies


@pytest.mark.parametrize(
    "headers",
    [
        b"",
        b"Content-Length: 1\r\nContent-Length: 2\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: +1\r\n",
        b"Content-Length: 0x1\r\n",
        b"Content-Length: \xb2\r\n",
        b"Content-Length: 1234567890123456\r\n",
        b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"Transfer-Encoding: identity\r\nContent-Length: 1\r\n",
        b"Content-Encoding: gzip\r\nContent-Length: 1\r\n",
    ],
)
def test_a_body_whose_end_can_not_be_told_is_a_fault(headers: bytes):
    with pytest.raises(Fault):
        read(b"HTTP/1.1 200 OK\r\n" + headers + b"\r\nx")


def test_a_refusal_may_end_with_the_connection():
    assert read(b"HTTP/1.0 400 Bad Request\r\n\r\nexpects ", b"TLS").body == b"expects TLS"
    with pytest.raises(Fault, match="more than 3 bytes"):
        read(b"HTTP/1.0 400 Bad Request\r\n\r\nexpects TLS", most=3)


def test_two_lengths_that_agree_are_one():
    assert read(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nab").body == b"ab"


@pytest.mark.parametrize("status", [204, 304])
def test_some_answers_have_no_body(status: int):
    found = read(b"HTTP/1.1 %d No\r\nContent-Length: 99\r\n\r\n" % status, ends=False)
    assert (found.head.status, found.body) == (status, b"")


@pytest.mark.parametrize(
    "rest",
    [
        b"x\r\n",
        b"\r\n",
        b"-1\r\n",
        b"1234567890123456\r\n",
        b"1\nx\r\n0\r\n\r\n",
        b"1\r\nxy\r\n0\r\n\r\n",
        b"1;%s\r\n" % (b"x" * 2000),
    ],
)
def test_a_chunk_that_is_none_is_a_fault(rest: bytes):
    with pytest.raises(Fault):
        read(CHUNKED + rest, ends=False)


def test_a_body_is_bounded_before_it_is_read():
    with pytest.raises(Fault, match="more than 1000 bytes"):
        read(in_chunks([b"x" * 600] * 2))
    with pytest.raises(Fault, match="more than 1000 bytes"):
        read(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n" + b"x" * 1001, ends=False)
    assert len(read(in_chunks([b"x" * 500] * 2)).body) == 1000


def test_a_closed_connection_is_an_outage_and_before_the_first_byte_said_so():
    with pytest.raises(Unanswered):
        read(b"")
    with pytest.raises(Unreachable) as caught:
        read(b"HTT")
    assert not isinstance(caught.value, Unanswered)


@pytest.mark.parametrize("secure", [False, True])
def test_over_tls_a_connection_that_is_closed_before_its_first_answer_may_have_been_refused(secure: bool):
    async def main() -> list[str]:
        told = []
        for before in (b"", b"HTTP/1.1 204 No Content\r\n\r\n"):
            reader = asyncio.StreamReader(limit=LIMIT)
            incoming = Incoming(reader, "there", secure=secure)
            reader.feed_data(before)
            reader.feed_eof()
            incoming.begin()
            if before:
                await read_head(incoming)
                incoming.begin()
            with pytest.raises(Unanswered) as caught:
                await read_head(incoming)
            told.append(str(caught.value))
        return told

    closed = "there: the connection was closed before an answer"
    hint = "; the server may refuse this side's certificate, or want one" if secure else ""
    assert asyncio.run(main()) == [closed + hint, closed]


@pytest.mark.parametrize(
    "answer",
    [
        in_chunks([b"one", b"two" * 6], b";a=b", b"Trailer: x\r\n"),
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 5\r\n\r\nhello",
    ],
)
def test_an_answer_that_is_cut_at_any_byte_is_an_outage(answer: bytes):
    async def main() -> None:
        for cut in range(len(answer)):
            with pytest.raises(Unreachable):
                await _read([answer[:cut]], 1000, ends=True)
        assert (await _read([answer], 1000, ends=False)).body in (b"hello", b"onetwotwotwotwotwotwo")

    asyncio.run(main())


chunk_lists = st.lists(st.binary(max_size=30), max_size=5)
edges = st.lists(st.integers(0, 10_000), max_size=12)


@settings(max_examples=60)
@given(chunk_lists, edges, st.sampled_from([b"", b";a", b'; a="b"', b"  "]), st.sampled_from([b"", b"T: 1\r\nU:\r\n"]))
def test_where_an_answer_is_split_says_nothing(chunks: list[bytes], at: list[int], extension: bytes, trailers: bytes):
    whole = in_chunks(chunks, extension, trailers)
    assert read(*split(whole, at), ends=False) == read(whole, ends=False)
    assert read(whole).body == b"".join(chunks)
    counted = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(b"".join(chunks)), b"".join(chunks))
    assert read(*split(counted, at), ends=False).body == b"".join(chunks)


@settings(max_examples=100)
@given(st.binary(max_size=120), edges, st.sampled_from([b"", b"HTTP/1.1 200 OK\r\n", CHUNKED, CHUNKED + b"3\r\n"]))
def test_garbage_raises_an_error_in_words_or_is_read(garbage: bytes, at: list[int], first: bytes):
    refused = ""
    try:
        assert len(read(first, *split(garbage, at)).body) <= len(garbage)
    except EngineError as error:
        refused = str(error)
    assert not refused or refused.startswith("there: ")


# ---- lines


class LinesOf:
    """The lines of a stream whose bytes come as the test says."""

    def __init__(self, longest: int = 100) -> None:
        self.reader = asyncio.StreamReader(limit=LIMIT)
        self._longest = longest
        self._task: asyncio.Task[bytes] | None = None
        self.lines: list[bytes] = []
        self.ended: EngineError | None = None

    async def begin(self) -> LinesOf:
        incoming = Incoming(self.reader, "there")
        self.reader.feed_data(CHUNKED)
        self._lines = Lines(Body(incoming, await read_head(incoming)), self._longest, "there")
        return self

    async def feed(self, piece: bytes, *, cancel: bool = False) -> None:
        """Let a piece come, and wait for lines; `cancel`: that wait is cancelled and begun again."""
        if piece:
            self.reader.feed_data(piece)
        else:
            self.reader.feed_eof()
        while self.ended is None:
            if self._task is None:
                self._task = asyncio.create_task(self._lines.line())
            await asyncio.sleep(0)
            if cancel and not self._task.done():
                self._task.cancel()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            if not self._task.done():
                return
            self._take(self._task)
            cancel = cancel and not self._task.cancelled()
            self._task = None

    def _take(self, task: asyncio.Task[bytes]) -> None:
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            self.lines.append(task.result())
        else:
            assert isinstance(error, EngineError)
            self.ended = error


@settings(max_examples=100)
@given(st.lists(st.binary(max_size=20).map(lambda line: line.replace(b"\n", b"")), max_size=6), edges, edges, st.binary(max_size=5), st.booleans())  # fmt: skip # noqa: E501
def test_lines_come_whole_however_they_are_chunked_split_and_cancelled(
    lines: list[bytes], chunked_at: list[int], at: list[int], rest: bytes, cancel: bool
):
    rest = rest.replace(b"\n", b"")
    content = b"".join(line + b"\n" for line in lines) + rest
    sent = in_chunks(split(content, chunked_at)).removeprefix(CHUNKED)

    async def main() -> LinesOf:
        stream = await LinesOf().begin()
        for piece in split(sent, at):
            await stream.feed(piece, cancel=cancel)
        return stream

    stream = asyncio.run(main())
    assert stream.lines == lines
    assert isinstance(stream.ended, StreamEnded)
    assert stream.ended.rest == rest


def test_a_line_that_is_too_long_is_refused_before_it_is_whole():
    async def main() -> None:
        for sent in (b"a" * 100, b"a" * 100 + b"\n", b"ok\n" + b"a" * 200):
            stream = await LinesOf().begin()
            await stream.feed(b"%x\r\n%s\r\n" % (len(sent), sent))
            assert isinstance(stream.ended, LineTooLong)
        stream = await LinesOf().begin()
        await stream.feed(b"65\r\n" + b"a" * 99 + b"\n1\r\n")
        assert stream.lines == [b"a" * 99]
        assert stream.ended is None

    asyncio.run(main())


def test_a_lost_stream_is_no_end():
    async def main() -> None:
        stream = await LinesOf().begin()
        await stream.feed(b"4\r\none\n")
        await stream.feed(b"")
        assert stream.lines == [b"one"]
        assert isinstance(stream.ended, Unreachable)
        assert not isinstance(stream.ended, StreamEnded)

    asyncio.run(main())
