"""Which observer is called with what, where and when: with a real owner, so that calls come from the real threads."""

from __future__ import annotations

import asyncio
import itertools
import logging
import queue
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from confcast import ReloadEvent, ReloadResult, Replica
from tests.support.fixtures import Manager, StartWorker
from tests.support.settings import Settings, write
from tests.support.waiting import DEADLINE, eventually, in_thread


class Received(queue.SimpleQueue[tuple[Any, Any]]):
    """An observer that keeps what it is called with."""

    def __call__(self, old: Any, new: Any) -> None:
        self.put((old.number if isinstance(old, Settings) else old, new.number if isinstance(new, Settings) else new))

    def next(self) -> tuple[Any, Any]:
        return self.get(timeout=DEADLINE)


def test_observers_are_called_in_the_order_of_subscription_and_of_versions(settings: Replica[Settings], change) -> None:
    calls: queue.SimpleQueue[tuple[str, int, int]] = queue.SimpleQueue()
    for name in ("a", "b", "c"):
        settings.subscribe(lambda old, new, name=name: calls.put((name, old.number, new.number)))
    change(2)
    change(3)

    told = [calls.get(timeout=DEADLINE) for _ in range(6)]

    assert told == [("a", 1, 2), ("b", 1, 2), ("c", 1, 2), ("a", 2, 3), ("b", 2, 3), ("c", 2, 3)]


def test_the_newest_is_in_place_when_an_observer_is_called(settings: Replica[Settings], change) -> None:
    seen: queue.SimpleQueue[int] = queue.SimpleQueue()
    settings.subscribe(lambda old, new: seen.put(settings.latest.number))
    change(2)

    assert seen.get(timeout=DEADLINE) == 2


def test_select_narrows_both_and_calls_only_when_that_part_changed(settings: Replica[Settings], change) -> None:
    names, all_of_it = Received(), Received()
    settings.subscribe(names, select=lambda config: config.name)
    settings.subscribe(all_of_it)
    change(2)
    change(3, name="two")

    assert [all_of_it.next(), all_of_it.next()] == [(1, 2), (2, 3)]
    assert names.next() == ("one", "two")
    assert names.empty()


def test_initial_is_called_at_once_in_the_subscriber_s_thread(settings: Replica[Settings]) -> None:
    calls: list[tuple[Any, int, threading.Thread]] = []

    settings.subscribe(lambda old, new: calls.append((old, new.number, threading.current_thread())), initial=True)

    assert calls == [(None, 1, threading.current_thread())]


def test_who_subscribed_before_attaching_gets_the_first_value_only_with_initial(manager: Manager, change) -> None:
    replica = Replica(Settings, name="app")
    plain, initial = Received(), Received()
    replica.subscribe(plain)
    replica.subscribe(initial, initial=True)
    replica.attach()
    assert initial.next() == (None, 1)
    change(2)

    assert (plain.next(), initial.next()) == ((1, 2), (1, 2))
    replica.close()


def test_no_change_is_missed_or_doubled_between_the_initial_call_and_the_next(
    settings: Replica[Settings], change
) -> None:
    last = 25
    finished = in_thread(lambda: [change(number) for number in range(2, last + 1)])
    observers: list[list[tuple[int | None, int]]] = []
    while settings.latest.number < last:
        calls: list[tuple[int | None, int]] = []
        observers.append(calls)
        settings.subscribe(lambda old, new, calls=calls: calls.append((old and old.number, new.number)), initial=True)
        threading.Event().wait(0.001)
    finished()

    eventually(lambda: all(calls[-1][1] == last for calls in observers), "the last change at every observer")
    for calls in observers:
        assert calls[0][0] is None
        assert all(before[1] == after[0] for before, after in itertools.pairwise(calls)), calls


def test_on_settled_every_worker_has_it_when_the_observer_is_called(
    settings: Replica[Settings], start_worker: StartWorker, manager: Manager, change
) -> None:
    workers = [start_worker(manager) for _ in range(3)]
    seen: queue.SimpleQueue[tuple[int, int, list[Any]]] = queue.SimpleQueue()

    def ask_everyone(old: Settings, new: Settings) -> None:
        seen.put((old.number, new.number, [worker.ask("read")[1] for worker in workers]))

    settings.subscribe(ask_everyone, on="settled")
    change(2)
    assert seen.get(timeout=DEADLINE) == (1, 2, [2] * 3)
    change(3)
    assert seen.get(timeout=DEADLINE) == (2, 3, [3] * 3)


def test_an_observer_that_raises_is_logged_by_name_and_counted_and_stops_nobody(
    settings: Replica[Settings], change, caplog: pytest.LogCaptureFixture
) -> None:
    def resize_the_cache(old: Settings, new: Settings) -> None:
        raise ZeroDivisionError("no memory")

    received = Received()
    settings.subscribe(resize_the_cache)
    settings.subscribe(received)
    with caplog.at_level(logging.ERROR, "confcast.observers"):
        change(2)
        change(3)
        assert [received.next(), received.next()] == [(1, 2), (2, 3)]

    assert settings._observers.record.failures == 2
    assert [record.levelname for record in caplog.records] == ["ERROR"] * 2
    assert "resize_the_cache raised" in caplog.records[0].getMessage()


