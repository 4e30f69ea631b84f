"""What a main thread waits for: whoever posts, and signals, whichever thread they come to."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from confcast.serve.events import Events
from tests.support.waiting import DEADLINE, eventually


@pytest.fixture
def events() -> Events:
    return Events()


def waits() -> bool:
    """Whether the main thread sleeps in a call of the system."""
    state: str = Path(f"/proc/self/task/{os.getpid()}/stat").read_text().rpartition(")")[2].split()[0]
    return state == "S"


def meanwhile(act: Callable[[], object]) -> threading.Thread:
    """A thread that acts once the main one waits."""

    def run() -> None:
        eventually(waits, "the main thread's wait")
        act()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_what_was_posted_comes_in_its_order_and_nothing_within_a_time(events: Events) -> None:
    done = list[int]()
    events.post(lambda: done.append(1))  # before anything is awaited
    with events.awaited():
        events.post(lambda: done.append(2))
        while (event := events.next(0.001)) is not None:
            event()
    events.post(lambda: done.append(3))  # afterwards
    assert done == [1, 2]


def test_a_thread_that_posts_ends_the_wait(events: Events) -> None:
    with events.awaited():
        thread = meanwhile(lambda: events.post(print))
        assert events.next(DEADLINE) is print
        thread.join()


def test_a_signal_that_another_thread_takes_ends_the_wait(events: Events) -> None:
    """The kernel may give it to any thread, and the interpreter runs its handler in the main one."""
    before = signal.signal(signal.SIGUSR2, lambda number, frame: events.post(print))
    try:
        with events.awaited():
            thread = meanwhile(lambda: signal.pthread_kill(threading.get_ident(), signal.SIGUSR2))
            assert events.next(DEADLINE) is print
            thread.join()
    finally:
        signal.signal(signal.SIGUSR2, before)


def test_a_thousand_signals_and_posts_fill_nothing(events: Events) -> None:
    before = signal.signal(signal.SIGUSR2, lambda number, frame: None)
    try:
        with events.awaited():
            for _ in range(1000):
                os.kill(os.getpid(), signal.SIGUSR2)
                events.post(print)
            assert [events.next(DEADLINE) for _ in range(1000)] == [print] * 1000
            assert events.next(0.001) is None
    finally:
        signal.signal(signal.SIGUSR2, before)


def test_what_woke_the_process_before_does_so_again_afterwards(events: Events) -> None:
    with events.awaited():
        first = signal.set_wakeup_fd(-1)
        signal.set_wakeup_fd(first)
        with Events().awaited():
            assert signal.set_wakeup_fd(-1) not in (-1, first)
        assert signal.set_wakeup_fd(first) == first
    assert signal.set_wakeup_fd(-1) == -1
