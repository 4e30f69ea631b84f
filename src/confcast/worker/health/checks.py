"""Health checks of an application, called one after the other in a thread of their own.

Guaranteed: a check is pinned to the version that it judges; one that hangs holds up nothing but itself, is a no after
ten seconds, and is not called again while that call lasts; the other checks then go on in another thread. An async
check is awaited on the loop that `aattach()` has bound; where none is, it is not called, which is logged once. What an
ending loop does to a check says nothing about the version.

Rejected: a thread for each call (an application's connections are often kept by thread: each second there would be one
more), a thread for each check (most have one or two, and they take milliseconds), and the reading thread (a vote would
wait for them).
"""

from __future__ import annotations

import contextvars
import inspect
import logging
import queue
import threading
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from confcast.log_fields import about
from confcast.wire.signal_mask import application_signals, block_signals
from confcast.worker.async_library import is_async
from confcast.worker.derived.building import abandon_unbegun, awaited_on, is_running_here, text_of
from confcast.worker.pins import Pin, Pinnable
from confcast.worker.precommit import name_of
from confcast.worker.snapshot import Snapshot

if TYPE_CHECKING:  # importing it takes 6 MiB, which a worker without a loop need not pay
    import asyncio

_log = logging.getLogger("confcast.worker")

DEADLINE = 10.0
"""Seconds after which a check that has not answered is a no."""

Speak = Callable[[Snapshot[Any], str], object]
"""Called with a version, and what is said against it."""


class Check:
    """One function that was declared by `healthcheck`.

    Attributes:
        function: As given.
        name: For texts; never its repr.
        call: The call that has not ended; None if there is none.
    """

    __slots__ = ("_skipped", "call", "function", "name")

    def __init__(self, function: Callable[[], Any]) -> None:
        self.function = function
        self.name = name_of(function)
        self.call: Call | None = None
        self._skipped = ""

    def skip(self, why: str) -> None:
        """Log once why it is not called."""
        if why != self._skipped:
            self._skipped = why
            _log.warning(
                "the health check %s is not called: %s",
                self.name,
                why,
                extra=about("check_not_called", check=self.name, reason=why),
            )


class Call:
    """One call of a check, for one version.

    Attributes:
        check: What is called.
        snapshot: The version that it judges.
        began: When, by `time.monotonic()`.
        was_told: Whether it was said to hang, or its process leaves: what it answers does not count any more.
    """

    __slots__ = ("_ended", "_loop", "began", "check", "snapshot", "was_told")

    def __init__(self, check: Check, snapshot: Snapshot[Any]) -> None:
        self.check = check
        self.snapshot = snapshot
        self.began = time.monotonic()
        self.was_told = False
        self._ended = False
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def runs(self) -> bool:
        """Whether it has not ended, and can still end."""
        return not self._ended and (self._loop is None or not self._loop.is_closed())

    def make(self, replica: Pinnable[Any], loop: asyncio.AbstractEventLoop | None, seconds: float = DEADLINE) -> str:
        """Call the check. Returns what it says against the version, "" for nothing. Raises what the check raises.

        `seconds`: how long an awaited one may take.
        """
        try:
            with Pin(replica, self.snapshot), application_signals():
                result = self.check.function()
                if inspect.isawaitable(result):
                    result = self._awaited(result, loop, seconds)
        finally:
            if self._loop is None:  # else the awaited one says so itself
                self._end()
        return "" if result is None or result else not_well(result)

    def _awaited(self, awaitable: Any, loop: asyncio.AbstractEventLoop | None, seconds: float) -> Any:
        if loop is None or is_running_here(loop):
            close_unawaited(awaitable)
            self.check.skip(NO_LOOP)
            return None
        self._loop = loop
        try:
            return awaited_on(loop, self._noting_its_end(awaitable), seconds)
        finally:
            if loop.is_closed():
                abandon_unbegun(awaitable)

    async def _noting_its_end(self, awaitable: Any) -> Any:
        try:
            return await awaitable
        finally:
            self._end()

    def _end(self) -> None:
        self._ended = True
        if self.check.call is self:
            self.check.call = None  # a snapshot that is kept keeps open what is derived of it

    def is_about_its_loop(self, error: BaseException) -> bool:
        """Whether this error of an awaited check comes of its loop's end."""
        loop = self._loop
        return loop is not None and (type(error).__name__ == "CancelledError" or loop.is_closed())


NO_LOOP = "it is async, and no loop is bound: `await settings.aattach()` in the application's lifespan"


