"""The client verbs, awaited: each has an `a` before its name, and the arguments of the verb that blocks.

It waits in a thread of the loop's default executor, whose number of threads the program may set
(`loop.set_default_executor`), or in a thread of trio's. A caller that cancels the await stops waiting; the request has
been sent, and the history shows its outcome.

Rejected: a second path to the owner without threads (two implementations of every wait, for calls that are made a few
times an hour), and a thread pool of our own (every worker would have to end its threads).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Literal

from confcast.wire.canary import Canary
from confcast.wire.messages import (
    Change,
    Explanation,
    ReloadEvent,
    ReloadResult,
    Status,
    VersionInfo,
    WorkerStatus,
)
from confcast.worker.async_library import in_thread
from confcast.worker.client.verbs import Verbs


class AwaitableVerbs(Verbs):
    """The client verbs, each also in an awaitable form."""

    __slots__ = ()

    async def areload(
        self,
        timeout: float | None = None,
        *,
        expect: int | None = None,
        wait_observers: float | None = None,
        allow: Iterable[str] = (),
        reason: str = "",
        confirm_within: float | timedelta | None = None,
        canary: Canary | None = None,
        force: bool = False,
    ) -> ReloadEvent:
        """`reload(timeout, expect=…, …)`, awaited. Raises what `reload` raises."""
        return await in_thread(
            self.reload,
            timeout,
            expect=expect,
            wait_observers=wait_observers,
            allow=allow,
            reason=reason,
            confirm_within=confirm_within,
            canary=canary,
            force=force,
        )

    async def acheck(
        self,
        *,
        values: Mapping[str, Any] | None = None,
        files: Mapping[str, str | os.PathLike[str]] | None = None,
        timeout: float | None = None,
    ) -> ReloadEvent:
        """`check(…)`, awaited. Raises what `check` raises."""
        return await in_thread(self.check, values=values, files=files, timeout=timeout)

    async def arollback(
        self, version: int | None = None, *, expect: int | None = None, reason: str = "", timeout: float | None = None
    ) -> ReloadEvent:
        """`rollback(version, …)`, awaited. Raises what `rollback` raises."""
        return await in_thread(self.rollback, version, expect=expect, reason=reason, timeout=timeout)

    async def aresume(
        self, *, expect: int | None = None, reason: str = "", timeout: float | None = None
    ) -> ReloadEvent:
        """`resume(…)`, awaited. Raises what `resume` raises."""
        return await in_thread(self.resume, expect=expect, reason=reason, timeout=timeout)

    async def aset(
        self,
        values: Mapping[str, Any],
        *,
        expect: int | None = None,
        ttl: float | timedelta | None = None,
        confirm_within: float | timedelta | None = None,
        allow: Iterable[str] = (),
        reason: str = "",
        timeout: float | None = None,
    ) -> ReloadEvent:
        """`set(values, …)`, awaited. Raises what `set` raises."""
        return await in_thread(
            self.set,
            values,
            expect=expect,
            ttl=ttl,
            confirm_within=confirm_within,
            allow=allow,
            reason=reason,
            timeout=timeout,
        )

    async def aunset(
        self, keys: Iterable[str], *, expect: int | None = None, reason: str = "", timeout: float | None = None
    ) -> ReloadEvent:
        """`unset(keys, …)`, awaited. Raises what `unset` raises."""
        return await in_thread(self.unset, keys, expect=expect, reason=reason, timeout=timeout)

    async def aconfirm(
        self, version: int | None = None, *, reason: str = "", timeout: float | None = None
    ) -> ReloadEvent:
        """`confirm(version, …)`, awaited. Raises what `confirm` raises."""
        return await in_thread(self.confirm, version, reason=reason, timeout=timeout)

    async def await_(self, version: int | None = None, *, timeout: float = 30.0) -> ReloadEvent:
        """`wait(version, …)`, awaited. Raises what `wait` raises."""
        return await in_thread(self.wait, version, timeout=timeout)

    async def areload_config(self) -> ReloadResult:
        """`reload_config()`, awaited. Raises what `reload_config` raises."""
        return await in_thread(self.reload_config)

    async def ais_reload_in_progress(self) -> bool:
        """`is_reload_in_progress()`, awaited. Raises what `is_reload_in_progress` raises."""
        return await in_thread(self.is_reload_in_progress)

    async def aget_stats(self) -> dict[str, Any]:
        """`get_stats()`, awaited. Raises what `get_stats` raises."""
        return await in_thread(self.get_stats)

    async def astatus(self) -> Status:
        """`status()`, awaited. Raises what `status` raises."""
        return await in_thread(self.status)

    async def aget_event_history(self, limit: int | None = None) -> list[ReloadEvent]:
        """`get_event_history(limit)`, awaited. Raises what `get_event_history` raises."""
        return await in_thread(self.get_event_history, limit)

    async def aclear_history(self) -> None:
        """`clear_history()`, awaited. Raises what `clear_history` raises."""
        await in_thread(self.clear_history)

    async def aworkers(self) -> list[WorkerStatus]:
        """`workers()`, awaited. Raises what `workers` raises."""
        return await in_thread(self.workers)

    async def aexplain(self, key: str) -> Explanation:
        """`explain(key)`, awaited. Raises what `explain` raises."""
        return await in_thread(self.explain, key)

    async def adiff(
        self, a: int | Literal["running", "sources"] = "running", b: int | Literal["running", "sources"] = "sources"
    ) -> list[Change]:
        """`diff(a, b)`, awaited. Raises what `diff` raises."""
        return await in_thread(self.diff, a, b)

    async def aversions(self, limit: int | None = None) -> list[VersionInfo]:
        """`versions(limit)`, awaited. Raises what `versions` raises."""
        return await in_thread(self.versions, limit)
