"""The verbs of a manager and an attached replica: requests to the owner, for which the caller waits.

The verbs of a manager and of a replica differ only in how they send a request (`_ask`): over a connection of its own
(`connection_per_call.py`), or over the replica's pipe. Any thread may call them; a signal handler and a `precommit`
function may not. A verb blocks the calling thread until the owner's answer or the deadline; `awaitable_verbs.py` has
the forms for coroutines.
"""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any, Literal, TypeVar

from msgspec.structs import replace

from confcast.errors import ConfigError, OwnerUnavailable
from confcast.wire.canary import Canary
from confcast.wire.messages import (
    Answer,
    Change,
    Check,
    ClearHistory,
    Confirm,
    Differences,
    DiffRequest,
    Explained,
    ExplainRequest,
    Explanation,
    History,
    HistoryRequest,
    Message,
    Outcome,
    Reload,
    ReloadEvent,
    ReloadResult,
    Request,
    Resume,
    Rollback,
    Set,
    Stats,
    StatsRequest,
    Status,
    Unset,
    VersionInfo,
    Versions,
    VersionsRequest,
    Workers,
    WorkersRequest,
    WorkerStatus,
)
from confcast.wire.plain_values import plain_values
from confcast.worker.client import arguments
from confcast.worker.client.sendable import check_sendable
from confcast.worker.client.unanswered import unanswered

A = TypeVar("A", bound=Message)
_ANSWER_TIMEOUT = 5.0
"""Seconds to wait for an answer that needs no load."""


