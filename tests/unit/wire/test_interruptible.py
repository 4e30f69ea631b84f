"""Ctrl-C at every line of a loop that is run step by step: a KeyboardInterrupt, after which nothing is left."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections.abc import AsyncGenerator, Iterator
from types import FrameType
from typing import Any

import pytest

from confcast.wire.interruptible import Interruptible


class Items:
    """Two items, each after a turn of the loop; so is their end."""

    def __init__(self) -> None:
        self.has_begun = self.has_ended = False

    async def __call__(self) -> AsyncGenerator[int, None]:
        self.has_begun = True
        try:
            for item in (1, 2):
                await asyncio.sleep(0)
                yield item
        finally:
            try:
                await asyncio.sleep(0)
            finally:  # this may be cancelled, too
                self.has_ended = True


class InterruptedAt:
    """Sends SIGINT to this process before it runs the line of this number: the handler is called there."""

    def __init__(self, number: int) -> None:
        self.left = number
        self._former = sys.gettrace()

    def __enter__(self) -> InterruptedAt:
        sys.settrace(self._trace)
        return self

    def __exit__(self, *error: object) -> None:
        sys.settrace(self._former)

    def _trace(self, frame: FrameType, event: str, argument: object) -> Any:
        if event == "line":
            self.left -= 1
            if self.left == 0:
                sys.settrace(None)  # what comes now is nobody's line
                signal.raise_signal(signal.SIGINT)
        return self._trace


def steps(loop: Interruptible, items: AsyncGenerator[int, None]) -> Iterator[int]:
    async def next_one() -> int | None:
        return await anext(items, None)

    try:
        while (item := loop.run(next_one)) is not None:
            yield item
    finally:
        loop.run(items.aclose, closes=True)


def interrupted(number: int) -> tuple[list[int], bool]:
    """The items that came, and whether the interruption came at all."""
    items, came, at = Items(), list[int](), InterruptedAt(number)
    asynchronous = items()
    with Interruptible(asyncio.new_event_loop) as loop:
        generator = steps(loop, asynchronous)
        try:
            with at:
                came.extend(generator)
        except KeyboardInterrupt:
            assert at.left == 0
            generator.close()
        else:
            assert at.left > 0, "the interruption was lost"
        assert not asyncio.all_tasks(loop._loop)
    assert items.has_ended or not items.has_begun
    return came, at.left == 0


def test_ctrl_c_at_any_line_ends_the_step_and_what_closes_it_runs_alone():
    number, seen = 0, set()
    while True:
        number += 1
        came, was_interrupted = interrupted(number)
        seen.add(len(came))
        if not was_interrupted:
            break
    assert came == [1, 2]
    assert number > 100
    assert seen == {0, 1, 2}
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


async def nothing() -> str:
    await asyncio.sleep(0)
    return "done"


def test_what_a_program_does_with_sigint_itself_stays():
    noted = []
    former = signal.signal(signal.SIGINT, lambda *_: noted.append("ctrl-c"))
    try:
        with Interruptible(asyncio.new_event_loop) as loop:
            signal.raise_signal(signal.SIGINT)
            assert loop.run(nothing) == "done"
        assert noted == ["ctrl-c"]
    finally:
        signal.signal(signal.SIGINT, former)


def test_outside_the_main_thread_it_handles_no_signal():
    done = []

    def run() -> None:
        with Interruptible(asyncio.new_event_loop) as loop:
            done.append((loop.run(nothing), signal.getsignal(signal.SIGINT) is signal.default_int_handler))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert done == [("done", True)]


def test_at_a_second_ctrl_c_nothing_is_waited_for():
    async def deaf() -> None:
        signal.raise_signal(signal.SIGINT)
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            signal.raise_signal(signal.SIGINT)
            await asyncio.Event().wait()

    with Interruptible(asyncio.new_event_loop) as loop, pytest.raises(KeyboardInterrupt):
        loop.run(deaf)


def test_what_closes_things_is_not_cancelled():
    ended = []

    async def close() -> None:
        signal.raise_signal(signal.SIGINT)
        await asyncio.sleep(0)
        ended.append(True)

    with Interruptible(asyncio.new_event_loop) as loop, pytest.raises(KeyboardInterrupt):
        loop.run(close, closes=True)
    assert ended == [True]
