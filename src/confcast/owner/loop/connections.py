"""The owner accepts, reads, writes and closes its end of every pipe; nothing here ever blocks.

A pipe is a number that is never used again. Frames leave in the order in which they were given. When the kernel has the
last byte of a frame from the core, the core is given Drained, and computes the next one: by `send`'s caller if the
frame left at once, as nearly all do, else by this file. Answers to requests leave in the same order, without Drained.

A peer that misbehaves disturbs no other: a Hello, the rest of a frame that was begun, and the reading of a pipe's last
frames have a deadline; a turn of the loop reads little of each pipe; what one peer may leave unread (in bytes, and all
peers together), unanswered or open is bounded. Past a bound its pipe is closed; that is counted by kind, and logged
once for each process. Root may query every owner, and may attach as a worker only to an owner that runs as root: root
would own its notes there, and a root process that does not answer would hold up reloads.

Rejected: a thread per pipe, and a queue of frames per pipe (a slow worker must get the newest frame, not the one that
was due when its socket filled up).
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
from typing import TypeVar, get_args

import msgspec

from confcast.config.codec.masked_header import without_masked
from confcast.config.overrides import without_values
from confcast.errors import ProtocolError
from confcast.log_fields import about
from confcast.owner.core.effects import Drained, PipeEnded, Received
from confcast.owner.loop.bounded_answers import frame_of
from confcast.texts import printable, shortened
from confcast.wire import processes
from confcast.wire.framing import Deframer, frame
from confcast.wire.listener import Peer, is_of_group, peer_of
from confcast.wire.messages import (
    MAX_FRAME,
    MAX_REQUEST,
    Hello,
    Install,
    Message,
    OnTrial,
    Operation,
    Prepare,
    Refused,
    Reload,
    Request,
    ToOwner,
    Who,
    decode_to_owner,
    encode,
)

_log = logging.getLogger("confcast.owner")

_READ = 1024
"""Bytes that a turn reads from one pipe. Votes and Hellos are shorter; a longer message takes several turns."""
_LONGEST_VOTE = 64
"""Bytes of a frame that is kept, to decode equal ones once."""
_BACKLOG = 1024
"""How many connections a turn accepts: all that could wait at its beginning."""
_LONGEST_QUEUE = 1024
"""How many answers may wait on one pipe, and how many requests for their answers: past it the pipe is closed."""
_MOST_UNREAD = 1024 * 1024
"""Bytes of the answers that may wait on one pipe, unless it is a single one. A frame from the core is not counted: it
goes to all workers, and is kept once."""
_MOST_UNREAD_BY_ALL = 2 * MAX_FRAME
"""Bytes of the answers that wait on all pipes: past it, the pipe with the most unread is closed."""
_OVERHEAD = 256
"""Bytes that an answer in a queue takes beside its frame."""
_MOST_UNATTACHED = 256
"""How many pipes without an attached worker may be open: of clients, before a Hello, or after the last frame was sent.
"""
_MOST_LOGGED = 1024
_CALLS = frozenset({Reload, *get_args(Operation)})
"""What a person or a program asks for: a set, since each message is looked up, and to build a union takes 4 µs."""
_LONGEST_COMMAND = 200
"""How many characters are kept of a caller's command line."""
_LONGEST_ACTOR = 100
"""How many are kept of whom it says that it calls for."""
_ROOT = 0

Post = Callable[[Received | Drained | PipeEnded], None]


