"""`async for old, new in settings.changes()`: a replica's changes, read by a task on an event loop.

The task is never behind by more than one step: it is given what it saw last and what is newest, however many versions
have passed meanwhile, and nothing where these are equal. So nothing is queued but one wake-up, and each pair begins
with what the pair before ended with. An iteration ends with its replica's `close()`, after the last change; with its
task; or with its loop. After a `break` the loop ends it soon; `contextlib.aclosing` ends it at once.

Rejected: every version in a queue (a slow task would hold all of them; observers are called for each), a queue of one
that drops the older (the task would see a pair whose old value it never had), and an object with a version (a selected
part has none: `settings.version` has it).
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
        self.closed = joined.closes != closes  # since the iteration began; then it ends after the last change
        self._waker = waker
        self._waking = False

    async def wait(self) -> None:
        """Return when there may be something new."""
        await self._waker.wait()

    @property
    def name(self) -> str:
        """For a log line."""
        return "changes()"

    def call(self, delivery: Delivery) -> None:
        """Wake the reading task. Called in the observers' thread."""
        self._wake_up(delivery.failed)

    def after_fork(self) -> bool:
        """A forked child has no iteration: its loop runs in the parent only."""
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
        self._waking = False  # before the task looks: what comes later wakes it again


async def read(
    known: Observers | None,
    find: Callable[[], Observers],
    select: Select,
    on: Moment,
    initial: bool,
    seen: Pair,
    closes: int,
) -> AsyncGenerator[tuple[Any, Any], None]:
    """Give the changes from `seen` on. Raises RuntimeError (neither asyncio nor trio runs it), and what `find` raises.

    Args:
        known: The observers of the replica, where they are known.
        find: Gives the observers where they are not known; may block, and is called in a thread.
        select: Picks the part that matters.
        on: Which moments.
        initial: Begin with `(None, value)`.
        seen: The first change is compared with its `new`; None: with the first value that there is.
        closes: How often the known observers' replica was closed before; a close since then ends the iteration.
    """
    observers, closes = (known, closes) if known is not None else await in_thread(_found, find)
    iteration = observers.add(partial(Iteration, waker(), on, closes))
    try:
        fresh = initial
        while True:
            ends = iteration.closed  # before looking: what was changed before the end is still given
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

    A later close raises the count; the second look finds the observers that an earlier one has left.
    """
    closes = find().closes
    return find(), closes


def _parts(step: Pair, select: Select, same: Callable[[Any, Any], bool]) -> tuple[Pair, bool]:
    """Return the parts that `select` takes of both configurations, and whether they differ.

    An error that `select` or `same` raises has no frame of ours in its traceback: that would show the configuration.
    """
    try:
        parts = step.narrowed(select)
        return parts, not parts.call(same)
    except Exception as error:
        error.__traceback__ = from_the_application(error)
        raise
