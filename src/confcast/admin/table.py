"""The table of routes: what is served, what the OpenAPI document describes, and which command does the same.

Guaranteed: a route is in all three, since each is made of this table. Everything that the page does, `confcast` does on
the host, so that no repair depends on the page.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from confcast.admin import changes, reads, requests
from confcast.wire.messages import Explanation
from confcast.worker.client.owner_client import OwnerClient


class Read(NamedTuple):
    """A route that changes nothing, and asks one owner.

    Attributes:
        path: The path.
        command: The command of `confcast` that says the same.
        summary: What it answers.
        ask: Asks the owner, in a thread.
        query: What the URL may ask for.
        answer: The type of the answer; None for an object whose keys depend on the owner's build.
    """

    path: str
    command: str
    summary: str
    ask: Callable[[OwnerClient, Any], tuple[Any, int]]
    query: type[reads.Query] = reads.Query
    answer: Any = None


class Change(NamedTuple):
    """A route that changes or tries something in one owner.

    Attributes:
        path: The path.
        command: The command of `confcast` that does the same.
        summary: What it does.
        do: Carries it out, in a thread.
        body: The type of the body.
        changes: Whether it changes anything, so that it wants a version that was seen.
    """

    path: str
    command: str
    summary: str
    do: changes.Do
    body: type[Any]
    changes: bool = True


READS = (
    Read("/v1/status", "status", "What runs, what is set, what is under way", reads.status),
    Read("/v1/stats", "status", "The totals", reads.stats),
    Read("/v1/workers", "status", "Every worker, with its version", reads.workers, answer=reads.WorkersAnswer),
    Read("/v1/versions", "versions", "Kept versions", reads.versions, reads.VersionsQuery, reads.VersionsAnswer),
    Read(
        "/v1/history", "history", "What was changed or refused", reads.history, reads.HistoryQuery, reads.HistoryAnswer
    ),
    Read("/v1/diff", "diff", "What differs between two", reads.diff, reads.DiffQuery, reads.DiffAnswer),
    Read("/v1/explain", "explain", "Where a value comes from", reads.explain, reads.ExplainQuery, Explanation),
    Read("/v1/config", "show", "All that runs, with origins", reads.config, reads.ConfigQuery, reads.ConfigAnswer),
    Read("/v1/schema", "schema", "What the schema says of each key", reads.schema, answer=reads.SchemaAnswer),
)

CHANGES = (
    Change("/v1/check", "check", "What a change would bring", changes.check, requests.CheckBody, False),
    Change("/v1/reload", "reload", "Load the sources", changes.reload, requests.ReloadBody),
    Change("/v1/set", "set", "Set values above all sources", changes.set_, requests.SetBody),
    Change("/v1/unset", "unset", "End what was set", changes.unset, requests.UnsetBody),
    Change("/v1/rollback", "rollback", "Go back, and hold", changes.rollback, requests.RollbackBody),
    Change("/v1/resume", "resume", "Follow the sources again", changes.resume, requests.ResumeBody),
    Change("/v1/confirm", "confirm", "Keep what is provisional", changes.confirm, requests.ConfirmBody),
)
