"""What a test and its worker processes say to each other, over a socket pair.

Answers are plain data (msgpack) and encoded configurations; nothing is pickled.
"""

from __future__ import annotations

import socket
import time
from typing import Any

import msgspec

from confcast.wire.decoders import decode
from confcast.wire.framing import Deframer, frame


class Begin(msgspec.Struct, tag=True, frozen=True):
    """Attach, and import the application. Answered with None.

    Attributes:
        settings: `MODULE:NAME` of the replica.
        imports: Modules to import besides.
        on_loop: Whether an event loop runs; None: if something is derived that needs one.
        timeout: Seconds that attaching may take.
    """

    settings: str
    imports: list[str]
    on_loop: bool | None
    timeout: float


class Call(msgspec.Struct, tag=True, frozen=True):
    """Call a function, or await it. Answered with what it returns."""

    function: str
    arguments: list[Any]
    keywords: dict[str, Any]


class See(msgspec.Struct, tag=True, frozen=True):
    """Answered with the version and the encoded configuration that this worker sees."""


class End(msgspec.Struct, tag=True, frozen=True):
    """Close the replica, and exit. Answered with the exit."""


Message = Begin | Call | See | End


class Answer(msgspec.Struct, frozen=True):
    """What came of a message.

    Attributes:
        value: The value, if there was no error.
        error: What was raised: its class and text; empty if nothing was.
        trace: The traceback, from the application's first line on.
    """

    value: Any = None
    error: str = ""
    trace: str = ""


class Channel:
    """One end. For one thread."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._deframer = Deframer()
        self._bodies: list[bytes] = []

    def send(self, message: Message | Answer, seconds: float | None = None) -> None:
        """Send a message.

        Raises:
            TimeoutError: The other end has not read it in time.
            OSError: The other end is gone.
            TypeError: It is no plain data.
        """
        body = frame(msgspec.msgpack.encode(message))
        self._end.settimeout(seconds)  # else it is what an earlier `receive` had left
        self._end.sendall(body)

    def receive(self, kind: Any, seconds: float | None = None) -> Any:
        """The next message of this type. Raises EOFError: there is none any more; TimeoutError."""
        deadline = None if seconds is None else time.monotonic() + seconds
        while not self._bodies:
            self._end.settimeout(None if deadline is None else max(0.001, deadline - time.monotonic()))
            if not (chunk := self._end.recv(65536)):
                raise EOFError("the other end is closed")
            self._bodies = self._deframer.feed(chunk)
        return decode(self._bodies.pop(0), kind)

    def close(self) -> None:
        """Close this end."""
        self._end.close()
