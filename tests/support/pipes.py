"""The owner's end of pipes on a real control socket, with a selector that the test turns."""

from __future__ import annotations

import selectors
import socket
from pathlib import Path
from typing import Any

from confcast.owner.core.effects import Received
from confcast.owner.loop.connections import Pipes
from confcast.wire.framing import frame
from confcast.wire.listener import SOCKET, listen
from confcast.wire.messages import PROTOCOL, Hello, encode

HELLO = Hello(PROTOCOL, 0, "replica", "app")


class Bench:
    """Pipes on a control socket, and what they posted."""

    def __init__(self, folder: Path, allowed: frozenset[int], timeout: float = 10.0) -> None:
        self.posted: list[Any] = []
        self.selector = selectors.DefaultSelector()
        self.pipes = Pipes(self.selector, self.posted.append, allowed, timeout)
        self.address = folder / SOCKET
        self.listener = listen(self.address)

    def connect(self, *messages: Any) -> socket.socket:
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        peer.settimeout(10)
        peer.connect(str(self.address))
        for message in messages:
            peer.sendall(frame(encode(message)))
        self.pipes.accept(self.listener)
        return peer

    def turn(self) -> None:
        for key, mask in self.selector.select(10):
            key.data(mask)

    def rests(self) -> bool:
        """Whether nothing is ready: the loop would sleep."""
        return not self.selector.select(0)

    def close(self) -> None:
        self.pipes.close_all()
        self.listener.close()
        self.selector.close()

    def messages(self) -> list[Any]:
        return [item.message if isinstance(item, Received) else item for item in self.posted]
