"""One event stream: what waits to be sent to its client, in a bounded buffer.

Guarantees. A client that reads slowly costs a bounded number of bytes: of statuses only the newest waits, and of events
so many; past that they are dropped, and the client is told of a gap. What is sent is encoded once for all streams. Who
does not take what it was sent is cut off.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from confcast.admin.answers import as_json

HEARTBEAT = b": still here\n\n"


def frame(kind: str, data: Any, number: str = "") -> bytes:
    """One event, as a stream has it."""
    id_ = f"id: {number}\n".encode() if number else b""
    return b"event: %s\n%sdata: %s\n\n" % (kind.encode(), id_, as_json(data))


GAP = frame("gap", {"detail": "events have been left out: read /v1/history"})


class Stream:
    """What waits for one client. For one loop.

    Args:
        kept: How many events may wait.
    """

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._events: deque[bytes] = deque()
        self._status = b""
        self._gap = False
        self._news = asyncio.Event()
        self.ended = False

    def put_status(self, encoded: bytes) -> None:
        """The newest status; one that waits is replaced."""
        self._status = encoded
        self._news.set()

    def put_event(self, encoded: bytes) -> None:
        """One more event."""
        if len(self._events) >= self._kept:
            self._events.clear()
            self._gap = True
        self._events.append(encoded)
        self._news.set()

    def end(self) -> None:
        """Have the stream end."""
        self.ended = True
        self._news.set()

    async def next(self, seconds: float) -> bytes:
        """One frame that is to be sent next, a heartbeat if nothing has come for so long; empty at the end.

        It is the one that all streams have: a client that is slow holds no copy of it.
        """
        try:
            async with asyncio.timeout(seconds):
                await self._news.wait()
        except TimeoutError:
            return HEARTBEAT
        if self.ended:
            return b""
        found = self._taken()
        if not (self._gap or self._events or self._status):
            self._news.clear()
        return found

    def _taken(self) -> bytes:
        if self._gap:
            self._gap = False
            return GAP
        if self._events:
            return self._events.popleft()
        found, self._status = self._status, b""
        return found
