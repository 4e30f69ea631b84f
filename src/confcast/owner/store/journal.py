"""The journal keeps what must outlive an owner: the committed version, the roster, the history and the totals.

Guarantees. `record()` is the commit point: once it has returned, the version outlives the death of every process
(and of the machine, if `durable`); when it raised, `holds()` tells from the files themselves which of the two happened.
An event is in the history once `add_event()` has returned, whichever process dies. A version that `holds()` has denied,
and an event that `add_event()` has refused, are not there later.

How. A version, with the state beside it, or an event, is one entry of the ahead file (ahead_file.py). `fold()` takes
all that waits there into SQLite, in one transaction that also keeps the number of the last entry: so an entry is taken
in exactly once, whenever an owner dies. The owner folds when it is idle and when it closes; the next one reads what a
death has left. What waits is in memory, too: reading adds it to what SQLite has, and writes nothing, so that a full
disk can be asked for its history. Where the ahead file has no room, the entry goes into SQLite with all that waits.

The last `keep_versions` versions are kept with their contents (kept_versions.py). The contents of older versions, each
one more copy of the secrets, are overwritten. The committed version also lies by itself, in the table `newest`: an
earlier confcast reads and writes that alone. sqlite_file.py opens and copies the file.

If `durable`, a reload flushes once: its version, or, where there was none, its event. The event of a version is flushed
with the next fold: a death of the machine before that (0.25 s) costs the history one line, and no version.

Rejected: a file written and renamed for each version (no roster and totals beside it), asking the connection that
failed whether the write took place (after a failed flush it says no while the log on disk says yes, and the next
owner would read a version that was never committed), and folding before each read (it needs both ways all the same,
since a full disk can be read and not folded).
"""

from __future__ import annotations

import operator
import time
import zlib
from collections.abc import Iterable
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from confcast.owner.store import event_counts, kept_versions, made_from, masked_rows, operator_row, store_log
from confcast.owner.store.ahead_file import AheadFile, Entry
from confcast.owner.store.entries import (
    EVENT,
    STATE,
    VERSION,
    Limits,
    StateRow,
    VersionRow,
    Waiting,
    decode_event,
    encode,
    put_state,
    read_totals,
    that_fit,
)
from confcast.owner.store.kept_versions import KeptVersion, Unreadable
from confcast.owner.store.sqlite_file import Database, JournalError, TornJournal
from confcast.wire.measured import EventCounts
from confcast.wire.messages import UNDECODABLE, ReloadEvent

if TYPE_CHECKING:
    from confcast.owner.store.deliveries import Deliveries

__all__ = ["Journal", "JournalError", "KeptVersion", "StateRow", "TornJournal", "VersionRow"]


_TABLES = """
CREATE TABLE newest(
    one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL, digest BLOB NOT NULL, schema BLOB NOT NULL,
    checksum INTEGER NOT NULL, timestamp REAL NOT NULL, payload BLOB NOT NULL);
CREATE TABLE floor(one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL);
CREATE TABLE roster(pid INTEGER PRIMARY KEY, started INTEGER NOT NULL);
CREATE TABLE event(id INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE totals(
    one INTEGER PRIMARY KEY CHECK (one = 1), successful INTEGER NOT NULL DEFAULT 0, failed INTEGER NOT NULL DEFAULT 0,
    suppressed INTEGER NOT NULL DEFAULT 0, last_time REAL, last_result TEXT, sum_ms REAL NOT NULL DEFAULT 0,
    max_ms REAL NOT NULL DEFAULT 0, owner_restarts INTEGER NOT NULL DEFAULT 0);
INSERT INTO floor VALUES (1, 0);
INSERT INTO totals(one) VALUES (1);
"""

# This table is made when first used: a journal of an earlier confcast has no such table, and is opened as it is.
_SCHEMAS = "CREATE TABLE IF NOT EXISTS schemas(fingerprint BLOB PRIMARY KEY, fields BLOB NOT NULL)"

_HIGHEST = 2**63 - 1  # that SQLite takes: a version above it would wait for ever

_MOST = 2**62  # a larger limit means no limit: SQLite could not number so many

_decode_fields = msgspec.msgpack.Decoder(dict[str, str]).decode


