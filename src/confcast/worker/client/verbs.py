"""The verbs of a manager and an attached replica: requests to the owner, blocking or awaited.

The verbs of a manager and of a replica differ only in how they send a request (`_ask`): over a connection of its own
(`connection_per_call.py`), or over the replica's pipe. Any thread may call them; a signal handler and a `precommit`
function may not. A verb blocks the calling thread until the owner's answer or the deadline. Its form for coroutines has
an `a` before the name and waits in a thread of the loop's default executor, whose number of threads the program may set
(`loop.set_default_executor`), or in a thread of trio's. A caller that cancels the await stops waiting; the request has
been sent, and the history shows its outcome.

Rejected: a second path to the owner without threads (two implementations of every wait, for calls that are made a few
times an hour), and a thread pool of our own (every worker would have to end its threads).
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Literal, TypeVar

from confcast.errors import OwnerUnavailable, Problem
from confcast.wire.messages import (
    Answer,
    ClearHistory,
    History,
    HistoryRequest,
    Message,
    Outcome,
    Reload,
    ReloadEvent,
    ReloadResult,
    Request,
    Stats,
    StatsRequest,
    VersionInfo,
    Versions,
    VersionsRequest,
    Workers,
    WorkersRequest,
    WorkerStatus,
)
from confcast.wire.options import Options
from confcast.worker.async_library import in_thread

A = TypeVar("A", bound=Message)
_ANSWER_TIMEOUT = 5.0
"""Seconds to wait for an answer that needs no load."""


class Verbs(ABC):
    """The client verbs, which block the caller."""

    __slots__ = ()

    @abstractmethod
    def _ask(self, make: Callable[[int], Request], timeout: float) -> Answer | None:
        """Send the request that `make(id)` returns. Returns None if no answer came within `timeout` seconds."""

    def reload(self, timeout: float | None = None, *, wait_observers: float | None = None) -> ReloadEvent:
        """Have the owner load the sources once more, beginning after this call, and wait for the outcome.

        Args:
            timeout: Seconds to wait at the most. None: as long as the config owner may take by the manager's options,
                `load_timeout` + twice the longer of `vote_timeout` and `precommit_timeout` + 1; plus `wait_observers`.
                A reload that is under way is waited for first, within the same time: if both may need all of it, give
                twice as much.
            wait_observers: Seconds to wait at the most, once the version is applied, until the observers of all workers
                have run for it, including observers of `settled`. The outcome's `observer_errors` then names those that
                failed or have not finished; its result does not change. None: wait for no observer. An observer must
                not call this with a wait: it would wait for itself.

        Returns:
            The outcome; true when the sources' content runs now. Its `lagging` names workers that did not answer,
            `problems` why the content was refused, `changes` what differs, `notes` which edits a higher source hides.
            If no answer came in time, the result is OWNER_UNAVAILABLE: the outcome is not known.

        Raises:
            NotAttached: Before `attach()` or `start()`.
            ConfcastError: Called from a `precommit` function.
            ValueError: `wait_observers` is negative, or no number.
        """
        _check_wait(wait_observers)
        seconds = self._answers_within() + (wait_observers or 0.0) if timeout is None else timeout
        return self._reload(seconds, "call", wait_observers)

    def _reload(
        self, timeout: float, origin: Literal["call", "command"], wait_observers: float | None = None
    ) -> ReloadEvent:
        began = time.time()
        answer = self._ask(lambda number: Reload(number, origin, wait_observers), timeout)
        if isinstance(answer, Outcome):
            return answer.event
        problem = Problem(
            "",
            f"no answer from {self._whom()} after {time.time() - began:.1f} of {timeout:g} s; what became of the "
            "reload is unknown",
        )
        return ReloadEvent(
            timestamp=began,
            result=ReloadResult.OWNER_UNAVAILABLE,
            problems=[problem],
            error_message=str(problem),
            duration_ms=round((time.time() - began) * 1000, 3),
        )

    def reload_config(self) -> ReloadResult:
        """`reload().result`, under the name that LeIndex gave it.

        Two answers differ from LeIndex's on purpose. Sources whose content runs already give UNCHANGED, where LeIndex
        gave SUCCESS and called its observers; UNCHANGED is true in a boolean test, as SUCCESS is. No answer is "already
        in progress": a call during another reload waits for a load of its own, which begins after the call, so that no
        edit is missed.
        """
        return self.reload().result

    def is_reload_in_progress(self) -> bool:
        """Whether the owner is reloading at this moment, for any caller; the name is LeIndex's.

        This asks the owner, so it may wait, and raise, where LeIndex read a flag of its own process. Calling it before
        a reload is not needed: `reload()` during another one is never refused.

        Raises:
            NotAttached: Before `attach()` or `start()`.
            OwnerUnavailable: No answer within five seconds.
        """
        return bool(self.get_stats()["reload_in_progress"])

    def get_stats(self) -> dict[str, Any]:
        """The totals since the owner's journal began.

        Returns:
            `total_reloads` = `successful_reloads` + `suppressed` (nothing differed) + `failed_reloads`; the first load
            is none of them. `last_reload_time` (seconds since 1970, or None), `last_reload_result`, `version`,
            `owner_restarts`, `owner_pid`, `reload_in_progress`, `mean_duration_ms`, `max_duration_ms`; and `dropped`,
            `refused`, `failures`: what the owner dropped, refused and could not write, counted by kind.

        Raises:
            OwnerUnavailable: No answer within five seconds.
        """
        return self._answer(Stats, lambda number: StatsRequest(number)).stats

    def get_event_history(self, limit: int | None = None) -> list[ReloadEvent]:
        """The events of the last loads, newest first; at most `limit` of them, None for all that are kept.

        Raises:
            OwnerUnavailable: No answer within five seconds.
        """
        return self._answer(History, lambda number: HistoryRequest(number, limit)).events

    def clear_history(self) -> None:
        """Empty the owner's history of events; the totals stay. Raises OwnerUnavailable."""
        self._answer(Message, lambda number: ClearHistory(number))

    def workers(self) -> list[WorkerStatus]:
        """Every process that holds, or should hold, the configuration, by pid. Raises OwnerUnavailable."""
        return self._answer(Workers, lambda number: WorkersRequest(number)).workers

    def versions(self, limit: int | None = None) -> list[VersionInfo]:
        """The committed versions that the owner keeps, newest first; at most `limit` of them, None for all.

        The owner keeps the last ones (the option `keep_versions`). Their contents stay with the owner. One whose row in
        the journal is damaged is left out, and named in the owner's log.

        Raises:
            OwnerUnavailable: No answer within five seconds.
        """
        return self._answer(Versions, lambda number: VersionsRequest(number, limit)).versions

    def _answer(self, kind: type[A], make: Callable[[int], Request]) -> A:
        answer = self._ask(make, _ANSWER_TIMEOUT)
        if not isinstance(answer, kind):
            raise OwnerUnavailable(f"{self._whom()} did not answer within {_ANSWER_TIMEOUT:g} s")
        return answer

    def _answers_within(self) -> float:
        """Seconds within which the owner answers a reload, by its options; by their defaults if they are not known."""
        return Options().answers_within

    def _whom(self) -> str:
        """The words by which errors name the owner that was asked."""
        return "the config owner"


