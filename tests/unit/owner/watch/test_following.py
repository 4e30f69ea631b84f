"""What a `follow()` may do, and what the owner then does: it goes on following, ends in time, and leaves nothing."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import re
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Annotated, Any

import msgspec
import pytest

from confcast.config.schema.kinds import Secret
from confcast.config.sources.following import MOST_OUTCOMES, Host, Outcome
from confcast.owner.watch import following as module
from confcast.owner.watch.following import Following
from tests.support.waiting import DEADLINE, eventually

Follow = Callable[[Host], Awaitable[None]]


class Source:
    """Follows as a test says, and counts how often that began."""

    def __init__(self, follow: Follow) -> None:
        self._follow = follow
        self.hosts: list[Host] = []

    async def follow(self, host: Host) -> None:
        self.hosts.append(host)
        await self._follow(host)


@pytest.fixture
def follow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., tuple[Following, Source]]]:
    """Begins to follow a source that does this."""
    monkeypatch.setattr(module, "_FIRST_PAUSE", 0.001)
    monkeypatch.setattr(module, "_LONGEST_PAUSE", 0.01)
    found: list[Following] = []

    def begin(how: Follow, source: Any = None) -> tuple[Following, Source]:
        source = source or Source(how)
        following = Following({-1: source}, lambda key: Host("web-00000000", "web", {}, None, lambda: None))
        found.append(following)
        following.start()
        return following, source

    yield begin
    for each in found:
        each.close()
        assert each._thread is None or not each._thread.is_alive()


async def for_ever(host: Host) -> None:
    await asyncio.Event().wait()


def has_begun(source: Source, times: int) -> bool:
    return len(source.hosts) == times


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "confcast.watch"]


def test_it_has_begun_when_the_start_returns(follow: Any) -> None:
    _, source = follow(for_ever)
    assert len(source.hosts) == 1


def test_without_a_source_there_is_no_thread() -> None:
    following = Following({}, lambda key: pytest.fail("nobody follows"))
    before = threading.active_count()
    following.start()
    following.pause(on=True)
    assert following.rests()
    following.close()
    assert threading.active_count() == before


@pytest.mark.parametrize("error", [ValueError("broken"), SystemExit("leaves"), KeyboardInterrupt("broken off")])
def test_what_fails_is_said_once_and_begun_anew(
    follow: Any, caplog: pytest.LogCaptureFixture, error: BaseException
) -> None:
    async def fail(host: Host) -> None:
        raise error

    following, source = follow(fail)
    eventually(lambda: len(source.hosts) > 3, "it is begun anew")
    (text,) = logged(caplog)
    assert text.startswith("the follow() of a Source failed, and is begun anew\n")
    assert f"{type(error).__name__}: {error}" in text
    assert following.failures >= 3


def test_what_returns_is_said_once_and_begun_anew(follow: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def leave(host: Host) -> None:
        pass

    _, source = follow(leave)
    eventually(lambda: len(source.hosts) > 3, "it is begun anew")
    assert logged(caplog) == [
        "the follow() of a Source has returned, and is begun anew: it must go on until it is cancelled"
    ]


def test_a_follow_that_is_no_coroutine_is_said(follow: Any, caplog: pytest.LogCaptureFixture) -> None:
    class Plain:
        def follow(self, host: Host) -> None:
            pass

    follow(for_ever, Plain())
    eventually(lambda: logged(caplog), "it is said")
    assert re.search("TypeError: .*NoneType.* can't be (used in 'await' expression|awaited)", logged(caplog)[0])


class Quoting(msgspec.Struct, frozen=True):
    """A source whose errors quote its password, in the follow itself and in a task that it makes."""

    password: Annotated[str, Secret]

    async def follow(self, host: Host) -> None:
        async def stray() -> None:
            raise ValueError(f"wrong password {self.password}")

        task = asyncio.create_task(stray())
        await asyncio.sleep(0)
        del task
        raise ValueError(f"wrong password {self.password}")


def test_secrets_of_a_source_are_in_no_log(follow: Any, caplog: pytest.LogCaptureFixture) -> None:
    follow(for_ever, Quoting("hunter2"))

    def strays() -> list[str]:
        return [each for each in logged(caplog) if "a task that a source's follow() has made failed" in each]

    eventually(strays, "the stray task's failure")
    assert "hunter2" not in caplog.text
    assert "wrong password" in strays()[0]


def test_a_task_that_exits_does_not_end_the_following(follow: Any, caplog: pytest.LogCaptureFixture) -> None:
    """asyncio ends the loop's run for a SystemExit of a task."""

    async def with_a_task(host: Host) -> None:
        async def leave() -> None:
            raise SystemExit(3)

        task = asyncio.create_task(leave())
        with contextlib.suppress(SystemExit):
            await task
        await host.outcomes.get()
        raise ValueError("heard")

    following, source = follow(with_a_task)
    eventually(lambda: "SystemExit: 3" in caplog.text, "the exit is said")
    following.tell(-1, Outcome(b"x", "good"))
    eventually(lambda: len(source.hosts) > 1, "it goes on")


