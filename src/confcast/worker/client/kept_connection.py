"""A client that keeps its connection from one request to the next, for a process that asks one owner often.

Connecting and sending Hello cost a fifth of a whole reload into four workers. One idle connection is kept, and only if
its answer has just come. It may have ended meanwhile (the owner was restarted, or had too many clients): then writing
the next request fails, and it goes over a new connection. A request that was sent is never sent again: whether the
owner carried it out is not known. Threads that ask at the same time have a connection each. A forked child closes the
connection that it inherits: otherwise the owner would go on counting a client that does not exist.

Rejected: one connection that threads share (a thread would have to read it).
"""

from __future__ import annotations

import functools
import os
import socket
import weakref

from confcast.wire.framing import frame
from confcast.wire.messages import Request, encode
from confcast.worker.client.connection_per_call import SHORTEST, AddressClient

_all: weakref.WeakSet[KeptConnection] = weakref.WeakSet()


class KeptConnection(AddressClient):
    """The client verbs over a connection that is kept. Safe from any thread, and closed in a forked child."""

    def __init__(self, address: str, name: str) -> None:
        super().__init__(address, name)
        self._idle: list[socket.socket] = []  # taken and put back by atomic operations, without a lock
        self._closed = False
        _all.add(self)
        _hook_fork()

    def close(self) -> None:
        """Keep no connection any more. Open requests still get their answers. From any thread; may be called again."""
        self._closed = True
        while (connection := self._take()) is not None:
            connection.close()

    def _send(self, request: Request, timeout: float) -> socket.socket:
        kept = self._take()
        if kept is not None:
            try:
                kept.settimeout(max(SHORTEST, timeout))
                kept.sendall(frame(encode(request)))
            except OSError:  # the connection ended, or can't take a whole frame: the owner received no request on it
                kept.close()
            else:
                return kept
        return self._open(request, timeout)

    def _release(self, connection: socket.socket, *, answered: bool) -> None:
        if not answered or self._idle:
            connection.close()
            return
        self._idle.append(connection)
        if self._closed:  # `close()` was called meanwhile
            self.close()

    def _take(self) -> socket.socket | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None


@functools.cache
def _hook_fork() -> None:
    """Have forked children close what they inherit. Called with the first client, and not at import."""
    os.register_at_fork(after_in_child=_in_child)


def _in_child() -> None:
    for client in _all:
        client.close()
