"""Observers on an event loop: in order and one at a time, on their own loop, until it is closed or they are ended."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import logging
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any

import pytest

from confcast import Replica
from confcast.worker.observers.dispatcher import Observers
from tests.support.forking import said_in_child
from tests.support.settings import Settings, numbered
from tests.support.waiting import DEADLINE, eventually, in_thread, on_a_loop


class Declared:
    """A replica without an owner: its observers are called in their thread, as by a real one."""

    def __init__(self) -> None:
        self._others = set(threading.enumerate())
        self.replica = Replica(Settings, name="on a loop")
        self._number = 1
        self._override = self.replica.override(numbered(1))
        self._fake = self._override.__enter__()

    @property
    def observers(self) -> Observers:
        return self.replica._observers

    def change(self) -> int:
        """To the next number."""
        old, new = numbered(self._number), numbered(self._number + 1)
        self._number += 1
        self.observers.swapped(lambda: self._fake.place(new), old, new)
        return self._number

    def end(self) -> None:
        """And until its thread has: what that logs later would be another test's."""
        self.observers.close()
        self._override.__exit__(None, None, None)
        for thread in set(threading.enumerate()) - self._others:
            if thread.name == "confcast-observers":
                thread.join(DEADLINE)


@pytest.fixture
def declared():
    declared = Declared()
    yield declared
    declared.end()


async def until(condition: Callable[[], Any], what: str) -> None:
    """While the loop goes on."""
    await asyncio.to_thread(eventually, condition, what)


async def until_arrived(declared: Declared, *changes: Callable[[], int]) -> None:
    """Make changes, and wait until the calls of all who are subscribed are on this loop: what came later, while the
    loop is being closed, would meet an end of its own."""
    arrived: list[int] = []

    def last(old: Settings, new: Settings) -> None:
        arrived.append(new.number)

    declared.replica.subscribe(last, loop=asyncio.get_running_loop())
    numbers = [change() for change in changes]
    await until(lambda: arrived == numbers, "the calls")
    assert declared.replica.unsubscribe(last)


@pytest.mark.parametrize("how", ["loop", "executor", "running"])
def test_a_slow_coroutine_function_is_called_one_by_one_in_order_and_misses_nothing(
    declared: Declared, how: str
) -> None:
    calls: list[Any] = []

    async def observe(old: Settings, new: Settings) -> None:
        assert threading.current_thread() is threading.main_thread()
        calls.append(("begins", new.number))
        for _ in range(6 - new.number):  # the later, the quicker: side by side they would end in another order
            await asyncio.sleep(0)
        calls.append(("ends", new.number))

    async def main() -> None:
        where = {} if how == "running" else {how: asyncio.get_running_loop()}
        declared.replica.subscribe(observe, **where)
        for _ in range(4):
            declared.change()
        await until(lambda: len(calls) == 8, "all calls")

    on_a_loop(main)
    assert calls == [(what, number) for number in (2, 3, 4, 5) for what in ("begins", "ends")]


def test_a_slow_observer_holds_up_no_other(declared: Declared) -> None:
    received: list[int] = []

    async def main() -> None:
        go_on = asyncio.Event()

        async def slow(old: Settings, new: Settings) -> None:
            await go_on.wait()
            received.append(-new.number)

        declared.replica.subscribe(slow)
        declared.replica.subscribe(lambda old, new: received.append(new.number), loop=asyncio.get_running_loop())
        declared.change()
        declared.change()
        await until(lambda: received == [2, 3], "the other's calls")
        go_on.set()
        await until(lambda: received == [2, 3, -2, -3], "the slow one's calls")

    on_a_loop(main)


class Awaited:
    """An object whose call is a coroutine."""

    def __init__(self) -> None:
        self.received: list[int] = []

    async def __call__(self, old: Settings, new: Settings) -> None:
        await asyncio.sleep(0)
        self.received.append(new.number)


def test_whatever_gives_something_to_await_is_awaited(declared: Declared) -> None:
    awaited = Awaited()

    async def take(extra: int, old: Settings, new: Settings) -> None:
        await awaited(old, new)

    async def main() -> None:
        declared.replica.subscribe(awaited)
        declared.replica.subscribe(functools.partial(take, 5))
        declared.replica.subscribe(lambda old, new: take(5, old, new), loop=asyncio.get_running_loop())
        declared.change()
        await until(lambda: awaited.received == [2, 2, 2], "all three")

    on_a_loop(main)


