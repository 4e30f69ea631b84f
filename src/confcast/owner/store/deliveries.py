"""The messages that webhooks are owed, in the journal: from the event that makes them until each was taken, or dropped.

Guaranteed. What is owed for an event is written by the transaction that takes the event from the ahead file into
SQLite: neither is there without the other, whenever an owner dies. It goes where the journal goes: to a restarted
owner, and to the next generation. A message leaves in the transaction that counts it as delivered, dropped or given up;
what was delivered and could not be noted is sent again, under the same id. A webhook owes 1,000 messages and 4 MiB at
the most, for three days at the most; the oldest are dropped, and counted.

A webhook is known by a hash of its URL. No secret of a webhook's is here, and no URL.

How. The tables are made when first used, so a journal of an owner without webhooks has none, and an earlier confcast
reads past them. Rejected: a cursor into the history (which is short, and may be emptied), and a file of its own (a
death between two files would lose a message, or tell what never was).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import msgspec

from confcast.log_fields import about
from confcast.owner.store.sqlite_file import Ask, Database
from confcast.owner.store.webhook_messages import Told, messages
from confcast.wire.messages import ReloadEvent
from confcast.wire.webhooks import Webhook

_log = logging.getLogger("confcast.owner")

_Kept = TypeVar("_Kept")

MOST, MOST_BYTES = 1000, 4 * 1024 * 1024
"""How much one webhook may owe."""

OLDEST = 3 * 86400.0
"""Seconds after which a message is dropped."""

_TABLES = (
    """CREATE TABLE IF NOT EXISTS webhook(key TEXT PRIMARY KEY, failures INTEGER NOT NULL DEFAULT 0,
        due REAL NOT NULL DEFAULT 0, due_fresh REAL NOT NULL DEFAULT 0, gone REAL NOT NULL DEFAULT 0,
        delivered INTEGER NOT NULL DEFAULT 0, failed INTEGER NOT NULL DEFAULT 0, dropped INTEGER NOT NULL DEFAULT 0,
        error TEXT NOT NULL DEFAULT '')""",
    """CREATE TABLE IF NOT EXISTS webhook_message(number INTEGER PRIMARY KEY, key TEXT NOT NULL, id TEXT NOT NULL,
        timestamp REAL NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, size INTEGER NOT NULL, body BLOB NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS webhook_next ON webhook_message(key, attempts, number, size)",  # all that sums read
    """CREATE TABLE IF NOT EXISTS webhook_told(
        one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL, held BLOB NOT NULL)""",
)

_DROP = """DELETE FROM webhook_message WHERE key = ? AND number NOT IN (
    SELECT number FROM (
        SELECT number, sum(size) OVER (ORDER BY number DESC) AS bytes FROM webhook_message WHERE key = ?
        ORDER BY number DESC LIMIT ?)
    WHERE bytes <= ?)"""
"""Keeps the newest that are not too many, and not too large together."""


_THIS = "number = ? AND id = ?"  # a journal that is made anew under a try gives its numbers to other messages


class Row(NamedTuple):
    """What is known of one webhook.

    Attributes:
        failures: How often it has failed in a row.
        due: When it is tried again, in seconds since 1970; 0.0: at once.
        due_fresh: The same, for a message that was not tried yet.
        gone: Since when its receiver wants no more, in seconds since 1970; 0.0: it does.
        delivered: How many messages were taken.
        failed: How many tries have failed.
        dropped: How many messages were given up.
        error: Why the last try has failed; empty if it has not.
    """

    failures: int = 0
    due: float = 0.0
    due_fresh: float = 0.0
    gone: float = 0.0
    delivered: int = 0
    failed: int = 0
    dropped: int = 0
    error: str = ""


class Delivery(NamedTuple):
    """A message that is owed: its number in the journal, its id, how often it was tried, and its body."""

    number: int
    id: str
    attempts: int
    body: bytes