def test_an_unsubscribed_observer_is_not_called_any_more(settings: Replica[Settings], change) -> None:
    gone, stays = Received(), Received()
    settings.subscribe(gone)
    settings.subscribe(stays)
    assert settings.unsubscribe(gone) is True
    assert settings.unsubscribe(gone) is False
    change(2)

    assert stays.next() == (1, 2)
    assert gone.empty()


def test_an_observer_may_unsubscribe_itself(settings: Replica[Settings], change) -> None:
    calls: list[int] = []
    stays = Received()

    def once(old: Settings, new: Settings) -> None:
        calls.append(new.number)
        settings.unsubscribe(once)

    settings.subscribe(once)
    settings.subscribe(stays)
    change(2)
    change(3)

    assert [stays.next(), stays.next()] == [(1, 2), (2, 3)]
    assert calls == [2]


def test_an_observer_may_subscribe_another_which_is_called_at_the_next_change(
    settings: Replica[Settings], change
) -> None:
    late, initial, stays = Received(), Received(), Received()

    def once(old: Settings, new: Settings) -> None:
        settings.unsubscribe(once)
        settings.subscribe(late)
        settings.subscribe(initial, initial=True)

    settings.subscribe(once)
    settings.subscribe(stays)
    change(2)
    assert stays.next() == (1, 2)  # it is called after the one that subscribed
    change(3)

    assert stays.next() == (2, 3)
    assert late.next() == (2, 3)
    assert [initial.next(), initial.next()] == [(None, 2), (2, 3)]
    assert late.empty()


def test_an_observer_may_reload(settings: Replica[Settings], config: Path, change) -> None:
    results: queue.SimpleQueue[ReloadEvent] = queue.SimpleQueue()

    def once_more(old: Settings, new: Settings) -> None:
        if new.number == 2:
            write(config, 3)
            results.put(settings.reload())

    settings.subscribe(once_more)
    change(2)

    event = results.get(timeout=DEADLINE)
    assert (event.result, event.version) == (ReloadResult.SUCCESS, settings.version)
    assert settings.latest.number == 3


def test_a_slow_observer_holds_up_no_vote_and_misses_nothing(settings: Replica[Settings], change) -> None:
    go_on, received = threading.Event(), Received()

    def slow(old: Settings, new: Settings) -> None:
        assert go_on.wait(DEADLINE)
        received(old, new)

    settings.subscribe(slow)
    for number in (2, 3, 4):
        assert change(number).lagging == []
    go_on.set()

    assert [received.next() for _ in range(3)] == [(1, 2), (2, 3), (3, 4)]


def test_an_executor_calls_the_observer(settings: Replica[Settings], change) -> None:
    received: queue.SimpleQueue[tuple[int, str]] = queue.SimpleQueue()
    with ThreadPoolExecutor(1, thread_name_prefix="mine") as executor:
        settings.subscribe(
            lambda old, new: received.put((new.number, threading.current_thread().name)), executor=executor
        )
        change(2)
        number, thread = received.get(timeout=DEADLINE)

    assert number == 2
    assert thread.startswith("mine")


def test_a_loop_calls_functions_and_awaits_coroutine_functions(settings: Replica[Settings], change) -> None:
    async def main() -> list[tuple[str, int, int]]:
        loop, received = asyncio.get_running_loop(), asyncio.Queue()

        def plain(old: Settings, new: Settings) -> None:
            assert asyncio.get_running_loop() is loop
            received.put_nowait(("plain", old.number, new.number))

        async def awaited(old: Settings, new: Settings) -> None:
            await asyncio.sleep(0)
            await received.put(("awaited", old.number, new.number))

        settings.subscribe(plain, executor=loop)
        settings.subscribe(awaited, executor=loop)
        await loop.run_in_executor(None, change, 2)
        return [await asyncio.wait_for(received.get(), DEADLINE) for _ in range(2)]

    assert asyncio.run(main()) == [("plain", 1, 2), ("awaited", 1, 2)]


def test_after_closing_what_is_queued_is_still_delivered(settings: Replica[Settings], change) -> None:
    received = Received()
    settings.subscribe(received)
    change(2)
    settings.close()

    assert received.next() == (1, 2)


def test_an_observer_of_the_manager_is_one_of_its_replica(
    manager: Manager, settings: Replica[Settings], change
) -> None:
    received = Received()
    manager.subscribe(received, initial=True)
    change(2)

    assert [received.next(), received.next()] == [(None, 1), (1, 2)]
    assert settings.unsubscribe(received) is True


def test_workers_receive_every_version(manager: Manager, start_worker: StartWorker, change) -> None:
    worker = start_worker(manager)
    worker.ask("observe")
    for number in (2, 3, 4):
        change(number)

    assert worker.ask("observed", 3) == [(1, 2), (2, 3), (3, 4)]
