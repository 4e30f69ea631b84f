"""The journal keeps what must outlive an owner: the committed version, the roster, the history and the totals.

Guarantees. `record()` is the commit point: once it has returned, the version outlives the death of every process (and
of the machine, if `durable`); when it raised, `holds()` reads from the file itself whether the version is there.

How. A version is one row that is replaced by one statement, its own transaction: nothing else can make it fail, and the
new payload replaces the old one. Older payloads are not kept: a restart needs the newest only, the history has the
changes, and each payload would be one more copy of the secrets. sqlite_file.py opens and copies the file.

Rejected: a file written and renamed for each version (it would hold no roster and no totals), asking the connection
that failed whether the write took place (after a failed flush it may say no though the log on disk has the version,
which the next owner would then read).
"""

from __future__ import annotations

import logging
import operator
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from confcast.owner.store.sqlite_file import Database, JournalError, TornJournal
from confcast.wire.messages import MAX_FRAME, UNDECODABLE, ReloadEvent, ReloadResult, WithSecrets

__all__ = ["Journal", "JournalError", "TornJournal", "VersionRow"]

_log = logging.getLogger("confcast.journal")

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

_COUNT = """UPDATE totals SET successful = successful + ?, failed = failed + ?, suppressed = suppressed + ?,
    last_time = ?, last_result = ?, sum_ms = sum_ms + ?, max_ms = max(max_ms, ?)"""

# Made when first used, too. `undo`: the version that put back earlier content; `refused`: the digest that it undid.
_STATE = "CREATE TABLE IF NOT EXISTS state(one INTEGER PRIMARY KEY CHECK (one = 1), undo INTEGER, refused BLOB)"

_UNCOUNTED = frozenset({"start", "reissue", "late"})

_MOST_EVENTS = 2**62  # a larger limit means no limit: SQLite could not number so many

