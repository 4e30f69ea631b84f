"""Observers, without a process: which is called with what, in which order, and what an error does to the others."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Annotated, Any

import msgspec
import pytest

from confcast import Secret
from confcast.worker.connection.mask_text import masked
from confcast.worker.observers.dispatcher import Subscription
from confcast.worker.override import overridden
from confcast.worker.replica import Replica
from tests.support.observers import observers_of
from tests.support.settings import Settings
from tests.support.waiting import DEADLINE, eventually, in_thread


class Source:
    """What a replica is to its observers: a value that is swapped."""

    def __init__(self, value: int | None = None) -> None:
        self.value = value
        self.observers = observers_of(lambda: self.value)

    def swap(self, new: int) -> None:
        def take() -> None:
            self.value = new

        self.observers.swapped(take, self.value, new)

    def add(self, observer: Callable[[Any, Any], Any], select: Any = None, **options: Any) -> None:
        where = options.pop("executor", None)
        initial, on = options.pop("initial", False), options.pop("on", "commit")
        self.observers.add(partial(Subscription, observer, select, initial, on, where))


class Received:
    """An observer that keeps what it is called with."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[tuple[Any, Any]] = queue.SimpleQueue()

    def __call__(self, old: Any, new: Any) -> None:
        self._calls.put((old, new))

    def next(self) -> tuple[Any, Any]:
        return self._calls.get(timeout=DEADLINE)

    def all(self) -> list[tuple[Any, Any]]:
        return [self._calls.get() for _ in range(self._calls.qsize())]


def test_whoever_subscribes_while_it_changes_misses_nothing_and_gets_nothing_twice() -> None:
    source = Source(0)
    observers = [Received() for _ in range(60)]
    last = 400

    def swap_on() -> None:
        for number in range(1, last + 1):
            source.swap(number)

    swapping = in_thread(swap_on)
    for observer in observers:
        source.add(observer, initial=True)
    swapping()
    source.swap(last + 1)
    for observer in observers:
        calls = [observer.next()]
        while calls[-1][1] != last + 1:
            calls.append(observer.next())
        first = calls[0][1]
        assert calls[0][0] is None
        assert calls[1:] == [(number, number + 1) for number in range(first, last + 1)]
        assert observer.all() == []
    source.observers.close()


def test_what_was_given_as_the_first_value_is_not_given_again_as_a_change() -> None:
    """The call for the change to it may still wait, behind an observer that takes its time."""
    source, slow, begun, go_on = Source(1), Received(), threading.Event(), threading.Event()

    def takes_its_time(old: int, new: int) -> None:
        begun.set()
        assert go_on.wait(DEADLINE)
        slow(old, new)

    source.add(takes_its_time)
    source.swap(2)
    assert begun.wait(DEADLINE)
    source.swap(3)
    received = Received()
    source.add(received, initial=True)
    go_on.set()
    source.swap(4)
    assert [received.next(), received.next()] == [(None, 3), (3, 4)]
    assert [slow.next(), slow.next(), slow.next()] == [(1, 2), (2, 3), (3, 4)]
    source.observers.close()


def test_before_the_first_value_initial_waits_for_it_and_others_are_not_called_for_it() -> None:
    source = Source()
    told, plain, settled = Received(), Received(), Received()
    source.add(told, initial=True)
    source.add(plain)
    source.add(settled, on="settled")
    source.swap(1)
    source.swap(2)
    source.observers.settled(2)
    assert [told.next(), told.next()] == [(None, 1), (1, 2)]
    assert plain.next() == (1, 2)
    assert settled.next() == (1, 2)
    source.observers.close()


def test_the_first_change_waits_until_the_initial_call_is_over() -> None:
    source = Source(1)
    calls: list[Any] = []
    inside, go_on = threading.Event(), threading.Event()

    def observer(old: Any, new: Any) -> None:
        if old is None:
            inside.set()
            assert go_on.wait(DEADLINE)
        calls.append((old, new))

    subscribing = in_thread(lambda: source.add(observer, initial=True))
    assert inside.wait(DEADLINE)
    source.swap(2)
    go_on.set()
    subscribing()
    eventually(lambda: len(calls) == 2, "the change")
    assert calls == [(None, 1), (1, 2)]
    source.observers.close()


