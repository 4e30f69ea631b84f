"""The versions that the journal keeps in SQLite: a row for each of the last ones, and each content once.

Guarantees. A row and a content have checksums that are verified when they are read. One that is not what was written
costs its own version, and no other. Of versions beyond the limit nothing is left, and what they had is overwritten. The
newest row is never deleted.

How. All fields of a version but its content are one value, the body; `digest` and `schema` stand beside it, for the
statements that decide which contents and field tables are still needed. Each row is read by a statement of its own:
SQLite ends a statement at the first row that it can't read.

An earlier confcast knows neither table. It opens the journal and goes on: what it commits is only in `newest`, so
of its versions the last one alone is kept later, without origin and caller (`adopt`), and what it undoes stays good.

Rejected: a column for each field (a text that is no UTF-8 ends the statement, and a type that was changed needs a check
of its own), and a copy of the journal for each version (no transaction over all of them).
"""

from __future__ import annotations

import functools
import sqlite3
import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from confcast.owner.store.sqlite_file import Ask, tells_of_damage
from confcast.wire.messages import UNDECODABLE, ReloadEvent, Who, WithSecrets

# Made when first used: a journal of an earlier confcast has no such tables, and is opened as it is.
_KEPT = """CREATE TABLE IF NOT EXISTS kept(version INTEGER PRIMARY KEY, digest BLOB NOT NULL, schema BLOB NOT NULL,
    checksum INTEGER NOT NULL, body BLOB NOT NULL)"""
_CONTENT = """CREATE TABLE IF NOT EXISTS content(digest BLOB PRIMARY KEY, checksum INTEGER NOT NULL,
    payload BLOB NOT NULL)"""

_ADD = """INSERT INTO content VALUES (?, ?, ?) ON CONFLICT(digest)
    DO UPDATE SET checksum = excluded.checksum, payload = excluded.payload
    WHERE checksum IS NOT excluded.checksum OR payload IS NOT excluded.payload"""

_MOST_CHECKED = 256 * 1024
"""Bytes of a content that a listing reads to verify its checksum; of a longer one it looks at the length only."""

_SELECT = "SELECT {} FROM {} WHERE digest = ?"

UNDONE = "rejected"
CONFIRMED = "confirmed"
"""A judgement that leaves the verdict: no window is open any more in which the version would be provisional."""

_PUT_BACK = ("undo", "reissue", "expiry")
"""The origins of versions that may have the content of an earlier one, though nobody has gone back to it. Where the
time of a value has ended, the version with it is passed over: to go back there would set it again, without an end."""


class Unreadable(Exception):
    """What was read is not what was written. The text says what, and names no path."""


class KeptVersion(WithSecrets, frozen=True, omit_defaults=True):
    """One committed version, without its content.

    Attributes:
        version: Its number.
        digest: The hash of its content. Never shown in a repr, since a short content can be guessed by it.
        schema: The fingerprint of the schema that the content was written with.
        timestamp: When it was committed, in seconds since 1970.
        origin: What caused its load; empty: not known.
        who: The process that called; None where none did, or it is not known.
        reason: The reason that the caller gave; empty for none.
        undoes: The number of the version that it undid; 0 for none.
        verdict: How its barrier ended: `success` or `partial`; `rejected` once it was undone; empty: not yet.
        good: Whether it was settled, declined by no worker, and not undone.
        restores: The number of the version whose content a person has put back by it; 0 for none.
        provisional: Whether it was committed in a window, and nobody has confirmed it; or on probation, and was taken
            back, with it or with a later one.
        proves: The date until which it is on probation, whether or not another one has superseded it; 0.0: it is not.
    """

    SHOWN = ("version", "origin", "verdict", "good")

    version: int
    digest: bytes
    schema: bytes
    timestamp: float
    origin: str = ""
    who: Who | None = None
    reason: str = ""
    undoes: int = 0
    verdict: str = ""
    good: bool = False
    restores: int = 0
    provisional: bool = False
    proves: float = 0.0

    @property
    def proven(self) -> bool:
        """Whether it is good, was confirmed if it was committed in a window, and is not on probation any more."""
        return self.good and not self.provisional and not self.proves

    def as_of(self, date: float) -> KeptVersion:
        """The version at this date: a probation whose time is over is none."""
        return msgspec.structs.replace(self, proves=0.0) if 0.0 < self.proves <= date else self

    def taken_back(self, date: float) -> KeptVersion:
        """The version after an undo of this date, of it or of a later one: it never becomes good if it was not yet."""
        return msgspec.structs.replace(self, provisional=True) if self.proves > date else self

    def judged(self, judgement: Judgement) -> KeptVersion:
        """The version after this judgement. The first verdict stays, unless the version is undone; `good` may end."""
        _, verdict, good = judgement
        if verdict == CONFIRMED:
            open_yet = self.provisional or self.proves
            return msgspec.structs.replace(self, provisional=False, proves=0.0) if open_yet else self
        if verdict != UNDONE and self.verdict:
            verdict, good = self.verdict, good and self.good
        if (verdict, good) == (self.verdict, self.good):
            return self
        return msgspec.structs.replace(self, verdict=verdict, good=good)


