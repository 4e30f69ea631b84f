"""What may be asked of an owner besides a reload: totals, history, workers.

Answered from the journal and the core at the moment of asking, between two inputs of the core: so an answer never
shows half a step.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from confcast.owner.core import Core
from confcast.owner.journal import Journal
from confcast.wire.messages import (
    ClearHistory,
    Done,
    History,
    HistoryRequest,
    Message,
    Stats,
    StatsRequest,
    Workers,
    WorkersRequest,
)

QUERIES = (StatsRequest, HistoryRequest, ClearHistory, WorkersRequest)


def answer_to(query: Message, journal: Journal, core: Core, counts: Mapping[str, Mapping[str, int]]) -> Message:
    """The answer. Raises JournalError when the journal can't be read: then nothing is answered, and the wait runs out.

    Args:
        query: One of `QUERIES`.
        journal: For totals and history.
        core: For the workers and the version.
        counts: What the owner dropped, refused and could not write, by kind; part of the totals.
    """
    match query:
        case StatsRequest(id):
            present = {"version": core.committed.version, "owner_pid": os.getpid()}
            return Stats(id, {**journal.totals(), **present, **{name: dict(of) for name, of in counts.items()}})
        case HistoryRequest(id, limit):
            return History(id, journal.events(limit))
        case WorkersRequest(id):
            return Workers(id, core.statuses())
        case ClearHistory(id):
            journal.clear_events()
            return Done(id)
    raise TypeError(f"{query!r} is no query")