class Verbs(ABC):
    """The client verbs, which block the caller."""

    __slots__ = ()

    @abstractmethod
    def _ask(self, make: Callable[[int], Request], timeout: float) -> Answer | None:
        """Send the request that `make(id)` returns. Returns None if no answer came within `timeout` seconds."""

    def reload(
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
        """Have the owner load the sources once more, beginning after this call, and wait for the outcome.

            event = manager.reload(confirm_within=600, reason="another database")
            if event and works():
                manager.confirm(event.version)

        Args:
            timeout: Seconds to wait at the most. None: as long as the config owner may take by the manager's options,
                `load_timeout` + twice the longer of `vote_timeout` and `precommit_timeout` + 1; plus `wait_observers`.
                A reload that is under way is waited for first, within the same time: if both may need all of it, give
                twice as much.
            expect: The version that the caller has seen; while one is on trial, that one. If it is another one when the
                load would begin, the result is CONFLICT, and nothing was loaded. None: any version.
            wait_observers: Seconds to wait at the most, once the version is applied, until the observers of all workers
                have run for it, including observers of `settled`. The outcome's `observer_errors` then names those that
                failed or have not finished; its result does not change. None: wait for no observer. An observer must
                not call this with a wait: it would wait for itself.
            allow: The names of the loader's guards that may trip, as the refusal prints them: `shrinks:upstreams`.
            reason: Why, for the history and the list of versions; at most 500 characters are kept.
            confirm_within: Seconds, or a timedelta, from the commit on. If `confirm()` does not come in this time, the
                owner puts back, in all workers and without a vote, the content that was good before; the history then
                has an event UNDONE. A version that is committed meanwhile, by whomever, goes with it. Given again, also
                where nothing has changed, it counts anew. Where files are watched, call it before the edit: what was
                loaded before it is good. None: no window is opened; one that is open stays.
            canary: Try the version first in a part of the workers, or for a part of the entities; also content that was
                undone because its owner died in its trial. None: as the manager's option `canary` says. Content that
                was good once is not tried, and nothing is where one worker runs alone; `notes` say so.
            force: Load past a hold, which ends with the version that is committed, past content that was undone, past
                all guards, and into every worker, without a trial. It wants a reason.

        Returns:
            The outcome; true when the sources' content runs now. Its `lagging` names workers that did not answer,
            `problems` why the content was refused, `changes` what differs, `notes` which edits a higher source hides,
            `confirm_by` until when `confirm()` must come. ON_TRIAL: canaries run it, and it is committed or undone at
            the trial's end, for which `wait()` waits. GUARDED: `problems` say what to allow. If no answer came in time,
            the result is OWNER_UNAVAILABLE: the outcome is not known.

        Raises:
            NotAttached: Before `attach()` or `start()`.
            ConfcastError: Called from a `precommit` function.
            ValueError: `wait_observers` is negative, or no number; `force` is given without a reason; `confirm_within`
                is not above 0, or longer than ten years; `expect` is no number of a version; or a text is no valid
                Unicode. TypeError: `reason` is no text, `allow` no list of texts, or `canary` no Canary.
        """
        arguments.check_wait(wait_observers)
        window, guards = arguments.window(confirm_within), arguments.guards(allow)
        if force and not reason.strip():
            raise ValueError("force=True wants a reason: it is for the one who asks later why a hold was passed")
        how = Reload(0, "call", wait_observers, reason, force, expect, window, guards, arguments.canary(canary))
        seconds = self._answers_within() + (wait_observers or 0.0) if timeout is None else timeout
        return self._reload(seconds, how)

    def _reload(self, timeout: float, how: Reload) -> ReloadEvent:
        """Have the owner load, with the fields of this request but for its id."""
        event = self._outcome(lambda number: replace(how, id=number), timeout, "reload")
        event = arguments.without_window(event) if how.confirm_within else event
        return event if how.canary is None or how.force else arguments.without_trial(event)

    def check(
        self,
        *,
        values: Mapping[str, Any] | None = None,
        files: Mapping[str, str | os.PathLike[str]] | None = None,
        timeout: float | None = None,
    ) -> ReloadEvent:
        """Try what a reload would bring: load, have every worker vote, and drop all of it.

        Nothing is committed or recorded; no observer runs. Workers build the candidate and run their `precommit`
        functions. The dry run gives way to any other request that comes during its vote.

            event = manager.check()
            if not event:
                print(event.error_message)

        Args:
            values: Try what `set(values)` would bring.
            files: By the name or the path of a source's file: the path of another file whose content it would have.
                This process reads it, and the content travels: at most 1,000,000 bytes for all of them.
            timeout: As in `reload`.

        Returns:
            The outcome that a reload would have had, with `dry_run`: SUCCESS or PARTIAL would be committed. `problems`
            has the noes of all workers, `lagging` names the silent ones. OWNER_UNAVAILABLE: it gave way before all had
            voted, or no answer came.

        Raises:
            As `reload`; and TypeError: a value is no plain data. OSError: a file can't be read. ValueError: the files
                are too long.
        """
        plain, contents = plain_values(values or {}), arguments.contents(files or {})
        return self._outcome(lambda number: Check(number, plain, contents), self._seconds(timeout), "dry run")

    def rollback(
        self, version: int | None = None, *, expect: int | None = None, reason: str = "", timeout: float | None = None
    ) -> ReloadEvent:
        """Go back to a kept version, and hold it: what the sources say is put to no worker until `resume()`.

        The content and the overrides of that version are committed under the next number, without reading a source.
        Workers vote: a no refuses it, silence does not; what is provisional is taken back without a vote. Restarts,
        signals and changed files leave the hold; `set` and `unset` work on top of it.

            event = manager.rollback(reason="out of memory")

        Args:
            version: Its number, as `versions()` lists it. None: the newest good version before the one whose content
                runs, so that going back twice goes back two versions; while something is provisional, what ran
                before it. The one that runs: hold it. With a number, what comes of it in a
                window is to be confirmed like any other change.
            expect: The version that the caller has seen. If another one runs, the result is CONFLICT.
            reason: Why, for the history and the list of versions; at most 500 characters are kept.
            timeout: As in `reload`.

        Returns:
            The outcome; true when that content runs, and is held. VALIDATION_FAILED: the version is not kept, is of
            another schema, or there is no good one; `problems` says which.

        Raises:
            As `reload`.
        """
        return self._outcome(
            lambda number: Rollback(number, version, expect, reason), self._seconds(timeout), "way back"
        )

    def resume(self, *, expect: int | None = None, reason: str = "", timeout: float | None = None) -> ReloadEvent:
        """Follow the sources again: end the hold that `rollback()` left, and load, even content that was undone.

        The hold ends with the version that is committed, or at once where the sources say what runs. If the load is
        refused, the version stays held. Without a hold this is a reload.

        Args:
            expect: The version that the caller has seen. If another one runs, the result is CONFLICT.
            reason: Why; at most 500 characters are kept.
            timeout: As in `reload`.

        Returns:
            The outcome of the load.

        Raises:
            As `reload`.
        """
        return self._outcome(lambda number: Resume(number, expect, reason), self._seconds(timeout), "resumption")

    def set(
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
        """Set values above all sources, in all workers, until `unset()` or the end of their time.

        They are validated and voted on like a changed file, and survive the config owner; with `state_dir`, the host,
        too. On a version that is held they are set on top of it.

            manager.set({"limits.api": 10}, ttl=600, reason="too many requests")

        Args:
            values: By dotted key. A text means what it means in an environment variable; tables merge; other data
                (numbers, booleans, lists) mean what a file would mean by them.
            expect: The version that the caller has seen. If another one runs, the result is CONFLICT.
            ttl: Seconds, or a timedelta, after which the values end, at most ten years. None: no end.
            confirm_within: As in `reload`: the values end then, with all that was committed since, unless `confirm()`
                comes.
            allow: As in `reload`.
            reason: Why; at most 500 characters are kept.
            timeout: As in `reload`.

        Returns:
            The outcome; true when the values run. VALIDATION_FAILED: a key is unknown, or a value does not fit.
            ON_TRIAL: canaries run them, as the manager's option `canary` says. GUARDED: as in `reload`.

        Raises:
            As `reload`; and ValueError: `ttl` is not above 0, or longer than ten years, or the values have more than
                1 MiB. TypeError: a value is no plain data.
        """
        plain, names = plain_values(values), arguments.guards(allow)
        ends = None if ttl is None else arguments.seconds_of("ttl", ttl)
        window = arguments.window(confirm_within)
        event = self._outcome(
            lambda number: Set(number, plain, expect, ends, reason, window, names), self._seconds(timeout), "change"
        )
        return arguments.without_window(event) if window else event

    def unset(
        self, keys: Iterable[str], *, expect: int | None = None, reason: str = "", timeout: float | None = None
    ) -> ReloadEvent:
        """End what `set()` has set for these keys: the sources' values count again.

        Args:
            keys: Dotted keys; one that names a table stands for all that is set in it.
            expect: The version that the caller has seen. If another one runs, the result is CONFLICT.
            reason: Why; at most 500 characters are kept.
            timeout: As in `reload`.

        Returns:
            The outcome. VALIDATION_FAILED: nothing is set for a key.

        Raises:
            As `reload`; and TypeError: `keys` is a text.
        """
        if isinstance(keys, str):
            raise TypeError(f"keys={keys!r}: a list of keys is expected, as [{keys!r}]")
        names = tuple(keys)
        return self._outcome(lambda number: Unset(number, names, expect, reason), self._seconds(timeout), "change")

    def confirm(self, version: int | None = None, *, reason: str = "", timeout: float | None = None) -> ReloadEvent:
        """Keep what is provisional, all of it.

        A version on trial is put to every worker's vote, and committed under its own number; then its probation
        begins. A window that `confirm_within` has opened is closed, and what is on probation is good at once.

            event = manager.set({"bind": "0.0.0.0:8000"}, confirm_within=timedelta(minutes=10))
            later = manager.confirm(event.version)
            if not later:
                print("too late:", later.error_message)

        Args:
            version: The version that the caller has seen run, or on trial. If it is another one, the result is
                CONFLICT, and nothing is confirmed. None: whatever it is.
            reason: Why, for the history; at most 500 characters are kept.
            timeout: As in `reload`. Whether the window is over is found when the owner comes to this call, which may be
                after a load that is under way.

        Returns:
            The outcome; true when it runs, and stays. UNDONE or REJECTED: a worker refuses the version on trial, so it
            is undone. CONFLICT: nothing waits for it (never, or its time is over, or
            somebody has confirmed it), or another version runs; `error_message` says which.

        Raises:
            As `reload`; and ValueError: `version` is no number above 0.
        """
        if version is not None and (type(version) is not int or version < 1):
            raise ValueError(f"version={version!r}: the number of a version is expected")
        return self._outcome(
            lambda number: Confirm(number, version or 0, reason), self._seconds(timeout), "confirmation"
        )

    def wait(self, version: int | None = None, *, timeout: float = 30.0) -> ReloadEvent:
        """Wait until a version is good or gone; or until nothing is under way, and nothing is provisional.

        A version is good once every worker has applied it, was passed over as silent, or has declined it, and once it
        can't be undone by itself any more: its trial, its probation and its window (`confirm_within`) are over. The
        owner is asked again and again, twenty times a second at first and twice a second later.

            manager.request_reload()
            event = manager.wait(12)

        Args:
            version: Its number, that of a version on trial included; one that does not exist yet is waited for. None:
                until no load, vote or change is under way, and nothing is provisional.
            timeout: Seconds to wait at the most; an owner that does not answer by then has one second more.

        Returns:
            The last event of it. Of a version: what became of it, true if it came to run; REJECTED if no worker ran it,
            UNDONE if it was taken back later, or on trial, VALIDATION_FAILED if it is gone: neither kept nor in the
            history. None given: the newest event of the history, false if what was tried last was refused, or undone.
            OWNER_UNAVAILABLE: no owner answered, or it was not over in time; `error_message` says which.

        Raises:
            NotAttached: Before `attach()` or `start()`.
            ValueError: `version` is no number above 0, or `timeout` is negative.
        """
        from confcast.worker.client import waiting  # imported here: a command line mostly has no use for it

        return waiting.wait_for(waiting.Within(self._answer, timeout), version, timeout)

    def _seconds(self, timeout: float | None) -> float:
        return self._answers_within() if timeout is None else timeout

    def _outcome(self, make: Callable[[int], Request], timeout: float, what: str) -> ReloadEvent:
        """The owner's answer; one with OWNER_UNAVAILABLE if none came. `what`: what was asked for, in words."""
        check_sendable(make(0))
        began = time.time()
        answer = self._ask(make, timeout)
        if isinstance(answer, Outcome):
            return answer.event
        return unanswered(
            began,
            f"no answer from {self._whom()} after {time.time() - began:.1f} of {timeout:g} s; what became of the "
            f"{what} is unknown",
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
            `total_reloads` = `successful_reloads` + `suppressed` (nothing differed) + `held_reloads` (it was held)
            + `failed_reloads`; the first load is none of them, and neither are `conflicts` (another version than the
            expected one ran). A reload whose version is on trial is counted when that ends: as successful when it is
            committed, as failed when it is undone. `last_reload_time` (seconds since 1970, or None),
            `last_reload_result`, `version`, `owner_restarts`, `owner_pid`, `reload_in_progress`, `mean_duration_ms`,
            `max_duration_ms`, `overrides_left_out`; and `dropped`, `refused`, `failures`: what the owner dropped,
            refused and could not write; `spoken_against`: deaths, unhealthy workers and probes that said no, whatever
            version they were of; all counted by kind. `webhooks`: of each one how many messages were `delivered`, have
            `failed` to be, are `pending` and were `dropped`; the last `error`, `next_try`, and since when it is `gone`.

        Raises:
            OwnerUnavailable: No answer within five seconds.
        """
        return self._stats().stats

    def status(self) -> Status:
        """What runs, who changed it last and why, what is set, and what the owner is doing; secrets are masked.

        The owner answers at once, also while it loads or waits for a vote: `phase` and `waiting_for` say what for. It
        reads no source for it: `disk` is as of the sources' last load.

        ```python
        status = client.status()
        if status.held is not None:
            print(f"held since {status.held.since}: {status.held.reason}")
        ```

        Raises:
            NotAttached: Before `attach()` or `start()`.
            OwnerUnavailable: No answer within five seconds; or the owner is of an earlier build, which has no status.
        """
        if (status := self._stats(with_status=True).status) is None:
            raise OwnerUnavailable(f"{self._whom()} is of an earlier build, which has no status(): restart its server")
        return status

    def _stats(self, *, with_status: bool = False) -> Stats:
        return self._answer(Stats, lambda number: StatsRequest(number, with_status))

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

    def explain(self, key: str) -> Explanation:
        """Where the value of a key comes from, what it hides, and what the schema says of it; secrets are masked.

        The owner loads its sources for the answer, and changes nothing.

        Args:
            key: Dotted, as messages write it: `memory.total`, `servers.0.host`, `log_levels."app.payments"`.

        Raises:
            ConfigError: The schema has no such key, and the message names the most similar one; or the sources are
                wrong, or not loaded within `load_timeout`.
            OwnerUnavailable: No answer within the time that a reload may take.
        """
        answer = self._answer(Explained, lambda number: ExplainRequest(number, key), self._answers_within())
        if answer.explanation is None:
            raise ConfigError(answer.problems)
        return answer.explanation

    def diff(
        self, a: int | Literal["running", "sources"] = "running", b: int | Literal["running", "sources"] = "sources"
    ) -> list[Change]:
        """What differs from one configuration to another; secrets are masked. `diff(11)` is 11 against the sources.

        Args:
            a: The number of a kept version; `running`: the version that runs; `sources`: what a load would give now.
            b: As `a`.

        Returns:
            The changes by key, at most 1,000, and one that counts the others; empty if nothing differs.

        Raises:
            ConfigError: A version is not kept, or is of another schema, and the message says which fields differ; or
                the sources are wrong, or not loaded within `load_timeout`.
            ValueError: `a` or `b` is no number and neither word.
            OwnerUnavailable: No answer within the time that a reload may take.
        """
        arguments.check_side(a)
        arguments.check_side(b)
        answer = self._answer(Differences, lambda number: DiffRequest(number, a, b), self._answers_within())
        if answer.problems:
            raise ConfigError(answer.problems)
        return list(answer.changes)

    def _answer(self, kind: type[A], make: Callable[[int], Request], timeout: float | None = None) -> A:
        timeout = _ANSWER_TIMEOUT if timeout is None else timeout
        check_sendable(make(0))
        answer = self._ask(make, timeout)
        if not isinstance(answer, kind):
            raise OwnerUnavailable(f"{self._whom()} did not answer within {timeout:g} s")
        return answer

    def _answers_within(self) -> float:
        """Seconds within which the owner answers a reload, by its options; by their defaults if they are not known."""
        from confcast.wire.options import Options  # imported here: a command line has no use for it

        return Options().answers_within

    def _whom(self) -> str:
        """The words by which errors name the owner that was asked."""
        return "the config owner"
