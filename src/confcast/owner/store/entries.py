"""What the journal writes, version rows and events; how they wait in the ahead file, and how SQLite takes them in.

Guarantees. Reading what waits beside SQLite gives what reading SQLite gives once it has taken all in. It is taken in
within one transaction, with the number of the last entry, so that no entry is taken in twice or lost between the two.

All versions that wait are kept, and each content once. Only the newest of them is the committed one, and has a state.
How a version's barrier ended is in its event: an entry of its own would be one more append for each reload.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from confcast.config.codec.masked_header import header_of, without_masked
from confcast.owner.core.operator_state import OperatorState
from confcast.owner.store import event_counts, kept_versions, made_from, masked_rows, operator_row
from confcast.owner.store.ahead_file import Entry
from confcast.owner.store.kept_versions import (
    CONFIRMED,
    UNDONE,
    Judgement,
    KeptVersion,
    TakenBack,
    judge,
    judgement_of,
)
from confcast.owner.store.made_from import MadeFrom
from confcast.owner.store.sqlite_file import Ask
from confcast.wire.measured import EventCounts
from confcast.wire.messages import MAX_FRAME, ReloadEvent, ReloadResult, Who, WithSecrets

if TYPE_CHECKING:
    from confcast.owner.store.deliveries import Deliveries

# Made when first used: a journal of an earlier confcast has no such tables, and is opened as it is.
# `undo`: the version that put back what ran before; `refused`: the digest that it undid.
_STATE = "CREATE TABLE IF NOT EXISTS state(one INTEGER PRIMARY KEY CHECK (one = 1), undo INTEGER, refused BLOB)"
_NOT_FAILED = """CREATE TABLE IF NOT EXISTS not_failed(
    one INTEGER PRIMARY KEY CHECK (one = 1), held INTEGER NOT NULL, conflicts INTEGER NOT NULL)"""
# `number`: that of the last entry that SQLite has.
_FOLDED = "CREATE TABLE IF NOT EXISTS folded(one INTEGER PRIMARY KEY CHECK (one = 1), number INTEGER NOT NULL)"

VERSION, EVENT, STATE = 1, 2, 3
"""The kinds of entries in the ahead file."""

_UNCOUNTED = frozenset({"start", "last_good", "reissue", "late", "confirm"})

encode = msgspec.msgpack.Encoder().encode
"""Encodes an event, or a version as a pair of its rows, as the body of an entry."""

decode_event = msgspec.msgpack.Decoder(ReloadEvent).decode


class VersionRow(WithSecrets, frozen=True, omit_defaults=True):
    """One committed version, with all that a restarted owner needs to serve it.

    Attributes:
        version: Its number.
        digest: The hash of the payload.
        schema: The fingerprint of the codec's table that the payload was written with.
        payload: The configuration as the codec wrote it, secrets included; never shown.
        timestamp: When it was committed, in seconds since 1970.
        origin, who, reason, undoes, restores: As in KeptVersion. An earlier confcast has written none of them, and
            reads none.
        values, layer: As in MadeFrom.
        provisional, proves: As in KeptVersion.
        takes_back: The number above which it takes back all that is provisional; 0: nothing.
        masked: In the journal's files, the header of the payload (`config/codec/masked_header.py`), which stands there
            without it; else empty.
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
    restores: int = 0
    values: bytes = b""
    layer: bytes = b""
    provisional: bool = False
    proves: float = 0.0
    takes_back: int = 0
    masked: bytes = b""

    def as_stored(self) -> VersionRow:
        """The row as the files have it."""
        header = header_of(self.payload)
        return msgspec.structs.replace(self, payload=without_masked(self.payload), masked=header) if header else self

    def as_served(self) -> VersionRow:
        """The row with the payload that was recorded."""
        return msgspec.structs.replace(self, payload=self.masked + self.payload, masked=b"") if self.masked else self

    @classmethod
    def of(cls, kept: KeptVersion, payload: bytes, made: MadeFrom, masked: bytes) -> VersionRow:
        """The row of a version that is kept, with its content."""
        same = ("version", "digest", "schema", "timestamp", "origin", "who", "reason", "undoes", "restores")
        fields = {name: getattr(kept, name) for name in same}
        return cls(**fields, payload=masked + payload, values=made.values, layer=made.layer)

    def without_payload(self) -> KeptVersion:
        """The version as it is kept, before any judgement."""
        same = ("version", "digest", "schema", "timestamp", "origin", "who", "reason", "undoes", "restores")
        return KeptVersion(**{name: getattr(self, name) for name in (*same, "provisional", "proves")})


