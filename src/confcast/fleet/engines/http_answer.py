"""Reads an HTTP/1.1 answer from a stream: its head, and its body as it comes, in pieces or in lines.

Guarantees. Each length is bounded: a line of the head, the head, a chunk's size, a line of a body, a whole body. An
answer whose end can't be told from a lost connection is refused: a body without a length, or one whose two lengths
differ; that of a refusal, of status 400 or more, may have none. The end of a body and the loss of the connection are
told apart, and a last line without a newline is handed out with the end (etcd says in one why it ends a watch). Each
method may be cancelled and called again; no byte is lost.

Whatever is not HTTP/1.1 raises Fault, whatever ends too early raises Unreachable.

Rejected: h11, httpx and aiohttp's client. What is needed here is one request at a time with a body of known length,
and lines that are read for weeks; each of them would be a dependency of the sources that need none today. `http.client`
blocks; a thread for each source would wait in it.
"""

from __future__ import annotations

import asyncio
import re
from typing import NamedTuple

from confcast.fleet.engines.engine import EngineError, Fault, Unreachable
from confcast.wire.ssl_at_use import ssl

_MOST_LINES = 100  # of a head
_MOST_HEAD = 32 * 1024
_MOST_CHUNK_LINE = 1024  # its size in hexadecimal digits, and what may stand behind it
_MOST_INTERIM = 10  # answers 1xx before the one that counts
_PIECE = 64 * 1024
_TO_THE_END = 2**62  # more than anybody sends

_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [^\x00-\x08\x0a-\x1f\x7f]*)?")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([^\x00-\x08\x0a-\x1f\x7f]*)")
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;.*)?")
_LENGTH = re.compile(r"[0-9]{1,15}")


class Unanswered(Unreachable):
    """The server closed the connection before the first byte of an answer."""


class LineTooLong(Fault):
    """A line of a body is longer than agreed."""


class StreamEnded(Unreachable):
    """The server ended a stream in order.

    Attributes:
        rest: What came after the last newline; empty for nothing.
    """

    def __init__(self, text: str, rest: bytes) -> None:
        super().__init__(text)
        self.rest = rest


def tls_refused(error: ssl.SSLError, shown: str) -> Fault:
    """The error for a connection that gets no TLS."""
    reason = (error.reason or str(error)).lower().replace("_", " ")
    if "alert" in reason:  # which is the other side's word
        return Fault(f"{shown}: the server refuses TLS with this side: {reason}")
    return Fault(f"{shown}: no TLS: {reason}")


class AnswerHead(NamedTuple):
    """The head of an answer.

    Attributes:
        status: 200 to 599.
        headers: By name in lower case; several of one name are joined by a comma.
        stays: Whether the connection can be used for another request afterwards.
    """

    status: int
    headers: dict[str, str]
    stays: bool