def _check_wait(seconds: float | None) -> None:
    """Raise ValueError if this is no number of seconds, 0 or more."""
    if seconds is not None and (type(seconds) not in (int, float) or not 0 <= seconds < math.inf):
        raise ValueError(f"wait_observers={seconds!r}: a number of seconds is expected, 0 or more")


class AwaitableVerbs(Verbs):
    """The client verbs, each also in an awaitable form."""

    __slots__ = ()

    async def areload(self, timeout: float | None = None, *, wait_observers: float | None = None) -> ReloadEvent:
        """`reload(timeout, wait_observers=…)`, awaited. Raises what `reload` raises."""
        return await in_thread(self.reload, timeout, wait_observers=wait_observers)

    async def areload_config(self) -> ReloadResult:
        """`reload_config()`, awaited. Raises what `reload_config` raises."""
        return await in_thread(self.reload_config)

    async def ais_reload_in_progress(self) -> bool:
        """`is_reload_in_progress()`, awaited. Raises what `is_reload_in_progress` raises."""
        return await in_thread(self.is_reload_in_progress)

    async def aget_stats(self) -> dict[str, Any]:
        """`get_stats()`, awaited. Raises what `get_stats` raises."""
        return await in_thread(self.get_stats)

    async def aget_event_history(self, limit: int | None = None) -> list[ReloadEvent]:
        """`get_event_history(limit)`, awaited. Raises what `get_event_history` raises."""
        return await in_thread(self.get_event_history, limit)

    async def aclear_history(self) -> None:
        """`clear_history()`, awaited. Raises what `clear_history` raises."""
        await in_thread(self.clear_history)

    async def aworkers(self) -> list[WorkerStatus]:
        """`workers()`, awaited. Raises what `workers` raises."""
        return await in_thread(self.workers)

    async def aversions(self, limit: int | None = None) -> list[VersionInfo]:
        """`versions(limit)`, awaited. Raises what `versions` raises."""
        return await in_thread(self.versions, limit)
