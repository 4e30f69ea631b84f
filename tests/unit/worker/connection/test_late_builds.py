"""An application that is imported, or has its loop, only after its process has voted on the version that comes next.

A server attaches each worker before it imports the application: a vote, and other workers' slow votes after it, may lie
in between. What is then swapped in must have all that the version in hand had.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from confcast.wire.messages import Applied, Commit, Tried, Try
from confcast.worker.derived.declared import Derived
from confcast.worker.replica import Replica
from tests.support.waiting import in_thread, on_a_loop
from tests.unit.worker.connection.test_trials import Owner, Settings, attach, owner, replica

__all__ = ["owner", "replica"]


async def build(part: int) -> list[int]:
    await asyncio.sleep(0)
    return [part]


def commit(owner: Owner) -> None:
    assert isinstance(owner.ask(Commit(owner.round, 4, 0.0))[0], Applied)


@pytest.mark.parametrize("declared_before", [True, False])
def test_a_version_is_committed_that_was_voted_on_before_there_was_a_loop(
    owner: Owner, replica: Replica[Settings], declared_before: bool
) -> None:
    def declare() -> Derived[Any]:
        return replica.derive(build, lambda c: c.part, name="pool")

    pool = declare() if declared_before else None
    attach(replica, owner)
    assert owner.propose(Settings(4, part=2)).ok

    async def lifespan() -> Any:
        mine = pool if pool is not None else declare()
        await replica.aattach()
        assert mine.current == [1]
        await asyncio.to_thread(commit, owner)
        return replica.version, mine.current

    assert on_a_loop(lifespan) == (4, [2])


def test_one_is_tried_that_was_voted_on_before_there_was_a_loop(owner: Owner, replica: Replica[Settings]) -> None:
    pool = replica.derive(build, lambda c: c.part, name="pool")
    attach(replica, owner)
    assert owner.propose(Settings(4, part=2)).ok

    async def lifespan() -> Any:
        await replica.aattach()
        assert await asyncio.to_thread(owner.ask, Try(owner.round, 4, 0.0, "salt")) == [Tried(4)]
        with replica.pin():
            return replica.version, pool.current

    assert on_a_loop(lifespan) == (4, [2])


def test_one_is_committed_while_the_version_in_hand_is_built(owner: Owner, replica: Replica[Settings]) -> None:
    async def slowly(part: int) -> list[int]:
        if part == 1:
            building.set()
            await go_on.wait()
        return [part]

    pool = replica.derive(slowly, lambda c: c.part, name="pool")
    attach(replica, owner)
    assert owner.propose(Settings(4, part=2)).ok
    building, go_on = asyncio.Event(), asyncio.Event()

    async def lifespan() -> Any:
        attaching = asyncio.ensure_future(replica.aattach())
        await building.wait()
        committed = in_thread(lambda: commit(owner))
        while replica.version != 4:
            await asyncio.sleep(0.001)
        go_on.set()
        await attaching
        committed()
        return replica.version, pool.current

    assert on_a_loop(lifespan) == (4, [2])


def test_what_can_not_be_built_then_is_said_against_the_version(owner: Owner, replica: Replica[Settings]) -> None:
    async def lucky(part: int) -> list[int]:
        if part == 13:
            raise ValueError("13 brings bad luck")
        return [part]

    replica.derive(lucky, lambda c: c.part, name="pool")
    attach(replica, owner)
    assert owner.propose(Settings(4, part=13)).ok

    async def lifespan() -> tuple[Any, Any]:
        await replica.aattach()
        said = await asyncio.to_thread(owner.ask, Commit(owner.round, 4, 600.0))
        return said[0], await asyncio.to_thread(owner.receive)

    messages = on_a_loop(lifespan)
    (unhealthy,) = [each for each in messages if not isinstance(each, Applied)]
    assert (unhealthy.version, "13 brings bad luck" in unhealthy.reason) == (4, True)
