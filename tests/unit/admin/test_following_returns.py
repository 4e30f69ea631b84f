"""How an owner is followed: one of an earlier build, one that is gone when a client comes back, and faults in here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from confcast.admin import following
from confcast.admin.calls import Calls
from confcast.admin.following import Following, event_id
from confcast.admin.limits import Limits
from confcast.admin.streams import GAP, Stream
from confcast.errors import OwnerUnavailable
from confcast.wire.messages import ReloadEvent, ReloadResult


class Owner:
    """An owner, those who look for it, and its client."""

    address = "there"

    def __init__(self) -> None:
        self.events: list[ReloadEvent] = []
        self.is_gone = self.is_broken = self.is_old = False
        self.looks = self.asked_for_news = 0

    async def find(self, wanted: str) -> Owner:
        if self.is_broken:
            raise RuntimeError("a fault")
        return self

    def client(self) -> Owner:
        return self

    def news(self, after: str, seconds: float) -> str:
        self.asked_for_news += 1
        if self.is_old or self.is_gone:
            raise OwnerUnavailable("no news")
        return f"{len(self.events)}"

    def answers(self, seconds: float) -> bool:
        return not self.is_gone

    def get_event_history(self, limit: int) -> list[ReloadEvent]:
        return self.events[:limit]

    def add(self) -> str:
        """One more event; returns its id."""
        self.events.insert(0, ReloadEvent(timestamp=float(len(self.events)), result=ReloadResult.SUCCESS, version=1))
        return event_id(self.events[0])


@pytest.fixture
def owner(monkeypatch: pytest.MonkeyPatch) -> Owner:
    found = Owner()

    def status(client: Owner, query: Any) -> tuple[dict[str, Any], int]:
        found.looks += 1
        if found.is_gone:
            raise OwnerUnavailable("gone")
        return {"owner_pid": 7, "events": len(found.events)}, 1

    monkeypatch.setattr(following, "ask_status", status)
    for name in ("_PAUSE", "_AWAY", "_LONGEST_AWAY", "_EARLIER_BUILD"):
        monkeypatch.setattr(following, name, 0.001)
    return found


def followed(owner: Owner, run: Callable[[Following], Awaitable[None]]) -> None:
    async def within() -> None:
        found: Any = owner
        async with asyncio.timeout(20.0):
            await run(Following("app", found, Calls(8), Limits()))

    asyncio.run(within())


async def next_ids(stream: Stream, count: int) -> list[str]:
    """The ids of so many events that come next, `gap` for a gap."""
    found: list[str] = []
    while len(found) < count:
        frame = await stream.next(20.0)
        if frame == GAP:
            found.append("gap")
        elif frame.startswith(b"event: reload"):
            found.append(frame.split(b"\n")[1].removeprefix(b"id: ").decode())
    return found


async def until(kind: str, stream: Stream) -> None:
    while kind.encode() not in await stream.next(20.0):
        pass


def test_who_comes_back_while_the_owner_is_gone_has_each_event_once_when_it_is_back(owner: Owner) -> None:
    had = [owner.add() for _ in range(2)]

    async def run(follows: Following) -> None:
        listens = await follows.join("")
        await until("hello", listens)
        owner.is_gone = True
        await until('"gone"', listens)
        back = await follows.join(had[0])
        await until('"gone"', back)
        new = [owner.add() for _ in range(2)]
        owner.is_gone = False
        assert await next_ids(listens, 2) == new
        assert await next_ids(back, 3) == [had[1], *new]
        later = owner.add()
        assert await next_ids(listens, 1) == await next_ids(back, 1) == [later]
        for each in (listens, back):
            follows.leave(each)

    followed(owner, run)


def test_who_is_first_to_come_back_while_the_owner_is_gone_has_each_event_once(owner: Owner) -> None:
    had = [owner.add() for _ in range(3)]
    owner.is_gone = True

    async def run(follows: Following) -> None:
        back, unknown = await follows.join(had[0]), await follows.join("long ago")
        owner.is_gone = False
        assert await next_ids(back, 2) == had[1:]
        assert await next_ids(unknown, 1) == ["gap"]
        for each in (back, unknown):
            follows.leave(each)
        assert not follows._resume

    followed(owner, run)


def test_a_fault_in_here_is_logged_told_as_an_owner_that_is_gone_and_tried_again(
    owner: Owner, caplog: pytest.LogCaptureFixture
) -> None:
    async def run(follows: Following) -> None:
        stream = await follows.join("")
        await until("hello", stream)
        owner.is_broken = True
        owner.add()
        await until('"gone"', stream)
        owner.is_broken = False
        await until('"back"', stream)
        follows.leave(stream)

    followed(owner, run)
    assert "a fault" in caplog.text


def test_an_owner_of_an_earlier_build_is_looked_at_and_asked_for_news_once(owner: Owner) -> None:
    owner.is_old = True

    async def run(follows: Following) -> None:
        stream = await follows.join("")
        for _ in range(3):
            new = owner.add()
            assert await next_ids(stream, 1) == [new]
        seen = owner.looks
        while owner.looks < seen + 5:
            await asyncio.sleep(0.001)
        assert owner.asked_for_news == 1
        follows.leave(stream)

    followed(owner, run)
