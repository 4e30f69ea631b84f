"""What signals do before a server has its own handlers, and after: to a worker that starts, and a program that goes on.

Between a worker's start and its server's handlers there may be seconds of imports. A forked worker inherits the
master's handlers: a TERM would be noted in a copy of the master that nobody runs, and the server's stop would wait for
this worker for ever. One that is spawned has none: a HUP for the whole process group would kill it. So the master holds
these signals back while it starts a worker, which the worker inherits, and the worker lets them through when it has
said what they do.

In its master a server keeps the handlers that it has set. In a program that goes on afterwards they would note a TERM
that nobody looks at any more: so the program's own are given back.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType

FULL_RELOAD: signal.Signals | None = getattr(signal, "SIGRTMIN", None)
"""What has a launcher replace its workers, as the server's own HUP did. None on a system that has no such signal."""

RELOADS = frozenset({signal.SIGHUP} if FULL_RELOAD is None else {signal.SIGHUP, FULL_RELOAD})
"""The signals by which a master is told to reload something; the default action of each is to end the process."""

_BLOCKED = RELOADS | {signal.SIGTERM, signal.SIGINT}

Handler = Callable[[int, FrameType | None], object]


def full_reload_of(pid: int) -> str:
    """In words, what has this master reload fully: `kill -RTMIN 4711`."""
    return "a restart of it (this system has no SIGRTMIN)" if FULL_RELOAD is None else f"kill -RTMIN {pid}"


@contextmanager
def held(numbers: Iterable[signal.Signals] = _BLOCKED) -> Iterator[None]:
    """In the master, around the start of a worker: signals come afterwards. In the main thread."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def restored(numbers: Iterable[signal.Signals | int] = _BLOCKED) -> Iterator[None]:
    """Around a server: afterwards these signals have the handlers that they had before. In the main thread."""
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def nothing(number: int, frame: FrameType | None) -> None:
    """A handler. SIG_IGN in its place would be inherited by every program that the process starts."""


def unblock(*default: signal.Signals, reloads: Handler = nothing) -> None:
    """In a worker, first of all: say what signals do, and let those through that the master has held back.

    Args:
        *default: These get their default action.
        reloads: What HUP and SIGRTMIN do; they are the master's business, and come here by its word, or for the whole
            process group.
    """
    for number in RELOADS:
        signal.signal(number, reloads)
    for number in default:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _BLOCKED)
