"""Follows one owner while somebody listens: what has changed is told to all streams.

Guarantees. Nobody is asked while nobody listens. However many listen, an owner is asked once. An owner that is gone is
told once, and looked for until it is back; also one of a restarted server, which has another address. A client that
comes back while the owner is gone has what it missed once the owner is back. Whatever goes wrong in here is logged,
told as an owner that is gone, and tried again: no stream looks live that is not.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Collection
from functools import partial
from typing import Any

from confcast.admin.calls import Calls
from confcast.admin.limits import Limits
from confcast.admin.owners import Owner, Owners
from confcast.admin.problems import ProblemError
from confcast.admin.reads import Query
from confcast.admin.reads import status as ask_status
from confcast.admin.streams import GAP, Stream, frame
from confcast.errors import ConfcastError, OwnerUnavailable
from confcast.log_fields import about
from confcast.wire.messages import ReloadEvent
from confcast.worker.client import status_data

_log = logging.getLogger("confcast.admin")

_PAUSE = 0.05
"""Seconds between two answers at the least: twenty a second are as many as a person sees."""
_AWAY, _LONGEST_AWAY = 0.25, 2.0
"""Seconds between two tries while an owner is gone."""
_EARLIER_BUILD, _ANSWERS_WITHIN = 1.0, 1.0
"""Seconds between two looks at an owner that tells no news; and that an owner which lives takes for an answer."""
_LOOKS = 6
"""How often an owner may say that it has no news before it is looked at all the same."""
_REMEMBERED = 100
"""How many events are remembered for clients that come back."""


class Following:
    """All streams of one owner. For one loop.

    Args:
        id_: The owner's id.
        owners: The owners.
        calls: Runs what blocks.
        limits: The bounds.
    """

    def __init__(self, id_: str, owners: Owners, calls: Calls, limits: Limits) -> None:
        self._id, self._owners, self._calls, self._limits = id_, owners, calls, limits
        self._streams: set[Stream] = set()
        self._resume: dict[Stream, str] = {}  # those that came while the owner was gone, and what they have
        self._tells_no_news = ""
        self._task: asyncio.Task[None] | None = None
        self._known = asyncio.Event()
        self._status: dict[str, Any] | None = None
        self._hello = b""
        self._events: list[tuple[str, bytes]] = []  # the oldest first
        self._newest: ReloadEvent | None = None
        self._is_gone = False
        self._news, self._asked = "", ""
        self._last: Owner | None = None
        self._asking: asyncio.Task[str] | None = None

    async def join(self, last: str) -> Stream:
        """A stream that begins with what is known; `last`: the id of the last event that its client has; or empty."""
        stream = Stream(self._limits.kept)
        self._streams.add(stream)
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        try:
            await self._known.wait()
        except asyncio.CancelledError:
            self.leave(stream)
            raise
        self._begin(stream, last)
        return stream

    def leave(self, stream: Stream) -> None:
        """The stream has ended. After the last one nothing is asked any more."""
        self._streams.discard(stream)
        self._resume.pop(stream, None)
        if not self._streams and self._task is not None:
            self._task.cancel()
            self._task = None
            self._known.clear()
            self._status, self._newest, self._events = None, None, []

    def close(self) -> None:
        """End all streams."""
        for each in self._streams:
            each.end()

    def _begin(self, stream: Stream, last: str) -> None:
        if self._is_gone:
            stream.put_event(frame("owner", {"state": "gone"}))
            if last:
                self._resume[stream] = last
            return
        stream.put_event(self._hello)
        if last:
            self._tell_later(stream, last)

    def _tell_later(self, stream: Stream, last: str) -> None:
        """Tell what came after the event with this id; a gap if it is not remembered."""
        later = list(itertools.dropwhile(lambda each: each[0] != last, self._events))
        for each in [encoded for _, encoded in later[1:]] if later else [GAP]:
            stream.put_event(each)

    async def _run(self) -> None:
        away = _AWAY
        while True:
            try:
                owner = await self._find()
                await self._look(owner)
                away = _AWAY
                self._known.set()
                for _ in range(_LOOKS):
                    if await self._changed(owner):
                        break
            except (ConfcastError, ProblemError):
                away = await self._gone_for(away)
            except Exception:
                _log.exception("%s can't be followed", self._id, extra=about("admin_following_failed", owner=self._id))
                away = await self._gone_for(away)

    async def _gone_for(self, seconds: float) -> float:
        """Tell that the owner is gone, and wait; returns for how long the next time."""
        self._gone()
        await asyncio.sleep(seconds)
        return min(2 * seconds, _LONGEST_AWAY)

    async def _find(self) -> Owner:
        """The owner; the same one, if another has come by now that is called as it is. Raises ProblemError."""
        try:
            self._last = await self._owners.find(self._id)
        except ProblemError:
            if self._last is None:
                raise
            self._last = await self._owners.find(f"{self._last.name}.{self._last.master}")
        return self._last

    async def _changed(self, owner: Owner) -> bool:
        """Wait until something has changed in the owner; whether it has. One of an earlier build is looked at."""
        await asyncio.sleep(_PAUSE)
        process = f"{owner.address} {(self._status or {}).get('owner_pid')}"
        if process == self._tells_no_news:  # it would count each question as malformed
            await asyncio.sleep(_EARLIER_BUILD)
            return True
        if self._asking is None or self._asking.done() or self._asked != owner.address:
            self._asked, known, seconds = owner.address, self._news, self._limits.news
            ask = self._calls.do(f"{owner.address} news", lambda: owner.client().news(known, seconds))
            self._asking = asyncio.create_task(ask)
            self._asking.add_done_callback(_heard)
        try:
            before, self._news = self._news, await asyncio.shield(self._asking)  # who listens next waits for the same
        except OwnerUnavailable:
            answers = partial(owner.client().answers, _ANSWERS_WITHIN)
            if not await self._calls.do(f"{owner.address} followed", answers):
                raise
            self._tells_no_news = process
            return True
        return self._news != before

    async def _look(self, owner: Owner) -> None:
        """Ask for what is new, and tell it."""
        newest = self._newest

        def ask() -> tuple[dict[str, Any], list[ReloadEvent]]:
            client = owner.client()
            data, _ = ask_status(client, Query())
            latest = client.get_event_history(1)
            known = [newest] if newest is not None else []
            return data, client.get_event_history(_REMEMBERED) if latest != known else []

        data, events = await self._calls.do(f"{owner.address} followed", ask)
        if self._is_gone:
            self._is_gone = False
            self._tell(frame("owner", {"state": "back"}))
        waited, self._resume = self._resume, {}
        self._take_events(events, but=waited)
        for stream, last in waited.items():
            self._tell_later(stream, last)
        self._take_status(data)

    def _take_events(self, events: list[ReloadEvent], but: Collection[Stream] = ()) -> None:
        """Tell those that are new, but to these streams; the first ones are remembered, and not told.

        `events`: the newest first.
        """
        if not events:
            return
        new = list(itertools.takewhile(lambda each: each != self._newest, events))
        for each in reversed(new):
            id_ = event_id(each)
            self._events.append((id_, frame("reload", each, id_)))
            if self._status is not None:
                self._tell(self._events[-1][1], but)
        del self._events[:-_REMEMBERED]
        self._newest = events[0]

    def _take_status(self, data: dict[str, Any]) -> None:
        still = status_data.without_clocks(data)
        if still == self._status:
            return
        first, self._status = self._status is None, still
        self._hello = frame("hello", data)
        if first and not self._known.is_set():
            return
        encoded = frame("status", data)
        for each in self._streams:
            each.put_status(encoded)

    def _gone(self) -> None:
        if not self._is_gone:
            self._is_gone = True
            if self._known.is_set():
                self._tell(frame("owner", {"state": "gone"}))
        self._known.set()

    def _tell(self, encoded: bytes, but: Collection[Stream] = ()) -> None:
        for each in self._streams:
            if each not in but:
                each.put_event(encoded)


def event_id(event: ReloadEvent) -> str:
    """The id of an event: when its load began, in microseconds since 1970."""
    return str(round(event.timestamp * 1_000_000))


def _heard(task: asyncio.Task[str]) -> None:
    """Take note of an answer, or an error, that nobody waits for any more."""
    if not task.cancelled():
        task.exception()
