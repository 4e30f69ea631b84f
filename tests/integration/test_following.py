"""A source of one's own that follows a server: real owners and workers, and what the server is told of the host."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from confcast import Canary, ConfigLoader, ReloadResult
from confcast.master.embedded import EmbeddedManager
from tests.support.fixtures import Manager, StartManager, StartWorker
from tests.support.owners import await_the_next, kill_the_owner
from tests.support.passing import Passing
from tests.support.pushed import Server, pushing
from tests.support.settings import SCHEMA
from tests.support.stopping import stop
from tests.support.waiting import LONG, eventually


@pytest.fixture
def server() -> Iterator[Server]:
    with pushing(1) as server:
        yield server


@pytest.fixture
def start(start_manager: StartManager, config: Path, server: Server) -> StartManager:
    """Starts a manager of a file without a number, and of the server."""
    config.write_text('name = "filed"\n')

    def start(**options: Any) -> Manager:
        return start_manager(config, server.source, **{"watch": True, **options})

    return start


def origins(manager: Manager) -> list[str]:
    """Of the events, the oldest first."""
    return [each.origin for each in reversed(manager.get_event_history())]


def test_what_is_pushed_is_loaded_at_once_beside_a_file_and_told_to_be_good(
    start: StartManager, start_worker: StartWorker, config: Path, server: Server
) -> None:
    manager = start(labels={"ring": "canary"})
    worker = start_worker(manager)
    assert server.told("good").version == 1
    server.push(2)
    assert server.told("good").version == 2
    assert worker.ask("read") == (2, 2)
    config.write_text('name = "other"\n')
    eventually(lambda: manager.current.name == "other", "the file's change")
    eventually(lambda: origins(manager) == ["start", "watch", "watch"], "its event, once the barrier holds")
    (host,) = server.hosts
    assert (host["labels"], host["state_dir"]) == ({"ring": "canary"}, "None")
    assert host["id"].startswith(f"{host['name']}-")


def test_refused_content_is_told_with_its_reason_and_not_tried_again(
    start: StartManager, start_worker: StartWorker, server: Server
) -> None:
    manager = start()
    worker = start_worker(manager)
    server.push(-1)
    refused = server.told("refused")
    assert (refused.version, "greater than or equal to 0" in refused.reason) == (1, True)
    server.push(-1)
    server.push(-1)
    worker.ask("object_to", "no even numbers")
    server.push(2)
    assert "no even numbers" in server.told("refused").reason
    worker.ask("object_to", "")
    server.push(3)
    assert server.told("good").version == 2
    assert origins(manager) == ["start", *["watch"] * 3]
    assert len(server.outcomes) == 4


def test_another_source_that_is_refused_leaves_the_state_of_what_runs(
    start: StartManager, config: Path, server: Server
) -> None:
    manager = start()
    server.told("good")
    config.write_text("name = 1\n")
    eventually(lambda: manager.get_event_history()[0].problems, "the refusal")
    server.told("good", after=1)
    server.push(2)
    assert "name" in server.told("refused").reason
    config.write_text('name = "mended"\n')
    assert server.told("good").version == 2


def test_on_probation_content_is_applied_and_then_good(
    passing: Passing, start: StartManager, start_worker: StartWorker, server: Server
) -> None:
    manager = start(probation=LONG)
    start_worker(manager)
    server.push(2)
    applied = server.told("applied")
    assert 0.0 < applied.good_in <= LONG
    passing.by(LONG, manager)
    assert server.told("good").version == 2
    server.push(1)
    assert server.told("good", after=3).version == 3
    assert [each.state for each in server.outcomes] == ["good", "applied", "good", "good"]


def test_what_is_undone_is_told_and_a_confirmed_window_is_good(
    start: StartManager, start_worker: StartWorker, server: Server
) -> None:
    manager = start(probation=LONG)
    worker = start_worker(manager)
    server.push(2)
    assert server.told("applied").good_in > LONG / 2
    worker.ask("say_unhealthy", "it does not work")
    undone = server.told("undone")
    assert (undone.version, "it does not work" in undone.reason) == (3, True)
    server.push(3)
    server.told("applied")
    assert manager.confirm()
    assert server.told("good").version == 4


def test_on_trial_content_is_applied_until_it_is_confirmed_or_undone(
    start: StartManager, start_worker: StartWorker, server: Server
) -> None:
    manager = start(canary=Canary(1, seconds=LONG))
    for _ in range(2):
        start_worker(manager)
    server.push(2)
    applied = server.told("applied")
    assert (applied.version, applied.good_in > LONG / 2) == (2, True)
    assert manager.reload().result is ReloadResult.ON_TRIAL
    assert manager.confirm()
    assert server.told("good").version == 2
    server.push(3)
    server.told("applied")
    eventually(lambda: [each.state for each in manager.workers()].count("trial") == 1, "the canary")
    (canary,) = [each.pid for each in manager.workers() if each.state == "trial"]
    os.kill(canary, signal.SIGKILL)
    assert f"worker {canary}" in server.told("undone").reason


def test_a_host_that_a_person_holds_says_so(start: StartManager, start_worker: StartWorker, server: Server) -> None:
    manager = start()
    start_worker(manager)
    server.push(2)
    server.told("good")
    assert manager.rollback()
    assert "a person has gone back" in server.told("held").reason
    server.push(3)
    server.told("held")
    dead = kill_the_owner(manager)
    await_the_next(manager, dead)
    eventually(lambda: len(server.hosts) == 2, "the next owner's")
    server.told("held", after=4)
    assert manager.resume()
    assert server.told("good").version == 4


def test_a_worker_that_is_late_makes_it_partial_until_it_has_applied_it(
    passing: Passing, start: StartManager, start_worker: StartWorker, server: Server
) -> None:
    manager = start()
    late, _ = start_worker(manager), start_worker(manager)
    stop(late.pid)
    server.push(2)
    partial = passing.over_silence(manager, lambda: server.told("partial"), late.pid)
    assert partial.reason == "1 of 2 workers have not applied it"
    late.signal(signal.SIGCONT)
    assert server.told("good").version == 2


def test_the_next_owner_is_the_same_host_and_tells_what_runs(
    start: StartManager, start_worker: StartWorker, server: Server
) -> None:
    manager = start()
    start_worker(manager)
    server.push(2)
    server.told("good")
    dead = kill_the_owner(manager)
    await_the_next(manager, dead)
    assert server.told("good", after=2).version == 2
    first, second = (each["id"] for each in server.hosts)
    assert first == second


def test_with_a_state_folder_a_server_that_is_started_anew_is_the_same_host(
    start: StartManager, server: Server, tmp_path: Path
) -> None:
    folder = tmp_path / "state"
    for _ in range(2):
        start(state_dir=folder).close()
    first, second = server.hosts
    assert (first["id"], first["state_dir"]) == (second["id"], str(folder))
    assert (folder / "host_id").stat().st_mode & 0o777 == 0o600


def test_without_watching_it_is_followed_and_loaded_on_request_only(start: StartManager, server: Server) -> None:
    manager = start(watch=False)
    server.told("good")
    server.push(2)
    eventually(lambda: manager.reload().version == 2, "what was pushed is loaded")
    assert server.told("good").version == 2
    assert {*origins(manager)} == {"start", "call"}


def test_a_lost_connection_is_made_anew_and_the_last_outcome_said_again(start: StartManager, server: Server) -> None:
    manager = start()
    server.told("good")
    server.hang_up()
    eventually(lambda: len(server.hosts) == 2, "the next connection")
    server.told("good", after=1)
    server.push(2)
    assert server.told("good").version == 2
    assert manager.version == 2


def test_a_paused_owner_follows_nothing_and_goes_on(start: StartManager, server: Server) -> None:
    manager = start()
    server.told("good")
    manager.pause()
    eventually(lambda: not server.connected, "the end of its connection")
    server.push(2)
    manager.unpause()
    assert server.told("good").version == 2
    assert len(server.hosts) == 2


def test_of_two_generations_one_at_a_time_follows(start: StartManager, config: Path, server: Server) -> None:
    manager = start()
    server.told("good")
    following: Manager = EmbeddedManager(ConfigLoader(SCHEMA, config, server.source), probation=0)
    manager.pause()
    with following.succeed(manager):
        eventually(lambda: len(server.connected) == 1, "the former one's end")
        manager.close()
        server.push(2)
        assert server.told("good").version == 2
        assert len(server.hosts) == 2


def test_a_start_needs_what_it_follows(start: StartManager, server: Server) -> None:
    server.push(-1)
    with pytest.raises(Exception, match="greater than or equal to 0"):
        start()


def test_a_load_that_comes_amid_a_pause_is_no_refusal_of_what_it_would_have_read(
    start: StartManager, server: Server
) -> None:
    manager = start(watch=False)
    server.told("good")
    server.push(2)
    eventually(lambda: manager.check().changes, "what was pushed has come")
    manager.pause()
    eventually(lambda: not server.connected, "the end of its connection")
    assert not manager.reload()
    manager.unpause()
    assert server.told("good").version == 2
    assert {each.state for each in server.outcomes} == {"good"}
