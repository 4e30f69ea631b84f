"""Calls of owners: bounded for each owner, and one owner's callers are none of another's."""

from __future__ import annotations

import asyncio
import threading

import pytest

from confcast.admin.calls import Calls
from confcast.admin.problems import ProblemError


def test_an_owner_that_hangs_holds_up_no_other_and_has_few_callers() -> None:
    async def run() -> None:
        calls, hangs = Calls(2), threading.Event()
        waiting = [asyncio.create_task(calls.do("a", lambda: hangs.wait(20.0))) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(ProblemError, match="2 other requests wait") as refused:
            await calls.do("a", lambda: True)
        assert (refused.value.status, refused.value.headers["Retry-After"]) == (503, "1")
        assert await calls.do("b", lambda: "b") == "b"
        hangs.set()
        assert await asyncio.gather(*waiting) == [True, True]
        assert await calls.do("a", lambda: "a") == "a"

    asyncio.run(run())


def test_a_caller_that_has_gone_frees_its_place_when_its_call_ends() -> None:
    async def run() -> None:
        calls, hangs = Calls(1), threading.Event()
        gone = asyncio.create_task(calls.do("a", lambda: hangs.wait(20.0)))
        await asyncio.sleep(0)
        gone.cancel()
        with pytest.raises(ProblemError):
            await calls.do("a", lambda: True)
        hangs.set()
        while calls._running["a"]:
            await asyncio.sleep(0.001)
        assert await calls.do("a", lambda: True)

    asyncio.run(run())


def test_what_a_call_raises_is_its_caller_s() -> None:
    async def run() -> None:
        with pytest.raises(ZeroDivisionError):
            await Calls(1).do("a", lambda: 1 / 0)

    asyncio.run(run())
