"""One HTTP/1.1 connection that never blocks, with one request at a time: what all the load is made of.

Written by hand, because the client shares two cores with what it measures: an answer costs it some 30 µs.

An answer that does not come is either `failed` (refused, reset, timed out, cut off, or not a 200) or `lost`: asked over
a connection that had been answered before, and which the server closed without a byte of an answer. Servers do that
when they end a worker that keeps connections open; clients repeat such a request, if it may be repeated. This one does
not. A connection that the server closes while nothing is asked is no failure: the next request opens another one.
"""

from __future__ import annotations

import selectors
import socket
from collections.abc import Callable
from time import monotonic
from typing import Literal, NamedTuple

_GOOD = b"HTTP/1.1 200 "
_HEAD_END = b"\r\n\r\n"
_READ = 65536
_ACKNOWLEDGE_AT_ONCE = getattr(socket, "TCP_QUICKACK", socket.TCP_NODELAY)  # forgotten by the kernel after a while

Outcome = Literal["answered", "failed", "lost"]


class Asked(NamedTuple):
    """One request, and what came of it. Times are seconds of CLOCK_MONOTONIC.

    Attributes:
        due: When it should have been sent; where the load is open, waiting for the connection counts.
        done: When its answer was complete, or when it failed.
        outcome: What came of it.
        number: The configuration that the answer shows; 0 without one.
        pid: The worker that answered; 0 without an answer.
        why: There was no answer, or not a good one.
    """

    due: float
    done: float
    outcome: Outcome
    number: int = 0
    pid: int = 0
    why: str = ""


class Connection:
    """Connects when it is asked something, and again after the server has closed it.

    Args:
        selector: Waits for it; `ready` is to be called with what it finds.
        port: Of the server.
        path: What to ask for.
        tell: Called with each request, when it is over. It may ask again at once.
        keeps: Whether it stays open after an answer.
    """

    def __init__(
        self,
        selector: selectors.BaseSelector,
        port: int,
        path: str,
        tell: Callable[[Connection, Asked], None],
        *,
        keeps: bool = True,
    ) -> None:
        self._selector = selector
        self._address = ("127.0.0.1", port)
        kept = "keep-alive" if keeps else "close"
        self._request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: {kept}\r\n\r\n".encode()
        self._tell = tell
        self._keeps = keeps
        self._socket: socket.socket | None = None
        self._is_connecting = False
        self._was_answered = False
        self._received = b""
        self.due: float | None = None
        """Of the request that waits for its answer."""
        self.sent = 0.0
        """When it was really sent, or the last one was."""

    @property
    def is_open(self) -> bool:
        """Whether there is a connection now."""
        return self._socket is not None

    def ask(self, due: float) -> None:
        """Send a request; there must be none that waits."""
        self.due, self.sent = due, monotonic()
        if self._socket is None:
            self._connect()
        else:
            self._send(self._socket)

    def ready(self) -> None:
        """The selector has found it so."""
        if self._socket is None:
            return
        if self._is_connecting:
            self._is_connecting = False
            self._selector.modify(self._socket, selectors.EVENT_READ, self)
            self._send(self._socket)
        else:
            self._receive(self._socket)

    def give_up(self, why: str = "given up") -> None:
        """Close it; a request that waits has failed."""
        self._end("failed", why)

    def _connect(self) -> None:
        self._socket = socket.socket()
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.connect_ex(self._address)  # what becomes of it shows when it is sent to
        self._is_connecting, self._was_answered = True, False
        self._selector.register(self._socket, selectors.EVENT_WRITE, self)

    def _send(self, to: socket.socket) -> None:
        try:
            to.send(self._request)
            # Some servers send head and body by themselves over a socket that waits for the client's acknowledgement in
            # between (uvicorn's and hypercorn's workers), which a client's kernel delays: 40 ms without any work.
            to.setsockopt(socket.IPPROTO_TCP, _ACKNOWLEDGE_AT_ONCE, 1)
        except OSError as error:
            self._break(error.strerror or str(error))

    def _receive(self, of: socket.socket) -> None:
        try:
            part = of.recv(_READ)
        except BlockingIOError:
            return
        except OSError as error:
            self._break(error.strerror or str(error))
            return
        if not part or self.due is None:
            self._break("closed")
            return
        self._received += part
        head, found, body = self._received.partition(_HEAD_END)
        if found and len(body) >= _length(head):
            self._answer(head.lower(), body)

    def _answer(self, head: bytes, body: bytes) -> None:
        if not head.startswith(_GOOD.lower()):
            self._end("failed", head.partition(b"\r\n")[0].decode(errors="replace"))
            return
        try:
            number, pid = map(int, body.split())
        except ValueError:
            self._end("failed", "not the application's answer")
            return
        asked = Asked(self._due(), monotonic(), "answered", number, pid)
        self._received, self._was_answered = b"", True
        if not self._keeps or b"connection: close" in head:
            self._close()
        self._tell(self, asked)

    def _break(self, why: str) -> None:
        """The server has ended the connection."""
        self._end("lost" if self._was_answered and not self._received else "failed", why)

    def _end(self, outcome: Outcome, why: str) -> None:
        self._close()
        if self.due is not None:
            self._tell(self, Asked(self._due(), monotonic(), outcome, why=why))

    def _due(self) -> float:
        due, self.due = self.due, None
        assert due is not None
        return due

    def _close(self) -> None:
        self._received = b""
        if self._socket is not None:
            self._selector.unregister(self._socket)
            self._socket.close()
            self._socket = None


def _length(head: bytes) -> int:
    """Of the body. An answer without a length is none of our application's, and is taken as whole."""
    _, _, after = head.lower().partition(b"content-length:")
    return int(after.partition(b"\r\n")[0] or 0)
