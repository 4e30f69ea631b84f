"""The loop that follows a head: nothing is lost in an outage, and nothing is handed out twice."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest

from confcast.fleet import follower as module
from confcast.fleet.engines.engine import EngineError, Fault, Feed, Unreachable
from confcast.fleet.follower import Follower
from tests.support.engines.memory import MemoryEngine
from tests.support.waiting import DEADLINE, beside


class Host:
    """Follows, and notes what it is given."""

    def __init__(self, engine: MemoryEngine, verify: float = 60.0) -> None:
        self.heads: list[bytes | None] = []
        self.away: list[EngineError] = []
        self.takes = True
        self._changed = asyncio.Event()
        self.follower = Follower(engine.connect, self._take, self._note, verify=verify, first_pause=0.001)

    async def _take(self, feed: Feed, head: bytes | None) -> bool:
        self.heads.append(head)
        self._changed.set()
        return self.takes

    def _note(self, error: EngineError) -> None:
        self.away.append(error)
        self._changed.set()

    async def sent(self) -> None:
        """Reports go out after the read that a refresh waits for, so a third refresh comes after that of the second."""
        for _ in range(3):
            await self.follower.refresh()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE):
            while not holds():
                self._changed.clear()
                await self._changed.wait()


@contextlib.asynccontextmanager
async def following(engine: MemoryEngine, verify: float = 60.0) -> AsyncIterator[Host]:
    host = Host(engine, verify)
    async with beside(host.follower.run()):
        yield host
    assert engine.connections == 0


def test_it_subscribes_before_it_reads():
    async def main() -> None:
        engine = MemoryEngine()
        engine.head = b"1"
        async with following(engine) as host:
            await host.until(lambda: host.heads == [b"1"])
        assert engine.steps[:3] == ["connect", "subscribe", "head"]

    asyncio.run(main())


def test_a_hint_has_it_read_again_and_the_same_head_is_handed_out_once():
    async def main() -> None:
        engine = MemoryEngine()
        engine.head = b"1"
        async with following(engine) as host:
            await host.until(lambda: host.heads == [b"1"])
            engine.put(b"1")
            engine.put(b"2")
            await host.until(lambda: host.heads == [b"1", b"2"])
            engine.put(b"2")
            await host.follower.refresh()
            assert host.heads == [b"1", b"2"]

    asyncio.run(main())


def test_a_write_during_an_outage_is_seen_after_it():
    async def main() -> None:
        engine = MemoryEngine()
        engine.head = b"1"
        async with following(engine) as host:
            await host.until(lambda: host.heads == [b"1"])
            engine.down = Unreachable("down")
            engine.lose()
            await host.until(lambda: len(host.away) > 2)
            engine.head, engine.down = b"2", None
            await host.until(lambda: host.heads == [b"1", b"2"])

    asyncio.run(main())


def test_an_engine_that_lost_the_head_is_told_as_no_head():
    async def main() -> None:
        engine = MemoryEngine()
        engine.head = b"1"
        async with following(engine) as host:
            await host.until(lambda: host.heads == [b"1"])
            engine.put(None)
            await host.until(lambda: host.heads == [b"1", None])

    asyncio.run(main())


def test_a_deaf_connection_is_found_by_the_check(monkeypatch: pytest.MonkeyPatch):
    async def main() -> None:
        engine = MemoryEngine()
        engine.head = b"1"
        async with following(engine, verify=0.01) as host:
            await host.until(lambda: host.heads == [b"1"])
            engine.deaf = True
            engine.put(b"2")
            await host.until(lambda: host.heads == [b"1", b"2"])
            assert isinstance(host.away[0], Unreachable)

    asyncio.run(main())


def test_an_engine_that_says_nothing_is_given_up_after_a_deadline(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "PATIENCE", 0.01)

    async def main() -> None:
        engine = MemoryEngine()
        engine.silent = True
        async with following(engine) as host:
            await host.until(lambda: len(host.away) > 1)
            assert "within 0.01 s" in str(host.away[0])
            engine.silent, engine.head = False, b"1"
            await host.until(lambda: host.heads == [b"1"])

    asyncio.run(main())


def test_a_head_that_was_not_taken_is_handed_out_again_at_the_next_check():
    async def main() -> None:
        engine = MemoryEngine()
        engine.head = b"1"
        async with following(engine, verify=0.01) as host:
            host.takes = False
            await host.until(lambda: len(host.heads) > 2)
            host.takes = True
            await host.follower.refresh()
            count = len(host.heads)
            await host.follower.refresh()
            assert len(host.heads) == count

    asyncio.run(main())


def test_a_refresh_reads_what_was_written_without_a_hint_and_says_why_it_can_not():
    async def main() -> None:
        engine = MemoryEngine()
        engine.head = b"1"
        async with following(engine) as host:
            await host.until(lambda: host.heads == [b"1"])
            engine.head = b"2"
            await host.follower.refresh()
            assert host.heads == [b"1", b"2"]
            engine.down = Unreachable("down")
            with pytest.raises(Unreachable, match="down"):
                await host.follower.refresh()

    asyncio.run(main())


def test_a_report_is_sent_again_on_each_connection_and_one_that_is_refused_ends_nothing():
    async def main() -> None:
        engine = MemoryEngine()
        engine.head = b"1"
        async with following(engine) as host:
            host.follower.report("h", b"good")
            await host.sent()
            assert engine.reports["h"][0] == b"good"
            engine.reports.clear()
            engine.lose()
            await host.until(lambda: bool(host.away))
            await host.sent()
            assert engine.reports["h"][0] == b"good"

            def refuse(step: str) -> None:
                if step == "report":
                    raise Fault("no right to write reports")

            engine.on = refuse
            host.follower.report("h", b"other")
            await host.sent()
            assert len(host.away) == 1
            assert engine.connections == 1

    asyncio.run(main())


def test_the_pause_between_tries_doubles_and_is_bounded(monkeypatch: pytest.MonkeyPatch):
    pauses: list[float] = []

    async def main() -> None:
        engine = MemoryEngine()
        engine.down = Unreachable("down")
        host = Host(engine)
        host.follower.longest_pause = 0.02

        async def rest(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 10:
                await asyncio.Event().wait()

        monkeypatch.setattr(host.follower, "_rest", rest)
        async with beside(host.follower.run()):
            await host.until(lambda: len(host.away) == 10)

    asyncio.run(main())
    whole = [0.001, 0.002, 0.004, 0.008, 0.016, *[0.02] * 5]
    assert all(least / 2 <= pause <= least for pause, least in zip(pauses, whole, strict=True))
