"""What a new owner stands on: what one before it has left, of this master or of the generation before.

In this order: a journal that lies where the former one had to live is brought to its place, what was lost is looked
for, the roster keeps who lives and has not left, and the generation before has a last word: its snapshot file may have
a version that its journal's copy has not. Versions, floor, history and totals go on; the configuration does only under
the code that it was written with, or with an owner that was restarted and serves workers of that code.

Rejected: standing on the snapshot file alone (it has neither the floor nor the roster).
"""

from __future__ import annotations

import contextlib
import functools
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from confcast.config.codec import digest
from confcast.owner import generations
from confcast.owner.house import House
from confcast.owner.journal import Journal, JournalError, VersionRow
from confcast.owner.losses import catch_up, look_for_losses, make_good
from confcast.wire import notes, processes, snapshots
from confcast.wire.boot import Orders

_log = logging.getLogger("confcast.owner")


class Inheritance(NamedTuple):
    """The version to stand on, the highest number ever used, and who lived under it.

    Attributes:
        row: The committed version; None when there is none, or none of this code.
        floor: No number up to this one is given out again.
        roster: The pids of those who said Hello to an owner before, and live.
        fields: The field table of the code that `row` was made with; this owner's own when there is none.
        lost: Whether there was a journal that is gone or torn.
    """

    row: VersionRow | None
    floor: int
    roster: tuple[int, ...]
    fields: dict[str, str]
    lost: bool


def inherit(
    house: House, orders: Orders, open_journal: Callable[[], Journal], fingerprint: bytes, fields: dict[str, str]
) -> Inheritance:
    """Take over what was left, and leave the journal as the next owner is to find it.

    Args:
        house: Entered, and listening: who writes a note later finds it listening.
        orders: Whose place this owner takes.
        open_journal: Opens the journal of the house.
        fingerprint: This owner's schema's.
        fields: This owner's field table.

    Raises:
        JournalError: The journal can't be used.
        OSError: What the generation before has left can't be read or moved.
    """
    restarted = orders.restarts > 0
    _begin_where_the_former_was(house, orders)
    lost = look_for_losses(house, open_journal, restarted=restarted)
    with contextlib.closing(open_journal()) as journal:
        if lost:
            make_good(journal, house.folder, restarted=restarted)
        elif restarted:
            catch_up(journal, house.folder)
        living = _living(journal, house, restarted=restarted)
        if not restarted and orders.former:
            _go_on_from_the_former(journal, Path(orders.former), fingerprint)
        row, floor = journal.latest(), journal.floor
        if row is not None and row.schema != fingerprint and not restarted:
            row = None
        if row is not None and row.schema != fingerprint:
            fields = journal.described(row.schema)
        else:
            attempt("field table", functools.partial(journal.describe, fingerprint, fields))
        if restarted:
            attempt("count of restarts", journal.count_restart)
        else:  # somebody starts it with these sources, and no worker lives that could keep an older version
            attempt("end of a refusal", journal.forgive)
    if restarted and row is None:
        floor = max(floor, int(time.time()))
    return Inheritance(row, floor, living, fields, lost)


def attempt(what: str, write: Callable[[], None]) -> bool:
    """A write that nothing depends on: on a full disk a new owner serves what is committed all the same.

    Returns:
        Whether it was written.
    """
    try:
        write()
    except (JournalError, OSError, ValueError) as error:  # ValueError: a path in it that is no UTF-8
        _log.error("the %s could not be written: %s", what, error)
        return False
    return True


def _begin_where_the_former_was(house: House, orders: Orders) -> None:
    """With its journal; in the state folder, if it is free by now. A paused one stays with what it left itself."""
    small = house.folder / house.journal.name
    if orders.former and not orders.restarts:
        generations.take_over(Path(orders.former), small)
    if house.awaited is not None and orders.paused:
        generations.take_over(house.folder, small)
    if house.state_folder != house.folder and small.exists():
        with contextlib.closing(Journal(small)) as journal:
            generations.move_in(journal, house.journal)
        generations.forget(small)


def _go_on_from_the_former(journal: Journal, former: Path, fingerprint: bytes) -> None:
    """A new generation's versions follow those of the one before, which still serves its last workers."""
    saved = snapshots.load(former)
    if saved is None or saved.version <= journal.floor:
        return
    if saved.schema == fingerprint and digest(saved.payload) == saved.digest:
        journal.record(VersionRow(saved.version, saved.digest, saved.schema, saved.payload, time.time()))
    else:
        journal.burn(saved.version)


def _living(journal: Journal, house: House, *, restarted: bool) -> tuple[int, ...]:
    """Who said Hello to a former owner of this master, lives, and has not left since; the others are struck.

    And who serves without having been answered by any owner, as its note says: put on the roster before its note goes.
    """
    living, left = {}, _noted(house, "left")
    for pid, since in journal.roster():
        if restarted and processes.is_alive(pid, since) and (pid, since) not in left:
            living[pid] = since
        else:
            attempt("roster", functools.partial(journal.strike, pid))
    unwritten = set()
    for pid, since in sorted(_noted(house, "here")):
        if (
            processes.is_alive(pid, since)
            and processes.user_of(pid) in house.guests.uids()
            and (pid, since) not in left
        ):
            living[pid] = since
            if not attempt("roster", functools.partial(journal.enroll, pid, since)):
                unwritten.add((pid, since))
    attempt("notes of workers", functools.partial(notes.clear, house.folder, "left"))
    attempt("notes of workers", functools.partial(notes.clear, house.folder, "here", keep=frozenset(unwritten)))
    return tuple(sorted(living))


def _noted(house: House, kind: notes.Kind) -> set[notes.Writer]:
    try:
        return notes.read(house.folder, kind)
    except OSError as error:
        _log.error("the notes of workers can't be read: %s", error)
        return set()
