"""A thousand hosts: twenty config owners with workers, and 980 hosts that follow and report as these do.

Whatever happens, nobody runs a payload that no head has meant for them, a rollout that stops leaves everyone on what
was stable, and in the end everyone runs the same.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

import pytest

from tests.support.engines import SERVERS
from tests.support.engines.server import Server
from tests.support.fleet.crowd import DAY
from tests.support.fleet.fleets import Fleet
from tests.support.fleet.rollouts import Rollout
from tests.support.waiting import eventually

THIRD = 100 / 3
BEHIND = ("Postgres",)
"""Engines whose hosts are behind a gateway: each direct one is a process of the server."""


def with_fleet(server: Server, forkserver: BaseContext, folder: Path, *, owners: int, hosts: int, **more: Any) -> Fleet:
    return Fleet(
        server, forkserver, folder, owners=owners, hosts=hosts, gateway=server.NAME in BEHIND, **more
    )  # fmt: skip


def is_over(rollout: Rollout, status: int, outcome: str) -> None:
    code, said = rollout.wait()
    assert (code, [each.get("outcome") for each in said[-1:]]) == (status, [outcome]), said[-3:]


def an_outage_and_three_rollouts(fleet: Fleet) -> None:
    """What holds for a few hosts and for a thousand alike."""
    fleet.lose_engine()
    fleet.await_all(1)
    fleet.server.start()
    fleet.force(2)
    fleet.await_all(2)
    with fleet.rollout(3) as good:
        is_over(good, 0, "promoted")
    fleet.await_all(3)
    with fleet.rollout(4, {"refuse": THIRD}) as refused:
        is_over(refused, 1, "stopped")
    fleet.await_all(3)
    assert fleet.publisher.head().next is None
    assert not fleet.outside()
    assert not fleet.crowd.failures()


@pytest.mark.skipif(not SERVERS["Redis"].programs(), reason="there is no Redis")
def test_a_few_hosts_come_through_an_outage_and_three_rollouts(forkserver: BaseContext, tmp_path: Path):
    limits = {"stages": "1 host, 50%, 100%", "bake": "0.2s", "min_acks": "5"}
    server = SERVERS["Redis"]
    with (
        server(server.programs()[0]) as engine,
        with_fleet(engine, forkserver, tmp_path, owners=2, hosts=40, clocks=(0.0, DAY), **limits) as fleet,
    ):
        an_outage_and_three_rollouts(fleet)


@pytest.fixture(params=SERVERS)
def fleet(request: pytest.FixtureRequest, forkserver: BaseContext, tmp_path: Path) -> Iterator[Fleet]:
    """A thousand hosts."""
    programs = SERVERS[request.param].programs()
    if not programs:
        pytest.skip(f"there is no server of {request.param}")
    limits = {"stages": "1 host, 10%, 100%", "bake": "1s", "max_lag": "10s"}
    with (
        SERVERS[request.param](programs[0]) as engine,
        with_fleet(engine, forkserver, tmp_path, owners=20, hosts=980, **limits) as fleet,
    ):
        yield fleet


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_thousand_hosts_come_through_an_outage_and_three_rollouts(fleet: Fleet):
    an_outage_and_three_rollouts(fleet)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_thousand_hosts_leave_a_version_that_some_hang_in(fleet: Fleet):
    with fleet.rollout(2, {"hang": 15}, max_lag="5s") as hanging:
        is_over(hanging, 1, "stopped")
    fleet.await_all(1)
    assert not fleet.outside()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_half_of_a_thousand_hosts_are_cut_off_in_a_rollout_and_no_stage_is_passed_without_them(fleet: Fleet):
    half = fleet.crowd.programs[:2]
    names = set(fleet.crowd.cut_off(half))
    with fleet.rollout(2, stages="50%, 100%", max_lag="5s") as rollout:
        is_over(rollout, 1, "stopped")
    assert max(head.percent for head in fleet.publisher.heads() if head.next is not None) < 60.0
    fleet.crowd.let_in(half)
    fleet.await_all(1)
    assert not fleet.outside()
    assert not {host for host, _, number in fleet.ran() if host in names and number == 2}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_hosts_that_come_back_after_a_version_was_stopped_do_not_run_it_again(fleet: Fleet):
    with fleet.rollout(2, {"refuse": 5}, stages="30%, 100%", max_refused="10", bake="30s") as rollout:
        gone = eventually(lambda: _running_it(fleet, 2), "hosts that run it")
        fleet.crowd.end(gone)
        is_over(rollout, 1, "stopped")
    back = time.monotonic_ns()
    fleet.crowd.begin(gone)
    fleet.await_all(1)
    came = {event.host: event.digest for event in fleet.crowd.events() if event.host in gone and event.at > back}
    assert came == dict.fromkeys(gone, fleet.digest(1))
    assert not fleet.outside()


def _running_it(fleet: Fleet, number: int) -> set[str]:
    """The hosts of the crowd that run this, once some do."""
    found = {host for host, digest in fleet.crowd.running().items() if digest == fleet.digest(number)}
    return found if len(found) >= 10 else set()
