"""One observer: which changes it is called for, where it is called, and what happens when it raises.

An observer is called in the observers' thread, in an executor, or on an event loop (`on_loop.py`). There, an error that
it raises is counted and logged with its name, masked, from its own frame on, and goes no further. An observer whose
event loop is closed can't be called any more: that is logged once and counted, and ends its subscription.

Whether a selected part has changed is decided as in the owner: by type and encoding, so that `[1]` and `[True]` differ,
nan equals nan, and `model_fields_set` and the order of a dict's keys don't count. A part that `select` made, of a class
that the schema does not name, is compared by type and `==`. The codec is built only when needed: most parts are plain
values.
"""

from __future__ import annotations

import contextlib
import inspect
import logging
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from types import NoneType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeGuard, cast

from confcast.errors import NotCarried
from confcast.log_fields import about
from confcast.texts import Lines, printable
from confcast.tracebacks import from_the_application
from confcast.worker.async_library import is_ending
from confcast.worker.observers.delivery import Delivery, Masked, Pair
from confcast.worker.observers.on_loop import OnLoop
from confcast.worker.precommit import name_of

if TYPE_CHECKING:  # importing it takes 6 MiB, which a worker without a loop need not pay
    import asyncio
    from concurrent.futures import Executor

_log = logging.getLogger("confcast.observers")

Moment = Literal["commit", "settled"]
Where: TypeAlias = "Executor | asyncio.AbstractEventLoop | None"

_LONGEST = 2000
"""How many characters of an observer's error are reported to the config owner."""


@dataclass(frozen=True, slots=True)
class Joined:
    """What a replica's observers give to a subscription that joins them."""

    since: int  # the number of the newest run
    closes: int
    value: Callable[[Moment], Any]
    same: Callable[[Any, Any], bool]
    masked: Masked
    end: Callable[[Subscription], None]


