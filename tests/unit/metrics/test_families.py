"""The names of the metrics keep Prometheus's conventions, and each answer of an owner has its samples."""

from __future__ import annotations

import re
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from confcast.metrics.asking import Reading
from confcast.metrics.collector import metric_of
from confcast.metrics.families import FAMILIES, Family
from confcast.wire.measured import BOUNDS, PHASES, EventCounts, Histogram, OwnerProcess, WebhookCounts
from confcast.wire.messages import Measured

COUNTS = (1,) * (len(BOUNDS) + 1)
ANSWER = Measured(
    1,
    "shop",
    5,
    "d1935t",
    "watch",
    1700000000.0,
    disk="differs",
    held=True,
    provisional="trial",
    pending=2,
    overrides=3,
    overrides_left_out=1,
    busy=1.5,
    workers=((4, "late", 1), (5, "current", 7)),
    lag=12.5,
    stale={"Http": 1},
    kept_versions=50,
    suppressed=8,
    restarts=1,
    observer_failures=4,
    events=EventCounts(
        results={"watch": {"success": 3, "undone": 2}, "undo": {"undone": 1}},
        durations={"load": Histogram(COUNTS, 2.5)},
        last=1700000001.0,
        last_good=1700000000.0,
        good=False,
    ),
    counts={
        "dropped": {"late vote": 2},
        "refused": {"accept": 1},
        "failures": {"history": 3},
        "spoken_against": {"death": 9},
    },
    owner=OwnerProcess(1600000000.0, 0.25, 40_000_000),
    webhooks=(WebhookCounts(delivered=4, failed=3, dropped=2, pending=1), WebhookCounts(gone=True)),
)


class Fixed:
    """Gives the metrics of these readings."""

    def __init__(self, *readings: Reading) -> None:
        self.readings = readings

    def collect(self) -> Any:
        return [metric_of(family, self.readings) for family in FAMILIES]


def samples(*readings: Reading) -> dict[tuple[str, ...], float]:
    """By name and values of the labels."""
    found = {}
    for family in Fixed(*readings).collect():
        for each in family.samples:
            found[each.name, *each.labels.values()] = each.value
    return found


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_name_keeps_the_conventions(family: Family) -> None:
    assert re.fullmatch(r"confcast_[a-z]+(_[a-z]+)*", family.name)
    assert family.name.endswith("_total") == (family.kind == "counter")
    assert not re.search(r"_(ms|milliseconds|mb|minutes|count|sum|bucket|info)$", family.name)
    assert family.unit or not re.search(r"_(duration|age|lag|time)(_|$)", family.name), "a time is in seconds"
    assert family.says[0].isupper()
    assert not family.says.endswith(".")
    assert "config" not in family.labels


def test_no_name_is_another_ones() -> None:
    sampled = [name for family in FAMILIES for name in family.sampled]
    assert len(set(sampled)) == len(sampled)