class Journal:
    """The journal of one owner. For one thread, the owner's loop; no method waits for another process.

    Args:
        path: The file; it is made when it is missing, its folder is not.
        history_limit: How many events are kept, 0 or more.
        keep_versions: How many versions are kept, 1 or more.
        durable: Whether a recorded version must survive a crash of the machine, too.
        deliveries: What webhooks are owed, which is kept here; None without webhooks.

    Attributes:
        state: The state that was written together with the committed version.

    Raises:
        JournalError: The file or its folder can't be used, is torn, or is no journal of this version of confcast.
        ValueError: `history_limit` is negative, or `keep_versions` is not above 0.
    """

    def __init__(
        self,
        path: Path,
        *,
        history_limit: int = 100,
        keep_versions: int = 50,
        durable: bool = False,
        deliveries: Deliveries | None = None,
    ) -> None:
        if history_limit < 0:
            raise ValueError(f"history_limit must be 0 or more, not {history_limit}")
        if keep_versions < 1:
            raise ValueError(f"keep_versions must be 1 or more, not {keep_versions}")
        self._limits = Limits(min(history_limit, _MOST), min(keep_versions, _MOST), deliveries)
        self._reported = set[int]()  # versions whose damage was logged
        self._database = Database(path, _TABLES, durable=durable)
        self._ask = self._database.ask
        self._newest = self._high_water = self._number = self._cleared = 0
        self._waiting = Waiting()
        self._numbers_of: dict[bytes, list[int]] = {}  # of the versions that SQLite keeps, by content
        self._must_flush_event = True  # that of a reload which has flushed no version
        try:
            self._open_ahead()
        except BaseException:
            self._database.close()
            raise
        if deliveries is not None:
            deliveries.use(self._database)

    @property
    def mark(self) -> tuple[int, int]:
        """What changes with each version, state and event that is written, and whenever the history is cleared."""
        return self._number, self._cleared

    # ---- versions

    @property
    def high_water(self) -> int:
        """The highest number that any owner has given out or retired; 0 if there is none."""
        return self._high_water

    def latest(self) -> VersionRow | None:
        """The committed version; None before the first.

        Raises:
            JournalError: The row can't be read, or its payload is not what was written.
        """
        if (waiting := self._waiting.committed) is not None:
            return waiting.as_served()
        with self._database.explained("read"):
            query = "SELECT version, digest, schema, payload, timestamp, checksum FROM newest"
            found = self._ask(query).fetchone()
            if found is None:
                return None
            *values, checksum = found
            row = _checked(values)
            if zlib.crc32(row.payload) != checksum:  # SQLite has no checksum of its own once a page has left the log
                raise self._database.torn(f"the payload of version {row.version} is not what was written")
            kept = self._stored(row.version)
            made, masked = made_from.read(self._ask, row.version), masked_rows.read(self._ask, row.version)
        if kept is None or kept.digest != row.digest:
            return row
        return VersionRow.of(kept, row.payload, made, masked)

    def versions(self, limit: int | None = None) -> list[KeptVersion]:
        """The kept versions without their contents, newest first: `limit` at the most, all for None.

        One whose row is damaged is logged and left out. Raises JournalError.
        """
        count = self._limits.versions if limit is None else max(0, min(limit, self._limits.versions))
        with self._database.explained("read"):
            found = [self._waiting.kept(number) or self._stored(number) for number in self._numbers(count)]
        return self._judged(found)

    def was_good(self, digest: bytes) -> bool:
        """Whether a kept version with this content was good, whatever runs now. Raises JournalError.

        SQLite is asked only where it has such a version.
        """
        found = [self._waiting.kept(row.version) for row in self._waiting.versions if row.digest == digest]
        with self._database.explained("read"):
            found += [self._stored(number) for number in self._numbers_of.get(digest, ())]
        return any(each.proven for each in self._judged(found))

    def _judged(self, versions: Iterable[KeptVersion | None]) -> list[KeptVersion]:
        waiting, now = self._waiting, time.time()
        there = (each for each in versions if each is not None)
        kept = kept_versions.judge(there, waiting.judgements(), waiting.taken_back())
        return [each.as_of(now) for each in kept.values()]

    def version(self, number: int) -> VersionRow:
        """A kept version with its content. Raises JournalError: it is not kept, damaged, or the file can't be read."""
        with self._database.explained("read"):
            numbers = self._numbers(self._limits.versions)
            kept = (self._waiting.kept(number) or self._stored(number)) if number in numbers else None
        if kept is None:
            why = "is damaged" if number in self._reported else f"is not kept: {self._which_are(number, numbers)}"
            raise JournalError(f"version {number} in the journal {self._database.path} {why}")
        return self._with_content(kept)

    def _which_are(self, missing: int, numbers: list[int]) -> str:
        if numbers and missing > numbers[0]:
            return f"the newest is version {numbers[0]}"
        if len(numbers) < self._limits.versions or missing > numbers[-1]:
            return "there is no such version"
        return f"the last {self._limits.versions} are (keep_versions)"

    def fallback(self, number: int) -> VersionRow:
        """What a window falls back to, which is kept whatever the limit. Raises JournalError as `version` does."""
        with self._database.explained("read"):
            kept = self._waiting.kept(number) or self._stored(number)
        if kept is None:
            raise JournalError(f"version {number} in the journal {self._database.path} is damaged or gone")
        return self._with_content(kept)

    def content(self, kept: KeptVersion) -> bytes:
        """The content of a kept version. Raises JournalError: it is damaged, or the file can't be read."""
        payload = self._waiting.payloads.get(kept.digest)
        try:
            with self._database.explained("read"):
                masked = self._masked(kept.version)
                return masked + (kept_versions.content(self._ask, kept.digest) if payload is None else payload)
        except Unreadable as error:
            where = f"version {kept.version} in the journal {self._database.path}"
            raise JournalError(f"{where} is damaged: {error}") from None

    def has_content(self, digest: bytes) -> bool:
        """Whether a kept version's content is there and is what was written; a long one is not read for this."""
        with self._database.explained("read"):
            return digest in self._waiting.payloads or kept_versions.has_content(self._ask, digest)

    def record(self, row: VersionRow, state: StateRow = StateRow()) -> None:  # noqa: B008 - immutable
        """Commit a version and its state: once it returns, the file has both, whichever process dies.

        Raises:
            JournalError: The write failed, and only `holds()` can tell whether the version is there all the same;
                or (nothing is written then) its number is not above the committed one's.
        """
        if row.version <= self._newest:
            raise JournalError(f"version {row.version} can't follow version {self._newest} in {self._database.path}")
        with self._database.explained("written"):
            if row.version > _HIGHEST:
                raise OverflowError(f"{row.version} is no number of a version")
            stored = row.as_stored()
            self._write(VERSION, encode((stored, state)), self._waiting.with_version(stored, state), flush=True)
        self._must_flush_event = False
        self._newest, self.state = row.version, state
        self._high_water = max(self._high_water, row.version)

    def record_state(self, state: StateRow, *, flush: bool = True) -> None:
        """Commit a state beside the committed version, in the place of the one before; as `record` does.

        Raises:
            JournalError: The write failed, and only `holds_state()` can tell whether the state is there all the same.
        """
        with self._database.explained("written"):
            body = encode((self._newest, state))
            self._write(STATE, body, self._waiting.with_state(self._newest, state), flush=flush)
        self._must_flush_event = self._must_flush_event and not flush
        self.state = state

    def forgive(self) -> None:
        """Forget the digest of the content that was undone. Raises JournalError."""
        state = msgspec.structs.replace(self.state, refused=b"")
        if state != self.state:
            self.fold()  # or what waits would put it back
            with self._database.explained("written"), self._database.transaction():
                put_state(self._ask, self._newest, state)
            self.state = state

    def holds(self, version: int, digest: bytes) -> bool:
        """Whether the files have this version committed; for after a `record()` that raised.

        They are opened again, as the next owner would open them: what they then hold is final, either way.

        Raises:
            JournalError: A file can't be read, so that the outcome is unknown; the owner must exit without an answer.
        """
        self._read_again()
        if (waiting := self._waiting.committed) is not None:
            there = (waiting.version, waiting.digest) == (version, digest)
        else:
            query = "SELECT 1 FROM newest WHERE version = ? AND digest = ?"
            with self._database.explained("read back"):
                there = bool(self._ask(query, (version, digest)).fetchall())
        return there and self._is_flushed()

    def holds_state(self, serial: int) -> bool:
        """Whether the files have the state with this serial number; for after a `record_state()` that raised.

        As `holds`, of which it raises the same.
        """
        self._read_again()
        return self.state.operator.serial == serial and self._is_flushed()

    def _read_again(self) -> None:
        self._database.reopen()
        self._ahead.close()
        self._open_ahead()

    def _is_flushed(self) -> bool:
        """Flush what was found, since it may be the flush that failed. Returns True."""
        if self._database.durable:
            self.fold()
            with self._database.explained("read back"):
                self._database.flush()
        return True

    def retire(self, version: int) -> None:
        """Raise the high-water number to `version`, so that no owner gives out that number. Raises JournalError."""
        if version > self._high_water:
            with self._database.explained("written"):
                self._ask("UPDATE floor SET version = ?", (version,))
            self._high_water = version

    def in_place(self) -> bool:
        """Whether the journal's path still is the open file. To be checked before each load, and before `fold()`.

        SQLite goes on committing into a file that was deleted or replaced.
        """
        return self._database.in_place()

    def can_append(self) -> bool:
        """Whether what is written next is where the next owner looks for it. To be checked before each `record()`."""
        return self._ahead.in_place() if self._ahead.exists else self.in_place()

    def renew_ahead(self) -> None:
        """Begin another ahead file, since this one was deleted; what waited in it is folded. Raises JournalError."""
        store_log.made_anew(self._ahead.path)
        self.fold()
        self._ahead.renew()

    # ---- what is ahead of SQLite

    def fold(self) -> None:
        """Take all that waits into SQLite; while idle. Raises JournalError: then it still waits, and is read there."""
        if self._waiting != Waiting():
            with self._database.explained("written"):
                self._fold(self._waiting, self._number)
            self._database.shrink()

    def _write(self, kind: int, body: bytes, after: Waiting, *, flush: bool) -> None:
        """Append an entry, after which that waits. Raises what SQLite and the system raise."""
        if (number := self._number + 1) > _HIGHEST:
            raise OverflowError(f"{number} is no number of an entry")
        if self._ahead.has_room_for(body):
            self._ahead.append(Entry(number, kind, body), flush=flush)
            self._waiting, self._number = after, number
        else:
            self._fold(after, number)

    def _fold(self, waiting: Waiting, number: int) -> None:
        self._database.keep_log()
        with self._database.transaction():
            waiting.take_in(self._ask, number, self._limits)
        self._waiting, self._number = Waiting(), number
        self._ahead.clear()
        self._numbers_of = kept_versions.by_content(self._ask)

    def _open_ahead(self) -> None:
        """Open the ahead file, and read what a former owner left there; the heights and the state are of both files."""
        with self._database.explained("opened"):
            self._ahead = AheadFile(self._database.path, durable=self._database.durable)
        try:
            self._newest, self._high_water = self._heights()
            self.state = self._state()
            self._number = self._folded()
            self._waiting = self._unfolded()
            with self._database.explained("read"):
                self._numbers_of = kept_versions.by_content(self._ask)
        except BaseException:
            self._ahead.close()
            raise
        if self._waiting.state is not None:
            self.state, self._newest = self._waiting.state, self._waiting.state_of
            self._high_water = max(self._high_water, self._newest)

    def _unfolded(self) -> Waiting:
        """What the ahead file has and SQLite has not; `_number` becomes that of its last entry."""
        waiting = Waiting()
        with self._database.explained("read"):
            entries = self._ahead.read()
        for entry in entries:
            if entry.number <= self._number:
                continue
            self._number = entry.number
            try:
                waiting = waiting.with_entry(entry)
            except UNDECODABLE as error:  # its checksum is right, so nothing is damaged
                raise JournalError(
                    f"{self._ahead.path} has an entry that this version of confcast can't read ({error}). "
                    "Run the version that wrote it, and stop that one"
                ) from error
        return waiting.above(self._newest)  # an older confcast, which reads no ahead file, went on without them

    def _folded(self) -> int:
        with self._database.explained("read"):
            if not self._ask("SELECT 1 FROM sqlite_master WHERE name = 'folded'").fetchone():
                return 0
            found = self._ask("SELECT number FROM folded").fetchone()
            return _height(found[0]) if found else 0

    # ---- the schemas

    def describe(self, schema: bytes, fields: dict[str, str]) -> None:
        """Store the field table of a schema, and delete all others but those of the kept versions' schemas.

        An owner that is restarted under other code can't compute them, and must report which fields differ. Raises
        JournalError.
        """
        self.fold()  # what is kept depends on the versions
        with self._database.explained("written"), self._database.transaction():
            self._ask(_SCHEMAS)
            kept_versions.make_tables(self._ask)
            needed = "SELECT schema FROM newest UNION SELECT schema FROM kept"
            self._ask(f"DELETE FROM schemas WHERE fingerprint NOT IN ({needed})")  # noqa: S608 (our own text)
            self._ask("INSERT OR REPLACE INTO schemas VALUES (?, ?)", (schema, encode(fields)))

    def described(self, schema: bytes) -> dict[str, str]:
        """The field table of a schema; empty when none can be read, which does not harm the version.

        Raises JournalError.
        """
        with self._database.explained("read"):
            if not self._ask("SELECT 1 FROM sqlite_master WHERE name = 'schemas'").fetchone():
                return {}
            found = self._ask("SELECT fields FROM schemas WHERE fingerprint = ?", (schema,)).fetchone()
        try:
            return _decode_fields(found[0]) if found else {}
        except (*UNDECODABLE, TypeError) as error:
            store_log.fields_unreadable(self._database.path, error)
            return {}

    # ---- the roster

    def add_member(self, pid: int, started: int) -> None:
        """Put a process on the roster, in the place of an older one with that pid. Raises JournalError.

        Args:
            pid: Its process id.
            started: Its start time in clock ticks since boot, since another process may later have the same pid.
        """
        with self._database.explained("written"):
            self._ask("INSERT OR REPLACE INTO roster VALUES (?, ?)", (pid, started))

    def remove_member(self, pid: int) -> None:
        """Take a process off the roster, if it is on it. Raises JournalError."""
        with self._database.explained("written"):
            self._ask("DELETE FROM roster WHERE pid = ?", (pid,))

    def roster(self) -> list[tuple[int, int]]:
        """Every process on the roster as (pid, start time in clock ticks), by pid. Raises JournalError."""
        with self._database.explained("read"):
            rows = self._ask("SELECT pid, started FROM roster ORDER BY pid")
            return [(operator.index(pid), operator.index(started)) for pid, started in rows]

    # ---- history and totals

    def add_event(self, event: ReloadEvent) -> None:
        """Add an event to the history, and count it in the totals, in one write.

        The first load (origin `start`, then perhaps `last_good`) and a re-issue are in the history, not in the totals.
        Raises JournalError.
        """
        body = encode(event)
        with self._database.explained("written"):
            self._write(EVENT, body, self._waiting.with_event(body), flush=self._must_flush_event)
        self._must_flush_event = True

    def events(self, limit: int | None = None) -> list[ReloadEvent]:
        """The history, newest first: `limit` events at the most, all for None. Raises JournalError.

        A reload of thousands of keys makes a large event: at most so many are returned as fit into one answer.
        """
        count = self._limits.events if limit is None else max(0, min(limit, self._limits.events))
        with self._database.explained("read"):
            rows = self._ask("SELECT body FROM event ORDER BY id DESC LIMIT ?", (count,))
            newest_first = chain(reversed(self._waiting.events), (body for (body,) in rows))
            bodies = list(that_fit(islice(newest_first, count)))
        try:
            return [decode_event(body) for body in bodies]
        except (*UNDECODABLE, TypeError) as error:
            raise self._database.torn(f"an event can't be read ({error})") from None

    def clear_events(self) -> None:
        """Empty the history; the totals stay. Raises JournalError."""
        self.fold()  # what waits counts in the totals
        with self._database.explained("written"):
            self._ask("DELETE FROM event")
        self._cleared += 1

    def totals(self) -> dict[str, Any]:
        """The figures of all owners since the journal was made. Raises JournalError.

        `total_reloads` = `successful_reloads` (SUCCESS, PARTIAL) + `suppressed` (UNCHANGED) + `held_reloads` (HELD) +
        `failed_reloads`; `conflicts` (CONFLICT) are none, since nothing was loaded;
        `last_reload_time` in seconds since 1970 and `last_reload_result` as text, both None before the first;
        `mean_duration_ms` and `max_duration_ms` over all reloads, in milliseconds; `owner_restarts`; `webhooks`.
        """
        with self._database.explained("read"):
            totals = self._waiting.add_to(read_totals(self._ask))
            webhooks = [] if self._limits.deliveries is None else self._limits.deliveries.totals()
            return {**totals.told(), "webhooks": webhooks}

    def counts(self) -> EventCounts:
        """What all events were, since the journal was made. Raises JournalError."""
        with self._database.explained("read"):
            return self._waiting.add_to_counts(event_counts.read(self._ask))

    def count_restart(self) -> None:
        """Count one more restart of the owner. Raises JournalError."""
        with self._database.explained("written"):
            self._ask("UPDATE totals SET owner_restarts = owner_restarts + 1")

    def copy_to(self, path: Path) -> None:
        """Replace the journal at this path, which no process has open, by a copy of this one. Raises JournalError."""
        with self._database.explained(f"copied to {path}"):
            self._database.copy_to(path, lambda ask: self._waiting.take_in(ask, self._number, self._limits))

    def close(self) -> None:
        """Close the files; harmless when called again. What can't be folded stays where it is, for the next owner."""
        try:
            if self.in_place():  # else another journal may be there, whose ahead file has the same name
                self.fold()
                with self._database.explained("written"):
                    self._ahead.remove()
        except JournalError as error:
            store_log.stays_ahead(self._ahead.path, error)
        self._ahead.close()
        self._database.close()

    def _with_content(self, kept: KeptVersion) -> VersionRow:
        number, payload = kept.version, self._waiting.payloads.get(kept.digest)
        try:
            with self._database.explained("read"):
                payload = kept_versions.content(self._ask, kept.digest) if payload is None else payload
                made = self._waiting.made_from(number) or made_from.read(self._ask, number)
                masked = self._masked(number)
        except Unreadable as error:
            raise JournalError(f"version {number} in the journal {self._database.path} is damaged: {error}") from None
        return VersionRow.of(kept, payload, made, masked)

    def _masked(self, number: int) -> bytes:
        """The header of a version's payload. Raises what SQLite raises."""
        waiting = self._waiting.masked(number)
        return masked_rows.read(self._ask, number) if waiting is None else waiting

    def _numbers(self, count: int) -> list[int]:
        """The numbers of the newest `count` versions, newest first. Raises what SQLite raises."""
        waiting = (row.version for row in self._waiting.versions)
        return sorted({*waiting, *kept_versions.numbers(self._ask, count)}, reverse=True)[:count]

    def _stored(self, number: int) -> KeptVersion | None:
        """The version in SQLite; None if its row is damaged. Of the committed one `newest` has enough without a row."""
        for read in (kept_versions.read, kept_versions.read_newest):
            try:
                if (found := read(self._ask, number)) is not None:
                    return found
            except Unreadable as error:
                if number not in self._reported:
                    store_log.row_unreadable(self._database.path, error)
                self._reported.add(number)
        return None

    def _state(self) -> StateRow:
        with self._database.explained("read"):
            if not self._ask("SELECT 1 FROM sqlite_master WHERE name = 'state'").fetchone():
                return StateRow()
            found = self._ask("SELECT undo, refused FROM state").fetchone()
            operator = operator_row.read(self._ask, self._newest)
        undo, refused = found or (0, b"")
        return StateRow(undo, refused, operator)

    def _heights(self) -> tuple[int, int]:
        """The number of the committed version, and the high-water number."""
        query = "SELECT coalesce((SELECT version FROM newest), 0), (SELECT version FROM floor)"
        with self._database.explained("read"):
            newest, high_water = map(_height, self._ask(query).fetchone())
        return newest, max(newest, high_water)


def _height(found: Any) -> int:
    """A number that only rises, from 0 on. Raises TypeError, ValueError: it is none."""
    if (number := operator.index(found)) < 0:
        raise ValueError(f"{number} is below 0")
    return number


def _checked(values: list[Any]) -> VersionRow:
    """The row, if each value has the type that was written: SQLite keeps any type in any column. Raises ValueError."""
    return msgspec.convert(dict(zip(VersionRow.__struct_fields__, values, strict=False)), VersionRow)
