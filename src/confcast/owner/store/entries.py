"""What the journal writes, version rows and events; how they wait in the ahead file, and how SQLite takes them in.

Guarantees. Reading what waits beside SQLite gives what reading SQLite gives once it has taken all in. It is taken in
within one transaction, with the number of the last entry, so that no entry is taken in twice or lost between the two.

Of versions that wait only the newest counts, since it replaces the ones before it.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from confcast.owner.store.ahead_file import Entry
from confcast.owner.store.sqlite_file import Ask
from confcast.wire.messages import ReloadEvent, ReloadResult, WithSecrets

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
    """

    SHOWN = ("version",)

    version: int
    digest: bytes
    schema: bytes
    payload: bytes
    timestamp: float


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


class Waiting(NamedTuple):
    """What is in the ahead file and not in SQLite: the newest version with its state, and events, the oldest first."""

    version: tuple[VersionRow, StateRow] | None = None
    events: tuple[bytes, ...] = ()

    def with_version(self, row: VersionRow, state: StateRow) -> Waiting:
        """What waits once this version does."""
        return Waiting((row, state), self.events)

    def with_event(self, body: bytes) -> Waiting:
        """What waits once this event does, as `encode` made it."""
        return Waiting(self.version, (*self.events, body))

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

    def take_in(self, ask: Ask, number: int, limit: int) -> None:
        """Take this into SQLite, up to the entry of that number; no more events than `limit` stay there.

        To be called within one transaction. Raises what SQLite raises.
        """
        if self.version is not None:
            row, state = self.version
            ask(
                "INSERT OR REPLACE INTO newest VALUES (1, ?, ?, ?, ?, ?, ?)",
                (row.version, row.digest, row.schema, zlib.crc32(row.payload), row.timestamp, row.payload),
            )
            put_state(ask, state)
        for body in self.events:
            newest = ask("INSERT INTO event(body) VALUES (?)", (body,)).lastrowid or 0
            ask("DELETE FROM event WHERE id <= ?", (newest - limit,))
        for event in self._counted():
            *others, ms = _counts(event)
            ask(_COUNT, (*others, ms, ms))
        ask(_FOLDED)
        ask("INSERT OR REPLACE INTO folded VALUES (1, ?)", (number,))

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
