"""A journal that is torn or gone: what is saved of it, and said.

The numbers of versions are counted on from the clock, in seconds since 1970: higher than any that was given out, so
that none repeats with other content. A restarted owner stands on the snapshot file, which workers start on too: the
committed version is lost only with both. Roster, history and totals are lost. A journal whose log was damaged is whole
and older, since SQLite reads a log up to the damage and says nothing: then the snapshot file has the version that was
committed last.

Rejected: reading on in a torn journal (what can be read of it need not be what was written), and standing on another
master's snapshot file at a first start (its workers are gone).
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from pathlib import Path

from confcast.config.codec import digest
from confcast.owner.house import House
from confcast.owner.journal import Journal, TornJournal, VersionRow
from confcast.wire import snapshots

_log = logging.getLogger("confcast.owner")

_LOST = "a new one is begun: history and totals are lost, and versions are counted on from the clock"


def look_for_losses(house: House, open_journal: Callable[[], Journal], *, restarted: bool) -> bool:
    """Whether there is no journal where one was written; a torn one is set aside. Raises JournalError, OSError."""
    if not house.journal.exists():
        # The mark of what is being loaded is made where a journal is already, and stays with it.
        lost = restarted or house.mark.exists()
        if lost:
            _log.error("the journal %s is gone; %s", house.journal, _LOST)
        return lost
    try:
        with contextlib.closing(open_journal()) as journal:
            journal.latest()
    except TornJournal as error:
        aside = house.journal.with_name(f"journal.torn-{int(time.time())}")
        _log.error("%s; it is kept as %s, and %s", error, aside.name, _LOST)
        house.journal.rename(aside)
        return True
    return False


def make_good(journal: Journal, folder: Path, *, restarted: bool) -> None:
    """Put into a new journal what is known without the one that was lost. Raises JournalError."""
    saved = snapshots.load(folder) if restarted else None
    if saved is not None and digest(saved.payload) == saved.digest:
        _log.warning("version %d is taken from the snapshot file in %s", saved.version, folder)
        journal.record(VersionRow(saved.version, saved.digest, saved.schema, saved.payload, time.time()))
    journal.burn(int(time.time()))


def catch_up(journal: Journal, folder: Path) -> None:
    """Take a version from the snapshot file that the journal should have, and has not. Raises JournalError.

    The file is written after the journal, so what it has was committed, and workers may run it.
    """
    saved, row = snapshots.load(folder), journal.latest()
    known = 0 if row is None else row.version
    if saved is None or saved.version <= known or digest(saved.payload) != saved.digest:
        return
    _log.error(
        "the journal in %s ends at version %d, though version %d was committed: its log was damaged; version %d is "
        "taken from the snapshot file",
        folder,
        known,
        saved.version,
        saved.version,
    )
    journal.record(VersionRow(saved.version, saved.digest, saved.schema, saved.payload, time.time()))
