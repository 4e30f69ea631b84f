"""Clients that wait for the next change: each is told, at once if it has missed one, and none waits for ever."""

from __future__ import annotations

import time

import pytest

from confcast.owner.loop.open_question import Answered, OpenQuestion
from confcast.owner.loop.waiting_clients import MOST, WaitingClients
from confcast.wire.messages import Answer, Differences, DiffRequest, News, NewsRequest


class Bench:
    """Waiting clients, what they were sent, and the state that they are told of."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, Answer]] = []
        self.submitted: list[OpenQuestion] = []
        self.state, self.looks = 1, 0
        self.clients = WaitingClients(10.0, lambda *sent: self.sent.append(sent), self.submitted.append, self._look)

    def _look(self) -> int:
        self.looks += 1
        return self.state

    def known(self) -> str:
        """The present state, as a client that asks anew is told."""
        self.clients.await_news(0, NewsRequest(0))
        _, answer = self.sent.pop()
        assert isinstance(answer, News)
        return answer.state


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_client_that_knows_nothing_is_told_at_once(bench: Bench) -> None:
    assert bench.known()
    assert bench.clients.deadline() is None


def test_one_that_knows_the_state_waits_until_it_changes(bench: Bench) -> None:
    known = bench.known()
    bench.clients.await_news(1, NewsRequest(7, known))
    bench.clients.tell()
    assert bench.sent == []
    bench.state = 2
    bench.clients.tell()
    [(pipe, answer)] = bench.sent
    assert isinstance(answer, News)
    assert (pipe, answer.id) == (1, 7)
    assert answer.state != known
    assert bench.known() == answer.state


def test_one_that_has_missed_a_change_is_told_at_once(bench: Bench) -> None:
    known = bench.known()
    bench.state = 2
    bench.clients.await_news(1, NewsRequest(7, known))
    assert len(bench.sent) == 1


def test_one_of_another_owner_is_told_at_once(bench: Bench) -> None:
    bench.clients.await_news(1, NewsRequest(7, Bench().known()))
    assert len(bench.sent) == 1


def test_it_is_answered_in_its_time_though_nothing_has_changed(bench: Bench) -> None:
    known = bench.known()
    bench.clients.await_news(1, NewsRequest(7, known, 20.0))
    now, until = time.monotonic(), bench.clients.deadline()
    assert until is not None
    assert now + 19.0 < until < now + 20.1
    bench.clients.expire(until - 0.1, lambda: "")
    assert bench.sent == []
    bench.clients.expire(until, lambda: "")
    assert bench.sent == [(1, News(7, known))]
    assert bench.clients.deadline() is None


@pytest.mark.parametrize("seconds", [1e9, -1.0])
def test_no_client_chooses_to_wait_for_ever(bench: Bench, seconds: float) -> None:
    bench.clients.await_news(1, NewsRequest(7, bench.known(), seconds))
    until = bench.clients.deadline()
    assert until is not None
    assert until < time.monotonic() + 61.0


def test_past_the_bound_the_one_that_has_waited_longest_is_answered(bench: Bench) -> None:
    known = bench.known()
    for pipe in range(MOST):
        bench.clients.await_news(pipe, NewsRequest(7, known))
    assert bench.sent == []
    bench.clients.await_news(MOST, NewsRequest(7, known))
    assert bench.sent == [(0, News(7, known))]


def test_nothing_is_looked_at_while_nobody_waits(bench: Bench) -> None:
    bench.known()
    looks = bench.looks
    bench.clients.tell()
    bench.clients.expire(time.monotonic(), lambda: "")
    assert bench.looks == looks


def test_who_waits_is_told_when_a_next_owner_takes_over(bench: Bench) -> None:
    bench.clients.await_news(1, NewsRequest(7, bench.known()))
    bench.clients.forget()
    bench.clients.tell()
    assert [pipe for pipe, _ in bench.sent] == [1]


def test_a_question_and_news_wait_beside_each_other(bench: Bench) -> None:
    bench.clients.await_news(1, NewsRequest(7, bench.known(), 50.0))
    bench.clients.ask(2, OpenQuestion(0, DiffRequest(8)))
    deadline = bench.clients.deadline()
    assert deadline is not None
    assert deadline < time.monotonic() + 10.1
    [ask] = bench.submitted
    bench.clients.answered(Answered(ask.number, Differences(8)))
    assert bench.sent == [(2, Differences(8))]
    bench.clients.ask(3, Differences(9))
    assert bench.sent[1:] == [(3, Differences(9))]
