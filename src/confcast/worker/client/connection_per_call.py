"""A client that asks an owner without a replica: each request goes over a connection of its own.

A client is on no roster: no reload waits for it, and it holds no version. It is given the owner's address; `client.py`
and the command line find that out, and their requests may be hours apart. A master asks more often, and keeps its
connection (`kept_connection.py`).
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

from confcast.errors import ConfcastError, ProtocolError
from confcast.texts import printable
from confcast.wire.framing import Deframer, frame
from confcast.wire.messages import PROTOCOL, Answer, Hello, Refused, Reload, Request, decode_to_client, encode
from confcast.worker.client.verbs import Verbs


class NotSent(OSError):
    """No owner got the request, so it may be sent once more."""


SHORTEST = 0.001
"""Seconds that a socket waits at the least: 0 would make it non-blocking."""
_SEND_TIMEOUT = 5.0


class AddressClient(Verbs):
    """The client verbs over connections to a control socket. Safe from any thread and after a fork."""

    def __init__(self, address: str, name: str) -> None:
        self.address = address
        self.name = name

    def ask(self, make: Callable[[int], Request], timeout: float) -> Answer | None:
        """Send one request. Returns None if no answer came within `timeout` seconds.

        Raises:
            ConfcastError: The owner refused to answer, and says why; or its answer can't be read.
        """
        try:
            return self.ask_once(make, timeout)
        except NotSent:
            return None

    def ask_once(self, make: Callable[[int], Request], timeout: float) -> Answer | None:
        """Send one request, as `ask` does. Raises NotSent if no owner got it, and what `ask` raises."""
        deadline = time.monotonic() + timeout
        try:
            connection = self._send(make(1), timeout)
        except OSError as error:
            raise NotSent from error
        answer = None
        try:
            answer = _first_answer(connection, deadline)
        except OSError:
            return None
        except ProtocolError as error:
            raise ConfcastError(
                f"what the config owner at {self.address} answers can't be read; it may run another version of "
                f"confcast: {error}"
            ) from error
        finally:
            self._release(connection, answered=isinstance(answer, Answer))
        if isinstance(answer, Refused):
            raise ConfcastError(printable(answer.reason))
        return answer

    def request_reload(self) -> bool:
        """Ask for a reload and wait for nothing; whether the request has left. Takes no lock: for signal handlers."""
        try:
            self._open(Reload(1, "signal"), _SEND_TIMEOUT).close()
        except OSError:
            return False
        return True

    def _ask(self, make: Callable[[int], Request], timeout: float) -> Answer | None:
        return self.ask(make, timeout)

    def _send(self, request: Request, timeout: float) -> socket.socket:
        """Send a request. Returns the connection on which its answer comes. Raises OSError."""
        return self._open(request, timeout)

    def _release(self, connection: socket.socket, *, answered: bool) -> None:
        """Close the connection of a request that is over. `answered`: the answer came, and the connection is idle."""
        connection.close()

    def _open(self, request: Request, timeout: float) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        hello = Hello(PROTOCOL, 0, "client", self.name)
        try:
            connection.settimeout(max(SHORTEST, timeout))
            connection.connect(self.address)
            connection.sendall(frame(encode(hello)) + frame(encode(request)))
        except BaseException:
            connection.close()
            raise
        return connection


def _first_answer(connection: socket.socket, deadline: float) -> Answer | Refused | None:
    deframer = Deframer()
    while True:
        connection.settimeout(max(SHORTEST, deadline - time.monotonic()))
        data = connection.recv(65536)
        if not data:
            return None
        if bodies := deframer.feed(data):
            return decode_to_client(bodies[0])
