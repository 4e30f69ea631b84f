"""RESP3: replies come out as they went in, in whatever pieces; and what is none is refused, at once and cheaply."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from confcast.fleet.engines.resp import BadReply, ErrorReply, Push, Replies, command

MOST = 1 << 20


def encoded(reply: Any) -> bytes:
    """As a server sends it."""
    if reply is None:
        return b"_\r\n"
    if isinstance(reply, bool):
        return b"#t\r\n" if reply else b"#f\r\n"
    if isinstance(reply, int):
        return b":%d\r\n" % reply
    if isinstance(reply, float):
        return f",{reply!r}\r\n".encode()
    if isinstance(reply, ErrorReply):
        return f"-{reply.text}\r\n".encode()
    if isinstance(reply, Push):
        return b">%d\r\n" % (len(reply.data) + 1) + b"".join(map(encoded, [reply.kind, *reply.data]))
    if isinstance(reply, dict):
        parts = [part for pair in reply.items() for part in pair]
        return b"%%%d\r\n" % len(reply) + b"".join(map(encoded, parts))
    if isinstance(reply, list):
        return b"*%d\r\n" % len(reply) + b"".join(map(encoded, reply))
    return b"$%d\r\n%b\r\n" % (len(reply), reply)


scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**63), st.floats(allow_nan=False), st.binary(max_size=40)
)
errors = st.text("ABC xyz'", min_size=1, max_size=20).map(lambda text: ErrorReply(text.partition(" ")[0], text))
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.binary(max_size=5), inner, max_size=4),
    max_leaves=12,
).filter(lambda value: depth(value) <= 7)
pushes = st.builds(Push, st.binary(max_size=10), st.lists(values, max_size=3).filter(lambda data: depth(data) <= 7))
replies = st.lists(values | errors | pushes, max_size=5)


def depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(depth, inner)) if inner else 0


@given(replies, st.data())
def test_replies_come_out_as_they_went_in_whatever_the_pieces(sent: list[Any], data: Any):
    stream = b"".join(map(encoded, sent))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    parser = Replies(MOST)
    pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert [found for piece in pieces for found in parser.feed(piece)] == sent


@given(values | errors | pushes)
def test_a_reply_is_handed_out_with_its_last_byte_and_not_before(sent: Any):
    stream = encoded(sent)
    parser = Replies(MOST)
    for index in range(len(stream) - 1):
        assert list(parser.feed(stream[index : index + 1])) == []
    assert list(parser.feed(stream[-1:])) == [sent]


@given(st.binary(max_size=200), st.integers(1, 64))
def test_garbage_is_refused_or_waits_and_raises_nothing_else(garbage: bytes, size: int):
    parser = Replies(1000)
    with contextlib.suppress(BadReply):
        for start in range(0, len(garbage), size):
            list(parser.feed(garbage[start : start + size]))


@given(values, st.integers(0, 10_000), st.integers(0, 255))
def test_a_reply_with_a_byte_changed_is_a_reply_or_refused(sent: Any, at: int, byte: int):
    stream = bytearray(encoded(sent))
    stream[at % len(stream)] = byte
    with contextlib.suppress(BadReply):
        list(Replies(MOST).feed(bytes(stream)))


@given(st.lists(st.binary(max_size=30), min_size=1, max_size=6))
def test_a_command_is_an_array_of_strings(parts: list[bytes]):
    assert list(Replies(MOST).feed(command(*parts))) == [parts]


def test_a_commands_texts_and_numbers_are_strings():
    assert command("SET", "ü", 17, b"\r\n") == b"*4\r\n$3\r\nSET\r\n$2\r\n\xc3\xbc\r\n$2\r\n17\r\n$2\r\n\r\n\r\n"


@pytest.mark.parametrize(
    ("stream", "reply"),
    [
        (b"+OK\r\n", b"OK"),
        (b"$-1\r\n", None),
        (b"*-1\r\n", None),
        (b":+5\r\n", 5),
        (b"(12345678901234567890123\r\n", 12345678901234567890123),
        (b",inf\r\n", math.inf),
        (b",-inf\r\n", -math.inf),
        (b",10\r\n", 10.0),
        (b"~2\r\n+a\r\n+b\r\n", [b"a", b"b"]),
        (b"=7\r\ntxt:abc\r\n", b"abc"),
        (b"!9\r\nERR words\r\n", ErrorReply("ERR", "ERR words")),
        (b"-NOAUTH\r\n", ErrorReply("NOAUTH", "NOAUTH")),
        (b"|1\r\n+ttl\r\n:5\r\n+OK\r\n", b"OK"),
        (b"*1\r\n|1\r\n+ttl\r\n:5\r\n+OK\r\n", [b"OK"]),
        (b">1\r\n+pong\r\n", Push(b"pong", [])),
    ],
)
def test_each_kind_that_a_server_sends(stream: bytes, reply: Any):
    assert list(Replies(MOST).feed(stream)) == [reply]


def test_what_is_no_number_stays_none():
    (found,) = Replies(MOST).feed(b",nan\r\n")
    assert math.isnan(found)


@pytest.mark.parametrize(
    "stream",
    [
        b"H",
        b"HTTP/1.1 400 Bad Request\r\n",
        b"\r\n",
        b"\x15\x03\x01",
        b"$?\r\n",
        b"$1_0\r\n",
        b"$ 1\r\n",
        b"$-2\r\n",
        b"$\r\n",
        b"*-2\r\n",
        b":\r\n",
        b":1_0\r\n",
        b": 1\r\n",
        b":--1\r\n",
        b",1_0\r\n",
        b", 1\r\n",
        b",x\r\n",
        b",infinity_\r\n",
        b"#x\r\n",
        b"_x\r\n",
        b"+a\nb\r\n",
        b"+a\rb\r\n",
        b"$3\r\nabcd\r\n",
        b"=3\r\nabc\r\n",
        b"%1\r\n*0\r\n:1\r\n",
        b">0\r\n",
        b">1\r\n:1\r\n",
        b"*1\r\n>1\r\n+a\r\n",
        b"*1\r\n" * 9 + b":1\r\n",
        b"|0\r\n" * 9 + b":1\r\n",
    ],
)
def test_what_is_no_reply_is_refused(stream: bytes):
    with pytest.raises(BadReply):
        list(Replies(1000).feed(stream))


@pytest.mark.parametrize(
    "stream",
    [
        b"$1001\r\n",
        b"$99999999999999\r\n",
        b"$" + b"9" * 100 + b"\r\n",
        b"*334\r\n",
        b"*4294967296\r\n",
        b"%9223372036854775807\r\n",
        b"~99999999\r\n",
        b"!99999999\r\n",
        b"+" + b"x" * 5000,
        b"-" + b"x" * 5000 + b"\r\n",
    ],
)
def test_a_length_over_the_bound_is_refused_when_it_is_announced(stream: bytes):
    with pytest.raises(BadReply, match=r"\d|length"):
        list(Replies(1000).feed(stream))


def test_a_reply_of_many_small_parts_is_bounded_by_all_of_them():
    stream = encoded([b"x" * 900] * 300)
    with pytest.raises(BadReply, match="1000"):
        list(Replies(1000).feed(stream[:-1]))


def test_a_reply_as_large_as_the_bound_is_taken():
    parser = Replies(5000)
    stream = encoded(b"x" * 5000)
    found = [each for start in range(0, len(stream), 7) for each in parser.feed(stream[start : start + 7])]
    assert found == [b"x" * 5000]


def test_a_reply_in_many_pieces_costs_as_much_as_one_in_one_piece():
    """It is not parsed from its beginning for each: 100,000 pieces would take minutes."""
    parser = Replies(MOST)
    stream = encoded([b"x"] * 20_000)
    assert [len(found) for byte in range(len(stream)) for found in parser.feed(stream[byte : byte + 1])] == [20_000]
