"""Two managers in one process, two configurations in one worker, two servers on one host, and a library's section."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from confcast import ConfcastError, Replica, current, declared
from tests.support.fixtures import Manager, StartManager, StartWorker
from tests.support.programs import ROOT, Program
from tests.support.settings import Limits, Settings, write
from tests.support.slow import slow
from tests.support.waiting import DEADLINE, eventually


@pytest.fixture
def other_config(tmp_path: Path) -> Path:
    path = tmp_path / "other.toml"
    write(path, 100)
    return path


@pytest.fixture
def other_manager(manager: Manager, start_manager: StartManager, other_config: Path) -> Manager:
    """Beside the first one."""
    return start_manager(other_config, name="other")


@pytest.fixture
def other_settings(other_manager: Manager) -> Iterator[Replica[Settings]]:
    replica = Replica(Settings, name="other").attach()
    yield replica
    replica.close()


# ---- two managers in one process


def test_two_managers_in_one_process_know_nothing_of_each_other(
    manager: Manager, other_manager: Manager, start_worker: StartWorker, config: Path, other_config: Path
) -> None:
    worker = start_worker(manager)
    write(other_config, 101)
    assert other_manager.reload().version == 2

    assert (manager.current.number, other_manager.current.number) == (1, 101)
    assert worker.ask("read") == (1, 1)
    assert manager.get_stats()["total_reloads"] == 0
    other_manager.close()
    write(config, 2)
    assert manager.reload()
    assert worker.ask("read") == (2, 2)
    assert os.environ["CONFCAST_ADDRESS_APP"] == manager.address


def test_a_hup_reloads_all_of_a_process_s_configurations(
    manager: Manager, other_manager: Manager, config: Path, other_config: Path
) -> None:
    write(config, 2)
    write(other_config, 101)

    os.kill(os.getpid(), signal.SIGHUP)

    eventually(lambda: (manager.current.number, other_manager.current.number) == (2, 101), "both reloads")


@pytest.mark.parametrize("first", [slow(0), 1], ids=["the first first", "the last first"])
def test_in_whatever_order_they_end_the_program_s_own_handler_is_back_at_last(
    first: int, start_manager: StartManager, config: Path
) -> None:
    def own(number: int, frame: object) -> None:
        """The program's."""

    before = signal.signal(signal.SIGHUP, own)
    try:
        managers = [start_manager(name="app"), start_manager(name="other")]
        managers.pop(first).close()
        write(config, 2)
        os.kill(os.getpid(), signal.SIGHUP)
        eventually(lambda: managers[0].current.number == 2, "the reload of the one that is left")
        managers[0].close()
        assert signal.getsignal(signal.SIGHUP) is own
    finally:
        signal.signal(signal.SIGHUP, before)


# ---- two configurations in one worker


def test_two_configurations_in_one_worker_are_pinned_and_reloaded_apart(
    settings: Replica[Settings],
    other_settings: Replica[Settings],
    manager: Manager,
    other_manager: Manager,
    config: Path,
    other_config: Path,
) -> None:
    with settings.pin() as pinned:
        write(config, 2)
        write(other_config, 101)
        assert settings.reload()
        assert other_settings.reload()
        assert (settings.current, settings.latest.number) == (pinned, 2)
        assert other_settings.current.number == 101

    assert [status.pid for owner in (manager, other_manager) for status in owner.workers()] == [os.getpid()] * 2
    other_settings.close()
    write(config, 3)
    assert settings.reload()
    assert (settings.latest.number, other_settings.latest.number) == (3, 101)


def test_of_two_configurations_of_one_schema_the_one_that_is_read_must_be_named(
    settings: Replica[Settings], other_settings: Replica[Settings]
) -> None:
    with pytest.raises(ConfcastError, match=r"replicas could be meant.*'app'.*'other'"):
        current(Settings)
    assert {settings, other_settings} <= set(declared())


def test_an_observer_of_the_one_may_read_and_reload_the_other(
    settings: Replica[Settings], other_settings: Replica[Settings], config: Path, other_config: Path
) -> None:
    received: queue.SimpleQueue[tuple[int, str, int]] = queue.SimpleQueue()

    def follow(old: Settings, new: Settings) -> None:
        write(other_config, new.number + 100)
        event = other_settings.reload()
        received.put((new.number, event.result.value, other_settings.latest.number))

    settings.subscribe(follow)
    write(config, 2)
    assert settings.reload()
    assert received.get(timeout=DEADLINE) == (2, "success", 102)


# ---- two servers on one host


@pytest.mark.slow
def test_two_servers_on_one_host_serve_their_own_and_the_command_line_asks_which(tmp_path: Path) -> None:
    files = [tmp_path / "one.toml", tmp_path / "two.toml"]
    write(files[0], 1)
    write(files[1], 100)
    masters = [Program("-m", "tests.support.master", str(file), "forkserver") for file in files]
    try:
        for master in masters:
            master.ask("start", True)
        addresses = [master.ask("address") for master in masters]
        assert [master.ask("ask", 0, "read") for master in masters] == [[1, 1], [1, 100]]

        refused = confcast("reload", "--name", "app")
        assert refused.returncode == 3
        assert "config owners named 'app' run for this user; choose one by --pid or --address" in refused.stderr
        assert all(f"--pid {master.pid}" in refused.stderr for master in masters)

        write(files[0], 2)
        write(files[1], 101)
        assert confcast("reload", "--address", addresses[1]).returncode == 0
        assert [master.ask("ask", 0, "read") for master in masters] == [[1, 1], [2, 101]]
        masters[1].end()
        assert masters[0].ask("reload") == "success"
        assert masters[0].ask("ask", 0, "read") == [2, 2]
    finally:
        for master in masters:
            master.end()


def confcast(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("CONFCAST_ADDRESS_")}
    return subprocess.run(
        [sys.executable, "-m", "confcast", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )


# ---- a library that takes only its section


class Pool:
    """A library's: it knows its own section's type, and neither the application's schema nor confcast."""

    def __init__(self) -> None:
        self.sizes: queue.SimpleQueue[int] = queue.SimpleQueue()

    def configure(self, old: Limits | None, new: Limits) -> None:
        self.sizes.put(new.high)

    def check(self, new: Limits) -> None:
        if new.high > 500:
            raise ValueError(f"a pool of {new.high} is too large for this machine")


def test_a_library_takes_only_its_section(settings: Replica[Settings], config: Path) -> None:
    pool = Pool()
    settings.subscribe(pool.configure, select=lambda config: config.limits, initial=True)
    settings.precommit(lambda old, new: pool.check(new.limits))
    assert pool.sizes.get(timeout=DEADLINE) == 100

    write(config, 2)  # another section's business
    assert settings.reload()
    write(config, 3, **{"limits.high": 200})
    assert settings.reload().version == 3
    assert pool.sizes.get(timeout=DEADLINE) == 200
    write(config, 4, **{"limits.high": 600})
    event = settings.reload()

    assert "too large for this machine" in str(event.error_message)
    assert (settings.latest.limits.high, pool.sizes.empty()) == (200, True)
