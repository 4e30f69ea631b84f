"""Metrics of a real owner: what it tells, while it is stopped and after its death, and to whom."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest, multiprocess
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from confcast import Client, ReloadResult, Replica
from confcast.metrics import Collector
from tests.support.fixtures import Manager, StartWorker
from tests.support.late import one_is_stopped
from tests.support.owners import kill_the_owner
from tests.support.passing import Passing
from tests.support.promtool import promtool, wants_promtool
from tests.support.settings import Settings, write
from tests.support.stopping import stop
from tests.support.waiting import DEADLINE, eventually


class Scraped:
    """The metrics of a registry with one collector."""

    def __init__(self, client: Any, timeout: float = DEADLINE) -> None:
        self.registry, self.collector = CollectorRegistry(), Collector(client, timeout=timeout)
        self.registry.register(self.collector)

    def __call__(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"confcast_{name}", {"config": "app", **labels})

    def text(self) -> bytes:
        return generate_latest(self.registry)


@pytest.fixture
def scraped(manager: Manager) -> Scraped:
    return Scraped(manager)


def test_a_roster_is_told_from_any_one_process(
    manager: Manager, scraped: Scraped, start_worker: StartWorker, config: Path
) -> None:
    workers = [start_worker(manager) for _ in range(3)]
    eventually(lambda: scraped("workers", version="1", state="current") == 3, "all workers")
    write(config, 2)
    assert manager.reload()
    assert scraped("workers", version="2", state="current") == 3
    assert scraped("config_version") == 2
    assert scraped("config_last_reload_successful") == 1
    assert scraped("config_info", digest=manager.status().digest, origin="call") == 1
    for phase in ("load", "stage", "journal", "commit", "total"):
        assert scraped("reload_duration_seconds_count", phase=phase) == 2
    assert scraped("reloads_total", origin="call", result="success") == 1
    workers[0].kill()
    eventually(lambda: scraped("workers", version="2", state="current") == 2, "a worker less")


def test_a_refused_file_is_told_until_it_is_mended(manager: Manager, scraped: Scraped, config: Path) -> None:
    good = scraped("config_last_reload_success_timestamp_seconds")
    config.write_text("number = 'none'")
    assert manager.reload().result is ReloadResult.VALIDATION_FAILED
    assert scraped("config_last_reload_successful") == 0
    assert scraped("disk_differs", state="refused") == 1
    assert scraped("config_last_reload_success_timestamp_seconds") == good
    assert scraped("reloads_total", origin="call", result="validation_failed") == 1
    assert scraped("reload_duration_seconds_count", phase="stage") == 1
    write(config, 1)
    assert manager.reload().result is ReloadResult.UNCHANGED
    assert scraped("config_last_reload_successful") == 1
    assert scraped("disk_differs", state="refused") == 0
    assert scraped("reloads_suppressed_total") == 1


def test_what_people_do_is_told(manager: Manager, scraped: Scraped, config: Path) -> None:
    write(config, 2)
    manager.reload()
    assert manager.set({"name": "seven"}, confirm_within=600)
    assert (scraped("overrides"), scraped("provisional", kind="confirm")) == (1, 1)
    manager.rollback()
    assert (scraped("held"), scraped("provisional", kind="confirm")) == (1, 0)
    write(config, 3)
    assert manager.reload().result is ReloadResult.HELD
    assert scraped("disk_differs", state="differs") == 1
    assert scraped("config_last_reload_successful") == 1, "nothing was refused"
    manager.resume()
    assert (scraped("held"), scraped("disk_differs", state="differs")) == (0, 0)


def test_a_worker_that_is_stopped_lags(
    passing: Passing, manager: Manager, start_worker: StartWorker, config: Path
) -> None:
    scraped = Scraped(manager)
    other, worker = one_is_stopped(manager, start_worker)
    write(config, 2)
    assert passing.over_silence(manager, manager.reload, worker.pid).result is ReloadResult.PARTIAL
    assert scraped("workers", version="1", state="late") == 1
    first = scraped("worker_lag_seconds")
    assert first is not None
    assert eventually(lambda: scraped("worker_lag_seconds"), "a lag") > first > 0.0
    worker.signal(signal.SIGCONT)
    eventually(lambda: scraped("workers", version="2", state="current") == 2, "the worker's answer")
    assert scraped("worker_lag_seconds") == 0.0
    assert other.ask("read")[0] == 2


def test_an_observer_that_raises_is_counted(manager: Manager, settings: Replica[Settings], config: Path) -> None:
    def boom(old: Settings, new: Settings) -> None:
        raise RuntimeError("no pool")

    settings.subscribe(boom)
    for number in (2, 3):
        write(config, number)
        manager.reload(wait_observers=DEADLINE)
    assert Scraped(manager)("observer_errors_total") == 2
    kill_the_owner(manager)
    scraped = Scraped(manager)
    eventually(lambda: scraped("observer_errors_total") == 2, "its report to the next owner")


# ---- an owner that does not answer


def test_a_stopped_owner_has_its_last_numbers_within_the_deadline(
    manager: Manager, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scraped = Scraped(manager)
    assert scraped("up") == 1
    assert scraped("config_version") == 1
    stop(manager.owner_pid)
    try:
        began = time.monotonic()
        with monkeypatch.context() as impatient:
            impatient.setattr(scraped.collector._owners[0], "_timeout", 0.3)
            found = scraped.text().decode()
        assert 0.3 <= time.monotonic() - began < DEADLINE
    finally:
        os.kill(manager.owner_pid, signal.SIGCONT)
    told = {each.name: each.value for family in parse_text(found) for each in family.samples}
    assert (told["confcast_up"], told["confcast_config_version"]) == (0, 1)
    assert told["confcast_last_answer_age_seconds"] > 0.2
    eventually(lambda: scraped("up") == 1, "an answer of an owner that runs again")
    assert scraped("last_answer_age_seconds") == 0


def test_counts_go_on_after_the_owners_death(manager: Manager, scraped: Scraped, config: Path) -> None:
    write(config, 2)
    manager.reload()
    config.write_text("number = 'none'")
    manager.reload()
    before = monotonic(scraped)
    started = scraped("owner_start_time_seconds")
    kill_the_owner(manager)
    eventually(lambda: scraped("owner_restarts_total") == 1, "the next owner")
    after = monotonic(scraped)
    assert [name for name, value in before.items() if after.get(name, 0.0) < value] == []
    assert scraped("config_version") == 2
    assert (scraped("owner_start_time_seconds") or 0.0) > (started or 0.0)
    manager.clear_history()
    assert monotonic(scraped) == after


def monotonic(scraped: Scraped) -> dict[tuple[str, ...], float]:
    """What must not go down, but for what one owner's process has used."""
    return {
        (each.name, *sorted(each.labels.values())): each.value
        for family in parse_text(scraped.text().decode())
        if family.type in ("counter", "histogram") and "owner_cpu" not in family.name
        for each in family.samples
    }


