"""What a publish costs the engine with a crowd of hosts behind a gateway, and with the same crowd on it directly.

Each crowd has a server of its own. The CPU is the engine's, from before the publish until the whole crowd runs the
payload and its reports have come, which are a part of it; less what the engine takes in the same time at rest, with all
its connections, as it is measured before each publish. A direct PostgreSQL has as many processes as hosts: it is
measured with fewer, and so is its gateway.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from statistics import median

from benchmarks.fleet import Extent
from benchmarks.fleet.crowds import BEGIN, crowd_of, direct, last_of
from benchmarks.fleet.running import KEY, engine, used_ms
from benchmarks.rows import Row, against_peer
from benchmarks.timing import alternate
from tests.support.engines.server import Server
from tests.support.fleet.acts import payload
from tests.support.fleet.crowd import Crowd, spec
from tests.support.fleet.gateways import Gateway
from tests.support.fleet.publisher import Publisher

BAR = 1 / 20
MOST = {"Postgres": 90}
"""Hosts that are measured where an engine can't have more, as it is installed."""
_UNTIL_REPORTED = 1.5


def measure(extent: Extent, engines: list[str]) -> list[Row]:
    """Four rows for each engine."""
    rows: list[Row] = []
    for name in engines:
        try:
            rows += _of_engine(name, min(extent.hosts, MOST.get(name, extent.hosts)), extent.rounds)
        except LookupError as error:
            rows.append(Row(str(error), 0.0, None, None, None, None))
    return rows


def _of_engine(name: str, hosts: int, rounds: int) -> list[Row]:
    with ExitStack() as stack:
        alone = _Side(stack, name, hosts, lambda server: stack.enter_context(direct(name, server)))
        gateways: list[Gateway] = []

        def behind(server: Server) -> str:
            gateways.append(stack.enter_context(Gateway(server.url, KEY)))
            return spec("Gateway", [gateways[0].url], KEY)

        shared = _Side(stack, name, hosts, behind)
        pids = [gateways[0].pid]
        gateway: list[float] = []

        def through_gateway() -> float:
            before = used_ms(pids)
            used = shared.publish()
            gateway.append(used_ms(pids) - before)
            return used

        alternate(1, [through_gateway, alone.publish])
        for figures in (gateway, shared.last, alone.last, shared.hosts, alone.hosts):
            figures.clear()
        through, directly = alternate(rounds, [through_gateway, alone.publish])
    who = f"{name}, {hosts} hosts"
    return [
        against_peer(
            f"{who}: the engine's CPU per publish behind a gateway (ms); peer: direct", through, directly, BAR
        ),
        against_peer(f"{who}: the gateway's own CPU per publish (ms)", median(gateway), None),
        against_peer(f"{who}: the last one runs it (ms); peer: direct", median(shared.last), median(alone.last)),
        against_peer(
            f"{who}: all hosts' CPU per publish (ms); peer: direct", median(shared.hosts), median(alone.hosts)
        ),
    ]


class _Side:
    """An engine and its crowd."""

    def __init__(self, stack: ExitStack, name: str, hosts: int, reached: Callable[[Server], str]) -> None:
        self._server: Server = stack.enter_context(engine(name))
        self._publisher = stack.enter_context(Publisher(self._server.access(), KEY))
        first = self._publisher.force(payload(0)).head.stable
        self._crowd: Crowd = stack.enter_context(crowd_of(reached(self._server), hosts))
        self._crowd.await_running(first, seconds=BEGIN)
        self._number = 0
        self.last: list[float] = []
        self.hosts: list[float] = []

    def publish(self) -> float:
        """Milliseconds of CPU that a publish took of the engine."""
        self._number += 1
        content = payload(self._number)
        time.sleep(_UNTIL_REPORTED)
        self._publisher.put(content)
        at_rest = self._at_rest()
        hosts = [program.pid for program in self._crowd.programs]
        began, before, hosts_before = time.monotonic(), used_ms(self._server._pids()), used_ms(hosts)
        published = self._publisher.force(content)
        self._crowd.await_running(published.head.stable)
        time.sleep(_UNTIL_REPORTED)
        used = used_ms(self._server._pids()) - before - at_rest * (time.monotonic() - began)
        self.hosts.append(used_ms(hosts) - hosts_before)
        self.last.append((last_of(self._crowd, published.head.stable) - published.before) / 1e6)
        return used

    def _at_rest(self) -> float:
        """Milliseconds of CPU that the engine takes a second, while nothing is published."""
        began, before = time.monotonic(), used_ms(self._server._pids())
        time.sleep(_UNTIL_REPORTED)
        return (used_ms(self._server._pids()) - before) / (time.monotonic() - began)
