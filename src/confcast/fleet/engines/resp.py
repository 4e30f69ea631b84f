"""RESP3, the protocol of Redis and Valkey: commands as bytes, and replies out of bytes that come in any pieces.

Guarantees. No reply costs more memory than `Replies.most` bytes of it and what has come: a length that is announced is
compared with it before anything is kept. What is no RESP raises BadReply, at the byte that makes it so, and never
another error. Nesting is bounded. A reply that is not whole yet is never handed out.

How. The parser is a generator that waits for bytes: it goes on where it stopped, so that a reply in a thousand pieces
costs as much as one in one piece.

Rejected: StreamReader (a push may come at any time, so a task would have to read for ever), and the streamed types of
RESP3 (`$?`, `*?`), which no server sends.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator
from typing import Any, NamedTuple

_LONGEST_LINE = 4096  # bytes of a number, a simple string or an error
_DEEPEST = 8
_NONE = "sends bytes that are no reply of Redis"  # without them: they may be part of a payload
_SMALLEST = 3  # bytes of an element: "_\r\n"


class BadReply(Exception):
    """Bytes that no server of this protocol sends, or a reply over the bound. The text is the end of a sentence."""


class ErrorReply(NamedTuple):
    """A command was refused. `text` may quote the command's arguments: it is not for people.

    Attributes:
        code: Its first word: "NOAUTH".
        text: All of it.
    """

    code: str
    text: str


class Push(NamedTuple):
    """What the server tells without having been asked.

    Attributes:
        kind: "invalidate", …
        data: What comes with it.
    """

    kind: bytes
    data: list[Any]


def command(*parts: bytes | str | int) -> bytes:
    """A command with its arguments, as it is sent."""
    found = [part if isinstance(part, bytes) else str(part).encode() for part in parts]
    return b"".join([b"*%d\r\n" % len(found), *(b"$%d\r\n%b\r\n" % (len(part), part) for part in found)])


class Replies:
    """Replies and pushes out of what has come.

    A reply is bytes (of all kinds of strings), int, float, bool, None, a list (of a set, too), a dict or an ErrorReply.

    Args:
        most: Bytes of a reply at the most; may be changed between two replies.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._buffer = bytearray()
        self._at = 0
        self._parser = self._value(0)
        next(self._parser)

    def feed(self, data: bytes) -> Iterator[Any]:
        """The replies that are whole with these bytes, one after the other.

        Raises:
            BadReply: Bytes that are none. Nothing can be read after that.
        """
        self._buffer += data
        while True:
            try:
                self._parser.send(None)
                if len(self._buffer) > self.most + _LONGEST_LINE:
                    raise BadReply(f"sends a reply of more than {self.most} bytes")
                return
            except StopIteration as done:
                found = done.value
            del self._buffer[: self._at]
            self._at = 0
            self._parser = self._value(0)
            next(self._parser)
            yield found

    # ---- the parser: each part returns once it is whole, and yields while more bytes are needed

    def _value(self, depth: int) -> Generator[None, None, Any]:
        if depth > _DEEPEST:
            raise BadReply(f"nests its reply deeper than {_DEEPEST} levels")
        if depth == 0:
            yield  # so that a parser can be begun before there are bytes
        line = yield from self._line()
        kind, rest = line[:1], line[1:]
        if kind in _SCALARS:
            return _SCALARS[kind](rest)
        if kind in _STRINGS:
            return (yield from self._string(kind, rest))
        if kind in _AGGREGATES:
            return (yield from self._several(kind, rest, depth))
        raise BadReply(_NONE)

    def _line(self) -> Generator[None, None, bytes]:
        looked = self._at
        while (end := self._buffer.find(b"\r\n", looked)) < 0 or end - self._at > _LONGEST_LINE:
            self._check_kind()
            if len(self._buffer) - self._at > _LONGEST_LINE:
                raise BadReply(f"sends a line of more than {_LONGEST_LINE} bytes")
            looked = max(self._at, len(self._buffer) - 1)
            yield
        line = bytes(self._buffer[self._at : end])
        if b"\n" in line or b"\r" in line:
            raise BadReply("sends a line with a line break in it")
        self._at = end + 2
        return line

    def _check_kind(self) -> None:
        """Raise BadReply at the first byte: a server of another kind may never end its line."""
        first = bytes(self._buffer[self._at : self._at + 1])
        if first and first not in _KINDS:
            raise BadReply(_NONE)

    def _string(self, kind: bytes, length: bytes) -> Generator[None, None, Any]:
        if length == b"-1" and kind == b"$":
            return None
        count = _count(length)
        if count > self.most:
            raise BadReply(f"announces {count} bytes, and {self.most} at most are expected")
        while len(self._buffer) < self._at + count + 2:
            yield
        content = bytes(self._buffer[self._at : self._at + count])
        if self._buffer[self._at + count : self._at + count + 2] != b"\r\n":
            raise BadReply("sends a string that is longer than announced")
        self._at += count + 2
        if kind == b"!":
            return _error(content)
        if kind == b"=":
            if content[3:4] != b":":
                raise BadReply("sends a text without its format")
            return content[4:]
        return content

    def _several(self, kind: bytes, length: bytes, depth: int) -> Generator[None, None, Any]:
        if length == b"-1" and kind == b"*":
            return None
        count = _count(length) * (2 if kind in b"%|" else 1)
        if count * _SMALLEST > self.most:
            raise BadReply(f"announces {count} elements, more than fit into {self.most} bytes")
        found = []
        for _ in range(count):
            found.append((yield from self._value(depth + 1)))  # noqa: PERF401 - no comprehension yields
        if kind == b"%":
            return _table(found)
        if kind == b"|":  # attributes of the reply that follows; none is of use here
            return (yield from self._value(depth + 1))
        if kind == b">":
            if depth or not found or not isinstance(found[0], bytes):
                raise BadReply("sends a push that has no kind, or within a reply")
            return Push(found[0], found[1:])
        return found


