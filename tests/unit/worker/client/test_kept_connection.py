"""A client that keeps its connection: when it is used again, when it is not, and that nothing of it is left."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from confcast.errors import ConfcastError
from confcast.wire.messages import (
    Hello,
    Message,
    Refused,
    Reload,
    Stats,
    StatsRequest,
    Workers,
    WorkersRequest,
)
from confcast.worker.client.kept_connection import KeptConnection
from tests.support import links
from tests.support.forking import holds_in_child
from tests.support.waiting import DEADLINE, in_thread


class Guest(links.Owner):
    """A connection as an owner that the test plays sees it."""

    def serves(self, version: int) -> list[type[Message]]:
        """Up to a request for stats, which it answers; returns what it received."""
        kinds: list[type[Message]] = []
        while not kinds or kinds[-1] is not StatsRequest:
            kinds.append(type(self.receive()))
        self.say(Stats(1, {"version": version}))
        return kinds


class Owner:
    """Listens, and has a client."""

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening
        self._guests: list[Guest] = []
        self.client = KeptConnection(listening.getsockname(), "app")

    def accepts(self) -> Guest:
        self._guests.append(Guest(self._listening))
        return self._guests[-1]

    def has_no_other_guest(self) -> bool:
        self._listening.setblocking(False)
        try:
            self._listening.accept()[0].close()
        except BlockingIOError:
            return True
        finally:
            self._listening.settimeout(DEADLINE)
        return False

    def close(self) -> None:
        self.client.close()
        for guest in self._guests:
            guest.close()


@pytest.fixture
def owner() -> Iterator[Owner]:
    with links.control_socket() as listening:
        owner = Owner(listening)
        yield owner
        owner.close()


def asked(owner: Owner, version: int, guest: Guest | None = None) -> Guest:
    """The guest over which one question went and its answer came; a new one, if none is given."""
    ended = in_thread(owner.client.get_stats)
    over = guest or owner.accepts()
    kinds = over.serves(version)
    assert ended() == {"version": version}
    assert kinds == ([Hello, StatsRequest] if guest is None else [StatsRequest])
    return over


def test_two_questions_go_over_one_connection(owner: Owner) -> None:
    guest = asked(owner, 1)
    asked(owner, 2, guest)
    assert owner.has_no_other_guest()


def test_a_connection_that_has_ended_meanwhile_is_replaced(owner: Owner) -> None:
    """By an owner that was restarted, or put out a guest."""
    asked(owner, 1).close()
    again = asked(owner, 2)
    asked(owner, 3, again)


def test_a_question_that_has_left_is_not_asked_again(owner: Owner) -> None:
    """What became of it is not known: the owner may have died of it."""
    guest = asked(owner, 1)
    ended = in_thread(lambda: owner.client.ask(lambda number: Reload(number), DEADLINE))
    assert isinstance(guest.receive(), Reload)
    guest.close()
    assert ended() is None
    assert owner.has_no_other_guest()
    asked(owner, 2)


def test_an_answer_that_comes_too_late_answers_no_other_question(owner: Owner) -> None:
    ended = in_thread(lambda: owner.client.ask(WorkersRequest, 0.05))
    guest = owner.accepts()
    assert ended() is None
    assert isinstance(guest.receive(), Hello)
    assert isinstance(guest.receive(), WorkersRequest)
    assert guest.receive() is None
    asked(owner, 2)


def test_a_refusal_is_raised_and_its_connection_is_not_kept(owner: Owner) -> None:
    ended = in_thread(owner.client.get_stats)
    guest = owner.accepts()
    guest.say(Refused("not here", True))
    with pytest.raises(ConfcastError, match="not here"):
        ended()
    guest.receive(), guest.receive()
    assert guest.receive() is None


def test_threads_that_ask_at_once_have_a_connection_each_and_one_is_kept(owner: Owner) -> None:
    first = in_thread(lambda: owner.client.ask(WorkersRequest, DEADLINE))
    one = owner.accepts()
    other = asked(owner, 2)
    one.say(Workers(1, []))
    assert first() == Workers(1, [])
    one.receive(), one.receive()
    assert one.receive() is None
    asked(owner, 3, other)


def test_a_closed_client_keeps_nothing_and_still_asks(owner: Owner) -> None:
    guest = asked(owner, 1)
    owner.client.close()
    assert guest.receive() is None
    later = asked(owner, 2)
    assert later.receive() is None


def test_what_is_asked_when_the_client_is_closed_gets_its_answer(owner: Owner) -> None:
    ended = in_thread(owner.client.get_stats)
    guest = owner.accepts()
    guest.receive()
    owner.client.close()
    guest.serves(4)
    assert ended() == {"version": 4}
    assert guest.receive() is None


def test_a_forked_child_lets_go_of_the_connection_and_the_parent_goes_on(owner: Owner) -> None:
    guest = asked(owner, 1)
    known = guest.connection.getsockname()

    def holds_none() -> bool:
        names = []
        for entry in Path("/proc/self/fd").iterdir():
            try:
                with socket.socket(fileno=os.dup(int(entry.name))) as copy:
                    names.append(copy.getpeername())
            except OSError:
                continue
        return known not in names

    assert not holds_none()
    assert holds_in_child(holds_none)
    asked(owner, 2, guest)
