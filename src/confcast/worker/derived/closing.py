"""Closes what no version has any more: after its linger, after the last pin of its versions, in reverse order.

A thread waits for the times and for the ends of versions; it is there only while something is to be closed or kept. The
end of a version wakes it only if something may be closed then: a swap that leaves every thing as it is neither starts
nor wakes a thread, which would take as long as the rest of the swap. A close that raises or does not end is logged and
counted, and stops nothing: each runs in a thread of its own, and the next begins after ten seconds at the latest. An
awaitable that a close gives is awaited on the loop of the build.

A version ends with the last reference to its `Things`. That may be noticed in any thread, while any lock is held: so
only a queue hears of it.

Rejected: a timer for each thing (a thread each), and closing where the last pin ends (a request would wait for it).
"""

from __future__ import annotations

import contextlib
import inspect
import itertools
import logging
import math
import queue
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from confcast.log_fields import about
from confcast.texts import printable
from confcast.wire.signal_mask import application_signals, block_signals
from confcast.worker.derived.building import awaited_on, is_running_here, text_of
from confcast.worker.derived.things import Contents, Declaration, Thing, Things

if TYPE_CHECKING:  # importing it takes 6 MiB, which a worker without a loop need not pay
    import asyncio

_log = logging.getLogger("confcast.worker")

PATIENCE = 10.0
"""Seconds that one close may take before the next thing is closed."""


