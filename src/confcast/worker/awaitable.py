"""The client verbs for coroutines: each name with an `a` before it, the same on a manager and on an attached replica.

A verb waits for the config owner's answer; awaited, it waits in a thread of the loop's default executor, whose number
of threads is limited and the program's to set (`loop.set_default_executor`), or in one of trio's, and the loop goes on.
Whoever cancels the await stops waiting; the question has left, and what became of it stands in the history. Safe on any
loop of asyncio's or trio's.

Rejected: a second path to the owner without threads (two implementations of every wait, for calls that are made a few
times an hour), and a thread pool of our own (threads that every worker would have to end).
"""

from __future__ import annotations

from typing import Any

from confcast.wire.messages import ReloadEvent, ReloadResult, WorkerStatus
from confcast.worker.async_library import in_thread
from confcast.worker.verbs import Verbs


class AwaitableVerbs(Verbs):
    """The client verbs, and their awaitable forms."""

    __slots__ = ()

    async def areload(self, timeout: float | None = None, *, wait_observers: float | None = None) -> ReloadEvent:
        """`reload(timeout, wait_observers=…)`, awaited. Raises what it raises."""
        return await in_thread(self.reload, timeout, wait_observers=wait_observers)

    async def areload_config(self) -> ReloadResult:
        """`reload_config()`, awaited. Raises what it raises."""
        return await in_thread(self.reload_config)

    async def ais_reload_in_progress(self) -> bool:
        """`is_reload_in_progress()`, awaited. Raises what it raises."""
        return await in_thread(self.is_reload_in_progress)

    async def aget_stats(self) -> dict[str, Any]:
        """`get_stats()`, awaited. Raises what it raises."""
        return await in_thread(self.get_stats)

    async def aget_event_history(self, limit: int | None = None) -> list[ReloadEvent]:
        """`get_event_history(limit)`, awaited. Raises what it raises."""
        return await in_thread(self.get_event_history, limit)

    async def aclear_history(self) -> None:
        """`clear_history()`, awaited. Raises what it raises."""
        await in_thread(self.clear_history)

    async def aworkers(self) -> list[WorkerStatus]:
        """`workers()`, awaited. Raises what it raises."""
        return await in_thread(self.workers)
