"""Frames: a stream that is cut anywhere gives the same bodies, and costs no memory for a length that is claimed.

Declared: ProtocolError (`wire/framing.py`).
"""

from __future__ import annotations

import io

from confcast.errors import ProtocolError
from confcast.wire.framing import Deframer, frame
from tests.fuzz.bounds import Cut

TOKENS = [b"\x00\x00\x00\x05", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x04\x00\x00\x00"]
LIMIT = 1024


def seeds():
    return [b"\x03" + frame(b"abc") + frame(b"") + frame(b"x" * 300), b"\x01" + frame(b"y" * LIMIT)]


def one(data: bytes) -> None:
    cut = Cut(data)
    piece, stream = cut.byte() + 1, cut.rest()
    whole = _bodies(stream, len(stream) or 1)
    assert _bodies(stream, piece) == whole
    assert sum(4 + len(body) for body in whole) <= len(stream)
    assert b"".join(map(frame, whole)) == stream[: sum(4 + len(body) for body in whole)]
    reader, deframer, found = io.BytesIO(stream), Deframer(LIMIT), list[bytes]()
    try:
        while (body := deframer.next_body(reader.read)) is not None:
            found.append(body)
    except ProtocolError:
        pass
    assert found == whole


def _bodies(stream: bytes, piece: int) -> list[bytes]:
    """The bodies of all chunks before the one that is refused; of that one, nobody gets any."""
    deframer, found = Deframer(LIMIT), list[bytes]()
    for at in range(0, len(stream), piece):
        try:
            found += deframer.feed(stream[at : at + piece])
        except ProtocolError:
            return _good(stream)
    assert len(deframer._buffer) <= len(stream)
    return found


def _good(stream: bytes) -> list[bytes]:
    """The bodies before the length that is refused, by another reading: byte by byte."""
    deframer, found = Deframer(LIMIT), list[bytes]()
    for at in range(len(stream)):
        try:
            found += deframer.feed(stream[at : at + 1])
        except ProtocolError:
            break
    return found