class Incoming:
    """What one server sends, with the errors of engines.

    Args:
        reader: The connection's. Its limit has to be above the longest line of a head.
        shown: How messages name the server.
        secure: Whether the connection is over TLS.
    """

    def __init__(self, reader: asyncio.StreamReader, shown: str, *, secure: bool = False) -> None:
        self._reader = reader
        self.shown = shown
        self._any = False  # whether anything came
        self._may_be_refused = secure

    def begin(self) -> None:
        """Another answer is expected."""
        self._may_be_refused &= not self._any
        self._any = False

    async def line(self, most: int) -> bytes:
        """A line, without its CR LF."""
        try:
            line = await self._reader.readuntil(b"\n")
        except asyncio.IncompleteReadError as error:
            raise self._end(error.partial) from None
        except asyncio.LimitOverrunError:
            raise self.garbage("a line without an end") from None
        except OSError as error:
            raise self._lost(error) from error
        self._any = True
        if len(line) > most:
            raise self.garbage(f"a line of {len(line)} bytes")
        if not line.endswith(b"\r\n"):
            raise self.garbage("a line that does not end in CR LF")
        return line[:-2]

    async def exactly(self, size: int) -> bytes:
        """This many bytes."""
        try:
            return await self._reader.readexactly(size)
        except asyncio.IncompleteReadError as error:
            raise self._end(error.partial) from None
        except OSError as error:
            raise self._lost(error) from error

    async def some(self, most: int, *, may_end: bool = False) -> bytes:
        """At least one byte; none only if the connection was closed, and may be."""
        try:
            piece = await self._reader.read(most)
        except OSError as error:
            raise self._lost(error) from error
        if not piece and not may_end:
            raise self._end(b"")
        return piece

    def garbage(self, what: str) -> Fault:
        """The error for an answer that is none."""
        return Fault(f"{self.shown}: the answer is not HTTP/1.1: {what}")

    def _lost(self, error: OSError) -> EngineError:
        if isinstance(error, ssl.SSLError) and "ALERT" in (error.reason or ""):  # TLS 1.3 refuses after the handshake
            return tls_refused(error, self.shown)
        if not self._any:
            return self._unanswered(f"lost before an answer: {error}")
        return Unreachable(f"{self.shown}: the connection was lost in the middle of an answer: {error}")

    def _end(self, partial: bytes) -> Unreachable | Fault:
        if self._any:
            return Unreachable(f"{self.shown}: the connection was closed in the middle of an answer")
        if partial and not partial.startswith(b"HTTP/1."[: len(partial)]):
            return self.garbage("it does not begin with HTTP/1")
        if partial:
            return Unreachable(f"{self.shown}: the connection was closed in the middle of an answer")
        return self._unanswered("closed before an answer")

    def _unanswered(self, how: str) -> Unanswered:
        """TLS 1.3 refuses a certificate after the handshake. The words for it may be lost, or were never sent."""
        hint = "; the server may refuse this side's certificate, or want one" if self._may_be_refused else ""
        return Unanswered(f"{self.shown}: the connection was {how}{hint}")


async def read_head(incoming: Incoming) -> AnswerHead:
    """The head of the answer; 1xx answers before it are passed over. Raises EngineError."""
    for _ in range(_MOST_INTERIM):
        head = await _read_one_head(incoming)
        if head.status == 101:
            raise incoming.garbage("it changes the protocol, which nobody has asked for")
        if head.status >= 200:
            return head
    raise incoming.garbage(f"more than {_MOST_INTERIM} answers announce another one")


async def _read_one_head(incoming: Incoming) -> AnswerHead:
    first = await incoming.line(_MOST_HEAD)
    status = _STATUS.fullmatch(first)
    if status is None:
        raise incoming.garbage("it does not begin with HTTP/1.1 and a status")
    headers: dict[str, str] = {}
    size = len(first)
    for _ in range(_MOST_LINES):
        line = await incoming.line(_MOST_HEAD)
        if not line:
            stays = status[1] == b"1" and "close" not in _tokens(headers.get("connection", ""))
            return AnswerHead(int(status[2]), headers, stays)
        size += len(line)
        field = _FIELD.fullmatch(line)
        if field is None:
            raise incoming.garbage("a line of its head is not a name and a value")
        if size > _MOST_HEAD:
            raise incoming.garbage(f"its head is longer than {_MOST_HEAD} bytes")
        name, value = field[1].decode("ascii").lower(), field[2].strip(b" \t").decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    raise incoming.garbage(f"its head has more than {_MOST_LINES} lines")


