"""Waiting for what other processes do. The deadline only bounds a failure: no test depends on how long things take."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, TypeVar

from confcast import Client, ConfigReloadManager, OwnerUnavailable, ReloadEvent, ReloadResult

T = TypeVar("T")

DEADLINE = 20.0
LONG = 600.0
"""Seconds of a probation, or of another time, that does not end by itself in the test."""
_SHORTEST, _LONGEST = 0.004, 0.05


def eventually(condition: Callable[[], T], what: str, deadline: float = DEADLINE) -> T:
    """Return the first true value that the condition gives; fail with `what` when there is none in time.

    It is asked ever less often: asking costs what the others would do meanwhile.
    """
    end, pause = time.monotonic() + deadline, _SHORTEST
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline:g} s: {what}")
        threading.Event().wait(pause)
        pause = min(1.3 * pause, _LONGEST)
    return value


@contextlib.asynccontextmanager
async def beside(coroutine: Coroutine[Any, Any, object]) -> AsyncIterator[None]:
    """Has this run beside the block, and cancels it at the block's end; what it has raised is raised then."""
    task = asyncio.create_task(coroutine)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def history_of(manager: ConfigReloadManager[Any] | Client) -> list[ReloadEvent]:
    """Newest first; nothing while no owner answers: a new one may take longer to start than a verb waits for it."""
    try:
        return manager.get_event_history()
    except OwnerUnavailable:
        return []


def undos(manager: ConfigReloadManager[Any], count: int = 1) -> list[ReloadEvent]:
    """What the owner has taken back by itself, the newest first, once there is so much."""

    def found() -> list[ReloadEvent]:
        events = [each for each in history_of(manager) if each.result is ReloadResult.UNDONE]
        return events if len(events) >= count else []

    return eventually(found, f"{count} undos by themselves")


def made_by(manager: ConfigReloadManager[Any], version: int) -> ReloadEvent:
    """The event that made this version. After a call that waited for the next owner it may be that one's own first
    load, which came before the call, and left it nothing to change."""
    return next(event for event in reversed(history_of(manager)) if event and event.version == version)


def on_a_loop(main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Run it on an event loop of its own; what it returns."""
    return asyncio.run(asyncio.wait_for(main(), DEADLINE))


def in_thread(function: Callable[[], T]) -> Callable[[], T]:
    """Begin to call it in a thread; what is returned waits for the result, or raises what it raised."""
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(function())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def result() -> T:
        thread.join(DEADLINE)
        assert not thread.is_alive(), f"not within {DEADLINE:g} s: the end of {function}"
        if errors:
            raise errors[0]
        return results[0]

    return result
