"""Calls of owners: bounded for each owner, and one owner's callers are none of another's."""

from __future__ import annotations

import asyncio
import threading

import pytest

from confcast.admin.calls import Calls
from confcast.admin.problems import ProblemError


def test_an_owner_that_hangs_holds_up_no_other_and_has_few_callers() -> None:
    async def run() -> None:
        calls, hangs = Calls(2, 0.01), threading.Event()
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
        calls, hangs = Calls(1, 0.01), threading.Event()
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


def test_who_comes_past_the_bound_waits_for_its_turn_in_order() -> None:
    async def run() -> None:
        calls, hangs, order = Calls(1, 20.0), threading.Event(), list[int]()
        waiting = [asyncio.create_task(calls.do("a", lambda: hangs.wait(20.0)))]
        await asyncio.sleep(0)
        waiting += [asyncio.create_task(calls.do("a", lambda each=each: order.append(each))) for each in range(20)]
        await asyncio.sleep(0)
        waiting[3].cancel()
        hangs.set()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert order == [0, 1, *range(3, 20)]
        assert not calls._running
        assert not calls._queues

    asyncio.run(run())


def test_a_turn_that_comes_as_its_caller_goes_is_the_next_one_s() -> None:
    async def run() -> None:
        calls, hangs = Calls(1, 20.0), threading.Event()
        first = asyncio.create_task(calls.do("a", lambda: hangs.wait(20.0)))
        await asyncio.sleep(0)
        second, third = (asyncio.create_task(calls.do("a", lambda: "done")) for _ in range(2))
        await asyncio.sleep(0)
        calls._queues["a"][0].add_done_callback(lambda _: second.cancel())  # after the turn, before its task goes on
        hangs.set()
        assert await third == "done"
        assert second.cancelled()
        assert await first
        assert not calls._running

    asyncio.run(run())


def test_a_thread_that_can_not_be_started_takes_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def run() -> None:
        calls = Calls(1, 20.0)
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            with pytest.raises(ProblemError, match="can't start new thread"):
                await calls.do("a", lambda: True)
        assert await calls.do("a", lambda: True)

    asyncio.run(run())


def test_what_a_call_raises_is_its_caller_s() -> None:
    async def run() -> None:
        with pytest.raises(ZeroDivisionError):
            await Calls(1, 0.01).do("a", lambda: 1 / 0)

    asyncio.run(run())
