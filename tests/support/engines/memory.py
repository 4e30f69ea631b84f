"""An engine in this process's memory, for tests of what uses one. Its faults are ordered by the test."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Container, Sequence
from typing import ClassVar

from confcast.fleet.engines import engine as limits
from confcast.fleet.engines.engine import EngineError, Hints, OldPayload, Stored, Unreachable


class MemoryEngine:
    """Keeps one key. For one loop, but for its data, which a test may read and write anywhere.

    Attributes:
        head: The head; None for none.
        payloads: By digest.
        puts: When each was put last, by its own clock, and how often.
        clock: Seconds; a test sets it.
        entries: Oldest first.
        kept: How many entries it keeps.
        reports: By host.
        down: Why it can't be reached; None while it can.
        silent: Whether it answers nothing.
        deaf: Whether it tells no hints, as an engine does after a failover.
        slow: Seconds that the answer with a head is on its way: it may be an older one when it comes.
        steps: What was asked of it, by name, in order.
        on: Called with each step before it is done; may raise, or change the engine.
    """

    def __init__(self) -> None:
        self.head: bytes | None = None
        self.payloads: dict[str, bytes] = {}
        self.puts: dict[str, tuple[float, int]] = {}
        self.clock = 0.0
        self.kept = limits.MOST_ENTRIES
        self.entries: list[bytes] = []
        self.reports: dict[str, tuple[bytes, float]] = {}
        self.down: EngineError | None = None
        self.silent = self.deaf = False
        self.slow = 0.0
        self.steps: list[str] = []
        self.on: Callable[[str], None] = lambda step: None
        self._stores: set[MemoryStore] = set()

    async def connect(self, *_: object) -> MemoryStore:
        """A connection. Raises EngineError."""
        await self.step("connect")
        store = MemoryStore(self)
        self._stores.add(store)
        return store

    async def step(self, name: str) -> None:
        """What comes before each answer."""
        self.steps.append(name)
        self.on(name)
        if self.silent:
            await asyncio.Event().wait()
        if self.down is not None:
            raise self.down
        await asyncio.sleep(0)

    async def answer(self) -> bytes | None:
        """The head, as it was when it was looked up."""
        head = self.head
        if self.slow:
            await asyncio.sleep(self.slow)
        return head

    def put(self, head: bytes | None) -> None:
        """Another head, as somebody else's write."""
        self.head = head
        if not self.deaf:
            for store in self._stores:
                store.hints.tell()

    def lose(self, error: EngineError | None = None) -> None:
        """All connections are lost."""
        for store in list(self._stores):
            store.hints.lose(error or Unreachable("the connection was lost"))

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._stores)


class MemoryStore:
    """One connection to a MemoryEngine."""

    NAME: ClassVar[str] = "Memory"

    def __init__(self, engine: MemoryEngine) -> None:
        self.engine, self.hints = engine, Hints()

    async def subscribe(self) -> None:
        await self.engine.step("subscribe")

    async def hint(self) -> None:
        await self.hints.wait()

    async def head(self) -> bytes | None:
        await self.engine.step("head")
        return await self.engine.answer()

    async def verify(self) -> bytes | None:
        await self.engine.step("verify")
        if self.engine.deaf:
            raise Unreachable("hints would not come")
        return await self.engine.answer()

    async def payload(self, digest: str) -> bytes | None:
        await self.engine.step("payload")
        return self.engine.payloads.get(digest)

    async def report(self, host: str, record: bytes) -> None:
        await self.engine.step("report")
        self.engine.reports[host] = record, time.monotonic()

    async def put_payload(self, digest: str, content: bytes) -> None:
        await self.engine.step("put_payload")
        self.engine.payloads.setdefault(digest, content)
        self.engine.puts[digest] = self.engine.clock, self.engine.puts.get(digest, (0.0, 0))[1] + 1

    async def swap(self, old: bytes | None, new: bytes, entry: bytes) -> bool:
        await self.engine.step("swap")
        if self.engine.head != old:
            return False
        self.engine.entries = [*self.engine.entries, entry][-self.engine.kept :]
        self.engine.put(new)
        return True

    async def entries(self, limit: int) -> list[bytes]:
        await self.engine.step("entries")
        return self.engine.entries[::-1][:limit]

    async def old_payloads(self, named: Container[str]) -> list[OldPayload]:
        await self.engine.step("old_payloads")
        old = [each for each, put in self.engine.puts.items() if self.engine.clock - put[0] > limits.UNTOUCHED]
        return [OldPayload(each, self.engine.puts[each]) for each in old if each not in named][: limits.MOST_DROPPED]

    async def drop_payloads(self, head: bytes, payloads: Sequence[OldPayload]) -> None:
        await self.engine.step("drop_payloads")
        for each in payloads:
            if self.engine.puts.get(each.digest) == each.put:
                del self.engine.puts[each.digest]
                del self.engine.payloads[each.digest]

    async def reports(self) -> list[Stored]:
        await self.engine.step("reports")
        now = time.monotonic()
        return [Stored(record, now - at) for record, at in self.engine.reports.values()]

    async def close(self) -> None:
        self.engine._stores.discard(self)
