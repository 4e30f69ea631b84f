"""Crowds of hosts that reach an engine directly, or through a gateway."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.fleet.running import KEY
from tests.support.engines.server import Server
from tests.support.fleet.crowd import Crowd, spec
from tests.support.fleet.gateways import Gateway

PROGRAMS = 3
BEGIN = 60.0
"""Seconds for a crowd's beginning, which nobody measures."""


@contextmanager
def direct(name: str, server: Server) -> Iterator[str]:
    """The source of hosts that reach the engine themselves."""
    yield spec(name, server.url, KEY)


@contextmanager
def behind(server: Server) -> Iterator[str]:
    """The source of hosts behind a gateway of this engine."""
    with Gateway(server.url, KEY) as gateway:
        yield spec("Gateway", [gateway.url], KEY)


@contextmanager
def crowd_of(source: str, count: int) -> Iterator[Crowd]:
    """So many hosts, that have begun to follow."""
    with Crowd(source, clocks=(0.0,) * PROGRAMS) as crowd:
        crowd.add(f"host-{number}" for number in range(count))
        yield crowd


def last_of(crowd: Crowd, digest: str) -> int:
    """When the last host began to run this payload, by CLOCK_MONOTONIC in nanoseconds."""
    return max(event.at for event in crowd.events() if event.digest == digest and event.state in ("applied", "good"))