class StateRow(WithSecrets, frozen=True, omit_defaults=True):
    """What must change together with the committed version, in one transaction.

    Attributes:
        undo: The number of the committed version if it put back what had run before, else another number.
        refused: The digest of the content that was undone then, until it changes; empty for none. Never shown.
        operator: What people have set; its times are in seconds since 1970.
    """

    SHOWN = ("undo",)

    undo: int = 0
    refused: bytes = b""
    operator: OperatorState = OperatorState()

    @property
    def needed(self) -> int:
        """The version that is kept, whatever the limit, since a window or a probation falls back to it; 0 for none."""
        window = self.operator.window or self.operator.probation
        return window.fallback if window is not None else 0


_decode_version = msgspec.msgpack.Decoder(tuple[VersionRow, StateRow]).decode
_decode_state = msgspec.msgpack.Decoder(tuple[int, StateRow]).decode


class Totals(NamedTuple):
    """The row of the totals; `held` and `conflicts` are in a table of their own.

    A load that found a version held has refused nothing, and a call that expected another version has loaded nothing,
    so that neither is a failure, and the latter is no reload. One whose version is on trial is counted at the trial's
    end, as its commit or its undo.
    """

    successful: int
    failed: int
    suppressed: int
    last_time: float | None
    last_result: str | None
    sum_ms: float
    max_ms: float
    owner_restarts: int
    held: int = 0
    conflicts: int = 0

    def after(self, event: ReloadEvent) -> Totals:
        """The row after one more event."""
        if event.result is ReloadResult.CONFLICT:
            return self._replace(conflicts=self.conflicts + 1)
        if event.result is ReloadResult.ON_TRIAL:
            return self._replace(last_time=event.timestamp, last_result=event.result.value)
        suppressed, held = event.result is ReloadResult.UNCHANGED, event.result is ReloadResult.HELD
        return self._replace(
            successful=self.successful + (bool(event) and not suppressed),
            failed=self.failed + (not event and not held),
            suppressed=self.suppressed + suppressed,
            held=self.held + held,
            last_time=event.timestamp,
            last_result=event.result.value,
            sum_ms=self.sum_ms + event.duration_ms,
            max_ms=max(self.max_ms, event.duration_ms),
        )

    def told(self) -> dict[str, Any]:
        """The totals under the names by which they are told."""
        total = self.successful + self.failed + self.suppressed + self.held
        return {
            "total_reloads": total,
            "successful_reloads": self.successful,
            "failed_reloads": self.failed,
            "suppressed": self.suppressed,
            "held_reloads": self.held,
            "conflicts": self.conflicts,
            "last_reload_time": self.last_time,
            "last_reload_result": self.last_result,
            "mean_duration_ms": self.sum_ms / total if total else 0.0,
            "max_duration_ms": self.max_ms,
            "owner_restarts": self.owner_restarts,
        }


def _is_counted(event: ReloadEvent) -> bool:
    """Whether the totals have this event: it tells of a reload, or commits what was on trial."""
    is_made = bool(event) and event.version != event.previous_version
    return event.origin not in _UNCOUNTED or (event.origin == "confirm" and is_made)


_COLUMNS = tuple(name for name in Totals._fields if name not in ("held", "conflicts"))


class Limits(NamedTuple):
    """How much SQLite keeps.

    Attributes:
        events: The number of events.
        versions: The number of versions, 1 or more.
        deliveries: What webhooks are owed, for the events that are taken in; None without webhooks.
    """

    events: int
    versions: int
    deliveries: Deliveries | None = None