def test_an_initial_call_that_raises_is_counted_and_the_subscription_stands(caplog: pytest.LogCaptureFixture) -> None:
    source, received = Source(1), Received()

    def observer(old: Any, new: Any) -> None:
        if old is None:
            raise ValueError("not yet")
        received(old, new)

    source.add(observer, initial=True)
    assert source.observers.record.failures == 1
    source.swap(2)
    assert received.next() == (1, 2)
    source.observers.close()


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(1), asyncio.CancelledError()])
def test_whatever_an_observer_raises_the_others_are_called_for_ever(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    source, received = Source(1), Received()

    def raises(old: Any, new: Any) -> None:
        raise error

    source.add(raises)
    source.add(received)
    source.swap(2)
    source.swap(3)
    assert [received.next(), received.next()] == [(1, 2), (2, 3)]
    assert source.observers.record.failures == 2
    assert "raises raised" in caplog.text
    source.observers.close()


def test_one_that_raises_in_an_executor_or_on_a_loop_is_counted_too(caplog: pytest.LogCaptureFixture) -> None:
    source = Source(1)

    def raises(old: Any, new: Any) -> None:
        raise ValueError("no")

    async def raises_later(old: Any, new: Any) -> None:
        raise ValueError("no")

    async def serve() -> None:
        for observer in (raises, raises_later):
            source.add(observer, executor=asyncio.get_running_loop())
        source.swap(2)
        await asyncio.to_thread(eventually, lambda: source.observers.record.failures == 3, "the third failure")

    with ThreadPoolExecutor(1) as executor:
        source.add(raises, executor=executor)
        asyncio.run(asyncio.wait_for(serve(), DEADLINE))
    assert source.observers.record.failures == 3
    source.observers.close()


class Login(msgspec.Struct):
    password: Annotated[str, Secret]
    user: str = "u"


@pytest.mark.parametrize("how", ["thread", "initial", "executor", "loop", "task", "settled", "not complete"])
def test_a_secret_in_what_an_observer_raises_is_masked_in_the_log(how: str, caplog: pytest.LogCaptureFixture) -> None:
    def raises(old: str, new: str) -> None:
        raise KeyError(f"from {old} to {new} with user-name")

    async def raises_later(old: str, new: str) -> None:
        raises(old, new)

    source = Source(Login("first-secret"))
    source.observers = observers_of(lambda: source.value, partial(masked, Login))
    new = Login("other-secret")
    if how == "not complete":
        del new.user
    times = 2 if how == "initial" else 1

    async def serve(executor: Any) -> None:
        source.add(
            raises_later if how == "task" else raises,
            lambda login: login.password,
            initial=how == "initial",
            on="settled" if how == "settled" else "commit",
            executor=asyncio.get_running_loop() if how in ("loop", "task") else executor if how == "executor" else None,
        )
        source.swap(new)
        source.observers.settled(new)
        await asyncio.to_thread(
            eventually, lambda: caplog.text.count(" raised; the") >= times, "the failure in the log"
        )

    with ThreadPoolExecutor(1) as executor:
        asyncio.run(asyncio.wait_for(serve(executor), DEADLINE))
    source.observers.close()
    assert caplog.text.count(" raised; the configuration is applied all the same") == times
    assert "-secret" not in caplog.text
    assert ("with user-name" in caplog.text) is (how != "not complete")
    assert all(record.exc_info is None for record in caplog.records)


def test_an_executor_that_takes_no_more_work_is_counted_and_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    source, received = Source(1), Received()
    executor = ThreadPoolExecutor(1)
    executor.shutdown()
    source.add(Received(), executor=executor)
    source.add(received)
    source.swap(2)
    assert received.next() == (1, 2)
    assert source.observers.record.failures == 1
    source.observers.close()


def test_a_selected_part_may_be_none_and_counts_as_any_other_value() -> None:
    source, received = Source(1), Received()
    parts = {1: None, 2: None, 3: "c", 4: None}
    source.add(received, parts.get)
    for number in (2, 3, 4):
        source.swap(number)
    assert [received.next(), received.next()] == [(None, "c"), ("c", None)]
    assert received.all() == []
    source.observers.close()


def test_a_part_of_another_type_has_changed_though_it_is_equal() -> None:
    source, received = Source(1), Received()
    source.add(received, {1: 1, 2: True, 3: 1.0}.get)
    source.swap(2)
    source.swap(3)
    assert [(type(old), type(new)) for old, new in (received.next(), received.next())] == [(int, bool), (bool, float)]
    source.observers.close()


def test_a_settled_observer_is_called_with_the_last_settled_value_as_the_old_one() -> None:
    source, received = Source(), Received()
    source.swap(1)
    source.add(received, on="settled")
    source.swap(2)
    source.swap(3)
    source.observers.settled(3)
    source.swap(4)
    source.observers.settled(4)
    assert [received.next(), received.next()] == [(1, 3), (3, 4)]
    source.observers.close()


def test_settlings_are_followed_as_long_as_somebody_waits_for_them() -> None:
    source, plain, received = Source(1), Received(), Received()
    assert not source.observers.follow_settlings()
    source.add(plain)
    assert not source.observers.follow_settlings()
    source.add(received, on="settled")
    assert source.observers.follow_settlings()
    source.observers.remove(received)
    assert not source.observers.follow_settlings()


def test_subscribed_between_commit_and_settling_it_is_called_for_the_settling_once_and_as_a_change() -> None:
    source, plain, initial = Source(), Received(), Received()
    source.swap(1)
    source.swap(2)
    source.add(plain, on="settled")
    source.add(initial, on="settled", initial=True)
    source.observers.settled(2)
    source.swap(3)
    source.observers.settled(3)
    assert [plain.next(), plain.next()] == [(1, 2), (2, 3)]
    assert [initial.next(), initial.next(), initial.next()] == [(None, 1), (1, 2), (2, 3)]
    source.observers.close()


def test_what_was_queued_before_a_close_is_delivered_before_what_comes_after_it() -> None:
    source = Source(1)
    calls: list[Any] = []
    inside, go_on = threading.Event(), threading.Event()

    def slow(old: Any, new: Any) -> None:
        if new == 2:
            inside.set()
            assert go_on.wait(DEADLINE)
        calls.append(new)

    source.add(slow)
    for number in (2, 3, 4):
        source.swap(number)
    assert inside.wait(DEADLINE)
    source.observers.close()
    for number in (5, 6):
        source.swap(number)
    go_on.set()
    eventually(lambda: len(calls) == 5, "all five")
    assert calls == [2, 3, 4, 5, 6]
    source.observers.close()


def test_one_that_an_earlier_observer_ended_is_not_called_any_more() -> None:
    source, ended, last = Source(1), Received(), Received()
    source.add(lambda old, new: source.observers.remove(ended))
    source.add(ended)
    source.add(last)
    source.swap(2)
    assert last.next() == (1, 2)
    assert ended.all() == []
    source.observers.close()


def test_subscriptions_are_counted_as_often_as_they_were_made_and_without_an_owner() -> None:
    replica, observer = Replica(Settings, name="counted"), Received()
    assert replica.get_observer_count() == 0
    replica.subscribe(observer)
    replica.subscribe(observer, select=lambda config: config.number)
    assert replica.get_observer_count() == 2
    replica.unsubscribe(observer)
    assert replica.get_observer_count() == 1


def test_a_finalizer_that_unsubscribes_while_a_swap_is_made_is_no_deadlock() -> None:
    source, received = Source(1), Received()
    source.add(received)
    in_thread(lambda: source.observers.swapped(lambda: source.observers.remove(received), 1, 2))()
    source.swap(3)
    assert received.all() == []
    source.observers.close()


def test_without_a_thread_to_be_had_the_swap_counts_and_observers_are_called_with_the_next(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    source, received = Source(1), Received()
    source.add(received)

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        source.swap(2)
    assert source.value == 2
    assert "can't start new thread" in caplog.text
    source.swap(3)
    assert [received.next(), received.next()] == [(1, 2), (2, 3)]
    source.observers.close()


def test_no_thread_begins_while_there_is_no_observer_to_call() -> None:
    before = set(threading.enumerate())  # that of a test before may be on its way out
    source = Source(1)
    source.swap(2)
    source.observers.settled(2)
    assert set(threading.enumerate()) <= before


def test_an_object_that_is_called_goes_by_its_class_and_never_shows_its_arguments() -> None:
    def name_of(observer: Any) -> str:
        return observers_of(lambda: None).add(partial(Subscription, observer, None, False, "commit", None)).name

    assert name_of(Received()) == "Received"
    assert name_of(partial(Source.swap, "s3cret")) == "Source.swap"


# ---- what `subscribe` refuses, since it would be noticed at the first change only, or never


async def _coroutine(old: Any, new: Any) -> None:
    """An observer for a loop."""


class _NoLoop:
    """Never asked."""


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"observer": Settings(number=1, twin=1)}, TypeError, "a Settings can't be called"),
        ({"observer": print, "select": 5}, TypeError, "a int can't be called"),
        ({"observer": print, "on": "comit"}, ValueError, "'commit' or 'settled'"),
        ({"observer": print, "executor": "loop"}, TypeError, "not a str"),
        ({"observer": _coroutine}, TypeError, "needs loop=…"),
        ({"observer": print, "loop": "loop"}, TypeError, "loop is an event loop, not a str"),
        ({"observer": print, "loop": _NoLoop(), "executor": _NoLoop()}, TypeError, "both given"),
    ],
)
def test_a_subscription_that_could_not_work_is_refused(arguments: dict[str, Any], error: type, words: str) -> None:
    replica = Replica(Settings, name="refusing")
    with pytest.raises(error, match=words):
        replica.subscribe(**arguments)
    assert not replica.unsubscribe(arguments["observer"])


def test_an_override_s_value_is_the_one_that_settled_observers_begin_with() -> None:
    replica, received = Replica(Settings, name="overridden"), Received()
    one, two = Settings(number=1, twin=1), Settings(number=2, twin=2)
    with overridden(replica, one) as fake:
        replica.subscribe(received, on="settled", initial=True)
        fake.push(two)
    assert received.all() == [(None, one), (one, two)]