class Pipe:
    """One accepted connection."""

    def __init__(self, number: int, connection: socket.socket, peer: Peer, *, attaches: bool = True) -> None:
        self.attaches = attaches  # whether its peer may attach as a worker
        self.number = number
        self.connection = connection
        self.peer = peer
        self.greeted = False
        self.reads_masked = True  # payloads with the keys of secrets before them
        self.closing = False
        self.timed_since = 0.0
        self.unanswered = 0
        self.who: Who | None = None  # the peer, once it has called
        self.deframer = Deframer(MAX_REQUEST)
        self.outgoing: deque[tuple[memoryview, bool]] = deque()
        self.unread = 0  # bytes of the answers in `outgoing`, and their overhead
        self.stuck = False  # the kernel takes no more now; the selector reports when it takes more

    def flush(self) -> int:
        """Write what the kernel takes, and return how many frames of the core have left. Raises OSError."""
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
                self.unread -= 0 if from_core else _OVERHEAD
                drained += from_core
        return drained

    def take(self, data: bytes) -> int:
        """Write what the kernel takes of this frame now; 0 also for an error, which `flush` meets again."""
        try:
            return self.connection.send(data)
        except OSError:
            return 0

    def caller(self, message: ToOwner) -> Who | None:
        """The peer, if the message is a call or a command. A signal's sender is not the master that asks.

        Only a plain reload can be a signal's: what has a reason, or a force, has a caller, whatever it says of itself.
        """
        if type(message) not in _CALLS or (isinstance(message, Reload) and message == Reload(message.id, "signal")):
            return None
        if self.who is None:
            pid, uid = self.peer
            command = processes.command(pid) if pid > 0 else ""
            who = without_values(Who(uid, pid, command))  # those that it sets may be secret
            self.who = msgspec.structs.replace(who, command=shortened(who.command, _LONGEST_COMMAND))
        actor = message.actor  # type: ignore[union-attr]  # each of the calls has one
        return (
            msgspec.structs.replace(self.who, actor=shortened(printable(actor), _LONGEST_ACTOR)) if actor else self.who
        )

    def has_room(self, size: int) -> bool:
        """Whether an answer of this size may be added to the queue."""
        return len(self.outgoing) < _LONGEST_QUEUE and (not self.unread or self.unread + size <= _MOST_UNREAD)


