"""How one `confcast serve` takes the place of another: what the two say to each other, over a socket of the former's.

    successor → former    TakeOver      I want to take your place
    former → successor    Paused        my owner has finished its reload, left a copy of its journal, and loads no more
    successor → former    Serves        my owner serves in this folder
    former → successor    Moved         the address leads there now; these workers follow, or stay with me
    successor → former    Noted         (then the former ends what only one of the two may have, and closes the pipe)

The former decides: it moves the address itself, under the lock of the address's folder. Until it has heard Noted, the
end of the pipe means that the successor is dead, or has given up: then the address leads to the former again, and its
owner loads again. So a successor whose first load is refused, that is killed or stopped, or that hangs, changes
nothing. The end of the pipe before Moved means that the former is dead: its place is free, and the successor takes it.

One successor is heard at a time, another one is refused; who comes after Noted is told to look at the address again.

Rejected: a signal (it has no answer), a file with the former's pid (it outlives the process), and a successor that
moves the address itself (one that was stopped before it did would do so minutes later, when the former has gone on).
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator

import msgspec

from confcast.errors import ProtocolError
from confcast.wire.framing import Deframer, frame
from confcast.wire.messages import UNDECODABLE

PROTOCOL = 1
"""Incremented whenever a message changes its meaning; compared in TakeOver."""

_LONGEST = 1024 * 1024


class TakeOver(msgspec.Struct, frozen=True, tag=True):
    """A successor asks. `within`: seconds in which it will serve or have given up."""

    protocol: int
    within: float


class Paused(msgspec.Struct, frozen=True, tag=True):
    """The former's owner loads no more. `folder`: its runtime directory; `address`: the lasting one, or ""."""

    folder: str
    address: str


class Serves(msgspec.Struct, frozen=True, tag=True):
    """The successor's owner serves in this runtime directory."""

    folder: str


class Moved(msgspec.Struct, frozen=True, tag=True):
    """The address leads to the successor's owner. `follow`: whether these workers are sent there; else they stay."""

    workers: list[int]
    follow: bool


class Noted(msgspec.Struct, frozen=True, tag=True):
    """The successor has taken over, and lives."""


class Refused(msgspec.Struct, frozen=True, tag=True):
    """The former does not give its place away. `superseded`: it has done so already: look at the address again."""

    reason: str
    superseded: bool = False


Message = TakeOver | Paused | Serves | Moved | Noted | Refused

_decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)


class Pipe:
    """One end of the pipe between the two. Blocks, up to the deadline of each call; for one thread at a time."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._deframer = Deframer(_LONGEST)

    def send(self, message: Message) -> None:
        """Send one message. Raises OSError: the other end is closed."""
        self._connection.sendall(frame(msgspec.msgpack.encode(message)))

    def receive(self, within: float) -> Message | None:
        """The next message; None at the pipe's end. Raises TimeoutError, ProtocolError."""
        deadline = time.monotonic() + within

        def read(most: int) -> bytes:
            self._connection.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                return self._connection.recv(most)
            except ConnectionResetError:
                return b""

        body = self._deframer.next_body(read)
        try:
            return None if body is None else _decoder.decode(body)
        except UNDECODABLE as error:
            raise ProtocolError(f"not a message of a take-over: {error}") from None

    def interrupt(self) -> None:
        """End the pipe, also under a thread that waits for a message: it receives the end. From any thread."""
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def connected(path: str, within: float) -> Iterator[Pipe]:
    """A pipe to the process that listens at this path. Raises OSError: none does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(within)
        connection.connect(path)
        yield Pipe(connection)