def test_each_sample_of_an_answer() -> None:
    found = samples(Reading("shop", ANSWER, True, 0.0))
    assert {"shop"} == {labels[0] for _, *labels in found}
    buckets = {key: value for key, value in found.items() if key[0].endswith("_bucket")}
    shown = {
        " ".join([name, *labels]): value
        for (name, _, *labels), value in found.items()
        if (name, _, *labels) not in buckets
    }
    assert shown == {
        "confcast_up": 1,
        "confcast_last_answer_age_seconds": 0,
        "confcast_config_info d1935t watch": 1,
        "confcast_config_version": 5,
        "confcast_config_version_timestamp_seconds": 1700000000.0,
        "confcast_config_last_reload_successful": 0,
        "confcast_config_last_reload_timestamp_seconds": 1700000001.0,
        "confcast_config_last_reload_success_timestamp_seconds": 1700000000.0,
        "confcast_disk_differs differs": 1,
        "confcast_disk_differs refused": 0,
        "confcast_held": 1,
        "confcast_provisional confirm": 0,
        "confcast_provisional probation": 0,
        "confcast_provisional trial": 1,
        "confcast_pending_restart": 2,
        "confcast_overrides": 3,
        "confcast_overrides_left_out": 1,
        "confcast_reload_running_seconds": 1.5,
        "confcast_workers 4 late": 1,
        "confcast_workers 5 current": 7,
        "confcast_worker_lag_seconds": 12.5,
        **{f"confcast_reload_duration_seconds_count {phase}": 0 for phase in PHASES},
        **{f"confcast_reload_duration_seconds_sum {phase}": 0 for phase in PHASES},
        "confcast_reload_duration_seconds_count load": len(COUNTS),
        "confcast_reload_duration_seconds_sum load": 2.5,
        "confcast_reloads_total undo undone": 1,
        "confcast_reloads_total watch success": 3,
        "confcast_reloads_total watch undone": 2,
        "confcast_reloads_suppressed_total": 8,
        "confcast_versions_undone_total": 3,
        "confcast_versions_kept": 50,
        "confcast_observer_errors_total": 4,
        "confcast_evidence_total death": 9,
        "confcast_evidence_total probe": 0,
        "confcast_evidence_total unhealthy": 0,
        "confcast_source_stale Http": 1,
        "confcast_webhook_messages_total 1 delivered": 4,
        "confcast_webhook_messages_total 1 dropped": 2,
        "confcast_webhook_messages_total 2 delivered": 0,
        "confcast_webhook_messages_total 2 dropped": 0,
        "confcast_webhook_failed_tries_total 1": 3,
        "confcast_webhook_failed_tries_total 2": 0,
        "confcast_webhook_pending 1": 1,
        "confcast_webhook_pending 2": 0,
        "confcast_webhook_gone 1": 0,
        "confcast_webhook_gone 2": 1,
        "confcast_messages_dropped_total late vote": 2,
        "confcast_connections_refused_total accept": 1,
        "confcast_failures_total history": 3,
        "confcast_owner_restarts_total": 1,
        "confcast_owner_start_time_seconds": 1600000000.0,
        "confcast_owner_cpu_seconds_total": 0.25,
        "confcast_owner_resident_memory_bytes": 40_000_000,
    }
    assert [value for key, value in buckets.items() if "load" in key] == list(range(1, len(COUNTS) + 1))


def test_what_is_not_known_has_no_sample() -> None:
    found = samples(Reading("shop", Measured(1, "shop", 0, ""), True, 0.0))
    assert {name for name, *_ in found if "timestamp" in name or "successful" in name or "info" in name} == set()
    assert found["confcast_config_version", "shop"] == 0
    assert samples(Reading("shop", None, False, 0.0)) == {("confcast_up", "shop"): 0}


def test_a_silent_owner_has_its_last_numbers_and_their_age() -> None:
    found = samples(Reading("shop", ANSWER, False, 61.5))
    assert (found["confcast_up", "shop"], found["confcast_last_answer_age_seconds", "shop"]) == (0, 61.5)
    assert found["confcast_config_version", "shop"] == 5


@pytest.mark.parametrize("form", ["text", "openmetrics"])
def test_all_of_it_is_parsed_again(form: str) -> None:
    readings = [
        Reading("shop", ANSWER, True, 0.0),
        Reading('"odd\\\n', ANSWER, False, 3.0),
        Reading("a", None, False, 0.0),
    ]
    registry = CollectorRegistry()
    registry.register(Fixed(*readings))
    generate, parse = {"text": (generate_latest, parse_text), "openmetrics": (generate_openmetrics, parse_openmetrics)}[
        form
    ]
    parsed = list(parse(generate(registry).decode()))
    given = {
        (each.name, *sorted(each.labels.items())): each.value
        for family in Fixed(*readings).collect()
        for each in family.samples
    }
    assert {
        (each.name, *sorted(each.labels.items())): each.value for family in parsed for each in family.samples
    } == given
    if form == "openmetrics":
        units = {family.name: family.unit for family in parsed}
        assert {
            units[family.name.removesuffix("_total")] for family in FAMILIES if family.name.endswith("seconds")
        } == {"seconds"}
