"""An engine that is killed under many hosts, and back after two seconds: how soon all have what was published then.

The clock starts when the engine answers again; the head is published at once. PostgreSQL's hosts are behind a gateway,
as they are to be from some fifty on. A connect is a try, whether it succeeds or not, also one while the engine is away.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from statistics import median

from benchmarks.fleet import Extent
from benchmarks.fleet.crowds import BEGIN, behind, crowd_of, direct, last_of
from benchmarks.fleet.running import KEY, engines_here, used_ms
from benchmarks.rows import Row, against_limit, against_peer
from tests.support.engines.server import Server
from tests.support.fleet.acts import payload
from tests.support.fleet.crowd import Crowd
from tests.support.fleet.publisher import Publisher

AWAY = 2.0
SECONDS = 3.0
CONNECTS = 8
BEHIND = ("Postgres",)


def measure(extent: Extent, engines: list[str]) -> list[Row]:
    """Three rows for each engine."""
    rows: list[Row] = []
    for name, server in engines_here(engines):
        with Publisher(server.access(), KEY) as publisher:
            first = publisher.force(payload(0)).head.stable
            reached = behind(server) if name in BEHIND else direct(name, server)
            with reached as source, crowd_of(source, extent.hosts) as crowd:
                crowd.await_running(first, seconds=BEGIN)
                rows += _rows(name, server, publisher, crowd, extent)
    return rows


def _rows(name: str, server: Server, publisher: Publisher, crowd: Crowd, extent: Extent) -> Iterator[Row]:
    found = [_outage(server, publisher, crowd, number) for number in range(1, extent.rounds + 1)]
    seconds, connects, cpu = (median(each) for each in zip(*found, strict=True))
    where = "behind a gateway" if name in BEHIND else "direct"
    who = f"{name} restarted under {extent.hosts} hosts, {where}"
    yield against_limit(f"{who}: the last host on the new head (s)", seconds, SECONDS)
    yield against_limit(f"{who}: connects of one host, the most", connects, CONNECTS)
    yield against_peer(f"{who}: the engine's CPU (ms)", cpu, None)


def _outage(server: Server, publisher: Publisher, crowd: Crowd, number: int) -> tuple[float, int, float]:
    before = crowd.connects()
    server.kill()
    time.sleep(AWAY)
    server.start()
    answers, used = time.monotonic_ns(), used_ms(server._pids())
    digest = publisher.force(payload(number)).head.stable
    crowd.await_running(digest)
    last = (last_of(crowd, digest) - answers) / 1e9
    cpu = used_ms(server._pids()) - used
    after = crowd.connects()
    time.sleep(AWAY)  # what comes after it is none of the next round's
    return last, max(after[host] - before[host] for host in after), cpu
