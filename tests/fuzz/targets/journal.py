"""A journal that is not what was written: rows of SQLite with another value, and an ahead file with other entries.

An input is a list of steps: a row that is changed, an entry with a checksum that fits, bytes behind the last one.
Declared: JournalError (`owner/store/sqlite_file.py`). What can be read is whole: a payload is its digest's.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import zlib
from pathlib import Path
from typing import Any

import msgspec

from confcast.owner.core.machine import Committed, Core, Rules
from confcast.owner.core.operator_state import Hold, OperatorState, Window
from confcast.owner.loop.core_clock import with_dates, with_times
from confcast.owner.loop.falling_back import falls_back
from confcast.owner.store.ahead_file import _CHECKSUM, _HEAD
from confcast.owner.store.entries import EVENT, STATE, VERSION, StateRow, VersionRow, encode
from confcast.owner.store.journal import Journal, JournalError
from confcast.wire.messages import Change, Problem, ReloadEvent, ReloadResult, Who
from tests.fuzz import loading
from tests.fuzz.bounds import Cut

FORM = "msgpack"
ROW, ENTRY, TAIL = range(3)

_FOLDER = loading.own_folder(__name__)
_TEMPLATE, _PATH = _FOLDER / "template.sqlite3", _FOLDER / "journal.sqlite3"
_OPERATOR = OperatorState(hold=Hold(3, 1.0, Who(0, 7, "x"), "why"))


def _row(version: int, payload: bytes = b"payload", **more: Any) -> VersionRow:
    return VersionRow(version, zlib.crc32(payload).to_bytes(16), b"s" * 16, payload, 1700000000.0 + version, **more)


def _event(version: int, result: ReloadResult = ReloadResult.SUCCESS) -> ReloadEvent:
    problems, changes = [Problem("a", "no", "x:1:1")], [Change("a", 1, "b")]
    return ReloadEvent(timestamp=1.7e9, result=result, version=version, problems=problems, changes=changes)


def _made() -> list[tuple[str, str]]:
    """Make the template; its tables and their columns."""
    journal = Journal(_TEMPLATE)
    for version in (1, 2, 3):
        journal.record(
            _row(version, b"p%d" % version, origin="call", who=Who(0, 7, "x"), values=b"v"),
            StateRow(operator=_OPERATOR),
        )
        journal.add_event(_event(version))
    journal.describe(b"s" * 16, {"a": "int"})
    journal.add_member(12, 34)
    journal.close()
    with contextlib.closing(sqlite3.connect(_TEMPLATE)) as connection:
        tables = [
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
        ]
        return [(table, row[1]) for table in tables for row in connection.execute(f"PRAGMA table_info({table})")]


_COLUMNS = _made()


def entry(kind: int, body: bytes) -> bytes:
    """The step of an entry."""
    return bytes([ENTRY, kind]) + len(body).to_bytes(2) + body


def row(column: int, kind: int, value: bytes) -> bytes:
    """The step of a row."""
    return bytes([ROW, column, kind]) + len(value).to_bytes(2) + value


def numbered(number: int, kind: int, body: bytes) -> bytes:
    """An entry as it stands in the file."""
    rest = _HEAD.pack(len(body), number, kind) + body
    return _CHECKSUM.pack(zlib.crc32(rest)) + rest


def seeds():
    yield entry(VERSION, encode((_row(4), StateRow(operator=_OPERATOR)))) + entry(EVENT, encode(_event(4)))
    yield entry(STATE, encode((3, StateRow(3, b"r" * 16)))) + entry(EVENT, encode(_event(3, ReloadResult.UNDONE)))
    window = OperatorState(window=Window(2, 9.0, 8.0, 5.0, 1.0))
    yield entry(VERSION, encode((_row(4, proves=5.0, provisional=True), StateRow(operator=window)))) + bytes(
        [TAIL, 0, 2, 1, 2]
    )
    for column in range(len(_COLUMNS)):
        yield row(column, column % 5, b"7")


def one(data: bytes) -> None:
    shutil.copyfile(_TEMPLATE, _PATH)
    ahead = Path(f"{_PATH}-ahead")
    cut, content, number = Cut(data), b"", 100
    with contextlib.closing(sqlite3.connect(_PATH, isolation_level=None)) as connection:
        while cut:
            kind = cut.byte() % 3
            if kind == ROW:
                _change(connection, *_COLUMNS[cut.byte() % len(_COLUMNS)], cut.byte(), cut.chunk())
            elif kind == ENTRY:
                of, body, number = cut.byte() % 5, cut.chunk(), number + 1
                content += numbered(number, of, body)
            else:
                content += cut.chunk()
    ahead.write_bytes(content)
    with contextlib.suppress(JournalError):
        _use(Journal(_PATH))
    for left in _PATH.parent.glob("journal.sqlite3*"):
        left.unlink()


def _change(connection: sqlite3.Connection, table: str, column: str, kind: int, value: bytes) -> None:
    given: Any = (value, value.decode(errors="replace"), int.from_bytes(value[:8], signed=True), None, len(value) / 7)[
        kind % 5
    ]
    with contextlib.suppress(sqlite3.Error):
        connection.execute(f"UPDATE {table} SET {column} = ?", (given,))


def _use(journal: Journal) -> None:
    """All that an owner reads, each of which may raise JournalError; then what it writes."""
    try:
        reads: list[Any] = [
            journal.latest,
            journal.versions,
            journal.totals,
            lambda: journal.events(None),
            lambda: journal.roster(),
            lambda: journal.counts(),
            lambda: journal.version(2),
            lambda: journal.fallback(3),
            lambda: journal.was_good(b"x"),
            lambda: journal.described(b"s" * 16),
            lambda: journal.has_content(b"x" * 16),
        ]
        for read in reads:
            with contextlib.suppress(JournalError):
                msgspec.msgpack.encode(read(), enc_hook=repr)
        newest = journal.latest()
        _start(journal, newest)
        with contextlib.suppress(JournalError):
            journal.record(_row((newest.version if newest else 0) + 1), StateRow())
        journal.add_event(_event(5))
        journal.fold()
        journal.versions()
    finally:
        journal.close()


def _start(journal: Journal, row: VersionRow | None) -> None:
    """As an owner starts from what it finds."""
    state = journal.state
    operator, fallback = falls_back(with_times(state.operator), row, journal)
    committed = None
    if row is not None:
        committed = Committed(row.version, row.digest, row.payload, state.undo == row.version, row.values)
    roster = tuple(pid for pid, _ in journal.roster())
    rules, high_water = Rules(schema=b"s" * 16), journal.high_water
    core = Core(
        rules,
        committed=committed,
        high_water=high_water,
        roster=roster,
        refused=state.refused,
        operator=operator,
        fallback=fallback,
        now=100.0,
    )
    core.begin()
    msgspec.msgpack.encode(with_dates(core.operator))
