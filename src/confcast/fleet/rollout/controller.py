"""Carries a rollout on: reads head and reports four times a second, and does what the machine decides.

Guarantees. It decides only on what it has just read; what it writes is a compare-and-swap on the head that it has read,
so that of two controllers one wins each step, and a person's publish wins over both. It may die at any time: nothing
but the head and the reports is needed to go on. Whether a write arrived whose answer was lost, the next read says.
While the engine is away nothing is decided, and it is tried again without an end.

Rejected: a lock in the engine (one that is left by a dead controller has to expire by somebody's clock), and hints (a
decision depends on reports and on time, too).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Literal

import msgspec

from confcast.fleet.engines.engine import EngineError
from confcast.fleet.engines.link import Link
from confcast.fleet.head import LONGEST_BY, LONGEST_WHY, BadHead, Head, decode, encode, fitting, id_of
from confcast.fleet.reports import Entry, What
from confcast.fleet.reports import encode as encode_entry
from confcast.fleet.rollout.hosts import hosts_of
from confcast.fleet.rollout.machine import Decision, End, Machine, Promote, StandDown, Stop, Wait, Widen
from confcast.fleet.rollout.tally import Progress
from confcast.texts import printable, shortened

PAUSE = 0.25
"""Seconds between two reads."""

Kind = Literal["waiting", "widened", "promoted", "stopped", "stood down", "away", "back"]

_DONE: dict[type[Widen | Promote | Stop], tuple[Kind, What]] = {
    Widen: ("widened", "widen"),
    Promote: ("promoted", "promote"),
    Stop: ("stopped", "stop"),
}


class Event(msgspec.Struct, frozen=True):
    """Something that a controller tells.

    Attributes:
        kind: `promoted`, `stopped` and `stood down` are the last ones.
        text: What it is, in words.
        head: The id of the head that it is about; empty if there is none.
        progress: How far the stage has come, of `waiting`.
        end: What there is instead of the rollout, of `stood down`; empty for all others.
    """

    kind: Kind
    text: str
    head: str = ""
    progress: Progress | None = None
    end: End | Literal[""] = ""


class Controller:
    """Carries one rollout on. For one loop; `run` once.

    Args:
        link: The connection to the engine.
        by: Who is noted in the heads and entries that it writes.
        clock: Gives seconds, and is never set.
        wall: Gives seconds since 1970, for the heads that it writes.
        pause: Seconds between two reads.
    """

    def __init__(
        self,
        link: Link,
        by: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        pause: float = PAUSE,
    ) -> None:
        self._link, self._by = link, shortened(printable(by), LONGEST_BY)
        self._clock, self._wall, self._pause = clock, wall, pause
        self._written: tuple[bytes, Kind, str] | None = None  # a write whose answer has not come

    async def run(self, head: Head) -> AsyncIterator[Event]:
        """Go on with the rollout of this head until it ends, and tell what happens.

        Each event is told once: the same words twice in a row are not. A decision that failed in an outage is made
        anew from what is read then.
        """
        machine, told, away = Machine(head), "", False
        while True:
            try:
                events = await self._step(machine)
            except EngineError as error:
                if not away:
                    yield Event("away", f"{error}: nothing is decided meanwhile, and it is tried again")
                away = True
                await self._link.pause()
                continue
            if away:
                yield Event("back", "the engine answers again")
            self._link.answered()
            away = False
            for event in events:
                if event.text != told:
                    told = event.text
                    yield event
                if event.kind in ("promoted", "stopped", "stood down"):
                    return
            await asyncio.sleep(self._pause)

    async def _step(self, machine: Machine) -> list[Event]:
        """Read, decide, and do it."""
        store = await self._link.store()
        raw = await store.head()
        events = self._arrived(raw)
        if events and events[-1].kind != "widened":
            return events
        try:
            head = None if raw is None else decode(raw)
        except BadHead:  # of something else: nobody's rollout goes on
            return [*events, Event("stood down", "what is there is no head of confcast", end="replaced")]
        hosts = hosts_of(await store.reports())
        decision = machine.step(self._clock(), head, hosts)
        return events + await self._done(raw, decision)

    def _arrived(self, raw: bytes | None) -> list[Event]:
        """What was written, if its answer was lost, and it is there."""
        written = self._written
        if written is None or raw is None or written[0] != raw:
            return []  # it may still arrive
        self._written = None
        return [Event(written[1], written[2], id_of(raw))]

    async def _done(self, raw: bytes | None, decision: Decision) -> list[Event]:
        there = "" if raw is None else id_of(raw)
        if isinstance(decision, Wait):
            return [Event("waiting", decision.progress.text, there, decision.progress)]
        if isinstance(decision, StandDown):
            return [Event("stood down", decision.detail, there, end=decision.end)]
        kind, what = _DONE[type(decision)]
        why = shortened(printable(decision.head.why), LONGEST_WHY)
        head = fitting(msgspec.structs.replace(decision.head, at=self._wall(), by=self._by, why=why))
        content, entry = encode(head), Entry(what, head, there, decision.detail)
        self._written = content, kind, decision.detail
        won = await (await self._link.store()).swap(raw, content, encode_entry(entry))
        self._written = None
        return [Event(kind, decision.detail, id_of(content))] if won else []
