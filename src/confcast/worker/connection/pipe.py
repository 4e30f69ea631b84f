"""The socket calls of a replica's pipe: send a message whole, receive, and end a receive that another thread waits in.

A pipe is a blocking stream socket with a send timeout of its own, so that receiving may wait for ever while sending
does not. After a send that fails nothing may follow on the pipe: half a frame may have left.

Rejected: one timeout for both directions (an owner that sends nothing is no fault, one that takes no message is), and
closing a socket that another thread reads (the thread would not wake).
"""

from __future__ import annotations

import logging
import select
import socket
import struct
from collections.abc import Callable, Iterator

from confcast.log_fields import about
from confcast.wire.framing import Deframer, frame
from confcast.wire.messages import Message, ToWorker, decode_to_worker, encode

_log = logging.getLogger("confcast.worker")

_MOST_READ = 65536  # above 128 KiB malloc maps and unmaps the buffer at every read


def receive(connection: socket.socket, deframer: Deframer) -> Iterator[ToWorker] | None:
    """Yield what has come, decoding each message when it is its turn; returns None at the end of the pipe.

    No variable keeps a message's bytes: while an application's function runs, error trackers may send the variables of
    this frame. Raises TimeoutError, another OSError, or ProtocolError.
    """
    data = connection.recv(_MOST_READ)
    return map(decode_to_worker, deframer.feed(data)) if data else None


def wait_of(connection: socket.socket) -> Callable[[], object]:
    """What waits until something can be received or the pipe has ended; to be called before `receive`.

    A thread that waits in `recv` on a Unix stream socket is woken whenever the other end reads what it has sent: so it
    is in Linux 6.18, whose `unix_write_space` wakes all that sleep on the socket. That is a switch for nothing after
    each vote and each Applied, and with 64 workers a tenth of a reload. One that waits in `poll` is only woken by what
    it waits for. Green sockets wait in `recv`, since they may not block the thread.
    """
    if type(connection).__module__ != socket.__name__ or not hasattr(select, "poll"):
        return _no_wait
    waiting = select.poll()
    waiting.register(connection, select.POLLIN)
    return waiting.poll


def _no_wait() -> None:
    """Leaves the waiting to `recv`."""


def try_to_send(connection: socket.socket, message: Message) -> bool:
    """Send a message. Returns whether all of it was sent; an owner that takes nothing in time counts as gone."""
    try:
        connection.sendall(frame(encode(message)))
    except OSError:
        return False
    return True


def limit_sending(connection: socket.socket, seconds: float) -> None:
    """Set the send timeout, which also limits connecting."""
    whole = int(seconds)
    limit = struct.pack("ll", whole, int((seconds - whole) * 1e6))
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)


def is_open_and_empty(connection: socket.socket) -> bool:
    """Whether the other end has neither closed nor sent anything that is unread. Leaves the socket non-blocking."""
    connection.settimeout(0)  # not MSG_DONTWAIT, with which a green socket would wait all the same
    try:
        connection.recv(1, socket.MSG_PEEK)
    except OSError as error:
        return isinstance(error, BlockingIOError)
    return False


def shut(connection: socket.socket) -> None:
    """End the pipe, and wake the thread that reads it, which closing alone would not wake."""
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError as error:
        _log.debug("the pipe had ended already: %s", error, extra=about("pipe_ended", error=error))
