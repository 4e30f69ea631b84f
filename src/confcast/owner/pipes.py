"""The owner's end of every pipe: accepted, read, written, closed; nothing here ever blocks.

A pipe is a number that is never used again. Frames leave in the order in which they were given; when the last byte
of a frame that the core sent is in the kernel's hands, the core hears Drained and computes the next one. Answers to
requests stand in the same line and make no such noise. Rejected: a thread per pipe, and a queue of frames per pipe
(what a slow worker gets next is what is true then, not what was true when its socket filled up).
"""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import socket
from collections import Counter, deque
from collections.abc import Callable, Iterator

from confcast.errors import ProtocolError
from confcast.owner.effects import Drained, PipeEnded, Received
from confcast.wire.framing import Deframer, frame
from confcast.wire.listener import Peer, peer_of
from confcast.wire.messages import Hello, Message, Refused, ToOwner, decode_to_owner, encode

_log = logging.getLogger("confcast.owner")

_LONGEST_REQUEST = 1024 * 1024
_READ = 65536
_LONGEST_QUEUE = 1024
"""Answers that may wait on one pipe: a client that asks and never reads is closed past it."""
_MOST_SILENT = 256
"""Connections that have not said Hello yet: past it the oldest is closed. Whoever meant to say it knocks again."""

Post = Callable[[Received | Drained | PipeEnded], None]


class Pipe:
    """One accepted connection."""

    def __init__(self, number: int, connection: socket.socket, peer: Peer) -> None:
        self.number = number
        self.connection = connection
        self.peer = peer
        self.greeted = False
        self.closing = False
        self.deframer = Deframer(_LONGEST_REQUEST)
        self.outgoing: deque[tuple[memoryview, bool]] = deque()
        self.stuck = False  # the kernel takes no more now, and the selector tells when it does

    def flush(self) -> int:
        """Write what the kernel takes; how many frames of the core have left. Raises OSError."""
        drained = 0
        while self.outgoing:
            rest, from_core = self.outgoing[0]
            try:
                sent = self.connection.send(rest)
            except BlockingIOError:
                break
            if sent < len(rest):
                self.outgoing[0] = (rest[sent:], from_core)
            else:
                self.outgoing.popleft()
                drained += from_core
        return drained