class Subscription:
    """One observer, with the options of `subscribe`; `where` is its executor or loop, None the observers' thread.

    Attributes:
        since: The number of the run after which it gets calls.
        last: The newest configuration that it has been called for.
        ended: Whether it must not be called any more, though a loop may have queued a call.
        is_observer: Whether it calls an application's function, and does not wake a task that reads `changes()`.
    """

    is_observer = True

    def __init__(
        self,
        observer: Callable[[Any, Any], Any],
        select: Callable[[Any], Any] | None,
        initial: bool,
        on: Moment,
        where: Where,
        joined: Joined,
    ) -> None:
        self.observer = observer
        self.select = select
        self.initial = initial
        self.on = on
        self.where = where
        self.since = joined.since
        self.last = joined.value(on)
        self.ended = False
        # Held while the initial call runs in the subscriber's thread, so that the first change waits for it.
        self.turn = threading.RLock()
        self._joined = joined
        self._on_loop = OnLoop(where, self._call_on_loop) if is_loop(where) else None

    @property
    def name(self) -> str:
        """The observer's name for log lines and events."""
        return name_of(self.observer)

    def call(self, delivery: Delivery) -> None:
        """Call the observer, unless the part that it selected is the same. Raises what the observer raises."""
        if not delivery.concerns(self.select, self._joined.same):
            delivery.over()
        elif self._on_loop is not None:
            self._send(self._on_loop, delivery)
        elif self.where is None:
            self._call_here(delivery)
            delivery.over()
        else:
            future = cast("Executor", self.where).submit(self._call_logged, delivery)
            future.add_done_callback(lambda _: delivery.over())  # also for one that was cancelled with its executor

    def due(self, on: Moment, pair: Pair, is_first: bool) -> Pair | None:
        """What the observer must be called with at this moment; None if it must not be called.

        `is_first`: the moment is about the first value in this process, which only `initial` observers are called for.
        """
        if is_first:
            self.last = pair.new
            return pair if self.initial else None
        if self.on != on:
            return None
        if on == "settled":
            self.last, pair = pair.new, Pair(self.last, pair.new)
        return pair

    def call_now(self, delivery: Delivery, new: Any) -> None:
        """Call the observer as if `new` had been committed and settled at once (for tests)."""
        self.call(delivery)
        self.last = new

    def stop(self) -> None:
        """Have the observer not called any more, not even by a call that a loop has queued."""
        self.ended = True

    def after_fork(self) -> bool:
        """Whether the subscription goes on in a forked child. A running loop runs in the parent only."""
        self.turn = threading.RLock()
        return not (is_loop(self.where) and self.where.is_running())

    def replica_closed(self) -> None:
        """Does nothing: the observer stays subscribed, and is called after its replica's next `attach()`."""

    def log_failure(self, error: BaseException, delivery: Delivery) -> None:
        """Log and count an error of the observer, with the secrets of the configurations that it was given masked."""
        kind, trace = type(error).__name__, from_the_application(error)
        raised = "".join(traceback.format_exception(type(error), error, trace or error.__traceback__))
        shown = delivery.masked(self._joined.masked, raised, kind)
        text = delivery.masked(self._joined.masked, _text_of(error), "") if shown != kind else ""
        told = printable(f"{kind}: {text}" if text else kind)[:_LONGEST]
        delivery.failed(told)
        extra = about("observer_raised", observer=self.name, error=told)
        message = "observer %s raised; the configuration is applied all the same"
        if shown == raised and trace is not None:
            _log.error(message, self.name, exc_info=error.with_traceback(trace), extra=extra)
        else:  # the exception is left out: handlers would write what is masked, or frames of confcast
            _log.error(f"{message}\n%s", self.name, Lines(shown.rstrip()), extra=extra)

    def unreachable(self, failed: Callable[[str], None]) -> None:
        """End the subscription, whose event loop is closed; log and count this once."""
        why = "the event loop that it was to be called on is closed"
        failed(why)  # called first: the owner does not wait for a subscription that has ended
        self._joined.end(self)
        _log.error(
            "observer %s is unsubscribed: %s",
            self.name,
            why,
            extra=about("observer_unsubscribed", observer=self.name, reason=why),
        )

    def _send(self, on_loop: OnLoop, delivery: Delivery) -> None:
        if not on_loop.put(delivery):
            self.unreachable(delivery.failed)
            delivery.over()

    async def _call_on_loop(self, delivery: Delivery) -> None:
        try:
            if self.ended:  # the subscription ended after the call was queued
                return
            result = delivery.call(self.observer)
            if inspect.isawaitable(result):
                await result
        except BaseException as error:
            if is_ending(error):
                raise
            self._log_and_raise_exits(error, delivery)
        finally:
            delivery.over()

    def _call_here(self, delivery: Delivery) -> None:
        result = delivery.call(self.observer)
        if inspect.iscoroutine(result):  # a lambda around a coroutine function shows only here that it is one
            result.close()
            raise TypeError("it gave a coroutine, which nobody awaits here: subscribe it with loop=…")

    def _call_logged(self, delivery: Delivery) -> None:
        try:
            self._call_here(delivery)
        except BaseException as error:
            self._log_and_raise_exits(error, delivery)

    def _log_and_raise_exits(self, error: BaseException, delivery: Delivery) -> None:
        self.log_failure(error, delivery)
        if isinstance(error, KeyboardInterrupt | SystemExit):  # the loop handles it; an executor's future keeps it
            raise error


def is_loop(where: Where) -> TypeGuard[asyncio.AbstractEventLoop]:
    """Whether this is an event loop, recognised by its method: so a worker without one need not import asyncio."""
    return hasattr(where, "call_soon_threadsafe")


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # an application's own class may fail here; its traceback shows where
        return ""


_COMPARED_BY_EQ = frozenset({NoneType, bool, int, str, bytes})


class Sameness:
    """Compares parts of configurations of one schema. Any thread may call it."""

    def __init__(self, schema: type) -> None:
        self._schema = schema

    def __call__(self, old: Any, new: Any) -> bool:
        """Whether two parts are the same. Raises what `==` of an application's own class raises."""
        return self.compare(old, new, b"")[0]

    def compare(self, old: Any, new: Any, written: bytes) -> tuple[bool, bytes]:
        """Whether two parts are the same, and what is written of the old one: to be given at its next comparison."""
        if old is new:
            return True, written
        if type(old) is not type(new):
            return False, written
        if type(old) in _COMPARED_BY_EQ:
            return bool(old == new), written
        from confcast.config.codec import codec_of  # imported here: a process that only declares a replica saves it

        with contextlib.suppress(NotCarried):
            comparable = codec_of(self._schema).comparable
            written = written or comparable(old)
            return written == comparable(new), written
        # Not inside the handler: an error of `==` would be logged with the codec's frames, and their values.
        return bool(old == new), b""
