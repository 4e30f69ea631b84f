"""What an owner receives about a process's observers: each failure, and, once it asks, each step until all have run."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Annotated, Any

import msgspec
import pytest

from confcast import Secret
from confcast.wire.messages import Observed, ObserverError
from confcast.worker.connection.mask_text import masked
from confcast.worker.observers.delivery import Pair
from confcast.worker.observers.dispatcher import Subscription
from confcast.worker.observers.record import ObserverRecord, Run
from tests.support.observers import observers_of
from tests.support.waiting import DEADLINE, eventually


class Login(msgspec.Struct):
    password: Annotated[str, Secret]
    user: str = "u"


class Source:
    """What a replica is to its observers, and what its owner receives."""

    def __init__(self) -> None:
        self.value = Login("first-secret")
        self.observers = observers_of(lambda: self.value, partial(masked, Login))
        self.told: queue.SimpleQueue[Observed] = queue.SimpleQueue()
        self.observers.record.report_to(self.told.put)

    def add(self, observer: Any, *, on: Any = "commit", where: Any = None, initial: bool = False) -> None:
        self.observers.add(partial(Subscription, observer, None, initial, on, where))

    def swap(self, password: str = "other-secret") -> None:
        old, self.value = self.value, Login(password)
        self.observers.swapped(lambda: None, old, self.value)

    def ask(self, number: int = 1) -> None:
        self.observers.record.ask(number)

    def next(self) -> Observed:
        return self.told.get(timeout=DEADLINE)

    def done(self) -> Observed:
        """The report that nothing is waited for any more."""
        while (told := self.next()).waits_for or not told.number:
            pass
        return told


@pytest.fixture
def source() -> Iterator[Source]:
    source = Source()
    yield source
    source.observers.close()


def subscribed() -> Subscription:
    """Of observers that are of no matter here."""
    return observers_of(lambda: None).add(partial(Subscription, lambda old, new: None, None, False, "commit", None))


def begin(record: ObserverRecord, run: Run, subscriptions: list[Subscription]) -> None:
    """A version has come, whose observers are about to be called."""
    record.next_version()
    record.begin(run, subscriptions)


def raises(old: Login, new: Login) -> None:
    raise ValueError(f"can't use {new.password} of {new.user}")


def passes(old: Login, new: Login) -> None: ...


TEXT = "ValueError: can't use ********** of u"


def test_a_failure_is_reported_unasked_without_a_secret(source: Source) -> None:
    source.add(raises)
    source.swap()
    error = ObserverError(0, "raises", TEXT, 1)
    assert source.next() == Observed(0, 1, f"raises: {TEXT}", (error,), ("raises",))
    eventually(lambda: not source.observers.record._newest[-1].owed, "the end of the call")  # else both are reported
    source.swap("third-secret")
    assert source.next() == Observed(0, 2, f"raises: {TEXT}", (error,), ("raises",)), "of the newest version only"
    assert source.observers.record.failures == 2


def test_what_succeeds_is_reported_to_nobody_who_has_not_asked(source: Source) -> None:
    source.add(passes)
    source.swap()
    source.ask()
    assert source.done() == Observed(1)
    source.swap()
    source.swap()
    source.ask(2)
    assert source.done().number == 2
    assert source.told.empty()


def test_to_who_asks_it_is_reported_at_each_step_who_still_runs(source: Source) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(old: Login, new: Login) -> None:
        begun.set()
        assert go_on.wait(DEADLINE)

    source.add(slow)
    source.add(raises)
    source.add(passes, on="settled")
    source.swap()
    source.observers.settled(source.value)
    assert begun.wait(DEADLINE)
    source.ask()
    assert source.next() == Observed(1, waits_for=(slow.__qualname__, "raises", "passes"))
    go_on.set()
    assert source.next() == Observed(1, waits_for=("raises", "passes"))
    failed = {"failures": 1, "last_error": f"raises: {TEXT}", "errors": (ObserverError(0, "raises", TEXT, 1),)}
    assert source.next() == Observed(1, waits_for=("raises", "passes"), **failed)
    steps = [source.next()]
    while steps[-1].waits_for:
        steps.append(source.next())
    assert [step.waits_for for step in steps if step.waits_for] == [("passes",)] * (len(steps) - 1)
    assert steps[-1] == Observed(1, waits_for=(), **failed)


def test_who_has_unsubscribed_is_waited_for_no_more(source: Source) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(old: Login, new: Login) -> None:
        begun.set()
        assert go_on.wait(DEADLINE)
        assert source.observers.remove(passes)

    source.add(slow)
    source.add(passes)
    source.swap()
    assert begun.wait(DEADLINE)
    source.ask()
    assert source.next().waits_for == (slow.__qualname__, "passes")
    go_on.set()
    assert source.done().waits_for == ()


@pytest.mark.parametrize("where", ["loop", "task", "executor"])
def test_what_runs_on_a_loop_or_in_an_executor_has_run_when_it_is_over(source: Source, where: str) -> None:
    go_on = threading.Event()

    def waits(old: Login, new: Login) -> None:
        assert go_on.wait(DEADLINE)
        raises(old, new)

    async def waits_on_the_loop(old: Login, new: Login) -> None:
        await asyncio.to_thread(waits, old, new)

    async def serve(executor: Any) -> tuple[Observed, Observed]:
        loop = asyncio.get_running_loop()
        observer = raises if where == "loop" else waits_on_the_loop if where == "task" else waits
        source.add(observer, where=executor if where == "executor" else loop)
        source.swap()
        source.ask()
        first = source.next()  # a loop that is held up here has not begun
        go_on.set()
        return first, await asyncio.to_thread(source.done)

    with ThreadPoolExecutor(1) as executor:
        first, last = asyncio.run(asyncio.wait_for(serve(executor), DEADLINE))
    assert first.waits_for
    assert (last.failures, [error.error for error in last.errors]) == (1, [TEXT])


def test_a_loop_that_is_closed_is_a_failure_and_holds_nobody(source: Source) -> None:
    loop = asyncio.new_event_loop()
    source.add(passes, where=loop)
    loop.close()
    source.swap()
    source.ask()
    told = source.done()
    assert told.failures == 1
    assert told.last_error == "passes: the event loop that it was to be called on is closed"


def test_an_executor_that_drops_its_work_holds_nobody(source: Source) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def holds() -> None:
        begun.set()
        assert go_on.wait(DEADLINE)

    executor = ThreadPoolExecutor(1)
    executor.submit(holds)
    assert begun.wait(DEADLINE)
    source.add(passes, where=executor)
    source.swap()
    source.ask()
    assert source.next().waits_for == ("passes",)
    while executor._work_queue.empty():
        threading.Event().wait(0.001)
    executor.shutdown(wait=False, cancel_futures=True)
    go_on.set()
    assert source.done() == Observed(1)


def test_an_initial_call_that_fails_is_counted_and_of_no_version(source: Source) -> None:
    source.add(raises, initial=True)
    assert source.next() == Observed(0, 1, f"raises: {TEXT}")


def test_a_failure_before_there_was_an_owner_is_told_to_the_first(source: Source) -> None:
    observers = observers_of(lambda: source.value)
    observers.add(partial(Subscription, raises, None, True, "commit", None))
    observers.record.report_to(source.told.put)
    assert source.next().failures == 1


def test_of_many_failures_some_are_reported_and_all_are_counted(source: Source) -> None:
    def fails(number: int, old: Login, new: Login) -> None:
        raise ValueError("x" * 5000 + str(number))

    for number in range(30):
        source.add(partial(fails, number))
    source.swap()
    source.ask()
    told = source.done()
    assert told.failures == 30
    assert len(told.errors) <= 20
    assert max(len(error.error) for error in told.errors) <= 2000


def test_a_forked_child_begins_without_failures(source: Source) -> None:
    source.add(raises)
    source.swap()
    source.next()
    source.observers.close()
    source.observers.after_fork()
    assert source.observers.record.failures == 0


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_an_error_without_a_text_goes_by_its_class(source: Source) -> None:
    def observer(old: Login, new: Login) -> None:
        raise Unspeakable

    source.add(observer)
    source.swap()
    assert source.next().errors[0].error == "Unspeakable"


def test_what_is_recorded_has_the_lock_of_the_observers() -> None:
    """With two, one thread could hold each: the collector may run under either, and a finalizer unsubscribe."""
    observers = Source().observers
    assert observers.record._lock is observers._lock
    observers.after_fork()
    assert observers.record._lock is observers._lock


def test_a_failure_is_told_though_the_next_version_came_while_the_observer_ran() -> None:
    """Whoever waits for the first version's observers hears of it."""
    record, told = observers_of(lambda: None).record, list[Observed]()
    record.report_to(told.append)
    observer = subscribed()
    first, second = (Run(number, "commit", Pair(number, number + 1)) for number in (1, 2))
    begin(record, first, [observer])
    record.ask(1)
    begin(record, second, [observer])

    record.failed(observer, "no room", first)
    record.is_over(observer, first)

    assert (told[-1].number, told[-1].waits_for) == (1, ())
    assert [(error.error, error.count) for error in told[-1].errors] == [("no room", 1)]
    record.is_over(observer, second)
    assert len(told) == 3, "nobody has asked about the second version"


