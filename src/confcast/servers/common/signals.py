"""No signal is lost, or kills by default, while a worker starts; and a program has its handlers again after its server.

Between a worker's start and its server's handlers there may be seconds of imports. A forked worker inherits the
master's handlers: they would put a TERM into a copy of the master's queue that nothing reads, and the server's stop
would wait for this worker for ever. A spawned worker has no handlers: a HUP for the whole process group would kill it.
So the master blocks these signals while it starts a worker, the worker inherits the blocked mask, and it unblocks them
once it has set handlers.

A server leaves its handlers in its process. In a program that goes on afterwards they would only note a TERM that
nothing acts on any more: so `restored` sets the program's own handlers again.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType

FULL_RELOAD: signal.Signals | None = getattr(signal, "SIGRTMIN", None)
"""At this signal a master replaces its workers, as the server's own HUP did. None: the system has no SIGRTMIN."""

RELOADS = frozenset({signal.SIGHUP} if FULL_RELOAD is None else {signal.SIGHUP, FULL_RELOAD})
"""The signals that ask a master for a reload; the default action of each is to end the process."""

_BLOCKED = RELOADS | {signal.SIGTERM, signal.SIGINT}

Handler = Callable[[int, FrameType | None], object]


def full_reload_of(pid: int) -> str:
    """The command that makes this master reload fully: `kill -RTMIN 4711`."""
    return "a restart of it (this system has no SIGRTMIN)" if FULL_RELOAD is None else f"kill -RTMIN {pid}"


@contextmanager
def blocked(numbers: Iterable[signal.Signals] = _BLOCKED) -> Iterator[None]:
    """Block these signals around the start of a worker, and deliver them afterwards. For the master's main thread."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def restored(numbers: Iterable[signal.Signals | int] = _BLOCKED) -> Iterator[None]:
    """Set the handlers of these signals back to what they were, when the server has ended. For the main thread."""
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def nothing(number: int, frame: FrameType | None) -> None:
    """A handler that does nothing. SIG_IGN instead would be inherited by programs that the process starts."""


def unblock(*default: signal.Signals, reloads: Handler = nothing) -> None:
    """Set handlers in a worker, before all else, then unblock the signals that the master has blocked.

    Args:
        *default: The signals that get their default action.
        reloads: The handler of HUP and SIGRTMIN. A worker gets these when its master passes them on, or when they are
            sent to the whole process group.
    """
    for number in RELOADS:
        signal.signal(number, reloads)
    for number in default:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _BLOCKED)
