"""One follower for all who listen: what it tells whom, of an owner that is there, gone, back, or another one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from confcast.admin.calls import Calls
from confcast.admin.following import Following
from confcast.admin.limits import Limits
from confcast.admin.owners import Owner, Owners, Which
from confcast.admin.problems import ProblemError
from confcast.admin.streams import HEARTBEAT, Stream
from confcast.errors import OwnerUnavailable
from confcast.wire.messages import ReloadEvent, ReloadResult
from confcast.worker.client import status_data


class Client:
    """An owner: its version, its events, and whether it lives."""

    def __init__(self) -> None:
        self.version, self.events, self.lives, self.knows_news = 1, [event(1)], True, True
        self.looks = 0
        self._told = 0
        self.address, self.name = "/a", "app"

    def changes(self) -> None:
        """One more version."""
        self.version += 1
        self.events.insert(0, event(self.version))

    def _alive(self) -> None:
        if not self.lives:
            raise OwnerUnavailable("gone")

    def news(self, after: str, seconds: float) -> str:
        self._alive()
        if not self.knows_news:
            raise OwnerUnavailable("no news")
        return str(self.version)

    def answers(self, seconds: float) -> bool:
        return self.lives

    def get_event_history(self, limit: int | None = None) -> list[ReloadEvent]:
        self._alive()
        return self.events[:limit]


class Found(Owners):
    """Finds the one owner by the ids that a test says."""

    def __init__(self, client: Client) -> None:
        super().__init__(Which(), Calls(8))
        self.client, self.ids, self.address = client, {"app"}, "/a"

    async def find(self, wanted: str | None) -> Owner:
        if wanted not in self.ids:
            raise ProblemError(404, "no_such_owner", "none")
        return _Owner("app", "app", self.address, 7).of(self.client)


class _Owner(Owner):
    """One whose client is the test's."""

    def of(self, client: Client) -> Owner:
        self.__class__.client = lambda self, actor="": client  # type: ignore[assignment,method-assign,misc]
        return self


def event(version: int) -> ReloadEvent:
    return ReloadEvent(timestamp=float(version), result=ReloadResult.SUCCESS, version=version)


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pauses, and with a status that is the version."""
    for name in ("_PAUSE", "_AWAY", "_LONGEST_AWAY", "_EARLIER_BUILD"):
        monkeypatch.setattr(f"confcast.admin.following.{name}", 0.001)

    def asked(client: Any) -> status_data.Known:
        client._alive()
        client.looks += 1
        return status_data.Known({"version": client.version}, None, [], None, "")

    monkeypatch.setattr(status_data, "asked", asked)
    monkeypatch.setattr(status_data, "of", lambda client, stats, *_: dict(stats))


async def heard(stream: Stream, *kinds: str) -> tuple[str, Any]:
    """The next frame of one of these kinds."""
    async with asyncio.timeout(20.0):
        while True:
            fields = dict(
                line.split(": ", 1) for line in (await stream.next(20.0)).decode().splitlines() if ": " in line
            )
            if fields.get("event") in kinds:
                return fields["event"], json.loads(fields["data"])


def run(test: Callable[[Client, Found, Following], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        client = Client()
        owners = Found(client)
        following = Following("app", owners, Calls(8), Limits(news=0.01))
        await test(client, owners, following)

    asyncio.run(main())


def test_a_change_is_told_to_all_and_an_owner_is_asked_once() -> None:
    async def test(client: Client, owners: Found, following: Following) -> None:
        streams = [await following.join("") for _ in range(3)]
        for each in streams:
            assert await heard(each, "hello") == ("hello", {"version": 1})
        looks = client.looks
        client.changes()
        for each in streams:
            assert (await heard(each, "reload"))[1]["version"] == 2
            assert await heard(each, "status") == ("status", {"version": 2})
        assert client.looks - looks < 3
        for each in streams:
            following.leave(each)

    run(test)


def test_nobody_is_asked_once_nobody_listens() -> None:
    async def test(client: Client, owners: Found, following: Following) -> None:
        following.leave(await following.join(""))
        looks = client.looks
        client.changes()
        await asyncio.sleep(0.05)
        assert client.looks == looks
        again = await following.join("")
        assert await heard(again, "hello", "reload") == ("hello", {"version": 2})
        following.leave(again)

    run(test)


def test_an_owner_that_is_gone_is_told_once_and_so_is_its_return() -> None:
    async def test(client: Client, owners: Found, following: Following) -> None:
        stream = await following.join("")
        await heard(stream, "hello")
        client.lives = False
        assert await heard(stream, "owner", "status") == ("owner", {"state": "gone"})
        late = await following.join("")
        assert await heard(late, "owner", "hello") == ("owner", {"state": "gone"})
        client.version, client.lives = 5, True
        for each in (stream, late):
            assert await heard(each, "owner", "status") == ("owner", {"state": "back"})
            assert await heard(each, "owner", "status") == ("status", {"version": 5})
            following.leave(each)

    run(test)


def test_an_owner_that_tells_no_news_is_looked_at_and_not_said_to_be_gone() -> None:
    async def test(client: Client, owners: Found, following: Following) -> None:
        client.knows_news = False
        stream = await following.join("")
        await heard(stream, "hello")
        client.changes()
        assert (await heard(stream, "reload", "owner"))[0] == "reload"
        following.leave(stream)

    run(test)


def test_it_stays_with_its_owner_when_another_of_that_name_comes() -> None:
    async def test(client: Client, owners: Found, following: Following) -> None:
        stream = await following.join("")
        await heard(stream, "hello")
        owners.ids = {"app.7", "app.8"}
        client.changes()
        assert (await heard(stream, "reload", "owner"))[0] == "reload"
        following.leave(stream)

    run(test)


def test_who_comes_back_gets_what_came_after_the_event_that_it_has() -> None:
    async def test(client: Client, owners: Found, following: Following) -> None:
        client.changes()
        client.changes()
        stream = await following.join("1000000")
        assert (await heard(stream, "reload", "gap"))[1]["version"] == 2
        assert (await heard(stream, "reload", "gap"))[1]["version"] == 3
        unknown = await following.join("17")
        assert (await heard(unknown, "reload", "gap"))[0] == "gap"
        for each in (stream, unknown):
            following.leave(each)

    run(test)


def test_a_status_that_is_the_same_is_not_told_again() -> None:
    async def test(client: Client, owners: Found, following: Following) -> None:
        client.knows_news = False
        stream = await following.join("")
        await heard(stream, "hello")
        looks = client.looks
        while client.looks < looks + 3:
            await asyncio.sleep(0.001)
        assert await stream.next(0.0) == HEARTBEAT
        following.leave(stream)

    run(test)