class Pipes:
    """All pipes of an owner, on the loop's selector. For the loop's thread only.

    Args:
        selector: The loop's selector; every key's data is a function to call when the key is ready.
        post: Called with each input for the core.
        allowed_uids: The users whose processes may open a pipe, beside root.
        timeout: Seconds for a Hello, for the rest of a frame that was begun (a worker sends either in one go), and for
            the reading of a pipe's last frames.
        group: A group whose members may open a pipe, too; -1 for none.
    """

    def __init__(
        self,
        selector: selectors.BaseSelector,
        post: Post,
        allowed_uids: frozenset[int],
        timeout: float,
        group: int = -1,
    ) -> None:
        self.refused: Counter[str] = Counter()
        self._selector = selector
        self._post = post
        self._allowed = allowed_uids
        self._group = group
        self._timeout = timeout
        self._open: dict[int, Pipe] = {}
        self._unattached: dict[int, Pipe] = {}  # pipes of no attached worker, the oldest first
        self._replicas: dict[int, Pipe] = {}  # by pid, the newest pipe of each worker
        self._timed: dict[int, Pipe] = {}  # pipes that have a deadline, the nearest first
        self._logged: set[tuple[str, int]] = set()
        self._next = 1
        self._encoded: dict[tuple[int, bool], tuple[Message, bytes]] = {}
        self._decoded: tuple[bytes, ToOwner | None] = (b"", None)

    # ---- in

    def accept(self, listener: socket.socket) -> bool:
        """Accept all connections that wait, and read at once what each has sent already.

        Returns:
            False when no descriptor is left: the connections wait on, and the socket stays readable.
        """
        for _ in range(_BACKLOG):
            try:
                connection, _ = listener.accept()
            except BlockingIOError:
                return True
            except OSError as error:
                self.refused["accept"] += 1
                _log.error(
                    "a connection to the control socket could not be accepted: %s",
                    error,
                    extra=about("connection_not_accepted", error=error),
                )
                return False
            self._admit(connection)
        return True

    def _admit(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        try:
            peer = peer_of(connection)
            attaches = peer.uid in self._allowed or (peer.uid != _ROOT and is_of_group(connection, self._group))
        except OSError:
            connection.close()
            return
        if not attaches and peer.uid != _ROOT:
            text = "process %d of uid %d connected to the control socket: refused"
            self._count("stranger", peer.pid, text, peer.uid)
            self._refuse_connection(connection, f"uid {peer.uid} is not served here")
            return
        pipe = Pipe(self._next, connection, peer, attaches=attaches)
        self._next += 1
        self._open[pipe.number] = self._unattached[pipe.number] = pipe
        self._start_timer(pipe)
        self._selector.register(connection, selectors.EVENT_READ, lambda mask: self._ready(pipe, mask))
        self._read(pipe)
        self._make_room()

    def _make_room(self) -> None:
        """Close the oldest pipe of the process that has the most, so that no other process loses one."""
        if len(self._unattached) > _MOST_UNATTACHED:
            crowd, count = Counter(pipe.peer.pid for pipe in self._unattached.values()).most_common(1)[0]
            oldest = next(pipe for pipe in self._unattached.values() if pipe.peer.pid == crowd)
            self._refuse(oldest, "crowd", "has %d pipes open: the oldest are closed, to have room", count)

    def _refuse_connection(self, connection: socket.socket, reason: str) -> None:
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
        if pipe.closing:  # messages are dropped; reading goes on to notice the pipe's end
            return
        try:
            for message in self._messages(pipe, data):
                self._post(Received(pipe.number, pipe.peer.pid, message, pipe.caller(message)))
        except ProtocolError as error:
            self._refuse(pipe, "malformed", "sent what the protocol does not allow; its pipe is closed: %s", error)

    def _messages(self, pipe: Pipe, data: bytes) -> Iterator[ToOwner]:
        for body in pipe.deframer.feed(data):
            self._timed.pop(pipe.number, None)
            message = self._decode(body)
            if isinstance(message, Hello) == pipe.greeted:
                raise ProtocolError("Hello is the first frame, and only the first")
            if isinstance(message, Hello):
                pipe.greeted, pipe.reads_masked = True, message.masked
                if message.role == "replica" and not pipe.attaches:
                    self._refuse_to_attach(pipe)
                    return
                if message.role == "replica":
                    self._attach(pipe)
            elif isinstance(message, Request):
                pipe.unanswered += 1
                if pipe.unanswered > _LONGEST_QUEUE:
                    raise ProtocolError(f"{pipe.unanswered} requests wait for their answers")
            yield message
        if pipe.deframer.begun:
            self._start_timer(pipe)

    def _decode(self, body: bytes) -> ToOwner:
        """The message of these bytes: the one before, if it had the same. The votes of a round are alike."""
        known, message = self._decoded
        if message is None or known != body:
            message = decode_to_owner(body)
            if len(body) <= _LONGEST_VOTE:
                self._decoded = body, message
        return message

    def _refuse_to_attach(self, pipe: Pipe) -> None:
        self._count("stranger", pipe.peer.pid, "process %d of root would attach as a worker: refused")
        reason = f"root may ask the config owner of another user (uid {os.geteuid()}), and not attach to it as a worker"
        self._queue(pipe, frame(encode(Refused(reason, final=True))))
        self.close(pipe.number)

    def _attach(self, pipe: Pipe) -> None:
        """Make this the pipe of its process as a worker. The former one is unattached until the core closes it."""
        former = self._replicas.get(pipe.peer.pid)
        self._replicas[pipe.peer.pid] = pipe
        del self._unattached[pipe.number]
        if former is not None:
            self._unattached[former.number] = former
            self._make_room()

    # ---- deadlines

    def _start_timer(self, pipe: Pipe) -> None:
        if pipe.number not in self._timed:
            pipe.timed_since = time.monotonic()
            self._timed[pipe.number] = pipe

    def deadline(self) -> float | None:
        """The next time at which `close_timed_out` has work, on the monotonic clock; None for no deadline."""
        return next((pipe.timed_since + self._timeout for pipe in self._timed.values()), None)

    def close_timed_out(self, now: float) -> None:
        """Close the pipes whose deadline has passed. A worker that lives connects again."""
        for pipe in list(self._timed.values()):
            if pipe.timed_since + self._timeout > now:
                return
            if pipe.closing:
                self._refuse(pipe, "never reads", "has not read in %g s what its pipe ends with", self._timeout)
                continue
            what = "the rest of a frame" if pipe.greeted else "a Hello"
            self._refuse(pipe, "silent", "let us wait for %s for %g s; its pipe is closed", what, self._timeout)

    def _refuse(self, pipe: Pipe, kind: str, text: str, *values: object) -> None:
        self._count(kind, pipe.peer.pid, f"process %d {text}", *values)
        self._end(pipe)

    def _count(self, kind: str, pid: int, text: str, *values: object) -> None:
        """Count an incident, and log it once for each process: a peer that floods the owner does not flood the log.

        The text's first value is the process.
        """
        self.refused[kind] += 1
        if (kind, pid) not in self._logged:
            if len(self._logged) >= _MOST_LOGGED:
                self._logged.clear()
            self._logged.add((kind, pid))
            _log.warning(text, pid, *values, extra=about("peer_refused", kind=kind, pid=pid))

    # ---- out

    def send(self, number: int, message: Message, *, from_core: bool) -> bool:
        """Send this frame on the pipe, if it is still open.

        Returns:
            Whether the core's frame has left: then the caller gives the core Drained. Otherwise `post` gets it later.
        """
        pipe = self._open.get(number)
        if pipe is None or pipe.closing:
            return False
        if isinstance(message, Refused):
            self._count("hello", pipe.peer.pid, "process %d is refused: %s", message.reason)
        if not from_core:
            answer, whole = frame_of(message)
            if not whole:
                self._count("long", pipe.peer.pid, "process %d asked for more than a frame can be: shortened")
            self._answer(pipe, answer)
            return False
        try:
            data = self._encode(message, plain=not pipe.reads_masked)
        except ProtocolError as error:
            self._refuse(pipe, "long", "can't be sent what it must have: %s; its pipe is closed", error)
            return False
        sent = 0 if pipe.outgoing else pipe.take(data)
        if sent == len(data):  # as nearly always: there is no queue
            return True
        pipe.outgoing.append((memoryview(data)[sent:], True))
        return len(pipe.outgoing) == 1 and self._flush(pipe)

    def _answer(self, pipe: Pipe, answer: bytes) -> None:
        pipe.unanswered -= 1
        if not pipe.has_room(len(answer)):
            self._refuse(pipe, "never reads", "asks and never reads; its pipe is closed")
            return
        self._queue(pipe, answer)
        if pipe.unread and sum(each.unread for each in self._open.values()) > _MOST_UNREAD_BY_ALL:
            most = max(self._open.values(), key=lambda each: each.unread)
            self._refuse(most, "never reads", "reads less than all others of what it asked; its pipe is closed")

    def _queue(self, pipe: Pipe, answer: bytes) -> None:
        pipe.outgoing.append((memoryview(answer), False))
        pipe.unread += len(answer) + _OVERHEAD
        if len(pipe.outgoing) == 1:
            self._flush(pipe)

    def _encode(self, message: Message, *, plain: bool) -> bytes:
        """The frame of a message, encoded once for all workers, and kept for the next few calls."""
        known = self._encoded.get((id(message), plain))
        if known is None:
            if len(self._encoded) > 8:
                self._encoded.clear()
            body = encode(_with_plain_payloads(message) if plain else message)
            known = self._encoded[id(message), plain] = (message, frame(body))
        return known[1]

    def _flush(self, pipe: Pipe) -> bool:
        """Write what the kernel takes. Returns whether the core's frame has left; a pipe has at most one on its way."""
        try:
            drained = pipe.flush()
        except OSError:
            # The peer has closed, and may have sent Goodbye before: read what it sent, up to the end. Nothing more is
            # sent, whatever the error was: a peer that lives after all sees the pipe's end, and reconnects.
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
        """Close this pipe once all frames for it have left, or its deadline has passed. No PipeEnded follows.

        Until then it counts as unattached, so a peer that attaches over and over and never reads takes bounded room.
        """
        pipe = self._open.get(number)
        if pipe is None or pipe.closing:
            return
        pipe.closing = True
        if not pipe.outgoing:
            self._close(pipe)
            return
        self._timed.pop(number, None)
        self._start_timer(pipe)
        self._unattached[number] = pipe
        self._make_room()

    def close_all(self) -> None:
        """Close every pipe, after one more try to write what waits on it."""
        for pipe in list(self._open.values()):
            self._flush(pipe)
            if pipe.number in self._open:
                self._close(pipe)

    def _end(self, pipe: Pipe) -> None:
        self._close(pipe)
        if not pipe.closing:
            self._post(PipeEnded(pipe.number))

    def _close(self, pipe: Pipe) -> None:
        self._unattached.pop(pipe.number, None)
        self._timed.pop(pipe.number, None)
        if self._replicas.get(pipe.peer.pid) is pipe:
            del self._replicas[pipe.peer.pid]
        if self._open.pop(pipe.number, None) is not None:
            self._selector.unregister(pipe.connection)
            pipe.connection.close()


P = TypeVar("P", Prepare, Install, OnTrial)


def _with_plain_payloads(message: Message) -> Message:
    """The message without the keys of secrets before its payloads, for a worker of a build that does not know them.

    It would take them for another schema's payload, and veto it. The digests stay: they do not count the keys.
    """
    if isinstance(message, Install):
        trial = None if message.trial is None else _plain(message.trial)
        return msgspec.structs.replace(_plain(message), trial=trial)
    return _plain(message) if isinstance(message, Prepare) else message


def _plain(message: P) -> P:
    return msgspec.structs.replace(message, payload=without_masked(message.payload))
