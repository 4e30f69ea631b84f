"""A version that a third of the hosts refuse: how soon its rollout stops, and who has run it until then.

The deciding report is the one after `--max-refused` refusals. The clock starts when that host comes to refuse, which is
before its report is on its way, and ends when the first host has gone back: the engine has told it of the stop. The
whole crowd is behind a gateway; as many hosts as may well be without one are measured directly, too.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from statistics import median

from benchmarks.fleet import Extent
from benchmarks.fleet.crowds import BEGIN, behind, crowd_of, direct
from benchmarks.fleet.running import KEY, engines_here
from benchmarks.rows import Row, against_limit, against_peer, exactly
from confcast.fleet.head import is_meant
from tests.support.engines.server import Server
from tests.support.fleet.acts import payload
from tests.support.fleet.crowd import Crowd
from tests.support.fleet.publisher import Publisher
from tests.support.fleet.rollouts import Rollout

SECONDS = 1.0
DIRECT = 80
"""A PostgreSQL that is installed as it comes has a hundred connections."""
_LIMITS = {"stages": "25%, 100%", "bake": "0.2s", "max_refused": "3", "max_lag": "10s"}


def measure(extent: Extent, engines: list[str]) -> list[Row]:
    """Six rows for each engine."""
    rows: list[Row] = []
    for name, server in engines_here(engines):
        rows += _of_crowd(f"{name}, direct", server, direct(name, server), min(DIRECT, extent.hosts), extent.rounds)
        rows += _of_crowd(f"{name}, behind a gateway", server, behind(server), extent.hosts, extent.rounds)
    return rows


def _of_crowd(who: str, server: Server, reached: AbstractContextManager[str], hosts: int, rounds: int) -> Iterator[Row]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="confcast-bench-")))
        publisher = stack.enter_context(Publisher(server.access(), KEY))
        first = publisher.force(payload(0)).head.stable
        crowd = stack.enter_context(crowd_of(stack.enter_context(reached), hosts))
        crowd.await_running(first, seconds=BEGIN)
        found = [_stopped(server, publisher, crowd, folder / "app.toml", number) for number in range(1, rounds + 1)]
    seconds, most, beyond = zip(*found, strict=True)
    who = f"{who}, {hosts} hosts, a third refuse"
    yield against_limit(f"{who}: from the deciding report to the stop (s)", median(seconds), SECONDS)
    yield against_peer(f"{who}: hosts that ever ran it", median(most), None)
    yield exactly(f"{who}: those of them outside the stage", sum(beyond), 0)


def _stopped(server: Server, publisher: Publisher, crowd: Crowd, file: Path, number: int) -> tuple[float, int, int]:
    """Seconds until the stop; how many hosts ever ran it, and how many of these had not been meant."""
    file.write_bytes(payload(number, refuse=100 / 3))
    stable = publisher.head().stable
    with Rollout(server.url, KEY, file, **_LIMITS) as rollout:
        status, said = rollout.wait()
    if status != 1:
        raise RuntimeError(f"the rollout was not stopped: {said[-3:]}")
    crowd.await_running(stable)
    widest = publisher.heads()[1]
    came = crowd.events()
    refused = [event.at for event in came if event.digest == widest.next and event.state == "refused"]
    deciding = refused[int(_LIMITS["max_refused"])]
    stopped = next(event.at for event in came if event.digest == stable and event.at > deciding)
    ran = {event.host for event in came if event.digest == widest.next and event.state in ("applied", "good")}
    return (stopped - deciding) / 1e9, len(ran), sum(not is_meant(widest, host, {}) for host in ran)