class Judgement(NamedTuple):
    """What is now known of a version."""

    version: int
    verdict: str
    good: bool


class TakenBack(NamedTuple):
    """What was on probation at this date, between these two numbers, both excluded, does not become good by itself."""

    above: int
    below: int
    date: float

    def has(self, version: int) -> bool:
        """Whether the number is between them."""
        return self.above < version < self.below


def judgement_of(event: ReloadEvent) -> Judgement | None:
    """What this event says of the version that runs after it; None if nothing.

    A version is good once its barrier is closed and no worker has declined it. A worker that did not answer in time has
    declined nothing. A refusal that comes later takes it back, by its own event.
    """
    declined = any(status.state == "declined" for status in event.lagging) or bool(event and event.problems)
    closed = bool(event) or event.version > event.previous_version  # the latter: it was put back by an undo
    if not event.version or not (closed or declined):
        return None
    return Judgement(event.version, "partial" if event.lagging else "success", not declined)


def judge(
    versions: Iterable[KeptVersion], judgements: Iterable[Judgement], taken_back: Iterable[TakenBack] = ()
) -> dict[int, KeptVersion]:
    """These versions by number, in their order, after these judgements; judgements of others are left out."""
    by_number = {each.version: each for each in versions}
    for judgement in judgements:
        if (known := by_number.get(judgement.version)) is not None:
            by_number[judgement.version] = known.judged(judgement)
    for several in taken_back:
        for version in filter(several.has, by_number):
            by_number[version] = by_number[version].taken_back(several.date)
    return by_number


def before(versions: Sequence[KeptVersion], *, whole: bool = True) -> int:
    """The newest good version before the one whose content runs, of other content; 0 if there is none.

    Args:
        versions: The kept versions, newest first: the first one runs. What a person has put back counts as the version
            that had that content first, so that going back twice goes back two versions.
        whole: Whether these are all; else 0 also means that it is among the others, or that this can't be told.
    """
    if not versions:
        return 0
    running, bound = versions[0], versions[0].version
    by_number = {each.version: each for each in versions}
    while (present := by_number.get(bound)) is not None:
        earlier = (each.version for each in versions if each.version < bound and each.digest == present.digest)
        origin = present.restores or (next(earlier, 0) if present.origin in _PUT_BACK else 0)
        if not 0 < origin < bound:
            if present.origin in _PUT_BACK and not whole:
                return 0
            break
        bound = origin
    good = (each.version for each in versions if each.version < bound and each.proven and each.digest != running.digest)
    return next(good, 0)


# ---- in SQLite; each of these raises what SQLite raises


def make_tables(ask: Ask) -> None:
    """Make the tables, unless they are there."""
    ask(_KEPT)
    ask(_CONTENT)


def have_tables(ask: Ask) -> bool:
    """Whether the journal has the tables."""
    return bool(ask("SELECT 1 FROM sqlite_master WHERE name = 'kept'").fetchone())


def adopt(ask: Ask) -> None:
    """Keep the version in `newest`, if it has no row: an earlier confcast has written it."""
    query = """SELECT version, digest, schema, timestamp, checksum, payload FROM newest
        WHERE version NOT IN (SELECT version FROM kept)"""
    if (found := ask(query).fetchone()) is not None:
        *fields, checksum, payload = found
        add(ask, KeptVersion(*fields))
        ask("INSERT OR IGNORE INTO content VALUES (?, ?, ?)", (fields[1], checksum, payload))


def add_content(ask: Ask, digest: bytes, payload: bytes) -> None:
    """Keep the content of versions, unless it is kept already and undamaged."""
    ask(_ADD, (digest, zlib.crc32(payload), payload))


def add(ask: Ask, version: KeptVersion) -> None:
    """Keep this version, without its content."""
    body = _encode(version)
    values = (version.version, version.digest, version.schema, zlib.crc32(body), body)
    ask("INSERT OR REPLACE INTO kept VALUES (?, ?, ?, ?, ?)", values)


def update(ask: Ask, judgements: Iterable[Judgement], taken_back: Iterable[TakenBack] = ()) -> None:
    """Write these judgements into the rows of their versions; one without a row, or with a torn one, has none."""
    for judgement in judgements:
        _change(ask, judgement.version, functools.partial(KeptVersion.judged, judgement=judgement))
    for several in taken_back:
        query = "SELECT version FROM kept WHERE version > ? AND version < ?"
        for (number,) in ask(query, (several.above, several.below)).fetchall():
            _change(ask, number, functools.partial(KeptVersion.taken_back, date=several.date))


