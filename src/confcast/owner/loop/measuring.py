"""What monitoring is told, in one answer: sums and states, made of core and journal between two inputs of the core.

Guaranteed: nothing in it is a key, a value, a path, a problem or a caller; its words are of fixed lists, but for the
configuration's name and the names of source classes; and it grows with the number of versions that workers have, not
with the number of workers. Monitoring asks some four times a minute, for ever, while nothing changes: what is read out
of the journal is read once for each of its entries. Rejected: the totals and the status, in which keys and values are
(they are for people who may see them), and a counter at each place where something happens (the journal counts its
events in the transaction that takes them in, so that no count is lost with an owner).
"""

from __future__ import annotations

import functools
import os
import sys
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from confcast.owner.core.machine import Core
from confcast.owner.core.proposal import ProposalState
from confcast.owner.core.rules import Rules
from confcast.owner.loop.core_clock import date_of
from confcast.owner.loop.present_status import Present, disk_state, is_undone
from confcast.owner.loop.provisional import provisional_of
from confcast.owner.store.journal import Journal
from confcast.wire import processes
from confcast.wire.load_events import LOOK_BACK, last_word
from confcast.wire.measured import EventCounts, OwnerProcess, WebhookCounts
from confcast.wire.messages import Measured, ReloadEvent, WorkerStatus

_STALE = ("confcast.config.sources.polled", "confcast.fleet.followed")
"""The modules that know which sources are asked; where there is none of their sources, they have not been imported."""

_LAGS = frozenset({"behind", "late", "declined", "disconnected"})


def measured(
    number: int,
    journal: Journal,
    core: Core,
    rules: Rules,
    present: Present,
    counts: Mapping[str, Mapping[str, int]],
) -> Measured:
    """The answer to the MetricsRequest of this number; the rest is as of `queries.answer_to`. Raises JournalError."""
    committed, people, now = core.committed, present.people, time.time()
    kept = _kept(journal, journal.mark)
    origin, since = kept.get(committed.version, ("", 0.0))
    workers = core.statuses()
    totals = journal.totals()
    phase = present.phase
    return Measured(
        number,
        rules.name,
        committed.version,
        committed.digest.hex(),
        origin,
        since,
        disk_state(core, _last_word(journal, journal.mark, is_undone(core))),
        people.hold is not None,
        provisional_of(core, time.monotonic()).kind,
        len(people.pending),
        len(present.overrides),
        sum(not each.applied for each in present.overrides),
        0.0 if phase.state is ProposalState.IDLE else max(0.0, now - date_of(phase.since)),
        tuple((version, state, count) for (version, state), count in sorted(_by_version(workers).items())),
        _lag(workers, committed.version, kept, now),
        _stale(),
        len(kept),
        totals["suppressed"],
        totals["owner_restarts"],
        core.observer_failures,
        _events(journal, journal.mark),
        {kind: dict(each) for kind, each in counts.items()},
        _process(),
        tuple(_webhook(each) for each in totals["webhooks"]),
    )


# What is read out of the journal changes with its mark. One is remembered: an owner has one journal.


@functools.lru_cache(maxsize=1)
def _events(journal: Journal, mark: object) -> EventCounts:
    return journal.counts()


@functools.lru_cache(maxsize=1)
def _kept(journal: Journal, mark: object) -> dict[int, tuple[str, float]]:
    """The origin of each version that is kept, and when it was committed; the newest first."""
    return {each.version: (each.origin, each.timestamp) for each in journal.versions()}


@functools.lru_cache(maxsize=1)
def _last_word(journal: Journal, mark: object, refused: bool) -> ReloadEvent | None:
    """The event that says what became of the sources' content, without the changes, which may be many."""
    last = last_word(journal.events(LOOK_BACK), refused=refused)
    return None if last is None else ReloadEvent(timestamp=last.timestamp, result=last.result, origin=last.origin)


def _by_version(workers: list[WorkerStatus]) -> Counter[tuple[int, str]]:
    return Counter((each.version, each.state) for each in workers)


def _lag(workers: list[WorkerStatus], runs: int, kept: Mapping[int, tuple[str, float]], now: float) -> float:
    """For how many seconds the worker that lags most has had an older version than the one that runs.

    It began with the first version that it lacks. A worker that has no version yet serves nothing, so it lags by none.
    """
    oldest = min((each.version for each in workers if each.state in _LAGS and 0 < each.version < runs), default=runs)
    missed = [since for version, (_, since) in kept.items() if oldest < version <= runs]
    return max(0.0, now - missed[-1]) if missed else 0.0


def _stale() -> dict[str, int]:
    """How many sources give no answer, by their kind; each kind that is asked is there."""
    found = Counter[str]()
    for name in _STALE:
        if (module := sys.modules.get(name)) is not None:
            for kind, is_stale in module.stale_kinds():
                found[kind] += is_stale
    return dict(found)


def _webhook(told: Mapping[str, Any]) -> WebhookCounts:
    """Without its address, which may have a token in it, and the error, which its receiver has written."""
    counts = {name: told[name] for name in ("delivered", "failed", "dropped", "pending")}
    return WebhookCounts(**counts, gone=told["gone"] is not None)


def _process() -> OwnerProcess:
    return OwnerProcess(_started(), time.process_time(), processes.resident_bytes())


@functools.cache
def _started() -> float:  # computed once, or it would be another fraction of a second each time
    return processes.started_at(os.getpid())