class Deliveries:
    """What the webhooks of one owner are owed. For the loop's thread.

    Args:
        webhooks: They.
        name: The configuration's name.
        host: The host's name.
        untold: The message of a problem for which an event is not told; empty for none.

    Attributes:
        changed: Called when something new may be owed.
    """

    def __init__(self, webhooks: tuple[Webhook, ...], name: str, host: str, untold: str = "") -> None:
        self.changed: Callable[[], object] = lambda: None
        self._webhooks = {each.key: each for each in webhooks}
        self._about = (name, host, untold)
        self._database: Database

    def use(self, database: Database) -> None:
        """Use this journal's file from now on."""
        self._database = database

    # ---- within the journal's transaction

    def take_in(self, ask: Ask, events: Iterable[ReloadEvent]) -> None:
        """Owe the messages for these events, in the transaction that takes them in. Raises what SQLite raises."""
        events = list(events)
        if not events:
            return
        _make(ask)
        before = told = _told(ask)
        rows = list[tuple[str, str, float, int, bytes]]()
        wanting = {key: each for key, each in self._webhooks.items() if not _row(ask, key).gone}
        for event in events:
            try:
                found, told = messages(event, told, *self._about)
            except Exception as error:  # the event itself has to be taken in
                extra = about("webhook_without_event", error=type(error).__name__)
                _log.error("an event can't be told by webhooks: %s", type(error).__name__, extra=extra)
                continue
            for each in found:
                about_it = (each.id, each.timestamp, len(each.body), each.body)
                rows += [(key, *about_it) for key, webhook in wanting.items() if each.event in webhook.on]
        if told != before:
            ask("INSERT OR REPLACE INTO webhook_told VALUES (1, ?, ?)", told)
        for row in rows:
            ask("INSERT INTO webhook_message(key, id, timestamp, size, body) VALUES (?, ?, ?, ?, ?)", row)
        for key in {row[0] for row in rows}:
            self._bound(ask, key)
        self.changed()

    def _bound(self, ask: Ask, key: str) -> None:
        """Drop the oldest of what is too much."""
        owed = "SELECT count(*), sum(size) FROM webhook_message WHERE key = ?"
        count, size = ask(owed, (key,)).fetchone()
        if count > MOST or size > MOST_BYTES:
            self._dropped(ask, key, ask(_DROP, (key, key, MOST, MOST_BYTES)).rowcount)

    def _dropped(self, ask: Ask, key: str, count: int) -> None:
        if count > 0:
            row = _row(ask, key)
            _put(ask, key, row._replace(dropped=row.dropped + count))

    # ---- between the journal's transactions. Each raises JournalError.

    @contextmanager
    def _written(self) -> Iterator[Ask]:
        with self._database.explained("written"), self._database.transaction():
            _make(self._database.ask)
            yield self._database.ask

    def begin(self, *, afresh: bool) -> int:
        """Forget webhooks that are none any more; returns how many messages they were owed.

        `afresh`: a server starts: each webhook is tried again, at once, also one whose receiver wanted no more.
        """
        marks = ", ".join("?" * len(self._webhooks))
        with self._written() as ask:
            ask(f"DELETE FROM webhook WHERE key NOT IN ({marks})", (*self._webhooks,))  # noqa: S608 (our own text)
            statement = f"DELETE FROM webhook_message WHERE key NOT IN ({marks})"  # noqa: S608 (our own text)
            lost = ask(statement, (*self._webhooks,)).rowcount
            if afresh:
                ask("UPDATE webhook SET failures = 0, due = 0, due_fresh = 0, gone = 0, error = ''")
        return lost

    def row(self, key: str) -> Row:
        """What is known of a webhook."""
        with self._database.explained("read"):
            return _row(self._database.ask, key)

    def next(self, key: str) -> Delivery | None:
        """What this webhook is sent next: the oldest message of those that were tried least; None if none is owed."""
        query = "SELECT number, id, attempts, body FROM webhook_message WHERE key = ? ORDER BY attempts, number LIMIT 1"
        with self._database.explained("read"):
            found = self._database.ask(query, (key,)).fetchone() if _is_there(self._database.ask) else None
            return None if found is None else Delivery(*found)

    def drop_old(self, key: str, now: float) -> int:
        """Drop what has waited for too long. Returns how many messages."""
        with self._database.explained("read"):
            there = _is_there(self._database.ask)
            oldest = "SELECT 1 FROM webhook_message WHERE key = ? AND timestamp < ? LIMIT 1"
            if not there or not self._database.ask(oldest, (key, now - OLDEST)).fetchone():
                return 0
        with self._written() as ask:
            statement = "DELETE FROM webhook_message WHERE key = ? AND timestamp < ?"
            count = ask(statement, (key, now - OLDEST)).rowcount
            self._dropped(ask, key, count)
        return count

    def delivered(self, key: str, owed: Delivery) -> None:
        """A message was taken: nothing waits any more."""
        with self._written() as ask:
            ask(f"DELETE FROM webhook_message WHERE {_THIS}", (owed.number, owed.id))  # noqa: S608 (our own text)
            row = _row(ask, key)
            row = row._replace(delivered=row.delivered + 1, failures=0, due=0.0, due_fresh=0.0, error="")
            _put(ask, key, row)

    def failed(self, key: str, owed: Delivery, why: str, due: float, due_fresh: float) -> None:
        """A message was not taken: it is tried again."""
        with self._written() as ask:
            text = f"UPDATE webhook_message SET attempts = attempts + 1 WHERE {_THIS}"  # noqa: S608 (our own text)
            ask(text, (owed.number, owed.id))
            row = _row(ask, key)
            counts = {"failed": row.failed + 1, "failures": row.failures + 1}
            _put(ask, key, row._replace(**counts, due=due, due_fresh=due_fresh, error=why))

    def end(self, key: str, why: str, now: float) -> int:
        """The receiver wants no more. Returns how many messages are dropped."""
        with self._written() as ask:
            count = ask("DELETE FROM webhook_message WHERE key = ?", (key,)).rowcount
            row = _row(ask, key)
            _put(ask, key, row._replace(gone=now, failed=row.failed + 1, dropped=row.dropped + count, error=why))
        return count

    def owed(self, key: str) -> int:
        """How many messages a webhook is owed."""
        with self._database.explained("read"):
            return self._count(self._database.ask, key)

    def _count(self, ask: Ask, key: str) -> int:
        if not _is_there(ask):
            return 0
        return int(ask("SELECT count(*) FROM webhook_message WHERE key = ?", (key,)).fetchone()[0])

    def totals(self) -> list[dict[str, Any]]:
        """What is told of each webhook, in their order; times in seconds since 1970. Raises what SQLite raises."""
        ask = self._database.ask
        return [_told_of(each, _row(ask, key), self._count(ask, key)) for key, each in self._webhooks.items()]


