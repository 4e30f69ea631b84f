"""Real owners and workers behind a gateway: what is published reaches them, and what came of it the engine."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from confcast.fleet import Gateway, engines
from confcast.fleet.reports import Seen, decode_reports
from tests.integration.fleet.conftest import Servers
from tests.integration.fleet.test_gateway_process import publish
from tests.support.engines.redis import Redis
from tests.support.engines.server import Server
from tests.support.fixtures import StartManager, StartWorker
from tests.support.fleet.gateways import Gateway as GatewayProcess
from tests.support.waiting import eventually


@pytest.fixture
def redis(servers: Servers) -> Server:
    if not (programs := Redis.programs()):
        pytest.skip("there is no server of Redis")
    return servers.shared(Redis, programs[0])


def reported(server: Server, key: str) -> list[Seen]:
    async def ask() -> list[Seen]:
        store = await engines.connect(server.access(), key)
        try:
            return [each for record in await store.reports() for each in decode_reports(*record)]
        finally:
            await store.close()

    return asyncio.run(ask())


def test_an_owner_applies_what_is_published_and_reports_it_through_the_gateway(
    redis: Server, key: str, start_manager: StartManager, start_worker: StartWorker
) -> None:
    asyncio.run(publish(redis, key, b"number = 1\ntwin = 1\n", 1))
    with GatewayProcess(redis.url, key) as gw:
        manager = start_manager(Gateway([gw.url], key), watch=True, labels={"ring": "canary"})
        worker = start_worker(manager)
        assert worker.ask("read") == (1, 1)
        asyncio.run(publish(redis, key, b"number = 2\ntwin = 2\n", 2))
        eventually(lambda: worker.ask("read") == (2, 2), "the second version")

        def good() -> Any:
            return [each for each in reported(redis, key) if each.report.state == "good" and each.report.version == 2]

        (host,) = eventually(good, "the report of the second version")
        assert (host.connected, host.report.labels) == (True, {"ring": "canary"})
        asyncio.run(publish(redis, key, b"number = -1\ntwin = -1\n", 3))
        refused = eventually(
            lambda: [each for each in reported(redis, key) if each.report.state == "refused"], "the refusal"
        )
        assert "greater than or equal to 0" in refused[0].report.reason
        assert worker.ask("read") == (2, 2)
        gw.kill()
        eventually(lambda: manager.status().stale, "a status that says so")
        asyncio.run(publish(redis, key, b"number = 4\ntwin = 4\n", 4))
        assert not manager.reload()
        gw.start()
        eventually(lambda: worker.ask("read") == (3, 4), "the third version")
        eventually(lambda: not manager.status().stale, "a status without it")
