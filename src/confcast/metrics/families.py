"""The metrics: for each its name, what it says, its labels, and how an owner's answer becomes its samples.

One table, which `describe()` reads before any owner runs, and to which tests hold the guide, the alert rules and the
dashboard. Names follow Prometheus's conventions (https://prometheus.io/docs/practices/naming/): base units, `_total`
for what only grows, `_info` for texts, `_timestamp_seconds` for dates; those of the last reload are Prometheus's own.

Labels have words of fixed lists, numbers of versions, the digest, names of source classes, and, as `config`, the
configuration's name: never a key, a value, a path, an address, or a text that somebody wrote.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

from confcast.wire.measured import PHASES, Histogram, WebhookCounts
from confcast.wire.messages import Measured, ReloadResult

CONFIG = "config"
"""The label that each sample has: the configuration's name."""

Kind = Literal["gauge", "counter", "histogram", "info"]
Samples = Iterable[tuple[tuple[str, ...], float | Histogram]]


class Family(NamedTuple):
    """One metric.

    Attributes:
        kind: Its type.
        name: Its name, as samples have it; of an info without `_info`, of a histogram without `_bucket`.
        says: What it says, for HELP and the guide.
        samples: What an answer says of it: of each sample the values of its labels, and its value. Empty for what
            depends on whether there is an answer.
        labels: The names of its labels, beside `config`.
    """

    kind: Kind
    name: str
    says: str
    samples: Callable[[Measured], Samples]
    labels: tuple[str, ...] = ()

    @property
    def unit(self) -> str:
        """The unit, which the name ends with; empty for none."""
        base = self.name.removesuffix("_total")
        return next((unit for unit in ("seconds", "bytes") if base.endswith(f"_{unit}")), "")

    @property
    def sampled(self) -> tuple[str, ...]:
        """The names that its samples have."""
        if self.kind == "histogram":
            return tuple(f"{self.name}_{part}" for part in ("bucket", "count", "sum"))
        return (f"{self.name}_info",) if self.kind == "info" else (self.name,)


def one(value: float) -> Samples:
    """One sample without labels."""
    return [((), value)]


def _if_known(value: float) -> Samples:
    """One sample; none where the value is 0.0, which is no date."""
    return one(value) if value else []


def _each_of(states: Iterable[str], present: str) -> Samples:
    """A sample for each of these states: 1 for the one that is present."""
    return [((state,), float(state == present)) for state in states]


def _by_kind(what: str, *always: str) -> Callable[[Measured], Samples]:
    """What the owner has counted as `what`, by kind; `always`: the kinds of which it says 0, too."""
    known = dict.fromkeys(always, 0)
    return lambda answer: [((kind,), count) for kind, count in sorted({**known, **answer.counts.get(what, {})}.items())]


def _reloads(answer: Measured) -> Samples:
    for origin, results in sorted(answer.events.results.items()):
        for result, count in sorted(results.items()):
            yield (origin, result), count


def _undone(answer: Measured) -> Samples:
    return one(sum(each.get(ReloadResult.UNDONE.value, 0) for each in answer.events.results.values()))


def _webhooks(**of_result: Callable[[WebhookCounts], float]) -> Callable[[Measured], Samples]:
    """A sample for each webhook, by its number; with several results, one for each of them."""

    def samples(answer: Measured) -> Samples:
        for number, each in enumerate(answer.webhooks, 1):
            for result, count in of_result.items():
                yield (str(number), *([result] if len(of_result) > 1 else [])), count(each)

    return samples


def _durations(answer: Measured) -> Samples:
    return [((phase,), answer.events.durations.get(phase, Histogram())) for phase in PHASES]


UP = Family(
    "gauge",
    "confcast_up",
    "Whether the config owner has answered this scrape in time; at 0 all other metrics are as of its last answer",
    lambda answer: (),
)
AGE = Family(
    "gauge",
    "confcast_last_answer_age_seconds",
    "How long ago the config owner gave the answer that the other metrics are of",
    lambda answer: (),
)

