"""One build: pinned to the version that it is built for, called in this thread or awaited on the bound event loop.

Whatever a build raises, `SystemExit` included, refuses its version or becomes a BuildError. The texts name the thing,
its key and the cause, with the secrets of the configuration masked. An awaitable that a build gives is awaited on the
loop that `aattach()` has bound, whichever thread calls the build: what belongs to a loop is made on it.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from confcast.errors import BuildError, ConfigError, Problem
from confcast.texts import printable
from confcast.tracebacks import from_the_application
from confcast.wire.signal_mask import application_signals
from confcast.worker.derived.declared import within_build
from confcast.worker.derived.things import Declaration, Thing, Things
from confcast.worker.pins import Pin, Pinnable
from confcast.worker.precommit import refusals
from confcast.worker.snapshot import Snapshot

if TYPE_CHECKING:  # importing it takes 6 MiB, which a worker without a loop need not pay
    import asyncio
    from concurrent.futures import Future

_LONGEST = 2000
_LOOKS_AT_THE_LOOP = 0.5


class NeedsLoop(BuildError):
    """An async thing is read or built where no loop is bound, or on that loop itself."""


def needs_loop(derived: Declaration) -> NeedsLoop:
    """The error for an async thing that can't be built here."""
    text = (
        f"{derived.name} is built on an event loop: `await settings.aattach()` there first, as in an application's "
        "lifespan; a read can't wait for it"
    )
    return NeedsLoop(derived.name, derived.key, [Problem(derived.key, text)])


class Part:
    """A part of a configuration, wrapped: an error tracker shows the variables of each frame below a build."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def call(self, build: Callable[..., Any], uses: tuple[Thing, ...]) -> Any:
        """Call a build with this part, and with the things that it uses."""
        return build(self.value, *(each.value for each in uses))


def build(
    replica: Pinnable[Any],
    thing: Thing,
    things: Things,
    loop: asyncio.AbstractEventLoop | None,
    seconds: float,
) -> Any:
    """Build a thing. Returns the object, and raises whatever the build raises.

    Args:
        replica: What is pinned while the build runs.
        thing: The thing, with its part and what it uses; `loop` is set if it is built on one.
        things: Those of the version that is pinned.
        loop: Where an awaitable is awaited; None: nowhere.
        seconds: How long an awaited build may take; 0.0: no limit.

    Raises:
        NeedsLoop: It gives an awaitable, and there is no loop to await it on, or this thread runs that loop.
        TimeoutError: An awaited build has taken too long.
    """
    derived, part = thing.derived, Part(thing.part)
    of_version: Snapshot[Any] = Snapshot(things.config, things.version, things.digest)
    with Pin(replica, of_version), within_build(derived.name), application_signals():
        made = part.call(derived.build, thing.uses)
        if not inspect.isawaitable(made):
            return made
        derived.is_async = True
        if loop is None or loop.is_closed() or is_running_here(loop):
            _abandon(made)
            raise needs_loop(derived)
        thing.loop = loop
        return awaited_on(loop, made, seconds)


def awaited_on(loop: asyncio.AbstractEventLoop, awaitable: Awaitable[Any], seconds: float) -> Any:
    """Await something on a loop that another thread runs, in a copy of this context. Raises what it raises.

    Raises:
        TimeoutError: It has not ended in time (0.0: no limit), and was cancelled; or its loop has ended.
    """
    import asyncio

    async def wait() -> tuple[Any, SystemExit | None]:
        try:
            return await awaitable, None
        except SystemExit as error:  # raised in a task, it would end the application's loop
            return None, error

    waiting = wait()
    try:
        result, left = _result_in_time(asyncio.run_coroutine_threadsafe(waiting, loop), loop, seconds)
    finally:
        if loop.is_closed():
            abandon_unbegun(waiting, awaitable)
    if left is not None:
        raise left
    return result


def _result_in_time(future: Future[Any], loop: asyncio.AbstractEventLoop, seconds: float) -> Any:
    from concurrent.futures import TimeoutError as NotYet

    end = time.monotonic() + seconds if seconds else float("inf")
    while True:
        try:
            return future.result(min(_LOOKS_AT_THE_LOOP, max(0.0, end - time.monotonic())))
        except NotYet:
            if future.done():  # the awaited thing itself has raised it
                raise
            if loop.is_closed() or time.monotonic() >= end:
                future.cancel()
                raise TimeoutError(
                    "its event loop was closed" if loop.is_closed() else f"not done in {seconds:g} s, and cancelled"
                ) from None


def abandon_unbegun(*awaitables: object) -> None:
    """Close the coroutines that a closed loop has not begun, so that Python does not warn of them."""
    for each in awaitables:
        if inspect.iscoroutine(each) and inspect.getcoroutinestate(each) == inspect.CORO_CREATED:
            each.close()


def is_running_here(loop: asyncio.AbstractEventLoop | None) -> bool:
    """Whether this thread runs that loop at this moment."""
    if loop is None:
        return False
    import asyncio

    return asyncio._get_running_loop() is loop


def problems_of(derived: Declaration, error: BaseException, mask: Callable[[str], str]) -> list[Problem]:
    """What a failed build refuses its version with: the thing, its key and the reason, secrets masked."""
    if isinstance(error, BuildError):
        return list(error.problems)
    if isinstance(error, ConfigError):
        found = refusals(derived.build, error, mask)
        return [Problem(each.key or derived.key, each.message, each.location) for each in found]
    text, kind = mask(text_of(error)), type(error).__name__
    why = printable(f"{kind}: {text}" if text else kind)[:_LONGEST]
    return [Problem(derived.key, f"{derived.name} can't be built: {why}")]


def build_error(derived: Declaration, error: BaseException, mask: Callable[[str], str]) -> BuildError:
    """The BuildError for a failed build. Its cause is left out where its text has secrets."""
    failed = BuildError(derived.name, derived.key, problems_of(derived, error, mask))
    if mask(text_of(error)) == text_of(error) and isinstance(error, Exception):
        failed.__cause__ = error.with_traceback(from_the_application(error))  # as `raise … from error` does
    return failed


def text_of(error: BaseException) -> str:
    """The text of an application's error; "" if its class fails to give one."""
    try:
        return str(error)
    except Exception:
        return ""


def _abandon(awaitable: object) -> None:
    """Close a coroutine that nobody will await, so that Python does not warn of it."""
    if inspect.iscoroutine(awaitable):
        awaitable.close()