class Waiting(NamedTuple):
    """What is in the ahead file and not in SQLite, the oldest first.

    Attributes:
        versions: The versions; two with one content share its bytes.
        state: The state beside the newest version; None where neither a version nor a state waits.
        state_of: The number of that version, which SQLite may have already.
        confirmed: The numbers of versions beside which a state without a window was written later.
        events: The events, as `encode` made them.
        payloads: The contents of the versions, by digest.
        extended: The versions on probation beside which a state with a deadline was written later.
    """

    versions: tuple[VersionRow, ...] = ()
    state: StateRow | None = None
    events: tuple[bytes, ...] = ()
    payloads: Mapping[bytes, bytes] = MappingProxyType({})
    state_of: int = 0
    confirmed: tuple[int, ...] = ()
    extended: tuple[TakenBack, ...] = ()

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
        versions = (*self.versions, row)
        return self._replace(versions=versions, state=state, payloads=payloads, state_of=row.version)

    def with_state(self, version: int, state: StateRow) -> Waiting:
        """What waits once this state does, in the place of the one beside this version, the newest."""
        confirmed = self.confirmed if state.needed or version in self.confirmed else (*self.confirmed, version)
        window, extended = state.operator.window, tuple(each for each in self.extended if not each.has(version))
        if window is not None and window.deadline:  # now a person must confirm it as well
            extended = (*extended, TakenBack(version - 1, version + 1, window.opened))
        return self._replace(state=state, state_of=version, confirmed=confirmed, extended=extended)

    def with_event(self, body: bytes) -> Waiting:
        """What waits once this event does, as `encode` made it."""
        return self._replace(events=(*self.events, body))

    def kept(self, version: int) -> KeptVersion | None:
        """A version that waits, before any judgement; None for one that does not wait."""
        return next((row.without_payload() for row in self.versions if row.version == version), None)

    def made_from(self, version: int) -> MadeFrom | None:
        """What a version that waits was made from; None for one that does not wait."""
        return next((MadeFrom(row.values, row.layer) for row in self.versions if row.version == version), None)

    def masked(self, version: int) -> bytes | None:
        """The header of a version that waits, empty for none; None for a version that does not wait."""
        return next((row.masked for row in self.versions if row.version == version), None)

    def above(self, version: int) -> Waiting:
        """What waits without the versions up to this one, which SQLite has."""
        rows = tuple(row for row in self.versions if row.version > version)
        payloads = {row.digest: row.payload for row in rows}
        state = self.state if self.state_of >= version else None
        return self._replace(versions=rows, state=state, state_of=self.state_of if state else 0, payloads=payloads)

    def with_entry(self, entry: Entry) -> Waiting:
        """What waits once this entry does. Raises one of UNDECODABLE for an entry of another version of confcast."""
        if entry.kind == VERSION:
            return self.with_version(*_decode_version(entry.body))
        if entry.kind == STATE:
            return self.with_state(*_decode_state(entry.body))
        if entry.kind == EVENT:
            decode_event(entry.body)
            return self.with_event(entry.body)
        raise msgspec.DecodeError(f"its kind is {entry.kind}")

    def add_to(self, totals: Totals) -> Totals:
        """The totals with the events that wait."""
        counted = filter(_is_counted, map(decode_event, self.events))
        return functools.reduce(Totals.after, counted, totals)

    def add_to_counts(self, counts: EventCounts) -> EventCounts:
        """The counts with the events that wait."""
        return event_counts.counted(map(decode_event, self.events), counts)

    def judgements(self) -> list[Judgement]:
        """What is known of versions by what waits; that a version was undone comes last, since it is final."""
        return self._judgements(map(decode_event, self.events))

    def taken_back(self) -> list[TakenBack]:
        """What does not become good by itself: versions that were taken back, or that a person must confirm."""
        by_undos = (TakenBack(row.takes_back, row.version, row.timestamp) for row in self.versions if row.takes_back)
        return [*self.extended, *by_undos]

    def take_in(self, ask: Ask, number: int, limits: Limits) -> None:
        """Take this into SQLite, up to the entry of that number; no more than `limits` stay there.

        To be called within one transaction. Raises what SQLite raises.
        """
        events = list(map(decode_event, self.events))
        self._take_in_versions(ask, limits.versions, self._judgements(events))
        self._take_in_events(ask, limits.events, events)
        if limits.deliveries is not None:
            limits.deliveries.take_in(ask, events)
        ask(_FOLDED)
        ask("INSERT OR REPLACE INTO folded VALUES (1, ?)", (number,))

    def _take_in_events(self, ask: Ask, limit: int, events: list[ReloadEvent]) -> None:
        bodies = self.events[-limit:] if limit else ()  # the others would be deleted
        if self.events:  # those before go first: the new ones take their pages
            ask("DELETE FROM event WHERE id <= (SELECT max(id) FROM event) - ?", (limit - len(bodies),))
        for body in bodies:
            ask("INSERT INTO event(body) VALUES (?)", (body,))
        if counted := list(filter(_is_counted, events)):
            write_totals(ask, functools.reduce(Totals.after, counted, read_totals(ask)))
        if events:
            event_counts.put(ask, event_counts.counted(events, event_counts.read(ask)))

    def _take_in_versions(self, ask: Ask, limit: int, judgements: list[Judgement]) -> None:
        kept_versions.make_tables(ask)
        kept_versions.adopt(ask)
        needed = self.state.needed if self.state is not None else 0
        older, last = self.versions[:-limit], self.versions[-limit:]
        rows = (*(row for row in older if row.version == needed), *last)  # the others would be pruned
        if self.state is not None:  # before the new ones are added, which take the pages
            kept_versions.prune(ask, limit - len(last), needed)
        judged = judge((row.without_payload() for row in rows), judgements, self.taken_back())
        kept_versions.update(ask, (each for each in judgements if each.version not in judged), self.taken_back())
        for row in rows:
            kept_versions.add(ask, judged[row.version])
        for digest, payload in {row.digest: row.payload for row in rows}.items():
            kept_versions.add_content(ask, digest, payload)
        made_from.put(ask, {row.version: MadeFrom(row.values, row.layer) for row in rows})
        made_from.prune(ask)
        masked_rows.put(ask, {row.version: row.masked for row in rows})
        masked_rows.prune(ask)
        if (newest := self.committed) is not None:
            ask(
                "INSERT OR REPLACE INTO newest VALUES (1, ?, ?, ?, ?, ?, ?)",
                (
                    newest.version,
                    newest.digest,
                    newest.schema,
                    zlib.crc32(newest.payload),
                    newest.timestamp,
                    newest.payload,
                ),
            )
        if self.state is not None:
            put_state(ask, self.state_of, self.state)

    def _judgements(self, events: Iterable[ReloadEvent]) -> list[Judgement]:
        by_events = map(judgement_of, events)
        undone = (Judgement(row.undoes, UNDONE, False) for row in self.versions if row.undoes)
        confirmed = (Judgement(version, CONFIRMED, True) for version in self.confirmed)
        return [*(each for each in by_events if each is not None), *confirmed, *undone]