def _integer(text: bytes) -> int:
    digits = text[1:] if text[:1] in (b"-", b"+") else text
    if not digits.isdigit():
        raise BadReply("sends something as a number that is none")
    return int(text)


def _count(text: bytes) -> int:
    if not text.isdigit() or len(text) > 19:
        raise BadReply("sends something as a length that is none")
    return int(text)


def _float(text: bytes) -> float:
    try:
        found = float(text)
    except ValueError:
        found = None
    if found is None or b"_" in text or text != text.strip() or (math.isnan(found) and text.lstrip(b"-") != b"nan"):
        raise BadReply("sends something as a number that is none")
    return found


def _bool(text: bytes) -> bool:
    if text not in (b"t", b"f"):
        raise BadReply("sends something as a truth that is none")
    return text == b"t"


def _nothing(text: bytes) -> None:
    if text:
        raise BadReply("sends a null that is none")


def _error(text: bytes) -> ErrorReply:
    shown = text.decode(errors="replace")
    return ErrorReply(shown.partition(" ")[0], shown)


def _table(found: list[Any]) -> dict[bytes, Any]:
    keys, values = found[::2], found[1::2]
    if not all(isinstance(key, bytes) for key in keys):
        raise BadReply("sends a table whose keys are no texts")
    return dict(zip(keys, values, strict=True))


_SCALARS: dict[bytes, Callable[[bytes], Any]] = {
    b"+": bytes,
    b":": _integer,
    b"(": _integer,
    b",": _float,
    b"#": _bool,
    b"_": _nothing,
    b"-": _error,
}
_STRINGS = {b"$", b"!", b"="}
_AGGREGATES = {b"*", b"~", b">", b"%", b"|"}
_KINDS = _SCALARS.keys() | _STRINGS | _AGGREGATES
