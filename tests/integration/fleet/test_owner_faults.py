"""A real owner and its worker while an engine is killed, goes back in time, and is emptied: what they run, and say.

And while it hands out what a host does not want: what an engine has is put to the guards and the workers of each host.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from confcast import ConfigLoader, ReloadEvent, ReloadResult, fleet
from confcast.guards import touches
from confcast.master.embedded import EmbeddedManager
from tests.integration.fleet.conftest import Servers
from tests.integration.fleet.test_gateway_process import publish
from tests.support.engines.redis import Redis
from tests.support.engines.server import Server
from tests.support.fixtures import StartManager, StartWorker
from tests.support.settings import SCHEMA
from tests.support.waiting import eventually


def content(number: int) -> bytes:
    return f"number = {number}\ntwin = {number}\n".encode()


def test_an_owner_follows_what_an_engine_has_whatever_became_of_it(
    expendable: Server, key: str, start_manager: StartManager, start_worker: StartWorker
) -> None:
    server = expendable

    def published(number: int) -> None:
        asyncio.run(publish(server, key, content(number), number))

    published(1)
    manager = start_manager(getattr(fleet, server.NAME)(server.url, key), watch=True)
    worker = start_worker(manager)

    def runs(version: int, number: int) -> None:
        eventually(lambda: worker.ask("read") == (version, number), f"version {version}")
        eventually(lambda: not manager.status().stale, "a status that says of no outage")

    def says(fault: Callable[[str], bool], version: int, number: int) -> None:
        eventually(lambda: any(map(fault, manager.status().stale)), "a status that says so")
        assert worker.ask("read") == (version, number)

    copy = server.copy()
    published(2)
    runs(2, 2)
    server.kill()
    says(bool, 2, 2)
    server.start()
    published(3)
    runs(3, 3)
    server.restore(copy)
    runs(4, 1)
    server.restart(empty=True)
    says(_no_head, 4, 1)
    published(4)
    runs(5, 4)
    server.delete_head(key)
    assert manager.reload(), "what is known stays"
    says(_no_head, 5, 4)
    published(5)
    runs(6, 5)
    server.remake(key)
    published(6)
    assert manager.reload()
    runs(7, 6)
    assert [each.result.value for each in manager.get_event_history() if not each] == []


def _no_head(text: str) -> bool:
    return "there is no head" in text


def test_what_an_engine_hands_out_is_guarded_voted_on_and_taken_back(
    servers: Servers, key: str, start_worker: StartWorker
) -> None:
    programs = Redis.programs()
    if not programs:
        pytest.skip("there is no server of Redis: neither Debian's nor a wheel's")
    server, rev = servers.shared(Redis, programs[0]), 0

    def published(text: bytes) -> None:
        nonlocal rev
        rev += 1
        asyncio.run(publish(server, key, text, rev))

    published(content(1))
    loader = ConfigLoader(SCHEMA, fleet.Redis(server.url, key), guards=[touches("name")])
    with EmbeddedManager(loader, watch=True, vote_timeout=10.0) as manager:
        worker = start_worker(manager)

        def comes(result: ReloadResult) -> ReloadEvent:
            return eventually(lambda: [e for e in manager.get_event_history() if e.result is result], result.value)[0]

        published(content(2) + b"name = 'other'\n")
        assert "guard touches:name" in str(comes(ReloadResult.GUARDED).problems[0])
        worker.ask("object_to", "this number is none")
        published(content(3))
        assert "this number is none" in str(comes(ReloadResult.REJECTED).problems[0])
        worker.ask("object_to", "")
        assert worker.ask("read") == (1, 1)
        worker.ask("check_health", 4, False)
        published(content(4))
        assert "number 4 does not work here" in " ".join(comes(ReloadResult.UNDONE).evidence)
        assert worker.ask("await_number", 1) == 3
