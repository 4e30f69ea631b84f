"""The verb by which a caller has sent a request: for an error that is raised before it is sent."""

from __future__ import annotations

from collections.abc import Callable

from confcast.wire.messages import (
    Check,
    ClearHistory,
    ConfigRequest,
    Confirm,
    DiffRequest,
    ExplainRequest,
    HistoryRequest,
    MetricsRequest,
    NewsRequest,
    Reload,
    Request,
    Resume,
    Rollback,
    SchemaRequest,
    Set,
    ShowRequest,
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
    Confirm: "confirm",
    StatsRequest: "get_stats",
    HistoryRequest: "get_event_history",
    ClearHistory: "clear_history",
    WorkersRequest: "workers",
    ExplainRequest: "explain",
    DiffRequest: "diff",
    VersionsRequest: "versions",
    ShowRequest: "show",
    SchemaRequest: "schema",
    ConfigRequest: "configuration",
    NewsRequest: "news",
    MetricsRequest: "measured",
}


def verb_of(make: Callable[[int], Request]) -> str:
    """The name of the verb that sends this request."""
    request = make(0)
    if isinstance(request, StatsRequest) and request.status:
        return "status"
    return _VERBS[type(request)]
