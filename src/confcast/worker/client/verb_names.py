"""The verb by which a caller has sent a request: for an error that is raised before it is sent."""

from __future__ import annotations

from collections.abc import Callable

from confcast.wire.messages import (
    Check,
    ClearHistory,
    DiffRequest,
    ExplainRequest,
    HistoryRequest,
    Reload,
    Request,
    Resume,
    Rollback,
    Set,
    StatsRequest,
    Unset,
    VersionsRequest,
    WorkersRequest,
)

_VERBS: dict[type, str] = {
    Reload: "reload",
    Check: "check",
    Rollback: "rollback",
    Resume: "resume",
    Set: "set",
    Unset: "unset",
    StatsRequest: "get_stats",
    HistoryRequest: "get_event_history",
    ClearHistory: "clear_history",
    WorkersRequest: "workers",
    ExplainRequest: "explain",
    DiffRequest: "diff",
    VersionsRequest: "versions",
}


def verb_of(make: Callable[[int], Request]) -> str:
    """The name of the verb that sends this request."""
    return _VERBS.get(type(make(0)), "status")
