"""The socket calls of a pipe: what a peek shows, and what wakes a receive."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from confcast.wire.framing import Deframer
from confcast.wire.messages import Goodbye
from confcast.worker.connection.pipe import is_open_and_empty, limit_sending, receive, shut, try_to_send
from tests.support.waiting import in_thread


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_a_pipe_is_empty_until_something_or_its_end_has_come(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    assert is_open_and_empty(ours)
    theirs.sendall(b"x")
    assert not is_open_and_empty(ours)
    assert ours.recv(1) == b"x"
    theirs.close()
    assert not is_open_and_empty(ours)


def test_a_peer_that_takes_nothing_counts_as_gone_after_the_send_timeout(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    ours, _ = pair
    assert try_to_send(ours, Goodbye()), "a peer that has room is no gone one"
    limit_sending(ours, 0.05)
    while try_to_send(ours, Goodbye()):
        pass
    assert not try_to_send(ours, Goodbye())


def test_shutting_wakes_the_thread_that_receives(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, _ = pair
    received = in_thread(lambda: receive(ours, Deframer()))
    shut(ours)
    assert received() is None
    shut(ours)  # ended already: nothing is raised
