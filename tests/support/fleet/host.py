"""A host without workers: it follows, chooses, fetches, checks and reports as a config owner does, by the same code.

What a config owner would do with a payload (load it, have its workers vote, wait for its probation) is here a decision
of `acts.py` and some pauses. So hundreds are in one process, on connections of their own, and what they ask of an
engine or of a gateway is exactly what as many owners ask.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from confcast.config.sources.following import Host, Outcome, OutcomeState
from confcast.fleet.engines.engine import EngineError
from confcast.fleet.followed import Document, _Following, _Record
from tests.support.fleet.acts import act_of

UNDONE_AFTER = 0.05


class Event(NamedTuple):
    """What came of a payload on a host.

    Attributes:
        at: By CLOCK_MONOTONIC, which all processes of the machine have in common, in nanoseconds.
        host: Its id.
        digest: The payload's.
        state: As the host reports it. It runs the payload from `applied` on, or from `good` on if it knew it before.
    """

    at: int
    host: str
    digest: str
    state: str


class ProtocolHost:
    """One host. For one loop; `run` again after its end is the host after a restart.

    Args:
        source: What it follows.
        host: Its id, which is its name, too.
        labels: Its labels.
        folder: Its state folder.
        probation: Seconds from `applied` to `good`.
        note: Called with what came of a payload.

    Attributes:
        running: The digest that it runs; empty before the first.
        connects: How often it has connected, or tried to, also before a restart.
    """

    def __init__(
        self,
        source: Any,
        host: str,
        *,
        labels: dict[str, str],
        folder: Path | None,
        probation: float,
        note: Callable[[Event], None],
    ) -> None:
        self.running = ""
        self._source, self._probation, self._note = source, probation, note
        self._changed = asyncio.Event()
        self._id, self._labels, self._folder = host, labels, folder
        self._host, self._record = self._made(), _Record()
        self._following: _Following | None = None
        self._connects = 0
        self._good: set[str] = set()  # it has been through its probation with these
        self._version = 0
        self._trial: asyncio.Task[None] | None = None

    @property
    def connects(self) -> int:
        return self._connects + (self._following._follower.connects if self._following is not None else 0)

    async def run(self) -> None:
        """Be there until it is cancelled, or dies of a payload."""
        self.running, self._host, self._record = "", self._made(), _Record()
        self._changed.clear()
        self._following = _Following(self._source, self._host, self._record)
        following = asyncio.create_task(self._following.run())
        following.add_done_callback(lambda _: self._changed.set())
        try:
            await self._first()
            while await self._load():
                await self._changed.wait()
                if following.done():
                    following.result()
        finally:
            self._connects, self._following = self.connects, None
            await _ended(following, self._trial)

    def _made(self) -> Host:
        return Host(self._id, self._id, self._labels, self._folder, self._changed.set)

    async def _first(self) -> None:
        """Wait for what a start loads: of the engine, or what was good last."""
        await asyncio.sleep(0)  # its following has begun
        assert self._following is not None
        try:
            async with asyncio.timeout(self._source.connect_timeout):
                await self._following._follower.refresh()
        except TimeoutError:
            self._following._note("no answer in time")
        except EngineError:
            pass  # it is noted
        if self._record.document is None:
            await self._changed.wait()

    async def _load(self) -> bool:
        """Do with what is known now as it says. Returns whether the host is still there."""
        self._changed.clear()
        document = self._record.document
        if document is None:
            return True
        if document.digest == self.running:
            if document.digest in self._good:
                self._come(document, "good")
            return True
        what = act_of(document.payload, self._id)
        if what == "refuse":
            self._come(document, "refused", "this host refuses it")
        elif what in ("apply", "undo"):
            await self._apply(document, undo=what == "undo")
        return what != "die"

    async def _apply(self, document: Document, *, undo: bool) -> None:
        await _ended(self._trial)
        before, self.running = self.running, document.digest
        self._version += 1
        known = document.digest in self._good
        self._come(document, "good" if known else "applied", good_in=0.0 if known else self._probation)
        if not known:
            self._trial = asyncio.create_task(self._try(document, before if undo else None))

    async def _try(self, document: Document, before: str | None) -> None:
        """Its probation. With `before` it takes back what it runs, to that."""
        if before is None:
            await asyncio.sleep(self._probation)
            self._good.add(document.digest)
            self._come(document, "good")
            return
        await asyncio.sleep(UNDONE_AFTER)
        self.running = before
        self._come(document, "undone", "this host takes it back")

    def _come(self, document: Document, state: OutcomeState, reason: str = "", good_in: float = 0.0) -> None:
        outcome = Outcome(document.told.fingerprint, state, self._version, reason, good_in)
        self._host.outcomes.put_nowait(outcome)
        self._note(Event(time.monotonic_ns(), self._id, document.digest, state))


async def _ended(*tasks: asyncio.Task[None] | None) -> None:
    for task in tasks:
        while task is not None and not task.done():
            task.cancel()
            await asyncio.wait([task], timeout=0.1)