class Pipes:
    """All pipes, on the loop's selector. Only the loop's thread may use it.

    Args:
        selector: The loop's; every key's data is a function to call when it is ready.
        post: Where inputs for the core go.
        allowed_uids: Whose processes may open a pipe.
    """

    def __init__(self, selector: selectors.BaseSelector, post: Post, allowed_uids: frozenset[int]) -> None:
        self.refused: Counter[str] = Counter()
        self._selector = selector
        self._post = post
        self._allowed = allowed_uids
        self._open: dict[int, Pipe] = {}
        self._silent: dict[int, Pipe] = {}  # those that have not said Hello, the oldest first
        self._next = 1
        self._encoded: dict[int, tuple[Message, bytes]] = {}

    # ---- in

    def accept(self, listener: socket.socket) -> bool:
        """Take in everyone who waits, and read at once what they have said already.

        Returns:
            Whether it was everyone. If not (no descriptor is left), they wait on, and the socket stays readable.
        """
        while True:
            try:
                connection, _ = listener.accept()
            except BlockingIOError:
                return True
            except OSError as error:
                self.refused["accept"] += 1
                _log.error("a connection to the control socket could not be accepted: %s", error)
                return False
            self._admit(connection)

    def _admit(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        try:
            peer = peer_of(connection)
        except OSError:
            connection.close()
            return
        if peer.uid not in self._allowed:
            self.refused["stranger"] += 1
            _log.warning("process %d of uid %d knocked at the control socket: refused", peer.pid, peer.uid)
            self._turn_away(connection, f"uid {peer.uid} is not served here")
            return
        pipe = Pipe(self._next, connection, peer)
        self._next += 1
        self._open[pipe.number] = self._silent[pipe.number] = pipe
        self._selector.register(connection, selectors.EVENT_READ, lambda mask: self._ready(pipe, mask))
        self._read(pipe)
        if len(self._silent) > _MOST_SILENT:
            oldest = next(iter(self._silent.values()))
            self.refused["silent"] += 1
            _log.warning("process %d has connected and says nothing: closed, to have room", oldest.peer.pid)
            self._end(oldest)

    def _turn_away(self, connection: socket.socket, reason: str) -> None:
        try:
            connection.send(frame(encode(Refused(reason, final=True))))
        except OSError:
            self.refused["gone before refusal"] += 1
        connection.close()

    def _ready(self, pipe: Pipe, mask: int) -> None:
        if mask & selectors.EVENT_WRITE and pipe.number in self._open:
            self._flush(pipe)
        if mask & selectors.EVENT_READ and pipe.number in self._open:
            self._read(pipe)

    def _read(self, pipe: Pipe) -> None:
        try:
            data = pipe.connection.recv(_READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._end(pipe)
            return
        try:
            for message in self._messages(pipe, data):
                self._post(Received(pipe.number, pipe.peer.pid, message))
        except ProtocolError as error:
            self.refused["malformed"] += 1
            _log.warning(
                "process %d sent what the protocol does not allow; its pipe is closed: %s", pipe.peer.pid, error
            )
            self._end(pipe)

    def _messages(self, pipe: Pipe, data: bytes) -> Iterator[ToOwner]:
        for body in pipe.deframer.feed(data):
            message = decode_to_owner(body)
            if isinstance(message, Hello) == pipe.greeted:
                raise ProtocolError("Hello is the first frame, and only the first")
            pipe.greeted = True
            self._silent.pop(pipe.number, None)
            yield message

    # ---- out

    def send(self, number: int, message: Message, *, from_core: bool) -> None:
        """Give this frame to the pipe, if it is still open. The core hears Drained for its own when it has left."""
        pipe = self._open.get(number)
        if pipe is None or pipe.closing:
            return
        if len(pipe.outgoing) >= _LONGEST_QUEUE:
            self.refused["never reads"] += 1
            _log.warning("process %d asks and never reads; its pipe is closed", pipe.peer.pid)
            self._end(pipe)
            return
        pipe.outgoing.append((memoryview(self._encode(message)), from_core))
        if len(pipe.outgoing) == 1:
            self._flush(pipe)

    def _encode(self, message: Message) -> bytes:
        """One encoding for a frame that goes to every worker; kept for the next few frames."""
        known = self._encoded.get(id(message))
        if known is None:
            if len(self._encoded) > 8:
                self._encoded.clear()
            known = self._encoded[id(message)] = (message, frame(encode(message)))
        return known[1]

    def _flush(self, pipe: Pipe) -> None:
        try:
            drained = pipe.flush()
        except OSError:
            # The peer has closed, and may have said Goodbye before: what it said is still to be read, up to its end.
            # Nothing more goes out, whatever the error was: a peer that lives after all sees the end, and knocks again.
            pipe.outgoing.clear()
            with contextlib.suppress(OSError):
                pipe.connection.shutdown(socket.SHUT_WR)
            drained = 0
        for _ in range(drained):
            self._post(Drained(pipe.number))
        if pipe.closing and not pipe.outgoing:
            self._close(pipe)
            return
        if bool(pipe.outgoing) != pipe.stuck:
            pipe.stuck = not pipe.stuck
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if pipe.stuck else 0)
            self._selector.modify(pipe.connection, events, lambda mask: self._ready(pipe, mask))

    # ---- the end

    def close(self, number: int) -> None:
        """Close this pipe once what was given to it has left. No PipeEnded follows."""
        pipe = self._open.get(number)
        if pipe is None:
            return
        pipe.closing = True
        if not pipe.outgoing:
            self._close(pipe)

    def close_all(self) -> None:
        """Close every pipe, after one more try to write what waits on it."""
        for pipe in list(self._open.values()):
            self._flush(pipe)
            if pipe.number in self._open:
                self._close(pipe)

    def __len__(self) -> int:
        return len(self._open)

    def _end(self, pipe: Pipe) -> None:
        self._close(pipe)
        self._post(PipeEnded(pipe.number))

    def _close(self, pipe: Pipe) -> None:
        self._silent.pop(pipe.number, None)
        if self._open.pop(pipe.number, None) is not None:
            self._selector.unregister(pipe.connection)
            pipe.connection.close()


def own_uid() -> frozenset[int]:
    """The uid that this process runs as."""
    return frozenset({os.geteuid()})
