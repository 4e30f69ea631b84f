"""The recipes under a real server: what follows a reload in every worker, and what a refused version leaves behind."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from confcast import ReloadResult
from tests.support.database import Database
from tests.support.examples import Server
from tests.support.gate import Gate
from tests.support.server import servers_of
from tests.support.waiting import eventually, in_thread

CONNECTIONS = 2 * 2  # of each database: two workers, whose pools have two


class WithDatabases:
    """Two workers of the recipe, and the databases that they may use."""

    def __init__(self, server: Server, databases: list[Database]) -> None:
        self.server = server
        self.old, self.new = databases

    def change_to(self, port: int) -> Any:
        """The outcome of a reload with the database at this port."""
        self.server.change(f"[database]\nport = {port}\n")
        return self.server.client().reload()

    def answers(self) -> list[Any]:
        """What each worker's database says."""
        return [answer["answers"] for answer in self.server.everyone().values()]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[WithDatabases]:
    with ExitStack() as stack:
        databases = [stack.enter_context(Database(name)) for name in ("old", "new")]
        make = stack.enter_context(servers_of(Server, tmp_path / "site"))
        server = make(application="database_site:app", conf="database_conf")
        server.change(f"[database]\nport = {databases[0].port}\n")
        site = WithDatabases(server.start(), databases)
        # A worker is attached before it imports its application, which opens the pool.
        eventually(lambda: site.old.connections == CONNECTIONS, "a pool in every worker")
        yield site


def test_the_log_level_changes_in_every_worker(tmp_path: Path):
    with servers_of(Server, tmp_path / "site") as make:
        server = make(application="log_level_site:app", conf="log_level_conf")
        server.change('[log_levels]\nroot = "WARNING"\n')
        before = server.start().pids()
        assert "DEBUG" not in server.log()

        server.change('[log_levels]\nroot = "INFO"\nshop = "DEBUG"\n')
        server.signal(signal.SIGHUP)

        wanted = {"root": "INFO", "shop": "DEBUG", "shop.till": "DEBUG"}
        eventually(lambda: all(wanted.items() <= each.items() for each in server.everyone().values()), "the new levels")
        assert set(server.everyone()) == before
        for pid in before:
            server.await_log(f"DEBUG shop served by {pid}.")

        server.change('[log_levels]\nroot = "VERBOSE"\n')
        assert server.client().reload().result == ReloadResult.VALIDATION_FAILED
        assert all(wanted.items() <= each.items() for each in server.everyone().values())


def test_a_request_keeps_its_pool_and_the_pool_ends_with_it(site: WithDatabases, tmp_path: Path):
    (tmp_path / "call").mkdir()
    gate = Gate(tmp_path / "call" / "gate")
    gate.shut()
    held = in_thread(lambda: site.server.ask(f"hold?{tmp_path}"))
    gate.await_load()

    assert site.change_to(site.new.port)
    assert site.server.client().confirm()  # else the old pools stay until the probation is over, for an undo

    assert site.answers() == [["new"]] * 2
    eventually(lambda: site.old.connections == CONNECTIONS // 2, "the end of the pool that nobody uses")
    gate.let_go()
    assert held()["answers"] == ["old", "old"]
    eventually(lambda: site.old.connections == 0, "the end of the pool whose last request has ended")
    assert (site.new.connections, site.new.ever) == (CONNECTIONS, CONNECTIONS)


def test_a_version_whose_pool_cant_be_built_is_refused_everywhere(site: WithDatabases):
    event = site.change_to(1)

    assert event.result == ReloadResult.REJECTED
    assert event.problems[0].key == "database"
    assert "the pool can't be built: ConnectionRefusedError" in event.problems[0].message
    assert site.answers() == [["old"]] * 2
    assert (site.old.connections, site.old.ever) == (CONNECTIONS, CONNECTIONS)


def test_a_version_that_another_worker_refuses_leaves_no_pool(site: WithDatabases):
    refusing, _ = site.server.pids()
    (site.server.folder / "veto").write_text(str(refusing))
    (site.server.folder / "vote").mkdir()
    gate = Gate(site.server.folder / "vote" / "gate")
    gate.shut()

    outcome = in_thread(lambda: site.change_to(site.new.port))
    gate.await_load()
    eventually(lambda: site.new.connections == CONNECTIONS // 2, "a pool in the worker that does not refuse")
    gate.let_go()

    event = outcome()
    assert event.result == ReloadResult.REJECTED
    assert "not by me" in str(event.problems[0])
    eventually(lambda: site.new.connections == 0, "the end of the pool that no version came for")
    assert site.answers() == [["old"]] * 2

    (site.server.folder / "veto").unlink()
    assert site.change_to(site.new.port)
    assert site.server.client().confirm()
    assert site.answers() == [["new"]] * 2
    eventually(lambda: (site.old.connections, site.new.connections) == (0, CONNECTIONS), "one pool a worker")
