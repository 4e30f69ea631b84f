"""Connections without a whole request: bounded in number, and in time; nothing wakes up for none."""

from __future__ import annotations

import asyncio
from typing import Any

from confcast.admin.connections import Waiting
from confcast.admin.limits import Limits


class Transport:
    """A connection that knows whether it was cut off."""

    aborted = False

    def abort(self) -> None:
        self.aborted = True


def test_past_the_bound_the_oldest_is_closed() -> None:
    async def run() -> None:
        waiting = Waiting(Limits(waiting=3))
        some: list[Any] = [Transport() for _ in range(5)]
        for each in some[:3]:
            waiting.add(each)
        waiting.remove(some[0])
        waiting.add(some[3])
        assert not any(each.aborted for each in some)
        waiting.add(some[4])
        assert [each.aborted for each in some] == [False, True, False, False, False]

    asyncio.run(run())


def test_one_whose_request_does_not_come_is_closed_in_time_and_others_are_not() -> None:
    async def run() -> None:
        waiting = Waiting(Limits(head_within=0.01))
        some: list[Any] = [Transport() for _ in range(2)]
        for each in some:
            waiting.add(each)
        waiting.remove(some[1])
        while not some[0].aborted:
            await asyncio.sleep(0)
        assert not some[1].aborted
        assert waiting._timer is None

    asyncio.run(run())


def test_one_that_waits_again_has_all_its_time_again() -> None:
    async def run() -> None:
        waiting = Waiting(Limits(head_within=100.0))
        first: Any = Transport()
        second: Any = Transport()
        for each in (first, second, first):
            waiting.remove(each)
            waiting.add(each)
        assert list(waiting._since) == [second, first]

    asyncio.run(run())