def test_without_an_owner_there_is_an_answer_all_the_same(
    manager: Manager, runtime_folder: Path, no_other_owners: None
) -> None:
    scraped = Scraped(Client(name="app"))
    assert scraped("up") == 1
    manager.close()
    assert scraped("up") == 0
    assert scraped("config_version") == 1
    assert Scraped(Client(name="app"))("config_version") is None
    assert Scraped(manager)("up") == 0


# ---- who asks


def test_a_client_a_replica_and_a_manager_tell_the_same(
    manager: Manager, settings: Replica[Settings], no_other_owners: None
) -> None:
    scraped = Scraped(manager)
    eventually(lambda: scraped("workers", version="1", state="current") == 1, "this process")
    asked = (manager, settings, Client(address=manager.address), Client(name="app"), Client(pid=os.getpid()))
    told = []
    for each in asked:
        scraped = Scraped(each)
        told.append((scraped("up"), scraped("config_version"), scraped("workers", version="1", state="current")))
    assert told == [(1, 1, 1)] * len(asked)


def test_each_forked_process_tells_the_same_and_writes_no_file(
    manager: Manager, start_worker: StartWorker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = tmp_path / "multiprocess"
    files.mkdir()
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(files))
    start_worker(manager)
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)
    registry.register(Collector(Client(address=manager.address)))
    labels = {"config": "app", "version": "1", "state": "current"}
    eventually(lambda: registry.get_sample_value("confcast_workers", labels) == 1, "the worker")
    child = os.fork()
    if not child:
        os._exit(int(registry.get_sample_value("confcast_workers", labels) or 0))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
    assert list(files.iterdir()) == []


# ---- valid


@pytest.fixture
def told(manager: Manager, start_worker: StartWorker, config: Path) -> Callable[[], CollectorRegistry]:
    """The registry of an owner that has seen something of everything."""
    start_worker(manager)
    write(config, 2)
    manager.reload()
    config.write_text("number = 'none'")
    manager.reload()
    manager.set({"name": "seven"}, ttl=600)
    return lambda: Scraped(manager).registry


def test_both_forms_are_parsed_and_keep_the_rules(told: Callable[[], CollectorRegistry]) -> None:
    registry = told()
    for parsed in (
        list(parse_openmetrics(generate_openmetrics(registry).decode())),  # which is strict of itself
        list(parse_text(generate_latest(registry).decode())),
    ):
        assert len(parsed) > 25
        for family in parsed:
            assert family.documentation
            assert family.type != "unknown"
            assert not family.unit or family.name.endswith(f"_{family.unit}")
            if family.type == "histogram":
                check_histogram(family.samples)


def check_histogram(samples: list[Any]) -> None:
    phases = {each.labels["phase"] for each in samples}
    assert phases == {"load", "stage", "journal", "commit", "total"}
    for phase in phases:
        mine = [each for each in samples if each.labels["phase"] == phase]
        buckets = [each.value for each in mine if each.name.endswith("_bucket")]
        assert buckets == sorted(buckets)
        (count,) = [each.value for each in mine if each.name.endswith("_count")]
        assert buckets[-1] == count


@wants_promtool
def test_promtool_finds_no_fault(told: Callable[[], CollectorRegistry]) -> None:
    assert promtool("check", "metrics", given=generate_latest(told())) == ""