_ENVELOPE = 1024  # bytes that an answer has at most beside its events

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(ReloadEvent).decode
_decode_fields = msgspec.msgpack.Decoder(dict[str, str]).decode


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
        undo: The number of the committed version if it put back earlier content, otherwise another number.
        refused: The digest of the undone content, until the content changes; empty for none. Never shown.
    """

    SHOWN = ("undo",)

    undo: int = 0
    refused: bytes = b""


class Journal:
    """The journal of one owner. For one thread, the owner's loop; no method waits for another process.

    Args:
        path: The file; it is made when it is missing, its folder is not.
        history_limit: How many events are kept, 0 or more.
        durable: Whether a recorded version must survive a crash of the machine, too.

    Attributes:
        state: The state that was written together with the committed version.

    Raises:
        JournalError: The file or its folder can't be used, is torn, or is no journal of this version of confcast.
        ValueError: `history_limit` is negative.
    """

    def __init__(self, path: Path, *, history_limit: int = 100, durable: bool = False) -> None:
        if history_limit < 0:
            raise ValueError(f"history_limit must be 0 or more, not {history_limit}")
        self._limit = min(history_limit, _MOST_EVENTS)
        self._database = Database(path, _TABLES, durable=durable)
        self._ask = self._database.ask
        try:
            self._newest, self._high_water = self._heights()
            self.state = self._state()
        except BaseException:
            self._database.close()
            raise

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
        with self._database.explained("read"):
            query = "SELECT version, digest, schema, payload, timestamp, checksum FROM newest"
            found = self._ask(query).fetchone()
            if found is None:
                return None
            *values, checksum = found
            row = _checked(values)
            if zlib.crc32(row.payload) != checksum:  # SQLite has no checksum of its own once a page has left the log
                raise self._database.torn(f"the payload of version {row.version} is not what was written")
        return row

    def record(self, row: VersionRow, state: StateRow = StateRow()) -> None:  # noqa: B008 - immutable
        """Commit a version and its state: once it returns, the file has both, whichever process dies.

        Raises:
            JournalError: The write failed, and only `holds()` can tell whether the version is there all the same;
                or (nothing is written then) its number is not above the committed one's.
        """
        if row.version <= self._newest:
            raise JournalError(f"version {row.version} can't follow version {self._newest} in {self._database.path}")
        with self._database.explained("written"):
            if state == self.state:  # nearly always, and one statement is its own transaction
                self._put(row)
            else:
                with self._database.transaction():
                    self._put(row)
                    self._put_state(state)
        self._newest, self.state = row.version, state
        self._high_water = max(self._high_water, row.version)

    def forgive(self) -> None:
        """Forget the digest of the content that was undone. Raises JournalError."""
        state = StateRow(self.state.undo)
        if state != self.state:
            with self._database.explained("written"), self._database.transaction():
                self._put_state(state)
            self.state = state

    def _put(self, row: VersionRow) -> None:
        self._ask(
            "INSERT OR REPLACE INTO newest VALUES (1, ?, ?, ?, ?, ?, ?)",
            (row.version, row.digest, row.schema, zlib.crc32(row.payload), row.timestamp, row.payload),
        )

    def _put_state(self, state: StateRow) -> None:
        self._ask(_STATE)
        self._ask("INSERT OR REPLACE INTO state VALUES (1, ?, ?)", (state.undo, state.refused))

    def holds(self, version: int, digest: bytes) -> bool:
        """Whether the file has this version committed; to be called after a `record()` that raised.

        The file is opened again, as the next owner would open it: what it then holds is final, either way.

        Raises:
            JournalError: The file can't be read, so that the outcome is unknown; the owner must exit without an answer.
        """
        self._database.reopen()
        with self._database.explained("read back"):
            rows = self._ask("SELECT 1 FROM newest WHERE version = ? AND digest = ?", (version, digest)).fetchall()
            if rows and self._database.durable:
                self._database.flush()  # what failed may have been the flush
        self._newest, self._high_water = self._heights()
        self.state = self._state()
        return bool(rows)

    def retire(self, version: int) -> None:
        """Raise the high-water number to `version`, so that no owner gives out that number. Raises JournalError."""
        if version > self._high_water:
            with self._database.explained("written"):
                self._ask("UPDATE floor SET version = ?", (version,))
            self._high_water = version

    def in_place(self) -> bool:
        """Whether the journal's path still leads to the open file.

        Must be checked before each write: SQLite goes on committing into a file that was deleted or replaced.
        """
        return self._database.in_place()

    # ---- the schemas

    def describe(self, schema: bytes, fields: dict[str, str]) -> None:
        """Store the field table of a schema, and delete all others but that of the committed version's schema.

        An owner that is restarted under other code can't compute it, and must report which fields differ. Raises
        JournalError.
        """
        with self._database.explained("written"), self._database.transaction():
            self._ask(_SCHEMAS)
            self._ask("DELETE FROM schemas WHERE fingerprint NOT IN (SELECT schema FROM newest)")
            self._ask("INSERT OR REPLACE INTO schemas VALUES (?, ?)", (schema, _encode(fields)))

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
            _log.warning("the journal %s has a field table that can't be read: %s", self._database.path, error)
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
        """Add an event to the history, delete the oldest beyond the limit, and count in the totals, in one transaction.

        The first load (origin `start`) and a re-issue are in the history, not in the totals. Raises JournalError.
        """
        with self._database.explained("written"), self._database.transaction():
            cursor = self._ask("INSERT INTO event(body) VALUES (?)", (_encode(event),))
            newest = cursor.lastrowid or 0
            self._ask("DELETE FROM event WHERE id <= ?", (newest - self._limit,))
            if event.origin not in _UNCOUNTED:
                self._ask(_COUNT, _counted(event))

    def events(self, limit: int | None = None) -> list[ReloadEvent]:
        """The history, newest first: `limit` events at the most, all for None. Raises JournalError.

        A reload of thousands of keys makes a large event: at most so many are returned as fit into one answer.
        """
        count = self._limit if limit is None else max(0, min(limit, self._limit))
        with self._database.explained("read"):
            rows = self._ask("SELECT body FROM event ORDER BY id DESC LIMIT ?", (count,))
            bodies = list(_that_fit(body for (body,) in rows))
        try:
            return [_decode(body) for body in bodies]
        except (*UNDECODABLE, TypeError) as error:
            raise self._database.torn(f"an event can't be read ({error})") from None

    def clear_events(self) -> None:
        """Empty the history; the totals stay. Raises JournalError."""
        with self._database.explained("written"):
            self._ask("DELETE FROM event")

    def totals(self) -> dict[str, Any]:
        """The figures of all owners since the journal was made. Raises JournalError.

        `total_reloads` = `successful_reloads` (SUCCESS, PARTIAL) + `suppressed` (UNCHANGED) + `failed_reloads`;
        `last_reload_time` in seconds since 1970 and `last_reload_result` as text, both None before the first;
        `mean_duration_ms` and `max_duration_ms` over all reloads, in milliseconds; `owner_restarts`.
        """
        columns = "successful, failed, suppressed, last_time, last_result, sum_ms, max_ms, owner_restarts"
        with self._database.explained("read"):
            row = self._ask(f"SELECT {columns} FROM totals").fetchone()  # noqa: S608 (our own names)
            successful, failed, suppressed, last_time, last_result, sum_ms, max_ms, restarts = row
            total = successful + failed + suppressed
            return {
                "total_reloads": total,
                "successful_reloads": successful,
                "failed_reloads": failed,
                "suppressed": suppressed,
                "last_reload_time": last_time,
                "last_reload_result": last_result,
                "mean_duration_ms": sum_ms / total if total else 0.0,
                "max_duration_ms": max_ms,
                "owner_restarts": restarts,
            }

    def count_restart(self) -> None:
        """Count one more restart of the owner. Raises JournalError."""
        with self._database.explained("written"):
            self._ask("UPDATE totals SET owner_restarts = owner_restarts + 1")

    def copy_to(self, path: Path) -> None:
        """Replace the journal at this path, which no process has open, by a copy of this one. Raises JournalError."""
        with self._database.explained(f"copied to {path}"):
            self._database.copy_to(path)

    def close(self) -> None:
        """Close the file; does nothing when called again. Writes that fail stay in the log beside the file."""
        self._database.close()

    def _state(self) -> StateRow:
        with self._database.explained("read"):
            if not self._ask("SELECT 1 FROM sqlite_master WHERE name = 'state'").fetchone():
                return StateRow()
            found = self._ask("SELECT undo, refused FROM state").fetchone()
        return StateRow(*found) if found else StateRow()

    def _heights(self) -> tuple[int, int]:
        """The number of the committed version, and the high-water number."""
        query = "SELECT coalesce((SELECT version FROM newest), 0), (SELECT version FROM floor)"
        with self._database.explained("read"):
            newest, high_water = map(operator.index, self._ask(query).fetchone())
        return newest, max(newest, high_water)


def _checked(values: list[Any]) -> VersionRow:
    """The row, if each value has the type that was written: SQLite keeps any type in any column. Raises ValueError."""
    return msgspec.convert(dict(zip(VersionRow.__struct_fields__, values, strict=True)), VersionRow)


def _that_fit(bodies: Iterable[bytes]) -> Iterator[bytes]:
    room = MAX_FRAME - _ENVELOPE
    for body in bodies:
        room -= len(body)
        if room < 0:
            return
        yield body


def _counted(event: ReloadEvent) -> tuple[Any, ...]:
    suppressed = event.result is ReloadResult.UNCHANGED
    successful = bool(event) and not suppressed
    kind = (successful, not bool(event), suppressed)
    return (*kind, event.timestamp, event.result.value, event.duration_ms, event.duration_ms)
