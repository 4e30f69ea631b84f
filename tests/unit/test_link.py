"""A replica's pipe, against an owner that the test plays itself on a real control socket."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from confcast.wire.framing import Deframer, frame
from confcast.wire.messages import (
    Applied,
    Goodbye,
    Hello,
    Install,
    Message,
    Settled,
    StatsRequest,
    decode_to_owner,
    encode,
)
from confcast.worker.link import Link
from confcast.worker.protocol import GiveUp, Held, Machine
from tests.support.waiting import DEADLINE, eventually, in_thread


class Listener:
    """The holder of the link: keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def swapped(self, old: Held | None, new: Held) -> None:
        self.told.append(("swapped", new.version))

    def renumbered(self, new: Held) -> None:
        self.told.append(("renumbered", new.version))

    def caught_up(self) -> None:
        self.told.append("caught up")

    def settled(self, held: Held) -> None:
        self.told.append(("settled", held.version))

    def gave_up(self, why: GiveUp) -> None:
        self.told.append(why)


class Owner:
    """One pipe's other end."""

    def __init__(self, listening: socket.socket) -> None:
        listening.settimeout(DEADLINE)
        self._connection, _ = listening.accept()
        self._connection.settimeout(DEADLINE)
        self._deframer = Deframer()
        self._messages: list[Message] = []

    def say(self, message: Message) -> None:
        self._connection.sendall(frame(encode(message)))

    def hear(self) -> Message | None:
        """The next message; None at the end of the pipe."""
        while not self._messages:
            data = self._connection.recv(65536)
            if not data:
                return None
            self._messages = [decode_to_owner(body) for body in self._deframer.feed(data)]
        return self._messages.pop(0)

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with tempfile.TemporaryDirectory(prefix="cc-") as folder, socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(Path(folder) / "sock"))
        listening.listen()
        yield listening


@pytest.fixture
def holder() -> Listener:
    return Listener()


@pytest.fixture
def link(listening: socket.socket, holder: Listener) -> Iterator[Link]:
    machine = Machine(lambda payload: payload, lambda old, new: ())
    link = Link(listening.getsockname(), "app", b"schema", machine, holder, lambda saved: None)
    link.start()
    yield link
    link.close()


@pytest.fixture
def owner(listening: socket.socket, link: Link) -> Iterator[Owner]:
    owner = Owner(listening)
    assert isinstance(owner.hear(), Hello)
    yield owner
    owner.close()


def test_closing_says_goodbye(link: Link, owner: Owner) -> None:
    link.close()

    assert owner.hear() == Goodbye()
    assert owner.hear() is None


def test_a_close_that_the_reading_thread_is_ahead_of_says_goodbye_all_the_same(link: Link, owner: Owner) -> None:
    """It stops after the frame that it is busy with, before `close()` has said anything."""
    eventually(lambda: link.connected, "the pipe")
    link._stop.set()
    owner.say(Settled(1))
    eventually(lambda: not link.connected, "the end of the conversation")
    link.close()

    assert owner.hear() == Goodbye()


def test_what_is_installed_is_answered_and_the_holder_knows_that_it_is_the_newest(
    owner: Owner, holder: Listener
) -> None:
    owner.say(Install(3, b"digest", b"payload"))

    assert owner.hear() == Applied(3)
    assert eventually(lambda: len(holder.told) == 2 and holder.told, "both") == [("swapped", 3), "caught up"]


def test_an_open_call_ends_without_an_answer_when_the_pipe_does(
    link: Link, owner: Owner, listening: socket.socket
) -> None:
    answer = in_thread(lambda: link.ask(StatsRequest, 30.0))
    assert isinstance(owner.hear(), StatsRequest)
    owner.close()

    assert answer() is None
    again = Owner(listening)
    assert isinstance(again.hear(), Hello)
    again.close()


def test_a_frame_that_is_no_message_ends_the_pipe_and_a_new_one_is_opened(
    owner: Owner, listening: socket.socket
) -> None:
    owner._connection.sendall(frame(b"\xc1"))

    assert owner.hear() is None
    again = Owner(listening)
    assert isinstance(again.hear(), Hello)
    again.close()
