"""Calls of owners: bounded for each owner, in turns, and one owner's callers are none of another's."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from confcast.admin.calls import Calls
from confcast.admin.problems import ProblemError

HANGS = 20.0


async def begun(calls: Calls, count: int, what: Callable[[], Any], whom: str = "a") -> list[asyncio.Task[Any]]:
    """So many calls that have been given in."""
    tasks = [asyncio.create_task(calls.do(whom, what)) for _ in range(count)]
    await asyncio.sleep(0)
    return tasks


def run(test: Callable[[threading.Event], Coroutine[Any, Any, None]]) -> None:
    """With an event that ends what hangs."""
    hangs = threading.Event()
    try:
        asyncio.run(test(hangs))
    finally:
        hangs.set()


def test_an_owner_that_hangs_holds_up_no_other_and_has_few_callers() -> None:
    async def test(hangs: threading.Event) -> None:
        calls = Calls(2, waiting=1)
        waiting = await begun(calls, 3, lambda: hangs.wait(HANGS))
        with pytest.raises(ProblemError, match="2 other requests wait") as refused:
            await calls.do("a", lambda: True)
        assert (refused.value.status, refused.value.headers["Retry-After"]) == (503, "1")
        assert await calls.do("b", lambda: "b") == "b"
        hangs.set()
        assert await asyncio.gather(*waiting) == [True] * 3
        assert await calls.do("a", lambda: "a") == "a"
        assert calls._lanes == {}

    run(test)


def test_many_who_come_at_once_have_their_turns() -> None:
    async def test(hangs: threading.Event) -> None:
        calls, together, most = Calls(3), [0], [0]

        def work() -> int:
            together[0] += 1
            most[0] = max(most[0], together[0])
            hangs.wait(0.001)
            together[0] -= 1
            return 1

        assert sum(await asyncio.gather(*await begun(calls, 40, work))) == 40
        assert most[0] <= 3
        assert calls._lanes == {}

    run(test)


def test_nobody_waits_for_a_turn_for_longer_than_that_is_worth() -> None:
    async def test(hangs: threading.Event) -> None:
        calls = Calls(1, patience=0.01)
        first, late = await begun(calls, 2, lambda: hangs.wait(HANGS))
        with pytest.raises(ProblemError, match="1 other requests wait"):
            await late
        hangs.set()
        assert await first

    run(test)


def test_a_caller_that_has_gone_frees_its_place_when_its_call_ends() -> None:
    async def test(hangs: threading.Event) -> None:
        calls = Calls(1)
        gone, waits, gone_too = await begun(calls, 3, lambda: hangs.wait(HANGS))
        gone.cancel()
        gone_too.cancel()
        await asyncio.sleep(0)
        assert not waits.done()
        hangs.set()
        assert await waits
        assert calls._lanes == {}

    run(test)


def test_a_turn_that_comes_as_its_caller_leaves_is_given_on() -> None:
    async def test(hangs: threading.Event) -> None:
        calls = Calls(1)
        await calls._turn("a")  # of a call that ends in the moment in which the next one leaves
        leaves, waits = await begun(calls, 2, lambda: True)
        calls._leave("a")
        leaves.cancel()
        assert await asyncio.wait_for(waits, HANGS)
        assert calls._lanes == {}

    run(test)


def test_what_a_call_raises_is_its_caller_s() -> None:
    async def test(hangs: threading.Event) -> None:
        with pytest.raises(ZeroDivisionError):
            await Calls(1).do("a", lambda: 1 / 0)

    run(test)


def test_at_the_end_all_are_told_those_with_a_turn_and_those_without() -> None:
    async def test(hangs: threading.Event) -> None:
        calls = Calls(1)
        waiting = await begun(calls, 3, lambda: hangs.wait(HANGS))
        calls.close()
        found = await asyncio.gather(*waiting, return_exceptions=True)
        assert [getattr(each, "status", None) for each in found] == [503] * 3

    run(test)