def test_of_each_version_it_is_reported_to_whoever_has_asked_about_it() -> None:
    """An observer that never ends holds no later caller, and what it did before is no failure of a later version."""
    record, told = observers_of(lambda: None).record, list[Observed]()
    record.report_to(told.append)
    stuck, quick = (subscribed() for _ in range(2))
    first, second = (Run(number, "commit", Pair(number, number + 1)) for number in (1, 2))
    begin(record, first, [stuck])
    record.ask(1)
    begin(record, second, [quick])
    record.ask(3)
    assert [(each.number, each.since, len(each.waits_for)) for each in told] == [(1, 0, 1), (3, 1, 1)]

    record.failed(stuck, "no room", first)
    record.is_over(quick, second)

    assert [(each.number, each.since, len(each.waits_for), len(each.errors)) for each in told[2:]] == [
        (1, 0, 1, 1),
        (3, 1, 0, 0),
    ]
    record.is_over(stuck, first)
    assert (told[-1].number, told[-1].waits_for, len(told[-1].errors)) == (1, (), 1)


def test_of_a_version_that_nobody_asked_about_nothing_is_told_to_who_asks_later() -> None:
    record, told = observers_of(lambda: None).record, list[Observed]()
    record.report_to(told.append)
    observer = subscribed()
    first, second = (Run(number, "commit", Pair(number, number + 1)) for number in (1, 2))
    begin(record, first, [observer])
    record.failed(observer, "no room", first)
    begin(record, second, [])
    record.ask(1)

    assert told[-1] == Observed(1, 1, told[-1].last_error)


def test_questions_about_versions_that_are_never_over_do_not_pile_up() -> None:
    record = observers_of(lambda: None).record
    stuck = subscribed()
    for number in range(1, 100):
        begin(record, Run(number, "commit", Pair(number, number + 1)), [stuck])
        record.ask(number)
    assert len(record._asked) < 10
