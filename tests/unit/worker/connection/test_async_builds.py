"""What an event loop builds for a vote, and does not end in time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.waiting import in_thread, on_a_loop
from tests.unit.worker.connection.test_trials import Owner, Settings, owner, replica

__all__ = ["owner", "replica"]


def test_a_build_is_cancelled_when_the_owner_waits_no_longer_for_who_works(owner: Owner, replica: Any) -> None:
    cancelled: list[int] = []

    async def build(part: int) -> list[int]:
        try:
            await (asyncio.Event().wait() if part == 2 else asyncio.sleep(0))
        except asyncio.CancelledError:
            cancelled.append(part)
            raise
        return [part]

    pool = replica.derive(build, lambda c: c.part, name="pool")

    async def lifespan() -> Any:
        attaching = in_thread(lambda: (owner.accept(), owner.install(3, answers_within=600.0, precommit_timeout=0.1)))
        await replica.aattach(owner.address)
        attaching()
        return await asyncio.to_thread(owner.propose, Settings(5, part=2)), pool.current

    vote, present = on_a_loop(lifespan)
    assert (vote.ok, present, cancelled) == (False, [1], [2])
    assert vote.problems[0].message == "pool can't be built: TimeoutError: not done in 0.1 s, and cancelled"


@pytest.mark.parametrize(
    ("call", "why"), [("reload", "would block the event loop"), ("areload", "it can't call the owner")]
)
def test_a_build_on_the_loop_that_asks_for_a_reload_is_refused_at_once(
    owner: Owner, replica: Any, call: str, why: str
) -> None:
    async def build(part: int) -> list[int]:
        if part == 2:
            await getattr(replica, call)()
        return [part]

    pool = replica.derive(build, lambda c: c.part, name="pool")

    async def lifespan() -> Any:
        attaching = in_thread(lambda: (owner.accept(), owner.install(3, answers_within=600.0, precommit_timeout=600.0)))
        await replica.aattach(owner.address)
        attaching()
        return await asyncio.to_thread(owner.propose, Settings(5, part=2)), pool.current

    vote, present = on_a_loop(lifespan)
    assert (vote.ok, present) == (False, [1])
    assert why in vote.problems[0].message
