"""The owner's loop answers queries by itself: totals, history, workers, kept versions.

It answers from the journal and the core between two inputs of the core, so an answer never shows half a step.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any, assert_never, get_args

import msgspec

from confcast.owner.core.machine import Core
from confcast.owner.core.proposal import ProposalState
from confcast.owner.core.rules import Rules
from confcast.owner.loop.core_clock import date_of, with_dates
from confcast.owner.loop.present_status import Present, status_of, waiting_for
from confcast.owner.loop.provisional import Provisional, provisional_of
from confcast.owner.loop.questions import OpenQuestion, refusal
from confcast.owner.store.journal import Journal, JournalError, KeptVersion
from confcast.wire.messages import (
    Answer,
    ClearHistory,
    ConfigRequest,
    Done,
    ExplainRequest,
    History,
    HistoryRequest,
    MetricsRequest,
    Query,
    Question,
    SchemaRequest,
    ShowRequest,
    Stats,
    StatsRequest,
    VersionInfo,
    Versions,
    VersionsRequest,
    Workers,
    WorkersRequest,
)

_MOST_READ = 8 * 1024 * 1024
"""Bytes of contents of kept versions that are read to find out since when a value has been what it is."""

QUERIES: tuple[type[Query], ...] = get_args(Query)


def answer_to(
    query: Query, journal: Journal, core: Core, rules: Rules, present: Present, counts: Mapping[str, Mapping[str, int]]
) -> Answer:
    """Answer a query. Raises JournalError when the journal can't be read: the caller then waits until its timeout.

    Args:
        query: The question; its `id` comes back in the answer.
        journal: The journal, for totals, history and kept versions.
        core: The core, for the workers and the version.
        rules: The rules, for the time within which a reload is answered.
        present: What the loop knows beside core and journal.
        counts: Further totals: what was dropped, refused and not written, by kind.
    """
    match query:
        case StatsRequest(id, with_status):
            busy = core.state is not ProposalState.IDLE
            now = {"version": core.committed.version, "owner_pid": os.getpid(), "reload_in_progress": busy}
            stats = {**journal.totals(), **now, "answers_within": rules.answers_within, **counts}
            found = provisional_of(core, time.monotonic())
            stats |= _doing(present, time.time()) | _operated(present) | _provisional(found)
            return Stats(id, stats, status_of(core, journal, present, found) if with_status else None)
        case MetricsRequest(id):
            from confcast.owner.loop.measuring import measured  # here: most owners are never asked

            return measured(id, journal, core, rules, present, counts)
        case HistoryRequest(id, limit):
            return History(id, journal.events(limit))
        case WorkersRequest(id):
            return Workers(id, core.statuses())
        case VersionsRequest(id, limit):
            return Versions(id, [_without_content(each, journal, rules.schema) for each in journal.versions(limit)])
        case ClearHistory(id):
            journal.clear_events()
            return Done(id)
        case _:
            assert_never(query)  # a query without a case fails the type check here


def ask_for(question: Question, journal: Journal, core: Core, rules: Rules) -> OpenQuestion | Answer:
    """A question with what its answer takes from journal and core; or the answer, if what it asks for can't be had.

    Raises JournalError when the journal can't be read.
    """
    layer = core.operator.layer
    if isinstance(question, ExplainRequest | ConfigRequest):
        hold, running = with_dates(core.operator).hold, core.committed
        kept = _contents(journal, rules.schema)
        return OpenQuestion(0, question, kept, layer, running.payload, hold, running.version)
    if isinstance(question, SchemaRequest):
        return OpenQuestion(0, question)
    contents: dict[int | str, bytes] = {"running": core.committed.payload}
    if isinstance(question, ShowRequest):
        return OpenQuestion(0, question, contents, layer)
    for name in (question.a, question.b):
        if isinstance(name, int):
            try:
                row = journal.version(name)
            except JournalError as error:
                return refusal(question, str(error))
            if row.schema != rules.schema:
                return refusal(question, _of_another_schema(name, journal.described(row.schema), rules.fields))
            contents[name] = row.payload
    return OpenQuestion(0, question, contents, layer)


def _contents(journal: Journal, schema: bytes) -> dict[int | str, bytes]:
    """The contents of the kept versions of this schema, the newest first, up to the first that is not to be had."""
    found: dict[int | str, bytes] = {}
    room = _MOST_READ
    for kept in journal.versions():
        if kept.schema != schema or room <= 0:
            break
        try:
            found[kept.version] = journal.content(kept)
        except JournalError:
            break
        room -= len(found[kept.version])
    return found


def _of_another_schema(version: int, then: Mapping[str, str], now: Mapping[str, str]) -> str:
    keys = [key for key in {**then, **now} if then.get(key) != now.get(key)]
    differing = "; ".join(f"{key}: {then.get(key, 'absent')} then, {now.get(key, 'absent')} now" for key in keys)
    return f"version {version} is of another schema ({differing or 'same fields, other classes'}): it can't be compared"


def _without_content(kept: KeptVersion, journal: Journal, schema: bytes) -> VersionInfo:
    """What may be told of a kept version; `schema`: the fingerprint of the schema that is served now."""
    restorable = kept.schema == schema and journal.has_content(kept.digest)
    digest = kept.digest.hex()
    return VersionInfo(
        kept.version, kept.timestamp, digest, kept.origin, kept.who, kept.reason, kept.proven, restorable
    )


def _operated(present: Present) -> dict[str, Any]:
    """What people have set, for the totals: the hold, or None, and the overrides; times are in seconds since 1970.

    Beside it, as `pending`, the changes that wait for a full reload of the server.
    """
    hold = present.people.hold
    return {
        "held": None if hold is None else msgspec.to_builtins(hold),
        "overrides": [msgspec.to_builtins(each) for each in present.overrides],
        "overrides_left_out": sum(not each.applied for each in present.overrides),
        "pending": [msgspec.to_builtins(each) for each in present.people.pending],
    }


def _provisional(found: Provisional) -> dict[str, Any]:
    """What may still be undone by itself, for the totals."""
    return {"provisional": found.kind, "deadline": found.deadline, "evidence": found.evidence, **found.parts}


def _doing(present: Present, now: float) -> dict[str, Any]:
    """What an owner is doing, for the totals, so that a reload that takes long can be seen while it lasts.

    Args:
        present: What the loop knows.
        now: The date.
    """
    phase = present.phase
    waits_for = [
        {"pid": each.pid, "function": each.function or each.source, "seconds": round(now - each.since, 1)}
        for each in waiting_for(phase, present.hangs)
    ]
    seconds = round(now - date_of(phase.since), 1)
    return {"phase": phase.state.name.lower(), "phase_seconds": seconds, "waits_for": waits_for}
