"""`async for old, new in settings.changes()`: a replica's changes, as a task on an event loop reads them.

The reader is never behind by more than one step: it gets what it saw last and what is newest, however many versions
have passed meanwhile, and nothing where these are equal. So nothing is queued but one wake-up, and each pair begins
with what the pair before ended with. It ends with its replica's `close()`, after the last change; with its task; or
with its loop. An iteration that is left by `break` is ended by the loop soon after; `contextlib.aclosing` ends it at
once.

Rejected: every version in a queue (a slow reader would hold all of them; observers hear of each), a queue of one that
drops the older (the reader would see a pair whose old value it never had), and an object with a version (a selected
part has none: `settings.version` tells).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from functools import partial
from typing import Any, TypeAlias, overload

from confcast.tracebacks import from_the_application
from confcast.worker.async_library import Waker, in_thread, waker
from confcast.worker.observers.delivery import Delivery, Pair
from confcast.worker.observers.dispatcher import Observers
from confcast.worker.observers.subscription import Joined, Moment, Subscription

Select: TypeAlias = Callable[[Any], Any] | None


class Iteration(Subscription):
    """One iteration of `changes()`, as a replica's observers know it: they wake it, and give it no configuration.

    Args:
        waker: Wakes the task that reads.
        on: Which moment it waits for.
        closes: How often the replica was closed when the iteration began; a close since then ends it.
        joined: What the replica's observers give.

    Attributes:
        closed: The replica was closed: the iteration ends after the last change.
    """

    is_observer = False

    def __init__(self, waker: Waker, on: Moment, closes: int, joined: Joined) -> None:
        super().__init__(_nothing, None, True, on, None, joined)
        self.closed = joined.closes != closes
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
    """The changes from `seen` on.

    Args:
        known: The observers of the replica, where they are known.
        find: Gives them where they are not; may block, and is called in a thread.
        select: Picks the part that matters.
        on: Which moments.
        initial: Begin with `(None, value)`.
        seen: Its new one is what the first change is compared with; None: the first that there is.
        closes: Of the observers that are known; a close since then ends it, as one after the first step does.

    Raises:
        ConfcastError: As `find` does.
        RuntimeError: Neither asyncio nor trio runs it.
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
                    yield None, _parts(Pair(None, step.new), select, None).new
            elif step.new is not None and (parts := _parts(step, select, observers.same)) is not None:
                seen = step
                yield parts.old, parts.new
            elif ends:
                return
            else:
                await iteration.wait()
    finally:
        observers.end(iteration)


def _found(find: Callable[[], Observers]) -> tuple[Observers, int]:
    """The observers and their count of closes: a close after it shows in the count, one before in the second look."""
    closes = find().closes
    return find(), closes


@overload
def _parts(step: Pair, select: Select, same: None) -> Pair: ...


@overload
def _parts(step: Pair, select: Select, same: Callable[[Any, Any], bool]) -> Pair | None: ...


def _parts(step: Pair, select: Select, same: Callable[[Any, Any], bool] | None) -> Pair | None:
    """The parts that matter; None where they are the same. What is raised has no frame of ours that shows them."""
    try:
        parts = step.narrowed(select)
        return parts if same is None or not parts.is_same(same) else None
    except Exception as error:
        error.__traceback__ = from_the_application(error)
        raise


def _nothing(old: Any, new: Any) -> None:
    """Is never called."""