class Body:
    """The body of an answer as it comes. Raises Fault for a head that doesn't say where it ends.

    Attributes:
        ended: Whether all of it was read.
    """

    def __init__(self, incoming: Incoming, head: AnswerHead) -> None:
        self._incoming = incoming
        length = _length_of(incoming, head)
        self._chunked = length is None
        self._to_the_end = length == _TO_THE_END
        self._left = length or 0  # of the body, or of the present chunk
        self._data_ended = False  # the CR LF after a chunk's data is due
        self._last = False  # the chunk of size 0 was read
        self.ended = length == 0

    async def piece(self) -> bytes:
        """The next bytes; empty at the end."""
        while self._chunked and not self._left and not self.ended:
            await self._next_chunk()
        if self.ended:
            return b""
        piece = await self._incoming.some(min(self._left, _PIECE), may_end=self._to_the_end)
        if not piece:
            self.ended = True
        self._left -= len(piece)
        if not self._left:
            self._data_ended, self.ended = self._chunked, not self._chunked
        return piece

    async def whole(self, most: int) -> bytes:
        """All that is left. Raises Fault for more than `most` bytes."""
        pieces, size = [], 0
        while piece := await self.piece():
            size += len(piece)
            if size > most:
                raise Fault(f"{self._incoming.shown}: the answer has more than {most} bytes")
            pieces.append(piece)
        return b"".join(pieces)

    async def _next_chunk(self) -> None:
        """One step towards the next data. What is read is noted before the next wait, so that it may be cancelled."""
        if self._data_ended:
            if await self._incoming.exactly(2) != b"\r\n":
                raise self._incoming.garbage("a chunk is longer than it says")
            self._data_ended = False
        elif self._last:
            self.ended = not await self._incoming.line(_MOST_HEAD)  # else a trailer
        else:
            size = _SIZE.fullmatch(await self._incoming.line(_MOST_CHUNK_LINE))
            if size is None:
                raise self._incoming.garbage("a chunk has no size")
            self._left = int(size[1], 16)
            self._last = not self._left


class Lines:
    """The lines of a body that goes on.

    Args:
        body: The body.
        longest: Bytes of the longest line, with its newline.
        shown: How messages name the server.
    """

    def __init__(self, body: Body, longest: int, shown: str) -> None:
        self._body = body
        self._longest = longest
        self._shown = shown
        self._rest = bytearray()

    async def line(self) -> bytes:
        """Wait for the next line; without its newline. May be cancelled, and called again.

        Raises:
            StreamEnded: The server has ended the stream.
            LineTooLong: The line is longer than agreed.
            Unreachable: The connection was lost.
            Fault: What came is not HTTP/1.1.
        """
        searched = 0
        while (end := self._rest.find(b"\n", searched)) < 0:
            searched = len(self._rest)
            if searched >= self._longest:
                raise LineTooLong(f"{self._shown}: a line of the stream has more than {self._longest} bytes")
            piece = await self._body.piece()
            if not piece:
                raise StreamEnded(f"{self._shown}: the stream was ended", bytes(self._rest))
            self._rest += piece
        if end >= self._longest:
            raise LineTooLong(f"{self._shown}: a line of the stream has more than {self._longest} bytes")
        line = bytes(self._rest[:end])
        del self._rest[: end + 1]
        return line


def _tokens(value: str) -> set[str]:
    return {each.strip().lower() for each in value.split(",")}


def _length_of(incoming: Incoming, head: AnswerHead) -> int | None:
    """Bytes of the body; None for one in chunks, _TO_THE_END for one that the end of the connection ends."""
    if _tokens(head.headers.get("content-encoding", "identity")) != {"identity"}:
        raise incoming.garbage("it is compressed, which nobody has asked for")
    if head.status in (204, 304):
        return 0
    lengths = head.headers.get("content-length")
    if (coding := head.headers.get("transfer-encoding")) is not None:
        if coding.lower() != "chunked" or lengths is not None:
            raise incoming.garbage("it is not plainly chunked")
        return None
    if lengths is None and head.status >= 400:
        return _TO_THE_END
    if lengths is None:
        raise incoming.garbage(f"it has no length, so that a cut one could not be told (status {head.status})")
    each = _tokens(lengths)
    if len(each) != 1 or not _LENGTH.fullmatch(one := each.pop()):
        raise incoming.garbage("its length is none")
    return int(one)
