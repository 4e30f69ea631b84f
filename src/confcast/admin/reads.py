"""What one owner is asked for a request that changes nothing; each function blocks, in a thread of the call.

Each returns the answer, and the number that `ETag` has: that of the version on trial, else of the one that runs. It is
what a change gives back as `If-Match`, and what the owner compares: its `expect` means the same number. The number is
asked for first: an answer may be newer than it, and is never older, so a change that rests on it is safe.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from confcast.admin.problems import ProblemError
from confcast.errors import OwnerUnavailable, Problem
from confcast.wire.messages import (
    Change,
    Explanation,
    ReloadEvent,
    SchemaKey,
    ValueInfo,
    VersionInfo,
    WorkerStatus,
)
from confcast.worker.client import status_data
from confcast.worker.client.owner_client import OwnerClient

_ANSWERS_WITHIN = 1.0
"""Seconds in which an owner that lives answers what every build knows."""

_Limit = Annotated[int, Meta(ge=1, le=100_000, description="no more than so many")]


class Query(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the URL of a request may ask for beside the owner."""


class HistoryQuery(Query, frozen=True, kw_only=True):
    """Which events."""

    limit: _Limit | None = None
    before: Annotated[float, Meta(description="only those that began before, in seconds since 1970")] | None = None


class VersionsQuery(Query, frozen=True, kw_only=True):
    """Which versions."""

    limit: _Limit | None = None


class DiffQuery(Query, frozen=True, kw_only=True):
    """What is compared: a version's number, `running` or `sources`."""

    a: Annotated[int, Meta(ge=1)] | Literal["running", "sources"] = "running"
    b: Annotated[int, Meta(ge=1)] | Literal["running", "sources"] = "sources"


class ExplainQuery(Query, frozen=True, kw_only=True):
    """Which key."""

    key: Annotated[str, Meta(description="dotted, as messages write it")]


class ConfigQuery(Query, frozen=True, kw_only=True):
    """Which keys."""

    prefix: Annotated[str, Meta(description="a table's key")] = ""
    q: Annotated[str, Meta(description="a text that key, value, origin or description has")] = ""


class WorkersAnswer(msgspec.Struct, frozen=True):
    """Every process that holds, or should hold, the configuration."""

    workers: list[WorkerStatus]


class VersionsAnswer(msgspec.Struct, frozen=True):
    """The versions that are kept, the newest first."""

    versions: list[VersionInfo]


class HistoryAnswer(msgspec.Struct, frozen=True):
    """Events, the newest first."""

    events: list[ReloadEvent]


class DiffAnswer(msgspec.Struct, frozen=True):
    """What differs."""

    changes: list[Change]


class SchemaAnswer(msgspec.Struct, frozen=True):
    """What the schema says of each key; at most 1,000, and a last one that counts the others."""

    keys: list[SchemaKey]


class ConfigAnswer(msgspec.Struct, frozen=True):
    """What runs: at most 10,000 keys, and how many others there are; and why the sources are refused, if they are."""

    version: int
    values: list[ValueInfo]
    left_out: int
    problems: list[Problem]


def newest_number(stats: dict[str, Any]) -> int:
    """The number that `expect` is compared with."""
    trial = stats.get("trial")
    return int(trial["version"] if trial is not None else stats["version"])


def _number(owner: OwnerClient) -> int:
    return newest_number(owner.get_stats())


def status(owner: OwnerClient, query: Query) -> tuple[dict[str, Any], int]:
    """What `confcast status --json` gives."""
    known = status_data.asked(owner)
    return status_data.of(owner, *known), newest_number(known.stats)


def stats(owner: OwnerClient, query: Query) -> tuple[dict[str, Any], int]:
    """The totals."""
    found = owner.get_stats()
    return found, newest_number(found)


def workers(owner: OwnerClient, query: Query) -> tuple[WorkersAnswer, int]:
    """The roster."""
    return WorkersAnswer(owner.workers()), _number(owner)


def versions(owner: OwnerClient, query: VersionsQuery) -> tuple[VersionsAnswer, int]:
    """The kept versions."""
    number = _number(owner)
    return VersionsAnswer(owner.versions(query.limit)), number


def history(owner: OwnerClient, query: HistoryQuery) -> tuple[HistoryAnswer, int]:
    """The events."""
    number = _number(owner)
    if query.before is None:
        return HistoryAnswer(owner.get_event_history(query.limit)), number
    older = [each for each in owner.get_event_history() if each.timestamp < query.before]
    return HistoryAnswer(older[: query.limit]), number


def diff(owner: OwnerClient, query: DiffQuery) -> tuple[DiffAnswer, int]:
    """A comparison."""
    number = _number(owner)
    return DiffAnswer(owner.diff(query.a, query.b)), number


def explain(owner: OwnerClient, query: ExplainQuery) -> tuple[Explanation, int]:
    """Where a value comes from."""
    number = _number(owner)
    return owner.explain(query.key), number


def config(owner: OwnerClient, query: ConfigQuery) -> tuple[ConfigAnswer, int]:
    """What runs."""
    number = _number(owner)
    try:
        found = owner.configuration(query.prefix, query.q)
    except OwnerUnavailable:
        if not owner.answers(_ANSWERS_WITHIN):
            raise
        text = (
            "the config owner is of an earlier build of confcast, and does not know this question: restart its server"
        )
        raise ProblemError(501, "earlier_build", text) from None
    return ConfigAnswer(found.version, list(found.values), found.left_out, list(found.problems)), number


def schema(owner: OwnerClient, query: Query) -> tuple[SchemaAnswer, int]:
    """What the schema says."""
    number = _number(owner)
    return SchemaAnswer(list(owner.described())), number