def read_totals(ask: Ask) -> Totals:
    """The row of the totals, without what waits. Raises what SQLite raises."""
    row = ask(f"SELECT {', '.join(_COLUMNS)} FROM totals").fetchone()  # noqa: S608 (our own names)
    there = ask("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'not_failed'").fetchone()
    return Totals(*row, *(ask("SELECT held, conflicts FROM not_failed").fetchone() or () if there else ()))


def write_totals(ask: Ask, totals: Totals) -> None:
    """Replace the row of the totals. Raises what SQLite raises."""
    row = totals[: len(_COLUMNS)]
    ask(f"UPDATE totals SET {', '.join(f'{name} = ?' for name in _COLUMNS)}", row)  # noqa: S608
    if totals.held or totals.conflicts:
        ask(_NOT_FAILED)
        ask("INSERT OR REPLACE INTO not_failed VALUES (1, ?, ?)", (totals.held, totals.conflicts))


def put_state(ask: Ask, version: int, state: StateRow) -> None:
    """Replace the state beside this version, the newest. Raises what SQLite raises."""
    ask(_STATE)
    ask("INSERT OR REPLACE INTO state VALUES (1, ?, ?)", (state.undo, state.refused))
    operator_row.put(ask, version, state.operator)


_ENVELOPE = 1024  # bytes that an answer has at most beside its events


def that_fit(bodies: Iterable[bytes]) -> Iterator[bytes]:
    """As many of these events' bodies as one answer has room for."""
    room = MAX_FRAME - _ENVELOPE
    for body in bodies:
        room -= len(body)
        if room < 0:
            return
        yield body
