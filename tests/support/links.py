"""A replica's pipe and both its ends: an owner that the test plays itself, and a listener that keeps the reports."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from confcast.wire.files import goodbye_files
from confcast.wire.framing import Deframer, frame
from confcast.wire.messages import Message, Refused, decode_to_owner, encode
from confcast.worker.connection.fallback import FALLBACK_AFTER
from confcast.worker.connection.link import Link
from confcast.worker.connection.machine import Held, Keep, Machine, Slot, Terminate
from tests.support.waiting import DEADLINE


class Listener:
    """The link's listener: keeps what is reported to it."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def swapped(self, old: Held | None, new: Held) -> None:
        self.told.append(("swapped", new.version))

    def renumbered(self, new: Held) -> None:
        self.told.append(("renumbered", new.version))

    def caught_up(self) -> None:
        self.told.append("caught up")

    def tried(self, slot: Slot) -> None:
        self.told.append(("on trial", slot.held.version if slot.held else 0, slot.begun))

    def kept(self, keep: Keep) -> None:
        self.told.append(("kept", keep.version, keep.seconds))

    def settled(self, held: Held) -> None:
        self.told.append(("settled", held.version))

    def report_observers(self, number: int) -> None:
        if number:
            self.told.append(("asked", number))

    def terminated(self, why: Terminate) -> None:
        self.told.append(why)

    def next_owner_refused(self, address: str, refused: Refused) -> None:
        self.told.append((address, refused))


class Owner:
    """The other end of one connection: of the next one to this socket."""

    def __init__(self, listening: socket.socket) -> None:
        listening.settimeout(DEADLINE)
        self.connection, _ = listening.accept()
        self.connection.settimeout(DEADLINE)
        self._deframer = Deframer()
        self._messages: list[Message] = []

    def say(self, message: Message) -> None:
        self.connection.sendall(frame(encode(message)))

    def receive(self) -> Message | None:
        """The next message; None at the end of the pipe."""
        while not self._messages:
            data = self.connection.recv(65536)
            if not data:
                return None
            self._messages = [decode_to_owner(body) for body in self._deframer.feed(data)]
        return self._messages.pop(0)

    def push(self, data: bytes) -> None:
        self.connection.sendall(data)

    def close(self) -> None:
        self.connection.close()


@contextmanager
def control_socket() -> Iterator[socket.socket]:
    """Listening, in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="cc-") as folder, socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(Path(folder) / "sock"))
        listening.listen()
        goodbye_files.make_folder(Path(folder))
        yield listening


def new_link(address: str, listener: Listener) -> Link:
    """Not started; payloads are configurations as they are."""
    machine = Machine(lambda payload: payload, lambda number, old, new: (), lambda: True)
    return Link(address, "app", b"schema", machine, listener, lambda saved: None, FALLBACK_AFTER)
