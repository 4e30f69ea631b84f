"""The owner's end of every pipe: accepted, read, written, closed; nothing here ever blocks.

A pipe is a number that is never used again. Frames leave in the order in which they were given; when the last byte
of a frame that the core sent is in the kernel's hands, the core hears Drained and computes the next one: from `send`'s
caller when it left at once, as nearly all do, or else from here. Answers to requests stand in the same line and make
no such noise.

Whoever may connect may also misbehave, and nobody else is to notice: a Hello, the rest of a frame that was begun, and
the reading of what a pipe is to end with have a deadline; a turn of the loop takes little of each pipe; what one peer
may leave unread (in bytes, and all of them together), unanswered or open is bounded. Past a bound its pipe is closed;
that is counted by kind, and said once of each process. Root may ask every owner, and attaches as a worker to its own
ones only: what a worker leaves in the run-time folder would be root's, and its silence would hold up reloads.

Rejected: a thread per pipe, and a queue of frames per pipe (what a slow worker gets next is what is true then, not
what was true when its socket filled up).
"""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import socket
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator

from confcast.errors import ProtocolError
from confcast.owner.core.effects import Drained, PipeEnded, Received
from confcast.owner.loop.bounded_answers import frame_of
from confcast.wire.framing import Deframer, frame
from confcast.wire.listener import Peer, peer_of
from confcast.wire.messages import MAX_FRAME, Hello, Message, Refused, Request, ToOwner, decode_to_owner, encode

_log = logging.getLogger("confcast.owner")

_LONGEST_REQUEST = 1024 * 1024
_READ = 1024
"""Bytes that a turn takes of one pipe. Votes and Hellos are shorter; who floods has no more than its share."""
_BACKLOG = 1024
"""Connections that a turn takes in: all that could wait at its beginning."""
_LONGEST_QUEUE = 1024
"""Answers that may wait on one pipe, and requests that may wait for theirs: past it the pipe is closed."""
_MOST_UNREAD = 1024 * 1024
"""Bytes of the answers that may wait on one pipe, unless it is a single one. A frame of the core's goes to all workers,
and is kept once."""
_MOST_UNREAD_BY_ALL = 2 * MAX_FRAME
"""Bytes of the answers that wait on all pipes: past it, who has left the most unread is closed."""
_KEEPING = 256
"""Bytes that it takes to keep an answer, beside its own."""
_MOST_GUESTS = 256
"""Pipes of nobody on the roster: clients, who has not said Hello yet, and what is to be closed once it has been read.
A process has 1,024 descriptors or more."""
_MOST_TOLD = 1024
_ROOT = 0

Post = Callable[[Received | Drained | PipeEnded], None]


class Pipe:
    """One accepted connection."""

    def __init__(self, number: int, connection: socket.socket, peer: Peer) -> None:
        self.number = number
        self.connection = connection
        self.peer = peer
        self.greeted = False
        self.closing = False
        self.owing_since = 0.0
        self.unanswered = 0
        self.deframer = Deframer(_LONGEST_REQUEST)
        self.outgoing: deque[tuple[memoryview, bool]] = deque()
        self.unread = 0  # bytes of the answers in it, and of their keeping
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
            self.unread -= 0 if from_core else sent
            if sent < len(rest):
                self.outgoing[0] = (rest[sent:], from_core)
            else:
                self.outgoing.popleft()
                self.unread -= 0 if from_core else _KEEPING
                drained += from_core
        return drained

    def has_room(self, size: int) -> bool:
        """For one more answer."""
        return len(self.outgoing) < _LONGEST_QUEUE and (not self.unread or self.unread + size <= _MOST_UNREAD)


