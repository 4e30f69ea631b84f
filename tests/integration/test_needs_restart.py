"""A value that needs a restart stays as it runs, and its change waits for a full reload, in real processes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from confcast import Canary, Change, ConfigLoader, ReloadResult
from confcast.master.embedded import EmbeddedManager
from tests.integration.test_watched_contents import Start, command_of, site, start, start_reader, write
from tests.support.certified import SCHEMA, Certified
from tests.support.owners import kill_the_owner
from tests.support.waiting import eventually, history_of
from tests.support.workers import Worker

__all__ = ["site", "start", "start_reader"]  # fixtures

WAITS = Change("workers", 4, 8, "needs a restart: the server forks them at its start")
Reader = Callable[[Any], Worker]


def test_all_else_is_applied_and_who_starts_later_gets_what_runs(
    start: Start, start_reader: Reader, site: Path
) -> None:
    manager = start(watch=False)
    worker = start_reader(manager)
    write(site, 2, 8)
    event = manager.reload()
    assert (event.result, event.pending) == (ReloadResult.SUCCESS, [WAITS])
    assert [change.key for change in event.changes] == ["number"]
    assert worker.ask("read") == (2, 2, 4)
    assert start_reader(manager).ask("read") == (2, 2, 4)
    assert [Change(**each) for each in manager.get_stats()["pending"]] == [WAITS]
    found = manager.explain("workers")
    assert (found.value, found.pending) == (4, 8)
    assert found.origin.endswith("app.toml:2:11")
    assert manager.explain("number").pending is None


def test_it_waits_until_the_file_goes_back(start: Start, site: Path) -> None:
    manager = start(watch=False)
    write(site, 1, 8)
    event = manager.reload()
    assert (event.result, event.pending) == (ReloadResult.UNCHANGED, [WAITS])
    write(site, 1)
    assert manager.reload().pending == []
    assert manager.get_stats()["pending"] == []


def test_the_next_owner_shows_it_also_while_the_sources_are_broken(start: Start, site: Path) -> None:
    manager = start(watch=False)
    write(site, 1, 8)
    assert manager.reload()
    (site / "app.toml").write_text("broken")
    dead = kill_the_owner(manager)
    eventually(lambda: manager.owner_pid != dead, "the next owner")
    eventually(lambda: history_of(manager)[0].origin == "restart", "that it has looked at the sources")
    assert [Change(**each) for each in manager.get_stats()["pending"]] == [WAITS]
    write(site, 1, 8)
    assert manager.reload().pending == [WAITS]
    assert manager.current.workers == 4


def test_a_full_reload_takes_it_up(start: Start, start_reader: Reader, site: Path) -> None:
    manager = start(watch=False)
    write(site, 1, 8)
    assert manager.reload().pending == [WAITS]
    following: EmbeddedManager[Certified] = EmbeddedManager(
        ConfigLoader(SCHEMA, site / "app.toml"), watch=False
    ).succeed(manager)
    with following.start():
        assert following.current.workers == 8
        assert following.get_stats()["pending"] == []
        assert following.reload().pending == []
        write(site, 1)
        assert [(each.old, each.new) for each in following.reload().pending] == [(8, 4)]


def test_what_was_undone_comes_back_with_no_start_though_it_has_another_such_value(start: Start, site: Path) -> None:
    """Once a server is ready on what a window's end has put back, the values of that run in it."""
    state = site / "state"
    manager = start(watch=False, state_dir=state)
    write(site, 2, 8)
    assert manager.reload(confirm_within=60.0).version == 2
    manager.close()
    for _ in range(2):  # the first undoes it, and the second finds it undone
        later = start(watch=False, state_dir=state)
        assert (later.version, later.current.number, later.current.workers) == (3, 1, 4)
        event = later.reload()
        assert (event.result, event.pending) == (ReloadResult.REJECTED, [WAITS])
        later.close()


def test_what_a_full_reload_undoes_is_not_what_it_starts_on_though_it_has_another_such_value(
    start: Start, start_reader: Reader, site: Path
) -> None:
    state = site / "state"
    manager = start(watch=False, state_dir=state)
    workers = [start_reader(manager) for _ in range(2)]
    write(site, 2, 8)
    assert manager.reload(canary=Canary(1, seconds=60.0)).result is ReloadResult.ON_TRIAL
    manager.pause()
    following: EmbeddedManager[Certified] = EmbeddedManager(
        ConfigLoader(SCHEMA, site / "app.toml"), watch=False, state_dir=state
    ).succeed(manager)
    with following.start():
        manager.close()
        assert following.reload().result is ReloadResult.REJECTED
        assert (following.current.number, following.current.workers) == (1, 4)
        assert [worker.ask("read")[1:] for worker in workers] == [(1, 4)] * 2


def test_both_configurations_have_to_be_valid(start: Start, start_reader: Reader, site: Path) -> None:
    manager = start(watch=False)
    worker = start_reader(manager)
    write(site, 50, 8)
    event = manager.reload()
    assert event.result is ReloadResult.VALIDATION_FAILED
    assert "50 is too much for 4 workers" in str(event.error_message)
    assert "workers: needs a restart" in str(event.error_message)
    assert worker.ask("read") == (1, 1, 4)


def test_it_is_refused_with_the_option(start: Start, site: Path) -> None:
    manager = start(watch=False, needs_restart="refuse")
    write(site, 2, 8)
    event = manager.reload()
    assert event.result is ReloadResult.VALIDATION_FAILED
    assert "needs_restart='refuse'" in str(event.error_message)
    write(site, 2)
    assert manager.reload().result is ReloadResult.SUCCESS


def test_the_command_line_shows_what_waits(start: Start, site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manager = start(watch=False)
    confcast = command_of(manager, capsys)
    write(site, 2, 8)
    words = "workers: 4 -> 8 (needs a restart: the server forks them at its start)"
    assert f"waits for a full reload: {words}" in confcast("check")
    assert manager.get_stats()["pending"] == []
    assert f"waits for a full reload: {words}" in confcast("reload")
    assert words in confcast("status")
    assert json.loads(confcast("status", "--json"))["pending"][0]["new"] == 8
    assert "pending  8, at the next full reload of the server" in confcast("explain", "workers")
    write(site, 3, 8)
    assert confcast("diff").splitlines() == ["number: 2 -> 3", words]
    assert manager.reload()
    write(site, 3, 9)
    for _ in "12":
        assert manager.reload().result is ReloadResult.UNCHANGED
    newest, before, *_ = confcast("history").splitlines()[1:]
    assert f"waits for a full reload: {words.replace('8', '9')}" in newest
    assert f"number: 2 -> 3; waits for a full reload: {words}" in before


def test_a_value_that_is_set_waits_too_and_an_override_that_ends_takes_nothing_else_along(
    start: Start, site: Path
) -> None:
    manager = start(watch=False)
    event = manager.set({"workers": "8"})
    assert (event.result, event.pending) == (ReloadResult.UNCHANGED, [WAITS])
    assert manager.current.workers == 4
    assert manager.unset(["workers"]).pending == []
