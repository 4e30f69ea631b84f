"""Alert rules and dashboard of `examples/deploy`: each name and label is one that is told, and each alert fires."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from confcast.metrics.families import CONFIG, FAMILIES
from tests.support.promtool import promtool, wants_promtool

DEPLOY = Path(__file__).parents[2] / "src" / "confcast" / "examples" / "deploy"
RULES = DEPLOY / "prometheus_rules.yml"
DASHBOARD = DEPLOY / "grafana_dashboard.json"

FAMILY_OF = {name: family for family in FAMILIES for name in family.sampled}
OF_THE_SCRAPER = {"job", "instance"}

_NAME = re.compile(r"\bconfcast_[a-z_]+\b")
_LABELS = re.compile(r"(?:by|without|on|ignoring) \(([^)]*)\)")
_MATCHED = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"")
_DASHBOARD_VARIABLES = {"$__range": "6h", "$__rate_interval": "2m", "$job": ".*", "$config": ".*"}


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    return list(group["rules"])


def dashboard() -> dict[str, Any]:
    return dict(json.loads(DASHBOARD.read_text()))


def expressions() -> Iterator[tuple[str, str]]:
    """What they are called, and each expression."""
    for rule in rules():
        yield rule["alert"], rule["expr"]
    found = dashboard()
    for panel in found["panels"]:
        for target in panel["targets"]:
            yield f"{panel['title']} {target['refId']}", target["expr"]
    for annotation in found["annotations"]["list"]:
        yield annotation["name"], annotation["expr"]


@pytest.mark.parametrize("expression", [pytest.param(text, id=name) for name, text in expressions()])
def test_an_expression_is_of_metrics_and_labels_that_are_told(expression: str) -> None:
    names = _NAME.findall(expression)
    assert names
    assert [name for name in names if name not in FAMILY_OF] == []
    allowed = OF_THE_SCRAPER | {CONFIG} | {label for name in names for label in FAMILY_OF[name].labels}
    allowed |= {"le"} if any(name.endswith("_bucket") for name in names) else set()
    named = [label.strip() for group in _LABELS.findall(expression) for label in group.split(",")]
    assert {*named, *_MATCHED.findall(expression)} <= allowed


def test_variables_and_panels_are_whole() -> None:
    found = dashboard()
    assert [each["name"] for each in found["templating"]["list"]] == ["datasource", "job", "config"]
    queries = [each["definition"] for each in found["templating"]["list"][1:]]
    assert all(set(_NAME.findall(query)) <= set(FAMILY_OF) for query in queries)
    panels = found["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for panel in panels
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells), "two panels overlap"
    assert max(x for x, _ in cells) < 24
    for panel in panels:
        used = set(re.findall(r"\{\{(\w+)\}\}", " ".join(target["legendFormat"] for target in panel["targets"])))
        names = _NAME.findall(" ".join(target["expr"] for target in panel["targets"]))
        assert used <= OF_THE_SCRAPER | {CONFIG} | {label for name in names for label in FAMILY_OF[name].labels}


def test_what_an_alert_says_names_labels_that_it_has() -> None:
    for rule in rules():
        texts = " ".join(rule["annotations"].values())
        names = _NAME.findall(rule["expr"])
        used = set(re.findall(r"\$labels\.(\w+)", texts))
        assert used <= {CONFIG} | {label for name in names for label in FAMILY_OF[name].labels}
        assert rule["labels"]["severity"] in ("critical", "warning", "info")


# ---- by promtool


@wants_promtool
def test_promtool_reads_the_rules_and_every_expression_of_the_dashboard(tmp_path: Path) -> None:
    promtool("check", "rules", RULES)
    recorded = []
    for number, (_, expression) in enumerate(expressions()):
        for name, value in _DASHBOARD_VARIABLES.items():
            expression = expression.replace(name, value)
        recorded.append({"record": f"tried:{number}", "expr": expression})
    path = tmp_path / "dashboard.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "tried", "rules": recorded}]}))
    assert f"SUCCESS: {len(recorded)} rules found" in promtool("check", "rules", path)


APP = 'config="app",job="confcast",instance="a:9150"'
# For each alert: a series with which it fires, one with which it does not, minute by minute, and the minute in which
# both are looked at.
FIRES: dict[str, tuple[list[tuple[str, str]], list[tuple[str, str]], int]] = {
    "ConfcastNoAnswer": ([("confcast_up", "1 0x10")], [("confcast_up", "1 0 1x10")], 5),
    "ConfcastReloadFailing": (
        [("confcast_config_last_reload_successful", "1 0x20")],
        [("confcast_config_last_reload_successful", "1 0x3 1x20")],
        10,
    ),
    "ConfcastDiskDiffers": (
        [
            ("confcast_disk_differs", "0x30"),
            ('confcast_disk_differs:state="refused"', "1x30"),
            ("confcast_held", "0x30"),
        ],
        [("confcast_disk_differs", "1x30"), ("confcast_held", "1x30")],
        20,
    ),
    "ConfcastHeld": ([("confcast_held", "1x90")], [("confcast_held", "0x20 1x70")], 70),
    "ConfcastWorkerLagging": (
        [("confcast_worker_lag_seconds", "0 30+60x10")],
        [("confcast_worker_lag_seconds", "0 50 0x10")],
        6,
    ),
    "ConfcastReloadStuck": (
        [("confcast_reload_running_seconds", "0 60+60x10")],
        [("confcast_reload_running_seconds", "0 60 0x10")],
        6,
    ),
    "ConfcastVersionUndone": (
        [("confcast_versions_undone_total", "3x5 4x10")],
        [("confcast_versions_undone_total", "3x20")],
        10,
    ),
    "ConfcastOwnerRestarting": (
        [("confcast_owner_restarts_total", "0 1 2 3 4x10")],
        [("confcast_owner_restarts_total", "7 8x20")],
        10,
    ),
    "ConfcastObserverErrors": (
        [("confcast_observer_errors_total", "0x5 2x10")],
        [("confcast_observer_errors_total", "2x20")],
        10,
    ),
    "ConfcastSourceStale": (
        [('confcast_source_stale:kind="Http"', "1x30")],
        [('confcast_source_stale:kind="Http"', "1x10 0 1x10")],
        20,
    ),
    "ConfcastWebhookFailing": (
        [('confcast_webhook_pending:webhook="1"', "2x90"), ('confcast_webhook_gone:webhook="1"', "0x90")],
        [('confcast_webhook_pending:webhook="1"', "2x30 0 1x60"), ('confcast_webhook_gone:webhook="1"', "0x90")],
        80,
    ),
    "ConfcastHostsDiffer": (
        [('confcast_config_info:digest="a"', "1x90"), ('confcast_config_info:digest="b"', "1x90")],
        [('confcast_config_info:digest="a"', "1x30 _x60"), ('confcast_config_info:digest="b"', "_x30 1x60")],
        80,
    ),
}


def test_each_alert_is_tried() -> None:
    assert list(FIRES) == [rule["alert"] for rule in rules()]


@wants_promtool
def test_each_alert_fires_and_only_when_it_should(tmp_path: Path) -> None:
    tests = []
    for alert, (fires, does_not, minute) in FIRES.items():
        for number, given in enumerate((fires, does_not)):
            series = [{"series": _series(each), "values": values} for each, values in given]
            # How often it fires is asked of what Prometheus itself records of alerts: their texts are tried elsewhere.
            firing = {
                "expr": f'count(ALERTS{{alertname="{alert}",alertstate="firing"}}) or vector(0)',
                "eval_time": f"{minute}m",
            }
            firing["exp_samples"] = [{"labels": "{}", "value": 1 - number}]
            tests.append({"name": alert, "interval": "1m", "input_series": series, "promql_expr_test": [firing]})
    path = tmp_path / "tests.yml"
    path.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}))
    assert "SUCCESS" in promtool("test", "rules", path)


def _series(text: str) -> str:
    name, _, label = text.partition(":")
    return f"{name}{{{','.join(filter(None, [APP, label]))}}}"