class Pipes:
    """All pipes, on the loop's selector. Only the loop's thread may use it.

    Args:
        selector: The loop's; every key's data is a function to call when it is ready.
        post: Where inputs for the core go.
        allowed_uids: Whose processes may open a pipe, beside root's.
        patience: Seconds for a Hello, for the rest of a frame that was begun (a worker sends either in one go), and for
            the reading of the last frames of a pipe.
    """

    def __init__(
        self, selector: selectors.BaseSelector, post: Post, allowed_uids: frozenset[int], patience: float
    ) -> None:
        self.refused: Counter[str] = Counter()
        self._selector = selector
        self._post = post
        self._allowed = allowed_uids
        self._patience = patience
        self._open: dict[int, Pipe] = {}
        self._allowed_uids: dict[int, Pipe] = {}  # those of no replica, the oldest first
        self._replicas: dict[int, Pipe] = {}  # by process, its newest
        self._owing: dict[int, Pipe] = {}  # whose Hello, rest of a frame or last reading is awaited, the longest first
        self._told: set[tuple[str, int]] = set()
        self._next = 1
        self._encoded: dict[int, tuple[Message, bytes]] = {}

    # ---- in

    def accept(self, listener: socket.socket) -> bool:
        """Take in everyone who waits, and read at once what they have said already.

        Returns:
            False when no descriptor is left: those who wait, wait on, and the socket stays readable.
        """
        for _ in range(_BACKLOG):
            try:
                connection, _ = listener.accept()
            except BlockingIOError:
                return True
            except OSError as error:
                self.refused["accept"] += 1
                _log.error("a connection to the control socket could not be accepted: %s", error)
                return False
            self._admit(connection)
        return True

    def _admit(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        try:
            peer = peer_of(connection)
        except OSError:
            connection.close()
            return
        if peer.uid not in self._allowed and peer.uid != _ROOT:
            text = "process %d of uid %d knocked at the control socket: refused"
            self._note("stranger", peer.pid, text, peer.pid, peer.uid)
            self._turn_away(connection, f"uid {peer.uid} is not served here")
            return
        pipe = Pipe(self._next, connection, peer)
        self._next += 1
        self._open[pipe.number] = self._allowed_uids[pipe.number] = pipe
        self._owes(pipe)
        self._selector.register(connection, selectors.EVENT_READ, lambda mask: self._ready(pipe, mask))
        self._read(pipe)
        self._make_room()

    def _make_room(self) -> None:
        """Of the process that has the most, so that nobody is put out by another one's crowd."""
        if len(self._allowed_uids) > _MOST_GUESTS:
            crowd, count = Counter(pipe.peer.pid for pipe in self._allowed_uids.values()).most_common(1)[0]
            oldest = next(pipe for pipe in self._allowed_uids.values() if pipe.peer.pid == crowd)
            self._refuse(oldest, "crowd", "has %d pipes open: the oldest are closed, to have room", count)

    def _turn_away(self, connection: socket.socket, reason: str) -> None:
        try:
            connection.send(frame(encode(Refused(reason, final=True))))
        except OSError:
            self.refused["gone before refusal"] += 1
        connection.close()

    def _ready(self, pipe: Pipe, mask: int) -> None:
        if mask & selectors.EVENT_WRITE and pipe.number in self._open and self._flush(pipe):
            self._post(Drained((pipe.number,)))
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
        if pipe.closing:  # nobody listens there any more; it is read to its end, so that the end is heard
            return
        try:
            for message in self._messages(pipe, data):
                self._post(Received(pipe.number, pipe.peer.pid, message))
        except ProtocolError as error:
            self._refuse(pipe, "malformed", "sent what the protocol does not allow; its pipe is closed: %s", error)

    def _messages(self, pipe: Pipe, data: bytes) -> Iterator[ToOwner]:
        for body in pipe.deframer.feed(data):
            self._owing.pop(pipe.number, None)
            message = decode_to_owner(body)
            if isinstance(message, Hello) == pipe.greeted:
                raise ProtocolError("Hello is the first frame, and only the first")
            if isinstance(message, Hello):
                pipe.greeted = True
                if message.role == "replica" and pipe.peer.uid not in self._allowed:
                    self._refuse_to_attach(pipe)
                    return
                if message.role == "replica":
                    self._promote(pipe)
            elif isinstance(message, Request):
                pipe.unanswered += 1
                if pipe.unanswered > _LONGEST_QUEUE:
                    raise ProtocolError(f"{pipe.unanswered} requests wait for their answers")
            yield message
        if pipe.deframer.begun:
            self._owes(pipe)

    def _refuse_to_attach(self, pipe: Pipe) -> None:
        self._note("stranger", pipe.peer.pid, "process %d of root would attach as a worker: refused", pipe.peer.pid)
        reason = f"root may ask the config owner of another user (uid {os.geteuid()}), and not attach to it as a worker"
        pipe.outgoing.append((memoryview(frame(encode(Refused(reason, final=True)))), False))
        pipe.unread += len(pipe.outgoing[-1][0]) + _KEEPING
        if len(pipe.outgoing) == 1:
            self._flush(pipe)
        self.close(pipe.number)

    def _promote(self, pipe: Pipe) -> None:
        """It is a replica's now. The process has one: what was its pipe is a guest's until the core has closed it."""
        former = self._replicas.get(pipe.peer.pid)
        self._replicas[pipe.peer.pid] = pipe
        del self._allowed_uids[pipe.number]
        if former is not None:
            self._allowed_uids[former.number] = former
            self._make_room()

    # ---- who lets us wait

    def _owes(self, pipe: Pipe) -> None:
        if pipe.number not in self._owing:
            pipe.owing_since = time.monotonic()
            self._owing[pipe.number] = pipe

    def deadline(self) -> float | None:
        """When `close_silent` has something to do next, on the monotonic clock; None while nobody owes anything."""
        return next((pipe.owing_since + self._patience for pipe in self._owing.values()), None)

    def close_silent(self, now: float) -> None:
        """End the pipes whose Hello, or the rest of whose frame, has not come in time. Who lives knocks again."""
        for pipe in list(self._owing.values()):
            if pipe.owing_since + self._patience > now:
                return
            if pipe.closing:
                self._refuse(pipe, "never reads", "has not read in %g s what its pipe ends with", self._patience)
                continue
            what = "the rest of a frame" if pipe.greeted else "a Hello"
            self._refuse(pipe, "silent", "let us wait for %s for %g s; its pipe is closed", what, self._patience)

    def _refuse(self, pipe: Pipe, kind: str, text: str, *values: object) -> None:
        self._note(kind, pipe.peer.pid, f"process %d {text}", pipe.peer.pid, *values)
        self._end(pipe)

    def _note(self, kind: str, pid: int, text: str, *values: object) -> None:
        """Count it, and say it once of each process: who floods us does not flood the log."""
        self.refused[kind] += 1
        if (kind, pid) not in self._told:
            if len(self._told) >= _MOST_TOLD:
                self._told.clear()
            self._told.add((kind, pid))
            _log.warning(text, *values)

    # ---- out

    def send(self, number: int, message: Message, *, from_core: bool) -> bool:
        """Give this frame to the pipe, if it is still open.

        Returns:
            Whether it is the core's, and has left: the caller says Drained. Of one that leaves later it is said here.
        """
        pipe = self._open.get(number)
        if pipe is None or pipe.closing:
            return False
        if isinstance(message, Refused):
            self._note("hello", pipe.peer.pid, "process %d is refused: %s", pipe.peer.pid, message.reason)
        if not from_core:
            answer, whole = frame_of(message)
            if not whole:
                self._note(
                    "long", pipe.peer.pid, "process %d asked for more than a frame can be: shortened", pipe.peer.pid
                )
            self._answer(pipe, answer)
            return False
        try:
            pipe.outgoing.append((memoryview(self._encode(message)), True))
        except ProtocolError as error:
            self._refuse(pipe, "long", "can't be sent what it must have: %s; its pipe is closed", error)
            return False
        return len(pipe.outgoing) == 1 and self._flush(pipe)

    def _answer(self, pipe: Pipe, answer: bytes) -> None:
        pipe.unanswered -= 1
        if not pipe.has_room(len(answer)):
            self._refuse(pipe, "never reads", "asks and never reads; its pipe is closed")
            return
        pipe.outgoing.append((memoryview(answer), False))
        pipe.unread += len(answer) + _KEEPING
        if len(pipe.outgoing) == 1:
            self._flush(pipe)
        if pipe.unread and sum(each.unread for each in self._open.values()) > _MOST_UNREAD_BY_ALL:
            most = max(self._open.values(), key=lambda each: each.unread)
            self._refuse(most, "never reads", "reads less than all others of what it asked; its pipe is closed")

    def _encode(self, message: Message) -> bytes:
        """One encoding for a frame that goes to every worker; kept for the next few frames."""
        known = self._encoded.get(id(message))
        if known is None:
            if len(self._encoded) > 8:
                self._encoded.clear()
            known = self._encoded[id(message)] = (message, frame(encode(message)))
        return known[1]

    def _flush(self, pipe: Pipe) -> bool:
        """Write what the kernel takes; whether a frame of the core (it has one on its way at the most) has left."""
        try:
            drained = pipe.flush()
        except OSError:
            # The peer has closed, and may have said Goodbye before: what it said is still to be read, up to its end.
            # Nothing more goes out, whatever the error was: a peer that lives after all sees the end, and knocks again.
            pipe.outgoing.clear()
            pipe.unread = 0
            with contextlib.suppress(OSError):
                pipe.connection.shutdown(socket.SHUT_WR)
            drained = 0
        if pipe.closing and not pipe.outgoing:
            self._close(pipe)
        elif bool(pipe.outgoing) != pipe.stuck:
            pipe.stuck = not pipe.stuck
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if pipe.stuck else 0)
            self._selector.modify(pipe.connection, events, lambda mask: self._ready(pipe, mask))
        return drained > 0

    # ---- the end

    def close(self, number: int) -> None:
        """Close this pipe once what was given to it has left, or its time is over. No PipeEnded follows.

        Until then it is a guest's: who attaches over and over, and never reads, takes no more room than others.
        """
        pipe = self._open.get(number)
        if pipe is None or pipe.closing:
            return
        pipe.closing = True
        if not pipe.outgoing:
            self._close(pipe)
            return
        self._owing.pop(number, None)
        self._owes(pipe)
        self._allowed_uids[number] = pipe
        self._make_room()

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
        if not pipe.closing:
            self._post(PipeEnded(pipe.number))

    def _close(self, pipe: Pipe) -> None:
        self._allowed_uids.pop(pipe.number, None)
        self._owing.pop(pipe.number, None)
        if self._replicas.get(pipe.peer.pid) is pipe:
            del self._replicas[pipe.peer.pid]
        if self._open.pop(pipe.number, None) is not None:
            self._selector.unregister(pipe.connection)
            pipe.connection.close()
