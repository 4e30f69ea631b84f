"""A thread of confcast's takes no signal: signals are the main thread's, as the application expects.

A signal for the process goes to any thread that has not blocked it; to the main thread first, but not while that has
another one pending: a TERM for the group, and at once the master's own. Where handlers are Python's, the thread that
took it can only set a flag, and the main thread stays in its system call. Where they are not, the handler runs in the
wrong thread: uWSGI's ends the interpreter in ours, which waits for the main thread for ever. And a main thread that has
blocked a signal to take it by `sigwait` would be killed by it.

A program, and a thread, inherit the mask of the thread that starts them. So a function of the application's runs under
the mask that the thread began with. Rejected: blocking around each wait (two system calls for each message that is
read), and asking whether this is the main thread, to tell a greenlet (gevent may have patched the library, and run its
loop in another one).

The module `signal` would make an enum member of each number of a mask, at every call: 250 µs where the call takes 5 µs.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import contextlib
import threading
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager

_thread = threading.local()

# The thread's own faults, which faulthandler tells of.
_FAULTS = {_signal.SIGSEGV, _signal.SIGBUS, _signal.SIGFPE, _signal.SIGILL, _signal.SIGABRT}
_SIGNALS: tuple[int, ...] = tuple(_signal.valid_signals() - _FAULTS)


def block_signals(starter: int) -> None:
    """At a thread's begin: it takes no signal from now on. Nothing in a greenlet, whose thread is not its own.

    Args:
        starter: What `threading.get_native_id()` gave where it was started. A greenlet has the same.
    """
    if threading.get_native_id() != starter:
        _thread.before = _signal.pthread_sigmask(_signal.SIG_BLOCK, _SIGNALS)


def application_signals() -> AbstractContextManager[None]:
    """Around a call of the application's, or the start of a thread: the mask is what it was before `block_signals`."""
    before = getattr(_thread, "before", None)
    return contextlib.nullcontext() if before is None else _masked(_signal.SIG_SETMASK, before)


def signals_blocked(starter: int) -> AbstractContextManager[None]:
    """As `block_signals`, for one wait in a thread that starts programs itself."""
    is_green = threading.get_native_id() == starter
    return contextlib.nullcontext() if is_green else _masked(_signal.SIG_BLOCK, _SIGNALS)


def held_back(signals: Iterable[int]) -> AbstractContextManager[None]:
    """Around the start of a program, which inherits it: these come when the program lets them through."""
    return _masked(_signal.SIG_BLOCK, signals)


@contextlib.contextmanager
def _masked(how: int, signals: Iterable[int]) -> Iterator[None]:
    before = _signal.pthread_sigmask(how, signals)
    try:
        yield
    finally:
        _signal.pthread_sigmask(_signal.SIG_SETMASK, before)
