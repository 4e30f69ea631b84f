"""Frames on a pipe have the format of `multiprocessing.connection.Connection`: a length, then that many bytes.

The length is a signed 32-bit integer in network order, so either end may be a Connection. A frame that is longer than
the limit, and Connection's escape for frames over 2 GiB (a length of -1), are a `ProtocolError`: no memory is allocated
for a length that a peer claims. Rejected: Connection itself at both ends (its `recv_bytes` blocks in the middle of a
frame, and one half-sent frame would hold up the owner's loop).
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from confcast.errors import ProtocolError
from confcast.wire.messages import MAX_FRAME

_LENGTH = struct.Struct("!i")


def frame(body: bytes) -> bytes:
    """The frame of this body. Raises ProtocolError if the body is longer than `MAX_FRAME`."""
    if len(body) > MAX_FRAME:
        raise ProtocolError(f"a frame of {len(body)} bytes is over the limit of {MAX_FRAME}")
    return _LENGTH.pack(len(body)) + body


class Deframer:
    """Turns the chunks of a stream, wherever it was cut, back into bodies.

    Args:
        limit: The longest body that this end accepts, in bytes.
    """

    def __init__(self, limit: int = MAX_FRAME) -> None:
        self._limit = limit
        self._buffer = bytearray()

    @property
    def begun(self) -> bool:
        """Whether the beginning of a body has come, but not its end."""
        return bool(self._buffer)

    @property
    def missing(self) -> int:
        """How many bytes may be read without reading beyond the end of the next body."""
        if len(self._buffer) < _LENGTH.size:
            return _LENGTH.size - len(self._buffer)
        (length,) = _LENGTH.unpack_from(self._buffer)
        return _LENGTH.size + int(length) - len(self._buffer)

    def next_body(self, read: Callable[[int], bytes]) -> bytes | None:
        """The next body of a stream that is read up to that body's end and no further; None at the stream's end.

        Args:
            read: Reads at most so many bytes, as `socket.recv` does; what it raises passes through.

        Raises:
            ProtocolError: As `feed` does.
        """
        while data := read(self.missing):
            if bodies := self.feed(data):
                return bodies[0]
        return None

    def feed(self, data: bytes) -> list[bytes]:
        """The bodies that this chunk completes. Raises ProtocolError for a negative length, or one over the limit."""
        buffer = self._buffer
        if not buffer and len(data) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(data)
            if length == len(data) - _LENGTH.size and length <= self._limit:  # exactly one frame: the usual read
                return [data[_LENGTH.size :]]
        buffer += data
        bodies = []
        begin = 0
        while len(buffer) - begin >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(buffer, begin)
            if not 0 <= length <= self._limit:
                raise ProtocolError(f"a frame claims {length} bytes; the limit is {self._limit}")
            end = begin + _LENGTH.size + length
            if len(buffer) < end:
                break
            bodies.append(bytes(memoryview(buffer)[begin + _LENGTH.size : end]))
            begin = end
        del buffer[:begin]
        return bodies
