"""`async for old, new in settings.changes()`: newest wins, nothing is missed, and nothing stays when it ends."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Iterator
from typing import Any

import pytest

from confcast import NotAttached, Replica
from confcast.worker.observers import changes
from confcast.worker.observers.delivery import Pair
from confcast.worker.override import Fake
from tests.support.settings import Settings, numbered
from tests.support.waiting import on_a_loop


@pytest.fixture
def replica() -> Replica[Settings]:
    return Replica(Settings, name="changing")


@pytest.fixture
def fake(replica: Replica[Settings]) -> Iterator[Fake[Settings]]:
    with replica.override(numbered(1)) as fake:
        yield fake


def subscribed(replica: Replica[Settings]) -> int:
    return len(replica._observers._subscriptions)


def number(config: Settings) -> int:
    return config.number


def test_each_change_is_given_with_what_was_seen_before(replica: Replica[Settings], fake: Fake[Settings]) -> None:
    async def main() -> list[Any]:
        seen = []
        async for old, new in replica.changes():
            seen.append((old.number, new.number))
            if new.number == 4:
                return seen
            fake.push(numbered(new.number + 1))
        raise AssertionError

    async def begin() -> list[Any]:
        changes = asyncio.ensure_future(main())
        await asyncio.sleep(0)
        fake.push(numbered(2))
        return await changes

    assert on_a_loop(begin) == [(1, 2), (2, 3), (3, 4)]


def test_an_iteration_is_no_observer(replica: Replica[Settings], fake: Fake[Settings]) -> None:
    async def main() -> tuple[int, int]:
        async with contextlib.aclosing(replica.changes(initial=True)) as changes:
            await anext(changes)
            return subscribed(replica), replica.get_observer_count()

    assert on_a_loop(main) == (1, 0)


def test_a_slow_reader_is_given_what_it_saw_last_and_the_newest(
    replica: Replica[Settings], fake: Fake[Settings]
) -> None:
    async def main() -> None:
        changes = replica.changes(number)
        fake.push(numbered(2))  # between the call and the first step: it is not missed
        assert await anext(changes) == (1, 2)
        for each in (3, 4, 5):
            fake.push(numbered(each))
        assert await anext(changes) == (2, 5)
        await changes.aclose()

    on_a_loop(main)


def test_what_is_back_is_no_change_and_neither_is_another_part(
    replica: Replica[Settings], fake: Fake[Settings]
) -> None:
    async def main() -> None:
        whole, names = replica.changes(), replica.changes(lambda config: config.name)
        pending = [asyncio.ensure_future(anext(each)) for each in (whole, names)]
        await asyncio.sleep(0)
        fake.push(numbered(2))
        fake.push(numbered(1))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not any(each.done() for each in pending)
        fake.push(numbered(3))
        assert (await pending[0])[1].number == 3
        fake.push(numbered(4, "two"))
        assert await pending[1] == ("one", "two")
        for each in (whole, names):
            await each.aclose()

    on_a_loop(main)


def test_initial_begins_with_the_value_and_then_its_changes(replica: Replica[Settings], fake: Fake[Settings]) -> None:
    async def main() -> None:
        changes = replica.changes(number, initial=True)
        fake.push(numbered(2))
        assert await anext(changes) == (None, 2)
        fake.push(numbered(3))
        assert await anext(changes) == (2, 3)
        await changes.aclose()

    on_a_loop(main)


@pytest.mark.parametrize("initial", [False, True])
def test_before_there_is_a_value_it_waits_for_the_first_which_is_no_change(
    replica: Replica[Settings], initial: bool
) -> None:
    async def main() -> None:
        changes = replica.changes(number, initial=initial)
        waiting = asyncio.ensure_future(anext(changes))
        await asyncio.sleep(0)
        told = asyncio.Event()
        replica.subscribe(lambda old, new: told.set(), initial=True, loop=asyncio.get_running_loop())
        with replica.override(numbered(1)) as fake:
            replica._observers.swapped(lambda: None, None, numbered(1))
            await told.wait()  # after the one that waits
            if initial:
                assert await waiting == (None, 1)
                waiting = asyncio.ensure_future(anext(changes))
            for _ in range(10):
                await asyncio.sleep(0)
            assert not waiting.done()
            fake.push(numbered(2))
            assert await waiting == (1, 2)
            await changes.aclose()
        replica._observers.close()

    on_a_loop(main)


def test_a_first_value_may_be_a_part_that_is_none(replica: Replica[Settings], fake: Fake[Settings]) -> None:
    async def main() -> None:
        changes = replica.changes(lambda config: {3: "c"}.get(config.number))
        fake.push(numbered(2))
        waiting = asyncio.ensure_future(anext(changes))
        await asyncio.sleep(0)
        assert not waiting.done()
        fake.push(numbered(3))
        assert await waiting == (None, "c")
        await changes.aclose()

    on_a_loop(main)


async def gone(replica: Replica[Settings]) -> None:
    """The loop ends what nobody refers to, soon after."""
    gc.collect()
    while subscribed(replica):
        await asyncio.sleep(0)


def test_closed_it_has_unsubscribed_and_dropped_it_will(replica: Replica[Settings], fake: Fake[Settings]) -> None:
    async def main() -> None:
        closed, dropped = replica.changes(), replica.changes()
        fake.push(numbered(2))
        await anext(closed)
        await anext(dropped)
        assert subscribed(replica) == 2
        await closed.aclose()
        assert subscribed(replica) == 1
        del dropped
        await gone(replica)

    on_a_loop(main)


@pytest.mark.parametrize("how", ["break", "cancel", "raise"])
def test_however_its_task_leaves_it_nothing_is_left(replica: Replica[Settings], fake: Fake[Settings], how: str) -> None:
    async def follow() -> None:
        async for _ in replica.changes():
            if how == "break":
                break
            if how == "raise":
                raise ValueError

    async def main() -> None:
        following = asyncio.ensure_future(follow())
        await asyncio.sleep(0)
        assert subscribed(replica) == 1
        if how == "cancel":
            following.cancel()
        else:
            fake.push(numbered(2))
        with contextlib.suppress(asyncio.CancelledError, ValueError):
            await following
        assert how != "cancel" or subscribed(replica) == 0  # at once
        del following
        await gone(replica)

    on_a_loop(main)


def test_one_that_never_began_has_subscribed_nowhere(replica: Replica[Settings], fake: Fake[Settings]) -> None:
    async def main() -> None:
        replica.changes()
        assert subscribed(replica) == 0

    on_a_loop(main)


def test_the_end_of_its_loop_ends_it(replica: Replica[Settings], fake: Fake[Settings]) -> None:
    kept = []

    async def main() -> None:
        changes = replica.changes()
        fake.push(numbered(2))
        await anext(changes)
        kept.append(changes)

    on_a_loop(main)
    assert subscribed(replica) == 0


def test_a_loop_that_is_closed_without_ending_it_is_found_at_the_next_change(
    replica: Replica[Settings], fake: Fake[Settings], caplog: pytest.LogCaptureFixture
) -> None:
    loop = asyncio.new_event_loop()
    changes = replica.changes()
    fake.push(numbered(2))
    loop.run_until_complete(anext(changes))
    loop.close()
    fake.push(numbered(3))
    fake.push(numbered(4))
    assert subscribed(replica) == 0
    assert replica._observers.record.failures == 1
    assert caplog.text.count("observer changes() is unsubscribed: the event loop") == 1
    with contextlib.suppress(StopIteration):  # its task can't be made any more: what is left is ended by hand
        changes.aclose().send(None)


def test_settled_waits_for_the_settling(replica: Replica[Settings], fake: Fake[Settings]) -> None:
    async def main() -> None:
        changes = replica.changes(number, on="settled")
        waiting = asyncio.ensure_future(anext(changes))
        await asyncio.sleep(0)
        new = numbered(2)
        replica._observers.swapped(lambda: fake.place(new), replica.latest, new)
        for _ in range(10):
            await asyncio.sleep(0)
        assert not waiting.done()
        replica._observers.settled(new)
        assert await waiting == (1, 2)
        await changes.aclose()
        replica._observers.close()

    on_a_loop(main)


def test_a_closed_replica_ends_it_after_the_last_change(replica: Replica[Settings], fake: Fake[Settings]) -> None:
    async def main() -> list[Any]:
        changes = replica.changes(number)
        fake.push(numbered(2))
        assert await anext(changes) == (1, 2)
        fake.push(numbered(3))
        replica._observers.replica_closed()
        return [each async for each in changes]

    assert on_a_loop(main) == [(2, 3)]
    assert subscribed(replica) == 0


def test_a_replica_that_is_closed_before_the_first_step_ends_it_too(
    replica: Replica[Settings], fake: Fake[Settings]
) -> None:
    async def main() -> list[Any]:
        changes = replica.changes(number)
        fake.push(numbered(2))
        replica._observers.replica_closed()
        return [each async for each in changes]

    assert on_a_loop(main) == [(1, 2)]
    assert subscribed(replica) == 0


def test_a_replica_that_is_closed_between_its_finding_and_the_first_look_ends_it_too(
    replica: Replica[Settings], fake: Fake[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    add = replica._observers.add

    def add_too_late(make: Any) -> Any:
        replica._observers.replica_closed()
        return add(make)

    monkeypatch.setattr(replica._observers, "add", add_too_late)

    async def main() -> list[Any]:
        nothing = Pair(None, None)
        find = changes.read(None, lambda: replica._observers, None, "commit", False, nothing, 0)
        return [each async for each in find]

    assert on_a_loop(main) == []


def test_nothing_waits_on_a_loop_but_one_wake_up(replica: Replica[Settings], fake: Fake[Settings]) -> None:
    class Counting:
        """The loop, with its calls counted."""

        def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
            self.calls = 0
            self._plain, self._loop = loop.call_soon_threadsafe, loop
            loop.call_soon_threadsafe = self  # type: ignore[method-assign]

        def __call__(self, *arguments: Any, **options: Any) -> Any:
            self.calls += 1
            return self._plain(*arguments, **options)

    async def main() -> int:
        changes = replica.changes(number)
        waiting = asyncio.ensure_future(anext(changes))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        counting = Counting(asyncio.get_running_loop())
        for each in range(2, 100):
            fake.push(numbered(each))
        assert await waiting == (1, 99)
        await changes.aclose()
        return counting.calls

    assert on_a_loop(main) == 1


def test_what_could_not_work_is_refused_at_the_call(replica: Replica[Settings]) -> None:
    with pytest.raises(TypeError, match="a int can't be called"):
        replica.changes(5)  # type: ignore[call-overload]
    with pytest.raises(ValueError, match="'commit' or 'settled'"):
        replica.changes(on="comit")  # type: ignore[call-overload]


def test_without_a_value_and_an_owner_nothing_is_read(replica: Replica[Settings]) -> None:
    """Waiting for a first value is no error; reading before it is one, as ever."""
    replica.changes()
    with pytest.raises(NotAttached):
        _ = replica.latest


@pytest.mark.parametrize("verb", ["areload", "aattach", "aclose", "changes"])
def test_where_neither_asyncio_nor_trio_runs_that_is_said(replica: Replica[Settings], verb: str) -> None:
    """And not that there is no running event loop."""
    with replica.override(numbered(1)):
        coroutine = replica.changes().__anext__() if verb == "changes" else getattr(replica, verb)()
        with pytest.raises(RuntimeError, match="neither asyncio nor trio runs this coroutine: await it there, or"):
            coroutine.send(None)
