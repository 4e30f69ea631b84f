"""An HTTP/1.1 answer as the engines' own reader takes it: whole, in pieces, in lines. Where it is cut says nothing.

Declared: EngineError (`fleet/engines/http_answer.py`).
"""

from __future__ import annotations

import asyncio

from confcast.fleet.engines.engine import EngineError
from confcast.fleet.engines.http_answer import Body, Incoming, Lines, read_head
from tests.fuzz import engines
from tests.fuzz.bounds import Cut

MOST = 1000
TOKENS = [
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.0 ",
    b"100 Continue\r\n\r\n",
    b"Content-Length: ",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: close\r\n",
    b"Content-Encoding: gzip\r\n",
    b"\r\n\r\n",
    b"0\r\n\r\n",
    b"5\r\nabcde\r\n",
    b";x=y",
    b"\n",
]


def seeds():
    yield b"\x00HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde"
    yield b"\x03HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\na\nb\r\n4;x\r\nc\nde\r\n0\r\nT: x\r\n\r\n"
    yield b"\x00HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 404 No\r\nConnection: close\r\n\r\nnothing here"


def one(data: bytes) -> None:
    cut = Cut(data)
    how = cut.byte()
    piece, stream = how // 2 + 1, cut.rest()
    assert engines.run(_read(stream, piece, lines=how % 2 == 1)) == engines.run(_read(stream, 8192, lines=how % 2 == 1))


async def _read(stream: bytes, piece: int, *, lines: bool) -> object:
    reader = asyncio.StreamReader(limit=64 * 1024)
    for at in range(0, len(stream), piece):
        reader.feed_data(stream[at : at + piece])
    reader.feed_eof()
    incoming = Incoming(reader, "http://host")
    incoming.begin()
    found: list[object] = []
    try:
        head = await read_head(incoming)
        found.append(head)
        body = Body(incoming, head)
        if not lines:
            return [head, await body.whole(MOST)]
        each = Lines(body, MOST, "http://host")
        while True:
            found.append(await each.line())
    except EngineError as error:
        return [found, type(error)]
