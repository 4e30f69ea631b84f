"""The owner's answers to the requests of clients: one struct for each kind, with the `id` of its request."""

from __future__ import annotations

from typing import Any

from confcast.errors import Problem
from confcast.wire.measured import EventCounts, OwnerProcess, WebhookCounts
from confcast.wire.message import Message
from confcast.wire.told import Change, Explanation, ReloadEvent, SchemaKey, Status, ValueInfo, VersionInfo, WorkerStatus


class Outcome(Message, frozen=True):
    """The answer to Reload, and to each operation."""

    id: int
    event: ReloadEvent


class Stats(Message, frozen=True):
    """The answer to StatsRequest. `status` is None if it was not asked for, or the owner's build has none."""

    id: int
    stats: dict[str, Any]
    status: Status | None = None


class History(Message, frozen=True):
    """The answer to HistoryRequest."""

    id: int
    events: list[ReloadEvent]


class Workers(Message, frozen=True):
    """The answer to WorkersRequest."""

    id: int
    workers: list[WorkerStatus]


class Versions(Message, frozen=True):
    """The answer to VersionsRequest. It has no content of a version."""

    id: int
    versions: list[VersionInfo]


class Explained(Message, frozen=True):
    """The answer to ExplainRequest: the explanation, or why there is none."""

    id: int
    explanation: Explanation | None = None
    problems: tuple[Problem, ...] = ()


class Differences(Message, frozen=True):
    """The answer to DiffRequest: at most 1,000 changes as in an event, or why nothing can be compared."""

    id: int
    changes: tuple[Change, ...] = ()
    problems: tuple[Problem, ...] = ()


class Shown(Message, frozen=True):
    """The answer to ShowRequest: keys with their values as a `Change` shows them, or why there are none.

    A key that is a value's own has that value alone, and whole. Of others there are at most 10,000, and a last one
    without a value, which counts the rest; long values are cut.
    """

    id: int
    values: tuple[tuple[str, Any], ...] = ()
    problems: tuple[Problem, ...] = ()


class Configuration(Message, frozen=True):
    """The answer to ConfigRequest: keys of what runs under this version's number.

    At most 10,000, and how many there are besides; or why there are none. With keys, `problems` say why the sources are
    refused, so that positions in them are not known.
    """

    id: int
    version: int = 0
    values: tuple[ValueInfo, ...] = ()
    left_out: int = 0
    problems: tuple[Problem, ...] = ()


class News(Message, frozen=True):
    """The answer to NewsRequest: what stands for the present state; another one says that something has changed."""

    id: int
    state: str


class Described(Message, frozen=True):
    """The answer to SchemaRequest: at most 1,000 keys, and one that counts the others; or why there are none."""

    id: int
    fields: tuple[SchemaKey, ...] = ()
    problems: tuple[Problem, ...] = ()


class Done(Message, frozen=True):
    """The answer to a request that has no result."""

    id: int


class Measured(Message, frozen=True):
    """The answer to MetricsRequest: numbers, and words of fixed lists. It has no key, no value, no path, no problem.

    `since`: when the version was committed, in seconds since 1970; 0.0: not kept. `disk`, `provisional`: as in Status.
    `busy`: for how many seconds the owner has been at a load; 0.0: it is at none. `workers`: how many there are, by
    version and state. `lag`: for how many seconds the worker that lags most has held an older version than the one that
    runs. `stale`: how many sources give no answer, by their kind, for each kind that is asked. `counts`: by what is
    counted, then by kind: dropped messages, refused connections, failed writes, words against a version. `webhooks`: in
    the order in which the manager has them.
    """

    id: int
    name: str
    version: int
    digest: str
    origin: str = ""
    since: float = 0.0
    disk: str = "in step"
    held: bool = False
    provisional: str = ""
    pending: int = 0
    overrides: int = 0
    overrides_left_out: int = 0
    busy: float = 0.0
    workers: tuple[tuple[int, str, int], ...] = ()
    lag: float = 0.0
    stale: dict[str, int] = {}  # noqa: RUF012 - msgspec copies it
    kept_versions: int = 0
    suppressed: int = 0
    restarts: int = 0
    observer_failures: int = 0
    events: EventCounts = EventCounts()
    counts: dict[str, dict[str, int]] = {}  # noqa: RUF012 - msgspec copies it
    owner: OwnerProcess = OwnerProcess()
    webhooks: tuple[WebhookCounts, ...] = ()
