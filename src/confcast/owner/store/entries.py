"""What the journal writes, version rows and events; how they wait in the ahead file, and how SQLite takes them in.

Guarantees. Reading what waits beside SQLite gives what reading SQLite gives once it has taken all in. It is taken in
within one transaction, with the number of the last entry, so that no entry is taken in twice or lost between the two.

All versions that wait are kept, and each content once. Only the newest of them is the committed one, and has a state.
How a version's barrier ended is in its event: an entry of its own would be one more append for each reload.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from confcast.owner.store import kept_versions
from confcast.owner.store.ahead_file import Entry
from confcast.owner.store.kept_versions import UNDONE, Judgement, KeptVersion, judge, judgement_of
from confcast.owner.store.sqlite_file import Ask
from confcast.wire.messages import ReloadEvent, ReloadResult, Who, WithSecrets

_COUNT = """UPDATE totals SET successful = successful + ?, failed = failed + ?, suppressed = suppressed + ?,
    last_time = ?, last_result = ?, sum_ms = sum_ms + ?, max_ms = max(max_ms, ?)"""

# Made when first used: a journal of an earlier confcast has no such tables, and is opened as it is.
# `undo`: the version that put back what ran before; `refused`: the digest that it undid.
_STATE = "CREATE TABLE IF NOT EXISTS state(one INTEGER PRIMARY KEY CHECK (one = 1), undo INTEGER, refused BLOB)"
# `number`: that of the last entry that SQLite has.
_FOLDED = "CREATE TABLE IF NOT EXISTS folded(one INTEGER PRIMARY KEY CHECK (one = 1), number INTEGER NOT NULL)"

VERSION, EVENT = 1, 2
"""The kinds of entries in the ahead file."""

_UNCOUNTED = frozenset({"start", "reissue", "late"})

encode = msgspec.msgpack.Encoder().encode
"""Encodes an event, or a version as a pair of its rows, as the body of an entry."""

decode_event = msgspec.msgpack.Decoder(ReloadEvent).decode


class VersionRow(WithSecrets, frozen=True):
    """One committed version, with all that a restarted owner needs to serve it.

    Attributes:
        version: Its number.
        digest: The hash of the payload.
        schema: The fingerprint of the codec's table that the payload was written with.
        payload: The configuration as the codec wrote it, secrets included; never shown.
        timestamp: When it was committed, in seconds since 1970.
        origin, who, reason, undoes: As in KeptVersion. An earlier confcast has written none of them, and reads none.
    """

    SHOWN = ("version",)

    version: int
    digest: bytes
    schema: bytes
    payload: bytes
    timestamp: float
    origin: str = ""
    who: Who | None = None
    reason: str = ""
    undoes: int = 0

    def without_payload(self) -> KeptVersion:
        """The version as it is kept, before any judgement."""
        return KeptVersion(
            self.version, self.digest, self.schema, self.timestamp, self.origin, self.who, self.reason, self.undoes
        )


class StateRow(WithSecrets, frozen=True):
    """What must change together with the committed version, in one transaction.

    Attributes:
        undo: The number of the committed version if it put back what had run before, else another number.
        refused: The digest of the content that was undone then, until it changes; empty for none. Never shown.
    """

    SHOWN = ("undo",)

    undo: int = 0
    refused: bytes = b""


_decode_version = msgspec.msgpack.Decoder(tuple[VersionRow, StateRow]).decode


class Totals(NamedTuple):
    """The row of the totals."""

    successful: int
    failed: int
    suppressed: int
    last_time: float | None
    last_result: str | None
    sum_ms: float
    max_ms: float
    owner_restarts: int

    def after(self, event: ReloadEvent) -> Totals:
        """The row after one more event, as `_COUNT` leaves it."""
        successful, failed, suppressed, time, result, ms = _counts(event)
        return Totals(
            self.successful + successful,
            self.failed + failed,
            self.suppressed + suppressed,
            time,
            result,
            self.sum_ms + ms,
            max(self.max_ms, ms),
            self.owner_restarts,
        )


class Limits(NamedTuple):
    """How much SQLite keeps.

    Attributes:
        events: The number of events.
        versions: The number of versions, 1 or more.
    """

    events: int
    versions: int


class Waiting(NamedTuple):
    """What is in the ahead file and not in SQLite, the oldest first.

    Attributes:
        versions: The versions; two with one content share its bytes.
        state: The state beside the newest of them; None where no version waits.
        events: The events, as `encode` made them.
        payloads: The contents of the versions, by digest.
    """

    versions: tuple[VersionRow, ...] = ()
    state: StateRow | None = None
    events: tuple[bytes, ...] = ()
    payloads: Mapping[bytes, bytes] = MappingProxyType({})

    @property
    def committed(self) -> VersionRow | None:
        """The newest version that waits."""
        return self.versions[-1] if self.versions else None

    def with_version(self, row: VersionRow, state: StateRow) -> Waiting:
        """What waits once this version does."""
        known, payloads = self.payloads.get(row.digest), self.payloads
        if known is None:
            payloads = {**payloads, row.digest: row.payload}
        elif known is not row.payload:
            row = msgspec.structs.replace(row, payload=known)
        return Waiting((*self.versions, row), state, self.events, payloads)

    def with_event(self, body: bytes) -> Waiting:
        """What waits once this event does, as `encode` made it."""
        return Waiting(self.versions, self.state, (*self.events, body), self.payloads)

    def above(self, version: int) -> Waiting:
        """What waits without the versions up to this one, which SQLite has."""
        rows = tuple(row for row in self.versions if row.version > version)
        payloads = {row.digest: row.payload for row in rows}
        return self._replace(versions=rows, state=self.state if rows else None, payloads=payloads)

    def with_entry(self, entry: Entry) -> Waiting:
        """What waits once this entry does. Raises one of UNDECODABLE for an entry of another version of confcast."""
        if entry.kind == VERSION:
            return self.with_version(*_decode_version(entry.body))
        if entry.kind == EVENT:
            decode_event(entry.body)
            return self.with_event(entry.body)
        raise msgspec.DecodeError(f"its kind is {entry.kind}")

    def add_to(self, totals: Totals) -> Totals:
        """The totals with the events that wait."""
        for event in self._counted():
            totals = totals.after(event)
        return totals

    def judgements(self) -> list[Judgement]:
        """What is known of versions by what waits; that a version was undone comes last, since it is final."""
        by_events = (judgement_of(event) for event in map(decode_event, self.events))
        undone = (Judgement(row.undoes, UNDONE, False) for row in self.versions if row.undoes)
        return [*(each for each in by_events if each is not None), *undone]

    def take_in(self, ask: Ask, number: int, limits: Limits) -> None:
        """Take this into SQLite, up to the entry of that number; no more than `limits` stay there.

        To be called within one transaction. Raises what SQLite raises.
        """
        self._take_in_versions(ask, limits.versions)
        for body in self.events:
            newest = ask("INSERT INTO event(body) VALUES (?)", (body,)).lastrowid or 0
            ask("DELETE FROM event WHERE id <= ?", (newest - limits.events,))
        for event in self._counted():
            *others, ms = _counts(event)
            ask(_COUNT, (*others, ms, ms))
        ask(_FOLDED)
        ask("INSERT OR REPLACE INTO folded VALUES (1, ?)", (number,))

    def _take_in_versions(self, ask: Ask, limit: int) -> None:
        kept_versions.make_tables(ask)
        kept_versions.adopt(ask)
        judgements = self.judgements()
        rows = self.versions[-limit:]  # the others would be pruned
        kept_versions.prune(ask, limit - len(rows))  # before the new ones are added, which take the pages
        judged = judge((row.without_payload() for row in rows), judgements)
        kept_versions.update(ask, (each for each in judgements if each.version not in judged))
        for row in rows:
            kept_versions.add(ask, judged[row.version], row.payload)
        if self.state is not None:
            row = self.versions[-1]
            ask(
                "INSERT OR REPLACE INTO newest VALUES (1, ?, ?, ?, ?, ?, ?)",
                (row.version, row.digest, row.schema, zlib.crc32(row.payload), row.timestamp, row.payload),
            )
            put_state(ask, self.state)

    def _counted(self) -> Iterator[ReloadEvent]:
        return (event for event in map(decode_event, self.events) if event.origin not in _UNCOUNTED)


def put_state(ask: Ask, state: StateRow) -> None:
    """Replace the state beside the version. Raises what SQLite raises."""
    ask(_STATE)
    ask("INSERT OR REPLACE INTO state VALUES (1, ?, ?)", (state.undo, state.refused))


def _counts(event: ReloadEvent) -> tuple[bool, bool, bool, float, str, float]:
    """What an event adds to the totals: a success, a failure, a suppression; its time, its result, its duration."""
    suppressed = event.result is ReloadResult.UNCHANGED
    successful = bool(event) and not suppressed
    return successful, not bool(event), suppressed, event.timestamp, event.result.value, event.duration_ms
