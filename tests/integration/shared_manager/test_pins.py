"""G2: one request, one version; in threads and in tasks. And readers, who never see half a change or a step back."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from pathlib import Path

import pytest

from confcast import Replica
from tests.support.fixtures import Manager, StartWorker
from tests.support.settings import Settings, write


def test_what_is_pinned_stays_while_the_newest_moves(settings: Replica[Settings], change) -> None:
    version = settings.version
    with settings.pin() as config:
        change(2)
        assert settings.current is settings.snapshot.config is config
        assert (config.number, settings.version) == (1, version)
        assert settings.latest.number == 2

    assert (settings.current.number, settings.version) == (2, version + 1)


def test_a_pin_inside_a_pin_gives_the_same_version_and_its_end_does_not_end_the_outer_one(
    settings: Replica[Settings], change
) -> None:
    with settings.pin() as outer:
        change(2)
        with settings.pin() as inner:
            assert inner is outer
        change(3)
        assert settings.current is outer
    assert settings.current.number == 3


def test_a_reload_inside_a_pin_moves_the_newest_and_not_the_pinned(settings: Replica[Settings], config: Path) -> None:
    with settings.pin():
        write(config, 2)
        assert settings.reload()
        assert (settings.current.number, settings.latest.number) == (1, 2)


def test_a_manager_reads_inside_the_pin_of_its_replica(manager: Manager, settings: Replica[Settings], change) -> None:
    with settings.pin():
        change(2)
        assert (manager.current.number, manager.version) == (1, settings.version)
    assert (manager.current.number, manager.version) == (2, settings.version)


def test_a_pin_that_ends_by_an_exception_is_over(settings: Replica[Settings], change) -> None:
    change_and_fail = [lambda: change(2), lambda: 1 // 0]
    with pytest.raises(ZeroDivisionError), settings.pin():
        _ = [step() for step in change_and_fail]

    assert settings.current.number == 2


def test_a_pin_is_for_one_use(settings: Replica[Settings]) -> None:
    pin = settings.pin()
    with pin, pytest.raises(RuntimeError, match=r"call pin\(\) again"):
        pin.__enter__()
    with pytest.raises(RuntimeError, match=r"call pin\(\) again"):
        pin.__enter__()


def test_each_thread_has_a_pin_of_its_own(settings: Replica[Settings], change) -> None:
    pinned, changed = threading.Event(), threading.Event()
    seen: list[tuple[int, int]] = []

    def request() -> None:
        with settings.pin():
            pinned.set()
            assert changed.wait(20)
            seen.append((settings.current.number, settings.latest.number))

    thread = threading.Thread(target=request)
    thread.start()
    assert pinned.wait(20)
    change(2)
    with settings.pin() as config:
        assert config.number == 2
        changed.set()
        thread.join()

    assert seen == [(1, 2)]


def test_a_thread_that_a_request_starts_sees_the_newest(settings: Replica[Settings], change) -> None:
    seen: list[int] = []
    with settings.pin():
        change(2)
        thread = threading.Thread(target=lambda: seen.append(settings.current.number))
        thread.start()
        thread.join()

    assert seen == [2]


async def _in_executor(function, *arguments):
    return await asyncio.get_running_loop().run_in_executor(None, function, *arguments)


def test_a_task_keeps_its_version_across_awaits_while_new_tasks_get_the_newest(
    settings: Replica[Settings], change
) -> None:
    async def request(pinned: asyncio.Event, go_on: asyncio.Event) -> list[int]:
        with settings.pin():
            seen = [settings.current.number]
            pinned.set()
            await go_on.wait()
            seen.append(settings.current.number)
            async with asyncio.TaskGroup() as group:  # part of the request, so it inherits the pin
                part = group.create_task(_current_after_a_turn())
            return [*seen, part.result()]

    async def _current_after_a_turn() -> int:
        await asyncio.sleep(0)
        return settings.current.number

    async def main() -> tuple[list[int], list[int]]:
        pinned, go_on, already = asyncio.Event(), asyncio.Event(), asyncio.Event()
        already.set()
        old = asyncio.create_task(request(pinned, go_on))
        await pinned.wait()
        await _in_executor(change, 2)
        new = await asyncio.create_task(request(asyncio.Event(), already))
        go_on.set()
        return await old, new

    assert asyncio.run(main()) == ([1, 1, 1], [2, 2, 2])


def test_a_task_that_outlives_its_request_reads_the_newest(settings: Replica[Settings], change) -> None:
    async def background(asked: asyncio.Event, seen: list[int]) -> None:
        seen.append(settings.current.number)
        await asked.wait()
        seen.append(settings.current.number)

    async def main() -> list[int]:
        asked, seen = asyncio.Event(), []
        with settings.pin():
            await _in_executor(change, 2)
            task = asyncio.create_task(background(asked, seen))
            await asyncio.sleep(0)
        asked.set()
        await task
        return seen

    assert asyncio.run(main()) == [1, 2]


def test_an_executor_sees_the_newest_unless_the_configuration_is_passed(settings: Replica[Settings], change) -> None:
    async def main() -> tuple[int, int]:
        with settings.pin() as config:
            await _in_executor(change, 2)
            newest = await _in_executor(lambda: settings.current.number)
            passed = await _in_executor(lambda given: given.number, config)
            return newest, passed

    assert asyncio.run(main()) == (2, 1)


def test_a_pin_may_be_closed_in_another_context(settings: Replica[Settings], change) -> None:
    request, teardown = contextvars.copy_context(), contextvars.copy_context()
    pin = settings.pin()
    request.run(pin.__enter__)
    change(2)
    assert request.run(lambda: settings.current.number) == 1

    teardown.run(pin.__exit__, None, None, None)

    assert request.run(lambda: settings.current.number) == 2


def test_readers_in_threads_never_see_half_a_change_nor_a_step_back(
    manager: Manager, start_worker: StartWorker, config: Path
) -> None:
    worker = start_worker(manager)
    worker.ask("begin_reading", 3)
    for number in range(2, 12):
        write(config, number)
        assert manager.reload()

    assert worker.ask("end_reading") == []
    assert worker.ask("read") == (manager.get_stats()["version"], 11)
