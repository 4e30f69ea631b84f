"""The loop that follows a head, through faults at each of its steps. With virtual time: nothing here waits."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from confcast.fleet.engines.engine import PATIENCE, EngineError, Fault, Feed, Unreachable
from confcast.fleet.follower import FIRST_PAUSE, LONGEST_PAUSE, VERIFY, Follower
from confcast.fleet.reports import BEAT, SEEN_WITHIN
from tests.support.engines.memory import MemoryEngine, MemoryStore
from tests.support.virtual_time import run
from tests.support.waiting import beside


class Host:
    """Follows an engine, and notes when it was given what."""

    def __init__(self, engine: MemoryEngine) -> None:
        self.engine = engine
        self.heads: list[bytes | None] = []
        self.away: list[EngineError] = []
        self.same = 0
        self.taking: Callable[[bytes | None], Any] = lambda head: True
        self.follower = Follower(engine.connect, self._take, self.away.append, same=self._same)

    async def _take(self, feed: Feed, head: bytes | None) -> bool:
        self.heads.append(head)
        taken = self.taking(head)
        return bool(await taken if asyncio.iscoroutine(taken) else taken)

    def _same(self) -> None:
        self.same += 1

    def times(self, step: str) -> int:
        return self.engine.steps.count(step)


def now() -> float:
    return asyncio.get_running_loop().time()


@contextlib.asynccontextmanager
async def following(engine: MemoryEngine) -> AsyncIterator[Host]:
    host = Host(engine)
    async with beside(host.follower.run()):
        yield host
    assert engine.connections == 0


@pytest.fixture
def engine() -> MemoryEngine:
    found = MemoryEngine()
    found.head = b"1"
    return found


def fails(engine: MemoryEngine, step: str, error: BaseException | None, times: int = 10**9) -> None:
    """Have this step fail so often; None: without an end."""
    left = itertools.count(times, -1)

    def on(name: str) -> None:
        if name == step:
            if next(left) > 0:
                engine.silent = error is None
                if error is not None:
                    raise error
            else:
                engine.silent = False
        elif engine.silent:
            engine.silent = False

    engine.on = on


# ---- each step refused, and without an answer


@pytest.mark.parametrize("step", ["connect", "subscribe", "head"])
@pytest.mark.parametrize("error", [Unreachable("away"), Fault("no right"), ConnectionResetError("reset"), EOFError()])
def test_a_step_that_fails_is_tried_again_until_it_does_not(engine: MemoryEngine, step: str, error: Exception):
    async def main() -> None:
        fails(engine, step, error, 5)
        async with following(engine) as host:
            await asyncio.sleep(10.0)
            assert host.heads == [b"1"]
            assert len(host.away) == 5
            assert all(isinstance(each, Fault if isinstance(error, Fault) else Unreachable) for each in host.away)
            assert sum(host.follower.failures.values()) == 5
            assert engine.connections == 1

    run(main())


@pytest.mark.parametrize("step", ["connect", "subscribe", "head"])
def test_a_step_without_an_answer_is_given_up_after_a_deadline(engine: MemoryEngine, step: str):
    async def main() -> None:
        fails(engine, step, None, 1)
        async with following(engine) as host:
            await asyncio.sleep(PATIENCE - 0.1)
            assert (host.heads, host.away) == ([], [])
            await asyncio.sleep(0.1 + FIRST_PAUSE + 0.1)
            assert host.heads == [b"1"]
            assert f"within {PATIENCE:g} s" in str(host.away[0])

    run(main())


def test_an_engine_that_never_answers_is_tried_with_the_longest_pause(engine: MemoryEngine):
    async def main() -> None:
        engine.silent = True
        async with following(engine) as host:
            await asyncio.sleep(100 * (PATIENCE + LONGEST_PAUSE))
            assert 100 <= host.times("connect") <= 100 * (PATIENCE + LONGEST_PAUSE) / (PATIENCE + LONGEST_PAUSE / 2) + 2

    run(main())


def test_a_check_without_an_answer_is_a_loss(engine: MemoryEngine):
    async def main() -> None:
        async with following(engine) as host:
            await asyncio.sleep(1.0)
            fails(engine, "verify", None, 1)
            engine.head = b"2"
            await asyncio.sleep(VERIFY + PATIENCE + 1.0)
            assert host.heads == [b"1", b"2"]
            assert len(host.away) == 1
            assert host.times("connect") == 2

    run(main())


def test_a_refused_subscription_reads_nothing(engine: MemoryEngine):
    async def main() -> None:
        fails(engine, "subscribe", Fault("no right to subscribe"))
        async with following(engine) as host:
            await asyncio.sleep(60.0)
            assert host.times("head") == 0
            assert {str(error) for error in host.away} == {"no right to subscribe"}
            assert 60.0 / LONGEST_PAUSE <= len(host.away) <= 60.0 / (LONGEST_PAUSE / 2) + 10

    run(main())


def test_a_close_without_an_end_is_given_up(engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch):
    async def hangs(store: MemoryStore) -> None:
        engine._stores.discard(store)
        await asyncio.Event().wait()

    monkeypatch.setattr(MemoryStore, "close", hangs)

    async def main() -> None:
        async with following(engine) as host:
            await asyncio.sleep(1.0)
            engine.lose()
            await asyncio.sleep(1.0 + FIRST_PAUSE + 0.1)
            assert host.times("connect") == 2

    run(main())


# ---- losses


def test_a_loss_while_the_head_is_read_has_it_read_again(engine: MemoryEngine):
    async def main() -> None:
        async with following(engine) as host:
            await asyncio.sleep(1.0)

            def lose_once(step: str) -> None:
                if step == "head":
                    engine.on = lambda step: None
                    engine.lose()
                    engine.head = b"3"

            engine.on = lose_once
            engine.put(b"2")
            await asyncio.sleep(1.0)
            assert host.heads[-1] == b"3"
            assert len(host.away) == 1

    run(main())


@pytest.mark.parametrize("error", [asyncio.CancelledError(), ValueError("a bug"), EOFError(), Fault("rights changed")])
def test_hints_that_end_are_a_loss(engine: MemoryEngine, error: BaseException, monkeypatch: pytest.MonkeyPatch):
    """A library may end what waits for it with a cancellation of its own."""
    ended = asyncio.Event()
    plain = MemoryStore.hint

    async def hint(store: MemoryStore) -> None:
        if not ended.is_set():
            await asyncio.sleep(1.0)
            ended.set()
            raise error
        await plain(store)

    monkeypatch.setattr(MemoryStore, "hint", hint)

    async def main() -> None:
        async with following(engine) as host:
            await asyncio.sleep(1.5)
            engine.put(b"2")
            await asyncio.sleep(0.1)
            assert host.heads == [b"1", b"2"]
            assert host.times("connect") == 2

    run(main())


def test_an_engine_that_takes_and_drops_each_connection_is_not_run_down(engine: MemoryEngine):
    def drop_soon(step: str) -> None:
        if step == "head":
            asyncio.get_running_loop().call_later(0.2, engine.lose)

    async def main() -> None:
        engine.on = drop_soon
        async with following(engine) as host:
            await asyncio.sleep(60.0)
            assert host.heads == [b"1"]
            assert host.times("connect") <= 60.0 / (LONGEST_PAUSE / 2) + 10

    run(main())


def test_a_connection_that_lasted_is_made_again_without_a_long_pause(engine: MemoryEngine):
    async def main() -> None:
        async with following(engine) as host:
            await asyncio.sleep(1.0)
            engine.down = Unreachable("down")
            engine.lose()
            await asyncio.sleep(60.0)
            engine.down = None
            await asyncio.sleep(60.0)
            assert host.heads == [b"1"]
            assert host.same >= 1
            engine.lose()
            engine.head = b"2"
            await asyncio.sleep(FIRST_PAUSE + 0.01)
            assert host.heads == [b"1", b"2"]

    run(main())


def test_pauses_of_hosts_that_lost_one_engine_differ(engine: MemoryEngine):
    async def main() -> None:
        engine.down = Unreachable("down")
        moments: list[float] = []
        engine.on = lambda step: moments.append(now())
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(50):
                await stack.enter_async_context(following(engine))
            await asyncio.sleep(30.0)
        late = [moment for moment in moments if moment > 5.0]
        assert len({round(moment, 3) for moment in late}) > 0.9 * len(late)

    run(main())


def test_a_head_may_ask_for_longer_pauses(engine: MemoryEngine):
    async def main() -> None:
        async with following(engine) as host:
            await asyncio.sleep(1.0)
            host.follower.longest_pause = 60.0
            engine.down = Unreachable("down")
            engine.lose()
            await asyncio.sleep(3600.0)
            assert 3600.0 / 60.0 <= len(host.away) <= 3600.0 / 30.0 + 15

    run(main())


# ---- what is handed out


def test_what_is_not_taken_is_handed_out_again_and_what_is_taken_is_not(engine: MemoryEngine):
    async def main() -> None:
        async with following(engine) as host:
            host.taking = lambda head: False
            await asyncio.sleep(10 * VERIFY)
            assert 10 <= len(host.heads) <= 13
            host.taking = lambda head: True
            await asyncio.sleep(VERIFY)
            count = len(host.heads)
            await asyncio.sleep(10 * VERIFY)
            assert len(host.heads) == count
            assert host.away == []

    run(main())


@pytest.mark.parametrize("error", [Unreachable("the payload is away"), ValueError("a bug")])
def test_what_ends_a_take_ends_the_connection_and_the_head_comes_again(
    engine: MemoryEngine, error: Exception, caplog: pytest.LogCaptureFixture
):
    def once(head: bytes | None) -> bool:
        host.taking = lambda head: True
        raise error

    host: Host

    async def main() -> None:
        nonlocal host
        async with following(engine) as host:
            host.taking = once
            await asyncio.sleep(1.0)
            assert host.heads == [b"1", b"1"]
            assert len(host.away) == 1

    run(main())
    assert bool(caplog.records) == isinstance(error, ValueError)


def test_heads_that_come_during_a_take_are_the_newest_one(engine: MemoryEngine):
    async def slowly(head: bytes | None) -> bool:
        await asyncio.sleep(1.0)
        return True

    async def main() -> None:
        async with following(engine) as host:
            host.taking = slowly
            for number in range(2, 102):
                await asyncio.sleep(0.01)
                engine.put(b"%d" % number)
            await asyncio.sleep(5.0)
            assert host.heads[-1] == b"101"
            assert len(host.heads) <= 4

    run(main())


def test_a_head_that_came_while_an_older_one_was_on_its_way_is_read_at_once(engine: MemoryEngine):
    async def main() -> None:
        async with following(engine) as host:
            await asyncio.sleep(1.0)
            engine.slow = 0.5
            engine.put(b"2")
            await asyncio.sleep(0.1)
            engine.put(b"3")
            await asyncio.sleep(1.5)
            assert host.heads == [b"1", b"2", b"3"]

    run(main())


def test_a_hint_is_one_read(engine: MemoryEngine):
    async def main() -> None:
        async with following(engine) as host:
            await asyncio.sleep(1.0)
            engine.put(b"2")
            await asyncio.sleep(1.0)
            reads = host.times("head")
            for number in range(5):
                host.follower.report("h", b"%d" % number)
                await asyncio.sleep(0.1)
            assert host.times("head") == reads

    run(main())


def test_a_head_that_came_and_went_before_it_was_read_is_not_handed_out(engine: MemoryEngine):
    async def main() -> None:
        async with following(engine) as host:
            await asyncio.sleep(1.0)
            for _ in range(100):
                engine.put(b"2")
                engine.put(b"1")
            await asyncio.sleep(1.0)
            assert host.heads == [b"1"]
            assert host.times("head") <= 3

    run(main())


def test_a_head_that_comes_and_goes_is_handed_out_each_time(engine: MemoryEngine):
    async def main() -> None:
        async with following(engine) as host:
            for number in range(20):
                await asyncio.sleep(0.1)
                engine.put(b"%d" % (number % 2))
            await asyncio.sleep(0.1)
            assert host.heads == [b"1", *(b"%d" % (number % 2) for number in range(20))]

    run(main())


def test_equal_heads_are_read_and_not_handed_out(engine: MemoryEngine):
    async def main() -> None:
        async with following(engine) as host:
            for _ in range(50):
                await asyncio.sleep(0.1)
                engine.put(b"1")
            engine.lose()
            await asyncio.sleep(1.0)
            assert host.heads == [b"1"]
            assert host.same >= 50

    run(main())


# ---- refresh


def test_a_refresh_interrupts_a_long_pause(engine: MemoryEngine):
    async def main() -> None:
        async with following(engine) as host:
            await asyncio.sleep(1.0)
            host.follower.longest_pause = 300.0
            engine.down = Unreachable("down")
            engine.lose()
            await asyncio.sleep(3600.0)
            engine.down, engine.head = None, b"2"
            began = now()
            await host.follower.refresh()
            assert now() - began < 0.1
            assert host.heads == [b"1", b"2"]

    run(main())


def test_a_refresh_that_fails_says_why_and_the_next_try_comes_in_time(engine: MemoryEngine):
    async def main() -> None:
        async with following(engine) as host:
            engine.down = Unreachable("down")
            engine.lose()
            for _ in range(3):
                with pytest.raises(Unreachable, match="down"):
                    await host.follower.refresh()
            engine.down = None
            await asyncio.sleep(LONGEST_PAUSE)
            assert host.heads == [b"1"]

    run(main())


def test_a_refresh_that_was_given_up_does_not_keep_the_follower_busy(engine: MemoryEngine):
    async def main() -> None:
        async with following(engine) as host:
            await asyncio.sleep(1.0)
            engine.down = Unreachable("down")
            engine.lose()
            await asyncio.sleep(30.0)
            before = host.times("connect")
            asking = asyncio.create_task(host.follower.refresh())
            await asyncio.sleep(0)
            asking.cancel()
            await asyncio.wait({asking})
            await asyncio.sleep(30.0)
            assert host.times("connect") - before <= 31
            engine.down = None
            await host.follower.refresh()

    run(main())


def test_each_refresh_is_answered_by_a_read_that_began_after_it(engine: MemoryEngine):
    async def main() -> None:
        async with following(engine) as host:
            await asyncio.sleep(1.0)

            async def ask(number: int) -> None:
                engine.head = b"%d" % number
                await host.follower.refresh()
                assert int(host.heads[-1] or b"0") >= number

            engine.slow = 0.01
            asking = []
            for number in range(2, 30):
                asking.append(asyncio.create_task(ask(number)))
                await asyncio.sleep(0.004)
            await asyncio.gather(*asking)
            assert host.times("head") < 25

    run(main())


# ---- reports


def test_a_report_comes_with_a_new_connection_and_does_not_wait_for_a_hint(engine: MemoryEngine):
    async def main() -> None:
        async with following(engine) as host:
            host.follower.report("h", b"good")
            await asyncio.sleep(60.0)
            engine.reports.clear()
            engine.lose()
            await asyncio.sleep(1.0)
            assert engine.reports["h"][0] == b"good"

    run(main())


@pytest.mark.parametrize("error", [None, Unreachable("away"), OSError("reset")])
def test_a_report_that_is_not_taken_is_sent_again_on_the_next_connection(engine: MemoryEngine, error: Exception | None):
    async def main() -> None:
        async with following(engine) as host:
            await asyncio.sleep(1.0)
            fails(engine, "report", error, 1)
            host.follower.report("h", b"good")
            await asyncio.sleep(PATIENCE + 1.0)
            assert engine.reports["h"][0] == b"good"
            assert (len(host.away), host.heads) == (1, [b"1"])

    run(main())


def test_a_report_without_the_right_to_it_is_logged_once_and_tried_on(
    engine: MemoryEngine, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.WARNING)

    async def main() -> None:
        fails(engine, "report", Fault("no right to report"))
        async with following(engine) as host:
            host.follower.report("h", b"good")
            await asyncio.sleep(3600.0)
            assert host.away == []
            assert len(caplog.records) == 1
            engine.on = lambda step: None
            await asyncio.sleep(2 * BEAT)
            assert engine.reports["h"][0] == b"good"

    run(main())


def test_a_report_that_is_replaced_while_it_is_sent_is_sent_too(engine: MemoryEngine):
    async def main() -> None:
        async with following(engine) as host:
            await asyncio.sleep(1.0)

            def replace(step: str) -> None:
                if step == "report":
                    engine.on = lambda step: None
                    host.follower.report("h", b"newer")

            engine.on = replace
            host.follower.report("h", b"older")
            await asyncio.sleep(1.0)
            assert engine.reports["h"][0] == b"newer"

    run(main())


def test_a_quiet_hour_has_a_check_each_thirty_seconds_and_a_beat_that_keeps_the_host_seen(engine: MemoryEngine):
    beats: list[float] = []

    async def main() -> None:
        async with following(engine) as host:
            host.follower.report("h", b"good")
            engine.on = lambda step: beats.append(now()) if step == "report" else None
            await asyncio.sleep(3600.0)
            assert host.times("head") <= 2
            assert 3600.0 / VERIFY <= host.times("verify") <= 3600.0 / (0.9 * VERIFY) + 1

    run(main())
    gaps = [later - earlier for earlier, later in itertools.pairwise(beats)]
    assert max(gaps) < SEEN_WITHIN / 1.5
    assert min(gaps[1:]) > BEAT / 2


# ---- the end


def test_it_may_be_cancelled_at_any_moment(engine: MemoryEngine):
    async def main() -> None:
        for turns in range(80):
            engine.on = lambda step: (
                asyncio.get_running_loop().call_soon(engine.lose) and None if step == "report" else None
            )
            async with following(engine) as host:
                host.follower.report("h", b"good")
                for turn in range(turns):
                    await asyncio.sleep(0 if turn % 7 else 0.01)
                engine.put(b"%d" % turns)

    run(main())


# ---- any of these, in any order

_moments = st.sampled_from([0.0, 0.001, 0.04, 1.0, 7.0, 40.0])
_heads = st.sampled_from([b"1", b"2", b"3", None])
_events = st.one_of(
    st.tuples(st.just("put"), _heads),
    st.tuples(st.just("head"), _heads),  # as after a restore, or by an engine that lost it
    st.tuples(st.just("hint"), st.none()),
    st.tuples(st.just("slow"), st.sampled_from([0.0, 0.001, 3.0])),
    st.tuples(st.just("lose"), st.none()),
    st.tuples(st.just("down"), st.booleans()),
    st.tuples(st.just("deaf"), st.booleans()),
    st.tuples(st.just("silent"), st.booleans()),
    st.tuples(st.just("fail"), st.sampled_from(["connect", "subscribe", "head", "verify", "report", "take"])),
    st.tuples(st.just("refresh"), st.none()),
    st.tuples(st.just("report"), st.sampled_from([b"applied", b"good"])),
)


def happen(host: Host, what: str, value: Any) -> None:
    """Do one of these events."""
    engine = host.engine
    match what:
        case "put":
            engine.put(value)
        case "hint":
            engine.put(engine.head)
        case "lose":
            engine.lose()
        case "down":
            engine.down = Unreachable("down") if value else None
            if value:
                engine.lose()
        case "head" | "deaf" | "silent" | "slow":
            setattr(engine, what, value)
        case "fail":
            fails(engine, value, Unreachable("once"), 1)
            host.taking = lambda head: value != "take"
        case "report":
            host.follower.report("h", value)


def mended(host: Host) -> None:
    """From now on nothing fails."""
    engine = host.engine
    engine.down, engine.silent, engine.deaf, engine.slow = None, False, False, 0.0
    engine.on = lambda step: None
    host.taking = lambda head: True


@settings(max_examples=150, deadline=None)
@given(events=st.lists(st.tuples(_events, _moments), max_size=25), turns=st.integers(0, 5))
def test_whatever_happens_the_last_head_is_handed_out_and_the_last_report_sent(events: list[Any], turns: int):
    engine = MemoryEngine()

    reported = [value for (what, value), _ in events if what == "report"]
    may_repeat = any(what == "fail" for (what, _), _ in events)

    async def main() -> None:
        refreshes = []
        async with following(engine) as host:
            for (what, value), moment in events:
                if what == "refresh":
                    refreshes.append(asyncio.create_task(host.follower.refresh()))
                happen(host, what, value)
                await asyncio.sleep(moment)
                for _ in range(turns):
                    await asyncio.sleep(0)
            mended(host)
            await asyncio.sleep(LONGEST_PAUSE + 2 * PATIENCE + 2 * VERIFY)
            assert host.heads[-1] == engine.head
            assert engine.connections == 1
            assert [engine.reports["h"][0]] == reported[-1:] if reported else not engine.reports
            assert all(each.done() for each in refreshes)
            await asyncio.gather(*refreshes, return_exceptions=True)
            assert may_repeat or all(one != other for one, other in itertools.pairwise(host.heads))

    run(main())