FAMILIES = (
    UP,
    AGE,
    Family(
        "info",
        "confcast_config",
        "The configuration that runs: the hash of its content, and what caused it",
        lambda answer: [((answer.digest, answer.origin), 1)] if answer.version else [],
        ("digest", "origin"),
    ),
    Family(
        "gauge",
        "confcast_config_version",
        "The version that runs; 0 before the first",
        lambda answer: one(answer.version),
    ),
    Family(
        "gauge",
        "confcast_config_version_timestamp_seconds",
        "When the version that runs was committed",
        lambda answer: _if_known(answer.since),
    ),
    Family(
        "gauge",
        "confcast_config_last_reload_successful",
        "Whether the last reload was applied, or found nothing to change (1), or was refused or undone (0)",
        lambda answer: one(answer.events.good) if answer.events.last else [],
    ),
    Family(
        "gauge",
        "confcast_config_last_reload_timestamp_seconds",
        "When the last reload began",
        lambda answer: _if_known(answer.events.last),
    ),
    Family(
        "gauge",
        "confcast_config_last_reload_success_timestamp_seconds",
        "When the last reload began that was applied, or found nothing to change",
        lambda answer: _if_known(answer.events.last_good),
    ),
    Family(
        "gauge",
        "confcast_disk_differs",
        "Whether the sources have other content than runs: well formed but not applied (differs), or refused",
        lambda answer: _each_of(("differs", "refused"), answer.disk),
        ("state",),
    ),
    Family(
        "gauge",
        "confcast_held",
        "Whether a version is held, so that what the sources say is not applied",
        lambda answer: one(answer.held),
    ),
    Family(
        "gauge",
        "confcast_provisional",
        "Whether a version may still be taken back by itself: trial, probation, or a confirm window",
        lambda answer: _each_of(("confirm", "probation", "trial"), answer.provisional),
        ("kind",),
    ),
    Family(
        "gauge",
        "confcast_pending_restart",
        "How many changed keys wait for a full reload of the server",
        lambda answer: one(answer.pending),
    ),
    Family(
        "gauge",
        "confcast_overrides",
        "How many values are set above all sources",
        lambda answer: one(answer.overrides),
    ),
    Family(
        "gauge",
        "confcast_overrides_left_out",
        "How many of them have no effect, since the schema of today refuses them",
        lambda answer: one(answer.overrides_left_out),
    ),
    Family(
        "gauge",
        "confcast_reload_running_seconds",
        "For how long the reload that is under way has been in its present phase; 0: none is under way",
        lambda answer: one(answer.busy),
    ),
    Family(
        "gauge",
        "confcast_workers",
        "How many processes hold, or should hold, the configuration, by the version that they have",
        lambda answer: [((str(version), state), count) for version, state, count in answer.workers],
        ("version", "state"),
    ),
    Family(
        "gauge",
        "confcast_worker_lag_seconds",
        "For how long the worker that lags most has lacked a version that was committed",
        lambda answer: one(answer.lag),
    ),
    Family(
        "histogram",
        "confcast_reload_duration_seconds",
        "How long reloads took, by phase: load, stage (the vote), journal, commit (until all have it), and total",
        _durations,
        ("phase",),
    ),
    Family(
        "counter",
        "confcast_reloads_total",
        "Reloads and changes, by what caused them and how they ended, as in the history",
        _reloads,
        ("origin", "result"),
    ),
    Family(
        "counter",
        "confcast_reloads_suppressed_total",
        "Reloads that found nothing to change",
        lambda answer: one(answer.suppressed),
    ),
    Family(
        "counter",
        "confcast_versions_undone_total",
        "Versions that were taken back by themselves",
        _undone,
    ),
    Family(
        "gauge",
        "confcast_versions_kept",
        "How many versions can be gone back to",
        lambda answer: one(answer.kept_versions),
    ),
    Family(
        "counter",
        "confcast_observer_errors_total",
        "How often observers have raised in the workers, since the config owner began",
        lambda answer: one(answer.observer_failures),
    ),
    Family(
        "counter",
        "confcast_evidence_total",
        "What spoke against a version: a worker's death, a health check or the application (unhealthy), a probe",
        _by_kind("spoken_against", "death", "probe", "unhealthy"),
        ("kind",),
    ),
    Family(
        "gauge",
        "confcast_source_stale",
        "How many sources give no answer, so that what they gave last is used, by their kind",
        lambda answer: [((kind,), count) for kind, count in sorted(answer.stale.items())],
        ("kind",),
    ),
    Family(
        "counter",
        "confcast_webhook_messages_total",
        "Messages that a webhook has taken, or was never given since there were too many or they were too old",
        _webhooks(delivered=lambda each: each.delivered, dropped=lambda each: each.dropped),
        ("webhook", "result"),
    ),
    Family(
        "counter",
        "confcast_webhook_failed_tries_total",
        "Tries to deliver a message to a webhook that have failed",
        _webhooks(failed=lambda each: each.failed),
        ("webhook",),
    ),
    Family(
        "gauge",
        "confcast_webhook_pending",
        "How many messages a webhook is owed",
        _webhooks(pending=lambda each: each.pending),
        ("webhook",),
    ),
    Family(
        "gauge",
        "confcast_webhook_gone",
        "Whether a webhook's receiver has said that it wants no more (status 410)",
        _webhooks(gone=lambda each: each.gone),
        ("webhook",),
    ),
    Family(
        "counter",
        "confcast_messages_dropped_total",
        "Messages of workers that came too late or made no sense, by kind",
        _by_kind("dropped"),
        ("kind",),
    ),
    Family(
        "counter",
        "confcast_connections_refused_total",
        "Connections that the config owner has ended, by kind",
        _by_kind("refused"),
        ("kind",),
    ),
    Family(
        "counter",
        "confcast_failures_total",
        "What the config owner could not write or do, and goes on without, by kind",
        _by_kind("failures"),
        ("kind",),
    ),
    Family(
        "counter",
        "confcast_owner_restarts_total",
        "How often the config owner was restarted after it had died",
        lambda answer: one(answer.restarts),
    ),
    Family(
        "gauge",
        "confcast_owner_start_time_seconds",
        "When the config owner's process began",
        lambda answer: _if_known(answer.owner.started),
    ),
    Family(
        "counter",
        "confcast_owner_cpu_seconds_total",
        "Processor time of the config owner's process",
        lambda answer: one(answer.owner.cpu_seconds),
    ),
    Family(
        "gauge",
        "confcast_owner_resident_memory_bytes",
        "Memory of the config owner's process",
        lambda answer: _if_known(answer.owner.resident_bytes),
    ),
)
