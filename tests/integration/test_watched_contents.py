"""The content of a file that a field names is part of the version, in real processes."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from confcast import ConfigLoader, ReloadResult
from confcast.master.embedded import EmbeddedManager
from tests.support import certified
from tests.support.certified import SCHEMA, Certified
from tests.support.commands import runner
from tests.support.owners import kill_the_owner
from tests.support.waiting import eventually, history_of
from tests.support.workers import Worker

Start = Callable[..., EmbeddedManager[Certified]]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with the sources, and with a mounted Secret as a kubelet makes it."""
    swap(tmp_path, 1)
    (tmp_path / "tls.pem").symlink_to("..data/tls.pem")
    write(tmp_path, 1)
    return tmp_path


@pytest.fixture
def start(site: Path, nothing_is_left: None) -> Iterator[Start]:
    managers: list[EmbeddedManager[Certified]] = []

    def begin(**options: Any) -> EmbeddedManager[Certified]:
        loader: ConfigLoader[Certified] = ConfigLoader(SCHEMA, site / "app.toml")
        managers.append(EmbeddedManager(loader, **{"vote_timeout": 10.0, **options}))
        return managers[-1].start()

    yield begin
    for manager in managers:
        manager.close()


@pytest.fixture
def start_reader(forkserver: Any, nothing_is_left: None, start: Start) -> Iterator[Callable[[Any], Worker]]:
    workers: list[Worker] = []

    def begin(manager: EmbeddedManager[Certified]) -> Worker:
        workers.append(certified.start(forkserver, manager.address))
        return workers[-1]

    yield begin
    for worker in workers:
        worker.end()


def write(site: Path, number: int, workers: int | None = None) -> None:
    count = "" if workers is None else f"workers = {workers}\n"
    (site / "app.toml").write_text(f"number = {number}\n{count}[tls]\ncertificate = '{site / 'tls.pem'}'\n")


def command_of(manager: EmbeddedManager[Certified], capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """The command line, asked about this manager's owner; it gives its standard output."""
    run = runner(capsys)
    return lambda *arguments: run(*arguments, "--address", manager.address)[1]


def swap(folder: Path, number: int) -> None:
    release = folder / f"..release_{number}"
    release.mkdir()
    (release / "tls.pem").write_text(f"certificate {number}")
    (folder / "..data_tmp").symlink_to(release.name)
    (folder / "..data_tmp").rename(folder / "..data")


def made(manager: EmbeddedManager[Certified]) -> list[tuple[int, str]]:
    events = [each for each in history_of(manager) if each.result is ReloadResult.SUCCESS]
    return [(event.version, event.origin) for event in events]


def test_each_change_of_the_content_is_one_version_and_calls_the_observers_of_the_path(
    start: Start, start_reader: Callable[[Any], Worker], site: Path
) -> None:
    manager = start()
    worker = start_reader(manager)
    for number in (2, 3):
        swap(site, number)
        assert worker.ask("await_version", number)[0] == number
        assert worker.ask("seen", number - 1)[-1] == f"certificate {number}"
    (site / "tls.pem").unlink()
    (site / "tls.pem").write_text("certificate 4")
    assert worker.ask("await_version", 4)[0] == 4
    eventually(lambda: len(made(manager)) == 4, "four events")
    assert made(manager) == [(4, "watch"), (3, "watch"), (2, "watch"), (1, "start")]
    newest = history_of(manager)[0].changes
    assert [(change.key, change.old, change.new, change.note) for change in newest] == [
        ("tls.certificate", *[str(site / "tls.pem")] * 2, "content changed")
    ]


def test_a_hup_and_a_call_read_it_and_equal_content_is_unchanged(start: Start, site: Path) -> None:
    manager = start(watch=False)
    assert manager.reload().result is ReloadResult.UNCHANGED
    swap(site, 2)
    assert [str(change.note) for change in manager.check().changes] == ["content changed"]
    os.kill(manager.owner_pid, signal.SIGHUP)
    eventually(lambda: manager.version == 2, "the signal's version")
    swap(site, 3)
    (site / "..release_3" / "tls.pem").write_text("certificate 2")
    assert manager.reload().result is ReloadResult.UNCHANGED


def test_a_missing_file_refuses_the_load_and_its_return_is_loaded(
    start: Start, start_reader: Callable[[Any], Worker], site: Path
) -> None:
    manager = start()
    worker = start_reader(manager)
    (site / "tls.pem").unlink()
    event = eventually(lambda: [each for each in history_of(manager) if not each], "that it is refused")[0]
    assert event.result is ReloadResult.VALIDATION_FAILED
    (problem,) = event.problems
    assert problem.key == "tls.certificate"
    assert problem.message.startswith("the file does not exist (got ")
    assert problem.location.endswith("app.toml:3:15")
    assert worker.ask("read")[0] == 1
    (site / "tls.pem").write_text("certificate 2")
    assert worker.ask("await_version", 2)[0] == 2


def test_the_next_owner_watches_it_too(start: Start, start_reader: Callable[[Any], Worker], site: Path) -> None:
    manager = start()
    worker = start_reader(manager)
    dead = kill_the_owner(manager)
    eventually(lambda: manager.owner_pid != dead, "the next owner")
    eventually(lambda: history_of(manager)[0].origin == "restart", "that it has looked at the sources")
    swap(site, 2)
    assert worker.ask("await_version", 2)[0] == 2
    assert worker.ask("seen", 1) == ["certificate 2"]


def test_the_command_line_says_that_the_content_has_changed(
    start: Start, site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manager = start(watch=False)
    confcast = command_of(manager, capsys)
    swap(site, 2)
    assert "tls.certificate: content changed" in confcast("diff")
    assert "tls.certificate: content changed" in confcast("reload")
    (change,) = json.loads(confcast("diff", "1", "2", "--json"))["changes"]
    assert change["note"] == "content changed"
    assert "certificate 2" not in confcast("status", "--json")
