"""The owner's mailbox: nothing posted is lost, whoever posts, and whoever waits is woken."""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Iterator

import pytest

from confcast.owner.loop.mailbox import Mailbox

MANY = 20_000


@pytest.fixture
def mailbox() -> Iterator[Mailbox[int]]:
    made: Mailbox[int] = Mailbox()
    yield made
    made.close()


def is_readable(mailbox: Mailbox[int], timeout: float = 0.0) -> bool:
    return bool(select.select([mailbox], [], [], timeout)[0])


def test_it_is_readable_while_something_is_in_it_and_not_after(mailbox: Mailbox[int]) -> None:
    assert not is_readable(mailbox)
    mailbox.post(1)
    mailbox.post(2)
    assert is_readable(mailbox)

    assert mailbox.take() == [1, 2]
    assert not is_readable(mailbox)
    assert mailbox.take() == []


def test_more_than_its_socket_holds_is_not_lost(mailbox: Mailbox[int]) -> None:
    for number in range(MANY):
        mailbox.post(number)

    assert mailbox.take() == list(range(MANY))
    mailbox.post(1)
    assert is_readable(mailbox)


def test_nothing_that_threads_post_is_lost_and_each_one_s_order_is_kept(mailbox: Mailbox[int]) -> None:
    posting = [
        threading.Thread(target=lambda of=of: [mailbox.post(number) for number in range(of, MANY, 4)])
        for of in range(4)
    ]
    for thread in posting:
        thread.start()
    taken: list[int] = []
    while len(taken) < MANY:
        assert is_readable(mailbox, 10.0), f"{MANY - len(taken)} are left and nobody is woken"
        taken += mailbox.take()
    for thread in posting:
        thread.join()

    assert sorted(taken) == list(range(MANY))
    for of in range(4):
        assert [number for number in taken if number % 4 == of] == list(range(of, MANY, 4))


def test_a_signal_handler_may_post_in_the_middle_of_posting_and_taking(mailbox: Mailbox[int]) -> None:
    handled = 0

    def post(number: int, frame: object) -> None:
        nonlocal handled
        handled += 1
        mailbox.post(-1)

    before = signal.signal(signal.SIGALRM, post)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    taken: list[int] = []
    try:
        for number in range(MANY):
            mailbox.post(number)
            taken += mailbox.take()
        while not handled:
            taken += mailbox.take()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    taken += mailbox.take()

    assert [number for number in taken if number >= 0] == list(range(MANY))
    assert taken.count(-1) == handled > 0


def test_a_signal_is_an_item_though_thousands_were_posted_before_it_was_read() -> None:
    box: Mailbox[str] = Mailbox({signal.SIGUSR1: "rotated"})
    handler, wakeup = signal.signal(signal.SIGUSR1, lambda number, frame: None), signal.set_wakeup_fd(-1)
    try:
        signal.set_wakeup_fd(box.wakeup_fd, warn_on_full_buffer=False)
        for _ in range(5000):
            box.post("posted")
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGUSR1)
        taken = box.take()
        assert (taken.count("rotated"), taken.count("posted")) == (1, 5000)
        assert box.take() == []
        box.post("again")
        assert select.select([box], [], [], 0)[0] == [box]
    finally:
        signal.set_wakeup_fd(wakeup)
        signal.signal(signal.SIGUSR1, handler)
        box.close()
