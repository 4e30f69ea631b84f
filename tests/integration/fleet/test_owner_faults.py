"""A real owner and its worker while an engine is killed, goes back in time, and is emptied: what they run, and say."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from confcast import fleet
from tests.integration.fleet.test_gateway_process import publish
from tests.support.engines.server import Server
from tests.support.fixtures import StartManager, StartWorker
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
