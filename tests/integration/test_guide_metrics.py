"""The guide's page on metrics: its command, its program, its tables, and the configuration that it shows."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import yaml
from starlette.testclient import TestClient

from confcast.metrics.families import FAMILIES
from tests.support.promtool import promtool, wants_promtool
from tests.support.served import Served
from tests.support.snippets import GUIDE, commands, imported_from, snippets, write_files
from tests.support.waiting import DEADLINE, eventually

PAGE = GUIDE / "metrics.md"
RULES = GUIDE.parent / "examples" / "deploy" / "prometheus_rules.yml"


@pytest.fixture
def served(
    forkserver: BaseContext, tmp_path: Path, runtime_folder: Path, no_other_owners: None, nothing_is_left: None
) -> Iterator[tuple[Served, str]]:
    """What the page's first command starts, and where its second one asks."""
    write_files(PAGE, tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as free:
        place = f"127.0.0.1:{free.getsockname()[1]}"
    serve, asked = (line.replace("127.0.0.1:9150", place).split() for line in commands(PAGE))
    assert (serve[0], serve[-1], asked[:2]) == ("confcast", "&", ["curl", "-s"])
    made = Served(forkserver, tmp_path, serve[1:-1], tmp_path / "serve.log", {}, None)
    try:
        yield made.await_serving(), asked[2]
    finally:
        made.close()


def test_its_command_serves_metrics_over_http_and_as_a_file(served: tuple[Served, str], tmp_path: Path) -> None:
    process, url = served
    with urlopen(url, timeout=DEADLINE) as answer:
        assert b'confcast_config_version{config="shop"} 1.0\n' in answer.read()
    file = tmp_path / "shop.prom"
    assert 'confcast_up{config="shop"} 1.0\n' in file.read_text()
    assert process.end() == 0
    assert not file.exists()


def test_its_application_answers_in_the_form_that_is_asked_for(served: tuple[Served, str], tmp_path: Path) -> None:
    with imported_from(tmp_path):
        web: Any = __import__("web")
        with TestClient(web.app) as client:
            plain = client.get("/metrics")
            assert plain.headers["content-type"].startswith("text/plain; version=0.0.4")
            assert 'confcast_up{config="shop"} 1.0\n' in plain.text
            openmetrics = client.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
            assert openmetrics.text.endswith("# EOF\n")
            assert served[0].end() == 0
            eventually(lambda: 'confcast_up{config="shop"} 0.0\n' in client.get("/metrics").text, "that it is gone")


def rows(head: str) -> list[list[str]]:
    """The cells of the table whose first column has this head."""
    found = re.search(rf"^\| {head} \|.*\n\|.*\n((?:\|.*\n)+)", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in found[1].splitlines()]


def test_its_table_has_each_metric_as_it_is_told() -> None:
    def shown(name: str, kind: str, labels: tuple[str, ...], says: str) -> list[str]:
        return [
            f"`{name}_info`" if kind == "info" else f"`{name}`",
            kind,
            ", ".join(f"`{each}`" for each in labels),
            says,
        ]

    assert rows("metric") == [shown(each.name, each.kind, each.labels, each.says) for each in FAMILIES]


def test_its_table_has_each_alert() -> None:
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    table = rows("alert")
    assert [row[0].strip("`") for row in table] == [rule["alert"] for rule in group["rules"]]
    assert all(row[1] and row[2] for row in table)


@wants_promtool
def test_its_configuration_is_one(tmp_path: Path) -> None:
    (shown,) = [each.text for each in snippets(PAGE) if each.language == "yaml"]
    (tmp_path / "prometheus_rules.yml").write_bytes(RULES.read_bytes())
    path = tmp_path / "prometheus.yml"
    path.write_text(shown)
    assert "is valid prometheus config file syntax" in promtool("check", "config", path)
