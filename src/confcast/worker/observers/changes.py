"""`async for old, new in settings.changes()`: a replica's changes, read by a task on an event loop.

The task is never behind by more than one step: it is given the configuration that it saw last and the newest, however
many versions came between, and nothing if these are equal. So only one wake-up is queued, and each pair begins with the
configuration that ended the pair before. An iteration ends with its replica's `close()`, after the last change; with
its task; or with its loop. After a `break` the loop ends it soon; `contextlib.aclosing` ends it at once.

Rejected: every version in a queue (a slow task would hold all of them; observers are called for each), a queue of
length one that drops the older (the task would see a pair whose old value it never had), and yielding an object with a
version (a selected part has no version; `settings.version` has the replica's).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from functools import partial
from typing import Any, TypeAlias

from confcast.tracebacks import from_the_application
from confcast.worker.async_library import Waker, in_thread, waker
from confcast.worker.observers.delivery import Delivery, Pair
from confcast.worker.observers.dispatcher import Observers
from confcast.worker.observers.subscription import Joined, Moment, Subscription

Select: TypeAlias = Callable[[Any], Any] | None


class Iteration(Subscription):
    """One iteration of `changes()`, as a replica's observers know it: they wake it, and give it no configuration."""

    is_observer = False

    def __init__(self, waker: Waker, on: Moment, closes: int, joined: Joined) -> None:
        super().__init__(lambda old, new: None, None, True, on, None, joined)
        self.closed = joined.closes != closes  # since the iteration began; it then ends after the last change
        self._waker = waker
        self._waking = False

    async def wait(self) -> None:
        """Return when there may be a new configuration."""
        await self._waker.wait()

    @property
    def name(self) -> str:
        """The iteration's name for log lines."""
        return "changes()"

    def call(self, delivery: Delivery) -> None:
        """Wake the reading task. Called in the observers' thread."""
        self._wake_up(delivery.failed)

    def after_fork(self) -> bool:
        """Returns False: a forked child has no iteration, since its loop runs in the parent only."""
        return False

    def replica_closed(self) -> None:
        """Wake the reading task for the last time."""
        self.closed = True
        self._wake_up(lambda why: None)

    def _wake_up(self, failed: Callable[[str], None]) -> None:
        """Wake the reading task, unless a wake-up is on its way already."""
        if not self._waking:
            self._waking = True
            if not self._waker.wake(self._is_awake):
                self.unreachable(failed)

    def _is_awake(self) -> None:
        self._waking = False  # reset before the task looks: a later change wakes it again


async def read(
    known: Observers | None,
    find: Callable[[], Observers],
    select: Select,
    on: Moment,
    initial: bool,
    seen: Pair,
    closes: int,
) -> AsyncGenerator[tuple[Any, Any], None]:
    """Yield the changes after `seen`. Raises RuntimeError (neither asyncio nor trio runs it), and what `find` raises.

    Args:
        known: The observers of the replica, if they are known.
        find: Returns the observers if they are not known; may block, and is called in a thread.
        select: Picks the part that matters.
        on: The moment: `commit` or `settled`.
        initial: Whether to begin with `(None, value)`.
        seen: The pair with whose `new` the first change is compared; None: it is compared with the first value.
        closes: How often the known observers' replica was closed before; one more close ends the iteration.
    """
    observers, closes = (known, closes) if known is not None else await in_thread(_found, find)
    iteration = observers.add(partial(Iteration, waker(), on, closes))
    try:
        fresh = initial
        while True:
            ends = iteration.closed  # read before the changes, so that a change before the end is still given
            step = Pair(seen.new, observers.value(on))
            if step.new is not None and (fresh or seen.new is None):
                seen = step
                if fresh:
                    fresh = False
                    yield None, _parts(Pair(None, step.new), select, observers.same)[0].new
            elif step.new is not None and (found := _parts(step, select, observers.same))[1]:
                seen = step
                yield found[0].old, found[0].new
            elif ends:
                return
            else:
                await iteration.wait()
    finally:
        observers.end(iteration)


def _found(find: Callable[[], Observers]) -> tuple[Observers, int]:
    """Return the observers and their count of closes.

    A close after the first call raises the count; the second call finds the observers that an earlier close has left.
    """
    closes = find().closes
    return find(), closes


def _parts(step: Pair, select: Select, same: Callable[[Any, Any], bool]) -> tuple[Pair, bool]:
    """Return the parts that `select` takes of both configurations, and whether they differ.

    An error that `select` or `same` raises has no frame of confcast's in its traceback: it would show the values.
    """
    try:
        parts = step.narrowed(select)
        return parts, not parts.call(same)
    except Exception as error:
        error.__traceback__ = from_the_application(error)
        raise
