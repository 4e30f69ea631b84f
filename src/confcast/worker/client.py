"""Asking an owner without a replica: each question over a connection of its own, that lives for it.

A client is on no roster: no reload waits for it, and it holds nothing. For the command line, for programs beside the
server, and for a master that has not attached. Rejected: one connection kept open (an owner that is restarted, and a
fork, would each have to be noticed between two questions that may be hours apart).
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

from confcast.errors import ConfcastError, ProtocolError
from confcast.wire.framing import Deframer, frame
from confcast.wire.messages import PROTOCOL, Answer, Hello, Message, Refused, Request, decode_to_worker, encode
from confcast.worker.verbs import Verbs

_SHORTEST = 0.001
_SEND_TIMEOUT = 5.0


class Client(Verbs):
    """The client verbs over connections of their own. Safe from any thread and after a fork.

    Args:
        address: The owner's control socket.
        name: The configuration's name.
    """

    def __init__(self, address: str, name: str) -> None:
        self.address = address
        self.name = name

    def ask(self, make: Callable[[int], Request], timeout: float) -> Answer | None:
        """Ask once; None when nobody answered within `timeout` seconds.

        Raises:
            ConfcastError: The owner refused to answer, and why.
        """
        deadline = time.monotonic() + timeout
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            try:
                self._open(connection, make(1), timeout)
                answer = _first_answer(connection, deadline)
            except (OSError, ProtocolError):
                return None
        if isinstance(answer, Refused):
            raise ConfcastError(answer.reason)
        return answer

    def tell(self, request: Request) -> bool:
        """Send a request and wait for nothing; whether it has left. Takes no lock: for signal handlers."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            try:
                self._open(connection, request, _SEND_TIMEOUT)
            except OSError:
                return False
        return True

    def _ask(self, make: Callable[[int], Request], timeout: float) -> Answer | None:
        return self.ask(make, timeout)

    def _open(self, connection: socket.socket, request: Message, timeout: float) -> None:
        connection.settimeout(max(_SHORTEST, timeout))
        connection.connect(self.address)
        hello = Hello(PROTOCOL, 0, "client", self.name)
        connection.sendall(frame(encode(hello)) + frame(encode(request)))


def _first_answer(connection: socket.socket, deadline: float) -> Answer | Refused | None:
    deframer = Deframer()
    while True:
        connection.settimeout(max(_SHORTEST, deadline - time.monotonic()))
        data = connection.recv(65536)
        if not data:
            return None
        for body in deframer.feed(data):
            message = decode_to_worker(body)
            if isinstance(message, Answer | Refused):
                return message