class Closing:
    """The things of one replica that have been built and are not closed.

    Args:
        mask: Masks the secrets of a configuration in a text: `mask(text, instead, config)`.
        loop: Returns the event loop that is bound, or None.
    """

    def __init__(
        self, mask: Callable[..., str], loop: Callable[[], asyncio.AbstractEventLoop | None], patience: float = PATIENCE
    ) -> None:
        self._mask = mask
        self._loop = loop
        self._patience = patience
        self._lock = threading.RLock()  # reentrant: the garbage collector may run while it is held
        self._open: dict[int, Thing] = {}  # by serial number, so in the order of building
        self._unheld: dict[int, Thing] = {}  # those that nothing holds any more, and that are to be closed
        self._watched: dict[Contents, weakref.ref[Things]] = {}
        self._kept: tuple[Things | None, float] = (None, 0.0)  # for an undo, and until when
        self._ended_in_tests: deque[Contents] = deque()
        # Made with the first thing to close: by then a worker whose threads are green has patched the library.
        self._wakeups: queue.SimpleQueue[None] | None = None
        self._ended: deque[Contents] = deque()  # appended to before `_wakes` is read
        self._wakes = False  # whether the end of a version may leave something to be closed
        self._waits_until = 0.0  # when the thread looks by itself
        self._thread: threading.Thread | None = None
        self._tasks: set[Any] = set()

    # ---- what is open

    def add(self, thing: Thing, contents: Contents) -> None:
        """Note a new thing, and that this version has it."""
        with self._lock:
            self._open[thing.serial] = thing
            for used in thing.uses:
                used.holders.add(thing)
            self._hold(thing, contents)

    def share(self, thing: Thing, contents: Contents) -> bool:
        """Have this version use a thing, too. Returns False if its closing has begun."""
        with self._lock:
            if not thing.closed:
                self._hold(thing, contents)
            return not thing.closed

    def _hold(self, thing: Thing, contents: Contents) -> None:
        self._unheld.pop(thing.serial, None)
        thing.holders.add(contents)
        contents.things[thing.derived] = thing
        if contents in self._watched and contents.lingers:
            self._wakes = True  # read in a former version: that version's end may leave it to be closed
            self._wake()

    def open_things(self) -> list[Thing]:
        """All things that are open, in the order of building."""
        with self._lock:
            return list(self._open.values())

    def newest_of(self, derived: Declaration, count: int) -> list[Thing]:
        """The newest open things of one declaration, the newest first; at most so many."""
        with self._lock:
            mine = (each for each in reversed(self._open.values()) if each.derived is derived)
            return list(itertools.islice(mine, count))

    # ---- the ends of versions

    def replaced(self, former: Things, new: Things | None) -> None:
        """Note that the newest version is another one. What it does not have lingers from now on."""
        now = time.monotonic()
        kept = new.contents.things if new is not None else {}
        leaves = False
        with self._lock:
            for derived, thing in former.contents.things.items():
                if kept.get(derived) is not thing:
                    thing.left_at, leaves = now, True
            self._wakes = self._wakes or leaves
        self.watch(former)

    def watch(self, things: Things) -> None:
        """Release these things when the last reference to their version has ended."""
        contents = things.contents
        with self._lock:
            if contents in self._watched:
                return
            if not contents.lingers:
                ended = self._ended_in_tests
                self._watched[contents] = weakref.ref(things, lambda _: ended.append(contents))
                return
            self._watched[contents] = weakref.ref(things, lambda _: self._note_end(contents))
            while self._thread is None and self._ended:
                self._release(self._ended.popleft())
            if self._wakes or self._unheld:
                self._wake()

    def _note_end(self, contents: Contents) -> None:
        """The last reference to a version has ended, in whatever thread, and whatever that has locked."""
        self._ended.append(contents)
        if self._wakes and self._wakeups is not None:
            self._wakeups.put(None)

    def keep(self, things: Things | None, seconds: float) -> None:
        """Keep a former version's things for so many seconds, whatever else ends, in place of what was kept before."""
        with self._lock:
            until = time.monotonic() + seconds
            before, self._kept = self._kept, (things, until)
            if things is not None and (self._thread is None or until < self._waits_until):
                self._wake()
        del before  # not while the lock is held: it may be the last reference to a version

    def drop(self, things: Things) -> None:
        """Close at once what only this version has, which never was the newest: in the thread; a test's, later."""
        with self._lock:
            self._release(things.contents)
            things.values.clear()
            if things.contents.lingers and self._unheld:
                self._wake()

    def close_here(self) -> None:
        """For tests: close in this thread what ended versions of a test had."""
        while self._ended_in_tests:
            self._release(self._ended_in_tests.popleft())
        while (thing := self._next(time.monotonic())) is not None:
            self._close(thing)
            self._is_closed(thing)

    def close_all(self) -> None:
        """Close all that is open, pinned or not, in reverse order. Blocks."""
        with self._lock:
            mine = [each for each in reversed(self._open.values()) if not each.closed]
            self._unheld.clear()
            for thing in mine:
                thing.closed = True
        for thing in mine:
            self._close_with_patience(thing)
            self._is_closed(thing)
        with self._lock:
            if self._wakeups is not None:
                self._wakeups.put(None)  # the thread finds nothing to do, and ends

    def forgotten(self, thing: Thing) -> None:
        """Note that a thing can't be closed: its event loop is closed."""
        self._is_closed(thing)

    # ---- the thread

    def _wake(self) -> None:
        """Have the thread look now; start it, if there is none. Called with the lock held."""
        wakeups = self._wakeups = self._wakeups or queue.SimpleQueue()
        if self._thread is not None:
            wakeups.put(None)
            return
        thread = threading.Thread(
            target=self._run, args=(wakeups, threading.get_native_id()), name="confcast-closing", daemon=True
        )
        self._thread = thread
        try:
            with application_signals():  # the new thread inherits the mask of the thread that swaps
                thread.start()
        except RuntimeError as error:  # the next swap tries again
            self._thread = None
            _log.error(
                "what is derived of former versions is closed later: %s",
                error,
                extra=about("no_thread", what="closing", error=error),
            )

    def _run(self, wakeups: queue.SimpleQueue[None], starter: int) -> None:
        block_signals(starter)
        while True:
            with self._lock:
                over = self._end_keeping(time.monotonic())
            del over  # not while the lock is held
            with self._lock:
                if self._ended:  # one version after the other: the oldest one's things are closed first
                    self._release(self._ended.popleft())
            while (thing := self._next(time.monotonic())) is not None:
                self._close_with_patience(thing)
                self._is_closed(thing)
            with self._lock:
                if self._ended:
                    continue
                self._wakes = any(self._is_former(thing) for thing in self._open.values())
                wait = 0.0 if self._ended else self._seconds_to_wait()  # one may have ended since
                if wait is None and not self._wakes:
                    self._thread = None
                    return
                self._waits_until = time.monotonic() + wait if wait is not None else math.inf
            with contextlib.suppress(queue.Empty):
                wakeups.get(timeout=wait)

    def _is_former(self, thing: Thing) -> bool:
        """Whether only former versions hold a thing: one that has ended last leaves it to be closed."""
        return all(
            self._is_former(each) if isinstance(each, Thing) else each in self._watched for each in thing.holders
        )

    def _release(self, contents: Contents) -> None:
        with self._lock:
            self._watched.pop(contents, None)
            for thing in contents.things.values():
                thing.holders.discard(contents)
                self._look_at(thing)
            contents.things.clear()

    def _seconds_to_wait(self) -> float | None:
        """Until the next close; None if nothing is due at a known time."""
        due = [_due(each) for each in self._unheld.values()]
        if self._kept[0] is not None:
            due.append(self._kept[1])
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _end_keeping(self, now: float) -> Things | None:
        """What is kept, if its time is over; it is no longer."""
        things, until = self._kept
        if things is None or until > now:
            return None
        self._kept = (None, 0.0)
        return things

    def _next(self, now: float) -> Thing | None:
        """The newest of the things that are due; its closing begins."""
        with self._lock:
            due = [serial for serial, thing in self._unheld.items() if _due(thing) <= now]
            if not due:
                return None
            thing = self._unheld.pop(max(due))
            thing.closed = True
            return thing

    def _look_at(self, thing: Thing) -> None:
        """Note that nothing holds a thing any more, if that is so. Called with the lock held."""
        if not thing.holders and not thing.closed:
            self._unheld[thing.serial] = thing

    def _is_closed(self, thing: Thing) -> None:
        with self._lock:
            thing.closed = True
            self._open.pop(thing.serial, None)
            self._unheld.pop(thing.serial, None)
            for used in thing.uses:
                used.holders.discard(thing)
                self._look_at(used)

    # ---- one close

    def close_one(self, thing: Thing) -> None:
        """Close a thing in this thread."""
        self._close(thing)

    def _close_with_patience(self, thing: Thing) -> None:
        if thing.derived.close is None:
            return
        if is_running_here(thing.loop or self._loop()):  # to wait for another thread might be to wait for this loop
            self._close(thing)
            return
        to_close = (thing, threading.get_native_id())
        thread = threading.Thread(target=self._close_in_thread, args=to_close, name="confcast-close", daemon=True)
        try:
            with application_signals():
                thread.start()
        except RuntimeError:  # no thread can be started
            self._close(thing)
            return
        thread.join(1.1 * self._patience)  # an awaited one has ended by then, and was counted
        if thread.is_alive():
            self._failed(thing, f"not done in {self._patience:g} s; it is left to run")

    def _close_in_thread(self, thing: Thing, starter: int) -> None:
        block_signals(starter)
        with application_signals():
            self._close(thing)

    def _close(self, thing: Thing) -> None:
        close = thing.derived.close
        if close is None:
            return
        try:
            result = close(thing.value)
            if inspect.isawaitable(result):
                self._await(thing, result)
        except BaseException as error:  # sys.exit() in a close must end nothing either
            self._failed(thing, self._masked_text(error, thing))

    def _await(self, thing: Thing, closing: Any) -> None:
        loop = thing.loop or self._loop()
        if is_running_here(loop):  # in a test: the loop goes on when the test awaits something
            import asyncio

            task = asyncio.ensure_future(closing)
            self._tasks.add(task)
            task.add_done_callback(lambda done: self._was_awaited(thing, done))
        elif loop is None or loop.is_closed():
            if inspect.iscoroutine(closing):
                closing.close()
            self._failed(
                thing, "its event loop is closed" if loop else "it is async, and no aattach() has bound a loop"
            )
        else:
            awaited_on(loop, closing, self._patience)

    def _was_awaited(self, thing: Thing, task: Any) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._failed(thing, self._masked_text(error, thing))

    def _masked_text(self, error: BaseException, thing: Thing) -> str:
        kind = type(error).__name__
        return self._mask(f"{kind}: {text_of(error)}", kind, thing.config)

    def _failed(self, thing: Thing, why: str) -> None:
        thing.derived.failed_closes += 1
        _log.error(
            "%s of a former version could not be closed: %s",
            thing.derived.name,
            printable(why),
            extra=about("not_closed", derived=thing.derived.name, error=why),
        )


def _due(thing: Thing) -> float:
    return thing.left_at + thing.derived.linger if thing.left_at and thing.lingers else 0.0
