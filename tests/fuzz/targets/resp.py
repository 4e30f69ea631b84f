"""Replies of Redis (RESP3). Declared: BadReply (`fleet/engines/resp.py`). Where a stream is cut says nothing."""

from __future__ import annotations

from typing import Any

from confcast.fleet.engines.resp import BadReply, ErrorReply, Push, Replies
from tests.fuzz.bounds import Cut

MOST = 2048
TOKENS = [
    each.encode()
    for each in (
        "$",
        "*1\r\n",
        "%1\r\n",
        "~2\r\n",
        ">2\r\n",
        "|1\r\n",
        "\r\n",
        "$-1\r\n",
        "_\r\n",
        "#t\r\n",
        ",inf\r\n",
        ",nan\r\n",
        ":1\r\n",
        "(12\r\n",
        "-ERR x\r\n",
        "+OK\r\n",
        "=7\r\ntxt:abc\r\n",
        "*-1\r\n",
        "99999",
    )
]


def seeds():
    yield b"\x00$3\r\nabc\r\n*2\r\n:1\r\n_\r\n%1\r\n+k\r\n,1.5\r\n"
    yield b"\x05>2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n-ERR no\r\n#f\r\n(123456789012345678901\r\n"
    yield b"\x01|1\r\n+a\r\n+b\r\n~1\r\n=7\r\ntxt:abc\r\n"


def one(data: bytes) -> None:
    cut = Cut(data)
    piece, stream = cut.byte() + 1, cut.rest()
    whole, ended = _read(stream, len(stream) or 1)
    pieces, broke = _read(stream, piece)
    assert repr(pieces) == repr(whole)
    assert broke == ended
    for found in whole:
        _check(found, 0)


def _read(stream: bytes, piece: int) -> tuple[list[Any], bool]:
    replies, found = Replies(MOST), list[Any]()
    for at in range(0, len(stream), piece):
        try:
            for each in replies.feed(stream[at : at + piece]):
                found.append(each)
        except BadReply:
            return found, True
    assert len(replies._buffer) <= MOST + 4096 + piece + 2
    return found, False


def _check(found: Any, depth: int) -> None:
    assert depth < 20
    assert found is None or isinstance(found, bytes | int | float | bool | list | dict | ErrorReply | Push)
    for each in found if isinstance(found, list) else found.values() if isinstance(found, dict) else ():
        _check(each, depth + 1)
