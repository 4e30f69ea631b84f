"""The signal mask of confcast's threads: they take no signals, since the application expects them in its main thread.

The kernel gives a process's signal to any thread that has not blocked it: to the main thread first, but not while that
has another signal pending (a TERM for the group, and at once the master's own). With Python's handlers, the thread that
takes the signal only sets a flag, and the main thread stays in its system call. With other handlers, the handler runs
in the wrong thread: uWSGI's ends the interpreter in confcast's thread, which waits for the main thread for ever. And a
signal that the main thread has blocked, for `sigwait`, would kill the process.

A program, and a thread, inherit the mask of the thread that starts them. So a function of the application's runs under
the mask that the thread began with, and an owner starts with those signals blocked that would end it too early.

Rejected: blocking around each wait (two system calls for each message that is read), and recognising a greenlet by
whether this is the main thread (gevent may have patched the library, and run its loop in another thread).

The module `signal` would make an enum member of each number of a mask: 250 µs, where the call takes 5 µs.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import contextlib
import threading
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager

_thread = threading.local()

# Faults in the thread itself, which faulthandler reports.
_FAULTS = {_signal.SIGSEGV, _signal.SIGBUS, _signal.SIGFPE, _signal.SIGILL, _signal.SIGABRT}
_SIGNALS: tuple[int, ...] = tuple(_signal.valid_signals() - _FAULTS)

BLOCKED_AT_THE_START: frozenset[int] = frozenset(
    getattr(_signal, name) for name in ("SIGHUP", "SIGUSR1", "SIGRTMIN") if hasattr(_signal, name)
)
"""Signals that a server's master, or a program that rotates logs, may send before the owner has its handlers."""


def block_signals(starter: int) -> None:
    """Block signals in this thread, at its beginning. Does nothing in a greenlet, which has no thread of its own.

    Args:
        starter: `threading.get_native_id()` of the thread that started this one. A greenlet has the same number.
    """
    if threading.get_native_id() != starter:
        _thread.before = _signal.pthread_sigmask(_signal.SIG_BLOCK, _SIGNALS)


def application_signals() -> AbstractContextManager[None]:
    """Restore the mask from before `block_signals` around a call of an application's function or a thread's start."""
    before = getattr(_thread, "before", None)
    return contextlib.nullcontext() if before is None else _masked(_signal.SIG_SETMASK, before)


def signals_blocked(starter: int) -> AbstractContextManager[None]:
    """Block signals, as `block_signals` does, around one wait in a thread that starts programs itself."""
    is_green = threading.get_native_id() == starter
    return contextlib.nullcontext() if is_green else _masked(_signal.SIG_BLOCK, _SIGNALS)


def held_back() -> AbstractContextManager[None]:
    """Block `BLOCKED_AT_THE_START` around the start of a program, which inherits the mask and unblocks them."""
    return _masked(_signal.SIG_BLOCK, BLOCKED_AT_THE_START)


@contextlib.contextmanager
def _masked(how: int, signals: Iterable[int]) -> Iterator[None]:
    before = _signal.pthread_sigmask(how, signals)
    try:
        yield
    finally:
        _signal.pthread_sigmask(_signal.SIG_SETMASK, before)
