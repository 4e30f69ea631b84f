"""Event loops that are closed, and processes that end, while a look-up of a host's name hangs.

asyncio looks names up in a pool of threads (`socket.getaddrinfo` can't be cancelled). Its own pool is waited for when
`asyncio.run` ends, and once more when the interpreter does; and it has a few threads, so that some tries to connect to
a name whose resolver says nothing leave none for anything else.

Guaranteed: whoever waits for such a look-up may be cancelled, and nothing waits for its thread. A name is looked up
once at a time, for all loops of the process: whoever asks meanwhile waits for the same answer, or, after AGAIN seconds,
for that of another try. MOST threads hang at the most; then look-ups are refused, as an OSError. Other calls
(`asyncio.to_thread`) each have a thread of their own, and don't wait for look-ups.

What goes with it: whatever such a thread does is cut off at the end of the process, so it has to leave whole files.

Rejected: a resolver of our own (it would know nothing of `/etc/hosts`, NSS and mDNS), and look-ups in one thread (one
that hangs would hold up the names of all other sources).
"""

from __future__ import annotations

import errno
import socket
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from concurrent.futures.thread import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")

AGAIN = 30.0
"""Seconds for which a look-up may hang before whoever asks for the same name begins another one."""

MOST = 16
"""Look-ups that may hang at the same time."""


class _LookUp(NamedTuple):
    began: float
    answer: Future[Any]


_look_ups: dict[Any, _LookUp] = {}  # the newest one by its arguments
_hanging = 0
_lock = threading.Lock()


def new_event_loop() -> asyncio.AbstractEventLoop:
    """An event loop like this; for `asyncio.Runner(loop_factory=)`, too."""
    import asyncio

    loop = asyncio.new_event_loop()
    loop.set_default_executor(_DaemonThreads())
    return loop


def run(main: Coroutine[Any, Any, T]) -> T:
    """As `asyncio.run`, in a loop like this. What a library has left open at its end is closed.

    Raises:
        KeyboardInterrupt: After Ctrl-C in the main thread, once `main` has ended.
    """
    from confcast.wire.interruptible import Interruptible

    with Interruptible(new_event_loop) as loop:
        try:
            return loop.run(lambda: main)
        finally:
            loop.run(abort_transports, closes=True)


async def abort_transports() -> None:
    """Close the sockets that wait for their other side: asyncpg does not wait for the end of what was refused."""
    import asyncio

    transports: Any = getattr(asyncio.get_running_loop(), "_transports", {})  # asyncio's own loops have them
    for transport in list(transports.values()):
        transport.abort()
    await asyncio.sleep(0)


class _DaemonThreads(ThreadPoolExecutor):
    """A daemon thread for each call; asyncio takes no default executor that is none of ThreadPoolExecutor's kind."""

    def __init__(self) -> None:
        super().__init__(max_workers=1)  # of which none is ever started

    def submit(self, call: Callable[..., Any], /, *args: Any, **options: Any) -> Future[Any]:
        """See Executor.submit."""
        if call is socket.getaddrinfo:
            return _looked_up(call, args)
        answer: Future[Any] = Future()
        answer.set_running_or_notify_cancel()  # so that a cancellation does not reach it: others may wait, too
        _start(answer, lambda: call(*args, **options))
        return answer

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Wait for nothing."""


def _looked_up(call: Callable[..., Any], args: Any) -> Future[Any]:
    global _hanging
    with _lock:
        known = _look_ups.get(args)
        if known is not None and time.monotonic() - known.began < AGAIN:
            return known.answer
        answer: Future[Any] = Future()
        answer.set_running_or_notify_cancel()
        if _hanging >= MOST:
            answer.set_exception(OSError(errno.EAGAIN, "the system's resolver gives no answers"))
            return answer
        _hanging += 1
        _look_ups[args] = _LookUp(time.monotonic(), answer)
    _start(answer, lambda: call(*args), lambda: _ended(args, answer))
    return answer


def _ended(args: Any, answer: Future[Any]) -> None:
    global _hanging
    with _lock:
        _hanging -= 1
        known = _look_ups.get(args)
        if known is not None and known.answer is answer:
            del _look_ups[args]


def _start(answer: Future[Any], call: Callable[[], Any], ended: Callable[[], None] = lambda: None) -> None:
    """Have a thread call this, then `ended`, and then give what it returned or raised."""

    def run() -> None:
        try:
            found, failed = call(), None
        except BaseException as error:
            found, failed = None, error
        ended()
        if failed is None:
            answer.set_result(found)
        else:
            answer.set_exception(failed)

    try:
        threading.Thread(target=run, name="confcast-call", daemon=True).start()
    except RuntimeError as error:  # the system gives no thread
        ended()
        answer.set_exception(OSError(errno.EAGAIN, str(error)))
