"""Loads run in the loop's own thread; a second thread takes the loop over from a load that lasts.

To hand a load to a thread of its own, and its result back, takes a tenth of a whole reload into four workers: each way
wakes a thread and passes the GIL on. So the thread that runs the loop loads, too, and another one stands by. It looks
ten times a second while loads are frequent, and sleeps otherwise. When a load has lasted for `RELIEF_AFTER`, it takes
the loop over. Once that load has ended, the first thread takes the loop back: an owner whose first load was slow, since
it imported a parser, has quick loads from then on.

Guarantees: one thread at a time runs the loop, and passes it on between two turns. Every load runs in one thread, the
first, since a source of the user's may hold what is bound to its thread (a connection of sqlite3). A deadline, a signal
and a query wait for a load that hangs for twice `RELIEF_AFTER` at the most. The main thread does neither: it waits for
the end of the loop, and ends the process though a load hangs.

Rejected: a timer's signal instead of a thread that stands by (its handler runs in the main thread, or its mask is
inherited by programs that a validator starts).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

RELIEF_AFTER = 0.1
"""Seconds that a load may keep the loop waiting before the other thread takes the loop over."""

_FREQUENT = 1.0
"""Seconds after a load in which another one wakes nobody: the thread that stands by looks by itself."""


class Relief:
    """The two threads, and which of them runs the loop.

    Args:
        wait: Called in the main thread before it waits; the two threads have its signal mask from before.

    Attributes:
        given: Whether the second thread runs the loop, while the first one is in a load that lasts.
    """

    def __init__(self, wait: Callable[[], object] = lambda: None) -> None:
        self.given = False
        self._wait = wait
        self._looping = 0
        self._lock = threading.Lock()
        self._bell = threading.Lock()
        self._bell.acquire()
        self._asleep = False
        self._began = self._last = 0.0  # when the load's present step began, 0.0 for none, and the last one before
        self._first = 0  # the thread that loads
        self._returned = threading.Semaphore(0)  # the loop was given back, or has ended
        self._is_wanted_back = False
        self._ended = threading.Event()
        self._error: BaseException | None = None

    def run(self, turns: Callable[[], None], wake: Callable[[], object]) -> None:
        """Run the loop in the first thread, and wait here for its end.

        Args:
            turns: Runs the loop until it ends, or until `has_loop` is False.
            wake: Ends the wait of a turn in another thread, so that `has_loop` is asked.

        Raises:
            BaseException: What `turns` has raised.
        """

        def first() -> None:
            self._first = threading.get_ident()
            self._run_loop(turns)
            while self.given and not self._ended.is_set():  # the load has ended from which the loop was taken over
                self._is_wanted_back = True
                wake()
                self._returned.acquire()
                if not self._ended.is_set():
                    self._run_loop(turns)

        def second() -> None:
            while self._stands_by():
                self._run_loop(turns)

        for run, name in ((second, "confcast-relief"), (first, "confcast-load")):  # what only waits first
            threading.Thread(target=run, name=name, daemon=True).start()
        self._wait()
        self._ended.wait()
        if self._error is not None:
            raise self._error

    def has_loop(self) -> bool:
        """Whether the calling thread runs the loop. Ask between turns: if the loop is wanted back, it is passed on."""
        if self._looping != threading.get_ident():
            return False
        if self._is_wanted_back:
            with self._lock:
                self._is_wanted_back = self.given = False
                self._looping = self._first
            self._returned.release()
            return False
        return True

    # ---- the loop's thread, around each step of a load

    def step_begins(self) -> None:
        """A step of a load begins in the loop's thread."""
        self._began = self._last = time.monotonic()
        if self._asleep:
            self._asleep = False
            self._bell.release()

    def step_ended(self) -> bool:
        """The step has ended. Returns whether the calling thread still runs the loop."""
        with self._lock:
            self._began = 0.0
        return not self.given

    # ---- inside

    def _run_loop(self, turns: Callable[[], None]) -> None:
        self._looping = me = threading.get_ident()
        try:
            turns()
        except BaseException as error:
            self._error = error
        if self._looping == me or self._error is not None:
            self._ended.set()
            self._ring()
            self._returned.release()

    def _stands_by(self) -> bool:
        """Wait for a load that lasts, then take the loop over. Returns False at the loop's end."""
        while not self._ended.is_set():
            with self._lock:
                now = time.monotonic()
                if self._began and now - self._began >= RELIEF_AFTER:
                    self.given, self._looping = True, threading.get_ident()
                    return True
                # In this order, so that a step that begins now is seen here, or sees that this thread sleeps.
                self._asleep = now - self._last > _FREQUENT
                asleep = self._asleep = self._asleep and not self._began
            self._bell.acquire(timeout=-1 if asleep else RELIEF_AFTER)
        return False

    def _ring(self) -> None:
        """End the other thread's wait."""
        with self._lock:
            if self._asleep:
                self._asleep = False
                self._bell.release()