def test_an_object_that_is_awaited_needs_a_loop_as_a_coroutine_function_does(declared: Declared) -> None:
    for observer in (Awaited(), Awaited().__call__, functools.partial(Awaited().__call__)):
        with pytest.raises(TypeError, match="needs loop=…"):
            declared.replica.subscribe(observer)


@pytest.mark.parametrize("where", ["thread", "executor"])
def test_a_coroutine_that_nobody_awaits_is_a_failure_that_is_said(
    declared: Declared, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    awaited = Awaited()
    with ThreadPoolExecutor(1) as executor:
        declared.replica.subscribe(
            lambda old, new: awaited(old, new), executor=executor if where == "executor" else None
        )
        declared.change()
        eventually(lambda: "nobody awaits here: subscribe it with loop=…" in caplog.text, "the log's line")
    assert declared.observers.record.failures == 1


def test_initial_comes_first_and_on_the_loop(declared: Declared) -> None:
    received: list[Any] = []

    async def observe(old: Settings | None, new: Settings) -> None:
        await asyncio.sleep(0)
        received.append((old and old.number, new.number))

    async def main() -> None:
        declared.replica.subscribe(observe, initial=True)
        assert received == []
        declared.change()
        await until(lambda: len(received) == 2, "both")

    on_a_loop(main)
    assert received == [(None, 1), (1, 2)]


def test_one_that_raises_or_awaits_what_is_cancelled_goes_on_and_is_counted(
    declared: Declared, caplog: pytest.LogCaptureFixture
) -> None:
    received: list[int] = []

    async def observe(old: Settings, new: Settings) -> None:
        received.append(new.number)
        raise {2: ValueError("no"), 3: asyncio.CancelledError(), 4: RuntimeError("no")}[new.number]

    async def main() -> None:
        declared.replica.subscribe(observe)
        for _ in range(3):
            declared.change()
        await until(lambda: declared.observers.record.failures == 3, "three failures")

    on_a_loop(main)
    assert received == [2, 3, 4]
    assert caplog.text.count("observe raised; the configuration is applied all the same") == 3


def test_unsubscribed_on_the_loop_it_is_not_called_with_what_was_on_its_way(declared: Declared) -> None:
    received: list[int] = []

    async def main() -> None:
        go_on, begun = asyncio.Event(), asyncio.Event()

        async def observe(old: Settings, new: Settings) -> None:
            received.append(new.number)
            begun.set()
            await go_on.wait()

        declared.replica.subscribe(observe)
        later = asyncio.Queue[int]()
        declared.change()
        declared.change()
        declared.replica.subscribe(lambda old, new: later.put_nowait(new.number), loop=asyncio.get_running_loop())
        declared.change()
        assert await later.get() == 4  # by then the others are here, too
        await begun.wait()
        assert declared.replica.unsubscribe(observe)
        go_on.set()
        declared.change()
        assert await later.get() == 5

    on_a_loop(main)
    assert received == [2]


@pytest.mark.parametrize("waiting", [False, True])
def test_a_closed_loop_is_said_once_and_counted_and_ends_the_subscription(
    declared: Declared, waiting: bool, caplog: pytest.LogCaptureFixture
) -> None:
    received: list[int] = []

    async def observe(old: Settings, new: Settings) -> None:
        received.append(new.number)
        await asyncio.Event().wait()

    async def main() -> None:
        declared.replica.subscribe(observe)
        if waiting:
            await until_arrived(declared, declared.change, declared.change)

    on_a_loop(main)
    if not waiting:
        declared.change()
    declared.change()
    declared.change()
    eventually(lambda: declared.observers.record.failures == 1, "the count")
    done = threading.Event()
    declared.replica.subscribe(lambda old, new: done.set())
    declared.change()
    assert done.wait(DEADLINE)
    assert declared.observers.record.failures == 1
    assert caplog.text.count("observe is unsubscribed: the event loop that it was to be called on is closed") == 1
    assert not declared.replica.unsubscribe(observe)
    assert received == ([2] if waiting else [])


def test_each_is_called_on_its_own_loop(declared: Declared) -> None:
    received: list[Any] = []
    ready, over = threading.Barrier(2), threading.Event()

    async def elsewhere() -> None:
        loop = asyncio.get_running_loop()
        declared.replica.subscribe(
            lambda old, new: received.append((asyncio.get_running_loop() is loop, new.number)), loop=loop
        )
        ready.wait(DEADLINE)
        await asyncio.to_thread(over.wait, DEADLINE)

    results = [in_thread(lambda: asyncio.run(elsewhere())) for _ in range(1)]
    ready.wait(DEADLINE)

    async def here() -> None:
        loop = asyncio.get_running_loop()
        declared.replica.subscribe(
            lambda old, new: received.append((asyncio.get_running_loop() is loop, new.number)), loop=loop
        )
        declared.change()
        await until(lambda: len(received) == 2, "both")

    on_a_loop(here)
    over.set()
    for result in results:
        result()
    assert received == [(True, 2)] * 2


VARIABLE: ContextVar[str] = ContextVar("VARIABLE", default="")


def test_what_the_subscriber_had_pinned_or_set_is_not_so_in_later_calls(declared: Declared) -> None:
    seen: list[Any] = []

    async def observe(old: Settings, new: Settings) -> None:
        seen.append((declared.replica.current.number, VARIABLE.get()))

    async def main() -> None:
        with declared.replica.pin():
            VARIABLE.set("the subscriber's")
            declared.replica.subscribe(observe, initial=True)
            await until(lambda: len(seen) == 1, "the initial call")
            number = declared.change()
            await until(lambda: len(seen) == 2, "the change")
            assert seen == [(1, ""), (number, "")]

    on_a_loop(main)


def test_a_child_that_is_forked_while_a_loop_runs_has_no_part_in_it(declared: Declared) -> None:
    received: list[int] = []

    def in_child() -> bool:
        declared.observers.after_fork()
        assert declared.observers._subscriptions == []
        done = threading.Event()
        declared.replica.subscribe(lambda old, new: done.set())
        declared.change()
        return done.wait(DEADLINE) and not received and not declared.replica.unsubscribe(observe)

    def observe(old: Settings, new: Settings) -> None:
        received.append(new.number)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        declared.replica.subscribe(observe, loop=loop)
        changes = declared.replica.changes()
        following = asyncio.ensure_future(anext(changes))
        await asyncio.sleep(0)
        assert said_in_child(in_child) == "True"
        declared.change()
        await until(lambda: received == [2], "the change, here")
        assert (await following)[1].number == 2
        await changes.aclose()

    on_a_loop(main)


def test_who_cancels_every_task_ends_the_call_and_no_failure_is_counted(
    declared: Declared, caplog: pytest.LogCaptureFixture
) -> None:
    begun: list[int] = []

    async def observe(old: Settings, new: Settings) -> None:
        begun.append(new.number)
        await asyncio.Event().wait()

    async def main() -> None:
        declared.replica.subscribe(observe)
        declared.change()
        await until(lambda: begun == [2], "the call")
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*others)
        declared.change()
        await until(lambda: begun == [2, 3], "the next call")

    with caplog.at_level(logging.ERROR):
        asyncio.run(main())
    assert caplog.records == []
    assert declared.observers.record.failures == 0


def test_a_call_that_a_closed_loop_has_left_half_done_is_no_failure_of_the_observer(
    declared: Declared, caplog: pytest.LogCaptureFixture
) -> None:
    begun: list[int] = []
    loop = asyncio.new_event_loop()

    async def observe(old: Settings, new: Settings) -> None:
        begun.append(new.number)
        await asyncio.Event().wait()

    declared.replica.subscribe(observe, loop=loop)
    loop.run_until_complete(until_arrived(declared, declared.change, declared.change))
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    assert declared.replica.unsubscribe(observe)
    declared.observers.close()
    left = weakref.ref(observe)
    del observe
    eventually(lambda: gc.collect() is not None and left() is None, "what is left of the call, ended by the collector")

    assert begun == [2]
    assert declared.observers.record.failures == 0
    assert "observe raised" not in caplog.text
