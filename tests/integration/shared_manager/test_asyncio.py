"""Event loops and a real owner: changes that are read, observers that are awaited, and verbs that hold up no loop."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from confcast import NotAttached, ReloadResult, Replica
from tests.support.fixtures import Manager, StartManager, StartWorker
from tests.support.forking import said_in_child
from tests.support.settings import Settings, write
from tests.support.stopping import stop
from tests.support.waiting import DEADLINE, eventually, on_a_loop

Change = Callable[[int], Coroutine[Any, Any, None]]


@pytest.fixture(params=["replica", "manager"])
def source(request: pytest.FixtureRequest, manager: Manager, settings: Replica[Settings]) -> Iterator[Any]:
    """Whatever has the verbs."""
    return settings if request.param == "replica" else manager


@pytest.fixture
def change(manager: Manager, config: Path) -> Change:
    async def change(number: int) -> None:
        write(config, number)
        assert (await manager.areload()).result is ReloadResult.SUCCESS

    return change


def number(config: Settings) -> int:
    return config.number


def test_changes_are_read_as_they_come(source: Any, change: Change) -> None:
    async def main() -> list[Any]:
        seen = []
        following = asyncio.Queue[Any]()

        async def follow() -> None:
            async for pair in source.changes(number):
                following.put_nowait(pair)

        task = asyncio.ensure_future(follow())
        await asyncio.sleep(0)
        for each in (2, 3, 4):
            await change(each)
            seen.append(await following.get())
        task.cancel()
        await asyncio.wait([task])
        return seen

    assert on_a_loop(main) == [(1, 2), (2, 3), (3, 4)]


def test_a_settled_change_comes_when_every_worker_has_it(
    settings: Replica[Settings], manager: Manager, start_worker: StartWorker, change: Change
) -> None:
    workers = [start_worker(manager) for _ in range(2)]

    async def main() -> None:
        changes = settings.changes(number, on="settled")
        await change(2)
        assert await anext(changes) == (1, 2)
        assert [worker.ask("read")[1] for worker in workers] == [2, 2]
        await changes.aclose()

    on_a_loop(main)


@pytest.mark.parametrize("how", ["close", "aclose"])
def test_the_replica_s_end_ends_every_iteration_after_the_last_change(
    how: str, manager: Manager, change: Change
) -> None:
    replica = Replica(Settings, name="app").attach()

    async def main() -> list[Any]:
        changes = replica.changes(number)
        await change(2)
        assert await anext(changes) == (1, 2)
        await change(3)
        eventually(lambda: replica.latest.number == 3, "the version here")
        replica.close() if how == "close" else await replica.aclose()
        return [pair async for pair in changes]

    assert on_a_loop(main) == [(2, 3)]


def test_the_manager_s_end_ends_them_too(start_manager: StartManager) -> None:
    manager = start_manager(name="ends")

    async def main() -> list[Any]:
        changes = manager.changes(number, initial=True)
        assert await anext(changes) == (None, 1)
        waiting = asyncio.ensure_future(anext(changes, "the end"))
        await asyncio.sleep(0)
        manager.close()
        return [await waiting]

    assert on_a_loop(main) == ["the end"]


def test_a_change_between_the_call_and_the_first_step_is_not_missed(source: Any, change: Change) -> None:
    async def main() -> None:
        changes = source.changes(number)
        await change(2)
        assert await anext(changes) == (1, 2)
        await changes.aclose()

    on_a_loop(main)


def test_an_attachment_that_fails_ends_nothing(manager: Manager, tmp_path: Path, change: Change) -> None:
    replica = Replica(Settings, name="app")

    async def main() -> None:
        changes = replica.changes(number, initial=True)
        waiting = asyncio.ensure_future(anext(changes))
        with pytest.raises(Exception, match="no version of 'app' came within"):
            await replica.aattach(str(tmp_path / "nobody.sock"), timeout=0.1)
        assert not waiting.done()
        await replica.aattach()
        assert await waiting == (None, 1)
        await changes.aclose()
        await replica.aclose()

    on_a_loop(main)


def test_an_observer_is_awaited_on_the_loop_that_it_was_subscribed_on(source: Any, change: Change) -> None:
    async def main() -> None:
        loop, received = asyncio.get_running_loop(), asyncio.Queue[Any]()

        async def observe(old: int, new: int) -> None:
            assert asyncio.get_running_loop() is loop
            await received.put((old, new))

        source.subscribe(observe, number)
        source.subscribe(observe, number, loop=loop, initial=True)
        assert await received.get() == (None, 1)
        await change(2)
        assert [await received.get(), await received.get()] == [(1, 2)] * 2
        assert source.unsubscribe(observe)
        assert source.unsubscribe(observe)

    on_a_loop(main)


def test_an_observer_may_await_a_reload(settings: Replica[Settings], config: Path, change: Change) -> None:
    async def main() -> None:
        received = asyncio.Queue[int]()

        async def observe(old: Settings, new: Settings) -> None:
            received.put_nowait(new.number)
            if new.number == 2:
                write(config, 3)
                assert await settings.areload()

        settings.subscribe(observe)
        await change(2)
        assert [await received.get(), await received.get()] == [2, 3]
        settings.unsubscribe(observe)

    on_a_loop(main)


# ---- verbs


def test_every_verb_has_an_awaitable_form_that_gives_the_same(source: Any, config: Path) -> None:
    async def main() -> None:
        write(config, 2)
        event = await source.areload(timeout=DEADLINE)
        assert (event.result, event.version) == (ReloadResult.SUCCESS, source.version)
        assert await source.areload_config() is ReloadResult.UNCHANGED
        assert (await source.aget_stats())["version"] == event.version
        assert (await source.aget_event_history(limit=1))[0].result is ReloadResult.UNCHANGED
        assert [worker.pid for worker in await source.aworkers()] == [os.getpid()]
        await source.aclear_history()
        assert await source.aget_event_history() == []

    on_a_loop(main)


def test_the_loop_goes_on_while_a_verb_waits(source: Any, manager: Manager, settings: Replica[Settings]) -> None:
    """The owner stands still; a loop that were held up would not let it go on, and each verb would have its answer."""
    rescue = threading.Timer(DEADLINE / 2, os.kill, (manager.owner_pid, signal.SIGCONT))

    async def main() -> None:
        stop(manager.owner_pid)
        rescue.start()
        try:
            asking = [asyncio.ensure_future(verb()) for verb in (source.areload, source.aget_stats, source.aworkers)]
            await asyncio.sleep(0)  # each begins
            assert not any(task.done() for task in asking)
        finally:
            rescue.cancel()
            rescue.join()
            os.kill(manager.owner_pid, signal.SIGCONT)
        assert all(await asyncio.gather(*asking))

    on_a_loop(main)


def test_attaching_and_leaving_hold_up_no_loop_and_hup_is_looked_after(manager: Manager) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)

    async def main() -> None:
        replica = Replica(Settings, name="app")
        with pytest.raises(NotAttached):
            await replica.areload()
        assert await replica.aattach(timeout=DEADLINE) is replica
        assert replica.latest.number == 1
        assert signal.getsignal(signal.SIGHUP) not in (signal.SIG_DFL, signal.SIG_IGN)
        await replica.aclose()
        assert not replica.connected

    try:
        on_a_loop(main)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_many_verbs_at_once_take_no_more_threads_than_the_loop_s_executor_has(source: Any) -> None:
    most = 0

    async def main() -> None:
        nonlocal most
        asking = [asyncio.ensure_future(source.aget_stats()) for _ in range(100)]
        while not all(task.done() for task in asking):
            most = max(most, sum(thread.name.startswith("asyncio_") for thread in threading.enumerate()))
            await asyncio.sleep(0)
        await asyncio.gather(*asking)

    on_a_loop(main)
    assert 1 <= most <= min(32, (os.cpu_count() or 1) + 4)


# ---- forks


def test_a_fork_while_a_loop_runs_is_harmless_to_both(settings: Replica[Settings], config: Path) -> None:
    async def main() -> None:
        received = asyncio.Queue[Any]()
        loop = asyncio.get_running_loop()
        settings.subscribe(received_by := lambda old, new: received.put_nowait((old, new)), number, loop=loop)
        changes = settings.changes(number)
        waiting = asyncio.ensure_future(anext(changes))
        await asyncio.sleep(0)

        def in_child() -> Any:
            settings.attach(timeout=DEADLINE)
            seen = threading.Event()
            settings.subscribe(lambda old, new: seen.set())
            write(config, 2)
            event = settings.reload(timeout=DEADLINE)
            return str(event.result), seen.wait(DEADLINE), received.empty(), settings.latest.number

        said = await asyncio.to_thread(said_in_child, in_child)
        assert said == str(("success", True, True, 2))
        assert await received.get() == (1, 2)
        assert await waiting == (1, 2)
        settings.unsubscribe(received_by)
        await changes.aclose()

    on_a_loop(main)