class Round:
    """All checks against all versions that are judged, once, in this thread. `speak` is called for each no.

    Attributes:
        call: The call that runs; None before the first and after the last.
        stopped: Whether no more checks are to be called.
    """

    def __init__(
        self,
        replica: Pinnable[Any],
        checks: list[Check],
        judged: list[Snapshot[Any]],
        loop: asyncio.AbstractEventLoop | None,
        seconds: float,
        speak: Speak,
    ) -> None:
        self._replica = replica
        self._to_call = [(check, snapshot) for snapshot in judged for check in checks]
        self._loop = loop
        self._seconds = seconds
        self._speak = speak
        self.call: Call | None = None
        self.stopped = False

    def run(self) -> None:
        """Call them. Raises nothing."""
        for check, snapshot in self._to_call:
            if self.stopped:  # one has hung, and the others have been called meanwhile; or the process leaves
                return
            if (former := check.call) is not None and former.runs:
                check.skip(f"its call for version {former.snapshot.version} has not ended")
            elif is_async(check.function) and self._loop is None:
                check.skip(NO_LOOP)
            else:
                self.call = check.call = Call(check, snapshot)
                self._make(check.call)
        self.call = None

    def _make(self, call: Call) -> None:
        try:
            why = call.make(self._replica, self._loop, self._seconds)
        except BaseException as error:  # sys.exit() in a check must not end the thread
            if call.is_about_its_loop(error):
                _log.info(
                    "the health check %s has no answer: its event loop ends",
                    call.check.name,
                    extra=about("check_without_answer", check=call.check.name),
                )
                return
            why = said_by(error)
        if why and not call.was_told:
            self._speak(call.snapshot, f"{call.check.name}: {why}")


class Runner:
    """The thread that runs one round at a time. It ends with `stop`, or once a call that hung has come back."""

    def __init__(self) -> None:
        self._rounds: queue.SimpleQueue[Round | None] = queue.SimpleQueue()
        self._round: Round | None = None
        to_run = (threading.get_native_id(),)
        self._thread = threading.Thread(target=self._run, args=to_run, name="confcast-health", daemon=True)
        with application_signals():  # the new thread inherits the mask of the thread that starts it
            self._thread.start()

    def begin(self, round_: Round) -> None:
        """Run a round, unless the last one has not ended."""
        if self._round is None:
            self._round = round_
            self._rounds.put(round_)

    def hung(self, now: float, deadline: float) -> Call | None:
        """The call that has not ended in time. Its answer does not count any more."""
        round_ = self._round
        call = round_.call if round_ is not None else None
        if call is None or call.was_told or now - call.began < deadline or not call.runs:
            return None
        call.was_told = True
        return call

    def stop(self) -> None:
        """Have the thread end. A call that runs is not waited for, and does not count any more."""
        round_ = self._round
        if round_ is not None:
            round_.stopped = True
            if round_.call is not None:
                round_.call.was_told = True
        self._rounds.put(None)

    def _run(self, starter: int) -> None:
        block_signals(starter)
        while (round_ := self._rounds.get()) is not None:
            round_.run()
            self._round = None


def said_here(check: Check, replica: Pinnable[Any]) -> str:
    """For unit tests: call a check in this thread, pinned to the newest version. Returns what it says; "": nothing."""
    try:
        with Pin(replica, replica._snapshot):
            result = check.function()
            if inspect.isawaitable(result):
                result = _result_of(result)
    except Exception as error:
        return f"{check.name}: {said_by(error)}"
    return "" if result is None or result else f"{check.name}: {not_well(result)}"


def _result_of(awaitable: Awaitable[Any]) -> Any:
    """Await something on an event loop of its own, in another thread if one runs in this one."""
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    async def wait() -> Any:
        return await awaitable

    if asyncio._get_running_loop() is None:
        return asyncio.run(wait())
    with ThreadPoolExecutor(1) as other:
        return other.submit(contextvars.copy_context().run, asyncio.run, wait()).result()


def not_well(result: object) -> str:
    """What a check says that has returned something else than None and True."""
    return f"it returned {result!r}"  # cut once its secrets are masked


def said_by(error: BaseException) -> str:
    """An error of a check, in words."""
    kind, text = type(error).__name__, text_of(error)
    return f"{kind}: {text}" if text else kind


def close_unawaited(awaitable: object) -> None:
    """Close a coroutine that nobody will await, so that Python does not warn of it."""
    if inspect.iscoroutine(awaitable):
        awaitable.close()
