"""Which thread takes no signal, and under which mask it calls the application's functions."""

from __future__ import annotations

import signal
import threading
from contextlib import AbstractContextManager

import pytest

from confcast.wire.signal_mask import application_signals, block_signals, signals_blocked
from tests.support.waiting import in_thread

OUTSIDE = {signal.SIGUSR2}
TO_A_PROCESS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1}


def mask() -> set[int]:
    return set(signal.pthread_sigmask(signal.SIG_BLOCK, []))


def in_a_thread_of_ours(function):
    """What the function gives in a thread that began with a mask of its own, and blocks its signals."""
    starter = threading.get_native_id()

    def run():
        signal.pthread_sigmask(signal.SIG_SETMASK, OUTSIDE)
        block_signals(starter)
        return function()

    return in_thread(run)()


def fail_in(context: AbstractContextManager[None], seen: list[set[int]]) -> None:
    with context:
        seen.append(mask())
        raise KeyError


def test_it_takes_no_signal_that_is_sent_to_the_process():
    blocked = in_a_thread_of_ours(mask)
    assert blocked >= TO_A_PROCESS
    assert not blocked & {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT}


def test_a_function_of_the_application_s_runs_under_the_mask_that_the_thread_began_with():
    def call() -> tuple[set[int], set[int]]:
        seen: list[set[int]] = []
        with pytest.raises(KeyError):
            fail_in(application_signals(), seen)
        return seen[0], mask()

    inside, afterwards = in_a_thread_of_ours(call)
    assert inside == OUTSIDE
    assert afterwards >= TO_A_PROCESS


def test_a_wait_gives_the_mask_back_whatever_ends_it():
    def wait() -> tuple[set[int], set[int]]:
        signal.pthread_sigmask(signal.SIG_SETMASK, OUTSIDE)
        seen: list[set[int]] = []
        with pytest.raises(KeyError):
            fail_in(signals_blocked(-1), seen)
        return seen[0], mask()

    inside, afterwards = in_thread(wait)()
    assert inside >= TO_A_PROCESS
    assert afterwards == OUTSIDE


def test_what_runs_in_the_thread_that_started_it_is_green_and_leaves_the_mask_alone():
    def green() -> set[int]:
        signal.pthread_sigmask(signal.SIG_SETMASK, OUTSIDE)
        block_signals(threading.get_native_id())
        with signals_blocked(threading.get_native_id()), application_signals():
            return mask()

    assert in_thread(green)() == OUTSIDE