def test_one_that_cancels_itself_is_begun_anew(follow: Any) -> None:
    async def cancel(host: Host) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(1)

    _, source = follow(cancel)
    eventually(lambda: len(source.hosts) > 3, "it is begun anew")


def test_one_that_swallows_cancellations_is_cancelled_again(follow: Any) -> None:
    swallowed: list[int] = []

    async def swallow(host: Host) -> None:
        while len(swallowed) < 3:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                swallowed.append(1)

    following, source = follow(swallow)
    following.close()
    assert (len(swallowed), len(source.hosts)) == (3, 1)


def test_what_it_leaves_running_is_ended_in_a_pause(follow: Any) -> None:
    ended = threading.Event()

    async def stray() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    tasks: list[asyncio.Task[None]] = []

    async def leave_one(host: Host) -> None:
        tasks.append(asyncio.create_task(stray()))
        await for_ever(host)

    following, _ = follow(leave_one)
    following.pause(on=True)
    assert ended.wait(DEADLINE)


def test_one_that_blocks_the_loop_holds_up_neither_start_nor_end(follow: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BEGIN_WITHIN", 0.05)
    gate = threading.Event()

    async def block(host: Host) -> None:
        gate.wait(DEADLINE)

    began = time.monotonic()
    following, source = follow(block)
    following.pause(on=True)
    assert not following.rests()
    for _ in range(10 * MOST_OUTCOMES):
        following.tell(-1, Outcome(b"x", "good"))
    assert len(following._told) <= 4 * MOST_OUTCOMES
    following.close()
    assert time.monotonic() - began < DEADLINE / 2  # and it blocks for all of it
    gate.set()
    eventually(lambda: not following._thread.is_alive(), "the thread's end")
    assert len(source.hosts) == 1


def test_in_a_pause_nothing_follows_and_afterwards_it_begins_anew(follow: Any) -> None:
    following, source = follow(for_ever)
    for times in range(2, 5):
        following.pause(on=True)
        eventually(following.rests, "it rests")
        following.pause(on=False)
        eventually(functools.partial(has_begun, source, times), "it follows again")
    following.pause(on=True)
    following.pause(on=False)
    eventually(lambda: not following.rests(), "it follows")


def test_a_paused_one_begins_with_the_end_of_the_pause() -> None:
    source = Source(for_ever)
    following = Following({-1: source}, lambda key: Host("web-00000000", "web", {}, None, lambda: None))
    following.pause(on=True)
    following.start()
    eventually(following.rests, "it rests")
    assert source.hosts == []
    following.pause(on=False)
    eventually(lambda: source.hosts, "it follows")
    following.close()


def test_outcomes_that_nobody_takes_are_bounded_and_the_newest_are_kept(follow: Any) -> None:
    following, source = follow(for_ever)
    for number in range(3 * MOST_OUTCOMES):
        following.tell(-1, Outcome(b"%d" % number, "good"))
    (host,) = source.hosts
    newest = b"%d" % (3 * MOST_OUTCOMES - 1)
    queue: Any = host.outcomes
    eventually(lambda: queue.full() and queue._queue[-1].fingerprint == newest, "the newest")
    assert host.outcomes.qsize() == MOST_OUTCOMES


def test_what_begins_anew_hears_the_last_outcome_first(follow: Any) -> None:
    heard: list[Outcome] = []

    async def hear(host: Host) -> None:
        heard.append(await host.outcomes.get())
        raise ValueError("again")

    following, _ = follow(hear)
    following.tell(-1, Outcome(b"x", "good"))
    eventually(lambda: len(heard) > 2, "it is said again")
    assert {each.fingerprint for each in heard} == {b"x"}


def test_pauses_between_failures_grow(follow: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LONGEST_PAUSE", 30.0)
    monkeypatch.setattr(module, "_FIRST_PAUSE", 0.02)
    times: list[float] = []

    async def fail(host: Host) -> None:
        times.append(time.monotonic())
        raise ValueError("broken")

    follow(fail)
    eventually(lambda: len(times) > 4, "five tries")
    assert times[4] - times[3] > 0.02 * 8 / 2 * 0.99
