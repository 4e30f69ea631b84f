"""A thousand hosts behind one gateway: what a publish costs the engine and the gateway, and how soon all have it.

The figures are printed (`-s`); what is asserted is far from them, so that a busy machine does not fail.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from confcast.fleet import engines, reports
from confcast.fleet.follower import Follower
from confcast.fleet.head import Head, digest_of, encode
from confcast.fleet.reports import Entry, Report, Seen
from tests.integration.fleet.conftest import Servers
from tests.support.engines.redis import Redis
from tests.support.fleet import gateways_in_memory
from tests.support.fleet.gateways import Gateway as GatewayProcess
from tests.support.fleet.gateways_in_memory import until

HOSTS, PUBLISHES = 1000, 20
PAYLOAD = b"x = '" + b"y" * 2000 + b"'\n"


def cpu_ms(pid: int) -> float:
    """Milliseconds of processor that all threads of a process have had."""
    return sum(int(path.read_text().split()[0]) for path in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e6


def rss_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise AssertionError(pid)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_thousand_hosts_behind_one_gateway(servers: Servers, key: str, monkeypatch: pytest.MonkeyPatch):
    if not (programs := Redis.programs()):
        pytest.skip("there is no server of Redis")
    monkeypatch.setattr(gateways_in_memory, "KEY", key)
    redis = servers.shared(Redis, programs[0])
    asyncio.run(_main(redis, key))


async def _killed_and_restarted(gw: GatewayProcess, publish: Callable[[int], Awaitable[bytes]]) -> None:
    """The gateway dies under all its hosts, and something is published while it is down."""
    heads: dict[int, bytes | None] = {}

    def follower(number: int) -> Follower:
        async def take(_: Any, head: bytes | None) -> bool:
            heads[number] = head
            return True

        return Follower(gateways_in_memory.host([gw.url], f"host-{number}").connect, take, lambda error: None)

    followers = [follower(number) for number in range(HOSTS)]
    tasks = [asyncio.create_task(each.run()) for each in followers]
    await until(lambda: len(heads) == HOSTS)
    before = sum(each.connects for each in followers)
    gw.kill()
    await asyncio.sleep(1.0)
    head = await publish(PUBLISHES + 2)
    await asyncio.to_thread(gw.start)
    began = time.perf_counter()
    await until(lambda: all(each == head for each in heads.values()))
    took, connects = time.perf_counter() - began, sum(each.connects for each in followers) - before
    print(f"gateway killed, 1 s down: all {HOSTS} have the new head {took:.2f} s after it listens; {connects} connects")
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert connects <= 10 * HOSTS


async def _main(redis: Redis, key: str) -> None:
    store = await engines.connect(redis.access(), key)
    await store.put_payload(digest_of(PAYLOAD), PAYLOAD)
    before: bytes | None = None

    async def publish(rev: int) -> bytes:
        nonlocal before
        head = Head(stable=digest_of(PAYLOAD), rev=rev)
        assert await store.swap(before, encode(head), reports.encode(Entry("force", head)))
        before = encode(head)
        return before

    async def known() -> list[Seen]:
        return [each for record in await store.reports() for each in reports.decode_reports(*record)]

    await publish(1)
    with GatewayProcess(redis.url, key) as gw:
        empty = rss_mib(gw.pid)
        began = time.perf_counter()
        feeds = await asyncio.gather(
            *(gateways_in_memory.host([gw.url], f"host-{number}").connect() for number in range(HOSTS))
        )
        await asyncio.gather(*(feed.subscribe() for feed in feeds))
        print(f"\n{HOSTS} hosts connected in {time.perf_counter() - began:.2f} s")
        began = time.perf_counter()
        assert {await each for each in asyncio.as_completed([feed.payload(digest_of(PAYLOAD)) for feed in feeds])} == {
            PAYLOAD
        }
        print(f"payload on all: {time.perf_counter() - began:.2f} s")
        while len(await known()) < HOSTS:  # the summary of all who have come costs the engine something, too
            await asyncio.sleep(0.05)
        last, calls, engine, gateway = [], [], [], []
        for rev in range(2, PUBLISHES + 2):
            costs = cpu_ms(redis.pid), cpu_ms(gw.pid)
            began = time.perf_counter()
            head = await publish(rev)
            calls.append(1000 * (time.perf_counter() - began))
            await asyncio.gather(*(feed.hint() for feed in feeds))
            last.append(1000 * (time.perf_counter() - began))
            await asyncio.sleep(0.05)
            engine.append(cpu_ms(redis.pid) - costs[0])
            gateway.append(cpu_ms(gw.pid) - costs[1])
            assert {await feed.head() for feed in feeds} == {head}
        print(
            f"publish call p50 {statistics.median(calls):.2f} ms; last host p50 {statistics.median(last):.1f} ms, "
            f"max {max(last):.1f}; engine {statistics.median(engine):.2f} CPU ms, gateway "
            f"{statistics.median(gateway):.1f} CPU ms a publish; gateway {empty:.0f} -> {rss_mib(gw.pid):.0f} MiB"
        )
        costs = cpu_ms(redis.pid), cpu_ms(gw.pid)
        began = time.perf_counter()
        said = []
        for number, feed in enumerate(feeds):
            report = Report(f"host-{number}", digest_of(PAYLOAD), state="good")
            said.append(feed.report(report.host, reports.encode(report)))
        await asyncio.gather(*said)
        took = time.perf_counter() - began
        while sum(each.report.state == "good" for each in await known()) < HOSTS:
            await asyncio.sleep(0.02)
        print(
            f"{HOSTS} reports taken in {took:.2f} s, all in the engine after {time.perf_counter() - began:.2f} s: "
            f"engine {cpu_ms(redis.pid) - costs[0]:.1f} CPU ms, gateway {cpu_ms(gw.pid) - costs[1]:.0f} CPU ms"
        )
        await asyncio.gather(*(feed.close() for feed in feeds))
        await _killed_and_restarted(gw, publish)
    await store.close()
    assert statistics.median(engine) < 10
