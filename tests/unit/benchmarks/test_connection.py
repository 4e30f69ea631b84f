"""The client of `scripts/bench --servers`: what counts as answered, as failed, as lost. The test is the server."""

from __future__ import annotations

import selectors
import socket
from collections.abc import Iterator

import pytest

from benchmarks.servers.connection import Asked, Connection
from tests.support.waiting import DEADLINE

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n3 77"
CLOSING = ANSWER.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n")


class Bench:
    """One connection, and a listener that the test answers from."""

    def __init__(self, *, keeps: bool = True) -> None:
        self.asked: list[Asked] = []
        self.keeps = keeps
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(DEADLINE)
        self.selector = selectors.DefaultSelector()
        port = self.listener.getsockname()[1]
        self.connection = Connection(self.selector, port, "/x", lambda _, asked: self.asked.append(asked), keeps=keeps)

    def turn(self) -> None:
        """What the selector finds next is handled."""
        found = self.selector.select(DEADLINE)
        assert found
        for key, _ in found:
            key.data.ready()

    def accept(self) -> socket.socket:
        """Ask, and have the request arrive."""
        self.connection.ask(1.0)
        self.turn()
        peer, _ = self.listener.accept()
        peer.settimeout(DEADLINE)
        self.hear(peer)
        return peer

    def hear(self, peer: socket.socket) -> None:
        request = peer.recv(1000)
        assert request.startswith(b"GET /x HTTP/1.1\r\n")
        assert (b"\r\nConnection: keep-alive\r\n" in request) is self.keeps

    def outcomes(self) -> list[str]:
        return [each.outcome for each in self.asked]

    def close(self) -> None:
        self.connection.give_up()
        self.selector.close()
        self.listener.close()


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


def test_an_answer_may_come_in_pieces(bench: Bench):
    with bench.accept() as peer:
        for piece in (ANSWER[:20], ANSWER[20:-2], ANSWER[-2:]):
            assert bench.asked == []
            peer.sendall(piece)
            bench.turn()
    (asked,) = bench.asked
    assert (asked.outcome, asked.due, asked.number, asked.pid) == ("answered", 1.0, 3, 77)


def test_a_kept_connection_is_asked_again(bench: Bench):
    with bench.accept() as peer:
        for _ in range(2):
            peer.sendall(ANSWER)
            bench.turn()
            bench.connection.ask(2.0)
            bench.hear(peer)
    assert bench.outcomes() == ["answered"] * 2


@pytest.mark.parametrize("answer", [ANSWER, CLOSING])
def test_one_that_is_not_kept_is_closed_whoever_says_so(answer: bytes):
    bench = Bench(keeps=answer is CLOSING)
    try:
        with bench.accept() as peer:
            peer.sendall(answer)
            bench.turn()
            assert not bench.connection.is_open
    finally:
        bench.close()


def test_a_kept_connection_that_is_closed_without_an_answer_has_lost_its_request(bench: Bench):
    with bench.accept() as peer:
        peer.sendall(ANSWER)
        bench.turn()
        bench.connection.ask(2.0)
        bench.hear(peer)
    bench.turn()
    assert bench.outcomes() == ["answered", "lost"]


def test_a_kept_connection_that_is_closed_while_nothing_is_asked_has_lost_nothing(bench: Bench):
    with bench.accept() as peer:
        peer.sendall(ANSWER)
        bench.turn()
    bench.turn()
    assert not bench.connection.is_open
    with bench.accept() as peer:
        peer.sendall(ANSWER)
        bench.turn()
    assert bench.outcomes() == ["answered"] * 2


def test_a_new_connection_that_is_closed_without_an_answer_has_failed(bench: Bench):
    bench.accept().close()
    bench.turn()
    assert bench.outcomes() == ["failed"]


def test_an_answer_that_is_cut_off_has_failed_on_a_kept_connection_too(bench: Bench):
    with bench.accept() as peer:
        peer.sendall(ANSWER)
        bench.turn()
        bench.connection.ask(2.0)
        bench.hear(peer)
        peer.sendall(ANSWER[:-1])
        bench.turn()
    bench.turn()
    assert bench.outcomes() == ["answered", "failed"]


@pytest.mark.parametrize("answer", [ANSWER.replace(b"200 OK", b"503 No"), ANSWER.replace(b"3 77", b"oops")])
def test_what_is_not_the_applications_answer_has_failed(bench: Bench, answer: bytes):
    with bench.accept() as peer:
        peer.sendall(answer)
        bench.turn()
    assert bench.outcomes() == ["failed"]


def test_a_refused_connection_has_failed(bench: Bench):
    bench.listener.close()
    bench.connection.ask(1.0)
    bench.turn()
    assert bench.outcomes() == ["failed"]


def test_what_is_given_up_has_failed(bench: Bench):
    with bench.accept():
        bench.connection.give_up()
    assert bench.outcomes() == ["failed"]
