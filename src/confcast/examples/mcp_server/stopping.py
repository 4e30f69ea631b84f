"""Endless streams are ended when the process receives TERM or INT.

uvicorn waits for the answers that are under way, and only then ends the lifespan. The answer to a client that listens
is a stream without an end: unless this module ends that stream, every stop takes all of `timeout_graceful_shutdown`,
and then breaks the stream off. Rejected: a short time-out instead (it would break long calls off as well).
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def at_a_stop(close: Callable[[], None]) -> Iterator[None]:
    """Inside the block, call `close` on this loop when TERM or INT comes, in addition to the server's own handler.

    A signal for which the server has no handler is not handled; outside the main thread, no signal is.
    """
    loop = asyncio.get_running_loop()
    servers: dict[int, Callable[[int, FrameType | None], object]] = {}

    def handle(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(close)
        servers[number](number, frame)

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            before = signal.getsignal(number)
            if callable(before):
                servers[number] = before
                signal.signal(number, handle)
    try:
        yield
    finally:
        for stopping, before in servers.items():
            signal.signal(stopping, before)