def _change(ask: Ask, number: int, change: Callable[[KeptVersion], KeptVersion]) -> None:
    try:
        version = read(ask, number)
    except Unreadable:
        return  # a listing logs it
    if version is not None and (changed := change(version)) is not version:
        add(ask, changed)


def by_content(ask: Ask) -> dict[bytes, list[int]]:
    """The numbers of the kept versions, by the digest of their contents; those up to a page that is damaged."""
    found: dict[bytes, list[int]] = {}
    try:
        for number, digest in ask("SELECT version, CAST(digest AS BLOB) FROM kept") if have_tables(ask) else ():
            found.setdefault(digest, []).append(number)
    except sqlite3.Error as error:
        if not tells_of_damage(error):
            raise
    return found


def prune(ask: Ask, limit: int, needed: int = 0) -> None:
    """Delete all versions but the newest `limit` ones, and the contents that no version has any more.

    Args:
        ask: Asks SQLite.
        limit: How many versions stay.
        needed: The number of one that stays besides; 0 for none.
    """
    oldest = "SELECT version FROM kept ORDER BY version DESC LIMIT 1 OFFSET ?"
    ask(f"DELETE FROM kept WHERE version <= ({oldest}) AND version != ?", (limit, needed))  # noqa: S608 (our own text)
    ask("DELETE FROM content WHERE digest NOT IN (SELECT digest FROM kept)")


def numbers(ask: Ask, limit: int) -> list[int]:
    """The numbers of the newest `limit` versions, newest first; with that in `newest`, which may have no row yet."""
    kept = "SELECT version FROM kept UNION " if have_tables(ask) else ""
    query = f"{kept}SELECT version FROM newest ORDER BY version DESC LIMIT ?"  # noqa: S608 (our own text)
    return [number for (number,) in ask(query, (limit,))]


def read(ask: Ask, number: int) -> KeptVersion | None:
    """The version of this number; None if it is not kept. Raises Unreadable if its row is not what was written."""
    query = "SELECT digest, schema, checksum, body FROM kept WHERE version = ?"
    if not have_tables(ask) or (found := _row(ask, query, number)) is None:
        return None
    digest, schema, checksum, body = found
    if isinstance(body, bytes) and zlib.crc32(body) == checksum:
        try:
            version = _decode(body)
        except UNDECODABLE:  # written by a confcast that gave a field another type
            pass
        else:
            if (version.version, version.digest, version.schema) == (number, digest, schema):
                return version
    raise Unreadable(f"the row of version {number} is not what was written")


def read_newest(ask: Ask, number: int) -> KeptVersion | None:
    """The committed version, if it has this number, as `newest` has it: without its cause. Raises Unreadable."""
    found = _row(ask, "SELECT version, digest, schema, timestamp FROM newest WHERE version = ?", number)
    if found is None:
        return None
    if [type(value) for value in found] != [int, bytes, bytes, float]:
        raise Unreadable(f"the row of version {number} is not what was written")
    return KeptVersion(*found)


def content(ask: Ask, digest: bytes) -> bytes:
    """The content with this digest. Raises Unreadable if it is gone, or is not what was written."""
    problem = "its content is gone"
    for table in _places(ask):
        try:
            payload, checksum = _row(ask, _SELECT.format("payload, checksum", table), digest) or (None, None)
        except Unreadable as error:
            problem = str(error)
            continue
        if isinstance(payload, bytes) and zlib.crc32(payload) == checksum:
            return payload
        if payload is not None:
            problem = "its content is not what was written"
    raise Unreadable(problem)


def has_content(ask: Ask, digest: bytes) -> bool:
    """Whether the content with this digest is there. Its checksum is verified, too, unless the content is long."""
    try:
        for table in _places(ask):
            (length,) = _row(ask, _SELECT.format("length(payload)", table), digest) or (0,)
            if isinstance(length, int) and length > _MOST_CHECKED:
                return True
        content(ask, digest)
    except Unreadable:
        return False
    return True


def _places(ask: Ask) -> list[str]:
    """The tables where a content may be: that of the committed version is in `newest`, too."""
    return ["content", "newest"] if have_tables(ask) else ["newest"]


def _row(ask: Ask, query: str, value: object) -> Sequence[Any] | None:
    try:
        found: Sequence[Any] | None = ask(query, (value,)).fetchone()
    except sqlite3.Error as error:
        if not tells_of_damage(error):
            raise
        raise Unreadable(f"it can't be read: {error}") from error
    return found


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(KeptVersion).decode