def _told_of(webhook: Webhook, row: Row, pending: int) -> dict[str, Any]:
    return {
        "url": webhook.shown,
        "on": list(webhook.on),
        "delivered": row.delivered,
        "failed": row.failed,
        "pending": pending,
        "dropped": row.dropped,
        "error": row.error,
        "next_try": row.due if pending and row.due else None,
        "gone": row.gone or None,
    }


# Each of these raises what SQLite raises.


def _make(ask: Ask) -> None:
    for table in _TABLES:
        ask(table)


def _is_there(ask: Ask) -> bool:
    return ask("SELECT 1 FROM sqlite_master WHERE name = 'webhook_told'").fetchone() is not None


def _told(ask: Ask) -> Told:
    found = ask("SELECT version, held FROM webhook_told").fetchone()
    return _whole(found, Told) or Told()


def _row(ask: Ask, key: str) -> Row:
    columns = ", ".join(Row._fields)
    there = _is_there(ask)
    found = ask(f"SELECT {columns} FROM webhook WHERE key = ?", (key,)).fetchone() if there else None  # noqa: S608
    return _whole(found, Row) or Row()


def _whole(found: Any, kind: type[_Kept]) -> _Kept | None:
    """What was found, if each value has the type that was written; damage must keep no event from being taken in."""
    try:
        return None if found is None else msgspec.convert(found, kind)
    except msgspec.ValidationError:
        return None


def _put(ask: Ask, key: str, row: Row) -> None:
    marks = ", ".join("?" * (1 + len(row)))
    ask(f"INSERT OR REPLACE INTO webhook(key, {', '.join(Row._fields)}) VALUES ({marks})", (key, *row))  # noqa: S608
